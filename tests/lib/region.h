/* region.h -- regions for tests: where they lie, and what the library says about them */
#ifndef TESTS_REGION_H
#define TESTS_REGION_H

#include <stddef.h>
#include <stdint.h>

#include "vmfs.h"

#define REGION_PATH_MAX 256
#define REGION_MIB      ((uint64_t)1 << 20)

/* What the log hook was last told at VMFS_LOG_ERROR or as the reason of a failed call. */
struct region_log {
    unsigned count;
    int level;
    int reason;
    char text[512];
};

/* A log hook whose argument is a struct region_log. */
void region_log_keep(void *arg, int level, int reason, const char *file, int line,
                     const char *text);

/* libpmem reads PMEM_IS_PMEM_FORCE when it is loaded: sets it and starts the program again. */
void region_force_pmem(char **argv);

/* A path of this process's own, in $VMFS_TEST_DIR or /dev/shm; with $VMFS_TEST_DEVICE it leads to that device, so that a
 * test which uses one region at a time, and removes its path, runs there too. */
void region_path(char path[REGION_PATH_MAX], const char *name);

/* Formats and opens a region at `path`, over whatever is there. `log` may be null. */
int region_format(const char *path, uint64_t bytes, struct region_log *log, struct vmfs **out);

/* Opens an existing region. `log` may be null. */
int region_open(const char *path, uint32_t flags, struct region_log *log, struct vmfs **out);

/* Opens the one region in a file for reading, wherever in it that begins, as in the image of a guest's memory. */
int region_open_inside(const char *path, struct region_log *log, struct vmfs **out);

/* Removes a directory and all below it. 0, or the first error. */
int region_remove_tree(struct vmfs *fs, const char *path);

/* Creates a file of `bytes` bytes from `pattern`, as seed_fill() makes them. */
int region_put_file(struct vmfs *fs, const char *path, size_t bytes, uint64_t pattern);

/* A digest of names, attributes but access and change times, and content of all below `path`;
 * errors met on the way are part of it. */
uint64_t region_digest(struct vmfs *fs, const char *path);

/* Runs vmfs_check() and returns the problems, or a negative errno; prints each problem. */
int64_t region_check(struct vmfs *fs);

#endif
