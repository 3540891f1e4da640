/* test_fsck.c -- the checker: silent on a sound region, and loud about each kind of damage */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"
#include "fsck_world.h"
#include "inode/xattr.h"
#include "journal/tx.h"
#include "name/nsop.h"

#define FLIP_ROUNDS   400u
#define SEALED_ROUNDS 1500u

TestSuite(fsck, .init = world_make, .fini = world_free, .timeout = 300);

/* Names below a directory, counted through the public interface. */
static uint64_t count_names(const char *path)
{
    struct vmfs_dirent entry;
    struct vmfs_dir *dir;
    uint64_t count = 0;
    must(vmfs_dir_open(world.fs, path, &dir), path);
    while (vmfs_dir_read(dir, &entry) > 0) {
        char below[VMFS_PATH_MAX + 1];
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        count++;
        snprintf(below, sizeof below, "%s/%s", path, entry.name);
        if (entry.type == VMFS_S_IFDIR)
            count += count_names(below);
    }
    must(vmfs_dir_close(dir), path);
    return count;
}

Test(fsck, a_sound_region_has_no_problem)
{
    struct vmfs_info info = {.struct_bytes = sizeof info};
    struct vmfs_statfs space;
    expect_clean("made");
    struct findings findings = check();
    must(vmfs_info(world.fs, &info), "info");
    must(vmfs_statfs(world.fs, &space), "statfs");
    cr_expect_eq(findings.result.inodes, info.inodes_used);
    cr_expect_eq(info.orphans, 1, "the held file");
    cr_expect_eq(findings.result.names, count_names("/"));
    const struct vm_zone *zone = &region()->zones[0];
    uint64_t fixed = zone->head_block + vm_zone_head_blocks(zone->group_count);
    uint64_t tables = 1;
    for (uint64_t chunk = 0; chunk_block(chunk); chunk++)
        tables += region()->chunk_blocks;
    cr_expect_eq(findings.result.blocks + fixed + tables + space.blocks_free, space.blocks_total);
}

Test(fsck, stays_sound_from_life_to_life)
{
    must(vmfs_sync(world.fs), "sync");
    expect_clean("synced");
    must(vmfs_file_close(world.held), "close");
    world.held = NULL;
    expect_clean("closed the unlinked file");
    must(vmfs_close(world.fs), "close");
    world_mount(REGION_BYTES, VMFS_RDONLY);
    expect_clean("attached read-only");
    must(vmfs_close(world.fs), "close");
    world_mount(REGION_BYTES, 0);
    expect_clean("attached");
}

/* What a crash leaves is replayed into a private view, and is sound with its orphan. */
Test(fsck, sound_after_private_replay)
{
    char path[REGION_PATH_MAX];
    struct vmfs *live = world.fs;
    region_path(path, "fsck");
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, world.memory, REGION_BYTES), (ssize_t)REGION_BYTES);
    close(fd);
    must(region_open(path, VMFS_RDONLY, NULL, &world.fs), "open");
    struct vmfs_info info = {.struct_bytes = sizeof info};
    must(vmfs_info(world.fs, &info), "info");
    cr_expect(info.journal_records > 0, "nothing was replayed");
    expect_clean("replayed privately");
    must(vmfs_close(world.fs), "close");
    must(region_open(path, 0, NULL, &world.fs), "open");
    expect_clean("replayed");
    must(vmfs_mkdir(world.fs, "/new", 0755), "mkdir");
    must(vmfs_sync(world.fs), "sync");
    expect_clean("cleaned up");
    must(vmfs_close(world.fs), "close");
    unlink(path);
    world.fs = live;
}

Test(fsck, bad_arguments)
{
    struct vmfs_check_result result;
    cr_expect_eq(vmfs_check(NULL, NULL, NULL, &result), -EINVAL);
    cr_expect_eq(vmfs_check(world.fs, NULL, NULL, NULL), -EINVAL);
    cr_expect_eq(vmfs_check(world.fs, NULL, NULL, &result), 0);
    cr_expect_eq(result.problems, 0);
}

