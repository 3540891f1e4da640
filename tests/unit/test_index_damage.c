/* test_index_damage.c -- the ordered map under loss of power, flipped bytes and hostile images */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "index/cell.h"
#include "index/node.h"
#include "index_model.h"
#include "journal/tx.h"

/* ---- loss of power ---- */

struct crash_run {
    struct store *store;
    struct extents extents;
    struct extents before;
};

static void crash_step(struct crash_run *run)
{
    struct store *store = run->store;
    step_begin(store);
    for (int change = 0; change < 3; change++)
        extents_step(store, &run->extents, 3000, 70);
    step_commit(store);
}

static bool extents_match(struct store *store, const struct extents *extents)
{
    struct vm_extent got;
    uint64_t from = 0;
    for (uint32_t at = 0; at < extents->count; at++) {
        int result = vm_extents_ceiling(&store->core.ctx, &store->map, from, &got);
        cr_assert_geq(result, 0, "after a crash: %s", vmfs_reason_str(-result));
        if (result == 0 || memcmp(&got, &extents->list[at], sizeof got) != 0)
            return false;
        from = got.file_block + 1;
    }
    return vm_extents_ceiling(&store->core.ctx, &store->map, from, &got) == 0;
}

static void extents_copy(struct extents *to, const struct extents *from)
{
    memcpy(to->list, from->list, from->count * sizeof from->list[0]);
    to->count = from->count;
}

/* Power goes at some fence of a step: afterwards the step has happened or it has not. */
Test(index, extents_survive_crashes)
{
    struct crash_run run = {store_new(8 * MIB, store_seed()), extents_new(), extents_new()};
    struct store *store = run.store;
    volatile unsigned undone = 0;
    volatile unsigned done = 0;
    for (volatile unsigned crash = 0; crash < 300; crash++) {
        store->core.fences_left = 1 + seed_below(&store->seed, 40);
        if (setjmp(store->core.cut) == 0) {
            for (;;) {
                extents_copy(&run.before, &run.extents);
                crash_step(&run);
            }
        }
        core_crash(&store->core, &store->seed);
        store_recover(store);
        if (extents_match(store, &run.before)) {
            extents_copy(&run.extents, &run.before);
            undone++;
        } else {
            cr_assert(extents_match(store, &run.extents), "crash %u", crash);
            done++;
        }
        struct census census = store_census(store);
        cr_assert_eq(census.bad, 0);
        store->nodes = census.nodes;
        cr_assert_eq(census.entries, run.extents.count);
    }
    cr_log_info("%u steps undone, %u done", undone, done);
    free(run.extents.list);
    free(run.before.list);
    store_free(store);
}

/* Names that are acknowledged are there after a crash; the one in flight may be. */
Test(index, names_survive_crashes)
{
    struct store *store = store_new(8 * MIB, store_seed());
    struct names names = names_new();
    volatile uint64_t number = 0;
    static struct entry flying;
    struct vm_named_hit hit;
    for (volatile unsigned crash = 0; crash < 200; crash++) {
        store->core.fences_left = 1 + seed_below(&store->seed, 60);
        if (setjmp(store->core.cut) == 0) {
            for (;;) {
                flying = entry_random(&store->seed, number++, 100, 0);
                step_begin(store);
                entry_insert(store, &flying);
                step_commit(store);
                names_add(&names, &flying);
            }
        }
        core_crash(&store->core, &store->seed);
        store_recover(store);
        store->nodes = store_census(store).nodes;
        if (entry_find(store, &flying, &hit) == 1) {
            flying.key = hit.entry.key;
            names_add(&names, &flying);
        }
        names_verify(store, &names);
    }
    free(names.list);
    store_free(store);
}

/* Few, so that steps meet in the same leaves. */
#define STALE_EXTENTS 250u
#define STALE_ROUNDS  12u

/* A step of either kind of map, and what it should hold. */
struct mixed {
    struct store *store;
    struct names names;
    struct extents extents;
    bool has_names;
};

static void mixed_step(struct mixed *mixed, uint64_t number)
{
    step_begin(mixed->store);
    if (mixed->has_names)
        names_step(mixed->store, &mixed->names, number, 80, 100);
    else
        extents_step(mixed->store, &mixed->extents, STALE_EXTENTS, 80);
    step_commit(mixed->store);
}

