/* states.c -- picking subsets of the stores in flight */
#include "states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seed.h"

#define WORDS_OF_LINE (MEDIUM_LINE_BYTES / 8)

char state_letter(enum state_kind kind)
{
    static const char letters[] = {
#define STATE_LETTER(name, letter) letter,
        STATE_KINDS(STATE_LETTER)
#undef STATE_LETTER
    };
    return letters[kind];
}

void states_init(struct states *states, uint64_t unit_max)
{
    *states = (struct states){
        .lines = malloc(unit_max * sizeof *states->lines),
        .past_cache = malloc(unit_max * sizeof *states->past_cache),
        .picked = malloc(unit_max),
        .prefix = malloc(unit_max * sizeof *states->prefix),
    };
    if (!states->lines || !states->past_cache || !states->picked || !states->prefix) {
        fprintf(stderr, "states.c: no memory for %llu units\n", (unsigned long long)unit_max);
        abort();
    }
}

void states_fini(struct states *states)
{
    free(states->lines);
    free(states->past_cache);
    free(states->picked);
    free(states->prefix);
}

static uint32_t line_of(const struct unit *unit)
{
    return (uint32_t)(unit->word / WORDS_OF_LINE);
}

static int compare_lines(const void *a, const void *b)
{
    uint32_t first = *(const uint32_t *)a;
    uint32_t second = *(const uint32_t *)b;
    return first < second ? -1 : first > second;
}

void states_begin(struct states *states, const struct medium *medium, uint64_t seed)
{
    states->medium = medium;
    states->seed = seed;
    states->past_cache_count = 0;
    for (uint64_t index = 0; index < medium->unit_count; index++) {
        states->lines[index] = line_of(&medium->units[index]);
        if (medium->units[index].is_past_cache)
            states->past_cache[states->past_cache_count++] = (uint32_t)index;
    }
    qsort(states->lines, medium->unit_count, sizeof *states->lines, compare_lines);
    states->line_count = 0;
    for (uint64_t index = 0; index < medium->unit_count; index++)
        if (index == 0 || states->lines[index] != states->lines[states->line_count - 1])
            states->lines[states->line_count++] = states->lines[index];
}

uint64_t states_count(const struct states *states, enum state_kind kind)
{
    uint64_t units = states->medium->unit_count;
    if (units == 0)
        return kind == STATE_NONE;
    switch (kind) {
    case STATE_NONE:
    case STATE_FULL:
        return 1;
    case STATE_LINE:
    case STATE_WITHOUT_LINE:
        return states->line_count > 1 ? states->line_count : 0;
    case STATE_PREFIX:
        return units - 1;
    case STATE_WITHOUT_WORD:
        return states->past_cache_count;
    case STATE_RANDOM:
        return states->random_count;
    case STATE_KIND_COUNT:
        break;
    }
    return 0;
}

static uint64_t line_index(const struct states *states, uint32_t line)
{
    uint64_t first = 0;
    uint64_t end = states->line_count;
    while (end - first > 1) {
        uint64_t middle = (first + end) / 2;
        if (states->lines[middle] <= line)
            first = middle;
        else
            end = middle;
    }
    return first;
}

/* Half of the states keep or lose most lines as a whole, as evictions do. */
static void pick_random(struct states *states, uint64_t index)
{
    const struct medium *medium = states->medium;
    struct seed seed;
    seed_init(&seed, seed_mix(states->seed, index));
    unsigned percent = 10 + (unsigned)seed_below(&seed, 81);
    bool is_whole = seed_chance(&seed, 50);
    memset(states->prefix, 0, states->line_count * sizeof *states->prefix);
    for (uint64_t at = 0; at < medium->unit_count; at++)
        if (!medium->units[at].is_past_cache)
            states->prefix[line_index(states, line_of(&medium->units[at]))]++;
    for (uint64_t line = 0; line < states->line_count; line++) {
        uint64_t most = states->prefix[line];
        uint64_t part = is_whole ? 0 : seed_below(&seed, most + 1);
        states->prefix[line] = seed_chance(&seed, percent) ? most : part;
    }
    for (uint64_t at = 0; at < medium->unit_count; at++) {
        uint64_t *left = &states->prefix[line_index(states, line_of(&medium->units[at]))];
        bool is_past_cache = medium->units[at].is_past_cache;
        states->picked[at] = is_past_cache ? seed_chance(&seed, percent) : *left > 0;
        if (!is_past_cache && *left > 0)
            --*left;
    }
}

static void pick_line(struct states *states, uint32_t line, bool is_it)
{
    const struct medium *medium = states->medium;
    for (uint64_t at = 0; at < medium->unit_count; at++)
        states->picked[at] = (line_of(&medium->units[at]) == line) == is_it;
}

void states_pick(struct states *states, enum state_kind kind, uint64_t index)
{
    uint64_t units = states->medium->unit_count;
    switch (kind) {
    case STATE_NONE:
        memset(states->picked, 0, units);
        break;
    case STATE_FULL:
        memset(states->picked, 1, units);
        break;
    case STATE_LINE:
    case STATE_WITHOUT_LINE:
        pick_line(states, states->lines[index], kind == STATE_LINE);
        break;
    case STATE_PREFIX:
        memset(states->picked, 1, index + 1);
        memset(states->picked + index + 1, 0, units - index - 1);
        break;
    case STATE_WITHOUT_WORD:
        memset(states->picked, 1, units);
        states->picked[states->past_cache[index]] = 0;
        break;
    case STATE_RANDOM:
        pick_random(states, index);
        break;
    case STATE_KIND_COUNT:
        break;
    }
}
