/* hazard_world.c -- hooks around the simulated medium, and small steps on it */
#include "hazard_world.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "inode/data.h"
#include "inode/reap.h"

#define CHUNK_BYTES ((uint64_t)VM_CHUNK_BLOCKS * VM_BLOCK_BYTES)

/* ---- the medium ---- */

static void count_store(struct world *world, uint64_t offset)
{
    const struct vm_region *region = &world->core.region;
    uint64_t lanes_end = region->lane_offset + (uint64_t)region->lane_count * region->lane_bytes;
    uint64_t block = offset / VM_BLOCK_BYTES;
    if (offset >= region->lane_offset && offset < lanes_end) {
        world->lane_stores++;
    } else if (block == VM_WATERMARK_A_BLOCK || block == VM_WATERMARK_B_BLOCK) {
        world->watermark_stores++;
    } else if (block == VM_SUPER_A_BLOCK || block == VM_SUPER_B_BLOCK) {
        world->super_stores++;
    } else {
        world->home_stores++;
        world->home_stores_unfenced++;
    }
}

static void see_store(struct world *world, const void *dst)
{
    uint64_t offset = (uint64_t)((const uint8_t *)dst - world->core.memory);
    if (world->is_busy)
        return;
    if (world->at_store) {
        world->is_busy = true;
        world->at_store(world, offset);
        world->is_busy = false;
    }
    count_store(world, offset);
}

static void hooked_copy(void *arg, void *dst, const void *src, size_t len_bytes)
{
    struct world *world = arg;
    see_store(world, dst);
    world->medium->copy(&world->core, dst, src, len_bytes);
}

static void hooked_set(void *arg, void *dst, int byte, size_t len_bytes)
{
    struct world *world = arg;
    see_store(world, dst);
    world->medium->set(&world->core, dst, byte, len_bytes);
}

static void hooked_store(void *arg, void *dst, const void *src, size_t len_bytes)
{
    struct world *world = arg;
    see_store(world, dst);
    world->medium->store(&world->core, dst, src, len_bytes);
}

static void hooked_mask(void *arg, uint64_t *word, uint64_t mask, uint64_t value)
{
    struct world *world = arg;
    see_store(world, word);
    world->medium->mask(&world->core, word, mask, value);
}

static void hooked_max(void *arg, uint64_t *word, uint64_t value)
{
    struct world *world = arg;
    see_store(world, word);
    world->medium->max(&world->core, word, value);
}

static void hooked_flush(void *arg, const void *addr, size_t len_bytes)
{
    struct world *world = arg;
    world->medium->flush(&world->core, addr, len_bytes);
}

static int hooked_fence(void *arg)
{
    struct world *world = arg;
    if (world->is_busy)
        return world->medium->fence(&world->core);
    world->fences++;
    if (world->at_fence) {
        world->is_busy = true;
        world->at_fence(world);
        world->is_busy = false;
    }
    bool is_failing = world->fences == world->fence_failing;
    if (is_failing && !world->is_failing_fence_durable)
        return 1;
    int failed = world->medium->fence(&world->core);
    world->home_stores_unfenced = 0;
    return is_failing ? 1 : failed;
}

static const struct vm_persist_ops hooked_ops = {
    .name = "hooked",
    .copy = hooked_copy,
    .set = hooked_set,
    .store = hooked_store,
    .mask = hooked_mask,
    .max = hooked_max,
    .flush = hooked_flush,
    .fence = hooked_fence,
};

/* ---- the platform ---- */

static int hooked_back(void *arg, uint64_t offset, uint64_t len_bytes)
{
    struct world *world = arg;
    world->backs++;
    if (world->is_back_failing)
        return 1;
    for (uint64_t chunk = offset / CHUNK_BYTES; chunk * CHUNK_BYTES < offset + len_bytes; chunk++)
        world->chunks_backed |= (uint64_t)1 << chunk;
    return 0;
}

/* In one thread nobody else can end a wait. */
static void hooked_wait(void *arg, _Atomic uint32_t *word, uint32_t seen)
{
    struct world *world = arg;
    (void)word;
    (void)seen;
    cr_assert(world->at_wait != NULL, "a wait that never ends");
    world->at_wait(world);
}

