/* test_remap.c -- collapse and insert, against an array of what each block should hold
 *
 * A file is modelled as one number for each of its blocks, 0 for a hole. Sizes are chosen around the
 * ways in which a map is kept: in the inode, in one leaf, in a tree, in a tree too large for a record. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fixture.h"
#include "seed.h"
#include <criterion/parameterized.h>

#define PAGE       4096u
#define MODEL_MAX  70000u
#define TAIL_BYTES 1234u /* of the last block */

static struct fixture fixture;
static struct vmfs_file *file;
static uint64_t model[MODEL_MAX];
static uint64_t model_blocks;
static uint64_t next_stamp;

static void set_up(void)
{
    fixture_open(&fixture, "remap", 512 * REGION_MIB);
    file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    model_blocks = 0;
    next_stamp = 1;
}

static void tear_down(void)
{
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

static uint64_t file_size(void)
{
    return model_blocks ? (model_blocks - 1) * PAGE + TAIL_BYTES : 0;
}

static void put_block(uint64_t block)
{
    uint64_t page[PAGE / 8];
    for (unsigned word = 0; word < PAGE / 8; word++)
        page[word] = next_stamp;
    bool is_last = block + 1 == model_blocks;
    size_t length = is_last ? TAIL_BYTES : PAGE;
    expect_code(vmfs_file_pwrite(file, page, length, block * PAGE), (int64_t)length);
    model[block] = next_stamp++;
}

/* Every `stride`-th block has data, so that none continues another. */
static void make_file(uint64_t extents, uint64_t stride)
{
    model_blocks = extents * stride;
    memset(model, 0, model_blocks * sizeof(model[0]));
    expect_ok(vmfs_file_truncate(file, file_size()));
    for (uint64_t extent = 0; extent < extents; extent++)
        put_block(extent * stride);
}

static void compare(void)
{
    static uint64_t page[PAGE / 8];
    struct vmfs_stat stat;
    expect_ok(vmfs_file_stat(file, &stat));
    cr_assert_eq(stat.size, file_size(), "size %llu, not %llu", (unsigned long long)stat.size,
                 (unsigned long long)file_size());
    for (uint64_t block = 0; block < model_blocks; block++) {
        int64_t got = vmfs_file_pread(file, page, PAGE, block * PAGE);
        cr_assert(got == (block + 1 == model_blocks ? (int64_t)TAIL_BYTES : (int64_t)PAGE));
        uint64_t words = (uint64_t)got / 8;
        cr_assert(page[0] == model[block] && page[words - 1] == model[block],
                  "block %llu of %llu holds %llu, not %llu", (unsigned long long)block,
                  (unsigned long long)model_blocks, (unsigned long long)page[0],
                  (unsigned long long)model[block]);
    }
    expect_ok(region_check(fixture.fs));
}

static void collapse(uint64_t first, uint64_t count)
{
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_COLLAPSE, first * PAGE, count * PAGE));
    memmove(&model[first], &model[first + count],
            (model_blocks - first - count) * sizeof(model[0]));
    model_blocks -= count;
}

static void insert(uint64_t first, uint64_t count)
{
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_INSERT, first * PAGE, count * PAGE));
    memmove(&model[first + count], &model[first], (model_blocks - first) * sizeof(model[0]));
    memset(&model[first], 0, count * sizeof(model[0]));
    model_blocks += count;
}

static uint64_t blocks_free(void)
{
    struct vmfs_statfs statfs;
    expect_ok(vmfs_statfs(fixture.fs, &statfs));
    return statfs.blocks_free;
}

static void reopen(void)
{
    expect_ok(vmfs_file_close(file));
    fixture_reopen(&fixture);
    file = fixture_file(&fixture, "/f", VMFS_O_RDWR);
}

struct shape {
    uint64_t extents;
    uint64_t stride;
};

ParameterizedTestParameters(remap, every_place)
{
    static struct shape shapes[] = {{1, 9},   {4, 3},   {5, 2},   {16, 2},   {17, 3},   {98, 2},
                                    {111, 2}, {113, 2}, {300, 2}, {1000, 3}, {9000, 2}, {24000, 2}};
    return cr_make_param_array(struct shape, shapes, sizeof(shapes) / sizeof(shapes[0]));
}

/* Takes out, and puts in, at the start, in the middle and before the end; then both at once. */
ParameterizedTest(struct shape *shape, remap, every_place, .init = set_up, .fini = tear_down)
{
    make_file(shape->extents, shape->stride);
    uint64_t middle = model_blocks / 2;
    insert(middle, 3);
    compare();
    collapse(middle, 3);
    compare();
    insert(0, 1);
    collapse(model_blocks - 2, 1);
    compare();
    collapse(0, model_blocks / 3);
    insert(model_blocks - 1, 5);
    compare();
    put_block(model_blocks / 2);
    reopen();
    compare();
}

