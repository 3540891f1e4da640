/* suite_format.c -- formatting, cut at every fence
 *
 * Over garbage, and over a filesystem that holds files: what was there, nothing, or an empty one. */
#include "crash.h"
#include "seed.h"

#define THREAD_OP 1u

struct run {
    struct crash *crash;
    struct vmfs *fs;
    bool is_recording;
};

static void take_dump(struct run *run, enum dump_index index)
{
    struct dump *dump = run->crash->dumps.all[index];
    dump->target = NULL;
    world_dump(run->fs, dump);
    crash_must(run->crash, dump->error, "dump");
}

static void before_fence(struct medium *live, void *arg)
{
    struct run *run = arg;
    if (run->is_recording)
        explore_point(&run->crash->explorer, live);
}

/* The random numbers of two formats of one region differ, as its records must (H14). */
static void load(struct run *run, const uint8_t *old)
{
    crash_load(run->crash, old, THREAD_OP);
    run->crash->live.random_seed = seed_mix(run->crash->explorer.seed, 1);
}

static void format(struct run *run)
{
    int err = world_attach(&run->crash->live, VMFS_CREATE | VMFS_FORCE, &run->fs);
    crash_must(run->crash, err, "format");
}

static void close_it(struct run *run)
{
    crash_must(run->crash, vmfs_close(run->fs), "close");
}

/* What was there before, and what formatting leaves. */
static void learn(struct run *run, const uint8_t *old, bool is_filesystem)
{
    crash_load(run->crash, old, THREAD_OP);
    if (is_filesystem) {
        crash_must(run->crash, world_attach(&run->crash->live, 0, &run->fs), "attach");
        take_dump(run, DUMP_NONE);
        close_it(run);
    }
    load(run, old);
    format(run);
    take_dump(run, DUMP_OP);
    close_it(run);
}

static void run_format(struct run *run, const uint8_t *old, bool is_filesystem, const char *label)
{
    struct crash *crash = run->crash;
    struct dumps *dumps = &crash->dumps;
    if (!crash_wants(crash, label))
        return;
    crash->label = label;
    learn(run, old, is_filesystem);
    load(run, old);
    explore_start(&crash->explorer, &crash->live, label, &dumps->judge);
    medium_log(&crash->live);
    medium_begin(&crash->live, label);
    dumps->allowed = DUMP_BIT(DUMP_OP) | (is_filesystem ? DUMP_BIT(DUMP_NONE) : 0);
    dumps->is_exact = false;
    dumps->is_full = false;
    dumps->is_format = true;
    run->is_recording = true;
    format(run);
    if (!medium_end(&crash->live, 0))
        explore_report(&crash->explorer, "a store went past the persist layer");
    dumps->is_exact = true;
    dumps->allowed = DUMP_BIT(DUMP_OP);
    explore_point(&crash->explorer, &crash->live);
    run->is_recording = false;
    dumps->is_format = false;
    close_it(run);
}

void suite_format(struct crash *crash)
{
    struct run run = {.crash = crash};
    crash->live.before_fence = before_fence;
    crash->live.hook_arg = &run;
    run_format(&run, crash->garbage, false, "format-garbage.p");
    run_format(&run, crash->image, true, "format-over.p");
    crash->live.before_fence = NULL;
}
