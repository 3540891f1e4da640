/* host.c -- files outside the region, by directory handles */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

/* O_PATH asks for search permission only, as walking a path does. */
static int name_open(int dir_fd, const char *name, int flags)
{
    int fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC | flags);

    return fd < 0 ? -errno : fd;
}

int host_dir_open(int dir_fd, const char *path, int flags)
{
    char name[NAME_MAX + 1];
    int fd = name_open(dir_fd, *path == '/' ? "/" : ".", 0);

    for (path += strspn(path, "/"); fd >= 0 && *path; path += strspn(path, "/")) {
        size_t length = strcspn(path, "/");
        int next = -ENAMETOOLONG;
        if (length <= NAME_MAX) {
            memcpy(name, path, length);
            name[length] = '\0';
            next = name_open(fd, name, flags);
        }
        close(fd);
        fd = next;
        path += length;
    }
    return fd;
}

static int cursor_init(struct host_cursor *cursor, const char *path)
{
    int fd = host_dir_open(AT_FDCWD, path, 0);

    if (fd < 0)
        return fd;
    *cursor = (struct host_cursor){.base_fd = fd, .fd = fd};
    return 0;
}

int host_start(struct host_cursor *cursor, const char *path)
{
    int err = cursor_init(cursor, path);

    if (err)
        return err;
    path_init(&cursor->path, path);
    cursor->base_length = cursor->path.length;
    return 0;
}

int host_start_parent(struct host_cursor *cursor, const char *path)
{
    struct path parent;
    int err;

    path_init(&parent, path);
    while (parent.length > 0 && parent.text[parent.length - 1] == '/')
        parent.length--;
    while (parent.length > 0 && parent.text[parent.length - 1] != '/')
        parent.length--;
    path_cut(&parent, parent.length);
    err = cursor_init(cursor, parent.text);
    if (err) {
        path_free(&parent);
        return err;
    }
    cursor->path = parent;
    cursor->base_length = parent.length;
    return 0;
}

static void level_push(struct host_cursor *cursor, const struct stat *status, const char *name)
{
    if (cursor->depth == cursor->capacity) {
        cursor->capacity = cursor->capacity ? 2 * cursor->capacity : 16;
        cursor->levels = memory_grow(cursor->levels, cursor->capacity * sizeof(*cursor->levels));
    }
    cursor->levels[cursor->depth++] =
        (struct host_level){status->st_dev, status->st_ino, cursor->path.length};
    path_push(&cursor->path, name);
}

static void cursor_move(struct host_cursor *cursor, int fd)
{
    if (cursor->fd != cursor->base_fd)
        close(cursor->fd);
    cursor->fd = fd;
}

int host_enter(struct host_cursor *cursor, const char *name)
{
    struct stat status;
    int fd = openat(cursor->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status)) {
        int err = -errno;
        close(fd);
        return err;
    }
    cursor_move(cursor, fd);
    level_push(cursor, &status, name);
    return 0;
}

static int parent_open(const struct host_cursor *cursor)
{
    const struct host_level *parent = &cursor->levels[cursor->depth - 2];
    struct stat status;
    int fd = openat(cursor->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) || status.st_dev != parent->dev || status.st_ino != parent->ino) {
        close(fd);
        return -ESTALE;
    }
    return fd;
}

int host_leave(struct host_cursor *cursor)
{
    int fd = cursor->depth == 1 ? cursor->base_fd : parent_open(cursor);

    if (fd < 0)
        return fd;
    cursor_move(cursor, fd);
    cursor->depth--;
    path_cut(&cursor->path, cursor->levels[cursor->depth].path_length);
    return 0;
}

void host_stop(struct host_cursor *cursor)
{
    cursor_move(cursor, cursor->base_fd);
    close(cursor->base_fd);
    free(cursor->levels);
    path_free(&cursor->path);
}

const char *host_path_below(const struct host_cursor *cursor)
{
    const char *below = cursor->path.text + cursor->base_length;

    return below + strspn(below, "/");
}

int64_t host_time_ns(struct timespec time)
{
    /* The years from 1678 to 2261 fit; the host can store more. */
    if (time.tv_sec > INT64_MAX / SECOND_NS - 1)
        return INT64_MAX;
    if (time.tv_sec < -INT64_MAX / SECOND_NS + 1)
        return -INT64_MAX;
    return (int64_t)time.tv_sec * SECOND_NS + time.tv_nsec;
}

struct timespec host_timespec(int64_t time_ns)
{
    struct timespec time = {.tv_sec = time_ns / SECOND_NS, .tv_nsec = time_ns % SECOND_NS};

    if (time.tv_nsec < 0) {
        time.tv_nsec += SECOND_NS;
        time.tv_sec--;
    }
    return time;
}
