/* test_attr.c -- places, files without a name, access times, extended attributes
 *
 * Looks inside where a moment has to be chosen: the clock and the platform's waiting are the test's. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/handle.h"
#include "fixture.h"
#include "inode/inode.h"
#include "inode/table.h"
#include "seed.h"

#define SECOND_NS ((int64_t)1000000000)
#define HOUR_NS   (3600 * SECOND_NS)

static struct fixture fixture;
static struct vmfs *fs;

static void set_up(void)
{
    fixture_open(&fixture, "attr", 64 * REGION_MIB);
    fs = fixture.fs;
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
    expect_ok(vmfs_mknod(fs, "/file", 0644, 0));
    expect_ok(vmfs_symlink(fs, "file", "/link"));
}

static void tear_down(void)
{
    fixture_close(&fixture);
}

TestSuite(attr, .init = set_up, .fini = tear_down, .timeout = 60);

static void reopen(void)
{
    fixture_reopen(&fixture);
    fs = fixture.fs;
}

static char copy[REGION_PATH_MAX + 8];

/* What a process that is killed now leaves. */
static void copy_region(void)
{
    char command[2 * REGION_PATH_MAX + 64];
    snprintf(copy, sizeof(copy), "%s.copy", fixture.path);
    snprintf(command, sizeof(command), "cp --sparse=always %s %s", fixture.path, copy);
    cr_assert(system(command) == 0);
}

/* The copy takes the region's place; nothing is open any more. */
static void open_copy(void)
{
    expect_ok(vmfs_close(fs));
    cr_assert(rename(copy, fixture.path) == 0);
    expect_ok(region_open(fixture.path, 0, &fixture.log, &fixture.fs));
    fs = fixture.fs;
}

static uint64_t fences(void)
{
    struct vmfs_counters counters;
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &counters));
    return counters.fences;
}

static struct vmfs_stat stat_of(uint64_t id)
{
    struct vmfs_stat stat;
    expect_ok(vmfs_stat_at(fs, vmfs_at(id, ""), 0, &stat));
    return stat;
}

/* ---------------------------------------------------------------------------------------- places */

/* Every call that takes a place, at `at`; the last ones take it as the second. */
static int call_at(unsigned call, struct vmfs_at at)
{
    struct vmfs_stat stat;
    struct vmfs_attr attr = {.mask = VMFS_ATTR_MODE, .mode = 0600};
    struct vmfs_file *file;
    struct vmfs_dir *dir;
    char byte;
    struct vmfs_at fixed = vmfs_at(0, "file");
    switch (call) {
    case 0:
        return vmfs_stat_at(fs, at, 0, &stat);
    case 1:
        return vmfs_setattr_at(fs, at, 0, &attr);
    case 2:
        return vmfs_mkdir_at(fs, at, 0755);
    case 3:
        return vmfs_mknod_at(fs, at, 0644, 0);
    case 4:
        return vmfs_symlink_at(fs, "x", at);
    case 5:
        return (int)vmfs_readlink_at(fs, at, &byte, 1);
    case 6:
        return vmfs_unlink_at(fs, at);
    case 7:
        return vmfs_rmdir_at(fs, at);
    case 8:
        return vmfs_rename_at(fs, at, fixed, 0);
    case 9:
        return vmfs_rename_at(fs, fixed, at, 0);
    case 10:
        return vmfs_link_at(fs, at, vmfs_at(0, "new"), 0);
    case 11:
        return vmfs_link_at(fs, fixed, at, 0);
    case 12:
        return vmfs_file_open_at(fs, at, VMFS_O_RDWR | VMFS_O_CREAT, 0644, &file);
    case 13:
        return vmfs_dir_open_at(fs, at, &dir);
    case 14:
        return vmfs_xattr_set_at(fs, at, 0, "user.a", "v", 1);
    case 15:
        return (int)vmfs_xattr_get_at(fs, at, 0, "user.a", NULL, 0);
    case 16:
        return (int)vmfs_xattr_list_at(fs, at, 0, NULL, 0);
    case 17:
        return vmfs_xattr_remove_at(fs, at, 0, "user.a");
    default:
        return vmfs_file_open_at(fs, at, VMFS_O_RDWR | VMFS_O_TMPFILE, 0644, &file);
    }
}

#define CALLS 19

Test(attr, places_that_are_no_directory)
{
    uint64_t file = fixture_stat(&fixture, "/file").ino;
    for (unsigned call = 0; call < CALLS; call++)
        cr_assert(call_at(call, vmfs_at(file, "name")) == -ENOTDIR, "call %u returned %d", call,
                  call_at(call, vmfs_at(file, "name")));
}

Test(attr, places_that_are_gone)
{
    struct vmfs_dir *dir;
    uint64_t id = fixture_stat(&fixture, "/dir").ino;
    expect_ok(vmfs_dir_open_at(fs, vmfs_at(id, ""), &dir));
    expect_ok(vmfs_rmdir(fs, "/dir"));
    for (unsigned call = 0; call < CALLS; call++)
        cr_assert(call_at(call, vmfs_at(id, "name")) == -ENOENT, "removed: call %u returned %d",
                  call, call_at(call, vmfs_at(id, "name")));
    cr_assert(stat_of(id).nlink == 0 && (stat_of(id).mode & VMFS_S_IFMT) == VMFS_S_IFDIR);
    struct vmfs_dirent entry;
    expect_code(vmfs_dir_read(dir, &entry), 0);
    expect_ok(region_check(fs));
    expect_ok(vmfs_dir_close(dir));
    expect_ok(region_check(fs));
    for (unsigned call = 0; call < CALLS; call++)
        cr_assert(call_at(call, vmfs_at(id, "name")) == -ESTALE, "dead: call %u returned %d", call,
                  call_at(call, vmfs_at(id, "name")));
    cr_assert(fixture_stat(&fixture, "/file").nlink == 1);
}

