/* test_errno_names.c -- what calls on names and attributes can return beside the common errors */
#include <stdio.h>
#include <string.h>

#include "errno_case.h"

TestSuite(errno_names, .init = errno_set_up, .fini = errno_tear_down);

static struct vmfs_at at(const char *path)
{
    return vmfs_at(0, path);
}

/* As one whom sticky directories do not let pass. */
static struct vmfs_at as_other(const char *path)
{
    struct vmfs_at place = vmfs_at(0, path);
    place.uid = place.gid = 77;
    return place;
}

Test(errno_names, eexist)
{
    static const char *const taken[] = {"/file", "/dir", "/link", "/dangling", "/fifo"};
    int exclusive = VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_RDWR;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        const char *path = taken[i];
        CASE(vmfs_mkdir, EEXIST, vmfs_mkdir(fs, path, 0755));
        CASE(vmfs_mkdir_at, EEXIST, vmfs_mkdir_at(fs, at(path), 0755));
        CASE(vmfs_mknod, EEXIST, vmfs_mknod(fs, path, 0644, 0));
        CASE(vmfs_mknod_at, EEXIST, vmfs_mknod_at(fs, at(path), 0644, 0));
        CASE(vmfs_symlink, EEXIST, vmfs_symlink(fs, "target", path));
        CASE(vmfs_symlink_at, EEXIST, vmfs_symlink_at(fs, "target", at(path)));
        CASE(vmfs_link, EEXIST, vmfs_link(fs, "/other", path));
        CASE(vmfs_link_at, EEXIST, vmfs_link_at(fs, at("/other"), at(path), 0));
        CASE(vmfs_file_link, EEXIST, vmfs_file_link(file_rw, at(path)));
        CASE(vmfs_rename, EEXIST, vmfs_rename(fs, "/other", path, VMFS_RENAME_NOREPLACE));
        CASE(vmfs_rename_at, EEXIST,
             vmfs_rename_at(fs, at("/other"), at(path), VMFS_RENAME_NOREPLACE));
        CASE(vmfs_file_open, EEXIST, vmfs_file_open(fs, path, exclusive, 0644, &out.file));
        CASE(vmfs_file_open_at, EEXIST,
             vmfs_file_open_at(fs, at(path), exclusive, 0644, &out.file));
    }
}

Test(errno_names, enoent)
{
    struct vmfs_file *gone = fixture_file(&fixture, "/going", VMFS_O_CREAT | VMFS_O_RDWR);
    struct vmfs_file *secret =
        fixture_file(&fixture, "/", VMFS_O_TMPFILE | VMFS_O_EXCL | VMFS_O_RDWR);
    expect_ok(vmfs_unlink(fs, "/going"));
    CASE(vmfs_file_link, ENOENT, vmfs_file_link(gone, at("/again")));
    CASE(vmfs_file_link, ENOENT, vmfs_file_link(secret, at("/again")));
    expect_ok(vmfs_file_close(gone));
    expect_ok(vmfs_file_close(secret));
    CASE(vmfs_symlink, ENOENT, vmfs_symlink(fs, "", "/new"));
    CASE(vmfs_symlink_at, ENOENT, vmfs_symlink_at(fs, "", at("/new")));
    CASE(vmfs_rename, ENOENT, vmfs_rename(fs, "/file", "/new", VMFS_RENAME_EXCHANGE));
    CASE(vmfs_link_at, ENOENT, vmfs_link_at(fs, at("/dangling"), at("/new"), VMFS_FOLLOW));
}

