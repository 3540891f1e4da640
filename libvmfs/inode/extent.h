/* extent.h -- where a file's blocks are: up to four extents in the inode, more in a map */
#ifndef VM_INODE_EXTENT_H
#define VM_INODE_EXTENT_H

#include "inode/inode.h"

/* As vm_extents_floor() and _ceiling(). */
int vm_file_floor(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t file_block,
                  struct vm_extent *out);
int vm_file_ceiling(struct vm_ctx *ctx, const struct vm_inode *inode, uint64_t file_block,
                    struct vm_extent *out);

/* Adds blocks that were a hole, to the extent before them where they continue it. Changes the inode in
 * memory; the caller stores it. */
int vm_file_add(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *extent);
/* The same for who knows the last extent before it; without blocks if there is none. */
int vm_file_add_behind(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *before,
                       const struct vm_extent *extent);

/* Does an extent go on where another ends, in the file and in the region? */
bool vm_extent_continues(const struct vm_extent *before, const struct vm_extent *extent);

/* All extents of a file without a map, and the other way round. */
int vm_file_inline_get(struct vm_ctx *ctx, const struct vm_inode *inode,
                       struct vm_extent items[VM_INODE_EXTENTS], uint32_t *count_out);
void vm_file_inline_put(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *items,
                        uint32_t count);

/* Raised where extents that are sound each contradict each other. */
int vm_extent_disorder(struct vm_ctx *ctx, const struct vm_inode *inode);

/* Frees blocks from the end down to `from_block` as far as the record has room: 1 if more are left,
 * 0 if that was all, or a reason. */
int vm_file_cut(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t from_block);

/* The same, but unwritten extents stay whole (U2). */
int vm_file_cut_written(struct vm_ctx *ctx, struct vm_inode *inode, uint64_t from_block);

/* ---- changing a part of an extent that the file has ---- */

/* Blocks of a file. */
struct vm_part {
    uint64_t first;
    uint64_t count;
};

/* Has the record room for one more of the changes below, or for an extent that is added? The first one of
 * a record always has it. */
bool vm_file_has_room(struct vm_ctx *ctx, const struct vm_inode *inode);

/* The part of `old` gets other flags. What this and the next two change on a failure is undefined: the
 * caller drops the step and loads the inode again. All may need a node: NO_SPACE. They need none unless
 * the part lies strictly inside the old extent or both change. */
int vm_file_mark(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *old,
                 const struct vm_part *part, uint32_t flags);

/* Other blocks take the place of a part of `old`, which is freed. */
int vm_file_swap(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *old,
                 const struct vm_extent *with);

/* The part of `old` becomes a hole and is freed. */
int vm_file_punch(struct vm_ctx *ctx, struct vm_inode *inode, const struct vm_extent *old,
                  const struct vm_part *part);

/* Frees empty leaves at the end of the map: 1 if the record has no room for more, 0, or a reason. */
int vm_file_trim(struct vm_ctx *ctx, struct vm_inode *inode);

#endif
