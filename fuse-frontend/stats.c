/* stats.c -- counters in shards, one for each thread, added up when somebody asks */
#include "stats.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "wire.h"

struct op_count {
    _Atomic uint64_t count;
    _Atomic uint64_t failed;
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t max_ns;
    _Atomic uint32_t buckets[VMFS_MOUNT_BUCKETS];
};

/* Written by its thread alone. Shards are never freed: what a thread that has ended served still counts. */
struct shard {
    _Alignas(64) struct op_count ops[VMFS_MOUNT_OPS_COUNT];
    struct shard *next;
};

static _Atomic(struct shard *) shards;
static _Thread_local struct shard *own_shard;
static _Thread_local struct {
    int64_t begin_ns;
    int64_t end_ns; /* of the last one */
    int64_t idle_ns;
    uint32_t opcode;
    bool is_running;
} running;

#define OP(opcode, name) [opcode] = VMFS_MOUNT_##name + 1
static const uint8_t ids[] = {
    OP(FUSE_LOOKUP, LOOKUP),
    OP(FUSE_FORGET, FORGET),
    OP(FUSE_BATCH_FORGET, FORGET),
    OP(FUSE_GETATTR, GETATTR),
    OP(WIRE_STATX, GETATTR),
    OP(FUSE_SETATTR, SETATTR),
    OP(FUSE_READLINK, READLINK),
    OP(FUSE_SYMLINK, SYMLINK),
    OP(FUSE_MKNOD, MKNOD),
    OP(FUSE_MKDIR, MKDIR),
    OP(FUSE_UNLINK, UNLINK),
    OP(FUSE_RMDIR, RMDIR),
    OP(FUSE_RENAME, RENAME),
    OP(FUSE_RENAME2, RENAME),
    OP(FUSE_LINK, LINK),
    OP(FUSE_OPEN, OPEN),
    OP(FUSE_READ, READ),
    OP(FUSE_WRITE, WRITE),
    OP(FUSE_STATFS, STATFS),
    OP(FUSE_RELEASE, RELEASE),
    OP(FUSE_FSYNC, FSYNC),
    OP(WIRE_SYNCFS, FSYNC),
    OP(FUSE_SETXATTR, SETXATTR),
    OP(FUSE_GETXATTR, GETXATTR),
    OP(FUSE_LISTXATTR, LISTXATTR),
    OP(FUSE_REMOVEXATTR, REMOVEXATTR),
    OP(FUSE_FLUSH, FLUSH),
    OP(FUSE_OPENDIR, OPENDIR),
    OP(FUSE_READDIR, READDIR),
    OP(FUSE_READDIRPLUS, READDIR),
    OP(FUSE_RELEASEDIR, RELEASEDIR),
    OP(FUSE_FSYNCDIR, FSYNCDIR),
    OP(FUSE_CREATE, CREATE),
    OP(WIRE_TMPFILE, TMPFILE),
    OP(FUSE_FALLOCATE, FALLOCATE),
    OP(FUSE_LSEEK, LSEEK),
    OP(FUSE_COPY_FILE_RANGE, COPY_FILE_RANGE),
    OP(WIRE_COPY_FILE_RANGE_64, COPY_FILE_RANGE),
    OP(FUSE_IOCTL, IOCTL),
};

int64_t stats_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint32_t stats_opcode(void)
{
    return running.is_running ? running.opcode : 0;
}

void stats_begin(uint32_t opcode)
{
    running.opcode = opcode;
    running.begin_ns = stats_now_ns();
    running.idle_ns = running.begin_ns - running.end_ns;
    running.is_running = true;
}

int64_t stats_idle_ns(void)
{
    return running.idle_ns;
}

static struct shard *shard_get(void)
{
    if (own_shard)
        return own_shard;
    struct shard *fresh = aligned_alloc(_Alignof(struct shard), sizeof *fresh);
    if (!fresh)
        return NULL;
    *fresh = (struct shard){.next = atomic_load(&shards)};
    while (!atomic_compare_exchange_weak(&shards, &fresh->next, fresh))
        ;
    own_shard = fresh;
    return fresh;
}

