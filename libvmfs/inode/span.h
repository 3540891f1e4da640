/* span.h -- what backs each byte of a file */
#ifndef VM_INODE_SPAN_H
#define VM_INODE_SPAN_H

#include "inode/inode.h"

enum vm_span_kind {
    VM_SPAN_HOLE,
    VM_SPAN_UNWRITTEN, /* blocks that read as zero whatever they hold (U1) */
    VM_SPAN_DATA,
};

/* The bytes from a file offset up to where this holds. */
struct vm_span {
    enum vm_span_kind kind;
    uint64_t region_offset; /* of the first byte, unless it is a hole */
    uint64_t end;           /* file offset behind the last byte */
    struct vm_extent
        extent; /* that has them; of a hole the one before it, without blocks if there is none */
};

int vm_span_at(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t offset,
               struct vm_span *out);

static inline uint64_t vm_block_of(uint64_t offset)
{
    return offset / VM_BLOCK_BYTES;
}

/* D3, H3: before bytes of the region that may have images in unretired records are stored in place. What has
 * images that only one watermark line has passed is fenced with the other line (S5). */
int vm_images_settle(struct vm_ctx *ctx, uint64_t region_offset, uint64_t len_bytes);

#endif
