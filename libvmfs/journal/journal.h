/* journal.h -- lanes, the watermark, checkpoint and recovery
 *
 * An operation stages its changes, writes them as one record into its lane, fences once, and is
 * durable; only then are the homes stored, with plain stores. The checkpoint flushes homes later and
 * raises the one watermark W. After a crash the valid records above W are applied again, in sequence
 * order. States of a lane's bytes: free -> record written (vm_tx_commit) -> homes stored (mark
 * cleared) -> homes durable (first fence of vm_checkpoint) -> W durable (second fence) -> free.
 *
 * H1  All lanes retire together under the one W: nothing at or below W is ever replayed.
 * H5  A fence orders its own thread's flushes only: the checkpointer flushes every line it claims.
 * H8  W stays below every sequence number handed out whose homes are not all stored: a lane's mark
 *     is set before its number is taken.
 * H12 Homes are fenced, then W is stored; W is fenced, then ring space and freed blocks are released.
 * H14 Recovery draws a new nonce after the homes are fenced, and the era is part of it, so that none comes
 *     twice; numbers go on above the largest applied, but begin anew where that is more than half of the
 *     largest there can be.
 * H22 Whoever attaches stores nothing else before the new watermark and era are durable.
 * H23 A pin holds W where it is: while one is set, nobody gets a block that its thread has found in a map since, as
 *     what a record frees cools until W has passed the record (H2). The pin is visible before the maps are
 *     read, and the checkpointer looks at the pins after the marks: so it sees the pin, or the pin's
 *     thread sees the homes of all that this slice retires. A pin may ask for less than W; W never falls.
 * S5  Where a watermark line is damaged, the highest watermark that any record of the era names counts, if it
 *     is above that of the line that is left: what was overwritten was at or below it, as what overwrites
 *     names it. All above is applied, which is all of it or, if power failed within the very first record
 *     behind a watermark that only the lost line had, all but what that record had begun to overwrite. What is
 *     stored in place names no watermark: without a record it returns only when both lines have passed all
 *     records with its bytes, so that the loss of either takes back nothing (H3). Where both are damaged the
 *     newest era is the one that a nonce in a header or a line fits, and what was stored in place behind the
 *     era's last record may be taken back. */
#ifndef VM_JOURNAL_JOURNAL_H
#define VM_JOURNAL_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "journal/record.h"
#include "journal/tx.h"
#include "media/ctx.h"
#include "media/super.h"

/* Where a record of the volatile ring lies. */
struct vm_ring_entry {
    uint64_t sequence;
    uint32_t offset; /* within the lane */
    bool has_frees;  /* something to release when W passes it */
};

struct vm_lane {
    _Alignas(64) struct vm_lock lock;        /* held by the operation that uses the lane */
    _Alignas(64) _Atomic uint64_t mark;      /* 0, or a lower bound of the number in flight */
    _Alignas(64) _Atomic uint32_t ring_head; /* records ever appended; by the owner */
    uint32_t write_at;                       /* where the next record goes */
    _Atomic int64_t blocks_delta;            /* of all records since attach; by the owner */
    _Atomic int64_t inodes_delta;
    _Atomic int64_t orphans_delta;
    _Alignas(64) _Atomic uint32_t ring_tail; /* records released; by the checkpointer */
    uint64_t medium_offset;
    uint32_t ring_size; /* a power of two */
    struct vm_ring_entry *ring;
    uint8_t *mirror; /* the lane's bytes, so that checkpoints need not read the medium */
    struct vm_tx tx;
};

/* The part of the space and inode ranks in an operation's life. */
struct vm_journal_hooks {
    /* Before the homes of a CLEAR entry are stored, by the lane's owner; and after W has passed it, under
     * the checkpoint lock. */
    void (*freeing)(struct vm_ctx *ctx, uint64_t block, uint64_t count);
    void (*freed)(struct vm_ctx *ctx, uint32_t lane, uint64_t block, uint64_t count);
    /* The transaction has ended; the runs that it took are its own or go back. */
    void (*settled)(struct vm_ctx *ctx, struct vm_tx *tx, bool is_committed);
    void (*settled_inode)(struct vm_ctx *ctx, struct vm_tx *tx, bool is_committed);
    /* Starts writing back some of what was stored without a record, for the checkpoint's fence: how
     * many lines, 0 if nothing is left. */
    uint64_t (*flush_lazy)(struct vm_ctx *ctx);
    /* The lane is idle, its owner holds no other lock: what coming calls will need (B1). False if some
     * of it is left for later. */
    bool (*ahead)(struct vm_ctx *ctx);
};

#define VM_DEDUPE_SLOTS 1024u

struct vm_pin;

