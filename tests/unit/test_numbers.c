/* test_numbers.c -- numbers on the medium that nobody can count up to, and somebody may have written */
#include <criterion/criterion.h>
#include <string.h>

#include "hazard_world.h"
#include "media/super.h"

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

TestSuite(numbers, .init = world_start, .fini = world_stop, .timeout = 60);

/* Both copies as they can only be made by hand: nothing that recovery counts up may come to its end. */
static void forge_lines(uint64_t era, uint64_t watermark)
{
    for (unsigned copy = 0; copy < 2; copy++) {
        uint8_t *image = world.core.memory;
        struct vm_io io = {.ops = vm_persist_none(), .base = image};
        struct vm_watermark line = world.core.journal.line;
        struct vm_watermark_media before[2];
        uint64_t offset = (copy ? VM_WATERMARK_B_BLOCK : VM_WATERMARK_A_BLOCK) * VM_BLOCK_BYTES;
        line.era = era;
        line.watermark = watermark;
        memcpy(before, image + offset, sizeof before[0]);
        vm_watermark_store(&io, copy, &line);
        memcpy(before + 1, image + offset, sizeof before[1]);
        memcpy(image + offset, before, sizeof before[0]);
        world_forge(&world, offset, before + 1, sizeof before[1]);
    }
}

Test(numbers, H14_last_numbers)
{
    world_put(mine, world.home, 1);
    world_checkpoint(mine);
    forge_lines(UINT64_MAX, VM_SEQUENCE_MAX);
    for (uint64_t value = 2; value < 5; value++) {
        uint64_t nonce = world.core.journal.era.nonce;
        world_crash(&world, NULL); /* a line that cannot be read ends the test here */
        cr_assert_neq(world.core.journal.era.nonce, nonce);
        cr_assert_eq(world_word(&world, world.home), value - 1);
        world_put(mine, world.home, value);
        if (value == 3)
            world_checkpoint(mine);
    }
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, world.home), 4);
}

static uint64_t random_stuck(void *arg)
{
    (void)arg;
    return 7;
}

/* Attaches what the medium holds, apart from the world's own contexts: the nonce of the new era. */
static uint64_t next_nonce(void)
{
    static struct vm_journal journal;
    struct vm_ctx ctx = world_bare_ctx(&world);
    world_lose_power(&world);
    memset(&journal, 0, sizeof journal);
    ctx.journal = &journal;
    cr_assert_eq(vm_journal_init(&ctx, &journal), 0);
    cr_assert_eq(vm_journal_recover(&ctx, &journal, true), 0);
    vm_journal_fini(&journal);
    return journal.era.nonce;
}

/* The drawn half may come again, the nonce may not. */
Test(numbers, H14_no_nonce_comes_twice)
{
    enum { ERAS = 64 };
    uint64_t seen[ERAS];
    world.platform.random = random_stuck;
    for (unsigned era = 0; era < ERAS; era++) {
        seen[era] = next_nonce();
        for (unsigned before = 0; before < era; before++)
            cr_assert_neq(seen[era], seen[before], "eras %u and %u", before, era);
    }
}

/* Both halves decide every part of it, so that less than all of it tells nothing. */
Test(numbers, H14_nonce_is_mixed)
{
    const struct vm_region *region = &world.core.region;
    uint64_t changed[2] = {0};
    for (uint32_t bit = 0; bit < 32; bit++) {
        uint64_t nonce = vm_nonce_make(region, 1, 2);
        changed[0] |= nonce ^ vm_nonce_make(region, 1u ^ 1u << bit, 2);
        changed[1] |= nonce ^ vm_nonce_make(region, 1, 2u ^ 1u << bit);
    }
    cr_assert_eq(changed[0], UINT64_MAX);
    cr_assert_eq(changed[1], UINT64_MAX);
    cr_assert_neq(vm_nonce_make(region, 1, 2) >> 32, vm_nonce_make(region, 2, 2) >> 32);
}
