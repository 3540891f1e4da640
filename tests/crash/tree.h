/* tree.h -- everything that can be seen of a filesystem, as sums of hashes
 *
 * A tree is what is visible through the public calls: objects by their inode ids, and names that lead
 * from one to another. Its digest is a sum with one term for each object and each name, so it does
 * not depend on any order, and what one object contributes can be taken out of it. Access times are
 * no part of the digest: a crash may take them back. */
#ifndef TESTS_CRASH_TREE_H
#define TESTS_CRASH_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "model_fs.h"
#include "vmfs.h"

#define TREE_OBJECTS_MAX  1024u
#define TREE_ENTRIES_MAX  2048u
#define TREE_NAMES_BYTES  (128u << 10)
#define TREE_EXTENTS_MAX  4096u
#define TREE_CONTENT_MAX  ((uint64_t)1 << 20) /* of a file is looked at, and its last block */
#define TREE_CONTENT_TAIL 4096u

/* A run of data between holes, as seeking finds it, in bytes. */
struct tree_extent {
    uint64_t start;
    uint64_t end;
};

struct tree_object {
    struct vmfs_stat stat;
    uint64_t hash;    /* of all that is here but access time and count of blocks */
    uint64_t xattrs;  /* sum over the attributes */
    uint64_t content; /* hash of a file's bytes or a link's target */
    uint64_t parent;  /* id of the directory in which it was met first */
    uint32_t name;    /* where that name begins in the names, if they are kept */
    uint32_t extent_first;
    uint32_t extent_count;
    uint8_t *bytes; /* of a file, where they are kept; else null */
    /* Of a model's tree: where a crash may take the access time back to. */
    bool is_atime_free;
    unsigned atime_count;
    int64_t atimes[MODEL_ATIMES_MAX];
};

struct tree_entry {
    uint64_t dir; /* inode ids */
    uint64_t ino;
    uint32_t name; /* where it begins in the names, if they are kept */
};

struct tree {
    uint64_t digest;
    int64_t error; /* the first, what failed, and the object where it was met */
    const char *error_what;
    uint64_t error_ino;
    unsigned object_count;
    unsigned entry_count;
    unsigned extent_count;
    uint32_t name_bytes;
    uint16_t slots[TREE_OBJECTS_MAX * 2]; /* index + 1 of an object, by the hash of its id */
    struct tree_object objects[TREE_OBJECTS_MAX]; /* the root is the first */
    struct tree_entry entries[TREE_ENTRIES_MAX];
    struct tree_extent extents[TREE_EXTENTS_MAX];
    char names[TREE_NAMES_BYTES];
};

/* What is to be remembered beside the digest. */
struct tree_keep {
    const uint64_t *inos; /* files whose bytes are kept */
    unsigned ino_count;
    bool is_all; /* the bytes of all, and the names */
};

/* Never fails: a test without memory ends. */
struct tree *tree_create(void);
void tree_clear(struct tree *tree);
void tree_destroy(struct tree *tree);

/* Looks at a whole filesystem, by names and by ids, which must agree. Stores nothing. */
void tree_look(struct tree *tree, struct vmfs *fs, const struct tree_keep *keep);

/* What the model says of the same filesystem, with all bytes and names; of the library only what no
 * model can know: which id each object has, which of two right answers a seek gives, and a time that
 * the model leaves open, which the model knows from then on. False if there is nothing to hold on to:
 * `text` says where. */
bool tree_expect(struct tree *tree, struct model *model, struct vmfs *fs, char text[512]);

/* The object with this id, or null. */
const struct tree_object *tree_find(const struct tree *tree, uint64_t ino);

/* Is the block with this number data? */
bool tree_has_data(const struct tree *tree, const struct tree_object *object, uint64_t block);

/* How many bytes of a file of this size are looked at from its start on. */
uint64_t tree_content_bytes(uint64_t size);

/* Prints how `found` differs from `expected`, a line for each object or name. */
void tree_print_differences(const struct tree *found, const struct tree *expected, FILE *out);

/* ---- for those who build trees ---- */

/* A new object with this id; null if there are too many. */
struct tree_object *tree_add_object(struct tree *tree, uint64_t ino);
/* A name of `ino` in `dir`. */
void tree_add_entry(struct tree *tree, uint64_t dir, uint64_t ino, const char *name, bool is_kept);
void tree_add_extent(struct tree *tree, struct tree_object *object, uint64_t start, uint64_t end);
void tree_add_xattr(struct tree_object *object, const char *name, const void *value,
                    uint64_t len_bytes);
/* Computes an object's hash, when all is known of it, and adds it to the digest. */
void tree_seal(struct tree *tree, struct tree_object *object);
/* What differs tells more than the digest: the first error. */
void tree_fail(struct tree *tree, int64_t error, const char *what, uint64_t ino);
uint32_t tree_keep_name(struct tree *tree, const char *name);
uint64_t tree_hash(uint64_t seed, const void *bytes, uint64_t len_bytes);

/* Memory for one file's bytes: at most TREE_CONTENT_MAX and the tail. */
uint8_t *tree_buffer(void);

#endif
