/* handle.c -- entering and leaving calls */
#include "api/handle.h"

#include <errno.h>

#include "api/guard.h"
#include "inode/reap.h"
#include "name/path.h"
#include "space/space.h"

bool vm_is_forked(const struct vmfs *fs)
{
    return *fs->fork_guard == 0;
}

int64_t vm_bad_argument(void)
{
    return -EINVAL;
}

static unsigned slot_of_thread(struct vmfs *fs)
{
    uintptr_t self = fs->platform.hint(fs->platform.arg);
    unsigned start = (unsigned)((self * 0x9e3779b97f4a7c15u) >> 48);
    for (unsigned probe = 0; probe < 16; probe++) {
        unsigned index = (start + probe) % (VM_THREAD_SLOTS - 1);
        struct vm_thread_slot *slot = &fs->slots[index];
        uintptr_t owner = atomic_load_explicit(&slot->owner, memory_order_relaxed);
        if (owner == self)
            return index;
        if (owner == 0 && atomic_compare_exchange_strong(&slot->owner, &owner, self)) {
            slot->lane_hint = atomic_fetch_add(&fs->thread_count, 1);
            return index;
        }
    }
    return VM_THREAD_SLOTS - 1;
}

static int check_view(const struct vmfs *fs, struct vm_err *err, unsigned slot)
{
    if (atomic_load_explicit(&fs->slots[slot].views, memory_order_relaxed) == 0)
        return 0;
    return vm_raise(err, VMFS_R_VIEW_OPEN, slot);
}

int vm_views_check(struct vmfs *fs)
{
    struct vm_err err = {.log = fs->log, .log_arg = fs->log_arg};
    return vm_is_forked(fs) ? 0 : (int)vm_errno(check_view(fs, &err, slot_of_thread(fs)));
}

void vm_ctx_init(struct vmfs *fs, struct vm_ctx *ctx)
{
    ctx->err =
        (struct vm_err){.log = fs->log, .log_arg = fs->log_arg, .is_speculative = fs->is_peek};
    ctx->io = (struct vm_io){.ops = fs->ops, .arg = fs->ops_arg, .base = fs->stores};
    if (fs->sync) {
        vm_unsynced_init(&ctx->unsynced, fs->sync);
        ctx->io.arg = &ctx->unsynced;
    }
    vm_volume_bind(&fs->volume, ctx);
    ctx->overlay = NULL;
    ctx->tx = NULL;
    ctx->held_count = 0;
    ctx->is_window_kept = false;
    ctx->hint = 0;
    ctx->lane_hint = 0;
    ctx->uid = fs->owner_uid;
    ctx->gid = fs->owner_gid;
    ctx->umask = 0;
    ctx->cred = NULL;
    ctx->now_ns = 0;
    ctx->losses = 0;
    ctx->keeps_atime = false;
    ctx->is_above_flags = false;
}

int vm_enter(struct vmfs *fs, struct vm_ctx *ctx, bool is_change)
{
    if (vm_is_forked(fs)) {
        struct vm_err err = {.log = fs->log, .log_arg = fs->log_arg};
        return vm_raise(&err, VMFS_R_FORKED, 0);
    }
    vm_ctx_init(fs, ctx);
    if (fs->needs_repair) {
        ctx->err.is_speculative = false;
        return vm_raise(&ctx->err, VMFS_R_REPAIR_FIRST, 0);
    }
    ctx->hint = slot_of_thread(fs);
    ctx->lane_hint = fs->slots[ctx->hint].lane_hint;
    int reason = check_view(fs, &ctx->err, ctx->hint);
    if (reason)
        return reason;
    bool is_read_only =
        fs->is_read_only || atomic_load_explicit(&fs->is_damaged, memory_order_relaxed);
    ctx->keeps_atime = !is_read_only && !fs->leaves_atime;
    reason = fs->guard ? vm_guard_enter(fs, ctx) : 0;
    if (reason || !is_change)
        return reason;
    if (is_read_only)
        return vm_raise(&ctx->err, VMFS_R_READ_ONLY, 0);
    ctx->now_ns = fs->platform.now(fs->platform.arg);
    return 0;
}

