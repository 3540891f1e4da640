/* test_errors.c -- every errno that vmfs.h names, call by call */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"

static struct fixture fixture;
static struct vmfs *fs;

/* /dir/sub, /empty, /file (100 bytes), /link -> file, /dangling -> nowhere, /loop -> loop, /fifo */
static void set_up(void)
{
    fixture_open(&fixture, "errors", 16 * REGION_MIB);
    fs = fixture.fs;
    expect_ok(vmfs_mkdir(fs, "/dir", 0755));
    expect_ok(vmfs_mkdir(fs, "/dir/sub", 0755));
    expect_ok(vmfs_mkdir(fs, "/empty", 0755));
    expect_ok(region_put_file(fs, "/file", 100, 1));
    expect_ok(vmfs_symlink(fs, "file", "/link"));
    expect_ok(vmfs_symlink(fs, "nowhere", "/dangling"));
    expect_ok(vmfs_symlink(fs, "loop", "/loop"));
    expect_ok(vmfs_mknod(fs, "/fifo", VMFS_S_IFIFO | 0644, 0));
}

static void tear_down(void)
{
    fixture_close(&fixture);
}

TestSuite(errors, .init = set_up, .fini = tear_down);

/* Every call on a path, with arguments that are otherwise good. */
enum { PATH_CALLS = 20 };

static int64_t call_path(unsigned call, const char *path)
{
    struct vmfs_stat stat;
    struct vmfs_attr attr = {.mask = VMFS_ATTR_MODE, .mode = 0600};
    struct vmfs_file *file;
    struct vmfs_dir *dir;
    char buffer[16];
    switch (call) {
    case 0:
        return vmfs_stat(fs, path, 0, &stat);
    case 1:
        return vmfs_setattr(fs, path, 0, &attr);
    case 2:
        return vmfs_chmod(fs, path, 0600);
    case 3:
        return vmfs_chown(fs, path, 1, 1);
    case 4:
        return vmfs_utimens(fs, path, 1, 1);
    case 5:
        return vmfs_truncate(fs, path, 1);
    case 6:
        return vmfs_readlink(fs, path, buffer, sizeof(buffer));
    case 7:
        return vmfs_link(fs, path, "/linked");
    case 8:
        return vmfs_unlink(fs, path);
    case 9:
        return vmfs_rmdir(fs, path);
    case 10:
        return vmfs_rename(fs, path, "/renamed", 0);
    case 11:
        return vmfs_file_open(fs, path, VMFS_O_RDONLY, 0, &file);
    case 12:
        return vmfs_dir_open(fs, path, &dir);
    case 13:
        return vmfs_xattr_get(fs, path, 0, "user.a", buffer, sizeof(buffer));
    case 14:
        return vmfs_xattr_list(fs, path, 0, buffer, sizeof(buffer));
    case 15:
        return vmfs_xattr_remove(fs, path, 0, "user.a");
    case 16:
        return vmfs_xattr_set(fs, path, 0, "user.a", "v", 1);
    case 17:
        return vmfs_rename(fs, path, "/file", VMFS_RENAME_EXCHANGE);
    case 18:
        return vmfs_rename(fs, "/file", path, VMFS_RENAME_EXCHANGE);
    default:
        return vmfs_stat(fs, path, VMFS_NOFOLLOW, &stat);
    }
}

/* The calls that make a name. */
enum { NEW_CALLS = 6 };

static int64_t call_new(unsigned call, const char *path)
{
    struct vmfs_file *file;
    switch (call) {
    case 0:
        return vmfs_mkdir(fs, path, 0755);
    case 1:
        return vmfs_mknod(fs, path, VMFS_S_IFREG | 0644, 0);
    case 2:
        return vmfs_symlink(fs, "target", path);
    case 3:
        return vmfs_link(fs, "/file", path);
    case 4:
        return vmfs_rename(fs, "/file", path, VMFS_RENAME_NOREPLACE);
    default:
        return vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_RDWR, 0644, &file);
    }
}

static void expect_all(const char *path, int64_t wanted)
{
    for (unsigned i = 0; i < PATH_CALLS; i++) {
        int64_t got = call_path(i, path);
        cr_assert(got == wanted, "path call %u on %.40s returned %lld instead of %lld", i, path,
                  (long long)got, (long long)wanted);
    }
}

