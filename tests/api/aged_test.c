/* aged_test.c -- does a region that has been used for long still give large files long extents?
 *
 *     aged_test [--rounds N] [--mib N] [--seed N]
 *
 * Every round fills the region to 90 % with files whose sizes are log-uniform from 1 KiB to 64 MiB,
 * written by calls of 1 MiB or by small appends, some two at a time, then removes a random half. In every
 * round the extents of all files over 16 MiB must be 1 MiB long on average at least. The sizes and their
 * order come from the seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/handle.h"
#include "inode/extent.h"
#include "region.h"
#include "seed.h"
#include "vmfs.h"

#define FILES_MAX       100000u
#define SIZE_MIN        1024u
#define SIZE_LOG2_RANGE 16u /* up to 64 MiB */
#define LARGE_BYTES     (16u << 20)
#define MEAN_MIN        (1u << 20)
#define CALL_BYTES      (1u << 20)
#define SMALL_CALL_MAX  (96u << 10)

struct aged {
    struct vmfs *fs;
    struct seed seed;
    uint32_t numbers[FILES_MAX];
    uint64_t sizes[FILES_MAX];
    uint32_t count;
    uint32_t next_number;
};

static uint8_t data[CALL_BYTES];

static void must(int64_t result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror((int)-result));
    exit(1);
}

/* One file on its way. */
struct growing {
    struct vmfs_file *file;
    uint64_t size;
    uint64_t at;
    bool is_small; /* by small appends */
};

static uint64_t draw_size(struct aged *aged)
{
    uint64_t low = (uint64_t)SIZE_MIN << seed_below(&aged->seed, SIZE_LOG2_RANGE);
    double step = (double)seed_below(&aged->seed, 1u << 20) / (1u << 20);
    /* 2^step, near enough: a parabola through 1, sqrt(2) and 2. */
    return (uint64_t)((double)low * (1.0 + step * (0.6568 + step * 0.3432)));
}

static void begin_file(struct aged *aged, struct growing *growing)
{
    char path[32];
    uint32_t number = aged->next_number++;
    snprintf(path, sizeof path, "/f%u", number);
    growing->size = draw_size(aged);
    growing->at = 0;
    growing->is_small = seed_chance(&aged->seed, 25);
    must(vmfs_file_open(aged->fs, path, VMFS_O_CREAT | VMFS_O_RDWR, 0644, &growing->file), path);
    aged->numbers[aged->count] = number;
    aged->sizes[aged->count++] = growing->size;
}

/* One call; false at the end of the file. */
static bool grow_file(struct aged *aged, struct growing *growing)
{
    if (growing->at == growing->size)
        return false;
    uint64_t most = growing->is_small ? 1 + seed_below(&aged->seed, SMALL_CALL_MAX) : CALL_BYTES;
    uint64_t left = growing->size - growing->at;
    uint64_t want = left < most ? left : most;
    int64_t written = vmfs_file_pwrite(growing->file, data, want, growing->at);
    must(written, "write");
    growing->at += (uint64_t)written;
    return true;
}

static bool is_filled(struct aged *aged)
{
    struct vmfs_statfs space;
    must(vmfs_statfs(aged->fs, &space), "statfs");
    return space.blocks_free * 10 < space.blocks_total || aged->count + 2 > FILES_MAX;
}

static void fill(struct aged *aged)
{
    while (!is_filled(aged)) {
        struct growing files[2];
        unsigned count = seed_chance(&aged->seed, 20) ? 2 : 1;
        for (unsigned index = 0; index < count; index++)
            begin_file(aged, &files[index]);
        for (bool more = true; more && !is_filled(aged);) {
            more = false;
            for (unsigned index = 0; index < count; index++)
                more = grow_file(aged, &files[index]) || more;
        }
        for (unsigned index = 0; index < count; index++) {
            aged->sizes[aged->count - count + index] = files[index].at;
            must(vmfs_file_close(files[index].file), "close");
        }
    }
}

static void remove_half(struct aged *aged)
{
    for (uint32_t left = aged->count / 2; left > 0; left--) {
        uint32_t at = (uint32_t)seed_below(&aged->seed, aged->count);
        char path[32];
        snprintf(path, sizeof path, "/f%u", aged->numbers[at]);
        must(vmfs_unlink(aged->fs, path), path);
        aged->count--;
        aged->numbers[at] = aged->numbers[aged->count];
        aged->sizes[at] = aged->sizes[aged->count];
    }
}

/* Extents as they lie in the region: neighbours count as one. */
static uint64_t count_extents(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    uint64_t count = 0;
    uint64_t file_block = 0;
    struct vm_extent before = {0};
    struct vm_extent extent;
    int found;
    while ((found = vm_file_ceiling(ctx, inode, file_block, &extent)) > 0) {
        bool goes_on = count && before.block + before.blocks == extent.block;
        count += goes_on ? 0 : 1;
        before = extent;
        file_block = extent.file_block + extent.blocks;
    }
    must(found, "extents");
    return count;
}

/* Mean extent of the large files. */
static uint64_t judge(struct aged *aged, uint32_t round)
{
    uint64_t bytes = 0;
    uint64_t extents = 0;
    uint64_t files = 0;
    for (uint32_t at = 0; at < aged->count; at++) {
        if (aged->sizes[at] <= LARGE_BYTES)
            continue;
        char path[32];
        struct vmfs_stat stat;
        struct vm_ctx ctx;
        struct vm_inode inode;
        snprintf(path, sizeof path, "/f%u", aged->numbers[at]);
        must(vmfs_stat(aged->fs, path, 0, &stat), path);
        vm_ctx_init(aged->fs, &ctx);
        must(vm_inode_load(&ctx, stat.ino, &inode), "load");
        extents += count_extents(&ctx, &inode);
        bytes += aged->sizes[at];
        files++;
    }
    uint64_t mean = extents ? bytes / extents : 0;
    printf("round %u: %u files, %llu over 16 MiB in %llu extents of %llu KiB\n", round, aged->count,
           (unsigned long long)files, (unsigned long long)extents,
           (unsigned long long)(mean >> 10));
    return files ? mean : UINT64_MAX;
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t value)
{
    for (int index = 1; index + 1 < argc; index++)
        if (strcmp(argv[index], name) == 0)
            value = strtoull(argv[index + 1], NULL, 0);
    return value;
}

int main(int argc, char **argv)
{
    region_force_pmem(argv);
    static struct aged aged;
    uint32_t rounds = (uint32_t)option(argc, argv, "--rounds", 12);
    uint64_t bytes = option(argc, argv, "--mib", 512) << 20;
    uint64_t seed = option(argc, argv, "--seed", 1);
    char path[REGION_PATH_MAX];
    seed_init(&aged.seed, seed);
    printf("seed %llu\n", (unsigned long long)seed);
    region_path(path, "aged");
    must(region_format(path, bytes, NULL, &aged.fs), path);
    unlink(path);
    uint64_t least = UINT64_MAX;
    for (uint32_t round = 1; round <= rounds; round++) {
        fill(&aged);
        uint64_t mean = judge(&aged, round);
        least = mean < least ? mean : least;
        if (round < rounds)
            remove_half(&aged);
    }
    must(region_check(aged.fs) ? -1 : 0, "check");
    must(vmfs_close(aged.fs), "close");
    printf("least mean extent %llu KiB\n", (unsigned long long)(least >> 10));
    return least >= MEAN_MIN ? 0 : 1;
}
