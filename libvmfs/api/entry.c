/* entry.c -- names and ids for those who remember inodes by id, as the kernel does: looking up, making, holding */
#include <string.h>

#include "api/public.h"
#include "inode/open.h"
#include "inode/reap.h"
#include "name/nsop.h"
#include "name/path.h"

struct entry_call {
    const struct vmfs *fs;
    struct vmfs_at at;
    uint64_t count;
    struct vm_new new;
    struct vm_stat stat;
};

static int64_t run(struct vmfs *fs, bool is_change, vm_call_fn body, struct entry_call *call)
{
    return vm_call_at(fs, is_change,
                      (struct vm_at_call){.at = &call->at, .body = body, .arg = call});
}

/* ---- holding ---- */

static int64_t hold_call(struct vm_ctx *ctx, void *arg)
{
    const struct entry_call *call = arg;
    return vm_open_hold(ctx, vm_at_start(&call->at), NULL);
}

int vmfs_hold(struct vmfs *fs, uint64_t ino)
{
    if (!fs)
        return (int)vm_bad_argument();
    struct entry_call call = {.at = vmfs_at(ino, "")};
    return (int)run(fs, false, hold_call, &call);
}

static int64_t release_call(struct vm_ctx *ctx, void *arg)
{
    const struct entry_call *call = arg;
    uint64_t id = vm_at_start(&call->at);
    bool is_dead;
    int result = vm_open_unhold(ctx, id, call->count, &is_dead);
    return result == 0 && is_dead && vm_may_reap(call->fs) ? vm_reap(ctx, id) : result;
}

int vmfs_release(struct vmfs *fs, uint64_t ino, uint64_t count)
{
    if (!fs || count == 0)
        return (int)vm_bad_argument();
    struct entry_call call = {.fs = fs, .at = vmfs_at(ino, ""), .count = count};
    return (int)vm_call(fs, false, release_call, &call);
}

/* ---- looking up ---- */

/* What dies between the walk and the hold is looked for again (vm_call()). */
static int64_t lookup_call(struct vm_ctx *ctx, void *arg)
{
    struct entry_call *call = arg;
    uint64_t id;
    int result = vm_at_resolve(ctx, &call->at, false, &id);
    return result ? result : vm_open_hold(ctx, id, &call->stat);
}

int vmfs_lookup(struct vmfs *fs, struct vmfs_at at, struct vmfs_stat *out)
{
    if (!fs || !at.path || !out)
        return (int)vm_bad_argument();
    struct entry_call call = {.at = at};
    int result = (int)run(fs, false, lookup_call, &call);
    if (result == 0)
        vm_public_fill(&call.stat, out);
    return result;
}

/* ---- making ---- */

static int64_t make_call(struct vm_ctx *ctx, void *arg)
{
    struct entry_call *call = arg;
    call->new.stat = &call->stat;
    return vm_make_at(ctx, &call->at, &call->new);
}

int vmfs_make(struct vmfs *fs, struct vmfs_at at, const struct vmfs_make *what,
              struct vmfs_stat *out)
{
    struct entry_call call = {.at = at};
    if (!fs || !at.path || !what || !out || !vm_make_is_sound(what, &call.new))
        return (int)vm_bad_argument();
    call.new.holds = 1;
    int result = (int)run(fs, true, make_call, &call);
    if (result == 0)
        vm_public_fill(&call.stat, out);
    return result;
}
