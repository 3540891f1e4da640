/* host.c -- operations on tmpfs, and where it may differ from the model */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host_internal.h"

struct host host = {.root = -1};

static bool is_acl(const struct op *op)
{
    return strncmp(op->name, "system.posix", 12) == 0;
}

static bool is_xattr(const struct op *op)
{
    return op->kind == OP_XATTR_SET || op->kind == OP_XATTR_REMOVE || op->kind == OP_XATTR_GET ||
           op->kind == OP_XATTR_LIST;
}

static bool is_moving(const struct op *op)
{
    return op->kind == OP_ALLOCATE &&
           (op->flags & (VMFS_ALLOC_COLLAPSE | VMFS_ALLOC_INSERT | VMFS_ALLOC_ZERO)) != 0;
}

/* ------------------------------------------------------------------ where tmpfs may differ --- */

static bool differs_stale(const struct op *op, const struct op_result *wanted)
{
    (void)wanted;
    return op->at.base == OP_BASE_STALE || op->other_at.base == OP_BASE_STALE;
}

static bool differs_special(const struct op *op, const struct op_result *wanted)
{
    return op->kind == OP_OPEN && (wanted->code == -ENXIO || wanted->code == -EISDIR);
}

static bool differs_steps(const struct op *op, const struct op_result *wanted)
{
    return (op->kind == OP_SETATTR || op->kind == OP_FSETATTR) && wanted->code < 0;
}

static bool differs_modes(const struct op *op, const struct op_result *wanted)
{
    return is_moving(op) && wanted->code < 0;
}

static bool differs_limits(const struct op *op, const struct op_result *wanted)
{
    (void)op;
    return wanted->code == -EMLINK || wanted->code == -EFBIG || wanted->code == -EMSGSIZE;
}

static bool differs_open_flags(const struct op *op, const struct op_result *wanted)
{
    return op_is_slot_kind(op->kind) && wanted->code == -EPERM && op->kind != OP_FILE_LINK;
}

static bool differs_removed(const struct op *op, const struct op_result *wanted)
{
    return op->kind == OP_TMPFILE && op->path[0] == '\0' && wanted->code == -ENOENT;
}

static bool differs_nothing(const struct op *op, const struct op_result *wanted)
{
    return op->kind == OP_COPY && wanted->code == 0;
}

static bool differs_acl(const struct op *op, const struct op_result *wanted)
{
    return op->kind == OP_XATTR_SET && is_acl(op) && wanted->code == -E2BIG;
}

static bool differs_xattr_read(const struct op *op, const struct op_result *wanted)
{
    size_t bytes = strlen(op->name);
    bool is_bare = bytes > 0 && op->name[bytes - 1] == '.' && wanted->code == -EINVAL;
    return (op->kind == OP_XATTR_GET && wanted->code == -EPERM) || (is_xattr(op) && is_bare);
}

static bool differs_seek_either(const struct op *op, const struct op_result *wanted)
{
    return op->kind == OP_SEEK && op->flags >= VMFS_SEEK_DATA && wanted->code < 0;
}

/* Operations that are not run on tmpfs. What succeeds on the model is never skipped. */
static const struct exception {
    const char *reason;
    bool (*applies)(const struct op *op, const struct op_result *wanted);
} exceptions[] = {
    {"ids of inodes are the library's own", differs_stale},
    {"Linux opens directories, devices and fifos", differs_special},
    {"setattr of several fields is several system calls, of which the first may succeed",
     differs_steps},
    {"ZERO, COLLAPSE and INSERT may have to be done by other means, so that errors cannot be seen",
     differs_modes},
    {"tmpfs has other limits of links and sizes, and no atomic writes", differs_limits},
    {"tmpfs judges inode flags when a file is opened, the library at each change",
     differs_open_flags},
    {"Linux makes nameless files also in removed directories", differs_removed},
    {"Linux judges inode flags also where there is nothing to copy", differs_nothing},
    {"tmpfs has no limit of its own for access control lists", differs_acl},
    {"reading a user attribute of a special file is -ENODATA on Linux, also one without a name",
     differs_xattr_read},
    {"where data ends may differ by preallocation, so that there is data on one side only",
     differs_seek_either},
};

