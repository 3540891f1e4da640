/* seed.c -- xoshiro256** seeded through splitmix64 */
#include "seed.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t splitmix_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t value, int bits)
{
    return (value << bits) | (value >> (64 - bits));
}

void seed_init(struct seed *seed, uint64_t value)
{
    for (int i = 0; i < 4; i++)
        seed->state[i] = splitmix_next(&value);
}

uint64_t seed_mix(uint64_t a, uint64_t b)
{
    uint64_t state = a ^ rotate_left(b, 32) ^ (b * 0x2545f4914f6cdd1du);
    return splitmix_next(&state);
}

uint64_t seed_next(struct seed *seed)
{
    uint64_t *s = seed->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t seed_below(struct seed *seed, uint64_t limit)
{
    return seed_next(seed) % limit;
}

bool seed_chance(struct seed *seed, unsigned percent)
{
    return seed_below(seed, 100) < percent;
}

void seed_fill(void *buffer, size_t length, uint64_t pattern)
{
    unsigned char *bytes = buffer;
    while (length > 0) {
        uint64_t word = splitmix_next(&pattern);
        size_t step = length < sizeof(word) ? length : sizeof(word);
        memcpy(bytes, &word, step);
        bytes += step;
        length -= step;
    }
}

uint64_t seed_from_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t nanoseconds = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return seed_mix(nanoseconds, (uint64_t)getpid()) >> 16;
}
