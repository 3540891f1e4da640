/* test_explore.c -- the crash explorer on a toy journal that is small enough to be tried in all ways
 *
 * The toy writes a record past the cache, fences, stores homes through the cache, and its recovery applies
 * whole records above a watermark. Each rule of it can be broken: then a run with reductions must find
 * what a run without them finds, and each reduction must notice that it does not hold. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/explore.h"
#include "engine/reduce.h"
#include "engine/shrink.h"
#include "seed.h"

#define BYTES      65536u
#define WATERMARK  512u /* words */
#define SLOTS      1024u
#define SLOT_WORDS 32u
#define HOMES      2048u
#define PAYLOAD    4096u
#define HOME_MAX   24u
#define OPS        3u
#define PAIRS      2u
#define PAYLOADS   3u

enum defect {
    SOUND,
    LOOKS_AT_HOME,   /* recovery decides on what it is about to overwrite */
    CHECK_MISSES,    /* the check leaves out the record's last word */
    NO_FENCE,        /* of the record: homes may be there before it */
    WATERMARK_EARLY, /* recovery raises it with the homes, not behind them */
    STORES_AGAIN,    /* a second recovery stores to homes */
    READS_UNFENCED,  /* who examines decides on bytes that are not durable yet */
    READS_RETIRED,   /* who examines decides on what is left of a record */
    STRAY,           /* a store that nobody is told of */
    DEFECT_COUNT
};

static const char *const defect_names[] = {"sound",          "looks-at-home",   "check-misses",
                                           "no-fence",       "watermark-early", "stores-again",
                                           "reads-unfenced", "reads-retired",   "stray"};

struct toy {
    struct judge judge;
    enum defect defect;
    struct medium live;
    struct explorer explorer;
    uint64_t homes[OPS + 1][HOME_MAX]; /* after so many operations */
    unsigned done;                     /* operations that have returned */
    bool is_inside;                    /* one more may be there */
};

static uint64_t load(const struct medium *medium, uint64_t word)
{
    uint64_t value;
    watch_loaded(medium->memory + word * 8, 8, NULL);
    memcpy(&value, medium->memory + word * 8, 8);
    return value;
}

static void store(struct medium *medium, uint64_t word, uint64_t value, bool is_flushed)
{
    const struct vm_persist_ops *ops = vm_persist_trace();
    ops->store(&medium->trace, medium->stores + word * 8, &value, 8);
    if (is_flushed)
        ops->flush(&medium->trace, medium->stores + word * 8, 8);
}

static void fence(struct medium *medium)
{
    cr_assert_eq(vm_persist_trace()->fence(&medium->trace), 0);
}

static uint64_t check_of(const uint64_t *record, uint64_t words)
{
    uint64_t check = 77;
    for (uint64_t index = 1; index < words; index++)
        check = seed_mix(check, record[index]);
    return check;
}

/* ---- the toy ---- */

/* A record: check, number, count, then pairs of a home and its value. */
static void run_op(struct toy *toy, unsigned op, struct seed *seed)
{
    uint64_t record[3 + 2 * PAIRS] = {0, op + 1, PAIRS};
    uint64_t payload[PAYLOADS];
    struct medium *live = &toy->live;
    memcpy(toy->homes[op + 1], toy->homes[op], sizeof toy->homes[op]);
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        record[3 + 2 * pair] = seed_below(seed, HOME_MAX);
        record[4 + 2 * pair] = seed_next(seed) | 1;
        toy->homes[op + 1][record[3 + 2 * pair]] = record[4 + 2 * pair];
    }
    uint64_t words = 3 + 2 * PAIRS - (toy->defect == CHECK_MISSES);
    record[0] = check_of(record, words);
    seed_fill(payload, sizeof payload, op);
    const struct vm_persist_ops *ops = vm_persist_trace();
    ops->copy(&live->trace, live->stores + PAYLOAD * 8, payload, sizeof payload);
    ops->copy(&live->trace, live->stores + (SLOTS + op * SLOT_WORDS) * 8, record, sizeof record);
    if (toy->defect != NO_FENCE)
        fence(live);
    for (unsigned pair = 0; pair < PAIRS; pair++)
        store(live, HOMES + record[3 + 2 * pair], record[4 + 2 * pair], false);
    if (toy->defect == NO_FENCE)
        fence(live);
    if (toy->defect == STRAY && op == 1)
        *(volatile uint8_t *)(uintptr_t)(live->memory + (HOMES + HOME_MAX + 8) * 8) = 1;
}

