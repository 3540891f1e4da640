/* schedule.h -- threads that are played by coroutines, in an order that a plan decides
 *
 * The threads of one filesystem take turns in one thread of the system. They may change at *steps*: a
 * store, a flush, before and after a fence, a lock that is asked for or given back, backing. A step is
 * counted, and only a cut of the plan changes the thread there; where a thread waits, yields or ends the
 * next one that can run goes on. So a plan and the threads' bodies decide everything, and the number of
 * steps bounds every run: nothing depends on time.
 *
 * A wait ends when the word is woken, not when it changes, so that a lost wake-up is a deadlock here. */
#ifndef TESTS_CRASH_SCHEDULE_H
#define TESTS_CRASH_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/medium.h"

#define SCHED_THREADS_MAX 4u
#define SCHED_CUTS_MAX    4u
#define SCHED_STEPS_KEPT  4096u
#define SCHED_STEPS_MAX   200000u

enum sched_kind {
    SCHED_STORE,
    SCHED_FLUSH,
    SCHED_BEFORE_FENCE,
    SCHED_AFTER_FENCE,
    SCHED_LOCK,
    SCHED_UNLOCK,
    SCHED_BACK,
    SCHED_YIELD, /* changes the thread without a cut */
};

/* At this step `to` goes on, or the next thread that can. */
struct sched_cut {
    uint32_t step;
    uint32_t to;
};

/* As text: the first thread, and for each cut "-STEP.THREAD". */
struct sched_plan {
    uint32_t first;
    uint32_t cut_count;
    struct sched_cut cuts[SCHED_CUTS_MAX]; /* ascending */
};

struct sched_step {
    uint8_t thread;
    uint8_t kind;
};

enum sched_end { SCHED_DONE, SCHED_DEADLOCK, SCHED_LIVELOCK };

struct sched {
    struct medium *medium; /* whose filesystem the threads work on */
    unsigned thread_count;
    void (*body)(void *arg, unsigned thread);
    void (*look)(void *arg); /* a crash could be now: before each fence, in each long epoch */
    void *arg;
    /* Results. */
    uint32_t step_count; /* steps are numbered from 1 */
    struct sched_step steps[SCHED_STEPS_KEPT];
};

/* Plays all bodies to their ends. After a deadlock or a livelock they stay where they are, and what they
 * hold is lost. */
enum sched_end sched_run(struct sched *sched, const struct sched_plan *plan);

/* For a body: calls `look`, in which nobody plays: other filesystems may be worked on. */
void sched_look(void);

/* Does a thread play now? Locks that are taken are its own then. */
bool sched_is_playing(void);

void sched_plan_text(const struct sched_plan *plan, char *text, size_t room);
bool sched_plan_parse(const char *text, struct sched_plan *plan);

#endif
