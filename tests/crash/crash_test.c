/* crash_test.c -- every operation, cut at every fence
 *
 *     crash_test [--quick | --long] [--first] [--sound] [--model line|word|page|all] [--jobs N]
 *                [--seconds N] [--seed N] [--mib N] [--only LABEL] [--replay TOKEN] [--json FILE]
 *                [--keep FOLDER]
 *
 * Each suite runs its operations on a recorded medium. Before every fence, in long epochs and after the
 * return the states that a crash may leave are tried, each recovered, checked, read and used. Passes with
 * new seeds follow until the time is up.
 *
 * --quick  cuts fewer recoveries, only some of the labels under word and page, and ends each suite when its
 *          share of 75 seconds is over, unless one is asked for with --only
 * --long   cuts every recovery, all labels under all models, and ends each suite when its share of ten
 *          minutes, or of --seconds, is over
 * --sound  does without all reductions, and tries as many more states as it takes
 * --keep   where a violation leaves its token, its image and a text (default: vmfs-crash in the folder for
 *          temporary files; "none": nowhere) */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "media/format.h"
#include "scenarios.h"
#include "seed.h"

#define JOBS_MAX      16u
#define TRIM_BYTES    (256 << 20)
#define LONG_SECONDS  600.0
#define QUICK_SECONDS 75.0
#define MODELS        3u
#define LEAVES_QUICK  1024u
#define NESTED_QUICK  24u
#define NESTED_SOUND  64u
#define THIRD_QUICK   512u
#define SECOND_LINES  2u /* both watermark lines, and nothing else */

/* With what part of a run's time each may have; what is left goes to the next. */
static const struct crash_suite suites[] = {
    {"format", suite_format, 0.04},         {"damage", suite_damage, 0.06},
    {"concurrent", suite_concurrent, 0.20}, {"singles", suite_singles, 0.25},
    {"pairs", suite_pairs, 0.10},           {"sequences", suite_sequences, 0.10},
    {"scenarios", suite_scenarios, 0.25},
};

static const char *const model_names[MODELS] = {"line", "word", "page"};
static const double model_shares[MODELS] = {0.7, 0.15, 0.15};

/* What one process has found, by model. */
struct totals {
    uint64_t states;
    uint64_t examined;
    uint64_t inner;
    uint64_t points;
    uint64_t shares[SHARE_COUNT];
    uint64_t records;
    uint64_t violations;
    uint64_t escaped;
    uint64_t unfenced;
    uint64_t redundant_flushes;
    uint64_t overwritten;
};

/* R4: no record of an era that is over checks any more, so what is left of it says nothing. */
static void find_lanes(struct crash *crash, struct vmfs *fs)
{
    struct vmfs_info info = {.struct_bytes = sizeof info};
    crash_must(crash, vmfs_info(fs, &info), "info");
    crash->explorer.dead_offset = (uint64_t)VM_LANES_BLOCK * VMFS_BLOCK_SIZE;
    crash->explorer.dead_bytes = info.lane_count * info.lane_bytes;
}

/* The image that most runs start from; every free block is poisoned. */
static void build_image(struct crash *crash)
{
    seed_fill(crash->garbage, crash->bytes, crash->explorer.seed);
    crash_load(crash, crash->garbage, 1);
    struct vmfs *fs;
    crash_must(crash, world_attach(&crash->live, VMFS_CREATE | VMFS_FORCE, &fs), "format");
    crash->dumps.empty_blocks = world_free_blocks(fs);
    find_lanes(crash, fs);
    crash_must(crash, scenario_poison(fs), "poison");
    crash_must(crash, scenario_make_tree(fs), "tree");
    crash_must(crash, vmfs_close(fs), "close");
    memcpy(crash->image, crash->live.memory, crash->bytes);
}

/* ---- options ---- */

struct options {
    uint64_t seed;
    uint64_t mib;
    uint64_t jobs;
    double seconds;
    bool is_quick;
    bool is_long;
    bool is_first; /* end at the first violation */
    bool is_sound;
    const char *model;
    const char *only;
    const char *json;
    const char *keep;
    char *replay;
};

static const char *keep_folder(const struct options *options)
{
    static char folder[4096];
    const char *base = getenv("TMPDIR");
    if (options->keep)
        return strcmp(options->keep, "none") == 0 ? NULL : options->keep;
    snprintf(folder, sizeof folder, "%s/vmfs-crash", base ? base : "/tmp");
    return folder;
}

