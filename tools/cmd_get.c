/* cmd_get.c -- vmfs get: copy files and trees of the region to the host
 *
 * The mirror of put: names are created private and get their attributes when their contents are
 * complete, directories when everything below them is. */
#include "host.h"
#include "link_table.h"
#include "tool.h"
#include "walk.h"
#include "xattrs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)1 << 20)

struct get {
    struct tool *tool;
    struct walk walk;        /* in the region: the entry being copied */
    struct host_cursor host; /* the directory that it is copied to */
    const char *name;        /* its name there */
    const char *top_name;    /* the name of the whole copy */
    struct link_table links; /* paths below the base of `host` */
    char *buffer;
    bool has_noted_xattrs;
};

/* Both return -1, which says that the failure was reported. */
static int host_failed(struct get *get, int err)
{
    size_t length = get->host.path.length;

    path_push(&get->host.path, get->name);
    tool_fail(get->tool, err, get->host.path.text);
    path_cut(&get->host.path, length);
    return -1;
}

static int region_failed(struct get *get, int err)
{
    tool_fail_inside(get->tool, err, get->walk.path.text);
    return -1;
}

static int range_copy(struct get *get, struct vmfs_file *file, int fd, int64_t at, int64_t stop)
{
    while (at < stop) {
        size_t want = stop - at < (int64_t)BUFFER_BYTES ? (size_t)(stop - at) : BUFFER_BYTES;
        int64_t got = vmfs_file_pread(file, get->buffer, want, (uint64_t)at);
        const char *next = get->buffer;
        if (got < 0)
            return region_failed(get, (int)got);
        if (got == 0)
            return region_failed(get, -EIO);
        while (got > 0) {
            ssize_t written = pwrite(fd, next, (size_t)got, at);
            if (written < 0 && errno == EINTR)
                continue;
            if (written < 0)
                return host_failed(get, -errno);
            next += written;
            got -= written;
            at += written;
        }
        progress_add(&get->tool->progress, 0, (uint64_t)(next - get->buffer));
    }
    return 0;
}

/* Copies what is not a hole; the holes appear as the file is extended over them. */
static int data_copy(struct get *get, struct vmfs_file *file, int fd, uint64_t size)
{
    int64_t stop = 0;

    for (;;) {
        int64_t start = vmfs_file_seek(file, stop, VMFS_SEEK_DATA);
        if (start == -ENXIO)
            break;
        stop = start < 0 ? start : vmfs_file_seek(file, start, VMFS_SEEK_HOLE);
        if (stop < 0)
            return region_failed(get, (int)stop);
        if (range_copy(get, file, fd, start, stop))
            return -1;
    }
    if (ftruncate(fd, (off_t)size))
        return host_failed(get, -errno);
    return 0;
}

static int xattrs_copy(struct get *get, int fd)
{
    enum xattrs_side side;
    int err = xattrs_get(get->tool->fs, get->walk.path.text, fd, &side);

    if (!err)
        return 0;
    if (side == XATTRS_REGION)
        return region_failed(get, err);
    if (err != -EOPNOTSUPP)
        return host_failed(get, err);
    if (!get->has_noted_xattrs)
        tool_note(get->tool, get->host.path.text,
                  "this filesystem keeps no user attributes, they are left out");
    get->has_noted_xattrs = true;
    return 0;
}

/* Who may not give files away keeps them, as with cp, and then no set-id bit may survive. */
static int owner_result(int result, mode_t *mode)
{
    if (result == 0)
        return 0;
    if (errno != EPERM || geteuid() == 0)
        return -errno;
    *mode &= 0777;
    return 0;
}

static int attributes_set_fd(struct get *get, int fd, const struct vmfs_stat *status)
{
    struct timespec times[2] = {host_timespec(status->atime_ns), host_timespec(status->mtime_ns)};
    mode_t mode = status->mode & 07777;
    int err = owner_result(fchown(fd, status->uid, status->gid), &mode);

    if (!err && (fchmod(fd, mode) || futimens(fd, times)))
        err = -errno;
    return err ? host_failed(get, err) : 0;
}

