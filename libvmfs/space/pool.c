/* pool.c -- choosing chunks for a lane's pools, and taking blocks out of them
 *
 * What is asked of the bitmap here are hints; a claim checks them. The search looks at no more than
 * a window of chunks, so it costs the same in any region. */
#include "space/pool.h"

#include "base/check.h"
#include "base/util.h"

#define WINDOW_CHUNKS 1024u
#define LITTLE_MIN    64u  /* free blocks that make a broken chunk worth having */
#define LITTLE_ENOUGH 160u /* and those above which a fuller one may be better */
#define LONG_MIN      64u

void vm_note_run(struct vm_ctx *ctx, uint64_t block, uint64_t count, uint32_t pool)
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

static struct vm_bits_run pool_find(const struct vm_pool *pool, const struct vm_request *request,
                                    uint64_t chunk_block)
{
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

bool vm_pool_take(struct vm_ctx *ctx, struct vm_pool *pool, const struct vm_request *request,
                  struct vm_run *out)
{
    if (pool->chunk == VM_CHUNK_NONE)
        return false;
    uint64_t chunk_block = vm_chunk_first_block(ctx->region, pool->chunk);
    struct vm_bits_run run = pool_find(pool, request, chunk_block);
    if (run.count < request->least)
        return false;
    uint64_t block = chunk_block + run.first;
    *out = (struct vm_run){block, run.count, pool->is_zeroed};
    vm_bits_change(pool->free, run.first, run.count, false);
    vm_note_run(ctx, block, run.count, (uint32_t)(pool - ctx->space->pools));
    return true;
}

bool vm_pool_is_low(const struct vm_pool *pool, unsigned count)
{
    unsigned blocks = 0;
    for (unsigned word = 0; word < VM_CHUNK_WORDS_FREE && blocks < count; word++)
        blocks += vm_popcount64(pool->free[word]);
    return blocks < count;
}

void vm_pool_drop(struct vm_ctx *ctx, struct vm_pool *pool)
{
    if (pool->chunk == VM_CHUNK_NONE)
        return;
    vm_chunks_unclaim(ctx, vm_chunk_first_block(ctx->region, pool->chunk), 1);
    pool->chunk = VM_CHUNK_NONE;
}

/* Makes a claimed chunk the pool's: 1 or a reason. */
static int pool_adopt(struct vm_ctx *ctx, struct vm_pool *pool, uint64_t chunk,
                      const uint64_t *free_bits)
{
    bool is_zeroed;
    int result = vm_chunk_prepare(ctx, chunk, &is_zeroed);
    if (result) {
        vm_chunks_unclaim(ctx, vm_chunk_first_block(ctx->region, chunk), 1);
        return result;
    }
    vm_pool_drop(ctx, pool);
    pool->chunk = chunk;
    pool->cursor = chunk / VM_GROUP_CHUNKS;
    pool->is_zeroed = is_zeroed;
    for (unsigned word = 0; word < VM_CHUNK_WORDS_FREE; word++)
        pool->free[word] = free_bits[word];
    return 1;
}

/* As vm_pool_search(), in one group. */
static int search_group(struct vm_ctx *ctx, struct vm_pool *pool, uint64_t group,
                        struct vm_chunk_want want)
{
    uint64_t free_bits[VM_CHUNK_WORDS_FREE];
    uint64_t chunk;
    int result = 0;
    while (vm_pool_is_left(result) &&
           (chunk = vm_group_claim(ctx, group, want, free_bits)) != VM_CHUNK_NONE) {
        result = pool_adopt(ctx, pool, chunk, free_bits);
        want.passed_over |= (uint64_t)1 << chunk % VM_GROUP_CHUNKS;
    }
    return result;
}

int vm_pool_search(struct vm_ctx *ctx, struct vm_pool *pool, struct vm_chunk_want want)
{
    uint64_t ready = atomic_load_explicit(&ctx->space->ready_seen, memory_order_acquire);
    int last = 0;
    for (uint64_t probe = 0; probe < ready; probe++) {
        int result = search_group(ctx, pool, (pool->cursor + probe) % ready, want);
        if (!vm_pool_is_left(result))
            return result;
        last = result ? result : last;
    }
    return last;
}

/* The chunk with the longest run, at best an empty one; or the fullest of the broken ones that have
 * LITTLE_MIN blocks left. 1, 0 if there is none in the window, or a reason. */
static int search_best(struct vm_ctx *ctx, struct vm_pool *pool, enum vm_chunk_taste taste,
                       uint32_t run_min)
{
    uint64_t ready = atomic_load_explicit(&ctx->space->ready_seen, memory_order_acquire);
    struct vm_chunk_best best = {.chunk = VM_CHUNK_NONE, .taste = taste, .run_min = run_min};
    best.enough = taste == VM_TASTE_LONGEST ? VM_CHUNK_BLOCKS : VM_CHUNK_BLOCKS - LITTLE_ENOUGH;
    best.free_min = taste == VM_TASTE_LONGEST ? run_min : (uint32_t)vm_max(run_min, LITTLE_MIN);
    uint64_t groups = vm_min(ready, WINDOW_CHUNKS / VM_GROUP_CHUNKS);
    for (uint64_t probe = 0; probe < groups && !best.is_enough; probe++)
        vm_group_look(ctx, (pool->cursor + probe) % ready, &best);
    uint64_t free_bits[VM_CHUNK_WORDS_FREE];
    const struct vm_chunk_want want = {.free_min = best.free_min, .run_min = run_min};
    if (best.chunk == VM_CHUNK_NONE || !vm_chunk_claim(ctx, best.chunk, want, free_bits))
        return 0;
    return pool_adopt(ctx, pool, best.chunk, free_bits);
}

static const struct vm_chunk_want empty = {.free_min = VM_CHUNK_BLOCKS, .run_min = VM_CHUNK_BLOCKS};

/* An empty chunk, in a new group if there must be one: 1, 0 or a reason. */
static int refill_empty(struct vm_ctx *ctx, struct vm_pool *pool)
{
    int result = vm_pool_search(ctx, pool, empty);
    while (result == 0) {
        result = vm_group_init_next(ctx);
        if (result <= 0)
            return result;
        pool->cursor = atomic_load_explicit(&ctx->space->ready_seen, memory_order_acquire) - 1;
        result = vm_pool_search(ctx, pool, empty);
    }
    return result;
}

/* Where a file goes on behind the pool's last chunk: 1 if that chunk is empty, 0 or a reason. */
static int refill_next(struct vm_ctx *ctx, struct vm_pool *pool, uint64_t goal)
{
    if (goal == 0 || goal >= ctx->region->blocks ||
        !vm_region_is_home(ctx->region, goal * VM_BLOCK_BYTES, VM_BLOCK_BYTES))
        return 0;
    uint64_t chunk = vm_chunk_of_block(ctx->region, goal);
    uint64_t ready = atomic_load_explicit(&ctx->space->ready_seen, memory_order_acquire);
    uint64_t free_bits[VM_CHUNK_WORDS_FREE];
    if (chunk / VM_GROUP_CHUNKS >= ready || vm_chunk_first_block(ctx->region, chunk) != goal ||
        !vm_chunk_claim(ctx, chunk, empty, free_bits))
        return 0;
    return pool_adopt(ctx, pool, chunk, free_bits);
}

int vm_pool_refill(struct vm_ctx *ctx, struct vm_pool *pool, const struct vm_request *request)
{
    int result = request->is_long ? refill_next(ctx, pool, request->goal)
                                  : search_best(ctx, pool, VM_TASTE_FULLEST, request->least);
    if (!vm_pool_is_left(result))
        return result;
    int empty_result = refill_empty(ctx, pool);
    result = empty_result;
    if (vm_pool_is_left(result) && request->is_long)
        result = search_best(ctx, pool, VM_TASTE_LONGEST, LONG_MIN);
    const struct vm_chunk_want any = {.free_min = request->least, .run_min = request->least};
    if (vm_pool_is_left(result))
        result = vm_pool_search(ctx, pool, any);
    return result ? result : empty_result;
}