/* Asking for the size alone copies nothing, but tells a number of the medium. */
Test(fsck, size_of_an_attribute_is_not_trusted)
{
    static const uint64_t sizes[] = {VMFS_XATTR_MAX + 1, (uint64_t)INT64_MAX, UINT64_MAX};
    for (unsigned index = 0; index < sizeof sizes / sizeof sizes[0]; index++) {
        struct vm_named_hit hit = attribute_of("/attrs", "user.large");
        entry_put(&hit, sizes[index], hit.entry.type);
        int64_t got = vmfs_xattr_get(world.fs, "/attrs", 0, "user.large", NULL, 0);
        cr_expect_eq(got, -EUCLEAN, "%lld", (long long)got);
        undo_all();
    }
}

Test(fsck, each_damage_is_found_by_its_pass)
{
    for (unsigned index = 0; index < damage_count; index++) {
        const struct damage *damage = &damages[index];
        struct findings findings;
        damage->make();
        unsigned found = check_for(damage->pass, damage->text, &findings);
        cr_expect(found > 0, "%s: %u problems, none of P%u with '%s'", damage->name, findings.lines,
                  damage->pass, damage->text);
        if (getenv("VMFS_TEST_VERBOSE"))
            for (unsigned pass = 1; pass < PASS_MAX; pass++)
                if (findings.by_pass[pass])
                    fprintf(stderr, "%-20s %s P%-2u %4u  %s\n", damage->name,
                            pass == damage->pass ? "*" : " ", pass, findings.by_pass[pass],
                            findings.first[pass]);
        undo_all();
    }
    expect_clean("mended");
}

/* F4: each byte is in one range, in order, whatever the bytes say. */
struct cover {
    uint64_t end;
    unsigned breaks;
};

static void cover_range(void *arg, const struct vmfs_map_range *range)
{
    struct cover *cover = arg;
    cover->breaks += range->offset != cover->end || range->length == 0;
    cover->end = range->offset + range->length;
}

Test(fsck, F4_the_map_covers_each_byte_once)
{
    for (unsigned index = 0; index < damage_count; index++) {
        struct cover cover = {0};
        damages[index].make();
        int err = vmfs_map(world.fs, VMFS_NO_OFFSET, cover_range, &cover);
        cr_expect_eq(err, 0, "%s: %d", damages[index].name, err);
        cr_expect_eq(cover.breaks, 0, "%s: %u breaks", damages[index].name, cover.breaks);
        cr_expect_eq(cover.end, REGION_BYTES, "%s", damages[index].name);
        undo_all();
    }
}

/* S1: whichever copy it is. */
Test(fsck, S1_the_newest_superblock_counts)
{
    static const uint64_t offsets[2] = {VM_SUPER_A_BLOCK * VM_BLOCK_BYTES,
                                        VM_SUPER_B_BLOCK * VM_BLOCK_BYTES};
    for (unsigned copy = 0; copy < 2; copy++) {
        struct vm_super_media super;
        struct vm_super_choice choice = {0};
        memcpy(&super, at(offsets[copy]), sizeof super);
        uint64_t generation = vm_get64(super.generation) + 1;
        super.generation = vm_put64(generation);
        super.check = vm_put64(vm_hash64(0, (uint8_t *)&super + 16, sizeof super - 16));
        poke(offsets[copy], &super, sizeof super);
        cr_expect_eq(vm_super_load(&world.ctx.err, world.memory, REGION_BYTES, &choice, &super), 0);
        cr_expect_eq(vm_get64(super.generation), generation, "copy %u", copy);
        undo_all();
    }
}

