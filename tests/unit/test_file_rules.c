/* test_file_rules.c -- rules of file data that no crash shows: who sees what when, and what a record holds */
#include <criterion/criterion.h>
#include <string.h>

#include "base/util.h"
#include "hazard_world.h"
#include "inode/alloc.h"
#include "inode/copy.h"
#include "inode/data.h"
#include "inode/extent.h"
#include "inode/reap.h"
#include "inode/span.h"
#include "media/super.h"

#define BLOCK  ((uint64_t)VM_BLOCK_BYTES)
#define PIECES 400u

static struct world world;
static struct vm_ctx *const mine = &world.core.ctx;

static void start(void)
{
    world_init(&world);
}

static void stop(void)
{
    world_fini(&world);
}

TestSuite(files, .init = start, .fini = stop, .timeout = 60);

static bool is_window_open(uint64_t id)
{
    return vm_stripe_version(vm_stripe_of(mine, id)) % 2;
}

static void load(uint64_t id, struct vm_inode *inode)
{
    cr_assert_eq(vm_inode_load(mine, id, inode), 0);
}

static uint64_t blocks_of(uint64_t id)
{
    struct vm_inode inode;
    load(id, &inode);
    return vm_inode_blocks(&inode);
}

/* ---- P2 ---- */

static uint64_t data_block(uint64_t id)
{
    struct vm_inode inode;
    struct vm_span span;
    load(id, &inode);
    cr_assert_eq(vm_span_at(mine, &inode, 0, &span), 0);
    return span.region_offset;
}

/* world.number is where the file's one block lies. */
static void see_unaligned(struct world *at, uint64_t offset)
{
    at->hits += vm_range_inside(offset - at->number, 1, BLOCK) && offset % 8 != 0 ? 1 : 0;
}

static void watch_data(void)
{
    world_watch(&world);
    world.number = data_block(world.id);
    world.at_store = see_unaligned;
    world.hits = 0;
}

/* What is zeroed in place is stored as whole aligned words, like what is written. */
Test(files, P2_zeros_in_place_are_words)
{
    char seen[64];
    uint64_t hole = file_new(mine);
    file_resize(mine, hole, BLOCK);
    world.id = file_new(mine);
    file_write(mine, world.id, 0, "0123456789abcdefghijklmnopqrstuvwxyz0123456789");
    watch_data();
    cr_assert_eq(
        vm_data_zero(mine, &(struct vm_alloc_range){.id = world.id, .offset = 3, .len_bytes = 15}),
        0);
    cr_assert_eq(
        vm_data_punch(mine, &(struct vm_alloc_range){.id = world.id, .offset = 21, .len_bytes = 1}),
        0);
    const struct vm_copy copy = {
        .from = hole, .from_offset = 9, .to = world.id, .to_offset = 25, .len_bytes = 7};
    cr_assert_eq(vm_data_copy(mine, &copy), 7);
    cr_assert_eq(world.hits, 0);
    file_read(mine, world.id, 0, seen, 46);
    cr_assert_eq(
        memcmp(seen, "012\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0ijk\0mno\0\0\0\0\0\0\0wxyz0123456789", 46),
        0);
}

/* In one tick of the clock, so there is no record. */
Test(files, P2_store_in_place_is_fenced)
{
    char bytes[8];
    uint64_t id = file_new(mine);
    file_write(mine, id, 0, "before..");
    world_checkpoint(mine);
    uint64_t sequence = atomic_load(&world.core.journal.sequence);
    file_write(mine, id, 0, "after...");
    cr_assert_eq(atomic_load(&world.core.journal.sequence), sequence);
    world_crash(&world, NULL);
    file_read(mine, id, 0, bytes, 8);
    cr_assert_arr_eq(bytes, "after...", 8);
}

/* ---- L1 ---- */

/* What a writer does meanwhile, as long as its window: it is closed again when the reader looks. */
static int64_t read_beside_a_writer(struct vm_ctx *ctx, void *arg)
{
    unsigned *calls = arg;
    if ((*calls)++ == 0) {
        struct vm_stripe *stripe = vm_stripe_of(ctx, world.id);
        vm_stripe_open(stripe);
        vm_stripe_close(stripe);
    }
    return *calls;
}

Test(files, L1_reader_that_a_writer_met_looks_again)
{
    unsigned calls = 0;
    world.id = file_new(mine);
    cr_expect_eq(vm_read_stable(mine, world.id, read_beside_a_writer, &calls), 2);
    cr_expect_eq(calls, 2);
}

/* Whoever read before the homes were stored must find that they were. */
Test(files, L1_homes_are_stored_in_a_window)
{
    world.id = file_new(mine);
    uint64_t before = vm_stripe_version(vm_stripe_of(mine, world.id));
    file_resize(mine, world.id, 5000);
    uint64_t after = vm_stripe_version(vm_stripe_of(mine, world.id));
    cr_expect_gt(after, before);
    cr_expect_eq(after % 2, 0);
}

