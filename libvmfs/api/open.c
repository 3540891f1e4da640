/* open.c -- opening, attaching, closing and syncing regions */
#include <errno.h>
#include <libpmem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check/repair.h"

#include "api/guard.h"
#include "api/map.h"
#include "api/owner.h"
#include "api/platform.h"
#include "api/stage.h"
#include "inode/opens.h"

#define WAIT_MS 10000u /* unless the caller says something else */

/* The caller's options with defaults behind the size that it was compiled with. */
static bool options_load(const struct vmfs_options *options, struct vmfs_options *out)
{
    *out = (struct vmfs_options)VMFS_OPTIONS_INIT;
    if (!options)
        return true;
    if (options->struct_bytes < offsetof(struct vmfs_options, region_bytes))
        return false;
    size_t known = sizeof *out < options->struct_bytes ? sizeof *out : options->struct_bytes;
    memcpy(out, options, known);
    const uint32_t flags = VMFS_RDONLY | VMFS_CREATE | VMFS_FORCE | VMFS_ZEROED | VMFS_GUARD |
                           VMFS_PEEK | VMFS_REPAIR | VMFS_SERVED | VMFS_NOATIME;
    bool is_both = ((out->flags & VMFS_RDONLY) != 0) + ((out->flags & VMFS_CREATE) != 0) +
                       ((out->flags & VMFS_REPAIR) != 0) >
                   1;
    bool is_peek = out->flags & VMFS_PEEK;
    return !(out->flags & ~flags) && !is_both && (!is_peek || (out->flags & VMFS_RDONLY)) &&
           (!(out->flags & VMFS_SERVED) || !(out->flags & VMFS_RDONLY)) &&
           out->durability <= VMFS_DURABILITY_PROCESS;
}

static void handle_free(struct vmfs *fs)
{
    if (fs->fork_guard && !fs->is_staged)
        vm_fork_guard_destroy(fs->fork_guard);
    if (fs->slots)
        fs->platform.free(fs->platform.arg, fs->slots, VM_THREAD_SLOTS * sizeof *fs->slots);
    free(fs);
}

/* On a stage nobody forks. */
static const uint32_t *guard_of_stage(void)
{
    static const uint32_t guard = 1;
    return &guard;
}

static uint32_t wait_ms(const struct vmfs_options *options)
{
    if (options->wait_ms == VMFS_NO_WAIT)
        return 0;
    return options->wait_ms ? options->wait_ms : WAIT_MS;
}

static struct vmfs *handle_new(const struct vmfs_options *options, const struct vm_stage *stage)
{
    struct vmfs *fs = aligned_alloc(64, (sizeof *fs + 63) / 64 * 64);
    if (!fs)
        return NULL;
    memset(fs, 0, sizeof *fs);
    fs->is_staged = stage;
    if (stage)
        fs->platform = stage->platform;
    else
        vm_platform_init(fs);
    fs->volume.region.platform = &fs->platform;
    fs->fd = -1;
    fs->log = options->log;
    fs->log_arg = options->log_arg;
    fs->owner_uid = options->owner_uid == UINT32_MAX ? geteuid() : options->owner_uid;
    fs->owner_gid = options->owner_gid == UINT32_MAX ? getegid() : options->owner_gid;
    fs->is_read_only = options->flags & VMFS_RDONLY;
    fs->is_served = options->flags & VMFS_SERVED;
    fs->leaves_atime = options->flags & VMFS_NOATIME;
    fs->wait_ms = wait_ms(options);
    fs->is_peek = options->flags & VMFS_PEEK;
    fs->needs_repair = options->flags & VMFS_REPAIR;
    fs->fork_guard = stage ? guard_of_stage() : vm_fork_guard_create();
    fs->slots = fs->platform.alloc(fs->platform.arg, VM_THREAD_SLOTS * sizeof *fs->slots);
    if (fs->fork_guard && fs->slots)
        return fs;
    handle_free(fs);
    return NULL;
}

/* Faults on the fast path would be the worst tail: the lanes are in memory, and stay there where the
 * system allows it. */
static void populate_lanes(struct vmfs *fs)
{
    const struct vm_region *region = &fs->volume.region;
    uint8_t *lanes = fs->map + region->lane_offset;
    size_t len_bytes = (size_t)region->lane_count * region->lane_bytes;
    if (madvise(lanes, len_bytes, MADV_POPULATE_WRITE) == 0)
        (void)mlock(lanes, len_bytes);
}

static void say_opened(struct vmfs *fs, const struct vm_ctx *ctx)
{
    vm_inform(&ctx->err, vm_durability_text(fs), fs->durability);
    if (fs->volume.journal.replayed && !fs->is_peek)
        vm_inform(&ctx->err, "journal records replayed: ", fs->volume.journal.replayed);
}

