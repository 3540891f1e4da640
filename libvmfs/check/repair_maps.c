/* repair_maps.c -- what is sound in the maps of an inode, written into new ones
 *
 * The new map grows in free space, with a transaction for each entry, and one last transaction puts its root
 * into the inode. The nodes of the old one are then blocks that nothing uses. */
#include <string.h>

#include "base/hash.h"
#include "base/util.h"
#include "check/repair.h"
#include "index/cell.h"
#include "index/node.h"
#include "inode/table.h"
#include "name/dir.h"

#define TYPE_SHIFT   12u
#define XATTR_INLINE 0u
#define XATTR_BLOCKS 1u

struct salvage {
    struct vm_check *check;
    struct vm_ctx *ctx;
    struct vm_inode inode;
    struct vm_map fresh;
    struct vm_extent first[VM_INODE_EXTENTS]; /* kept inline as long as they are enough */
    uint32_t extent_count;
    uint64_t blocks; /* of data and values that are kept */
    uint64_t names;
    uint64_t floor; /* the next extent begins at or behind this block of the file */
    uint64_t left;  /* nodes that may still be visited (F1) */
    bool is_lossy;
    int result;
};

typedef int (*insert_fn)(struct salvage *salvage, const void *arg);

static void insert_in_tx(struct salvage *salvage, insert_fn insert, const void *arg)
{
    struct vm_ctx *ctx = salvage->ctx;
    int result = vm_tx_begin(ctx);
    if (result == 0) {
        result = insert(salvage, arg);
        if (result == 0)
            result = vm_tx_commit(ctx);
        vm_tx_end(ctx);
    }
    if (result)
        salvage->result = result;
}

static bool is_again(const struct vm_check *check, uint64_t block)
{
    return check->again[block / 64] >> block % 64 & 1;
}

/* ---- the walk over the old map ---- */

struct walk {
    struct salvage *salvage;
    const struct vm_map *map;
    uint8_t kind;
    void (*leaf)(struct salvage *salvage, uint64_t leaf);
};

static void walk_node(const struct walk *walk, const struct vm_place *place)
{
    struct salvage *salvage = walk->salvage;
    union vm_head head;
    if (salvage->left == 0 || salvage->result)
        return;
    salvage->left--;
    if (vm_node_load(salvage->ctx, walk->map, place, &head) ||
        is_again(salvage->check, place->offset / VM_BLOCK_BYTES)) {
        salvage->is_lossy = true;
        return;
    }
    if (head.node.level == 0 && head.node.kind == walk->kind)
        walk->leaf(salvage, place->offset);
    for (uint32_t index = 0; head.node.level > 0 && index < vm_head_count(&head); index++) {
        struct vm_place child;
        vm_child_place(salvage->ctx, &head, index, &child);
        walk_node(walk, &child);
    }
}

static void bad_entry(void *arg, uint64_t offset, int reason)
{
    struct salvage *salvage = arg;
    (void)offset;
    (void)reason;
    salvage->is_lossy = true;
}

static void walk_map(const struct walk *walk)
{
    struct vm_place place = {walk->map->root, 0, VM_KEY_MAX, VM_NODE_LEVEL_MAX, true};
    walk->salvage->left = walk->salvage->check->region->blocks;
    if (walk->map->root)
        walk_node(walk, &place);
}

static struct vm_map fresh_map(const struct vm_map *old)
{
    return (struct vm_map){.tag = old->tag, .base_epoch = old->base_epoch};
}

/* ---- names and attributes ---- */

struct entry {
    struct vm_name name;
    struct vm_name payload;
    uint64_t value;
    uint8_t type;
};

static int insert_entry(struct salvage *salvage, const void *arg)
{
    const struct entry *entry = arg;
    struct vm_named_hit hit;
    int found = vm_named_find(salvage->ctx, &salvage->fresh, entry->name, &hit);
    if (found)
        return found < 0 ? found : 0;
    return vm_named_insert(salvage->ctx, &salvage->fresh, entry->name, entry->value, entry->type,
                           entry->payload);
}

