/* test_journal.c -- the hazards of the one-fence journal, each by its name
 *
 * Two threads are played by one: while one transaction waits at a fence, the other runs. A crash
 * takes exactly the words that the scenario of the hazard needs.
 *
 *     H1 h1_stale_lane      H2 H11 h2_reuse    H8 h8_horizon        H10 h10_shared_word
 *     H12 h12_release       H14 h14_fence, h14_resurrection         H15 h15_place, h15_target
 *     H16 h16_poison        H17 h17_recovery, h17_use               T1 t1_generation
 *     H7 h7_log_space       P2 p2_in_place     I6 i6_fresh           D2 d2_tail
 *     S1 s1_mend_a, s1_mend_b                  S2 s2_order, s2_turns
 * H3, H4, H5, H6, H9, H18, H22 and D1, D3, D4 fall out of tests/crash/crash_test.c. H13, H19 and
 * H20 cannot arise yet: there are no revokes, no undo images and no direct pointers. H21 is about
 * threads: tests/api/stress_test.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "journal/record.h"
#include "space/group.h"
#include "world.h"

#define REGION_BYTES ((uint64_t)1 << 20)
#define HOME_BLOCK   128u /* nobody has taken it */
#define HOME_X       ((uint64_t)HOME_BLOCK * 4096)
#define HOME_Y       (HOME_X + 2048)
#define IMAGES_MAX   128u

/* Lanes 2 and 3 are those of operations. */
enum lane { LANE_A, LANE_B };

static struct medium medium;
static struct vmfs *fs;

/* Which words of a crash image survive besides the durable ones. */
typedef bool (*keep_fn)(const struct unit *unit, uint64_t index);

static void attach(uint32_t flags)
{
    medium.random_seed++;
    medium.random_count = 0;
    cr_assert_eq(world_attach(&medium, flags, &fs), 0);
}

static void start(void)
{
    medium_init(&medium, REGION_BYTES);
    medium.now_ns = 1000;
    attach(VMFS_CREATE);
    struct vm_bit bit = vm_region_bit(&fs->volume.region, HOME_BLOCK);
    cr_assert_eq(vm_load64_home(&fs->volume.region, bit.word_offset) >> bit.bit & 1, 0);
}

/* Loses power, but for the words that `keep` wants; the handle is gone with the process. */
static void crash(keep_fn keep)
{
    uint8_t *picked = calloc(medium.unit_count + 1, 1);
    cr_assert(picked != NULL);
    for (uint64_t index = 0; keep && index < medium.unit_count; index++)
        picked[index] = keep(&medium.units[index], index);
    medium.before_fence = NULL;
    medium.after_fence = NULL;
    medium_crash(&medium, picked);
    free(picked);
}

static struct vm_ctx begin(enum lane lane)
{
    struct vm_ctx ctx;
    vm_ctx_init(fs, &ctx);
    ctx.hint = lane;
    ctx.lane_hint = lane;
    ctx.now_ns = 1000;
    cr_assert_eq(vm_tx_begin(&ctx), 0);
    cr_assert_eq(ctx.tx->lane, VM_LANES_SUPPLY + (uint32_t)lane);
    return ctx;
}

static int commit(struct vm_ctx *ctx)
{
    int result = vm_tx_commit(ctx);
    vm_tx_end(ctx);
    return result;
}

static int set_word(enum lane lane, uint64_t home, uint64_t value)
{
    struct vm_ctx ctx = begin(lane);
    struct vm_le64 stored = vm_put64(value);
    vm_tx_write(&ctx, home, &stored, sizeof stored);
    return commit(&ctx);
}

static int set_bit(enum lane lane, uint64_t home, uint64_t bit)
{
    struct vm_ctx ctx = begin(lane);
    vm_tx_mask(&ctx, home, bit, bit);
    return commit(&ctx);
}

static uint64_t get_word(uint64_t home)
{
    return vm_load64_home(&fs->volume.region, home);
}

static void checkpoint(void)
{
    struct vm_ctx ctx;
    vm_ctx_init(fs, &ctx);
    cr_assert_eq(vm_checkpoint_all(&ctx), 0);
}

static uint64_t lane_offset(enum lane lane)
{
    return fs->volume.journal.lanes[VM_LANES_SUPPLY + (uint32_t)lane].medium_offset;
}

static bool is_in_lane(const struct unit *unit, enum lane lane)
{
    uint64_t at = (uint64_t)unit->word * 8;
    return at >= lane_offset(lane) && at < lane_offset(lane) + fs->volume.journal.lane_bytes;
}