/* A name that a caller takes for one and that leads elsewhere is not handed out. */
static void expect_not_read(const char *path)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    int found = 1;
    must(vmfs_dir_open(world.fs, path, &dir), path);
    for (unsigned count = 0; found > 0; count++) {
        found = vmfs_dir_read(dir, &entry);
        cr_expect(found < 0 || !strchr(entry.name, '/'), "%s", entry.name);
        cr_expect(found < 0 || strlen(entry.name) == entry.name_bytes, "%s", entry.name);
        cr_expect(found < 0 || count < 2 || strspn(entry.name, ".") != strlen(entry.name));
    }
    cr_expect_eq(found, -EUCLEAN, "%s", path);
    must(vmfs_dir_close(dir), path);
}

/* Names that no caller can give. */
Test(fsck, names_that_no_name_may_be)
{
    static const char *const names[] = {"a/b", ".", ".."};
    const struct vm_new new = {.mode = VMFS_S_IFREG | 0644};
    uint64_t id;
    for (unsigned index = 0; index < 4; index++) {
        struct vm_name name = {(const uint8_t *)"nul\0nul", 7};
        if (index < 3)
            name = (struct vm_name){(const uint8_t *)names[index], (uint32_t)strlen(names[index])};
        cr_assert_eq(vm_name_create(&world.ctx, id_of("/dir"), name, &new, &id), 0);
        struct findings findings = check();
        cr_expect_eq(findings.by_pass[VM_PASS_NAMES], index + 1, "name %u", index);
        cr_expect_eq(findings.result.problems, index + 1, "name %u", index);
    }
    expect_not_read("/dir");
}

/* Opening looks at no more than an inode's first line, and that is checked. */
Test(fsck, N1_what_opening_looks_at_is_checked)
{
    struct vmfs_file *file;
    poke_flip(inode_of("/small").offset + offsetof(struct vm_inode_media, uid), 1);
    cr_assert_eq(vmfs_file_open(world.fs, "/small", VMFS_O_RDONLY, 0, &file), -EUCLEAN);
}

/* What a look has missed is not believed once somebody else has put it there. */
Test(fsck, E1_a_miss_that_is_none_any_more)
{
    struct vm_ctx *ctx = &world.ctx;
    const struct vm_name name = {(const uint8_t *)"name", 4};
    const struct vm_name another = {(const uint8_t *)"another", 7};
    struct vm_dir_miss miss;
    const struct vm_new plain = {.mode = VM_MODE_FILE | 0600};
    const struct vm_new missed = {.mode = VM_MODE_FILE | 0600, .miss = &miss};
    uint64_t id;
    uint64_t found;
    uint32_t type;
    cr_assert_eq(vm_dir_look_for(ctx, VM_ROOT_ID, name, &found, &type, &miss), 0);
    cr_assert_eq(miss.dir.id, VM_ROOT_ID);
    cr_assert_eq(vm_name_create(ctx, VM_ROOT_ID, name, &plain, &id), 0);
    cr_assert_eq(vm_name_create(ctx, VM_ROOT_ID, name, &missed, &id), -VMFS_R_EXISTS);
    cr_assert_eq(vm_dir_look_for(ctx, VM_ROOT_ID, another, &found, &type, &miss), 0);
    cr_assert_eq(vm_name_create(ctx, VM_ROOT_ID, another, &missed, &id), 0);
    cr_assert_eq(vm_dir_lookup(ctx, VM_ROOT_ID, another, &found, &type), 1);
    cr_assert_eq(found, id);
}

static void attribute_set(const char *path, struct vm_name name)
{
    struct vm_ctx *ctx = &world.ctx;
    const struct vm_xattr_value value = {.bytes = "v", .len_bytes = 1};
    must(vm_tx_begin(ctx), "begin");
    struct vm_inode inode = inode_of(path);
    must(vm_xattr_set(ctx, &inode, name, &value), "set");
    must(vm_inode_store(ctx, &inode), "store");
    must(vm_tx_commit(ctx), "commit");
    vm_tx_end(ctx);
}

