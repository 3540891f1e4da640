/* explore.c -- apply, recover, examine, take back
 *
 * The runner of a level holds the durable image of what is cut but while a state is being tried, and so
 * do those of the levels below. So a state costs what it changes, not a copy. */
#include "explore.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "callers.h"
#include "reduce.h"
#include "seed.h"
#include "shrink.h"

#define SEEN_SLOTS     ((uint64_t)1 << 22)
#define STRAY_INTERVAL 256u
#define REPORTS_MAX    20u
#define SHRUNK_MAX     3u
#define JUDGE_NOW_NS   ((int64_t)4000000000000000000)
#define HANG_SECONDS   20  /* of this process, however many others there are; */
#define HANG_WALL      600 /*   if it sleeps, of anybody's */
#define EPOCH_WORDS    512u
#define ERR_WRITE      2 /* of a page fault on x86 */

static void level_init(struct level *level, unsigned depth, uint64_t bytes)
{
    *level = (struct level){.depth = depth};
    medium_init(&level->runner, bytes);
    level->runner.is_tracking = false;
    uint64_t units = level->runner.unit_room;
    states_init(&level->states, units, bytes);
    level->decided = medium_pages(units + 1);
    level->seen_as = medium_pages(units + 1);
    level->is_maxed = medium_pages(units + 1);
    level->group = medium_pages(units + 1);
    level->looked_at = (void *)medium_pages((units + 1) * sizeof *level->looked_at);
    level->veil = (void *)medium_pages(bytes);
    level->watch.medium = &level->runner;
    level->watch.arg = level;
    level->watch.undecided = (void *)medium_pages(bytes);
    level->watch.open = (void *)medium_pages(bytes / MEDIUM_PAGE_BYTES / 8 + 8);
    level->watch.pages = (void *)medium_pages(bytes / MEDIUM_PAGE_BYTES / 8 + 8);
}

static void level_fini(struct level *level)
{
    uint64_t bytes = level->runner.bytes;
    uint64_t units = level->runner.unit_room;
    states_fini(&level->states, units, bytes);
    medium_unmap(level->decided, units + 1);
    medium_unmap(level->seen_as, units + 1);
    medium_unmap(level->is_maxed, units + 1);
    medium_unmap(level->group, units + 1);
    medium_unmap(level->looked_at, (units + 1) * sizeof *level->looked_at);
    medium_unmap(level->veil, bytes);
    medium_unmap(level->watch.undecided, bytes);
    medium_unmap(level->watch.open, bytes / MEDIUM_PAGE_BYTES / 8 + 8);
    medium_unmap(level->watch.pages, bytes / MEDIUM_PAGE_BYTES / 8 + 8);
    medium_fini(&level->runner);
}

void explore_init(struct explorer *explorer, uint64_t bytes)
{
    *explorer = (struct explorer){
        .choices_max = 600,
        .random_count = 64,
        .leaves_max = 4096,
        .nested_every = 1,
        .third_every = 256,
        .dead_every = 128,
        .sound_max = 4096,
        .region_mib = bytes >> 20,
        .seen = (void *)medium_pages(SEEN_SLOTS * sizeof *explorer->seen),
        .examined = (void *)medium_pages(SEEN_SLOTS * sizeof *explorer->examined),
    };
    for (unsigned depth = 0; depth < TOKEN_LEVELS_MAX; depth++)
        level_init(&explorer->levels[depth], depth, bytes);
}

static void leave_signals(const struct explorer *explorer);

void explore_fini(struct explorer *explorer)
{
    leave_signals(explorer);
    free(explorer->first_token);
    for (unsigned depth = 0; depth < TOKEN_LEVELS_MAX; depth++)
        level_fini(&explorer->levels[depth]);
    medium_unmap(explorer->seen, SEEN_SLOTS * sizeof *explorer->seen);
    medium_unmap(explorer->examined, SEEN_SLOTS * sizeof *explorer->examined);
}

static void in_epoch(struct medium *live, void *arg)
{
    explore_point(arg, live);
}

static void set_dead(const struct explorer *explorer, struct medium *medium)
{
    medium->dead_first = explorer->dead_offset / 8;
    medium->dead_past = (explorer->dead_offset + explorer->dead_bytes) / 8;
}

