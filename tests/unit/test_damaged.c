/* test_damaged.c -- a damaged region that nobody mends is used: there are errors, but never a crash */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "fsck_world.h"

/* Records that are applied at attach must not heal what is damaged, but for the few that damages need. */
static void world_start(void)
{
    world_make();
    must(vmfs_sync(world.fs), "sync");
    for (unsigned call = 0; call < 3; call++)
        must(vmfs_chmod(world.fs, "/", call % 2 ? 0755 : 0700), "chmod");
}

TestSuite(damaged, .init = world_start, .fini = world_free, .timeout = 280);

#define STEPS        400u
#define SECONDS_MAX  60u
#define BUFFER_BYTES 70000u

static uint8_t buffer[BUFFER_BYTES];

static struct vmfs *copy_open(uint8_t *memory)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs *fs;
    return vmfs_attach(memory, REGION_BYTES, &options, &fs) ? NULL : fs;
}

/* A name that is there, or one that may be. */
static const char *any_path(struct seed *seed, char path[64])
{
    static const char *const known[] = {
        "/small",  "/plain",     "/other",          "/big",
        "/few",    "/fragments", "/sparse",         "/cut",
        "/dir",    "/many",      "/dir/below",      "/dir/link",
        "/attrs",  "/short",     "/long",           "/fifo",
        "/flag-1", "/dir/moved", "/dir/below/deep", "/dir/below/link",
        "/device"};
    static const char *const dirs[] = {"", "/dir", "/many", "/dir/below", "/dir/moved"};
    uint64_t pick = seed_next(seed);
    if (pick % 3 == 0)
        snprintf(path, 64, "%s", known[pick / 3 % (sizeof known / sizeof known[0])]);
    else if (pick % 3 == 1)
        snprintf(path, 64, "/many/%04u", (unsigned)(pick / 3 % 1500));
    else
        snprintf(path, 64, "%s/new-%u", dirs[pick / 3 % 5], (unsigned)(pick / 15 % 40));
    return path;
}

static void use_file(struct vmfs *fs, struct seed *seed, const char *path)
{
    struct vmfs_file *file;
    struct vmfs_file *other;
    char second[64];
    int flags = VMFS_O_RDWR | (seed_next(seed) % 2 ? VMFS_O_CREAT : 0) |
                (seed_next(seed) % 8 ? 0 : VMFS_O_ATOMIC);
    if (vmfs_file_open(fs, path, flags, 0644, &file))
        return;
    for (unsigned step = 0; step < 3; step++) {
        uint64_t offset = seed_next(seed) % (seed_next(seed) % 4 ? 200000 : (uint64_t)1 << 45);
        uint64_t len_bytes = seed_next(seed) % BUFFER_BYTES;
        static const int modes[] = {0, 1, 3, 0x10, 0x11, 8, 0x20};
        uint64_t block = offset / 4096 * 4096;
        switch (seed_next(seed) % 8) {
        case 0:
            (void)vmfs_file_truncate(file, offset);
            break;
        case 1:
            (void)vmfs_file_allocate(file, modes[seed_next(seed) % 7], block,
                                     8192 + len_bytes / 4096 * 4096);
            break;
        case 2:
            if (vmfs_file_open(fs, any_path(seed, second), VMFS_O_RDWR, 0, &other) == 0) {
                (void)vmfs_file_copy_range(file, 0, other, offset, len_bytes);
                (void)vmfs_file_close(other);
            }
            break;
        case 3:
            (void)vmfs_file_pread(file, buffer, len_bytes, offset);
            break;
        default:
            (void)vmfs_file_pwrite(file, buffer, len_bytes, offset);
        }
    }
    (void)vmfs_file_close(file);
}

static void read_names(struct vmfs *fs, const char *path)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    if (vmfs_dir_open(fs, path, &dir))
        return;
    for (unsigned count = 0; count < 3000 && vmfs_dir_read(dir, &entry) > 0; count++)
        continue;
    (void)vmfs_dir_close(dir);
}

