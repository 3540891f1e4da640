/* reach.h -- states that a run must have come to, beside the endings of its operations */
#ifndef TESTS_MODEL_REACH_H
#define TESTS_MODEL_REACH_H

#include <stdbool.h>
#include <stdint.h>

#include "op.h"

#define REACH_DIRECTORY 50000 /* entries of the directory that a long run must have had */

struct reach {
    uint64_t directory_max; /* entries of /big */
    uint64_t reads;         /* of all names of /big, with REACH_DIRECTORY entries or more */
    uint64_t renames;       /* of a name in it, then */
    uint64_t removals;      /* of a name in it, then */
    bool is_full;           /* between a -ENOSPC and the next operation that got space */
    uint64_t full_phases;
    uint64_t full_removals; /* names that were taken away in such a phase */
    uint64_t full_cuts;     /* files that were made shorter in such a phase */
};

/* Notes an operation and what it returned; `model` is the model's side before it. */
void reach_note(struct reach *reach, const struct op *op, const struct op_world *model,
                int64_t code);

void reach_print(const struct reach *reach);

/* Prints what was never reached; returns how much. `is_long`: also what takes a long run. */
unsigned reach_verify(const struct reach *reach, bool is_long);

#endif
