/* check.c -- vmfs_check() */
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
