/* stripe.c -- locking inodes, and reading them without a lock */
#include "base/check.h"
#include "base/util.h"
#include "inode/inode.h"
#include "inode/table.h"

struct vm_stripe *vm_stripe_of(const struct vm_ctx *ctx, uint64_t id)
{
    return &ctx->itable->stripes[vm_mix64(vm_id_slot(id)) % VM_STRIPE_COUNT];
}

static void hold(struct vm_ctx *ctx, struct vm_stripe *stripe)
{
    unsigned at = ctx->held_count;
    while (at > 0 && ctx->held[at - 1] > stripe)
        at--;
    if (at > 0 && ctx->held[at - 1] == stripe)
        return;
    VM_ASSERT(ctx->held_count < VM_HELD_MAX);
    for (unsigned move = ctx->held_count; move > at; move--)
        ctx->held[move] = ctx->held[move - 1];
    ctx->held[at] = stripe;
    ctx->held_count++;
}

static bool has_no_blocks(const struct vm_ctx *ctx)
{
    return !ctx->tx || atomic_load_explicit(&ctx->tx->run_count, memory_order_relaxed) == 0;
}

void vm_lock_inodes(struct vm_ctx *ctx, const uint64_t *ids, unsigned count)
{
    VM_ASSERT(ctx->held_count == 0);
    VM_ASSERT(has_no_blocks(ctx)); /* S4 */
    for (unsigned index = 0; index < count; index++)
        if (ids[index])
            hold(ctx, vm_stripe_of(ctx, ids[index]));
    for (unsigned index = 0; index < ctx->held_count; index++)
        VM_OWN(vm_lock_take(&ctx->held[index]->lock, ctx->region->platform));
}

bool vm_lock_another(struct vm_ctx *ctx, uint64_t id)
{
    struct vm_stripe *stripe = vm_stripe_of(ctx, id);
    for (unsigned index = 0; index < ctx->held_count; index++)
        if (ctx->held[index] == stripe)
            return true;
    bool is_last = ctx->held_count == 0 || ctx->held[ctx->held_count - 1] < stripe;
    VM_ASSERT(!is_last || has_no_blocks(ctx)); /* S4 */
    if (is_last)
        VM_OWN(vm_lock_take(&stripe->lock, ctx->region->platform));
    else if (!VM_OWN(vm_lock_try(&stripe->lock)))
        return false;
    hold(ctx, stripe);
    return true;
}

void vm_unlock_inodes(struct vm_ctx *ctx)
{
    for (unsigned index = ctx->held_count; index-- > 0;)
        vm_lock_release(&ctx->held[index]->lock, ctx->region->platform);
    ctx->held_count = 0;
}

void vm_pause_inodes(struct vm_ctx *ctx)
{
    VM_ASSERT(!ctx->overlay || ctx->overlay->count == 0);
    VM_ASSERT(has_no_blocks(ctx)); /* S4 */
    const struct vm_platform *platform = ctx->region->platform;
    for (unsigned index = ctx->held_count; index-- > 0;)
        vm_lock_release(&ctx->held[index]->lock, platform);
    for (unsigned index = 0; index < ctx->held_count; index++)
        vm_lock_yield(&ctx->held[index]->lock, platform);
    for (unsigned index = 0; index < ctx->held_count; index++)
        VM_OWN(vm_lock_take(&ctx->held[index]->lock, platform));
}

/* How often a reader tries before it takes the lock: a writer's window is as short as its home
 * stores. */
#define READ_ATTEMPTS 64

static bool read_once(struct vm_ctx *ctx, const struct vm_stripe *stripe, vm_read_fn body,
                      void *arg, int64_t *result)
{
    uint64_t version = vm_stripe_version(stripe);
    if (version & 1)
        return false;
    bool is_watching = ctx->err.is_speculative; /* somebody else's region: it stays so */
    ctx->err.is_speculative = true;
    *result = body(ctx, arg);
    ctx->err.is_speculative = is_watching;
    return vm_stripe_version(stripe) == version; /* L1 */
}

bool vm_read_try(struct vm_ctx *ctx, uint64_t id, vm_read_fn body, void *arg, int64_t *result)
{
    VM_ASSERT(ctx->held_count == 0);
    const struct vm_stripe *stripe = vm_stripe_of(ctx, id);
    for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++)
        if (read_once(ctx, stripe, body, arg, result))
            return *result >= 0 || !vm_is_damage(*result);
    return false;
}

int64_t vm_read_stable(struct vm_ctx *ctx, uint64_t id, vm_read_fn body, void *arg)
{
    struct vm_stripe *stripe = vm_stripe_of(ctx, id);
    int64_t result;
    if (vm_read_try(ctx, id, body, arg, &result))
        return result;
    VM_OWN(vm_lock_take(&stripe->lock, ctx->region->platform));
    result = body(ctx, arg);
    vm_lock_release(&stripe->lock, ctx->region->platform);
    return result;
}
