/* index_model.c -- the model and its comparison with the map */
#include "index_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/tx.h"

#define TAG 0x7a6du

uint64_t store_seed(void)
{
    const char *text = getenv("VMFS_TEST_SEED");
    uint64_t value = text ? strtoull(text, NULL, 0) : seed_from_clock();
    fprintf(stderr, "VMFS_TEST_SEED=%llu\n", (unsigned long long)value);
    return value;
}

void step_begin(struct store *store)
{
    int result = vm_tx_begin(&store->core.ctx);
    cr_assert_eq(result, 0, "begin: %s", vmfs_reason_str(-result));
}

void step_commit(struct store *store)
{
    struct vm_ctx *ctx = &store->core.ctx;
    struct vm_le64 root = vm_put64(store->map.root);
    vm_tx_write(ctx, store->home, &root, sizeof root);
    int result = vm_tx_commit(ctx);
    cr_assert_eq(result, 0, "commit: %s", vmfs_reason_str(-result));
    vm_tx_end(ctx);
    store->nodes += (uint64_t)store->map.node_delta;
    store->map.node_delta = 0;
}

void step_abort(struct store *store)
{
    vm_tx_end(&store->core.ctx);
    store->map.root = vm_load64(&store->core.ctx, store->home);
    store->map.node_delta = 0;
}

void store_recover(struct store *store)
{
    store->map.root = vm_load64(&store->core.ctx, store->home);
    store->map.node_delta = 0;
    store->nodes = store_census(store).nodes;
}

struct store *store_new(uint64_t bytes, uint64_t seed)
{
    struct store *store = calloc(1, sizeof *store);
    cr_assert_not_null(store);
    seed_init(&store->seed, seed);
    core_init(&store->core, bytes);
    store->map.tag = TAG;
    step_begin(store);
    cr_assert_eq(vm_space_take_node(&store->core.ctx, &store->home), 0);
    struct vm_le64 none = vm_put64(0);
    vm_tx_write_fresh(&store->core.ctx, store->home, &none, sizeof none);
    step_commit(store);
    return store;
}

void store_free(struct store *store)
{
    core_fini(&store->core);
    free(store);
}

uint64_t store_fences(const struct store *store)
{
    return store->core.ctx.io.fences - store->core.journal.checkpoint_fences;
}

uint64_t store_blocks_used(const struct store *store)
{
    struct vm_totals totals = vm_journal_totals(&store->core.journal);
    return store->core.region.blocks - (uint64_t)totals.blocks_free;
}

static int census_visit(void *arg, uint64_t offset, const struct vm_node_media *head)
{
    struct census *census = arg;
    (void)offset;
    census->nodes++;
    if (head->level == 0) {
        census->leaves++;
        census->entries += vm_get16(head->count);
    }
    return 0;
}

static void census_bad(void *arg, uint64_t offset, int reason)
{
    struct census *census = arg;
    (void)offset;
    cr_assert(reason > 0);
    census->bad++;
}

struct census store_census(struct store *store)
{
    struct census census = {0};
    struct vm_map_visitor visitor = {census_visit, census_bad, &census};
    cr_assert_eq(vm_map_walk(&store->core.ctx, &store->map, &visitor), 0);
    return census;
}

/* ---- names ---- */

struct names names_new(void)
{
    struct names names = {calloc(MODEL_MAX, sizeof(struct entry)), 0};
    cr_assert_not_null(names.list);
    return names;
}

void names_add(struct names *names, const struct entry *entry)
{
    cr_assert(names->count < MODEL_MAX);
    uint32_t low = 0;
    uint32_t high = names->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (names->list[middle].key < entry->key)
            low = middle + 1;
        else
            high = middle;
    }
    cr_assert(low == names->count || names->list[low].key != entry->key, "two names, one key");
    memmove(&names->list[low + 1], &names->list[low], (names->count - low) * sizeof names->list[0]);
    names->list[low] = *entry;
    names->count++;
}

static void names_drop(struct names *names, uint32_t at)
{
    names->count--;
    memmove(&names->list[at], &names->list[at + 1], (names->count - at) * sizeof names->list[0]);
}

struct vm_name entry_name(const struct entry *entry)
{
    return (struct vm_name){entry->name, entry->name_bytes};
}

struct vm_name entry_payload(const struct entry *entry, uint8_t *buffer)
{
    seed_fill(buffer, entry->payload_bytes, entry->payload_seed);
    return (struct vm_name){buffer, entry->payload_bytes};
}

