/* test_long.c -- steps of many records: others get their turn in between, and each may be the last
 *
 * O1, O2, X1, X2, D4: a file with more extents than a record holds is freed, cut and remapped on the
 * simulated medium, with the power cut at every fence, and with somebody waiting at every lock. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "check/fsck.h"
#include "hazard_world.h"
#include "inode/alloc.h"
#include "inode/attr.h"
#include "inode/data.h"
#include "inode/reap.h"
#include "inode/remap.h"
#include "inode/shift.h"
#include "inode/xattr.h"

#define EXTENTS 600u
#define BLOCKS  (2 * EXTENTS) /* every second one is a hole */
#define SIZE    ((uint64_t)BLOCKS * VM_BLOCK_BYTES)

static struct world world;
static struct vm_ctx *const mine = &world.core.ctx;
static uint64_t problems_before;
static int64_t free_before;
static int64_t gained; /* blocks, by a change that is not cut */

static void start(void)
{
    world_init(&world);
}

static void stop(void)
{
    world_fini(&world);
}

TestSuite(longsteps, .init = start, .fini = stop, .timeout = 120);

/* ---- a file of single blocks ---- */

static char letter_of(uint64_t block)
{
    return (char)(block % 2 ? '\0' : 'a' + block % 23);
}

static int64_t blocks_free(void)
{
    return vm_journal_totals(&world.core.journal).blocks_free;
}

/* Whose free space is single blocks: the nodes of a new map are many runs. */
static void make_file(void)
{
    world.id = file_new(mine);
    uint64_t rest = file_new(mine);
    for (uint64_t block = 0; block < BLOCKS; block += 2) {
        const char text[2] = {letter_of(block), '\0'};
        file_write(mine, world.id, block * VM_BLOCK_BYTES, text);
    }
    int result = 0;
    for (uint64_t len = VM_BLOCK_BYTES * 1024; len >= VM_BLOCK_BYTES;) {
        result = vm_data_reserve(mine, &(struct vm_alloc_range){.id = rest,
                                                                .offset = file_size(mine, rest),
                                                                .len_bytes = len});
        len = result ? len / 2 : len;
    }
    cr_assert_eq(result, -VMFS_R_NO_SPACE);
    for (uint64_t block = 0; block < 400; block += 2)
        cr_assert_eq(vm_data_punch(mine, &(struct vm_alloc_range){.id = rest,
                                                                  .offset = block * VM_BLOCK_BYTES,
                                                                  .len_bytes = VM_BLOCK_BYTES}),
                     0);
    file_resize(mine, world.id, SIZE);
    world_checkpoint(mine);
}

/* This world has no names and no root, so those passes are not asked. */
static void count_problem(void *arg, const struct vmfs_problem *problem)
{
    static const char *const passes[] = {"maps", "blocks", "totals", "orphans"};
    uint64_t *count = arg;
    for (unsigned index = 0; index < sizeof passes / sizeof passes[0]; index++)
        *count += strcmp(problem->pass_name, passes[index]) == 0;
}

static uint64_t problems(void)
{
    uint64_t count = 0;
    struct vmfs_check_result result;
    world.is_busy = true;
    cr_assert_eq(vm_check_run(mine, count_problem, &count, &result), 0);
    world.is_busy = false;
    return count;
}

static char letter_at(uint64_t block)
{
    char letter;
    file_read(mine, world.id, block * VM_BLOCK_BYTES, &letter, 1);
    return letter;
}

static void expect_letters(uint64_t from, uint64_t to, int64_t shift)
{
    for (uint64_t block = from; block < to; block++) {
        char wanted = letter_of((uint64_t)((int64_t)block + shift));
        cr_assert_eq(letter_at(block), wanted, "block %llu holds %c", (unsigned long long)block,
                     letter_at(block));
    }
}

static void settle(void)
{
    int more = 1;
    cr_assert_eq(problems(), problems_before);
    while (more > 0)
        more = vm_reap_orphans(mine);
    cr_assert_eq(more, 0);
    cr_assert_eq(vm_journal_totals(&world.core.journal).orphans, 0);
    cr_assert_eq(problems(), problems_before);
}

