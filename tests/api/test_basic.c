/* test_basic.c -- what each call means: names, files, attributes */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fixture.h"
#include "seed.h"

#define PAGE 4096

static struct fixture fixture;
static struct vmfs *fs;

static void set_up(void)
{
    fixture_open(&fixture, "basic", 64 * REGION_MIB);
    fs = fixture.fs;
}

static void tear_down(void)
{
    fixture_close(&fixture);
}

TestSuite(basic, .init = set_up, .fini = tear_down);

static void reopen(void)
{
    fixture_reopen(&fixture);
    fs = fixture.fs;
}

static void expect_content(const char *path, const void *wanted, size_t length)
{
    uint8_t *found = malloc(length + 1);
    struct vmfs_file *file = fixture_file(&fixture, path, VMFS_O_RDONLY);
    expect_code(vmfs_file_pread(file, found, length + 1, 0), (int64_t)length);
    cr_assert(memcmp(found, wanted, length) == 0, "%s has other content", path);
    expect_ok(vmfs_file_close(file));
    free(found);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ------------------------------------------------------------------------------------- region ---
 */

Test(basic, version_and_info)
{
    char version[32];
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    snprintf(version, sizeof(version), "%d.%d.%d", VMFS_VERSION_MAJOR, VMFS_VERSION_MINOR,
             VMFS_VERSION_PATCH);
    cr_assert(strcmp(vmfs_version(), version) == 0, "version %s", vmfs_version());
    expect_ok(vmfs_info(fs, &info));
    cr_assert(info.region_bytes == 64 * REGION_MIB);
    cr_assert(info.is_read_only == 0 && info.lane_count > 0 && info.format_version > 0);
    cr_assert((int)info.durability == vmfs_durability(fs));
    cr_assert(info.meaning[0] != '\0' && info.backend[0] != '\0');
    cr_assert(info.inodes_used == 1, "%llu inodes in an empty region",
              (unsigned long long)info.inodes_used);
}

Test(basic, the_root)
{
    struct vmfs_stat stat = fixture_stat(&fixture, "/");
    cr_assert((stat.mode & VMFS_S_IFMT) == VMFS_S_IFDIR);
    cr_assert(stat.nlink == 2 && stat.size == 0);
    cr_assert(stat.btime_ns > 0 && stat.atime_ns == stat.btime_ns &&
              stat.mtime_ns == stat.btime_ns);
    struct vmfs_stat same = fixture_stat(&fixture, "/..");
    cr_assert(same.ino == stat.ino);
    expect_ok(vmfs_mkdir(fs, "relative", 0755));
    fixture_stat(&fixture, "/relative");
    fixture_stat(&fixture, "//relative/./../relative");
}

Test(basic, counters)
{
    struct vmfs_counters before;
    struct vmfs_counters after;
    struct vmfs_counters all;
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &before));
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &after));
    cr_assert(after.fences > before.fences && after.lines > before.lines);
    cr_assert(after.bytes > before.bytes && after.ops > before.ops);
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_HANDLE, &all));
    cr_assert(all.fences >= after.fences && all.ops >= after.ops);
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_OPEN, &all));
    cr_assert(all.fences > 0, "formatting cost no fence");
}

Test(basic, owner_of_new_files_is_the_option)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    expect_ok(vmfs_close(fs));
    options.owner_uid = 123;
    options.owner_gid = 456;
    expect_ok(vmfs_open(fixture.path, &options, &fs));
    fixture.fs = fs;
    expect_ok(vmfs_mkdir(fs, "/dir", 0750));
    struct vmfs_stat stat = fixture_stat(&fixture, "/dir");
    cr_assert(stat.uid == 123 && stat.gid == 456);
}

Test(basic, everything_survives_reopening)
{
    expect_ok(vmfs_mkdir(fs, "/dir", 0701));
    expect_ok(region_put_file(fs, "/dir/file", 123456, 1));
    expect_ok(vmfs_symlink(fs, "dir/file", "/link"));
    expect_ok(vmfs_mknod(fs, "/dev", VMFS_S_IFBLK | 0640, 0x1234567));
    expect_ok(vmfs_xattr_set(fs, "/dir/file", 0, "user.a", "value", 5));
    uint64_t before = region_digest(fs, "/");
    reopen();
    cr_assert(region_digest(fs, "/") == before);
    cr_assert(fixture_stat(&fixture, "/dev").rdev == 0x1234567);
}

