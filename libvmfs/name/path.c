/* path.c -- walking paths
 *
 * A path is walked component by component without a lock; each lookup is consistent in itself. When a
 * symbolic link is met, its target and the rest of the path become the new path, in one of two
 * buffers in turn. */
#include "name/path.h"

#include <string.h>

#include "inode/acl.h"
#include "inode/atime.h"
#include "inode/data.h"
#include "inode/table.h"

int vm_path_missing(struct vm_ctx *ctx)
{
    return vm_raise(&ctx->err, VMFS_R_NOT_FOUND, 0);
}

int vm_path_not_directory(struct vm_ctx *ctx, uint64_t id)
{
    return vm_raise(&ctx->err, VMFS_R_PATH_NOT_DIRECTORY, id);
}

static int too_long(struct vm_ctx *ctx, uint64_t len_bytes)
{
    return vm_raise(&ctx->err, VMFS_R_NAME_TOO_LONG, len_bytes);
}

struct link_read {
    uint64_t id;
    char *buffer;
    uint64_t size;
    struct vm_inode inode;
};

static int64_t link_body(struct vm_ctx *ctx, void *arg)
{
    struct link_read *link = arg;
    const struct vm_inode *inode = &link->inode;
    int result = vm_inode_load(ctx, link->id, &link->inode);
    if (result)
        return result;
    if (inode->m.kind != VM_INODE_SYMLINK)
        return vm_raise(&ctx->err, VMFS_R_NOT_A_SYMLINK, link->id);
    uint64_t len_bytes = vm_inode_size(inode);
    uint64_t count = len_bytes < link->size ? len_bytes : link->size;
    if (inode->m.form == VM_BODY_BYTES) {
        if (count) /* the buffer may be null */
            memcpy(link->buffer, inode->m.body.bytes, count);
        return (int64_t)len_bytes;
    }
    int64_t copied = vm_data_read(ctx, inode, link->buffer, count, 0);
    return copied < 0 ? copied : (int64_t)len_bytes;
}

int64_t vm_symlink_read(struct vm_ctx *ctx, uint64_t id, char *buffer, uint64_t size, bool is_use)
{
    struct link_read link = {.id = id, .buffer = buffer, .size = size};
    int64_t result = vm_read_stable(ctx, id, link_body, &link);
    if (result >= 0 && is_use)
        vm_atime_touch(ctx, &link.inode);
    return result;
}

/* A walk on its way. */
struct walk {
    struct vm_ctx *ctx;
    struct vm_place *place;
    const char *rest;
    enum vm_walk how;
    unsigned links;
    unsigned buffer; /* the one that may be written next */
};

/* Puts the target of the link that was just met in front of the rest. */
static int splice_link(struct walk *walk, uint64_t link_id)
{
    struct vm_ctx *ctx = walk->ctx;
    if (++walk->links > VM_SYMLINKS_MAX)
        return vm_raise(&ctx->err, VMFS_R_SYMLINK_LOOP, link_id);
    char *buffer = walk->place->buffer[walk->buffer];
    int64_t len_bytes = vm_symlink_read(ctx, link_id, buffer, VM_PATH_MAX, false);
    if (len_bytes < 0)
        return (int)len_bytes;
    uint64_t rest_bytes = strlen(walk->rest);
    if ((uint64_t)len_bytes + rest_bytes > VM_PATH_MAX)
        return too_long(ctx, (uint64_t)len_bytes + rest_bytes);
    memcpy(buffer + len_bytes, walk->rest, rest_bytes + 1);
    walk->rest = buffer;
    walk->buffer ^= 1;
    if (*walk->rest == '/')
        walk->place->parent = VM_ROOT_ID;
    return 0;
}

static struct vm_name next_component(const char **rest)
{
    const char *at = *rest;
    while (*at == '/')
        at++;
    const char *end = at;
    while (*end && *end != '/')
        end++;
    *rest = end;
    return (struct vm_name){(const uint8_t *)at, (uint32_t)(end - at)};
}

static bool has_more(const char *rest)
{
    while (*rest == '/')
        rest++;
    return *rest != '\0';
}

static bool is_dots(struct vm_name name)
{
    return name.len_bytes <= 2 && memcmp(name.bytes, "..", name.len_bytes) == 0;
}