static void use_name(struct vmfs *fs, struct seed *seed, const char *path)
{
    char second[64];
    char name[64];
    struct vmfs_stat stat;
    snprintf(name, sizeof name, "user.number-%u", (unsigned)(seed_next(seed) % 70));
    switch (seed_next(seed) % 12) {
    case 0:
        (void)vmfs_mkdir(fs, path, 0755);
        break;
    case 1:
        (void)vmfs_rmdir(fs, path);
        break;
    case 2:
    case 3:
        (void)vmfs_unlink(fs, path);
        break;
    case 4:
    case 5:
        (void)vmfs_rename(fs, path, any_path(seed, second), (uint32_t)(seed_next(seed) % 3));
        break;
    case 6:
        (void)vmfs_link(fs, path, any_path(seed, second));
        break;
    case 7:
        (void)vmfs_xattr_set(fs, path, 0, name, buffer, seed_next(seed) % 9000);
        break;
    case 8:
        (void)vmfs_xattr_remove(fs, path, 0, name);
        break;
    case 9:
        read_names(fs, path);
        break;
    case 10:
        (void)vmfs_symlink(fs, "some-target", path);
        break;
    default:
        (void)vmfs_stat(fs, path, 0, &stat);
        (void)vmfs_mknod(fs, path, 0644, 0);
    }
}

/* In a process of its own. */
static void use(uint8_t *memory, struct seed *seed)
{
    char path[64];
    alarm(SECONDS_MAX);
    struct vmfs *fs = copy_open(memory);
    for (unsigned step = 0; fs && step < STEPS; step++) {
        any_path(seed, path);
        if (seed_next(seed) % 3 == 0)
            use_file(fs, seed, path);
        else
            use_name(fs, seed, path);
        if (seed_next(seed) % 16 == 0) { /* who met damage has a handle that only reads */
            (void)vmfs_close(fs);
            fs = copy_open(memory);
        }
    }
    if (fs)
        (void)vmfs_close(fs);
    _exit(0);
}

/* What the world is now, used by somebody else. */
static void use_copy(const char *what)
{
    uint8_t *memory = map_guarded(REGION_BYTES);
    memcpy(memory, world.memory, REGION_BYTES);
    undo_all();
    memset(memory + VM_OWNER_BLOCK * VM_BLOCK_BYTES, 0, VM_BLOCK_BYTES); /* nobody has it */
    struct seed seed;
    seed_init(&seed, seed_next(&world.seed));
    int status = 0;
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0)
        use(memory, &seed);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0, "%s: status %x", what, (unsigned)status);
    unmap_guarded(memory, REGION_BYTES);
}

Test(damaged, use_never_crashes)
{
    for (unsigned index = 0; index < damage_count; index++) {
        damages[index].make();
        use_copy(damages[index].name);
    }
}

/* ---- counts that cannot be ---- */

/* In both copies: 0 leaves a field as it is. */
static void line_says(uint64_t watermark, uint64_t inodes_used)
{
    struct vm_watermark_media lines[2];
    memcpy(&lines[0], at(VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES), sizeof lines[0]);
    memcpy(&lines[1], at(VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES), sizeof lines[1]);
    struct vm_watermark_media line =
        lines[vm_get64(lines[1].watermark) > vm_get64(lines[0].watermark)];
    if (watermark)
        line.watermark = vm_put64(watermark);
    if (inodes_used)
        line.inodes_used = vm_put64(inodes_used);
    for (unsigned copy = 0; copy < 2; copy++) {
        uint64_t offset = (copy ? VM_WATERMARK_B_BLOCK : VM_WATERMARK_A_BLOCK) * VM_BLOCK_BYTES;
        line.check = vm_put64(vm_hash64(vm_get64(line.nonce) ^ offset, &line, 56));
        poke(offset, &line, sizeof line);
    }
}

/* No number may follow the highest one. */
Test(damaged, watermark_at_the_end)
{
    static const uint64_t ends[] = {1, 2, 3, 300, 1000};
    for (unsigned index = 0; index < 5; index++) {
        line_says(-ends[index], 0);
        use_copy("watermark");
    }
}

