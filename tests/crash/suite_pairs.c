/* suite_pairs.c -- every ordered pair of operations of the catalogue
 *
 * What both need is there first, so that they meet: the second one's handles are open while the first
 * one unlinks, truncates or renames. The power is cut after the first has returned and all through the
 * second. One pass without --long takes every STRIDE-th pair, and the next seed the next ones. */
#include <stdio.h>

#include "catalog.h"
#include "drive.h"

#define STRIDE       241u /* no divisor of the number of operations that can be paired */
#define SECOND_SHIFT 2u   /* slots 0 and 1 belong to the first */

static void run_pair(struct drive *drive, const struct workload *one, const struct workload *two)
{
    char label[CRASH_LABEL_BYTES];
    snprintf(label, sizeof label, "pair-%s+%s", one->name, two->name);
    if (!crash_wants(drive->crash, label))
        return;
    drive_begin(drive, label);
    if (one->before)
        drive_say(drive, one->before, 0);
    if (two->before)
        drive_say(drive, two->before, SECOND_SHIFT);
    if (!((one->traits | two->traits) & CATALOG_UNSYNCED))
        drive_say(drive, "sync", 0);
    drive_say(drive, one->op, 0);
    drive_mark(drive);
    drive_say(drive, two->op, SECOND_SHIFT);
    drive_record(drive);
}

void suite_pairs(struct crash *crash)
{
    struct drive drive;
    uint64_t number = crash->explorer.seed;
    drive_init(&drive, crash);
    for (unsigned one = 0; one < catalog_count; one++)
        for (unsigned two = 0; two < catalog_count; two++) {
            if ((catalog[one].traits | catalog[two].traits) & CATALOG_ALONE)
                continue;
            bool is_taken = !crash->is_quick || crash->only || number % STRIDE == 0;
            number++;
            if (is_taken)
                run_pair(&drive, &catalog[one], &catalog[two]);
        }
    drive_fini(&drive);
}
