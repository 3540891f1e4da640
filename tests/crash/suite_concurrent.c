/* suite_concurrent.c -- calls of several threads at once, in many orders, cut at every fence
 *
 * Every pair of deeds (deeds.h) is played with no preemption and with one at each step, or at some of
 * them; longer concerts are sampled. At each crash point the tree must be that of a legal order
 * (orders.h), as the answers must be at the end and the tree in memory. A token's label holds the concert
 * and its plan (schedule.h), so it replays alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "crash.h"
#include "orders.h"
#include "scenarios.h"
#include "schedule.h"
#include "seed.h"

#define LABEL_BYTES       192u
#define TURNS_OF_SEED     3u /* one for each model */
#define QUICK_STEPS_EVERY 6u
#define QUICK_PAIRS_EVERY 61u
#define QUICK_NESTED_MORE 4u
#define QUICK_SAMPLES     12u
#define SAMPLES           4000u

struct concurrent {
    struct crash *crash;
    struct judge judge;
    struct orders orders;
    struct sched sched;
    struct side side;
    struct concert concert;
    struct sched_plan plan;
    uint8_t *image;
    uint64_t empty_blocks;
    uint64_t rules;
    bool is_exploring;
    uint32_t from_step; /* states are tried from this step on */
    char label[LABEL_BYTES];
};

/* ---- the judge ---- */

static int recover(void *arg, struct medium *medium, struct vmfs **out)
{
    (void)arg;
    return world_attach(medium, 0, out);
}

static const char *use_up(const struct concurrent *suite, struct vmfs *fs)
{
    static struct dump dump;
    const struct picture *found = &suite->orders.found;
    dump.dir_count = 0;
    for (unsigned index = 0; index < found->count; index++) {
        const struct picture_name *name = &found->names[index];
        if (name->is_dir && dump.dir_count < WORLD_DIRS_MAX)
            memcpy(dump.dirs[dump.dir_count++], name->path, sizeof name->path);
    }
    return world_use_up(fs, &dump, suite->empty_blocks);
}

static const char *look(struct concurrent *suite, struct vmfs *fs, FILE *details)
{
    if (sched_is_playing())
        return "a state is tried while the threads play";
    if (!world_is_sound(fs, details))
        return "vmfs_check finds problems";
    const char *reason = orders_judge(&suite->orders, fs, details);
    if (!reason)
        reason = use_up(suite, fs);
    return reason;
}

static const char *examine(void *arg, struct vmfs *fs, FILE *details)
{
    const char *reason = look(arg, fs, details);
    if (vmfs_close(fs) && !reason)
        reason = "close fails";
    return reason;
}

static uint64_t rules(void *arg)
{
    const struct concurrent *suite = arg;
    return suite->rules;
}

/* ---- playing ---- */

static void explore_now(void *arg)
{
    struct concurrent *suite = arg;
    if (!suite->is_exploring)
        return;
    if (suite->sched.step_count < suite->from_step) {
        explore_pass(&suite->crash->explorer);
        return;
    }
    suite->rules = orders_settle(&suite->orders);
    explore_point(&suite->crash->explorer, &suite->crash->live);
}

static void body(void *arg, unsigned thread)
{
    struct concurrent *suite = arg;
    struct medium *live = &suite->crash->live;
    for (unsigned index = 0; index < suite->concert.deed_counts[thread]; index++) {
        const struct deed *deed = suite->concert.deeds[thread][index];
        struct answer answer;
        orders_begin(&suite->orders, thread, index);
        medium_begin(live, deed->name);
        side_run(&suite->side, thread, deed, CONCERT_NOW_NS, &answer);
        if (!medium_end(live, answer.code))
            explore_report(&suite->crash->explorer, "a store went past the persist layer");
        orders_end(&suite->orders, thread, index, &answer);
        if (!deed->is_reader)
            sched_look();
    }
}

static void prepare(struct concurrent *suite)
{
    struct crash *crash = suite->crash;
    suite->side = (struct side){.medium = &crash->live};
    crash_load(crash, suite->image, 1);
    crash_must(crash, world_attach(&crash->live, 0, &suite->side.fs), "attach");
    for (unsigned thread = 0; thread < DEED_THREADS_MAX; thread++)
        suite->side.worlds[thread] = (struct op_world){.fs = suite->side.fs, .prefix = ""};
    concert_prepare(&suite->concert, &suite->side);
    if (!suite->concert.is_unsynced)
        crash_must(crash, vmfs_sync(suite->side.fs), "sync");
    orders_forget(&suite->orders);
}

