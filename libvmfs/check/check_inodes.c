/* check_inodes.c -- the inode map, chunks of inodes, and each inode by itself */
#include "base/util.h"
#include "check/state.h"
#include "check/validate.h"
#include "inode/table.h"

#define STATE_SHIFT 24u /* in the word that holds its generation */

static void check_map_head(struct vm_check *check, uint64_t block, uint32_t level)
{
    struct vm_map_media map;
    uint64_t offset = block * VM_BLOCK_BYTES;
    int result = vm_read(check->ctx, offset, &map, sizeof map);
    bool is_sound = result == 0 && vm_map_validate(check->region, &map, offset, level);
    if (!is_sound)
        vm_problem(check, INODES, INODE_MAP, "the head of the map block %b fails its check", block);
}

/* What an entry of the inode map leads to. */
enum found {
    FOUND_NONE,
    FOUND_DAMAGED,
    FOUND_BLOCK,
};

static enum found map_entry(struct vm_check *check, uint64_t map_block, uint64_t index,
                            uint64_t need, uint64_t *block_out)
{
    struct vm_map_entry_media entry;
    uint64_t offset =
        map_block * VM_BLOCK_BYTES + offsetof(struct vm_map_media, entries) + index * sizeof entry;
    int result = vm_read(check->ctx, offset, &entry, sizeof entry);
    if (result == 0 && vm_map_entry_is_empty(&entry))
        return FOUND_NONE;
    *block_out = vm_get64(entry.block);
    if (result == 0 && vm_map_entry_validate(check->region, &entry, offset, need))
        return FOUND_BLOCK;
    vm_problem(check, INODES, INODE_MAP, "entry %n of the map block %b fails its check", index,
               map_block);
    return FOUND_DAMAGED;
}

/* Enters a chunk. False if there are more than can be (F1). */
static bool chunk_add(struct vm_check *check, uint64_t block)
{
    if (check->chunk_count == check->chunk_max) {
        vm_problem(check, INODES, INODE_MAP,
                   "the map has more than %n chunks, for which there is no room", check->chunk_max);
        return false;
    }
    uint64_t first_slot = check->chunk_count << check->ctx->itable->chunk_stride_log2;
    const struct vm_use use = {.kind = VMFS_MAP_INODE_CHUNK, .ino = first_slot};
    bool is_usable = block && vm_blocks_meet(check, block, check->region->chunk_blocks, &use);
    check->chunk_blocks[check->chunk_count++] = is_usable ? block : 0;
    return true;
}

/* Gathers the chunks of one map block. Chunks are added in order, so the first entry without one ends
 * them: false then. */
static bool map_block_gather(struct vm_check *check, uint64_t map_block)
{
    bool is_end = false;
    check_map_head(check, map_block, 0);
    for (uint64_t index = 0; index < VM_MAP_ENTRIES; index++) {
        uint64_t block = 0;
        enum found found = map_entry(check, map_block, index, check->region->chunk_blocks, &block);
        if (found == FOUND_NONE) {
            is_end = true;
            continue;
        }
        if (is_end) {
            vm_problem(check, INODES, INODE_MAP,
                       "entry %n of the map block %b is behind the last chunk", index, map_block);
            break;
        }
        if (!chunk_add(check, found == FOUND_BLOCK ? block : 0))
            return false;
    }
    return !is_end;
}

static void chunks_gather(struct vm_check *check)
{
    uint64_t root = check->region->map_block;
    bool is_end = false;
    check_map_head(check, root, 1);
    for (uint64_t index = 0; index < VM_MAP_ENTRIES; index++) {
        uint64_t block = 0;
        enum found found = map_entry(check, root, index, 1, &block);
        if (found == FOUND_NONE) {
            is_end = true;
            continue;
        }
        if (is_end) {
            vm_problem(check, INODES, INODE_MAP,
                       "entry %n of the map's root is behind the last chunk", index);
            return;
        }
        bool is_usable =
            found == FOUND_BLOCK &&
            vm_blocks_meet(check, block, 1, &(struct vm_use){.kind = VMFS_MAP_INODE_MAP});
        if (is_usable) {
            is_end = !map_block_gather(check, block);
            continue;
        }
        for (uint64_t lost = 0; lost < VM_MAP_ENTRIES && !is_end; lost++)
            is_end = check->chunk_count == check->chunk_max || !chunk_add(check, 0);
    }
}

