/* range.c -- calls on a range of an open file: giving it blocks, taking them, copying it */
#include <errno.h>

#include "api/public.h"
#include "inode/alloc.h"
#include "inode/atime.h"
#include "inode/copy.h"
#include "inode/remap.h"

struct range_call {
    struct vmfs_file *file;
    int mode;
    struct vm_alloc_range range;
};

/* The modes that change which block lies where need whole blocks; all else works on bytes. */
static bool allocation_is_sound(int mode, uint64_t offset, uint64_t len_bytes)
{
    if (len_bytes == 0)
        return false;
    switch (mode) {
    case 0:
    case VMFS_ALLOC_KEEP_SIZE:
    case VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE:
    case VMFS_ALLOC_ZERO:
    case VMFS_ALLOC_ZERO | VMFS_ALLOC_KEEP_SIZE:
        return true;
    case VMFS_ALLOC_COLLAPSE:
    case VMFS_ALLOC_INSERT:
        return offset % VMFS_BLOCK_SIZE == 0 && len_bytes % VMFS_BLOCK_SIZE == 0;
    default:
        return false;
    }
}

static int64_t allocate_call(struct vm_ctx *ctx, void *arg)
{
    const struct range_call *call = arg;
    if (!vm_may_write(call->file->flags))
        return vm_bad_handle(ctx, call->file);
    if (call->mode & VMFS_ALLOC_COLLAPSE)
        return vm_data_collapse(ctx, &call->range);
    if (call->mode & VMFS_ALLOC_INSERT)
        return vm_data_insert(ctx, &call->range);
    if (call->mode & VMFS_ALLOC_PUNCH)
        return vm_data_punch(ctx, &call->range);
    if (call->mode & VMFS_ALLOC_ZERO)
        return vm_data_zero(ctx, &call->range);
    return vm_data_reserve(ctx, &call->range);
}

int vmfs_file_allocate(struct vmfs_file *file, int mode, uint64_t offset, uint64_t length)
{
    if (!file || !allocation_is_sound(mode & ~VMFS_ALLOC_KILL_PRIV, offset, length))
        return (int)vm_bad_argument();
    struct range_call call = {.file = file,
                              .mode = mode,
                              .range = {.id = file->id,
                                        .offset = offset,
                                        .len_bytes = length,
                                        .is_size_kept = mode & VMFS_ALLOC_KEEP_SIZE,
                                        .kills_set_id = mode & VMFS_ALLOC_KILL_PRIV}};
    return (int)vm_call(file->fs, true, allocate_call, &call);
}

struct copy_call {
    struct vmfs_file *from;
    struct vmfs_file *to;
    struct vm_copy copy;
};

static int64_t copy_call(struct vm_ctx *ctx, void *arg)
{
    const struct copy_call *call = arg;
    if (!vm_may_read(call->from->flags))
        return vm_bad_handle(ctx, call->from);
    if (!vm_may_write(call->to->flags) || (call->to->flags & VMFS_O_APPEND))
        return vm_bad_handle(ctx, call->to);
    int64_t result = vm_data_copy(ctx, &call->copy);
    if (result >= 0 && call->copy.len_bytes && !(call->from->flags & VMFS_O_NOATIME))
        vm_atime_touch_id(ctx, call->copy.from);
    return result;
}

int64_t vmfs_file_copy_range2(struct vmfs_file *from, uint64_t from_offset, struct vmfs_file *to,
                              uint64_t to_offset, uint64_t length, int flags)
{
    if (!from || !to || length > INT64_MAX || (flags & ~(VMFS_RW_KILL_PRIV | VMFS_RW_DSYNC)))
        return vm_bad_argument();
    if (from->fs != to->fs)
        return -EXDEV;
    const struct vm_copy copy = {from->id,  from_offset, to->id,
                                 to_offset, length,      flags & VMFS_RW_KILL_PRIV};
    struct copy_call call = {from, to, copy};
    int64_t result = vm_call(to->fs, true, copy_call, &call);
    bool is_synced = (to->flags & VMFS_O_DSYNC) || (flags & VMFS_RW_DSYNC);
    int err = result > 0 && is_synced ? vmfs_file_sync(to) : 0;
    return err ? err : result;
}

int64_t vmfs_file_copy_range(struct vmfs_file *from, uint64_t from_offset, struct vmfs_file *to,
                             uint64_t to_offset, uint64_t length)
{
    return vmfs_file_copy_range2(from, from_offset, to, to_offset, length, 0);
}