/* -------------------------------------------------------------------------------------- names ---
 */

Test(basic, directories_count_links_and_entries)
{
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
    expect_ok(vmfs_mkdir(fs, "/dir/one", 0755));
    expect_ok(vmfs_mkdir(fs, "/dir/two", 0755));
    expect_ok(vmfs_mknod(fs, "/dir/file", 0644, 0));
    struct vmfs_stat stat = fixture_stat(&fixture, "/dir");
    cr_assert(stat.nlink == 4 && stat.size == 3, "nlink %u size %llu", stat.nlink,
              (unsigned long long)stat.size);
    expect_ok(vmfs_rename(fs, "/dir/one", "/one", 0));
    expect_ok(vmfs_rename(fs, "/dir/file", "/one", VMFS_RENAME_EXCHANGE));
    stat = fixture_stat(&fixture, "/dir");
    cr_assert(stat.nlink == 4 && stat.size == 2, "nlink %u size %llu", stat.nlink,
              (unsigned long long)stat.size);
    cr_assert(fixture_stat(&fixture, "/").nlink == 3);
}

Test(basic, hard_links_share_one_file)
{
    expect_ok(region_put_file(fs, "/a", 10, 1));
    expect_ok(vmfs_link(fs, "/a", "/b"));
    cr_assert(fixture_stat(&fixture, "/a").ino == fixture_stat(&fixture, "/b").ino);
    cr_assert(fixture_stat(&fixture, "/b").nlink == 2);
    expect_ok(vmfs_rename(fs, "/a", "/b", 0));
    fixture_stat(&fixture, "/a");
    expect_ok(vmfs_unlink(fs, "/a"));
    cr_assert(fixture_stat(&fixture, "/b").nlink == 1);
    expect_ok(vmfs_symlink(fs, "b", "/link"));
    expect_ok(vmfs_link(fs, "/link", "/link-too"));
    cr_assert((fixture_stat(&fixture, "/link-too").mode & VMFS_S_IFMT) == VMFS_S_IFLNK);
}

Test(basic, symbolic_links_are_followed)
{
    static char target[VMFS_PATH_MAX + 1];
    static char found[VMFS_PATH_MAX + 1];
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
    expect_ok(region_put_file(fs, "/dir/file", 77, 1));
    expect_ok(vmfs_symlink(fs, "/dir", "/absolute"));
    expect_ok(vmfs_symlink(fs, "../dir/file", "/dir/relative"));
    struct vmfs_stat stat;
    expect_ok(vmfs_stat(fs, "/absolute/relative", 0, &stat));
    cr_assert(stat.size == 77);
    expect_code(vmfs_readlink(fs, "/absolute", found, 2), 4);
    cr_assert(memcmp(found, "/d", 2) == 0);
    memset(target, '/', VMFS_PATH_MAX);
    memcpy(target + VMFS_PATH_MAX - 8, "dir/file", 8);
    expect_ok(vmfs_symlink(fs, target, "/long"));
    expect_code(vmfs_readlink(fs, "/long", found, sizeof(found)), VMFS_PATH_MAX);
    cr_assert(memcmp(found, target, VMFS_PATH_MAX) == 0);
    expect_ok(vmfs_stat(fs, "/long", 0, &stat));
    cr_assert(stat.size == 77);
}

