/* repair_inodes.c -- the inode map, chunks, and inodes by themselves */
#include <string.h>

#include "base/hash.h"
#include "base/util.h"
#include "check/repair.h"
#include "check/validate.h"
#include "inode/table.h"

#define FLAGS_SHIFT 48u
#define STATE_SHIFT 24u

void vm_repair_seal(const struct vm_ctx *ctx, struct vm_inode *inode)
{
    uint64_t seed = ctx->region->hash_seed ^ vm_id_slot(inode->id);
    struct vm_inode_media *m = &inode->m;
    m->hash0 = vm_put32(vm_hash32(seed, &m->mode, 52));
    m->hash1 = vm_put32(vm_hash32(seed, &m->project, VM_INODE_BYTES - 68));
}

void vm_repair_store(struct vm_ctx *ctx, struct vm_inode *inode)
{
    vm_repair_seal(ctx, inode);
    vm_tx_write(ctx, inode->offset, &inode->m, sizeof inode->m); /* N1 */
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
    if (!is_sound && vm_repair_rescue(check, &inode) && !is_hopeless(&inode)) {
        is_sound = true;
        vm_repair_store(check->ctx, &inode);
        vm_mended(check, INODES,
                  "half of inode %i failed its check; it stays, but mode, owner and times may be "
                  "wrong, and names and data are looked at next",
                  inode.id);
    }
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

/* Slot 0 is nobody's, as an id of 0 names nothing: whatever claims it was never reached. */
static void null_slot_mend(struct vm_check *check)
{
    struct vm_inode inode;
    vm_slot_load(check, 0, &inode);
    if (inode.m.kind == VM_INODE_FREE)
        return;
    slot_free(check, &inode);
    vm_mended(check, INODES, "slot %n, which is nobody's, is empty", (uint64_t)0);
}

static bool word_mend(struct vm_check *check, uint64_t offset, uint64_t wanted)
{
    if (vm_load64_home(check->region, offset) == wanted)
        return false;
    vm_tx_mask(check->ctx, offset, ~(uint64_t)0, wanted); /* T2 */
    return true;
}

static uint64_t valid_slots(const struct vm_itable *table, unsigned word)
{
    uint64_t first = (uint64_t)word * 64;
    if (first >= table->slots_per_chunk)
        return 0;
    return vm_bit_run(0, (unsigned)vm_min(64, table->slots_per_chunk - first));
}

/* Slots of one word of a chunk, with its used bits. */
static int word_of_slots(struct vm_check *check, uint64_t chunk, unsigned word)
{
    const struct vm_itable *table = check->ctx->itable;
    uint64_t head = check->chunk_blocks[chunk] * VM_BLOCK_BYTES;
    uint64_t used = 0;
    /* For its two words, which may change also where there are no slots, and for each slot. */
    int result = vm_repair_room(check->ctx, 2, 8);
    for (unsigned bit = 0; result == 0 && bit < 64; bit++) {
        uint64_t index = (uint64_t)word * 64 + bit;
        uint64_t slot = (chunk << table->chunk_stride_log2) + index;
        bool is_living = slot == 0;
        if (index >= table->slots_per_chunk)
            break;
        if (slot)
            slot_mend(check, slot, &is_living);
        else
            null_slot_mend(check);
        used |= (uint64_t)is_living << bit;
        result = vm_repair_room(check->ctx, 2, 8);
    }
    if (result)
        return result;
    uint64_t offset = head + offsetof(struct vm_chunk_media, used) + word * 8u;
    if (word_mend(check, offset, used))
        vm_mended(check, INODES, "the used bits at offset %o agree with their inodes", offset);
    offset = head + offsetof(struct vm_chunk_media, orphan) + word * 8u;
    if (word_mend(check, offset, vm_load64_home(check->region, offset) & valid_slots(table, word)))
        vm_mended(check, INODES, "orphan bits behind the end are clear, offset %o", offset);
    return 0;
}

void vm_repair_chunk_head(struct vm_check *check, uint64_t block, uint64_t first_slot)
{
    uint64_t offset = block * VM_BLOCK_BYTES;
    struct vm_chunk_media fresh = {.magic = vm_put32(VM_MAGIC_CHUNK),
                                   .self = vm_put64(offset),
                                   .birth = vm_put64(check->region->epoch),
                                   .first_slot = vm_put64(first_slot),
                                   .inodes =
                                       vm_put32((uint32_t)check->ctx->itable->slots_per_chunk)};
    uint64_t seed = check->region->hash_seed ^ offset;
    fresh.hash = vm_put32(vm_hash32(seed, &fresh.self, VM_HEAD_HASHED));
    vm_tx_write(check->ctx, offset, &fresh, offsetof(struct vm_chunk_media, used));
}

static int chunk_mend(struct vm_check *check, uint64_t chunk)
{
    struct vm_chunk_media head;
    uint64_t block = check->chunk_blocks[chunk];
    uint64_t first_slot = chunk << check->ctx->itable->chunk_stride_log2;
    int result = vm_read(check->ctx, block * VM_BLOCK_BYTES, &head, sizeof head);
    if (result)
        return result;
    if (!vm_chunk_validate(check->ctx, &head, block * VM_BLOCK_BYTES, first_slot)) {
        vm_repair_chunk_head(check, block, first_slot);
        vm_mended(
            check, INODES,
            "the head of the inode chunk at block %b is written again; of slots %n to %n those "
            "are free now that hold no inode",
            block, first_slot, first_slot + check->ctx->itable->slots_per_chunk - 1);
    }
    for (unsigned word = 0; result == 0 && word < VM_CHUNK_WORDS; word++)
        result = word_of_slots(check, chunk, word);
    return result;
}

int vm_repair_inodes(struct vm_check *check)
{
    bool is_changed; /* then the chunks are not those that were looked at */
    int result = vm_repair_map(check, &is_changed);
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
