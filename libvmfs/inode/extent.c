/* extent.c -- extents in the inode and in its map behind one face */
#include "inode/extent.h"

#include <string.h>

#include "base/check.h"
#include "journal/tx.h"
#include "space/space.h"

/* The inline extents, decoded. */
struct inline_list {
    unsigned count;
    struct vm_extent items[VM_INODE_EXTENTS + 1];
};

int vm_extent_disorder(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    return vm_raise(&ctx->err, VMFS_R_EXTENT_ORDER, inode->offset);
}

/* Inline slots in use, in order, or a reason. What each of them says is checked when it is used. */
static int inline_count(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    const struct vm_extent_media *slots = inode->m.body.extents;
    uint64_t end = 0;
    int count = 0;
    if (inode->m.form != VM_BODY_EXTENTS)
        return 0;
    for (; count < (int)VM_INODE_EXTENTS && vm_get32(slots[count].blocks) != 0; count++) {
        uint64_t first = vm_get64(slots[count].file_block);
        if (first < end)
            return vm_extent_disorder(ctx, inode);
        end = first + vm_get32(slots[count].blocks);
    }
    return count;
}

/* The first inline slot at or behind a file block, or the count of slots. */
static int inline_search(const struct vm_inode *inode, int count, uint64_t file_block)
{
    int at = count;
    while (at > 0 && vm_get64(inode->m.body.extents[at - 1].file_block) >= file_block)
        at--;
    return at;
}

/* 1 and the extent of a slot in use, or a reason. */
static int inline_get(struct vm_ctx *ctx, const struct vm_inode *inode, int slot,
                      struct vm_extent *out)
{
    int result = vm_extent_load(ctx, &inode->m.body.extents[slot], inode->offset, out);
    return result ? result : 1;
}

/* From now on so many slots are in use. */
static void inline_end(struct vm_inode *inode, int count)
{
    struct vm_extent_media *slots = inode->m.body.extents;
    memset(&slots[count], 0, (VM_INODE_EXTENTS - (unsigned)count) * sizeof slots[0]);
    inode->m.form = count ? VM_BODY_EXTENTS : VM_BODY_EMPTY;
}

static int inline_load(struct vm_ctx *ctx, const struct vm_inode *inode, struct inline_list *list)
{
    int count = inline_count(ctx, inode);
    if (count < 0)
        return count;
    list->count = (unsigned)count;
    for (int slot = 0; slot < count; slot++) {
        int result = inline_get(ctx, inode, slot, &list->items[slot]);
        if (result < 0)
            return result;
    }
    return 0;
}

int vm_file_inline_get(struct vm_ctx *ctx, const struct vm_inode *inode,
                       struct vm_extent items[VM_INODE_EXTENTS], uint32_t *count_out)
{
    struct inline_list list;
    int result = inline_load(ctx, inode, &list);
    for (unsigned index = 0; result == 0 && index < list.count; index++)
        items[index] = list.items[index];
    *count_out = result ? 0 : list.count;
    return result;
}

void vm_file_inline_put(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *items,
                        uint32_t count)
{
    VM_ASSERT(count <= VM_INODE_EXTENTS);
    for (uint32_t index = 0; index < count; index++)
        vm_extent_store(ctx->region, &items[index], &inode->m.body.extents[index]);
    inline_end(inode, (int)count);
}

int vm_file_floor(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t file_block,
                  struct vm_extent *out)
{
    if (inode->m.form == VM_BODY_TREE) {
        struct vm_map map = vm_inode_data_map(inode);
        return vm_extents_floor(ctx, &map, file_block, out);
    }
    int count = inline_count(ctx, inode);
    if (count <= 0)
        return count;
    int behind = inline_search(inode, count, file_block + 1);
    return behind ? inline_get(ctx, inode, behind - 1, out) : 0;
}

