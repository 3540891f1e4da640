/* ops_name.c -- names: looking up, making, taking away, moving; and forgetting */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "convert.h"
#include "ops.h"

/* open_by_handle_at() looks up "." of what need not be a directory, and only if the kernel does not hold it: what
 * then has no name either is gone, and its forget is on the way. */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct vmfs_stat stat;
    bool is_handle = strcmp(name, ".") == 0;
    int err = vmfs_lookup(fs_of(req), place_judged(parent, is_handle ? "" : name), &stat);
    if (!err && is_handle && stat.nlink == 0) {
        vmfs_release(fs_of(req), stat.ino, 1);
        err = -ESTALE;
    }
    if (!err)
        reply_held(req, &stat);
    else if (err == -ENOENT)
        fuse_reply_entry(req, &(struct fuse_entry_param){.entry_timeout = TIMEOUT_S});
    else
        reply_result(req, err);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    vmfs_release(fs_of(req), ino, count);
    fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        vmfs_release(fs_of(req), forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    char target[VMFS_PATH_MAX + 1];
    int64_t length = vmfs_readlink_at(fs_of(req), place_self(ino), target, sizeof target - 1);
    if (length < 0) {
        reply_result(req, length);
        return;
    }
    target[length] = '\0';
    fuse_reply_readlink(req, target);
}

static void make(fuse_req_t req, fuse_ino_t parent, const char *name, const struct vmfs_make *what)
{
    struct vmfs_stat stat;
    int err = vmfs_make(fs_of(req), place_of(req, parent, name), what, &stat);
    if (err)
        reply_result(req, err);
    else
        reply_held(req, &stat);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    make(req, parent, name, &(struct vmfs_make){.mode = mode, .rdev = rdev});
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    make(req, parent, name, &(struct vmfs_make){.mode = VMFS_S_IFDIR | (mode & MODE_BITS)});
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    make(req, parent, name, &(struct vmfs_make){.mode = VMFS_S_IFLNK | 0777, .target = target});
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    reply_result(req, vmfs_unlink_at(fs_of(req), place_judged(parent, name)));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    reply_result(req, vmfs_rmdir_at(fs_of(req), place_judged(parent, name)));
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
               const char *newname, unsigned flags)
{
    reply_result(req, vmfs_rename_at(fs_of(req), place_judged(parent, name),
                                     place_judged(newparent, newname), flags));
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
    struct vmfs *fs = fs_of(req);
    struct vmfs_stat stat;
    int err = vmfs_link_at(fs, place_self(ino), place_of(req, newparent, newname), 0);
    if (!err)
        err = vmfs_lookup(fs, place_self(ino), &stat);
    if (err)
        reply_result(req, err);
    else
        reply_held(req, &stat);
}
