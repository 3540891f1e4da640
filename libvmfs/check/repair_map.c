/* repair_map.c -- the inode map, written again from what leads to the chunks and what they say themselves
 *
 * A chunk is where a sound entry says, unless that is another chunk by its own head and none of its inodes is
 * there; or where its head is found; or where its inodes are found, whose hashes hold for their slots alone. One that is nowhere, with
 * others behind it, becomes a new empty one, so that those behind are found. A map block stays where a sound
 * entry of the root says; else it becomes a free block. */
#include "base/hash.h"
#include "base/util.h"
#include "check/repair.h"
#include "check/validate.h"
#include "inode/table.h"
#include "space/group.h"

#define SLOTS_PER_BLOCK (VM_BLOCK_BYTES / VM_INODE_BYTES)
#define NO_CHUNK        UINT64_MAX
#define SEARCHES_MAX    64u /* passes over the region for chunks that only their inodes tell of (F1) */
#define BLOCKS_SEARCHED 4u /* of a chunk, whose inodes are looked for */

struct map_mend {
    struct vm_check *check;
    struct vm_ctx *ctx;
    const struct vm_region *region;
    uint64_t *blocks; /* of each chunk, 0: not known */
    uint64_t count;   /* chunks up to the last that anything tells of */
    uint64_t told;    /* the same, of the map alone */
    unsigned searches;
    unsigned stride_log2;
    bool is_changed;
    int result;
};

static bool is_met(const struct vm_check *check, uint64_t block)
{
    return check->met[block / 64] >> block % 64 & 1;
}

static bool is_free(const struct vm_region *region, uint64_t block)
{
    struct vm_bit bit = vm_region_bit(region, block);
    return !(vm_load64_home(region, bit.word_offset) >> bit.bit & 1);
}

/* ---- what entries and chunks say ---- */

static uint64_t entry_at(uint64_t map_block, uint64_t index)
{
    return map_block * VM_BLOCK_BYTES + offsetof(struct vm_map_media, entries) +
           index * sizeof(struct vm_map_entry_media);
}

/* The block that an entry names, 0 if it is empty or not sound. */
static uint64_t entry_block(struct map_mend *mend, uint64_t map_block, uint64_t index,
                            uint64_t need)
{
    struct vm_map_entry_media entry;
    uint64_t at = entry_at(map_block, index);
    bool is_sound = vm_read(mend->ctx, at, &entry, sizeof entry) == 0 &&
                    vm_map_entry_validate(mend->region, &entry, at, need);
    return is_sound ? vm_get64(entry.block) : 0;
}

/* The chunk that a head says it is of, or NO_CHUNK. */
static uint64_t chunk_of_head(struct map_mend *mend, uint64_t block)
{
    struct vm_chunk_media head;
    uint64_t offset = block * VM_BLOCK_BYTES;
    if (!vm_range_inside(block, mend->region->chunk_blocks, mend->region->blocks) ||
        vm_read(mend->ctx, offset, &head, sizeof head))
        return NO_CHUNK;
    uint64_t first_slot = vm_get64(head.first_slot);
    uint64_t chunk = first_slot >> mend->stride_log2;
    bool is_sound = chunk < mend->check->chunk_max && chunk << mend->stride_log2 == first_slot &&
                    vm_chunk_validate(mend->ctx, &head, offset, first_slot);
    return is_sound ? chunk : NO_CHUNK;
}

/* Does a block hold inodes of these slots? Those that were never used prove nothing. */
static bool holds_inodes(struct map_mend *mend, uint64_t block, uint64_t first_slot)
{
    for (uint64_t index = 0; index < SLOTS_PER_BLOCK; index++) {
        struct vm_inode_media m;
        uint64_t offset = block * VM_BLOCK_BYTES + index * VM_INODE_BYTES;
        if (vm_read(mend->ctx, offset, &m, sizeof m) == 0 && vm_get32(m.hash0) &&
            vm_inode_check(mend->ctx, first_slot + index, offset, &m) == 0)
            return true;
    }
    return false;
}

static bool is_chunk_of(struct map_mend *mend, uint64_t chunk, uint64_t block)
{
    uint64_t first_slot = chunk << mend->stride_log2;
    uint64_t blocks = mend->region->chunk_blocks;
    if (!vm_range_inside(block, blocks, mend->region->blocks))
        return false;
    for (uint64_t index = 1; index < blocks; index++)
        if (holds_inodes(mend, block + index, first_slot + (index - 1) * SLOTS_PER_BLOCK))
            return true;
    return false;
}

