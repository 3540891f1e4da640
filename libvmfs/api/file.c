/* file.c -- opening and closing files, and calls on a whole open file */
#include <errno.h>
#include <stdlib.h>

#include "api/map.h"
#include "api/public.h"
#include "inode/open.h"
#include "inode/reap.h"
#include "name/nsop.h"
#include "name/path.h"

#define OPEN_FLAGS                                                                                 \
    (VMFS_O_ACCMODE | VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_TRUNC | VMFS_O_APPEND | VMFS_O_NOFOLLOW)

struct open_call {
    const char *path;
    int flags;
    uint32_t mode;
    struct vm_open *fresh;
    bool is_fresh_used;
    bool is_acquired;
    uint64_t id;
};

/* Finds the file, or makes it: 1 if it was made. */
static int find_or_create(struct vm_ctx *ctx, struct open_call *call)
{
    struct vm_place place;
    bool is_exclusive = (call->flags & VMFS_O_CREAT) && (call->flags & VMFS_O_EXCL);
    bool is_followed = !(call->flags & VMFS_O_NOFOLLOW) && !is_exclusive;
    enum vm_walk how = is_followed ? VM_WALK_FOLLOW : VM_WALK_NOFOLLOW;
    int result = vm_path_walk(ctx, VM_ROOT_ID, call->path, how, &place);
    if (result)
        return result;
    call->id = place.id;
    if (place.id)
        return is_exclusive ? vm_name_exists(ctx, place.id) : 0;
    if (!(call->flags & VMFS_O_CREAT))
        return vm_path_missing(ctx);
    if (place.is_directory_wanted)
        return vm_raise(&ctx->err, VMFS_R_CREATE_DIRECTORY, 0);
    const struct vm_new new = {.mode = VMFS_S_IFREG | call->mode};
    result = vm_name_create(ctx, place.parent, place.name, &new, &call->id);
    if (result == -VMFS_R_EXISTS && !is_exclusive)
        return -VMFS_R_INODE_STALE; /* somebody was faster: look again */
    return result ? result : 1;
}

/* Another opener may share the entry by now, or the entry may be another opener's and ours the last
 * handle: whatever was unlisted is freed, once. */
static void open_undo(struct vm_ctx *ctx, struct open_call *call)
{
    struct vm_open *freed;
    bool is_dead;
    (void)vm_open_release(ctx, call->id, &freed, &is_dead);
    if (freed == call->fresh)
        call->is_fresh_used = false;
    else
        free(freed);
    if (is_dead)
        (void)vm_reap(ctx, call->id);
}

/* The call failed although its body did not: a guard saw a loss. */
static int64_t undo_body(struct vm_ctx *ctx, void *arg)
{
    open_undo(ctx, arg);
    return 0;
}

static int64_t open_call_body(struct vm_ctx *ctx, void *arg)
{
    struct open_call *call = arg;
    int made = find_or_create(ctx, call);
    if (made < 0)
        return made;
    int result = vm_open_acquire(ctx, call->id, call->fresh, &call->is_fresh_used);
    call->is_acquired = result == 0;
    if (result || made || !(call->flags & VMFS_O_TRUNC))
        return result;
    const struct vm_attr empty = {.mask = VM_ATTR_SIZE};
    result = vm_attr_set(ctx, call->id, &empty);
    if (result)
        open_undo(ctx, call);
    call->is_acquired = result == 0;
    return result;
}

static bool open_flags_are_sound(int flags, uint32_t mode)
{
    bool is_mode = !(flags & VMFS_O_CREAT) || !(mode & ~VM_MODE_BITS);
    bool is_truncating_reader = (flags & VMFS_O_TRUNC) && !vm_may_write(flags);
    return !(flags & ~OPEN_FLAGS) && (flags & VMFS_O_ACCMODE) != VMFS_O_ACCMODE && is_mode &&
           !is_truncating_reader;
}