/* Random changes of one file, compared each time. */
ParameterizedTestParameters(remap, random_changes)
{
    static uint64_t seeds[6] = {1, 2, 3, 4, 5, 0};
    seeds[5] = seed_from_clock();
    return cr_make_param_array(uint64_t, seeds, sizeof(seeds) / sizeof(seeds[0]));
}

static void change(struct seed *seed)
{
    uint64_t first = seed_below(seed, model_blocks);
    uint64_t count = 1 + seed_below(seed, 1 + model_blocks / 4);
    switch (seed_below(seed, 4)) {
    case 0:
        if (first + count < model_blocks)
            collapse(first, count);
        break;
    case 1:
        if (model_blocks + count < MODEL_MAX / 8)
            insert(first, count);
        break;
    case 2:
        put_block(first);
        break;
    default:
        for (uint64_t block = first; block < model_blocks && block < first + 40; block += 2)
            put_block(block);
        break;
    }
}

ParameterizedTest(uint64_t *value, remap, random_changes, .init = set_up, .fini = tear_down)
{
    struct seed seed;
    seed_init(&seed, *value);
    cr_log_info("seed %llu", (unsigned long long)*value);
    make_file(1 + seed_below(&seed, 400), 1 + seed_below(&seed, 3));
    for (unsigned round = 0; round < 120; round++) {
        change(&seed);
        if (round % 4 == 3)
            compare();
        cr_assert(model_blocks > 0, "seed %llu", (unsigned long long)*value);
    }
    reopen();
    compare();
}

/* What a file took comes back whole, whatever was done to it. */
Test(remap, space_comes_back, .init = set_up, .fini = tear_down)
{
    uint64_t before = blocks_free();
    for (uint64_t extents = 3; extents <= 3000; extents *= 10) {
        make_file(extents, 2);
        insert(1, 1);
        collapse(model_blocks / 2, model_blocks / 4);
        insert(model_blocks / 2, 1000);
        collapse(1, 1);
        compare();
        model_blocks = 0;
        expect_ok(vmfs_file_truncate(file, 0));
        cr_assert_eq(blocks_free(), before);
    }
}

/* All data is taken out, and only a hole stays. */
Test(remap, nothing_but_a_hole, .init = set_up, .fini = tear_down)
{
    make_file(3000, 2);
    model_blocks += 500;
    memset(&model[6000], 0, 500 * sizeof(model[0]));
    model[5998] = 0; /* its tail is rewritten by growing */
    expect_ok(vmfs_file_truncate(file, file_size()));
    put_block(5998);
    collapse(0, 6200);
    compare();
    expect_code(vmfs_file_seek(file, 0, VMFS_SEEK_DATA), -ENXIO);
    struct vmfs_stat stat;
    expect_ok(vmfs_file_stat(file, &stat));
    cr_assert_eq(stat.blocks, 0);
}

static int allocate(int mode, uint64_t offset, uint64_t length)
{
    return vmfs_file_allocate(file, mode, offset, length);
}

Test(remap, refused, .init = set_up, .fini = tear_down)
{
    make_file(10, 2);
    uint64_t size = file_size();
    const int out = VMFS_ALLOC_COLLAPSE;
    const int in = VMFS_ALLOC_INSERT;
    expect_code(allocate(out, 0, 0), -EINVAL);
    expect_code(allocate(out, 1, PAGE), -EINVAL);
    expect_code(allocate(out, 0, PAGE - 1), -EINVAL);
    expect_code(allocate(in, 8, PAGE), -EINVAL);
    expect_code(allocate(in, 0, PAGE + 8), -EINVAL);
    expect_code(allocate(out, 0, (size / PAGE + 1) * PAGE), -EINVAL);
    expect_code(allocate(out, size / PAGE * PAGE, PAGE), -EINVAL);
    expect_code(allocate(out, PAGE, UINT64_MAX / PAGE * PAGE), -EINVAL);
    expect_code(allocate(in, (size / PAGE + 1) * PAGE, PAGE), -EINVAL);
    expect_code(allocate(in, UINT64_MAX / PAGE * PAGE, PAGE), -EINVAL);
    expect_code(allocate(in, 0, VMFS_FILE_MAX), -EFBIG);
    expect_code(allocate(in, 0, UINT64_MAX / PAGE * PAGE), -EFBIG);
    expect_code(allocate(out | in, 0, PAGE), -EINVAL);
    expect_code(allocate(out | VMFS_ALLOC_KEEP_SIZE, 0, PAGE), -EINVAL);
    compare();
    struct vmfs_file *reader = fixture_file(&fixture, "/f", VMFS_O_RDONLY);
    expect_code(vmfs_file_allocate(reader, out, 0, PAGE), -EBADF);
    expect_ok(vmfs_file_close(reader));
}

