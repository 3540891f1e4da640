/* space.c -- taking and freeing blocks
 *
 * Each lane has two pools, one for nodes and one for data, so that nothing is shared while both have
 * blocks and big files are not cut up by nodes. A pool that is empty claims another chunk; when no
 * chunk can be claimed, blocks come out of other lanes' pools; when those are empty too, a checkpoint
 * releases what is cooling. */
#include "space/space.h"

#include "base/check.h"
#include "base/util.h"
#include "space/group.h"

#define POOL_NODES 0u
#define POOL_DATA  1u
#define POOL_CLAIM UINT32_MAX /* a run whose chunks were claimed for it alone */

static struct vm_pool *own_pool(struct vm_ctx *ctx, unsigned kind)
{
    return &ctx->space->pools[ctx->tx->lane * 2 + kind];
}

static void note_run(struct vm_ctx *ctx, uint64_t block, uint64_t count, uint32_t pool)
{
    struct vm_tx *tx = ctx->tx;
    VM_ASSERT(atomic_load_explicit(&tx->run_count, memory_order_relaxed) < VM_TX_RUNS_MAX);
    uint32_t index = atomic_load_explicit(&tx->run_count, memory_order_relaxed);
    struct vm_tx_run *run = &tx->runs[index];
    run->pool = pool;
    VM_OWN(atomic_store_explicit(&run->block, block, memory_order_release));
    VM_OWN(atomic_store_explicit(&run->count, count, memory_order_release));
    VM_OWN(atomic_store_explicit(&tx->run_count, index + 1, memory_order_release)); /* S3 */
    vm_tx_blocks(ctx, block, count, true);
}

static unsigned run_length_at(const uint64_t *words, unsigned first, unsigned want)
{
    unsigned count = 0;
    while (count < want && first + count < VM_CHUNK_BLOCKS &&
           (words[(first + count) / 64] >> (first + count) % 64 & 1))
        count++;
    return count;
}

/* What a caller needs: at least `least` contiguous blocks and at most `most`, at the goal if that
 * is free. */
struct request {
    uint64_t goal;
    uint32_t least;
    uint32_t most;
};

static struct vm_bits_run pool_find(struct vm_ctx *ctx, const struct vm_pool *pool,
                                    const struct request *request)
{
    uint64_t chunk_block = vm_chunk_first_block(ctx->region, pool->chunk);
    struct vm_bits_run run = {0, 0};
    if (request->goal >= chunk_block && request->goal < chunk_block + VM_CHUNK_BLOCKS) {
        run.first = (unsigned)(request->goal - chunk_block);
        run.count = run_length_at(pool->free, run.first, request->most);
    }
    if (run.count < request->least && request->least > 1)
        return vm_bits_find_high(pool->free, request->least);
    if (run.count < request->least)
        run = vm_bits_find(pool->free, request->most);
    run.count = (unsigned)vm_min(run.count, request->most);
    return run;
}

/* Under the pool's lock. */
static bool pool_take(struct vm_ctx *ctx, struct vm_pool *pool, const struct request *request,
                      struct vm_run *out)
{
    if (pool->chunk == VM_CHUNK_NONE)
        return false;
    struct vm_bits_run run = pool_find(ctx, pool, request);
    if (run.count < request->least)
        return false;
    uint64_t block = vm_chunk_first_block(ctx->region, pool->chunk) + run.first;
    *out = (struct vm_run){block, run.count, pool->is_zeroed};
    vm_bits_change(pool->free, run.first, run.count, false);
    note_run(ctx, block, run.count, (uint32_t)(pool - ctx->space->pools));
    return true;
}

static void pool_drop_chunk(struct vm_ctx *ctx, struct vm_pool *pool)
{
    if (pool->chunk == VM_CHUNK_NONE)
        return;
    vm_chunks_unclaim(ctx, vm_chunk_first_block(ctx->region, pool->chunk), 1);
    pool->chunk = VM_CHUNK_NONE;
}

