/* repair_space.c -- superblocks, groups, bitmaps and totals */
#include "base/hash.h"
#include "base/util.h"
#include "check/repair.h"
#include "check/validate.h"
#include "space/group.h"

#define CLOCK_AHEAD ((uint64_t)1 << 20)
#define RUN_MAX     ((uint64_t)1 << 30)

int vm_repair_supers(struct vm_check *check, struct vm_volume *volume)
{
    struct vm_super_media *super = &volume->super;
    if (vm_get64(super->epoch) >= vm_get64(super->epoch_limit))
        super->epoch_limit = vm_put64(vm_get64(super->epoch) + CLOCK_AHEAD);
    super->share.root_inode = vm_put64(VM_ROOT_ID);
    vm_mended(check, SUPERBLOCKS, "both superblocks are written again, generation %n",
              vm_get64(super->generation) + 1);
    return vm_super_publish(&check->ctx->io, super) ? vm_journal_poison(check->ctx) : 0;
}

/* ---- groups ---- */

/* A zone has at least as many groups ready as something uses. */
static uint32_t ready_wanted(const struct vm_check *check, uint32_t number)
{
    return (uint32_t)vm_max(check->ready[number], check->wanted[number]);
}

static void zone_mend(struct vm_check *check, uint32_t number)
{
    struct vm_ctx *ctx = check->ctx;
    const struct vm_zone *zone = &check->region->zones[number];
    uint32_t ready = ready_wanted(check, number);
    struct vm_zone_state_media state;
    uint64_t offset = zone->head_block * VM_BLOCK_BYTES;
    if (vm_read(ctx, offset, &state, sizeof state) == 0 &&
        vm_zone_state_validate(check->region, zone, &state) &&
        vm_get32(state.groups_ready) == ready)
        return;
    state = (struct vm_zone_state_media){.magic = vm_put32(VM_MAGIC_ZONE),
                                         .self = vm_put64(offset),
                                         .groups_ready = vm_put32(ready)};
    uint64_t seed = check->region->hash_seed ^ offset;
    state.hash = vm_put32(vm_hash32(seed, &state.self, VM_HEAD_HASHED));
    vm_tx_write(ctx, offset, &state, sizeof state);
    vm_mended(check, GROUPS, "the zone state in block %b is written again, %n groups are ready",
              zone->head_block, ready);
}

static void descriptor_mend(struct vm_check *check, const struct vm_group_place *place)
{
    struct vm_ctx *ctx = check->ctx;
    struct vm_group_media media;
    uint64_t offset = place->descriptor_offset;
    if (vm_read(ctx, offset, &media, sizeof media) == 0 &&
        vm_group_validate(check->region, place, &media))
        return;
    media = (struct vm_group_media){.magic = vm_put32(VM_MAGIC_GROUP),
                                    .self = vm_put64(offset),
                                    .birth = vm_put64(check->region->epoch),
                                    .bitmap_block = vm_put64(place->bitmap_offset / VM_BLOCK_BYTES),
                                    .first_block = vm_put64(place->first_block)};
    uint64_t seed = check->region->hash_seed ^ offset;
    media.hash = vm_put32(vm_hash32(seed, &media.self, VM_HEAD_HASHED));
    vm_tx_write(ctx, offset, &media, offsetof(struct vm_group_media, touched));
    vm_mended(check, GROUPS, "the descriptor of the group at block %b is written again",
              place->first_block);
}

/* All chunks count as touched: they are zeroed before their next use. No bit is behind the end. */
static int words_mend(struct vm_check *check, const struct vm_group_place *place)
{
    struct vm_ctx *ctx = check->ctx;
    unsigned chunks = (unsigned)vm_div_up(place->block_count, VM_CHUNK_BLOCKS);
    uint64_t touched = place->descriptor_offset + offsetof(struct vm_group_media, touched);
    bool is_changed = vm_load64_home(check->region, touched) != vm_bit_run(0, chunks);
    vm_tx_mask(ctx, touched, ~(uint64_t)0, vm_bit_run(0, chunks));
    for (uint64_t word = 0; word < VM_GROUP_BLOCKS / 64; word++) {
        uint64_t offset = place->bitmap_offset + word * 8;
        uint64_t valid = 0;
        if (word * 64 < place->block_count)
            valid = vm_bit_run(0, (unsigned)vm_min(64, place->block_count - word * 64));
        if (!(vm_load64_home(check->region, offset) & ~valid))
            continue;
        int result = vm_repair_room(ctx, 1, 0);
        if (result)
            return result;
        vm_tx_mask(ctx, offset, ~valid, 0);
        is_changed = true;
    }
    if (is_changed)
        vm_mended(check, GROUPS, "the bits of the group at block %b are set right",
                  place->first_block);
    return vm_repair_room(ctx, 8, 8);
}

