/* kill_test.c -- SIGKILL while four threads change a region; nothing acknowledged may be lost
 *
 * kill_test [--kills N] [--seed S] [--delay-max-ms M] [--power] [-v]
 *
 * A forked child opens the region and runs four threads, each over its own directory, which count
 * every returned operation in shared memory. The parent kills it at a random instant, opens the
 * region, and replays the same operations on its own models: each directory must equal its model
 * after the acknowledged operations, or after one more. Each round continues on the region that the
 * last kill left behind; the trees of older rounds stay for a while and must not change. With --power the
 * region is at the level power over msync, and each kill is a power cut (power.h). */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "compare.h"
#include "in_flight.h"
#include "op.h"
#include "power.h"
#include "region.h"
#include "seed.h"

#define THREADS      4
#define ROUNDS_KEPT  3
#define REGION_BYTES (192 * REGION_MIB)
#define POWER_BYTES  (64 * REGION_MIB) /* looked through at each cut */
#define START_NS_MAX 20000000000

/* What the child tells the parent, in memory that outlives it. */
struct lane {
    _Alignas(64) _Atomic uint64_t acked;
    _Atomic bool is_started;
};

struct shared {
    struct lane lanes[THREADS];
    _Atomic bool is_failed;
    char failure[1024];
};

/* The trees that one round made, as they must be. */
struct round {
    uint64_t number;
    struct op_world worlds[THREADS];
};

struct kill_test {
    uint64_t seed;
    uint64_t kills;
    uint64_t delay_ms_max;
    bool is_verbose;
    bool is_power;
    char region[REGION_PATH_MAX];
    struct shared *shared;
    struct round *rounds[ROUNDS_KEPT]; /* the newest first; null where there is none yet */
    struct seed choices;
    uint64_t killed;
    uint64_t with_records;
    uint64_t acked_total;
    uint64_t sectors_lost;
};

/* One thread of the child. */
struct worker {
    struct kill_test *test;
    struct vmfs *fs;
    struct round *round;
    unsigned thread;
    struct op op;
    struct op_result vmfs_result;
    struct op_result model_result;
};

static const struct op_profile profile = {
    .names_max = 60,
    .file_max = 65536,
    .sparse_max = (uint64_t)1 << 30,
    .name_range = 48,
    .messy = 0,
    .has_outside = false,
    .is_changing = true,
};

static struct seed start_stream(const struct kill_test *test, uint64_t round, unsigned thread)
{
    struct seed stream;
    seed_init(&stream, seed_mix(seed_mix(test->seed, round), thread));
    return stream;
}

static void tree_path(char path[64], uint64_t round, unsigned thread)
{
    snprintf(path, 64, "/r%llu/t%u", (unsigned long long)round, thread);
}

/* ------------------------------------------------------------------------------- the child --- */

static void __attribute__((noreturn)) fail_child(struct kill_test *test, const char *what)
{
    if (!atomic_exchange(&test->shared->is_failed, true))
        snprintf(test->shared->failure, sizeof(test->shared->failure), "%s", what);
    _exit(1);
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;
    struct kill_test *test = worker->test;
    struct lane *lane = &test->shared->lanes[worker->thread];
    struct op_world *world = &worker->round->worlds[worker->thread];
    char prefix[64];
    char text[700];
    tree_path(prefix, worker->round->number, worker->thread);
    struct op_world region = {.fs = worker->fs, .prefix = prefix};
    struct seed stream = start_stream(test, worker->round->number, worker->thread);
    atomic_store(&lane->is_started, true);
    for (;;) {
        op_generate(&worker->op, world, &stream, &profile);
        op_run_vmfs(&worker->op, &region, &worker->vmfs_result);
        op_run_model(&worker->op, world, worker->vmfs_result.code, &worker->model_result);
        if (!op_results_agree(&worker->op, &worker->vmfs_result, &worker->model_result, text,
                              sizeof(text)))
            fail_child(test, text);
        atomic_fetch_add(&lane->acked, 1);
    }
    return NULL;
}

