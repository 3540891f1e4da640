/* write.h -- one write on its way through a file, for whoever holds the file's stripe
 *
 * The invariants of data.h (D1 to D5) and alloc.h (U1) are kept here.
 * W1  A step stores in place first and fills holes then, never the other way round: what it has stored
 *     in place cannot be taken back, and must not lie behind a hole that may not be filled.
 * W2  An atomic write never stores in place what the file has: a few bytes are logged, and get images (D3);
 *     more go to other blocks, which take the place of the old ones in one record.
 * W3  All that the record of an atomic write makes visible is fenced before it, also in blocks that read as
 *     zero.
 * W4  An atomic write that fails leaves nothing: what its steps have left beyond the end goes. One that lies
 *     over more pieces than a record can replace first has them moved together as they are. */
#ifndef VM_INODE_WRITE_H
#define VM_INODE_WRITE_H

#include "inode/data.h"
#include "inode/span.h"

/* `at` is how far it got. */
struct vm_write {
    struct vm_inode inode; /* of all else what vm_write_begin() does not know begins as zeros */
    struct vm_ctx *ctx;
    struct vm_open *open; /* or null */
    const struct vmfs_iovec
        *pieces; /* the bytes from `at` on begin `used` bytes into the first one */
    uint64_t used;
    uint64_t offset;
    uint64_t end;
    uint64_t at;
    uint64_t old_size;
    uint64_t hole_at;                     /* where the first hole of this step began */
    const struct vmfs_iovec *hole_pieces; /* and the bytes for it */
    uint64_t hole_used;
    uint64_t filled_block; /* whose tail was staged as zeros, or 0 */
    unsigned runs;
    bool can_repeat;   /* the pieces are there until the write is over */
    bool kills_set_id; /* K1: the capability goes in any case */
    bool is_single;  /* a change a record: the region is so full that one may have to be dropped */
    bool is_changed; /* the inode must be stored */
    bool is_step_whole; /* what is staged can be committed although more was wanted */
};

/* Loads the inode, which must be a file that may be changed, and cuts off what lies beyond its end. */
int vm_write_begin(struct vm_write *write, struct vm_ctx *ctx, uint64_t id);

/* Says which range is going to be written and makes what lies between it and the end zero. */
int vm_write_range(struct vm_write *write, uint64_t offset, uint64_t len_bytes);

/* Writes up to `stop`, staged and in place. */
int vm_write_to(struct vm_write *write, uint64_t stop);

/* Publishes what is staged. */
int vm_write_publish(struct vm_write *write, bool is_last);

/* Publishes what is staged, as one of several steps of which others see nothing before the last (D5), and
 * begins another. */
int vm_write_next_step(struct vm_write *write);

/* The end of a write that got as far as `at`, or that failed: how many bytes, or the reason. */
int64_t vm_write_finish(struct vm_write *write, int result);

/* ---- parts of it ---- */

/* Copies from the pieces to the region, so that each aligned word changes at once, also where two pieces
 * meet in it. */
void vm_write_copy(struct vm_write *write, uint64_t region_offset, uint64_t len_bytes);

/* Stores the bytes from `at` to `stop` into fresh blocks that begin at `block`, with zeros around them
 * unless they are there already. */
void vm_write_fresh(struct vm_write *write, const struct vm_run *run, uint64_t stop);

/* Gives the hole, or the unwritten blocks, of a span data from `at` to `stop` or as far as one run goes. */
int vm_write_blocks(struct vm_write *write, const struct vm_span *span, uint64_t stop);

/* Where on the medium the block at `at` would best lie, or 0. */
uint64_t vm_write_goal(struct vm_write *write);

/* The next bytes of the caller: at most `len_bytes`, in one piece; how many. */
uint64_t vm_write_take(struct vm_write *write, uint64_t len_bytes, const void **bytes_out);

/* The whole write in one record, or nothing of it: how many bytes, or a reason. */
int64_t vm_write_atomic(struct vm_write *write);

/* What is behind `at` in its block is zero, durably so after the next commit. */
void vm_write_note_zeros(struct vm_write *write, uint64_t zero_end);

#endif
