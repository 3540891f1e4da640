/* schedule.c -- coroutines, and the places where they change */
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "base/lock.h"
#include "world.h"

#define STACK_BYTES ((size_t)1 << 20)
#define NOBODY      SCHED_THREADS_MAX

struct player {
    ucontext_t context;
    uint8_t *stack; /* kept for the next run */
    bool is_done;
    const _Atomic uint32_t *waits_for; /* null: it can run */
};

/* The run that is going on. */
static struct {
    struct sched *sched; /* null: none */
    const struct sched_plan *plan;
    struct player players[SCHED_THREADS_MAX];
    ucontext_t home;
    unsigned now; /* NOBODY: at home */
    unsigned next;
    unsigned cut;
    bool is_looking; /* another filesystem is being worked on, by whoever is on the stack */
    bool is_endless;
    medium_hook_fn in_epoch; /* of the medium when nobody plays */
} run;

/* ---- plans ---- */

void sched_plan_text(const struct sched_plan *plan, char *text, size_t room)
{
    size_t used = (size_t)snprintf(text, room, "%u", plan->first);
    for (uint32_t cut = 0; cut < plan->cut_count && used < room; cut++)
        used += (size_t)snprintf(text + used, room - used, "-%u.%u", plan->cuts[cut].step,
                                 plan->cuts[cut].to);
}

bool sched_plan_parse(const char *text, struct sched_plan *plan)
{
    int used = 0;
    *plan = (struct sched_plan){0};
    if (sscanf(text, "%u%n", &plan->first, &used) != 1 || plan->first >= SCHED_THREADS_MAX)
        return false;
    for (text += used; *text == '-'; text += used) {
        if (plan->cut_count == SCHED_CUTS_MAX)
            return false;
        struct sched_cut *cut = &plan->cuts[plan->cut_count++];
        if (sscanf(text, "-%u.%u%n", &cut->step, &cut->to, &used) != 2 ||
            cut->to >= SCHED_THREADS_MAX)
            return false;
    }
    return *text == '\0';
}

/* ---- changing ---- */

bool sched_is_playing(void)
{
    return run.sched && run.now != NOBODY && !run.is_looking;
}

static bool is_playing(const struct medium *medium)
{
    return sched_is_playing() && run.sched->medium == medium;
}

static bool can_run(unsigned thread)
{
    return thread < run.sched->thread_count && !run.players[thread].is_done &&
           !run.players[thread].waits_for;
}

/* The next thread behind this one that can run; itself if only it can; NOBODY if none. */
static unsigned next_behind(unsigned thread)
{
    unsigned count = run.sched->thread_count;
    for (unsigned step = 1; step <= count; step++)
        if (can_run((thread + step) % count))
            return (thread + step) % count;
    return NOBODY;
}

static void go_home(unsigned next)
{
    unsigned self = run.now;
    run.next = next;
    swapcontext(&run.players[self].context, &run.home);
}

static void change_to(unsigned next)
{
    if (next != run.now && next != NOBODY)
        go_home(next);
}

static void count_step(enum sched_kind kind)
{
    struct sched *sched = run.sched;
    sched->step_count++;
    if (sched->step_count < SCHED_STEPS_KEPT)
        sched->steps[sched->step_count] =
            (struct sched_step){.thread = (uint8_t)run.now, .kind = (uint8_t)kind};
    if (sched->step_count >= SCHED_STEPS_MAX) {
        run.is_endless = true;
        go_home(NOBODY);
    }
}

static void step(const struct medium *medium, enum sched_kind kind)
{
    if (!is_playing(medium))
        return;
    count_step(kind);
    const struct sched_plan *plan = run.plan;
    if (run.cut == plan->cut_count || plan->cuts[run.cut].step != run.sched->step_count)
        return;
    unsigned to = plan->cuts[run.cut++].to;
    change_to(can_run(to) ? to : next_behind(run.now));
}

/* ---- where they change ---- */

void sched_look(void)
{
    run.is_looking = true;
    run.sched->look(run.sched->arg);
    run.is_looking = false;
}

static void at_store(struct medium *medium, void *arg)
{
    (void)arg;
    step(medium, SCHED_STORE);
}

static void at_flush(struct medium *medium, void *arg)
{
    (void)arg;
    step(medium, SCHED_FLUSH);
}

static void before_fence(struct medium *medium, void *arg)
{
    (void)arg;
    step(medium, SCHED_BEFORE_FENCE);
    if (is_playing(medium))
        sched_look();
}

static void after_fence(struct medium *medium, void *arg)
{
    (void)arg;
    step(medium, SCHED_AFTER_FENCE);
}

static void in_epoch(struct medium *medium, void *arg)
{
    (void)arg;
    if (is_playing(medium))
        sched_look();
}

static void at_backing(void *arg, uint64_t offset, uint64_t len_bytes)
{
    (void)offset;
    (void)len_bytes;
    step(arg, SCHED_BACK);
}