void explore_start(struct explorer *explorer, struct medium *live, const char *label,
                   const struct judge *judge)
{
    explorer->label = label;
    explorer->judge = judge;
    explorer->live = live;
    explorer->label_key = seed_mix(explorer->label_key, explorer->seed);
    live->mirror_count = 0;
    set_dead(explorer, live);
    for (unsigned depth = 0; depth < TOKEN_LEVELS_MAX; depth++) {
        struct level *level = &explorer->levels[depth];
        struct medium *above = depth ? &explorer->levels[depth - 1].runner : live;
        medium_load(&level->runner, live->durable);
        set_dead(explorer, &level->runner);
        level->runner.model = live->model;
        level->runner.mirror_count = 0;
        level->crashed = above;
        level->point = 0;
        for (unsigned other = 0; other <= depth; other++) {
            struct medium *to = other ? &explorer->levels[other - 1].runner : live;
            to->mirrors[to->mirror_count++] = level->runner.stores;
            to->mirrors[to->mirror_count++] = level->runner.durable;
        }
    }
    live->in_epoch = in_epoch;
    live->epoch_arg = explorer;
    live->epoch_words = EPOCH_WORDS;
}

/* Is this key in the set? Remembers it. */
static bool is_known(uint64_t *set, uint64_t *used, uint64_t key)
{
    if (*used >= SEEN_SLOTS / 2) {
        memset(set, 0, SEEN_SLOTS * sizeof *set);
        *used = 0;
    }
    key |= 1;
    uint64_t slot = (key >> 20) % SEEN_SLOTS;
    while (set[slot]) {
        if (set[slot] == key)
            return true;
        slot = (slot + 1) % SEEN_SLOTS;
    }
    set[slot] = key;
    ++*used;
    return false;
}

static uint64_t key_of(const struct explorer *explorer, uint64_t image)
{
    uint64_t rules = explorer->judge->rules ? explorer->judge->rules(explorer->judge->arg) : 0;
    return seed_mix(seed_mix(image, explorer->label_key), rules);
}

/* ---- reports ---- */

static struct explorer *alarmed;

void explore_print_token(const struct explorer *explorer, FILE *out)
{
    fprintf(out, "%s", explorer->label);
    if (!explorer->is_in_state)
        fprintf(out, "/%ul", explorer->levels[0].point + 1);
    for (unsigned depth = 0; explorer->is_in_state && depth <= explorer->depth; depth++) {
        const struct level *level = &explorer->levels[depth];
        fputc('/', out);
        token_print_state(out, level->point, &level->states, level->garbage, level->decided);
    }
    fprintf(out, "@%" PRIu64, explorer->seed);
    if (explorer->region_mib > 1)
        fprintf(out, ",%" PRIu64, explorer->region_mib);
}

static void print_violation(const struct explorer *explorer, const char *kind, const char *reason)
{
    fprintf(stderr, "%s token=", kind);
    explore_print_token(explorer, stderr);
    fprintf(stderr, ": %s\n", reason);
}

/* A store that faults has gone round the persist layer. It is let through, so that the run can go on. */
static bool is_stray(struct explorer *explorer, const siginfo_t *info, const ucontext_t *context)
{
    char reason[512] = "a store went round the persist layer at ";
    size_t length = strlen(reason);
#if defined(__x86_64__)
    bool is_write = context->uc_mcontext.gregs[REG_ERR] & ERR_WRITE;
    const void *place = (const void *)(uintptr_t)(context->uc_mcontext.gregs[REG_RIP] + 1);
#else
    bool is_write = true;
    const void *place = NULL;
    (void)context;
#endif
    const struct medium *media[TOKEN_LEVELS_MAX + 1] = {explorer->live};
    for (unsigned depth = 0; depth < TOKEN_LEVELS_MAX; depth++)
        media[depth + 1] = &explorer->levels[depth].runner;
    for (unsigned index = 0; index <= TOKEN_LEVELS_MAX && is_write && media[index]; index++) {
        uint64_t offset = (uint64_t)((uintptr_t)info->si_addr - (uintptr_t)media[index]->memory);
        if (offset >= media[index]->bytes)
            continue;
        void *page = (void *)(uintptr_t)(media[index]->memory +
                                         offset / MEDIUM_PAGE_BYTES * MEDIUM_PAGE_BYTES);
        if (mprotect(page, MEDIUM_PAGE_BYTES, PROT_READ | PROT_WRITE) != 0)
            return false;
        callers_text(place, reason + length, sizeof reason - length);
        explorer->escaped_count++;
        explore_report(explorer, reason);
        return true;
    }
    return false;
}

