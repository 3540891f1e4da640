/* test_repair_fields.c -- one field of the medium is damaged, then two, then whole ranges
 *
 * The table in repair_fields.h has every field of the format. Each is damaged in several ways, its hash left
 * as it was, and what must survive has survived. For what is hit at random, the map of owners says what it
 * may cost: what lies in the blocks that were hit, and no more.
 *
 * VMFS_TEST_FIELD=NAME takes the fields with this in their names; VMFS_TEST_ROUNDS=N does N rounds of the random
 * tests, and all ways to damage each field; VMFS_TEST_SEED and VMFS_TEST_FIRST replay one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repair_copy.h"
#include "repair_fields.h"

#define FIELDS_MIB    12u
#define FIELDS_FILES  300u
#define FIELDS_BIG    (1u << 20)
#define ROUNDS        60u
#define COST_BYTES    64u
#define SLOTS_A_BLOCK (VM_BLOCK_BYTES / VM_INODE_BYTES)

static struct inventory inventory;
static struct repair_judge judge;

/* A file that was remapped, and whose old map was not freed yet, has no name: the held one plays it. */
static void retire(void)
{
    struct vm_inode inode = inode_by_id(id_of_held());
    struct vm_map map = vm_inode_data_map(&inode);
    memset(&inode.m.body, 0, sizeof inode.m.body);
    inode.m.form = VM_BODY_RETIRED;
    inode.m.body.retired = (struct vm_retired_media){
        .root = vm_put64(map.root), .tag = inode.m.tag, .end = vm_put64((uint64_t)1 << 40)};
    inode_put(&inode);
    forget_changes();
}

static void start(void)
{
    world_make_sized((uint64_t)FIELDS_MIB << 20, FIELDS_FILES, FIELDS_BIG);
    must(vmfs_sync(world.fs), "sync");
    for (unsigned call = 0; call < 3; call++)
        must(vmfs_chmod(world.fs, "/", call % 2 ? 0755 : 0700), "chmod");
    retire();
    copy_learn(&inventory);
}

static void end(void)
{
    inventory_free(&inventory);
    world_free();
}

TestSuite(repair_fields, .init = start, .fini = end, .timeout = 280);

/* ---- where the world has each structure ---- */

static uint64_t in_blocks(uint64_t block)
{
    return block * VM_BLOCK_BYTES;
}

static uint64_t super_a(void)
{
    return in_blocks(VM_SUPER_A_BLOCK);
}

static uint64_t super_b(void)
{
    return in_blocks(VM_SUPER_B_BLOCK);
}

static uint64_t super_zone(void)
{
    return super_a() + offsetof(struct vm_super_media, zones);
}

static uint64_t super_share(void)
{
    return super_b() + offsetof(struct vm_super_media, share);
}

static uint64_t line_a(void)
{
    return in_blocks(VM_WATERMARK_A_BLOCK);
}

static uint64_t line_b(void)
{
    return in_blocks(VM_WATERMARK_B_BLOCK);
}

static uint64_t owner(void)
{
    return in_blocks(VM_OWNER_BLOCK);
}

static uint64_t record(void)
{
    return live_record();
}

static uint64_t zone_state(void)
{
    return group().state_offset;
}

static uint64_t descriptor(void)
{
    return group().descriptor_offset;
}

static uint64_t inner_names(void)
{
    return vm_get64(root_of("/many").head.self);
}

static uint64_t inner_extents(void)
{
    return vm_get64(root_of("/fragments").head.self);
}

static uint64_t leaf_names(void)
{
    return vm_get64(leaf_of("/many").head.self);
}

static uint64_t leaf_extents(void)
{
    return vm_get64(leaf_of("/fragments").head.self);
}

static uint64_t leaf_attributes(void)
{
    return attribute_of("/attrs", "user.large").leaf;
}

static uint64_t cell(void)
{
    union node leaf = leaf_of("/many");
    uint32_t first = 0;
    while (leaf.named.fp[first] == 0)
        first++;
    return vm_cell_offset(vm_get64(leaf.head.self), first);
}

static uint64_t cell_attribute(void)
{
    struct vm_named_hit hit = attribute_of("/attrs", "user.number-3");
    return vm_cell_offset(hit.leaf, hit.cell);
}

