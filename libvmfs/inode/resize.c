/* resize.c -- moving the end of a file, and cutting off what lies beyond it */
#include "base/check.h"
#include "base/util.h"
#include "inode/data.h"
#include "inode/extent.h"
#include "inode/table.h"

/* What is known to read as zero behind the end is cut off, or comes into view. */
static void forget_zeros(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    struct vm_open *open = vm_open_find(ctx, inode->id);
    if (open)
        open->zero_end = 0;
}

int vm_data_trim_step(struct vm_ctx *ctx, struct vm_inode *inode)
{
    forget_zeros(ctx, inode);
    uint64_t keep = vm_div_up(vm_inode_size(inode), VM_BLOCK_BYTES);
    int more = vm_file_cut(ctx, inode, keep);
    if (more < 0)
        return more;
    vm_inode_set_beyond(inode, more); /* D4 */
    int result = vm_inode_store(ctx, inode);
    if (result == 0)
        result = vm_tx_commit(ctx);
    if (result == 0)
        result = vm_tx_renew(ctx);
    return result ? result : more;
}

int vm_data_trim_beyond(struct vm_ctx *ctx, struct vm_inode *inode)
{
    int result;
    do {
        int more = vm_data_trim_step(ctx, inode);
        if (more <= 0)
            return more;
        vm_pause_inodes(ctx); /* O2 */
        result = vm_inode_load(ctx, inode->id, inode);
    } while (result == 0 && vm_inode_is_beyond(inode));
    return result;
}

static int grow(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t size)
{
    uint64_t filled_block;
    int result = vm_data_fill_tail(ctx, inode, size, &filled_block);
    if (result)
        return result;
    vm_inode_set_size(inode, size);
    result = vm_inode_store(ctx, inode);
    if (result == 0)
        result = vm_tx_commit(ctx);
    if (result == 0 && filled_block)
        vm_data_note_logged(ctx, filled_block);
    return result;
}

int vm_data_resize(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t size)
{
    int result = vm_data_check_size(ctx, size, 0);
    if (result)
        return result;
    if (size > vm_inode_size(inode)) {
        VM_ASSERT(!vm_inode_is_beyond(inode));
        forget_zeros(ctx, inode);
        return grow(ctx, inode, size);
    }
    vm_inode_set_size(inode, size);
    result = vm_data_trim_beyond(ctx, inode);
    return result == -VMFS_R_INODE_STALE ? 0 : result; /* it is cut, and was freed since */
}
