/* ops.h -- one operation that can be measured, and its life cycle
 *
 * setup() once; then for each batch prepare(n), call(0) ... call(n - 1), settle(n); teardown()
 * once. Only the calls are timed. A context belongs to one operation on one side and nothing is
 * shared between contexts, so each can run on a thread of its own. */
#ifndef BENCH_OPS_H
#define BENCH_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "env.h"
#include "fs.h"

/* Most calls in one batch, and the longest path made for one, with its NUL. */
#define OP_CALLS_MAX  128
#define OP_PATH_BYTES 64
/* Entries of a directory before a fresh one is taken, and of a standing one. */
#define OP_ENTRIES_MAX 10000
/* Files in the root that stat1 and its like choose from. */
#define OP_ROOT_FILES 1000
#define OP_PAGE_BYTES 4096
/* Size of the file that is read, overwritten or appended to. */
#define OP_FILE_BYTES ((uint64_t)ENV_WINDOW_BYTES)

struct op_context;

struct bench_op {
    const char *name; /* prefix of the names that it makes */
    int (*setup)(struct op_context *context);
    int (*prepare)(struct op_context *context, uint32_t count);
    int (*call)(struct op_context *context, uint32_t index);
    int (*settle)(struct op_context *context, uint32_t count);
    void (*teardown)(struct op_context *context);
    /* How the shared life cycles of names build and take away one entry. */
    int (*make)(struct op_context *context, const char *path);
    int (*unmake)(struct op_context *context, const char *path);
};

struct op_context {
    const struct bench_op *op;
    struct bench_env *env;
    struct bench_fs *fs; /* null for a floor of bare memory */
    uint64_t random;     /* restarted before each batch */
    uint64_t cursor;     /* entries used so far, bytes appended, or position in a ring */
    uint64_t directory;  /* number of the current directory or file */
    union fs_file file;
    bool is_file_open;
    char from[OP_CALLS_MAX][OP_PATH_BYTES];
    char to[OP_CALLS_MAX][OP_PATH_BYTES];
    uint64_t offsets[OP_CALLS_MAX];
    _Alignas(OP_PAGE_BYTES) uint8_t page[OP_PAGE_BYTES];
};

/* Draws page-aligned offsets below OP_FILE_BYTES. */
int op_draw_offsets(struct op_context *context, uint32_t count);

extern const struct bench_op op_nothing;

extern const struct bench_op op_create;
extern const struct bench_op op_mknod;
extern const struct bench_op op_mkdir;
extern const struct bench_op op_symlink;
extern const struct bench_op op_link;
extern const struct bench_op op_unlink;
extern const struct bench_op op_rmdir;
extern const struct bench_op op_rename;
extern const struct bench_op op_stat1;
extern const struct bench_op op_open_close;
extern const struct bench_op op_chmod;
extern const struct bench_op op_truncate;
extern const struct bench_op op_setxattr;

extern const struct bench_op op_read4k;
extern const struct bench_op op_overwrite4k;
extern const struct bench_op op_append4k;

extern const struct bench_op op_memcpy4k;
extern const struct bench_op op_nt256_fence;
extern const struct bench_op op_pmem4k;

#endif
