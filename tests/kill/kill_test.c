/* kill_test.c -- SIGKILL while four threads change a region; nothing acknowledged may be lost
 *
 * kill_test [--kills N] [--seed S] [--delay-max-ms M] [--power] [-v]
 *
 * A forked child is the writer (writer.h). The parent kills it at a random instant, opens the region and
 * is the judge (judge.h). Each round continues on the region that the last kill left behind; the trees of
 * older rounds stay for a while and must not change. With --power the region is at the level power over
 * msync, and each kill is a power cut (power.h). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "judge.h"
#include "number.h"
#include "power.h"
#include "region.h"
#include "writer.h"

#define REGION_BYTES (192 * REGION_MIB)
#define POWER_BYTES  (64 * REGION_MIB) /* looked through at each cut */
#define START_NS_MAX 20000000000

struct kill_test {
    uint64_t seed;
    uint64_t kills;
    uint64_t delay_ms_max;
    bool is_verbose;
    bool is_power;
    char region[REGION_PATH_MAX];
    struct kill_told *told;
    struct kill_judge judge;
    struct seed choices;
    uint64_t killed;
    uint64_t with_records;
    uint64_t sectors_lost;
};

/* ------------------------------------------------------------------------------ the killing --- */

static void sleep_ns(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000),
                            .tv_nsec = (long)(ns % 1000000000)};
    nanosleep(&time, NULL);
}

static bool wait_for_start(struct kill_test *test, uint64_t round)
{
    for (uint64_t waited_ns = 0; atomic_load(&test->told->next) == round; waited_ns += 50000) {
        if (atomic_load(&test->told->is_failed) || waited_ns > START_NS_MAX)
            return false;
        sleep_ns(50000);
    }
    return true;
}

static void __attribute__((noreturn)) run_child(struct kill_test *test)
{
    const struct kill_writer_options options = {.seconds = 0};
    _exit(kill_write(test->told, test->region, &options));
}

/* Runs one child and kills it. False if it ended in another way. */
static bool kill_child(struct kill_test *test)
{
    uint64_t round = atomic_load(&test->told->next);
    power_begin(test->region);
    pid_t pid = fork();
    if (pid == 0)
        run_child(test);
    if (pid < 0)
        return false;
    bool is_running = wait_for_start(test, round);
    uint64_t range_ns = (test->delay_ms_max - 1) * 1000000 + 1;
    if (is_running)
        sleep_ns(1000000 + seed_below(&test->choices, range_ns));
    kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    test->sectors_lost += power_cut(test->region, &test->choices);
    if (is_running && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
        !atomic_load(&test->told->is_failed))
        return true;
    printf("the child failed: %s (status 0x%x)\n",
           test->told->failure[0] != '\0' ? test->told->failure : "it died or did not start",
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
    uint64_t acked_before = test->judge.acked;
    bool is_good = vmfs_info(fs, &info) == 0 && kill_judge(&test->judge, fs);
    test->with_records += info.journal_records > 0 ? 1 : 0;
    if (test->is_verbose)
        printf("kill %llu: %llu operations acknowledged, %llu records unretired, %s\n",
               (unsigned long long)test->killed - 1,
               (unsigned long long)(test->judge.acked - acked_before),
               (unsigned long long)info.journal_records, is_good ? "intact" : "LOST");
    return vmfs_close(fs) == 0 && is_good;
}

/* Recovers for good and finds the very state that the read-only handle saw. */
static bool verify_recovered(struct kill_test *test)
{
    struct vmfs *fs = open_region(test, 0);
    if (fs == NULL)
        return false;
    bool is_good = kill_judge(&test->judge, fs);
    return vmfs_close(fs) == 0 && is_good;
}

/* -------------------------------------------------------------------------------- the rounds --- */

static bool run_round(struct kill_test *test)
{
    if (!kill_child(test))
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
        if (!run_round(test))
            return false;
    }
    return verify_recovered(test);
}

static uint64_t parse_number(const char *text, const char *option)
{
    uint64_t number;
    if (!number_read(text, &number)) {
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
    test.told =
        mmap(NULL, sizeof(*test.told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (test.told == MAP_FAILED) {
        perror("kill_test: mmap");
        return 1;
    }
    test.told->seed = test.seed;
    test.judge.told = test.told;
    bool is_good = run_rounds(&test);
    bool has_records = test.with_records * 4 >= test.killed * 3;
    if (is_good && !has_records)
        printf("too few kills left unretired records: the test proves little\n");
    printf("kills=%llu lost=%d with_records=%llu acked=%llu sectors_lost=%llu seed=%llu\n",
           (unsigned long long)test.killed, is_good ? 0 : 1, (unsigned long long)test.with_records,
           (unsigned long long)test.judge.acked, (unsigned long long)test.sectors_lost,
           (unsigned long long)test.seed);
    if (!is_good)
        printf("the region is kept at %s; again: kill_test%s --seed %llu --kills %llu\n",
               test.region, test.is_power ? " --power" : "", (unsigned long long)test.seed,
               (unsigned long long)test.kills);
    else
        unlink(test.region);
    kill_judge_end(&test.judge);
    return is_good && has_records ? 0 : 1;
}