/* Damage must not lead to an endless loop, a wild pointer or a broken assertion. */
static void on_signal(int signal, siginfo_t *info, void *context)
{
    if (signal == SIGSEGV && watch_faulted(info->si_addr))
        return;
    if (signal == SIGSEGV && is_stray(alarmed, info, context))
        return;
    char reason[64];
    snprintf(reason, sizeof reason, "ended by signal %d", signal);
    print_violation(alarmed, "VIOLATION", reason);
    _exit(1);
}

static const int signals[] = {SIGPROF, SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
#define SIGNALS (sizeof signals / sizeof signals[0])
static struct sigaction actions_before[SIGNALS];

static void wind_watchdog(bool is_on)
{
    const struct itimerval time = {.it_value.tv_sec = is_on ? HANG_SECONDS : 0};
    setitimer(ITIMER_PROF, &time, NULL);
    alarm(is_on ? HANG_WALL : 0);
}

static void watch_signals(struct explorer *explorer)
{
    if (alarmed == explorer)
        return;
    bool is_first = !alarmed;
    alarmed = explorer;
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER};
    action.sa_sigaction = on_signal;
    for (unsigned index = 0; index < SIGNALS; index++)
        sigaction(signals[index], &action, is_first ? &actions_before[index] : NULL);
}

static void leave_signals(const struct explorer *explorer)
{
    if (alarmed != explorer)
        return;
    wind_watchdog(false);
    for (unsigned index = 0; index < SIGNALS; index++)
        sigaction(signals[index], &actions_before[index], NULL);
    alarmed = NULL;
}

static void keep_first_token(struct explorer *explorer)
{
    size_t len_bytes = 0;
    FILE *out = explorer->first_token ? NULL : open_memstream(&explorer->first_token, &len_bytes);
    if (!out)
        return;
    explore_print_token(explorer, out);
    fclose(out);
}

void explore_report(struct explorer *explorer, const char *reason)
{
    if (!reason || explorer->is_trying)
        return;
    explorer->violation_count++;
    keep_first_token(explorer);
    if (explorer->is_quiet)
        return;
    if (explorer->violation_count > REPORTS_MAX)
        return;
    print_violation(explorer, "VIOLATION", reason);
    shrink_keep(explorer, reason);
    if (explorer->violation_count <= SHRUNK_MAX && !explorer->replay && !explorer->is_first)
        shrink_state(explorer);
    if (explorer->is_first)
        exit(1);
}

void explore_report_state(struct explorer *explorer, const struct level *level, const char *reason)
{
    unsigned depth = explorer->depth;
    bool was_in_state = explorer->is_in_state;
    explorer->depth = level->depth;
    explorer->is_in_state = true;
    explore_report(explorer, reason);
    explorer->depth = depth;
    explorer->is_in_state = was_in_state;
}

/* ---- looks ---- */

/* The bits in which what a crash may leave of a word differs, as far as it is not decided. */
static uint64_t open_bits(const struct level *level, uint32_t word)
{
    const struct medium *crashed = level->crashed;
    const struct states *states = &level->states;
    uint64_t durable;
    uint64_t bits = 0;
    memcpy(&durable, crashed->durable + (uint64_t)word * 8, 8);
    for (uint32_t index = states_first_of(states, word); index != STATES_NO_UNIT;
         index = states->next_of[index]) {
        uint32_t granule = states->granule_of[index];
        if (granule != STATES_NO_GRANULE && !level->decided[granule] &&
            !(level->seen_as[granule] & (1u << WATCH_LOAD | 1u << WATCH_PAGE)))
            bits |= crashed->units[index].value ^ durable;
    }
    return bits;
}

static void close_granule(struct level *level, uint32_t granule)
{
    const struct states *states = &level->states;
    const struct granule *found = &states->granules[granule];
    for (uint32_t step = 0; step < found->versions_max; step++) {
        uint32_t word = level->crashed->units[states->steps[found->first + step]].word;
        if (level->watch.undecided[word])
            level->watch.undecided[word] &= open_bits(level, word);
    }
}

/* A home is stored through the cache and not flushed by whoever stores it; recovery has it in a record. */
static bool is_home(const struct unit *unit)
{
    return !unit->is_past_cache && !unit->is_unordered && !unit->flushed;
}

