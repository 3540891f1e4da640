/* data.h -- the bytes of files
 *
 * D1  Bytes become visible, by a new extent or a larger size, only when they are durable or known to
 *     read as zero (H9).
 * D2  What lies behind the end in the last block may be anything of the file's own: whoever moves the
 *     end over it makes it zero in the same record (FILL) or has stored there.
 * D3, H3  A FILL of file data is an unretired image of it: a store in place over one of its blocks waits
 *     until W has passed it (H3).
 * D4  While blocks may lie behind the end (a truncation is under way) the inode says BEYOND, and whoever
 *     finds that cuts them off first. In a long write it says WRITING: then only written extents go,
 *     those that are unwritten were asked for (U2).
 * D5  Stores in place become visible together, after their fence: past the cache they have no order
 *     of their own, so the stripe's window stays open until then; and from the first step of a long
 *     change to its last. */
#ifndef VM_INODE_DATA_H
#define VM_INODE_DATA_H

#include "inode/inode.h"
#include "space/space.h"

/* Copies out up to `len_bytes` at `offset` of a loaded inode; returns how many. */
int64_t vm_data_read(struct vm_ctx *ctx, const struct vm_inode *inode, void *buffer,
                     uint64_t len_bytes, uint64_t offset);

/* The same into several buffers, in order, which have room for `len_bytes`. */
int64_t vm_data_readv(struct vm_ctx *ctx, const struct vm_inode *inode,
                      const struct vmfs_iovec *pieces, uint64_t len_bytes, uint64_t offset);

/* Writes durably; with `is_append` at the end. Returns how many bytes, fewer when space ran out. */
struct vm_data_range {
    const void *bytes;
    const struct vmfs_iovec *pieces; /* instead, if not null: `len_bytes` in all */
    uint64_t len_bytes;
    uint64_t offset;
    bool is_append;
    bool is_atomic;    /* all of it or nothing after a crash, and after running out of space */
    bool kills_set_id; /* K1 */
};

int64_t vm_data_write(struct vm_ctx *ctx, uint64_t id, struct vm_data_range range,
                      uint64_t *end_out);

/* Within a transaction and under the inode's stripe alone: stages the new size and commits; whatever else
 * is staged goes with it. What lies beyond the end is freed in as many records as it takes, between
 * which the stripe is let go (O2). The caller has touched the times; a file that grows is not BEYOND. */
int vm_data_resize(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t size);

/* The same for blocks beyond the end that an earlier life left, or another thread is freeing (D4). The inode
 * is loaded again. */
int vm_data_trim_beyond(struct vm_ctx *ctx, struct vm_inode *inode);

/* One record of it: 1 if more is left, 0 if not, or a reason. */
int vm_data_trim_step(struct vm_ctx *ctx, struct vm_inode *inode);

/* The next data, or hole, at or after `offset`: an offset, or a reason. */
int64_t vm_data_seek(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t offset,
                     bool is_hole);

/* ---- what writing, resizing and allocating share ---- */

int vm_data_check_size(struct vm_ctx *ctx, uint64_t offset, uint64_t len_bytes);

/* D2: bytes between the old end and `to` in the block of the old end become zero; tells which block got an
 * image, or 0. */
int vm_data_fill_tail(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t to,
                      uint64_t *block_out);

/* D3: after the commit: records hold images of a block's bytes. */
void vm_data_note_logged(struct vm_ctx *ctx, uint64_t block);

/* Runs a change of 1 or 2 files in a transaction and under their stripes. If it fails after it has stored
 * in place, what it stored is fenced before anybody sees it (D5). */
typedef int64_t (*vm_data_fn)(struct vm_ctx *ctx, void *arg);
int64_t vm_data_locked(struct vm_ctx *ctx, const uint64_t *ids, unsigned count, vm_data_fn body,
                       void *arg);

#endif