static void expect_all_new(const char *path, int64_t wanted)
{
    for (unsigned i = 0; i < NEW_CALLS; i++) {
        int64_t got = call_new(i, path);
        cr_assert(got == wanted, "creating call %u on %.40s returned %lld instead of %lld", i, path,
                  (long long)got, (long long)wanted);
    }
}

Test(errors, enoent)
{
    expect_all("/missing", -ENOENT);
    expect_all("/missing/below", -ENOENT);
    expect_all("", -ENOENT);
    expect_all_new("/missing/new", -ENOENT);
    expect_all_new("", -ENOENT);
    expect_code(vmfs_symlink(fs, "", "/new"), -ENOENT);
}

Test(errors, enotdir)
{
    struct vmfs_dir *dir;
    expect_all("/file/below", -ENOTDIR);
    expect_all("/link/below", -ENOTDIR);
    expect_all("/fifo/below", -ENOTDIR);
    expect_all_new("/file/new", -ENOTDIR);
    expect_code(vmfs_dir_open(fs, "/file", &dir), -ENOTDIR);
    expect_code(vmfs_rmdir(fs, "/file"), -ENOTDIR);
    expect_code(vmfs_rmdir(fs, "/link"), -ENOTDIR);
    expect_code(vmfs_rename(fs, "/empty", "/file", 0), -ENOTDIR);
    expect_code(vmfs_rename(fs, "/empty", "/link", 0), -ENOTDIR);
}

Test(errors, eloop)
{
    struct vmfs_stat stat;
    struct vmfs_file *file;
    expect_all("/loop/below", -ELOOP);
    expect_all_new("/loop/new", -ELOOP);
    expect_code(vmfs_stat(fs, "/loop", 0, &stat), -ELOOP);
    expect_ok(vmfs_stat(fs, "/loop", VMFS_NOFOLLOW, &stat));
    expect_code(vmfs_file_open(fs, "/link", VMFS_O_NOFOLLOW, 0, &file), -ELOOP);
    expect_code(vmfs_file_open(fs, "/loop", VMFS_O_RDONLY, 0, &file), -ELOOP);
}

Test(errors, eloop_after_forty_links)
{
    char name[16];
    char target[16];
    struct vmfs_stat stat;
    expect_ok(vmfs_symlink(fs, "file", "/c1"));
    for (int i = 2; i <= 41; i++) {
        snprintf(name, sizeof(name), "/c%d", i);
        snprintf(target, sizeof(target), "c%d", i - 1);
        expect_ok(vmfs_symlink(fs, target, name));
    }
    expect_ok(vmfs_stat(fs, "/c40", 0, &stat));
    cr_assert(stat.size == 100);
    expect_code(vmfs_stat(fs, "/c41", 0, &stat), -ELOOP);
}

Test(errors, enametoolong)
{
    char path[VMFS_PATH_MAX + 2];
    path[0] = '/';
    memset(path + 1, 'n', 256);
    path[257] = '\0';
    expect_all(path, -ENAMETOOLONG);
    expect_all_new(path, -ENAMETOOLONG);
    for (size_t i = 0; i < sizeof(path) - 1; i++)
        path[i] = i % 2 == 0 ? '/' : '.';
    path[sizeof(path) - 1] = '\0';
    cr_assert(strlen(path) == 4096);
    expect_all(path, -ENAMETOOLONG);
    expect_all_new(path, -ENAMETOOLONG);
}

Test(errors, longest_name_and_path)
{
    char path[VMFS_PATH_MAX + 1];
    struct vmfs_stat stat;
    path[0] = '/';
    memset(path + 1, 'n', 255);
    path[256] = '\0';
    expect_ok(vmfs_mknod(fs, path, 0644, 0));
    expect_ok(vmfs_stat(fs, path, 0, &stat));
    memset(path, '/', sizeof(path));
    memcpy(path + sizeof(path) - 5, "file", 5);
    cr_assert(strlen(path) == VMFS_PATH_MAX);
    expect_ok(vmfs_stat(fs, path, 0, &stat));
}

Test(errors, symlink_target_length)
{
    static char target[VMFS_PATH_MAX + 2];
    memset(target, 't', sizeof(target) - 1);
    expect_code(vmfs_symlink(fs, target, "/new"), -ENAMETOOLONG);
    target[VMFS_PATH_MAX] = '\0';
    expect_ok(vmfs_symlink(fs, target, "/new"));
}

