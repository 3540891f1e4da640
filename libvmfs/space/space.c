/* space.c -- taking and freeing blocks
 *
 * Each lane has pools of its own (pool.h), so that nothing is shared while they have blocks. A pool that is
 * empty claims another chunk; when no chunk can be claimed, blocks come out of other pools; when those are
 * empty too, a checkpoint releases what is cooling. A chunk that the backing has no memory for is passed over: those
 * that have theirs are used up first. */
#include "space/space.h"

#include "base/check.h"
#include "base/util.h"
#include "space/pool.h"

#define POOL_CLAIM UINT32_MAX /* a run whose chunks were claimed for it alone */

/* Of the pools for long files the one whose chunk the file goes on in, else the one that has not been used
 * for longest. */
static struct vm_pool *long_pool(struct vm_pool *pools, uint64_t goal)
{
    struct vm_pool *oldest = pools;
    uint64_t newest = 0;
    for (unsigned index = 0; index < VM_POOLS_LONG; index++) {
        struct vm_pool *pool = &pools[index];
        newest = vm_max(newest, pool->used_last);
        oldest = pool->used_last < oldest->used_last ? pool : oldest;
    }
    for (unsigned index = 0; goal && index < VM_POOLS_LONG; index++)
        if (pools[index].goes_on == goal)
            oldest = &pools[index];
    oldest->used_last = newest + 1;
    return oldest;
}

static struct vm_pool *own_pool(struct vm_ctx *ctx, unsigned kind, const struct vm_request *request)
{
    struct vm_pool *pools = &ctx->space->pools[ctx->tx->lane * VM_POOLS_OF_LANE];
    return kind == VM_POOL_LONG ? long_pool(pools + kind, request->goal) : pools + kind;
}

static bool steal(struct vm_ctx *ctx, const struct vm_request *request, struct vm_run *out)
{
    struct vm_space *space = ctx->space;
    bool is_taken = false;
    for (uint32_t index = 0; !is_taken && index < space->pool_count; index++) {
        struct vm_pool *pool = &space->pools[index];
        VM_SHARED(&ctx->io, vm_lock_take(&pool->lock, ctx->region->platform));
        is_taken = vm_pool_take(ctx, pool, request, out);
        vm_lock_release(&pool->lock, ctx->region->platform);
    }
    return is_taken;
}

/* Lets go of all chunks: what was freed in them since they were claimed, and what lanes took from pools
 * and gave back, can then be found. */
static void drop_all_chunks(struct vm_ctx *ctx)
{
    struct vm_space *space = ctx->space;
    for (uint32_t index = 0; index < space->pool_count; index++) {
        struct vm_pool *pool = &space->pools[index];
        VM_SHARED(&ctx->io, vm_lock_take(&pool->lock, ctx->region->platform));
        vm_pool_drop(ctx, pool);
        vm_lock_release(&pool->lock, ctx->region->platform);
    }
}

static uint64_t blocks_noted(const struct vm_tx *tx)
{
    uint64_t blocks = 0;
    uint32_t count = atomic_load_explicit(&tx->run_count, memory_order_acquire);
    for (uint32_t index = 0; index < count; index++)
        blocks += atomic_load_explicit(&tx->runs[index].count, memory_order_relaxed);
    return blocks;
}

static bool others_have_blocks(struct vm_ctx *ctx)
{
    const struct vm_journal *journal = ctx->journal;
    for (uint32_t lane = 0; lane < journal->lane_count; lane++) {
        const struct vm_tx *tx = &journal->lanes[lane].tx;
        if (tx != ctx->tx && atomic_load_explicit(&tx->run_count, memory_order_acquire) &&
            !atomic_load_explicit(&tx->is_waiting, memory_order_acquire))
            return true;
    }
    return false;
}

/* Is there a block that nobody has? Then the search has missed it because it was being freed meanwhile. */
static bool has_missed(struct vm_ctx *ctx)
{
    const struct vm_journal *journal = ctx->journal;
    int64_t left = vm_journal_totals(journal).blocks_free;
    for (uint32_t lane = 0; lane < journal->lane_count; lane++)
        left -= (int64_t)blocks_noted(&journal->lanes[lane].tx);
    return left > 0;
}

/* Transactions that run may give back what they took, or free more than they took. They come to an end
 * (S4), but for those that wait for this lock, too. */
