/* journal.c -- lanes as rings, checkpoint, totals */
#include "journal/journal.h"

#include <string.h>

#include "base/check.h"
#include "base/util.h"
#include "journal/pin.h"
#include "journal/record.h"

#define SLICE_RECORDS    256u
#define RECORD_MAX_BYTES 16384u

static int lane_init(struct vm_ctx *ctx, struct vm_journal *journal, uint32_t index)
{
    struct vm_lane *lane = &journal->lanes[index];
    lane->medium_offset = ctx->region->lane_offset + (uint64_t)index * journal->lane_bytes;
    lane->ring_size = 1;
    while (lane->ring_size < journal->lane_bytes / 64)
        lane->ring_size *= 2;
    void *memory;
    int result = vm_alloc(ctx, lane->ring_size * sizeof *lane->ring, &memory);
    lane->ring = memory;
    if (result == 0)
        result = vm_alloc(ctx, journal->lane_bytes, &memory);
    lane->mirror = result ? NULL : memory;
    return result;
}

int vm_journal_init(struct vm_ctx *ctx, struct vm_journal *journal)
{
    const struct vm_region *region = ctx->region;
    journal->region = region;
    journal->pins = NULL; /* of an older journal, whose owner frees them */
    journal->lane_count = region->lane_count;
    journal->lane_bytes = region->lane_bytes;
    journal->record_max = (uint32_t)vm_min(region->lane_bytes / 4, RECORD_MAX_BYTES);
    void *memory;
    int result = vm_alloc(ctx, journal->lane_count * sizeof *journal->lanes, &memory);
    journal->lanes = memory;
    for (uint32_t index = 0; result == 0 && index < journal->lane_count; index++)
        result = lane_init(ctx, journal, index);
    return result ? result : vm_pins_init(ctx, journal);
}

void vm_journal_fini(struct vm_journal *journal)
{
    if (!journal->lanes)
        return;
    const struct vm_platform *platform = journal->region->platform;
    for (uint32_t index = 0; index < journal->lane_count; index++) {
        struct vm_lane *lane = &journal->lanes[index];
        if (lane->ring)
            platform->free(platform->arg, lane->ring, lane->ring_size * sizeof *lane->ring);
        if (lane->mirror)
            platform->free(platform->arg, lane->mirror, journal->lane_bytes);
    }
    platform->free(platform->arg, journal->lanes, journal->lane_count * sizeof *journal->lanes);
    journal->lanes = NULL;
    vm_pins_fini(journal);
}

/* Where the oldest record lies: false if there is none. A checkpoint moves the tail at any moment, so it is
 * read once: what lies at the head is an offset of long ago. */
static bool ring_oldest(const struct vm_lane *lane, uint32_t *offset_out)
{
    uint32_t tail = atomic_load_explicit(&lane->ring_tail, memory_order_acquire);
    if (tail == atomic_load_explicit(&lane->ring_head, memory_order_acquire))
        return false;
    *offset_out = lane->ring[tail & (lane->ring_size - 1)].offset;
    return true;
}

uint32_t vm_lane_used(const struct vm_lane *lane, uint32_t lane_bytes)
{
    uint32_t oldest;
    if (!ring_oldest(lane, &oldest))
        return 0;
    return lane->write_at > oldest ? lane->write_at - oldest : lane_bytes - oldest + lane->write_at;
}

uint32_t vm_lane_place(const struct vm_lane *lane, uint32_t lane_bytes, uint32_t len_bytes)
{
    uint32_t oldest;
    if (!ring_oldest(lane, &oldest))
        return 0;
    if (lane->write_at > oldest)
        return lane_bytes - lane->write_at >= len_bytes ? lane->write_at : 0;
    return lane->write_at;
}

bool vm_lane_has_room(const struct vm_lane *lane, uint32_t lane_bytes, uint32_t len_bytes)
{
    uint32_t oldest;
    if (!ring_oldest(lane, &oldest))
        return true;
    if (lane->write_at > oldest)
        return lane_bytes - lane->write_at >= len_bytes || oldest >= len_bytes;
    return oldest - lane->write_at >= len_bytes;
}

