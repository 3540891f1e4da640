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

/* What a return means, by what is behind the region; each fits into vmfs_info.meaning. First at level power where
 * stores reach the medium by themselves, then where an msync does it, then at level process. */
static const char *const texts_power[VM_DEVICE_KINDS] = {
    [VM_DEVICE_MEMORY] =
        "power: what has returned survives loss of power, as far as the memory does",
    [VM_DEVICE_FILE] = "power: what has returned survives loss of power, as far as the memory does",
    [VM_DEVICE_TMPFS] =
        "power: what has returned survives loss of power, as far as the memory does",
    [VM_DEVICE_DAX_FILE] = "power: what has returned survives loss of power, as far as the memory "
                           "under the DAX mount does",
    [VM_DEVICE_DAX] = "power: what has returned survives loss of power, as far as the memory of "
                      "the DAX device does",
    [VM_DEVICE_BLOCK] =
        "power: what has returned survives loss of power, as far as the memory does",
    [VM_DEVICE_PMEM_BLOCK] =
        "power: what has returned survives loss of power, as far as the memory does",
};

static const char *const texts_sync[VM_DEVICE_KINDS] = {
    [VM_DEVICE_FILE] = "power: what has returned survives loss of power: an msync to the device at "
                       "each fence",
    [VM_DEVICE_TMPFS] =
        "power: msync at each fence, but the file is in memory (tmpfs) and goes with it",
    [VM_DEVICE_DAX_FILE] = "power: what has returned survives loss of power: an msync at each "
                           "fence, for which the host flushes",
    [VM_DEVICE_BLOCK] = "power: what has returned survives loss of power: an msync to the device "
                        "at each fence",
    [VM_DEVICE_PMEM_BLOCK] = "power: survives loss of power: an msync at each fence; in devdax "
                             "mode, or as a file on fsdax, it needs none",
};

static const char *const texts_process[VM_DEVICE_KINDS] = {
    [VM_DEVICE_MEMORY] = "process: what has returned survives the process, as far as the memory "
                         "does; sync calls add nothing",
    [VM_DEVICE_FILE] = "process: what has returned survives the process; sync calls reach the "
                       "medium",
    [VM_DEVICE_TMPFS] = "process: what has returned survives the process; the file is in memory "
                        "(tmpfs) and goes with it",
    [VM_DEVICE_DAX_FILE] = "process: survives process and guest, the file itself once its "
                           "filesystem has committed it; sync calls: power",
    [VM_DEVICE_DAX] = "process: what has returned survives process and guest; 'power' costs no "
                      "system call here",
    [VM_DEVICE_BLOCK] = "process: what has returned survives the process; sync calls reach the "
                        "device",
    [VM_DEVICE_PMEM_BLOCK] = "process: survives the process; sync calls reach the device; in "
                             "devdax mode, or on fsdax, it is power",
};

const char *vm_durability_text(const struct vmfs *fs)
{
    if (fs->durability != VMFS_DURABILITY_POWER)
        return texts_process[fs->kind];
    bool is_sync = strcmp(fs->backend, vm_persist_sync()->name) == 0;
    return is_sync ? texts_sync[fs->kind] : texts_power[fs->kind];
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
