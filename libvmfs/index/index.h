/* index.h -- the one ordered persistent map: a B+tree of 4 KiB nodes with 64-bit keys
 *
 * Two kinds of leaf: named (directory entries, extended attributes) and fixed (extents). The caller
 * holds the inode's stripe and runs a transaction for changes; for reads it may hold nothing and
 * check the stripe's version afterwards, so nothing here trusts what it reads.
 *
 * I1  A leaf is changed in place through the overlay, header and slots in one record (H18).
 * I2  A split, merge or repack writes new nodes into free blocks as payload (H9), and is published
 *     by one staged word: the parent's child pointer or the map's root.
 * I3  The interval [low, high) in a node's head equals what its parent says; a node's level is its
 *     parent's minus one, so a descent ends after VM_NODE_LEVEL_MAX steps whatever the bytes say.
 * I7  A change that follows a find in the same transaction, under the same lock, or one whose stripe still has the
 *     version that the find saw, goes on from the head that the find checked, if the head's count and hash are what
 *     they were; else it looks again.
 */
#ifndef VM_INDEX_INDEX_H
#define VM_INDEX_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "media/ctx.h"
#include "media/format.h"

/* A map as its inode describes it. Functions that change the tree update root and node_delta; the
 * caller stages the root. */
struct vm_map {
    uint64_t root; /* offset of the root node, 0: empty */
    uint64_t tag;
    uint64_t base_epoch;
    int64_t node_delta; /* nodes taken minus nodes freed by calls so far */
};

/* ---- named leaves ---- */

/* An entry to insert: the payload follows the name in its cells. */
struct vm_name {
    const uint8_t *bytes;
    uint32_t len_bytes; /* 1..255 */
};

struct vm_named_entry {
    uint64_t key;
    uint64_t value;
    uint8_t type;
    uint8_t name_bytes;
    uint16_t payload_bytes; /* room behind the name in its cells, at least what was inserted */
};

#define VM_NAMED_HEAD_BYTES 128u

/* Where an entry lies, or would lie; valid until the map changes. */
struct vm_named_hit {
    struct vm_named_entry entry; /* after a miss: the key that the name would start from */
    uint64_t leaf;
    uint32_t cell;
    uint32_t cells;
    /* After a miss, and in a transaction: the leaf's head as it was checked on the way down, and the word that
     * tells whether it still is the same (I7); 0 none. */
    uint64_t head_word;
    uint64_t head[VM_NAMED_HEAD_BYTES / 8];
};

/* Most bytes of name and payload that one entry can have: it must leave room in a leaf. */
#define VM_NAMED_PAYLOAD_MAX (VM_CELL_INLINE + 15u * VM_CELL_BYTES)

/* 1 and the entry, 0 if it is not there, or a reason. */
int vm_named_find(struct vm_ctx *ctx, const struct vm_map *map, struct vm_name name,
                  struct vm_named_hit *hit);

/* Adds a name that vm_named_find() has just missed; gives it the lowest free discriminator. */
int vm_named_insert(struct vm_ctx *ctx, struct vm_map *map, struct vm_name name, uint64_t value,
                    uint8_t type, struct vm_name payload);

/* The same without another way down: `missed` is what vm_named_find() said about the name. */
struct vm_named_new {
    uint64_t key; /* discriminator 0 */
    uint64_t value;
    struct vm_name name;
    struct vm_name payload;
    uint8_t type;
};

int vm_named_insert_at(struct vm_ctx *ctx, struct vm_map *map, const struct vm_named_hit *missed,
                       const struct vm_named_new *entry);

/* Takes out the entry of a hit. Needs no block. A leaf that is empty then is freed, unless it is the only one,
 * or the record has no room for that. */
int vm_named_remove(struct vm_ctx *ctx, struct vm_map *map, const struct vm_named_hit *hit);

/* Gives the entry of a hit another value and type, in place. */
int vm_named_replace(struct vm_ctx *ctx, struct vm_map *map, const struct vm_named_hit *hit,
                     uint64_t value, uint8_t type);

/* The first entry whose key is above `cookie`: 1, 0 at the end, or a reason. Copies the name to
 * `name` (VM_NAMED_PAYLOAD_MAX bytes), followed by the payload. */
int vm_named_next(struct vm_ctx *ctx, const struct vm_map *map, uint64_t cookie,
                  struct vm_named_hit *hit, uint8_t *name);

/* Copies name and payload of a hit. */
int vm_named_copy(struct vm_ctx *ctx, const struct vm_named_hit *hit, uint8_t *name);

/* ---- fixed leaves ---- */

/* Blocks that one extent may have, and that one record may free: it counts them in 32 bits with a sign. */
#define VM_EXTENT_BLOCKS_MAX ((uint64_t)1 << 30)

struct vm_extent {
    uint64_t file_block;
    uint64_t block;
    uint32_t blocks;
    uint32_t flags;
    uint64_t birth;
};

/* Between a stored slot and memory; loading checks the hash, and that the blocks are inside and not too
 * many. */