static void mixed_verify(struct mixed *mixed)
{
    if (mixed->has_names)
        names_verify(mixed->store, &mixed->names);
    else
        extents_verify(mixed->store, &mixed->extents, STALE_EXTENTS * 4);
}

static struct mixed mixed_copy(const struct mixed *from)
{
    struct mixed copy = {from->store, names_new(), extents_new(), from->has_names};
    memcpy(copy.names.list, from->names.list, from->names.count * sizeof(struct entry));
    copy.names.count = from->names.count;
    extents_copy(&copy.extents, &from->extents);
    return copy;
}

static void mixed_free(struct mixed *mixed)
{
    free(mixed->names.list);
    free(mixed->extents.list);
}

/* Does steps, goes back, and does them again while the free blocks read as if they had been done:
 * if anything is left out of the log because it reads right already, the crash shows it. */
static void stale_round(struct mixed *mixed, uint64_t number, uint64_t steps)
{
    struct store *store = mixed->store;
    uint8_t *before = core_save(&store->core);
    struct seed seed = store->seed;
    struct mixed rehearsal = mixed_copy(mixed);
    core_load(&store->core, before);
    store_recover(store);
    for (uint64_t step = 0; step < steps; step++)
        mixed_step(&rehearsal, number + step);
    uint8_t *after = core_save(&store->core);
    core_load(&store->core, before);
    core_stale(&store->core, after);
    store_recover(store);
    store->seed = seed;
    for (uint64_t step = 0; step < steps; step++)
        mixed_step(mixed, number + step);
    core_crash(&store->core, NULL);
    store_recover(store);
    mixed_verify(mixed);
    mixed_free(&rehearsal);
    free(before);
    free(after);
}

static void stale_run(bool has_names)
{
    uint64_t seed = store_seed();
    for (uint64_t run = 0; run < 6; run++) {
        struct store *store = store_new(8 * MIB, seed + run);
        struct mixed mixed = {store, names_new(), extents_new(), has_names};
        stale_round(&mixed, 0, 1);
        for (uint64_t round = 1; round < STALE_ROUNDS; round++)
            stale_round(&mixed, round * 1000, 1 + seed_below(&store->seed, 60));
        store_free(store);
        mixed_free(&mixed);
    }
}

Test(index, stale_bytes_are_not_trusted_for_names)
{
    stale_run(true);
}

Test(index, stale_bytes_are_not_trusted_for_extents)
{
    stale_run(false);
}

/* ---- damage ---- */

/* Collects the nodes of a map. */
struct node_list {
    uint64_t offsets[4096];
    uint32_t count;
};

static int node_collect(void *arg, uint64_t offset, const struct vm_node_media *head)
{
    struct node_list *list = arg;
    (void)head;
    list->offsets[list->count++] = offset;
    return list->count == 4096;
}

static void no_bad(void *arg, uint64_t offset, int reason)
{
    (void)arg;
    cr_assert_fail("node at %llu: %s", (unsigned long long)offset, vmfs_reason_str(reason));
}

static bool is_damage(int result)
{
    return result == -VMFS_R_NODE_DAMAGED || result == -VMFS_R_SLOT_DAMAGED ||
           result == -VMFS_R_EXTENT_DAMAGED || result == -VMFS_R_OFFSET;
}

/* A listing that ends without a reason is whole; one entry after a wrong key may be missed first.
 */
static void damaged_names_list(struct store *store, const struct names *names)
{
    uint8_t name[VM_NAMED_PAYLOAD_MAX];
    struct vm_named_hit hit;
    uint64_t cookie = 0;
    uint32_t listed = 0;
    for (uint32_t at = 0; at < names->count; at++) {
        int result = vm_named_next(&store->core.ctx, &store->map, cookie, &hit, name);
        cr_assert(result >= 0 || is_damage(result), "next: %d", result);
        if (result < 0)
            return;
        if (result == 0)
            break;
        while (at < names->count && names->list[at].key < hit.entry.key)
            at++;
        cr_assert_lt(at, names->count);
        entry_compare(&names->list[at], &hit, name);
        cookie = hit.entry.key;
        listed++;
    }
    int result = vm_named_next(&store->core.ctx, &store->map, cookie, &hit, name);
    cr_assert(is_damage(result) || (result == 0 && listed == names->count));
}

