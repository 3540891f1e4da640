/* ticks.c -- how long a tick is */
#include "ticks.h"

#if defined(__x86_64__)
#include <cpuid.h>

double ticks_calibrate(void)
{
    uint64_t start_ns = wall_ns();
    uint64_t start = ticks_now();
    uint64_t end_ns;

    do {
        end_ns = wall_ns();
    } while (end_ns - start_ns < 50000000u);
    return (double)(end_ns - start_ns) / (double)(ticks_now() - start);
}

const char *ticks_describe(void)
{
    unsigned eax, ebx, ecx, edx;

    if (__get_cpuid(0x80000007u, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1u << 8)) != 0)
        return "rdtsc between lfences, invariant";
    return "rdtsc between lfences, not reported invariant";
}
#else
double ticks_calibrate(void)
{
    return 1.0;
}

const char *ticks_describe(void)
{
    return "clock_gettime(CLOCK_MONOTONIC_RAW)";
}
#endif