static bool load_record(struct toy *toy, struct medium *medium, unsigned slot, uint64_t *record)
{
    uint64_t first = SLOTS + slot * SLOT_WORDS;
    record[1] = load(medium, first + 1);
    if (record[1] != slot + 1 || record[1] <= load(medium, WATERMARK))
        return false;
    record[0] = load(medium, first);
    for (unsigned word = 2; word < 3 + 2 * PAIRS; word++)
        record[word] = load(medium, first + word);
    return record[2] == PAIRS &&
           record[0] == check_of(record, 3 + 2 * PAIRS - (toy->defect == CHECK_MISSES));
}

static int recover(void *arg, struct medium *medium, struct vmfs **out)
{
    struct toy *toy = arg;
    uint64_t watermark = load(medium, WATERMARK);
    for (unsigned slot = 0; slot < OPS; slot++) {
        uint64_t record[3 + 2 * PAIRS];
        if (!load_record(toy, medium, slot, record))
            continue;
        for (unsigned pair = 0; pair < PAIRS; pair++) {
            uint64_t home = HOMES + record[3 + 2 * pair] % HOME_MAX;
            if (toy->defect == LOOKS_AT_HOME && load(medium, home) == record[4 + 2 * pair])
                continue;
            store(medium, home, record[4 + 2 * pair], true);
        }
        watermark = slot + 1;
    }
    if (toy->defect == STORES_AGAIN)
        for (unsigned home = 0; home < HOME_MAX; home++)
            store(medium, HOMES + home, load(medium, HOMES + home), true);
    if (toy->defect != WATERMARK_EARLY)
        fence(medium);
    store(medium, WATERMARK, watermark, true);
    fence(medium);
    *out = (void *)medium; /* what is examined is only handed on */
    return 0;
}

static bool is_state(const struct toy *toy, const struct medium *medium, unsigned ops)
{
    return memcmp(medium->memory + HOMES * 8, toy->homes[ops], sizeof toy->homes[ops]) == 0;
}

static const char *examine(void *arg, struct vmfs *fs, FILE *details)
{
    struct toy *toy = arg;
    const struct medium *medium = (const void *)fs;
    (void)details;
    const uint8_t *payload = medium->memory + PAYLOAD * 8;
    if (toy->defect == READS_UNFENCED && payload[0] == 0 && payload[8] != 0)
        return "a word is there and another is not";
    const uint8_t *retired = medium->memory + (SLOTS + SLOT_WORDS) * 8;
    if (toy->defect == READS_RETIRED && retired[0] == 0 && retired[8] != 0)
        return "a record is there in part";
    if (is_state(toy, medium, toy->done) ||
        (toy->is_inside && is_state(toy, medium, toy->done + 1)))
        return NULL;
    return "neither old nor new";
}

static uint64_t rules(void *arg)
{
    const struct toy *toy = arg;
    return toy->done * 2 + toy->is_inside;
}

static void drop(void *arg, struct vmfs *fs)
{
    (void)arg;
    (void)fs;
}

static void before_fence(struct medium *live, void *arg)
{
    struct toy *toy = arg;
    explore_point(&toy->explorer, live);
}

