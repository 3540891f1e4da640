/* crash_test.c -- every operation, cut at every fence
 *
 *     crash_test [--quick] [--first] [--seconds N] [--seed N] [--mib N] [--only LABEL] [--replay TOKEN]
 *
 * Each suite runs its operations on a recorded medium. Before every fence and after the return the
 * states that a crash may leave are tried, each attached, checked, read and used. Passes with new seeds
 * follow until the time is up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash.h"
#include "scenarios.h"
#include "seed.h"

static const struct crash_suite suites[] = {
    {"format", suite_format},
    {"scenarios", suite_scenarios},
    {"singles", suite_singles},
    {"pairs", suite_pairs},
    {"sequences", suite_sequences},
    {"concurrent", suite_concurrent},
};

/* The image that most runs start from; every free block is poisoned. */
static void build_image(struct crash *crash)
{
    seed_fill(crash->garbage, crash->bytes, crash->explorer.seed);
    crash_load(crash, crash->garbage, 1);
    struct vmfs *fs;
    crash_must(crash, world_attach(&crash->live, VMFS_CREATE | VMFS_FORCE, &fs), "format");
    crash->dumps.empty_blocks = world_free_blocks(fs);
    crash_must(crash, scenario_poison(fs), "poison");
    crash_must(crash, scenario_make_tree(fs), "tree");
    crash_must(crash, vmfs_close(fs), "close");
    memcpy(crash->image, crash->live.memory, crash->bytes);
}

static void run_pass(struct crash *crash)
{
    build_image(crash);
    for (unsigned index = 0; index < sizeof suites / sizeof suites[0]; index++)
        suites[index].run(crash);
}

/* ---- options ---- */

struct options {
    uint64_t seed;
    uint64_t mib;
    double seconds;
    bool is_quick;
    bool is_first; /* end at the first violation */
    const char *only;
    char *replay;
};

static bool parse_token(struct crash *crash, char *text, struct token *token)
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
    crash->explorer.seed = seed;
    *slash = '\0';
    crash->only = text;
    crash->explorer.replay = token;
    return is_whole;
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
    explorer->choices_max = options->is_quick ? 12 : 600;
    explorer->states.random_count = options->is_quick ? 6 : 64;
    explorer->nested_random = options->is_quick ? 0 : 8;
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
    static struct crash crash;
    struct token token;
    struct options options = {.seed = 1, .mib = 1};
    if (!parse_options(&options, argc, argv)) {
        fprintf(stderr, "usage: crash_test [--quick] [--first] [--seconds N] [--seed N] [--mib N]\n"
                        "                  [--only LABEL] [--replay TOKEN]\n");
        return 2;
    }
    set_up(&crash, &options);
    if (options.replay && !parse_token(&crash, options.replay, &token)) {
        fprintf(stderr, "crash_test: '%s' is no token\n", options.replay);
        return 2;
    }
    double start = crash_seconds();
    crash.deadline = options.seconds > 0 ? start + options.seconds : 0;
    struct explorer *explorer = &crash.explorer;
    do {
        run_pass(&crash);
        explorer->seed++;
    } while (!options.replay && crash_seconds() - start < options.seconds);
    double seconds = crash_seconds() - start;
    printf("states=%llu points=%llu violations=%llu states_per_s=%.0f\n",
           (unsigned long long)explorer->state_count, (unsigned long long)explorer->point_count,
           (unsigned long long)explorer->violation_count, (double)explorer->state_count / seconds);
    return explorer->violation_count != 0;
}
