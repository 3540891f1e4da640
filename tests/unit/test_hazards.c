/* test_hazards.c -- one test for each hazard of the one-fence journal, red without its rule
 *
 * H13, H19 and H20 cannot arise in this library: no record revokes another, undo images do not
 * exist, and nobody is given a pointer through which stores bypass the journal. L1 is tested with
 * H6. What happens in the middle of a commit happens in its fence: see hazard_world.h. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "hazard_world.h"
#include "inode/data.h"
#include "journal/record.h"
#include "name/volume.h"

static struct world world;
static struct vm_ctx *const mine = &world.core.ctx;
static struct vm_ctx *const other = &world.other;

static void world_start(void)
{
    world_init(&world);
}

static void world_stop(void)
{
    world_fini(&world);
}

TestSuite(hazards, .init = world_start, .fini = world_stop, .timeout = 60);

static uint64_t word(unsigned number)
{
    return world.home + number * 64u;
}

static uint64_t lane_at(unsigned lane)
{
    return world.core.journal.lanes[lane].medium_offset;
}

/* The lanes that the two contexts use. */
#define MY_LANE    VM_LANES_SUPPLY
#define OTHER_LANE (VM_LANES_SUPPLY + 1)

/* A record of the first lane is retired, its place is never used again, and what it said is
 * outdated by one that is gone. */
Test(hazards, H1_stale_lane)
{
    world_put(mine, word(0), 1);
    world_put(other, word(0), 2);
    world_checkpoint(mine);
    world_put(other, word(1), 3);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, word(0)), 2);
    cr_assert_eq(world_word(&world, word(1)), 3);
    cr_assert_eq(world.core.journal.replayed, 1);
}

static uint64_t node_new(struct vm_ctx *ctx)
{
    uint64_t offset;
    world_begin(ctx);
    cr_assert_eq(vm_space_take_node(ctx, &offset), 0);
    vm_tx_fill(ctx, offset, VM_BLOCK_BYTES, 1);
    world_commit(ctx);
    return offset;
}

/* Takes `count` nodes, and gives them back: was this one among them? */
static bool node_is_found(struct vm_ctx *ctx, uint64_t wanted, unsigned count)
{
    bool is_found = false;
    world_begin(ctx);
    while (count-- > 0 && !is_found) {
        uint64_t offset;
        cr_assert_eq(vm_space_take_node(ctx, &offset), 0);
        is_found = offset == wanted;
    }
    vm_tx_end(ctx);
    return is_found;
}

static void node_free(struct vm_ctx *ctx, uint64_t offset)
{
    world_begin(ctx);
    vm_space_free(ctx, offset / VM_BLOCK_BYTES, 1);
    world_commit(ctx);
}

/* After a crash no chunk belongs to a pool. Nodes go into the chunk that is broken already; when one context
 * has that, the other's first choice is the first empty one, where the node was. */
static uint64_t node_in_empty_chunk(void)
{
    uint64_t node = node_new(mine);
    world_crash(&world, NULL);
    node_new(mine);
    return node;
}

Test(hazards, H2_reuse)
{
    uint64_t node = node_in_empty_chunk();
    node_free(mine, node);
    uint64_t watermark = world.core.journal.watermark;
    cr_assert_not(node_is_found(other, node, 20));
    cr_assert_eq(world.core.journal.watermark, watermark);
    world_crash(&world, NULL);
    node_new(mine);
    cr_assert(node_is_found(other, node, 20), "recovery has retired the record");
}

Test(hazards, H2_reuse_after_checkpoint)
{
    uint64_t node = node_in_empty_chunk();
    node_free(mine, node);
    world_checkpoint(mine);
    cr_assert(node_is_found(other, node, 20));
}

Test(hazards, H3_mixed_data)
{
    char bytes[8];
    uint64_t id = file_new(mine);
    file_write(mine, id, 0, "first");
    file_resize(mine, id, 100);
    file_write(mine, id, 50, "inplace");
    world_crash(&world, NULL);
    file_read(mine, id, 50, bytes, 7);
    cr_assert_arr_eq(bytes, "inplace", 7);
}

static void see_old_home(struct world *at)
{
    cr_assert_eq(world_word(at, word(0)), 1);
    cr_assert_eq(at->home_stores, 0);
    at->hits++;
}

Test(hazards, H4_early_home)
{
    world_put(mine, word(0), 1);
    world_watch(&world);
    world.at_fence = see_old_home;
    world_put(mine, word(0), 2);
    cr_assert_eq(world.hits, 1);
    cr_assert_eq(world_word(&world, word(0)), 2);
}

