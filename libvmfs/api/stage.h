/* stage.h -- attaching on surroundings that the caller supplies
 *
 * For test harnesses and embedders that want a whole struct vmfs on a medium, a clock and threads of
 * their own. Nothing of the system is asked: no owner line, no memory locks, no check for fork(). */
#ifndef VM_API_STAGE_H
#define VM_API_STAGE_H

#include "base/platform.h"
#include "persist/persist.h"
#include "vmfs.h"

struct vm_stage {
    const uint8_t *loads; /* the region, aligned to a block */
    uint8_t *stores; /* the same bytes where persist/ may write them; may be a second mapping */
    uint64_t bytes;
    const struct vm_persist_ops *ops;
    void *ops_arg;
    struct vm_platform platform;
};

/* As vmfs_attach(), but that `stage` must live until vmfs_close() and that the durability is what its
 * ops give. */
int vm_stage_attach(const struct vm_stage *stage, const struct vmfs_options *options,
                    struct vmfs **out);

#endif
