/* recover.c -- what is done with the records that a crash left
 *
 * Collect every valid record above W, validate all, apply in sequence order, fence, then begin a new
 * era in both watermark copies. Until that last step nothing on the medium says that recovery ran, so
 * it can be cut at any point and started again: applying a record twice gives the same bytes.
 *
 * The new nonce is stored after the homes are fenced: a record of this era, whole or torn, can never be
 * taken for one of the next (H14). Homes are backed before they are stored to (H17). */
#include <string.h>

#include "base/check.h"
#include "base/util.h"
#include "journal/journal.h"
#include "journal/record.h"

#define CHUNK_BYTES  ((uint64_t)VM_CHUNK_BLOCKS * VM_BLOCK_BYTES)
#define BACKED_SLOTS 64u

struct found {
    uint64_t sequence;
    uint64_t offset;
};

enum replay {
    REPLAY_REFUSED,
    REPLAY_VIEW, /* on homes that nobody else sees */
    REPLAY_ERA,  /* for one who will log */
};

struct recovery {
    struct vm_ctx *ctx;
    enum replay replay;
    const struct vm_salvage *salvage; /* null: damage ends it */
    struct vm_watermark line;
    bool
        is_torn; /* there is something of this era that does not count, and must not be met again */
    uint64_t highest_watermark; /* named by any record of this era */
    struct found *found;
    uint64_t found_max;
    uint64_t found_count;
    uint64_t backed[BACKED_SLOTS]; /* chunks that were backed lately, plus one */
};

static const struct vm_record_media *record_at(const struct recovery *recovery, uint64_t offset)
{
    return (const void *)(recovery->ctx->region->base + offset);
}

static void scan_lane(struct recovery *recovery, uint64_t start, uint64_t len_bytes)
{
    for (uint64_t at = 0; at + sizeof(struct vm_record_media) <= len_bytes; at += 64) {
        const struct vm_record_media *record = record_at(recovery, start + at);
        if (!vm_record_is_valid((const uint8_t *)record, len_bytes - at, recovery->line.nonce,
                                start + at)) {
            recovery->is_torn |= vm_get64(record->nonce) == recovery->line.nonce &&
                                 vm_get64(record->sequence) > recovery->line.watermark;
            continue;
        }
        recovery->highest_watermark =
            vm_max(recovery->highest_watermark, vm_get64(record->watermark));
        if (vm_get64(record->sequence) <= recovery->line.watermark) /* H1 */
            continue;
        VM_ASSERT(recovery->found_count < recovery->found_max);
        recovery->found[recovery->found_count++] =
            (struct found){vm_get64(record->sequence), start + at};
    }
}

static void sift_down(struct found *heap, uint64_t count, uint64_t at)
{
    for (;;) {
        uint64_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && heap[child + 1].sequence > heap[child].sequence)
            child++;
        if (heap[at].sequence >= heap[child].sequence)
            return;
        struct found swapped = heap[at];
        heap[at] = heap[child];
        heap[child] = swapped;
        at = child;
    }
}

static void sort_found(struct found *found, uint64_t count)
{
    for (uint64_t at = count / 2; at-- > 0;)
        sift_down(found, count, at);
    for (uint64_t last = count; last-- > 1;) {
        struct found swapped = found[0];
        found[0] = found[last];
        found[last] = swapped;
        sift_down(found, last, 0);
    }
}

/* ---- in spite of damage ---- */

static void tell(const struct recovery *recovery, enum vm_salvage_note note, uint64_t where)
{
    recovery->salvage->told(recovery->salvage->arg, note, where);
}

