/* named.c -- finding and changing names in place */
#include "index/index.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/util.h"
#include "index/cell.h"
#include "index/node.h"
#include "journal/tx.h"

#define NAME_HASH_SHIFT 9u /* 55 bits stay */
#define PREFERRED_SHIFT 16u

_Static_assert(VM_CELL_COUNT < 64, "a word has a bit for each name of a leaf, and one more");

/* The hash part is never 0, so that the lowest cookies stay free for '.' and '..'. */
uint64_t vm_named_key(const struct vm_region *region, struct vm_name name)
{
    uint64_t hash = vm_hash64(region->name_seed, name.bytes, name.len_bytes) >> NAME_HASH_SHIFT;
    return (hash ? hash : 1) << VM_KEY_HASH_SHIFT;
}

static int leaf_search(struct vm_ctx *ctx, const union vm_head *leaf, uint64_t key,
                       struct vm_name name, struct vm_named_hit *hit)
{
    union vm_entry_cells entry;
    uint64_t left = vm_cells_matching(&leaf->named, vm_key_fp(key));
    for (; left; left &= left - 1) {
        uint32_t cell = (uint32_t)__builtin_ctzll(left);
        int result = vm_entry_load(ctx, leaf, cell, &entry);
        if (result)
            return result;
        if (!vm_entry_has_name(&entry, key, name))
            continue;
        vm_entry_hit(&entry, vm_head_self(leaf), cell, hit);
        return 1;
    }
    return 0;
}

VM_CHECK_VALUE(VM_NAMED_HEAD_BYTES, sizeof(struct vm_named_head));

VM_CHECK_OFFSET(struct vm_node_media, hash, 52);

/* The word with a head's count and hash. */
static uint64_t head_word(struct vm_ctx *ctx, uint64_t leaf)
{
    return vm_load64(ctx, leaf + offsetof(struct vm_node_media, count));
}

/* I7 */
static void head_remember(struct vm_ctx *ctx, const union vm_head *leaf, struct vm_named_hit *hit)
{
    hit->leaf = vm_head_self(leaf);
    hit->head_word = head_word(ctx, hit->leaf);
    memcpy(hit->head, leaf, sizeof hit->head);
}

/* I7: true and the head if it is still the same. */
static bool head_recall(struct vm_ctx *ctx, const struct vm_map *map,
                        const struct vm_named_hit *hit, union vm_head *leaf)
{
    if (hit->head_word == 0 || head_word(ctx, hit->leaf) != hit->head_word)
        return false;
    memcpy(leaf, hit->head, sizeof hit->head);
    return vm_get64(leaf->node.tag) == map->tag;
}

int vm_named_find_key(struct vm_ctx *ctx, const struct vm_map *map, uint64_t key,
                      struct vm_name name, struct vm_named_hit *hit)
{
    hit->entry.key = key;
    hit->leaf = 0;
    hit->head_word = 0;
    if (map->root == 0)
        return 0;
    struct vm_path path;
    int result = vm_path_find(ctx, map, key, VM_NODE_NAMED, &path);
    if (result == 0)
        result = leaf_search(ctx, vm_path_leaf(&path), key, name, hit);
    /* For who may change the map: in a transaction, or soon where the name is not yet. Copying costs. */
    if (result == 0 || (result > 0 && ctx->tx))
        head_remember(ctx, vm_path_leaf(&path), hit);
    return result;
}

int vm_named_find(struct vm_ctx *ctx, const struct vm_map *map, struct vm_name name,
                  struct vm_named_hit *hit)
{
    return vm_named_find_key(ctx, map, vm_named_key(ctx->region, name), name, hit);
}

/* The lowest discriminator that no name with this hash has: a leaf has room for fewer names than
 * there are bits in a word, so there is one. */
static int key_pick(struct vm_ctx *ctx, const union vm_head *leaf, uint64_t *key)
{
    uint64_t taken = 0;
    union vm_entry_cells entry;
    uint64_t left = vm_cells_matching(&leaf->named, vm_key_fp(*key));
    for (; left; left &= left - 1) {
        uint32_t cell = (uint32_t)__builtin_ctzll(left);
        int result = vm_entry_load(ctx, leaf, cell, &entry);
        if (result)
            return result;
        uint64_t distance = vm_get64(entry.cell.key) - *key;
        if (distance < 64)
            taken |= (uint64_t)1 << distance;
    }
    *key += (uint64_t)__builtin_ctzll(~taken);
    return 0;
}

