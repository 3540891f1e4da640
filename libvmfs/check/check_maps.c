/* check_maps.c -- what belongs to each inode: its map or extents, and its attributes */
#include <string.h>

#include "base/hash.h"
#include "base/util.h"
#include "check/state.h"
#include "index/cell.h"
#include "index/node.h"
#include "inode/acl.h"

#define XATTR_INLINE 0u
#define XATTR_BLOCKS 1u

/* What is counted while everything of one inode is walked. */
struct body {
    struct vm_check *check;
    const struct vm_inode *inode;
    uint64_t blocks;
    uint64_t names;
    uint64_t floor;               /* the next extent begins at or behind this block of the file */
    enum vmfs_map_kind node_kind; /* of the map that is walked */
    bool is_broken;               /* a part was not met, so nothing can be said of the sums */
};

/* One leaf of names. */
struct named_leaf {
    struct body *body;
    const union vm_head *head;
    uint64_t cells; /* in use by the entries met */
    uint32_t count;
    uint64_t keys[VM_CELL_COUNT];
    uint32_t starts[VM_CELL_COUNT];
    bool is_broken;
};

static void body_damaged(struct body *body, int reason, const char *text, uint64_t where)
{
    const uint64_t numbers[] = {body->inode->id, where};
    vm_problem_report(body->check, (struct vm_kind){VM_PASS_MAPS, reason}, text, numbers);
    body->is_broken = true;
}

/* Takes a run for the inode. False if it cannot be looked at as the inode's own. */
static bool body_meet(struct body *body, uint64_t block, uint64_t count, struct vm_use use)
{
    body->blocks += count;
    use.ino = body->inode->id;
    return vm_blocks_meet(body->check, block, count, &use);
}

/* ---- names ---- */

/* Leaves keep names of one hash together, so equal ones meet here. */
static void check_key(struct named_leaf *leaf, const struct vm_named_hit *hit, const uint8_t *name)
{
    struct body *body = leaf->body;
    uint64_t key = hit->entry.key;
    const struct vm_name wanted = {name, hit->entry.name_bytes};
    bool is_same = false;
    for (uint32_t index = 0; index < leaf->count && !is_same; index++) {
        union vm_entry_cells other;
        if (leaf->keys[index] >> VM_KEY_HASH_SHIFT != key >> VM_KEY_HASH_SHIFT)
            continue;
        is_same = leaf->keys[index] == key ||
                  (vm_entry_load(body->check->ctx, leaf->head, leaf->starts[index], &other) == 0 &&
                   vm_entry_has_name(&other, key, wanted));
    }
    if (is_same)
        vm_problem(body->check, MAPS, NONE,
                   "inode %i: a name or its key is in the leaf at block %b twice", body->inode->id,
                   hit->leaf / VM_BLOCK_BYTES);
}

/* The value if it is one that checks, or null. */
static const uint8_t *check_value_blocks(struct body *body, const struct vm_named_hit *hit,
                                         const uint8_t *payload)
{
    const struct vm_region *region = body->check->region;
    struct vm_xattr_media media = {.len_bytes = vm_put32(0)};
    if (hit->entry.payload_bytes >= sizeof media)
        memcpy(&media, payload, sizeof media);
    uint64_t block = vm_get64(media.block);
    uint64_t len_bytes = vm_get32(media.len_bytes);
    uint64_t count = vm_get32(media.blocks);
    bool is_sound = len_bytes > 0 && len_bytes == hit->entry.value && len_bytes <= VMFS_XATTR_MAX &&
                    count == vm_div_up(len_bytes, VM_BLOCK_BYTES) &&
                    vm_range_inside(block, count, region->blocks);
    if (!is_sound) {
        body_damaged(body, VMFS_R_XATTR_DAMAGED,
                     "inode %i: an attribute in block %b points nowhere",
                     hit->leaf / VM_BLOCK_BYTES);
        return NULL;
    }
    bool is_own = body_meet(body, block, count, (struct vm_use){.kind = VMFS_MAP_XATTR});
    if (!is_own && (!body->check->is_repair || body->check->overlap_left < count)) /* F1 */
        return NULL;
    const uint8_t *value = region->base + block * VM_BLOCK_BYTES;
    if (vm_get64(media.check) == vm_hash64(region->hash_seed ^ block, value, len_bytes)) {
        vm_blocks_prove(body->check, block, count);
        return value;
    }
    vm_problem(body->check, MAPS, XATTR_DAMAGED,
               "inode %i: the attribute value at block %b fails its check", body->inode->id, block);
    return NULL;
}