Test(errors, eexist)
{
    static const char *const taken[] = {"/file", "/dir", "/link", "/dangling", "/fifo", "/"};
    for (unsigned i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        for (unsigned call = 0; call < NEW_CALLS; call++) {
            int64_t got = call_new(call, taken[i]);
            bool is_root = strcmp(taken[i], "/") == 0;
            cr_assert(got == -EEXIST || (is_root && (got == -EBUSY || got == -EISDIR)),
                      "creating call %u on %s returned %lld", call, taken[i], (long long)got);
        }
    }
}

Test(errors, eisdir)
{
    struct vmfs_file *file;
    struct vmfs_attr attr = {.mask = VMFS_ATTR_SIZE, .size = 1};
    static const int flags[] = {VMFS_O_RDONLY, VMFS_O_WRONLY, VMFS_O_RDWR,
                                VMFS_O_CREAT | VMFS_O_RDWR, VMFS_O_TRUNC | VMFS_O_RDWR};
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        expect_code(vmfs_file_open(fs, "/dir", flags[i], 0644, &file), -EISDIR);
    expect_code(vmfs_truncate(fs, "/dir", 0), -EISDIR);
    expect_code(vmfs_setattr(fs, "/dir", 0, &attr), -EISDIR);
    expect_code(vmfs_rename(fs, "/file", "/empty", 0), -EISDIR);
    expect_code(vmfs_rename(fs, "/link", "/dir", 0), -EISDIR);
}

Test(errors, enotempty)
{
    expect_code(vmfs_rmdir(fs, "/dir"), -ENOTEMPTY);
    expect_code(vmfs_rename(fs, "/empty", "/dir", 0), -ENOTEMPTY);
    expect_code(vmfs_rename(fs, "/dir/sub", "/dir", 0), -ENOTEMPTY);
    expect_ok(vmfs_rename(fs, "/dir", "/empty", 0));
}

Test(errors, eperm)
{
    expect_code(vmfs_link(fs, "/dir", "/new"), -EPERM);
    expect_code(vmfs_unlink(fs, "/dir"), -EPERM);
    expect_code(vmfs_xattr_set(fs, "/link", VMFS_NOFOLLOW, "user.a", "v", 1), -EPERM);
    expect_code(vmfs_xattr_set(fs, "/fifo", 0, "user.a", "v", 1), -EPERM);
    expect_code(vmfs_xattr_get(fs, "/fifo", 0, "user.a", NULL, 0), -EPERM);
    expect_code(vmfs_xattr_remove(fs, "/fifo", 0, "user.a"), -EPERM);
}

Test(errors, ebusy)
{
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDONLY);
    struct vmfs_dir *dir;
    expect_code(vmfs_rmdir(fs, "/"), -EBUSY);
    expect_code(vmfs_rename(fs, "/", "/new", 0), -EBUSY);
    expect_code(vmfs_rename(fs, "/empty", "/", 0), -EBUSY);
    expect_code(vmfs_rename(fs, "/empty", "/", VMFS_RENAME_EXCHANGE), -EBUSY);
    expect_code(vmfs_close(fs), -EBUSY);
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_dir_open(fs, "/dir", &dir));
    expect_code(vmfs_close(fs), -EBUSY);
    expect_ok(vmfs_dir_close(dir));
}

Test(errors, enxio)
{
    struct vmfs_file *file;
    expect_code(vmfs_file_open(fs, "/fifo", VMFS_O_RDONLY, 0, &file), -ENXIO);
    expect_ok(vmfs_mknod(fs, "/dev", VMFS_S_IFCHR | 0600, 0x103));
    expect_code(vmfs_file_open(fs, "/dev", VMFS_O_RDWR, 0, &file), -ENXIO);
    expect_ok(vmfs_mknod(fs, "/sock", VMFS_S_IFSOCK | 0600, 0));
    expect_code(vmfs_file_open(fs, "/sock", VMFS_O_RDWR, 0, &file), -ENXIO);
}

