/* validate.h -- is one structure of the medium sound by itself?
 *
 * For the passes, for dumps and for repair. Computed here again and not by the code that writes, so that a
 * mistake there is seen. Each takes a copy of the structure and where it lies. */
#ifndef VM_CHECK_VALIDATE_H
#define VM_CHECK_VALIDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "media/ctx.h"
#include "media/format.h"

#define VM_HEAD_HASHED 56u /* of zone states, descriptors, map blocks and chunks: from `self` on */

bool vm_super_validate(const struct vm_super_media *super, uint64_t offset);
bool vm_line_validate(const struct vm_watermark_media *line, uint64_t offset);
bool vm_zone_state_validate(const struct vm_region *region, const struct vm_zone *zone,
                            const struct vm_zone_state_media *state);
bool vm_group_validate(const struct vm_region *region, const struct vm_group_place *place,
                       const struct vm_group_media *media);

/* The head only; `level` is 1 for the root. */
bool vm_map_validate(const struct vm_region *region, const struct vm_map_media *map,
                     uint64_t offset, uint32_t level);

/* An entry may be empty. `need` blocks must lie inside the region where it names one. */
bool vm_map_entry_is_empty(const struct vm_map_entry_media *entry);
bool vm_map_entry_validate(const struct vm_region *region, const struct vm_map_entry_media *entry,
                           uint64_t offset, uint64_t need);

/* `first_slot` as it must be. */
bool vm_chunk_validate(const struct vm_ctx *ctx, const struct vm_chunk_media *head, uint64_t offset,
                       uint64_t first_slot);

#endif
