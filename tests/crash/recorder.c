/* recorder.c -- the recording backend behind every filesystem of these tests
 *
 * The library chooses its backend by calling vm_persist_none() or vm_persist_pmem(); the tests are
 * linked so that both calls arrive here. */
#include "recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "persist/persist.h"
#include "persist/words.h"
#include "seed.h"

#define WORDS_OF_LINE (MEDIUM_LINE_BYTES / 8)

static struct medium *current;

const struct vm_persist_ops *__wrap_vm_persist_none(void);
const struct vm_persist_ops *__wrap_vm_persist_pmem(void);

uint8_t *medium_pages(uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "recorder.c: no memory for %llu bytes\n", (unsigned long long)bytes);
        abort();
    }
    return memory;
}

void medium_init(struct medium *medium, uint64_t bytes)
{
    *medium = (struct medium){
        .bytes = bytes,
        .memory = medium_pages(bytes),
        .durable = medium_pages(bytes),
        .newest = (void *)medium_pages(bytes / 8 * sizeof *medium->newest),
        .dirty = (void *)medium_pages(bytes / MEDIUM_LINE_BYTES / 8 + 8),
        .dirty_lines = (void *)medium_pages(bytes / MEDIUM_LINE_BYTES * 4),
        .unit_room = bytes / 4,
        .is_tracking = true,
    };
    medium->units = (void *)medium_pages(medium->unit_room * sizeof *medium->units);
}

void medium_fini(struct medium *medium)
{
    munmap(medium->memory, medium->bytes);
    munmap(medium->durable, medium->bytes);
    munmap(medium->newest, medium->bytes / 8 * sizeof *medium->newest);
    munmap(medium->dirty, medium->bytes / MEDIUM_LINE_BYTES / 8 + 8);
    munmap(medium->dirty_lines, medium->bytes / MEDIUM_LINE_BYTES * 4);
    munmap(medium->units, medium->unit_room * sizeof *medium->units);
    if (current == medium)
        current = NULL;
}

static void clean(struct medium *medium)
{
    for (uint64_t index = 0; index < medium->dirty_count; index++)
        medium->dirty[medium->dirty_lines[index] / 64] = 0;
    medium->dirty_count = 0;
}

void medium_load(struct medium *medium, const uint8_t *image)
{
    memcpy(medium->memory, image, medium->bytes);
    memcpy(medium->durable, image, medium->bytes);
    medium->unit_count = 0;
    medium->durable_hash = 0;
    clean(medium);
}

struct medium *medium_use(struct medium *medium)
{
    struct medium *before = current;
    current = medium;
    return before;
}

