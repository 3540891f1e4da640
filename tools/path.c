/* path.c -- paths that grow and shrink by one name, and memory that may not run out */
#include "path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *memory_grow(void *old, size_t size_bytes)
{
    void *memory = realloc(old, size_bytes);

    if (!memory) {
        fprintf(stderr, "vmfs: out of memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

char *text_copy(const char *text)
{
    size_t size_bytes = strlen(text) + 1;

    return memcpy(memory_grow(NULL, size_bytes), text, size_bytes);
}

static void path_reserve(struct path *path, size_t length)
{
    if (length < path->capacity)
        return;
    path->capacity = 2 * length + 64;
    path->text = memory_grow(path->text, path->capacity);
}

void path_init(struct path *path, const char *text)
{
    *path = (struct path){.length = strlen(text)};
    path_reserve(path, path->length);
    memcpy(path->text, text, path->length + 1);
}

void path_free(struct path *path)
{
    free(path->text);
    path->text = NULL;
}

void path_push(struct path *path, const char *name)
{
    size_t name_length = strlen(name);

    if (strcmp(name, ".") == 0)
        return;
    path_reserve(path, path->length + 1 + name_length);
    if (path->length > 0 && path->text[path->length - 1] != '/')
        path->text[path->length++] = '/';
    memcpy(path->text + path->length, name, name_length + 1);
    path->length += name_length;
}

void path_cut(struct path *path, size_t length)
{
    path->length = length;
    path->text[length] = '\0';
}

static size_t length_without_slashes(const char *path)
{
    size_t length = strlen(path);

    while (length > 0 && path[length - 1] == '/')
        length--;
    return length;
}

bool path_ends_in_slash(const char *path)
{
    size_t length = strlen(path);

    return length > 0 && path[length - 1] == '/';
}

bool name_is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

char *path_absolute(const char *path)
{
    size_t length;
    char *copy;

    while (*path == '/')
        path++;
    length = length_without_slashes(path);
    copy = memory_grow(NULL, length + 2);
    copy[0] = '/';
    memcpy(copy + 1, path, length);
    copy[length + 1] = '\0';
    return copy;
}

char *path_base(const char *path)
{
    size_t end = length_without_slashes(path);
    size_t start = end;
    char *base;

    while (start > 0 && path[start - 1] != '/')
        start--;
    base = memory_grow(NULL, end - start + 1);
    memcpy(base, path + start, end - start);
    base[end - start] = '\0';
    return base;
}
