/* open.h -- which inodes are open, so that they outlive their last name
 *
 * O3  An inode without a name lives exactly as long as its entry here; whoever decides by that holds
 *     its stripe. So an id can be opened, or is stale, and nothing in between. */
#ifndef VM_INODE_OPEN_H
#define VM_INODE_OPEN_H

#include "inode/inode.h"
#include "inode/table.h"

/* What a handle is opened for. */
#define VM_OPEN_WRITE     0x1u
#define VM_OPEN_APPEND    0x2u
#define VM_OPEN_TRUNCATE  0x4u
#define VM_OPEN_DIRECTORY 0x8u /* a directory, and nothing else */

/* Counts one handle on a regular file or a directory. `fresh` is used, and *is_used set, if the inode
 * was not open. */
int vm_open_acquire(struct vm_ctx *ctx, uint64_t id, uint32_t how, struct vm_open *fresh,
                    bool *is_used);

/* Lists an inode that nobody has open, whose stripe is locked, with one handle: so that a nameless inode lives
 * from the record that makes it on. */
void vm_open_list(struct vm_ctx *ctx, uint64_t id, struct vm_open *fresh);

/* Takes one handle back. *freed_out is the entry to be freed, or null; *is_dead_out tells that nothing
 * holds the inode any more and vm_reap() is to be called. */
int vm_open_release(struct vm_ctx *ctx, uint64_t id, struct vm_open **freed_out, bool *is_dead_out);

/* Loads an inode that has a name or a handle, under its stripe (O3). */
int vm_open_load(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out);

/* Has it a name or a handle? 0, or a reason. Takes the stripe. */
int vm_open_check(struct vm_ctx *ctx, uint64_t id);

#endif
