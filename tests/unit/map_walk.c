/* map_walk.c -- every node of a map */
#include "map_walk.h"

#include "index/node.h"

struct walk {
    struct vm_ctx *ctx;
    const struct vm_map *map;
    const struct vm_map_visitor *visitor;
};

/* Recursion ends because a child's level is one below its parent's (I3). The intervals of siblings
 * are disjoint, so no node is met twice. */
static int node_walk(const struct walk *walk, const struct vm_place *place)
{
    const struct vm_map_visitor *visitor = walk->visitor;
    union vm_head head;
    int result = vm_node_load(walk->ctx, walk->map, place, &head);
    if (result) {
        visitor->bad(visitor->arg, place->offset, -result);
        return 0;
    }
    result = visitor->visit(visitor->arg, place->offset, &head.node);
    uint32_t children = head.node.level ? vm_head_count(&head) : 0;
    for (uint32_t index = 0; result == 0 && index < children; index++) {
        struct vm_place child;
        vm_child_place(walk->ctx, &head, index, &child);
        result = node_walk(walk, &child);
    }
    return result;
}

int vm_map_walk(struct vm_ctx *ctx, const struct vm_map *map, const struct vm_map_visitor *visitor)
{
    if (map->root == 0)
        return 0;
    struct walk walk = {ctx, map, visitor};
    struct vm_place root = {map->root, 0, VM_KEY_MAX, VM_NODE_LEVEL_MAX, true};
    return node_walk(&walk, &root);
}