#define SCARCE_YIELDS_MAX   2000
#define SCARCE_ATTEMPTS_MAX 64

static bool wait_for_others(struct vm_ctx *ctx)
{
    const struct vm_platform *platform = ctx->region->platform;
    bool has_waited = false;
    for (int turn = 0; turn < SCARCE_YIELDS_MAX && others_have_blocks(ctx); turn++) {
        has_waited = true;
        platform->yield(platform->arg);
    }
    return has_waited;
}

/* 1, or what is left: `result`, which the search so far has ended with, or another reason. */
static int take_last(struct vm_ctx *ctx, struct vm_pool *pool, const struct vm_request *request,
                     struct vm_run *out, int result)
{
    const struct vm_chunk_want any = {
        .free_min = request->least, .run_min = request->least, .is_last_resort = true};
    bool is_worth_it = true;
    for (int attempt = 0; is_worth_it && attempt < SCARCE_ATTEMPTS_MAX; attempt++) {
        bool has_waited = attempt > 0 && wait_for_others(ctx);
        int failed = vm_checkpoint_all(ctx); /* releases what is cooling */
        if (failed)
            return failed;
        drop_all_chunks(ctx);
        VM_OWN(vm_lock_take(&pool->lock, ctx->region->platform));
        int found = vm_pool_search(ctx, pool, any);
        bool is_taken = found > 0 && vm_pool_take(ctx, pool, request, out);
        vm_lock_release(&pool->lock, ctx->region->platform);
        if (is_taken || (found < 0 && !vm_pool_is_left(found)))
            return found;
        if (steal(ctx, request, out))
            return 1;
        result = found < 0 ? found : result;
        /* What is not backed is free, and not missed. */
        bool is_missed = result == 0 && request->least == 1 && has_missed(ctx);
        is_worth_it = has_waited || is_missed || others_have_blocks(ctx);
    }
    return result;
}

static int take_scarce(struct vm_ctx *ctx, struct vm_pool *pool, const struct vm_request *request,
                       struct vm_run *out, int result)
{
    ctx->tx->has_taken = true; /* for its own pool for nodes is among those that are stolen from */
    if (steal(ctx, request, out))
        return 0;
    struct vm_space *space = ctx->space;
    VM_OWN(atomic_store_explicit(&ctx->tx->is_waiting, true, memory_order_release));
    VM_SHARED(&ctx->io, vm_lock_take(&space->scarce_lock, ctx->region->platform));
    result = take_last(ctx, pool, request, out, result);
    vm_lock_release(&space->scarce_lock, ctx->region->platform);
    VM_OWN(atomic_store_explicit(&ctx->tx->is_waiting, false, memory_order_release));
    if (result)
        return result < 0 ? result : 0;
    return vm_raise(&ctx->err, VMFS_R_NO_SPACE, request->least);
}

/* Under the pool's lock: 1, 0 or a reason. */
static int take_near(struct vm_ctx *ctx, struct vm_pool *pool, const struct vm_request *request,
                     struct vm_run *out)
{
    if (vm_pool_take(ctx, pool, request, out))
        return 1;
    int result = vm_pool_refill(ctx, pool, request);
    return result > 0 ? vm_pool_take(ctx, pool, request, out) : result;
}

/* From the nearest place to the last resort. H16: a step that failed gives its blocks back, but its record
 * may be found after all: no bytes of another step may go into them, so the journal is looked at when they
 * are taken. */
static int take_some(struct vm_ctx *ctx, unsigned kind, const struct vm_request *request,
                     struct vm_run *out)
{
    struct vm_pool *pool = own_pool(ctx, kind, request);
    ctx->tx->has_taken = ctx->tx->has_taken || kind == VM_POOL_NODES;
    VM_OWN(vm_lock_take(&pool->lock, ctx->region->platform));
    int result = take_near(ctx, pool, request, out);
    vm_lock_release(&pool->lock, ctx->region->platform);
    if (result > 0)
        pool->goes_on = out->block + out->count;
    if (vm_pool_is_left(result))
        result = take_scarce(ctx, pool, request, out, result); /* S4: without the pool's lock */
    return result < 0 ? result : vm_journal_check(ctx);        /* H16 */
}

int vm_space_take_node(struct vm_ctx *ctx, uint64_t *offset_out)
{
    struct vm_run run;
    int result = take_some(ctx, VM_POOL_NODES, &(struct vm_request){.least = 1, .most = 1}, &run);
    if (result == 0)
        *offset_out = run.block * VM_BLOCK_BYTES;
    return result;
}

