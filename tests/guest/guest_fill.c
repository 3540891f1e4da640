/* guest_fill.c -- fills a region until not a byte goes in, makes room, and fills it again
 *
 * guest_fill fill REGION [--least BYTES]
 * guest_fill digest REGION
 *
 * `fill` begins a directory, in which each of four threads makes files of their own, until the only answer is
 * -ENOSPC, which is the only error that may come. Then every file is read back; a third is removed, a third cut to half, a
 * third renamed, all of which must work without room, and so it goes on. --least is how much must go in at
 * first; later it is half of what was freed. `digest` prints a number that depends on all that the region
 * holds, for a comparison with what somebody else reads. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_fs.h"
#include "region.h"
#include "seed.h"

#define THREADS   4
#define FILES_MAX 20000
#define FILE_MAX  65536
#define ROUNDS    3
#define PATH      64

struct file {
    bool is_there;
    bool is_renamed;
    uint32_t bytes;
};

struct filler {
    struct vmfs *fs;
    unsigned run; /* the number of the directory */
    unsigned thread;
    unsigned count;
    uint64_t filled_bytes;
    uint64_t freed_bytes;
    struct seed seed;
    struct file files[FILES_MAX];
    uint8_t wanted[FILE_MAX];
    uint8_t found[FILE_MAX];
};

static void __attribute__((noreturn)) fail(const char *what, const char *path, int64_t code)
{
    printf("guest_fill: %s: %s: %lld\n", path, what, (long long)code);
    exit(1);
}

static void file_path(const struct filler *filler, unsigned number, char path[PATH])
{
    snprintf(path, PATH, "/fill%u/%s%u-%u", filler->run,
             filler->files[number].is_renamed ? "renamed" : "file", filler->thread, number);
}

static void fill_wanted(struct filler *filler, unsigned number)
{
    seed_fill(filler->wanted, FILE_MAX, seed_mix(filler->thread + filler->run * THREADS, number));
}

/* The next file, of up to `bytes`; false if there was not enough room for all of it. */
static bool make_file(struct filler *filler, uint32_t bytes)
{
    char path[PATH];
    unsigned number = filler->count;
    struct vmfs_file *open;
    file_path(filler, number, path);
    int err =
        vmfs_file_open(filler->fs, path, VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_WRONLY, 0644, &open);
    if (err == -ENOSPC)
        return false;
    if (err != 0 || number + 1 == FILES_MAX)
        fail("create", path, err);
    fill_wanted(filler, number);
    int64_t written = vmfs_file_pwrite(open, filler->wanted, bytes, 0);
    if (written < 0 && written != -ENOSPC)
        fail("write", path, written);
    err = vmfs_file_close(open);
    if (err != 0)
        fail("close", path, err);
    uint32_t got = written > 0 ? (uint32_t)written : 0;
    filler->files[number] = (struct file){.is_there = true, .bytes = got};
    filler->filled_bytes += got;
    filler->count++;
    return got == bytes;
}

static void *fill(void *arg)
{
    struct filler *filler = arg;
    uint64_t limit = FILE_MAX;
    filler->filled_bytes = 0;
    while (limit > 0)
        limit =
            make_file(filler, (uint32_t)(1 + seed_below(&filler->seed, limit))) ? limit : limit / 2;
    return NULL;
}

static void check_file(struct filler *filler, unsigned number)
{
    char path[PATH];
    struct vmfs_file *open;
    struct vmfs_stat stat;
    uint32_t bytes = filler->files[number].bytes;
    file_path(filler, number, path);
    int64_t result = vmfs_file_open(filler->fs, path, VMFS_O_RDONLY, 0, &open);
    if (result != 0)
        fail("open", path, result);
    result = vmfs_file_stat(open, &stat);
    if (result != 0 || stat.size != bytes)
        fail("its size is not what was written", path, result);
    fill_wanted(filler, number);
    result = vmfs_file_pread(open, filler->found, FILE_MAX, 0);
    if (result != bytes || memcmp(filler->found, filler->wanted, bytes) != 0)
        fail("it does not hold what was written", path, result);
    vmfs_file_close(open);
}

static void *check(void *arg)
{
    struct filler *filler = arg;
    for (unsigned i = 0; i < filler->count; i++) {
        if (filler->files[i].is_there)
            check_file(filler, i);
    }
    return NULL;
}

