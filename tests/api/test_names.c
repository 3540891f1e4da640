/* test_names.c -- calls on names, beside the same calls on the system's own filesystem
 *
 * Each call is made twice on equal trees: on a directory of a region, and with the system's *at calls
 * in a folder beside it. Codes and trees must agree, but for what vmfs.h says otherwise. A call that
 * fails must leave the tree as it was (P3). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"

#define LISTING_BYTES 16384

static struct fixture fixture;
static struct vmfs *fs;
static char folder[REGION_PATH_MAX + 8];

/* The two trees' roots. */
static uint64_t base;
static int base_fd = -1;
static unsigned trees;

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

static void set_up(void)
{
    fixture_open(&fixture, "names", 256 * REGION_MIB);
    fs = fixture.fs;
    snprintf(folder, sizeof(folder), "%s.d", fixture.path);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    char inner[sizeof(folder) + 4];
    snprintf(inner, sizeof(inner), "%s/in", folder);
    cr_assert(mkdir(folder, 0755) == 0 && mkdir(inner, 0755) == 0);
    expect_ok(vmfs_mkdir(fs, "/in", 0755));
    umask(0);
}

static void tear_down(void)
{
    if (base_fd >= 0)
        close(base_fd);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    fixture_close(&fixture);
}

TestSuite(names, .init = set_up, .fini = tear_down, .timeout = 120);

/* Who makes the calls in the region. */
static uint32_t caller = UINT32_MAX;

static struct vmfs_at here(const char *path)
{
    struct vmfs_at at = vmfs_at(base, path);
    at.uid = caller;
    at.gid = caller;
    return at;
}

/* ---------------------------------------------------------------------------- one call, twice */

enum call_kind {
    CALL_MKDIR,
    CALL_MKNOD,
    CALL_SYMLINK,
    CALL_LINK,
    CALL_LINK_FOLLOW,
    CALL_UNLINK,
    CALL_RMDIR,
    CALL_RENAME,
    CALL_OPEN,
    CALL_STAT,
    CALL_LSTAT,
    CALL_READLINK,
    CALL_CHMOD,
    CALL_UTIMENS,
    CALL_TRUNCATE,
    CALL_OPENDIR,
};

struct call {
    enum call_kind kind;
    const char *name;
    const char *path;
    const char *other;
    int flags;
};

static int system_open(const struct call *call)
{
    int fd = openat(base_fd, call->path, call->flags | O_NONBLOCK, 0644);
    if (fd < 0)
        return -errno;
    struct stat stat;
    bool is_directory = fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode);
    close(fd);
    return is_directory ? -EISDIR : 0; /* vmfs.h: directories are opened otherwise */
}

static int system_run(const struct call *call)
{
    char buffer[VMFS_PATH_MAX + 1];
    struct stat stat;
    int result = 0;
    switch (call->kind) {
    case CALL_MKDIR:
        result = mkdirat(base_fd, call->path, 0755);
        break;
    case CALL_MKNOD:
        result = mknodat(base_fd, call->path, S_IFREG | 0644, 0);
        break;
    case CALL_SYMLINK:
        result = symlinkat(call->other, base_fd, call->path);
        break;
    case CALL_LINK:
    case CALL_LINK_FOLLOW:
        result = linkat(base_fd, call->other, base_fd, call->path,
                        call->kind == CALL_LINK_FOLLOW ? AT_SYMLINK_FOLLOW : 0);
        break;
    case CALL_UNLINK:
        result = unlinkat(base_fd, call->path, 0);
        break;
    case CALL_RMDIR:
        result = unlinkat(base_fd, call->path, AT_REMOVEDIR);
        break;
    case CALL_RENAME:
        result =
            (int)syscall(SYS_renameat2, base_fd, call->path, base_fd, call->other, call->flags);
        break;
    case CALL_OPEN:
        return system_open(call);
    case CALL_STAT:
        result = fstatat(base_fd, call->path, &stat, 0);
        break;
    case CALL_LSTAT:
        result = fstatat(base_fd, call->path, &stat, AT_SYMLINK_NOFOLLOW);
        break;
    case CALL_READLINK:
        result = (int)readlinkat(base_fd, call->path, buffer, sizeof(buffer));
        break;
    case CALL_CHMOD:
        result = fchmodat(base_fd, call->path, 0700, 0);
        break;
    case CALL_UTIMENS:
        result = utimensat(base_fd, call->path, NULL, 0);
        break;
    case CALL_TRUNCATE:
        result = openat(base_fd, call->path, O_WRONLY | O_NONBLOCK);
        if (result >= 0) {
            int fd = result;
            result = ftruncate(fd, 3);
            close(fd);
        }
        break;
    case CALL_OPENDIR:
        result = openat(base_fd, call->path, O_DIRECTORY);
        if (result >= 0)
            close(result);
        result = result < 0 ? result : 0;
        break;
    }
    return result < 0 ? -errno : result;
}

