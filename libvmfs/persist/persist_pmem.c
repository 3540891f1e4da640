/* persist_pmem.c -- persistent memory, or memory that is said to be, through libpmem
 *
 * Whole lines are copied by a loop of our own where the machine has AVX: it takes half the instructions of libpmem's
 * for a block, and a write of 4 KiB is one block and little else. Edges of lines are stored and flushed, as by libpmem. */
#include <libpmem.h>
#include <stdbool.h>

#include "persist/persist.h"
#include "persist/words.h"

static void pmem_copy(void *arg, void *dst, const void *src, size_t len_bytes)
{
    (void)arg;
    pmem_memcpy(dst, src, len_bytes, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
}

static void pmem_set(void *arg, void *dst, int byte, size_t len_bytes)
{
    (void)arg;
    pmem_memset(dst, byte, len_bytes, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
}

static void pmem_flush_range(void *arg, const void *addr, size_t len_bytes)
{
    (void)arg;
    pmem_flush(addr, len_bytes);
}

static int pmem_fence(void *arg)
{
    (void)arg;
    pmem_drain();
    return 0;
}

const struct vm_persist_ops *vm_persist_libpmem(void)
{
    static const struct vm_persist_ops ops = {
        .name = "pmem",
        .copy = pmem_copy,
        .set = pmem_set,
        .store = vm_words_store,
        .mask = vm_words_mask,
        .max = vm_words_max,
        .flush = pmem_flush_range,
        .fence = pmem_fence,
    };
    return &ops;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE         __attribute__((target("avx")))
#define BURST        512u
#define VECTOR_BYTES ((unsigned)sizeof(__m256i))

WIDE static inline void stream_line(uint8_t *dst, const uint8_t *src)
{
    for (unsigned at = 0; at < VM_LINE_BYTES; at += VECTOR_BYTES)
        _mm256_stream_si256((__m256i *)(void *)(dst + at),
                            _mm256_loadu_si256((const __m256i_u *)(const void *)(src + at)));
}

/* Whole lines, past the cache. */
WIDE static void stream(uint8_t *dst, const uint8_t *src, size_t len_bytes)
{
    for (size_t left = len_bytes / BURST; left; left--, src += BURST, dst += BURST)
        for (unsigned at = 0; at < BURST; at += VM_LINE_BYTES)
            stream_line(dst + at, src + at);
    for (size_t left = len_bytes % BURST; left; left -= VM_LINE_BYTES) {
        stream_line(dst, src);
        src += VM_LINE_BYTES;
        dst += VM_LINE_BYTES;
    }
}

static void copy_edge(uint8_t *dst, const uint8_t *src, size_t len_bytes)
{
    vm_words_store(NULL, dst, src, len_bytes);
    pmem_flush(dst, len_bytes);
}

static bool overlap(uintptr_t one, uintptr_t other, size_t len_bytes)
{
    return one - other < len_bytes || other - one < len_bytes;
}

WIDE static void wide_copy(void *arg, void *dst, const void *src, size_t len_bytes)
{
    uint8_t *to = dst;
    const uint8_t *from = src;
    if (overlap((uintptr_t)to, (uintptr_t)from, len_bytes)) {
        pmem_copy(arg, dst, src, len_bytes);
        return;
    }
    size_t head = -(uintptr_t)to % VM_LINE_BYTES;
    if (head) {
        if (head > len_bytes)
            head = len_bytes;
        copy_edge(to, from, head);
        to += head;
        from += head;
        len_bytes -= head;
    }
    size_t tail = len_bytes % VM_LINE_BYTES;
    stream(to, from, len_bytes - tail);
    if (tail)
        copy_edge(to + len_bytes - tail, from + len_bytes - tail, tail);
}

/* pmem_drain() may do nothing where flushes wait by themselves; stores past the cache do not. */
static int wide_fence(void *arg)
{
    (void)arg;
    _mm_sfence();
    return 0;
}

const struct vm_persist_ops *vm_persist_pmem(void)
{
    static const struct vm_persist_ops ops = {
        .name = "pmem",
        .copy = wide_copy,
        .set = pmem_set,
        .store = vm_words_store,
        .mask = vm_words_mask,
        .max = vm_words_max,
        .flush = pmem_flush_range,
        .fence = wide_fence,
    };
    return __builtin_cpu_supports("avx") ? &ops : vm_persist_libpmem();
}
#else
const struct vm_persist_ops *vm_persist_pmem(void)
{
    return vm_persist_libpmem();
}
#endif
