/* host.h -- files outside the region, by directory handles
 *
 * A host_cursor is a place in a tree of the host. It holds two handles whatever the depth: its
 * base, and the directory it is in. It goes up by ".." and proves by device and inode number that
 * it came back to where it had been. So neither the depth of a tree nor the length of its paths has
 * a limit, and no symbolic link is followed below the base. */
#ifndef HOST_H
#define HOST_H

#include "path.h"

#include <stdint.h>
#include <sys/stat.h>

struct host_level {
    dev_t dev;
    ino_t ino;
    size_t path_length; /* of the path before this directory's name was added */
};

struct host_cursor {
    int base_fd;
    int fd;           /* the directory it is in; base_fd at depth 0 */
    struct path path; /* of the directory it is in, for messages */
    size_t base_length;
    struct host_level *levels;
    size_t depth;
    size_t capacity;
};

/* A new handle on the directory `path`, taken name by name, so its length does not matter. flags: 0
 * or O_NOFOLLOW, which refuses symbolic links on the way. A negative errno value on failure. */
int host_dir_open(int dir_fd, const char *path, int flags);

/* Starts in the directory `path`, and with its last name left out in its parent. */
int host_start(struct host_cursor *cursor, const char *path);
int host_start_parent(struct host_cursor *cursor, const char *path);

/* Goes into the directory `name` of the current one; goes back up. -ESTALE if the tree was moved in
 * between: the cursor is then of no use any more. */
int host_enter(struct host_cursor *cursor, const char *name);
int host_leave(struct host_cursor *cursor);

/* The current directory's path as seen from the base: "" at the base itself. */
const char *host_path_below(const struct host_cursor *cursor);

void host_stop(struct host_cursor *cursor);

/* Nanoseconds since 1970 as vmfs.h has them, from and to the host's. */
int64_t host_time_ns(struct timespec time);
struct timespec host_timespec(int64_t time_ns);

#endif
