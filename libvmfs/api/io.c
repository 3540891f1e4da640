/* io.c -- reading and writing open files */
#include "api/public.h"
#include "inode/atime.h"
#include "inode/data.h"

struct io_call {
    struct vmfs_file *file;
    struct vm_data_range range;
    int64_t offset;
    int whence;
    struct vm_inode inode;
};

/* The sum of the lengths, or -EINVAL. */
static int64_t pieces_length(const struct vmfs_iovec *pieces, unsigned count)
{
    uint64_t total = 0;
    if (count > VMFS_IOV_MAX || (!pieces && count))
        return vm_bad_argument();
    for (unsigned index = 0; index < count; index++) {
        uint64_t length = pieces[index].length;
        if ((!pieces[index].base && length) || length > INT64_MAX - total)
            return vm_bad_argument();
        total += length;
    }
    return (int64_t)total;
}

/* ---- reading ---- */

static int64_t read_body(struct vm_ctx *ctx, void *arg)
{
    struct io_call *call = arg;
    int result = vm_inode_load(ctx, call->file->id, &call->inode);
    if (result)
        return result;
    const struct vm_data_range *range = &call->range;
    return vm_data_readv(ctx, &call->inode, range->pieces, range->len_bytes, range->offset);
}

static int64_t read_call(struct vm_ctx *ctx, void *arg)
{
    struct io_call *call = arg;
    if (!vm_may_read(call->file->flags))
        return vm_bad_handle(ctx, call->file);
    int64_t result = vm_read_stable(ctx, call->file->id, read_body, call);
    if (result >= 0 && call->range.len_bytes && !(call->file->flags & VMFS_O_NOATIME))
        vm_atime_touch(ctx, &call->inode);
    return result;
}

int64_t vmfs_file_preadv(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count,
                         uint64_t offset)
{
    int64_t length = pieces_length(iov, count);
    if (!file || length < 0)
        return vm_bad_argument();
    struct io_call call = {
        .file = file, .range = {.pieces = iov, .len_bytes = (uint64_t)length, .offset = offset}};
    return vm_call(file->fs, false, read_call, &call);
}

int64_t vmfs_file_pread(struct vmfs_file *file, void *buffer, size_t length, uint64_t offset)
{
    const struct vmfs_iovec piece = {buffer, length};
    return vmfs_file_preadv(file, &piece, 1, offset);
}

int64_t vmfs_file_readv(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count)
{
    if (!file)
        return vm_bad_argument();
    uint64_t position = atomic_load_explicit(&file->position, memory_order_relaxed);
    int64_t result = vmfs_file_preadv(file, iov, count, position);
    if (result > 0)
        atomic_store_explicit(&file->position, position + (uint64_t)result, memory_order_relaxed);
    return result;
}

int64_t vmfs_file_read(struct vmfs_file *file, void *buffer, size_t length)
{
    const struct vmfs_iovec piece = {buffer, length};
    return vmfs_file_readv(file, &piece, 1);
}

/* ---- writing ---- */

struct write_call {
    struct vmfs_file *file;
    struct vm_data_range range;
    uint64_t end;
};

static int64_t write_call(struct vm_ctx *ctx, void *arg)
{
    struct write_call *call = arg;
    if (!vm_may_write(call->file->flags))
        return vm_bad_handle(ctx, call->file);
    if (call->range.len_bytes == 0)
        return 0;
    return vm_data_write(ctx, call->file->id, call->range, &call->end);
}

/* Where a write goes, and how; then where it ended. */
struct write_how {
    uint64_t offset;
    int flags; /* VMFS_RW_... */
    uint64_t end;
};

