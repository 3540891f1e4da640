/* states.h -- which of the stores in flight a crash may leave, as one number for each granule
 *
 * A granule is what reaches the medium in the order of its stores: a line or a word in LINE, a word in
 * WORD, a sector in PAGE. Its version tells how many of its stores, the oldest first, are there. A store
 * that changes nothing makes no version. So a state is a vector of versions, and all states of a point
 * are the product of their ranges. */
#ifndef TESTS_CRASH_ENGINE_STATES_H
#define TESTS_CRASH_ENGINE_STATES_H

#include "medium.h"

#define STATES_NO_GRANULE UINT32_MAX
#define STATES_NO_UNIT    UINT32_MAX

struct granule {
    uint32_t first; /* of its stores, in states.steps */
    uint32_t versions_max;
    uint32_t newest_store; /* serial of the call that made its newest store */
    bool is_of_one_store;  /* all of it was made by that call, past the cache */
};

struct states {
    const struct medium *medium;
    struct granule *granules; /* ascending by place */
    uint32_t granule_count;
    uint32_t *steps; /* indexes of units, by granule, in program order; only those that change */
    uint32_t *granule_of; /* of each unit, or none: it changes nothing */
    uint32_t *rank;       /* of each unit in its granule: it is there from version rank + 1 on */
    uint32_t *version;    /* the state: of each granule */
    uint64_t *keys;       /* room for sorting */
    uint32_t *first_of;   /* of each word of the medium: a unit, if it is one of that word */
    uint32_t *next_of;    /* of each unit: the next one of its word, or none */
    uint32_t unit_count;
};

/* With room for this many units, on a medium of so many bytes. */
void states_init(struct states *states, uint64_t unit_max, uint64_t bytes);
void states_fini(struct states *states, uint64_t unit_max, uint64_t bytes);

/* Looks at what is in flight on the medium; the state is the one with nothing of it. */
void states_begin(struct states *states, const struct medium *medium);

/* The oldest unit of a word, or none; next_of leads to the others, in program order. */
uint32_t states_first_of(const struct states *states, uint32_t word);

void states_set_all(struct states *states, bool is_full);

/* How many states there are, or `limit` if there are more. */
uint64_t states_product(const struct states *states, uint64_t limit);

/* The next state in Gray order, from the one with nothing on: false behind the last. Successive states
 * differ by one store of one granule. */
bool states_next(struct states *states, uint8_t *downwards);

/* The first `count` stores in program order. */
void states_set_prefix(struct states *states, uint64_t count);

/* Seeded: half of them keep or lose most granules as a whole, as evictions do. */
void states_set_random(struct states *states, uint64_t seed);

#endif