/* The largest offset: what lies there moves by a block and back. */
Test(remap, at_the_largest_offset, .init = set_up, .fini = tear_down)
{
    make_file(200, 2);
    expect_ok(vmfs_file_truncate(file, VMFS_FILE_MAX - PAGE));
    expect_code(vmfs_file_pwrite(file, "end", 3, VMFS_FILE_MAX - PAGE - 3), 3);
    expect_ok(allocate(VMFS_ALLOC_INSERT, PAGE, PAGE));
    expect_code(allocate(VMFS_ALLOC_INSERT, PAGE, PAGE), -EFBIG);
    char text[4] = "";
    expect_code(vmfs_file_pread(file, text, 3, VMFS_FILE_MAX - 3), 3);
    cr_assert_str_eq(text, "end");
    expect_ok(allocate(VMFS_ALLOC_COLLAPSE, 0, VMFS_FILE_MAX - PAGE));
    expect_code(vmfs_file_pread(file, text, 3, PAGE - 3), 3);
    cr_assert_str_eq(text, "end");
    struct vmfs_stat stat;
    expect_ok(vmfs_file_stat(file, &stat));
    cr_assert(stat.size == PAGE && stat.blocks == PAGE / 512);
}

static uint64_t fences_of(int mode, uint64_t first, uint64_t count)
{
    struct vmfs_counters before;
    struct vmfs_counters after;
    expect_ok(vmfs_counters(fixture.fs, VMFS_COUNTERS_THREAD, &before));
    expect_ok(allocate(mode, first * PAGE, count * PAGE));
    expect_ok(vmfs_counters(fixture.fs, VMFS_COUNTERS_THREAD, &after));
    return after.fences - before.fences;
}

/* inode/remap.h says what they cost. */
Test(remap, fences, .init = set_up, .fini = tear_down)
{
    make_file(3, 2);
    cr_assert_eq(fences_of(VMFS_ALLOC_INSERT, 1, 1), 1);
    cr_assert_eq(fences_of(VMFS_ALLOC_COLLAPSE, 1, 1), 1);
    make_file(16, 2);
    cr_assert_eq(fences_of(VMFS_ALLOC_INSERT, 3, 1), 1);
    cr_assert_eq(fences_of(VMFS_ALLOC_COLLAPSE, 2, 3), 1);
    make_file(60, 2);
    cr_assert_eq(fences_of(VMFS_ALLOC_INSERT, 50, 1), 2);
    cr_assert_eq(fences_of(VMFS_ALLOC_COLLAPSE, 50, 1), 2);
    make_file(6000, 2);
    uint64_t large = fences_of(VMFS_ALLOC_INSERT, 50, 1);
    cr_log_info("insert among 6,000 extents: %llu fences", (unsigned long long)large);
    cr_assert_leq(large, 16, "%llu", (unsigned long long)large);
}

/* On a region that is full nothing happens; after a little room is made, it does. */
Test(remap, no_space, .init = set_up, .fini = tear_down)
{
    static uint8_t bytes[65536];
    make_file(2000, 2);
    struct vmfs_file *filler = fixture_file(&fixture, "/filler", VMFS_O_CREAT | VMFS_O_WRONLY);
    size_t length = sizeof(bytes);
    uint64_t at = 0;
    while (length >= PAGE) {
        int64_t written = vmfs_file_pwrite(filler, bytes, length, at);
        at += written > 0 ? (uint64_t)written : 0;
        length = written == (int64_t)length ? length : length / 2;
    }
    uint64_t before = blocks_free();
    expect_code(allocate(VMFS_ALLOC_INSERT, PAGE, PAGE), -ENOSPC);
    compare();
    cr_assert_eq(blocks_free(), before);
    expect_ok(vmfs_file_truncate(filler, at - 40 * PAGE));
    insert(1, 1);
    collapse(7, 1000);
    compare();
    expect_ok(vmfs_file_close(filler));
}

/* ---- threads ---- */

#define BEATEN_BLOCKS 3000u
#define BEATEN_MS     700

struct beating {
    _Atomic bool is_over;
    _Atomic unsigned calls;
};

static struct beating beating;

/* Every block holds one number all over: a read of one sees no mixture of two. */
static void *read_blocks(void *arg)
{
    struct seed seed;
    uint64_t page[PAGE / 8];
    seed_init(&seed, (uint64_t)(uintptr_t)arg);
    while (!atomic_load(&beating.is_over)) {
        uint64_t block = seed_below(&seed, BEATEN_BLOCKS);
        int64_t got = vmfs_file_pread(file, page, PAGE, block * PAGE);
        cr_assert(got >= 0, "%lld", (long long)got);
        for (int64_t word = 1; word < got / 8; word++)
            cr_assert_eq(page[word], page[0]);
        atomic_fetch_add(&beating.calls, 1);
    }
    return NULL;
}