static struct toy *toy_create(enum defect defect, enum medium_model model)
{
    struct toy *toy = calloc(1, sizeof *toy);
    cr_assert(toy);
    toy->defect = defect;
    toy->judge = (struct judge){
        .arg = toy, .recover = recover, .examine = examine, .rules = rules, .drop = drop};
    medium_init(&toy->live, BYTES);
    toy->live.model = model;
    explore_init(&toy->explorer, BYTES);
    toy->explorer.region_mib = 1;
    toy->explorer.is_quiet = true;
    toy->explorer.sound_max = 1 << 16;
    toy->explorer.nested_every = 1;
    toy->explorer.dead_offset = SLOTS * 8;
    toy->explorer.dead_bytes = OPS * SLOT_WORDS * 8;
    return toy;
}

static void toy_free(struct toy *toy)
{
    explore_fini(&toy->explorer);
    medium_fini(&toy->live);
    free(toy);
}

static void toy_run(struct toy *toy, uint64_t value)
{
    struct seed seed;
    uint8_t *zeros = medium_pages(BYTES);
    seed_init(&seed, value);
    medium_load(&toy->live, zeros);
    medium_unmap(zeros, BYTES);
    toy->live.before_fence = before_fence;
    toy->live.hook_arg = toy;
    explore_start(&toy->explorer, &toy->live, "toy", &toy->judge);
    medium_log(&toy->live);
    for (unsigned op = 0; op < OPS; op++) {
        toy->done = op;
        toy->is_inside = true;
        medium_begin(&toy->live, "op");
        run_op(toy, op, &seed);
        if (!medium_end(&toy->live, 0))
            explore_report(&toy->explorer, "shadow");
        toy->done = op + 1;
        toy->is_inside = false;
        explore_point(&toy->explorer, &toy->live);
    }
}

/* ---- reductions against all states ---- */

struct agreement {
    enum defect defect;
    enum medium_model model;
    uint64_t seed;
};

ParameterizedTestParameters(explore, sound_agrees)
{
    static struct agreement cases[STRAY * 2 * 3];
    size_t count = 0;
    for (unsigned defect = 0; defect < STRAY; defect++)
        for (unsigned model = 0; model < 2; model++)
            for (uint64_t seed = 1; seed <= 3; seed++)
                cases[count++] =
                    (struct agreement){(enum defect)defect, (enum medium_model)model, seed};
    return cr_make_param_array(struct agreement, cases, count);
}

/* With and without reductions the same programs are right and wrong. */
ParameterizedTest(struct agreement *wanted, explore, sound_agrees)
{
    uint64_t violations[2];
    uint64_t states[2];
    for (unsigned is_sound = 0; is_sound < 2; is_sound++) {
        struct toy *toy = toy_create(wanted->defect, wanted->model);
        toy->explorer.is_sound = is_sound;
        toy->explorer.nested_every = wanted->defect == WATERMARK_EARLY ? 1 : 64;
        toy->explorer.second_lines_max = 1;
        toy_run(toy, wanted->seed);
        violations[is_sound] = toy->explorer.violation_count;
        states[is_sound] = toy->explorer.state_count;
        toy_free(toy);
    }
    printf("defect %s model %u seed %llu: %llu of %llu and %llu of %llu states\n",
           defect_names[wanted->defect], wanted->model, (unsigned long long)wanted->seed,
           (unsigned long long)violations[0], (unsigned long long)states[0],
           (unsigned long long)violations[1], (unsigned long long)states[1]);
    bool is_right = wanted->defect == SOUND;
    /* A look at a home is itself against R1; the image may come out right all the same. */
    if (wanted->defect != LOOKS_AT_HOME || !watch_is_built())
        cr_assert_eq(violations[1] == 0, is_right || wanted->defect == LOOKS_AT_HOME);
    cr_assert_eq(violations[0] == 0,
                 is_right || (wanted->defect == LOOKS_AT_HOME && !watch_is_built()));
}

/* ---- each reduction by itself ---- */

