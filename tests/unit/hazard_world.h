/* hazard_world.h -- a region on the simulated medium, with a hand on every fence, store and wait
 *
 * Two contexts share one journal in one thread: what a test does inside `at_fence` happens in the
 * middle of the other context's commit. */
#ifndef TESTS_HAZARD_WORLD_H
#define TESTS_HAZARD_WORLD_H

#include "core_fixture.h"
#include "inode/inode.h"
#include "inode/table.h"

#define WORLD_BYTES ((uint64_t)16 << 20)

struct world {
    struct core core;
    struct vm_ctx other; /* a second context, on another lane than core.ctx */
    const struct vm_persist_ops *medium;
    struct vm_platform platform;
    uint64_t home; /* a block of zeros that belongs to the test */
    bool is_busy;  /* inside a hook: what happens there is not watched */
    /* Since world_watch(). */
    unsigned fences;
    unsigned lane_stores;
    unsigned watermark_stores;
    unsigned super_stores;
    unsigned home_stores; /* everywhere else */
    unsigned home_stores_unfenced;
    unsigned backs;
    uint64_t chunks_backed; /* a bit for each 2 MiB */
    /* Set by tests. */
    void (*at_fence)(struct world *world); /* before fence number world->fences is done */
    void (*at_store)(struct world *world, uint64_t offset);
    void (*at_wait)(struct world *world);
    unsigned fence_failing;        /* which fence reports failure, 0: none */
    bool is_failing_fence_durable; /* although everything did reach the medium */
    bool is_back_failing;
    /* What hooks remember. */
    uint64_t id;
    uint64_t number;
    unsigned hits;
};

void world_init(struct world *world);
/* Nothing of it is in use: `home` is nowhere. */
void world_init_empty(struct world *world);
void world_fini(struct world *world);

/* Power is lost, and everything is attached again. */
void world_crash(struct world *world, struct seed *seed);

/* Power is lost, nothing is attached: memory is what was durable. */
void world_lose_power(struct world *world);

/* Counts from 0 again and drops all hooks. */
void world_watch(struct world *world);

/* A context without volatile parts, for attaching by hand. */
struct vm_ctx world_bare_ctx(struct world *world);

/* What a crash now could leave: every second word that is not durable has arrived, from the even or
 * the odd ones. To be freed. */
uint8_t *world_torn(const struct world *world, unsigned parity);

/* Changes the medium behind everybody's back. */
void world_forge(struct world *world, uint64_t offset, const void *bytes, uint64_t len_bytes);

/* Words of the region. */
uint64_t world_word(const struct world *world, uint64_t offset);
void world_begin(struct vm_ctx *ctx);
void world_commit(struct vm_ctx *ctx);
void world_stage(struct vm_ctx *ctx, uint64_t offset, uint64_t value);
void world_put(struct vm_ctx *ctx, uint64_t offset, uint64_t value);
void world_checkpoint(struct vm_ctx *ctx);

/* Files without names. */
uint64_t file_new(struct vm_ctx *ctx);
void file_write(struct vm_ctx *ctx, uint64_t id, uint64_t offset, const char *text);
void file_resize(struct vm_ctx *ctx, uint64_t id, uint64_t size);
void file_read(struct vm_ctx *ctx, uint64_t id, uint64_t offset, char *buffer, uint64_t len_bytes);
uint64_t file_size(struct vm_ctx *ctx, uint64_t id);
void file_set_nlink(struct vm_ctx *ctx, uint64_t id, uint32_t nlink);
void file_free(struct vm_ctx *ctx, uint64_t id);
bool file_is_marked_orphan(struct vm_ctx *ctx, uint64_t id);

#endif