/* The empty path of an id that is dead, and of one that never was. */
Test(attr, ids_of_what_is_gone)
{
    static const unsigned looking[] = {0, 1, 5, 10, 12, 13, 14, 15, 16, 17, 18};
    uint64_t dead = fixture_stat(&fixture, "/file").ino;
    expect_ok(vmfs_unlink(fs, "/file"));
    const uint64_t ids[] = {dead, dead + 1000000, UINT64_MAX - 1};
    for (unsigned i = 0; i < 3; i++)
        for (unsigned j = 0; j < sizeof(looking) / sizeof(looking[0]); j++)
            cr_assert(call_at(looking[j], vmfs_at(ids[i], "")) == -ESTALE, "call %u returned %d",
                      looking[j], call_at(looking[j], vmfs_at(ids[i], "")));
}

static const char *numbered(unsigned i)
{
    static char path[32];
    snprintf(path, sizeof(path), "/dir/%u", i);
    return path;
}

#define MANY_FILES 300u

/* Makes files and removes them again; their slots can be used again. The id of one of them. */
static uint64_t make_slots_free(void)
{
    for (unsigned i = 0; i < MANY_FILES; i++)
        expect_ok(vmfs_mknod(fs, numbered(i), 0644, 0));
    uint64_t id = fixture_stat(&fixture, numbered(100)).ino;
    for (unsigned i = 0; i < MANY_FILES; i++)
        expect_ok(vmfs_unlink(fs, numbered(i)));
    expect_ok(vmfs_sync(fs));
    return id;
}

/* Makes files until one lies where `dead` lay. */
static uint64_t take_slot_again(uint64_t dead)
{
    struct vmfs_stat stat = {.ino = 0};
    for (unsigned i = 0; i < 9000 && vm_id_slot(stat.ino) != vm_id_slot(dead); i++) {
        expect_ok(vmfs_mknod(fs, numbered(i), 0644, 0));
        stat = fixture_stat(&fixture, numbered(i));
    }
    cr_assert(vm_id_slot(stat.ino) == vm_id_slot(dead), "the slot was not used again");
    return stat.ino;
}

/* The slot lives on under another id. */
Test(attr, ids_are_never_used_twice)
{
    uint64_t dead = make_slots_free();
    cr_assert(take_slot_again(dead) != dead);
    expect_code(call_at(0, vmfs_at(dead, "")), -ESTALE);
}

/* A crash left it without a name, and nobody has cleaned up yet: it is not found by its id. */
Test(attr, orphans_of_an_earlier_life_have_no_id)
{
    static const unsigned looking[] = {0, 12, 15, 16, 1, 10, 14, 17};
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    uint64_t id = vmfs_file_ino(file);
    cr_assert(id == fixture_stat(&fixture, "/file").ino);
    expect_ok(vmfs_unlink(fs, "/file"));
    cr_assert(stat_of(id).nlink == 0);
    struct vmfs *mine = fs;
    for (unsigned i = 0; i < sizeof(looking) / sizeof(looking[0]); i++) {
        copy_region();
        expect_ok(region_open(copy, 0, NULL, &fs));
        int got = call_at(looking[i], vmfs_at(id, ""));
        cr_assert(got == -ESTALE, "call %u returned %d", looking[i], got);
        expect_ok(region_check(fs));
        expect_ok(vmfs_close(fs));
    }
    fs = mine;
    unlink(copy);
    expect_ok(vmfs_file_close(file));
}

Test(attr, places_name_the_caller)
{
    struct vmfs_at at = vmfs_at(fixture_stat(&fixture, "/dir").ino, "made");
    at.uid = 12;
    at.gid = 34;
    expect_ok(vmfs_mknod_at(fs, at, 0644, 0));
    cr_assert(fixture_stat(&fixture, "/dir/made").uid == 12);
    cr_assert(fixture_stat(&fixture, "/dir/made").gid == 34);
    at.path = "/elsewhere";
    at.uid = UINT32_MAX;
    expect_ok(vmfs_mkdir_at(fs, at, 0755));
    cr_assert(fixture_stat(&fixture, "/elsewhere").uid == fixture_stat(&fixture, "/file").uid);
    cr_assert(fixture_stat(&fixture, "/elsewhere").gid == 34);
}

Test(attr, empty_paths_are_no_places)
{
    struct vmfs_stat stat;
    struct vmfs_file *file;
    expect_code(vmfs_stat(fs, "", 0, &stat), -ENOENT);
    expect_code(vmfs_file_open(fs, "", VMFS_O_RDWR | VMFS_O_CREAT, 0644, &file), -ENOENT);
    expect_ok(vmfs_stat_at(fs, vmfs_at(0, ""), 0, &stat));
    cr_assert(stat.ino == fixture_stat(&fixture, "/").ino);
    expect_code(vmfs_readlink_at(fs, vmfs_at(fixture_stat(&fixture, "/link").ino, ""), NULL, 0), 4);
    expect_code(vmfs_file_open_at(fs, vmfs_at(fixture_stat(&fixture, "/file").ino, ""),
                                  VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_RDWR, 0644, &file),
                -EEXIST);
}

