/* stress_test.c -- many threads over the same few names, for the thread sanitizer and for
 * vmfs_check
 *
 * stress_test [--seconds S] [--seed N] [--threads T]
 *
 * Threads create, move, link, write, read and list within four shared directories at once. What a
 * call may return is known; what it finds is not. Meanwhile each file holds only words that name
 * the writer of the whole 64-byte line they lie in, or zeros. At the end vmfs_check() must find
 * nothing, before and after reopening. */
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

#define THREADS_MAX   16
#define DIRS          4
#define NAMES         12
#define LINE          64
#define LINES_MAX     600
#define SPREAD_BLOCKS 400
#define IDS           16

struct stress {
    struct vmfs *fs;
    uint64_t seed;
    _Atomic bool is_over;
    _Atomic bool is_failed;
    _Atomic uint64_t ids[IDS]; /* of files and directories that may be gone by now */
};

struct worker {
    struct stress *stress;
    pthread_t thread;
    unsigned number;
    uint64_t calls;
    struct seed seed;
};

static void fail(struct stress *stress, const char *what, int64_t code)
{
    if (!atomic_exchange(&stress->is_failed, true))
        printf("stress_test: %s: %lld\n", what, (long long)code);
}

/* A call may meet what another thread just did, and nothing else. */
static void expect_ordinary(struct worker *worker, const char *what, int64_t code)
{
    static const int ordinary[] = {ENOENT, EEXIST,  ENOTDIR, EISDIR, ENOTEMPTY, EPERM,
                                   EINVAL, ENODATA, ELOOP,   ENXIO,  ENOSPC};
    worker->calls++;
    if (code >= 0)
        return;
    for (unsigned i = 0; i < sizeof(ordinary) / sizeof(ordinary[0]); i++) {
        if (code == -ordinary[i])
            return;
    }
    fail(worker->stress, what, code);
}

static void pick_path(struct worker *worker, char path[32])
{
    snprintf(path, 32, "/d%u/n%u", (unsigned)seed_below(&worker->seed, DIRS),
             (unsigned)seed_below(&worker->seed, NAMES));
}

/* ---------------------------------------------------------------------------------- the calls ---
 */

static void change_names(struct worker *worker)
{
    struct vmfs *fs = worker->stress->fs;
    char path[32];
    char other[32];
    static const uint32_t flags[] = {0, 0, VMFS_RENAME_NOREPLACE, VMFS_RENAME_EXCHANGE};
    pick_path(worker, path);
    pick_path(worker, other);
    switch (seed_below(&worker->seed, 8)) {
    case 0:
        expect_ordinary(worker, "mkdir", vmfs_mkdir(fs, path, 0755));
        break;
    case 1:
        expect_ordinary(worker, "rmdir", vmfs_rmdir(fs, path));
        break;
    case 2:
        expect_ordinary(worker, "symlink", vmfs_symlink(fs, other, path));
        break;
    case 3:
        expect_ordinary(worker, "link", vmfs_link(fs, path, other));
        break;
    case 4:
    case 5:
        expect_ordinary(worker, "unlink", vmfs_unlink(fs, path));
        break;
    default:
        expect_ordinary(worker, "rename",
                        vmfs_rename(fs, path, other, flags[seed_below(&worker->seed, 4)]));
        break;
    }
}

static void change_attributes(struct worker *worker)
{
    struct vmfs *fs = worker->stress->fs;
    struct vmfs_stat stat;
    char path[32];
    char value[100];
    pick_path(worker, path);
    switch (seed_below(&worker->seed, 6)) {
    case 0:
        expect_ordinary(worker, "chmod", vmfs_chmod(fs, path, 0700));
        break;
    case 1:
        expect_ordinary(worker, "utimens", vmfs_utimens(fs, path, 1, 2));
        break;
    case 2:
        expect_ordinary(worker, "truncate",
                        vmfs_truncate(fs, path, LINE * seed_below(&worker->seed, LINES_MAX)));
        break;
    case 3:
        seed_fill(value, sizeof(value), worker->number);
        expect_ordinary(worker, "xattr_set",
                        vmfs_xattr_set(fs, path, 0, "user.a", value, sizeof(value)));
        break;
    case 4:
        expect_ordinary(worker, "xattr_get",
                        vmfs_xattr_get(fs, path, 0, "user.a", value, sizeof(value)));
        break;
    default:
        expect_ordinary(worker, "stat", vmfs_stat(fs, path, 0, &stat));
        break;
    }
}

/* Writes whole lines of this thread's number; concurrent writers may win, line by line or in part.
 */
