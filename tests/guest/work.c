/* work.c -- durable small writes on several places, each call timed
 *
 *     work [--rounds N] [--calls N] [--only WORK] NAME=dir:FOLDER... NAME=region:FILE...
 *
 * A place is a folder of a mounted filesystem, reached by system calls, or a region that libvmfs opens itself. In each
 * round each work is done `calls` times on one place after the other, so that what is compared has met the same
 * moments of the machine. Prints for each place and work
 *     place=NAME work=WORK calls=N p50=NS p99=NS mean=NS first=NS
 * in nanoseconds by the monotonic clock, which are instructions in a guest with -icount shift=0. Reading the clock is
 * part of each: the work `clock` is that alone. `first` is the p50 of overwrites that were the first to reach their
 * 64 KiB of a file that was there before, which the others leave out; "-" where there is no such thing.
 *
 * A system has more than one way to make bytes durable; each has its own work here, and whoever compares takes the
 * fastest. Works through a mapping need one with MAP_SYNC. */
#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vmfs.h"

#define BLOCK_BYTES    4096u
#define RECORD_BYTES   64u
#define SMALL_BYTES    512u /* of a file that is created */
#define STRIDE_BYTES   65536u
#define FIRST_CALLS    128u /* overwrites until all of the file was reached once */
#define FILE_BYTES     ((uint64_t)STRIDE_BYTES * FIRST_CALLS)
#define RECORDS_BYTES  65536u
#define PLACES_MAX     16u
#define NAME_BYTES_MAX 64u

struct place {
    const char *name;
    const char *path;
    bool is_region;
    /* A folder's. */
    int folder;
    int plain, dsync;              /* the file that is overwritten, twice */
    int append, append_dsync;      /* two files */
    int record;                    /* O_DSYNC */
    char *mapped, *mapped_records; /* null where there is no MAP_SYNC */
    uint64_t appended, appended_dsync;
    /* A region's. */
    struct vmfs *fs;
    struct vmfs_file *file, *grown, *records;
};

/* What the call to be timed writes, and the name that it creates. */
static char block[BLOCK_BYTES];
static char small_name[NAME_BYTES_MAX];

static void must(bool is_good, const struct place *place, const char *what)
{
    if (is_good)
        return;
    fprintf(stderr, "work: %s: %s: %s\n", place->name, what, strerror(errno));
    exit(1);
}

static void must_call(int code, const struct place *place, const char *what)
{
    errno = -code;
    must(code == 0, place, what);
}

/* ---- the works ---- */

static uint64_t overwrite_at(unsigned call)
{
    return (uint64_t)(call % FIRST_CALLS) * STRIDE_BYTES;
}

static uint64_t record_at(unsigned call)
{
    return (uint64_t)call * RECORD_BYTES % RECORDS_BYTES;
}

static bool nothing(struct place *place, unsigned call)
{
    (void)place;
    (void)call;
    return true;
}

static bool folder_overwrite_dsync(struct place *place, unsigned call)
{
    return pwrite(place->dsync, block, BLOCK_BYTES, (off_t)overwrite_at(call)) == BLOCK_BYTES;
}

static bool folder_overwrite_fdatasync(struct place *place, unsigned call)
{
    return pwrite(place->plain, block, BLOCK_BYTES, (off_t)overwrite_at(call)) == BLOCK_BYTES &&
           fdatasync(place->plain) == 0;
}

static bool folder_overwrite_mapped(struct place *place, unsigned call)
{
    pmem_memcpy_persist(place->mapped + overwrite_at(call), block, BLOCK_BYTES);
    return true;
}

static bool folder_append_dsync(struct place *place, unsigned call)
{
    (void)call;
    off_t end = (off_t)place->appended_dsync;
    place->appended_dsync += BLOCK_BYTES;
    return pwrite(place->append_dsync, block, BLOCK_BYTES, end) == BLOCK_BYTES;
}

static bool folder_append_fdatasync(struct place *place, unsigned call)
{
    (void)call;
    off_t end = (off_t)place->appended;
    place->appended += BLOCK_BYTES;
    return pwrite(place->append, block, BLOCK_BYTES, end) == BLOCK_BYTES &&
           fdatasync(place->append) == 0;
}