Test(attr, link_follows_if_asked)
{
    uint64_t file = fixture_stat(&fixture, "/file").ino;
    expect_ok(vmfs_link_at(fs, vmfs_at(0, "link"), vmfs_at(0, "a"), VMFS_FOLLOW));
    expect_ok(vmfs_link_at(fs, vmfs_at(0, "link"), vmfs_at(0, "b"), 0));
    cr_assert(fixture_stat(&fixture, "/a").ino == file);
    cr_assert((fixture_stat(&fixture, "/b").mode & VMFS_S_IFMT) == VMFS_S_IFLNK);
    expect_code(vmfs_link_at(fs, vmfs_at(0, "link"), vmfs_at(0, "c"), VMFS_NOFOLLOW), -EINVAL);
}

/* ------------------------------------------------------------------------- files without a name */

static struct vmfs_file *tmpfile_at(const char *path, int flags)
{
    struct vmfs_file *file = NULL;
    expect_ok(vmfs_file_open(fs, path, VMFS_O_TMPFILE | VMFS_O_RDWR | flags, 0640, &file));
    return file;
}

static uint64_t inodes_used(void)
{
    struct vmfs_statfs statfs;
    expect_ok(vmfs_statfs(fs, &statfs));
    return statfs.inodes_used;
}

/* The same flags on the system's filesystem. */
Test(attr, tmpfile_flags)
{
    static const int others[] = {0,
                                 VMFS_O_CREAT,
                                 VMFS_O_EXCL,
                                 VMFS_O_TRUNC,
                                 VMFS_O_APPEND,
                                 VMFS_O_NOATIME,
                                 VMFS_O_DSYNC,
                                 VMFS_O_CREAT | VMFS_O_EXCL};
    static const char *const paths[] = {"dir", "file", "missing", "link", "dir/", "file/x"};
    char folder[REGION_PATH_MAX + 8];
    snprintf(folder, sizeof(folder), "%s.t", fixture.path);
    cr_assert(mkdir(folder, 0755) == 0);
    int base = open(folder, O_RDONLY | O_DIRECTORY);
    cr_assert(mkdirat(base, "dir", 0755) == 0 && mknodat(base, "file", S_IFREG | 0644, 0) == 0 &&
              symlinkat("file", base, "link") == 0);
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        for (int access = 0; access < 3; access++)
            for (unsigned j = 0; j < sizeof(paths) / sizeof(paths[0]); j++) {
                struct vmfs_file *file;
                int flags = VMFS_O_TMPFILE | access | others[i];
                int fd = openat(base, paths[j], flags, 0644);
                int wanted = fd < 0 ? -errno : 0;
                int got = vmfs_file_open(fs, paths[j], flags, 0644, &file);
                cr_assert(got == wanted, "%s, %#o: %d, not %d", paths[j], (unsigned)flags, got,
                          wanted);
                if (fd >= 0)
                    close(fd);
                if (got == 0)
                    expect_ok(vmfs_file_close(file));
            }
    close(base);
    char command[REGION_PATH_MAX + 32];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    cr_assert(system(command) == 0);
}

Test(attr, tmpfile_is_gone_when_closed)
{
    uint64_t before = inodes_used();
    struct vmfs_stat dir = fixture_stat(&fixture, "/dir");
    struct vmfs_file *file = tmpfile_at("/dir", 0);
    struct vmfs_stat stat;
    char bytes[5];
    expect_code(vmfs_file_pwrite(file, "hello", 5, 0), 5);
    expect_code(vmfs_file_pread(file, bytes, 5, 0), 5);
    expect_ok(vmfs_file_stat(file, &stat));
    cr_assert(stat.nlink == 0 && stat.size == 5 && stat.mode == (VMFS_S_IFREG | 0640));
    cr_assert(inodes_used() == before + 1);
    struct vmfs_stat after = fixture_stat(&fixture, "/dir");
    cr_assert(dir.mtime_ns == after.mtime_ns && dir.size == after.size);
    expect_ok(region_check(fs));
    expect_ok(vmfs_file_close(file));
    cr_assert(inodes_used() == before);
    expect_code(call_at(0, vmfs_at(stat.ino, "")), -ESTALE);
}

Test(attr, tmpfile_gets_a_name)
{
    uint64_t before = fences();
    struct vmfs_file *file = tmpfile_at("/dir", 0);
    cr_assert(fences() - before <= 2);
    expect_code(vmfs_file_pwrite(file, "hello", 5, 0), 5);
    expect_code(vmfs_file_link(file, vmfs_at(0, "file")), -EEXIST);
    before = fences();
    expect_ok(vmfs_file_link(file, vmfs_at(fixture_stat(&fixture, "/dir").ino, "named")));
    cr_assert(fences() - before <= 2);
    cr_assert(fixture_stat(&fixture, "/dir/named").ino == vmfs_file_ino(file));
    cr_assert(fixture_stat(&fixture, "/dir/named").nlink == 1);
    expect_ok(vmfs_file_link(file, vmfs_at(0, "again")));
    expect_ok(vmfs_file_close(file));
    copy_region();
    open_copy();
    cr_assert(fixture_stat(&fixture, "/again").nlink == 2 &&
              fixture_stat(&fixture, "/again").size == 5);
}

