/* fs.c -- calls that take paths */
#include <errno.h>
#include <string.h>

#include "api/public.h"
#include "name/nsop.h"
#include "name/path.h"

/* What a path call was given, and where its results go. */
struct path_call {
    const char *path;
    const char *other; /* the second path, or a link's target */
    int flags;
    uint32_t rename_flags;
    const struct vmfs_attr *attr;
    struct vm_new new;
    struct vmfs_stat *stat;
    char *buffer;
    uint64_t size;
};

static bool follows(const struct path_call *call)
{
    return !(call->flags & VMFS_NOFOLLOW);
}

static int64_t stat_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    uint64_t id;
    int result = vm_path_resolve(ctx, VM_ROOT_ID, call->path, follows(call), &id);
    return result ? result : vm_public_stat(ctx, id, call->stat);
}

int vmfs_stat(struct vmfs *fs, const char *path, int flags, struct vmfs_stat *out)
{
    if (!fs || !path || !out || (flags & ~VMFS_NOFOLLOW))
        return (int)vm_bad_argument();
    struct path_call call = {.path = path, .flags = flags, .stat = out};
    return (int)vm_call(fs, false, stat_call, &call);
}

static int64_t setattr_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    struct vm_attr attr;
    uint64_t id;
    int result = vm_public_attr(ctx, call->attr, &attr);
    if (result == 0)
        result = vm_path_resolve(ctx, VM_ROOT_ID, call->path, follows(call), &id);
    return result ? result : vm_attr_set(ctx, id, &attr);
}

int vmfs_setattr(struct vmfs *fs, const char *path, int flags, const struct vmfs_attr *attr)
{
    if (!fs || !path || !attr || (flags & ~VMFS_NOFOLLOW))
        return (int)vm_bad_argument();
    struct path_call call = {.path = path, .flags = flags, .attr = attr};
    return (int)vm_call(fs, true, setattr_call, &call);
}

int vmfs_chmod(struct vmfs *fs, const char *path, uint32_t mode)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_MODE, .mode = mode};
    return vmfs_setattr(fs, path, 0, &attr);
}

int vmfs_chown(struct vmfs *fs, const char *path, uint32_t uid, uint32_t gid)
{
    struct vmfs_attr attr = {.uid = uid, .gid = gid};
    attr.mask = (uid != UINT32_MAX ? VMFS_ATTR_UID : 0u) | (gid != UINT32_MAX ? VMFS_ATTR_GID : 0u);
    return vmfs_setattr(fs, path, 0, &attr);
}

int vmfs_utimens(struct vmfs *fs, const char *path, int64_t atime_ns, int64_t mtime_ns)
{
    const struct vmfs_attr attr = {
        .mask = VMFS_ATTR_ATIME | VMFS_ATTR_MTIME, .atime_ns = atime_ns, .mtime_ns = mtime_ns};
    return vmfs_setattr(fs, path, 0, &attr);
}

int vmfs_truncate(struct vmfs *fs, const char *path, uint64_t size)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_SIZE, .size = size};
    return vmfs_setattr(fs, path, 0, &attr);
}

/* Paths that a name is made or taken away by must end in one: not the root, '.' or '..'. */
static int check_named(struct vm_ctx *ctx, const struct vm_place *place)
{
    if (place->name.len_bytes)
        return 0;
    return vm_raise(&ctx->err, VMFS_R_NAME_INVALID, place->parent);
}

static bool is_directory(uint32_t mode)
{
    return (mode & VMFS_S_IFMT) == VMFS_S_IFDIR;
}

static int64_t create_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    struct vm_place place;
    uint64_t id;
    int result = vm_path_walk(ctx, VM_ROOT_ID, call->path, VM_WALK_PARENT, &place);
    if (result)
        return result;
    if (place.id)
        return vm_name_exists(ctx, place.id);
    if (place.is_directory_wanted && !is_directory(call->new.mode))
        return vm_path_missing(ctx);
    return vm_name_create(ctx, place.parent, place.name, &call->new, &id);
}

int vmfs_mkdir(struct vmfs *fs, const char *path, uint32_t mode)
{
    if (!fs || !path || (mode & ~VM_MODE_BITS))
        return (int)vm_bad_argument();
    struct path_call call = {.path = path, .new = {.mode = VMFS_S_IFDIR | mode}};
    return (int)vm_call(fs, true, create_call, &call);
}

static bool is_node_type(uint32_t type)
{
    return type == VMFS_S_IFREG || type == VMFS_S_IFCHR || type == VMFS_S_IFBLK ||
           type == VMFS_S_IFIFO || type == VMFS_S_IFSOCK;
}

int vmfs_mknod(struct vmfs *fs, const char *path, uint32_t mode, uint64_t rdev)
{
    uint32_t type = mode & VMFS_S_IFMT ? mode & VMFS_S_IFMT : VMFS_S_IFREG;
    if (!fs || !path || !is_node_type(type) || (mode & ~(VM_MODE_BITS | VM_MODE_TYPE)))
        return (int)vm_bad_argument();
    bool is_device = type == VMFS_S_IFCHR || type == VMFS_S_IFBLK;
    struct path_call call = {
        .path = path,
        .new = {.mode = type | (mode & VM_MODE_BITS), .rdev = is_device ? rdev : 0},
    };
    return (int)vm_call(fs, true, create_call, &call);
}

