/* watch.h -- which bits of what a crash left somebody looks at before they are overwritten
 *
 * The recovering ranks of the library (media, journal, space, inode) are compiled so that each of their
 * loads comes by here (watch_calls.h, watch_tsan.c). A word in flight is *undecided* in the bits in which
 * its versions differ; a store, a mask or a maximum that comes out the same for all of them decides it.
 * The first load of undecided bits is told: the state must be tried with the word's other versions, too.
 * All other ranks are watched by the page: they fault when they load from one with undecided words.
 *
 * One thread only. */
#ifndef TESTS_CRASH_ENGINE_WATCH_H
#define TESTS_CRASH_ENGINE_WATCH_H

#include <stdint.h>

#include "medium.h"

/* How a word is looked at. */
enum watch_kind {
    WATCH_LOAD, /* by code that may decide on it */
    WATCH_PAGE, /* something on its page by code that may decide on it */
    WATCH_DATA, /* copied to a buffer that is judged word by word */
};

struct watch {
    const struct medium *medium; /* null: nobody looks */
    uint64_t *undecided; /* of each word: the bits in which what a crash may leave differs */
    void *arg;
    /* The word is as good as decided afterwards, if this clears its bits. */
    void (*tell)(void *arg, uint32_t word, enum watch_kind kind);
    /* The largest value that the word may have. */
    uint64_t (*largest)(void *arg, uint32_t word);
    void (*at_max)(void *arg, uint32_t word); /* a maximum has decided it */
    uint64_t *open;  /* a bit for each page that may have undecided words */
    uint64_t *pages; /* a bit for each page that faults */
};

/* Is the library compiled for it? */
bool watch_is_built(void);

/* Lets the loads from this watch's medium be told; returns who was watching. Null: nobody. */
struct watch *watch_set(struct watch *watch);

/* Both mappings of the watched medium: loads from elsewhere need not be told, nor those from pages where nothing
 * is in flight. No bytes: nobody looks. */
struct watch_span {
    uintptr_t start;
    uint64_t len_bytes;
    uint64_t medium_bytes;
    const uint64_t *open;
};
extern struct watch_span watch_span;

/* May the range have undecided words? Most loads are from elsewhere, or from pages where nothing is in flight. */
static inline bool watch_concerns(const void *from, size_t len_bytes)
{
    uint64_t offset = (uintptr_t)from - watch_span.start;
    if (offset >= watch_span.len_bytes)
        return false;
    if (offset >= watch_span.medium_bytes)
        offset -= watch_span.medium_bytes;
    uint64_t page = offset / MEDIUM_PAGE_BYTES;
    return (watch_span.open[page / 64] >> page % 64 & 1) ||
           (offset + len_bytes - 1) / MEDIUM_PAGE_BYTES != page;
}

/* Loads come to here; `is_data`: they are copied to `to`. */
void watch_loaded(const void *from, size_t len_bytes, const void *to);

/* Pages with undecided words fault from here on until watch_open_pages(). */
void watch_close_page(struct watch *watch, uint64_t page);
void watch_open_pages(struct watch *watch);

/* A load has faulted: true if it is one of ours and may be tried again. */
bool watch_faulted(const void *address);

/* What judges word by word says where it copies to: words that only go there need not be tried with each
 * other. Null: nowhere. */
void watch_judge_words(const void *buffer, size_t len_bytes);

#endif