Test(errno_names, enoent_below_a_removed_directory)
{
    struct vmfs_dir *empty;
    expect_ok(vmfs_dir_open(fs, "/empty", &empty));
    struct vmfs_at place = vmfs_at(vmfs_dir_ino(empty), "new");
    expect_ok(vmfs_rmdir(fs, "/empty"));
    CASE(vmfs_mkdir_at, ENOENT, vmfs_mkdir_at(fs, place, 0755));
    CASE(vmfs_mknod_at, ENOENT, vmfs_mknod_at(fs, place, 0644, 0));
    CASE(vmfs_symlink_at, ENOENT, vmfs_symlink_at(fs, "t", place));
    CASE(vmfs_link_at, ENOENT, vmfs_link_at(fs, at("/file"), place, 0));
    CASE(vmfs_rename_at, ENOENT, vmfs_rename_at(fs, at("/file"), place, 0));
    CASE(vmfs_stat_at, ENOENT, vmfs_stat_at(fs, place, 0, &out.stat));
    CASE(vmfs_file_open_at, ENOENT,
         vmfs_file_open_at(fs, place, VMFS_O_CREAT | VMFS_O_RDWR, 0644, &out.file));
    expect_ok(vmfs_dir_close(empty));
}

Test(errno_names, enotdir)
{
    struct vmfs_at place = vmfs_at(vmfs_file_ino(file_r), "name");
    CASE(vmfs_stat_at, ENOTDIR, vmfs_stat_at(fs, place, 0, &out.stat));
    CASE(vmfs_mkdir_at, ENOTDIR, vmfs_mkdir_at(fs, place, 0755));
    CASE(vmfs_dir_open, ENOTDIR, vmfs_dir_open(fs, "/file", &out.dir));
    CASE(vmfs_dir_open_at, ENOTDIR, vmfs_dir_open_at(fs, at("/fifo"), &out.dir));
    CASE(vmfs_rmdir, ENOTDIR, vmfs_rmdir(fs, "/link"));
    CASE(vmfs_rmdir_at, ENOTDIR, vmfs_rmdir_at(fs, at("/file")));
    CASE(vmfs_rename, ENOTDIR, vmfs_rename(fs, "/empty", "/file", 0));
    CASE(vmfs_rename_at, ENOTDIR, vmfs_rename_at(fs, at("/empty"), at("/link"), 0));
    CASE(vmfs_file_open, ENOTDIR,
         vmfs_file_open(fs, "/file", VMFS_O_TMPFILE | VMFS_O_RDWR, 0644, &out.file));
}

Test(errno_names, enametoolong)
{
    static char target[VMFS_PATH_MAX + 2];
    memset(target, 't', sizeof(target) - 1);
    CASE(vmfs_symlink, ENAMETOOLONG, vmfs_symlink(fs, target, "/new"));
    CASE(vmfs_symlink_at, ENAMETOOLONG, vmfs_symlink_at(fs, target, at("/new")));
}

Test(errno_names, eisdir)
{
    struct vmfs_attr size = {.mask = VMFS_ATTR_SIZE, .size = 1};
    static const int flags[] = {VMFS_O_RDONLY, VMFS_O_WRONLY, VMFS_O_RDWR,
                                VMFS_O_CREAT | VMFS_O_RDWR, VMFS_O_TRUNC | VMFS_O_RDWR};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        CASE(vmfs_file_open, EISDIR, vmfs_file_open(fs, "/dir", flags[i], 0644, &out.file));
        CASE(vmfs_file_open_at, EISDIR,
             vmfs_file_open_at(fs, at("/dir"), flags[i], 0644, &out.file));
    }
    CASE(vmfs_setattr, EISDIR, vmfs_setattr(fs, "/dir", 0, &size));
    CASE(vmfs_setattr_at, EISDIR, vmfs_setattr_at(fs, at("/dir"), 0, &size));
    CASE(vmfs_truncate, EISDIR, vmfs_truncate(fs, "/dir", 0));
    CASE(vmfs_rename, EISDIR, vmfs_rename(fs, "/file", "/empty", 0));
    CASE(vmfs_rename_at, EISDIR, vmfs_rename_at(fs, at("/link"), at("/dir"), 0));
}

