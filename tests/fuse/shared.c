/* shared.c -- operations on names that other processes change as well */
#include "shared.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "seed.h"

#define DIRS           3  /* that stay */
#define ANCHORS        6  /* files in each of them that stay */
#define SUBDIRS        4  /* names of directories that come and go */
#define NAMES          16 /* names of everything else */
#define DATA_MAX       40000
#define PATH_MAX_BYTES 512

struct shared {
    struct seed seed;
    uint64_t done;
    uint64_t succeeded;
    char path[PATH_MAX_BYTES];
    char other[PATH_MAX_BYTES];
    uint8_t data[DATA_MAX];
    uint8_t back[DATA_MAX];
    char failure[1300];
};

static bool fail(struct shared *shared, const char *what)
{
    int err = errno;
    if (shared->failure[0] == '\0')
        snprintf(shared->failure, sizeof(shared->failure), "%s of %s, %s: %s", what, shared->path,
                 shared->other, strerror(err));
    return false;
}

/* ------------------------------------------------------------------------------------ naming --- */

static void draw_dir(struct shared *shared, char *path)
{
    int used = snprintf(path, PATH_MAX_BYTES, "d%u", (unsigned)seed_below(&shared->seed, DIRS));
    for (uint64_t depth = seed_below(&shared->seed, 3); depth > 0; depth--)
        used += snprintf(path + used, PATH_MAX_BYTES - (size_t)used, "/s%u",
                         (unsigned)seed_below(&shared->seed, SUBDIRS));
}

static void draw_file(struct shared *shared, char *path)
{
    draw_dir(shared, path);
    size_t used = strlen(path);
    snprintf(path + used, PATH_MAX_BYTES - used, "/n%u",
             (unsigned)seed_below(&shared->seed, NAMES));
}

static void draw_subdir(struct shared *shared, char *path)
{
    draw_dir(shared, path);
    size_t used = strlen(path);
    snprintf(path + used, PATH_MAX_BYTES - used, "/s%u",
             (unsigned)seed_below(&shared->seed, SUBDIRS));
}

/* ------------------------------------------------------------------------------- the calls --- */

static int call_create(struct shared *shared)
{
    int flags = O_CREAT | O_RDWR | O_CLOEXEC | O_NONBLOCK;
    flags |= seed_chance(&shared->seed, 30) ? O_EXCL : 0;
    flags |= seed_chance(&shared->seed, 20) ? O_TRUNC : 0;
    flags |= seed_chance(&shared->seed, 20) ? O_APPEND : 0;
    draw_file(shared, shared->path);
    int fd = open(shared->path, flags, (mode_t)seed_below(&shared->seed, 01000));
    if (fd < 0)
        return -1;
    size_t bytes = seed_below(&shared->seed, DATA_MAX);
    struct stat stat;
    if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && stat.st_size < (1 << 20) &&
        write(fd, shared->data, bytes) != (ssize_t)bytes)
        fail(shared, "write");
    return close(fd);
}

static int call_mkdir(struct shared *shared)
{
    draw_subdir(shared, shared->path);
    return mkdir(shared->path, 0755);
}

static int call_mknod(struct shared *shared)
{
    static const mode_t types[] = {S_IFIFO, S_IFSOCK, S_IFREG};
    draw_file(shared, shared->path);
    return mknod(shared->path, types[seed_below(&shared->seed, 3)] | 0600, 0);
}

static int call_symlink(struct shared *shared)
{
    draw_file(shared, shared->path);
    draw_file(shared, shared->other);
    return symlink(seed_chance(&shared->seed, 50) ? strrchr(shared->other, '/') + 1 : "s1/n3",
                   shared->path);
}

static int call_link(struct shared *shared)
{
    draw_file(shared, shared->path);
    draw_file(shared, shared->other);
    return link(shared->path, shared->other);
}

static int call_unlink(struct shared *shared)
{
    draw_file(shared, shared->path);
    return unlink(shared->path);
}

static int call_rmdir(struct shared *shared)
{
    draw_subdir(shared, shared->path);
    return rmdir(shared->path);
}

static int call_rename(struct shared *shared)
{
    static const unsigned flags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    if (seed_chance(&shared->seed, 30)) {
        draw_subdir(shared, shared->path);
        draw_subdir(shared, shared->other);
    } else {
        draw_file(shared, shared->path);
        draw_file(shared, shared->other);
    }
    return (int)syscall(SYS_renameat2, AT_FDCWD, shared->path, AT_FDCWD, shared->other,
                        flags[seed_below(&shared->seed, 4)]);
}