/* ---- the world ---- */

static void hook(struct world *world)
{
    struct core *core = &world->core;
    world->medium = core->ctx.io.ops;
    world->platform = *core->region.platform;
    world->platform.arg = world;
    world->platform.back = hooked_back;
    world->platform.wait = hooked_wait;
    core->region.platform = &world->platform;
    core->ctx.io.ops = &hooked_ops;
    core->ctx.io.arg = world;
    cr_assert_eq(vm_table_init(&core->ctx, &core->ctx.itable), 0);
    world->other = core->ctx;
    world->other.hint = 1;
    world->other.lane_hint = 1;
    world_watch(world);
}

void world_watch(struct world *world)
{
    world->is_busy = false;
    world->fences = world->lane_stores = world->watermark_stores = world->super_stores = 0;
    world->home_stores = world->home_stores_unfenced = world->backs = world->hits = 0;
    world->chunks_backed = 0;
    world->at_fence = NULL;
    world->at_store = NULL;
    world->at_wait = NULL;
    world->fence_failing = 0;
    world->is_failing_fence_durable = false;
    world->is_back_failing = false;
}

void world_init_empty(struct world *world)
{
    struct vm_ctx *ctx = &world->core.ctx;
    memset(world, 0, sizeof *world);
    core_init(&world->core, WORLD_BYTES);
    vm_table_format(ctx);
    cr_assert_eq(vm_io_fence(&ctx->io), 0);
    hook(world);
}

void world_init(struct world *world)
{
    struct vm_ctx *ctx = &world->core.ctx;
    world_init_empty(world);
    world_begin(ctx);
    cr_assert_eq(vm_space_take_node(ctx, &world->home), 0);
    vm_tx_fill(ctx, world->home, VM_BLOCK_BYTES, 0);
    world_commit(ctx);
    world_checkpoint(ctx);
    world_watch(world);
}

void world_fini(struct world *world)
{
    vm_table_fini(&world->core.ctx, world->core.ctx.itable);
    core_fini(&world->core);
}

void world_crash(struct world *world, struct seed *seed)
{
    vm_table_fini(&world->core.ctx, world->core.ctx.itable);
    core_crash(&world->core, seed);
    hook(world);
}

void world_lose_power(struct world *world)
{
    struct core *core = &world->core;
    memcpy(core->memory, core->durable, core->bytes);
    core->pending_count = 0;
    world_watch(world);
}

struct vm_ctx world_bare_ctx(struct world *world)
{
    return (struct vm_ctx){
        .io = {.ops = &hooked_ops, .arg = world, .base = world->core.memory},
        .region = &world->core.region,
    };
}

uint8_t *world_torn(const struct world *world, unsigned parity)
{
    const struct core *core = &world->core;
    uint8_t *image = malloc(core->bytes);
    cr_assert_not_null(image);
    memcpy(image, core->durable, core->bytes);
    for (uint64_t word = parity * 8; word < core->bytes; word += 16)
        memcpy(image + word, core->memory + word, 8);
    return image;
}

void world_forge(struct world *world, uint64_t offset, const void *bytes, uint64_t len_bytes)
{
    memcpy(world->core.memory + offset, bytes, len_bytes);
    memcpy(world->core.durable + offset, bytes, len_bytes);
}

/* ---- words ---- */

uint64_t world_word(const struct world *world, uint64_t offset)
{
    return vm_load64_home(&world->core.region, offset);
}

void world_begin(struct vm_ctx *ctx)
{
    int result = vm_tx_begin(ctx);
    cr_assert_eq(result, 0, "begin: %s", vmfs_reason_str(-result));
}

void world_commit(struct vm_ctx *ctx)
{
    int result = vm_tx_commit(ctx);
    cr_assert_eq(result, 0, "commit: %s", vmfs_reason_str(-result));
    vm_tx_end(ctx);
}

void world_stage(struct vm_ctx *ctx, uint64_t offset, uint64_t value)
{
    struct vm_le64 stored = vm_put64(value);
    vm_tx_write(ctx, offset, &stored, sizeof stored);
}