/* The bitmap of a group that was not begun, but is in use; what is used is marked next (F5). */
static int bitmap_begin(struct vm_check *check, const struct vm_group_place *place)
{
    struct vm_ctx *ctx = check->ctx;
    uint64_t descriptor_block = vm_align_down(place->descriptor_offset, VM_BLOCK_BYTES);
    int result = vm_repair_room(ctx, 2, 0);
    if (result == 0)
        result = vm_back(ctx, descriptor_block, VM_BLOCK_BYTES); /* H17 */
    if (result == 0)
        result = vm_back(ctx, place->bitmap_offset, VM_BLOCK_BYTES);
    if (result == 0)
        vm_tx_fill(ctx, place->bitmap_offset, VM_BLOCK_BYTES, 0);
    return result ? result : vm_repair_step(ctx);
}

static int group_mend(struct vm_check *check, uint32_t number, uint32_t index)
{
    struct vm_group_place place =
        vm_region_group(check->region, check->region->zones[number].first_group + index);
    int result = 0;
    if (index >= check->ready[number])
        result = bitmap_begin(check, &place);
    if (result == 0)
        descriptor_mend(check, &place);
    return result ? result : words_mend(check, &place);
}

int vm_repair_groups(struct vm_check *check)
{
    const struct vm_region *region = check->region;
    int result = 0;
    for (uint32_t number = 0; result == 0 && number < region->zone_count; number++) {
        uint32_t ready = ready_wanted(check, number);
        for (uint32_t index = 0; result == 0 && index < ready; index++)
            result = group_mend(check, number, index);
        if (result == 0)
            zone_mend(check, number);
    }
    return result;
}

/* ---- bitmaps ---- */

struct bits {
    bool is_free;
    int result;
    uint64_t blocks;
};

static void each_difference(struct vm_check *check, uint64_t block, uint64_t count, bool is_leak)
{
    struct bits *bits = check->difference_arg;
    while (count && bits->result == 0 && is_leak == bits->is_free) {
        uint64_t step = vm_min(count, RUN_MAX);
        bits->result = vm_repair_room(check->ctx, 1, 0);
        if (bits->result == 0)
            vm_tx_blocks(check->ctx, block, step, !bits->is_free);
        bits->blocks += step;
        block += step;
        count -= step;
    }
}

int vm_repair_bits(struct vm_check *check, bool is_free)
{
    struct bits bits = {.is_free = is_free};
    bool was_quiet = check->is_quiet;
    check->is_quiet = true;
    check->on_difference = each_difference;
    check->difference_arg = &bits;
    int result = vm_check_blocks(check);
    check->on_difference = NULL;
    check->is_quiet = was_quiet;
    if (result == 0)
        result = bits.result;
    if (result == 0 && is_free)
        vm_mended(check, BLOCKS, "%n blocks that nothing uses are free", bits.blocks);
    else if (result == 0)
        vm_mended(check, BLOCKS, "%n blocks that are used are marked so", bits.blocks);
    return result;
}

/* ---- totals ---- */

int vm_repair_totals(struct vm_check *check)
{
    struct vm_ctx *ctx = check->ctx;
    struct vm_watermark line = ctx->journal->line;
    line.watermark = atomic_load(&ctx->journal->watermark);
    line.blocks_free = check->counted.blocks_free;
    line.inodes_used = check->counted.inodes_used;
    line.orphans = check->counted.orphans;
    for (unsigned turn = 0; turn < 2; turn++) {
        unsigned newest = ctx->journal->line_copy;
        vm_watermark_store(&ctx->io, turn ? newest : newest ^ 1, &line); /* S2 */
        if (vm_io_fence(&ctx->io))
            return vm_journal_poison(ctx);
    }
    vm_mended(check, TOTALS, "the totals are written again: %n blocks free, %n inodes, %n orphans",
              line.blocks_free, line.inodes_used, line.orphans);
    return 0;
}
