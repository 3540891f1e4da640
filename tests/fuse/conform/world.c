/* world.c -- the directory of a case, objects in it, and how they look */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "conform.h"

#define AT_BUFFERS 16
#define AT_BYTES   5000

static char root[64];
static char directory[32];
static enum { UNMADE, MADE, SHARED } state;
static bool is_coarse = true;

/* ---- the directory ---- */

void case_enter(uint64_t number)
{
    snprintf(directory, sizeof(directory), "c%llu", (unsigned long long)number);
    state = UNMADE;
}

void case_share(const char *name)
{
    snprintf(directory, sizeof(directory), "%s", name);
    state = SHARED;
}

void case_leave(void)
{
    if (state == MADE)
        remove_tree(directory);
    state = UNMADE;
}

/* Made when the case first names it: many cases need none. */
const char *case_directory(void)
{
    if (state == UNMADE) {
        state = MADE;
        must(sys(mkdir(directory, 0777)), "the directory of the case");
    }
    return directory;
}

static char *buffer(void)
{
    static char buffers[AT_BUFFERS][AT_BYTES];
    static unsigned turn;
    turn = (turn + 1) % AT_BUFFERS;
    return buffers[turn];
}

const char *at(const char *name)
{
    char *text = buffer();
    snprintf(text, AT_BYTES, "%s%s%s", case_directory(), *name ? "/" : "", name);
    return text;
}

const char *atf(const char *format, ...)
{
    char *text = buffer();
    va_list list;
    int used = snprintf(text, AT_BYTES, "%s/", case_directory());
    va_start(list, format);
    vsnprintf(text + used, AT_BYTES - (size_t)used, format, list);
    va_end(list);
    return text;
}

/* ---- removal ---- */

static void clear_flags(int parent, const char *name)
{
    int flags = 0;
    int fd = openat(parent, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
        (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL))) {
        flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
        ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
    if (fd >= 0)
        close(fd);
}

static void remove_at(int parent, const char *name);

static void empty_directory(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    while (stream && (entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            remove_at(dirfd(stream), entry->d_name);
    }
    if (stream)
        closedir(stream);
}

static void remove_once(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0)
        return;
    if (errno == EISDIR && unlinkat(parent, name, AT_REMOVEDIR)) {
        empty_directory(parent, name);
        unlinkat(parent, name, AT_REMOVEDIR);
    }
}

static void remove_at(int parent, const char *name)
{
    struct stat status;
    remove_once(parent, name);
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        clear_flags(parent, name);
        remove_once(parent, name);
    }
}

void remove_tree(const char *path)
{
    struct stat status;
    remove_at(AT_FDCWD, path);
    if (lstat(path, &status) == 0)
        must(-EBUSY, "removing what a case has left");
}

/* ---- objects ---- */

static const struct {
    const char *name;
    mode_t type;
} kinds[KIND_COUNT] = {
    [K_NONE] = {"nothing", 0},
    [K_FILE] = {"a file", S_IFREG},
    [K_DIR] = {"an empty directory", S_IFDIR},
    [K_FULL] = {"a directory with entries", S_IFDIR},
    [K_FIFO] = {"a fifo", S_IFIFO},
    [K_SOCKET] = {"a socket", S_IFSOCK},
    [K_CHAR] = {"a character device", S_IFCHR},
    [K_BLOCK] = {"a block device", S_IFBLK},
    [K_LINK] = {"a link to a file", S_IFLNK},
    [K_LINK_DIR] = {"a link to a directory", S_IFLNK},
    [K_DANGLING] = {"a link to nothing", S_IFLNK},
    [K_LOOP] = {"a link to itself", S_IFLNK},
};

const char *kind_name(enum kind kind)
{
    return kinds[kind].name;
}

mode_t kind_type(enum kind kind)
{
    return kinds[kind].type;
}

bool kind_is_dir(enum kind kind)
{
    return kinds[kind].type == S_IFDIR;
}

bool kind_is_link(enum kind kind)
{
    return kinds[kind].type == S_IFLNK;
}

static void make_link(const char *path, enum kind kind, struct who who)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    int folder = (int)(name - path);
    char target[300];
    char beside[AT_BYTES];
    /* A name of 255 bytes leaves no room for the ending. */
    snprintf(target, sizeof(target), kind == K_LOOP ? "%.255s" : "%.240s.target", name);
    snprintf(beside, sizeof(beside), "%.*s%s", folder, path, target);
    if (kind == K_LINK)
        make(beside, K_FILE, who);
    who.mode |= 0111;
    if (kind == K_LINK_DIR)
        make(beside, K_DIR, who);
    must(sys(symlink(target, path)), "a symbolic link");
}

