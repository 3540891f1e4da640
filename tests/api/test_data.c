/* test_data.c -- the bytes of files: reserved, punched, zeroed, copied, in several pieces, atomic */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data_model.h"

#define BLOCK  ((uint64_t)VMFS_BLOCK_SIZE)
#define ROUNDS 8000u

static uint64_t draw_seed(void)
{
    const char *wanted = getenv("VMFS_TEST_SEED");
    return wanted ? strtoull(wanted, NULL, 0) : seed_from_clock();
}

static void fill_region(struct fixture *fixture, uint64_t spare)
{
    static uint8_t bytes[64 * 1024];
    struct vmfs_file *file = fixture_file(fixture, "/filler", VMFS_O_CREAT | VMFS_O_RDWR);
    int64_t written = 1;
    uint64_t size = 0;
    while (written > 0) {
        written = vmfs_file_pwrite(file, bytes, sizeof bytes, size);
        size += written > 0 ? (uint64_t)written : 0;
    }
    expect_ok(vmfs_file_truncate(file, size > spare ? size - spare : 0));
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_sync(fixture->fs));
}

/* ------------------------------------------------------------------------------------ the model */

static void open_both(struct data_model *model, struct fixture *fixture)
{
    model->file = fixture_file(fixture, "/file", VMFS_O_CREAT | VMFS_O_RDWR);
    model->atomic = fixture_file(fixture, "/file", VMFS_O_RDWR | VMFS_O_ATOMIC);
}

static void close_both(struct data_model *model)
{
    expect_ok(vmfs_file_close(model->file));
    expect_ok(vmfs_file_close(model->atomic));
}

static void run_model(const char *name, uint64_t bytes, uint64_t spare, unsigned rounds)
{
    static struct data_model model;
    struct fixture fixture;
    struct seed seed;
    memset(&model, 0, sizeof model);
    model.seed = draw_seed();
    model.is_full = spare > 0;
    model.is_small = bytes < 16 * REGION_MIB;
    fprintf(stderr, "VMFS_TEST_SEED=%llu\n", (unsigned long long)model.seed);
    seed_init(&seed, model.seed);
    fixture_open(&fixture, name, bytes);
    if (spare)
        fill_region(&fixture, spare);
    open_both(&model, &fixture);
    for (unsigned round = 0; round < rounds; round++) {
        data_step(&model, &seed);
        data_compare(&model);
        if (round % 250 == 249) {
            close_both(&model);
            expect_ok(region_check(fixture.fs));
            fixture_reopen(&fixture);
            open_both(&model, &fixture);
        }
    }
    close_both(&model);
    fixture_close(&fixture);
}

Test(data, model)
{
    run_model("data-model", 32 * REGION_MIB, 0, ROUNDS);
}

Test(data, model_small_records)
{
    run_model("data-small", 2 * REGION_MIB, 0, ROUNDS);
}

Test(data, model_nearly_full)
{
    run_model("data-full", 2 * REGION_MIB, 40 * BLOCK, ROUNDS);
}

/* -------------------------------------------------------------------------------- allocating */

static void put_pattern(struct vmfs_file *file, uint64_t length, uint64_t offset, uint64_t pattern)
{
    static uint8_t bytes[1 << 20];
    seed_fill(bytes, length, pattern);
    expect_code(vmfs_file_pwrite(file, bytes, length, offset), (int64_t)length);
}

/* True if the bytes are what put_pattern() put. */
static bool has_pattern(struct vmfs_file *file, uint64_t length, uint64_t offset, uint64_t pattern)
{
    static uint8_t bytes[1 << 20];
    static uint8_t found[1 << 20];
    seed_fill(bytes, length, pattern);
    return vmfs_file_pread(file, found, length, offset) == (int64_t)length &&
           memcmp(bytes, found, length) == 0;
}

static uint64_t blocks_of(struct vmfs_file *file)
{
    struct vmfs_stat stat;
    expect_ok(vmfs_file_stat(file, &stat));
    return stat.blocks / (BLOCK / 512);
}

