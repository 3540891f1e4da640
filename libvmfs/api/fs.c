/* fs.c -- calls that take paths and places
 *
 * Each is written once, for a place; the call with a path alone is a shorthand. */
#include <errno.h>
#include <string.h>

#include "api/public.h"
#include "name/nsop.h"
#include "name/path.h"

/* What a call was given, and where its results go. */
struct path_call {
    struct vmfs_at at;
    struct vmfs_at other; /* the second place */
    int flags;
    uint32_t rename_flags;
    const struct vmfs_attr *attr;
    struct vm_new new;
    struct vmfs_stat *stat;
    char *buffer;
    uint64_t size;
};

static int64_t run(struct vmfs *fs, bool is_change, vm_call_fn body, struct path_call *call)
{
    return vm_call_at(fs, is_change,
                      (struct vm_at_call){.at = &call->at,
                                          .other = call->other.path ? &call->other : NULL,
                                          .body = body,
                                          .arg = call});
}

static bool follows(const struct path_call *call)
{
    return !(call->flags & VMFS_NOFOLLOW);
}

static int64_t stat_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    uint64_t id;
    int result = vm_at_resolve(ctx, &call->at, follows(call), &id);
    return result ? result : vm_public_stat(ctx, id, call->stat);
}

int vmfs_stat_at(struct vmfs *fs, struct vmfs_at at, int flags, struct vmfs_stat *out)
{
    if (!fs || !at.path || !out || (flags & ~VMFS_NOFOLLOW))
        return (int)vm_bad_argument();
    struct path_call call = {.at = at, .flags = flags, .stat = out};
    return (int)run(fs, false, stat_call, &call);
}

int vmfs_stat(struct vmfs *fs, const char *path, int flags, struct vmfs_stat *out)
{
    return vmfs_stat_at(fs, vm_at_path(path), flags, out);
}

static int64_t setattr_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    struct vm_attr attr;
    uint64_t id;
    int result = vm_public_attr(ctx, call->attr, &attr);
    if (result == 0)
        result = vm_at_resolve(ctx, &call->at, follows(call), &id);
    return result ? result : vm_attr_set(ctx, id, &attr);
}

int vmfs_setattr_at(struct vmfs *fs, struct vmfs_at at, int flags, const struct vmfs_attr *attr)
{
    if (!fs || !at.path || !attr || (flags & ~VMFS_NOFOLLOW))
        return (int)vm_bad_argument();
    struct path_call call = {.at = at, .flags = flags, .attr = attr};
    return (int)run(fs, true, setattr_call, &call);
}

int vmfs_setattr(struct vmfs *fs, const char *path, int flags, const struct vmfs_attr *attr)
{
    return vmfs_setattr_at(fs, vm_at_path(path), flags, attr);
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

/* Walks to where a new name goes. */
static int new_place(struct vm_ctx *ctx, const struct vmfs_at *at, bool is_for_directory,
                     struct vm_place *place)
{
    int result = vm_at_parent(ctx, at, place);
    if (result)
        return result;
    if (place->id)
        return vm_name_exists(ctx, place->id);
    if (place->is_directory_wanted && !is_for_directory)
        return vm_path_missing(ctx);
    return 0;
}

static bool is_link(uint32_t mode)
{
    return (mode & VMFS_S_IFMT) == VMFS_S_IFLNK;
}

static int check_target(struct vm_ctx *ctx, const struct vm_new *new)
{
    if (new->target_bytes > VMFS_PATH_MAX)
        return vm_raise(&ctx->err, VMFS_R_TARGET_TOO_LONG, new->target_bytes);
    return new->target_bytes ? 0 : vm_path_missing(ctx);
}

int vm_make_at(struct vm_ctx *ctx, const struct vmfs_at *at, const struct vm_new *new)
{
    struct vm_place place;
    uint64_t id;
    int result = is_link(new->mode) ? check_target(ctx, new) : 0;
    if (result == 0)
        result = new_place(ctx, at, is_directory(new->mode), &place);
    return result ? result : vm_name_create(ctx, place.parent, place.name, new, &id);
}

static bool is_made_type(uint32_t type)
{
    return type == VMFS_S_IFREG || type == VMFS_S_IFCHR || type == VMFS_S_IFBLK ||
           type == VMFS_S_IFIFO || type == VMFS_S_IFSOCK || type == VMFS_S_IFDIR ||
           type == VMFS_S_IFLNK;
}

bool vm_make_is_sound(const struct vmfs_make *what, struct vm_new *new)
{
    uint32_t type = what->mode & VMFS_S_IFMT ? what->mode & VMFS_S_IFMT : VMFS_S_IFREG;
    if (!is_made_type(type) || (what->mode & ~(VM_MODE_BITS | VM_MODE_TYPE)) ||
        is_link(type) != (what->target != NULL))
        return false;
    bool is_device = type == VMFS_S_IFCHR || type == VMFS_S_IFBLK;
    *new = (struct vm_new){.mode = type | (is_link(type) ? 0777 : what->mode & VM_MODE_BITS),
                           .rdev = is_device ? what->rdev : 0,
                           .target = what->target};
    if (what->target)
        new->target_bytes = strnlen(what->target, VMFS_PATH_MAX + 1);
    return true;
}

static int64_t create_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    return vm_make_at(ctx, &call->at, &call->new);
}

