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
    bool is_writing = vm_inode_is_writing(inode);
    int more = is_writing ? vm_file_cut_written(ctx, inode, keep) : vm_file_cut(ctx, inode, keep);
    if (more < 0)
        return more;
    if (!more || !is_writing)
        vm_inode_set_beyond(inode, more); /* D4 */
    int result = vm_inode_store(ctx, inode);
    if (result == 0)
        result = vm_tx_commit(ctx);
    if (result == 0)
        result = vm_tx_renew(ctx);
    return result ? result : more;
}

static int trim_rest(struct vm_ctx *ctx, struct vm_inode *inode)
{
    int more = 1;
    while (more > 0) {
        vm_pause_inodes(ctx); /* O2 */
        more = vm_inode_load(ctx, inode->id, inode);
        if (more == 0 && vm_inode_is_beyond(inode))
            more = vm_data_trim_step(ctx, inode);
    }
    return more;
}

int vm_data_trim_beyond(struct vm_ctx *ctx, struct vm_inode *inode)
{
    int more = vm_data_trim_step(ctx, inode);
    return more > 0 ? trim_rest(ctx, inode) : more;
}

/* What was reserved beyond the new end goes as well (U2). The image is noted before anybody else can have
 * the stripe. */
static int grow(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t size)
{
    uint64_t filled_block;
    int result = vm_data_fill_tail(ctx, inode, size, &filled_block);
    if (result)
        return result;
    vm_inode_set_size(inode, size);
    int more = vm_data_trim_step(ctx, inode);
    if (more >= 0 && filled_block)
        vm_data_note_logged(ctx, filled_block);
    return more;
}

static int shrink(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t size)
{
    vm_inode_set_size(inode, size);
    return vm_data_trim_step(ctx, inode);
}

int vm_data_resize(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t size)
{
    int result = vm_data_check_size(ctx, size, 0);
    if (result)
        return result;
    VM_ASSERT(!vm_inode_is_beyond(inode));
    bool is_growing = size > vm_inode_size(inode);
    int more = is_growing ? grow(ctx, inode, size) : shrink(ctx, inode, size);
    if (more <= 0)
        return more;
    result = trim_rest(ctx, inode);
    return result == -VMFS_R_INODE_STALE ? 0 : result; /* it is cut, and was freed since */
}
