/* dir.c -- open directories */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/handle.h"
#include "name/path.h"

struct vmfs_dir {
    struct vmfs *fs;
    uint64_t id;
    uint64_t cookie;
};

struct dir_call {
    const char *path;
    struct vmfs_dir *dir;
    struct vm_dirent entry;
    uint64_t id;
};

static int64_t open_body(struct vm_ctx *ctx, void *arg)
{
    struct dir_call *call = arg;
    struct vm_place place;
    int result = vm_path_walk(ctx, VM_ROOT_ID, call->path, VM_WALK_FOLLOW, &place);
    if (result)
        return result;
    if (place.id == 0)
        return vm_path_missing(ctx);
    if (place.mode_type != VM_MODE_DIRECTORY)
        return vm_raise(&ctx->err, VMFS_R_OPENDIR_FILE, place.id);
    call->id = place.id;
    return 0;
}

int vmfs_dir_open(struct vmfs *fs, const char *path, struct vmfs_dir **out)
{
    if (!fs || !path || !out)
        return (int)vm_bad_argument();
    struct dir_call call = {.path = path};
    int64_t result = vm_call(fs, false, open_body, &call);
    if (result)
        return (int)result;
    struct vmfs_dir *dir = malloc(sizeof *dir);
    if (!dir)
        return -ENOMEM;
    *dir = (struct vmfs_dir){.fs = fs, .id = call.id};
    vm_handles_add(fs, 1);
    *out = dir;
    return 0;
}

int vmfs_dir_close(struct vmfs_dir *dir)
{
    if (!dir)
        return (int)vm_bad_argument();
    if (!vm_is_forked(dir->fs))
        vm_handles_add(dir->fs, (uint64_t)-1);
    free(dir);
    return 0;
}

static int64_t read_body(struct vm_ctx *ctx, void *arg)
{
    struct dir_call *call = arg;
    return vm_dir_next(ctx, call->dir->id, call->dir->cookie, &call->entry);
}

int vmfs_dir_read(struct vmfs_dir *dir, struct vmfs_dirent *out)
{
    if (!dir || !out)
        return (int)vm_bad_argument();
    struct dir_call call;
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