static void salvage_watermark(struct recovery *recovery)
{
    const void *base = recovery->ctx->region->base;
    struct vm_watermark line;
    bool is_a_lost = !vm_watermark_read(base, 0, &line);
    bool is_b_lost = !vm_watermark_read(base, 1, &line);
    if (is_a_lost)
        tell(recovery, VM_SALVAGE_LINE, VM_WATERMARK_A_BLOCK);
    if (is_b_lost)
        tell(recovery, VM_SALVAGE_LINE, VM_WATERMARK_B_BLOCK);
    if (!is_a_lost || !is_b_lost)
        return;
    vm_salvage_line(recovery->ctx, &recovery->line);
    tell(recovery, VM_SALVAGE_ERA, recovery->line.watermark);
}

/* S5: what any record names as durable was durable. */
static void salvage_named(struct recovery *recovery)
{
    if (recovery->highest_watermark <= recovery->line.watermark)
        return;
    recovery->line.watermark = recovery->highest_watermark;
    tell(recovery, VM_SALVAGE_WATERMARK, recovery->line.watermark);
}

static void tell_torn(const struct recovery *recovery)
{
    const struct vm_region *region = recovery->ctx->region;
    uint64_t end = region->lane_offset + (uint64_t)region->lane_count * region->lane_bytes;
    for (uint64_t at = region->lane_offset; at < end; at += 64) {
        const struct vm_record_media *record = record_at(recovery, at);
        uint64_t sequence = vm_get64(record->sequence);
        uint64_t room = region->lane_bytes - (at - region->lane_offset) % region->lane_bytes;
        bool is_ours =
            vm_get64(record->nonce) == recovery->line.nonce && sequence <= VM_SEQUENCE_MAX;
        if (is_ours && sequence > recovery->line.watermark &&
            !vm_record_is_valid((const uint8_t *)record, room, recovery->line.nonce, at))
            tell(recovery, VM_SALVAGE_TORN, at);
    }
}

/* Leaves out what cannot be applied. */
static void salvage_found(struct recovery *recovery)
{
    struct vm_ctx *ctx = recovery->ctx;
    uint64_t kept = 0;
    for (uint64_t index = 0; index < recovery->found_count; index++) {
        const struct found found = recovery->found[index];
        bool is_again = kept > 0 && recovery->found[kept - 1].sequence == found.sequence;
        if (found.sequence <= recovery->line.watermark) /* H1 */
            continue;
        if (is_again ||
            vm_record_validate(&ctx->err, ctx->region, record_at(recovery, found.offset)))
            tell(recovery, VM_SALVAGE_UNFIT, found.offset);
        else
            recovery->found[kept++] = found;
    }
    recovery->found_count = kept;
}

/* Sequence numbers are unique, and records of one era never lie over each other. */
static int check_found(struct recovery *recovery)
{
    struct vm_ctx *ctx = recovery->ctx;
    if (recovery->highest_watermark > recovery->line.watermark)
        return vm_raise(&ctx->err, VMFS_R_TOTALS_LOST, recovery->highest_watermark);
    for (uint64_t index = 0; index < recovery->found_count; index++) {
        const struct found *found = &recovery->found[index];
        if (index > 0 && found[-1].sequence == found->sequence)
            return vm_raise(&ctx->err, VMFS_R_RECORD_OVERLAP, found->offset);
        int result = vm_record_validate(&ctx->err, ctx->region, record_at(recovery, found->offset));
        if (result)
            return result;
    }
    return 0;
}

static int back_range(struct recovery *recovery, uint64_t offset, uint64_t len_bytes)
{
    const struct vm_region *region = recovery->ctx->region;
    for (uint64_t chunk = offset / CHUNK_BYTES; chunk * CHUNK_BYTES < offset + len_bytes; chunk++) {
        uint64_t *known = &recovery->backed[chunk % BACKED_SLOTS];
        if (*known == chunk + 1)
            continue;
        uint64_t start = chunk * CHUNK_BYTES;
        int result = vm_back(recovery->ctx, start, vm_min(CHUNK_BYTES, region->bytes - start));
        if (result)
            return result;
        *known = chunk + 1;
    }
    return 0;
}

