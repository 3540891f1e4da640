/* convert.h -- between the library's types and those of libfuse; the one place where a sign flips */
#ifndef VMFS_FUSE_CONVERT_H
#define VMFS_FUSE_CONVERT_H

#include "frontend.h"

/* Most bytes of one read or write. */
#define MAX_IO_BYTES (1u << 20)
#define IO_BLOCK     4096

/* The bits of a mode without the type. */
#define MODE_BITS 07777u

/* This daemon is the only writer, and each change comes through the kernel: what it remembers stays true. */
#define TIMEOUT_S 86400.0

struct stat convert_stat(const struct vmfs_stat *from);
struct fuse_entry_param convert_entry(const struct vmfs_stat *from);
struct timespec convert_timespec(int64_t time_ns);
int64_t convert_time_ns(struct timespec time);

/* The place of `name` below `dir` for the caller of the request: owner and mask of what is made there. */
struct vmfs_at place_of(fuse_req_t req, fuse_ino_t dir, const char *name);

/* The same for taking away or moving: the kernel has judged the caller, with capabilities and all. */
struct vmfs_at place_judged(fuse_ino_t dir, const char *name);

/* The inode itself. */
struct vmfs_at place_self(fuse_ino_t ino);

/* The kernel keeps listings of directories as long as no name changes. One whose change time is set needs its
 * access time set at the next listing, so that has to come to us. The kernel has the directory locked while
 * it waits for this request, so nobody lists it. */
void forget_listing(struct frontend *frontend, const struct vmfs_stat *stat);

/* A change takes the set-group-id bit, where the group may not execute, from who is neither in the group nor
 * privileged. The kernel only says that set-id bits go, and the library those that always do. */
bool is_sgid_lost(fuse_req_t req, const struct vmfs_stat *stat);

/* Takes that bit away where the kernel does not do so before the change: opening with O_TRUNC, and writing past
 * its pages. Of two changes of the mode at one moment one is lost, as only its owner makes one. */
void lose_sgid(fuse_req_t req, fuse_ino_t ino);

/* Answers with what a library call returned: 0 or a negative errno value. */
void reply_result(fuse_req_t req, int64_t result);

/* Answers with an entry that was held once; gives that back if nobody hears it. */
void reply_held(fuse_req_t req, const struct vmfs_stat *stat);

#endif
