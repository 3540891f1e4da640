/* data.c -- reading and writing files */
#include "inode/data.h"

#include <string.h>

#include "base/check.h"
#include "base/util.h"
#include "inode/extent.h"
#include "inode/span.h"
#include "inode/table.h"
#include "inode/write.h"

/* ---- reading ---- */

/* Where the bytes go that are read next. */
struct target {
    const struct vmfs_iovec *pieces;
    uint64_t used; /* of the first piece */
};

static void put_bytes(struct target *target, const uint8_t *from, uint64_t len_bytes)
{
    while (len_bytes) {
        uint64_t count = vm_min(target->pieces->length - target->used, len_bytes);
        if (count == 0) { /* a piece that is full, or empty: it may be null */
            target->pieces++;
            target->used = 0;
            continue;
        }
        uint8_t *to = (uint8_t *)target->pieces->base + target->used;
        if (from) {
            vm_copy_data(to, from, count);
            from += count;
        } else {
            memset(to, 0, count);
        }
        len_bytes -= count;
        target->used += count;
    }
}

int64_t vm_data_readv(struct vm_ctx *ctx, const struct vm_inode *inode,
                      const struct vmfs_iovec *pieces, uint64_t len_bytes, uint64_t offset)
{
    uint64_t size = vm_inode_size(inode);
    if (offset >= size)
        return 0;
    uint64_t end = offset + vm_min(len_bytes, size - offset);
    struct target target = {pieces, 0};
    for (uint64_t at = offset; at < end;) {
        struct vm_span span;
        int result = vm_span_at(ctx, inode, at, &span);
        if (result)
            return result;
        uint64_t stop = vm_min(end, span.end);
        bool is_data = span.kind == VM_SPAN_DATA;
        put_bytes(&target, is_data ? ctx->region->base + span.region_offset : NULL, stop - at);
        at = stop;
    }
    return (int64_t)(end - offset);
}

int64_t vm_data_read(struct vm_ctx *ctx, const struct vm_inode *inode, void *buffer,
                     uint64_t len_bytes, uint64_t offset)
{
    const struct vmfs_iovec piece = {buffer, len_bytes};
    return vm_data_readv(ctx, inode, &piece, len_bytes, offset);
}

int64_t vm_data_seek(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t offset,
                     bool is_hole)
{
    uint64_t size = vm_inode_size(inode);
    uint64_t at = offset;
    while (at < size) {
        struct vm_span span;
        int result = vm_span_at(ctx, inode, at, &span);
        if (result)
            return result;
        if ((span.kind != VM_SPAN_DATA) == is_hole)
            return (int64_t)at;
        at = span.end;
    }
    if (is_hole && offset < size)
        return (int64_t)size;
    return vm_raise(&ctx->err, VMFS_R_NO_DATA, offset);
}

/* ---- writing ---- */

int vm_data_check_size(struct vm_ctx *ctx, uint64_t offset, uint64_t len_bytes)
{
    if (vm_range_inside(offset, len_bytes, VMFS_FILE_MAX))
        return 0;
    return vm_raise(&ctx->err, VMFS_R_TOO_BIG, offset);
}

int vm_data_fill_tail(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t to,
                      uint64_t *block_out)
{
    uint64_t size = vm_inode_size(inode);
    uint64_t stop = vm_min(to, vm_align_up(size, VM_BLOCK_BYTES));
    *block_out = 0;
    if (stop <= size)
        return 0;
    struct vm_span span;
    int result = vm_span_at(ctx, inode, size, &span);
    if (result || span.kind != VM_SPAN_DATA)
        return result;
    vm_tx_fill(ctx, span.region_offset, stop - size, 0);
    *block_out = vm_block_of(span.region_offset);
    return 0;
}

static int check_atomic(struct vm_ctx *ctx, const struct vm_data_range *range)
{
    if (!range->is_atomic || range->len_bytes <= VMFS_ATOMIC_MAX)
        return 0;
    return vm_raise(&ctx->err, VMFS_R_ATOMIC_SIZE, range->len_bytes);
}

static int64_t write_begun(struct vm_ctx *ctx, uint64_t id, const struct vm_data_range *range,
                           uint64_t *end_out)
{
    const struct vmfs_iovec piece = {(void *)(uintptr_t)range->bytes, range->len_bytes};
    struct vm_write write;
    int result = check_atomic(ctx, range);
    if (result == 0)
        result = vm_write_begin(&write, ctx, id);
    if (result)
        return result;
    uint64_t offset = range->is_append ? write.old_size : range->offset;
    write.pieces = range->pieces ? range->pieces : &piece;
    write.can_repeat = !range->is_atomic;
    write.kills_set_id = range->kills_set_id;
    result = vm_inode_check_change(ctx, &write.inode, range->is_append);
    if (result == 0)
        result = vm_write_range(&write, offset, range->len_bytes);
    if (result)
        return result;
    int64_t written = range->is_atomic ? vm_write_atomic(&write)
                                       : vm_write_finish(&write, vm_write_to(&write, write.end));
    if (written >= 0)
        *end_out = write.offset + (uint64_t)written;
    return written;
}

int64_t vm_data_locked(struct vm_ctx *ctx, const uint64_t *ids, unsigned count, vm_data_fn body,
                       void *arg)
{
    int64_t result = vm_tx_begin(ctx);
    if (result)
        return result;
    vm_lock_inodes(ctx, ids, count);
    result = body(ctx, arg);
    bool is_open = false;
    for (unsigned held = 0; held < ctx->held_count; held++)
        is_open = is_open || vm_stripe_version(ctx->held[held]) % 2;
    if (is_open)
        (void)vm_io_fence(&ctx->io); /* D5: it failed after it had stored in place */
    for (unsigned held = 0; held < ctx->held_count; held++)
        vm_stripe_close(ctx->held[held]);
    ctx->is_window_kept = false;
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
    return result;
}

struct write_call {
    uint64_t id;
    const struct vm_data_range *range;
    uint64_t *end_out;
};

static int64_t write_body(struct vm_ctx *ctx, void *arg)
{
    const struct write_call *call = arg;
    return write_begun(ctx, call->id, call->range, call->end_out);
}

int64_t vm_data_write(struct vm_ctx *ctx, uint64_t id, struct vm_data_range range,
                      uint64_t *end_out)
{
    struct write_call call = {id, &range, end_out};
    return vm_data_locked(ctx, &id, 1, write_body, &call);
}
