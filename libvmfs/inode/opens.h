/* opens.h -- the entries of inodes that are open or held: a hash table for each stripe
 *
 * There may be a million of them, so a table doubles and halves with what it holds, and entries come out of
 * slabs. A table that finds no memory to grow works on with longer chains: once an entry is there, listing it
 * cannot fail. Whatever is not said to be exclusive is called with the stripe of the id locked. */
#ifndef VM_INODE_OPENS_H
#define VM_INODE_OPENS_H

#include "inode/table.h"

/* The volatile parts of a table that is being attached; and all of it at the end, whatever is listed. */
int vm_opens_init(struct vm_ctx *ctx, struct vm_itable *table);
void vm_opens_fini(struct vm_ctx *ctx, struct vm_itable *table);

/* An entry for this inode, zeroed, that is not listed yet; and the way back for one that is not listed. */
int vm_opens_new(struct vm_ctx *ctx, uint64_t id, struct vm_open **out);
void vm_opens_free(struct vm_ctx *ctx, struct vm_open *open);

/* Entries may be the caller's own memory as well: listing does not care. */
void vm_opens_insert(struct vm_ctx *ctx, struct vm_open *open);
void vm_opens_remove(struct vm_ctx *ctx, struct vm_open *open);

/* How many inodes are open or held, about, while others come and go. Any thread. */
uint64_t vm_opens_count(const struct vm_ctx *ctx);

/* How many inodes are held. Exclusive. */
uint64_t vm_opens_held(const struct vm_ctx *ctx);

/* Forgets all holds, where nothing is open. Exclusive. What they kept alive is the orphan cleaner's. */
void vm_opens_let_go(struct vm_ctx *ctx);

#endif
