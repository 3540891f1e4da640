/* view_stress.c -- threads that look at files where they lie, and hold inodes by their ids, while others take
 * blocks and names away
 *
 * view_stress [--seconds S] [--seed N] [--threads T]
 *
 * Every word that is ever written into file F is the stamp of F, and the region is so small that what one
 * file gives back is the next one's at once. So a view of F shows F's stamp and zeros, as long as it lasts,
 * whatever is done to F meanwhile: never another's bytes (Z1, H23). What is held is found by its id and
 * stays what it is (O3). At the end vmfs_check() finds nothing, and the space and the inodes of all that was
 * let go are free again. */
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

#define THREADS_MAX 16
#define FILES       8
#define NAMES       12
#define BLOCK       4096
#define FILE_BLOCKS 40
#define PIECES      64
#define HELD_MAX    32

struct stress {
    struct vmfs *fs;
    struct vmfs_file *files[FILES];
    struct vmfs_file *atomics[FILES];
    uint64_t seed;
    uint64_t dir;
    _Atomic bool is_over;
    _Atomic bool is_failed;
};

struct worker {
    struct stress *stress;
    pthread_t thread;
    unsigned number;
    uint64_t views;
    uint64_t calls;
    struct seed seed;
    uint64_t held[HELD_MAX];
    uint32_t modes[HELD_MAX];
};

static void fail(struct worker *worker, const char *what, int64_t code)
{
    if (!atomic_exchange(&worker->stress->is_failed, true))
        printf("view_stress: thread %u: %s: %lld\n", worker->number, what, (long long)code);
}

static bool is_expected(struct worker *worker, const char *what, int64_t code, int may, int or_may)
{
    worker->calls++;
    if (code < 0 && code != -may && code != -or_may)
        fail(worker, what, code);
    return code >= 0;
}

/* ---------------------------------------------------------------------------------------- views --- */

static uint64_t stamp_of(unsigned number)
{
    return 0x0101010101010101u * (number + 1);
}

static void change_file(struct worker *worker)
{
    static const int modes[] = {VMFS_ALLOC_COLLAPSE, VMFS_ALLOC_INSERT,
                                VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE,
                                VMFS_ALLOC_ZERO | VMFS_ALLOC_KEEP_SIZE, 0};
    uint64_t words[4 * BLOCK / 8];
    struct stress *stress = worker->stress;
    unsigned number = (unsigned)seed_below(&worker->seed, FILES);
    struct vmfs_file *file = stress->files[number];
    uint64_t at = seed_below(&worker->seed, FILE_BLOCKS) * BLOCK;
    uint64_t length = (1 + seed_below(&worker->seed, 4)) * BLOCK;
    for (size_t i = 0; i < length / 8; i++)
        words[i] = stamp_of(number);
    switch (seed_below(&worker->seed, 8)) {
    case 0:
        is_expected(worker, "truncate", vmfs_file_truncate(file, 0), ENOSPC, 0);
        break;
    case 1:
        is_expected(worker, "truncate", vmfs_file_truncate(file, at), ENOSPC, 0);
        break;
    case 2:
        is_expected(worker, "allocate",
                    vmfs_file_allocate(file, modes[seed_below(&worker->seed, 5)], at, length),
                    EINVAL, ENOSPC);
        break;
    case 3:
        is_expected(worker, "atomic write",
                    vmfs_file_pwrite(stress->atomics[number], words, length, at), ENOSPC, 0);
        break;
    default:
        is_expected(worker, "write", vmfs_file_pwrite(file, words, length, at), ENOSPC, 0);
        break;
    }
}

/* Does every word that can be seen belong to the file? Whole words, as others store them. */
static bool is_own(const struct vmfs_iovec *pieces, unsigned count, uint64_t stamp)
{
    for (unsigned i = 0; i < count; i++) {
        const uint64_t *words = pieces[i].base;
        for (size_t k = 0; k < pieces[i].length / 8; k++) {
            uint64_t word = __atomic_load_n(&words[k], __ATOMIC_RELAXED);
            if (word != stamp && word != 0)
                return false;
        }
    }
    return true;
}

