/* watch.c -- words that are looked at before they are decided */
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "watch_calls.h"
#undef memcpy
#undef memmove
#undef memcmp
#undef vm_hash64
#undef vm_hash32

struct watch_span watch_span;
static struct watch *watcher;
static const uint8_t *stores; /* of the watched medium */
static const uint8_t *words_buffer;
static size_t words_bytes;

bool watch_is_built(void)
{
#ifdef VM_WATCHED
    return true;
#else
    return false;
#endif
}

struct watch *watch_set(struct watch *watch)
{
    struct watch *before = watcher;
    watcher = watch;
    stores = watch ? watch->medium->stores : NULL;
    watch_span = (struct watch_span){0};
    if (watch)
        watch_span = (struct watch_span){.start = (uintptr_t)watch->medium->memory,
                                         .len_bytes = 2 * watch->medium->bytes,
                                         .medium_bytes = watch->medium->bytes,
                                         .open = watch->open};
    return before;
}

void watch_judge_words(const void *buffer, size_t len_bytes)
{
    words_buffer = buffer;
    words_bytes = len_bytes;
}

/* The bits of a word that a range of bytes holds. */
static uint64_t bits_inside(uint64_t word, uint64_t start, uint64_t end)
{
    uint64_t first = start > word * 8 ? start - word * 8 : 0;
    uint64_t past = end < word * 8 + 8 ? end - word * 8 : 8;
    uint64_t below = past == 8 ? ~(uint64_t)0 : ((uint64_t)1 << past * 8) - 1;
    return below & ~(((uint64_t)1 << first * 8) - 1);
}

/* Most loads are from pages where nothing is in flight. */
static bool is_open(uint64_t start, uint64_t end)
{
    for (uint64_t page = start / MEDIUM_PAGE_BYTES; page * MEDIUM_PAGE_BYTES < end; page++)
        if (watcher->open[page / 64] >> page % 64 & 1)
            return true;
    return false;
}

static void look(uint64_t start, size_t len_bytes, enum watch_kind kind)
{
    if (!is_open(start, start + len_bytes))
        return;
    for (uint64_t word = start / 8; word * 8 < start + len_bytes; word++)
        if (watcher->undecided[word] & bits_inside(word, start, start + len_bytes))
            watcher->tell(watcher->arg, (uint32_t)word, kind);
}

/* Offset of a watched address, by either mapping; false if it is none. */
static bool offset_of(const void *from, uint64_t *offset)
{
    *offset = (uintptr_t)from - watch_span.start;
    if (*offset >= watch_span.len_bytes)
        return false;
    if (*offset >= watch_span.medium_bytes)
        *offset -= watch_span.medium_bytes;
    return true;
}

void watch_loaded(const void *from, size_t len_bytes, const void *to)
{
    uint64_t offset;
    if (!watch_concerns(from, len_bytes) || !offset_of(from, &offset))
        return;
    bool is_judged = to && words_buffer && (uintptr_t)to - (uintptr_t)words_buffer < words_bytes &&
                     (uintptr_t)to - (uintptr_t)words_buffer + len_bytes <= words_bytes;
    look(offset, len_bytes, is_judged ? WATCH_DATA : WATCH_LOAD);
}

void vm_watch_loaded(const void *from, size_t len_bytes)
{
    watch_loaded(from, len_bytes, NULL);
}

const void *vm_watch_data(const void *from, size_t len_bytes, const void *to)
{
    uint64_t offset;
    watch_loaded(from, len_bytes, to);
    return offset_of(from, &offset) ? stores + offset : from;
}

/* ---- pages ---- */

static void protect(const struct watch *watch, uint64_t page, int protection)
{
    void *start = (void *)(uintptr_t)(watch->medium->memory + page * MEDIUM_PAGE_BYTES);
    if (mprotect(start, MEDIUM_PAGE_BYTES, protection) != 0) {
        fprintf(stderr, "watch.c: a page cannot be protected\n");
        abort();
    }
}

void watch_close_page(struct watch *watch, uint64_t page)
{
    uint64_t bit = (uint64_t)1 << page % 64;
    if (watch->pages[page / 64] & bit)
        return;
    watch->pages[page / 64] |= bit;
    protect(watch, page, PROT_NONE);
}

static void open_page(struct watch *watch, uint64_t page)
{
    watch->pages[page / 64] &= ~((uint64_t)1 << page % 64);
    protect(watch, page, PROT_READ);
}

void watch_open_pages(struct watch *watch)
{
    uint64_t groups = watch->medium->bytes / MEDIUM_PAGE_BYTES / 64 + 1;
    for (uint64_t group = 0; group < groups; group++)
        while (watch->pages[group])
            open_page(watch, group * 64 + (uint64_t)__builtin_ctzll(watch->pages[group]));
}

bool watch_faulted(const void *address)
{
    uint64_t offset = (uint64_t)((uintptr_t)address - watch_span.start);
    uint64_t page = offset / MEDIUM_PAGE_BYTES;
    if (offset >= watch_span.medium_bytes || !(watcher->pages[page / 64] >> page % 64 & 1))
        return false;
    open_page(watcher, page);
    look(page * MEDIUM_PAGE_BYTES, MEDIUM_PAGE_BYTES, WATCH_PAGE);
    return true;
}

/* ---- what is stored ---- */

/* A part of a word leaves the rest as it is. */
static void decide(struct watch *watch, uint64_t start, uint64_t len_bytes)
{
    for (uint64_t word = start / 8; word * 8 < start + len_bytes; word++)
        if (watch->undecided[word])
            watch->undecided[word] &= ~bits_inside(word, start, start + len_bytes);
}

void watch_told(const struct medium *medium, const struct vm_trace_event *event)
{
    struct watch *watch = watcher;
    if (!watch || watch->medium != medium)
        return;
    if (event->payload && event->change == VM_TRACE_WHOLE)
        watch_loaded(event->payload, event->len_bytes, NULL);
    uint64_t word = event->offset / 8;
    if (event->kind == VM_TRACE_FENCE || event->kind == VM_TRACE_FLUSH)
        return;
    if (event->change == VM_TRACE_WHOLE) {
        decide(watch, event->offset, event->len_bytes);
    } else if (event->change == VM_TRACE_MASK) {
        watch->undecided[word] &= ~event->operand;
    } else if (watch->undecided[word] &&
               event->operand >= watch->largest(watch->arg, (uint32_t)word)) {
        watch->undecided[word] = 0;
        watch->at_max(watch->arg, (uint32_t)word);
    }
}