Test(basic, creating_through_a_dangling_link)
{
    expect_ok(vmfs_symlink(fs, "target", "/link"));
    struct vmfs_file *file;
    int exclusive = VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_RDWR;
    expect_code(vmfs_file_open(fs, "/link", exclusive, 0644, &file), -EEXIST);
    file = fixture_file(&fixture, "/link", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_code(vmfs_file_write(file, "abc", 3), 3);
    expect_ok(vmfs_file_close(file));
    expect_content("/target", "abc", 3);
}

Test(basic, rename_replaces)
{
    expect_ok(region_put_file(fs, "/a", 5, 1));
    expect_ok(region_put_file(fs, "/b", 6, 2));
    uint64_t ino = fixture_stat(&fixture, "/a").ino;
    expect_ok(vmfs_rename(fs, "/a", "/b", 0));
    struct vmfs_stat stat;
    expect_code(vmfs_stat(fs, "/a", 0, &stat), -ENOENT);
    cr_assert(fixture_stat(&fixture, "/b").ino == ino);
    expect_ok(vmfs_mkdir(fs, "/d", 0755));
    expect_ok(vmfs_mkdir(fs, "/e", 0755));
    expect_ok(vmfs_mkdir(fs, "/d/below", 0755));
    expect_ok(vmfs_rename(fs, "/d", "/e", 0));
    fixture_stat(&fixture, "/e/below");
    cr_assert(fixture_stat(&fixture, "/").nlink == 3);
    expect_ok(vmfs_mkdir(fs, "/f", 0755));
    expect_ok(vmfs_rename(fs, "/e/below", "/f/below", 0));
    cr_assert(fixture_stat(&fixture, "/f/below/..").ino == fixture_stat(&fixture, "/f").ino);
}

Test(basic, names_of_every_length)
{
    char path[VMFS_NAME_MAX + 2];
    for (size_t length = 1; length <= VMFS_NAME_MAX; length++) {
        path[0] = '/';
        memset(path + 1, 'a' + (int)(length % 26), length);
        path[length + 1] = '\0';
        expect_ok(vmfs_mknod(fs, path, 0644, length));
    }
    reopen();
    cr_assert(fixture_stat(&fixture, "/").size == VMFS_NAME_MAX);
    for (size_t length = VMFS_NAME_MAX; length >= 1; length--) {
        memset(path + 1, 'a' + (int)(length % 26), length);
        path[length + 1] = '\0';
        expect_ok(vmfs_unlink(fs, path));
    }
}

Test(basic, inode_ids_are_never_used_again)
{
    uint64_t last = 0;
    for (unsigned i = 0; i < 2000; i++) {
        expect_ok(vmfs_mknod(fs, "/file", 0644, 0));
        uint64_t ino = fixture_stat(&fixture, "/file").ino;
        cr_assert(ino != last);
        last = ino;
        expect_ok(vmfs_unlink(fs, "/file"));
    }
}

/* --------------------------------------------------------------------------------- attributes ---
 */

Test(basic, attributes_are_set)
{
    struct vmfs_attr attr = {
        .mask = 0x3f, .mode = 0741, .uid = 1, .gid = 2, .size = 3, .atime_ns = -5, .mtime_ns = 6};
    expect_ok(vmfs_mknod(fs, "/file", 0644, 0));
    expect_ok(vmfs_setattr(fs, "/file", 0, &attr));
    struct vmfs_stat stat = fixture_stat(&fixture, "/file");
    cr_assert(stat.mode == (VMFS_S_IFREG | 0741) && stat.uid == 1 && stat.gid == 2);
    cr_assert(stat.size == 3 && stat.atime_ns == -5 && stat.mtime_ns == 6);
    expect_ok(vmfs_chown(fs, "/file", UINT32_MAX, 9));
    stat = fixture_stat(&fixture, "/file");
    cr_assert(stat.uid == 1 && stat.gid == 9);
}

Test(basic, a_new_owner_clears_set_id_bits)
{
    expect_ok(vmfs_mknod(fs, "/file", 0644, 0));
    expect_ok(vmfs_chmod(fs, "/file", 06755));
    cr_assert((fixture_stat(&fixture, "/file").mode & 07777) == 06755);
    expect_ok(vmfs_chown(fs, "/file", 77, 88));
    cr_assert((fixture_stat(&fixture, "/file").mode & 07777) == 0755);
    struct vmfs_attr attr = {.mask = VMFS_ATTR_UID | VMFS_ATTR_MODE, .mode = 06755, .uid = 99};
    expect_ok(vmfs_setattr(fs, "/file", 0, &attr));
    cr_assert((fixture_stat(&fixture, "/file").mode & 07777) == 06755);
}

Test(basic, times_move)
{
    int64_t start = now_ns();
    expect_ok(region_put_file(fs, "/file", 10, 1));
    struct vmfs_stat stat = fixture_stat(&fixture, "/file");
    int64_t end = now_ns();
    const int64_t slack = 20000000;
    cr_assert(stat.btime_ns >= start - slack && stat.btime_ns <= end + slack);
    cr_assert(stat.mtime_ns >= start - slack && stat.mtime_ns <= end + slack);
    expect_ok(vmfs_utimens(fs, "/file", 1, 2));
    struct vmfs_stat later = fixture_stat(&fixture, "/file");
    cr_assert(later.ctime_ns >= stat.ctime_ns && later.btime_ns == stat.btime_ns);
    cr_assert(later.atime_ns == 1 && later.mtime_ns == 2);
    expect_ok(vmfs_utimens(fs, "/file", VMFS_TIME_NOW, VMFS_TIME_NOW));
    later = fixture_stat(&fixture, "/file");
    cr_assert(later.atime_ns >= start - slack && later.mtime_ns >= start - slack);
    expect_ok(vmfs_utimens(fs, "/", 1, 2));
    expect_ok(vmfs_unlink(fs, "/file"));
    cr_assert(fixture_stat(&fixture, "/").mtime_ns >= start - slack, "unlink left mtime");
}

Test(basic, blocks_count_what_is_stored)
{
    expect_ok(region_put_file(fs, "/file", 100 * PAGE, 1));
    uint64_t blocks = fixture_stat(&fixture, "/file").blocks;
    cr_assert(blocks >= 800 && blocks <= 832, "%llu blocks", (unsigned long long)blocks);
    expect_ok(vmfs_truncate(fs, "/file", 0));
    cr_assert(fixture_stat(&fixture, "/file").blocks <= 8);
    expect_ok(vmfs_truncate(fs, "/file", (uint64_t)1 << 40));
    cr_assert(fixture_stat(&fixture, "/file").blocks <= 8);
}

/* -------------------------------------------------------------------------------------- files ---
 */

Test(basic, the_file_position)
{
    char found[8];
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_code(vmfs_file_write(file, "hello ", 6), 6);
    expect_code(vmfs_file_write(file, "world", 5), 5);
    expect_code(vmfs_file_seek(file, 0, VMFS_SEEK_CUR), 11);
    expect_code(vmfs_file_seek(file, -5, VMFS_SEEK_END), 6);
    expect_code(vmfs_file_read(file, found, sizeof(found)), 5);
    cr_assert(memcmp(found, "world", 5) == 0);
    expect_code(vmfs_file_read(file, found, sizeof(found)), 0);
    expect_code(vmfs_file_seek(file, 100, VMFS_SEEK_SET), 100);
    expect_code(vmfs_file_read(file, found, sizeof(found)), 0);
    expect_code(vmfs_file_write(file, "x", 1), 1);
    cr_assert(fixture_stat(&fixture, "/file").size == 101);
    expect_ok(vmfs_file_close(file));
}

Test(basic, sparse_files)
{
    const uint64_t far = (uint64_t)1 << 45;
    static uint8_t found[3 * PAGE];
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_code(vmfs_file_pwrite(file, "end", 3, far), 3);
    expect_code(vmfs_file_pwrite(file, "middle", 6, 10 * PAGE + 7), 6);
    memset(found, 0xff, sizeof(found));
    expect_code(vmfs_file_pread(file, found, sizeof(found), 9 * PAGE), sizeof(found));
    for (size_t i = 0; i < sizeof(found); i++) {
        bool is_inside = i >= PAGE + 7 && i < PAGE + 13;
        cr_assert(is_inside || found[i] == 0, "byte %zu of a hole is 0x%02x", i, found[i]);
    }
    cr_assert(memcmp(found + PAGE + 7, "middle", 6) == 0);
    expect_code(vmfs_file_seek(file, 0, VMFS_SEEK_DATA), 10 * PAGE);
    expect_code(vmfs_file_seek(file, 10 * PAGE + 1, VMFS_SEEK_DATA), 10 * PAGE + 1);
    expect_code(vmfs_file_seek(file, 10 * PAGE, VMFS_SEEK_HOLE), 11 * PAGE);
    expect_code(vmfs_file_seek(file, 0, VMFS_SEEK_HOLE), 0);
    expect_code(vmfs_file_seek(file, 11 * PAGE, VMFS_SEEK_DATA), (int64_t)far);
    expect_code(vmfs_file_seek(file, (int64_t)far, VMFS_SEEK_HOLE), (int64_t)far + 3);
    expect_ok(vmfs_file_close(file));
    cr_assert(fixture_stat(&fixture, "/file").blocks <= 64);
}

Test(basic, shrinking_and_growing_shows_zeros)
{
    static uint8_t found[2 * PAGE];
    static const uint8_t zeros[2 * PAGE];
    expect_ok(region_put_file(fs, "/file", 2 * PAGE, 1));
    expect_ok(vmfs_truncate(fs, "/file", 100));
    expect_ok(vmfs_truncate(fs, "/file", 2 * PAGE));
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    expect_code(vmfs_file_pread(file, found, sizeof(found), 0), sizeof(found));
    cr_assert(memcmp(found + 100, zeros, sizeof(found) - 100) == 0, "cut bytes came back");
    expect_ok(vmfs_file_truncate(file, 50));
    expect_code(vmfs_file_pwrite(file, "x", 1, PAGE - 1), 1);
    expect_code(vmfs_file_pread(file, found, sizeof(found), 0), PAGE);
    cr_assert(memcmp(found + 50, zeros, PAGE - 51) == 0, "cut bytes came back by a write");
    expect_ok(vmfs_file_close(file));
}

Test(basic, an_unlinked_file_lives_while_it_is_open)
{
    char found[8];
    expect_ok(region_put_file(fs, "/file", 100000, 1));
    struct vmfs_statfs before;
    struct vmfs_statfs after;
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    expect_ok(vmfs_statfs(fs, &before));
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    expect_ok(vmfs_unlink(fs, "/file"));
    expect_ok(vmfs_info(fs, &info));
    cr_assert(info.orphans == 1, "%llu orphans", (unsigned long long)info.orphans);
    expect_code(vmfs_file_pwrite(file, "still", 5, 200000), 5);
    expect_code(vmfs_file_pread(file, found, 5, 200000), 5);
    cr_assert(memcmp(found, "still", 5) == 0);
    struct vmfs_stat stat;
    expect_ok(vmfs_file_stat(file, &stat));
    cr_assert(stat.nlink == 0 && stat.size == 200005);
    expect_ok(region_put_file(fs, "/file", 3, 1));
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_info(fs, &info));
    cr_assert(info.orphans == 0);
    expect_ok(vmfs_statfs(fs, &after));
    cr_assert(after.blocks_free >= before.blocks_free + 23, "%llu blocks free, before %llu",
              (unsigned long long)after.blocks_free, (unsigned long long)before.blocks_free);
}

