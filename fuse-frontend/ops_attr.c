/* ops_attr.c -- attributes, flags, the space that is left, and what vmfs_mount.h asks */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>

#include "convert.h"
#include "ops.h"
#include "stats.h"
#include "transport.h"

/* How many inodes fit into a block. */
#define INODES_PER_BLOCK 16

static void reply_attr(fuse_req_t req, const struct vmfs_stat *stat)
{
    const struct stat converted = convert_stat(stat);
    fuse_reply_attr(req, &converted, TIMEOUT_S);
}

static int stat_self(fuse_req_t req, fuse_ino_t ino, struct vmfs_stat *out)
{
    return vmfs_stat_at(fs_of(req), place_self(ino), VMFS_NOFOLLOW, out);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    struct vmfs_stat stat;
    int err = stat_self(req, ino, &stat);
    if (err)
        reply_result(req, err);
    else
        reply_attr(req, &stat);
}

static int64_t time_of(int to_set, int now_bit, struct timespec time)
{
    return to_set & now_bit ? VMFS_TIME_NOW : convert_time_ns(time);
}

static struct vmfs_attr convert_attr(const struct stat *attr, int to_set)
{
    struct vmfs_attr out = {.mode = attr->st_mode & MODE_BITS,
                            .uid = attr->st_uid,
                            .gid = attr->st_gid,
                            .size = (uint64_t)attr->st_size};
    out.mask = (to_set & FUSE_SET_ATTR_MODE ? VMFS_ATTR_MODE : 0u) |
               (to_set & FUSE_SET_ATTR_UID ? VMFS_ATTR_UID : 0u) |
               (to_set & FUSE_SET_ATTR_GID ? VMFS_ATTR_GID : 0u) |
               (to_set & FUSE_SET_ATTR_SIZE ? VMFS_ATTR_SIZE : 0u) |
               (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW) ? VMFS_ATTR_ATIME : 0u) |
               (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW) ? VMFS_ATTR_MTIME : 0u) |
               (to_set & FUSE_SET_ATTR_CTIME ? VMFS_ATTR_CTIME : 0u) |
               (transport_flags()->kills_priv ? VMFS_ATTR_KILL_PRIV : 0u);
    out.ctime_ns = convert_time_ns(attr->st_ctim);
    /* Both times now, which is what an append-only file lets be set: so is the change time then. */
    if (to_set & FUSE_SET_ATTR_ATIME_NOW && to_set & FUSE_SET_ATTR_MTIME_NOW)
        out.mask &= ~(uint32_t)VMFS_ATTR_CTIME;
    out.atime_ns = time_of(to_set, FUSE_SET_ATTR_ATIME_NOW, attr->st_atim);
    out.mtime_ns = time_of(to_set, FUSE_SET_ATTR_MTIME_NOW, attr->st_mtim);
    return out;
}

static bool is_of_nothing(const struct vmfs_attr *change)
{
    return (change->mask | VMFS_ATTR_CTIME) == VMFS_ATTR_CTIME;
}

/* The kernel sends a change of nothing (where it keeps times, of the change time) for a chown() to nobody, and before it lets somebody change a file who may
 * not leave its set-id bits: it means them, and the time of change, as chown() to the present owner does. */
static void change_complete(fuse_req_t req, const struct vmfs_stat *stat, struct vmfs_attr *change)
{
    bool is_nothing = is_of_nothing(change);
    if (is_nothing) {
        change->mask |= VMFS_ATTR_UID | VMFS_ATTR_GID;
        change->uid = stat->uid;
        change->gid = stat->gid;
    }
    if ((is_nothing || change->mask & VMFS_ATTR_KILL_PRIV) && is_sgid_lost(req, stat)) {
        change->mask |= VMFS_ATTR_MODE;
        change->mode = stat->mode & MODE_BITS & ~(uint32_t)(S_ISUID | S_ISGID);
    }
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                struct fuse_file_info *fi)
{
    (void)fi;
    struct vmfs_stat stat;
    struct vmfs_attr change = convert_attr(attr, to_set);
    int err = 0;
    if (is_of_nothing(&change) || change.mask & VMFS_ATTR_KILL_PRIV) {
        err = stat_self(req, ino, &stat);
        if (!err)
            change_complete(req, &stat, &change);
    }
    if (!err)
        err = vmfs_setattr_at(fs_of(req), place_self(ino), VMFS_NOFOLLOW, &change);
    if (!err)
        err = stat_self(req, ino, &stat);
    if (err) {
        reply_result(req, err);
        return;
    }
    forget_listing(frontend_of(req), &stat);
    reply_attr(req, &stat);
}

