/* calls.c -- the table of calls.h */
#include "calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static long run_mkfifo(struct deed *d)
{
    return sys(mkfifo(d->a, 0644));
}

static long run_link_new(struct deed *d)
{
    return sys(link(d->b, d->a));
}

static long run_rename_from(struct deed *d)
{
    return sys(renameat2(AT_FDCWD, d->a, AT_FDCWD, d->b, (unsigned)d->x));
}

static long run_rename_to(struct deed *d)
{
    return sys(renameat2(AT_FDCWD, d->b, AT_FDCWD, d->a, (unsigned)d->x));
}

static long run_fchmodat2(struct deed *d)
{
    return sys(syscall(SYS_fchmodat2, AT_FDCWD, d->a, d->x, AT_SYMLINK_NOFOLLOW));
}

static long run_chown(struct deed *d)
{
    return sys(fchownat(AT_FDCWD, d->a, (uid_t)-1, (gid_t)-1, (int)d->x));
}

static long run_utimens(struct deed *d)
{
    return sys(utimensat(AT_FDCWD, d->a, NULL, (int)d->x));
}

static long run_stat(struct deed *d)
{
    struct stat status;
    return sys(fstatat(AT_FDCWD, d->a, &status, (int)d->x));
}

static long run_statx(struct deed *d)
{
    struct statx status;
    return sys(statx(AT_FDCWD, d->a, (int)d->x, STATX_BASIC_STATS, &status));
}

static long run_statfs(struct deed *d)
{
    struct statfs status;
    return sys(statfs(d->a, &status));
}

static long run_pathconf(struct deed *d)
{
    errno = 0;
    return sys(pathconf(d->a, _PC_NAME_MAX));
}

static long run_readlink(struct deed *d)
{
    return sys(readlink(d->a, d->out, 4096));
}

static long run_opendir(struct deed *d)
{
    DIR *stream = opendir(d->a);
    if (!stream)
        return -errno;
    closedir(stream);
    return 0;
}

static long run_chdir(struct deed *d)
{
    int here = open(".", O_PATH | O_CLOEXEC);
    long result = sys(chdir(d->a));
    if (result == 0 && fchdir(here))
        abort();
    close(here);
    return result;
}

static long run_getxattr(struct deed *d)
{
    return sys(d->x ? lgetxattr(d->a, "user.none", d->out, 100)
                    : getxattr(d->a, "user.none", d->out, 100));
}

static long run_setxattr(struct deed *d)
{
    return sys(d->x ? lsetxattr(d->a, "user.new", "x", 1, 0)
                    : setxattr(d->a, "user.new", "x", 1, 0));
}

static long run_removexattr(struct deed *d)
{
    return sys(d->x ? lremovexattr(d->a, "user.none") : removexattr(d->a, "user.none"));
}

static long run_listxattr(struct deed *d)
{
    return sys(d->x ? llistxattr(d->a, d->out, 4096) : listxattr(d->a, d->out, 4096));
}

static long run_handle(struct deed *d)
{
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } space = {.handle.handle_bytes = MAX_HANDLE_SZ};
    int mount_id;
    return sys(name_to_handle_at(AT_FDCWD, d->a, &space.handle, &mount_id, (int)d->x));
}

static long run_execve(struct deed *d)
{
    char *arguments[] = {NULL};
    return sys(execve(d->a, arguments, arguments));
}

/* Kinds:        nothing file dir full fifo socket char block link link-dir dangling loop */
#define FOLLOWED    "ENOENT . . . . . . . . . ENOENT ELOOP"
#define OBJECT      "ENOENT . . . . . . . . . . ."
#define FRESH       ". EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST"
#define DIR_ONLY    "ENOENT ENOTDIR . . ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR . ENOENT ELOOP"
#define OPEN_WRITE  "ENOENT . EISDIR EISDIR ENXIO ENXIO dev dev . EISDIR ENOENT ELOOP"
#define OPEN_CREATE ". . EISDIR EISDIR ENXIO ENXIO dev dev . EISDIR . ELOOP"
#define MOVED_ONTO  ". . EISDIR EISDIR . . . . . . . ."
#define DIR_ONTO                                                                                   \
    ". ENOTDIR . ENOTEMPTY ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR"
/* With a slash. */
#define S_DIR_IS(result)                                                                           \
    "ENOENT ENOTDIR " result " " result " ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR " result         \
    " ENOENT ELOOP"
