/* cell.c -- reading, checking and composing the cells of a name */
#include "index/cell.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/util.h"

VM_CHECK_SIZE(struct vm_cell_media, VM_CELL_BYTES);
VM_CHECK_VALUE(VM_NAMED_PAYLOAD_MAX,
               VM_ENTRY_CELLS_MAX *VM_CELL_BYTES - offsetof(struct vm_cell_media, payload));

#define LOW_BITS 0x7f7f7f7f7f7f7f7fu

uint64_t vm_cell_run(uint32_t cell, uint32_t cells)
{
    return vm_bit_run(cell, cells);
}

/* One bit for each zero byte of a word, gathered in the low eight bits. */
static uint64_t zero_bytes(uint64_t word)
{
    uint64_t high_bits = ~(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS);
    return ((high_bits >> 7) * 0x0102040810204080u) >> 56;
}

uint64_t vm_cells_matching(const struct vm_named_head *leaf, uint8_t fp)
{
    struct vm_le64 words[8];
    memcpy(words, leaf->fp, sizeof words);
    uint64_t pattern = fp * (uint64_t)0x0101010101010101u;
    uint64_t equal = 0;
    for (unsigned index = 0; index < 8; index++)
        equal |= zero_bytes(vm_get64(words[index]) ^ pattern) << (8 * index);
    uint64_t all = vm_bit_run(0, VM_CELL_COUNT);
    return fp ? equal & all : ~equal & all;
}

int vm_entry_damaged(struct vm_ctx *ctx, uint64_t leaf, uint32_t cell)
{
    return vm_raise(&ctx->err, VMFS_R_SLOT_DAMAGED, vm_cell_offset(leaf, cell));
}

static uint32_t entry_hash(const struct vm_region *region, const union vm_entry_cells *entry,
                           uint64_t offset)
{
    return vm_hash32(region->hash_seed ^ offset, entry->bytes,
                     (size_t)entry->cell.cells * VM_CELL_BYTES);
}

int vm_entry_read(struct vm_ctx *ctx, uint64_t leaf, uint32_t cell, union vm_entry_cells *out)
{
    VM_ASSERT(cell < VM_CELL_COUNT);
    uint64_t offset = vm_cell_offset(leaf, cell);
    int result = vm_read(ctx, offset, out->bytes, VM_CELL_BYTES);
    if (result)
        return result;
    uint32_t cells = out->cell.cells;
    uint32_t room = cells * VM_CELL_BYTES - (uint32_t)offsetof(struct vm_cell_media, payload);
    if (cells == 0 || cells > VM_ENTRY_CELLS_MAX || cells > VM_CELL_COUNT - cell ||
        out->cell.name_bytes == 0 || out->cell.name_bytes > room)
        return vm_entry_damaged(ctx, leaf, cell);
    if (cells > 1)
        result = vm_read(ctx, offset + VM_CELL_BYTES, out->bytes + VM_CELL_BYTES,
                         (size_t)(cells - 1) * VM_CELL_BYTES);
    if (result)
        return result;
    uint32_t expected = vm_get32(out->cell.hash);
    out->cell.hash = vm_put32(0);
    if (entry_hash(ctx->region, out, offset) != expected)
        return vm_entry_damaged(ctx, leaf, cell);
    return 0;
}

int vm_entry_load(struct vm_ctx *ctx, const union vm_head *leaf, uint32_t cell,
                  union vm_entry_cells *out)
{
    uint64_t self = vm_head_self(leaf);
    int result = vm_entry_read(ctx, self, cell, out);
    if (result)
        return result;
    uint64_t key = vm_get64(out->cell.key);
    uint64_t run = vm_cell_run(cell, out->cell.cells);
    bool is_inside = key >= vm_get64(leaf->node.low) && key < vm_get64(leaf->node.high);
    if (!is_inside || (vm_get64(leaf->named.bitmap) & run) != run ||
        leaf->named.fp[cell] != vm_key_fp(key))
        return vm_entry_damaged(ctx, self, cell);
    return 0;
}

bool vm_entry_has_name(const union vm_entry_cells *entry, uint64_t key, struct vm_name name)
{
    return vm_get64(entry->cell.key) >> VM_KEY_HASH_SHIFT == key >> VM_KEY_HASH_SHIFT &&
           entry->cell.name_bytes == name.len_bytes &&
           memcmp(entry->cell.payload, name.bytes, vm_min(name.len_bytes, VM_CELL_INLINE)) == 0 &&
           (name.len_bytes <= VM_CELL_INLINE ||
            memcmp(entry->bytes + VM_CELL_BYTES, name.bytes + VM_CELL_INLINE,
                   name.len_bytes - VM_CELL_INLINE) == 0);
}

static uint32_t entry_room(const union vm_entry_cells *entry)
{
    return entry->cell.cells * VM_CELL_BYTES - (uint32_t)offsetof(struct vm_cell_media, payload);
}

void vm_entry_hit(const union vm_entry_cells *entry, uint64_t leaf, uint32_t cell,
                  struct vm_named_hit *out)
{
    out->entry = (struct vm_named_entry){
        .key = vm_get64(entry->cell.key),
        .value = vm_get64(entry->cell.value),
        .type = entry->cell.type,
        .name_bytes = entry->cell.name_bytes,
        .payload_bytes = (uint16_t)(entry_room(entry) - entry->cell.name_bytes),
    };
    out->leaf = leaf;
    out->cell = cell;
    out->cells = entry->cell.cells;
    out->head_word = 0;
}

void vm_entry_copy(const union vm_entry_cells *entry, uint8_t *name)
{
    memcpy(name, entry->bytes + offsetof(struct vm_cell_media, payload), entry_room(entry));
}

uint32_t vm_entry_cell_count(const struct vm_named_new *entry)
{
    uint32_t size = entry->name.len_bytes + entry->payload.len_bytes;
    VM_ASSERT(entry->name.len_bytes > 0 && entry->name.len_bytes <= 255 &&
              entry->payload.len_bytes <= VM_NAMED_PAYLOAD_MAX - entry->name.len_bytes);
    return (uint32_t)vm_div_up(size + offsetof(struct vm_cell_media, payload), VM_CELL_BYTES);
}

void vm_entry_compose(const struct vm_named_new *entry, uint64_t key, union vm_entry_cells *out)
{
    uint32_t cells = vm_entry_cell_count(entry);
    memset(out->bytes, 0, (size_t)cells * VM_CELL_BYTES);
    out->cell.key = vm_put64(key);
    out->cell.value = vm_put64(entry->value);
    out->cell.name_bytes = (uint8_t)entry->name.len_bytes;
    out->cell.type = entry->type;
    out->cell.cells = (uint8_t)cells;
    uint8_t *payload = out->bytes + offsetof(struct vm_cell_media, payload);
    memcpy(payload, entry->name.bytes, entry->name.len_bytes);
    if (entry->payload.len_bytes)
        memcpy(payload + entry->name.len_bytes, entry->payload.bytes, entry->payload.len_bytes);
}

void vm_entry_seal(const struct vm_region *region, union vm_entry_cells *entry, uint64_t offset)
{
    entry->cell.hash = vm_put32(0);
    entry->cell.hash = vm_put32(entry_hash(region, entry, offset));
}