static int vmfs_open_close(const struct call *call)
{
    struct vmfs_file *file;
    int err = vmfs_file_open_at(fs, here(call->path), call->flags, 0644, &file);
    return err ? err : vmfs_file_close(file);
}

static int vmfs_opendir_close(const struct call *call)
{
    struct vmfs_dir *dir;
    int err = vmfs_dir_open_at(fs, here(call->path), &dir);
    return err ? err : vmfs_dir_close(dir);
}

static int vmfs_run(const struct call *call)
{
    char buffer[VMFS_PATH_MAX + 1];
    struct vmfs_stat stat;
    struct vmfs_attr attr = {
        .mode = 0700, .size = 3, .atime_ns = VMFS_TIME_NOW, .mtime_ns = VMFS_TIME_NOW};
    struct vmfs_at at = here(call->path);
    switch (call->kind) {
    case CALL_MKDIR:
        return vmfs_mkdir_at(fs, at, 0755);
    case CALL_MKNOD:
        return vmfs_mknod_at(fs, at, 0644, 0);
    case CALL_SYMLINK:
        return vmfs_symlink_at(fs, call->other, at);
    case CALL_LINK:
    case CALL_LINK_FOLLOW:
        return vmfs_link_at(fs, here(call->other), at,
                            call->kind == CALL_LINK_FOLLOW ? VMFS_FOLLOW : 0);
    case CALL_UNLINK:
        return vmfs_unlink_at(fs, at);
    case CALL_RMDIR:
        return vmfs_rmdir_at(fs, at);
    case CALL_RENAME:
        return vmfs_rename_at(fs, at, here(call->other), (uint32_t)call->flags);
    case CALL_OPEN:
        return vmfs_open_close(call);
    case CALL_STAT:
        return vmfs_stat_at(fs, at, 0, &stat);
    case CALL_LSTAT:
        return vmfs_stat_at(fs, at, VMFS_NOFOLLOW, &stat);
    case CALL_READLINK:
        return (int)vmfs_readlink_at(fs, at, buffer, sizeof(buffer));
    case CALL_CHMOD:
        attr.mask = VMFS_ATTR_MODE;
        return vmfs_setattr_at(fs, at, 0, &attr);
    case CALL_UTIMENS:
        attr.mask = VMFS_ATTR_ATIME | VMFS_ATTR_MTIME;
        return vmfs_setattr_at(fs, at, 0, &attr);
    case CALL_TRUNCATE:
        attr.mask = VMFS_ATTR_SIZE;
        return vmfs_setattr_at(fs, at, 0, &attr);
    case CALL_OPENDIR:
        return vmfs_opendir_close(call);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------- the trees */

/* Builds one tree on each side; `is_system` says which side `run` is. */
static void build_tree(int (*run)(const struct call *call))
{
    static const struct call calls[] = {
        {.kind = CALL_MKDIR, .path = "d"},
        {.kind = CALL_MKDIR, .path = "d/sub"},
        {.kind = CALL_MKDIR, .path = "d/sub/deep"},
        {.kind = CALL_MKDIR, .path = "e"},
        {.kind = CALL_MKNOD, .path = "f"},
        {.kind = CALL_TRUNCATE, .path = "f"},
        {.kind = CALL_MKNOD, .path = "g"},
        {.kind = CALL_MKNOD, .path = "d/f"},
        {.kind = CALL_LINK, .other = "f", .path = "h"},
        {.kind = CALL_SYMLINK, .other = "f", .path = "l"},
        {.kind = CALL_SYMLINK, .other = "d", .path = "ld"},
        {.kind = CALL_SYMLINK, .other = "nowhere", .path = "dang"},
        {.kind = CALL_SYMLINK, .other = "loop", .path = "loop"},
        {.kind = CALL_SYMLINK, .other = "nodir/", .path = "slash"},
    };
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        cr_assert(run(&calls[i]) == 0, "building: call %u returned %d", i, run(&calls[i]));
}

static void new_trees(void)
{
    char path[64];
    struct vmfs_stat stat;
    if (base_fd >= 0)
        close(base_fd);
    char full[sizeof(folder) + 64];
    snprintf(path, sizeof(path), "/in/tree%u", trees++);
    snprintf(full, sizeof(full), "%s%s", folder, path);
    expect_ok(vmfs_mkdir(fs, path, 0755));
    expect_ok(vmfs_stat(fs, path, 0, &stat));
    base = stat.ino;
    cr_assert(mkdir(full, 0755) == 0);
    base_fd = open(full, O_RDONLY | O_DIRECTORY);
    cr_assert(base_fd >= 0);
    build_tree(system_run);
    build_tree(vmfs_run);
}

/* A line for each object below a directory: sorted, as neither side promises an order. */
struct listing {
    size_t used;
    unsigned count;
    char *lines[128];
    char text[LISTING_BYTES];
};

static void add_line(struct listing *listing, const char *path, uint32_t mode, uint64_t nlink,
                     uint64_t size)
{
    char *line = listing->text + listing->used;
    bool is_file = (mode & S_IFMT) == S_IFREG;
    listing->used +=
        (size_t)snprintf(line, sizeof(listing->text) - listing->used, "%s %o %llu %llu", path, mode,
                         (unsigned long long)nlink, (unsigned long long)(is_file ? size : 0)) +
        1;
    cr_assert(listing->used < sizeof(listing->text) && listing->count < 128);
    listing->lines[listing->count++] = line;
}

static void list_system(struct listing *listing, int fd, const char *prefix)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char path[1024];
        struct stat stat;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", prefix, entry->d_name);
        cr_assert(fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0);
        add_line(listing, path, stat.st_mode, stat.st_nlink, (uint64_t)stat.st_size);
        if (S_ISDIR(stat.st_mode))
            list_system(listing, openat(dirfd(dir), entry->d_name, O_RDONLY), path);
    }
    closedir(dir);
}