/* The owner line is claimed between looking and storing. */
static int64_t attach_steps(struct vmfs *fs, struct vm_ctx *ctx, bool is_format, bool is_zeroed)
{
    int reason = 0;
    if (fs->needs_repair)
        reason = vm_repair_probe(&fs->volume, ctx, fs->map, fs->map_bytes);
    else if (!is_format)
        reason = vm_volume_probe(&fs->volume, ctx, fs->map, fs->map_bytes, fs->is_read_only);
    if (reason)
        return vm_errno(reason);
    bool is_owner = !fs->is_read_only && !fs->is_staged;
    int64_t result = is_owner ? vm_owner_claim(fs, ctx) : 0;
    if (result || fs->needs_repair)
        return result;
    if (is_format)
        reason = vm_volume_format(&fs->volume, ctx, fs->map, fs->map_bytes, is_zeroed);
    else if (fs->is_peek)
        reason = vm_volume_watch(&fs->volume, ctx);
    else
        reason = vm_volume_attach(&fs->volume, ctx, !fs->is_read_only || fs->fd >= 0);
    if (reason && is_owner)
        vm_owner_release(fs, ctx);
    return vm_errno(reason);
}

static int64_t attach_region(struct vmfs *fs, struct vm_ctx *ctx,
                             const struct vmfs_options *options, bool is_zeroed)
{
    vm_ctx_init(fs, ctx);
    int64_t result = attach_steps(fs, ctx, options->flags & VMFS_CREATE, is_zeroed);
    if (result)
        return result;
    if (!fs->is_read_only && !fs->is_staged)
        populate_lanes(fs);
    fs->open_cost = (struct vmfs_counters){.ops = 1,
                                           .fences = ctx->io.fences,
                                           .lines = ctx->io.lines,
                                           .bytes = ctx->io.bytes,
                                           .shared = ctx->io.shared};
    if (!fs->needs_repair)
        say_opened(fs, ctx);
    return 0;
}

static int64_t finish_open(struct vmfs *fs, int64_t result, const struct vmfs_options *options,
                           struct vm_backing backing, struct vmfs **out)
{
    struct vm_ctx ctx;
    vm_ctx_init(fs, &ctx);
    if (result == 0)
        result = attach_region(fs, &ctx, options, backing.is_zeroed);
    if (result == 0 && backing.created)
        result = vm_map_keep_name(fs, &ctx.err, backing.created);
    int lost = vm_guard_check(fs, &ctx);
    if (lost)
        result = vm_errno(lost);
    if (result == 0) {
        *out = fs;
        return 0;
    }
    if (backing.created)
        unlink(backing.created);
    vm_volume_fini(&fs->volume, &ctx);
    vm_map_close(fs);
    handle_free(fs);
    return result;
}

int vmfs_open(const char *path, const struct vmfs_options *options, struct vmfs **out)
{
    struct vmfs_options opts;
    if (!path || !out || !options_load(options, &opts) || (opts.flags & VMFS_ZEROED))
        return (int)vm_bad_argument();
    struct vmfs *fs = handle_new(&opts, NULL);
    if (!fs)
        return -ENOMEM;
    struct vm_err err = {.log = opts.log, .log_arg = opts.log_arg};
    struct vm_backing backing;
    int64_t result = vm_map_open(fs, &err, path, &opts, &backing);
    return (int)finish_open(fs, result, &opts, backing, out);
}

/* Where the memory may be put to use: sets map and map_bytes. */
static int64_t check_memory(struct vmfs *fs, void *address, size_t length,
                            const struct vmfs_options *options)
{
    struct vm_err err = {.log = fs->log, .log_arg = fs->log_arg};
    uint64_t bytes = options->region_bytes ? options->region_bytes : length;
    if ((uintptr_t)address % VM_BLOCK_BYTES || length % VM_BLOCK_BYTES || bytes > length ||
        bytes % VM_BLOCK_BYTES || bytes < VMFS_REGION_MIN)
        return vm_errno(vm_raise(&err, VMFS_R_MEMORY_SIZE, length));
    fs->map = address;
    fs->stores = address;
    fs->map_bytes = options->flags & VMFS_CREATE ? bytes : length;
    return 0;
}

static int64_t attach_memory(struct vmfs *fs, void *address, size_t length,
                             const struct vmfs_options *options)
{
    struct vm_err err = {.log = fs->log, .log_arg = fs->log_arg};
    int64_t result = check_memory(fs, address, length, options);
    if (result)
        return result;
    bool is_pmem = pmem_is_pmem(address, length);
    uint32_t level = options->durability;
    if (level == VMFS_DURABILITY_AUTO)
        level = is_pmem ? VMFS_DURABILITY_POWER : VMFS_DURABILITY_PROCESS;
    return vm_choose_backend(fs, &err, level, is_pmem, true);
}

/* Formatting memory that holds a filesystem needs VMFS_FORCE, as by path. */
static int64_t check_overwrite(struct vmfs *fs, const struct vmfs_options *options)
{
    if (!(options->flags & VMFS_CREATE) || (options->flags & VMFS_FORCE))
        return 0;
    struct vm_err quiet = {.log = NULL};
    struct vm_super_media super;
    struct vm_super_choice choice = {.is_read_only = true};
    int reason = vm_super_load(&quiet, fs->map, fs->map_bytes, &choice, &super);
    if (reason == -VMFS_R_REGION_FOREIGN)
        return 0;
    struct vm_err err = {.log = fs->log, .log_arg = fs->log_arg};
    return vm_errno(vm_raise(&err, VMFS_R_MEMORY_FORMATTED, 0));
}