/* The errno that Linux has where the library, with POSIX, has another; 0 if there is none. */
static int64_t other_errno(const struct op *op, int64_t code)
{
    if (op->kind == OP_UNLINK && code == -EISDIR)
        return -EPERM; /* of a directory */
    if (op->kind == OP_ALLOCATE && code == -EOPNOTSUPP)
        return -EINVAL; /* no such combination of modes */
    bool has_size = op->kind == OP_FTRUNCATE || op->kind == OP_FSETATTR;
    if (has_size && code == -EINVAL)
        return -EBADF; /* of a file that was opened for reading */
    return 0;
}

static const char *exception_of(const struct op *op, const struct op_result *wanted)
{
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
        if (exceptions[i].applies(op, wanted))
            return exceptions[i].reason;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------- the caller --- */

static void set_capabilities(bool has_fowner)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0)
        return;
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    if (!has_fowner)
        data[0].effective &= ~(1u << CAP_FOWNER);
    syscall(SYS_capset, &header, data);
}

/* Others than root keep every right but that of an owner. */
static void become(const struct op_place *at)
{
    uint32_t uid = at->uid != UINT32_MAX ? at->uid : 0;
    uint32_t gid = at->gid != UINT32_MAX ? at->gid : 0;
    if (uid == host.uid && gid == host.gid)
        return;
    setfsgid(gid);
    setfsuid(uid);
    set_capabilities(uid == 0);
    host.uid = uid;
    host.gid = gid;
}

/* -------------------------------------------------------------------------------- the calls --- */

static int64_t host_code(int64_t result)
{
    return result >= 0 ? result : -(int64_t)errno;
}

static int dir_of(const struct op_place *place)
{
    if (place->base == OP_BASE_DIR)
        return host.dirs[place->slot];
    return place->base == OP_BASE_FILE ? host.slots[place->slot] : host.root;
}

/* Opens the object that an empty path means. */
static int reopen_with(int fd, int flags, uint32_t mode)
{
    char name[16];
    snprintf(name, sizeof(name), "%d", fd);
    return openat(host.proc, name, flags | O_CLOEXEC | O_NONBLOCK, mode);
}

static int reopen(int fd, int flags)
{
    return reopen_with(fd, flags, 0);
}

static bool is_itself(const struct op_place *place, const char *path)
{
    return path[0] == '\0' && (place->base == OP_BASE_DIR || place->base == OP_BASE_FILE);
}

static int64_t run_names(const struct op *op)
{
    int dir = dir_of(&op->at);
    int other = dir_of(&op->other_at);
    const char *path = op->path;
    switch ((int)op->kind) {
    case OP_MKDIR:
        return mkdirat(dir, path, op->mode);
    case OP_MKNOD:
        return mknodat(dir, path, op->mode,
                       makedev((unsigned)(op->rdev >> 8) & 0xfff, (unsigned)op->rdev & 0xff));
    case OP_SYMLINK:
        return symlinkat(op->other, dir, path);
    case OP_LINK:
        return linkat(dir, path, other, op->other,
                      (op->flags & VMFS_FOLLOW) != 0 ? AT_SYMLINK_FOLLOW : 0);
    case OP_UNLINK:
        return unlinkat(dir, path, 0);
    case OP_RMDIR:
        return unlinkat(dir, path, AT_REMOVEDIR);
    default:
        return syscall(SYS_renameat2, dir, path, other, op->other, op->flags);
    }
}

static void to_timespec(int64_t time_ns, bool is_set, struct timespec *out)
{
    *out = (struct timespec){.tv_nsec = UTIME_OMIT};
    if (!is_set)
        return;
    if (time_ns == VMFS_TIME_NOW) {
        out->tv_nsec = UTIME_NOW;
        return;
    }
    int64_t rest = time_ns % 1000000000;
    out->tv_sec = time_ns / 1000000000 - (rest < 0 ? 1 : 0);
    out->tv_nsec = rest < 0 ? rest + 1000000000 : rest;
}

static int set_flags(int fd, uint32_t flags)
{
    int linux_flags = ((flags & VMFS_INODE_IMMUTABLE) != 0 ? FS_IMMUTABLE_FL : 0) |
                      ((flags & VMFS_INODE_APPEND) != 0 ? FS_APPEND_FL : 0) |
                      ((flags & VMFS_INODE_NOATIME) != 0 ? FS_NOATIME_FL : 0) |
                      ((flags & VMFS_INODE_NODUMP) != 0 ? FS_NODUMP_FL : 0);
    return ioctl(fd, FS_IOC_SETFLAGS, &linux_flags);
}

