/* drive.h -- what is done with an image, and what must hold whatever is in it
 *
 * It is looked at without being opened for writing, then opened, walked, changed, checked, repaired,
 * checked again, used once more and closed. Beside what sanitizers see:
 *     memory is bounded by the size of the region, and all of it comes back
 *     looking stores nothing
 *     a repair that succeeds leaves nothing to be found, and the region can be written to and opened again
 *     an image that no check complains about stays sound when it is used
 * Whoever calls bounds the time. */
#ifndef TESTS_FUZZ_DRIVE_H
#define TESTS_FUZZ_DRIVE_H

#include "input.h"
#include "seeds.h"

struct drive_result {
    bool is_mended;   /* the checksums of what was changed are right */
    bool is_open;     /* it could be opened for writing */
    bool is_damaged;  /* a check found something */
    bool is_repaired; /* and there was nothing left after repair */
    int open_error;   /* a negative errno */
    int repair_error;
    unsigned lines;     /* of dumps, and problems */
    const char *broken; /* which of the rules above; null: none */
};

void drive(struct seed_image *const images[SEED_COUNT], const struct input *input,
           struct drive_result *out);

/* Tells problems and what was mended on stdout from now on. */
void drive_tell(void);

#endif
