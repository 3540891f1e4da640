/* test_entry.c -- inodes known by their ids: holding, looking up, making, listing without a handle */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

static struct fixture fixture;
static struct vmfs *fs;

static void set_up(void)
{
    fixture_open(&fixture, "entry", 64 * REGION_MIB);
    fs = fixture.fs;
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
    expect_ok(region_put_file(fs, "/file", 100, 1));
}

static void tear_down(void)
{
    fixture_close(&fixture);
}

TestSuite(entry, .init = set_up, .fini = tear_down, .timeout = 120);

static uint64_t fences(void)
{
    struct vmfs_counters counters;
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &counters));
    return counters.fences;
}

static uint64_t inodes_used(void)
{
    struct vmfs_statfs statfs;
    expect_ok(vmfs_statfs(fs, &statfs));
    return statfs.inodes_used;
}

static void reopen(void)
{
    fixture_reopen(&fixture);
    fs = fixture.fs;
}

/* One of each type, in the order of this table. */
static const struct vmfs_make kinds[] = {
    {.mode = VMFS_S_IFREG | 0640},
    {.mode = VMFS_S_IFDIR | 0751},
    {.mode = VMFS_S_IFLNK, .target = "somewhere"},
    {.mode = VMFS_S_IFCHR | 0600, .rdev = 0x103},
    {.mode = VMFS_S_IFBLK | 0600, .rdev = 0x801},
    {.mode = VMFS_S_IFIFO | 0644},
    {.mode = VMFS_S_IFSOCK | 0755},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int take_name(const struct vmfs_make *what, const char *path)
{
    bool is_directory = (what->mode & VMFS_S_IFMT) == VMFS_S_IFDIR;
    return is_directory ? vmfs_rmdir(fs, path) : vmfs_unlink(fs, path);
}

Test(entry, make_tells_what_it_made)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        const struct vmfs_make *what = &kinds[kind];
        struct vmfs_stat made;
        struct vmfs_stat seen;
        uint64_t before = fences();
        expect_ok(vmfs_make(fs, vmfs_at(0, "/dir/new"), what, &made));
        cr_assert(fences() - before <= 4);
        bool is_link = what->target != NULL;
        cr_assert(made.mode == (is_link ? VMFS_S_IFLNK | 0777 : what->mode));
        cr_assert(made.rdev == what->rdev);
        expect_ok(vmfs_stat(fs, "/dir/new", VMFS_NOFOLLOW, &seen));
        cr_assert(memcmp(&made, &seen, sizeof(made)) == 0);
        expect_ok(take_name(what, "/dir/new"));
        expect_ok(vmfs_stat_at(fs, vmfs_at(made.ino, ""), VMFS_NOFOLLOW, &seen));
        cr_assert(seen.nlink == 0 && seen.mode == made.mode);
        expect_ok(vmfs_release(fs, made.ino, 1));
        expect_code(vmfs_stat_at(fs, vmfs_at(made.ino, ""), VMFS_NOFOLLOW, &seen), -ESTALE);
    }
}

/* Attributes of the record that made it: what a setattr changed behind it is not in them. */
Test(entry, no_type_is_a_regular_file)
{
    struct vmfs_stat made;
    const struct vmfs_make what = {.mode = 0604};
    expect_ok(vmfs_make(fs, vmfs_at(0, "new"), &what, &made));
    cr_assert(made.mode == (VMFS_S_IFREG | 0604));
    expect_ok(vmfs_release(fs, made.ino, 1));
    expect_ok(vmfs_stat(fs, "/new", 0, &made));
}