static bool keep_lane_b(const struct unit *unit, uint64_t index)
{
    (void)index;
    return is_in_lane(unit, LANE_B);
}

/* The power goes at the next fence: what stayed is in `cut_image`. */
static keep_fn cut_keep;
static uint8_t *cut_image;

static void cut(struct medium *cut_medium, void *arg)
{
    (void)arg;
    cut_image = malloc(REGION_BYTES);
    cr_assert(cut_image != NULL);
    memcpy(cut_image, cut_medium->durable, REGION_BYTES);
    for (uint64_t index = 0; index < cut_medium->unit_count; index++)
        if (cut_keep(&cut_medium->units[index], index))
            memcpy(cut_image + (uint64_t)cut_medium->units[index].word * 8,
                   &cut_medium->units[index].value, 8);
    cut_medium->before_fence = NULL;
}

static void cut_at_next_fence(keep_fn keep)
{
    cut_keep = keep;
    medium.before_fence = cut;
}

static void go_on_from_cut(void)
{
    cr_assert(cut_image != NULL);
    medium_load(&medium, cut_image);
    free(cut_image);
    cut_image = NULL;
    attach(0);
}

/* ---- the watermark ---- */

Test(journal, h1_stale_lane)
{
    start();
    set_word(LANE_A, HOME_X, 1);
    set_word(LANE_B, HOME_X, 2);
    checkpoint();
    set_word(LANE_B, HOME_Y, 3);
    crash(NULL);
    attach(0);
    cr_expect_eq(get_word(HOME_X), 2);
    cr_expect_eq(get_word(HOME_Y), 3);
}

/* The record of the newer value is overwritten before W, which retires both, is durable. */
Test(journal, h12_release)
{
    start();
    set_word(LANE_A, HOME_X, 1);
    set_word(LANE_B, HOME_X, 2);
    checkpoint();
    cut_at_next_fence(keep_lane_b);
    set_word(LANE_B, HOME_Y, 3);
    go_on_from_cut();
    cr_expect_eq(get_word(HOME_X), 2);
}

static void run_checkpoint(struct medium *at_fence, void *arg)
{
    (void)arg;
    at_fence->after_fence = NULL;
    at_fence->before_fence = NULL;
    at_fence->thread = 2;
    struct vm_ctx ctx;
    vm_ctx_init(fs, &ctx);
    cr_assert_geq(vm_checkpoint(&ctx, false), 0);
    at_fence->thread = 1;
}

/* A checkpoint runs while the record is fenced and its homes are not stored. */
Test(journal, h8_horizon)
{
    start();
    medium.thread = 1;
    set_word(LANE_B, HOME_Y, 5);
    medium.after_fence = run_checkpoint;
    set_word(LANE_A, HOME_X, 7);
    crash(NULL);
    attach(0);
    cr_expect_eq(get_word(HOME_X), 7);
    cr_expect_eq(get_word(HOME_Y), 5);
}

/* A slice finds records of a lane that has just taken the only number below the horizon. */
Test(journal, h8_before_fence)
{
    start();
    medium.thread = 1;
    set_word(LANE_B, HOME_Y, 5);
    medium.before_fence = run_checkpoint;
    set_word(LANE_A, HOME_X, 7);
    crash(NULL);
    attach(0);
    cr_expect_eq(get_word(HOME_X), 7);
    cr_expect_eq(get_word(HOME_Y), 5);
}

/* ---- sharing ---- */

static void set_other_bit(struct medium *at_fence, void *arg)
{
    (void)arg;
    at_fence->before_fence = NULL;
    at_fence->thread = 2;
    cr_assert_eq(set_bit(LANE_B, HOME_X, 2), 0);
    at_fence->thread = 1;
}

Test(journal, h10_shared_word)
{
    start();
    medium.thread = 1;
    medium.before_fence = set_other_bit;
    set_bit(LANE_A, HOME_X, 1);
    crash(NULL);
    attach(0);
    cr_expect_eq(get_word(HOME_X), 3);
}

/* A directory's leaf has images in unretired records. Its block is freed and offered to file data,
 * which is not logged. */