static int64_t write_at(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count,
                        struct write_how *how)
{
    int64_t length = pieces_length(iov, count);
    if (!file || length < 0)
        return vm_bad_argument();
    struct write_call call = {
        .file = file,
        .range = {.pieces = iov,
                  .len_bytes = (uint64_t)length,
                  .offset = how->offset,
                  .is_append = (file->flags & VMFS_O_APPEND) || (how->flags & VMFS_RW_APPEND),
                  .is_atomic = file->flags & VMFS_O_ATOMIC,
                  .kills_set_id = how->flags & VMFS_RW_KILL_PRIV},
        .end = how->offset};
    int64_t result = vm_call(file->fs, true, write_call, &call);
    bool is_synced = (file->flags & VMFS_O_DSYNC) || (how->flags & VMFS_RW_DSYNC);
    int err = result > 0 && is_synced ? vmfs_file_sync(file) : 0;
    how->end = call.end;
    return err ? err : result;
}

int64_t vmfs_file_pwritev2(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count,
                           uint64_t offset, int flags)
{
    struct write_how how = {.offset = offset, .flags = flags};
    if (flags & ~(VMFS_RW_APPEND | VMFS_RW_DSYNC | VMFS_RW_KILL_PRIV))
        return vm_bad_argument();
    return write_at(file, iov, count, &how);
}

int64_t vmfs_file_pwritev(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count,
                          uint64_t offset)
{
    return vmfs_file_pwritev2(file, iov, count, offset, 0);
}

int64_t vmfs_file_pwrite(struct vmfs_file *file, const void *buffer, size_t length, uint64_t offset)
{
    const struct vmfs_iovec piece = {(void *)(uintptr_t)buffer, length};
    return vmfs_file_pwritev(file, &piece, 1, offset);
}

int64_t vmfs_file_writev(struct vmfs_file *file, const struct vmfs_iovec *iov, unsigned count)
{
    if (!file)
        return vm_bad_argument();
    struct write_how how = {.offset = atomic_load_explicit(&file->position, memory_order_relaxed)};
    int64_t result = write_at(file, iov, count, &how);
    if (result > 0)
        atomic_store_explicit(&file->position, how.end, memory_order_relaxed);
    return result;
}

int64_t vmfs_file_write(struct vmfs_file *file, const void *buffer, size_t length)
{
    const struct vmfs_iovec piece = {(void *)(uintptr_t)buffer, length};
    return vmfs_file_writev(file, &piece, 1);
}

/* ---- the position ---- */

static int64_t seek_body(struct vm_ctx *ctx, void *arg)
{
    struct io_call *call = arg;
    int result = vm_inode_load(ctx, call->file->id, &call->inode);
    if (result)
        return result;
    if (call->whence == VMFS_SEEK_END)
        return (int64_t)vm_inode_size(&call->inode);
    return vm_data_seek(ctx, &call->inode, (uint64_t)call->offset, call->whence == VMFS_SEEK_HOLE);
}

static int64_t seek_call(struct vm_ctx *ctx, void *arg)
{
    struct io_call *call = arg;
    int64_t base = 0;
    int64_t target = call->offset;
    if (call->whence == VMFS_SEEK_CUR)
        base = (int64_t)atomic_load(&call->file->position);
    bool is_search = call->whence == VMFS_SEEK_DATA || call->whence == VMFS_SEEK_HOLE;
    if (call->whence == VMFS_SEEK_END || is_search) {
        base = vm_read_stable(ctx, call->file->id, seek_body, call);
        if (base < 0)
            return base;
        target = is_search ? 0 : call->offset;
    }
    if (__builtin_add_overflow(base, target, &target) || target < 0)
        return vm_raise(&ctx->err, VMFS_R_SEEK_RANGE, (uint64_t)call->offset);
    atomic_store(&call->file->position, (uint64_t)target);
    return target;
}

int64_t vmfs_file_seek(struct vmfs_file *file, int64_t offset, int whence)
{
    if (!file || whence < VMFS_SEEK_SET || whence > VMFS_SEEK_HOLE)
        return vm_bad_argument();
    struct io_call call = {.file = file, .offset = offset, .whence = whence};
    return vm_call(file->fs, false, seek_call, &call);
}
