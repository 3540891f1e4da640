/* node.c -- checking, sealing, taking and freeing single nodes */
#include "index/node.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/util.h"
#include "journal/tx.h"
#include "space/space.h"

#define NODE_START_BYTES 64u

VM_CHECK_SIZE(struct vm_inner_head, 64);
VM_CHECK_SIZE(struct vm_named_head, 128);
VM_CHECK_SIZE(struct vm_fixed_head, 160);
VM_CHECK_OFFSET(struct vm_named_media, cells, sizeof(struct vm_named_head));
VM_CHECK_OFFSET(struct vm_inner_media, key, sizeof(struct vm_inner_head));
VM_CHECK_OFFSET(struct vm_fixed_media, zero3_, sizeof(struct vm_fixed_head));

int vm_node_damaged(struct vm_ctx *ctx, uint64_t offset)
{
    return vm_raise(&ctx->err, VMFS_R_NODE_DAMAGED, offset);
}

static uint32_t head_bytes(uint8_t kind)
{
    switch (kind) {
    case VM_NODE_INNER:
        return sizeof(struct vm_inner_head);
    case VM_NODE_NAMED:
        return sizeof(struct vm_named_head);
    case VM_NODE_FIXED:
        return sizeof(struct vm_fixed_head);
    default:
        return 0;
    }
}

static uint32_t head_hash(const struct vm_region *region, const union vm_head *head)
{
    return vm_hash32(region->hash_seed ^ vm_head_self(head), head, head_bytes(head->node.kind));
}

static bool segments_are_sound(const struct vm_fixed_head *head)
{
    uint32_t total = 0;
    for (uint32_t segment = 0; segment < VM_SEGMENTS; segment++) {
        if (head->used[segment] > VM_SEGMENT_SLOTS)
            return false;
        total += head->used[segment];
    }
    return total == vm_get16(head->node.count);
}

static bool counts_are_sound(const union vm_head *head)
{
    uint32_t count = vm_head_count(head);
    bool is_leaf = head->node.level == 0;
    switch (head->node.kind) {
    case VM_NODE_INNER:
        return !is_leaf && count > 0 && count <= VM_INNER_MAX;
    case VM_NODE_NAMED:
        return is_leaf && count <= VM_CELL_COUNT &&
               vm_get64(head->named.bitmap) >> VM_CELL_COUNT == 0;
    default:
        return is_leaf && segments_are_sound(&head->fixed);
    }
}

int vm_head_load(struct vm_ctx *ctx, uint64_t offset, union vm_head *head)
{
    if (offset % VM_BLOCK_BYTES || !vm_region_is_home(ctx->region, offset, VM_BLOCK_BYTES))
        return vm_node_damaged(ctx, offset);
    int result = vm_read(ctx, offset, head, NODE_START_BYTES);
    if (result)
        return result;
    uint32_t size = head_bytes(head->node.kind);
    if (vm_get32(head->node.magic) != VM_MAGIC_NODE || vm_head_self(head) != offset || size == 0)
        return vm_node_damaged(ctx, offset);
    if (size > NODE_START_BYTES)
        result = vm_read(ctx, offset + NODE_START_BYTES, (uint8_t *)head + NODE_START_BYTES,
                         size - NODE_START_BYTES);
    if (result)
        return result;
    uint32_t expected = vm_get32(head->node.hash);
    head->node.hash = vm_put32(0);
    if (head_hash(ctx->region, head) != expected || !counts_are_sound(head))
        return vm_node_damaged(ctx, offset);
    return 0;
}

/* A block that is not the map's own would have to be copied before a change; nothing is shared in
 * this version, so there is none. */
static bool node_is_ours(const struct vm_ctx *ctx, const struct vm_map *map,
                         const union vm_head *head)
{
    uint64_t birth = vm_get64(head->node.birth);
    return vm_get64(head->node.tag) == map->tag && birth <= ctx->region->epoch &&
           vm_space_owns(map->base_epoch, birth);
}

