/* inode.c -- one inode */
#include "inode/inode.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/util.h"
#include "inode/table.h"
#include "space/space.h"

#define GENERATION_MASK 0xffffffu
#define BLOCKS_MASK     (((uint64_t)1 << 48) - 1)

static uint32_t hash_head(const struct vm_region *region, uint64_t slot,
                          const struct vm_inode_media *media)
{
    return vm_hash32(region->hash_seed ^ slot, &media->mode, 52);
}

static uint32_t hash_rest(const struct vm_region *region, uint64_t slot,
                          const struct vm_inode_media *media)
{
    return vm_hash32(region->hash_seed ^ slot, &media->project, VM_INODE_BYTES - 68);
}

static bool kind_is_known(const struct vm_inode_media *media)
{
    uint32_t type = vm_get16(media->mode) & VM_MODE_TYPE;
    switch (media->kind) {
    case VM_INODE_FREE:
        return true;
    case VM_INODE_FILE:
        return type == VM_MODE_FILE &&
               (media->form == VM_BODY_RETIRED ? vm_get32(media->nlink) == 0
                                               : media->form <= VM_BODY_TREE);
    case VM_INODE_DIRECTORY:
        return type == VM_MODE_DIRECTORY &&
               (media->form == VM_BODY_EMPTY || media->form == VM_BODY_TREE);
    case VM_INODE_SYMLINK:
        return type == VM_MODE_SYMLINK &&
               (media->form == VM_BODY_BYTES ? vm_get64(media->size) <= VM_INODE_BODY
                                             : media->form <= VM_BODY_TREE);
    case VM_INODE_SPECIAL:
        return type != VM_MODE_FILE && type != VM_MODE_DIRECTORY && type != VM_MODE_SYMLINK &&
               (media->form == VM_BODY_DEVICE || media->form == VM_BODY_EMPTY);
    default:
        return false;
    }
}

/* As slots are that no inode has ever been in. */
static bool is_all_zero(const struct vm_inode_media *media, size_t len_bytes)
{
    const uint8_t *bytes = (const uint8_t *)media;
    return vm_get32(media->hash0) == 0 && memcmp(bytes, bytes + 1, len_bytes - 1) == 0;
}

static bool head_is_sound(const struct vm_region *region, uint64_t slot,
                          const struct vm_inode_media *media)
{
    return vm_get32(media->hash0) == hash_head(region, slot, media) && kind_is_known(media) &&
           vm_get64(media->size) <= VMFS_FILE_MAX;
}

static int inode_damaged(struct vm_ctx *ctx, uint64_t offset)
{
    return vm_raise(&ctx->err, VMFS_R_INODE_DAMAGED, offset);
}

int vm_inode_check(struct vm_ctx *ctx, uint64_t slot, uint64_t offset,
                   const struct vm_inode_media *media)
{
    const struct vm_region *region = ctx->region;
    bool is_sound = is_all_zero(media, sizeof *media) ||
                    (head_is_sound(region, slot, media) &&
                     vm_get32(media->hash1) == hash_rest(region, slot, media));
    return is_sound ? 0 : inode_damaged(ctx, offset);
}

static int head_check(struct vm_ctx *ctx, uint64_t slot, uint64_t offset,
                      const struct vm_inode_media *media)
{
    bool is_sound =
        is_all_zero(media, VM_INODE_HEAD_BYTES) || head_is_sound(ctx->region, slot, media);
    return is_sound ? 0 : inode_damaged(ctx, offset);
}

static bool is_orphan(const struct vm_inode *inode)
{
    return inode->m.kind != VM_INODE_FREE &&
           (vm_inode_nlink(inode) == 0 || vm_inode_is_beyond(inode));
}

int vm_inode_stale(struct vm_ctx *ctx, uint64_t id)
{
    return vm_raise(&ctx->err, VMFS_R_INODE_STALE, id);
}

/* Loads so many bytes of a slot: 1, 0 if there is no such slot, or a reason. */
static int load_bytes(struct vm_ctx *ctx, uint64_t id, size_t len_bytes, struct vm_inode *out)
{
    int result = vm_table_locate(ctx, vm_id_slot(id), &out->offset);
    if (result > 0)
        result = vm_read(ctx, out->offset, &out->m, len_bytes);
    else
        return result;
    return result ? result : 1;
}

/* What was loaded and checked, if it is the living inode that the id means. */
static int take_living(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out)
{
    bool is_alive = out->m.kind != VM_INODE_FREE &&
                    (vm_get32(out->m.generation) & GENERATION_MASK) == vm_id_generation(id);
    if (!is_alive)
        return vm_inode_stale(ctx, id);
    out->id = id;
    out->was_orphan = is_orphan(out);
    return 0;
}

