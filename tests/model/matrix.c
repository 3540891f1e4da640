/* matrix.c -- the table of endings, and its verification */
#include "matrix.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Which errors an operation of the generator can end with. The rare ones need a long
 * run. */
#define ENDINGS_MAX 20

struct endings {
    enum op_kind kind;
    int errors[ENDINGS_MAX];
    int rare[ENDINGS_MAX];
};

static const struct endings table[] = {
#include "matrix_table.h"
};

void matrix_count(struct matrix *matrix, enum op_kind kind, int64_t code)
{
    int64_t error = code < 0 ? -code : 0;
    if (error < MATRIX_ERRNO_MAX)
        matrix->cells[kind][error]++;
}

uint64_t matrix_total(const struct matrix *matrix)
{
    uint64_t total = 0;
    for (unsigned kind = 0; kind < OP_KIND_COUNT; kind++) {
        for (unsigned error = 0; error < MATRIX_ERRNO_MAX; error++)
            total += matrix->cells[kind][error];
    }
    return total;
}

uint64_t matrix_successes(const struct matrix *matrix)
{
    uint64_t total = 0;
    for (unsigned kind = 0; kind < OP_KIND_COUNT; kind++)
        total += matrix->cells[kind][0];
    return total;
}

void matrix_print(const struct matrix *matrix)
{
    for (unsigned kind = 0; kind < OP_KIND_COUNT; kind++) {
        printf("%-13s ok %llu", op_kind_name((enum op_kind)kind),
               (unsigned long long)matrix->cells[kind][0]);
        for (int error = 1; error < MATRIX_ERRNO_MAX; error++) {
            if (matrix->cells[kind][error] > 0)
                printf("  %s %llu", strerrorname_np(error),
                       (unsigned long long)matrix->cells[kind][error]);
        }
        printf("\n");
    }
}

static bool contains(const int errors[ENDINGS_MAX], int error)
{
    for (unsigned i = 0; i < ENDINGS_MAX && errors[i] != 0; i++) {
        if (errors[i] == error)
            return true;
    }
    return false;
}

/* So a call may end, however seldom: any that takes a path; with a file of too many names, which is seldom open;
 * or with an ACL, of which a change of the mode on a full region has no room to write it anew. */
static bool may_be(enum op_kind kind, int error)
{
    static const int errors[ENDINGS_MAX] = {ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, ESTALE, EPERM};
    bool is_mode = kind == OP_CHMOD || kind == OP_SETATTR || kind == OP_FSETATTR;
    if ((kind == OP_FILE_LINK && error == EMLINK) || (is_mode && error == ENOSPC))
        return true;
    return (!op_is_slot_kind(kind) || kind == OP_FILE_LINK) && contains(errors, error);
}

static unsigned verify_kind(const struct matrix *matrix, const struct endings *endings,
                            bool is_long)
{
    unsigned wrong = 0;
    for (int error = 0; error < MATRIX_ERRNO_MAX; error++) {
        bool is_common = error == 0 || contains(endings->errors, error);
        bool is_rare = contains(endings->rare, error);
        bool is_there = matrix->cells[endings->kind][error] > 0;
        const char *name = error == 0 ? "success" : strerrorname_np(error);
        if (!is_there && (is_common || (is_rare && is_long))) {
            printf("matrix: %s never ended with %s\n", op_kind_name(endings->kind), name);
            wrong++;
        } else if (is_there && !is_common && !is_rare && !may_be(endings->kind, error)) {
            printf("matrix: %s ended with %s, which the table does not have\n",
                   op_kind_name(endings->kind), name);
            wrong++;
        }
    }
    return wrong;
}

unsigned matrix_verify(const struct matrix *matrix, bool is_long)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        wrong += verify_kind(matrix, &table[i], is_long);
    if (sizeof(table) / sizeof(table[0]) != OP_KIND_COUNT) {
        printf("matrix: the table does not have every operation\n");
        wrong++;
    }
    return wrong;
}
