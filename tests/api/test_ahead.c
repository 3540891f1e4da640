/* test_ahead.c -- what a call meets all at once costs it no more than four fences (B1)
 *
 * The state is built on purpose: a full lane, a full chunk of inodes, a full leaf, no node left, and no
 * empty chunk in any group that has begun. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "api/handle.h"
#include "base/util.h"
#include "fixture.h"
#include "inode/table.h"
#include "space/pool.h"

#define MOST 4u
#define MIB2 ((uint64_t)2 << 20)

static struct fixture fixture;
static struct vmfs *fs;
static uint64_t fences_most; /* of any call */

static uint64_t fences_now(void)
{
    struct vmfs_counters counters;
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &counters));
    return counters.fences;
}

static uint64_t create(const char *dir, unsigned number)
{
    char path[64];
    snprintf(path, sizeof path, "/%s/e-%u", dir, number);
    uint64_t before = fences_now();
    expect_ok(vmfs_mknod(fs, path, VMFS_S_IFREG | 0600, 0));
    uint64_t fences = fences_now() - before;
    fences_most = fences > fences_most ? fences : fences_most;
    return fences;
}

/* The only lane that this thread has used. */
static uint32_t own_lane(void)
{
    uint32_t lane = VM_LANES_SUPPLY;
    while (!fs->volume.itable->words[lane].is_valid)
        lane++;
    return lane;
}

static struct vm_pool *node_pool(uint32_t lane)
{
    return &fs->volume.space->pools[lane * VM_POOLS_OF_LANE + VM_POOL_NODES];
}

static struct vm_tx *tx_of(uint32_t lane)
{
    return &fs->volume.journal.lanes[lane].tx;
}

/* As if a pool's blocks had been taken, but for the first `left`. */
static void drain(struct vm_pool *pool, unsigned left)
{
    struct vm_group *group = &fs->volume.space->groups[pool->chunk / VM_GROUP_CHUNKS];
    tx_of((uint32_t)((size_t)(pool - fs->volume.space->pools) / VM_POOLS_OF_LANE))->has_taken =
        true;
    group->full |= (uint64_t)1 << pool->chunk % VM_GROUP_CHUNKS;
    for (unsigned block = 0; block < VM_CHUNK_BLOCKS; block++) {
        uint64_t bit = (uint64_t)1 << block % 64;
        if (pool->free[block / 64] & bit && left)
            left--;
        else
            pool->free[block / 64] &= ~bit;
    }
}

static bool is_empty(uint64_t chunk)
{
    const struct vm_region *region = &fs->volume.region;
    uint64_t block = vm_chunk_first_block(region, chunk);
    if (block + VM_CHUNK_BLOCKS > region->blocks)
        return false;
    for (unsigned at = 0; at < VM_CHUNK_BLOCKS; at += 64)
        if (vm_load64_home(region, vm_region_bit(region, block + at).word_offset))
            return false;
    return !(fs->volume.space->groups[chunk / VM_GROUP_CHUNKS].claimed >> chunk % VM_GROUP_CHUNKS &
             1);
}

static bool has_empty_chunk(void)
{
    uint64_t ready = fs->volume.space->ready;
    for (uint64_t chunk = 0; chunk < ready * VM_GROUP_CHUNKS; chunk++)
        if (is_empty(chunk))
            return true;
    return false;
}

static void use_up_groups(void)
{
    struct vmfs_file *file = fixture_file(&fixture, "/big", VMFS_O_CREAT | VMFS_O_RDWR);
    for (uint64_t offset = 0; has_empty_chunk(); offset += MIB2)
        expect_ok(vmfs_file_allocate(file, 0, offset, MIB2));
    expect_ok(vmfs_file_close(file));
}

static void fill_leaf(void)
{
    expect_ok(vmfs_mkdir(fs, "/full", 0700));
    expect_ok(vmfs_mkdir(fs, "/other", 0700));
    create("other", 0);
    for (unsigned number = 0; number < VM_CELL_COUNT; number++) {
        char path[64];
        snprintf(path, sizeof path, "/full/l-%u", number);
        expect_ok(vmfs_link(fs, "/other/e-0", path));
    }
}

/* Until the last word of a chunk of inodes has so many slots left. */
static void use_up_slots(unsigned left)
{
    static unsigned number = 1;
    const struct vm_itable *table = fs->volume.itable;
    const struct vm_slot_word *slots = &table->words[own_lane()];
    unsigned last = (unsigned)((table->slots_per_chunk - 1) / 64);
    while (slots->word != last || vm_popcount64(slots->free) != left)
        create("other", number++);
}

/* Nobody can pass W meanwhile. */
static void fill_lane(void)
{
    struct vm_journal *journal = &fs->volume.journal;
    const struct vm_lane *lane = &journal->lanes[own_lane()];
    cr_assert(vm_lock_try(&journal->checkpoint_lock));
    for (unsigned mode = 0; vm_lane_has_room(lane, journal->lane_bytes, journal->record_max);
         mode++)
        expect_ok(vmfs_chmod(fs, "/other/e-0", mode % 512));
    vm_lock_release(&journal->checkpoint_lock, fs->volume.region.platform);
}

Test(ahead, create_that_meets_everything)
{
    fixture_open(&fixture, "ahead", 320 * REGION_MIB);
    fs = fixture.fs;
    fill_leaf();
    use_up_slots(12);
    use_up_groups();
    uint64_t groups = fs->volume.space->ready;
    uint64_t chunks = fs->volume.itable->chunk_count;
    cr_assert_lt(groups, fs->volume.region.group_count, "another group can begin");
    drain(node_pool(VM_LANE_INODES), 0);
    use_up_slots(0);
    drain(node_pool(own_lane()), 2);
    fill_lane();
    uint64_t fences = create("full", 0);
    cr_assert_eq(fs->volume.space->ready, groups + 1);
    cr_assert_eq(fs->volume.itable->chunk_count, chunks + 1);
    cr_assert_eq(fences, MOST, "a slice of the checkpoint, new leaves, the record: %llu",
                 (unsigned long long)fences);
    cr_assert_leq(fences_most, MOST);
    fixture_close(&fixture);
}