/* Each hold counts, of each type, and the last one frees. */
Test(entry, holds_are_counted)
{
    uint64_t used = inodes_used();
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct vmfs_stat stat;
        expect_ok(vmfs_make(fs, vmfs_at(0, "/new"), &kinds[kind], &stat));
        uint64_t id = stat.ino;
        expect_ok(vmfs_hold(fs, id));
        expect_ok(vmfs_lookup(fs, vmfs_at(0, "/new"), &stat));
        cr_assert(stat.ino == id);
        expect_ok(take_name(&kinds[kind], "/new"));
        expect_ok(vmfs_hold(fs, id)); /* also without a name */
        expect_code(vmfs_release(fs, id, 5), -EINVAL);
        expect_ok(vmfs_release(fs, id, 3));
        cr_assert(inodes_used() == used + 1);
        expect_ok(vmfs_lookup(fs, vmfs_at(id, ""), &stat));
        expect_ok(vmfs_release(fs, id, 2));
        cr_assert(inodes_used() == used);
        expect_code(vmfs_release(fs, id, 1), -EINVAL);
        expect_code(vmfs_hold(fs, id), -ESTALE);
        expect_code(vmfs_lookup(fs, vmfs_at(id, ""), &stat), -ESTALE);
    }
}

/* A hold and a handle keep a file each for itself. */
Test(entry, holds_and_handles)
{
    struct vmfs_stat stat;
    char byte;
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    expect_ok(vmfs_lookup(fs, vmfs_at(0, "/file"), &stat));
    expect_ok(vmfs_unlink(fs, "/file"));
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_file_open_at(fs, vmfs_at(stat.ino, ""), VMFS_O_RDWR, 0, &file));
    expect_ok(vmfs_release(fs, stat.ino, 1));
    expect_code(vmfs_file_pread(file, &byte, 1, 99), 1);
    expect_ok(vmfs_file_close(file));
    expect_code(vmfs_hold(fs, stat.ino), -ESTALE);
}

/* What a symbolic link and a directory are lives on with a hold; nothing can be put into the directory. */
Test(entry, what_is_held_can_be_used)
{
    struct vmfs_stat stat;
    struct vmfs_stat dir;
    char target[16];
    expect_ok(vmfs_make(fs, vmfs_at(0, "/link"), &kinds[2], &stat));
    expect_ok(vmfs_lookup(fs, vmfs_at(0, "/dir"), &dir));
    expect_ok(vmfs_unlink(fs, "/link"));
    expect_ok(vmfs_rmdir(fs, "/dir"));
    expect_code(vmfs_readlink_at(fs, vmfs_at(stat.ino, ""), target, sizeof(target)), 9);
    expect_code(vmfs_mkdir_at(fs, vmfs_at(dir.ino, "sub"), 0755), -ENOENT);
    expect_ok(vmfs_setattr_at(fs, vmfs_at(dir.ino, ""), 0,
                              &(struct vmfs_attr){.mask = VMFS_ATTR_MODE, .mode = 0700}));
    expect_ok(vmfs_release(fs, stat.ino, 1));
    expect_ok(vmfs_release(fs, dir.ino, 1));
}

Test(entry, lookup_of_dots)
{
    struct vmfs_stat dir;
    struct vmfs_stat stat;
    expect_ok(vmfs_lookup(fs, vmfs_at(0, "dir"), &dir));
    expect_ok(vmfs_lookup(fs, vmfs_at(dir.ino, "."), &stat));
    cr_assert(stat.ino == dir.ino);
    expect_ok(vmfs_lookup(fs, vmfs_at(dir.ino, ".."), &stat));
    expect_ok(vmfs_release(fs, dir.ino, 2));
    expect_ok(vmfs_release(fs, stat.ino, 1));
    expect_ok(vmfs_lookup(fs, vmfs_at(0, ".."), &stat));
    expect_ok(vmfs_release(fs, 0, 1));
    expect_code(vmfs_release(fs, stat.ino, 1), -EINVAL);
}

Test(entry, a_link_is_not_followed)
{
    struct vmfs_stat stat;
    expect_ok(vmfs_symlink(fs, "file", "/link"));
    expect_ok(vmfs_lookup(fs, vmfs_at(0, "link"), &stat));
    cr_assert((stat.mode & VMFS_S_IFMT) == VMFS_S_IFLNK);
    expect_ok(vmfs_release(fs, stat.ino, 1));
}

