/* volume.c -- format and attach */
#include "name/volume.h"

#include "base/check.h"
#include "base/util.h"
#include "inode/inode.h"
#include "inode/reap.h"
#include "space/group.h"

#define MIB ((uint64_t)1 << 20)

void vm_volume_bind(struct vm_volume *volume, struct vm_ctx *ctx)
{
    ctx->region = &volume->region;
    ctx->journal = &volume->journal;
    ctx->space = volume->space;
    ctx->itable = volume->itable;
}

/* Sizes that depend on the region's. A lane's quarter is the largest record; a journal of 4 MiB is
 * scanned in about a millisecond. */
struct sizes {
    uint64_t region_mib_min;
    uint32_t lane_count;
    uint32_t lane_bytes;
    uint32_t chunk_blocks;
};

static const struct sizes *sizes_for(uint64_t len_bytes)
{
    static const struct sizes table[] = {
        {1 << 20, 32, 128 << 10, 256}, {64 << 10, 32, 128 << 10, 64}, {1 << 10, 32, 128 << 10, 16},
        {128, 16, 64 << 10, 16},       {64, 8, 32 << 10, 16},         {16, 8, 32 << 10, 4},
        {0, 4, 16 << 10, 4},
    };
    const struct sizes *sizes = table;
    while (len_bytes / MIB < sizes->region_mib_min)
        sizes++;
    return sizes;
}

