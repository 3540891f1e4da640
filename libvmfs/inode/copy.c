/* copy.c -- a write whose bytes come from the region
 *
 * Both files are locked, so what is read stays where it is. */
#include "inode/copy.h"

#include "base/check.h"
#include "base/util.h"
#include "inode/extent.h"
#include "inode/table.h"
#include "inode/write.h"

/* How much one call does: others wait for the stripes. */
#define COPY_BYTES_MAX  ((uint64_t)4 << 20)
#define COPY_PIECES_MAX 1024u

/* Zeros in blocks that the file has; in place, so they cannot follow what is staged (W1). */
static int zero_span(struct vm_write *write, const struct vm_span *span, uint64_t stop)
{
    struct vm_ctx *ctx = write->ctx;
    int result = write->runs ? vm_write_next_step(write) : 0;
    if (result == 0)
        result = vm_images_settle(ctx, span->region_offset, stop - write->at);
    if (result)
        return result;
    vm_stripe_open(vm_stripe_of(ctx, write->inode.id));                  /* L1, D5 */
    vm_io_set_words(&ctx->io, span->region_offset, 0, stop - write->at); /* P2 */
    if (stop > write->old_size)
        ctx->tx->has_payload = true; /* D1 */
    else
        ctx->tx->has_in_place = true;
    write->at = stop;
    return 0;
}

static int punch_span(struct vm_write *write, const struct vm_span *span, uint64_t stop)
{
    struct vm_ctx *ctx = write->ctx;
    int result = 0;
    if (write->runs && !vm_file_has_room(ctx, &write->inode))
        result = vm_write_next_step(write);
    if (result)
        return result;
    write->is_step_whole = false;
    if (write->runs == 0)
        write->hole_at = write->at;
    const struct vm_part part = {vm_block_of(write->at), (stop - write->at) / VM_BLOCK_BYTES};
    result = vm_file_punch(ctx, &write->inode, &span->extent, &part);
    if (result)
        return result;
    write->is_step_whole = true;
    write->is_changed = true;
    write->runs++;
    write->at = stop;
    return 0;
}

/* One span of what is there becomes zero: whole blocks of data become holes. */
static int clear_span(struct vm_write *write, uint64_t limit)
{
    struct vm_span span;
    int result = vm_span_at(write->ctx, &write->inode, write->at, &span);
    if (result)
        return result;
    uint64_t stop = vm_min(limit, span.end);
    if (span.kind != VM_SPAN_DATA) {
        write->at = stop;
        return 0;
    }
    uint64_t whole = vm_align_down(stop, VM_BLOCK_BYTES);
    if (write->at % VM_BLOCK_BYTES == 0 && whole > write->at)
        return punch_span(write, &span, whole);
    uint64_t block_end = vm_align_down(write->at, VM_BLOCK_BYTES) + VM_BLOCK_BYTES;
    return zero_span(write, &span, vm_min(stop, block_end));
}

/* Bytes and pieces that may still be done. */
struct budget {
    uint64_t bytes;
    unsigned pieces;
};

static int copy_span(struct vm_write *write, const struct vm_span *from, uint64_t stop,
                     struct budget *budget)
{
    int result = 0;
    if (from->kind == VM_SPAN_DATA) {
        uint64_t count = vm_min(stop - write->at, budget->bytes);
        const struct vmfs_iovec piece = {
            (void *)(uintptr_t)(write->ctx->region->base + from->region_offset), count};
        write->pieces = &piece;
        write->used = 0;
        budget->bytes -= count;
        budget->pieces--;
        return vm_write_to(write, write->at + count);
    }
    while (result == 0 && write->at < stop && budget->pieces) {
        budget->pieces--;
        result = clear_span(write, stop);
    }
    return result;
}

static int copy_spans(struct vm_write *write, const struct vm_inode *source, uint64_t from_offset)
{
    struct budget budget = {COPY_BYTES_MAX, COPY_PIECES_MAX};
    while (write->at < write->end && budget.bytes && budget.pieces) {
        struct vm_span span;
        uint64_t from = from_offset + (write->at - write->offset);
        int result = vm_span_at(write->ctx, source, from, &span);
        if (result)
            return result;
        uint64_t stop = write->at + vm_min(write->end - write->at, span.end - from);
        result = copy_span(write, &span, stop, &budget);
        if (result)
            return result;
    }
    return 0;
}

static int overlaps(struct vm_ctx *ctx, const struct vm_copy *copy, uint64_t len_bytes)
{
    bool is_apart =
        copy->from != copy->to ||
        (copy->from_offset < copy->to_offset ? copy->to_offset - copy->from_offset >= len_bytes
                                             : copy->from_offset - copy->to_offset >= len_bytes);
    return is_apart ? 0 : vm_raise(&ctx->err, VMFS_R_COPY_OVERLAP, copy->to_offset);
}

static int64_t copy_body(struct vm_ctx *ctx, void *arg)
{
    const struct vm_copy *copy = arg;
    struct vm_inode other;
    struct vm_write write;
    int result = vm_write_begin(&write, ctx, copy->to); /* may let the locks go */
    if (result == 0 && copy->from != copy->to)
        result = vm_inode_load(ctx, copy->from, &other);
    if (result)
        return result;
    write.kills_set_id = copy->kills_set_id;
    const struct vm_inode *source = copy->from == copy->to ? &write.inode : &other;
    uint64_t size = vm_inode_size(source);
    if (copy->from_offset >= size)
        return 0;
    uint64_t len_bytes = vm_min(copy->len_bytes, size - copy->from_offset);
    result = overlaps(ctx, copy, len_bytes);
    if (result == 0)
        result = vm_inode_check_change(ctx, &write.inode, false);
    if (result == 0)
        result = vm_write_range(&write, copy->to_offset, len_bytes);
    if (result)
        return result;
    return vm_write_finish(&write, copy_spans(&write, source, copy->from_offset));
}

int64_t vm_data_copy(struct vm_ctx *ctx, const struct vm_copy *copy)
{
    if (copy->len_bytes == 0)
        return 0;
    const uint64_t ids[] = {copy->from, copy->to};
    return vm_data_locked(ctx, ids, copy->from == copy->to ? 1 : 2, copy_body,
                          (void *)(uintptr_t)copy);
}