static void look_at_file(struct worker *worker)
{
    struct vmfs_iovec pieces[PIECES];
    struct vmfs_view view;
    unsigned count = PIECES;
    unsigned number = (unsigned)seed_below(&worker->seed, FILES);
    uint64_t at = seed_below(&worker->seed, FILE_BLOCKS) * BLOCK;
    int64_t got =
        vmfs_file_view(worker->stress->files[number], 8 * BLOCK, at, pieces, &count, &view);
    if (!is_expected(worker, "view", got, 0, 0))
        return;
    worker->views++;
    for (uint64_t looks = 1 + seed_below(&worker->seed, 4); looks > 0; looks--) {
        if (!is_own(pieces, count, stamp_of(number)))
            fail(worker, "a view shows another file's bytes, of file", number);
        if (seed_chance(&worker->seed, 5))
            sched_yield();
    }
    vmfs_view_end(&view);
}

/* ---------------------------------------------------------------------------------------- holds --- */

static void name_of(struct worker *worker, char path[16])
{
    snprintf(path, 16, "%u", (unsigned)seed_below(&worker->seed, NAMES));
}

static void let_go(struct worker *worker, unsigned index)
{
    if (!worker->held[index])
        return;
    struct vmfs_stat stat;
    uint64_t id = worker->held[index];
    int err = vmfs_stat_at(worker->stress->fs, vmfs_at(id, ""), VMFS_NOFOLLOW, &stat);
    if (is_expected(worker, "stat of what is held", err, 0, 0) &&
        (stat.ino != id || stat.mode != worker->modes[index]))
        fail(worker, "what is held has become something else", (int64_t)stat.mode);
    is_expected(worker, "release", vmfs_release(worker->stress->fs, id, 1), 0, 0);
    worker->held[index] = 0;
}

static void keep(struct worker *worker, unsigned index, const struct vmfs_stat *stat)
{
    worker->held[index] = stat->ino;
    worker->modes[index] = stat->mode;
}

static void use_names(struct worker *worker)
{
    static const struct vmfs_make kinds[] = {{.mode = VMFS_S_IFREG | 0640},
                                             {.mode = VMFS_S_IFDIR | 0750},
                                             {.mode = VMFS_S_IFLNK, .target = "t"},
                                             {.mode = VMFS_S_IFIFO | 0600}};
    char path[16];
    struct vmfs_stat stat;
    struct vmfs *fs = worker->stress->fs;
    unsigned index = (unsigned)seed_below(&worker->seed, HELD_MAX);
    name_of(worker, path);
    struct vmfs_at at = vmfs_at(worker->stress->dir, path);
    let_go(worker, index);
    switch (seed_below(&worker->seed, 6)) {
    case 0:
    case 1:
        if (is_expected(worker, "make",
                        vmfs_make(fs, at, &kinds[seed_below(&worker->seed, 4)], &stat), EEXIST,
                        ENOSPC))
            keep(worker, index, &stat);
        break;
    case 2:
        is_expected(worker, "unlink", vmfs_unlink_at(fs, at), ENOENT, EPERM);
        break;
    case 3:
        is_expected(worker, "rmdir", vmfs_rmdir_at(fs, at), ENOENT, ENOTDIR);
        break;
    default:
        if (is_expected(worker, "lookup", vmfs_lookup(fs, at, &stat), ENOENT, 0))
            keep(worker, index, &stat);
        break;
    }
}

static void list_names(struct worker *worker)
{
    struct vmfs_dirent entry;
    struct vmfs_stat stat;
    uint64_t cookie = 0;
    int more;
    struct vmfs *fs = worker->stress->fs;
    while ((more = vmfs_dir_read_at(fs, worker->stress->dir, cookie, &entry, &stat)) > 0) {
        cookie = entry.cookie;
        if (stat.ino != entry.ino || (stat.mode & VMFS_S_IFMT) != entry.type)
            fail(worker, "an entry and its attributes differ", (int64_t)entry.type);
        if (entry.name[0] != '.')
            is_expected(worker, "release of an entry", vmfs_release(fs, entry.ino, 1), 0, 0);
    }
    is_expected(worker, "list", more, 0, 0);
}

