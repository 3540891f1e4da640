/* fuzz_test.c -- regions with random damage
 *
 * fuzz_test [--seconds S] [--rounds N] [--seed S] [--only ROUND]
 *
 * Bytes and words of a populated region are changed at random, above all where metadata lies; then it is
 * opened, looked at in every way, mended, and used. Nothing of that may crash, hang or read outside
 * the region, which lies between pages that are not there. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "look.h"
#include "region.h"
#include "seed.h"

#define REGION_BYTES (8 * REGION_MIB)
#define GUARD_BYTES  REGION_MIB
#define METADATA_MAX 1024u

struct fuzz {
    struct seed seed;
    uint8_t *memory;
    uint8_t *image;
    uint64_t spots[METADATA_MAX]; /* blocks of metadata */
    unsigned spot_count;
    uint64_t opened;
    uint64_t damaged;
    uint64_t mended;
    struct look look;
};

static void must(int64_t code, const char *what)
{
    if (code >= 0)
        return;
    printf("fuzz_test: %s: %lld\n", what, (long long)code);
    exit(1);
}

static void populate(struct vmfs *fs)
{
    static uint8_t value[70000];
    char path[300];
    must(vmfs_mkdir(fs, "/d", 0755), "mkdir");
    must(vmfs_mkdir(fs, "/d/e", 0755), "mkdir");
    for (unsigned index = 0; index < 300; index++) {
        snprintf(path, sizeof path, "/d/%0*u", (int)(1 + index % 90), index);
        must(vmfs_mknod(fs, path, VMFS_S_IFREG | 0644, 0), path);
    }
    for (unsigned index = 0; index < 6; index++) {
        snprintf(path, sizeof path, "/d/e/f%u", index);
        must(region_put_file(fs, path, 40000 * index, index), path);
    }
    struct vmfs_file *file;
    must(vmfs_file_open(fs, "/pieces", VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file), "open");
    for (unsigned index = 0; index < 260; index++)
        must(vmfs_file_pwrite(file, value, 4096, index * 8192), "pwrite");
    must(vmfs_file_close(file), "close");
    for (unsigned index = 0; index < 40; index++) {
        snprintf(path, sizeof path, "user.%u", index);
        must(vmfs_xattr_set(fs, "/pieces", 0, path, value, index * 100), path);
    }
    must(vmfs_symlink(fs, "pieces", "/short"), "symlink");
    must(vmfs_link(fs, "/pieces", "/d/link"), "link");
}

static void find_metadata(void *arg, const struct vmfs_map_range *range)
{
    struct fuzz *fuzz = arg;
    if (range->kind == VMFS_MAP_DATA || range->kind == VMFS_MAP_FREE ||
        range->kind == VMFS_MAP_LANE)
        return;
    for (uint64_t at = 0; at < range->length && fuzz->spot_count < METADATA_MAX; at += 4096)
        fuzz->spots[fuzz->spot_count++] = range->offset + at;
}

static int attach(struct fuzz *fuzz, uint32_t flags, struct vmfs **fs)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = flags;
    return vmfs_attach(fuzz->memory, REGION_BYTES, &options, fs);
}