Test(errors, enxio_of_seek)
{
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDONLY);
    expect_code(vmfs_file_seek(file, 100, VMFS_SEEK_DATA), -ENXIO);
    expect_code(vmfs_file_seek(file, 101, VMFS_SEEK_HOLE), -ENXIO);
    expect_code(vmfs_file_seek(file, -1, VMFS_SEEK_SET), -EINVAL);
    expect_code(vmfs_file_seek(file, -101, VMFS_SEEK_END), -EINVAL);
    expect_code(vmfs_file_seek(file, -1, VMFS_SEEK_CUR), -EINVAL);
    expect_code(vmfs_file_seek(file, 0, 9), -EINVAL);
    expect_ok(vmfs_file_close(file));
}

Test(errors, ebadf)
{
    char byte = 'x';
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDONLY);
    expect_code(vmfs_file_pwrite(file, &byte, 1, 0), -EBADF);
    expect_code(vmfs_file_write(file, &byte, 1), -EBADF);
    expect_code(vmfs_file_truncate(file, 0), -EBADF);
    expect_ok(vmfs_file_close(file));
    file = fixture_file(&fixture, "/file", VMFS_O_WRONLY);
    expect_code(vmfs_file_pread(file, &byte, 1, 0), -EBADF);
    expect_code(vmfs_file_read(file, &byte, 1), -EBADF);
    expect_ok(vmfs_file_close(file));
}

Test(errors, efbig)
{
    char byte = 'x';
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    expect_code(vmfs_truncate(fs, "/file", VMFS_FILE_MAX + 1), -EFBIG);
    expect_code(vmfs_file_truncate(file, VMFS_FILE_MAX + 1), -EFBIG);
    expect_code(vmfs_file_pwrite(file, &byte, 1, VMFS_FILE_MAX), -EFBIG);
    expect_code(vmfs_file_pwrite(file, &byte, 1, UINT64_MAX), -EFBIG);
    expect_ok(vmfs_truncate(fs, "/file", VMFS_FILE_MAX));
    expect_code(vmfs_file_pwrite(file, &byte, 1, VMFS_FILE_MAX - 1), 1);
    expect_ok(vmfs_file_truncate(file, 0));
    expect_ok(vmfs_file_close(file));
}

Test(errors, emlink)
{
    char name[32];
    expect_ok(vmfs_mkdir(fs, "/many", 0755));
    for (unsigned i = 1; i < VMFS_LINK_MAX; i++) {
        snprintf(name, sizeof(name), "/many/%u", i);
        expect_ok(vmfs_link(fs, "/file", name));
    }
    cr_assert(fixture_stat(&fixture, "/file").nlink == VMFS_LINK_MAX);
    expect_code(vmfs_link(fs, "/file", "/one-more"), -EMLINK);
    expect_ok(vmfs_unlink(fs, "/many/1"));
    expect_ok(vmfs_link(fs, "/file", "/one-more"));
}

Test(errors, einval_of_rename)
{
    uint32_t both = VMFS_RENAME_NOREPLACE | VMFS_RENAME_EXCHANGE;
    expect_code(vmfs_rename(fs, "/dir", "/dir/sub/new", 0), -EINVAL);
    expect_code(vmfs_rename(fs, "/dir", "/dir/sub", 0), -EINVAL);
    expect_code(vmfs_rename(fs, "/dir", "/dir/sub", VMFS_RENAME_EXCHANGE), -EINVAL);
    expect_code(vmfs_rename(fs, "/dir/sub", "/dir", VMFS_RENAME_EXCHANGE), -EINVAL);
    expect_code(vmfs_rename(fs, "/file", "/new", both), -EINVAL);
    expect_code(vmfs_rename(fs, "/file", "/new", 0x80), -EINVAL);
    expect_code(vmfs_rename(fs, "/file", "/new", VMFS_RENAME_EXCHANGE), -ENOENT);
    expect_code(vmfs_rename(fs, "/file", "/link", VMFS_RENAME_NOREPLACE), -EEXIST);
}

Test(errors, einval_of_names)
{
    char buffer[8];
    struct vmfs_attr size = {.mask = VMFS_ATTR_SIZE};
    expect_code(vmfs_readlink(fs, "/file", buffer, sizeof(buffer)), -EINVAL);
    expect_code(vmfs_readlink(fs, "/dir", buffer, sizeof(buffer)), -EINVAL);
    expect_code(vmfs_rmdir(fs, "/empty/."), -EINVAL);
    expect_code(vmfs_mknod(fs, "/new", VMFS_S_IFDIR | 0755, 0), -EINVAL);
    expect_code(vmfs_mknod(fs, "/new", VMFS_S_IFLNK | 0755, 0), -EINVAL);
    expect_code(vmfs_mknod(fs, "/new", 0170000, 0), -EINVAL);
    expect_code(vmfs_truncate(fs, "/fifo", 0), -EINVAL);
    expect_code(vmfs_setattr(fs, "/link", VMFS_NOFOLLOW, &size), -EINVAL);
}

