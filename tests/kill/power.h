/* power.h -- a power cut in the place of a kill: what no msync has confirmed may be lost
 *
 * msync() of this program keeps what it is asked to write back in memory that outlives the child: the
 * medium. After the kill the region's file, the page cache, is put together with it: of each page that
 * differs, each sector is what the one or the other has. */
#ifndef TESTS_KILL_POWER_H
#define TESTS_KILL_POWER_H

#include <stdbool.h>
#include <stdint.h>

#include "seed.h"

/* From here on regions are opened at the level power, over msync. Never undone. */
void power_use(uint64_t region_bytes);

/* Everything in the file is on the medium; children forked from here on add what they sync. */
void power_begin(const char *region);

/* The child is dead: makes the file what the cut leaves. Returns how many sectors were lost. */
uint64_t power_cut(const char *region, struct seed *choices);

#endif
