/* check_log.c -- superblocks, watermark lines, the journal, and the totals that they tell */
#include <string.h>

#include "base/util.h"
#include "check/state.h"
#include "check/validate.h"
#include "journal/journal.h"
#include "journal/record.h"

static const uint64_t super_offsets[2] = {(uint64_t)VM_SUPER_A_BLOCK * VM_BLOCK_BYTES,
                                          (uint64_t)VM_SUPER_B_BLOCK *VM_BLOCK_BYTES};
static const uint64_t line_offsets[2] = {(uint64_t)VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES,
                                         (uint64_t)VM_WATERMARK_B_BLOCK *VM_BLOCK_BYTES};

static bool super_load(struct vm_check *check, unsigned copy, struct vm_super_media *out)
{
    memcpy(out, check->region->base + super_offsets[copy], sizeof *out);
    bool is_sound = vm_super_validate(out, super_offsets[copy]);
    if (!is_sound)
        vm_problem(check, SUPERBLOCKS, SUPER_DAMAGED, "the copy in block %b fails its check",
                   super_offsets[copy] / VM_BLOCK_BYTES);
    return is_sound;
}

int vm_check_superblocks(struct vm_check *check)
{
    struct vm_super_media copies[2];
    bool is_sound[2];
    for (unsigned copy = 0; copy < 2; copy++) {
        is_sound[copy] = super_load(check, copy, &copies[copy]);
        copies[copy].check = vm_put64(0);
        copies[copy].self = vm_put64(0);
    }
    if (is_sound[0] && is_sound[1] && memcmp(&copies[0], &copies[1], sizeof copies[0]) != 0)
        vm_problem(check, SUPERBLOCKS, NONE, "the copies differ; their generations are %n and %n",
                   vm_get64(copies[0].generation), vm_get64(copies[1].generation));
    const struct vm_super_media *super = is_sound[0] ? &copies[0] : &copies[1];
    bool is_any = is_sound[0] || is_sound[1];
    if (is_any && vm_get64(super->epoch) >= vm_get64(super->epoch_limit))
        vm_problem(check, SUPERBLOCKS, NONE, "the clock, %n, is not below its limit, %n",
                   vm_get64(super->epoch), vm_get64(super->epoch_limit));
    if (is_any && vm_get64(super->share.root_inode) != VM_ROOT_ID)
        vm_problem(check, SUPERBLOCKS, NONE, "inode %i cannot be the root",
                   vm_get64(super->share.root_inode));
    return 0;
}

static bool line_load(struct vm_check *check, unsigned copy, struct vm_watermark *out)
{
    struct vm_watermark_media media;
    memcpy(&media, check->region->base + line_offsets[copy], sizeof media);
    *out = (struct vm_watermark){
        .nonce = vm_get64(media.nonce),
        .era = vm_get64(media.era),
        .watermark = vm_get64(media.watermark),
        .blocks_free = vm_get64(media.blocks_free),
        .inodes_used = vm_get64(media.inodes_used),
        .orphans = vm_get64(media.orphans),
    };
    bool is_sound = vm_line_validate(&media, line_offsets[copy]);
    if (!is_sound)
        vm_problem(check, WATERMARK, WATERMARK_DAMAGED, "the line in block %b fails its check",
                   line_offsets[copy] / VM_BLOCK_BYTES);
    return is_sound;
}

int vm_check_watermark(struct vm_check *check)
{
    struct vm_watermark lines[2];
    bool is_sound[2] = {line_load(check, 0, &lines[0]), line_load(check, 1, &lines[1])};
    bool are_sound = is_sound[0] && is_sound[1];
    if (are_sound && (lines[0].era != lines[1].era || lines[0].nonce != lines[1].nonce))
        vm_problem(check, WATERMARK, NONE, "the lines are of two eras, %n and %n", lines[0].era,
                   lines[1].era);
    bool is_second_newer = lines[0].era != lines[1].era ? lines[1].era > lines[0].era
                                                        : lines[1].watermark > lines[0].watermark;
    if (are_sound)
        check->line = lines[is_second_newer];
    else if (is_sound[0] || is_sound[1])
        check->line = lines[is_sound[1]];
    uint64_t sequence = atomic_load(&check->ctx->journal->sequence);
    if (check->line.watermark > sequence)
        vm_problem(check, WATERMARK, NONE, "the watermark, %n, is above the last record, %n",
                   check->line.watermark, sequence);
    return 0;
}

