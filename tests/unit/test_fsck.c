/* test_fsck.c -- the checker: silent on a sound region, and loud about each kind of damage
 *
 * A varied tree is made through the public interface. Then one field at a time is changed, with the
 * hashes around it made right again where the point is what they cannot see, and the problem must be
 * reported by the pass whose business it is. VMFS_TEST_SEED replays a random test; the seed is
 * printed when it begins. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/handle.h"
#include "base/hash.h"
#include "check/passes.h"
#include "index/cell.h"
#include "index/node.h"
#include "inode/table.h"
#include "name/dir.h"
#include "name/nsop.h"
#include "region.h"
#include "seed.h"
#include "space/group.h"

#define REGION_BYTES (48 * REGION_MIB)
#define GUARD_BYTES  ((size_t)1 << 20)
#define MANY_FILES   1500u
#define PASS_MAX     11u
#define UNDO_MAX     4096u

/* ---- a region in memory, and changes to it that can be taken back ---- */

struct change {
    uint64_t offset;
    uint64_t len_bytes;
    uint8_t *before;
};

struct world {
    uint8_t *memory;
    struct vmfs *fs;
    struct vmfs_file *held; /* unlinked */
    struct vm_ctx ctx;
    struct region_log log;
    unsigned change_count;
    struct change changes[UNDO_MAX];
};

static struct world world;

static void poke(uint64_t offset, const void *bytes, uint64_t len_bytes)
{
    cr_assert(world.change_count < UNDO_MAX && len_bytes <= REGION_BYTES &&
              offset <= REGION_BYTES - len_bytes);
    struct change *change = &world.changes[world.change_count++];
    *change = (struct change){offset, len_bytes, malloc(len_bytes)};
    memcpy(change->before, world.memory + offset, len_bytes);
    memcpy(world.memory + offset, bytes, len_bytes);
}

static void poke_flip(uint64_t offset, uint8_t bits)
{
    uint8_t byte = world.memory[offset] ^ bits;
    poke(offset, &byte, 1);
}

static void poke_u64(uint64_t offset, uint64_t value)
{
    struct vm_le64 stored = vm_put64(value);
    poke(offset, &stored, sizeof stored);
}

static void undo_all(void)
{
    while (world.change_count > 0) {
        struct change *change = &world.changes[--world.change_count];
        memcpy(world.memory + change->offset, change->before, change->len_bytes);
        free(change->before);
    }
}

static void *at(uint64_t offset)
{
    return world.memory + offset;
}

static const struct vm_region *region(void)
{
    return &world.fs->volume.region;
}

static uint64_t seeded(uint64_t salt)
{
    return region()->hash_seed ^ salt;
}

/* ---- what the checker says ---- */

struct findings {
    unsigned lines;
    unsigned by_pass[PASS_MAX];
    char first[PASS_MAX][200];
    struct vmfs_check_result result;
};

static void note_problem(void *arg, const char *problem)
{
    struct findings *findings = arg;
    unsigned pass = 0;
    int used = 0;
    cr_assert_eq(sscanf(problem, "P%u %*[a-z]: %n", &pass, &used), 1, "%s", problem);
    cr_assert(pass > 0 && pass < PASS_MAX && used > 0, "%s", problem);
    cr_assert_null(strpbrk(problem, "#\n"), "%s", problem);
    findings->lines++;
    if (findings->by_pass[pass]++ == 0)
        snprintf(findings->first[pass], sizeof findings->first[pass], "%s", problem);
}

static struct findings check(void)
{
    struct findings findings = {.lines = 0};
    int err = vmfs_check(world.fs, note_problem, &findings, &findings.result);
    cr_assert_eq(err, 0, "vmfs_check returned %d", err);
    return findings;
}

static void expect_clean(const char *when)
{
    struct findings findings = check();
    for (unsigned pass = 1; pass < PASS_MAX; pass++)
        cr_expect_eq(findings.by_pass[pass], 0, "%s: %u of %s", when, findings.by_pass[pass],
                     findings.first[pass]);
    cr_assert_eq(findings.result.problems, 0, "%s", when);
}

/* ---- the tree ---- */

