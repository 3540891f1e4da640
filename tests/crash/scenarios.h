/* scenarios.h -- one operation each, on the same small tree */
#ifndef TESTS_CRASH_SCENARIOS_H
#define TESTS_CRASH_SCENARIOS_H

#include <stdbool.h>

#include "vmfs.h"

/* What an operation works on. */
struct play {
    struct vmfs *fs;
    struct vmfs_file *file; /* open across the operation, or null */
    struct vmfs_dir *dir;   /* the same */
};

typedef int (*play_fn)(struct play *play);

struct scenario {
    const char *name;
    play_fn before; /* done before the recording, or null */
    play_fn op;
    const char *target; /* a file whose words may be old or new on their own, "" if there is none
                         * but data, or null */
    bool is_unsynced;   /* what `before` did has not been checkpointed */
    bool is_full;       /* no room for another thread: it would wait for a checkpoint */
};

extern const struct scenario scenarios[];
extern const unsigned scenario_count;

/* The tree that all scenarios start from; free blocks are full of 0xee. */
int scenario_make_tree(struct vmfs *fs);
int scenario_poison(struct vmfs *fs);

/* History without a checkpoint, with freed blocks, nodes and inodes. */
int scenario_history(struct vmfs *fs);

/* Fills the leaf of /d1 up to its last cell, or one beyond: then it has just been split. */
int scenario_fill_leaf(struct vmfs *fs, bool is_split);

/* Uses up the slots of the inode chunks. */
int scenario_fill_inodes(struct vmfs *fs);

/* What another thread does meanwhile, in a directory of its own: one call that takes an inode and a
 * block. */
int scenario_other(struct vmfs *fs);

#endif