/* Removes the trees that are no longer kept and makes this round's directories. */
static int prepare_region(struct vmfs *fs, uint64_t number)
{
    char path[64];
    if (number >= ROUNDS_KEPT) {
        snprintf(path, sizeof(path), "/r%llu", (unsigned long long)(number - ROUNDS_KEPT));
        int err = region_remove_tree(fs, path);
        if (err != 0)
            return err;
    }
    snprintf(path, sizeof(path), "/r%llu", (unsigned long long)number);
    int err = vmfs_mkdir(fs, path, 0755);
    for (unsigned i = 0; i < THREADS && err == 0; i++) {
        tree_path(path, number, i);
        err = vmfs_mkdir(fs, path, 0755);
    }
    return err;
}

static void __attribute__((noreturn)) run_child(struct kill_test *test, struct round *round)
{
    struct vmfs *fs;
    char text[128];
    int err = region_open(test->region, 0, NULL, &fs);
    if (err == 0)
        err = prepare_region(fs, round->number);
    if (err != 0) {
        snprintf(text, sizeof(text), "the child could not open or prepare the region: %d", err);
        fail_child(test, text);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_t thread;
        struct worker *worker = model_allocate(sizeof(*worker));
        worker->test = test;
        worker->fs = fs;
        worker->round = round;
        worker->thread = i;
        if (pthread_create(&thread, NULL, run_worker, worker) != 0)
            fail_child(test, "pthread_create failed");
    }
    for (;;)
        pause();
}

/* ------------------------------------------------------------------------------ the killing --- */

static void sleep_ns(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000),
                            .tv_nsec = (long)(ns % 1000000000)};
    nanosleep(&time, NULL);
}

static bool wait_for_start(struct kill_test *test)
{
    uint64_t waited_ns = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        while (!atomic_load(&test->shared->lanes[i].is_started)) {
            if (atomic_load(&test->shared->is_failed) || waited_ns > START_NS_MAX)
                return false;
            sleep_ns(50000);
            waited_ns += 50000;
        }
    }
    return true;
}

/* Runs one child and kills it. False if it ended in another way. */
static bool kill_child(struct kill_test *test, struct round *round)
{
    memset(test->shared, 0, sizeof(*test->shared));
    power_begin(test->region);
    pid_t pid = fork();
    if (pid == 0)
        run_child(test, round);
    if (pid < 0)
        return false;
    bool is_running = wait_for_start(test);
    uint64_t range_ns = (test->delay_ms_max - 1) * 1000000 + 1;
    if (is_running)
        sleep_ns(1000000 + seed_below(&test->choices, range_ns));
    kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    test->sectors_lost += power_cut(test->region, &test->choices);
    if (is_running && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
        !atomic_load(&test->shared->is_failed))
        return true;
    printf("the child failed: %s (status 0x%x)\n",
           test->shared->failure[0] != '\0' ? test->shared->failure : "it died or did not start",
           (unsigned)status);
    return false;
}

/* Recovers in a process that is killed as well, most often within the recovery. */
static void kill_recovery(struct kill_test *test)
{
    power_begin(test->region);
    pid_t pid = fork();
    if (pid == 0) {
        struct vmfs *fs;
        region_open(test->region, 0, NULL, &fs);
        for (;;)
            pause();
    }
    sleep_ns(seed_below(&test->choices, 1500000));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    test->sectors_lost += power_cut(test->region, &test->choices);
}

/* ---------------------------------------------------------------------------- the verifying --- */

static void replay_acked(struct kill_test *test, struct round *round, struct worker *worker)
{
    struct op_world *world = &round->worlds[worker->thread];
    struct seed stream = start_stream(test, round->number, worker->thread);
    uint64_t acked = atomic_load(&test->shared->lanes[worker->thread].acked);
    for (uint64_t i = 0; i < acked; i++) {
        op_generate(&worker->op, world, &stream, &profile);
        op_run_model(&worker->op, world, OP_DATA_MAX, &worker->model_result);
    }
    op_generate(&worker->op, world, &stream, &profile);
    test->acked_total += acked;
}

