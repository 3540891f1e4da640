/* link_table.h -- where the first name of a file with several names was copied to */
#ifndef LINK_TABLE_H
#define LINK_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct link_slot {
    uint64_t dev;
    uint64_t ino;
    char *path; /* null in an empty slot */
};

/* A hash table with open addressing. All zeros is an empty one. */
struct link_table {
    struct link_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

/* The path that was added for this file, or null. */
const char *link_find(const struct link_table *table, uint64_t dev, uint64_t ino);

/* Keeps a copy of `path` for a file that is not in the table. */
void link_add(struct link_table *table, uint64_t dev, uint64_t ino, const char *path);

void link_table_free(struct link_table *table);

#endif
