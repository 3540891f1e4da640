/* tx.h -- one atomic, durable step
 *
 *     vm_tx_begin()   claims a lane and log space                      (no lock is held)
 *     lock            the stripes of the objects, in address order
 *     stage           vm_tx_write(), _mask(), _blocks(), _fill()       (may fail: then abort)
 *     vm_tx_commit()  payload fence if any, mark, number, record, fence, homes, clear the mark
 *     unlock, vm_tx_end()
 *
 * H4  No home byte that a record names changes before that record's fence has completed.
 * H6  Locks are released after the homes are stored: nothing that depends on an operation can be
 *     durable before it.
 * H7  Log space for the largest record is reserved before anything else: a commit cannot fail for
 *     want of it.
 * H9  Bytes that a record points to and that are not in it (new nodes, new data) are fenced before
 *     the record is written.
 * H16 Once a number is taken the operation is finished or the region is stopped: a failed fence
 *     poisons the journal.
 * H17 Between the number and the last home store nothing waits, allocates or takes a lock; every home
 *     was backed when its block was handed out.
 * H18 Every checksum lies in the same record as the bytes that it covers, under the same lock.
 * B1  A call that has fences to spare works ahead at its end, with its lane and no other lock held: a slice
 *     of the checkpoint when its lane is half full, nodes and slots when they run low, which is looked at
 *     when some have been taken since. So these do not meet in one call, and a call of one record stays
 *     at VM_FENCES_AIM; but for the first ones of a lane's life, when nobody has worked ahead, and in a
 *     region that is nearly full. */
#ifndef VM_JOURNAL_TX_H
#define VM_JOURNAL_TX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "media/ctx.h"

#define VM_TX_ENTRIES_MAX 96u
#define VM_TX_RUNS_MAX    64u

/* Blocks that the transaction took; `pool` is the space rank's business. Others read block and count
 * while they search (S3 in space/space.h). */
struct vm_tx_run {
    _Atomic uint64_t block;
    _Atomic uint64_t count;
    uint32_t pool;
};

/* An entry that is not bytes. */
struct vm_tx_entry {
    uint32_t kind;
    uint64_t place;
    uint64_t len_bytes;
    uint64_t first;
    uint64_t second;
};

struct vm_tx {
    struct vm_overlay overlay;
    struct vm_tx_entry entries[VM_TX_ENTRIES_MAX];
    uint32_t entry_count;
    struct vm_tx_run runs[VM_TX_RUNS_MAX];
    _Atomic uint32_t run_count;
    int32_t blocks_delta;
    int32_t inodes_delta;
    int32_t orphans_delta;
    bool has_payload;  /* unfenced bytes that the record will point to (H9) */
    bool has_in_place; /* unfenced bytes that nothing points to anew */
    bool has_frees;    /* an entry that clears bits */
    bool has_fills;
    bool has_images; /* some of them, in records that not both watermark lines have passed (S5) */
    bool has_taken;  /* nodes or slots, since somebody has worked ahead on this lane (B1) */
    uint32_t lane;
    /* Slot + 1 of the inode that it took; the inode rank's business (T3 in inode/table.h). */
    _Atomic uint64_t inode_slot;
    _Atomic bool is_waiting; /* for blocks; the space rank's business */
};

/* Lanes that only supply steps use: a running operation that needs a new group, or a new inode chunk,
 * has a record of its own written for it while it holds its lane. A step for inodes may need one for
 * space, never the other way round. */
#define VM_LANE_SPACE   0u
#define VM_LANE_INODES  1u
#define VM_LANES_SUPPLY 2u

int vm_tx_begin(struct vm_ctx *ctx);
void vm_tx_end(struct vm_ctx *ctx);

/* After a commit: reserves log space for another step under the same locks. */
int vm_tx_renew(struct vm_ctx *ctx);

/* Drops what is staged and goes on as vm_tx_renew(). */
int vm_tx_restart(struct vm_ctx *ctx);

/* May a call issue so many fences more for work ahead of need (B1)? */
#define VM_FENCES_AIM 4u
bool vm_tx_affords(const struct vm_ctx *ctx, unsigned fences);

/* A step within a step: `sub` becomes a context of its own on a supply lane. The caller holds the
 * lock that serialises supply steps. vm_supply_end() adds what it cost to `ctx`. */
int vm_supply_begin(struct vm_ctx *ctx, struct vm_ctx *sub, uint32_t lane);
void vm_supply_end(struct vm_ctx *ctx, struct vm_ctx *sub);

/* Stages bytes; they are visible to vm_read() of this context at once. Any alignment. */
void vm_tx_write(struct vm_ctx *ctx, uint64_t offset, const void *bytes, uint64_t len_bytes);

/* The same of one line, whole. */
void vm_tx_write_line(struct vm_ctx *ctx, uint64_t offset, const void *bytes);

/* As vm_tx_write() in blocks that hold nothing yet: whole lines are logged, zeros around the bytes, whatever
 * the home holds. What an aborted step or an earlier filesystem left there may look right without
 * being durable. */
void vm_tx_write_fresh(struct vm_ctx *ctx, uint64_t offset, const void *bytes, uint64_t len_bytes);

/* Stages word = (word & ~mask) | value. Not visible to vm_read(). */
void vm_tx_mask(struct vm_ctx *ctx, uint64_t offset, uint64_t mask, uint64_t value);

/* Stages bits of the bitmap and the delta of free blocks. */
void vm_tx_blocks(struct vm_ctx *ctx, uint64_t block, uint64_t count, bool is_set);

/* Stages a run of one byte. Applied before everything else of the record. */
void vm_tx_fill(struct vm_ctx *ctx, uint64_t offset, uint64_t len_bytes, uint8_t byte);

/* Stores bytes where nothing durable points yet; fenced before the record. */
void vm_tx_payload(struct vm_ctx *ctx, uint64_t offset, const void *bytes, uint64_t len_bytes);
void vm_tx_payload_zero(struct vm_ctx *ctx, uint64_t offset, uint64_t len_bytes);

/* Makes the step durable and visible. A step with nothing staged costs no fence. After a failure the
 * journal is poisoned. */
int vm_tx_commit(struct vm_ctx *ctx);

/* Room for `entries` more entries that are not bytes and for `lines` more staged lines? Long steps
 * are cut by asking. */
bool vm_tx_has_room(const struct vm_ctx *ctx, uint32_t entries, uint32_t lines);

#endif