static void keep_entry(struct salvage *salvage, const struct entry *entry)
{
    insert_in_tx(salvage, insert_entry, entry);
    salvage->names++;
}

/* Does the entry name what lives, and is it the one name of a directory? */
static bool name_is_kept(struct salvage *salvage, const struct vm_named_hit *hit,
                         const uint8_t *name, struct vm_inode *child)
{
    struct vm_check *check = salvage->check;
    uint64_t slot = vm_id_slot(hit->entry.value);
    if (!vm_name_is_allowed(name, hit->entry.name_bytes) || slot >= check->slot_count ||
        !(check->flags[slot] & VM_SLOT_LIVING))
        return false;
    vm_slot_load(check, slot, child);
    if (child->id != hit->entry.value || child->id == 0)
        return false;
    if (!vm_inode_is_directory(child))
        return true;
    bool is_first = !(check->flags[slot] & VM_SLOT_KEPT);
    if (slot == VM_ROOT_ID || !is_first || check->parents[slot] != vm_id_slot(salvage->inode.id))
        return false;
    check->flags[slot] |= VM_SLOT_KEPT;
    return true;
}

static int each_name(void *arg, const struct vm_named_hit *hit, const uint8_t *name)
{
    struct salvage *salvage = arg;
    struct vm_inode child;
    if (!name_is_kept(salvage, hit, name, &child)) {
        salvage->is_lossy = true;
        return 0;
    }
    const struct entry entry = {.name = {name, hit->entry.name_bytes},
                                .value = child.id,
                                .type = (uint8_t)(vm_inode_mode(&child) >> TYPE_SHIFT)};
    keep_entry(salvage, &entry);
    return 0;
}

/* A value in blocks of its own that checks and is nobody else's. */
static bool value_is_kept(struct salvage *salvage, const struct vm_named_hit *hit,
                          const uint8_t *payload)
{
    const struct vm_region *region = salvage->check->region;
    struct vm_xattr_media media;
    if (hit->entry.payload_bytes < sizeof media)
        return false;
    memcpy(&media, payload, sizeof media);
    uint64_t block = vm_get64(media.block);
    uint64_t len_bytes = vm_get32(media.len_bytes);
    uint64_t count = vm_get32(media.blocks);
    if (len_bytes == 0 || len_bytes != hit->entry.value || len_bytes > VMFS_XATTR_MAX ||
        count != vm_div_up(len_bytes, VM_BLOCK_BYTES) ||
        !vm_range_inside(block, count, region->blocks))
        return false;
    for (uint64_t index = 0; index < count; index++)
        if (is_again(salvage->check, block + index))
            return false;
    if (vm_get64(media.check) !=
        vm_hash64(region->hash_seed ^ block, region->base + block * VM_BLOCK_BYTES, len_bytes))
        return false;
    salvage->blocks += count;
    return true;
}

static int each_attribute(void *arg, const struct vm_named_hit *hit, const uint8_t *name)
{
    struct salvage *salvage = arg;
    const struct vm_named_entry *old = &hit->entry;
    const uint8_t *payload = name + old->name_bytes;
    bool is_inline = old->type == XATTR_INLINE && old->value <= old->payload_bytes;
    bool is_sound =
        !memchr(name, '\0', old->name_bytes) &&
        (is_inline || (old->type == XATTR_BLOCKS && value_is_kept(salvage, hit, payload)));
    if (!is_sound) {
        salvage->is_lossy = true;
        return 0;
    }
    uint32_t payload_bytes = is_inline ? (uint32_t)old->value : sizeof(struct vm_xattr_media);
    const struct entry entry = {.name = {name, old->name_bytes},
                                .payload = {payload, payload_bytes},
                                .value = old->value,
                                .type = old->type};
    keep_entry(salvage, &entry);
    return 0;
}

static void leaf_of_names(struct salvage *salvage, uint64_t leaf)
{
    (void)vm_named_each(salvage->ctx, leaf, each_name, bad_entry, salvage);
}