uint64_t vm_journal_bytes_used(const struct vm_journal *journal)
{
    uint64_t used = 0;
    for (uint32_t index = 0; index < journal->lane_count; index++)
        used += vm_lane_used(&journal->lanes[index], journal->lane_bytes);
    return used;
}

/* What the medium says may be any number, also one that is too large to be added to. */
static void total_add(int64_t *total, int64_t delta)
{
    *total = (int64_t)((uint64_t)*total + (uint64_t)delta);
}

struct vm_totals vm_journal_totals(const struct vm_journal *journal)
{
    struct vm_totals totals = {journal->base_blocks_free, journal->base_inodes_used,
                               journal->base_orphans};
    for (uint32_t index = 0; index < journal->lane_count; index++) {
        const struct vm_lane *lane = &journal->lanes[index];
        total_add(&totals.blocks_free,
                  atomic_load_explicit(&lane->blocks_delta, memory_order_relaxed));
        total_add(&totals.inodes_used,
                  atomic_load_explicit(&lane->inodes_delta, memory_order_relaxed));
        total_add(&totals.orphans,
                  atomic_load_explicit(&lane->orphans_delta, memory_order_relaxed));
    }
    return totals;
}

void vm_journal_format(struct vm_ctx *ctx, uint64_t blocks_free)
{
    struct vm_watermark line = {
        .nonce = vm_nonce_draw(ctx->region, 1),
        .era = 1,
        .blocks_free = blocks_free,
    };
    vm_watermark_store(&ctx->io, 0, &line);
    vm_watermark_store(&ctx->io, 1, &line);
}

/* Below every number whose homes are not all stored (H8), and what pins leave (H23).
 * The counter is read before the marks. */
static uint64_t horizon(struct vm_journal *journal)
{
    uint64_t limit = atomic_load(&journal->sequence);
    for (uint32_t index = 0; index < journal->lane_count; index++) {
        uint64_t mark = atomic_load(&journal->lanes[index].mark);
        if (mark && mark - 1 < limit)
            limit = mark - 1;
    }
    return vm_pins_limit(journal, limit);
}

static void flush_line(struct vm_ctx *ctx, struct vm_journal *journal, uint64_t line)
{
    uint64_t *slot = &journal->flushed[line / 64 % VM_DEDUPE_SLOTS];
    if (*slot == line)
        return;
    *slot = line;
    vm_io_flush(&ctx->io, line, 64);
}

static void flush_range(struct vm_ctx *ctx, struct vm_journal *journal, uint64_t offset,
                        uint64_t len_bytes)
{
    for (uint64_t line = vm_align_down(offset, 64); line < offset + len_bytes; line += 64)
        flush_line(ctx, journal, line);
}

static void flush_bits(struct vm_ctx *ctx, struct vm_journal *journal, uint64_t block,
                       uint64_t count)
{
    while (count) {
        struct vm_bit bit = vm_region_bit(ctx->region, block);
        uint64_t step = vm_min(count, 64 - bit.bit);
        flush_line(ctx, journal, vm_align_down(bit.word_offset, 64));
        block += step;
        count -= step;
    }
}

void vm_record_flush(struct vm_ctx *ctx, struct vm_journal *journal, const void *record)
{
    struct vm_record_reader reader = vm_record_open(record);
    struct vm_entry entry;
    while (vm_record_next(&ctx->err, &reader, &entry) > 0) {
        if (entry.kind == VM_ENTRY_SET || entry.kind == VM_ENTRY_CLEAR)
            flush_bits(ctx, journal, entry.place, entry.first);
        else if (entry.kind == VM_ENTRY_BYTES || entry.kind == VM_ENTRY_FILL)
            flush_range(ctx, journal, entry.place, entry.len_bytes);
        else
            flush_range(ctx, journal, entry.place, 8);
    }
}

