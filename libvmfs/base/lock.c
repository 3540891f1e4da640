/* lock.c -- the three-state futex mutex (Drepper, Futexes Are Tricky, 2011) */
#include "base/lock.h"

bool vm_lock_try(struct vm_lock *lock)
{
    uint32_t free_state = 0;
    return atomic_compare_exchange_strong_explicit(&lock->state, &free_state, 1,
                                                   memory_order_acquire, memory_order_relaxed);
}

/* How often a waiter looks again before it sleeps: about as long as an operation holds a lock. */
#define LOCK_SPINS 4000

void vm_lock_take(struct vm_lock *lock, const struct vm_platform *platform)
{
    for (int spin = 0; spin < LOCK_SPINS; spin++) {
        if (vm_lock_try(lock))
            return;
        while (atomic_load_explicit(&lock->state, memory_order_relaxed) != 0 && spin < LOCK_SPINS)
            spin++;
    }
    atomic_fetch_add(&lock->waiting, 1);
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
        platform->wait(platform->arg, &lock->state, 2);
    atomic_fetch_sub(&lock->waiting, 1);
    atomic_fetch_add(&lock->served, 1);
    if (atomic_load(&lock->polite))
        platform->wake(platform->arg, &lock->served);
}

void vm_lock_release(struct vm_lock *lock, const struct vm_platform *platform)
{
    if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2)
        platform->wake(platform->arg, &lock->state);
}

/* Who is counted as waiting has still to count itself as served, so the wait ends; the orders of these
 * two pairs of accesses and of the pair in vm_lock_take() are what that rests on. */
void vm_lock_yield(struct vm_lock *lock, const struct vm_platform *platform)
{
    uint32_t seen = atomic_load(&lock->served);
    if (atomic_load(&lock->waiting) == 0)
        return;
    atomic_fetch_add(&lock->polite, 1);
    while (atomic_load(&lock->served) == seen)
        platform->wait(platform->arg, &lock->served, seen);
    atomic_fetch_sub(&lock->polite, 1);
}