static void list_vmfs(struct listing *listing, uint64_t id, const char *prefix)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    expect_ok(vmfs_dir_open_at(fs, vmfs_at(id, ""), &dir));
    cr_assert(vmfs_dir_ino(dir) == id);
    while (vmfs_dir_read(dir, &entry) == 1) {
        char path[1024];
        struct vmfs_stat stat;
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", prefix, entry.name);
        expect_ok(vmfs_stat_at(fs, vmfs_at(id, entry.name), VMFS_NOFOLLOW, &stat));
        add_line(listing, path, stat.mode, stat.nlink, stat.size);
        if (entry.type == VMFS_S_IFDIR)
            list_vmfs(listing, entry.ino, path);
    }
    expect_ok(vmfs_dir_close(dir));
}

static int line_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void compare_trees(const struct call *call)
{
    static struct listing listings[2];
    for (unsigned side = 0; side < 2; side++) {
        listings[side].used = 0;
        listings[side].count = 0;
        if (side == 0)
            list_system(&listings[side], openat(base_fd, ".", O_RDONLY), "");
        else
            list_vmfs(&listings[side], base, "");
        qsort(listings[side].lines, listings[side].count, sizeof(char *), line_order);
    }
    cr_assert(listings[0].count == listings[1].count, "%s(\"%s\", \"%s\", %#o): %u objects, not %u",
              call->name, call->path, call->other, call->flags, listings[1].count,
              listings[0].count);
    for (unsigned i = 0; i < listings[0].count; i++)
        cr_assert(strcmp(listings[0].lines[i], listings[1].lines[i]) == 0,
                  "%s(\"%s\", \"%s\", %#o): '%s', not '%s'", call->name, call->path, call->other,
                  call->flags, listings[1].lines[i], listings[0].lines[i]);
}

