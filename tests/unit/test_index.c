/* test_index.c -- the ordered map against sorted-array models, and what it costs */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "index/node.h"
#include "index_model.h"
#include "journal/tx.h"

static void names_run(uint32_t steps, uint32_t length_max, unsigned growing, unsigned shrinking)
{
    struct store *store = store_new(NAMES_BYTES, store_seed());
    struct names names = names_new();
    uint64_t used = store_blocks_used(store);
    for (uint32_t step = 0; step < steps; step++) {
        uint64_t changes = seed_chance(&store->seed, 20) ? 1 + seed_below(&store->seed, 4) : 1;
        step_begin(store);
        for (uint64_t change = 0; change < changes; change++)
            names_step(store, &names, step * 8 + change, step < steps / 2 ? growing : shrinking,
                       length_max);
        step_commit(store);
        if (step % (steps / 5) == steps / 5 - 1)
            names_verify(store, &names);
    }
    cr_assert_eq(store_blocks_used(store) - used, store->nodes);
    free(names.list);
    store_free(store);
}

Test(index, names_random_short)
{
    names_run(20000, 24, 90, 20);
}

Test(index, names_random_long)
{
    names_run(8000, 255, 80, 25);
}

/* The leaf of an empty map and inserts with room cost one fence, splits two; few inserts split. */
Test(index, names_fences)
{
    struct store *store = store_new(NAMES_BYTES, store_seed());
    struct vm_named_hit hit;
    uint32_t inserts = 20000;
    uint64_t splits = 0;
    for (uint32_t number = 0; number < inserts; number++) {
        struct entry entry = entry_random(&store->seed, number, 24, 0);
        uint64_t nodes = store->nodes;
        step_begin(store);
        uint64_t before = store_fences(store);
        entry_insert(store, &entry);
        step_commit(store);
        uint64_t cost = store_fences(store) - before;
        bool is_split = number > 0 && store->nodes != nodes;
        splits += is_split;
        cr_assert(cost == (is_split ? 2u : 1u) || number == 0, "insert %u: %llu fences", number,
                  (unsigned long long)cost);
        before = store_fences(store);
        cr_assert_eq(entry_find(store, &entry, &hit), 1);
        cr_assert_eq(store_fences(store), before);
    }
    cr_log_info("%u inserts, %llu splits", inserts, (unsigned long long)splits);
    cr_assert(splits * 25 < inserts);
    cr_assert(store_census(store).leaves > VM_INNER_MAX, "inner nodes have split too");
    store_free(store);
}

Test(index, names_abort_leaves_nothing)
{
    struct store *store = store_new(NAMES_BYTES, store_seed());
    struct names names = names_new();
    struct vm_named_hit hit;
    for (uint32_t number = 0; number < 3000; number++) {
        struct entry entry = entry_random(&store->seed, number, 60, 0);
        uint64_t used = store_blocks_used(store);
        step_begin(store);
        entry_insert(store, &entry);
        step_abort(store);
        cr_assert_eq(entry_find(store, &entry, &hit), 0);
        cr_assert_eq(store_blocks_used(store), used);
        step_begin(store);
        entry_insert(store, &entry);
        step_commit(store);
        names_add(&names, &entry);
    }
    names_verify(store, &names);
    free(names.list);
    store_free(store);
}

static struct vm_named_new equal_name(uint64_t key, uint32_t *number)
{
    return (struct vm_named_new){
        .key = key, .value = *number, .name = {(const uint8_t *)number, sizeof *number}};
}

