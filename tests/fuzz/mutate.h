/* mutate.h -- changes fields of an image, and makes the checksums around them right again */
#ifndef TESTS_FUZZ_MUTATE_H
#define TESTS_FUZZ_MUTATE_H

#include "arena.h"
#include "atlas.h"
#include "input.h"

/* Applies all mutations of an input to the region in memory. True if the checksums of all that was changed
 * are right. */
bool mutate_all(struct arena *arena, const struct atlas *atlas, const struct input *input);

/* Computes the checksums of a structure and of all that enclose it. False for a record whose length makes no
 * sense: it cannot have one. */
bool mutate_mend(struct arena *arena, const struct atlas *atlas, const struct atlas_object *object);

#endif
