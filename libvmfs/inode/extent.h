/* extent.h -- where a file's blocks are: up to four extents in the inode, more in a map */
#ifndef VM_INODE_EXTENT_H
#define VM_INODE_EXTENT_H

#include "inode/inode.h"

/* As vm_extents_floor() and _ceiling(). */
int vm_file_floor(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t file_block,
                  struct vm_extent *out);
int vm_file_ceiling(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t file_block,
                    struct vm_extent *out);

/* Adds blocks that were a hole, to the extent before them where they continue it. Changes the inode in
 * memory; the caller stores it. */
int vm_file_add(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent);

/* Raised where extents that are sound each contradict each other. */
int vm_extent_disorder(struct vm_ctx *ctx, const struct vm_inode *inode);

/* Frees blocks from the end down to `from_block` as far as the record has room: 1 if more are left,
 * 0 if that was all, or a reason. */
int vm_file_cut(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t from_block);

#endif
