/* run.h -- the interleaved measurement
 *
 * A *subject* is one operation on one side: a row's own, a floor or a peer. Rows that share a floor
 * share its subject. In every round each subject, in an order drawn for the round, runs
 *   - one batch of RUN_BATCH calls timed together: one sample of ns per call, for p50 and mean;
 *   - RUN_SINGLES calls timed one by one: samples for p99;
 *   - where the side can tell its cost, RUN_COUNTED calls with counters read around each, untimed.
 * Each of the three windows is led in by RUN_LEAD untimed calls, so that what is measured is not
 * how far the subject before it emptied the caches. The cost of the clock, the loop and a call
 * through a pointer is measured with an empty operation and subtracted everywhere. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "env.h"
#include "rows.h"
#include "stats.h"

#define RUN_LEAD    8
#define RUN_BATCH   64
#define RUN_SINGLES 16
#define RUN_COUNTED 32
/* Rounds at the start that are thrown away. */
#define RUN_WARM_UP      4
#define RUN_ROUNDS_QUICK 300
#define RUN_ROUNDS_FULL  6000
/* A slow machine stops at this many seconds instead, but not before RUN_ROUNDS_MIN. */
#define RUN_SECONDS_QUICK 12
#define RUN_SECONDS_FULL  100
#define RUN_ROUNDS_MIN    10

struct subject {
    const struct bench_op *op;
    enum env_side side;
    struct op_context *context;
    bool is_absent; /* the side does not support the operation */
    struct samples batches;
    struct samples singles;
    bool is_counted;
    struct samples fences;
    uint64_t lines;
    uint64_t shared;
    int64_t fences_others;
};

struct bench_run {
    struct bench_env *env;
    uint64_t seed;
    bool is_quick;
    const char *filter;
    volatile sig_atomic_t *stop; /* nonzero: give up after the round */
    struct subject *subjects;
    size_t subjects_count;
    uint64_t rounds; /* measured ones */
    double tick_ns;
    double batch_overhead_ns;
    double single_overhead_ns;
};

/* Measures the rows whose names match `run->filter`. Prints why it fails; 0 or -errno. run_free()
 * is due in both cases, before env_close(). */
int run_measure(struct bench_run *run);

void run_free(struct bench_run *run);

bool run_is_selected(const struct bench_run *run, const struct bench_row *row);

/* What else is known of a row of fuse.h. Counts are per call, of the daemons. */
struct mounted_result {
    double ratio_p10, ratio_p50, ratio_p90; /* peer / ours, round by round */
    double ns_p10, peer_ns_p10;             /* a tenth of the batches is faster: hardly disturbed */
    double requests, syscalls, peer_syscalls;
};

/* What a row came to. Numbers that are not known are NAN. */
struct row_result {
    const struct bench_row *row; /* null for a row of scale.h or fuse.h */
    const char *name;
    const char *floor;
    bool is_mean_compared;
    uint64_t calls;
    double ns_p50, ns_p99, ns_mean;
    double fences, fences_min, fences_max, fences_bg, lines, shared;
    double floor_ns;
    double floor_ratio;
    double peers_ns[ROW_PEERS_MAX];
    double peers_fences[ROW_PEERS_MAX];
    bool is_mounted; /* a row of fuse.h */
    struct mounted_result mounted;
};

void run_result(const struct bench_run *run, const struct bench_row *row, struct row_result *out);

#endif
