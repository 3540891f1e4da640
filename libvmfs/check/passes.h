/* passes.h -- what the checker looks at, in the order in which it does; here a pass is added
 *
 * The number of a pass is stable: it begins every problem that the pass reports and is never given to
 * another one. Later passes use what earlier ones have gathered. */
#ifndef VM_CHECK_PASSES_H
#define VM_CHECK_PASSES_H

/* x(NAME, number, "name", function, "what holds on a sound region") */
// clang-format off
#define VM_CHECK_PASSES(x)                                                                         \
    x(SUPERBLOCKS, 1, "superblocks", vm_check_superblocks,                                         \
      "both copies check, and say the same")                                                       \
    x(WATERMARK,   2, "watermark",   vm_check_watermark,                                           \
      "both lines check, belong to one era and are not ahead of the journal")                      \
    x(JOURNAL,     3, "journal",     vm_check_journal,                                             \
      "every record above the watermark is there, checks, and changes homes only")                 \
    x(GROUPS,      4, "groups",      vm_check_groups,                                              \
      "zone states and descriptors check; no bit is set behind the end of a group")                \
    x(INODES,      5, "inodes",      vm_check_inodes,                                              \
      "map, chunks and inodes check, and agree with the used bits")                                \
    x(MAPS,        6, "maps",        vm_check_maps,                                                \
      "every node, name, extent and attribute checks, in order, and adds up to its inode's counts")\
    x(BLOCKS,      7, "blocks",      vm_check_blocks,                                              \
      "each block is used once, and the bitmaps say so")                                           \
    x(TOTALS,      8, "totals",      vm_check_totals,                                              \
      "free blocks, inodes and orphans are as many as the journal says")                           \
    x(NAMES,       9, "names",       vm_check_names,                                               \
      "each name is well formed and names a living inode of its type, and each directory once")    \
    x(LINKS,      11, "links",       vm_check_links,                                               \
      "each inode has as many links as names, each directory two and one for each below it")       \
    x(ORPHANS,    12, "orphans",     vm_check_orphans,                                             \
      "the orphan bits are those of the inodes without a name or with blocks beyond their end")    \
    x(REACH,      10, "reach",       vm_check_reach,                                               \
      "everything that has links can be reached from the root")
// clang-format on

#define VM_PASS_END 13u /* ids are below it */

struct vm_check;

enum vm_check_pass {
#define VM_CHECK_PASS_ENUM(NAME, number, name, run, prose) VM_PASS_##NAME = number,
    VM_CHECK_PASSES(VM_CHECK_PASS_ENUM)
#undef VM_CHECK_PASS_ENUM
};

/* Each returns 0, or a reason that ends the check: there was no memory. */
#define VM_CHECK_PASS_DECLARE(NAME, number, name, run, prose) int run(struct vm_check *check);
VM_CHECK_PASSES(VM_CHECK_PASS_DECLARE)
#undef VM_CHECK_PASS_DECLARE

#endif
