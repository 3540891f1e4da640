/* reduce.c -- the tree of different runs */
#include "reduce.h"

#include <stdlib.h>
#include <string.h>

#include "seed.h"

#define RECORD_GRANULES_MIN 7u /* fewer are tried in all ways */
#define CHECKED_LEAVES      2u /* of each point: with other versions and garbage in what is not varied */

/* What is known of the call that stored a granule. */
enum group { GROUP_UNKNOWN, GROUP_NONE, GROUP_WHOLE };

/* Granules that are chosen together. */
struct choice {
    uint32_t granule; /* the first of them */
    uint32_t versions_max;
};

/* One node of the tree. */
struct node {
    struct choice *choices;
    uint32_t choice_count;
    uint32_t *data; /* granules that were only looked at word by word */
    uint32_t data_count;
};

static bool is_member(const struct level *level, uint32_t granule, uint32_t leader)
{
    const struct granule *granules = level->states.granules;
    return granules[granule].is_of_one_store &&
           granules[granule].newest_store == granules[leader].newest_store;
}

static void set_version(struct level *level, uint32_t granule, uint32_t version)
{
    struct states *states = &level->states;
    if (level->group[granule] != GROUP_WHOLE) {
        states->version[granule] = version;
        return;
    }
    for (uint32_t other = 0; other < states->granule_count; other++)
        if (is_member(level, other, granule))
            states->version[other] = version ? states->granules[other].versions_max : 0;
}

static void set_decided(struct level *level, uint32_t granule, bool is_decided)
{
    if (level->group[granule] != GROUP_WHOLE) {
        level->decided[granule] = is_decided;
        return;
    }
    for (uint32_t other = 0; other < level->states.granule_count; other++)
        if (is_member(level, other, granule))
            level->decided[other] = is_decided;
}

/* ---- R2 ---- */

/* A record in the making: its granules, and what having none of it gives. */
struct record {
    uint32_t *members;
    uint32_t count;
    struct verdict none;
    uint32_t *looked_at;
    uint32_t looked_count;
};

static void veil(struct level *level, const struct record *record, uint64_t bits)
{
    const struct states *states = &level->states;
    for (uint32_t index = 0; index < record->count; index++) {
        const struct granule *granule = &states->granules[record->members[index]];
        for (uint32_t step = 0; step < granule->versions_max; step++)
            level->veil[states->medium->units[states->steps[granule->first + step]].word] = bits;
    }
}

static bool looks_the_same(const struct level *level, const uint32_t *looked_at, uint32_t count)
{
    return level->looked_count == count &&
           memcmp(level->looked_at, looked_at, count * sizeof *looked_at) == 0;
}

/* Does this part of the record count for nothing? */
static bool is_nothing(struct explorer *explorer, struct level *level, const struct record *record)
{
    struct verdict outcome;
    explore_state(explorer, level, true, &outcome);
    return outcome.err == record->none.err && outcome.veiled == record->none.veiled &&
           looks_the_same(level, record->looked_at, record->looked_count);
}

static void set_record(struct level *level, const struct record *record, bool is_full)
{
    for (uint32_t index = 0; index < record->count; index++) {
        uint32_t most = level->states.granules[record->members[index]].versions_max;
        level->states.version[record->members[index]] = is_full ? most : 0;
    }
}

/* Fills in a subset that is not whole. */
static void set_subset(struct explorer *explorer, struct level *level, const struct record *record,
                       unsigned number)
{
    struct seed seed;
    seed_init(&seed, seed_mix(seed_mix(explorer->seed, level->point), number));
    unsigned percent = 5 + (unsigned)seed_below(&seed, 91);
    for (uint32_t index = 0; index < record->count; index++) {
        uint32_t most = level->states.granules[record->members[index]].versions_max;
        level->states.version[record->members[index]] =
            seed_chance(&seed, percent) ? most : (uint32_t)seed_below(&seed, most + 1);
    }
    uint32_t missing = record->members[seed_below(&seed, record->count)];
    level->states.version[missing] = level->states.granules[missing].versions_max - 1;
}

/* Adds the next store of the record in program order. */
static void add_store(struct level *level, const struct record *record, uint32_t *next)
{
    const struct states *states = &level->states;
    while (*next < states->medium->unit_count) {
        uint32_t granule = states->granule_of[(*next)++];
        if (granule == STATES_NO_GRANULE || !is_member(level, granule, record->members[0]))
            continue;
        level->states.version[granule]++;
        return;
    }
}

static bool try_parts(struct explorer *explorer, struct level *level, const struct record *record)
{
    bool is_whole = true;
    uint64_t stores = 0;
    for (uint32_t index = 0; index < record->count && is_whole; index++) {
        uint32_t missing = record->members[index];
        set_record(level, record, true);
        stores += level->states.version[missing]--;
        is_whole = is_nothing(explorer, level, record);
    }
    uint32_t next = 0;
    set_record(level, record, false);
    for (uint64_t count = 1; count < stores && is_whole; count++) {
        add_store(level, record, &next);
        is_whole = is_nothing(explorer, level, record);
    }
    for (unsigned number = 0; number < REDUCE_RECORD_SUBSETS && is_whole; number++) {
        set_subset(explorer, level, record, number);
        is_whole = is_nothing(explorer, level, record);
    }
    return is_whole;
}