/* ---- finding ---- */

static void set_chunk(struct map_mend *mend, uint64_t chunk, uint64_t block)
{
    mend->blocks[chunk] = block;
    mend->count = vm_max(mend->count, chunk + 1);
}

/* What the map says, as far as the chunks do not say otherwise. */
static void gather_told(struct map_mend *mend)
{
    const struct vm_check *check = mend->check;
    for (uint64_t chunk = 0; chunk < check->chunk_count; chunk++) {
        uint64_t block = check->chunk_blocks[chunk];
        if (block && (chunk_of_head(mend, block) == chunk || is_chunk_of(mend, chunk, block)))
            set_chunk(mend, chunk, block);
    }
    mend->told = check->chunk_count;
}

static bool is_taken(const struct map_mend *mend, uint64_t block)
{
    for (uint64_t chunk = 0; chunk < mend->count; chunk++)
        if (mend->blocks[chunk] == block)
            return true;
    return false;
}

/* Heads name themselves: one pass over the region finds all that are not known. One that leads to inodes of
 * somebody else is wrong. */
static void gather_heads(struct map_mend *mend)
{
    const struct vm_region *region = mend->region;
    for (uint64_t block = region->map_block + 1; block < region->blocks; block++) {
        uint64_t magic = vm_load64_home(region, block * VM_BLOCK_BYTES) & UINT32_MAX;
        uint64_t chunk = magic == VM_MAGIC_CHUNK ? chunk_of_head(mend, block) : NO_CHUNK;
        if (chunk != NO_CHUNK && !mend->blocks[chunk] && !is_taken(mend, block))
            set_chunk(mend, chunk, block);
    }
}

/* The block that holds the inodes from `first_slot` on, or 0. */
static uint64_t find_inodes(struct map_mend *mend, uint64_t first_slot)
{
    const struct vm_region *region = mend->region;
    for (uint64_t block = region->map_block + 1; block < region->blocks; block++)
        if (!is_free(region, block) && !is_met(mend->check, block) &&
            holds_inodes(mend, block, first_slot))
            return block;
    return 0;
}

/* The first block of a chunk whose head and entry are lost, by its inodes. */
static uint64_t find_by_inodes(struct map_mend *mend, uint64_t chunk)
{
    uint64_t first_slot = chunk << mend->stride_log2;
    uint64_t blocks = vm_min(mend->region->chunk_blocks - 1, BLOCKS_SEARCHED);
    for (uint64_t index = 0; index < blocks && mend->searches < SEARCHES_MAX; index++) {
        mend->searches++;
        uint64_t found = find_inodes(mend, first_slot + index * SLOTS_PER_BLOCK);
        if (found > index + 1 &&
            vm_range_inside(found - index - 1, mend->region->chunk_blocks, mend->region->blocks))
            return found - index - 1;
    }
    return 0;
}

/* Where an entry says, if nothing there says otherwise: there may be no inode in it yet, or none any more. */
static uint64_t told_block(struct map_mend *mend, uint64_t chunk)
{
    uint64_t block = chunk < mend->told ? mend->check->chunk_blocks[chunk] : 0;
    return block && chunk_of_head(mend, block) == NO_CHUNK ? block : 0;
}

/* ---- new blocks, where there is no other way ---- */

/* Blocks that are free by their bits and used by nobody (F5), in one group that is ready; marks them. */
static uint64_t take_free(struct map_mend *mend, uint64_t count)
{
    const struct vm_region *region = mend->region;
    uint64_t run = 0;
    for (uint64_t block = region->map_block + 1; block < region->blocks; block++) {
        uint64_t group = vm_region_bit(region, block).group;
        bool is_usable = group < mend->ctx->space->ready && is_free(region, block) &&
                         !is_met(mend->check, block); /* F5 */
        if (run && vm_region_bit(region, block - 1).group != group)
            run = 0;
        run = is_usable ? run + 1 : 0;
        if (run < count)
            continue;
        uint64_t first = block + 1 - count;
        const struct vm_use use = {.kind = VMFS_MAP_INODE_CHUNK};
        (void)vm_blocks_meet(mend->check, first, count, &use);
        mend->result = vm_back(mend->ctx, first * VM_BLOCK_BYTES, count * VM_BLOCK_BYTES); /* H17 */
        vm_tx_blocks(mend->ctx, first, count, true);
        return mend->result ? 0 : first;
    }
    mend->result = -VMFS_R_NO_SPACE;
    return 0;
}

