/* test_errno_files.c -- what calls on files, extended attributes and regions can return beside the
 * common errors */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "errno_case.h"

TestSuite(errno_files, .init = errno_set_up, .fini = errno_tear_down);

static struct vmfs_iovec one = {(void *)(uintptr_t) "v", 1};
static struct vmfs_iovec into = {out.bytes, 8};

Test(errno_files, ebadf)
{
    struct vmfs_attr size = {.mask = VMFS_ATTR_SIZE};
    CASE(vmfs_file_pwrite, EBADF, vmfs_file_pwrite(file_r, "v", 1, 0));
    CASE(vmfs_file_write, EBADF, vmfs_file_write(file_r, "v", 1));
    CASE(vmfs_file_pwritev, EBADF, vmfs_file_pwritev(file_r, &one, 1, 0));
    CASE(vmfs_file_pwritev2, EBADF, vmfs_file_pwritev2(file_r, &one, 1, 0, 0));
    CASE(vmfs_file_writev, EBADF, vmfs_file_writev(file_r, &one, 1));
    struct vmfs_view view;
    struct vmfs_iovec piece;
    unsigned count = 1;
    CASE(vmfs_file_view, EBADF, vmfs_file_view(file_w, 1, 0, &piece, &count, &view));
    CASE(vmfs_file_truncate, EBADF, vmfs_file_truncate(file_r, 0));
    CASE(vmfs_file_setattr, EBADF, vmfs_file_setattr(file_r, &size));
    CASE(vmfs_file_allocate, EBADF, vmfs_file_allocate(file_r, 0, 0, 4096));
    CASE(vmfs_file_copy_range, EBADF, vmfs_file_copy_range(file_rw, 0, file_r, 0, 8));
    CASE(vmfs_file_copy_range, EBADF, vmfs_file_copy_range(file_w, 0, file_rw, 0, 8));
    CASE(vmfs_file_copy_range2, EBADF, vmfs_file_copy_range2(file_w, 0, file_rw, 0, 8, 0));
    CASE(vmfs_file_pread, EBADF, vmfs_file_pread(file_w, out.bytes, 8, 0));
    CASE(vmfs_file_read, EBADF, vmfs_file_read(file_w, out.bytes, 8));
    CASE(vmfs_file_preadv, EBADF, vmfs_file_preadv(file_w, &into, 1, 0));
    CASE(vmfs_file_readv, EBADF, vmfs_file_readv(file_w, &into, 1));
}

Test(errno_files, efbig)
{
    uint64_t beyond = VMFS_FILE_MAX;
    CASE(vmfs_file_truncate, EFBIG, vmfs_file_truncate(file_rw, beyond + 1));
    CASE(vmfs_file_pwrite, EFBIG, vmfs_file_pwrite(file_rw, "v", 1, beyond));
    CASE(vmfs_file_pwrite, EFBIG, vmfs_file_pwrite(file_rw, "v", 1, UINT64_MAX));
    CASE(vmfs_file_pwritev, EFBIG, vmfs_file_pwritev(file_rw, &one, 1, beyond));
    CASE(vmfs_file_pwritev2, EFBIG, vmfs_file_pwritev2(file_rw, &one, 1, beyond, 0));
    CASE(vmfs_file_allocate, EFBIG, vmfs_file_allocate(file_rw, 0, beyond, 1));
    CASE(vmfs_file_allocate, EFBIG, vmfs_file_allocate(file_rw, 0, 4096, UINT64_MAX));
    CASE(vmfs_file_allocate, EFBIG,
         vmfs_file_allocate(file_rw, VMFS_ALLOC_INSERT, 4096, beyond - 4096));
    CASE(vmfs_file_copy_range, EFBIG, vmfs_file_copy_range(file_r, 0, file_rw, beyond, 8));
    CASE(vmfs_file_copy_range2, EFBIG,
         vmfs_file_copy_range2(file_r, 0, file_rw, beyond, 8, VMFS_RW_KILL_PRIV));
    expect_code(vmfs_file_seek(file_rw, (int64_t)beyond, VMFS_SEEK_SET), (int64_t)beyond);
    CASE(vmfs_file_write, EFBIG, vmfs_file_write(file_rw, "v", 1));
    CASE(vmfs_file_writev, EFBIG, vmfs_file_writev(file_rw, &one, 1));
}