/* The tree is as acknowledged, or with worker->op, the operation in flight. */
static bool verify_in_flight(struct vmfs *fs, struct round *round, struct worker *worker)
{
    char prefix[64];
    char text[2048];
    tree_path(prefix, round->number, worker->thread);
    if (in_flight_agrees(fs, prefix, &round->worlds[worker->thread], &worker->op,
                         &worker->model_result, text))
        return true;
    printf("LOST in round %llu, thread %u\n  %s\n", (unsigned long long)round->number,
           worker->thread, text);
    return false;
}

static bool verify_kept(struct vmfs *fs, const struct round *round)
{
    char prefix[64];
    char text[512];
    for (unsigned i = 0; i < THREADS; i++) {
        tree_path(prefix, round->number, i);
        if (compare_tree(fs, prefix, round->worlds[i].model, NULL, text) != 0) {
            printf("LOST: round %llu, thread %u, was intact before: %s\n",
                   (unsigned long long)round->number, i, text);
            return false;
        }
    }
    return true;
}

static bool verify_check(struct vmfs *fs)
{
    int64_t problems = region_check(fs);
    if (problems != 0)
        printf("vmfs_check found %lld problems\n", (long long)problems);
    return problems == 0;
}

static struct vmfs *open_region(struct kill_test *test, uint32_t flags)
{
    struct vmfs *fs;
    static struct region_log log; /* the handle tells it as long as it lives */
    int err = region_open(test->region, flags, &log, &fs);
    if (err == 0)
        return fs;
    printf("open of %s after a kill returned %d: %s\n", test->region, err, log.text);
    return NULL;
}

/* Verifies what the kill left, through a read-only handle, which stores nothing. */
static bool verify_killed(struct kill_test *test)
{
    struct vmfs *fs = open_region(test, VMFS_RDONLY);
    if (fs == NULL)
        return false;
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    bool is_good = vmfs_info(fs, &info) == 0 && verify_check(fs);
    struct round *newest = test->rounds[0];
    uint64_t acked_before = test->acked_total;
    struct worker *worker = model_allocate(sizeof(*worker));
    for (unsigned i = 0; i < THREADS && is_good; i++) {
        worker->thread = i;
        replay_acked(test, newest, worker);
        is_good = verify_in_flight(fs, newest, worker);
        op_close_slots(&newest->worlds[i]);
    }
    free(worker);
    for (unsigned i = 1; i < ROUNDS_KEPT && is_good; i++)
        is_good = test->rounds[i] == NULL || verify_kept(fs, test->rounds[i]);
    test->with_records += info.journal_records > 0 ? 1 : 0;
    if (test->is_verbose)
        printf("kill %llu: %llu operations acknowledged, %llu records unretired, %s\n",
               (unsigned long long)newest->number,
               (unsigned long long)(test->acked_total - acked_before),
               (unsigned long long)info.journal_records, is_good ? "intact" : "LOST");
    return vmfs_close(fs) == 0 && is_good;
}

/* Recovers for good and finds the very state that the read-only handle saw. */
static bool verify_recovered(struct kill_test *test)
{
    struct vmfs *fs = open_region(test, 0);
    if (fs == NULL)
        return false;
    bool is_good = verify_check(fs);
    for (unsigned i = 0; i < ROUNDS_KEPT && is_good; i++)
        is_good = test->rounds[i] == NULL || verify_kept(fs, test->rounds[i]);
    return vmfs_close(fs) == 0 && is_good;
}

/* -------------------------------------------------------------------------------- the rounds ---
 */

static struct round *create_round(uint64_t number)
{
    struct round *round = model_allocate(sizeof(*round));
    round->number = number;
    for (unsigned i = 0; i < THREADS; i++)
        round->worlds[i].model = model_create(geteuid(), getegid());
    return round;
}