static void free_file(struct filler *filler, unsigned number)
{
    char path[PATH];
    char to[PATH];
    struct file *file = &filler->files[number];
    int err = 0;
    file_path(filler, number, path);
    if (number % 3 == 0) {
        err = vmfs_unlink(filler->fs, path);
        file->is_there = false;
        filler->freed_bytes += file->bytes;
    } else if (number % 3 == 1) {
        err = vmfs_truncate(filler->fs, path, file->bytes / 2);
        filler->freed_bytes += file->bytes - file->bytes / 2;
        file->bytes /= 2;
    } else if (!file->is_renamed) {
        file->is_renamed = true;
        file_path(filler, number, to);
        err = vmfs_rename(filler->fs, path, to, 0);
        file->is_renamed = err == 0; /* a name that is longer may find no room */
        err = err == -ENOSPC ? 0 : err;
    }
    if (err != 0)
        fail("making room", path, err);
}

static void *make_room(void *arg)
{
    struct filler *filler = arg;
    filler->freed_bytes = 0;
    for (unsigned i = 0; i < filler->count; i++) {
        if (filler->files[i].is_there)
            free_file(filler, i);
    }
    return NULL;
}

static void run_threads(struct filler *fillers[THREADS], void *(*body)(void *))
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, body, fillers[i]) != 0)
            fail("pthread_create", "", 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Fills, looks, makes room, looks; returns what was freed. */
static uint64_t run_round(struct filler *fillers[THREADS], uint64_t least_bytes)
{
    uint64_t filled = 0;
    uint64_t freed = 0;
    run_threads(fillers, fill);
    for (unsigned i = 0; i < THREADS; i++)
        filled += fillers[i]->filled_bytes;
    printf("guest_fill: %llu bytes went in\n", (unsigned long long)filled);
    if (filled < least_bytes)
        fail("fewer bytes went in than must", "", (int64_t)least_bytes);
    run_threads(fillers, check);
    run_threads(fillers, make_room);
    run_threads(fillers, check);
    for (unsigned i = 0; i < THREADS; i++)
        freed += fillers[i]->freed_bytes;
    return freed;
}

static unsigned make_directory(struct vmfs *fs)
{
    char path[PATH];
    int err = -EEXIST;
    unsigned run = 0;
    for (; err == -EEXIST; run++) {
        snprintf(path, sizeof(path), "/fill%u", run);
        err = vmfs_mkdir(fs, path, 0755);
    }
    if (err != 0)
        fail("mkdir", path, err);
    return run - 1;
}

static void fill_region(struct vmfs *fs, uint64_t least_bytes)
{
    struct filler *fillers[THREADS];
    unsigned run = make_directory(fs);
    for (unsigned i = 0; i < THREADS; i++) {
        fillers[i] = model_allocate(sizeof(struct filler));
        fillers[i]->fs = fs;
        fillers[i]->run = run;
        fillers[i]->thread = i;
        seed_init(&fillers[i]->seed, i);
    }
    for (unsigned i = 0; i < ROUNDS; i++)
        least_bytes = run_round(fillers, least_bytes) / 2;
    run_threads(fillers, fill);
    run_threads(fillers, check);
    if (region_check(fs) != 0)
        fail("vmfs_check found problems", "", 0);
    for (unsigned i = 0; i < THREADS; i++)
        free(fillers[i]);
}

static struct vmfs *open_region(const char *path, bool is_fill)
{
    static struct region_log log;
    struct vmfs *fs;
    int err = is_fill ? region_open(path, 0, &log, &fs) : region_open_inside(path, &log, &fs);
    if (err != 0)
        fail(log.text, path, err);
    return fs;
}

int main(int argc, char **argv)
{
    bool is_fill = argc >= 3 && strcmp(argv[1], "fill") == 0;
    bool is_digest = argc == 3 && strcmp(argv[1], "digest") == 0;
    bool has_least = argc == 5 && strcmp(argv[3], "--least") == 0;
    if ((!is_fill && !is_digest) || (argc != 3 && !has_least)) {
        fprintf(stderr, "usage: guest_fill fill REGION [--least BYTES]\n"
                        "       guest_fill digest REGION\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct vmfs *fs = open_region(argv[2], is_fill);
    if (is_fill)
        fill_region(fs, has_least ? strtoull(argv[4], NULL, 0) : 0);
    else
        printf("digest %016llx\n", (unsigned long long)region_digest(fs, "/"));
    int err = vmfs_close(fs);
    if (err != 0)
        fail("close", argv[2], err);
    return 0;
}