struct search {
    uint64_t id;
    const struct vm_cred *cred;
};

/* What is no directory is the lookup's to refuse. */
static int64_t search_body(struct vm_ctx *ctx, void *arg)
{
    const struct search *search = arg;
    struct vm_inode inode;
    int result = vm_inode_load(ctx, search->id, &inode);
    if (result || !vm_inode_is_directory(&inode))
        return result;
    return vm_acl_check(ctx, &inode, search->cred, VM_MAY_EXECUTE);
}

static int check_search(struct vm_ctx *ctx, uint64_t id)
{
    struct search search = {.id = id, .cred = ctx->cred};
    return ctx->cred ? (int)vm_read_stable(ctx, id, search_body, &search) : 0;
}

/* One component: 1 to go on below what it names, 0 if the walk is at its end, or a reason. */
static int step(struct walk *walk)
{
    struct vm_place *place = walk->place;
    struct vm_ctx *ctx = walk->ctx;
    struct vm_name name = next_component(&walk->rest);
    int denied = check_search(ctx, place->parent);
    if (denied)
        return denied;
    if (name.len_bytes > VMFS_NAME_MAX)
        return too_long(ctx, name.len_bytes);
    bool is_last = !has_more(walk->rest);
    place->is_directory_wanted = *walk->rest == '/';
    place->name = name;
    if (is_last && walk->how == VM_WALK_PARENT && !place->is_directory_wanted && !is_dots(name))
        return 0;
    uint64_t id = 0;
    uint32_t type = 0;
    int found = vm_dir_look_for(ctx, place->parent, name, &id, &type, &place->miss);
    if (found < 0)
        return found;
    if (!found && !is_last)
        return vm_path_missing(ctx);
    bool is_link = found && type == VM_MODE_SYMLINK;
    bool is_followed = !is_last || walk->how == VM_WALK_FOLLOW ||
                       (walk->how == VM_WALK_NOFOLLOW && place->is_directory_wanted);
    if (is_link && is_followed) {
        int result = splice_link(walk, id);
        return result ? result : 1;
    }
    if (!is_last) {
        place->parent = id;
        return 1;
    }
    place->id = found ? id : 0;
    place->mode_type = type;
    if (is_dots(name))
        place->name.len_bytes = 0;
    return 0;
}

static int walk_all(struct walk *walk)
{
    struct vm_place *place = walk->place;
    int more = 1;
    while (more > 0) {
        if (!has_more(walk->rest)) {
            place->id = place->parent;
            place->mode_type = VM_MODE_DIRECTORY;
            place->name.len_bytes = 0;
            return 0;
        }
        more = step(walk);
    }
    return more;
}

int vm_path_walk(struct vm_ctx *ctx, uint64_t start, const char *path, enum vm_walk how,
                 struct vm_place *out)
{
    uint64_t len_bytes = strnlen(path, VM_PATH_MAX + 1);
    if (len_bytes > VM_PATH_MAX)
        return too_long(ctx, len_bytes);
    if (len_bytes == 0)
        return vm_raise(&ctx->err, VMFS_R_SYMLINK_EMPTY, 0);
    out->parent = *path == '/' ? VM_ROOT_ID : start;
    out->id = 0;
    out->miss.dir.id = 0;
    out->is_directory_wanted = false;
    struct walk walk = {.ctx = ctx, .place = out, .rest = path, .how = how};
    int result = walk_all(&walk);
    if (result)
        return result;
    bool is_lookup = how != VM_WALK_PARENT;
    if (is_lookup && out->id && out->is_directory_wanted && out->mode_type != VM_MODE_DIRECTORY)
        return vm_path_not_directory(ctx, out->id);
    return 0;
}

int vm_path_resolve(struct vm_ctx *ctx, uint64_t start, const char *path, bool is_followed,
                    uint64_t *id_out)
{
    struct vm_place place;
    int result =
        vm_path_walk(ctx, start, path, is_followed ? VM_WALK_FOLLOW : VM_WALK_NOFOLLOW, &place);
    if (result)
        return result;
    if (place.id == 0)
        return vm_path_missing(ctx);
    *id_out = place.id;
    return 0;
}