static uint64_t value(void)
{
    struct vm_named_hit hit = attribute_of("/attrs", "user.large");
    return vm_cell_offset(hit.leaf, hit.cell) + offsetof(struct vm_cell_media, payload) +
           hit.entry.name_bytes;
}

/* Its first bytes lie in the entry's first cell, behind the name. */
static uint64_t acl(void)
{
    struct vm_named_hit hit = attribute_of("/dir", "system.posix_acl_default");
    return vm_cell_offset(hit.leaf, hit.cell) + offsetof(struct vm_cell_media, payload) +
           hit.entry.name_bytes;
}

static uint64_t acl_entry(void)
{
    return acl() + sizeof(struct vm_acl_media);
}

static uint64_t slot(void)
{
    return leaf_extents() + offsetof(struct vm_fixed_media, slots) + sizeof(struct vm_extent_media);
}

static uint64_t file_inode(void)
{
    return inode_of("/plain").offset;
}

static uint64_t inline_slot(void)
{
    return inode_of("/few").offset + offsetof(struct vm_inode_media, body);
}

static uint64_t root_entry(void)
{
    return map_entry_offset(VM_INODE_MAP_BLOCK, 0);
}

static uint64_t leaf_entry(void)
{
    return map_entry_offset(map_leaf_block(), 1);
}

static uint64_t map_root(void)
{
    return in_blocks(VM_INODE_MAP_BLOCK);
}

static uint64_t map_leaf(void)
{
    return in_blocks(map_leaf_block());
}

static uint64_t first_chunk(void)
{
    return in_blocks(chunk_block(0));
}

static uint64_t second_chunk(void)
{
    return in_blocks(chunk_block(1));
}

static uint64_t retired(void)
{
    return inode_by_id(id_of_held()).offset + offsetof(struct vm_inode_media, body);
}

static uint64_t tree_inode(void)
{
    return inode_of("/fragments").offset;
}

static uint64_t many_inode(void)
{
    return inode_of("/many").offset;
}

static uint64_t extents_inode(void)
{
    return inode_of("/few").offset;
}

static uint64_t device_inode(void)
{
    return inode_of("/device").offset;
}

static uint64_t dir_inode(void)
{
    return inode_of("/dir").offset;
}

static uint64_t link_inode(void)
{
    return inode_of("/short").offset;
}

static uint64_t root_inode(void)
{
    return inode_by_id(VM_ROOT_ID).offset;
}

static uint64_t free_inode(void)
{
    for (uint64_t offset = root_inode();; offset += VM_INODE_BYTES) {
        const struct vm_inode_media *m = at(offset);
        if (m->kind == VM_INODE_FREE && vm_get32(m->hash0))
            return offset;
    }
}

/* ---- one field ---- */

struct field {
    const char *name;
    const char *cost;
    uint64_t (*place)(void);
    size_t offset;
    size_t bytes;
};

#define FIELD_ROW(STRUCT, FIELD, PLACE, COST)                                                      \
    {#STRUCT "." #FIELD " of " #PLACE, COST, PLACE, offsetof(struct STRUCT, FIELD),                \
     sizeof(((struct STRUCT *)0)->FIELD)},

static const struct field fields[] = {REPAIR_FIELDS(FIELD_ROW)};

#define FIELD_COUNT (sizeof fields / sizeof fields[0])

enum verb { VERB_BIT, VERB_ZERO, VERB_ONES, VERB_RANDOM, VERB_COUNT };

/* Of a long field up to eight bytes are hit, somewhere. */
static void hit(uint8_t *memory, const struct field *field, enum verb verb)
{
    struct seed *seed = &world.seed;
    size_t bytes = field->bytes < 8 ? field->bytes : 8;
    uint64_t offset =
        field->place() + field->offset + seed_below(seed, field->bytes / bytes) * bytes;
    uint8_t *target = memory + offset;
    if (verb == VERB_BIT)
        target[seed_below(seed, bytes)] ^= (uint8_t)(1u << seed_below(seed, 8));
    if (verb == VERB_ZERO || verb == VERB_ONES)
        memset(target, verb == VERB_ONES ? 0xff : 0, bytes);
    if (verb == VERB_RANDOM)
        seed_fill(target, bytes, seed_next(seed));
}

