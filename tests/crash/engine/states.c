/* states.c -- granules of the stores in flight, and vectors of their versions */
#include "states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seed.h"

#define WORDS_OF_LINE   (MEDIUM_LINE_BYTES / 8)
#define WORDS_OF_SECTOR (MEDIUM_SECTOR_BYTES / 8)
#define KEY_SHIFT       24u

static void *room(uint64_t count, size_t each)
{
    return medium_pages((count + 1) * each);
}

void states_init(struct states *states, uint64_t unit_max, uint64_t bytes)
{
    *states = (struct states){
        .granules = room(unit_max, sizeof *states->granules),
        .steps = room(unit_max, sizeof *states->steps),
        .granule_of = room(unit_max, sizeof *states->granule_of),
        .rank = room(unit_max, sizeof *states->rank),
        .version = room(unit_max, sizeof *states->version),
        .keys = room(unit_max, 2 * sizeof *states->keys),
        .first_of = room(bytes / 8, sizeof *states->first_of),
        .next_of = room(unit_max, sizeof *states->next_of),
    };
}

void states_fini(struct states *states, uint64_t unit_max, uint64_t bytes)
{
    medium_unmap(states->granules, (unit_max + 1) * sizeof *states->granules);
    medium_unmap(states->steps, (unit_max + 1) * sizeof *states->steps);
    medium_unmap(states->granule_of, (unit_max + 1) * sizeof *states->granule_of);
    medium_unmap(states->rank, (unit_max + 1) * sizeof *states->rank);
    medium_unmap(states->version, (unit_max + 1) * sizeof *states->version);
    medium_unmap(states->keys, (unit_max + 1) * 2 * sizeof *states->keys);
    medium_unmap(states->first_of, (bytes / 8 + 1) * sizeof *states->first_of);
    medium_unmap(states->next_of, (unit_max + 1) * sizeof *states->next_of);
}

/* Where the granule of a store begins; a line and its first word are two granules. */
static uint64_t place_of(const struct medium *medium, const struct unit *unit)
{
    if (medium->model == MEDIUM_PAGE)
        return (uint64_t)(unit->word / WORDS_OF_SECTOR) * WORDS_OF_SECTOR * 2;
    if (medium->model == MEDIUM_WORD || unit->is_unordered)
        return (uint64_t)unit->word * 2 + 1;
    return (uint64_t)(unit->word / WORDS_OF_LINE) * WORDS_OF_LINE * 2;
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a;
    uint64_t second = *(const uint64_t *)b;
    return first < second ? -1 : first > second;
}

/* Is there a granule at this place? The keys are sorted. */
static bool has_place(const struct states *states, uint64_t place)
{
    uint64_t first = 0;
    uint64_t end = states->medium->unit_count;
    while (first < end) {
        uint64_t middle = (first + end) / 2;
        uint64_t found = states->keys[middle] >> KEY_SHIFT;
        if (found == place)
            return true;
        if (found < place)
            first = middle + 1;
        else
            end = middle;
    }
    return false;
}

/* In LINE a word may be in two granules, whose stores may overtake each other. */
static bool is_shared_word(const struct states *states, const struct unit *unit)
{
    if (states->medium->model != MEDIUM_LINE)
        return false;
    uint64_t line = (uint64_t)(unit->word / WORDS_OF_LINE) * WORDS_OF_LINE * 2;
    return has_place(states, unit->is_unordered ? line : (uint64_t)unit->word * 2 + 1);
}

/* Does it leave its word as the older stores of its granule have made it? `from` is the granule's first
 * key. */
static bool changes_nothing(const struct states *states, uint64_t from, uint64_t at)
{
    const struct medium *medium = states->medium;
    const uint64_t mask = ((uint64_t)1 << KEY_SHIFT) - 1;
    const struct unit *unit = &medium->units[states->keys[at] & mask];
    if (is_shared_word(states, unit))
        return false;
    uint64_t before;
    memcpy(&before, medium->durable + (uint64_t)unit->word * 8, 8);
    for (uint64_t older = at; older-- > from;)
        if (medium->units[states->keys[older] & mask].word == unit->word) {
            before = medium->units[states->keys[older] & mask].value;
            break;
        }
    return before == unit->value;
}

