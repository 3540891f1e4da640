/* crash.c -- what all suites of crash_test do */
#include "crash.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/hash.h"
#include "seed.h"

#define CLAIM_SLOTS ((uint64_t)1 << 17)
#define JOB_BITS    8u
#define QUICK_TURNS 8u

/* Labels that are run, each with the process that runs it in the low bits. */
struct crash_shared {
    _Atomic uint64_t claims[CLAIM_SLOTS];
};

struct crash_shared *crash_share(void)
{
    void *memory = mmap(NULL, sizeof(struct crash_shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Whoever comes first runs it, and may ask again. */
static bool claim(const struct crash *crash, const char *label)
{
    uint64_t pass = seed_mix(crash->explorer.seed, crash->live.model);
    uint64_t hash = vm_hash64(pass, label, strlen(label)) | (uint64_t)1 << 63;
    uint64_t mine = hash >> JOB_BITS << JOB_BITS | crash->job;
    for (uint64_t slot = (hash >> JOB_BITS) % CLAIM_SLOTS;; slot = (slot + 1) % CLAIM_SLOTS) {
        uint64_t found = 0;
        if (atomic_compare_exchange_strong(&crash->shared->claims[slot], &found, mine))
            return true;
        if (found >> JOB_BITS == hash >> JOB_BITS)
            return found == mine;
    }
}

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

/* A quick run tries all labels under LINE and, another choice with each seed, some under the others. */
static bool is_due(const struct crash *crash, const char *label)
{
    uint64_t turn = vm_hash64(crash->explorer.seed, label, strlen(label)) % QUICK_TURNS;
    return !crash->is_quick || crash->only || crash->live.model == MEDIUM_LINE ||
           turn == (uint64_t)crash->live.model;
}

bool crash_wants(const struct crash *crash, const char *label)
{
    if (crash->deadline > 0 && crash_seconds() > crash->deadline)
        return false;
    if (crash->only &&
        (crash->is_exact_label ? strcmp(label, crash->only) != 0
                               : strncmp(label, crash->only, strlen(crash->only)) != 0))
        return false;
    if (!is_due(crash, label))
        return false;
    return !crash->shared || claim(crash, label);
}
