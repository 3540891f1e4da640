/* explore.c -- apply, attach, judge, take back
 *
 * `work` holds the durable image of the recorded medium but while a state is being judged; `inner`
 * the same for crashes in the recovery of a state. So a state costs what it changes, not a copy. */
#include "explore.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seed.h"

#define SEEN_SLOTS     ((uint64_t)1 << 18)
#define STRAY_INTERVAL 256u
#define REPORTS_MAX    20u
#define JUDGE_NOW_NS   ((int64_t)4000000000000000000)
#define HANG_SECONDS   20u

void explore_init(struct explorer *explorer, uint64_t bytes)
{
    memset(explorer, 0, sizeof *explorer);
    medium_init(&explorer->work, bytes);
    medium_init(&explorer->inner, bytes);
    explorer->work.is_tracking = false;
    explorer->inner.is_tracking = false;
    states_init(&explorer->states, explorer->work.unit_room);
    states_init(&explorer->inner_states, explorer->work.unit_room);
    explorer->seen = calloc(SEEN_SLOTS, sizeof *explorer->seen);
    if (!explorer->seen)
        abort();
}

void explore_fini(struct explorer *explorer)
{
    medium_fini(&explorer->work);
    medium_fini(&explorer->inner);
    states_fini(&explorer->states);
    states_fini(&explorer->inner_states);
    free(explorer->seen);
}

void explore_start(struct explorer *explorer, struct medium *live, const char *label,
                   const struct judge *judge)
{
    explorer->label = label;
    explorer->judge = judge;
    explorer->point = 0;
    explorer->seen_count = 0;
    memset(explorer->seen, 0, SEEN_SLOTS * sizeof *explorer->seen);
    medium_load(&explorer->work, live->durable);
    medium_load(&explorer->inner, live->durable);
    live->mirrors[0] = explorer->work.stores;
    live->mirrors[1] = explorer->work.durable;
    live->mirrors[2] = explorer->inner.stores;
    live->mirror_count = 3;
    explorer->work.mirrors[0] = explorer->inner.stores;
    explorer->work.mirror_count = 1;
}

/* Has this image been judged under the same rules? Remembers it. */
static bool is_seen(struct explorer *explorer, uint64_t image)
{
    uint64_t key = seed_mix(image, explorer->judge->rules(explorer->judge->arg)) | 1;
    uint64_t slot = key % SEEN_SLOTS;
    while (explorer->seen[slot]) {
        if (explorer->seen[slot] == key)
            return true;
        slot = (slot + 1) % SEEN_SLOTS;
    }
    if (explorer->seen_count < SEEN_SLOTS / 2) {
        explorer->seen[slot] = key;
        explorer->seen_count++;
    }
    return false;
}

/* ---- one state ---- */

static const struct explorer *alarmed;

static void print_token(const struct explorer *explorer)
{
    const struct token *now = &explorer->now;
    fprintf(stderr, "%s/%u:%c%llu", explorer->label, now->point, now->kind,
            (unsigned long long)now->index);
    if (now->inner_point)
        fprintf(stderr, "/%u:%c%llu", now->inner_point, now->inner_kind,
                (unsigned long long)now->inner_index);
    fprintf(stderr, "@%llu", (unsigned long long)explorer->seed);
}

/* Damage must not lead to an endless loop, a wild pointer or a broken assertion. */
static void end_with_token(int signal)
{
    fprintf(stderr, "VIOLATION token=");
    print_token(alarmed);
    fprintf(stderr, ": ended by signal %d\n", signal);
    _exit(1);
}