Test(basic, two_handles_append)
{
    char wanted[400];
    int flags = VMFS_O_CREAT | VMFS_O_WRONLY | VMFS_O_APPEND;
    struct vmfs_file *one = fixture_file(&fixture, "/log", flags);
    struct vmfs_file *two = fixture_file(&fixture, "/log", flags);
    for (unsigned i = 0; i < 100; i++) {
        expect_code(vmfs_file_write(one, "a1", 2), 2);
        expect_code(vmfs_file_pwrite(two, "b2", 2, 0), 2);
        memcpy(wanted + 4 * i, "a1b2", 4);
    }
    expect_ok(vmfs_file_close(one));
    expect_ok(vmfs_file_close(two));
    expect_content("/log", wanted, sizeof(wanted));
}

Test(basic, truncating_open)
{
    expect_ok(region_put_file(fs, "/file", 100000, 1));
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR | VMFS_O_TRUNC);
    expect_ok(vmfs_file_close(file));
    cr_assert(fixture_stat(&fixture, "/file").size == 0);
}

Test(basic, large_file_round_trip)
{
    size_t bytes = 20 << 20;
    uint8_t *wanted = malloc(bytes);
    seed_fill(wanted, bytes, 42);
    expect_ok(region_put_file(fs, "/file", bytes, 42));
    expect_content("/file", wanted, bytes);
    reopen();
    expect_content("/file", wanted, bytes);
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    struct seed seed;
    seed_init(&seed, 7);
    for (unsigned i = 0; i < 2000; i++) {
        size_t length = 1 + (size_t)seed_below(&seed, 9000);
        size_t offset = (size_t)seed_below(&seed, bytes - length);
        seed_fill(wanted + offset, length, i);
        expect_code(vmfs_file_pwrite(file, wanted + offset, length, offset), (int64_t)length);
    }
    expect_ok(vmfs_file_sync(file));
    expect_ok(vmfs_file_close(file));
    expect_content("/file", wanted, bytes);
    free(wanted);
}

