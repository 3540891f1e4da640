/* path.h -- from a path to inodes */
#ifndef VM_NAME_PATH_H
#define VM_NAME_PATH_H

#include "name/dir.h"

#define VM_PATH_MAX     4095u
#define VM_SYMLINKS_MAX 40u

/* Where a path ends. The name points into the caller's path or into `buffer`. */
struct vm_place {
    uint64_t parent;
    struct vm_name
        name;    /* last component; length 0 where the path is the root or ends in '.', '..' */
    uint64_t id; /* what it names now, 0 if nothing */
    uint32_t mode_type;
    bool is_directory_wanted; /* the path ends in '/' */
    struct vm_dir_miss miss;  /* where the last component was looked up and is not there */
    char buffer[2][VM_PATH_MAX + 1];
};

/* How a walk treats the last component. */
enum vm_walk {
    VM_WALK_FOLLOW,   /* looks it up and follows a symbolic link */
    VM_WALK_NOFOLLOW, /* looks it up */
    VM_WALK_PARENT,   /* leaves it to the operation, which looks it up under its locks: the id is 0
                         unless the path ends in '/', '.' or '..'; and what is named with a '/' at
                         the end, also a symbolic link or a file, is the operation's to judge */
};

/* Walks `path` from `start` to its last component. Where the context has a credential, it must be allowed to
 * search every directory in which a name is looked up. A missing last component is no failure: id is 0.
 */
int vm_path_walk(struct vm_ctx *ctx, uint64_t start, const char *path, enum vm_walk how,
                 struct vm_place *out);

/* The same where the path must name something; only the id is wanted. */
int vm_path_resolve(struct vm_ctx *ctx, uint64_t start, const char *path, bool is_followed,
                    uint64_t *id_out);

/* The target of a symbolic link: its full length; copies at most `size` bytes. Walking through a link
 * leaves its access time; with `is_use` this sets it. */
int64_t vm_symlink_read(struct vm_ctx *ctx, uint64_t id, char *buffer, uint64_t size, bool is_use);

/* Raised where a path must name something and does not, or what it names is no directory. */
int vm_path_missing(struct vm_ctx *ctx);
int vm_path_not_directory(struct vm_ctx *ctx, uint64_t id);

#endif
