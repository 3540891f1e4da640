/* cmd_put.c -- vmfs put: copy files and trees of the host into the region
 *
 * A file is created empty and private, filled, and given its owner, mode and times last, in one
 * step. So a copy that was cut off never has the attributes of a whole one, and the line that -v
 * prints comes after everything of its file is durable. Directories get theirs after their
 * contents, which would change their times. */
#include "host.h"
#include "link_table.h"
#include "names.h"
#include "tool.h"
#include "xattrs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)1 << 20)

/* A directory that is being copied. */
struct put_level {
    struct names names;
    size_t next;
    struct stat status;
    size_t dest_length;
};

struct put {
    struct tool *tool;
    struct host_cursor host;
    struct path dest; /* in the region, of the entry being copied */
    struct link_table links;
    char *buffer;
    struct put_level *levels;
    size_t depth;
    size_t capacity;
};

/* Both return -1, which says that the failure was reported. */
static int host_failed(struct put *put, int err, const char *name)
{
    size_t length = put->host.path.length;

    path_push(&put->host.path, name);
    tool_fail(put->tool, err, put->host.path.text);
    path_cut(&put->host.path, length);
    return -1;
}

static int region_failed(struct put *put, int err)
{
    tool_fail_inside(put->tool, err, put->dest.text);
    return -1;
}

static int range_copy(struct put *put, int fd, struct vmfs_file *file, const char *name, off_t *at,
                      off_t stop)
{
    while (*at < stop) {
        size_t want = stop - *at < (off_t)BUFFER_BYTES ? (size_t)(stop - *at) : BUFFER_BYTES;
        ssize_t got = pread(fd, put->buffer, want, *at);
        char *next = put->buffer;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return host_failed(put, -errno, name);
        if (got == 0)
            return 0;
        while (got > 0) {
            int64_t written = vmfs_file_pwrite(file, next, (size_t)got, (uint64_t)*at);
            if (written < 0)
                return region_failed(put, (int)written);
            next += written;
            got -= written;
            *at += written;
        }
        progress_add(&put->tool->progress, 0, (uint64_t)(next - put->buffer));
    }
    return 0;
}

/* Copies what is not a hole. *end is where the last data ended, *size the file's size. */
static int data_copy(struct put *put, int fd, struct vmfs_file *file, const char *name, off_t *end,
                     off_t *size)
{
    *end = 0;
    for (;;) {
        off_t start = lseek(fd, *end, SEEK_DATA);
        off_t stop = start < 0 ? -1 : lseek(fd, start, SEEK_HOLE);
        if (start < 0 && errno == ENXIO)
            break;
        /* Some filesystems know no holes: then all is data up to the end, wherever that is. */
        *end = start < 0 ? *end : start;
        stop = stop < 0 ? INT64_MAX : stop;
        if (range_copy(put, fd, file, name, end, stop))
            return -1;
        if (*end < stop) {
            *size = *end;
            return 0;
        }
    }
    *size = lseek(fd, 0, SEEK_END);
    return 0;
}

static struct vmfs_attr attr_from(const struct stat *status)
{
    return (struct vmfs_attr){
        .mask = VMFS_ATTR_MODE | VMFS_ATTR_UID | VMFS_ATTR_GID | VMFS_ATTR_ATIME | VMFS_ATTR_MTIME,
        .mode = status->st_mode & 07777,
        .uid = status->st_uid,
        .gid = status->st_gid,
        .atime_ns = host_time_ns(status->st_atim),
        .mtime_ns = host_time_ns(status->st_mtim),
    };
}

static int xattrs_copy(struct put *put, int fd, const char *name)
{
    enum xattrs_side side;
    int err = xattrs_put(put->tool->fs, put->dest.text, fd, &side);

    if (!err)
        return 0;
    return side == XATTRS_HOST ? host_failed(put, err, name) : region_failed(put, err);
}

/* Makes one try to create the name put->dest for anything but a directory. */
static int name_create(struct put *put, const char *name, const struct stat *status,
                       struct vmfs_file **file)
{
    struct vmfs *fs = put->tool->fs;
    const char *dest = put->dest.text;
    const char *first = NULL;
    char target[VMFS_PATH_MAX + 2];
    ssize_t length;

    if (status->st_nlink > 1)
        first = link_find(&put->links, status->st_dev, status->st_ino);
    if (first)
        return vmfs_link(fs, first, dest);
    if (S_ISREG(status->st_mode))
        return vmfs_file_open(fs, dest, VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_WRONLY, 0600, file);
    if (!S_ISLNK(status->st_mode))
        return vmfs_mknod(fs, dest, status->st_mode & (S_IFMT | 0600), status->st_rdev);
    length = readlinkat(put->host.fd, name, target, sizeof(target) - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    return vmfs_symlink(fs, target, dest);
}

/* The same, with what is in the way removed. */
static int name_replace(struct put *put, const char *name, const struct stat *status,
                        struct vmfs_file **file)
{
    int err = name_create(put, name, status, file);

