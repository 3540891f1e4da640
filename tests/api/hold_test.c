/* hold_test.c -- a kernel knows a million inodes: what holding them costs
 *
 * hold_test [--inodes N]
 *
 * Makes N files, holds each by listing its directory, holds each once more by its id, takes away the names of
 * some, and lets go of all. Fails where a hold costs more memory or time than it may, where a release of what
 * has a name costs a fence, and where memory or inodes are left. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "region.h"

#define HOLD_BYTES_MAX 80 /* of memory for each inode that is held */
#define HOLD_STATS_MAX 6  /* times what a stat by id takes; a chain of a thousand takes far more */
#define LEFT_BYTES_MAX (1 << 20)
#define UNLINKED_STEP  1000 /* every so many lose their name */

struct run {
    struct vmfs *fs;
    uint64_t dir;
    unsigned count;
    uint64_t *ids;
    uint64_t stat_ns; /* what the same inodes cost that are only looked at */
    int failures;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* the machine may be busy */
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static size_t memory_used(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static uint64_t fences(const struct run *run)
{
    struct vmfs_counters counters = {0};
    return vmfs_counters(run->fs, VMFS_COUNTERS_THREAD, &counters) == 0 ? counters.fences : 0;
}

static void expect(struct run *run, bool is_so, const char *what)
{
    if (is_so)
        return;
    printf("hold_test: %s\n", what);
    run->failures++;
}

static uint64_t report(struct run *run, const char *what, uint64_t start_ns)
{
    uint64_t each_ns = (now_ns() - start_ns) / run->count;
    printf("%s: %llu ns each\n", what, (unsigned long long)each_ns);
    expect(run, run->stat_ns == 0 || each_ns <= HOLD_STATS_MAX * run->stat_ns, "too slow");
    return each_ns;
}

static const char *name_of(unsigned i)
{
    static char name[32];
    snprintf(name, sizeof(name), "file-%u", i);
    return name;
}

static bool make_all(struct run *run)
{
    struct vmfs_stat stat;
    int err = vmfs_mkdir(run->fs, "/dir", 0755);
    if (err == 0)
        err = vmfs_stat(run->fs, "/dir", 0, &stat);
    run->dir = stat.ino;
    for (unsigned i = 0; i < run->count && err == 0; i++)
        err = vmfs_mknod_at(run->fs, vmfs_at(run->dir, name_of(i)), 0644, 0);
    return err == 0;
}

/* The entries as a readdirplus has them: each is held. */
static unsigned hold_by_listing(struct run *run)
{
    struct vmfs_dirent entry;
    struct vmfs_stat stat;
    uint64_t cookie = 0;
    unsigned held = 0;
    while (vmfs_dir_read_at(run->fs, run->dir, cookie, &entry, &stat) == 1) {
        cookie = entry.cookie;
        if (entry.name[0] != '.' && held < run->count)
            run->ids[held++] = entry.ino;
    }
    return held;
}

static void hold_all(struct run *run)
{
    size_t before = memory_used();
    uint64_t start_ns = now_ns();
    expect(run, hold_by_listing(run) == run->count, "not all are held");
    (void)report(run, "listed and held", start_ns);
    size_t bytes = (memory_used() - before) / run->count;
    printf("memory: %zu bytes each\n", bytes);
    expect(run, bytes <= HOLD_BYTES_MAX, "too much memory");
    struct vmfs_stat stat;
    start_ns = now_ns();
    for (unsigned i = 0; i < run->count; i++)
        expect(run, vmfs_stat_at(run->fs, vmfs_at(run->ids[i], ""), 0, &stat) == 0, "stat");
    run->stat_ns = report(run, "looked at", start_ns);
    start_ns = now_ns();
    for (unsigned i = 0; i < run->count; i++)
        expect(run, vmfs_hold(run->fs, run->ids[i]) == 0, "hold");
    (void)report(run, "held once more", start_ns);
}

static void unlink_some(struct run *run)
{
    struct vmfs_stat stat;
    for (unsigned i = 0; i < run->count; i += UNLINKED_STEP)
        expect(run, vmfs_unlink_at(run->fs, vmfs_at(run->dir, name_of(i))) == 0, "unlink");
    for (unsigned i = 0; i < run->count; i += UNLINKED_STEP / 10)
        expect(run, vmfs_stat_at(run->fs, vmfs_at(run->ids[i], ""), 0, &stat) == 0, "stat");
}

/* The first time something stays, so there is neither a fence nor a record. */
static void release_all(struct run *run, uint64_t memory_before)
{
    uint64_t before = fences(run);
    uint64_t start_ns = now_ns();
    for (unsigned i = 0; i < run->count; i++)
        expect(run, vmfs_release(run->fs, run->ids[i], 1) == 0, "release");
    (void)report(run, "released", start_ns);
    expect(run, fences(run) == before, "a release of what is still held costs fences");
    start_ns = now_ns();
    for (unsigned i = 0; i < run->count; i++)
        expect(run, vmfs_release(run->fs, run->ids[i], 1) == 0, "last release");
    (void)report(run, "released for the last time", start_ns);
    uint64_t nameless = (run->count + UNLINKED_STEP - 1) / UNLINKED_STEP;
    expect(run, fences(run) - before <= 4 * nameless, "a release of what has a name costs fences");
    size_t used = memory_used();
    size_t left = used > memory_before ? used - memory_before : 0;
    printf("memory left: %zu bytes\n", left);
    expect(run, left <= LEFT_BYTES_MAX, "memory is not given back");
    struct vmfs_statfs statfs;
    expect(run,
           vmfs_statfs(run->fs, &statfs) == 0 && statfs.inodes_used == 2 + run->count - nameless,
           "inodes are left");
}

int main(int argc, char **argv)
{
    char path[REGION_PATH_MAX];
    struct run run = {.count = 1000000};
    if (argc == 3 && strcmp(argv[1], "--inodes") == 0)
        run.count = (unsigned)strtoul(argv[2], NULL, 0);
    run.ids = calloc(run.count, sizeof(*run.ids));
    region_path(path, "hold_test");
    if (!run.ids || region_format(path, 1024 * REGION_MIB, NULL, &run.fs) != 0)
        return 1;
    expect(&run, make_all(&run), "the files could not be made");
    size_t before = memory_used();
    if (run.failures == 0) {
        hold_all(&run);
        unlink_some(&run);
        release_all(&run, before);
    }
    expect(&run, vmfs_close(run.fs) == 0, "close");
    unlink(path);
    free(run.ids);
    printf("hold_test: %u inodes: %s\n", run.count, run.failures == 0 ? "ok" : "FAILED");
    return run.failures == 0 ? 0 : 1;
}
