/* link_table.c -- where the first name of a file with several names was copied to */
#include "link_table.h"
#include "path.h"

#include <stdlib.h>

static size_t slot_index(const struct link_table *table, uint64_t dev, uint64_t ino)
{
    uint64_t hash = (ino + dev * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
    size_t mask = table->capacity - 1;
    size_t i = (size_t)(hash >> 32) & mask;

    while (table->slots[i].path && (table->slots[i].ino != ino || table->slots[i].dev != dev))
        i = (i + 1) & mask;
    return i;
}

static void table_grow(struct link_table *table)
{
    struct link_table old = *table;
    size_t i;

    table->capacity = old.capacity ? 2 * old.capacity : 64;
    table->slots = memory_grow(NULL, table->capacity * sizeof(*table->slots));
    for (i = 0; i < table->capacity; i++)
        table->slots[i] = (struct link_slot){0, 0, NULL};
    for (i = 0; i < old.capacity; i++)
        if (old.slots[i].path)
            table->slots[slot_index(table, old.slots[i].dev, old.slots[i].ino)] = old.slots[i];
    free(old.slots);
}

const char *link_find(const struct link_table *table, uint64_t dev, uint64_t ino)
{
    if (table->capacity == 0)
        return NULL;
    return table->slots[slot_index(table, dev, ino)].path;
}

void link_add(struct link_table *table, uint64_t dev, uint64_t ino, const char *path)
{
    if (2 * table->count >= table->capacity)
        table_grow(table);
    table->slots[slot_index(table, dev, ino)] = (struct link_slot){dev, ino, text_copy(path)};
    table->count++;
}

void link_table_free(struct link_table *table)
{
    size_t i;

    for (i = 0; i < table->capacity; i++)
        free(table->slots[i].path);
    free(table->slots);
    *table = (struct link_table){NULL, 0, 0};
}