Test(errors, einval_of_flags)
{
    struct vmfs_stat stat;
    struct vmfs_file *file;
    struct vmfs_attr attr = {.mask = 0x8000};
    struct vmfs_counters counters;
    expect_code(vmfs_stat(fs, "/file", 0x4000, &stat), -EINVAL);
    expect_code(vmfs_setattr(fs, "/file", 0, &attr), -EINVAL);
    attr.mask = VMFS_ATTR_MODE;
    expect_code(vmfs_setattr(fs, "/file", 0x4000, &attr), -EINVAL);
    expect_code(vmfs_file_open(fs, "/file", 0x40000000, 0, &file), -EINVAL);
    expect_code(vmfs_file_open(fs, "/file", VMFS_O_ACCMODE, 0, &file), -EINVAL);
    expect_code(vmfs_xattr_set(fs, "/file", 0x4000, "user.a", "v", 1), -EINVAL);
    expect_code(vmfs_counters(fs, (enum vmfs_counters_scope)9, &counters), -EINVAL);
}

Test(errors, einval_of_null_pointers)
{
    struct vmfs_stat stat;
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    struct vmfs *other;
    expect_code(vmfs_stat(fs, NULL, 0, &stat), -EINVAL);
    expect_code(vmfs_stat(fs, "/file", 0, NULL), -EINVAL);
    expect_code(vmfs_stat(NULL, "/file", 0, &stat), -EINVAL);
    expect_code(vmfs_mkdir(fs, NULL, 0755), -EINVAL);
    expect_code(vmfs_symlink(fs, NULL, "/new"), -EINVAL);
    expect_code(vmfs_link(fs, "/file", NULL), -EINVAL);
    expect_code(vmfs_rename(fs, NULL, "/new", 0), -EINVAL);
    expect_code(vmfs_setattr(fs, "/file", 0, NULL), -EINVAL);
    expect_code(vmfs_file_open(fs, "/file", 0, 0, NULL), -EINVAL);
    expect_code(vmfs_file_pread(file, NULL, 1, 0), -EINVAL);
    expect_code(vmfs_file_pwrite(file, NULL, 1, 0), -EINVAL);
    expect_code(vmfs_dir_open(fs, "/", NULL), -EINVAL);
    expect_code(vmfs_xattr_set(fs, "/file", 0, NULL, "v", 1), -EINVAL);
    expect_code(vmfs_info(fs, NULL), -EINVAL);
    expect_code(vmfs_statfs(fs, NULL), -EINVAL);
    expect_code(vmfs_open(NULL, NULL, &other), -EINVAL);
    expect_ok(vmfs_file_close(file));
}

Test(errors, xattr_names)
{
    char name[300] = "user.";
    memset(name + 5, 'n', 251);
    expect_code(vmfs_xattr_set(fs, "/file", 0, name, "v", 1), -ERANGE);
    name[255] = '\0';
    expect_ok(vmfs_xattr_set(fs, "/file", 0, name, "v", 1));
    expect_code(vmfs_xattr_set(fs, "/file", 0, "user.", "v", 1), -EINVAL);
    expect_code(vmfs_xattr_get(fs, "/file", 0, "system.a", NULL, 0), -EOPNOTSUPP);
    expect_code(vmfs_xattr_remove(fs, "/file", 0, "plain"), -EOPNOTSUPP);
}