static int call_attributes(struct shared *shared)
{
    struct timespec times[2] = {{(time_t)seed_below(&shared->seed, 2000000000), 5}, {0, UTIME_NOW}};
    draw_file(shared, shared->path);
    switch (seed_below(&shared->seed, 4)) {
    case 0:
        return chmod(shared->path, (mode_t)seed_below(&shared->seed, 010000));
    case 1:
        return lchown(shared->path, (uid_t)seed_below(&shared->seed, 3) * 1000,
                      (gid_t)seed_below(&shared->seed, 3) * 1000);
    case 2:
        return utimensat(AT_FDCWD, shared->path, times, AT_SYMLINK_NOFOLLOW);
    default:
        return truncate(shared->path, (off_t)seed_below(&shared->seed, 100000));
    }
}

static int call_xattr(struct shared *shared)
{
    char name[32];
    draw_file(shared, shared->path);
    snprintf(name, sizeof(name), "%s.x%u", seed_chance(&shared->seed, 50) ? "trusted" : "user",
             (unsigned)seed_below(&shared->seed, 4));
    if (seed_chance(&shared->seed, 30))
        return lremovexattr(shared->path, name);
    if (seed_chance(&shared->seed, 20))
        return llistxattr(shared->path, (char *)shared->back, DATA_MAX) < 0 ? -1 : 0;
    return lsetxattr(shared->path, name, shared->data, seed_below(&shared->seed, 5000), 0);
}

static int call_look(struct shared *shared)
{
    struct stat stat;
    struct statvfs fs;
    draw_file(shared, shared->path);
    if (seed_chance(&shared->seed, 10))
        return statvfs("d0", &fs);
    if (seed_chance(&shared->seed, 20))
        return readlink(shared->path, (char *)shared->back, DATA_MAX) < 0 ? -1 : 0;
    return lstat(shared->path, &stat);
}

