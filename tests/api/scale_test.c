/* scale_test.c -- opening a region costs the same for ten files and for a million
 *
 * scale_test [--files N]
 *
 * Makes one region with ten files and one with N, and opens both, closed and after their owner was
 * killed: the same fences, and at most 1.5 times the time. Walking all N files may not grow the
 * process's own memory by more than 1 MiB. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "region.h"

#define FEW_FILES      10
#define FILES_PER_DIR  1000
#define RATIO_MAX      1.5
#define ATTEMPTS       5
#define OPENS          15
#define GROWTH_MAX_KIB 1024

struct cost {
    uint64_t fences;
    uint64_t lines;
    uint64_t ns;
};

static void __attribute__((noreturn)) give_up(const char *what, int err)
{
    printf("scale_test: %s: %d\n", what, err);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void make_files(struct vmfs *fs, uint64_t files)
{
    char path[64];
    for (uint64_t i = 0; i < files; i++) {
        unsigned dir = (unsigned)(i / FILES_PER_DIR);
        snprintf(path, sizeof(path), "/d%u", dir);
        int err = i % FILES_PER_DIR == 0 ? vmfs_mkdir(fs, path, 0755) : 0;
        snprintf(path, sizeof(path), "/d%u/file-%u", dir, (unsigned)(i % FILES_PER_DIR));
        if (err == 0)
            err = vmfs_mknod(fs, path, 0644, 0);
        if (err != 0)
            give_up("creating a file", err);
    }
}

static void make_region(const char *path, uint64_t bytes, uint64_t files)
{
    struct vmfs *fs;
    int err = region_format(path, bytes, NULL, &fs);
    if (err != 0)
        give_up("format", err);
    make_files(fs, files);
    err = vmfs_close(fs);
    if (err != 0)
        give_up("close", err);
}

/* A child opens the region, changes one file a few times, and dies; the changes cancel out. */
static void leave_unclean(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct vmfs *fs;
        if (region_open(path, 0, NULL, &fs) != 0)
            _exit(1);
        for (uint32_t i = 0; i < 200; i++) {
            if (vmfs_chmod(fs, "/d0/file-1", 0600 + i % 8) != 0)
                _exit(1);
        }
        raise(SIGKILL);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (!WIFSIGNALED(status))
        give_up("the child that is killed", status);
}

static int order_costs(const void *a, const void *b)
{
    uint64_t x = ((const struct cost *)a)->ns;
    uint64_t y = ((const struct cost *)b)->ns;
    return (x > y) - (x < y);
}

static struct cost open_once(const char *path)
{
    struct vmfs *fs;
    struct vmfs_counters counters;
    struct cost cost;
    uint64_t start = now_ns();
    int err = region_open(path, 0, NULL, &fs);
    cost.ns = now_ns() - start;
    if (err == 0)
        err = vmfs_counters(fs, VMFS_COUNTERS_OPEN, &counters);
    if (err != 0)
        give_up("open", err);
    cost.fences = counters.fences;
    cost.lines = counters.lines;
    err = vmfs_close(fs);
    if (err != 0)
        give_up("close", err);
    return cost;
}

/* The median of some openings of each region, taken in turn. */
static void measure(const char *const paths[2], bool is_unclean, struct cost medians[2])
{
    static struct cost costs[2][OPENS];
    for (unsigned i = 0; i < OPENS; i++) {
        for (unsigned which = 0; which < 2; which++) {
            if (is_unclean)
                leave_unclean(paths[which]);
            costs[which][i] = open_once(paths[which]);
        }
    }
    for (unsigned which = 0; which < 2; which++) {
        qsort(costs[which], OPENS, sizeof(struct cost), order_costs);
        medians[which] = costs[which][OPENS / 2];
    }
}

static bool compare_costs(const char *const paths[2], bool is_unclean, uint64_t files)
{
    struct cost medians[2];
    const char *how = is_unclean ? "after a kill" : "clean";
    for (unsigned attempt = 1; attempt <= ATTEMPTS; attempt++) {
        measure(paths, is_unclean, medians);
        double ratio = (double)medians[1].ns / (double)medians[0].ns;
        printf("open %s: %d files %llu fences %llu lines %llu ns; %llu files %llu fences %llu "
               "lines %llu ns; ratio %.2f\n",
               how, FEW_FILES, (unsigned long long)medians[0].fences,
               (unsigned long long)medians[0].lines, (unsigned long long)medians[0].ns,
               (unsigned long long)files, (unsigned long long)medians[1].fences,
               (unsigned long long)medians[1].lines, (unsigned long long)medians[1].ns, ratio);
        if (medians[0].fences != medians[1].fences) {
            printf("scale_test: the number of files changes the fences of an open\n");
            return false;
        }
        if (ratio <= RATIO_MAX)
            return true;
    }
    printf("scale_test: the larger region opens too slowly\n");
    return false;
}

static long own_memory_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && kib < 0 && fgets(line, sizeof(line), status) != NULL)
        sscanf(line, "RssAnon: %ld kB", &kib);
    if (status != NULL)
        fclose(status);
    return kib;
}

static uint64_t walk_dir(struct vmfs *fs, const char *path, bool has_dirs)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    struct vmfs_stat stat;
    char child[VMFS_NAME_MAX + 64];
    uint64_t files = 0;
    if (vmfs_dir_open(fs, path, &dir) != 0)
        return 0;
    while (vmfs_dir_read(dir, &entry) == 1) {
        if (entry.name[0] == '.')
            continue;
        snprintf(child, sizeof(child), "%.60s/%s", path[1] != '\0' ? path : "", entry.name);
        files += has_dirs ? walk_dir(fs, child, false) : vmfs_stat(fs, child, 0, &stat) == 0;
    }
    vmfs_dir_close(dir);
    return files;
}

static bool walk_all(const char *path, uint64_t files)
{
    struct vmfs *fs;
    int err = region_open(path, 0, NULL, &fs);
    if (err != 0)
        give_up("open", err);
    walk_dir(fs, "/d0", false);
    long before = own_memory_kib();
    uint64_t walked = walk_dir(fs, "/", true);
    long growth = own_memory_kib() - before;
    vmfs_close(fs);
    printf("walked %llu files, own memory grew by %ld KiB\n", (unsigned long long)walked, growth);
    return walked == files && before > 0 && growth <= GROWTH_MAX_KIB;
}

int main(int argc, char **argv)
{
    region_force_pmem(argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    uint64_t files = 200000;
    if (argc == 3 && strcmp(argv[1], "--files") == 0) {
        files = strtoull(argv[2], NULL, 0);
    } else if (argc != 1) {
        fprintf(stderr, "usage: scale_test [--files N]\n");
        return 2;
    }
    char few[REGION_PATH_MAX];
    char many[REGION_PATH_MAX];
    region_path(few, "scale-few");
    region_path(many, "scale-many");
    uint64_t bytes = (64 + files * 1200 / REGION_MIB) * REGION_MIB;
    make_region(few, bytes, FEW_FILES);
    make_region(many, bytes, files);
    const char *const paths[2] = {few, many};
    bool is_good = compare_costs(paths, false, files);
    is_good = compare_costs(paths, true, files) && is_good;
    is_good = walk_all(many, files) && is_good;
    unlink(few);
    unlink(many);
    printf("scale_test: %s\n", is_good ? "passed" : "FAILED");
    return is_good ? 0 : 1;
}
