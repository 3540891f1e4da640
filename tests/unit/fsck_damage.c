/* fsck_damage.c -- one field changed at a time, with the hashes around it made right again where
 * the point is what they cannot see */
#include <string.h>

#include "api/public.h"
#include "base/hash.h"
#include "fsck_world.h"
#include "journal/record.h"
#include "space/group.h"

static union node attribute_leaf(void)
{
    struct vm_inode inode = inode_of("/attrs");
    union node root = node_get(vm_inode_xattr_map(&inode).root);
    return root.head.level ? node_get(vm_get64(root.inner.child[0])) : root;
}

static uint32_t first_cell(const union node *leaf)
{
    uint32_t cell = 0;
    while (leaf->named.fp[cell] == 0)
        cell++;
    return cell;
}

static void super_a(void)
{
    poke_flip(offsetof(struct vm_super_media, label), 1);
}

static void super_b(void)
{
    poke_flip(VM_SUPER_B_BLOCK * VM_BLOCK_BYTES + 4000, 0x80);
}

static void super_old(void)
{
    struct vm_super_media super;
    memcpy(&super, at(0), sizeof super);
    super.generation = vm_put64(vm_get64(super.generation) + 1);
    super.check = vm_put64(vm_hash64(0, (uint8_t *)&super + 16, sizeof super - 16));
    poke(0, &super, sizeof super);
}

static void line_damage(void)
{
    poke_flip(VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES + 17, 4);
}

static void line_put(unsigned copy, uint64_t era_change, uint64_t free_change)
{
    uint64_t offset = (copy ? VM_WATERMARK_B_BLOCK : VM_WATERMARK_A_BLOCK) * VM_BLOCK_BYTES;
    struct vm_watermark_media line;
    memcpy(&line, at(offset), sizeof line);
    line.era = vm_put64(vm_get64(line.era) + era_change);
    line.blocks_free = vm_put64(vm_get64(line.blocks_free) + free_change);
    line.check = vm_put64(vm_hash64(vm_get64(line.nonce) ^ offset, &line, 56));
    poke(offset, &line, sizeof line);
}

static void line_era(void)
{
    line_put(1, 1, 0);
}

static void line_totals(void)
{
    line_put(0, 0, 1);
    line_put(1, 0, 1);
}

uint64_t live_record(void)
{
    const struct vm_journal *journal = &world.fs->volume.journal;
    for (uint32_t index = 0; index < journal->lane_count; index++) {
        const struct vm_lane *lane = &journal->lanes[index];
        uint32_t tail = atomic_load(&lane->ring_tail);
        if (tail != atomic_load(&lane->ring_head))
            return lane->medium_offset + lane->ring[tail & (lane->ring_size - 1)].offset;
    }
    cr_assert_fail("every record is retired");
    return 0;
}

static void record_body(void)
{
    poke_flip(live_record() + sizeof(struct vm_record_media) + 3, 0x10);
}

static void record_lost(void)
{
    poke_flip(live_record(), 1);
}

static void zone_state(void)
{
    poke_flip(group().state_offset + 16, 2);
}

static void group_descriptor(void)
{
    poke_flip(group().descriptor_offset + 40, 1);
}

static void bitmap_tail(void)
{
    poke_flip(group().bitmap_offset + region()->bytes / VM_BLOCK_BYTES / 8 + 5, 1);
}

static void touched_lost(void)
{
    uint64_t offset = group().descriptor_offset + offsetof(struct vm_group_media, touched);
    uint64_t chunk = first_extent("/plain").block / VM_CHUNK_BLOCKS;
    cr_assert(vm_load64_home(region(), offset) >> chunk & 1);
    poke_u64(offset, vm_load64_home(region(), offset) & ~((uint64_t)1 << chunk));
}

static void map_root_head(void)
{
    poke_flip(VM_INODE_MAP_BLOCK * VM_BLOCK_BYTES + 9, 1);
}

static void map_root_entry(void)
{
    poke_flip(map_entry_offset(VM_INODE_MAP_BLOCK, 0) + 3, 1);
}

static void map_leaf_head(void)
{
    poke_flip(map_leaf_block() * VM_BLOCK_BYTES + 4, 1);
}

static void map_leaf_entry(void)
{
    poke_flip(map_entry_offset(map_leaf_block(), 1), 1);
}

/* The last chunk is not named any more, and nothing says that it was. */
static void map_entry_lost(void)
{
    const struct vm_map_entry_media none = {.block = vm_put64(0)};
    uint64_t last = 0;
    while (chunk_block(last + 1))
        last++;
    poke(map_entry_offset(map_leaf_block(), last), &none, sizeof none);
}

static void map_entry_far(void)
{
    map_entry_put(map_entry_offset(map_leaf_block(), 1), region()->bytes / VM_BLOCK_BYTES - 1);
}