Test(hazards, H5_foreign_lines)
{
    world_put(mine, word(0), 1);
    uint64_t bit = vm_region_bit(&world.core.region, 3000).word_offset;
    world_begin(mine);
    vm_tx_blocks(mine, 3000, 70, true);
    vm_tx_mask(mine, word(1), 6, 2);
    vm_tx_fill(mine, word(2), 100, 9);
    world_commit(mine);
    world_checkpoint(other);
    world_crash(&world, NULL);
    cr_assert_eq(world.core.journal.replayed, 0);
    cr_assert_eq(world_word(&world, word(0)), 1);
    cr_assert_eq(world_word(&world, word(1)), 2);
    cr_assert_eq(world_word(&world, word(2)), 0x0909090909090909);
    cr_assert_eq(world_word(&world, word(3) + 24), 0x0909090909090909);
    cr_assert_eq(world_word(&world, bit), ~(uint64_t)0 << 3000 % 64);
}

static void see_locked(struct world *at)
{
    struct vm_stripe *stripe = vm_stripe_of(&at->core.ctx, at->id);
    cr_assert_not(vm_lock_try(&stripe->lock));
    cr_assert_eq(vm_stripe_version(stripe), at->number);
    at->hits++;
}

static void see_window(struct world *at, uint64_t offset)
{
    struct vm_stripe *stripe = vm_stripe_of(&at->core.ctx, at->id);
    uint64_t lanes_end = at->core.region.lane_offset +
                         (uint64_t)at->core.region.lane_count * at->core.region.lane_bytes;
    if (offset < lanes_end)
        return;
    cr_assert_not(vm_lock_try(&stripe->lock));
    cr_assert_eq(vm_stripe_version(stripe) & 1, 1);
    at->number = vm_stripe_version(stripe) + 1;
    at->hits++;
}

/* The write overlaps nothing that is visible, then the inode's home is stored. */
Test(hazards, H6_early_unlock)
{
    world.id = file_new(mine);
    world.number = vm_stripe_version(vm_stripe_of(mine, world.id));
    world.at_fence = see_locked;
    file_write(mine, world.id, 0, "some");
    cr_assert_eq(world.hits, 2, "payload and record");
    cr_assert_eq(vm_stripe_version(vm_stripe_of(mine, world.id)), world.number + 2);
    world_watch(&world);
    world.at_store = see_window;
    file_resize(mine, world.id, 2);
    cr_assert_gt(world.hits, 0);
    struct vm_stripe *stripe = vm_stripe_of(mine, world.id);
    cr_assert_eq(vm_stripe_version(stripe), world.number);
    cr_assert(vm_lock_try(&stripe->lock));
    vm_lock_release(&stripe->lock, mine->region->platform);
}

static void end_other_checkpoint(struct world *at)
{
    vm_lock_release(&at->core.journal.checkpoint_lock, at->core.region.platform);
    at->hits++;
}

/* Stages the largest record that a step can be asked to write. */
static void stage_largest(uint64_t value)
{
    for (unsigned line = 0; vm_tx_has_room(mine, 0, 1) && line < 160; line++)
        world_stage(mine, world.home + (line % 64) * 64u + (line / 64) * 16u, value);
    unsigned entries = 0;
    while (vm_tx_has_room(mine, 1, 0) && entries++ < VM_TX_ENTRIES_MAX)
        vm_tx_mask(mine, word(63) + 56, 1, value & 1);
}

/* Somebody else is at the checkpoint, so the lane fills up; whoever begins then must wait. */
Test(hazards, H7_full_lane)
{
    struct vm_lane *lane = &world.core.journal.lanes[MY_LANE];
    uint32_t lane_bytes = world.core.journal.lane_bytes;
    uint32_t record_max = world.core.journal.record_max;
    cr_assert(vm_lock_try(&world.core.journal.checkpoint_lock));
    world.at_wait = end_other_checkpoint;
    for (uint64_t value = 1; value < 40; value++) {
        uint32_t tail = lane->ring_tail;
        world_begin(mine);
        cr_assert(vm_lane_has_room(lane, lane_bytes, record_max), "step %lu", value);
        cr_assert(world.hits > 0 || lane->ring_tail == tail);
        stage_largest(value);
        world_commit(mine);
        world_put(other, word(63), value);
    }
    cr_assert_eq(world.hits, 1);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, word(0)), 39);
    cr_assert_eq(world_word(&world, word(63)), 39);
}

static void overtake(struct world *at)
{
    uint64_t number = at->core.journal.sequence;
    world_put(other, word(1), 8);
    for (int turn = 0; turn < 3; turn++)
        cr_assert_geq(vm_checkpoint(other, true), 0);
    cr_assert_lt(at->core.journal.watermark, number);
    at->hits++;
}

