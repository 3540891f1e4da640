/* persist_trace.c -- stores, and tells */
#include "persist/persist_trace.h"

#include <string.h>

#include "persist/words.h"

static void tell_store(const struct vm_trace *trace, enum vm_trace_kind kind, const void *dst,
                       const void *payload, size_t len_bytes)
{
    const struct vm_trace_event event = {.kind = kind,
                                         .offset = (uint64_t)((const uint8_t *)dst - trace->stores),
                                         .len_bytes = len_bytes,
                                         .payload = payload};
    (void)trace->tell(trace->arg, &event);
}

static void trace_copy(void *arg, void *dst, const void *src, size_t len_bytes)
{
    memcpy(dst, src, len_bytes);
    tell_store(arg, VM_TRACE_COPY, dst, src, len_bytes);
}

static void trace_set(void *arg, void *dst, int byte, size_t len_bytes)
{
    const struct vm_trace *trace = arg;
    const struct vm_trace_event event = {.kind = VM_TRACE_COPY,
                                         .offset = (uint64_t)((const uint8_t *)dst - trace->stores),
                                         .len_bytes = len_bytes,
                                         .byte = byte};
    memset(dst, byte, len_bytes);
    (void)trace->tell(trace->arg, &event);
}

static void trace_store(void *arg, void *dst, const void *src, size_t len_bytes)
{
    vm_words_store(arg, dst, src, len_bytes);
    tell_store(arg, VM_TRACE_STORE, dst, src, len_bytes);
}

static void tell_change(const struct vm_trace *trace, const uint64_t *word,
                        enum vm_trace_change change, uint64_t operand)
{
    const struct vm_trace_event event = {.kind = VM_TRACE_STORE,
                                         .change = change,
                                         .operand = operand,
                                         .offset =
                                             (uint64_t)((const uint8_t *)word - trace->stores),
                                         .len_bytes = sizeof *word,
                                         .payload = (const uint8_t *)word};
    (void)trace->tell(trace->arg, &event);
}

static void trace_mask(void *arg, uint64_t *word, uint64_t mask, uint64_t value)
{
    vm_words_mask(arg, word, mask, value);
    tell_change(arg, word, VM_TRACE_MASK, mask);
}

static void trace_max(void *arg, uint64_t *word, uint64_t value)
{
    vm_words_max(arg, word, value);
    tell_change(arg, word, VM_TRACE_MAX, value);
}

static void trace_flush(void *arg, const void *addr, size_t len_bytes)
{
    tell_store(arg, VM_TRACE_FLUSH, addr, NULL, len_bytes);
}

static int trace_fence(void *arg)
{
    const struct vm_trace *trace = arg;
    const struct vm_trace_event event = {.kind = VM_TRACE_FENCE};
    return trace->tell(trace->arg, &event);
}

const struct vm_persist_ops *vm_persist_trace(void)
{
    static const struct vm_persist_ops ops = {
        .name = "trace",
        .copy = trace_copy,
        .set = trace_set,
        .store = trace_store,
        .mask = trace_mask,
        .max = trace_max,
        .flush = trace_flush,
        .fence = trace_fence,
    };
    return &ops;
}
