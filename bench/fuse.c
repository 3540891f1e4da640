/* fuse.c -- the measurement of mounts */
#include "fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "random.h"
#include "syscalls.h"
#include "ticks.h"
#include "vmfs_mount.h"

#define ROUNDS_QUICK  100u
#define ROUNDS_FULL   1000u
#define ROUNDS_MIN    5u
#define SECONDS_QUICK 8u
#define SECONDS_FULL  60u
#define WARM_UP       2u
#define COUNTED       4u
/* What the kernel sends without waiting for it has been served after this. */
#define QUIET_US 20000u

static bool matches(const char *filter, unsigned row)
{
    return filter == NULL || fnmatch(filter, fuse_rows[row].name, 0) == 0;
}

bool fuse_is_selected(const struct fuse *fuse, enum fuse_row_id row)
{
    return matches(fuse->filter, row);
}

bool fuse_has_rows(const char *filter)
{
    for (unsigned row = 0; row < FUSE_ROWS_COUNT; row++) {
        if (matches(filter, row))
            return true;
    }
    return false;
}

static int report_failure(const struct fuse_job *job, const char *phase, int err)
{
    fprintf(stderr, "vmfs-bench: %s on %s, %s: %s\n", job->name, job->fs->name, phase,
            strerror(-err));
    return err;
}

static int make_job(struct fuse *fuse, unsigned row, unsigned side)
{
    struct fuse_job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return -ENOMEM;
    fuse->jobs[row][side] = job;
    job->op = fuse_rows[row].op;
    job->name = fuse_rows[row].name;
    job->fs = &fuse->mounts[side].fs;
    job->fd = -1;
    job->buffer = aligned_alloc(FUSE_PAGE_BYTES, FUSE_TRANSFER_BYTES);
    if (job->buffer == NULL)
        return -ENOMEM;
    memset(job->buffer, 'b', FUSE_TRANSFER_BYTES);
    int err = job->fs->calls->enter(job->fs);
    if (err == 0)
        err = job->op->setup(job);
    return err == 0 ? 0 : report_failure(job, "setup", err);
}

static int make_jobs(struct fuse *fuse)
{
    int err = 0;

    for (unsigned row = 0; err == 0 && row < FUSE_ROWS_COUNT; row++) {
        for (unsigned side = 0; err == 0 && matches(fuse->filter, row) && side < FUSE_SIDES; side++)
            err = make_job(fuse, row, side);
    }
    return err;
}

/* One of the threads of a batch: every `step`th call from `first` on, below `end`. */
struct share {
    struct fuse_job *job;
    uint32_t first, step, end;
    pthread_t thread;
    pthread_barrier_t *start;
    int err;
};

static int call_share(const struct share *share)
{
    struct fuse_job *job = share->job;
    int err = 0;

    for (uint32_t i = share->first; err == 0 && i < share->end; i += share->step) {
        uint64_t start = ticks_now();

        err = job->op->call(job, i);
        job->ticks[i] = ticks_now() - start;
    }
    return err;
}

static void *run_share(void *arg)
{
    struct share *share = arg;

    pthread_barrier_wait(share->start);
    share->err = call_share(share);
    return NULL;
}

/* Ticks from when all threads are there until the last is done. */
static int call_threads(struct fuse_job *job, uint32_t first, uint32_t end, uint64_t *ticks)
{
    struct share shares[FUSE_THREADS_MAX];
    pthread_barrier_t start;
    unsigned threads = job->op->threads;
    int err = 0;

    pthread_barrier_init(&start, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        shares[i] = (struct share){job, first + i, threads, end, 0, &start, 0};
        if (pthread_create(&shares[i].thread, NULL, run_share, &shares[i]) != 0)
            abort(); /* the barrier waits for those that there are */
    }
    uint64_t began = ticks_now();
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(shares[i].thread, NULL);
        err = err != 0 ? err : shares[i].err;
    }
    *ticks = ticks_now() - began;
    pthread_barrier_destroy(&start);
    return err;
}