/* ---- D5 ---- */

static void see_open_window(struct world *at)
{
    at->hits += is_window_open(at->id) ? 1 : 0;
}

Test(files, D5_store_in_place_is_unseen_before_its_fence)
{
    world.id = file_new(mine);
    file_write(mine, world.id, 0, "old bytes");
    world_watch(&world);
    world.at_fence = see_open_window;
    file_write(mine, world.id, 0, "new bytes");
    cr_assert_eq(world.fences, 1);
    cr_assert_eq(world.hits, 1);
    cr_assert_not(is_window_open(world.id));
}

/* The second piece has to wait for a checkpoint, whose fence fails: what the first one stored is seen from
 * now on, so it must be durable. */
Test(files, D5_failed_write_fences_what_it_stored)
{
    uint64_t end;
    char bytes[8];
    static char text[BLOCK + 40];
    world.id = file_new(mine);
    file_write(mine, world.id, BLOCK, "an extent");
    file_write(mine, world.id, 0, "another one");
    file_resize(mine, world.id, BLOCK + 2);
    file_resize(mine, world.id, BLOCK + 100);
    memset(text, 'n', sizeof text);
    struct vm_data_range range = {.bytes = text, .len_bytes = sizeof text};
    world_watch(&world);
    world.fence_failing = 1;
    cr_assert_lt(vm_data_write(mine, world.id, range, &end), 0);
    cr_assert_eq(world.fences, 2, "%u fences", world.fences);
    cr_assert_not(is_window_open(world.id));
    file_read(mine, world.id, 0, bytes, 8);
    cr_assert_arr_eq(bytes, "nnnnnnnn", 8);
    world_crash(&world, NULL);
    file_read(mine, world.id, 0, bytes, 8);
    cr_assert_arr_eq(bytes, "nnnnnnnn", 8);
}

static void see_window_kept(struct world *at)
{
    if (at->fences > 1)
        cr_assert(is_window_open(at->id), "fence %u", at->fences);
    at->hits++;
}

/* Punching takes more than one record: readers see none of the states between. */
Test(files, D5_long_change_is_seen_whole)
{
    world.id = file_new(mine);
    for (unsigned i = 0; i < PIECES; i++)
        file_write(mine, world.id, 2 * i * BLOCK, "one");
    world_watch(&world);
    world.at_fence = see_window_kept;
    cr_assert_eq(vm_data_punch(mine, &(struct vm_alloc_range){.id = world.id,
                                                              .offset = 0,
                                                              .len_bytes = 2 * PIECES * BLOCK}),
                 0);
    cr_assert_geq(world.hits, 2, "%u fences", world.hits);
    cr_assert_not(is_window_open(world.id));
}

/* ---- what a record can count ---- */

Test(files, extents_stay_below_what_a_record_counts)
{
    uint32_t half = (uint32_t)(VM_EXTENT_BLOCKS_MAX / 2);
    const struct vm_extent before = {.file_block = 0, .block = 100, .blocks = half, .birth = 1};
    struct vm_extent next = {.file_block = half, .block = 100 + half, .blocks = half, .birth = 1};
    cr_assert(vm_extent_continues(&before, &next));
    next.blocks++;
    cr_assert_not(vm_extent_continues(&before, &next));
    next.blocks = half;
    next.flags = VM_EXTENT_UNWRITTEN;
    cr_assert_not(vm_extent_continues(&before, &next));
}

Test(files, a_cut_counts_what_the_record_frees_already)
{
    struct vm_inode inode;
    uint64_t id = file_new(mine);
    file_write(mine, id, 0, "bytes");
    world_begin(mine);
    vm_lock_inodes(mine, &id, 1);
    load(id, &inode);
    mine->tx->blocks_delta = (int32_t)VM_EXTENT_BLOCKS_MAX;
    cr_assert_eq(vm_file_cut(mine, &inode, 0), 1);
    cr_assert_eq(vm_inode_blocks(&inode), 1);
    mine->tx->blocks_delta = 0;
    cr_assert_eq(vm_file_cut(mine, &inode, 0), 0);
    cr_assert_eq(vm_inode_blocks(&inode), 0);
    vm_unlock_inodes(mine);
    vm_tx_end(mine);
}

/* ---- U2 ---- */

