/* crash.h -- what all suites of crash_test share: the media, the images, the options */
#ifndef TESTS_CRASH_CRASH_H
#define TESTS_CRASH_CRASH_H

#include "dumps.h"
#include "engine/explore.h"

#define CRASH_LABEL_BYTES TOKEN_LABEL_MAX
#define CRASH_LOAD_NOW_NS ((int64_t)1000) /* the time when an image was loaded */
#define CRASH_OP_NOW_NS   ((int64_t)2000000000000000000)

struct crash_shared;

struct crash {
    struct explorer explorer;
    struct medium live;
    struct dumps dumps;
    uint8_t *image;   /* a poisoned region with the tree of scenarios.h */
    uint8_t *garbage; /* random bytes */
    uint8_t *zeros;
    const char *label; /* of what runs, for messages */
    const char *only;  /* what labels must start with, or null */
    uint64_t bytes;
    double deadline;      /* 0: none */
    double boxed_seconds; /* not 0: of the whole run, and the deadline is that of the suite */
    bool is_quick;
    bool is_exact_label;         /* `only` is a whole label */
    unsigned job;                /* which of the processes that share the labels */
    struct crash_shared *shared; /* what they share; null: there is one */
};

/* A suite: everything of one kind, once, with the seed of the explorer. */
struct crash_suite {
    const char *name;
    void (*run)(struct crash *crash);
    double share;
};

void suite_concurrent(struct crash *crash);
void suite_damage(struct crash *crash);
void suite_format(struct crash *crash);
void suite_scenarios(struct crash *crash);
void suite_singles(struct crash *crash);
void suite_pairs(struct crash *crash);
void suite_sequences(struct crash *crash);

/* Is this label asked for, not run by another process, and time left? */
bool crash_wants(const struct crash *crash, const char *label);

/* Memory that processes share: who runs which label. */
struct crash_shared *crash_share(void);

/* Puts an image onto the recorded medium, as thread `thread` finds it. */
void crash_load(struct crash *crash, const uint8_t *image, unsigned thread);

/* Ends the program with a message if err is not 0: something fails that may not. */
void crash_must(const struct crash *crash, int err, const char *what);

double crash_seconds(void);

#endif
