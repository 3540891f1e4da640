/* open.c -- counting handles */
#include "inode/open.h"

#include "base/check.h"
#include "inode/inode.h"

/* A nameless inode that nobody has open is being freed, step by step (O1): it is as good as gone. */
static int check_openable(struct vm_ctx *ctx, uint64_t id)
{
    struct vm_inode inode;
    int result = vm_inode_load(ctx, id, &inode);
    if (result)
        return result;
    if (vm_inode_nlink(&inode) == 0 && !vm_open_find(ctx, id))
        return vm_inode_stale(ctx, id);
    if (vm_inode_is_directory(&inode))
        return vm_raise(&ctx->err, VMFS_R_OPEN_DIRECTORY, id);
    if (inode.m.kind == VM_INODE_SYMLINK)
        return vm_raise(&ctx->err, VMFS_R_SYMLINK_REFUSED, id);
    if (!vm_inode_is_file(&inode))
        return vm_raise(&ctx->err, VMFS_R_NOT_OPENABLE, id);
    return 0;
}

void vm_open_list(struct vm_ctx *ctx, uint64_t id, struct vm_open *fresh)
{
    struct vm_stripe *stripe = vm_stripe_of(ctx, id);
    *fresh = (struct vm_open){.id = id, .handles = 1, .next = stripe->owner_list};
    stripe->owner_list = fresh;
}

int vm_open_acquire(struct vm_ctx *ctx, uint64_t id, struct vm_open *fresh, bool *is_used)
{
    vm_lock_inodes(ctx, &id, 1);
    int result = check_openable(ctx, id);
    struct vm_open *open = result ? NULL : vm_open_find(ctx, id);
    *is_used = result == 0 && !open;
    if (*is_used)
        vm_open_list(ctx, id, fresh);
    else if (open)
        open->handles++;
    vm_unlock_inodes(ctx);
    return result;
}

static struct vm_open *unlist(struct vm_ctx *ctx, uint64_t id)
{
    struct vm_stripe *stripe = vm_stripe_of(ctx, id);
    struct vm_open *open = stripe->owner_list;
    if (open->id == id) {
        stripe->owner_list = open->next;
        return open;
    }
    while (open->next->id != id)
        open = open->next;
    struct vm_open *found = open->next;
    open->next = found->next;
    return found;
}

int vm_open_release(struct vm_ctx *ctx, uint64_t id, struct vm_open **freed_out, bool *is_dead_out)
{
    *freed_out = NULL;
    *is_dead_out = false;
    vm_lock_inodes(ctx, &id, 1);
    struct vm_open *open = vm_open_find(ctx, id);
    VM_ASSERT(open && open->handles > 0);
    int result = 0;
    if (--open->handles == 0) {
        *freed_out = unlist(ctx, id);
        struct vm_inode inode;
        result = vm_inode_load(ctx, id, &inode);
        *is_dead_out = result == 0 && vm_inode_nlink(&inode) == 0;
    }
    vm_unlock_inodes(ctx);
    return result;
}