int vm_file_ceiling(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t file_block,
                    struct vm_extent *out)
{
    if (inode->m.form == VM_BODY_TREE) {
        struct vm_map map = vm_inode_data_map(inode);
        return vm_extents_ceiling(ctx, &map, file_block, out);
    }
    int count = inline_count(ctx, inode);
    if (count <= 0)
        return count;
    int slot = inline_search(inode, count, file_block);
    return slot < count ? inline_get(ctx, inode, slot, out) : 0;
}

static int update_extent(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent)
{
    if (inode->m.form == VM_BODY_TREE) {
        struct vm_map map = vm_inode_data_map(inode);
        return vm_extents_update(ctx, &map, extent);
    }
    int count = inline_count(ctx, inode);
    if (count < 0)
        return count;
    int slot = inline_search(inode, count, extent->file_block);
    VM_ASSERT(slot < count);
    vm_extent_store(ctx->region, extent, &inode->m.body.extents[slot]);
    return 0;
}

/* A tree in the place of inline slots that are all in use. */
static int inline_to_tree(struct vm_ctx *ctx, struct vm_inode *inode,
                          const struct vm_extent *extent)
{
    struct inline_list list;
    int result = inline_load(ctx, inode, &list);
    if (result)
        return result;
    unsigned at = list.count++;
    while (at > 0 && list.items[at - 1].file_block > extent->file_block) {
        list.items[at] = list.items[at - 1];
        at--;
    }
    list.items[at] = *extent;
    struct vm_map map = vm_inode_data_map(inode);
    result = vm_extents_build(ctx, &map, list.items, list.count);
    if (result == 0)
        vm_inode_put_data_map(inode, &map);
    return result;
}

static int insert_inline(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent)
{
    struct vm_extent_media *slots = inode->m.body.extents;
    int count = inline_count(ctx, inode);
    if (count < 0)
        return count;
    if (count == (int)VM_INODE_EXTENTS)
        return inline_to_tree(ctx, inode, extent);
    int slot = inline_search(inode, count, extent->file_block);
    memmove(&slots[slot + 1], &slots[slot], (size_t)(count - slot) * sizeof slots[0]);
    vm_extent_store(ctx->region, extent, &slots[slot]);
    inline_end(inode, count + 1);
    return 0;
}

static int insert_extent(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent)
{
    if (inode->m.form != VM_BODY_TREE)
        return insert_inline(ctx, inode, extent);
    struct vm_map map = vm_inode_data_map(inode);
    int result = vm_extents_insert(ctx, &map, extent);
    if (result == 0)
        vm_inode_put_data_map(inode, &map);
    return result;
}

static int remove_extent(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent)
{
    if (inode->m.form == VM_BODY_TREE) {
        struct vm_map map = vm_inode_data_map(inode);
        return vm_extents_remove(ctx, &map, extent->file_block);
    }
    struct vm_extent_media *slots = inode->m.body.extents;
    int count = inline_count(ctx, inode);
    if (count < 0)
        return count;
    int slot = inline_search(inode, count, extent->file_block);
    VM_ASSERT(slot < count);
    memmove(&slots[slot], &slots[slot + 1], (size_t)(count - slot - 1) * sizeof slots[0]);
    inline_end(inode, count - 1);
    return 0;
}

bool vm_extent_continues(const struct vm_extent *before, const struct vm_extent *extent)
{
    return before->file_block + before->blocks == extent->file_block &&
           before->block + before->blocks == extent->block && before->birth == extent->birth &&
           before->flags == extent->flags &&
           (uint64_t)before->blocks + extent->blocks <= VM_EXTENT_BLOCKS_MAX;
}

int vm_file_add_behind(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *before,
                       const struct vm_extent *extent)
{
    vm_inode_add_blocks(inode, extent->blocks);
    if (before->blocks == 0 || !vm_extent_continues(before, extent))
        return insert_extent(ctx, inode, extent);
    struct vm_extent joined = *before;
    joined.blocks += extent->blocks;
    return update_extent(ctx, inode, &joined);
}

int vm_file_add(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent)
{
    struct vm_extent before = {0};
    int found = vm_file_floor(ctx, inode, extent->file_block, &before);
    return found < 0 ? found : vm_file_add_behind(ctx, inode, &before, extent);
}