static void check_chunk_head(struct vm_check *check, uint64_t chunk,
                             const struct vm_chunk_media *head)
{
    const struct vm_itable *table = check->ctx->itable;
    uint64_t offset = check->chunk_blocks[chunk] * VM_BLOCK_BYTES;
    uint64_t first_slot = chunk << table->chunk_stride_log2;
    bool is_sound = vm_chunk_validate(check->ctx, head, offset, first_slot);
    if (!is_sound)
        vm_problem(check, INODES, CHUNK_DAMAGED,
                   "the head of the inode chunk at block %b fails its check",
                   check->chunk_blocks[chunk]);
    for (unsigned word = 0; word < VM_CHUNK_WORDS; word++) {
        uint64_t first = (uint64_t)word * 64;
        uint64_t valid = 0;
        if (first < table->slots_per_chunk)
            valid = vm_bit_run(0, (unsigned)vm_min(64, table->slots_per_chunk - first));
        if ((vm_get64(head->used[word]) | vm_get64(head->orphan[word])) & ~valid)
            vm_problem(check, INODES, NONE,
                       "word %n of the chunk at block %b has bits behind its end", word,
                       check->chunk_blocks[chunk]);
        check->counted.orphans += vm_popcount64(vm_get64(head->orphan[word]));
    }
}

static void check_free(struct vm_check *check, const struct vm_inode *inode)
{
    const struct vm_inode_media *m = &inode->m;
    bool is_bare = vm_get16(m->mode) == 0 && m->form == VM_BODY_EMPTY && vm_get32(m->nlink) == 0 &&
                   vm_get64(m->size) == 0 && vm_get64(m->blocks) == 0 &&
                   vm_get64(m->xattr_root) == 0;
    if (!is_bare)
        vm_problem(check, INODES, NONE, "slot %n is free but not empty", vm_id_slot(inode->id));
}

/* vm_inode_check() has compared kind, type and form; what is left of them. */
static bool kind_is_sound(const struct vm_inode *inode)
{
    uint32_t type = vm_inode_mode(inode) & VM_MODE_TYPE;
    uint64_t size = vm_inode_size(inode);
    switch (inode->m.kind) {
    case VM_INODE_SPECIAL:
        return type == VM_MODE_CHAR || type == VM_MODE_BLOCK || type == VM_MODE_FIFO ||
               type == VM_MODE_SOCKET;
    case VM_INODE_SYMLINK:
        return size > 0 && size <= VMFS_PATH_MAX &&
               inode->m.form == (size <= VM_INODE_BODY ? VM_BODY_BYTES : VM_BODY_EXTENTS);
    default:
        return true;
    }
}

static void check_living(struct vm_check *check, const struct vm_inode *inode)
{
    const struct vm_inode_media *m = &inode->m;
    uint64_t state = vm_get32(m->generation) >> STATE_SHIFT;
    if (!kind_is_sound(inode))
        vm_problem(check, INODES, NONE, "inode %i has what its type cannot have", inode->id);
    if ((state & ~(uint64_t)VM_STATES_ALL) || (vm_inode_flags(inode) & ~VM_INODE_FLAGS_ALL))
        vm_problem(check, INODES, NONE, "inode %i has undefined flags", inode->id);
    if (vm_inode_is_beyond(inode) && !vm_inode_is_file(inode))
        vm_problem(check, INODES, NONE, "inode %i has blocks beyond its end and is no file",
                   inode->id);
    if (vm_get64(m->birth) > check->region->epoch || vm_get64(m->base_epoch) != 0)
        vm_problem(check, INODES, NONE, "inode %i was not born yet, or is a clone", inode->id);
}

static bool bit_is_set(const struct vm_le64 *words, uint64_t index)
{
    return vm_get64(words[index / 64]) >> index % 64 & 1;
}

static void check_bits(struct vm_check *check, const struct vm_inode *inode,
                       const struct vm_chunk_media *head, uint64_t index)
{
    bool is_living = inode->m.kind != VM_INODE_FREE;
    if (bit_is_set(head->used, index) != is_living)
        vm_problem(check, INODES, NONE, "the used bit of slot %n is %n, its inode is of kind %n",
                   vm_id_slot(inode->id), bit_is_set(head->used, index), inode->m.kind);
}

