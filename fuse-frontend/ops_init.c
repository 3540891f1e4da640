/* ops_init.c -- the table of callbacks, and what is agreed upon with the kernel */
#include "convert.h"
#include "ops.h"

#define BACKGROUND_MAX 64

/* The page cache of this mount is always right (TIMEOUT_S), so the kernel is not to drop it because a
 * time has changed. What it can do alone, it does: locks, access checks. */
#define CAPS                                                                                       \
    (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_DONT_MASK |     \
     FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_IOCTL_DIR | FUSE_CAP_READDIRPLUS |                         \
     FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_POSIX_ACL |                    \
     FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_PARALLEL_DIROPS)

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    const struct frontend *frontend = userdata;
    conn->want = conn->capable & CAPS;
    if (frontend->options.is_unchecked)
        conn->want &= ~(unsigned)FUSE_CAP_POSIX_ACL; /* with it the kernel checks */
    if (frontend->options.has_writeback)
        conn->want |= conn->capable & FUSE_CAP_WRITEBACK_CACHE;
    conn->max_write = MAX_IO_BYTES;
    conn->max_background = BACKGROUND_MAX;
    conn->congestion_threshold = BACKGROUND_MAX;
    conn->time_gran = 1;
}

const struct fuse_lowlevel_ops operations = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .readlink = op_readlink,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .symlink = op_symlink,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .link = op_link,
    .create = op_create,
    .open = op_open,
    .release = op_release,
    .fsync = op_fsync,
    .read = op_read,
    .write = op_write,
    .fallocate = op_fallocate,
    .lseek = op_lseek,
    .copy_file_range = op_copy_file_range,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .fsyncdir = op_fsyncdir,
    .statfs = op_statfs,
    .access = op_access,
    .setxattr = op_setxattr,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .removexattr = op_removexattr,
    .ioctl = op_ioctl,
};