Test(errno_files, einval)
{
    int collapse = VMFS_ALLOC_COLLAPSE;
    int insert = VMFS_ALLOC_INSERT;
    CASE(vmfs_file_allocate, EINVAL, vmfs_file_allocate(file_rw, 0, 0, 0));
    CASE(vmfs_file_allocate, EINVAL, vmfs_file_allocate(file_rw, VMFS_ALLOC_PUNCH, 0, 4096));
    CASE(vmfs_file_allocate, EINVAL, vmfs_file_allocate(file_rw, 0x40, 0, 4096));
    CASE(vmfs_file_allocate, EINVAL, vmfs_file_allocate(file_rw, collapse | insert, 0, 4096));
    CASE(vmfs_file_allocate, EINVAL, vmfs_file_allocate(file_rw, collapse | 1, 0, 4096));
    CASE(vmfs_file_allocate, EINVAL, vmfs_file_allocate(file_rw, collapse, 1, 4096));
    CASE(vmfs_file_allocate, EINVAL, vmfs_file_allocate(file_rw, collapse, 4096, 100));
    CASE(vmfs_file_allocate, EINVAL, vmfs_file_allocate(file_rw, collapse, 4096, 8192));
    CASE(vmfs_file_allocate, EINVAL, vmfs_file_allocate(file_rw, insert, 1, 4096));
    CASE(vmfs_file_allocate, EINVAL, vmfs_file_allocate(file_rw, insert, 12288, 4096));
    CASE(vmfs_file_copy_range, EINVAL, vmfs_file_copy_range(file_rw, 0, file_rw, 100, 200));
    CASE(vmfs_file_seek, EINVAL, vmfs_file_seek(file_rw, -1, VMFS_SEEK_SET));
    CASE(vmfs_file_seek, EINVAL, vmfs_file_seek(file_rw, -1, VMFS_SEEK_CUR));
    CASE(vmfs_file_seek, EINVAL, vmfs_file_seek(file_rw, -9001, VMFS_SEEK_END));
    CASE(vmfs_file_seek, EINVAL, vmfs_file_seek(file_rw, 0, 9));
    CASE(vmfs_file_pread, EINVAL, vmfs_file_pread(file_rw, NULL, 1, 0));
    CASE(vmfs_file_pwrite, EINVAL, vmfs_file_pwrite(file_rw, NULL, 1, 0));
    CASE(vmfs_file_preadv, EINVAL, vmfs_file_preadv(file_rw, NULL, 1, 0));
    CASE(vmfs_file_pwritev, EINVAL, vmfs_file_pwritev(file_rw, NULL, 1, 0));
    CASE(vmfs_file_stat, EINVAL, vmfs_file_stat(file_rw, NULL));
    CASE(vmfs_file_setattr, EINVAL, vmfs_file_setattr(file_rw, NULL));
    CASE(vmfs_dir_read, EINVAL, vmfs_dir_read(dir, NULL));
}

Test(errno_files, einval_of_vectors)
{
    static struct vmfs_iovec many[VMFS_IOV_MAX + 1];
    struct vmfs_iovec huge[2] = {{out.bytes, INT64_MAX}, {out.bytes, 8}};
    unsigned count = VMFS_IOV_MAX + 1;
    CASE(vmfs_file_preadv, EINVAL, vmfs_file_preadv(file_rw, many, count, 0));
    CASE(vmfs_file_pwritev, EINVAL, vmfs_file_pwritev(file_rw, many, count, 0));
    CASE(vmfs_file_pwritev2, EINVAL, vmfs_file_pwritev2(file_rw, &one, 1, 0, 0x1));
    CASE(vmfs_file_copy_range2, EINVAL, vmfs_file_copy_range2(file_rw, 0, file_rw, 9, 8, 0x1));
    CASE(vmfs_file_readv, EINVAL, vmfs_file_readv(file_rw, many, count));
    CASE(vmfs_file_writev, EINVAL, vmfs_file_writev(file_rw, many, count));
    CASE(vmfs_file_preadv, EINVAL, vmfs_file_preadv(file_rw, huge, 2, 0));
    CASE(vmfs_file_pwritev, EINVAL, vmfs_file_pwritev(file_rw, huge, 2, 0));
    expect_code(vmfs_file_preadv(file_rw, many, 0, 0), 0);
    expect_code(vmfs_file_pwritev(file_rw, many, VMFS_IOV_MAX, 0), 0);
}

