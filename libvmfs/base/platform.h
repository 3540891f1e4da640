/* platform.h -- all that the core asks of the system it runs on
 *
 * api/ fills it in for Linux; a library OS fills in its own. Every function may be called from any
 * thread. */
#ifndef VM_BASE_PLATFORM_H
#define VM_BASE_PLATFORM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Of back(): no memory for a private copy. */
#define VM_BACK_MEMORY 2

struct vm_platform {
    void *arg;
    /* Zeroed memory aligned to 64 bytes, or null. Only at attach and when handles are opened. */
    void *(*alloc)(void *arg, size_t len_bytes);
    void (*free)(void *arg, void *memory, size_t len_bytes);
    /* Sleeps while *word is `seen`, or not at all; wakes all sleepers. */
    void (*wait)(void *arg, _Atomic uint32_t *word, uint32_t seen);
    void (*wake)(void *arg, _Atomic uint32_t *word);
    void (*yield)(void *arg);      /* lets other threads run */
    int64_t (*now)(void *arg);     /* nanoseconds since 1970, to a few milliseconds */
    uint64_t (*random)(void *arg); /* unpredictable */
    uintptr_t (*hint)(void *arg);  /* not 0, differs between threads running at once */
    /* Gives the region's bytes [offset, offset + len) memory of their own, so that storing there
     * cannot fault. 0, VM_BACK_MEMORY, or another number where the backing is full. */
    int (*back)(void *arg, uint64_t offset, uint64_t len_bytes);
};

#endif
