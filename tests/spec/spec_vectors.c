/* spec_vectors.c -- prints the test vectors of docs/spec.md, computed by the library's own code */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "index/node.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "media/super.h"

#include "vectors.h"

static _Alignas(64) uint8_t memory[8 * VM_BLOCK_BYTES];

static void print_hex(const char *what, const void *bytes, size_t len_bytes)
{
    const uint8_t *from = bytes;
    for (size_t at = 0; at < len_bytes; at++) {
        if (at % 32 == 0)
            printf("%s%s %03zu ", at ? "\n" : "", what, at);
        printf("%02x", from[at]);
    }
    printf("\n");
}

static bool print_hashes(void)
{
    bool is_good = true;
    for (size_t at = 0; at < VM_BLOCK_BYTES; at++)
        memory[at] = (uint8_t)(at % 251);
#define PRINT_HASH(seed, len_bytes, hash)                                                          \
    is_good = is_good && vm_hash64(seed, memory, len_bytes) == hash##u;                            \
    printf("hash %d %d 0x%016" PRIx64 "\n", seed, len_bytes, vm_hash64(seed, memory, len_bytes));
    SPEC_VECTORS(PRINT_HASH)
#undef PRINT_HASH
    return is_good;
}

static void print_watermark(void)
{
    struct vm_io io = {.ops = vm_persist_none(), .base = memory};
    const struct vm_watermark line = {.nonce = 0x0123456789abcdef,
                                      .era = 3,
                                      .watermark = 1000,
                                      .blocks_free = 2000,
                                      .inodes_used = 30,
                                      .orphans = 1};
    vm_watermark_store(&io, 1, &line);
    print_hex("watermark", memory + VM_WATERMARK_B_BLOCK * VM_BLOCK_BYTES,
              sizeof(struct vm_watermark_media));
}

static void print_record(void)
{
    struct vm_record_writer writer;
    uint64_t offset = (uint64_t)VM_LANES_BLOCK * VM_BLOCK_BYTES;
    const struct vm_era era = {3, 0x0123456789abcdef};
    const struct vm_record_totals totals = {-2, 1, 0};
    const struct vm_le64 word = vm_put64(0x1122334455667788);
    const struct vm_entry mask = {
        .kind = VM_ENTRY_MASK, .place = 0x22040, .first = 0xff, .second = 0x0f};
    const struct vm_entry set = {.kind = VM_ENTRY_SET, .place = 77, .first = 2};
    const struct vm_entry fill = {
        .kind = VM_ENTRY_FILL, .place = 0x30010, .len_bytes = 0xff0, .first = 0};
    vm_record_start(&writer, memory + offset, 512);
    vm_record_words(&writer, &fill);
    vm_record_run(&writer, 0x21000, &word, sizeof word);
    vm_record_end_run(&writer);
    vm_record_words(&writer, &mask);
    vm_record_words(&writer, &set);
    vm_record_finish(&writer, &era, 1001, 1000, &totals);
    vm_record_seal(writer.bytes, offset);
    print_hex("record", writer.bytes, writer.used);
}

static void print_seeded(void)
{
    const struct vm_region region = {.hash_seed = 0x1111111111111111,
                                     .name_seed = 0x2222222222222222};
    const struct vm_name name = {(const uint8_t *)"hello", 5};
    printf("key 0x%016" PRIx64 "\n", vm_named_key(&region, name));
    printf("nonce 0x%016" PRIx64 "\n", vm_nonce_make(&region, 3, 0x89abcdef));
    const struct vm_extent extent = {.file_block = 16, .block = 4096, .blocks = 512, .birth = 1};
    struct vm_extent_media media;
    vm_extent_store(&region, &extent, &media);
    print_hex("extent", &media, sizeof media);
}

int main(void)
{
    bool is_good = print_hashes();
    print_watermark();
    print_record();
    print_seeded();
    return !is_good;
}
