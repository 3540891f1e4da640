/* sandbox.h -- what the daemon can still do once it serves: its own files, and memory */
#ifndef VMFS_FUSE_SANDBOX_H
#define VMFS_FUSE_SANDBOX_H

#include <stdbool.h>

/* Drops capabilities, sets no_new_privs and admits only the system calls of serving; others fail with
 * EPERM. For the calling thread and those that it starts. False with errno set. */
bool sandbox_enter(void);

#endif
