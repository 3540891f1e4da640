/* mounts.h -- what is mounted where, and mountpoints that a dead daemon left behind */
#ifndef VMFS_FUSE_MOUNTS_H
#define VMFS_FUSE_MOUNTS_H

#include <stdbool.h>

#define MOUNT_TYPE "fuse.vmfs"

struct mount {
    char device[32]; /* "major:minor" */
    char type[64];
};

/* What is mounted at the absolute path `mountpoint`, the topmost if several are. False if nothing. */
bool mount_find(const char *mountpoint, struct mount *out);

/* Is there a mount whose daemon is dead? Of one that is about to die this waits for the end. */
bool mount_is_dead(const char *mountpoint);

/* Unmounts what is there; lazily: also while it is used. 0 or an errno value. */
int mount_remove(const char *mountpoint, bool is_lazy);

/* Makes the mountpoint ready: clears mounts of ours whose daemon is dead, and says on standard error why
 * it cannot be used. */
bool mountpoint_prepare(const char *mountpoint);

/* As much readahead as the kernel would not give by itself; only root may, else nothing happens. */
void mount_readahead(const struct mount *mount, unsigned kib);

#endif