/* ---- cut at every fence ---- */

static void prepare(void)
{
    make_file();
    free_before = blocks_free();
    problems_before = problems();
}

static void cut_everywhere(void (*change)(void), void (*check)(void))
{
    static bool is_whole;
    static uint64_t fence;
    is_whole = false;
    prepare();
    change();
    gained = blocks_free() - free_before;
    for (fence = 1; !is_whole; fence++) {
        struct seed seed;
        seed_init(&seed, fence);
        stop();
        start();
        prepare();
        world_watch(&world);
        world.core.fences_left = fence;
        if (setjmp(world.core.cut) == 0) {
            change();
            is_whole = true;
        }
        world_crash(&world, fence % 2 ? NULL : &seed);
        cr_log_info("fence %llu", (unsigned long long)fence);
        settle();
        check();
    }
    cr_assert_gt(fence, 5);
}

static void unlink_it(void)
{
    file_set_nlink(mine, world.id, 0);
    cr_assert_eq(vm_reap(mine, world.id), 0);
}

static void check_unlinked(void)
{
    struct vm_inode inode;
    int result = vm_inode_load(mine, world.id, &inode);
    if (result == 0)
        expect_letters(0, BLOCKS, 0);
    else
        cr_assert_eq(blocks_free(), free_before + gained);
}

/* The orphan bit is the way back: it is set before the power can be lost. */
Test(longsteps, O1_unlink_cut_everywhere)
{
    cut_everywhere(unlink_it, check_unlinked);
}

static void truncate_it(void)
{
    file_resize(mine, world.id, 5);
}

/* D4: what lay beyond the end is gone before the file grows over it. */
static void check_truncated(void)
{
    if (file_size(mine, world.id) != 5) {
        expect_letters(0, BLOCKS, 0);
        return;
    }
    cr_assert_eq(blocks_free(), free_before + gained);
    file_resize(mine, world.id, SIZE);
    for (uint64_t block = 1; block < BLOCKS; block++)
        cr_assert_eq(letter_at(block), '\0');
}

Test(longsteps, D4_truncate_cut_everywhere)
{
    cut_everywhere(truncate_it, check_truncated);
}

/* Somebody extends the file after the crash and before anybody has cleaned up. */
Test(longsteps, D4_extended_before_the_rest_is_cut)
{
    prepare();
    world.core.fences_left = 2;
    if (setjmp(world.core.cut) == 0)
        truncate_it();
    world_crash(&world, NULL);
    cr_assert_eq(file_size(mine, world.id), 5);
    struct vm_inode inode;
    cr_assert_eq(vm_inode_load(mine, world.id, &inode), 0);
    cr_assert(vm_inode_is_beyond(&inode));
    file_write(mine, world.id, SIZE, "far");
    for (uint64_t block = 1; block < BLOCKS; block++)
        cr_assert_eq(letter_at(block), '\0');
    settle();
}

static void collapse_it(void)
{
    cr_assert_eq(
        vm_data_collapse(mine, &(struct vm_alloc_range){.id = world.id,
                                                        .offset = 100 * VM_BLOCK_BYTES,
                                                        .len_bytes = 230 * VM_BLOCK_BYTES}),
        0);
}

static void check_collapsed(void)
{
    bool is_new = file_size(mine, world.id) < SIZE - 10 * VM_BLOCK_BYTES;
    expect_letters(0, 100, 0);
    expect_letters(100, is_new ? BLOCKS - 230 : BLOCKS, is_new ? 230 : 0);
    cr_assert_eq(blocks_free(), free_before + (is_new ? gained : 0));
}

Test(longsteps, X1_collapse_cut_everywhere)
{
    cut_everywhere(collapse_it, check_collapsed);
}

static void insert_it(void)
{
    cr_assert_eq(vm_data_insert(mine, &(struct vm_alloc_range){.id = world.id,
                                                               .offset = 100 * VM_BLOCK_BYTES,
                                                               .len_bytes = VM_BLOCK_BYTES}),
                 0);
}

