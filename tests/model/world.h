/* world.h -- time and randomness of the library as the model test wants them, so that the region's
 * bytes are a function of the seed alone */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H

#include <stdint.h>

/* What the library's clock says; the caller moves it. */
void world_set_now(int64_t now_ns);

/* Starts the stream of random words that handles opened from now on draw from. */
void world_set_random(uint64_t seed);

#endif
