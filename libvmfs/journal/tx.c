/* tx.c -- staging and commit */
#include "journal/tx.h"

#include <string.h>

#include "base/check.h"
#include "base/util.h"
#include "journal/journal.h"
#include "journal/record.h"

static void tx_reset(struct vm_tx *tx)
{
    vm_overlay_reset(&tx->overlay);
    tx->entry_count = 0;
    tx->blocks_delta = 0;
    tx->inodes_delta = 0;
    tx->orphans_delta = 0;
    tx->has_payload = false;
    tx->has_in_place = false;
    tx->has_images = false;
    tx->has_frees = false;
    tx->has_fills = false;
    /* Released behind the homes: who finds no note any more finds the bits instead (S3, T3). */
    if (atomic_load_explicit(&tx->run_count, memory_order_relaxed))
        VM_OWN(atomic_store_explicit(&tx->run_count, 0, memory_order_release));
    if (atomic_load_explicit(&tx->inode_slot, memory_order_relaxed))
        VM_OWN(atomic_store_explicit(&tx->inode_slot, 0, memory_order_release));
}

static struct vm_lane *claim_lane(struct vm_ctx *ctx)
{
    struct vm_journal *journal = ctx->journal;
    uint32_t usable = journal->lane_count - VM_LANES_SUPPLY;
    for (uint32_t probe = 0; probe < usable; probe++) {
        uint32_t index = (ctx->lane_hint + probe) % usable;
        struct vm_lane *lane = &journal->lanes[VM_LANES_SUPPLY + index];
        bool is_taken = probe ? VM_SHARED(&ctx->io, vm_lock_try(&lane->lock))
                              : VM_OWN(vm_lock_try(&lane->lock));
        if (is_taken)
            return lane;
    }
    struct vm_lane *lane = &journal->lanes[VM_LANES_SUPPLY + ctx->lane_hint % usable];
    VM_SHARED(&ctx->io, vm_lock_take(&lane->lock, ctx->region->platform));
    return lane;
}

/* H7. Waiting here while locks are held (supply steps) is sound because an operation whose mark holds
 * W back never waits for a lock. */
static int reserve_log(struct vm_ctx *ctx, struct vm_lane *lane)
{
    struct vm_journal *journal = ctx->journal;
    int poisoned = vm_journal_check(ctx);
    if (poisoned)
        return poisoned;
    while (!vm_lane_has_room(lane, journal->lane_bytes, journal->record_max)) {
        int result = vm_checkpoint(ctx, true);
        if (result < 0)
            return result;
    }
    return 0;
}

static int begin_on(struct vm_ctx *ctx, struct vm_lane *lane)
{
    VM_ASSERT(!ctx->tx);
    int result = reserve_log(ctx, lane);
    if (result) {
        vm_lock_release(&lane->lock, ctx->region->platform);
        return result;
    }
    VM_ASSERT(lane->tx.overlay.count == 0 && lane->tx.entry_count == 0); /* as end_tx() left it */
    lane->tx.lane = (uint32_t)(lane - ctx->journal->lanes);
    ctx->tx = &lane->tx;
    ctx->overlay = &lane->tx.overlay;
    return 0;
}

int vm_tx_begin(struct vm_ctx *ctx)
{
    return begin_on(ctx, claim_lane(ctx));
}

/* Is there nothing left of it, as after a commit? */
static bool is_ended(const struct vm_tx *tx)
{
    return tx->overlay.count == 0 && tx->entry_count == 0 && !tx->has_payload &&
           !tx->has_in_place && !tx->has_images &&
           atomic_load_explicit(&tx->run_count, memory_order_relaxed) == 0 &&
           atomic_load_explicit(&tx->inode_slot, memory_order_relaxed) == 0;
}

static void end_tx(struct vm_ctx *ctx, bool is_committed)
{
    struct vm_tx *tx = ctx->tx;
    const struct vm_journal_hooks *hooks = &ctx->journal->hooks;
    if (hooks->settled)
        hooks->settled(ctx, tx, is_committed);
    if (hooks->settled_inode && atomic_load_explicit(&tx->inode_slot, memory_order_relaxed))
        hooks->settled_inode(ctx, tx, is_committed);
    tx_reset(tx);
}

bool vm_tx_affords(const struct vm_ctx *ctx, unsigned fences)
{
    return ctx->io.fences + fences <= VM_FENCES_AIM;
}

/* Half a lane early: so no call pays for a slice beside a split. The next one waits only if the lane is
 * full. */
static void checkpoint_ahead(struct vm_ctx *ctx, const struct vm_lane *lane)
{
    const struct vm_journal *journal = ctx->journal;
    if (!vm_tx_affords(ctx, 2) ||
        vm_lane_used(lane, journal->lane_bytes) <= journal->lane_bytes / 2)
        return;
    (void)vm_checkpoint(ctx, false); /* a failure poisons the journal: the next call meets it */
}

