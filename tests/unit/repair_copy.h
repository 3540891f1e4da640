/* repair_copy.h -- copies of the world's region, to be damaged and repaired by themselves */
#ifndef TESTS_UNIT_REPAIR_COPY_H
#define TESTS_UNIT_REPAIR_COPY_H

#include "fsck_world.h"
#include "repair_judge.h"

struct copy {
    uint8_t *memory;
    uint64_t bytes;
    struct vmfs *fs; /* null: not open */
    struct region_log log;
};

/* The world as it is now, damage included; nobody has it open. */
void copy_take(struct copy *copy);
void copy_again(struct copy *copy, const struct copy *of);
void copy_free(struct copy *copy);

/* As vmfs_attach() with these flags. */
int copy_open(struct copy *copy, uint32_t flags);
void copy_close(struct copy *copy);

/* What lives in the world. */
void copy_learn(struct inventory *inventory);

/* Repairs an open copy twice: the first time nothing is left that is wrong and no more is lost than the judge
 * allows, the second time nothing is told. False if it cannot be used afterwards. */
bool copy_repair(struct copy *copy, struct repair_judge *judge, const char *what);

#endif