static void damaged_names_probe(struct store *store, const struct names *names, unsigned *seen)
{
    struct vm_named_hit hit;
    for (uint32_t at = 0; at < names->count; at++) {
        int result = entry_find(store, &names->list[at], &hit);
        if (result == 1)
            cr_assert_eq(hit.entry.value, names->list[at].value);
        else
            cr_assert(is_damage(result), "find: %d", result);
        *seen += result != 1;
    }
    damaged_names_list(store, names);
}

Test(index, flipped_bytes_in_names)
{
    struct store *store = store_new(16 * MIB, store_seed());
    struct names names = names_new();
    static struct node_list nodes;
    unsigned seen = 0;
    for (uint32_t number = 0; number < 1500; number++) {
        struct entry entry = entry_random(&store->seed, number, 60, 40);
        step_begin(store);
        entry_insert(store, &entry);
        step_commit(store);
        names_add(&names, &entry);
    }
    struct vm_map_visitor visitor = {node_collect, no_bad, &nodes};
    cr_assert_eq(vm_map_walk(&store->core.ctx, &store->map, &visitor), 0);
    for (uint32_t round = 0; round < 400; round++) {
        uint64_t node = nodes.offsets[seed_below(&store->seed, nodes.count)];
        uint8_t *byte = store->core.memory + node + seed_below(&store->seed, VM_BLOCK_BYTES);
        uint8_t before = *byte;
        *byte ^= (uint8_t)(1 + seed_below(&store->seed, 255));
        damaged_names_probe(store, &names, &seen);
        *byte = before;
    }
    cr_assert(seen > 0, "some of the damage was met");
    names_verify(store, &names);
    free(names.list);
    store_free(store);
}

static void damaged_extents_probe(struct store *store, const struct extents *extents,
                                  uint64_t file_block, unsigned *seen)
{
    struct vm_extent got;
    uint32_t upto = extents_upto(extents, file_block);
    int result = vm_extents_floor(&store->core.ctx, &store->map, file_block, &got);
    *seen += result < 0;
    if (result >= 0) {
        cr_assert_eq(result, upto > 0);
        if (upto)
            extent_compare(&got, &extents->list[upto - 1]);
    } else {
        cr_assert(is_damage(result), "floor: %d", result);
    }
    result = vm_extents_ceiling(&store->core.ctx, &store->map, file_block + 1, &got);
    uint32_t from = extents_upto(extents, file_block);
    if (from < extents->count && extents->list[from].file_block < file_block + 1)
        from++;
    if (result >= 0) {
        cr_assert_eq(result, from < extents->count);
        if (from < extents->count)
            extent_compare(&got, &extents->list[from]);
    } else {
        cr_assert(is_damage(result), "ceiling: %d", result);
    }
}

Test(index, flipped_bytes_in_extents)
{
    struct store *store = store_new(16 * MIB, store_seed());
    struct extents extents = extents_new();
    static struct node_list nodes;
    unsigned seen = 0;
    for (uint32_t step = 0; step < 1500; step++) {
        step_begin(store);
        extents_step(store, &extents, 3000, 95);
        step_commit(store);
    }
    struct vm_map_visitor visitor = {node_collect, no_bad, &nodes};
    cr_assert_eq(vm_map_walk(&store->core.ctx, &store->map, &visitor), 0);
    for (uint32_t round = 0; round < 600; round++) {
        uint64_t node = nodes.offsets[seed_below(&store->seed, nodes.count)];
        uint8_t *byte = store->core.memory + node + seed_below(&store->seed, VM_BLOCK_BYTES);
        uint8_t before = *byte;
        *byte ^= (uint8_t)(1 + seed_below(&store->seed, 255));
        for (uint64_t file_block = 0; file_block < 12000; file_block += 7)
            damaged_extents_probe(store, &extents, file_block, &seen);
        *byte = before;
    }
    cr_assert(seen > 0, "some of the damage was met");
    extents_verify(store, &extents, 12000);
    free(extents.list);
    store_free(store);
}

/* ---- a hostile region: every hash is right, nothing else need be ---- */

static uint32_t hashed_bytes(uint8_t kind)
{
    return kind == VM_NODE_INNER ? 64u : kind == VM_NODE_NAMED ? 128u : 160u;
}