/* A special file is not opened: it might be a device of the machine. */
static int64_t set_size(int dir, const char *name, uint64_t size)
{
    struct stat stat;
    if (fstatat(dir, name, &stat, 0) == 0 && !S_ISREG(stat.st_mode) && !S_ISDIR(stat.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    int fd = openat(dir, name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = ftruncate(fd, (off_t)size);
    int err = errno;
    close(fd);
    errno = err;
    return result;
}

/* Sets attributes one by one. An owner's change clears set-id bits of more than regular files on Linux:
 * the model's mode is what must be. */
static int64_t set_attributes(int dir, const char *name, const struct vmfs_attr *attr,
                              const struct model_node *node)
{
    int64_t result = 0;
    bool has_owner = (attr->mask & (VMFS_ATTR_UID | VMFS_ATTR_GID)) != 0;
    if ((attr->mask & VMFS_ATTR_SIZE) != 0)
        result = set_size(dir, name, attr->size);
    if (result == 0 && has_owner)
        result = fchownat(dir, name, (attr->mask & VMFS_ATTR_UID) != 0 ? attr->uid : UINT32_MAX,
                          (attr->mask & VMFS_ATTR_GID) != 0 ? attr->gid : UINT32_MAX, 0);
    if (result == 0 && (attr->mask & VMFS_ATTR_MODE) != 0)
        result = fchmodat(dir, name, attr->mode & 07777, 0);
    else if (result == 0 && has_owner && node != NULL)
        result = fchmodat(dir, name, node->mode & 07777, 0);
    if (result != 0 || (attr->mask & (VMFS_ATTR_ATIME | VMFS_ATTR_MTIME)) == 0)
        return result;
    struct timespec times[2];
    to_timespec(attr->atime_ns, (attr->mask & VMFS_ATTR_ATIME) != 0, &times[0]);
    to_timespec(attr->mtime_ns, (attr->mask & VMFS_ATTR_MTIME) != 0, &times[1]);
    return utimensat(dir, name, times, 0);
}

static int64_t run_setflags(const struct op *op)
{
    int fd = is_itself(&op->at, op->path)
                 ? reopen(dir_of(&op->at), O_RDONLY)
                 : openat(dir_of(&op->at), op->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = set_flags(fd, op->attr.flags);
    int err = errno;
    close(fd);
    errno = err;
    return result;
}

static int64_t run_attr(const struct op *op, struct op_world *model)
{
    struct vmfs_attr attr = op_attr(op);
    struct model_node *node = NULL;
    char name[16];
    struct model_at at = {.path = op->path, .uid = UINT32_MAX, .gid = UINT32_MAX};
    if (op->kind == OP_SETFLAGS)
        return run_setflags(op);
    if (op->at.base == OP_BASE_DIR)
        at.dir = model->dirs[op->at.slot].node;
    else if (op->at.base != OP_BASE_NONE)
        at.dir = model->model->root;
    if (op_is_slot_kind(op->kind) || is_itself(&op->at, op->path)) {
        int fd = op_is_slot_kind(op->kind) ? host.slots[op->slot] : dir_of(&op->at);
        node = op_is_slot_kind(op->kind)     ? model->slots[op->slot].node
               : op->at.base == OP_BASE_FILE ? model->slots[op->at.slot].node
                                             : at.dir;
        snprintf(name, sizeof(name), "%d", fd);
        return set_attributes(host.proc, name, &attr, node);
    }
    if (model_find(model->model, &at, 0, &node) != 0)
        node = NULL;
    return set_attributes(dir_of(&op->at), op->path, &attr, node);
}

static int64_t call_xattr(const struct op *op, const char *path, int fd)
{
    bool is_link = (op->flags & VMFS_NOFOLLOW) != 0;
    int flags = ((op->flags & VMFS_XATTR_CREATE) != 0 ? XATTR_CREATE : 0) |
                ((op->flags & VMFS_XATTR_REPLACE) != 0 ? XATTR_REPLACE : 0);
    switch ((int)op->kind) {
    case OP_XATTR_SET:
        op_xattr_value(op, host.data);
        if (fd >= 0)
            return fsetxattr(fd, op->name, host.data, op->length, flags);
        return is_link ? lsetxattr(path, op->name, host.data, op->length, flags)
                       : setxattr(path, op->name, host.data, op->length, flags);
    case OP_XATTR_REMOVE:
        if (fd >= 0)
            return fremovexattr(fd, op->name);
        return is_link ? lremovexattr(path, op->name) : removexattr(path, op->name);
    case OP_XATTR_GET:
        if (fd >= 0)
            return fgetxattr(fd, op->name, host.data, op->length);
        return is_link ? lgetxattr(path, op->name, host.data, op->length)
                       : getxattr(path, op->name, host.data, op->length);
    default:
        if (fd >= 0)
            return flistxattr(fd, (char *)host.data, op->length);
        return is_link ? llistxattr(path, (char *)host.data, op->length)
                       : listxattr(path, (char *)host.data, op->length);
    }
}

static int64_t run_xattr(const struct op *op)
{
    if (is_itself(&op->at, op->path)) {
        int fd = reopen(dir_of(&op->at), O_RDONLY);
        int64_t code = fd >= 0 ? host_code(call_xattr(op, NULL, fd)) : -errno;
        close(fd);
        return code;
    }
    if (op->at.base == OP_BASE_DIR && fchdir(dir_of(&op->at)) != 0)
        return -errno;
    int64_t code = host_code(call_xattr(op, op->path, -1));
    if (op->at.base == OP_BASE_DIR && fchdir(host.root) != 0)
        return -errno;
    return code;
}

static int64_t run_open(const struct op *op)
{
    int flags = (int)(op->flags & ~(uint32_t)(VMFS_O_ATOMIC | VMFS_O_DSYNC)) | O_NONBLOCK;
    int fd = is_itself(&op->at, op->path)
                 ? reopen_with(dir_of(&op->at), flags & ~O_NOFOLLOW, op->mode)
                 : openat(dir_of(&op->at), op->path, flags | O_CLOEXEC, op->mode);
    if (fd < 0)
        return -1;
    host.slots[op->slot] = fd;
    return 0;
}

static int64_t run_write(const struct op *op, const struct op_result *wanted)
{
    int fd = host.slots[op->slot];
    struct iovec iov[OP_PIECES];
    struct vmfs_iovec pieces[OP_PIECES];
    uint64_t length = wanted->code > 0 ? (uint64_t)wanted->code : op->length;
    bool is_here = op->kind == OP_WRITE_HERE;
    if (length > OP_DATA_MAX)
        length = OP_DATA_MAX; /* more is refused whatever it is */
    seed_fill(host.data, length, op->pattern);
    if (op->pieces == 0 || length != op->length)
        return is_here ? write(fd, host.data, length)
                       : pwrite(fd, host.data, length, (off_t)op->offset);
    unsigned count = op_pieces(op, host.data, length, pieces);
    for (unsigned i = 0; i < count; i++)
        iov[i] = (struct iovec){pieces[i].base, pieces[i].length};
    return is_here ? writev(fd, iov, (int)count) : pwritev(fd, iov, (int)count, (off_t)op->offset);
}

static int64_t run_read(const struct op *op)
{
    int fd = host.slots[op->slot];
    struct iovec iov[OP_PIECES];
    struct vmfs_iovec pieces[OP_PIECES];
    bool is_here = op->kind == OP_READ_HERE;
    if (op->pieces == 0)
        return is_here ? read(fd, host.data, op->length)
                       : pread(fd, host.data, op->length, (off_t)op->offset);
    unsigned count = op_pieces(op, host.data, op->length, pieces);
    for (unsigned i = 0; i < count; i++)
        iov[i] = (struct iovec){pieces[i].base, pieces[i].length};
    return is_here ? readv(fd, iov, (int)count) : preadv(fd, iov, (int)count, (off_t)op->offset);
}

/* What the filesystem has no mode for: the model's bytes are stored again. */
static int64_t rewrite(const struct op *op, const struct model_node *node)
{
    int fd = reopen(host.slots[op->slot], O_WRONLY);
    if (fd < 0)
        return -1;
    int64_t result = ftruncate(fd, 0);
    if (result == 0 && node->data_bytes > 0)
        result = pwrite(fd, node->data, node->data_bytes, 0) == (ssize_t)node->data_bytes ? 0 : -1;
    if (result == 0)
        result = ftruncate(fd, (off_t)node->size);
    int err = errno;
    close(fd);
    errno = err;
    return result;
}

static int64_t run_allocate(const struct op *op, const struct model_node *node)
{
    int result =
        fallocate(host.slots[op->slot], (int)op->flags, (off_t)op->offset, (off_t)op->length);
    if (result != 0 && errno == EOPNOTSUPP && is_moving(op))
        return rewrite(op, node);
    return result;
}

static int64_t run_copy(const struct op *op, const struct op_result *wanted)
{
    off_t from = (off_t)op->offset;
    off_t to = (off_t)op->other_offset;
    int64_t left = wanted->code > 0 ? wanted->code : (int64_t)op->length;
    int64_t done = 0;
    do {
        ssize_t got = copy_file_range(host.slots[op->slot], &from, host.slots[op->other_slot], &to,
                                      (size_t)left, 0);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        done += got;
        left -= got;
    } while (left > 0);
    return done;
}

/* tmpfs may find data where the model knows none: what is checked is that it skips no bytes. The
 * position becomes the model's. */
static int64_t run_seek(const struct op *op, const struct op_result *wanted)
{
    int fd = host.slots[op->slot];
    off_t offset = (off_t)op->offset;
    if (op->flags < VMFS_SEEK_DATA || wanted->code < 0)
        return lseek(fd, offset, (int)op->flags);
    return lseek(fd, (off_t)wanted->code, SEEK_SET);
}

static int64_t close_fd(int *fd)
{
    int result = close(*fd);
    *fd = -1;
    return result;
}

static int64_t run_file_link(const struct op *op)
{
    char name[16];
    snprintf(name, sizeof(name), "%d", host.slots[op->slot]);
    return linkat(host.proc, name, dir_of(&op->at), op->path, AT_SYMLINK_FOLLOW);
}

static int64_t run_slot(const struct op *op, struct op_world *model, const struct op_result *wanted)
{
    int fd = host.slots[op->slot];
    switch ((int)op->kind) {
    case OP_WRITE:
    case OP_WRITE_HERE:
        return run_write(op, wanted);
    case OP_ALLOCATE:
        return run_allocate(op, model->slots[op->slot].node);
    case OP_COPY:
        return run_copy(op, wanted);
    case OP_FTRUNCATE:
        return ftruncate(fd, (off_t)op->length);
    case OP_FSETATTR:
        return run_attr(op, model);
    case OP_FILE_LINK:
        return run_file_link(op);
    case OP_SYNC:
        return fsync(fd);
    case OP_READ:
    case OP_READ_HERE:
        return run_read(op);
    case OP_SEEK:
        return run_seek(op, wanted);
    case OP_FSTAT:
        return fstat(fd, &host.stat);
    default:
        return close_fd(&host.slots[op->slot]);
    }
}

static int64_t run_dir(const struct op *op)
{
    if (op->kind == OP_DIR_CLOSE)
        return close_fd(&host.dirs[op->slot]);
    if (op->kind == OP_DIR_READ)
        return host_list(host.dirs[op->slot], &host.listed);
    int fd = openat(dir_of(&op->at), op->path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
    if (is_itself(&op->at, op->path))
        fd = reopen(dir_of(&op->at), O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return -1;
    host.dirs[op->slot] = fd;
    return 0;
}

static int64_t run_reading(const struct op *op)
{
    bool is_self = is_itself(&op->at, op->path);
    if (op->kind == OP_READLINK)
        return is_self ? (errno = EINVAL, -1)
                       : readlinkat(dir_of(&op->at), op->path, (char *)host.data, OP_DATA_MAX);
    int flags = (op->flags & VMFS_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
    return is_self ? fstat(dir_of(&op->at), &host.stat)
                   : fstatat(dir_of(&op->at), op->path, &host.stat, flags);
}

static int64_t run_any(const struct op *op, struct op_world *model, const struct op_result *wanted)
{
    umask(op->at.umask);
    if (op->kind == OP_OPEN || op->kind == OP_TMPFILE)
        return host_code(run_open(op));
    if (op->kind <= OP_RENAME) {
        become(&op->at);
        int64_t code = host_code(run_names(op));
        become(&(struct op_place){.uid = UINT32_MAX, .gid = UINT32_MAX});
        return code;
    }
    if (op->kind <= OP_SETFLAGS)
        return host_code(run_attr(op, model));
    if (op_is_slot_kind(op->kind))
        return host_code(run_slot(op, model, wanted));
    if (op->kind >= OP_DIR_OPEN)
        return host_code(run_dir(op));
    if (op->kind == OP_STAT || op->kind == OP_READLINK)
        return host_code(run_reading(op));
    return run_xattr(op);
}

/* ----------------------------------------------------------------------------------- results --- */

static bool data_agree(const struct op *op, const struct op_result *wanted)
{
    switch ((int)op->kind) {
    case OP_READ:
    case OP_READ_HERE:
    case OP_READLINK:
    case OP_XATTR_GET:
        return memcmp(host.data, wanted->data, wanted->data_bytes) == 0;
    case OP_DIR_READ:
        return memcmp(host.listed.data, wanted->data, sizeof(uint64_t)) == 0;
    default:
        return true;
    }
}

bool host_stats_agree(const struct model_node *node, const struct stat *stat)
{
    int64_t mtime_ns = (int64_t)stat->st_mtim.tv_sec * 1000000000 + stat->st_mtim.tv_nsec;
    bool is_device =
        (node->mode & VMFS_S_IFMT) == VMFS_S_IFCHR || (node->mode & VMFS_S_IFMT) == VMFS_S_IFBLK;
    uint64_t rdev = (uint64_t)major(stat->st_rdev) << 8 | minor(stat->st_rdev);
    bool has_size = !model_is_dir(node);
    bool was_set = node->is_mtime_known &&
                   (node->mtime_ns < HOST_CLOCK_FIRST || node->mtime_ns > HOST_CLOCK_LAST);
    return stat->st_mode == node->mode && stat->st_nlink == node->nlink &&
           stat->st_uid == node->uid && stat->st_gid == node->gid &&
           (!has_size || (uint64_t)stat->st_size == node->size) &&
           (!is_device || rdev == node->rdev) && (!was_set || mtime_ns == node->mtime_ns);
}

static bool codes_agree(const struct op *op, int64_t code, const struct op_result *wanted)
{
    if (op_codes_agree(code, wanted))
        return true;
    /* Linux asks who may change attributes before it looks at the name. */
    if (is_xattr(op) && code == -EPERM &&
        (wanted->code == -EOPNOTSUPP || wanted->code == -ERANGE || wanted->code == -EINVAL))
        return true;
    int64_t other = code < 0 ? other_errno(op, code) : 0;
    return other != 0 && op_codes_agree(other, wanted);
}

bool host_run(const struct op *op, struct op_world *model, const struct op_result *wanted,
              char *text, size_t text_bytes)
{
    char op_text[512];
    host.last = INT64_MIN;
    if (exception_of(op, wanted) != NULL) {
        host.skipped++;
        return true;
    }
    host.ran++;
    int64_t code = run_any(op, model, wanted);
    host.last = code;
    op_to_text(op, op_text, sizeof(op_text));
    if (!codes_agree(op, code, wanted)) {
        snprintf(text, text_bytes, "host: %s returned %lld, the model %lld", op_text,
                 (long long)code, (long long)wanted->code);
        return false;
    }
    if (wanted->code >= 0 && !data_agree(op, wanted)) {
        snprintf(text, text_bytes, "host: %s gave other bytes", op_text);
        return false;
    }
    if (wanted->has_stat && !host_stats_agree(wanted->node, &host.stat)) {
        snprintf(text, text_bytes,
                 "host: %s: mode %o nlink %u owner %u:%u size %lld, model %o %u "
                 "%u:%u %llu",
                 op_text, host.stat.st_mode, (unsigned)host.stat.st_nlink, host.stat.st_uid,
                 host.stat.st_gid, (long long)host.stat.st_size, wanted->node->mode,
                 wanted->node->nlink, wanted->node->uid, wanted->node->gid,
                 (unsigned long long)wanted->node->size);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------- frame --- */

bool host_is_possible(void)
{
    return geteuid() == 0;
}

bool host_enter(const char *path)
{
    memset(host.slots, -1, sizeof(host.slots));
    memset(host.dirs, -1, sizeof(host.dirs));
    umask(0);
    host.proc = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (host.proc < 0 || chdir(path) != 0 || chroot(".") != 0)
        return false;
    host.root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return host.root >= 0;
}

uint64_t host_run_count(void)
{
    return host.ran;
}

uint64_t host_skip_count(void)
{
    return host.skipped;
}

int64_t host_last_code(void)
{
    return host.last;
}

int host_remove(const char *path, bool is_dir)
{
    return unlinkat(host.root, path, is_dir ? AT_REMOVEDIR : 0) == 0 ? 0 : -errno;
}

int host_set_flags(const char *path, uint32_t flags)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = set_flags(fd, flags) == 0 ? 0 : -errno;
    close(fd);
    return result;
}
