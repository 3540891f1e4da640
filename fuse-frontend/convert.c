/* convert.c -- times, attributes, places and replies */
#include "convert.h"

#include <string.h>
#include <sys/stat.h>

#include "helper.h"

struct timespec convert_timespec(int64_t time_ns)
{
    int64_t rest = time_ns % NS_PER_S;
    int64_t seconds = time_ns / NS_PER_S - (rest < 0);
    return (struct timespec){.tv_sec = seconds, .tv_nsec = rest < 0 ? rest + NS_PER_S : rest};
}

int64_t convert_time_ns(struct timespec time)
{
    int64_t time_ns;
    if (__builtin_mul_overflow((int64_t)time.tv_sec, (int64_t)NS_PER_S, &time_ns) ||
        __builtin_add_overflow(time_ns, (int64_t)time.tv_nsec, &time_ns))
        return time.tv_sec < 0 ? VMFS_TIME_NOW + 1 : INT64_MAX;
    return time_ns;
}

struct stat convert_stat(const struct vmfs_stat *from)
{
    return (struct stat){
        .st_ino = from->ino,
        .st_mode = from->mode,
        .st_nlink = from->nlink,
        .st_uid = from->uid,
        .st_gid = from->gid,
        .st_rdev = from->rdev,
        .st_size = (off_t)from->size,
        .st_blocks = (blkcnt_t)from->blocks,
        .st_blksize = IO_BLOCK,
        .st_atim = convert_timespec(from->atime_ns),
        .st_mtim = convert_timespec(from->mtime_ns),
        .st_ctim = convert_timespec(from->ctime_ns),
    };
}

struct fuse_entry_param convert_entry(const struct vmfs_stat *from)
{
    return (struct fuse_entry_param){.ino = from->ino,
                                     .generation = 0, /* the id holds it */
                                     .attr = convert_stat(from),
                                     .attr_timeout = TIMEOUT_S,
                                     .entry_timeout = TIMEOUT_S};
}

struct vmfs_at place_of(fuse_req_t req, fuse_ino_t dir, const char *name)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    return (struct vmfs_at){.dir = dir,
                            .path = name,
                            .uid = caller->uid,
                            .gid = caller->gid,
                            .umask = (uint32_t)caller->umask};
}

struct vmfs_at place_judged(fuse_ino_t dir, const char *name)
{
    return (struct vmfs_at){.dir = dir, .path = name, .uid = 0, .gid = 0, .umask = 0};
}

struct vmfs_at place_self(fuse_ino_t ino)
{
    return place_judged(ino, "");
}

void forget_listing(struct frontend *frontend, const struct vmfs_stat *stat)
{
    if ((stat->mode & VMFS_S_IFMT) == VMFS_S_IFDIR && !frontend->options.leaves_atime)
        fuse_lowlevel_notify_inval_inode(frontend->session, stat->ino, 0, 0);
}

bool is_sgid_lost(fuse_req_t req, const struct vmfs_stat *stat)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    return (stat->mode & (S_ISGID | S_IXGRP)) == S_ISGID && !S_ISDIR(stat->mode) &&
           caller->uid != 0 && caller->gid != stat->gid &&
           !helper_is_in_group(caller->pid, stat->gid);
}

void lose_sgid(fuse_req_t req, fuse_ino_t ino)
{
    struct vmfs *fs = fs_of(req);
    struct vmfs_stat stat;
    if (vmfs_stat_at(fs, place_self(ino), VMFS_NOFOLLOW, &stat) || !is_sgid_lost(req, &stat))
        return;
    const struct vmfs_attr change = {
        .mask = VMFS_ATTR_MODE, .mode = stat.mode & MODE_BITS & ~(uint32_t)(S_ISUID | S_ISGID)};
    (void)vmfs_setattr_at(fs, place_self(ino), VMFS_NOFOLLOW, &change);
}

void reply_result(fuse_req_t req, int64_t result)
{
    fuse_reply_err(req, result < 0 ? (int)-result : 0);
}

void reply_held(fuse_req_t req, const struct vmfs_stat *stat)
{
    struct vmfs *fs = fs_of(req);
    struct fuse_entry_param entry = convert_entry(stat);
    if (fuse_reply_entry(req, &entry) < 0)
        vmfs_release(fs, stat->ino, 1);
}
