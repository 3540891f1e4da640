/* repair_inodes.c -- the inode map, chunks, and inodes by themselves */
#include <string.h>

#include "base/hash.h"
#include "base/util.h"
#include "check/repair.h"
#include "check/validate.h"
#include "inode/table.h"

#define FLAGS_SHIFT 48u
#define STATE_SHIFT 24u

void vm_repair_store(struct vm_ctx *ctx, struct vm_inode *inode)
{
    uint64_t seed = ctx->region->hash_seed ^ vm_id_slot(inode->id);
    struct vm_inode_media *m = &inode->m;
    m->hash0 = vm_put32(vm_hash32(seed, &m->mode, 52));
    m->hash1 = vm_put32(vm_hash32(seed, &m->project, VM_INODE_BYTES - 68));
    vm_tx_write(ctx, inode->offset, m, sizeof *m); /* N1 */
}

/* The generation stays, so that the next inode of the slot has another id. */
static void slot_free(struct vm_check *check, struct vm_inode *inode)
{
    uint32_t generation = vm_get32(inode->m.generation) & VM_GENERATION_MAX;
    memset(&inode->m, 0, sizeof inode->m);
    inode->m.generation = vm_put32(generation);
    vm_repair_store(check->ctx, inode);
}

/* An empty root directory, where there is none. */
static void root_make(struct vm_check *check, struct vm_inode *root)
{
    vm_inode_make(check->ctx, VM_ROOT_ID, root->offset, VM_MODE_DIRECTORY | 0755, root);
    vm_inode_set_nlink(root, 2);
    root->m.parent = vm_put64(VM_ROOT_ID);
    vm_repair_store(check->ctx, root);
    vm_mended(check, INODES, "inode %i, the root, is a new empty directory", VM_ROOT_ID);
}

/* Has a living inode what it cannot have, that cannot be taken away? */
static bool is_hopeless(const struct vm_inode *inode)
{
    uint64_t size = vm_inode_size(inode);
    uint32_t type = vm_inode_mode(inode) & VM_MODE_TYPE;
    if (inode->m.kind == VM_INODE_SPECIAL)
        return type != VM_MODE_CHAR && type != VM_MODE_BLOCK && type != VM_MODE_FIFO &&
               type != VM_MODE_SOCKET;
    return inode->m.kind == VM_INODE_SYMLINK &&
           (size == 0 || size > VMFS_PATH_MAX ||
            inode->m.form != (size <= VM_INODE_BODY ? VM_BODY_BYTES : VM_BODY_EXTENTS));
}

static void living_mend(struct vm_check *check, struct vm_inode *inode)
{
    struct vm_inode before = *inode;
    struct vm_inode_media *m = &inode->m;
    uint32_t state = vm_get32(m->generation) >> STATE_SHIFT & (VM_STATE_BEYOND | VM_STATE_WRITING);
    uint64_t flags = vm_get64(m->blocks) >> FLAGS_SHIFT & VM_INODE_FLAGS_ALL;
    if (!vm_inode_is_file(inode))
        state = 0;
    m->generation = vm_put32((vm_get32(m->generation) & VM_GENERATION_MAX) | state << STATE_SHIFT);
    m->blocks = vm_put64(vm_inode_blocks(inode) | flags << FLAGS_SHIFT);
    m->birth = vm_put64(vm_min(vm_get64(m->birth), check->region->epoch));
    m->base_epoch = vm_put64(0);
    if (inode->id == VM_ROOT_ID && vm_inode_nlink(inode) < 2)
        vm_inode_set_nlink(inode, 2);
    if (inode->id == VM_ROOT_ID)
        m->parent = vm_put64(VM_ROOT_ID);
    if (memcmp(&before.m, m, sizeof *m) == 0)
        return;
    vm_repair_store(check->ctx, inode);
    vm_mended(check, INODES, "inode %i has lost what it could not have", inode->id);
}

