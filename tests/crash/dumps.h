/* dumps.h -- a judge that knows what the tree may look like, whole, from runs without a crash */
#ifndef TESTS_CRASH_DUMPS_H
#define TESTS_CRASH_DUMPS_H

#include "engine/explore.h"
#include "world.h"

enum dump_index { DUMP_NONE, DUMP_OP, DUMP_OTHER, DUMP_BOTH, DUMP_COUNT };
#define DUMP_BIT(index) (1u << (index))

struct dumps {
    struct judge judge;
    struct dump *all[DUMP_COUNT];
    struct dump *found;
    unsigned allowed; /* a bit for each dump that a crash now may leave */
    bool is_full;     /* there may be no room for new files */
    bool is_exact;    /* a word of the target must be as in that dump */
    bool is_format;   /* an unformatted region is allowed as well */
    uint64_t empty_blocks;
};

void dumps_init(struct dumps *dumps);

#endif
