/* judge.h -- whether a region holds all that a killed writer has acknowledged */
#ifndef TESTS_KILL_JUDGE_H
#define TESTS_KILL_JUDGE_H

#include "told.h"

/* Zero but for `told` to begin with; kill_judge_end() frees what it comes to have. */
struct kill_judge {
    const struct kill_told *told;
    struct kill_round *rounds[KILL_ROUNDS]; /* those that were judged, as they must stay */
    uint64_t acked; /* operations acknowledged in them, also in those that are gone */
};

/* True if the writer has not failed, vmfs_check() finds nothing, and each round that must be there is: at
 * the operations that its threads have counted, or at one more. A round that was judged before must not
 * have changed since. Prints what is not so. */
bool kill_judge(struct kill_judge *judge, struct vmfs *fs);

void kill_judge_end(struct kill_judge *judge);

#endif
