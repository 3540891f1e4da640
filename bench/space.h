/* space.h -- what names and files cost beyond the bytes that they hold */
#ifndef BENCH_SPACE_H
#define BENCH_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct space_options {
    const char *tree; /* an empty directory of a mounted filesystem, or null: the library */
    uint64_t
        inode_bytes; /* of that filesystem, where its inodes have their room since it was made */
    bool is_quick;   /* files of 64 MiB instead of 1 GiB */
};

/* Prints one line for each kind of thing: bytes in use beyond the content, for each of many. Prints why
 * it fails; 0 or -errno. */
int space_measure(const struct space_options *options);

#endif
