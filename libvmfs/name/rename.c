/* rename.c -- rename in all its forms */
#include "base/check.h"
#include "base/util.h"
#include "inode/reap.h"
#include "inode/table.h"
#include "name/nsop.h"
#include "name/path.h"

/* A rename on its way; `to` shares `from`'s directory where they are one. */
struct rename {
    struct vm_ctx *ctx;
    struct vm_end ends[2];
    uint32_t flags;
    uint64_t ids[2]; /* what the names meant when it was looked up; 0 nothing */
    uint32_t types[2];
    struct vm_inode dirs[2];
    struct vm_inode *dir[2];
    struct vm_inode child[2];
    struct vm_named_hit hits[2];
    bool has_target;
    int rest; /* child[1] is to be freed without locks */
};

static bool moves_directory(const struct rename *rename)
{
    if (rename->ends[0].dir_id == rename->ends[1].dir_id)
        return false;
    return rename->types[0] == VM_MODE_DIRECTORY ||
           ((rename->flags & VM_RENAME_EXCHANGE) && rename->types[1] == VM_MODE_DIRECTORY);
}

struct parent_read {
    uint64_t id;
    uint64_t parent;
};

static int64_t parent_body(struct vm_ctx *ctx, void *arg)
{
    struct parent_read *read = arg;
    struct vm_inode dir;
    int result = vm_dir_load(ctx, read->id, &dir);
    read->parent = vm_get64(dir.m.parent);
    return result;
}

/* No directory tree is deeper than it has directories; a longer way up is a cycle on the medium. What the
 * medium counts is believed no further than there are slots. */
static uint64_t depth_max(const struct vm_ctx *ctx)
{
    const struct vm_itable *table = ctx->itable;
    uint64_t slots =
        atomic_load_explicit(&table->chunk_count, memory_order_acquire) * table->slots_per_chunk;
    return vm_min(slots, (uint64_t)vm_journal_totals(ctx->journal).inodes_used);
}

static int is_above(struct vm_ctx *ctx, uint64_t upper, uint64_t lower)
{
    uint64_t left = depth_max(ctx) + 1;
    for (uint64_t id = lower; id != VM_ROOT_ID; left--) {
        if (id == upper || left == 0)
            return 1;
        struct parent_read read = {.id = id};
        int64_t result = vm_read_stable(ctx, id, parent_body, &read);
        if (result)
            return (int)result;
        id = read.parent;
    }
    return 0;
}

static int check_not_above(struct vm_ctx *ctx, uint64_t upper, uint64_t lower)
{
    int found = is_above(ctx, upper, lower);
    return found > 0 ? vm_raise(&ctx->err, VMFS_R_RENAME_CYCLE, upper) : found;
}

/* Under the locks of the directories: loads them and finds what the names mean. */
static int find_both(struct rename *rename, uint64_t ids[2])
{
    struct vm_ctx *ctx = rename->ctx;
    bool is_one = rename->ends[0].dir_id == rename->ends[1].dir_id;
    for (unsigned end = 0; end < 2; end++) {
        rename->dir[end] = is_one ? &rename->dirs[0] : &rename->dirs[end];
        int result = 0;
        if (end == 0 || !is_one)
            result = vm_dir_load(ctx, rename->ends[end].dir_id, rename->dir[end]);
        if (result)
            return result;
        result = vm_dir_find(ctx, rename->dir[end], rename->ends[end].name, &rename->hits[end]);
        if (result < 0)
            return result;
        ids[end] = result ? rename->hits[end].entry.value : 0;
    }
    return 0;
}

static int load_children(struct rename *rename)
{
    int result = 0;
    for (unsigned end = 0; result == 0 && end < 2; end++)
        if (rename->ids[end])
            result = vm_inode_load(rename->ctx, rename->ids[end], &rename->child[end]);
    rename->has_target = rename->ids[1] != 0;
    return result;
}

static int check_replace(const struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    const struct vm_inode *from = &rename->child[0];
    const struct vm_inode *to = &rename->child[1];
    if (vm_inode_is_directory(from) && !vm_inode_is_directory(to))
        return vm_raise(&ctx->err, VMFS_R_OVER_FILE, to->id);
    if (!vm_inode_is_directory(from) && vm_inode_is_directory(to))
        return vm_raise(&ctx->err, VMFS_R_OVER_DIRECTORY, to->id);
    return vm_inode_is_directory(to) ? vm_dir_check_empty(ctx, to) : 0;
}