static void check_acl(struct body *body, const struct vm_named_hit *hit, const uint8_t *name,
                      const uint8_t *value)
{
    const struct vm_name full = {name, hit->entry.name_bytes};
    if (!vm_acl_is_sound(body->check->ctx, body->inode, full, value, hit->entry.value))
        vm_problem(body->check, MAPS, ACL_DAMAGED,
                   "inode %i: an ACL in block %b is malformed, or not what the mode says",
                   body->inode->id, hit->leaf / VM_BLOCK_BYTES);
}

static void check_attribute(struct body *body, const struct vm_named_hit *hit, const uint8_t *name)
{
    const struct vm_named_entry *entry = &hit->entry;
    if (memchr(name, '\0', entry->name_bytes))
        vm_problem(body->check, MAPS, XATTR_DAMAGED,
                   "inode %i: an attribute in block %b has a NUL in its name", body->inode->id,
                   hit->leaf / VM_BLOCK_BYTES);
    const uint8_t *value = name + entry->name_bytes;
    if (entry->type == XATTR_BLOCKS)
        value = check_value_blocks(body, hit, value);
    else if (entry->type != XATTR_INLINE || entry->value > entry->payload_bytes)
        value = NULL;
    if (!value && entry->type != XATTR_BLOCKS)
        body_damaged(body, VMFS_R_XATTR_DAMAGED, "inode %i: an attribute in block %b has no value",
                     hit->leaf / VM_BLOCK_BYTES);
    if (value)
        check_acl(body, hit, name, value);
}

static int count_named(void *arg, const struct vm_named_hit *hit, const uint8_t *name)
{
    struct named_leaf *leaf = arg;
    uint64_t run = vm_cell_run(hit->cell, hit->cells);
    if (leaf->cells & run)
        body_damaged(leaf->body, VMFS_R_NONE,
                     "inode %i: names lie over each other in the leaf at block %b",
                     hit->leaf / VM_BLOCK_BYTES);
    check_key(leaf, hit, name);
    leaf->cells |= run;
    leaf->keys[leaf->count] = hit->entry.key;
    leaf->starts[leaf->count++] = hit->cell;
    return 0;
}

static int each_entry(void *arg, const struct vm_named_hit *hit, const uint8_t *name)
{
    struct named_leaf *leaf = arg;
    leaf->body->names++;
    vm_check_entry(leaf->body->check, leaf->body->inode, hit, name);
    return count_named(leaf, hit, name);
}

static int each_attribute(void *arg, const struct vm_named_hit *hit, const uint8_t *name)
{
    struct named_leaf *leaf = arg;
    check_attribute(leaf->body, hit, name);
    return count_named(leaf, hit, name);
}

static void bad_entry(void *arg, uint64_t offset, int reason)
{
    struct named_leaf *leaf = arg;
    (void)reason;
    leaf->is_broken = true;
    body_damaged(leaf->body, VMFS_R_SLOT_DAMAGED,
                 "inode %i: the entry at offset %o fails its check", offset);
}

static void check_named_leaf(struct body *body, const union vm_head *head, vm_named_fn each)
{
    struct named_leaf leaf = {.body = body, .head = head};
    uint64_t self = vm_head_self(head);
    (void)vm_named_each(body->check->ctx, self, each, bad_entry, &leaf); /* its head is sound */
    if (leaf.is_broken)
        return;
    if (leaf.cells != vm_get64(head->named.bitmap) || leaf.count != vm_head_count(head))
        body_damaged(body, VMFS_R_NODE_DAMAGED,
                     "inode %i: the leaf at block %b counts other cells than it has",
                     self / VM_BLOCK_BYTES);
}

static void leaf_of_entries(struct body *body, const union vm_head *head)
{
    check_named_leaf(body, head, each_entry);
}

static void leaf_of_attributes(struct body *body, const union vm_head *head)
{
    check_named_leaf(body, head, each_attribute);
}

/* ---- extents ---- */

