/* explore.h -- every state that a crash may leave, and what is asked of it */
#ifndef TESTS_CRASH_ENGINE_EXPLORE_H
#define TESTS_CRASH_ENGINE_EXPLORE_H

#include <stdio.h>

#include "states.h"
#include "vmfs.h"

/* What is asked of a state. */
struct judge {
    void *arg;
    /* Recovers what is on the medium: 0 and a filesystem, or a negative errno. May be cut short itself. */
    int (*recover)(void *arg, struct medium *medium, struct vmfs **out);
    /* Null, or what is wrong; closes the filesystem. Tells more to `details` if that is not null. */
    const char *(*examine)(void *arg, struct vmfs *fs, FILE *details);
    /* Is it right that recovery fails like this? Null: never. */
    bool (*excuses)(void *arg, int err);
    /* Differs where examine() would allow something else. */
    uint64_t (*rules)(void *arg);
};

/* One state: a point, what of the stores in flight is there, and the same for a crash inside the
 * recovery of that state (inner_point 0: none). */
struct token {
    unsigned point;
    char kind;
    uint64_t index;
    unsigned inner_point;
    char inner_kind;
    uint64_t inner_index;
};

struct explorer {
    /* What is asked for. */
    const char *label; /* first part of every token */
    uint64_t seed;
    uint64_t choices_max; /* of one kind at one point */
    uint64_t nested_random;
    const struct token *replay; /* only this state, with details */
    bool is_first;              /* end the program at the first violation */
    const struct judge *judge;
    /* Results. */
    uint64_t state_count;
    uint64_t point_count;
    uint64_t violation_count;
    /* Volatile. */
    unsigned point;
    struct medium work;
    struct medium inner;
    struct states states;
    struct states inner_states;
    struct token now;
    uint64_t *seen; /* hashes of images that were judged already */
    uint64_t seen_count;
};

void explore_init(struct explorer *explorer, uint64_t bytes);
void explore_fini(struct explorer *explorer);

/* Begins with a new recording on `live`, which has just been loaded. */
void explore_start(struct explorer *explorer, struct medium *live, const char *label,
                   const struct judge *judge);

/* Tries the states that a crash at this moment may leave. */
void explore_point(struct explorer *explorer, struct medium *live);

/* Counts and prints a violation at this moment with its token; a null reason is none. */
void explore_report(struct explorer *explorer, const char *reason);

#endif
