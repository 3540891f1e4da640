/* names.h -- a list of names, read from one directory and sorted */
#ifndef NAMES_H
#define NAMES_H

#include <stddef.h>

/* All zeros is an empty list. */
struct names {
    char **items;
    size_t count;
    size_t capacity;
};

void names_add(struct names *names, const char *name);
void names_sort(struct names *names);
void names_free(struct names *names);

#endif