static int64_t symlink_call(struct vm_ctx *ctx, void *arg)
{
    struct path_call *call = arg;
    call->new.target_bytes = strnlen(call->other, VMFS_PATH_MAX + 1);
    if (call->new.target_bytes > VMFS_PATH_MAX)
        return vm_raise(&ctx->err, VMFS_R_TARGET_TOO_LONG, call->new.target_bytes);
    if (call->new.target_bytes == 0)
        return vm_path_missing(ctx);
    return create_call(ctx, call);
}

int vmfs_symlink(struct vmfs *fs, const char *target, const char *path)
{
    if (!fs || !target || !path)
        return (int)vm_bad_argument();
    struct path_call call = {
        .path = path, .other = target, .new = {.mode = VMFS_S_IFLNK | 0777, .target = target}};
    return (int)vm_call(fs, true, symlink_call, &call);
}

static int64_t readlink_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    uint64_t id;
    int result = vm_path_resolve(ctx, VM_ROOT_ID, call->path, false, &id);
    return result ? result : vm_symlink_read(ctx, id, call->buffer, call->size);
}

int64_t vmfs_readlink(struct vmfs *fs, const char *path, char *buffer, size_t size)
{
    if (!fs || !path || (!buffer && size))
        return vm_bad_argument();
    struct path_call call = {.path = path, .buffer = buffer, .size = size};
    return vm_call(fs, false, readlink_call, &call);
}

static int64_t link_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    struct vm_place place;
    uint64_t id;
    int result = vm_path_resolve(ctx, VM_ROOT_ID, call->other, false, &id);
    if (result == 0)
        result = vm_path_walk(ctx, VM_ROOT_ID, call->path, VM_WALK_PARENT, &place);
    if (result)
        return result;
    if (place.id)
        return vm_name_exists(ctx, place.id);
    if (place.is_directory_wanted)
        return vm_path_missing(ctx);
    return vm_name_link(ctx, place.parent, place.name, id);
}

int vmfs_link(struct vmfs *fs, const char *existing, const char *path)
{
    if (!fs || !existing || !path)
        return (int)vm_bad_argument();
    struct path_call call = {.path = path, .other = existing};
    return (int)vm_call(fs, true, link_call, &call);
}

static int root_busy(struct vm_ctx *ctx)
{
    return vm_raise(&ctx->err, VMFS_R_ROOT_BUSY, VM_ROOT_ID);
}

static int64_t unlink_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    bool is_rmdir = is_directory(call->new.mode);
    struct vm_place place;
    int result = vm_path_walk(ctx, VM_ROOT_ID, call->path, VM_WALK_PARENT, &place);
    if (result)
        return result;
    if (place.name.len_bytes == 0 && is_rmdir && place.id == VM_ROOT_ID)
        return root_busy(ctx);
    if (place.name.len_bytes == 0 && !is_rmdir)
        return vm_unlink_directory(ctx, place.id);
    result = check_named(ctx, &place);
    return result ? result : vm_name_unlink(ctx, place.parent, place.name, is_rmdir);
}

static int remove_name(struct vmfs *fs, const char *path, uint32_t type)
{
    if (!fs || !path)
        return (int)vm_bad_argument();
    struct path_call call = {.path = path, .new = {.mode = type}};
    return (int)vm_call(fs, true, unlink_call, &call);
}

int vmfs_unlink(struct vmfs *fs, const char *path)
{
    return remove_name(fs, path, VMFS_S_IFREG);
}

int vmfs_rmdir(struct vmfs *fs, const char *path)
{
    return remove_name(fs, path, VMFS_S_IFDIR);
}

static int check_rename_place(struct vm_ctx *ctx, const struct vm_place *place)
{
    if (place->name.len_bytes == 0)
        return root_busy(ctx);
    return 0;
}

static int check_renames_directory(struct vm_ctx *ctx, const struct vm_place *from)
{
    uint64_t id;
    uint32_t type;
    int found = vm_dir_lookup(ctx, from->parent, from->name, &id, &type);
    if (found > 0 && type != VM_MODE_DIRECTORY)
        return vm_raise(&ctx->err, VMFS_R_RENAME_NOT_DIRECTORY, id);
    return found < 0 ? found : 0;
}

static int64_t rename_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    struct vm_place from;
    struct vm_place to;
    int result = vm_path_walk(ctx, VM_ROOT_ID, call->path, VM_WALK_PARENT, &from);
    if (result == 0)
        result = vm_path_walk(ctx, VM_ROOT_ID, call->other, VM_WALK_PARENT, &to);
    if (result == 0)
        result = check_rename_place(ctx, &from);
    if (result == 0)
        result = check_rename_place(ctx, &to);
    if (result == 0 && to.is_directory_wanted)
        result = check_renames_directory(ctx, &from);
    if (result)
        return result;
    return vm_name_rename(ctx, (struct vm_end){from.parent, from.name},
                          (struct vm_end){to.parent, to.name}, call->rename_flags);
}

int vmfs_rename(struct vmfs *fs, const char *from, const char *to, uint32_t flags)
{
    const uint32_t both = VMFS_RENAME_NOREPLACE | VMFS_RENAME_EXCHANGE;
    if (!fs || !from || !to || (flags & ~both) || flags == both)
        return (int)vm_bad_argument();
    struct path_call call = {.path = from, .other = to, .rename_flags = flags};
    return (int)vm_call(fs, true, rename_call, &call);
}
