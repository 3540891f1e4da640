/* seeds.h -- the sound regions that images are made of
 *
 * Made anew at each start, always the same: clean ones and such as a power cut leaves, which together hold
 * every structure in every form. */
#ifndef TESTS_FUZZ_SEEDS_H
#define TESTS_FUZZ_SEEDS_H

#include "arena.h"
#include "atlas.h"

/* x(NAME, "name", MiB) */
#define SEEDS(x)                                                                                   \
    x(SMALL, "small", 1)     /* one of everything that fits into inodes and single leaves */       \
        x(TREE, "tree", 4)   /* inner nodes: of names, extents and attributes */                   \
        x(CRASH, "crash", 2) /* cut: records above the watermark, orphans, blocks beyond an end */ \
        x(REMAP, "remap", 4) /* cut while what a collapse has left behind is freed */              \
        x(ZONES, "zones", 4) /* two zones, each with a group in use */

enum seed_name {
#define SEED_ENUM(NAME, name, mib) SEED_##NAME,
    SEEDS(SEED_ENUM)
#undef SEED_ENUM
        SEED_COUNT
};

extern const char *const seed_names[SEED_COUNT];

struct seed_image {
    struct arena arena;
    struct atlas atlas;
    uint64_t problems; /* that a check finds in it, journal applied: none */
};

/* Ends the program if one cannot be made, or is not sound. */
void seeds_make(struct seed_image *images[SEED_COUNT]);

/* What is missing of all that there should be: null, or a line about it. */
const char *seeds_lack(struct seed_image *const images[SEED_COUNT]);

#endif
