/* test_repair_trust.c -- what only looks right is not believed by repair
 *
 * Each damage leaves something that one checksum alone tells from what it seems to be. It costs nothing that
 * lives in the region, and where a line must tell of it, that line is there. */
#include <string.h>

#include "repair_copy.h"

#define TRUST_MIB   12u
#define TRUST_FILES 300u
#define TRUST_BIG   (1u << 20)
#define ERA         ((uint64_t)1000)
#define ERA_LOST    UINT64_MAX

static struct inventory inventory;

/* A file whose data begins as a block of the inode map does. */
static void start(void)
{
    world_make_sized((uint64_t)TRUST_MIB << 20, TRUST_FILES, TRUST_BIG);
    struct vm_le32 magic = vm_put32(VM_MAGIC_MAP);
    poke(first_extent("/few").block * VM_BLOCK_BYTES, &magic, sizeof magic);
    forget_changes();
    must(vmfs_sync(world.fs), "sync");
    for (unsigned call = 0; call < 3; call++)
        must(vmfs_chmod(world.fs, "/", call % 2 ? 0755 : 0700), "chmod");
    copy_learn(&inventory);
}

static void end(void)
{
    inventory_free(&inventory);
    world_free();
}

TestSuite(repair_trust, .init = start, .fini = end, .timeout = 120);

/* ---- damages ---- */

static uint64_t in_blocks(uint64_t block)
{
    return block * VM_BLOCK_BYTES;
}

static void flip_bit_of(uint64_t block, size_t offset)
{
    poke_flip(in_blocks(block) + offset, 4);
}

static void zone_hash(void)
{
    poke_flip(group().state_offset + offsetof(struct vm_zone_state_media, hash), 1);
}

static void entry_hash(void)
{
    poke_flip(map_entry_offset(map_leaf_block(), 1) + offsetof(struct vm_map_entry_media, hash), 1);
}

/* No block is left that is known for one of the map, but for the file's. */
static void map_block(void)
{
    uint64_t leaf = map_leaf_block();
    flip_bit_of(leaf, offsetof(struct vm_map_media, magic));
    poke_flip(map_entry_offset(VM_INODE_MAP_BLOCK, 0) + offsetof(struct vm_map_entry_media, hash),
              1);
}

static void first_line(void)
{
    flip_bit_of(VM_WATERMARK_A_BLOCK, offsetof(struct vm_watermark_media, check));
}

static void second_line(void)
{
    flip_bit_of(VM_WATERMARK_B_BLOCK, offsetof(struct vm_watermark_media, check));
}

static void torn_record(void)
{
    poke_flip(live_record() + offsetof(struct vm_record_media, check), 1);
}

/* Each copy has lost what the other still has: the first one's would be the loss of all hashes. */
static void supers_in_two_places(void)
{
    flip_bit_of(VM_SUPER_A_BLOCK, offsetof(struct vm_super_media, hash_seed));
    flip_bit_of(VM_SUPER_B_BLOCK, offsetof(struct vm_super_media, created_ns));
}

/* The first copy is noise, the check of the second fails. */
static void supers_without_a_check(void)
{
    uint8_t noise[VM_BLOCK_BYTES];
    seed_fill(noise, sizeof noise, 1);
    poke(in_blocks(VM_SUPER_A_BLOCK), noise, sizeof noise);
    flip_bit_of(VM_SUPER_B_BLOCK, offsetof(struct vm_super_media, label));
}

/* Their numbers are equal and nobody's: the records are those of another. */
static void lines_of_zeros(void)
{
    const uint8_t zeros[sizeof(struct vm_watermark_media)] = {0};
    poke(in_blocks(VM_WATERMARK_A_BLOCK), zeros, sizeof zeros);
    poke(in_blocks(VM_WATERMARK_B_BLOCK), zeros, sizeof zeros);
}

static const struct trust {
    const char *name;
    void (*make)(void);
    const char *line; /* that must be told, or null */
} trusts[] = {
    {"the hash of a zone state", zone_hash, "the zone state in block"},
    {"the hash of an entry of the map", entry_hash, "names block"},
    {"data that begins as a map block does", map_block, NULL},
    {"the first watermark line", first_line, "the line in block 1 failed its check"},
    {"the second watermark line", second_line, "the line in block 2 failed its check"},
    {"a record's check", torn_record, "is not whole and was left out"},
    {"watermark lines of zeros", lines_of_zeros, "era and watermark, 0, are"},
    {"superblocks damaged in two places", supers_in_two_places, NULL},
    {"superblocks of which none checks", supers_without_a_check, NULL},
};

/* ---- judging ---- */

struct listener {
    struct repair_judge judge;
    const char *wanted;
    unsigned heard;
};

static void hear(void *arg, const struct vmfs_problem *problem)
{
    struct listener *listener = arg;
    judge_hear(&listener->judge, problem);
    listener->heard +=
        problem->is_mended && listener->wanted && strstr(problem->text, listener->wanted);
}

static void expect_kept(const struct trust *trust)
{
    static struct listener listener;
    struct vmfs_check_result result = {.problems = 1};
    struct copy copy;
    listener.wanted = trust->line;
    listener.heard = 0;
    judge_begin(&listener.judge, world.fs, &inventory, "");
    trust->make();
    copy_take(&copy);
    undo_all();
    must(copy_open(&copy, VMFS_REPAIR), trust->name);
    must(vmfs_repair(copy.fs, hear, &listener, &result), trust->name);
    cr_expect_eq(result.problems, 0, "%s: last: %s", trust->name, listener.judge.last);
    cr_expect(!trust->line || listener.heard == 1, "%s: %u lines", trust->name, listener.heard);
    const char *wrong = judge_losses(&listener.judge, copy.fs);
    cr_expect_null(wrong, "%s: %s", trust->name, wrong);
    listener.judge.lines = 0;
    must(vmfs_repair(copy.fs, judge_hear, &listener.judge, &result), trust->name);
    cr_expect_eq(listener.judge.lines, 0, "%s: the second repair said %s", trust->name,
                 listener.judge.last);
    copy_free(&copy);
}

Test(repair_trust, only_what_checks_is_believed)
{
    for (size_t index = 0; index < sizeof trusts / sizeof trusts[0]; index++)
        expect_kept(&trusts[index]);
}

/* Of two lines that are lost one has an era that does not fit its nonce: the other's is gone on from. */
static void expect_era(unsigned good)
{
    static const uint64_t blocks[2] = {VM_WATERMARK_A_BLOCK, VM_WATERMARK_B_BLOCK};
    struct vmfs_check_result result;
    struct vm_watermark line;
    struct copy copy;
    poke_u64(in_blocks(blocks[good]), vm_nonce_draw(region(), ERA));
    poke_u64(in_blocks(blocks[good]) + offsetof(struct vm_watermark_media, era), ERA);
    poke_u64(in_blocks(blocks[!good]) + offsetof(struct vm_watermark_media, era), ERA_LOST);
    copy_take(&copy);
    undo_all();
    must(copy_open(&copy, VMFS_REPAIR), "attach");
    must(vmfs_repair(copy.fs, NULL, NULL, &result), "repair");
    for (unsigned which = 0; which < 2; which++) {
        cr_assert(vm_watermark_read(copy.memory, which, &line), "line %u", which);
        cr_expect(line.era > ERA && line.era < 2 * ERA, "line %u, good %u: era %llu", which, good,
                  (unsigned long long)line.era);
    }
    copy_free(&copy);
}

Test(repair_trust, eras_go_on_from_a_lost_line)
{
    expect_era(0);
    expect_era(1);
}