int vm_inode_load(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out)
{
    int result = load_bytes(ctx, id, sizeof out->m, out);
    if (result <= 0)
        return result ? result : vm_inode_stale(ctx, id);
    result = vm_inode_check(ctx, vm_id_slot(id), out->offset, &out->m);
    return result ? result : take_living(ctx, id, out);
}

int vm_inode_load_head(struct vm_ctx *ctx, uint64_t id, struct vm_inode *out)
{
    int result = load_bytes(ctx, id, VM_INODE_HEAD_BYTES, out);
    if (result <= 0)
        return result ? result : vm_inode_stale(ctx, id);
    result = head_check(ctx, vm_id_slot(id), out->offset, &out->m);
    return result ? result : take_living(ctx, id, out);
}

#define LINE_COUNT (VM_INODE_BYTES / 64u)

/* A bit for each line behind the first that is not, or will not be, what its home is. */
static unsigned rest_changed(struct vm_ctx *ctx, const struct vm_inode *inode)
{
    unsigned changed = 0;
    for (unsigned line = 1; line < LINE_COUNT; line++) {
        uint64_t offset = inode->offset + line * 64;
        const uint8_t *bytes = (const uint8_t *)&inode->m + line * 64;
        bool is_home = memcmp(bytes, ctx->region->base + offset, 64) == 0 &&
                       !vm_overlay_find(ctx->overlay, offset);
        changed |= (unsigned)!is_home << line;
    }
    return changed;
}

/* Most changes touch line 0 only: then the others need no new hash. */
static void stage_sealed(struct vm_ctx *ctx, struct vm_inode *inode)
{
    uint64_t slot = vm_id_slot(inode->id);
    inode->m.hash0 = vm_put32(hash_head(ctx->region, slot, &inode->m)); /* H18 */
    vm_tx_write_line(ctx, inode->offset, &inode->m);
    unsigned changed = rest_changed(ctx, inode);
    if (!changed)
        return;
    inode->m.hash1 = vm_put32(hash_rest(ctx->region, slot, &inode->m)); /* H18 */
    for (unsigned line = 1; line < LINE_COUNT; line++)
        if (line == 1 || (changed >> line & 1))
            vm_tx_write_line(ctx, inode->offset + line * 64,
                             (const uint8_t *)&inode->m + line * 64);
}

int vm_inode_store(struct vm_ctx *ctx, struct vm_inode *inode)
{
    stage_sealed(ctx, inode);
    bool is_now = is_orphan(inode);
    if (is_now == inode->was_orphan)
        return 0;
    inode->was_orphan = is_now;
    return vm_table_set_orphan(ctx, inode->id, is_now); /* N2 */
}

int vm_inode_release(struct vm_ctx *ctx, struct vm_inode *inode)
{
    VM_ASSERT(vm_inode_nlink(inode) == 0);
    inode->m.kind = VM_INODE_FREE;
    inode->m.form = VM_BODY_EMPTY;
    inode->m.mode = vm_put16(0);
    vm_inode_set_size(inode, 0);
    vm_inode_set_flags(inode, 0);
    int result = vm_inode_store(ctx, inode);
    return result ? result : vm_table_free(ctx, inode->id);
}

static uint8_t kind_of_mode(uint32_t mode)
{
    switch (mode & VM_MODE_TYPE) {
    case VM_MODE_FILE:
        return VM_INODE_FILE;
    case VM_MODE_DIRECTORY:
        return VM_INODE_DIRECTORY;
    case VM_MODE_SYMLINK:
        return VM_INODE_SYMLINK;
    default:
        return VM_INODE_SPECIAL;
    }
}

void vm_inode_make(struct vm_ctx *ctx, uint64_t id, uint64_t offset, uint32_t mode,
                   struct vm_inode *out)
{
    uint64_t tag = vm_mix64(ctx->region->hash_seed ^ vm_mix64(id));
    *out = (struct vm_inode){
        .id = id,
        .offset = offset,
        .m = {.mode = vm_put16((uint16_t)mode),
              .kind = kind_of_mode(mode),
              .generation = vm_put32(vm_id_generation(id)),
              .uid = vm_put32(ctx->uid),
              .gid = vm_put32(ctx->gid),
              .mtime_ns = vm_put64((uint64_t)ctx->now_ns),
              .ctime_ns = vm_put64((uint64_t)ctx->now_ns),
              .atime_ns = vm_put64((uint64_t)ctx->now_ns),
              .btime_ns = vm_put64((uint64_t)ctx->now_ns),
              .tag = vm_put64(tag),
              .birth = vm_put64(ctx->region->epoch)},
    };
}

