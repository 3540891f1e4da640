/* public.h -- between the core's structures and the public ones */
#ifndef VM_API_PUBLIC_H
#define VM_API_PUBLIC_H

#include "api/handle.h"
#include "inode/attr.h"

struct vm_place;

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

/* An id that no object has. */
#define VM_ID_NONE UINT64_MAX

/* A path by itself: unlike that of a place it may not be empty. */
static inline struct vmfs_at vm_at_path(const char *path)
{
    return vmfs_at(path && *path ? 0 : VM_ID_NONE, path);
}

/* What the place names: of the empty path, `dir` itself. */
int vm_at_resolve(struct vm_ctx *ctx, const struct vmfs_at *at, bool is_followed, uint64_t *id_out);

/* Walks to the place's last component, which it must have. */
int vm_at_parent(struct vm_ctx *ctx, const struct vmfs_at *at, struct vm_place *out);

/* Makes what `new` says at the place, which must not be there yet. */
struct vm_new;
int vm_make_at(struct vm_ctx *ctx, const struct vmfs_at *at, const struct vm_new *new);

/* Can that be made? Then `new` says it, without holds and handles. */
bool vm_make_is_sound(const struct vmfs_make *what, struct vm_new *new);

/* Where the path of a place begins. */
static inline uint64_t vm_at_start(const struct vmfs_at *at)
{
    return at->dir ? at->dir : VM_ROOT_ID;
}

/* Runs `body` as vm_call() does, as the place's caller. A dead `dir` is told from a name that is not
 * there. `other` is a second place, or null. */
struct vm_at_call {
    const struct vmfs_at *at;
    const struct vmfs_at *other;
    vm_call_fn body;
    void *arg;
};

int64_t vm_call_at(struct vmfs *fs, bool is_change, struct vm_at_call call);

/* A handle on its way. vm_opening_end() takes back what was acquired by a call that failed in the end. */
struct vm_opening {
    bool is_acquired;
    uint64_t id;
};

int vm_opening_acquire(struct vm_ctx *ctx, struct vm_opening *opening, uint32_t how);
void vm_opening_end(struct vmfs *fs, struct vm_opening *opening, int64_t result);

/* May what nobody has any more be freed, or is that left to the next who opens the region? */
static inline bool vm_may_reap(const struct vmfs *fs)
{
    return !fs->is_read_only && !atomic_load(&fs->is_damaged);
}

/* Takes the handle on an open inode back; the last one of what has no name frees it. */
int64_t vm_handle_close(struct vmfs *fs, uint64_t id);

/* Attributes in their public form. */
void vm_public_fill(const struct vm_stat *stat, struct vmfs_stat *out);

/* Attributes of an inode that has a name or a handle, read without a lock. */
int64_t vm_public_stat(struct vm_ctx *ctx, uint64_t id, struct vmfs_stat *out);

/* Checks and converts; 0 or a reason. "Now" becomes the context's time. */
int vm_public_attr(struct vm_ctx *ctx, const struct vmfs_attr *attr, struct vm_attr *out);

#endif
