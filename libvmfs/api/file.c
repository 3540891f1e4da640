/* file.c -- opening and closing files, and calls on a whole open file */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/map.h"
#include "api/public.h"
#include "inode/open.h"
#include "inode/reap.h"
#include "name/nsop.h"
#include "name/path.h"

#define OPEN_FLAGS                                                                                 \
    (VMFS_O_ACCMODE | VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_TRUNC | VMFS_O_APPEND |                  \
     VMFS_O_NOFOLLOW | VMFS_O_DSYNC | VMFS_O_SYNC | VMFS_O_NOATIME | VMFS_O_TMPFILE |              \
     VMFS_O_ATOMIC | VMFS_O_KILL_PRIV | VMFS_O_NOCTTY | VMFS_O_NONBLOCK | VMFS_O_DIRECT |          \
     VMFS_O_LARGEFILE | VMFS_O_CLOEXEC)

struct open_call {
    struct vmfs_at at;
    int flags;
    uint32_t mode;
    struct vm_opening opening;
};

static bool is_tmpfile(int flags)
{
    return (flags & VMFS_O_TMPFILE) == VMFS_O_TMPFILE;
}

static int cannot_be_file(struct vm_ctx *ctx, uint64_t where)
{
    return vm_raise(&ctx->err, VMFS_R_CREATE_DIRECTORY, where);
}

/* A name with a '/' behind it cannot become a file, whatever it stands for. */
static int check_no_slash(struct vm_ctx *ctx, const struct vmfs_at *at)
{
    struct vm_place place;
    size_t len_bytes = strnlen(at->path, VMFS_PATH_MAX + 1);
    if (len_bytes == 0 || len_bytes > VMFS_PATH_MAX || at->path[len_bytes - 1] != '/')
        return 0;
    int result = vm_at_parent(ctx, at, &place);
    if (result || place.name.len_bytes == 0)
        return result;
    return cannot_be_file(ctx, place.id);
}

/* Makes what a walk has not found. */
static int create_at(struct vm_ctx *ctx, struct open_call *call, struct vm_place *place)
{
    if (place->is_directory_wanted) /* by a symbolic link */
        return cannot_be_file(ctx, place->parent);
    const struct vm_new new = {
        .mode = VMFS_S_IFREG | call->mode, .handles = 1, .miss = &place->miss};
    int result = vm_name_create(ctx, place->parent, place->name, &new, &call->opening.id);
    call->opening.is_acquired = result == 0;
    if (result == -VMFS_R_EXISTS && !(call->flags & VMFS_O_EXCL))
        return -VMFS_R_INODE_STALE; /* somebody was faster: look again */
    return result ? result : 1;
}

/* Finds the file, or makes it: 1 if it was made, and is open. */
static int find_or_create(struct vm_ctx *ctx, struct open_call *call)
{
    struct vm_place place;
    bool may_create = call->flags & VMFS_O_CREAT;
    bool is_exclusive = may_create && (call->flags & VMFS_O_EXCL);
    bool is_followed = !(call->flags & VMFS_O_NOFOLLOW) && !is_exclusive;
    if (!may_create)
        return vm_at_resolve(ctx, &call->at, is_followed, &call->opening.id);
    int result = check_no_slash(ctx, &call->at);
    if (result)
        return result;
    if (*call->at.path == '\0' && call->at.dir != VM_ID_NONE) {
        call->opening.id = vm_at_start(&call->at);
        return is_exclusive ? vm_name_exists(ctx, call->opening.id) : 0;
    }
    enum vm_walk how = is_followed ? VM_WALK_FOLLOW : VM_WALK_NOFOLLOW;
    result = vm_path_walk(ctx, vm_at_start(&call->at), call->at.path, how, &place);
    if (result)
        return result;
    call->opening.id = place.id;
    if (place.id)
        return is_exclusive ? vm_name_exists(ctx, place.id) : 0;
    return create_at(ctx, call, &place);
}

static uint32_t open_how(int flags)
{
    return (vm_may_write(flags) ? VM_OPEN_WRITE : 0) |
           (flags & VMFS_O_APPEND ? VM_OPEN_APPEND : 0) |
           (flags & VMFS_O_TRUNC ? VM_OPEN_TRUNCATE : 0);
}

int vm_opening_acquire(struct vm_ctx *ctx, struct vm_opening *opening, uint32_t how)
{
    int result = vm_open_acquire(ctx, opening->id, how);
    opening->is_acquired = result == 0;
    return result;
}

static void opening_undo(struct vm_ctx *ctx, struct vm_opening *opening)
{
    bool is_dead;
    (void)vm_open_release(ctx, opening->id, &is_dead);
    opening->is_acquired = false;
    if (is_dead)
        (void)vm_reap(ctx, opening->id);
}

static int64_t undo_body(struct vm_ctx *ctx, void *arg)
{
    opening_undo(ctx, arg);
    return 0;
}

