/* recorder.h -- memory that plays a persistent medium, store by store
 *
 * The model of x86: a plain store is in flight until its line was flushed and the thread that
 * flushed it has fenced; caches evict lines at any time, so of each line any prefix of its stores
 * may survive. A store past the cache (copy, set) is in flight until its thread fences, and of
 * those any subset of aligned 8-byte words may survive. */
#ifndef TESTS_CRASH_RECORDER_H
#define TESTS_CRASH_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEDIUM_LINE_BYTES  64u
#define MEDIUM_MIRRORS_MAX 3u

/* One 8-byte word on its way to the medium. */
struct unit {
    uint64_t value;
    uint32_t word;
    uint8_t thread;
    uint8_t flushed; /* a bit for each thread that has flushed the line since */
    bool is_past_cache;
};

struct medium;
typedef void (*medium_hook_fn)(struct medium *medium, void *arg);

struct medium {
    uint8_t *memory;  /* what loads see */
    uint8_t *durable; /* what is safe */
    uint64_t bytes;
    bool is_tracking;   /* false: stores only mark lines as dirty */
    unsigned thread;    /* who is storing now */
    struct unit *units; /* in flight, in program order */
    uint64_t unit_count;
    uint64_t unit_room;
    uint32_t *newest; /* index + 1 of the newest durable unit of a word, within one fence */
    uint64_t *dirty;  /* a bit for each line that was stored to */
    uint32_t *dirty_lines;
    uint64_t dirty_count;
    uint64_t durable_hash; /* of the durable words */
    uint64_t fences;
    bool fails;                           /* the next fence refuses, and makes nothing durable */
    uint8_t *mirrors[MEDIUM_MIRRORS_MAX]; /* get what becomes durable, as it does */
    unsigned mirror_count;
    medium_hook_fn before_fence; /* nothing of this fence is durable yet */
    medium_hook_fn after_fence;
    medium_hook_fn at_store; /* a plain store or one past the cache has been made */
    uint64_t store_word;     /* for at_store: the first word and how many */
    uint64_t store_words;
    void *hook_arg;
    uint64_t random_seed; /* what the platform of a filesystem on it hands out */
    uint64_t random_count;
    int64_t now_ns;
};

void medium_init(struct medium *medium, uint64_t bytes);
void medium_fini(struct medium *medium);

/* Sets the contents, all durable, nothing in flight. */
void medium_load(struct medium *medium, const uint8_t *image);

/* The medium that fences go to and whose threads store; returns the one before. */
struct medium *medium_use(struct medium *medium);
struct medium *medium_current(void);

/* Stores one word into memory as if a crash had left it there; returns how the image hash changes.
 */
uint64_t medium_put(struct medium *medium, uint32_t word, uint64_t value);

/* Copies every dirty line of `medium` from `image` into its memory and marks all as clean. */
void medium_restore(struct medium *medium, const uint8_t *image);

/* Loses power: memory becomes the durable image plus the picked units. */
void medium_crash(struct medium *medium, const uint8_t *picked);

/* Makes the pages of `bytes` bytes; ends the program where there is no memory. */
uint8_t *medium_pages(uint64_t bytes);

#endif
