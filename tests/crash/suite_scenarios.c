/* suite_scenarios.c -- each scenario in each variant, cut at every fence and after its return */
#include <stdio.h>

#include "crash.h"
#include "scenarios.h"

#define OTHER_NOW_NS ((int64_t)3000000000000000000)
#define THREAD_OP    1u
#define THREAD_OTHER 2u

enum meanwhile { ALONE, CHECKPOINT, OTHER_CALLS };
enum moment { BEFORE_FENCE, AFTER_FENCE };

struct variant {
    char letter;
    bool is_unsynced;
    bool is_zeroed;
    bool is_growing; /* the operation needs a new leaf, and a new inode chunk if any inode */
    bool is_grown;   /* the leaf has just been split */
    enum meanwhile meanwhile;
    enum moment moment;
};

static const struct variant variants[] = {
    {'p', false, false, false, false, ALONE, BEFORE_FENCE},
    {'u', true, false, false, false, ALONE, BEFORE_FENCE},
    {'g', false, false, true, false, ALONE, BEFORE_FENCE},
    {'s', true, false, false, true, ALONE, BEFORE_FENCE},
    {'z', false, true, false, false, ALONE, BEFORE_FENCE},
    {'b', true, false, false, false, CHECKPOINT, BEFORE_FENCE},
    {'a', true, false, false, false, CHECKPOINT, AFTER_FENCE},
    {'o', true, false, false, false, OTHER_CALLS, BEFORE_FENCE},
    {'q', true, false, false, false, OTHER_CALLS, AFTER_FENCE},
};

#define VARIANT_COUNT (sizeof variants / sizeof variants[0])

/* The run that is going on. */
struct run {
    struct crash *crash;
    const struct scenario *scenario;
    const struct variant *variant;
    struct play play;
    bool is_recording;
    bool is_meanwhile_due;
    bool is_inside_meanwhile;
};

static void take_dump(struct run *run, enum dump_index index)
{
    struct dump *dump = run->crash->dumps.all[index];
    dump->target = run->scenario->target;
    dump->has_no_ids = run->variant->meanwhile == OTHER_CALLS;
    world_dump(run->play.fs, dump);
    crash_must(run->crash, dump->error, "dump");
}

/* Attaches and does what comes before the operation. */
static void prepare(struct run *run)
{
    const struct scenario *scenario = run->scenario;
    const struct variant *variant = run->variant;
    struct play *play = &run->play;
    *play = (struct play){0};
    if (variant->is_zeroed) {
        crash_load(run->crash, run->crash->zeros, THREAD_OP);
        crash_must(run->crash,
                   world_attach(&run->crash->live, VMFS_CREATE | VMFS_ZEROED, &play->fs), "format");
        crash_must(run->crash, scenario_make_tree(play->fs), "tree");
    } else {
        crash_load(run->crash, run->crash->image, THREAD_OP);
        crash_must(run->crash, world_attach(&run->crash->live, 0, &play->fs), "attach");
    }
    if (variant->is_growing)
        crash_must(run->crash, scenario_fill_leaf(play->fs, false), "fill the leaf");
    if (variant->is_growing)
        crash_must(run->crash, scenario_fill_inodes(play->fs), "fill the inodes");
    if (!variant->is_unsynced)
        crash_must(run->crash, vmfs_sync(play->fs), "sync");
    else if (!variant->is_grown)
        crash_must(run->crash, scenario_history(play->fs), "history");
    if (scenario->before)
        crash_must(run->crash, scenario->before(play), "before");
    if (variant->is_grown)
        crash_must(run->crash, scenario_fill_leaf(play->fs, true), "split the leaf");
    if (!variant->is_unsynced && !scenario->is_unsynced)
        crash_must(run->crash, vmfs_sync(play->fs), "sync");
}

static void finish(struct run *run)
{
    if (run->play.file)
        crash_must(run->crash, vmfs_file_close(run->play.file), "close the file");
    if (run->play.dir)
        crash_must(run->crash, vmfs_dir_close(run->play.dir), "close the directory");
    crash_must(run->crash, vmfs_close(run->play.fs), "close");
}

static void run_op(struct run *run)
{
    run->crash->live.now_ns = CRASH_OP_NOW_NS;
    crash_must(run->crash, run->scenario->op(&run->play), "the operation");
}

static void run_other(struct run *run)
{
    int64_t before_ns = run->crash->live.now_ns;
    run->crash->live.now_ns = OTHER_NOW_NS;
    run->crash->live.thread = THREAD_OTHER;
    crash_must(run->crash, scenario_other(run->play.fs), "the other thread");
    run->crash->live.thread = THREAD_OP;
    run->crash->live.now_ns = before_ns;
}