Test(errno_names, einval)
{
    uint32_t both = VMFS_RENAME_NOREPLACE | VMFS_RENAME_EXCHANGE;
    struct vmfs_attr size = {.mask = VMFS_ATTR_SIZE};
    struct vmfs_attr flags = {.mask = VMFS_ATTR_FLAGS, .flags = 0x8000};
    struct vmfs_attr mask = {.mask = 0x8000};
    CASE(vmfs_setattr, EINVAL, vmfs_setattr(fs, "/fifo", 0, &size));
    CASE(vmfs_setattr, EINVAL, vmfs_setattr(fs, "/link", VMFS_NOFOLLOW, &size));
    CASE(vmfs_setattr, EINVAL, vmfs_setattr(fs, "/file", 0, &flags));
    CASE(vmfs_setattr, EINVAL, vmfs_setattr(fs, "/file", 0, &mask));
    CASE(vmfs_setattr, EINVAL, vmfs_setattr(fs, "/file", 0x4000, &size));
    CASE(vmfs_setattr, EINVAL, vmfs_setattr(fs, "/file", 0, NULL));
    CASE(vmfs_setattr_at, EINVAL, vmfs_setattr_at(fs, at("/fifo"), 0, &size));
    CASE(vmfs_stat, EINVAL, vmfs_stat(fs, "/file", 0x4000, &out.stat));
    CASE(vmfs_stat, EINVAL, vmfs_stat(fs, "/file", 0, NULL));
    CASE(vmfs_stat_at, EINVAL, vmfs_stat_at(fs, at("/file"), 0x4000, &out.stat));
    CASE(vmfs_truncate, EINVAL, vmfs_truncate(fs, "/fifo", 0));
    CASE(vmfs_mknod, EINVAL, vmfs_mknod(fs, "/new", VMFS_S_IFDIR | 0755, 0));
    CASE(vmfs_mknod_at, EINVAL, vmfs_mknod_at(fs, at("/new"), VMFS_S_IFLNK | 0755, 0));
    CASE(vmfs_readlink, EINVAL, vmfs_readlink(fs, "/file", out.bytes, 8));
    CASE(vmfs_readlink_at, EINVAL, vmfs_readlink_at(fs, at("/dir"), out.bytes, 8));
    CASE(vmfs_link_at, EINVAL, vmfs_link_at(fs, at("/file"), at("/new"), 0x4000));
    CASE(vmfs_rmdir, EINVAL, vmfs_rmdir(fs, "/empty/."));
    CASE(vmfs_rmdir_at, EINVAL, vmfs_rmdir_at(fs, at("/empty/.")));
    CASE(vmfs_rename, EINVAL, vmfs_rename(fs, "/dir", "/dir/sub/new", 0));
    CASE(vmfs_rename, EINVAL, vmfs_rename(fs, "/dir/sub", "/dir", VMFS_RENAME_EXCHANGE));
    CASE(vmfs_rename, EINVAL, vmfs_rename(fs, "/file", "/new", both));
    CASE(vmfs_rename, EINVAL, vmfs_rename(fs, "/file", "/new", 0x80));
    CASE(vmfs_rename_at, EINVAL, vmfs_rename_at(fs, at("/dir"), at("/dir/sub"), 0));
    CASE(vmfs_symlink, EINVAL, vmfs_symlink(fs, NULL, "/new"));
    CASE(vmfs_file_open, EINVAL, vmfs_file_open(fs, "/file", VMFS_O_ACCMODE, 0, &out.file));
    CASE(vmfs_file_open, EINVAL, vmfs_file_open(fs, "/file", 0x40000000, 0, &out.file));
    CASE(vmfs_file_open, EINVAL, vmfs_file_open(fs, "/file", 0, 0, NULL));
    CASE(vmfs_dir_open, EINVAL, vmfs_dir_open(fs, "/", NULL));
    CASE(vmfs_counters, EINVAL, vmfs_counters(fs, (enum vmfs_counters_scope)9, &out.counters));
}