static void watch_signals(const struct explorer *explorer)
{
    static const int signals[] = {SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    alarmed = explorer;
    for (unsigned index = 0; index < sizeof signals / sizeof signals[0]; index++)
        signal(signals[index], end_with_token);
}

/* Recovers what is on `medium` and asks everything of it; stores that recovery makes are recorded if
 * the medium is tracking. */
static const char *judge_image(struct explorer *explorer, struct medium *medium, uint64_t image)
{
    const struct judge *judge = explorer->judge;
    FILE *details = explorer->replay ? stderr : NULL;
    medium->thread = 0;
    medium->random_seed = image;
    medium->random_count = 0;
    medium->now_ns = JUDGE_NOW_NS;
    struct vmfs *fs = NULL;
    int err = judge->recover(judge->arg, medium, &fs);
    medium->is_tracking = false;
    if (details)
        fprintf(details, "    recovery: %d\n", err);
    if (err)
        return judge->excuses && judge->excuses(judge->arg, err) ? NULL : "recovery fails";
    return judge->examine(judge->arg, fs, details);
}

void explore_report(struct explorer *explorer, const char *reason)
{
    if (!reason)
        return;
    explorer->violation_count++;
    if (explorer->violation_count > REPORTS_MAX)
        return;
    fprintf(stderr, "VIOLATION token=");
    print_token(explorer);
    fprintf(stderr, ": %s\n", reason);
    if (explorer->is_first)
        exit(1);
}

/* ---- crashes in recovery ---- */

static bool is_inner_wanted(const struct explorer *explorer, enum state_kind kind, uint64_t index)
{
    const struct token *replay = explorer->replay;
    return !replay || (replay->inner_point == explorer->now.inner_point &&
                       replay->inner_kind == state_letter(kind) && replay->inner_index == index);
}

static void try_inner(struct explorer *explorer, const struct medium *work, enum state_kind kind,
                      uint64_t index)
{
    struct medium *inner = &explorer->inner;
    struct states *states = &explorer->inner_states;
    explorer->now.inner_kind = state_letter(kind);
    explorer->now.inner_index = index;
    states_pick(states, kind, index);
    uint64_t image = work->durable_hash;
    for (uint64_t at = 0; at < work->unit_count; at++)
        if (states->picked[at])
            image ^= medium_put(inner, work->units[at].word, work->units[at].value);
    if (!is_seen(explorer, image) || explorer->replay) {
        explorer->state_count++;
        explore_report(explorer, judge_image(explorer, inner, image));
    }
    medium_restore(inner, work->durable);
}

/* Called at the fences of a recovery that is being recorded. */
static void explore_recovery(struct medium *work, void *arg)
{
    static const enum state_kind kinds[] = {STATE_NONE, STATE_PREFIX, STATE_WITHOUT_LINE,
                                            STATE_FULL};
    struct explorer *explorer = arg;
    if (!work->is_tracking)
        return;
    struct states *states = &explorer->inner_states;
    states_begin(states, work, explorer->seed);
    explorer->now.inner_point++;
    for (unsigned at = 0; at < sizeof kinds / sizeof kinds[0]; at++) {
        uint64_t count = states_count(states, kinds[at]);
        uint64_t step = count / explorer->choices_max + 1;
        for (uint64_t index = 0; index < count; index += step)
            if (is_inner_wanted(explorer, kinds[at], index))
                try_inner(explorer, work, kinds[at], index);
    }
}

/* ---- states of a point ---- */

static void put_durable(struct explorer *explorer, const struct unit *unit)
{
    memcpy(explorer->work.durable + (uint64_t)unit->word * 8, &unit->value, 8);
    memcpy(explorer->inner.stores + (uint64_t)unit->word * 8, &unit->value, 8);
}

static void take_back(struct explorer *explorer, const struct medium *live, bool is_nested)
{
    struct medium *work = &explorer->work;
    for (uint64_t index = 0; is_nested && index < work->dirty_count; index++) {
        uint64_t at = (uint64_t)work->dirty_lines[index] * MEDIUM_LINE_BYTES;
        memcpy(work->durable + at, live->durable + at, MEDIUM_LINE_BYTES);
        memcpy(explorer->inner.stores + at, live->durable + at, MEDIUM_LINE_BYTES);
    }
    work->unit_count = 0;
    work->durable_hash = 0;
    medium_restore(work, live->durable);
    if (explorer->state_count % STRAY_INTERVAL == 0 &&
        memcmp(work->memory, live->durable, work->bytes) != 0)
        explore_report(explorer, "a store went past the persist layer");
}

static void try_state(struct explorer *explorer, const struct medium *live, enum state_kind kind,
                      uint64_t index)
{
    struct medium *work = &explorer->work;
    struct states *states = &explorer->states;
    const struct token *replay = explorer->replay;
    explorer->now =
        (struct token){.point = explorer->point, .kind = state_letter(kind), .index = index};
    bool is_nested =
        replay ? replay->inner_point > 0
               : kind == STATE_FULL || (kind == STATE_RANDOM && index < explorer->nested_random);
    states_pick(states, kind, index);
    uint64_t image = live->durable_hash;
    for (uint64_t at = 0; at < live->unit_count; at++)
        if (states->picked[at]) {
            image ^= medium_put(work, live->units[at].word, live->units[at].value);
            if (is_nested)
                put_durable(explorer, &live->units[at]);
        }
    if (kind == STATE_FULL && memcmp(work->memory, live->memory, work->bytes) != 0)
        explore_report(explorer, "a store of the operation went past the persist layer");
    if (!is_seen(explorer, image) || replay) {
        explorer->state_count++;
        alarm(HANG_SECONDS);
        work->is_tracking = is_nested;
        work->durable_hash = image;
        work->before_fence = explore_recovery;
        work->hook_arg = explorer;
        const char *reason = judge_image(explorer, work, image);
        explorer->now.inner_point = 0;
        if (!replay || !is_nested)
            explore_report(explorer, reason);
    }
    take_back(explorer, live, is_nested);
}

static bool is_wanted(const struct explorer *explorer, enum state_kind kind, uint64_t index)
{
    const struct token *replay = explorer->replay;
    return !replay || (replay->point == explorer->point && replay->kind == state_letter(kind) &&
                       replay->index == index);
}

void explore_point(struct explorer *explorer, struct medium *live)
{
    explorer->point++;
    explorer->point_count++;
    if (explorer->replay && explorer->replay->point != explorer->point)
        return;
    struct states *states = &explorer->states;
    watch_signals(explorer);
    alarm(HANG_SECONDS);
    states_begin(states, live, seed_mix(explorer->seed, explorer->point));
    for (unsigned kind = 0; kind < STATE_KIND_COUNT; kind++) {
        uint64_t count = states_count(states, (enum state_kind)kind);
        uint64_t most = kind == STATE_RANDOM ? count : explorer->choices_max;
        uint64_t step = count > most ? (count + most - 1) / most : 1;
        for (uint64_t index = 0; index < count; index += step)
            if (is_wanted(explorer, (enum state_kind)kind, index))
                try_state(explorer, live, (enum state_kind)kind, index);
    }
}
