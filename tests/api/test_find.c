/* test_find.c -- vmfs_region_find() on images made by hand: where a region is, and what is none */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

#define REGION_BYTES (4 * REGION_MIB)
#define SUPER_B      (3 * 4096)

static char path[REGION_PATH_MAX];

static void setup(void)
{
    region_path(path, "find");
    unlink(path);
}

static void teardown(void)
{
    unlink(path);
}

TestSuite(find, .init = setup, .fini = teardown, .timeout = 60);

static void put(uint64_t offset, const void *bytes, size_t length)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && pwrite(fd, bytes, length, (off_t)offset) == (ssize_t)length);
    close(fd);
}

static void size_file(uint64_t bytes)
{
    put(0, "", 0);
    cr_assert_eq(truncate(path, (off_t)bytes), 0);
}

/* A region of REGION_BYTES in the file that is there. */
static void put_region(uint64_t offset)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs *fs;
    options.flags = VMFS_CREATE | VMFS_FORCE;
    options.offset_bytes = offset;
    options.region_bytes = options.length_bytes = REGION_BYTES; /* not the whole file */
    expect_ok(vmfs_open(path, &options, &fs));
    expect_ok(vmfs_close(fs));
}

struct info_block {
    uint64_t data_offset;
    uint64_t pages;
    uint32_t start_pad;
    uint32_t end_trunc;
    uint16_t version_minor;
    bool is_devdax;
    bool is_broken; /* the checksum */
};

static void put_info(struct info_block info)
{
    uint8_t block[4096] = {0};
    uint32_t low = 0;
    uint64_t high = 0;
    memcpy(block, info.is_devdax ? "NVDIMM_DAX_INFO" : "NVDIMM_PFN_INFO", 16);
    memset(block + 16, 0x5a, 32); /* uuids */
    memcpy(block + 54, &info.version_minor, 2);
    memcpy(block + 56, &info.data_offset, 8);
    memcpy(block + 64, &info.pages, 8);
    memcpy(block + 76, &info.start_pad, 4);
    memcpy(block + 80, &info.end_trunc, 4);
    for (unsigned at = 0; at < sizeof block; at += 4) {
        uint32_t word;
        memcpy(&word, block + at, 4);
        low += word;
        high += low;
    }
    uint64_t sum = (high << 32 | low) + info.is_broken;
    memcpy(block + 4088, &sum, 8);
    put(4096, block, sizeof block);
}

/* The regions that are found are those at `wanted`, UINT64_MAX at its end. */
static void expect_places(const uint64_t *wanted, const char *what)
{
    struct vmfs_region_place places[4] = {{7, 7}, {7, 7}, {7, 7}, {7, 7}};
    int count = vmfs_region_find(path, places, 4);
    int wanted_count = 0;
    while (wanted[wanted_count] != UINT64_MAX)
        wanted_count++;
    cr_assert_eq(count, wanted_count, "%s: found %d, wanted %d", what, count, wanted_count);
    for (int i = 0; i < count; i++)
        cr_assert_eq(places[i].offset_bytes, wanted[i], "%s: place %d is at %llu", what, i,
                     (unsigned long long)places[i].offset_bytes);
}

#define EXPECT(what, ...) expect_places((const uint64_t[]){__VA_ARGS__, UINT64_MAX}, what)
#define EXPECT_NONE(what) expect_places((const uint64_t[]){UINT64_MAX}, what)

/* Nothing is found, and this is where the data begin. */
static void expect_start(uint64_t wanted, const char *what)
{
    struct vmfs_region_place place;
    cr_assert_eq(vmfs_region_find(path, &place, 1), 0, "%s", what);
    cr_assert_eq(place.offset_bytes, wanted, "%s: %llu", what,
                 (unsigned long long)place.offset_bytes);
}

static void expect_namespace(struct info_block info, uint64_t offset, uint64_t file_bytes)
{
    struct vmfs_namespace found;
    put_info(info);
    cr_assert_eq(vmfs_namespace_find(path, &found), 1);
    cr_assert_eq(found.mode, info.is_devdax ? VMFS_NAMESPACE_DEVDAX : VMFS_NAMESPACE_FSDAX);
    cr_assert_eq(found.data_offset_bytes, offset);
    cr_assert_eq(found.file_bytes, file_bytes);
    cr_assert_eq(found.tail_bytes, info.version_minor ? info.end_trunc : 0);
}

