/* open.c -- counting handles and holds */
#include "inode/open.h"

#include "base/check.h"

/* O3 */
static int check_alive(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    if (vm_inode_nlink(inode) > 0)
        return 0;
    const struct vm_open *open = vm_open_find(ctx, inode->id);
    return open && !open->is_hidden ? 0 : vm_inode_stale(ctx, inode->id);
}

int vm_open_load(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out)
{
    int result = vm_inode_load(ctx, id, out);
    return result ? result : check_alive(ctx, out);
}

static int open_load_head(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out)
{
    int result = vm_inode_load_head(ctx, id, out);
    return result ? result : check_alive(ctx, out);
}

int vm_open_check(struct vm_ctx *ctx, uint64_t id)
{
    struct vm_inode inode;
    vm_lock_inodes(ctx, &id, 1);
    int result = open_load_head(ctx, id, &inode);
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

static int check_openable(struct vm_ctx *ctx, const struct vm_inode *inode, uint32_t how)
{
    int result = check_kind(ctx, inode, how);
    if (result || !(how & (VM_OPEN_WRITE | VM_OPEN_TRUNCATE)))
        return result;
    bool is_adding = (how & VM_OPEN_APPEND) && !(how & VM_OPEN_TRUNCATE);
    return vm_inode_check_change(ctx, inode, is_adding);
}

/* The entry of an inode at its locked stripe, made if there is none. */
static int entry_of(struct vm_ctx *ctx, uint64_t id, struct vm_open **out)
{
    *out = vm_open_find(ctx, id);
    int result = *out ? 0 : vm_opens_new(ctx, id, out);
    if (result == 0 && (*out)->handles == 0 && (*out)->holds == 0)
        vm_opens_insert(ctx, *out);
    return result;
}

int vm_open_acquire(struct vm_ctx *ctx, uint64_t id, uint32_t how)
{
    struct vm_inode inode;
    struct vm_open *open;
    vm_lock_inodes(ctx, &id, 1);
    int result = open_load_head(ctx, id, &inode);
    if (result == 0)
        result = check_openable(ctx, &inode, how);
    if (result == 0)
        result = entry_of(ctx, id, &open);
    if (result == 0)
        open->handles++;
    vm_unlock_inodes(ctx);
    return result;
}

int vm_open_hold(struct vm_ctx *ctx, uint64_t id, struct vm_stat *stat)
{
    struct vm_inode inode;
    struct vm_open *open;
    vm_lock_inodes(ctx, &id, 1);
    int result = vm_open_load(ctx, id, &inode);
    if (result == 0)
        result = entry_of(ctx, id, &open);
    if (result == 0)
        open->holds++;
    if (result == 0 && stat)
        vm_attr_get(&inode, stat);
    vm_unlock_inodes(ctx);
    return result;
}

/* An entry that counts nothing any more goes. */
static int end_entry(struct vm_ctx *ctx, struct vm_open *open, bool *is_dead_out)
{
    if (open->handles || open->holds)
        return 0;
    uint64_t id = open->id;
    struct vm_inode inode;
    vm_opens_remove(ctx, open);
    if (!open->is_hidden)
        vm_opens_free(ctx, open);
    int result = vm_inode_load_head(ctx, id, &inode);
    *is_dead_out = result == 0 && vm_inode_nlink(&inode) == 0;
    return result == -VMFS_R_INODE_STALE ? 0 : result; /* another process freed it (VMFS_PEEK) */
}

int vm_open_release(struct vm_ctx *ctx, uint64_t id, bool *is_dead_out)
{
    *is_dead_out = false;
    vm_lock_inodes(ctx, &id, 1);
    struct vm_open *open = vm_open_find(ctx, id);
    VM_ASSERT(open && open->handles > 0);
    open->handles--;
    int result = end_entry(ctx, open, is_dead_out);
    vm_unlock_inodes(ctx);
    return result;
}

int vm_open_unhold(struct vm_ctx *ctx, uint64_t id, uint64_t count, bool *is_dead_out)
{
    *is_dead_out = false;
    vm_lock_inodes(ctx, &id, 1);
    struct vm_open *open = vm_open_find(ctx, id);
    int result = 0;
    if (!open || open->holds < count)
        result = vm_raise(&ctx->err, VMFS_R_NOT_HELD, id);
    else
        open->holds -= count;
    if (result == 0)
        result = end_entry(ctx, open, is_dead_out);
    vm_unlock_inodes(ctx);
    return result;
}
