/* suite_singles.c -- every operation of the catalogue in every variant that makes sense of it */
#include <stdio.h>
#include <string.h>

#include "catalog.h"
#include "drive.h"

struct variant {
    char letter;
    bool is_unsynced; /* nothing was checkpointed since before a history of frees */
    bool is_zeroed;   /* a region that is known to read as zero */
    bool is_growing; /* the operation needs a new leaf in /d1, and a new inode chunk if any inode */
    bool is_grown;   /* the leaf of /d1 has just been split */
    enum drive_meanwhile meanwhile;
};

static const struct variant variants[] = {
    {'p', false, false, false, false, DRIVE_ALONE},
    {'u', true, false, false, false, DRIVE_ALONE},
    {'g', false, false, true, false, DRIVE_ALONE},
    {'s', true, false, false, true, DRIVE_ALONE},
    {'z', false, true, false, false, DRIVE_ALONE},
    {'b', true, false, false, false, DRIVE_CHECKPOINT_BEFORE_FENCE},
    {'a', true, false, false, false, DRIVE_CHECKPOINT_AFTER_FENCE},
};

#define VARIANT_COUNT (sizeof variants / sizeof variants[0])

static const char history[] =
    "put /d2/old 0 9000; xattr /d2/old user.h 300; mkdir /d2/olddir 0700; mknod /d2/olddir/x 0600;"
    "chmod /d1/a 0604; truncate /d2/x 4500; unlink /d2/olddir/x; rmdir /d2/olddir; unlink /d2/old;"
    "truncate /d2/x 5000";

static bool makes_sense(const struct workload *work, const struct variant *variant)
{
    bool is_other_history = variant->is_growing || variant->is_grown;
    bool is_cut_by_checkpoint = variant->meanwhile != DRIVE_ALONE;
    return !(work->traits & CATALOG_FULL) || (!is_other_history && !is_cut_by_checkpoint);
}

static void prepare(struct drive *drive, const struct workload *work, const struct variant *variant)
{
    if (variant->is_growing)
        drive_say(drive, "fill-leaf /d1 62; fill-inodes", 0);
    if (variant->is_grown)
        drive_say(drive, "fill-leaf /d1 63", 0);
    drive_say(drive, variant->is_unsynced ? history : "sync", 0);
    if (work->before)
        drive_say(drive, work->before, 0);
    if (!variant->is_unsynced && !(work->traits & CATALOG_UNSYNCED))
        drive_say(drive, "sync", 0);
}

static void run_one(struct drive *drive, const char *group, const struct workload *work,
                    const struct variant *variant)
{
    char label[CRASH_LABEL_BYTES];
    snprintf(label, sizeof label, "%s-%s.%c", group, work->name, variant->letter);
    if (!makes_sense(work, variant) || !crash_wants(drive->crash, label))
        return;
    drive->is_zeroed = variant->is_zeroed;
    drive->meanwhile = variant->meanwhile;
    drive_begin(drive, label);
    prepare(drive, work, variant);
    drive_mark(drive);
    drive_say(drive, work->op, 0);
    drive_record(drive);
}

/* ---- writes at every offset in a line, of every length that matters (B11) ---- */

#define EDGE_OFFSETS 64u
#define EDGE_LENGTHS 200u
#define EDGE_GROUP   20u  /* lengths in one run */
#define EDGE_QUICK   211u /* every so many runs, other ones with the next seed */

/* In place, over the border of two blocks, and behind the end of what was cut off there. */
static void run_edges(struct drive *drive, unsigned offset, unsigned first_length)
{
    char label[CRASH_LABEL_BYTES];
    char script[CRASH_LABEL_BYTES];
    snprintf(label, sizeof label, "edge-%u+%u", offset, first_length);
    if (!crash_wants(drive->crash, label))
        return;
    drive_begin(drive, label);
    drive_say(drive, "open 0 /d1/b b; open 1 /d1/a b; sync", 0);
    drive_mark(drive);
    for (unsigned length = first_length; length < first_length + EDGE_GROUP; length++) {
        snprintf(script, sizeof script, "write 0 %u %u", 4032 + offset, length);
        drive_say(drive, script, 0);
        snprintf(script, sizeof script, "ftruncate 1 %u; write 1 %u %u", 64 + offset, 64 + offset,
                 length);
        drive_say(drive, script, 0);
    }
    drive_record(drive);
}

static void run_all_edges(struct drive *drive)
{
    uint64_t number = drive->crash->explorer.seed;
    bool is_all = !drive->crash->is_quick || drive->crash->only;
    drive->is_zeroed = false;
    drive->meanwhile = DRIVE_ALONE;
    for (unsigned offset = 0; offset < EDGE_OFFSETS; offset++)
        for (unsigned length = 1; length <= EDGE_LENGTHS; length += EDGE_GROUP)
            if (number++ % EDGE_QUICK == 0 || is_all)
                run_edges(drive, offset, length);
}

/* In a quick run each operation is cut in one variant, with the next seed in the next one. */
static bool is_turn_of(const struct crash *crash, const struct workload *work, unsigned index,
                       unsigned variant)
{
    unsigned turn = (unsigned)((crash->explorer.seed + index) % VARIANT_COUNT);
    bool has_turn = makes_sense(work, &variants[turn]);
    return !crash->is_quick || crash->only || variant == (has_turn ? turn : 0);
}

void suite_singles(struct crash *crash)
{
    struct drive drive;
    drive_init(&drive, crash);
    for (unsigned index = 0; index < catalog_count; index++)
        for (unsigned variant = 0; variant < VARIANT_COUNT; variant++)
            if (is_turn_of(crash, &catalog[index], index, variant))
                run_one(&drive, "op", &catalog[index], &variants[variant]);
    for (unsigned index = 0; index < catalog_long_count; index++)
        for (unsigned variant = 0; variant < (crash->is_quick && !crash->only ? 1 : 2); variant++)
            run_one(&drive, "ops", &catalog_long[index], &variants[variant]);
    run_all_edges(&drive);
    drive_fini(&drive);
}