/* A node of the map may be among them. */
static void expect_blocks(struct vmfs_file *file, uint64_t blocks)
{
    uint64_t found = blocks_of(file);
    cr_assert(found == blocks || found == blocks + 1, "%llu blocks instead of %llu",
              (unsigned long long)found, (unsigned long long)blocks);
}

static uint64_t size_of(struct vmfs_file *file)
{
    struct vmfs_stat stat;
    expect_ok(vmfs_file_stat(file, &stat));
    return stat.size;
}

Test(data, allocate_refuses)
{
    struct fixture fixture;
    fixture_open(&fixture, "refuses", 16 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    struct vmfs_file *reader = fixture_file(&fixture, "/f", VMFS_O_RDONLY);
    static const int unsound[] = {VMFS_ALLOC_PUNCH,
                                  VMFS_ALLOC_PUNCH | VMFS_ALLOC_ZERO | VMFS_ALLOC_KEEP_SIZE,
                                  VMFS_ALLOC_COLLAPSE | VMFS_ALLOC_KEEP_SIZE,
                                  VMFS_ALLOC_INSERT | VMFS_ALLOC_COLLAPSE,
                                  0x04,
                                  0x40,
                                  -1};
    for (unsigned i = 0; i < sizeof unsound / sizeof unsound[0]; i++)
        expect_code(vmfs_file_allocate(file, unsound[i], 0, BLOCK), -EINVAL);
    expect_code(vmfs_file_allocate(file, 0, 0, 0), -EINVAL);
    expect_code(vmfs_file_allocate(NULL, 0, 0, 1), -EINVAL);
    expect_code(vmfs_file_allocate(reader, 0, 0, 1), -EBADF);
    expect_code(vmfs_file_allocate(file, 0, VMFS_FILE_MAX, 1), -EFBIG);
    expect_code(vmfs_file_allocate(file, VMFS_ALLOC_ZERO, UINT64_MAX, UINT64_MAX), -EFBIG);
    expect_code(vmfs_file_allocate(file, 0, 0, 64 * REGION_MIB), -ENOSPC);
    expect_code((int64_t)size_of(file), 0);
    expect_ok(vmfs_file_truncate(file, 0));
    expect_code((int64_t)blocks_of(file), 0);
    expect_ok(vmfs_file_close(reader));
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

Test(data, flags_bind_every_change)
{
    struct fixture fixture;
    fixture_open(&fixture, "flags", 16 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    struct vmfs_file *other = fixture_file(&fixture, "/g", VMFS_O_CREAT | VMFS_O_RDWR);
    struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS, .flags = VMFS_INODE_APPEND};
    put_pattern(file, 5000, 0, 1);
    put_pattern(other, 5000, 0, 2);
    expect_ok(vmfs_file_setattr(file, &attr));
    expect_code(vmfs_file_pwrite(file, "x", 1, 0), -EPERM);
    expect_code(vmfs_file_allocate(file, VMFS_ALLOC_ZERO, 0, 10), -EPERM);
    expect_code(vmfs_file_allocate(file, VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, 0, 10), -EPERM);
    expect_code(vmfs_file_copy_range(other, 0, file, 0, 10), -EPERM);
    expect_code(vmfs_file_truncate(file, 10), -EPERM);
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_KEEP_SIZE, 5000, 100000));
    attr.flags = VMFS_INODE_IMMUTABLE;
    expect_ok(vmfs_file_setattr(file, &attr));
    expect_code(vmfs_file_allocate(file, 0, 5000, 200000), -EPERM);
    expect_code(vmfs_file_pwrite(file, "x", 1, 5000), -EPERM);
    attr.flags = 0;
    expect_ok(vmfs_file_setattr(file, &attr));
    cr_assert(has_pattern(file, 5000, 0, 1));
    expect_ok(vmfs_file_close(other));
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

/* U2: what was reserved beyond the end outlives closing, and goes with any change of the size. */
Test(data, reserved_beyond_the_end)
{
    struct fixture fixture;
    fixture_open(&fixture, "beyond", 16 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    put_pattern(file, 5000, 0, 1);
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_KEEP_SIZE, 0, 40 * BLOCK));
    expect_blocks(file, 40);
    expect_code((int64_t)size_of(file), 5000);
    expect_code(vmfs_file_seek(file, 5000, VMFS_SEEK_DATA), -ENXIO);
    expect_ok(vmfs_file_close(file));
    fixture_reopen(&fixture);
    file = fixture_file(&fixture, "/f", VMFS_O_RDWR);
    expect_blocks(file, 40);
    put_pattern(file, 10000, 20 * BLOCK, 2);
    expect_blocks(file, 40);
    expect_code(vmfs_file_seek(file, 2 * (int64_t)BLOCK, VMFS_SEEK_DATA), 20 * (int64_t)BLOCK);
    cr_assert(has_pattern(file, 10000, 20 * BLOCK, 2));
    expect_ok(vmfs_file_truncate(file, 30 * BLOCK));
    expect_blocks(file, 30);
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_KEEP_SIZE, 0, 60 * BLOCK));
    expect_ok(vmfs_file_truncate(file, 30 * BLOCK));
    expect_blocks(file, 30);
    expect_ok(vmfs_file_truncate(file, 1));
    expect_blocks(file, 1);
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

