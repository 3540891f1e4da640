/* ops_xattr.c -- extended attributes, access control lists among them */
#include <errno.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "convert.h"
#include "ops.h"
#include "transport.h"

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                 int flags)
{
    int how = VMFS_NOFOLLOW | (flags & XATTR_CREATE ? VMFS_XATTR_CREATE : 0) |
              (flags & XATTR_REPLACE ? VMFS_XATTR_REPLACE : 0) |
              (transport_flags()->kills_sgid ? VMFS_XATTR_KILL_SGID : 0);
    reply_result(req, vmfs_xattr_set_at(fs_of(req), place_self(ino), how, name, value, size));
}

/* Answers with `got` bytes of `value`, or with their number where the caller asked for that only. */
static void reply_value(fuse_req_t req, int64_t got, const char *value, size_t size)
{
    if (got < 0)
        reply_result(req, got);
    else if (size == 0)
        fuse_reply_xattr(req, (size_t)got);
    else
        fuse_reply_buf(req, value, (size_t)got);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    char *value = size ? malloc(size) : NULL;
    int64_t got = size && !value ? -ENOMEM
                                 : vmfs_xattr_get_at(fs_of(req), place_self(ino), VMFS_NOFOLLOW,
                                                     name, value, size);
    reply_value(req, got, value, size);
    free(value);
}

/* Names of trusted attributes are for those who may read them, root. */
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    int how = VMFS_NOFOLLOW | (fuse_req_ctx(req)->uid ? VMFS_XATTR_NO_TRUSTED : 0);
    char *names = size ? malloc(size) : NULL;
    int64_t got = size && !names
                      ? -ENOMEM
                      : vmfs_xattr_list_at(fs_of(req), place_self(ino), how, names, size);
    reply_value(req, got, names, size);
    free(names);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    reply_result(req, vmfs_xattr_remove_at(fs_of(req), place_self(ino), VMFS_NOFOLLOW, name));
}