/* Claims a chunk somewhere from the pool's cursor on: 1, 0 or a reason. */
static int search_groups(struct vm_ctx *ctx, struct vm_pool *pool, struct vm_chunk_want want)
{
    struct vm_space *space = ctx->space;
    uint64_t ready = atomic_load_explicit(&space->ready_seen, memory_order_acquire);
    for (uint64_t probe = 0; probe < ready; probe++) {
        uint64_t group = (pool->cursor + probe) % ready;
        uint64_t free_bits[VM_CHUNK_WORDS_FREE];
        uint64_t chunk = vm_group_claim(ctx, group, want, free_bits);
        if (chunk == VM_CHUNK_NONE)
            continue;
        bool is_zeroed;
        int result = vm_chunk_prepare(ctx, chunk, &is_zeroed);
        if (result) {
            vm_chunks_unclaim(ctx, vm_chunk_first_block(ctx->region, chunk), 1);
            return result;
        }
        pool_drop_chunk(ctx, pool);
        pool->chunk = chunk;
        pool->cursor = group;
        pool->is_zeroed = is_zeroed;
        for (unsigned word = 0; word < VM_CHUNK_WORDS_FREE; word++)
            pool->free[word] = free_bits[word];
        return 1;
    }
    return 0;
}

/* Good chunks first, then a new group, then whatever has the run that is needed. */
static int pool_refill(struct vm_ctx *ctx, struct vm_pool *pool, uint32_t run_min)
{
    const struct vm_chunk_want good = {.free_min = VM_CHUNK_BLOCKS / 4, .run_min = run_min};
    const struct vm_chunk_want any = {.free_min = run_min, .run_min = run_min};
    int result = search_groups(ctx, pool, good);
    while (result == 0) {
        result = vm_group_init_next(ctx);
        if (result <= 0)
            break;
        result = search_groups(ctx, pool, good);
    }
    return result ? result : search_groups(ctx, pool, any);
}