static void node_reseal(struct store *store, uint64_t offset)
{
    uint8_t *node = store->core.memory + offset;
    struct vm_node_media head;
    memcpy(&head, node, sizeof head);
    head.hash = vm_put32(0);
    memcpy(node, &head, sizeof head);
    head.hash =
        vm_put32(vm_hash32(store->core.region.hash_seed ^ offset, node, hashed_bytes(head.kind)));
    memcpy(node, &head, sizeof head);
}

static void cell_reseal(struct store *store, uint64_t offset)
{
    uint8_t *bytes = store->core.memory + offset;
    struct vm_cell_media cell;
    memcpy(&cell, bytes, sizeof cell);
    if (cell.cells == 0 || cell.cells > 16)
        return;
    cell.hash = vm_put32(0);
    memcpy(bytes, &cell, sizeof cell);
    cell.hash = vm_put32(vm_hash32(store->core.region.hash_seed ^ offset, bytes,
                                   (size_t)cell.cells * VM_CELL_BYTES));
    memcpy(bytes, &cell, sizeof cell);
}

static void slot_reseal(struct store *store, uint64_t offset)
{
    struct vm_extent_media slot;
    memcpy(&slot, store->core.memory + offset, sizeof slot);
    slot.hash = vm_put32(0);
    slot.hash = vm_put32(vm_hash32(store->core.region.hash_seed, &slot, sizeof slot));
    memcpy(store->core.memory + offset, &slot, sizeof slot);
}

/* Changes a few bytes of a node, mostly of its head, and makes the hashes fit. */
static void node_forge(struct store *store, uint64_t node)
{
    struct seed *seed = &store->seed;
    for (uint64_t change = 1 + seed_below(seed, 3); change > 0; change--) {
        uint64_t at = seed_below(seed, seed_chance(seed, 60) ? 160 : VM_BLOCK_BYTES);
        uint8_t *byte = store->core.memory + node + at;
        *byte = seed_chance(seed, 50) ? (uint8_t)seed_next(seed) : (uint8_t)(*byte + 1);
        uint8_t kind = store->core.memory[node + 4];
        if (at >= 512 && kind == VM_NODE_FIXED)
            slot_reseal(store, node + at / 32 * 32);
        if (at >= 128 && kind == VM_NODE_NAMED)
            cell_reseal(store, node + 128 + (at - 128) / 64 * 64);
    }
    node_reseal(store, node);
}

static int any_node(void *arg, uint64_t offset, const struct vm_node_media *head)
{
    (void)offset;
    *(unsigned *)arg += head->level;
    return 0;
}

static int any_entry(void *arg, const struct vm_named_hit *hit, const uint8_t *name)
{
    (void)hit;
    *(unsigned *)arg += name[0];
    return 0;
}

static int any_extent(void *arg, const struct vm_extent *extent)
{
    *(unsigned *)arg += extent->blocks;
    return 0;
}

static void any_bad(void *arg, uint64_t offset, int reason)
{
    (void)offset;
    *(unsigned *)arg += (unsigned)reason;
}

static void forged_names_use(struct store *store, const struct names *names, uint64_t node)
{
    struct vm_ctx *ctx = &store->core.ctx;
    uint8_t name[VM_NAMED_PAYLOAD_MAX];
    struct vm_named_hit hit;
    unsigned sum = 0;
    uint64_t cookie = 0;
    step_begin(store);
    for (uint32_t turn = 0; turn < 30; turn++) {
        const struct entry *entry = &names->list[seed_below(&store->seed, names->count)];
        if (entry_find(store, entry, &hit) == 1 && turn % 3 == 0)
            vm_named_remove(ctx, &store->map, &hit);
        else if (turn % 3 == 0)
            vm_named_insert(ctx, &store->map, entry_name(entry), 1, 1, (struct vm_name){NULL, 0});
        if (vm_named_next(ctx, &store->map, cookie, &hit, name) == 1)
            cookie = hit.entry.key;
        else
            cookie = seed_next(&store->seed) >> 1;
    }
    vm_map_trim(ctx, &store->map);
    vm_map_drop_last(ctx, &store->map);
    struct vm_map_visitor visitor = {any_node, any_bad, &sum};
    vm_map_walk(ctx, &store->map, &visitor);
    vm_named_each(ctx, node, any_entry, any_bad, &sum);
    step_abort(store);
}

