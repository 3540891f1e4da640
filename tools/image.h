/* image.h -- a file that is, or is to be, the memory storage of a guest: what it lies on and what it holds */
#ifndef IMAGE_H
#define IMAGE_H

#include "tool.h"

#include <stdbool.h>
#include <stdint.h>

/* What a store into the mapped file reaches. */
enum image_backing {
    BACKING_MEMORY, /* tmpfs, hugetlbfs */
    BACKING_FILE,   /* pages that the host writes back */
    BACKING_DAX,    /* the medium itself: MAP_SYNC is granted */
    BACKING_FUSE,   /* pages that a program of the host is given */
};

/* What a guest finds on the device. The namespaces are those that `ndctl` makes: an info block at 4096, then
 * page structs, then data. */
enum image_holds { HOLDS_NOTHING, HOLDS_REGION, HOLDS_DEVDAX, HOLDS_FSDAX };

struct image {
    char *path; /* absolute, without symbolic links */
    bool exists;
    uint64_t size_bytes; /* 0 if nothing is there */
    uint64_t allocated_bytes;
    const char *filesystem;
    enum image_backing backing;
    enum image_holds holds;
    uint64_t data_offset;     /* where what the guest sees begins */
    uint64_t namespace_bytes; /* the size for which the namespace was made; 0 without one */
    bool has_region;          /* there */
    bool has_ext4;
};

/* Looks at tool->region, and stores nothing in it. Reports what fails. */
int image_look(struct tool *tool, struct image *image);
void image_free(struct image *image);

#endif