static void set_up(struct crash *crash, const struct options *options)
{
    struct explorer *explorer = &crash->explorer;
    crash->bytes = options->mib << 20;
    crash->only = options->only;
    crash->is_quick = options->is_quick;
    crash->image = medium_pages(crash->bytes);
    crash->garbage = medium_pages(crash->bytes);
    crash->zeros = medium_pages(crash->bytes);
    medium_init(&crash->live, crash->bytes);
    dumps_init(&crash->dumps);
    explore_init(explorer, crash->bytes);
    explorer->seed = options->seed;
    explorer->is_first = options->is_first;
    explorer->is_sound = options->is_sound;
    explorer->keep = keep_folder(options);
    explorer->second_lines_max = SECOND_LINES;
    if (options->is_sound)
        explorer->nested_every = NESTED_SOUND;
    if (options->is_quick) {
        explorer->choices_max = 12;
        explorer->random_count = 6;
        explorer->leaves_max = LEAVES_QUICK;
        explorer->nested_every = NESTED_QUICK;
        explorer->third_every = THIRD_QUICK;
        explorer->sound_max = 64;
    }
}

static void set_replay(struct crash *crash, struct token *token)
{
    crash->explorer.replay = token;
    crash->explorer.seed = token->seed;
    crash->only = token->label;
    crash->is_exact_label = true;
}

/* Options with a value; false if it is none of them. */
static bool parse_value(struct options *options, const char *name, char *value)
{
    if (!value)
        return false;
    if (strcmp(name, "--seconds") == 0)
        options->seconds = strtod(value, NULL);
    else if (strcmp(name, "--seed") == 0)
        options->seed = strtoull(value, NULL, 0);
    else if (strcmp(name, "--mib") == 0)
        options->mib = strtoull(value, NULL, 0);
    else if (strcmp(name, "--jobs") == 0)
        options->jobs = strtoull(value, NULL, 0);
    else if (strcmp(name, "--model") == 0)
        options->model = value;
    else if (strcmp(name, "--only") == 0)
        options->only = value;
    else if (strcmp(name, "--json") == 0)
        options->json = value;
    else if (strcmp(name, "--keep") == 0)
        options->keep = value;
    else if (strcmp(name, "--replay") == 0)
        options->replay = value;
    else
        return false;
    return true;
}

static bool parse_flag(struct options *options, const char *name)
{
    if (strcmp(name, "--quick") == 0)
        options->is_quick = true;
    else if (strcmp(name, "--long") == 0)
        options->is_long = true;
    else if (strcmp(name, "--first") == 0)
        options->is_first = true;
    else if (strcmp(name, "--sound") == 0)
        options->is_sound = true;
    else
        return false;
    return true;
}

static bool is_model_known(const char *name)
{
    bool is_known = strcmp(name, "all") == 0;
    for (unsigned model = 0; model < MODELS; model++)
        is_known = is_known || strcmp(name, model_names[model]) == 0;
    return is_known;
}

static bool parse_options(struct options *options, int argc, char **argv)
{
    for (int at = 1; at < argc; at++) {
        if (parse_flag(options, argv[at]))
            continue;
        if (!parse_value(options, argv[at], at + 1 < argc ? argv[at + 1] : NULL))
            return false;
        at++;
    }
    if (options->is_long && options->seconds <= 0)
        options->seconds = LONG_SECONDS;
    return options->mib > 0 && options->jobs > 0 && options->jobs <= JOBS_MAX &&
           is_model_known(options->model);
}

/* ---- passes ---- */

static void add_totals(struct totals *totals, struct explorer *explorer)
{
    totals->states += explorer->state_count;
    totals->examined += explorer->examined_count;
    totals->inner += explorer->inner_count;
    totals->points += explorer->point_count;
    for (unsigned share = 0; share < SHARE_COUNT; share++)
        totals->shares[share] += explorer->share_count[share];
    totals->records += explorer->record_count;
    totals->violations += explorer->violation_count;
    totals->escaped += explorer->escaped_count;
    explorer->state_count = explorer->examined_count = explorer->inner_count = 0;
    explorer->point_count = explorer->record_count = 0;
    explorer->violation_count = explorer->escaped_count = 0;
    memset(explorer->share_count, 0, sizeof explorer->share_count);
}

