/* xattrs.c -- extended attributes "user.*" from the host to the region and back */
#include "xattrs.h"
#include "path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

static ssize_t host_list(int fd, char **names)
{
    ssize_t size = flistxattr(fd, NULL, 0);

    while (size > 0) {
        ssize_t room = size;
        *names = memory_grow(*names, (size_t)room);
        size = flistxattr(fd, *names, (size_t)room);
        if (size >= 0 || errno != ERANGE)
            break;
        /* Another process added one between the two calls. */
        size = flistxattr(fd, NULL, 0);
    }
    if (size < 0)
        return errno == EOPNOTSUPP ? 0 : -errno;
    return size;
}

static int xattr_put(struct vmfs *fs, const char *path, int fd, const char *name,
                     enum xattrs_side *side)
{
    char *value = memory_grow(NULL, VMFS_XATTR_MAX);
    ssize_t size = fgetxattr(fd, name, value, VMFS_XATTR_MAX);
    int err;

    if (size < 0) {
        *side = XATTRS_HOST;
        err = errno == ENODATA ? 0 : -errno;
    } else {
        *side = XATTRS_REGION;
        err = vmfs_xattr_set(fs, path, VMFS_NOFOLLOW, name, value, (size_t)size);
    }
    free(value);
    return err;
}

int xattrs_put(struct vmfs *fs, const char *path, int fd, enum xattrs_side *side)
{
    char *names = NULL;
    int err = 0;
    ssize_t size = host_list(fd, &names);
    const char *name;

    *side = XATTRS_HOST;
    if (size < 0)
        err = (int)size;
    for (name = names; !err && size > 0 && name < names + size; name += strlen(name) + 1)
        if (strncmp(name, "user.", 5) == 0)
            err = xattr_put(fs, path, fd, name, side);
    free(names);
    return err;
}

static int xattr_get(struct vmfs *fs, const char *path, int fd, const char *name,
                     enum xattrs_side *side)
{
    int64_t size = vmfs_xattr_get(fs, path, VMFS_NOFOLLOW, name, NULL, 0);
    void *value;
    int err = 0;

    *side = XATTRS_REGION;
    if (size < 0)
        return (int)size;
    value = memory_grow(NULL, (size_t)size + 1);
    size = size > 0 ? vmfs_xattr_get(fs, path, VMFS_NOFOLLOW, name, value, (size_t)size) : 0;
    if (size < 0) {
        err = (int)size;
    } else if (fsetxattr(fd, name, value, (size_t)size, 0)) {
        *side = XATTRS_HOST;
        err = -errno;
    }
    free(value);
    return err;
}

int xattrs_get(struct vmfs *fs, const char *path, int fd, enum xattrs_side *side)
{
    int64_t size = vmfs_xattr_list(fs, path, VMFS_NOFOLLOW, NULL, 0);
    char *names;
    const char *name;
    int err = 0;

    *side = XATTRS_REGION;
    if (size <= 0)
        return (int)size;
    names = memory_grow(NULL, (size_t)size);
    size = vmfs_xattr_list(fs, path, VMFS_NOFOLLOW, names, (size_t)size);
    if (size < 0)
        err = (int)size;
    for (name = names; !err && name < names + size; name += strlen(name) + 1)
        err = xattr_get(fs, path, fd, name, side);
    free(names);
    return err;
}
