/* drive.h -- runs operations on the library and on the model, then again under the explorer
 *
 * First a script is run without a crash: every result is compared with the model's, and after each
 * operation that will be recorded the whole tree. That gives the list of trees which a crash may leave.
 * Then the same operations run on the recorded medium, and before every fence and after every return the
 * explorer tries what a crash may leave of them. Clock and random numbers are those of the first run,
 * so inode ids are the same. */
#ifndef TESTS_CRASH_DRIVE_H
#define TESTS_CRASH_DRIVE_H

#include "crash.h"
#include "op.h"
#include "oracle.h"

#define DRIVE_STEPS_MAX 1024u
#define DRIVE_TREES_MAX 64u
#define DRIVE_TEXT_MAX  160u

enum step_kind {
    STEP_OP,
    STEP_SYNC,    /* vmfs_sync() */
    STEP_DETACH,  /* vmfs_close(); nothing comes behind it */
    STEP_HOLD,    /* inode chunks are no longer made ahead of need ... */
    STEP_RELEASE, /* ... and are again */
    STEP_THREAD,  /* what follows is done by another thread, on another lane */
};

struct step {
    enum step_kind kind;
    unsigned thread; /* of STEP_THREAD */
    struct op op;
    int64_t code;  /* what the library returned without a crash */
    uint64_t torn; /* the file that a crash inside may leave as a mixture, or 0 */
    char text[DRIVE_TEXT_MAX];
};

/* What happens in the middle of a recorded operation, in another thread. */
enum drive_meanwhile { DRIVE_ALONE, DRIVE_CHECKPOINT_BEFORE_FENCE, DRIVE_CHECKPOINT_AFTER_FENCE };

struct drive {
    struct crash *crash;
    struct oracle oracle;
    uint8_t *image; /* a poisoned region with the tree of drive.c */
    const char *label;
    bool is_zeroed; /* on a region that is known to read as zero, not on the image */
    bool
        is_failed; /* without a crash something was not as the model says: told, and nothing is recorded */
    enum drive_meanwhile meanwhile;
    struct op_world library;
    struct op_world model;
    struct op_result *library_result;
    struct op_result *model_result;
    struct step *steps;
    unsigned step_count;
    unsigned tree_steps; /* the first ones, which make the tree */
    unsigned first;      /* of those that are recorded */
    struct tree *trees[DRIVE_TREES_MAX];
    unsigned tree_count;
    unsigned victim;  /* the name of /leaves that takes a node with it */
    uint64_t pattern; /* of the next bytes that are written */
    bool is_recording;
    bool is_inside_meanwhile;
};

void drive_init(struct drive *drive, struct crash *crash);
void drive_fini(struct drive *drive);

/* Attaches a region with the tree, and begins a list of steps under this label. */
void drive_begin(struct drive *drive, const char *label);

/* Runs the statements of a script, with slots moved up by so many; beside those of script.h:
 *
 *     sync, detach             vmfs_sync(), vmfs_close()
 *     thread NUMBER            what follows is done by this thread, from 1 to 7
 *     put PATH OFFSET BYTES    opens, writes and closes a file
 *     fill BLOCKS              gives the file /fill all free blocks but so many
 *     fill-leaf DIR COUNT      links /o/w until DIR has COUNT names
 *     fill-leaves, drop-leaf   /leaves with long names; the removal at which it loses a node
 *     fill-inodes              makes files in /many until there is no slot left
 *     fragment                 two files take turns, until there is no room; one of them goes
 *     interleave               the same without the last
 *     spread COUNT             /d2/one gets COUNT blocks with holes between
 *
 * Statements on slots that are not open are left out. */
void drive_say(struct drive *drive, const char *script, unsigned shift);

/* One operation, on both sides. */
void drive_do(struct drive *drive, const struct op *op);

/* What follows is to be recorded. */
void drive_mark(struct drive *drive);

/* Ends the run without a crash. */
void drive_stop(struct drive *drive);

/* Ends the run without a crash, and runs the same again under the explorer. */
void drive_record(struct drive *drive);

#endif
