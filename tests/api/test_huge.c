/* test_huge.c -- sizes at their limits: 16 TiB, 65,000 links, 70,000 directories, 100,000 extents */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/handle.h"
#include "fixture.h"
#include "inode/extent.h"
#include "inode/table.h"
#include "seed.h"
#include "space/group.h"

#define PAGE    ((uint64_t)4096)
#define TIB     ((uint64_t)1 << 40)
#define FAR_MIB 4u

static struct fixture fixture;

static uint64_t blocks_free(void)
{
    struct vmfs_statfs statfs;
    expect_ok(vmfs_statfs(fixture.fs, &statfs));
    return statfs.blocks_free;
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- offsets ---- */

static void put_text(struct vmfs_file *file, uint64_t offset, const char *text)
{
    size_t length = strlen(text);
    expect_code(vmfs_file_pwrite(file, text, length, offset), (int64_t)length);
}

static void expect_text(struct vmfs_file *file, uint64_t offset, const char *text)
{
    char got[32] = "";
    size_t length = strlen(text);
    expect_code(vmfs_file_pread(file, got, length, offset), (int64_t)length);
    cr_assert_eq(memcmp(got, text, length), 0, "\"%s\" at %llu", got, (unsigned long long)offset);
}

Test(huge, sparse_offsets)
{
    static const uint64_t places[] = {0,
                                      UINT32_MAX - 1,
                                      TIB,
                                      PAGE * (UINT32_MAX - 9),
                                      16 * TIB - 2,
                                      16 * TIB + 5 * PAGE,
                                      VMFS_FILE_MAX / 2,
                                      VMFS_FILE_MAX - 4};
    const unsigned count = sizeof places / sizeof places[0];
    fixture_open(&fixture, "huge-offsets", 32 * REGION_MIB);
    expect_ok(vmfs_mknod(fixture.fs, "/other", 0644, 0)); /* the root has its leaf */
    uint64_t before = blocks_free();
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_CREAT | VMFS_O_RDWR);
    for (unsigned at = 0; at < count; at++)
        put_text(file, places[at], "data");
    expect_code(vmfs_file_pwrite(file, "x", 1, VMFS_FILE_MAX), -EFBIG);
    expect_code(vmfs_file_truncate(file, VMFS_FILE_MAX + 1), -EFBIG);
    expect_ok(vmfs_file_close(file));
    fixture_reopen(&fixture);
    file = fixture_file(&fixture, "/f", VMFS_O_RDWR);
    struct vmfs_stat stat = fixture_stat(&fixture, "/f");
    cr_assert(stat.size == VMFS_FILE_MAX && stat.blocks < 20 * PAGE / 512);
    uint64_t hole = 0;
    for (unsigned at = 0; at < count; at++) {
        uint64_t block = places[at] / PAGE * PAGE;
        expect_text(file, places[at], "data");
        expect_code(vmfs_file_seek(file, (int64_t)hole, VMFS_SEEK_DATA), (int64_t)block);
        hole = (places[at] + 3) / PAGE * PAGE + PAGE;
        expect_code(vmfs_file_seek(file, (int64_t)block, VMFS_SEEK_HOLE), (int64_t)hole);
    }
    expect_ok(vmfs_file_truncate(file, 16 * TIB));
    expect_text(file, 16 * TIB - 2, "da");
    expect_ok(vmfs_file_truncate(file, VMFS_FILE_MAX));
    expect_text(file, 16 * TIB - 2, "da");
    expect_code(vmfs_file_seek(file, (int64_t)(16 * TIB), VMFS_SEEK_DATA), -ENXIO);
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_unlink(fixture.fs, "/f"));
    cr_assert_eq(blocks_free(), before);
    fixture_close(&fixture);
}

/* ---- a region of 16 TiB ---- */

static uint64_t status_kib(const char *field)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    cr_assert_not_null(status);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, field, strlen(field)) == 0)
            sscanf(line + strlen(field), ": %llu", &kib);
    fclose(status);
    return kib;
}

static uint64_t backed_mib(void)
{
    struct stat stat_of;
    cr_assert_eq(stat(fixture.path, &stat_of), 0);
    return (uint64_t)stat_of.st_blocks * 512 / REGION_MIB;
}

