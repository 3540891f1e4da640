/* fsck_world.c -- making the tree, changing the region behind the library's back */
#include "fsck_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "acl_text.h"
#include "api/public.h"
#include "base/hash.h"
#include "base/util.h"
#include "name/dir.h"

#define GUARD_BYTES ((size_t)1 << 20)
#define MANY_FILES  1500u

struct world world;

/* ---- everything follows from one seed ---- */

/* In the place of the system's, so that the secrets of a region, on which its layout depends, are
 * the same when a test is replayed. */
ssize_t getrandom(void *buffer, size_t length, unsigned int flags)
{
    (void)flags;
    seed_fill(buffer, length, seed_next(&world.seed));
    return (ssize_t)length;
}

/* Threads choose their lanes by this. */
static uintptr_t hint_fixed(void *arg)
{
    (void)arg;
    return 64;
}

static void seed_start(void)
{
    const char *text = getenv("VMFS_TEST_SEED");
    uint64_t value = text ? strtoull(text, NULL, 0) : seed_from_clock();
    fprintf(stderr, "VMFS_TEST_SEED=%llu\n", (unsigned long long)value);
    seed_init(&world.seed, value);
}

/* ---- a region in memory, and changes to it that can be taken back ---- */

const struct vm_region *region(void)
{
    return &world.fs->volume.region;
}

void poke(uint64_t offset, const void *bytes, uint64_t len_bytes)
{
    cr_assert(world.change_count < UNDO_MAX);
    cr_assert(vm_range_inside(offset, len_bytes, region()->bytes));
    struct change *change = &world.changes[world.change_count++];
    *change = (struct change){offset, len_bytes, malloc(len_bytes)};
    memcpy(change->before, world.memory + offset, len_bytes);
    memcpy(world.memory + offset, bytes, len_bytes);
}

void poke_flip(uint64_t offset, uint8_t bits)
{
    uint8_t byte = world.memory[offset] ^ bits;
    poke(offset, &byte, 1);
}

void poke_u64(uint64_t offset, uint64_t value)
{
    struct vm_le64 stored = vm_put64(value);
    poke(offset, &stored, sizeof stored);
}

void undo_all(void)
{
    while (world.change_count > 0) {
        struct change *change = &world.changes[--world.change_count];
        memcpy(world.memory + change->offset, change->before, change->len_bytes);
        free(change->before);
    }
}

void forget_changes(void)
{
    while (world.change_count > 0)
        free(world.changes[--world.change_count].before);
}

void *at(uint64_t offset)
{
    return world.memory + offset;
}

uint64_t seeded(uint64_t salt)
{
    return region()->hash_seed ^ salt;
}

/* ---- what the checker says ---- */

static void note_problem(void *arg, const struct vmfs_problem *problem)
{
    struct findings *findings = arg;
    unsigned pass = problem->pass;
    cr_assert(pass > 0 && pass < PASS_MAX, "%s", problem->text);
    cr_assert_null(strpbrk(problem->text, "%#\n"), "%s", problem->text);
    cr_assert(problem->offset == VMFS_NO_OFFSET || strstr(problem->text, "block") ||
                  strstr(problem->text, "offset"),
              "%s", problem->text);
    findings->lines++;
    if (findings->wanted && pass == findings->wanted_pass &&
        strstr(problem->text, findings->wanted))
        findings->wanted_count++;
    if (findings->by_pass[pass]++ == 0)
        snprintf(findings->first[pass], sizeof findings->first[pass], "P%u %s: %s", pass,
                 problem->pass_name, problem->text);
}

unsigned check_for(unsigned pass, const char *text, struct findings *findings)
{
    *findings = (struct findings){.wanted_pass = pass, .wanted = text};
    int err = vmfs_check(world.fs, note_problem, findings, &findings->result);
    cr_assert_eq(err, 0, "vmfs_check returned %d", err);
    return findings->wanted_count;
}

struct findings check(void)
{
    struct findings findings;
    check_for(0, NULL, &findings);
    return findings;
}

void expect_clean(const char *when)
{
    struct findings findings = check();
    for (unsigned pass = 1; pass < PASS_MAX; pass++)
        cr_expect_eq(findings.by_pass[pass], 0, "%s: %u of %s", when, findings.by_pass[pass],
                     findings.first[pass]);
    cr_assert_eq(findings.result.problems, 0, "%s", when);
}

/* ---- the tree ---- */

void must(int64_t code, const char *what)
{
    cr_assert(code >= 0, "%s returned %lld (%s)", what, (long long)code,
              strerror((int)(code < 0 ? -code : 0)));
}

void put_pieces(const char *path, unsigned count, uint64_t stride)
{
    static uint8_t block[VM_BLOCK_BYTES];
    struct vmfs_file *file;
    seed_fill(block, sizeof block, count);
    must(vmfs_file_open(world.fs, path, VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file), path);
    for (unsigned index = 0; index < count; index++)
        must(vmfs_file_pwrite(file, block, sizeof block, index * stride), path);
    must(vmfs_file_close(file), path);
}

