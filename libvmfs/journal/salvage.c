/* salvage.c -- the nonces of eras, and an era whose watermark lines are both lost
 *
 * A nonce is a permutation, keyed with the region's seed, of the low half of its era's number and of as many
 * drawn bits. So no two eras have the same (H14), nobody who lacks the seed can tell one or make one (H15),
 * and who has it sees of which era it is. A record's header has both nonce and era, and so has a line: where
 * they fit each other the region has written them.
 *
 * With both lines lost the newest era that is found in a header, or in what is left of a line, is the one
 * whose records count. It began behind the homes of all that lies below it; if it has no record that is
 * whole, nothing is to be applied. What was in the lanes before the region was formatted, or what a user
 * wrote there, may well check with a nonce that it brings along, but does not fit. */
#include <string.h>

#include "base/hash.h"
#include "base/util.h"
#include "journal/journal.h"
#include "journal/record.h"

#define ROUNDS 4u

static uint32_t mix_half(const struct vm_region *region, unsigned round, uint32_t half)
{
    const struct vm_le64 stored = vm_put64((uint64_t)round << 32 | half);
    return vm_hash32(region->hash_seed, &stored, sizeof stored);
}

uint64_t vm_nonce_make(const struct vm_region *region, uint32_t era, uint32_t drawn)
{
    uint32_t left = era;
    uint32_t right = drawn;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t mixed = left ^ mix_half(region, round, right);
        left = right;
        right = mixed;
    }
    return (uint64_t)left << 32 | right;
}

static uint32_t era_of(const struct vm_region *region, uint64_t nonce)
{
    uint32_t left = (uint32_t)(nonce >> 32);
    uint32_t right = (uint32_t)nonce;
    for (unsigned round = ROUNDS; round-- > 0;) {
        uint32_t mixed = right ^ mix_half(region, round, left);
        right = left;
        left = mixed;
    }
    return left;
}

uint64_t vm_nonce_draw(const struct vm_region *region, uint64_t era)
{
    const struct vm_platform *platform = region->platform;
    return vm_nonce_make(region, (uint32_t)era, (uint32_t)platform->random(platform->arg));
}

/* Keeps the newest era that fits its nonce. */
static void consider(const struct vm_region *region, struct vm_era *newest, struct vm_era found)
{
    if ((uint32_t)found.number > (uint32_t)newest->number &&
        (uint32_t)found.number == era_of(region, found.nonce)) /* H15 */
        *newest = found;
}

static void search_lane(const struct vm_region *region, uint64_t start, struct vm_era *newest)
{
    for (uint64_t at = 0; at < region->lane_bytes; at += 64) {
        struct vm_record_media header;
        memcpy(&header, region->base + start + at, sizeof header);
        consider(region, newest, (struct vm_era){vm_get32(header.era), vm_get64(header.nonce)});
    }
}

void vm_salvage_line(struct vm_ctx *ctx, struct vm_watermark *out)
{
    const struct vm_region *region = ctx->region;
    struct vm_era newest = {0};
    struct vm_watermark line = {0};
    for (unsigned copy = 0; copy < 2; copy++) {
        (void)vm_watermark_read(region->base, copy, &line);
        consider(region, &newest, (struct vm_era){line.era, line.nonce});
    }
    for (uint32_t lane = 0; lane < region->lane_count; lane++)
        search_lane(region, region->lane_offset + (uint64_t)lane * region->lane_bytes, &newest);
    if (!newest
             .number) /* nothing is left that could tell one; a nonce of zeros would be anybody's */
        newest = (struct vm_era){1, vm_nonce_draw(region, 1)};
    *out = (struct vm_watermark){.nonce = newest.nonce, .era = newest.number};
}