Test(errno_files, enxio)
{
    CASE(vmfs_file_seek, ENXIO, vmfs_file_seek(file_r, -1, VMFS_SEEK_DATA));
    CASE(vmfs_file_seek, ENXIO, vmfs_file_seek(file_r, -1, VMFS_SEEK_HOLE));
    CASE(vmfs_file_seek, ENXIO, vmfs_file_seek(file_r, 100, VMFS_SEEK_DATA));
    CASE(vmfs_file_seek, ENXIO, vmfs_file_seek(file_r, 101, VMFS_SEEK_HOLE));
}

Test(errno_files, emsgsize)
{
    static char much[VMFS_ATOMIC_MAX + 1];
    struct vmfs_file *atomic = fixture_file(&fixture, "/file", VMFS_O_RDWR | VMFS_O_ATOMIC);
    struct vmfs_iovec two[2] = {{much, VMFS_ATOMIC_MAX}, {much, 1}};
    CASE(vmfs_file_pwrite, EMSGSIZE, vmfs_file_pwrite(atomic, much, sizeof(much), 0));
    CASE(vmfs_file_write, EMSGSIZE, vmfs_file_write(atomic, much, sizeof(much)));
    CASE(vmfs_file_pwritev, EMSGSIZE, vmfs_file_pwritev(atomic, two, 2, 0));
    CASE(vmfs_file_pwritev2, EMSGSIZE, vmfs_file_pwritev2(atomic, two, 2, 0, 0));
    CASE(vmfs_file_writev, EMSGSIZE, vmfs_file_writev(atomic, two, 2));
    expect_code(vmfs_file_pwrite(atomic, much, VMFS_ATOMIC_MAX, 0), VMFS_ATOMIC_MAX);
    expect_ok(vmfs_file_close(atomic));
}

/* Handles that were opened before the flag was set. */
Test(errno_files, eperm_of_flagged_files)
{
    struct vmfs_attr frozen = {.mask = VMFS_ATTR_FLAGS, .flags = VMFS_INODE_IMMUTABLE};
    struct vmfs_attr growing = {.mask = VMFS_ATTR_FLAGS, .flags = VMFS_INODE_APPEND};
    struct vmfs_attr none = {.mask = VMFS_ATTR_FLAGS};
    expect_ok(vmfs_file_setattr(file_rw, &frozen));
    CASE(vmfs_file_allocate, EPERM, vmfs_file_allocate(file_rw, 0, 0, 4096));
    CASE(vmfs_file_link, EPERM, vmfs_file_link(file_rw, vmfs_at(0, "/new")));
    for (unsigned i = 0; i < 2; i++) {
        CASE(vmfs_file_pwrite, EPERM, vmfs_file_pwrite(file_rw, "v", 1, 0));
        CASE(vmfs_file_truncate, EPERM, vmfs_file_truncate(file_rw, 0));
        CASE(vmfs_file_copy_range, EPERM, vmfs_file_copy_range(file_r, 0, file_rw, 0, 8));
        CASE(vmfs_file_allocate, EPERM,
             vmfs_file_allocate(file_rw, VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, 0, 4096));
        CASE(vmfs_file_allocate, EPERM, vmfs_file_allocate(file_rw, VMFS_ALLOC_COLLAPSE, 0, 4096));
        expect_ok(vmfs_file_setattr(file_rw, &growing));
    }
    expect_ok(vmfs_file_allocate(file_rw, 0, 0, 16384));
    expect_ok(vmfs_file_setattr(file_rw, &none));
}