int vm_space_take_exact(struct vm_ctx *ctx, uint64_t count, uint64_t *block_out)
{
    VM_ASSERT(count > 0 && count <= VM_CHUNK_BLOCKS);
    struct vm_run run;
    const struct vm_request request = {.least = (uint32_t)count, .most = (uint32_t)count};
    int result = take_some(ctx, VM_POOL_NODES, &request, &run);
    if (result == 0)
        *block_out = run.block;
    return result;
}

/* Chunks claimed in one go, all backed and marked: 1, 0 if there are none, or a reason. */
static int claim_large(struct vm_ctx *ctx, uint64_t group, uint64_t want, struct vm_run *out)
{
    unsigned count;
    uint64_t most = vm_min(vm_div_up(want, VM_CHUNK_BLOCKS), VM_GROUP_CHUNKS);
    uint64_t first = vm_group_claim_empty(ctx, group, (unsigned)most, &count);
    if (first == VM_CHUNK_NONE)
        return 0;
    uint64_t block = vm_chunk_first_block(ctx->region, first);
    uint64_t blocks = (uint64_t)count * VM_CHUNK_BLOCKS;
    *out = (struct vm_run){block, vm_min(want, blocks), true};
    int result = 0;
    for (unsigned index = 0; result == 0 && index < count; index++) {
        bool is_zeroed;
        result = vm_chunk_prepare(ctx, first + index, &is_zeroed);
        out->is_zeroed = out->is_zeroed && is_zeroed;
    }
    if (result == 0) {
        vm_note_run(ctx, block, out->count, POOL_CLAIM);
        result = vm_journal_check(ctx); /* H16 */
    }
    vm_chunks_unclaim(ctx, block, blocks);
    return result ? result : 1;
}

static int take_large(struct vm_ctx *ctx, uint64_t goal, uint64_t want, struct vm_run *out)
{
    struct vm_space *space = ctx->space;
    const struct vm_pool *pool =
        &ctx->space->pools[ctx->tx->lane * VM_POOLS_OF_LANE + VM_POOL_LONG];
    uint64_t start = pool->cursor;
    if (goal && goal < ctx->region->blocks)
        start = vm_region_bit(ctx->region, goal).group;
    for (;;) {
        uint64_t ready = atomic_load_explicit(&space->ready_seen, memory_order_acquire);
        /* The file goes on where no group is yet: none is searched. */
        bool is_ahead = start >= ready;
        for (uint64_t probe = 0; !is_ahead && probe < ready; probe++) {
            int result = claim_large(ctx, (start + probe) % ready, want, out);
            if (result)
                return result;
        }
        int result = vm_group_init_next(ctx);
        if (result < 0 || (result == 0 && !is_ahead))
            return result;
        if (result == 0)
            start = 0;
        else if (!is_ahead)
            start = ready;
    }
}

/* From this size on a file is long. */
#define LONG_BLOCKS 128u

int vm_space_take_run(struct vm_ctx *ctx, uint64_t goal, uint64_t at_block, uint64_t want,
                      struct vm_run *out)
{
    VM_ASSERT(want > 0);
    if (want >= VM_CHUNK_BLOCKS) {
        int result = take_large(ctx, goal, want, out);
        if (!vm_pool_is_left(result))
            return result < 0 ? result : 0;
    }
    const struct vm_request request = {.goal = goal,
                                       .least = 1,
                                       .most = (uint32_t)vm_min(want, VM_CHUNK_BLOCKS),
                                       .is_long = at_block >= LONG_BLOCKS || want >= LONG_BLOCKS};
    return take_some(ctx, request.is_long ? VM_POOL_LONG : VM_POOL_LITTLE, &request, out);
}

bool vm_space_is_roomy(const struct vm_ctx *ctx)
{
    return vm_journal_totals(ctx->journal).blocks_free > (int64_t)(ctx->region->blocks / 8);
}

/* Two leaves, and two nodes in place of an inner one. */
#define NODES_AHEAD 4u

/* A new group, and the mark of a chunk's first use. */
#define REFILL_FENCES 2u

