/* medium.c -- what is in flight, what is durable, what was told */
#include "medium.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "callers.h"
#include "seed.h"

#define WORDS_OF_LINE (MEDIUM_LINE_BYTES / 8)
#define WORDS_OF_PAGE (MEDIUM_PAGE_BYTES / 8)
#define EVENTS_MAX    ((uint64_t)1 << 20)

static int tell(void *arg, const struct vm_trace_event *event);

static void give_up(const char *what)
{
    fprintf(stderr, "medium.c: %s\n", what);
    abort();
}

uint8_t *medium_pages(uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        give_up("no memory");
    return memory;
}

void medium_unmap(const void *pages, uint64_t bytes)
{
    munmap((void *)(uintptr_t)pages, bytes);
}

/* The same pages twice: to load from, and behind them to store to. */
static void map_twice(struct medium *medium)
{
    int fd = memfd_create("medium", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)medium->bytes) != 0)
        give_up("no memory file");
    uint8_t *both = mmap(NULL, 2 * medium->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (both == MAP_FAILED)
        give_up("no address space");
    void *loads = mmap(both, medium->bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
    void *stores = mmap(both + medium->bytes, medium->bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_FIXED, fd, 0);
    if (loads == MAP_FAILED || stores == MAP_FAILED)
        give_up("no mapping");
    close(fd);
    medium->memory = loads;
    medium->stores = stores;
}

void medium_init(struct medium *medium, uint64_t bytes)
{
    *medium = (struct medium){
        .bytes = bytes,
        .durable = medium_pages(bytes),
        .shadow = medium_pages(bytes),
        .newest = (void *)medium_pages(bytes / 8 * sizeof *medium->newest),
        .synced = (void *)medium_pages(bytes / MEDIUM_PAGE_BYTES / 8 + 8),
        .dirty = (void *)medium_pages(bytes / MEDIUM_LINE_BYTES / 8 + 8),
        .dirty_lines = (void *)medium_pages(bytes / MEDIUM_LINE_BYTES * 4),
        .unit_room = bytes / 4,
        .event_room = EVENTS_MAX,
        .is_tracking = true,
    };
    map_twice(medium);
    medium->units = (void *)medium_pages(medium->unit_room * sizeof *medium->units);
    medium->events = (void *)medium_pages(medium->event_room * sizeof *medium->events);
    medium->trace = (struct vm_trace){.stores = medium->stores, .arg = medium, .tell = tell};
    medium->stage = (struct vm_stage){.loads = medium->memory,
                                      .stores = medium->stores,
                                      .bytes = bytes,
                                      .ops = vm_persist_trace(),
                                      .ops_arg = &medium->trace};
}

void medium_fini(struct medium *medium)
{
    munmap((void *)(uintptr_t)medium->memory, medium->bytes);
    munmap(medium->stores, medium->bytes);
    munmap(medium->durable, medium->bytes);
    munmap(medium->shadow, medium->bytes);
    munmap(medium->newest, medium->bytes / 8 * sizeof *medium->newest);
    munmap(medium->synced, medium->bytes / MEDIUM_PAGE_BYTES / 8 + 8);
    munmap(medium->dirty, medium->bytes / MEDIUM_LINE_BYTES / 8 + 8);
    munmap(medium->dirty_lines, medium->bytes / MEDIUM_LINE_BYTES * 4);
    munmap(medium->units, medium->unit_room * sizeof *medium->units);
    munmap(medium->events, medium->event_room * sizeof *medium->events);
}

static void clean(struct medium *medium)
{
    for (uint64_t index = 0; index < medium->dirty_count; index++)
        medium->dirty[medium->dirty_lines[index] / 64] = 0;
    medium->dirty_count = 0;
}

void medium_load(struct medium *medium, const uint8_t *image)
{
    memcpy(medium->stores, image, medium->bytes);
    memcpy(medium->durable, image, medium->bytes);
    medium->unit_count = 0;
    medium->event_count = 0;
    medium->is_logging = false;
    medium->operations = 0;
    medium->window_count = 0;
    medium->durable_hash = (struct medium_hash){0};
    clean(medium);
}

static uint64_t load_word(const uint8_t *image, uint64_t word)
{
    uint64_t value;
    memcpy(&value, image + word * 8, 8);
    return value;
}

static void mark_dirty(struct medium *medium, uint64_t line)
{
    uint64_t bit = (uint64_t)1 << line % 64;
    if (medium->dirty[line / 64] & bit)
        return;
    medium->dirty[line / 64] |= bit;
    medium->dirty_lines[medium->dirty_count++] = (uint32_t)line;
}

uint64_t medium_hash_change(uint64_t word, uint64_t before, uint64_t after)
{
    return before == after ? 0 : seed_mix(word, before) ^ seed_mix(word, after);
}

void medium_hash_word(const struct medium *medium, struct medium_hash *hash, uint64_t word,
                      uint64_t before, uint64_t after)
{
    uint64_t change = medium_hash_change(word, before, after);
    hash->all ^= change;
    if (word < medium->dead_first || word >= medium->dead_past)
        hash->live ^= change;
}

void medium_put(struct medium *medium, uint32_t word, uint64_t value, struct medium_hash *hash)
{
    medium_hash_word(medium, hash, word, load_word(medium->memory, word), value);
    mark_dirty(medium, word / WORDS_OF_LINE);
    memcpy(medium->stores + (uint64_t)word * 8, &value, 8);
}

void medium_restore(struct medium *medium, const uint8_t *image)
{
    for (uint64_t index = 0; index < medium->dirty_count; index++) {
        uint64_t at = (uint64_t)medium->dirty_lines[index] * MEDIUM_LINE_BYTES;
        memcpy(medium->stores + at, image + at, MEDIUM_LINE_BYTES);
    }
    clean(medium);
}

void medium_crash(struct medium *medium, const uint8_t *picked)
{
    for (uint64_t index = 0; index < medium->unit_count; index++)
        if (picked && picked[index])
            memcpy(medium->durable + (uint64_t)medium->units[index].word * 8,
                   &medium->units[index].value, 8);
    medium->unit_count = 0;
    memcpy(medium->stores, medium->durable, medium->bytes);
    clean(medium);
}

/* ---- events ---- */

static struct medium_event *note_event(struct medium *medium, enum medium_event_kind kind)
{
    if (medium->event_count == medium->event_room)
        give_up("too many events");
    struct medium_event *event = &medium->events[medium->event_count++];
    *event = (struct medium_event){.kind = kind, .thread = (uint8_t)medium->thread};
    callers_find(event->callers, MEDIUM_CALLERS);
    return event;
}

void medium_log(struct medium *medium)
{
    memcpy(medium->shadow, medium->memory, medium->bytes);
    medium->event_count = 0;
    medium->is_logging = true;
}

void medium_begin(struct medium *medium, const char *text)
{
    if (!medium->is_logging)
        return;
    medium_look(medium);
    note_event(medium, MEDIUM_BEGIN)->text = text;
    medium->epoch_left = medium->epoch_words;
    medium->operations++;
}

static bool matches_shadow(struct medium *medium)
{
    if (memcmp(medium->memory, medium->shadow, medium->bytes) == 0)
        return true;
    for (uint64_t at = 0; at < medium->bytes; at++)
        medium->escaped += medium->memory[at] != medium->shadow[at];
    memcpy(medium->shadow, medium->memory, medium->bytes);
    return false;
}

/* Is it on its way to the medium, for the running thread's next fence? */
static bool is_begun(const struct medium *medium, const struct unit *unit)
{
    return unit->is_past_cache ? unit->thread == medium->thread
                               : unit->flushed >> medium->thread & 1;
}

bool medium_end(struct medium *medium, int64_t result)
{
    if (!medium->is_logging)
        return true;
    medium_look(medium);
    for (uint64_t index = 0; index < medium->unit_count; index++)
        medium->unfenced += is_begun(medium, &medium->units[index]);
    note_event(medium, MEDIUM_END)->result = result;
    medium->operations--;
    return matches_shadow(medium);
}

void medium_note_lock(struct medium *medium, const void *lock, bool is_taken)
{
    if (medium->is_logging)
        note_event(medium, is_taken ? MEDIUM_LOCK : MEDIUM_UNLOCK)->lock = lock;
}

/* ---- stores ---- */

static void add_unit(struct medium *medium, struct unit unit)
{
    if (medium->unit_count == medium->unit_room)
        give_up("too many stores in flight");
    unit.event = (uint32_t)medium->event_count - medium->is_logging;
    unit.thread = (uint8_t)medium->thread;
    unit.store = medium->store_serial;
    medium->units[medium->unit_count++] = unit;
}

/* Long epochs have crash points inside. */
static void count_epoch(struct medium *medium, uint64_t words)
{
    if (!medium->epoch_words || !medium->operations)
        return;
    if (medium->epoch_left > words) {
        medium->epoch_left -= words;
        return;
    }
    medium->epoch_left = medium->epoch_words;
    medium->in_epoch(medium, medium->epoch_arg);
}

/* What has been stored: whole words as they now are, so that a part of a word goes with what was stored
 * there before, as it does in a cache line. */
static void note_store(struct medium *medium, uint64_t start, uint64_t len_bytes,
                       bool is_past_cache)
{
    uint64_t first = start / 8;
    uint64_t end = (start + len_bytes + 7) / 8;
    for (uint64_t line = first / WORDS_OF_LINE; line * WORDS_OF_LINE < end; line++)
        mark_dirty(medium, line);
    for (uint64_t word = first; medium->is_tracking && word < end; word++)
        add_unit(medium, (struct unit){.value = load_word(medium->memory, word),
                                       .word = (uint32_t)word,
                                       .is_past_cache = is_past_cache,
                                       .is_unordered = is_past_cache});
    if (medium->at_store) {
        medium->store_word = first;
        medium->store_words = end - first;
        medium->at_store(medium, medium->hook_arg);
    }
    count_epoch(medium, end - first);
}

static void note_flush(struct medium *medium, uint64_t start, uint64_t len_bytes)
{
    uint64_t first = start / MEDIUM_LINE_BYTES;
    uint64_t last = (start + len_bytes - 1) / MEDIUM_LINE_BYTES;
    const uint8_t mine = (uint8_t)(1u << medium->thread);
    bool is_needed = !medium->is_tracking;
    for (uint64_t index = 0; index < medium->unit_count; index++) {
        struct unit *unit = &medium->units[index];
        uint64_t line = unit->word / WORDS_OF_LINE;
        if (line < first || line > last || unit->is_past_cache)
            continue;
        is_needed = is_needed || !(unit->flushed & mine);
        unit->flushed |= mine;
    }
    medium->redundant_flushes += !is_needed;
    if (medium->at_flush)
        medium->at_flush(medium, medium->hook_arg);
}

/* ---- windows ---- */

uint8_t *medium_window(struct medium *medium, uint64_t offset, uint64_t len_bytes)
{
    if (medium->window_count == MEDIUM_WINDOWS_MAX || !medium->is_logging)
        give_up("no window can be opened");
    medium->windows[medium->window_count++] = (struct medium_window){offset, len_bytes};
    return medium->stores + offset;
}

static void look_at_word(struct medium *medium, uint64_t word, struct medium_event **event)
{
    uint64_t value = load_word(medium->memory, word);
    if (value == load_word(medium->shadow, word))
        return;
    if (!*event) {
        *event = note_event(medium, MEDIUM_WINDOW);
        (*event)->offset = word * 8;
    }
    (*event)->len_bytes = word * 8 + 8 - (*event)->offset;
    memcpy(medium->shadow + word * 8, &value, 8);
    mark_dirty(medium, word / WORDS_OF_LINE);
    if (medium->is_tracking)
        add_unit(medium,
                 (struct unit){.value = value, .word = (uint32_t)word, .is_unordered = true});
}

void medium_look(struct medium *medium)
{
    for (unsigned index = 0; medium->is_logging && index < medium->window_count; index++) {
        const struct medium_window *window = &medium->windows[index];
        struct medium_event *event = NULL;
        for (uint64_t word = window->offset / 8;
             word < (window->offset + window->len_bytes + 7) / 8; word++)
            look_at_word(medium, word, &event);
    }
}

/* ---- the fence ---- */

/* The pages that this thread's msync writes. */
static void mark_synced(struct medium *medium)
{
    memset(medium->synced, 0, medium->bytes / MEDIUM_PAGE_BYTES / 8 + 8);
    for (uint64_t index = 0; index < medium->unit_count; index++) {
        const struct unit *unit = &medium->units[index];
        uint64_t page = unit->word / WORDS_OF_PAGE;
        if (is_begun(medium, unit))
            medium->synced[page / 64] |= (uint64_t)1 << page % 64;
    }
}

static bool is_covered(const struct medium *medium, const struct unit *unit)
{
    uint64_t page = unit->word / WORDS_OF_PAGE;
    if (medium->model == MEDIUM_PAGE)
        return medium->synced[page / 64] >> page % 64 & 1;
    return is_begun(medium, unit);
}

static void settle(struct medium *medium, const struct unit *unit)
{
    uint64_t at = (uint64_t)unit->word * 8;
    medium_hash_word(medium, &medium->durable_hash, unit->word,
                     load_word(medium->durable, unit->word), unit->value);
    memcpy(medium->durable + at, &unit->value, 8);
    for (unsigned index = 0; index < medium->mirror_count; index++)
        memcpy(medium->mirrors[index] + at, &unit->value, 8);
}

/* A store that is older than a durable one of the same word can never appear again. */
static void settle_all(struct medium *medium)
{
    uint64_t kept = 0;
    if (medium->model == MEDIUM_PAGE)
        mark_synced(medium);
    for (uint64_t index = 0; index < medium->unit_count; index++)
        if (is_covered(medium, &medium->units[index])) {
            settle(medium, &medium->units[index]);
            medium->newest[medium->units[index].word] = (uint32_t)index + 1;
        }
    for (uint64_t index = 0; index < medium->unit_count; index++) {
        const struct unit unit = medium->units[index];
        uint32_t newest = medium->newest[unit.word];
        if (newest == index + 1)
            medium->newest[unit.word] = 0;
        medium->overwritten += newest > index + 1;
        if (newest <= index && !is_covered(medium, &unit))
            medium->units[kept++] = unit;
    }
    medium->unit_count = kept;
}

static int note_fence(struct medium *medium)
{
    if (medium->before_fence)
        medium->before_fence(medium, medium->hook_arg);
    medium->epoch_left = medium->epoch_words;
    medium->fences++;
    if (medium->fails)
        return 1;
    if (medium->is_tracking)
        settle_all(medium);
    if (medium->after_fence)
        medium->after_fence(medium, medium->hook_arg);
    return 0;
}

/* ---- what the trace backend tells ---- */

static void log_told(struct medium *medium, const struct vm_trace_event *told)
{
    static const enum medium_event_kind kinds[] = {[VM_TRACE_STORE] = MEDIUM_STORE,
                                                   [VM_TRACE_COPY] = MEDIUM_COPY,
                                                   [VM_TRACE_FLUSH] = MEDIUM_FLUSH,
                                                   [VM_TRACE_FENCE] = MEDIUM_FENCE};
    medium_look(medium);
    struct medium_event *event = note_event(medium, kinds[told->kind]);
    event->offset = told->offset;
    event->len_bytes = told->len_bytes;
    if (told->kind != VM_TRACE_STORE && told->kind != VM_TRACE_COPY)
        return;
    if (told->payload)
        memcpy(medium->shadow + told->offset, told->payload, told->len_bytes);
    else
        memset(medium->shadow + told->offset, told->byte, told->len_bytes);
}

static int tell(void *arg, const struct vm_trace_event *event)
{
    struct medium *medium = arg;
    if (event->offset > medium->bytes || event->len_bytes > medium->bytes - event->offset)
        give_up("a store outside of the medium");
    if (event->kind != VM_TRACE_FENCE && event->len_bytes == 0)
        return 0;
    if (medium->is_logging)
        log_told(medium, event);
    watch_told(medium, event);
    if (event->kind == VM_TRACE_FENCE)
        return note_fence(medium);
    medium->store_serial++;
    if (event->kind == VM_TRACE_FLUSH)
        note_flush(medium, event->offset, event->len_bytes);
    else
        note_store(medium, event->offset, event->len_bytes, event->kind == VM_TRACE_COPY);
    return 0;
}