Test(errno_files, exdev)
{
    struct fixture second;
    fixture_open(&second, "second", 4 * REGION_MIB);
    struct vmfs_file *far = fixture_file(&second, "/far", VMFS_O_CREAT | VMFS_O_RDWR);
    CASE(vmfs_file_copy_range, EXDEV, vmfs_file_copy_range(file_r, 0, far, 0, 8));
    CASE(vmfs_file_copy_range2, EXDEV, vmfs_file_copy_range2(file_r, 0, far, 0, 8, 0));
    expect_ok(vmfs_file_close(far));
    fixture_close(&second);
}

/* ------------------------------------------------------------------- extended attributes --- */

static char long_name[300] = "user.";

/* All four calls, and their forms with a place, on a name that is wrong. */
static void expect_name(const char *name, int wanted)
{
    struct vmfs_at at = vmfs_at(0, "/file");
    expect_code(vmfs_xattr_set(fs, "/file", 0, name, "v", 1), wanted);
    expect_code(vmfs_xattr_set_at(fs, at, 0, name, "v", 1), wanted);
    expect_code(vmfs_xattr_get(fs, "/file", 0, name, NULL, 0), wanted);
    expect_code(vmfs_xattr_get_at(fs, at, 0, name, NULL, 0), wanted);
    expect_code(vmfs_xattr_remove(fs, "/file", 0, name), wanted);
    expect_code(vmfs_xattr_remove_at(fs, at, 0, name), wanted);
}

Test(errno_files, xattr_names)
{
    struct vmfs_at at = vmfs_at(0, "/file");
    memset(long_name + 5, 'n', 251);
    expect_name(long_name, -ERANGE);
    expect_name("user.", -EINVAL);
    expect_name("trusted.", -EINVAL);
    expect_name("plain", -EOPNOTSUPP);
    expect_name("system.other", -EOPNOTSUPP);
    CASE(vmfs_xattr_set, ERANGE, vmfs_xattr_set(fs, "/file", 0, long_name, "v", 1));
    CASE(vmfs_xattr_set_at, ERANGE, vmfs_xattr_set_at(fs, at, 0, "", "v", 1));
    CASE(vmfs_xattr_remove, ERANGE, vmfs_xattr_remove(fs, "/file", 0, long_name));
    CASE(vmfs_xattr_remove_at, ERANGE, vmfs_xattr_remove_at(fs, at, 0, long_name));
    CASE(vmfs_xattr_set, EOPNOTSUPP, vmfs_xattr_set(fs, "/file", 0, "plain", "v", 1));
    CASE(vmfs_xattr_set_at, EOPNOTSUPP, vmfs_xattr_set_at(fs, at, 0, "plain", "v", 1));
    CASE(vmfs_xattr_get, EOPNOTSUPP, vmfs_xattr_get(fs, "/file", 0, "plain", out.bytes, 8));
    CASE(vmfs_xattr_get_at, EOPNOTSUPP, vmfs_xattr_get_at(fs, at, 0, "plain", out.bytes, 8));
    CASE(vmfs_xattr_remove, EOPNOTSUPP, vmfs_xattr_remove(fs, "/file", 0, "system.x"));
    CASE(vmfs_xattr_remove_at, EOPNOTSUPP, vmfs_xattr_remove_at(fs, at, 0, "system.x"));
    long_name[255] = '\0';
    expect_ok(vmfs_xattr_set(fs, "/file", 0, long_name, "v", 1));
}