int vm_extent_load(struct vm_ctx *ctx, const struct vm_extent_media *media, uint64_t where,
                   struct vm_extent *out);
void vm_extent_store(const struct vm_region *region, const struct vm_extent *extent,
                     struct vm_extent_media *media);

/* The extent with the greatest file_block at or below / the least at or above `file_block`: 1, 0 or
 * a reason. */
int vm_extents_floor(struct vm_ctx *ctx, const struct vm_map *map, uint64_t file_block,
                     struct vm_extent *out);
int vm_extents_ceiling(struct vm_ctx *ctx, const struct vm_map *map, uint64_t file_block,
                       struct vm_extent *out);

/* Adds an extent whose file_block is not there. */
int vm_extents_insert(struct vm_ctx *ctx, struct vm_map *map, const struct vm_extent *extent);
/* Overwrites the slot with the same file_block. Needs no block. */
int vm_extents_update(struct vm_ctx *ctx, struct vm_map *map, const struct vm_extent *extent);
/* Takes out the slot with this file_block. Needs no block; an empty leaf stays. */
int vm_extents_remove(struct vm_ctx *ctx, struct vm_map *map, uint64_t file_block);

/* A new tree of one leaf that holds these sorted extents (1 to 16). */
int vm_extents_build(struct vm_ctx *ctx, struct vm_map *map, const struct vm_extent *extents,
                     uint32_t count);

/* All extents of one leaf, in order: of the one whose interval has `key`. */
#define VM_LEAF_EXTENTS (VM_SEGMENTS * VM_SEGMENT_SLOTS)
struct vm_leaf_extents {
    uint64_t next;  /* where the interval of the next leaf begins; VM_KEY_MAX: there is none */
    uint32_t nodes; /* this leaf, and the inner nodes whose first leaf it is */
    uint32_t count;
    struct vm_extent items[VM_LEAF_EXTENTS];
};

int vm_extents_leaf(struct vm_ctx *ctx, const struct vm_map *map, uint64_t key,
                    struct vm_leaf_extents *out);

/* ---- a tree of any number of extents, written from left to right ---- */

/* Slots of a leaf that is built: each segment keeps room for what comes. */
#define VM_BUILD_SLOTS 98u

/* Tells where node `index` lies: a block that nothing durable points to as a node. The tree has
 * vm_build_nodes() of them: first the leaves, then one level of inner nodes after the other, the root
 * last. */
typedef int (*vm_build_place_fn)(void *arg, uint64_t index, uint64_t *offset_out);

struct vm_build {
    const struct vm_map *map; /* whose tag the nodes get */
    vm_build_place_fn place;
    void *arg;
    uint64_t leaves; /* written so far */
    uint64_t low;    /* of the leaf that is being filled */
    uint64_t end;    /* of the extents added so far */
    uint32_t count;
    struct vm_extent_media slots[VM_BUILD_SLOTS];
};

uint64_t vm_build_nodes(uint64_t extents);

/* Begins; adds an extent behind those before it; writes what is left and tells the root. At least one
 * extent must have been added. The nodes are payload of the running transaction (H9, I2): whoever
 * publishes the root commits. */
void vm_build_start(struct vm_build *build, const struct vm_map *map, vm_build_place_fn place,
                    void *arg);
int vm_build_add(struct vm_ctx *ctx, struct vm_build *build, const struct vm_extent *extent);
int vm_build_finish(struct vm_ctx *ctx, struct vm_build *build, uint64_t *root_out);

/* ---- any map ---- */

/* The level of the root, 0 if it is a leaf or there is none; the highest if it cannot be read. */
uint32_t vm_map_level(struct vm_ctx *ctx, const struct vm_map *map);

#define VM_TRIM_LINES   11u
#define VM_TRIM_ENTRIES 9u

/* Frees the last leaf if it is empty, with every inner node that this leaves childless, and hands
 * the interval to its neighbour. 1 if a leaf went, 0 if the map is empty or its last leaf is not.
 * Needs no block. Stages at most VM_TRIM_LINES lines and VM_TRIM_ENTRIES freed blocks. */
int vm_map_trim(struct vm_ctx *ctx, struct vm_map *map);

/* The same whatever the leaf holds: for maps that die with all their entries (directories). */
int vm_map_drop_last(struct vm_ctx *ctx, struct vm_map *map);

typedef void (*vm_node_bad_fn)(void *arg, uint64_t offset, int reason);

/* Calls `each` for every sound entry of a named or fixed leaf, `bad` with the reason (positive) for
 * the others. */
typedef int (*vm_named_fn)(void *arg, const struct vm_named_hit *hit, const uint8_t *name);
typedef int (*vm_extent_fn)(void *arg, const struct vm_extent *extent);

int vm_named_each(struct vm_ctx *ctx, uint64_t leaf, vm_named_fn each, vm_node_bad_fn bad,
                  void *arg);
int vm_extents_each(struct vm_ctx *ctx, uint64_t leaf, vm_extent_fn each, vm_node_bad_fn bad,
                    void *arg);

#endif