static void forged_extents_use(struct store *store, uint64_t node)
{
    struct vm_ctx *ctx = &store->core.ctx;
    struct vm_extent got;
    unsigned sum = 0;
    step_begin(store);
    for (uint32_t turn = 0; turn < 40; turn++) {
        struct vm_extent extent = extent_random(store, seed_below(&store->seed, 3000));
        vm_extents_floor(ctx, &store->map, extent.file_block, &got);
        vm_extents_ceiling(ctx, &store->map, extent.file_block, &got);
        if (turn % 4 == 0)
            vm_extents_insert(ctx, &store->map, &extent);
        if (turn % 4 == 1)
            vm_extents_remove(ctx, &store->map, extent.file_block);
    }
    vm_map_trim(ctx, &store->map);
    struct vm_map_visitor visitor = {any_node, any_bad, &sum};
    vm_map_walk(ctx, &store->map, &visitor);
    vm_extents_each(ctx, node, any_extent, any_bad, &sum);
    step_abort(store);
}

/* Nothing is asked of the results; the sanitizers and the assertions watch. Every round starts from
 * the sound image. */
static void forge_run(struct store *store, const struct names *names, uint32_t rounds)
{
    static struct node_list nodes;
    nodes.count = 0;
    struct vm_map_visitor visitor = {node_collect, no_bad, &nodes};
    cr_assert_eq(vm_map_walk(&store->core.ctx, &store->map, &visitor), 0);
    for (uint32_t round = 0; round < rounds; round++) {
        uint8_t saved[3][VM_BLOCK_BYTES];
        uint64_t places[3];
        for (int index = 0; index < 3; index++) {
            places[index] = nodes.offsets[index ? seed_below(&store->seed, nodes.count) : 0];
            memcpy(saved[index], store->core.memory + places[index], VM_BLOCK_BYTES);
            if (index || round % 4 == 0)
                node_forge(store, places[index]);
        }
        if (names)
            forged_names_use(store, names, places[1]);
        else
            forged_extents_use(store, places[1]);
        for (int index = 2; index >= 0; index--)
            memcpy(store->core.memory + places[index], saved[index], VM_BLOCK_BYTES);
    }
}

Test(index, forged_names)
{
    struct store *store = store_new(16 * MIB, store_seed());
    struct names names = names_new();
    for (uint32_t number = 0; number < 1500; number++) {
        struct entry entry = entry_random(&store->seed, number, 60, 40);
        step_begin(store);
        entry_insert(store, &entry);
        step_commit(store);
        names_add(&names, &entry);
    }
    forge_run(store, &names, 3000);
    names_verify(store, &names);
    free(names.list);
    store_free(store);
}

Test(index, forged_extents)
{
    struct store *store = store_new(16 * MIB, store_seed());
    struct extents extents = extents_new();
    for (uint32_t step = 0; step < 1500; step++) {
        step_begin(store);
        extents_step(store, &extents, 3000, 95);
        step_commit(store);
    }
    forge_run(store, NULL, 3000);
    extents_verify(store, &extents, 12000);
    free(extents.list);
    store_free(store);
}

/* Inserts names until the root is an inner node. */
static void names_grow(struct store *store, struct names *names)
{
    for (uint32_t number = 0; store_census(store).nodes < 6; number++) {
        struct entry entry = entry_random(&store->seed, number, 24, 0);
        step_begin(store);
        entry_insert(store, &entry);
        step_commit(store);
        names_add(names, &entry);
    }
}

Test(index, root_outside)
{
    struct store *store = store_new(8 * MIB, store_seed());
    struct names names = names_new();
    struct vm_named_hit hit;
    names_grow(store, &names);
    const uint64_t roots[] = {8,
                              4095,
                              store->map.root + 8,
                              store->map.root + 4096 * 1000,
                              store->core.region.lane_offset,
                              store->core.bytes - 8,
                              store->core.bytes,
                              ~(uint64_t)0,
                              ~(uint64_t)4095};
    for (size_t at = 0; at < sizeof roots / sizeof roots[0]; at++) {
        store->map.root = roots[at];
        cr_assert_eq(entry_find(store, &names.list[0], &hit), -VMFS_R_NODE_DAMAGED, "%zu", at);
        cr_assert_eq(store_census(store).bad, 1);
    }
    free(names.list);
    store_free(store);
}