/* The parents of two directories name each other, and the region says that it has many more. */
static void move_in_a_cycle(uint8_t *memory)
{
    alarm(20);
    struct vmfs *fs = copy_open(memory);
    if (fs)
        _exit(vmfs_rename(fs, "/many", "/dir/below/many", 0) == 0);
    _exit(2);
}

Test(damaged, cycle_of_parents)
{
    uint8_t *memory = map_guarded(REGION_BYTES);
    struct vm_inode dir = inode_of("/dir");
    int status;
    dir.m.parent = vm_put64(id_of("/dir/below"));
    inode_put(&dir);
    line_says(0, (uint64_t)1 << 62);
    memcpy(memory, world.memory, REGION_BYTES);
    undo_all();
    memset(memory + VM_OWNER_BLOCK * VM_BLOCK_BYTES, 0, VM_BLOCK_BYTES); /* nobody has it */
    pid_t child = fork();
    if (child == 0)
        move_in_a_cycle(memory);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0, "status %x", (unsigned)status);
    unmap_guarded(memory, REGION_BYTES);
}

/* F3: two names lead from a directory back to it, so that there are more paths than anybody can print. */
static void count_lines(void *arg, const char *line)
{
    unsigned *lines = arg;
    (void)line;
    cr_assert_lt(++*lines, 100000u, "it goes round and round");
}

Test(damaged, F3_tree_that_is_its_own_branch)
{
    unsigned lines = 0;
    struct vm_named_hit first;
    struct vm_named_hit second;
    must(vmfs_mkdir(world.fs, "/round", 0755), "mkdir");
    must(vmfs_mkdir(world.fs, "/round/one", 0755), "mkdir");
    must(vmfs_mkdir(world.fs, "/round/two", 0755), "mkdir");
    first = entry_of("/round", "one");
    second = entry_of("/round", "two");
    entry_put(&first, id_of("/round"), first.entry.type);
    entry_put(&second, id_of("/round"), second.entry.type);
    must(vmfs_dump(world.fs, VMFS_DUMP_TREE, 0, count_lines, &lines), "dump");
    undo_all();
}

/* The entry for the map block to which a chunk is to be added is lost while the region is in use. */
Test(damaged, map_block_is_lost_in_use)
{
    uint8_t before[VM_BLOCK_BYTES];
    char path[64];
    int result = 0;
    memcpy(before, at(0), sizeof before);
    const struct vm_map_entry_media none = {0};
    poke(map_entry_offset(VM_INODE_MAP_BLOCK, 0), &none, sizeof none);
    for (unsigned index = 0; result == 0 && index < 6000; index++) {
        snprintf(path, sizeof path, "/dir/new-%u", index);
        result = vmfs_mknod(world.fs, path, 0644, 0);
    }
    cr_expect_eq(result, -EUCLEAN);
    cr_expect_eq(memcmp(at(0), before, sizeof before), 0, "a superblock has changed");
    undo_all();
}

static void leaf_says_empty(void)
{
    union node leaf = leaf_of("/many");
    leaf.head.count = vm_put16(0);
    node_put(&leaf);
}

Test(damaged, names_in_a_leaf_that_says_it_is_empty)
{
    char path[64];
    struct vmfs_stat stat;
    leaf_says_empty();
    for (unsigned index = 0; index < 1500; index++) {
        snprintf(path, sizeof path, "/many/%04u", index);
        memset(path + 10, 'n', index % 90 < 50 ? index % 90 : 0);
        path[10 + (index % 90 < 50 ? index % 90 : 0)] = '\0';
        if (vmfs_stat(world.fs, path, 0, &stat) == 0)
            (void)vmfs_unlink(world.fs, path);
    }
    undo_all();
}

/* ---- any field of any structure, with the hashes made right again ---- */

