/* fixed.c -- finding and changing extents in place
 *
 * The first key of each segment is under the head's hash, the keys within a segment are not. A
 * search is proved by the slot that it finds, if that covers what was looked for, or else by the
 * two slots that it ends between: a wrong key that led it astray would be one of them. */
#include "index/fixed.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/util.h"
#include "journal/tx.h"

/* So that an offset in bytes has room in a signed word. */
#define FILE_BLOCKS_MAX ((uint64_t)1 << 51)

/* Of a leaf's head, with what is between it and the next line. */
#define HEAD_LINES_BYTES 192u

VM_CHECK_SIZE(struct vm_extent_media, 64 / VM_SLOTS_PER_LINE);

/* Between the slots of a leaf: slots[index - 1] of the segment is the last at or below the key.
 * With index 0 no slot of the leaf is. */
struct spot {
    uint32_t segment;
    uint32_t index;
};

static int extent_damaged(struct vm_ctx *ctx, uint64_t where)
{
    return vm_raise(&ctx->err, VMFS_R_EXTENT_DAMAGED, where);
}

static uint32_t extent_hash(const struct vm_region *region, const struct vm_extent_media *media)
{
    struct vm_extent_media copy = *media;
    copy.hash = vm_put32(0);
    return vm_hash32(region->hash_seed, &copy, sizeof copy);
}

int vm_extent_load(struct vm_ctx *ctx, const struct vm_extent_media *media, uint64_t where,
                   struct vm_extent *out)
{
    uint64_t place = vm_get64(media->place);
    *out = (struct vm_extent){
        .file_block = vm_get64(media->file_block),
        .block = place & vm_bit_run(0, VM_EXTENT_PLACE_BITS),
        .blocks = vm_get32(media->blocks),
        .flags = (uint32_t)(place >> VM_EXTENT_PLACE_BITS),
        .birth = vm_get64(media->birth),
    };
    bool is_sound = vm_get32(media->hash) == extent_hash(ctx->region, media) && out->blocks > 0 &&
                    out->blocks <= VM_EXTENT_BLOCKS_MAX && out->birth > 0 &&
                    (out->flags & ~VM_EXTENT_FLAGS_ALL) == 0 &&
                    vm_range_inside(out->file_block, out->blocks, FILE_BLOCKS_MAX) &&
                    vm_region_is_home(ctx->region, out->block * VM_BLOCK_BYTES,
                                      (uint64_t)out->blocks * VM_BLOCK_BYTES);
    return is_sound ? 0 : extent_damaged(ctx, where);
}

void vm_extent_store(const struct vm_region *region, const struct vm_extent *extent,
                     struct vm_extent_media *media)
{
    VM_ASSERT(extent->block >> VM_EXTENT_PLACE_BITS == 0 && extent->blocks > 0);
    *media = (struct vm_extent_media){
        .file_block = vm_put64(extent->file_block),
        .place = vm_put64(extent->block | (uint64_t)extent->flags << VM_EXTENT_PLACE_BITS),
        .blocks = vm_put32(extent->blocks),
        .birth = vm_put64(extent->birth),
    };
    media->hash = vm_put32(extent_hash(region, media));
}

static uint64_t slot_key(struct vm_ctx *ctx, uint64_t leaf, uint32_t segment, uint32_t index)
{
    VM_CHECK_OFFSET(struct vm_extent_media, file_block, 0);
    return vm_load64(ctx, vm_slot_offset(leaf, segment, index));
}

static int slot_load(struct vm_ctx *ctx, const union vm_head *leaf, struct spot spot,
                     struct vm_extent *out)
{
    struct vm_extent_media media;
    uint64_t offset = vm_slot_offset(vm_head_self(leaf), spot.segment, spot.index);
    int result = vm_read(ctx, offset, &media, sizeof media);
    if (result == 0)
        result = vm_extent_load(ctx, &media, offset, out);
    if (result)
        return result;
    bool is_inside =
        out->file_block >= vm_get64(leaf->node.low) && out->file_block < vm_get64(leaf->node.high);
    bool is_first = spot.index > 0 || out->file_block == vm_get64(leaf->fixed.first[spot.segment]);
    return is_inside && is_first ? 0 : extent_damaged(ctx, offset);
}

