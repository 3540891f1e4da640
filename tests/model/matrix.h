/* matrix.h -- how often each operation ended how, and which endings can be reached */
#ifndef TESTS_MODEL_MATRIX_H
#define TESTS_MODEL_MATRIX_H

#include <stdbool.h>
#include <stdint.h>

#include "op.h"

#define MATRIX_ERRNO_MAX 134

struct matrix {
    uint64_t cells[OP_KIND_COUNT][MATRIX_ERRNO_MAX]; /* by errno, 0 is success */
};

void matrix_count(struct matrix *matrix, enum op_kind kind, int64_t code);
uint64_t matrix_total(const struct matrix *matrix);
uint64_t matrix_successes(const struct matrix *matrix);
void matrix_print(const struct matrix *matrix);

/* Prints each ending that can be reached and was not, and each that was reached and is not in the
 * table; returns how many of both. `is_long`: also those that are rare. */
unsigned matrix_verify(const struct matrix *matrix, bool is_long);

#endif
