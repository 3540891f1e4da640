/* test_flight.c -- what a running step took is nobody else's, although no bitmap says so yet */
#include <criterion/criterion.h>
#include <stddef.h>

#include "base/hash.h"
#include "base/util.h"
#include "hazard_world.h"
#include "inode/inode.h"
#include "inode/table.h"
#include "space/pool.h"

static struct world world;
static struct vm_ctx *const mine = &world.core.ctx;
static struct vm_ctx *const other = &world.other;

static void world_start(void)
{
    world_init(&world);
    /* The first file needs a chunk of inodes, which would take blocks of its own later. */
    world_begin(mine);
    uint64_t id;
    uint64_t offset;
    cr_assert_eq(vm_table_take(mine, &id, &offset), 0);
    vm_tx_end(mine);
}

static void world_stop(void)
{
    world_fini(&world);
}

TestSuite(flight, .init = world_start, .fini = world_stop, .timeout = 60);

/* All pools and words let go of what they have, as they do when space is scarce. */
static void let_go(struct vm_ctx *ctx)
{
    struct vm_space *space = ctx->space;
    struct vm_itable *table = ctx->itable;
    for (uint32_t index = 0; index < space->pool_count; index++)
        vm_pool_drop(ctx, &space->pools[index]);
    for (uint32_t lane = 0; lane < ctx->region->lane_count; lane++) {
        struct vm_slot_word *slots = &table->words[lane];
        if (slots->is_valid)
            table->chunks[slots->chunk].claimed &= ~((uint64_t)1 << slots->word);
        slots->is_valid = false;
    }
}

static uint64_t take_block(struct vm_ctx *ctx)
{
    uint64_t offset;
    world_begin(ctx);
    cr_assert_eq(vm_space_take_node(ctx, &offset), 0);
    return offset;
}

/* Both choose the same chunk, and in it the first block that they hold for free. */
Test(flight, S3_blocks)
{
    let_go(mine);
    uint64_t first = take_block(mine);
    let_go(mine);
    uint64_t second = take_block(other);
    cr_assert_eq(second, first + VM_BLOCK_BYTES);
    vm_tx_end(other);
    vm_tx_end(mine);
    let_go(mine);
    cr_assert_eq(take_block(other), first, "the step has given it back");
    vm_tx_end(other);
}

/* The record of a step whose fence failed may be found after all, and then its blocks are its own: no other
 * step, although it has begun before, may store there. */
Test(flight, H16_blocks_of_a_failed_step)
{
    uint64_t offset;
    world_begin(other);
    uint64_t first = take_block(mine);
    world_watch(&world);
    world.fence_failing = 1;
    world.is_failing_fence_durable = true;
    world_stage(mine, world.home, first);
    cr_assert_lt(vm_tx_commit(mine), 0);
    vm_tx_end(mine);
    let_go(mine);
    cr_assert_eq(vm_space_take_node(other, &offset), -VMFS_R_POISONED);
    vm_tx_end(other);
}

Test(flight, T3_slots)
{
    uint64_t mine_id;
    uint64_t other_id;
    uint64_t offset;
    world_begin(mine);
    cr_assert_eq(vm_table_take(mine, &mine_id, &offset), 0);
    let_go(mine);
    world_begin(other);
    cr_assert_eq(vm_table_take(other, &other_id, &offset), 0);
    cr_assert_neq(other_id, mine_id);
    vm_tx_end(other);
    vm_tx_end(mine);
    let_go(mine);
    world_begin(other);
    cr_assert_eq(vm_table_take(other, &other_id, &offset), 0);
    cr_assert_eq(other_id, mine_id, "the step has given it back");
    vm_tx_end(other);
}

/* A word all of whose free slots are used up is looked at once: a create that met it again and again would
 * never end. */
Test(flight, T1_spent_word)
{
    uint64_t id;
    uint64_t offset;
    world_begin(mine);
    cr_assert_eq(vm_table_take(mine, &id, &offset), 0);
    vm_tx_end(mine);
    let_go(mine);
    struct vm_itable *table = mine->itable;
    uint64_t chunk = (id & (((uint64_t)1 << VM_SLOT_BITS) - 1)) >> table->chunk_stride_log2;
    uint64_t index = id & (((uint64_t)1 << table->chunk_stride_log2) - 1);
    uint64_t word = index / 64;
    uint64_t end = vm_min((word + 1) * 64, table->slots_per_chunk);
    for (uint64_t slot = word * 64; slot < end; slot++) {
        struct vm_inode inode;
        uint64_t number = chunk << table->chunk_stride_log2 | slot;
        if (number == 0)
            continue;
        cr_assert_eq(vm_table_locate(mine, number, &offset), 1);
        world_begin(mine);
        vm_inode_make(mine, (uint64_t)VM_GENERATION_MAX << VM_SLOT_BITS | number, offset,
                      VM_MODE_FILE | 0600, &inode);
        struct vm_inode_media old;
        cr_assert_eq(vm_read(mine, offset, &old, sizeof old), 0);
        bool is_taken = old.kind != VM_INODE_FREE;
        if (!is_taken) {
            inode.m.kind = VM_INODE_FREE;
            cr_assert_eq(vm_inode_store(mine, &inode), 0);
            world_commit(mine);
        } else {
            vm_tx_end(mine);
        }
    }
    for (unsigned turn = 0; turn < 3; turn++) {
        uint64_t next;
        world_begin(mine);
        cr_assert_eq(vm_table_take(mine, &next, &offset), 0);
        uint64_t next_index = next & (((uint64_t)1 << table->chunk_stride_log2) - 1);
        cr_assert(next_index / 64 != word || next >> VM_SLOT_BITS == 0);
        vm_tx_end(mine);
        let_go(mine);
    }
    cr_assert(table->chunks[chunk].spent >> word & 1);
}

/* ---- the map of chunks ---- */

static void map_forge(uint64_t map_block, uint64_t index, uint64_t block)
{
    uint64_t offset = map_block * VM_BLOCK_BYTES + offsetof(struct vm_map_media, entries) +
                      index * sizeof(struct vm_map_entry_media);
    struct vm_map_entry_media entry = {.block = vm_put64(block)};
    entry.hash = vm_put32(vm_hash32(mine->region->hash_seed ^ offset, &entry, 12));
    world_forge(&world, offset, &entry, sizeof entry);
}

/* Memory for chunks follows the region; a map that names blocks twice may claim more of them. */
Test(flight, chunks_that_fit)
{
    const struct vm_region *region = mine->region;
    uint64_t fit = region->blocks / region->chunk_blocks;
    world_checkpoint(mine);
    cr_assert_eq(mine->itable->chunk_max, fit);
    cr_assert_gt(2 * VM_MAP_ENTRIES, fit);
    cr_assert_eq(mine->itable->chunk_count, 1);
    uint64_t chunk = mine->itable->chunks[0].block;
    uint64_t below = vm_load64_home(region, region->map_block * VM_BLOCK_BYTES +
                                                offsetof(struct vm_map_media, entries));
    for (uint64_t index = 0; index < VM_MAP_ENTRIES; index++)
        map_forge(below, index, chunk);
    vm_table_fini(mine, mine->itable);
    cr_assert_eq(vm_table_init(mine, &mine->itable), 0);
    cr_assert_eq(mine->itable->chunk_count, VM_MAP_ENTRIES);
    map_forge(region->map_block, 1, below);
    vm_table_fini(mine, mine->itable);
    cr_assert_eq(vm_table_init(mine, &mine->itable), -VMFS_R_INODE_MAP);
    cr_assert_eq(mine->itable->chunk_count, 0);
}
