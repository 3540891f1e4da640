/* seeds.c -- makes the seed images through the public interface */
#include "seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl_text.h"
#include "api/handle.h"
#include "mutate.h"
#include "region.h"
#include "seed.h"
#include "space/group.h"

#define SEED_NAME(NAME, name, mib) name,
const char *const seed_names[SEED_COUNT] = {SEEDS(SEED_NAME)};

#define SEED_MIB(NAME, name, mib) mib,
static const uint64_t seed_mib[SEED_COUNT] = {SEEDS(SEED_MIB)};

#define BLOCK ((uint64_t)VM_BLOCK_BYTES)

static struct vmfs *fs;
static uint8_t value[VMFS_XATTR_MAX];

static void must(int64_t code, const char *what)
{
    if (code >= 0)
        return;
    fprintf(stderr, "seeds: %s: %lld\n", what, (long long)code);
    exit(1);
}

static struct vmfs_file *open_file(const char *path)
{
    struct vmfs_file *file;
    must(vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file), path);
    return file;
}

/* One block at every second one: as many extents as blocks. */
static void put_pieces(const char *path, unsigned count)
{
    struct vmfs_file *file = open_file(path);
    for (unsigned index = 0; index < count; index++)
        must(vmfs_file_pwrite(file, value + index, index % 3 ? BLOCK : 100, 2 * index * BLOCK),
             path);
    must(vmfs_file_close(file), path);
}

/* Written and unwritten blocks by turns, from one run. */
static void put_stripes(const char *path, unsigned count)
{
    struct vmfs_file *file = open_file(path);
    must(vmfs_file_allocate(file, 0, 0, count * BLOCK), path);
    for (unsigned index = 0; index < count; index += 2)
        must(vmfs_file_pwrite(file, value, 10, index * BLOCK + 5), path);
    must(vmfs_file_close(file), path);
}

static void put_names(const char *dir, unsigned count, unsigned length)
{
    char path[320];
    for (unsigned index = 0; index < count; index++) {
        snprintf(path, sizeof path, "%s/%0*u", dir, (int)length, index);
        must(index % 4 ? vmfs_link(fs, "/f", path) : vmfs_mknod(fs, path, VMFS_S_IFREG | 0644, 0),
             path);
    }
}

static void put_attributes(const char *path, unsigned count, size_t step)
{
    char name[64];
    for (unsigned index = 0; index < count; index++) {
        snprintf(name, sizeof name, "user.attribute-%u", index);
        must(vmfs_xattr_set(fs, path, 0, name, value, index * step), name);
    }
}

static void put_acl(const char *path, const char *name, const char *text)
{
    uint8_t bytes[ACL_BYTES_MAX];
    must(vmfs_xattr_set(fs, path, 0, name, bytes, acl_from_text(text, bytes)), path);
}

/* One of everything. */
static void put_few(void)
{
    static char target[3000];
    memset(target, 't', sizeof target - 1);
    must(region_put_file(fs, "/f", 5000, 1), "/f");
    must(vmfs_mkdir(fs, "/d", 0755), "/d");
    must(vmfs_mkdir(fs, "/d/e", 0755), "/d/e");
    must(vmfs_mkdir(fs, "/d/e/g", 01777), "/d/e/g");
    must(region_put_file(fs, "/d/e/h", 100, 2), "/d/e/h");
    must(vmfs_link(fs, "/f", "/d/link"), "link");
    must(vmfs_symlink(fs, "f", "/short"), "symlink");
    must(vmfs_symlink(fs, target, "/long"), "symlink");
    must(vmfs_mknod(fs, "/device", VMFS_S_IFCHR | 0600, 259), "mknod");
    must(vmfs_mknod(fs, "/fifo", VMFS_S_IFIFO | 0600, 0), "mknod");
    must(vmfs_mknod(fs, "/socket", VMFS_S_IFSOCK | 0600, 0), "mknod");
    must(vmfs_mknod(fs, "/empty", VMFS_S_IFREG | 0600, 0), "mknod");
    put_pieces("/pieces", 4);
    put_stripes("/stripes", 3);
    must(vmfs_xattr_set(fs, "/f", 0, "user.small", value, 20), "xattr");
    must(vmfs_xattr_set(fs, "/f", 0, "user.large", value, 6000), "xattr");
    must(vmfs_xattr_set(fs, "/d", 0, "user.empty", value, 0), "xattr");
    put_acl("/f", ACL_ACCESS, "u6,u1000:4,g4,g1000:6,m6,o0");
    put_acl("/d", ACL_DEFAULT, "u7,u1000:5,g5,m7,o0");
    must(vmfs_mkdir(fs, "/d/heir", 0755), "/d/heir");
    must(vmfs_xattr_set(fs, "/short", VMFS_NOFOLLOW, "trusted.link", value, 700), "xattr");
    const struct vmfs_attr immutable = {.mask = VMFS_ATTR_FLAGS, .flags = VMFS_INODE_IMMUTABLE};
    must(region_put_file(fs, "/flags", 10, 3), "/flags");
    must(vmfs_setattr(fs, "/flags", 0, &immutable), "setattr");
    must(vmfs_mknod(fs, "/gone", VMFS_S_IFREG | 0600, 0), "mknod");
    must(vmfs_unlink(fs, "/gone"), "unlink");
    must(vmfs_utimens(fs, "/f", 1, 2), "utimens");
}

