/* fs_system.c -- the same calls by way of the kernel, below the current directory */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs.h"

static int system_result(int result)
{
    return result == 0 ? 0 : -errno;
}

static int system_enter(struct bench_fs *fs)
{
    return system_result(fchdir(fs->root_fd));
}

static int open_and_close(const char *path, int flags)
{
    int fd = open(path, flags, 0644);

    return fd < 0 ? -errno : system_result(close(fd));
}

static int system_create(struct bench_fs *fs, const char *path)
{
    (void)fs;
    return open_and_close(path, O_CREAT | O_EXCL | O_WRONLY);
}

static int system_mknod(struct bench_fs *fs, const char *path)
{
    (void)fs;
    return system_result(mknod(path, S_IFREG | 0644, 0));
}

static int system_mkdir(struct bench_fs *fs, const char *path)
{
    (void)fs;
    return system_result(mkdir(path, 0755));
}

static int system_symlink(struct bench_fs *fs, const char *target, const char *path)
{
    (void)fs;
    return system_result(symlink(target, path));
}

static int system_link(struct bench_fs *fs, const char *existing, const char *path)
{
    (void)fs;
    return system_result(link(existing, path));
}

static int system_unlink(struct bench_fs *fs, const char *path)
{
    (void)fs;
    return system_result(unlink(path));
}

static int system_rmdir(struct bench_fs *fs, const char *path)
{
    (void)fs;
    return system_result(rmdir(path));
}

static int system_rename(struct bench_fs *fs, const char *from, const char *to)
{
    (void)fs;
    return system_result(rename(from, to));
}

static int system_stat(struct bench_fs *fs, const char *path)
{
    struct stat attributes;

    (void)fs;
    return system_result(stat(path, &attributes));
}

static int system_open_close(struct bench_fs *fs, const char *path)
{
    (void)fs;
    return open_and_close(path, O_RDONLY);
}

static int system_chmod(struct bench_fs *fs, const char *path, uint32_t mode)
{
    (void)fs;
    return system_result(chmod(path, mode));
}

static int system_truncate(struct bench_fs *fs, const char *path, uint64_t size_bytes)
{
    (void)fs;
    return system_result(truncate(path, (off_t)size_bytes));
}

static int system_setxattr(struct bench_fs *fs, const char *path, const void *value,
                           uint32_t size_bytes)
{
    (void)fs;
    return system_result(setxattr(path, "user.bench", value, size_bytes, 0));
}

static int system_file_open(struct bench_fs *fs, const char *path, union fs_file *out)
{
    int fd = open(path, O_CREAT | O_RDWR, 0644);

    (void)fs;
    if (fd < 0)
        return -errno;
    out->fd = fd;
    return 0;
}

static int system_file_close(union fs_file file)
{
    return system_result(close(file.fd));
}

static int system_file_pread(union fs_file file, void *buffer, uint32_t length, uint64_t offset)
{
    ssize_t done = pread(file.fd, buffer, length, (off_t)offset);

    return fs_transfer_result(done < 0 ? -errno : done, length);
}

static int system_file_pwrite(union fs_file file, const void *buffer, uint32_t length,
                              uint64_t offset)
{
    ssize_t done = pwrite(file.fd, buffer, length, (off_t)offset);

    return fs_transfer_result(done < 0 ? -errno : done, length);
}

const struct fs_calls fs_system_calls = {
    .enter = system_enter,
    .create = system_create,
    .mknod = system_mknod,
    .mkdir = system_mkdir,
    .symlink = system_symlink,
    .link = system_link,
    .unlink = system_unlink,
    .rmdir = system_rmdir,
    .rename = system_rename,
    .stat = system_stat,
    .open_close = system_open_close,
    .chmod = system_chmod,
    .truncate = system_truncate,
    .setxattr = system_setxattr,
    .file_open = system_file_open,
    .file_close = system_file_close,
    .file_pread = system_file_pread,
    .file_pwrite = system_file_pwrite,
};