Test(errno_names, enotempty)
{
    CASE(vmfs_rmdir, ENOTEMPTY, vmfs_rmdir(fs, "/dir"));
    CASE(vmfs_rmdir_at, ENOTEMPTY, vmfs_rmdir_at(fs, at("/dir")));
    CASE(vmfs_rename, ENOTEMPTY, vmfs_rename(fs, "/empty", "/dir", 0));
    CASE(vmfs_rename, ENOTEMPTY, vmfs_rename(fs, "/dir/sub", "/dir", 0));
    expect_ok(vmfs_mknod(fs, "/dir/plain", VMFS_S_IFREG | 0644, 0));
    CASE(vmfs_rename, ENOTEMPTY, vmfs_rename(fs, "/dir/plain", "/dir", 0));
    expect_ok(vmfs_unlink(fs, "/dir/plain"));
    CASE(vmfs_rename_at, ENOTEMPTY, vmfs_rename_at(fs, at("/empty"), at("/dir"), 0));
}

Test(errno_names, ebusy)
{
    CASE(vmfs_rmdir, EBUSY, vmfs_rmdir(fs, "/"));
    CASE(vmfs_rmdir_at, EBUSY, vmfs_rmdir_at(fs, at("/")));
    CASE(vmfs_rename, EBUSY, vmfs_rename(fs, "/", "/new", 0));
    CASE(vmfs_rename, EBUSY, vmfs_rename(fs, "/empty", "/", 0));
    CASE(vmfs_rename, EBUSY, vmfs_rename(fs, "/dir/.", "/new", 0));
    CASE(vmfs_rename, EBUSY, vmfs_rename(fs, "/file", "/dir/..", 0));
    CASE(vmfs_rename_at, EBUSY, vmfs_rename_at(fs, at("/empty"), at("/"), VMFS_RENAME_EXCHANGE));
    CASE(vmfs_close, EBUSY, vmfs_close(fs));
}

Test(errno_names, efbig)
{
    struct vmfs_attr size = {.mask = VMFS_ATTR_SIZE, .size = VMFS_FILE_MAX + 1};
    CASE(vmfs_setattr, EFBIG, vmfs_setattr(fs, "/file", 0, &size));
    CASE(vmfs_setattr_at, EFBIG, vmfs_setattr_at(fs, at("/file"), 0, &size));
    CASE(vmfs_truncate, EFBIG, vmfs_truncate(fs, "/file", VMFS_FILE_MAX + 1));
    CASE(vmfs_file_setattr, EFBIG, vmfs_file_setattr(file_rw, &size));
}

Test(errno_names, eperm)
{
    CASE(vmfs_link, EPERM, vmfs_link(fs, "/dir", "/new"));
    CASE(vmfs_link_at, EPERM, vmfs_link_at(fs, at("/dir"), at("/new"), 0));
    CASE(vmfs_unlink, EPERM, vmfs_unlink(fs, "/dir"));
    CASE(vmfs_unlink_at, EPERM, vmfs_unlink_at(fs, at("/dir")));
}

/* A sticky directory gives up its entries to their owner, its owner and uid 0 only. */
Test(errno_names, eperm_in_sticky_directories)
{
    struct vmfs_at theirs = as_other("/sticky/theirs");
    struct vmfs_at mine = as_other("/mine");
    expect_ok(vmfs_mknod_at(fs, mine, 0644, 0));
    CASE(vmfs_unlink_at, EPERM, vmfs_unlink_at(fs, theirs));
    CASE(vmfs_rmdir_at, EPERM, vmfs_rmdir_at(fs, as_other("/sticky/dir")));
    CASE(vmfs_rename_at, EPERM, vmfs_rename_at(fs, theirs, as_other("/new"), 0));
    CASE(vmfs_rename_at, EPERM, vmfs_rename_at(fs, mine, theirs, 0));
    CASE(vmfs_rename_at, EPERM, vmfs_rename_at(fs, mine, theirs, VMFS_RENAME_EXCHANGE));
    theirs.uid = 1;
    expect_ok(vmfs_unlink_at(fs, theirs));
}

