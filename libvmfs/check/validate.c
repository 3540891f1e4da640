/* validate.c -- is one structure of the medium sound by itself? */
#include "check/validate.h"

#include <string.h>

#include "base/hash.h"
#include "base/util.h"
#include "inode/table.h"

bool vm_super_validate(const struct vm_super_media *super, uint64_t offset)
{
    const size_t unchecked = offsetof(struct vm_super_media, self);
    uint64_t expected = vm_hash64(0, (const uint8_t *)super + unchecked, sizeof *super - unchecked);
    return vm_get64(super->magic) == VM_MAGIC_SUPER && vm_get64(super->check) == expected &&
           vm_get64(super->self) == offset;
}

bool vm_line_validate(const struct vm_watermark_media *line, uint64_t offset)
{
    uint64_t expected =
        vm_hash64(vm_get64(line->nonce) ^ offset, line, offsetof(struct vm_watermark_media, check));
    return vm_get64(line->check) == expected && vm_get64(line->era) > 0;
}

bool vm_zone_state_validate(const struct vm_region *region, const struct vm_zone *zone,
                            const struct vm_zone_state_media *state)
{
    uint64_t offset = zone->head_block * VM_BLOCK_BYTES;
    uint64_t seed = region->hash_seed ^ offset;
    return vm_get32(state->magic) == VM_MAGIC_ZONE && vm_get64(state->self) == offset &&
           vm_get32(state->hash) == vm_hash32(seed, &state->self, VM_HEAD_HASHED) &&
           vm_get32(state->groups_ready) <= zone->group_count;
}

bool vm_group_validate(const struct vm_region *region, const struct vm_group_place *place,
                       const struct vm_group_media *media)
{
    uint64_t offset = place->descriptor_offset;
    uint64_t seed = region->hash_seed ^ offset;
    return vm_get32(media->magic) == VM_MAGIC_GROUP && vm_get64(media->self) == offset &&
           vm_get32(media->hash) == vm_hash32(seed, &media->self, VM_HEAD_HASHED) &&
           vm_get64(media->birth) <= region->epoch &&
           vm_get64(media->bitmap_block) == place->bitmap_offset / VM_BLOCK_BYTES &&
           vm_get64(media->first_block) == place->first_block;
}

bool vm_map_validate(const struct vm_region *region, const struct vm_map_media *map,
                     uint64_t offset, uint32_t level)
{
    uint64_t seed = region->hash_seed ^ offset;
    return vm_get32(map->magic) == VM_MAGIC_MAP && vm_get64(map->self) == offset &&
           vm_get32(map->level) == level && vm_get64(map->birth) <= region->epoch &&
           vm_get32(map->hash) == vm_hash32(seed, &map->self, VM_HEAD_HASHED);
}

bool vm_map_entry_is_empty(const struct vm_map_entry_media *entry)
{
    return vm_get64(entry->block) == 0 && vm_get32(entry->generation_floor) == 0 &&
           vm_get32(entry->hash) == 0;
}

bool vm_map_entry_validate(const struct vm_region *region, const struct vm_map_entry_media *entry,
                           uint64_t offset, uint64_t need)
{
    uint32_t expected =
        vm_hash32(region->hash_seed ^ offset, entry, offsetof(struct vm_map_entry_media, hash));
    uint64_t block = vm_get64(entry->block);
    return vm_get32(entry->hash) == expected && block > 0 &&
           vm_range_inside(block, need, region->blocks);
}

bool vm_chunk_validate(const struct vm_ctx *ctx, const struct vm_chunk_media *head, uint64_t offset,
                       uint64_t first_slot)
{
    uint64_t seed = ctx->region->hash_seed ^ offset;
    return vm_get32(head->magic) == VM_MAGIC_CHUNK && vm_get64(head->self) == offset &&
           vm_get64(head->first_slot) == first_slot &&
           vm_get32(head->inodes) == ctx->itable->slots_per_chunk &&
           vm_get64(head->birth) <= ctx->region->epoch &&
           vm_get32(head->hash) == vm_hash32(seed, &head->self, VM_HEAD_HASHED);
}
