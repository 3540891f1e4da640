/* host_internal.h -- what host.c and host_compare.c share */
#ifndef TESTS_HOST_INTERNAL_H
#define TESTS_HOST_INTERNAL_H

#include <sys/stat.h>

#include "host.h"

/* Times that the test's clock may have given: all others were set by the caller. */
#define HOST_CLOCK_FIRST 1700000000000000000
#define HOST_CLOCK_LAST  2900000000000000000

struct host {
    int root;
    int proc;
    int slots[OP_SLOTS];
    int dirs[OP_DIR_SLOTS];
    uint32_t uid;
    uint32_t gid;
    uint64_t ran;
    uint64_t skipped;
    int64_t last;
    struct stat stat;
    struct op_result listed;
    uint8_t data[OP_DATA_MAX];
};

extern struct host host;

/* Digests the entries of an open directory as op_digest_entry() does; returns how many, or -1. */
int64_t host_list(int dir, struct op_result *out);

bool host_stats_agree(const struct model_node *node, const struct stat *stat);

#endif
