/* copy.h -- copying between files inside the region */
#ifndef VM_INODE_COPY_H
#define VM_INODE_COPY_H

#include "inode/inode.h"

struct vm_copy {
    uint64_t from;
    uint64_t from_offset;
    uint64_t to;
    uint64_t to_offset;
    uint64_t len_bytes;
    bool kills_set_id; /* K1, of `to` */
};

/* Copies as far as it has time for: how many bytes, 0 at the end of `from`, or a reason. Holes and
 * unwritten blocks become holes, as far as they have whole blocks. */
int64_t vm_data_copy(struct vm_ctx *ctx, const struct vm_copy *copy);

#endif