/* First cell of a free run, or VM_CELL_COUNT. A single cell lies near where its key points, so that
 * threads that create names touch different lines; longer runs are packed, which keeps gaps long.
 */
static uint32_t run_pick(const union vm_head *leaf, uint64_t key, uint32_t cells)
{
    uint64_t runs = ~vm_get64(leaf->named.bitmap) & vm_bit_run(0, VM_CELL_COUNT);
    for (uint32_t missing = cells - 1; missing && runs;) {
        uint32_t step = (cells - missing) < missing ? cells - missing : missing;
        runs &= runs >> step;
        missing -= step;
    }
    if (runs == 0)
        return VM_CELL_COUNT;
    uint64_t preferred = ((key >> PREFERRED_SHIFT) & 0xffff) * VM_CELL_COUNT >> 16;
    uint64_t behind = runs & ~(uint64_t)0 << preferred;
    return (uint32_t)__builtin_ctzll(cells == 1 && behind ? behind : runs);
}

/* Stages the cells and enters them in the copy of the head. */
static void cells_stage(struct vm_ctx *ctx, union vm_head *leaf, uint32_t cell,
                        union vm_entry_cells *entry)
{
    uint32_t cells = entry->cell.cells;
    uint64_t offset = vm_cell_offset(vm_head_self(leaf), cell);
    vm_entry_seal(ctx->region, entry, offset);
    vm_tx_write_fresh(ctx, offset, entry->bytes, (uint64_t)cells * VM_CELL_BYTES); /* I6 */
    leaf->named.bitmap = vm_put64(vm_get64(leaf->named.bitmap) | vm_cell_run(cell, cells));
    leaf->named.fp[cell] = vm_key_fp(vm_get64(entry->cell.key));
    leaf->node.count = vm_put16((uint16_t)(vm_head_count(leaf) + 1));
}

/* The first leaf of a map is staged, not written as payload: that saves its fence. */
static int tree_start(struct vm_ctx *ctx, struct vm_map *map, const struct vm_named_new *new_entry)
{
    struct vm_place place = {0, 0, VM_KEY_MAX, 0, true};
    int result = vm_node_take(ctx, map, &place.offset);
    if (result)
        return result;
    union vm_head leaf;
    vm_head_init(ctx, map, &place, VM_NODE_NAMED, &leaf);
    union vm_entry_cells entry;
    vm_entry_compose(new_entry, new_entry->key, &entry);
    cells_stage(ctx, &leaf, run_pick(&leaf, new_entry->key, entry.cell.cells), &entry);
    vm_head_stage_fresh(ctx, &leaf);
    map->root = place.offset;
    return 0;
}

/* In place: 1, 0 if the leaf has no room, or a reason. `key` gets its discriminator. */
static int leaf_insert(struct vm_ctx *ctx, union vm_head *leaf,
                       const struct vm_named_new *new_entry, uint64_t *key)
{
    int result = key_pick(ctx, leaf, key);
    if (result)
        return result;
    uint32_t cell = run_pick(leaf, *key, vm_entry_cell_count(new_entry));
    if (cell == VM_CELL_COUNT || vm_head_count(leaf) == VM_CELL_COUNT)
        return 0;
    union vm_entry_cells entry;
    vm_entry_compose(new_entry, *key, &entry);
    cells_stage(ctx, leaf, cell, &entry);
    vm_head_stage(ctx, leaf);
    return 1;
}

int vm_named_insert_key(struct vm_ctx *ctx, struct vm_map *map,
                        const struct vm_named_new *new_entry)
{
    if (map->root == 0)
        return tree_start(ctx, map, new_entry);
    struct vm_path path;
    uint64_t key = new_entry->key;
    int result = vm_path_find(ctx, map, key, VM_NODE_NAMED, &path);
    if (result == 0)
        result = leaf_insert(ctx, vm_path_leaf(&path), new_entry, &key);
    else
        return result;
    if (result)
        return result < 0 ? result : 0;
    return vm_named_rewrite(ctx, map, &path, new_entry, key);
}

