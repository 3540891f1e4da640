/* public.c -- stat and attributes in their public form */
#include "api/public.h"

int vm_bad_handle(struct vm_ctx *ctx, const struct vmfs_file *file)
{
    return vm_raise(&ctx->err, VMFS_R_BAD_HANDLE, file->id);
}

struct stat_read {
    uint64_t id;
    struct vm_stat stat;
};

static int64_t stat_body(struct vm_ctx *ctx, void *arg)
{
    struct stat_read *read = arg;
    struct vm_inode inode;
    int result = vm_inode_load(ctx, read->id, &inode);
    if (result == 0)
        vm_attr_get(&inode, &read->stat);
    return result;
}

int64_t vm_public_stat(struct vm_ctx *ctx, uint64_t id, struct vmfs_stat *out)
{
    struct stat_read read = {.id = id};
    int64_t result = vm_read_stable(ctx, id, stat_body, &read);
    if (result)
        return result;
    const struct vm_stat *stat = &read.stat;
    *out = (struct vmfs_stat){
        .ino = stat->id,
        .mode = stat->mode,
        .nlink = stat->nlink,
        .uid = stat->uid,
        .gid = stat->gid,
        .rdev = stat->rdev,
        .size = stat->size,
        .blocks = stat->blocks * (VM_BLOCK_BYTES / 512),
        .atime_ns = stat->atime_ns,
        .mtime_ns = stat->mtime_ns,
        .ctime_ns = stat->ctime_ns,
        .btime_ns = stat->btime_ns,
    };
    return 0;
}

#define ATTR_ALL                                                                                   \
    (VMFS_ATTR_MODE | VMFS_ATTR_UID | VMFS_ATTR_GID | VMFS_ATTR_SIZE | VMFS_ATTR_ATIME |           \
     VMFS_ATTR_MTIME)

static int64_t time_or_now(const struct vm_ctx *ctx, int64_t time_ns)
{
    return time_ns == VMFS_TIME_NOW ? ctx->now_ns : time_ns;
}

int vm_public_attr(struct vm_ctx *ctx, const struct vmfs_attr *attr, struct vm_attr *out)
{
    bool is_sound = !(attr->mask & ~(uint32_t)ATTR_ALL) &&
                    (!(attr->mask & VMFS_ATTR_MODE) || !(attr->mode & ~VM_MODE_BITS));
    if (!is_sound)
        return vm_raise(&ctx->err, VMFS_R_ARGUMENT, attr->mask);
    *out = (struct vm_attr){
        .mask = attr->mask,
        .mode = attr->mode,
        .uid = attr->uid,
        .gid = attr->gid,
        .size = attr->size,
        .atime_ns = time_or_now(ctx, attr->atime_ns),
        .mtime_ns = time_or_now(ctx, attr->mtime_ns),
    };
    return 0;
}