static int call_read(struct shared *shared)
{
    draw_file(shared, shared->path);
    int fd = open(shared->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -1;
    struct stat stat;
    bool is_file = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
    if (is_file && read(fd, shared->back, DATA_MAX) < 0)
        fail(shared, "read");
    if (is_file && seed_chance(&shared->seed, 10) && fsync(fd) != 0)
        fail(shared, "fsync");
    return close(fd);
}

/* A file that loses its last name while it is open stays whole. Nobody else knows its name. */
static int call_unlinked(struct shared *shared)
{
    draw_dir(shared, shared->path);
    size_t used = strlen(shared->path);
    snprintf(shared->path + used, PATH_MAX_BYTES - used, "/u%d", getpid());
    int fd = open(shared->path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    size_t bytes = seed_below(&shared->seed, DATA_MAX) + 1;
    if (unlink(shared->path) != 0 && errno != ENOENT && errno != ENOTDIR)
        fail(shared, "unlink of an open file");
    /* Others may have moved its directory. */
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        fail(shared, "fstat of an open file");
    bool is_own = stat.st_nlink == 0 && ftruncate(fd, 0) == 0;
    if (is_own && (pwrite(fd, shared->data, bytes, 0) != (ssize_t)bytes || fchmod(fd, 0640) != 0 ||
                   pread(fd, shared->back, bytes, 0) != (ssize_t)bytes || fstat(fd, &stat) != 0 ||
                   stat.st_size != (off_t)bytes || memcmp(shared->data, shared->back, bytes) != 0))
        fail(shared, "writing and reading of a file without a name");
    return close(fd);
}

static int call_tmpfile(struct shared *shared)
{
    char proc[64];
    draw_dir(shared, shared->path);
    int fd = open(shared->path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    size_t bytes = seed_below(&shared->seed, DATA_MAX);
    if (write(fd, shared->data, bytes) != (ssize_t)bytes)
        fail(shared, "write to a file without a name");
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    draw_file(shared, shared->other);
    int result = linkat(AT_FDCWD, proc, AT_FDCWD, shared->other, AT_SYMLINK_FOLLOW);
    int err = errno;
    close(fd);
    errno = err;
    return result;
}

static int call_sync_dir(struct shared *shared)
{
    draw_dir(shared, shared->path);
    int fd = open(shared->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fsync(fd) != 0)
        fail(shared, "fsync of a directory");
    return close(fd);
}

/* A listing has each name that stays once. */
static int call_list(struct shared *shared)
{
    unsigned seen[ANCHORS] = {0};
    draw_dir(shared, shared->path);
    bool stays = strchr(shared->path, '/') == NULL;
    DIR *dir = opendir(shared->path);
    if (dir == NULL)
        return -1;
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == 'a' && ++seen[(entry->d_name[1] - '0') % ANCHORS] > 1)
            fail(shared, "readdir: a name that stays is listed twice");
    }
    if (errno != 0 && errno != ENOENT)
        fail(shared, "readdir");
    for (unsigned i = 0; stays && i < ANCHORS; i++)
        if (seen[i] != 1)
            fail(shared, "readdir: a name that stays is not listed");
    closedir(dir);
    return 0;
}

/* The errors that a race, or the random choice of names, may give. */
static const struct call {
    const char *name;
    unsigned weight;
    int (*run)(struct shared *);
    int errors[8];
} calls[] = {
    {"create", 14, call_create, {ENOENT, ENOTDIR, EEXIST, EISDIR, ELOOP, ENXIO}},
    {"mkdir", 8, call_mkdir, {ENOENT, ENOTDIR, EEXIST}},
    {"mknod", 4, call_mknod, {ENOENT, ENOTDIR, EEXIST}},
    {"symlink", 4, call_symlink, {ENOENT, ENOTDIR, EEXIST}},
    {"link", 8, call_link, {ENOENT, ENOTDIR, EEXIST, EPERM}},
    {"unlink", 12, call_unlink, {ENOENT, ENOTDIR, EISDIR}},
    {"rmdir", 3, call_rmdir, {ENOENT, ENOTDIR, ENOTEMPTY}},
    {"rename", 14, call_rename, {ENOENT, ENOTDIR, EISDIR, EEXIST, ENOTEMPTY, EINVAL}},
    {"attributes", 10, call_attributes, {ENOENT, ENOTDIR, ELOOP, EINVAL, EISDIR, ENXIO}},
    {"xattr", 6, call_xattr, {ENOENT, ENOTDIR, ENODATA, EPERM}},
    {"look", 10, call_look, {ENOENT, ENOTDIR, EINVAL}},
    {"read", 6, call_read, {ENOENT, ENOTDIR, ELOOP, ENXIO}},
    {"unlinked", 5, call_unlinked, {ENOENT, ENOTDIR, EEXIST}},
    {"tmpfile", 4, call_tmpfile, {ENOENT, ENOTDIR, EEXIST}},
    {"sync_dir", 2, call_sync_dir, {ENOENT, ENOTDIR}},
    {"list", 6, call_list, {ENOENT, ENOTDIR}},
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

static const struct call *draw_call(struct seed *seed)
{
    unsigned total = 0;
    for (size_t i = 0; i < CALLS; i++)
        total += calls[i].weight;
    uint64_t drawn = seed_below(seed, total);
    const struct call *call = calls;
    while (drawn >= call->weight)
        drawn -= (call++)->weight;
    return call;
}

static bool is_allowed(const struct call *call, int err)
{
    for (size_t i = 0; i < sizeof(call->errors) / sizeof(call->errors[0]); i++)
        if (call->errors[i] == err)
            return true;
    return false;
}

static bool run_call(struct shared *shared)
{
    const struct call *call = draw_call(&shared->seed);
    shared->path[0] = shared->other[0] = '\0';
    int result = call->run(shared);
    if (result == 0)
        shared->succeeded++;
    else if (!is_allowed(call, errno))
        fail(shared, call->name);
    return shared->failure[0] == '\0';
}

bool shared_run(const char *path, uint64_t seed, uint64_t ops, bool is_verbose)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    if (shared == NULL || chdir(path) != 0)
        return false;
    umask(0);
    seed_init(&shared->seed, seed);
    seed_fill(shared->data, DATA_MAX, seed);
    bool is_good = true;
    for (; shared->done < ops && is_good; shared->done++)
        is_good = run_call(shared);
    if (!is_good)
        printf("shared tree, after %llu operations: %s\n", (unsigned long long)shared->done,
               shared->failure);
    else if (is_verbose)
        printf("shared tree: %llu operations, %llu succeeded\n", (unsigned long long)shared->done,
               (unsigned long long)shared->succeeded);
    free(shared);
    return is_good;
}

bool shared_prepare(const char *path)
{
    char name[PATH_MAX_BYTES];
    bool is_good = true;
    for (unsigned dir = 0; dir < DIRS; dir++) {
        snprintf(name, sizeof(name), "%s/d%u", path, dir);
        is_good = is_good && mkdir(name, 0755) == 0;
        for (unsigned anchor = 0; anchor < ANCHORS; anchor++) {
            snprintf(name, sizeof(name), "%s/d%u/a%u", path, dir, anchor);
            is_good = is_good && mknod(name, S_IFREG | 0644, 0) == 0;
        }
    }
    if (!is_good)
        printf("%s: %s\n", name, strerror(errno));
    return is_good;
}