static void prepare(struct fuzz *fuzz)
{
    struct vmfs *fs;
    uint8_t *memory = mmap(NULL, REGION_BYTES + 2 * GUARD_BYTES, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    fuzz->memory = memory + GUARD_BYTES;
    fuzz->image = malloc(REGION_BYTES);
    must(mprotect(fuzz->memory, REGION_BYTES, PROT_READ | PROT_WRITE), "mprotect");
    must(attach(fuzz, VMFS_CREATE, &fs), "format");
    populate(fs);
    must(vmfs_map(fs, VMFS_NO_OFFSET, find_metadata, fuzz), "map");
    must(vmfs_close(fs), "close");
    memcpy(fuzz->image, fuzz->memory, REGION_BYTES);
}

static void damage_word(struct fuzz *fuzz, uint64_t block)
{
    struct seed *seed = &fuzz->seed;
    uint64_t offset = block + seed_below(seed, 512) * 8;
    uint64_t before;
    memcpy(&before, fuzz->memory + offset, 8);
    const uint64_t words[] = {
        0,          ~(uint64_t)0, before + 1,      before - 1,
        before * 2, before << 32, seed_next(seed), seed_below(seed, REGION_BYTES / 4096) * 4096,
    };
    uint64_t word = words[seed_below(seed, sizeof words / sizeof words[0])];
    memcpy(fuzz->memory + offset, &word, 8);
}

static void damage(struct fuzz *fuzz)
{
    struct seed *seed = &fuzz->seed;
    uint64_t count = 1 + seed_below(seed, 12);
    memcpy(fuzz->memory, fuzz->image, REGION_BYTES);
    while (count--) {
        uint64_t block = fuzz->spots[seed_below(seed, fuzz->spot_count)];
        if (seed_chance(seed, 10))
            block = seed_below(seed, REGION_BYTES / 4096) * 4096;
        if (seed_chance(seed, 40))
            damage_word(fuzz, block);
        else if (seed_chance(seed, 95))
            fuzz->memory[block + seed_below(seed, 4096)] ^= (uint8_t)(1u << seed_below(seed, 8));
        else
            memcpy(fuzz->memory + block,
                   fuzz->image + fuzz->spots[seed_below(seed, fuzz->spot_count)], 4096);
    }
}

static void use(struct vmfs *fs, struct fuzz *fuzz)
{
    (void)region_put_file(fs, "/new", 100000, seed_next(&fuzz->seed));
    (void)vmfs_mkdir(fs, "/d/newdir", 0755);
    (void)vmfs_rename(fs, "/pieces", "/d/newdir/pieces", 0);
    (void)vmfs_unlink(fs, "/d/link");
    (void)region_remove_tree(fs, "/d");
}

static void round_of(struct fuzz *fuzz)
{
    struct vmfs_check_result result = {.problems = 0};
    struct vmfs *fs;
    damage(fuzz);
    alarm(60); /* a hang ends the test */
    if (attach(fuzz, 0, &fs) != 0)
        return;
    fuzz->opened++;
    if (!look_at(fs, &fuzz->look))
        must(-EBADMSG, "the map left a gap");
    must(vmfs_check(fs, NULL, NULL, &result), "check");
    fuzz->damaged += result.problems > 0;
    if (seed_chance(&fuzz->seed, 60) && vmfs_repair(fs, NULL, NULL, &result) == 0)
        fuzz->mended += result.problems == 0;
    use(fs, fuzz);
    must(vmfs_check(fs, NULL, NULL, &result), "check");
    (void)vmfs_close(fs);
    alarm(0);
}

/* Rounds do not depend on each other, so the one that dies can be replayed alone. */
static char fatal_text[160];

static void say_round(int number)
{
    ssize_t written = write(STDERR_FILENO, fatal_text, strlen(fatal_text));
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static void watch_signals(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGALRM, SIGFPE};
    for (unsigned index = 0; index < sizeof numbers / sizeof numbers[0]; index++)
        signal(numbers[index], say_round);
}

int main(int argc, char **argv)
{
    static struct fuzz fuzz;
    uint64_t first = 0;
    uint64_t seconds = 20;
    uint64_t rounds = UINT64_MAX;
    uint64_t value = seed_from_clock();
    for (int index = 1; index + 1 < argc; index += 2) {
        uint64_t number = strtoull(argv[index + 1], NULL, 0);
        if (strcmp(argv[index], "--seconds") == 0)
            seconds = number;
        if (strcmp(argv[index], "--rounds") == 0)
            rounds = number;
        if (strcmp(argv[index], "--seed") == 0)
            value = number;
        if (strcmp(argv[index], "--only") == 0) {
            first = number;
            rounds = number + 1;
        }
    }
    watch_signals();
    seed_init(&fuzz.seed, value);
    prepare(&fuzz);
    time_t end = time(NULL) + (time_t)seconds;
    uint64_t done = first;
    while (done < rounds && time(NULL) < end) {
        uint64_t own = seed_mix(value, done);
        seed_init(&fuzz.seed, own);
        snprintf(fatal_text, sizeof fatal_text,
                 "fuzz_test: died in round %llu; replay with --seed %llu --only %llu\n",
                 (unsigned long long)done, (unsigned long long)value, (unsigned long long)done);
        done++;
        round_of(&fuzz);
    }
    printf("fuzz_test --seed %llu: %llu rounds, %llu opened, %llu damaged, %llu mended\n",
           (unsigned long long)value, (unsigned long long)done, (unsigned long long)fuzz.opened,
           (unsigned long long)fuzz.damaged, (unsigned long long)fuzz.mended);
    return fuzz.damaged > (done - first) / 10 || first ? 0 : 1;
}