/* A checkpoint inside the record's fence: had W passed the record, its homes would be lost. */
Test(hazards, H8_horizon)
{
    world.at_fence = overtake;
    world_put(mine, word(0), 7);
    cr_assert_eq(world.hits, 1);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, word(0)), 7);
    cr_assert_eq(world_word(&world, word(1)), 8);
}

static void checkpoint_between_homes(struct world *at, uint64_t offset)
{
    if (offset < word(0) || at->hits++ == 0)
        return;
    uint64_t number = at->core.journal.sequence;
    cr_assert_geq(vm_checkpoint(other, true), 0);
    cr_assert_lt(at->core.journal.watermark, number);
}

/* The same when some homes are stored and others not yet. */
Test(hazards, H8_half_stored)
{
    world.at_store = checkpoint_between_homes;
    world_begin(mine);
    world_stage(mine, word(0), 7);
    world_stage(mine, word(5), 8);
    world_commit(mine);
    cr_assert_eq(world.hits, 2);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, word(0)), 7);
    cr_assert_eq(world_word(&world, word(5)), 8);
}

static void see_payload_first(struct world *at)
{
    cr_assert_eq(at->lane_stores, at->fences - 1);
    cr_assert(at->fences > 1 || at->home_stores > 0);
}

Test(hazards, H9_payload)
{
    uint64_t node = node_new(mine);
    world_checkpoint(mine);
    world_watch(&world);
    world.at_fence = see_payload_first;
    world_begin(mine);
    vm_tx_payload(mine, node, "payload", 8);
    world_stage(mine, word(0), node);
    world_commit(mine);
    cr_assert_eq(world.fences, 2);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, word(0)), node);
    cr_assert_str_eq((const char *)world.core.memory + node, "payload");
}

static void share_words(struct vm_ctx *first, struct vm_ctx *second)
{
    uint64_t bits = vm_region_bit(&world.core.region, 3008).word_offset;
    uint64_t before = world_word(&world, bits);
    world_put(mine, word(0), 0xf000);
    world_checkpoint(mine);
    world_begin(first);
    world_begin(second);
    vm_tx_mask(first, word(0), 0x1001, 1);
    vm_tx_blocks(first, 3008, 1, true);
    vm_tx_mask(second, word(0), 0x2002, 2);
    vm_tx_blocks(second, 3009, 2, true);
    world_commit(first);
    world_commit(second);
    cr_assert_eq(world_word(&world, word(0)), 0xc003);
    world_crash(&world, NULL);
    cr_assert_eq(world.core.journal.replayed, 2);
    cr_assert_eq(world_word(&world, word(0)), 0xc003);
    cr_assert_eq(world_word(&world, bits), before | 7);
}

Test(hazards, H10_shared_word)
{
    share_words(mine, other);
}

Test(hazards, H10_shared_word_other_order)
{
    share_words(other, mine);
}

static void take_too_early(struct world *at)
{
    struct vm_bit bit = vm_region_bit(&at->core.region, at->number / VM_BLOCK_BYTES);
    cr_assert_eq(world_word(at, bit.word_offset) >> bit.bit & 1, 1);
    cr_assert_not(node_is_found(other, at->number, 20));
    at->hits++;
}

Test(hazards, H11_early_free)
{
    world.number = node_new(mine);
    uint64_t node = world.number;
    world_crash(&world, NULL);
    world.number = node;
    world.at_fence = take_too_early;
    node_free(mine, node);
    cr_assert_eq(world.hits, 1);
}

static void see_ring_kept(struct world *at)
{
    const struct vm_lane *lane = &at->core.journal.lanes[MY_LANE];
    cr_assert_eq(lane->ring_head - lane->ring_tail, 1);
    cr_assert_eq(at->watermark_stores, at->fences - 1);
    cr_assert_eq(at->core.journal.watermark, at->number);
}

Test(hazards, H12_watermark_order)
{
    const struct vm_lane *lane = &world.core.journal.lanes[MY_LANE];
    world_put(mine, word(0), 5);
    world_watch(&world);
    world.number = world.core.journal.watermark;
    world.at_fence = see_ring_kept;
    cr_assert_eq(vm_checkpoint(other, true), 1);
    cr_assert_eq(world.fences, 2);
    cr_assert_eq(lane->ring_head, lane->ring_tail);
}

static void checkpoint_below_mark(struct world *at)
{
    const struct vm_lane *lane = &at->core.journal.lanes[OTHER_LANE];
    uint64_t number = at->core.journal.sequence;
    world_put(other, word(1), 8);
    cr_assert_eq(vm_checkpoint(other, true), 1);
    cr_assert_eq(at->core.journal.watermark, number - 1);
    cr_assert_eq(lane->ring_head - lane->ring_tail, 1);
    at->hits++;
}

