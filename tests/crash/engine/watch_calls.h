/* watch_calls.h -- included before every file of the watched ranks: calls that load for them
 *
 * The compiler tells of loads in the code itself; what these functions load is told here. */
#ifndef TESTS_CRASH_ENGINE_WATCH_CALLS_H
#define TESTS_CRASH_ENGINE_WATCH_CALLS_H

#include <string.h>

#include "base/hash.h"

void vm_watch_loaded(const void *from, size_t len_bytes);
/* What vm_copy_data() copies from: where the same bytes can be loaded without a fault. */
const void *vm_watch_data(const void *from, size_t len_bytes, const void *to);

static inline void *vm_watch_memcpy(void *to, const void *from, size_t len_bytes)
{
    vm_watch_loaded(from, len_bytes);
    return memcpy(to, from, len_bytes);
}

static inline void *vm_watch_memmove(void *to, const void *from, size_t len_bytes)
{
    vm_watch_loaded(from, len_bytes);
    return memmove(to, from, len_bytes);
}

static inline int vm_watch_memcmp(const void *a, const void *b, size_t len_bytes)
{
    vm_watch_loaded(a, len_bytes);
    vm_watch_loaded(b, len_bytes);
    return memcmp(a, b, len_bytes);
}

static inline uint64_t vm_watch_hash64(uint64_t seed, const void *bytes, size_t len_bytes)
{
    vm_watch_loaded(bytes, len_bytes);
    return vm_hash64(seed, bytes, len_bytes);
}

#define memcpy(to, from, len_bytes)                                                                \
    (__builtin_strcmp(__func__, "vm_copy_data")                                                    \
         ? vm_watch_memcpy(to, from, len_bytes)                                                    \
         : memcpy(to, vm_watch_data(from, len_bytes, to), len_bytes))
#define memmove                           vm_watch_memmove
#define memcmp                            vm_watch_memcmp
#define vm_hash64                         vm_watch_hash64
#define vm_hash32(seed, bytes, len_bytes) ((uint32_t)vm_watch_hash64(seed, bytes, len_bytes))

#endif
