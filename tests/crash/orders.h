/* orders.h -- what calls of several threads may leave and answer: durable linearizability
 *
 * The legal outcomes of a set of threads come from running every order of every beginning of their
 * deeds on the model, one after the other. What is legal at a moment of a run:
 *
 *   every deed that has returned is in the order, with the answer that it gave; of those that have
 *   begun and not returned each is in it or not; a deed that returned before another began stands
 *   before it.
 *
 * A deed stands where it takes effect; its paths may have been walked before, even before a directory
 * on them was moved by another deed, but not before the deed had begun.
 *
 * A crash must leave the tree of one of these orders; at the end the tree in memory must be one, too. */
#ifndef TESTS_CRASH_ORDERS_H
#define TESTS_CRASH_ORDERS_H

#include "deeds.h"

#define CONCERT_DEEDS_MAX 3u /* of one thread */
#define ORDER_DEEDS_MAX   6u
#define OUTCOMES_MAX      512u

/* What the threads do. As text "two:A.B,C": threads joined by ',', their deeds by '.'; the first word
 * says how many threads and, with "-u", that there is history without a checkpoint. */
struct concert {
    unsigned thread_count;
    unsigned deed_counts[DEED_THREADS_MAX];
    const struct deed *deeds[DEED_THREADS_MAX][CONCERT_DEEDS_MAX];
    bool is_unsynced;
};

void concert_text(const struct concert *concert, char *text, size_t room);
/* Could it be the beginning of such a text? */
bool concert_is_label(const char *text);
/* Reads up to a ':' behind the deeds or the end, where `rest` points then. */
bool concert_parse(const char *text, struct concert *concert, const char **rest);

/* Can it be played at all? */
bool concert_has_sense(const struct concert *concert);

/* The time that all deeds find on their clocks. One for all: a call finds its directory and reads the
 * clock before it takes a lock, as on Linux, so the times of calls that overlap need not be in order. */
#define CONCERT_NOW_NS ((int64_t)2000000000000000000)

/* Attaching has been done: what comes before the deeds. */
void concert_prepare(const struct concert *concert, struct side *side);

struct outcome {
    unsigned count;
    uint8_t threads[ORDER_DEEDS_MAX]; /* whose deed, in their order */
    uint8_t walked[ORDER_DEEDS_MAX];  /* behind how many deeds its paths had been walked */
    struct answer answers[ORDER_DEEDS_MAX];
    struct picture picture;
    uint64_t atimes; /* sum over the names */
};

/* What has happened so far; stamps count up from 1, 0: not yet. */
struct happened {
    uint32_t begun;
    uint32_t ended;
    struct answer answer;
};

struct orders {
    const struct concert *concert;
    unsigned count;
    struct outcome *outcomes;
    struct picture_store store;
    struct happened happened[DEED_THREADS_MAX][CONCERT_DEEDS_MAX];
    uint32_t stamp;
    int64_t births[DEED_THREADS_MAX][2]; /* of the files behind slots F and B */
    /* What is legal now. */
    uint64_t legal[OUTCOMES_MAX / 64];
    unsigned legal_count;
    int64_t torn_birth; /* words of the file born then are old or new; 0: of none */
    /* Room. */
    struct picture found;
    struct picture_store found_store;
};

void orders_init(struct orders *orders);

/* Runs all orders; forgets what has happened. Ends the program if the model cannot be looked at. */
void orders_build(struct orders *orders, const struct concert *concert);

void orders_forget(struct orders *orders);
void orders_begin(struct orders *orders, unsigned thread, unsigned index);
void orders_end(struct orders *orders, unsigned thread, unsigned index,
                const struct answer *answer);

/* Finds what is legal now; a number that differs where this does. */
uint64_t orders_settle(struct orders *orders);

/* Null if the filesystem holds a tree that is legal now, or what is wrong; tells more to `details`. The
 * tree is in `found` then. */
const char *orders_judge(struct orders *orders, struct vmfs *fs, FILE *details);

/* What each deed has answered, and would have in each order. */
void orders_print_answers(const struct orders *orders, FILE *out);

/* At the end: is every list a union of what could be seen while it was made? */
const char *orders_judge_lists(const struct orders *orders);

#endif