#define BUMP(word, change)                                                                         \
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + (change),       \
                          memory_order_relaxed)

void stats_end(int result)
{
    if (!running.is_running)
        return;
    running.is_running = false;
    running.end_ns = stats_now_ns();
    struct shard *shard = shard_get();
    if (!shard)
        return;
    uint64_t took_ns = (uint64_t)(running.end_ns - running.begin_ns);
    uint32_t id = running.opcode < sizeof ids ? ids[running.opcode] : 0;
    struct op_count *op = &shard->ops[id ? id - 1u : VMFS_MOUNT_OTHER];
    BUMP(&op->count, 1);
    BUMP(&op->failed, result < 0);
    BUMP(&op->sum_ns, took_ns);
    BUMP(&op->buckets[vmfs_mount_bucket(took_ns)], 1);
    if (took_ns > atomic_load_explicit(&op->max_ns, memory_order_relaxed))
        atomic_store_explicit(&op->max_ns, took_ns, memory_order_relaxed);
}

static void op_add(struct vmfs_mount_op *sum, const struct op_count *op)
{
    uint64_t max_ns = atomic_load_explicit(&op->max_ns, memory_order_relaxed);
    sum->count += atomic_load_explicit(&op->count, memory_order_relaxed);
    sum->failed += atomic_load_explicit(&op->failed, memory_order_relaxed);
    sum->sum_ns += atomic_load_explicit(&op->sum_ns, memory_order_relaxed);
    sum->max_ns = max_ns > sum->max_ns ? max_ns : sum->max_ns;
    for (unsigned i = 0; i < VMFS_MOUNT_BUCKETS; i++)
        sum->buckets[i] += atomic_load_explicit(&op->buckets[i], memory_order_relaxed);
}

static void info_fill(const struct vmfs_info *info, struct vmfs_mount_stats *out)
{
    out->holds = info->inodes_open;
    out->region_bytes = info->region_bytes;
    out->journal_bytes = info->lane_count * info->lane_bytes;
    out->journal_bytes_used = info->journal_bytes_used;
    out->checkpoint_fences = info->checkpoint_fences;
    out->sync_rounds = info->sync_rounds;
    out->sync_calls = info->sync_calls;
    out->orphans = info->orphans;
    out->durability = info->durability;
    out->is_read_only = info->is_read_only;
}

static void counters_fill(const struct vmfs_counters *counters, struct vmfs_mount_stats *out)
{
    out->ops = counters->ops;
    out->fences = counters->fences;
    out->lines = counters->lines;
    out->bytes = counters->bytes;
    out->shared = counters->shared;
}

static void space_fill(const struct vmfs_statfs *space, struct vmfs_mount_stats *out)
{
    out->block_bytes = space->block_bytes;
    out->blocks_total = space->blocks_total;
    out->blocks_free = space->blocks_free;
    out->inodes_used = space->inodes_used;
}

int stats_fill(struct frontend *frontend, struct vmfs_mount_stats *out)
{
    struct vmfs_info info = {.struct_bytes = sizeof info};
    struct vmfs_counters counters;
    struct vmfs_statfs space;
    int err = vmfs_info(frontend->fs, &info);
    if (!err)
        err = vmfs_counters(frontend->fs, VMFS_COUNTERS_HANDLE, &counters);
    if (!err)
        err = vmfs_statfs(frontend->fs, &space);
    if (err)
        return err;
    *out = (struct vmfs_mount_stats){.version = VMFS_MOUNT_STATS_VERSION,
                                     .struct_bytes = sizeof *out,
                                     .uptime_ns = (uint64_t)(stats_now_ns() - frontend->begin_ns)};
    info_fill(&info, out);
    counters_fill(&counters, out);
    space_fill(&space, out);
    for (struct shard *shard = atomic_load(&shards); shard; shard = shard->next) {
        out->threads++;
        for (unsigned i = 0; i < VMFS_MOUNT_OPS_COUNT; i++)
            op_add(&out->by_op[i], &shard->ops[i]);
    }
    return 0;
}
