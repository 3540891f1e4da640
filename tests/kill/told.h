/* told.h -- what a writer that may be killed tells its judge, in memory that outlives it
 *
 * Both follow the same random operations, which depend on the seed, the round and the thread alone: the
 * number of those that have returned says what the region must hold. A round is one life of the writer;
 * each thread changes a directory of its own, /rROUND/tTHREAD. The writer removes the trees of old rounds
 * when it begins a new one, and says so before.
 *
 * The memory is a struct kill_told that is zero but for the seed: of a process that forks the writer, of a
 * file, or of a PCI device of a guest that is a file of the host (-device ivshmem-plain). tests/guest/cases/kill.py
 * reads it as well. */
#ifndef TESTS_KILL_TOLD_H
#define TESTS_KILL_TOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "op.h"

#define KILL_THREADS 4
#define KILL_ROUNDS  3 /* whose trees are kept */
#define KILL_PATH    64

struct kill_lane {
    _Alignas(64) _Atomic uint64_t acked; /* operations that have returned */
};

struct kill_told {
    uint64_t seed;
    _Atomic uint64_t first; /* the rounds whose trees must be there: from this one */
    _Atomic uint64_t next;  /*   to the one before this */
    _Atomic uint32_t uid;   /* of the writer */
    _Atomic uint32_t gid;
    struct kill_lane lanes[KILL_ROUNDS][KILL_THREADS]; /* a round's at its number % KILL_ROUNDS */
    _Atomic bool is_failed;
    char failure[1024];
};

/* Maps the file or device at `path`; null if that fails, with errno. */
struct kill_told *kill_told_map(const char *path);

/* What the operations are drawn with, and from. */
extern const struct op_profile kill_profile;
struct seed kill_stream(const struct kill_told *told, uint64_t round, unsigned thread);

/* The directory of a round, and of one of its threads. */
void kill_round_path(char path[KILL_PATH], uint64_t round);
void kill_tree_path(char path[KILL_PATH], uint64_t round, unsigned thread);

#endif
