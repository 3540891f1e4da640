/* check.c -- looking at a whole region: vmfs_check() and its relatives */
#include "check/dump.h"
#include "check/fsck.h"
#include "check/map.h"

#include "api/handle.h"

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
