/* mount.h -- a region of a test's own, mounted by vmfs-fuse
 *
 * The test becomes the parent of the daemons that vmfs-fuse leaves behind, so that it can tell that they
 * have ended, and kills and unmounts what is left whenever it ends. */
#ifndef TESTS_FUSE_MOUNT_H
#define TESTS_FUSE_MOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "region.h"

struct mount {
    const char *program; /* vmfs-fuse */
    const char *options; /* for -o, or null */
    char region[REGION_PATH_MAX];
    char dir[REGION_PATH_MAX];
    pid_t daemon; /* 0 while it is not mounted */
};

/* Formats a region of `bytes` bytes and makes the mountpoint. Prints why if it is false, as all do. */
bool mount_create(struct mount *mount, const char *program, const char *options, uint64_t bytes);

/* Mounts, also over what a killed daemon left. */
bool mount_start(struct mount *mount);

/* Starts to mount and kills every process of that after so long, wherever it is. The caller has no other
 * children. */
bool mount_start_cut(struct mount *mount, uint64_t after_ns);

/* Unmounts and waits until every process of the mount has ended. */
bool mount_end(struct mount *mount);

/* Notes that the daemon has been killed; waits until every process of the mount has ended, too. The
 * caller has no other children. The dead mountpoint stays. */
bool mount_killed(struct mount *mount);

/* Opens the region that no daemon has, to look at it. Null with a text if it cannot be. */
struct vmfs *mount_look(const struct mount *mount);

/* Checks the region, which is not mounted. */
bool mount_check(const struct mount *mount);

/* Removes region and mountpoint; `is_kept` leaves the region and tells where. */
void mount_destroy(struct mount *mount, bool is_kept);

#endif
