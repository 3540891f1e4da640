/* repair_judge.h -- what a repair may cost, and whether it cost more
 *
 * A cost is a list of paths: these objects may lose parts of themselves (a directory: names; what they
 * named lives on, in /lost+found if need be), with a '!' in front they may be gone altogether, with a '+' they may have bytes
 * that another object has, with ":N" behind they lose N parts at most. Everything else must be as it was, nothing may be there that was not, but for /lost+found, and whatever is lost must
 * have been told. */
#ifndef TESTS_UNIT_REPAIR_JUDGE_H
#define TESTS_UNIT_REPAIR_JUDGE_H

#include "inventory.h"

#define JUDGE_COSTS_MAX 4096u
#define JUDGE_TOLD_MAX  4096u

struct repair_judge {
    const struct inventory *before;
    unsigned cost_count;
    struct {
        uint64_t id;
        char mark;      /* '!', '+' or 0 */
        unsigned limit; /* parts, or 0: any */
        unsigned lost;
    } costs[JUDGE_COSTS_MAX];
    bool is_sum;     /* several damages: together they may cost more parts than each */
    bool takes_data; /* what may lose data may have other data there */
    unsigned told_count;
    uint64_t told[JUDGE_TOLD_MAX]; /* slots of inodes that were named in what was told */
    unsigned lines;                /* told in all */
    unsigned mended;
    char last[200]; /* line */
    /* Of the comparison. */
    unsigned violations;
    unsigned lost;
    char text[400]; /* the first violation */
};

/* `fs` is the region as it was. */
void judge_begin(struct repair_judge *judge, struct vmfs *fs, const struct inventory *before,
                 const char *cost);

/* One cost more, by id. */
void judge_allow(struct repair_judge *judge, uint64_t id, char mark);
/* It may change without a word: nobody can know of it. */
void judge_excuse(struct repair_judge *judge, uint64_t id);

/* A vmfs_check_fn whose argument is a judge. */
void judge_hear(void *arg, const struct vmfs_problem *problem);

/* Forgets what was told: another repair of the same damage begins. */
void judge_deafen(struct repair_judge *judge);

/* Looks at what is there after it; null, or what is wrong. */
const char *judge_losses(struct repair_judge *judge, struct vmfs *fs);

#endif
