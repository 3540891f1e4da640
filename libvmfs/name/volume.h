/* volume.h -- a whole filesystem: formatting a region, attaching it, letting go of it
 *
 * This is where an embedder without libc enters the core; api/ adds files, mappings and handles. What
 * it does, and tests/freestanding/embed_test.c shows all of it:
 *
 *     fill in a struct vm_platform (base/platform.h) and choose a struct vm_persist_ops, its own or
 *     vm_persist_none(); both outlive the volume
 *     zero a struct vm_volume; volume.region.platform = &platform
 *     for each call a struct vm_ctx on the stack, zeroed: io.ops, io.arg, io.base = the region,
 *     err.log if wanted; vm_volume_bind(); hint = platform.hint(); now_ns = platform.now()
 *     vm_volume_format(), or vm_volume_probe() and vm_volume_attach()
 *     vm_path_walk() and vm_name_...(), vm_data_write(), vm_attr_set(); vm_read_stable() around
 *     whatever only reads
 *     vm_volume_settle() if the next attach shall find nothing to replay; vm_volume_fini()
 *
 * The region is aligned to a page and stays where it is while it is attached. A context is used by one
 * thread; the volume by any number. Once ctx.err.is_damaged is set after a call, the embedder stores
 * nothing more. Nobody stops two embedders from attaching one region: that is theirs to prevent. */
#ifndef VM_NAME_VOLUME_H
#define VM_NAME_VOLUME_H

#include "inode/table.h"
#include "journal/journal.h"
#include "media/ctx.h"
#include "space/space.h"

struct vm_volume {
    struct vm_region region;
    struct vm_journal journal;
    struct vm_space *space;
    struct vm_itable *itable;
    struct vm_super_media super;
    struct vm_super_choice choice;
};

/* Points a context at the volume. */
void vm_volume_bind(struct vm_volume *volume, struct vm_ctx *ctx);

/* Makes a filesystem in `len_bytes` at `base` and leaves it attached. `is_zeroed`: the bytes are known
 * to read as zero. A crash in here leaves a region that is not formatted, or a sound one. */
int vm_volume_format(struct vm_volume *volume, struct vm_ctx *ctx, const void *base,
                     uint64_t len_bytes, bool is_zeroed);

/* Checks the superblocks and learns the geometry; stores nothing. */
int vm_volume_probe(struct vm_volume *volume, struct vm_ctx *ctx, const void *base,
                    uint64_t len_bytes, bool is_read_only);

/* A volume that is only peeked at: nothing is recovered, and damage does not stop it. */
int vm_volume_watch(struct vm_volume *volume, struct vm_ctx *ctx);

/* Recovers and attaches what was probed. With `may_replay` false nothing is stored, and a region
 * that needs recovery is refused. */
int vm_volume_attach(struct vm_volume *volume, struct vm_ctx *ctx, bool may_replay);

/* Attaches what was probed in spite of damage, for repair alone: what cannot be read is taken for empty, so
 * nothing may be allocated before it was mended and attached again. */
int vm_volume_salvage(struct vm_volume *volume, struct vm_ctx *ctx,
                      const struct vm_salvage *salvage);

/* The superblock that formatting gives a region of this size, without what is drawn for it. */
void vm_volume_shape(uint64_t len_bytes, struct vm_super_media *super);

/* Frees what is volatile; stores nothing. */
void vm_volume_fini(struct vm_volume *volume, struct vm_ctx *ctx);

/* Finishes what is half done and checkpoints, so that the region opens without a replay. */
int vm_volume_settle(struct vm_ctx *ctx);

#endif