static void check_slot(struct vm_check *check, uint64_t slot, const struct vm_chunk_media *head,
                       uint64_t index)
{
    struct vm_inode inode;
    vm_slot_load(check, slot, &inode);
    if (slot == 0) {
        if (inode.m.kind != VM_INODE_FREE || !bit_is_set(head->used, 0))
            vm_problem(check, INODES, NONE, "slot %n is somebody's", slot);
        return;
    }
    if (vm_inode_check(check->ctx, slot, inode.offset, &inode.m)) {
        vm_problem(check, INODES, INODE_DAMAGED, "the inode in slot %n fails its check", slot);
        check->counted.inodes_used += bit_is_set(head->used, index);
        return;
    }
    check_bits(check, &inode, head, index);
    if (inode.m.kind == VM_INODE_FREE) {
        check_free(check, &inode);
        return;
    }
    check_living(check, &inode);
    check->flags[slot] = VM_SLOT_LIVING;
    if (vm_inode_is_directory(&inode))
        check->flags[slot] |= VM_SLOT_DIRECTORY;
    check->counted.inodes_used++;
    check->result.inodes++;
}

static void check_chunk(struct vm_check *check, uint64_t chunk)
{
    const struct vm_itable *table = check->ctx->itable;
    struct vm_chunk_media head;
    uint64_t offset = check->chunk_blocks[chunk] * VM_BLOCK_BYTES;
    (void)vm_read(check->ctx, offset, &head, sizeof head); /* lies inside the region */
    check_chunk_head(check, chunk, &head);
    for (uint64_t index = 0; index < table->slots_per_chunk; index++)
        check_slot(check, (chunk << table->chunk_stride_log2) + index, &head, index);
}

static void check_root(struct vm_check *check)
{
    struct vm_inode root;
    const uint8_t wanted = VM_SLOT_LIVING | VM_SLOT_DIRECTORY;
    if (check->slot_count <= VM_ROOT_ID || (check->flags[VM_ROOT_ID] & wanted) != wanted) {
        vm_problem(check, INODES, NONE, "inode %i, the root, is no directory", VM_ROOT_ID);
        return;
    }
    vm_slot_load(check, VM_ROOT_ID, &root);
    if (root.id != VM_ROOT_ID || vm_get64(root.m.parent) != VM_ROOT_ID || vm_inode_nlink(&root) < 2)
        vm_problem(check, INODES, NONE, "the root has generation %n, parent %n and %n links",
                   vm_id_generation(root.id), vm_get64(root.m.parent), vm_inode_nlink(&root));
}

static int slots_prepare(struct vm_check *check)
{
    void *memory = NULL;
    check->slot_count = check->chunk_count << check->ctx->itable->chunk_stride_log2;
    if (check->slot_count == 0)
        return 0;
    int result = vm_alloc(check->ctx, check->slot_count * sizeof *check->links, &memory);
    check->links = memory;
    if (result == 0)
        result = vm_alloc(check->ctx, check->slot_count * sizeof *check->parents, &memory);
    check->parents = result ? NULL : memory;
    if (result == 0)
        result = vm_alloc(check->ctx, check->slot_count, &memory);
    check->flags = result ? NULL : memory;
    return result;
}

int vm_check_inodes(struct vm_check *check)
{
    chunks_gather(check);
    int result = slots_prepare(check);
    if (result)
        return result;
    for (uint64_t chunk = 0; chunk < check->chunk_count; chunk++)
        if (check->chunk_blocks[chunk])
            check_chunk(check, chunk);
    check_root(check);
    return 0;
}

/* What an inode says of itself decides; the bit is what makes the next attach look at it. */
static void check_orphan(struct vm_check *check, uint64_t slot, const struct vm_chunk_media *head,
                         uint64_t index)
{
    struct vm_inode inode = {.id = slot};
    bool is_orphan = false;
    if (check->flags[slot] & VM_SLOT_LIVING) {
        vm_slot_load(check, slot, &inode);
        is_orphan = vm_inode_nlink(&inode) == 0 || vm_inode_is_beyond(&inode);
    }
    if (bit_is_set(head->orphan, index) == is_orphan)
        return;
    if (is_orphan)
        vm_problem(check, ORPHANS, NONE, "inode %i has %n links but no orphan bit", inode.id,
                   vm_inode_nlink(&inode));
    else
        vm_problem(check, ORPHANS, NONE, "the orphan bit of inode %i is set, which is none",
                   inode.id);
}

int vm_check_orphans(struct vm_check *check)
{
    const struct vm_itable *table = check->ctx->itable;
    for (uint64_t chunk = 0; chunk < check->chunk_count; chunk++) {
        struct vm_chunk_media head;
        if (!check->chunk_blocks[chunk])
            continue;
        uint64_t offset = check->chunk_blocks[chunk] * VM_BLOCK_BYTES;
        (void)vm_read(check->ctx, offset, &head, sizeof head); /* lies inside the region */
        for (uint64_t index = 0; index < table->slots_per_chunk; index++)
            check_orphan(check, (chunk << table->chunk_stride_log2) + index, &head, index);
    }
    return 0;
}
