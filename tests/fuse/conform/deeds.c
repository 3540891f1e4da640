/* deeds.c -- single calls, run as whoever is asked */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "conform.h"

static long close_after(int fd, long result)
{
    if (fd >= 0)
        close(fd);
    return result;
}

long do_open(struct deed *d)
{
    int fd = open(d->a, (int)d->x | O_CLOEXEC, (mode_t)d->y);
    long result = sys(fd);
    return close_after(fd, result < 0 ? result : 0);
}

long do_mkdir(struct deed *d)
{
    return sys(mkdir(d->a, (mode_t)d->x));
}

long do_mknod(struct deed *d)
{
    return sys(mknod(d->a, (mode_t)d->x, (dev_t)d->y));
}

long do_symlink(struct deed *d)
{
    return sys(symlink(d->b, d->a));
}

long do_link(struct deed *d)
{
    return sys(linkat(AT_FDCWD, d->a, AT_FDCWD, d->b, (int)d->x));
}

long do_unlink(struct deed *d)
{
    return sys(unlink(d->a));
}

long do_rmdir(struct deed *d)
{
    return sys(rmdir(d->a));
}

long do_rename(struct deed *d)
{
    if (d->x == 0)
        return sys(rename(d->a, d->b));
    return sys(renameat2(AT_FDCWD, d->a, AT_FDCWD, d->b, (unsigned)d->x));
}

long do_chmod(struct deed *d)
{
    return sys(chmod(d->a, (mode_t)d->x));
}

static int open_any(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 ? fd : open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

long do_fchmod(struct deed *d)
{
    int fd = open_any(d->a);
    return close_after(fd, fd < 0 ? sys(fd) : sys(fchmod(fd, (mode_t)d->x)));
}

long do_chown(struct deed *d)
{
    return sys(fchownat(AT_FDCWD, d->a, (uid_t)d->x, (gid_t)d->y, (int)d->z));
}

long do_fchown(struct deed *d)
{
    int fd = open_any(d->a);
    return close_after(fd, fd < 0 ? sys(fd) : sys(fchown(fd, (uid_t)d->x, (gid_t)d->y)));
}

long do_truncate(struct deed *d)
{
    return sys(truncate(d->a, d->x));
}

long do_ftruncate(struct deed *d)
{
    int fd = open(d->a, O_WRONLY | O_CLOEXEC);
    return close_after(fd, fd < 0 ? sys(fd) : sys(ftruncate(fd, d->x)));
}

long do_access(struct deed *d)
{
    return sys(faccessat(AT_FDCWD, d->a, (int)d->x, (int)d->y));
}

static struct timespec time_of(long ns)
{
    if (ns == UTIME_NOW || ns == UTIME_OMIT)
        return (struct timespec){0, ns};
    long second = ns / 1000000000;
    long rest = ns % 1000000000;
    return rest < 0 ? (struct timespec){second - 1, rest + 1000000000}
                    : (struct timespec){second, rest};
}

long do_utimens(struct deed *d)
{
    struct timespec times[2] = {time_of(d->y), time_of(d->z)};
    return sys(utimensat(AT_FDCWD, d->a, times, (int)d->x));
}

long do_readdir(struct deed *d)
{
    size_t used = 0;
    long count = 0;
    struct dirent *entry;
    DIR *stream = opendir(d->a);
    if (!stream)
        return -errno;
    errno = 0;
    while ((entry = readdir(stream))) {
        size_t length = strlen(entry->d_name) + 1;
        if (used + length < DEED_OUT_BYTES)
            memcpy(d->out + used, entry->d_name, length);
        used += length;
        count++;
    }
    count = errno ? -errno : count;
    closedir(stream);
    return count;
}

long do_read(struct deed *d)
{
    int fd = open(d->a, O_RDONLY | O_CLOEXEC);
    return close_after(fd, fd < 0 ? sys(fd) : sys(pread(fd, d->out, (size_t)d->y, d->x)));
}

long do_write(struct deed *d)
{
    int fd = open(d->a, O_WRONLY | O_CLOEXEC | (int)d->y);
    return close_after(fd, fd < 0 ? sys(fd) : sys(pwrite(fd, d->b, strlen(d->b), d->x)));
}