static void chunk_make(struct map_mend *mend, uint64_t chunk)
{
    const struct vm_region *region = mend->region;
    uint64_t block = take_free(mend, region->chunk_blocks);
    uint64_t offset = block * VM_BLOCK_BYTES;
    uint64_t first_slot = chunk << mend->stride_log2;
    if (mend->result)
        return;
    vm_tx_fill(mend->ctx, offset, (uint64_t)region->chunk_blocks * VM_BLOCK_BYTES, 0);
    mend->result = vm_repair_step(mend->ctx);
    if (mend->result)
        return;
    vm_repair_chunk_head(mend->check, block, first_slot);
    vm_mended(mend->check, INODES,
              "the inodes in slots %n to %n are lost; an empty chunk at block %b takes their place",
              first_slot, first_slot + mend->ctx->itable->slots_per_chunk - 1, block); /* F6 */
    set_chunk(mend, chunk, block);
    mend->is_changed = true;
    mend->result = vm_repair_step(mend->ctx);
}

static void find_chunks(struct map_mend *mend)
{
    gather_told(mend);
    bool is_whole = mend->count && mend->count == mend->told && !mend->check->has_stray;
    for (uint64_t chunk = 0; chunk < mend->count; chunk++)
        is_whole = is_whole && mend->blocks[chunk];
    if (is_whole)
        return;
    gather_heads(mend);
    /* Nothing but its inodes may tell of the last one. */
    for (uint64_t chunk = 0; chunk <= vm_max(mend->count, mend->told); chunk++) {
        if (chunk == mend->check->chunk_max || mend->blocks[chunk])
            continue;
        uint64_t block = told_block(mend, chunk);
        block = block ? block : find_by_inodes(mend, chunk);
        if (block)
            set_chunk(mend, chunk, block);
        else if (chunk >= mend->count && mend->searches >= SEARCHES_MAX)
            break;
    }
    for (uint64_t chunk = 0; chunk < mend->count && mend->result == 0; chunk++)
        if (!mend->blocks[chunk])
            chunk_make(mend, chunk);
}

/* ---- writing ---- */

static void head_mend(struct map_mend *mend, uint64_t block, uint32_t level)
{
    struct vm_map_media map;
    uint64_t offset = block * VM_BLOCK_BYTES;
    if (vm_read(mend->ctx, offset, &map, sizeof map) ||
        vm_map_validate(mend->region, &map, offset, level))
        return;
    struct vm_map_media fresh = {.magic = vm_put32(VM_MAGIC_MAP),
                                 .self = vm_put64(offset),
                                 .birth = vm_put64(mend->region->epoch),
                                 .level = vm_put32(level)};
    fresh.hash = vm_put32(vm_hash32(mend->region->hash_seed ^ offset, &fresh.self, VM_HEAD_HASHED));
    vm_tx_write(mend->ctx, offset, &fresh, offsetof(struct vm_map_media, entries));
    vm_mended(mend->check, INODES, "the head of the map block %b is written again", block);
}

static void entry_mend(struct map_mend *mend, uint64_t map_block, uint64_t index, uint64_t block)
{
    struct vm_map_entry_media entry;
    uint64_t at = entry_at(map_block, index);
    uint64_t need = map_block == mend->region->map_block ? 1 : mend->region->chunk_blocks;
    if (mend->result == 0)
        mend->result = vm_repair_room(mend->ctx, 0, 2);
    if (mend->result || vm_read(mend->ctx, at, &entry, sizeof entry))
        return;
    bool is_right = block ? vm_map_entry_validate(mend->region, &entry, at, need) &&
                                vm_get64(entry.block) == block
                          : vm_map_entry_is_empty(&entry);
    if (is_right)
        return;
    entry = (struct vm_map_entry_media){.block = vm_put64(block)};
    if (block)
        entry.hash = vm_put32(vm_hash32(mend->region->hash_seed ^ at, &entry,
                                        offsetof(struct vm_map_entry_media, hash)));
    vm_tx_write(mend->ctx, at, &entry, sizeof entry);
    mend->is_changed = true;
    if (block)
        vm_mended(mend->check, INODES, "entry %n of the map block %b names block %n again", index,
                  map_block, block);
    else
        vm_mended(mend->check, INODES, "entry %n of the map block %b, which led nowhere, is empty",
                  index, map_block);
}

