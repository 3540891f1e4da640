/* stress_ops_test.c -- threads whose operations keep something true that each of them can see
 *
 * stress_ops_test [--seconds S] [--seed N] [--threads T]
 *
 * Every thread draws among these, all at once on one region, and looks whether it still holds:
 *   atomic writes     a block of one file is whole: one writer's, or zeros
 *   appends           a thread finds its own records again, in order, none missing
 *   ranges            collapse, insert, punch and zero move or clear whole blocks, never parts
 *   nameless files    a name that a nameless file gets has all of its content at once
 *   listings          names that stay are seen exactly once while others come and go
 *   exchange          both of two names always exist
 *   moves             directories move among each other, and never below themselves
 *   attributes        a value that is replaced is the old one or the new one
 * and syncs, statfs and counters between them. A second region is filled until nothing fits. At the end
 * vmfs_check() finds nothing and the filled region, emptied, has all of its space again. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "region.h"
#include "seed.h"

#define THREADS_MAX  16
#define BLOCK        4096
#define ATOMIC_BYTES (4 * BLOCK)
#define ATOMIC_SLOTS 4
#define RANGE_BLOCKS 24
#define STAYING      300
#define MOVING       6
#define APPENDS_MAX  20000

struct stress {
    struct vmfs *fs;
    struct vmfs *full;
    struct vmfs_file *atomic;
    struct vmfs_file *range;
    struct vmfs_file *append;
    uint64_t seed;
    _Atomic bool is_over;
    _Atomic bool is_failed;
};

struct worker {
    struct stress *stress;
    pthread_t thread;
    unsigned number;
    uint64_t calls;
    uint64_t appended;
    struct seed seed;
};

static void fail(struct worker *worker, const char *what, int64_t code)
{
    if (!atomic_exchange(&worker->stress->is_failed, true))
        printf("stress_ops_test: thread %u: %s: %lld\n", worker->number, what, (long long)code);
}

/* True if the call succeeded; an error must be one of the two that may be met. */
static bool succeeded(struct worker *worker, const char *what, int64_t code, int may, int or_may)
{
    worker->calls++;
    if (code < 0 && code != -may && code != -or_may)
        fail(worker, what, code);
    return code >= 0;
}

/* ------------------------------------------------------------------------------ whole blocks --- */

static void fill_stamp(uint64_t *words, size_t bytes, uint64_t stamp)
{
    for (size_t i = 0; i < bytes / 8; i++)
        words[i] = stamp;
}

static bool is_one_stamp(const uint64_t *words, size_t bytes)
{
    for (size_t i = 1; i < bytes / 8; i++) {
        if (words[i] != words[0])
            return false;
    }
    return true;
}

static uint64_t draw_stamp(struct worker *worker)
{
    return seed_next(&worker->seed) | 1;
}

static void use_atomic(struct worker *worker)
{
    uint64_t words[ATOMIC_BYTES / 8];
    struct vmfs_file *file = worker->stress->atomic;
    uint64_t offset = ATOMIC_BYTES * seed_below(&worker->seed, ATOMIC_SLOTS);
    if (seed_chance(&worker->seed, 40)) {
        fill_stamp(words, sizeof(words), draw_stamp(worker));
        int64_t written = vmfs_file_pwrite(file, words, sizeof(words), offset);
        if (succeeded(worker, "atomic write", written, ENOSPC, 0) &&
            written != (int64_t)sizeof(words))
            fail(worker, "an atomic write was short", written);
        return;
    }
    int64_t got = vmfs_file_pread(file, words, sizeof(words), offset);
    if (succeeded(worker, "read", got, 0, 0) && got == (int64_t)sizeof(words) &&
        !is_one_stamp(words, sizeof(words)))
        fail(worker, "an atomic write was seen in part at", (int64_t)offset);
}