/* W rises to a record of one lane; what another lane holds above it stays. */
Test(hazards, H12_above_watermark)
{
    world_put(mine, word(0), 6);
    world.at_fence = checkpoint_below_mark;
    world_put(mine, word(0), 7);
    cr_assert_eq(world.hits, 1);
    world_crash(&world, NULL);
    cr_assert_eq(world.core.journal.replayed, 2);
    cr_assert_eq(world_word(&world, word(0)), 7);
    cr_assert_eq(world_word(&world, word(1)), 8);
}

static void fail_checkpoint(unsigned fence)
{
    const struct vm_lane *lane = &world.core.journal.lanes[MY_LANE];
    world_put(mine, word(0), 5);
    world_watch(&world);
    world.fence_failing = fence;
    cr_assert_lt(vm_checkpoint(other, true), 0);
    cr_assert_eq(lane->ring_head - lane->ring_tail, 1);
    cr_assert_eq(world.watermark_stores, fence - 1);
    cr_assert_eq(vm_tx_begin(mine), -VMFS_R_POISONED);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, word(0)), 5);
}

Test(hazards, H12_first_fence_fails)
{
    fail_checkpoint(1);
}

Test(hazards, H12_second_fence_fails)
{
    fail_checkpoint(2);
}

/* Recovers what the medium holds, apart from the world's own contexts. */
static int recover_by_hand(struct vm_journal *journal)
{
    struct vm_ctx ctx = world_bare_ctx(&world);
    memset(journal, 0, sizeof *journal);
    ctx.journal = journal;
    cr_assert_eq(vm_journal_init(&ctx, journal), 0);
    int result = vm_journal_recover(&ctx, journal, true);
    vm_journal_fini(journal);
    return result;
}

static struct vm_journal by_hand;

/* A record that never arrived in its life turns up in the next one, with a number above W. */
Test(hazards, H14_resurrection)
{
    uint8_t late[128];
    uint64_t nonce = world.core.journal.era.nonce;
    world_put(mine, word(0), 1);
    world_put(other, word(0), 2);
    uint64_t sequence = world.core.journal.sequence;
    uint64_t place = lane_at(OTHER_LANE) + world.core.journal.lanes[OTHER_LANE].write_at;
    world_put(other, word(0), 3);
    memcpy(late, world.core.memory + place, sizeof late);
    world_forge(&world, place, (uint8_t[128]){0}, sizeof late);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, word(0)), 2);
    cr_assert_eq(world.core.journal.replayed, 2);
    cr_assert_neq(world.core.journal.era.nonce, nonce);
    cr_assert_geq(world.core.journal.sequence, sequence);
    world_forge(&world, place, late, sizeof late);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, word(0)), 2);
    cr_assert_eq(world.core.journal.replayed, 0);
}

static void see_era_after_homes(struct world *at, uint64_t offset)
{
    if (offset / VM_BLOCK_BYTES == VM_WATERMARK_A_BLOCK ||
        offset / VM_BLOCK_BYTES == VM_WATERMARK_B_BLOCK) {
        cr_assert_eq(at->home_stores_unfenced, 0);
        at->hits++;
    }
}

Test(hazards, H14_era_after_homes)
{
    world_put(mine, word(0), 1);
    world_lose_power(&world);
    world.at_store = see_era_after_homes;
    cr_assert_eq(recover_by_hand(&by_hand), 0);
    cr_assert_eq(world.hits, 2);
    cr_assert_eq(by_hand.replayed, 1);
}

Test(hazards, H15_moved_record)
{
    uint8_t record[128];
    world_put(mine, word(0), 1);
    memcpy(record, world.core.memory + lane_at(MY_LANE), sizeof record);
    world_forge(&world, lane_at(MY_LANE) + 4096, record, sizeof record);
    world_forge(&world, lane_at(OTHER_LANE), record, sizeof record);
    world_lose_power(&world);
    int result = recover_by_hand(&by_hand);
    cr_assert_eq(result, 0, "%s", vmfs_reason_str(-result));
    cr_assert_eq(by_hand.replayed, 1);
    cr_assert_eq(world_word(&world, word(0)), 1);
}