static void change_field(void *structure, size_t len_bytes)
{
    uint8_t *bytes = structure;
    struct seed *seed = &world.seed;
    size_t width = (size_t)1 << seed_next(seed) % 4;
    size_t offset = seed_next(seed) % (len_bytes / width) * width;
    uint64_t value = 0;
    memcpy(&value, bytes + offset, width);
    switch (seed_next(seed) % 6) {
    case 0:
        value = (uint64_t)1 << seed_next(seed) % 64;
        break;
    case 1:
        value = ((uint64_t)1 << seed_next(seed) % 64) - 1;
        break;
    case 2:
        value = -(seed_next(seed) % 3);
        break;
    case 3:
        value += seed_next(seed) % 5 - 2;
        break;
    case 4:
        memcpy(&value, bytes + seed_next(seed) % (len_bytes / width) * width, width);
        break;
    default:
        value ^= (uint64_t)1 << seed_next(seed) % (8 * width);
    }
    memcpy(bytes + offset, &value, width);
}

static const char *const files[] = {"/small",  "/plain",  "/big",    "/few",  "/fragments",
                                    "/sparse", "/cut",    "/dir",    "/many", "/dir/below",
                                    "/attrs",  "/short",  "/long",   "/fifo", "/dir/moved",
                                    "/flag-1", "/device", "/flag-2", "/",     "/other"};

static const char *any_file(void)
{
    return files[seed_next(&world.seed) % (sizeof files / sizeof files[0])];
}

static void change_inode(void)
{
    struct vm_inode inode = inode_of(any_file());
    size_t part = seed_next(&world.seed) % 3;
    if (part == 0)
        change_field(&inode.m, sizeof inode.m);
    else if (part == 1)
        change_field(&inode.m, 64);
    else
        change_field(&inode.m.body, sizeof inode.m.body);
    inode_put(&inode);
}

static void change_extent(void)
{
    static const char *const with_extents[] = {"/few", "/big", "/plain", "/small", "/sparse"};
    struct vm_inode inode = inode_of(with_extents[seed_next(&world.seed) % 5]);
    if (inode.m.form != VM_BODY_EXTENTS)
        return;
    change_field(&inode.m.body.extents[0], sizeof inode.m.body.extents[0]);
    extent_seal(&inode.m.body.extents[0]);
    inode_put(&inode);
}

static union node any_node(void)
{
    static const char *const with_tree[] = {"/many", "/fragments", "/", "/dir", "/cut"};
    const char *path = with_tree[seed_next(&world.seed) % 5];
    struct vm_inode inode = inode_of(seed_next(&world.seed) % 5 ? path : "/attrs");
    struct vm_map map = vm_inode_data_map(&inode);
    if (!map.root)
        map = vm_inode_xattr_map(&inode);
    union node node = node_get(map.root ? map.root : vm_inode_data_map(&(struct vm_inode){0}).root);
    if (node.head.level && seed_next(&world.seed) % 3)
        node = node_get(
            vm_get64(node.inner.child[seed_next(&world.seed) % vm_get16(node.head.count)]));
    return node;
}

static void change_node(void)
{
    union node node = any_node();
    struct vm_le64 self = node.head.self;
    if (node.head.level)
        change_field(&node, 64 + 8 * (size_t)vm_get16(node.head.count));
    else
        change_field(&node, seed_next(&world.seed) % 2 ? 160 : 64);
    if (seed_next(&world.seed) % 3 == 0)
        change_field(&node, 160);
    node.head.self = self;
    node_put(&node);
}

static void change_slot(void)
{
    union node node = any_node();
    uint64_t self = vm_get64(node.head.self);
    if (node.head.kind == VM_NODE_FIXED) {
        struct vm_extent_media slot;
        uint64_t offset = self + VM_BLOCK_BYTES / 4 + seed_next(&world.seed) % 64 * 32;
        memcpy(&slot, at(offset), sizeof slot);
        change_field(&slot, sizeof slot);
        extent_seal(&slot);
        poke(offset, &slot, sizeof slot);
    } else if (node.head.kind == VM_NODE_NAMED) {
        uint32_t cell = 0;
        for (unsigned tries = 0; tries < 200 && (cell == 0 || node.named.fp[cell] == 0); tries++)
            cell = (uint32_t)(seed_next(&world.seed) % VM_CELL_COUNT);
        union vm_entry_cells entry;
        memcpy(&entry, at(vm_cell_offset(self, cell)),
               VM_CELL_BYTES * (VM_CELL_COUNT - cell < VM_ENTRY_CELLS_MAX ? VM_CELL_COUNT - cell
                                                                          : VM_ENTRY_CELLS_MAX));
        change_field(&entry, VM_CELL_BYTES);
        if (entry.cell.cells == 0 || entry.cell.cells > VM_ENTRY_CELLS_MAX ||
            entry.cell.cells > VM_CELL_COUNT - cell)
            return;
        vm_entry_seal(region(), &entry, vm_cell_offset(self, cell));
        poke(vm_cell_offset(self, cell), entry.bytes, (uint64_t)entry.cell.cells * VM_CELL_BYTES);
    }
}