Test(index, nodes_of_another_map)
{
    struct store *store = store_new(8 * MIB, store_seed());
    struct names names = names_new();
    struct vm_named_hit hit;
    names_grow(store, &names);
    store->map.tag++;
    cr_assert_eq(entry_find(store, &names.list[0], &hit), -VMFS_R_NODE_DAMAGED);
    store->map.tag--;
    store->map.base_epoch = store->core.region.epoch;
    cr_assert_eq(entry_find(store, &names.list[0], &hit), -VMFS_R_NODE_DAMAGED);
    store->map.base_epoch = 0;
    store->core.region.epoch--;
    cr_assert_eq(entry_find(store, &names.list[0], &hit), -VMFS_R_NODE_DAMAGED, "not born yet");
    store->core.region.epoch++;
    cr_assert_eq(entry_find(store, &names.list[0], &hit), 1);
    free(names.list);
    store_free(store);
}

Test(index, node_that_is_its_own_child)
{
    struct store *store = store_new(8 * MIB, store_seed());
    struct names names = names_new();
    struct vm_named_hit hit;
    names_grow(store, &names);
    uint8_t *root = store->core.memory + store->map.root;
    struct vm_le64 child = vm_put64(store->map.root);
    struct vm_le16 count = vm_put16(1);
    memcpy(root + offsetof(struct vm_node_media, count), &count, sizeof count);
    memcpy(root + offsetof(struct vm_inner_media, child), &child, sizeof child);
    node_reseal(store, store->map.root);
    cr_assert_eq(entry_find(store, &names.list[0], &hit), -VMFS_R_NODE_DAMAGED);
    struct census census = store_census(store);
    cr_assert_eq(census.bad, 1);
    cr_assert_eq(census.nodes, 1);
    free(names.list);
    store_free(store);
}

/* A split next to a wrong key must not carry it into new heads. */
Test(index, split_beside_a_wrong_key)
{
    struct store *store = store_new(8 * MIB, store_seed());
    struct names names = names_new();
    names_grow(store, &names);
    uint64_t root = store->map.root;
    struct vm_inner_media inner;
    memcpy(&inner, store->core.memory + root, sizeof inner);
    uint32_t last = vm_get16(inner.head.count) - 1u;
    uint64_t limit = vm_get64(inner.key[1]);
    struct vm_le64 wrong = vm_put64(limit);
    memcpy(store->core.memory + root + offsetof(struct vm_inner_media, key) + 8 * (uint64_t)last,
           &wrong, sizeof wrong);
    int result = 0;
    for (uint32_t number = 100000; result == 0; number++) {
        struct entry entry = entry_random(&store->seed, number, 24, 0);
        if (vm_named_key(&store->core.region, entry_name(&entry)) >= limit)
            continue;
        step_begin(store);
        result = vm_named_insert(&store->core.ctx, &store->map, entry_name(&entry), 1, 1,
                                 (struct vm_name){NULL, 0});
        if (result == 0)
            step_commit(store);
    }
    step_abort(store);
    cr_assert_eq(result, -VMFS_R_NODE_DAMAGED);
    cr_assert_eq(store->map.root, root);
    free(names.list);
    store_free(store);
}

/* What a forged entry may get wrong although its hash is right. */
struct forgery {
    const char *what;
    size_t at; /* in the cell */
    uint8_t change;
};

