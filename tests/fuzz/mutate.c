/* mutate.c -- verbs and checksums */
#include "mutate.h"

#include <string.h>

#include "base/hash.h"
#include "index/cell.h"
#include "journal/record.h"
#include "seed.h"

/* ---- checksums ---- */

static void put32(uint8_t *at, uint32_t value)
{
    const struct vm_le32 stored = vm_put32(value);
    memcpy(at, &stored, sizeof stored);
}

/* Of `len_bytes` from `at` on, with the hash in them read as zero. */
static void seal(uint8_t *at, size_t hash_offset, size_t len_bytes, uint64_t seed)
{
    put32(at + hash_offset, 0);
    put32(at + hash_offset, vm_hash32(seed, at, len_bytes));
}

static void seal_super(uint8_t *at)
{
    struct vm_super_media *super = (void *)at;
    super->check = vm_put64(vm_hash64(0, at + 16, sizeof *super - 16));
}

static void seal_watermark(uint8_t *at, uint64_t offset)
{
    struct vm_watermark_media *line = (void *)at;
    line->check = vm_put64(vm_hash64(vm_get64(line->nonce) ^ offset, at, 56));
}

static void seal_node(uint8_t *at, enum atlas_kind kind, uint64_t seed)
{
    const struct vm_node_media *head = (const void *)at;
    size_t hashed = kind == ATLAS_inner ? 64 : kind == ATLAS_named ? 128 : 160;
    if (head->kind == VM_NODE_INNER || head->kind == VM_NODE_NAMED || head->kind == VM_NODE_FIXED)
        hashed = head->kind == VM_NODE_INNER ? 64 : head->kind == VM_NODE_NAMED ? 128 : 160;
    seal(at, offsetof(struct vm_node_media, hash), hashed, seed);
}

/* As many cells as it says, if they lie inside the leaf. */
static void seal_cell(uint8_t *at, uint64_t offset, uint64_t seed)
{
    const struct vm_cell_media *cell = (const void *)at;
    uint64_t room = VM_BLOCK_BYTES - offset % VM_BLOCK_BYTES;
    uint64_t len_bytes = cell->cells * (uint64_t)VM_CELL_BYTES;
    if (len_bytes == 0 || len_bytes > room)
        len_bytes = VM_CELL_BYTES;
    seal(at, offsetof(struct vm_cell_media, hash), len_bytes, seed);
}

static void seal_inode(uint8_t *at, uint64_t seed)
{
    struct vm_inode_media *inode = (void *)at;
    inode->hash0 = vm_put32(vm_hash32(seed, at + 4, 52));
    inode->hash1 = vm_put32(vm_hash32(seed, at + 68, VM_INODE_BYTES - 68));
}

static bool seal_record(struct arena *arena, uint64_t offset)
{
    struct vm_record_media *record = (void *)(arena->memory + offset);
    uint32_t len_bytes = vm_get32(record->len_bytes);
    if (len_bytes < sizeof *record || len_bytes > arena->bytes - offset)
        return false;
    vm_record_seal(record, offset);
    return true;
}

bool mutate_mend(struct arena *arena, const struct atlas *atlas, const struct atlas_object *object)
{
    uint8_t *at = arena->memory + object->offset;
    uint64_t seed = atlas->hash_seed ^ object->salt;
    bool is_mended = true;
    arena_touch(arena, object->offset, 8);
    switch (object->kind) {
    case ATLAS_super:
        seal_super(at);
        break;
    case ATLAS_watermark:
        seal_watermark(at, object->offset);
        break;
    case ATLAS_record:
        is_mended = seal_record(arena, object->offset);
        break;
    case ATLAS_zone_state:
    case ATLAS_group:
    case ATLAS_map:
    case ATLAS_chunk:
        put32(at + 4, vm_hash32(seed, at + 8, 56));
        break;
    case ATLAS_inner:
    case ATLAS_named:
    case ATLAS_fixed:
        seal_node(at, object->kind, seed);
        break;
    case ATLAS_cell:
        seal_cell(at, object->offset, seed);
        break;
    case ATLAS_extent:
        seal(at, offsetof(struct vm_extent_media, hash), sizeof(struct vm_extent_media),
             atlas->hash_seed);
        break;
    case ATLAS_map_entry:
        put32(at + offsetof(struct vm_map_entry_media, hash), vm_hash32(seed, at, 12));
        break;
    case ATLAS_inode:
        seal_inode(at, seed);
        break;
    case ATLAS_zone:
    case ATLAS_share:
    case ATLAS_owner:
    case ATLAS_node:
    case ATLAS_xattr:
    case ATLAS_acl:
    case ATLAS_acl_entry:
    case ATLAS_retired:
    case ATLAS_bitmap:
    case ATLAS_entry:
    case ATLAS_KINDS:
        break;
    }
    if (object->parent == ATLAS_NONE)
        return is_mended;
    return mutate_mend(arena, atlas, &atlas->objects[object->parent]) && is_mended;
}

