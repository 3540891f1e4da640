/* atime.h -- access times: stored by readers at once, durable with a later checkpoint
 *
 * A1  The word lies outside the inode's hashes and is stored alone, under the inode's stripe: so no
 *     record that is being staged holds an older one, and the slot cannot become another inode's.
 * A2  A line that was stored so is noted before the stripe is released, and the note is taken back
 *     before the line is flushed: the checkpoint misses none. Readers neither flush nor fence. */
#ifndef VM_INODE_ATIME_H
#define VM_INODE_ATIME_H

#include "inode/inode.h"

/* After a read of an inode that looked like this: sets its access time, if by relatime's rule it is
 * due. No lock is held. */
void vm_atime_touch(struct vm_ctx *ctx, const struct vm_inode *seen);

/* The same of an inode of which nothing is known. */
void vm_atime_touch_id(struct vm_ctx *ctx, uint64_t id);

/* Starts writing back noted lines, a bounded number of them: how many. For the checkpoint. */
uint64_t vm_atime_flush(struct vm_ctx *ctx);

#endif
