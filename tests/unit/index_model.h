/* index_model.h -- a map in a region with its root, and what it should hold, as sorted arrays
 *
 * Asserts with Criterion. VMFS_TEST_SEED replays a random test, which prints it. */
#ifndef TESTS_INDEX_MODEL_H
#define TESTS_INDEX_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core_fixture.h"
#include "index/index.h"
#include "map_walk.h"
#include "seed.h"

#define MIB         ((uint64_t)1 << 20)
#define NAMES_BYTES (96 * MIB)
#define MODEL_MAX   40000u

/* A map whose root lies in the region, as an inode's does. */
struct store {
    struct core core;
    struct vm_map map;
    uint64_t home; /* of the root */
    uint64_t nodes;
    struct seed seed;
};

/* The seed of a random test. */
uint64_t store_seed(void);

struct store *store_new(uint64_t bytes, uint64_t seed);
void store_free(struct store *store);

/* Finds the map again after core_crash() or core_load(). */
void store_recover(struct store *store);

/* A step around changes of the map; committing publishes the root. */
void step_begin(struct store *store);
void step_commit(struct store *store);
void step_abort(struct store *store);

/* Fences of operations, without the checkpoint's. */
uint64_t store_fences(const struct store *store);
uint64_t store_blocks_used(const struct store *store);

struct census {
    uint64_t nodes;
    uint64_t leaves;
    uint64_t entries;
    uint64_t bad;
};

struct census store_census(struct store *store);

struct entry {
    uint8_t name[255];
    uint32_t name_bytes;
    uint32_t payload_bytes;
    uint64_t payload_seed;
    uint64_t value;
    uint64_t key;
    uint8_t type;
};

/* Sorted by key, which the map gives out. */
struct names {
    struct entry *list;
    uint32_t count;
};

struct names names_new(void);
void names_add(struct names *names, const struct entry *entry);

/* A name of 8 to length_max bytes that begins with `number`. */
struct entry entry_random(struct seed *seed, uint64_t number, uint32_t length_max,
                          uint32_t payload_max);
struct vm_name entry_name(const struct entry *entry);
struct vm_name entry_payload(const struct entry *entry, uint8_t *buffer);
int entry_find(struct store *store, const struct entry *entry, struct vm_named_hit *hit);
/* Within a step; sets the key. */
void entry_insert(struct store *store, struct entry *entry);
void entry_compare(const struct entry *entry, const struct vm_named_hit *hit, const uint8_t *name);

/* Inserts, replaces or removes a name, in the map and the model. */
void names_step(struct store *store, struct names *names, uint64_t number, unsigned insert_percent,
                uint32_t length_max);

/* Everything by cookie, everything by name, and the nodes against the totals. */
void names_verify(struct store *store, const struct names *names);

struct extents {
    struct vm_extent *list; /* by file_block */
    uint32_t count;
};

struct extents extents_new(void);
/* How many lie at or below. */
uint32_t extents_upto(const struct extents *extents, uint64_t file_block);
void extents_add(struct extents *extents, struct vm_extent extent);

/* Of four blocks at most, at multiples of four: none overlap. */
struct vm_extent extent_random(struct store *store, uint64_t number);
void extent_compare(const struct vm_extent *got, const struct vm_extent *expected);

/* Inserts, updates or removes an extent below 4 * numbers, in the map and the model. */
void extents_step(struct store *store, struct extents *extents, uint64_t numbers,
                  unsigned insert_percent);

/* Floor and ceiling of one block; of all of them. */
void extents_probe(struct store *store, const struct extents *extents, uint64_t file_block);
void extents_verify(struct store *store, const struct extents *extents, uint64_t span);

#endif
