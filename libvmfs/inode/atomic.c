/* atomic.c -- writes that are there whole or not at all
 *
 * What lies behind the end of the file is not seen before the size moves: it is written as ever, in as
 * many steps as it takes, but published with the rest. */
#include "inode/write.h"

#include "base/check.h"
#include "base/util.h"
#include "inode/extent.h"
#include "inode/table.h"
#include "space/space.h"

/* A logged byte is written twice, a block that is replaced costs a fence and a new place. */
#define LOGGED_BYTES_MAX  1024u
#define LOGGED_BLOCKS_MAX 2u
#define LOGGED_LINES      (LOGGED_BYTES_MAX / 64u + 2u)

/* Blocks behind the end that may share the record with what is replaced. */
#define RUNS_SHARED_MAX 4u

/* Is all of the range data, and is there room for it in the record? */
static int can_be_logged(struct vm_write *write)
{
    struct vm_ctx *ctx = write->ctx;
    if (write->end - write->offset > LOGGED_BYTES_MAX || !vm_tx_has_room(ctx, 1, LOGGED_LINES))
        return 0;
    for (uint64_t at = write->offset; at < write->end;) {
        struct vm_span span;
        int result = vm_span_at(ctx, &write->inode, at, &span);
        if (result || span.kind != VM_SPAN_DATA)
            return result;
        at = span.end;
    }
    return 1;
}

/* Stages bytes and tells which blocks get images. */
static int stage_bytes(struct vm_write *write, uint64_t *blocks)
{
    struct vm_ctx *ctx = write->ctx;
    unsigned count = 0;
    while (write->at < write->end) {
        struct vm_span span;
        int result = vm_span_at(ctx, &write->inode, write->at, &span);
        if (result)
            return result;
        uint64_t block_end = vm_align_down(write->at, VM_BLOCK_BYTES) + VM_BLOCK_BYTES;
        uint64_t stop = vm_min(write->end, block_end);
        VM_ASSERT(count < LOGGED_BLOCKS_MAX);
        blocks[count++] = vm_block_of(span.region_offset);
        while (write->at < stop) {
            const void *bytes;
            uint64_t taken = vm_write_take(write, stop - write->at, &bytes);
            vm_tx_write(ctx, span.region_offset, bytes, taken);
            span.region_offset += taken;
            write->at += taken;
        }
    }
    return 0;
}

/* A word is logged whole: what lies between the old end and the bytes is zero in it. */
static int stage_gap(struct vm_write *write)
{
    uint64_t from = vm_max(vm_align_down(write->at, 8), write->old_size);
    struct vm_span span;
    if (from >= write->at)
        return 0;
    int result = vm_span_at(write->ctx, &write->inode, from, &span);
    if (result == 0)
        vm_tx_write(write->ctx, span.region_offset, &(const uint64_t){0}, write->at - from);
    return result;
}

static int write_logged(struct vm_write *write)
{
    uint64_t blocks[LOGGED_BLOCKS_MAX] = {0};
    int result = stage_gap(write);
    if (result == 0)
        result = stage_bytes(write, blocks);
    if (result == 0)
        result = vm_write_publish(write, true);
    for (unsigned index = 0; result == 0 && index < LOGGED_BLOCKS_MAX; index++)
        if (blocks[index])
            vm_data_note_logged(write->ctx, blocks[index]); /* D3 */
    return result;
}

/* Fills new blocks: with the bytes from `at` to `stop`, and around them with what the old ones hold. */
static void fill_copy(struct vm_write *write, const struct vm_span *span, const struct vm_run *run,
                      uint64_t stop)
{
    struct vm_ctx *ctx = write->ctx;
    uint64_t head = write->at % VM_BLOCK_BYTES;
    uint64_t fresh = run->block * VM_BLOCK_BYTES;
    uint64_t old = span->region_offset - head;
    uint64_t tail = head + (stop - write->at);
    uint64_t len_bytes = run->count * VM_BLOCK_BYTES;
    if (head)
        vm_tx_payload(ctx, fresh, ctx->region->base + old, head);
    vm_write_copy(write, fresh + head, stop - write->at);
    if (tail < len_bytes)
        vm_tx_payload(ctx, fresh + tail, ctx->region->base + old + tail, len_bytes - tail);
    ctx->tx->has_payload = true; /* W3 */
}

