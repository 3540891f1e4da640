/* crash_test.c -- every operation, cut at every fence
 *
 *     crash_test [--quick] [--first] [--seconds N] [--seed N] [--mib N] [--only LABEL] [--replay
 * TOKEN]
 *
 * Each scenario is run in each variant on a recorded medium. Before every fence and after the
 * return the states that a crash may leave are tried, each attached, checked, read and used. Passes
 * with new seeds follow until the time is up. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/handle.h"
#include "explore.h"
#include "scenarios.h"
#include "seed.h"

#define OP_NOW_NS    ((int64_t)2000000000000000000)
#define OTHER_NOW_NS ((int64_t)3000000000000000000)
#define THREAD_OP    1u
#define THREAD_OTHER 2u
#define LABEL_BYTES  64u

enum dump_index { DUMP_NONE, DUMP_OP, DUMP_OTHER, DUMP_BOTH };
#define BIT(index) (1u << (index))

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

struct test {
    struct explorer explorer;
    struct medium live;
    uint8_t *image; /* a poisoned region with the tree */
    uint8_t *garbage;
    uint8_t *zeros;
    struct dump *dumps[EXPLORE_DUMPS];
    const char *only;
    uint64_t bytes;
    double deadline; /* 0: none */
    /* The run that is going on. */
    const struct scenario *scenario;
    const struct variant *variant;
    struct play play;
    bool is_recording;
    bool is_meanwhile_due;
    bool is_inside_meanwhile;
};

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(const struct test *test, int err, const char *what)
{
    if (err == 0)
        return;
    fprintf(stderr, "crash_test.c: %s.%c: %s: %s\n", test->scenario ? test->scenario->name : "",
            test->variant ? test->variant->letter : '-', what, strerror(-err));
    exit(2);
}

static void load(struct test *test, const uint8_t *image)
{
    medium_load(&test->live, image);
    test->live.thread = THREAD_OP;
    test->live.random_seed = test->explorer.seed;
    test->live.random_count = 0;
    test->live.now_ns = 1000;
    test->live.mirror_count = 0;
    medium_use(&test->live);
}

static void take_dump(struct test *test, enum dump_index index)
{
    test->dumps[index]->target = test->scenario ? test->scenario->target : NULL;
    world_dump(test->play.fs, test->dumps[index]);
    must(test, test->dumps[index]->error, "dump");
}

/* The image that most runs start from; every free block is poisoned. */
static void build_image(struct test *test)
{
    seed_fill(test->garbage, test->bytes, test->explorer.seed);
    load(test, test->garbage);
    struct vmfs *fs;
    must(test, world_attach(&test->live, VMFS_CREATE | VMFS_FORCE, &fs), "format");
    test->explorer.empty_blocks = world_free_blocks(fs);
    must(test, scenario_poison(fs), "poison");
    must(test, scenario_make_tree(fs), "tree");
    must(test, vmfs_close(fs), "close");
    memcpy(test->image, test->live.memory, test->bytes);
}

/* ---- one run ---- */

/* Attaches and does what comes before the operation. */
static void prepare(struct test *test)
{
    const struct scenario *scenario = test->scenario;
    const struct variant *variant = test->variant;
    struct play *play = &test->play;
    *play = (struct play){0};
    if (variant->is_zeroed) {
        load(test, test->zeros);
        must(test, world_attach(&test->live, VMFS_CREATE | VMFS_ZEROED, &play->fs), "format");
        must(test, scenario_make_tree(play->fs), "tree");
    } else {
        load(test, test->image);
        must(test, world_attach(&test->live, 0, &play->fs), "attach");
    }
    if (variant->is_growing)
        must(test, scenario_fill_leaf(play->fs, false), "fill the leaf");
    if (variant->is_growing)
        must(test, scenario_fill_inodes(play->fs), "fill the inodes");
    if (!variant->is_unsynced)
        must(test, vmfs_sync(play->fs), "sync");
    else if (!variant->is_grown)
        must(test, scenario_history(play->fs), "history");
    if (scenario->before)
        must(test, scenario->before(play), "before");
    if (variant->is_grown)
        must(test, scenario_fill_leaf(play->fs, true), "split the leaf");
    if (!variant->is_unsynced && !scenario->is_unsynced)
        must(test, vmfs_sync(play->fs), "sync");
}

static void finish(struct test *test)
{
    if (test->play.file)
        must(test, vmfs_file_close(test->play.file), "close the file");
    if (test->play.dir)
        must(test, vmfs_dir_close(test->play.dir), "close the directory");
    must(test, vmfs_close(test->play.fs), "close");
}

static void run_op(struct test *test)
{
    test->live.now_ns = OP_NOW_NS;
    must(test, test->scenario->op(&test->play), "the operation");
}

static void run_other(struct test *test)
{
    int64_t before_ns = test->live.now_ns;
    test->live.now_ns = OTHER_NOW_NS;
    test->live.thread = THREAD_OTHER;
    must(test, scenario_other(test->play.fs), "the other thread");
    test->live.thread = THREAD_OP;
    test->live.now_ns = before_ns;
}

