/* write.c -- writing step by step */
#include "inode/write.h"

#include <string.h>

#include "base/check.h"
#include "base/util.h"
#include "inode/extent.h"
#include "inode/priv.h"
#include "inode/table.h"
#include "space/space.h"

static uint64_t zero_end(const struct vm_write *write)
{
    return write->open ? write->open->zero_end : 0;
}

void vm_write_note_zeros(struct vm_write *write, uint64_t zero_end)
{
    if (write->open && write->at >= write->old_size)
        write->open->zero_end = zero_end;
}

/* ---- bytes from the caller ---- */

static uint64_t piece_left(struct vm_write *write)
{
    while (write->used == write->pieces->length) {
        write->pieces++;
        write->used = 0;
    }
    return write->pieces->length - write->used;
}

static const uint8_t *take_bytes(struct vm_write *write, uint64_t count)
{
    const uint8_t *bytes = (const uint8_t *)write->pieces->base + write->used;
    write->used += count;
    return bytes;
}

uint64_t vm_write_take(struct vm_write *write, uint64_t len_bytes, const void **bytes_out)
{
    uint64_t count = vm_min(piece_left(write), len_bytes);
    *bytes_out = take_bytes(write, count);
    return count;
}

/* The rest of a word whose bytes come from more than one piece. */
static void copy_split_word(struct vm_write *write, uint64_t region_offset, uint64_t count)
{
    uint8_t word[8];
    VM_ASSERT(count <= 8 - region_offset % 8);
    for (uint64_t index = 0; index < count; index++) {
        (void)piece_left(write);
        word[index] = *take_bytes(write, 1);
    }
    vm_io_copy_words(&write->ctx->io, region_offset, word, count);
}

void vm_write_copy(struct vm_write *write, uint64_t region_offset, uint64_t len_bytes)
{
    uint64_t at = region_offset;
    uint64_t end = region_offset + len_bytes;
    while (at < end) {
        uint64_t stop = at + vm_min(piece_left(write), end - at);
        if (stop < end)
            stop = vm_align_down(stop, 8);
        if (stop > at) {
            vm_io_copy_words(&write->ctx->io, at, take_bytes(write, stop - at), stop - at);
        } else {
            stop = vm_min(vm_align_down(at, 8) + 8, end);
            copy_split_word(write, at, stop - at);
        }
        at = stop;
    }
}

/* ---- steps ---- */

/* What the last record says beside the data. */
static int end_change(struct vm_write *write, uint64_t size)
{
    struct vm_ctx *ctx = write->ctx;
    struct vm_inode *inode = &write->inode;
    bool is_stale = (int64_t)vm_get64(inode->m.mtime_ns) != ctx->now_ns ||
                    (int64_t)vm_get64(inode->m.ctime_ns) != ctx->now_ns;
    int killed = vm_priv_kill(ctx, inode, write->kills_set_id); /* K1 */
    if (killed < 0)
        return killed;
    write->is_changed = write->is_changed || is_stale || killed || size != write->old_size ||
                        vm_inode_is_beyond(inode);
    vm_inode_set_size(inode, size);
    vm_inode_set_beyond(inode, false);
    vm_inode_touch(ctx, inode);
    return 0;
}

/* In the middle of a long write the size stays old and the blocks lie beyond it (D4). */
int vm_write_publish(struct vm_write *write, bool is_last)
{
    struct vm_ctx *ctx = write->ctx;
    struct vm_inode *inode = &write->inode;
    uint64_t size = vm_max(write->old_size, write->at);
    if (is_last) {
        int killed = end_change(write, size);
        if (killed)
            return killed;
    } else if (write->at > write->old_size) {
        vm_inode_set_writing(inode);
    }
    int result = write->is_changed ? vm_inode_store(ctx, inode) : 0;
    ctx->is_window_kept = !is_last; /* D5 */
    if (result == 0)
        result = vm_tx_commit(ctx);
    if (result)
        return result;
    if (is_last)
        vm_stripe_close(vm_stripe_of(ctx, inode->id)); /* D5 */
    if (write->filled_block)
        vm_data_note_logged(ctx, write->filled_block);
    write->filled_block = 0;
    return 0;
}

int vm_write_next_step(struct vm_write *write)
{
    vm_stripe_open(vm_stripe_of(write->ctx, write->inode.id)); /* L1, D5 */
    int result = vm_write_publish(write, false);
    if (result == 0)
        result = vm_tx_renew(write->ctx);
    write->runs = 0;
    return result;
}

/* Stores into blocks that the file has. What lies behind the old end comes into view with the record, so
 * it is fenced before (D1), unless it is known to read as zero. */
static int write_in_place(struct vm_write *write, const struct vm_span *span, uint64_t stop)
{
    struct vm_ctx *ctx = write->ctx;
    uint64_t count = stop - write->at;
    int result = vm_images_settle(ctx, span->region_offset, count);
    if (result)
        return result;
    vm_stripe_open(vm_stripe_of(ctx, write->inode.id)); /* L1, D5 */
    vm_write_copy(write, span->region_offset, count);
    if (stop > write->old_size && stop > zero_end(write))
        ctx->tx->has_payload = true; /* D1 */
    else
        ctx->tx->has_in_place = true;
    write->at = stop;
    return 0;
}