/* The entry has one cell, in the last place of the leaf. */
Test(index, forged_entries)
{
    const struct forgery list[] = {
        {"cells none", offsetof(struct vm_cell_media, cells), 1},
        {"cells beyond the leaf", offsetof(struct vm_cell_media, cells), 3},
        {"cells too many", offsetof(struct vm_cell_media, cells), 1 ^ 17},
        {"no name", offsetof(struct vm_cell_media, name_bytes), 30},
        {"name beyond the cells", offsetof(struct vm_cell_media, name_bytes), 30 ^ 41},
        {"fingerprint", offsetof(struct vm_cell_media, key) + 1, 4},
    };
    struct store *store = store_new(8 * MIB, store_seed());
    struct vm_named_hit hit;
    struct entry entry = {.name_bytes = 30};
    uint64_t number = 0;
    do { /* the key decides about the cell */
        memcpy(entry.name, &number, sizeof number);
        entry.key = vm_named_key(&store->core.region, entry_name(&entry));
        number++;
    } while ((entry.key >> 16 & 0xffff) < 0xffff - 100);
    step_begin(store);
    entry_insert(store, &entry);
    step_commit(store);
    cr_assert_eq(entry_find(store, &entry, &hit), 1);
    cr_assert_eq(hit.cell, VM_CELL_COUNT - 1);
    uint64_t offset = vm_cell_offset(store->map.root, hit.cell);
    for (size_t at = 0; at < sizeof list / sizeof list[0]; at++) {
        uint8_t *cell = store->core.memory + offset;
        uint8_t saved[VM_CELL_BYTES];
        memcpy(saved, cell, sizeof saved);
        cell[list[at].at] ^= list[at].change;
        cell_reseal(store, offset);
        cr_assert_eq(entry_find(store, &entry, &hit), -VMFS_R_SLOT_DAMAGED, "%s", list[at].what);
        memcpy(cell, saved, sizeof saved);
    }
    cr_assert_eq(entry_find(store, &entry, &hit), 1);
    uint64_t none = 0;
    memcpy(store->core.memory + store->map.root + offsetof(struct vm_named_media, bitmap), &none,
           8);
    node_reseal(store, store->map.root);
    cr_assert_eq(entry_find(store, &entry, &hit), -VMFS_R_SLOT_DAMAGED, "cells that are free");
    store_free(store);
}

/* Entries of a full leaf that claim each other's cells are more than a new leaf could hold. */
Test(index, forged_overlap)
{
    struct store *store = store_new(8 * MIB, store_seed());
    struct vm_ctx *ctx = &store->core.ctx;
    struct vm_name none = {NULL, 0};
    for (uint32_t number = 0; number < VM_CELL_COUNT; number++) {
        struct entry entry = entry_random(&store->seed, number, 24, 0);
        step_begin(store);
        cr_assert_eq(vm_named_insert(ctx, &store->map, entry_name(&entry), 1, 1, none), 0);
        step_commit(store);
    }
    uint64_t first = vm_cell_offset(store->map.root, 0);
    store->core.memory[first + offsetof(struct vm_cell_media, cells)] = 2;
    cell_reseal(store, first);
    struct entry entry = entry_random(&store->seed, VM_CELL_COUNT, 24, 0);
    step_begin(store);
    int result = vm_named_insert(ctx, &store->map, entry_name(&entry), 1, 1, none);
    cr_assert_eq(result, -VMFS_R_NODE_DAMAGED, "%d", result);
    step_abort(store);
    store_free(store);
}

/* Two entries with one key would hide one of them from a listing. */
Test(index, forged_twins)
{
    struct store *store = store_new(8 * MIB, store_seed());
    struct vm_named_hit hits[2];
    uint8_t name[VM_NAMED_PAYLOAD_MAX];
    for (uint32_t number = 0; number < 2; number++) {
        struct entry entry = entry_random(&store->seed, number, 24, 0);
        step_begin(store);
        entry_insert(store, &entry);
        step_commit(store);
        cr_assert_eq(entry_find(store, &entry, &hits[number]), 1);
    }
    uint8_t *leaf = store->core.memory + store->map.root;
    uint64_t second = vm_cell_offset(store->map.root, hits[1].cell);
    struct vm_le64 key = vm_put64(hits[0].entry.key);
    memcpy(store->core.memory + second, &key, sizeof key);
    cell_reseal(store, second);
    size_t fp = offsetof(struct vm_named_media, fp);
    leaf[fp + hits[1].cell] = leaf[fp + hits[0].cell];
    node_reseal(store, store->map.root);
    cr_assert_eq(vm_named_next(&store->core.ctx, &store->map, 0, &hits[0], name),
                 -VMFS_R_SLOT_DAMAGED);
    store_free(store);
}

/* Two full leaves and some. */
static void extents_grow(struct store *store, struct node_list *nodes)
{
    for (uint64_t number = 0; number < 250; number++) {
        struct vm_extent extent = extent_random(store, number);
        step_begin(store);
        cr_assert_eq(vm_extents_insert(&store->core.ctx, &store->map, &extent), 0);
        step_commit(store);
    }
    struct vm_map_visitor visitor = {node_collect, no_bad, nodes};
    nodes->count = 0;
    cr_assert_eq(vm_map_walk(&store->core.ctx, &store->map, &visitor), 0);
    cr_assert_eq(nodes->count, 4);
}