static void report(struct concurrent *suite, const char *reason)
{
    explore_report(&suite->crash->explorer, reason);
}

static const char *judge_end(struct concurrent *suite)
{
    FILE *details = suite->crash->explorer.replay ? stderr : NULL;
    orders_settle(&suite->orders);
    if (details)
        orders_print_answers(&suite->orders, details);
    if (suite->orders.legal_count == 0)
        return "the answers are those of no order of the calls";
    const char *reason = orders_judge_lists(&suite->orders);
    if (!reason)
        reason = orders_judge(&suite->orders, suite->side.fs, details);
    if (!reason && !world_is_sound(suite->side.fs, details))
        reason = "vmfs_check finds problems in what is still attached";
    return reason;
}

static void finish(struct concurrent *suite)
{
    for (unsigned thread = 0; thread < suite->concert.thread_count; thread++)
        side_close(&suite->side, thread);
    crash_must(suite->crash, vmfs_close(suite->side.fs), "close");
}

/* What a deadlock holds cannot be given back: that filesystem is left as it is. */
static void play(struct concurrent *suite, bool is_exploring)
{
    struct explorer *explorer = &suite->crash->explorer;
    size_t used = 0;
    concert_text(&suite->concert, suite->label, sizeof suite->label);
    used = strlen(suite->label);
    suite->label[used] = ':';
    sched_plan_text(&suite->plan, suite->label + used + 1, sizeof suite->label - used - 1);
    suite->crash->label = suite->label;
    prepare(suite);
    suite->is_exploring = is_exploring;
    explore_start(explorer, &suite->crash->live, suite->label, &suite->judge);
    if (is_exploring || explorer->replay)
        medium_log(&suite->crash->live);
    suite->sched.thread_count = suite->concert.thread_count;
    enum sched_end end = sched_run(&suite->sched, &suite->plan);
    if (end == SCHED_DEADLOCK)
        report(suite, "all threads wait for each other");
    else if (end == SCHED_LIVELOCK)
        report(suite, "the threads come to no end");
    else
        report(suite, judge_end(suite));
    if (end == SCHED_DONE)
        finish(suite);
}

/* ---- which plans ---- */

/* How much of everything is tried with one concert. */
struct effort {
    unsigned single_max; /* plans with one preemption for each first thread; 0: one at every step */
    unsigned step_every; /* of those, one in so many, in turn; 0: all */
    unsigned double_max; /* with two */
};

/* Differs from model to model and from seed to seed: whose turn it is where not all are taken. */
static unsigned turn_of(const struct concurrent *suite)
{
    const struct crash *crash = suite->crash;
    return (unsigned)(crash->explorer.seed * TURNS_OF_SEED + crash->live.model);
}

static bool is_wanted(const struct concurrent *suite)
{
    char label[LABEL_BYTES];
    concert_text(&suite->concert, label, sizeof label);
    return crash_wants(suite->crash, label);
}

static uint32_t other_thread(const struct concurrent *suite, uint32_t thread, struct seed *seed)
{
    uint32_t count = suite->concert.thread_count;
    return (thread + 1 + (uint32_t)seed_below(seed, count - 1)) % count;
}

/* Every second one beside a fence, where most is in flight. */
static uint32_t pick_step(const struct sched *sched, uint32_t step_count, struct seed *seed)
{
    uint32_t fences[SCHED_STEPS_KEPT];
    uint32_t count = 0;
    for (uint32_t step = 1; step <= step_count; step++)
        if (sched->steps[step].kind == SCHED_BEFORE_FENCE ||
            sched->steps[step].kind == SCHED_AFTER_FENCE)
            fences[count++] = step;
    if (count > 0 && seed_chance(seed, 50))
        return fences[seed_below(seed, count)];
    return 1 + (uint32_t)seed_below(seed, step_count);
}

static void play_cuts(struct concurrent *suite, uint32_t first, const struct sched_cut *cuts,
                      uint32_t cut_count)
{
    suite->plan = (struct sched_plan){.first = first, .cut_count = cut_count};
    memcpy(suite->plan.cuts, cuts, cut_count * sizeof *cuts);
    play(suite, true);
}