static int replace_blocks(struct vm_write *write, const struct vm_span *span, uint64_t limit)
{
    struct vm_ctx *ctx = write->ctx;
    uint64_t first = vm_block_of(write->at);
    uint64_t want = vm_div_up(limit, VM_BLOCK_BYTES) - first;
    struct vm_run run;
    int result = vm_space_take_run(ctx, vm_write_goal(write), vm_block_of(write->at), want, &run);
    if (result)
        return result;
    uint64_t stop = vm_min(limit, (first + run.count) * VM_BLOCK_BYTES);
    fill_copy(write, span, &run, stop);
    const struct vm_extent with = {.file_block = first,
                                   .block = run.block,
                                   .blocks = (uint32_t)run.count,
                                   .birth = ctx->region->epoch};
    result = vm_file_swap(ctx, &write->inode, &span->extent, &with);
    write->at = stop;
    write->is_changed = true;
    write->runs++;
    return result;
}

static int does_not_fit(struct vm_write *write)
{
    return vm_raise(&write->ctx->err, VMFS_R_ATOMIC_PIECES, write->at);
}

/* The part that lies over what the file has. */
static int replace_to(struct vm_write *write, uint64_t stop)
{
    struct vm_ctx *ctx = write->ctx;
    while (write->at < stop) {
        struct vm_span span;
        int result = vm_span_at(ctx, &write->inode, write->at, &span);
        if (result)
            return result;
        if (write->runs && !vm_file_has_room(ctx, &write->inode))
            return does_not_fit(write);
        uint64_t limit = vm_min(stop, span.end);
        if (span.kind == VM_SPAN_DATA)
            result = replace_blocks(write, &span, limit);
        else
            result = vm_write_blocks(write, &span, limit);
        if (result)
            return result;
        ctx->tx->has_payload = true; /* W3 */
    }
    return 0;
}

static void skip_pieces(struct vm_write *write, uint64_t len_bytes)
{
    const void *bytes;
    while (len_bytes)
        len_bytes -= vm_write_take(write, len_bytes, &bytes);
}

/* What lies wholly behind the last block that the file has. */
static int write_behind(struct vm_write *write, uint64_t from)
{
    const struct vmfs_iovec *pieces = write->pieces;
    uint64_t used = write->used;
    skip_pieces(write, from - write->offset);
    write->at = from;
    int result = vm_write_to(write, write->end);
    bool is_alone = write->runs > RUNS_SHARED_MAX ||
                    (write->runs && !vm_file_has_room(write->ctx, &write->inode));
    if (result == 0 && is_alone)
        result = vm_write_next_step(write);
    write->pieces = pieces;
    write->used = used;
    write->at = write->offset;
    return result;
}

static int write_over(struct vm_write *write)
{
    uint64_t behind = vm_align_up(write->old_size, VM_BLOCK_BYTES);
    int result = write->end > behind ? write_behind(write, behind) : 0;
    if (result == 0)
        result = replace_to(write, vm_min(write->end, behind));
    if (result)
        return result;
    write->at = write->end;
    return vm_write_publish(write, true); /* W2 */
}

static int write_after(struct vm_write *write)
{
    int result = vm_write_to(write, write->end);
    if (result)
        return result;
    write->ctx->tx->has_payload = true; /* W3 */
    return vm_write_publish(write, true);
}

/* Is there something before the last block's end that others see change: bytes, or that the block is no
 * hole any more? */
static int is_over(struct vm_write *write)
{
    struct vm_span span;
    if (write->offset < write->old_size)
        return 1;
    if (write->offset >= vm_align_up(write->old_size, VM_BLOCK_BYTES))
        return 0;
    int result = vm_span_at(write->ctx, &write->inode, write->offset, &span);
    return result ? result : span.kind != VM_SPAN_DATA;
}

static int attempt(struct vm_write *write)
{
    int result = can_be_logged(write);
    if (result)
        return result < 0 ? result : write_logged(write);
    result = is_over(write);
    if (result < 0)
        return result;
    return result ? write_over(write) : write_after(write);
}