static int call_batch(struct fuse_job *job, uint64_t *ticks)
{
    uint32_t lead = job->op->lead;
    uint32_t end = job->op->batch;

    if (job->op->threads > 1)
        return call_threads(job, 0, end, ticks);
    struct share leading = {.job = job, .step = 1, .end = lead};
    struct share timed = {.job = job, .first = lead, .step = 1, .end = end};
    int err = call_share(&leading);
    uint64_t start = ticks_now();
    if (err == 0)
        err = call_share(&timed);
    *ticks = ticks_now() - start;
    return err;
}

static int open_batch(struct fuse_job *job, uint64_t random)
{
    job->random = random;
    int err = job->fs->calls->enter(job->fs);
    return err != 0 ? err : job->op->prepare(job, job->op->batch);
}

static int close_batch(struct fuse_job *job)
{
    return job->op->settle == NULL ? 0 : job->op->settle(job, job->op->batch);
}

static int time_batch(struct fuse *fuse, struct fuse_job *job, uint64_t random, double *ns)
{
    uint64_t ticks = 0;
    int err = open_batch(job, random);

    if (err == 0)
        err = call_batch(job, &ticks);
    *ns = (double)ticks * fuse->tick_ns / (job->op->batch - job->op->lead);
    if (err == 0)
        err = close_batch(job);
    return err == 0 ? 0 : report_failure(job, "call", err);
}

static int keep_batch(struct fuse *fuse, const struct fuse_job *job, struct fuse_samples *samples,
                      double ns)
{
    int err = samples_add(&samples->ns, ns);

    for (uint32_t i = job->op->lead; err == 0 && i < job->op->batch; i++)
        err = samples_add(&samples->singles, (double)job->ticks[i] * fuse->tick_ns);
    return err;
}

/* The daemons and this process, whose threads inherit it. */
static int place_all(struct fuse *fuse, unsigned row)
{
    cpu_set_t cpus = fuse->env->cpus_allowed;

    if (!fuse->is_spread && fuse_rows[row].op->threads == 1) {
        CPU_ZERO(&cpus);
        CPU_SET(fuse->env->cpu, &cpus);
    }
    int err = sched_setaffinity(0, sizeof(cpus), &cpus) == 0 ? 0 : -errno;
    for (unsigned side = 0; err == 0 && side < FUSE_SIDES; side++)
        err = mount_place(&fuse->mounts[side], &cpus);
    return err;
}

static int run_turn(struct fuse *fuse, unsigned row, uint64_t round)
{
    struct fuse_results *results = &fuse->rows[row];
    double ns[FUSE_SIDES];
    int err = place_all(fuse, row);

    for (unsigned turn = 0; err == 0 && turn < FUSE_SIDES; turn++) {
        unsigned side = (unsigned)((turn + round) % FUSE_SIDES);
        struct fuse_job *job = fuse->jobs[row][side];

        err = time_batch(fuse, job, random_start(fuse->seed, round, row), &ns[side]);
        if (err == 0 && round >= WARM_UP)
            err = keep_batch(fuse, job, &results->sides[side], ns[side]);
    }
    if (err == 0 && round >= WARM_UP)
        err = samples_add(&results->ratios, ns[FUSE_PEER] / ns[FUSE_OURS]);
    return err;
}

static int run_round(struct fuse *fuse, uint64_t round)
{
    unsigned order[FUSE_ROWS_COUNT];
    uint64_t random = random_start(fuse->seed, round, FUSE_ROWS_COUNT);
    int err = 0;

    for (unsigned i = 0; i < FUSE_ROWS_COUNT; i++)
        order[i] = i;
    for (unsigned i = FUSE_ROWS_COUNT; i > 1; i--) {
        unsigned other = random_below(&random, i);
        unsigned swapped = order[i - 1];

        order[i - 1] = order[other];
        order[other] = swapped;
    }
    for (unsigned i = 0; err == 0 && i < FUSE_ROWS_COUNT; i++) {
        if (matches(fuse->filter, order[i]))
            err = run_turn(fuse, order[i], round);
    }
    return err != 0 ? err : *fuse->stop != 0 ? -EINTR : 0;
}