static void on_look(void *arg, uint32_t word, enum watch_kind kind)
{
    struct level *level = arg;
    const struct states *states = &level->states;
    for (uint32_t index = states_first_of(states, word); index != STATES_NO_UNIT;
         index = states->next_of[index]) {
        uint32_t granule = states->granule_of[index];
        if (granule == STATES_NO_GRANULE || level->decided[granule])
            continue;
        if (!level->seen_as[granule])
            level->looked_at[level->looked_count++] = granule;
        level->seen_as[granule] |= (uint8_t)(1u << kind);
        if (level->is_in_recovery && is_home(&level->crashed->units[index]))
            level->home_word = word + 1;
        if (kind != WATCH_DATA)
            close_granule(level, granule);
    }
}

static uint64_t on_largest(void *arg, uint32_t word)
{
    const struct level *level = arg;
    const struct medium *crashed = level->crashed;
    uint64_t largest;
    memcpy(&largest, crashed->durable + (uint64_t)word * 8, 8);
    for (uint32_t index = states_first_of(&level->states, word); index != STATES_NO_UNIT;
         index = level->states.next_of[index])
        if (crashed->units[index].value > largest)
            largest = crashed->units[index].value;
    return largest;
}

static void on_max(void *arg, uint32_t word)
{
    struct level *level = arg;
    const struct states *states = &level->states;
    for (uint32_t index = states_first_of(states, word); index != STATES_NO_UNIT;
         index = states->next_of[index])
        if (states->granule_of[index] != STATES_NO_GRANULE)
            level->is_maxed[states->granule_of[index]] = true;
}

static void begin_watch(struct level *level)
{
    const struct medium *crashed = level->crashed;
    const struct states *states = &level->states;
    memset(level->seen_as, 0, states->granule_count);
    if (!level->garbage)
        memset(level->is_maxed, 0, states->granule_count);
    level->looked_count = 0;
    level->home_word = 0;
    for (uint64_t index = 0; index < crashed->unit_count; index++) {
        const struct unit *unit = &crashed->units[index];
        uint32_t granule = states->granule_of[index];
        uint64_t durable;
        memcpy(&durable, crashed->durable + (uint64_t)unit->word * 8, 8);
        uint64_t page = (uint64_t)unit->word * 8 / MEDIUM_PAGE_BYTES;
        if (granule == STATES_NO_GRANULE || level->decided[granule])
            continue;
        level->watch.undecided[unit->word] |= unit->value ^ durable;
        level->watch.open[page / 64] |= (uint64_t)1 << page % 64;
    }
    level->watch.tell = on_look;
    level->watch.largest = on_largest;
    level->watch.at_max = on_max;
}

static void end_watch(struct level *level)
{
    for (uint64_t index = 0; index < level->crashed->unit_count; index++) {
        uint64_t word = level->crashed->units[index].word;
        level->watch.undecided[word] = 0;
        level->watch.open[word * 8 / MEDIUM_PAGE_BYTES / 64] = 0;
    }
}

/* What recovery has not decided is watched by the page, as the examining ranks are not told of. */
static bool close_pages(struct level *level)
{
    bool is_any = false;
    for (uint64_t index = 0; index < level->crashed->unit_count; index++) {
        uint32_t word = level->crashed->units[index].word;
        if (!level->watch.undecided[word])
            continue;
        watch_close_page(&level->watch, (uint64_t)word * 8 / MEDIUM_PAGE_BYTES);
        is_any = true;
    }
    return is_any;
}

/* ---- one state ---- */

/* Puts the state onto the runner; returns the hash of its image. */
static struct medium_hash apply(struct level *level, bool is_nested, struct explorer *explorer)
{
    const struct medium *crashed = level->crashed;
    const struct states *states = &level->states;
    struct medium_hash image = crashed->durable_hash;
    for (uint64_t index = 0; index < crashed->unit_count; index++) {
        const struct unit *unit = &crashed->units[index];
        uint32_t granule = states->granule_of[index];
        if (granule == STATES_NO_GRANULE || states->rank[index] >= states->version[granule])
            continue;
        medium_put(&level->runner, unit->word, unit->value, &image);
        if (!is_nested)
            continue;
        memcpy(level->runner.durable + (uint64_t)unit->word * 8, &unit->value, 8);
        for (unsigned deeper = level->depth + 1; deeper < TOKEN_LEVELS_MAX; deeper++) {
            struct medium *runner = &explorer->levels[deeper].runner;
            memcpy(runner->stores + (uint64_t)unit->word * 8, &unit->value, 8);
            memcpy(runner->durable + (uint64_t)unit->word * 8, &unit->value, 8);
        }
    }
    return image;
}