static void leaf_of_attributes(struct salvage *salvage, uint64_t leaf)
{
    (void)vm_named_each(salvage->ctx, leaf, each_attribute, bad_entry, salvage);
}

/* ---- extents ---- */

static int insert_extent(struct salvage *salvage, const void *arg)
{
    return vm_extents_insert(salvage->ctx, &salvage->fresh, arg);
}

static void keep_extent(struct salvage *salvage, const struct vm_extent *extent)
{
    salvage->blocks += extent->blocks;
    if (salvage->extent_count < VM_INODE_EXTENTS)
        salvage->first[salvage->extent_count] = *extent;
    if (salvage->extent_count == VM_INODE_EXTENTS)
        for (unsigned index = 0; index < VM_INODE_EXTENTS; index++)
            insert_in_tx(salvage, insert_extent, &salvage->first[index]);
    if (salvage->extent_count >= VM_INODE_EXTENTS)
        insert_in_tx(salvage, insert_extent, extent);
    salvage->extent_count++;
}

/* The parts of an extent whose blocks are the file's alone. */
static void keep_parts(struct salvage *salvage, const struct vm_extent *extent)
{
    struct vm_extent part = *extent;
    part.blocks = 0;
    for (uint32_t index = 0; index < extent->blocks && !salvage->result; index++) {
        if (!is_again(salvage->check, extent->block + index)) {
            if (part.blocks++ == 0) {
                part.block = extent->block + index;
                part.file_block = extent->file_block + index;
            }
            continue;
        }
        salvage->is_lossy = true;
        if (part.blocks)
            keep_extent(salvage, &part);
        part.blocks = 0;
    }
    if (part.blocks)
        keep_extent(salvage, &part);
}

static int each_extent(void *arg, const struct vm_extent *extent)
{
    struct salvage *salvage = arg;
    struct vm_extent kept = *extent;
    uint64_t end = vm_div_up(vm_inode_size(&salvage->inode), VM_BLOCK_BYTES);
    bool may_lie_beyond =
        (extent->flags & VM_EXTENT_UNWRITTEN) || vm_inode_is_beyond(&salvage->inode);
    kept.flags &= VM_EXTENT_UNWRITTEN;
    kept.birth = vm_min(kept.birth, salvage->check->region->epoch);
    if (!may_lie_beyond && kept.file_block + kept.blocks > end)
        kept.blocks = kept.file_block < end ? (uint32_t)(end - kept.file_block) : 0;
    if (kept.file_block < salvage->floor || kept.blocks != extent->blocks)
        salvage->is_lossy = true;
    if (kept.file_block < salvage->floor || kept.blocks == 0)
        return 0;
    salvage->floor = kept.file_block + kept.blocks;
    keep_parts(salvage, &kept);
    return 0;
}

static void leaf_of_extents(struct salvage *salvage, uint64_t leaf)
{
    (void)vm_extents_each(salvage->ctx, leaf, each_extent, bad_entry, salvage);
}

static void salvage_inline(struct salvage *salvage)
{
    const struct vm_inode *inode = &salvage->inode;
    for (unsigned index = 0; index < VM_INODE_EXTENTS; index++) {
        const struct vm_extent_media *media = &inode->m.body.extents[index];
        struct vm_extent extent;
        if (vm_get32(media->blocks) == 0)
            continue;
        if (vm_extent_load(salvage->ctx, media, inode->offset, &extent))
            salvage->is_lossy = true;
        else
            each_extent(salvage, &extent);
    }
}

/* ---- one inode ---- */

static void put_inline(struct salvage *salvage, struct vm_inode *inode)
{
    memset(&inode->m.body, 0, sizeof inode->m.body);
    inode->m.form = salvage->extent_count ? VM_BODY_EXTENTS : VM_BODY_EMPTY;
    for (uint32_t index = 0; index < salvage->extent_count; index++)
        vm_extent_store(salvage->check->region, &salvage->first[index],
                        &inode->m.body.extents[index]);
}

