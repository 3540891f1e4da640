/* fs.h -- one table of calls for every filesystem that is measured
 *
 * The library and its peers are driven through the same table, so that an operation is written once
 * and each side pays the same call through a pointer. A peer that is mounted (FUSE) is another
 * `struct bench_fs` with fs_system_calls and its own root. Paths are relative: enter() is called
 * outside the timed window and makes the root of the side current. Calls return 0 or -errno. */
#ifndef BENCH_FS_H
#define BENCH_FS_H

#include <errno.h>
#include <stdint.h>

#include "vmfs.h"

union fs_file {
    struct vmfs_file *vmfs;
    int fd;
};

/* What a side has cost so far. */
struct fs_counts {
    uint64_t fences;     /* by the calling thread */
    uint64_t lines;      /* by the calling thread */
    uint64_t shared;     /* by the calling thread */
    uint64_t fences_all; /* by every thread */
};

struct fs_calls;

struct bench_fs {
    const struct fs_calls *calls;
    const char *name;
    struct vmfs *vmfs; /* of the library's side */
    int root_fd;       /* of a side reached by system calls */
};

struct fs_calls {
    int (*enter)(struct bench_fs *fs);
    /* Null where a side cannot tell. */
    int (*counts)(struct bench_fs *fs, struct fs_counts *out);
    /* Create a new regular file through an open and a close. */
    int (*create)(struct bench_fs *fs, const char *path);
    int (*mknod)(struct bench_fs *fs, const char *path);
    int (*mkdir)(struct bench_fs *fs, const char *path);
    int (*symlink)(struct bench_fs *fs, const char *target, const char *path);
    int (*link)(struct bench_fs *fs, const char *existing, const char *path);
    int (*unlink)(struct bench_fs *fs, const char *path);
    int (*rmdir)(struct bench_fs *fs, const char *path);
    int (*rename)(struct bench_fs *fs, const char *from, const char *to);
    int (*stat)(struct bench_fs *fs, const char *path);
    int (*open_close)(struct bench_fs *fs, const char *path);
    int (*chmod)(struct bench_fs *fs, const char *path, uint32_t mode);
    int (*truncate)(struct bench_fs *fs, const char *path, uint64_t size_bytes);
    int (*setxattr)(struct bench_fs *fs, const char *path, const void *value, uint32_t size_bytes);
    /* Opens for reading and writing, and creates. */
    int (*file_open)(struct bench_fs *fs, const char *path, union fs_file *out);
    int (*file_close)(union fs_file file);
    /* A short transfer is -EIO. */
    int (*file_pread)(union fs_file file, void *buffer, uint32_t length, uint64_t offset);
    int (*file_pwrite)(union fs_file file, const void *buffer, uint32_t length, uint64_t offset);
};

/* The result of a transfer that moved `done` bytes, or failed with -errno. */
static inline int fs_transfer_result(int64_t done, uint32_t length)
{
    if (done < 0)
        return (int)done;
    return done == (int64_t)length ? 0 : -EIO;
}

/* The library, called directly. */
extern const struct fs_calls fs_library_calls;
/* Whatever is mounted at root_fd. */
extern const struct fs_calls fs_system_calls;

#endif
