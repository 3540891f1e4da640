/* seed.h -- reproducible random numbers for tests
 *
 * One 64-bit seed decides everything that follows, so a failure replays from the number it printed.
 */
#ifndef TESTS_SEED_H
#define TESTS_SEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seed {
    uint64_t state[4];
};

/* Starts a stream. */
void seed_init(struct seed *seed, uint64_t value);

/* A well-mixed word of two others, for deriving the seeds of independent streams. */
uint64_t seed_mix(uint64_t a, uint64_t b);

uint64_t seed_next(struct seed *seed);

/* A number in 0 .. limit - 1; limit is not 0. */
uint64_t seed_below(struct seed *seed, uint64_t limit);

/* True in about `percent` of 100 calls. */
bool seed_chance(struct seed *seed, unsigned percent);

/* Fills `buffer` with bytes that depend on `pattern` alone. */
void seed_fill(void *buffer, size_t length, uint64_t pattern);

/* A seed that differs from run to run. */
uint64_t seed_from_clock(void);

#endif
