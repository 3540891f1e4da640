/* atlas.c -- walks a region that is known to be sound, from the superblock to the last extent */
#include "atlas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/record.h"
#include "media/region.h"
#include "media/super.h"

#define FIELD_0(name, type, field, element, is_nested)                                             \
    {ATLAS_##name, #field, offsetof(struct type, field), sizeof(element),                          \
     sizeof(((struct type *)0)->field) / sizeof(element)},
#define FIELD_1(name, type, field, element, is_nested)
#define FIELD(name, type, field, element, is_nested)                                               \
    FIELD_##is_nested(name, type, field, element, is_nested)

const struct atlas_field atlas_fields[] = {
    MEDIA_FIELDS(FIELD){ATLAS_bitmap, "word", 0, 8, VM_BLOCK_BYTES / 8},
    {ATLAS_entry, "place", 0, 6, 1},
    {ATLAS_entry, "length_kind", 6, 2, 1},
    {ATLAS_entry, "first", 8, 8, 1},
    {ATLAS_entry, "second", 16, 8, 1},
};
const unsigned atlas_field_count = sizeof atlas_fields / sizeof atlas_fields[0];

#define KIND_NAME(name, type) #name,
const char *const atlas_kind_names[ATLAS_KINDS] = {MEDIA_STRUCTS(KIND_NAME) "bitmap", "entry"};

unsigned atlas_first_field(enum atlas_kind kind)
{
    unsigned index = 0;
    while (index < atlas_field_count && atlas_fields[index].kind != kind)
        index++;
    return index;
}

unsigned atlas_fields_of(enum atlas_kind kind)
{
    unsigned count = 0;
    for (unsigned index = 0; index < atlas_field_count; index++)
        count += atlas_fields[index].kind == kind;
    return count;
}

struct walk {
    struct atlas *atlas;
    const uint8_t *image;
    const uint8_t *base; /* with the journal applied */
    struct vm_region region;
};

static void fail(const char *what, uint64_t where)
{
    fprintf(stderr, "atlas: %s at %llu\n", what, (unsigned long long)where);
    abort();
}

static uint32_t add(struct walk *walk, enum atlas_kind kind, uint64_t offset, uint32_t parent)
{
    struct atlas *atlas = walk->atlas;
    if (atlas->count == ATLAS_OBJECTS_MAX)
        fail("too many structures", offset);
    uint32_t index = atlas->count++;
    uint64_t owner = parent == ATLAS_NONE ? 0 : atlas->objects[parent].owner;
    atlas->objects[index] = (struct atlas_object){kind, parent, offset, offset, owner};
    atlas->by_kind[kind][atlas->kind_count[kind]++] = index;
    return index;
}

/* ---- maps ---- */

enum map_use { MAP_DIRECTORY, MAP_XATTRS, MAP_EXTENTS };

/* A value in the leaf that is an ACL: its head and its entries. */
static void walk_acl(struct walk *walk, uint64_t payload, const struct vm_cell_media *media,
                     uint32_t cell)
{
    static const char prefix[] = "system.posix_acl_";
    const uint64_t entry_bytes = sizeof(struct vm_acl_entry_media);
    if (memcmp(walk->base + payload, prefix, sizeof prefix - 1) != 0)
        return;
    uint64_t at = payload + media->name_bytes;
    uint64_t end = at + vm_get64(media->value);
    add(walk, ATLAS_acl, at, cell);
    for (at += sizeof(struct vm_acl_media); at + entry_bytes <= end; at += entry_bytes)
        add(walk, ATLAS_acl_entry, at, cell);
}

static void walk_cells(struct walk *walk, uint64_t offset, uint32_t node, enum map_use use)
{
    const struct vm_named_media *leaf = (const void *)(walk->base + offset);
    for (unsigned cell = 0; cell < VM_CELL_COUNT; cell++) {
        if (leaf->fp[cell] == 0)
            continue;
        uint64_t at = offset + offsetof(struct vm_named_media, cells) + cell * VM_CELL_BYTES;
        const struct vm_cell_media *media = (const void *)(walk->base + at);
        uint64_t payload = at + offsetof(struct vm_cell_media, payload);
        uint32_t index = add(walk, ATLAS_cell, at, node);
        if (use == MAP_DIRECTORY)
            walk->atlas->objects[index].owner = vm_get64(media->value);
        else if (media->type == 1)
            add(walk, ATLAS_xattr, payload + media->name_bytes, index);
        else
            walk_acl(walk, payload, media, index);
    }
}