static void run_checkpoint(struct run *run)
{
    run->crash->live.thread = THREAD_OTHER;
    crash_must(run->crash, world_checkpoint(run->play.fs), "checkpoint");
    run->crash->live.thread = THREAD_OP;
}

/* ---- recording ---- */

static void run_meanwhile(struct run *run, enum moment moment)
{
    struct explorer *explorer = &run->crash->explorer;
    struct dumps *dumps = &run->crash->dumps;
    const struct variant *variant = run->variant;
    if (!run->is_meanwhile_due || run->is_inside_meanwhile || variant->moment != moment ||
        !world_is_quiet(run->play.fs))
        return;
    run->is_inside_meanwhile = true;
    if (variant->meanwhile == CHECKPOINT) {
        run_checkpoint(run);
    } else {
        run->is_meanwhile_due = false;
        dumps->allowed =
            DUMP_BIT(DUMP_NONE) | DUMP_BIT(DUMP_OP) | DUMP_BIT(DUMP_OTHER) | DUMP_BIT(DUMP_BOTH);
        run_other(run);
        dumps->allowed = DUMP_BIT(DUMP_OTHER) | DUMP_BIT(DUMP_BOTH);
    }
    run->is_inside_meanwhile = false;
    if (moment == BEFORE_FENCE)
        explore_point(explorer, &run->crash->live);
}

static void before_fence(struct medium *live, void *arg)
{
    struct run *run = arg;
    if (!run->is_recording)
        return;
    explore_point(&run->crash->explorer, live);
    run_meanwhile(run, BEFORE_FENCE);
}

static void after_fence(struct medium *live, void *arg)
{
    struct run *run = arg;
    (void)live;
    if (run->is_recording)
        run_meanwhile(run, AFTER_FENCE);
}

/* What the tree may be: found by running without a crash. */
static void learn(struct run *run)
{
    prepare(run);
    take_dump(run, DUMP_NONE);
    run_op(run);
    take_dump(run, DUMP_OP);
    if (run->variant->meanwhile == OTHER_CALLS) {
        run_other(run);
        take_dump(run, DUMP_BOTH);
        finish(run);
        prepare(run);
        run_other(run);
        take_dump(run, DUMP_OTHER);
    }
    finish(run);
}

static void record(struct run *run, const char *label)
{
    struct explorer *explorer = &run->crash->explorer;
    struct dumps *dumps = &run->crash->dumps;
    prepare(run);
    explore_start(explorer, &run->crash->live, label, &dumps->judge);
    medium_log(&run->crash->live);
    medium_begin(&run->crash->live, label);
    dumps->allowed = DUMP_BIT(DUMP_NONE) | DUMP_BIT(DUMP_OP);
    dumps->is_exact = false;
    dumps->is_full = run->scenario->is_full;
    run->is_recording = true;
    run->is_meanwhile_due = run->variant->meanwhile != ALONE;
    run_op(run);
    if (!medium_end(&run->crash->live, 0))
        explore_report(explorer, "a store went past the persist layer");
    bool has_other = run->variant->meanwhile == OTHER_CALLS && !run->is_meanwhile_due;
    dumps->allowed = DUMP_BIT(has_other ? DUMP_BOTH : DUMP_OP);
    dumps->is_exact = true;
    explore_point(explorer, &run->crash->live);
    run->is_recording = false;
    finish(run);
}

static void run_scenario(struct run *run, const struct scenario *scenario,
                         const struct variant *variant)
{
    char label[CRASH_LABEL_BYTES];
    snprintf(label, sizeof label, "%s.%c", scenario->name, variant->letter);
    bool has_sense = (!variant->is_zeroed || scenario->target) &&
                     (variant->meanwhile != OTHER_CALLS || !scenario->is_full);
    if (!crash_wants(run->crash, label) || !has_sense)
        return;
    run->scenario = scenario;
    run->variant = variant;
    learn(run);
    record(run, label);
}

void suite_scenarios(struct crash *crash)
{
    struct run run = {.crash = crash};
    struct medium *live = &crash->live;
    live->before_fence = before_fence;
    live->after_fence = after_fence;
    live->hook_arg = &run;
    uint64_t first = crash->explorer.seed; /* so that a short time covers all in the end */
    for (unsigned index = 0; index < scenario_count; index++)
        for (unsigned variant = 0; variant < VARIANT_COUNT; variant++)
            run_scenario(&run, &scenarios[(first + index) % scenario_count], &variants[variant]);
    live->before_fence = NULL;
    live->after_fence = NULL;
}
