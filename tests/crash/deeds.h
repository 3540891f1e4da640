/* deeds.h -- the operations that are played against each other, and the tree that they meet
 *
 * Each runs on the library and on the model, and leaves an answer that can be compared. Every thread
 * has handles of its own: slot 0 is /f for reading and writing, 1 is /d1/b, 2 is /f for appending, 3 is
 * free or, for the deeds that want it, a file without a name; directory 0 is /d1. */
#ifndef TESTS_CRASH_DEEDS_H
#define TESTS_CRASH_DEEDS_H

#include "op.h"
#include "picture.h"

#define DEED_ENTRIES_MAX   32u
#define DEED_THREADS_MAX   4u
#define SIDE_FORMAT_NOW_NS 1000 /* when the region was formatted */
#define DEED_SLOT_F        0u
#define DEED_SLOT_B        1u
#define DEED_SLOT_APPEND   2u
#define DEED_SLOT_FREE     3u

enum deed_kind {
    DEED_OP,         /* `op` */
    DEED_LIST,       /* all of directory 0: not one step, so each name on its own */
    DEED_SYNC,       /* vmfs_sync() */
    DEED_CHECKPOINT, /* one slice, as work ahead does it */
};

struct deed {
    const char *name;
    enum deed_kind kind;
    bool is_reader;    /* changes nothing but access times */
    bool is_torn;      /* a crash inside may leave each word old or new */
    bool takes_slot;   /* opens DEED_SLOT_FREE: once for each thread */
    bool wants_orphan; /* closes DEED_SLOT_FREE, a file without a name */
    bool moves_dirs;   /* a path that has been walked may lead elsewhere now */
    struct op op;
};

extern const struct deed deeds[];
extern const unsigned deed_count;

/* The deed with this name, or null. */
const struct deed *deed_find(const char *name, size_t name_bytes);

/* What a deed returned. */
struct answer {
    int64_t code;
    unsigned other_count; /* of the model: errors that are as good as its own */
    int others[MODEL_ERRORS_MAX];
    size_t data_bytes;
    uint64_t data; /* hash */
    bool has_stat;
    struct vmfs_stat stat;
    unsigned entry_count; /* of DEED_LIST */
    uint64_t entries[DEED_ENTRIES_MAX];
};

/* One side: the library's, with `fs`, or the model's. */
struct side {
    struct vmfs *fs;
    struct model *model;
    struct medium *medium; /* of `fs`: whose clock is set */
    struct op_world worlds[DEED_THREADS_MAX];
};

/* What happens before, each step at its own time. Ends the program if something fails. */
void side_make_tree(struct side *side);
void side_history(struct side *side);
void side_open(struct side *side, unsigned thread, bool has_orphan);
void side_close(struct side *side, unsigned thread);

void side_run(struct side *side, unsigned thread, const struct deed *deed, int64_t now_ns,
              struct answer *answer);

/* A call walks its paths, one after the other, but for their last names before it locks anything, as on
 * Linux, so that directories may be moved or removed behind its back. On the model: walks the next path of
 * a deed, if it is there; the deed is then run from where those that were walked have ended. */
struct walked {
    unsigned count; /* of paths that have been walked */
    struct model_node *dirs[2];
    char names[2][VMFS_NAME_MAX + 1];
};

unsigned deed_paths(const struct deed *deed);
bool side_walk(struct side *side, const struct deed *deed, struct walked *walked);
void side_let_go(struct walked *walked);
void side_run_walked(struct side *side, unsigned thread, const struct deed *deed,
                     struct walked *walked, struct answer *answer);

/* Is what the library answered what the model did? A list is compared by its code alone. */
bool answers_agree(const struct answer *library, const struct answer *model);

#endif
