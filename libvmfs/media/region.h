/* region.h -- the attached memory and its fixed geometry */
#ifndef VM_MEDIA_REGION_H
#define VM_MEDIA_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/platform.h"
#include "media/format.h"

struct vm_zone {
    uint64_t first_block;
    uint64_t block_count;
    uint64_t head_block;
    uint32_t group_count;
    uint64_t first_group; /* index over all zones */
};

struct vm_region {
    const uint8_t *base; /* loads come from here */
    uint64_t bytes;
    uint64_t blocks;
    const struct vm_platform *platform;
    uint64_t hash_seed;
    uint64_t name_seed;
    uint64_t epoch;
    uint64_t lane_offset;
    uint32_t lane_count;
    uint32_t lane_bytes;
    uint32_t chunk_blocks;
    uint64_t map_block;
    bool is_zeroed; /* VM_SUPER_ZEROED */
    bool has_acls;  /* VM_FEATURE_ACLS: a malformed one is damage; else it is none */
    uint32_t zone_count;
    uint64_t group_count;
    struct vm_zone zones[VM_ZONE_MAX];
};

/* Fills `region` from a valid superblock; checks every number against the region's bytes. */
int vm_region_init(struct vm_err *err, struct vm_region *region, const struct vm_super_media *super,
                   const void *base, uint64_t len_bytes);

/* Where one block's bit lives. */
struct vm_bit {
    uint64_t group;       /* index over all zones */
    uint64_t word_offset; /* of the bitmap word in the region */
    unsigned bit;
};

/* `block` is below region->blocks. */
struct vm_bit vm_region_bit(const struct vm_region *region, uint64_t block);

/* Offsets of a group's structures, and its blocks; `group` is below region->group_count. */
struct vm_group_place {
    uint64_t descriptor_offset;
    uint64_t bitmap_offset;
    uint64_t state_offset; /* of its zone's state */
    uint64_t first_block;
    uint64_t block_count;
    uint32_t index; /* within the zone */
};

struct vm_group_place vm_region_group(const struct vm_region *region, uint64_t group);

/* Blocks of a zone's head: state, descriptors, bitmaps. */
uint64_t vm_zone_head_blocks(uint32_t group_count);

/* May a journal record change the byte at `offset`? Superblocks, watermarks, owner and lanes are never
 * a home (H15). */
bool vm_region_is_home(const struct vm_region *region, uint64_t offset, uint64_t len_bytes);

#endif