/* Every block of the file is one stamp or zeros, whatever moves it. */
static void use_range(struct worker *worker)
{
    uint64_t words[BLOCK / 8];
    struct vmfs_file *file = worker->stress->range;
    uint64_t block = seed_below(&worker->seed, RANGE_BLOCKS);
    uint64_t count = 1 + seed_below(&worker->seed, 3);
    static const int modes[] = {VMFS_ALLOC_COLLAPSE, VMFS_ALLOC_INSERT, VMFS_ALLOC_KEEP_SIZE,
                                VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE,
                                VMFS_ALLOC_ZERO | VMFS_ALLOC_KEEP_SIZE};
    uint64_t form = seed_below(&worker->seed, 10);
    if (form < 3) {
        int mode = modes[seed_below(&worker->seed, 5)];
        succeeded(worker, "allocate", vmfs_file_allocate(file, mode, block * BLOCK, count * BLOCK),
                  EINVAL, ENOSPC);
    } else if (form < 6) {
        fill_stamp(words, sizeof(words), draw_stamp(worker));
        succeeded(worker, "write", vmfs_file_pwrite(file, words, sizeof(words), block * BLOCK),
                  ENOSPC, 0);
    } else if (form == 6) {
        succeeded(worker, "truncate", vmfs_file_truncate(file, RANGE_BLOCKS * BLOCK), ENOSPC, 0);
    } else {
        int64_t got = vmfs_file_pread(file, words, sizeof(words), block * BLOCK);
        if (succeeded(worker, "read", got, 0, 0) && got > 0 && !is_one_stamp(words, (size_t)got))
            fail(worker, "a block is mixed", (int64_t)block);
    }
}

/* ---------------------------------------------------------------------------------- appends --- */

struct record {
    uint64_t thread;
    uint64_t number;
    uint64_t check[6];
};

static void use_append(struct worker *worker)
{
    struct record record = {.thread = worker->number, .number = worker->appended};
    if (worker->appended == APPENDS_MAX)
        return;
    fill_stamp(record.check, sizeof(record.check), seed_mix(record.thread, record.number));
    struct vmfs_iovec pieces[2] = {{&record, 16}, {record.check, sizeof(record.check)}};
    int64_t written = vmfs_file_pwritev(worker->stress->append, pieces, 2, 0);
    if (succeeded(worker, "append", written, ENOSPC, 0)) {
        worker->appended++;
        if (written != (int64_t)sizeof(record))
            fail(worker, "an append was short", written);
    }
}

static void verify_appends(struct stress *stress, struct worker *workers, unsigned threads)
{
    uint64_t next[THREADS_MAX] = {0};
    struct record record;
    for (uint64_t at = 0; vmfs_file_pread(stress->append, &record, sizeof(record), at) > 0;
         at += sizeof(record)) {
        bool is_good = record.thread < threads && record.number == next[record.thread] &&
                       is_one_stamp(record.check, sizeof(record.check)) &&
                       record.check[0] == seed_mix(record.thread, record.number);
        if (!is_good) {
            fail(&workers[0], "a record is missing or wrong at", (int64_t)at);
            return;
        }
        next[record.thread]++;
    }
    for (unsigned i = 0; i < threads; i++) {
        if (next[i] != workers[i].appended)
            fail(&workers[i], "records are missing after", (int64_t)next[i]);
    }
}

/* ------------------------------------------------------------------------------------ names --- */

static void use_nameless(struct worker *worker)
{
    uint64_t words[2 * BLOCK / 8];
    char path[32];
    struct vmfs *fs = worker->stress->fs;
    struct vmfs_file *file;
    snprintf(path, sizeof(path), "/names/t%u", (unsigned)seed_below(&worker->seed, 8));
    uint64_t form = seed_below(&worker->seed, 4);
    if (form == 0) {
        succeeded(worker, "unlink", vmfs_unlink(fs, path), ENOENT, 0);
    } else if (form == 1) {
        int err = vmfs_file_open(fs, "/names", VMFS_O_TMPFILE | VMFS_O_RDWR, 0644, &file);
        if (!succeeded(worker, "tmpfile", err, ENOSPC, 0))
            return;
        fill_stamp(words, sizeof(words), draw_stamp(worker));
        bool is_whole = vmfs_file_pwrite(file, words, sizeof(words), 0) == (int64_t)sizeof(words);
        if (is_whole)
            succeeded(worker, "link", vmfs_file_link(file, vmfs_at(0, path)), EEXIST, ENOSPC);
        vmfs_file_close(file);
    } else {
        int err = vmfs_file_open(fs, path, VMFS_O_RDONLY, 0, &file);
        if (!succeeded(worker, "open", err, ENOENT, 0))
            return;
        int64_t got = vmfs_file_pread(file, words, sizeof(words), 0);
        if (got != (int64_t)sizeof(words) || !is_one_stamp(words, sizeof(words)))
            fail(worker, "a name had half a file", got);
        vmfs_file_close(file);
    }
}