static bool steal(struct vm_ctx *ctx, const struct request *request, struct vm_run *out)
{
    struct vm_space *space = ctx->space;
    bool is_taken = false;
    for (uint32_t index = 0; !is_taken && index < space->pool_count; index++) {
        struct vm_pool *pool = &space->pools[index];
        VM_SHARED(&ctx->io, vm_lock_take(&pool->lock, ctx->region->platform));
        is_taken = pool_take(ctx, pool, request, out);
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
        pool_drop_chunk(ctx, pool);
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

/* 1, 0 or a reason. */
static int take_last(struct vm_ctx *ctx, struct vm_pool *pool, const struct request *request,
                     struct vm_run *out)
{
    const struct vm_chunk_want any = {
        .free_min = request->least, .run_min = request->least, .is_last_resort = true};
    bool is_worth_it = true;
    for (int attempt = 0; is_worth_it && attempt < SCARCE_ATTEMPTS_MAX; attempt++) {
        bool has_waited = attempt > 0 && wait_for_others(ctx);
        int result = vm_checkpoint_all(ctx); /* releases what is cooling */
        if (result)
            return result;
        drop_all_chunks(ctx);
        VM_OWN(vm_lock_take(&pool->lock, ctx->region->platform));
        result = search_groups(ctx, pool, any);
        bool is_taken = result > 0 && pool_take(ctx, pool, request, out);
        vm_lock_release(&pool->lock, ctx->region->platform);
        if (result < 0 || is_taken)
            return result;
        if (steal(ctx, request, out))
            return 1;
        bool is_missed = request->least == 1 && has_missed(ctx);
        is_worth_it = has_waited || is_missed || others_have_blocks(ctx);
    }
    return 0;
}

static int take_scarce(struct vm_ctx *ctx, struct vm_pool *pool, const struct request *request,
                       struct vm_run *out)
{
    if (steal(ctx, request, out))
        return 0;
    struct vm_space *space = ctx->space;
    VM_OWN(atomic_store_explicit(&ctx->tx->is_waiting, true, memory_order_release));
    VM_SHARED(&ctx->io, vm_lock_take(&space->scarce_lock, ctx->region->platform));
    int result = take_last(ctx, pool, request, out);
    vm_lock_release(&space->scarce_lock, ctx->region->platform);
    VM_OWN(atomic_store_explicit(&ctx->tx->is_waiting, false, memory_order_release));
    if (result)
        return result < 0 ? result : 0;
    return vm_raise(&ctx->err, VMFS_R_NO_SPACE, request->least);
}

/* Under the pool's lock: 1, 0 or a reason. */
static int take_near(struct vm_ctx *ctx, struct vm_pool *pool, const struct request *request,
                     struct vm_run *out)
{
    if (pool_take(ctx, pool, request, out))
        return 1;
    int result = pool_refill(ctx, pool, request->least);
    return result > 0 ? pool_take(ctx, pool, request, out) : result;
}

/* From the nearest place to the last resort. */
static int take_some(struct vm_ctx *ctx, unsigned kind, const struct request *request,
                     struct vm_run *out)
{
    struct vm_pool *pool = own_pool(ctx, kind);
    VM_OWN(vm_lock_take(&pool->lock, ctx->region->platform));
    int result = take_near(ctx, pool, request, out);
    vm_lock_release(&pool->lock, ctx->region->platform);
    if (result)
        return result < 0 ? result : 0;
    return take_scarce(ctx, pool, request, out); /* S4: without the pool's lock */
}

int vm_space_take_node(struct vm_ctx *ctx, uint64_t *offset_out)
{
    struct vm_run run;
    int result = take_some(ctx, POOL_NODES, &(struct request){.least = 1, .most = 1}, &run);
    if (result == 0)
        *offset_out = run.block * VM_BLOCK_BYTES;
    return result;
}

int vm_space_take_exact(struct vm_ctx *ctx, uint64_t count, uint64_t *block_out)
{
    VM_ASSERT(count > 0 && count <= VM_CHUNK_BLOCKS);
    struct vm_run run;
    const struct request request = {.least = (uint32_t)count, .most = (uint32_t)count};
    int result = take_some(ctx, POOL_NODES, &request, &run);
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
        note_run(ctx, block, out->count, POOL_CLAIM);
    }
    vm_chunks_unclaim(ctx, block, blocks);
    return result ? result : 1;
}

static int take_large(struct vm_ctx *ctx, uint64_t goal, uint64_t want, struct vm_run *out)
{
    struct vm_space *space = ctx->space;
    struct vm_pool *pool = own_pool(ctx, POOL_DATA);
    uint64_t start = pool->cursor;
    if (goal && goal < ctx->region->blocks)
        start = vm_region_bit(ctx->region, goal).group;
    for (;;) {
        uint64_t ready = atomic_load_explicit(&space->ready_seen, memory_order_acquire);
        for (uint64_t probe = 0; probe < ready; probe++) {
            int result = claim_large(ctx, (start + probe) % ready, want, out);
            if (result)
                return result;
        }
        int result = vm_group_init_next(ctx);
        if (result <= 0)
            return result;
        start = ready;
    }
}

int vm_space_take_run(struct vm_ctx *ctx, uint64_t goal, uint64_t want, struct vm_run *out)
{
    VM_ASSERT(want > 0);
    if (want >= VM_CHUNK_BLOCKS) {
        int result = take_large(ctx, goal, want, out);
        if (result)
            return result < 0 ? result : 0;
    }
    const struct request request = {
        .goal = goal, .least = 1, .most = (uint32_t)vm_min(want, VM_CHUNK_BLOCKS)};
    return take_some(ctx, POOL_DATA, &request, out);
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
    uint32_t count = atomic_load_explicit(&tx->run_count, memory_order_relaxed);
    for (uint32_t index = 0; !is_committed && index < count; index++)
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
    space->pool_count = region->lane_count * 2;
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
