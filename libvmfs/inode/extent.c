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

static int inline_load(struct vm_ctx *ctx, const struct vm_inode *inode, struct inline_list *list)
{
    list->count = 0;
    if (inode->m.form != VM_BODY_EXTENTS)
        return 0;
    while (list->count < VM_INODE_EXTENTS) {
        const struct vm_extent_media *media = &inode->m.body.extents[list->count];
        if (vm_get32(media->blocks) == 0)
            break;
        int result = vm_extent_load(ctx, media, inode->offset, &list->items[list->count]);
        if (result)
            return result;
        const struct vm_extent *item = &list->items[list->count];
        if (list->count && item->file_block < item[-1].file_block + item[-1].blocks)
            return vm_extent_disorder(ctx, inode);
        list->count++;
    }
    return 0;
}

static void inline_store(struct vm_ctx *ctx, struct vm_inode *inode, const struct inline_list *list)
{
    VM_ASSERT(list->count <= VM_INODE_EXTENTS);
    memset(&inode->m.body, 0, sizeof inode->m.body);
    inode->m.form = list->count ? VM_BODY_EXTENTS : VM_BODY_EMPTY;
    for (unsigned index = 0; index < list->count; index++)
        vm_extent_store(ctx->region, &list->items[index], &inode->m.body.extents[index]);
}

int vm_file_floor(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t file_block,
                  struct vm_extent *out)
{
    if (inode->m.form == VM_BODY_TREE) {
        struct vm_map map = vm_inode_data_map(inode);
        return vm_extents_floor(ctx, &map, file_block, out);
    }
    struct inline_list list;
    int result = inline_load(ctx, inode, &list);
    if (result)
        return result;
    for (unsigned index = list.count; index-- > 0;)
        if (list.items[index].file_block <= file_block) {
            *out = list.items[index];
            return 1;
        }
    return 0;
}

int vm_file_ceiling(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t file_block,
                    struct vm_extent *out)
{
    if (inode->m.form == VM_BODY_TREE) {
        struct vm_map map = vm_inode_data_map(inode);
        return vm_extents_ceiling(ctx, &map, file_block, out);
    }
    struct inline_list list;
    int result = inline_load(ctx, inode, &list);
    if (result)
        return result;
    for (unsigned index = 0; index < list.count; index++)
        if (list.items[index].file_block >= file_block) {
            *out = list.items[index];
            return 1;
        }
    return 0;
}

static int update_extent(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent)
{
    if (inode->m.form == VM_BODY_TREE) {
        struct vm_map map = vm_inode_data_map(inode);
        return vm_extents_update(ctx, &map, extent);
    }
    struct inline_list list;
    int result = inline_load(ctx, inode, &list);
    if (result)
        return result;
    for (unsigned index = 0; index < list.count; index++)
        if (list.items[index].file_block == extent->file_block)
            list.items[index] = *extent;
    inline_store(ctx, inode, &list);
    return 0;
}

static int insert_inline(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent)
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
    if (list.count <= VM_INODE_EXTENTS) {
        inline_store(ctx, inode, &list);
        return 0;
    }
    struct vm_map map = vm_inode_data_map(inode);
    result = vm_extents_build(ctx, &map, list.items, list.count);
    if (result == 0)
        vm_inode_put_data_map(inode, &map);
    return result;
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

/* A record counts the blocks that it frees in 32 bits with a sign. */
#define EXTENT_BLOCKS_MAX ((uint64_t)1 << 30)

static bool continues(const struct vm_extent *before, const struct vm_extent *extent)
{
    return before->file_block + before->blocks == extent->file_block &&
           before->block + before->blocks == extent->block && before->birth == extent->birth &&
           before->flags == extent->flags &&
           (uint64_t)before->blocks + extent->blocks <= EXTENT_BLOCKS_MAX;
}

int vm_file_add(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent)
{
    struct vm_extent before;
    int found = vm_file_floor(ctx, inode, extent->file_block, &before);
    if (found < 0)
        return found;
    vm_inode_add_blocks(inode, extent->blocks);
    if (found == 0 || !continues(&before, extent))
        return insert_extent(ctx, inode, extent);
    before.blocks += extent->blocks;
    return update_extent(ctx, inode, &before);
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
    if (inode->m.form == VM_BODY_TREE) {
        struct vm_map map = vm_inode_data_map(inode);
        int result = vm_extents_remove(ctx, &map, extent->file_block);
        return result ? result : trim_map(ctx, inode);
    }
    struct inline_list list;
    int result = inline_load(ctx, inode, &list);
    if (result)
        return result;
    VM_ASSERT(list.count > 0 && list.items[list.count - 1].file_block == extent->file_block);
    list.count--;
    inline_store(ctx, inode, &list);
    return 0;
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

int vm_file_cut(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t from_block)
{
    for (;;) {
        struct vm_extent last;
        int found = vm_file_floor(ctx, inode, VM_KEY_MAX - 1, &last);
        if (found < 0)
            return found;
        if (!found)
            return inode->m.form == VM_BODY_TREE ? trim_map(ctx, inode) : 0;
        if (last.file_block + last.blocks <= from_block)
            return 0;
        int64_t freed = (int64_t)ctx->tx->blocks_delta + last.blocks;
        if (freed > (int64_t)EXTENT_BLOCKS_MAX || !vm_tx_has_room(ctx, CUT_ENTRIES, CUT_LINES))
            return 1;
        int result = cut_last(ctx, inode, &last, from_block);
        if (result)
            return result;
    }
}
