/* input.h -- an image as a small program: a seed, and what is changed in it
 *
 * Any bytes are an input, so that a fuzzer can do with them what it likes. As text an input is a token
 * that names structures and fields, and means the same when the format grows:
 *     tree:mode=3:script=12f0/inode#3.size[0]add=1/extent#7.place[0]zero! */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "atlas.h"

#define INPUT_MUTATIONS_MAX 8u

/* x(NAME, text) */
#define INPUT_VERBS(x)                                                                             \
    x(ZERO, "zero") x(ONES, "ones") x(BIT, "bit") x(ADD, "add") x(SUB, "sub") x(RANDOM, "random")  \
        x(SWAP, "swap") x(POINT, "point")

enum input_verb {
#define INPUT_VERB_ENUM(NAME, text) INPUT_##NAME,
    INPUT_VERBS(INPUT_VERB_ENUM)
#undef INPUT_VERB_ENUM
        INPUT_VERBS_END
};

extern const char *const input_verb_names[INPUT_VERBS_END];

struct input_mutation {
    uint8_t kind;
    uint8_t field;
    uint8_t verb;
    uint8_t flags; /* INPUT_BROKEN, INPUT_TWIN */
    uint16_t object;
    uint16_t element;
    uint64_t value;
};

#define INPUT_BROKEN 0x1u /* the checksums stay as they were */
#define INPUT_TWIN   0x2u /* of two copies, both change */

#define INPUT_MODE_USE_FIRST 0x01u /* change things before looking at all */
#define INPUT_MODE_READ_ONLY 0x02u
#define INPUT_MODE_PEEK      0x04u
#define INPUT_MODE_DUMP      0x08u
#define INPUT_MODE_REOPEN    0x10u
#define INPUT_MODE_PRIVATE   0x20u /* read-only, with the journal applied to a copy */
#define INPUT_MODE_ALL       0x3fu

/* Exactly these bytes are the binary form; mutations behind `count` are left out. */
struct input {
    uint8_t seed;
    uint8_t mode;
    uint8_t fault; /* enum arena_fault */
    uint8_t count;
    uint16_t nth;
    uint16_t script; /* decides what is done with the region */
    struct input_mutation mutations[INPUT_MUTATIONS_MAX];
};

#define INPUT_HEAD_BYTES  offsetof(struct input, mutations)
#define INPUT_BYTES_MAX   sizeof(struct input)
#define INPUT_TOKEN_BYTES 2048u

/* From any bytes; what is missing is zero, what is too large is brought into its range. */
void input_decode(struct input *input, const void *bytes, size_t len_bytes);
/* Returns the length. */
size_t input_encode(const struct input *input, void *bytes);

void input_print(const struct input *input, char token[INPUT_TOKEN_BYTES]);
/* Null, or the rest of the token that was not understood. */
const char *input_parse(struct input *input, const char *token);

/* Brings kind, field, object and element into the range of what a seed has. False if it has no structure of
 * this kind. */
struct input_target {
    const struct atlas_object *object;
    const struct atlas_field *field;
    uint32_t element;
};

bool input_target(const struct atlas *atlas, const struct input_mutation *mutation,
                  struct input_target *out);

#endif
