/* view.h -- reading a file where it lies
 *
 * Z1  No block that a view shows is given to another file, or to another place of the same one, before its pin
 *     is dropped (H23): the pin is set before the map is read.
 * Z2  Whoever has a pin waits for nothing: a view that cannot be had without a lock is taken under the stripe,
 *     and pinned there. */
#ifndef VM_INODE_VIEW_H
#define VM_INODE_VIEW_H

#include "inode/inode.h"

struct vm_view {
    uint64_t offset;
    uint64_t len_bytes;
    struct vmfs_iovec *pieces;
    unsigned piece_max;
    unsigned piece_count;
    uint32_t pin;
};

/* Fills in pieces of the region, and of zeros, that hold the bytes from `offset` on: how many bytes, fewer than
 * were asked for at the end of the file or of the pieces, or a reason. If it is not negative, the caller
 * drops the pin. */
int64_t vm_data_view(struct vm_ctx *ctx, uint64_t id, struct vm_view *view);

#endif
