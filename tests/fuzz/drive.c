/* drive.c -- one image, from being looked at to being closed */
#include "drive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mutate.h"
#include "use.h"

/* Of each byte of the region. The rest: lanes and their mirrors, stripes, threads, what one check needs. */
#define MEMORY_PER_BYTE 4u
#define MEMORY_REST     ((uint64_t)4 << 20)

static bool is_telling;

void drive_tell(void)
{
    is_telling = true;
}

struct run {
    struct seed_image *image;
    const struct input *input;
    struct drive_result *out;
    struct use use;
    struct vmfs *fs;
};

static void broken(struct run *run, const char *rule)
{
    if (!run->out->broken)
        run->out->broken = rule;
}

static void each_problem(void *arg, const struct vmfs_problem *problem)
{
    struct run *run = arg;
    run->out->lines += strlen(problem->text) > 0;
    if (is_telling)
        printf("%s P%u %s: %s\n", problem->is_mended ? "mended: " : "problem:", problem->pass,
               problem->pass_name, problem->text);
}

static void each_line(void *arg, const char *line)
{
    struct run *run = arg;
    run->out->lines += strlen(line) > 0;
}

struct cover {
    uint64_t at;
    bool is_broken;
};

static void each_range(void *arg, const struct vmfs_map_range *range)
{
    struct cover *cover = arg;
    if (range->offset != cover->at || range->length == 0)
        cover->is_broken = true;
    cover->at += range->length;
}

/* The ids that belong to what was changed. */
static void choose_targets(struct run *run)
{
    struct input_target target;
    unsigned count = 0;
    for (unsigned index = 0; index < run->input->count && count < USE_TARGETS_MAX; index++) {
        if (!input_target(&run->image->atlas, &run->input->mutations[index], &target))
            continue;
        uint64_t owner = target.object->owner;
        for (unsigned earlier = 0; earlier < count; earlier++)
            if (run->use.targets[earlier] == owner)
                owner = 0;
        if (owner > 1)
            run->use.targets[count++] = owner;
    }
}

/* ---- looking ---- */

static void dump_all(struct run *run)
{
    static const enum vmfs_dump_what whats[] = {VMFS_DUMP_SUPER, VMFS_DUMP_JOURNAL, VMFS_DUMP_TREE};
    struct vmfs *fs = run->fs;
    struct input_target target;
    struct cover cover = {0, false};
    struct vmfs_info info = {.struct_bytes = sizeof info};
    for (unsigned index = 0; index < sizeof whats / sizeof whats[0]; index++)
        (void)vmfs_dump(fs, whats[index], 0, each_line, run);
    for (unsigned index = 0; index < USE_TARGETS_MAX; index++)
        (void)vmfs_dump(fs, VMFS_DUMP_INODE, run->use.targets[index], each_line, run);
    for (unsigned index = 0; index < run->input->count; index++)
        if (input_target(&run->image->atlas, &run->input->mutations[index], &target))
            (void)vmfs_dump(fs, VMFS_DUMP_BLOCK, target.object->offset, each_line, run);
    if (vmfs_info(fs, &info) != 0 || vmfs_map(fs, VMFS_NO_OFFSET, each_range, &cover) != 0)
        return;
    if (cover.is_broken || cover.at != info.region_bytes)
        broken(run, "the map of owners has gaps");
}

static void look(struct run *run)
{
    struct vmfs_statfs space;
    run->use.fs = run->fs;
    (void)vmfs_statfs(run->fs, &space);
    use_walk(&run->use);
    if (run->input->mode & INPUT_MODE_DUMP)
        dump_all(run);
}

/* Opens so that nothing can be stored. */
static void look_only(struct run *run, int opened, bool may_store)
{
    if (opened)
        return;
    look(run);
    struct vmfs_check_result result;
    (void)vmfs_check(run->fs, each_problem, run, &result);
    if (vmfs_close(run->fs) != 0)
        broken(run, "a read-only handle cannot be closed");
    run->fs = NULL;
    if (!may_store && arena_stores() > 0)
        broken(run, "looking stored something");
}

static void look_first(struct run *run)
{
    struct arena *arena = &run->image->arena;
    unsigned mode = run->input->mode;
    if (mode & INPUT_MODE_PEEK)
        look_only(run, arena_open(VMFS_RDONLY | VMFS_PEEK, &run->fs), false);
    if (mode & INPUT_MODE_READ_ONLY)
        look_only(run, arena_attach(VMFS_RDONLY, &run->fs), false);
    if (mode & INPUT_MODE_PRIVATE) { /* the copy is the region itself, which is then made anew */
        look_only(run, arena_open(VMFS_RDONLY, &run->fs), true);
        arena_restore(arena);
        mutate_all(arena, &run->image->atlas, run->input);
    }
}