/* A record of this era with a true check, `ahead` numbers above the last. */
static void forge_record(uint64_t ahead, uint64_t at, uint64_t target, bool is_mask)
{
    uint8_t bytes[256] = {0};
    struct vm_record_writer writer;
    const struct vm_record_totals totals = {0, 0, 0};
    const struct vm_entry mask = {
        .kind = VM_ENTRY_MASK, .place = target, .first = ~(uint64_t)0, .second = 99};
    struct vm_le64 value = vm_put64(99);
    vm_record_start(&writer, bytes, sizeof bytes);
    if (is_mask)
        vm_record_words(&writer, &mask);
    else
        vm_record_run(&writer, target, &value, sizeof value);
    vm_record_end_run(&writer);
    vm_record_finish(&writer, &world.core.journal.era, world.core.journal.sequence + ahead,
                     world.core.journal.watermark, &totals);
    vm_record_seal(bytes, at);
    world_forge(&world, at, bytes, sizeof bytes);
}

Test(hazards, H15_forbidden_target)
{
    const uint64_t targets[] = {VM_SUPER_A_BLOCK * VM_BLOCK_BYTES,
                                VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES + 16,
                                VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES,
                                VM_SUPER_B_BLOCK * VM_BLOCK_BYTES + 8,
                                VM_OWNER_BLOCK * VM_BLOCK_BYTES,
                                lane_at(0),
                                lane_at(3) + 4096,
                                WORLD_BYTES};
    for (unsigned index = 0; index < 2 * sizeof targets / sizeof *targets; index++) {
        forge_record(1, lane_at(MY_LANE), word(0), false);
        forge_record(2, lane_at(OTHER_LANE), targets[index / 2], index % 2);
        world_watch(&world);
        cr_assert_eq(recover_by_hand(&by_hand), -VMFS_R_RECORD_TARGET, "target %u", index);
        cr_assert_eq(world.home_stores + world.lane_stores + world.watermark_stores, 0);
        cr_assert_eq(world_word(&world, word(0)), 0);
    }
    forge_record(2, lane_at(OTHER_LANE), word(1), true);
    cr_assert_eq(recover_by_hand(&by_hand), 0);
    cr_assert_eq(world_word(&world, word(0)), 99);
    cr_assert_eq(world_word(&world, word(1)), 99);
}

static void fail_commit(bool is_durable)
{
    world_put(mine, word(0), 1);
    world_watch(&world);
    world.fence_failing = 1;
    world.is_failing_fence_durable = is_durable;
    world_begin(mine);
    world_stage(mine, word(0), 2);
    cr_assert_eq(vm_tx_commit(mine), -VMFS_R_SYSTEM);
    vm_tx_end(mine);
    cr_assert_eq(world_word(&world, word(0)), 1);
    cr_assert(world.core.journal.is_poisoned);
    cr_assert_eq(vm_tx_begin(mine), -VMFS_R_POISONED);
    cr_assert_eq(vm_tx_begin(other), -VMFS_R_POISONED);
    world_crash(&world, NULL);
    cr_assert_eq(world_word(&world, word(0)), is_durable ? 2 : 1);
    world_put(mine, word(0), 3);
}

Test(hazards, H16_half_failed_op)
{
    fail_commit(false);
}

Test(hazards, H16_half_failed_op_durable)
{
    fail_commit(true);
}

Test(hazards, H16_failed_payload_fence)
{
    uint64_t end;
    uint64_t id = file_new(mine);
    world_watch(&world);
    world.fence_failing = 1;
    struct vm_data_range range = {.bytes = "bytes", .len_bytes = 5};
    cr_assert_lt(vm_data_write(mine, id, range, &end), 0);
    cr_assert_eq(vm_tx_begin(other), -VMFS_R_POISONED);
    world_crash(&world, NULL);
    cr_assert_eq(file_size(mine, id), 0);
}

#define CHUNK_BYTES ((uint64_t)VM_CHUNK_BLOCKS * VM_BLOCK_BYTES)

Test(hazards, H17_backed_block)
{
    uint64_t offset;
    world_crash(&world, NULL);
    struct vm_totals before = vm_journal_totals(&world.core.journal);
    world.is_back_failing = true;
    world_begin(mine);
    cr_assert_eq(vm_space_take_node(mine, &offset), -VMFS_R_BACKING);
    vm_tx_end(mine);
    cr_assert_eq(vm_journal_totals(&world.core.journal).blocks_free, before.blocks_free);
    cr_assert_eq(world.home_stores + world.lane_stores, 0);
    world_watch(&world);
    world_begin(mine);
    cr_assert_eq(vm_space_take_node(mine, &offset), 0);
    cr_assert_eq(world.chunks_backed >> offset / CHUNK_BYTES & 1, 1);
    vm_tx_end(mine);
}

static void see_backed(struct world *at, uint64_t offset)
{
    if (offset / VM_BLOCK_BYTES == VM_WATERMARK_A_BLOCK ||
        offset / VM_BLOCK_BYTES == VM_WATERMARK_B_BLOCK)
        return;
    cr_assert_eq(at->chunks_backed >> offset / CHUNK_BYTES & 1, 1);
    at->hits++;
}

