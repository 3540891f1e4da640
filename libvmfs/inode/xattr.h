/* xattr.h -- extended attributes of one inode: a named map whose entries carry their value
 *
 * Small values lie behind the name in the leaf; larger ones in blocks of their own, checked by a hash in
 * the leaf and never changed in place. */
#ifndef VM_INODE_XATTR_H
#define VM_INODE_XATTR_H

#include "inode/inode.h"

/* All under the inode's stripe, or in a stable read where they only read. */

/* The value's size; copies it if `size` is not 0. */
int64_t vm_xattr_get(struct vm_ctx *ctx, const struct vm_inode *inode, struct vm_name name,
                     void *value, uint64_t size);

/* The same where it need not be there: 1, 0 or a reason. A value of more than `size` bytes is not copied. */
int vm_xattr_load(struct vm_ctx *ctx, const struct vm_inode *inode, struct vm_name name,
                  void *value, uint64_t size, uint64_t *len_out);

struct vm_xattr_value {
    const void *bytes;
    uint64_t len_bytes;
    bool must_create;
    bool must_replace;
};

/* Stage the change of the map and of the inode in memory; the caller stores and commits. */
int vm_xattr_set(struct vm_ctx *ctx, struct vm_inode *inode, struct vm_name name,
                 const struct vm_xattr_value *value);
int vm_xattr_remove(struct vm_ctx *ctx, struct vm_inode *inode, struct vm_name name);

/* Bytes of all names with their NULs; copies them if `size` is not 0. Names that begin with `hidden` are left out,
 * unless it is null. */
int64_t vm_xattr_list(struct vm_ctx *ctx, const struct vm_inode *inode, const char *hidden,
                      char *names, uint64_t size);

/* Stages the freeing of attributes: 1 if more are left, 0, or a reason. */
int vm_xattr_reap(struct vm_ctx *ctx, struct vm_inode *inode);

#endif