/* As on Linux: one whose names were taken away stays without. */
Test(attr, last_names_do_not_come_back)
{
    struct vmfs_file *file = tmpfile_at("/", 0);
    expect_ok(vmfs_file_link(file, vmfs_at(0, "name")));
    expect_ok(vmfs_unlink(fs, "/name"));
    expect_code(vmfs_file_link(file, vmfs_at(0, "name")), -ENOENT);
    expect_ok(vmfs_file_close(file));
    file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    expect_ok(vmfs_unlink(fs, "/file"));
    expect_code(vmfs_file_link(file, vmfs_at(0, "name")), -ENOENT);
    expect_code(vmfs_link_at(fs, vmfs_at(vmfs_file_ino(file), ""), vmfs_at(0, "name"), 0), -ENOENT);
    expect_ok(vmfs_file_close(file));
}

Test(attr, exclusive_tmpfiles_stay_without_a_name)
{
    struct vmfs_file *file = tmpfile_at("/", VMFS_O_EXCL);
    struct vmfs_file *other;
    expect_code(vmfs_file_link(file, vmfs_at(0, "name")), -ENOENT);
    expect_ok(vmfs_file_open_at(fs, vmfs_at(vmfs_file_ino(file), ""), VMFS_O_RDONLY, 0, &other));
    expect_ok(vmfs_file_close(file));
    expect_code(vmfs_file_link(other, vmfs_at(0, "name")), -ENOENT);
    expect_ok(vmfs_file_close(other));
}

Test(attr, a_crash_frees_tmpfiles)
{
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    uint64_t before = inodes_used();
    struct vmfs_file *file = tmpfile_at("/dir", 0);
    static char bytes[100000];
    expect_code(vmfs_file_pwrite(file, bytes, sizeof(bytes), 0), sizeof(bytes));
    expect_ok(vmfs_info(fs, &info));
    cr_assert(info.orphans == 1);
    copy_region();
    expect_ok(vmfs_file_close(file));
    open_copy();
    expect_ok(vmfs_info(fs, &info));
    cr_assert(info.orphans == 1 && inodes_used() == before + 1);
    expect_ok(vmfs_sync(fs));
    expect_ok(vmfs_info(fs, &info));
    cr_assert(info.orphans == 0 && inodes_used() == before);
}

/* ----------------------------------------------------------------------------------- inode flags */

static void set_flags(const char *path, uint32_t flags)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS, .flags = flags};
    expect_ok(vmfs_setattr(fs, path, VMFS_NOFOLLOW, &attr));
}

Test(attr, flags_are_kept)
{
    struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS, .flags = 0x10};
    expect_code(vmfs_setattr(fs, "/file", 0, &attr), -EINVAL);
    expect_ok(region_put_file(fs, "/file", 10000, 1));
    uint64_t blocks = fixture_stat(&fixture, "/file").blocks;
    set_flags("/file", VMFS_INODE_IMMUTABLE | VMFS_INODE_NODUMP | VMFS_INODE_NOATIME);
    set_flags("/link", VMFS_INODE_APPEND);
    reopen();
    cr_assert(fixture_stat(&fixture, "/file").flags ==
              (VMFS_INODE_IMMUTABLE | VMFS_INODE_NODUMP | VMFS_INODE_NOATIME));
    cr_assert(fixture_stat(&fixture, "/file").blocks == blocks);
    cr_assert(fixture_stat(&fixture, "/link").flags == VMFS_INODE_APPEND);
}

Test(attr, flags_go_with_the_inode)
{
    set_flags("/file", VMFS_INODE_NODUMP | VMFS_INODE_NOATIME);
    set_flags("/dir", VMFS_INODE_NODUMP);
    expect_ok(vmfs_unlink(fs, "/file"));
    expect_ok(vmfs_rmdir(fs, "/dir"));
    expect_code(region_check(fs), 0);
    expect_ok(vmfs_mknod(fs, "/file", 0644, 0));
    cr_assert(fixture_stat(&fixture, "/file").flags == 0);
}

/* notify_change() and xattr_permission() of Linux. */
Test(attr, flags_guard_attributes)
{
    static const uint32_t masks[] = {VMFS_ATTR_MODE,
                                     VMFS_ATTR_UID,
                                     VMFS_ATTR_GID,
                                     VMFS_ATTR_SIZE,
                                     VMFS_ATTR_ATIME,
                                     VMFS_ATTR_MTIME,
                                     VMFS_ATTR_ATIME | VMFS_ATTR_MTIME,
                                     VMFS_ATTR_FLAGS | VMFS_ATTR_MODE};
    static const uint32_t flags[] = {VMFS_INODE_IMMUTABLE, VMFS_INODE_APPEND};
    for (unsigned i = 0; i < 2; i++) {
        set_flags("/file", flags[i]);
        for (unsigned j = 0; j < sizeof(masks) / sizeof(masks[0]); j++) {
            struct vmfs_attr attr = {.mask = masks[j], .mode = 0600, .uid = 1, .gid = 1};
            cr_assert(vmfs_setattr(fs, "/file", 0, &attr) == -EPERM, "flags %#x, mask %#x",
                      flags[i], masks[j]);
        }
        expect_code(vmfs_utimens(fs, "/file", VMFS_TIME_NOW, VMFS_TIME_NOW), i == 0 ? -EPERM : 0);
        expect_code(vmfs_utimens(fs, "/file", VMFS_TIME_NOW, 5), -EPERM);
        expect_code(vmfs_xattr_set(fs, "/file", 0, "user.a", "v", 1), -EPERM);
        expect_code(vmfs_xattr_remove(fs, "/file", 0, "user.a"), -EPERM);
        expect_code(vmfs_xattr_get(fs, "/file", 0, "user.a", NULL, 0), -ENODATA);
    }
    set_flags("/file", 0);
    expect_ok(vmfs_chmod(fs, "/file", 0600));
}