/* Frees empty leaves at the end of the map: 1 if the record has no room for more. */
static int trim_map(struct vm_ctx *ctx, struct vm_inode *inode)
{
    struct vm_map map = vm_inode_data_map(inode);
    int trimmed = 1;
    bool has_room = true;
    while (trimmed > 0 && map.root) {
        has_room = vm_tx_has_room(ctx, VM_TRIM_ENTRIES, VM_TRIM_LINES);
        if (!has_room)
            break;
        trimmed = vm_map_trim(ctx, &map);
    }
    if (trimmed < 0)
        return trimmed;
    vm_inode_put_data_map(inode, &map);
    return !has_room;
}

/* Takes out the last extent: 1 if empty leaves are left behind it. */
static int remove_last(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent)
{
    int result = remove_extent(ctx, inode, extent);
    return result || inode->m.form != VM_BODY_TREE ? result : trim_map(ctx, inode);
}

/* One extent of which blocks lie at or behind `from_block`: what lies there goes. */
static int cut_last(struct vm_ctx *ctx, struct vm_inode *inode, struct vm_extent *last,
                    uint64_t from_block)
{
    uint64_t keep = from_block > last->file_block ? from_block - last->file_block : 0;
    uint32_t cut = last->blocks - (uint32_t)keep;
    if (vm_space_owns(vm_get64(inode->m.base_epoch), last->birth))
        vm_space_free(ctx, last->block + keep, cut);
    vm_inode_add_blocks(inode, -(int64_t)cut);
    last->blocks = (uint32_t)keep;
    return keep ? update_extent(ctx, inode, last) : remove_last(ctx, inode, last);
}

/* What cutting one extent stages at most: its bits, a leaf's slots and head, and a trim. */
#define CUT_ENTRIES (VM_TRIM_ENTRIES + 1u)
#define CUT_LINES   (VM_TRIM_LINES + 5u)

/* The last extent of which something lies at or behind `from_block` and is to go: 1, 0 or a reason. */
static int find_last(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t from_block,
                     bool is_unwritten_kept, struct vm_extent *last)
{
    uint64_t key = VM_KEY_MAX - 1;
    for (;;) {
        int found = vm_file_floor(ctx, inode, key, last);
        if (found <= 0)
            return found;
        if (last->file_block + last->blocks <= from_block)
            return 0;
        if (!is_unwritten_kept || !(last->flags & VM_EXTENT_UNWRITTEN))
            return 1;
        if (last->file_block <= from_block)
            return 0;
        key = last->file_block - 1;
    }
}

static int cut(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t from_block,
               bool is_unwritten_kept)
{
    for (;;) {
        struct vm_extent last;
        int found = find_last(ctx, inode, from_block, is_unwritten_kept, &last);
        if (found < 0)
            return found;
        if (!found)
            return vm_file_trim(ctx, inode);
        int64_t freed = (int64_t)ctx->tx->blocks_delta + last.blocks;
        if (freed > (int64_t)VM_EXTENT_BLOCKS_MAX || !vm_tx_has_room(ctx, CUT_ENTRIES, CUT_LINES))
            return 1;
        int result = cut_last(ctx, inode, &last, from_block);
        if (result)
            return result;
    }
}

int vm_file_cut(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t from_block)
{
    return cut(ctx, inode, from_block, false);
}

int vm_file_cut_written(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t from_block)
{
    return cut(ctx, inode, from_block, true);
}

int vm_file_trim(struct vm_ctx *ctx, struct vm_inode *inode)
{
    return inode->m.form == VM_BODY_TREE ? trim_map(ctx, inode) : 0;
}

/* A change is at most two slots that are new, each of which may split every node on its way, and two
 * that are changed or go. */
#define CHANGE_LINES 30u

