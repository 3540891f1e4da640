/* look.h -- everything that looks at a region and stores nothing, at once */
#ifndef TESTS_LOOK_H
#define TESTS_LOOK_H

#include <stdint.h>

#include "vmfs.h"

struct look {
    uint64_t calls;
    uint64_t errors; /* of them */
    uint64_t lines;  /* of dumps */
    uint64_t names;  /* met on the walk */
    uint64_t bytes;  /* read on it, and covered by the map */
    uint64_t problems;
    uint64_t left; /* names that this walk may still meet: damage can make it endless */
};

/* info, statfs, fsck, all dumps, map, and a walk over all names that stats and reads. Errors are
 * counted. False if the map does not cover each byte exactly once. */
bool look_at(struct vmfs *fs, struct look *look);

#endif