Test(explore, all_points_are_complete)
{
    for (unsigned model = 0; model < 3; model++) {
        struct toy *toy = toy_create(SOUND, (enum medium_model)model);
        toy_run(toy, 5);
        cr_expect_eq(toy->explorer.violation_count, 0);
        if (watch_is_built())
            cr_expect_eq(toy->explorer.share_count[SHARE_SAMPLED], 0, "model %u", model);
        if (watch_is_built() && model < 2)
            cr_expect_gt(toy->explorer.record_count, 0);
        toy_free(toy);
    }
}

Test(explore, R1_look_at_a_home)
{
    if (!watch_is_built())
        cr_skip_test("the library is not watched");
    struct toy *toy = toy_create(LOOKS_AT_HOME, MEDIUM_LINE);
    toy_run(toy, 5);
    cr_assert_gt(toy->explorer.violation_count, 0);
    toy_free(toy);
}

/* A record whose check misses a word is not taken for all or nothing, and its torn state is found. */
Test(explore, R2_check_misses_a_word)
{
    if (!watch_is_built())
        cr_skip_test("the library is not watched");
    struct toy *toy = toy_create(CHECK_MISSES, MEDIUM_LINE);
    toy->explorer.nested_every = 0;
    toy_run(toy, 5);
    cr_expect_eq(toy->explorer.record_count, 0);
    cr_expect_gt(toy->explorer.violation_count, 0);
    toy_free(toy);
}

/* Bytes that nobody looks at are not varied; once somebody does, they are. */
Test(explore, R3_unfenced_bytes)
{
    uint64_t states[2];
    if (!watch_is_built())
        cr_skip_test("the library is not watched");
    for (unsigned is_read = 0; is_read < 2; is_read++) {
        struct toy *toy = toy_create(is_read ? READS_UNFENCED : SOUND, MEDIUM_LINE);
        toy->explorer.nested_every = 0;
        toy_run(toy, 5);
        cr_expect_eq(toy->explorer.violation_count > 0, is_read);
        cr_expect_eq(toy->explorer.share_count[SHARE_SAMPLED], 0);
        states[is_read] = toy->explorer.state_count;
        toy_free(toy);
    }
    cr_expect_gt(states[1], states[0] + 7);
}

/* Images that differ in retired records alone are examined once; who looks there is found out all the same. */
Test(explore, R4_retired_records)
{
    uint64_t examined[2];
    for (unsigned is_dead = 0; is_dead < 2; is_dead++) {
        struct toy *toy = toy_create(SOUND, MEDIUM_LINE);
        toy->explorer.dead_bytes *= is_dead;
        toy_run(toy, 5);
        cr_expect_eq(toy->explorer.violation_count, 0);
        examined[is_dead] = toy->explorer.examined_count;
        toy_free(toy);
        toy = toy_create(READS_RETIRED, MEDIUM_LINE);
        toy->explorer.dead_bytes *= is_dead;
        toy->explorer.dead_every = 4;
        toy_run(toy, 5);
        cr_expect_gt(toy->explorer.violation_count, 0);
        toy_free(toy);
    }
    cr_expect_lt(examined[1], examined[0]);
}

Test(explore, second_recovery_stores_to_homes)
{
    for (unsigned is_wrong = 0; is_wrong < 2; is_wrong++) {
        struct toy *toy = toy_create(is_wrong ? STORES_AGAIN : SOUND, MEDIUM_LINE);
        toy->explorer.second_lines_max = 1;
        toy_run(toy, 5);
        cr_expect_eq(toy->explorer.violation_count > 0, is_wrong);
        toy_free(toy);
    }
}

/* Found only where recovery itself is cut. */
Test(explore, crash_in_recovery)
{
    for (unsigned is_nested = 0; is_nested < 2; is_nested++) {
        struct toy *toy = toy_create(WATERMARK_EARLY, MEDIUM_LINE);
        toy->explorer.nested_every = is_nested;
        toy_run(toy, 5);
        cr_expect_eq(toy->explorer.violation_count > 0, is_nested);
        toy_free(toy);
    }
}

