/* path.h -- paths that grow and shrink by one name, and memory that may not run out
 *
 * Trees are walked without recursion: the walker keeps one path and cuts it back. */
#ifndef PATH_H
#define PATH_H

#include <stdbool.h>
#include <stddef.h>

struct path {
    char *text; /* always ends in a NUL */
    size_t length;
    size_t capacity;
};

/* realloc() that ends the command when there is no memory: a half-told tree helps nobody, and the
 * region is whole at every instant. */
void *memory_grow(void *old, size_t size_bytes);

/* A copy of `text` from memory_grow(). */
char *text_copy(const char *text);

void path_init(struct path *path, const char *text);
void path_free(struct path *path);

/* Appends "/name", without doubling a slash; "." changes nothing. */
void path_push(struct path *path, const char *name);

/* Goes back to a length that the path had earlier. */
void path_cut(struct path *path, size_t length);

bool path_ends_in_slash(const char *path);

/* "." or "..". */
bool name_is_dots(const char *name);

/* A copy of `path` that starts with '/' and has no slash at its end, except for "/" itself. */
char *path_absolute(const char *path);

/* The last name of `path`, slashes at its end left out, in memory of its own; "" for "/". */
char *path_base(const char *path);

#endif