static void check_inserted(void)
{
    bool is_new = file_size(mine, world.id) > SIZE;
    expect_letters(0, 100, 0);
    expect_letters(is_new ? 101 : 100, is_new ? BLOCKS + 1 : BLOCKS, is_new ? -1 : 0);
    cr_assert_eq(blocks_free(), free_before + (is_new ? gained : 0));
    if (is_new)
        cr_assert_eq(letter_at(100), '\0');
}

Test(longsteps, X1_insert_cut_everywhere)
{
    cut_everywhere(insert_it, check_inserted);
}

/* ---- what is left behind, and damaged ---- */

static uint64_t find_retired(void)
{
    for (uint64_t slot = 1; slot < 40; slot++) {
        struct vm_inode inode;
        if (vm_inode_load(mine, slot, &inode) == 0 && inode.m.form == VM_BODY_RETIRED)
            return slot;
    }
    return 0;
}

static uint64_t cut_behind_the_exchange(void)
{
    static uint64_t fence;
    for (fence = 1;; fence++) {
        stop();
        start();
        prepare();
        world.core.fences_left = fence;
        if (setjmp(world.core.cut) == 0)
            collapse_it();
        world_crash(&world, NULL);
        uint64_t id = find_retired();
        if (id)
            return id;
        cr_assert_lt(fence, 40);
    }
}

/* A range that reaches over what the file still has, or a list that is not one, is seen. */
Test(longsteps, X2_damaged_heir)
{
    const uint64_t id = cut_behind_the_exchange();
    for (unsigned field = 0; field < 4; field++) {
        struct vm_inode inode;
        world_begin(mine);
        vm_lock_inodes(mine, &id, 1);
        cr_assert_eq(vm_inode_load(mine, id, &inode), 0);
        const struct vm_retired_media good = inode.m.body.retired;
        struct vm_retired_media *retired = &inode.m.body.retired;
        struct vm_le64 *const fields[] = {&retired->first, &retired->end, &retired->tag,
                                          &retired->list_root};
        *fields[field] = vm_put64(vm_get64(*fields[field]) / 2 + 400);
        cr_assert_eq(vm_inode_store(mine, &inode), 0);
        cr_assert_eq(vm_tx_commit(mine), 0);
        vm_unlock_inodes(mine);
        vm_tx_end(mine);
        cr_assert_gt(problems(), problems_before, "field %u", field);
        world_begin(mine);
        vm_lock_inodes(mine, &id, 1);
        inode.m.body.retired = good;
        cr_assert_eq(vm_inode_store(mine, &inode), 0);
        world_commit(mine);
        vm_unlock_inodes(mine);
    }
    settle();
}

/* ---- extents ---- */

static int keep_extent(struct vm_ctx *ctx, void *arg, const struct vm_extent *extent)
{
    struct vm_extent **next = arg;
    (void)ctx;
    *(*next)++ = *extent;
    return 0;
}

/* What was split is joined again where it comes together again. */
Test(longsteps, split_and_joined)
{
    const struct vm_extent whole = {.file_block = 3, .block = 1000, .blocks = 10, .birth = 1};
    const struct vm_shift shift = {.first = 8, .end = 9, .by = 0 - (uint64_t)1};
    const struct vm_extent halves[2] = {
        {.file_block = 3, .block = 1000, .blocks = 5, .birth = 1},
        {.file_block = 9, .block = 1005, .blocks = 5, .birth = 1},
    };
    struct vm_extent out[2] = {{0}};
    struct vm_extent *next = out;
    struct vm_shift_stream stream = {.shift = &shift, .out = keep_extent, .arg = &next};
    struct vm_inode inode = {.offset = 0};
    for (unsigned half = 0; half < 2; half++)
        cr_assert_eq(vm_shift_add(mine, &stream, &inode, &halves[half]), 0);
    cr_assert_eq(vm_shift_end(mine, &stream), 0);
    cr_assert_eq(next - out, 1);
    cr_assert(out[0].file_block == whole.file_block && out[0].block == whole.block &&
              out[0].blocks == whole.blocks);
}

