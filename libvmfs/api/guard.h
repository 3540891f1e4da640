/* guard.h -- SIGBUS in a guarded region becomes an error of the call (VMFS_GUARD)
 *
 * A page that its backing has lost cannot be left out of a copy that is under way. So the handler puts
 * a page of zeros in its place and lets the instruction go on; what the call then makes of the zeros
 * does not matter, as it fails in the end. Nothing jumps, and so locks and lanes stay sound. The list
 * of guarded regions and the handler are the only global state of the library.
 *
 * G1  A loss is marked and then counted before the zeros can be seen, and a call reads the count before
 *     it looks for marks: each call that could have seen zeros finds the count changed at its end.
 * G2  The journal is poisoned before the zeros can be seen: no record is written and W does not rise
 *     once a store may have gone to zeros (H16).
 * G3  A call begins only when all pages of zeros have made room for the file again: touching a lost
 *     page faults anew, and all others are what they were.
 * G4  Whoever holds the registry's lock has all signals blocked and touches nothing that can fault. */
#ifndef VM_API_GUARD_H
#define VM_API_GUARD_H

#include "api/handle.h"

/* Guards fs->map until vm_guard_stop(). 0 or a reason. */
int vm_guard_start(struct vmfs *fs, struct vm_err *err);

/* Before the region is unmapped; also in a forked child, and on a handle without a guard. */
void vm_guard_stop(struct vmfs *fs);

/* For who vouches for everything: the reason if a page was lost since vm_guard_start(). 0 without
 * a guard. */
int vm_guard_check(const struct vmfs *fs, struct vm_ctx *ctx);

/* A call begins: 0, or the reason why it cannot. */
int vm_guard_enter(struct vmfs *fs, struct vm_ctx *ctx);

/* A call ends: its result, or that of a call that may have seen zeros. */
int64_t vm_guard_leave(struct vmfs *fs, struct vm_ctx *ctx, int64_t result);

#endif