bool vm_inode_is_directory(const struct vm_inode *inode)
{
    return inode->m.kind == VM_INODE_DIRECTORY;
}

bool vm_inode_is_file(const struct vm_inode *inode)
{
    return inode->m.kind == VM_INODE_FILE;
}

void vm_inode_touch(struct vm_ctx *ctx, struct vm_inode *inode)
{
    inode->m.mtime_ns = vm_put64((uint64_t)ctx->now_ns);
    vm_inode_touch_change(ctx, inode);
}

void vm_inode_touch_change(struct vm_ctx *ctx, struct vm_inode *inode)
{
    inode->m.ctime_ns = vm_put64((uint64_t)ctx->now_ns);
}

uint64_t vm_inode_blocks(const struct vm_inode *inode)
{
    return vm_get64(inode->m.blocks) & BLOCKS_MASK;
}

void vm_inode_add_blocks(struct vm_inode *inode, int64_t change)
{
    uint64_t stored = vm_get64(inode->m.blocks);
    uint64_t blocks = ((stored & BLOCKS_MASK) + (uint64_t)change) & BLOCKS_MASK;
    inode->m.blocks = vm_put64((stored & ~BLOCKS_MASK) | blocks);
}

uint32_t vm_inode_flags(const struct vm_inode *inode)
{
    return (uint32_t)(vm_get64(inode->m.blocks) >> 48);
}

void vm_inode_set_flags(struct vm_inode *inode, uint32_t flags)
{
    uint64_t blocks = vm_inode_blocks(inode);
    inode->m.blocks = vm_put64((uint64_t)flags << 48 | blocks);
}

int vm_inode_check_change(struct vm_ctx *ctx, const struct vm_inode *inode, bool is_adding)
{
    uint32_t flags = ctx->is_above_flags ? 0 : vm_inode_flags(inode);
    if (flags & VM_INODE_FLAG_IMMUTABLE)
        return vm_raise(&ctx->err, VMFS_R_IMMUTABLE, inode->id);
    if ((flags & VM_INODE_FLAG_APPEND) && !is_adding)
        return vm_raise(&ctx->err, VMFS_R_APPEND_ONLY, inode->id);
    return 0;
}

static uint32_t state_of(const struct vm_inode *inode)
{
    return vm_get32(inode->m.generation) >> 24;
}

static void set_state(struct vm_inode *inode, uint32_t state)
{
    uint32_t generation = vm_get32(inode->m.generation) & GENERATION_MASK;
    inode->m.generation = vm_put32(generation | state << 24);
}

bool vm_inode_is_beyond(const struct vm_inode *inode)
{
    return state_of(inode) & (VM_STATE_BEYOND | VM_STATE_WRITING);
}

void vm_inode_set_beyond(struct vm_inode *inode, bool is_beyond)
{
    uint32_t rest = state_of(inode) & ~(VM_STATE_BEYOND | VM_STATE_WRITING);
    set_state(inode, rest | (is_beyond ? VM_STATE_BEYOND : 0));
}

bool vm_inode_is_writing(const struct vm_inode *inode)
{
    return (state_of(inode) & (VM_STATE_BEYOND | VM_STATE_WRITING)) == VM_STATE_WRITING;
}

void vm_inode_set_writing(struct vm_inode *inode)
{
    set_state(inode, state_of(inode) | VM_STATE_WRITING);
}

static struct vm_map map_with_root(const struct vm_inode *inode, uint64_t root)
{
    return (struct vm_map){
        .root = root, .tag = vm_get64(inode->m.tag), .base_epoch = vm_get64(inode->m.base_epoch)};
}

struct vm_map vm_inode_data_map(const struct vm_inode *inode)
{
    bool is_tree = inode->m.form == VM_BODY_TREE;
    return map_with_root(inode, is_tree ? vm_get64(inode->m.body.word[0]) : 0);
}

void vm_inode_put_data_map(struct vm_inode *inode, const struct vm_map *map)
{
    memset(&inode->m.body, 0, sizeof inode->m.body);
    inode->m.form = map->root ? VM_BODY_TREE : VM_BODY_EMPTY;
    inode->m.body.word[0] = vm_put64(map->root);
    vm_inode_add_blocks(inode, map->node_delta);
}

struct vm_map vm_inode_xattr_map(const struct vm_inode *inode)
{
    return map_with_root(inode, vm_get64(inode->m.xattr_root));
}

void vm_inode_put_xattr_map(struct vm_inode *inode, const struct vm_map *map)
{
    inode->m.xattr_root = vm_put64(map->root);
    vm_inode_add_blocks(inode, map->node_delta);
}
