/* op_acl.c -- access control lists that random operations set */
#include <string.h>

#include "op.h"

#define HEAD_BYTES  4u
#define ENTRY_BYTES 8u
#define LEAST_BYTES (HEAD_BYTES + 3 * ENTRY_BYTES)

/* From none to many entries, and now and then a length that no list has. */
static uint64_t draw_bytes(struct seed *seed)
{
    uint64_t many = 508 + seed_below(seed, 5);
    uint64_t few = 3 + seed_below(seed, 8);
    if (seed_chance(seed, 15))
        return seed_chance(seed, 50) ? 0 : seed_below(seed, LEAST_BYTES);
    return HEAD_BYTES + ENTRY_BYTES * (seed_chance(seed, 3) ? many : few);
}

/* A byte anywhere becomes any other, or an entry one of another kind. */
static void draw_wrong(struct op *op, struct seed *seed)
{
    op->offset = 1 + seed_below(seed, 1000);
    op->other_offset = seed_below(seed, 256);
    if (op->length < LEAST_BYTES || seed_chance(seed, 30))
        return;
    op->is_maskless = seed_chance(seed, 30);
    if (op->is_maskless)
        op->offset = 0;
    else
        op->offset =
            HEAD_BYTES + ENTRY_BYTES * seed_below(seed, (op->length - HEAD_BYTES) / ENTRY_BYTES);
    op->other_offset = (uint64_t)1 << seed_below(seed, 6);
}

void op_draw_acl(struct op *op, struct seed *seed)
{
    if (seed_chance(seed, 95))
        op->length = draw_bytes(seed);
    if (seed_chance(seed, 25))
        draw_wrong(op, seed);
}

static void put_entry(uint8_t *at, unsigned tag, unsigned permissions, uint32_t id)
{
    const uint8_t bytes[8] = {(uint8_t)tag,         0,
                              (uint8_t)permissions, 0,
                              (uint8_t)id,          (uint8_t)(id >> 8),
                              (uint8_t)(id >> 16),  (uint8_t)(id >> 24)};
    memcpy(at, bytes, sizeof(bytes));
}

/* `count` entries: the three of a mode, then the mask, then users and groups. */
static void fill_acl(uint8_t *at, uint64_t count, bool is_maskless, struct seed *seed)
{
    bool has_mask = count > 3 && !is_maskless;
    uint64_t named = count - 3 - has_mask;
    uint64_t users = named > 0 ? seed_below(seed, named + 1) : 0;
    put_entry(at, 1, (unsigned)seed_below(seed, 8), UINT32_MAX);
    for (uint64_t i = 0; i < users; i++)
        put_entry(at += 8, 2, (unsigned)seed_below(seed, 8), (uint32_t)seed_below(seed, 4) * 1000);
    put_entry(at += 8, 4, (unsigned)seed_below(seed, 8), (uint32_t)seed_below(seed, 2));
    for (uint64_t i = users; i < named; i++)
        put_entry(at += 8, 8, (unsigned)seed_below(seed, 8), (uint32_t)seed_below(seed, 4) * 1000);
    if (has_mask)
        put_entry(at += 8, 16, (unsigned)seed_below(seed, 8), UINT32_MAX);
    put_entry(at + 8, 32, (unsigned)seed_below(seed, 8), UINT32_MAX);
}

void op_xattr_value(const struct op *op, uint8_t *data)
{
    seed_fill(data, op->length, op->pattern);
    bool has_form = model_is_acl(op->name) && op->length >= 28 && op->length % 8 == 4;
    if (!has_form)
        return;
    struct seed seed;
    seed_init(&seed, op->pattern);
    data[0] = 2;
    memset(data + 1, 0, 3);
    fill_acl(data + 4, (op->length - 4) / 8, op->is_maskless, &seed);
    if (op->offset > 0)
        data[op->offset % op->length] = (uint8_t)op->other_offset;
}
