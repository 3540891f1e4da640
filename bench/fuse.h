/* fuse.h -- rows that compare the mount with a peer that is one, too
 *
 * Ours is vmfs-fuse, the peer passthrough_ll over tmpfs (mount.h). In every round each row has a turn,
 * in an order drawn for the round: a batch on one side and the same batch on the other, who begins
 * changing with the round, so that what else runs on the machine meets both. One thread has one CPU
 * for itself and the daemon, as the wake-up of a second one is what is measured otherwise;
 * FUSE_CREATE_4T has all. A batch begins in an empty directory, with names that are less than a second
 * old: the peer searches a list of all files that it knows, and its names are forgotten after a
 * second, neither of which is what is compared. Every call is timed (p99); a batch gives one sample of ns
 * per call and each round one of the ratio. System calls, requests and fences are counted at the end,
 * in batches that are not timed.
 * Without /dev/fuse or the peer the rows are skipped, and the report says why. */
#ifndef BENCH_FUSE_H
#define BENCH_FUSE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "mount.h"
#include "run.h"
#include "stats.h"

#define FUSE_BATCH       64u
#define FUSE_THREADS_MAX 4u
#define FUSE_CALLS_MAX   (FUSE_BATCH * FUSE_THREADS_MAX)
#define FUSE_PATH_BYTES  32u
/* Calls before a batch that are not timed. */
#define FUSE_LEAD           8u
#define FUSE_FILE_BYTES     ((uint64_t)64 << 20)
#define FUSE_PAGE_BYTES     4096u
#define FUSE_TRANSFER_BYTES ((uint32_t)1 << 20)

enum fuse_row_id {
    FUSE_CREATE,
    FUSE_UNLINK,
    FUSE_RENAME,
    FUSE_OPEN_CLOSE,
    FUSE_RAND4K_READ,
    FUSE_RAND4K_WRITE,
    FUSE_SEQ1M_READ,
    FUSE_SEQ1M_WRITE,
    FUSE_CREATE_4T,
    FUSE_SEQ1M_READ_DIRECT,
    FUSE_SEQ1M_WRITE_DIRECT,
    FUSE_SEQ1M_APPEND,
    FUSE_ROWS_COUNT,
};

enum fuse_side { FUSE_OURS, FUSE_PEER, FUSE_SIDES };

struct fuse_job;

/* One operation. setup() once; then for each batch prepare(n), call(0) ... call(n - 1), settle(n). Only
 * the calls are timed. */
struct fuse_op {
    unsigned threads;
    uint32_t batch; /* calls of all threads */
    uint32_t lead;  /* of these: not timed */
    int (*setup)(struct fuse_job *job);
    int (*prepare)(struct fuse_job *job, uint32_t count);
    int (*call)(struct fuse_job *job, uint32_t index);
    int (*settle)(struct fuse_job *job, uint32_t count);
};

/* An operation on one side. */
struct fuse_job {
    const struct fuse_op *op;
    const char *name; /* of the row, and of the directory or file that is its own */
    struct bench_fs *fs;
    uint64_t random; /* the same on both sides */
    uint64_t names;  /* given so far, so that none comes twice */
    int fd;
    uint8_t *buffer; /* FUSE_TRANSFER_BYTES, aligned to pages */
    char from[FUSE_CALLS_MAX][FUSE_PATH_BYTES];
    char to[FUSE_CALLS_MAX][FUSE_PATH_BYTES];
    uint64_t offsets[FUSE_CALLS_MAX];
    uint64_t ticks[FUSE_CALLS_MAX]; /* that each call took */
};

struct fuse_row {
    const char *name;
    const char *summary;
    const struct fuse_op *op;
};

extern const struct fuse_row fuse_rows[FUSE_ROWS_COUNT];

struct fuse_samples {
    struct samples ns;
    struct samples singles;
    double syscalls, requests, fences; /* per call; NAN: not known */
};

struct fuse_results {
    struct fuse_samples sides[FUSE_SIDES];
    struct samples ratios; /* peer / ours */
};

struct fuse {
    const struct bench_env *env;
    const char *filter;
    volatile sig_atomic_t *stop;
    uint64_t seed;
    bool is_quick;
    bool is_spread;            /* all rows have all CPUs */
    const char *mount_options; /* of ours, beside the size; null for none */
    double tick_ns;
    double loads[2]; /* load average of the last minute, before and after */
    struct mounted mounts[FUSE_SIDES];
    struct fuse_job *jobs[FUSE_ROWS_COUNT][FUSE_SIDES];
    struct fuse_results rows[FUSE_ROWS_COUNT];
    char why_skipped[MOUNT_WHY_BYTES]; /* empty: not skipped */
};

bool fuse_is_selected(const struct fuse *fuse, enum fuse_row_id row);
bool fuse_has_rows(const char *filter);

/* Mounts, measures the selected rows and unmounts. Prints why it fails; 0, also when the rows are
 * skipped, or -errno. fuse_free() is due in both cases. */
int fuse_measure(struct fuse *fuse);
void fuse_free(struct fuse *fuse);

void fuse_result(struct fuse *fuse, enum fuse_row_id row, struct row_result *out);

#endif