Test(fsck, attribute_names_that_no_name_may_be)
{
    struct findings findings;
    attribute_set("/small", (struct vm_name){(const uint8_t *)"user.nul\0nul", 12});
    cr_expect_eq(check_for(VM_PASS_MAPS, "NUL", &findings), 1);
    cr_expect_eq(findings.result.problems, 1);
}

/* An ACL that is none is damage where ACLs have a meaning; in an older region it says nothing. */
Test(fsck, acl_that_is_none)
{
    const struct vmfs_cred cred = {7, 7, NULL, 0};
    const struct vmfs_at at = vmfs_at(id_of("/fifo"), "");
    struct vm_named_hit hit = attribute_of("/fifo", "system.posix_acl_access");
    struct findings findings;
    entry_put(&hit, hit.entry.value - 1, hit.entry.type);
    cr_expect_eq(check_for(VM_PASS_MAPS, "an ACL in block", &findings), 1);
    cr_expect_eq(findings.result.problems, 1);
    world.fs->volume.region.has_acls = false;
    expect_clean("an older region");
    cr_expect_eq(vmfs_access_at(world.fs, at, 0, &cred, VMFS_R_OK), 0);
    cr_expect_eq(vmfs_access_at(world.fs, at, 0, &cred, VMFS_W_OK), -EACCES);
    world.fs->volume.region.has_acls = true;
    cr_expect_eq(vmfs_access_at(world.fs, at, 0, &cred, VMFS_R_OK), -EUCLEAN);
    cr_expect_eq(vmfs_chmod(world.fs, "/fifo", 0600), -EROFS);
}

/* Here some chunks hold nothing but fixed areas, and most groups are not initialised yet. */
Test(fsck, many_groups)
{
    const uint64_t bytes = 1024 * REGION_MIB;
    struct findings findings;
    struct world small = world;
    world.memory = map_guarded(bytes);
    world.change_count = 0;
    world_mount(bytes, VMFS_CREATE | VMFS_ZEROED);
    must(region_put_file(world.fs, "/wide", 150 * REGION_MIB, 3), "wide");
    put_pieces("/few", 3, 3 * VM_BLOCK_BYTES);
    cr_assert_eq(vm_load64_home(region(), group().descriptor_offset + 64) & 1, 0,
                 "the first chunk was touched");
    expect_clean("many groups");
    struct vm_inode inode = inode_of("/few");
    struct vm_extent_media *media = &inode.m.body.extents[0];
    media->place = vm_put64(bytes / VM_BLOCK_BYTES - 10);
    extent_seal(media);
    inode_put(&inode);
    cr_expect_eq(check_for(VM_PASS_BLOCKS, "used but clear", &findings), 1);
    undo_all();
    must(vmfs_close(world.fs), "close");
    world_mount(bytes, 0);
    expect_clean("attached");
    must(vmfs_close(world.fs), "close");
    unmap_guarded(world.memory, bytes);
    world = small;
}

Test(fsck, what_is_found_does_not_poison_the_handle)
{
    for (unsigned index = 0; index < damage_count; index++)
        if (damages[index].pass == VM_PASS_MAPS) {
            damages[index].make();
            check();
            undo_all();
        }
    struct vmfs_info info = {.struct_bytes = sizeof info};
    must(vmfs_info(world.fs, &info), "info");
    cr_expect_eq(info.is_read_only, 0);
    cr_expect_eq(world.log.count, 0, "the log was told: %s", world.log.text);
    must(vmfs_mkdir(world.fs, "/after", 0755), "mkdir");
    expect_clean("used again");
}

/* Each inode that is damaged is a problem of its own; not all of them fit on a screen. */
Test(fsck, lines_are_capped_and_problems_are_not)
{
    uint64_t slots = (uint64_t)(region()->chunk_blocks - 1) * 16;
    for (uint64_t chunk = 0; chunk_block(chunk); chunk++)
        for (uint64_t slot = 0; slot < slots; slot++)
            poke_flip((chunk_block(chunk) + 1) * VM_BLOCK_BYTES + slot * VM_INODE_BYTES + 30, 1);
    struct findings findings = check();
    cr_expect_eq(findings.by_pass[VM_PASS_INODES], 1000);
    cr_expect(findings.result.problems > 1000);
    cr_expect_eq(findings.result.inodes, 0);
}

