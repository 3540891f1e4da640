/* dir.c -- open directories */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/public.h"
#include "inode/open.h"
#include "name/dir.h"

struct vmfs_dir {
    struct vmfs *fs;
    uint64_t id;
    uint64_t cookie;
};

struct dir_call {
    struct vmfs_at at;
    struct vm_opening opening;
};

static int64_t open_body(struct vm_ctx *ctx, void *arg)
{
    struct dir_call *call = arg;
    int result = vm_at_resolve(ctx, &call->at, true, &call->opening.id);
    return result ? result : vm_opening_acquire(ctx, &call->opening, VM_OPEN_DIRECTORY);
}

int vmfs_dir_open_at(struct vmfs *fs, struct vmfs_at at, struct vmfs_dir **out)
{
    if (!fs || !at.path || !out)
        return (int)vm_bad_argument();
    struct vmfs_dir *dir = malloc(sizeof *dir);
    struct dir_call call = {.at = at};
    int64_t result = -ENOMEM;
    if (dir)
        result = vm_call_at(fs, false,
                            (struct vm_at_call){.at = &call.at, .body = open_body, .arg = &call});
    vm_opening_end(fs, &call.opening, result);
    if (result) {
        free(dir);
        return (int)result;
    }
    *dir = (struct vmfs_dir){.fs = fs, .id = call.opening.id};
    *out = dir;
    return 0;
}

int vmfs_dir_open(struct vmfs *fs, const char *path, struct vmfs_dir **out)
{
    return vmfs_dir_open_at(fs, vm_at_path(path), out);
}

uint64_t vmfs_dir_ino(const struct vmfs_dir *dir)
{
    return dir ? dir->id : 0;
}

int vmfs_dir_close(struct vmfs_dir *dir)
{
    if (!dir)
        return (int)vm_bad_argument();
    int viewing = vm_views_check(dir->fs);
    if (viewing)
        return viewing;
    int64_t result = vm_handle_close(dir->fs, dir->id);
    free(dir);
    return (int)result;
}

struct read_call {
    struct vmfs_at at; /* the directory */
    uint64_t cookie;
    struct vm_dirent entry;
    struct vmfs_stat *stat; /* of the entry's inode, which is held; or null */
};

static int64_t read_body(struct vm_ctx *ctx, void *arg)
{
    struct read_call *call = arg;
    return vm_dir_next(ctx, vm_at_start(&call->at), call->cookie, &call->entry);
}

static void fill_entry(const struct vm_dirent *entry, struct vmfs_dirent *out)
{
    out->ino = entry->id;
    out->cookie = entry->cookie;
    out->type = entry->mode_type;
    out->name_bytes = entry->name_bytes;
    memcpy(out->name, entry->name, entry->name_bytes);
    out->name[entry->name_bytes] = '\0';
}

int vmfs_dir_read(struct vmfs_dir *dir, struct vmfs_dirent *out)
{
    if (!dir || !out)
        return (int)vm_bad_argument();
    struct read_call call;
    call.at = vmfs_at(dir->id, "");
    call.cookie = dir->cookie;
    int64_t result = vm_call(dir->fs, false, read_body, &call);
    if (result <= 0)
        return (int)result;
    fill_entry(&call.entry, out);
    dir->cookie = out->cookie;
    return 1;
}

static bool is_dots(const struct vm_dirent *entry)
{
    return entry->cookie <= VM_COOKIE_DOTDOT;
}

/* An entry whose inode dies before it is held was removed: the one behind it is looked for (vm_call()). */
static int64_t read_at_body(struct vm_ctx *ctx, void *arg)
{
    struct read_call *call = arg;
    struct vm_stat stat;
    int64_t more = read_body(ctx, arg);
    if (more == 0) /* the end of a directory, or no directory any more */
        return vm_open_check(ctx, vm_at_start(&call->at));
    if (more < 0 || !call->stat)
        return more;
    int64_t result;
    if (is_dots(&call->entry))
        result = vm_public_stat(ctx, call->entry.id, call->stat);
    else
        result = vm_open_hold(ctx, call->entry.id, &stat);
    if (result == 0 && !is_dots(&call->entry))
        vm_public_fill(&stat, call->stat);
    return result ? result : more;
}

int vmfs_dir_read_at(struct vmfs *fs, uint64_t dir, uint64_t cookie, struct vmfs_dirent *entry,
                     struct vmfs_stat *stat)
{
    if (!fs || !entry)
        return (int)vm_bad_argument();
    struct read_call call;
    call.at = vmfs_at(dir, "");
    call.cookie = cookie;
    call.stat = stat;
    int64_t result = vm_call_at(
        fs, false, (struct vm_at_call){.at = &call.at, .body = read_at_body, .arg = &call});
    if (result > 0)
        fill_entry(&call.entry, entry);
    return (int)result;
}

int vmfs_dir_seek(struct vmfs_dir *dir, uint64_t cookie)
{
    if (!dir)
        return (int)vm_bad_argument();
    if (vm_is_forked(dir->fs))
        return -ESTALE;
    int viewing = vm_views_check(dir->fs);
    if (viewing == 0)
        dir->cookie = cookie;
    return viewing;
}
