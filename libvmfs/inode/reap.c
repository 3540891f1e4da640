/* reap.c -- freeing inodes step by step */
#include "inode/reap.h"

#include "base/check.h"
#include "base/util.h"
#include "inode/data.h"
#include "inode/extent.h"
#include "inode/table.h"
#include "inode/xattr.h"
#include "space/space.h"

/* Frees nodes with all that they hold as far as the record has room: 1 if some are left. */
static int drop_nodes(struct vm_ctx *ctx, struct vm_map *map)
{
    int more = 1;
    while (more > 0 && vm_tx_has_room(ctx, VM_TRIM_ENTRIES, VM_TRIM_LINES))
        more = vm_map_drop_last(ctx, map);
    return more < 0 ? more : map->root != 0;
}

static int reap_nodes(struct vm_ctx *ctx, struct vm_inode *inode)
{
    struct vm_map map = vm_inode_data_map(inode);
    int more = drop_nodes(ctx, &map);
    vm_inode_put_data_map(inode, &map);
    return more;
}

/* From the end of the range down. The map itself stays as it was: `end` says how far this got. */
static int reap_range(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_map *map)
{
    struct vm_retired_media *retired = &inode->m.body.retired;
    uint64_t first = vm_get64(retired->first);
    uint64_t end = vm_get64(retired->end);
    while (end > first && vm_tx_has_room(ctx, 1, 0)) {
        struct vm_extent last;
        int found = vm_extents_floor(ctx, map, end - 1, &last);
        if (found < 0)
            return found;
        if (!found || last.file_block + last.blocks <= first) {
            end = first;
            break;
        }
        uint64_t from = vm_max(first, last.file_block);
        uint64_t count = vm_min(end, last.file_block + last.blocks) - from;
        if ((int64_t)ctx->tx->blocks_delta + (int64_t)count > (int64_t)VM_EXTENT_BLOCKS_MAX)
            break;
        if (vm_space_owns(map->base_epoch, last.birth))
            vm_space_free(ctx, last.block + (from - last.file_block), count);
        vm_inode_add_blocks(inode, -(int64_t)count);
        end = from;
    }
    retired->end = vm_put64(end);
    return end > first;
}

/* What a remapped file has left behind. */
static int reap_retired(struct vm_ctx *ctx, struct vm_inode *inode)
{
    struct vm_retired_media *retired = &inode->m.body.retired;
    struct vm_map map = {.root = vm_get64(retired->root),
                         .tag = vm_get64(retired->tag),
                         .base_epoch = vm_get64(inode->m.base_epoch)};
    struct vm_map list = {.root = vm_get64(retired->list_root),
                          .tag = vm_get64(inode->m.tag),
                          .base_epoch = vm_get64(inode->m.base_epoch)};
    int more = map.root ? reap_range(ctx, inode, &map) : 0;
    if (more == 0)
        more = drop_nodes(ctx, &map);
    if (more == 0)
        more = drop_nodes(ctx, &list);
    vm_inode_add_blocks(inode, map.node_delta + list.node_delta);
    retired->root = vm_put64(map.root);
    retired->list_root = vm_put64(list.root);
    return more;
}

int vm_reap_stage(struct vm_ctx *ctx, struct vm_inode *inode)
{
    VM_ASSERT(vm_inode_nlink(inode) == 0);
    int more = 0;
    if (vm_inode_is_directory(inode))
        more = reap_nodes(ctx, inode);
    else if (inode->m.form == VM_BODY_RETIRED)
        more = reap_retired(ctx, inode);
    else if (inode->m.form == VM_BODY_EXTENTS || inode->m.form == VM_BODY_TREE)
        more = vm_file_cut(ctx, inode, 0);
    if (more == 0)
        more = vm_xattr_reap(ctx, inode);
    if (more < 0)
        return more;
    int result = more ? vm_inode_store(ctx, inode) : vm_inode_release(ctx, inode);
    return result ? result : more;
}

