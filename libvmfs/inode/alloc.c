/* alloc.c -- reserving, punching and zeroing, step by step
 *
 * Each works through its range with as many changes in a record as that holds. What a range shares of
 * a block with others is zeroed in place, last, when nothing can fail any more for want of space. */
#include "inode/alloc.h"

#include "base/check.h"
#include "base/util.h"
#include "inode/data.h"
#include "inode/extent.h"
#include "inode/priv.h"
#include "inode/span.h"
#include "inode/table.h"
#include "space/space.h"

/* A change on its way; `at` is the block that it has come to. */
struct alloc {
    struct vm_ctx *ctx;
    uint64_t id;
    struct vm_inode inode;
    uint64_t offset;
    uint64_t end;
    uint64_t first; /* whole blocks */
    uint64_t stop;
    uint64_t at;
    uint64_t filled_block; /* whose tail was staged as zeros, or 0 */
    uint64_t step_at;      /* where the running step began */
    unsigned staged;       /* changes in this record */
    bool is_size_kept;
    bool kills_set_id;
    bool is_seen;    /* what is changed can be read: nobody sees the steps between (D5) */
    bool is_changed; /* something is staged, or was */
    bool is_single;  /* a change a record: the region is so full that one may have to be dropped */
};

static int commit(struct alloc *alloc, bool is_last)
{
    struct vm_ctx *ctx = alloc->ctx;
    int killed = is_last ? vm_priv_kill(ctx, &alloc->inode, alloc->kills_set_id) : 0; /* K1 */
    if (killed < 0)
        return killed;
    alloc->is_changed = alloc->is_changed || killed;
    if (alloc->is_changed && is_last)
        vm_inode_touch(ctx, &alloc->inode);
    int result = alloc->is_changed ? vm_inode_store(ctx, &alloc->inode) : 0;
    ctx->is_window_kept = alloc->is_seen && !is_last;
    if (ctx->is_window_kept)
        vm_stripe_open(vm_stripe_of(ctx, alloc->id)); /* L1, D5 */
    if (result == 0)
        result = vm_tx_commit(ctx);
    if (result)
        return result;
    if (is_last)
        vm_stripe_close(vm_stripe_of(ctx, alloc->id)); /* D5 */
    if (alloc->filled_block)
        vm_data_note_logged(ctx, alloc->filled_block);
    alloc->filled_block = 0;
    alloc->staged = 0;
    return is_last ? 0 : vm_tx_renew(ctx);
}

/* Before a change: a new record if this one is full. */
static int make_room(struct alloc *alloc)
{
    bool is_full =
        alloc->staged && (alloc->is_single || !vm_file_has_room(alloc->ctx, &alloc->inode));
    int result = is_full ? commit(alloc, false) : 0;
    if (alloc->staged == 0)
        alloc->step_at = alloc->at;
    return result;
}

static void note_change(struct alloc *alloc)
{
    alloc->is_changed = true;
    alloc->staged++;
}

/* Forgets what is staged. */
static int drop_step(struct alloc *alloc)
{
    alloc->staged = 0;
    alloc->at = alloc->step_at;
    int result = vm_tx_restart(alloc->ctx);
    return result ? result : vm_inode_load(alloc->ctx, alloc->id, &alloc->inode);
}

/* ---- reserving ---- */

static uint64_t reserve_goal(struct alloc *alloc)
{
    struct vm_extent before;
    if (vm_file_floor(alloc->ctx, &alloc->inode, alloc->at, &before) <= 0)
        return 0;
    return before.block + (alloc->at - before.file_block);
}

static int reserve_hole(struct alloc *alloc, uint64_t stop)
{
    struct vm_ctx *ctx = alloc->ctx;
    struct vm_run run;
    int result = make_room(alloc);
    if (result == 0)
        result = vm_space_take_run(ctx, reserve_goal(alloc), alloc->at,
                                   vm_min(stop - alloc->at, VM_GROUP_BLOCKS), &run);
    if (result)
        return result;
    const struct vm_extent extent = {.file_block = alloc->at,
                                     .block = run.block,
                                     .blocks = (uint32_t)run.count,
                                     .flags = VM_EXTENT_UNWRITTEN,
                                     .birth = ctx->region->epoch};
    result = vm_file_add(ctx, &alloc->inode, &extent);
    if (result)
        return result;
    note_change(alloc);
    alloc->at += run.count;
    return 0;
}

/* Every hole between two blocks gets unwritten blocks (U1). */
static int reserve_blocks(struct alloc *alloc, uint64_t first, uint64_t stop)
{
    int result = 0;
    alloc->at = first;
    while (result == 0 && alloc->at < stop) {
        struct vm_span span;
        result = vm_span_at(alloc->ctx, &alloc->inode, alloc->at * VM_BLOCK_BYTES, &span);
        if (result)
            break;
        uint64_t span_stop = vm_min(stop, vm_block_of(span.end));
        if (span.kind == VM_SPAN_HOLE)
            result = reserve_hole(alloc, span_stop);
        else
            alloc->at = span_stop;
    }
    return result;
}

