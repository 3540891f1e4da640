/* view.c -- views of open files */
#include "inode/view.h"
#include "api/public.h"
#include "inode/atime.h"
#include "journal/pin.h"

struct view_call {
    const struct vmfs_file *file;
    struct vm_view view;
    struct vmfs_view *out;
};

/* The access time is set first: that may wait (Z2). */
static int64_t view_call(struct vm_ctx *ctx, void *arg)
{
    struct view_call *call = arg;
    const struct vmfs_file *file = call->file;
    if (!vm_may_read(file->flags))
        return vm_bad_handle(ctx, file);
    if (call->view.len_bytes && !(file->flags & VMFS_O_NOATIME))
        vm_atime_touch_id(ctx, file->id);
    int64_t result = vm_data_view(ctx, file->id, &call->view);
    if (result >= 0)
        *call->out = (struct vmfs_view){file->fs, call->view.pin, vm_views_add(file->fs, ctx)};
    return result;
}

int64_t vmfs_file_view(struct vmfs_file *file, size_t length, uint64_t offset,
                       struct vmfs_iovec *iov, unsigned *count, struct vmfs_view *view)
{
    if (!file || !iov || !count || !view || *count == 0 || *count > VMFS_IOV_MAX ||
        length > INT64_MAX)
        return vm_bad_argument();
    struct vmfs_view made = {.fs = NULL};
    struct view_call call = {
        .file = file,
        .view = {.offset = offset, .len_bytes = length, .pieces = iov, .piece_max = *count},
        .out = &made};
    int64_t result = vm_call(file->fs, false, view_call, &call);
    if (result < 0) {
        vmfs_view_end(
            &made); /* of a call that failed behind it, as its thread has met lost memory */
        return result;
    }
    *view = made;
    *count = call.view.piece_count;
    return result;
}

void vmfs_view_end(struct vmfs_view *view)
{
    if (!view || !view->fs)
        return;
    if (!vm_is_forked(view->fs)) {
        vm_pin_drop(&view->fs->volume.journal, view->pin);
        vm_views_end(view->fs, view->thread);
    }
    view->fs = NULL;
}