bool vm_space_ahead(struct vm_ctx *ctx)
{
    if (!vm_tx_affords(ctx, REFILL_FENCES))
        return false;
    struct vm_pool *pool = own_pool(ctx, VM_POOL_NODES, NULL);
    const struct vm_request nodes = {.least = NODES_AHEAD, .most = NODES_AHEAD};
    VM_OWN(vm_lock_take(&pool->lock, ctx->region->platform));
    bool is_low = pool->chunk != VM_CHUNK_NONE && vm_pool_is_low(pool, NODES_AHEAD);
    bool is_left = is_low && !vm_space_is_roomy(ctx);
    if (is_low && !is_left && vm_pool_refill(ctx, pool, &nodes) <= 0)
        vm_pool_drop(ctx, pool); /* not again at the end of each call */
    vm_lock_release(&pool->lock, ctx->region->platform);
    return !is_left;
}

void vm_space_free(struct vm_ctx *ctx, uint64_t block, uint64_t count)
{
    vm_tx_blocks(ctx, block, count, false);
}

/* H2, H11: the chunks of a freed run cannot be claimed from before its bits are cleared until W has
 * passed the record. */
static void hook_freeing(struct vm_ctx *ctx, uint64_t block, uint64_t count)
{
    vm_chunks_cool(ctx, ctx->tx->lane, block, count);
}

static void hook_freed(struct vm_ctx *ctx, uint32_t lane, uint64_t block, uint64_t count)
{
    vm_chunks_cooled(ctx, lane, block, count);
}

/* The pool may have another chunk by now; then the blocks are found when theirs is claimed again. */
static void give_back(struct vm_ctx *ctx, const struct vm_tx_run *run)
{
    struct vm_pool *pool = &ctx->space->pools[run->pool];
    uint64_t chunk = vm_chunk_of_block(ctx->region, run->block);
    VM_OWN(vm_lock_take(&pool->lock, ctx->region->platform));
    if (pool->chunk == chunk) {
        uint64_t first = run->block - vm_chunk_first_block(ctx->region, chunk);
        vm_bits_change(pool->free, (unsigned)first, (unsigned)run->count, true);
        pool->is_zeroed = false; /* payload may have been stored there */
    }
    vm_lock_release(&pool->lock, ctx->region->platform);
}

static void hook_settled(struct vm_ctx *ctx, struct vm_tx *tx, bool is_committed)
{
    if (is_committed)
        return;
    uint32_t count = atomic_load_explicit(&tx->run_count, memory_order_relaxed);
    for (uint32_t index = 0; index < count; index++)
        if (tx->runs[index].pool != POOL_CLAIM)
            give_back(ctx, &tx->runs[index]);
}

int vm_space_init(struct vm_ctx *ctx, struct vm_space **out)
{
    const struct vm_region *region = ctx->region;
    void *memory;
    int result = vm_alloc(ctx, sizeof(struct vm_space), &memory);
    if (result)
        return result;
    struct vm_space *space = memory;
    *out = space;
    ctx->space = space;
    space->region = region;
    space->pool_count = region->lane_count * VM_POOLS_OF_LANE;
    result = vm_alloc(ctx, space->pool_count * sizeof *space->pools, &memory);
    space->pools = memory;
    if (result == 0)
        result = vm_alloc(ctx, region->group_count * sizeof *space->groups, &memory);
    space->groups = result ? NULL : memory;
    if (result == 0)
        result = vm_alloc(ctx, region->lane_count * sizeof *space->cooling, &memory);
    space->cooling = result ? NULL : memory;
    if (result)
        return result;
    for (uint32_t index = 0; index < space->pool_count; index++)
        space->pools[index].chunk = VM_CHUNK_NONE;
    ctx->journal->hooks.freeing = hook_freeing;
    ctx->journal->hooks.freed = hook_freed;
    ctx->journal->hooks.settled = hook_settled;
    return vm_groups_load(ctx, space);
}

void vm_space_fini(struct vm_ctx *ctx, struct vm_space *space)
{
    const struct vm_platform *platform = ctx->region->platform;
    if (!space)
        return;
    if (space->pools)
        platform->free(platform->arg, space->pools, space->pool_count * sizeof *space->pools);
    if (space->cooling)
        platform->free(platform->arg, space->cooling,
                       ctx->region->lane_count * sizeof *space->cooling);
    if (space->groups)
        platform->free(platform->arg, space->groups,
                       ctx->region->group_count * sizeof *space->groups);
    platform->free(platform->arg, space, sizeof *space);
}
