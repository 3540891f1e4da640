/* stdlib.h -- what xxhash.h names in functions that the core never calls */
#ifndef VM_FREESTANDING_STDLIB_H
#define VM_FREESTANDING_STDLIB_H

#include <stddef.h>

void *malloc(size_t len_bytes);
void free(void *memory);

#endif