static bool folder_create_fsync(struct place *place, unsigned call)
{
    (void)call;
    int file = openat(place->folder, small_name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    return file >= 0 && write(file, block, SMALL_BYTES) == SMALL_BYTES && fsync(file) == 0 &&
           close(file) == 0;
}

static bool folder_record_dsync(struct place *place, unsigned call)
{
    return pwrite(place->record, block, RECORD_BYTES, (off_t)record_at(call)) == RECORD_BYTES;
}

static bool folder_record_mapped(struct place *place, unsigned call)
{
    char *record = place->mapped_records + record_at(call);
    memcpy(record, block, RECORD_BYTES);
    pmem_persist(record, RECORD_BYTES);
    return true;
}

static bool region_overwrite(struct place *place, unsigned call)
{
    return vmfs_file_pwrite(place->file, block, BLOCK_BYTES, overwrite_at(call)) == BLOCK_BYTES;
}

static bool region_append(struct place *place, unsigned call)
{
    (void)call;
    return vmfs_file_write(place->grown, block, BLOCK_BYTES) == BLOCK_BYTES;
}

static bool region_create_fsync(struct place *place, unsigned call)
{
    (void)call;
    struct vmfs_file *file;
    return vmfs_file_open(place->fs, small_name, VMFS_O_CREAT | VMFS_O_EXCL | VMFS_O_WRONLY, 0600,
                          &file) == 0 &&
           vmfs_file_write(file, block, SMALL_BYTES) == SMALL_BYTES && vmfs_file_sync(file) == 0 &&
           vmfs_file_close(file) == 0;
}

static bool region_record(struct place *place, unsigned call)
{
    return vmfs_file_pwrite(place->records, block, RECORD_BYTES, record_at(call)) == RECORD_BYTES;
}

typedef bool (*work_fn)(struct place *place, unsigned call);

static const struct work {
    const char *name;
    work_fn in_folder; /* null: not done there */
    work_fn in_region;
    bool needs_mapping;
    unsigned first_calls;
} works[] = {
    {"clock", nothing, nothing, false, 0},
    {"overwrite4k", folder_overwrite_dsync, region_overwrite, false, FIRST_CALLS},
    {"overwrite4k_fdatasync", folder_overwrite_fdatasync, NULL, false, 0},
    {"overwrite4k_mapped", folder_overwrite_mapped, NULL, true, 0},
    {"append4k", folder_append_fdatasync, region_append, false, 0},
    {"append4k_dsync", folder_append_dsync, NULL, false, 0},
    {"create_fsync", folder_create_fsync, region_create_fsync, false, 0},
    {"record64", folder_record_dsync, region_record, false, 0},
    {"record64_mapped", folder_record_mapped, NULL, true, 0},
};
#define WORKS (sizeof works / sizeof *works)

static work_fn function_of(const struct work *work, const struct place *place)
{
    if (work->needs_mapping && place->mapped == NULL)
        return NULL;
    return place->is_region ? work->in_region : work->in_folder;
}

/* ---- places ---- */

static int folder_open(const struct place *place, const char *name, int flags)
{
    int file = openat(place->folder, name, flags | O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    must(file >= 0, place, name);
    return file;
}

/* A file that has all its bytes already, from an image, is left as it is: its first overwrites may cost more. */
static void folder_fill(const struct place *place, int file, uint64_t length)
{
    struct stat stat;
    must(fstat(file, &stat) == 0, place, "fstat");
    if ((uint64_t)stat.st_size == length)
        return;
    for (uint64_t at = 0; at < length; at += BLOCK_BYTES)
        must(pwrite(file, block, BLOCK_BYTES, (off_t)at) == BLOCK_BYTES, place, "write");
    must(fsync(file) == 0, place, "fsync");
}

/* Of a file of its own: writing into one that is mapped as well would take its pages out of the mapping. */
static char *folder_map(const struct place *place, const char *name, uint64_t length)
{
    int file = folder_open(place, name, 0);
    folder_fill(place, file, length);
    void *mapped =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, file, 0);
    must(close(file) == 0, place, name);
    return mapped == MAP_FAILED ? NULL : mapped;
}

static void folder_begin(struct place *place)
{
    place->folder = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(place->folder >= 0, place, place->path);
    place->plain = folder_open(place, "overwrite", 0);
    folder_fill(place, place->plain, FILE_BYTES);
    place->dsync = folder_open(place, "overwrite", O_DSYNC);
    place->append = folder_open(place, "append", O_TRUNC);
    place->append_dsync = folder_open(place, "append-dsync", O_TRUNC | O_DSYNC);
    place->record = folder_open(place, "records", O_DSYNC);
    folder_fill(place, place->record, RECORDS_BYTES);
    place->mapped = folder_map(place, "mapped", FILE_BYTES);
    place->mapped_records = folder_map(place, "mapped-records", RECORDS_BYTES);
}

static struct vmfs_file *region_open(const struct place *place, const char *name, uint64_t length)
{
    struct vmfs_file *file;
    must_call(
        vmfs_file_open(place->fs, name, VMFS_O_CREAT | VMFS_O_RDWR | VMFS_O_TRUNC, 0600, &file),
        place, name);
    for (uint64_t at = 0; at < length; at += BLOCK_BYTES)
        must(vmfs_file_pwrite(file, block, BLOCK_BYTES, at) == BLOCK_BYTES, place, "write");
    return file;
}

/* Only the level power has in it what the others are asked for. */
static void region_begin(struct place *place)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.durability = VMFS_DURABILITY_POWER;
    must_call(vmfs_open(place->path, &options, &place->fs), place, place->path);
    place->file = region_open(place, "overwrite", FILE_BYTES);
    place->grown = region_open(place, "append", 0);
    place->records = region_open(place, "records", RECORDS_BYTES);
}