static void map_entry_behind(void)
{
    map_entry_put(map_entry_offset(map_leaf_block(), VM_MAP_ENTRIES - 1), chunk_block(0));
}

static void map_entry_twice(void)
{
    map_entry_put(map_entry_offset(map_leaf_block(), 1), chunk_block(0));
}

static void chunk_head(void)
{
    poke_flip(chunk_block(0) * VM_BLOCK_BYTES + 24, 1);
}

/* The used or orphan bit of an inode, which is as it should be. */
static void bit_flip(uint64_t id, size_t field, bool is_set)
{
    uint64_t slot = vm_id_slot(id);
    uint64_t stride = (uint64_t)region()->chunk_blocks * 16;
    uint64_t offset = chunk_block(slot / stride) * VM_BLOCK_BYTES + field + slot % stride / 64 * 8;
    uint64_t word = vm_load64_home(region(), offset);
    uint64_t bit = (uint64_t)1 << slot % stride % 64;
    cr_assert_eq((word & bit) != 0, is_set);
    poke_u64(offset, word ^ bit);
}

static void used_bit(void)
{
    bit_flip(id_of("/many"), offsetof(struct vm_chunk_media, used), true);
}

static void orphan_bit(void)
{
    bit_flip(id_of("/many"), offsetof(struct vm_chunk_media, orphan), false);
}

static void orphan_bit_lost(void)
{
    bit_flip(world.held->id, offsetof(struct vm_chunk_media, orphan), true);
}

static void chunk_tail_bit(void)
{
    uint64_t slots = (uint64_t)(region()->chunk_blocks - 1) * 16;
    poke_flip(chunk_block(0) * VM_BLOCK_BYTES + offsetof(struct vm_chunk_media, used) + slots / 8,
              1);
}

static void inode_first_hash(void)
{
    poke_flip(inode_of("/plain").offset + 20, 1);
}

static void inode_second_hash(void)
{
    poke_flip(inode_of("/plain").offset + 100, 1);
}

static void inode_kind(void)
{
    struct vm_inode inode = inode_of("/plain");
    inode.m.kind = VM_INODE_FROZEN;
    inode_put(&inode);
}

static void inode_form(void)
{
    struct vm_inode inode = inode_of("/device");
    inode.m.form = VM_BODY_TREE;
    inode_put(&inode);
}

static void inode_type(void)
{
    struct vm_inode inode = inode_of("/device");
    inode.m.mode = vm_put16(0110600);
    inode_put(&inode);
}

static void inode_state(void)
{
    struct vm_inode inode = inode_of("/plain");
    inode.m.generation = vm_put32(vm_get32(inode.m.generation) | 0x80000000u);
    inode_put(&inode);
}

static void inode_beyond(void)
{
    struct vm_inode inode = inode_of("/plain");
    vm_inode_set_beyond(&inode, true);
    inode_put(&inode);
}

static void inode_birth(void)
{
    struct vm_inode inode = inode_of("/plain");
    inode.m.birth = vm_put64(region()->epoch + 1);
    inode_put(&inode);
}

static void slot_not_empty(void)
{
    uint64_t slots = (uint64_t)(region()->chunk_blocks - 1) * 16;
    uint64_t first = (chunk_block(0) + 1) * VM_BLOCK_BYTES;
    struct vm_inode inode = {.id = VM_ROOT_ID + 1};
    for (; inode.id < slots; inode.id++) {
        inode.offset = first + inode.id * VM_INODE_BYTES;
        memcpy(&inode.m, at(inode.offset), sizeof inode.m);
        if (inode.m.kind == VM_INODE_FREE)
            break;
    }
    cr_assert(inode.id < slots, "no slot is free");
    inode.m.nlink = vm_put32(1);
    inode_put(&inode);
}

static void symlink_size(void)
{
    struct vm_inode inode = inode_of("/short");
    vm_inode_set_size(&inode, 0);
    inode_put(&inode);
}

static void root_hash(void)
{
    poke_flip(inode_by_id(VM_ROOT_ID).offset + 20, 1);
}

static void root_parent(void)
{
    struct vm_inode inode = inode_by_id(VM_ROOT_ID);
    inode.m.parent = vm_put64(id_of("/dir"));
    inode_put(&inode);
}

static void node_head(void)
{
    poke_flip(vm_get64(leaf_of("/many").head.self) + 20, 1);
}

static void node_tag(void)
{
    union node leaf = leaf_of("/many");
    leaf.head.tag = vm_put64(vm_get64(leaf.head.tag) + 1);
    node_put(&leaf);
}

static void node_birth(void)
{
    union node leaf = leaf_of("/fragments");
    leaf.head.birth = vm_put64(region()->epoch + 1);
    node_put(&leaf);
}

static void inner_key(void)
{
    uint64_t self = vm_get64(root_of("/many").head.self);
    poke_flip(self + offsetof(struct vm_inner_media, key) + 8 + 6, 1);
}

