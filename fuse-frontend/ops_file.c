/* ops_file.c -- opening, creating and closing files, and syncing them */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "convert.h"
#include "files.h"
#include "ops.h"
#include "transport.h"

#define DAY_NS ((int64_t)86400 * NS_PER_S)

/* Each write says for itself whether it appends, as fcntl() may change that: a handle does not, unless
 * nothing else is let in. */
#define FLAGS_LEFT (VMFS_O_ACCMODE | VMFS_O_TRUNC | VMFS_O_NOATIME)

/* A kernel that collects writes reads the rest of a page through the handle that wrote part of it. */
static int handle_flags(fuse_req_t req, const struct fuse_file_info *fi)
{
    int flags = fi->flags & FLAGS_LEFT;
    if (frontend_of(req)->options.has_writeback && (flags & VMFS_O_ACCMODE) == VMFS_O_WRONLY)
        flags = (flags & ~VMFS_O_ACCMODE) | VMFS_O_RDWR;
    return flags | (transport_flags()->kills_priv ? VMFS_O_KILL_PRIV : 0);
}

static int handle_open(fuse_req_t req, struct vmfs_at at, const struct fuse_file_info *fi,
                       struct vmfs_file **out)
{
    int flags = handle_flags(req, fi);
    int err = vmfs_file_open_at(fs_of(req), at, flags, 0, out);
    if (err == -EPERM && (fi->flags & O_APPEND))
        err = vmfs_file_open_at(fs_of(req), at, flags | VMFS_O_APPEND, 0, out);
    return err;
}

/* True if reading would set the access time now: then reads must come to us, not be answered from the
 * kernel's cache. */
static bool is_atime_due(const struct vmfs_stat *stat)
{
    struct timespec now;
    if (stat->flags & VMFS_INODE_NOATIME)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    return stat->atime_ns <= stat->mtime_ns || stat->atime_ns <= stat->ctime_ns ||
           convert_time_ns(now) - stat->atime_ns >= DAY_NS;
}

/* With O_DIRECT the kernel passes each call on at once, where it would go by way of its queue for
 * asynchronous requests (6 % of a 4 KiB read). It then asks for no fsync() after a write with O_DSYNC, and
 * does not look at what it has collected: those take the other way. */
static bool is_direct(fuse_req_t req, const struct fuse_file_info *fi)
{
    const struct frontend *frontend = frontend_of(req);
    const char *kernel = frontend->options.kernel;
    bool is_synced = (fi->flags & O_DSYNC) || (kernel && strstr(kernel, "sync"));
    return (fi->flags & O_DIRECT) && transport_maps_uncached() &&
           !frontend->options.has_writeback && (frontend->is_power || !is_synced);
}

static void handle_fill(fuse_req_t req, struct vmfs_file *file, struct fuse_file_info *fi)
{
    struct vmfs_stat stat;
    bool touches = (fi->flags & O_ACCMODE) != O_WRONLY && !(fi->flags & O_NOATIME) &&
                   !frontend_of(req)->options.leaves_atime;
    fi->keep_cache = !touches || (vmfs_file_stat(file, &stat) == 0 && !is_atime_due(&stat));
    fi->direct_io = is_direct(req, fi);
    fi->noflush = 1;
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct vmfs_file *file;
    int err = handle_open(req, place_self(ino), fi, &file);
    if (!err) {
        if (fi->flags & O_TRUNC && transport_flags()->kills_priv)
            lose_sgid(req, ino);
        handle_fill(req, file, fi);
        err = files_add(file, &fi->fh);
    }
    if (err)
        reply_result(req, err);
    else if (fuse_reply_open(req, fi) < 0)
        files_close(fi->fh);
}

static int create(fuse_req_t req, struct vmfs_at at, mode_t mode, struct fuse_file_info *fi,
                  struct vmfs_file **out)
{
    bool is_tmpfile = transport_flags()->is_tmpfile;
    int flags = handle_flags(req, fi) | (fi->flags & O_EXCL);
    if (is_tmpfile)
        at.path = "";
    return vmfs_file_open_at(fs_of(req), at, flags | (is_tmpfile ? VMFS_O_TMPFILE : VMFS_O_CREAT),
                             mode & MODE_BITS, out);
}

/* The new file is known to the kernel by two things: its handle, and its inode, which is held. */
static int create_known(fuse_req_t req, struct vmfs_at at, mode_t mode, struct fuse_file_info *fi,
                        struct vmfs_stat *stat)
{
    struct vmfs_file *file;
    int err = create(req, at, mode, fi, &file);
    if (err)
        return err;
    err = vmfs_lookup(fs_of(req), place_self(vmfs_file_ino(file)), stat);
    if (err) {
        vmfs_file_close(file);
        return err;
    }
    err = files_add(file, &fi->fh);
    if (err)
        vmfs_release(fs_of(req), stat->ino, 1);
    return err;
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi)
{
    struct vmfs *fs = fs_of(req);
    struct vmfs_stat stat;
    int err = create_known(req, place_of(req, parent, name), mode, fi, &stat);
    if (err) {
        reply_result(req, err);
        return;
    }
    const struct fuse_entry_param entry = convert_entry(&stat);
    fi->direct_io = is_direct(req, fi);
    fi->noflush = 1;
    if (fuse_reply_create(req, &entry, fi) < 0) {
        files_close(fi->fh);
        vmfs_release(fs, stat.ino, 1);
    }
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    reply_result(req, files_close(fi->fh));
}

/* The kernel remembers ENOSYS and says yes by itself. */
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)ino;
    (void)datasync;
    reply_result(req, frontend_of(req)->is_power ? -ENOSYS : vmfs_file_sync(files_get(fi->fh)));
}