/* A region is closed with holds: what has no name is gone afterwards, and nothing is left half done. */
Test(entry, closing_lets_go)
{
    uint64_t used = inodes_used();
    uint64_t ids[KINDS];
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct vmfs_stat stat;
        expect_ok(vmfs_make(fs, vmfs_at(0, "/new"), &kinds[kind], &stat));
        expect_ok(take_name(&kinds[kind], "/new"));
        ids[kind] = stat.ino;
    }
    expect_ok(vmfs_hold(fs, 0));
    expect_ok(vmfs_hold(fs, 0));
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    expect_ok(vmfs_info(fs, &info));
    cr_assert(info.inodes_open == KINDS + 1);
    reopen();
    expect_ok(vmfs_info(fs, &info));
    cr_assert(info.inodes_open == 0);
    cr_assert(info.orphans == 0);
    cr_assert(inodes_used() == used);
    for (unsigned kind = 0; kind < KINDS; kind++)
        expect_code(vmfs_hold(fs, ids[kind]), -ESTALE);
}

/* With a file open nothing is let go. */
Test(entry, closing_with_a_file_open)
{
    struct vmfs_stat stat;
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDONLY);
    expect_ok(vmfs_make(fs, vmfs_at(0, "/new"), &kinds[0], &stat));
    expect_ok(vmfs_unlink(fs, "/new"));
    expect_code(vmfs_close(fs), -EBUSY);
    expect_ok(vmfs_stat_at(fs, vmfs_at(stat.ino, ""), 0, &stat));
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_release(fs, stat.ino, 1));
}

Test(entry, listing_without_a_handle)
{
    struct vmfs_dirent entry;
    struct vmfs_stat stat;
    char path[32];
    for (unsigned i = 0; i < 500; i++) {
        snprintf(path, sizeof(path), "/dir/%u", i);
        expect_ok(vmfs_mknod(fs, path, 0644, 0));
    }
    uint64_t dir;
    expect_ok(vmfs_stat(fs, "/dir", 0, &stat));
    dir = stat.ino;
    uint64_t cookie = 0;
    unsigned seen = 0;
    uint64_t before = fences();
    for (; vmfs_dir_read_at(fs, dir, cookie, &entry, &stat) == 1; seen++) {
        cookie = entry.cookie;
        cr_assert(stat.ino == entry.ino && (stat.mode & VMFS_S_IFMT) == entry.type);
        if (seen < 2)
            expect_code(vmfs_release(fs, entry.ino, 1), -EINVAL);
        else
            expect_ok(vmfs_release(fs, entry.ino, 1));
    }
    cr_assert(seen == 502);
    cr_assert(fences() == before);
    expect_ok(vmfs_dir_read_at(fs, dir, cookie, &entry, NULL));
}

/* Cookies are those of a handle, and the entries that they name may be gone. */
Test(entry, listing_from_a_cookie)
{
    struct vmfs_dir *handle;
    struct vmfs_dirent entry;
    struct vmfs_dirent other;
    expect_ok(vmfs_dir_open(fs, "/", &handle));
    uint64_t cookie = 0;
    while (vmfs_dir_read(handle, &entry) == 1) {
        expect_code(vmfs_dir_read_at(fs, 0, cookie, &other, NULL), 1);
        cr_assert(strcmp(entry.name, other.name) == 0 && entry.cookie == other.cookie);
        cookie = entry.cookie;
    }
    expect_ok(vmfs_dir_close(handle));
}

Test(entry, listing_what_was_removed)
{
    struct vmfs_dirent entry;
    struct vmfs_stat dir;
    expect_ok(vmfs_lookup(fs, vmfs_at(0, "dir"), &dir));
    expect_ok(vmfs_rmdir(fs, "/dir"));
    expect_ok(vmfs_dir_read_at(fs, dir.ino, 0, &entry, NULL));
    expect_ok(vmfs_release(fs, dir.ino, 1));
    expect_code(vmfs_dir_read_at(fs, dir.ino, 0, &entry, NULL), -ESTALE);
}