Test(hazards, H17_backed_replay)
{
    uint64_t far = WORLD_BYTES - VM_BLOCK_BYTES;
    uint64_t far_before = world_word(&world, far);
    world_put(mine, word(0), 1);
    world_put(mine, far, 1);
    world_lose_power(&world);
    world.is_back_failing = true;
    cr_assert_eq(recover_by_hand(&by_hand), -VMFS_R_BACKING);
    cr_assert_eq(world.home_stores + world.watermark_stores, 0);
    cr_assert_eq(world_word(&world, word(0)), 0);
    cr_assert_eq(world_word(&world, far), far_before);
    world_watch(&world);
    world.at_store = see_backed;
    cr_assert_eq(recover_by_hand(&by_hand), 0);
    cr_assert_geq(world.hits, 2);
    cr_assert_eq(world_word(&world, far), 1);
}

/* Runs `change` with the power cut at each of its fences in turn, and at none; after each crash
 * `check` must hold. Every second run leaves some of what was not durable. */
static void cut_everywhere(void (*prepare)(void), void (*change)(void), void (*check)(void))
{
    static bool is_whole;
    static uint64_t fence;
    is_whole = false;
    for (fence = 1; !is_whole; fence++) {
        struct seed seed;
        seed_init(&seed, fence);
        world_fini(&world);
        world_init(&world);
        prepare();
        world_watch(&world);
        world.core.fences_left = (fence + 1) / 2;
        if (setjmp(world.core.cut) == 0) {
            change();
            is_whole = true;
        }
        world_crash(&world, fence % 2 ? NULL : &seed);
        check();
    }
    cr_assert_gt(fence, 3);
}

static void prepare_file(void)
{
    world.id = file_new(mine);
    file_write(mine, world.id, 0, "old");
}

static void change_file(void)
{
    file_write(mine, world.id, 3, " and new");
    file_resize(mine, world.id, 9000);
    file_write(mine, world.id, 8192, "far");
    file_resize(mine, world.id, 5);
}

static void check_file(void)
{
    char bytes[3];
    uint64_t size = file_size(mine, world.id);
    cr_assert(size == 3 || size == 11 || size == 9000 || size == 5, "size %lu", size);
    file_read(mine, world.id, 0, bytes, 3);
    cr_assert_arr_eq(bytes, "old", 3);
}

Test(hazards, H18_checksum_span)
{
    cut_everywhere(prepare_file, change_file, check_file);
}

static int64_t read_size(struct vm_ctx *ctx, void *arg)
{
    struct vm_inode inode;
    int result = vm_inode_load(ctx, *(const uint64_t *)arg, &inode);
    return result ? result : (int64_t)vm_inode_size(&inode);
}

static void see_old_size(struct world *at)
{
    cr_assert_eq(vm_read_stable(other, at->id, read_size, &at->id), 3);
    at->hits++;
}

Test(hazards, H21_early_reader)
{
    prepare_file();
    world.at_fence = see_old_size;
    file_resize(mine, world.id, 1000);
    cr_assert_eq(world.hits, 1);
    cr_assert_eq(vm_read_stable(other, world.id, read_size, &world.id), 1000);
}

static void see_recovery_order(struct world *at, uint64_t offset)
{
    uint64_t block = offset / VM_BLOCK_BYTES;
    bool is_home = offset >= word(0) && offset < word(64);
    bool is_watermark = block == VM_WATERMARK_A_BLOCK || block == VM_WATERMARK_B_BLOCK;
    if (at->watermark_stores < 2 || at->fences < 3)
        cr_assert(is_home || is_watermark, "store at %lu", offset);
    if (is_home)
        cr_assert_eq(at->watermark_stores, 0);
    at->hits++;
}

/* One superblock copy is damaged, so that there is more to store than homes. */
Test(hazards, H22_replay_under_traffic)
{
    static struct vm_volume volume;
    const uint8_t zero[8] = {0};
    world_put(mine, word(0), 1);
    world_forge(&world, VM_SUPER_A_BLOCK * VM_BLOCK_BYTES, zero, sizeof zero);
    world_lose_power(&world);
    world.at_store = see_recovery_order;
    volume.region.platform = &world.platform;
    struct vm_ctx ctx = world_bare_ctx(&world);
    vm_volume_bind(&volume, &ctx);
    cr_assert_eq(vm_volume_probe(&volume, &ctx, world.core.memory, WORLD_BYTES, false), 0);
    cr_assert_eq(vm_volume_attach(&volume, &ctx, true), 0);
    cr_assert_eq(volume.journal.replayed, 1);
    cr_assert_eq(world.watermark_stores, 2);
    cr_assert_gt(world.super_stores, 0);
    vm_volume_fini(&volume, &ctx);
}

