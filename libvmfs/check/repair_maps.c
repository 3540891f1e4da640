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
#include "inode/acl.h"
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
    uint64_t end;   /* of what is written */
    struct vm_extent *copied;
    uint64_t left; /* nodes that may still be visited (F1) */
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

/* Blocks that were met once are the owner's; of those that were met again the first who asks keeps them. */
static bool take_block(struct vm_check *check, uint64_t block)
{
    if (!vm_bit_is_set(check->again, block))
        return true;
    if (vm_bit_is_set(check->kept, block))
        return false;
    check->kept[block / 64] |= (uint64_t)1 << block % 64;
    return true;
}

/* ---- the walk over the old map ---- */

struct walk {
    struct salvage *salvage;
    const struct vm_map *map;
    uint8_t kind;
    void (*leaf)(struct salvage *salvage, const union vm_head *head);
};

static void walk_node(const struct walk *walk, const struct vm_place *place)
{
    struct salvage *salvage = walk->salvage;
    union vm_head head;
    struct vm_check *check = salvage->check;
    if (salvage->left == 0 || salvage->result)
        return;
    salvage->left--;
    bool is_lost = vm_node_load(salvage->ctx, walk->map, place, &head) ||
                   !take_block(check, place->offset / VM_BLOCK_BYTES);
    if (is_lost || check->walks_left == 0) {
        salvage->is_lossy = true;
        return;
    }
    check->walks_left--;
    if (head.node.level == 0 && head.node.kind == walk->kind)
        walk->leaf(salvage, &head);
    for (uint32_t index = 0; head.node.level > 0 && index < vm_head_count(&head); index++) {
        struct vm_place child;
        vm_child_place(salvage->ctx, &head, index, &child);
        walk_node(walk, &child);
    }
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
    uint64_t parent = vm_id_slot(vm_get64(child->m.parent)); /* where the check has met no name */
    if (check->flags[slot] & VM_SLOT_NAMED)
        parent = check->parents[slot];
    if (slot == VM_ROOT_ID || !is_first || parent != vm_id_slot(salvage->inode.id))
        return false;
    check->flags[slot] |= VM_SLOT_KEPT;
    return true;
}

static int each_name(void *arg, const struct vm_named_hit *hit, const uint8_t *name)
{
    struct salvage *salvage = arg;
    struct vm_inode child;
    if (!name_is_kept(salvage, hit, name, &child)) {
        vm_mended(salvage->check, MAPS, "inode %i: a name of inode %n is cut off",
                  salvage->inode.id, hit->entry.value); /* F6 */
        salvage->is_lossy = true;
        return 0;
    }
    const struct entry entry = {.name = {name, hit->entry.name_bytes},
                                .value = child.id,
                                .type = (uint8_t)(vm_inode_mode(&child) >> TYPE_SHIFT)};
    keep_entry(salvage, &entry);
    return 0;
}

/* A value in blocks of its own that checks. */
static bool value_is_sound(const struct salvage *salvage, const struct vm_named_hit *hit,
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
    return vm_get64(media.check) ==
           vm_hash64(region->hash_seed ^ block, region->base + block * VM_BLOCK_BYTES, len_bytes);
}

/* Takes the blocks of a value that is sound, unless somebody else has one. */
static bool value_take(struct salvage *salvage, const uint8_t *payload)
{
    struct vm_xattr_media media;
    memcpy(&media, payload, sizeof media);
    for (uint64_t index = 0; index < vm_get32(media.blocks); index++)
        if (!take_block(salvage->check, vm_get64(media.block) + index))
            return false;
    salvage->blocks += vm_get32(media.blocks);
    return true;
}

/* Of a value that was found sound. */
static bool acl_is_kept(const struct salvage *salvage, const struct vm_named_hit *hit,
                        const uint8_t *name)
{
    const uint8_t *value = name + hit->entry.name_bytes;
    struct vm_xattr_media media;
    if (hit->entry.type == XATTR_BLOCKS) {
        memcpy(&media, value, sizeof media);
        value = salvage->check->region->base + vm_get64(media.block) * VM_BLOCK_BYTES;
    }
    return vm_acl_is_sound(salvage->ctx, &salvage->inode,
                           (struct vm_name){name, hit->entry.name_bytes}, value, hit->entry.value);
}