static void make_node(const char *path, enum kind kind, mode_t mode)
{
    char inner[AT_BYTES];
    dev_t device = kind == K_CHAR ? makedev(1, 3) : kind == K_BLOCK ? makedev(240, 99) : 0;
    if (kind_is_dir(kind))
        must(sys(mkdir(path, 0700)), "a directory");
    else
        must(sys(mknod(path, kinds[kind].type | (mode & 0700), device)), "a node");
    snprintf(inner, sizeof(inner), "%s/entry", path);
    if (kind == K_FULL)
        must(sys(mknod(inner, S_IFREG | 0644, 0)), "an entry");
}

void make(const char *path, enum kind kind, struct who who)
{
    if (kind == K_NONE)
        return;
    if (kind_is_link(kind))
        make_link(path, kind, who);
    else
        make_node(path, kind, who.mode);
    if (who.uid || who.gid)
        must(sys(lchown(path, who.uid, who.gid)), "its owner");
    if (!kind_is_link(kind))
        must(sys(chmod(path, who.mode)), "its mode");
}

void make_bytes(const char *path, const void *bytes, size_t len_bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    must(sys(fd), "a file with bytes");
    if (fd >= 0) {
        ssize_t written = write(fd, bytes, len_bytes);
        must(written == (ssize_t)len_bytes ? 0 : -EIO, "its bytes");
        close(fd);
    }
}

/* ---- looks ---- */

static int64_t ns_of(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct look look_from(const struct stat *status)
{
    return (struct look){.is_there = true,
                         .ino = status->st_ino,
                         .mode = status->st_mode,
                         .uid = status->st_uid,
                         .gid = status->st_gid,
                         .nlink = (uint32_t)status->st_nlink,
                         .rdev = status->st_rdev,
                         .size = (uint64_t)status->st_size,
                         .blocks = (uint64_t)status->st_blocks,
                         .atime_ns = ns_of(status->st_atim),
                         .mtime_ns = ns_of(status->st_mtim),
                         .ctime_ns = ns_of(status->st_ctim)};
}

struct look look(const char *path)
{
    struct stat status;
    if (lstat(path, &status))
        return (struct look){.is_there = false};
    return look_from(&status);
}

struct look look_fd(int fd)
{
    struct stat status;
    if (fstat(fd, &status))
        return (struct look){.is_there = false};
    return look_from(&status);
}

bool same(const struct look *a, const struct look *b)
{
    bool is_atime_free = S_ISDIR(a->mode) || S_ISLNK(a->mode);
    return a->is_there == b->is_there && a->ino == b->ino && a->mode == b->mode &&
           a->uid == b->uid && a->gid == b->gid && a->nlink == b->nlink && a->rdev == b->rdev &&
           a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns &&
           (is_atime_free || a->atime_ns == b->atime_ns);
}

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return ns_of(now);
}

/* The coarse clock moves in steps and may be behind by more than one: a filesystem that takes it in
 * turn with the exact one shows a later time only when it has passed the exact one. */
void tick(void)
{
    struct timespec now;
    int64_t start = now_ns();
    do {
        const struct timespec pause = {0, 200000};
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    } while (ns_of(now) <= start);
}

void tick_if_coarse(void)
{
    if (is_coarse)
        tick();
}

void age(const char *path)
{
    struct timespec old = {OLD_NS / 1000000000, OLD_NS % 1000000000};
    must(sys(utimensat(AT_FDCWD, path, (struct timespec[2]){old, old}, AT_SYMLINK_NOFOLLOW)),
         "old times");
}

/* Changes that follow each other at once have different times, or else tick() has to wait. */
static void probe_clock(void)
{
    unsigned equal = 0;
    make("clock", K_FILE, ROOTS(0644));
    for (unsigned i = 0; i < 20; i++) {
        struct look before = look("clock");
        chmod("clock", 0600 + i % 2);
        struct look after = look("clock");
        equal += before.ctime_ns == after.ctime_ns;
    }
    remove_tree("clock");
    is_coarse = equal > 0;
}

void world_start(const char *path)
{
    umask(0);
    if (chdir(path)) {
        perror(path);
        exit(2);
    }
    snprintf(root, sizeof(root), "conform.%d", (int)getpid());
    if (mkdir(root, 0755) || chdir(root)) {
        perror("conform: the working directory");
        exit(2);
    }
    probe_clock();
}

void world_stop(void)
{
    if (chdir("..") == 0)
        remove_tree(root);
}