static int each_extent(void *arg, const struct vm_extent *extent)
{
    struct body *body = arg;
    struct vm_check *check = body->check;
    uint64_t id = body->inode->id;
    uint64_t end = extent->file_block + extent->blocks;
    if (extent->file_block < body->floor)
        vm_problem(check, MAPS, EXTENT_ORDER,
                   "inode %i: the extent at file block %n lies over the one before it", id,
                   extent->file_block);
    if (extent->birth > check->region->epoch)
        vm_problem(check, MAPS, NONE, "inode %i: the extent at file block %n is not born yet", id,
                   extent->file_block);
    bool may_lie_beyond = extent->flags & VM_EXTENT_UNWRITTEN || vm_inode_is_beyond(body->inode);
    if (end > vm_div_up(vm_inode_size(body->inode), VM_BLOCK_BYTES) && !may_lie_beyond) /* U2 */
        vm_problem(check, MAPS, NONE, "inode %i: the extent at file block %n lies beyond the end",
                   id, extent->file_block);
    body->floor = vm_max(body->floor, end);
    body_meet(body, extent->block, extent->blocks,
              (struct vm_use){.kind = VMFS_MAP_DATA, .file_block = extent->file_block});
    return 0;
}

static void bad_extent(void *arg, uint64_t offset, int reason)
{
    (void)reason;
    body_damaged(arg, VMFS_R_EXTENT_DAMAGED, "inode %i: the extent at offset %o fails its check",
                 offset);
}

static void leaf_of_extents(struct body *body, const union vm_head *head)
{
    struct vm_ctx *ctx = body->check->ctx;
    (void)vm_extents_each(ctx, vm_head_self(head), each_extent, bad_extent, body); /* the same */
}

/* ---- what a remapped file has left behind ---- */

/* Of the extents of a retired map only what is in the range is this inode's: the file has the others. */
static int each_retired(void *arg, const struct vm_extent *extent)
{
    struct body *body = arg;
    const struct vm_retired_media *retired = &body->inode->m.body.retired;
    uint64_t from = vm_max(extent->file_block, vm_get64(retired->first));
    uint64_t to = vm_min(extent->file_block + extent->blocks, vm_get64(retired->end));
    if (extent->file_block < body->floor)
        vm_problem(body->check, MAPS, EXTENT_ORDER,
                   "inode %i: the extent at file block %n lies over the one before it",
                   body->inode->id, extent->file_block);
    body->floor = extent->file_block + extent->blocks;
    if (from < to)
        body_meet(body, extent->block + (from - extent->file_block), to - from,
                  (struct vm_use){.kind = VMFS_MAP_DATA, .file_block = from});
    return 0;
}

static void leaf_of_retired(struct body *body, const union vm_head *head)
{
    struct vm_ctx *ctx = body->check->ctx;
    (void)vm_extents_each(ctx, vm_head_self(head), each_retired, bad_extent, body); /* the same */
}

/* What the leaves of the inode's own map name became the file's new map. */
static void leaf_of_list(struct body *body, const union vm_head *head)
{
    (void)body;
    (void)head;
}

static void check_inline(struct body *body)
{
    const struct vm_inode *inode = body->inode;
    bool is_end = false;
    for (unsigned index = 0; index < VM_INODE_EXTENTS; index++) {
        const struct vm_extent_media *media = &inode->m.body.extents[index];
        uint64_t offset =
            inode->offset + offsetof(struct vm_inode_media, body) + index * sizeof *media;
        struct vm_extent extent;
        if (vm_get32(media->blocks) == 0 && index > 0) {
            is_end = true;
            continue;
        }
        if (is_end || vm_extent_load(body->check->ctx, media, offset, &extent))
            bad_extent(body, offset, 0);
        else
            each_extent(body, &extent);
    }
}

/* ---- nodes ---- */

typedef void (*leaf_fn)(struct body *body, const union vm_head *head);

/* A map on its way down: what has been entered and which child is next. */
struct frame {
    union vm_head head;
    uint32_t next;
};

/* A node is entered only where its block was not met before (F1). */
static bool node_enter(struct body *body, const struct vm_map *map, const struct vm_place *place,
                       struct frame *frame)
{
    struct vm_check *check = body->check;
    frame->next = 0;
    if (vm_node_load(check->ctx, map, place, &frame->head)) {
        body_damaged(body, VMFS_R_NODE_DAMAGED, "inode %i: the node at block %b fails its check",
                     place->offset / VM_BLOCK_BYTES);
        return false;
    }
    if (!body_meet(body, place->offset / VM_BLOCK_BYTES, 1,
                   (struct vm_use){.kind = body->node_kind})) {
        body->is_broken = true;
        return false;
    }
    uint64_t keys = place->offset + offsetof(struct vm_inner_media, key);
    if (frame->head.node.level > 0 && vm_load64(check->ctx, keys) != place->low)
        vm_problem(check, MAPS, NODE_DAMAGED,
                   "inode %i: the first key of the node at block %b is wrong", body->inode->id,
                   place->offset / VM_BLOCK_BYTES);
    return true;
}

