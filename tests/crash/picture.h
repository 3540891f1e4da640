/* picture.h -- a tree as its paths, on both sides: of a filesystem and of the model
 *
 * For histories that end in one of several trees, in which the ids of new inodes depend on who came
 * first: objects are known by the time of their birth, which differs from operation to operation. The
 * digest is a sum over the names, so it does not depend on their order. Access times are apart from it,
 * as a crash may take them back. */
#ifndef TESTS_CRASH_PICTURE_H
#define TESTS_CRASH_PICTURE_H

#include <stdio.h>

#include "model_fs.h"
#include "world.h"

#define PICTURE_NAMES_MAX  48u
#define PICTURE_PATH_BYTES 64u
#define PICTURE_FILE_MAX   (64u << 10)

struct picture_name {
    char path[PICTURE_PATH_BYTES];
    int64_t birth_ns;
    int64_t atime_ns;
    bool is_dir;
    bool is_atime_lazy; /* of the model: a crash may take it back */
    uint64_t hash;      /* of all but the content and the access time */
    uint64_t content;   /* hash of a file's bytes or a link's target */
    const uint8_t *bytes;
    size_t byte_count; /* of a regular file */
};

struct picture {
    uint64_t digest;
    const char *error; /* null, or what could not be looked at */
    unsigned count;
    struct picture_name names[PICTURE_NAMES_MAX];
};

/* Where contents are kept; equal ones once. */
struct picture_store {
    uint8_t *bytes;
    size_t used;
    size_t room;
    unsigned count;
    struct {
        uint64_t hash;
        size_t at;
        size_t byte_count;
    } kept[256];
};

void picture_store_init(struct picture_store *store, size_t room);
void picture_store_reset(struct picture_store *store);

void picture_of_model(struct picture *picture, struct picture_store *store,
                      const struct model *model);
void picture_of_fs(struct picture *picture, struct picture_store *store, struct vmfs *fs);

/* One line for each name in which they differ. */
void picture_print(const struct picture *found, const struct picture *expected, FILE *out);

#endif
