/* text_journal.c -- records and their entries as text */
#include <string.h>

#include "check/text.h"
#include "journal/record.h"

static const char *kind_text(unsigned kind)
{
    static const char *const names[] = {"?",     "BYTES", "MASK", "SET",
                                        "CLEAR", "MAX",   "FILL", "SPILL"};
    return kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}

static void entry_to_text(struct vm_dump *dump, const struct vm_entry *entry)
{
    vm_say_text(dump, kind_text(entry->kind));
    switch (entry->kind) {
    case VM_ENTRY_BYTES:
        vm_say(dump, ": offset=%n len_bytes=%n bytes=", entry->place, entry->len_bytes);
        vm_say_hex(dump, entry->bytes, entry->len_bytes);
        break;
    case VM_ENTRY_MASK:
        vm_say(dump, ": offset=%n mask=%x value=%x", entry->place, entry->first, entry->second);
        break;
    case VM_ENTRY_SET:
    case VM_ENTRY_CLEAR:
        vm_say(dump, ": block=%n blocks=%n", entry->place, entry->first);
        break;
    case VM_ENTRY_MAX:
        vm_say(dump, ": offset=%n value=%n", entry->place, entry->first);
        break;
    default:
        vm_say(dump, ": offset=%n len_bytes=%n byte=%x", entry->place, entry->len_bytes,
               entry->first);
    }
    vm_say_end(dump);
}

static uint64_t magnitude(int32_t value)
{
    return value < 0 ? (uint64_t) - (int64_t)value : (uint64_t)value;
}

static void say_delta(struct vm_dump *dump, const char *label, struct vm_le32 delta)
{
    int32_t value = (int32_t)vm_get32(delta);
    vm_say_text(dump, label);
    vm_say(dump, value < 0 ? "-%n" : "+%n", magnitude(value));
}

/* Its bytes are a copy. */
static void record_to_text(struct vm_dump *dump, const uint8_t *bytes, uint64_t offset)
{
    struct vm_record_media header;
    memcpy(&header, bytes, sizeof header);
    vm_say(dump, "record: offset=%n check=%c sequence=%n watermark=%n len_bytes=%n entries=%n",
           offset, vm_record_validate(&dump->ctx->err, dump->region, bytes) == 0,
           vm_get64(header.sequence), vm_get64(header.watermark), vm_get32(header.len_bytes),
           vm_get16(header.entry_count));
    say_delta(dump, " blocks=", header.blocks_delta);
    say_delta(dump, " inodes=", header.inodes_delta);
    say_delta(dump, " orphans=", header.orphans_delta);
    vm_say_end(dump);
    dump->indent++;
    struct vm_record_reader reader = vm_record_open(bytes);
    struct vm_entry entry;
    int more;
    while ((more = vm_record_next(&dump->ctx->err, &reader, &entry)) > 0)
        entry_to_text(dump, &entry);
    if (more < 0) {
        vm_say_text(dump, "BAD: the rest is malformed");
        vm_say_end(dump);
    }
    dump->indent--;
}

void vm_lane_to_text(struct vm_dump *dump, uint32_t lane, uint64_t nonce, uint8_t *buffer)
{
    const struct vm_region *region = dump->region;
    uint64_t start = region->lane_offset + (uint64_t)lane * region->lane_bytes;
    vm_copy_data(buffer, region->base + start, region->lane_bytes);
    vm_say(dump, "lane %n: offset=%n len_bytes=%n", lane, start, region->lane_bytes);
    vm_say_end(dump);
    dump->indent++;
    for (uint64_t at = 0; at < region->lane_bytes; at += 64)
        if (vm_record_is_valid(buffer + at, region->lane_bytes - at, nonce, start + at))
            record_to_text(dump, buffer + at, start + at);
    dump->indent--;
}
