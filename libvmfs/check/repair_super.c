/* repair_super.c -- a superblock for a region that has none left that is whole
 *
 * What is found must prove itself, as everything else hangs on it: two copies that are damaged in different
 * places make one whose check is right; a shape that formatting could have given the region, with a seed
 * that one of the copies still has, finds a zone state or a group descriptor whose hash is right. A copy that
 * checks gives way to the other one where only that is borne out, and if neither is, nothing is mended. */
#include <string.h>

#include "base/hash.h"
#include "base/util.h"
#include "check/repair.h"
#include "check/validate.h"
#include "index/cell.h"
#include "index/node.h"

#define WORDS        (VM_BLOCK_BYTES / 8)
#define WORDS_UNLIKE 2u  /* magic, check and self come first: they are made anew */
#define UNLIKE_MAX   12u /* words in which both copies may differ: all mixtures are tried */
#define CLOCK_MAX    ((uint64_t)1 << 62)
#define CLOCK_AHEAD  ((uint64_t)1 << 20)

union copy {
    struct vm_super_media super;
    struct vm_le64 words[WORDS];
};

struct finder {
    struct vm_volume *volume;
    struct vm_err err; /* nobody is told of what is only tried */
    const uint8_t *base;
    uint64_t len_bytes;
    union copy copies[2];
    union copy found;
};

static const uint64_t offsets[2] = {(uint64_t)VM_SUPER_A_BLOCK * VM_BLOCK_BYTES,
                                    (uint64_t)VM_SUPER_B_BLOCK *VM_BLOCK_BYTES};

/* Does what was found describe a region that has room here? Then it is the volume's. */
static bool take(struct finder *finder)
{
    struct vm_volume *volume = finder->volume;
    volume->super = finder->found.super;
    volume->super.magic = vm_put64(VM_MAGIC_SUPER);
    return !vm_super_is_newer(&volume->super, false) &&
           vm_region_init(&finder->err, &volume->region, &volume->super, finder->base,
                          finder->len_bytes) == 0;
}

/* Does something lie where the shape says, with a hash that the seed makes right? */
static bool is_proved(const struct vm_region *region)
{
    struct vm_zone_state_media state;
    struct vm_group_media group;
    const struct vm_group_place place = vm_region_group(region, 0);
    memcpy(&state, region->base + place.state_offset, sizeof state);
    memcpy(&group, region->base + place.descriptor_offset, sizeof group);
    return vm_zone_state_validate(region, &region->zones[0], &state) ||
           vm_group_validate(region, &place, &group);
}

/* Is the head of any chunk of inodes right? */
static bool has_chunk(const struct vm_region *region)
{
    for (uint64_t block = 0; block < region->blocks; block++) {
        struct vm_chunk_media head;
        uint64_t offset = block * VM_BLOCK_BYTES;
        if ((vm_load64_home(region, offset) & UINT32_MAX) != VM_MAGIC_CHUNK)
            continue;
        memcpy(&head, region->base + offset, sizeof head);
        if (vm_get32(head.hash) ==
            vm_hash32(region->hash_seed ^ offset, &head.self, VM_HEAD_HASHED))
            return true;
    }
    return false;
}

static bool is_borne_out(const struct vm_region *region)
{
    return is_proved(region) || has_chunk(region);
}

/* A check alone does not do: it says that these bytes were a superblock, not that they were this region's. */
static bool take_borne_out(struct finder *finder)
{
    return take(finder) && is_borne_out(&finder->volume->region);
}

/* A copy whose magic alone is lost, or one that is whole beside a newer one that contradicts itself. */
static bool is_whole(const struct finder *finder, unsigned copy)
{
    struct vm_super_media super = finder->copies[copy].super;
    super.magic = vm_put64(VM_MAGIC_SUPER);
    return vm_super_validate(&super, offsets[copy]);
}

static bool find_whole(struct finder *finder)
{
    const struct vm_super_media *a = &finder->copies[0].super;
    const struct vm_super_media *b = &finder->copies[1].super;
    unsigned newest = vm_get64(b->generation) > vm_get64(a->generation);
    for (unsigned turn = 0; turn < 2; turn++) {
        unsigned copy = turn ? newest ^ 1 : newest;
        finder->found = finder->copies[copy];
        if (is_whole(finder, copy) && take_borne_out(finder))
            return true;
    }
    return false;
}

/* Is what was found what one of the copies has been, by that copy's check? */
static bool is_mixture(struct finder *finder)
{
    for (unsigned copy = 0; copy < 2; copy++) {
        struct vm_super_media *super = &finder->found.super;
        super->magic = vm_put64(VM_MAGIC_SUPER);
        super->self = vm_put64(offsets[copy]);
        super->check = finder->copies[copy].super.check;
        if (vm_super_validate(super, offsets[copy]) && take_borne_out(finder))
            return true;
    }
    return false;
}

static bool find_mixture(struct finder *finder)
{
    unsigned unlike[UNLIKE_MAX];
    unsigned count = 0;
    const struct vm_le64 *a = finder->copies[0].words;
    const struct vm_le64 *b = finder->copies[1].words;
    for (unsigned word = WORDS_UNLIKE + 1; word < WORDS; word++) {
        if (vm_get64(a[word]) == vm_get64(b[word]))
            continue;
        if (count == UNLIKE_MAX)
            return false;
        unlike[count++] = word;
    }
    for (uint32_t choice = 0; choice < (uint32_t)1 << count; choice++) {
        finder->found = finder->copies[0];
        for (unsigned index = 0; index < count; index++)
            if (choice >> index & 1)
                finder->found.words[unlike[index]] = b[unlike[index]];
        if (is_mixture(finder))
            return true;
    }
    return false;
}