/* ---- verbs ---- */

static uint64_t load(const uint8_t *at, uint32_t len_bytes)
{
    uint64_t value = 0;
    for (uint32_t byte = 0; byte < len_bytes; byte++)
        value |= (uint64_t)at[byte] << 8 * byte;
    return value;
}

static void store(uint8_t *at, uint32_t len_bytes, uint64_t value)
{
    for (uint32_t byte = 0; byte < len_bytes; byte++)
        at[byte] = (uint8_t)(value >> 8 * byte);
}

static uint64_t place_of(const struct input_target *target)
{
    return target->object->offset + target->field->offset +
           (uint64_t)target->element * target->field->element_bytes;
}

/* Where some structure lies, as an offset, a block or an id; or where the region ends. */
static uint64_t pointer(const struct atlas *atlas, uint64_t value)
{
    const struct atlas_object *object = &atlas->objects[(value >> 8) % atlas->count];
    const uint64_t choices[] = {
        object->offset,
        object->offset / VM_BLOCK_BYTES,
        object->owner,
        object->salt,
        atlas->region_bytes,
        atlas->region_bytes / VM_BLOCK_BYTES,
        atlas->region_bytes - VM_BLOCK_BYTES,
        atlas->region_bytes / VM_BLOCK_BYTES - 1,
        (uint64_t)1 << (value >> 8) % 64,
        ((uint64_t)1 << (value >> 8) % 64) - 1,
    };
    return choices[value % 256 % (sizeof choices / sizeof choices[0])];
}

static uint64_t changed(const struct atlas *atlas, const struct input_mutation *mutation,
                        uint64_t before, uint32_t bits)
{
    switch (mutation->verb) {
    case INPUT_ZERO:
        return 0;
    case INPUT_ONES:
        return ~(uint64_t)0;
    case INPUT_BIT:
        return before ^ (uint64_t)1 << mutation->value % bits;
    case INPUT_ADD:
        return before + mutation->value;
    case INPUT_SUB:
        return before - mutation->value;
    case INPUT_POINT:
        return pointer(atlas, mutation->value);
    default:
        return mutation->value;
    }
}

/* The same field of another object of this kind: both get what the other one had. */
static bool swap(struct arena *arena, const struct atlas *atlas,
                 const struct input_mutation *mutation, const struct input_target *target)
{
    struct input_mutation second = *mutation;
    struct input_target other;
    second.object = (uint16_t)mutation->value;
    second.element = (uint16_t)(mutation->value >> 16 ? mutation->value >> 16 : mutation->element);
    if (!input_target(atlas, &second, &other))
        return true;
    uint8_t *mine = arena->memory + place_of(target);
    uint8_t *theirs = arena->memory + place_of(&other);
    uint32_t len_bytes = target->field->element_bytes;
    uint64_t value = load(mine, len_bytes);
    arena_touch(arena, place_of(target), len_bytes);
    arena_touch(arena, place_of(&other), len_bytes);
    store(mine, len_bytes, load(theirs, len_bytes));
    store(theirs, len_bytes, value);
    return mutation->flags & INPUT_BROKEN || mutate_mend(arena, atlas, other.object);
}

static bool apply(struct arena *arena, const struct atlas *atlas,
                  const struct input_mutation *mutation)
{
    struct input_target target;
    if (!input_target(atlas, mutation, &target))
        return true;
    bool is_mended = true;
    uint64_t offset = place_of(&target);
    uint32_t len_bytes = target.field->element_bytes;
    uint8_t *at = arena->memory + offset;
    arena_touch(arena, offset, len_bytes);
    if (mutation->verb == INPUT_SWAP)
        is_mended = swap(arena, atlas, mutation, &target);
    else
        store(at, len_bytes, changed(atlas, mutation, load(at, len_bytes), 8 * len_bytes));
    if (mutation->flags & INPUT_BROKEN)
        return false;
    return mutate_mend(arena, atlas, target.object) && is_mended;
}

/* Superblocks and watermark lines, and what is in them, exist twice, one copy behind the other. */
static bool has_twin(unsigned kind)
{
    return kind == ATLAS_super || kind == ATLAS_share || kind == ATLAS_zone ||
           kind == ATLAS_watermark;
}

bool mutate_all(struct arena *arena, const struct atlas *atlas, const struct input *input)
{
    bool is_mended = true;
    for (unsigned index = 0; index < input->count; index++) {
        struct input_mutation mutation = input->mutations[index];
        is_mended = apply(arena, atlas, &mutation) && is_mended;
        if (!(mutation.flags & INPUT_TWIN) || !has_twin(mutation.kind))
            continue;
        mutation.object = (uint16_t)(mutation.object + atlas->kind_count[mutation.kind] / 2);
        is_mended = apply(arena, atlas, &mutation) && is_mended;
    }
    return is_mended;
}