static bool attach_options_load(const struct vmfs_options *options, struct vmfs_options *out)
{
    return options_load(options, out) && !out->offset_bytes && !out->length_bytes &&
           !(out->flags & (VMFS_GUARD | VMFS_PEEK));
}

static int finish_attach(struct vmfs *fs, int64_t result, const struct vmfs_options *options,
                         struct vmfs **out)
{
    if (result == 0)
        result = check_overwrite(fs, options);
    const struct vm_backing backing = {.is_zeroed = options->flags & VMFS_ZEROED};
    return (int)finish_open(fs, result, options, backing, out);
}

int vmfs_attach(void *address, size_t length, const struct vmfs_options *options, struct vmfs **out)
{
    struct vmfs_options opts;
    if (!address || !out || !attach_options_load(options, &opts))
        return (int)vm_bad_argument();
    struct vmfs *fs = handle_new(&opts, NULL);
    if (!fs)
        return -ENOMEM;
    int64_t result = attach_memory(fs, address, length, &opts);
    return finish_attach(fs, result, &opts, out);
}

int vm_stage_attach(const struct vm_stage *stage, const struct vmfs_options *options,
                    struct vmfs **out)
{
    struct vmfs_options opts;
    if (!attach_options_load(options, &opts))
        return (int)vm_bad_argument();
    struct vmfs *fs = handle_new(&opts, stage);
    if (!fs)
        return -ENOMEM;
    int64_t result = check_memory(fs, (void *)(uintptr_t)stage->loads, (size_t)stage->bytes, &opts);
    fs->stores = stage->stores;
    fs->ops = stage->ops;
    fs->ops_arg = stage->ops_arg;
    fs->backend = stage->ops->name;
    fs->durability = VMFS_DURABILITY_POWER;
    return finish_attach(fs, result, &opts, out);
}

static int64_t settle_and_release(struct vmfs *fs, struct vm_ctx *ctx)
{
    if (fs->is_read_only)
        return 0;
    int64_t result = 0;
    bool is_sound = !atomic_load(&fs->is_damaged) && !fs->needs_repair;
    if (!fs->is_staged)
        vm_owner_close(fs, ctx);
    if (is_sound)
        vm_opens_let_go(ctx);
    if (is_sound)
        result = vm_errno(vm_volume_settle(ctx));
    if (fs->sync && vm_sync_counts(fs->sync).has_failed)
        result = vm_errno(vm_journal_poison(ctx));
    if (!fs->is_staged)
        vm_owner_release(fs, ctx);
    return result;
}

int vmfs_closing(struct vmfs *fs)
{
    struct vm_ctx ctx;
    if (!fs)
        return (int)vm_bad_argument();
    int reason = vm_enter(fs, &ctx, false);
    if (reason)
        return (int)vm_errno(reason);
    if (!fs->is_read_only && !fs->is_staged)
        vm_owner_close(fs, &ctx);
    return (int)vm_leave(fs, &ctx, 0);
}

int vmfs_close(struct vmfs *fs)
{
    if (!fs)
        return (int)vm_bad_argument();
    struct vm_ctx ctx;
    vm_ctx_init(fs, &ctx);
    ctx.now_ns = fs->platform.now(fs->platform.arg);
    int64_t result = 0;
    if (!vm_is_forked(fs)) {
        uint64_t handles = vm_handles_count(fs);
        if (handles)
            return (int)vm_errno(vm_raise(&ctx.err, VMFS_R_OPEN_FILES, handles));
        result = settle_and_release(fs, &ctx);
        int lost = fs->is_read_only ? 0 : vm_guard_check(fs, &ctx);
        if (lost)
            result = vm_errno(lost);
    }
    vm_volume_fini(&fs->volume, &ctx);
    vm_map_close(fs);
    handle_free(fs);
    return (int)result;
}

static int64_t sync_all(struct vmfs *fs, struct vm_ctx *ctx)
{
    bool is_damaged = atomic_load(&fs->is_damaged);
    int64_t result = vm_guard_check(fs, ctx);
    if (result == 0)
        result = is_damaged ? vm_checkpoint_all(ctx) : vm_volume_settle(ctx);
    return vm_leave(fs, ctx, result);
}

int vmfs_sync(struct vmfs *fs)
{
    struct vm_ctx ctx;
    if (!fs)
        return (int)vm_bad_argument();
    int reason = vm_enter(fs, &ctx, false);
    if (reason)
        return (int)vm_errno(reason);
    if (fs->is_read_only)
        return (int)vm_leave(fs, &ctx, 0);
    ctx.now_ns = fs->platform.now(fs->platform.arg);
    int64_t result = sync_all(fs, &ctx);
    return (int)(result ? result : vm_map_sync(fs));
}