static void *change_sizes(void *arg)
{
    struct seed seed;
    uint64_t page[PAGE / 8];
    uint64_t number = (uint64_t)(uintptr_t)arg;
    seed_init(&seed, number);
    while (!atomic_load(&beating.is_over)) {
        uint64_t block = seed_below(&seed, BEATEN_BLOCKS);
        for (unsigned word = 0; word < PAGE / 8; word++)
            page[word] = number;
        int64_t result;
        switch (seed_below(&seed, 8)) {
        case 0:
            result = vmfs_file_truncate(file, block * PAGE);
            break;
        case 1:
            result = vmfs_file_allocate(file, VMFS_ALLOC_COLLAPSE, block * PAGE, 3 * PAGE);
            break;
        case 2:
            result = vmfs_file_allocate(file, VMFS_ALLOC_INSERT, block * PAGE, 2 * PAGE);
            break;
        default:
            result = vmfs_file_pwrite(file, page, PAGE, block * PAGE);
            break;
        }
        cr_assert(result >= 0 || result == -EINVAL, "%lld", (long long)result);
        atomic_fetch_add(&beating.calls, 1);
    }
    return NULL;
}

/* Many hands on one file, which goes between a few extents and thousands. */
Test(remap, many_threads, .init = set_up, .fini = tear_down, .timeout = 60)
{
    pthread_t threads[5];
    make_file(BEATEN_BLOCKS / 2, 2);
    for (uintptr_t number = 0; number < 5; number++)
        cr_assert_eq(pthread_create(&threads[number], NULL, number < 2 ? read_blocks : change_sizes,
                                    (void *)(number + 1)),
                     0);
    const struct timespec pause = {BEATEN_MS / 1000, BEATEN_MS % 1000 * 1000000L};
    nanosleep(&pause, NULL);
    atomic_store(&beating.is_over, true);
    for (unsigned number = 0; number < 5; number++)
        pthread_join(threads[number], NULL);
    cr_log_info("%u calls", atomic_load(&beating.calls));
    expect_ok(region_check(fixture.fs));
    reopen();
    expect_ok(region_check(fixture.fs));
}

/* Names go while the files behind them are cut, grown and remapped. */
static void *lose_names(void *arg)
{
    struct seed seed;
    seed_init(&seed, (uint64_t)(uintptr_t)arg);
    while (!atomic_load(&beating.is_over)) {
        struct vmfs_file *mine;
        int err = vmfs_file_open(fixture.fs, "/g", VMFS_O_CREAT | VMFS_O_RDWR, 0644, &mine);
        cr_assert_eq(err, 0, "open: %d", err);
        for (unsigned block = 0; block < 300; block++)
            expect_code(vmfs_file_pwrite(mine, "x", 1, seed_below(&seed, 3000) * PAGE), 1);
        if (seed_chance(&seed, 50))
            (void)vmfs_file_allocate(mine, VMFS_ALLOC_INSERT, 0, PAGE);
        if (seed_chance(&seed, 50))
            (void)vmfs_truncate(fixture.fs, "/g", seed_below(&seed, 100) * PAGE);
        err = vmfs_unlink(fixture.fs, "/g");
        cr_assert(err == 0 || err == -ENOENT, "unlink: %d", err);
        expect_ok(vmfs_file_close(mine));
        atomic_fetch_add(&beating.calls, 1);
    }
    return NULL;
}

Test(remap, names_go_meanwhile, .init = set_up, .fini = tear_down, .timeout = 60)
{
    pthread_t threads[4];
    expect_ok(vmfs_unlink(fixture.fs, "/f"));
    expect_ok(vmfs_mknod(fixture.fs, "/other", 0644, 0));
    uint64_t before = blocks_free();
    for (uintptr_t number = 0; number < 4; number++)
        cr_assert_eq(pthread_create(&threads[number], NULL, lose_names, (void *)(number + 1)), 0);
    const struct timespec pause = {BEATEN_MS / 1000, BEATEN_MS % 1000 * 1000000L};
    nanosleep(&pause, NULL);
    atomic_store(&beating.is_over, true);
    for (unsigned number = 0; number < 4; number++)
        pthread_join(threads[number], NULL);
    cr_log_info("%u files", atomic_load(&beating.calls));
    expect_ok(region_check(fixture.fs));
    /* But for inode chunks, of 16 blocks here, that were added for so many at once. */
    uint64_t taken = before - blocks_free();
    cr_assert(taken <= 64 && taken % 16 == 0, "%llu blocks", (unsigned long long)taken);
}
