/* plan.c -- numbers into inputs */
#include "plan.h"

#include <string.h>

#include "arena.h"
#include "seed.h"

uint64_t plan_sweep(const struct plan *plan)
{
    return (uint64_t)atlas_field_count * INPUT_VERBS_END * plan->runs;
}

/* What mending would write again. The check of an attribute's value is not mended. */
static bool is_checksum(const struct atlas_field *field)
{
    return field->kind != ATLAS_xattr &&
           (strncmp(field->name, "hash", 4) == 0 || strcmp(field->name, "check") == 0) &&
           strcmp(field->name, "hash_seed") != 0;
}

static uint64_t any_number(struct seed *seed)
{
    uint64_t shift = seed_below(seed, 64);
    return seed_next(seed) >> shift;
}

static uint64_t choose_value(struct seed *seed, uint8_t verb)
{
    if (verb == INPUT_ADD || verb == INPUT_SUB)
        return seed_chance(seed, 50) ? 1 : any_number(seed);
    if (verb == INPUT_SWAP && seed_chance(seed, 60))
        return seed_below(seed, 1u << 16);
    return verb == INPUT_RANDOM ? any_number(seed) : seed_next(seed);
}

static uint32_t choose_element(struct seed *seed, const struct atlas *atlas,
                               const struct atlas_field *field)
{
    uint64_t count = field->count;
    if (field->kind == ATLAS_bitmap) /* most of a bitmap lies behind the end of the region */
        count = atlas->region_bytes / VM_BLOCK_BYTES / 64 + 2;
    if (count > 8 && seed_chance(seed, 40))
        count = 8;
    return (uint32_t)seed_below(seed, count);
}

static void choose_mutation(const struct plan *plan, struct seed *seed, const struct input *input,
                            unsigned index, uint8_t verb, struct input_mutation *out)
{
    const struct atlas_field *field = &atlas_fields[index];
    const struct atlas *atlas = &plan->images[input->seed]->atlas;
    uint32_t objects = atlas->kind_count[field->kind];
    *out = (struct input_mutation){
        .kind = (uint8_t)field->kind,
        .field = (uint8_t)(index - atlas_first_field(field->kind)),
        .verb = verb,
    };
    out->object = (uint16_t)(objects ? seed_below(seed, objects) : 0);
    out->element = (uint16_t)choose_element(seed, atlas, field);
    out->value = choose_value(seed, verb);
    if (is_checksum(field) || seed_chance(seed, 5))
        out->flags |= INPUT_BROKEN;
    if (seed_chance(seed, 50))
        out->flags |= INPUT_TWIN;
}

static uint8_t choose_mode(struct seed *seed)
{
    static const struct {
        uint8_t flag;
        unsigned percent;
    } modes[] = {
        {INPUT_MODE_USE_FIRST, 40}, {INPUT_MODE_READ_ONLY, 20}, {INPUT_MODE_PEEK, 20},
        {INPUT_MODE_DUMP, 15},      {INPUT_MODE_REOPEN, 40},    {INPUT_MODE_PRIVATE, 10},
    };
    uint8_t mode = 0;
    for (unsigned index = 0; index < sizeof modes / sizeof modes[0]; index++)
        if (seed_chance(seed, modes[index].percent))
            mode |= modes[index].flag;
    return mode;
}

/* A seed that has the structure. */
static uint8_t choose_seed(const struct plan *plan, struct seed *seed, enum atlas_kind kind)
{
    uint64_t chosen = seed_below(seed, SEED_COUNT);
    for (unsigned turn = 0; turn < SEED_COUNT; turn++, chosen = (chosen + 1) % SEED_COUNT)
        if (plan->images[chosen]->atlas.kind_count[kind])
            break;
    return (uint8_t)chosen;
}

void plan_input(const struct plan *plan, uint64_t index, struct input *out)
{
    struct seed seed;
    bool is_sweep = index < plan_sweep(plan);
    seed_init(&seed, seed_mix(plan->seed, index));
    uint64_t number = index / plan->runs;
    unsigned field = (unsigned)(number / INPUT_VERBS_END);
    uint8_t verb = (uint8_t)(number % INPUT_VERBS_END);
    if (!is_sweep) {
        field = (unsigned)seed_below(&seed, atlas_field_count);
        verb = (uint8_t)seed_below(&seed, INPUT_VERBS_END);
    }
    memset(out, 0, sizeof *out);
    out->seed = choose_seed(plan, &seed, atlas_fields[field].kind);
    out->mode = choose_mode(&seed);
    out->script = (uint16_t)seed_next(&seed);
    if (seed_chance(&seed, 3)) {
        out->fault = (uint8_t)(1 + seed_below(&seed, ARENA_FAULT_END - 1));
        out->nth = (uint16_t)(1 + seed_below(&seed, 60));
    }
    choose_mutation(plan, &seed, out, field, verb, &out->mutations[out->count++]);
    uint64_t more = is_sweep ? seed_chance(&seed, 20) : seed_below(&seed, 4);
    while (more--) {
        field = (unsigned)seed_below(&seed, atlas_field_count);
        verb = (uint8_t)seed_below(&seed, INPUT_VERBS_END);
        choose_mutation(plan, &seed, out, field, verb, &out->mutations[out->count++]);
    }
}
