/* stats.h -- what vmfs_mount.h tells: requests are counted by the thread that serves them, without a lock */
#ifndef VMFS_FUSE_STATS_H
#define VMFS_FUSE_STATS_H

#include <vmfs_mount.h>

#include "frontend.h"

/* A request has been read; it has ended, with 0 or a negative errno value. Ending what has not begun is
 * nothing. */
void stats_begin(uint32_t opcode);
void stats_end(int result);

/* The opcode that this thread serves, as the kernel sent it. */
uint32_t stats_opcode(void);

/* How long this thread did nothing before the request that it serves, or has served last, began: reading it
 * included. */
int64_t stats_idle_ns(void);

/* Nanoseconds of the monotonic clock. */
int64_t stats_now_ns(void);

/* 0, or a negative errno value. */
int stats_fill(struct frontend *frontend, struct vmfs_mount_stats *out);

#endif
