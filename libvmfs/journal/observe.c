/* observe.c -- what the journal of a region tells that somebody else may have open
 *
 * Nothing is trusted and nothing stored. The watermark line is read before the records and again behind
 * them: where it has moved meanwhile the records may have been reused, and all is read again. */
#include <string.h>

#include "base/util.h"
#include "journal/journal.h"
#include "journal/record.h"

#define ATTEMPTS 16u

struct observation {
    struct vm_watermark line;
    uint64_t sequence;
    uint64_t records;
    uint64_t bytes;
};

static uint64_t widen(struct vm_le32 delta)
{
    return (uint64_t)(int64_t)(int32_t)vm_get32(delta);
}

static void observe_record(struct observation *seen, const uint8_t *bytes, uint64_t room,
                           uint64_t offset)
{
    struct vm_record_media header;
    if (!vm_record_is_valid(bytes, room, seen->line.nonce, offset))
        return;
    memcpy(&header, bytes, sizeof header);
    uint64_t sequence = vm_get64(header.sequence);
    if (sequence <= seen->line.watermark) /* H1 */
        return;
    seen->records++;
    seen->bytes += vm_align_up(vm_get32(header.len_bytes), 64);
    seen->sequence = vm_max(seen->sequence, sequence);
    seen->line.blocks_free += widen(header.blocks_delta);
    seen->line.inodes_used += widen(header.inodes_delta);
    seen->line.orphans += widen(header.orphans_delta);
}

/* False if there is no valid line. */
static bool observe_all(struct vm_ctx *ctx, struct observation *seen)
{
    const struct vm_region *region = ctx->region;
    unsigned copy;
    *seen = (struct observation){.sequence = 0};
    if (vm_watermark_load(&ctx->err, region->base, &seen->line, &copy))
        return false;
    seen->sequence = seen->line.watermark;
    for (uint32_t lane = 0; lane < region->lane_count; lane++) {
        uint64_t start = region->lane_offset + (uint64_t)lane * region->lane_bytes;
        for (uint64_t at = 0; at < region->lane_bytes; at += 64)
            observe_record(seen, region->base + start + at, region->lane_bytes - at, start + at);
    }
    return true;
}

static bool line_has_moved(struct vm_ctx *ctx, const struct observation *seen)
{
    struct vm_watermark now;
    unsigned copy;
    return vm_watermark_load(&ctx->err, ctx->region->base, &now, &copy) != 0 ||
           now.watermark != seen->line.watermark || now.era != seen->line.era;
}

void vm_journal_observe(struct vm_ctx *ctx, struct vm_journal *journal)
{
    struct observation seen;
    unsigned attempts = ATTEMPTS;
    bool is_good;
    do {
        is_good = observe_all(ctx, &seen);
    } while (--attempts && (!is_good || line_has_moved(ctx, &seen)));
    journal->line = seen.line;
    journal->era = (struct vm_era){seen.line.era, seen.line.nonce};
    journal->replayed = seen.records;
    journal->observed_bytes = seen.bytes;
    journal->base_blocks_free = (int64_t)seen.line.blocks_free;
    journal->base_inodes_used = (int64_t)seen.line.inodes_used;
    journal->base_orphans = (int64_t)seen.line.orphans;
    VM_OWN(atomic_store(&journal->sequence, seen.sequence));
    VM_OWN(atomic_store(&journal->watermark, seen.line.watermark));
}
