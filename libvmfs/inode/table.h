/* table.h -- inode slots: finding, taking, freeing; orphans; the stripes that lock inodes
 *
 * Locks, in the order in which they are taken:
 *     a lane's lock             (vm_tx_begin; no other lock is held)
 *     the rename lock           (directories that change parents)
 *     stripes, by address       (vm_lock_inodes)
 *     a word of free slots      (this file)
 *     the supply lock of this file, then its supply lane
 *     the lock of those who look for the last blocks (space/group.h)
 *     a pool, then the supply lock of space/, then its supply lane
 *     the checkpoint lock
 * T1  A slot is free again when its freeing record is in its home (H11), and its next inode has a
 *     higher generation: an id is never used twice.
 * T2  used and orphan words are shared by independent operations: they change by MASK only (H10).
 * T3  A slot that a running transaction took is in no bitmap yet. Its lane's note says so until the homes
 *     are stored; who claims a word reads the notes of all lanes, then the bitmap (as S3 for blocks). */
#ifndef VM_INODE_TABLE_H
#define VM_INODE_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "journal/journal.h"
#include "media/ctx.h"

#define VM_STRIPE_COUNT 1024u
#define VM_LOGGED_SLOTS 1024u

/* An inode that somebody has open or holds, listed at its stripe. */
struct vm_open {
    uint64_t id;
    uint64_t holds;    /* how often it is held, whatever it is */
    uint64_t zero_end; /* file offsets from the end of the file up to here read as zero, durably */
    struct vm_open *next;
    uint32_t handles;
    bool is_hidden;   /* of a step inside the library: nobody else finds it by its id */
    bool is_linkable; /* made without a name, and may still get its first */
};

struct vm_opens;

/* Volatile knowledge of one chunk. */
struct vm_chunk {
    _Atomic uint64_t block;   /* 0: not looked up yet */
    _Atomic uint64_t claimed; /* words that some lane takes slots from */
    _Atomic uint64_t spent;   /* words whose free slots cannot be used any more (T1), or trusted */
    _Atomic uint64_t read;    /* words with an access time that waits to be flushed (A2) */
};

/* Free slots that one lane takes from. */
struct vm_slot_word {
    _Alignas(64) struct vm_lock lock;
    bool is_valid;
    bool is_followed; /* it has been looked after what comes behind it (B1) */
    uint64_t chunk;
    unsigned word;
    uint64_t free;
};

struct vm_itable {
    const struct vm_region *region;
    uint64_t slots_per_chunk;   /* usable ones */
    unsigned chunk_stride_log2; /* slots between the first slots of chunks */
    uint64_t chunk_max;         /* as many as the map and the region have room for */
    _Atomic uint64_t chunk_count;
    _Atomic uint64_t cursor; /* chunk where free slots were found last */
    struct vm_chunk *chunks;
    struct vm_slot_word *words; /* one for each lane */
    struct vm_lock lock;        /* serialises supply steps of this rank */
    struct vm_lock rename_lock;
    struct vm_stripe *stripes;
    struct vm_opens *opens;                /* one for each stripe, under its lock */
    _Atomic bool is_used[VM_STRIPE_COUNT]; /* whether a stripe's entry of `opens` has memory */
    /* Highest record that may hold an image of file data, by a hash of its block, and of all. */
    _Atomic uint64_t logged[VM_LOGGED_SLOTS];
    _Atomic uint64_t logged_last;
    _Atomic uint64_t orphan_cursor; /* chunks below it have been cleaned since attach */
    _Atomic bool may_have_orphans;  /* left by an earlier life */
    _Atomic bool has_read;          /* some chunk's `read` may not be 0 */
};

int vm_table_init(struct vm_ctx *ctx, struct vm_itable **out);
void vm_table_fini(struct vm_ctx *ctx, struct vm_itable *table);

/* The root of the inode map of a region that is being formatted. */
void vm_table_format(struct vm_ctx *ctx);

/* Where a slot lies: 1 and its offset, 0 with offset 0 if there is no such slot, or a reason. */
int vm_table_locate(struct vm_ctx *ctx, uint64_t slot, uint64_t *offset_out);

/* Takes a free slot: the id of its next inode and where it lies; stages it as used. One for each
 * transaction. */
int vm_table_take(struct vm_ctx *ctx, uint64_t *id_out, uint64_t *offset_out);

/* Stages the slot as free; the caller stages the inode as VM_INODE_FREE. */
int vm_table_free(struct vm_ctx *ctx, uint64_t id);

/* Stages the orphan bit and the count of orphans. */
int vm_table_set_orphan(struct vm_ctx *ctx, uint64_t id, bool is_orphan);

/* Chunk heads, for cleaning and checking: 1 and the head, 0 if there is no such chunk, or a reason.
 */
int vm_table_chunk(struct vm_ctx *ctx, uint64_t chunk, uint64_t *offset_out,
                   struct vm_chunk_media *head);

/* Locks the stripes of 1 to 4 inodes; 0 as an id counts for nothing. */
void vm_lock_inodes(struct vm_ctx *ctx, const uint64_t *ids, unsigned count);
/* One more while some are locked: false if that would be against the order and somebody else has
 * it. */
bool vm_lock_another(struct vm_ctx *ctx, uint64_t id);
void vm_unlock_inodes(struct vm_ctx *ctx);
/* Between two records of a long step: lets go of what is locked, lets those who wait have their turn, and
 * locks it again. What was loaded must be loaded again. */
void vm_pause_inodes(struct vm_ctx *ctx);
struct vm_stripe *vm_stripe_of(const struct vm_ctx *ctx, uint64_t id);

/* The entry of an open inode at its locked stripe, or null. */
struct vm_open *vm_open_find(const struct vm_ctx *ctx, uint64_t id);

/* Runs `body`, which only reads this inode and its maps, so that what it returns belongs to one state
 * of it (L1): without a lock as long as that succeeds. */
typedef int64_t (*vm_read_fn)(struct vm_ctx *ctx, void *arg);
int64_t vm_read_stable(struct vm_ctx *ctx, uint64_t id, vm_read_fn body, void *arg);

/* The same, but never with the lock: false where that does not succeed, or where damage was met that may be none. */
bool vm_read_try(struct vm_ctx *ctx, uint64_t id, vm_read_fn body, void *arg, int64_t *result);

#endif