/* What vmfs.h says, where it is not what Linux says. */
static int expected(const struct call *call, int code)
{
    size_t len_bytes = strlen(call->path);
    bool is_dotdot = len_bytes >= 2 && strcmp(call->path + len_bytes - 2, "..") == 0;
    if (call->kind == CALL_UNLINK && code == -EISDIR)
        return -EPERM;
    if (call->kind == CALL_RMDIR && code == -ENOTEMPTY && is_dotdot)
        return -EINVAL;
    return code;
}

/* Only vmfs.h has a meaning for the empty path, and none where a name is needed. */
static bool is_ours_alone(const struct call *call)
{
    if (call->kind == CALL_LINK || call->kind == CALL_LINK_FOLLOW)
        return *call->other == '\0';
    return call->kind > CALL_RENAME && *call->path == '\0';
}

static bool is_path_error(int code)
{
    return code == -ENOENT || code == -ENOTDIR || code == -ELOOP || code == -ENAMETOOLONG ||
           code == -EBUSY || code == -EEXIST;
}

static bool cannot_be_walked(const char *path)
{
    struct stat stat;
    return *path == '\0' ||
           (fstatat(base_fd, path, &stat, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT);
}

/* Where both paths of a call are wrong POSIX leaves open which is told. */
static bool is_as_good(const struct call *call, int wanted, int got)
{
    return call->kind == CALL_RENAME && is_path_error(wanted) && is_path_error(got) &&
           (cannot_be_walked(call->path) || cannot_be_walked(call->other));
}

static void run_both(const struct call *call)
{
    if (is_ours_alone(call))
        return;
    if (base_fd < 0)
        new_trees();
    int wanted = expected(call, system_run(call));
    int got = vmfs_run(call);
    cr_assert(got == wanted || is_as_good(call, wanted, got),
              "%s(\"%s\", \"%s\", %#o) returned %d (%s), not %d (%s)", call->name, call->path,
              call->other, call->flags, got, strerror(-got), wanted, strerror(-wanted));
    compare_trees(call);
    if (got == 0)
        new_trees();
}

/* A call that must succeed on both sides, and leaves its trees. */
static void run_pair(const struct call *call)
{
    cr_assert(system_run(call) == 0 && vmfs_run(call) == 0, "making %s", call->path);
}

/* ------------------------------------------------------------------------------------- all paths */

#define NAME_50  "12345678901234567890123456789012345678901234567890"
#define NAME_255 NAME_50 NAME_50 NAME_50 NAME_50 NAME_50 "12345"

static const char *const paths[] = {
    "",           "f",     "g",       "h",
    "d",          "e",     "d/f",     "d/sub",
    "d/sub/deep", "l",     "ld",      "dang",
    "loop",       "new",   "d/new",   "f/",
    "d/",         "e//",   "new/",    "l/",
    "ld/",        "dang/", "loop/",   "f/x",
    "missing/x",  ".",     "..",      "d/.",
    "d/..",       "e/.",   "ld/f",    "ld/.",
    "loop/x",     "d//f",  "./d/./f", "d/../f",
    "d/sub/x",    "slash", NAME_255,  NAME_255 "6",
    "missing/.",  "f/.",   "f/..",    "d/sub/../../e",
};

#define PATH_COUNT (sizeof(paths) / sizeof(paths[0]))

static void run_paths(enum call_kind kind, const char *name, const char *other)
{
    for (unsigned i = 0; i < PATH_COUNT; i++)
        run_both(&(struct call){.kind = kind, .name = name, .path = paths[i], .other = other});
}

Test(names, making_and_taking_away)
{
    run_paths(CALL_MKDIR, "mkdir", "");
    run_paths(CALL_MKNOD, "mknod", "");
    run_paths(CALL_SYMLINK, "symlink", "target");
    run_paths(CALL_SYMLINK, "symlink", "");
    run_paths(CALL_UNLINK, "unlink", "");
    run_paths(CALL_RMDIR, "rmdir", "");
}

Test(names, looking_and_changing)
{
    run_paths(CALL_STAT, "stat", "");
    run_paths(CALL_LSTAT, "lstat", "");
    run_paths(CALL_READLINK, "readlink", "");
    run_paths(CALL_CHMOD, "chmod", "");
    run_paths(CALL_UTIMENS, "utimens", "");
    run_paths(CALL_OPENDIR, "opendir", "");
}

Test(names, link)
{
    for (unsigned i = 0; i < PATH_COUNT; i++) {
        run_paths(CALL_LINK, "link", paths[i]);
        run_paths(CALL_LINK_FOLLOW, "link-follow", paths[i]);
    }
}

static void rename_all(unsigned flags)
{
    for (unsigned from = 0; from < PATH_COUNT; from++)
        for (unsigned to = 0; to < PATH_COUNT; to++)
            run_both(&(struct call){.kind = CALL_RENAME,
                                    .name = "rename",
                                    .path = paths[from],
                                    .other = paths[to],
                                    .flags = (int)flags});
}

Test(names, rename)
{
    rename_all(0);
}

Test(names, rename_noreplace)
{
    rename_all(VMFS_RENAME_NOREPLACE);
}

Test(names, rename_exchange)
{
    rename_all(VMFS_RENAME_EXCHANGE);
}

/* Every combination of the flags that decide whether and what is opened. */
Test(names, open)
{
    static const int bits[] = {VMFS_O_CREAT, VMFS_O_EXCL, VMFS_O_TRUNC, VMFS_O_APPEND,
                               VMFS_O_NOFOLLOW};
    for (unsigned i = 0; i < PATH_COUNT; i++)
        for (unsigned set = 0; set < 32; set++)
            for (int access = 0; access < 3; access++) {
                int flags = access;
                for (unsigned bit = 0; bit < 5; bit++)
                    flags |= set & 1u << bit ? bits[bit] : 0;
                run_both(&(struct call){.kind = CALL_OPEN,
                                        .name = "open",
                                        .path = paths[i],
                                        .other = "",
                                        .flags = flags});
            }
}

/* ------------------------------------------------------------------------------ flags and owners */

/* One object, whatever it is called by now. */
struct object {
    int fd;
    uint64_t id;
};

static struct object object_open(const char *path)
{
    struct object object = {.fd = openat(base_fd, path, O_RDONLY)};
    struct vmfs_stat stat;
    expect_ok(vmfs_stat_at(fs, here(path), 0, &stat));
    cr_assert(object.fd >= 0);
    object.id = stat.ino;
    return object;
}

/* Sets inode flags on both sides; false where the system's filesystem has none. */
static bool object_set_flags(const struct object *object, uint32_t flags)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS, .flags = flags};
    int bits = (flags & VMFS_INODE_IMMUTABLE ? FS_IMMUTABLE_FL : 0) |
               (flags & VMFS_INODE_APPEND ? FS_APPEND_FL : 0);
    if (ioctl(object->fd, FS_IOC_SETFLAGS, &bits) != 0)
        return false;
    expect_ok(vmfs_setattr_at(fs, vmfs_at(object->id, ""), 0, &attr));
    return true;
}