static uint64_t fences_of_thread(struct vmfs *fs)
{
    struct vmfs_counters counters;
    expect_ok(vmfs_counters(fs, VMFS_COUNTERS_THREAD, &counters));
    return counters.fences;
}

/* No zeroing: a fence for each chunk that is touched first, and few records. */
Test(data, large_reserve_stores_little)
{
    struct fixture fixture;
    struct vmfs_counters before;
    struct vmfs_counters after;
    fixture_open(&fixture, "large", 300 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_ok(vmfs_counters(fixture.fs, VMFS_COUNTERS_THREAD, &before));
    expect_ok(vmfs_file_allocate(file, 0, 0, 200 * REGION_MIB));
    expect_ok(vmfs_counters(fixture.fs, VMFS_COUNTERS_THREAD, &after));
    cr_assert(after.bytes - before.bytes < 200000, "%llu bytes stored",
              (unsigned long long)(after.bytes - before.bytes));
    expect_code((int64_t)size_of(file), 200 * (int64_t)REGION_MIB);
    expect_code(vmfs_file_seek(file, 0, VMFS_SEEK_DATA), -ENXIO);
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

/* Blocks that were reserved can be written although the region is full. */
Test(data, reserved_blocks_are_there_on_a_full_region)
{
    struct fixture fixture;
    fixture_open(&fixture, "promise", 4 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_KEEP_SIZE, 0, 100 * BLOCK));
    fill_region(&fixture, 0);
    for (unsigned i = 0; i < 100; i++)
        put_pattern(file, BLOCK, i * BLOCK, i);
    for (unsigned i = 0; i < 100; i++)
        cr_assert(has_pattern(file, BLOCK, i * BLOCK, i), "block %u", i);
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

/* Also here and there, which splits extents, and what is reserved around stays zero. */
Test(data, reserved_blocks_are_written_out_of_order)
{
    struct fixture fixture;
    static uint8_t found[500];
    fixture_open(&fixture, "scattered", 4 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_ok(vmfs_file_allocate(file, 0, 0, 200 * BLOCK));
    fill_region(&fixture, 0);
    for (unsigned i = 0; i < 200; i++)
        if (i % 3)
            put_pattern(file, 500, (i * 77 % 200) * BLOCK + 1000, i);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t offset = (i * 77 % 200) * BLOCK;
        static const uint8_t zeros[sizeof found];
        cr_assert(i % 3 == 0 || has_pattern(file, 500, offset + 1000, i), "block %u", i);
        expect_code(vmfs_file_pread(file, found, 500, offset + (i % 3 ? 500 : 1000)), 500);
        cr_assert_arr_eq(found, zeros, sizeof found);
        expect_code(vmfs_file_pread(file, found, 500, offset + 1500), 500);
        cr_assert_arr_eq(found, zeros, sizeof found);
    }
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

/* Zeroing needs a node to split extents with; without one it zeroes in place. */
Test(data, zero_and_punch_on_a_full_region)
{
    struct fixture fixture;
    fixture_open(&fixture, "full-zero", 4 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    put_pattern(file, 100 * BLOCK, 0, 1);
    fill_region(&fixture, 0);
    for (unsigned i = 1; i < 99; i += 2)
        expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_ZERO, i * BLOCK, BLOCK));
    static uint8_t bytes[100 * 4096];
    static uint8_t found[100 * 4096];
    seed_fill(bytes, sizeof bytes, 1);
    for (unsigned i = 1; i < 99; i += 2)
        memset(bytes + i * BLOCK, 0, BLOCK);
    expect_code(vmfs_file_pread(file, found, sizeof found, 0), (int64_t)sizeof found);
    cr_assert_arr_eq(found, bytes, sizeof found);
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, 0, 50 * BLOCK));
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, 0, 100 * BLOCK));
    expect_code((int64_t)blocks_of(file), 0);
    expect_code((int64_t)size_of(file), 100 * (int64_t)BLOCK);
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

