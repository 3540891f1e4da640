/* nsop.h -- operations on names: create, link, unlink, rename; one transaction each
 *
 * Names come from vm_path_walk(), so they have 1 to 255 bytes and no slash. What was found on the way is
 * only a hint: each operation looks again under its locks, and starts over if something else is
 * there by then.
 *
 * R1  Directories change their parent only under the rename lock, so that the answer to "is one above
 *     the other?" stays true until the step is done. */
#ifndef VM_NAME_NSOP_H
#define VM_NAME_NSOP_H

#include "inode/attr.h"
#include "name/dir.h"

/* What to create. */
struct vm_new {
    uint32_t mode;      /* type and bits */
    uint64_t rdev;      /* of a device */
    const char *target; /* of a symbolic link */
    uint64_t target_bytes;
    uint32_t handles;         /* it is open from the start, */
    uint32_t holds;           /*   or held */
    struct vm_dir_miss *miss; /* what a look just before has said about the name; or null */
    bool is_nameless;         /* of vm_name_tmpfile() */
    bool is_linkable;         /* such a file may be named later */
    struct vm_stat *stat;     /* its attributes when it was made; or null */
};

/* Creates, and tells the id. With a handle or a hold, whoever removes its name at once does not take it from
 * its maker (O3). */
int vm_name_create(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name,
                   const struct vm_new *new, uint64_t *id_out);

/* Makes a regular file without a name, open from the start, as if it were to get one in `dir`. */
int vm_name_tmpfile(struct vm_ctx *ctx, uint64_t dir_id, const struct vm_new *new,
                    uint64_t *id_out);

/* Gives an inode a name: one that has names, or a file without one that may get its first. */
int vm_name_link(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name, uint64_t id);

/* Removes a name; a directory only if `is_rmdir`, everything else only if not. */
int vm_name_unlink(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name, bool is_rmdir);

#define VM_RENAME_NOREPLACE 0x1u
#define VM_RENAME_EXCHANGE  0x2u

/* One end of a rename. */
struct vm_end {
    uint64_t dir_id;
    struct vm_name name;
};

int vm_name_rename(struct vm_ctx *ctx, struct vm_end from, struct vm_end to, uint32_t flags);

/* Raised where a name must not be there, and is. */
int vm_name_exists(struct vm_ctx *ctx, uint64_t id);

/* Raised where a directory cannot be unlinked. */
int vm_unlink_directory(struct vm_ctx *ctx, uint64_t id);

/* Takes one link from an inode that was loaded under its stripe and stages what follows from that: 1 if
 * vm_reap() is to be called after the commit, without locks, 0, or a reason. */
int vm_name_drop_link(struct vm_ctx *ctx, struct vm_inode *inode);

/* May the caller take this name of a loaded inode out of a loaded directory? Sticky directories and
 * inode flags say no. */
int vm_name_check_delete(struct vm_ctx *ctx, const struct vm_inode *dir,
                         const struct vm_inode *child);

/* Is a loaded directory without entries? Raises where it is not. */
int vm_dir_check_empty(struct vm_ctx *ctx, const struct vm_inode *dir);

#endif