void vm_write_fresh(struct vm_write *write, const struct vm_run *run, uint64_t stop)
{
    struct vm_ctx *ctx = write->ctx;
    uint64_t start = write->at;
    uint64_t region_start = run->block * VM_BLOCK_BYTES;
    uint64_t file_start = vm_align_down(start, VM_BLOCK_BYTES);
    uint64_t file_stop = file_start + run->count * VM_BLOCK_BYTES;
    vm_write_copy(write, region_start + (start - file_start), stop - start);
    if (run->is_zeroed) {
        ctx->tx->has_in_place = true;
        return;
    }
    ctx->tx->has_payload = true; /* D1 */
    if (start > file_start)
        vm_tx_payload_zero(ctx, region_start, start - file_start);
    if (file_stop > stop)
        vm_tx_payload_zero(ctx, region_start + (stop - file_start), file_stop - stop);
}

uint64_t vm_write_goal(struct vm_write *write)
{
    struct vm_extent before;
    uint64_t block = vm_block_of(write->at);
    if (vm_file_floor(write->ctx, &write->inode, block, &before) <= 0)
        return 0;
    return before.block + (block - before.file_block);
}

/* `before` as in the span of the hole. */
static int write_hole(struct vm_write *write, const struct vm_extent *before, uint64_t limit)
{
    struct vm_ctx *ctx = write->ctx;
    uint64_t first = vm_block_of(write->at);
    uint64_t want = vm_min(vm_div_up(limit, VM_BLOCK_BYTES) - first, VM_GROUP_BLOCKS);
    struct vm_run run;
    uint64_t goal = before->blocks ? before->block + (first - before->file_block) : 0;
    int result = vm_space_take_run(ctx, goal, first, want, &run);
    if (result)
        return result;
    write->is_step_whole = false;
    uint64_t stop = vm_min(limit, (first + run.count) * VM_BLOCK_BYTES);
    vm_write_fresh(write, &run, stop);
    struct vm_extent extent = {.file_block = first,
                               .block = run.block,
                               .blocks = (uint32_t)run.count,
                               .birth = ctx->region->epoch};
    result = vm_file_add_behind(ctx, &write->inode, before, &extent);
    if (result)
        return result;
    write->at = stop;
    vm_write_note_zeros(write, (first + run.count) * VM_BLOCK_BYTES);
    return 0;
}

/* U1: what was stored there before the blocks became unwritten may still have images (D3). */
static int write_unwritten(struct vm_write *write, const struct vm_span *span, uint64_t stop)
{
    struct vm_ctx *ctx = write->ctx;
    uint64_t first = vm_block_of(write->at);
    const struct vm_part part = {first, vm_div_up(stop, VM_BLOCK_BYTES) - first};
    const struct vm_run run = {vm_block_of(span->region_offset), part.count, false};
    int result = vm_images_settle(ctx, run.block * VM_BLOCK_BYTES, run.count * VM_BLOCK_BYTES);
    if (result)
        return result;
    write->is_step_whole = false;
    vm_write_fresh(write, &run, stop);
    result = vm_file_mark(ctx, &write->inode, &span->extent, &part, 0);
    if (result)
        return result;
    write->at = stop;
    vm_write_note_zeros(write, (first + part.count) * VM_BLOCK_BYTES);
    return 0;
}

int vm_write_blocks(struct vm_write *write, const struct vm_span *span, uint64_t stop)
{
    write->is_step_whole = true;
    if (write->runs == 0) {
        write->hole_at = write->at;
        write->hole_pieces = write->pieces;
        write->hole_used = write->used;
    }
    int result = span->kind == VM_SPAN_HOLE ? write_hole(write, &span->extent, stop)
                                            : write_unwritten(write, span, stop);
    if (result)
        return result;
    write->is_step_whole = true;
    write->is_changed = true;
    write->runs++;
    return 0;
}

/* Forgets what this step has staged: only what was stored in place stays of it. */
static int drop_step(struct vm_write *write)
{
    struct vm_ctx *ctx = write->ctx;
    int result = vm_tx_restart(ctx);
    if (result == 0)
        result = vm_inode_load(ctx, write->inode.id, &write->inode);
    if (result == 0 && write->filled_block)
        result = vm_data_fill_tail(ctx, &write->inode, write->offset, &write->filled_block);
    if (result)
        return result;
    write->at = write->hole_at;
    write->runs = 0;
    ctx->tx->has_payload = true; /* D1: what was stored in place is not fenced yet */
    return 0;
}