int vm_node_load(struct vm_ctx *ctx, const struct vm_map *map, const struct vm_place *place,
                 union vm_head *head)
{
    int result = vm_head_load(ctx, place->offset, head);
    if (result)
        return result;
    uint32_t level = head->node.level;
    bool is_level = place->is_root ? level <= place->level : level == place->level;
    bool is_interval = vm_get64(head->node.low) == place->low &&
                       vm_get64(head->node.high) == place->high && place->low < place->high;
    if (!is_level || !is_interval || !node_is_ours(ctx, map, head)) /* I3 */
        return vm_node_damaged(ctx, place->offset);
    return 0;
}

int vm_leaf_load(struct vm_ctx *ctx, const struct vm_map *map, uint64_t offset, uint8_t kind,
                 union vm_head *head)
{
    int result = vm_head_load(ctx, offset, head);
    if (result)
        return result;
    if (head->node.kind != kind || !node_is_ours(ctx, map, head))
        return vm_node_damaged(ctx, offset);
    return 0;
}

void vm_head_init(const struct vm_ctx *ctx, const struct vm_map *map, const struct vm_place *place,
                  uint8_t kind, union vm_head *head)
{
    VM_ASSERT(place->level <= VM_NODE_LEVEL_MAX);
    memset(head, 0, sizeof *head);
    head->node.magic = vm_put32(VM_MAGIC_NODE);
    head->node.kind = kind;
    head->node.level = (uint8_t)place->level;
    head->node.self = vm_put64(place->offset);
    head->node.tag = vm_put64(map->tag);
    head->node.birth = vm_put64(ctx->region->epoch);
    head->node.low = vm_put64(place->low);
    head->node.high = vm_put64(place->high);
}

static uint32_t head_seal(const struct vm_region *region, union vm_head *head)
{
    head->node.hash = vm_put32(0);
    head->node.hash = vm_put32(head_hash(region, head));
    return head_bytes(head->node.kind);
}

void vm_head_stage(struct vm_ctx *ctx, union vm_head *head)
{
    uint32_t size = head_seal(ctx->region, head);
    vm_tx_write(ctx, vm_head_self(head), head, size); /* I1 */
}

void vm_head_stage_fresh(struct vm_ctx *ctx, union vm_head *head)
{
    uint32_t size = head_seal(ctx->region, head);
    vm_tx_write_fresh(ctx, vm_head_self(head), head, size); /* I6 */
}

void vm_head_payload(struct vm_ctx *ctx, union vm_head *head)
{
    uint32_t size = head_seal(ctx->region, head);
    vm_tx_payload(ctx, vm_head_self(head), head, size); /* I2 */
}

int vm_node_take(struct vm_ctx *ctx, struct vm_map *map, uint64_t *offset_out)
{
    int result = vm_space_take_node(ctx, offset_out);
    if (result == 0)
        map->node_delta++;
    return result;
}

void vm_node_free(struct vm_ctx *ctx, struct vm_map *map, uint64_t offset)
{
    vm_space_free(ctx, offset / VM_BLOCK_BYTES, 1);
    map->node_delta--;
}

void vm_child_place(struct vm_ctx *ctx, const union vm_head *head, uint32_t index,
                    struct vm_place *out)
{
    uint64_t keys = vm_head_self(head) + offsetof(struct vm_inner_media, key);
    uint64_t children = vm_head_self(head) + offsetof(struct vm_inner_media, child);
    bool is_last = index + 1 == vm_head_count(head);
    out->offset = vm_load64(ctx, children + 8 * (uint64_t)index);
    out->low = index ? vm_load64(ctx, keys + 8 * (uint64_t)index) : vm_get64(head->node.low);
    out->high =
        is_last ? vm_get64(head->node.high) : vm_load64(ctx, keys + 8 * (uint64_t)(index + 1));
    out->level = head->node.level - 1u;
    out->is_root = false;
}
