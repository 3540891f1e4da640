/* persist_trace.h -- a backend that tells of everything that it is asked to do
 *
 * For crash tests; no part of the shared library. A store is made at once, through whatever mapping the
 * region's stores go; what of it a power cut would leave is for the one who is told to decide. */
#ifndef VM_PERSIST_PERSIST_TRACE_H
#define VM_PERSIST_PERSIST_TRACE_H

#include "persist/persist.h"

enum vm_trace_kind {
    VM_TRACE_STORE, /* through the cache: store, mask, max */
    VM_TRACE_COPY,  /* past the cache: copy, set */
    VM_TRACE_FLUSH,
    VM_TRACE_FENCE,
};

/* What a store makes of the bytes that were there. */
enum vm_trace_change {
    VM_TRACE_WHOLE, /* nothing of them is left */
    VM_TRACE_MASK,  /* the bits of `operand` are new, the others as before */
    VM_TRACE_MAX,   /* the larger of them and `operand` */
};

struct vm_trace_event {
    enum vm_trace_kind kind;
    enum vm_trace_change change;
    uint64_t operand;
    uint64_t offset; /* from the region's start; not of a fence */
    uint64_t len_bytes;
    const uint8_t *payload; /* the bytes of a store, or null: all are `byte` */
    int byte;
};

/* The ops_arg of this backend. */
struct vm_trace {
    const uint8_t *stores; /* where the region's first byte is stored */
    void *arg;
    /* Called on the storing thread's stack: when a store or a flush has been made, and in the place of
     * a fence, whose result it returns. */
    int (*tell)(void *arg, const struct vm_trace_event *event);
};

const struct vm_persist_ops *vm_persist_trace(void);

#endif
