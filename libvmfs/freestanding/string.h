/* string.h -- all that the core asks of a C library, for builds that have none (-nostdinc) */
#ifndef VM_FREESTANDING_STRING_H
#define VM_FREESTANDING_STRING_H

#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t len_bytes);
void *memmove(void *dst, const void *src, size_t len_bytes);
void *memset(void *dst, int byte, size_t len_bytes);
int memcmp(const void *a, const void *b, size_t len_bytes);
void *memchr(const void *bytes, int byte, size_t len_bytes);
size_t strlen(const char *string);
size_t strnlen(const char *string, size_t len_max);

#endif