static void draw_uuid(const struct vm_platform *platform, uint8_t *uuid)
{
    for (unsigned byte = 0; byte < 16; byte++)
        uuid[byte] = (uint8_t)(platform->random(platform->arg) >> 24);
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

void vm_volume_shape(uint64_t len_bytes, struct vm_super_media *super)
{
    const struct sizes *sizes = sizes_for(len_bytes);
    uint64_t blocks = len_bytes / VM_BLOCK_BYTES;
    uint64_t lanes_bytes = (uint64_t)sizes->lane_count * sizes->lane_bytes;
    *super = (struct vm_super_media){
        .magic = vm_put64(VM_MAGIC_SUPER),
        .version = vm_put32(VM_FORMAT_VERSION),
        .ro_compat = vm_put64(VM_FEATURE_ACLS),
        .region_blocks = vm_put64(blocks),
        .lane_offset = vm_put64((uint64_t)VM_LANES_BLOCK * VM_BLOCK_BYTES),
        .lane_count = vm_put32(sizes->lane_count),
        .lane_bytes = vm_put32(sizes->lane_bytes),
        .epoch = vm_put64(1),
        .epoch_limit = vm_put64(1 + MIB),
        .chunk_blocks = vm_put32(sizes->chunk_blocks),
        .inode_bytes = vm_put32(VM_INODE_BYTES),
        .zone_count = vm_put32(1),
    };
    super->share.root_inode = vm_put64(VM_ROOT_ID);
    super->share.map_block = vm_put64(VM_INODE_MAP_BLOCK);
    super->zones[0] = (struct vm_zone_media){
        .block_count = vm_put64(blocks),
        .head_block = vm_put64(VM_LANES_BLOCK + lanes_bytes / VM_BLOCK_BYTES),
        .group_count = vm_put32((uint32_t)vm_div_up(blocks, VM_GROUP_BLOCKS)),
    };
}

static void super_make(const struct vm_platform *platform, uint64_t len_bytes, bool is_zeroed,
                       struct vm_super_media *super)
{
    vm_volume_shape(len_bytes, super);
    super->flags = vm_put32(is_zeroed ? VM_SUPER_ZEROED : 0);
    super->hash_seed = vm_put64(platform->random(platform->arg));
    super->name_seed = vm_put64(platform->random(platform->arg));
    super->created_ns = vm_put64((uint64_t)platform->now(platform->arg));
    draw_uuid(platform, super->uuid);
}

static int init_parts(struct vm_volume *volume, struct vm_ctx *ctx, bool may_replay)
{
    int result = vm_journal_init(ctx, &volume->journal);
    if (result == 0)
        result = may_replay && volume->choice.is_read_only
                     ? vm_journal_view(ctx, &volume->journal)
                     : vm_journal_recover(ctx, &volume->journal, may_replay);
    if (result == 0)
        result = vm_space_init(ctx, &volume->space);
    if (result == 0)
        result = vm_table_init(ctx, &volume->itable);
    return result;
}

/* From here until the new superblocks are published nothing can take the region for a filesystem.
 */
static int erase_supers(struct vm_ctx *ctx)
{
    vm_io_set(&ctx->io, (uint64_t)VM_SUPER_A_BLOCK * VM_BLOCK_BYTES, 0, VM_BLOCK_BYTES);
    vm_io_set(&ctx->io, (uint64_t)VM_SUPER_B_BLOCK * VM_BLOCK_BYTES, 0, VM_BLOCK_BYTES);
    return vm_journal_fence(ctx);
}

static int write_structures(struct vm_volume *volume, struct vm_ctx *ctx)
{
    const struct vm_region *region = &volume->region;
    const struct vm_zone *zone = &region->zones[0];
    uint64_t head_end = zone->head_block + vm_zone_head_blocks(zone->group_count);
    int result = vm_back(ctx, 0, (zone->head_block + 1) * VM_BLOCK_BYTES);
    if (result == 0)
        result = erase_supers(ctx);
    if (result)
        return result;
    vm_space_format(ctx);
    vm_table_format(ctx);
    vm_journal_format(ctx, region->blocks - head_end);
    return 0;
}

static int make_root(struct vm_ctx *ctx)
{
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    uint64_t id;
    uint64_t offset;
    struct vm_inode root;
    result = vm_table_take(ctx, &id, &offset);
    if (result == 0) {
        VM_ASSERT(id == VM_ROOT_ID);
        vm_inode_make(ctx, id, offset, VM_MODE_DIRECTORY | 0755, &root);
        vm_inode_set_nlink(&root, 2);
        root.m.parent = vm_put64(VM_ROOT_ID);
        result = vm_inode_store(ctx, &root);
    }
    if (result == 0)
        result = vm_tx_commit(ctx);
    vm_tx_end(ctx);
    return result;
}

int vm_volume_format(struct vm_volume *volume, struct vm_ctx *ctx, const void *base,
                     uint64_t len_bytes, bool is_zeroed)
{
    const struct vm_platform *platform = volume->region.platform;
    ctx->now_ns = platform->now(platform->arg);
    super_make(platform, len_bytes, is_zeroed, &volume->super);
    int result = vm_region_init(&ctx->err, &volume->region, &volume->super, base, len_bytes);
    if (result == 0)
        result = write_structures(volume, ctx);
    if (result == 0)
        result = init_parts(volume, ctx, true);
    if (result == 0)
        result = make_root(ctx);
    if (result == 0)
        result = vm_checkpoint_all(ctx);
    if (result == 0 && vm_super_publish(&ctx->io, &volume->super))
        result = vm_journal_poison(ctx);
    return result;
}

int vm_volume_probe(struct vm_volume *volume, struct vm_ctx *ctx, const void *base,
                    uint64_t len_bytes, bool is_read_only)
{
    volume->choice = (struct vm_super_choice){.is_read_only = is_read_only};
    int result = vm_super_load(&ctx->err, base, len_bytes, &volume->choice, &volume->super);
    if (result)
        return result;
    return vm_region_init(&ctx->err, &volume->region, &volume->super, base, len_bytes);
}

int vm_volume_attach(struct vm_volume *volume, struct vm_ctx *ctx, bool may_replay)
{
    int result = init_parts(volume, ctx, may_replay);
    if (result || !volume->choice.is_single || volume->choice.is_read_only)
        return result;
    return vm_super_mend(&ctx->io, &volume->super) ? vm_journal_poison(ctx) : 0; /* S1, H22 */
}

static int unless_damage(int result)
{
    return vm_is_damage(result) ? 0 : result;
}

int vm_volume_watch(struct vm_volume *volume, struct vm_ctx *ctx)
{
    int result = vm_journal_init(ctx, &volume->journal);
    if (result)
        return result;
    vm_journal_observe(ctx, &volume->journal);
    result = unless_damage(vm_space_init(ctx, &volume->space));
    return result ? result : unless_damage(vm_table_init(ctx, &volume->itable));
}

int vm_volume_salvage(struct vm_volume *volume, struct vm_ctx *ctx,
                      const struct vm_salvage *salvage)
{
    int result = vm_journal_init(ctx, &volume->journal);
    if (result == 0)
        result = vm_journal_salvage(ctx, &volume->journal, salvage);
    if (result)
        return result;
    result = vm_space_init(ctx, &volume->space);
    if (vm_is_damage(result)) {
        vm_groups_salvage(ctx, volume->space);
        result = 0;
    }
    return result ? result : unless_damage(vm_table_init(ctx, &volume->itable));
}

void vm_volume_fini(struct vm_volume *volume, struct vm_ctx *ctx)
{
    vm_table_fini(ctx, volume->itable);
    vm_space_fini(ctx, volume->space);
    vm_journal_fini(&volume->journal);
}

int vm_volume_settle(struct vm_ctx *ctx)
{
    int more = 1;
    while (more > 0)
        more = vm_reap_orphans(ctx);
    int result = more < 0 ? more : vm_checkpoint_all(ctx);
    return result ? result : vm_checkpoint_lazy(ctx);
}
