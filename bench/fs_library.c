/* fs_library.c -- the calls of libvmfs */
#include <stddef.h>

#include "fs.h"

static int library_enter(struct bench_fs *fs)
{
    (void)fs;
    return 0;
}

static int library_counts(struct bench_fs *fs, struct fs_counts *out)
{
    struct vmfs_counters thread, handle;
    int err = vmfs_counters(fs->vmfs, VMFS_COUNTERS_THREAD, &thread);

    if (err == 0)
        err = vmfs_counters(fs->vmfs, VMFS_COUNTERS_HANDLE, &handle);
    if (err == 0)
        *out = (struct fs_counts){.fences = thread.fences,
                                  .lines = thread.lines,
                                  .shared = thread.shared,
                                  .fences_all = handle.fences};
    return err;
}

static int library_create(struct bench_fs *fs, const char *path)
{
    struct vmfs_file *file;
    int flags = VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_WRONLY;
    int err = vmfs_file_open(fs->vmfs, path, flags, 0644, &file);

    return err != 0 ? err : vmfs_file_close(file);
}

static int library_mknod(struct bench_fs *fs, const char *path)
{
    return vmfs_mknod(fs->vmfs, path, VMFS_S_IFREG | 0644, 0);
}

static int library_mkdir(struct bench_fs *fs, const char *path)
{
    return vmfs_mkdir(fs->vmfs, path, 0755);
}

static int library_symlink(struct bench_fs *fs, const char *target, const char *path)
{
    return vmfs_symlink(fs->vmfs, target, path);
}

static int library_link(struct bench_fs *fs, const char *existing, const char *path)
{
    return vmfs_link(fs->vmfs, existing, path);
}

static int library_unlink(struct bench_fs *fs, const char *path)
{
    return vmfs_unlink(fs->vmfs, path);
}

static int library_rmdir(struct bench_fs *fs, const char *path)
{
    return vmfs_rmdir(fs->vmfs, path);
}

static int library_rename(struct bench_fs *fs, const char *from, const char *to)
{
    return vmfs_rename(fs->vmfs, from, to, 0);
}

static int library_stat(struct bench_fs *fs, const char *path)
{
    struct vmfs_stat attributes;

    return vmfs_stat(fs->vmfs, path, 0, &attributes);
}

static int library_open_close(struct bench_fs *fs, const char *path)
{
    struct vmfs_file *file;
    int err = vmfs_file_open(fs->vmfs, path, VMFS_O_RDONLY, 0, &file);

    return err != 0 ? err : vmfs_file_close(file);
}

static int library_chmod(struct bench_fs *fs, const char *path, uint32_t mode)
{
    return vmfs_chmod(fs->vmfs, path, mode);
}

static int library_truncate(struct bench_fs *fs, const char *path, uint64_t size_bytes)
{
    return vmfs_truncate(fs->vmfs, path, size_bytes);
}

static int library_setxattr(struct bench_fs *fs, const char *path, const void *value,
                            uint32_t size_bytes)
{
    return vmfs_xattr_set(fs->vmfs, path, 0, "user.bench", value, size_bytes);
}

static int library_file_open(struct bench_fs *fs, const char *path, union fs_file *out)
{
    return vmfs_file_open(fs->vmfs, path, VMFS_O_CREAT | VMFS_O_RDWR, 0644, &out->vmfs);
}

static int library_file_close(union fs_file file)
{
    return vmfs_file_close(file.vmfs);
}

static int library_file_pread(union fs_file file, void *buffer, uint32_t length, uint64_t offset)
{
    return fs_transfer_result(vmfs_file_pread(file.vmfs, buffer, length, offset), length);
}

static int library_file_pwrite(union fs_file file, const void *buffer, uint32_t length,
                               uint64_t offset)
{
    return fs_transfer_result(vmfs_file_pwrite(file.vmfs, buffer, length, offset), length);
}

const struct fs_calls fs_library_calls = {
    .enter = library_enter,
    .counts = library_counts,
    .create = library_create,
    .mknod = library_mknod,
    .mkdir = library_mkdir,
    .symlink = library_symlink,
    .link = library_link,
    .unlink = library_unlink,
    .rmdir = library_rmdir,
    .rename = library_rename,
    .stat = library_stat,
    .open_close = library_open_close,
    .chmod = library_chmod,
    .truncate = library_truncate,
    .setxattr = library_setxattr,
    .file_open = library_file_open,
    .file_close = library_file_close,
    .file_pread = library_file_pread,
    .file_pwrite = library_file_pwrite,
};
