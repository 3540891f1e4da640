/* core_fixture.h -- a formatted region in anonymous memory and a context on it, below api/
 *
 * The memory plays a persistent medium: only what was flushed or copied before a fence survives
 * core_crash(). */
#ifndef TESTS_CORE_FIXTURE_H
#define TESTS_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "journal/journal.h"
#include "media/ctx.h"
#include "space/space.h"

#include "seed.h"

struct core {
    uint64_t bytes;
    uint8_t *memory;   /* what loads see */
    uint8_t *staged;   /* words as they were when last flushed */
    uint8_t *durable;  /* what a crash leaves */
    uint64_t *pending; /* words flushed since the last fence */
    uint64_t pending_count;
    uint64_t pending_room;
    uint64_t fences_left; /* the fence that makes it 0 does not return but jumps to `cut`; 0: off */
    jmp_buf cut;
    struct vm_region region;
    struct vm_journal journal;
    struct vm_ctx ctx;
};

/* Formats `bytes` bytes and attaches. Any failure ends the test program with a message. */
void core_init(struct core *core, uint64_t bytes);
void core_fini(struct core *core);

/* Loses power: of every word that is not durable the old or the new value stays, as `seed` wants;
 * without a seed always the old. Then attaches again. */
void core_crash(struct core *core, struct seed *seed);

/* A copy of the region after a checkpoint, to be freed. */
uint8_t *core_save(struct core *core);

/* Makes such a copy what the medium holds, durably. Then attaches again. */
void core_load(struct core *core, const uint8_t *image);

/* Lets every free block read as in `image`, but not durably. */
void core_stale(struct core *core, const uint8_t *image);

#endif
