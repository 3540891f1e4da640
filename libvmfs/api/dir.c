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
    call.opening.fresh = calloc(1, sizeof *call.opening.fresh);
    int64_t result = -ENOMEM;
    if (dir && call.opening.fresh)
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
    int64_t result = vm_handle_close(dir->fs, dir->id);
    free(dir);
    return (int)result;
}

struct read_call {
    const struct vmfs_dir *dir;
    struct vm_dirent entry;
};

static int64_t read_body(struct vm_ctx *ctx, void *arg)
{
    struct read_call *call = arg;
    return vm_dir_next(ctx, call->dir->id, call->dir->cookie, &call->entry);
}

int vmfs_dir_read(struct vmfs_dir *dir, struct vmfs_dirent *out)
{
    if (!dir || !out)
        return (int)vm_bad_argument();
    struct read_call call;
    call.dir = dir;
    int64_t result = vm_call(dir->fs, false, read_body, &call);
    if (result <= 0)
        return (int)result;
    const struct vm_dirent *entry = &call.entry;
    out->ino = entry->id;
    out->cookie = entry->cookie;
    out->type = entry->mode_type;
    out->name_bytes = entry->name_bytes;
    memcpy(out->name, entry->name, entry->name_bytes);
    out->name[entry->name_bytes] = '\0';
    dir->cookie = entry->cookie;
    return 1;
}

int vmfs_dir_seek(struct vmfs_dir *dir, uint64_t cookie)
{
    if (!dir)
        return (int)vm_bad_argument();
    if (vm_is_forked(dir->fs))
        return -ESTALE;
    dir->cookie = cookie;
    return 0;
}