static void expect_kept(const char *path)
{
    struct vmfs_attr mode = {.mask = VMFS_ATTR_MODE, .mode = 0600};
    CASE(vmfs_setattr, EPERM, vmfs_setattr(fs, path, 0, &mode));
    CASE(vmfs_setattr_at, EPERM, vmfs_setattr_at(fs, at(path), 0, &mode));
    CASE(vmfs_chmod, EPERM, vmfs_chmod(fs, path, 0600));
    CASE(vmfs_chown, EPERM, vmfs_chown(fs, path, 1, 1));
    CASE(vmfs_utimens, EPERM, vmfs_utimens(fs, path, 1, 1));
    CASE(vmfs_truncate, EPERM, vmfs_truncate(fs, path, 1));
    CASE(vmfs_link, EPERM, vmfs_link(fs, path, "/new"));
    CASE(vmfs_unlink, EPERM, vmfs_unlink(fs, path));
    CASE(vmfs_rename, EPERM, vmfs_rename(fs, path, "/new", 0));
    CASE(vmfs_rename, EPERM, vmfs_rename(fs, "/file", path, 0));
    CASE(vmfs_rename, EPERM, vmfs_rename(fs, "/file", path, VMFS_RENAME_EXCHANGE));
    CASE(vmfs_file_open, EPERM, vmfs_file_open(fs, path, VMFS_O_RDWR, 0, &out.file));
    CASE(vmfs_file_open, EPERM,
         vmfs_file_open(fs, path, VMFS_O_WRONLY | VMFS_O_APPEND | VMFS_O_TRUNC, 0, &out.file));
}

Test(errno_names, eperm_of_flagged_inodes)
{
    expect_kept("/frozen");
    expect_kept("/growing");
    CASE(vmfs_file_open, EPERM,
         vmfs_file_open(fs, "/frozen", VMFS_O_WRONLY | VMFS_O_APPEND, 0, &out.file));
    CASE(vmfs_file_open_at, EPERM,
         vmfs_file_open_at(fs, at("/growing"), VMFS_O_RDWR, 0, &out.file));
    CASE(vmfs_xattr_set, EPERM, vmfs_xattr_set(fs, "/frozen", 0, "user.a", "v", 1));
    CASE(vmfs_xattr_remove, EPERM, vmfs_xattr_remove(fs, "/frozen", 0, "user.a"));
}

Test(errno_names, eperm_in_immutable_directories)
{
    CASE(vmfs_mkdir, EPERM, vmfs_mkdir(fs, "/closed/new", 0755));
    CASE(vmfs_mknod, EPERM, vmfs_mknod(fs, "/closed/new", 0644, 0));
    CASE(vmfs_symlink, EPERM, vmfs_symlink(fs, "t", "/closed/new"));
    CASE(vmfs_link, EPERM, vmfs_link(fs, "/file", "/closed/new"));
    CASE(vmfs_file_link, EPERM, vmfs_file_link(file_rw, at("/closed/new")));
    CASE(vmfs_unlink, EPERM, vmfs_unlink(fs, "/closed/file"));
    CASE(vmfs_rename, EPERM, vmfs_rename(fs, "/closed/file", "/new", 0));
    CASE(vmfs_rename, EPERM, vmfs_rename(fs, "/file", "/closed/new", 0));
    CASE(vmfs_file_open, EPERM,
         vmfs_file_open(fs, "/closed/new", VMFS_O_CREAT | VMFS_O_RDWR, 0644, &out.file));
    CASE(vmfs_file_open, EPERM,
         vmfs_file_open(fs, "/closed", VMFS_O_TMPFILE | VMFS_O_RDWR, 0644, &out.file));
}

