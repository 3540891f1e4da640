/* span.c -- what backs each byte of a file, and which bytes have images in records */
#include "inode/span.h"

#include "base/util.h"
#include "inode/data.h"
#include "inode/extent.h"
#include "inode/table.h"

int vm_span_at(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t offset,
               struct vm_span *out)
{
    struct vm_extent extent = {0};
    struct vm_extent after;
    uint64_t block = vm_block_of(offset);
    int found = vm_file_floor(ctx, inode, block, &extent);
    if (found < 0)
        return found;
    if (found && block < extent.file_block + extent.blocks) {
        bool is_unwritten = extent.flags & VM_EXTENT_UNWRITTEN;
        *out = (struct vm_span){is_unwritten ? VM_SPAN_UNWRITTEN : VM_SPAN_DATA,
                                (extent.block + (block - extent.file_block)) * VM_BLOCK_BYTES +
                                    offset % VM_BLOCK_BYTES,
                                (extent.file_block + extent.blocks) * VM_BLOCK_BYTES, extent};
        return 0;
    }
    found = vm_file_ceiling(ctx, inode, block, &after);
    if (found < 0)
        return found;
    *out = (struct vm_span){.kind = VM_SPAN_HOLE,
                            .end = found ? after.file_block * VM_BLOCK_BYTES : UINT64_MAX,
                            .extent = extent};
    return out->end > offset ? 0 : vm_extent_disorder(ctx, inode);
}

/* D3: remembers that records hold images of a block's bytes. */
static _Atomic uint64_t *logged_slot(struct vm_ctx *ctx, uint64_t block)
{
    return &ctx->itable->logged[vm_mix64(block) % VM_LOGGED_SLOTS];
}

#define LOGGED_AHEAD 256u

void vm_data_note_logged(struct vm_ctx *ctx, uint64_t block)
{
    uint64_t sequence = atomic_load(&ctx->journal->sequence);
    /* Two blocks may share a slot under different locks, so it only rises. */
    _Atomic uint64_t *slot = logged_slot(ctx, block);
    uint64_t noted = atomic_load(slot);
    while (noted < sequence && !VM_OWN(atomic_compare_exchange_weak(slot, &noted, sequence)))
        continue;
    /* Ahead of what is needed, so that it is seldom written: it only saves looking at the slots. */
    _Atomic uint64_t *last = &ctx->itable->logged_last;
    uint64_t seen = atomic_load(last);
    while (seen < sequence &&
           !VM_SHARED(&ctx->io, atomic_compare_exchange_weak(last, &seen, sequence + LOGGED_AHEAD)))
        continue;
}

int vm_images_settle(struct vm_ctx *ctx, uint64_t region_offset, uint64_t len_bytes)
{
    struct vm_journal *journal = ctx->journal;
    /* The lower one first: what is above the other is then above it, too. */
    uint64_t lower = atomic_load_explicit(&journal->watermark_lower, memory_order_acquire);
    uint64_t watermark = atomic_load_explicit(&journal->watermark, memory_order_acquire);
    if (atomic_load_explicit(&ctx->itable->logged_last, memory_order_acquire) <= lower)
        return 0;
    uint64_t last = vm_block_of(region_offset + len_bytes - 1);
    for (uint64_t block = vm_block_of(region_offset); block <= last; block++) {
        uint64_t noted = atomic_load(logged_slot(ctx, block));
        ctx->tx->has_images = ctx->tx->has_images || noted > lower;
        if (noted > watermark)
            return vm_checkpoint_all(ctx);
    }
    return 0;
}
