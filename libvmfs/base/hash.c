/* hash.c -- XXH3 compiled into this library, so that no symbol of it is shared */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t vm_hash64(uint64_t seed, const void *bytes, size_t len_bytes)
{
    return XXH3_64bits_withSeed(bytes, len_bytes, seed);
}