static void must(int64_t code, const char *what)
{
    cr_assert(code >= 0, "%s returned %lld (%s)", what, (long long)code,
              strerror((int)(code < 0 ? -code : 0)));
}

static void put_pieces(const char *path, unsigned count, uint64_t stride)
{
    static uint8_t block[VM_BLOCK_BYTES];
    struct vmfs_file *file;
    seed_fill(block, sizeof block, count);
    must(vmfs_file_open(world.fs, path, VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file), path);
    for (unsigned index = 0; index < count; index++)
        must(vmfs_file_pwrite(file, block, sizeof block, index * stride), path);
    must(vmfs_file_close(file), path);
}

static void put_many(void)
{
    char path[300];
    must(vmfs_mkdir(world.fs, "/many", 0755), "mkdir");
    for (unsigned index = 0; index < MANY_FILES; index++) {
        unsigned used = (unsigned)snprintf(path, sizeof path, "/many/%04u", index);
        memset(path + used, 'n', index % 90);
        path[used + index % 90] = '\0';
        must(vmfs_mknod(world.fs, path, 0644, 0), path);
        if (index % 3 == 0)
            must(vmfs_unlink(world.fs, path), path);
    }
    memcpy(path, "/many/", 6);
    memset(path + 6, 'l', VMFS_NAME_MAX);
    path[6 + VMFS_NAME_MAX] = '\0';
    must(vmfs_mknod(world.fs, path, 0644, 0), path);
}

static void put_files(void)
{
    must(region_put_file(world.fs, "/small", 10, 1), "small");
    must(region_put_file(world.fs, "/plain", 9000, 1), "plain");
    must(region_put_file(world.fs, "/other", 9000, 2), "other");
    must(region_put_file(world.fs, "/big", 5 * REGION_MIB, 3), "big");
    put_pieces("/few", 3, 3 * VM_BLOCK_BYTES);
    put_pieces("/fragments", 400, 2 * VM_BLOCK_BYTES);
    put_pieces("/sparse", 2, 900 * REGION_MIB);
    must(vmfs_truncate(world.fs, "/sparse", (uint64_t)1 << 50), "truncate");
    put_pieces("/cut", 300, 2 * VM_BLOCK_BYTES);
    must(vmfs_truncate(world.fs, "/cut", 7 * VM_BLOCK_BYTES + 1), "truncate");
    put_pieces("/gone", 200, 2 * VM_BLOCK_BYTES);
    must(vmfs_unlink(world.fs, "/gone"), "unlink");
    put_pieces("/held", 130, 2 * VM_BLOCK_BYTES);
    must(vmfs_file_open(world.fs, "/held", VMFS_O_RDWR, 0, &world.held), "held");
    must(vmfs_unlink(world.fs, "/held"), "unlink");
}

static void put_others(void)
{
    static char target[3001];
    memset(target, 't', sizeof target - 1);
    must(vmfs_mkdir(world.fs, "/dir", 0755), "mkdir");
    must(vmfs_mkdir(world.fs, "/dir/below", 0755), "mkdir");
    must(vmfs_mkdir(world.fs, "/dir/below/deep", 0700), "mkdir");
    must(vmfs_mkdir(world.fs, "/passing", 0700), "mkdir");
    must(vmfs_rename(world.fs, "/passing", "/dir/moved", 0), "rename");
    must(vmfs_mkdir(world.fs, "/brief", 0700), "mkdir");
    must(vmfs_rmdir(world.fs, "/brief"), "rmdir");
    must(vmfs_link(world.fs, "/plain", "/dir/link"), "link");
    must(vmfs_link(world.fs, "/plain", "/dir/below/link"), "link");
    must(vmfs_symlink(world.fs, "plain", "/short"), "symlink");
    must(vmfs_symlink(world.fs, target, "/long"), "symlink");
    must(vmfs_mknod(world.fs, "/device", VMFS_S_IFCHR | 0600, 259), "mknod");
    must(vmfs_mknod(world.fs, "/fifo", VMFS_S_IFIFO | 0600, 0), "mknod");
    must(vmfs_mknod(world.fs, "/socket", VMFS_S_IFSOCK | 0600, 0), "mknod");
}

