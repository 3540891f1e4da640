/* named_rewrite.c -- a named leaf that has no room is written again, as one leaf or two
 *
 * The entries are packed in the order of their keys, so the new leaves have one gap, at their end.
 */
#include "index/cell.h"

#include <string.h>

#include "base/check.h"
#include "base/util.h"
#include "journal/tx.h"

/* Above this many cells two leaves are better than one that would soon be full again. */
#define REPACK_CELLS_MAX 46u
#define NEW_ENTRY        VM_CELL_COUNT /* in place of an old leaf's cell */

struct item {
    uint64_t key;
    uint32_t cell;
    uint32_t cells;
};

struct rewrite {
    const union vm_head *old;
    const struct vm_named_new *entry;
    uint32_t count;
    uint32_t cells;
    struct item items[VM_CELL_COUNT + 1]; /* by key */
};

/* Items for one new leaf. */
struct part {
    uint32_t first;
    uint32_t count;
    uint64_t low;
    uint64_t high;
};

static void item_add(struct rewrite *rewrite, struct item item)
{
    uint32_t at = rewrite->count++;
    for (; at > 0 && rewrite->items[at - 1].key > item.key; at--)
        rewrite->items[at] = rewrite->items[at - 1];
    rewrite->items[at] = item;
    rewrite->cells += item.cells;
}

static int items_load(struct vm_ctx *ctx, struct rewrite *rewrite)
{
    union vm_entry_cells entry;
    uint64_t left = vm_cells_matching(&rewrite->old->named, 0);
    for (; left; left &= left - 1) {
        uint32_t cell = (uint32_t)__builtin_ctzll(left);
        int result = vm_entry_load(ctx, rewrite->old, cell, &entry);
        if (result)
            return result;
        item_add(rewrite, (struct item){vm_get64(entry.cell.key), cell, entry.cell.cells});
    }
    if (rewrite->cells > VM_CELL_COUNT)
        return vm_node_damaged(ctx, vm_head_self(rewrite->old));
    return 0;
}

static int item_load(struct vm_ctx *ctx, const struct rewrite *rewrite, const struct item *item,
                     union vm_entry_cells *out)
{
    if (item->cell == NEW_ENTRY) {
        vm_entry_compose(rewrite->entry, item->key, out);
        return 0;
    }
    int result = vm_entry_load(ctx, rewrite->old, item->cell, out);
    if (result)
        return result;
    if (out->cell.cells != item->cells || vm_get64(out->cell.key) != item->key)
        return vm_entry_damaged(ctx, vm_head_self(rewrite->old), item->cell);
    return 0;
}

static int part_write(struct vm_ctx *ctx, struct vm_map *map, const struct rewrite *rewrite,
                      const struct part *part, struct vm_piece *out)
{
    int result = vm_node_take(ctx, map, &out->offset);
    if (result)
        return result;
    out->low = part->low;
    struct vm_place place = {out->offset, part->low, part->high, 0, false};
    union vm_head head;
    vm_head_init(ctx, map, &place, VM_NODE_NAMED, &head);
    head.node.count = vm_put16((uint16_t)part->count);
    uint8_t cells[VM_CELL_COUNT][VM_CELL_BYTES];
    uint32_t used = 0;
    for (uint32_t index = 0; index < part->count; index++) {
        const struct item *item = &rewrite->items[part->first + index];
        union vm_entry_cells entry;
        result = item_load(ctx, rewrite, item, &entry);
        if (result)
            return result;
        vm_entry_seal(ctx->region, &entry, vm_cell_offset(out->offset, used));
        memcpy(cells[used], entry.bytes, (size_t)item->cells * VM_CELL_BYTES);
        head.named.fp[used] = vm_key_fp(item->key);
        used += item->cells;
    }
    head.named.bitmap = vm_put64(used ? vm_bit_run(0, used) : 0);
    vm_head_payload(ctx, &head);
    vm_tx_payload(ctx, vm_cell_offset(out->offset, 0), cells, (uint64_t)used * VM_CELL_BYTES);
    return 0;
}

/* The first item of the right leaf when the cells are divided as evenly as runs of one hash allow;
 * 0 if they cannot be divided. */
static uint32_t split_pick(const struct rewrite *rewrite)
{
    uint32_t best = 0;
    uint32_t best_larger = VM_CELL_COUNT + 1;
    uint32_t left = 0;
    for (uint32_t index = 1; index < rewrite->count; index++) {
        const struct item *items = &rewrite->items[index - 1];
        left += items[0].cells;
        uint32_t larger = (uint32_t)vm_max(left, rewrite->cells - left);
        bool is_run = items[0].key >> VM_KEY_HASH_SHIFT == items[1].key >> VM_KEY_HASH_SHIFT;
        if (is_run || larger >= best_larger)
            continue;
        best = index;
        best_larger = larger;
    }
    return best;
}

/* Writes one leaf or two: how many, or a reason. */
static int parts_write(struct vm_ctx *ctx, struct vm_map *map, const struct rewrite *rewrite,
                       struct vm_piece *pieces)
{
    uint32_t split = rewrite->cells > REPACK_CELLS_MAX ? split_pick(rewrite) : 0;
    if (split == 0 && rewrite->cells > VM_CELL_COUNT)
        return vm_raise(&ctx->err, VMFS_R_NAME_HASH_FULL, rewrite->entry->key);
    struct part left = {0, rewrite->count, vm_get64(rewrite->old->node.low),
                        vm_get64(rewrite->old->node.high)};
    if (split == 0) {
        int result = part_write(ctx, map, rewrite, &left, &pieces[0]);
        return result ? result : 1;
    }
    uint64_t middle = vm_align_down(rewrite->items[split].key, 1u << VM_KEY_HASH_SHIFT);
    struct part right = {split, rewrite->count - split, middle, left.high};
    left.count = split;
    left.high = middle;
    int result = part_write(ctx, map, rewrite, &right, &pieces[1]);
    if (result == 0)
        result = part_write(ctx, map, rewrite, &left, &pieces[0]);
    return result ? result : 2;
}

int vm_named_rewrite(struct vm_ctx *ctx, struct vm_map *map, struct vm_path *path,
                     const struct vm_named_new *entry, uint64_t key)
{
    struct rewrite rewrite = {.old = vm_path_leaf(path), .entry = entry};
    int result = items_load(ctx, &rewrite);
    if (result)
        return result;
    item_add(&rewrite, (struct item){key, NEW_ENTRY, vm_entry_cell_count(entry)});
    struct vm_piece pieces[2];
    result = parts_write(ctx, map, &rewrite, pieces);
    if (result < 0)
        return result;
    return vm_path_replace(ctx, map, path, pieces, (uint32_t)result);
}