/* What comes before the preemption is as without: it is tried once where there is one at every step. */
static void play_singles(struct concurrent *suite, const struct effort *effort, uint32_t step_count,
                         struct seed *seed)
{
    uint32_t first = suite->plan.first;
    uint32_t count =
        effort->single_max && effort->single_max < step_count ? effort->single_max : step_count;
    const struct sched base = suite->sched;
    uint32_t every = effort->step_every ? effort->step_every : 1;
    for (uint32_t index = turn_of(suite) % every; index < count; index += every) {
        struct sched_cut cut = {.step = index + 1, .to = other_thread(suite, first, seed)};
        if (count < step_count)
            cut.step = pick_step(&base, step_count, seed);
        suite->from_step = effort->single_max ? 0 : cut.step;
        play_cuts(suite, first, &cut, 1);
    }
    suite->from_step = 0;
}

static void play_doubles(struct concurrent *suite, const struct effort *effort, uint32_t step_count,
                         struct seed *seed)
{
    uint32_t first = suite->plan.first;
    uint32_t all = suite->sched.step_count;
    for (uint32_t index = 0; index < effort->double_max && all > 1; index++) {
        struct sched_cut cuts[2] = {{.step = 1 + (uint32_t)seed_below(seed, step_count)}};
        cuts[0].to = other_thread(suite, first, seed);
        cuts[1].step = cuts[0].step + 1 + (uint32_t)seed_below(seed, all);
        cuts[1].to = other_thread(suite, cuts[0].to, seed);
        play_cuts(suite, first, cuts, 2);
    }
}

/* Steps of the first thread until another one came. */
static uint32_t count_own_steps(const struct sched *sched)
{
    uint32_t count = 0;
    while (count < sched->step_count && count + 1 < SCHED_STEPS_KEPT &&
           sched->steps[count + 1].thread == sched->steps[1].thread)
        count++;
    return count;
}

static void play_concert(struct concurrent *suite, const struct effort *effort)
{
    char label[LABEL_BYTES];
    struct seed seed;
    if (!concert_has_sense(&suite->concert) || !is_wanted(suite))
        return;
    concert_text(&suite->concert, label, sizeof label);
    seed_init(&seed, seed_mix(suite->crash->explorer.seed, vm_hash64(0, label, strlen(label))));
    orders_build(&suite->orders, &suite->concert);
    for (uint32_t first = 0; first < suite->concert.thread_count; first++) {
        suite->plan = (struct sched_plan){.first = first};
        play(suite, effort->single_max == 0);
        uint32_t own = count_own_steps(&suite->sched);
        if (own == 0)
            continue;
        play_singles(suite, effort, own, &seed);
        suite->plan.first = first;
        play_doubles(suite, effort, own, &seed);
    }
}

/* ---- which concerts ---- */

/* One in so many of all pairs, in turn; so many turns take all of them. */
static void play_pairs(struct concurrent *suite, const struct effort *effort, unsigned every,
                       bool is_unsynced)
{
    for (unsigned one = 0; one < deed_count; one++)
        for (unsigned two = one; two < deed_count; two++) {
            if ((deeds[one].is_reader && deeds[two].is_reader) ||
                (one * deed_count + two) % every != turn_of(suite) % every)
                continue;
            suite->concert = (struct concert){.thread_count = 2,
                                              .deed_counts = {1, 1},
                                              .deeds = {{&deeds[one]}, {&deeds[two]}},
                                              .is_unsynced = is_unsynced};
            play_concert(suite, effort);
        }
}

static void play_samples(struct concurrent *suite, const struct effort *effort, unsigned count)
{
    struct seed seed;
    seed_init(&seed, seed_mix(suite->crash->explorer.seed, 0x5c4ed));
    for (unsigned index = 0; index < count; index++) {
        struct concert *concert = &suite->concert;
        *concert = (struct concert){.thread_count = 2 + (unsigned)seed_below(&seed, 3),
                                    .is_unsynced = seed_chance(&seed, 50)};
        for (unsigned thread = 0; thread < concert->thread_count; thread++) {
            unsigned most = concert->thread_count == 2 ? 3 : 1;
            concert->deed_counts[thread] = 1 + (unsigned)seed_below(&seed, most);
            for (unsigned deed = 0; deed < concert->deed_counts[thread]; deed++)
                concert->deeds[thread][deed] = &deeds[seed_below(&seed, deed_count)];
        }
        play_concert(suite, effort);
    }
}

