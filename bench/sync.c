/* sync.c -- changes that survive loss of power on a disk: ours over msync, and the filesystem below
 *
 *     sync FOLDER [--calls N] [--milliseconds N]
 *
 * Both lie in FOLDER, on the disk that is measured. The first table interleaves call by call: ours, the
 * system's calls that promise the same with fsync behind them (of the file, and of the directory where a
 * name has changed), and writes to a file opened with O_DSYNC. Medians. The second table lets 1 to 8 threads
 * create files, each in a directory of its own, ours and the system's in turn. Prints Markdown. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmfs.h"

#define REGION_BYTES ((uint64_t)256 << 20)
#define BLOCK_BYTES  4096u
#define THREADS_MAX  8u
#define ROUNDS       5u
#define CALLS_MAX    100000u

static struct vmfs *fs;
static struct vmfs_file *our_file;
static int their_file;  /* plain, and */
static int their_dsync; /*   with O_DSYNC */
static int their_dir;
static char block[BLOCK_BYTES];
static unsigned calls = 300;
static unsigned milliseconds = 500;

static void must(bool is_good, const char *what)
{
    if (is_good)
        return;
    fprintf(stderr, "sync: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- one call after the other ---- */

static bool create_ours(unsigned i)
{
    char name[32];
    struct vmfs_file *file;
    snprintf(name, sizeof name, "/d/%u", i);
    return vmfs_file_open(fs, name, VMFS_O_CREAT | VMFS_O_WRONLY, 0600, &file) == 0 &&
           vmfs_file_close(file) == 0;
}

static bool create_fsync(unsigned i)
{
    char name[32];
    snprintf(name, sizeof name, "%u", i);
    int fd = openat(their_dir, name, O_CREAT | O_WRONLY, 0600);
    return fd >= 0 && fsync(fd) == 0 && fsync(their_dir) == 0 && close(fd) == 0;
}

static bool rename_ours(unsigned i)
{
    char from[32];
    char to[32];
    snprintf(from, sizeof from, "/d/%u", i);
    snprintf(to, sizeof to, "/d/n%u", i);
    return vmfs_rename(fs, from, to, 0) == 0;
}

static bool rename_fsync(unsigned i)
{
    char from[32];
    char to[32];
    snprintf(from, sizeof from, "%u", i);
    snprintf(to, sizeof to, "n%u", i);
    return renameat(their_dir, from, their_dir, to) == 0 && fsync(their_dir) == 0;
}

static bool unlink_ours(unsigned i)
{
    char name[32];
    snprintf(name, sizeof name, "/d/n%u", i);
    return vmfs_unlink(fs, name) == 0;
}

static bool unlink_fsync(unsigned i)
{
    char name[32];
    snprintf(name, sizeof name, "n%u", i);
    return unlinkat(their_dir, name, 0) == 0 && fsync(their_dir) == 0;
}

static bool write_ours(unsigned i)
{
    return vmfs_file_pwrite(our_file, block, BLOCK_BYTES, (uint64_t)i * BLOCK_BYTES) == BLOCK_BYTES;
}

static bool write_fsync(unsigned i)
{
    return pwrite(their_file, block, BLOCK_BYTES, (off_t)i * BLOCK_BYTES) == BLOCK_BYTES &&
           fsync(their_file) == 0;
}

static bool write_dsync(unsigned i)
{
    return pwrite(their_dsync, block, BLOCK_BYTES, (off_t)i * BLOCK_BYTES) == BLOCK_BYTES;
}

struct row {
    const char *name;
    bool (*run[3])(unsigned i); /* ours, theirs with fsync, theirs with O_DSYNC */
};

/* In this order: each finds what the one before has left. */
static const struct row rows[] = {
    {"create", {create_ours, create_fsync, NULL}},
    {"rename", {rename_ours, rename_fsync, NULL}},
    {"unlink", {unlink_ours, unlink_fsync, NULL}},
    {"append 4 KiB", {write_ours, write_fsync, write_dsync}},
    {"overwrite 4 KiB", {write_ours, write_fsync, write_dsync}},
};

static int compare(const void *a, const void *b)
{
    const uint64_t *first = a;
    const uint64_t *second = b;
    return *first < *second ? -1 : *first > *second;
}

static struct vmfs_info info_now(void)
{
    struct vmfs_info info = {.struct_bytes = sizeof info};
    must(vmfs_info(fs, &info) == 0, "info");
    return info;
}

static void measure_row(const struct row *row)
{
    static uint64_t ns[3][CALLS_MAX];
    struct vmfs_info before = info_now();
    for (unsigned i = 0; i < calls; i++)
        for (unsigned way = 0; way < 3 && row->run[way]; way++) {
            uint64_t start = now_ns();
            must(row->run[way](i), row->name);
            ns[way][i] = now_ns() - start;
        }
    struct vmfs_info after = info_now();
    printf("| %s | %.2f | %.2f ", row->name,
           (double)(after.sync_rounds - before.sync_rounds) / calls,
           (double)(after.sync_calls - before.sync_calls) / calls);
    for (unsigned way = 0; way < 3; way++) {
        qsort(ns[way], calls, sizeof **ns, compare);
        if (row->run[way])
            printf("| %.0f us ", (double)ns[way][calls / 2] / 1000);
        else
            printf("| - ");
    }
    printf("|\n");
    fflush(stdout);
}

/* ---- several threads ---- */

struct worker {
    pthread_t thread;
    unsigned number;
    unsigned made;
    bool is_ours;
    uint64_t stop_ns;
};

static unsigned round_number;

static bool create_in(const struct worker *worker, int dir)
{
    char name[64];
    if (!worker->is_ours) {
        snprintf(name, sizeof name, "r%u-%u", round_number, worker->made);
        int fd = openat(dir, name, O_CREAT | O_WRONLY, 0600);
        return fd >= 0 && fsync(fd) == 0 && close(fd) == 0 && fsync(dir) == 0;
    }
    struct vmfs_file *file;
    snprintf(name, sizeof name, "/t%u/r%u-%u", worker->number, round_number, worker->made);
    return vmfs_file_open(fs, name, VMFS_O_CREAT | VMFS_O_WRONLY, 0600, &file) == 0 &&
           vmfs_file_close(file) == 0;
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;
    char name[32];
    snprintf(name, sizeof name, "t%u", worker->number);
    int dir = openat(their_dir, name, O_RDONLY | O_DIRECTORY);
    must(dir >= 0, name);
    for (; now_ns() < worker->stop_ns; worker->made++)
        must(create_in(worker, dir), "create");
    close(dir);
    return NULL;
}

static double creates_per_s(unsigned threads, bool is_ours)
{
    struct worker workers[THREADS_MAX];
    uint64_t start = now_ns();
    unsigned made = 0;
    round_number++;
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){
            .number = i, .is_ours = is_ours, .stop_ns = start + milliseconds * 1000000ull};
        must(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) == 0, "thread");
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        made += workers[i].made;
    }
    return made * 1e9 / (double)(now_ns() - start);
}

