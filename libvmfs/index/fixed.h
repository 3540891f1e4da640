/* fixed.h -- what the two halves of the fixed leaf share: slots in place, and whole leaves */
#ifndef VM_INDEX_FIXED_H
#define VM_INDEX_FIXED_H

#include <stdint.h>

#include "index/node.h"

#define VM_SLOTS_PER_LINE 2u

static inline uint64_t vm_slot_offset(uint64_t leaf, uint32_t segment, uint32_t index)
{
    return leaf + offsetof(struct vm_fixed_media, slots) +
           (segment * (uint64_t)VM_SEGMENT_SLOTS + index) * sizeof(struct vm_extent_media);
}

/* Writes the leaf again, with one slot more, as one new leaf or two. */
int vm_fixed_rewrite(struct vm_ctx *ctx, struct vm_map *map, struct vm_path *path,
                     const struct vm_extent_media *slot);

/* Writes a whole leaf as payload at place->offset: sorted slots of its interval, evenly over the segments,
 * or, with is_dense, in full segments and then empty ones, for slots to come. */
void vm_fixed_write(struct vm_ctx *ctx, const struct vm_map *map, const struct vm_place *place,
                    const struct vm_extent_media *slots, uint32_t count, bool is_dense);

#endif