    if (err != -EEXIST)
        return err;
    err = vmfs_unlink(put->tool->fs, put->dest.text);
    if (err)
        return err == -EPERM ? -EISDIR : err;
    return name_create(put, name, status, file);
}

static int file_fill(struct put *put, int fd, struct vmfs_file *file, const char *name,
                     const struct stat *status)
{
    struct vmfs_attr attr = attr_from(status);
    off_t end, size;
    int err;

    if (data_copy(put, fd, file, name, &end, &size) || xattrs_copy(put, fd, name))
        return -1;
    if (size > end) {
        attr.mask |= VMFS_ATTR_SIZE;
        attr.size = (uint64_t)size;
    }
    err = vmfs_file_setattr(file, &attr);
    return err ? region_failed(put, err) : 0;
}

static int file_open(struct put *put, const char *name, const struct stat *expected)
{
    struct stat status;
    int fd = openat(put->host.fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) || status.st_ino != expected->st_ino || !S_ISREG(status.st_mode)) {
        close(fd);
        return -ESTALE;
    }
    return fd;
}

static int file_put(struct put *put, const char *name, const struct stat *status)
{
    struct vmfs_file *file;
    int fd = file_open(put, name, status);
    int err;

    if (fd < 0)
        return host_failed(put, fd, name);
    err = name_replace(put, name, status, &file);
    if (err) {
        close(fd);
        return region_failed(put, err);
    }
    err = file_fill(put, fd, file, name, status);
    close(fd);
    if (vmfs_file_close(file) && !err)
        err = region_failed(put, -EIO);
    if (err)
        vmfs_unlink(put->tool->fs, put->dest.text);
    return err;
}

/* A symbolic link, device, fifo or socket. */
static int special_put(struct put *put, const char *name, const struct stat *status)
{
    struct vmfs_attr attr = attr_from(status);
    int err = name_replace(put, name, status, NULL);

    if (S_ISLNK(status->st_mode))
        attr.mask &= ~(uint32_t)VMFS_ATTR_MODE;
    if (!err)
        err = vmfs_setattr(put->tool->fs, put->dest.text, VMFS_NOFOLLOW, &attr);
    return err ? region_failed(put, err) : 0;
}

static int link_put(struct put *put, const char *name, const struct stat *status)
{
    int err = name_replace(put, name, status, NULL);

    return err ? region_failed(put, err) : 0;
}

static void dest_say(struct put *put)
{
    int err;

    if (!put->tool->is_set['v'])
        return;
    progress_clear(&put->tool->progress);
    /* One write takes path and newline, so a killed writer leaves no half line. */
    memcpy(put->buffer, put->dest.text, put->dest.length);
    put->buffer[put->dest.length] = '\n';
    err = tool_write_stdout(put->buffer, put->dest.length + 1);
    if (err)
        tool_fail(put->tool, err, "standard output");
}

static void other_put(struct put *put, const char *name, const struct stat *status)
{
    bool is_shared = status->st_nlink > 1;
    int err;

    if (is_shared && link_find(&put->links, status->st_dev, status->st_ino))
        err = link_put(put, name, status);
    else if (S_ISREG(status->st_mode))
        err = file_put(put, name, status);
    else
        err = special_put(put, name, status);
    if (err)
        return;
    if (is_shared && !link_find(&put->links, status->st_dev, status->st_ino))
        link_add(&put->links, status->st_dev, status->st_ino, put->dest.text);
    progress_add(&put->tool->progress, 1, 0);
    dest_say(put);
}

static int names_read(int dir_fd, struct names *names)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int err;

    if (!dir) {
        err = -errno;
        if (fd >= 0)
            close(fd);
        return err;
    }
    while (errno = 0, (entry = readdir(dir)) != NULL)
        if (!name_is_dots(entry->d_name))
            names_add(names, entry->d_name);
    err = -errno;
    closedir(dir);
    names_sort(names);
    return err;
}

static int dest_mkdir(struct put *put)
{
    struct vmfs_stat found;
    int err = vmfs_mkdir(put->tool->fs, put->dest.text, 0700);

    if (!err || vmfs_stat(put->tool->fs, put->dest.text, VMFS_NOFOLLOW, &found))
        return err;
    return (found.mode & VMFS_S_IFMT) == VMFS_S_IFDIR ? 0 : -ENOTDIR;
}