static void walk_slots(struct walk *walk, uint64_t offset, uint32_t node)
{
    const struct vm_fixed_media *leaf = (const void *)(walk->base + offset);
    for (unsigned segment = 0; segment < VM_SEGMENTS; segment++)
        for (unsigned slot = 0; slot < leaf->used[segment]; slot++)
            add(walk, ATLAS_extent,
                offset + offsetof(struct vm_fixed_media, slots) +
                    (segment * VM_SEGMENT_SLOTS + slot) * sizeof(struct vm_extent_media),
                node);
}

static void walk_node(struct walk *walk, uint64_t offset, uint32_t owner, enum map_use use)
{
    const struct vm_node_media *head = (const void *)(walk->base + offset);
    if (offset % VM_BLOCK_BYTES || vm_get64(head->self) != offset)
        fail("no node", offset);
    enum atlas_kind kind = head->kind == VM_NODE_INNER   ? ATLAS_inner
                           : head->kind == VM_NODE_NAMED ? ATLAS_named
                                                         : ATLAS_fixed;
    uint32_t node = add(walk, kind, offset, ATLAS_NONE);
    walk->atlas->objects[node].owner = walk->atlas->objects[owner].owner;
    add(walk, ATLAS_node, offset, node);
    if (kind == ATLAS_named)
        walk_cells(walk, offset, node, use);
    if (kind == ATLAS_fixed)
        walk_slots(walk, offset, node);
    const struct vm_inner_media *inner = (const void *)head;
    for (unsigned child = 0; kind == ATLAS_inner && child < vm_get16(head->count); child++)
        walk_node(walk, vm_get64(inner->child[child]), owner, use);
}

/* ---- inodes ---- */

static void walk_body(struct walk *walk, const struct vm_inode_media *media, uint32_t index)
{
    uint64_t body = walk->atlas->objects[index].offset + VM_INODE_BODY;
    bool is_directory = media->kind == VM_INODE_DIRECTORY;
    if (media->form == VM_BODY_TREE)
        walk_node(walk, vm_get64(media->body.word[0]), index,
                  is_directory ? MAP_DIRECTORY : MAP_EXTENTS);
    for (unsigned slot = 0; media->form == VM_BODY_EXTENTS && slot < VM_INODE_EXTENTS; slot++)
        add(walk, ATLAS_extent, body + slot * sizeof(struct vm_extent_media), index);
    if (media->form == VM_BODY_RETIRED) {
        add(walk, ATLAS_retired, body, index);
        if (vm_get64(media->body.retired.root))
            walk_node(walk, vm_get64(media->body.retired.root), index, MAP_EXTENTS);
        if (vm_get64(media->body.retired.list_root))
            walk_node(walk, vm_get64(media->body.retired.list_root), index, MAP_EXTENTS);
    }
}

/* Of the free slots a few are enough. */
static void walk_inode(struct walk *walk, uint64_t slot, uint64_t offset, bool is_used)
{
    const struct vm_inode_media *media = (const void *)(walk->base + offset);
    if (!is_used && slot % 8 != 3)
        return;
    uint32_t index = add(walk, ATLAS_inode, offset, ATLAS_NONE);
    struct atlas_object *object = &walk->atlas->objects[index];
    object->salt = slot;
    if (!is_used || media->kind == VM_INODE_FREE)
        return;
    object->owner = slot | (uint64_t)(vm_get32(media->generation) & VM_GENERATION_MAX)
                               << VM_SLOT_BITS;
    walk_body(walk, media, index);
    if (vm_get64(media->xattr_root))
        walk_node(walk, vm_get64(media->xattr_root), index, MAP_XATTRS);
}

static void walk_chunk(struct walk *walk, uint64_t block)
{
    uint64_t offset = block * VM_BLOCK_BYTES;
    const struct vm_chunk_media *chunk = (const void *)(walk->base + offset);
    if (vm_get32(chunk->magic) != VM_MAGIC_CHUNK)
        fail("no inode chunk", offset);
    add(walk, ATLAS_chunk, offset, ATLAS_NONE);
    for (uint64_t slot = 0; slot < vm_get32(chunk->inodes); slot++)
        walk_inode(walk, vm_get64(chunk->first_slot) + slot,
                   offset + VM_BLOCK_BYTES + slot * VM_INODE_BYTES,
                   vm_get64(chunk->used[slot / 64]) >> slot % 64 & 1);
}