struct tally {
    unsigned sound;
    unsigned bad;
};

static int tally_extent(void *arg, const struct vm_extent *extent)
{
    struct tally *tally = arg;
    tally->sound += extent->blocks > 0;
    return 0;
}

static void tally_bad(void *arg, uint64_t offset, int reason)
{
    struct tally *tally = arg;
    cr_assert(offset > 0 && reason == VMFS_R_EXTENT_DAMAGED);
    tally->bad++;
}

/* Moves the extent in a slot of the first leaf to another place of the file. */
static struct tally slot_move(struct store *store, uint64_t leaf, uint64_t slot,
                              uint64_t file_block)
{
    uint64_t offset = leaf + offsetof(struct vm_fixed_media, slots) + slot * 32;
    uint8_t saved[32];
    memcpy(saved, store->core.memory + offset, sizeof saved);
    struct vm_le64 key = vm_put64(file_block);
    memcpy(store->core.memory + offset, &key, sizeof key);
    slot_reseal(store, offset);
    struct tally tally = {0};
    struct vm_extent got;
    cr_assert_eq(vm_extents_each(&store->core.ctx, leaf, tally_extent, tally_bad, &tally), 0);
    if (slot % VM_SEGMENT_SLOTS == 0)
        cr_assert_eq(vm_extents_floor(&store->core.ctx, &store->map, slot * 4, &got),
                     -VMFS_R_EXTENT_DAMAGED);
    memcpy(store->core.memory + offset, saved, sizeof saved);
    return tally;
}

Test(index, forged_slots)
{
    struct store *store = store_new(8 * MIB, store_seed());
    static struct node_list nodes;
    extents_grow(store, &nodes);
    uint64_t leaf = nodes.offsets[1];
    cr_assert_eq(slot_move(store, leaf, 17, 17 * 4).bad, 0);
    cr_assert_eq(slot_move(store, leaf, 111, 150 * 4).bad, 1, "behind the leaf's interval");
    cr_assert_eq(slot_move(store, leaf, 16, 16 * 4 + 1).bad, 1, "not the segment's first key");
    cr_assert_eq(slot_move(store, leaf, 17, 16 * 4).bad, 1, "not after the slot before");
    store_free(store);
}

/* Slots out of order must not get into new leaves. */
Test(index, rewrite_of_unsorted_slots)
{
    struct store *store = store_new(8 * MIB, store_seed());
    static struct node_list nodes;
    extents_grow(store, &nodes);
    uint8_t *slots = store->core.memory + nodes.offsets[1] + offsetof(struct vm_fixed_media, slots);
    uint8_t saved[32];
    memcpy(saved, slots + 40 * 32, 32);
    memmove(slots + 40 * 32, slots + 41 * 32, 32);
    memcpy(slots + 41 * 32, saved, 32);
    struct vm_extent extent = extent_random(store, 3);
    extent.file_block += 2;
    step_begin(store);
    cr_assert_eq(vm_extents_insert(&store->core.ctx, &store->map, &extent), -VMFS_R_NODE_DAMAGED);
    step_abort(store);
    store_free(store);
}

/* A head that counts fewer entries than it has: each found entry may go, but never more than are counted.
 */
Test(index, forged_count)
{
    struct store *store = store_new(8 * MIB, store_seed());
    struct entry entries[3];
    struct vm_named_hit hit;
    for (uint32_t number = 0; number < 3; number++) {
        entries[number] = entry_random(&store->seed, number, 24, 0);
        step_begin(store);
        entry_insert(store, &entries[number]);
        step_commit(store);
    }
    struct vm_node_media head;
    memcpy(&head, store->core.memory + store->map.root, sizeof head);
    head.count = vm_put16(1);
    memcpy(store->core.memory + store->map.root, &head, sizeof head);
    node_reseal(store, store->map.root);
    step_begin(store);
    cr_assert_eq(entry_find(store, &entries[0], &hit), 1);
    cr_assert_eq(vm_named_remove(&store->core.ctx, &store->map, &hit), 0);
    cr_assert_eq(entry_find(store, &entries[1], &hit), 1);
    cr_assert(is_damage(vm_named_remove(&store->core.ctx, &store->map, &hit)));
    step_abort(store);
    store_free(store);
}