/* ---- what is told beside the text ---- */

static void keep_problem(void *arg, const struct vmfs_problem *problem)
{
    struct vmfs_problem *kept = arg;
    if (kept->pass == 0)
        *kept = *problem;
}

Test(fsck, problems_say_where_and_why)
{
    struct vmfs_check_result result;
    struct vmfs_problem problem = {.pass = 0};
    struct vm_inode inode = inode_of("/few");
    poke_flip(VM_SUPER_B_BLOCK * VM_BLOCK_BYTES + 4000, 1);
    must(vmfs_check(world.fs, keep_problem, &problem, &result), "check");
    cr_expect_eq(problem.pass, VM_PASS_SUPERBLOCKS);
    cr_expect_str_eq(problem.pass_name, "superblocks");
    cr_expect_eq(problem.reason, VMFS_R_SUPER_DAMAGED);
    cr_expect_eq(problem.offset, VM_SUPER_B_BLOCK * VM_BLOCK_BYTES);
    cr_expect_eq(problem.ino, 0);
    undo_all();

    problem.pass = 0;
    vm_inode_set_nlink(&inode, 5);
    inode_put(&inode);
    must(vmfs_check(world.fs, keep_problem, &problem, &result), "check");
    cr_expect_eq(problem.pass, VM_PASS_LINKS);
    cr_expect_eq(problem.ino, inode.id);
    cr_expect_eq(problem.reason, VMFS_R_NONE);
    cr_expect_eq(problem.offset, VMFS_NO_OFFSET);
    undo_all();
}

Test(fsck, passes_have_ids_of_their_own)
{
    struct vmfs_check_pass pass;
    uint64_t seen = 0;
    unsigned count = 0;
    for (; vmfs_check_pass(count, &pass) == 1; count++) {
        cr_assert(pass.id > 0 && pass.id < VM_PASS_END);
        cr_expect_eq(seen >> pass.id & 1, 0);
        cr_expect(pass.name[0] && pass.prose[0]);
        seen |= (uint64_t)1 << pass.id;
    }
    cr_expect_eq(count, 12);
    cr_expect_eq(vmfs_check_pass(0, NULL), -EINVAL);
}

/* ---- no memory ---- */

static unsigned allocations_left;
static uint64_t bytes_held;
static struct vm_platform real_platform;

static void *alloc_limited(void *arg, size_t len_bytes)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    bytes_held += len_bytes;
    return real_platform.alloc(arg, len_bytes);
}

static void free_counted(void *arg, void *memory, size_t len_bytes)
{
    bytes_held -= len_bytes;
    real_platform.free(arg, memory, len_bytes);
}

Test(fsck, without_memory)
{
    struct vmfs_check_result result = {.problems = 77};
    real_platform = world.fs->platform;
    world.fs->platform.alloc = alloc_limited;
    world.fs->platform.free = free_counted;
    int err = -ENOMEM;
    unsigned limit = 0;
    for (; err == -ENOMEM; limit++) {
        allocations_left = limit;
        err = vmfs_check(world.fs, NULL, NULL, &result);
        cr_expect(err == 0 || result.problems == 77, "a failed call stored a result");
        cr_expect_eq(bytes_held, 0, "%llu bytes are lost", (unsigned long long)bytes_held);
    }
    world.fs->platform = real_platform;
    cr_expect_eq(err, 0);
    cr_expect_eq(result.problems, 0);
    cr_expect(limit > 3, "%u allocations failed", limit - 1);
}

/* ---- random damage ---- */