/* Fills the undecided bits of what is not varied; a word that a maximum decides stays in its range. */
static void put_garbage(struct level *level)
{
    const struct medium *crashed = level->crashed;
    struct medium_hash unused = {0};
    for (uint64_t index = 0; index < crashed->unit_count; index++) {
        uint32_t word = crashed->units[index].word;
        uint32_t granule = level->states.granule_of[index];
        uint64_t value;
        if (granule == STATES_NO_GRANULE || level->is_maxed[granule])
            continue;
        memcpy(&value, level->runner.memory + (uint64_t)word * 8, 8);
        uint64_t noise = seed_mix(level->garbage, word) & level->watch.undecided[word];
        medium_put(&level->runner, word, (value & ~level->watch.undecided[word]) | noise, &unused);
    }
}

static void take_back(struct explorer *explorer, struct level *level, bool is_nested)
{
    struct medium *runner = &level->runner;
    const struct medium *crashed = level->crashed;
    for (uint64_t index = 0; is_nested && index < runner->dirty_count; index++) {
        uint64_t at = (uint64_t)runner->dirty_lines[index] * MEDIUM_LINE_BYTES;
        memcpy(runner->durable + at, crashed->durable + at, MEDIUM_LINE_BYTES);
        for (unsigned deeper = level->depth + 1; deeper < TOKEN_LEVELS_MAX; deeper++) {
            struct medium *other = &explorer->levels[deeper].runner;
            memcpy(other->stores + at, crashed->durable + at, MEDIUM_LINE_BYTES);
            memcpy(other->durable + at, crashed->durable + at, MEDIUM_LINE_BYTES);
        }
    }
    runner->unit_count = 0;
    runner->durable_hash = (struct medium_hash){0};
    medium_restore(runner, crashed->durable);
    if (explorer->state_count % STRAY_INTERVAL == 0 &&
        memcmp(runner->memory, crashed->durable, runner->bytes) != 0) {
        explorer->escaped_count++;
        explore_report(explorer, "a store of recovery went round the persist layer");
        memcpy(runner->stores, crashed->durable, runner->bytes);
    }
}

/* Hashes what recovery has left. */
static void hash_image(const struct level *level, struct verdict *outcome)
{
    const struct medium *runner = &level->runner;
    const uint8_t *durable = level->crashed->durable;
    outcome->image = level->crashed->durable_hash;
    outcome->veiled = level->crashed->durable_hash.all;
    for (uint64_t index = 0; index < runner->dirty_count; index++) {
        uint64_t first = (uint64_t)runner->dirty_lines[index] * (MEDIUM_LINE_BYTES / 8);
        if (memcmp(runner->memory + first * 8, durable + first * 8, MEDIUM_LINE_BYTES) == 0)
            continue;
        for (uint64_t word = first; word < first + MEDIUM_LINE_BYTES / 8; word++) {
            uint64_t now;
            uint64_t before;
            memcpy(&now, runner->memory + word * 8, 8);
            memcpy(&before, durable + word * 8, 8);
            medium_hash_word(runner, &outcome->image, word, before, now);
            uint64_t bits = ~(level->watch.undecided[word] | level->veil[word]);
            outcome->veiled ^= medium_hash_change(word, before & bits, now & bits);
        }
    }
}

static void explore_level(struct explorer *explorer, struct level *level);

/* Called at the fences of a recovery that is being recorded. */
static void cut_recovery(struct medium *runner, void *arg)
{
    struct explorer *explorer = arg;
    if (!runner->is_tracking)
        return;
    unsigned depth = 0;
    while (&explorer->levels[depth].runner != runner)
        depth++;
    explore_level(explorer, &explorer->levels[depth + 1]);
}

/* Is this state cut in its recovery, too? */
static bool wants_inner(struct explorer *explorer, const struct level *level)
{
    const struct token *replay = explorer->replay;
    if (explorer->is_trying || level->garbage || level->depth + 1 == TOKEN_LEVELS_MAX)
        return false;
    if (replay)
        return replay->depth > level->depth + 1;
    if (level->depth == 0)
        return explorer->nested_every && explorer->nested_turn++ % explorer->nested_every == 0;
    return explorer->third_every && explorer->third_turn++ % explorer->third_every == 0;
}

