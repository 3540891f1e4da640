/* group.h -- chunks and groups: reading the bitmap, claiming, initialising */
#ifndef VM_SPACE_GROUP_H
#define VM_SPACE_GROUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "space/space.h"

#define VM_CHUNK_WORDS_FREE 8u
#define VM_CHUNK_NONE       (~(uint64_t)0)
#define VM_COOLING_SLOTS    1024u

/* Volatile knowledge of one group. */
struct vm_group {
    _Atomic uint64_t claimed; /* chunks in some pool, or being taken from */
    _Atomic uint64_t full;    /* chunks that had nothing free when last looked at: a hint */
};

/* Chunks, by a hash, in which blocks were freed above W by a lane's records (H2, H11): the two counts differ.
 * One is written by the lane's owner only, the other under the checkpoint lock only, so that freeing
 * writes nothing that is shared. */
struct vm_cooling {
    _Atomic uint32_t begun[VM_COOLING_SLOTS];
    _Atomic uint32_t ended[VM_COOLING_SLOTS];
};

/* Free blocks of one chunk, taken from by one lane at a time. */
struct vm_pool {
    _Alignas(64) struct vm_lock lock;
    uint64_t chunk; /* VM_CHUNK_NONE, or claimed by this pool */
    uint64_t free[VM_CHUNK_WORDS_FREE];
    uint64_t cursor;    /* group where the last chunk was found */
    uint64_t goes_on;   /* behind what the lane's owner took last; the owner's without the lock */
    uint64_t used_last; /* order of use among a lane's pools; as goes_on */
    bool is_zeroed;
};

struct vm_space {
    const struct vm_region *region;
    uint64_t ready; /* groups initialised, over all zones; under `lock` */
    _Atomic uint64_t ready_seen;
    struct vm_lock lock; /* serialises supply steps of this rank */
    struct vm_group *groups;
    uint32_t pool_count;
    struct vm_pool *pools;
    struct vm_lock scarce_lock; /* held by who looks for the last blocks */
    struct vm_cooling *cooling; /* one for each lane */
};

/* A chunk's number is its first block / VM_CHUNK_BLOCKS within its zone, made unique by group. */
static inline uint64_t vm_chunk_of(uint64_t group, unsigned index)
{
    return group * VM_GROUP_CHUNKS + index;
}

uint64_t vm_chunk_first_block(const struct vm_region *region, uint64_t chunk);
uint64_t vm_chunk_of_block(const struct vm_region *region, uint64_t block);

/* Blocks of a lane's record begin to cool, and have cooled. */
void vm_chunks_cool(struct vm_ctx *ctx, uint32_t lane, uint64_t block, uint64_t count);
void vm_chunks_cooled(struct vm_ctx *ctx, uint32_t lane, uint64_t block, uint64_t count);
void vm_chunks_unclaim(struct vm_ctx *ctx, uint64_t block, uint64_t count);

/* What a search wants: at least this many free blocks in a chunk, and a run of this length. */
struct vm_chunk_want {
    uint32_t free_min;
    uint32_t run_min;
    bool is_last_resort;  /* looks into chunks that seemed full, too */
    uint64_t passed_over; /* chunks of the group, by bit, that have been found unfit */
};

/* Claims a chunk of a group, if one has what is wanted: its number or VM_CHUNK_NONE; copies its free
 * bits. */
uint64_t vm_group_claim(struct vm_ctx *ctx, uint64_t group, struct vm_chunk_want want,
                        uint64_t *free_out);

/* One chunk: true and its free bits. */
bool vm_chunk_claim(struct vm_ctx *ctx, uint64_t chunk, struct vm_chunk_want want,
                    uint64_t *free_out);

/* What is best: the longest run of free blocks, or the fewest free blocks in a chunk that is not empty. */
enum vm_chunk_taste {
    VM_TASTE_LONGEST,
    VM_TASTE_FULLEST,
};

/* The best chunk so far of a search that claims nothing. */
struct vm_chunk_best {
    uint64_t chunk; /* VM_CHUNK_NONE */
    enum vm_chunk_taste taste;
    uint32_t free_min;
    uint32_t run_min;
    uint32_t enough; /* merit above which nothing better is looked for */
    uint32_t merit;  /* blocks of the longest run, or blocks in use */
    bool is_enough;
};

void vm_group_look(struct vm_ctx *ctx, uint64_t group, struct vm_chunk_best *best);

/* Claims up to `count` wholly free neighbouring chunks of a group; the first one and how many. */
uint64_t vm_group_claim_empty(struct vm_ctx *ctx, uint64_t group, unsigned count,
                              unsigned *count_out);

/* Backs a claimed chunk and records its first use; tells whether it reads as zero. */
int vm_chunk_prepare(struct vm_ctx *ctx, uint64_t chunk, bool *is_zeroed);

/* Initialises the next group: 1, 0 if there is none, or a reason. */
int vm_group_init_next(struct vm_ctx *ctx);

/* Reads how many groups each zone says are initialised. */
int vm_groups_load(struct vm_ctx *ctx, struct vm_space *space);

/* The same where a zone's state is damaged: the region's first group was begun with it, and what is used
 * tells of the others later. */
void vm_groups_salvage(struct vm_ctx *ctx, struct vm_space *space);

/* The longest, or first sufficient, run of ones: its first bit and length (0: none). */
struct vm_bits_run {
    unsigned first;
    unsigned count;
};

struct vm_bits_run vm_bits_find(const uint64_t *words, unsigned want);

/* The highest run of exactly `want` ones, for what is placed away from the small change. */
struct vm_bits_run vm_bits_find_high(const uint64_t *words, unsigned want);

void vm_bits_change(uint64_t *words, unsigned first, unsigned count, bool is_set);

#endif