static int create(struct vmfs *fs, struct vmfs_at at, const struct vmfs_make *what)
{
    struct path_call call = {.at = at};
    if (!fs || !at.path || !vm_make_is_sound(what, &call.new))
        return (int)vm_bad_argument();
    return (int)run(fs, true, create_call, &call);
}

int vmfs_mkdir_at(struct vmfs *fs, struct vmfs_at at, uint32_t mode)
{
    if (mode & ~VM_MODE_BITS)
        return (int)vm_bad_argument();
    return create(fs, at, &(struct vmfs_make){.mode = VMFS_S_IFDIR | mode});
}

int vmfs_mkdir(struct vmfs *fs, const char *path, uint32_t mode)
{
    return vmfs_mkdir_at(fs, vm_at_path(path), mode);
}

int vmfs_mknod_at(struct vmfs *fs, struct vmfs_at at, uint32_t mode, uint64_t rdev)
{
    if (is_directory(mode) || is_link(mode))
        return (int)vm_bad_argument();
    return create(fs, at, &(struct vmfs_make){.mode = mode, .rdev = rdev});
}

int vmfs_mknod(struct vmfs *fs, const char *path, uint32_t mode, uint64_t rdev)
{
    return vmfs_mknod_at(fs, vm_at_path(path), mode, rdev);
}

int vmfs_symlink_at(struct vmfs *fs, const char *target, struct vmfs_at at)
{
    return create(fs, at, &(struct vmfs_make){.mode = VMFS_S_IFLNK, .target = target});
}

int vmfs_symlink(struct vmfs *fs, const char *target, const char *path)
{
    return vmfs_symlink_at(fs, target, vm_at_path(path));
}

static int64_t readlink_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    uint64_t id;
    int result = vm_at_resolve(ctx, &call->at, false, &id);
    return result ? result : vm_symlink_read(ctx, id, call->buffer, call->size, true);
}

int64_t vmfs_readlink_at(struct vmfs *fs, struct vmfs_at at, char *buffer, size_t size)
{
    if (!fs || !at.path || (!buffer && size))
        return vm_bad_argument();
    struct path_call call = {.at = at, .buffer = buffer, .size = size};
    return run(fs, false, readlink_call, &call);
}

int64_t vmfs_readlink(struct vmfs *fs, const char *path, char *buffer, size_t size)
{
    return vmfs_readlink_at(fs, vm_at_path(path), buffer, size);
}

static int64_t link_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    struct vm_place place;
    uint64_t id;
    int result = vm_at_resolve(ctx, &call->other, call->flags & VMFS_FOLLOW, &id);
    if (result == 0)
        result = new_place(ctx, &call->at, false, &place);
    return result ? result : vm_name_link(ctx, place.parent, place.name, id);
}

int vmfs_link_at(struct vmfs *fs, struct vmfs_at existing, struct vmfs_at at, int flags)
{
    if (!fs || !existing.path || !at.path || (flags & ~VMFS_FOLLOW))
        return (int)vm_bad_argument();
    struct path_call call = {.at = at, .other = existing, .flags = flags};
    return (int)run(fs, true, link_call, &call);
}

int vmfs_link(struct vmfs *fs, const char *existing, const char *path)
{
    return vmfs_link_at(fs, vm_at_path(existing), vm_at_path(path), 0);
}

int vmfs_file_link(struct vmfs_file *file, struct vmfs_at at)
{
    if (!file || !at.path)
        return (int)vm_bad_argument();
    struct path_call call = {.at = at, .other = vmfs_at(file->id, "")};
    return (int)run(file->fs, true, link_call, &call);
}

static int root_busy(struct vm_ctx *ctx)
{
    return vm_raise(&ctx->err, VMFS_R_ROOT_BUSY, VM_ROOT_ID);
}

/* What a name with a '/' behind it stands for must be a directory. */
static int check_slash(struct vm_ctx *ctx, const struct vm_place *place)
{
    if (!place->is_directory_wanted || place->name.len_bytes == 0)
        return 0;
    if (place->id == 0)
        return vm_path_missing(ctx);
    return place->mode_type == VM_MODE_DIRECTORY ? 0 : vm_path_not_directory(ctx, place->id);
}

