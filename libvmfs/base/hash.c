/* hash.c -- XXH3 compiled into this library, so that no symbol of it is shared */
#include "base/hash.h"

#define XXH_INLINE_ALL
#define XXH_NO_INLINE_HINTS 1 /* what is inlined follows from vm_hash64() */
#include <xxhash.h>

/* All of the function for one length: no loop and no choice is left of it. */
#define OF_LENGTH(length)                                                                          \
    __attribute__((flatten)) static uint64_t hash_##length(uint64_t seed, const void *bytes)       \
    {                                                                                              \
        return XXH3_64bits_withSeed(bytes, length, seed);                                          \
    }
OF_LENGTH(52)
OF_LENGTH(64)
OF_LENGTH(128)
OF_LENGTH(188)

/* The lengths that are hashed most often have functions of their own. */
uint64_t vm_hash64(uint64_t seed, const void *bytes, size_t len_bytes)
{
    switch (len_bytes) {
    case 52:
        return hash_52(seed, bytes);
    case 64:
        return hash_64(seed, bytes);
    case 128:
        return hash_128(seed, bytes);
    case 188:
        return hash_188(seed, bytes);
    default:
        return XXH3_64bits_withSeed(bytes, len_bytes, seed);
    }
}
