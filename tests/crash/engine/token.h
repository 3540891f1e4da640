/* token.h -- one line that names one state, and brings it back
 *
 *     LABEL/STATE[/STATE[/STATE]]@SEED[,MIB]      STATE = POINT MODEL VECTOR
 *
 * MODEL is l, w or p. VECTOR holds the version of each granule, "." between them, "VxN" for N equal ones,
 * zeros at the end left out; "?" is a granule full of garbage, whose seed then stands before: "gSEED.".
 * The second STATE is of a crash in the recovery of the first. MIB is the size of the region, if not 1. */
#ifndef TESTS_CRASH_ENGINE_TOKEN_H
#define TESTS_CRASH_ENGINE_TOKEN_H

#include <stdio.h>

#include "states.h"

#define TOKEN_LEVELS_MAX 3u
#define TOKEN_LABEL_MAX  96u

struct token {
    char label[TOKEN_LABEL_MAX];
    enum medium_model model;
    uint64_t seed;
    uint64_t region_mib;
    unsigned depth; /* how many states */
    unsigned points[TOKEN_LEVELS_MAX];
    char *vectors[TOKEN_LEVELS_MAX];
};

/* False if it is none. The text is kept, and changed. */
bool token_parse(char *text, struct token *token);

/* Prints one state. `decided` tells which granules hold garbage if `garbage` is not 0. */
void token_print_state(FILE *out, unsigned point, const struct states *states, uint64_t garbage,
                       const uint8_t *decided);

/* Sets the versions of a state as the vector tells; clears `decided` of granules with garbage. Returns
 * false if it does not fit. */
bool token_apply(const char *vector, struct states *states, uint64_t *garbage, uint8_t *decided);

#endif