/* Recovers, and cuts it where asked to. */
static struct vmfs *recover(struct explorer *explorer, struct level *level, bool is_nested,
                            struct verdict *outcome)
{
    struct medium *runner = &level->runner;
    struct vmfs *fs = NULL;
    runner->thread = 0;
    runner->random_seed = seed_mix(explorer->seed, level->depth); /* each life has its own (H14) */
    runner->random_count = 0;
    runner->now_ns = JUDGE_NOW_NS;
    runner->is_tracking = is_nested;
    runner->before_fence = is_nested ? cut_recovery : NULL;
    runner->hook_arg = explorer;
    if (is_nested)
        explorer->levels[level->depth + 1].point = 0;
    level->is_in_recovery = true;
    uint64_t lines = runner->dirty_count;
    outcome->err = explorer->judge->recover(explorer->judge->arg, runner, &fs);
    outcome->stored_lines = runner->dirty_count - lines;
    if (is_nested && outcome->err == 0) {
        explorer->levels[level->depth + 1].is_after_recovery = true;
        explore_level(explorer, &explorer->levels[level->depth + 1]);
        explorer->levels[level->depth + 1].is_after_recovery = false;
    }
    level->is_in_recovery = false;
    runner->is_tracking = false;
    runner->before_fence = NULL;
    return fs;
}

/* Was an image that says the same examined before? R4 is put to the test where it spares an examination. */
static bool was_examined(struct explorer *explorer, const struct verdict *outcome)
{
    uint64_t image = explorer->is_sound ? outcome->image.all : outcome->image.live;
    if (!is_known(explorer->examined, &explorer->examined_used, key_of(explorer, image)))
        return false;
    bool is_tested = explorer->dead_bytes && explorer->dead_every && !explorer->is_sound &&
                     explorer->dead_turn++ % explorer->dead_every == 0;
    return !is_tested;
}

static void judge_recovered(struct explorer *explorer, struct level *level, struct vmfs *fs,
                            struct verdict *outcome)
{
    const struct judge *judge = explorer->judge;
    FILE *details = explorer->replay && explorer->replay->depth == level->depth + 1 ? stderr : NULL;
    hash_image(level, outcome);
    bool is_open = close_pages(level);
    if (!is_open)
        watch_set(NULL);
    bool is_old = was_examined(explorer, outcome) && !is_open && !details && !explorer->is_trying;
    if (!is_old) {
        explorer->examined_count++;
        outcome->reason = judge->examine(judge->arg, fs, details);
    } else if (judge->drop) {
        judge->drop(judge->arg, fs);
    } else if (vmfs_close(fs)) {
        outcome->reason = "close fails";
    }
    watch_open_pages(&level->watch);
}

static void count_state(struct explorer *explorer, const struct level *level)
{
    explorer->state_count++;
    explorer->inner_count += level->depth > 0;
}

void explore_state(struct explorer *explorer, struct level *level, bool is_watched,
                   struct verdict *outcome)
{
    const struct judge *judge = explorer->judge;
    *outcome = (struct verdict){0};
    wind_watchdog(true);
    bool is_nested = wants_inner(explorer, level);
    if (is_watched)
        begin_watch(level);
    const struct medium_hash image = apply(level, is_nested, explorer);
    if (level->garbage)
        put_garbage(level);
    else
        outcome->is_new =
            !is_known(explorer->seen, &explorer->seen_count, key_of(explorer, image.all));
    if (!outcome->is_new && !is_watched && !level->is_after_recovery && !explorer->replay &&
        !explorer->is_trying) {
        take_back(explorer, level, is_nested);
        return;
    }
    if (outcome->is_new)
        count_state(explorer, level);
    unsigned depth = explorer->depth;
    bool was_in_state = explorer->is_in_state;
    explorer->depth = level->depth;
    explorer->is_in_state = true;
    level->runner.durable_hash = image;
    struct watch *before = watch_set(is_watched ? &level->watch : NULL);
    struct vmfs *fs = recover(explorer, level, is_nested, outcome);
    if (outcome->err == 0)
        judge_recovered(explorer, level, fs, outcome);
    else if (!judge->excuses || !judge->excuses(judge->arg, outcome->err))
        outcome->reason = "recovery fails";
    if (is_watched && level->home_word)
        outcome->reason = "R1: recovery looks at a home before it overwrites it";
    if (level->is_after_recovery && explorer->second_lines_max &&
        outcome->stored_lines > explorer->second_lines_max)
        outcome->reason = "a second recovery stores more than it must";
    watch_set(before);
    if (is_watched)
        end_watch(level);
    explorer->depth = level->depth;
    take_back(explorer, level, is_nested);
    if (!explorer->replay || explorer->replay->depth == level->depth + 1)
        explore_report(explorer, outcome->reason); /* which may try other states */
    explorer->depth = depth;
    explorer->is_in_state = was_in_state;
}