Test(journal, h2_reuse)
{
    static uint8_t bytes[4096];
    static uint8_t got[4096];
    start();
    cr_assert_eq(vmfs_mkdir(fs, "/dir", 0700), 0);
    cr_assert_eq(vmfs_mknod(fs, "/dir/x", 0600, 0), 0);
    cr_assert_eq(vmfs_unlink(fs, "/dir/x"), 0);
    cr_assert_eq(vmfs_rmdir(fs, "/dir"), 0);
    struct vm_space *space = fs->volume.space;
    struct vm_ctx ctx;
    vm_ctx_init(fs, &ctx);
    for (uint32_t index = 0; index < space->pool_count; index++)
        if (space->pools[index].chunk != VM_CHUNK_NONE) {
            vm_chunks_unclaim(
                &ctx, vm_chunk_first_block(&fs->volume.region, space->pools[index].chunk), 1);
            space->pools[index].chunk = VM_CHUNK_NONE;
        }
    struct vmfs_file *file;
    cr_assert_eq(vmfs_file_open(fs, "/f", VMFS_O_CREAT | VMFS_O_RDWR, 0600, &file), 0);
    memset(bytes, 0x5a, sizeof bytes);
    for (uint64_t block = 0; block < 8; block++)
        cr_assert_eq(vmfs_file_pwrite(file, bytes, sizeof bytes, block * sizeof bytes),
                     (int64_t)sizeof bytes);
    crash(NULL);
    attach(0);
    cr_assert_eq(vmfs_file_open(fs, "/f", VMFS_O_RDONLY, 0, &file), 0);
    for (uint64_t block = 0; block < 8; block++) {
        cr_assert_eq(vmfs_file_pread(file, got, sizeof got, block * sizeof got),
                     (int64_t)sizeof got);
        cr_expect(memcmp(got, bytes, sizeof got) == 0, "block %d", (int)block);
    }
}

/* ---- eras ---- */

/* As h12_release, but what retires the records is a recovery. */
Test(journal, h14_fence)
{
    start();
    set_word(LANE_A, HOME_X, 1);
    set_word(LANE_B, HOME_X, 2);
    crash(NULL);
    attach(0);
    cut_at_next_fence(keep_lane_b);
    set_word(LANE_B, HOME_Y, 3);
    go_on_from_cut();
    cr_expect_eq(get_word(HOME_X), 2);
}

static bool keep_header(const struct unit *unit, uint64_t index)
{
    (void)index;
    return is_in_lane(unit, LANE_A) && (uint64_t)unit->word * 8 < lane_offset(LANE_A) + 64;
}

static bool keep_entries(const struct unit *unit, uint64_t index)
{
    (void)index;
    return is_in_lane(unit, LANE_A) && (uint64_t)unit->word * 8 >= lane_offset(LANE_A) + 64;
}

/* The first life leaves a header without its entries, the second the same entries without a header.
 */
Test(journal, h14_resurrection)
{
    start();
    cut_at_next_fence(keep_header);
    set_word(LANE_A, HOME_X, 1);
    go_on_from_cut();
    set_word(LANE_B, HOME_X, 2);
    cut_at_next_fence(keep_entries);
    set_word(LANE_A, HOME_X, 1);
    go_on_from_cut();
    cr_expect_eq(get_word(HOME_X), 2);
}

/* Images of a recovery in which one word of what is in flight is missing. */
static uint8_t *torn[IMAGES_MAX];
static unsigned torn_count;

static void tear(struct medium *at_fence, void *arg)
{
    (void)arg;
    for (uint64_t gap = 0; gap < at_fence->unit_count && torn_count < IMAGES_MAX; gap++) {
        uint8_t *image = malloc(REGION_BYTES);
        cr_assert(image != NULL);
        memcpy(image, at_fence->durable, REGION_BYTES);
        for (uint64_t index = 0; index < at_fence->unit_count; index++)
            if (index != gap)
                memcpy(image + (uint64_t)at_fence->units[index].word * 8,
                       &at_fence->units[index].value, 8);
        torn[torn_count++] = image;
    }
}

/* Attaches every torn image: both words must be as the records made them. */
static void check_torn(void)
{
    medium.before_fence = NULL;
    cr_assert_gt(torn_count, 7);
    for (unsigned index = 0; index < torn_count; index++) {
        medium_load(&medium, torn[index]);
        attach(0);
        cr_expect_eq(get_word(HOME_X), 2, "image %u", index);
        cr_expect_eq(get_word(HOME_Y), 3, "image %u", index);
    }
}