Test(errno_files, xattr_values)
{
    static uint8_t much[VMFS_XATTR_MAX + 1];
    struct vmfs_at at = vmfs_at(0, "/file");
    size_t bytes = sizeof(much);
    int create = VMFS_XATTR_CREATE;
    CASE(vmfs_xattr_set, E2BIG, vmfs_xattr_set(fs, "/file", 0, "user.a", much, bytes));
    CASE(vmfs_xattr_set_at, E2BIG, vmfs_xattr_set_at(fs, at, 0, "user.a", much, bytes));
    CASE(vmfs_xattr_set, EEXIST, vmfs_xattr_set(fs, "/file", create, "user.there", "v", 1));
    CASE(vmfs_xattr_set_at, EEXIST, vmfs_xattr_set_at(fs, at, create, "user.there", "v", 1));
    CASE(vmfs_xattr_set, ENODATA,
         vmfs_xattr_set(fs, "/file", VMFS_XATTR_REPLACE, "user.a", "v", 1));
    CASE(vmfs_xattr_set_at, ENODATA,
         vmfs_xattr_set_at(fs, at, VMFS_XATTR_REPLACE, "user.a", "v", 1));
    CASE(vmfs_xattr_set, EINVAL, vmfs_xattr_set(fs, "/file", 0x4000, "user.a", "v", 1));
    CASE(vmfs_xattr_set, EINVAL, vmfs_xattr_set(fs, "/file", 0, NULL, "v", 1));
    CASE(vmfs_xattr_get, ENODATA, vmfs_xattr_get(fs, "/file", 0, "user.a", out.bytes, 8));
    CASE(vmfs_xattr_get_at, ENODATA, vmfs_xattr_get_at(fs, at, 0, "user.a", out.bytes, 8));
    CASE(vmfs_xattr_get, ERANGE, vmfs_xattr_get(fs, "/file", 0, "user.there", out.bytes, 4));
    CASE(vmfs_xattr_get_at, ERANGE, vmfs_xattr_get_at(fs, at, 0, "user.there", out.bytes, 4));
    CASE(vmfs_xattr_list, ERANGE, vmfs_xattr_list(fs, "/file", 0, out.bytes, 4));
    CASE(vmfs_xattr_list_at, ERANGE, vmfs_xattr_list_at(fs, at, 0, out.bytes, 4));
    CASE(vmfs_xattr_remove, ENODATA, vmfs_xattr_remove(fs, "/file", 0, "user.a"));
    CASE(vmfs_xattr_remove_at, ENODATA, vmfs_xattr_remove_at(fs, at, 0, "user.a"));
}

Test(errno_files, xattr_kinds)
{
    struct vmfs_at fifo = vmfs_at(0, "/fifo");
    int flags = VMFS_NOFOLLOW;
    CASE(vmfs_xattr_set, EPERM, vmfs_xattr_set(fs, "/link", flags, "user.a", "v", 1));
    CASE(vmfs_xattr_set_at, EPERM, vmfs_xattr_set_at(fs, fifo, 0, "user.a", "v", 1));
    CASE(vmfs_xattr_get, EPERM, vmfs_xattr_get(fs, "/link", flags, "user.a", out.bytes, 8));
    CASE(vmfs_xattr_get_at, EPERM, vmfs_xattr_get_at(fs, fifo, 0, "user.a", out.bytes, 8));
    CASE(vmfs_xattr_remove, EPERM, vmfs_xattr_remove(fs, "/link", flags, "user.a"));
    CASE(vmfs_xattr_remove_at, EPERM, vmfs_xattr_remove_at(fs, fifo, 0, "user.a"));
    expect_ok(vmfs_xattr_set(fs, "/link", flags, "trusted.a", "v", 1));
}

#define ACCESS  "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

