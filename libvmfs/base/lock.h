/* lock.h -- a mutex in one word, and the stripe: a mutex with a version for readers without it
 *
 * L1  A stripe's version is odd exactly while the home bytes that it protects are being stored. A
 *     reader that sees the same even version before and after has read one consistent state.
 *     Stores of home bytes are release and loads acquire, which orders them against the version. */
#ifndef VM_BASE_LOCK_H
#define VM_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/platform.h"

struct vm_lock {
    _Atomic uint32_t state;   /* 0 free, 1 held, 2 held and somebody sleeps */
    _Atomic uint32_t waiting; /* threads that may sleep until they have it */
    _Atomic uint32_t served;  /* how many of them have had it */
    _Atomic uint32_t polite;  /* threads that sleep until `served` changes */
};

/* Every store, exchange or lock that other threads may meet stands inside one of these two; tests/tidy.py
 * sees to it. SHARED: threads that work on different objects touch it too; counted in `io`. OWN: it
 * belongs to the object, the lane or the thread, or is stored while nobody else is there. */
#define VM_SHARED(io, operation) ((io)->shared++, (operation))
#define VM_OWN(operation)        (operation)

/* Of two threads that each store, pass this and then load what the other has stored, one sees the other's. The
 * thread sanitizer knows no fences; where it runs, exchanges order as much. */
static inline void vm_barrier(void)
{
#if !defined(VM_THREAD_SANITIZER)
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

bool vm_lock_try(struct vm_lock *lock);
void vm_lock_take(struct vm_lock *lock, const struct vm_platform *platform);
void vm_lock_release(struct vm_lock *lock, const struct vm_platform *platform);

/* For a thread that has released the lock and is about to take it again: returns when one of those who
 * wait for it, if there are any, has had it. Waking takes much longer than taking, so without this they
 * would find it held again and again. */
void vm_lock_yield(struct vm_lock *lock, const struct vm_platform *platform);

struct vm_stripe {
    _Alignas(64) struct vm_lock lock;
    _Atomic uint64_t version;
};

static inline uint64_t vm_stripe_version(const struct vm_stripe *stripe)
{
    return atomic_load_explicit(&stripe->version, memory_order_acquire);
}

/* The holder of the lock opens and closes the window in which readers must not trust what they see;
 * opening an open one and closing a closed one does nothing. */
static inline void vm_stripe_bump(struct vm_stripe *stripe, uint64_t parity)
{
    uint64_t version = atomic_load_explicit(&stripe->version, memory_order_relaxed);
    if (version % 2 == parity)
        atomic_store_explicit(&stripe->version, version + 1, memory_order_release);
}

static inline void vm_stripe_open(struct vm_stripe *stripe)
{
    vm_stripe_bump(stripe, 0);
}

static inline void vm_stripe_close(struct vm_stripe *stripe)
{
    vm_stripe_bump(stripe, 1);
}

#endif
