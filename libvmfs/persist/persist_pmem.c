/* persist_pmem.c -- persistent memory, or memory that is said to be, through libpmem */
#include <libpmem.h>

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

const struct vm_persist_ops *vm_persist_pmem(void)
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