static const char *flagged_path;
static uint32_t flagged_bits;

static void run_flagged(const struct call *call)
{
    new_trees();
    const struct object object = object_open(flagged_path);
    if (!object_set_flags(&object, flagged_bits))
        cr_skip_test("the system's filesystem has no inode flags");
    int wanted = expected(call, system_run(call));
    int got = vmfs_run(call);
    compare_trees(call);
    object_set_flags(&object, 0);
    close(object.fd);
    cr_assert(got == wanted, "%s(\"%s\", \"%s\", %#o) with %s %#x returned %d (%s), not %d (%s)",
              call->name, call->path, call->other, call->flags, flagged_path, flagged_bits, got,
              strerror(-got), wanted, strerror(-wanted));
}

static void run_all_flagged(const char *path, uint32_t bits)
{
    static const char *const objects[] = {"f", "d", "d/f", "d/sub", "d/new", "e", "h", "ld/f"};
    static const int open_flags[] = {VMFS_O_RDONLY,
                                     VMFS_O_WRONLY,
                                     VMFS_O_RDWR | VMFS_O_APPEND,
                                     VMFS_O_WRONLY | VMFS_O_APPEND | VMFS_O_TRUNC,
                                     VMFS_O_RDONLY | VMFS_O_TRUNC,
                                     VMFS_O_RDWR | VMFS_O_CREAT,
                                     VMFS_O_RDWR | VMFS_O_CREAT | VMFS_O_EXCL};
    flagged_path = path;
    flagged_bits = bits;
    for (unsigned i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
        for (int kind = CALL_MKDIR; kind <= CALL_OPENDIR; kind++)
            if (kind != CALL_LINK && kind != CALL_LINK_FOLLOW && kind != CALL_RENAME &&
                kind != CALL_OPEN)
                run_flagged(&(struct call){.kind = (enum call_kind)kind,
                                           .name = "call",
                                           .path = objects[i],
                                           .other = "to"});
        for (unsigned j = 0; j < sizeof(open_flags) / sizeof(open_flags[0]); j++)
            run_flagged(&(struct call){.kind = CALL_OPEN,
                                       .name = "open",
                                       .path = objects[i],
                                       .other = "",
                                       .flags = open_flags[j]});
        for (unsigned j = 0; j < sizeof(objects) / sizeof(objects[0]); j++) {
            run_flagged(&(struct call){
                .kind = CALL_LINK, .name = "link", .path = objects[i], .other = objects[j]});
            for (int flags = 0; flags < 3; flags++)
                run_flagged(&(struct call){.kind = CALL_RENAME,
                                           .name = "rename",
                                           .path = objects[i],
                                           .other = objects[j],
                                           .flags = flags});
        }
    }
}

