/* shift.h -- the extents of a file as they are after a collapse or an insert */
#ifndef VM_INODE_SHIFT_H
#define VM_INODE_SHIFT_H

#include <stdbool.h>

#include "inode/inode.h"

/* In blocks of the file: [first, end) goes, what is behind it moves by `by` (modulo 2^64). An insert has
 * first == end. */
struct vm_shift {
    uint64_t first;
    uint64_t end;
    uint64_t by;
    bool kills_set_id; /* K1, by the way */
};

/* Old extents go in, in order; new ones come out, in order, joined where they continue each other. */
typedef int (*vm_shift_fn)(struct vm_ctx *ctx, void *arg, const struct vm_extent *extent);
struct vm_shift_stream {
    const struct vm_shift *shift;
    vm_shift_fn out;  /* gets the new extents, or null */
    vm_shift_fn gone; /* gets what is taken out, or null */
    void *arg;
    uint64_t floor; /* the next old extent begins here or behind */
    struct vm_extent pending;
    uint64_t gone_blocks; /* that were taken out, and in how many pieces */
    uint64_t gone_pieces;
};

int vm_shift_add(struct vm_ctx *ctx, struct vm_shift_stream *stream, const struct vm_inode *inode,
                 const struct vm_extent *extent);
int vm_shift_end(struct vm_ctx *ctx, struct vm_shift_stream *stream);

#endif
