/* test_view.c -- views: the bytes of a file where they lie */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fixture.h"
#include "seed.h"

#define BLOCK  4096
#define BLOCKS 64

static struct fixture fixture;
static struct vmfs *fs;
static struct vmfs_file *file;

static void set_up(void)
{
    fixture_open(&fixture, "view", 16 * REGION_MIB);
    fs = fixture.fs;
    file = fixture_file(&fixture, "/file", VMFS_O_CREAT | VMFS_O_RDWR);
}

static void tear_down(void)
{
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

TestSuite(view, .init = set_up, .fini = tear_down, .timeout = 60);

static void put(uint64_t offset, size_t length, uint64_t pattern)
{
    uint8_t *bytes = malloc(length);
    cr_assert(bytes != NULL);
    seed_fill(bytes, length, pattern);
    expect_code(vmfs_file_pwrite(file, bytes, length, offset), (int64_t)length);
    free(bytes);
}

/* Data, a hole, unwritten blocks, and an end within a block. */
static void make_mixture(void)
{
    put(0, 10 * BLOCK, 1);
    put(20 * BLOCK + 100, 3 * BLOCK, 2);
    expect_ok(vmfs_file_allocate(file, 0, 30 * BLOCK, 10 * BLOCK));
    put(50 * BLOCK, 1000, 3);
}

static struct vmfs_iovec pieces[VMFS_IOV_MAX];

/* A view shows what a read copies; how many bytes. */
static int64_t compare(size_t length, uint64_t offset)
{
    static uint8_t bytes[BLOCKS * BLOCK];
    struct vmfs_view view;
    unsigned count = VMFS_IOV_MAX;
    int64_t read = vmfs_file_pread(file, bytes, length, offset);
    int64_t got = vmfs_file_view(file, length, offset, pieces, &count, &view);
    cr_assert(got == read, "%lld bytes instead of %lld", (long long)got, (long long)read);
    size_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        cr_assert(pieces[i].length > 0);
        cr_assert(memcmp(bytes + at, pieces[i].base, pieces[i].length) == 0, "piece %u", i);
        at += pieces[i].length;
    }
    cr_assert(at == (size_t)got);
    vmfs_view_end(&view);
    return got;
}

Test(view, shows_what_is_read)
{
    struct seed seed;
    seed_init(&seed, 1);
    make_mixture();
    cr_assert(compare((size_t)BLOCKS * BLOCK, 0) == 50 * BLOCK + 1000);
    cr_assert(compare(10, 50 * BLOCK + 1000) == 0);
    cr_assert(compare(10, 60 * BLOCK) == 0);
    cr_assert(compare(0, 0) == 0);
    for (unsigned i = 0; i < 3000; i++)
        compare(seed_below(&seed, 20 * BLOCK), seed_below(&seed, 55 * BLOCK));
}

/* Blocks that lie side by side are one piece, and a hole is as many as it takes. */
Test(view, pieces_are_long)
{
    struct vmfs_view view;
    unsigned count = VMFS_IOV_MAX;
    put(0, 32 * BLOCK, 1);
    expect_code(vmfs_file_view(file, 32 * BLOCK, 0, pieces, &count, &view), 32 * BLOCK);
    cr_assert(count <= 2, "%u pieces", count);
    vmfs_view_end(&view);
    expect_ok(vmfs_file_truncate(file, 0));
    expect_ok(vmfs_file_truncate(file, 256 * BLOCK));
    count = 3;
    expect_code(vmfs_file_view(file, 256 * BLOCK, 5, pieces, &count, &view), 3 * 65536);
    cr_assert(count == 3);
    vmfs_view_end(&view);
}

static uint64_t fences(void)
{
    struct vmfs_counters counters;
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &counters));
    return counters.fences;
}

Test(view, costs_no_fence_and_sets_the_access_time)
{
    struct vmfs_stat stat;
    const struct vmfs_attr old = {.mask = VMFS_ATTR_ATIME, .atime_ns = 5};
    put(0, 100, 1);
    expect_ok(vmfs_file_setattr(file, &old));
    uint64_t before = fences();
    compare(100, 0);
    cr_assert(fences() == before);
    expect_ok(vmfs_file_setattr(file, &old));
    struct vmfs_view view;
    unsigned count = 1;
    expect_code(vmfs_file_view(file, 100, 0, pieces, &count, &view), 100);
    vmfs_view_end(&view);
    expect_ok(vmfs_file_stat(file, &stat));
    cr_assert(stat.atime_ns > 5);
}

