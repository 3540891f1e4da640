/* suite_sequences.c -- seeded rows of operations, each of which is cut, over a small namespace */
#include <stdio.h>

#include "drive.h"
#include "seed.h"

#define SEQUENCE_OPS    30u
#define SEQUENCES       400u
#define SEQUENCES_QUICK 3u

static const struct op_profile profile = {
    .names_max = 18,
    .file_max = 9000,
    .sparse_max = (uint64_t)1 << 33,
    .name_range = 14,
    .messy = 3,
    .has_places = true,
    .is_changing = true,
    .has_privileges = true,
};

static void run_sequence(struct drive *drive, uint64_t number)
{
    static struct op op;
    char label[CRASH_LABEL_BYTES];
    struct seed seed;
    snprintf(label, sizeof label, "sequence-%llu", (unsigned long long)number);
    if (!crash_wants(drive->crash, label))
        return;
    seed_init(&seed, number);
    drive->is_zeroed = number % 4 == 3;
    drive->meanwhile = (enum drive_meanwhile)(number % 3);
    drive_begin(drive, label);
    drive_mark(drive);
    for (unsigned index = 0; index < SEQUENCE_OPS && !drive->is_failed; index++) {
        op_generate(&op, &drive->model, &seed, &profile);
        if (op.length <= OP_DATA_MAX || op.kind != OP_WRITE)
            drive_do(drive, &op);
        if (seed_chance(&seed, 8))
            drive_say(drive, "sync", 0);
    }
    drive_record(drive);
}

void suite_sequences(struct crash *crash)
{
    struct drive drive;
    drive_init(&drive, crash);
    uint64_t count = crash->is_quick ? SEQUENCES_QUICK : SEQUENCES;
    uint64_t first = crash->only ? 0 : (crash->explorer.seed - 1) * count;
    for (uint64_t index = 0; index < count; index++)
        run_sequence(&drive, first + index);
    drive_fini(&drive);
}