/* Leaves that are sound each may contradict each other: that is damage, not an assertion. */
Test(longsteps, disorder_between_leaves)
{
    const struct vm_shift shift = {.first = 0, .end = 0, .by = 1};
    struct vm_shift_stream stream = {.shift = &shift};
    struct vm_inode inode = {.offset = 0};
    const struct vm_extent first = {.file_block = 3, .block = 1000, .blocks = 10};
    const struct vm_extent second = {.file_block = 12, .block = 2000, .blocks = 1};
    cr_assert_eq(vm_shift_add(mine, &stream, &inode, &first), 0);
    cr_assert_eq(vm_shift_add(mine, &stream, &inode, &second), -VMFS_R_EXTENT_ORDER);
}

/* ---- turns ---- */

static void (*settled)(struct vm_ctx *ctx, struct vm_tx *tx, bool is_committed);
static unsigned records;
static unsigned records_all;

static void count_record(struct vm_ctx *ctx, struct vm_tx *tx, bool is_committed)
{
    if (is_committed) {
        records++;
        records_all++;
        cr_assert_leq(records, 1, "two records without a turn between them");
    }
    settled(ctx, tx, is_committed);
}

/* The one who waits at the file's stripe finds it free, and has it. */
static void have_turn(struct world *at)
{
    struct vm_lock *lock = &vm_stripe_of(mine, at->id)->lock;
    cr_assert_eq(atomic_load(&lock->state), 0);
    atomic_fetch_add(&lock->served, 1);
    records = 0;
    at->hits++;
}

static void watch_turns(void)
{
    world_watch(&world);
    settled = world.core.journal.hooks.settled;
    world.core.journal.hooks.settled = count_record;
    atomic_store(&vm_stripe_of(mine, world.id)->lock.waiting, 1);
    world.at_wait = have_turn;
    world.hits = records = records_all = 0;
}

Test(longsteps, O2_unlink)
{
    prepare();
    file_set_nlink(mine, world.id, 0);
    watch_turns();
    cr_assert_eq(vm_reap(mine, world.id), 0);
    cr_assert_gt(records_all, 6);
    cr_assert_geq(world.hits, records_all - 1);
}

Test(longsteps, O2_truncate)
{
    prepare();
    watch_turns();
    truncate_it();
    cr_assert_gt(records_all, 6);
    cr_assert_geq(world.hits, records_all - 1);
}

static void make_immutable(struct world *at)
{
    const struct vm_attr attr = {.mask = VM_ATTR_FLAGS, .flags = VM_INODE_FLAG_IMMUTABLE};
    if (at->hits == 0)
        cr_assert_eq(vm_attr_set(&at->other, at->id, &attr), 0);
    have_turn(at);
}

/* Who has a turn while an earlier life's rest is cut off may forbid what is to follow. */
Test(longsteps, O2_immutable_meanwhile)
{
    const struct vm_attr attr = {.mask = VM_ATTR_SIZE, .size = SIZE};
    prepare();
    world.core.fences_left = 2;
    if (setjmp(world.core.cut) == 0)
        truncate_it();
    world_crash(&world, NULL);
    watch_turns();
    world.core.journal.hooks.settled = settled;
    world.at_wait = make_immutable;
    cr_assert_eq(vm_attr_set(mine, world.id, &attr), -VMFS_R_IMMUTABLE);
    cr_assert_gt(world.hits, 1);
    cr_assert_eq(file_size(mine, world.id), 5);
}

/* Its new map is not built in one go either. */
Test(longsteps, X3_collapse)
{
    prepare();
    struct vm_inode inode;
    cr_assert_eq(vm_inode_load(mine, world.id, &inode), 0);
    watch_turns();
    world.core.journal.hooks.settled = settled;
    collapse_it();
    cr_assert_gt(world.hits, 2);
    expect_letters(0, 100, 0);
    expect_letters(100, BLOCKS - 230, 230);
}

static void count_only(struct vm_ctx *ctx, struct vm_tx *tx, bool is_committed)
{
    records += is_committed;
    settled(ctx, tx, is_committed);
}

