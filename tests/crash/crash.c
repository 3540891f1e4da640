/* crash.c -- what all suites of crash_test do */
#include "crash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double crash_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void crash_must(const struct crash *crash, int err, const char *what)
{
    if (err == 0)
        return;
    fprintf(stderr, "crash_test: %s: %s: %s\n", crash->label ? crash->label : "", what,
            strerror(-err));
    exit(2);
}

void crash_load(struct crash *crash, const uint8_t *image, unsigned thread)
{
    struct medium *live = &crash->live;
    medium_load(live, image);
    live->thread = thread;
    live->random_seed = crash->explorer.seed;
    live->random_count = 0;
    live->now_ns = CRASH_LOAD_NOW_NS;
    live->mirror_count = 0;
}

bool crash_wants(const struct crash *crash, const char *label)
{
    if (crash->deadline > 0 && crash_seconds() > crash->deadline)
        return false;
    return !crash->only || strncmp(label, crash->only, strlen(crash->only)) == 0;
}