/* D2: what comes into view is zero. */
static int move_end(struct alloc *alloc)
{
    if (alloc->is_size_kept || alloc->end <= vm_inode_size(&alloc->inode))
        return 0;
    int result = vm_data_fill_tail(alloc->ctx, &alloc->inode, alloc->end, &alloc->filled_block);
    if (result)
        return result;
    vm_inode_set_size(&alloc->inode, alloc->end);
    note_change(alloc);
    return 0;
}

static int reserve(struct alloc *alloc)
{
    uint64_t stop = vm_div_up(alloc->end, VM_BLOCK_BYTES);
    int result = reserve_blocks(alloc, vm_block_of(alloc->offset), stop);
    return result ? result : move_end(alloc);
}

/* ---- taking data away ---- */

/* Zeroes what the file has written between two offsets, in place; at most one fence follows. */
static int zero_in_place(struct alloc *alloc, uint64_t from, uint64_t to)
{
    struct vm_ctx *ctx = alloc->ctx;
    uint64_t end = vm_min(to, vm_inode_size(&alloc->inode));
    for (uint64_t at = from; at < end;) {
        struct vm_span span;
        int result = vm_span_at(ctx, &alloc->inode, at, &span);
        if (result)
            return result;
        uint64_t stop = vm_min(end, span.end);
        if (span.kind == VM_SPAN_DATA) {
            result = vm_images_settle(ctx, span.region_offset, stop - at);
            if (result)
                return result;
            vm_stripe_open(vm_stripe_of(ctx, alloc->id));                /* L1, D5 */
            vm_io_set_words(&ctx->io, span.region_offset, 0, stop - at); /* P2 */
            ctx->tx->has_in_place = true;
            alloc->is_changed = true;
        }
        at = stop;
    }
    return 0;
}

/* The bytes of the range that are not in its whole blocks. */
static int zero_edges(struct alloc *alloc)
{
    uint64_t first = alloc->first * VM_BLOCK_BYTES;
    uint64_t stop = alloc->stop * VM_BLOCK_BYTES;
    if (alloc->first >= alloc->stop)
        return zero_in_place(alloc, alloc->offset, alloc->end);
    int result = zero_in_place(alloc, alloc->offset, first);
    return result ? result : zero_in_place(alloc, stop, vm_max(stop, alloc->end));
}

/* The extent that has the block at `at`, or the next one before `stop`, and which part of it is meant: 1, 0
 * or a reason. */
static int next_part(struct alloc *alloc, struct vm_extent *extent, struct vm_part *part)
{
    struct vm_ctx *ctx = alloc->ctx;
    if (alloc->at >= alloc->stop)
        return 0;
    int found = vm_file_floor(ctx, &alloc->inode, alloc->at, extent);
    if (found == 0 || (found > 0 && extent->file_block + extent->blocks <= alloc->at))
        found = vm_file_ceiling(ctx, &alloc->inode, alloc->at, extent);
    if (found <= 0 || extent->file_block >= alloc->stop)
        return found < 0 ? found : 0;
    uint64_t end = extent->file_block + extent->blocks;
    part->first = vm_max(alloc->at, extent->file_block);
    part->count = vm_min(end, alloc->stop) - part->first;
    return end > alloc->at ? 1 : vm_extent_disorder(ctx, &alloc->inode);
}

typedef int (*part_fn)(struct alloc *alloc, const struct vm_extent *extent,
                       const struct vm_part *part);

static int punch_part(struct alloc *alloc, const struct vm_extent *extent,
                      const struct vm_part *part)
{
    int result = vm_file_punch(alloc->ctx, &alloc->inode, extent, part);
    if (result == 0)
        note_change(alloc);
    return result;
}

static int unwrite_part(struct alloc *alloc, const struct vm_extent *extent,
                        const struct vm_part *part)
{
    if (extent->flags & VM_EXTENT_UNWRITTEN)
        return 0;
    int result = vm_file_mark(alloc->ctx, &alloc->inode, extent, part, VM_EXTENT_UNWRITTEN);
    if (result == 0)
        note_change(alloc);
    return result;
}

/* What cannot be marked for want of a node is zeroed where it is. */
static int zero_part(struct alloc *alloc, const struct vm_extent *extent,
                     const struct vm_part *part)
{
    (void)extent;
    uint64_t from = part->first * VM_BLOCK_BYTES;
    return zero_in_place(alloc, from, from + part->count * VM_BLOCK_BYTES);
}

/* A change that finds no space for a node is tried again in a record of its own; if it fails there,
 * `otherwise` is done instead, or it is the end. 1 to go on, 0 at the end of the range. */
