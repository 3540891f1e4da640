/* scale.h -- rows that compare two sizes or two arrangements of the library itself
 *
 * A row here has no floor of bare memory: its `base` is the other arrangement, measured in turn with
 * it, and x floor is the ratio of the two medians. Each group makes regions of its own.
 *   open     a region of ten files against one of `count`, closed or killed
 *   threads  one thread against two in directories of their own, or both in one
 *   names    `count` random names over directories of ten against the same names in one directory */
#ifndef BENCH_SCALE_H
#define BENCH_SCALE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "env.h"
#include "run.h"
#include "stats.h"

#define SCALE_COUNT_FULL  1000000u
#define SCALE_COUNT_QUICK 20000u
#define SCALE_COUNT_LONG  10000000u
#define SCALE_COUNT_MIN   1000u
#define SCALE_COUNT_MAX   100000000u

enum scale_row_id {
    SCALE_OPEN_10,
    SCALE_OPEN_1M,
    SCALE_OPEN_10_KILLED,
    SCALE_OPEN_1M_KILLED,
    SCALE_CREATE_1T,
    SCALE_CREATE_2T,
    SCALE_CREATE_2T_ONE_DIR,
    SCALE_STAT_1T,
    SCALE_STAT_2T,
    SCALE_UNLINK_1T,
    SCALE_UNLINK_2T,
    SCALE_CREATE_SPREAD,
    SCALE_CREATE_DIR,
    SCALE_STAT_SPREAD,
    SCALE_STAT_DIR,
    SCALE_UNLINK_SPREAD,
    SCALE_UNLINK_DIR,
    SCALE_ROWS_COUNT,
};

struct scale_row {
    const char *name;
    const char *summary;
    enum scale_row_id base; /* itself: nothing to compare with */
};

extern const struct scale_row scale_rows[SCALE_ROWS_COUNT];

struct scale_samples {
    uint64_t calls;
    struct samples ns; /* per call */
    struct samples singles;
    struct samples fences;
    uint64_t counted; /* calls that lines and shared are the sums of */
    uint64_t lines;
    uint64_t shared;
};

struct scale {
    const struct bench_env *env;
    const char *filter;
    volatile sig_atomic_t *stop;
    uint64_t seed;
    uint64_t count; /* what "1m" stands for */
    bool is_quick;
    double tick_ns;
    struct scale_samples rows[SCALE_ROWS_COUNT];
};

bool scale_is_selected(const struct scale *scale, enum scale_row_id row);
bool scale_has_rows(const char *filter);

/* Measures the groups of the selected rows. Prints why it fails; 0 or -errno. scale_free() is due in
 * both cases. */
int scale_measure(struct scale *scale);
void scale_free(struct scale *scale);

void scale_result(struct scale *scale, enum scale_row_id row, struct row_result *out);

/* For the groups. */
int scale_failure(const char *what, int err);
int scale_add(struct scale_samples *row, double ns, uint64_t calls);
int scale_add_counts(struct scale_samples *row, const struct vmfs_counters *before,
                     const struct vmfs_counters *after, uint64_t calls);

/* A formatted region in memory that is touched already and that nobody else can see. */
struct scale_region {
    void *base;
    size_t length_bytes;
    struct vmfs *fs;
};

int scale_region_open(const struct scale *scale, struct scale_region *region, size_t length_bytes);
int scale_region_close(struct scale_region *region);

int scale_open_group(struct scale *scale);
int scale_threads_group(struct scale *scale);
int scale_names_group(struct scale *scale);

#endif
