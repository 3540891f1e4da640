/* super.c -- choosing, checking and publishing superblocks and watermarks */
#include "media/super.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"

static uint64_t super_check(const struct vm_super_media *super)
{
    return vm_hash64(0, (const uint8_t *)super + 16, sizeof *super - 16);
}

static bool super_is_valid(const struct vm_super_media *super, uint64_t offset)
{
    return vm_get64(super->magic) == VM_MAGIC_SUPER && vm_get64(super->self) == offset &&
           vm_get64(super->check) == super_check(super);
}

/* What the copies say. */
struct pick {
    bool is_ours; /* one of them has the magic */
    unsigned valid;
    bool is_same; /* as far as both are valid */
    struct vm_super_media newest;
};

static void super_pick(const uint8_t *base, uint64_t len_bytes, struct pick *pick)
{
    const uint64_t offsets[2] = {VM_SUPER_A_BLOCK * VM_BLOCK_BYTES,
                                 VM_SUPER_B_BLOCK * VM_BLOCK_BYTES};
    *pick = (struct pick){.is_same = true};
    for (int copy = 0; copy < 2; copy++) {
        struct vm_super_media super;
        if (offsets[copy] + sizeof super > len_bytes)
            continue;
        memcpy(&super, base + offsets[copy], sizeof super);
        pick->is_ours = pick->is_ours || vm_get64(super.magic) == VM_MAGIC_SUPER;
        if (!super_is_valid(&super, offsets[copy]))
            continue;
        uint64_t generation = vm_get64(super.generation);
        uint64_t newest = vm_get64(pick->newest.generation);
        pick->is_same = pick->valid == 0 || generation == newest;
        if (pick->valid++ == 0 || generation > newest)
            pick->newest = super;
    }
}

bool vm_super_is_newer(const struct vm_super_media *super, bool is_read_only)
{
    return vm_get32(super->version) > VM_FORMAT_VERSION ||
           (vm_get64(super->incompat) & ~(uint64_t)VM_FEATURES_INCOMPAT) ||
           (!is_read_only && (vm_get64(super->ro_compat) & ~(uint64_t)VM_FEATURES_RO_COMPAT)) ||
           vm_get32(super->inode_bytes) != VM_INODE_BYTES || vm_get32(super->gap_policy) != 0;
}

int vm_super_load(struct vm_err *err, const void *base, uint64_t len_bytes,
                  struct vm_super_choice *choice, struct vm_super_media *out)
{
    struct pick pick;
    super_pick(base, len_bytes, &pick);
    if (!pick.valid && pick.is_ours)
        return vm_raise(err, VMFS_R_SUPER_DAMAGED, 0);
    if (!pick.valid)
        return vm_raise(err, VMFS_R_REGION_FOREIGN, 0);
    if (vm_super_is_newer(&pick.newest, choice->is_read_only))
        return vm_raise(err, VMFS_R_REGION_NEWER, vm_get64(pick.newest.incompat));
    choice->is_single = pick.valid == 1 || !pick.is_same;
    *out = pick.newest;
    return 0;
}

static int super_store(struct vm_io *io, struct vm_super_media *super, uint64_t offset)
{
    super->self = vm_put64(offset);
    super->check = vm_put64(super_check(super));
    vm_io_copy(io, offset, super, sizeof *super);
    return vm_io_fence(io);
}

int vm_super_publish(struct vm_io *io, struct vm_super_media *super)
{
    super->magic = vm_put64(VM_MAGIC_SUPER);
    super->generation = vm_put64(vm_get64(super->generation) + 1);
    int failed = super_store(io, super, (uint64_t)VM_SUPER_B_BLOCK * VM_BLOCK_BYTES); /* S1 */
    if (failed)
        return failed;
    return super_store(io, super, (uint64_t)VM_SUPER_A_BLOCK * VM_BLOCK_BYTES); /* S1 */
}

int vm_super_mend(struct vm_io *io, const struct vm_super_media *super)
{
    const uint64_t offsets[2] = {VM_SUPER_A_BLOCK * VM_BLOCK_BYTES,
                                 VM_SUPER_B_BLOCK * VM_BLOCK_BYTES};
    int failed = 0;
    for (int copy = 0; copy < 2 && !failed; copy++) {
        struct vm_super_media media;
        memcpy(&media, io->base + offsets[copy], sizeof media);
        bool is_good = super_is_valid(&media, offsets[copy]) &&
                       vm_get64(media.generation) == vm_get64(super->generation);
        media = *super;
        if (!is_good)
            failed = super_store(io, &media, offsets[copy]); /* S1 */
    }
    return failed;
}

static uint64_t watermark_offset(unsigned copy)
{
    VM_ASSERT(copy < 2);
    return (uint64_t)(copy ? VM_WATERMARK_B_BLOCK : VM_WATERMARK_A_BLOCK) * VM_BLOCK_BYTES;
}

static uint64_t watermark_check(const struct vm_watermark_media *media, unsigned copy)
{
    uint64_t seed = vm_get64(media->nonce) ^ watermark_offset(copy);
    return vm_hash64(seed, media, offsetof(struct vm_watermark_media, check));
}

static bool watermark_is_newer(const struct vm_watermark *a, const struct vm_watermark *b)
{
    return a->era != b->era ? a->era > b->era : a->watermark > b->watermark;
}

bool vm_watermark_read(const void *base, unsigned copy, struct vm_watermark *out)
{
    struct vm_watermark_media media;
    memcpy(&media, (const uint8_t *)base + watermark_offset(copy), sizeof media);
    *out = (struct vm_watermark){
        .nonce = vm_get64(media.nonce),
        .era = vm_get64(media.era),
        .watermark = vm_get64(media.watermark),
        .blocks_free = vm_get64(media.blocks_free),
        .inodes_used = vm_get64(media.inodes_used),
        .orphans = vm_get64(media.orphans),
    };
    return vm_get64(media.check) == watermark_check(&media, copy) && out->era > 0 &&
           out->watermark <= VM_SEQUENCE_MAX;
}

int vm_watermark_load(struct vm_err *err, const void *base, struct vm_watermark *out,
                      unsigned *copy_out)
{
    bool is_found = false;
    struct vm_watermark best = {0};
    for (unsigned copy = 0; copy < 2; copy++) {
        struct vm_watermark line;
        if (!vm_watermark_read(base, copy, &line) ||
            (is_found && !watermark_is_newer(&line, &best)))
            continue;
        best = line;
        *copy_out = copy;
        is_found = true;
    }
    if (!is_found)
        return vm_raise(err, VMFS_R_WATERMARK_DAMAGED, 0);
    *out = best;
    return 0;
}

void vm_watermark_store(struct vm_io *io, unsigned copy, const struct vm_watermark *watermark)
{
    struct vm_watermark_media media = {
        .nonce = vm_put64(watermark->nonce),
        .era = vm_put64(watermark->era),
        .watermark = vm_put64(watermark->watermark),
        .blocks_free = vm_put64(watermark->blocks_free),
        .inodes_used = vm_put64(watermark->inodes_used),
        .orphans = vm_put64(watermark->orphans),
    };
    media.check = vm_put64(watermark_check(&media, copy));
    vm_io_copy(io, watermark_offset(copy), &media, sizeof media);
}
