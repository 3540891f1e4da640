/* machine.c -- where and how a run was made */
#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "ticks.h"

static void read_cpu_model(char *out, size_t size)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");

    snprintf(out, size, "unknown");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *colon = strchr(line, ':');

        if (colon == NULL || strncmp(line, "model name", 10) != 0)
            continue;
        colon[1 + strcspn(colon + 1, "\n")] = '\0';
        snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (file != NULL)
        fclose(file);
}

static void read_kernel(char *out, size_t size)
{
    struct utsname name;

    if (uname(&name) == 0)
        snprintf(out, size, "%s %s %s", name.sysname, name.release, name.machine);
    else
        snprintf(out, size, "unknown");
}

static void read_date(char *out, size_t size)
{
    time_t now = time(NULL);
    struct tm utc;

    if (gmtime_r(&now, &utc) == NULL || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        out[0] = '\0';
}

int machine_describe(const struct bench_run *run, struct machine *out)
{
    *out = (struct machine){
        .cores = sysconf(_SC_NPROCESSORS_ONLN),
        .clock = ticks_describe(),
        .compiler = __VERSION__,
        .buildtype = BENCH_BUILDTYPE,
        .pmem_force =
            run->env->is_pmem_forced_here ? "1, set by vmfs-bench" : "as found in the environment",
        .region = {.struct_bytes = sizeof(out->region)},
    };
    read_cpu_model(out->cpu, sizeof(out->cpu));
    read_kernel(out->kernel, sizeof(out->kernel));
    read_date(out->date, sizeof(out->date));
    return vmfs_info(run->env->sides[ENV_LIBRARY].vmfs, &out->region);
}

const char *machine_durability(const struct machine *machine)
{
    return machine->region.durability == VMFS_DURABILITY_POWER ? "power" : "process";
}
