/* medium.h -- memory that plays a persistent medium, store by store
 *
 * The library loads from a read-only mapping and stores through a second one by the trace backend, so
 * that a store that goes round the persist layer faults at its own line. What a power cut leaves:
 *
 *   LINE  x86. A plain store is in flight until its line was flushed and the thread that flushed it has
 *         fenced; caches evict lines at any time, so of each line any prefix of its stores may survive.
 *         A store past the cache is in flight until its thread fences, and of those any subset of
 *         aligned 8-byte words may survive.
 *   WORD  weaker machines: of all stores in flight any subset of words, each word in order.
 *   PAGE  a page cache: a fence is an msync of every page that its thread flushed or copied to, with all
 *         that was stored there by anyone. Of each 512-byte sector any prefix of its stores since may
 *         have been written.
 *
 * Nothing larger than an aligned 8 bytes is ever atomic. */
#ifndef TESTS_CRASH_ENGINE_MEDIUM_H
#define TESTS_CRASH_ENGINE_MEDIUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/stage.h"
#include "persist/persist_trace.h"

#define MEDIUM_LINE_BYTES   64u
#define MEDIUM_SECTOR_BYTES 512u
#define MEDIUM_PAGE_BYTES   4096u
#define MEDIUM_MIRRORS_MAX  6u
#define MEDIUM_WINDOWS_MAX  8u
#define MEDIUM_CALLERS      24u

enum medium_model { MEDIUM_LINE, MEDIUM_WORD, MEDIUM_PAGE };

/* One 8-byte word on its way to the medium. */
struct unit {
    uint64_t value;
    uint32_t word;
    uint32_t event; /* the one that stored it, in medium.events; only while logging */
    uint32_t store; /* serial of the call that stored it */
    uint8_t thread;
    uint8_t flushed;    /* a bit for each thread that has flushed the line since */
    bool is_past_cache; /* needs no flush */
    bool is_unordered;  /* may get there before older stores of its line */
};

/* What happened, in order. */
enum medium_event_kind {
    MEDIUM_STORE,
    MEDIUM_COPY,
    MEDIUM_FLUSH,
    MEDIUM_FENCE,
    MEDIUM_WINDOW, /* the application stored into its window */
    MEDIUM_BEGIN,  /* of an operation: `text` */
    MEDIUM_END,    /* of an operation: `result` */
    MEDIUM_LOCK,   /* `lock` taken */
    MEDIUM_UNLOCK,
};

struct medium_event {
    enum medium_event_kind kind;
    uint8_t thread;
    uint64_t offset;
    uint64_t len_bytes;
    int64_t result;
    const char *text;
    const void *lock;
    const void
        *callers[MEDIUM_CALLERS]; /* return addresses, the innermost first; null behind them */
};

struct medium_window {
    uint64_t offset;
    uint64_t len_bytes;
};

/* Of an image, by how it differs from the one that was loaded. */
struct medium_hash {
    uint64_t all;
    uint64_t live; /* without the dead words (R4 in reduce.h) */
};

struct medium;
typedef void (*medium_hook_fn)(struct medium *medium, void *arg);

