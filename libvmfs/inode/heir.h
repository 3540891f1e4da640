/* heir.h -- a map that is exchanged as a whole (X1, X2) */
#ifndef VM_INODE_HEIR_H
#define VM_INODE_HEIR_H

#include "inode/shift.h"

/* Remaps a file through a nameless inode that takes over its old map. No lock is held. Above 0 if the file, by
 * now, has no tree. */
int vm_heir_remap(struct vm_ctx *ctx, uint64_t id, const struct vm_shift *shift);

/* What both ways of remapping share: loads the file and checks that it may be remapped; changes what is not its
 * map. */
int vm_shift_load(struct vm_ctx *ctx, uint64_t id, const struct vm_shift *shift,
                  struct vm_inode *inode);
int vm_shift_inode(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_shift *shift);

#endif
