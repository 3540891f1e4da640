/* fixed_build.c -- a whole tree of extents at once
 *
 * Leaves are written while the extents come; the levels above them are made at the end, each from the
 * heads of the one below, so that memory does not grow with the tree. */
#include "index/fixed.h"

#include "base/check.h"
#include "base/util.h"
#include "journal/tx.h"

/* Children of an inner node that is built: it keeps room for splits. */
#define INNER_FILL 224u

uint64_t vm_build_nodes(uint64_t extents)
{
    VM_ASSERT(extents > 0);
    uint64_t level = vm_div_up(extents, VM_BUILD_SLOTS);
    uint64_t nodes = level;
    while (level > 1) {
        level = vm_div_up(level, INNER_FILL);
        nodes += level;
    }
    return nodes;
}

void vm_build_start(struct vm_build *build, const struct vm_map *map, vm_build_place_fn place,
                    void *arg)
{
    build->map = map;
    build->place = place;
    build->arg = arg;
    build->leaves = 0;
    build->low = 0;
    build->end = 0;
    build->count = 0;
}

static int leaf_end(struct vm_ctx *ctx, struct vm_build *build, uint64_t high)
{
    uint64_t offset;
    int result = build->place(build->arg, build->leaves, &offset);
    if (result)
        return result;
    const struct vm_place place = {offset, build->low, high, 0, false};
    vm_fixed_write(ctx, build->map, &place, build->slots, build->count, false);
    build->leaves++;
    build->low = high;
    build->count = 0;
    return 0;
}

int vm_build_add(struct vm_ctx *ctx, struct vm_build *build, const struct vm_extent *extent)
{
    VM_ASSERT(extent->file_block >= build->end);
    int result = 0;
    if (build->count == VM_BUILD_SLOTS)
        result = leaf_end(ctx, build, extent->file_block);
    if (result)
        return result;
    vm_extent_store(ctx->region, extent, &build->slots[build->count++]);
    build->end = extent->file_block + extent->blocks;
    return 0;
}

/* Children of one inner node, and the bound of the last one. */
struct children {
    uint32_t count;
    uint64_t high;
    struct vm_le64 key[INNER_FILL];
    struct vm_le64 child[INNER_FILL];
};

static uint64_t low_of(struct vm_ctx *ctx, uint64_t node)
{
    return vm_load64(ctx, node + offsetof(struct vm_node_media, low));
}

/* The next nodes of a level that ends before `end`. */
static int children_gather(struct vm_ctx *ctx, struct vm_build *build, uint64_t first, uint64_t end,
                           struct children *list)
{
    list->count = (uint32_t)vm_min(end - first, INNER_FILL);
    list->high = VM_KEY_MAX;
    uint64_t offset;
    for (uint32_t index = 0; index < list->count; index++) {
        int result = build->place(build->arg, first + index, &offset);
        if (result)
            return result;
        list->key[index] = vm_put64(low_of(ctx, offset));
        list->child[index] = vm_put64(offset);
    }
    if (first + list->count == end)
        return 0;
    int result = build->place(build->arg, first + list->count, &offset);
    if (result == 0)
        list->high = low_of(ctx, offset);
    return result;
}

static int inner_write(struct vm_ctx *ctx, struct vm_build *build, const struct children *list,
                       uint64_t number, uint32_t level)
{
    struct vm_place place = {0, vm_get64(list->key[0]), list->high, level, false};
    int result = build->place(build->arg, number, &place.offset);
    if (result)
        return result;
    union vm_head head;
    vm_head_init(ctx, build->map, &place, VM_NODE_INNER, &head);
    head.node.count = vm_put16((uint16_t)list->count);
    vm_head_payload(ctx, &head);
    vm_tx_payload(ctx, place.offset + offsetof(struct vm_inner_media, key), list->key,
                  list->count * sizeof list->key[0]);
    vm_tx_payload(ctx, place.offset + offsetof(struct vm_inner_media, child), list->child,
                  list->count * sizeof list->child[0]);
    return 0;
}

int vm_build_finish(struct vm_ctx *ctx, struct vm_build *build, uint64_t *root_out)
{
    VM_ASSERT(build->count > 0);
    int result = leaf_end(ctx, build, VM_KEY_MAX);
    uint64_t first = 0;
    uint64_t end = build->leaves;
    for (uint32_t level = 1; result == 0 && end - first > 1; level++) {
        uint64_t number = end;
        while (result == 0 && first < end) {
            struct children list;
            result = children_gather(ctx, build, first, end, &list);
            if (result == 0)
                result = inner_write(ctx, build, &list, number++, level);
            first += list.count;
        }
        end = number;
    }
    return result ? result : build->place(build->arg, first, root_out);
}
