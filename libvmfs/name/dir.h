/* dir.h -- the entries of one directory
 *
 * E1, H21  Whoever changes a directory or decides by what it holds has its stripe exclusively until the
 *     homes are stored; others look without a lock and are told when they saw a mixture. */
#ifndef VM_NAME_DIR_H
#define VM_NAME_DIR_H

#include "inode/inode.h"

/* Where readdir is before '.', '..' and the first name. */
#define VM_COOKIE_DOT    1u
#define VM_COOKIE_DOTDOT 2u

/* An entry as it is found. */
struct vm_dirent {
    uint64_t id;
    uint64_t cookie;
    uint32_t mode_type;
    uint32_t name_bytes;
    uint8_t name[VM_NAMED_PAYLOAD_MAX];
};

/* Loads a directory that is still linked. */
int vm_dir_load(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out);

/* In a loaded directory: 1 and the entry, 0, or a reason. */
int vm_dir_find(struct vm_ctx *ctx, const struct vm_inode *dir, struct vm_name name,
                struct vm_named_hit *hit);

/* No caller can have given another name. */
bool vm_name_is_allowed(const uint8_t *name, uint32_t len_bytes);

/* The type that an entry remembers, as mode bits. */
uint32_t vm_dir_hit_type(const struct vm_named_hit *hit);

/* Stage a change of the entries, of the count and of the times; the caller stores the directory. `missed`
 * and `hit` are what vm_dir_find() said, under the locks that are held. */
int vm_dir_add(struct vm_ctx *ctx, struct vm_inode *dir, struct vm_name name,
               const struct vm_named_hit *missed, const struct vm_inode *child);
int vm_dir_remove(struct vm_ctx *ctx, struct vm_inode *dir, const struct vm_named_hit *hit);
int vm_dir_replace(struct vm_ctx *ctx, struct vm_inode *dir, const struct vm_named_hit *hit,
                   const struct vm_inode *child);

/* A directory without a name, for who may put it there: it need not look again under its locks if the
 * directory's stripe still has this version, as then nothing has changed (L1). */
struct vm_dir_miss {
    uint64_t version;
    struct vm_inode dir; /* id 0: there is none */
    struct vm_named_hit hit;
};

/* Without a lock: looks a name up, '.' and '..' too: 1 and the id, 0, or a reason. */
int vm_dir_lookup(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name, uint64_t *id_out,
                  uint32_t *mode_type_out);

/* The same; after 0 `miss` is filled. */
int vm_dir_look_for(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name, uint64_t *id_out,
                    uint32_t *mode_type_out, struct vm_dir_miss *miss);

/* Under the directory's stripe: is it still true? */
bool vm_dir_still_misses(const struct vm_ctx *ctx, uint64_t dir_id, const struct vm_dir_miss *miss);

/* Without a lock: the entry behind a cookie: 1, 0 at the end, or a reason. A directory that was
 * removed is at its end. No name leads elsewhere: one with a '/' in it is damage. */
int vm_dir_next(struct vm_ctx *ctx, uint64_t dir_id, uint64_t cookie, struct vm_dirent *out);

#endif
