/* node.h -- what the files of this folder share: checked heads, paths, publishing of new nodes
 *
 * I4  A head is copied out once and checked as a copy; everything that steers a loop or a store
 *     comes from a checked copy.
 * I5  The keys and children of an inner node carry no hash: each is proved by the head of the child
 *     that it leads to (I3).
 * I6  A line of a node that no committed step has stored to yet is staged as fresh, whatever it
 *     reads as: bytes that only look right need not be durable. */
#ifndef VM_INDEX_NODE_H
#define VM_INDEX_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "index/index.h"

/* The hashed beginnings of the three kinds of node. */
struct vm_inner_head {
    struct vm_node_media node;
    struct vm_le64 zero_;
};

struct vm_named_head {
    struct vm_node_media node;
    struct vm_le64 bitmap;
    uint8_t fp[VM_CELL_COUNT];
    struct vm_le16 zero_;
};

struct vm_fixed_head {
    struct vm_node_media node;
    struct vm_le64 zero_;
    struct vm_le64 first[VM_SEGMENTS];
    uint8_t used[VM_SEGMENTS];
    uint8_t zero1_;
    uint8_t zero2_[32];
};

/* A copy of one, or the start of a new node. In a checked copy the hash is zero. */
union vm_head {
    struct vm_node_media node;
    struct vm_inner_head inner;
    struct vm_named_head named;
    struct vm_fixed_head fixed;
};

/* Where a node must be and what its parent says about it. */
struct vm_place {
    uint64_t offset;
    uint64_t low;
    uint64_t high;
    uint32_t level; /* of a root: the highest that is allowed */
    bool is_root;
};

/* steps[0] is the root, steps[depth] the leaf; `slot` is the child that was taken. */
struct vm_step {
    uint32_t slot;
    union vm_head head;
};

struct vm_path {
    uint32_t depth;
    struct vm_step steps[VM_NODE_LEVEL_MAX + 1];
};

/* A new node that takes over a part of a leaf's interval, from `low` on. */
struct vm_piece {
    uint64_t low;
    uint64_t offset;
};

/* ---- heads ---- */

static inline uint64_t vm_head_self(const union vm_head *head)
{
    return vm_get64(head->node.self);
}

static inline uint32_t vm_head_count(const union vm_head *head)
{
    return vm_get16(head->node.count);
}

/* Raises NODE_DAMAGED. */
int vm_node_damaged(struct vm_ctx *ctx, uint64_t offset);

/* Copies out the head at `offset` and checks all that can be known without the parent and the map.
 */
int vm_head_load(struct vm_ctx *ctx, uint64_t offset, union vm_head *head);

/* The same, and that it is the node of this map which the parent means. */
int vm_node_load(struct vm_ctx *ctx, const struct vm_map *map, const struct vm_place *place,
                 union vm_head *head);

/* The same for a leaf that an earlier call has found under its parent. */
int vm_leaf_load(struct vm_ctx *ctx, const struct vm_map *map, uint64_t offset, uint8_t kind,
                 union vm_head *head);

/* Begins the head of a new node. */
void vm_head_init(const struct vm_ctx *ctx, const struct vm_map *map, const struct vm_place *place,
                  uint8_t kind, union vm_head *head);

/* Computes the hash, then stages the head, stages it for a block taken just now, or writes it as
 * the payload of an unpublished node. */
void vm_head_stage(struct vm_ctx *ctx, union vm_head *head);
void vm_head_stage_fresh(struct vm_ctx *ctx, union vm_head *head);
void vm_head_payload(struct vm_ctx *ctx, union vm_head *head);

/* ---- nodes ---- */

int vm_node_take(struct vm_ctx *ctx, struct vm_map *map, uint64_t *offset_out);
void vm_node_free(struct vm_ctx *ctx, struct vm_map *map, uint64_t offset);

/* What an inner node says about its child; `index` is below its count. */
void vm_child_place(struct vm_ctx *ctx, const union vm_head *head, uint32_t index,
                    struct vm_place *out);

/* ---- paths ---- */

static inline union vm_head *vm_path_leaf(struct vm_path *path)
{
    return &path->steps[path->depth].head;
}

/* From the root of a map that is not empty down to the leaf whose interval has `key`, which is
 * below VM_KEY_MAX. `kind` is what the leaf must be, 0 any. */
int vm_path_find(struct vm_ctx *ctx, const struct vm_map *map, uint64_t key, uint8_t kind,
                 struct vm_path *path);

/* Publishes one or two new nodes in the place of the path's leaf (I2) and frees what they replace.
 */
int vm_path_replace(struct vm_ctx *ctx, struct vm_map *map, const struct vm_path *path,
                    const struct vm_piece *pieces, uint32_t count);

/* Takes a path's leaf, which is empty, out of the tree, in place, with every inner node that this leaves
 * childless; a neighbour gets its interval. Does nothing where the record has no room. */
int vm_path_drop(struct vm_ctx *ctx, struct vm_map *map, struct vm_path *path);

/* ---- names by key, so that tests can choose one ---- */

uint64_t vm_named_key(const struct vm_region *region, struct vm_name name);
int vm_named_find_key(struct vm_ctx *ctx, const struct vm_map *map, uint64_t key,
                      struct vm_name name, struct vm_named_hit *hit);
int vm_named_insert_key(struct vm_ctx *ctx, struct vm_map *map, const struct vm_named_new *entry);

#endif
