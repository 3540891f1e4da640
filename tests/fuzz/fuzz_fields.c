/* fuzz_fields.c -- images with changed fields, run one after the other
 *
 * fuzz_fields [--runs N] [--images N] [--seconds S] [--seed S] [--from INDEX]
 * fuzz_fields --corpus FILE...     every token of the files
 * fuzz_fields --replay TOKEN       one image, with what is found and mended
 * fuzz_fields --replay FILE        the same for the binary form that libFuzzer leaves
 * fuzz_fields --pack FILE...       binary inputs as tokens
 * fuzz_fields --unpack DIR FILE... tokens as binary inputs
 * fuzz_fields --seeds              what the seed images hold
 *
 * Every field of every structure is changed N times (100) by each verb; then random images follow until
 * there have been --images of them or --seconds are over. A child does the work, so that an image that
 * kills it costs no more than a line with its token. The exit code is 0 only if no rule was broken. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drive.h"
#include "plan.h"
#include "seed.h"

#define HANG_TICKS 10 /* seconds of processor time for one image */
#define DEATHS_MAX 200u
#define PROGRESS   100000u
#define LINES_MAX  4u /* about one rule and the same fields */

/* Shared with the child. */
struct shared {
    uint64_t next; /* the image that runs, or is to be run */
    uint64_t images;
    uint64_t mended;
    uint64_t opened;
    uint64_t opened_mended;
    uint64_t damaged;
    uint64_t repaired;
    uint64_t no_space;
    uint64_t failures;
    uint8_t told[1u << 16]; /* lines, by a hash of rule and field */
    uint64_t slowest_us;
    char slowest[INPUT_TOKEN_BYTES];
    char token[INPUT_TOKEN_BYTES]; /* of the image that runs */
};

static struct shared *shared;
static struct seed_image *images[SEED_COUNT];
static unsigned ticks;
static uint64_t tick_image;

static struct {
    uint64_t runs;
    uint64_t images;
    uint64_t seconds;
    uint64_t seed;
} options = {.runs = 100, .seed = 1};

/* Freed memory need not be kept as long as in a program that runs but once. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "quarantine_size_mb=8:detect_leaks=0";
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void tick(int number)
{
    (void)number;
    if (tick_image != shared->images) {
        tick_image = shared->images;
        ticks = 0;
    } else if (++ticks >= HANG_TICKS) {
        static const char text[] = "fuzz_fields: it hangs\n";
        ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
        (void)written;
        abort();
    }
}

static void watch_time(void)
{
    const struct itimerval every = {{1, 0}, {1, 0}};
    signal(SIGPROF, tick);
    setitimer(ITIMER_PROF, &every, NULL);
}

static void count(const struct drive_result *result, uint64_t us)
{
    shared->images++;
    shared->mended += result->is_mended;
    shared->opened += result->is_open;
    shared->opened_mended += result->is_open && result->is_mended;
    shared->damaged += result->is_damaged;
    shared->repaired += result->is_damaged && result->is_repaired;
    shared->no_space += result->repair_error == -ENOSPC;
    if (shared->images % PROGRESS == 0) {
        printf("%llu images\n", (unsigned long long)shared->images);
        fflush(stdout);
    }
    if (us > shared->slowest_us) {
        shared->slowest_us = us;
        memcpy(shared->slowest, shared->token, sizeof shared->slowest);
    }
}

static bool may_tell(const struct input *input, const char *rule)
{
    uint64_t hash = (uintptr_t)rule;
    for (unsigned index = 0; index < input->count && index < 1; index++)
        hash = seed_mix(hash, (uint64_t)input->mutations[index].kind << 8 |
                                  input->mutations[index].field);
    uint8_t *told = &shared->told[hash % sizeof shared->told];
    if (*told == LINES_MAX)
        return false;
    ++*told;
    return true;
}

static void run(const struct input *input)
{
    struct drive_result result;
    input_print(input, shared->token);
    double start = now();
    drive(images, input, &result);
    count(&result, (uint64_t)((now() - start) * 1e6));
    if (!result.broken)
        return;
    shared->failures++;
    if (may_tell(input, result.broken))
        printf("BROKEN %s (open %d, repair %d): %s\n", result.broken, result.open_error,
               result.repair_error, shared->token);
    fflush(stdout);
}

/* ---- all images ---- */

static bool goes_on(const struct plan *plan, double end)
{
    if (shared->next < plan_sweep(plan))
        return true;
    return shared->next < options.images || now() < end;
}

static void run_plan(const struct plan *plan, double end)
{
    struct input input;
    for (; goes_on(plan, end); shared->next++) {
        plan_input(plan, shared->next, &input);
        run(&input);
    }
}

static void run_files(char *const *files)
{
    static char line[2 * INPUT_TOKEN_BYTES];
    struct input input;
    uint64_t number = 0;
    for (; *files; files++) {
        FILE *file = fopen(*files, "r");
        if (!file) {
            perror(*files);
            exit(1);
        }
        while (fgets(line, sizeof line, file)) {
            if (*line == '#' || *line == '\n' || number++ < shared->next)
                continue;
            shared->next = number - 1;
            if (input_parse(&input, line)) {
                printf("%s: not a token: %s", *files, line);
                exit(1);
            }
            run(&input);
            shared->next = number;
        }
        fclose(file);
    }
}

/* Runs `work` in children until one comes to its end. */
static unsigned survive(void (*work)(void *arg), void *arg)
{
    unsigned deaths = 0;
    for (;;) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            watch_time();
            work(arg);
            exit(0);
        }
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child)
            exit(1);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return deaths;
        printf("DIED with status %x at image %llu: %s\n", (unsigned)status,
               (unsigned long long)shared->next, shared->token);
        shared->next++;
        shared->images++;
        if (++deaths == DEATHS_MAX)
            return deaths;
    }
}