Test(basic, many_extents)
{
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_CREAT | VMFS_O_RDWR);
    const unsigned pieces = 5000;
    for (unsigned i = 0; i < pieces; i++) {
        uint64_t at = (uint64_t)(i * 1867 % pieces) * 2 * PAGE;
        expect_code(vmfs_file_pwrite(file, &i, sizeof(i), at), sizeof(i));
    }
    for (unsigned i = 0; i < pieces; i++) {
        unsigned found;
        uint64_t at = (uint64_t)(i * 1867 % pieces) * 2 * PAGE;
        expect_code(vmfs_file_pread(file, &found, sizeof(found), at), sizeof(found));
        cr_assert(found == i, "piece %u holds %u", i, found);
    }
    expect_ok(region_check(fs));
    expect_ok(vmfs_file_truncate(file, 0));
    expect_ok(vmfs_file_close(file));
    cr_assert(fixture_stat(&fixture, "/file").blocks <= 8);
}

/* ------------------------------------------------------------------------- extended attributes ---
 */

Test(basic, extended_attributes)
{
    static uint8_t large[VMFS_XATTR_MAX];
    static uint8_t found[VMFS_XATTR_MAX];
    char names[512];
    seed_fill(large, sizeof(large), 3);
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
    expect_ok(vmfs_xattr_set(fs, "/dir", 0, "user.large", large, sizeof(large)));
    expect_ok(vmfs_xattr_set(fs, "/dir", 0, "user.empty", "", 0));
    expect_ok(vmfs_xattr_set(fs, "/dir", 0, "user.small", "abc", 3));
    reopen();
    expect_code(vmfs_xattr_get(fs, "/dir", 0, "user.large", found, sizeof(found)), sizeof(large));
    cr_assert(memcmp(found, large, sizeof(large)) == 0);
    expect_code(vmfs_xattr_get(fs, "/dir", 0, "user.empty", found, sizeof(found)), 0);
    expect_code(vmfs_xattr_list(fs, "/dir", 0, names, sizeof(names)), 33);
    expect_ok(vmfs_xattr_set(fs, "/dir", VMFS_XATTR_REPLACE, "user.large", "tiny", 4));
    expect_code(vmfs_xattr_get(fs, "/dir", 0, "user.large", found, sizeof(found)), 4);
    expect_ok(vmfs_xattr_remove(fs, "/dir", 0, "user.large"));
    expect_ok(vmfs_xattr_remove(fs, "/dir", 0, "user.empty"));
    expect_ok(vmfs_xattr_remove(fs, "/dir", 0, "user.small"));
    expect_code(vmfs_xattr_list(fs, "/dir", 0, names, sizeof(names)), 0);
}

Test(basic, many_extended_attributes)
{
    char name[64];
    char found[64];
    expect_ok(vmfs_mknod(fs, "/file", 0644, 0));
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "user.attribute-%u", i);
        expect_ok(vmfs_xattr_set(fs, "/file", 0, name, name, strlen(name)));
    }
    reopen();
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "user.attribute-%u", i);
        int64_t length = (int64_t)strlen(name);
        expect_code(vmfs_xattr_get(fs, "/file", 0, name, found, sizeof(found)), length);
        cr_assert(memcmp(found, name, (size_t)length) == 0);
    }
}