Test(errors, xattr_values)
{
    static uint8_t value[VMFS_XATTR_MAX + 1];
    char small[4];
    expect_code(vmfs_xattr_set(fs, "/file", 0, "user.a", value, VMFS_XATTR_MAX + 1), -E2BIG);
    expect_code(vmfs_xattr_get(fs, "/file", 0, "user.a", value, 1), -ENODATA);
    expect_code(vmfs_xattr_remove(fs, "/file", 0, "user.a"), -ENODATA);
    expect_code(vmfs_xattr_set(fs, "/file", VMFS_XATTR_REPLACE, "user.a", "v", 1), -ENODATA);
    expect_ok(vmfs_xattr_set(fs, "/file", VMFS_XATTR_CREATE, "user.a", "value", 5));
    expect_code(vmfs_xattr_set(fs, "/file", VMFS_XATTR_CREATE, "user.a", "v", 1), -EEXIST);
    expect_code(vmfs_xattr_get(fs, "/file", 0, "user.a", small, sizeof(small)), -ERANGE);
    expect_code(vmfs_xattr_list(fs, "/file", 0, small, sizeof(small)), -ERANGE);
    expect_code(vmfs_xattr_get(fs, "/file", 0, "user.a", NULL, 0), 5);
}

Test(errors, erofs)
{
    struct vmfs *writer = fs;
    expect_ok(vmfs_close(writer));
    expect_ok(region_open(fixture.path, VMFS_RDONLY, &fixture.log, &fs));
    struct vmfs_file *file;
    expect_code(vmfs_mkdir(fs, "/new", 0755), -EROFS);
    expect_code(vmfs_mknod(fs, "/new", 0644, 0), -EROFS);
    expect_code(vmfs_symlink(fs, "t", "/new"), -EROFS);
    expect_code(vmfs_link(fs, "/file", "/new"), -EROFS);
    expect_code(vmfs_unlink(fs, "/file"), -EROFS);
    expect_code(vmfs_rmdir(fs, "/empty"), -EROFS);
    expect_code(vmfs_rename(fs, "/file", "/new", 0), -EROFS);
    expect_code(vmfs_chmod(fs, "/file", 0600), -EROFS);
    expect_code(vmfs_truncate(fs, "/file", 0), -EROFS);
    expect_code(vmfs_xattr_set(fs, "/file", 0, "user.a", "v", 1), -EROFS);
    expect_code(vmfs_xattr_remove(fs, "/file", 0, "user.a"), -EROFS);
    expect_code(vmfs_file_open(fs, "/new", VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file), -EROFS);
    expect_code(vmfs_file_open(fs, "/file", VMFS_O_RDWR, 0, &file), -EROFS);
    expect_ok(vmfs_file_open(fs, "/file", VMFS_O_RDONLY, 0, &file));
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_close(fs));
    expect_ok(region_open(fixture.path, 0, &fixture.log, &fs));
    fixture.fs = fs;
}

Test(errors, failure_leaves_outputs_alone)
{
    struct vmfs_stat stat;
    struct vmfs_stat before;
    struct vmfs_file *file = (struct vmfs_file *)&stat;
    struct vmfs_dir *dir = (struct vmfs_dir *)&stat;
    memset(&stat, 0x5a, sizeof(stat));
    before = stat;
    expect_code(vmfs_stat(fs, "/missing", 0, &stat), -ENOENT);
    cr_assert(memcmp(&stat, &before, sizeof(stat)) == 0);
    expect_code(vmfs_file_open(fs, "/missing", 0, 0, &file), -ENOENT);
    expect_code(vmfs_dir_open(fs, "/missing", &dir), -ENOENT);
    cr_assert(file == (struct vmfs_file *)&stat && dir == (struct vmfs_dir *)&stat);
}

Test(errors, every_reason_has_a_text)
{
#define CHECK_REASON(name, err, number, text)                                                      \
    cr_assert(strcmp(vmfs_reason_str(VMFS_R_##name), text) == 0, "reason " #name);
    VMFS_REASONS(CHECK_REASON)
#undef CHECK_REASON
    cr_assert(strcmp(vmfs_reason_str(9999), "unknown reason") == 0);
    cr_assert(strcmp(vmfs_reason_str(-1), "unknown reason") == 0);
}

Test(errors, the_log_names_reason_and_place)
{
    expect_code(vmfs_mkdir(fs, "/dir", 0755), -EEXIST);
    cr_assert(fixture.log.reason == VMFS_R_EXISTS, "reason %d", fixture.log.reason);
    cr_assert(fixture.log.level == VMFS_LOG_DEBUG, "level %d", fixture.log.level);
    expect_code(vmfs_rename(fs, "/dir", "/dir/sub/x", 0), -EINVAL);
    cr_assert(fixture.log.reason == VMFS_R_RENAME_CYCLE, "reason %d", fixture.log.reason);
}
