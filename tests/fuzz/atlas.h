/* atlas.h -- where every structure of a sound region lies, and what its fields are
 *
 * The table of fields is made from format.h by media_fields.py. Two things that are no structure of
 * format.h are in it as well: the words of a bitmap, and the entries of a journal record. */
#ifndef TESTS_FUZZ_ATLAS_H
#define TESTS_FUZZ_ATLAS_H

#include <stdbool.h>
#include <stdint.h>

#include "media/format.h"
#include "media_fields.h"

#define ATLAS_KIND(name, type) ATLAS_##name,
enum atlas_kind { MEDIA_STRUCTS(ATLAS_KIND) ATLAS_bitmap, ATLAS_entry, ATLAS_KINDS };
#undef ATLAS_KIND

struct atlas_field {
    enum atlas_kind kind;
    const char *name;
    uint32_t offset;
    uint32_t element_bytes; /* at most 8 */
    uint32_t count;
};

/* What is a structure by itself (is_nested) is not in it. */
extern const struct atlas_field atlas_fields[];
extern const unsigned atlas_field_count;
extern const char *const atlas_kind_names[ATLAS_KINDS];

/* Fields of one kind: the index of the first, and how many. */
unsigned atlas_first_field(enum atlas_kind kind);
unsigned atlas_fields_of(enum atlas_kind kind);

#define ATLAS_NONE UINT32_MAX

/* One structure. What encloses it has a checksum over it, or over its checksum. */
struct atlas_object {
    enum atlas_kind kind;
    uint32_t parent; /* index, or ATLAS_NONE */
    uint64_t offset;
    uint64_t salt;  /* of its hash: the slot of an inode, else its offset */
    uint64_t owner; /* id of the inode that it belongs to; 0 none */
};

#define ATLAS_OBJECTS_MAX 20000u

struct atlas {
    uint64_t hash_seed;
    uint64_t region_bytes;
    uint32_t count;
    struct atlas_object objects[ATLAS_OBJECTS_MAX];
    uint32_t by_kind[ATLAS_KINDS][ATLAS_OBJECTS_MAX]; /* indices */
    uint32_t kind_count[ATLAS_KINDS];
};

/* `image` is what will be attached; `walked` is what it will be when its journal has been applied. Ends the
 * program if it meets what it does not understand. */
void atlas_make(struct atlas *atlas, const uint8_t *image, const uint8_t *walked);

#endif