static int attributes_set_name(struct get *get, const struct vmfs_stat *status)
{
    struct timespec times[2] = {host_timespec(status->atime_ns), host_timespec(status->mtime_ns)};
    mode_t mode = status->mode & 07777;
    int fd = get->host.fd;
    int err =
        owner_result(fchownat(fd, get->name, status->uid, status->gid, AT_SYMLINK_NOFOLLOW), &mode);

    if (!err && !S_ISLNK(status->mode) && fchmodat(fd, get->name, mode, 0))
        err = -errno;
    if (!err && utimensat(fd, get->name, times, AT_SYMLINK_NOFOLLOW))
        err = -errno;
    return err ? host_failed(get, err) : 0;
}

/* Reads a symbolic link's target into the buffer, with a NUL. */
static int target_read(struct get *get)
{
    int64_t length =
        vmfs_readlink(get->tool->fs, get->walk.path.text, get->buffer, BUFFER_BYTES - 1);

    if (length < 0)
        return region_failed(get, (int)length);
    get->buffer[length] = '\0';
    return 0;
}

static int link_create(struct get *get, const char *first)
{
    char *parent = text_copy(first);
    char *base = path_base(first);
    int fd, err;

    parent[strlen(first) - strlen(base)] = '\0';
    fd = host_dir_open(get->host.base_fd, parent, O_NOFOLLOW);
    err = fd < 0 ? fd : 0;
    if (fd >= 0) {
        err = linkat(fd, base, get->host.fd, get->name, 0) ? -errno : 0;
        close(fd);
    }
    free(base);
    free(parent);
    return err;
}

/* Makes one try to create get->name for anything but a directory; a symbolic link's target is in
 * the buffer. A new file's handle, or 0. */
