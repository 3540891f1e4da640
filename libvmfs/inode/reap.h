/* reap.h -- freeing inodes that have lost their last name
 *
 * O1  A file goes in as many records as it needs: its orphan bit is set in the first and cleared in the
 *     last, so that whoever opens the region after a crash goes on where it stopped.
 * O2  Between two of these records the inode's stripe is free for those who wait for it, and the inode is
 *     loaded again: others may open, extend or free it meanwhile. */
#ifndef VM_INODE_REAP_H
#define VM_INODE_REAP_H

#include "inode/inode.h"

/* Stages as much of the freeing of a nameless inode as one record holds, and the inode: 1 if more is
 * left, 0 if it is free, or a reason. */
int vm_reap_stage(struct vm_ctx *ctx, struct vm_inode *inode);

/* Frees an inode that has neither names nor handles, and of another one what lies beyond its end (D4). No
 * lock is held. */
int vm_reap(struct vm_ctx *ctx, uint64_t id);

/* One bounded step of cleaning what an earlier life left: 1 if there may be more, 0, or a reason.
 */
int vm_reap_orphans(struct vm_ctx *ctx);

#endif
