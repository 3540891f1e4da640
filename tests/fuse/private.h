/* private.h -- a tree that one process changes at random, by system calls and in a model
 *
 * The operations are those of op.h. They depend on the seed and the model alone, so that whoever has the
 * seed and the number of operations has the model. */
#ifndef TESTS_FUSE_PRIVATE_H
#define TESTS_FUSE_PRIVATE_H

#include "host.h"
#include "op.h"

struct private_tree {
    struct op_world world;
    struct seed stream;
    const struct op_profile *profile;
    bool is_stepwise; /* each operation is one system call that changes something */
    uint64_t done;
    struct op op;
    struct op_result result;
};

/* An empty tree in memory; null is never returned. */
struct private_tree *private_create(uint64_t seed, const struct op_profile *profile,
                                    bool is_stepwise);
void private_destroy(struct private_tree *tree);

/* Draws the next operation, which depends on those that were applied before it. */
void private_draw(struct private_tree *tree);

/* Runs it on the model. */
void private_apply(struct private_tree *tree);

/* Closes what is open, and forgets times that reading may or may not have set. */
void private_settle(struct private_tree *tree);

/* Compares the directory `prefix` of the region. Prints the first difference. */
bool private_agrees(struct private_tree *tree, struct vmfs *fs, const char *prefix);

#endif