Test(errno_files, acls)
{
    static const uint8_t sound[28] = {2, 0, 0, 0, 1, 0, 7,  0, 0, 0, 0, 0, 4, 0,
                                      5, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t other[28] = {3};
    static uint8_t much[4 + 8 * 512] = {2};
    struct vmfs_at at = vmfs_at(0, "/file");
    int link = VMFS_NOFOLLOW;
    CASE(vmfs_xattr_set, EINVAL, vmfs_xattr_set(fs, "/file", 0, ACCESS, sound, 20));
    CASE(vmfs_xattr_set, EINVAL, vmfs_xattr_set(fs, "/file", 0, ACCESS, sound, 3));
    CASE(vmfs_xattr_set, EINVAL, vmfs_xattr_set(fs, "/file", 0, ACCESS, sound, 27));
    CASE(vmfs_xattr_set, EOPNOTSUPP, vmfs_xattr_set(fs, "/file", 0, ACCESS, other, 28));
    CASE(vmfs_xattr_set, E2BIG, vmfs_xattr_set(fs, "/file", 0, ACCESS, much, sizeof(much)));
    CASE(vmfs_xattr_set, EACCES, vmfs_xattr_set(fs, "/file", 0, DEFAULT, sound, 28));
    CASE(vmfs_xattr_set_at, EACCES, vmfs_xattr_set_at(fs, at, 0, DEFAULT, sound, 28));
    CASE(vmfs_xattr_set, EPERM, vmfs_xattr_set(fs, "/frozen", 0, ACCESS, sound, 28));
    CASE(vmfs_xattr_set, EOPNOTSUPP, vmfs_xattr_set(fs, "/link", link, ACCESS, sound, 28));
    CASE(vmfs_xattr_get, EOPNOTSUPP, vmfs_xattr_get(fs, "/link", link, ACCESS, out.bytes, 8));
    CASE(vmfs_xattr_remove, EOPNOTSUPP, vmfs_xattr_remove(fs, "/link", link, ACCESS));
    expect_ok(vmfs_xattr_set(fs, "/file", 0, ACCESS, sound, 28));
}

Test(errno_files, access)
{
    struct vmfs_at file = vmfs_at(0, "/file");
    const struct vmfs_cred cred = {12, 12, NULL, 0};
    const struct vmfs_cred root = {0, 0, NULL, 0};
    const struct vmfs_cred lost = {12, 12, NULL, 1};
    expect_ok(vmfs_chmod(fs, "/file", 0640));
    CASE(vmfs_access_at, EACCES, vmfs_access_at(fs, file, 0, &cred, VMFS_R_OK));
    CASE(vmfs_access_at, EACCES, vmfs_access_at(fs, file, 0, &root, VMFS_X_OK));
    CASE(vmfs_access_at, EPERM, vmfs_access_at(fs, vmfs_at(0, "/frozen"), 0, &root, VMFS_W_OK));
    CASE(vmfs_access_at, EINVAL, vmfs_access_at(fs, file, 0, NULL, VMFS_R_OK));
    CASE(vmfs_access_at, EINVAL, vmfs_access_at(fs, file, 0, &root, 8));
    CASE(vmfs_access_at, EINVAL, vmfs_access_at(fs, file, 0x40, &root, VMFS_R_OK));
    CASE(vmfs_access_at, EINVAL, vmfs_access_at(fs, file, 0, &lost, VMFS_R_OK));
    expect_ok(vmfs_access_at(fs, file, 0, &root, VMFS_R_OK | VMFS_W_OK));
}

/* ------------------------------------------------------------------------------- regions --- */

static int open_with(const char *path, struct vmfs_options options)
{
    options.struct_bytes = sizeof(options);
    options.owner_uid = options.owner_gid = UINT32_MAX;
    return vmfs_open(path, &options, &out.fs);
}

static void put_bytes(const char *path, uint64_t offset, const void *bytes, size_t length)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && pwrite(fd, bytes, length, (off_t)offset) == (ssize_t)length);
    close(fd);
}

Test(errno_files, opening)
{
    char path[REGION_PATH_MAX + 8];
    static uint8_t zeros[1 << 20];
    snprintf(path, sizeof(path), "%s-x", fixture.path);
    struct vmfs_options create = {.flags = VMFS_CREATE, .region_bytes = 4 << 20};
    CASE(vmfs_open, EBUSY, open_with(fixture.path, (struct vmfs_options){0}));
    CASE(vmfs_open, EEXIST, open_with(fixture.path, create));
    CASE(vmfs_open, ENOENT, open_with(path, (struct vmfs_options){0}));
    CASE(vmfs_open, EINVAL, vmfs_open(NULL, NULL, &out.fs));
    CASE(vmfs_open, EINVAL, open_with(path, (struct vmfs_options){.flags = 0x8000}));
    CASE(vmfs_open, EINVAL,
         open_with(path, (struct vmfs_options){.flags = VMFS_CREATE, .region_bytes = 4097}));
    CASE(vmfs_open, EINVAL,
         open_with(path, (struct vmfs_options){.flags = VMFS_CREATE, .region_bytes = 65536}));
    unlink(path);
    put_bytes(path, 0, zeros, sizeof(zeros));
    CASE(vmfs_open, EMEDIUMTYPE, open_with(path, (struct vmfs_options){0}));
    unlink(path);
}

