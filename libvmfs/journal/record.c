/* record.c -- encoding, validation and application of redo records */
#include "journal/record.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/util.h"
#include "media/super.h"

#define PLACE_MASK (((uint64_t)1 << 48) - 1)

static uint64_t entry_word(unsigned kind, uint64_t place, uint64_t len_bytes)
{
    VM_ASSERT(place <= PLACE_MASK && len_bytes < 4096 && kind < 16);
    return place | len_bytes << 48 | (uint64_t)kind << 60;
}

static void append_u64(struct vm_record_writer *writer, uint64_t value)
{
    VM_ASSERT(writer->used + 8 <= writer->size);
    struct vm_le64 stored = vm_put64(value);
    memcpy(writer->bytes + writer->used, &stored, sizeof stored);
    writer->used += 8;
}

void vm_record_start(struct vm_record_writer *writer, void *buffer, uint32_t size)
{
    *writer = (struct vm_record_writer){
        .bytes = buffer, .size = size, .used = sizeof(struct vm_record_media)};
}

#define RUN_MAX 4032u

void vm_record_end_run(struct vm_record_writer *writer)
{
    if (!writer->run_at)
        return;
    struct vm_le64 head =
        vm_put64(entry_word(VM_ENTRY_BYTES, writer->run_offset, writer->run_bytes));
    memcpy(writer->bytes + writer->run_at, &head, sizeof head);
    writer->run_at = 0;
    writer->entries++;
}

void vm_record_run(struct vm_record_writer *writer, uint64_t offset, const void *words,
                   uint32_t len_bytes)
{
    bool is_next = writer->run_at && offset == writer->run_offset + writer->run_bytes &&
                   writer->run_bytes + len_bytes <= RUN_MAX;
    VM_ASSERT(len_bytes % 8 == 0 && writer->used + 8 + len_bytes <= writer->size);
    if (!is_next) {
        vm_record_end_run(writer);
        writer->run_at = writer->used;
        writer->run_offset = offset;
        writer->run_bytes = 0;
        writer->used += 8;
    }
    uint8_t *to = writer->bytes + writer->used;
    switch (len_bytes) { /* most runs: with a constant length nothing is called */
    case 8:
        memcpy(to, words, 8);
        break;
    case 16:
        memcpy(to, words, 16);
        break;
    default:
        memcpy(to, words, len_bytes);
        break;
    }
    writer->used += len_bytes;
    writer->run_bytes += len_bytes;
}

void vm_record_words(struct vm_record_writer *writer, const struct vm_entry *entry)
{
    append_u64(writer, entry_word(entry->kind, entry->place, 0));
    if (entry->kind == VM_ENTRY_FILL) {
        VM_ASSERT(entry->len_bytes <= UINT32_MAX && entry->first <= 0xff);
        append_u64(writer, entry->len_bytes | entry->first << 32);
    } else {
        append_u64(writer, entry->first);
    }
    if (entry->kind == VM_ENTRY_MASK)
        append_u64(writer, entry->second);
    writer->entries++;
}

void vm_record_finish(struct vm_record_writer *writer, const struct vm_era *era, uint64_t sequence,
                      uint64_t watermark, const struct vm_record_totals *totals)
{
    struct vm_record_media header = {
        .nonce = vm_put64(era->nonce),
        .sequence = vm_put64(sequence),
        .watermark = vm_put64(watermark),
        .len_bytes = vm_put32(writer->used),
        .entry_count = vm_put16(writer->entries),
        .blocks_delta = vm_put32((uint32_t)totals->blocks),
        .inodes_delta = vm_put32((uint32_t)totals->inodes),
        .orphans_delta = vm_put32((uint32_t)totals->orphans),
        .era = vm_put32((uint32_t)era->number),
    };
    memcpy(writer->bytes, &header, sizeof header);
}

/* The entries' hash needs no secret of its own: it takes the place of `check` in the header, and that is
 * hashed with the era's nonce and the record's place. */
static uint64_t record_check(const uint8_t *bytes, uint32_t len_bytes, uint64_t nonce,
                             uint64_t offset)
{
    struct vm_record_media header;
    memcpy(&header, bytes, sizeof header);
    header.check = vm_put64(vm_hash64(0, bytes + sizeof header, len_bytes - sizeof header));
    return vm_hash64(nonce ^ offset, &header, sizeof header);
}

uint32_t vm_record_pad(struct vm_record_writer *writer)
{
    uint32_t end = (uint32_t)vm_align_up(writer->used, VM_LINE_BYTES);
    VM_ASSERT(end <= writer->size);
    for (uint32_t at = writer->used; at < end; at += 8)
        memset(writer->bytes + at, 0, 8);
    return end;
}

void vm_record_seal(void *record, uint64_t offset)
{
    struct vm_record_media *header = record;
    header->check = vm_put64(record_check(record, vm_get32(header->len_bytes),
                                          vm_get64(header->nonce), offset)); /* H15 */
}

bool vm_record_is_valid(const uint8_t *bytes, uint64_t room, uint64_t nonce, uint64_t offset)
{
    struct vm_record_media header;
    memcpy(&header, bytes, sizeof header);
    if (vm_get64(header.nonce) != nonce)
        return false;
    uint32_t len_bytes = vm_get32(header.len_bytes);
    if (len_bytes < sizeof header || len_bytes > room || len_bytes % 8 ||
        vm_get64(header.sequence) > VM_SEQUENCE_MAX)
        return false;
    return vm_get64(header.check) == record_check(bytes, len_bytes, nonce, offset);
}

