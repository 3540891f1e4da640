/* dir.c -- the entries of one directory */
#include "name/dir.h"

#include <string.h>

#include "index/cell.h"
#include "inode/atime.h"
#include "inode/table.h"

#define TYPE_SHIFT 12u

static uint8_t entry_type(const struct vm_inode *child)
{
    return (uint8_t)(vm_inode_mode(child) >> TYPE_SHIFT);
}

static uint32_t mode_type(uint8_t stored)
{
    return (uint32_t)stored << TYPE_SHIFT & VM_MODE_TYPE;
}

int vm_dir_load(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out)
{
    int result = vm_inode_load(ctx, id, out);
    if (result)
        return result;
    if (!vm_inode_is_directory(out))
        return vm_raise(&ctx->err, VMFS_R_NOT_A_DIRECTORY, id);
    if (vm_inode_nlink(out) == 0)
        return vm_raise(&ctx->err, VMFS_R_DIRECTORY_DEAD, id);
    return 0;
}

int vm_dir_find(struct vm_ctx *ctx, const struct vm_inode *dir, struct vm_name name,
                struct vm_named_hit *hit)
{
    struct vm_map map = vm_inode_data_map(dir);
    return vm_named_find(ctx, &map, name, hit);
}

bool vm_name_is_allowed(const uint8_t *name, uint32_t len_bytes)
{
    bool is_dots = name[0] == '.' && (len_bytes == 1 || (len_bytes == 2 && name[1] == '.'));
    return !is_dots && !memchr(name, '/', len_bytes) && !memchr(name, '\0', len_bytes);
}

uint32_t vm_dir_hit_type(const struct vm_named_hit *hit)
{
    return mode_type(hit->entry.type);
}

static void count_entries(struct vm_ctx *ctx, struct vm_inode *dir, const struct vm_map *map,
                          int change)
{
    vm_inode_put_data_map(dir, map);
    vm_inode_set_size(dir, vm_inode_size(dir) + (uint64_t)(int64_t)change);
    vm_inode_touch(ctx, dir);
}

int vm_dir_add(struct vm_ctx *ctx, struct vm_inode *dir, struct vm_name name,
               const struct vm_named_hit *missed, const struct vm_inode *child)
{
    struct vm_map map = vm_inode_data_map(dir);
    const struct vm_named_new entry = {.value = child->id, .name = name, .type = entry_type(child)};
    int result = vm_named_insert_at(ctx, &map, missed, &entry);
    if (result == 0)
        count_entries(ctx, dir, &map, 1);
    return result;
}

int vm_dir_remove(struct vm_ctx *ctx, struct vm_inode *dir, const struct vm_named_hit *hit)
{
    struct vm_map map = vm_inode_data_map(dir);
    int result = vm_named_remove(ctx, &map, hit);
    if (result == 0)
        count_entries(ctx, dir, &map, -1);
    return result;
}

int vm_dir_replace(struct vm_ctx *ctx, struct vm_inode *dir, const struct vm_named_hit *hit,
                   const struct vm_inode *child)
{
    struct vm_map map = vm_inode_data_map(dir);
    int result = vm_named_replace(ctx, &map, hit, child->id, entry_type(child));
    if (result == 0)
        count_entries(ctx, dir, &map, 0);
    return result;
}

struct lookup {
    uint64_t dir_id;
    struct vm_name name;
    uint64_t id;
    uint32_t mode_type;
    struct vm_dir_miss *miss;
};

static bool name_is(struct vm_name name, const char *text)
{
    return name.len_bytes == strlen(text) && memcmp(name.bytes, text, name.len_bytes) == 0;
}

