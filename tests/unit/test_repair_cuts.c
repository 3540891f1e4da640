/* test_repair_cuts.c -- power fails while a damaged region is repaired
 *
 * For each damage the repair is recorded, and at its fences the states that a power cut may leave are tried:
 * a repair that begins there ends, a second one finds nothing, and what must survive the damage has
 * survived both. One state in some is recorded again, and its repair is cut, too.
 *
 * VMFS_TEST_CUTS=PERCENT of the fences are cut (100: all, minutes); VMFS_TEST_DAMAGE=NAME takes one damage.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/explore.h"
#include "fsck_world.h"
#include "repair_judge.h"
#include "world.h"

#define CUTS_MIB     12u
#define CUTS_FILES   300u
#define CUTS_BIG     (1u << 20)
#define CHOICES      3u
#define CHOICES_LONG 40u
#define NESTED_EVERY 200u
#define SECONDS_MAX  120u
#define PERCENT      4u

static struct cuts {
    struct medium live;
    struct explorer explorer;
    struct judge judge;
    struct inventory inventory;
    uint8_t *image;
    const char *name;
    struct repair_judge told;  /* by the repair that is recorded, so far */
    struct repair_judge both;  /* and by that of a state, */
    struct repair_judge outer; /* whose recording is cut now, */
    bool is_nested;
    medium_hook_fn engine_hook; /* by this */
    unsigned percent;
    unsigned fences;
    unsigned inner_fences;
    bool is_recording;
    struct vm_watermark_media lines[2]; /* as they were at the last fence */
    unsigned lines_at_once;             /* fences behind which both are stored */
} cuts;

/* S2: looks at what was stored since the last fence. */
static void watch_lines(const struct medium *live)
{
    static const uint64_t blocks[2] = {VM_WATERMARK_A_BLOCK, VM_WATERMARK_B_BLOCK};
    unsigned stored = 0;
    for (unsigned copy = 0; copy < 2; copy++) {
        const uint8_t *line = live->memory + blocks[copy] * VM_BLOCK_BYTES;
        stored += memcmp(&cuts.lines[copy], line, sizeof cuts.lines[copy]) != 0;
        memcpy(&cuts.lines[copy], line, sizeof cuts.lines[copy]);
    }
    cuts.lines_at_once += stored == 2;
}

static int repair(struct vmfs *fs, struct repair_judge *judge)
{
    struct vmfs_check_result result = {.problems = 1};
    int err = vmfs_repair(fs, judge_hear, judge, &result);
    return err == 0 && result.problems ? -EUCLEAN : err;
}

static bool is_cut(unsigned fence)
{
    struct seed chance;
    seed_init(&chance, seed_mix(cuts.explorer.seed, fence));
    return seed_chance(&chance, cuts.percent);
}

/* A fence of a state's own repair. */
static void before_inner_fence(struct medium *work, void *arg)
{
    if (!work->is_tracking || !is_cut(++cuts.inner_fences))
        return;
    cuts.outer = cuts.both;
    cuts.is_nested = true;
    alarm(SECONDS_MAX);
    cuts.engine_hook(work, arg);
    cuts.is_nested = false;
    cuts.both = cuts.outer;
}

static int recover(void *arg, struct medium *medium, struct vmfs **out)
{
    (void)arg;
    if (cuts.is_nested)
        medium->is_tracking = false;
    if (medium->is_tracking) {
        cuts.engine_hook = medium->before_fence;
        medium->before_fence = before_inner_fence;
    }
    bool is_outer = medium == &cuts.explorer.levels[0].runner;
    cuts.both = is_outer ? cuts.told : cuts.outer;
    int err = world_attach(medium, VMFS_REPAIR, out);
    if (err)
        return err;
    err = repair(*out, &cuts.both);
    if (err)
        (void)vmfs_close(*out);
    if (is_outer)
        cuts.outer = cuts.both; /* the state is cut once more behind its repair */
    return err;
}

static const char *examine(void *arg, struct vmfs *fs, FILE *details)
{
    (void)arg;
    if (cuts.explorer.depth == 0)
        cuts.both = cuts.outer;
    const char *wrong = judge_losses(&cuts.both, fs);
    cuts.both.lines = 0;
    if (!wrong && repair(fs, &cuts.both))
        wrong = "the second repair fails";
    if (!wrong && cuts.both.lines)
        wrong = cuts.both.last;
    int err = vmfs_close(fs);
    if (!wrong && err)
        wrong = "close fails";
    if (wrong)
        fprintf(details ? details : stderr, "%s: %s\n", cuts.name, wrong);
    return wrong;
}

static uint64_t rules(void *arg)
{
    (void)arg;
    return cuts.told.told_count; /* what is not told again was told before */
}

