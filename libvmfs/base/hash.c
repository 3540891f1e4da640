/* hash.c -- XXH3 compiled into this library, so that no symbol of it is shared */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* With the lengths that are hashed most often constant, no loop and no choice is left of the function. */
uint64_t vm_hash64(uint64_t seed, const void *bytes, size_t len_bytes)
{
    switch (len_bytes) {
    case 52:
        return XXH3_64bits_withSeed(bytes, 52, seed);
    case 64:
        return XXH3_64bits_withSeed(bytes, 64, seed);
    case 128:
        return XXH3_64bits_withSeed(bytes, 128, seed);
    case 188:
        return XXH3_64bits_withSeed(bytes, 188, seed);
    default:
        return XXH3_64bits_withSeed(bytes, len_bytes, seed);
    }
}
