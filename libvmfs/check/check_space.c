/* check_space.c -- zones, groups and bitmaps */
#include "base/util.h"
#include "check/state.h"
#include "check/validate.h"
#include "inode/table.h"
#include "space/group.h"

/* Blocks at the start of a group that the fixed areas and the zone's own head take. */
static uint64_t reserved_blocks(const struct vm_zone *zone, const struct vm_group_place *place)
{
    uint64_t end = zone->head_block + vm_zone_head_blocks(zone->group_count);
    return end > place->first_block ? vm_min(end - place->first_block, place->block_count) : 0;
}

/* How many groups of a zone are initialised. Where the medium cannot tell, attaching was before the
 * damage, and knew. */
static uint32_t zone_ready(struct vm_check *check, const struct vm_zone *zone)
{
    struct vm_zone_state_media state;
    uint64_t offset = zone->head_block * VM_BLOCK_BYTES;
    int result = vm_read(check->ctx, offset, &state, sizeof state);
    if (result == 0 && vm_zone_state_validate(check->region, zone, &state))
        return vm_get32(state.groups_ready);
    vm_problem(check, GROUPS, ZONE_DAMAGED, "the zone state in block %b fails its check",
               zone->head_block);
    uint64_t known = check->ctx->space->ready;
    uint64_t behind = known > zone->first_group ? known - zone->first_group : 0;
    return (uint32_t)vm_min(behind, zone->group_count);
}

/* Groups up to the last one that was begun, whatever the zone state tells. */
static uint32_t zone_begun(struct vm_check *check, const struct vm_zone *zone, uint32_t ready)
{
    uint32_t begun = ready;
    struct vm_group_media media;
    for (; begun < zone->group_count; begun++) {
        struct vm_group_place place = vm_region_group(check->region, zone->first_group + begun);
        if (vm_read(check->ctx, place.descriptor_offset, &media, sizeof media) ||
            !vm_group_validate(check->region, &place, &media))
            break;
    }
    if (begun > ready)
        vm_problem(check, GROUPS, ZONE_BEHIND, /* S6 */
                   "the zone state in block %b tells of %n groups, there are %n", zone->head_block,
                   ready, begun);
    return begun;
}

static uint64_t bitmap_word(const struct vm_check *check, const struct vm_group_place *place,
                            uint64_t word)
{
    return vm_load64_home(check->region, place->bitmap_offset + word * 8);
}

/* Bits of a bitmap word that stand for blocks. */
static uint64_t valid_bits(const struct vm_group_place *place, uint64_t word)
{
    uint64_t first = word * 64;
    if (first >= place->block_count)
        return 0;
    return vm_bit_run(0, (unsigned)vm_min(64, place->block_count - first));
}

/* Is a block of the chunk in use, but for the first `reserved` ones of the group? */
static bool chunk_is_used(const struct vm_check *check, const struct vm_group_place *place,
                          unsigned chunk, uint64_t reserved)
{
    for (uint64_t word = chunk * VM_CHUNK_WORDS_FREE; word < (chunk + 1) * VM_CHUNK_WORDS_FREE;
         word++) {
        uint64_t bits = bitmap_word(check, place, word) & valid_bits(place, word);
        uint64_t first = word * 64;
        if (reserved > first)
            bits &= reserved - first < 64 ? ~vm_bit_run(0, (unsigned)(reserved - first)) : 0;
        if (bits)
            return true;
    }
    return false;
}

/* On a region that began as zeros a chunk that was not touched is taken for zeros still. */
static void check_touched(struct vm_check *check, const struct vm_group_place *place,
                          uint64_t touched, uint64_t reserved)
{
    unsigned chunks = (unsigned)vm_div_up(place->block_count, VM_CHUNK_BLOCKS);
    if (touched & ~vm_bit_run(0, chunks))
        vm_problem(check, GROUPS, NONE, "the group at block %b has touched chunks behind its end",
                   place->first_block);
    for (unsigned chunk = 0; check->region->is_zeroed && chunk < chunks; chunk++)
        if (!(touched >> chunk & 1) && chunk_is_used(check, place, chunk, reserved))
            vm_problem(check, GROUPS, NONE, "the chunk at block %b is in use and was never touched",
                       place->first_block + (uint64_t)chunk * VM_CHUNK_BLOCKS);
}

static void check_group(struct vm_check *check, const struct vm_group_place *place,
                        uint64_t reserved)
{
    struct vm_group_media media;
    int result = vm_read(check->ctx, place->descriptor_offset, &media, sizeof media);
    bool is_sound = result == 0 && vm_group_validate(check->region, place, &media);
    if (is_sound)
        check_touched(check, place, vm_get64(media.touched), reserved);
    else
        vm_problem(check, GROUPS, GROUP_DAMAGED,
                   "the descriptor of the group at block %b fails its check", place->first_block);
    for (uint64_t word = 0; word < VM_GROUP_BLOCKS / 64; word++)
        if (bitmap_word(check, place, word) & ~valid_bits(place, word)) {
            vm_problem(check, GROUPS, NONE, "the bitmap in block %b has bits set behind its end",
                       place->bitmap_offset / VM_BLOCK_BYTES);
            break;
        }
}