/* In the order of Linux's vfs_rename(), behind check_target(). */
static int check_allowed(const struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    int result = vm_name_check_delete(ctx, rename->dir[0], &rename->child[0]);
    if (result == 0 && !rename->has_target)
        result = vm_inode_check_change(ctx, rename->dir[1], true);
    if (result || !rename->has_target)
        return result;
    result = vm_name_check_delete(ctx, rename->dir[1], &rename->child[1]);
    if (result || (rename->flags & VM_RENAME_EXCHANGE))
        return result;
    return check_replace(rename);
}

static void add_subdirectory(struct vm_inode *dir, int change)
{
    vm_inode_set_nlink(dir, vm_inode_nlink(dir) + (uint32_t)change);
}

/* The child is below another directory now. */
static void reparent(struct rename *rename, unsigned child, unsigned to)
{
    vm_inode_touch_change(rename->ctx, &rename->child[child]);
    if (!vm_inode_is_directory(&rename->child[child]))
        return;
    add_subdirectory(rename->dir[!to], -1);
    add_subdirectory(rename->dir[to], 1);
    rename->child[child].m.parent = vm_put64(rename->dir[to]->id);
}

static int stage_exchange(struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    for (unsigned end = 0; end < 2; end++) {
        int result =
            vm_dir_replace(ctx, rename->dir[end], &rename->hits[end], &rename->child[!end]);
        if (result)
            return result;
    }
    reparent(rename, 0, 1);
    reparent(rename, 1, 0);
    return vm_inode_store(ctx, &rename->child[1]);
}

static int stage_replace(struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    int result = vm_dir_replace(ctx, rename->dir[1], &rename->hits[1], &rename->child[0]);
    if (result == 0)
        result = vm_dir_remove(ctx, rename->dir[0], &rename->hits[0]);
    if (result)
        return result;
    if (vm_inode_is_directory(&rename->child[1]))
        add_subdirectory(rename->dir[1], -1);
    rename->rest = vm_name_drop_link(ctx, &rename->child[1]);
    return rename->rest < 0 ? rename->rest : 0;
}

static int stage_move(struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    int result = vm_dir_remove(ctx, rename->dir[0], &rename->hits[0]);
    if (result)
        return result;
    return vm_dir_add(ctx, rename->dir[1], rename->ends[1].name, &rename->hits[1],
                      &rename->child[0]);
}

static int stage(struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    int result = check_allowed(rename);
    if (result)
        return result;
    if (rename->flags & VM_RENAME_EXCHANGE) {
        result = stage_exchange(rename);
    } else {
        result = rename->has_target ? stage_replace(rename) : stage_move(rename);
        if (result == 0)
            reparent(rename, 0, 1);
    }
    if (result == 0)
        result = vm_inode_store(ctx, &rename->child[0]);
    if (result == 0)
        result = vm_inode_store(ctx, rename->dir[0]);
    if (result == 0 && rename->dir[0] != rename->dir[1])
        result = vm_inode_store(ctx, rename->dir[1]);
    return result;
}

/* All that is concerned is locked. */
static int rename_found(struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    int result = load_children(rename);
    if (result)
        return result;
    if (rename->has_target && rename->ids[0] == rename->ids[1])
        return 0;
    result = stage(rename);
    return result ? result : vm_tx_commit(ctx);
}

/* Looks again: 1 to start over, as the names mean something else by now. */
static int rename_locked(struct rename *rename)
{
    uint64_t ids[2];
    int result = find_both(rename, ids);
    if (result)
        return result;
    bool is_as_seen = ids[0] == rename->ids[0] && ids[1] == rename->ids[1];
    return is_as_seen ? rename_found(rename) : 1;
}

static int check_missing(const struct rename *rename)
{
    bool must_exist = rename->flags & VM_RENAME_EXCHANGE;
    bool is_missing = !rename->ids[0] || (must_exist && !rename->ids[1]);
    return is_missing ? vm_path_missing(rename->ctx) : 0;
}

static int look_up(struct rename *rename)
{
    for (unsigned end = 0; end < 2; end++) {
        rename->ids[end] = 0;
        rename->types[end] = 0;
        int found = vm_dir_lookup(rename->ctx, rename->ends[end].dir_id, rename->ends[end].name,
                                  &rename->ids[end], &rename->types[end]);
        if (found < 0)
            return found;
    }
    return check_missing(rename);
}

