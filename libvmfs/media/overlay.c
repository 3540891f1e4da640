/* overlay.c -- a small hash table of staged lines */
#include "media/overlay.h"

#include "base/check.h"

static uint64_t line_hash(uint64_t offset)
{
    return (offset / 64) * 0x9e3779b97f4a7c15u >> 32;
}

struct vm_overlay_line *vm_overlay_find(struct vm_overlay *overlay, uint64_t offset)
{
    uint64_t hash = line_hash(offset);
    if (!(overlay->filter >> (hash % 64) & 1))
        return NULL;
    for (uint64_t slot = hash % VM_OVERLAY_SLOTS; overlay->slots[slot];
         slot = (slot + 1) % VM_OVERLAY_SLOTS) {
        struct vm_overlay_line *line = &overlay->lines[overlay->slots[slot] - 1];
        if (line->offset == offset)
            return line;
    }
    return NULL;
}

struct vm_overlay_line *vm_overlay_take(struct vm_overlay *overlay, uint64_t offset,
                                        bool *is_new_out)
{
    uint64_t hash = line_hash(offset);
    uint64_t slot = hash % VM_OVERLAY_SLOTS;
    *is_new_out = false;
    for (; overlay->slots[slot]; slot = (slot + 1) % VM_OVERLAY_SLOTS) {
        struct vm_overlay_line *line = &overlay->lines[overlay->slots[slot] - 1];
        if (line->offset == offset)
            return line;
    }
    VM_ASSERT(overlay->count < VM_OVERLAY_LINES);
    struct vm_overlay_line *line = &overlay->lines[overlay->count++];
    overlay->slots[slot] = (uint8_t)overlay->count;
    overlay->filter |= (uint64_t)1 << (hash % 64);
    line->offset = offset;
    line->slot = (uint16_t)slot;
    *is_new_out = true;
    return line;
}

void vm_overlay_reset(struct vm_overlay *overlay)
{
    for (uint32_t index = 0; index < overlay->count; index++)
        overlay->slots[overlay->lines[index].slot] = 0;
    overlay->count = 0;
    overlay->filter = 0;
}
