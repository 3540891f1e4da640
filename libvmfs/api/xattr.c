/* xattr.c -- extended attributes by path and by place */
#include <string.h>

#include "api/public.h"
#include "inode/acl.h"
#include "inode/open.h"
#include "inode/xattr.h"

struct xattr_call {
    struct vmfs_at at;
    const char *name;
    int flags;
    void *buffer;
    const void *value;
    uint64_t size;
    bool is_remove;
    uint64_t id;
    uint32_t nlink; /* as it was read */
};

static struct vm_name name_of(const struct xattr_call *call)
{
    return (struct vm_name){(const uint8_t *)call->name, (uint32_t)strlen(call->name)};
}

/* What comes after a prefix is the caller's; a name that is no prefix is whole. */
static const char *const namespaces[] = {"user.", "trusted.", "security.",
                                         "system.posix_acl_access", "system.posix_acl_default"};

#define NAMESPACE_COUNT (sizeof namespaces / sizeof namespaces[0])

static bool is_user(const char *name)
{
    return strncmp(name, namespaces[0], strlen(namespaces[0])) == 0;
}

/* In the order of Linux: the length, then the namespace, then whether a name follows. */
static int check_name(struct vm_ctx *ctx, const char *name)
{
    size_t len_bytes = strnlen(name, VMFS_NAME_MAX + 1);
    bool is_known = false;
    bool is_long_enough = true;
    for (size_t index = 0; index < NAMESPACE_COUNT && len_bytes <= VMFS_NAME_MAX; index++) {
        size_t prefix_bytes = strlen(namespaces[index]);
        bool is_prefix = namespaces[index][prefix_bytes - 1] == '.';
        if (strncmp(name, namespaces[index], prefix_bytes) != 0)
            continue;
        is_long_enough = !is_prefix || len_bytes > prefix_bytes;
        is_known = is_prefix || len_bytes == prefix_bytes;
    }
    if (len_bytes == 0 || len_bytes > VMFS_NAME_MAX)
        return vm_raise(&ctx->err, VMFS_R_XATTR_NAME, len_bytes);
    if (!is_long_enough)
        return vm_raise(&ctx->err, VMFS_R_XATTR_NO_NAME, len_bytes);
    return is_known ? 0 : vm_raise(&ctx->err, VMFS_R_XATTR_NAMESPACE, 0);
}

static int find(struct vm_ctx *ctx, struct xattr_call *call)
{
    int result = call->name ? check_name(ctx, call->name) : 0;
    if (result)
        return result;
    return vm_at_resolve(ctx, &call->at, !(call->flags & VMFS_NOFOLLOW), &call->id);
}

static bool is_acl(const struct xattr_call *call, enum vm_acl_kind *kind_out)
{
    return call->name && vm_acl_is_name(name_of(call), kind_out);
}

static int check_kind(struct vm_ctx *ctx, const struct xattr_call *call,
                      const struct vm_inode *inode)
{
    enum vm_acl_kind kind;
    if (is_acl(call, &kind))
        return vm_acl_check_kind(ctx, inode);
    bool is_allowed = !call->name || !is_user(call->name) || vm_inode_is_file(inode) ||
                      vm_inode_is_directory(inode);
    return is_allowed ? 0 : vm_raise(&ctx->err, VMFS_R_XATTR_KIND, call->id);
}

static int64_t get_body(struct vm_ctx *ctx, void *arg)
{
    struct xattr_call *call = arg;
    struct vm_inode inode;
    int result = vm_inode_load(ctx, call->id, &inode);
    if (result == 0)
        result = check_kind(ctx, call, &inode);
    if (result)
        return result;
    call->nlink = vm_inode_nlink(&inode);
    const char *hidden = call->flags & VMFS_XATTR_NO_TRUSTED ? namespaces[1] : NULL;
    if (!call->name)
        return vm_xattr_list(ctx, &inode, hidden, call->buffer, call->size);
    return vm_xattr_get(ctx, &inode, name_of(call), call->buffer, call->size);
}

static int64_t get_call(struct vm_ctx *ctx, void *arg)
{
    struct xattr_call *call = arg;
    int result = find(ctx, call);
    if (result)
        return result;
    call->nlink = 1;
    int64_t got = vm_read_stable(ctx, call->id, get_body, call);
    if (call->nlink == 0 && !vm_is_damage(got))
        result = vm_open_check(ctx, call->id);
    return result ? result : got;
}

