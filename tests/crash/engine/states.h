/* states.h -- which of the stores in flight a crash may leave, as numbered choices */
#ifndef TESTS_CRASH_ENGINE_STATES_H
#define TESTS_CRASH_ENGINE_STATES_H

#include "medium.h"

/* x(NAME, letter in tokens) */
#define STATE_KINDS(x)                                                                             \
    x(NONE, 'n')             /* nothing */                                                         \
        x(FULL, 'f')         /* everything */                                                      \
        x(LINE, 'l')         /* one line, whole */                                                 \
        x(WITHOUT_LINE, 'w') /* everything but one line */                                         \
        x(PREFIX, 'p')       /* the first words in program order */                                \
        x(WITHOUT_WORD, 'o') /* everything but one word past the cache */                          \
        x(RANDOM, 'r')       /* a random prefix of each line, random words past the cache */

enum state_kind {
#define STATE_ENUM(name, letter) STATE_##name,
    STATE_KINDS(STATE_ENUM)
#undef STATE_ENUM
        STATE_KIND_COUNT
};

/* Room for the choice; kept between points. */
struct states {
    const struct medium *medium;
    uint64_t seed;
    uint64_t random_count;
    uint32_t *lines; /* in flight, ascending */
    uint64_t line_count;
    uint32_t *past_cache; /* indexes of units past the cache */
    uint64_t past_cache_count;
    uint8_t *picked;  /* for each unit in flight */
    uint64_t *prefix; /* for RANDOM: of each line, how many words are left to be picked */
};

char state_letter(enum state_kind kind);

void states_init(struct states *states, uint64_t unit_max);
void states_fini(struct states *states);

/* Looks at what is in flight on the medium. */
void states_begin(struct states *states, const struct medium *medium, uint64_t seed);

/* How many choices of a kind there are. */
uint64_t states_count(const struct states *states, enum state_kind kind);

/* Fills in `picked`. */
void states_pick(struct states *states, enum state_kind kind, uint64_t index);

#endif