static int run_rounds(struct fuse *fuse)
{
    uint64_t rounds = WARM_UP + (fuse->is_quick ? ROUNDS_QUICK : ROUNDS_FULL);
    uint64_t seconds = fuse->is_quick ? SECONDS_QUICK : SECONDS_FULL;
    uint64_t deadline_ns = wall_ns() + seconds * 1000000000u;
    int err = 0;

    for (uint64_t round = 0; err == 0 && round < rounds; round++) {
        if (round >= WARM_UP + ROUNDS_MIN && wall_ns() >= deadline_ns)
            break;
        err = run_round(fuse, round);
    }
    return err;
}

struct counts {
    uint64_t syscalls, requests, fences;
    bool has_requests;
};

static void read_counts(const struct fuse *fuse, unsigned side, const struct syscalls *counter,
                        struct counts *out)
{
    struct vmfs_mount_stats stats;

    usleep(QUIET_US);
    *out = (struct counts){.syscalls = syscalls_read(counter)};
    if (side != FUSE_OURS ||
        ioctl(fuse->mounts[side].fs.root_fd, VMFS_MOUNT_GET_STATS, &stats) != 0)
        return;
    out->has_requests = true;
    out->fences = stats.fences;
    for (unsigned i = 0; i < VMFS_MOUNT_OPS_COUNT; i++)
        out->requests += stats.by_op[i].count;
}

/* What asking itself costs: one request, of two system calls. */
static void take_counts(const struct counts *before, const struct counts *after, double calls,
                        struct fuse_samples *out)
{
    uint64_t asked = after->has_requests ? 1 : 0;

    out->syscalls = (double)(after->syscalls - before->syscalls - 2 * asked) / calls;
    if (!after->has_requests)
        return;
    out->requests = (double)(after->requests - before->requests - asked) / calls;
    out->fences = (double)(after->fences - before->fences) / calls;
}

/* Untimed batches one after the other, with all that they cause behind them. */
static int count_row(struct fuse *fuse, unsigned row, unsigned side, const struct syscalls *counter)
{
    struct fuse_job *job = fuse->jobs[row][side];
    struct fuse_samples *out = &fuse->rows[row].sides[side];
    struct counts before, after;
    double total = job->op->batch;
    struct share all = {.job = job, .step = 1, .end = job->op->batch};
    int err = place_all(fuse, row);

    if (err == 0)
        err = open_batch(job, random_start(fuse->seed, 0, row));
    read_counts(fuse, side, counter, &before);
    if (err == 0)
        err = call_share(&all);
    read_counts(fuse, side, counter, &after);
    if (err == 0)
        take_counts(&before, &after, total, out);
    if (err == 0)
        err = close_batch(job);
    return err == 0 ? 0 : report_failure(job, "call", err);
}

static int count_side(struct fuse *fuse, unsigned side)
{
    struct syscalls counter;
    int err = syscalls_begin(&counter, fuse->mounts[side].pid, fuse->env->scratch_path);

    if (err != 0) {
        fprintf(stderr, "vmfs-bench: note: the system calls of %s are not counted: %s\n",
                fuse->mounts[side].fs.name, strerror(-err));
        return 0;
    }
    for (unsigned row = 0; err == 0 && row < FUSE_ROWS_COUNT; row++) {
        if (matches(fuse->filter, row))
            err = count_row(fuse, row, side, &counter);
    }
    syscalls_end(&counter);
    return err;
}

static int measure_mounted(struct fuse *fuse)
{
    int err = make_jobs(fuse);

    getloadavg(&fuse->loads[0], 1);
    if (err == 0)
        err = run_rounds(fuse);
    getloadavg(&fuse->loads[1], 1);
    for (unsigned side = 0; err == 0 && side < FUSE_SIDES; side++)
        err = count_side(fuse, side);
    return err;
}

