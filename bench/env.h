/* env.h -- what the measurements run on: a region, the memory beside it, a tmpfs tree, one CPU */
#ifndef BENCH_ENV_H
#define BENCH_ENV_H

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs.h"

#define ENV_REGION_BYTES ((size_t)1 << 30)
/* Where no row runs in it. */
#define ENV_REGION_BYTES_MIN ((size_t)16 << 20)
/* Size of the floors' source and target, and of the files of the data rows. */
#define ENV_WINDOW_BYTES ((size_t)64 << 20)
#define ENV_RING_BYTES   ((size_t)4 << 20)

enum env_side {
    ENV_LIBRARY,
    ENV_TMPFS,
    ENV_SIDES,
    ENV_MEMORY = ENV_SIDES, /* no filesystem: bare memory */
};

struct bench_env {
    struct bench_fs sides[ENV_SIDES];
    char scratch_path[64];      /* below /dev/shm, removed by env_close() */
    char region_path[PATH_MAX]; /* where the region's file was made */
    void *region;               /* mapped and touched */
    uint8_t *floor_base;        /* the same kind of memory, for the floors */
    uint8_t *floor_source;
    uint8_t *floor_target;
    uint8_t *floor_ring;
    int start_fd; /* the directory that was current at the start */
    size_t region_bytes;
    cpu_set_t cpus_allowed;   /* at the start */
    size_t cpu;               /* the CPU that the process is pinned to */
    size_t other_cpu;         /* for a second thread; the same where there is only one */
    bool is_pmem_forced_here; /* PMEM_IS_PMEM_FORCE was set by this program */
};

/* Pins the process, maps and formats a region in a new file at `region_path` (null: on /dev/shm)
 * and prepares the peers. Files of the region are unlinked once mapped, so that a killed run leaves
 * no gigabyte behind. Prints why it fails, and returns 0 or -errno; env_close() is due in both
 * cases. */
int env_open(struct bench_env *env, const char *region_path, size_t region_bytes);

/* Undoes env_open(). Returns what vmfs_close() returned. */
int env_close(struct bench_env *env);

/* Null for ENV_MEMORY. */
struct bench_fs *env_side(struct bench_env *env, enum env_side side);

#endif
