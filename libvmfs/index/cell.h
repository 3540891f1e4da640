/* cell.h -- one entry of a named leaf, in its cells */
#ifndef VM_INDEX_CELL_H
#define VM_INDEX_CELL_H

#include <stdint.h>

#include "index/node.h"

#define VM_ENTRY_CELLS_MAX 16u

/* A checked copy of an entry's cells, or the cells of a new one. */
union vm_entry_cells {
    struct vm_cell_media cell;
    uint8_t bytes[VM_ENTRY_CELLS_MAX * VM_CELL_BYTES];
    uint64_t words[VM_ENTRY_CELLS_MAX * VM_CELL_BYTES / 8];
};

/* The bits of the key that come from the name's hash. */
#define VM_KEY_HASH_SHIFT 8u

static inline uint64_t vm_cell_offset(uint64_t leaf, uint32_t cell)
{
    return leaf + sizeof(struct vm_named_head) + (uint64_t)cell * VM_CELL_BYTES;
}

static inline uint8_t vm_key_fp(uint64_t key)
{
    uint8_t fp = (uint8_t)(key >> VM_KEY_HASH_SHIFT);
    return fp ? fp : 1;
}

/* Cells in use, as a mask. */
uint64_t vm_cell_run(uint32_t cell, uint32_t cells);

/* Cells whose fingerprint is `fp`; with 0, cells in which any name starts. */
uint64_t vm_cells_matching(const struct vm_named_head *leaf, uint8_t fp);

/* Copies out the entry that starts in `cell` of `leaf` and checks it by itself. */
int vm_entry_read(struct vm_ctx *ctx, uint64_t leaf, uint32_t cell, union vm_entry_cells *out);

/* The same, and that the leaf's head agrees with it. */
int vm_entry_load(struct vm_ctx *ctx, const union vm_head *leaf, uint32_t cell,
                  union vm_entry_cells *out);

/* Raises SLOT_DAMAGED for a cell of a leaf. */
int vm_entry_damaged(struct vm_ctx *ctx, uint64_t leaf, uint32_t cell);

bool vm_entry_has_name(const union vm_entry_cells *entry, uint64_t key, struct vm_name name);

/* Where a checked entry lies; no head goes with it. */
void vm_entry_hit(const union vm_entry_cells *entry, uint64_t leaf, uint32_t cell,
                  struct vm_named_hit *out);

/* Copies name and payload, as many bytes as there is room for. */
void vm_entry_copy(const union vm_entry_cells *entry, uint8_t *name);

uint32_t vm_entry_cell_count(const struct vm_named_new *entry);

/* Cells of a new entry, without the hash. */
void vm_entry_compose(const struct vm_named_new *entry, uint64_t key, union vm_entry_cells *out);

/* Computes the hash of cells that will lie at `offset`. */
void vm_entry_seal(const struct vm_region *region, union vm_entry_cells *entry, uint64_t offset);

/* Writes the leaf again, with one entry more, as one new leaf or two. */
int vm_named_rewrite(struct vm_ctx *ctx, struct vm_map *map, struct vm_path *path,
                     const struct vm_named_new *entry, uint64_t key);

#endif
