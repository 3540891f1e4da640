/* arena.h -- regions in memory on which a filesystem is attached a thousand times a second
 *
 * Stores are noticed by the page, so that a region is as it was after copying back what an image has
 * changed. Clock, random numbers, memory and thread names come from here: a run is decided by its input
 * alone. Around each region lie pages that are not there. */
#ifndef TESTS_FUZZ_ARENA_H
#define TESTS_FUZZ_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include "vmfs.h"

struct arena {
    uint8_t *memory;
    uint8_t *image; /* what arena_restore() brings back */
    uint64_t bytes;
    uint64_t *dirty; /* a bit for each page that differs, maybe */
    /* While seeds are made: what a power cut would leave at worst. Plain stores get here when they are
     * flushed, those past the cache at once. */
    uint8_t *durable;
};

void arena_init(struct arena *arena, uint64_t bytes);

/* All stores go here from now on. */
void arena_use(struct arena *arena);
struct arena *arena_current(void);

/* Bytes of the region in use have been, or are about to be, changed. */
void arena_touch(struct arena *arena, uint64_t offset, uint64_t len_bytes);

void arena_restore(struct arena *arena);

/* Takes what is in memory, or in `from`, for what is to be brought back. */
void arena_keep(struct arena *arena, const uint8_t *from);

/* ---- what the system does to the library ---- */

enum arena_fault {
    ARENA_FAULT_NONE,
    ARENA_FAULT_ALLOC, /* no memory */
    ARENA_FAULT_FENCE, /* the medium refuses */
    ARENA_FAULT_BACK,  /* the backing is full */
    ARENA_FAULT_END,
};

/* Starts clock and random numbers anew. Of what `fault` says the call number `nth` fails, from 1 on. */
void arena_surroundings(uint64_t seed, enum arena_fault fault, unsigned nth);

/* Has the fault happened? From now on none will. */
bool arena_has_failed(void);
void arena_disarm(void);

/* Memory that the platform has handed out and not got back, and the most there was at once. */
struct arena_memory {
    uint64_t live_bytes;
    uint64_t peak_bytes;
};

struct arena_memory arena_memory(void);

/* Stores and fences since arena_surroundings(); `hook` is called at each fence, before anything else happens. */
typedef void (*arena_fence_fn)(struct arena *arena);
uint64_t arena_stores(void);
uint64_t arena_fences(void);
void arena_at_fence(arena_fence_fn hook);

/* Attaches the region in use. By path VMFS_RDONLY replays, and VMFS_PEEK is allowed. */
int arena_attach(uint32_t flags, struct vmfs **out);
int arena_open(uint32_t flags, struct vmfs **out);

#endif
