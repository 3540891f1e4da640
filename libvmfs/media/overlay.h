/* overlay.h -- bytes that an operation is about to change, line by line
 *
 * Nothing reaches a home before its record is fenced (H4): an operation stages its stores here, its own
 * reads see them through vm_read(), and the journal logs what differs from the home. */
#ifndef VM_MEDIA_OVERLAY_H
#define VM_MEDIA_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#define VM_OVERLAY_LINES 160u
#define VM_OVERLAY_SLOTS 512u

struct vm_overlay_line {
    uint64_t offset;
    uint8_t bytes[64];
    uint16_t slot; /* of `slots` */
    bool is_fresh; /* of a block taken just now: what is there already counts for nothing */
};

struct vm_overlay {
    uint32_t count;
    uint64_t filter;                 /* bit per hash of a staged line: a quick "no" */
    uint8_t slots[VM_OVERLAY_SLOTS]; /* open addressing: line index + 1, 0 free */
    struct vm_overlay_line lines[VM_OVERLAY_LINES];
};

/* The staged line at `offset` (a multiple of 64), or null. */
struct vm_overlay_line *vm_overlay_find(struct vm_overlay *overlay, uint64_t offset);

/* The same, but staged now if it was not: then the caller fills it. */
struct vm_overlay_line *vm_overlay_take(struct vm_overlay *overlay, uint64_t offset,
                                        bool *is_new_out);

void vm_overlay_reset(struct vm_overlay *overlay);

#endif
