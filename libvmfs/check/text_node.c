/* text_node.c -- index nodes, names, extents and attributes as text */
#include <string.h>

#include "base/hash.h"
#include "base/util.h"
#include "check/text.h"
#include "index/cell.h"
#include "index/node.h"

#define XATTR_BLOCKS 1u

void vm_extent_to_text(struct vm_dump *dump, const struct vm_extent_media *media, uint64_t offset)
{
    struct vm_extent extent;
    uint64_t place = vm_get64(media->place);
    bool is_sound = vm_extent_load(dump->ctx, media, offset, &extent) == 0;
    vm_say(dump, "extent: offset=%n check=%c file_block=%n block=%n blocks=%n flags=%x birth=%n",
           offset, is_sound, vm_get64(media->file_block),
           place & (((uint64_t)1 << VM_EXTENT_PLACE_BITS) - 1), vm_get32(media->blocks),
           place >> VM_EXTENT_PLACE_BITS, vm_get64(media->birth));
    vm_say_end(dump);
}

static void say_xattr_blocks(struct vm_dump *dump, const uint8_t *bytes)
{
    const struct vm_region *region = dump->region;
    struct vm_xattr_media media;
    memcpy(&media, bytes, sizeof media);
    uint64_t block = vm_get64(media.block);
    uint64_t len_bytes = vm_get32(media.len_bytes);
    uint64_t count = vm_get32(media.blocks);
    bool is_inside = len_bytes <= VMFS_XATTR_MAX && count == vm_div_up(len_bytes, VM_BLOCK_BYTES) &&
                     vm_range_inside(block, count, region->blocks);
    bool is_sound = is_inside && vm_get64(media.check) ==
                                     vm_hash64(region->hash_seed ^ block,
                                               region->base + block * VM_BLOCK_BYTES, len_bytes);
    vm_say(dump, "value: block=%n blocks=%n len_bytes=%n check=%c", block, count, len_bytes,
           is_sound);
    vm_say_end(dump);
}

static int name_to_text(void *arg, const struct vm_named_hit *hit, const uint8_t *name)
{
    struct vm_dump *dump = arg;
    const struct vm_named_entry *entry = &hit->entry;
    vm_say(dump, "name: cell=%n cells=%n check=%c key=%x value=%n type=%n name=", hit->cell,
           hit->cells, true, entry->key, entry->value, entry->type);
    vm_say_bytes(dump, name, entry->name_bytes);
    vm_say_end(dump);
    if (entry->type != XATTR_BLOCKS || entry->payload_bytes < sizeof(struct vm_xattr_media) ||
        entry->value == 0)
        return 0;
    dump->indent++;
    say_xattr_blocks(dump, name + entry->name_bytes);
    dump->indent--;
    return 0;
}

static int slot_to_text(void *arg, const struct vm_extent *extent)
{
    vm_say(arg, "extent: check=%c file_block=%n block=%n blocks=%n flags=%x birth=%n", true,
           extent->file_block, extent->block, extent->blocks, extent->flags, extent->birth);
    vm_say_end(arg);
    return 0;
}

static void bad_to_text(void *arg, uint64_t offset, int reason)
{
    vm_say(arg, "BAD: offset=%n reason=%n ", offset, (uint64_t)reason);
    vm_say_text(arg, vmfs_reason_str(reason));
    vm_say_end(arg);
}

static void children_to_text(struct vm_dump *dump, const union vm_head *head)
{
    for (uint32_t index = 0; index < vm_head_count(head); index++) {
        struct vm_place place;
        vm_child_place(dump->ctx, head, index, &place);
        vm_say(dump, "child %n: low=%x high=%x offset=%n", index, place.low, place.high,
               place.offset);
        vm_say_end(dump);
    }
}

static void say_head(struct vm_dump *dump, const struct vm_node_media *node, uint64_t offset,
                     bool is_sound)
{
    const char *kind = node->kind == VM_NODE_INNER   ? "inner"
                       : node->kind == VM_NODE_NAMED ? "named"
                       : node->kind == VM_NODE_FIXED ? "fixed"
                                                     : "unknown";
    vm_say(dump, "node: offset=%n check=%c kind=", offset, is_sound);
    vm_say_text(dump, kind);
    vm_say(dump, " level=%n count=%n low=%x high=%x tag=%x birth=%n self=%n", node->level,
           vm_get16(node->count), vm_get64(node->low), vm_get64(node->high), vm_get64(node->tag),
           vm_get64(node->birth), vm_get64(node->self));
    vm_say_end(dump);
}

void vm_node_to_text(struct vm_dump *dump, uint64_t offset)
{
    struct vm_node_media raw;
    union vm_head head;
    if (vm_read(dump->ctx, offset, &raw, sizeof raw))
        return;
    bool is_sound = vm_head_load(dump->ctx, offset, &head) == 0;
    say_head(dump, &raw, offset, is_sound);
    if (!is_sound)
        return;
    dump->indent++;
    if (head.node.kind == VM_NODE_INNER)
        children_to_text(dump, &head);
    else if (head.node.kind == VM_NODE_NAMED)
        (void)vm_named_each(dump->ctx, offset, name_to_text, bad_to_text, dump);
    else
        (void)vm_extents_each(dump->ctx, offset, slot_to_text, bad_to_text, dump);
    dump->indent--;
}