static void inner_first_key(void)
{
    poke_flip(vm_get64(root_of("/many").head.self) + offsetof(struct vm_inner_media, key) + 1, 1);
}

static void inner_child(void)
{
    union node root = root_of("/many");
    poke_u64(vm_get64(root.head.self) + offsetof(struct vm_inner_media, child) + 8,
             vm_get64(root.inner.child[0]));
}

static void inner_child_outside(void)
{
    uint64_t self = vm_get64(root_of("/fragments").head.self);
    poke_u64(self + offsetof(struct vm_inner_media, child), region()->bytes * 1000 + 8);
}

static void leaf_kind(void)
{
    struct vm_inode file = inode_of("/fragments");
    union node leaf = leaf_of("/many");
    leaf.head.tag = file.m.tag;
    leaf.head.low = vm_put64(0);
    leaf.head.high = vm_put64(VM_KEY_MAX);
    node_put(&leaf);
    file.m.body.word[0] = leaf.head.self;
    inode_put(&file);
}

static void cell_byte(void)
{
    union node leaf = leaf_of("/many");
    poke_flip(vm_cell_offset(vm_get64(leaf.head.self), first_cell(&leaf)) + 30, 1);
}

static void cell_fingerprint(void)
{
    union node leaf = leaf_of("/many");
    uint8_t *fp = &leaf.named.fp[first_cell(&leaf)];
    *fp ^= *fp == 0x41 ? 0x42 : 0x41; /* zero would say that no entry starts there */
    node_put(&leaf);
}

static void leaf_bitmap(void)
{
    union node leaf = root_of("/dir");
    uint64_t bitmap = vm_get64(leaf.named.bitmap);
    leaf.named.bitmap = vm_put64(bitmap | (~bitmap & -~bitmap)); /* the lowest free cell */
    node_put(&leaf);
}

static void leaf_count(void)
{
    union node leaf = root_of("/dir");
    leaf.head.count = vm_put16((uint16_t)(vm_get16(leaf.head.count) + 1));
    node_put(&leaf);
}

/* The first entry of the directory's leaf once more, in free cells, with another discriminator. */
static void name_twice(void)
{
    union node leaf = root_of("/dir");
    union vm_entry_cells entry;
    uint64_t self = vm_get64(leaf.head.self);
    cr_assert_eq(vm_entry_read(&world.ctx, self, first_cell(&leaf), &entry), 0);
    uint32_t cell = (uint32_t)__builtin_ctzll(~vm_get64(leaf.named.bitmap));
    uint64_t run = vm_cell_run(cell, entry.cell.cells);
    cr_assert_eq(entry.cell.cells, 1);
    entry.cell.key = vm_put64(vm_get64(entry.cell.key) + 1);
    vm_entry_seal(region(), &entry, vm_cell_offset(self, cell));
    memcpy(leaf.named.cells[cell], entry.bytes, (size_t)entry.cell.cells * VM_CELL_BYTES);
    leaf.named.bitmap = vm_put64(vm_get64(leaf.named.bitmap) | run);
    leaf.named.fp[cell] = vm_key_fp(vm_get64(entry.cell.key));
    leaf.head.count = vm_put16((uint16_t)(vm_get16(leaf.head.count) + 1));
    node_put(&leaf);
}

static void name_key(void)
{
    struct vm_named_hit hit = entry_of("/dir", "below");
    union vm_entry_cells entry;
    cr_assert_eq(vm_entry_read(&world.ctx, hit.leaf, hit.cell, &entry), 0);
    entry.cell.key = vm_put64(vm_get64(entry.cell.key) ^ (uint64_t)1 << 40);
    vm_entry_seal(region(), &entry, vm_cell_offset(hit.leaf, hit.cell));
    poke(vm_cell_offset(hit.leaf, hit.cell), entry.bytes, VM_CELL_BYTES);
}

static void slot_byte(void)
{
    union node leaf = leaf_of("/fragments");
    poke_flip(vm_get64(leaf.head.self) + offsetof(struct vm_fixed_media, slots) + 32 + 24, 1);
}

static void slot_order(void)
{
    union node leaf = leaf_of("/fragments");
    struct vm_extent_media first = leaf.fixed.slots[0][1];
    leaf.fixed.slots[0][1] = leaf.fixed.slots[0][2];
    leaf.fixed.slots[0][2] = first;
    node_put(&leaf);
}

static void slot_overlap(void)
{
    union node leaf = leaf_of("/fragments");
    struct vm_extent_media *slot = &leaf.fixed.slots[0][1];
    slot->blocks = vm_put32(3);
    extent_seal(slot);
    node_put(&leaf);
}

/* The last extent of a leaf reaches into the next leaf's interval. */
static void leaf_overlap(void)
{
    union node leaf = leaf_of("/fragments");
    uint32_t segment = VM_SEGMENTS - 1;
    while (leaf.fixed.used[segment] == 0)
        segment--;
    struct vm_extent_media *slot = &leaf.fixed.slots[segment][leaf.fixed.used[segment] - 1u];
    slot->blocks = vm_put32(3);
    extent_seal(slot);
    node_put(&leaf);
}