/* Takes note of a name that stays; false if it was seen before. */
static bool note_staying(const char *name, bool seen[STAYING])
{
    unsigned number = (unsigned)strtoul(name + 1, NULL, 10);
    if (name[0] != 's' || number >= STAYING)
        return true;
    bool was_seen = seen[number];
    seen[number] = true;
    return !was_seen;
}

static void list_staying(struct worker *worker)
{
    bool seen[STAYING] = {false};
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    int err = vmfs_dir_open(worker->stress->fs, "/list", &dir);
    if (!succeeded(worker, "dir_open", err, 0, 0))
        return;
    while ((err = vmfs_dir_read(dir, &entry)) == 1) {
        if (!note_staying(entry.name, seen))
            fail(worker, "a name was listed twice", 0);
    }
    for (unsigned i = 0; i < STAYING; i++) {
        if (!seen[i])
            fail(worker, "a name was not listed", i);
    }
    succeeded(worker, "dir_read", err, 0, 0);
    vmfs_dir_close(dir);
}

static void use_listing(struct worker *worker)
{
    struct vmfs *fs = worker->stress->fs;
    char path[32];
    if (seed_chance(&worker->seed, 5)) {
        list_staying(worker);
        return;
    }
    snprintf(path, sizeof(path), "/list/c%u", (unsigned)seed_below(&worker->seed, 2000));
    if (seed_chance(&worker->seed, 50))
        succeeded(worker, "mknod", vmfs_mknod(fs, path, 0644, 0), EEXIST, ENOSPC);
    else
        succeeded(worker, "unlink", vmfs_unlink(fs, path), ENOENT, 0);
}

static void use_exchange(struct worker *worker)
{
    struct vmfs *fs = worker->stress->fs;
    struct vmfs_stat stat;
    if (seed_chance(&worker->seed, 50))
        succeeded(worker, "exchange", vmfs_rename(fs, "/swap/a", "/swap2/b", VMFS_RENAME_EXCHANGE),
                  0, 0);
    else
        succeeded(worker, "stat",
                  vmfs_stat(fs, seed_chance(&worker->seed, 50) ? "/swap/a" : "/swap2/b",
                            VMFS_NOFOLLOW, &stat),
                  0, 0);
}

static void draw_moving(struct worker *worker, char path[64])
{
    int used = snprintf(path, 64, "/moving");
    for (uint64_t i = seed_below(&worker->seed, 3) + 1; i > 0; i--)
        used += snprintf(path + used, 64 - (size_t)used, "/m%u",
                         (unsigned)seed_below(&worker->seed, MOVING));
}

static void use_moves(struct worker *worker)
{
    struct vmfs *fs = worker->stress->fs;
    struct vmfs_stat stat;
    char from[64];
    char to[64];
    draw_moving(worker, from);
    draw_moving(worker, to);
    if (seed_chance(&worker->seed, 30)) {
        succeeded(worker, "stat", vmfs_stat(fs, from, 0, &stat), ENOENT, 0);
        return;
    }
    uint32_t flags = seed_chance(&worker->seed, 40) ? VMFS_RENAME_EXCHANGE : VMFS_RENAME_NOREPLACE;
    int err = vmfs_rename(fs, from, to, flags);
    if (err != -EEXIST)
        succeeded(worker, "rename", err, ENOENT, EINVAL);
}

static void use_attributes(struct worker *worker)
{
    struct vmfs *fs = worker->stress->fs;
    uint64_t words[900 / 8];
    struct vmfs_stat stat;
    if (seed_chance(&worker->seed, 40)) {
        size_t bytes = 8 * (1 + (size_t)seed_below(&worker->seed, sizeof(words) / 8));
        fill_stamp(words, bytes, draw_stamp(worker));
        succeeded(worker, "xattr_set", vmfs_xattr_set(fs, "/swap", 0, "user.v", words, bytes),
                  ENOSPC, 0);
    } else if (seed_chance(&worker->seed, 20)) {
        succeeded(worker, "stat", vmfs_stat(fs, "/swap", 0, &stat), 0, 0);
    } else {
        int64_t got = vmfs_xattr_get(fs, "/swap", 0, "user.v", words, sizeof(words));
        if (succeeded(worker, "xattr_get", got, ENODATA, 0) &&
            (got % 8 != 0 || !is_one_stamp(words, (size_t)got)))
            fail(worker, "a value is mixed", got);
    }
}