static void put_attributes(void)
{
    static uint8_t value[VMFS_XATTR_MAX];
    char name[64];
    seed_fill(value, sizeof value, 9);
    must(region_put_file(world.fs, "/attrs", 100, 1), "attrs");
    for (unsigned index = 0; index < 60; index++) {
        snprintf(name, sizeof name, "user.number-%u", index);
        must(vmfs_xattr_set(world.fs, "/attrs", 0, name, value, index * 12), name);
    }
    must(vmfs_xattr_set(world.fs, "/attrs", 0, "user.large", value, 5000), "large");
    must(vmfs_xattr_set(world.fs, "/attrs", 0, "user.largest", value, sizeof value), "largest");
    must(vmfs_xattr_set(world.fs, "/attrs", 0, "user.largest", value, 60000), "largest");
    must(vmfs_xattr_remove(world.fs, "/attrs", 0, "user.number-7"), "remove");
    must(vmfs_xattr_set(world.fs, "/dir", 0, "user.empty", value, 0), "empty");
}

/* Whatever reads outside the region meets a page that is not there. */
static uint8_t *map_guarded(uint64_t bytes)
{
    uint8_t *memory = mmap(NULL, bytes + 2 * GUARD_BYTES, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert(memory != MAP_FAILED);
    cr_assert_eq(mprotect(memory + GUARD_BYTES, bytes, PROT_READ | PROT_WRITE), 0);
    return memory + GUARD_BYTES;
}

static void world_attach(uint32_t flags)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = flags;
    options.log = region_log_keep;
    options.log_arg = &world.log;
    must(vmfs_attach(world.memory, REGION_BYTES, &options, &world.fs), "attach");
    vm_ctx_init(world.fs, &world.ctx);
}

static void world_make(void)
{
    world.memory = map_guarded(REGION_BYTES);
    world_attach(VMFS_CREATE | VMFS_ZEROED);
    put_many();
    put_files();
    put_others();
    put_attributes();
    memset(&world.log, 0, sizeof world.log);
}

static void world_free(void)
{
    undo_all();
    if (world.held)
        must(vmfs_file_close(world.held), "close");
    must(vmfs_close(world.fs), "close");
    munmap(world.memory - GUARD_BYTES, REGION_BYTES + 2 * GUARD_BYTES);
    memset(&world, 0, sizeof world);
}

/* ---- finding structures, and making changed ones look right ---- */

static uint64_t id_of(const char *path)
{
    struct vmfs_stat stat;
    must(vmfs_stat(world.fs, path, VMFS_NOFOLLOW, &stat), path);
    return stat.ino;
}

static struct vm_inode inode_by_id(uint64_t id)
{
    struct vm_inode inode;
    int result = vm_inode_load(&world.ctx, id, &inode);
    cr_assert_eq(result, 0, "%s", vmfs_reason_str(-result));
    return inode;
}

static struct vm_inode inode_of(const char *path)
{
    return inode_by_id(id_of(path));
}

static void inode_put(struct vm_inode *inode)
{
    uint64_t seed = seeded(vm_id_slot(inode->id));
    inode->m.hash0 = vm_put32(vm_hash32(seed, &inode->m.mode, 52));
    inode->m.hash1 = vm_put32(vm_hash32(seed, &inode->m.project, VM_INODE_BYTES - 68));
    poke(inode->offset, &inode->m, sizeof inode->m);
}

union node {
    struct vm_node_media head;
    struct vm_inner_media inner;
    struct vm_named_media named;
    struct vm_fixed_media fixed;
};

static union node node_get(uint64_t offset)
{
    union node node;
    memcpy(&node, at(offset), sizeof node);
    return node;
}

static void node_put(union node *node)
{
    size_t hashed = node->head.kind == VM_NODE_INNER   ? 64
                    : node->head.kind == VM_NODE_NAMED ? 128
                                                       : 160;
    uint64_t self = vm_get64(node->head.self);
    node->head.hash = vm_put32(0);
    node->head.hash = vm_put32(vm_hash32(seeded(self), node, hashed));
    poke(self, node, sizeof *node);
}

static union node root_of(const char *path)
{
    struct vm_inode inode = inode_of(path);
    struct vm_map map = vm_inode_data_map(&inode);
    cr_assert(map.root > 0, "%s has no map", path);
    return node_get(map.root);
}

