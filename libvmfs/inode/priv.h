/* priv.h -- privileges that a file gives to who runs it, and which a change of it takes away
 *
 * K1  Whoever changes the bytes, the size or the owner of a file takes `security.capability` away in the record that
 *     makes the change visible, and where the caller says so the set-id bits; as Linux does. What a crash leaves
 *     of a change in place that had not returned keeps them, as it keeps the times. */
#ifndef VM_INODE_PRIV_H
#define VM_INODE_PRIV_H

#include "inode/inode.h"

/* The mode without the bits that a change takes away: set-user-id, and set-group-id where the group may execute. */
uint32_t vm_priv_mode(uint32_t mode);

/* Stages what takes them away, and changes the inode, which the caller stores: 1, 0 if there is nothing to take
 * away, or a reason. It fits beside whatever vm_tx_has_room() has allowed, and needs no block. */
int vm_priv_kill(struct vm_ctx *ctx, struct vm_inode *inode, bool with_set_id);

#endif