/* What is moved may lie below what it would replace. */
static int check_over_ancestor(struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    if ((rename->flags & VM_RENAME_EXCHANGE) || rename->types[1] != VM_MODE_DIRECTORY)
        return 0;
    int found = is_above(ctx, rename->ids[1], rename->ends[0].dir_id);
    return found > 0 ? vm_raise(&ctx->err, VMFS_R_OVER_ANCESTOR, rename->ids[1]) : found;
}

/* What is moved must not be above where it goes, nor below what it replaces. */
static int check_cycles(struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    int result = 0;
    if (rename->types[0] == VM_MODE_DIRECTORY)
        result = check_not_above(ctx, rename->ids[0], rename->ends[1].dir_id);
    if (result == 0 && (rename->flags & VM_RENAME_EXCHANGE) &&
        rename->types[1] == VM_MODE_DIRECTORY)
        result = check_not_above(ctx, rename->ids[1], rename->ends[0].dir_id);
    return result ? result : check_over_ancestor(rename);
}

static bool is_file_over_directory(const struct rename *rename)
{
    return !(rename->flags & VM_RENAME_EXCHANGE) && rename->types[0] != VM_MODE_DIRECTORY &&
           rename->types[1] == VM_MODE_DIRECTORY;
}

/* What Linux says before it looks at anything else. A file over a directory fails in any case, so that
 * the way up need not hold still. */
static int check_target(struct rename *rename)
{
    if (rename->ids[1] && (rename->flags & VM_RENAME_NOREPLACE))
        return vm_name_exists(rename->ctx, rename->ids[1]);
    return is_file_over_directory(rename) ? check_over_ancestor(rename) : 0;
}

static int rename_begun(struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    const struct vm_platform *platform = ctx->region->platform;
    bool needs_lock = moves_directory(rename);
    int result = check_target(rename);
    if (result)
        return result;
    if (needs_lock) {
        VM_SHARED(&ctx->io, vm_lock_take(&ctx->itable->rename_lock, platform)); /* R1 */
        result = check_cycles(rename);
    }
    if (result == 0) {
        const uint64_t ids[4] = {rename->ends[0].dir_id, rename->ends[1].dir_id, rename->ids[0],
                                 rename->ids[1]};
        vm_lock_inodes(ctx, ids, 4);
        result = rename_locked(rename);
        vm_unlock_inodes(ctx);
    }
    if (needs_lock)
        vm_lock_release(&ctx->itable->rename_lock, platform);
    return result;
}

/* With the directories locked, most renames can look once and lock what they found: 1 and nothing is changed
 * if this one cannot. Directories change their parents only in the long way, which has the rename lock (R1). */
static int rename_quick(struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    int result = find_both(rename, rename->ids);
    for (unsigned end = 0; result == 0 && end < 2; end++)
        rename->types[end] = rename->ids[end] ? vm_dir_hit_type(&rename->hits[end]) : 0;
    if (result == 0)
        result = check_missing(rename);
    if (result)
        return result;
    if (moves_directory(rename) || is_file_over_directory(rename))
        return 1;
    for (unsigned end = 0; end < 2; end++)
        if (rename->ids[end] && !vm_lock_another(ctx, rename->ids[end]))
            return 1;
    result = check_target(rename);
    return result ? result : rename_found(rename);
}

static int rename_first(struct rename *rename)
{
    struct vm_ctx *ctx = rename->ctx;
    const uint64_t ids[2] = {rename->ends[0].dir_id, rename->ends[1].dir_id};
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    vm_lock_inodes(ctx, ids, 2);
    result = rename_quick(rename);
    vm_unlock_inodes(ctx);
    vm_tx_end(ctx);
    return result;
}

int vm_name_rename(struct vm_ctx *ctx, struct vm_end from, struct vm_end to, uint32_t flags)
{
    struct rename rename = {.ctx = ctx, .ends = {from, to}, .flags = flags};
    int result = rename_first(&rename);
    while (result > 0) {
        result = look_up(&rename);
        if (result == 0)
            result = vm_tx_begin(ctx);
        if (result)
            return result;
        result = rename_begun(&rename);
        vm_tx_end(ctx);
    }
    if (result == 0 && rename.rest)
        result = vm_reap(ctx, rename.child[1].id); /* O2 */
    return result;
}