/* B1. What fails here is the business of the call that needs it. */
static void work_ahead(struct vm_ctx *ctx, const struct vm_lane *lane)
{
    const struct vm_journal_hooks *hooks = &ctx->journal->hooks;
    struct vm_err err = ctx->err;
    if (ctx->tx->lane < VM_LANES_SUPPLY)
        return;
    checkpoint_ahead(ctx, lane);
    if (hooks->ahead && ctx->tx->has_taken)
        ctx->tx->has_taken = !hooks->ahead(ctx);
    ctx->err = err;
}

void vm_tx_end(struct vm_ctx *ctx)
{
    struct vm_lane *lane = &ctx->journal->lanes[ctx->tx->lane];
    if (!is_ended(ctx->tx))
        end_tx(ctx, false);
    work_ahead(ctx, lane);
    ctx->tx = NULL;
    ctx->overlay = NULL;
    vm_lock_release(&lane->lock, ctx->region->platform);
}

int vm_tx_renew(struct vm_ctx *ctx)
{
    return reserve_log(ctx, &ctx->journal->lanes[ctx->tx->lane]);
}

/* What was stored in place stays stored (S5). */
int vm_tx_restart(struct vm_ctx *ctx)
{
    bool has_images = ctx->tx->has_images;
    end_tx(ctx, false);
    ctx->tx->has_images = has_images;
    return vm_tx_renew(ctx);
}

int vm_supply_begin(struct vm_ctx *ctx, struct vm_ctx *sub, uint32_t lane_index)
{
    *sub = *ctx;
    sub->tx = NULL;
    sub->overlay = NULL;
    sub->held_count = 0;
    struct vm_lane *lane = &ctx->journal->lanes[lane_index];
    VM_SHARED(&sub->io, vm_lock_take(&lane->lock, ctx->region->platform));
    int result = begin_on(sub, lane);
    if (result == 0)
        return 0;
    ctx->io = sub->io;
    ctx->err = sub->err;
    return result;
}

void vm_supply_end(struct vm_ctx *ctx, struct vm_ctx *sub)
{
    vm_tx_end(sub);
    ctx->io = sub->io;
    ctx->err = sub->err;
}

/* Bytes of one line, `at` bytes behind its start. */
struct part {
    const uint8_t *bytes;
    uint64_t at;
    uint64_t len_bytes;
};

static void stage_part(struct vm_ctx *ctx, uint64_t line, struct part part, bool is_fresh)
{
    bool is_new;
    struct vm_overlay_line *staged = vm_overlay_take(ctx->overlay, line, &is_new);
    if (is_new) {
        staged->is_fresh = is_fresh;
        if (is_fresh)
            memset(staged->bytes, 0, 64);
        else if (part.len_bytes < 64)
            memcpy(staged->bytes, ctx->region->base + line, 64);
    }
    if (part.len_bytes == 64)
        memcpy(staged->bytes, part.bytes, 64);
    else
        memcpy(staged->bytes + part.at, part.bytes, part.len_bytes);
}

static void stage(struct vm_ctx *ctx, uint64_t offset, const void *bytes, uint64_t len_bytes,
                  bool is_fresh)
{
    VM_ASSERT(vm_range_inside(offset, len_bytes, ctx->region->bytes));
    const uint8_t *from = bytes;
    uint64_t end = offset + len_bytes;
    for (uint64_t line = vm_align_down(offset, 64); line < end; line += 64) {
        uint64_t start = vm_max(line, offset);
        uint64_t stop = vm_min(line + 64, end);
        stage_part(ctx, line, (struct part){from + (start - offset), start - line, stop - start},
                   is_fresh);
    }
}

void vm_tx_write(struct vm_ctx *ctx, uint64_t offset, const void *bytes, uint64_t len_bytes)
{
    stage(ctx, offset, bytes, len_bytes, false);
}

void vm_tx_write_line(struct vm_ctx *ctx, uint64_t offset, const void *bytes)
{
    VM_ASSERT(offset % 64 == 0 && vm_range_inside(offset, 64, ctx->region->bytes));
    bool is_new;
    struct vm_overlay_line *staged = vm_overlay_take(ctx->overlay, offset, &is_new);
    if (is_new)
        staged->is_fresh = false;
    memcpy(staged->bytes, bytes, 64);
}

void vm_tx_write_fresh(struct vm_ctx *ctx, uint64_t offset, const void *bytes, uint64_t len_bytes)
{
    stage(ctx, offset, bytes, len_bytes, true);
}

static void add_entry(struct vm_ctx *ctx, struct vm_tx_entry entry)
{
    struct vm_tx *tx = ctx->tx;
    VM_ASSERT(tx->entry_count < VM_TX_ENTRIES_MAX);
    tx->entries[tx->entry_count++] = entry;
}