/* With every second word of what is on its way lost, the region still says something sound. */
static void see_sound_super(struct world *at)
{
    for (unsigned parity = 0; parity < 2; parity++) {
        struct vm_err err = {0};
        struct vm_super_choice choice = {.is_read_only = false};
        struct vm_super_media super;
        uint8_t *image = world_torn(at, parity);
        cr_assert_eq(vm_super_load(&err, image, WORLD_BYTES, &choice, &super), 0);
        uint64_t generation = vm_get64(super.generation);
        cr_assert(generation == at->number || generation == at->number + 1);
        cr_assert_eq(super.label[0], generation == at->number ? 'a' : 'b');
        cr_assert_eq(super.label[VM_LABEL_BYTES - 1], super.label[0]);
        free(image);
    }
    at->hits++;
}

Test(hazards, S1_superblock)
{
    struct vm_super_media super;
    struct vm_super_choice choice = {.is_read_only = false};
    cr_assert_eq(vm_super_load(&mine->err, world.core.memory, WORLD_BYTES, &choice, &super), 0);
    memset(super.label, 'a', sizeof super.label);
    cr_assert_eq(vm_super_publish(&mine->io, &super), 0);
    world_watch(&world);
    world.number = vm_get64(super.generation);
    world.at_fence = see_sound_super;
    memset(super.label, 'b', sizeof super.label);
    cr_assert_eq(vm_super_publish(&mine->io, &super), 0);
    cr_assert_eq(world.hits, 2);
}

static void see_sound_watermark(struct world *at)
{
    for (unsigned parity = 0; parity < 2; parity++) {
        struct vm_err err = {0};
        struct vm_watermark line;
        unsigned copy;
        uint8_t *image = world_torn(at, parity);
        cr_assert_eq(vm_watermark_load(&err, image, &line, &copy), 0);
        cr_assert_eq(line.watermark, at->core.journal.watermark);
        free(image);
    }
    at->hits++;
}

Test(hazards, S2_watermark)
{
    for (uint64_t value = 1; value < 4; value++) {
        world_put(mine, word(0), value);
        world_watch(&world);
        world.at_fence = see_sound_watermark;
        world_checkpoint(mine);
        cr_assert_eq(world.hits, 2);
    }
}

static void see_watermark_kept(struct world *at)
{
    for (unsigned parity = 0; parity < 2; parity++) {
        struct vm_err err = {0};
        struct vm_watermark line;
        unsigned copy;
        uint8_t *image = world_torn(at, parity);
        cr_assert_eq(vm_watermark_load(&err, image, &line, &copy), 0);
        cr_assert_geq(line.watermark, at->number);
        free(image);
    }
    at->hits++;
}

/* Recovery begins with the copy that it can do without, whichever that is. */
Test(hazards, S2_watermark_in_recovery)
{
    for (uint64_t value = 1; value < 4; value++) {
        world_put(mine, word(0), value);
        world_checkpoint(mine);
        world.number = world.core.journal.watermark;
        world_lose_power(&world);
        world.at_fence = see_watermark_kept;
        cr_assert_eq(recover_by_hand(&by_hand), 0);
        cr_assert_eq(world.hits, 2);
        world_crash(&world, NULL);
    }
}

Test(hazards, T1_generation)
{
    struct vm_inode inode;
    uint64_t old = file_new(mine);
    file_free(mine, old);
    world_crash(&world, NULL);
    uint64_t new = file_new(mine);
    cr_assert_eq(vm_id_slot(new), vm_id_slot(old));
    cr_assert_gt(vm_id_generation(new), vm_id_generation(old));
    cr_assert_eq(vm_inode_load(mine, old, &inode), -VMFS_R_INODE_STALE);
    cr_assert_eq(vm_inode_load(mine, new, &inode), 0);
}

static void take_slot_too_early(struct world *at)
{
    uint64_t id;
    uint64_t offset;
    struct vm_chunk_media head;
    cr_assert_eq(vm_table_chunk(other, 0, &offset, &head), 1);
    cr_assert_eq(vm_get64(head.used[0]) >> vm_id_slot(at->id) & 1, 1);
    world_begin(other);
    cr_assert_eq(vm_table_take(other, &id, &offset), 0);
    cr_assert_neq(vm_id_slot(id), vm_id_slot(at->id));
    vm_tx_end(other);
    at->hits++;
}

Test(hazards, T1_early_slot)
{
    world.id = file_new(mine);
    world_crash(&world, NULL);
    world.at_fence = take_slot_too_early;
    file_free(mine, world.id);
    cr_assert_eq(world.hits, 1);
}

