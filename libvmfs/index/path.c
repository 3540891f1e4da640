/* path.c -- the way down, and the way new nodes are published in the place of old ones */
#include "index/node.h"

#include <string.h>

#include "base/check.h"
#include "journal/tx.h"

/* The last child whose key is at or below `key`. */
static uint32_t inner_search(struct vm_ctx *ctx, const union vm_head *head, uint64_t key)
{
    uint64_t keys = vm_head_self(head) + offsetof(struct vm_inner_media, key);
    uint32_t first = 0;
    uint32_t end = vm_head_count(head);
    while (end - first > 1) {
        uint32_t middle = (first + end) / 2;
        if (vm_load64(ctx, keys + 8 * (uint64_t)middle) <= key)
            first = middle;
        else
            end = middle;
    }
    return first;
}

int vm_path_find(struct vm_ctx *ctx, const struct vm_map *map, uint64_t key, uint8_t kind,
                 struct vm_path *path)
{
    struct vm_place place = {map->root, 0, VM_KEY_MAX, VM_NODE_LEVEL_MAX, true};
    for (path->depth = 0;; path->depth++) {
        struct vm_step *step = &path->steps[path->depth];
        int result = vm_node_load(ctx, map, &place, &step->head);
        if (result)
            return result;
        if (step->head.node.level == 0)
            break;
        step->slot = inner_search(ctx, &step->head, key);
        vm_child_place(ctx, &step->head, step->slot, &place);
        if (key < place.low || key >= place.high)
            return vm_node_damaged(ctx, vm_head_self(&step->head));
    }
    const union vm_head *leaf = vm_path_leaf(path);
    if (kind && leaf->node.kind != kind)
        return vm_node_damaged(ctx, vm_head_self(leaf));
    return 0;
}

/* The children of an inner node and one more. */
struct child_list {
    struct vm_le64 key[VM_INNER_MAX + 1];
    struct vm_le64 child[VM_INNER_MAX + 1];
    uint32_t count;
};

/* Copying unchecked keys would carry damage into the heads of new nodes, so their order is checked.
 */
static int children_load(struct vm_ctx *ctx, const union vm_head *head, struct child_list *list)
{
    uint64_t self = vm_head_self(head);
    list->count = vm_head_count(head);
    size_t size = 8 * (size_t)list->count;
    int result = vm_read(ctx, self + offsetof(struct vm_inner_media, key), list->key, size);
    if (result == 0)
        result = vm_read(ctx, self + offsetof(struct vm_inner_media, child), list->child, size);
    if (result)
        return result;
    list->key[0] = head->node.low;
    uint64_t high = vm_get64(head->node.high);
    for (uint32_t index = 0; index < list->count; index++) {
        bool is_last = index + 1 == list->count;
        uint64_t next = is_last ? high : vm_get64(list->key[index + 1]);
        if (vm_get64(list->key[index]) >= next)
            return vm_node_damaged(ctx, self);
    }
    return 0;
}

static void children_put(struct child_list *list, uint32_t slot, const struct vm_piece *pieces)
{
    uint32_t tail = list->count - slot - 1;
    memmove(&list->key[slot + 2], &list->key[slot + 1], 8 * (size_t)tail);
    memmove(&list->child[slot + 2], &list->child[slot + 1], 8 * (size_t)tail);
    list->child[slot] = vm_put64(pieces[0].offset);
    list->key[slot + 1] = vm_put64(pieces[1].low);
    list->child[slot + 1] = vm_put64(pieces[1].offset);
    list->count++;
}

/* Which children a new inner node gets. */
struct child_range {
    uint32_t first;
    uint32_t count;
    uint32_t level;
    uint64_t high;
};