static void read_a_little(void)
{
    struct vmfs_file *file = open_file("/f");
    uint8_t buffer[64];
    must(vmfs_file_pread(file, buffer, sizeof buffer, 0), "read");
    must(vmfs_file_close(file), "close");
}

/* What a power cut would leave of this moment. */
static uint8_t *cut_here(const struct arena *arena)
{
    uint8_t *copy = malloc(arena->bytes);
    if (!copy)
        abort();
    return memcpy(copy, arena->durable, arena->bytes);
}

static struct {
    uint64_t at;
    uint8_t *image;
} cut;

static void cut_at_fence(struct arena *arena)
{
    if (arena_fences() == cut.at)
        cut.image = cut_here(arena);
}

/* ---- one function for each; the image, or null: as it lies in memory after closing ---- */

static uint8_t *make_small(struct arena *arena)
{
    (void)arena;
    put_few();
    read_a_little();
    return NULL;
}

static uint8_t *make_tree(struct arena *arena)
{
    (void)arena;
    put_few();
    must(vmfs_mkdir(fs, "/names", 0755), "/names");
    put_names("/names", 150, 200);
    must(vmfs_mkdir(fs, "/two", 0755), "/two");
    put_names("/two", 90, 20);
    put_pieces("/extents", 250);
    put_stripes("/mixed", 130);
    put_attributes("/pieces", 45, 10);
    must(vmfs_xattr_set(fs, "/pieces", 0, "user.largest", value, sizeof value), "xattr");
    read_a_little();
    return NULL;
}

static uint8_t *make_crash(struct arena *arena)
{
    struct vmfs_file *held[3];
    put_few();
    held[0] = open_file("/pieces");
    held[1] = open_file("/stripes");
    held[2] = open_file("/many");
    must(vmfs_file_close(held[2]), "close");
    put_pieces("/many", 40);
    held[2] = open_file("/many");
    must(vmfs_sync(fs), "sync");
    must(vmfs_mkdir(fs, "/new", 0755), "mkdir");
    put_names("/new", 12, 30);
    must(vmfs_unlink(fs, "/pieces"), "unlink");
    must(vmfs_rename(fs, "/stripes", "/f", 0), "rename");
    must(vmfs_unlink(fs, "/many"), "unlink");
    must(vmfs_xattr_set(fs, "/d", 0, "user.new", value, 900), "xattr");
    must(vmfs_xattr_set(fs, "/d", 0, "user.newer", value, 9000), "xattr");
    must(vmfs_file_allocate(held[1], VMFS_ALLOC_KEEP_SIZE, 3 * BLOCK, 5 * BLOCK), "allocate");
    must(vmfs_file_pwrite(held[1], value, 700, 3), "pwrite");
    must(vmfs_truncate(fs, "/d/e/h", 10), "truncate");
    must(vmfs_rename(fs, "/short", "/long", VMFS_RENAME_EXCHANGE), "exchange");
    must(vmfs_rmdir(fs, "/d/e/g"), "rmdir");
    read_a_little();
    uint8_t *image = cut_here(arena);
    for (unsigned index = 0; index < 3; index++)
        must(vmfs_file_close(held[index]), "close");
    return image;
}

/* Cut inside of a collapse: what it leaves is there, and not freed yet. */
static uint8_t *make_remap(struct arena *arena)
{
    (void)arena;
    put_few();
    put_pieces("/extents", 230);
    must(vmfs_sync(fs), "sync");
    struct vmfs_file *file = open_file("/extents");
    cut.at = arena_fences() + 4;
    arena_at_fence(cut_at_fence);
    must(vmfs_file_allocate(file, VMFS_ALLOC_COLLAPSE, 20 * BLOCK, 200 * BLOCK), "collapse");
    arena_at_fence(NULL);
    must(vmfs_file_close(file), "close");
    return cut.image;
}

