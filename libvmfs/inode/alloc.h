/* alloc.h -- giving ranges of files blocks ahead of data, and taking them back
 *
 * U1  An unwritten extent has blocks and reads as zero whatever they hold: it is a hole with a
 *     promise. A write makes written exactly the blocks that it touches, whole ones, which it has
 *     stored and fenced before (D1); what it shares a block with is zero from then on. On a region without
 *     space for a node it makes more of the extent written, as zeros.
 * U2  Behind the end of a file lie no written extents (D4), but unwritten ones may: a size kept while
 *     blocks were reserved. A change of the size drops those beyond the new one.
 * U3  A step that makes blocks unwritten, or takes them out, is whole in its record: in between a
 *     byte is as it was or zero. */
#ifndef VM_INODE_ALLOC_H
#define VM_INODE_ALLOC_H

#include "inode/inode.h"

struct vm_alloc_range {
    uint64_t id;
    uint64_t offset;
    uint64_t len_bytes;
    bool is_size_kept;
    bool kills_set_id; /* K1 */
};

/* Gives blocks to the holes of a range; unless the size is kept, the file reaches to its end. After
 * NO_SPACE a part of the range may have its blocks. */
int vm_data_reserve(struct vm_ctx *ctx, const struct vm_alloc_range *range);

/* The range becomes a hole; what it shares of a block with others becomes zero. The size is kept. */
int vm_data_punch(struct vm_ctx *ctx, const struct vm_alloc_range *range);

/* The range reads as zero and has blocks. */
int vm_data_zero(struct vm_ctx *ctx, const struct vm_alloc_range *range);

#endif