/* Calls `each` for the lane's records up to `target`; returns how many there are. */
typedef void (*record_fn)(struct vm_ctx *ctx, struct vm_watermark *line, const struct vm_lane *lane,
                          const struct vm_ring_entry *entry);

static uint32_t for_records(struct vm_ctx *ctx, struct vm_lane *lane, struct vm_watermark *line,
                            record_fn each)
{
    uint32_t tail = atomic_load_explicit(&lane->ring_tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&lane->ring_head, memory_order_acquire);
    uint32_t at = tail;
    for (; at != head; at++) {
        const struct vm_ring_entry *entry = &lane->ring[at & (lane->ring_size - 1)];
        if (entry->sequence > line->watermark)
            break;
        each(ctx, line, lane, entry);
    }
    return at - tail;
}

static void claim_record(struct vm_ctx *ctx, struct vm_watermark *line, const struct vm_lane *lane,
                         const struct vm_ring_entry *entry)
{
    const void *record = lane->mirror + entry->offset;
    const struct vm_record_media *header = record;
    line->blocks_free += (uint64_t)(int64_t)(int32_t)vm_get32(header->blocks_delta);
    line->inodes_used += (uint64_t)(int64_t)(int32_t)vm_get32(header->inodes_delta);
    line->orphans += (uint64_t)(int64_t)(int32_t)vm_get32(header->orphans_delta);
    vm_record_flush(ctx, ctx->journal, record); /* H5 */
}

static void release_record(struct vm_ctx *ctx, struct vm_watermark *line,
                           const struct vm_lane *lane, const struct vm_ring_entry *ring_entry)
{
    (void)line;
    struct vm_journal *journal = ctx->journal;
    if (!ring_entry->has_frees || !journal->hooks.freed)
        return;
    uint32_t index = (uint32_t)(lane - journal->lanes);
    struct vm_record_reader reader = vm_record_open(lane->mirror + ring_entry->offset);
    struct vm_entry entry;
    while (vm_record_next(&ctx->err, &reader, &entry) > 0)
        if (entry.kind == VM_ENTRY_CLEAR)
            journal->hooks.freed(ctx, index, entry.place, entry.first);
}

int vm_journal_poison(struct vm_ctx *ctx)
{
    if (ctx->journal)
        VM_SHARED(&ctx->io,
                  atomic_store_explicit(&ctx->journal->is_poisoned, true, memory_order_release));
    return vm_raise(&ctx->err, VMFS_R_SYSTEM, 0);
}

int vm_journal_check(struct vm_ctx *ctx)
{
    if (atomic_load_explicit(&ctx->journal->is_poisoned, memory_order_acquire))
        return vm_raise(&ctx->err, VMFS_R_POISONED, 0);
    return 0;
}

int vm_journal_fence(struct vm_ctx *ctx)
{
    if (vm_io_fence(&ctx->io))
        return vm_journal_poison(ctx);
    return ctx->journal ? vm_journal_check(ctx) : 0; /* H16 */
}

static int fence_counted(struct vm_ctx *ctx)
{
    VM_SHARED(&ctx->io,
              atomic_fetch_add_explicit(&ctx->journal->checkpoint_fences, 1, memory_order_relaxed));
    return vm_journal_fence(ctx);
}

static uint64_t flush_lazy(struct vm_ctx *ctx)
{
    const struct vm_journal_hooks *hooks = &ctx->journal->hooks;
    return hooks->flush_lazy ? hooks->flush_lazy(ctx) : 0;
}