static void slot_mend(struct vm_check *check, uint64_t slot, bool *is_living)
{
    struct vm_inode inode;
    vm_slot_load(check, slot, &inode);
    bool is_root = slot == VM_ROOT_ID;
    bool is_sound = vm_inode_check(check->ctx, slot, inode.offset, &inode.m) == 0;
    *is_living = is_sound && inode.m.kind != VM_INODE_FREE;
    bool is_kept = *is_living && !is_hopeless(&inode);
    if (is_root && !(is_kept && inode.id == VM_ROOT_ID && vm_inode_is_directory(&inode))) {
        *is_living = true;
        root_make(check, &inode);
        return;
    }
    if (is_kept) {
        living_mend(check, &inode);
        return;
    }
    bool is_cut = *is_living || !is_sound;
    *is_living = false;
    uint32_t form = inode.m.form | inode.m.kind | vm_get16(inode.m.mode) | vm_get32(inode.m.nlink);
    bool is_bare = is_sound && !form && vm_inode_size(&inode) == 0 &&
                   vm_get64(inode.m.blocks) == 0 && vm_get64(inode.m.xattr_root) == 0;
    if (is_bare)
        return;
    slot_free(check, &inode);
    if (is_cut)
        vm_mended(check, INODES, "inode %i was damaged and is cut off", inode.id); /* F6 */
    else
        vm_mended(check, INODES, "slot %n, which is free, is empty", slot);
}

static bool word_mend(struct vm_check *check, uint64_t offset, uint64_t wanted)
{
    if (vm_load64_home(check->region, offset) == wanted)
        return false;
    vm_tx_mask(check->ctx, offset, ~(uint64_t)0, wanted); /* T2 */
    return true;
}

/* Slots of one word of a chunk, with its used bits. */
static int word_of_slots(struct vm_check *check, uint64_t chunk, unsigned word)
{
    const struct vm_itable *table = check->ctx->itable;
    uint64_t head = check->chunk_blocks[chunk] * VM_BLOCK_BYTES;
    uint64_t used = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t index = (uint64_t)word * 64 + bit;
        uint64_t slot = (chunk << table->chunk_stride_log2) + index;
        bool is_living = slot == 0;
        if (index >= table->slots_per_chunk)
            break;
        int result = vm_repair_room(check->ctx, 2, 8);
        if (result)
            return result;
        if (slot)
            slot_mend(check, slot, &is_living);
        used |= (uint64_t)is_living << bit;
    }
    uint64_t offset = head + offsetof(struct vm_chunk_media, used) + word * 8u;
    if (word_mend(check, offset, used))
        vm_mended(check, INODES, "the used bits at offset %o agree with their inodes", offset);
    return 0;
}

static int chunk_mend(struct vm_check *check, uint64_t chunk)
{
    const struct vm_itable *table = check->ctx->itable;
    struct vm_chunk_media head;
    uint64_t offset = check->chunk_blocks[chunk] * VM_BLOCK_BYTES;
    uint64_t first_slot = chunk << table->chunk_stride_log2;
    int result = vm_read(check->ctx, offset, &head, sizeof head);
    if (result)
        return result;
    if (!vm_chunk_validate(check->ctx, &head, offset, first_slot)) {
        struct vm_chunk_media fresh = {.magic = vm_put32(VM_MAGIC_CHUNK),
                                       .self = vm_put64(offset),
                                       .birth = vm_put64(check->region->epoch),
                                       .first_slot = vm_put64(first_slot),
                                       .inodes = vm_put32((uint32_t)table->slots_per_chunk)};
        uint64_t seed = check->region->hash_seed ^ offset;
        fresh.hash = vm_put32(vm_hash32(seed, &fresh.self, VM_HEAD_HASHED));
        vm_tx_write(check->ctx, offset, &fresh, offsetof(struct vm_chunk_media, used));
        vm_mended(check, INODES, "the head of the inode chunk at block %b is written again",
                  check->chunk_blocks[chunk]);
    }
    for (unsigned word = 0; result == 0 && word < VM_CHUNK_WORDS; word++)
        result = word_of_slots(check, chunk, word);
    return result;
}

static void map_head_mend(struct vm_check *check, uint64_t block, uint32_t level)
{
    struct vm_map_media map;
    uint64_t offset = block * VM_BLOCK_BYTES;
    if (vm_read(check->ctx, offset, &map, sizeof map) ||
        vm_map_validate(check->region, &map, offset, level))
        return;
    struct vm_map_media fresh = {.magic = vm_put32(VM_MAGIC_MAP),
                                 .self = vm_put64(offset),
                                 .birth = vm_put64(check->region->epoch),
                                 .level = vm_put32(level)};
    fresh.hash =
        vm_put32(vm_hash32(check->region->hash_seed ^ offset, &fresh.self, VM_HEAD_HASHED));
    vm_tx_write(check->ctx, offset, &fresh, offsetof(struct vm_map_media, entries));
    vm_mended(check, INODES, "the head of the map block %b is written again", block);
}