/* ------------------------------------------------------------------------- the region at large --- */

static void use_region(struct worker *worker)
{
    struct vmfs *fs = worker->stress->fs;
    struct vmfs_statfs statfs;
    struct vmfs_counters counters;
    if (seed_chance(&worker->seed, 10))
        succeeded(worker, "sync", vmfs_sync(fs), 0, 0);
    if (succeeded(worker, "statfs", vmfs_statfs(fs, &statfs), 0, 0) &&
        statfs.blocks_free > statfs.blocks_total)
        fail(worker, "more blocks are free than there are", (int64_t)statfs.blocks_free);
    succeeded(worker, "counters", vmfs_counters(fs, VMFS_COUNTERS_HANDLE, &counters), 0, 0);
}

/* Fills a small region from all threads; what is refused is refused for want of space. */
static void use_full(struct worker *worker)
{
    static const uint8_t bytes[64 * 1024];
    struct vmfs *fs = worker->stress->full;
    struct vmfs_file *file;
    char path[32];
    snprintf(path, sizeof(path), "/f%u", (unsigned)seed_below(&worker->seed, 64));
    if (seed_chance(&worker->seed, 40)) {
        succeeded(worker, "unlink in a full region", vmfs_unlink(fs, path), ENOENT, 0);
        return;
    }
    int err = vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file);
    if (!succeeded(worker, "create in a full region", err, ENOSPC, 0))
        return;
    uint64_t offset = BLOCK * seed_below(&worker->seed, 64);
    succeeded(worker, "write in a full region",
              vmfs_file_pwrite(file, bytes, 1 + seed_below(&worker->seed, sizeof(bytes)), offset),
              ENOSPC, 0);
    vmfs_file_close(file);
}

static void *run_worker(void *arg)
{
    static void (*const uses[])(struct worker *) = {
        use_atomic,   use_range, use_append,     use_nameless, use_listing,
        use_exchange, use_moves, use_attributes, use_full,     use_listing,
    };
    struct worker *worker = arg;
    seed_init(&worker->seed, seed_mix(worker->stress->seed, worker->number));
    while (!atomic_load(&worker->stress->is_over) && !atomic_load(&worker->stress->is_failed)) {
        uint64_t drawn = seed_below(&worker->seed, 1000);
        if (drawn == 0)
            use_region(worker);
        else
            uses[drawn % (sizeof(uses) / sizeof(uses[0]))](worker);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------ frame --- */

static int make_tree(struct stress *stress)
{
    static const char *const dirs[] = {"/names", "/list", "/swap", "/swap2", "/moving"};
    struct vmfs *fs = stress->fs;
    char path[32];
    int err = 0;
    for (unsigned i = 0; i < 5 && err == 0; i++)
        err = vmfs_mkdir(fs, dirs[i], 0755);
    for (unsigned i = 0; i < STAYING && err == 0; i++) {
        snprintf(path, sizeof(path), "/list/s%u", i);
        err = vmfs_mknod(fs, path, 0644, 0);
    }
    for (unsigned i = 0; i < MOVING && err == 0; i++) {
        snprintf(path, sizeof(path), "/moving/m%u", i);
        err = vmfs_mkdir(fs, path, 0755);
    }
    if (err == 0)
        err = vmfs_mkdir(fs, "/swap/a", 0755);
    if (err == 0)
        err = region_put_file(fs, "/swap2/b", 100, 1);
    int flags = VMFS_O_CREAT | VMFS_O_RDWR;
    if (err == 0)
        err = vmfs_file_open(fs, "/atomic", flags | VMFS_O_ATOMIC, 0644, &stress->atomic);
    if (err == 0)
        err = vmfs_file_open(fs, "/range", flags | VMFS_O_ATOMIC, 0644, &stress->range);
    if (err == 0)
        err = vmfs_file_open(fs, "/append", flags | VMFS_O_APPEND, 0644, &stress->append);
    return err != 0 ? err : vmfs_file_truncate(stress->range, RANGE_BLOCKS * BLOCK);
}

static uint64_t run_threads(struct stress *stress, struct worker *workers, unsigned threads,
                            unsigned seconds)
{
    uint64_t calls = 0;
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){.stress = stress, .number = i};
        if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < seconds * 10 && !atomic_load(&stress->is_failed); i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    atomic_store(&stress->is_over, true);
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        calls += workers[i].calls;
    }
    return calls;
}