static void check_leaf(struct body *body, const union vm_head *head, uint8_t kind, leaf_fn leaf)
{
    if (head->node.kind == kind)
        leaf(body, head);
    else
        body_damaged(body, VMFS_R_NODE_DAMAGED,
                     "inode %i: the leaf at block %b is of the wrong kind",
                     vm_head_self(head) / VM_BLOCK_BYTES);
}

/* A child's level is one below its parent's, so the frames are enough (I3). */
static void map_walk(struct body *body, const struct vm_map *map, uint8_t kind, leaf_fn leaf)
{
    struct frame frames[VM_NODE_LEVEL_MAX + 1];
    struct vm_place place = {map->root, 0, VM_KEY_MAX, VM_NODE_LEVEL_MAX, true};
    unsigned depth = node_enter(body, map, &place, &frames[0]) ? 1 : 0;
    while (depth > 0) {
        struct frame *frame = &frames[depth - 1];
        bool is_leaf = frame->head.node.level == 0;
        if (is_leaf)
            check_leaf(body, &frame->head, kind, leaf);
        if (is_leaf || frame->next == vm_head_count(&frame->head)) {
            depth--;
            continue;
        }
        vm_child_place(body->check->ctx, &frame->head, frame->next++, &place);
        if (node_enter(body, map, &place, &frames[depth]))
            depth++;
    }
}

static void check_retired(struct body *body)
{
    const struct vm_inode *inode = body->inode;
    const struct vm_retired_media *retired = &inode->m.body.retired;
    struct vm_map map = vm_inode_data_map(inode);
    map.root = vm_get64(retired->list_root);
    if (map.root)
        map_walk(body, &map, VM_NODE_FIXED, leaf_of_list);
    map.root = vm_get64(retired->root);
    map.tag = vm_get64(retired->tag);
    if (map.root)
        map_walk(body, &map, VM_NODE_FIXED, leaf_of_retired);
}

static void check_data(struct body *body)
{
    struct vm_map map = vm_inode_data_map(body->inode);
    if (body->inode->m.form == VM_BODY_RETIRED)
        check_retired(body);
    if (body->inode->m.form == VM_BODY_EXTENTS)
        check_inline(body);
    if (body->inode->m.form != VM_BODY_TREE)
        return;
    if (vm_inode_is_directory(body->inode))
        map_walk(body, &map, VM_NODE_NAMED, leaf_of_entries);
    else
        map_walk(body, &map, VM_NODE_FIXED, leaf_of_extents);
}

static void body_check(struct vm_check *check, const struct vm_inode *inode)
{
    struct body body = {.check = check, .inode = inode, .node_kind = VMFS_MAP_NODE};
    check_data(&body);
    struct vm_map attributes = vm_inode_xattr_map(inode);
    body.node_kind = VMFS_MAP_XATTR_NODE;
    if (attributes.root)
        map_walk(&body, &attributes, VM_NODE_NAMED, leaf_of_attributes);
    check->result.blocks += body.blocks;
    check->result.names += body.names;
    if (body.is_broken)
        return;
    if (body.blocks != vm_inode_blocks(inode))
        vm_problem(check, MAPS, NONE, "inode %i says it has %n blocks, it has %n", inode->id,
                   vm_inode_blocks(inode), body.blocks);
    if (vm_inode_is_directory(inode) && body.names != vm_inode_size(inode))
        vm_problem(check, MAPS, NONE, "inode %i says it has %n names, it has %n", inode->id,
                   vm_inode_size(inode), body.names);
}

/* Names, blocks and attributes of one inode: whatever is found among them is its matter. */
static void check_body(struct vm_check *check, const struct vm_inode *inode)
{
    uint64_t before = check->result.problems;
    body_check(check, inode);
    if (check->result.problems != before)
        vm_slot_mark(check, vm_id_slot(inode->id));
}

int vm_check_maps(struct vm_check *check)
{
    for (uint64_t slot = 0; slot < check->slot_count; slot++) {
        struct vm_inode inode;
        if (!(check->flags[slot] & VM_SLOT_LIVING))
            continue;
        vm_slot_load(check, slot, &inode);
        check_body(check, &inode);
    }
    return 0;
}