Test(repair_fields, each_alone)
{
    const char *only = getenv("VMFS_TEST_FIELD");
    bool is_long = getenv("VMFS_TEST_ROUNDS");
    for (size_t index = 0; index < FIELD_COUNT; index++)
        for (unsigned verb = 0; verb < VERB_COUNT; verb++) {
            struct copy copy;
            char what[160];
            bool is_wanted = only ? strstr(fields[index].name, only) != NULL
                                  : is_long || verb == VERB_BIT || seed_chance(&world.seed, 25);
            if (!is_wanted)
                continue;
            snprintf(what, sizeof what, "%s, verb %u", fields[index].name, verb);
            judge_begin(&judge, world.fs, &inventory, fields[index].cost);
            copy_take(&copy);
            hit(copy.memory, &fields[index], verb);
            must(copy_open(&copy, VMFS_REPAIR), what);
            (void)copy_repair(&copy, &judge, what);
            copy_free(&copy);
        }
}

/* A kind that another inode may have costs no more than one that none has. */
Test(repair_fields, kinds_of_others)
{
    static const uint8_t kinds[] = {VM_INODE_FILE, VM_INODE_DIRECTORY, VM_INODE_SYMLINK,
                                    VM_INODE_SPECIAL};
    for (size_t index = 0; index < FIELD_COUNT; index++)
        for (size_t kind = 0; kind < sizeof kinds; kind++) {
            const struct field *field = &fields[index];
            struct copy copy;
            char what[160];
            if (strncmp(field->name, "vm_inode_media.kind of ", 23) != 0)
                continue;
            snprintf(what, sizeof what, "%s, kind %x", field->name, kinds[kind]);
            judge_begin(&judge, world.fs, &inventory, field->cost);
            copy_take(&copy);
            copy.memory[field->place() + field->offset] = kinds[kind];
            must(copy_open(&copy, VMFS_REPAIR), what);
            (void)copy_repair(&copy, &judge, what);
            copy_free(&copy);
        }
}

static bool is_super(const struct field *field)
{
    return strncmp(field->name, "vm_super", 8) == 0 ||
           strncmp(field->name, "vm_zone_media", 13) == 0 ||
           strncmp(field->name, "vm_share", 8) == 0;
}

/* Two blows to one object may be its end. */
static bool is_one_object(const struct field *a, const struct field *b)
{
    const char *first = strchr(a->cost, '/');
    const char *second = strchr(b->cost, '/');
    return first && second && strcspn(first, ":") == strcspn(second, ":") &&
           strncmp(first, second, strcspn(first, ":")) == 0;
}

/* Where both copies of the superblock are hit in one place, it may be said that nothing can be done. */
Test(repair_fields, pairs)
{
    const char *text = getenv("VMFS_TEST_ROUNDS");
    unsigned rounds = text ? (unsigned)strtoul(text, NULL, 0) : ROUNDS * 4;
    const char *first = getenv("VMFS_TEST_FIRST");
    unsigned begin = first ? (unsigned)strtoul(first, NULL, 0) : 0;
    uint64_t base = seed_next(&world.seed);
    for (unsigned round = begin; round < begin + rounds; round++) {
        struct copy copy;
        char what[300];
        char cost[2 * COST_BYTES];
        seed_init(&world.seed, seed_mix(base, round));
        const struct field *a = &fields[seed_below(&world.seed, FIELD_COUNT)];
        const struct field *b = &fields[seed_below(&world.seed, FIELD_COUNT)];
        snprintf(what, sizeof what, "VMFS_TEST_FIRST=%u (%s and %s)", round, a->name, b->name);
        snprintf(cost, sizeof cost, "%s %s", a->cost, b->cost);
        judge_begin(&judge, world.fs, &inventory, cost);
        judge.is_sum = true;
        for (unsigned index = judge.cost_count; is_one_object(a, b) && index > 0; index--)
            judge_allow(&judge, judge.costs[index - 1].id, '!');
        copy_take(&copy);
        hit(copy.memory, a, (enum verb)seed_below(&world.seed, VERB_COUNT));
        hit(copy.memory, b, (enum verb)seed_below(&world.seed, VERB_COUNT));
        int err = copy_open(&copy, VMFS_REPAIR);
        cr_expect(err == 0 || (is_super(a) && is_super(b)), "%s: %d", what, err);
        if (err == 0)
            (void)copy_repair(&copy, &judge, what);
        copy_free(&copy);
    }
}

