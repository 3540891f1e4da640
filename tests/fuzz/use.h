/* use.h -- reading and changing a filesystem of which nothing is known but some ids */
#ifndef TESTS_FUZZ_USE_H
#define TESTS_FUZZ_USE_H

#include "seed.h"
#include "vmfs.h"

#define USE_TARGETS_MAX 4u

struct use {
    struct vmfs *fs;
    struct seed seed;
    uint64_t targets[USE_TARGETS_MAX]; /* ids of what shall be met above all; 0 none */
    unsigned round;                    /* tells the names of one use from those of another */
    uint64_t calls;
    uint64_t errors;
};

/* Directories, attributes and some data of everything that can be reached, up to a bounded number of names. */
void use_walk(struct use *use);

/* A few changes of each target, and of the root. */
void use_change(struct use *use);

/* Makes a file, writes, reads it again and removes it: 0, or the first error. */
int use_prove(struct use *use);

#endif