#define S_FOLLOWED S_DIR_IS(".")
#define S_FRESH                                                                                    \
    "ENOENT EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST"
#define S_CREATE                                                                                   \
    "EISDIR EISDIR EISDIR EISDIR EISDIR EISDIR EISDIR EISDIR EISDIR EISDIR EISDIR EISDIR"
#define S_NAME(empty, full)                                                                        \
    "ENOENT ENOTDIR " empty " " full                                                               \
    " ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR"
#define S_ENOTDIR                                                                                  \
    "ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR "     \
    "ENOTDIR"
#define NODATA                                                                                     \
    "ENOENT ENODATA ENODATA ENODATA ENODATA ENODATA ENODATA ENODATA ENODATA ENODATA ENOENT ELOOP"
#define L_NODATA                                                                                   \
    "ENOENT ENODATA ENODATA ENODATA ENODATA ENODATA ENODATA ENODATA ENODATA ENODATA ENODATA "      \
    "ENODATA"

#define O(flags) ((flags) | O_NONBLOCK)

const struct call calls[] = {
    {"open(O_RDONLY)", do_open, O(O_RDONLY), 0, T_OPENS,
     "ENOENT . . . . ENXIO dev dev . . ENOENT ELOOP", S_FOLLOWED, ". ."},
    {"open(O_WRONLY)", do_open, O(O_WRONLY), 0, T_WRITES | T_OPENS, OPEN_WRITE, S_DIR_IS("EISDIR"),
     "EISDIR EISDIR"},
    {"open(O_RDWR)", do_open, O(O_RDWR), 0, T_WRITES | T_OPENS,
     "ENOENT . EISDIR EISDIR . ENXIO dev dev . EISDIR ENOENT ELOOP", S_DIR_IS("EISDIR"),
     "EISDIR EISDIR"},
    {"open(O_WRONLY|O_TRUNC)", do_open, O(O_WRONLY | O_TRUNC), 0, T_WRITES | T_OPENS, OPEN_WRITE,
     S_DIR_IS("EISDIR"), "EISDIR EISDIR"},
    {"open(O_WRONLY|O_APPEND)", do_open, O(O_WRONLY | O_APPEND), 0, T_WRITES | T_OPENS, OPEN_WRITE,
     S_DIR_IS("EISDIR"), "EISDIR EISDIR"},
    {"open(O_WRONLY|O_CREAT)", do_open, O(O_WRONLY | O_CREAT), 0644, T_WRITES | T_ENTERS | T_OPENS,
     OPEN_CREATE, S_CREATE, "EISDIR EISDIR"},
    {"open(O_RDONLY|O_CREAT)", do_open, O(O_RDONLY | O_CREAT), 0644, T_WRITES | T_ENTERS | T_OPENS,
     ". . EISDIR EISDIR . ENXIO dev dev . EISDIR . ELOOP", S_CREATE, "EISDIR EISDIR"},
    {"open(O_RDWR|O_CREAT|O_EXCL)", do_open, O(O_RDWR | O_CREAT | O_EXCL), 0644,
     T_WRITES | T_ENTERS, FRESH, S_CREATE, "EEXIST EEXIST"},
    {"open(O_DIRECTORY)", do_open, O(O_RDONLY | O_DIRECTORY), 0, T_NEEDS_DIR, DIR_ONLY, S_FOLLOWED,
     ". ."},
    {"open(O_NOFOLLOW)", do_open, O(O_RDONLY | O_NOFOLLOW), 0, T_OPENS,
     "ENOENT . . . . ENXIO dev dev ELOOP ELOOP ELOOP ELOOP", S_FOLLOWED, ". ."},
    {"open(O_NOFOLLOW|O_DIRECTORY)", do_open, O(O_RDONLY | O_NOFOLLOW | O_DIRECTORY), 0,
     T_NEEDS_DIR,
     "ENOENT ENOTDIR . . ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR",
     S_FOLLOWED, ". ."},
    {"open(O_PATH)", do_open, O_PATH, 0, 0, FOLLOWED, S_FOLLOWED, ". ."},
    {"open(O_PATH|O_NOFOLLOW)", do_open, O_PATH | O_NOFOLLOW, 0, 0, OBJECT, S_FOLLOWED, ". ."},
    {"open(O_TMPFILE)", do_open, O_TMPFILE | O_RDWR, 0600, T_WRITES | T_NEEDS_DIR | T_TMPFILE,
     DIR_ONLY, S_FOLLOWED, ". ."},
    {"open(O_WRONLY|O_CREAT|O_TRUNC)", do_open, O(O_WRONLY | O_CREAT | O_TRUNC), 0644,
     T_WRITES | T_ENTERS | T_OPENS, ". . EISDIR EISDIR ENXIO ENXIO dev dev . EISDIR . ELOOP",
     S_CREATE, "EISDIR EISDIR"},
    {"mkdir", do_mkdir, 0755, 0, T_WRITES | T_ENTERS, FRESH,
     ". EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST",
     "EEXIST EEXIST"},
    {"mknod(S_IFREG)", do_mknod, S_IFREG | 0644, 0, T_WRITES | T_ENTERS, FRESH, S_FRESH,
     "EEXIST EEXIST"},
    {"mknod(S_IFIFO)", do_mknod, S_IFIFO | 0644, 0, T_WRITES | T_ENTERS, FRESH, S_FRESH,
     "EEXIST EEXIST"},
    {"mknod(S_IFSOCK)", do_mknod, S_IFSOCK | 0644, 0, T_WRITES | T_ENTERS, FRESH, S_FRESH,
     "EEXIST EEXIST"},
    {"mknod(S_IFCHR)", do_mknod, S_IFCHR | 0644, 0x103, T_WRITES | T_ENTERS | T_ROOT_ONLY, FRESH,
     S_FRESH, "EEXIST EEXIST"},
    {"mknod(S_IFBLK)", do_mknod, S_IFBLK | 0644, 0xf063, T_WRITES | T_ENTERS | T_ROOT_ONLY, FRESH,
     S_FRESH, "EEXIST EEXIST"},
    {"mkfifo", run_mkfifo, 0, 0, T_WRITES | T_ENTERS, FRESH, S_FRESH, "EEXIST EEXIST"},
    {"symlink", do_symlink, 0, 0, T_WRITES | T_ENTERS, FRESH, S_FRESH, "EEXIST EEXIST"},
    {"link(old)", do_link, 0, 0, T_WRITES | T_NO_SPARE, "ENOENT . EPERM EPERM . . . . . . . .",
     S_DIR_IS("EPERM"), "EPERM EPERM"},
    {"link(old, AT_SYMLINK_FOLLOW)", do_link, AT_SYMLINK_FOLLOW, 0, T_WRITES | T_NO_SPARE,
     "ENOENT . EPERM EPERM . . . . . EPERM ENOENT ELOOP", S_DIR_IS("EPERM"), "EPERM EPERM"},
    {"link(new)", run_link_new, 0, 0, T_WRITES | T_ENTERS, FRESH, S_FRESH, "EEXIST EEXIST"},
    {"unlink", do_unlink, 0, 0, T_WRITES | T_LEAVES, "ENOENT . EISDIR EISDIR . . . . . . . .",
     S_NAME("EISDIR", "EISDIR"), "EISDIR EISDIR"},
    {"rmdir", do_rmdir, 0, 0, T_WRITES | T_LEAVES | T_NEEDS_DIR,
     "ENOENT ENOTDIR . ENOTEMPTY ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR",
     S_NAME(".", "ENOTEMPTY"), "EINVAL ENOTEMPTY"},
    {"rename(from)", run_rename_from, 0, 0, T_WRITES | T_LEAVES | T_NO_SPARE, OBJECT,
     S_NAME(".", "."), "EBUSY EBUSY"},
    {"rename(from, RENAME_NOREPLACE)", run_rename_from, RENAME_NOREPLACE, 0,
     T_WRITES | T_LEAVES | T_NO_SPARE | T_NOREPLACE, OBJECT, S_NAME(".", "."), "EBUSY EBUSY"},
    {"rename(to)", run_rename_to, 0, 0, T_WRITES | T_ENTERS, MOVED_ONTO, S_ENOTDIR, "EBUSY EBUSY"},
    {"rename(to, of a directory)", run_rename_to, 0, 0, T_WRITES | T_ENTERS | T_SPARE_DIR, DIR_ONTO,
     ". ENOTDIR . ENOTEMPTY ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR ENOTDIR",
     "EBUSY EBUSY"},
    {"rename(to, RENAME_NOREPLACE)", run_rename_to, RENAME_NOREPLACE, 0,
     T_WRITES | T_ENTERS | T_NOREPLACE, FRESH,
     "ENOTDIR EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST EEXIST",
     "EEXIST EEXIST"},
    {"rename(from, RENAME_EXCHANGE)", run_rename_from, RENAME_EXCHANGE, 0,
     T_WRITES | T_LEAVES | T_EXCHANGE, OBJECT, S_NAME(".", "."), "EBUSY EBUSY"},
    {"rename(to, RENAME_EXCHANGE)", run_rename_to, RENAME_EXCHANGE, 0,
     T_WRITES | T_LEAVES | T_EXCHANGE, OBJECT, S_NAME(".", "."), "EBUSY EBUSY"},
    {"chmod", do_chmod, 0700, 0, T_WRITES, FOLLOWED, S_FOLLOWED, ". ."},
    {"fchmodat2(AT_SYMLINK_NOFOLLOW)", run_fchmodat2, 0700, 0, T_WRITES,
     "ENOENT . . . . . . . EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP", S_FOLLOWED, ". ."},
    {"chown", run_chown, 0, 0, T_WRITES, FOLLOWED, S_FOLLOWED, ". ."},
    {"lchown", run_chown, AT_SYMLINK_NOFOLLOW, 0, T_WRITES, OBJECT, S_FOLLOWED, ". ."},
    {"truncate", do_truncate, 100, 0, T_WRITES,
     "ENOENT . EISDIR EISDIR EINVAL EINVAL EINVAL EINVAL . EISDIR ENOENT ELOOP", S_DIR_IS("EISDIR"),
     "EISDIR EISDIR"},
    {"utimensat", run_utimens, 0, 0, T_WRITES, FOLLOWED, S_FOLLOWED, ". ."},
    {"utimensat(AT_SYMLINK_NOFOLLOW)", run_utimens, AT_SYMLINK_NOFOLLOW, 0, T_WRITES, OBJECT,
     S_FOLLOWED, ". ."},
    {"stat", run_stat, 0, 0, 0, FOLLOWED, S_FOLLOWED, ". ."},
    {"lstat", run_stat, AT_SYMLINK_NOFOLLOW, 0, 0, OBJECT, S_FOLLOWED, ". ."},
    {"statx", run_statx, 0, 0, 0, FOLLOWED, S_FOLLOWED, ". ."},
    {"statx(AT_SYMLINK_NOFOLLOW)", run_statx, AT_SYMLINK_NOFOLLOW, 0, 0, OBJECT, S_FOLLOWED, ". ."},
    {"access(F_OK)", do_access, F_OK, 0, 0, FOLLOWED, S_FOLLOWED, ". ."},
    {"access(R_OK)", do_access, R_OK, 0, 0, FOLLOWED, S_FOLLOWED, ". ."},
    {"faccessat(AT_EACCESS)", do_access, R_OK | W_OK, AT_EACCESS, 0, FOLLOWED, S_FOLLOWED, ". ."},
    {"faccessat(AT_SYMLINK_NOFOLLOW)", do_access, F_OK, AT_SYMLINK_NOFOLLOW, 0, OBJECT, S_FOLLOWED,
     ". ."},
    {"readlink", run_readlink, 0, 0, T_NEEDS_LINK,
     "ENOENT EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL . . . .", S_DIR_IS("EINVAL"),
     "EINVAL EINVAL"},
    {"opendir", run_opendir, 0, 0, T_NEEDS_DIR | T_LIBRARY, DIR_ONLY, S_FOLLOWED, ". ."},
    {"chdir", run_chdir, 0, 0, T_NEEDS_DIR, DIR_ONLY, S_FOLLOWED, ". ."},
    {"statfs", run_statfs, 0, 0, 0, FOLLOWED, S_FOLLOWED, ". ."},
    {"pathconf", run_pathconf, 0, 0, T_LIBRARY, FOLLOWED, S_FOLLOWED, ". ."},
    {"getxattr", run_getxattr, 0, 0, T_XATTR | T_NO_SUCCESS, NODATA, S_DIR_IS("ENODATA"),
     "ENODATA ENODATA"},
    {"lgetxattr", run_getxattr, 1, 0, T_XATTR | T_NO_SUCCESS, L_NODATA, S_DIR_IS("ENODATA"),
     "ENODATA ENODATA"},
    {"setxattr", run_setxattr, 0, 0, T_WRITES | T_XATTR,
     "ENOENT . . . EPERM EPERM EPERM EPERM . . ENOENT ELOOP", S_FOLLOWED, ". ."},
    {"lsetxattr", run_setxattr, 1, 0, T_WRITES | T_XATTR,
     "ENOENT . . . EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM", S_FOLLOWED, ". ."},
    {"removexattr", run_removexattr, 0, 0, T_WRITES | T_XATTR | T_NO_SUCCESS,
     "ENOENT ENODATA ENODATA ENODATA EPERM EPERM EPERM EPERM ENODATA ENODATA ENOENT ELOOP",
     S_DIR_IS("ENODATA"), "ENODATA ENODATA"},
    {"lremovexattr", run_removexattr, 1, 0, T_WRITES | T_XATTR | T_NO_SUCCESS,
     "ENOENT ENODATA ENODATA ENODATA EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM",
     S_DIR_IS("ENODATA"), "ENODATA ENODATA"},
    {"listxattr", run_listxattr, 0, 0, T_XATTR, FOLLOWED, S_FOLLOWED, ". ."},
    {"llistxattr", run_listxattr, 1, 0, T_XATTR, OBJECT, S_FOLLOWED, ". ."},
    {"name_to_handle_at", run_handle, 0, 0, 0, OBJECT, S_FOLLOWED, ". ."},
    {"name_to_handle_at(AT_SYMLINK_FOLLOW)", run_handle, AT_SYMLINK_FOLLOW, 0, 0, FOLLOWED,
     S_FOLLOWED, ". ."},
    {"execve", run_execve, 0, 0, T_NO_SUCCESS,
     "ENOENT EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES ENOENT ELOOP",
     S_DIR_IS("EACCES"), "EACCES EACCES"},
};
const size_t call_count = COUNT(calls);