/* Has a block the head or a sound entry of a map block below the root? */
static bool is_map_block(struct map_mend *mend, uint64_t block)
{
    struct vm_map_media map;
    uint64_t offset = block * VM_BLOCK_BYTES;
    if (vm_read(mend->ctx, offset, &map, sizeof map))
        return false;
    bool is_one = vm_map_validate(mend->region, &map, offset, 0);
    for (uint64_t index = 0; index < VM_MAP_ENTRIES && !is_one; index++)
        is_one = entry_block(mend, block, index, mend->region->chunk_blocks) != 0;
    return is_one;
}

/* Where a map block below the root lies: where the root says, unless that is somebody else's or a chunk. */
static uint64_t map_block_find(struct map_mend *mend, uint64_t index)
{
    struct vm_check *check = mend->check;
    uint64_t told = entry_block(mend, mend->region->map_block, index, 1);
    bool is_own = told && !(check->again[told / 64] >> told % 64 & 1) &&
                  chunk_of_head(mend, told) == NO_CHUNK;
    for (uint64_t before = 0; is_own && before < index; before++)
        is_own = entry_block(mend, mend->region->map_block, before, 1) != told;
    if (is_own)
        return told;
    for (uint64_t block = mend->region->map_block + 1; block < mend->region->blocks; block++) {
        uint64_t magic = vm_load64_home(mend->region, block * VM_BLOCK_BYTES) & UINT32_MAX;
        if (magic == VM_MAGIC_MAP && !is_met(check, block) && is_map_block(mend, block))
            return block;
    }
    uint64_t block = take_free(mend, 1);
    if (mend->result == 0) {
        vm_tx_fill(mend->ctx, block * VM_BLOCK_BYTES, VM_BLOCK_BYTES, 0);
        mend->result = vm_repair_step(mend->ctx);
    }
    return block;
}

static void map_block_mend(struct map_mend *mend, uint64_t index)
{
    uint64_t root = mend->region->map_block;
    uint64_t block = map_block_find(mend, index);
    if (mend->result)
        return;
    head_mend(mend, block, 0);
    for (uint64_t entry = 0; entry < VM_MAP_ENTRIES && mend->result == 0; entry++) {
        uint64_t chunk = index * VM_MAP_ENTRIES + entry;
        entry_mend(mend, block, entry, chunk < mend->count ? mend->blocks[chunk] : 0);
    }
    entry_mend(mend, root, index, block);
}

/* Entries and heads that are right stay untouched. A map block is written before the root names it. */
static void write_map(struct map_mend *mend)
{
    uint64_t root = mend->region->map_block;
    uint64_t blocks = vm_div_up(mend->count, VM_MAP_ENTRIES);
    head_mend(mend, root, 1);
    for (uint64_t index = 0; index < blocks && mend->result == 0; index++)
        map_block_mend(mend, index);
    for (uint64_t index = blocks; index < VM_MAP_ENTRIES && mend->result == 0; index++)
        entry_mend(mend, root, index, 0);
}

int vm_repair_map(struct vm_check *check, bool *is_changed)
{
    struct vm_ctx *ctx = check->ctx;
    struct map_mend mend = {.check = check,
                            .ctx = ctx,
                            .region = ctx->region,
                            .stride_log2 = ctx->itable->chunk_stride_log2};
    const struct vm_platform *platform = mend.region->platform;
    size_t len_bytes = (check->chunk_max + 1) * sizeof *mend.blocks;
    void *memory;
    int result = vm_alloc(ctx, len_bytes, &memory);
    if (result)
        return result;
    mend.blocks = memory;
    find_chunks(&mend);
    if (mend.count == 0 && mend.result == 0)
        chunk_make(&mend, 0);
    if (mend.result == 0)
        write_map(&mend);
    platform->free(platform->arg, memory, len_bytes);
    *is_changed = mend.is_changed;
    return mend.result;
}
