/* persist_none.c -- memory kept by somebody else: the fence is an order, never nothing
 *
 * A killed process or guest leaves exactly the stores that were performed, in an order that the
 * fence still has to make: the record before the homes (H4). */
#include <string.h>

#include "base/check.h"
#include "persist/persist.h"
#include "persist/words.h"

static void none_copy(void *arg, void *dst, const void *src, size_t len_bytes)
{
    (void)arg;
    memmove(dst, src, len_bytes); /* damage may give blocks two owners: a copy onto itself */
}

static void none_set(void *arg, void *dst, int byte, size_t len_bytes)
{
    (void)arg;
    memset(dst, byte, len_bytes);
}

static void none_flush(void *arg, const void *addr, size_t len_bytes)
{
    (void)arg;
    (void)addr;
    (void)len_bytes;
}

static int none_fence(void *arg)
{
    (void)arg;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
#if !defined(VM_THREAD_SANITIZER)
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
    return 0;
}

const struct vm_persist_ops *vm_persist_none(void)
{
    static const struct vm_persist_ops ops = {
        .name = "none",
        .copy = none_copy,
        .set = none_set,
        .store = vm_words_store,
        .mask = vm_words_mask,
        .max = vm_words_max,
        .flush = none_flush,
        .fence = none_fence,
    };
    return &ops;
}