static int64_t run(struct vmfs *fs, bool is_change, vm_call_fn body, struct xattr_call *call)
{
    return vm_call_at(fs, is_change,
                      (struct vm_at_call){.at = &call->at, .body = body, .arg = call});
}

int64_t vmfs_xattr_get_at(struct vmfs *fs, struct vmfs_at at, int flags, const char *name,
                          void *value, size_t size)
{
    if (!fs || !at.path || !name || (!value && size) || (flags & ~VMFS_NOFOLLOW))
        return vm_bad_argument();
    struct xattr_call call = {
        .at = at, .name = name, .flags = flags, .buffer = value, .size = size};
    return run(fs, false, get_call, &call);
}

int64_t vmfs_xattr_get(struct vmfs *fs, const char *path, int flags, const char *name, void *value,
                       size_t size)
{
    return vmfs_xattr_get_at(fs, vm_at_path(path), flags, name, value, size);
}

int64_t vmfs_xattr_list_at(struct vmfs *fs, struct vmfs_at at, int flags, char *names, size_t size)
{
    if (!fs || !at.path || (!names && size) || (flags & ~(VMFS_NOFOLLOW | VMFS_XATTR_NO_TRUSTED)))
        return vm_bad_argument();
    struct xattr_call call = {.at = at, .flags = flags, .buffer = names, .size = size};
    return run(fs, false, get_call, &call);
}

int64_t vmfs_xattr_list(struct vmfs *fs, const char *path, int flags, char *names, size_t size)
{
    return vmfs_xattr_list_at(fs, vm_at_path(path), flags, names, size);
}

/* 1, 0 where there was nothing to change, or a reason. */
static int stage_change(struct vm_ctx *ctx, const struct xattr_call *call, struct vm_inode *inode)
{
    const struct vm_acl_value acl = {
        .bytes = call->value,
        .len_bytes = call->size,
        .kills_set_group = call->flags & VMFS_XATTR_KILL_SGID,
    };
    enum vm_acl_kind kind;
    if (is_acl(call, &kind))
        return vm_acl_set(ctx, inode, kind, &acl);
    const struct vm_xattr_value value = {
        .bytes = call->value,
        .len_bytes = call->size,
        .must_create = call->flags & VMFS_XATTR_CREATE,
        .must_replace = call->flags & VMFS_XATTR_REPLACE,
    };
    int result = call->is_remove ? vm_xattr_remove(ctx, inode, name_of(call))
                                 : vm_xattr_set(ctx, inode, name_of(call), &value);
    return result ? result : 1;
}

static int change_locked(struct vm_ctx *ctx, const struct xattr_call *call)
{
    struct vm_inode inode;
    int result = vm_open_load(ctx, call->id, &inode);
    if (result == 0)
        result = vm_inode_check_change(ctx, &inode, false);
    if (result == 0)
        result = check_kind(ctx, call, &inode);
    if (result)
        return result;
    result = stage_change(ctx, call, &inode);
    if (result <= 0)
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

int vmfs_xattr_set_at(struct vmfs *fs, struct vmfs_at at, int flags, const char *name,
                      const void *value, size_t size)
{
    const int known = VMFS_NOFOLLOW | VMFS_XATTR_CREATE | VMFS_XATTR_REPLACE | VMFS_XATTR_KILL_SGID;
    if (!fs || !at.path || !name || (!value && size) || (flags & ~known))
        return (int)vm_bad_argument();
    struct xattr_call call = {.at = at, .name = name, .flags = flags, .value = value, .size = size};
    return (int)run(fs, true, change_call, &call);
}

int vmfs_xattr_set(struct vmfs *fs, const char *path, int flags, const char *name,
                   const void *value, size_t size)
{
    return vmfs_xattr_set_at(fs, vm_at_path(path), flags, name, value, size);
}

int vmfs_xattr_remove_at(struct vmfs *fs, struct vmfs_at at, int flags, const char *name)
{
    if (!fs || !at.path || !name || (flags & ~VMFS_NOFOLLOW))
        return (int)vm_bad_argument();
    struct xattr_call call = {.at = at, .name = name, .flags = flags, .is_remove = true};
    return (int)run(fs, true, change_call, &call);
}

int vmfs_xattr_remove(struct vmfs *fs, const char *path, int flags, const char *name)
{
    return vmfs_xattr_remove_at(fs, vm_at_path(path), flags, name);
}
