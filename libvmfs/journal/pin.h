/* pin.h -- holding the watermark where it is, for a reader that goes on without a lock (H23 in journal.h) */
#ifndef VM_JOURNAL_PIN_H
#define VM_JOURNAL_PIN_H

#include "journal/journal.h"

/* As many pins can be set at once. */
#define VM_PINS 256u

struct vm_pin {
    _Alignas(
        64) _Atomic uint64_t bound; /* 0: free; else W stays below it, or where it is by then */
};

int vm_pins_init(struct vm_ctx *ctx, struct vm_journal *journal);
void vm_pins_fini(struct vm_journal *journal);

/* Sets one; waits while all are set. From its return on the caller finds in maps only blocks that nobody else
 * gets before vm_pin_drop(). In between its thread may wait for nothing: whoever it waits for may wait
 * for W. */
uint32_t vm_pin_take(struct vm_ctx *ctx);
void vm_pin_drop(struct vm_journal *journal, uint32_t pin);

/* The largest watermark up to `limit` that the pins leave. */
uint64_t vm_pins_limit(const struct vm_journal *journal, uint64_t limit);

#endif
