/* repair.c -- which step is taken when */
#include "check/repair.h"

#include "check/fsck.h"
#include "inode/table.h"

#define ROUNDS_MAX 40u
#define SEEKS_MAX  3u /* what looks like the head of a chunk after so many rounds is none */

int vm_repair_step(struct vm_ctx *ctx)
{
    int result = vm_tx_commit(ctx);
    return result ? result : vm_tx_renew(ctx);
}

int vm_repair_room(struct vm_ctx *ctx, uint32_t entries, uint32_t lines)
{
    return vm_tx_has_room(ctx, entries, lines) ? 0 : vm_repair_step(ctx);
}

/* What recovery went on in spite of. */
static void salvage_told(void *arg, enum vm_salvage_note note, uint64_t where)
{
    struct vm_check *check = arg;
    switch (note) {
    case VM_SALVAGE_LINE:
        vm_mended(check, WATERMARK, "the line in block %b failed its check and is written again",
                  where);
        break;
    case VM_SALVAGE_ERA:
        vm_mended(check, WATERMARK, "era and watermark, %n, are those that the journal tells",
                  where);
        break;
    case VM_SALVAGE_WATERMARK:
        vm_mended(check, WATERMARK, "the watermark is %n, as the journal tells", where);
        break;
    case VM_SALVAGE_TORN:
        vm_mended(check, JOURNAL, "the record at offset %o is not whole and was left out", where);
        break;
    case VM_SALVAGE_UNFIT:
        vm_mended(check, JOURNAL, "the record at offset %o cannot be applied and was left out",
                  where);
        break;
    }
}

static int attach(struct vm_volume *volume, struct vm_ctx *ctx, const struct vm_check *model)
{
    struct vm_check told = *model;
    const struct vm_salvage salvage = {salvage_told, &told};
    int result = vm_volume_salvage(volume, ctx, &salvage);
    vm_volume_bind(volume, ctx);
    return result;
}

/* The first time. */
static int attach_damaged(struct vm_volume *volume, struct vm_ctx *ctx,
                          const struct vm_check *model)
{
    struct vm_check told = *model;
    vm_volume_bind(volume, ctx);
    if (volume->choice.is_rebuilt) {
        vm_mended(&told, SUPERBLOCKS,
                  "no superblock could be taken as it was; both are made anew, region of %n blocks",
                  volume->region.blocks);
        if (vm_super_publish(&ctx->io, &volume->super)) /* F7 */
            return vm_journal_poison(ctx);
        volume->choice.is_rebuilt = false;
    }
    int result = attach(volume, ctx, model);
    if (result) {
        vm_volume_fini(volume, ctx);
        volume->itable = NULL;
        volume->space = NULL;
        vm_volume_bind(volume, ctx);
    }
    return result;
}

/* The volatile part is made again from what the medium now says, and a new era begins: no record of the
 * old one counts any more. */
static int reload(struct vm_volume *volume, struct vm_ctx *ctx, const struct vm_check *model)
{
    int result = vm_journal_check(ctx); /* H16: a new journal would know nothing of it */
    if (result)
        return result;
    struct vm_volume old = *volume;
    volume->itable = NULL;
    volume->space = NULL;
    volume->journal.lanes = NULL;
    result = attach(volume, ctx, model);
    if (result) { /* the handle can still be closed, but knows nothing of an era that may have begun */
        vm_volume_fini(volume, ctx);
        *volume = old;
        VM_SHARED(&ctx->io, atomic_store(&volume->journal.is_poisoned, true));
    } else {
        vm_volume_fini(&old, ctx);
    }
    vm_volume_bind(volume, ctx);
    return result;
}

enum step {
    STEP_TOTALS,
    STEP_SUPERS,
    STEP_GROUPS,
    STEP_MARK,
    STEP_INODES,
    STEP_ORPHANS,
    STEP_MAPS,
    STEP_PARENTS,
    STEP_LINKS,
    STEP_LOST,
    STEP_FREE,
};

/* Is a block used that is clear in its bitmap? */
static bool has_unmarked(const struct vm_check *check)
{
    return check->missing_blocks > 0;
}

/* Are blocks used of groups that were never begun? */
static bool has_unready(const struct vm_check *check)
{
    bool is_unready = false;
    for (uint32_t number = 0; number < check->region->zone_count; number++)
        is_unready = is_unready || check->wanted[number] > check->ready[number];
    return is_unready;
}

/* A chunk that the map names but that cannot be looked at, as somebody else has its blocks. */
static bool has_lost_chunk(const struct vm_check *check)
{
    for (uint64_t chunk = 0; chunk < check->chunk_count; chunk++)
        if (check->chunk_blocks[chunk] == 0)
            return true;
    return false;
}