/* ---- changing and mending ---- */

static bool reopen(struct run *run)
{
    (void)vmfs_close(run->fs);
    run->fs = NULL;
    int result = arena_attach(0, &run->fs);
    run->use.fs = run->fs;
    return result == 0;
}

/* Where no memory, no space and no medium was refused there is no excuse. */
static bool has_excuse(int error)
{
    return arena_has_failed() || error == -ENOSPC;
}

/* What a check finds, or a negative errno. */
static int64_t check(struct run *run)
{
    struct vmfs_check_result result;
    int error = vmfs_check(run->fs, each_problem, run, &result);
    if (error && !has_excuse(error))
        broken(run, "a check failed");
    return error ? error : (int64_t)result.problems;
}

/* Where there was nothing to repair, looking again each time would tell little. */
static void repair(struct run *run, bool was_damaged)
{
    struct vmfs_check_result result = {.problems = 1};
    int error = vmfs_repair(run->fs, each_problem, run, &result);
    run->out->repair_error = error;
    if (error && !has_excuse(error))
        broken(run, "a repair failed");
    if (error || arena_has_failed())
        return;
    arena_disarm();
    run->out->is_repaired = result.problems == 0;
    if (result.problems)
        broken(run, "a repair left problems");
    if (!was_damaged && run->input->script % 4)
        return;
    if (check(run) != 0)
        broken(run, "a check after the repair found problems");
    int used = use_prove(&run->use);
    if (used && used != -EPERM && !has_excuse(used)) /* the root may have become immutable */
        broken(run, "what was repaired cannot be used");
    if (check(run) != 0)
        broken(run, "what was repaired did not stay sound");
}

/* Without damage every change leaves a sound region. */
static void change_sound(struct run *run)
{
    use_change(&run->use);
    if (check(run) > 0)
        broken(run, "what was sound did not stay so");
}

static void work(struct run *run)
{
    run->use.fs = run->fs;
    bool is_first = run->input->mode & INPUT_MODE_USE_FIRST;
    if (is_first)
        use_change(&run->use);
    look(run);
    if (!is_first)
        use_change(&run->use);
    if (run->input->mode & INPUT_MODE_REOPEN && !reopen(run))
        return;
    int64_t problems = check(run);
    run->out->is_damaged = problems > 0;
    repair(run, run->out->is_damaged);
    if (run->out->is_repaired && problems > 0)
        change_sound(run);
    if (run->out->is_repaired && run->input->mode & INPUT_MODE_REOPEN) {
        if (!reopen(run))
            broken(run, "what was repaired cannot be opened");
        else if (check(run) > 0)
            broken(run, "what was repaired was not sound when opened again");
    }
}

/* What cannot be opened otherwise is opened for repair, which may be beyond it; but if not, nothing is left. */
static void work_closed(struct run *run)
{
    struct vmfs_check_result result = {.problems = 1};
    if (arena_has_failed() || arena_attach(VMFS_REPAIR, &run->fs) != 0)
        return;
    run->use.fs = run->fs;
    run->out->repair_error = vmfs_repair(run->fs, each_problem, run, &result);
    if (run->out->repair_error || arena_has_failed())
        return;
    arena_disarm();
    run->out->is_repaired = result.problems == 0;
    if (result.problems || check(run) != 0)
        broken(run, "a repair of what cannot be opened left problems");
    change_sound(run);
    if (!reopen(run))
        broken(run, "what was repaired cannot be opened");
    else if (check(run) > 0)
        broken(run, "what was repaired was not sound when opened again");
}

void drive(struct seed_image *const images[SEED_COUNT], const struct input *input,
           struct drive_result *out)
{
    struct seed_image *image = images[input->seed];
    struct run run = {.image = image, .input = input, .out = out};
    *out = (struct drive_result){.broken = NULL};
    arena_use(&image->arena);
    arena_restore(&image->arena);
    arena_surroundings(input->script, input->fault, input->nth);
    seed_init(&run.use.seed, input->script);
    choose_targets(&run);
    out->is_mended = mutate_all(&image->arena, &image->atlas, input);
    look_first(&run);
    out->open_error = arena_attach(0, &run.fs);
    if (out->open_error == 0) {
        out->is_open = true;
        work(&run);
    } else {
        work_closed(&run);
    }
    if (run.fs)
        (void)vmfs_close(run.fs);
    struct arena_memory memory = arena_memory();
    if (memory.live_bytes)
        broken(&run, "memory was not given back");
    if (memory.peak_bytes > image->arena.bytes * MEMORY_PER_BYTE + MEMORY_REST)
        broken(&run, "more memory than the region deserves");
}