/* ---- the states of a point ---- */

static void try_this(struct explorer *explorer, struct level *level)
{
    struct verdict outcome;
    explore_state(explorer, level, false, &outcome);
}

static void sample(struct explorer *explorer, struct level *level)
{
    struct states *states = &level->states;
    uint64_t count = states->granule_count;
    uint64_t step = count / explorer->choices_max + 1;
    for (unsigned is_full = 0; is_full < 2; is_full++) {
        states_set_all(states, is_full);
        try_this(explorer, level);
        for (uint64_t index = 0; index < count; index += step) {
            states_set_all(states, is_full);
            states->version[index] = is_full ? 0 : states->granules[index].versions_max;
            try_this(explorer, level);
        }
    }
    uint64_t units = level->crashed->unit_count;
    for (uint64_t prefix = 1; prefix < units; prefix += units / explorer->choices_max + 1) {
        states_set_prefix(states, prefix);
        try_this(explorer, level);
    }
    for (uint64_t index = 0; index < explorer->random_count; index++) {
        states_set_random(states, seed_mix(seed_mix(explorer->seed, level->point), index));
        try_this(explorer, level);
    }
}

/* In Gray order. */
static void enumerate(struct explorer *explorer, struct level *level)
{
    memset(level->group, 0, level->states.granule_count);
    states_set_all(&level->states, false);
    do
        try_this(explorer, level);
    while (states_next(&level->states, level->group));
}

static void replay(struct explorer *explorer, struct level *level)
{
    struct token *token = explorer->replay;
    struct verdict outcome;
    if (token->depth <= level->depth || token->points[level->depth] != level->point)
        return;
    if (!token_apply(token->vectors[level->depth], &level->states, &level->garbage,
                     level->decided)) {
        fprintf(stderr, "explore.c: the token does not fit the stores in flight\n");
        exit(2);
    }
    if (watch_is_built() &&
        level->garbage) { /* which bits count is seen in a run without garbage */
        uint64_t garbage = level->garbage;
        level->garbage = 0;
        explorer->is_trying = true;
        explore_state(explorer, level, true, &outcome);
        explorer->is_trying = false;
        level->garbage = garbage;
    }
    explore_state(explorer, level, watch_is_built(), &outcome);
    level->garbage = 0;
}

static enum share settle(struct explorer *explorer, struct level *level)
{
    enum share share = SHARE_SAMPLED;
    memset(level->decided, 1, level->states.granule_count);
    if (!explorer->is_sound && watch_is_built())
        share = reduce_point(explorer, level);
    else if (states_product(&level->states, explorer->sound_max + 1) <= explorer->sound_max)
        share = SHARE_ENUMERATED;
    if (share == SHARE_ENUMERATED && (explorer->is_sound || !watch_is_built()))
        enumerate(explorer, level);
    else if (share == SHARE_SAMPLED)
        sample(explorer, level);
    return share;
}

static void explore_level(struct explorer *explorer, struct level *level)
{
    unsigned depth = explorer->depth;
    struct watch *before = watch_set(NULL);
    explorer->depth = level->depth;
    level->point++;
    states_begin(&level->states, level->crashed);
    if (explorer->replay) {
        replay(explorer, level);
    } else {
        explorer->share_count[settle(explorer, level)]++;
        explorer->point_count++;
    }
    explorer->depth = depth;
    watch_set(before);
}

void explore_point(struct explorer *explorer, struct medium *live)
{
    struct level *level = &explorer->levels[0];
    watch_signals(explorer);
    wind_watchdog(true);
    level->crashed = live;
    explore_level(explorer, level);
    wind_watchdog(false);
}

void explore_pass(struct explorer *explorer)
{
    explorer->levels[0].point++;
}