/* ---- whole ranges, and bytes at random ---- */

struct owners {
    struct vmfs_map_range *ranges;
    unsigned count;
    unsigned room;
};

static void each_range(void *arg, const struct vmfs_map_range *range)
{
    struct owners *owners = arg;
    if (owners->count == owners->room) {
        owners->room = owners->room ? 2 * owners->room : 1024;
        owners->ranges = realloc(owners->ranges, owners->room * sizeof *owners->ranges);
        cr_assert(owners->ranges != NULL);
    }
    owners->ranges[owners->count++] = *range;
}

/* The inodes of one block, whatever their generation; that of a directory takes its names with it. */
static void allow_inodes(uint64_t first_slot)
{
    for (uint32_t index = 0; index < inventory.count; index++) {
        const struct inventory_piece *piece = &inventory.pieces[index];
        if (piece->kind == INVENTORY_LIFE && vm_id_slot(piece->id) - first_slot < SLOTS_A_BLOCK)
            judge_allow(&judge, piece->id, piece->id == VM_ROOT_ID ? 0 : '!');
    }
}

/* What lies in a block may be lost. */
static void allow_block(const struct owners *owners, uint64_t block)
{
    uint64_t offset = in_blocks(block);
    for (unsigned index = 0; index < owners->count; index++) {
        const struct vmfs_map_range *range = &owners->ranges[index];
        if (offset < range->offset || offset - range->offset >= range->length)
            continue;
        uint64_t inside = (offset - range->offset) / VM_BLOCK_BYTES;
        if (range->kind == VMFS_MAP_INODE_CHUNK && inside > 0)
            allow_inodes(range->owner + (inside - 1) * SLOTS_A_BLOCK);
        if (range->kind == VMFS_MAP_NODE || range->kind == VMFS_MAP_DATA ||
            range->kind == VMFS_MAP_XATTR_NODE || range->kind == VMFS_MAP_XATTR)
            judge_allow(&judge, range->owner, 0);
        /* start() has left records of the root's mode, whose heads may be gone. */
        if (range->kind == VMFS_MAP_LANE)
            judge_excuse(&judge, VM_ROOT_ID);
    }
}

/* What a block is: enum vmfs_map_kind. */
static uint32_t kind_of(const struct owners *owners, uint64_t block)
{
    uint64_t offset = in_blocks(block);
    for (unsigned index = 0; index < owners->count; index++) {
        const struct vmfs_map_range *range = &owners->ranges[index];
        if (offset >= range->offset && offset - range->offset < range->length)
            return range->kind;
    }
    return VMFS_MAP_FREE;
}

static bool has_structure(const struct owners *owners, uint64_t block)
{
    uint32_t kind = kind_of(owners, block);
    return kind != VMFS_MAP_FREE && kind != VMFS_MAP_LOST && kind != VMFS_MAP_DATA &&
           kind != VMFS_MAP_LANE;
}

static bool is_chunk_head(const struct owners *owners, uint64_t block)
{
    for (unsigned index = 0; index < owners->count; index++)
        if (owners->ranges[index].kind == VMFS_MAP_INODE_CHUNK &&
            owners->ranges[index].offset == in_blocks(block))
            return true;
    return false;
}

/* Data has no check: what was changed there is there, changed. */
static void allow_range(const struct owners *owners, uint64_t offset, uint64_t len_bytes)
{
    for (uint64_t block = offset / VM_BLOCK_BYTES; in_blocks(block) < offset + len_bytes; block++)
        allow_block(owners, block);
}

/* How much of the region is hit, in how many places. */
struct blow {
    const char *name;
    unsigned places;
    uint64_t len_bytes;
    bool is_random; /* else zeros */
};

static const struct blow blows[] = {
    {"a page of zeros", 1, VM_BLOCK_BYTES, false},
    {"a page of noise", 1, VM_BLOCK_BYTES, true},
    {"ten pages of zeros", 10, VM_BLOCK_BYTES, false},
    {"a MiB of zeros", 1, 1u << 20, false},
    {"bytes at random", 200, 1, true},
    {"sectors of noise", 5, 512, true},
};

#define BLOW_COUNT (sizeof blows / sizeof blows[0])

