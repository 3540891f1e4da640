/* dump.c -- which structures to print, and the walks over inodes and directories
 */
#include "check/dump.h"

#include <string.h>

#include "base/check.h"
#include "base/util.h"
#include "check/text.h"
#include "check/validate.h"
#include "index/node.h"
#include "inode/inode.h"
#include "inode/table.h"
#include "space/group.h"

#define DEPTH_MAX 1024u

static int dump_bad_argument(struct vm_dump *dump, uint64_t where)
{
    return vm_raise(&dump->ctx->err, VMFS_R_DUMP_WHERE, where);
}

static uint64_t in_bytes(uint64_t block)
{
    return block * VM_BLOCK_BYTES;
}

static int dump_super(struct vm_dump *dump)
{
    const struct vm_region *region = dump->region;
    vm_super_to_text(dump, in_bytes(VM_SUPER_A_BLOCK));
    vm_super_to_text(dump, in_bytes(VM_SUPER_B_BLOCK));
    vm_line_to_text(dump, in_bytes(VM_WATERMARK_A_BLOCK));
    vm_line_to_text(dump, in_bytes(VM_WATERMARK_B_BLOCK));
    vm_owner_to_text(dump, in_bytes(VM_OWNER_BLOCK));
    for (uint32_t zone = 0; zone < region->zone_count; zone++)
        vm_zone_to_text(dump, &region->zones[zone]);
    for (uint64_t group = 0; group < vm_min(dump->ctx->space->ready, region->group_count); group++)
        vm_group_to_text(dump, group);
    vm_map_to_text(dump, in_bytes(region->map_block));
    return 0;
}

static int dump_journal(struct vm_dump *dump)
{
    const struct vm_region *region = dump->region;
    void *buffer;
    int result = vm_alloc(dump->ctx, region->lane_bytes, &buffer);
    if (result)
        return result;
    vm_line_to_text(dump, in_bytes(VM_WATERMARK_A_BLOCK));
    vm_line_to_text(dump, in_bytes(VM_WATERMARK_B_BLOCK));
    for (uint32_t lane = 0; lane < region->lane_count; lane++)
        vm_lane_to_text(dump, lane, dump->ctx->journal->era.nonce, buffer);
    region->platform->free(region->platform->arg, buffer, region->lane_bytes);
    return 0;
}

/* ---- one inode ---- */

/* A node of the map with all below it. False when `left` is used up (F3). */
static bool dump_map(struct vm_dump *dump, const struct vm_map *map, const struct vm_place *place,
                     uint64_t *left)
{
    union vm_head head;
    if (*left == 0)
        return false;
    (*left)--;
    if (vm_node_load(dump->ctx, map, place, &head)) {
        vm_say(dump, "BAD: the node at offset=%n does not belong here: low=%x high=%x",
               place->offset, place->low, place->high);
        vm_say_end(dump);
        return true;
    }
    vm_node_to_text(dump, place->offset);
    if (head.node.level == 0)
        return true;
    bool is_going = true;
    dump->indent++;
    for (uint32_t index = 0; is_going && index < vm_head_count(&head); index++) {
        struct vm_place child;
        vm_child_place(dump->ctx, &head, index, &child);
        is_going = dump_map(dump, map, &child, left);
    }
    dump->indent--;
    return is_going;
}

static void dump_tree_of(struct vm_dump *dump, const char *label, const struct vm_map *map)
{
    struct vm_place place = {map->root, 0, VM_KEY_MAX, VM_NODE_LEVEL_MAX, true};
    uint64_t left = dump->region->blocks;
    if (map->root == 0)
        return;
    dump->indent++;
    vm_say_text(dump, label);
    vm_say_end(dump);
    dump->indent++;
    (void)dump_map(dump, map, &place, &left);
    dump->indent -= 2;
}

