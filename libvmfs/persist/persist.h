/* persist.h -- how a store becomes durable
 *
 * The only code that stores into a region, flushes or fences. A backend is one table of operations,
 * chosen at attach; tests put a recording table in its place. Offsets count from the region's start,
 * so that stores can go through another mapping than loads. */
#ifndef VM_PERSIST_PERSIST_H
#define VM_PERSIST_PERSIST_H

#include <stddef.h>
#include <stdint.h>

#define VM_LINE_BYTES 64u

struct vm_persist_ops {
    const char *name;
    /* Stores past the cache where the machine can; durable after the operation's next fence. `src` may be of the
     * same memory, as of a view, and overlap. */
    void (*copy)(void *arg, void *dst, const void *src, size_t len_bytes);
    void (*set)(void *arg, void *dst, int byte, size_t len_bytes);
    /* Plain stores, not durable until flushed and fenced. Word by word, each a release store where
     * dst and len are multiples of 8. */
    void (*store)(void *arg, void *dst, const void *src, size_t len_bytes);
    /* *word = (*word & ~mask) | value, and *word = max(*word, value), atomically. */
    void (*mask)(void *arg, uint64_t *word, uint64_t mask, uint64_t value);
    void (*max)(void *arg, uint64_t *word, uint64_t value);
    /* Starts writing back the lines of a range; done at the operation's next fence. */
    void (*flush)(void *arg, const void *addr, size_t len_bytes);
    /* Everything that this thread copied, set or flushed in the same operation is durable. 0, or not 0
     * where the medium refused: then nothing is known about what was flushed. */
    int (*fence)(void *arg);
};

/* Non-temporal stores and cache-line write-backs: libpmem's, and a loop of our own for whole lines where the
 * machine has what it takes. */
const struct vm_persist_ops *vm_persist_pmem(void);
/* libpmem's alone. */
const struct vm_persist_ops *vm_persist_libpmem(void);
/* Memory that somebody else keeps: order only. */
const struct vm_persist_ops *vm_persist_none(void);

/* One operation's access to a region's bytes, with what it has cost. */
struct vm_io {
    const struct vm_persist_ops *ops;
    void *arg;
    uint8_t *base; /* stores go here */
    uint64_t fences;
    uint64_t lines;
    uint64_t bytes;
    uint64_t shared; /* VM_SHARED() */
};

void vm_io_copy(struct vm_io *io, uint64_t offset, const void *src, size_t len_bytes);
/* ..._words(): the same, and each aligned 8 bytes change at once, whatever the alignment of the range. */
void vm_io_copy_words(struct vm_io *io, uint64_t offset, const void *src, size_t len_bytes);
void vm_io_set(struct vm_io *io, uint64_t offset, int byte, size_t len_bytes);
void vm_io_set_words(struct vm_io *io, uint64_t offset, int byte, size_t len_bytes);
void vm_io_store(struct vm_io *io, uint64_t offset, const void *src, size_t len_bytes);
void vm_io_mask(struct vm_io *io, uint64_t offset, uint64_t mask, uint64_t value);
void vm_io_max(struct vm_io *io, uint64_t offset, uint64_t value);
void vm_io_flush(struct vm_io *io, uint64_t offset, size_t len_bytes);
int vm_io_fence(struct vm_io *io);

#endif