bool vm_file_has_room(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    uint32_t level = 0;
    if (inode->m.form == VM_BODY_TREE) {
        struct vm_map map = vm_inode_data_map(inode);
        level = vm_map_level(ctx, &map);
    }
    uint32_t nodes = 2 * (2 * level + 3);
    uint32_t entries = nodes + 2 * (level + 1) + 2;
    return ctx->tx->run_count + nodes + 1 <= VM_TX_RUNS_MAX &&
           vm_tx_has_room(ctx, entries, CHANGE_LINES) &&
           ctx->tx->blocks_delta <= (int32_t)(VM_EXTENT_BLOCKS_MAX / 2);
}

/* What `old` keeps on both sides of the part that is taken out of it. */
static void split_around(const struct vm_extent *old, const struct vm_part *part,
                         struct vm_extent *left, struct vm_extent *right)
{
    uint64_t skip = part->first - old->file_block;
    VM_ASSERT(part->first >= old->file_block && part->count > 0 &&
              skip + part->count <= old->blocks);
    *left = *right = *old;
    left->blocks = (uint32_t)skip;
    right->file_block = part->first + part->count;
    right->block = old->block + skip + part->count;
    right->blocks = old->blocks - (uint32_t)(skip + part->count);
}

/* Joins `with` to the extent behind it if it ends the old one and they continue each other. */
static int join_after(struct vm_ctx *ctx, struct vm_inode *inode, struct vm_extent *with)
{
    struct vm_extent after;
    int found = vm_file_ceiling(ctx, inode, with->file_block + with->blocks, &after);
    if (found <= 0 || !vm_extent_continues(with, &after))
        return found < 0 ? found : 0;
    with->blocks += after.blocks;
    return remove_extent(ctx, inode, &after);
}

/* The first slot is taken by what is left of the old extent, by `with`, or by neither. */
static int put_front(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *old,
                     const struct vm_extent *left, const struct vm_extent *with)
{
    struct vm_extent before;
    if (left->blocks) {
        int result = update_extent(ctx, inode, left);
        return result || !with ? result : insert_extent(ctx, inode, with);
    }
    int found = 0;
    if (with && old->file_block > 0)
        found = vm_file_floor(ctx, inode, old->file_block - 1, &before);
    if (found < 0)
        return found;
    if (found && vm_extent_continues(&before, with)) {
        before.blocks += with->blocks;
        int result = remove_extent(ctx, inode, old);
        return result ? result : update_extent(ctx, inode, &before);
    }
    return with ? update_extent(ctx, inode, with) : remove_extent(ctx, inode, old);
}

static int replace_part(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *old,
                        const struct vm_part *part, const struct vm_extent *with)
{
    struct vm_extent left;
    struct vm_extent right;
    struct vm_extent joined = {0};
    split_around(old, part, &left, &right);
    int result = 0;
    if (with) {
        joined = *with;
        if (right.blocks == 0)
            result = join_after(ctx, inode, &joined);
    }
    if (result == 0)
        result = put_front(ctx, inode, old, &left, with ? &joined : NULL);
    if (result == 0 && right.blocks)
        result = insert_extent(ctx, inode, &right);
    return result;
}

int vm_file_mark(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *old,
                 const struct vm_part *part, uint32_t flags)
{
    struct vm_extent with = *old;
    with.file_block = part->first;
    with.block += part->first - old->file_block;
    with.blocks = (uint32_t)part->count;
    with.flags = flags;
    return replace_part(ctx, inode, old, part, &with);
}

static void free_part(struct vm_ctx *ctx, const struct vm_inode *inode, const struct vm_extent *old,
                      const struct vm_part *part)
{
    if (vm_space_owns(vm_get64(inode->m.base_epoch), old->birth))
        vm_space_free(ctx, old->block + (part->first - old->file_block), part->count);
}

int vm_file_swap(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *old,
                 const struct vm_extent *with)
{
    const struct vm_part part = {with->file_block, with->blocks};
    free_part(ctx, inode, old, &part);
    return replace_part(ctx, inode, old, &part, with);
}

int vm_file_punch(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *old,
                  const struct vm_part *part)
{
    free_part(ctx, inode, old, part);
    vm_inode_add_blocks(inode, -(int64_t)part->count);
    return replace_part(ctx, inode, old, part, NULL);
}