int vm_named_insert_at(struct vm_ctx *ctx, struct vm_map *map, const struct vm_named_hit *missed,
                       const struct vm_named_new *entry)
{
    struct vm_named_new keyed = *entry;
    keyed.key = missed->entry.key;
    uint64_t key = keyed.key;
    union vm_head leaf;
    int result = 0;
    if (map->root && head_recall(ctx, map, missed, &leaf)) {
        VM_ASSERT(key >= vm_get64(leaf.node.low) && key < vm_get64(leaf.node.high));
        result = leaf_insert(ctx, &leaf, &keyed, &key);
    }
    if (result)
        return result < 0 ? result : 0;
    return vm_named_insert_key(ctx, map, &keyed);
}

int vm_named_insert(struct vm_ctx *ctx, struct vm_map *map, struct vm_name name, uint64_t value,
                    uint8_t type, struct vm_name payload)
{
    struct vm_named_new entry = {vm_named_key(ctx->region, name), value, name, payload, type};
    return vm_named_insert_key(ctx, map, &entry);
}

/* The head of a hit's leaf and the entry, checked again. */
static int hit_load(struct vm_ctx *ctx, const struct vm_map *map, const struct vm_named_hit *hit,
                    union vm_head *leaf, union vm_entry_cells *entry)
{
    int result = vm_leaf_load(ctx, map, hit->leaf, VM_NODE_NAMED, leaf);
    if (result == 0)
        result = vm_entry_load(ctx, leaf, hit->cell, entry);
    if (result)
        return result;
    if (vm_head_count(leaf) == 0 || vm_get64(entry->cell.key) != hit->entry.key)
        return vm_entry_damaged(ctx, hit->leaf, hit->cell);
    return 0;
}

/* The cells that a hit's entry has are all in use in the head that proved them, so the same head (I7) has no
 * need to see them again; but the count beside them proves nothing. */
static int remove_load(struct vm_ctx *ctx, const struct vm_map *map, const struct vm_named_hit *hit,
                       union vm_head *leaf)
{
    if (head_recall(ctx, map, hit, leaf))
        return vm_head_count(leaf) ? 0 : vm_entry_damaged(ctx, hit->leaf, hit->cell);
    union vm_entry_cells entry;
    int result = hit_load(ctx, map, hit, leaf, &entry);
    if (result == 0 && entry.cell.cells != hit->cells)
        result = vm_entry_damaged(ctx, hit->leaf, hit->cell);
    return result;
}

int vm_named_remove(struct vm_ctx *ctx, struct vm_map *map, const struct vm_named_hit *hit)
{
    union vm_head leaf;
    int result = remove_load(ctx, map, hit, &leaf);
    if (result)
        return result;
    VM_ASSERT(vm_head_count(&leaf) > 0 && leaf.named.fp[hit->cell] != 0);
    uint64_t run = vm_cell_run(hit->cell, hit->cells);
    leaf.named.bitmap = vm_put64(vm_get64(leaf.named.bitmap) & ~run);
    leaf.named.fp[hit->cell] = 0;
    leaf.node.count = vm_put16((uint16_t)(vm_head_count(&leaf) - 1));
    vm_head_stage(ctx, &leaf);
    if (vm_head_count(&leaf) > 0 || map->root == hit->leaf)
        return 0;
    struct vm_path path;
    result = vm_path_find(ctx, map, hit->entry.key, VM_NODE_NAMED, &path);
    return result ? result : vm_path_drop(ctx, map, &path);
}

int vm_named_replace(struct vm_ctx *ctx, struct vm_map *map, const struct vm_named_hit *hit,
                     uint64_t value, uint8_t type)
{
    union vm_head leaf;
    union vm_entry_cells entry;
    int result = hit_load(ctx, map, hit, &leaf, &entry);
    if (result)
        return result;
    uint64_t offset = vm_cell_offset(hit->leaf, hit->cell);
    entry.cell.value = vm_put64(value);
    entry.cell.type = type;
    vm_entry_seal(ctx->region, &entry, offset);
    vm_tx_write(ctx, offset, entry.bytes, VM_CELL_BYTES);
    return 0;
}

int vm_named_copy(struct vm_ctx *ctx, const struct vm_named_hit *hit, uint8_t *name)
{
    union vm_entry_cells entry;
    int result = vm_entry_read(ctx, hit->leaf, hit->cell, &entry);
    if (result)
        return result;
    if (vm_get64(entry.cell.key) != hit->entry.key || entry.cell.cells != hit->cells)
        return vm_entry_damaged(ctx, hit->leaf, hit->cell);
    vm_entry_copy(&entry, name);
    return 0;
}

