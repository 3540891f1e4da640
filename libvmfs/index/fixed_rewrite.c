/* fixed_rewrite.c -- a fixed leaf that has no room is written again, as one leaf or two */
#include "index/fixed.h"

#include <string.h>

#include "base/check.h"
#include "base/util.h"
#include "journal/tx.h"

/* Above this many slots two leaves are better than one that would soon be full again. */
#define REPACK_SLOTS_MAX 96u
#define SLOTS_MAX        (VM_SEGMENTS * VM_SEGMENT_SLOTS)

struct slot_list {
    uint32_t count;
    struct vm_extent_media slots[SLOTS_MAX + 1];
};

/* Slots for one new leaf. A dense leaf has full segments and then empty ones, for slots to come. */
struct part {
    uint32_t first;
    uint32_t count;
    uint64_t low;
    uint64_t high;
    bool is_dense;
};

static int slots_load(struct vm_ctx *ctx, const union vm_head *leaf, struct slot_list *list)
{
    uint64_t self = vm_head_self(leaf);
    uint64_t floor = vm_get64(leaf->node.low);
    list->count = 0;
    for (uint32_t segment = 0; segment < VM_SEGMENTS; segment++) {
        uint32_t used = leaf->fixed.used[segment];
        int result = vm_read(ctx, vm_slot_offset(self, segment, 0), &list->slots[list->count],
                             used * sizeof list->slots[0]);
        if (result)
            return result;
        list->count += used;
    }
    for (uint32_t index = 0; index < list->count; index++) {
        uint64_t key = vm_get64(list->slots[index].file_block);
        if (key < floor || key >= vm_get64(leaf->node.high))
            return vm_node_damaged(ctx, self);
        floor = key + 1;
    }
    return 0;
}

/* Returns where the slot went. */
static uint32_t slots_put(struct slot_list *list, const struct vm_extent_media *slot)
{
    uint32_t at = list->count++;
    for (; at > 0 && vm_get64(list->slots[at - 1].file_block) > vm_get64(slot->file_block); at--)
        list->slots[at] = list->slots[at - 1];
    list->slots[at] = *slot;
    return at;
}

/* How many of a leaf's slots lie before a segment. */
static uint32_t segment_start(uint32_t count, uint32_t segment, bool is_dense)
{
    if (is_dense)
        return (uint32_t)vm_min(count, segment * VM_SEGMENT_SLOTS);
    return count * segment / VM_SEGMENTS;
}

/* Fills the last line of a segment with zeros: it is never staged as fresh (I6). */
static void segment_write(struct vm_ctx *ctx, uint64_t offset, const struct vm_extent_media *slots,
                          uint32_t count)
{
    size_t size = count * sizeof *slots;
    vm_tx_payload(ctx, offset, slots, size);
    if (count % VM_SLOTS_PER_LINE)
        vm_tx_payload_zero(ctx, offset + size, vm_align_up(size, 64) - size);
}

void vm_fixed_write(struct vm_ctx *ctx, const struct vm_map *map, const struct vm_place *place,
                    const struct vm_extent_media *slots, uint32_t count, bool is_dense)
{
    VM_ASSERT(count <= SLOTS_MAX);
    union vm_head head;
    vm_head_init(ctx, map, place, VM_NODE_FIXED, &head);
    head.node.count = vm_put16((uint16_t)count);
    for (uint32_t segment = 0; segment < VM_SEGMENTS; segment++) {
        uint32_t start = segment_start(count, segment, is_dense);
        uint32_t used = segment_start(count, segment + 1, is_dense) - start;
        if (used == 0)
            continue;
        head.fixed.used[segment] = (uint8_t)used;
        head.fixed.first[segment] = slots[start].file_block;
        segment_write(ctx, vm_slot_offset(place->offset, segment, 0), &slots[start], used);
    }
    vm_head_payload(ctx, &head);
    vm_tx_payload_zero(ctx, place->offset + offsetof(struct vm_fixed_media, zero3_),
                       sizeof((struct vm_fixed_media *)0)->zero3_);
}

static int part_write(struct vm_ctx *ctx, struct vm_map *map, const struct slot_list *list,
                      const struct part *part, struct vm_piece *out)
{
    int result = vm_node_take(ctx, map, &out->offset);
    if (result)
        return result;
    out->low = part->low;
    const struct vm_place place = {out->offset, part->low, part->high, 0, false};
    vm_fixed_write(ctx, map, &place, &list->slots[part->first], part->count, part->is_dense);
    return 0;
}

/* Writes one leaf or two: how many, or a reason. Slots that come in ascending order leave full
 * leaves behind. */
static int parts_write(struct vm_ctx *ctx, struct vm_map *map, const struct slot_list *list,
                       const struct part *whole, struct vm_piece *pieces)
{
    if (list->count <= REPACK_SLOTS_MAX) {
        int result = part_write(ctx, map, list, whole, &pieces[0]);
        return result ? result : 1;
    }
    uint32_t split = whole->is_dense ? list->count - 1 : list->count / 2;
    uint64_t middle = vm_get64(list->slots[split].file_block);
    struct part right = {split, list->count - split, middle, whole->high, whole->is_dense};
    struct part left = {0, split, whole->low, middle, false};
    int result = part_write(ctx, map, list, &right, &pieces[1]);
    if (result == 0)
        result = part_write(ctx, map, list, &left, &pieces[0]);
    return result ? result : 2;
}

int vm_fixed_rewrite(struct vm_ctx *ctx, struct vm_map *map, struct vm_path *path,
                     const struct vm_extent_media *slot)
{
    const union vm_head *leaf = vm_path_leaf(path);
    struct slot_list list;
    int result = slots_load(ctx, leaf, &list);
    if (result)
        return result;
    uint32_t at = slots_put(&list, slot);
    struct part whole = {0, list.count, vm_get64(leaf->node.low), vm_get64(leaf->node.high),
                         at + 1 == list.count};
    struct vm_piece pieces[2];
    result = parts_write(ctx, map, &list, &whole, pieces);
    if (result < 0)
        return result;
    return vm_path_replace(ctx, map, path, pieces, (uint32_t)result);
}
