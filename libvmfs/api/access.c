/* access.c -- may somebody do something? */
#include "api/public.h"
#include "inode/acl.h"
#include "inode/open.h"

_Static_assert(VMFS_R_OK == VM_MAY_READ && VMFS_W_OK == VM_MAY_WRITE && VMFS_X_OK == VM_MAY_EXECUTE,
               "permissions are the medium's");

struct access_call {
    bool is_read_only;
    struct vmfs_at at;
    int flags;
    struct vm_cred cred;
    uint32_t want;
    uint64_t id;
    uint32_t nlink; /* as it was read */
};

/* Devices, fifos and sockets can be written on what is read-only. */
static int check_read_only(struct vm_ctx *ctx, const struct access_call *call,
                           const struct vm_inode *inode)
{
    bool is_special = inode->m.kind == VM_INODE_SPECIAL;
    bool is_refused = (call->want & VM_MAY_WRITE) && !is_special && call->is_read_only;
    return is_refused ? vm_raise(&ctx->err, VMFS_R_READ_ONLY_FILE, inode->id) : 0;
}

/* In the order of Linux's inode_permission(). */
static int64_t access_body(struct vm_ctx *ctx, void *arg)
{
    struct access_call *call = arg;
    struct vm_inode inode;
    int result = vm_inode_load(ctx, call->id, &inode);
    if (result)
        return result;
    call->nlink = vm_inode_nlink(&inode);
    result = check_read_only(ctx, call, &inode);
    if (result == 0 && (call->want & VM_MAY_WRITE) &&
        (vm_inode_flags(&inode) & VM_INODE_FLAG_IMMUTABLE))
        result = vm_inode_check_change(ctx, &inode, false);
    if (result == 0)
        result = vm_acl_check(ctx, &inode, &call->cred, call->want);
    return result;
}

static int64_t access_call(struct vm_ctx *ctx, void *arg)
{
    struct access_call *call = arg;
    ctx->cred = &call->cred;
    int result = vm_at_resolve(ctx, &call->at, !(call->flags & VMFS_NOFOLLOW), &call->id);
    if (result)
        return result;
    call->nlink = 1;
    int64_t answer = vm_read_stable(ctx, call->id, access_body, call);
    if (call->nlink == 0 && !vm_is_damage(answer))
        result = vm_open_check(ctx, call->id);
    return result ? result : answer;
}

int vmfs_access_at(struct vmfs *fs, struct vmfs_at at, int flags, const struct vmfs_cred *cred,
                   int mask)
{
    const int all = VMFS_R_OK | VMFS_W_OK | VMFS_X_OK;
    if (!fs || !at.path || !cred || (!cred->groups && cred->group_count) ||
        (flags & ~VMFS_NOFOLLOW) || (mask & ~all))
        return (int)vm_bad_argument();
    struct access_call call = {
        .is_read_only = fs->is_read_only || atomic_load(&fs->is_damaged),
        .at = at,
        .flags = flags,
        .cred = {cred->uid, cred->gid, cred->groups, cred->group_count},
        .want = (uint32_t)mask,
    };
    return (int)vm_call_at(fs, false,
                           (struct vm_at_call){.at = &call.at, .body = access_call, .arg = &call});
}