void vm_tx_mask(struct vm_ctx *ctx, uint64_t offset, uint64_t mask, uint64_t value)
{
    VM_ASSERT(offset % 8 == 0 && (value & ~mask) == 0);
    add_entry(ctx, (struct vm_tx_entry){
                       .kind = VM_ENTRY_MASK, .place = offset, .first = mask, .second = value});
}

void vm_tx_blocks(struct vm_ctx *ctx, uint64_t block, uint64_t count, bool is_set)
{
    VM_ASSERT(count > 0 && count <= INT32_MAX &&
              vm_range_inside(block, count, ctx->region->blocks));
    add_entry(ctx, (struct vm_tx_entry){.kind = is_set ? VM_ENTRY_SET : VM_ENTRY_CLEAR,
                                        .place = block,
                                        .first = count});
    ctx->tx->has_frees = ctx->tx->has_frees || !is_set;
    ctx->tx->blocks_delta += is_set ? -(int32_t)count : (int32_t)count;
}

void vm_tx_fill(struct vm_ctx *ctx, uint64_t offset, uint64_t len_bytes, uint8_t byte)
{
    VM_ASSERT(vm_range_inside(offset, len_bytes, ctx->region->bytes) && len_bytes > 0);
    ctx->tx->has_fills = true;
    add_entry(ctx,
              (struct vm_tx_entry){
                  .kind = VM_ENTRY_FILL, .place = offset, .len_bytes = len_bytes, .first = byte});
}

void vm_tx_payload(struct vm_ctx *ctx, uint64_t offset, const void *bytes, uint64_t len_bytes)
{
    VM_ASSERT(vm_range_inside(offset, len_bytes, ctx->region->bytes));
    vm_io_copy(&ctx->io, offset, bytes, len_bytes);
    ctx->tx->has_payload = true;
}

void vm_tx_payload_zero(struct vm_ctx *ctx, uint64_t offset, uint64_t len_bytes)
{
    VM_ASSERT(vm_range_inside(offset, len_bytes, ctx->region->bytes));
    vm_io_set(&ctx->io, offset, 0, len_bytes);
    ctx->tx->has_payload = true;
}

/* A line becomes at most one entry of 64 bytes, and of those that are not bytes none takes more
 * than 24. */
#define LINE_COST  72u
#define ENTRY_COST 24u

/* What follows a long run of freeing in the same record: the inodes and directories concerned, and their
 * bits. */
#define TAIL_ENTRIES 4u
#define TAIL_LINES   16u

bool vm_tx_has_room(const struct vm_ctx *ctx, uint32_t entries, uint32_t lines)
{
    uint32_t all_entries = ctx->tx->entry_count + entries + TAIL_ENTRIES;
    uint32_t all_lines = ctx->overlay->count + lines + TAIL_LINES;
    uint64_t bytes = sizeof(struct vm_record_media) + (uint64_t)all_lines * LINE_COST +
                     (uint64_t)all_entries * ENTRY_COST;
    return all_entries <= VM_TX_ENTRIES_MAX && all_lines <= VM_OVERLAY_LINES &&
           bytes <= ctx->journal->record_max;
}

static bool word_differs(const uint8_t *staged, const uint8_t *home, unsigned word)
{
    uint64_t after;
    uint64_t before;
    memcpy(&after, staged + word * 8, 8);
    memcpy(&before, home + word * 8, 8);
    return after != before;
}

/* A bit for each word of the line that differs from its home, or that lies alone between two that do: a
 * gap of one word costs less than a new entry. */
static unsigned changed_words(const struct vm_overlay_line *line, const uint8_t *home)
{
    if (line->is_fresh)
        return 0xff;
    unsigned changed = 0;
    for (unsigned word = 8; word-- > 0;)
        changed = changed << 1 | word_differs(line->bytes, home, word);
    return changed | ((changed << 1) & (changed >> 1));
}

/* In the order of staging, in which neighbours mostly follow each other and become one entry. */
static void encode_lines(struct vm_ctx *ctx, struct vm_record_writer *writer)
{
    const struct vm_overlay *overlay = ctx->overlay;
    for (uint32_t index = 0; index < overlay->count; index++) {
        const struct vm_overlay_line *line = &overlay->lines[index];
        unsigned changed = changed_words(line, ctx->region->base + line->offset);
        while (changed) {
            unsigned first = (unsigned)__builtin_ctz(changed);
            unsigned count = (unsigned)__builtin_ctz(~(changed >> first));
            vm_record_run(writer, line->offset + first * 8, line->bytes + first * 8, count * 8);
            changed &= changed + (1u << first); /* without its lowest run */
        }
    }
    vm_record_end_run(writer);
}