static int checkpoint_slice(struct vm_ctx *ctx)
{
    struct vm_journal *journal = ctx->journal;
    int result = vm_journal_check(ctx);
    if (result)
        return result;
    struct vm_watermark line = journal->line;
    line.watermark = vm_min(horizon(journal), line.watermark + SLICE_RECORDS);
    if (line.watermark <= journal->line.watermark) /* H23 */
        return 0;
    memset(journal->flushed, 0xff, sizeof journal->flushed);
    for (uint32_t index = 0; index < journal->lane_count; index++)
        for_records(ctx, &journal->lanes[index], &line, claim_record);
    flush_lazy(ctx);
    result = fence_counted(ctx); /* H12: homes before W */
    if (result)
        return result;
    vm_watermark_store(&ctx->io, journal->line_copy ^ 1, &line); /* S2 */
    result = fence_counted(ctx); /* H12: W before what it releases */
    if (result)
        return result;
    VM_SHARED(&ctx->io, atomic_store_explicit(&journal->watermark_lower, journal->line.watermark,
                                              memory_order_release));
    journal->line = line;
    journal->line_copy ^= 1;
    VM_SHARED(&ctx->io,
              atomic_store_explicit(&journal->watermark, line.watermark, memory_order_release));
    for (uint32_t index = 0; index < journal->lane_count; index++) { /* H1: all lanes together */
        struct vm_lane *lane = &journal->lanes[index];
        uint32_t count = for_records(ctx, lane, &line, release_record);
        if (count)
            VM_SHARED(&ctx->io,
                      atomic_fetch_add_explicit(&lane->ring_tail, count, memory_order_release));
    }
    return 1;
}

int vm_checkpoint(struct vm_ctx *ctx, bool may_wait)
{
    struct vm_journal *journal = ctx->journal;
    if (may_wait)
        VM_SHARED(&ctx->io, vm_lock_take(&journal->checkpoint_lock, journal->region->platform));
    else if (!VM_SHARED(&ctx->io, vm_lock_try(&journal->checkpoint_lock)))
        return 0;
    int result = checkpoint_slice(ctx);
    vm_lock_release(&journal->checkpoint_lock, journal->region->platform);
    /* A thread between its mark and its homes holds W back: it must get to run. */
    if (result == 0 && may_wait)
        journal->region->platform->yield(journal->region->platform->arg);
    return result;
}

int vm_checkpoint_all(struct vm_ctx *ctx)
{
    struct vm_journal *journal = ctx->journal;
    uint64_t target = atomic_load(&journal->sequence);
    while (atomic_load_explicit(&journal->watermark, memory_order_acquire) < target) {
        int result = vm_checkpoint(ctx, true);
        if (result < 0)
            return result;
    }
    return 0;
}

/* The lock is held up to the fence: a checkpoint that stores the same line must not be overtaken. */
int vm_checkpoint_lower(struct vm_ctx *ctx)
{
    struct vm_journal *journal = ctx->journal;
    VM_SHARED(&ctx->io, vm_lock_take(&journal->checkpoint_lock, journal->region->platform));
    uint64_t watermark = journal->line.watermark;
    if (atomic_load_explicit(&journal->watermark_lower, memory_order_relaxed) < watermark)
        vm_watermark_store(&ctx->io, journal->line_copy ^ 1, &journal->line); /* S2 */
    int result = vm_journal_fence(ctx);
    if (result == 0)
        VM_SHARED(&ctx->io, atomic_store_explicit(&journal->watermark_lower, watermark,
                                                  memory_order_release));
    vm_lock_release(&journal->checkpoint_lock, journal->region->platform);
    return result;
}

/* Under the lock, as a slice may have started to write some back and not fenced yet. */
int vm_checkpoint_lazy(struct vm_ctx *ctx)
{
    struct vm_journal *journal = ctx->journal;
    VM_SHARED(&ctx->io, vm_lock_take(&journal->checkpoint_lock, journal->region->platform));
    uint64_t lines = 0;
    uint64_t step = 1;
    int result = vm_journal_check(ctx);
    for (; result == 0 && step; lines += step)
        step = flush_lazy(ctx);
    if (result == 0 && lines)
        result = fence_counted(ctx);
    vm_lock_release(&journal->checkpoint_lock, journal->region->platform);
    return result;
}
