/* data.c -- reading and writing files */
#include "inode/data.h"

#include <string.h>

#include "base/check.h"
#include "base/util.h"
#include "inode/extent.h"
#include "inode/table.h"
#include "space/space.h"

#define RUNS_PER_STEP 4u

static uint64_t block_of(uint64_t offset)
{
    return offset / VM_BLOCK_BYTES;
}

/* What backs a file offset: the bytes in the region up to where they end, or a hole. */
struct span {
    bool is_hole;
    uint64_t region_offset;
    uint64_t end; /* file offset behind the last byte that this holds for */
};

static int span_at(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t offset,
                   struct span *out)
{
    struct vm_extent extent;
    uint64_t block = block_of(offset);
    int found = vm_file_floor(ctx, inode, block, &extent);
    if (found < 0)
        return found;
    if (found && block < extent.file_block + extent.blocks) {
        *out = (struct span){false,
                             (extent.block + (block - extent.file_block)) * VM_BLOCK_BYTES +
                                 offset % VM_BLOCK_BYTES,
                             (extent.file_block + extent.blocks) * VM_BLOCK_BYTES};
        return 0;
    }
    found = vm_file_ceiling(ctx, inode, block, &extent);
    if (found < 0)
        return found;
    *out = (struct span){true, 0, found ? extent.file_block * VM_BLOCK_BYTES : UINT64_MAX};
    return out->end > offset ? 0 : vm_extent_disorder(ctx, inode);
}

int64_t vm_data_read(struct vm_ctx *ctx, const struct vm_inode *inode, void *buffer,
                     uint64_t len_bytes, uint64_t offset)
{
    uint64_t size = vm_inode_size(inode);
    if (offset >= size)
        return 0;
    uint64_t end = offset + vm_min(len_bytes, size - offset);
    uint8_t *to = buffer;
    for (uint64_t at = offset; at < end;) {
        struct span span;
        int result = span_at(ctx, inode, at, &span);
        if (result)
            return result;
        uint64_t count = vm_min(end, span.end) - at;
        if (span.is_hole)
            memset(to, 0, count);
        else
            vm_copy_data(to, ctx->region->base + span.region_offset, count);
        to += count;
        at += count;
    }
    return (int64_t)(end - offset);
}