/* Whatever copy of W a recovery tears, the other one is not older than the lanes. */
Test(journal, s2_order)
{
    start();
    set_word(LANE_A, HOME_X, 1);
    set_word(LANE_B, HOME_X, 2);
    checkpoint();
    set_word(LANE_B, HOME_Y, 3);
    crash(NULL);
    medium.before_fence = tear;
    attach(0);
    check_torn();
}

/* The same for checkpoints: the copies take turns. */
Test(journal, s2_turns)
{
    start();
    set_word(LANE_A, HOME_X, 1);
    set_word(LANE_B, HOME_X, 2);
    checkpoint();
    set_word(LANE_B, HOME_Y, 3);
    medium.before_fence = tear;
    checkpoint();
    check_torn();
}

/* One superblock is damaged; storing it again must not put the other one at risk. */
static void tear_mending(unsigned block)
{
    start();
    set_word(LANE_A, HOME_X, 2);
    set_word(LANE_B, HOME_Y, 3);
    crash(NULL);
    memset(medium.stores + block * 4096 + 100, 0xff, 8);
    memcpy(medium.durable, medium.memory, REGION_BYTES);
    medium.before_fence = tear;
    attach(0);
    check_torn();
    attach(0);
    cr_expect(world_is_sound(fs, stderr));
}

Test(journal, s1_mend_a)
{
    tear_mending(VM_SUPER_A_BLOCK);
}

Test(journal, s1_mend_b)
{
    tear_mending(VM_SUPER_B_BLOCK);
}

/* ---- forged records ---- */

Test(journal, h15_place)
{
    start();
    set_word(LANE_A, HOME_X, 1);
    crash(NULL);
    memcpy(medium.stores + lane_offset(LANE_B), medium.memory + lane_offset(LANE_A), 128);
    attach(0);
    cr_expect_eq(get_word(HOME_X), 1);
}

Test(journal, h15_target)
{
    uint8_t bytes[256];
    struct vm_record_writer writer;
    const struct vm_record_totals totals = {0, 0, 0};
    start();
    struct vm_journal *journal = &fs->volume.journal;
    vm_record_start(&writer, bytes, sizeof bytes);
    const struct vm_entry forged = {.kind = VM_ENTRY_MASK, .place = 64, .first = 1, .second = 1};
    vm_record_words(&writer, &forged);
    vm_record_finish(&writer, &journal->era, atomic_load(&journal->sequence) + 1,
                     atomic_load(&journal->watermark), &totals);
    vm_record_seal(bytes, lane_offset(LANE_A));
    crash(NULL);
    memcpy(medium.stores + lane_offset(LANE_A), bytes, writer.used);
    cr_expect_eq(world_attach(&medium, 0, &fs), -EUCLEAN);
}

/* ---- failing and waiting ---- */

Test(journal, h16_poison)
{
    start();
    medium.fails = true;
    cr_expect_lt(vmfs_mknod(fs, "/a", 0600, 0), 0);
    medium.fails = false;
    cr_expect_lt(vmfs_mknod(fs, "/b", 0600, 0), 0);
}

static void poison(struct medium *unused, void *arg)
{
    (void)unused;
    (void)arg;
    atomic_store(&fs->volume.journal.is_poisoned, true);
}

/* As by another thread that meets the loss of a page: what was fenced then is not built upon. */
Test(journal, h16_poison_in_fence)
{
    start();
    medium.before_fence = poison;
    cr_expect_lt(vmfs_mknod(fs, "/a", 0600, 0), 0);
    medium.before_fence = NULL;
    struct vmfs_stat stat;
    cr_expect_eq(vmfs_stat(fs, "/a", 0, &stat), -ENOENT);
}

/* A lane that is full of records that cannot be retired would make a commit fail; it is emptied at
 * the beginning of each. */
Test(journal, h7_log_space)
{
    static uint8_t bytes[2048];
    start();
    for (uint64_t round = 0; round < 200; round++) {
        struct vm_ctx ctx = begin(LANE_A);
        memset(bytes, (int)round + 1, sizeof bytes);
        vm_tx_write(&ctx, HOME_X, bytes, sizeof bytes);
        cr_assert_eq(commit(&ctx), 0);
    }
    crash(NULL);
    attach(0);
    cr_expect(memcmp(medium.memory + HOME_X, bytes, sizeof bytes) == 0);
}

/* ---- backing ---- */

static bool is_backed[REGION_BYTES / 4096];
static unsigned unbacked_count;

static void note_backed(void *arg, uint64_t offset, uint64_t len_bytes)
{
    (void)arg;
    for (uint64_t at = offset / 4096; at * 4096 < offset + len_bytes; at++)
        is_backed[at] = true;
}