Test(attr, tmpfile_in_flagged_directories)
{
    struct vmfs_file *file;
    set_flags("/dir", VMFS_INODE_IMMUTABLE);
    expect_code(vmfs_file_open(fs, "/dir", VMFS_O_TMPFILE | VMFS_O_RDWR, 0644, &file), -EPERM);
    set_flags("/dir", VMFS_INODE_APPEND);
    file = tmpfile_at("/dir", 0);
    expect_ok(vmfs_file_link(file, vmfs_at(0, "dir/named")));
    expect_ok(vmfs_file_close(file));
    set_flags("/dir", 0);
}

/* ----------------------------------------------------------------------------------- access times */

static _Atomic int64_t clock_ns;

static int64_t clock_now(void *arg)
{
    (void)arg;
    return atomic_load(&clock_ns);
}

/* The test's clock from here on. */
static void take_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    atomic_store(&clock_ns, now.tv_sec * SECOND_NS);
    fs->platform.now = clock_now;
}

static int64_t tick(int64_t by_ns)
{
    return atomic_fetch_add(&clock_ns, by_ns) + by_ns;
}

/* Nothing is stored, logged or fenced, and no time moves. */
Test(attr, setting_nothing_changes_nothing)
{
    const struct vmfs_attr none = {.mode = 0777, .uid = 7, .size = 9, .mtime_ns = VMFS_TIME_NOW};
    const struct vmfs_at at = {fixture_stat(&fixture, "/").ino, "link", UINT32_MAX, UINT32_MAX, 0};
    struct vmfs_counters before;
    struct vmfs_counters after;
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    expect_code(vmfs_file_pwrite(file, "some", 4, 0), 4);
    take_clock();
    tick(SECOND_NS);
    struct vmfs_stat old = fixture_stat(&fixture, "/file");
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &before));
    expect_ok(vmfs_setattr(fs, "/file", 0, &none));
    expect_ok(vmfs_setattr_at(fs, at, 0, &none));
    expect_ok(vmfs_setattr(fs, "/dir", 0, &none));
    expect_ok(vmfs_file_setattr(file, &none));
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &after));
    cr_assert(after.fences == before.fences && after.lines == before.lines &&
              after.bytes == before.bytes);
    struct vmfs_stat new = fixture_stat(&fixture, "/file");
    cr_assert(memcmp(&old, &new, sizeof old) == 0);
    expect_ok(vmfs_file_close(file));
}

static int64_t atime_of(const char *path)
{
    return fixture_stat(&fixture, path).atime_ns;
}

enum reading { READ_FILE, READ_NOTHING, READ_DIR, READ_LINK, READ_COPY, READING_COUNT };

static const char *const read_paths[] = {"/file", "/file", "/dir", "/link", "/file"};

static void read_flags(enum reading reading, int flags)
{
    char bytes[8];
    struct vmfs_dirent entry;
    struct vmfs_file *file;
    struct vmfs_dir *dir;
    uint64_t before = fences();
    if (reading == READ_COPY) {
        struct vmfs_file *to = fixture_file(&fixture, "/copy", VMFS_O_WRONLY | VMFS_O_CREAT);
        file = fixture_file(&fixture, "/file", VMFS_O_RDONLY | flags);
        expect_code(vmfs_file_copy_range(file, 0, to, 0, 100), 100);
        expect_ok(vmfs_file_close(file));
        expect_ok(vmfs_file_close(to));
        return;
    }
    if (reading == READ_LINK) {
        expect_code(vmfs_readlink(fs, "/link", bytes, sizeof(bytes)), 4);
    } else if (reading == READ_DIR) {
        expect_ok(vmfs_dir_open(fs, "/dir", &dir));
        expect_code(vmfs_dir_read(dir, &entry), 1);
        expect_ok(vmfs_dir_close(dir));
    } else {
        file = fixture_file(&fixture, "/file", VMFS_O_RDONLY | flags);
        uint64_t at = reading == READ_FILE ? 0 : 1000;
        expect_code(vmfs_file_pread(file, bytes, 4, at), reading == READ_FILE ? 4 : 0);
        expect_ok(vmfs_file_close(file));
    }
    cr_assert(fences() == before, "reading issued a fence");
}

static void read_now(enum reading reading)
{
    read_flags(reading, 0);
}

static void change(enum reading reading)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_UID, .uid = 3};
    expect_ok(vmfs_setattr(fs, read_paths[reading], VMFS_NOFOLLOW, &attr));
}

/* relatime: when it is no later than the last change, or a day old. Seen at once. */
Test(attr, reading_sets_access_times)
{
    expect_ok(region_put_file(fs, "/file", 100, 1));
    take_clock();
    for (enum reading reading = 0; reading < READING_COUNT; reading++) {
        const char *path = read_paths[reading];
        tick(SECOND_NS);
        change(reading);
        int64_t first = tick(SECOND_NS);
        read_now(reading);
        cr_assert(atime_of(path) == first, "%u: after a change", reading);
        tick(SECOND_NS);
        read_now(reading);
        cr_assert(atime_of(path) == first, "%u: newer than the change", reading);
        tick(24 * HOUR_NS - 2 * SECOND_NS);
        read_now(reading);
        cr_assert(atime_of(path) == first, "%u: not yet a day old", reading);
        int64_t day = tick(SECOND_NS);
        read_now(reading);
        cr_assert(atime_of(path) == day, "%u: a day old", reading);
    }
}