static uint32_t find_members(const struct level *level, uint32_t leader, uint32_t *members)
{
    uint32_t count = 0;
    for (uint32_t other = 0; other < level->states.granule_count; other++)
        if (is_member(level, other, leader) && !level->decided[other])
            members[count++] = other;
    return count;
}

static uint32_t *copy_of(const uint32_t *list, uint32_t count)
{
    uint32_t *copy = malloc((count + 1) * sizeof *copy);
    if (!copy)
        abort();
    if (count)
        memcpy(copy, list, count * sizeof *copy);
    return copy;
}

/* What the call that stored `leader` has stored: is it all or nothing? Leaves the state as it was. */
static void try_record(struct explorer *explorer, struct level *level, uint32_t leader)
{
    struct record record = {.members =
                                malloc(level->states.granule_count * sizeof *record.members)};
    if (!record.members)
        abort();
    record.count = find_members(level, leader, record.members);
    bool is_candidate =
        level->states.granules[leader].is_of_one_store && record.count >= RECORD_GRANULES_MIN;
    if (is_candidate) {
        for (uint32_t index = 0; index < record.count; index++)
            level->decided[record.members[index]] = true;
        veil(level, &record, ~(uint64_t)0);
        explore_state(explorer, level, true, &record.none);
        record.looked_at = copy_of(level->looked_at, level->looked_count);
        record.looked_count = level->looked_count;
        bool is_whole = try_parts(explorer, level, &record); /* R2 */
        set_record(level, &record, false);
        veil(level, &record, 0);
        for (uint32_t index = 0; index < record.count; index++) {
            level->decided[record.members[index]] = false;
            level->group[record.members[index]] = is_whole ? GROUP_WHOLE : GROUP_NONE;
        }
        explorer->record_count += is_whole;
        free(record.looked_at);
    } else {
        level->group[leader] = GROUP_NONE;
    }
    free(record.members);
}

/* ---- R1 ---- */

/* The other granules are said to make no difference: does it hold with other versions in them, and with
 * garbage? `first` is how the run went without. */
static void check_others(struct explorer *explorer, struct level *level,
                         const struct verdict *first)
{
    struct states *states = &level->states;
    uint32_t *versions = copy_of(states->version, states->granule_count);
    uint32_t *looked_at = copy_of(level->looked_at, level->looked_count);
    uint32_t looked_count = level->looked_count;
    for (uint32_t index = 0; index < looked_count; index++)
        level->decided[looked_at[index]] = true;
    for (unsigned turn = 0; turn < 2; turn++) {
        struct verdict outcome;
        struct seed seed;
        seed_init(&seed, seed_mix(explorer->seed, seed_mix(level->point, level->leaves)));
        for (uint32_t index = 0; index < states->granule_count; index++)
            if (!level->decided[index])
                states->version[index] =
                    turn ? 0
                         : (uint32_t)seed_below(&seed, states->granules[index].versions_max + 1);
        level->garbage = turn ? seed_next(&seed) % 1000000 + 1 : 0;
        explore_state(explorer, level, true, &outcome);
        if (outcome.err != first->err || outcome.veiled != first->veiled || level->looked_count)
            explore_report_state(explorer, level,
                                 "R1: what recovery leaves depends on what it overwrites");
        level->garbage = 0;
    }
    memcpy(states->version, versions, states->granule_count * sizeof *versions);
    for (uint32_t index = 0; index < looked_count; index++)
        level->decided[looked_at[index]] = false;
    memcpy(level->looked_at, looked_at, looked_count * sizeof *looked_at);
    level->looked_count = looked_count;
    free(looked_at);
    free(versions);
}

static bool has_undecided(const struct level *level)
{
    uint32_t count = level->looked_count;
    for (uint32_t index = 0; index < level->states.granule_count; index++)
        count += level->decided[index];
    return count < level->states.granule_count;
}

/* ---- the tree ---- */

/* Sorts what was looked at into choices, of which a whole record is one, and data. */
static void read_looks(const struct level *level, const uint8_t *seen_as, struct node *node,
                       uint32_t count)
{
    const struct states *states = &level->states;
    uint32_t total = 0;
    for (uint32_t index = 0; index < count; index++) {
        uint32_t granule = node->data[index];
        bool is_known = false;
        for (uint32_t other = 0; other < node->choice_count && !is_known; other++)
            is_known = level->group[granule] == GROUP_WHOLE &&
                       level->group[node->choices[other].granule] == GROUP_WHOLE &&
                       is_member(level, granule, node->choices[other].granule);
        if (is_known)
            continue;
        if (seen_as[index] == 1u << WATCH_DATA)
            node->data[total++] = granule; /* R3 */
        else
            node->choices[node->choice_count++] = (struct choice){
                granule,
                level->group[granule] == GROUP_WHOLE ? 1 : states->granules[granule].versions_max};
    }
    node->data_count = total;
}