/* Superblocks and watermarks are backed for ever since the format. */
static void check_backed(struct medium *storing, void *arg)
{
    (void)arg;
    uint64_t first = storing->store_word / 512;
    uint64_t last = (storing->store_word + storing->store_words - 1) / 512;
    for (uint64_t block = first; block <= last; block++)
        unbacked_count += block >= VM_OWNER_BLOCK && !is_backed[block];
}

Test(journal, h17_use)
{
    static const uint8_t bytes[9000];
    world_watch_backing(note_backed, NULL);
    medium_init(&medium, REGION_BYTES);
    medium.at_store = check_backed;
    attach(VMFS_CREATE);
    struct vmfs_file *file;
    cr_assert_eq(vmfs_file_open(fs, "/f", VMFS_O_CREAT | VMFS_O_RDWR, 0600, &file), 0);
    cr_assert_eq(vmfs_file_pwrite(file, bytes, sizeof bytes, 0), (int64_t)sizeof bytes);
    cr_expect_eq(unbacked_count, 0);
}

Test(journal, h17_recovery)
{
    start();
    cr_assert_eq(vmfs_mkdir(fs, "/d", 0700), 0);
    crash(NULL);
    world_watch_backing(note_backed, NULL);
    medium.at_store = check_backed;
    attach(0);
    cr_expect_eq(unbacked_count, 0);
}

/* ---- bytes ---- */

/* Bytes that a block reads as although nobody made them durable. */
Test(journal, i6_fresh)
{
    start();
    struct vm_ctx ctx = begin(LANE_A);
    struct vm_le64 stored = vm_put64(9);
    vm_io_store(&ctx.io, HOME_X, &stored, sizeof stored);
    vm_tx_write_fresh(&ctx, HOME_X, &stored, sizeof stored);
    cr_assert_eq(commit(&ctx), 0);
    crash(NULL);
    attach(0);
    cr_expect_eq(get_word(HOME_X), 9);
}

Test(journal, d2_tail)
{
    static uint8_t bytes[4096];
    static const uint8_t zeros[1000];
    struct vmfs_file *file;
    start();
    memset(bytes, 0x77, sizeof bytes);
    cr_assert_eq(vmfs_file_open(fs, "/f", VMFS_O_CREAT | VMFS_O_RDWR, 0600, &file), 0);
    cr_assert_eq(vmfs_file_pwrite(file, bytes, sizeof bytes, 0), (int64_t)sizeof bytes);
    cr_assert_eq(vmfs_file_truncate(file, 1000), 0);
    cr_assert_eq(vmfs_file_truncate(file, 2000), 0);
    crash(NULL);
    attach(0);
    cr_assert_eq(vmfs_file_open(fs, "/f", VMFS_O_RDONLY, 0, &file), 0);
    cr_assert_eq(vmfs_file_pread(file, bytes, 1000, 1000), 1000);
    cr_expect(memcmp(bytes, zeros, sizeof zeros) == 0);
}

Test(journal, p2_in_place)
{
    char got[8];
    struct vmfs_file *file;
    start();
    cr_assert_eq(vmfs_file_open(fs, "/f", VMFS_O_CREAT | VMFS_O_RDWR, 0600, &file), 0);
    cr_assert_eq(vmfs_file_pwrite(file, "before..", 8, 0), 8);
    cr_assert_eq(vmfs_sync(fs), 0);
    cr_assert_eq(vmfs_file_pwrite(file, "after...", 8, 0), 8);
    crash(NULL);
    attach(0);
    cr_assert_eq(vmfs_file_open(fs, "/f", VMFS_O_RDONLY, 0, &file), 0);
    cr_assert_eq(vmfs_file_pread(file, got, 8, 0), 8);
    cr_expect(memcmp(got, "after...", 8) == 0);
}

Test(journal, t1_generation)
{
    enum { ROUNDS = 200 };
    static uint64_t ids[ROUNDS];
    start();
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct vmfs_stat stat;
        cr_assert_eq(vmfs_mknod(fs, "/a", 0600, 0), 0);
        cr_assert_eq(vmfs_stat(fs, "/a", 0, &stat), 0);
        cr_assert_eq(vmfs_unlink(fs, "/a"), 0);
        ids[round] = stat.ino;
        for (unsigned before = 0; before < round; before++)
            cr_expect_neq(ids[before], stat.ino);
    }
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
Test(journal, place_while_records_retire)
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