/* ----------------------------------------------------------------------------------- vectors */

Test(data, vectors)
{
    struct fixture fixture;
    char a[4] = "abc";
    char b[8] = "defghij";
    char c[16];
    fixture_open(&fixture, "vectors", 16 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    const struct vmfs_iovec out[] = {{a, 3}, {NULL, 0}, {b, 7}};
    expect_code(vmfs_file_writev(file, out, 3), 10);
    expect_code(vmfs_file_writev(file, out, 1), 3);
    expect_code(vmfs_file_pwritev(file, out, 1, 100), 3);
    const struct vmfs_iovec in[] = {{c, 2}, {c + 2, 0}, {c + 2, 11}, {a, 3}};
    expect_code(vmfs_file_preadv(file, in, 3, 0), 13);
    cr_assert_arr_eq(c, "abcdefghijabc", 13);
    expect_code(vmfs_file_seek(file, 99, VMFS_SEEK_SET), 99);
    expect_code(vmfs_file_readv(file, in, 4), 4);
    expect_code(vmfs_file_readv(file, in, 4), 0);
    expect_code(vmfs_file_preadv(file, NULL, 0, 0), 0);
    expect_code(vmfs_file_pwritev(file, NULL, 0, 0), 0);
    static struct vmfs_iovec many[VMFS_IOV_MAX + 1];
    for (unsigned i = 0; i <= VMFS_IOV_MAX; i++)
        many[i] = (struct vmfs_iovec){b, 1};
    expect_code(vmfs_file_pwritev(file, many, VMFS_IOV_MAX, 1), VMFS_IOV_MAX);
    expect_code(vmfs_file_pwritev(file, many, VMFS_IOV_MAX + 1, 1), -EINVAL);
    expect_code(vmfs_file_preadv(file, NULL, 1, 0), -EINVAL);
    const struct vmfs_iovec huge[] = {{b, INT64_MAX}, {b, 1}};
    expect_code(vmfs_file_pwritev(file, huge, 2, 0), -EINVAL);
    const struct vmfs_iovec null[] = {{NULL, 1}};
    expect_code(vmfs_file_preadv(file, null, 1, 0), -EINVAL);
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

/* A piece of no bytes may be null, wherever it stands: over data, over a hole and at the end. */
Test(data, empty_pieces_touch_no_memory)
{
    struct fixture fixture;
    char a[3];
    char b[5];
    fixture_open(&fixture, "empty-pieces", 16 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    const struct vmfs_iovec in[] = {{NULL, 0}, {a, 3}, {NULL, 0}, {NULL, 0}, {b, 5}, {NULL, 0}};
    const struct vmfs_iovec none[] = {{NULL, 0}, {NULL, 0}};
    expect_code(vmfs_file_pwrite(file, "abcdefgh", 8, BLOCK), 8);
    expect_code(vmfs_file_preadv(file, in, 6, BLOCK), 8);
    cr_assert_arr_eq(a, "abc", 3);
    cr_assert_arr_eq(b, "defgh", 5);
    expect_code(vmfs_file_preadv(file, in, 6, BLOCK - 3), 8);
    cr_assert_arr_eq(a, "\0\0\0", 3);
    cr_assert_arr_eq(b, "abcde", 5);
    expect_code(vmfs_file_preadv(file, in, 6, BLOCK + 5), 3);
    cr_assert_arr_eq(a, "fgh", 3);
    expect_code(vmfs_file_preadv(file, none, 2, 0), 0);
    expect_code(vmfs_file_preadv(file, none, 2, BLOCK), 0);
    expect_code(vmfs_file_readv(file, in, 1), 0);
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

/* ----------------------------------------------------------------------------------- copying */

Test(data, copy_keeps_holes)
{
    struct fixture fixture;
    fixture_open(&fixture, "copy", 64 * REGION_MIB);
    struct vmfs_file *from = fixture_file(&fixture, "/from", VMFS_O_CREAT | VMFS_O_RDWR);
    struct vmfs_file *to = fixture_file(&fixture, "/to", VMFS_O_CREAT | VMFS_O_RDWR);
    put_pattern(from, 3 * BLOCK, 0, 1);
    put_pattern(from, 3 * BLOCK, 1000 * BLOCK, 2);
    expect_ok(vmfs_file_truncate(from, (uint64_t)1 << 40));
    put_pattern(to, 200 * BLOCK, 0, 3);
    put_pattern(to, 200 * BLOCK, 700 * BLOCK, 3);
    int64_t copied = 1;
    uint64_t at = 0;
    for (unsigned calls = 0; copied > 0; calls++) {
        cr_assert(calls < 20, "a hole takes long");
        copied = vmfs_file_copy_range(from, at, to, at, UINT64_MAX >> 1);
        at += copied > 0 ? (uint64_t)copied : 0;
    }
    expect_code(copied, 0);
    expect_code((int64_t)at, (int64_t)1 << 40);
    expect_code((int64_t)size_of(to), (int64_t)1 << 40);
    cr_assert(has_pattern(to, 3 * BLOCK, 0, 1) && has_pattern(to, 3 * BLOCK, 1000 * BLOCK, 2));
    expect_code(vmfs_file_seek(to, 0, VMFS_SEEK_HOLE), 3 * (int64_t)BLOCK);
    expect_code(vmfs_file_seek(to, 3 * (int64_t)BLOCK, VMFS_SEEK_DATA), 1000 * (int64_t)BLOCK);
    expect_ok(vmfs_file_close(to));
    expect_ok(vmfs_file_close(from));
    fixture_close(&fixture);
}

Test(data, copy_refuses)
{
    struct fixture fixture;
    struct fixture second;
    fixture_open(&fixture, "copy-a", 16 * REGION_MIB);
    fixture_open(&second, "copy-b", 16 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    struct vmfs_file *other = fixture_file(&second, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    struct vmfs_file *reader = fixture_file(&fixture, "/f", VMFS_O_RDONLY);
    struct vmfs_file *writer = fixture_file(&fixture, "/f", VMFS_O_WRONLY);
    struct vmfs_file *adder = fixture_file(&fixture, "/f", VMFS_O_WRONLY | VMFS_O_APPEND);
    put_pattern(file, 1 << 20, 0, 1);
    expect_code(vmfs_file_copy_range(file, 0, other, 0, 1), -EXDEV);
    expect_code(vmfs_file_copy_range(writer, 0, file, 5000, 1), -EBADF);
    expect_code(vmfs_file_copy_range(file, 0, reader, 5000, 1), -EBADF);
    expect_code(vmfs_file_copy_range(file, 0, adder, 5000, 1), -EBADF);
    expect_code(vmfs_file_copy_range(file, 0, writer, 99, 100), -EINVAL);
    expect_code(vmfs_file_copy_range(file, 99, writer, 0, 100), -EINVAL);
    expect_code(vmfs_file_copy_range(file, 0, NULL, 0, 100), -EINVAL);
    expect_code(vmfs_file_copy_range(file, 0, writer, VMFS_FILE_MAX - 5, 100), -EFBIG);
    expect_code(vmfs_file_copy_range(file, 1 << 20, writer, 0, 100), 0);
    expect_code(vmfs_file_copy_range(file, 0, writer, 5000, 0), 0);
    expect_code(vmfs_file_copy_range(file, 100, writer, 0, 100), 100);
    expect_code(vmfs_file_copy_range(file, 0, writer, 17 * REGION_MIB, 1 << 19), 1 << 19);
    struct vmfs_file *all[] = {file, other, reader, writer, adder};
    for (unsigned i = 0; i < 5; i++)
        expect_ok(vmfs_file_close(all[i]));
    fixture_close(&second);
    fixture_close(&fixture);
}

/* ------------------------------------------------------------------------------------ atomic */

Test(data, atomic_writes_say_what_they_cannot_do)
{
    static uint8_t bytes[(1 << 20) + 1];
    struct fixture fixture;
    fixture_open(&fixture, "atomic", 16 * REGION_MIB);
    struct vmfs_file *file =
        fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR | VMFS_O_ATOMIC);
    expect_code(vmfs_file_pwrite(file, bytes, sizeof bytes, 0), -EMSGSIZE);
    expect_code(vmfs_file_pwrite(file, bytes, VMFS_ATOMIC_MAX, 0), (int64_t)VMFS_ATOMIC_MAX);
    for (unsigned i = 0; i < 8; i++) {
        put_pattern(file, 1 << 20, i * 70001, i);
        cr_assert(has_pattern(file, 1 << 20, i * 70001, i), "write %u", i);
    }
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

/* It begins in the file's last block, a hole, and goes on in more pieces than a record holds until space is
 * gone: that block stays a hole (P3). */
Test(data, failed_atomic_write_leaves_the_last_block)
{
    static uint8_t bytes[100 * BLOCK];
    struct fixture fixture;
    fixture_open(&fixture, "data-last", 2 * REGION_MIB);
    struct vmfs_file *file =
        fixture_file(&fixture, "/file", VMFS_O_CREAT | VMFS_O_RDWR | VMFS_O_ATOMIC);
    expect_ok(vmfs_file_truncate(file, 15));
    fill_region(&fixture, BLOCK);
    struct vmfs_file *filler = fixture_file(&fixture, "/filler", VMFS_O_RDWR);
    for (uint64_t block = 0; block < 180; block += 2)
        expect_ok(vmfs_file_allocate(filler, VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, block * BLOCK,
                                     BLOCK));
    expect_code(vmfs_file_pwrite(file, bytes, sizeof bytes, BLOCK - 10), -ENOSPC);
    expect_code(vmfs_file_seek(file, 0, VMFS_SEEK_DATA), -ENXIO);
    expect_code((int64_t)fixture_stat(&fixture, "/file").size, 15);
    expect_ok(vmfs_file_close(filler));
    expect_ok(vmfs_file_close(file));
    expect_code((int64_t)fixture_stat(&fixture, "/file").blocks, 0);
    fixture_close(&fixture);
}

/* W4: nothing of a write that finds no room is left, neither bytes nor blocks. */
Test(data, atomic_write_on_a_full_region)
{
    static uint8_t bytes[1 << 20];
    struct fixture fixture;
    struct vmfs_statfs before;
    struct vmfs_statfs after;
    fixture_open(&fixture, "atomic-full", 4 * REGION_MIB);
    struct vmfs_file *file =
        fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR | VMFS_O_ATOMIC);
    put_pattern(file, 300000, 0, 1);
    fill_region(&fixture, 200000);
    uint64_t blocks = blocks_of(file);
    expect_ok(vmfs_statfs(fixture.fs, &before));
    expect_code(vmfs_file_pwrite(file, bytes, 250000, 5), -ENOSPC);
    expect_code(vmfs_file_pwrite(file, bytes, 1 << 20, 300000), -ENOSPC);
    expect_code(vmfs_file_pwrite(file, bytes, 1 << 20, 200000), -ENOSPC);
    expect_ok(vmfs_statfs(fixture.fs, &after));
    expect_code((int64_t)after.blocks_free, (int64_t)before.blocks_free);
    expect_code((int64_t)blocks_of(file), (int64_t)blocks);
    cr_assert(has_pattern(file, 300000, 0, 1));
    put_pattern(file, 100000, 5, 2);
    cr_assert(has_pattern(file, 100000, 5, 2));
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}

/* W4: the same where the block of the end was reserved, and what finds room later is whole. What is free
 * lies in so many pieces that the write needs several records. */
static void append_in_pieces(const char *name, uint64_t reserved)
{
    static uint8_t bytes[70 * 4096];
    struct fixture fixture;
    fixture_open(&fixture, name, 2 * REGION_MIB);
    struct vmfs_file *file =
        fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR | VMFS_O_ATOMIC);
    struct vmfs_file *comb = fixture_file(&fixture, "/comb", VMFS_O_CREAT | VMFS_O_RDWR);
    put_pattern(comb, 120 * BLOCK, 0, 1);
    expect_ok(vmfs_file_truncate(file, 20));
    if (reserved)
        expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_KEEP_SIZE, 0, reserved));
    uint64_t blocks = blocks_of(file);
    fill_region(&fixture, 2 * BLOCK);
    for (unsigned i = 1; i < 120; i += 2)
        expect_ok(
            vmfs_file_allocate(comb, VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, i * BLOCK, BLOCK));
    expect_ok(vmfs_sync(fixture.fs));
    expect_code(vmfs_file_pwrite(file, bytes, sizeof bytes, 25), -ENOSPC);
    expect_code(vmfs_file_seek(file, 0, VMFS_SEEK_DATA), -ENXIO);
    expect_blocks(file, blocks);
    expect_code((int64_t)size_of(file), 20);
    put_pattern(file, 30 * BLOCK, 25, 2);
    cr_assert(has_pattern(file, 30 * BLOCK, 25, 2));
    expect_code(vmfs_file_pread(file, bytes, 25, 0), 25);
    for (unsigned i = 0; i < 25; i++)
        cr_assert(bytes[i] == 0, "byte %u", i);
    expect_code((int64_t)size_of(file), 30 * (int64_t)BLOCK + 25);
    expect_ok(vmfs_file_close(comb));
    expect_ok(vmfs_file_close(file));
    expect_ok(region_check(fixture.fs));
    fixture_close(&fixture);
}

Test(data, atomic_append_in_pieces)
{
    append_in_pieces("atomic-end", 0);
}

Test(data, atomic_append_in_pieces_over_reserved)
{
    append_in_pieces("atomic-end-kept", BLOCK);
}

Test(data, synchronous_writes)
{
    struct fixture fixture;
    fixture_open(&fixture, "dsync", 16 * REGION_MIB);
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR | VMFS_O_SYNC);
    uint64_t before = fences_of_thread(fixture.fs);
    put_pattern(file, 100, 0, 1);
    cr_assert(fences_of_thread(fixture.fs) - before <= 2 ||
              vmfs_durability(fixture.fs) == VMFS_DURABILITY_PROCESS);
    cr_assert(has_pattern(file, 100, 0, 1));
    expect_ok(vmfs_file_close(file));
    fixture_close(&fixture);
}