static int name_create(struct get *get, const struct vmfs_stat *status, const char *first)
{
    int fd;

    if (first)
        return link_create(get, first);
    if (S_ISLNK(status->mode))
        return symlinkat(get->buffer, get->host.fd, get->name) ? -errno : 0;
    if (!S_ISREG(status->mode))
        return mknodat(get->host.fd, get->name, status->mode & (S_IFMT | 0600), status->rdev)
                   ? -errno
                   : 0;
    fd =
        openat(get->host.fd, get->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

/* The same, with what is in the way removed. Reports a failure. */
static int name_replace(struct get *get, const struct vmfs_stat *status, const char *first)
{
    int result = name_create(get, status, first);

    if (result == -EEXIST) {
        result = unlinkat(get->host.fd, get->name, 0) ? -errno : 0;
        if (result == 0)
            result = name_create(get, status, first);
    }
    return result < 0 ? host_failed(get, result) : result;
}

static int file_fill(struct get *get, int fd)
{
    struct vmfs_stat status;
    struct vmfs_file *file;
    int err = vmfs_file_open(get->tool->fs, get->walk.path.text, VMFS_O_RDONLY | VMFS_O_NOFOLLOW, 0,
                             &file);

    if (err)
        return region_failed(get, err);
    err = vmfs_file_stat(file, &status);
    if (err)
        err = region_failed(get, err);
    else
        err = data_copy(get, file, fd, status.size);
    vmfs_file_close(file);
    if (!err)
        err = xattrs_copy(get, fd);
    return err ? err : attributes_set_fd(get, fd, &status);
}

static int file_get(struct get *get, const struct vmfs_stat *status)
{
    int fd = name_replace(get, status, NULL);
    int err;

    if (fd < 0)
        return fd;
    err = file_fill(get, fd);
    if (close(fd) && !err)
        err = host_failed(get, -errno);
    if (err)
        unlinkat(get->host.fd, get->name, 0);
    return err;
}

static void link_remember(struct get *get, const struct vmfs_stat *status)
{
    size_t length = get->host.path.length;

    path_push(&get->host.path, get->name);
    link_add(&get->links, 0, status->ino, host_path_below(&get->host));
    path_cut(&get->host.path, length);
}

/* A symbolic link, device, fifo or socket. */
static int special_get(struct get *get, const struct vmfs_stat *status)
{
    if (S_ISLNK(status->mode) && target_read(get))
        return -1;
    if (name_replace(get, status, NULL) < 0)
        return -1;
    return attributes_set_name(get, status);
}

static void other_get(struct get *get, const struct vmfs_stat *status)
{
    const char *first = status->nlink > 1 ? link_find(&get->links, 0, status->ino) : NULL;
    int err;

    if (first)
        err = name_replace(get, status, first);
    else if (S_ISREG(status->mode))
        err = file_get(get, status);
    else
        err = special_get(get, status);
    if (err)
        return;
    if (status->nlink > 1 && !first)
        link_remember(get, status);
    progress_add(&get->tool->progress, 1, 0);
}

static int host_mkdir(struct get *get)
{
    struct stat found;

    if (mkdirat(get->host.fd, get->name, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (fstatat(get->host.fd, get->name, &found, AT_SYMLINK_NOFOLLOW))
        return -errno;
    return S_ISDIR(found.st_mode) ? 0 : -ENOTDIR;
}

static void directory_enter(struct get *get)
{
    int err = host_mkdir(get);

    if (!err)
        err = host_enter(&get->host, get->name);
    if (err) {
        host_failed(get, err);
        return;
    }
    err = walk_enter(&get->walk);
    if (err) {
        region_failed(get, err);
        host_leave(&get->host);
    }
}

static const char *walk_name(const struct get *get)
{
    return get->walk.depth == 0 ? get->top_name : strrchr(get->walk.path.text, '/') + 1;
}

/* The way up comes first: the mode of this directory may forbid it afterwards. */
static int directory_leave(struct get *get)
{
    struct vmfs_stat status;
    int fd = dup(get->host.fd);
    int err = fd < 0 ? -errno : host_leave(&get->host);

    get->name = walk_name(get);
    if (err) {
        host_failed(get, err);
    } else {
        int failed = vmfs_stat(get->tool->fs, get->walk.path.text, VMFS_NOFOLLOW, &status);
        if (failed)
            region_failed(get, failed);
        else if (!xattrs_copy(get, fd))
            attributes_set_fd(get, fd, &status);
    }
    if (fd >= 0)
        close(fd);
    return err;
}

static void entry_get(struct get *get)
{
    struct vmfs_stat status;
    int err = vmfs_stat(get->tool->fs, get->walk.path.text, VMFS_NOFOLLOW, &status);

    if (err)
        region_failed(get, err);
    else if (!S_ISDIR(status.mode))
        other_get(get, &status);
    else if (get->tool->is_set['r'])
        directory_enter(get);
    else
        tool_fail_text(get->tool, get->tool->operands[0], "is a directory, which takes -r");
}

static void tree_get(struct get *get)
{
    enum walk_event event;

    get->name = get->top_name;
    entry_get(get);
    while ((event = walk_next(&get->walk)) != WALK_END) {
        if (event == WALK_FAILED) {
            region_failed(get, get->walk.err);
        } else if (event == WALK_ENTRY) {
            get->name = walk_name(get);
            entry_get(get);
        } else if (directory_leave(get)) {
            return;
        }
    }
}

/* As cp does: into a directory that exists, else under the name given. *name is what the copy is
 * called there, in memory of its own. */
static int dest_open(struct get *get, const char *source, const char *dest, char **name)
{
    int fd = host_dir_open(AT_FDCWD, dest, 0);

    if (fd >= 0) {
        close(fd);
        *name = path_base(source);
        if (!**name || name_is_dots(*name)) {
            free(*name);
            *name = text_copy(".");
        }
        return host_start(&get->host, dest);
    }
    *name = path_base(dest);
    if (path_ends_in_slash(dest) && !get->tool->is_set['r'])
        return -ENOTDIR;
    return host_start_parent(&get->host, dest);
}

static void get_run(struct tool *tool)
{
    struct get get = {.tool = tool, .buffer = memory_grow(NULL, BUFFER_BYTES)};
    char *source = path_absolute(tool->operands[0]);
    char *name;
    int err = dest_open(&get, source, tool->operands[1], &name);

    if (err) {
        tool_fail(tool, err, tool->operands[1]);
    } else {
        get.top_name = name;
        walk_start(&get.walk, tool->fs, source);
        tree_get(&get);
        walk_stop(&get.walk);
        host_stop(&get.host);
    }
    link_table_free(&get.links);
    free(get.buffer);
    free(source);
    free(name);
}

const struct verb verb_get = {
    .name = "get",
    .synopsis = "[--peek] [-r] REGION /SOURCE DEST",
    .summary = "copy files of the region to the host",
    .help = "Copies /SOURCE, in the region, to DEST outside as 'cp -a' does: with modes, owners,\n"
            "times, hard links, symbolic links, devices, holes and user.* attributes. If DEST is\n"
            "a directory, the copy goes into it. A file that is in the way is replaced.\n\n"
            "  -r, --recursive     copy directories with all that is in them\n",
    .options = (const int[]){OPTION_PEEK, 'r', 0},
    .operands_min = 3,
    .operands_max = 3,
    .opens = OPENS_READ,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = get_run,
};
