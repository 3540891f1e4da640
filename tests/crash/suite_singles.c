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

void suite_singles(struct crash *crash)
{
    struct drive drive;
    uint64_t first = crash->explorer.seed; /* so that a short time covers all in the end */
    drive_init(&drive, crash);
    for (unsigned index = 0; index < catalog_count; index++)
        for (unsigned variant = 0; variant < VARIANT_COUNT; variant++)
            run_one(&drive, "op", &catalog[(first + index) % catalog_count], &variants[variant]);
    for (unsigned index = 0; index < catalog_long_count; index++)
        for (unsigned variant = 0; variant < 2; variant++)
            run_one(&drive, "ops", &catalog_long[index], &variants[variant]);
    drive_fini(&drive);
}
