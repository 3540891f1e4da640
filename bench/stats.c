/* stats.c -- a growing set of samples and its quantiles */
#include "stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int samples_add(struct samples *samples, double value)
{
    if (samples->count == samples->capacity) {
        size_t capacity = samples->capacity == 0 ? 1024 : samples->capacity * 2;
        double *values = realloc(samples->values, capacity * sizeof(*values));

        if (values == NULL)
            return -ENOMEM;
        samples->values = values;
        samples->capacity = capacity;
    }
    samples->values[samples->count++] = value;
    return 0;
}

static int compare_values(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

double samples_quantile(struct samples *samples, double q)
{
    if (samples->count == 0)
        return (double)NAN;
    qsort(samples->values, samples->count, sizeof(*samples->values), compare_values);
    size_t rank = (size_t)ceil(q * (double)samples->count);

    return samples->values[rank == 0 ? 0 : rank - 1];
}

double samples_mean(const struct samples *samples)
{
    double sum = 0;

    if (samples->count == 0)
        return (double)NAN;
    for (size_t i = 0; i < samples->count; i++)
        sum += samples->values[i];
    return sum / (double)samples->count;
}

void samples_free(struct samples *samples)
{
    free(samples->values);
    *samples = (struct samples){0};
}