static uint32_t magic_at(uint64_t block)
{
    struct vm_le32 magic;
    memcpy(&magic, at(block * VM_BLOCK_BYTES), sizeof magic);
    return vm_get32(magic);
}

struct blocks {
    uint64_t count;
    uint64_t list[REGION_BYTES / VM_BLOCK_BYTES];
    uint64_t chunk[REGION_BYTES / VM_BLOCK_BYTES]; /* of inodes, to which it belongs; 0 none */
    uint64_t map_leaf;
};

/* Blocks of metadata that hold something. */
static void gather_metadata(struct blocks *blocks)
{
    const struct vm_zone *zone = &region()->zones[0];
    uint64_t fixed = zone->head_block + vm_zone_head_blocks(zone->group_count);
    blocks->count = 0;
    blocks->map_leaf = map_leaf_block();
    for (uint64_t block = 0; block < region()->blocks; block++) {
        uint32_t magic = magic_at(block);
        bool is_lane = block >= VM_LANES_BLOCK && block < zone->head_block;
        uint64_t count = block < fixed && !is_lane ? 1 : 0;
        if (magic == VM_MAGIC_NODE)
            count = 1;
        if (magic == VM_MAGIC_CHUNK)
            count = region()->chunk_blocks;
        for (uint64_t index = 0; index < count; index++) {
            blocks->chunk[blocks->count] = magic == VM_MAGIC_CHUNK ? block : 0;
            blocks->list[blocks->count++] = block + index;
        }
    }
}

Test(fsck, random_flips_never_crash)
{
    static struct blocks blocks;
    struct seed *seed = &world.seed;
    unsigned found = 0;
    gather_metadata(&blocks);
    for (unsigned round = 0; round < FLIP_ROUNDS; round++) {
        uint64_t flips = 1 + seed_below(seed, 8);
        for (uint64_t flip = 0; flip < flips; flip++) {
            uint64_t block = blocks.list[seed_below(seed, blocks.count)];
            poke_flip(block * VM_BLOCK_BYTES + seed_below(seed, VM_BLOCK_BYTES),
                      (uint8_t)(1u << seed_below(seed, 8)));
        }
        found += check().result.problems > 0;
        undo_all();
    }
    cr_expect(found > FLIP_ROUNDS / 3, "only %u of %u rounds had problems", found, FLIP_ROUNDS);
    expect_clean("mended");
}

/* A number that may hurt: near an end of something, or anything. */
static uint64_t number_random(struct seed *seed, uint64_t before)
{
    const uint64_t candidates[] = {
        0,
        1,
        before + 1,
        before - 1,
        ~(uint64_t)0,
        (uint64_t)1 << 63,
        REGION_BYTES,
        REGION_BYTES / VM_BLOCK_BYTES,
        seed_below(seed, REGION_BYTES / VM_BLOCK_BYTES),
        seed_below(seed, REGION_BYTES / VM_BLOCK_BYTES) * VM_BLOCK_BYTES,
        before ^ (uint64_t)1 << seed_below(seed, 64),
        seed_next(seed),
    };
    return candidates[seed_below(seed, sizeof candidates / sizeof candidates[0])];
}

static void word_change(struct seed *seed, void *bytes, size_t len_bytes)
{
    uint8_t *word = (uint8_t *)bytes + seed_below(seed, len_bytes / 8) * 8;
    uint64_t value;
    memcpy(&value, word, sizeof value);
    value = number_random(seed, value);
    memcpy(word, &value, 1 + seed_below(seed, sizeof value));
}