Test(names, immutable_file)
{
    run_all_flagged("d/f", VMFS_INODE_IMMUTABLE);
}

Test(names, immutable_directory)
{
    run_all_flagged("d", VMFS_INODE_IMMUTABLE);
}

Test(names, append_only_file)
{
    run_all_flagged("d/f", VMFS_INODE_APPEND);
}

Test(names, append_only_directory)
{
    run_all_flagged("d", VMFS_INODE_APPEND);
}

#define CALLER 4711u

/* The same call by somebody who is not root. */
static int run_as_caller(const struct call *call, bool is_system)
{
    if (is_system) {
        cr_assert(setegid(CALLER) == 0 && seteuid(CALLER) == 0);
        int result = system_run(call);
        cr_assert(seteuid(0) == 0 && setegid(0) == 0);
        return result;
    }
    caller = CALLER;
    int result = vmfs_run(call);
    caller = UINT32_MAX;
    return result;
}

static void own(const char *path, uint32_t uid, uint32_t mode)
{
    const struct vmfs_attr attr = {
        .mask = VMFS_ATTR_UID | VMFS_ATTR_MODE, .uid = uid, .mode = mode};
    expect_ok(vmfs_setattr_at(fs, here(path), VMFS_NOFOLLOW, &attr));
    cr_assert(fchownat(base_fd, path, uid, (gid_t)-1, 0) == 0);
    cr_assert(fchmodat(base_fd, path, mode, 0) == 0);
}

/* Who owns the directory and who the entry decides; `replaced` is somebody's, too. */
Test(names, sticky)
{
    static const uint32_t owners[] = {0, CALLER, CALLER + 1};
    static const struct call calls[] = {
        {.kind = CALL_UNLINK, .name = "unlink", .path = "d/f", .other = ""},
        {.kind = CALL_RMDIR, .name = "rmdir", .path = "d/empty", .other = ""},
        {.kind = CALL_RENAME, .name = "rename", .path = "d/f", .other = "d/new"},
        {.kind = CALL_RENAME, .name = "rename", .path = "d/f", .other = "e/new"},
        {.kind = CALL_RENAME, .name = "rename", .path = "e/mine", .other = "d/f"},
        {.kind = CALL_RENAME, .name = "rename", .path = "e/mine", .other = "d/new"},
        {.kind = CALL_RENAME, .name = "exchange", .path = "e/mine", .other = "d/f", .flags = 2},
        {.kind = CALL_RENAME, .name = "exchange", .path = "d/f", .other = "e/mine", .flags = 2},
        {.kind = CALL_MKDIR, .name = "mkdir", .path = "d/new", .other = ""},
    };
    if (geteuid() != 0)
        cr_skip_test("needs root, to be somebody else");
    cr_assert(chmod(folder, 0755) == 0);
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        for (unsigned owner = 0; owner < 9; owner++) {
            new_trees();
            run_pair(&(struct call){.kind = CALL_MKNOD, .path = "e/mine"});
            run_pair(&(struct call){.kind = CALL_MKDIR, .path = "d/empty"});
            own("e", CALLER, 0777);
            own("e/mine", CALLER, 0666);
            own("d", owners[owner % 3], 01777);
            own("d/f", owners[owner / 3], 0666);
            own("d/empty", owners[owner / 3], 0777);
            int wanted = run_as_caller(&calls[i], true);
            int got = run_as_caller(&calls[i], false);
            cr_assert(got == wanted, "%s(%s, %s), directory of %u, entry of %u: %d, not %d",
                      calls[i].name, calls[i].path, calls[i].other, owners[owner % 3],
                      owners[owner / 3], got, wanted);
            compare_trees(&calls[i]);
        }
}

