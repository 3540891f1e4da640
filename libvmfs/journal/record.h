/* record.h -- one redo record: building, checking, applying
 *
 * H15 A record checks only in its own place and era: the check is seeded with the era's secret nonce
 *     and the record's offset, so bytes that a user wrote into a lane can never pass for one. All
 *     targets are validated before the first record is applied. */
#ifndef VM_JOURNAL_RECORD_H
#define VM_JOURNAL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "media/ctx.h"

/* A decoded entry; `bytes` points into the record. */
struct vm_entry {
    unsigned kind;
    uint64_t place;
    uint64_t len_bytes; /* BYTES, FILL */
    uint64_t first;     /* MASK: mask; SET, CLEAR: count; MAX: value; FILL: the byte */
    uint64_t second;    /* MASK: value */
    const uint8_t *bytes;
};

/* Appends entries to a buffer that is known to be large enough. */
struct vm_record_writer {
    uint8_t *bytes;
    uint32_t size;
    uint32_t used;
    uint16_t entries;
    uint32_t run_at; /* where the head of the open run of words is, 0: none is open */
    uint64_t run_offset;
    uint32_t run_bytes;
};

void vm_record_start(struct vm_record_writer *writer, void *buffer, uint32_t size);

/* Appends changed words, at most a line of them; what follows each other becomes one entry. */
void vm_record_run(struct vm_record_writer *writer, uint64_t offset, const void *words,
                   uint32_t len_bytes);
void vm_record_end_run(struct vm_record_writer *writer);
void vm_record_words(struct vm_record_writer *writer, const struct vm_entry *entry);

/* An era of the journal, from one recovery to the next: its records are known by the nonce. */
struct vm_era {
    uint64_t number;
    uint64_t nonce;
};

/* Completes the header; `offset` is where the record will lie in the region. */
struct vm_record_totals {
    int32_t blocks;
    int32_t inodes;
    int32_t orphans;
};

void vm_record_finish(struct vm_record_writer *writer, const struct vm_era *era, uint64_t sequence,
                      uint64_t watermark, const struct vm_record_totals *totals);
void vm_record_seal(void *record, uint64_t offset);

/* Zeros up to the end of the record's last line, so that all of it goes past the cache: where it ends then. */
uint32_t vm_record_pad(struct vm_record_writer *writer);

/* Is there a valid record of this era in the `room` bytes at `bytes`, which lie at `offset`? */
bool vm_record_is_valid(const uint8_t *bytes, uint64_t room, uint64_t nonce, uint64_t offset);

/* Walks the entries of a record: 1 and an entry, 0 at the end, a reason for a malformed one. */
struct vm_record_reader {
    const uint8_t *bytes;
    uint32_t len_bytes;
    uint32_t at;
};

struct vm_record_reader vm_record_open(const void *record);
int vm_record_next(struct vm_err *err, struct vm_record_reader *reader, struct vm_entry *entry);

/* Checks every entry's shape and target. */
int vm_record_validate(struct vm_err *err, const struct vm_region *region, const void *record);

/* Stores a validated record into its homes, not flushed; flushes those homes. */
void vm_record_apply(struct vm_ctx *ctx, const void *record);

#endif