int64_t vm_data_seek(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t offset,
                     bool is_hole)
{
    uint64_t size = vm_inode_size(inode);
    uint64_t at = offset;
    while (at < size) {
        struct span span;
        int result = span_at(ctx, inode, at, &span);
        if (result)
            return result;
        if (span.is_hole == is_hole)
            return (int64_t)at;
        at = span.end;
    }
    if (is_hole && offset < size)
        return (int64_t)size;
    return vm_raise(&ctx->err, VMFS_R_NO_DATA, offset);
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

/* D3, H3: before bytes of these blocks are stored in place. */
static int settle_images(struct vm_ctx *ctx, uint64_t offset, uint64_t len_bytes)
{
    uint64_t watermark = atomic_load_explicit(&ctx->journal->watermark, memory_order_acquire);
    if (atomic_load_explicit(&ctx->itable->logged_last, memory_order_acquire) <= watermark)
        return 0;
    uint64_t last = block_of(offset + len_bytes - 1);
    for (uint64_t block = block_of(offset); block <= last; block++)
        if (atomic_load(logged_slot(ctx, block)) > watermark)
            return vm_checkpoint_all(ctx);
    return 0;
}

/* One write call on its way; `at` is how far it got. */
struct write {
    struct vm_ctx *ctx;
    struct vm_inode inode;
    struct vm_open *open; /* or null */
    const uint8_t *bytes;
    uint64_t offset;
    uint64_t end;
    uint64_t at;
    uint64_t old_size;
    uint64_t hole_at;      /* where the first hole of this step began */
    uint64_t filled_block; /* whose tail was staged as zeros, or 0 */
    unsigned runs;
    bool is_changed;    /* the inode must be stored */
    bool is_step_whole; /* what is staged can be committed although more was wanted */
};

static uint64_t zero_end(const struct write *write)
{
    return write->open ? write->open->zero_end : 0;
}

/* D2: bytes between the old end and `to` in the block of the old end become zero. */
int vm_data_fill_tail(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t to,
                      uint64_t *block_out)
{
    uint64_t size = vm_inode_size(inode);
    uint64_t stop = vm_min(to, vm_align_up(size, VM_BLOCK_BYTES));
    *block_out = 0;
    if (stop == size)
        return 0;
    struct span span;
    int result = span_at(ctx, inode, size, &span);
    if (result || span.is_hole)
        return result;
    vm_tx_fill(ctx, span.region_offset, stop - size, 0);
    *block_out = block_of(span.region_offset);
    return 0;
}

/* Stores into blocks that the file has. What lies behind the old end comes into view with the record, so
 * it is fenced before (D1), unless it is known to read as zero. */
static int write_in_place(struct write *write, const struct span *span)
{
    struct vm_ctx *ctx = write->ctx;
    uint64_t stop = vm_min(write->end, span->end);
    uint64_t count = stop - write->at;
    int result = settle_images(ctx, span->region_offset, count);
    if (result)
        return result;
    vm_stripe_open(vm_stripe_of(ctx, write->inode.id)); /* L1, D5 */
    vm_io_copy_words(&ctx->io, span->region_offset, write->bytes + (write->at - write->offset),
                     count);
    if (stop > write->old_size && stop > zero_end(write))
        ctx->tx->has_payload = true; /* D1 */
    else
        ctx->tx->has_in_place = true;
    write->at = stop;
    return 0;
}

/* Stores data into fresh blocks, with zeros around it unless they are there already. */
static void store_fresh(struct write *write, const struct vm_run *run, uint64_t start,
                        uint64_t stop)
{
    struct vm_ctx *ctx = write->ctx;
    uint64_t region_start = run->block * VM_BLOCK_BYTES;
    uint64_t file_start = vm_align_down(start, VM_BLOCK_BYTES);
    uint64_t file_stop = file_start + run->count * VM_BLOCK_BYTES;
    vm_io_copy(&ctx->io, region_start + (start - file_start),
               write->bytes + (start - write->offset), stop - start);
    if (run->is_zeroed) {
        ctx->tx->has_in_place = true;
        return;
    }
    ctx->tx->has_payload = true; /* D1 */
    if (start > file_start)
        vm_tx_payload_zero(ctx, region_start, start - file_start);
    if (file_stop > stop)
        vm_tx_payload_zero(ctx, region_start + (stop - file_start), file_stop - stop);
}

static uint64_t allocation_goal(struct write *write)
{
    struct vm_extent before;
    uint64_t block = block_of(write->at);
    if (vm_file_floor(write->ctx, &write->inode, block, &before) <= 0)
        return 0;
    return before.block + (block - before.file_block);
}

static int write_hole(struct write *write, const struct span *span)
{
    struct vm_ctx *ctx = write->ctx;
    uint64_t first = block_of(write->at);
    uint64_t limit = vm_min(write->end, span->end);
    uint64_t want = vm_min(vm_div_up(limit, VM_BLOCK_BYTES) - first, VM_GROUP_BLOCKS);
    struct vm_run run;
    write->is_step_whole = true;
    if (write->runs == 0)
        write->hole_at = write->at;
    int result = vm_space_take_run(ctx, allocation_goal(write), want, &run);
    if (result)
        return result;
    write->is_step_whole = false;
    uint64_t stop = vm_min(limit, (first + run.count) * VM_BLOCK_BYTES);
    store_fresh(write, &run, write->at, stop);
    struct vm_extent extent = {.file_block = first,
                               .block = run.block,
                               .blocks = (uint32_t)run.count,
                               .birth = ctx->region->epoch};
    result = vm_file_add(ctx, &write->inode, &extent);
    if (result)
        return result;
    write->at = stop;
    write->runs++;
    write->is_changed = true;
    if (write->open && stop >= write->old_size)
        write->open->zero_end = (first + run.count) * VM_BLOCK_BYTES;
    return 0;
}

/* Publishes what is staged. In the middle of a long write the size stays old and the blocks lie beyond
 * it (D4). */
static int publish(struct write *write, bool is_last)
{
    struct vm_ctx *ctx = write->ctx;
    struct vm_inode *inode = &write->inode;
    uint64_t size = vm_max(write->old_size, write->at);
    if (is_last) {
        bool is_stale = (int64_t)vm_get64(inode->m.mtime_ns) != ctx->now_ns ||
                        (int64_t)vm_get64(inode->m.ctime_ns) != ctx->now_ns;
        write->is_changed =
            write->is_changed || is_stale || size != write->old_size || vm_inode_is_beyond(inode);
        vm_inode_set_size(inode, size);
        vm_inode_set_beyond(inode, false);
        vm_inode_touch(ctx, inode);
    } else if (write->at > write->old_size) {
        vm_inode_set_beyond(inode, true);
    }
    int result = write->is_changed ? vm_inode_store(ctx, inode) : 0;
    if (result == 0)
        result = vm_tx_commit(ctx);
    if (result)
        return result;
    vm_stripe_close(vm_stripe_of(ctx, inode->id)); /* D5 */
    if (write->filled_block)
        vm_data_note_logged(ctx, write->filled_block);
    write->filled_block = 0;
    return 0;
}

static int next_step(struct write *write)
{
    int result = publish(write, false);
    if (result == 0)
        result = vm_tx_renew(write->ctx);
    write->runs = 0;
    return result;
}

/* A step stores in place first and fills holes then, never the other way round: what it has stored
 * in place cannot be taken back, and must not lie behind a hole that may not be filled. */
static int write_piece(struct write *write)
{
    struct span span;
    int result = span_at(write->ctx, &write->inode, write->at, &span);
    if (result)
        return result;
    bool is_full = write->runs == RUNS_PER_STEP || (write->runs && !span.is_hole);
    if (is_full)
        result = next_step(write);
    if (result)
        return result;
    return span.is_hole ? write_hole(write, &span) : write_in_place(write, &span);
}

/* Space ran out. A step that is whole is kept, of half of one what was stored in place. */
static int64_t write_cut_short(struct write *write, int reason)
{
    struct vm_ctx *ctx = write->ctx;
    if (write->open)
        write->open->zero_end = 0;
    if (reason != -VMFS_R_NO_SPACE && reason != -VMFS_R_BACKING)
        return reason;
    if (!write->is_step_whole) {
        int result = vm_tx_restart(ctx);
        if (result == 0)
            result = vm_inode_load(ctx, write->inode.id, &write->inode);
        if (result == 0 && write->filled_block)
            result = vm_data_fill_tail(ctx, &write->inode, write->offset, &write->filled_block);
        if (result)
            return result;
        write->at = write->hole_at;
        ctx->tx->has_payload = true; /* D1: what was stored in place is not fenced yet */
    }
    if (write->at == write->offset)
        return reason;
    int result = publish(write, true);
    return result ? result : (int64_t)(write->at - write->offset);
}

static int64_t write_locked(struct write *write)
{
    struct vm_ctx *ctx = write->ctx;
    int result = 0;
    uint64_t gap_end = vm_min(write->offset, vm_align_up(write->old_size, VM_BLOCK_BYTES));
    if (result == 0 && write->offset > write->old_size && zero_end(write) < gap_end)
        result = vm_data_fill_tail(ctx, &write->inode, write->offset, &write->filled_block);
    while (result == 0 && write->at < write->end)
        result = write_piece(write);
    if (result == 0)
        result = publish(write, true);
    if (result)
        return write_cut_short(write, result);
    return (int64_t)(write->end - write->offset);
}

int vm_data_check_size(struct vm_ctx *ctx, uint64_t offset, uint64_t len_bytes)
{
    if (vm_range_inside(offset, len_bytes, VMFS_FILE_MAX))
        return 0;
    return vm_raise(&ctx->err, VMFS_R_TOO_BIG, offset);
}

static int64_t write_begun(struct vm_ctx *ctx, uint64_t id, const struct vm_data_range *range,
                           uint64_t *end_out)
{
    struct write write = {.ctx = ctx, .bytes = range->bytes, .is_step_whole = true};
    int result = vm_inode_load(ctx, id, &write.inode);
    if (result == 0 && vm_inode_is_beyond(&write.inode))
        result = vm_data_trim_beyond(ctx, &write.inode); /* D4 */
    if (result)
        return result;
    write.open = vm_open_find(ctx, id);
    write.old_size = vm_inode_size(&write.inode);
    write.offset = range->is_append ? write.old_size : range->offset;
    result = vm_data_check_size(ctx, write.offset, range->len_bytes);
    if (result)
        return result;
    write.end = write.offset + range->len_bytes;
    write.at = write.hole_at = write.offset;
    int64_t written = write_locked(&write);
    if (written >= 0)
        *end_out = write.offset + (uint64_t)written;
    return written;
}

int64_t vm_data_write(struct vm_ctx *ctx, uint64_t id, struct vm_data_range range,
                      uint64_t *end_out)
{
    int64_t result = vm_tx_begin(ctx);
    if (result)
        return result;
    vm_lock_inodes(ctx, &id, 1);
    result = write_begun(ctx, id, &range, end_out);
    if (result < 0 && vm_stripe_version(vm_stripe_of(ctx, id)) % 2)
        (void)vm_io_fence(&ctx->io); /* D5: the write failed after it had stored in place */
    vm_stripe_close(vm_stripe_of(ctx, id));
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
    return result;
}