/* Formatting, opening and a few files touch little of it, in memory and in the region. */
Test(huge, region_of_16_tib, .timeout = 120)
{
    uint64_t before_kib = status_kib("RssAnon");
    double start = now_ms();
    fixture_open(&fixture, "huge-region", 16 * TIB);
    cr_log_info("format: %.1f ms, %llu MiB backed", now_ms() - start,
                (unsigned long long)backed_mib());
    struct vmfs_statfs statfs;
    expect_ok(vmfs_statfs(fixture.fs, &statfs));
    cr_assert_eq(statfs.blocks_total, 16 * TIB / PAGE);
    uint64_t before = statfs.blocks_free;
    expect_ok(region_put_file(fixture.fs, "/f", 3 * REGION_MIB, 5));
    expect_ok(vmfs_statfs(fixture.fs, &statfs));
    uint64_t taken = before - statfs.blocks_free;
    cr_assert(taken >= 768 && taken < 768 + 300, "%llu", (unsigned long long)taken);
    cr_assert_lt(backed_mib(), 40);
    start = now_ms();
    fixture_reopen(&fixture);
    uint64_t grown_kib = status_kib("RssAnon") - before_kib;
    cr_log_info("close and open: %.1f ms; RssAnon grew by %llu KiB", now_ms() - start,
                (unsigned long long)grown_kib);
    cr_assert_lt(grown_kib, 16 * 1024);
    uint64_t digest = region_digest(fixture.fs, "/");
    expect_ok(vmfs_statfs(fixture.fs, &statfs));
    cr_assert_eq(before - statfs.blocks_free, taken);
    fixture_reopen(&fixture);
    cr_assert_eq(region_digest(fixture.fs, "/"), digest);
    expect_ok(vmfs_unlink(fixture.fs, "/f"));
    expect_ok(vmfs_close(fixture.fs));
    unlink(fixture.path);
}

static int64_t init_groups(struct vm_ctx *ctx, void *arg)
{
    (void)arg;
    int more = 1;
    while (more > 0)
        more = vm_group_init_next(ctx);
    return more;
}

static int64_t first_block(struct vm_ctx *ctx, void *arg)
{
    struct vm_inode inode;
    struct vm_extent extent;
    cr_assert_eq(vm_inode_load(ctx, fixture_stat(&fixture, arg).ino, &inode), 0);
    cr_assert_eq(vm_file_floor(ctx, &inode, 0, &extent), 1);
    return (int64_t)extent.block;
}

/* All groups made ready, so that a file can lie in the last one. Their bitmaps take 512 MiB. */
Test(huge, far_end_of_16_tib, .timeout = 200)
{
    fixture_open(&fixture, "huge-far", 16 * TIB);
    double start = now_ms();
    expect_ok(vm_call(fixture.fs, true, init_groups, NULL));
    cr_log_info("all groups: %.0f ms, %llu MiB backed", now_ms() - start,
                (unsigned long long)backed_mib());
    struct vm_space *space = fixture.fs->volume.space;
    uint64_t last = fixture.fs->volume.region.group_count - 1;
    for (uint32_t pool = 0; pool < space->pool_count; pool++)
        space->pools[pool].cursor = last;
    expect_ok(vmfs_mknod(fixture.fs, "/far", 0644, 0));
    uint64_t before = blocks_free();
    static uint8_t bytes[FAR_MIB * REGION_MIB];
    seed_fill(bytes, sizeof bytes, 9);
    struct vmfs_file *file = fixture_file(&fixture, "/far", VMFS_O_RDWR);
    expect_code(vmfs_file_pwrite(file, bytes, sizeof bytes, 0), (int64_t)sizeof bytes);
    expect_code(vmfs_file_pwrite(file, bytes, sizeof bytes, 20 * TIB), (int64_t)sizeof bytes);
    expect_ok(vmfs_file_close(file));
    cr_assert_eq(before - blocks_free(), 2 * sizeof bytes / PAGE);
    uint64_t block = (uint64_t)vm_call(fixture.fs, false, first_block, "/far");
    cr_assert(block >= (16 * TIB - 128 * REGION_MIB) / PAGE, "it lies at block %llu",
              (unsigned long long)block);
    fixture_reopen(&fixture);
    file = fixture_file(&fixture, "/far", VMFS_O_RDWR);
    static uint8_t got[sizeof bytes];
    expect_code(vmfs_file_pread(file, got, sizeof got, 20 * TIB), (int64_t)sizeof got);
    cr_assert_eq(memcmp(got, bytes, sizeof got), 0);
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_COLLAPSE, PAGE, 20 * TIB));
    expect_code(vmfs_file_pread(file, got, PAGE, PAGE), (int64_t)PAGE);
    cr_assert_eq(memcmp(got, bytes + PAGE, PAGE), 0);
    expect_ok(vmfs_file_close(file));
    start = now_ms();
    expect_ok(region_check(fixture.fs));
    cr_log_info("fsck: %.0f ms, peak %llu MiB", now_ms() - start,
                (unsigned long long)status_kib("VmHWM") / 1024);
    expect_ok(vmfs_unlink(fixture.fs, "/far"));
    cr_assert_eq(blocks_free(), before);
    expect_ok(vmfs_close(fixture.fs));
    unlink(fixture.path);
}

