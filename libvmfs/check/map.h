/* map.h -- who owns each byte of a region
 *
 * F4  Ranges are handed out in order and without gaps, so that each byte is covered exactly once
 *     whatever the bytes say. */
#ifndef VM_CHECK_MAP_H
#define VM_CHECK_MAP_H

#include "media/ctx.h"
#include "vmfs.h"

/* As vmfs_map(). 0 or a reason. */
int vm_map_run(struct vm_ctx *ctx, uint64_t offset, vmfs_map_fn fn, void *arg);

#endif