static uint32_t segment_search(struct vm_ctx *ctx, uint64_t leaf, uint32_t segment, uint32_t used,
                               uint64_t key)
{
    uint32_t first = 0;
    uint32_t end = used;
    while (first < end) {
        uint32_t middle = (first + end) / 2;
        if (slot_key(ctx, leaf, segment, middle) <= key)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

/* The spot of a key, and the slot before it if there is one: 1, 0 or a reason. */
static int spot_find(struct vm_ctx *ctx, const union vm_head *leaf, uint64_t key, struct spot *spot,
                     struct vm_extent *before)
{
    uint64_t self = vm_head_self(leaf);
    const struct vm_fixed_head *fixed = &leaf->fixed;
    bool is_found = false;
    *spot = (struct spot){0, 0};
    for (uint32_t segment = VM_SEGMENTS; segment-- > 0 && !is_found;) {
        if (fixed->used[segment] == 0)
            continue;
        spot->segment = segment;
        is_found = vm_get64(fixed->first[segment]) <= key;
    }
    if (!is_found)
        return 0;
    uint32_t used = fixed->used[spot->segment];
    spot->index = segment_search(ctx, self, spot->segment, used, key);
    if (spot->index == 0)
        return extent_damaged(ctx, vm_slot_offset(self, spot->segment, 0));
    struct spot last = {spot->segment, spot->index - 1};
    int result = slot_load(ctx, leaf, last, before);
    if (result)
        return result;
    return before->file_block <= key
               ? 1
               : extent_damaged(ctx, vm_slot_offset(self, last.segment, last.index));
}

/* The slot behind the spot: 1, 0 at the end of the leaf, or a reason. */
static int spot_after(struct vm_ctx *ctx, const union vm_head *leaf, struct spot spot, uint64_t key,
                      struct vm_extent *after)
{
    while (spot.index >= leaf->fixed.used[spot.segment]) {
        spot.index = 0;
        if (++spot.segment == VM_SEGMENTS)
            return 0;
    }
    int result = slot_load(ctx, leaf, spot, after);
    if (result)
        return result;
    if (after->file_block > key)
        return 1;
    return extent_damaged(ctx, vm_slot_offset(vm_head_self(leaf), spot.segment, spot.index));
}

static bool extent_covers(const struct vm_extent *extent, uint64_t file_block)
{
    return file_block - extent->file_block < extent->blocks;
}

int vm_extents_floor(struct vm_ctx *ctx, const struct vm_map *map, uint64_t file_block,
                     struct vm_extent *out)
{
    uint64_t key = vm_min(file_block, VM_KEY_MAX - 1);
    while (map->root) {
        struct vm_path path;
        struct spot spot;
        int result = vm_path_find(ctx, map, key, VM_NODE_FIXED, &path);
        const union vm_head *leaf = vm_path_leaf(&path);
        if (result == 0)
            result = spot_find(ctx, leaf, key, &spot, out);
        if (result < 0 || (result > 0 && extent_covers(out, key)))
            return result;
        if (result > 0) {
            struct vm_extent after;
            int behind = spot_after(ctx, leaf, spot, key, &after);
            return behind < 0 ? behind : 1;
        }
        /* The interval holds `key`, so this is progress whatever the bytes say. */
        uint64_t low = vm_get64(leaf->node.low);
        if (low == 0)
            break;
        key = low - 1;
    }
    return 0;
}

int vm_extents_ceiling(struct vm_ctx *ctx, const struct vm_map *map, uint64_t file_block,
                       struct vm_extent *out)
{
    uint64_t key = file_block;
    while (map->root && key < VM_KEY_MAX) {
        struct vm_path path;
        struct spot spot;
        int result = vm_path_find(ctx, map, key, VM_NODE_FIXED, &path);
        const union vm_head *leaf = vm_path_leaf(&path);
        if (result == 0)
            result = spot_find(ctx, leaf, key, &spot, out);
        if (result < 0 || (result > 0 && out->file_block == key))
            return result;
        result = spot_after(ctx, leaf, spot, key, out);
        if (result)
            return result;
        key = vm_get64(leaf->node.high);
    }
    return 0;
}

/* Down to the leaf and the spot of a key, proved from both sides: 1 if the slot before the spot has
 * this very key, 0 if no slot has it, or a reason. */
static int slot_find(struct vm_ctx *ctx, const struct vm_map *map, uint64_t key,
                     struct vm_path *path, struct spot *spot)
{
    VM_ASSERT(key < FILE_BLOCKS_MAX);
    struct vm_extent before;
    struct vm_extent after;
    if (map->root == 0)
        return 0;
    int result = vm_path_find(ctx, map, key, VM_NODE_FIXED, path);
    const union vm_head *leaf = vm_path_leaf(path);
    if (result == 0)
        result = spot_find(ctx, leaf, key, spot, &before);
    bool is_found = result > 0 && before.file_block == key;
    if (result >= 0)
        result = spot_after(ctx, leaf, *spot, key, &after);
    return result < 0 ? result : is_found;
}

static int slots_insert(struct vm_ctx *ctx, union vm_head *leaf, struct spot spot,
                        const struct vm_extent_media *media)
{
    struct vm_fixed_head *fixed = &leaf->fixed;
    struct vm_extent_media slots[VM_SEGMENT_SLOTS];
    uint64_t offset = vm_slot_offset(vm_head_self(leaf), spot.segment, spot.index);
    uint32_t tail = fixed->used[spot.segment] - spot.index;
    int result = vm_read(ctx, offset, &slots[1], tail * sizeof slots[0]);
    if (result)
        return result;
    slots[0] = *media;
    if (fixed->used[spot.segment] % VM_SLOTS_PER_LINE == 0)
        vm_tx_write_fresh(ctx, offset + tail * sizeof slots[0], &slots[tail],
                          sizeof slots[0]); /* I6 */
    vm_tx_write(ctx, offset, slots, (tail + 1) * sizeof slots[0]);
    fixed->used[spot.segment]++;
    if (spot.index == 0)
        fixed->first[spot.segment] = media->file_block;
    leaf->node.count = vm_put16((uint16_t)(vm_head_count(leaf) + 1));
    vm_head_stage(ctx, leaf);
    return 0;
}

/* A full segment hands a slot at its edge to the neighbour that has room. */
static bool spot_has_room(const struct vm_fixed_head *fixed, struct spot *spot)
{
    if (fixed->used[spot->segment] < VM_SEGMENT_SLOTS)
        return true;
    bool is_last = spot->index == VM_SEGMENT_SLOTS && spot->segment + 1 < VM_SEGMENTS;
    if (is_last && fixed->used[spot->segment + 1] < VM_SEGMENT_SLOTS) {
        *spot = (struct spot){spot->segment + 1, 0};
        return true;
    }
    bool is_first = spot->index == 0 && spot->segment > 0;
    if (is_first && fixed->used[spot->segment - 1] < VM_SEGMENT_SLOTS) {
        *spot = (struct spot){spot->segment - 1, fixed->used[spot->segment - 1]};
        return true;
    }
    return false;
}

int vm_extents_insert(struct vm_ctx *ctx, struct vm_map *map, const struct vm_extent *extent)
{
    if (map->root == 0)
        return vm_extents_build(ctx, map, extent, 1);
    struct vm_path path;
    struct spot spot;
    int result = slot_find(ctx, map, extent->file_block, &path, &spot);
    union vm_head *leaf = vm_path_leaf(&path);
    if (result > 0)
        result = extent_damaged(ctx, vm_head_self(leaf));
    if (result)
        return result;
    struct vm_extent_media media;
    vm_extent_store(ctx->region, extent, &media);
    if (spot_has_room(&leaf->fixed, &spot))
        return slots_insert(ctx, leaf, spot, &media);
    return vm_fixed_rewrite(ctx, map, &path, &media);
}

int vm_extents_update(struct vm_ctx *ctx, struct vm_map *map, const struct vm_extent *extent)
{
    struct vm_path path;
    struct spot spot;
    int result = slot_find(ctx, map, extent->file_block, &path, &spot);
    if (result == 0)
        result = extent_damaged(ctx, map->root);
    if (result < 0)
        return result;
    struct vm_extent_media media;
    vm_extent_store(ctx->region, extent, &media);
    uint64_t leaf = vm_head_self(vm_path_leaf(&path));
    vm_tx_write(ctx, vm_slot_offset(leaf, spot.segment, spot.index - 1), &media, sizeof media);
    return 0;
}

/* Closes the gap; what stays behind the last slot is no longer read. */
static int slots_remove(struct vm_ctx *ctx, union vm_head *leaf, struct spot spot)
{
    struct vm_fixed_head *fixed = &leaf->fixed;
    struct vm_extent_media slots[VM_SEGMENT_SLOTS];
    uint64_t self = vm_head_self(leaf);
    uint32_t tail = fixed->used[spot.segment] - spot.index - 1;
    size_t size = tail * sizeof slots[0];
    int result = vm_read(ctx, vm_slot_offset(self, spot.segment, spot.index + 1), slots, size);
    if (result)
        return result;
    vm_tx_write(ctx, vm_slot_offset(self, spot.segment, spot.index), slots, size);
    fixed->used[spot.segment]--;
    if (spot.index == 0)
        fixed->first[spot.segment] = tail ? slots[0].file_block : vm_put64(0);
    leaf->node.count = vm_put16((uint16_t)(vm_head_count(leaf) - 1));
    vm_head_stage(ctx, leaf);
    return 0;
}

int vm_extents_remove(struct vm_ctx *ctx, struct vm_map *map, uint64_t file_block)
{
    struct vm_path path;
    struct spot spot;
    int result = slot_find(ctx, map, file_block, &path, &spot);
    if (result == 0)
        result = extent_damaged(ctx, map->root);
    if (result < 0)
        return result;
    return slots_remove(ctx, vm_path_leaf(&path), (struct spot){spot.segment, spot.index - 1});
}

/* Staged, not written as payload: that saves its fence. */
int vm_extents_build(struct vm_ctx *ctx, struct vm_map *map, const struct vm_extent *extents,
                     uint32_t count)
{
    VM_ASSERT(count > 0 && count <= VM_SEGMENT_SLOTS);
    struct vm_place place = {0, 0, VM_KEY_MAX, 0, true};
    int result = vm_node_take(ctx, map, &place.offset);
    if (result)
        return result;
    struct vm_extent_media slots[VM_SEGMENT_SLOTS];
    for (uint32_t index = 0; index < count; index++)
        vm_extent_store(ctx->region, &extents[index], &slots[index]);
    union vm_head leaf;
    vm_head_init(ctx, map, &place, VM_NODE_FIXED, &leaf);
    leaf.node.count = vm_put16((uint16_t)count);
    leaf.fixed.used[0] = (uint8_t)count;
    leaf.fixed.first[0] = slots[0].file_block;
    uint64_t first_slot = vm_slot_offset(place.offset, 0, 0);
    uint64_t zeros = place.offset + HEAD_LINES_BYTES;
    vm_tx_fill(ctx, zeros, first_slot - zeros, 0);
    vm_tx_write_fresh(ctx, first_slot, slots, count * sizeof slots[0]); /* I6 */
    vm_head_stage_fresh(ctx, &leaf);
    map->root = place.offset;
    return 0;
}

static int extent_check(struct vm_ctx *ctx, const union vm_head *leaf, struct spot spot,
                        uint64_t *floor, struct vm_extent *out)
{
    int result = slot_load(ctx, leaf, spot, out);
    if (result)
        return result;
    if (out->file_block < *floor)
        return extent_damaged(ctx, vm_slot_offset(vm_head_self(leaf), spot.segment, spot.index));
    *floor = out->file_block + out->blocks;
    return 0;
}

int vm_extents_each(struct vm_ctx *ctx, uint64_t leaf, vm_extent_fn each, vm_node_bad_fn bad,
                    void *arg)
{
    union vm_head head;
    int result = vm_head_load(ctx, leaf, &head);
    if (result == 0 && head.node.kind != VM_NODE_FIXED)
        result = vm_node_damaged(ctx, leaf);
    uint64_t floor = 0;
    uint32_t all = VM_SEGMENTS * VM_SEGMENT_SLOTS;
    for (uint32_t number = 0; result == 0 && number < all; number++) {
        struct spot spot = {number / VM_SEGMENT_SLOTS, number % VM_SEGMENT_SLOTS};
        if (spot.index >= head.fixed.used[spot.segment])
            continue;
        struct vm_extent extent;
        int damage = extent_check(ctx, &head, spot, &floor, &extent);
        if (damage)
            bad(arg, vm_slot_offset(leaf, spot.segment, spot.index), -damage);
        else
            result = each(arg, &extent);
    }
    return result;
}

/* Inner nodes of which the path takes the first child all the way down. */
static uint32_t first_visits(const struct vm_path *path)
{
    uint32_t count = 0;
    while (count < path->depth && path->steps[path->depth - count - 1].slot == 0)
        count++;
    return count;
}

int vm_extents_leaf(struct vm_ctx *ctx, const struct vm_map *map, uint64_t key,
                    struct vm_leaf_extents *out)
{
    struct vm_path path;
    int result = vm_path_find(ctx, map, key, VM_NODE_FIXED, &path);
    if (result)
        return result;
    const union vm_head *leaf = vm_path_leaf(&path);
    uint64_t floor = 0;
    out->count = 0;
    out->next = vm_get64(leaf->node.high);
    out->nodes = 1 + first_visits(&path);
    for (struct spot spot = {0, 0}; spot.segment < VM_SEGMENTS; spot.segment++)
        for (spot.index = 0; spot.index < leaf->fixed.used[spot.segment]; spot.index++) {
            result = extent_check(ctx, leaf, spot, &floor, &out->items[out->count++]);
            if (result)
                return result;
        }
    return 0;
}