/* A long write that a crash has cut: of what was reserved, only what it wrote goes. */
Test(files, U2_reserved_blocks_outlive_a_cut_write)
{
    struct vm_inode inode;
    struct vm_extent extent;
    const struct vm_part part = {2, 3};
    uint64_t id = file_new(mine);
    file_write(mine, id, 0, "bytes");
    cr_assert_eq(vm_data_reserve(mine, &(struct vm_alloc_range){.id = id,
                                                                .offset = 0,
                                                                .len_bytes = 20 * BLOCK,
                                                                .is_size_kept = true}),
                 0);
    cr_assert_eq(blocks_of(id), 20);
    world_begin(mine);
    vm_lock_inodes(mine, &id, 1);
    load(id, &inode);
    cr_assert_eq(vm_file_floor(mine, &inode, 2, &extent), 1);
    cr_assert_eq(vm_file_mark(mine, &inode, &extent, &part, 0), 0);
    vm_inode_set_writing(&inode);
    cr_assert_eq(vm_inode_store(mine, &inode), 0);
    cr_assert_eq(vm_tx_commit(mine), 0);
    vm_unlock_inodes(mine);
    vm_tx_end(mine);
    world_crash(&world, NULL);
    cr_assert(file_is_marked_orphan(mine, id));
    cr_assert_eq(vm_reap(mine, id), 0);
    cr_assert_not(file_is_marked_orphan(mine, id));
    cr_assert_eq(blocks_of(id), 17);
    cr_assert_eq(file_size(mine, id), 5);
}

/* ---- D3 ---- */

static unsigned slot_of(uint64_t block)
{
    return (unsigned)(vm_mix64(block) % VM_LOGGED_SLOTS);
}

/* A thread that has read the number of its record is overtaken by another one, whose block has the same
 * slot: the older number comes last. */
Test(files, D3_older_number_replaces_no_newer)
{
    struct vm_journal *journal = &world.core.journal;
    struct vm_itable *table = mine->itable;
    uint64_t block = 3000;
    uint64_t alike = block + 1;
    while (slot_of(alike) != slot_of(block))
        alike++;
    world_checkpoint(mine);
    uint64_t older = journal->watermark;
    world_put(mine, world.home, 1);
    uint64_t newer = journal->sequence;
    cr_assert_gt(newer, older);
    vm_data_note_logged(mine, block);
    uint64_t last = table->logged_last;
    journal->sequence = older;
    vm_data_note_logged(mine, alike);
    journal->sequence = newer;
    cr_assert_eq(table->logged[slot_of(block)], newer);
    cr_assert_eq(table->logged_last, last);
    world_begin(mine);
    cr_assert_eq(vm_images_settle(mine, block * BLOCK, 1), 0);
    vm_tx_end(mine);
    cr_assert_geq(journal->watermark, newer, "the image has retired");
}

/* ---- H3, S5 ---- */

/* Changes nothing but bytes, as the tick of the clock is the same. */
static void write_text(uint64_t id, const char *text, bool is_atomic)
{
    uint64_t end;
    uint64_t sequence = atomic_load(&world.core.journal.sequence);
    const struct vm_data_range range = {
        .bytes = text, .len_bytes = strlen(text), .is_atomic = is_atomic};
    cr_assert_eq(vm_data_write(mine, id, range, &end), (int64_t)strlen(text));
    cr_assert_eq(atomic_load(&world.core.journal.sequence), sequence + is_atomic);
}

static void crash_without_the_newer_line(void)
{
    struct vm_watermark lines[2];
    for (unsigned copy = 0; copy < 2; copy++)
        cr_assert(vm_watermark_read(world.core.durable, copy, &lines[copy]));
    uint64_t newer =
        lines[1].watermark > lines[0].watermark ? VM_WATERMARK_B_BLOCK : VM_WATERMARK_A_BLOCK;
    world_forge(&world, newer * BLOCK + 56, &(uint64_t){0}, 8);
    world_crash(&world, NULL);
}

/* A record has images of the bytes that are stored over; one line has passed it. Without that line the record is
 * applied again, and no record names the watermark that was in it. */
Test(files, H3_a_lost_line_takes_back_no_store_in_place)
{
    char bytes[8];
    uint64_t id = file_new(mine);
    file_write(mine, id, 0, "before");
    write_text(id, "logged", true);
    world_checkpoint(mine);
    write_text(id, "stored", false);
    crash_without_the_newer_line();
    file_read(mine, id, 0, bytes, 6);
    cr_assert_arr_eq(bytes, "stored", 6);
}

/* The line that has not passed it yet is stored in the fence that there is anyway, and once. */
Test(files, H3_lines_cost_no_fence)
{
    uint64_t id = file_new(mine);
    file_write(mine, id, 0, "before");
    write_text(id, "logged", true);
    world_watch(&world);
    write_text(id, "stored", false);
    cr_assert_eq(world.fences, 3);
    cr_assert_eq(world.watermark_stores, 2);
    write_text(id, "logged", true);
    world_checkpoint(mine);
    world_watch(&world);
    write_text(id, "stored", false);
    cr_assert_eq(world.fences, 1);
    cr_assert_eq(world.watermark_stores, 1);
    write_text(id, "STORED", false);
    cr_assert_eq(world.fences, 2);
    cr_assert_eq(world.watermark_stores, 1);
}