Test(attr, handle_that_leaves_access_times)
{
    int64_t before[READING_COUNT];
    expect_ok(region_put_file(fs, "/file", 100, 1));
    for (enum reading reading = 0; reading < READING_COUNT; reading++) {
        change(reading);
        before[reading] = atime_of(read_paths[reading]);
    }
    expect_ok(vmfs_close(fs));
    expect_ok(region_open(fixture.path, VMFS_NOATIME, &fixture.log, &fixture.fs));
    fs = fixture.fs;
    for (enum reading reading = 0; reading < READING_COUNT; reading++) {
        read_now(reading);
        cr_assert(atime_of(read_paths[reading]) == before[reading], "%u", reading);
    }
}

Test(attr, reading_leaves_access_times)
{
    struct vmfs_file *file;
    char byte;
    expect_ok(region_put_file(fs, "/file", 100, 1));
    take_clock();
    int64_t before = atime_of("/file");
    tick(SECOND_NS);
    read_flags(READ_FILE, VMFS_O_NOATIME);
    read_flags(READ_COPY, VMFS_O_NOATIME);
    cr_assert(atime_of("/file") == before);
    file = fixture_file(&fixture, "/file", VMFS_O_RDONLY);
    expect_code(vmfs_file_pread(file, &byte, 0, 0), 0);
    expect_ok(vmfs_file_close(file));
    cr_assert(atime_of("/file") == before);
    struct vmfs_stat stat = fixture_stat(&fixture, "/file");
    expect_ok(vmfs_stat(fs, "/link", 0, &stat));
    cr_assert(atime_of("/link") == fixture_stat(&fixture, "/link").mtime_ns);
    set_flags("/file", VMFS_INODE_NOATIME);
    read_now(READ_FILE);
    cr_assert(atime_of("/file") == before);
}

/* The system's own relatime, beside ours. */
Test(attr, access_times_as_the_system_keeps_them)
{
    static const char *const steps[] = {"read", "read",   "write", "read", "read",   "chmod",
                                        "read", "utimes", "read",  "read", "noatime"};
    char path[REGION_PATH_MAX + 8];
    char bytes[4] = "abc";
    snprintf(path, sizeof(path), "%s.a", fixture.path);
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    cr_assert(write(fd, bytes, 4) == 4);
    expect_code(vmfs_file_pwrite(file, bytes, 4, 0), 4);
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct stat theirs;
        struct stat theirs_after;
        int64_t ours = atime_of("/file");
        usleep(25000);
        cr_assert(fstat(fd, &theirs) == 0);
        if (strcmp(steps[i], "read") == 0) {
            cr_assert(pread(fd, bytes, 4, 0) == 4);
            expect_code(vmfs_file_pread(file, bytes, 4, 0), 4);
        } else if (strcmp(steps[i], "write") == 0) {
            cr_assert(pwrite(fd, bytes, 4, 0) == 4);
            expect_code(vmfs_file_pwrite(file, bytes, 4, 0), 4);
        } else if (strcmp(steps[i], "chmod") == 0) {
            cr_assert(fchmod(fd, 0600) == 0);
            expect_ok(vmfs_chmod(fs, "/file", 0600));
        } else if (strcmp(steps[i], "utimes") == 0) {
            const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 500}};
            cr_assert(futimens(fd, times) == 0);
            expect_ok(vmfs_utimens(fs, "/file", 1000 * SECOND_NS, 500 * SECOND_NS));
        }
        cr_assert(fstat(fd, &theirs_after) == 0);
        bool is_theirs_new =
            memcmp(&theirs.st_atim, &theirs_after.st_atim, sizeof(theirs.st_atim)) != 0;
        cr_assert((atime_of("/file") != ours) == is_theirs_new, "step %u, %s: the system's %s", i,
                  steps[i], is_theirs_new ? "changed" : "did not");
    }
    expect_ok(vmfs_file_close(file));
    close(fd);
    unlink(path);
}

static _Atomic bool is_over;

static void *change_for_ever(void *arg)
{
    for (unsigned i = 0; !atomic_load(&is_over); i++)
        expect_ok(vmfs_chmod(fs, arg, 0600 + i % 8));
    return NULL;
}

/* Records of the inode come and go meanwhile: none of them takes an access time back (A1). */
Test(attr, access_times_never_go_back)
{
    static char path[] = "/file";
    pthread_t thread;
    char byte;
    int64_t before = 0;
    expect_ok(region_put_file(fs, path, 100, 1));
    struct vmfs_file *file = fixture_file(&fixture, path, VMFS_O_RDONLY);
    take_clock();
    cr_assert(pthread_create(&thread, NULL, change_for_ever, path) == 0);
    for (unsigned i = 0; i < 100000; i++) {
        tick(1000);
        expect_code(vmfs_file_pread(file, &byte, 1, 0), 1);
        int64_t after = stat_of(vmfs_file_ino(file)).atime_ns;
        cr_assert(after >= before, "read %u: %lld ns back", i, (long long)(before - after));
        before = after;
    }
    atomic_store(&is_over, true);
    cr_assert(pthread_join(thread, NULL) == 0);
    expect_ok(vmfs_file_close(file));
}