static int back_entry(struct recovery *recovery, const struct vm_entry *entry)
{
    const struct vm_region *region = recovery->ctx->region;
    if (entry->kind == VM_ENTRY_BYTES || entry->kind == VM_ENTRY_FILL)
        return back_range(recovery, entry->place, entry->len_bytes);
    if (entry->kind != VM_ENTRY_SET && entry->kind != VM_ENTRY_CLEAR)
        return back_range(recovery, entry->place, 8);
    uint64_t first = vm_region_bit(region, entry->place).word_offset;
    uint64_t last = vm_region_bit(region, entry->place + entry->first - 1).word_offset;
    return back_range(recovery, first, last - first + 8);
}

static int back_record(struct recovery *recovery, const void *record)
{
    struct vm_record_reader reader = vm_record_open(record);
    struct vm_entry entry;
    int more;
    while ((more = vm_record_next(&recovery->ctx->err, &reader, &entry)) > 0) {
        int result = back_entry(recovery, &entry); /* H17 */
        if (result)
            return result;
    }
    return more;
}

static int apply_found(struct recovery *recovery)
{
    struct vm_ctx *ctx = recovery->ctx;
    for (uint64_t index = 0; index < recovery->found_count; index++) {
        int result = back_record(recovery, record_at(recovery, recovery->found[index].offset));
        if (result)
            return result;
    }
    for (uint64_t index = 0; index < recovery->found_count; index++) {
        const struct vm_record_media *record = record_at(recovery, recovery->found[index].offset);
        vm_record_apply(ctx, record);
        struct vm_watermark *line = &recovery->line;
        line->watermark = recovery->found[index].sequence;
        line->blocks_free += (uint64_t)(int64_t)(int32_t)vm_get32(record->blocks_delta);
        line->inodes_used += (uint64_t)(int64_t)(int32_t)vm_get32(record->inodes_delta);
        line->orphans += (uint64_t)(int64_t)(int32_t)vm_get32(record->orphans_delta);
    }
    for (uint64_t index = 0; index < recovery->found_count; index++)
        vm_record_flush(ctx, ctx->journal, record_at(recovery, recovery->found[index].offset));
    if (recovery->found_count == 0)
        return 0;
    return vm_journal_fence(ctx); /* H12: homes before W */
}

/* The copy that is older is overwritten first, so that a torn one leaves the other; both belong to the
 * new era before any record does. Nobody can count as far as the largest era or half the largest sequence
 * number; but bytes that say so must not make a region that cannot be opened any more. */
static int begin_era(struct recovery *recovery, unsigned newest_copy)
{
    struct vm_ctx *ctx = recovery->ctx;
    recovery->line.era += recovery->line.era < UINT64_MAX;
    recovery->line.nonce = vm_nonce_draw(ctx->region, recovery->line.era); /* H14 */
    if (recovery->line.watermark > VM_SEQUENCE_MAX / 2)                    /* H14 */
        recovery->line.watermark = 0;
    for (unsigned turn = 0; turn < 2; turn++) {
        vm_watermark_store(&ctx->io, turn ? newest_copy : newest_copy ^ 1,
                           &recovery->line); /* S2 */
        int result = vm_journal_fence(ctx);  /* H14, H22 */
        if (result)
            return result;
    }
    return 0;
}

/* Is there but one era, told by both lines? */
static bool is_one_era(const struct recovery *recovery)
{
    for (unsigned copy = 0; copy < 2; copy++) {
        struct vm_watermark line = {0};
        if (!vm_watermark_read(recovery->ctx->region->base, copy, &line) ||
            line.era != recovery->line.era)
            return false;
    }
    return true;
}

/* A reader logs nothing, and needs no era of its own where everything that there is counts. */
static bool needs_era(const struct recovery *recovery)
{
    return recovery->replay == REPLAY_ERA || recovery->found_count || recovery->is_torn ||
           !is_one_era(recovery);
}

