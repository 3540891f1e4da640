/* region.c -- geometry of the region */
#include "media/region.h"

#include "base/check.h"
#include "base/util.h"

#define DESCRIPTORS_PER_BLOCK (VM_BLOCK_BYTES / (unsigned)sizeof(struct vm_group_media))

/* Epochs are above 0 and below it: a clock that stands elsewhere is damage. */
#define EPOCH_MAX ((uint64_t)1 << 62)

static uint64_t descriptor_blocks(uint32_t group_count)
{
    return vm_div_up(group_count, DESCRIPTORS_PER_BLOCK);
}

uint64_t vm_zone_head_blocks(uint32_t group_count)
{
    return 1 + descriptor_blocks(group_count) + group_count;
}

static bool zone_load(struct vm_region *region, const struct vm_zone_media *media)
{
    struct vm_zone *zone = &region->zones[region->zone_count];
    zone->first_block = vm_get64(media->first_block);
    zone->block_count = vm_get64(media->block_count);
    zone->head_block = vm_get64(media->head_block);
    zone->group_count = vm_get32(media->group_count);
    zone->first_group = region->group_count;
    uint64_t expected_first = 0;
    if (region->zone_count > 0) {
        const struct vm_zone *before = zone - 1;
        expected_first = before->first_block + before->block_count;
    }
    bool is_sound = zone->first_block == expected_first && zone->block_count > 0 &&
                    vm_range_inside(zone->first_block, zone->block_count, region->blocks) &&
                    zone->group_count == vm_div_up(zone->block_count, VM_GROUP_BLOCKS) &&
                    zone->head_block >= zone->first_block &&
                    vm_range_inside(zone->head_block - zone->first_block,
                                    vm_zone_head_blocks(zone->group_count), zone->block_count);
    region->zone_count++;
    region->group_count += zone->group_count;
    return is_sound;
}

static bool geometry_is_sound(const struct vm_region *region)
{
    const struct vm_zone *last = &region->zones[region->zone_count - 1];
    uint64_t lanes_end = region->lane_offset + (uint64_t)region->lane_count * region->lane_bytes;
    bool is_chunk_power =
        region->chunk_blocks && !(region->chunk_blocks & (region->chunk_blocks - 1));
    return last->first_block + last->block_count == region->blocks &&
           region->lane_offset == (uint64_t)VM_LANES_BLOCK * VM_BLOCK_BYTES &&
           region->lane_count >= 4 && region->lane_count <= 256 && region->lane_bytes >= 16384 &&
           region->lane_bytes <= (1u << 20) && region->lane_bytes % VM_BLOCK_BYTES == 0 &&
           lanes_end <= region->zones[0].head_block * VM_BLOCK_BYTES && is_chunk_power &&
           region->chunk_blocks >= 2 && region->chunk_blocks <= 256 &&
           region->map_block == VM_INODE_MAP_BLOCK && region->epoch > 0 &&
           region->epoch < EPOCH_MAX;
}

int vm_region_init(struct vm_err *err, struct vm_region *region, const struct vm_super_media *super,
                   const void *base, uint64_t len_bytes)
{
    const struct vm_platform *platform = region->platform;
    *region = (struct vm_region){
        .base = base,
        .blocks = vm_get64(super->region_blocks),
        .platform = platform,
        .hash_seed = vm_get64(super->hash_seed),
        .name_seed = vm_get64(super->name_seed),
        .epoch = vm_get64(super->epoch),
        .lane_offset = vm_get64(super->lane_offset),
        .lane_count = vm_get32(super->lane_count),
        .lane_bytes = vm_get32(super->lane_bytes),
        .chunk_blocks = vm_get32(super->chunk_blocks),
        .map_block = vm_get64(super->share.map_block),
        .is_zeroed = vm_get32(super->flags) & VM_SUPER_ZEROED,
        .has_acls = vm_get64(super->ro_compat) & VM_FEATURE_ACLS,
    };
    if (region->blocks > len_bytes / VM_BLOCK_BYTES)
        return vm_raise(err, VMFS_R_REGION_TRUNCATED, region->blocks);
    region->bytes = region->blocks * VM_BLOCK_BYTES;
    uint32_t zone_count = vm_get32(super->zone_count);
    bool is_sound = zone_count > 0 && zone_count <= VM_ZONE_MAX;
    for (uint32_t zone = 0; is_sound && zone < zone_count; zone++)
        is_sound = zone_load(region, &super->zones[zone]);
    if (!is_sound || !geometry_is_sound(region))
        return vm_raise(err, VMFS_R_SUPER_GEOMETRY, 0);
    return 0;
}

static const struct vm_zone *zone_of_block(const struct vm_region *region, uint64_t block)
{
    VM_ASSERT(block < region->blocks);
    uint32_t zone = 0;
    while (block - region->zones[zone].first_block >= region->zones[zone].block_count)
        zone++;
    return &region->zones[zone];
}

static uint64_t bitmap_offset(const struct vm_zone *zone, uint64_t index)
{
    return (zone->head_block + 1 + descriptor_blocks(zone->group_count) + index) * VM_BLOCK_BYTES;
}

struct vm_bit vm_region_bit(const struct vm_region *region, uint64_t block)
{
    const struct vm_zone *zone = zone_of_block(region, block);
    uint64_t within = block - zone->first_block;
    uint64_t index = within / VM_GROUP_BLOCKS;
    uint64_t bit = within % VM_GROUP_BLOCKS;
    return (struct vm_bit){
        .group = zone->first_group + index,
        .word_offset = bitmap_offset(zone, index) + bit / 64 * 8,
        .bit = bit % 64,
    };
}

struct vm_group_place vm_region_group(const struct vm_region *region, uint64_t group)
{
    VM_ASSERT(group < region->group_count);
    uint32_t number = 0;
    while (group - region->zones[number].first_group >= region->zones[number].group_count)
        number++;
    const struct vm_zone *zone = &region->zones[number];
    uint64_t index = group - zone->first_group;
    uint64_t first = index * VM_GROUP_BLOCKS;
    return (struct vm_group_place){
        .descriptor_offset =
            (zone->head_block + 1) * VM_BLOCK_BYTES + index * sizeof(struct vm_group_media),
        .bitmap_offset = bitmap_offset(zone, index),
        .state_offset = zone->head_block * VM_BLOCK_BYTES,
        .first_block = zone->first_block + first,
        .block_count = vm_min(VM_GROUP_BLOCKS, zone->block_count - first),
        .index = (uint32_t)index,
    };
}

bool vm_region_is_home(const struct vm_region *region, uint64_t offset, uint64_t len_bytes)
{
    if (len_bytes == 0 || !vm_range_inside(offset, len_bytes, region->bytes))
        return false;
    uint64_t map_start = region->map_block * VM_BLOCK_BYTES;
    if (vm_range_inside(offset - map_start, len_bytes, VM_BLOCK_BYTES))
        return true;
    return offset >= region->lane_offset + (uint64_t)region->lane_count * region->lane_bytes;
}