struct vm_journal {
    _Alignas(64) _Atomic uint64_t sequence;  /* the last number handed out */
    _Alignas(64) _Atomic uint64_t watermark; /* durable */
    _Atomic uint64_t watermark_lower;        /* durable, whichever of the lines is lost */
    _Atomic bool is_poisoned;
    _Atomic uint64_t checkpoint_fences;
    struct vm_lock checkpoint_lock;
    struct vm_era era;
    struct vm_watermark line; /* what was last stored; under the checkpoint lock */
    unsigned line_copy;
    uint64_t flushed[VM_DEDUPE_SLOTS]; /* lines of this slice; under the checkpoint lock */
    uint32_t lane_count;
    uint32_t lane_bytes;
    uint32_t record_max;
    struct vm_lane *lanes;
    struct vm_pin *pins; /* journal/pin.h */
    const struct vm_region *region;
    struct vm_journal_hooks hooks;
    uint64_t replayed;        /* records applied at attach; observed: above the watermark */
    uint64_t observed_bytes;  /* of those records; 0 but after vm_journal_observe() */
    int64_t base_blocks_free; /* totals at attach, after recovery */
    int64_t base_inodes_used;
    int64_t base_orphans;
};

/* Allocates the volatile part. */
int vm_journal_init(struct vm_ctx *ctx, struct vm_journal *journal);
void vm_journal_fini(struct vm_journal *journal);

/* Writes both watermark copies of a region that is being formatted: durable with the first fence behind it,
 * before there is a superblock. */
void vm_journal_format(struct vm_ctx *ctx, uint64_t blocks_free);

/* Applies what a crash left and begins a new era. With `may_replay` false a region that needs it is
 * refused. */
int vm_journal_recover(struct vm_ctx *ctx, struct vm_journal *journal, bool may_replay);

/* The same for one who will log nothing, on homes that only he sees: only what was backed beforehand is stored to,
 * and nothing at all where the last writer has left nothing. */
int vm_journal_view(struct vm_ctx *ctx, struct vm_journal *journal);

/* What recovery for repair met, and went on in spite of. */
enum vm_salvage_note {
    VM_SALVAGE_LINE, /* a watermark line fails its check; where: its block */
    VM_SALVAGE_ERA,  /* both do: era and watermark are those of the records; where: watermark */
    VM_SALVAGE_WATERMARK, /* records name a newer watermark than the line that is left; where: it */
    VM_SALVAGE_TORN,      /* a record above the watermark fails its check; where: its offset */
    VM_SALVAGE_UNFIT,     /* a record is malformed, changes no home, or has another's number */
};

struct vm_salvage {
    void (*told)(void *arg, enum vm_salvage_note note, uint64_t where);
    void *arg;
};

/* As vm_journal_recover() with replay, but damage does not stop it: records that are not sound are left
 * out (S5), and totals may be wrong afterwards. Fails for want of memory or backing, or if a fence failed. */
int vm_journal_salvage(struct vm_ctx *ctx, struct vm_journal *journal,
                       const struct vm_salvage *salvage);

/* An era's nonce, of its number and of bits that are drawn for it: no other era of the region has it (H14). */
uint64_t vm_nonce_make(const struct vm_region *region, uint32_t era, uint32_t drawn);
uint64_t vm_nonce_draw(const struct vm_region *region, uint64_t era);

/* The line of the newest era where both copies are lost, as records and remains of the lines tell it (S5). */
void vm_salvage_line(struct vm_ctx *ctx, struct vm_watermark *out);

/* In the place of recovery, for a region that may be in use: learns sequence, totals and use of the
 * journal from whatever is there at the moment. Damage leaves them zero; stores nothing. */
void vm_journal_observe(struct vm_ctx *ctx, struct vm_journal *journal);

/* A fence failed: nothing is known any more of what was flushed, so no further record may follow
 * (H16). Returns the reason. */
int vm_journal_poison(struct vm_ctx *ctx);

/* May records still follow? */
int vm_journal_check(struct vm_ctx *ctx);

/* An ordering point on which a later store depends. It fails also where the journal was poisoned before
 * its end: what this thread stored may have gone nowhere, too (H16). */
int vm_journal_fence(struct vm_ctx *ctx);

/* One bounded slice: 1 if W rose, 0 if there was nothing, or a reason. With `may_wait` false it also
 * returns 0 while another thread is at it. */
int vm_checkpoint(struct vm_ctx *ctx, bool may_wait);

/* Everything that had returned before the call is at or below W at its end. */
int vm_checkpoint_all(struct vm_ctx *ctx);

/* What this thread stored before the call is durable at its end, and so is the watermark in both lines (S5). */
int vm_checkpoint_lower(struct vm_ctx *ctx);

/* What was stored without a record before the call is durable at its end. */
int vm_checkpoint_lazy(struct vm_ctx *ctx);

/* Starts writing back the homes of a record, but for lines already claimed in this slice. */
void vm_record_flush(struct vm_ctx *ctx, struct vm_journal *journal, const void *record);

/* Current totals. */
struct vm_totals {
    int64_t blocks_free;
    int64_t inodes_used;
    int64_t orphans;
};

struct vm_totals vm_journal_totals(const struct vm_journal *journal);
uint64_t vm_journal_bytes_used(const struct vm_journal *journal);

/* The ring: can a record of this length be appended, at which offset within the lane, and how many
 * bytes are not released. */
bool vm_lane_has_room(const struct vm_lane *lane, uint32_t lane_bytes, uint32_t len_bytes);
uint32_t vm_lane_used(const struct vm_lane *lane, uint32_t lane_bytes);
uint32_t vm_lane_place(const struct vm_lane *lane, uint32_t lane_bytes, uint32_t len_bytes);

#endif