/* The filled region, emptied, has as many blocks free as before. */
static void verify_space(struct stress *stress, struct worker *worker, uint64_t free_before)
{
    struct vmfs_statfs statfs;
    char path[32];
    for (unsigned i = 0; i < 64; i++) {
        snprintf(path, sizeof(path), "/f%u", i);
        succeeded(worker, "unlink at the end", vmfs_unlink(stress->full, path), ENOENT, 0);
    }
    int64_t problems = region_check(stress->full);
    if (problems != 0)
        fail(worker, "problems in the filled region", problems);
    if (vmfs_statfs(stress->full, &statfs) != 0 || statfs.blocks_free + 8 < free_before)
        fail(worker, "blocks are lost", (int64_t)(free_before - statfs.blocks_free));
}

/* Makes the names of the filled region once, so that inodes and nodes for them have their blocks. */
static int warm_up(struct vmfs *fs)
{
    char path[32];
    int err = 0;
    for (unsigned i = 0; i < 128 && err == 0; i++) {
        snprintf(path, sizeof(path), "/f%u", i % 64);
        err = i < 64 ? vmfs_mknod(fs, path, 0644, 0) : vmfs_unlink(fs, path);
    }
    return err;
}

static int open_regions(struct stress *stress, const char *path, const char *full_path)
{
    int err = region_format(path, 64 * REGION_MIB, NULL, &stress->fs);
    if (err == 0)
        err = region_format(full_path, 4 * REGION_MIB, NULL, &stress->full);
    if (err == 0)
        err = warm_up(stress->full);
    return err != 0 ? err : make_tree(stress);
}

static void parse_options(int argc, char **argv, uint64_t *seed, unsigned *seconds,
                          unsigned *threads)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--seconds") == 0)
            *seconds = (unsigned)number;
        else if (strcmp(argv[i], "--seed") == 0)
            *seed = number;
        else if (strcmp(argv[i], "--threads") == 0 && number >= 1 && number <= THREADS_MAX)
            *threads = (unsigned)number;
    }
}

static void close_all(struct stress *stress, struct worker *worker)
{
    vmfs_file_close(stress->atomic);
    vmfs_file_close(stress->range);
    vmfs_file_close(stress->append);
    int64_t problems = region_check(stress->fs);
    if (problems != 0)
        fail(worker, "problems at the end", problems);
    succeeded(worker, "close", vmfs_close(stress->fs), 0, 0);
    succeeded(worker, "close of the filled region", vmfs_close(stress->full), 0, 0);
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS_MAX];
    region_force_pmem(argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct stress stress = {.seed = seed_from_clock()};
    unsigned seconds = 5;
    unsigned threads = 4;
    struct vmfs_statfs before = {0};
    char path[REGION_PATH_MAX];
    char full_path[REGION_PATH_MAX];
    parse_options(argc, argv, &stress.seed, &seconds, &threads);
    region_path(path, "stress-ops");
    region_path(full_path, "stress-full");
    int err = open_regions(&stress, path, full_path);
    if (err == 0)
        err = vmfs_statfs(stress.full, &before);
    if (err != 0) {
        printf("stress_ops_test: preparing %s returned %d\n", path, err);
        return 1;
    }
    uint64_t calls = run_threads(&stress, workers, threads, seconds);
    verify_appends(&stress, workers, threads);
    verify_space(&stress, &workers[0], before.blocks_free);
    close_all(&stress, &workers[0]);
    bool is_good = !atomic_load(&stress.is_failed);
    printf("threads=%u calls=%llu seed=%llu %s\n", threads, (unsigned long long)calls,
           (unsigned long long)stress.seed, is_good ? "passed" : "FAILED");
    if (is_good) {
        unlink(path);
        unlink(full_path);
    }
    return is_good ? 0 : 1;
}
