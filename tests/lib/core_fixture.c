/* core_fixture.c -- formatting by hand, and a medium that forgets */
#include "core_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "media/super.h"

#define LINE         64u
#define WORD         8u
#define LANE_COUNT   4u
#define LANE_BYTES   65536u
#define CHUNK_BLOCKS 16u

static void must(bool is_true, const char *what, int result)
{
    if (is_true)
        return;
    fprintf(stderr, "core_fixture: %s failed (%d: %s)\n", what, result, vmfs_reason_str(-result));
    abort();
}

/* ---- the medium ---- */

static void word_flush(struct core *core, uint64_t word)
{
    if (core->pending_count == core->pending_room) {
        core->pending_room = core->pending_room ? 2 * core->pending_room : 8192;
        core->pending = realloc(core->pending, core->pending_room * sizeof *core->pending);
        must(core->pending != NULL, "realloc", 0);
    }
    memcpy(core->staged + word, core->memory + word, WORD);
    core->pending[core->pending_count++] = word;
}

/* `unit` is what becomes durable as a whole. */
static void range_flush(struct core *core, const void *addr, size_t len_bytes, uint64_t unit)
{
    uint64_t start = (uint64_t)((const uint8_t *)addr - core->memory);
    uint64_t end = (start + len_bytes + unit - 1) / unit * unit;
    for (uint64_t word = start / unit * unit; word < end; word += WORD)
        word_flush(core, word);
}

static void medium_flush(void *arg, const void *addr, size_t len_bytes)
{
    range_flush(arg, addr, len_bytes, LINE);
}

/* A store past the cache takes nothing along that it does not write. */
static void medium_copy(void *arg, void *dst, const void *src, size_t len_bytes)
{
    memcpy(dst, src, len_bytes);
    range_flush(arg, dst, len_bytes, WORD);
}

static void medium_set(void *arg, void *dst, int byte, size_t len_bytes)
{
    memset(dst, byte, len_bytes);
    range_flush(arg, dst, len_bytes, WORD);
}

static void medium_store(void *arg, void *dst, const void *src, size_t len_bytes)
{
    vm_persist_none()->store(arg, dst, src, len_bytes);
}

static void medium_mask(void *arg, uint64_t *word, uint64_t mask, uint64_t value)
{
    vm_persist_none()->mask(arg, word, mask, value);
}

static void medium_max(void *arg, uint64_t *word, uint64_t value)
{
    vm_persist_none()->max(arg, word, value);
}

static int medium_fence(void *arg)
{
    struct core *core = arg;
    if (core->fences_left && --core->fences_left == 0)
        longjmp(core->cut, 1);
    for (uint64_t index = 0; index < core->pending_count; index++)
        memcpy(core->durable + core->pending[index], core->staged + core->pending[index], WORD);
    core->pending_count = 0;
    return 0;
}

static const struct vm_persist_ops medium_ops = {
    .name = "medium",
    .copy = medium_copy,
    .set = medium_set,
    .store = medium_store,
    .mask = medium_mask,
    .max = medium_max,
    .flush = medium_flush,
    .fence = medium_fence,
};

/* ---- the platform ---- */

