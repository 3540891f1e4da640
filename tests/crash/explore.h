/* explore.h -- every state that a crash may leave, and what is asked of it */
#ifndef TESTS_CRASH_EXPLORE_H
#define TESTS_CRASH_EXPLORE_H

#include "states.h"
#include "world.h"

#define EXPLORE_DUMPS 4u

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
    bool is_format;             /* an unformatted region is allowed as well */
    struct dump *dumps[EXPLORE_DUMPS];
    unsigned allowed; /* a bit for each dump that a crash now may leave */
    bool is_full;     /* there may be no room for new files */
    bool is_exact;    /* a word of the target must be as in that dump */
    uint64_t empty_blocks;
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
    struct dump *dump;
    uint64_t *seen; /* hashes of images that were judged already */
    uint64_t seen_count;
};

void explore_init(struct explorer *explorer, uint64_t bytes);
void explore_fini(struct explorer *explorer);

/* Begins with a new recording on `live`, which has just been loaded. */
void explore_start(struct explorer *explorer, struct medium *live, const char *label);

/* Tries the states that a crash at this moment may leave. */
void explore_point(struct explorer *explorer, struct medium *live);

#endif
