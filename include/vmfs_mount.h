/* vmfs_mount.h -- what a program can ask a mounted region (vmfs-fuse)
 *
 * A mounted region belongs to its daemon, so nobody else can open it; what the daemon counts is read
 * with one ioctl() on the mountpoint's root directory:
 *
 *     struct vmfs_mount_stats stats;
 *     int dir = open("/mnt", O_RDONLY | O_DIRECTORY);
 *     int err = ioctl(dir, VMFS_MOUNT_GET_STATS, &stats);
 *
 * -1 with errno ENOTTY: nothing of vmfs is mounted there, or a daemon whose structure has another
 * size, which is a part of the ioctl's number. Who may open the root may ask. Nothing is reset: rates
 * are differences of two samples. Numbers that change meanwhile may be of slightly different instants. */
#ifndef VMFS_MOUNT_H
#define VMFS_MOUNT_H

#include <stdint.h>
#include <sys/ioctl.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the kernel asks the daemon: x(NAME, "name"), in this order in vmfs_mount_stats.ops. */
// clang-format off
#define VMFS_MOUNT_OPS(x)                                                                          \
    x(LOOKUP, "lookup") x(FORGET, "forget") x(GETATTR, "getattr") x(SETATTR, "setattr")            \
    x(READLINK, "readlink") x(SYMLINK, "symlink") x(MKNOD, "mknod") x(MKDIR, "mkdir")              \
    x(UNLINK, "unlink") x(RMDIR, "rmdir") x(RENAME, "rename") x(LINK, "link") x(OPEN, "open")      \
    x(READ, "read") x(WRITE, "write") x(STATFS, "statfs") x(RELEASE, "release") x(FSYNC, "fsync")  \
    x(SETXATTR, "setxattr") x(GETXATTR, "getxattr") x(LISTXATTR, "listxattr")                      \
    x(REMOVEXATTR, "removexattr") x(FLUSH, "flush") x(OPENDIR, "opendir") x(READDIR, "readdir")    \
    x(RELEASEDIR, "releasedir") x(FSYNCDIR, "fsyncdir") x(CREATE, "create")                        \
    x(TMPFILE, "tmpfile") x(FALLOCATE, "fallocate") x(LSEEK, "lseek")                              \
    x(COPY_FILE_RANGE, "copy_file_range") x(IOCTL, "ioctl") x(OTHER, "other")
// clang-format on

enum vmfs_mount_op_id {
#define VMFS_MOUNT_OP_ID(name, text) VMFS_MOUNT_##name,
    VMFS_MOUNT_OPS(VMFS_MOUNT_OP_ID)
#undef VMFS_MOUNT_OP_ID
        VMFS_MOUNT_OPS_COUNT
};

/* Times are sorted into four buckets for each power of two: the first has all below
 * 1 << VMFS_MOUNT_SHIFT ns, the last whatever is longer than the one before. */
#define VMFS_MOUNT_BUCKETS 80
#define VMFS_MOUNT_SHIFT   9

/* One kind of request, from the return of the daemon's read to the return of its reply. Forgets that
 * come in one request are one. */
struct vmfs_mount_op {
    uint64_t count;
    uint64_t failed; /* answered with an error; a lookup that finds nothing is none */
    uint64_t sum_ns;
    uint64_t max_ns;                      /* since the mount */
    uint32_t buckets[VMFS_MOUNT_BUCKETS]; /* each counts modulo 2^32 */
};

#define VMFS_MOUNT_STATS_VERSION 1

struct vmfs_mount_stats {
    uint32_t version;      /* VMFS_MOUNT_STATS_VERSION */
    uint32_t struct_bytes; /* sizeof(struct vmfs_mount_stats) */
    uint64_t uptime_ns;    /* since the mount */
    uint64_t holds;        /* inodes that the kernel remembers, each once */
    uint64_t threads;      /* that serve */
    /* struct vmfs_counters of the handle. */
    uint64_t ops;
    uint64_t fences;
    uint64_t lines;
    uint64_t bytes;
    uint64_t shared;
    /* Of struct vmfs_info. */
    uint64_t region_bytes;
    uint64_t journal_bytes; /* of all lanes */
    uint64_t journal_bytes_used;
    uint64_t checkpoint_fences;
    uint64_t sync_rounds;
    uint64_t sync_calls;
    uint64_t orphans;
    uint32_t durability; /* enum vmfs_durability */
    uint32_t is_read_only;
    /* Of struct vmfs_statfs. */
    uint64_t block_bytes;
    uint64_t blocks_total;
    uint64_t blocks_free;
    uint64_t inodes_used;
    struct vmfs_mount_op by_op[VMFS_MOUNT_OPS_COUNT];
};

#define VMFS_MOUNT_GET_STATS _IOR('v', 0x53, struct vmfs_mount_stats)

/* The number of the bucket for `ns`. */
static inline uint32_t vmfs_mount_bucket(uint64_t ns)
{
    uint32_t power = VMFS_MOUNT_SHIFT;

    if (ns >> VMFS_MOUNT_SHIFT == 0)
        return 0;
    while (ns >> (power + 1) != 0)
        power++;
    uint32_t bucket = (power - VMFS_MOUNT_SHIFT) * 4 + ((uint32_t)(ns >> (power - 2)) & 3);
    return bucket < VMFS_MOUNT_BUCKETS ? bucket : VMFS_MOUNT_BUCKETS - 1;
}

/* Nothing in the bucket took this many ns or longer; of the last that is not known. */
static inline uint64_t vmfs_mount_bucket_end_ns(uint32_t bucket)
{
    return (uint64_t)(bucket % 4 + 5) << (VMFS_MOUNT_SHIFT - 2 + bucket / 4);
}

#ifdef __cplusplus
}
#endif
#endif
