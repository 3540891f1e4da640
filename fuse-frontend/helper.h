/* helper.h -- the process that keeps the ability to unmount, and to look at others
 *
 * It is forked before anything is open, so that it holds neither the region nor the connection to the
 * kernel: when the daemon is killed, both are free. It listens on a socket whose other end only the
 * daemon has. */
#ifndef VMFS_FUSE_HELPER_H
#define VMFS_FUSE_HELPER_H

#include <stdbool.h>

#include "options.h"

/* What the helper sends the daemon once the mount is detached while still in use: serve no longer. */
#define HELPER_DETACHED_SIGNAL SIGUSR1

/* Forks it: "vmfs-unmount MOUNTPOINT", so that nobody takes it for the daemon. False with errno set. */
bool helper_start(const struct options *options);

/* Tells it what the mount is, so that it touches no other. */
void helper_mounted(const char *device);

/* Asks it to unmount while the daemon serves on, so that all that the kernel holds back is written: in a
 * signal handler, too. False if it is dead. */
bool helper_unmount(void);

/* Is the thread `pid` in the group, by its list of groups? False if nobody knows. It is a round trip to the helper:
 * for what is rare. */
bool helper_is_in_group(int pid, unsigned gid);

/* The mount is gone, and so is the daemon soon. */
void helper_end(void);

#endif
