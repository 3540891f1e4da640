/* frontend.h -- what the files of vmfs-fuse share: one mount, and how a callback reaches it
 *
 * Each callback converts what the kernel asks, makes one call of vmfs.h and answers. No state of the
 * filesystem is kept here: a node id is an inode id, and how often the kernel knows an inode is what
 * the library counts (vmfs_hold()). What is kept is which files are open (files.h), for the end. */
#ifndef VMFS_FUSE_FRONTEND_H
#define VMFS_FUSE_FRONTEND_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 12)

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>
#include <vmfs.h>

#include "options.h"

#define NS_PER_S 1000000000

struct frontend {
    struct options options;
    struct vmfs *fs;
    struct fuse_session *session;
    bool is_power;    /* what has been answered is durable: fsync() has nothing to do */
    int64_t begin_ns; /* when it was mounted, by the monotonic clock */
};

static inline struct frontend *frontend_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

static inline struct vmfs *fs_of(fuse_req_t req)
{
    return frontend_of(req)->fs;
}

#endif
