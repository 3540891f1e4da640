/* test_steps.c -- what a step, a lane and an attach keep to, beside the hazards of test_hazards.c */
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "hazard_world.h"
#include "name/volume.h"

static struct world world;
static struct vm_ctx *const mine = &world.core.ctx;

static void world_start(void)
{
    world_init(&world);
}

static void world_stop(void)
{
    world_fini(&world);
}

TestSuite(steps, .init = world_start, .fini = world_stop, .timeout = 60);

/* A block reads as what a step writes there although nobody has made it durable. */
Test(steps, I6_fresh_lines_are_logged_whole)
{
    struct vm_le64 stored = vm_put64(9);
    world_begin(mine);
    vm_io_store(&mine->io, world.home, &stored, sizeof stored);
    vm_tx_write_fresh(mine, world.home, &stored, sizeof stored);
    world_commit(mine);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, world.home), 9);
}

/* ---- backing ---- */

#define CHUNK_BYTES ((uint64_t)VM_CHUNK_BLOCKS * VM_BLOCK_BYTES)

/* Lanes and what is before them are backed for ever since the format. */
static void see_backed(struct world *at, uint64_t offset)
{
    const struct vm_region *region = &at->core.region;
    if (offset < region->lane_offset + (uint64_t)region->lane_count * region->lane_bytes)
        return;
    cr_assert_eq(at->chunks_backed >> offset / CHUNK_BYTES & 1, 1, "offset %lu", offset);
    at->hits++;
}

/* The first step of a region makes its first group. */
Test(steps, H17_backed_group)
{
    uint64_t offset;
    world_fini(&world);
    world_init_empty(&world);
    world.at_store = see_backed;
    world_begin(mine);
    cr_assert_eq(vm_space_take_node(mine, &offset), 0);
    vm_tx_fill(mine, offset, VM_BLOCK_BYTES, 0);
    world_commit(mine);
    cr_assert_gt(world.hits, 3);
}

/* ---- superblocks ---- */

#define SUPERS_BYTES ((VM_SUPER_B_BLOCK + 1) * (uint64_t)VM_BLOCK_BYTES)

static bool is_on_its_way(const struct world *at, uint64_t offset)
{
    return memcmp(at->core.memory + offset, at->core.durable + offset, 8) != 0;
}

/* Whichever word does not arrive of those that are on their way, one copy checks. */
static void see_sound_copy(struct world *at)
{
    static uint8_t image[SUPERS_BYTES];
    struct vm_err err = {0};
    struct vm_super_choice choice = {.is_read_only = false};
    struct vm_super_media super;
    for (uint64_t gap = 0; gap < SUPERS_BYTES; gap += 8) {
        if (!is_on_its_way(at, gap))
            continue;
        memcpy(image, at->core.memory, sizeof image);
        memcpy(image + gap, at->core.durable + gap, 8);
        cr_assert_eq(vm_super_load(&err, image, sizeof image, &choice, &super), 0);
        at->hits++;
    }
}

/* One copy is damaged: attaching stores it again, and never puts the other one at risk. */
static void mend(unsigned block)
{
    static struct vm_volume volume;
    struct vm_err err = {0};
    struct vm_super_choice choice = {.is_read_only = false};
    struct vm_super_media super;
    world_put(mine, world.home, 2);
    world_forge(&world, block * (uint64_t)VM_BLOCK_BYTES + 100, "\xff\xff\xff\xff", 4);
    world_lose_power(&world);
    world.at_fence = see_sound_copy;
    volume.region.platform = &world.platform;
    struct vm_ctx ctx = world_bare_ctx(&world);
    vm_volume_bind(&volume, &ctx);
    cr_assert_eq(vm_volume_probe(&volume, &ctx, world.core.memory, WORLD_BYTES, false), 0);
    cr_assert_eq(vm_volume_attach(&volume, &ctx, true), 0);
    vm_volume_fini(&volume, &ctx);
    cr_assert_gt(world.hits, 4, "words of both lines and of the copy");
    cr_assert_eq(vm_super_load(&err, world.core.durable, WORLD_BYTES, &choice, &super), 0);
    cr_assert_not(choice.is_single);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, world.home), 2);
}

Test(steps, S1_first_copy_is_mended)
{
    mend(VM_SUPER_A_BLOCK);
}

Test(steps, S1_second_copy_is_mended)
{
    mend(VM_SUPER_B_BLOCK);
}

/* ---- a ring whose records another thread retires ---- */

#define RING_LANE_BYTES 65536u
#define RING_RECORD     4096u

static void *retire(void *arg)
{
    struct vm_lane *lane = arg;
    for (unsigned turn = 0; turn < 20000000 && atomic_load(&lane->mark); turn++)
        atomic_store(&lane->ring_tail, 1 + turn % 2);
    atomic_store(&lane->mark, 0);
    return NULL;
}

/* At the head lies an offset of an earlier lap; a record may not be placed as if it were the oldest. */
Test(steps, place_while_records_retire)
{
    static struct vm_lane lane;
    struct vm_ring_entry ring[2] = {{.offset = RING_LANE_BYTES - 64}, {.offset = 64}};
    pthread_t other;
    lane.ring = ring;
    lane.ring_size = 2;
    lane.write_at = RING_LANE_BYTES - 128;
    atomic_store(&lane.ring_head, 2);
    atomic_store(&lane.ring_tail, 1);
    atomic_store(&lane.mark, 1);
    cr_assert_eq(pthread_create(&other, NULL, retire, &lane), 0);
    unsigned wrong = 0;
    while (wrong == 0 && atomic_load(&lane.mark))
        wrong += vm_lane_place(&lane, RING_LANE_BYTES, RING_RECORD) != 0;
    atomic_store(&lane.mark, 0);
    cr_assert_eq(pthread_join(other, NULL), 0);
    cr_assert_eq(wrong, 0, "a record would reach over the end of its lane");
}