static void *platform_alloc(void *arg, size_t len_bytes)
{
    (void)arg;
    size_t size = (len_bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    if (memory)
        memset(memory, 0, size);
    return memory;
}

static void platform_free(void *arg, void *memory, size_t len_bytes)
{
    (void)arg;
    (void)len_bytes;
    free(memory);
}

static void platform_wait(void *arg, _Atomic uint32_t *word, uint32_t seen)
{
    (void)arg;
    (void)word;
    (void)seen;
}

static void platform_wake(void *arg, _Atomic uint32_t *word)
{
    (void)arg;
    (void)word;
}

static void platform_yield(void *arg)
{
    (void)arg;
}

static int64_t platform_now(void *arg)
{
    (void)arg;
    return 1;
}

static uint64_t platform_random(void *arg)
{
    static uint64_t count;
    (void)arg;
    return seed_mix(++count, 77);
}

static uintptr_t platform_hint(void *arg)
{
    (void)arg;
    return 0;
}

static int platform_back(void *arg, uint64_t offset, uint64_t len_bytes)
{
    (void)arg;
    (void)offset;
    (void)len_bytes;
    return 0;
}

static const struct vm_platform platform = {
    .alloc = platform_alloc,
    .free = platform_free,
    .wait = platform_wait,
    .wake = platform_wake,
    .yield = platform_yield,
    .now = platform_now,
    .random = platform_random,
    .hint = platform_hint,
    .back = platform_back,
};

/* ---- the region ---- */

static void super_fill(const struct core *core, struct vm_super_media *super)
{
    uint64_t blocks = core->bytes / VM_BLOCK_BYTES;
    uint64_t groups = (blocks + VM_GROUP_BLOCKS - 1) / VM_GROUP_BLOCKS;
    uint64_t lanes_blocks = (uint64_t)LANE_COUNT * LANE_BYTES / VM_BLOCK_BYTES;
    memset(super, 0, sizeof *super);
    super->version = vm_put32(VM_FORMAT_VERSION);
    super->hash_seed = vm_put64(0x1234567890abcdef);
    super->name_seed = vm_put64(0xfedcba0987654321);
    super->region_blocks = vm_put64(blocks);
    super->lane_offset = vm_put64((uint64_t)VM_LANES_BLOCK * VM_BLOCK_BYTES);
    super->lane_count = vm_put32(LANE_COUNT);
    super->lane_bytes = vm_put32(LANE_BYTES);
    super->epoch = vm_put64(1);
    super->epoch_limit = vm_put64(1000);
    super->chunk_blocks = vm_put32(CHUNK_BLOCKS);
    super->inode_bytes = vm_put32(VM_INODE_BYTES);
    super->zone_count = vm_put32(1);
    super->share.root_inode = vm_put64(VM_ROOT_ID);
    super->share.map_block = vm_put64(VM_INODE_MAP_BLOCK);
    super->zones[0].block_count = vm_put64(blocks);
    super->zones[0].head_block = vm_put64(VM_LANES_BLOCK + lanes_blocks);
    super->zones[0].group_count = vm_put32((uint32_t)groups);
}

static void attach(struct core *core)
{
    memset(&core->journal, 0, sizeof core->journal);
    struct vm_ctx *ctx = &core->ctx;
    *ctx = (struct vm_ctx){
        .io = {.ops = &medium_ops, .arg = core, .base = core->memory},
        .region = &core->region,
        .journal = &core->journal,
    };
    core->region.platform = &platform;
    struct vm_super_media super;
    struct vm_super_choice choice = {.is_read_only = false};
    int result = vm_super_load(&ctx->err, core->memory, core->bytes, &choice, &super);
    must(result == 0, "vm_super_load", result);
    result = vm_region_init(&ctx->err, &core->region, &super, core->memory, core->bytes);
    must(result == 0, "vm_region_init", result);
    result = vm_journal_init(ctx, &core->journal);
    must(result == 0, "vm_journal_init", result);
    result = vm_journal_recover(ctx, &core->journal, true);
    must(result == 0, "vm_journal_recover", result);
    result = vm_space_init(ctx, &ctx->space);
    must(result == 0, "vm_space_init", result);
}

static void detach(struct core *core)
{
    vm_space_fini(&core->ctx, core->ctx.space);
    vm_journal_fini(&core->journal);
}

/* What has never been stored to is not zero, so that nothing relies on it. */
static void format(struct core *core)
{
    struct vm_super_media super;
    struct vm_ctx *ctx = &core->ctx;
    seed_fill(core->memory, core->bytes, 12345);
    memcpy(core->durable, core->memory, core->bytes);
    super_fill(core, &super);
    *ctx = (struct vm_ctx){
        .io = {.ops = &medium_ops, .arg = core, .base = core->memory},
        .region = &core->region,
        .journal = &core->journal,
    };
    core->region.platform = &platform;
    int result = vm_region_init(&ctx->err, &core->region, &super, core->memory, core->bytes);
    must(result == 0, "vm_region_init", result);
    uint64_t fixed =
        core->region.zones[0].head_block + vm_zone_head_blocks(core->region.zones[0].group_count);
    vm_io_set(&ctx->io, core->region.lane_offset, 0, (size_t)LANE_COUNT * LANE_BYTES);
    vm_space_format(ctx);
    vm_journal_format(ctx, core->region.blocks - fixed);
    must(vm_super_publish(&ctx->io, &super) == 0, "vm_super_publish", 0);
}

static uint8_t *pages(uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "mmap", 0);
    return memory;
}

void core_init(struct core *core, uint64_t bytes)
{
    memset(core, 0, sizeof *core);
    core->bytes = bytes;
    core->memory = pages(bytes);
    core->staged = pages(bytes);
    core->durable = pages(bytes);
    format(core);
    attach(core);
}

void core_fini(struct core *core)
{
    detach(core);
    munmap(core->memory, core->bytes);
    munmap(core->staged, core->bytes);
    munmap(core->durable, core->bytes);
    free(core->pending);
}

void core_crash(struct core *core, struct seed *seed)
{
    for (uint64_t line = 0; line < core->bytes; line += LINE) {
        if (memcmp(core->memory + line, core->durable + line, LINE) == 0)
            continue;
        for (uint64_t word = line; word < line + LINE; word += WORD)
            if (!seed || seed_chance(seed, 50))
                memcpy(core->memory + word, core->durable + word, WORD);
        memcpy(core->durable + line, core->memory + line, LINE);
    }
    core->pending_count = 0;
    core->fences_left = 0;
    detach(core);
    attach(core);
}

uint8_t *core_save(struct core *core)
{
    int result = vm_checkpoint_all(&core->ctx);
    must(result == 0, "vm_checkpoint_all", result);
    uint8_t *image = malloc(core->bytes);
    must(image != NULL, "malloc", 0);
    memcpy(image, core->memory, core->bytes);
    return image;
}

void core_load(struct core *core, const uint8_t *image)
{
    memcpy(core->memory, image, core->bytes);
    memcpy(core->durable, image, core->bytes);
    core->pending_count = 0;
    detach(core);
    attach(core);
}

void core_stale(struct core *core, const uint8_t *image)
{
    for (uint64_t block = 0; block < core->region.blocks; block++) {
        struct vm_bit bit = vm_region_bit(&core->region, block);
        if (vm_load64_home(&core->region, bit.word_offset) >> bit.bit & 1)
            continue;
        uint64_t offset = block * VM_BLOCK_BYTES;
        memcpy(core->memory + offset, image + offset, VM_BLOCK_BYTES);
    }
}