static void region_end(struct place *place)
{
    must_call(vmfs_file_close(place->file), place, "close");
    must_call(vmfs_file_close(place->grown), place, "close");
    must_call(vmfs_file_close(place->records), place, "close");
    must_call(vmfs_close(place->fs), place, "close");
}

static void folder_end(struct place *place)
{
    const int files[] = {place->plain,        place->dsync,  place->append,
                         place->append_dsync, place->record, place->folder};
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        must(close(files[i]) == 0, place, "close");
}

/* NAME=dir:FOLDER or NAME=region:FILE; takes the text apart. */
static bool place_parse(char *text, struct place *out)
{
    char *kind = strchr(text, '=');
    char *path = kind == NULL ? NULL : strchr(kind, ':');
    if (path == NULL)
        return false;
    *kind++ = '\0';
    *path++ = '\0';
    *out = (struct place){.name = text, .path = path, .is_region = strcmp(kind, "region") == 0};
    return out->is_region || strcmp(kind, "dir") == 0;
}

/* ---- the run ---- */

struct run {
    unsigned rounds;
    unsigned calls; /* of each round */
    const char *only;
    struct place places[PLACES_MAX];
    unsigned place_count;
    uint64_t *samples; /* of each place and work, in this order, all calls */
};

static uint64_t *samples_of(const struct run *run, unsigned place, unsigned work)
{
    return run->samples + ((size_t)place * WORKS + work) * run->rounds * run->calls;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void measure(struct run *run, unsigned place, unsigned work, unsigned round)
{
    work_fn function = function_of(&works[work], &run->places[place]);
    uint64_t *samples = samples_of(run, place, work);
    if (function == NULL)
        return;
    for (unsigned call = round * run->calls; call < (round + 1) * run->calls; call++) {
        memcpy(block, &call, sizeof call);
        snprintf(small_name, sizeof small_name, "small-%06u", call);
        uint64_t start = now_ns();
        bool is_good = function(&run->places[place], call);
        samples[call] = now_ns() - start;
        must(is_good, &run->places[place], works[work].name);
    }
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static uint64_t quantile(const uint64_t *sorted, unsigned count, unsigned percent)
{
    return sorted[(uint64_t)(count - 1) * percent / 100];
}

static uint64_t mean(const uint64_t *samples, unsigned count)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += samples[i];
    return sum / count;
}

static void report(const struct run *run, unsigned place, unsigned work)
{
    unsigned count = run->rounds * run->calls;
    unsigned first = works[work].first_calls < count ? works[work].first_calls : count / 2;
    uint64_t *samples = samples_of(run, place, work);
    if (function_of(&works[work], &run->places[place]) == NULL)
        return;
    qsort(samples, first, sizeof *samples, compare);
    qsort(samples + first, count - first, sizeof *samples, compare);
    printf("place=%s work=%s calls=%u p50=%ju p99=%ju mean=%ju first=", run->places[place].name,
           works[work].name, count - first, (uintmax_t)quantile(samples + first, count - first, 50),
           (uintmax_t)quantile(samples + first, count - first, 99),
           (uintmax_t)mean(samples + first, count - first));
    if (first > 0)
        printf("%ju\n", (uintmax_t)quantile(samples, first, 50));
    else
        printf("-\n");
}

static bool is_wanted(const struct run *run, unsigned work)
{
    return run->only == NULL || strcmp(run->only, works[work].name) == 0;
}

static void run_all(struct run *run)
{
    for (unsigned round = 0; round < run->rounds; round++)
        for (unsigned work = 0; work < WORKS; work++)
            for (unsigned place = 0; is_wanted(run, work) && place < run->place_count; place++)
                measure(run, place, work, round);
    for (unsigned place = 0; place < run->place_count; place++)
        for (unsigned work = 0; work < WORKS; work++)
            if (is_wanted(run, work))
                report(run, place, work);
}

static bool parse(int argc, char **argv, struct run *run)
{
    *run = (struct run){.rounds = 20, .calls = 50};
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--rounds") == 0 && has_value)
            run->rounds = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--calls") == 0 && has_value)
            run->calls = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0 && has_value)
            run->only = argv[++i];
        else if (run->place_count == PLACES_MAX ||
                 !place_parse(argv[i], &run->places[run->place_count++]))
            return false;
    }
    return run->place_count > 0 && run->rounds > 0 && run->calls > 0;
}

int main(int argc, char **argv)
{
    struct run run;
    if (!parse(argc, argv, &run)) {
        fprintf(
            stderr,
            "work [--rounds N] [--calls N] [--only WORK] NAME=dir:FOLDER... NAME=region:FILE...\n");
        return 2;
    }
    run.samples = calloc((size_t)PLACES_MAX * WORKS * run.rounds * run.calls, sizeof *run.samples);
    must(run.samples != NULL, &run.places[0], "memory");
    for (unsigned i = 0; i < run.place_count; i++)
        (run.places[i].is_region ? region_begin : folder_begin)(&run.places[i]);
    run_all(&run);
    for (unsigned i = 0; i < run.place_count; i++)
        (run.places[i].is_region ? region_end : folder_end)(&run.places[i]);
    free(run.samples);
    return 0;
}