/* The second zone is added by hand: the format has zones, but mkfs makes one. */
static uint8_t *make_zones(struct arena *arena)
{
    static struct atlas atlas;
    const uint64_t half = arena->bytes / BLOCK / 2;
    put_few();
    must(vmfs_close(fs), "close");
    atlas_make(&atlas, arena->memory, arena->memory);
    for (unsigned copy = 0; copy < 2; copy++) {
        const struct atlas_object *object = &atlas.objects[atlas.by_kind[ATLAS_super][copy]];
        struct vm_super_media *super = (void *)(arena->memory + object->offset);
        super->region_blocks = vm_put64(2 * half);
        super->zone_count = vm_put32(2);
        super->zones[1] = (struct vm_zone_media){.first_block = vm_put64(half),
                                                 .block_count = vm_put64(half),
                                                 .head_block = vm_put64(half),
                                                 .group_count = vm_put32(1)};
        mutate_mend(arena, &atlas, object);
        object = &atlas.objects[atlas.by_kind[ATLAS_watermark][copy]];
        struct vm_watermark_media *line = (void *)(arena->memory + object->offset);
        line->blocks_free = vm_put64(vm_get64(line->blocks_free) + half - vm_zone_head_blocks(1));
        mutate_mend(arena, &atlas, object);
    }
    struct vm_zone_state_media *state = (void *)(arena->memory + half * BLOCK);
    *state = (struct vm_zone_state_media){.magic = vm_put32(VM_MAGIC_ZONE),
                                          .self = vm_put64(half * BLOCK)};
    const struct atlas_object head = {.kind = ATLAS_zone_state,
                                      .parent = ATLAS_NONE,
                                      .offset = half * BLOCK,
                                      .salt = half * BLOCK};
    mutate_mend(arena, &atlas, &head);
    must(arena_attach(0, &fs), "attach with two zones");
    struct vmfs_file *file = open_file("/large");
    must(vmfs_file_allocate(file, 0, 0, (half + half / 2) * BLOCK), "allocate");
    must(vmfs_file_close(file), "close");
    put_pieces("/behind", 20);
    return NULL;
}

typedef uint8_t *(*make_fn)(struct arena *arena);
static const make_fn makers[SEED_COUNT] = {make_small, make_tree, make_crash, make_remap,
                                           make_zones};

static void print_problem(void *arg, const struct vmfs_problem *problem)
{
    (void)arg;
    fprintf(stderr, "seeds: P%u %s\n", problem->pass, problem->text);
}

/* Attaches a copy, so that the journal is applied, and walks it. */
static void survey(struct seed_image *image)
{
    struct arena *arena = &image->arena;
    struct vmfs_check_result result;
    must(arena_attach(0, &fs), "attach");
    must(vmfs_check(fs, print_problem, NULL, &result), "check");
    image->problems = result.problems;
    atlas_make(&image->atlas, arena->image, arena->memory);
    must(vmfs_close(fs), "close");
    arena_restore(arena);
}

static void make(struct seed_image *image, unsigned index)
{
    struct arena *arena = &image->arena;
    uint64_t bytes = seed_mib[index] * REGION_MIB;
    arena_init(arena, bytes);
    arena_use(arena);
    arena_surroundings(index + 1, ARENA_FAULT_NONE, 0);
    arena->bytes = index == SEED_ZONES ? bytes / 2 : bytes;
    must(arena_attach(VMFS_CREATE | VMFS_ZEROED, &fs), "format");
    arena->bytes = bytes;
    uint8_t *cut_image = makers[index](arena);
    must(vmfs_close(fs), "close");
    arena->durable = NULL;
    arena_keep(arena, cut_image);
    free(cut_image);
    survey(image);
    if (image->problems)
        must(-1, seed_names[index]);
}

void seeds_make(struct seed_image *images[SEED_COUNT])
{
    seed_fill(value, sizeof value, 9);
    for (unsigned index = 0; index < SEED_COUNT; index++) {
        images[index] = calloc(1, sizeof *images[index]);
        if (!images[index])
            abort();
        make(images[index], index);
    }
}

/* ---- is everything there? ---- */

static unsigned inner_levels(const struct seed_image *image, unsigned kind_below)
{
    unsigned found = 0;
    const struct atlas *atlas = &image->atlas;
    for (unsigned index = 0; index < atlas->kind_count[ATLAS_inner]; index++) {
        const struct vm_inner_media *inner =
            (const void *)(image->arena.image +
                           atlas->objects[atlas->by_kind[ATLAS_inner][index]].offset);
        const struct vm_node_media *child =
            (const void *)(image->arena.image + vm_get64(inner->child[0]));
        found += child->kind == kind_below;
    }
    return found;
}

const char *seeds_lack(struct seed_image *const images[SEED_COUNT])
{
    static char text[100];
    for (unsigned kind = 0; kind < ATLAS_KINDS; kind++) {
        unsigned count = 0;
        for (unsigned index = 0; index < SEED_COUNT; index++)
            count += images[index]->atlas.kind_count[kind];
        snprintf(text, sizeof text, "no %s", atlas_kind_names[kind]);
        if (count == 0)
            return text;
    }
    if (inner_levels(images[SEED_TREE], VM_NODE_NAMED) < 3)
        return "no inner nodes above names and attributes";
    if (inner_levels(images[SEED_TREE], VM_NODE_FIXED) < 2)
        return "no inner nodes above extents";
    if (images[SEED_ZONES]->atlas.kind_count[ATLAS_group] < 2)
        return "no second group";
    if (images[SEED_CRASH]->atlas.kind_count[ATLAS_record] < 10)
        return "no records to apply";
    return NULL;
}