static void put_many(unsigned many_files)
{
    char path[300];
    must(vmfs_mkdir(world.fs, "/many", 0755), "mkdir");
    for (unsigned index = 0; index < many_files; index++) {
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

static void put_files(uint64_t big_bytes)
{
    must(region_put_file(world.fs, "/small", 10, 1), "small");
    must(region_put_file(world.fs, "/plain", 9000, 1), "plain");
    must(region_put_file(world.fs, "/other", 9000, 2), "other");
    must(region_put_file(world.fs, "/big", big_bytes, 3), "big");
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

static void put_acl(const char *path, const char *name, const char *text)
{
    uint8_t bytes[ACL_BYTES_MAX];
    must(vmfs_xattr_set(world.fs, path, 0, name, bytes, acl_from_text(text, bytes)), path);
}

/* In blocks of its own. */
static void put_large_acl(const char *path)
{
    char text[ACL_BYTES_MAX] = "u6";
    size_t used = 2;
    for (unsigned user = 0; user < 200; user++)
        used += (size_t)snprintf(text + used, sizeof text - used, ",u%u:4", user);
    snprintf(text + used, sizeof text - used, ",g4,m4,o4");
    put_acl(path, ACL_ACCESS, text);
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
    must(vmfs_xattr_set(world.fs, "/short", VMFS_NOFOLLOW, "trusted.link", value, 30), "symlink");
    must(vmfs_xattr_set(world.fs, "/fifo", 0, "security.fifo", value, 30), "fifo");
    put_large_acl("/attrs");
    put_acl("/fifo", ACL_ACCESS, "u6,u1000:4,g4,m4,o4");
    put_acl("/dir", ACL_DEFAULT, "u7,u1000:5,g5,m7,o0");
}

/* Each flag on a file that lives, and a flag on one that is gone. */
static void put_flags(void)
{
    static const uint32_t flags[] = {VMFS_INODE_NODUMP, VMFS_INODE_NOATIME, VMFS_INODE_APPEND,
                                     VMFS_INODE_IMMUTABLE};
    char path[64];
    for (unsigned index = 0; index < 4; index++) {
        const struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS, .flags = flags[index]};
        snprintf(path, sizeof path, "/flag-%u", index);
        must(region_put_file(world.fs, path, 10, 1), path);
        must(vmfs_setattr(world.fs, path, 0, &attr), path);
    }
    must(vmfs_unlink(world.fs, "/flag-0"), "unlink");
}

uint8_t *map_guarded(uint64_t bytes)
{
    uint8_t *memory = mmap(NULL, bytes + 2 * GUARD_BYTES, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert(memory != MAP_FAILED);
    cr_assert_eq(mprotect(memory + GUARD_BYTES, bytes, PROT_READ | PROT_WRITE), 0);
    return memory + GUARD_BYTES;
}

void unmap_guarded(uint8_t *memory, uint64_t bytes)
{
    munmap(memory - GUARD_BYTES, bytes + 2 * GUARD_BYTES);
}

void world_mount(uint64_t bytes, uint32_t flags)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = flags;
    options.log = region_log_keep;
    options.log_arg = &world.log;
    must(vmfs_attach(world.memory, bytes, &options, &world.fs), "attach");
    world.fs->platform.hint = hint_fixed;
    vm_ctx_init(world.fs, &world.ctx);
}

/* A slice of the checkpoint may retire all records at the end of any call, but then not at the end of
 * the next one. Each call changes something, as one that changes nothing leaves no record. */
static void leave_records(void)
{
    struct vmfs_info info = {.struct_bytes = sizeof info};
    for (uint32_t call = 0; info.journal_bytes_used < 2 * 128 /* two records */; call++) {
        must(vmfs_chmod(world.fs, "/", call % 2 ? 0755 : 0700), "chmod");
        must(vmfs_info(world.fs, &info), "info");
    }
}

void world_make_sized(uint64_t bytes, unsigned many_files, uint64_t big_bytes)
{
    seed_start();
    world.bytes = bytes;
    world.memory = map_guarded(bytes);
    world_mount(bytes, VMFS_CREATE | VMFS_ZEROED);
    put_many(many_files);
    put_files(big_bytes);
    put_others();
    put_attributes();
    put_flags();
    leave_records();
    memset(&world.log, 0, sizeof world.log);
}

void world_make(void)
{
    world_make_sized(REGION_BYTES, MANY_FILES, 5 * REGION_MIB);
}

void world_free(void)
{
    undo_all();
    if (world.held)
        must(vmfs_file_close(world.held), "close");
    must(vmfs_close(world.fs), "close");
    unmap_guarded(world.memory, world.bytes);
    memset(&world, 0, sizeof world);
}

/* ---- finding structures, and making changed ones look right ---- */

uint64_t id_of(const char *path)
{
    struct vmfs_stat stat;
    must(vmfs_stat(world.fs, path, VMFS_NOFOLLOW, &stat), path);
    return stat.ino;
}

uint64_t id_of_held(void)
{
    return world.held->id;
}

struct vm_inode inode_by_id(uint64_t id)
{
    struct vm_inode inode;
    int result = vm_inode_load(&world.ctx, id, &inode);
    cr_assert_eq(result, 0, "%s", vmfs_reason_str(-result));
    return inode;
}

struct vm_inode inode_of(const char *path)
{
    return inode_by_id(id_of(path));
}

void inode_put(struct vm_inode *inode)
{
    uint64_t seed = seeded(vm_id_slot(inode->id));
    inode->m.hash0 = vm_put32(vm_hash32(seed, &inode->m.mode, 52));
    inode->m.hash1 = vm_put32(vm_hash32(seed, &inode->m.project, VM_INODE_BYTES - 68));
    poke(inode->offset, &inode->m, sizeof inode->m);
}

union node node_get(uint64_t offset)
{
    union node node;
    memcpy(&node, at(offset), sizeof node);
    return node;
}

void node_put(union node *node)
{
    size_t hashed = node->head.kind == VM_NODE_INNER   ? 64
                    : node->head.kind == VM_NODE_NAMED ? 128
                                                       : 160;
    uint64_t self = vm_get64(node->head.self);
    node->head.hash = vm_put32(0);
    node->head.hash = vm_put32(vm_hash32(seeded(self), node, hashed));
    poke(self, node, sizeof *node);
}

union node root_of(const char *path)
{
    struct vm_inode inode = inode_of(path);
    struct vm_map map = vm_inode_data_map(&inode);
    cr_assert(map.root > 0, "%s has no map", path);
    return node_get(map.root);
}

union node leaf_of(const char *path)
{
    union node root = root_of(path);
    cr_assert(root.head.level == 1, "%s: level %u", path, root.head.level);
    return node_get(vm_get64(root.inner.child[0]));
}

struct vm_named_hit entry_of(const char *dir_path, const char *name)
{
    struct vm_inode dir = inode_of(dir_path);
    struct vm_named_hit hit;
    const struct vm_name wanted = {(const uint8_t *)name, (uint32_t)strlen(name)};
    cr_assert_eq(vm_dir_find(&world.ctx, &dir, wanted, &hit), 1, "%s", name);
    return hit;
}

void entry_put(const struct vm_named_hit *hit, uint64_t value, uint8_t type)
{
    union vm_entry_cells entry;
    cr_assert_eq(vm_entry_read(&world.ctx, hit->leaf, hit->cell, &entry), 0);
    uint64_t offset = vm_cell_offset(hit->leaf, hit->cell);
    entry.cell.value = vm_put64(value);
    entry.cell.type = type;
    vm_entry_seal(region(), &entry, offset);
    poke(offset, entry.bytes, (uint64_t)entry.cell.cells * VM_CELL_BYTES);
}

struct vm_named_hit attribute_of(const char *path, const char *name)
{
    struct vm_inode inode = inode_of(path);
    struct vm_map map = vm_inode_xattr_map(&inode);
    struct vm_named_hit hit;
    const struct vm_name wanted = {(const uint8_t *)name, (uint32_t)strlen(name)};
    cr_assert_eq(vm_named_find(&world.ctx, &map, wanted, &hit), 1, "%s", name);
    return hit;
}

void extent_seal(struct vm_extent_media *media)
{
    media->hash = vm_put32(0);
    media->hash = vm_put32(vm_hash32(region()->hash_seed, media, sizeof *media));
}

uint64_t map_entry_offset(uint64_t map_block, uint64_t index)
{
    return map_block * VM_BLOCK_BYTES + offsetof(struct vm_map_media, entries) + index * 16;
}

void map_entry_put(uint64_t offset, uint64_t block)
{
    struct vm_map_entry_media entry = {.block = vm_put64(block)};
    entry.hash = vm_put32(vm_hash32(seeded(offset), &entry, 12));
    poke(offset, &entry, sizeof entry);
}

uint64_t map_leaf_block(void)
{
    const struct vm_map_media *root = at(VM_INODE_MAP_BLOCK * (uint64_t)VM_BLOCK_BYTES);
    return vm_get64(root->entries[0].block);
}

uint64_t chunk_block(uint64_t chunk)
{
    const struct vm_map_media *map = at(map_leaf_block() * VM_BLOCK_BYTES);
    return vm_get64(map->entries[chunk].block);
}

struct vm_group_place group(void)
{
    return vm_region_group(region(), 0);
}

uint64_t bitmap_offset_of(uint64_t block)
{
    return group().bitmap_offset + block / 8;
}

struct vm_extent first_extent(const char *path)
{
    struct vm_inode inode = inode_of(path);
    struct vm_extent extent;
    cr_assert_eq(inode.m.form, VM_BODY_EXTENTS, "%s", path);
    cr_assert_eq(vm_extent_load(&world.ctx, &inode.m.body.extents[0], 0, &extent), 0);
    return extent;
}