static uint64_t fences_now(void)
{
    struct vmfs_counters counters;
    must(vmfs_counters(fs, VMFS_COUNTERS_HANDLE, &counters) == 0, "counters");
    return counters.fences;
}

static int compare_rates(const void *a, const void *b)
{
    const double *first = a;
    const double *second = b;
    return *first < *second ? -1 : *first > *second;
}

static void measure_threads(unsigned threads)
{
    double rates[2][ROUNDS];
    uint64_t fences = fences_now();
    uint64_t sync_rounds = info_now().sync_rounds;
    for (unsigned turn = 0; turn < ROUNDS; turn++)
        for (unsigned way = 0; way < 2; way++)
            rates[way][turn] = creates_per_s(threads, way == 0);
    for (unsigned way = 0; way < 2; way++)
        qsort(rates[way], ROUNDS, sizeof **rates, compare_rates);
    printf("| %u | %.2f | %.0f/s | %.0f/s |\n", threads,
           (double)(fences_now() - fences) / (double)(info_now().sync_rounds - sync_rounds),
           rates[0][ROUNDS / 2], rates[1][ROUNDS / 2]);
    fflush(stdout);
}

/* ---- frame ---- */

static void set_up(const char *folder)
{
    char path[4096];
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_CREATE | VMFS_FORCE;
    options.region_bytes = REGION_BYTES;
    options.durability = VMFS_DURABILITY_POWER;
    snprintf(path, sizeof path, "%s/region", folder);
    must(vmfs_open(path, &options, &fs) == 0, path);
    must(strcmp(info_now().backend, "sync") == 0, "backend: set PMEM_IS_PMEM_FORCE=0");
    must(vmfs_mkdir(fs, "/d", 0700) == 0, "/d");
    must(vmfs_file_open(fs, "/data", VMFS_O_CREAT | VMFS_O_RDWR, 0600, &our_file) == 0, "/data");
    snprintf(path, sizeof path, "%s/tree", folder);
    must(mkdir(path, 0700) == 0, path);
    their_dir = open(path, O_RDONLY | O_DIRECTORY);
    their_file = openat(their_dir, "data", O_CREAT | O_RDWR, 0600);
    their_dsync = openat(their_dir, "dsync", O_CREAT | O_RDWR | O_DSYNC, 0600);
    must(their_dir >= 0 && their_file >= 0 && their_dsync >= 0, path);
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        snprintf(path, sizeof path, "/t%u", i);
        must(vmfs_mkdir(fs, path, 0700) == 0, path);
        must(mkdirat(their_dir, path + 1, 0700) == 0, path);
    }
    memset(block, 'b', sizeof block);
}

int main(int argc, char **argv)
{
    for (int i = 2; i + 1 < argc; i += 2) {
        unsigned number = (unsigned)strtoul(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--calls") == 0 && number > 0 && number <= CALLS_MAX)
            calls = number;
        else if (strcmp(argv[i], "--milliseconds") == 0)
            milliseconds = number;
    }
    if (argc < 2 || argc % 2) {
        fprintf(stderr, "usage: sync FOLDER [--calls N] [--milliseconds N]\n");
        return 2;
    }
    set_up(argv[1]);
    printf("| call | rounds | msyncs | ours | fsync | O_DSYNC |\n|---|---|---|---|---|---|\n");
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        measure_row(&rows[i]);
    printf("\n| threads that create | fences in a round | ours | fsync |\n|---|---|---|---|\n");
    for (unsigned threads = 1; threads <= THREADS_MAX; threads *= 2)
        measure_threads(threads);
    must(vmfs_file_close(our_file) == 0 && vmfs_close(fs) == 0, "close");
    return 0;
}