static int dump_inode(struct vm_dump *dump, uint64_t id)
{
    struct vm_inode inode = {.id = id};
    int result = vm_table_locate(dump->ctx, vm_id_slot(id), &inode.offset);
    if (result <= 0)
        return result < 0 ? result : dump_bad_argument(dump, id);
    vm_inode_to_text(dump, vm_id_slot(id), inode.offset);
    result = vm_read(dump->ctx, inode.offset, &inode.m, sizeof inode.m);
    if (result || inode.m.kind == VM_INODE_FREE)
        return result;
    if (inode.m.form == VM_BODY_TREE) {
        struct vm_map map = vm_inode_data_map(&inode);
        dump_tree_of(dump, "map:", &map);
    }
    if (inode.m.form == VM_BODY_RETIRED) {
        struct vm_map map = vm_inode_data_map(&inode);
        map.root = vm_get64(inode.m.body.retired.root);
        map.tag = vm_get64(inode.m.body.retired.tag);
        dump_tree_of(dump, "retired map:", &map);
    }
    struct vm_map attributes = vm_inode_xattr_map(&inode);
    dump_tree_of(dump, "attributes:", &attributes);
    return 0;
}

/* ---- what lies at an offset ---- */

static bool dump_fixed_block(struct vm_dump *dump, uint64_t block)
{
    uint64_t offset = in_bytes(block);
    switch (block) {
    case VM_SUPER_A_BLOCK:
    case VM_SUPER_B_BLOCK:
        vm_super_to_text(dump, offset);
        return true;
    case VM_WATERMARK_A_BLOCK:
    case VM_WATERMARK_B_BLOCK:
        vm_line_to_text(dump, offset);
        return true;
    case VM_OWNER_BLOCK:
        vm_owner_to_text(dump, offset);
        return true;
    default:
        if (block != dump->region->map_block)
            return false;
        vm_map_to_text(dump, offset);
        return true;
    }
}

static bool dump_lane_block(struct vm_dump *dump, uint64_t offset, int *result)
{
    const struct vm_region *region = dump->region;
    uint64_t end = region->lane_offset + (uint64_t)region->lane_count * region->lane_bytes;
    void *buffer;
    if (offset < region->lane_offset || offset >= end)
        return false;
    *result = vm_alloc(dump->ctx, region->lane_bytes, &buffer);
    if (*result)
        return true;
    vm_lane_to_text(dump, (uint32_t)((offset - region->lane_offset) / region->lane_bytes),
                    dump->ctx->journal->era.nonce, buffer);
    region->platform->free(region->platform->arg, buffer, region->lane_bytes);
    return true;
}

/* Heads of zones: the state, the descriptors of one block, or one bitmap. */
static bool dump_zone_block(struct vm_dump *dump, uint64_t block)
{
    const struct vm_region *region = dump->region;
    for (uint32_t number = 0; number < region->zone_count; number++) {
        const struct vm_zone *zone = &region->zones[number];
        if (block == zone->head_block)
            vm_zone_to_text(dump, zone);
        if (block < zone->head_block ||
            block >= zone->head_block + vm_zone_head_blocks(zone->group_count))
            continue;
        for (uint32_t index = 0; index < zone->group_count; index++) {
            struct vm_group_place place = vm_region_group(region, zone->first_group + index);
            if (place.descriptor_offset / VM_BLOCK_BYTES == block)
                vm_group_to_text(dump, zone->first_group + index);
            if (place.bitmap_offset / VM_BLOCK_BYTES == block)
                vm_bitmap_to_text(dump, zone->first_group + index);
        }
        return true;
    }
    return false;
}

