/* remap.c -- collapse and insert */
#include "inode/remap.h"

#include "base/check.h"
#include "base/util.h"
#include "index/node.h"
#include "inode/data.h"
#include "inode/extent.h"
#include "inode/heir.h"
#include "inode/priv.h"
#include "inode/shift.h"
#include "inode/table.h"
#include "space/space.h"

/* A tree of the extents of one old leaf, one of which may have been split. */
#define SMALL_EXTENTS (VM_LEAF_EXTENTS + 1u)
#define SMALL_NODES   3u
#define SMALL_ENTRIES (SMALL_NODES + VM_TRIM_ENTRIES + 2u)
#define SMALL_LINES   (VM_TRIM_LINES + 16u)

/* A map that is changed in one record. */
struct small {
    struct vm_leaf_extents old;
    uint32_t count;
    struct vm_extent items[SMALL_EXTENTS];
    uint64_t nodes[SMALL_NODES];
};

static int small_out(struct vm_ctx *ctx, void *arg, const struct vm_extent *extent)
{
    struct small *small = arg;
    (void)ctx;
    VM_ASSERT(small->count < SMALL_EXTENTS);
    small->items[small->count++] = *extent;
    return 0;
}

static int small_gone(struct vm_ctx *ctx, void *arg, const struct vm_extent *extent)
{
    (void)arg;
    vm_space_free(ctx, extent->block, extent->blocks);
    return 0;
}

/* Loads the extents: 1 if there are more than one leaf has. */
static int small_load(struct vm_ctx *ctx, const struct vm_inode *inode, struct small *small)
{
    if (inode->m.form != VM_BODY_TREE)
        return vm_file_inline_get(ctx, inode, small->old.items, &small->old.count);
    struct vm_map map = vm_inode_data_map(inode);
    int result = vm_extents_leaf(ctx, &map, 0, &small->old);
    return result ? result : small->old.next != VM_KEY_MAX || small->old.nodes != 1;
}

static int small_stream(struct vm_ctx *ctx, const struct vm_inode *inode, struct small *small,
                        struct vm_shift_stream *stream)
{
    int result = 0;
    for (uint32_t index = 0; result == 0 && index < small->old.count; index++)
        result = vm_shift_add(ctx, stream, inode, &small->old.items[index]);
    return result ? result : vm_shift_end(ctx, stream);
}

static int small_place(void *arg, uint64_t index, uint64_t *offset_out)
{
    const struct small *small = arg;
    VM_ASSERT(index < SMALL_NODES);
    *offset_out = small->nodes[index];
    return 0;
}

static int small_tree(struct vm_ctx *ctx, struct vm_map *map, struct small *small)
{
    if (small->count <= VM_SEGMENT_SLOTS)
        return vm_extents_build(ctx, map, small->items, small->count);
    struct vm_build build;
    int result = 0;
    uint64_t nodes = vm_build_nodes(small->count);
    VM_ASSERT(nodes <= SMALL_NODES);
    for (uint64_t index = 0; result == 0 && index < nodes; index++)
        result = vm_node_take(ctx, map, &small->nodes[index]);
    vm_build_start(&build, map, small_place, small);
    for (uint32_t index = 0; result == 0 && index < small->count; index++)
        result = vm_build_add(ctx, &build, &small->items[index]);
    return result ? result : vm_build_finish(ctx, &build, &map->root);
}

/* Gives the inode the new extents and frees the old leaf. */
static int small_publish(struct vm_ctx *ctx, struct vm_inode *inode, struct small *small)
{
    struct vm_map map = vm_inode_data_map(inode);
    int result = map.root ? vm_map_drop_last(ctx, &map) : 0;
    if (result < 0)
        return result;
    VM_ASSERT(map.root == 0);
    if (small->count > VM_INODE_EXTENTS) {
        result = small_tree(ctx, &map, small);
        if (result == 0)
            vm_inode_put_data_map(inode, &map);
        return result;
    }
    vm_inode_add_blocks(inode, map.node_delta);
    vm_file_inline_put(ctx, inode, small->items, small->count);
    return 0;
}

/* What an heir takes over is a map: extents in the inode become one first. */
static int small_plant(struct vm_ctx *ctx, struct vm_inode *inode, const struct small *small)
{
    struct vm_map map = vm_inode_data_map(inode);
    int result = vm_extents_build(ctx, &map, small->old.items, small->old.count);
    if (result)
        return result;
    vm_inode_put_data_map(inode, &map);
    result = vm_inode_store(ctx, inode);
    if (result == 0)
        result = vm_tx_commit(ctx);
    return result ? result : 1;
}