static int each_attribute(void *arg, const struct vm_named_hit *hit, const uint8_t *name)
{
    struct salvage *salvage = arg;
    const struct vm_named_entry *old = &hit->entry;
    const uint8_t *payload = name + old->name_bytes;
    bool is_inline = old->type == XATTR_INLINE && old->value <= old->payload_bytes;
    bool is_sound =
        !memchr(name, '\0', old->name_bytes) &&
        (is_inline || (old->type == XATTR_BLOCKS && value_is_sound(salvage, hit, payload)));
    bool is_acl_kept = !is_sound || acl_is_kept(salvage, hit, name);
    if (!is_sound || (is_acl_kept && !is_inline && !value_take(salvage, payload))) {
        vm_mended(salvage->check, MAPS, "inode %i: an attribute of %n bytes is cut off",
                  salvage->inode.id, old->value); /* F6 */
        salvage->is_lossy = true;
        return 0;
    }
    if (!is_acl_kept) {
        vm_mended(
            salvage->check, MAPS,
            "inode %i: an ACL of %n bytes, malformed or not what the mode says, is taken away",
            salvage->inode.id, old->value); /* F6 */
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

/* Entries check by themselves, so that one is kept also where the head of the leaf says something else about
 * it. What the head says is free may be a name that was removed. */
static void leaf_of_named(struct salvage *salvage, const union vm_head *head, vm_named_fn each)
{
    uint64_t in_use = vm_get64(head->named.bitmap);
    uint64_t left = in_use;
    for (uint32_t cell = 0; cell < VM_CELL_COUNT && !salvage->result; cell++) {
        union vm_entry_cells entry;
        struct vm_named_hit hit;
        uint8_t name[VM_NAMED_PAYLOAD_MAX];
        if (!(in_use >> cell & 1) || vm_entry_read(salvage->ctx, vm_head_self(head), cell, &entry))
            continue;
        uint64_t run = vm_cell_run(cell, entry.cell.cells);
        if ((in_use & run) != run)
            continue;
        vm_entry_hit(&entry, vm_head_self(head), cell, &hit);
        vm_entry_copy(&entry, name);
        each(salvage, &hit, name);
        left &= ~run;
    }
    salvage->is_lossy = salvage->is_lossy || left;
}

static void leaf_of_names(struct salvage *salvage, const union vm_head *head)
{
    leaf_of_named(salvage, head, each_name);
}

static void leaf_of_attributes(struct salvage *salvage, const union vm_head *head)
{
    leaf_of_named(salvage, head, each_attribute);
}

/* ---- extents ---- */

static int insert_extent(struct salvage *salvage, const void *arg)
{
    return vm_extents_insert(salvage->ctx, &salvage->fresh, arg);
}

static void keep_extent(struct salvage *salvage, const struct vm_extent *extent)
{
    salvage->blocks += extent->blocks;
    if (!(extent->flags & VM_EXTENT_UNWRITTEN))
        salvage->end = vm_max(salvage->end, extent->file_block + extent->blocks);
    if (salvage->extent_count < VM_INODE_EXTENTS)
        salvage->first[salvage->extent_count] = *extent;
    if (salvage->extent_count == VM_INODE_EXTENTS)
        for (unsigned index = 0; index < VM_INODE_EXTENTS; index++)
            insert_in_tx(salvage, insert_extent, &salvage->first[index]);
    if (salvage->extent_count >= VM_INODE_EXTENTS)
        insert_in_tx(salvage, insert_extent, extent);
    salvage->extent_count++;
}

/* What two owners have is copied for the second, as nothing says whose it is; but not behind his end, nor
 * where the region gets full. */
static bool is_copied(const struct salvage *salvage, uint64_t file_block)
{
    uint64_t end = vm_div_up(vm_inode_size(&salvage->inode), VM_BLOCK_BYTES);
    return file_block < end && vm_space_is_roomy(salvage->ctx);
}

static int copy_block(struct salvage *salvage, const void *arg)
{
    struct vm_extent *part = salvage->copied;
    struct vm_run run;
    int result = vm_space_take_run(salvage->ctx, 0, part->file_block, 1, &run);
    (void)arg;
    if (result)
        return result;
    const uint8_t *from = salvage->check->region->base + part->block * VM_BLOCK_BYTES;
    vm_tx_payload(salvage->ctx, run.block * VM_BLOCK_BYTES, from, VM_BLOCK_BYTES);
    part->block = run.block;
    return 0;
}

/* One block that somebody else has, too: cut off, or a copy. */
static void share_block(struct salvage *salvage, const struct vm_extent *extent, uint32_t index)
{
    struct vm_check *check = salvage->check;
    struct vm_extent part = *extent;
    part.file_block += index;
    part.block += index;
    part.blocks = 1;
    bool is_proved = vm_bit_is_set(check->proved, part.block); /* F8 */
    if (is_proved || !is_copied(salvage, part.file_block)) {
        salvage->is_lossy = true;
        return;
    }
    uint64_t shared = part.block;
    if (take_block(check, shared)) {
        keep_extent(salvage, &part);
        return;
    }
    salvage->copied = &part;
    insert_in_tx(salvage, copy_block, NULL);
    if (salvage->result)
        return;
    vm_mended(check, MAPS, "inode %i has a copy of block %b, which another one has, too",
              salvage->inode.id, shared);
    keep_extent(salvage, &part);
}

/* The parts of an extent whose blocks are the file's alone, and copies of the others. */
static void keep_parts(struct salvage *salvage, const struct vm_extent *extent)
{
    struct vm_extent part = *extent;
    part.blocks = 0;
    for (uint32_t index = 0; index < extent->blocks && !salvage->result; index++) {
        bool is_shared = vm_bit_is_set(salvage->check->again, extent->block + index);
        if (!is_shared && part.blocks++ == 0) {
            part.block = extent->block + index;
            part.file_block = extent->file_block + index;
        }
        if (is_shared && part.blocks)
            keep_extent(salvage, &part);
        if (is_shared) {
            part.blocks = 0;
            share_block(salvage, extent, index);
        }
    }
    if (part.blocks)
        keep_extent(salvage, &part);
}

/* The end of a symbolic link is the length of its target, which does not grow: what lies behind it is no part of
 * it. False where nothing is left. */
static bool cut_to_end(struct salvage *salvage, struct vm_extent *extent)
{
    uint64_t end = vm_div_up(vm_inode_size(&salvage->inode), VM_BLOCK_BYTES);
    if (salvage->inode.m.kind != VM_INODE_SYMLINK ||
        vm_range_inside(extent->file_block, extent->blocks, end))
        return true;
    salvage->is_lossy = true;
    if (extent->file_block >= end)
        return false;
    extent->blocks = (uint32_t)(end - extent->file_block);
    return true;
}

static void each_extent(struct salvage *salvage, const struct vm_extent *extent)
{
    struct vm_extent kept = *extent;
    uint64_t cut = extent->file_block < salvage->floor ? salvage->floor - extent->file_block : 0;
    kept.flags &= VM_EXTENT_UNWRITTEN;
    kept.birth = vm_min(kept.birth, salvage->check->region->epoch);
    salvage->is_lossy = salvage->is_lossy || cut;
    if (cut >= kept.blocks)
        return;
    kept.file_block += cut;
    kept.block += cut;
    kept.blocks -= (uint32_t)cut;
    if (!cut_to_end(salvage, &kept))
        return;
    salvage->floor = kept.file_block + kept.blocks;
    keep_parts(salvage, &kept);
}

/* Slots check by themselves, in whatever order they lie. */
struct slots {
    uint32_t count;
    struct vm_extent items[VM_LEAF_EXTENTS];
};

static void slots_add(struct salvage *salvage, struct slots *slots,
                      const struct vm_extent_media *media)
{
    struct vm_extent extent;
    if (vm_extent_load(salvage->ctx, media, 0, &extent)) {
        salvage->is_lossy = true;
        return;
    }
    uint32_t at = slots->count++;
    for (; at > 0 && slots->items[at - 1].file_block > extent.file_block; at--)
        slots->items[at] = slots->items[at - 1];
    slots->items[at] = extent;
}

static void slots_keep(struct salvage *salvage, const struct slots *slots)
{
    for (uint32_t index = 0; index < slots->count && !salvage->result; index++)
        each_extent(salvage, &slots->items[index]);
}

static void leaf_of_extents(struct salvage *salvage, const union vm_head *head)
{
    struct slots slots = {.count = 0};
    for (uint32_t segment = 0; segment < VM_SEGMENTS; segment++)
        for (uint32_t slot = 0; slot < head->fixed.used[segment]; slot++) {
            struct vm_extent_media media;
            uint64_t offset = vm_head_self(head) + offsetof(struct vm_fixed_media, slots) +
                              ((uint64_t)segment * VM_SEGMENT_SLOTS + slot) * sizeof media;
            (void)vm_read(salvage->ctx, offset, &media, sizeof media); /* lies in the node */
            slots_add(salvage, &slots, &media);
        }
    slots_keep(salvage, &slots);
}

static void salvage_inline(struct salvage *salvage)
{
    struct slots slots = {.count = 0};
    for (unsigned index = 0; index < VM_INODE_EXTENTS; index++) {
        const struct vm_extent_media *media = &salvage->inode.m.body.extents[index];
        if (vm_get32(media->blocks))
            slots_add(salvage, &slots, media);
    }
    slots_keep(salvage, &slots);
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
    /* What is written lies in front of the end (U2): the end is wrong, not the blocks that are the file's. */
    uint64_t end = vm_div_up(vm_inode_size(inode), VM_BLOCK_BYTES);
    if (vm_inode_is_file(inode) && !vm_inode_is_beyond(inode) && salvage->end > end) {
        vm_inode_set_size(inode, salvage->end * VM_BLOCK_BYTES);
        vm_mended(salvage->check, MAPS, "inode %i ends at byte %n now: there is data up to there",
                  inode->id, vm_inode_size(inode));
    }
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
    if (salvage.is_lossy)
        vm_mended(check, MAPS, "inode %i: what was damaged is cut off; %n blocks and %n names stay",
                  inode.id, salvage.blocks, names); /* F6 */
    else
        vm_mended(check, MAPS, "inode %i: its map is written anew", inode.id);
    insert_in_tx(&salvage, store_inode, &inode); /* F7 */
    return salvage.result;
}

/* ---- blocks with two owners ---- */

struct owners {
    struct vm_check *check;
    bool is_last;
};

/* Of those whose inodes stay as they are the first owner keeps what others have, too; unless it proves to be
 * what they say. */
static void each_owner(void *arg, const struct vm_use *use, uint64_t block, uint64_t count)
{
    struct owners *owners = arg;
    struct vm_check *check = owners->check;
    uint64_t slot = vm_id_slot(use->ino);
    bool is_data = use->kind == VMFS_MAP_DATA;
    bool is_inodes = use->kind == VMFS_MAP_INODE_CHUNK || use->kind == VMFS_MAP_INODE_MAP ||
                     use->kind == VMFS_MAP_RESERVED;
    for (uint64_t at = block; at < block + count; at++) {
        if (!vm_bit_is_set(check->again, at))
            continue;
        if (is_data && vm_bit_is_set(check->proved, at))
            vm_slot_mark(check, slot);
        if (!owners->is_last || (!is_inodes && (check->flags[slot] & VM_SLOT_MARKED)))
            continue;
        check->kept[at / 64] |= (uint64_t)1 << at % 64;
        if (!is_inodes)
            vm_mended(check, MAPS, "inode %i keeps block %b, which another one has, too", use->ino,
                      at);
    }
}

static bool has_again(const struct vm_check *check)
{
    for (uint64_t word = 0; word < check->met_bytes / 8; word++)
        if (check->again[word])
            return true;
    return false;
}

static int find_owners(struct vm_check *check)
{
    struct owners owners = {.check = check};
    int result = 0;
    for (unsigned turn = 0; turn < 2 && result == 0 && has_again(check); turn++) {
        owners.is_last = turn;
        result = vm_check_uses(check->ctx, each_owner, &owners);
    }
    return result;
}

int vm_repair_maps(struct vm_check *check)
{
    int result = find_owners(check);
    for (uint64_t slot = 0; result == 0 && slot < check->slot_count; slot++)
        if ((check->flags[slot] & VM_SLOT_LIVING) && (check->flags[slot] & VM_SLOT_MARKED))
            result = inode_mend(check, slot);
    return result;
}