/* Whoever passes by after a crash writes a few records for what was left, not all of them. */
Test(longsteps, O1_orphans_in_bounded_steps)
{
    prepare();
    file_set_nlink(mine, world.id, 0);
    world_crash(&world, NULL);
    settled = world.core.journal.hooks.settled;
    world.core.journal.hooks.settled = count_only;
    unsigned calls = 0;
    int more = 1;
    for (; more > 0; calls++) {
        records = 0;
        more = vm_reap_orphans(mine);
        cr_assert_leq(records, 4, "%u records in one call", records);
        cr_assert_lt(calls, 100);
    }
    cr_assert(more == 0 && calls > 2);
    cr_assert_eq(vm_journal_totals(&world.core.journal).orphans, 0);
}

/* X3: a file that changes at every turn is remapped in the end, as it is then. */
static void change_at_turn(struct world *at)
{
    struct vm_lock *lock = &vm_stripe_of(mine, at->id)->lock;
    atomic_fetch_add(&lock->served, 1);
    if (at->is_busy)
        return;
    at->is_busy = true;
    at->hits++;
    struct vm_ctx *other = &world.other;
    file_write(other, at->id, 50 * VM_BLOCK_BYTES, "!");
    if (at->hits == 3)
        file_write(other, at->id, (BLOCKS + 7) * (uint64_t)VM_BLOCK_BYTES, "end");
    at->is_busy = false;
}

Test(longsteps, X3_file_that_changes)
{
    prepare();
    watch_turns();
    world.core.journal.hooks.settled = settled;
    world.at_wait = change_at_turn;
    insert_it();
    cr_assert_geq(world.hits, 4);
    cr_assert_eq(letter_at(50), '!');
    cr_assert_eq(letter_at(BLOCKS + 8), 'e');
    expect_letters(101, BLOCKS + 1, -1);
    cr_assert_eq(problems(), problems_before);
}

/* Blocks were taken for a larger map than the file has in the end. */
static void shrink_at_turn(struct world *at)
{
    struct vm_lock *lock = &vm_stripe_of(mine, at->id)->lock;
    atomic_fetch_add(&lock->served, 1);
    if (at->is_busy)
        return;
    at->is_busy = true;
    if (++at->hits == 2)
        file_resize(&world.other, at->id, 400 * VM_BLOCK_BYTES);
    at->is_busy = false;
}

Test(longsteps, X3_file_that_shrinks)
{
    prepare();
    watch_turns();
    world.core.journal.hooks.settled = settled;
    world.at_wait = shrink_at_turn;
    insert_it();
    cr_assert_eq(world.hits, 2);
    cr_assert_eq(file_size(mine, world.id), 401 * VM_BLOCK_BYTES);
    expect_letters(0, 100, 0);
    expect_letters(101, 401, -1);
    cr_assert_eq(problems(), problems_before);
}

/* ---- bytes of the caller ---- */

static uint8_t changing[VM_BLOCK_BYTES + 8];

static void change_after_copy(struct world *at, uint64_t offset)
{
    (void)at;
    if (offset % VM_BLOCK_BYTES == sizeof changing % VM_BLOCK_BYTES)
        changing[5] = 1;
}

/* A value that changes while it is stored is one or the other, and no damage. */
Test(longsteps, value_that_changes_meanwhile)
{
    uint64_t id = file_new(mine);
    const struct vm_name name = {(const uint8_t *)"user.n", 6};
    const struct vm_xattr_value value = {.bytes = changing, .len_bytes = sizeof changing};
    struct vm_inode inode;
    world_watch(&world);
    world.at_store = change_after_copy;
    world_begin(mine);
    vm_lock_inodes(mine, &id, 1);
    cr_assert_eq(vm_inode_load(mine, id, &inode), 0);
    cr_assert_eq(vm_xattr_set(mine, &inode, name, &value), 0);
    cr_assert_eq(vm_inode_store(mine, &inode), 0);
    world_commit(mine);
    vm_unlock_inodes(mine);
    cr_assert_eq(changing[5], 1);
    static uint8_t got[sizeof changing];
    cr_assert_eq(vm_xattr_get(mine, &inode, name, got, sizeof got), (int64_t)sizeof got);
}