static void node_make(const struct level *level, struct node *node)
{
    uint32_t count = level->looked_count;
    *node = (struct node){.choices = malloc((count + 1) * sizeof *node->choices),
                          .data = copy_of(level->looked_at, count)};
    uint8_t *seen_as = malloc(count + 1);
    if (!node->choices || !seen_as)
        abort();
    for (uint32_t index = 0; index < count; index++)
        seen_as[index] = level->seen_as[level->looked_at[index]];
    read_looks(level, seen_as, node, count);
    free(seen_as);
}

static void node_free(struct node *node)
{
    free(node->choices);
    free(node->data);
}

/* R3: each version of each such word comes up, though not with each of the others. */
static void try_data(struct explorer *explorer, struct level *level, const struct node *node)
{
    struct states *states = &level->states;
    uint32_t most = 0;
    for (uint32_t index = 0; index < node->data_count; index++) {
        uint32_t versions = states->granules[node->data[index]].versions_max;
        most = versions > most ? versions : most;
        level->decided[node->data[index]] = true;
    }
    for (uint32_t version = 1; version <= most; version++) {
        struct verdict outcome;
        for (uint32_t index = 0; index < node->data_count; index++) {
            uint32_t versions = states->granules[node->data[index]].versions_max;
            states->version[node->data[index]] = version < versions ? version : versions;
        }
        explore_state(explorer, level, true, &outcome);
        level->is_over = level->is_over || level->looked_count; /* other looks: not by themselves */
    }
    for (uint32_t index = 0; index < node->data_count; index++) {
        states->version[node->data[index]] = 0;
        level->decided[node->data[index]] = false;
    }
}

static void descend(struct explorer *explorer, struct level *level);

/* All other versions of the first choice; of the second with the first as it is; and so on. */
static void branch(struct explorer *explorer, struct level *level, const struct node *node)
{
    for (uint32_t index = 0; index < node->choice_count; index++)
        set_decided(level, node->choices[index].granule, true);
    for (uint32_t index = node->choice_count; index-- > 0;) {
        const struct choice *choice = &node->choices[index];
        for (uint32_t version = 1; version <= choice->versions_max && !level->is_over; version++) {
            set_version(level, choice->granule, version);
            descend(explorer, level);
        }
        set_version(level, choice->granule, 0);
        set_decided(level, choice->granule, false);
    }
}

static bool is_too_much(const struct explorer *explorer, const struct node *node)
{
    uint64_t product = 1;
    for (uint32_t index = 0; index < node->choice_count && product <= explorer->leaves_max; index++)
        product *= node->choices[index].versions_max + 1;
    return product > explorer->leaves_max;
}

/* Are there records among what was looked at of which nothing is known? */
static bool try_records(struct explorer *explorer, struct level *level)
{
    bool is_any = false;
    uint32_t count = level->looked_count;
    uint32_t *looked_at = copy_of(level->looked_at, count);
    uint8_t *seen_as = malloc(level->states.granule_count + 1);
    if (!seen_as)
        abort();
    memcpy(seen_as, level->seen_as, level->states.granule_count);
    for (uint32_t index = 0; index < count; index++)
        if (level->group[looked_at[index]] == GROUP_UNKNOWN &&
            seen_as[looked_at[index]] != 1u << WATCH_DATA) {
            try_record(explorer, level, looked_at[index]);
            is_any = true;
        }
    free(seen_as);
    memcpy(level->looked_at, looked_at, count * sizeof *looked_at);
    level->looked_count = count;
    free(looked_at);
    return is_any;
}

/* Runs the state with nothing of all that is undecided, then with the rest of what was looked at. */
static void descend(struct explorer *explorer, struct level *level)
{
    struct verdict outcome;
    struct node node;
    explore_state(explorer, level, true, &outcome);
    level->is_over = level->is_over || ++level->leaves > explorer->leaves_max;
    if (level->is_over)
        return;
    if (try_records(explorer, level))
        explore_state(explorer, level, true, &outcome);
    node_make(level, &node);
    level->is_over = is_too_much(explorer, &node);
    if (!level->is_over && level->leaves <= CHECKED_LEAVES && has_undecided(level))
        check_others(explorer, level, &outcome); /* R1 */
    if (!level->is_over && node.data_count)
        try_data(explorer, level, &node);
    if (!level->is_over)
        branch(explorer, level, &node);
    node_free(&node);
}

enum share reduce_point(struct explorer *explorer, struct level *level)
{
    struct states *states = &level->states;
    uint64_t records = explorer->record_count;
    states_set_all(states, false);
    memset(level->decided, 0, states->granule_count);
    memset(level->group, GROUP_UNKNOWN, states->granule_count);
    level->leaves = 0;
    level->is_over = false;
    descend(explorer, level);
    memset(level->decided, 1, states->granule_count);
    if (level->is_over)
        return SHARE_SAMPLED;
    bool is_all = records == explorer->record_count &&
                  level->leaves >= states_product(states, level->leaves + 1);
    return is_all ? SHARE_ENUMERATED : SHARE_REDUCED;
}
