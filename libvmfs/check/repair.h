/* repair.h -- making a region sound again
 *
 * A region that cannot be attached is attached in spite of that. Then the check is run, the first thing that is
 * wrong is mended, and so on until nothing is wrong or nothing helps.
 *
 * F5  Before anything is allocated every block that something uses is marked in its bitmap, and blocks
 *     are freed only when all else is sound. An inode chunk or map block that must be new before that is
 *     taken where bitmap and walk agree that nobody is.
 * F6  What cannot be kept is cut off with a report, which is made before the record that does it.
 * F7  Power may fail at any fence: a step is one record, or several of which each leaves something that a check
 *     finds and a new repair takes for the same damage, or for blocks that nobody uses. What is written anew
 *     replaces the old by one record that points to it. Geometry that was found is published before
 *     anything is stored by it.
 * F8  Nobody gets bytes of somebody else but as a copy that both are told of. Blocks that prove to be what one
 *     owner says, by a check of their own, are no other's; for the rest nothing says whose they are. */
#ifndef VM_CHECK_REPAIR_H
#define VM_CHECK_REPAIR_H

#include "check/state.h"
#include "name/volume.h"

/* As vm_volume_probe() for a writer, but where no superblock is whole the geometry is looked for in what is
 * left. Stores nothing. */
int vm_repair_probe(struct vm_volume *volume, struct vm_ctx *ctx, const void *base,
                    uint64_t len_bytes);

/* As vmfs_repair(). The volume was attached, or only probed as above; at the end it is attached, but where
 * this fails. */
int vm_repair_run(struct vm_volume *volume, struct vm_ctx *ctx, const struct vm_check *model,
                  struct vmfs_check_result *out);

/* ---- the steps; each is given what one check has found. 0 or a reason ---- */

int vm_repair_supers(struct vm_check *check, struct vm_volume *volume);
int vm_repair_groups(struct vm_check *check);
/* Marks blocks that are used, or frees those that are not. */
int vm_repair_bits(struct vm_check *check, bool is_free);
/* Both watermark lines, with the totals as counted. */
int vm_repair_totals(struct vm_check *check);
int vm_repair_inodes(struct vm_check *check);
/* Its first part: where each chunk lies. */
int vm_repair_map(struct vm_check *check, bool *is_changed);
int vm_repair_orphans(struct vm_check *check);
/* Writes maps and attributes of marked inodes anew, with what is sound in them. */
int vm_repair_maps(struct vm_check *check);
int vm_repair_parents(struct vm_check *check);
int vm_repair_links(struct vm_check *check);
/* Gives what is lost a name in /lost+found. */
int vm_repair_lost(struct vm_check *check);

/* ---- shared by them ---- */

/* Tells what was done; the text as vm_problem() has it. */
#define vm_mended(check, pass, text, ...)                                                          \
    vm_mended_report((check), VM_PASS_##pass, (text), (const uint64_t[]){__VA_ARGS__})
void vm_mended_report(struct vm_check *check, enum vm_check_pass pass, const char *text,
                      const uint64_t *numbers);

/* Commits what is staged if there is no room for more. */
int vm_repair_room(struct vm_ctx *ctx, uint32_t entries, uint32_t lines);

/* Commits what is staged, and goes on with the next. */
int vm_repair_step(struct vm_ctx *ctx);

/* Stages the head of the chunk of inodes at a block, but not its bits. */
void vm_repair_chunk_head(struct vm_check *check, uint64_t block, uint64_t first_slot);

/* Makes what is left of a damaged inode one that checks, if one of its hashes is right. */
bool vm_repair_rescue(struct vm_check *check, struct vm_inode *inode);
void vm_repair_seal(const struct vm_ctx *ctx, struct vm_inode *inode);

/* Stages an inode, both hashes new whatever the home holds. */
void vm_repair_store(struct vm_ctx *ctx, struct vm_inode *inode);

#endif