static void strike(struct copy *copy, const struct owners *owners, const struct blow *blow,
                   bool *is_super_hit)
{
    bool is_hit[2] = {false, false};
    for (unsigned place = 0; place < blow->places; place++) {
        /* Half of the blows go where most of the structures are. */
        uint64_t room = seed_chance(&world.seed, 50) ? copy->bytes / 8 : copy->bytes;
        uint64_t offset = seed_below(&world.seed, room / blow->len_bytes) * blow->len_bytes;
        if (blow->is_random)
            seed_fill(copy->memory + offset, blow->len_bytes, seed_next(&world.seed));
        else
            memset(copy->memory + offset, 0, blow->len_bytes);
        allow_range(owners, offset, blow->len_bytes);
        is_hit[0] = is_hit[0] || offset < in_blocks(VM_SUPER_A_BLOCK + 1);
        is_hit[1] = is_hit[1] || (offset < in_blocks(VM_SUPER_B_BLOCK + 1) &&
                                  offset + blow->len_bytes > in_blocks(VM_SUPER_B_BLOCK));
    }
    *is_super_hit = is_hit[0] && is_hit[1];
    memset(copy->memory + in_blocks(VM_OWNER_BLOCK), 0, VM_BLOCK_BYTES);
}

static void repair_zeroed(const struct owners *owners, uint64_t first, uint64_t second)
{
    struct copy copy;
    char what[60];
    snprintf(what, sizeof what, "blocks %llu and %llu", (unsigned long long)first,
             (unsigned long long)second);
    judge_begin(&judge, world.fs, &inventory, "");
    allow_block(owners, first);
    allow_block(owners, second);
    copy_take(&copy);
    memset(copy.memory + in_blocks(first), 0, VM_BLOCK_BYTES);
    memset(copy.memory + in_blocks(second), 0, VM_BLOCK_BYTES);
    must(copy_open(&copy, VMFS_REPAIR), what);
    (void)copy_repair(&copy, &judge, what);
    copy_free(&copy);
}

/* Blocks that are neither data nor journal become zeros, as a disk may return them: each alone; then one of the inode
 * map, and with it one by which the chunks could be found without it. */
Test(repair_fields, blocks_of_zeros)
{
    struct owners owners = {.count = 0};
    uint64_t blocks = world.bytes / VM_BLOCK_BYTES;
    must(vmfs_map(world.fs, VMFS_NO_OFFSET, each_range, &owners), "map");
    for (uint64_t block = 0; block < blocks; block++)
        if (has_structure(&owners, block))
            repair_zeroed(&owners, block, block);
    for (uint64_t map = 0; map < blocks; map++)
        for (uint64_t block = 0; kind_of(&owners, map) == VMFS_MAP_INODE_MAP && block < blocks;
             block++)
            if (kind_of(&owners, block) == VMFS_MAP_ZONE_HEAD || is_chunk_head(&owners, block))
                repair_zeroed(&owners, map, block);
    free(owners.ranges);
}

Test(repair_fields, blows)
{
    const char *text = getenv("VMFS_TEST_ROUNDS");
    unsigned rounds = text ? (unsigned)strtoul(text, NULL, 0) : ROUNDS;
    const char *first = getenv("VMFS_TEST_FIRST");
    unsigned begin = first ? (unsigned)strtoul(first, NULL, 0) : 0;
    uint64_t base = seed_next(&world.seed);
    struct owners owners = {.count = 0};
    must(vmfs_map(world.fs, VMFS_NO_OFFSET, each_range, &owners), "map");
    for (unsigned round = begin; round < begin + rounds; round++) {
        const struct blow *blow = &blows[round % BLOW_COUNT];
        struct copy copy;
        char what[160];
        bool is_super_hit;
        seed_init(&world.seed, seed_mix(base, round));
        snprintf(what, sizeof what, "VMFS_TEST_FIRST=%u (%s)", round, blow->name);
        judge_begin(&judge, world.fs, &inventory, "");
        judge.takes_data = true;
        copy_take(&copy);
        strike(&copy, &owners, blow, &is_super_hit);
        int err = copy_open(&copy, VMFS_REPAIR);
        cr_expect(err == 0 || is_super_hit, "%s: %d", what, err);
        if (err == 0)
            (void)copy_repair(&copy, &judge, what);
        copy_free(&copy);
    }
    free(owners.ranges);
}
