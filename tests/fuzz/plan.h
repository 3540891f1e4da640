/* plan.h -- which images are tried: every field by every verb, then whatever chance brings together */
#ifndef TESTS_FUZZ_PLAN_H
#define TESTS_FUZZ_PLAN_H

#include "input.h"
#include "seeds.h"

struct plan {
    uint64_t seed;
    unsigned runs; /* of each field by each verb */
    struct seed_image *const *images;
};

/* How many images try every field by every verb; those behind are random. */
uint64_t plan_sweep(const struct plan *plan);

/* Image number `index`; each is decided by its number alone. */
void plan_input(const struct plan *plan, uint64_t index, struct input *out);

#endif