static void segment_first(void)
{
    union node leaf = leaf_of("/fragments");
    leaf.fixed.first[0] = vm_put64(vm_get64(leaf.fixed.first[0]) + 1);
    node_put(&leaf);
}

static void segment_used(void)
{
    union node leaf = leaf_of("/fragments");
    leaf.fixed.used[0]--;
    node_put(&leaf);
}

static void inline_byte(void)
{
    struct vm_inode inode = inode_of("/few");
    inode.m.body.extents[1].place = vm_put64(vm_get64(inode.m.body.extents[1].place) + 1);
    inode_put(&inode);
}

static void inline_order(void)
{
    struct vm_inode inode = inode_of("/few");
    struct vm_extent_media first = inode.m.body.extents[0];
    inode.m.body.extents[0] = inode.m.body.extents[1];
    inode.m.body.extents[1] = first;
    inode_put(&inode);
}

static void inline_gap(void)
{
    struct vm_inode inode = inode_of("/few");
    inode.m.body.extents[3] = inode.m.body.extents[2];
    memset(&inode.m.body.extents[2], 0, sizeof inode.m.body.extents[2]);
    inode_put(&inode);
}

static void extent_flags(void)
{
    struct vm_inode inode = inode_of("/few");
    struct vm_extent_media *media = &inode.m.body.extents[0];
    media->place = vm_put64(vm_get64(media->place) | (uint64_t)2 << VM_EXTENT_PLACE_BITS);
    extent_seal(media);
    inode_put(&inode);
}

static void extent_outside(void)
{
    struct vm_inode inode = inode_of("/few");
    struct vm_extent_media *media = &inode.m.body.extents[0];
    media->place = vm_put64(region()->bytes / VM_BLOCK_BYTES);
    extent_seal(media);
    inode_put(&inode);
}

static void size_short(void)
{
    struct vm_inode inode = inode_of("/fragments");
    vm_inode_set_size(&inode, 4096);
    inode_put(&inode);
}

static void block_count(void)
{
    struct vm_inode inode = inode_of("/big");
    vm_inode_add_blocks(&inode, 1);
    inode_put(&inode);
}

static void directory_size(void)
{
    struct vm_inode inode = inode_of("/many");
    vm_inode_set_size(&inode, vm_inode_size(&inode) - 1);
    inode_put(&inode);
}

static void attribute_cell(void)
{
    union node leaf = attribute_leaf();
    poke_flip(vm_cell_offset(vm_get64(leaf.head.self), first_cell(&leaf)) + 8, 1);
}

static struct vm_xattr_media attribute_value(const struct vm_named_hit *hit)
{
    uint8_t bytes[VM_NAMED_PAYLOAD_MAX];
    struct vm_xattr_media media;
    cr_assert_eq(vm_named_copy(&world.ctx, hit, bytes), 0);
    memcpy(&media, bytes + hit->entry.name_bytes, sizeof media);
    return media;
}

static void attribute_bytes(void)
{
    struct vm_named_hit hit = attribute_of("/attrs", "user.large");
    struct vm_xattr_media media = attribute_value(&hit);
    poke_flip(vm_get64(media.block) * VM_BLOCK_BYTES + 4999, 1);
}

static void attribute_length(void)
{
    struct vm_named_hit hit = attribute_of("/attrs", "user.large");
    entry_put(&hit, hit.entry.value + 1, hit.entry.type);
}

static void attribute_type(void)
{
    struct vm_named_hit hit = attribute_of("/attrs", "user.large");
    entry_put(&hit, hit.entry.value, 2);
}

static void acl_length(void)
{
    struct vm_named_hit hit = attribute_of("/fifo", "system.posix_acl_access");
    entry_put(&hit, hit.entry.value - 1, hit.entry.type);
}

static void acl_empty(void)
{
    struct vm_named_hit hit = attribute_of("/dir", "system.posix_acl_default");
    entry_put(&hit, 4, hit.entry.type);
}

static void acl_mode(void)
{
    struct vm_inode inode = inode_of("/attrs");
    inode.m.mode = vm_put16((uint16_t)(vm_inode_mode(&inode) ^ 0020));
    inode_put(&inode);
}

static void attribute_root(void)
{
    struct vm_inode inode = inode_of("/dir");
    poke_flip(vm_inode_xattr_map(&inode).root + 66, 1);
}

static void bitmap_clear(void)
{
    uint64_t block = first_extent("/plain").block;
    poke_flip(bitmap_offset_of(block), (uint8_t)(1u << block % 8));
}

static void bitmap_leak(void)
{
    uint64_t block = region()->bytes / VM_BLOCK_BYTES - 1;
    poke_flip(bitmap_offset_of(block), (uint8_t)(1u << block % 8));
}

