/* public.c -- stat and attributes in their public form */
#include "api/public.h"

#include "inode/open.h"
#include "name/path.h"

int vm_bad_handle(struct vm_ctx *ctx, const struct vmfs_file *file)
{
    return vm_raise(&ctx->err, VMFS_R_BAD_HANDLE, file->id);
}

int vm_at_resolve(struct vm_ctx *ctx, const struct vmfs_at *at, bool is_followed, uint64_t *id_out)
{
    if (*at->path || at->dir == VM_ID_NONE)
        return vm_path_resolve(ctx, vm_at_start(at), at->path, is_followed, id_out);
    *id_out = vm_at_start(at);
    return 0;
}

int vm_at_parent(struct vm_ctx *ctx, const struct vmfs_at *at, struct vm_place *out)
{
    return vm_path_walk(ctx, vm_at_start(at), at->path, VM_WALK_PARENT, out);
}

#define UMASK_BITS 0777u

/* Looked at only after a call met something that is no more. */
static int check_dir(struct vm_ctx *ctx, const struct vmfs_at *at)
{
    bool is_used = at && *at->path != '/' && at->dir != VM_ID_NONE;
    if (!is_used)
        return 0;
    int result = vm_open_check(ctx, vm_at_start(at));
    if (result == -VMFS_R_INODE_STALE)
        return vm_raise(&ctx->err, VMFS_R_PLACE_STALE, at->dir);
    return result;
}

static int64_t at_body(struct vm_ctx *ctx, void *arg)
{
    const struct vm_at_call *call = arg;
    if (call->at->uid != UINT32_MAX)
        ctx->uid = call->at->uid;
    if (call->at->gid != UINT32_MAX)
        ctx->gid = call->at->gid;
    ctx->umask = call->at->umask & UMASK_BITS;
    int64_t result = call->body(ctx, call->arg);
    if (result != -VMFS_R_INODE_STALE)
        return result;
    int dead = check_dir(ctx, call->at);
    if (dead == 0)
        dead = check_dir(ctx, call->other);
    return dead ? dead : result;
}

int64_t vm_call_at(struct vmfs *fs, bool is_change, struct vm_at_call call)
{
    return vm_call(fs, is_change, at_body, &call);
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

void vm_public_fill(const struct vm_stat *stat, struct vmfs_stat *out)
{
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
        .flags = stat->flags,
    };
}

int64_t vm_public_stat(struct vm_ctx *ctx, uint64_t id, struct vmfs_stat *out)
{
    struct stat_read read = {.id = id};
    int64_t result = vm_read_stable(ctx, id, stat_body, &read);
    if (result == 0 && read.stat.nlink == 0)
        result = vm_open_check(ctx, id);
    if (result)
        return result;
    vm_public_fill(&read.stat, out);
    return 0;
}

#define ATTR_ALL                                                                                   \
    (VMFS_ATTR_MODE | VMFS_ATTR_UID | VMFS_ATTR_GID | VMFS_ATTR_SIZE | VMFS_ATTR_ATIME |           \
     VMFS_ATTR_MTIME | VMFS_ATTR_FLAGS | VMFS_ATTR_KILL_PRIV | VMFS_ATTR_CTIME)

_Static_assert(VMFS_INODE_IMMUTABLE == VM_INODE_FLAG_IMMUTABLE &&
                   VMFS_INODE_APPEND == VM_INODE_FLAG_APPEND &&
                   VMFS_INODE_NOATIME == VM_INODE_FLAG_NOATIME &&
                   VMFS_INODE_NODUMP == VM_INODE_FLAG_NODUMP,
               "flags are the medium's");

static int64_t time_or_now(const struct vm_ctx *ctx, int64_t time_ns)
{
    return time_ns == VMFS_TIME_NOW ? ctx->now_ns : time_ns;
}

int vm_public_attr(struct vm_ctx *ctx, const struct vmfs_attr *attr, struct vm_attr *out)
{
    bool is_sound = !(attr->mask & ~(uint32_t)ATTR_ALL) &&
                    (!(attr->mask & VMFS_ATTR_MODE) || !(attr->mode & ~VM_MODE_BITS)) &&
                    (!(attr->mask & VMFS_ATTR_FLAGS) || !(attr->flags & ~VM_INODE_FLAGS_ALL));
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
        .ctime_ns = time_or_now(ctx, attr->ctime_ns),
        .flags = attr->flags,
    };
    const uint32_t times = VMFS_ATTR_ATIME | VMFS_ATTR_MTIME;
    bool is_touch = (attr->mask & times) == times && attr->atime_ns == VMFS_TIME_NOW &&
                    attr->mtime_ns == VMFS_TIME_NOW;
    out->mask |= is_touch ? VM_ATTR_TOUCH : 0;
    return 0;
}