Test(errno_files, finding)
{
    struct vmfs_region_place place;
    CASE(vmfs_region_find, ENOENT, vmfs_region_find("/nowhere/at/all", &place, 1));
    CASE(vmfs_region_find, EINVAL, vmfs_region_find(fixture.path, &place, 0));
    CASE(vmfs_region_find, EINVAL, vmfs_region_find(NULL, &place, 1));
    CASE(vmfs_region_find, EINVAL, vmfs_region_find(fixture.path, NULL, 1));
    struct vmfs_namespace namespace;
    CASE(vmfs_namespace_find, ENOENT, vmfs_namespace_find("/nowhere/at/all", &namespace));
    CASE(vmfs_namespace_find, EINVAL, vmfs_namespace_find(NULL, &namespace));
    CASE(vmfs_namespace_find, EINVAL, vmfs_namespace_find(fixture.path, NULL));
}

/* A region whose superblocks are changed, with a check that is right again, is newer or damaged. */
Test(errno_files, opening_what_is_damaged)
{
    char path[REGION_PATH_MAX + 8];
    struct vmfs *second;
    static const uint8_t noise[3 * VMFS_BLOCK_SIZE] = {1, 2, 3};
    snprintf(path, sizeof(path), "%s-x", fixture.path);
    expect_ok(region_format(path, 4 << 20, NULL, &second));
    expect_ok(vmfs_close(second));
    cr_assert(truncate(path, 2 << 20) == 0);
    CASE(vmfs_open, EUCLEAN, open_with(path, (struct vmfs_options){0}));
    cr_assert(truncate(path, 4 << 20) == 0);
    put_bytes(path, 128, noise, sizeof(noise) - 128);
    int64_t got = open_with(path, (struct vmfs_options){0});
    cr_assert(got == -EUCLEAN || got == -EMEDIUMTYPE, "%lld", (long long)got);
    unlink(path);
}

/* Others than root meet the modes of the region's own file. */
Test(errno_files, opening_as_another_user)
{
    char path[REGION_PATH_MAX + 8];
    struct vmfs *second;
    snprintf(path, sizeof(path), "%s-x", fixture.path);
    expect_ok(region_format(path, 4 << 20, NULL, &second));
    expect_ok(vmfs_close(second));
    if (geteuid() == 0) {
        cr_assert(chmod(path, 0600) == 0);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            if (setuid(65534) != 0)
                _exit(1);
            struct vmfs_options options = {.flags = 0};
            _exit(open_with(path, options) == -EACCES ? 0 : 2);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        cr_assert(status == 0, "status 0x%x", (unsigned)status);
    }
    unlink(path);
}

/* Opens the region at `path` by its name below `folder`, whose filesystem this process has made read-only in
 * a mount namespace of its own. */
static int open_below_read_only(const char *folder, const char *path)
{
    char inside[2 * REGION_PATH_MAX];
    char around[REGION_PATH_MAX + 8];
    const char *name = strrchr(path, '/');
    snprintf(inside, sizeof(inside), "%s%s", folder, name);
    snprintf(around, sizeof(around), "%.*s", (int)(name - path), path);
    bool is_mounted = mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                      mount(around, folder, NULL, MS_BIND, NULL) == 0 &&
                      mount(NULL, folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0;
    return is_mounted ? open_with(inside, (struct vmfs_options){.flags = 0}) : 0;
}

Test(errno_files, opening_on_a_read_only_mount)
{
    char path[REGION_PATH_MAX + 8];
    char folder[REGION_PATH_MAX + 8];
    struct vmfs *second;
    snprintf(path, sizeof(path), "%s-x", fixture.path);
    snprintf(folder, sizeof(folder), "%s-mount", fixture.path);
    expect_ok(region_format(path, 4 << 20, NULL, &second));
    expect_ok(vmfs_close(second));
    cr_assert(mkdir(folder, 0755) == 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) != 0)
            _exit(77); /* not for this user */
        _exit(open_below_read_only(folder, path) == -EROFS ? 0 : 2);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    bool is_forbidden = WIFEXITED(status) && WEXITSTATUS(status) == 77;
    cr_assert(status == 0 || (is_forbidden && geteuid() != 0), "status 0x%x", (unsigned)status);
    rmdir(folder);
    unlink(path);
}