struct medium *medium_current(void)
{
    return current;
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

static uint64_t hash_change(uint64_t word, uint64_t before, uint64_t after)
{
    return before == after ? 0 : seed_mix(word, before) ^ seed_mix(word, after);
}

uint64_t medium_put(struct medium *medium, uint32_t word, uint64_t value)
{
    uint64_t before = load_word(medium->memory, word);
    mark_dirty(medium, word / WORDS_OF_LINE);
    memcpy(medium->memory + (uint64_t)word * 8, &value, 8);
    return hash_change(word, before, value);
}

void medium_restore(struct medium *medium, const uint8_t *image)
{
    for (uint64_t index = 0; index < medium->dirty_count; index++) {
        uint64_t at = (uint64_t)medium->dirty_lines[index] * MEDIUM_LINE_BYTES;
        memcpy(medium->memory + at, image + at, MEDIUM_LINE_BYTES);
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
    memcpy(medium->memory, medium->durable, medium->bytes);
    clean(medium);
}

/* ---- stores ---- */

/* What has been stored into `addr`: whole words as they now are, so that a part of a word goes with
 * what was stored there before, as it does in a cache line. */
static void note_store(const void *addr, size_t len_bytes, bool is_past_cache)
{
    struct medium *medium = current;
    if (len_bytes == 0)
        return;
    uint64_t start = (uint64_t)((const uint8_t *)addr - medium->memory);
    if (start >= medium->bytes || len_bytes > medium->bytes - start) {
        fprintf(stderr, "recorder.c: a store outside of the medium in use\n");
        abort();
    }
    uint64_t first = start / 8;
    uint64_t end = (start + len_bytes + 7) / 8;
    for (uint64_t line = first / WORDS_OF_LINE; line * WORDS_OF_LINE < end; line++)
        mark_dirty(medium, line);
    for (uint64_t word = first; medium->is_tracking && word < end; word++) {
        if (medium->unit_count == medium->unit_room) {
            fprintf(stderr, "recorder.c: too many stores in flight\n");
            abort();
        }
        medium->units[medium->unit_count++] = (struct unit){
            .value = load_word(medium->memory, word),
            .word = (uint32_t)word,
            .thread = (uint8_t)medium->thread,
            .is_past_cache = is_past_cache,
        };
    }
    if (medium->at_store) {
        medium->store_word = first;
        medium->store_words = end - first;
        medium->at_store(medium, medium->hook_arg);
    }
}

static void recorder_copy(void *arg, void *dst, const void *src, size_t len_bytes)
{
    (void)arg;
    memcpy(dst, src, len_bytes);
    note_store(dst, len_bytes, true);
}

static void recorder_set(void *arg, void *dst, int byte, size_t len_bytes)
{
    (void)arg;
    memset(dst, byte, len_bytes);
    note_store(dst, len_bytes, true);
}

static void recorder_store(void *arg, void *dst, const void *src, size_t len_bytes)
{
    vm_words_store(arg, dst, src, len_bytes);
    note_store(dst, len_bytes, false);
}

static void recorder_mask(void *arg, uint64_t *word, uint64_t mask, uint64_t value)
{
    vm_words_mask(arg, word, mask, value);
    note_store(word, 8, false);
}

static void recorder_max(void *arg, uint64_t *word, uint64_t value)
{
    vm_words_max(arg, word, value);
    note_store(word, 8, false);
}

static void recorder_flush(void *arg, const void *addr, size_t len_bytes)
{
    (void)arg;
    struct medium *medium = current;
    uint64_t start = (uint64_t)((const uint8_t *)addr - medium->memory);
    uint64_t first = start / MEDIUM_LINE_BYTES;
    uint64_t last = (start + len_bytes - 1) / MEDIUM_LINE_BYTES;
    for (uint64_t index = 0; index < medium->unit_count; index++) {
        struct unit *unit = &medium->units[index];
        uint64_t line = unit->word / WORDS_OF_LINE;
        if (line >= first && line <= last && !unit->is_past_cache)
            unit->flushed |= (uint8_t)(1u << medium->thread);
    }
}

/* ---- the fence ---- */

static bool is_covered(const struct medium *medium, const struct unit *unit)
{
    return unit->is_past_cache ? unit->thread == medium->thread
                               : unit->flushed >> medium->thread & 1;
}

static void settle(struct medium *medium, const struct unit *unit)
{
    uint64_t at = (uint64_t)unit->word * 8;
    medium->durable_hash ^=
        hash_change(unit->word, load_word(medium->durable, unit->word), unit->value);
    memcpy(medium->durable + at, &unit->value, 8);
    for (unsigned index = 0; index < medium->mirror_count; index++)
        memcpy(medium->mirrors[index] + at, &unit->value, 8);
}

/* A store that is older than a durable one of the same word can never appear again. */
static void settle_all(struct medium *medium)
{
    uint64_t kept = 0;
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
        if (newest <= index && !is_covered(medium, &unit))
            medium->units[kept++] = unit;
    }
    medium->unit_count = kept;
}

static int recorder_fence(void *arg)
{
    (void)arg;
    struct medium *medium = current;
    if (medium->before_fence)
        medium->before_fence(medium, medium->hook_arg);
    medium->fences++;
    if (medium->fails)
        return 1;
    if (medium->is_tracking)
        settle_all(medium);
    if (medium->after_fence)
        medium->after_fence(medium, medium->hook_arg);
    return 0;
}

static const struct vm_persist_ops recorder_ops = {
    .name = "recorder",
    .copy = recorder_copy,
    .set = recorder_set,
    .store = recorder_store,
    .mask = recorder_mask,
    .max = recorder_max,
    .flush = recorder_flush,
    .fence = recorder_fence,
};

const struct vm_persist_ops *__wrap_vm_persist_none(void)
{
    return &recorder_ops;
}

const struct vm_persist_ops *__wrap_vm_persist_pmem(void)
{
    return &recorder_ops;
}
