/* xattr.c -- extended attributes */
#include "inode/xattr.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/util.h"
#include "space/space.h"

#define TYPE_INLINE 0u
#define TYPE_BLOCKS 1u
#define DROP_LINES  4u /* at most, of the leaf's head, for one entry */

static int missing(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    return vm_raise(&ctx->err, VMFS_R_XATTR_MISSING, inode->id);
}

static int damaged(struct vm_ctx *ctx, uint64_t where)
{
    return vm_raise(&ctx->err, VMFS_R_XATTR_DAMAGED, where);
}

static int too_small(struct vm_ctx *ctx, uint64_t size)
{
    return vm_raise(&ctx->err, VMFS_R_XATTR_BUFFER, size);
}

static uint64_t value_check(const struct vm_ctx *ctx, uint64_t block, const void *value,
                            uint64_t len_bytes)
{
    return vm_hash64(ctx->region->hash_seed ^ block, value, len_bytes);
}

/* The description of a value in blocks, checked for where it points. */
static int blocks_load(struct vm_ctx *ctx, const struct vm_named_hit *hit, const uint8_t *bytes,
                       struct vm_xattr_media *out)
{
    memcpy(out, bytes + hit->entry.name_bytes, sizeof *out);
    uint64_t len_bytes = vm_get32(out->len_bytes);
    uint64_t blocks = vm_get32(out->blocks);
    bool is_sound = hit->entry.payload_bytes >= sizeof *out && len_bytes == hit->entry.value &&
                    len_bytes > 0 && len_bytes <= VMFS_XATTR_MAX &&
                    blocks == vm_div_up(len_bytes, VM_BLOCK_BYTES) &&
                    vm_range_inside(vm_get64(out->block), blocks, ctx->region->blocks) &&
                    vm_region_is_home(ctx->region, vm_get64(out->block) * VM_BLOCK_BYTES,
                                      blocks * VM_BLOCK_BYTES);
    return is_sound ? 0 : damaged(ctx, hit->leaf);
}

static int copy_value(struct vm_ctx *ctx, const struct vm_named_hit *hit, const uint8_t *bytes,
                      void *value)
{
    uint64_t len_bytes = hit->entry.value;
    if (hit->entry.type == TYPE_INLINE) {
        if (len_bytes > hit->entry.payload_bytes)
            return damaged(ctx, hit->leaf);
        memcpy(value, bytes + hit->entry.name_bytes, len_bytes);
        return 0;
    }
    struct vm_xattr_media media;
    int result = blocks_load(ctx, hit, bytes, &media);
    if (result)
        return result;
    uint64_t block = vm_get64(media.block);
    vm_copy_data(value, ctx->region->base + block * VM_BLOCK_BYTES, len_bytes);
    if (vm_get64(media.check) != value_check(ctx, block, value, len_bytes))
        return damaged(ctx, block * VM_BLOCK_BYTES);
    return 0;
}

int vm_xattr_load(struct vm_ctx *ctx, const struct vm_inode *inode, struct vm_name name,
                  void *value, uint64_t size, uint64_t *len_out)
{
    struct vm_map map = vm_inode_xattr_map(inode);
    struct vm_named_hit hit;
    int found = vm_named_find(ctx, &map, name, &hit);
    if (found <= 0)
        return found;
    if (hit.entry.value > VMFS_XATTR_MAX)
        return damaged(ctx, hit.leaf);
    *len_out = hit.entry.value;
    if (size < hit.entry.value)
        return 1;
    uint8_t bytes[VM_NAMED_PAYLOAD_MAX];
    int result = vm_named_copy(ctx, &hit, bytes);
    if (result == 0)
        result = copy_value(ctx, &hit, bytes, value);
    return result ? result : 1;
}

int64_t vm_xattr_get(struct vm_ctx *ctx, const struct vm_inode *inode, struct vm_name name,
                     void *value, uint64_t size)
{
    uint64_t len_bytes;
    int found = vm_xattr_load(ctx, inode, name, value, size, &len_bytes);
    if (found < 0)
        return found;
    if (found == 0)
        return missing(ctx, inode);
    if (size && size < len_bytes)
        return too_small(ctx, size);
    return (int64_t)len_bytes;
}

/* Frees what an entry has outside the leaf and takes it out. */
static int drop_entry(struct vm_ctx *ctx, struct vm_inode *inode, struct vm_map *map,
                      const struct vm_named_hit *hit)
{
    if (hit->entry.type != TYPE_INLINE) {
        uint8_t bytes[VM_NAMED_PAYLOAD_MAX];
        struct vm_xattr_media media;
        int result = vm_named_copy(ctx, hit, bytes);
        if (result == 0)
            result = blocks_load(ctx, hit, bytes, &media);
        if (result)
            return result;
        vm_space_free(ctx, vm_get64(media.block), vm_get32(media.blocks));
        vm_inode_add_blocks(inode, -(int64_t)vm_get32(media.blocks));
    }
    return vm_named_remove(ctx, map, hit);
}