static void directory_enter(struct put *put, const char *name, const struct stat *status)
{
    struct put_level level = {.status = *status, .dest_length = put->dest.length};
    int err = dest_mkdir(put);

    if (err) {
        region_failed(put, err);
        return;
    }
    err = host_enter(&put->host, name);
    if (err) {
        host_failed(put, err, name);
        return;
    }
    err = names_read(put->host.fd, &level.names);
    if (err)
        host_failed(put, err, ".");
    if (put->depth == put->capacity) {
        put->capacity = put->capacity ? 2 * put->capacity : 16;
        put->levels = memory_grow(put->levels, put->capacity * sizeof(*put->levels));
    }
    put->levels[put->depth++] = level;
}

static void directory_leave(struct put *put)
{
    struct put_level *level = &put->levels[--put->depth];
    struct vmfs_attr attr = attr_from(&level->status);
    int err;

    names_free(&level->names);
    xattrs_copy(put, put->host.fd, ".");
    err = vmfs_setattr(put->tool->fs, put->dest.text, VMFS_NOFOLLOW, &attr);
    if (err)
        region_failed(put, err);
    err = host_leave(&put->host);
    if (!err)
        return;
    host_failed(put, err, "..");
    while (put->depth > 0)
        names_free(&put->levels[--put->depth].names);
}

static void entry_put(struct put *put, const char *name)
{
    struct stat status;

    if (fstatat(put->host.fd, name, &status, AT_SYMLINK_NOFOLLOW))
        host_failed(put, -errno, name);
    else if (!S_ISDIR(status.st_mode))
        other_put(put, name, &status);
    else if (put->tool->is_set['r'])
        directory_enter(put, name, &status);
    else
        tool_fail_text(put->tool, put->tool->operands[0], "is a directory, which takes -r");
}

static void tree_put(struct put *put, const char *name)
{
    entry_put(put, name);
    while (put->depth > 0) {
        struct put_level *level = &put->levels[put->depth - 1];
        path_cut(&put->dest, level->dest_length);
        if (level->next == level->names.count) {
            directory_leave(put);
        } else {
            const char *next = level->names.items[level->next++];
            path_push(&put->dest, next);
            entry_put(put, next);
        }
    }
}

/* As cp does: into a directory that exists, else under the name given. */
static int dest_choose(struct put *put, const char *dest, const char *base)
{
    char *absolute = path_absolute(dest);
    struct vmfs_stat found;
    int err = vmfs_stat(put->tool->fs, absolute, 0, &found);
    bool is_directory = !err && (found.mode & VMFS_S_IFMT) == VMFS_S_IFDIR;
    bool may_become_one = err == -ENOENT && put->tool->is_set['r'];

    path_init(&put->dest, absolute);
    free(absolute);
    if (is_directory && *base && !name_is_dots(base))
        path_push(&put->dest, base);
    if (path_ends_in_slash(dest) && !is_directory && !may_become_one)
        return -ENOTDIR;
    return err == -ENOENT ? 0 : err;
}

static void source_put(struct put *put, const char *base)
{
    const char *source = put->tool->operands[0];
    /* A source like "dir/." or "/" has no name of its own; "link/" means what the link names. */
    bool is_whole = !*base || name_is_dots(base) || path_ends_in_slash(source);
    int err = is_whole ? host_start(&put->host, source) : host_start_parent(&put->host, source);

    if (err) {
        tool_fail(put->tool, err, source);
        return;
    }
    err = dest_choose(put, put->tool->operands[1], base);
    if (err)
        region_failed(put, err);
    else
        tree_put(put, is_whole ? "." : base);
    host_stop(&put->host);
    path_free(&put->dest);
}

static void put_run(struct tool *tool)
{
    struct put put = {.tool = tool, .buffer = memory_grow(NULL, BUFFER_BYTES)};
    char *base = path_base(tool->operands[0]);

    source_put(&put, base);
    link_table_free(&put.links);
    free(put.levels);
    free(put.buffer);
    free(base);
}

const struct verb verb_put = {
    .name = "put",
    .synopsis = "[-r] [-v] REGION SOURCE /DEST",
    .summary = "copy files of the host into the region",
    .help = "Copies SOURCE, outside, to /DEST in the region as 'cp -a' does: with modes, owners,\n"
            "times, hard links, symbolic links, devices, holes and user.* attributes. If /DEST\n"
            "is a directory, the copy goes into it. A file that is in the way is replaced.\n"
            "Each file is durable when the next one begins.\n\n"
            "  -r, --recursive     copy directories with all that is in them\n"
            "  -v, --verbose       print the path in the region of each file (of all that is not\n"
            "                      a directory), at once, when it is complete and durable\n",
    .options = (const int[]){'r', 'v', 0},
    .operands_min = 3,
    .operands_max = 3,
    .opens = OPENS_WRITE,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = put_run,
};