int vm_check_groups(struct vm_check *check)
{
    const struct vm_region *region = check->region;
    bool is_end = false;
    for (uint32_t number = 0; number < region->zone_count; number++) {
        const struct vm_zone *zone = &region->zones[number];
        check->ready[number] = zone_ready(check, zone);
        check->wanted[number] = zone_begun(check, zone, check->ready[number]);
        if (is_end && check->ready[number] > 0)
            vm_problem(check, GROUPS, NONE,
                       "zone %n was begun before the one in front of it was ready", number);
        is_end = is_end || check->ready[number] < zone->group_count;
        for (uint32_t index = 0; index < check->ready[number]; index++) {
            struct vm_group_place place = vm_region_group(region, zone->first_group + index);
            uint64_t reserved = reserved_blocks(zone, &place);
            check_group(check, &place, reserved);
            if (reserved)
                vm_blocks_meet(check, place.first_block, reserved,
                               &(struct vm_use){.kind = VMFS_MAP_RESERVED});
        }
    }
    return 0;
}

/* Neighbouring blocks about which bitmap and use differ in the same way. */
struct difference {
    uint64_t block;
    uint64_t count;
    bool is_leak;
};

/* A leaked block may be the head of a chunk that the inode map has lost; whoever looks for it has it proved. */
static bool is_stray(struct vm_check *check, uint64_t block)
{
    const struct vm_itable *table = check->ctx->itable;
    struct vm_chunk_media head;
    uint64_t offset = block * VM_BLOCK_BYTES;
    if ((vm_load64_home(check->region, offset) & UINT32_MAX) != VM_MAGIC_CHUNK ||
        vm_read(check->ctx, offset, &head, sizeof head))
        return false;
    uint64_t chunk = vm_get64(head.first_slot) >> table->chunk_stride_log2;
    bool is_known = chunk < check->chunk_count && check->chunk_blocks[chunk];
    return !is_known && chunk < check->chunk_max &&
           vm_range_inside(block, check->region->chunk_blocks, check->region->blocks);
}

static void difference_report(struct vm_check *check, const struct difference *difference)
{
    if (difference->count == 0)
        return;
    if (check->on_difference)
        check->on_difference(check, difference->block, difference->count, difference->is_leak);
    for (uint64_t index = 0; check->is_repair && difference->is_leak && index < difference->count;
         index++)
        check->has_stray = check->has_stray || is_stray(check, difference->block + index);
    if (!difference->is_leak)
        check->missing_blocks += difference->count;
    vm_problem(check, BLOCKS, NONE,
               difference->is_leak ? "block %b is set in its bitmap but not used (%n such in a row)"
                                   : "block %b is used but clear in its bitmap (%n such in a row)",
               difference->block, difference->count);
}

static void difference_add(struct vm_check *check, struct difference *difference, uint64_t block,
                           uint64_t count, bool is_leak)
{
    bool is_same = difference->count && difference->is_leak == is_leak &&
                   difference->block + difference->count == block;
    if (is_same) {
        difference->count += count;
        return;
    }
    difference_report(check, difference);
    *difference = (struct difference){block, count, is_leak};
}

/* 64 bits of the blocks that were met; a zone need not begin at a multiple of 64. */
static uint64_t met_word(const struct vm_check *check, uint64_t block)
{
    unsigned shift = (unsigned)(block % 64);
    uint64_t low = check->met[block / 64] >> shift;
    return shift ? low | check->met[block / 64 + 1] << (64 - shift) : low;
}

static void compare_word(struct vm_check *check, struct difference *difference, uint64_t block,
                         uint64_t stored, uint64_t differs)
{
    while (differs) {
        unsigned first = (unsigned)__builtin_ctzll(differs);
        bool is_leak = stored >> first & 1;
        uint64_t alike = (is_leak ? differs & stored : differs & ~stored) >> first;
        unsigned count = ~alike ? (unsigned)__builtin_ctzll(~alike) : 64;
        difference_add(check, difference, block + first, count, is_leak);
        differs &= ~vm_bit_run(first, count);
    }
}

static void compare_group(struct vm_check *check, uint32_t number, uint32_t index)
{
    const struct vm_zone *zone = &check->region->zones[number];
    bool is_ready = index < check->ready[number];
    struct vm_group_place place = vm_region_group(check->region, zone->first_group + index);
    struct difference difference = {.count = 0};
    uint64_t used = is_ready ? 0 : reserved_blocks(zone, &place);
    for (uint64_t word = 0; word * 64 < place.block_count; word++) {
        uint64_t valid = valid_bits(&place, word);
        uint64_t stored = is_ready ? bitmap_word(check, &place, word) & valid : 0;
        uint64_t block = place.first_block + word * 64;
        uint64_t met = met_word(check, block) & valid;
        used += vm_popcount64(stored);
        if (met)
            check->wanted[number] = (uint32_t)vm_max(check->wanted[number], index + 1);
        compare_word(check, &difference, block, stored, met ^ stored);
    }
    difference_report(check, &difference);
    check->counted.blocks_free += place.block_count - used;
}

int vm_check_blocks(struct vm_check *check)
{
    const struct vm_region *region = check->region;
    for (uint32_t number = 0; number < region->zone_count; number++)
        for (uint32_t index = 0; index < region->zones[number].group_count; index++)
            compare_group(check, number, index);
    return 0;
}