/* Asked with -o unchecked alone: what access() says of root, which may not execute what nobody may. */
void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    const struct vmfs_cred cred = {.uid = caller->uid, .gid = caller->gid};
    reply_result(req, vmfs_access_at(fs_of(req), place_self(ino), VMFS_NOFOLLOW, &cred, mask));
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct vmfs_statfs space;
    (void)ino;
    int err = vmfs_statfs(fs_of(req), &space);
    if (err) {
        reply_result(req, err);
        return;
    }
    uint64_t inodes_free = space.blocks_free * INODES_PER_BLOCK;
    const struct statvfs out = {.f_bsize = space.block_bytes,
                                .f_frsize = space.block_bytes,
                                .f_blocks = space.blocks_total,
                                .f_bfree = space.blocks_free,
                                .f_bavail = space.blocks_free,
                                .f_files = space.inodes_used + inodes_free,
                                .f_ffree = inodes_free,
                                .f_favail = inodes_free,
                                .f_namemax = space.name_max};
    fuse_reply_statfs(req, &out);
}

/* One flag of an inode in its three spellings. */
static const struct {
    uint32_t own;
    uint32_t ioctl;
    uint32_t xflag;
} inode_flags[] = {
    {VMFS_INODE_IMMUTABLE, FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
    {VMFS_INODE_APPEND, FS_APPEND_FL, FS_XFLAG_APPEND},
    {VMFS_INODE_NOATIME, FS_NOATIME_FL, FS_XFLAG_NOATIME},
    {VMFS_INODE_NODUMP, FS_NODUMP_FL, FS_XFLAG_NODUMP},
};
#define INODE_FLAGS (sizeof inode_flags / sizeof *inode_flags)

static void flags_get(fuse_req_t req, fuse_ino_t ino, bool is_xflags)
{
    struct vmfs_stat stat;
    struct fsxattr wide = {.fsx_xflags = 0};
    uint32_t narrow = 0;
    int err = stat_self(req, ino, &stat);
    if (err) {
        reply_result(req, err);
        return;
    }
    for (size_t i = 0; i < INODE_FLAGS; i++) {
        narrow |= stat.flags & inode_flags[i].own ? inode_flags[i].ioctl : 0;
        wide.fsx_xflags |= stat.flags & inode_flags[i].own ? inode_flags[i].xflag : 0;
    }
    if (is_xflags)
        fuse_reply_ioctl(req, 0, &wide, sizeof wide);
    else
        fuse_reply_ioctl(req, 0, &narrow, sizeof narrow);
}

/* The inode flags that `given` spells; false if it says what is not kept. */
static bool flags_convert(uint32_t given, bool is_xflags, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < INODE_FLAGS; i++) {
        uint32_t spelling = is_xflags ? inode_flags[i].xflag : inode_flags[i].ioctl;
        *out |= given & spelling ? inode_flags[i].own : 0;
        given &= ~spelling;
    }
    return given == 0;
}

/* The kernel does not expect that the change time changes by an ioctl: it is told, which waits for
 * nothing as no data are concerned. */
static void flags_set(fuse_req_t req, fuse_ino_t ino, bool is_xflags, const void *in)
{
    struct fsxattr wide;
    uint32_t narrow;
    struct vmfs_attr change = {.mask = VMFS_ATTR_FLAGS};
    if (is_xflags)
        memcpy(&wide, in, sizeof wide);
    else
        memcpy(&narrow, in, sizeof narrow);
    if (!flags_convert(is_xflags ? wide.fsx_xflags : narrow, is_xflags, &change.flags) ||
        (is_xflags && (wide.fsx_extsize || wide.fsx_projid || wide.fsx_cowextsize))) {
        reply_result(req, -EOPNOTSUPP);
        return;
    }
    struct frontend *frontend = frontend_of(req);
    int err = vmfs_setattr_at(frontend->fs, place_self(ino), VMFS_NOFOLLOW, &change);
    if (err) {
        reply_result(req, err);
        return;
    }
    fuse_lowlevel_notify_inval_inode(frontend->session, ino, -1, 0);
    fuse_reply_ioctl(req, 0, NULL, 0);
}

static void stats_get(fuse_req_t req)
{
    static _Thread_local struct vmfs_mount_stats stats;
    int err = stats_fill(frontend_of(req), &stats);
    if (err)
        reply_result(req, err);
    else
        fuse_reply_ioctl(req, 0, &stats, sizeof stats);
}

/* The kernel hands the flags over as 32 bits, whatever the number of the ioctl says. */
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned command, void *arg,
              struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_bytes,
              size_t out_bytes)
{
    (void)arg;
    (void)fi;
    (void)flags;
    if (command == FS_IOC_GETFLAGS && out_bytes >= sizeof(uint32_t))
        flags_get(req, ino, false);
    else if (command == FS_IOC_FSGETXATTR && out_bytes >= sizeof(struct fsxattr))
        flags_get(req, ino, true);
    else if (command == FS_IOC_SETFLAGS && in_bytes >= sizeof(uint32_t))
        flags_set(req, ino, false, in);
    else if (command == FS_IOC_FSSETXATTR && in_bytes >= sizeof(struct fsxattr))
        flags_set(req, ino, true, in);
    else if (command == (unsigned)VMFS_MOUNT_GET_STATS && ino == FUSE_ROOT_ID &&
             out_bytes >= sizeof(struct vmfs_mount_stats))
        stats_get(req);
    else
        reply_result(req, -ENOTTY);
}
