/* remap.h -- moving what lies behind a place in a file: collapse and insert
 *
 * X1  The file gets its new map, size and block count in one record, whatever its number of extents. A map
 *     that does not fit into that record is written as payload into blocks that a nameless inode, the
 *     heir, has taken as if they were its data; the record exchanges what the two have.
 * X2  From then on the heir has the old map (VM_BODY_RETIRED): reaping it frees that map's nodes and the blocks
 *     of the range that was taken out, nothing else of what both maps name. Before, it is a nameless
 *     file like any other: a crash, or a lack of space, gives everything back.
 * X3  Reading and copying the old map, the locks are let go every few leaves; a file that was changed
 *     meanwhile, as its stripe's version tells, is begun again, and after a few times the locks stay. */
#ifndef VM_INODE_REMAP_H
#define VM_INODE_REMAP_H

#include "inode/alloc.h"

/* Takes `len_bytes` at `offset` out of a file, or makes room for them; both are multiples of
 * VM_BLOCK_BYTES. A small map: one fence where at most 16 extents are left, else two; a large one: the heir
 * costs a record to make, one or more to take blocks, and those of its reaping. */
int vm_data_collapse(struct vm_ctx *ctx, const struct vm_alloc_range *range);
int vm_data_insert(struct vm_ctx *ctx, const struct vm_alloc_range *range);

#endif