/* ---- entries of the map ---- */

/* Is the block the head of the chunk with this first slot; or, for ROOT_MAP, a map block below the
 * root? */
#define ROOT_MAP UINT64_MAX

static bool is_wanted(struct vm_check *check, uint64_t block, uint64_t first_slot)
{
    uint64_t offset = block * VM_BLOCK_BYTES;
    union {
        struct vm_map_media map;
        struct vm_chunk_media chunk;
    } there;
    if (vm_read(check->ctx, offset, &there, sizeof there))
        return false;
    if (first_slot == ROOT_MAP)
        return vm_map_validate(check->region, &there.map, offset, 0);
    return vm_range_inside(block, check->region->chunk_blocks, check->region->blocks) &&
           vm_chunk_validate(check->ctx, &there.chunk, offset, first_slot);
}

/* The block that an entry has lost: heads name themselves. 0 if it is not there. */
static uint64_t search(struct vm_check *check, uint64_t first_slot)
{
    for (uint64_t block = check->region->map_block + 1; block < check->region->blocks; block++) {
        uint64_t magic = vm_load64_home(check->region, block * VM_BLOCK_BYTES) & UINT32_MAX;
        bool is_used = check->met[block / 64] >> block % 64 & 1;
        bool is_free_map = first_slot == ROOT_MAP && is_used;
        if ((magic == VM_MAGIC_MAP || magic == VM_MAGIC_CHUNK) && !is_free_map &&
            is_wanted(check, block, first_slot))
            return block;
    }
    return 0;
}

static void entry_write(struct vm_check *check, uint64_t offset, uint64_t block)
{
    struct vm_map_entry_media entry = {.block = vm_put64(block)};
    if (block)
        entry.hash = vm_put32(vm_hash32(check->region->hash_seed ^ offset, &entry,
                                        offsetof(struct vm_map_entry_media, hash)));
    vm_tx_write(check->ctx, offset, &entry, sizeof entry);
    if (block)
        vm_mended(check, INODES, "an entry of the inode map names block %b again", block);
    else
        vm_mended(check, INODES, "an entry of the inode map that led nowhere is empty, offset %o",
                  offset);
}

/* What the entries of one map block need. */
struct map_block {
    uint64_t block;
    uint64_t first_slot; /* of its first chunk, or ROOT_MAP */
    uint64_t last;       /* index behind the last entry that is not empty */
    bool is_changed;
};

static void entry_mend(struct vm_check *check, struct map_block *map, uint64_t index)
{
    struct vm_map_entry_media entry;
    uint64_t at =
        map->block * VM_BLOCK_BYTES + offsetof(struct vm_map_media, entries) + index * sizeof entry;
    bool is_root = map->first_slot == ROOT_MAP;
    uint64_t stride = (uint64_t)1 << check->ctx->itable->chunk_stride_log2;
    uint64_t wanted = is_root ? ROOT_MAP : map->first_slot + index * stride;
    if (vm_read(check->ctx, at, &entry, sizeof entry))
        return;
    uint64_t block = vm_get64(entry.block);
    bool is_sound =
        !vm_map_entry_is_empty(&entry) &&
        vm_map_entry_validate(check->region, &entry, at, is_root ? 1 : check->region->chunk_blocks);
    struct vm_chunk_media head;
    bool is_other = false; /* a sound chunk, but not this one */
    if (is_sound && !is_root &&
        vm_read(check->ctx, block * VM_BLOCK_BYTES, &head, sizeof head) == 0)
        is_other =
            vm_get64(head.first_slot) != wanted &&
            vm_chunk_validate(check->ctx, &head, block * VM_BLOCK_BYTES, vm_get64(head.first_slot));
    if (is_root && is_sound)
        is_other = !is_wanted(check, block, ROOT_MAP);
    if (is_sound && !is_other)
        return;
    uint64_t found = search(check, wanted);
    if (found == 0 && vm_map_entry_is_empty(&entry))
        return;
    entry_write(check, at, found);
    map->is_changed = true;
}