/* Names differ by a number in them, or by length where there is no room for it. */
struct entry entry_random(struct seed *seed, uint64_t number, uint32_t length_max,
                          uint32_t payload_max)
{
    struct entry entry = {.value = seed_next(seed), .type = (uint8_t)seed_below(seed, 16)};
    entry.name_bytes = 8 + (uint32_t)seed_below(seed, length_max - 7);
    seed_fill(entry.name, entry.name_bytes, seed_next(seed));
    memcpy(entry.name, &number, 8);
    uint64_t room = VM_NAMED_PAYLOAD_MAX - entry.name_bytes;
    entry.payload_bytes = (uint32_t)seed_below(seed, payload_max + 1);
    if (entry.payload_bytes > room)
        entry.payload_bytes = (uint32_t)room;
    entry.payload_seed = seed_next(seed);
    return entry;
}

int entry_find(struct store *store, const struct entry *entry, struct vm_named_hit *hit)
{
    return vm_named_find(&store->core.ctx, &store->map, entry_name(entry), hit);
}

void entry_insert(struct store *store, struct entry *entry)
{
    uint8_t payload[VM_NAMED_PAYLOAD_MAX];
    struct vm_named_hit hit;
    cr_assert_eq(entry_find(store, entry, &hit), 0);
    int result = vm_named_insert(&store->core.ctx, &store->map, entry_name(entry), entry->value,
                                 entry->type, entry_payload(entry, payload));
    cr_assert_eq(result, 0, "insert: %s", vmfs_reason_str(-result));
    cr_assert_eq(entry_find(store, entry, &hit), 1, "an inserted name is seen in its own step");
    entry->key = hit.entry.key;
}

void entry_compare(const struct entry *entry, const struct vm_named_hit *hit, const uint8_t *name)
{
    uint8_t payload[VM_NAMED_PAYLOAD_MAX];
    entry_payload(entry, payload);
    cr_assert_eq(hit->entry.key, entry->key);
    cr_assert_eq(hit->entry.value, entry->value);
    cr_assert_eq(hit->entry.type, entry->type);
    cr_assert_eq(hit->entry.name_bytes, entry->name_bytes);
    cr_assert(hit->entry.payload_bytes >= entry->payload_bytes);
    cr_assert_eq(memcmp(name, entry->name, entry->name_bytes), 0);
    cr_assert_eq(memcmp(name + entry->name_bytes, payload, entry->payload_bytes), 0);
}

void names_verify(struct store *store, const struct names *names)
{
    uint8_t name[VM_NAMED_PAYLOAD_MAX];
    struct vm_named_hit hit;
    uint64_t cookie = 3;
    for (uint32_t at = 0; at < names->count; at++) {
        int result = vm_named_next(&store->core.ctx, &store->map, cookie, &hit, name);
        cr_assert_eq(result, 1, "next: %d", result);
        entry_compare(&names->list[at], &hit, name);
        cookie = hit.entry.key;
        cr_assert(cookie > 3 && cookie < (uint64_t)1 << 63);
        cr_assert_eq(entry_find(store, &names->list[at], &hit), 1);
        cr_assert_eq(vm_named_copy(&store->core.ctx, &hit, name), 0);
        entry_compare(&names->list[at], &hit, name);
    }
    cr_assert_eq(vm_named_next(&store->core.ctx, &store->map, cookie, &hit, name), 0);
    struct census census = store_census(store);
    cr_assert_eq(census.bad, 0);
    cr_assert_eq(census.entries, names->count);
    cr_assert_eq(census.nodes, store->nodes);
}

void names_step(struct store *store, struct names *names, uint64_t number, unsigned insert_percent,
                uint32_t length_max)
{
    struct vm_named_hit hit;
    struct seed *seed = &store->seed;
    if (names->count == 0 || seed_chance(seed, insert_percent)) {
        uint32_t payload_max = seed_chance(seed, 10) ? VM_NAMED_PAYLOAD_MAX : 30;
        struct entry entry = entry_random(seed, number, length_max, payload_max);
        entry_insert(store, &entry);
        names_add(names, &entry);
        return;
    }
    uint32_t at = (uint32_t)seed_below(seed, names->count);
    struct entry *entry = &names->list[at];
    cr_assert_eq(entry_find(store, entry, &hit), 1);
    if (seed_chance(seed, 30)) {
        entry->value = seed_next(seed);
        entry->type = (uint8_t)seed_below(seed, 16);
        cr_assert_eq(
            vm_named_replace(&store->core.ctx, &store->map, &hit, entry->value, entry->type), 0);
        return;
    }
    cr_assert_eq(vm_named_remove(&store->core.ctx, &store->map, &hit), 0);
    cr_assert_eq(entry_find(store, entry, &hit), 0, "a removed name is gone in its own step");
    names_drop(names, at);
}