/* Whoever has a view can do nothing else, so that it waits for nobody who waits for it. */
Test(view, nothing_else_meanwhile)
{
    struct vmfs_view view;
    struct vmfs_view second;
    struct vmfs_stat stat;
    struct vmfs_dir *dir;
    unsigned count = 1;
    put(0, 100, 1);
    expect_code(vmfs_file_view(file, 100, 0, pieces, &count, &view), 100);
    expect_code(vmfs_file_pwrite(file, "x", 1, 0), -EDEADLK);
    expect_code(vmfs_file_view(file, 100, 0, pieces, &count, &second), -EDEADLK);
    expect_code(vmfs_stat(fs, "/file", 0, &stat), -EDEADLK);
    expect_code(vmfs_dir_open(fs, "/", &dir), -EDEADLK);
    expect_code(vmfs_file_close(file), -EDEADLK);
    expect_code(vmfs_sync(fs), -EDEADLK);
    expect_code(vmfs_close(fs), -EBUSY);
    vmfs_view_end(&view);
    vmfs_view_end(&view);
    vmfs_view_end(NULL);
    expect_code(vmfs_file_pwrite(file, "x", 1, 0), 1);
    expect_code(vmfs_file_view(file, 100, 0, pieces, &count, &view), 100);
    vmfs_view_end(&view);
}

Test(view, of_a_read_only_region)
{
    make_mixture();
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_close(fs));
    expect_ok(region_open(fixture.path, VMFS_RDONLY, &fixture.log, &fixture.fs));
    fs = fixture.fs;
    file = fixture_file(&fixture, "/file", VMFS_O_RDONLY);
    cr_assert(compare((size_t)BLOCKS * BLOCK, 0) == 50 * BLOCK + 1000);
}

/* ---- blocks stay ---- */

struct taker {
    struct vmfs_file *file;
    uint64_t offset;
    int64_t written;
    _Atomic bool is_done;
};

/* Frees the file's blocks and needs them, as there are no others. */
static void *take_blocks(void *arg)
{
    struct taker *taker = arg;
    static uint8_t bytes[8 * BLOCK];
    memset(bytes, 0xee, sizeof(bytes));
    if (vmfs_file_truncate(file, 0) == 0)
        taker->written = vmfs_file_pwrite(taker->file, bytes, sizeof(bytes), taker->offset);
    atomic_store(&taker->is_done, true);
    return NULL;
}

static uint64_t fill_region(struct vmfs_file *filler)
{
    static const uint8_t block[BLOCK] = {1};
    uint64_t at = 0;
    while (vmfs_file_pwrite(filler, block, BLOCK, at) == BLOCK)
        at += BLOCK;
    return at;
}

Test(view, blocks_stay_until_its_end)
{
    static uint8_t before[16 * BLOCK];
    struct vmfs_view view;
    unsigned count = VMFS_IOV_MAX;
    pthread_t thread;
    put(0, sizeof(before), 7);
    seed_fill(before, sizeof(before), 7);
    struct taker taker = {.file = fixture_file(&fixture, "/other", VMFS_O_CREAT | VMFS_O_RDWR)};
    taker.offset = fill_region(taker.file);
    expect_code(vmfs_file_view(file, sizeof(before), 0, pieces, &count, &view), sizeof(before));
    cr_assert(pthread_create(&thread, NULL, take_blocks, &taker) == 0);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    bool was_done = atomic_load(&taker.is_done);
    size_t at = 0;
    unsigned differing = 0;
    for (unsigned i = 0; i < count; at += pieces[i++].length)
        differing += memcmp(before + at, pieces[i].base, pieces[i].length) != 0;
    vmfs_view_end(&view);
    pthread_join(thread, NULL);
    cr_assert(differing == 0, "the view shows another file's bytes");
    cr_assert(!was_done, "blocks were found that the view holds");
    expect_code(taker.written, 8 * BLOCK);
    expect_ok(vmfs_file_close(taker.file));
}

/* ---- errors ---- */

Test(view, errors)
{
    struct vmfs_view view;
    unsigned count = 0;
    expect_code(vmfs_file_view(file, 1, 0, pieces, &count, &view), -EINVAL);
    count = VMFS_IOV_MAX + 1;
    expect_code(vmfs_file_view(file, 1, 0, pieces, &count, &view), -EINVAL);
    count = 1;
    expect_code(vmfs_file_view(file, (size_t)INT64_MAX + 1, 0, pieces, &count, &view), -EINVAL);
    expect_code(vmfs_file_view(file, 1, 0, NULL, &count, &view), -EINVAL);
    expect_code(vmfs_file_view(file, 1, 0, pieces, NULL, &view), -EINVAL);
    expect_code(vmfs_file_view(file, 1, 0, pieces, &count, NULL), -EINVAL);
    struct vmfs_file *writer = fixture_file(&fixture, "/file", VMFS_O_WRONLY);
    expect_code(vmfs_file_view(writer, 1, 0, pieces, &count, &view), -EBADF);
    cr_assert(count == 1);
    expect_ok(vmfs_file_close(writer));
}
