/* reduce.h -- all states of a point by few of them
 *
 * A granule that nobody looks at before it is decided need not be varied: the run would be the same. So
 * one begins with nothing of what is in flight, watches recovery and examination, and tries the other
 * versions of what they looked at, in each of their runs again: the leaves of that tree are all the
 * different runs there are (watch.h tells how looks are noticed).
 *
 * R1  Recovery overwrites the homes of records before it looks at them: they are never varied. Checked
 *     anew by runs with other versions and with garbage in them, which must leave the same image; a look
 *     at a home in recovery is a violation.
 * R2  What one call has stored past the cache, and recovery looks at, counts for nothing unless it is
 *     whole. Tried with each single store missing, each prefix, and 64 seeded subsets, each of which must
 *     leave what having none of it leaves but for its own bytes; if so, only none and all are varied.
 * R3  Words that are only ever copied to where each word is judged by itself are varied together.
 * R4  What a recovery leaves of the records that it has retired is dead: images that differ there alone are
 *     examined once. Of those that this spares some are examined all the same (explore.h). */
#ifndef TESTS_CRASH_ENGINE_REDUCE_H
#define TESTS_CRASH_ENGINE_REDUCE_H

#include "explore.h"

#define REDUCE_RECORD_SUBSETS 64u

/* Tries what must be tried of the level's point. SHARE_SAMPLED: it is too much, and was given up. */
enum share reduce_point(struct explorer *explorer, struct level *level);

#endif