static int64_t lookup_body(struct vm_ctx *ctx, void *arg)
{
    struct lookup *lookup = arg;
    struct vm_inode *dir = &lookup->miss->dir;
    struct vm_named_hit *hit = &lookup->miss->hit;
    lookup->miss->version = vm_stripe_version(vm_stripe_of(ctx, lookup->dir_id));
    int result = vm_dir_load(ctx, lookup->dir_id, dir);
    if (result)
        return result;
    lookup->mode_type = VM_MODE_DIRECTORY;
    if (name_is(lookup->name, "..") || name_is(lookup->name, ".")) {
        lookup->id = lookup->name.len_bytes == 1 ? dir->id : vm_get64(dir->m.parent);
        return 1;
    }
    result = vm_dir_find(ctx, dir, lookup->name, hit);
    if (result > 0) {
        lookup->id = hit->entry.value;
        lookup->mode_type = mode_type(hit->entry.type);
    }
    return result;
}

int vm_dir_look_for(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name, uint64_t *id_out,
                    uint32_t *mode_type_out, struct vm_dir_miss *miss)
{
    struct lookup lookup = {.dir_id = dir_id, .name = name, .miss = miss};
    int result = (int)vm_read_stable(ctx, dir_id, lookup_body, &lookup);
    if (result != 0)
        miss->dir.id = 0;
    if (result > 0) {
        *id_out = lookup.id;
        *mode_type_out = lookup.mode_type;
    }
    return result;
}

int vm_dir_lookup(struct vm_ctx *ctx, uint64_t dir_id, struct vm_name name, uint64_t *id_out,
                  uint32_t *mode_type_out)
{
    struct vm_dir_miss unwanted;
    return vm_dir_look_for(ctx, dir_id, name, id_out, mode_type_out, &unwanted);
}

bool vm_dir_still_misses(const struct vm_ctx *ctx, uint64_t dir_id, const struct vm_dir_miss *miss)
{
    return miss && miss->dir.id == dir_id &&
           vm_stripe_version(vm_stripe_of(ctx, dir_id)) == miss->version; /* L1 */
}

struct next {
    uint64_t dir_id;
    uint64_t cookie;
    struct vm_dirent *out;
    struct vm_inode dir;
};

static int64_t dot_entry(const struct vm_inode *dir, uint64_t cookie, struct vm_dirent *out)
{
    out->id = cookie == VM_COOKIE_DOT ? dir->id : vm_get64(dir->m.parent);
    out->cookie = cookie;
    out->mode_type = VM_MODE_DIRECTORY;
    out->name_bytes = (uint32_t)cookie;
    memcpy(out->name, "..", 2);
    return 1;
}

static int64_t next_body(struct vm_ctx *ctx, void *arg)
{
    struct next *next = arg;
    int result = vm_dir_load(ctx, next->dir_id, &next->dir);
    if (result)
        return result;
    if (next->cookie < VM_COOKIE_DOTDOT)
        return dot_entry(&next->dir, next->cookie + 1, next->out);
    struct vm_map map = vm_inode_data_map(&next->dir);
    struct vm_named_hit hit;
    result = vm_named_next(ctx, &map, next->cookie, &hit, next->out->name);
    if (result > 0 && !vm_name_is_allowed(next->out->name, hit.entry.name_bytes))
        result = vm_entry_damaged(ctx, hit.leaf, hit.cell);
    if (result > 0) {
        next->out->id = hit.entry.value;
        next->out->cookie = hit.entry.key;
        next->out->mode_type = mode_type(hit.entry.type);
        next->out->name_bytes = hit.entry.name_bytes;
    }
    return result;
}

int vm_dir_next(struct vm_ctx *ctx, uint64_t dir_id, uint64_t cookie, struct vm_dirent *out)
{
    struct next next = {.dir_id = dir_id, .cookie = cookie, .out = out};
    int result = (int)vm_read_stable(ctx, dir_id, next_body, &next);
    if (result >= 0)
        vm_atime_touch(ctx, &next.dir);
    bool is_gone = result == -VMFS_R_DIRECTORY_DEAD || result == -VMFS_R_INODE_STALE;
    return is_gone ? 0 : result;
}
