/* open.c -- counting handles */
#include "inode/open.h"

#include "base/check.h"

int vm_open_load(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out)
{
    int result = vm_inode_load(ctx, id, out);
    if (result)
        return result;
    const struct vm_open *open = vm_open_find(ctx, id);
    bool is_alive = vm_inode_nlink(out) > 0 || (open && !open->is_hidden);
    return is_alive ? 0 : vm_inode_stale(ctx, id); /* O3 */
}

int vm_open_check(struct vm_ctx *ctx, uint64_t id)
{
    struct vm_inode inode;
    vm_lock_inodes(ctx, &id, 1);
    int result = vm_open_load(ctx, id, &inode);
    vm_unlock_inodes(ctx);
    return result;
}

static int check_kind(struct vm_ctx *ctx, const struct vm_inode *inode, uint32_t how)
{
    bool is_directory = vm_inode_is_directory(inode);
    if (how & VM_OPEN_DIRECTORY)
        return is_directory ? 0 : vm_raise(&ctx->err, VMFS_R_OPENDIR_FILE, inode->id);
    if (is_directory)
        return vm_raise(&ctx->err, VMFS_R_OPEN_DIRECTORY, inode->id);
    if (inode->m.kind == VM_INODE_SYMLINK)
        return vm_raise(&ctx->err, VMFS_R_SYMLINK_REFUSED, inode->id);
    if (!vm_inode_is_file(inode))
        return vm_raise(&ctx->err, VMFS_R_NOT_OPENABLE, inode->id);
    return 0;
}

static int check_openable(struct vm_ctx *ctx, uint64_t id, uint32_t how)
{
    struct vm_inode inode;
    int result = vm_open_load(ctx, id, &inode);
    if (result == 0)
        result = check_kind(ctx, &inode, how);
    if (result || !(how & (VM_OPEN_WRITE | VM_OPEN_TRUNCATE)))
        return result;
    bool is_adding = (how & VM_OPEN_APPEND) && !(how & VM_OPEN_TRUNCATE);
    return vm_inode_check_change(ctx, &inode, is_adding);
}

void vm_open_list(struct vm_ctx *ctx, uint64_t id, struct vm_open *fresh)
{
    struct vm_stripe *stripe = vm_stripe_of(ctx, id);
    *fresh = (struct vm_open){.id = id, .handles = 1, .next = stripe->owner_list};
    stripe->owner_list = fresh;
}

int vm_open_acquire(struct vm_ctx *ctx, uint64_t id, uint32_t how, struct vm_open *fresh,
                    bool *is_used)
{
    vm_lock_inodes(ctx, &id, 1);
    int result = check_openable(ctx, id, how);
    struct vm_open *open = result ? NULL : vm_open_find(ctx, id);
    *is_used = result == 0 && !open;
    if (open)
        open->handles++;
    else if (*is_used)
        vm_open_list(ctx, id, fresh);
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
        if (result == -VMFS_R_INODE_STALE) /* another process freed it (VMFS_PEEK) */
            result = 0;
    }
    vm_unlock_inodes(ctx);
    return result;
}