static void write_lines(struct worker *worker, struct vmfs_file *file)
{
    static _Thread_local uint64_t words[LINES_MAX * LINE / 8];
    size_t lines = 1 + (size_t)seed_below(&worker->seed, LINES_MAX / 8);
    uint64_t at = LINE * seed_below(&worker->seed, LINES_MAX - lines);
    for (size_t i = 0; i < lines * LINE / 8; i++)
        words[i] = 0x0101010101010101u * (worker->number + 1);
    expect_ordinary(worker, "write", vmfs_file_pwrite(file, words, lines * LINE, at));
}

static void read_lines(struct worker *worker, struct vmfs_file *file)
{
    static _Thread_local uint64_t words[LINES_MAX * LINE / 8];
    int64_t got = vmfs_file_pread(file, words, sizeof(words), 0);
    expect_ordinary(worker, "read", got);
    for (int64_t i = 0; i < got / 8; i++) {
        uint64_t number = words[i] & 0xff;
        if (number > THREADS_MAX || words[i] != 0x0101010101010101u * number)
            fail(worker->stress, "a word that nobody wrote", i);
    }
}

/* Takes blocks out, puts holes in, and now and then spreads the file over more extents than a record
 * can free or a leaf can hold. */
static void move_lines(struct worker *worker, struct vmfs_file *file)
{
    uint64_t words[LINE / 8];
    uint64_t first = VMFS_BLOCK_SIZE * seed_below(&worker->seed, SPREAD_BLOCKS);
    for (size_t i = 0; i < LINE / 8; i++)
        words[i] = 0x0101010101010101u * (worker->number + 1);
    if (seed_chance(&worker->seed, 10)) {
        for (uint64_t block = 0; block < SPREAD_BLOCKS; block += 2)
            expect_ordinary(worker, "spread",
                            vmfs_file_pwrite(file, words, sizeof(words), block * VMFS_BLOCK_SIZE));
    }
    int mode = seed_chance(&worker->seed, 70) ? VMFS_ALLOC_COLLAPSE : VMFS_ALLOC_INSERT;
    uint64_t count = mode == VMFS_ALLOC_INSERT ? 1 : 1 + seed_below(&worker->seed, 9);
    expect_ordinary(worker, "collapse or insert",
                    vmfs_file_allocate(file, mode, first, count * VMFS_BLOCK_SIZE));
}

static void use_file(struct worker *worker)
{
    char path[32];
    struct vmfs_file *file;
    struct vmfs_stat stat;
    pick_path(worker, path);
    int flags = VMFS_O_RDWR | (seed_chance(&worker->seed, 50) ? VMFS_O_CREAT : 0);
    int err = vmfs_file_open(worker->stress->fs, path, flags, 0644, &file);
    expect_ordinary(worker, "open", err);
    if (err != 0)
        return;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t drawn = seed_below(&worker->seed, 100);
        if (drawn < 40)
            write_lines(worker, file);
        else if (drawn < 60)
            move_lines(worker, file);
        else
            read_lines(worker, file);
    }
    expect_ordinary(worker, "fstat", vmfs_file_stat(file, &stat));
    expect_ordinary(worker, "close", vmfs_file_close(file));
}

static void list_dir(struct worker *worker)
{
    char path[32];
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    snprintf(path, sizeof(path), "/d%u", (unsigned)seed_below(&worker->seed, DIRS));
    int err = vmfs_dir_open(worker->stress->fs, path, &dir);
    expect_ordinary(worker, "dir_open", err);
    if (err != 0)
        return;
    while ((err = vmfs_dir_read(dir, &entry)) == 1)
        worker->calls++;
    expect_ordinary(worker, "dir_read", err);
    expect_ordinary(worker, "dir_close", vmfs_dir_close(dir));
}

/* An id may have become nothing; of what it still means all is as ever. */
static void expect_alive(struct worker *worker, const char *what, int64_t code)
{
    expect_ordinary(worker, what, code == -ESTALE ? -ENOENT : code);
}

/* A file without a name, which may get one. */
static uint64_t use_tmpfile(struct worker *worker)
{
    struct vmfs *fs = worker->stress->fs;
    struct vmfs_file *file;
    char path[32];
    int flags = VMFS_O_TMPFILE | VMFS_O_RDWR | (seed_chance(&worker->seed, 20) ? VMFS_O_EXCL : 0);
    pick_path(worker, path);
    path[3] = '\0';
    int err = vmfs_file_open(fs, path, flags, 0644, &file);
    expect_ordinary(worker, "tmpfile", err);
    if (err != 0)
        return 0;
    uint64_t id = vmfs_file_ino(file);
    write_lines(worker, file);
    pick_path(worker, path);
    if (seed_chance(&worker->seed, 50))
        expect_ordinary(worker, "file_link", vmfs_file_link(file, vmfs_at(0, path)));
    read_lines(worker, file);
    expect_ordinary(worker, "close", vmfs_file_close(file));
    return id;
}