Test(errno_names, emlink)
{
    char name[32];
    expect_ok(vmfs_mkdir(fs, "/many", 0755));
    for (unsigned i = 1; i < VMFS_LINK_MAX; i++) {
        snprintf(name, sizeof(name), "/many/%u", i);
        expect_ok(vmfs_link(fs, "/other", name));
    }
    errno_is_blind = true;
    CASE(vmfs_link, EMLINK, vmfs_link(fs, "/other", "/one-more"));
    CASE(vmfs_link_at, EMLINK, vmfs_link_at(fs, at("/other"), at("/one-more"), 0));
    CASE(vmfs_file_link, EMLINK, vmfs_file_link(file_rw, at("/one-more")));
    CASE(vmfs_stat, ENOENT, vmfs_stat(fs, "/one-more", 0, &out.stat));
    errno_is_blind = false;
}

Test(errno_names, eloop)
{
    char name[16];
    char target[16];
    int flags = VMFS_O_RDONLY | VMFS_O_NOFOLLOW;
    CASE(vmfs_file_open, ELOOP, vmfs_file_open(fs, "/link", flags, 0, &out.file));
    CASE(vmfs_file_open_at, ELOOP, vmfs_file_open_at(fs, at("/link"), flags, 0, &out.file));
    CASE(vmfs_stat, ELOOP, vmfs_stat(fs, "/loop", 0, &out.stat));
    expect_ok(vmfs_symlink(fs, "file", "/c1"));
    for (int i = 2; i <= 41; i++) {
        snprintf(name, sizeof(name), "/c%d", i);
        snprintf(target, sizeof(target), "c%d", i - 1);
        expect_ok(vmfs_symlink(fs, target, name));
    }
    struct vmfs_stat stat;
    expect_ok(vmfs_stat(fs, "/c40", 0, &stat));
    CASE(vmfs_stat, ELOOP, vmfs_stat(fs, "/c41", 0, &out.stat));
}

Test(errno_names, enxio)
{
    expect_ok(vmfs_mknod(fs, "/dev", VMFS_S_IFCHR | 0600, 0x103));
    expect_ok(vmfs_mknod(fs, "/sock", VMFS_S_IFSOCK | 0600, 0));
    CASE(vmfs_file_open, ENXIO, vmfs_file_open(fs, "/fifo", VMFS_O_RDONLY, 0, &out.file));
    CASE(vmfs_file_open, ENXIO, vmfs_file_open(fs, "/dev", VMFS_O_RDWR, 0, &out.file));
    CASE(vmfs_file_open_at, ENXIO, vmfs_file_open_at(fs, at("/sock"), VMFS_O_RDWR, 0, &out.file));
}

Test(errno_names, enospc_of_names)
{
    char name[300];
    struct vmfs_file *filler = fixture_file(&fixture, "/filler", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_ok(vmfs_mkdir(fs, "/full", 0755));
    static char block[VMFS_BLOCK_SIZE];
    for (uint64_t end = 0; vmfs_file_pwrite(filler, block, sizeof(block), end) > 0;)
        end += sizeof(block);
    int err = 0;
    for (unsigned i = 0; err == 0 && i < 100000; i++) {
        snprintf(name, sizeof(name), "/full/%0200u", i);
        err = vmfs_mkdir(fs, name, 0755);
    }
    cr_assert(err == -ENOSPC, "filling ended with %d", err);
    errno_is_blind = true;
    static char value[4096];
    CASE(vmfs_mkdir, ENOSPC, vmfs_mkdir(fs, name, 0755));
    CASE(vmfs_xattr_set, ENOSPC, vmfs_xattr_set(fs, "/file", 0, "user.big", value, sizeof(value)));
    errno_is_blind = false;
    expect_ok(vmfs_file_close(filler));
    expect_ok(vmfs_unlink(fs, "/filler"));
    expect_ok(vmfs_mkdir(fs, name, 0755));
}