static void before_fence(struct medium *live, void *arg)
{
    (void)arg;
    if (cuts.is_recording)
        watch_lines(live);
    if (cuts.is_recording && is_cut(++cuts.fences))
        explore_point(&cuts.explorer, live);
}

static void start(void)
{
    world_make_sized((uint64_t)CUTS_MIB << 20, CUTS_FILES, CUTS_BIG);
    must(vmfs_sync(world.fs), "sync");
    for (unsigned call = 0; call < 3; call++)
        must(vmfs_chmod(world.fs, "/", call % 2 ? 0755 : 0700), "chmod");
    const char *percent = getenv("VMFS_TEST_CUTS");
    cuts.percent = percent ? (unsigned)strtoul(percent, NULL, 0) : PERCENT;
    cuts.image = medium_pages(region()->bytes);
    medium_init(&cuts.live, region()->bytes);
    explore_init(&cuts.explorer, region()->bytes);
    cuts.explorer.choices_max = cuts.percent == 100 ? CHOICES_LONG : CHOICES;
    cuts.explorer.random_count = cuts.percent == 100 ? 8 : 2;
    cuts.explorer.nested_every = NESTED_EVERY;
    cuts.explorer.third_every = 0;
    cuts.explorer.is_sound = true; /* a repair reads everything: nothing is reduced */
    cuts.explorer.sound_max = CHOICES;
    cuts.explorer.seed = seed_next(&world.seed);
    cuts.judge = (struct judge){.recover = recover, .examine = examine, .rules = rules};
    cuts.live.before_fence = before_fence;
}

static void end(void)
{
    explore_fini(&cuts.explorer);
    medium_fini(&cuts.live);
    inventory_free(&cuts.inventory);
    world_free();
}

TestSuite(cuts, .init = start, .fini = end, .timeout = 1800);

/* Puts the world as it is onto the medium: nobody has it open. */
static void load(void)
{
    memcpy(cuts.image, world.memory, region()->bytes);
    memset(cuts.image + VM_OWNER_BLOCK * VM_BLOCK_BYTES, 0, VM_BLOCK_BYTES);
    medium_load(&cuts.live, cuts.image);
    cuts.live.thread = 1;
    cuts.live.random_seed = cuts.explorer.seed;
    cuts.live.random_count = 0;
    cuts.live.now_ns = 1000;
    cuts.live.mirror_count = 0;
}

static void learn(void)
{
    struct vmfs *fs;
    load();
    must(world_attach(&cuts.live, 0, &fs), "attach");
    inventory_take(fs, &cuts.inventory);
    must(vmfs_close(fs), "close");
}

static void cut(const struct damage *damage)
{
    struct vmfs *fs;
    judge_begin(&cuts.told, world.fs, &cuts.inventory, damage->cost);
    cuts.name = damage->name;
    damage->make();
    load();
    undo_all();
    cuts.fences = 0;
    explore_start(&cuts.explorer, &cuts.live, damage->name, &cuts.judge);
    watch_lines(&cuts.live);
    cuts.lines_at_once = 0;
    cuts.is_recording = true;
    must(world_attach(&cuts.live, VMFS_REPAIR, &fs), damage->name);
    int err = repair(fs, &cuts.told);
    watch_lines(&cuts.live); /* what is behind the last fence */
    cuts.is_recording = false;
    cr_expect_eq(err, 0, "%s: repair returned %d, last: %s", damage->name, err, cuts.told.last);
    must(vmfs_close(fs), "close");
}

/* Two processes share the damages. */
static void cut_some(unsigned first)
{
    const char *only = getenv("VMFS_TEST_DAMAGE");
    learn();
    for (unsigned index = first; index < damage_count; index += 2)
        if (!only || strcmp(only, damages[index].name) == 0)
            cut(&damages[index]);
    fprintf(stderr, "repair cuts: %llu states at %llu fences\n",
            (unsigned long long)cuts.explorer.state_count,
            (unsigned long long)cuts.explorer.point_count);
    cr_expect_eq(cuts.explorer.violation_count, 0);
    cr_expect(only || cuts.explorer.state_count > 200);
}

Test(cuts, even_damages)
{
    cut_some(0);
}

/* S2: a cut leaves one of the two watermark lines whole, or attaching would not find its journal. */
Test(cuts, S2_lines_are_stored_one_at_a_time)
{
    cuts.percent = 0;
    learn();
    for (unsigned index = 0; index < damage_count; index++) {
        if (damages[index].pass != VM_PASS_WATERMARK && damages[index].pass != VM_PASS_TOTALS)
            continue;
        cut(&damages[index]);
        cr_expect_eq(cuts.lines_at_once, 0, "%s: at %u fences", damages[index].name,
                     cuts.lines_at_once);
    }
}

Test(cuts, odd_damages)
{
    cut_some(1);
}