static void sort_units(struct states *states)
{
    const struct medium *medium = states->medium;
    if (medium->unit_count >> KEY_SHIFT) {
        fprintf(stderr, "states.c: too many stores in flight\n");
        abort();
    }
    for (uint64_t index = 0; index < medium->unit_count; index++)
        states->keys[index] = place_of(medium, &medium->units[index]) << KEY_SHIFT | index;
    qsort(states->keys, medium->unit_count, sizeof *states->keys, compare_keys);
}

/* What an older point has left in first_of is never cleared: it is of another word, or not behind `index`. */
static void chain_units(struct states *states)
{
    const struct unit *units = states->medium->units;
    uint32_t count = (uint32_t)states->medium->unit_count;
    for (uint32_t index = count; index-- > 0;) {
        uint32_t *first = &states->first_of[units[index].word];
        bool is_chained =
            *first > index && *first < count && units[*first].word == units[index].word;
        states->next_of[index] = is_chained ? *first : STATES_NO_UNIT;
        *first = index;
    }
    states->unit_count = count;
}

uint32_t states_first_of(const struct states *states, uint32_t word)
{
    uint32_t first = states->first_of[word];
    bool is_one = first < states->unit_count && states->medium->units[first].word == word;
    return is_one ? first : STATES_NO_UNIT;
}

void states_begin(struct states *states, const struct medium *medium)
{
    states->medium = medium;
    states->granule_count = 0;
    sort_units(states);
    chain_units(states);
    uint32_t steps = 0;
    uint64_t from = 0;
    struct granule *granule = NULL;
    for (uint64_t at = 0; at < medium->unit_count; at++) {
        uint32_t index = (uint32_t)(states->keys[at] & (((uint64_t)1 << KEY_SHIFT) - 1));
        const struct unit *unit = &medium->units[index];
        if (at == 0 || states->keys[at] >> KEY_SHIFT != states->keys[at - 1] >> KEY_SHIFT) {
            from = at;
            granule = NULL;
        }
        states->granule_of[index] = STATES_NO_GRANULE;
        if (changes_nothing(states, from, at))
            continue;
        if (!granule) {
            granule = &states->granules[states->granule_count++];
            *granule = (struct granule){
                .first = steps, .newest_store = unit->store, .is_of_one_store = true};
        }
        granule->is_of_one_store =
            granule->is_of_one_store && unit->is_past_cache && unit->store == granule->newest_store;
        granule->newest_store = unit->store;
        states->granule_of[index] = states->granule_count - 1;
        states->rank[index] = granule->versions_max++;
        states->steps[steps++] = index;
    }
    states_set_all(states, false);
}

void states_set_all(struct states *states, bool is_full)
{
    for (uint32_t index = 0; index < states->granule_count; index++)
        states->version[index] = is_full ? states->granules[index].versions_max : 0;
}

uint64_t states_product(const struct states *states, uint64_t limit)
{
    uint64_t product = 1;
    for (uint32_t index = 0; index < states->granule_count && product < limit; index++)
        product *= states->granules[index].versions_max + 1;
    return product < limit ? product : limit;
}

bool states_next(struct states *states, uint8_t *downwards)
{
    for (uint32_t index = 0; index < states->granule_count; index++) {
        uint32_t *version = &states->version[index];
        if (!downwards[index] && *version < states->granules[index].versions_max) {
            ++*version;
            return true;
        }
        if (downwards[index] && *version > 0) {
            --*version;
            return true;
        }
        downwards[index] = !downwards[index];
    }
    return false;
}

void states_set_prefix(struct states *states, uint64_t count)
{
    states_set_all(states, false);
    for (uint64_t index = 0; index < states->medium->unit_count && count; index++)
        if (states->granule_of[index] != STATES_NO_GRANULE) {
            states->version[states->granule_of[index]]++;
            count--;
        }
}

void states_set_random(struct states *states, uint64_t value)
{
    struct seed seed;
    seed_init(&seed, value);
    unsigned percent = 10 + (unsigned)seed_below(&seed, 81);
    bool is_whole = seed_chance(&seed, 50);
    for (uint32_t index = 0; index < states->granule_count; index++) {
        uint32_t most = states->granules[index].versions_max;
        uint32_t part = is_whole ? 0 : (uint32_t)seed_below(&seed, most + 1);
        states->version[index] = seed_chance(&seed, percent) ? most : part;
    }
}
