/* trim.c -- taking the last leaf out of a tree
 *
 * Works in place on the heads of the rightmost path, so it needs no block: it must work on a full
 * region. */
#include "index/node.h"

/* Down to the last leaf; checks that every step really took the last child. */
static int path_find_last(struct vm_ctx *ctx, const struct vm_map *map, struct vm_path *path)
{
    int result = vm_path_find(ctx, map, VM_KEY_MAX - 1, 0, path);
    for (uint32_t depth = 0; result == 0 && depth < path->depth; depth++) {
        const struct vm_step *step = &path->steps[depth];
        if (step->slot + 1 != vm_head_count(&step->head))
            result = vm_node_damaged(ctx, vm_head_self(&step->head));
    }
    return result;
}

/* Gives the interval of the node at `top`, which goes, to the nodes left of it. The root goes too
 * when only one child would stay. */
static int interval_hand_over(struct vm_ctx *ctx, struct vm_map *map, struct vm_path *path,
                              uint32_t top)
{
    struct vm_step *parent = &path->steps[top - 1];
    const struct vm_node_media *gone = &path->steps[top].head.node;
    uint64_t low = vm_get64(gone->low);
    struct vm_path left;
    int result = vm_path_find(ctx, map, low - 1, 0, &left);
    if (result)
        return result;
    if (left.depth < top || left.steps[top - 1].slot + 1 != parent->slot ||
        vm_head_self(&left.steps[top - 1].head) != vm_head_self(&parent->head))
        return vm_node_damaged(ctx, vm_head_self(&parent->head));
    for (uint32_t depth = top; depth <= left.depth; depth++) {
        left.steps[depth].head.node.high = gone->high;
        vm_head_stage(ctx, &left.steps[depth].head);
    }
    if (top == 1 && parent->slot == 1) {
        map->root = vm_head_self(&left.steps[1].head);
        vm_node_free(ctx, map, vm_head_self(&parent->head));
        return 0;
    }
    parent->head.node.count = vm_put16((uint16_t)parent->slot);
    vm_head_stage(ctx, &parent->head);
    return 0;
}

static int last_drop(struct vm_ctx *ctx, struct vm_map *map, bool may_hold_entries)
{
    if (map->root == 0)
        return 0;
    struct vm_path path;
    int result = path_find_last(ctx, map, &path);
    if (result)
        return result;
    if (!may_hold_entries && vm_head_count(vm_path_leaf(&path)) > 0)
        return 0;
    uint32_t top = path.depth;
    while (top > 0 && path.steps[top - 1].slot == 0)
        top--;
    if (top > 0)
        result = interval_hand_over(ctx, map, &path, top);
    else
        map->root = 0;
    if (result)
        return result;
    for (uint32_t depth = top; depth <= path.depth; depth++)
        vm_node_free(ctx, map, vm_head_self(&path.steps[depth].head));
    return 1;
}

int vm_map_trim(struct vm_ctx *ctx, struct vm_map *map)
{
    return last_drop(ctx, map, false);
}

int vm_map_drop_last(struct vm_ctx *ctx, struct vm_map *map)
{
    return last_drop(ctx, map, true);
}