Test(find, namespaces)
{
    struct vmfs_namespace found;
    struct info_block info = {.data_offset = 2 * REGION_MIB, .pages = 512, .is_devdax = true};
    size_file(0);
    cr_assert_eq(vmfs_namespace_find(path, &found), 0);
    size_file(32 * REGION_MIB);
    cr_assert_eq(vmfs_namespace_find(path, &found), 0);
    expect_namespace(info, 2 * REGION_MIB, 4 * REGION_MIB);
    info.is_devdax = false;
    info.start_pad = 4096;
    info.end_trunc = 8192;
    expect_namespace(info, 2 * REGION_MIB, 4 * REGION_MIB);
    info.version_minor = 1;
    expect_namespace(info, 2 * REGION_MIB + 4096, 4 * REGION_MIB + 12288);
    info.is_broken = true;
    put_info(info);
    cr_assert_eq(vmfs_namespace_find(path, &found), 0);
    info.is_broken = false;
    info.data_offset = UINT64_MAX - 2048;
    put_info(info);
    cr_assert_eq(vmfs_namespace_find(path, &found), 0);
}

Test(find, at_the_start_and_elsewhere)
{
    size_file(32 * REGION_MIB);
    expect_start(0, "an empty file");
    put_region(0);
    EXPECT("at the start", 0);
    size_file(0);
    size_file(32 * REGION_MIB);
    put_region(5 * REGION_MIB + 4096);
    EXPECT("elsewhere", 5 * REGION_MIB + 4096);
    struct vmfs_region_place place;
    cr_assert_eq(vmfs_region_find(path, &place, 1), 1);
    cr_assert_eq(place.length_bytes, REGION_BYTES);
}

Test(find, behind_an_info_block)
{
    size_file(32 * REGION_MIB);
    put_region(18 * REGION_MIB);
    put_info((struct info_block){.data_offset = 18 * REGION_MIB, .version_minor = 4});
    EXPECT("fsdax", 18 * REGION_MIB);
    put_info((struct info_block){.data_offset = 18 * REGION_MIB, .is_devdax = true});
    EXPECT("devdax", 18 * REGION_MIB);
    put_info((struct info_block){
        .data_offset = 17 * REGION_MIB, .start_pad = REGION_MIB, .version_minor = 1});
    EXPECT("start_pad", 18 * REGION_MIB);
    put_region(
        0); /* before the namespace was made; its watermark then gave way to the info block */
    put_info((struct info_block){.data_offset = 18 * REGION_MIB, .version_minor = 4});
    EXPECT("what was there before", 18 * REGION_MIB);
    put_info((struct info_block){.data_offset = 24 * REGION_MIB, .version_minor = 4});
    expect_start(24 * REGION_MIB, "where the data begin");
}

Test(find, an_info_block_cuts_the_end)
{
    struct vmfs_region_place place;
    size_file(32 * REGION_MIB);
    put_info((struct info_block){
        .data_offset = 2 * REGION_MIB, .end_trunc = 16 << 20, .version_minor = 4});
    cr_assert_eq(vmfs_region_find(path, &place, 1), 0);
    cr_assert_eq(place.length_bytes, 14 * REGION_MIB);
    put_region(20 * REGION_MIB);
    EXPECT_NONE("behind the end");
}

/* What an info block says is not taken if it cannot be: then data begin at 0, and all is looked through. */
Test(find, hostile_info_blocks)
{
    const struct info_block hostile[] = {
        {.data_offset = 18 * REGION_MIB, .version_minor = 4, .is_broken = true},
        {.data_offset = 0, .version_minor = 4},
        {.data_offset = 4096, .version_minor = 4},
        {.data_offset = 8 * REGION_MIB + 1, .version_minor = 4},
        {.data_offset = 32 * REGION_MIB, .version_minor = 4},
        {.data_offset = UINT64_MAX, .version_minor = 4},
        {.data_offset = UINT64_MAX - 4095, .start_pad = 4096, .version_minor = 4},
        {.data_offset = 31 * REGION_MIB, .start_pad = UINT32_MAX, .version_minor = 4},
        {.data_offset = 8 * REGION_MIB, .end_trunc = UINT32_MAX, .version_minor = 4},
        {.data_offset = 8 * REGION_MIB, .end_trunc = 24 << 20, .version_minor = 4},
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        char what[32];
        snprintf(what, sizeof what, "hostile %zu", i);
        size_file(0);
        size_file(32 * REGION_MIB);
        put_info(hostile[i]);
        expect_start(0, what);
        put_region(6 * REGION_MIB);
        EXPECT(what, 6 * REGION_MIB);
    }
}