/* Labels are made with nothing cut first, so each model has its own pass over all suites. */
static void run_model(struct crash *crash, enum medium_model model, struct totals *totals)
{
    crash->live.model = model;
    for (unsigned index = 0; index < sizeof suites / sizeof suites[0]; index++) {
        if (crash->boxed_seconds > 0)
            crash->deadline += crash->boxed_seconds * model_shares[model] * suites[index].share;
        suites[index].run(crash);
    }
    struct medium *live = &crash->live;
    crash->explorer.escaped_count += live->escaped;
    totals[model].unfenced += live->unfenced;
    totals[model].redundant_flushes += live->redundant_flushes;
    totals[model].overwritten += live->overwritten;
    live->escaped = live->unfenced = live->redundant_flushes = live->overwritten = 0;
    add_totals(&totals[model], &crash->explorer);
}

static void run_passes(struct crash *crash, const struct options *options, struct totals *totals)
{
    const struct token *token = crash->explorer.replay;
    double start = crash_seconds();
    crash->deadline = options->seconds > 0 ? start + options->seconds : 0;
    if (!options->only && !token && (options->is_long || options->seconds <= 0))
        crash->boxed_seconds = options->is_long    ? options->seconds
                               : options->is_quick ? QUICK_SECONDS
                                                   : 0;
    if (crash->boxed_seconds > 0)
        crash->deadline = start;
    do {
        build_image(crash);
        for (unsigned model = 0; model < MODELS; model++)
            if (token ? token->model == model
                      : strcmp(options->model, "all") == 0 ||
                            strcmp(options->model, model_names[model]) == 0)
                run_model(crash, (enum medium_model)model, totals);
        crash->explorer.seed++;
    } while (!token && crash_seconds() - start < options->seconds);
}

/* Processes share the labels; returns how many ended badly. */
static unsigned run_jobs(struct crash *crash, const struct options *options, struct totals *totals)
{
    unsigned failed = 0;
    crash->shared = crash_share();
    if (!crash->shared) {
        fprintf(stderr, "crash_test: no shared memory\n");
        exit(2);
    }
    fflush(NULL);
    for (unsigned job = 0; job < options->jobs; job++) {
        pid_t child = fork();
        if (child == 0) {
            crash->job = job;
            set_up(crash, options);
            run_passes(crash, options, totals + (uint64_t)job * MODELS);
            fflush(NULL);
            _exit(0);
        }
        failed += child < 0;
    }
    int status;
    while (wait(&status) > 0)
        failed += status != 0;
    return failed;
}

/* ---- results ---- */

static struct totals sum_up(const struct totals *totals, uint64_t count, uint64_t step)
{
    struct totals sum = {0};
    for (uint64_t index = 0; index < count; index += step) {
        sum.states += totals[index].states;
        sum.examined += totals[index].examined;
        sum.inner += totals[index].inner;
        sum.points += totals[index].points;
        for (unsigned share = 0; share < SHARE_COUNT; share++)
            sum.shares[share] += totals[index].shares[share];
        sum.records += totals[index].records;
        sum.violations += totals[index].violations;
        sum.escaped += totals[index].escaped;
        sum.unfenced += totals[index].unfenced;
        sum.redundant_flushes += totals[index].redundant_flushes;
        sum.overwritten += totals[index].overwritten;
    }
    return sum;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0.0;
}

static void print_json(FILE *out, const char *name, const struct totals *sum)
{
    fprintf(out,
            "\"%s\": {\"states\": %" PRIu64 ", \"examined\": %" PRIu64 ", \"in_recovery\": %" PRIu64
            ", \"points\": %" PRIu64 ", \"enumerated\": %" PRIu64 ", \"reduced\": %" PRIu64
            ", \"sampled\": %" PRIu64 ", \"records\": %" PRIu64 ", \"violations\": %" PRIu64
            ", \"escaped\": %" PRIu64 ", \"unfenced_words\": %" PRIu64
            ", \"redundant_flushes\": %" PRIu64 ", \"overwritten_words\": %" PRIu64 "}",
            name, sum->states, sum->examined, sum->inner, sum->points,
            sum->shares[SHARE_ENUMERATED], sum->shares[SHARE_REDUCED], sum->shares[SHARE_SAMPLED],
            sum->records, sum->violations, sum->escaped, sum->unfenced, sum->redundant_flushes,
            sum->overwritten);
}