/* Nodes and slots are low behind a call that has cost as much as one may: they are left to the next. */
Test(ahead, only_with_fences_to_spare)
{
    fixture_open(&fixture, "spare", 64 * REGION_MIB);
    fs = fixture.fs;
    fill_leaf();
    use_up_slots(9);
    drain(node_pool(VM_LANE_INODES), 0);
    drain(node_pool(own_lane()), 5);
    uint64_t chunk = node_pool(own_lane())->chunk;
    uint64_t chunks = fs->volume.itable->chunk_count;
    fill_lane();
    cr_assert_eq(create("full", 0), MOST);
    cr_assert_eq(fs->volume.itable->chunk_count, chunks);
    cr_assert_eq(node_pool(own_lane())->chunk, chunk);
    for (unsigned mode = 0; mode < 3; mode++) {
        uint64_t before = fences_now();
        expect_ok(vmfs_chmod(fs, "/full/e-0", mode));
        cr_assert_leq(fences_now() - before, MOST);
    }
    cr_assert_eq(fs->volume.itable->chunk_count, chunks + 1);
    cr_assert_neq(node_pool(own_lane())->chunk, chunk);
    fixture_close(&fixture);
}

/* Calls that take nothing do not look; one that takes nodes alone, and one that takes a slot alone, do. */
Test(ahead, who_takes_looks)
{
    fixture_open(&fixture, "takes", 64 * REGION_MIB);
    fs = fixture.fs;
    fill_leaf();
    use_up_slots(9);
    uint64_t chunk = node_pool(own_lane())->chunk;
    uint64_t chunks = fs->volume.itable->chunk_count;
    drain(node_pool(own_lane()), 5);
    tx_of(own_lane())->has_taken = false;
    expect_ok(vmfs_chmod(fs, "/full", 0750));
    cr_assert_eq(node_pool(own_lane())->chunk, chunk);
    expect_ok(vmfs_link(fs, "/other/e-0", "/full/one-too-many"));
    cr_assert_neq(node_pool(own_lane())->chunk, chunk);
    tx_of(own_lane())->has_taken = false;
    cr_assert_eq(fs->volume.itable->chunk_count, chunks);
    create("other", 0xffff);
    expect_ok(vmfs_chmod(fs, "/full", 0700)); /* if the call before had no fences to spare */
    cr_assert_eq(fs->volume.itable->chunk_count, chunks + 1);
    fixture_close(&fixture);
}

/* In a region that is nearly full it waits for room. */
Test(ahead, nodes_wait_for_room)
{
    fixture_open(&fixture, "room", 64 * REGION_MIB);
    fs = fixture.fs;
    fill_leaf();
    struct vmfs_file *file = fixture_file(&fixture, "/big", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_ok(vmfs_file_allocate(file, 0, 0, 56 * REGION_MIB));
    expect_ok(vmfs_file_close(file));
    uint64_t chunk = node_pool(own_lane())->chunk;
    drain(node_pool(own_lane()), 5);
    expect_ok(vmfs_link(fs, "/other/e-0", "/full/one-too-many"));
    expect_ok(vmfs_chmod(fs, "/full", 0750));
    cr_assert_eq(node_pool(own_lane())->chunk, chunk);
    expect_ok(vmfs_unlink(fs, "/big"));
    expect_ok(vmfs_sync(fs));
    for (unsigned mode = 0; mode < 3; mode++)
        expect_ok(vmfs_chmod(fs, "/full", 0700 + mode));
    cr_assert_neq(node_pool(own_lane())->chunk, chunk);
    fixture_close(&fixture);
}

/* A slice is made when the lane is half full: by calls of one record it never gets much fuller. */
Test(ahead, lane_is_emptied_at_its_half)
{
    uint64_t most = 0;
    fixture_open(&fixture, "half", 64 * REGION_MIB);
    fs = fixture.fs;
    expect_ok(vmfs_mknod(fs, "/one", VMFS_S_IFREG | 0600, 0));
    const struct vm_journal *journal = &fs->volume.journal;
    const struct vm_lane *lane = &journal->lanes[own_lane()];
    for (unsigned call = 0; call < 3 * journal->lane_bytes / 256; call++) {
        expect_ok(vmfs_chmod(fs, "/one", call % 2 ? 0600 : 0644));
        uint64_t used = vm_lane_used(lane, journal->lane_bytes);
        most = used > most ? used : most;
    }
    cr_expect_gt(most, journal->lane_bytes / 4);
    cr_expect_lt(most, journal->lane_bytes / 2 + 4096, "%llu bytes of %u", (unsigned long long)most,
                 journal->lane_bytes);
    fixture_close(&fixture);
}

/* A chunk of inodes is not added for slots that are taken and freed in turn. */
Test(ahead, freed_slots_count)
{
    fixture_open(&fixture, "freed", 8 * REGION_MIB);
    fs = fixture.fs;
    create("", 0);
    uint64_t chunks = fs->volume.itable->chunk_count;
    for (unsigned round = 0; round < 500; round++) {
        expect_ok(vmfs_unlink(fs, "/e-0"));
        expect_ok(vmfs_mknod(fs, "/e-0", VMFS_S_IFREG | 0600, 0));
    }
    cr_assert_eq(fs->volume.itable->chunk_count, chunks);
    fixture_close(&fixture);
}