struct vm_record_reader vm_record_open(const void *record)
{
    const struct vm_record_media *header = record;
    return (struct vm_record_reader){record, vm_get32(header->len_bytes), sizeof *header};
}

static uint64_t take_u64(struct vm_record_reader *reader)
{
    struct vm_le64 stored;
    memcpy(&stored, reader->bytes + reader->at, sizeof stored);
    reader->at += 8;
    return vm_get64(stored);
}

/* Of an entry that is not bytes. */
static uint32_t entry_tail_bytes(unsigned kind)
{
    switch (kind) {
    case VM_ENTRY_MASK:
        return 16;
    case VM_ENTRY_SET:
    case VM_ENTRY_CLEAR:
    case VM_ENTRY_MAX:
    case VM_ENTRY_FILL:
        return 8;
    default:
        return UINT32_MAX;
    }
}

static int bad_shape(struct vm_err *err, const struct vm_record_reader *reader)
{
    return vm_raise(err, VMFS_R_RECORD_SHAPE, reader->at);
}

static inline int next_words(struct vm_err *err, struct vm_record_reader *reader,
                             struct vm_entry *entry)
{
    if (entry_tail_bytes(entry->kind) > reader->len_bytes - reader->at || entry->len_bytes)
        return bad_shape(err, reader);
    entry->first = take_u64(reader);
    if (entry->kind == VM_ENTRY_MASK)
        entry->second = take_u64(reader);
    if (entry->kind == VM_ENTRY_FILL) {
        entry->len_bytes = entry->first & UINT32_MAX;
        entry->first = entry->first >> 32 & 0xff;
    }
    return 1;
}

static inline int next_entry(struct vm_err *err, struct vm_record_reader *reader,
                             struct vm_entry *entry)
{
    if (reader->at == reader->len_bytes)
        return 0;
    uint64_t word = take_u64(reader);
    entry->kind = (unsigned)(word >> 60);
    entry->place = word & PLACE_MASK;
    entry->len_bytes = word >> 48 & 0xfff;
    if (entry->kind != VM_ENTRY_BYTES)
        return next_words(err, reader, entry);
    uint32_t tail = (uint32_t)vm_align_up(entry->len_bytes, 8);
    if (tail > reader->len_bytes - reader->at || tail == 0)
        return bad_shape(err, reader);
    entry->bytes = reader->bytes + reader->at;
    reader->at += tail;
    return 1;
}

int vm_record_next(struct vm_err *err, struct vm_record_reader *reader, struct vm_entry *entry)
{
    return next_entry(err, reader, entry);
}

static bool target_is_allowed(const struct vm_region *region, const struct vm_entry *entry)
{
    switch (entry->kind) {
    case VM_ENTRY_BYTES:
    case VM_ENTRY_FILL:
        return vm_region_is_home(region, entry->place, entry->len_bytes);
    case VM_ENTRY_MASK:
    case VM_ENTRY_MAX:
        return entry->place % 8 == 0 && vm_region_is_home(region, entry->place, 8);
    default:
        return entry->first > 0 && vm_range_inside(entry->place, entry->first, region->blocks);
    }
}

int vm_record_validate(struct vm_err *err, const struct vm_region *region, const void *record)
{
    struct vm_record_reader reader = vm_record_open(record);
    struct vm_entry entry = {0};
    int more;
    while ((more = vm_record_next(err, &reader, &entry)) > 0)
        if (!target_is_allowed(region, &entry))
            return vm_raise(err, VMFS_R_RECORD_TARGET, entry.place); /* H15 */
    return more;
}

static void apply_bits(struct vm_ctx *ctx, const struct vm_entry *entry)
{
    uint64_t block = entry->place;
    uint64_t left = entry->first;
    while (left) {
        struct vm_bit bit = vm_region_bit(ctx->region, block);
        unsigned count = (unsigned)vm_min(left, 64 - bit.bit);
        uint64_t run = vm_bit_run(bit.bit, count);
        vm_io_mask(&ctx->io, bit.word_offset, run, entry->kind == VM_ENTRY_SET ? run : 0);
        block += count;
        left -= count;
    }
}

#define FILL_PIECE 256u

static void apply_fill(struct vm_ctx *ctx, const struct vm_entry *entry)
{
    _Alignas(8) uint8_t piece[FILL_PIECE];
    memset(piece, (int)entry->first, sizeof piece);
    uint64_t done = 0;
    while (done < entry->len_bytes) {
        uint64_t count = vm_min(FILL_PIECE, entry->len_bytes - done);
        vm_io_store(&ctx->io, entry->place + done, piece, count);
        done += count;
    }
}

static void apply_entry(struct vm_ctx *ctx, const struct vm_entry *entry)
{
    switch (entry->kind) {
    case VM_ENTRY_BYTES:
        vm_io_store(&ctx->io, entry->place, entry->bytes, entry->len_bytes);
        break;
    case VM_ENTRY_MASK: /* H10 */
        vm_io_mask(&ctx->io, entry->place, entry->first, entry->second);
        break;
    case VM_ENTRY_SET:
    case VM_ENTRY_CLEAR: /* H10 */
        apply_bits(ctx, entry);
        break;
    case VM_ENTRY_MAX:
        vm_io_max(&ctx->io, entry->place, entry->first);
        break;
    default:
        apply_fill(ctx, entry);
        break;
    }
}

void vm_record_apply(struct vm_ctx *ctx, const void *record)
{
    struct vm_record_reader reader = vm_record_open(record);
    struct vm_entry entry = {0};
    int more;
    while ((more = next_entry(&ctx->err, &reader, &entry)) > 0)
        apply_entry(ctx, &entry);
    VM_ASSERT(more == 0);
}