/* ---------------------------------------------------------------------------------------- all --- */

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct stress *stress = worker->stress;
    while (!atomic_load(&stress->is_over) && !atomic_load(&stress->is_failed)) {
        uint64_t form = seed_below(&worker->seed, 20);
        if (form < 8)
            look_at_file(worker);
        else if (form < 14)
            change_file(worker);
        else if (form < 19)
            use_names(worker);
        else
            list_names(worker);
        if (seed_below(&worker->seed, 500) == 0)
            is_expected(worker, "sync", vmfs_sync(stress->fs), 0, 0);
    }
    for (unsigned index = 0; index < HELD_MAX; index++)
        let_go(worker, index);
    return NULL;
}

static bool set_up(struct stress *stress, const char *path)
{
    struct vmfs_stat stat;
    char name[16];
    bool is_ready = region_format(path, 2 * REGION_MIB, NULL, &stress->fs) == 0 &&
                    vmfs_mkdir(stress->fs, "/dir", 0755) == 0 &&
                    vmfs_stat(stress->fs, "/dir", 0, &stat) == 0;
    stress->dir = stat.ino;
    for (unsigned i = 0; is_ready && i < FILES; i++) {
        int flags = VMFS_O_CREAT | VMFS_O_RDWR;
        snprintf(name, sizeof(name), "/file%u", i);
        is_ready =
            vmfs_file_open(stress->fs, name, flags, 0644, &stress->files[i]) == 0 &&
            vmfs_file_open(stress->fs, name, flags | VMFS_O_ATOMIC, 0644, &stress->atomics[i]) == 0;
    }
    return is_ready;
}

/* Nothing is left of all that was made and let go. */
static bool judge(struct stress *stress)
{
    bool is_sound = !stress->is_failed;
    char name[16];
    for (unsigned i = 0; i < FILES; i++) {
        is_sound = vmfs_file_close(stress->files[i]) == 0 && is_sound;
        is_sound = vmfs_file_close(stress->atomics[i]) == 0 && is_sound;
        snprintf(name, sizeof(name), "/file%u", i);
        is_sound = vmfs_unlink(stress->fs, name) == 0 && is_sound;
    }
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "/dir/%u", i);
        int err = vmfs_unlink(stress->fs, name);
        is_sound = (err != -EPERM || vmfs_rmdir(stress->fs, name) == 0) && is_sound;
    }
    struct vmfs_statfs statfs;
    int64_t problems = region_check(stress->fs);
    if (problems || vmfs_statfs(stress->fs, &statfs) || statfs.inodes_used != 2) {
        printf("view_stress: %lld problems, %llu inodes\n", (long long)problems,
               (unsigned long long)statfs.inodes_used);
        is_sound = false;
    }
    return vmfs_close(stress->fs) == 0 && is_sound;
}

static bool run(struct stress *stress, unsigned threads, unsigned seconds)
{
    static struct worker workers[THREADS_MAX];
    uint64_t views = 0;
    uint64_t calls = 0;
    for (unsigned i = 0; i < threads; i++) {
        workers[i].stress = stress;
        workers[i].number = i;
        seed_init(&workers[i].seed, seed_mix(stress->seed, i));
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            abort();
    }
    struct timespec tick = {.tv_nsec = 100000000};
    for (unsigned i = 0; i < 10 * seconds && !atomic_load(&stress->is_failed); i++)
        nanosleep(&tick, NULL);
    atomic_store(&stress->is_over, true);
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        views += workers[i].views;
        calls += workers[i].calls;
    }
    bool is_sound = judge(stress);
    printf("view_stress: seed %llu, %llu calls, %llu of them views: %s\n",
           (unsigned long long)stress->seed, (unsigned long long)calls, (unsigned long long)views,
           is_sound ? "ok" : "FAILED");
    return is_sound && views > 0;
}

int main(int argc, char **argv)
{
    static struct stress stress;
    char path[REGION_PATH_MAX];
    unsigned threads = 4;
    unsigned seconds = 5;
    stress.seed = seed_from_clock();
    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned long long value = strtoull(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = (unsigned)value;
        else if (strcmp(argv[i], "--seed") == 0)
            stress.seed = value;
        else if (strcmp(argv[i], "--threads") == 0)
            threads = value < THREADS_MAX ? (unsigned)value : THREADS_MAX;
    }
    region_path(path, "view_stress");
    bool is_sound = set_up(&stress, path) && run(&stress, threads, seconds);
    unlink(path);
    return is_sound ? 0 : 1;
}
