/* pool.h -- the chunks that a lane takes blocks from without asking anybody
 *
 * A lane has a pool for nodes, one for little files and a few for long ones, each with a chunk. Nodes and
 * little files fill up chunks that are broken already; long files get empty ones, one for each of a few
 * files that grow at the same time, so that they come to lie in long runs also in a region that has been
 * used for long. */
#ifndef VM_SPACE_POOL_H
#define VM_SPACE_POOL_H

#include "space/group.h"

#define VM_POOL_NODES    0u
#define VM_POOL_LITTLE   1u
#define VM_POOL_LONG     2u /* the first of VM_POOLS_LONG */
#define VM_POOLS_LONG    4u
#define VM_POOLS_OF_LANE (VM_POOL_LONG + VM_POOLS_LONG)

/* What a caller needs: at least `least` contiguous blocks and at most `most`, at the goal if that
 * is free. */
struct vm_request {
    uint64_t goal;
    uint32_t least;
    uint32_t most;
    bool is_long; /* for a file that is long already, or will be */
};

/* Stages blocks as used, and notes them for who searches (S3). */
void vm_note_run(struct vm_ctx *ctx, uint64_t block, uint64_t count, uint32_t pool);

/* All under the pool's lock. */

/* Takes what the pool's chunk has of what is needed: false if that is too little. */
bool vm_pool_take(struct vm_ctx *ctx, struct vm_pool *pool, const struct vm_request *request,
                  struct vm_run *out);

/* Has it fewer than `count` blocks? */
bool vm_pool_is_low(const struct vm_pool *pool, unsigned count);

void vm_pool_drop(struct vm_ctx *ctx, struct vm_pool *pool);

/* Is there more to look for? So it is where nothing was found, and where the backing of what was found cannot
 * grow: another chunk may have its own already. */
static inline bool vm_pool_is_left(int result)
{
    return result == 0 || result == -VMFS_R_BACKING;
}

/* Claims the first chunk from the pool's cursor on that has what is wanted: 1, 0 or a reason. */
int vm_pool_search(struct vm_ctx *ctx, struct vm_pool *pool, struct vm_chunk_want want);

/* Claims the chunk that suits the request best: 1, 0 if no chunk has even `least`, or a reason. */
int vm_pool_refill(struct vm_ctx *ctx, struct vm_pool *pool, const struct vm_request *request);

#endif
