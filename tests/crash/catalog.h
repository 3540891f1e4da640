/* catalog.h -- named operations over one small tree */
#ifndef TESTS_CRASH_CATALOG_H
#define TESTS_CRASH_CATALOG_H

#include <stdbool.h>

/* Not in pairs: what comes before takes most of the region, or ends it. */
#define CATALOG_ALONE 0x1u
/* What comes before the operation is not checkpointed in any variant. */
#define CATALOG_UNSYNCED 0x2u
/* The region is so full or in such pieces that another history or leaf has no room. */
#define CATALOG_FULL 0x4u

struct workload {
    const char *name;
    const char *before; /* script of what must be there first, or null */
    const char *op;     /* script of what is cut */
    unsigned traits;
};

extern const struct workload catalog[];
extern const unsigned catalog_count;

/* Workloads of several operations, all of which are cut: classes of bugs that were found in others'
 * filesystems need more than one. */
extern const struct workload catalog_long[];
extern const unsigned catalog_long_count;

#endif
