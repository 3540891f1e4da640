/* host.h -- the same operations by system calls, on tmpfs or on a mount
 *
 * A process enters a tree of its own with chroot(), so that absolute links and '..' above the root
 * mean there what they mean in a region. That needs root. */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

#include "op.h"

/* True if this process may do what the comparison needs. */
bool host_is_possible(void);

/* Makes `path`, a directory that exists, the root of this process. For the rest of its life. */
bool host_enter(const char *path);

/* Runs `op` and compares with what the model has just returned; false and a text if they differ.
 * Operations that tmpfs cannot do, or does otherwise for a reason, are skipped or done by other means:
 * host.c lists them. */
bool host_run(const struct op *op, struct op_world *model, const struct op_result *wanted,
              char *text, size_t text_bytes);

/* Operations that were run, and that were skipped. */
uint64_t host_run_count(void);
uint64_t host_skip_count(void);

/* The codes that host_run() last got, or INT64_MIN if it was skipped. */
int64_t host_last_code(void);

/* Compares the whole tree: names, types, attributes, links, attributes and content. */
bool host_compare(struct model *model, char *text, size_t text_bytes);

/* Removes a name of the tree; the model still has it. 0 or a negative errno. */
int host_remove(const char *path, bool is_dir);

/* Sets the inode flags of a file or directory. */
int host_set_flags(const char *path, uint32_t flags);

#endif