/* Only entries up to the last that is not empty are looked at: what is behind was never there. */
static int map_block_mend(struct vm_check *check, struct map_block *map)
{
    struct vm_map_media media;
    int result = vm_read(check->ctx, map->block * VM_BLOCK_BYTES, &media, sizeof media);
    if (result)
        return result;
    map_head_mend(check, map->block, map->first_slot == ROOT_MAP);
    for (uint64_t index = 0; index < VM_MAP_ENTRIES; index++)
        if (!vm_map_entry_is_empty(&media.entries[index]))
            map->last = index + 1;
    for (uint64_t index = 0; result == 0 && index < map->last; index++) {
        result = vm_repair_room(check->ctx, 0, 2);
        if (result == 0)
            entry_mend(check, map, index);
    }
    return result;
}

/* Entries behind the first empty one that stay: nothing can be found through them. */
static int behind_clear(struct vm_check *check, const struct map_block *map)
{
    bool is_end = false;
    for (uint64_t index = 0; index < map->last; index++) {
        struct vm_map_entry_media entry;
        uint64_t at = map->block * VM_BLOCK_BYTES + offsetof(struct vm_map_media, entries) +
                      index * sizeof entry;
        int result = vm_repair_room(check->ctx, 0, 2);
        if (result == 0)
            result = vm_read(check->ctx, at, &entry, sizeof entry);
        if (result)
            return result;
        is_end = is_end || vm_map_entry_is_empty(&entry);
        if (is_end && !vm_map_entry_is_empty(&entry))
            entry_write(check, at, 0);
    }
    return 0;
}

static int map_mend(struct vm_check *check, bool *is_changed)
{
    struct map_block root = {.block = check->region->map_block, .first_slot = ROOT_MAP};
    uint64_t at = root.block * VM_BLOCK_BYTES + offsetof(struct vm_map_media, entries);
    int result = map_block_mend(check, &root);
    *is_changed = root.is_changed;
    if (result == 0)
        result = behind_clear(check, &root);
    for (uint64_t index = 0; result == 0 && !*is_changed && index < root.last; index++) {
        struct vm_map_entry_media entry;
        result = vm_read(check->ctx, at + index * sizeof entry, &entry, sizeof entry);
        if (result || vm_map_entry_is_empty(&entry))
            break;
        uint64_t slots = (uint64_t)VM_MAP_ENTRIES << check->ctx->itable->chunk_stride_log2;
        struct map_block below = {.block = vm_get64(entry.block), .first_slot = index * slots};
        result = map_block_mend(check, &below);
        if (result == 0)
            result = behind_clear(check, &below);
        *is_changed = below.is_changed;
    }
    return result;
}

int vm_repair_inodes(struct vm_check *check)
{
    bool is_changed; /* then the chunks are not those that were looked at */
    int result = map_mend(check, &is_changed);
    for (uint64_t chunk = 0; result == 0 && !is_changed && chunk < check->chunk_count; chunk++)
        if (check->chunk_blocks[chunk])
            result = chunk_mend(check, chunk);
    return result;
}

/* ---- orphan bits ---- */

int vm_repair_orphans(struct vm_check *check)
{
    const struct vm_itable *table = check->ctx->itable;
    for (uint64_t chunk = 0; chunk < check->chunk_count; chunk++) {
        uint64_t head = check->chunk_blocks[chunk] * VM_BLOCK_BYTES;
        for (unsigned word = 0; head && word < VM_CHUNK_WORDS; word++) {
            uint64_t wanted = 0;
            for (unsigned bit = 0; bit < 64; bit++) {
                uint64_t index = (uint64_t)word * 64 + bit;
                uint64_t slot = (chunk << table->chunk_stride_log2) + index;
                struct vm_inode inode;
                if (index >= table->slots_per_chunk || !(check->flags[slot] & VM_SLOT_LIVING))
                    continue;
                vm_slot_load(check, slot, &inode);
                if (vm_inode_nlink(&inode) == 0 || vm_inode_is_beyond(&inode))
                    wanted |= (uint64_t)1 << bit;
            }
            int result = vm_repair_room(check->ctx, 1, 0);
            if (result)
                return result;
            (void)word_mend(check, head + offsetof(struct vm_chunk_media, orphan) + word * 8u,
                            wanted);
        }
    }
    vm_mended(check, ORPHANS, "the orphan bits of %n chunks agree with their inodes",
              check->chunk_count);
    return 0;
}