static void destroy_round(struct round *round)
{
    if (round == NULL)
        return;
    for (unsigned i = 0; i < THREADS; i++) {
        op_close_slots(&round->worlds[i]);
        model_destroy(round->worlds[i].model);
    }
    free(round);
}

static bool run_round(struct kill_test *test, uint64_t number)
{
    destroy_round(test->rounds[ROUNDS_KEPT - 1]);
    memmove(test->rounds + 1, test->rounds, (ROUNDS_KEPT - 1) * sizeof(struct round *));
    test->rounds[0] = create_round(number);
    if (!kill_child(test, test->rounds[0]))
        return false;
    test->killed++;
    if (!verify_killed(test))
        return false;
    if (seed_chance(&test->choices, 40))
        kill_recovery(test);
    return seed_chance(&test->choices, 50) ? verify_recovered(test) : true;
}

static bool run_rounds(struct kill_test *test)
{
    struct vmfs *fs;
    struct region_log log;
    int err = region_format(test->region, test->is_power ? POWER_BYTES : REGION_BYTES, &log, &fs);
    if (err == 0)
        err = vmfs_close(fs);
    if (err != 0) {
        printf("format of %s returned %d: %s\n", test->region, err, log.text);
        return false;
    }
    for (uint64_t i = 0; i < test->kills; i++) {
        if (!run_round(test, i))
            return false;
    }
    return verify_recovered(test);
}

static uint64_t parse_number(const char *text, const char *option)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 0);
    if (errno != 0 || *end != '\0' || end == text) {
        fprintf(stderr, "kill_test: %s: '%s' is not a number\n", option, text);
        exit(2);
    }
    return number;
}

static void parse_options(struct kill_test *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "-v") == 0) {
            test->is_verbose = true;
        } else if (strcmp(argv[i], "--power") == 0) {
            test->is_power = true;
            power_use(POWER_BYTES);
        } else if (has_value && strcmp(argv[i], "--kills") == 0) {
            test->kills = parse_number(argv[++i], "--kills");
        } else if (has_value && strcmp(argv[i], "--seed") == 0) {
            test->seed = parse_number(argv[++i], "--seed");
        } else if (has_value && strcmp(argv[i], "--delay-max-ms") == 0) {
            test->delay_ms_max = parse_number(argv[++i], "--delay-max-ms");
        } else {
            fprintf(stderr, "usage: kill_test [--kills N] [--seed S] [--delay-max-ms M] [--power] "
                            "[-v]\n");
            exit(2);
        }
    }
    if (test->delay_ms_max == 0)
        test->delay_ms_max = 1;
}

int main(int argc, char **argv)
{
    region_force_pmem(argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct kill_test test = {.seed = seed_from_clock(), .kills = 20, .delay_ms_max = 60};
    parse_options(&test, argc, argv);
    seed_init(&test.choices, seed_mix(test.seed, UINT64_MAX));
    region_path(test.region, "kill");
    test.shared =
        mmap(NULL, sizeof(*test.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (test.shared == MAP_FAILED) {
        perror("kill_test: mmap");
        return 1;
    }
    bool is_good = run_rounds(&test);
    bool has_records = test.with_records * 4 >= test.killed * 3;
    if (is_good && !has_records)
        printf("too few kills left unretired records: the test proves little\n");
    printf("kills=%llu lost=%d with_records=%llu acked=%llu sectors_lost=%llu seed=%llu\n",
           (unsigned long long)test.killed, is_good ? 0 : 1, (unsigned long long)test.with_records,
           (unsigned long long)test.acked_total, (unsigned long long)test.sectors_lost,
           (unsigned long long)test.seed);
    if (!is_good)
        printf("the region is kept at %s; again: kill_test%s --seed %llu --kills %llu\n",
               test.region, test.is_power ? " --power" : "", (unsigned long long)test.seed,
               (unsigned long long)test.kills);
    else
        unlink(test.region);
    for (unsigned i = 0; i < ROUNDS_KEPT; i++)
        destroy_round(test.rounds[i]);
    return is_good && has_records ? 0 : 1;
}
