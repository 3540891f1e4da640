/* state.h -- what the passes of one check share
 *
 * F1  Nothing that is read from the medium bounds a loop or an allocation by itself: a node is walked
 *     only when its block is met for the first time, and chunks that cannot all fit into the region
 *     are not looked at. So a check of any bytes ends.
 * F2  Memory is one bit for each block of the region, four in a repair, and nine bytes for each inode slot. */
#ifndef VM_CHECK_STATE_H
#define VM_CHECK_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "check/passes.h"
#include "inode/inode.h"
#include "media/ctx.h"
#include "media/super.h"
#include "vmfs.h"

/* Of a slot. */
#define VM_SLOT_LIVING    0x01u /* a sound inode that is not free */
#define VM_SLOT_DIRECTORY 0x02u
#define VM_SLOT_NAMED     0x04u /* a directory that an entry names */
#define VM_SLOT_CLIMBED   0x08u /* on the way up that is being walked */
#define VM_SLOT_REACHED   0x10u
#define VM_SLOT_LOST      0x20u
#define VM_SLOT_MARKED    0x40u /* something in its maps is wrong */
#define VM_SLOT_KEPT      0x80u /* repair: a directory whose name is written */

/* What blocks are used for. */
struct vm_use {
    enum vmfs_map_kind kind;
    uint64_t ino;        /* an inode id; of a chunk its first slot; 0 for the filesystem itself */
    uint64_t file_block; /* data: where in the file */
};

typedef void (*vm_use_fn)(void *arg, const struct vm_use *use, uint64_t block, uint64_t count);

/* A run of blocks about which bitmap and use differ: set but not used, or used but clear. */
struct vm_check;
typedef void (*vm_difference_fn)(struct vm_check *check, uint64_t block, uint64_t count,
                                 bool is_leak);

/* What is there to be counted, three times: as counted, and as told at two places. */
struct vm_check_totals {
    uint64_t blocks_free;
    uint64_t inodes_used;
    uint64_t orphans;
};

struct vm_check {
    struct vm_ctx *ctx;
    const struct vm_region *region;
    vmfs_check_fn report;
    void *arg;
    bool is_repair;
    bool is_quiet;                  /* problems are counted only */
    uint64_t marked;                /* inodes with VM_SLOT_MARKED */
    bool has_stray;                 /* repair: there is a chunk that the map does not name */
    unsigned seeks;                 /* repair: rounds that have looked for such chunks */
    uint64_t missing_blocks;        /* used but clear in their bitmap */
    uint64_t *again;                /* repair: a bit for each block that was met again, */
    uint64_t *proved;               /*   for each in which what was met proves to be it, */
    uint64_t *kept;                 /*   and for each of the first ones whose owner keeps it */
    uint64_t walks_left;            /* repair: nodes that may still be visited again (F1) */
    vm_difference_fn on_difference; /* or null */
    void *difference_arg;
    vm_use_fn on_use; /* or null */
    void *use_arg;
    struct vmfs_check_result result;
    unsigned lines[VM_PASS_END]; /* told, of each pass */
    struct vm_check_totals counted;

    struct vm_watermark line;      /* the newest valid one; era 0: there is none */
    struct vm_check_totals logged; /* changes by the records above it */

    uint8_t *lane; /* one lane, copied out: its owner may be at work (VMFS_PEEK) */

    uint32_t ready[VM_ZONE_MAX];  /* groups that are initialised */
    uint32_t wanted[VM_ZONE_MAX]; /* groups up to the last that was begun or is used */
    uint64_t *met;                /* a bit for each block that something uses */
    uint64_t met_bytes;
    uint64_t overlap_left; /* blocks that may still be met again at full length (F1) */

    uint64_t chunk_max;
    uint64_t chunk_count;
    uint64_t *chunk_blocks; /* 0: there is a chunk, but none that can be looked at */
    uint64_t slot_count;
    uint32_t *links;   /* files: names met; directories: subdirectories met */
    uint32_t *parents; /* directories: slot of the directory that names it */
    uint8_t *flags;    /* VM_SLOT_* */
};

/* Which pass found it, and the reason with which a call fails that meets it: NONE where each
 * structure is sound by itself, but not with the others. */
struct vm_kind {
    enum vm_check_pass pass;
    int reason;
};

/* Reports a problem. In the text %n stands for the next of the numbers; so do %i, the inode it is
 * about, and %b and %o, the block or offset where it lies, which also become fields of the report. */
#define vm_problem(check, pass, reason, text, ...)                                                 \
    vm_problem_report((check), (struct vm_kind){VM_PASS_##pass, VMFS_R_##reason}, (text),          \
                      (const uint64_t[]){__VA_ARGS__})

void vm_problem_report(struct vm_check *check, struct vm_kind kind, const char *text,
                       const uint64_t *numbers);

/* Notes that blocks inside the region are used. False, with a problem, if any was used already. */
bool vm_blocks_meet(struct vm_check *check, uint64_t block, uint64_t count,
                    const struct vm_use *use);

static inline bool vm_bit_is_set(const uint64_t *bits, uint64_t block)
{
    return bits[block / 64] >> block % 64 & 1;
}

/* Notes that what lies in blocks that were just met has a check of its own, which is right: whoever else has
 * them as data, it is not his. */
void vm_blocks_prove(struct vm_check *check, uint64_t block, uint64_t count);

/* All passes, then what they have gathered is let go. 0, or MEMORY. */
int vm_check_all(struct vm_check *check);
void vm_check_free(struct vm_check *check);

/* Walks all that uses blocks, reports nothing, and hands out each run with its use; blocks that are used
 * twice to the first only. 0, or MEMORY. */
int vm_check_uses(struct vm_ctx *ctx, vm_use_fn fn, void *arg);

/* Notes that something in the maps of an inode is wrong. */
void vm_slot_mark(struct vm_check *check, uint64_t slot);

/* Copies out the living inode of a slot. */
void vm_slot_load(struct vm_check *check, uint64_t slot, struct vm_inode *out);

/* Looks at one entry of a directory. */
void vm_check_entry(struct vm_check *check, const struct vm_inode *dir,
                    const struct vm_named_hit *hit, const uint8_t *name);

#endif
