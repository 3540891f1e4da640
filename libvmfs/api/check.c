/* check.c -- looking at a whole region: vmfs_check() and its relatives */
#include "check/dump.h"
#include "check/fsck.h"
#include "check/map.h"
#include "check/repair.h"
#include "check/state.h"

#include "api/guard.h"
#include "inode/opens.h"

int vmfs_check(struct vmfs *fs, vmfs_check_fn report, void *arg, struct vmfs_check_result *out)
{
    struct vm_ctx ctx;
    if (!fs || !out)
        return (int)vm_bad_argument();
    int reason = vm_enter(fs, &ctx, false);
    if (reason)
        return (int)vm_errno(reason);
    return (int)vm_leave(fs, &ctx, vm_check_run(&ctx, report, arg, out));
}

/* Damage is no reason not to, nor that nothing else may be done yet. */
static int repair_enter(struct vmfs *fs, struct vm_ctx *ctx)
{
    bool needs_repair = fs->needs_repair;
    fs->needs_repair = false;
    int reason = vm_enter(fs, ctx, fs->is_read_only);
    fs->needs_repair = needs_repair;
    return reason;
}

static int repair_begin(struct vmfs *fs, struct vm_ctx *ctx)
{
    int reason = repair_enter(fs, ctx);
    if (reason)
        return reason;
    ctx->now_ns = fs->platform.now(fs->platform.arg);
    reason = vm_guard_check(fs, ctx); /* what is lost is not damage */
    if (reason)
        return reason;
    uint64_t handles = vm_handles_count(fs);
    if (fs->volume.itable)
        handles += vm_opens_held(ctx);
    return handles ? vm_raise(&ctx->err, VMFS_R_REPAIR_OPEN, handles) : 0;
}

int vmfs_repair(struct vmfs *fs, vmfs_check_fn report, void *arg, struct vmfs_check_result *out)
{
    struct vm_ctx ctx;
    if (!fs || !out)
        return (int)vm_bad_argument();
    int reason = repair_begin(fs, &ctx);
    if (reason)
        return (int)vm_errno(reason);
    const struct vm_check model = {
        .ctx = &ctx, .region = &fs->volume.region, .report = report, .arg = arg, .is_repair = true};
    struct vmfs_check_result left = {.problems = 1};
    int result = vm_repair_run(&fs->volume, &ctx, &model, &left);
    bool is_sound = result == 0 && left.problems == 0 && !vm_guard_check(fs, &ctx);
    if (result == 0)
        *out = left;
    if (is_sound || fs->needs_repair)
        atomic_store(&fs->is_damaged, !is_sound);
    fs->needs_repair = fs->needs_repair && !fs->volume.itable;
    return (int)vm_leave(fs, &ctx, result);
}

int vmfs_check_pass(unsigned index, struct vmfs_check_pass *out)
{
    const struct vmfs_check_pass *pass = vm_check_pass_at(index);
    if (!out)
        return (int)vm_bad_argument();
    if (!pass)
        return 0;
    *out = *pass;
    return 1;
}

int vmfs_dump(struct vmfs *fs, enum vmfs_dump_what what, uint64_t where, vmfs_text_fn text,
              void *arg)
{
    struct vm_ctx ctx;
    if (!fs || !text)
        return (int)vm_bad_argument();
    int reason = vm_enter(fs, &ctx, false);
    if (reason)
        return (int)vm_errno(reason);
    return (int)vm_leave(fs, &ctx, vm_dump_run(&ctx, what, where, text, arg));
}

int vmfs_map(struct vmfs *fs, uint64_t offset, vmfs_map_fn fn, void *arg)
{
    struct vm_ctx ctx;
    if (!fs || !fn || (offset != VMFS_NO_OFFSET && offset >= fs->volume.region.bytes))
        return (int)vm_bad_argument();
    int reason = vm_enter(fs, &ctx, false);
    if (reason)
        return (int)vm_errno(reason);
    return (int)vm_leave(fs, &ctx, vm_map_run(&ctx, offset, fn, arg));
}