/* A directory that others may remove while it is open. */
static uint64_t use_dir(struct worker *worker)
{
    struct vmfs *fs = worker->stress->fs;
    struct vmfs_dirent entry;
    struct vmfs_stat stat;
    struct vmfs_dir *dir;
    char path[32];
    pick_path(worker, path);
    int err = vmfs_dir_open(fs, path, &dir);
    expect_ordinary(worker, "dir_open", err);
    if (err != 0)
        return 0;
    uint64_t id = vmfs_dir_ino(dir);
    expect_ordinary(worker, "mknod_at", vmfs_mknod_at(fs, vmfs_at(id, "x"), 0644, 0));
    expect_ordinary(worker, "dir_read", vmfs_dir_read(dir, &entry));
    expect_ordinary(worker, "unlink_at", vmfs_unlink_at(fs, vmfs_at(id, "x")));
    if (vmfs_stat_at(fs, vmfs_at(id, ""), 0, &stat) != 0 || stat.ino != id)
        fail(worker->stress, "an open directory is gone", 0);
    expect_ordinary(worker, "dir_close", vmfs_dir_close(dir));
    return id;
}

static void use_ids(struct worker *worker)
{
    struct vmfs *fs = worker->stress->fs;
    struct vmfs_file *file;
    struct vmfs_stat stat;
    char path[32];
    uint64_t made = seed_chance(&worker->seed, 50) ? use_tmpfile(worker) : use_dir(worker);
    if (made != 0)
        atomic_store(&worker->stress->ids[seed_below(&worker->seed, IDS)], made);
    struct vmfs_at at =
        vmfs_at(atomic_load(&worker->stress->ids[seed_below(&worker->seed, IDS)]), "");
    if (at.dir == 0)
        return;
    expect_alive(worker, "stat_at", vmfs_stat_at(fs, at, 0, &stat));
    pick_path(worker, path);
    expect_alive(worker, "link_at", vmfs_link_at(fs, at, vmfs_at(0, path), 0));
    int err = vmfs_file_open_at(fs, at, VMFS_O_RDWR, 0, &file);
    expect_alive(worker, "open_at", err);
    if (err != 0)
        return;
    read_lines(worker, file);
    expect_ordinary(worker, "close", vmfs_file_close(file));
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;
    seed_init(&worker->seed, seed_mix(worker->stress->seed, worker->number));
    while (!atomic_load(&worker->stress->is_over) && !atomic_load(&worker->stress->is_failed)) {
        uint64_t drawn = seed_below(&worker->seed, 100);
        if (drawn < 45)
            change_names(worker);
        else if (drawn < 65)
            change_attributes(worker);
        else if (drawn < 88)
            use_file(worker);
        else if (drawn < 97)
            use_ids(worker);
        else
            list_dir(worker);
    }
    return NULL;
}

/* --------------------------------------------------------------------------------------- frame ---
 */

static int make_dirs(struct vmfs *fs)
{
    char path[16];
    int err = 0;
    for (unsigned i = 0; i < DIRS && err == 0; i++) {
        snprintf(path, sizeof(path), "/d%u", i);
        err = vmfs_mkdir(fs, path, 0755);
    }
    return err;
}

static uint64_t run_threads(struct stress *stress, unsigned threads, unsigned seconds)
{
    static struct worker workers[THREADS_MAX];
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

static void check_region(struct stress *stress, const char *when)
{
    int64_t problems = region_check(stress->fs);
    if (problems != 0)
        fail(stress, when, problems);
}

int main(int argc, char **argv)
{
    region_force_pmem(argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct stress stress = {.seed = seed_from_clock()};
    unsigned seconds = 5;
    unsigned threads = 4;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = (unsigned)strtoul(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            stress.seed = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--threads") == 0)
            threads = (unsigned)strtoul(argv[i + 1], NULL, 0);
    }
    if (threads == 0 || threads > THREADS_MAX)
        threads = THREADS_MAX;
    char path[REGION_PATH_MAX];
    region_path(path, "stress");
    int err = region_format(path, 64 * REGION_MIB, NULL, &stress.fs);
    if (err == 0)
        err = make_dirs(stress.fs);
    if (err != 0) {
        printf("stress_test: format of %s returned %d\n", path, err);
        return 1;
    }
    uint64_t calls = run_threads(&stress, threads, seconds);
    check_region(&stress, "problems before closing");
    err = vmfs_close(stress.fs);
    if (err == 0)
        err = region_open(path, 0, NULL, &stress.fs);
    if (err != 0) {
        printf("stress_test: reopening returned %d\n", err);
        return 1;
    }
    check_region(&stress, "problems after reopening");
    vmfs_close(stress.fs);
    bool is_good = !atomic_load(&stress.is_failed);
    printf("threads=%u calls=%llu seed=%llu %s\n", threads, (unsigned long long)calls,
           (unsigned long long)stress.seed, is_good ? "passed" : "FAILED");
    if (is_good)
        unlink(path);
    return is_good ? 0 : 1;
}