/* The linker puts these in the place of the library's own (tests/crash/meson.build). */
void __real_vm_lock_take(struct vm_lock *lock, const struct vm_platform *platform);
void __wrap_vm_lock_take(struct vm_lock *lock, const struct vm_platform *platform);
bool __real_vm_lock_try(struct vm_lock *lock);
bool __wrap_vm_lock_try(struct vm_lock *lock);
void __real_vm_lock_release(struct vm_lock *lock, const struct vm_platform *platform);
void __wrap_vm_lock_release(struct vm_lock *lock, const struct vm_platform *platform);

static void note_lock(const struct vm_lock *lock, bool is_taken)
{
    if (run.sched && is_playing(run.sched->medium))
        medium_note_lock(run.sched->medium, lock, is_taken);
}

static void step_lock(enum sched_kind kind)
{
    if (run.sched)
        step(run.sched->medium, kind);
}

void __wrap_vm_lock_take(struct vm_lock *lock, const struct vm_platform *platform)
{
    step_lock(SCHED_LOCK);
    __real_vm_lock_take(lock, platform);
    note_lock(lock, true);
}

bool __wrap_vm_lock_try(struct vm_lock *lock)
{
    step_lock(SCHED_LOCK);
    bool is_taken = __real_vm_lock_try(lock);
    if (is_taken)
        note_lock(lock, true);
    return is_taken;
}

void __wrap_vm_lock_release(struct vm_lock *lock, const struct vm_platform *platform)
{
    __real_vm_lock_release(lock, platform);
    note_lock(lock, false);
    step_lock(SCHED_UNLOCK);
}

static void play_wait(const _Atomic uint32_t *word, uint32_t seen)
{
    if (atomic_load(word) != seen)
        return;
    run.players[run.now].waits_for = word;
    go_home(next_behind(run.now));
}

static void play_wake(const _Atomic uint32_t *word)
{
    for (unsigned thread = 0; thread < run.sched->thread_count; thread++)
        if (run.players[thread].waits_for == word)
            run.players[thread].waits_for = NULL;
}

static void play_yield(void)
{
    count_step(SCHED_YIELD);
    change_to(next_behind(run.now));
}

static bool plays(const struct medium *medium)
{
    return is_playing(medium);
}

/* ---- a run ---- */

static void start_player(void)
{
    unsigned self = run.now;
    run.sched->body(run.sched->arg, self);
    run.players[self].is_done = true;
    go_home(next_behind(self));
    abort(); /* nobody goes on with who has ended */
}

static void prepare_player(struct player *player)
{
    if (!player->stack)
        player->stack = medium_pages(STACK_BYTES);
    player->is_done = false;
    player->waits_for = NULL;
    getcontext(&player->context);
    player->context.uc_stack.ss_sp = player->stack;
    player->context.uc_stack.ss_size = STACK_BYTES;
    player->context.uc_link = &run.home;
    makecontext(&player->context, start_player, 0);
}

static void set_hooks(struct medium *medium, bool is_on)
{
    static const struct world_threads threads = {
        .plays = plays, .wait = play_wait, .wake = play_wake, .yield = play_yield};
    medium->at_store = is_on ? at_store : NULL;
    medium->at_flush = is_on ? at_flush : NULL;
    medium->before_fence = is_on ? before_fence : NULL;
    medium->after_fence = is_on ? after_fence : NULL;
    medium->in_epoch = is_on ? in_epoch : run.in_epoch;
    world_watch_backing(is_on ? at_backing : NULL, medium);
    world_play_threads(is_on ? &threads : NULL);
}

static void play_on(unsigned thread)
{
    run.now = thread;
    run.sched->medium->thread = thread + 1;
    swapcontext(&run.home, &run.players[thread].context);
    run.now = NOBODY;
}

static bool are_all_done(void)
{
    for (unsigned thread = 0; thread < run.sched->thread_count; thread++)
        if (!run.players[thread].is_done)
            return false;
    return true;
}

enum sched_end sched_run(struct sched *sched, const struct sched_plan *plan)
{
    sched->step_count = 0;
    run.sched = sched;
    run.plan = plan;
    run.now = NOBODY;
    run.cut = 0;
    run.is_endless = false;
    run.next = plan->first < sched->thread_count ? plan->first : 0;
    for (unsigned thread = 0; thread < sched->thread_count; thread++)
        prepare_player(&run.players[thread]);
    run.in_epoch = sched->medium->in_epoch;
    set_hooks(sched->medium, true);
    while (run.next != NOBODY)
        play_on(run.next);
    set_hooks(sched->medium, false);
    enum sched_end end = run.is_endless   ? SCHED_LIVELOCK
                         : are_all_done() ? SCHED_DONE
                                          : SCHED_DEADLOCK;
    run.sched = NULL;
    return end;
}
