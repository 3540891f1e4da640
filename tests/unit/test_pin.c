/* test_pin.c -- pins of the watermark, and views, which rest on them
 *
 * What happens while a pin is waited for happens in the platform's yield; a lock, in its wait. */
#include <criterion/criterion.h>
#include <string.h>

#include "hazard_world.h"
#include "inode/view.h"
#include "journal/pin.h"
#include "space/pool.h"

static struct world world;
static struct vm_ctx *const mine = &world.core.ctx;
static struct vm_ctx *const other = &world.other;

static void world_start(void)
{
    world_init(&world);
    world.id = file_new(mine);
    file_write(mine, world.id, 0, "some");
}

static void world_stop(void)
{
    world_fini(&world);
}

TestSuite(pin, .init = world_start, .fini = world_stop, .timeout = 60);

/* A view of the first four bytes of the file. */
struct four {
    struct vm_view view;
    struct vmfs_iovec pieces[2];
};

static int64_t look(struct four *four)
{
    four->view = (struct vm_view){.len_bytes = 4, .pieces = four->pieces, .piece_max = 2};
    return vm_data_view(other, world.id, &four->view);
}

static void slices(unsigned count)
{
    while (count-- > 0)
        cr_assert_geq(vm_checkpoint(mine, true), 0);
}

/* Can the chunk of these bytes be claimed? No pool has one. */
static bool is_given_away(const void *base)
{
    uint64_t offset = (uint64_t)((const uint8_t *)base - world.core.region.base);
    uint64_t chunk = vm_chunk_of_block(&world.core.region, offset / VM_BLOCK_BYTES);
    uint64_t bits[VM_CHUNK_WORDS_FREE];
    const struct vm_chunk_want any = {.free_min = 1, .run_min = 1};
    for (uint32_t index = 0; index < mine->space->pool_count; index++)
        vm_pool_drop(mine, &mine->space->pools[index]);
    bool is_claimed = vm_chunk_claim(mine, chunk, any, bits);
    if (is_claimed)
        vm_chunks_unclaim(mine, offset / VM_BLOCK_BYTES, 1);
    return is_claimed;
}

Test(pin, H23_pin)
{
    struct four four;
    cr_assert_eq(look(&four), 4);
    cr_assert_eq(four.view.piece_count, 1);
    uint64_t watermark = world.core.journal.watermark;
    file_resize(mine, world.id, 0);
    slices(4);
    cr_assert_eq(world.core.journal.watermark, watermark);
    cr_assert_not(is_given_away(four.pieces[0].base));
    cr_assert_arr_eq(four.pieces[0].base, "some", 4);
    vm_pin_drop(&world.core.journal, four.view.pin);
    slices(4);
    cr_assert_eq(world.core.journal.watermark, world.core.journal.sequence);
    cr_assert(is_given_away(four.pieces[0].base));
}

/* W had risen before a pin with what was read of it became visible. */
Test(pin, H23_watermark_never_falls)
{
    slices(4);
    uint64_t watermark = world.core.journal.watermark;
    cr_assert_gt(watermark, 1);
    world_put(mine, world.home, 1);
    world.core.journal.pins[7].bound = 1;
    world_watch(&world);
    slices(2);
    cr_assert_eq(world.core.journal.watermark, watermark);
    cr_assert_eq(world.watermark_stores, 0);
    vm_pin_drop(&world.core.journal, 7);
    slices(2);
    cr_assert_eq(world.core.journal.watermark, watermark + 1);
}

/* Its blocks go while the pin is waited for. */
static void free_meanwhile(void *arg)
{
    (void)arg;
    if (world.hits++ > 0)
        return;
    file_resize(mine, world.id, 0);
    slices(4);
    vm_pin_drop(&world.core.journal, 5);
}

Test(pin, H23_pin_before_the_map)
{
    struct four four;
    struct vm_pin *pins = world.core.journal.pins;
    for (uint32_t index = 0; index < VM_PINS; index++)
        pins[index].bound = UINT64_MAX; /* taken, and in nobody's way */
    world.platform.yield = free_meanwhile;
    cr_assert_eq(look(&four), 0, "it shows blocks that are not the file's any more");
    cr_assert_gt(world.hits, 0);
    cr_assert_eq(four.view.pin, 5);
}

/* A writer that waits for W has the stripe, and its window is open. */
static void end_writing(struct world *at)
{
    for (uint32_t index = 0; index < VM_PINS; index++)
        cr_assert_eq(at->core.journal.pins[index].bound, 0, "it waits with a pin");
    vm_stripe_close(vm_stripe_of(mine, at->id));
    vm_unlock_inodes(mine);
    at->hits++;
}

Test(pin, Z2_waits_without_a_pin)
{
    struct four four;
    vm_lock_inodes(mine, &world.id, 1);
    vm_stripe_open(vm_stripe_of(mine, world.id));
    world.at_wait = end_writing;
    cr_assert_eq(look(&four), 4);
    cr_assert_eq(world.hits, 1);
    cr_assert_neq(world.core.journal.pins[four.view.pin].bound, 0);
    file_resize(mine, world.id, 0);
    slices(4);
    cr_assert_not(is_given_away(four.pieces[0].base));
}

/* After a failure nothing stays pinned. */
Test(pin, Z2_no_pin_is_left)
{
    struct four four;
    uint64_t id = world.id;
    file_free(mine, id);
    cr_assert_eq(look(&four), -VMFS_R_INODE_STALE);
    for (uint32_t index = 0; index < VM_PINS; index++)
        cr_assert_eq(world.core.journal.pins[index].bound, 0);
}
