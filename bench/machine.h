/* machine.h -- where and how a run was made, for its report */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdbool.h>

#include "run.h"
#include "vmfs.h"

struct machine {
    char cpu[128];
    char kernel[256];
    char date[32]; /* UTC, ISO 8601 */
    long cores;
    const char *clock;
    const char *compiler;
    const char *buildtype;
    const char *pmem_force; /* who set PMEM_IS_PMEM_FORCE, and to what effect */
    struct vmfs_info region;
};

/* Returns what vmfs_info() returned. */
int machine_describe(const struct bench_run *run, struct machine *out);

/* "power" or "process". Static. */
const char *machine_durability(const struct machine *machine);

#endif
