/* hash.h -- the one checksum of the medium: XXH3, 64 bits, seeded
 *
 * XXH3 is specified, portable and fast without vector registers; its seed carries the region's secret
 * so that bytes a user wrote cannot pass for ours. */
#ifndef VM_BASE_HASH_H
#define VM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t vm_hash64(uint64_t seed, const void *bytes, size_t len_bytes);

/* The low half, for structures with room for 32 bits only. */
static inline uint32_t vm_hash32(uint64_t seed, const void *bytes, size_t len_bytes)
{
    return (uint32_t)vm_hash64(seed, bytes, len_bytes);
}

#endif