/* The cell with the least key above `cookie`, or VM_CELL_COUNT. The other cells' keys are not
 * proved here: a wrong one is met, and seen, when its own turn comes, or lies outside and is seen
 * at once. */
static int least_above(struct vm_ctx *ctx, const union vm_head *leaf, uint64_t cookie,
                       uint32_t *cell_out)
{
    uint64_t self = vm_head_self(leaf);
    uint64_t low = vm_get64(leaf->node.low);
    uint64_t high = vm_get64(leaf->node.high);
    uint64_t least = VM_KEY_MAX;
    *cell_out = VM_CELL_COUNT;
    for (uint64_t left = vm_cells_matching(&leaf->named, 0); left; left &= left - 1) {
        uint32_t cell = (uint32_t)__builtin_ctzll(left);
        uint64_t key = vm_load64(ctx, vm_cell_offset(self, cell));
        if (key < low || key >= high || key == least)
            return vm_entry_damaged(ctx, self, cell);
        if (key <= cookie || key > least)
            continue;
        least = key;
        *cell_out = cell;
    }
    return 0;
}

static int leaf_next(struct vm_ctx *ctx, const union vm_head *leaf, uint64_t cookie,
                     struct vm_named_hit *hit, uint8_t *name)
{
    uint32_t cell;
    int result = least_above(ctx, leaf, cookie, &cell);
    if (result || cell == VM_CELL_COUNT)
        return result;
    union vm_entry_cells entry;
    result = vm_entry_load(ctx, leaf, cell, &entry);
    if (result)
        return result;
    if (vm_get64(entry.cell.key) <= cookie)
        return vm_entry_damaged(ctx, vm_head_self(leaf), cell);
    vm_entry_hit(&entry, vm_head_self(leaf), cell, hit);
    vm_entry_copy(&entry, name);
    return 1;
}

int vm_named_next(struct vm_ctx *ctx, const struct vm_map *map, uint64_t cookie,
                  struct vm_named_hit *hit, uint8_t *name)
{
    while (map->root && cookie < VM_KEY_MAX - 1) {
        struct vm_path path;
        int result = vm_path_find(ctx, map, cookie + 1, VM_NODE_NAMED, &path);
        const union vm_head *leaf = vm_path_leaf(&path);
        if (result == 0)
            result = leaf_next(ctx, leaf, cookie, hit, name);
        if (result)
            return result;
        /* The interval holds cookie + 1, so this is progress whatever the bytes say. */
        cookie = vm_get64(leaf->node.high) - 1;
    }
    return 0;
}

/* fsck also wants to know that the key is this name's. */
static int entry_check(struct vm_ctx *ctx, const union vm_head *leaf, uint32_t cell,
                       union vm_entry_cells *entry, uint8_t *name)
{
    int result = vm_entry_load(ctx, leaf, cell, entry);
    if (result)
        return result;
    vm_entry_copy(entry, name);
    uint64_t key = vm_named_key(ctx->region, (struct vm_name){name, entry->cell.name_bytes});
    if (key >> VM_KEY_HASH_SHIFT != vm_get64(entry->cell.key) >> VM_KEY_HASH_SHIFT)
        return vm_entry_damaged(ctx, vm_head_self(leaf), cell);
    return 0;
}

int vm_named_each(struct vm_ctx *ctx, uint64_t leaf, vm_named_fn each, vm_node_bad_fn bad,
                  void *arg)
{
    union vm_head head;
    union vm_entry_cells entry;
    uint8_t name[VM_NAMED_PAYLOAD_MAX];
    int result = vm_head_load(ctx, leaf, &head);
    if (result == 0 && head.node.kind != VM_NODE_NAMED)
        result = vm_node_damaged(ctx, leaf);
    uint64_t left = result ? 0 : vm_cells_matching(&head.named, 0);
    for (; result == 0 && left; left &= left - 1) {
        uint32_t cell = (uint32_t)__builtin_ctzll(left);
        int damage = entry_check(ctx, &head, cell, &entry, name);
        if (damage) {
            bad(arg, vm_cell_offset(leaf, cell), -damage);
            continue;
        }
        struct vm_named_hit hit;
        vm_entry_hit(&entry, leaf, cell, &hit);
        result = each(arg, &hit, name);
    }
    return result;
}