static void salvage_data(struct salvage *salvage, struct vm_inode *inode)
{
    struct vm_map old = vm_inode_data_map(&salvage->inode);
    bool is_directory = vm_inode_is_directory(&salvage->inode);
    const struct walk walk = {.salvage = salvage,
                              .map = &old,
                              .kind = is_directory ? VM_NODE_NAMED : VM_NODE_FIXED,
                              .leaf = is_directory ? leaf_of_names : leaf_of_extents};
    salvage->fresh = fresh_map(&old);
    if (salvage->inode.m.form == VM_BODY_TREE)
        walk_map(&walk);
    if (salvage->inode.m.form == VM_BODY_EXTENTS)
        salvage_inline(salvage);
    bool is_mapped = is_directory || salvage->inode.m.form == VM_BODY_TREE ||
                     salvage->inode.m.form == VM_BODY_EXTENTS ||
                     salvage->inode.m.form == VM_BODY_RETIRED;
    if (is_mapped && !is_directory && salvage->extent_count <= VM_INODE_EXTENTS)
        put_inline(salvage, inode);
    else if (is_mapped)
        vm_inode_put_data_map(inode, &salvage->fresh);
    if (is_directory)
        vm_inode_set_size(inode, salvage->names);
}

static void salvage_attributes(struct salvage *salvage, struct vm_inode *inode)
{
    struct vm_map old = vm_inode_xattr_map(&salvage->inode);
    const struct walk walk = {
        .salvage = salvage, .map = &old, .kind = VM_NODE_NAMED, .leaf = leaf_of_attributes};
    salvage->fresh = fresh_map(&old);
    walk_map(&walk);
    vm_inode_put_xattr_map(inode, &salvage->fresh);
}

static int store_inode(struct salvage *salvage, const void *arg)
{
    struct vm_inode inode = *(const struct vm_inode *)arg;
    vm_repair_store(salvage->ctx, &inode);
    return 0;
}

/* A symbolic link without its target is no use: the slot is free, its names go next. */
static void target_lost(struct vm_check *check, struct vm_inode *inode)
{
    uint32_t generation = vm_get32(inode->m.generation) & VM_GENERATION_MAX;
    memset(&inode->m, 0, sizeof inode->m);
    inode->m.generation = vm_put32(generation);
    vm_mended(check, MAPS, "inode %i, a symbolic link, has lost its target and is cut off",
              inode->id);
}

static int inode_mend(struct vm_check *check, uint64_t slot)
{
    struct salvage salvage = {.check = check, .ctx = check->ctx};
    vm_slot_load(check, slot, &salvage.inode);
    struct vm_inode inode = salvage.inode;
    vm_inode_add_blocks(&inode, -(int64_t)vm_inode_blocks(&inode));
    salvage_data(&salvage, &inode);
    uint64_t names = salvage.names;
    if (salvage.result == 0)
        salvage_attributes(&salvage, &inode);
    if (salvage.result)
        return salvage.result;
    vm_inode_add_blocks(&inode, (int64_t)salvage.blocks);
    if (inode.m.kind == VM_INODE_SYMLINK && inode.m.form == VM_BODY_EMPTY)
        target_lost(check, &inode);
    insert_in_tx(&salvage, store_inode, &inode);
    if (salvage.is_lossy)
        vm_mended(check, MAPS, "inode %i: what was damaged is cut off; %n blocks and %n names stay",
                  inode.id, salvage.blocks, names); /* F6 */
    else
        vm_mended(check, MAPS, "inode %i: its map is written anew", inode.id);
    return salvage.result;
}

int vm_repair_maps(struct vm_check *check)
{
    int result = 0;
    for (uint64_t slot = 0; result == 0 && slot < check->slot_count; slot++)
        if ((check->flags[slot] & VM_SLOT_LIVING) && (check->flags[slot] & VM_SLOT_MARKED))
            result = inode_mend(check, slot);
    return result;
}
