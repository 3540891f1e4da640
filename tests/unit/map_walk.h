/* map_walk.h -- every node of a map, for tests that count them */
#ifndef TESTS_MAP_WALK_H
#define TESTS_MAP_WALK_H

#include "index/index.h"

/* Calls `visit` for every node, parents before children; stops at its first non-zero result. A node
 * that fails its check is reported through `bad` with the reason (positive), and skipped. */
typedef int (*vm_node_fn)(void *arg, uint64_t offset, const struct vm_node_media *head);

struct vm_map_visitor {
    vm_node_fn visit;
    vm_node_bad_fn bad;
    void *arg;
};

int vm_map_walk(struct vm_ctx *ctx, const struct vm_map *map, const struct vm_map_visitor *visitor);

#endif