void vm_opening_end(struct vmfs *fs, struct vm_opening *opening, int64_t result)
{
    if (result && opening->is_acquired)
        (void)vm_call(fs, false, undo_body, opening);
    if (result == 0)
        vm_handles_add(fs, 1);
}

static int64_t open_call_body(struct vm_ctx *ctx, void *arg)
{
    struct open_call *call = arg;
    int made = find_or_create(ctx, call);
    if (made)
        return made < 0 ? made : 0;
    uint32_t how = open_how(call->flags);
    int result = vm_opening_acquire(ctx, &call->opening, how);
    if (result || !(how & VM_OPEN_TRUNCATE))
        return result;
    const struct vm_attr empty = {.mask = VM_ATTR_SIZE |
                                          (call->flags & VMFS_O_KILL_PRIV ? VM_ATTR_KILL_PRIV : 0)};
    result = vm_attr_set(ctx, call->opening.id, &empty);
    if (result)
        opening_undo(ctx, &call->opening);
    return result;
}

static int64_t tmpfile_body(struct vm_ctx *ctx, void *arg)
{
    struct open_call *call = arg;
    uint64_t dir_id;
    const struct vm_new new = {.mode = VMFS_S_IFREG | call->mode,
                               .handles = 1,
                               .is_nameless = true,
                               .is_linkable = !(call->flags & VMFS_O_EXCL)};
    bool is_followed = !(call->flags & VMFS_O_NOFOLLOW);
    int result = vm_at_resolve(ctx, &call->at, is_followed, &dir_id);
    if (result == 0)
        result = vm_name_tmpfile(ctx, dir_id, &new, &call->opening.id);
    call->opening.is_acquired = result == 0;
    return result;
}

/* The bit of VMFS_O_TMPFILE that means a directory says nothing alone: only files are opened here. */
static bool open_flags_are_sound(int flags, uint32_t mode)
{
    bool is_creating = flags & (VMFS_O_CREAT | VMFS_O_TMPFILE);
    if ((flags & ~OPEN_FLAGS) || (flags & VMFS_O_ACCMODE) == VMFS_O_ACCMODE ||
        (is_creating && (mode & ~VM_MODE_BITS)))
        return false;
    if (!(flags & VMFS_O_TMPFILE))
        return true;
    return is_tmpfile(flags) && vm_may_write(flags) && !(flags & VMFS_O_CREAT);
}

int vmfs_file_open_at(struct vmfs *fs, struct vmfs_at at, int flags, uint32_t mode,
                      struct vmfs_file **out)
{
    if (!fs || !at.path || !out || !open_flags_are_sound(flags, mode))
        return (int)vm_bad_argument();
    struct vmfs_file *file = calloc(1, sizeof *file);
    struct open_call call = {.at = at, .flags = flags, .mode = mode};
    bool is_change = vm_may_write(flags) || (flags & (VMFS_O_CREAT | VMFS_O_TRUNC));
    vm_call_fn body = is_tmpfile(flags) ? tmpfile_body : open_call_body;
    int64_t result = -ENOMEM;
    if (file)
        result = vm_call_at(fs, is_change,
                            (struct vm_at_call){.at = &call.at, .body = body, .arg = &call});
    vm_opening_end(fs, &call.opening, result);
    if (result) {
        free(file);
        return (int)result;
    }
    file->fs = fs;
    file->id = call.opening.id;
    file->flags = flags;
    *out = file;
    return 0;
}

int vmfs_file_open(struct vmfs *fs, const char *path, int flags, uint32_t mode,
                   struct vmfs_file **out)
{
    return vmfs_file_open_at(fs, vm_at_path(path), flags, mode, out);
}

uint64_t vmfs_file_ino(const struct vmfs_file *file)
{
    return file ? file->id : 0;
}

struct close_call {
    const struct vmfs *fs;
    uint64_t id;
};

static int64_t close_body(struct vm_ctx *ctx, void *arg)
{
    const struct close_call *call = arg;
    bool is_dead;
    int result = vm_open_release(ctx, call->id, &is_dead);
    return result == 0 && is_dead && vm_may_reap(call->fs) ? vm_reap(ctx, call->id) : result;
}

int64_t vm_handle_close(struct vmfs *fs, uint64_t id)
{
    struct close_call call = {.fs = fs, .id = id};
    if (vm_is_forked(fs))
        return 0;
    int64_t result = vm_call(fs, false, close_body, &call);
    vm_handles_add(fs, (uint64_t)-1);
    return result;
}

int vmfs_file_close(struct vmfs_file *file)
{
    if (!file)
        return (int)vm_bad_argument();
    int viewing = vm_views_check(file->fs);
    if (viewing)
        return viewing;
    int64_t result = vm_handle_close(file->fs, file->id);
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
    return vm_views_check(file->fs);
}
