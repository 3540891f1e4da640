/* walk.h -- a tree inside the region, one entry after the other
 *
 * The walk starts at a directory. Each directory below is entered only if the caller says so while
 * it is the current entry:
 *
 *     walk_start(&walk, fs, "/a");
 *     err = walk_enter(&walk);
 *     while ((event = walk_next(&walk)) != WALK_END) ... */
#ifndef WALK_H
#define WALK_H

#include "path.h"

#include <stdint.h>
#include <vmfs.h>

enum walk_event {
    WALK_END,
    WALK_ENTRY,  /* walk->path is an entry of type walk->type */
    WALK_LEAVE,  /* everything below the directory walk->path has been seen */
    WALK_FAILED, /* walk->path could not be read on: walk->err; it is left next */
};

struct walk_level {
    struct vmfs_dir *dir; /* null once its end was met */
    size_t path_length;
};

struct walk {
    struct vmfs *fs;
    struct path path;
    uint32_t type; /* VMFS_S_IF... */
    int err;
    struct walk_level *levels;
    size_t depth;
    size_t capacity;
};

void walk_start(struct walk *walk, struct vmfs *fs, const char *path);

/* Goes into the directory walk->path. */
int walk_enter(struct walk *walk);

enum walk_event walk_next(struct walk *walk);

/* Ends the walk wherever it is. */
void walk_stop(struct walk *walk);

#endif