#define EXTENT_TIB 4 /* the longest extent */

static uint32_t extent_blocks = (uint32_t)VM_EXTENT_BLOCKS_MAX;

/* The blocks are the file's by its word alone: taking so many would take minutes. */
static int64_t give_tebibytes(struct vm_ctx *ctx, void *arg)
{
    struct vm_inode inode;
    struct vm_extent items[2] = {{.blocks = extent_blocks}};
    items[0].block = ctx->region->blocks / 2 - PAGE;
    items[0].flags = VM_EXTENT_UNWRITTEN;
    items[0].birth = ctx->region->epoch;
    items[1] = items[0];
    items[1].file_block += extent_blocks;
    items[1].block += extent_blocks;
    int result = vm_tx_begin(ctx);
    cr_assert_eq(result, 0);
    uint64_t id = fixture_stat(&fixture, arg).ino;
    vm_lock_inodes(ctx, &id, 1);
    cr_assert_eq(vm_inode_load(ctx, id, &inode), 0);
    vm_file_inline_put(ctx, &inode, items, 2);
    vm_inode_set_size(&inode, 2 * EXTENT_TIB * TIB);
    vm_inode_add_blocks(&inode, 2 * (int64_t)VM_EXTENT_BLOCKS_MAX);
    cr_assert_eq(vm_inode_store(ctx, &inode), 0);
    result = vm_tx_commit(ctx);
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
    return result;
}

/* More blocks than one record frees, out of a file whose extents lie in its inode. */
Test(huge, collapse_of_tebibytes, .timeout = 60)
{
    fixture_open(&fixture, "huge-collapse", 16 * TIB);
    expect_ok(vmfs_mknod(fixture.fs, "/f", 0644, 0));
    expect_ok(vm_call(fixture.fs, true, give_tebibytes, "/f"));
    uint64_t before = blocks_free();
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_RDWR);
    uint64_t gone = (EXTENT_TIB + 1) * TIB;
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_COLLAPSE, TIB, gone));
    struct vmfs_stat stat = fixture_stat(&fixture, "/f");
    uint64_t nodes = stat.blocks / 8 - (2 * EXTENT_TIB * TIB - gone) / PAGE;
    cr_assert_eq(stat.size, 2 * EXTENT_TIB * TIB - gone);
    cr_assert_leq(nodes, 1);
    cr_assert_eq(blocks_free() - before, gone / PAGE - nodes);
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_close(fixture.fs));
    unlink(fixture.path);
}

/* It could never be freed: one record cannot. */
Test(huge, extent_that_is_too_long, .timeout = 60)
{
    fixture_open(&fixture, "huge-extent", 16 * TIB);
    expect_ok(vmfs_mknod(fixture.fs, "/f", 0644, 0));
    extent_blocks++;
    expect_ok(vm_call(fixture.fs, true, give_tebibytes, "/f"));
    expect_code(vmfs_truncate(fixture.fs, "/f", 0), -EUCLEAN);
    (void)vmfs_close(fixture.fs);
    unlink(fixture.path);
}

/* ---- names and links ---- */

static void long_name(char *path, const char *dir, unsigned number)
{
    int used = snprintf(path, 300, "%s/%05u", dir, number);
    size_t end = strlen(dir) + 1 + VMFS_NAME_MAX;
    memset(path + used, 'n', end - (size_t)used);
    path[end] = '\0';
}

Test(huge, links_to_one_file, .timeout = 120)
{
    char path[300];
    fixture_open(&fixture, "huge-links", 256 * REGION_MIB);
    uint64_t before = blocks_free();
    expect_ok(vmfs_mkdir(fixture.fs, "/d", 0755));
    long_name(path, "/d", 0);
    expect_ok(region_put_file(fixture.fs, path, 100, 1));
    char more[300];
    for (unsigned number = 1; number < VMFS_LINK_MAX; number++) {
        long_name(more, "/d", number);
        expect_ok(vmfs_link(fixture.fs, path, more));
    }
    cr_assert_eq(fixture_stat(&fixture, path).nlink, VMFS_LINK_MAX);
    expect_code(vmfs_link(fixture.fs, path, "/one-more"), -EMLINK);
    cr_assert_eq(fixture_stat(&fixture, "/d").size, VMFS_LINK_MAX);
    fixture_reopen(&fixture);
    expect_ok(vmfs_unlink(fixture.fs, path));
    expect_ok(vmfs_link(fixture.fs, more, "/one-more"));
    expect_code(vmfs_link(fixture.fs, more, path), -EMLINK);
    expect_ok(region_check(fixture.fs));
    for (unsigned number = 1; number < VMFS_LINK_MAX; number++) {
        long_name(path, "/d", number);
        expect_ok(vmfs_unlink(fixture.fs, path));
    }
    cr_assert_eq(fixture_stat(&fixture, "/one-more").nlink, 1);
    expect_ok(vmfs_unlink(fixture.fs, "/one-more"));
    expect_ok(vmfs_rmdir(fixture.fs, "/d")); /* an index of thousands of empty leaves */
    cr_assert_leq(before - blocks_free(), 2);
    path[1 + VMFS_NAME_MAX] = '\0';
    memset(path, 'x', 1 + VMFS_NAME_MAX);
    expect_code(vmfs_mkdir(fixture.fs, path, 0755), -ENAMETOOLONG);
    fixture_close(&fixture);
}

