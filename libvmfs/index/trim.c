/* trim.c -- taking the last leaf, or an empty one, out of a tree
 *
 * Works in place on the heads of the paths beside it, so it needs no block: it must work on a full
 * region. */
#include "index/node.h"

#include "base/check.h"
#include "journal/tx.h"

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

/* ---- a leaf anywhere ---- */

#define HEAD_LINES 2u
#define NAME_LINES 8u

/* What goes from the parent at `top` - 1 on, and who gets the interval. */
struct drop {
    struct vm_path *path;
    uint32_t top;    /* of the nodes that go */
    bool is_to_left; /* the neighbour is the one before */
    struct vm_path beside;
};

static int beside_find(struct vm_ctx *ctx, const struct vm_map *map, struct drop *drop)
{
    const struct vm_step *parent = &drop->path->steps[drop->top - 1];
    const struct vm_node_media *gone = &drop->path->steps[drop->top].head.node;
    drop->is_to_left = parent->slot > 0;
    uint64_t key = drop->is_to_left ? vm_get64(gone->low) - 1 : vm_get64(gone->high);
    int result = vm_path_find(ctx, map, key, 0, &drop->beside);
    if (result)
        return result;
    const struct vm_step *step = &drop->beside.steps[drop->top - 1];
    uint32_t slot = drop->is_to_left ? parent->slot - 1 : parent->slot + 1;
    if (drop->beside.depth < drop->top || step->slot != slot ||
        vm_head_self(&step->head) != vm_head_self(&parent->head))
        return vm_node_damaged(ctx, vm_head_self(&parent->head));
    return 0;
}

/* The neighbour's nodes on the side of what goes get its interval. */
static void interval_extend(struct vm_ctx *ctx, struct drop *drop)
{
    const struct vm_node_media *gone = &drop->path->steps[drop->top].head.node;
    for (uint32_t depth = drop->top; depth <= drop->beside.depth; depth++) {
        union vm_head *head = &drop->beside.steps[depth].head;
        if (drop->is_to_left)
            head->node.high = gone->high;
        else
            head->node.low = gone->low;
        if (!drop->is_to_left && head->node.level > 0)
            vm_tx_write(ctx, vm_head_self(head) + offsetof(struct vm_inner_media, key), &gone->low,
                        sizeof gone->low);
        vm_head_stage(ctx, head);
    }
}

/* Closes the gap of a child in one of an inner node's arrays; the first key stays the node's own. */
static int array_close(struct vm_ctx *ctx, uint64_t array, uint32_t first, uint32_t count)
{
    struct vm_le64 words[VM_INNER_MAX];
    VM_ASSERT(first < count && count <= VM_INNER_MAX);
    uint32_t tail = count - first - 1;
    if (tail == 0)
        return 0;
    int result = vm_read(ctx, array + 8 * (uint64_t)(first + 1), words, 8 * (size_t)tail);
    if (result == 0)
        vm_tx_write(ctx, array + 8 * (uint64_t)first, words, 8 * (size_t)tail);
    return result;
}

static int child_close(struct vm_ctx *ctx, struct vm_step *parent)
{
    uint64_t self = vm_head_self(&parent->head);
    uint32_t count = vm_head_count(&parent->head);
    uint32_t key = parent->slot ? parent->slot : 1;
    int result = array_close(ctx, self + offsetof(struct vm_inner_media, key), key, count);
    if (result == 0)
        result =
            array_close(ctx, self + offsetof(struct vm_inner_media, child), parent->slot, count);
    if (result)
        return result;
    parent->head.node.count = vm_put16((uint16_t)(count - 1));
    vm_head_stage(ctx, &parent->head);
    return 0;
}

/* Where two children become one, the root is not needed any more. */
static int parent_close(struct vm_ctx *ctx, struct vm_map *map, struct drop *drop)
{
    struct vm_step *parent = &drop->path->steps[drop->top - 1];
    if (drop->top > 1 || vm_head_count(&parent->head) > 2)
        return child_close(ctx, parent);
    map->root = vm_head_self(&drop->beside.steps[1].head);
    vm_node_free(ctx, map, vm_head_self(&parent->head));
    return 0;
}

int vm_path_drop(struct vm_ctx *ctx, struct vm_map *map, struct vm_path *path)
{
    struct drop drop = {.path = path, .top = path->depth};
    while (drop.top > 0 && vm_head_count(&path->steps[drop.top - 1].head) == 1)
        drop.top--;
    if (drop.top == 0)
        return 0;
    const struct vm_step *parent = &path->steps[drop.top - 1];
    uint32_t tail = vm_head_count(&parent->head) - parent->slot;
    /* The name that a rename adds in the same record comes on top. */
    uint32_t levels = path->depth - drop.top + 2;
    uint32_t lines = 2 * (tail * 8 / 64 + 2) + levels * HEAD_LINES + NAME_LINES;
    if (!vm_tx_has_room(ctx, path->depth - drop.top + 2, lines))
        return 0;
    int result = beside_find(ctx, map, &drop);
    if (result)
        return result;
    interval_extend(ctx, &drop);
    result = parent_close(ctx, map, &drop);
    for (uint32_t depth = drop.top; result == 0 && depth <= path->depth; depth++)
        vm_node_free(ctx, map, vm_head_self(&path->steps[depth].head));
    return result;
}
