/* scale_threads.c -- one thread, two in directories of their own, and two in one, in turn
 *
 * Each worker stays on a CPU of its own. A phase begins when all its workers have seen each other
 * running, and lasts until the last is done: ns per call is that time over the calls of all. */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "scale.h"
#include "ticks.h"

#define WORKERS       2u
#define CALLS         2000u
#define PATH_BYTES    32u
#define ROUNDS_QUICK  15u
#define ROUNDS_FULL   80u
#define REGION_BYTES  ((size_t)256 << 20)
#define SPINS_A_YIELD 100000u

typedef int (*name_fn)(struct vmfs *fs, const char *path);

struct worker {
    struct crew *crew;
    pthread_t thread;
    size_t cpu;
    bool is_started;
    bool is_working; /* in this phase */
    uint64_t start, end;
    int err;
    struct vmfs_counters before, after;
    char paths[CALLS][PATH_BYTES];
};

struct crew {
    struct scale *scale;
    struct scale_region region;
    pthread_barrier_t barrier; /* at the start of a phase and at its end, with the main thread */
    name_fn call;              /* null: go home */
    unsigned working;
    atomic_uint arrived;
    struct worker workers[WORKERS];
};

static int make_name(struct vmfs *fs, const char *path)
{
    return vmfs_mknod(fs, path, 0644, 0);
}

static int stat_name(struct vmfs *fs, const char *path)
{
    struct vmfs_stat stat;

    return vmfs_stat(fs, path, 0, &stat);
}

static void wait_for_others(struct crew *crew)
{
    unsigned spins = 0;

    atomic_fetch_add(&crew->arrived, 1);
    while (atomic_load(&crew->arrived) < crew->working) {
        if (++spins % SPINS_A_YIELD == 0)
            sched_yield();
    }
}

static void run_phase_calls(struct worker *worker)
{
    struct crew *crew = worker->crew;
    struct vmfs *fs = crew->region.fs;
    int err = vmfs_counters(fs, VMFS_COUNTERS_THREAD, &worker->before);

    wait_for_others(crew);
    worker->start = ticks_now();
    for (unsigned i = 0; err == 0 && i < CALLS; i++)
        err = crew->call(fs, worker->paths[i]);
    worker->end = ticks_now();
    if (err == 0)
        err = vmfs_counters(fs, VMFS_COUNTERS_THREAD, &worker->after);
    worker->err = err;
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(worker->cpu, &cpus);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
    for (;;) {
        pthread_barrier_wait(&worker->crew->barrier);
        if (worker->crew->call == NULL)
            return NULL;
        if (worker->is_working)
            run_phase_calls(worker);
        pthread_barrier_wait(&worker->crew->barrier);
    }
}

static int keep_phase(struct crew *crew, struct scale_samples *row)
{
    uint64_t start = UINT64_MAX;
    uint64_t end = 0;

    for (unsigned i = 0; i < crew->working; i++) {
        const struct worker *worker = &crew->workers[i];

        if (worker->err != 0)
            return scale_failure("a worker", worker->err);
        start = worker->start < start ? worker->start : start;
        end = worker->end > end ? worker->end : end;
        int err = scale_add_counts(row, &worker->before, &worker->after, CALLS);
        if (err != 0)
            return err;
    }
    uint64_t calls = (uint64_t)crew->working * CALLS;
    double ns = (double)(end - start) * crew->scale->tick_ns;
    int err = samples_add(&row->singles, ns / (double)calls);

    return err != 0 ? err : scale_add(row, ns, calls);
}

static int run_phase(struct crew *crew, name_fn call, unsigned working, struct scale_samples *row)
{
    crew->call = call;
    crew->working = working;
    atomic_store(&crew->arrived, 0);
    for (unsigned i = 0; i < WORKERS; i++)
        crew->workers[i].is_working = i < working;
    pthread_barrier_wait(&crew->barrier);
    pthread_barrier_wait(&crew->barrier);
    return keep_phase(crew, row);
}

static void name_files(struct crew *crew, bool is_one_dir)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        for (unsigned call = 0; call < CALLS; call++)
            snprintf(crew->workers[i].paths[call], PATH_BYTES, "/w%u/f%u.%06u", is_one_dir ? 0 : i,
                     i, call);
    }
}

static int run_alone(struct crew *crew)
{
    struct scale_samples *rows = crew->scale->rows;
    int err = run_phase(crew, make_name, 1, &rows[SCALE_CREATE_1T]);

    if (err == 0)
        err = run_phase(crew, stat_name, 1, &rows[SCALE_STAT_1T]);
    return err != 0 ? err : run_phase(crew, vmfs_unlink, 1, &rows[SCALE_UNLINK_1T]);
}

static int run_apart(struct crew *crew)
{
    struct scale_samples *rows = crew->scale->rows;
    int err = run_phase(crew, make_name, WORKERS, &rows[SCALE_CREATE_2T]);

    if (err == 0)
        err = run_phase(crew, stat_name, WORKERS, &rows[SCALE_STAT_2T]);
    return err != 0 ? err : run_phase(crew, vmfs_unlink, WORKERS, &rows[SCALE_UNLINK_2T]);
}

static int run_together(struct crew *crew)
{
    int err = run_phase(crew, make_name, WORKERS, &crew->scale->rows[SCALE_CREATE_2T_ONE_DIR]);

    for (unsigned i = 0; i < WORKERS; i++) {
        for (unsigned call = 0; err == 0 && call < CALLS; call++)
            err = vmfs_unlink(crew->region.fs, crew->workers[i].paths[call]);
    }
    return err;
}

static int run_rounds(struct crew *crew)
{
    static int (*const turns[])(struct crew *) = {run_alone, run_apart, run_together};
    unsigned rounds = crew->scale->is_quick ? ROUNDS_QUICK : ROUNDS_FULL;
    int err = 0;

    for (unsigned turn = 0; err == 0 && turn < rounds * 3; turn++) {
        unsigned which = (turn + turn / 3) % 3; /* another one begins each round */

        name_files(crew, which == 2);
        err = turns[which](crew);
        if (err == 0 && *crew->scale->stop != 0)
            err = -EINTR;
    }
    return err == 0 ? 0 : scale_failure("threads", err);
}

static int start_workers(struct crew *crew)
{
    int err = -pthread_barrier_init(&crew->barrier, NULL, WORKERS + 1);

    for (unsigned i = 0; err == 0 && i < WORKERS; i++) {
        struct worker *worker = &crew->workers[i];

        worker->crew = crew;
        worker->cpu = i == 0 ? crew->scale->env->cpu : crew->scale->env->other_cpu;
        err = -pthread_create(&worker->thread, NULL, work, worker);
        worker->is_started = err == 0;
    }
    return err;
}

static void stop_workers(struct crew *crew)
{
    crew->call = NULL;
    pthread_barrier_wait(&crew->barrier);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(crew->workers[i].thread, NULL);
    pthread_barrier_destroy(&crew->barrier);
}

int scale_threads_group(struct scale *scale)
{
    static struct crew crew;

    crew.scale = scale;
    int err = scale_region_open(scale, &crew.region, REGION_BYTES);
    if (err == 0)
        err = vmfs_mkdir(crew.region.fs, "/w0", 0755);
    if (err == 0)
        err = vmfs_mkdir(crew.region.fs, "/w1", 0755);
    if (err == 0)
        err = start_workers(&crew);
    if (err == 0)
        err = run_rounds(&crew);
    if (crew.workers[WORKERS - 1].is_started)
        stop_workers(&crew);
    int close_err = scale_region_close(&crew.region);

    return err != 0 ? err : close_err;
}