/* One record: 1 if there is more to do, 0 if not, or a reason. */
static int reap_step(struct vm_ctx *ctx, uint64_t id)
{
    struct vm_inode inode;
    int result = vm_inode_load(ctx, id, &inode);
    if (result == -VMFS_R_INODE_STALE)
        return 0;
    if (result)
        return result;
    if (vm_inode_nlink(&inode) > 0)
        return vm_inode_is_beyond(&inode) ? vm_data_trim_step(ctx, &inode) : 0;
    if (vm_open_find(ctx, id))
        return 0;
    int more = vm_reap_stage(ctx, &inode);
    if (more < 0)
        return more;
    result = vm_tx_commit(ctx); /* O1 */
    if (result == 0)
        result = vm_tx_renew(ctx);
    return result ? result : more;
}

/* The same until it is done or `*records` more have been written: 1 if there is more to do. */
static int reap_some(struct vm_ctx *ctx, uint64_t id, unsigned *records)
{
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    vm_lock_inodes(ctx, &id, 1);
    for (;;) {
        uint64_t fences = ctx->io.fences;
        result = reap_step(ctx, id);
        *records -= ctx->io.fences != fences;
        if (result <= 0 || *records == 0)
            break;
        vm_pause_inodes(ctx); /* O2 */
    }
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
    return result;
}

int vm_reap(struct vm_ctx *ctx, uint64_t id)
{
    int more = 1;
    while (more > 0) {
        unsigned records = UINT32_MAX;
        more = reap_some(ctx, id, &records);
    }
    return more;
}

static int reap_slot(struct vm_ctx *ctx, uint64_t slot, uint64_t offset, unsigned *records)
{
    struct vm_inode_media media;
    int result = vm_read(ctx, offset, &media, sizeof media);
    if (result)
        return result;
    uint64_t generation = vm_get32(media.generation) & VM_GENERATION_MAX;
    return reap_some(ctx, generation << VM_SLOT_BITS | slot, records);
}

/* What a caller who only passes by is asked to write for others. */
#define RECORDS_PER_STEP 4u

/* 0 if no orphan of the chunk can be freed any more, 1 if there may be some: those that are still open stay,
 * and cost no record. */
static int reap_chunk(struct vm_ctx *ctx, uint64_t chunk)
{
    struct vm_chunk_media head;
    uint64_t offset;
    int result = vm_table_chunk(ctx, chunk, &offset, &head);
    if (result <= 0)
        return result;
    const struct vm_itable *table = ctx->itable;
    unsigned records = RECORDS_PER_STEP;
    for (unsigned word = 0; word < VM_CHUNK_WORDS; word++) {
        uint64_t bits = vm_get64(head.orphan[word]);
        while (bits) {
            unsigned bit = (unsigned)__builtin_ctzll(bits);
            bits &= bits - 1;
            uint64_t index = (uint64_t)word * 64 + bit;
            if (index >= table->slots_per_chunk)
                break;
            if (records == 0)
                return 1;
            uint64_t slot = chunk << table->chunk_stride_log2 | index;
            result =
                reap_slot(ctx, slot, offset + VM_BLOCK_BYTES + index * VM_INODE_BYTES, &records);
            if (result)
                return result;
        }
    }
    return 0;
}

/* The cursor moves on when its chunk is clean, or cannot be cleaned. */
int vm_reap_orphans(struct vm_ctx *ctx)
{
    struct vm_itable *table = ctx->itable;
    if (!atomic_load_explicit(&table->may_have_orphans, memory_order_acquire))
        return 0;
    uint64_t chunk = atomic_load(&table->orphan_cursor);
    if (chunk >= atomic_load(&table->chunk_count)) {
        VM_SHARED(&ctx->io, atomic_store(&table->may_have_orphans, false));
        return 0;
    }
    int result = reap_chunk(ctx, chunk);
    if (result <= 0)
        VM_SHARED(&ctx->io,
                  atomic_compare_exchange_strong(&table->orphan_cursor, &chunk, chunk + 1));
    return result < 0 ? result : 1;
}
