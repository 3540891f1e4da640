/* platform.h -- the platform interface on Linux */
#ifndef VM_API_PLATFORM_H
#define VM_API_PLATFORM_H

#include "api/handle.h"

/* Fills in fs->platform; `back` works on fs->fd. */
void vm_platform_init(struct vmfs *fs);

/* One page that the kernel wipes in a forked child, with a non-zero word in it; null without
 * memory. */
const uint32_t *vm_fork_guard_create(void);
void vm_fork_guard_destroy(const uint32_t *guard);

#endif