/* What sets it wins over what was read before, and is in the next record of the inode or not. */
Test(attr, access_times_live_beside_records)
{
    expect_ok(region_put_file(fs, "/file", 100, 1));
    take_clock();
    tick(SECOND_NS);
    int64_t read_ns = tick(SECOND_NS);
    read_now(READ_FILE);
    tick(SECOND_NS);
    expect_ok(vmfs_chmod(fs, "/file", 0600));
    cr_assert(atime_of("/file") == read_ns, "a record took it back");
    expect_ok(vmfs_utimens(fs, "/file", 7, 8));
    cr_assert(atime_of("/file") == 7);
    reopen();
    cr_assert(atime_of("/file") == 7);
}

Test(attr, access_times_outlive_closing)
{
    take_clock();
    expect_ok(vmfs_sync(fs));
    int64_t read_ns = tick(SECOND_NS);
    read_now(READ_DIR);
    uint64_t before = fences();
    expect_ok(vmfs_sync(fs));
    cr_assert(fences() == before + 1, "nothing but the access time was left to do");
    before = fences();
    expect_ok(vmfs_sync(fs));
    cr_assert(fences() == before);
    reopen();
    cr_assert(atime_of("/dir") == read_ns);
}

/* More than one step of the checkpoint flushes, and all of it before the sync returns. */
Test(attr, many_access_times_are_flushed)
{
    struct vmfs_counters before;
    struct vmfs_counters after;
    char path[32];
    char byte;
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(path, sizeof(path), "/dir/%u", i);
        expect_ok(vmfs_symlink(fs, "x", path));
    }
    take_clock();
    expect_ok(vmfs_sync(fs));
    tick(SECOND_NS);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(path, sizeof(path), "/dir/%u", i);
        expect_code(vmfs_readlink(fs, path, &byte, 1), 1);
    }
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &before));
    expect_ok(vmfs_sync(fs));
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &after));
    cr_assert(after.fences == before.fences + 1);
    cr_assert(after.lines >= before.lines + 3000, "%llu lines",
              (unsigned long long)(after.lines - before.lines));
}

/* The region is mapped without the right to write: a store would end the test. */
Test(attr, readers_of_read_only_regions_store_nothing)
{
    expect_ok(region_put_file(fs, "/file", 100, 1));
    expect_ok(vmfs_close(fs));
    expect_ok(region_open(fixture.path, VMFS_RDONLY, &fixture.log, &fixture.fs));
    fs = fixture.fs;
    int64_t before = atime_of("/file");
    usleep(25000);
    for (enum reading reading = 0; reading < READ_COPY; reading++)
        read_now(reading);
    cr_assert(atime_of("/file") == before);
}

/* ---------------------------------------------------------------------------- extended attributes */

Test(attr, namespaces)
{
    static const char *const kept[] = {"user.a", "trusted.a", "security.a"};
    static const struct {
        const char *name;
        int code;
    } refused[] = {{"", -ERANGE},
                   {"user.", -EINVAL},
                   {"trusted.", -EINVAL},
                   {"security.", -EINVAL},
                   {"user", -EOPNOTSUPP},
                   {"system.a", -EOPNOTSUPP},
                   {"system.", -EOPNOTSUPP},
                   {"system.posix_acl_access2", -EOPNOTSUPP},
                   {"system.posix_acl", -EOPNOTSUPP},
                   {"btrfs.x", -EOPNOTSUPP},
                   {"USER.a", -EOPNOTSUPP}};
    char names[256];
    char value[8];
    for (unsigned i = 0; i < 3; i++) {
        expect_ok(vmfs_xattr_set(fs, "/file", 0, kept[i], kept[i], 4));
        expect_code(vmfs_xattr_get(fs, "/file", 0, kept[i], value, 8), 4);
        cr_assert(memcmp(value, kept[i], 4) == 0);
    }
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        expect_code(vmfs_xattr_set(fs, "/file", 0, refused[i].name, "v", 1), refused[i].code);
        expect_code(vmfs_xattr_get(fs, "/file", 0, refused[i].name, NULL, 0), refused[i].code);
        expect_code(vmfs_xattr_remove(fs, "/file", 0, refused[i].name), refused[i].code);
    }
    int64_t bytes = vmfs_xattr_list(fs, "/file", 0, names, sizeof(names));
    cr_assert(bytes == 7 + 10 + 11);
    for (unsigned i = 0; i < 3; i++)
        cr_assert(memmem(names, (size_t)bytes, kept[i], strlen(kept[i]) + 1) != NULL);
}

Test(attr, attributes_of_everything)
{
    static const char *const paths[] = {"/link", "/fifo", "/device"};
    expect_ok(vmfs_mknod(fs, "/fifo", VMFS_S_IFIFO | 0600, 0));
    expect_ok(vmfs_mknod(fs, "/device", VMFS_S_IFCHR | 0600, 5));
    for (unsigned i = 0; i < 3; i++) {
        expect_ok(vmfs_xattr_set(fs, paths[i], VMFS_NOFOLLOW, "trusted.a", "link", 4));
        expect_ok(vmfs_xattr_set(fs, paths[i], VMFS_NOFOLLOW, "security.a", "link", 4));
        expect_code(vmfs_xattr_set(fs, paths[i], VMFS_NOFOLLOW, "user.a", "v", 1), -EPERM);
        expect_code(vmfs_xattr_list(fs, paths[i], VMFS_NOFOLLOW, NULL, 0), 21);
    }
    expect_code(vmfs_xattr_get(fs, "/file", 0, "trusted.a", NULL, 0), -ENODATA);
    reopen();
    expect_code(vmfs_xattr_get(fs, "/link", VMFS_NOFOLLOW, "trusted.a", NULL, 0), 4);
    expect_code(vmfs_xattr_get(fs, "/link", 0, "trusted.a", NULL, 0), -ENODATA);
}

