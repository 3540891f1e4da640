/* xattr.c -- extended attributes by path */
#include <string.h>

#include "api/handle.h"
#include "inode/xattr.h"
#include "name/path.h"

struct xattr_call {
    const char *path;
    const char *name;
    int flags;
    void *buffer;
    const void *value;
    uint64_t size;
    bool is_remove;
    uint64_t id;
};

static struct vm_name name_of(const struct xattr_call *call)
{
    return (struct vm_name){(const uint8_t *)call->name, (uint32_t)strlen(call->name)};
}

static int check_name(struct vm_ctx *ctx, const char *name)
{
    static const char prefix[] = "user.";
    size_t len_bytes = strnlen(name, VMFS_NAME_MAX + 1);
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return vm_raise(&ctx->err, VMFS_R_XATTR_NAMESPACE, 0);
    if (len_bytes == sizeof prefix - 1 || len_bytes > VMFS_NAME_MAX)
        return vm_raise(&ctx->err, VMFS_R_XATTR_NAME, len_bytes);
    return 0;
}

static int find(struct vm_ctx *ctx, struct xattr_call *call)
{
    int result = call->name ? check_name(ctx, call->name) : 0;
    if (result)
        return result;
    return vm_path_resolve(ctx, VM_ROOT_ID, call->path, !(call->flags & VMFS_NOFOLLOW), &call->id);
}

static int load(struct vm_ctx *ctx, const struct xattr_call *call, struct vm_inode *inode)
{
    int result = vm_inode_load(ctx, call->id, inode);
    if (result)
        return result;
    if (call->name && !vm_inode_is_file(inode) && !vm_inode_is_directory(inode))
        return vm_raise(&ctx->err, VMFS_R_XATTR_KIND, call->id);
    return 0;
}

static int64_t get_body(struct vm_ctx *ctx, void *arg)
{
    struct xattr_call *call = arg;
    struct vm_inode inode;
    int result = load(ctx, call, &inode);
    if (result)
        return result;
    if (!call->name)
        return vm_xattr_list(ctx, &inode, call->buffer, call->size);
    return vm_xattr_get(ctx, &inode, name_of(call), call->buffer, call->size);
}

static int64_t get_call(struct vm_ctx *ctx, void *arg)
{
    struct xattr_call *call = arg;
    int result = find(ctx, call);
    return result ? result : vm_read_stable(ctx, call->id, get_body, call);
}

int64_t vmfs_xattr_get(struct vmfs *fs, const char *path, int flags, const char *name, void *value,
                       size_t size)
{
    if (!fs || !path || !name || (!value && size) || (flags & ~VMFS_NOFOLLOW))
        return vm_bad_argument();
    struct xattr_call call = {
        .path = path, .name = name, .flags = flags, .buffer = value, .size = size};
    return vm_call(fs, false, get_call, &call);
}

int64_t vmfs_xattr_list(struct vmfs *fs, const char *path, int flags, char *names, size_t size)
{
    if (!fs || !path || (!names && size) || (flags & ~VMFS_NOFOLLOW))
        return vm_bad_argument();
    struct xattr_call call = {.path = path, .flags = flags, .buffer = names, .size = size};
    return vm_call(fs, false, get_call, &call);
}

static int change_locked(struct vm_ctx *ctx, const struct xattr_call *call)
{
    struct vm_inode inode;
    int result = load(ctx, call, &inode);
    if (result)
        return result;
    const struct vm_xattr_value value = {
        .bytes = call->value,
        .len_bytes = call->size,
        .must_create = call->flags & VMFS_XATTR_CREATE,
        .must_replace = call->flags & VMFS_XATTR_REPLACE,
    };
    result = call->is_remove ? vm_xattr_remove(ctx, &inode, name_of(call))
                             : vm_xattr_set(ctx, &inode, name_of(call), &value);
    if (result)
        return result;
    vm_inode_touch_change(ctx, &inode);
    result = vm_inode_store(ctx, &inode);
    return result ? result : vm_tx_commit(ctx);
}

static int64_t change_call(struct vm_ctx *ctx, void *arg)
{
    struct xattr_call *call = arg;
    if (call->size > VMFS_XATTR_MAX)
        return vm_raise(&ctx->err, VMFS_R_XATTR_SIZE, call->size);
    int result = find(ctx, call);
    if (result == 0)
        result = vm_tx_begin(ctx);
    if (result)
        return result;
    vm_lock_inodes(ctx, &call->id, 1);
    result = change_locked(ctx, call);
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
    return result;
}

int vmfs_xattr_set(struct vmfs *fs, const char *path, int flags, const char *name,
                   const void *value, size_t size)
{
    const int known = VMFS_NOFOLLOW | VMFS_XATTR_CREATE | VMFS_XATTR_REPLACE;
    if (!fs || !path || !name || (!value && size) || (flags & ~known))
        return (int)vm_bad_argument();
    struct xattr_call call = {
        .path = path, .name = name, .flags = flags, .value = value, .size = size};
    return (int)vm_call(fs, true, change_call, &call);
}

int vmfs_xattr_remove(struct vmfs *fs, const char *path, int flags, const char *name)
{
    if (!fs || !path || !name || (flags & ~VMFS_NOFOLLOW))
        return (int)vm_bad_argument();
    struct xattr_call call = {.path = path, .name = name, .flags = flags, .is_remove = true};
    return (int)vm_call(fs, true, change_call, &call);
}