/* ---- extents ---- */

struct extents extents_new(void)
{
    struct extents extents = {calloc(MODEL_MAX, sizeof(struct vm_extent)), 0};
    cr_assert_not_null(extents.list);
    return extents;
}

uint32_t extents_upto(const struct extents *extents, uint64_t file_block)
{
    uint32_t low = 0;
    uint32_t high = extents->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (extents->list[middle].file_block <= file_block)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool extents_has(const struct extents *extents, uint64_t file_block)
{
    uint32_t upto = extents_upto(extents, file_block);
    return upto && extents->list[upto - 1].file_block == file_block;
}

void extents_add(struct extents *extents, struct vm_extent extent)
{
    cr_assert(extents->count < MODEL_MAX);
    uint32_t at = extents_upto(extents, extent.file_block);
    memmove(&extents->list[at + 1], &extents->list[at],
            (extents->count - at) * sizeof extents->list[0]);
    extents->list[at] = extent;
    extents->count++;
}

static void extents_drop(struct extents *extents, uint32_t at)
{
    extents->count--;
    memmove(&extents->list[at], &extents->list[at + 1],
            (extents->count - at) * sizeof extents->list[0]);
}

struct vm_extent extent_random(struct store *store, uint64_t number)
{
    struct seed *seed = &store->seed;
    uint64_t first = store->core.region.blocks / 2;
    return (struct vm_extent){.file_block = number * 4,
                              .block = first + seed_below(seed, first - 4),
                              .blocks = 1 + (uint32_t)seed_below(seed, 4),
                              .birth = 1};
}

void extent_compare(const struct vm_extent *got, const struct vm_extent *expected)
{
    cr_assert_eq(got->file_block, expected->file_block);
    cr_assert_eq(got->block, expected->block);
    cr_assert_eq(got->blocks, expected->blocks);
    cr_assert_eq(got->flags, expected->flags);
    cr_assert_eq(got->birth, expected->birth);
}

void extents_probe(struct store *store, const struct extents *extents, uint64_t file_block)
{
    struct vm_extent got;
    uint32_t upto = extents_upto(extents, file_block);
    int result = vm_extents_floor(&store->core.ctx, &store->map, file_block, &got);
    cr_assert_eq(result, upto > 0, "floor: %d", result);
    if (upto)
        extent_compare(&got, &extents->list[upto - 1]);
    bool is_equal = upto && extents->list[upto - 1].file_block == file_block;
    uint32_t from = is_equal ? upto - 1 : upto;
    result = vm_extents_ceiling(&store->core.ctx, &store->map, file_block, &got);
    cr_assert_eq(result, from < extents->count, "ceiling: %d", result);
    if (from < extents->count)
        extent_compare(&got, &extents->list[from]);
}

void extents_verify(struct store *store, const struct extents *extents, uint64_t span)
{
    extents_probe(store, extents, 0);
    extents_probe(store, extents, span);
    extents_probe(store, extents, VM_KEY_MAX);
    for (uint32_t at = 0; at < extents->count; at++) {
        extents_probe(store, extents, extents->list[at].file_block);
        extents_probe(store, extents, extents->list[at].file_block + 3);
        extents_probe(store, extents, seed_below(&store->seed, span));
    }
    struct census census = store_census(store);
    cr_assert_eq(census.bad, 0);
    cr_assert_eq(census.entries, extents->count);
    cr_assert_eq(census.nodes, store->nodes);
}

void extents_step(struct store *store, struct extents *extents, uint64_t numbers,
                  unsigned insert_percent)
{
    struct vm_ctx *ctx = &store->core.ctx;
    struct seed *seed = &store->seed;
    struct vm_extent extent = extent_random(store, seed_below(seed, numbers));
    if (extents->count == 0 || seed_chance(seed, insert_percent)) {
        if (extents_has(extents, extent.file_block))
            return;
        cr_assert_eq(vm_extents_insert(ctx, &store->map, &extent), 0);
        extents_add(extents, extent);
        extents_probe(store, extents, extent.file_block);
        return;
    }
    uint32_t at = (uint32_t)seed_below(seed, extents->count);
    extent.file_block = extents->list[at].file_block;
    if (seed_chance(seed, 30)) {
        cr_assert_eq(vm_extents_update(ctx, &store->map, &extent), 0);
        extents->list[at] = extent;
    } else {
        cr_assert_eq(vm_extents_remove(ctx, &store->map, extent.file_block), 0);
        extents_drop(extents, at);
    }
    extents_probe(store, extents, extent.file_block);
}