#define SUBDIRECTORIES 70000u

Test(huge, subdirectories, .timeout = 120)
{
    char path[64];
    fixture_open(&fixture, "huge-dirs", 256 * REGION_MIB);
    expect_ok(vmfs_mkdir(fixture.fs, "/d", 0755));
    for (unsigned number = 0; number < SUBDIRECTORIES; number++) {
        snprintf(path, sizeof path, "/d/%u", number);
        expect_ok(vmfs_mkdir(fixture.fs, path, 0755));
    }
    struct vmfs_stat stat = fixture_stat(&fixture, "/d");
    cr_assert(stat.nlink == SUBDIRECTORIES + 2 && stat.size == SUBDIRECTORIES);
    fixture_reopen(&fixture);
    expect_ok(vmfs_rename(fixture.fs, "/d/17", "/seventeen", 0));
    stat = fixture_stat(&fixture, "/d");
    cr_assert(stat.nlink == SUBDIRECTORIES + 1 && stat.size == SUBDIRECTORIES - 1);
    fixture_close(&fixture);
}

/* ---- many extents ---- */

static void make_extents(const char *path, uint64_t extents)
{
    struct vmfs_file *file = fixture_file(&fixture, path, VMFS_O_CREAT | VMFS_O_WRONLY);
    for (uint64_t extent = 0; extent < extents; extent++)
        expect_code(vmfs_file_pwrite(file, "x", 1, 2 * extent * PAGE), 1);
    expect_ok(vmfs_file_close(file));
}

static void by_unlink(void)
{
    expect_ok(vmfs_unlink(fixture.fs, "/f"));
}

static void by_truncate(void)
{
    expect_ok(vmfs_truncate(fixture.fs, "/f", 0));
    expect_ok(vmfs_unlink(fixture.fs, "/f"));
}

static void by_rename(void)
{
    expect_ok(vmfs_mknod(fixture.fs, "/empty", 0644, 0));
    expect_ok(vmfs_rename(fixture.fs, "/empty", "/f", 0));
    expect_ok(vmfs_unlink(fixture.fs, "/f"));
}

static void by_open(void)
{
    expect_ok(vmfs_file_close(fixture_file(&fixture, "/f", VMFS_O_WRONLY | VMFS_O_TRUNC)));
    expect_ok(vmfs_unlink(fixture.fs, "/f"));
}

static void by_last_close(void)
{
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_RDONLY);
    expect_ok(vmfs_unlink(fixture.fs, "/f"));
    char byte;
    expect_code(vmfs_file_pread(file, &byte, 1, 2 * 2999 * PAGE), 1);
    expect_ok(vmfs_file_close(file));
}

Test(huge, every_way_to_free)
{
    void (*const ways[])(void) = {by_unlink, by_truncate, by_rename, by_open, by_last_close};
    fixture_open(&fixture, "huge-ways", 64 * REGION_MIB);
    expect_ok(vmfs_mknod(fixture.fs, "/other", 0644, 0));
    uint64_t before = blocks_free();
    for (unsigned way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        make_extents("/f", 3000);
        ways[way]();
        cr_assert_eq(blocks_free(), before, "way %u", way);
        expect_ok(region_check(fixture.fs));
    }
    fixture_close(&fixture);
}