static int64_t unlink_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    bool is_rmdir = is_directory(call->new.mode);
    struct vm_place place;
    int result = vm_at_parent(ctx, &call->at, &place);
    if (result == 0)
        result = check_slash(ctx, &place);
    if (result)
        return result;
    if (place.name.len_bytes == 0 && is_rmdir && place.id == VM_ROOT_ID)
        return root_busy(ctx);
    if (place.name.len_bytes == 0 && !is_rmdir)
        return vm_unlink_directory(ctx, place.id);
    result = check_named(ctx, &place);
    return result ? result : vm_name_unlink(ctx, place.parent, place.name, is_rmdir);
}

static int remove_name(struct vmfs *fs, struct vmfs_at at, uint32_t type)
{
    if (!fs || !at.path)
        return (int)vm_bad_argument();
    struct path_call call = {.at = at, .new = {.mode = type}};
    return (int)run(fs, true, unlink_call, &call);
}

int vmfs_unlink_at(struct vmfs *fs, struct vmfs_at at)
{
    return remove_name(fs, at, VMFS_S_IFREG);
}

int vmfs_unlink(struct vmfs *fs, const char *path)
{
    return vmfs_unlink_at(fs, vm_at_path(path));
}

int vmfs_rmdir_at(struct vmfs *fs, struct vmfs_at at)
{
    return remove_name(fs, at, VMFS_S_IFDIR);
}

int vmfs_rmdir(struct vmfs *fs, const char *path)
{
    return vmfs_rmdir_at(fs, vm_at_path(path));
}

/* Names with a '/' behind them, in the order of Linux's do_renameat2(). Without one this looks nothing
 * up. */
static int check_rename_slashes(struct vm_ctx *ctx, const struct vm_place *from,
                                const struct vm_place *to, uint32_t flags)
{
    const struct vm_place *const ends[2] = {from, to};
    uint64_t ids[2] = {0, 0};
    uint32_t types[2] = {0, 0};
    bool is_exchange = flags & VMFS_RENAME_EXCHANGE;
    if (!from->is_directory_wanted && !to->is_directory_wanted)
        return 0;
    for (unsigned end = 0; end < 2; end++) {
        int found = vm_dir_lookup(ctx, ends[end]->parent, ends[end]->name, &ids[end], &types[end]);
        if (found < 0)
            return found;
    }
    if (ids[0] == 0 || (is_exchange && ids[1] == 0))
        return vm_path_missing(ctx);
    if (ids[1] && (flags & VMFS_RENAME_NOREPLACE))
        return vm_name_exists(ctx, ids[1]);
    if (is_exchange && to->is_directory_wanted && types[1] != VM_MODE_DIRECTORY)
        return vm_path_not_directory(ctx, ids[1]);
    if (types[0] == VM_MODE_DIRECTORY || (is_exchange && !from->is_directory_wanted))
        return 0;
    return vm_raise(&ctx->err, VMFS_R_RENAME_NOT_DIRECTORY, ids[0]);
}

/* The root, '.' and '..' cannot be moved, and are there. */
static int check_rename_names(struct vm_ctx *ctx, const struct vm_place *from,
                              const struct vm_place *to, uint32_t flags)
{
    if (from->name.len_bytes == 0)
        return root_busy(ctx);
    if (to->name.len_bytes)
        return 0;
    return flags & VMFS_RENAME_NOREPLACE ? vm_name_exists(ctx, to->id) : root_busy(ctx);
}

static int64_t rename_call(struct vm_ctx *ctx, void *arg)
{
    const struct path_call *call = arg;
    struct vm_place from;
    struct vm_place to;
    int result = vm_at_parent(ctx, &call->at, &from);
    if (result == 0)
        result = vm_at_parent(ctx, &call->other, &to);
    if (result == 0)
        result = check_rename_names(ctx, &from, &to, call->rename_flags);
    if (result == 0)
        result = check_rename_slashes(ctx, &from, &to, call->rename_flags);
    if (result)
        return result;
    return vm_name_rename(ctx, (struct vm_end){from.parent, from.name},
                          (struct vm_end){to.parent, to.name}, call->rename_flags);
}

int vmfs_rename_at(struct vmfs *fs, struct vmfs_at from, struct vmfs_at to, uint32_t flags)
{
    const uint32_t both = VMFS_RENAME_NOREPLACE | VMFS_RENAME_EXCHANGE;
    if (!fs || !from.path || !to.path || (flags & ~both) || flags == both)
        return (int)vm_bad_argument();
    struct path_call call = {.at = from, .other = to, .rename_flags = flags};
    return (int)run(fs, true, rename_call, &call);
}

int vmfs_rename(struct vmfs *fs, const char *from, const char *to, uint32_t flags)
{
    return vmfs_rename_at(fs, vm_at_path(from), vm_at_path(to), flags);
}
