/* explore.h -- every state that a crash may leave, and what is asked of it
 *
 * A *state* is a point and a vector of versions (states.h). It is made on a medium of its own, recovered,
 * examined and taken back; the crash may come again inside of that recovery, and again inside of that
 * one. A point is *complete* where each of its states was tried, or is equal to one that was by a
 * reduction (reduce.h); else it is sampled.
 *
 * A state counts once, however often its image comes up under the same rules. One whose recovered image
 * was examined before under the same rules, byte by byte but for what is dead (R4), is not examined again. */
#ifndef TESTS_CRASH_ENGINE_EXPLORE_H
#define TESTS_CRASH_ENGINE_EXPLORE_H

#include <stdio.h>

#include "states.h"
#include "token.h"
#include "vmfs.h"
#include "watch.h"

/* What is asked of a state. */
struct judge {
    void *arg;
    /* Recovers what is on the medium: 0 and a filesystem, or a negative errno. May be cut short itself. */
    int (*recover)(void *arg, struct medium *medium, struct vmfs **out);
    /* Null, or what is wrong; closes the filesystem. Tells more to `details` if that is not null. */
    const char *(*examine)(void *arg, struct vmfs *fs, FILE *details);
    /* Is it right that recovery fails like this? Null: never. */
    bool (*excuses)(void *arg, int err);
    /* Differs where examine() would allow something else. */
    uint64_t (*rules)(void *arg);
    /* Prints what an image holds. May be null. */
    void (*dump)(void *arg, const uint8_t *image, uint64_t bytes, FILE *out);
    /* Closes what need not be examined. Null: vmfs_close(). */
    void (*drop)(void *arg, struct vmfs *fs);
};

/* How a point was settled. */
enum share { SHARE_ENUMERATED, SHARE_REDUCED, SHARE_SAMPLED, SHARE_COUNT };

/* One depth: what is cut, and where its states are tried. */
struct level {
    struct medium *crashed; /* the recorded one, or the runner of the level above */
    struct medium runner;   /* as crashed->durable but while a state is being tried */
    struct states states;
    struct watch watch;
    unsigned point; /* in this recording, or in this recovery */
    unsigned depth;
    uint64_t garbage; /* not 0: the seed of what undecided words are filled with */
    bool is_in_recovery;
    bool is_after_recovery; /* what is cut has just recovered */
    uint32_t home_word;     /* one that recovery has looked at, plus one */
    /* Of the state that is tried: */
    uint8_t *decided;    /* granules whose version is chosen: not watched */
    uint8_t *seen_as;    /* a bit for each kind of look that was taken at an undecided granule */
    uint32_t *looked_at; /* those granules, in the order of the first look */
    uint32_t looked_count;
    uint8_t *is_maxed; /* a maximum has decided a word of it */
    uint64_t *veil;    /* of each word: bits that do not count for outcome.veiled */
    /* reduce.c's: */
    uint8_t *group; /* of each granule: what is known of the call that stored it */
    uint64_t leaves;
    bool is_over;
};

/* What came of a state. */
struct verdict {
    bool is_new; /* its image was not tried before under these rules */
    int err;     /* of its recovery */
    const char *reason;
    struct medium_hash image; /* of what recovery left */
    uint64_t stored_lines;    /* by recovery */
    uint64_t veiled;          /* the same without veiled and undecided bits */
};

struct explorer {
    /* What is asked for. */
    const char *label; /* first part of every token */
    uint64_t seed;
    uint64_t region_mib;       /* for tokens; 0: do not tell */
    uint64_t choices_max;      /* of one kind at a sampled point */
    uint64_t random_count;     /* random states at a sampled point */
    uint64_t leaves_max;       /* a point with more different recoveries is sampled */
    uint64_t nested_every;     /* of so many states one is cut in its recovery as well; 0: none */
    uint64_t third_every;      /* and of so many of those, one in the recovery of that */
    uint64_t second_lines_max; /* what a recovery behind a whole one may store to; 0: anything */
    uint64_t sound_max;        /* without reductions: a point with more states is sampled */
    uint64_t dead_offset;      /* bytes of the region that say nothing once it is recovered (R4) */
    uint64_t dead_bytes;
    uint64_t dead_every;  /* of so many examinations that R4 spares one is made all the same */
    bool is_sound;        /* no reductions */
    struct token *replay; /* only this state, with details */
    bool is_first;        /* end the program at the first violation */
    bool is_quiet;        /* print no violations */
    const char *keep;     /* folder for what a violation leaves, or null */
    const struct judge *judge;
    /* Results. */
    uint64_t state_count;    /* distinct crash images that were recovered */
    uint64_t examined_count; /* distinct recovered images that were examined */
    uint64_t inner_count;    /* of state_count: with a crash in recovery */
    uint64_t point_count;
    uint64_t share_count[SHARE_COUNT]; /* of the points */
    uint64_t violation_count;
    char *first_token;      /* of the first violation, or null */
    uint64_t escaped_count; /* stores that went round the persist layer */
    uint64_t record_count;  /* stored by one call, and found to be all or nothing (R2) */
    /* Volatile. */
    struct medium *live;
    struct level levels[TOKEN_LEVELS_MAX];
    bool is_in_state;
    unsigned depth; /* the level whose state is being tried */
    uint64_t label_key;
    uint64_t nested_turn;
    uint64_t third_turn;
    uint64_t dead_turn;
    uint64_t *seen;     /* images that were tried */
    uint64_t *examined; /* images that were examined */
    uint64_t seen_count;
    uint64_t examined_used;
    bool is_trying; /* without reports: a violation is being made smaller */
};

/* Sets what is asked for to what fits a whole run; change it afterwards. */
void explore_init(struct explorer *explorer, uint64_t bytes);
void explore_fini(struct explorer *explorer);

/* Begins with a new recording on `live`, which has just been loaded. */
void explore_start(struct explorer *explorer, struct medium *live, const char *label,
                   const struct judge *judge);

/* Tries the states that a crash at this moment may leave. */
void explore_point(struct explorer *explorer, struct medium *live);

/* A point of which nothing is tried: those behind it have the same tokens as if it had been. */
void explore_pass(struct explorer *explorer);

/* Counts and prints a violation with its token; a null reason is none. Outside of all states the token
 * names the moment behind the last point, with nothing of what is in flight. */
void explore_report(struct explorer *explorer, const char *reason);

void explore_print_token(const struct explorer *explorer, FILE *out);

/* For reduce.c: tries the state that level->states holds, watched where `is_watched`. */
void explore_state(struct explorer *explorer, struct level *level, bool is_watched,
                   struct verdict *outcome);

/* For reduce.c: as explore_report(), of the state that was tried last on this level. */
void explore_report_state(struct explorer *explorer, const struct level *level, const char *reason);

#endif
