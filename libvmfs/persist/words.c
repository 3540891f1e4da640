/* words.c -- plain stores, as whole words where they are whole words */
#include "persist/words.h"

#include <string.h>

void vm_words_store(void *arg, void *dst, const void *src, size_t len_bytes)
{
    (void)arg;
    if (((uintptr_t)dst | len_bytes) % 8 != 0) {
        memcpy(dst, src, len_bytes);
        return;
    }
    uint64_t *to = dst;
    const uint8_t *from = src;
    for (size_t done = 0; done < len_bytes; done += 8) {
        uint64_t word;
        memcpy(&word, from + done, 8);
        __atomic_store_n(to++, word, __ATOMIC_RELEASE);
    }
}

void vm_words_set(void *dst, int byte, size_t len_bytes)
{
    if (((uintptr_t)dst | len_bytes) % 8 != 0) {
        memset(dst, byte, len_bytes);
        return;
    }
    uint64_t *to = dst;
    uint64_t word;
    memset(&word, byte, sizeof word);
    for (size_t done = 0; done < len_bytes; done += 8)
        __atomic_store_n(to++, word, __ATOMIC_RELEASE);
}

void vm_words_mask(void *arg, uint64_t *word, uint64_t mask, uint64_t value)
{
    (void)arg;
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(word, &seen, (seen & ~mask) | value, 1, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
        continue;
}

void vm_words_max(void *arg, uint64_t *word, uint64_t value)
{
    (void)arg;
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    while (seen < value &&
           !__atomic_compare_exchange_n(word, &seen, value, 1, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        continue;
}