/* The first leaf of a map that has an inner root. */
static union node leaf_of(const char *path)
{
    union node root = root_of(path);
    cr_assert(root.head.level == 1, "%s: level %u", path, root.head.level);
    return node_get(vm_get64(root.inner.child[0]));
}

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

static struct vm_named_hit entry_of(const char *dir_path, const char *name)
{
    struct vm_inode dir = inode_of(dir_path);
    struct vm_named_hit hit;
    const struct vm_name wanted = {(const uint8_t *)name, (uint32_t)strlen(name)};
    cr_assert_eq(vm_dir_find(&world.ctx, &dir, wanted, &hit), 1, "%s", name);
    return hit;
}

static void entry_put(const struct vm_named_hit *hit, uint64_t value, uint8_t type)
{
    union vm_entry_cells entry;
    cr_assert_eq(vm_entry_read(&world.ctx, hit->leaf, hit->cell, &entry), 0);
    uint64_t offset = vm_cell_offset(hit->leaf, hit->cell);
    entry.cell.value = vm_put64(value);
    entry.cell.type = type;
    vm_entry_seal(region(), &entry, offset);
    poke(offset, entry.bytes, (uint64_t)entry.cell.cells * VM_CELL_BYTES);
}

static struct vm_named_hit attribute_of(const char *name)
{
    struct vm_inode inode = inode_of("/attrs");
    struct vm_map map = vm_inode_xattr_map(&inode);
    struct vm_named_hit hit;
    const struct vm_name wanted = {(const uint8_t *)name, (uint32_t)strlen(name)};
    cr_assert_eq(vm_named_find(&world.ctx, &map, wanted, &hit), 1, "%s", name);
    return hit;
}

static void extent_seal(struct vm_extent_media *media)
{
    media->hash = vm_put32(0);
    media->hash = vm_put32(vm_hash32(region()->hash_seed, media, sizeof *media));
}

static uint64_t map_entry_offset(uint64_t map_block, uint64_t index)
{
    return map_block * VM_BLOCK_BYTES + offsetof(struct vm_map_media, entries) + index * 16;
}

static void map_entry_put(uint64_t offset, uint64_t block)
{
    struct vm_map_entry_media entry = {.block = vm_put64(block)};
    entry.hash = vm_put32(vm_hash32(seeded(offset), &entry, 12));
    poke(offset, &entry, sizeof entry);
}

static uint64_t map_leaf_block(void)
{
    const struct vm_map_media *root = at(VM_INODE_MAP_BLOCK * (uint64_t)VM_BLOCK_BYTES);
    return vm_get64(root->entries[0].block);
}

static uint64_t chunk_block(unsigned chunk)
{
    const struct vm_map_media *map = at(map_leaf_block() * VM_BLOCK_BYTES);
    return vm_get64(map->entries[chunk].block);
}

static struct vm_group_place group(void)
{
    return vm_region_group(region(), 0);
}

static uint64_t bitmap_offset_of(uint64_t block)
{
    return group().bitmap_offset + block / 8;
}

static struct vm_extent first_extent(const char *path)
{
    struct vm_inode inode = inode_of(path);
    struct vm_extent extent;
    cr_assert_eq(inode.m.form, VM_BODY_EXTENTS, "%s", path);
    cr_assert_eq(vm_extent_load(&world.ctx, &inode.m.body.extents[0], 0, &extent), 0);
    return extent;
}

/* ---- one change each ---- */

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

/* A record above the watermark that is not the last of its lane, by its offset. */
static uint64_t live_record(void)
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
    poke_flip(group().bitmap_offset + REGION_BYTES / VM_BLOCK_BYTES / 8 + 5, 1);
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