void world_put(struct vm_ctx *ctx, uint64_t offset, uint64_t value)
{
    world_begin(ctx);
    world_stage(ctx, offset, value);
    world_commit(ctx);
}

void world_checkpoint(struct vm_ctx *ctx)
{
    int result = vm_checkpoint_all(ctx);
    cr_assert_eq(result, 0, "checkpoint: %s", vmfs_reason_str(-result));
}

/* ---- files ---- */

uint64_t file_new(struct vm_ctx *ctx)
{
    uint64_t id;
    uint64_t offset;
    struct vm_inode inode;
    world_begin(ctx);
    int result = vm_table_take(ctx, &id, &offset);
    cr_assert_eq(result, 0, "take: %s", vmfs_reason_str(-result));
    vm_inode_make(ctx, id, offset, VM_MODE_FILE | 0644, &inode);
    vm_inode_set_nlink(&inode, 1);
    cr_assert_eq(vm_inode_store(ctx, &inode), 0);
    world_commit(ctx);
    return id;
}

void file_write(struct vm_ctx *ctx, uint64_t id, uint64_t offset, const char *text)
{
    uint64_t end;
    struct vm_data_range range = {.bytes = text, .len_bytes = strlen(text), .offset = offset};
    cr_assert_eq(vm_data_write(ctx, id, range, &end), (int64_t)strlen(text));
}

static void file_open(struct vm_ctx *ctx, uint64_t id, struct vm_inode *inode)
{
    int result = vm_inode_load(ctx, id, inode);
    cr_assert_eq(result, 0, "load: %s", vmfs_reason_str(-result));
}

static void file_begin(struct vm_ctx *ctx, uint64_t id, struct vm_inode *inode)
{
    world_begin(ctx);
    vm_lock_inodes(ctx, &id, 1);
    file_open(ctx, id, inode);
}

static void file_end(struct vm_ctx *ctx)
{
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
}

void file_resize(struct vm_ctx *ctx, uint64_t id, uint64_t size)
{
    struct vm_inode inode;
    file_begin(ctx, id, &inode);
    cr_assert_eq(vm_data_resize(ctx, &inode, size), 0);
    file_end(ctx);
}

void file_set_nlink(struct vm_ctx *ctx, uint64_t id, uint32_t nlink)
{
    struct vm_inode inode;
    file_begin(ctx, id, &inode);
    vm_inode_set_nlink(&inode, nlink);
    cr_assert_eq(vm_inode_store(ctx, &inode), 0);
    cr_assert_eq(vm_tx_commit(ctx), 0);
    file_end(ctx);
}

void file_free(struct vm_ctx *ctx, uint64_t id)
{
    struct vm_inode inode;
    file_begin(ctx, id, &inode);
    vm_inode_set_nlink(&inode, 0);
    cr_assert_eq(vm_reap_stage(ctx, &inode), 0);
    cr_assert_eq(vm_tx_commit(ctx), 0);
    file_end(ctx);
}

void file_read(struct vm_ctx *ctx, uint64_t id, uint64_t offset, char *buffer, uint64_t len_bytes)
{
    struct vm_inode inode;
    file_open(ctx, id, &inode);
    memset(buffer, '?', len_bytes);
    cr_assert_eq(vm_data_read(ctx, &inode, buffer, len_bytes, offset), (int64_t)len_bytes);
}

uint64_t file_size(struct vm_ctx *ctx, uint64_t id)
{
    struct vm_inode inode;
    file_open(ctx, id, &inode);
    return vm_inode_size(&inode);
}

bool file_is_marked_orphan(struct vm_ctx *ctx, uint64_t id)
{
    struct vm_chunk_media head;
    uint64_t offset;
    uint64_t slot = vm_id_slot(id);
    cr_assert_eq(vm_table_chunk(ctx, slot >> ctx->itable->chunk_stride_log2, &offset, &head), 1);
    uint64_t index = slot & (((uint64_t)1 << ctx->itable->chunk_stride_log2) - 1);
    return vm_get64(head.orphan[index / 64]) >> index % 64 & 1;
}
