/* ticks.h -- the clock of the measurements
 *
 * On x86-64 a tick is one of the time stamp counter, read between two load fences so that nothing
 * of the measured work leaks out of the window; elsewhere it is a nanosecond of
 * CLOCK_MONOTONIC_RAW. */
#ifndef BENCH_TICKS_H
#define BENCH_TICKS_H

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* Monotonic wall time in ns, for deadlines and calibration. */
static inline uint64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
    _mm_lfence();
    uint64_t ticks = __rdtsc();
    _mm_lfence();
    return ticks;
#else
    return wall_ns();
#endif
}

/* Measures the length of a tick for about 50 ms and returns it in ns. */
double ticks_calibrate(void);

/* What the clock is, in words for a person. Static. */
const char *ticks_describe(void);

#endif