static void bitmap_reserved(void)
{
    poke_flip(bitmap_offset_of(0), 1);
}

static void block_shared(void)
{
    struct vm_inode inode = inode_of("/few");
    struct vm_extent_media *media = &inode.m.body.extents[0];
    media->place = vm_put64(first_extent("/plain").block);
    extent_seal(media);
    inode_put(&inode);
}

/* The first block of a file's data is somebody else's. */
static void block_put(const char *path, uint64_t block)
{
    struct vm_inode inode = inode_of(path);
    struct vm_extent_media *media = &inode.m.body.extents[0];
    media->place = vm_put64(block);
    extent_seal(media);
    inode_put(&inode);
}

static void block_of_inodes(void)
{
    block_put("/few", chunk_block(0) + 1);
}

static void block_of_journal(void)
{
    block_put("/few", region()->lane_offset / VM_BLOCK_BYTES);
}

static void block_of_node(void)
{
    block_put("/few", vm_get64(leaf_of("/many").head.self) / VM_BLOCK_BYTES);
}

/* Whoever is walked first is not in the right for that. */
static void block_of_later_node(void)
{
    block_put("/small", vm_get64(leaf_of("/fragments").head.self) / VM_BLOCK_BYTES);
}

static void block_of_value(void)
{
    struct vm_named_hit hit = attribute_of("/attrs", "user.largest");
    block_put("/few", vm_get64(attribute_value(&hit).block));
}

static void node_shared(void)
{
    struct vm_inode from = inode_of("/many");
    struct vm_inode to = inode_of("/dir");
    to.m.tag = from.m.tag;
    to.m.body = from.m.body;
    to.m.xattr_root = vm_put64(0);
    inode_put(&to);
}

static void name_of_nothing(void)
{
    struct vm_named_hit hit = entry_of("/dir", "below");
    entry_put(&hit, hit.entry.value | (uint64_t)5 << VM_SLOT_BITS, hit.entry.type);
}

static void name_far(void)
{
    struct vm_named_hit hit = entry_of("/dir", "below");
    entry_put(&hit, ~(uint64_t)0, hit.entry.type);
}

static void name_type(void)
{
    struct vm_named_hit hit = entry_of("/dir", "below");
    entry_put(&hit, hit.entry.value, 8);
}

static void file_links(void)
{
    struct vm_inode inode = inode_of("/plain");
    vm_inode_set_nlink(&inode, 4);
    inode_put(&inode);
}

static void directory_links(void)
{
    struct vm_inode inode = inode_of("/dir");
    vm_inode_set_nlink(&inode, vm_inode_nlink(&inode) - 1);
    inode_put(&inode);
}

static void directory_parent(void)
{
    struct vm_inode inode = inode_of("/dir/below");
    inode.m.parent = vm_put64(VM_ROOT_ID);
    inode_put(&inode);
}

static void directory_twice(void)
{
    struct vm_named_hit hit = entry_of("/dir", "moved");
    entry_put(&hit, id_of("/dir/below"), hit.entry.type);
}

static void name_of_root(void)
{
    struct vm_named_hit hit = entry_of("/dir", "moved");
    entry_put(&hit, VM_ROOT_ID, hit.entry.type);
}

static void file_lost(void)
{
    struct vm_named_hit hit = entry_of("/", "few");
    entry_put(&hit, id_of("/plain"), hit.entry.type);
}

/* below/ and deep/ change places with dir/: the root names deep/, below/ names dir/. */
static void directory_cycle(void)
{
    struct vm_named_hit top = entry_of("/", "dir");
    struct vm_named_hit bottom = entry_of("/dir/below", "deep");
    struct vm_inode dir = inode_of("/dir");
    struct vm_inode below = inode_of("/dir/below");
    struct vm_inode deep = inode_of("/dir/below/deep");
    entry_put(&top, deep.id, top.entry.type);
    entry_put(&bottom, dir.id, bottom.entry.type);
    dir.m.parent = vm_put64(below.id);
    deep.m.parent = vm_put64(VM_ROOT_ID);
    inode_put(&dir);
    inode_put(&deep);
}

static void super_both(struct vm_super_media *super)
{
    static const uint64_t offsets[2] = {VM_SUPER_A_BLOCK * VM_BLOCK_BYTES,
                                        VM_SUPER_B_BLOCK * VM_BLOCK_BYTES};
    for (unsigned copy = 0; copy < 2; copy++) {
        super->self = vm_put64(offsets[copy]);
        super->check = vm_put64(vm_hash64(0, (uint8_t *)super + 16, sizeof *super - 16));
        poke(offsets[copy], super, sizeof *super);
    }
}

static void super_clock(void)
{
    struct vm_super_media super;
    memcpy(&super, at(0), sizeof super);
    super.epoch_limit = super.epoch;
    super_both(&super);
}