int vmfs_file_open(struct vmfs *fs, const char *path, int flags, uint32_t mode,
                   struct vmfs_file **out)
{
    if (!fs || !path || !out || !open_flags_are_sound(flags, mode))
        return (int)vm_bad_argument();
    struct vmfs_file *file = calloc(1, sizeof *file);
    struct vm_open *fresh = calloc(1, sizeof *fresh);
    struct open_call call = {.path = path, .flags = flags, .mode = mode, .fresh = fresh};
    bool is_change = vm_may_write(flags) || (flags & VMFS_O_CREAT);
    int64_t result = -ENOMEM;
    if (file && fresh)
        result = vm_call(fs, is_change, open_call_body, &call);
    if (result && call.is_acquired)
        (void)vm_call(fs, false, undo_body, &call);
    if (!call.is_fresh_used)
        free(fresh);
    if (result) {
        free(file);
        return (int)result;
    }
    file->fs = fs;
    file->id = call.id;
    file->flags = flags;
    vm_handles_add(fs, 1);
    *out = file;
    return 0;
}

struct close_call {
    const struct vmfs *fs;
    uint64_t id;
    struct vm_open *freed;
};

static int64_t close_body(struct vm_ctx *ctx, void *arg)
{
    struct close_call *call = arg;
    bool is_dead;
    int result = vm_open_release(ctx, call->id, &call->freed, &is_dead);
    bool may_reap = !call->fs->is_read_only && !atomic_load(&call->fs->is_damaged);
    return result == 0 && is_dead && may_reap ? vm_reap(ctx, call->id) : result;
}

int vmfs_file_close(struct vmfs_file *file)
{
    if (!file)
        return (int)vm_bad_argument();
    struct vmfs *fs = file->fs;
    struct close_call call = {.fs = fs, .id = file->id};
    int64_t result = 0;
    if (!vm_is_forked(fs)) {
        result = vm_call(fs, false, close_body, &call);
        vm_handles_add(fs, (uint64_t)-1);
    }
    free(call.freed);
    free(file);
    return (int)result;
}

struct attr_call {
    struct vmfs_file *file;
    struct vmfs_stat *stat;
    const struct vmfs_attr *attr;
};

static int64_t file_stat_call(struct vm_ctx *ctx, void *arg)
{
    const struct attr_call *call = arg;
    return vm_public_stat(ctx, call->file->id, call->stat);
}

int vmfs_file_stat(struct vmfs_file *file, struct vmfs_stat *out)
{
    if (!file || !out)
        return (int)vm_bad_argument();
    struct attr_call call = {.file = file, .stat = out};
    return (int)vm_call(file->fs, false, file_stat_call, &call);
}

static int64_t file_setattr_call(struct vm_ctx *ctx, void *arg)
{
    const struct attr_call *call = arg;
    struct vm_attr attr;
    int result = vm_public_attr(ctx, call->attr, &attr);
    if (result == 0 && (attr.mask & VM_ATTR_SIZE) && !vm_may_write(call->file->flags))
        result = vm_bad_handle(ctx, call->file);
    return result ? result : vm_attr_set(ctx, call->file->id, &attr);
}

int vmfs_file_setattr(struct vmfs_file *file, const struct vmfs_attr *attr)
{
    if (!file || !attr)
        return (int)vm_bad_argument();
    struct attr_call call = {.file = file, .attr = attr};
    return (int)vm_call(file->fs, true, file_setattr_call, &call);
}

int vmfs_file_truncate(struct vmfs_file *file, uint64_t size)
{
    const struct vmfs_attr attr = {.mask = VMFS_ATTR_SIZE, .size = size};
    return vmfs_file_setattr(file, &attr);
}

int vmfs_file_sync(struct vmfs_file *file)
{
    if (!file)
        return (int)vm_bad_argument();
    if (vm_is_forked(file->fs) || file->fs->durability == VMFS_DURABILITY_PROCESS)
        return vmfs_sync(file->fs);
    return 0;
}