/* May there be a chunk that the map does not name? A head that proves nothing looks like one for ever. */
static bool has_stray(const struct vm_check *check)
{
    return check->has_stray && check->seeks < SEEKS_MAX;
}

/* The step for the first thing that is wrong, in the order that F5 asks for. */
static enum step choose(const struct vm_check *check)
{
    const unsigned *found = check->lines;
    if (found[VM_PASS_SUPERBLOCKS])
        return STEP_SUPERS;
    if (found[VM_PASS_GROUPS] || has_unready(check))
        return STEP_GROUPS;
    if (has_unmarked(check))
        return STEP_MARK;
    if (found[VM_PASS_INODES] || has_stray(check) || has_lost_chunk(check))
        return STEP_INODES;
    if (found[VM_PASS_ORPHANS])
        return STEP_ORPHANS;
    if (check->marked)
        return STEP_MAPS;
    if (found[VM_PASS_NAMES])
        return STEP_PARENTS;
    if (found[VM_PASS_LINKS])
        return STEP_LINKS;
    if (found[VM_PASS_REACH])
        return STEP_LOST;
    return found[VM_PASS_BLOCKS] ? STEP_FREE : STEP_TOTALS;
}

static int step_in_tx(struct vm_check *check, enum step step)
{
    switch (step) {
    case STEP_GROUPS:
        return vm_repair_groups(check);
    case STEP_MARK:
    case STEP_FREE:
        return vm_repair_bits(check, step == STEP_FREE);
    case STEP_INODES:
        return vm_repair_inodes(check);
    case STEP_ORPHANS:
        return vm_repair_orphans(check);
    case STEP_PARENTS:
        return vm_repair_parents(check);
    case STEP_LINKS:
        return vm_repair_links(check);
    case STEP_TOTALS:
    case STEP_SUPERS:
    case STEP_MAPS:
    case STEP_LOST:
        break;
    }
    return 0;
}

static int in_tx(struct vm_check *check, enum step step)
{
    struct vm_ctx *ctx = check->ctx;
    int result = vm_tx_begin(ctx);
    if (result)
        return result;
    result = step_in_tx(check, step);
    if (result == 0)
        result = vm_tx_commit(ctx);
    vm_tx_end(ctx);
    return result;
}

static int mend(struct vm_check *check, struct vm_volume *volume, const struct vm_check *model)
{
    struct vm_ctx *ctx = check->ctx;
    enum step step = choose(check);
    check->seeks += step == STEP_INODES && check->has_stray;
    if (step == STEP_SUPERS)
        return vm_repair_supers(check, volume);
    int result;
    if (step == STEP_MAPS)
        result = vm_repair_maps(check); /* transactions of its own */
    else if (step == STEP_LOST)
        result = vm_repair_lost(check); /* the same */
    else
        result = in_tx(check, step);
    if (result == 0)
        result = vm_checkpoint_all(ctx);
    if (result == 0 && step == STEP_TOTALS)
        result = vm_repair_totals(check);
    return result ? result : reload(volume, ctx, model);
}

/* One check, with what it found kept for the step. */
static int round_run(struct vm_check *check, struct vm_volume *volume, const struct vm_check *model)
{
    int result = vm_check_all(check);
    if (result == 0 && check->result.problems)
        result = mend(check, volume, model);
    vm_check_free(check);
    return result;
}

static int rounds(struct vm_volume *volume, struct vm_ctx *ctx, const struct vm_check *model,
                  struct vmfs_check_result *out)
{
    unsigned seeks = 0;
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        struct vm_check check = *model;
        check.seeks = seeks;
        check.is_quiet =
            round > 0; /* what follows from the rest is told by what is done about it */
        int result = round_run(&check, volume, model);
        if (result)
            return result;
        *out = check.result;
        seeks = check.seeks;
        if (check.result.problems == 0)
            return 0;
        ctx->hint = 0;
    }
    struct vm_check last = *model;
    last.is_quiet = true;
    int result = vm_check_all(&last);
    *out = last.result;
    vm_check_free(&last);
    return result;
}

int vm_repair_run(struct vm_volume *volume, struct vm_ctx *ctx, const struct vm_check *model,
                  struct vmfs_check_result *out)
{
    struct vmfs_check_result result = {.problems = 0};
    bool was_speculative = ctx->err.is_speculative;
    ctx->err.is_speculative = true; /* damage is what this is about: no call is to stop at it */
    ctx->is_above_flags = true;
    int code = volume->itable ? 0 : attach_damaged(volume, ctx, model);
    if (code == 0)
        code = rounds(volume, ctx, model, &result);
    ctx->err.is_speculative = was_speculative;
    ctx->is_above_flags = false;
    if (code == 0)
        *out = result;
    return code;
}