/* Attributes of 64 KiB: more blocks and leaves than one record frees. */
Test(huge, attributes)
{
    static uint8_t value[VMFS_XATTR_MAX];
    char name[32];
    fixture_open(&fixture, "huge-xattr", 64 * REGION_MIB);
    expect_ok(vmfs_mknod(fixture.fs, "/other", 0644, 0));
    uint64_t before = blocks_free();
    expect_ok(vmfs_mknod(fixture.fs, "/f", 0644, 0));
    for (unsigned number = 0; number < 300; number++) {
        snprintf(name, sizeof name, "user.%u", number);
        expect_ok(vmfs_xattr_set(fixture.fs, "/f", 0, name, value, number % 2 ? 65536 : 900));
    }
    expect_ok(region_check(fixture.fs));
    expect_ok(vmfs_unlink(fixture.fs, "/f"));
    cr_assert_eq(blocks_free(), before);
    fixture_close(&fixture);
}

/* ---- others work meanwhile ---- */

#define MANY_EXTENTS    100000u
#define BLOCKS_A_RECORD 92u /* at most: a record has 96 entries */
#define CALLS_MAX       200000u

struct neighbour {
    char path[32]; /* of a file in the stripe of the one that is freed */
    _Atomic bool is_over;
    unsigned calls;
    uint32_t records[CALLS_MAX]; /* written by others during each call, at least */
    double longest_ms;
};

static struct neighbour neighbour;

/* How many records passed while a call of its own waited is told by what they freed. */
static void *work_beside(void *arg)
{
    (void)arg;
    while (!atomic_load(&neighbour.is_over) && neighbour.calls < CALLS_MAX) {
        uint64_t before = blocks_free();
        double start = now_ms();
        expect_ok(vmfs_chmod(fixture.fs, neighbour.path, 0600 + neighbour.calls % 8));
        double took = now_ms() - start;
        if (took > neighbour.longest_ms)
            neighbour.longest_ms = took;
        uint64_t freed = blocks_free() - before;
        neighbour.records[neighbour.calls++] = (uint32_t)(freed / BLOCKS_A_RECORD);
    }
    return NULL;
}

static int order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void find_neighbour(const char *path)
{
    struct vm_ctx ctx;
    vm_ctx_init(fixture.fs, &ctx);
    const struct vm_stripe *wanted = vm_stripe_of(&ctx, fixture_stat(&fixture, path).ino);
    expect_ok(vmfs_mkdir(fixture.fs, "/n", 0755));
    for (unsigned number = 0;; number++) {
        snprintf(neighbour.path, sizeof neighbour.path, "/n/%u", number);
        expect_ok(vmfs_mknod(fixture.fs, neighbour.path, 0644, 0));
        if (vm_stripe_of(&ctx, fixture_stat(&fixture, neighbour.path).ino) == wanted)
            return;
    }
}

static void free_beside(const char *what, void (*way)(void))
{
    pthread_t thread;
    neighbour.calls = 0;
    neighbour.longest_ms = 0;
    atomic_store(&neighbour.is_over, false);
    cr_assert_eq(pthread_create(&thread, NULL, work_beside, NULL), 0);
    double start = now_ms();
    way();
    double took = now_ms() - start;
    atomic_store(&neighbour.is_over, true);
    pthread_join(thread, NULL);
    qsort(neighbour.records, neighbour.calls, sizeof neighbour.records[0], order);
    uint32_t high = neighbour.records[neighbour.calls - 1 - neighbour.calls / 100];
    cr_log_info("%s: %.0f ms; beside it %u calls, 99 %% of which saw at most %u records pass; "
                "longest %.2f ms",
                what, took, neighbour.calls, high, neighbour.longest_ms);
    cr_assert_geq(neighbour.calls, 300, "%u", neighbour.calls);
    cr_assert_leq(high, 4, "%u", high);
}

static void insert_into(void)
{
    struct vmfs_file *file = fixture_file(&fixture, "/f", VMFS_O_WRONLY);
    double start = now_ms();
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_INSERT, PAGE, PAGE));
    cr_log_info("insert among %u extents: %.0f ms", MANY_EXTENTS, now_ms() - start);
    start = now_ms();
    expect_ok(vmfs_file_allocate(file, VMFS_ALLOC_COLLAPSE, PAGE, PAGE));
    cr_log_info("collapse: %.0f ms", now_ms() - start);
    expect_ok(vmfs_file_close(file));
}

Test(huge, neighbours_wait_for_few_records, .timeout = 120)
{
    fixture_open(&fixture, "huge-beside", 1024 * REGION_MIB);
    make_extents("/f", MANY_EXTENTS);
    find_neighbour("/f");
    insert_into();
    free_beside("unlink", by_unlink);
    make_extents("/f", MANY_EXTENTS);
    expect_ok(vmfs_unlink(fixture.fs, neighbour.path));
    expect_ok(region_remove_tree(fixture.fs, "/n"));
    find_neighbour("/f");
    free_beside("truncate", by_truncate);
    fixture_close(&fixture);
}