/* The inodes of a block inside a chunk, if it lies in one. */
static bool dump_chunk_block(struct vm_dump *dump, uint64_t block)
{
    const struct vm_itable *table = dump->ctx->itable;
    uint64_t chunk_count = atomic_load(&table->chunk_count);
    for (uint64_t chunk = 0; chunk < chunk_count; chunk++) {
        uint64_t first = chunk << table->chunk_stride_log2;
        uint64_t offset;
        if (vm_table_locate(dump->ctx, first, &offset) <= 0)
            continue;
        uint64_t start = offset / VM_BLOCK_BYTES;
        if (block < start || block - start >= dump->region->chunk_blocks - 1)
            continue;
        for (uint64_t slot = 0; slot < VM_BLOCK_BYTES / VM_INODE_BYTES; slot++)
            vm_inode_to_text(dump,
                             first + (block - start) * (VM_BLOCK_BYTES / VM_INODE_BYTES) + slot,
                             in_bytes(block) + slot * VM_INODE_BYTES);
        return true;
    }
    return false;
}

static void dump_hex(struct vm_dump *dump, uint64_t offset)
{
    uint8_t bytes[64];
    vm_say(dump, "bytes: offset=%n", offset);
    vm_say_end(dump);
    dump->indent++;
    for (uint64_t at = 0; at < VM_BLOCK_BYTES; at += sizeof bytes) {
        if (vm_read(dump->ctx, offset + at, bytes, sizeof bytes))
            break;
        vm_say(dump, "%n: ", offset + at);
        vm_say_hex(dump, bytes, sizeof bytes);
        vm_say_end(dump);
    }
    dump->indent--;
}

static int dump_block(struct vm_dump *dump, uint64_t offset)
{
    uint64_t block = offset / VM_BLOCK_BYTES;
    uint64_t magic;
    int result = 0;
    if (block >= dump->region->blocks)
        return dump_bad_argument(dump, offset);
    if (dump_fixed_block(dump, block) || dump_lane_block(dump, offset, &result) ||
        dump_zone_block(dump, block) || dump_chunk_block(dump, block))
        return result;
    magic = vm_load64(dump->ctx, in_bytes(block)) & UINT32_MAX;
    if (magic == VM_MAGIC_NODE)
        vm_node_to_text(dump, in_bytes(block));
    else if (magic == VM_MAGIC_MAP)
        vm_map_to_text(dump, in_bytes(block));
    else if (magic == VM_MAGIC_CHUNK)
        vm_chunk_to_text(dump, in_bytes(block));
    else
        dump_hex(dump, in_bytes(block));
    return 0;
}

/* ---- a directory and all below it ---- */

struct tree_level {
    uint64_t id;
    uint64_t cookie;
};

struct tree {
    struct vm_dump *dump;
    uint64_t slot_count;
    uint64_t *entered; /* a bit for each slot (F3) */
    struct tree_level levels[DEPTH_MAX];
    unsigned depth;
};

static bool tree_enter(struct tree *tree, uint64_t id)
{
    uint64_t slot = vm_id_slot(id);
    uint64_t bit = (uint64_t)1 << slot % 64;
    if (tree->depth == DEPTH_MAX || slot >= tree->slot_count || (tree->entered[slot / 64] & bit))
        return false;
    tree->entered[slot / 64] |= bit;
    tree->levels[tree->depth++] = (struct tree_level){id, 0};
    return true;
}

static void tree_entry(struct tree *tree, const struct vm_named_hit *hit, const uint8_t *name)
{
    struct vm_dump *dump = tree->dump;
    struct vm_inode inode;
    vm_say_bytes(dump, name, hit->entry.name_bytes);
    vm_say(dump, ": inode=%n", hit->entry.value);
    int result = vm_inode_load(dump->ctx, hit->entry.value, &inode);
    if (result) {
        vm_say_text(dump, " BAD: ");
        vm_say_text(dump, vmfs_reason_str(-result));
        vm_say_end(dump);
        return;
    }
    vm_say(dump, " mode=%m nlink=%n size=%n blocks=%n", vm_inode_mode(&inode),
           vm_inode_nlink(&inode), vm_inode_size(&inode), vm_inode_blocks(&inode));
    bool is_directory = vm_inode_is_directory(&inode);
    bool is_entered = is_directory && tree_enter(tree, inode.id);
    if (is_directory && !is_entered)
        vm_say_text(dump, " not entered: met before, or too deep");
    vm_say_end(dump);
    dump->indent += is_entered;
}