Test(find, two_side_by_side)
{
    size_file(32 * REGION_MIB);
    put_region(0);
    put_region(4 * REGION_MIB);
    put_region(16 * REGION_MIB);
    EXPECT("three", 0, 4 * REGION_MIB, 16 * REGION_MIB);
    struct vmfs_region_place place[2] = {{7, 7}, {7, 7}};
    cr_assert_eq(vmfs_region_find(path, place, 1), 3);
    cr_assert_eq(place[1].offset_bytes, 7, "no more is stored than there is room");
}

/* An image inside of a region is a file of it: also at a block boundary, and whichever copy leads to the outer. */
Test(find, one_inside_of_another)
{
    static const uint8_t zeros[4096];
    size_file(32 * REGION_MIB);
    put_region(8 * REGION_MIB);
    char outer[4][4096];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    cr_assert(pread(fd, outer, sizeof outer, 8 * REGION_MIB) == sizeof outer);
    close(fd);
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs *fs;
    options.flags = VMFS_CREATE | VMFS_FORCE;
    options.offset_bytes = 10 * REGION_MIB;
    options.region_bytes = REGION_MIB;
    expect_ok(vmfs_open(path, &options, &fs));
    expect_ok(vmfs_close(fs));
    EXPECT("nested", 8 * REGION_MIB);
    put(8 * REGION_MIB, zeros, sizeof zeros);
    EXPECT("nested, the first copy gone", 8 * REGION_MIB);
    put(8 * REGION_MIB, outer[0], 4096);
    put(8 * REGION_MIB + SUPER_B, zeros, sizeof zeros);
    EXPECT("nested, the second copy gone", 8 * REGION_MIB);
    put(8 * REGION_MIB + 100, "x", 1);
    EXPECT("what is left of the outer one counts", 8 * REGION_MIB, 10 * REGION_MIB);
}

Test(find, damaged_superblocks)
{
    static const uint8_t zeros[4096];
    const uint64_t at = 8 * REGION_MIB;
    size_file(32 * REGION_MIB);
    put_region(at);
    put(at + 500, "x", 1);
    EXPECT("the first copy fails its check", at);
    put(at, zeros, sizeof zeros);
    EXPECT("the first copy is gone", at);
    put(at + SUPER_B + 500, "x", 1);
    EXPECT("the second fails its check, and says where it is", at);
    put_region(at);
    put(at + 500, "x", 1);
    put(at + SUPER_B + 500, "x", 1);
    EXPECT("both fail their check: one place", at);
    put_region(at);
    put(at + SUPER_B, zeros, sizeof zeros);
    EXPECT("the second copy is gone", at);
    size_file(at + 2 * REGION_MIB);
    EXPECT("cut off", at);
}

/* A scan reads data only: the file is of 4 TiB. */
Test(find, sparse_files_are_quick)
{
    struct timespec start, end;
    size_file((uint64_t)4 << 40);
    put_region((uint64_t)3 << 40);
    clock_gettime(CLOCK_MONOTONIC, &start);
    EXPECT("far away", (uint64_t)3 << 40);
    clock_gettime(CLOCK_MONOTONIC, &end);
    cr_assert_leq(end.tv_sec - start.tv_sec, 5);
}

Test(find, what_is_no_file_of_data)
{
    struct vmfs_region_place place;
    size_file(0);
    cr_assert_eq(vmfs_region_find(path, &place, 1), 0);
    cr_assert_eq(vmfs_region_find("/dev/null", &place, 1), 0);
    cr_assert_eq(vmfs_region_find("/dev", &place, 1), 0);
    unlink(path);
    expect_code(vmfs_region_find(path, &place, 1), -ENOENT);
}