Test(explore, stray_store_is_counted_and_the_run_goes_on)
{
    struct toy *toy = toy_create(STRAY, MEDIUM_LINE);
    toy_run(toy, 5);
    cr_expect_eq(toy->explorer.escaped_count, 1);
    cr_expect_eq(toy->live.escaped, 1);
    cr_expect_geq(toy->explorer.violation_count, 2);
    cr_expect_eq(toy->done, OPS);
    toy_free(toy);
}

/* ---- tokens ---- */

static bool read_file(const char *folder, const char *name, char *text, size_t room)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    size_t length = fread(text, 1, room - 1, file);
    text[length] = '\0';
    fclose(file);
    return true;
}

static void remove_folder(const char *folder)
{
    static const char *const names[] = {"token", "image", "state.txt"};
    char path[1024];
    for (unsigned index = 0; index < 3; index++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[index]);
        unlink(path);
    }
    rmdir(folder);
}

/* Runs the toy again with the token: exactly one state, and the same violation. */
static void replay(const char *folder, enum defect defect)
{
    static char text[1 << 16];
    static char again[1 << 16];
    struct token token;
    cr_assert(read_file(folder, "token", text, sizeof text));
    memcpy(again, text, sizeof again);
    cr_assert(token_parse(again, &token), "%s", text);
    struct toy *toy = toy_create(defect, token.model);
    toy->explorer.replay = &token;
    toy->explorer.seed = token.seed;
    toy_run(toy, 5);
    static char why[1 << 16];
    read_file(folder, "state.txt", why, sizeof why);
    cr_expect_eq(toy->explorer.violation_count, 1, "%s %s: %llu: %.40s", defect_names[defect], text,
                 (unsigned long long)toy->explorer.violation_count, why);
    toy_free(toy);
}

/* Each violation leaves token, image and text, and its token brings it back. */
Test(explore, tokens_replay)
{
    static const enum defect defects[] = {CHECK_MISSES, NO_FENCE, WATERMARK_EARLY};
    char keep[] = "/tmp/vmfs-explore-XXXXXX";
    cr_assert(mkdtemp(keep));
    for (unsigned index = 0; index < 3; index++) {
        struct toy *toy = toy_create(defects[index], MEDIUM_LINE);
        toy->explorer.is_quiet = false;
        toy->explorer.keep = keep;
        toy_run(toy, 5);
        cr_expect_gt(toy->explorer.violation_count, 0);
        toy_free(toy);
        unsigned replayed = 0;
        DIR *folder = opendir(keep);
        cr_assert(folder);
        for (struct dirent *entry; (entry = readdir(folder));) {
            char path[512];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", keep, entry->d_name);
            if (replayed++ < 4)
                replay(path, defects[index]);
            remove_folder(path);
        }
        closedir(folder);
        cr_expect_gt(replayed, 0);
    }
    rmdir(keep);
}

Test(explore, texts_that_are_no_tokens)
{
    static const char *const texts[] = {"",        "a",      "a/1l",    "a/l@1",
                                        "a/0l@1",  "a/1x@1", "a/1l@",   "a/1l@1,0",
                                        "a/1l@1x", "a@1/1l", "a/1l/@1", "a/1l/1l/1l/1l@1"};
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++) {
        char text[64];
        struct token token;
        snprintf(text, sizeof text, "%s", texts[index]);
        cr_expect_not(token_parse(text, &token), "'%s'", texts[index]);
    }
}

/* ---- parts ---- */

