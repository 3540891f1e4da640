/* info.c -- what a handle can tell about itself */
#include <string.h>

#include "api/owner.h"
#include "inode/opens.h"

#define VERSION_TEXT(major, minor, patch)   #major "." #minor "." #patch
#define VERSION_EXPAND(major, minor, patch) VERSION_TEXT(major, minor, patch)

const char *vmfs_version(void)
{
    return VERSION_EXPAND(VMFS_VERSION_MAJOR, VMFS_VERSION_MINOR, VMFS_VERSION_PATCH);
}

const char *vm_durability_text(const struct vmfs *fs)
{
    bool is_power = fs->durability == VMFS_DURABILITY_POWER;
    bool is_sync = strcmp(fs->backend, vm_persist_sync()->name) == 0;
    if (is_power && is_sync && fs->is_in_memory)
        return "power: msync at each fence, but the file is in memory (tmpfs) and goes with it";
    if (is_power && is_sync)
        return "power: what has returned survives loss of power: an msync to the device at each "
               "fence";
    if (is_power)
        return "power: what has returned survives loss of power, as far as the memory does";
    return "process: what has returned survives the process; sync calls reach the medium";
}

static void fill_info(struct vmfs *fs, const struct vm_ctx *ctx, struct vmfs_info *info)
{
    const struct vm_super_media *super = &fs->volume.super;
    const struct vm_journal *journal = &fs->volume.journal;
    struct vm_totals totals = vm_journal_totals(journal);
    info->format_version = vm_get32(super->version);
    memcpy(info->uuid, super->uuid, sizeof info->uuid);
    info->region_bytes = fs->volume.region.bytes;
    info->features_compat = vm_get64(super->compat);
    info->features_ro_compat = vm_get64(super->ro_compat);
    info->features_incompat = vm_get64(super->incompat);
    info->lane_count = journal->lane_count;
    info->lane_bytes = journal->lane_bytes;
    info->journal_records = journal->replayed;
    info->journal_bytes_used =
        fs->is_peek ? journal->observed_bytes : vm_journal_bytes_used(journal);
    info->checkpoint_fences = atomic_load(&journal->checkpoint_fences);
    info->inodes_used = (uint64_t)totals.inodes_used;
    info->orphans = (uint64_t)totals.orphans;
    info->inodes_open = vm_opens_count(ctx);
    info->durability = fs->durability;
    if (fs->sync) {
        struct vm_sync_counts counts = vm_sync_counts(fs->sync);
        info->sync_rounds = counts.rounds;
        info->sync_calls = counts.calls;
    }
    struct vm_owner owner;
    vm_owner_look(fs, &owner);
    info->owner_pid = owner.pid;
    info->owner_state = owner.state;
    info->is_read_only = fs->is_read_only || atomic_load(&fs->is_damaged);
    strncpy(info->backend, fs->backend, sizeof info->backend - 1);
    strncpy(info->meaning, vm_durability_text(fs), sizeof info->meaning - 1);
}

int vmfs_info(struct vmfs *fs, struct vmfs_info *info)
{
    struct vm_ctx ctx;
    if (!fs || !info || info->struct_bytes < sizeof info->struct_bytes)
        return (int)vm_bad_argument();
    int reason = vm_enter(fs, &ctx, false);
    if (reason)
        return (int)vm_errno(reason);
    struct vmfs_info all;
    memset(&all, 0, sizeof all);
    all.struct_bytes = info->struct_bytes;
    fill_info(fs, &ctx, &all);
    memcpy(info, &all, info->struct_bytes < sizeof all ? info->struct_bytes : sizeof all);
    return (int)vm_leave(fs, &ctx, 0);
}

int vmfs_durability(struct vmfs *fs)
{
    struct vm_ctx ctx;
    if (!fs)
        return (int)vm_bad_argument();
    int reason = vm_enter(fs, &ctx, false);
    return reason ? (int)vm_errno(reason) : (int)vm_leave(fs, &ctx, (int64_t)fs->durability);
}

int vmfs_statfs(struct vmfs *fs, struct vmfs_statfs *out)
{
    struct vm_ctx ctx;
    if (!fs || !out)
        return (int)vm_bad_argument();
    int reason = vm_enter(fs, &ctx, false);
    if (reason)
        return (int)vm_errno(reason);
    struct vm_totals totals = vm_journal_totals(&fs->volume.journal);
    *out = (struct vmfs_statfs){.block_bytes = VM_BLOCK_BYTES,
                                .blocks_total = fs->volume.region.blocks,
                                .blocks_free = (uint64_t)totals.blocks_free,
                                .inodes_used = (uint64_t)totals.inodes_used,
                                .name_max = VMFS_NAME_MAX};
    return (int)vm_leave(fs, &ctx, 0);
}

static void add_slot(const struct vm_thread_slot *slot, struct vmfs_counters *sum)
{
    sum->ops += atomic_load_explicit(&slot->ops, memory_order_relaxed);
    sum->fences += atomic_load_explicit(&slot->fences, memory_order_relaxed);
    sum->lines += atomic_load_explicit(&slot->lines, memory_order_relaxed);
    sum->bytes += atomic_load_explicit(&slot->bytes, memory_order_relaxed);
    sum->shared += atomic_load_explicit(&slot->shared, memory_order_relaxed);
}

int vmfs_counters(struct vmfs *fs, enum vmfs_counters_scope scope, struct vmfs_counters *out)
{
    struct vm_ctx ctx;
    if (!fs || !out || (unsigned)scope > VMFS_COUNTERS_OPEN)
        return (int)vm_bad_argument();
    int reason = vm_enter(fs, &ctx, false);
    if (reason)
        return (int)vm_errno(reason);
    struct vmfs_counters sum = {0};
    if (scope == VMFS_COUNTERS_OPEN)
        sum = fs->open_cost;
    else if (scope == VMFS_COUNTERS_THREAD)
        add_slot(&fs->slots[ctx.hint], &sum);
    for (unsigned index = 0; scope == VMFS_COUNTERS_HANDLE && index < VM_THREAD_SLOTS; index++)
        add_slot(&fs->slots[index], &sum);
    *out = sum;
    return 0;
}