static void super_root(void)
{
    struct vm_super_media super;
    memcpy(&super, at(0), sizeof super);
    super.share.root_inode = vm_put64(2);
    super_both(&super);
}

static void line_ahead(void)
{
    uint64_t offset = VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES;
    struct vm_watermark_media line;
    memcpy(&line, at(offset), sizeof line);
    line.watermark = vm_put64((uint64_t)1 << 40);
    line.check = vm_put64(vm_hash64(vm_get64(line.nonce) ^ offset, &line, 56));
    poke(offset, &line, sizeof line);
}

static void lines_both(void)
{
    poke_flip(VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES, 1);
    poke_flip(VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES, 1);
}

/* An entry that would change a superblock. */
static void record_target(void)
{
    uint64_t offset = live_record();
    uint64_t words[2048];
    const struct vm_record_media *header = at(offset);
    uint32_t len_bytes = vm_get32(header->len_bytes);
    cr_assert(len_bytes > 72 && len_bytes <= sizeof words);
    memcpy(words, at(offset), len_bytes);
    words[8] &= ~(((uint64_t)1 << 48) - 1);
    vm_record_seal(words, offset);
    poke(offset, words, len_bytes);
}

static void touched_behind(void)
{
    uint64_t offset = group().descriptor_offset + offsetof(struct vm_group_media, touched);
    poke_u64(offset, vm_load64_home(region(), offset) | (uint64_t)1 << 63);
}

static void map_root_behind(void)
{
    map_entry_put(map_entry_offset(VM_INODE_MAP_BLOCK, 5), map_leaf_block());
}

/* Enough damaged entries for more chunks than the region has room for. */
static void map_too_long(void)
{
    uint64_t leaf = map_leaf_block();
    uint64_t lost = region()->bytes / VM_BLOCK_BYTES / region()->chunk_blocks / VM_MAP_ENTRIES;
    for (uint64_t index = 0; index < lost; index++)
        poke_u64(map_entry_offset(VM_INODE_MAP_BLOCK, index), 1);
    map_entry_put(map_entry_offset(VM_INODE_MAP_BLOCK, lost), leaf);
    for (uint64_t index = 0; index < VM_MAP_ENTRIES; index++)
        poke_u64(map_entry_offset(leaf, index), 1);
}

static void slot_nobody(void)
{
    poke_flip(chunk_block(0) * VM_BLOCK_BYTES + offsetof(struct vm_chunk_media, used), 1);
}

static void directory_beyond(void)
{
    struct vm_inode inode = inode_of("/dir");
    vm_inode_set_beyond(&inode, true);
    inode_put(&inode);
}

static void symlink_form(void)
{
    struct vm_inode inode = inode_of("/long");
    inode.m.form = VM_BODY_EMPTY;
    inode_put(&inode);
}

/* A name of one cell says that it has the next one too, which is another's. */
static void cell_overlap(void)
{
    union node leaf = leaf_of("/many");
    uint64_t self = vm_get64(leaf.head.self);
    union vm_entry_cells entry;
    for (uint32_t cell = 0; cell + 1 < VM_CELL_COUNT; cell++) {
        if (leaf.named.fp[cell] == 0 || leaf.named.fp[cell + 1] == 0 ||
            vm_entry_read(&world.ctx, self, cell, &entry) || entry.cell.cells > 1)
            continue;
        memcpy(entry.bytes + VM_CELL_BYTES, leaf.named.cells[cell + 1], VM_CELL_BYTES);
        entry.cell.cells = 2;
        vm_entry_seal(region(), &entry, vm_cell_offset(self, cell));
        poke(vm_cell_offset(self, cell), entry.bytes, VM_CELL_BYTES);
        return;
    }
    cr_assert_fail("no two names lie side by side");
}

static void attribute_shared(void)
{
    struct vm_named_hit hit = attribute_of("/attrs", "user.large");
    struct vm_named_hit other = attribute_of("/attrs", "user.largest");
    struct vm_xattr_media media = attribute_value(&hit);
    struct vm_xattr_media largest = attribute_value(&other);
    union vm_entry_cells entry;
    cr_assert_eq(vm_entry_read(&world.ctx, hit.leaf, hit.cell, &entry), 0);
    media.block = largest.block;
    memcpy(entry.cell.payload + hit.entry.name_bytes, &media, sizeof media);
    vm_entry_seal(region(), &entry, vm_cell_offset(hit.leaf, hit.cell));
    poke(vm_cell_offset(hit.leaf, hit.cell), entry.bytes, (size_t)hit.cells * VM_CELL_BYTES);
}