struct work {
    struct plan plan;
    double end;
    char *const *files; /* or null: the plan */
};

static void do_work(void *arg)
{
    struct work *work = arg;
    if (work->files)
        run_files(work->files);
    else
        run_plan(&work->plan, work->end);
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* Of processor time: others may be at work on this machine, too. */
static double processor_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static int all(char *const *files)
{
    double start = now();
    struct work work = {
        .plan = {.seed = options.seed, .runs = (unsigned)options.runs, .images = images},
        .end = start + (double)options.seconds,
        .files = files};
    unsigned deaths = survive(do_work, &work);
    double seconds = processor_seconds();
    uint64_t done = shared->images;
    printf("slowest image: %llu us: %s\n", (unsigned long long)shared->slowest_us, shared->slowest);
    printf("fuzz_fields --seed %llu: fields=%u verbs=%u images=%llu mended=%.1f%% "
           "mended_and_open=%.1f%% open=%.1f%% damaged=%llu repaired=%llu no_space=%llu "
           "images_per_s=%.0f broken=%llu died=%u\n",
           (unsigned long long)options.seed, atlas_field_count, (unsigned)INPUT_VERBS_END,
           (unsigned long long)done, share(shared->mended, done),
           share(shared->opened_mended, done), share(shared->opened, done),
           (unsigned long long)shared->damaged, (unsigned long long)shared->repaired,
           (unsigned long long)shared->no_space, (double)done / seconds,
           (unsigned long long)shared->failures, deaths);
    return shared->failures || deaths ? 1 : 0;
}

/* ---- one image, and its forms ---- */

static bool read_binary(const char *path, struct input *out)
{
    uint8_t bytes[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    size_t got = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    input_decode(out, bytes, got);
    return true;
}

static int replay(const char *what)
{
    struct input input;
    if (!read_binary(what, &input) && input_parse(&input, what)) {
        printf("neither a file nor a token: %s\n", what);
        return 2;
    }
    drive_tell();
    watch_time();
    run(&input);
    printf("%s\nopened=%llu mended=%llu damaged=%llu repaired=%llu\n", shared->token,
           (unsigned long long)shared->opened, (unsigned long long)shared->mended,
           (unsigned long long)shared->damaged, (unsigned long long)shared->repaired);
    return shared->failures ? 1 : 0;
}

static int pack(char *const *files)
{
    struct input input;
    for (; *files; files++) {
        if (!read_binary(*files, &input))
            return 1;
        input_print(&input, shared->token);
        puts(shared->token);
    }
    return 0;
}

static int unpack(const char *dir, char *const *files)
{
    static char line[2 * INPUT_TOKEN_BYTES];
    char path[300];
    unsigned number = 0;
    for (; *files; files++) {
        FILE *file = fopen(*files, "r");
        while (file && fgets(line, sizeof line, file)) {
            struct input input;
            uint8_t bytes[INPUT_BYTES_MAX];
            if (input_parse(&input, line))
                continue;
            snprintf(path, sizeof path, "%s/%05u", dir, number++);
            FILE *out = fopen(path, "wb");
            if (!out || fwrite(bytes, input_encode(&input, bytes), 1, out) != 1 || fclose(out))
                return 1;
        }
        if (!file || fclose(file))
            return 1;
    }
    return 0;
}

static int tell_seeds(void)
{
    for (unsigned index = 0; index < SEED_COUNT; index++) {
        const struct atlas *atlas = &images[index]->atlas;
        printf("%s: %u structures:", seed_names[index], atlas->count);
        for (unsigned kind = 0; kind < ATLAS_KINDS; kind++)
            printf(" %s=%u", atlas_kind_names[kind], atlas->kind_count[kind]);
        printf("\n");
    }
    return 0;
}

static bool set_option(const char *name, const char *value)
{
    const struct {
        const char *name;
        uint64_t *place;
    } known[] = {
        {"--runs", &options.runs}, {"--images", &options.images}, {"--seconds", &options.seconds},
        {"--seed", &options.seed}, {"--from", &shared->next},
    };
    for (unsigned index = 0; index < sizeof known / sizeof known[0]; index++)
        if (strcmp(name, known[index].name) == 0) {
            *known[index].place = strtoull(value, NULL, 0);
            return true;
        }
    return false;
}

/* The first argument says what is done; without one all images are run. */
static int do_mode(char **argv)
{
    const char *mode = argv[1] ? argv[1] : "";
    const char *next = *mode && argv[2] ? argv[2] : "";
    if (strcmp(mode, "--corpus") == 0)
        return all(argv + 2);
    if (strcmp(mode, "--replay") == 0)
        return replay(next);
    if (strcmp(mode, "--pack") == 0)
        return pack(argv + 2);
    if (strcmp(mode, "--unpack") == 0 && *next)
        return unpack(next, argv + 3);
    if (strcmp(mode, "--seeds") == 0)
        return tell_seeds();
    for (; argv[1] && argv[2]; argv += 2)
        if (!set_option(argv[1], argv[2]))
            break;
    if (argv[1] || options.runs == 0) {
        fprintf(stderr, "fuzz_fields: what is '%s'?\n", argv[1] ? argv[1] : "--runs 0");
        return 2;
    }
    return all(NULL);
}

int main(int argc, char **argv)
{
    (void)argc;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    seeds_make(images);
    const char *lack = seeds_lack(images);
    if (lack) {
        printf("the seeds are not complete: %s\n", lack);
        return 1;
    }
    return do_mode(argv);
}
