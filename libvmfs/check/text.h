/* text.h -- structures of the medium as lines for a person
 *
 * Each structure has a to_text that copies it out once, says whether it is sound by itself, and then
 * prints what is there all the same: what is damaged is what one wants to see. A line is
 * "<structure>: label=value ..."; what belongs to it is indented below. */
#ifndef VM_CHECK_TEXT_H
#define VM_CHECK_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "media/ctx.h"
#include "media/format.h"
#include "vmfs.h"

#define VM_DUMP_LINE_BYTES                                                                         \
    9000u /* the longest entry of a record in hexadecimal; a longer path is cut */

struct vm_dump {
    struct vm_ctx *ctx;
    const struct vm_region *region;
    vmfs_text_fn fn;
    void *arg;
    unsigned indent;
    bool is_begun; /* a line */
    struct vm_text line;
    char bytes[VM_DUMP_LINE_BYTES];
};

/* Adds to the line. In the text %n stands for the next number in decimal, %x in hexadecimal, %m in
 * octal, %c for "good" or "BAD". */
#define vm_say(dump, text, ...) vm_say_numbers((dump), (text), (const uint64_t[]){__VA_ARGS__})
void vm_say_numbers(struct vm_dump *dump, const char *text, const uint64_t *numbers);
void vm_say_text(struct vm_dump *dump, const char *text);
/* In quotes; what is no printable ASCII, and the quote and the backslash, as \xNN. */
void vm_say_bytes(struct vm_dump *dump, const uint8_t *bytes, size_t len_bytes);
void vm_say_hex(struct vm_dump *dump, const uint8_t *bytes, size_t len_bytes);
/* Hands the line out. */
void vm_say_end(struct vm_dump *dump);

/* ---- what lies at an offset, which is inside the region ---- */

void vm_super_to_text(struct vm_dump *dump, uint64_t offset);
void vm_line_to_text(struct vm_dump *dump, uint64_t offset);
void vm_owner_to_text(struct vm_dump *dump, uint64_t offset);
void vm_zone_to_text(struct vm_dump *dump, const struct vm_zone *zone);
/* Descriptor and bitmap. */
void vm_group_to_text(struct vm_dump *dump, uint64_t group);
void vm_bitmap_to_text(struct vm_dump *dump, uint64_t group);

/* Every record of this era in a lane, with its entries; `nonce` is the era's. `buffer` has room for a
 * lane. */
void vm_lane_to_text(struct vm_dump *dump, uint32_t lane, uint64_t nonce, uint8_t *buffer);

void vm_map_to_text(struct vm_dump *dump, uint64_t offset);
void vm_chunk_to_text(struct vm_dump *dump, uint64_t offset);
/* `slot` is what its place says. */
void vm_inode_to_text(struct vm_dump *dump, uint64_t slot, uint64_t offset);

/* A node of any kind with its cells, slots or children. */
void vm_node_to_text(struct vm_dump *dump, uint64_t offset);
void vm_extent_to_text(struct vm_dump *dump, const struct vm_extent_media *media, uint64_t offset);

#endif
