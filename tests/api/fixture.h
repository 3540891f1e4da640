/* fixture.h -- a fresh region for each test, and assertions that show what was returned */
#ifndef TESTS_API_FIXTURE_H
#define TESTS_API_FIXTURE_H

#include <criterion/criterion.h>

#include "region.h"
#include "vmfs.h"

struct fixture {
    char path[REGION_PATH_MAX];
    struct region_log log;
    struct vmfs *fs;
};

/* Formats a region of `bytes` and opens it. */
void fixture_open(struct fixture *fixture, const char *name, uint64_t bytes);

/* Checks the region, closes it and removes its file. */
void fixture_close(struct fixture *fixture);

/* Closes and opens again. */
void fixture_reopen(struct fixture *fixture);

/* Opens a file, which must succeed. */
struct vmfs_file *fixture_file(struct fixture *fixture, const char *path, int flags);

/* Attributes of `path` itself, which must exist. */
struct vmfs_stat fixture_stat(struct fixture *fixture, const char *path);

void expect_code_at(int64_t got, int64_t wanted, const char *call, const char *file, int line);

/* The call returns `wanted`: 0, a count or a negative errno. */
#define expect_code(call, wanted) expect_code_at((call), (wanted), #call, __FILE__, __LINE__)
#define expect_ok(call)           expect_code(call, 0)

#endif