/* Every empty file has the blocks of the big one: more than may be met again at full length. */
static void blocks_of_all(void)
{
    struct vm_extent_media media = inode_of("/big").m.body.extents[0];
    uint64_t slots = (uint64_t)(region()->chunk_blocks - 1) * 16;
    for (uint64_t chunk = 0; chunk_block(chunk); chunk++)
        for (uint64_t slot = 0; slot < slots; slot++) {
            struct vm_inode inode = {.id = chunk * 16 * region()->chunk_blocks + slot};
            inode.offset = (chunk_block(chunk) + 1) * VM_BLOCK_BYTES + slot * VM_INODE_BYTES;
            memcpy(&inode.m, at(inode.offset), sizeof inode.m);
            if (inode.m.kind != VM_INODE_FILE || inode.m.form != VM_BODY_EMPTY)
                continue;
            inode.m.form = VM_BODY_EXTENTS;
            inode.m.body.extents[0] = media;
            inode_put(&inode);
        }
}

static void directory_dead(void)
{
    struct vm_inode inode = inode_of("/dir");
    vm_inode_set_nlink(&inode, 0);
    inode_put(&inode);
}

#define COSTLY(pass, name, text, cost)                                                             \
    {                                                                                              \
#name, VM_PASS_##pass, text, name, cost                                                    \
    }
#define DAMAGE(pass, name, text) COSTLY(pass, name, text, "")

