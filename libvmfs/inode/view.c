/* view.c -- pieces of the region instead of a copy of their bytes */
#include "inode/view.h"

#include "base/util.h"
#include "inode/span.h"
#include "inode/table.h"
#include "journal/pin.h"

/* What holes are shown as: read-only memory, so that nobody can write into everybody's holes. */
#define ZEROS_BYTES ((uint64_t)1 << 16)
static const uint8_t zeros[ZEROS_BYTES];

/* One more piece, or a longer last one: how many of the bytes found their place. */
static uint64_t add_piece(struct vm_view *view, const uint8_t *from, uint64_t len_bytes)
{
    struct vmfs_iovec *last = view->piece_count ? &view->pieces[view->piece_count - 1] : NULL;
    if (last && from != zeros && (const uint8_t *)last->base + last->length == from) {
        last->length += len_bytes;
        return len_bytes;
    }
    if (view->piece_count == view->piece_max)
        return 0;
    view->pieces[view->piece_count++] = (struct vmfs_iovec){(void *)(uintptr_t)from, len_bytes};
    return len_bytes;
}

static uint64_t add_zeros(struct vm_view *view, uint64_t len_bytes)
{
    uint64_t done = 0;
    uint64_t step = 1;
    for (; step && done < len_bytes; done += step)
        step = add_piece(view, zeros, vm_min(len_bytes - done, ZEROS_BYTES));
    return done;
}

static int64_t fill(struct vm_ctx *ctx, const struct vm_inode *inode, struct vm_view *view)
{
    uint64_t size = vm_inode_size(inode);
    if (view->offset >= size)
        return 0;
    uint64_t end = view->offset + vm_min(view->len_bytes, size - view->offset);
    uint64_t at = view->offset;
    uint64_t done = 1;
    for (; done && at < end; at += done) {
        struct vm_span span;
        int result = vm_span_at(ctx, inode, at, &span);
        if (result)
            return result;
        uint64_t len_bytes = vm_min(end, span.end) - at;
        if (span.kind == VM_SPAN_DATA)
            done = add_piece(view, ctx->region->base + span.region_offset, len_bytes);
        else
            done = add_zeros(view, len_bytes);
    }
    return (int64_t)(at - view->offset);
}

struct view_read {
    uint64_t id;
    struct vm_view *view;
};

static int64_t view_body(struct vm_ctx *ctx, void *arg)
{
    const struct view_read *read = arg;
    struct vm_inode inode;
    read->view->piece_count = 0;
    int result = vm_inode_load(ctx, read->id, &inode);
    return result ? result : fill(ctx, &inode, read->view);
}

/* Z2: a writer that is never out of the way is waited for, and then kept out while the map is read. */
static int64_t view_locked(struct vm_ctx *ctx, struct view_read *read)
{
    vm_lock_inodes(ctx, &read->id, 1);
    read->view->pin = vm_pin_take(ctx); /* Z1 */
    int64_t result = view_body(ctx, read);
    vm_unlock_inodes(ctx);
    return result;
}

int64_t vm_data_view(struct vm_ctx *ctx, uint64_t id, struct vm_view *view)
{
    struct view_read read = {id, view};
    int64_t result;
    view->pin = vm_pin_take(ctx); /* Z1 */
    if (!vm_read_try(ctx, id, view_body, &read, &result)) {
        vm_pin_drop(ctx->journal, view->pin);
        result = view_locked(ctx, &read);
    }
    if (result < 0)
        vm_pin_drop(ctx->journal, view->pin);
    return result;
}