static void add(_Atomic uint64_t *counter, uint64_t amount, bool is_shared)
{
    if (is_shared)
        atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
    else
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount,
                              memory_order_relaxed);
}

void vm_handles_add(struct vmfs *fs, uint64_t change)
{
    unsigned index = slot_of_thread(fs);
    add(&fs->slots[index].handles, change, index == VM_THREAD_SLOTS - 1);
}

uint64_t vm_handles_count(const struct vmfs *fs)
{
    uint64_t sum = 0;
    for (unsigned index = 0; index < VM_THREAD_SLOTS; index++)
        sum += atomic_load_explicit(&fs->slots[index].handles, memory_order_acquire);
    return sum;
}

/* Threads that share a slot are not kept from anything. */
uint32_t vm_views_add(struct vmfs *fs, const struct vm_ctx *ctx)
{
    vm_handles_add(fs, 1);
    if (ctx->hint < VM_THREAD_SLOTS - 1)
        atomic_fetch_add_explicit(&fs->slots[ctx->hint].views, 1, memory_order_relaxed);
    return ctx->hint;
}

void vm_views_end(struct vmfs *fs, uint32_t thread)
{
    if (thread < VM_THREAD_SLOTS - 1)
        atomic_fetch_sub_explicit(&fs->slots[thread].views, 1, memory_order_relaxed);
    vm_handles_add(fs, (uint64_t)-1);
}

int64_t vm_leave(struct vmfs *fs, struct vm_ctx *ctx, int64_t result)
{
    struct vm_thread_slot *slot = &fs->slots[ctx->hint];
    bool is_shared = ctx->hint == VM_THREAD_SLOTS - 1;
    add(&slot->ops, 1, is_shared);
    if (ctx->io.bytes | ctx->io.fences | ctx->io.lines) {
        add(&slot->fences, ctx->io.fences, is_shared);
        add(&slot->lines, ctx->io.lines, is_shared);
        add(&slot->bytes, ctx->io.bytes, is_shared);
    }
    if (ctx->io.shared)
        add(&slot->shared, ctx->io.shared, is_shared);
    if (ctx->err.is_damaged)
        atomic_store(&fs->is_damaged, true);
    if (fs->guard)
        result = vm_guard_leave(fs, ctx, result);
    return vm_errno(result);
}

#define VANISHED_ATTEMPTS 16

static int64_t run(struct vm_ctx *ctx, vm_call_fn body, void *arg)
{
    int64_t result = -VMFS_R_INODE_STALE;
    for (int attempt = 0; attempt < VANISHED_ATTEMPTS && result == -VMFS_R_INODE_STALE; attempt++)
        result = body(ctx, arg);
    return result == -VMFS_R_INODE_STALE ? vm_path_missing(ctx) : result;
}

static int64_t run_change(struct vm_ctx *ctx, vm_call_fn body, void *arg)
{
    int64_t result = run(ctx, body, arg);
    if (!atomic_load_explicit(&ctx->itable->may_have_orphans, memory_order_relaxed))
        return result;
    if (!vm_space_is_out(result)) {
        (void)vm_reap_orphans(ctx); /* one step; a failure meets the next caller */
        return result;
    }
    int more = 1;
    while (more > 0)
        more = vm_reap_orphans(ctx);
    return more < 0 ? more : run(ctx, body, arg);
}

int64_t vm_call(struct vmfs *fs, bool is_change, vm_call_fn body, void *arg)
{
    struct vm_ctx ctx;
    int reason = vm_enter(fs, &ctx, is_change);
    if (reason)
        return vm_errno(reason);
    int64_t result = is_change ? run_change(&ctx, body, arg) : run(&ctx, body, arg);
    return vm_leave(fs, &ctx, result);
}
