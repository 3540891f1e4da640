/* space.h -- who owns each block
 *
 * The bitmap in the region is the truth; what is volatile here only says which chunks (2 MiB, one line
 * of bitmap) a lane may take blocks from without asking anybody.
 *
 * H2, H11  A freed block cannot be taken before its record is fenced, as the home bit is cleared only
 *     then, nor before W has passed that record: the chunk is counted as cooling until the checkpoint
 *     has released it, and no cooling chunk is handed to a pool.
 * S3  What a running transaction took is in no bitmap yet. Its lane's note of runs says so until the homes
 *     are stored; it is written before the pool lets go of the chunk. Who claims a chunk reads the
 *     notes of all lanes, then the bitmap: what was noted and is not any more is in the bitmap.
 * S4  Nobody waits for a stripe while its transaction has blocks, and nobody holds a pool's lock while it
 *     waits for the last blocks: so all others that have blocks come to their end.
 * S6  No group is made twice: where the next one to be made has a descriptor that checks, the zone state is
 *     older than it, and the region is refused.
 * H10 Bitmap words are shared by independent operations and change by SET and CLEAR entries only. */
#ifndef VM_SPACE_SPACE_H
#define VM_SPACE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/journal.h"
#include "media/ctx.h"

struct vm_run {
    uint64_t block;
    uint64_t count;
    bool is_zeroed; /* known to read as zero, durably */
};

/* Takes one block for a node or other metadata; its offset. The running transaction owns it: it is
 * staged as used, and goes back if the transaction is not committed. NO_SPACE, or BACKING if there are
 * blocks for which the backing has no memory, only after a checkpoint has released what was cooling. */
int vm_space_take_node(struct vm_ctx *ctx, uint64_t *offset_out);

/* Takes 1 to `want` contiguous blocks for data, from `goal` on if that is free (0: no goal). They begin at
 * `at_block` of their file, which tells long files from little ones. Large wants start on a chunk
 * boundary where one is free. */
int vm_space_take_run(struct vm_ctx *ctx, uint64_t goal, uint64_t at_block, uint64_t want,
                      struct vm_run *out);

/* Takes exactly `count` contiguous blocks, at most VM_CHUNK_BLOCKS. */
int vm_space_take_exact(struct vm_ctx *ctx, uint64_t count, uint64_t *block_out);

/* Stages blocks as free. */
void vm_space_free(struct vm_ctx *ctx, uint64_t block, uint64_t count);

/* May this version write or free a block born at `birth` in place? The one place that decides about
 * sharing; nothing is shared while base_epoch is 0. */
static inline bool vm_space_owns(uint64_t base_epoch, uint64_t birth)
{
    return birth > base_epoch;
}

/* Is that why a step failed? */
static inline bool vm_space_is_out(int64_t result)
{
    return result == -VMFS_R_NO_SPACE || result == -VMFS_R_BACKING;
}

/* Is so much free that taking some ahead of need takes nothing from those who need it now? */
bool vm_space_is_roomy(const struct vm_ctx *ctx);

/* Refills the lane's pool for nodes if what it has may not do for the next split (B1); false if that is left
 * for a call that can afford it, or for more room. */
bool vm_space_ahead(struct vm_ctx *ctx);

/* Allocates the volatile part and hooks it into the journal. */
int vm_space_init(struct vm_ctx *ctx, struct vm_space **out);
void vm_space_fini(struct vm_ctx *ctx, struct vm_space *space);

/* Structures of a region that is being formatted: the state of zone 0. */
void vm_space_format(struct vm_ctx *ctx);

#endif