static void forget_counts(struct fuse *fuse)
{
    for (unsigned row = 0; row < FUSE_ROWS_COUNT; row++) {
        for (unsigned side = 0; side < FUSE_SIDES; side++) {
            struct fuse_samples *samples = &fuse->rows[row].sides[side];

            samples->syscalls = samples->requests = samples->fences = (double)NAN;
        }
    }
}

static void end_jobs(struct fuse *fuse)
{
    for (unsigned row = 0; row < FUSE_ROWS_COUNT; row++) {
        for (unsigned side = 0; side < FUSE_SIDES; side++) {
            struct fuse_job *job = fuse->jobs[row][side];

            if (job == NULL)
                continue;
            if (job->fd >= 0)
                close(job->fd);
            free(job->buffer);
            free(job);
            fuse->jobs[row][side] = NULL;
        }
    }
}

static void leave_mounts(struct fuse *fuse)
{
    if (fchdir(fuse->env->start_fd) != 0)
        fprintf(stderr, "vmfs-bench: fchdir: %s\n", strerror(errno));
    for (unsigned side = 0; side < FUSE_SIDES; side++)
        mount_end(&fuse->mounts[side]);
}

int fuse_measure(struct fuse *fuse)
{
    fuse->tick_ns = ticks_calibrate();
    forget_counts(fuse);
    for (unsigned side = 0; side < FUSE_SIDES; side++)
        fuse->mounts[side].fs.root_fd = -1;
    int err =
        mount_ours(fuse->env, fuse->mount_options, &fuse->mounts[FUSE_OURS], fuse->why_skipped);
    if (err == 0)
        err = mount_peer(fuse->env, &fuse->mounts[FUSE_PEER], fuse->why_skipped);
    if (err == 0)
        err = measure_mounted(fuse);
    else
        err = 0;
    end_jobs(fuse);
    leave_mounts(fuse);
    return err;
}

void fuse_free(struct fuse *fuse)
{
    for (unsigned row = 0; row < FUSE_ROWS_COUNT; row++) {
        for (unsigned side = 0; side < FUSE_SIDES; side++) {
            samples_free(&fuse->rows[row].sides[side].ns);
            samples_free(&fuse->rows[row].sides[side].singles);
        }
        samples_free(&fuse->rows[row].ratios);
    }
}

void fuse_result(struct fuse *fuse, enum fuse_row_id row, struct row_result *out)
{
    struct fuse_results *results = &fuse->rows[row];
    struct fuse_samples *ours = &results->sides[FUSE_OURS];
    struct fuse_samples *peer = &results->sides[FUSE_PEER];
    const struct fuse_op *op = fuse_rows[row].op;

    *out = (struct row_result){
        .name = fuse_rows[row].name,
        .floor = "passthrough_ll",
        .calls = ours->ns.count * (op->batch - op->lead),
        .ns_p50 = samples_quantile(&ours->ns, 0.5),
        .ns_p99 = samples_quantile(&ours->singles, 0.99),
        .ns_mean = samples_mean(&ours->ns),
        .fences = ours->fences,
        .fences_min = (double)NAN,
        .fences_max = (double)NAN,
        .fences_bg = (double)NAN,
        .lines = (double)NAN,
        .shared = (double)NAN,
        .floor_ns = samples_quantile(&peer->ns, 0.5),
        .is_mounted = true,
        .mounted = {.ratio_p10 = samples_quantile(&results->ratios, 0.1),
                    .ratio_p50 = samples_quantile(&results->ratios, 0.5),
                    .ratio_p90 = samples_quantile(&results->ratios, 0.9),
                    .ns_p10 = samples_quantile(&ours->ns, 0.1),
                    .peer_ns_p10 = samples_quantile(&peer->ns, 0.1),
                    .requests = ours->requests,
                    .syscalls = ours->syscalls,
                    .peer_syscalls = peer->syscalls},
    };
    out->floor_ratio = out->ns_p50 / out->floor_ns;
}
