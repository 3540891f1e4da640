/* open.h -- which inodes are open or held, so that they outlive their last name
 *
 * A handle is for a file's bytes or a directory's entries; a hold is on an inode of any type, and says only that
 * somebody knows its id.
 *
 * O3  An inode without a name lives exactly as long as its entry here; whoever decides by that holds
 *     its stripe. So an id can be opened, or is stale, and nothing in between. */
#ifndef VM_INODE_OPEN_H
#define VM_INODE_OPEN_H

#include "inode/attr.h"
#include "inode/inode.h"
#include "inode/opens.h"

/* What a handle is opened for. */
#define VM_OPEN_WRITE     0x1u
#define VM_OPEN_APPEND    0x2u
#define VM_OPEN_TRUNCATE  0x4u
#define VM_OPEN_DIRECTORY 0x8u /* a directory, and nothing else */

/* Counts one handle on a regular file or a directory. */
int vm_open_acquire(struct vm_ctx *ctx, uint64_t id, uint32_t how);

/* Counts one hold, on what has a name, a handle or a hold, and tells the attributes at that moment; `stat` may
 * be null. */
int vm_open_hold(struct vm_ctx *ctx, uint64_t id, struct vm_stat *stat);

/* Take one handle, or some holds, back. *is_dead_out tells that nobody has the inode any more and vm_reap() is to
 * be called. That there are so many holds is the caller's to know: else nothing happens. */
int vm_open_release(struct vm_ctx *ctx, uint64_t id, bool *is_dead_out);
int vm_open_unhold(struct vm_ctx *ctx, uint64_t id, uint64_t count, bool *is_dead_out);

/* Loads an inode that has a name or a handle, under its stripe (O3). */
int vm_open_load(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out);

/* Has it a name or a handle? 0, or a reason. Takes the stripe. */
int vm_open_check(struct vm_ctx *ctx, uint64_t id);

#endif
