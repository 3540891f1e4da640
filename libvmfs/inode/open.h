/* open.h -- which inodes are open, so that they outlive their last name */
#ifndef VM_INODE_OPEN_H
#define VM_INODE_OPEN_H

#include "inode/table.h"

/* Counts one handle on a regular file. `fresh` is used, and *is_used set, if the inode was not
 * open. */
int vm_open_acquire(struct vm_ctx *ctx, uint64_t id, struct vm_open *fresh, bool *is_used);

/* Lists an inode that nobody has open, whose stripe is locked, with one handle: so that a nameless inode lives
 * from the record that makes it on. */
void vm_open_list(struct vm_ctx *ctx, uint64_t id, struct vm_open *fresh);

/* Takes one handle back. *freed_out is the entry to be freed, or null; *is_dead_out tells that nothing
 * holds the inode any more and vm_reap() is to be called. */
int vm_open_release(struct vm_ctx *ctx, uint64_t id, struct vm_open **freed_out, bool *is_dead_out);

#endif