/* All of an unwritten extent becomes written, up to the end: that needs no node. */
static int write_whole(struct vm_write *write, uint64_t stop)
{
    struct vm_ctx *ctx = write->ctx;
    struct vm_span span;
    int result = vm_span_at(ctx, &write->inode, write->at, &span);
    if (result)
        return result;
    const struct vm_extent *extent = &span.extent;
    stop = vm_min(stop, span.end);
    uint64_t end = vm_div_up(vm_max(stop, write->old_size), VM_BLOCK_BYTES); /* D4 */
    const struct vm_part part = {extent->file_block,
                                 vm_min(end - extent->file_block, extent->blocks)};
    uint64_t from = extent->block * VM_BLOCK_BYTES;
    uint64_t to = from + part.count * VM_BLOCK_BYTES;
    result = vm_images_settle(ctx, from, to - from); /* U1 */
    if (result)
        return result;
    write->is_step_whole = false;
    if (span.region_offset > from)
        vm_tx_payload_zero(ctx, from, span.region_offset - from);
    vm_write_copy(write, span.region_offset, stop - write->at);
    uint64_t rest = span.region_offset + (stop - write->at);
    if (to > rest)
        vm_tx_payload_zero(ctx, rest, to - rest);
    ctx->tx->has_payload = true; /* D1 */
    result = vm_file_mark(ctx, &write->inode, extent, &part, 0);
    if (result)
        return result;
    write->at = stop;
    write->is_step_whole = true;
    write->is_changed = true;
    write->runs++;
    return 0;
}

/* Blocks that were reserved can be written whatever the space: a change that finds none for a node is tried
 * again in a record of its own, and if it fails there, more of them become written than is needed. */
static int write_reserved(struct vm_write *write, const struct vm_span *span, uint64_t stop)
{
    bool was_alone = write->runs == 0;
    int result = vm_write_blocks(write, span, stop);
    if (!vm_space_is_out(result) || !write->can_repeat)
        return result;
    result = drop_step(write);
    write->pieces = write->hole_pieces;
    write->used = write->hole_used;
    write->is_single = true;
    return result || !was_alone ? result : write_whole(write, stop);
}

static int write_piece(struct vm_write *write, uint64_t stop)
{
    struct vm_span span;
    int result = vm_span_at(write->ctx, &write->inode, write->at, &span);
    if (result)
        return result;
    bool is_data = span.kind == VM_SPAN_DATA;
    bool is_full = write->runs && (is_data || write->is_single ||
                                   !vm_file_has_room(write->ctx, &write->inode)); /* W1 */
    if (is_full)
        result = vm_write_next_step(write);
    if (result)
        return result;
    stop = vm_min(stop, span.end);
    if (span.kind == VM_SPAN_UNWRITTEN)
        return write_reserved(write, &span, stop);
    return is_data ? write_in_place(write, &span, stop) : vm_write_blocks(write, &span, stop);
}

int vm_write_to(struct vm_write *write, uint64_t stop)
{
    int result = 0;
    while (result == 0 && write->at < stop)
        result = write_piece(write, stop);
    return result;
}

/* Space ran out. A step that is whole is kept, of half of one what was stored in place. */
static int64_t write_cut_short(struct vm_write *write, int reason)
{
    if (write->open)
        write->open->zero_end = 0;
    if (!vm_space_is_out(reason))
        return reason;
    if (!write->is_step_whole) {
        int result = drop_step(write);
        if (result)
            return result;
    }
    if (write->at == write->offset)
        return reason;
    int result = vm_write_publish(write, true);
    return result ? result : (int64_t)(write->at - write->offset);
}

int64_t vm_write_finish(struct vm_write *write, int result)
{
    if (result == 0)
        result = vm_write_publish(write, true);
    return result ? write_cut_short(write, result) : (int64_t)(write->at - write->offset);
}

int vm_write_begin(struct vm_write *write, struct vm_ctx *ctx, uint64_t id)
{
    VM_CHECK_OFFSET(struct vm_write, ctx, sizeof write->inode);
    memset((uint8_t *)write + sizeof write->inode, 0, sizeof *write - sizeof write->inode);
    write->ctx = ctx;
    write->is_step_whole = true;
    int result = vm_inode_load(ctx, id, &write->inode);
    if (result == 0 && vm_inode_is_beyond(&write->inode))
        result = vm_data_trim_beyond(ctx, &write->inode); /* D4 */
    if (result)
        return result;
    write->open = vm_open_find(ctx, id);
    write->old_size = vm_inode_size(&write->inode);
    return 0;
}

int vm_write_range(struct vm_write *write, uint64_t offset, uint64_t len_bytes)
{
    struct vm_ctx *ctx = write->ctx;
    int result = vm_data_check_size(ctx, offset, len_bytes);
    if (result)
        return result;
    write->offset = write->at = write->hole_at = offset;
    write->end = offset + len_bytes;
    uint64_t gap_end = vm_min(offset, vm_align_up(write->old_size, VM_BLOCK_BYTES));
    if (offset > write->old_size && zero_end(write) < gap_end)
        result = vm_data_fill_tail(ctx, &write->inode, offset, &write->filled_block);
    return result;
}
