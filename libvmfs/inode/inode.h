/* inode.h -- one inode: loading, changing, storing
 *
 * N1  An inode that is changed is loaded whole, checked, changed in memory and staged, all lines that differ from
 *     their homes, under its stripe; both of its hashes are in the record that changes what they cover (H18).
 * N2  The orphan bit is set exactly while a living inode has no name or may have blocks beyond its end:
 *     vm_inode_store() keeps it so, in the same record. */
#ifndef VM_INODE_INODE_H
#define VM_INODE_INODE_H

#include <stdbool.h>
#include <stdint.h>

#include "index/index.h"
#include "media/ctx.h"
#include "media/format.h"

struct vm_inode {
    uint64_t id;
    uint64_t offset;
    bool was_orphan; /* as its orphan bit is set, or staged */
    struct vm_inode_media m;
};

#define VM_MODE_TYPE      0170000u
#define VM_MODE_BITS      07777u
#define VM_MODE_STICKY    01000u
#define VM_MODE_SET_GROUP 02000u
#define VM_MODE_FIFO      0010000u
#define VM_MODE_CHAR      0020000u
#define VM_MODE_DIRECTORY 0040000u
#define VM_MODE_BLOCK     0060000u
#define VM_MODE_FILE      0100000u
#define VM_MODE_SYMLINK   0120000u
#define VM_MODE_SOCKET    0140000u

static inline uint64_t vm_id_slot(uint64_t id)
{
    return id & (((uint64_t)1 << VM_SLOT_BITS) - 1);
}

static inline uint32_t vm_id_generation(uint64_t id)
{
    return (uint32_t)(id >> VM_SLOT_BITS);
}

/* Loads and checks a living inode. */
int vm_inode_load(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out);

/* The same for who looks at nothing but line 0: kind, mode, owner, links, size, flags and times. The rest of
 * *out is not filled. */
int vm_inode_load_head(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out);

/* Raised where an id names no inode that anybody may use. */
int vm_inode_stale(struct vm_ctx *ctx, uint64_t id);

/* Checks the bytes of a slot: 0 for a sound inode of any kind, free ones included. */
int vm_inode_check(struct vm_ctx *ctx, uint64_t slot, uint64_t offset,
                   const struct vm_inode_media *media);

/* Seals and stages, with the orphan bit. */
int vm_inode_store(struct vm_ctx *ctx, struct vm_inode *inode);

/* Fills in a new inode of this mode in the slot that `id` names; nothing is staged. */
void vm_inode_make(struct vm_ctx *ctx, uint64_t id, uint64_t offset, uint32_t mode,
                   struct vm_inode *out);

bool vm_inode_is_directory(const struct vm_inode *inode);
bool vm_inode_is_file(const struct vm_inode *inode);

static inline uint32_t vm_inode_mode(const struct vm_inode *inode)
{
    return vm_get16(inode->m.mode);
}

static inline uint64_t vm_inode_size(const struct vm_inode *inode)
{
    return vm_get64(inode->m.size);
}

static inline void vm_inode_set_size(struct vm_inode *inode, uint64_t size)
{
    inode->m.size = vm_put64(size);
}

static inline uint32_t vm_inode_nlink(const struct vm_inode *inode)
{
    return vm_get32(inode->m.nlink);
}

static inline void vm_inode_set_nlink(struct vm_inode *inode, uint32_t nlink)
{
    inode->m.nlink = vm_put32(nlink);
}

/* Both times become now. */
void vm_inode_touch(struct vm_ctx *ctx, struct vm_inode *inode);
void vm_inode_touch_change(struct vm_ctx *ctx, struct vm_inode *inode);

/* 4 KiB blocks of all kinds that belong to the inode. */
uint64_t vm_inode_blocks(const struct vm_inode *inode);
void vm_inode_add_blocks(struct vm_inode *inode, int64_t change);

/* VM_INODE_FLAG_* */
uint32_t vm_inode_flags(const struct vm_inode *inode);
void vm_inode_set_flags(struct vm_inode *inode, uint32_t flags);

/* May the inode be changed, by adding only or in any way? Raises IMMUTABLE or APPEND_ONLY. */
int vm_inode_check_change(struct vm_ctx *ctx, const struct vm_inode *inode, bool is_adding);

/* Blocks may lie beyond the end, of all kinds or (writing) written ones that do not count. */
bool vm_inode_is_beyond(const struct vm_inode *inode);
void vm_inode_set_beyond(struct vm_inode *inode, bool is_beyond);
bool vm_inode_is_writing(const struct vm_inode *inode);
void vm_inode_set_writing(struct vm_inode *inode);

/* Stages a nameless inode without blocks as free. */
int vm_inode_release(struct vm_ctx *ctx, struct vm_inode *inode);

/* The inode's maps. Taking one out, changing it and putting it back stages nothing by itself. */
struct vm_map vm_inode_data_map(const struct vm_inode *inode);
void vm_inode_put_data_map(struct vm_inode *inode, const struct vm_map *map);
struct vm_map vm_inode_xattr_map(const struct vm_inode *inode);
void vm_inode_put_xattr_map(struct vm_inode *inode, const struct vm_map *map);

#endif