/* Takes the place of the system's: the library's calls come here. */
static int msync_errno;

int msync(void *address, size_t length, int flags)
{
    errno = msync_errno;
    return msync_errno != 0 ? -1 : (int)syscall(SYS_msync, address, length, flags);
}

/* Takes the place of libpmem's. */
static bool is_page_cache;
int pmem_is_pmem(const void *address, size_t length);

int pmem_is_pmem(const void *address, size_t length)
{
    (void)address;
    (void)length;
    return !is_page_cache;
}

/* Memory of the caller that is not persistent cannot promise to be; a guard needs a regular file. */
Test(errno_files, what_a_place_cannot_give)
{
    const size_t bytes = 4 << 20;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_CREATE;
    options.durability = VMFS_DURABILITY_POWER;
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert(memory != MAP_FAILED);
    is_page_cache = true;
    CASE(vmfs_attach, EOPNOTSUPP, vmfs_attach(memory, bytes, &options, &out.fs));
    is_page_cache = false;
    expect_ok(vmfs_attach(memory, bytes, &options, &out.fs));
    expect_ok(vmfs_close(out.fs));
    munmap(memory, bytes);
    CASE(vmfs_open, EOPNOTSUPP, open_with("/dev/null", (struct vmfs_options){.flags = VMFS_GUARD}));
}

/* What the disk below a page cache says. Nothing is lost by it that was durable before. */
Test(errno_files, syncing_a_page_cache)
{
    char path[REGION_PATH_MAX + 8];
    snprintf(path, sizeof(path), "%s-x", fixture.path);
    struct vmfs_options options = {
        .flags = VMFS_CREATE, .region_bytes = 4 << 20, .durability = VMFS_DURABILITY_PROCESS};
    expect_ok(open_with(path, options));
    struct vmfs *second = out.fs;
    expect_ok(vmfs_mkdir(second, "/kept", 0755));
    expect_ok(vmfs_sync(second));
    msync_errno = EIO;
    CASE(vmfs_sync, EIO, vmfs_sync(second));
    expect_ok(vmfs_close(second));
    msync_errno = ENOSPC;
    options.flags = 0;
    expect_ok(open_with(path, options));
    second = out.fs;
    CASE(vmfs_sync, ENOSPC, vmfs_sync(second));
    expect_ok(vmfs_close(second));
    expect_ok(open_with(path, options));
    second = out.fs;
    msync_errno = 0;
    expect_ok(vmfs_sync(second));
    expect_ok(vmfs_close(second));
    unlink(path);
}

Test(errno_files, attaching)
{
    size_t bytes = 4 << 20;
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct vmfs *second;
    struct vmfs_options none = VMFS_OPTIONS_INIT;
    struct vmfs_options create = VMFS_OPTIONS_INIT;
    create.flags = VMFS_CREATE | VMFS_ZEROED;
    cr_assert(memory != MAP_FAILED);
    CASE(vmfs_attach, EMEDIUMTYPE, vmfs_attach(memory, bytes, &none, &out.fs));
    CASE(vmfs_attach, EINVAL, vmfs_attach(memory + 1, bytes - 4096, &none, &out.fs));
    CASE(vmfs_attach, EINVAL, vmfs_attach(memory, 4097, &none, &out.fs));
    CASE(vmfs_attach, EINVAL, vmfs_attach(NULL, bytes, &none, &out.fs));
    expect_ok(vmfs_attach(memory, bytes, &create, &second));
    uint8_t *copy = malloc(bytes);
    expect_ok(vmfs_mkdir(second, "/unretired", 0755));
    memcpy(copy, memory, bytes);
    expect_ok(vmfs_close(second));
    CASE(vmfs_attach, EEXIST, vmfs_attach(memory, bytes, &create, &out.fs));
    memcpy(memory, copy, bytes);
    free(copy);
    none.flags = VMFS_RDONLY;
    CASE(vmfs_attach, EROFS, vmfs_attach(memory, bytes, &none, &out.fs));
    munmap(memory, bytes);
}