/* What a person would miss is taken as it is; the clock is not before what was stamped with it. */
static void found_fill(struct finder *finder, unsigned copy)
{
    struct vm_super_media *super = &finder->found.super;
    const struct vm_super_media *from = &finder->copies[copy].super;
    uint64_t epoch = 1;
    uint64_t generation = 1;
    for (unsigned index = 0; index < 2; index++) {
        uint64_t clock = vm_get64(finder->copies[index].super.epoch);
        uint64_t published = vm_get64(finder->copies[index].super.generation);
        if (clock < CLOCK_MAX)
            epoch = vm_max(epoch, clock);
        if (published < CLOCK_MAX)
            generation = vm_max(generation, published);
    }
    super->epoch = vm_put64(epoch);
    super->epoch_limit = vm_put64(epoch + CLOCK_AHEAD);
    super->generation = vm_put64(generation);
    super->hash_seed = from->hash_seed;
    super->name_seed = from->name_seed;
    super->created_ns = from->created_ns;
    memcpy(super->uuid, from->uuid, sizeof super->uuid);
    memcpy(super->label, from->label, sizeof super->label);
}

static bool find_shape(struct finder *finder)
{
    const uint64_t sizes[3] = {vm_get64(finder->copies[0].super.region_blocks),
                               vm_get64(finder->copies[1].super.region_blocks),
                               finder->len_bytes / VM_BLOCK_BYTES};
    for (unsigned turn = 0; turn < 6; turn++) {
        uint64_t blocks = sizes[turn / 2];
        if (blocks > finder->len_bytes / VM_BLOCK_BYTES ||
            blocks < VMFS_REGION_MIN / VM_BLOCK_BYTES)
            continue;
        vm_volume_shape(blocks * VM_BLOCK_BYTES, &finder->found.super);
        found_fill(finder, turn % 2);
        if (take(finder) && is_proved(&finder->volume->region))
            return true;
    }
    return false;
}

/* Is the key of the first name that is found made with the region's seed? */
static bool names_agree(const struct vm_region *region)
{
    struct vm_ctx ctx = {.region = region, .err = {.is_speculative = true}};
    for (uint64_t block = 0; block < region->blocks; block++) {
        union vm_head head;
        union vm_entry_cells entry;
        uint64_t magic = vm_load64_home(region, block * VM_BLOCK_BYTES) & UINT32_MAX;
        if (magic != VM_MAGIC_NODE || vm_head_load(&ctx, block * VM_BLOCK_BYTES, &head) ||
            head.node.kind != VM_NODE_NAMED)
            continue;
        for (uint32_t cell = 0; cell < VM_CELL_COUNT; cell++) {
            uint8_t name[VM_NAMED_PAYLOAD_MAX];
            if (head.named.fp[cell] == 0 || vm_entry_load(&ctx, &head, cell, &entry))
                continue;
            vm_entry_copy(&entry, name);
            uint64_t key = vm_named_key(region, (struct vm_name){name, entry.cell.name_bytes});
            return key >> VM_KEY_HASH_SHIFT == vm_get64(entry.cell.key) >> VM_KEY_HASH_SHIFT;
        }
    }
    return true;
}

/* The seed of names has no proof of its own: the names have. With a wrong one every directory is written
 * again, so the better of two is looked for. */
static void choose_name_seed(struct finder *finder)
{
    struct vm_volume *volume = finder->volume;
    struct vm_region *region = &volume->region;
    for (unsigned copy = 0; copy < 2; copy++) {
        struct vm_le64 seed = finder->copies[copy].super.name_seed;
        region->name_seed = vm_get64(seed);
        volume->super.name_seed = seed;
        if (names_agree(region))
            return;
    }
}

int vm_repair_probe(struct vm_volume *volume, struct vm_ctx *ctx, const void *base,
                    uint64_t len_bytes)
{
    bool was_speculative = ctx->err.is_speculative;
    ctx->err.is_speculative = true;
    int result = vm_volume_probe(volume, ctx, base, len_bytes, false);
    ctx->err.is_speculative = was_speculative;
    /* F6: with the seed or the shape of another region all else would seem damaged, and be cut off. */
    bool is_lost = result == 0 || result == -VMFS_R_SUPER_DAMAGED ||
                   result == -VMFS_R_SUPER_GEOMETRY || result == -VMFS_R_REGION_FOREIGN;
    if (result == 0 && is_borne_out(&volume->region))
        return 0;
    if (!is_lost || len_bytes < VMFS_REGION_MIN)
        return vm_is_damage(result) ? vm_volume_probe(volume, ctx, base, len_bytes, false) : result;
    struct finder finder = {.volume = volume, .base = base, .len_bytes = len_bytes};
    finder.err.is_speculative = true;
    for (unsigned copy = 0; copy < 2; copy++)
        memcpy(&finder.copies[copy], finder.base + offsets[copy], VM_BLOCK_BYTES);
    volume->choice = (struct vm_super_choice){.is_rebuilt = true};
    if (find_whole(&finder) || find_mixture(&finder))
        return 0;
    if (find_shape(&finder)) {
        choose_name_seed(&finder);
        return 0;
    }
    return result == -VMFS_R_REGION_FOREIGN ? result : vm_raise(&ctx->err, VMFS_R_SUPER_LOST, 0);
}