static void hostile_inode(struct seed *seed, uint64_t chunk_first, uint64_t block)
{
    const struct vm_chunk_media *head = at(chunk_first * VM_BLOCK_BYTES);
    uint64_t index = (block - chunk_first - 1) * 16 + seed_below(seed, 16);
    struct vm_inode inode = {.id = vm_get64(head->first_slot) + index};
    inode.offset = (chunk_first + 1) * VM_BLOCK_BYTES + index * VM_INODE_BYTES;
    memcpy(&inode.m, at(inode.offset), sizeof inode.m);
    struct vm_le32 generation = inode.m.generation;
    word_change(seed, &inode.m, sizeof inode.m);
    for (unsigned extent = 0; extent < VM_INODE_EXTENTS; extent++)
        if (inode.m.form == VM_BODY_EXTENTS)
            extent_seal(&inode.m.body.extents[extent]);
    if (seed_chance(seed, 70))
        inode.m.generation = generation;
    inode_put(&inode);
}

static void hostile_leaf(struct seed *seed, union node *node)
{
    uint64_t self = vm_get64(node->head.self);
    uint32_t start = (uint32_t)seed_below(seed, VM_CELL_COUNT);
    union vm_entry_cells entry;
    if (node->head.kind == VM_NODE_FIXED) {
        struct vm_extent_media *slot =
            &node->fixed.slots[seed_below(seed, VM_SEGMENTS)][seed_below(seed, VM_SEGMENT_SLOTS)];
        word_change(seed, slot, sizeof *slot);
        extent_seal(slot);
    } else if (vm_entry_read(&world.ctx, self, start, &entry) == 0) {
        uint8_t cells = entry.cell.cells;
        word_change(seed, &entry, (size_t)cells * VM_CELL_BYTES);
        entry.cell.cells = entry.cell.cells <= VM_ENTRY_CELLS_MAX ? entry.cell.cells : cells;
        vm_entry_seal(region(), &entry, vm_cell_offset(self, start));
        memcpy(node->named.cells[start], entry.bytes, (size_t)cells * VM_CELL_BYTES);
    }
}

/* Wrong numbers behind right hashes: what somebody makes who has the region's secrets. */
static void hostile_block(struct seed *seed, uint64_t block)
{
    union node node = node_get(block * VM_BLOCK_BYTES);
    bool is_leaf = node.head.level == 0;
    size_t words = node.head.kind == VM_NODE_INNER ? sizeof node : 160;
    if (is_leaf && seed_chance(seed, 60))
        hostile_leaf(seed, &node);
    else
        word_change(seed, &node, words);
    node.head.magic = vm_put32(VM_MAGIC_NODE);
    node.head.self = vm_put64(block * VM_BLOCK_BYTES);
    node_put(&node);
}

static void hostile_change(struct seed *seed, const struct blocks *blocks)
{
    uint64_t index;
    uint64_t chunk;
    uint64_t block;
    if (seed_chance(seed, 5)) {
        block = seed_chance(seed, 30) ? VM_INODE_MAP_BLOCK : blocks->map_leaf;
        map_entry_put(map_entry_offset(block, seed_below(seed, 60)),
                      number_random(seed, blocks->list[seed_below(seed, blocks->count)]));
        return;
    }
    do {
        index = seed_below(seed, blocks->count);
        chunk = blocks->chunk[index];
        block = blocks->list[index];
    } while (chunk == block || (chunk == 0 && magic_at(block) != VM_MAGIC_NODE));
    if (chunk)
        hostile_inode(seed, chunk, block);
    else
        hostile_block(seed, block);
}

Test(fsck, hostile_regions_never_crash)
{
    static struct blocks blocks;
    struct seed *seed = &world.seed;
    unsigned found = 0;
    gather_metadata(&blocks);
    world.ctx.err.is_speculative = true; /* the test itself reads what it has damaged */
    for (unsigned round = 0; round < SEALED_ROUNDS; round++) {
        uint64_t changes = 1 + seed_below(seed, 4);
        for (uint64_t change = 0; change < changes; change++)
            hostile_change(seed, &blocks);
        found += check().result.problems > 0;
        undo_all();
    }
    /* Times, owners and what is unused may say anything. */
    cr_expect(found > SEALED_ROUNDS / 4, "only %u of %u rounds had problems", found, SEALED_ROUNDS);
    expect_clean("mended");
}