/* Gray order meets each state once, and changes one store at a time. */
Test(explore, gray_order)
{
    struct states states;
    struct medium medium;
    uint8_t downwards[16] = {0};
    uint8_t *zeros = medium_pages(BYTES);
    medium_init(&medium, BYTES);
    medium_load(&medium, zeros);
    medium_unmap(zeros, BYTES);
    states_init(&states, medium.unit_room, medium.bytes);
    for (uint64_t store_index = 0; store_index < 9; store_index++)
        store(&medium, store_index % 4 * 8 + store_index / 8, store_index + 1, false);
    states_begin(&states, &medium);
    uint64_t product = states_product(&states, 1000);
    cr_assert_eq(product, 4 * 3 * 3 * 3);
    bool is_met[4][3][3][3] = {0};
    uint32_t before[4] = {0};
    uint64_t count = 0;
    do {
        bool *met =
            &is_met[states.version[0]][states.version[1]][states.version[2]][states.version[3]];
        cr_assert_not(*met);
        *met = true;
        unsigned changes = 0;
        for (unsigned index = 0; index < 4; index++)
            changes += (unsigned)abs((int)before[index] - (int)states.version[index]);
        cr_assert_eq(changes, count > 0);
        memcpy(before, states.version, sizeof before);
        count++;
    } while (states_next(&states, downwards));
    cr_assert_eq(count, product);
    states_fini(&states, medium.unit_room, medium.bytes);
    medium_fini(&medium);
}

static bool needs_three_and_seven(void *arg, const bool *is_kept)
{
    ++*(unsigned *)arg;
    return is_kept[3] && is_kept[7];
}

Test(explore, shrinking_finds_what_it_takes)
{
    bool is_kept[20];
    unsigned tries = 0;
    memset(is_kept, 1, sizeof is_kept);
    shrink_items(is_kept, 20, needs_three_and_seven, &tries);
    for (unsigned index = 0; index < 20; index++)
        cr_expect_eq(is_kept[index], index == 3 || index == 7, "item %u", index);
    cr_expect_lt(tries, 60);
}

/* What an operation leaves behind, and does twice, is counted. */
Test(explore, statistics_of_a_medium)
{
    const struct vm_persist_ops *ops = vm_persist_trace();
    struct medium medium;
    uint8_t *zeros = medium_pages(BYTES);
    medium_init(&medium, BYTES);
    medium_load(&medium, zeros);
    medium_log(&medium);
    medium_begin(&medium, "op");
    store(&medium, 8, 1, true);
    store(&medium, 8, 2, true);
    ops->flush(&medium.trace, medium.stores + 64, 8);
    fence(&medium);
    cr_expect_eq(medium.overwritten, 1);
    cr_expect_eq(medium.redundant_flushes, 1);
    ops->copy(&medium.trace, medium.stores + 512, zeros, 24);
    store(&medium, 128, 1, false);
    medium_end(&medium, 0);
    cr_expect_eq(medium.unfenced, 3);
    cr_expect_eq(medium.escaped, 0);
    medium_unmap(zeros, BYTES);
    medium_fini(&medium);
}

static void count_point(struct medium *medium, void *arg)
{
    (void)medium;
    ++*(unsigned *)arg;
}

/* One thread's operation ends while another's goes on: its long epoch has points as before. */
Test(explore, long_epochs_of_operations_that_overlap)
{
    static struct medium medium;
    unsigned points = 0;
    medium_init(&medium, BYTES);
    medium.in_epoch = count_point;
    medium.epoch_arg = &points;
    medium.epoch_words = 8;
    medium_log(&medium);
    medium_begin(&medium, "long");
    medium_begin(&medium, "short");
    cr_assert(medium_end(&medium, 0));
    for (uint64_t word = 0; word < 16; word++)
        store(&medium, HOMES + word, word + 1, false);
    cr_assert_eq(points, 2);
    cr_assert(medium_end(&medium, 0));
    for (uint64_t word = 0; word < 16; word++)
        store(&medium, HOMES + word, word + 2, false);
    cr_assert_eq(points, 2);
    medium_fini(&medium);
}
