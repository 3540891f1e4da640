/* fsck.h -- compares every structure of an attached region with the others; stores nothing */
#ifndef VM_CHECK_FSCK_H
#define VM_CHECK_FSCK_H

#include "media/ctx.h"
#include "vmfs.h"

/* Only the medium counts, so nothing else may run on the region meanwhile. Damage that is found is a
 * problem to report, not a failure: neither the log nor ctx->err hears of it. 0, or MEMORY. */
int vm_check_run(struct vm_ctx *ctx, vmfs_check_fn report, void *arg,
                 struct vmfs_check_result *out);

/* The passes in their order; null behind the last. */
const struct vmfs_check_pass *vm_check_pass_at(unsigned index);

#endif
