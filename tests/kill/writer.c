/* writer.c -- the threads that change a region, and their models */
#include "writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "region.h"

struct writer {
    struct kill_told *told;
    struct kill_writer_options options;
    struct vmfs *fs;
    uint64_t round;
    _Atomic bool is_over;
};

struct worker {
    struct writer *writer;
    pthread_t id;
    unsigned thread;
    struct op_world world; /* the model's side */
    struct op op;
    struct op_result vmfs_result;
    struct op_result model_result;
};

static int fail(struct kill_told *told, const char *what)
{
    if (!atomic_exchange(&told->is_failed, true))
        snprintf(told->failure, sizeof(told->failure), "%s", what);
    return 1;
}

static void run_op(struct worker *worker, struct op_world *region, struct seed *stream)
{
    char text[700];
    op_generate(&worker->op, &worker->world, stream, &kill_profile);
    op_run_vmfs(&worker->op, region, &worker->vmfs_result);
    op_run_model(&worker->op, &worker->world, worker->vmfs_result.code, &worker->model_result);
    if (!op_results_agree(&worker->op, &worker->vmfs_result, &worker->model_result, text,
                          sizeof(text)))
        _exit(fail(worker->writer->told, text));
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;
    struct writer *writer = worker->writer;
    struct kill_told *told = writer->told;
    struct kill_lane *lane = &told->lanes[writer->round % KILL_ROUNDS][worker->thread];
    char prefix[KILL_PATH];
    kill_tree_path(prefix, writer->round, worker->thread);
    struct op_world region = {.fs = writer->fs, .prefix = prefix};
    struct seed stream = kill_stream(told, writer->round, worker->thread);
    while (!atomic_load(&writer->is_over)) {
        run_op(worker, &region, &stream);
        atomic_fetch_add(&lane->acked, 1);
    }
    if (op_close_slots(&region) != 0)
        fail(told, "closing the files of a thread failed");
    op_close_slots(&worker->world);
    model_destroy(worker->world.model);
    return NULL;
}

static int remove_round(struct vmfs *fs, uint64_t number)
{
    char path[KILL_PATH];
    kill_round_path(path, number);
    int err = region_remove_tree(fs, path);
    return err == -ENOENT ? 0 : err;
}

/* Also after a writer that was killed in here. */
static int begin_round(struct writer *writer)
{
    struct kill_told *told = writer->told;
    uint64_t number = atomic_load(&told->next);
    char path[KILL_PATH];
    int err = 0;
    atomic_store(&told->uid, geteuid());
    atomic_store(&told->gid, getegid());
    if (number >= KILL_ROUNDS) {
        atomic_store(&told->first, number - KILL_ROUNDS + 1);
        err = remove_round(writer->fs, number - KILL_ROUNDS);
    }
    if (err == 0)
        err = remove_round(writer->fs, number);
    kill_round_path(path, number);
    if (err == 0)
        err = vmfs_mkdir(writer->fs, path, 0755);
    for (unsigned i = 0; i < KILL_THREADS && err == 0; i++) {
        kill_tree_path(path, number, i);
        err = vmfs_mkdir(writer->fs, path, 0755);
        atomic_store(&told->lanes[number % KILL_ROUNDS][i].acked, writer->options.ahead);
    }
    writer->round = number;
    if (err == 0)
        atomic_store(&told->next, number + 1);
    return err;
}

static struct worker *start_worker(struct writer *writer, unsigned thread)
{
    struct worker *worker = model_allocate(sizeof(*worker));
    worker->writer = writer;
    worker->thread = thread;
    worker->world.model = model_create(geteuid(), getegid());
    if (pthread_create(&worker->id, NULL, run_worker, worker) != 0)
        _exit(fail(writer->told, "pthread_create failed"));
    return worker;
}

static void wait_for_end(struct writer *writer)
{
    struct timespec time = {.tv_sec = (time_t)writer->options.seconds};
    while (writer->options.seconds == 0)
        pause();
    while (nanosleep(&time, &time) != 0)
        continue;
    atomic_store(&writer->is_over, true);
}

int kill_write(struct kill_told *told, const char *path, const struct kill_writer_options *options)
{
    struct writer writer = {.told = told, .options = *options};
    struct worker *workers[KILL_THREADS];
    char text[128];
    int err = region_open(path, 0, NULL, &writer.fs);
    if (err == 0)
        err = begin_round(&writer);
    if (err != 0) {
        snprintf(text, sizeof(text), "the region could not be opened or prepared: %d", err);
        return fail(told, text);
    }
    for (unsigned i = 0; i < KILL_THREADS; i++)
        workers[i] = start_worker(&writer, i);
    wait_for_end(&writer);
    for (unsigned i = 0; i < KILL_THREADS; i++) {
        pthread_join(workers[i]->id, NULL);
        free(workers[i]);
    }
    if (vmfs_close(writer.fs) != 0)
        fail(told, "closing the region failed");
    return atomic_load(&told->is_failed) ? 1 : 0;
}