static int finish_era(struct recovery *recovery, unsigned newest_copy)
{
    if (!needs_era(recovery))
        return 0;
    const uint64_t lines = (uint64_t)VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES;
    int result =
        recovery->replay == REPLAY_VIEW ? back_range(recovery, lines, 2 * VM_BLOCK_BYTES) : 0;
    return result ? result : begin_era(recovery, newest_copy);
}

static void adopt(struct vm_journal *journal, const struct recovery *recovery, unsigned newest_copy)
{
    const struct vm_watermark *line = &recovery->line;
    journal->line = *line;
    journal->era = (struct vm_era){line->era, line->nonce};
    journal->line_copy = newest_copy;
    journal->replayed = recovery->found_count;
    journal->base_blocks_free = (int64_t)line->blocks_free;
    journal->base_inodes_used = (int64_t)line->inodes_used;
    journal->base_orphans = (int64_t)line->orphans;
    VM_OWN(atomic_store(&journal->sequence, line->watermark));
    VM_OWN(atomic_store(&journal->watermark, line->watermark));
    VM_OWN(atomic_store(&journal->watermark_lower, line->watermark));
}

static int recover(struct recovery *recovery, struct vm_journal *journal)
{
    struct vm_ctx *ctx = recovery->ctx;
    unsigned copy = 0;
    int result = vm_watermark_load(&ctx->err, ctx->region->base, &recovery->line, &copy);
    if (recovery->salvage)
        salvage_watermark(recovery);
    else if (result)
        return result;
    const struct vm_region *region = ctx->region;
    for (uint32_t lane = 0; lane < region->lane_count; lane++)
        scan_lane(recovery, region->lane_offset + (uint64_t)lane * region->lane_bytes,
                  region->lane_bytes);
    if (recovery->found_count && recovery->replay == REPLAY_REFUSED)
        return vm_raise(&ctx->err, VMFS_R_NEEDS_REPLAY, recovery->found_count);
    sort_found(recovery->found, recovery->found_count);
    if (recovery->salvage) {
        salvage_named(recovery);
        salvage_found(recovery);
        tell_torn(recovery);
    }
    result = check_found(recovery);
    memset(journal->flushed, 0xff, sizeof journal->flushed);
    if (result == 0)
        result = apply_found(recovery);
    if (result == 0 && recovery->replay != REPLAY_REFUSED)
        result = finish_era(recovery, copy);
    if (result == 0)
        adopt(journal, recovery, copy);
    return result;
}

static int recover_with(struct vm_ctx *ctx, struct vm_journal *journal, enum replay replay,
                        const struct vm_salvage *salvage)
{
    const struct vm_region *region = ctx->region;
    const struct vm_platform *platform = region->platform;
    struct recovery recovery = {
        .ctx = ctx,
        .replay = replay,
        .salvage = salvage,
        .found_max = (uint64_t)region->lane_count * region->lane_bytes / 64,
    };
    uint64_t len_bytes = recovery.found_max * sizeof *recovery.found;
    void *memory;
    int result = vm_alloc(ctx, len_bytes, &memory);
    if (result)
        return result;
    recovery.found = memory;
    result = recover(&recovery, journal);
    platform->free(platform->arg, recovery.found, len_bytes);
    return result;
}

int vm_journal_recover(struct vm_ctx *ctx, struct vm_journal *journal, bool may_replay)
{
    return recover_with(ctx, journal, may_replay ? REPLAY_ERA : REPLAY_REFUSED, NULL);
}

int vm_journal_view(struct vm_ctx *ctx, struct vm_journal *journal)
{
    return recover_with(ctx, journal, REPLAY_VIEW, NULL);
}

int vm_journal_salvage(struct vm_ctx *ctx, struct vm_journal *journal,
                       const struct vm_salvage *salvage)
{
    return recover_with(ctx, journal, REPLAY_ERA, salvage);
}