static void map_entry_far(void)
{
    map_entry_put(map_entry_offset(map_leaf_block(), 1), REGION_BYTES / VM_BLOCK_BYTES - 1);
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

static uint64_t bits_offset(const struct vm_inode *inode, size_t field)
{
    return chunk_block(0) * VM_BLOCK_BYTES + field + vm_id_slot(inode->id) / 64 * 8;
}

static void bit_flip(const char *path, size_t field)
{
    struct vm_inode inode = inode_of(path);
    uint64_t stride = (uint64_t)region()->chunk_blocks * 16;
    cr_assert(vm_id_slot(inode.id) < stride, "%s is not in the first chunk", path);
    uint64_t offset = bits_offset(&inode, field);
    poke_u64(offset, vm_load64_home(region(), offset) ^ (uint64_t)1 << vm_id_slot(inode.id) % 64);
}

static void used_bit(void)
{
    bit_flip("/many", offsetof(struct vm_chunk_media, used));
}

static void orphan_bit(void)
{
    bit_flip("/many", offsetof(struct vm_chunk_media, orphan));
}

static void orphan_bit_lost(void)
{
    uint64_t slot = vm_id_slot(world.held ? ((uint64_t *)(void *)world.held)[1] : 0);
    uint64_t stride = (uint64_t)region()->chunk_blocks * 16;
    uint64_t offset = chunk_block((unsigned)(slot / stride)) * VM_BLOCK_BYTES +
                      offsetof(struct vm_chunk_media, orphan) + slot % stride / 64 * 8;
    cr_assert(vm_load64_home(region(), offset) >> slot % 64 & 1);
    poke_u64(offset, vm_load64_home(region(), offset) & ~((uint64_t)1 << slot % 64));
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
    struct vm_inode inode = inode_of("/plain");
    uint64_t slots = (uint64_t)(region()->chunk_blocks - 1) * 16;
    inode.offset -= vm_id_slot(inode.id) * VM_INODE_BYTES;
    for (inode.id = 1; inode.id < slots; inode.id++) {
        memcpy(&inode.m, at(inode.offset + inode.id * VM_INODE_BYTES), sizeof inode.m);
        if (inode.m.kind == VM_INODE_FREE)
            break;
    }
    cr_assert(inode.id < slots, "no slot is free");
    inode.offset += inode.id * VM_INODE_BYTES;
    inode.m.nlink = vm_put32(1);
    inode_put(&inode);
}

static void symlink_size(void)
{
    struct vm_inode inode = inode_of("/short");
    vm_inode_set_size(&inode, 0);
    inode_put(&inode);
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
    poke_u64(self + offsetof(struct vm_inner_media, child), REGION_BYTES * 1000 + 8);
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
    leaf.named.fp[first_cell(&leaf)] ^= 0x41;
    node_put(&leaf);
}

static void leaf_bitmap(void)
{
    union node leaf = root_of("/dir");
    leaf.named.bitmap = vm_put64(vm_get64(leaf.named.bitmap) ^ ((uint64_t)1 << 61));
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
    uint32_t cell = 50;
    uint64_t run = vm_cell_run(cell, entry.cell.cells);
    cr_assert_eq(vm_get64(leaf.named.bitmap) & run, 0, "the cells are taken");
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
    media->place = vm_put64(vm_get64(media->place) | (uint64_t)1 << VM_EXTENT_PLACE_BITS);
    extent_seal(media);
    inode_put(&inode);
}

static void extent_outside(void)
{
    struct vm_inode inode = inode_of("/few");
    struct vm_extent_media *media = &inode.m.body.extents[0];
    media->place = vm_put64(REGION_BYTES / VM_BLOCK_BYTES);
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
    struct vm_named_hit hit = attribute_of("user.large");
    struct vm_xattr_media media = attribute_value(&hit);
    poke_flip(vm_get64(media.block) * VM_BLOCK_BYTES + 4999, 1);
}

static void attribute_length(void)
{
    struct vm_named_hit hit = attribute_of("user.large");
    entry_put(&hit, hit.entry.value + 1, hit.entry.type);
}

static void attribute_type(void)
{
    struct vm_named_hit hit = attribute_of("user.large");
    entry_put(&hit, hit.entry.value, 2);
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
    uint64_t block = REGION_BYTES / VM_BLOCK_BYTES - 1;
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

struct damage {
    const char *name;
    unsigned pass;
    void (*make)(void);
};

#define DAMAGE(pass, name) {#name, VM_PASS_##pass, name}

static const struct damage damages[] = {
    DAMAGE(SUPERBLOCKS, super_a),       DAMAGE(SUPERBLOCKS, super_b),
    DAMAGE(SUPERBLOCKS, super_old),     DAMAGE(WATERMARK, line_damage),
    DAMAGE(WATERMARK, line_era),        DAMAGE(JOURNAL, record_body),
    DAMAGE(JOURNAL, record_lost),       DAMAGE(GROUPS, zone_state),
    DAMAGE(GROUPS, group_descriptor),   DAMAGE(GROUPS, bitmap_tail),
    DAMAGE(GROUPS, touched_lost),       DAMAGE(INODES, map_root_head),
    DAMAGE(INODES, map_root_entry),     DAMAGE(INODES, map_leaf_head),
    DAMAGE(INODES, map_leaf_entry),     DAMAGE(INODES, map_entry_far),
    DAMAGE(INODES, map_entry_behind),   DAMAGE(BLOCKS, map_entry_twice),
    DAMAGE(INODES, chunk_head),         DAMAGE(INODES, used_bit),
    DAMAGE(INODES, orphan_bit),         DAMAGE(INODES, orphan_bit_lost),
    DAMAGE(INODES, chunk_tail_bit),     DAMAGE(INODES, inode_first_hash),
    DAMAGE(INODES, inode_second_hash),  DAMAGE(INODES, inode_kind),
    DAMAGE(INODES, inode_form),         DAMAGE(INODES, inode_type),
    DAMAGE(INODES, inode_state),        DAMAGE(INODES, inode_beyond),
    DAMAGE(INODES, inode_birth),        DAMAGE(INODES, slot_not_empty),
    DAMAGE(INODES, symlink_size),       DAMAGE(INODES, root_parent),
    DAMAGE(MAPS, node_head),            DAMAGE(MAPS, node_tag),
    DAMAGE(MAPS, node_birth),           DAMAGE(MAPS, inner_key),
    DAMAGE(MAPS, inner_first_key),      DAMAGE(MAPS, inner_child),
    DAMAGE(MAPS, inner_child_outside),  DAMAGE(MAPS, leaf_kind),
    DAMAGE(MAPS, cell_byte),            DAMAGE(MAPS, cell_fingerprint),
    DAMAGE(MAPS, leaf_bitmap),          DAMAGE(MAPS, leaf_count),
    DAMAGE(MAPS, name_twice),           DAMAGE(MAPS, name_key),
    DAMAGE(MAPS, slot_byte),            DAMAGE(MAPS, slot_order),
    DAMAGE(MAPS, slot_overlap),         DAMAGE(MAPS, leaf_overlap),
    DAMAGE(MAPS, segment_first),        DAMAGE(MAPS, segment_used),
    DAMAGE(MAPS, inline_byte),          DAMAGE(MAPS, inline_order),
    DAMAGE(MAPS, inline_gap),           DAMAGE(MAPS, extent_flags),
    DAMAGE(MAPS, extent_outside),       DAMAGE(MAPS, size_short),
    DAMAGE(MAPS, block_count),          DAMAGE(MAPS, directory_size),
    DAMAGE(MAPS, attribute_cell),       DAMAGE(MAPS, attribute_bytes),
    DAMAGE(MAPS, attribute_length),     DAMAGE(MAPS, attribute_type),
    DAMAGE(MAPS, attribute_root),       DAMAGE(BLOCKS, bitmap_clear),
    DAMAGE(BLOCKS, bitmap_leak),        DAMAGE(BLOCKS, bitmap_reserved),
    DAMAGE(BLOCKS, block_shared),       DAMAGE(BLOCKS, node_shared),
    DAMAGE(TOTALS, line_totals),        DAMAGE(NAMES, name_of_nothing),
    DAMAGE(NAMES, name_far),            DAMAGE(NAMES, name_type),
    DAMAGE(NAMES, file_links),          DAMAGE(NAMES, directory_links),
    DAMAGE(NAMES, directory_parent),    DAMAGE(NAMES, directory_twice),
    DAMAGE(NAMES, name_of_root),        DAMAGE(REACH, file_lost),
    DAMAGE(REACH, directory_cycle),
};

#define DAMAGE_COUNT (sizeof damages / sizeof damages[0])
