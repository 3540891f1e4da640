/* limits.h -- what xxhash.h asks for; the compiler's own header leans on the system's */
#ifndef VM_FREESTANDING_LIMITS_H
#define VM_FREESTANDING_LIMITS_H

#define UINT_MAX   (__INT_MAX__ * 2u + 1u)
#define ULLONG_MAX (__LONG_LONG_MAX__ * 2ull + 1ull)

#endif
