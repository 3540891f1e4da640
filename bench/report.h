/* report.h -- the results as a table for a person and as JSON for a program */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "fuse.h"
#include "machine.h"
#include "run.h"
#include "scale.h"

struct report {
    const struct bench_run *run;
    struct scale *scale;
    struct fuse *fuse;
    const struct machine *machine;
};

void report_table(FILE *out, const struct report *report);

void report_json(FILE *out, const struct report *report);

#endif
