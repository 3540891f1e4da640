/* salvage.c -- an era whose watermark lines are both lost, as its records tell it
 *
 * A record has its era's nonce in its header and is checked with it, so no more is needed to know it for a
 * record. Numbers go on from era to era (H14): the highest one is of the newest era that has written any.
 * If a newer era has written none, then nothing was changed in it either, and the records of the one before
 * are all there: applying them once more changes nothing.
 *
 * Which nonce is an era's is what the lines would tell. Without them it must tell so itself (H15): what was
 * in the lanes before the region was formatted, or what a user wrote there, may well check with a nonce that
 * it brings along. */
#include <string.h>

#include "base/hash.h"
#include "base/util.h"
#include "journal/journal.h"
#include "journal/record.h"

/* More eras than this no region has seen. */
#define ERA_MAX ((uint64_t)1 << 62)

static uint64_t nonce_from(const struct vm_region *region, uint32_t drawn)
{
    const struct vm_le32 stored = vm_put32(drawn);
    return (uint64_t)vm_hash32(region->hash_seed, &stored, sizeof stored) << 32 | drawn;
}

uint64_t vm_nonce_draw(const struct vm_region *region)
{
    return nonce_from(region, (uint32_t)region->platform->random(region->platform->arg));
}

static bool nonce_is_ours(const struct vm_region *region, uint64_t nonce)
{
    return nonce == nonce_from(region, (uint32_t)nonce);
}

struct search {
    uint64_t sequence; /* the highest of any record */
    uint64_t nonce;    /* of that record */
};

static void search_lane(const struct vm_region *region, uint64_t start, struct search *search)
{
    for (uint64_t at = 0; at < region->lane_bytes; at += 64) {
        struct vm_record_media header;
        const uint8_t *bytes = region->base + start + at;
        memcpy(&header, bytes, sizeof header);
        uint64_t sequence = vm_get64(header.sequence);
        if (sequence <= search->sequence || !nonce_is_ours(region, vm_get64(header.nonce)) ||
            !vm_record_is_valid(bytes, region->lane_bytes - at, vm_get64(header.nonce), start + at))
            continue;
        *search = (struct search){sequence, vm_get64(header.nonce)};
    }
}

void vm_salvage_line(struct vm_ctx *ctx, struct vm_watermark *out)
{
    const struct vm_region *region = ctx->region;
    struct search search = {0};
    struct vm_watermark lines[2];
    for (uint32_t lane = 0; lane < region->lane_count; lane++)
        search_lane(region, region->lane_offset + (uint64_t)lane * region->lane_bytes, &search);
    (void)vm_watermark_read(region->base, 0, &lines[0]);
    (void)vm_watermark_read(region->base, 1, &lines[1]);
    *out = (struct vm_watermark){.nonce = search.nonce, .era = 1};
    for (unsigned copy = 0; copy < 2; copy++)
        if (lines[copy].era < ERA_MAX)
            out->era = vm_max(out->era, lines[copy].era);
    if (lines[0].nonce == lines[1].nonce && lines[0].nonce != search.nonce &&
        nonce_is_ours(region, lines[0].nonce))
        *out = (struct vm_watermark){
            .nonce = lines[0].nonce, .era = out->era, .watermark = search.sequence};
}