struct medium {
    const uint8_t *memory; /* what loads see: read-only */
    uint8_t *stores;       /* the same pages, writable */
    uint8_t *durable;      /* what is safe */
    uint8_t *shadow;       /* what the told stores alone make; only while logging */
    uint64_t bytes;
    enum medium_model model;
    bool is_tracking;    /* false: stores only mark lines as dirty */
    bool is_logging;     /* keep events and the shadow */
    unsigned operations; /* that have begun and not ended */
    unsigned thread;     /* who is storing now */
    struct unit *units;  /* in flight, in program order */
    uint64_t unit_count;
    uint64_t unit_room;
    struct medium_event *events;
    uint64_t event_count;
    uint64_t event_room;
    uint32_t *newest; /* index + 1 of the newest durable unit of a word, within one fence */
    uint64_t *synced; /* a bit for each page that the fence going on writes */
    uint64_t *dirty;  /* a bit for each line that was stored to */
    uint32_t *dirty_lines;
    uint64_t dirty_count;
    struct medium_hash durable_hash;
    uint64_t dead_first; /* words that say nothing once a recovery is over (R4) */
    uint64_t dead_past;
    uint64_t fences;
    uint32_t store_serial;
    uint64_t unfenced;          /* words at the ends of operations that their thread copied or
                                 * flushed, and did not fence */
    uint64_t redundant_flushes; /* of lines of which nothing was in flight but what was flushed */
    uint64_t overwritten;       /* words that were stored again before they were durable */
    uint64_t escaped;           /* bytes found to be stored by nobody who told */
    struct medium_window windows[MEDIUM_WINDOWS_MAX];
    unsigned window_count;
    bool fails;                           /* the next fence refuses, and makes nothing durable */
    uint8_t *mirrors[MEDIUM_MIRRORS_MAX]; /* get what becomes durable, as it does */
    unsigned mirror_count;
    medium_hook_fn before_fence; /* nothing of this fence is durable yet */
    medium_hook_fn after_fence;
    medium_hook_fn at_store; /* a plain store or one past the cache has been made */
    medium_hook_fn at_flush;
    medium_hook_fn in_epoch; /* so many words have been stored since the last fence, and again */
    uint64_t epoch_words;    /* how many; 0: never */
    uint64_t epoch_left;
    void *epoch_arg;
    uint64_t store_word; /* for at_store: the first word and how many */
    uint64_t store_words;
    void *hook_arg;
    uint64_t random_seed; /* what the platform of a filesystem on it hands out */
    uint64_t random_count;
    int64_t now_ns;
    struct vm_trace trace;
    struct vm_stage stage; /* loads, stores and ops are set; the platform is the caller's */
};

void medium_init(struct medium *medium, uint64_t bytes);
void medium_fini(struct medium *medium);

/* Sets the contents, all durable, nothing in flight, no events, no windows. */
void medium_load(struct medium *medium, const uint8_t *image);

/* How the hash of an image changes with a word. */
uint64_t medium_hash_change(uint64_t word, uint64_t before, uint64_t after);
void medium_hash_word(const struct medium *medium, struct medium_hash *hash, uint64_t word,
                      uint64_t before, uint64_t after);

/* Stores one word into memory as if a crash had left it there, and changes the image's hash. */
void medium_put(struct medium *medium, uint32_t word, uint64_t value, struct medium_hash *hash);

/* Copies every dirty line of `medium` from `image` into its memory and marks all as clean. */
void medium_restore(struct medium *medium, const uint8_t *image);

/* Loses power: memory becomes the durable image plus the picked units. */
void medium_crash(struct medium *medium, const uint8_t *picked);

/* Keeps events from here on, and the shadow, which starts as memory is now. */
void medium_log(struct medium *medium);

/* An operation begins or ends; at its end the shadow is compared: false if a store escaped. */
void medium_begin(struct medium *medium, const char *text);
bool medium_end(struct medium *medium, int64_t result);

/* Notes a lock taken or released by the running thread. */
void medium_note_lock(struct medium *medium, const void *lock, bool is_taken);

/* Hands a range to an application that stores by itself: where it may write. What it has stored is found
 * by comparison with the shadow, at every fence, flush, begin and end, and by medium_look(); words that
 * changed since the last look count as stored in any order. Only while logging. */
uint8_t *medium_window(struct medium *medium, uint64_t offset, uint64_t len_bytes);
void medium_look(struct medium *medium);

/* Makes the pages of `bytes` bytes; ends the program where there is no memory. */
uint8_t *medium_pages(uint64_t bytes);
void medium_unmap(const void *pages, uint64_t bytes);

/* Told of each event of a medium: watch.c. */
void watch_told(const struct medium *medium, const struct vm_trace_event *event);

#endif
