/* totals.c -- statfs against the map of all bytes and against fsck */
#include "totals.h"

#include <stdint.h>
#include <stdio.h>

struct totals {
    uint64_t bytes;
    uint64_t free_bytes; /* with what waits for a checkpoint */
};

static void add_range(void *arg, const struct vmfs_map_range *range)
{
    struct totals *totals = arg;
    totals->bytes += range->length;
    if (range->kind == VMFS_MAP_FREE || range->kind == VMFS_MAP_LOST)
        totals->free_bytes += range->length;
}

static void ignore_problem(void *arg, const struct vmfs_problem *problem)
{
    (void)arg;
    (void)problem;
}

bool totals_agree(struct vmfs *fs, char *text, size_t text_bytes)
{
    struct totals totals = {0};
    struct vmfs_statfs statfs;
    struct vmfs_check_result found;
    int err = vmfs_map(fs, VMFS_NO_OFFSET, add_range, &totals);
    if (err == 0)
        err = vmfs_check(fs, ignore_problem, NULL, &found);
    if (err == 0)
        err = vmfs_statfs(fs, &statfs);
    snprintf(text, text_bytes, "the totals cannot be had: %d", err);
    if (err != 0)
        return false;
    snprintf(
        text, text_bytes,
        "statfs says %llu of %llu blocks free and %llu inodes, found are %llu of %llu and %llu",
        (unsigned long long)statfs.blocks_free, (unsigned long long)statfs.blocks_total,
        (unsigned long long)statfs.inodes_used,
        (unsigned long long)(totals.free_bytes / statfs.block_bytes),
        (unsigned long long)(totals.bytes / statfs.block_bytes), (unsigned long long)found.inodes);
    return statfs.blocks_free * statfs.block_bytes == totals.free_bytes &&
           statfs.blocks_total * statfs.block_bytes == totals.bytes &&
           statfs.inodes_used == found.inodes;
}