static void encode_entries(const struct vm_tx *tx, struct vm_record_writer *writer, bool is_fill)
{
    for (uint32_t index = 0; index < tx->entry_count; index++) {
        const struct vm_tx_entry *entry = &tx->entries[index];
        if ((entry->kind == VM_ENTRY_FILL) != is_fill)
            continue;
        struct vm_entry words = {.kind = entry->kind,
                                 .place = entry->place,
                                 .len_bytes = entry->len_bytes,
                                 .first = entry->first,
                                 .second = entry->second};
        vm_record_words(writer, &words);
    }
}

static void tell_freeing(struct vm_ctx *ctx)
{
    const struct vm_tx *tx = ctx->tx;
    if (!ctx->journal->hooks.freeing || !tx->has_frees)
        return;
    for (uint32_t index = 0; index < tx->entry_count; index++)
        if (tx->entries[index].kind == VM_ENTRY_CLEAR)
            ctx->journal->hooks.freeing(ctx, tx->entries[index].place, tx->entries[index].first);
}

static void store_homes(struct vm_ctx *ctx, const void *record)
{
    for (unsigned held = 0; held < ctx->held_count; held++)
        vm_stripe_open(ctx->held[held]); /* L1 */
    vm_record_apply(ctx, record);
    for (unsigned held = 0; held < ctx->held_count && !ctx->is_window_kept; held++)
        vm_stripe_close(ctx->held[held]); /* L1 */
}

/* The owner of the lane is the only writer. */
static void add_total(_Atomic int64_t *total, int32_t delta)
{
    if (delta)
        VM_OWN(atomic_store_explicit(total,
                                     atomic_load_explicit(total, memory_order_relaxed) + delta,
                                     memory_order_relaxed));
}

static void add_totals(struct vm_lane *lane, const struct vm_tx *tx)
{
    add_total(&lane->blocks_delta, tx->blocks_delta);
    add_total(&lane->inodes_delta, tx->inodes_delta);
    add_total(&lane->orphans_delta, tx->orphans_delta);
}

static int write_record(struct vm_ctx *ctx, struct vm_lane *lane, struct vm_record_writer *writer,
                        uint32_t at)
{
    struct vm_journal *journal = ctx->journal;
    struct vm_tx *tx = ctx->tx;
    /* H8: the mark is visible before the number exists. */
    VM_OWN(atomic_store(&lane->mark, atomic_load(&journal->sequence) + 1));
    uint64_t sequence = VM_SHARED(&ctx->io, atomic_fetch_add(&journal->sequence, 1)) + 1;
    struct vm_record_totals totals = {tx->blocks_delta, tx->inodes_delta, tx->orphans_delta};
    vm_record_finish(writer, &journal->era, sequence,
                     atomic_load_explicit(&journal->watermark, memory_order_acquire), &totals);
    vm_record_seal(writer->bytes, lane->medium_offset + at);
    uint32_t padded_bytes = vm_record_pad(writer);
    vm_io_copy(&ctx->io, lane->medium_offset + at, writer->bytes, padded_bytes);
    int result = vm_journal_fence(ctx); /* H4, H6: durable from here on */
    if (result)
        return result;
    tell_freeing(ctx);
    store_homes(ctx, writer->bytes);
    uint32_t head = atomic_load_explicit(&lane->ring_head, memory_order_relaxed);
    lane->ring[head & (lane->ring_size - 1)] = (struct vm_ring_entry){sequence, at, tx->has_frees};
    lane->write_at = at + padded_bytes;
    VM_OWN(atomic_store_explicit(&lane->ring_head, head + 1, memory_order_release));
    add_totals(lane, tx);
    VM_OWN(atomic_store_explicit(&lane->mark, 0, memory_order_release)); /* H8 */
    return 0;
}

int vm_tx_commit(struct vm_ctx *ctx)
{
    struct vm_tx *tx = ctx->tx;
    struct vm_journal *journal = ctx->journal;
    struct vm_lane *lane = &journal->lanes[tx->lane];
    struct vm_record_writer writer;
    int result = vm_journal_check(ctx);
    if (result)
        return result;
    uint32_t at = vm_lane_place(lane, journal->lane_bytes, journal->record_max);
    vm_record_start(&writer, lane->mirror + at, journal->record_max);
    if (tx->has_fills)
        encode_entries(tx, &writer, true);
    encode_lines(ctx, &writer);
    encode_entries(tx, &writer, false);
    if (tx->has_payload && writer.entries)
        result = vm_journal_fence(ctx); /* H9 */
    if (result == 0 && writer.entries)
        result = write_record(ctx, lane, &writer, at);
    else if (result == 0 && (tx->has_payload || tx->has_in_place))
        result = tx->has_images ? vm_checkpoint_lower(ctx) : vm_journal_fence(ctx);
    if (result == 0)
        end_tx(ctx, true);
    return result;
}