static void change_line(void)
{
    struct vm_watermark_media line;
    bool is_both = seed_next(&world.seed) % 4 != 0;
    memcpy(&line, at(VM_WATERMARK_A_BLOCK * VM_BLOCK_BYTES), sizeof line);
    struct vm_watermark_media other;
    memcpy(&other, at(VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES), sizeof other);
    if (vm_get64(other.watermark) > vm_get64(line.watermark))
        line = other;
    change_field((uint8_t *)&line + (seed_next(&world.seed) % 4 ? 16 : 0), 40);
    for (unsigned copy = is_both ? 0 : 1; copy < 2; copy++) {
        uint64_t offset = (copy ? VM_WATERMARK_B_BLOCK : VM_WATERMARK_A_BLOCK) * VM_BLOCK_BYTES;
        line.check = vm_put64(vm_hash64(vm_get64(line.nonce) ^ offset, &line, 56));
        poke(offset, &line, sizeof line);
    }
}

static void change_chunk(void)
{
    uint64_t offset = chunk_block(seed_next(&world.seed) % 3) * VM_BLOCK_BYTES;
    struct vm_chunk_media head;
    memcpy(&head, at(offset), sizeof head);
    change_field(&head, seed_next(&world.seed) % 2 ? sizeof head : 64);
    head.hash = vm_put32(vm_hash32(seeded(offset), &head.self, 56));
    poke(offset, &head, sizeof head);
}

static void change_map(void)
{
    uint64_t block = seed_next(&world.seed) % 2 ? map_leaf_block() : VM_INODE_MAP_BLOCK;
    uint64_t index = seed_next(&world.seed) % 4;
    uint64_t value = seed_next(&world.seed) % 3 ? chunk_block(seed_next(&world.seed) % 3)
                                                : seed_next(&world.seed) % (48 * 256);
    if (seed_next(&world.seed) % 4 == 0)
        value = map_leaf_block();
    map_entry_put(map_entry_offset(block, index), value);
}

static void change_bits(void)
{
    uint64_t block = seed_next(&world.seed) % (REGION_BYTES / VM_BLOCK_BYTES);
    uint64_t offset = bitmap_offset_of(block) / 8 * 8;
    poke_u64(offset, seed_next(&world.seed) % 2 ? 0 : ~(uint64_t)0);
}

static void change_anything(void)
{
    static void (*const changes[])(void) = {change_inode, change_inode, change_extent, change_node,
                                            change_node,  change_slot,  change_slot,   change_line,
                                            change_chunk, change_map,   change_bits};
    changes[seed_next(&world.seed) % (sizeof changes / sizeof changes[0])]();
    if (seed_next(&world.seed) % 2)
        change_line(); /* finds its way without what was changed before */
}

Test(damaged, any_field_of_any_structure)
{
    const char *text = getenv("VMFS_TEST_DAMAGES");
    unsigned rounds = text ? (unsigned)strtoul(text, NULL, 0) : 60;
    const char *first = getenv("VMFS_TEST_FIRST");
    unsigned start = first ? (unsigned)strtoul(first, NULL, 0) : 0;
    uint64_t base = seed_next(&world.seed);
    char what[64];
    for (unsigned round = start; round < start + rounds; round++) {
        snprintf(what, sizeof what, "VMFS_TEST_FIRST=%u", round);
        seed_init(&world.seed, seed_mix(base, round));
        change_anything();
        use_copy(what);
    }
}
