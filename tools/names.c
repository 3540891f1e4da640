/* names.c -- a list of names, read from one directory and sorted */
#include "names.h"
#include "path.h"

#include <stdlib.h>
#include <string.h>

void names_add(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? 2 * names->capacity : 16;
        names->items = memory_grow(names->items, names->capacity * sizeof(*names->items));
    }
    names->items[names->count++] = text_copy(name);
}

static int name_compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

void names_sort(struct names *names)
{
    if (names->count > 1)
        qsort(names->items, names->count, sizeof(*names->items), name_compare);
}

void names_free(struct names *names)
{
    size_t i;

    for (i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct names){NULL, 0, 0};
}
