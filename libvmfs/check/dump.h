/* dump.h -- parts of a region as text
 *
 * F3  What is read from the medium bounds no walk: nodes of an inode are counted against the blocks of
 *     the region, and the tree enters each directory once. So a dump of any bytes ends. */
#ifndef VM_CHECK_DUMP_H
#define VM_CHECK_DUMP_H

#include "media/ctx.h"
#include "vmfs.h"

/* As vmfs_dump(). 0 or a reason. */
int vm_dump_run(struct vm_ctx *ctx, enum vmfs_dump_what what, uint64_t where, vmfs_text_fn fn,
                void *arg);

#endif