/* The next entry of the deepest directory, or its end. */
static void tree_step(struct tree *tree)
{
    struct vm_dump *dump = tree->dump;
    struct tree_level *level = &tree->levels[tree->depth - 1];
    uint8_t name[VM_NAMED_PAYLOAD_MAX];
    struct vm_named_hit hit;
    struct vm_inode dir;
    int result = vm_inode_load(dump->ctx, level->id, &dir);
    struct vm_map map = {.root = 0};
    if (result == 0)
        map = vm_inode_data_map(&dir);
    if (map.root)
        result = vm_named_next(dump->ctx, &map, level->cookie, &hit, name);
    if (result > 0 && hit.entry.key > level->cookie) {
        level->cookie = hit.entry.key;
        tree_entry(tree, &hit, name);
        return;
    }
    if (result < 0) {
        vm_say_text(dump, "BAD: ");
        vm_say_text(dump, vmfs_reason_str(-result));
        vm_say_end(dump);
    }
    tree->depth--;
    dump->indent--;
}

static int dump_tree(struct vm_dump *dump, uint64_t id)
{
    const struct vm_platform *platform = dump->region->platform;
    const struct vm_itable *table = dump->ctx->itable;
    uint64_t slots = atomic_load(&table->chunk_count) << table->chunk_stride_log2;
    uint64_t len_bytes = (slots / 64 + 1) * sizeof(uint64_t);
    struct vm_inode root;
    void *memory;
    void *entered;
    int result = vm_inode_load(dump->ctx, id, &root);
    if (result == -VMFS_R_INODE_STALE || (result == 0 && !vm_inode_is_directory(&root)))
        result = dump_bad_argument(dump, id);
    if (result == 0)
        result = vm_alloc(dump->ctx, sizeof(struct tree), &memory);
    if (result)
        return result;
    struct tree *tree = memory;
    result = vm_alloc(dump->ctx, len_bytes, &entered);
    *tree = (struct tree){.dump = dump, .slot_count = slots, .entered = entered};
    if (result == 0 && tree_enter(tree, id)) {
        vm_say(dump, "directory: inode=%n mode=%m nlink=%n size=%n", id, vm_inode_mode(&root),
               vm_inode_nlink(&root), vm_inode_size(&root));
        vm_say_end(dump);
        dump->indent++;
    }
    while (tree->depth > 0)
        tree_step(tree);
    if (entered)
        platform->free(platform->arg, entered, len_bytes);
    platform->free(platform->arg, tree, sizeof *tree);
    return result;
}

int vm_dump_run(struct vm_ctx *ctx, enum vmfs_dump_what what, uint64_t where, vmfs_text_fn fn,
                void *arg)
{
    struct vm_dump dump = {.ctx = ctx, .region = ctx->region, .fn = fn, .arg = arg};
    bool was_speculative = ctx->err.is_speculative;
    ctx->err.is_speculative = true; /* damage is what is shown here */
    int result = 0;
    switch (what) {
    case VMFS_DUMP_SUPER:
        result = dump_super(&dump);
        break;
    case VMFS_DUMP_JOURNAL:
        result = dump_journal(&dump);
        break;
    case VMFS_DUMP_INODE:
        result = dump_inode(&dump, where);
        break;
    case VMFS_DUMP_BLOCK:
        result = dump_block(&dump, where);
        break;
    case VMFS_DUMP_TREE:
        result = dump_tree(&dump, where ? where : VM_ROOT_ID);
        break;
    default:
        result = dump_bad_argument(&dump, what);
    }
    ctx->err.is_speculative = was_speculative;
    return result;
}
