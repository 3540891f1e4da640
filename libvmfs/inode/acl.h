/* acl.h -- who may do what to an inode: POSIX ACLs, and the mode where there is none
 *
 * An ACL is an attribute of the inode (vm_acl_media). The access ACL says who may do what, the default ACL of a
 * directory what its children begin with. Everything follows Linux, to the errno.
 *
 * C1  The access ACL and the mode's permission bits say the same: whoever changes one of them changes the other in
 *     the same record. An access ACL that says no more than the mode is not kept. */
#ifndef VM_INODE_ACL_H
#define VM_INODE_ACL_H

#include "inode/xattr.h"

/* Permissions, as mode bits and ACL entries have them. */
#define VM_MAY_READ    4u
#define VM_MAY_WRITE   2u
#define VM_MAY_EXECUTE 1u /* of a directory: look names up in it */
#define VM_MAY_ALL     7u

enum vm_acl_kind { VM_ACL_ACCESS, VM_ACL_DEFAULT };

/* True and the kind if an attribute's name is that of an ACL. */
bool vm_acl_is_name(struct vm_name name, enum vm_acl_kind *kind_out);

/* May an inode have this value under this name? Of names that are no ACL's any (V30 of the specification). */
bool vm_acl_is_sound(const struct vm_ctx *ctx, const struct vm_inode *inode, struct vm_name name,
                     const void *value, uint64_t len_bytes);

/* Raised where an ACL is asked for of a symbolic link. */
int vm_acl_check_kind(struct vm_ctx *ctx, const struct vm_inode *inode);

struct vm_acl_value {
    const void *bytes;
    uint64_t len_bytes;
    bool kills_set_group; /* an access ACL takes the mode's set-group-id bit away */
};

/* Stages the change of the attribute and of the inode in memory, mode included (C1), as vm_xattr_set(). An empty
 * value, and one without entries, removes. 1, 0 where nothing was there to remove, or a reason. */
int vm_acl_set(struct vm_ctx *ctx, struct vm_inode *inode, enum vm_acl_kind kind,
               const struct vm_acl_value *value);

/* Gives an inode other permission bits, and its access ACL with it (C1). Staged as vm_xattr_set(). */
int vm_acl_chmod(struct vm_ctx *ctx, struct vm_inode *inode, uint32_t bits);

/* Gives a new inode that is no symbolic link, whose mode is what its maker asked for, what it has from its directory: the ACLs and the mode
 * that the default ACL makes, or else the mode without the context's umask. Staged as vm_xattr_set(). */
int vm_acl_inherit(struct vm_ctx *ctx, const struct vm_inode *dir, struct vm_inode *child);

/* Who asks. */
struct vm_cred {
    uint32_t uid;
    uint32_t gid;
    const uint32_t *groups; /* others that he is in */
    uint32_t group_count;
};

/* May he do all of `want` to an inode that was loaded under its stripe or in a stable read? Raises ACCESS_DENIED. */
int vm_acl_check(struct vm_ctx *ctx, const struct vm_inode *inode, const struct vm_cred *cred,
                 uint32_t want);

#endif
