/* rows.h -- what is measured against what
 *
 * A row is one operation of the library, the floor it is compared with and its peers. Whatever is
 * added later (a FUSE mount, libpmemobj, other shapes of directory) is an operation in ops.h or a
 * side in env.h, and an entry here. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "ops.h"

#define ROW_PEERS_MAX 4

struct bench_peer {
    const char *name; /* null ends the list */
    const struct bench_op *op;
    enum env_side side;
};

enum bench_floor_id {
    FLOOR_MEMCPY4K,
    FLOOR_NT256_FENCE,
    FLOOR_PMEM4K,
    FLOOR_TMPFS_STAT,
    FLOOR_TMPFS_OPEN_CLOSE,
    FLOORS_COUNT,
};

struct bench_floor {
    const char *name;
    const char *summary;
    const struct bench_op *op;
    enum env_side side;
};

struct bench_row {
    const char *name;
    const char *summary;
    const struct bench_op *op;
    enum bench_floor_id floor;
    bool is_mean_compared; /* x_floor is of the mean, not of the median */
    struct bench_peer peers[ROW_PEERS_MAX];
};

extern const struct bench_row bench_rows[];
extern const size_t bench_rows_count;
extern const struct bench_floor bench_floors[FLOORS_COUNT];

#endif