Test(names, set_group_id_directories_hand_down)
{
    static const struct call calls[] = {
        {.kind = CALL_MKDIR, .path = "d/dir", .other = ""},
        {.kind = CALL_MKDIR, .path = "d/dir/dir", .other = ""},
        {.kind = CALL_MKNOD, .path = "d/dir/file", .other = ""},
        {.kind = CALL_SYMLINK, .path = "d/link", .other = "x"},
        {.kind = CALL_MKDIR, .path = "e/dir", .other = ""},
    };
    new_trees();
    cr_assert(fchownat(base_fd, "d", 0, 77, 0) == 0 && fchmodat(base_fd, "d", 02755, 0) == 0);
    const struct vmfs_attr attr = {
        .mask = VMFS_ATTR_GID | VMFS_ATTR_MODE, .gid = 77, .mode = 02755};
    expect_ok(vmfs_setattr_at(fs, here("d"), 0, &attr));
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct vmfs_stat ours;
        struct stat theirs;
        run_pair(&calls[i]);
        expect_ok(vmfs_stat_at(fs, here(calls[i].path), VMFS_NOFOLLOW, &ours));
        cr_assert(fstatat(base_fd, calls[i].path, &theirs, AT_SYMLINK_NOFOLLOW) == 0);
        cr_assert(ours.mode == theirs.st_mode && ours.gid == theirs.st_gid,
                  "%s: mode %o and group %u, not %o and %u", calls[i].path, ours.mode, ours.gid,
                  theirs.st_mode, theirs.st_gid);
    }
}

/* ------------------------------------------------------------------------------------- the limits */

Test(names, path_lengths)
{
    static char path[VMFS_PATH_MAX + 2];
    new_trees();
    for (size_t len_bytes = VMFS_PATH_MAX - 1; len_bytes <= VMFS_PATH_MAX + 1; len_bytes++) {
        for (size_t at = 0; at < len_bytes; at++)
            path[at] = at % 2 ? '/' : '.';
        path[len_bytes - 1] = 'f';
        path[len_bytes - 2] = '/';
        path[len_bytes] = '\0';
        run_both(&(struct call){.kind = CALL_STAT, .name = "stat", .path = path, .other = ""});
        run_both(&(struct call){.kind = CALL_MKDIR, .name = "mkdir", .path = path, .other = ""});
    }
}

Test(names, symbolic_link_depth)
{
    char from[16];
    char to[16] = "f";
    new_trees();
    for (unsigned depth = 1; depth <= 42; depth++) {
        snprintf(from, sizeof(from), "chain%u", depth);
        run_pair(&(struct call){.kind = CALL_SYMLINK, .path = from, .other = to});
        const struct call call = {.kind = CALL_STAT, .name = "stat", .path = from, .other = ""};
        int wanted = system_run(&call);
        cr_assert(vmfs_run(&call) == wanted && wanted == (depth <= 40 ? 0 : -ELOOP), "depth %u",
                  depth);
        memcpy(to, from, sizeof(to));
    }
}

Test(names, symbolic_link_targets)
{
    static char target[VMFS_PATH_MAX + 2];
    memset(target, 't', VMFS_PATH_MAX + 1);
    for (size_t len_bytes = VMFS_PATH_MAX + 1; len_bytes >= VMFS_PATH_MAX - 1; len_bytes--) {
        target[len_bytes] = '\0';
        run_both(&(struct call){
            .kind = CALL_SYMLINK, .name = "symlink", .path = "new", .other = target});
        if (len_bytes > VMFS_PATH_MAX)
            continue;
        run_pair(&(struct call){.kind = CALL_SYMLINK, .path = "long", .other = target});
        const struct call call = {.kind = CALL_READLINK, .name = "readlink", .path = "long"};
        cr_assert(vmfs_run(&call) == (int)len_bytes && system_run(&call) == (int)len_bytes);
    }
}