static uint64_t widen(struct vm_le32 delta)
{
    return (uint64_t)(int64_t)(int32_t)vm_get32(delta);
}

/* What lies at one place of the copied lane where a record can begin: 1 for a record that counts. */
static unsigned check_record(struct vm_check *check, uint64_t lane, uint64_t at)
{
    const struct vm_region *region = check->region;
    struct vm_record_media header;
    const uint8_t *bytes = check->lane + at;
    uint64_t offset = region->lane_offset + lane * region->lane_bytes + at;
    memcpy(&header, bytes, sizeof header);
    if (vm_get64(header.nonce) != check->line.nonce ||
        vm_get64(header.sequence) <= check->line.watermark)
        return 0;
    if (!vm_record_is_valid(bytes, region->lane_bytes - at, check->line.nonce, offset)) {
        vm_problem(check, JOURNAL, NONE, "the record at offset %o fails its check", offset);
        return 0;
    }
    if (vm_record_validate(&check->ctx->err, region, bytes))
        vm_problem(check, JOURNAL, RECORD_SHAPE,
                   "the record at offset %o is malformed or changes no home", offset);
    check->logged.blocks_free += widen(header.blocks_delta);
    check->logged.inodes_used += widen(header.inodes_delta);
    check->logged.orphans += widen(header.orphans_delta);
    return 1;
}

int vm_check_journal(struct vm_check *check)
{
    const struct vm_region *region = check->region;
    uint64_t count = 0;
    if (check->line.era == 0)
        return 0;
    for (uint32_t lane = 0; lane < region->lane_count; lane++) {
        uint64_t start = region->lane_offset + (uint64_t)lane * region->lane_bytes;
        vm_copy_data(check->lane, region->base + start, region->lane_bytes);
        for (uint64_t at = 0; at < region->lane_bytes; at += 64)
            count += check_record(check, lane, at);
    }
    uint64_t expected = atomic_load(&check->ctx->journal->sequence) - check->line.watermark;
    if (count != expected)
        vm_problem(check, JOURNAL, NONE, "%n records are above the watermark, there should be %n",
                   count, expected);
    return 0;
}

static void compare_total(struct vm_check *check, const char *text, uint64_t counted, uint64_t told)
{
    if (counted != told)
        vm_problem(check, TOTALS, NONE, text, counted, told);
}

int vm_check_totals(struct vm_check *check)
{
    const struct vm_check_totals *counted = &check->counted;
    struct vm_totals now = vm_journal_totals(check->ctx->journal);
    compare_total(check, "%n blocks are free, the handle says %n", counted->blocks_free,
                  (uint64_t)now.blocks_free);
    compare_total(check, "%n inodes are used, the handle says %n", counted->inodes_used,
                  (uint64_t)now.inodes_used);
    compare_total(check, "%n inodes are orphans, the handle says %n", counted->orphans,
                  (uint64_t)now.orphans);
    const struct vm_watermark *line = &check->line;
    const struct vm_check_totals *logged = &check->logged;
    if (line->era == 0)
        return 0;
    compare_total(check, "%n blocks are free, watermark and journal say %n", counted->blocks_free,
                  line->blocks_free + logged->blocks_free);
    compare_total(check, "%n inodes are used, watermark and journal say %n", counted->inodes_used,
                  line->inodes_used + logged->inodes_used);
    compare_total(check, "%n inodes are orphans, watermark and journal say %n", counted->orphans,
                  line->orphans + logged->orphans);
    return 0;
}