static void walk_map(struct walk *walk, uint64_t block)
{
    uint64_t offset = block * VM_BLOCK_BYTES;
    const struct vm_map_media *map = (const void *)(walk->base + offset);
    add(walk, ATLAS_map, offset, ATLAS_NONE);
    unsigned empty = 0;
    for (unsigned index = 0; index < VM_MAP_ENTRIES; index++) {
        uint64_t below = vm_get64(map->entries[index].block);
        if (below == 0 && empty++ > 1)
            continue;
        add(walk, ATLAS_map_entry,
            offset + offsetof(struct vm_map_media, entries) +
                index * sizeof(struct vm_map_entry_media),
            ATLAS_NONE);
        if (below && vm_get32(map->level))
            walk_map(walk, below);
        else if (below)
            walk_chunk(walk, below);
    }
}

/* ---- the front, the journal, the groups ---- */

static void walk_super(struct walk *walk, uint64_t block)
{
    uint64_t offset = block * VM_BLOCK_BYTES;
    uint32_t super = add(walk, ATLAS_super, offset, ATLAS_NONE);
    add(walk, ATLAS_share, offset + offsetof(struct vm_super_media, share), super);
    for (unsigned zone = 0; zone <= walk->region.zone_count && zone < VM_ZONE_MAX; zone++)
        add(walk, ATLAS_zone,
            offset + offsetof(struct vm_super_media, zones) + zone * sizeof(struct vm_zone_media),
            super);
}

static void walk_record(struct walk *walk, uint64_t offset)
{
    uint32_t record = add(walk, ATLAS_record, offset, ATLAS_NONE);
    struct vm_record_reader reader = vm_record_open(walk->image + offset);
    struct vm_err err = {.log = NULL};
    struct vm_entry entry;
    uint32_t at = reader.at;
    while (vm_record_next(&err, &reader, &entry) > 0) {
        add(walk, ATLAS_entry, offset + at, record);
        at = reader.at;
    }
}

static void walk_lane(struct walk *walk, uint64_t start, uint64_t len_bytes, uint64_t nonce)
{
    for (uint64_t at = 0; at + sizeof(struct vm_record_media) <= len_bytes; at += 64)
        if (vm_record_is_valid(walk->image + start + at, len_bytes - at, nonce, start + at))
            walk_record(walk, start + at);
}

static void walk_journal(struct walk *walk)
{
    const struct vm_region *region = &walk->region;
    struct vm_err err = {.log = NULL};
    struct vm_watermark line;
    unsigned copy;
    add(walk, ATLAS_watermark, VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES, ATLAS_NONE);
    add(walk, ATLAS_watermark, VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES, ATLAS_NONE);
    if (vm_watermark_load(&err, walk->image, &line, &copy))
        fail("no watermark", 0);
    for (uint32_t lane = 0; lane < region->lane_count; lane++)
        walk_lane(walk, region->lane_offset + (uint64_t)lane * region->lane_bytes,
                  region->lane_bytes, line.nonce);
}

static void walk_groups(struct walk *walk)
{
    for (uint64_t group = 0; group < walk->region.group_count; group++) {
        struct vm_group_place place = vm_region_group(&walk->region, group);
        const struct vm_zone_state_media *state = (const void *)(walk->base + place.state_offset);
        if (place.index == 0)
            add(walk, ATLAS_zone_state, place.state_offset, ATLAS_NONE);
        if (place.index >= vm_get32(state->groups_ready))
            continue;
        add(walk, ATLAS_group, place.descriptor_offset, ATLAS_NONE);
        add(walk, ATLAS_bitmap, place.bitmap_offset, ATLAS_NONE);
    }
}

void atlas_make(struct atlas *atlas, const uint8_t *image, const uint8_t *walked)
{
    const struct vm_super_media *super = (const void *)image;
    struct walk walk = {.atlas = atlas, .image = image, .base = walked};
    struct vm_err err = {.log = NULL};
    memset(atlas, 0, sizeof *atlas);
    atlas->hash_seed = vm_get64(super->hash_seed);
    atlas->region_bytes = vm_get64(super->region_blocks) * VM_BLOCK_BYTES;
    if (vm_region_init(&err, &walk.region, super, walked, atlas->region_bytes))
        fail("no region", 0);
    walk_super(&walk, VM_SUPER_A_BLOCK);
    walk_super(&walk, VM_SUPER_B_BLOCK);
    add(&walk, ATLAS_owner, VM_OWNER_BLOCK * VM_BLOCK_BYTES, ATLAS_NONE);
    walk_journal(&walk);
    walk_groups(&walk);
    walk_map(&walk, walk.region.map_block);
}
