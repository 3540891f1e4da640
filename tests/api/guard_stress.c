/* guard_stress.c -- a region whose file shrinks under threads that read and change (VMFS_GUARD)
 *
 * guard_stress [--rounds N] [--seed S]
 *
 * In each round four threads work while the file is cut off step by step. No read that succeeds is wrong,
 * no call returns what it may not, everybody comes to an end, and what is left reads on afterwards. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "region.h"
#include "seed.h"

#define REGION_BYTES (32 * REGION_MIB)
#define FILES        12u
#define FILE_BYTES   ((size_t)2 << 20)
#define PIECE_BYTES  4096u
#define PIECES       (FILE_BYTES / PIECE_BYTES)
#define THREADS      4u
#define STEPS        12u

static struct vmfs *fs;
static char region[REGION_PATH_MAX];
static uint8_t expected[FILES][FILE_BYTES];
static _Atomic bool is_over;

struct hammer {
    pthread_t thread;
    uint64_t seed;
    uint64_t good, lost, changed, refused;
};

static void __attribute__((noreturn)) give_up(const char *what, uint64_t seed, int64_t result)
{
    printf("guard_stress: --seed %llu: %s: %lld\n", (unsigned long long)seed, what,
           (long long)result);
    unlink(region);
    exit(1);
}

static void make_region(uint64_t seed)
{
    char path[32];
    int err = region_format(region, REGION_BYTES, NULL, &fs);
    for (unsigned number = 0; err == 0 && number < FILES; number++) {
        snprintf(path, sizeof path, "/file-%u", number);
        err = region_put_file(fs, path, FILE_BYTES, number);
    }
    if (err == 0)
        err = vmfs_close(fs);
    if (err == 0)
        err = region_open(region, VMFS_GUARD, NULL, &fs);
    if (err != 0)
        give_up("making the region", seed, err);
}

static void change(struct hammer *self, unsigned turn)
{
    char path[48];
    snprintf(path, sizeof path, "/t%llx-%u", (unsigned long long)self->seed, turn / 2 % 64);
    int err = turn % 2 ? vmfs_unlink(fs, path) : vmfs_mknod(fs, path, 0644, 0);
    bool is_allowed = err == 0 || err == -EIO || err == -EROFS || err == -EEXIST || err == -ENOENT;
    if (!is_allowed)
        give_up("a change", self->seed, err);
    self->changed += err == 0;
    self->refused += err == -EIO || err == -EROFS;
}

static void read_piece(struct hammer *self, struct vmfs_file *file, unsigned number, size_t piece)
{
    uint8_t bytes[PIECE_BYTES];
    int64_t got = vmfs_file_pread(file, bytes, sizeof bytes, piece * PIECE_BYTES);
    if (got != -EIO && got != (int64_t)sizeof bytes)
        give_up("a read", self->seed, got);
    if (got > 0 && memcmp(bytes, expected[number] + piece * PIECE_BYTES, sizeof bytes) != 0)
        give_up("wrong bytes", self->seed, (int64_t)piece);
    self->good += got > 0;
    self->lost += got < 0;
}

static void read_file(struct hammer *self, struct seed *seed)
{
    char path[32];
    struct vmfs_file *file;
    unsigned number = (unsigned)seed_below(seed, FILES);
    snprintf(path, sizeof path, "/file-%u", number);
    int err = vmfs_file_open(fs, path, VMFS_O_RDONLY, 0, &file);
    if (err != 0 && err != -EIO)
        give_up("an open", self->seed, err);
    if (err != 0)
        return;
    for (unsigned piece = 0; piece < 4; piece++)
        read_piece(self, file, number, seed_below(seed, PIECES));
    err = vmfs_file_close(file);
    if (err != 0 && err != -EIO)
        give_up("a close", self->seed, err);
}

static void *run(void *arg)
{
    struct hammer *self = arg;
    struct seed seed;
    seed_init(&seed, self->seed);
    for (unsigned turn = 0; !atomic_load(&is_over); turn++) {
        change(self, turn);
        read_file(self, &seed);
    }
    return NULL;
}

static void run_threads(struct hammer *hammers, uint64_t seed)
{
    atomic_store(&is_over, false);
    for (unsigned index = 0; index < THREADS; index++) {
        hammers[index] = (struct hammer){.seed = seed_mix(seed, index)};
        pthread_create(&hammers[index].thread, NULL, run, &hammers[index]);
    }
    for (unsigned step = 0; step < STEPS; step++) {
        usleep(20000);
        if (truncate(region, (off_t)(REGION_BYTES - step * REGION_BYTES / 16)) != 0)
            give_up("truncate", seed, -errno);
    }
    atomic_store(&is_over, true);
    for (unsigned index = 0; index < THREADS; index++)
        pthread_join(hammers[index].thread, NULL);
}

static void run_round(uint64_t seed)
{
    struct hammer hammers[THREADS];
    struct hammer sum = {.seed = seed};
    struct seed stream;
    make_region(seed);
    run_threads(hammers, seed);
    for (unsigned index = 0; index < THREADS; index++) {
        sum.good += hammers[index].good;
        sum.lost += hammers[index].lost;
        sum.changed += hammers[index].changed;
        sum.refused += hammers[index].refused;
    }
    printf("seed=%llu good=%llu lost=%llu changed=%llu refused=%llu\n", (unsigned long long)seed,
           (unsigned long long)sum.good, (unsigned long long)sum.lost,
           (unsigned long long)sum.changed, (unsigned long long)sum.refused);
    if (!sum.good || !sum.lost || !sum.changed || !sum.refused)
        give_up("one outcome is missing", seed, 0);
    struct hammer alone = {.seed = seed};
    seed_init(&stream, seed);
    for (unsigned turn = 0; turn < 200; turn++)
        read_file(&alone, &stream);
    if (!alone.good)
        give_up("what is left does not read", seed, 0);
    int err = vmfs_close(fs);
    if (err != -EIO)
        give_up("vmfs_close", seed, err);
    unlink(region);
}

int main(int argc, char **argv)
{
    region_force_pmem(argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    uint64_t rounds = 1;
    uint64_t seed = seed_from_clock();
    for (int at = 1; at + 1 < argc; at += 2) {
        uint64_t value = strtoull(argv[at + 1], NULL, 0);
        if (strcmp(argv[at], "--rounds") == 0)
            rounds = value;
        else if (strcmp(argv[at], "--seed") == 0)
            seed = value;
        else
            argc = 0;
    }
    if (argc % 2 == 0) {
        fprintf(stderr, "usage: guard_stress [--rounds N] [--seed S]\n");
        return 2;
    }
    region_path(region, "guard-stress");
    for (unsigned number = 0; number < FILES; number++)
        seed_fill(expected[number], FILE_BYTES, number);
    for (uint64_t round = 0; round < rounds; round++)
        run_round(seed + round);
    printf("guard_stress: passed\n");
    return 0;
}
