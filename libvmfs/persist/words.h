/* words.h -- the plain stores that all backends share */
#ifndef VM_PERSIST_WORDS_H
#define VM_PERSIST_WORDS_H

#include <stddef.h>
#include <stdint.h>

void vm_words_store(void *arg, void *dst, const void *src, size_t len_bytes);
void vm_words_set(void *dst, int byte, size_t len_bytes);
void vm_words_mask(void *arg, uint64_t *word, uint64_t mask, uint64_t value);
void vm_words_max(void *arg, uint64_t *word, uint64_t value);

#endif
