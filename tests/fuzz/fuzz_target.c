/* fuzz_target.c -- the same images chosen by libFuzzer, which looks for new paths through the library
 *
 * Built with clang; tests/fuzz/fuzz.sh builds it with coverage and runs it. Its mutator knows what an input
 * is: changes are added, taken away, moved to other fields and verbs, and the numbers in them varied. With
 * FUZZ_GOES_ON=1 in the environment a broken rule is printed and not fatal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive.h"
#include "plan.h"
#include "seed.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int number);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static struct seed_image *images[SEED_COUNT];
static bool goes_on;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    seeds_make(images);
    goes_on = getenv("FUZZ_GOES_ON") != NULL;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input;
    struct drive_result result;
    input_decode(&input, data, size);
    drive(images, &input, &result);
    if (result.broken) {
        char token[INPUT_TOKEN_BYTES];
        input_print(&input, token);
        printf("BROKEN %s: %s\n", result.broken, token);
        fflush(stdout);
        if (!goes_on)
            abort();
    }
    return 0;
}

/* Takes over what a planned image would do: one mutation of it, or all. */
static void borrow(struct input *input, struct seed *seed)
{
    const struct plan plan = {.seed = seed_next(seed), .runs = 1, .images = images};
    struct input other;
    plan_input(&plan, seed_next(seed), &other);
    if (input->count == 0 || seed_chance(seed, 10)) {
        *input = other;
        return;
    }
    uint64_t place = seed_below(seed, INPUT_MUTATIONS_MAX);
    if (place >= input->count)
        place = input->count < INPUT_MUTATIONS_MAX ? input->count++ : 0;
    input->mutations[place] = other.mutations[0];
}

static void vary(struct input *input, struct seed *seed)
{
    struct input_mutation *mutation = &input->mutations[seed_below(seed, input->count)];
    switch (seed_below(seed, 7)) {
    case 0:
        LLVMFuzzerMutate((uint8_t *)&mutation->value, 8, 8);
        break;
    case 1:
        mutation->object = (uint16_t)seed_next(seed);
        break;
    case 2:
        mutation->element = (uint16_t)seed_next(seed);
        break;
    case 3:
        mutation->field = (uint8_t)seed_next(seed);
        break;
    case 4:
        mutation->verb = (uint8_t)seed_next(seed);
        break;
    case 5:
        mutation->flags ^= seed_chance(seed, 30) ? INPUT_BROKEN : INPUT_TWIN;
        break;
    default:
        *mutation = input->mutations[--input->count];
        break;
    }
}

static void vary_head(struct input *input, struct seed *seed)
{
    input->mode ^= (uint8_t)(1u << seed_below(seed, 6));
    if (seed_chance(seed, 50))
        input->script = (uint16_t)seed_next(seed);
    if (seed_chance(seed, 20)) {
        input->fault = (uint8_t)seed_next(seed);
        input->nth = (uint16_t)seed_below(seed, 100);
    }
}

static size_t finish(const struct input *varied, uint8_t *data, size_t max_size)
{
    uint8_t bytes[INPUT_BYTES_MAX];
    struct input input;
    input_decode(&input, varied, sizeof *varied);
    while (input.count && INPUT_HEAD_BYTES + input.count * sizeof input.mutations[0] > max_size)
        input.count--;
    size_t size = input_encode(&input, bytes);
    size = size < max_size ? size : max_size;
    memcpy(data, bytes, size);
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int number)
{
    struct input input;
    struct seed seed;
    seed_init(&seed, number);
    input_decode(&input, data, size);
    uint64_t choice = seed_below(&seed, 10);
    if (choice < 4 || input.count == 0)
        borrow(&input, &seed);
    else if (choice < 8)
        vary(&input, &seed);
    else
        vary_head(&input, &seed);
    return finish(&input, data, max_size);
}
