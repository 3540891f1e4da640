/* util.h -- small arithmetic that everything needs */
#ifndef VM_BASE_UTIL_H
#define VM_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t vm_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t vm_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* `unit` is a power of two. */
static inline uint64_t vm_align_down(uint64_t value, uint64_t unit)
{
    return value & ~(unit - 1);
}

static inline uint64_t vm_align_up(uint64_t value, uint64_t unit)
{
    return vm_align_down(value + unit - 1, unit);
}

static inline uint64_t vm_div_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit;
}

/* Is [start, start + len) inside [0, limit)? Safe for any values. */
static inline bool vm_range_inside(uint64_t start, uint64_t len, uint64_t limit)
{
    return len <= limit && start <= limit - len;
}

/* Bits first .. first + count - 1 of a word; first + count <= 64, count > 0. */
static inline uint64_t vm_bit_run(unsigned first, unsigned count)
{
    return (count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1) << first;
}

/* Ones in a word; without the instruction the compiler's own goes to a runtime library. */
static inline unsigned vm_popcount64(uint64_t word)
{
#if defined(__POPCNT__)
    return (unsigned)__builtin_popcountll(word);
#else
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)(word * 0x0101010101010101u >> 56);
#endif
}

/* A 64-bit mixer (Stafford's variant 13 of MurmurHash3's finalizer). */
static inline uint64_t vm_mix64(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

#endif
