/* shared.h -- a tree that several processes change at random at the same time
 *
 * What each call returns depends on the others, so it is only known which errors it may return. Some
 * names are left alone by all, and must be there in every listing. */
#ifndef TESTS_FUSE_SHARED_H
#define TESTS_FUSE_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct shared_digest {
    uint64_t entries;
    FILE *
        lines; /* one for each entry: name, attributes, a hash of extended attributes and content */
};

/* Makes the directories and the names that stay, in the empty directory `path`. */
bool shared_prepare(const char *path);

/* Runs `ops` operations in the tree, as one of its processes. Prints what went wrong if false. */
bool shared_run(const char *path, uint64_t seed, uint64_t ops, bool is_verbose);

/* Walks through the tree while nobody changes it: each link count must be that of the names. */
bool shared_walk(const char *path, struct shared_digest *out);

/* True if two walks found the same; else prints where they differ. Closes both. */
bool shared_same(const struct shared_digest *one, const struct shared_digest *other);

/* Removes the tree. */
bool shared_remove(const char *path);

#endif