/* W4. Nothing of it has been seen. The locks may be let go meanwhile, so all is looked at again. */
static int start_over(struct vm_write *write, const struct vm_write *start)
{
    struct vm_ctx *ctx = write->ctx;
    if (write->open)
        write->open->zero_end = 0;
    ctx->is_window_kept = false;
    int result = vm_tx_restart(ctx);
    if (result == 0)
        result = vm_write_begin(write, ctx, start->inode.id);
    write->pieces = start->pieces;
    write->kills_set_id = start->kills_set_id;
    return result ? result : vm_write_range(write, start->offset, start->end - start->offset);
}

/* ---- bringing pieces together ---- */

static int commit_moved(struct vm_write *write)
{
    struct vm_ctx *ctx = write->ctx;
    int result = vm_inode_store(ctx, &write->inode);
    if (result == 0)
        result = vm_tx_commit(ctx);
    write->runs = 0;
    return result ? result : vm_tx_renew(ctx);
}

/* Moves blocks of data as they are, to `*goal` if that is free. */
static int move_blocks(struct vm_write *write, const struct vm_span *span, uint64_t stop,
                       uint64_t *goal)
{
    struct vm_ctx *ctx = write->ctx;
    struct vm_run run;
    uint64_t first = vm_block_of(write->at);
    int result = vm_space_take_run(ctx, *goal, first, vm_block_of(stop) - first, &run);
    if (result)
        return result;
    vm_tx_payload(ctx, run.block * VM_BLOCK_BYTES, ctx->region->base + span->region_offset,
                  run.count * VM_BLOCK_BYTES);
    const struct vm_extent with = {.file_block = first,
                                   .block = run.block,
                                   .blocks = (uint32_t)run.count,
                                   .birth = ctx->region->epoch};
    result = vm_file_swap(ctx, &write->inode, &span->extent, &with);
    *goal = run.block + run.count;
    write->at += run.count * VM_BLOCK_BYTES;
    write->runs++;
    return result;
}

/* Where there is room for so many blocks in a row, if anywhere. */
static int find_goal(struct vm_write *write, uint64_t blocks, uint64_t *goal)
{
    struct vm_run run;
    int result = vm_space_take_run(write->ctx, 0, vm_block_of(write->offset), blocks, &run);
    if (result)
        return result;
    *goal = run.block;
    return vm_tx_restart(write->ctx);
}

/* The old blocks come to lie side by side, in as many records as it takes: what they hold stays. */
static int bring_together(struct vm_write *write)
{
    uint64_t first = vm_block_of(write->offset);
    uint64_t stop = vm_div_up(vm_min(write->end, write->old_size), VM_BLOCK_BYTES);
    uint64_t goal;
    int result = find_goal(write, stop - first, &goal);
    write->at = first * VM_BLOCK_BYTES;
    while (result == 0 && write->at < stop * VM_BLOCK_BYTES) {
        struct vm_span span;
        if (write->runs && !vm_file_has_room(write->ctx, &write->inode))
            result = commit_moved(write);
        if (result == 0)
            result = vm_span_at(write->ctx, &write->inode, write->at, &span);
        if (result)
            break;
        uint64_t limit = vm_min(stop * VM_BLOCK_BYTES, span.end);
        if (span.kind == VM_SPAN_DATA)
            result = move_blocks(write, &span, limit, &goal);
        else
            write->at = limit;
    }
    return result ? result : commit_moved(write);
}

int64_t vm_write_atomic(struct vm_write *write)
{
    const struct vm_write start = *write;
    int result = attempt(write);
    if (result == -VMFS_R_ATOMIC_PIECES) {
        result = start_over(write, &start);
        if (result == 0 && write->offset < write->old_size)
            result = bring_together(write);
        if (result == 0)
            result = start_over(write, &start);
        if (result == 0)
            result = attempt(write);
    }
    if (result == 0)
        return (int64_t)(write->end - write->offset);
    if (!vm_is_damage(result))
        (void)start_over(write, &start);
    return result;
}