static int inner_write(struct vm_ctx *ctx, struct vm_map *map, const struct child_list *list,
                       const struct child_range *range, struct vm_piece *out)
{
    int result = vm_node_take(ctx, map, &out->offset);
    if (result)
        return result;
    out->low = vm_get64(list->key[range->first]);
    struct vm_place place = {out->offset, out->low, range->high, range->level, false};
    union vm_head head;
    vm_head_init(ctx, map, &place, VM_NODE_INNER, &head);
    head.node.count = vm_put16((uint16_t)range->count);
    size_t size = 8 * (size_t)range->count;
    vm_head_payload(ctx, &head);
    vm_tx_payload(ctx, out->offset + offsetof(struct vm_inner_media, key), &list->key[range->first],
                  size);
    vm_tx_payload(ctx, out->offset + offsetof(struct vm_inner_media, child),
                  &list->child[range->first], size);
    return 0;
}

/* Replaces the inner node of a step by one or two that have a child more; they become `pieces`. */
static int inner_grow(struct vm_ctx *ctx, struct vm_map *map, const struct vm_step *step,
                      struct vm_piece *pieces, uint32_t *count)
{
    struct child_list list;
    int result = children_load(ctx, &step->head, &list);
    if (result)
        return result;
    children_put(&list, step->slot, pieces);
    struct child_range range = {0, list.count, step->head.node.level,
                                vm_get64(step->head.node.high)};
    *count = 1;
    if (list.count > VM_INNER_MAX) {
        uint32_t split = list.count / 2;
        struct child_range right = {split, list.count - split, range.level, range.high};
        result = inner_write(ctx, map, &list, &right, &pieces[1]);
        range.count = split;
        range.high = vm_get64(list.key[split]);
        *count = 2;
    }
    if (result == 0)
        result = inner_write(ctx, map, &list, &range, &pieces[0]);
    if (result == 0)
        vm_node_free(ctx, map, vm_head_self(&step->head));
    return result;
}

static int root_grow(struct vm_ctx *ctx, struct vm_map *map, uint32_t level,
                     const struct vm_piece *pieces)
{
    if (level > VM_NODE_LEVEL_MAX)
        return vm_node_damaged(ctx, map->root);
    struct child_list list;
    list.count = 1;
    list.key[0] = vm_put64(0);
    children_put(&list, 0, pieces);
    struct child_range range = {0, list.count, level, VM_KEY_MAX};
    struct vm_piece root;
    int result = inner_write(ctx, map, &list, &range, &root);
    if (result == 0)
        map->root = root.offset;
    return result;
}

static void child_stage(struct vm_ctx *ctx, const struct vm_step *step, uint64_t offset)
{
    struct vm_le64 child = vm_put64(offset);
    uint64_t children = vm_head_self(&step->head) + offsetof(struct vm_inner_media, child);
    vm_tx_write(ctx, children + 8 * (uint64_t)step->slot, &child, sizeof child);
}

int vm_path_replace(struct vm_ctx *ctx, struct vm_map *map, const struct vm_path *path,
                    const struct vm_piece *pieces, uint32_t count)
{
    VM_ASSERT(count == 1 || count == 2);
    struct vm_piece rising[2] = {pieces[0], pieces[count - 1]};
    uint32_t depth = path->depth;
    while (count == 2 && depth > 0) {
        int result = inner_grow(ctx, map, &path->steps[--depth], rising, &count);
        if (result)
            return result;
    }
    vm_node_free(ctx, map, vm_head_self(&path->steps[path->depth].head));
    if (count == 2)
        return root_grow(ctx, map, path->steps[0].head.node.level + 1u, rising);
    if (depth > 0)
        child_stage(ctx, &path->steps[depth - 1], rising[0].offset); /* I2 */
    else
        map->root = rising[0].offset;
    return 0;
}

uint32_t vm_map_level(struct vm_ctx *ctx, const struct vm_map *map)
{
    union vm_head head;
    if (map->root == 0)
        return 0;
    return vm_head_load(ctx, map->root, &head) ? VM_NODE_LEVEL_MAX : head.node.level;
}
