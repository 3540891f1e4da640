/* check.h -- assertions about our own mistakes, and layout checks at compile time
 *
 * Never used on bytes of the medium: damage there is an error that is returned. */
#ifndef VM_BASE_CHECK_H
#define VM_BASE_CHECK_H

#include <stddef.h>

/* Stays on in release builds: a wrong store into a region cannot be taken back. */
#define VM_ASSERT(condition)                                                                       \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            __builtin_trap();                                                                      \
    } while (0)

/* The thread sanitizer does not know fences and takes every plain access for a race: where a seqlock reader
 * copies, builds for it use atomic loads throughout. */
#if defined(__SANITIZE_THREAD__)
#define VM_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VM_THREAD_SANITIZER 1
#endif
#endif

#define VM_CHECK_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
#define VM_CHECK_OFFSET(type, field, bytes)                                                        \
    _Static_assert(offsetof(type, field) == (bytes), "offset of " #type "." #field)
#define VM_CHECK_VALUE(value, expected) _Static_assert((value) == (expected), #value)

#endif