/* Names of one hash share a leaf whatever splits around them, and are refused when it is full. */
Test(index, names_of_one_hash)
{
    struct store *store = store_new(NAMES_BYTES, store_seed());
    struct vm_ctx *ctx = &store->core.ctx;
    const uint64_t key = (uint64_t)0x4000000000 << 8;
    struct vm_named_hit hit;
    uint32_t equal = 0;
    uint32_t other = 1000;
    for (int result = 0; result == 0;) {
        struct vm_named_new entry = equal_name(key, &equal);
        step_begin(store);
        result = vm_named_insert_key(ctx, &store->map, &entry);
        if (result) {
            cr_assert_eq(result, -VMFS_R_NAME_HASH_FULL, "%s", vmfs_reason_str(-result));
            step_abort(store);
            break;
        }
        equal++;
        uint64_t near = key + (seed_below(&store->seed, 2000) << 8) - (1000 << 8);
        struct vm_named_new neighbour = equal_name(near == key ? key + 256 : near, &other);
        cr_assert_eq(vm_named_insert_key(ctx, &store->map, &neighbour), 0);
        other++;
        step_commit(store);
    }
    cr_assert_eq(equal, VM_CELL_COUNT);
    for (uint32_t number = 0; number < equal; number++) {
        struct vm_named_new entry = equal_name(key, &number);
        cr_assert_eq(vm_named_find_key(ctx, &store->map, key, entry.name, &hit), 1);
        cr_assert_eq(hit.entry.value, number);
        cr_assert_eq(hit.entry.key, key + number, "the lowest free discriminator");
    }
    uint32_t seven = 7;
    struct vm_named_new entry = equal_name(key, &seven);
    step_begin(store);
    cr_assert_eq(vm_named_find_key(ctx, &store->map, key, entry.name, &hit), 1);
    cr_assert_eq(vm_named_remove(ctx, &store->map, &hit), 0);
    seven = 77;
    cr_assert_eq(vm_named_insert_key(ctx, &store->map, &entry), 0);
    cr_assert_eq(vm_named_find_key(ctx, &store->map, key, entry.name, &hit), 1);
    cr_assert_eq(hit.entry.key, key + 7);
    step_commit(store);
    cr_assert_eq(store_census(store).entries, equal + other - 1000);
    store_free(store);
}

/* Leaves that become empty go, in any order, so a map that is filled and emptied again and again does not
 * grow, and is a single leaf when it is empty. */
Test(index, names_empty_leaves_go)
{
    enum { NAMES = 30000 };
    struct store *store = store_new(NAMES_BYTES, store_seed());
    static uint64_t nodes[4];
    for (unsigned round = 0; round < 4; round++) {
        struct names names = names_new();
        for (uint32_t number = 0; number < NAMES; number++) {
            struct entry entry = entry_random(&store->seed, number, 24, 0);
            step_begin(store);
            entry_insert(store, &entry);
            step_commit(store);
            names_add(&names, &entry);
        }
        nodes[round] = store->nodes;
        names_verify(store, &names);
        while (names.count > 0) {
            uint32_t at = round < 2 ? (uint32_t)seed_below(&store->seed, names.count)
                                    : (round == 2 ? names.count - 1 : 0);
            struct vm_named_hit hit;
            step_begin(store);
            uint64_t before = store_fences(store);
            cr_assert_eq(entry_find(store, &names.list[at], &hit), 1);
            cr_assert_eq(vm_named_remove(&store->core.ctx, &store->map, &hit), 0);
            step_commit(store);
            cr_assert_eq(store_fences(store) - before, 1);
            names.list[at] = names.list[--names.count];
            struct census census;
            if (names.count % 1024 == 0) {
                census = store_census(store);
                cr_assert_eq(census.bad, 0);
                cr_assert_eq(census.entries, names.count);
                cr_assert_eq(census.nodes, store->nodes);
            }
        }
        struct census census = store_census(store);
        cr_assert_eq(census.entries, 0);
        cr_assert_leq(census.leaves, 1, "round %u: %u leaves", round, (unsigned)census.leaves);
        free(names.list);
    }
    cr_assert_leq(nodes[3], nodes[0] + nodes[0] / 20);
    store_free(store);
}

