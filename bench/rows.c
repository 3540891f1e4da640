/* rows.c -- what is measured against what */
#include "rows.h"

const struct bench_floor bench_floors[FLOORS_COUNT] = {
    [FLOOR_MEMCPY4K] = {"memcpy4k", "memcpy of 4 KiB out of a mapped window, random pages",
                        &op_memcpy4k, ENV_MEMORY},
    [FLOOR_NT256_FENCE] = {"nt256_fence",
                           "256 bytes stored past the cache and one fence, sequential",
                           &op_nt256_fence, ENV_MEMORY},
    [FLOOR_PMEM4K] = {"pmem4k", "pmem_memcpy_persist of 4 KiB into a mapped window, random pages",
                      &op_pmem4k, ENV_MEMORY},
    [FLOOR_TMPFS_STAT] = {"tmpfs_stat", "stat() on tmpfs", &op_stat1, ENV_TMPFS},
    [FLOOR_TMPFS_OPEN_CLOSE] = {"tmpfs_open_close", "open() and close() on tmpfs", &op_open_close,
                                ENV_TMPFS},
};

#define TMPFS_PEER(operation)                                                                      \
    {                                                                                              \
        {                                                                                          \
            "tmpfs", &(operation), ENV_TMPFS                                                       \
        }                                                                                          \
    }

const struct bench_row bench_rows[] = {
    {"create", "open(O_CREAT | O_EXCL) and close", &op_create, FLOOR_NT256_FENCE, false,
     TMPFS_PEER(op_create)},
    {"mknod", "a regular file without opening it", &op_mknod, FLOOR_NT256_FENCE, false,
     TMPFS_PEER(op_mknod)},
    {"mkdir", "a directory", &op_mkdir, FLOOR_NT256_FENCE, false, TMPFS_PEER(op_mkdir)},
    {"symlink", "a symbolic link with a target of 21 bytes", &op_symlink, FLOOR_NT256_FENCE, false,
     TMPFS_PEER(op_symlink)},
    {"link", "another name for one file", &op_link, FLOOR_NT256_FENCE, false, TMPFS_PEER(op_link)},
    {"unlink", "an empty file, its last name", &op_unlink, FLOOR_NT256_FENCE, false,
     TMPFS_PEER(op_unlink)},
    {"rmdir", "an empty directory", &op_rmdir, FLOOR_NT256_FENCE, false, TMPFS_PEER(op_rmdir)},
    {"rename", "within a directory, to a free name", &op_rename, FLOOR_NT256_FENCE, false,
     TMPFS_PEER(op_rename)},
    {"chmod", "one-component path", &op_chmod, FLOOR_NT256_FENCE, false, TMPFS_PEER(op_chmod)},
    {"truncate", "one-component path, the size of a file without blocks", &op_truncate,
     FLOOR_NT256_FENCE, false, TMPFS_PEER(op_truncate)},
    {"setxattr", "one-component path, 32 bytes over 32 bytes", &op_setxattr, FLOOR_NT256_FENCE,
     false, TMPFS_PEER(op_setxattr)},
    {"stat1", "one-component path", &op_stat1, FLOOR_TMPFS_STAT, false, TMPFS_PEER(op_stat1)},
    {"open_close", "one-component path, to read", &op_open_close, FLOOR_TMPFS_OPEN_CLOSE, false,
     TMPFS_PEER(op_open_close)},
    {"read4k", "aligned, random pages of a 64 MiB file", &op_read4k, FLOOR_MEMCPY4K, false,
     TMPFS_PEER(op_read4k)},
    {"overwrite4k", "aligned, random pages of a 64 MiB file", &op_overwrite4k, FLOOR_PMEM4K, false,
     TMPFS_PEER(op_overwrite4k)},
    {"append4k", "to a file that grows to 64 MiB", &op_append4k, FLOOR_PMEM4K, true,
     TMPFS_PEER(op_append4k)},
};
const size_t bench_rows_count = sizeof(bench_rows) / sizeof(bench_rows[0]);
