/* le.h -- little-endian integers of the medium
 *
 * Wrapped in structs so that arithmetic on a stored value does not compile: it is loaded first. */
#ifndef VM_BASE_LE_H
#define VM_BASE_LE_H

#include <stdint.h>

struct vm_le16 {
    uint16_t raw;
};

struct vm_le32 {
    uint32_t raw;
};

struct vm_le64 {
    uint64_t raw;
};

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define VM_LE_SWAP(bits, value) __builtin_bswap##bits(value)
#else
#define VM_LE_SWAP(bits, value) (value)
#endif

static inline uint16_t vm_get16(struct vm_le16 stored)
{
    return VM_LE_SWAP(16, stored.raw);
}

static inline uint32_t vm_get32(struct vm_le32 stored)
{
    return VM_LE_SWAP(32, stored.raw);
}

static inline uint64_t vm_get64(struct vm_le64 stored)
{
    return VM_LE_SWAP(64, stored.raw);
}

static inline struct vm_le16 vm_put16(uint16_t value)
{
    return (struct vm_le16){VM_LE_SWAP(16, value)};
}

static inline struct vm_le32 vm_put32(uint32_t value)
{
    return (struct vm_le32){VM_LE_SWAP(32, value)};
}

static inline struct vm_le64 vm_put64(uint64_t value)
{
    return (struct vm_le64){VM_LE_SWAP(64, value)};
}

#endif