const struct damage damages[] = {
    DAMAGE(SUPERBLOCKS, super_a, "copy in block 0"),
    DAMAGE(SUPERBLOCKS, super_b, "copy in block 3"),
    DAMAGE(SUPERBLOCKS, super_old, "copies differ"),
    DAMAGE(SUPERBLOCKS, super_clock, "the clock"),
    DAMAGE(SUPERBLOCKS, super_root, "cannot be the root"),
    DAMAGE(WATERMARK, line_damage, "line in block 1"),
    DAMAGE(WATERMARK, line_era, "two eras"),
    DAMAGE(WATERMARK, line_ahead, "above the last record"),
    DAMAGE(WATERMARK, lines_both, "line in block 2"),
    DAMAGE(JOURNAL, record_body, "fails its check"),
    DAMAGE(JOURNAL, record_lost, "there should be"),
    DAMAGE(JOURNAL, record_target, "changes no home"),
    DAMAGE(GROUPS, zone_state, "zone state"),
    DAMAGE(GROUPS, group_descriptor, "descriptor"),
    DAMAGE(GROUPS, bitmap_tail, "bits set behind"),
    DAMAGE(GROUPS, touched_lost, "never touched"),
    DAMAGE(GROUPS, touched_behind, "touched chunks behind"),
    DAMAGE(INODES, map_root_head, "head of the map block 5"),
    DAMAGE(INODES, map_root_entry, "entry 0 of the map block 5"),
    DAMAGE(INODES, map_root_behind, "map's root is behind"),
    DAMAGE(INODES, map_leaf_head, "head of the map block"),
    DAMAGE(INODES, map_leaf_entry, "entry 1 of"),
    DAMAGE(BLOCKS, map_entry_lost, "but not used"),
    DAMAGE(INODES, map_entry_far, "entry 1 of"),
    DAMAGE(INODES, map_entry_behind, "entry 251"),
    DAMAGE(INODES, map_too_long, "no room"),
    DAMAGE(BLOCKS, map_entry_twice, "used twice"),
    DAMAGE(INODES, chunk_head, "head of the inode chunk"),
    DAMAGE(INODES, used_bit, "the used bit"),
    DAMAGE(ORPHANS, orphan_bit, "the orphan bit"),
    DAMAGE(ORPHANS, orphan_bit_lost, "no orphan bit"),
    DAMAGE(INODES, chunk_tail_bit, "bits behind its end"),
    DAMAGE(INODES, slot_nobody, "somebody's"),
    COSTLY(INODES, inode_first_hash, "fails its check", "/plain:1"),
    COSTLY(INODES, inode_second_hash, "fails its check", "/plain:1"),
    COSTLY(INODES, inode_kind, "fails its check", "!/plain"),
    COSTLY(INODES, inode_form, "fails its check", "!/device"),
    COSTLY(INODES, inode_type, "its type cannot have", "!/device"),
    DAMAGE(INODES, inode_state, "undefined flags"),
    DAMAGE(ORPHANS, inode_beyond, "no orphan bit"),
    DAMAGE(INODES, directory_beyond, "is no file"),
    DAMAGE(INODES, inode_birth, "not born"),
    DAMAGE(INODES, slot_not_empty, "not empty"),
    COSTLY(INODES, symlink_size, "its type cannot have", "!/short"),
    COSTLY(INODES, symlink_form, "its type cannot have", "!/long"),
    COSTLY(INODES, root_hash, "is no directory", "/"),
    DAMAGE(INODES, root_parent, "the root has"),
    COSTLY(MAPS, node_head, "the node at", "/many"),
    COSTLY(MAPS, node_tag, "the node at", "/many"),
    COSTLY(MAPS, node_birth, "the node at", "/fragments"),
    COSTLY(MAPS, inner_key, "the node at", "/many"),
    DAMAGE(MAPS, inner_first_key, "first key"),
    COSTLY(MAPS, inner_child, "the node at", "/many"),
    COSTLY(MAPS, inner_child_outside, "the node at", "/fragments"),
    COSTLY(MAPS, leaf_kind, "wrong kind", "/many /fragments"),
    COSTLY(MAPS, cell_byte, "the entry at", "/many"),
    DAMAGE(MAPS, cell_fingerprint, "the entry at"),
    DAMAGE(MAPS, cell_overlap, "over each other"),
    DAMAGE(MAPS, leaf_bitmap, "counts other cells"),
    DAMAGE(MAPS, leaf_count, "counts other cells"),
    DAMAGE(MAPS, name_twice, "twice"),
    DAMAGE(MAPS, name_key, "the entry at"),
    COSTLY(MAPS, slot_byte, "the extent at offset", "/fragments"),
    DAMAGE(MAPS, slot_order, "the extent at offset"),
    COSTLY(MAPS, slot_overlap, "the extent at offset", "+/fragments"),
    COSTLY(MAPS, leaf_overlap, "lies over the one before", "+/fragments"),
    DAMAGE(MAPS, segment_first, "the extent at offset"),
    COSTLY(MAPS, segment_used, "the node at", "/fragments"),
    COSTLY(MAPS, inline_byte, "the extent at offset", "/few"),
    DAMAGE(MAPS, inline_order, "lies over the one before"),
    DAMAGE(MAPS, inline_gap, "the extent at offset"),
    COSTLY(MAPS, extent_flags, "fails its check", "/few"),
    COSTLY(MAPS, extent_outside, "the extent at offset", "/few"),
    COSTLY(MAPS, size_short, "beyond the end", "/fragments"),
    DAMAGE(MAPS, block_count, "blocks, it has"),
    DAMAGE(MAPS, directory_size, "names, it has"),
    COSTLY(MAPS, attribute_cell, "the entry at", "/attrs"),
    COSTLY(MAPS, attribute_bytes, "attribute value", "/attrs"),
    COSTLY(MAPS, attribute_length, "points nowhere", "/attrs"),
    COSTLY(MAPS, attribute_type, "has no value", "/attrs"),
    COSTLY(MAPS, acl_length, "an ACL in block", "/fifo"),
    COSTLY(MAPS, acl_empty, "an ACL in block", "/dir"),
    COSTLY(MAPS, acl_mode, "an ACL in block", "/attrs"),
    COSTLY(MAPS, attribute_root, "the node at", "/dir"),
    DAMAGE(BLOCKS, bitmap_clear, "clear in its bitmap"),
    DAMAGE(BLOCKS, bitmap_leak, "but not used"),
    DAMAGE(BLOCKS, bitmap_reserved, "block 0 is used but clear"),
    COSTLY(BLOCKS, block_of_inodes, "used twice", "/few:1"),
    COSTLY(MAPS, block_of_journal, "the extent at offset", "/few:1"),
    COSTLY(BLOCKS, block_of_node, "used twice", "/few:1"),
    COSTLY(BLOCKS, block_of_later_node, "used twice", "/small:1"),
    COSTLY(BLOCKS, block_of_value, "used twice", "/few:1"),
    COSTLY(BLOCKS, block_shared, "used twice", "+/few"),
    COSTLY(BLOCKS, attribute_shared, "used twice", "/attrs"),
    COSTLY(BLOCKS, node_shared, "used twice", "/dir"),
    DAMAGE(BLOCKS, blocks_of_all, "used twice"),
    DAMAGE(TOTALS, line_totals, "blocks are free, watermark and journal"),
    DAMAGE(TOTALS, bitmap_leak, "blocks are free, the handle"),
    DAMAGE(TOTALS, map_leaf_entry, "inodes are used, watermark and journal"),
    DAMAGE(TOTALS, map_leaf_entry, "inodes are used, the handle"),
    DAMAGE(TOTALS, orphan_bit, "orphans, watermark and journal"),
    DAMAGE(TOTALS, orphan_bit, "orphans, the handle"),
    COSTLY(NAMES, name_of_nothing, "does not live", "/dir"),
    COSTLY(NAMES, name_far, "does not live", "/dir"),
    DAMAGE(NAMES, name_type, "is of type"),
    DAMAGE(LINKS, file_links, "4 links but 3 names"),
    DAMAGE(LINKS, directory_links, "subdirectories"),
    DAMAGE(NAMES, directory_parent, "as '..'"),
    DAMAGE(LINKS, directory_dead, "was removed"),
    COSTLY(NAMES, directory_twice, "named again", "/dir"),
    COSTLY(NAMES, name_of_root, "directory 1 is named again", "/dir"),
    COSTLY(REACH, file_lost, "cannot be reached", "/"),
    COSTLY(REACH, directory_cycle, "cannot be reached", "/ /dir /dir/below /dir/below/deep"),
};

const unsigned damage_count = sizeof damages / sizeof damages[0];