static void run_checkpoint(struct test *test)
{
    struct vm_ctx ctx;
    test->live.thread = THREAD_OTHER;
    vm_ctx_init(test->play.fs, &ctx);
    must(test, vm_checkpoint(&ctx, false) < 0 ? -EIO : 0, "checkpoint");
    test->live.thread = THREAD_OP;
}

/* ---- recording ---- */

static void run_meanwhile(struct test *test, enum moment moment)
{
    struct explorer *explorer = &test->explorer;
    const struct variant *variant = test->variant;
    if (!test->is_meanwhile_due || test->is_inside_meanwhile || variant->moment != moment ||
        !world_is_quiet(test->play.fs))
        return;
    test->is_inside_meanwhile = true;
    if (variant->meanwhile == CHECKPOINT) {
        run_checkpoint(test);
    } else {
        test->is_meanwhile_due = false;
        explorer->allowed = BIT(DUMP_NONE) | BIT(DUMP_OP) | BIT(DUMP_OTHER) | BIT(DUMP_BOTH);
        run_other(test);
        explorer->allowed = BIT(DUMP_OTHER) | BIT(DUMP_BOTH);
    }
    test->is_inside_meanwhile = false;
    if (moment == BEFORE_FENCE)
        explore_point(explorer, &test->live);
}

static void before_fence(struct medium *live, void *arg)
{
    struct test *test = arg;
    if (!test->is_recording)
        return;
    explore_point(&test->explorer, live);
    run_meanwhile(test, BEFORE_FENCE);
}

static void after_fence(struct medium *live, void *arg)
{
    struct test *test = arg;
    (void)live;
    if (test->is_recording)
        run_meanwhile(test, AFTER_FENCE);
}

/* What the tree may be: found by running without a crash. */
static void learn(struct test *test)
{
    prepare(test);
    take_dump(test, DUMP_NONE);
    run_op(test);
    take_dump(test, DUMP_OP);
    if (test->variant->meanwhile == OTHER_CALLS) {
        run_other(test);
        take_dump(test, DUMP_BOTH);
        finish(test);
        prepare(test);
        run_other(test);
        take_dump(test, DUMP_OTHER);
    }
    finish(test);
}

static void record(struct test *test, const char *label)
{
    struct explorer *explorer = &test->explorer;
    prepare(test);
    explore_start(explorer, &test->live, label);
    explorer->allowed = BIT(DUMP_NONE) | BIT(DUMP_OP);
    explorer->is_exact = false;
    explorer->is_full = test->scenario->is_full;
    test->is_recording = true;
    test->is_meanwhile_due = test->variant->meanwhile != ALONE;
    run_op(test);
    bool has_other = test->variant->meanwhile == OTHER_CALLS && !test->is_meanwhile_due;
    explorer->allowed = BIT(has_other ? DUMP_BOTH : DUMP_OP);
    explorer->is_exact = true;
    explore_point(explorer, &test->live);
    test->is_recording = false;
    finish(test);
}

static bool is_wanted(const struct test *test, const char *label)
{
    if (test->deadline > 0 && now_seconds() > test->deadline)
        return false;
    return !test->only || strncmp(label, test->only, strlen(test->only)) == 0;
}

static void run_scenario(struct test *test, const struct scenario *scenario,
                         const struct variant *variant)
{
    char label[LABEL_BYTES];
    snprintf(label, sizeof label, "%s.%c", scenario->name, variant->letter);
    bool has_sense = (!variant->is_zeroed || scenario->target) &&
                     (variant->meanwhile != OTHER_CALLS || !scenario->is_full);
    if (!is_wanted(test, label) || !has_sense)
        return;
    test->scenario = scenario;
    test->variant = variant;
    learn(test);
    record(test, label);
}

/* ---- formatting ---- */

/* The random numbers of two formats of one region differ, as its records must (H14). */
static void load_for_format(struct test *test, const uint8_t *old)
{
    load(test, old);
    test->live.random_seed = seed_mix(test->explorer.seed, 1);
}

/* Over garbage, and over a filesystem that holds files: what was there, nothing, or an empty one.
 */
static void run_format(struct test *test, const uint8_t *old, bool is_filesystem, const char *label)
{
    struct explorer *explorer = &test->explorer;
    if (!is_wanted(test, label))
        return;
    test->scenario = NULL;
    test->variant = &variants[0];
    load(test, old);
    if (is_filesystem) {
        must(test, world_attach(&test->live, 0, &test->play.fs), "attach");
        take_dump(test, DUMP_NONE);
        must(test, vmfs_close(test->play.fs), "close");
    }
    load_for_format(test, old);
    must(test, world_attach(&test->live, VMFS_CREATE | VMFS_FORCE, &test->play.fs), "format");
    take_dump(test, DUMP_OP);
    must(test, vmfs_close(test->play.fs), "close");
    load_for_format(test, old);
    explore_start(explorer, &test->live, label);
    explorer->allowed = BIT(DUMP_OP) | (is_filesystem ? BIT(DUMP_NONE) : 0);
    explorer->is_exact = false;
    explorer->is_full = false;
    explorer->is_format = true;
    test->is_recording = true;
    test->is_meanwhile_due = false;
    must(test, world_attach(&test->live, VMFS_CREATE | VMFS_FORCE, &test->play.fs), "format");
    explorer->is_exact = true;
    explorer->allowed = BIT(DUMP_OP);
    explore_point(explorer, &test->live);
    test->is_recording = false;
    explorer->is_format = false;
    must(test, vmfs_close(test->play.fs), "close");
}