/* I7: two finds, then two changes of the one leaf; the second find's head is old by then. */
Test(index, changes_go_on_from_a_find_while_it_is_true)
{
    enum { NAMES = 40 };
    struct store *store = store_new(8 * MIB, store_seed());
    struct vm_ctx *ctx = &store->core.ctx;
    struct vm_named_hit hits[2];
    uint32_t numbers[NAMES];
    for (uint32_t at = 0; at < NAMES; at += 2) {
        step_begin(store);
        for (uint32_t end = 0; end < 2; end++) {
            numbers[at + end] = at + end;
            struct vm_name name = {(const uint8_t *)&numbers[at + end], sizeof numbers[0]};
            cr_assert_eq(vm_named_find(ctx, &store->map, name, &hits[end]), 0);
        }
        for (uint32_t end = 0; end < 2; end++) {
            struct vm_name name = {(const uint8_t *)&numbers[at + end], sizeof numbers[0]};
            struct vm_named_new entry = {.value = at + end, .name = name};
            cr_assert_eq(vm_named_insert_at(ctx, &store->map, &hits[end], &entry), 0);
        }
        step_commit(store);
    }
    cr_assert_eq(store_census(store).entries, NAMES);
    for (uint32_t at = 0; at < NAMES; at += 2) {
        step_begin(store);
        for (uint32_t end = 0; end < 2; end++) {
            struct vm_name name = {(const uint8_t *)&numbers[at + end], sizeof numbers[0]};
            cr_assert_eq(vm_named_find(ctx, &store->map, name, &hits[end]), 1);
            cr_assert_eq(hits[end].entry.value, at + end);
        }
        for (uint32_t end = 0; end < 2; end++)
            cr_assert_eq(vm_named_remove(ctx, &store->map, &hits[end]), 0);
        step_commit(store);
    }
    cr_assert_eq(store_census(store).entries, 0);
    store_free(store);
}

/* Names of one hash that differ behind the first cell only. */
Test(index, long_names_of_one_hash)
{
    struct store *store = store_new(8 * MIB, store_seed());
    struct vm_ctx *ctx = &store->core.ctx;
    const uint64_t key = (uint64_t)0x4000000000 << 8;
    struct vm_named_hit hit;
    uint8_t names[2][60];
    memset(names, 'n', sizeof names);
    names[1][59] = 'm';
    for (unsigned at = 0; at < 2; at++) {
        struct vm_named_new entry = {.key = key, .value = at, .name = {names[at], 60}};
        cr_assert_eq(vm_named_find_key(ctx, &store->map, key, entry.name, &hit), 0);
        step_begin(store);
        cr_assert_eq(vm_named_insert_key(ctx, &store->map, &entry), 0);
        step_commit(store);
        cr_assert_eq(vm_named_find_key(ctx, &store->map, key, entry.name, &hit), 1);
        cr_assert_eq(hit.entry.value, at);
    }
    store_free(store);
}

Test(index, extents_random)
{
    struct store *store = store_new(32 * MIB, store_seed());
    struct extents extents = extents_new();
    uint32_t steps = 20000;
    uint64_t numbers = 20000;
    for (uint32_t step = 0; step < steps; step++) {
        uint64_t changes = seed_chance(&store->seed, 20) ? 1 + seed_below(&store->seed, 4) : 1;
        step_begin(store);
        for (uint64_t change = 0; change < changes; change++)
            extents_step(store, &extents, numbers, step < steps / 2 ? 90 : 20);
        step_commit(store);
        if (step % (steps / 5) == steps / 5 - 1)
            extents_verify(store, &extents, numbers * 4);
    }
    free(extents.list);
    store_free(store);
}

/* Fills the map in an order and returns how many extents a leaf has. */
static uint64_t extents_fill(struct store *store, uint32_t count, bool is_descending)
{
    struct extents extents = extents_new();
    for (uint32_t step = 0; step < count; step++) {
        uint64_t number = is_descending ? count - step : step;
        struct vm_extent extent = extent_random(store, number);
        step_begin(store);
        uint64_t before = store_fences(store);
        uint64_t nodes = store->nodes;
        cr_assert_eq(vm_extents_insert(&store->core.ctx, &store->map, &extent), 0);
        step_commit(store);
        uint64_t cost = store_fences(store) - before;
        cr_assert(cost == 1 || cost == 2 || step == 0);
        cr_assert(store->nodes == nodes || cost == 2 || step == 0);
        extents_add(&extents, extent);
    }
    extents_verify(store, &extents, (uint64_t)count * 4);
    free(extents.list);
    return count / store_census(store).leaves;
}

Test(index, extents_ascending)
{
    struct store *store = store_new(32 * MIB, store_seed());
    cr_assert(extents_fill(store, 30000, false) > 100, "leaves left behind are nearly full");
    cr_assert(store_census(store).leaves > VM_INNER_MAX);
    store_free(store);
}

Test(index, extents_descending)
{
    struct store *store = store_new(32 * MIB, store_seed());
    cr_assert(extents_fill(store, 12000, true) > 40);
    store_free(store);
}