static void write_json(const struct options *options, const struct totals *totals, double seconds)
{
    FILE *out = fopen(options->json, "w");
    if (!out) {
        fprintf(stderr, "crash_test: %s cannot be written\n", options->json);
        exit(2);
    }
    struct totals all = sum_up(totals, options->jobs * MODELS, 1);
    fprintf(out, "{\"seconds\": %.3f, \"jobs\": %" PRIu64 ", \"seed\": %" PRIu64 ",\n ", seconds,
            options->jobs, options->seed);
    print_json(out, "all", &all);
    for (unsigned model = 0; model < MODELS; model++) {
        struct totals sum = sum_up(totals + model, (options->jobs - 1) * MODELS + 1, MODELS);
        fprintf(out, ",\n ");
        print_json(out, model_names[model], &sum);
    }
    fprintf(out, "}\n");
    fclose(out);
}

/* Of this process and those that it has waited for: the figure is for one core, however busy it is. */
static double cpu_seconds(void)
{
    double seconds = 0;
    const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (unsigned index = 0; index < 2; index++) {
        struct rusage usage;
        getrusage(whose[index], &usage);
        seconds += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    }
    return seconds;
}

static bool report(const struct options *options, const struct totals *totals, double seconds)
{
    struct totals sum = sum_up(totals, options->jobs * MODELS, 1);
    printf("enumerated=%.2f%% by_reduction=%.2f%% sampled=%.2f%% examined=%" PRIu64
           " in_recovery=%" PRIu64 " records=%" PRIu64
           " seconds=%.1f cpu_seconds=%.1f jobs=%" PRIu64 "\n",
           percent(sum.shares[SHARE_ENUMERATED], sum.points),
           percent(sum.shares[SHARE_REDUCED], sum.points),
           percent(sum.shares[SHARE_SAMPLED], sum.points), sum.examined, sum.inner, sum.records,
           seconds, cpu_seconds(), options->jobs);
    printf("unfenced_words=%" PRIu64 " redundant_flushes=%" PRIu64 " overwritten_words=%" PRIu64
           "\n",
           sum.unfenced, sum.redundant_flushes, sum.overwritten);
    printf("states=%" PRIu64 " points=%" PRIu64 " complete=%.2f violations=%" PRIu64
           " escaped=%" PRIu64 " states_per_s=%.0f\n",
           sum.states, sum.points,
           percent(sum.shares[SHARE_ENUMERATED] + sum.shares[SHARE_REDUCED], sum.points),
           sum.violations, sum.escaped, (double)sum.states / cpu_seconds());
    if (options->json)
        write_json(options, totals, seconds);
    return sum.violations == 0 && sum.escaped == 0;
}

int main(int argc, char **argv)
{
    static struct crash crash;
    static struct token token;
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES); /* what one state frees, the next one takes */
    struct options options = {.seed = 1, .mib = 1, .jobs = 1, .model = "all"};
    if (!parse_options(&options, argc, argv)) {
        fprintf(stderr,
                "usage: crash_test [--quick | --long] [--first] [--sound] [--jobs N]\n"
                "                  [--model line|word|page|all] [--seconds N] [--seed N]\n"
                "                  [--mib N] [--only LABEL] [--replay TOKEN] [--json FILE]\n"
                "                  [--keep FOLDER]\n");
        return 2;
    }
    if (options.replay && !token_parse(options.replay, &token)) {
        fprintf(stderr, "crash_test: this is no token\n");
        return 2;
    }
    if (options.replay)
        options.mib = token.region_mib;
    uint64_t bytes = options.jobs * MODELS * sizeof(struct totals);
    struct totals *totals =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED)
        return 2;
    double start = crash_seconds();
    unsigned failed = 0;
    if (options.jobs > 1 && !options.replay) {
        failed = run_jobs(&crash, &options, totals);
    } else {
        set_up(&crash, &options);
        if (options.replay)
            set_replay(&crash, &token);
        run_passes(&crash, &options, totals);
    }
    bool is_good = report(&options, totals, crash_seconds() - start);
    return !is_good || failed != 0;
}