/* ---- the program ---- */

struct options {
    uint64_t seed;
    uint64_t mib;
    double seconds;
    bool is_quick;
    bool is_first; /* end at the first violation */
    const char *only;
    char *replay;
};

static void run_pass(struct test *test)
{
    build_image(test);
    run_format(test, test->garbage, false, "format-garbage.p");
    run_format(test, test->image, true, "format-over.p");
    uint64_t first = test->explorer.seed; /* so that a short time covers all in the end */
    for (unsigned index = 0; index < scenario_count; index++)
        for (unsigned variant = 0; variant < VARIANT_COUNT; variant++)
            run_scenario(test, &scenarios[(first + index) % scenario_count], &variants[variant]);
}

static bool parse_token(struct test *test, char *text, struct token *token)
{
    char *slash = strchr(text, '/');
    unsigned long long index = 0;
    unsigned long long inner_index = 0;
    unsigned long long seed;
    if (!slash)
        return false;
    *token = (struct token){0};
    bool is_whole =
        sscanf(slash, "/%u:%c%llu@%llu", &token->point, &token->kind, &index, &seed) == 4 ||
        sscanf(slash, "/%u:%c%llu/%u:%c%llu@%llu", &token->point, &token->kind, &index,
               &token->inner_point, &token->inner_kind, &inner_index, &seed) == 7;
    token->index = index;
    token->inner_index = inner_index;
    test->explorer.seed = seed;
    *slash = '\0';
    test->only = text;
    test->explorer.replay = token;
    return is_whole;
}

static void set_up(struct test *test, const struct options *options)
{
    struct explorer *explorer = &test->explorer;
    test->bytes = options->mib << 20;
    test->only = options->only;
    test->image = medium_pages(test->bytes);
    test->garbage = medium_pages(test->bytes);
    test->zeros = medium_pages(test->bytes);
    medium_init(&test->live, test->bytes);
    test->live.before_fence = before_fence;
    test->live.after_fence = after_fence;
    test->live.hook_arg = test;
    explore_init(explorer, test->bytes);
    explorer->seed = options->seed;
    explorer->is_first = options->is_first;
    explorer->choices_max = options->is_quick ? 12 : 600;
    explorer->states.random_count = options->is_quick ? 6 : 64;
    explorer->nested_random = options->is_quick ? 0 : 8;
    for (unsigned index = 0; index < EXPLORE_DUMPS; index++)
        explorer->dumps[index] = test->dumps[index] = (void *)medium_pages(sizeof **test->dumps);
}

static bool parse_options(struct options *options, int argc, char **argv)
{
    for (int at = 1; at < argc; at++) {
        char *value = at + 1 < argc ? argv[at + 1] : NULL;
        if (strcmp(argv[at], "--quick") == 0) {
            options->is_quick = true;
            continue;
        }
        if (strcmp(argv[at], "--first") == 0) {
            options->is_first = true;
            continue;
        }
        if (!value)
            return false;
        if (strcmp(argv[at], "--seconds") == 0)
            options->seconds = strtod(value, NULL);
        else if (strcmp(argv[at], "--seed") == 0)
            options->seed = strtoull(value, NULL, 0);
        else if (strcmp(argv[at], "--mib") == 0)
            options->mib = strtoull(value, NULL, 0);
        else if (strcmp(argv[at], "--only") == 0)
            options->only = value;
        else if (strcmp(argv[at], "--replay") == 0)
            options->replay = value;
        else
            return false;
        at++;
    }
    return options->mib > 0;
}

int main(int argc, char **argv)
{
    static struct test test;
    struct token token;
    struct options options = {.seed = 1, .mib = 1};
    if (!parse_options(&options, argc, argv)) {
        fprintf(stderr, "usage: crash_test [--quick] [--first] [--seconds N] [--seed N] [--mib N]\n"
                        "                  [--only LABEL] [--replay TOKEN]\n");
        return 2;
    }
    set_up(&test, &options);
    if (options.replay && !parse_token(&test, options.replay, &token)) {
        fprintf(stderr, "crash_test: '%s' is no token\n", options.replay);
        return 2;
    }
    double start = now_seconds();
    test.deadline = options.seconds > 0 ? start + options.seconds : 0;
    struct explorer *explorer = &test.explorer;
    do {
        run_pass(&test);
        explorer->seed++;
    } while (!options.replay && now_seconds() - start < options.seconds);
    double seconds = now_seconds() - start;
    printf("states=%llu points=%llu violations=%llu states_per_s=%.0f\n",
           (unsigned long long)explorer->state_count, (unsigned long long)explorer->point_count,
           (unsigned long long)explorer->violation_count, (double)explorer->state_count / seconds);
    return explorer->violation_count != 0;
}
