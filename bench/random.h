/* random.h -- the numbers that choose names and offsets (splitmix64)
 *
 * A stream is restarted from {seed, round, window} before each batch, so that the library, its
 * floors and its peers meet the same offsets in the same round. */
#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

/* A number below `bound`, which is far below 2^32. */
static inline uint32_t random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)(((random_next(state) >> 32) * bound) >> 32);
}

static inline uint64_t random_start(uint64_t seed, uint64_t round, uint64_t window)
{
    uint64_t state = seed ^ (round * 0xd1342543de82ef95u) ^ (window << 60);

    return random_next(&state);
}

#endif
