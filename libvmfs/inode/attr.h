/* attr.h -- attributes of an inode, out and in */
#ifndef VM_INODE_ATTR_H
#define VM_INODE_ATTR_H

#include "inode/inode.h"

/* What can be asked of any inode; the same for every caller of the library. */
struct vm_stat {
    uint64_t id;
    uint32_t mode;
    uint32_t nlink;
    uint32_t uid;
    uint32_t gid;
    uint64_t rdev;
    uint64_t size;
    uint64_t blocks; /* of 4 KiB */
    int64_t atime_ns;
    int64_t mtime_ns;
    int64_t ctime_ns;
    int64_t btime_ns;
    uint32_t flags; /* VM_INODE_FLAG_* */
};

void vm_attr_get(const struct vm_inode *inode, struct vm_stat *out);

#define VM_ATTR_MODE      0x01u
#define VM_ATTR_UID       0x02u
#define VM_ATTR_GID       0x04u
#define VM_ATTR_SIZE      0x08u
#define VM_ATTR_ATIME     0x10u
#define VM_ATTR_MTIME     0x20u
#define VM_ATTR_FLAGS     0x40u
#define VM_ATTR_KILL_PRIV 0x80u /* the set-id bits of a file go (K1) */
#define VM_ATTR_CTIME     0x100u
/* Both times are the present one: an append-only inode allows that. */
#define VM_ATTR_TOUCH 0x10000u

struct vm_attr {
    uint32_t mask;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint64_t size;
    int64_t atime_ns;
    int64_t mtime_ns;
    int64_t ctime_ns;
    uint32_t flags; /* VM_INODE_FLAG_* */
};

/* Sets what the mask names, durably, in one step. */
int vm_attr_set(struct vm_ctx *ctx, uint64_t id, const struct vm_attr *attr);

#endif