/* Stores the value in fresh blocks and describes it. */
static int store_blocks(struct vm_ctx *ctx, struct vm_inode *inode,
                        const struct vm_xattr_value *value, struct vm_xattr_media *out)
{
    uint64_t blocks = vm_div_up(value->len_bytes, VM_BLOCK_BYTES);
    uint64_t block;
    int result = vm_space_take_exact(ctx, blocks, &block);
    if (result)
        return result;
    uint64_t offset = block * VM_BLOCK_BYTES;
    uint64_t rest = blocks * VM_BLOCK_BYTES - value->len_bytes;
    vm_tx_payload(ctx, offset, value->bytes, value->len_bytes);
    if (rest)
        vm_tx_payload_zero(ctx, offset + value->len_bytes, rest);
    vm_inode_add_blocks(inode, (int64_t)blocks);
    /* Of what was stored: the caller's bytes may change meanwhile, and that is not damage. */
    const uint8_t *stored = ctx->region->base + offset;
    *out = (struct vm_xattr_media){
        .block = vm_put64(block),
        .len_bytes = vm_put32((uint32_t)value->len_bytes),
        .blocks = vm_put32((uint32_t)blocks),
        .check = vm_put64(value_check(ctx, block, stored, value->len_bytes)),
    };
    return 0;
}

static int insert_value(struct vm_ctx *ctx, struct vm_inode *inode, struct vm_map *map,
                        struct vm_name name, const struct vm_xattr_value *value)
{
    if (name.len_bytes + value->len_bytes <= VM_NAMED_PAYLOAD_MAX)
        return vm_named_insert(ctx, map, name, value->len_bytes, TYPE_INLINE,
                               (struct vm_name){value->bytes, (uint32_t)value->len_bytes});
    struct vm_xattr_media media;
    int result = store_blocks(ctx, inode, value, &media);
    if (result)
        return result;
    return vm_named_insert(ctx, map, name, value->len_bytes, TYPE_BLOCKS,
                           (struct vm_name){(const uint8_t *)&media, sizeof media});
}

int vm_xattr_set(struct vm_ctx *ctx, struct vm_inode *inode, struct vm_name name,
                 const struct vm_xattr_value *value)
{
    struct vm_map map = vm_inode_xattr_map(inode);
    struct vm_named_hit hit;
    int found = vm_named_find(ctx, &map, name, &hit);
    if (found < 0)
        return found;
    if (found && value->must_create)
        return vm_raise(&ctx->err, VMFS_R_XATTR_EXISTS, inode->id);
    if (!found && value->must_replace)
        return missing(ctx, inode);
    int result = found ? drop_entry(ctx, inode, &map, &hit) : 0;
    if (result == 0)
        result = insert_value(ctx, inode, &map, name, value);
    if (result == 0)
        vm_inode_put_xattr_map(inode, &map);
    return result;
}

int vm_xattr_remove(struct vm_ctx *ctx, struct vm_inode *inode, struct vm_name name)
{
    struct vm_map map = vm_inode_xattr_map(inode);
    struct vm_named_hit hit;
    int found = vm_named_find(ctx, &map, name, &hit);
    if (found < 0)
        return found;
    if (found == 0)
        return missing(ctx, inode);
    int result = drop_entry(ctx, inode, &map, &hit);
    if (result == 0)
        vm_inode_put_xattr_map(inode, &map);
    return result;
}

static bool begins_with(const struct vm_named_hit *hit, const uint8_t *bytes, const char *prefix)
{
    uint64_t len_bytes = prefix ? strlen(prefix) : 0;
    return prefix && hit->entry.name_bytes >= len_bytes && memcmp(bytes, prefix, len_bytes) == 0;
}

int64_t vm_xattr_list(struct vm_ctx *ctx, const struct vm_inode *inode, const char *hidden,
                      char *names, uint64_t size)
{
    struct vm_map map = vm_inode_xattr_map(inode);
    uint8_t bytes[VM_NAMED_PAYLOAD_MAX];
    uint64_t total = 0;
    uint64_t cookie = 0;
    struct vm_named_hit hit;
    int more;
    while ((more = vm_named_next(ctx, &map, cookie, &hit, bytes)) > 0) {
        uint64_t need = hit.entry.name_bytes + 1u;
        cookie = hit.entry.key;
        if (begins_with(&hit, bytes, hidden))
            continue;
        if (size && total + need > size)
            return too_small(ctx, size);
        if (size) {
            memcpy(names + total, bytes, hit.entry.name_bytes);
            names[total + hit.entry.name_bytes] = '\0';
        }
        total += need;
    }
    return more < 0 ? more : (int64_t)total;
}

/* Drops entries until one leaf after another is empty, then the leaves; both as room allows. */
int vm_xattr_reap(struct vm_ctx *ctx, struct vm_inode *inode)
{
    struct vm_map map = vm_inode_xattr_map(inode);
    uint8_t bytes[VM_NAMED_PAYLOAD_MAX];
    struct vm_named_hit hit;
    int more = map.root != 0;
    while (more > 0 && vm_tx_has_room(ctx, 1, DROP_LINES)) {
        more = vm_named_next(ctx, &map, 0, &hit, bytes);
        int result = more > 0 ? drop_entry(ctx, inode, &map, &hit) : 0;
        if (result)
            return result;
    }
    bool is_empty = more == 0;
    while (is_empty && more >= 0 && map.root && vm_tx_has_room(ctx, VM_TRIM_ENTRIES, VM_TRIM_LINES))
        more = vm_map_drop_last(ctx, &map);
    vm_inode_put_xattr_map(inode, &map);
    return more < 0 ? more : map.root != 0;
}