static void prepare_linked(void)
{
    world.id = file_new(mine);
}

static void change_links(void)
{
    file_set_nlink(mine, world.id, 0);
    file_set_nlink(mine, world.id, 1);
    file_set_nlink(mine, world.id, 0);
}

static void check_orphan(void)
{
    struct vm_inode inode;
    cr_assert_eq(vm_inode_load(mine, world.id, &inode), 0);
    bool is_orphan = vm_inode_nlink(&inode) == 0;
    cr_assert_eq(file_is_marked_orphan(mine, world.id), is_orphan);
    cr_assert_eq(vm_journal_totals(&world.core.journal).orphans, is_orphan);
}

Test(hazards, N2_orphan_bit)
{
    cut_everywhere(prepare_linked, change_links, check_orphan);
}

Test(hazards, D1_append)
{
    char bytes[8];
    prepare_file();
    world_watch(&world);
    world.at_fence = see_payload_first;
    file_write(mine, world.id, 3, "tail");
    cr_assert_eq(world.fences, 2);
    world_crash(&world, NULL);
    file_read(mine, world.id, 0, bytes, 7);
    cr_assert_arr_eq(bytes, "oldtail", 7);
}

static void check_zeros(uint64_t from, uint64_t to)
{
    char bytes[64];
    const char zero[64] = {0};
    file_read(mine, world.id, from, bytes, to - from);
    cr_assert_arr_eq(bytes, zero, to - from);
}

static void leave_old_bytes(void)
{
    world.id = file_new(mine);
    file_write(mine, world.id, 0, "these bytes will lie behind the end");
    file_resize(mine, world.id, 5);
}

Test(hazards, D2_grow)
{
    leave_old_bytes();
    file_resize(mine, world.id, 40);
    check_zeros(5, 40);
    world_crash(&world, NULL);
    check_zeros(5, 40);
}

Test(hazards, D2_write_behind)
{
    leave_old_bytes();
    file_write(mine, world.id, 30, "far");
    check_zeros(5, 30);
    world_crash(&world, NULL);
    check_zeros(5, 30);
}

/* Each extent is sound, but between them no span of the file would ever end. */
Test(hazards, I_extents_out_of_order)
{
    const struct vm_extent extents[2] = {
        {.file_block = 5, .block = 3000, .blocks = 1, .birth = 1},
        {.file_block = 0, .block = 3001, .blocks = 1, .birth = 1},
    };
    struct vm_inode inode = {.offset = world.home};
    inode.m.form = VM_BODY_EXTENTS;
    inode.m.size = vm_put64(8 * (uint64_t)VM_BLOCK_BYTES);
    for (unsigned index = 0; index < 2; index++)
        vm_extent_store(mine->region, &extents[index], &inode.m.body.extents[index]);
    char byte;
    cr_assert_eq(vm_data_read(mine, &inode, &byte, 1, 20580), -VMFS_R_EXTENT_ORDER);
}

/* A watermark that cannot rise any more is waited for by nobody. */
Test(hazards, H16_checkpoint_after_poison)
{
    world.id = file_new(mine);
    world.core.journal.is_poisoned = true;
    cr_assert_eq(vm_checkpoint_all(mine), -VMFS_R_POISONED);
}

/* As another thread does that meets the loss of a page (VMFS_GUARD). */
static void poison(struct world *at)
{
    atomic_store(&at->core.journal.is_poisoned, true);
    atomic_store(&by_hand.is_poisoned, true);
}

Test(hazards, H16_poisoned_in_payload_fence)
{
    uint64_t node = node_new(mine);
    world_watch(&world);
    world.at_fence = poison;
    world_begin(mine);
    vm_tx_payload(mine, node, "payload", 8);
    world_stage(mine, word(0), node);
    cr_assert_eq(vm_tx_commit(mine), -VMFS_R_POISONED);
    vm_tx_end(mine);
    cr_assert_eq(world.lane_stores, 0);
}

Test(hazards, H16_poisoned_in_checkpoint)
{
    world_put(mine, word(0), 5);
    world_watch(&world);
    world.at_fence = poison;
    cr_assert_eq(vm_checkpoint(other, true), -VMFS_R_POISONED);
    cr_assert_eq(world.watermark_stores, 0);
}

Test(hazards, H16_poisoned_in_recovery)
{
    world_put(mine, word(0), 5);
    world_lose_power(&world);
    world_watch(&world);
    world.at_fence = poison;
    cr_assert_eq(recover_by_hand(&by_hand), -VMFS_R_POISONED);
    cr_assert_eq(world.watermark_stores, 0);
}