/* What has been wrong once, and what the hazards speak of: one preemption at every step. A link whose file
 * is replaced; who waits for W while a step holds it back; a freed inode that is taken again (B16);
 * directories that would become their own ancestors; a file that is removed while its maker opens it. */
static void play_thorough(struct concurrent *suite, const struct effort *effort)
{
    static const char *const labels[] = {"two:link,rename-over", "two:create,sync",
                                         "two-u:create,reap", "two:rename-down,rename-up",
                                         "two:create-open,unlink-new"};
    const char *rest;
    for (unsigned index = 0; index < sizeof labels / sizeof labels[0]; index++)
        if (concert_parse(labels[index], &suite->concert, &rest))
            play_concert(suite, effort);
}

/* The concert that a label names, alone: with its plan, or with a preemption at every step. False: it
 * names none. */
static bool play_label(struct concurrent *suite, const char *label)
{
    static const struct effort every_step = {.single_max = 0};
    const char *rest;
    if (!label || !concert_parse(label, &suite->concert, &rest))
        return false;
    if (*rest == '\0') {
        play_concert(suite, &every_step);
        return true;
    }
    orders_build(&suite->orders, &suite->concert);
    if (sched_plan_parse(rest, &suite->plan))
        play(suite, true);
    return true;
}

static void make_image(struct concurrent *suite)
{
    struct crash *crash = suite->crash;
    struct side side = {.medium = &crash->live};
    if (!suite->image)
        suite->image = medium_pages(crash->bytes);
    crash->label = "concurrent";
    crash_load(crash, crash->garbage, 1);
    crash->live.now_ns = SIDE_FORMAT_NOW_NS;
    crash_must(crash, world_attach(&crash->live, VMFS_CREATE | VMFS_FORCE, &side.fs), "format");
    suite->empty_blocks = world_free_blocks(side.fs);
    crash_must(crash, scenario_poison(side.fs), "poison");
    side.worlds[0] = (struct op_world){.fs = side.fs, .prefix = ""};
    side_make_tree(&side);
    crash_must(crash, vmfs_close(side.fs), "close");
    memcpy(suite->image, crash->live.memory, crash->bytes);
}

static void play_quickly(struct concurrent *suite)
{
    static const struct effort single = {.single_max = 1};
    static const struct effort some_steps = {.step_every = QUICK_STEPS_EVERY};
    struct explorer *explorer = &suite->crash->explorer;
    uint64_t nested_every = explorer->nested_every;
    explorer->nested_every *= QUICK_NESTED_MORE; /* many plans rather than many cut recoveries */
    play_thorough(suite, &some_steps);
    play_pairs(suite, &single, QUICK_PAIRS_EVERY, explorer->seed % 2 == 0);
    play_samples(suite, &single, QUICK_SAMPLES);
    explorer->nested_every = nested_every;
}

static void play_all(struct concurrent *suite)
{
    static const struct effort every_step = {.single_max = 0};
    static const struct effort whole = {.double_max = 16};
    static const struct effort sampled = {.single_max = 8, .double_max = 8};
    play_thorough(suite, &every_step);
    play_pairs(suite, &whole, 1, suite->crash->explorer.seed % 2 == 0);
    play_pairs(suite, &whole, 1, suite->crash->explorer.seed % 2 == 1);
    play_samples(suite, &sampled, SAMPLES);
}

void suite_concurrent(struct crash *crash)
{
    static struct concurrent suite;
    if (crash->only && !concert_is_label(crash->only))
        return;
    if (!suite.crash)
        orders_init(&suite.orders);
    suite.crash = crash;
    suite.judge =
        (struct judge){.arg = &suite, .recover = recover, .examine = examine, .rules = rules};
    suite.sched.medium = &crash->live;
    suite.sched.body = body;
    suite.sched.look = explore_now;
    suite.sched.arg = &suite;
    make_image(&suite);
    if (play_label(&suite, crash->only))
        return;
    if (crash->is_quick)
        play_quickly(&suite);
    else
        play_all(&suite);
}
