/* errno_case.h -- one error of one call, provoked and looked at from all sides
 *
 * CASE() runs a call that must fail with exactly one errno, and then demands that every output
 * parameter is as it was and that nothing in the region has changed. tests/api/errno_cover.py finds the
 * (function, errno) pairs that vmfs.h names and have no CASE. */
#ifndef TESTS_API_ERRNO_CASE_H
#define TESTS_API_ERRNO_CASE_H

#include <errno.h>

#include "fixture.h"

/* Where all calls of the cases store. */
struct outputs {
    struct vmfs *fs;
    struct vmfs_file *file;
    struct vmfs_dir *dir;
    struct vmfs_stat stat;
    struct vmfs_info info;
    struct vmfs_statfs statfs;
    struct vmfs_counters counters;
    struct vmfs_dirent entry;
    struct vmfs_check_result result;
    char bytes[64];
};

extern struct outputs out;
extern struct fixture fixture;
extern struct vmfs *fs;
extern struct vmfs_file *file_r; /* /file, for reading only, writing only, and both */
extern struct vmfs_file *file_w;
extern struct vmfs_file *file_rw;
extern struct vmfs_dir *dir;
extern uint64_t dead; /* the id of a file that is gone */

/* /dir/sub, /empty, /file (100 bytes), /link -> file, /dangling -> nowhere, /loop -> loop, /fifo,
 * /frozen and /growing with inode flags, /sticky with another's file */
void errno_set_up(void);
void errno_tear_down(void);

void errno_begin(void);
void errno_end(const char *function, int wanted, int64_t got, int line);

/* The digest of the region is not taken where `fs` cannot be read. */
extern bool errno_is_blind;

#define CASE(function, error, call)                                                                \
    do {                                                                                           \
        errno_begin();                                                                             \
        errno_end(#function, -(error), (int64_t)(call), __LINE__);                                 \
    } while (0)

#endif
