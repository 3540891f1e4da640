/* fsck_world.h -- a region with a varied tree, made through the public interface, in memory that
 * tests can damage and mend */
#ifndef TESTS_FSCK_WORLD_H
#define TESTS_FSCK_WORLD_H

#include <criterion/criterion.h>

#include "api/handle.h"
#include "check/passes.h"
#include "index/cell.h"
#include "index/node.h"
#include "inode/inode.h"
#include "region.h"
#include "seed.h"

#define REGION_BYTES (48 * REGION_MIB)
#define PASS_MAX     VM_PASS_END

struct change {
    uint64_t offset;
    uint64_t len_bytes;
    uint8_t *before;
};

#define UNDO_MAX 4096u

struct world {
    uint8_t *memory;
    uint64_t bytes;
    struct vmfs *fs;
    struct vmfs_file *held; /* unlinked */
    struct vm_ctx ctx;
    struct seed seed;
    struct region_log log;
    unsigned change_count;
    struct change changes[UNDO_MAX];
};

extern struct world world;

/* Of REGION_BYTES; or smaller, with so many files in one directory, and one file of so many bytes. */
void world_make(void);
void world_make_sized(uint64_t bytes, unsigned many_files, uint64_t big_bytes);
void world_free(void);
void world_mount(uint64_t bytes, uint32_t flags);

/* Memory between pages that are not there: whatever reads outside of it is killed. */
uint8_t *map_guarded(uint64_t bytes);
void unmap_guarded(uint8_t *memory, uint64_t bytes);

/* A file of `count` blocks, one at every `stride` bytes. */
void put_pieces(const char *path, unsigned count, uint64_t stride);

/* The call did not fail. */
void must(int64_t code, const char *what);

/* Changes to the region, and all of them taken back. */
void poke(uint64_t offset, const void *bytes, uint64_t len_bytes);
void poke_flip(uint64_t offset, uint8_t bits);
void poke_u64(uint64_t offset, uint64_t value);
void undo_all(void);
/* They stay. */
void forget_changes(void);

void *at(uint64_t offset);
const struct vm_region *region(void);

/* The seed of a hash that is salted with an offset or slot. */
uint64_t seeded(uint64_t salt);

/* ---- what the checker says ---- */

struct findings {
    unsigned lines;
    unsigned by_pass[PASS_MAX];
    char first[PASS_MAX][200];
    unsigned wanted_pass;
    const char *wanted; /* or null */
    unsigned wanted_count;
    struct vmfs_check_result result;
};

struct findings check(void);

/* The same, and how many problems of a pass have a text in them. */
unsigned check_for(unsigned pass, const char *text, struct findings *findings);

void expect_clean(const char *when);

/* ---- structures: where they are, and changed ones made to look right ---- */

uint64_t id_of(const char *path);
uint64_t id_of_held(void);
struct vm_inode inode_by_id(uint64_t id);
struct vm_inode inode_of(const char *path);
void inode_put(struct vm_inode *inode);

union node {
    struct vm_node_media head;
    struct vm_inner_media inner;
    struct vm_named_media named;
    struct vm_fixed_media fixed;
};

union node node_get(uint64_t offset);
void node_put(union node *node);

/* The root of a path's data map; the first leaf below one that is an inner node. */
union node root_of(const char *path);
union node leaf_of(const char *path);

/* Entries of a directory and of the attributes of a file. */
struct vm_named_hit entry_of(const char *dir_path, const char *name);
struct vm_named_hit attribute_of(const char *path, const char *name);
void entry_put(const struct vm_named_hit *hit, uint64_t value, uint8_t type);

void extent_seal(struct vm_extent_media *media);
struct vm_extent first_extent(const char *path);

uint64_t map_entry_offset(uint64_t map_block, uint64_t index);
void map_entry_put(uint64_t offset, uint64_t block);
uint64_t map_leaf_block(void);
uint64_t chunk_block(uint64_t chunk);
struct vm_group_place group(void);
/* A record above the watermark that is not the last of its lane. */
uint64_t live_record(void);
uint64_t bitmap_offset_of(uint64_t block);

/* ---- one change each, and the pass that must find it ---- */

struct damage {
    const char *name;
    unsigned pass;
    const char *text; /* that a problem of this pass must have */
    void (*make)(void);
    const char *cost; /* what repair may lose (repair_judge.h) */
};

extern const struct damage damages[];
extern const unsigned damage_count;

#endif