Test(index, extents_build)
{
    struct store *store = store_new(16 * MIB, store_seed());
    for (uint32_t count = 1; count <= VM_SEGMENT_SLOTS; count++) {
        struct extents extents = extents_new();
        for (uint32_t number = 0; number < count; number++)
            extents_add(&extents, extent_random(store, number * 3));
        store->map.root = 0;
        store->nodes = 0;
        step_begin(store);
        uint64_t before = store_fences(store);
        cr_assert_eq(vm_extents_build(&store->core.ctx, &store->map, extents.list, count), 0);
        step_commit(store);
        cr_assert(count == 1 || store_fences(store) - before == 1);
        extents_verify(store, &extents, 200);
        free(extents.list);
    }
    store_free(store);
}

/* ---- trimming ---- */

static void trim_check(struct store *store, const struct extents *extents)
{
    for (uint32_t at = 0; at < extents->count; at += 7)
        extents_probe(store, extents, extents->list[at].file_block);
    extents_probe(store, extents, VM_KEY_MAX);
    struct census census = store_census(store);
    cr_assert_eq(census.bad, 0);
    cr_assert_eq(census.nodes, store->nodes);
}

/* From the end, as truncation does: each leaf goes when it is empty, and no block is needed. */
Test(index, trim_from_the_end)
{
    struct store *store = store_new(32 * MIB, store_seed());
    struct vm_ctx *ctx = &store->core.ctx;
    struct extents extents = extents_new();
    uint64_t used = store_blocks_used(store);
    for (uint32_t number = 0; number < 30000; number++) {
        struct vm_extent extent = extent_random(store, number);
        step_begin(store);
        cr_assert_eq(vm_extents_insert(ctx, &store->map, &extent), 0);
        step_commit(store);
        extents_add(&extents, extent);
    }
    uint64_t trims = 0;
    while (extents.count) {
        step_begin(store);
        for (int change = 0; change < 16 && extents.count; change++) {
            extents.count--;
            uint64_t last = extents.list[extents.count].file_block;
            cr_assert_eq(vm_extents_remove(ctx, &store->map, last), 0);
        }
        int result;
        while ((result = vm_map_trim(ctx, &store->map)) == 1)
            trims++;
        cr_assert_eq(result, 0);
        cr_assert_eq(ctx->tx->run_count, 0, "trimming takes no block");
        step_commit(store);
        if (trims % 20 == 0)
            trim_check(store, &extents);
        if (extents.count % 4096 < 16) { /* and growing again in between */
            struct vm_extent extent = extent_random(store, extents.count + 40000);
            step_begin(store);
            cr_assert_eq(vm_extents_insert(ctx, &store->map, &extent), 0);
            step_commit(store);
            extents_add(&extents, extent);
            trim_check(store, &extents);
            if (extents.count == 1)
                break;
        }
    }
    cr_assert_eq(store_census(store).leaves, 1);
    cr_assert(trims > VM_INNER_MAX);
    cr_assert_eq(store_blocks_used(store) - used, store->nodes);
    free(extents.list);
    store_free(store);
}

Test(index, drop_everything)
{
    struct store *store = store_new(NAMES_BYTES, store_seed());
    struct vm_ctx *ctx = &store->core.ctx;
    uint64_t used = store_blocks_used(store);
    for (uint32_t number = 0; number < 15000; number++) {
        struct entry entry = entry_random(&store->seed, number, 24, 0);
        step_begin(store);
        entry_insert(store, &entry);
        step_commit(store);
    }
    struct census census = store_census(store);
    cr_assert(census.leaves > VM_INNER_MAX);
    for (uint64_t left = census.leaves; left > 0; left--) {
        step_begin(store);
        cr_assert_eq(vm_map_drop_last(ctx, &store->map), 1);
        step_commit(store);
        if (left % 16 == 0)
            cr_assert_eq(store_census(store).bad, 0);
        census = store_census(store);
        cr_assert_eq(census.leaves, left - 1);
        cr_assert(census.leaves != 1 || census.nodes == 1, "a root with one child goes");
    }
    step_begin(store);
    cr_assert_eq(vm_map_drop_last(ctx, &store->map), 0);
    step_abort(store);
    cr_assert_eq(store->map.root, 0);
    cr_assert_eq(store->nodes, 0);
    cr_assert_eq(store_blocks_used(store), used);
    store_free(store);
}
