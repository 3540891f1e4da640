/* watch_tsan.c -- what code compiled with -fsanitize=thread calls at its loads and stores
 *
 * There is no sanitizer behind it: loads go to watch.c, and atomic operations are done here. */
#include <stdint.h>

#include "watch.h"

#if !defined(__SANITIZE_THREAD__) /* there the sanitizer is behind it, and nothing is watched */

static inline void loaded(const void *from, size_t len_bytes)
{
    if (watch_concerns(from, len_bytes))
        watch_loaded(from, len_bytes, NULL);
}

#define LOADS(bytes)                                                                               \
    void __tsan_read##bytes(const void *from);                                                     \
    void __tsan_read##bytes(const void *from)                                                      \
    {                                                                                              \
        loaded(from, bytes);                                                                       \
    }                                                                                              \
    void __tsan_unaligned_read##bytes(const void *from);                                           \
    void __tsan_unaligned_read##bytes(const void *from)                                            \
    {                                                                                              \
        loaded(from, bytes);                                                                       \
    }                                                                                              \
    void __tsan_write##bytes(void *to);                                                            \
    void __tsan_write##bytes(void *to)                                                             \
    {                                                                                              \
        (void)to;                                                                                  \
    }                                                                                              \
    void __tsan_unaligned_write##bytes(void *to);                                                  \
    void __tsan_unaligned_write##bytes(void *to)                                                   \
    {                                                                                              \
        (void)to;                                                                                  \
    }

LOADS(1)
LOADS(2)
LOADS(4)
LOADS(8)
LOADS(16)

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_read_range(const void *from, size_t len_bytes);
void __tsan_read_range(const void *from, size_t len_bytes)
{
    watch_loaded(from, len_bytes, NULL);
}

void __tsan_write_range(void *to, size_t len_bytes);
void __tsan_write_range(void *to, size_t len_bytes)
{
    (void)to;
    (void)len_bytes;
}

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    if (order == __ATOMIC_SEQ_CST)
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    else
        __atomic_thread_fence(__ATOMIC_ACQ_REL);
}

void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
    (void)order;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* The strongest order costs a judge nothing that counts, but for stores. */
#define CHANGE(type, bits, name)                                                                   \
    type __tsan_atomic##bits##_##name(volatile type *word, type value, int order);                 \
    type __tsan_atomic##bits##_##name(volatile type *word, type value, int order)                  \
    {                                                                                              \
        (void)order;                                                                               \
        watch_loaded((const void *)(uintptr_t)word, sizeof *word, NULL);                           \
        return __atomic_##name(word, value, __ATOMIC_SEQ_CST);                                     \
    }

#define COMPARE(type, bits, name, is_weak)                                                         \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile type *word, type *seen, type value, \
                                                      int order, int failed);                      \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile type *word, type *seen, type value, \
                                                      int order, int failed)                       \
    {                                                                                              \
        (void)order;                                                                               \
        (void)failed;                                                                              \
        watch_loaded((const void *)(uintptr_t)word, sizeof *word, NULL);                           \
        return __atomic_compare_exchange_n(word, seen, value, is_weak, __ATOMIC_SEQ_CST,           \
                                           __ATOMIC_SEQ_CST);                                      \
    }

#define ATOMICS(type, bits)                                                                        \
    type __tsan_atomic##bits##_load(const volatile type *word, int order);                         \
    type __tsan_atomic##bits##_load(const volatile type *word, int order)                          \
    {                                                                                              \
        (void)order;                                                                               \
        watch_loaded((const void *)(uintptr_t)word, sizeof *word, NULL);                           \
        return __atomic_load_n(word, __ATOMIC_SEQ_CST);                                            \
    }                                                                                              \
    void __tsan_atomic##bits##_store(volatile type *word, type value, int order);                  \
    void __tsan_atomic##bits##_store(volatile type *word, type value, int order)                   \
    {                                                                                              \
        if (order == __ATOMIC_SEQ_CST)                                                             \
            __atomic_store_n(word, value, __ATOMIC_SEQ_CST);                                       \
        else                                                                                       \
            __atomic_store_n(word, value, __ATOMIC_RELEASE);                                       \
    }                                                                                              \
    type __tsan_atomic##bits##_exchange(volatile type *word, type value, int order);               \
    type __tsan_atomic##bits##_exchange(volatile type *word, type value, int order)                \
    {                                                                                              \
        (void)order;                                                                               \
        watch_loaded((const void *)(uintptr_t)word, sizeof *word, NULL);                           \
        return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);                                 \
    }                                                                                              \
    CHANGE(type, bits, fetch_add)                                                                  \
    CHANGE(type, bits, fetch_sub)                                                                  \
    CHANGE(type, bits, fetch_or)                                                                   \
    CHANGE(type, bits, fetch_and)                                                                  \
    CHANGE(type, bits, fetch_xor)                                                                  \
    COMPARE(type, bits, strong, false)                                                             \
    COMPARE(type, bits, weak, true)

ATOMICS(uint8_t, 8)
ATOMICS(uint16_t, 16)
ATOMICS(uint32_t, 32)
ATOMICS(uint64_t, 64)

#endif
