/* check.c -- looking at a whole region: vmfs_check() and its relatives */
#include "check/fsck.h"

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