static int errno_of(const char *word, size_t length)
{
    for (int code = 1; code < 134; code++) {
        const char *name = strerrorname_np(code);
        if (name && strlen(name) == length && strncmp(name, word, length) == 0)
            return code;
    }
    fprintf(stderr, "conform: %.*s is no errno\n", (int)length, word);
    exit(2);
}

static int device_errno(unsigned column)
{
    struct statfs status;
    if (statfs(".", &status) == 0 && (status.f_flags & MS_NODEV))
        return EACCES;
    return column == K_CHAR ? 0 : ENXIO;
}

int call_expected(const struct call *call, const char *row, unsigned column, enum caller who)
{
    for (unsigned i = 0; i < column; i++)
        row = strchr(row, ' ') + 1;
    size_t length = strcspn(row, " ");
    if (strncmp(row, "dev", length) == 0 && length == 3)
        return device_errno(column);
    if (strncmp(row, ".", length) == 0)
        return (call->traits & T_ROOT_ONLY) && who != ROOT ? EPERM : 0;
    return errno_of(row, length);
}

bool call_is_offered(const struct call *call)
{
    if (call->traits & T_XATTR)
        return offers(HAS_XATTR_USER);
    if (call->traits & T_TMPFILE)
        return offers(HAS_TMPFILE);
    if (call->traits & T_EXCHANGE)
        return offers(HAS_EXCHANGE);
    if (call->traits & T_NOREPLACE)
        return offers(HAS_NOREPLACE);
    if (call->run == run_handle)
        return offers(HAS_HANDLES);
    if (call->run == run_fchmodat2)
        return offers(HAS_FCHMODAT2);
    return true;
}

void call_prepare(const struct call *call, struct who who)
{
    if (call->traits & T_SPARE_DIR)
        who.mode |= 0111;
    if (!(call->traits & T_NO_SPARE))
        make(at("spare"), call->traits & T_SPARE_DIR ? K_DIR : K_FILE, who);
}

long call_run(const struct call *call, enum caller who, const char *path)
{
    return as(who, call->run, path, at("spare"), call->x, call->y);
}

enum kind call_kind(const struct call *call)
{
    if (call->traits & T_NEEDS_DIR)
        return K_DIR;
    if (call->traits & T_NEEDS_LINK)
        return K_LINK;
    return call->traits & T_ENTERS ? K_NONE : K_FILE;
}