/* 1 if it does not fit into a record; then the file has a map, and nothing is staged. */
static int remap_small(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_shift *shift)
{
    struct small small = {.count = 0};
    struct vm_shift_stream count = {.shift = shift};
    int result = small_load(ctx, inode, &small);
    if (result == 0)
        result = small_stream(ctx, inode, &small, &count);
    if (result)
        return result;
    uint32_t pieces = (uint32_t)count.gone_pieces;
    if (count.gone_blocks > VM_EXTENT_BLOCKS_MAX ||
        !vm_tx_has_room(ctx, pieces + SMALL_ENTRIES, SMALL_LINES))
        return inode->m.form == VM_BODY_TREE ? 1 : small_plant(ctx, inode, &small);
    struct vm_shift_stream stream = {
        .shift = shift, .out = small_out, .gone = small_gone, .arg = &small};
    result = small_stream(ctx, inode, &small, &stream);
    if (result == 0)
        result = small_publish(ctx, inode, &small);
    if (result)
        return result;
    vm_inode_add_blocks(inode, -(int64_t)stream.gone_blocks);
    result = vm_shift_inode(ctx, inode, shift);
    if (result == 0)
        result = vm_inode_store(ctx, inode);
    return result ? result : vm_tx_commit(ctx); /* X1 */
}

static int range_refused(struct vm_ctx *ctx, uint64_t offset)
{
    return vm_raise(&ctx->err, VMFS_R_REMAP_RANGE, offset);
}

static int check_range(struct vm_ctx *ctx, const struct vm_inode *inode,
                       const struct vm_shift *shift)
{
    uint64_t size = vm_inode_size(inode);
    uint64_t first = shift->first * VM_BLOCK_BYTES;
    if (shift->first == shift->end)
        return first < size ? vm_data_check_size(ctx, size, shift->by * VM_BLOCK_BYTES)
                            : range_refused(ctx, first);
    return shift->end * VM_BLOCK_BYTES < size ? 0 : range_refused(ctx, first);
}

int vm_shift_load(struct vm_ctx *ctx, uint64_t id, const struct vm_shift *shift,
                  struct vm_inode *inode)
{
    int result = vm_inode_load(ctx, id, inode);
    if (result == 0 && vm_inode_is_beyond(inode))
        result = vm_data_trim_beyond(ctx, inode); /* D4 */
    if (result == 0)
        result = vm_inode_check_change(ctx, inode, false);
    return result ? result : check_range(ctx, inode, shift);
}

int vm_shift_inode(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_shift *shift)
{
    int killed = vm_priv_kill(ctx, inode, shift->kills_set_id); /* K1 */
    if (killed < 0)
        return killed;
    struct vm_open *open = vm_open_find(ctx, inode->id);
    if (open)
        open->zero_end = 0;
    vm_inode_set_size(inode, vm_inode_size(inode) + shift->by * VM_BLOCK_BYTES);
    vm_inode_touch(ctx, inode);
    return 0;
}

/* 1 if the map is too large. */
static int remap_once(struct vm_ctx *ctx, uint64_t id, const struct vm_shift *shift)
{
    struct vm_inode inode;
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    vm_lock_inodes(ctx, &id, 1);
    result = vm_shift_load(ctx, id, shift, &inode);
    if (result == 0)
        result = remap_small(ctx, &inode, shift);
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
    return result;
}

static int remap(struct vm_ctx *ctx, uint64_t id, const struct vm_shift *shift)
{
    int result;
    do {
        result = remap_once(ctx, id, shift);
        if (result > 0)
            result = vm_heir_remap(ctx, id, shift);
    } while (result > 0);
    return result;
}

/* Numbers inside the largest file, so that no sum of them is too large for its word. */
int vm_data_collapse(struct vm_ctx *ctx, const struct vm_alloc_range *range)
{
    VM_ASSERT((range->offset | range->len_bytes) % VM_BLOCK_BYTES == 0 && range->len_bytes > 0);
    if (!vm_range_inside(range->offset, range->len_bytes, VMFS_FILE_MAX))
        return range_refused(ctx, range->offset);
    uint64_t first = range->offset / VM_BLOCK_BYTES;
    uint64_t blocks = range->len_bytes / VM_BLOCK_BYTES;
    const struct vm_shift shift = {first, first + blocks, 0 - blocks, range->kills_set_id};
    return remap(ctx, range->id, &shift);
}

int vm_data_insert(struct vm_ctx *ctx, const struct vm_alloc_range *range)
{
    VM_ASSERT((range->offset | range->len_bytes) % VM_BLOCK_BYTES == 0 && range->len_bytes > 0);
    if (range->offset >= VMFS_FILE_MAX)
        return range_refused(ctx, range->offset);
    int result = vm_data_check_size(ctx, 0, range->len_bytes);
    if (result)
        return result;
    uint64_t first = range->offset / VM_BLOCK_BYTES;
    const struct vm_shift shift = {first, first, range->len_bytes / VM_BLOCK_BYTES,
                                   range->kills_set_id};
    return remap(ctx, range->id, &shift);
}
