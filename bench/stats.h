/* stats.h -- a growing set of samples and its quantiles */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>

struct samples {
    double *values;
    size_t count;
    size_t capacity;
};

/* Returns 0 or -ENOMEM. */
int samples_add(struct samples *samples, double value);

/* The smallest value that at least the fraction `q` of the samples do not exceed; NAN for none.
 * Sorts the samples. */
double samples_quantile(struct samples *samples, double q);

double samples_mean(const struct samples *samples);

void samples_free(struct samples *samples);

#endif
