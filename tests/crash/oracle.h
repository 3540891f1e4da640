/* oracle.h -- the judge that knows from a model what a crash may leave
 *
 * The model is tests/lib/model_fs, which shares no code with the library. What the tree may be now is a
 * list of trees, of which one must be there: the old and the new one inside an operation, the new one
 * after it, more for operations side by side. Files that are being written may be a mixture: of each
 * such file the size and times together are those of one of the trees, each aligned 8 bytes and each
 * block's being data those of any of them. Behind the end of a tree its bytes are zeros: an append into
 * blocks that are known to read as zero has one fence for both its bytes and its size.
 *
 * Beside that: vmfs_check() finds nothing and counts as many inodes and names as were met; access times
 * are as they were or as they have become; a file can be made, written and read in each directory; and
 * when all is removed, the free space is that of a fresh region. */
#ifndef TESTS_CRASH_ORACLE_H
#define TESTS_CRASH_ORACLE_H

#include "engine/explore.h"
#include "tree.h"

#define ORACLE_TREES_MAX 64u
#define ORACLE_TORN_MAX  4u

struct oracle {
    struct judge judge;
    uint64_t empty_blocks; /* free in an empty region of this size */
    unsigned use_interval; /* every so many states are used up; 1: each */
    /* What a crash now may leave; the trees are the caller's. */
    const struct tree *allowed[ORACLE_TREES_MAX];
    unsigned allowed_count;
    uint64_t torn[ORACLE_TORN_MAX]; /* ids of files that may be a mixture */
    unsigned torn_count;
    uint64_t rules; /* changes with each change of the above */
    /* Volatile. */
    struct tree *found;
    uint64_t examined;
};

void oracle_init(struct oracle *oracle);
void oracle_fini(struct oracle *oracle);

/* Nothing is allowed any more. */
void oracle_clear(struct oracle *oracle);
/* One more tree is. */
void oracle_allow(struct oracle *oracle, const struct tree *tree);
/* The file with this id may be a mixture of the allowed trees; 0 is no file. */
void oracle_tear(struct oracle *oracle, uint64_t ino);

/* Null, or how `found` is none of what is allowed. The bytes of torn files must have been kept. */
const char *oracle_compare(const struct oracle *oracle, const struct tree *found);

/* Null, or how vmfs_check() finds problems, or counts otherwise than the tree; problems are printed to
 * `details` if that is not null. */
const char *oracle_check(struct vmfs *fs, const struct tree *found, FILE *details);

/* Creates, writes and reads a file in each directory of the tree, removes everything there is, and
 * compares the free blocks with those of an empty region: null, or what went wrong. */
const char *oracle_use_up(struct vmfs *fs, const struct tree *found, uint64_t empty_blocks);

#endif