static int change_part(struct alloc *alloc, part_fn change, part_fn otherwise)
{
    struct vm_extent extent;
    struct vm_part part;
    int result = make_room(alloc);
    if (result)
        return result;
    int found = next_part(alloc, &extent, &part);
    if (found <= 0)
        return found;
    bool was_alone = alloc->staged == 0;
    result = change(alloc, &extent, &part);
    if (vm_space_is_out(result) && (!was_alone || otherwise)) {
        result = drop_step(alloc);
        alloc->is_single = true;
        if (result || !was_alone)
            return result ? result : 1;
        result = otherwise(alloc, &extent, &part);
    }
    alloc->at = part.first + part.count;
    return result ? result : 1;
}

static int each_part(struct alloc *alloc, part_fn change, part_fn otherwise)
{
    int more = 1;
    alloc->at = alloc->first;
    while (more > 0)
        more = change_part(alloc, change, otherwise);
    return more;
}

static int punch(struct alloc *alloc)
{
    int result = each_part(alloc, punch_part, NULL);
    int more = result == 0 && alloc->is_changed;
    while (more > 0) {
        more = vm_file_trim(alloc->ctx, &alloc->inode);
        result = more > 0 ? commit(alloc, false) : more;
        more = result ? 0 : more;
    }
    return result ? result : zero_edges(alloc);
}

/* A step that is dropped takes along only what its own phase has staged: what was reserved goes before
 * it, if anything there is to be unwritten. */
static int end_reserving(struct alloc *alloc)
{
    struct vm_extent extent;
    struct vm_part part;
    int found;
    alloc->at = alloc->first;
    while ((found = next_part(alloc, &extent, &part)) > 0 && extent.flags & VM_EXTENT_UNWRITTEN)
        alloc->at = part.first + part.count;
    if (found <= 0)
        return found;
    return alloc->staged ? commit(alloc, false) : 0;
}

static int zero(struct alloc *alloc)
{
    uint64_t stop = vm_div_up(alloc->end, VM_BLOCK_BYTES);
    int result = reserve_blocks(alloc, vm_block_of(alloc->offset), stop);
    if (result == 0)
        result = end_reserving(alloc);
    if (result == 0)
        result = each_part(alloc, unwrite_part, zero_part);
    if (result == 0)
        result = zero_edges(alloc);
    return result ? result : move_end(alloc);
}

/* ---- calls ---- */

typedef int (*alloc_fn)(struct alloc *alloc);

struct alloc_call {
    struct alloc alloc;
    alloc_fn body;
    bool is_adding; /* nothing that can be read changes */
};

/* A range that reaches the end of the file has all of its last block. */
static void find_blocks(struct alloc *alloc)
{
    uint64_t size = vm_inode_size(&alloc->inode);
    alloc->first = vm_div_up(alloc->offset, VM_BLOCK_BYTES);
    alloc->stop = vm_block_of(alloc->end);
    if (alloc->end >= size)
        alloc->stop = vm_max(alloc->stop, vm_div_up(size, VM_BLOCK_BYTES));
}

static int64_t alloc_body(struct vm_ctx *ctx, void *arg)
{
    struct alloc_call *call = arg;
    struct alloc alloc = call->alloc;
    int result = vm_data_check_size(ctx, alloc.offset, alloc.end - alloc.offset);
    if (result == 0)
        result = vm_inode_load(ctx, alloc.id, &alloc.inode);
    if (result == 0 && vm_inode_is_beyond(&alloc.inode))
        result = vm_data_trim_beyond(ctx, &alloc.inode); /* D4 */
    if (result == 0)
        result = vm_inode_check_change(ctx, &alloc.inode, call->is_adding);
    if (result)
        return result;
    alloc.ctx = ctx;
    find_blocks(&alloc);
    result = call->body(&alloc);
    return result ? result : commit(&alloc, true);
}

static int run(struct vm_ctx *ctx, struct alloc_call *call)
{
    return (int)vm_data_locked(ctx, &call->alloc.id, 1, alloc_body, call);
}

/* So that adding cannot wrap; such a length is too big anyway. */
static uint64_t end_of(uint64_t offset, uint64_t len_bytes)
{
    return len_bytes > UINT64_MAX - offset ? UINT64_MAX : offset + len_bytes;
}

static struct alloc start_of(const struct vm_alloc_range *range)
{
    return (struct alloc){.id = range->id,
                          .offset = range->offset,
                          .end = end_of(range->offset, range->len_bytes),
                          .is_size_kept = range->is_size_kept,
                          .kills_set_id = range->kills_set_id};
}

int vm_data_reserve(struct vm_ctx *ctx, const struct vm_alloc_range *range)
{
    struct alloc_call call = {.alloc = start_of(range), .body = reserve, .is_adding = true};
    return run(ctx, &call);
}

int vm_data_punch(struct vm_ctx *ctx, const struct vm_alloc_range *range)
{
    struct alloc_call call = {.alloc = start_of(range), .body = punch};
    call.alloc.is_size_kept = true;
    call.alloc.is_seen = true;
    return run(ctx, &call);
}

int vm_data_zero(struct vm_ctx *ctx, const struct vm_alloc_range *range)
{
    struct alloc_call call = {.alloc = start_of(range), .body = zero};
    call.alloc.is_seen = true;
    return run(ctx, &call);
}