#define MANY 3000u

/* Sizes from nothing to the largest, all at once, replaced and taken away in another order. */
Test(attr, many_attributes)
{
    static uint8_t value[VMFS_XATTR_MAX];
    static uint8_t got[VMFS_XATTR_MAX];
    static char names[MANY * 16];
    char name[16];
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < MANY; i++) {
            size_t bytes = i % 500 == 0 ? VMFS_XATTR_MAX - round : (i * 7 + round) % 300;
            snprintf(name, sizeof(name), "user.%u", i);
            seed_fill(value, bytes, i + round);
            expect_ok(vmfs_xattr_set(fs, "/file", round ? VMFS_XATTR_REPLACE : VMFS_XATTR_CREATE,
                                     name, value, bytes));
        }
    reopen();
    int64_t list = vmfs_xattr_list(fs, "/file", 0, NULL, 0);
    cr_assert(vmfs_xattr_list(fs, "/file", 0, names, sizeof(names)) == list && list > MANY * 7);
    for (unsigned i = 0; i < MANY; i++) {
        unsigned at = (i * 1201) % MANY;
        size_t bytes = at % 500 == 0 ? VMFS_XATTR_MAX - 1 : (at * 7 + 1) % 300;
        snprintf(name, sizeof(name), "user.%u", at);
        seed_fill(value, bytes, at + 1);
        cr_assert(vmfs_xattr_get(fs, "/file", 0, name, got, sizeof(got)) == (int64_t)bytes &&
                      memcmp(got, value, bytes) == 0,
                  "%s", name);
        expect_ok(vmfs_xattr_remove(fs, "/file", 0, name));
        expect_code(vmfs_xattr_remove(fs, "/file", 0, name), -ENODATA);
    }
    expect_code(vmfs_xattr_list(fs, "/file", 0, NULL, 0), 0);
    expect_ok(region_check(fs));
    expect_ok(vmfs_unlink(fs, "/file"));
}

/* ------------------------------------------------------------------- what earlier versions got wrong */

static struct vm_persist_ops spy;
static const struct vm_persist_ops *spied;
static uint64_t watched_id;
static uint64_t watched_offset;
static unsigned watched_stores;

static void spy_store(void *arg, void *dst, const void *src, size_t len_bytes)
{
    uint64_t offset = (uint64_t)((uint8_t *)dst - fs->map);
    if (offset >= watched_offset && offset < watched_offset + VM_INODE_BYTES) {
        const struct vm_ctx ctx = {.itable = fs->volume.itable};
        watched_stores++;
        cr_assert(vm_stripe_version(vm_stripe_of(&ctx, watched_id)) % 2 == 1,
                  "an inode is stored while readers of its slot trust what they see");
    }
    spied->store(arg, dst, src, len_bytes);
}

/* Who still knows a slot by an older id waits while its next inode is stored (L1): stripes are the
 * slots', and whoever makes an inode has its stripe. */
Test(attr, a_stale_id_gives_no_torn_read)
{
    watched_id = make_slots_free();
    struct vm_ctx ctx;
    vm_ctx_init(fs, &ctx);
    cr_assert(vm_table_locate(&ctx, vm_id_slot(watched_id), &watched_offset) == 1);
    spied = fs->ops;
    spy = *spied;
    spy.store = spy_store;
    fs->ops = &spy;
    take_slot_again(watched_id);
    fs->ops = spied;
    cr_assert(watched_stores > 0);
}

static struct vmfs_file *second;

/* The opener waits for a lane, has counted its handle, and has not emptied the file yet. */
static void wait_hook(void *arg, _Atomic uint32_t *word, uint32_t seen)
{
    struct vm_journal *journal = &fs->volume.journal;
    (void)arg;
    (void)word;
    (void)seen;
    expect_ok(vmfs_file_open(fs, "/file", VMFS_O_RDONLY, 0, &second));
    atomic_store(&journal->is_poisoned, true);
    for (uint32_t lane = 0; lane < journal->lane_count; lane++)
        vm_lock_release(&journal->lanes[lane].lock, &fs->platform);
}

/* A failed VMFS_O_TRUNC open gives back its handle, and frees the entry only if nobody shares it. */
Test(attr, a_failed_open_leaves_a_shared_entry)
{
    struct vm_journal *journal = &fs->volume.journal;
    struct vmfs_file *failed;
    struct vmfs_stat stat;
    expect_ok(region_put_file(fs, "/file", 100, 1));
    for (uint32_t lane = 0; lane < journal->lane_count; lane++)
        cr_assert(vm_lock_try(&journal->lanes[lane].lock));
    fs->platform.wait = wait_hook;
    expect_code(vmfs_file_open(fs, "/file", VMFS_O_RDWR | VMFS_O_TRUNC, 0, &failed), -EUCLEAN);
    expect_ok(vmfs_file_stat(second, &stat));
    cr_assert(stat.size == 100);
    /* The other way round: the entry is the one that stays open's, and this is not its last handle. */
    expect_code(vmfs_file_open(fs, "/file", VMFS_O_RDONLY | VMFS_O_TRUNC, 0, &failed), -EROFS);
    expect_ok(vmfs_file_stat(second, &stat));
    expect_ok(vmfs_file_close(second));
    (void)vmfs_close(fs);
    expect_ok(region_open(fixture.path, 0, &fixture.log, &fixture.fs));
    fs = fixture.fs;
    cr_assert(fixture_stat(&fixture, "/file").size == 100);
}
