/* public.h -- between the core's structures and the public ones */
#ifndef VM_API_PUBLIC_H
#define VM_API_PUBLIC_H

#include "api/handle.h"
#include "inode/attr.h"

struct vmfs_file {
    struct vmfs *fs;
    uint64_t id;
    int flags;
    _Atomic uint64_t position;
};

static inline bool vm_may_read(int flags)
{
    return (flags & VMFS_O_ACCMODE) != VMFS_O_WRONLY;
}

static inline bool vm_may_write(int flags)
{
    return (flags & VMFS_O_ACCMODE) != VMFS_O_RDONLY;
}

/* Raised where a file was not opened for what is asked. */
int vm_bad_handle(struct vm_ctx *ctx, const struct vmfs_file *file);

/* Attributes of an inode, read without a lock. */
int64_t vm_public_stat(struct vm_ctx *ctx, uint64_t id, struct vmfs_stat *out);

/* Checks and converts; 0 or a reason. "Now" becomes the context's time. */
int vm_public_attr(struct vm_ctx *ctx, const struct vmfs_attr *attr, struct vm_attr *out);

#endif
