/* kill_mount.c -- SIGKILL of vmfs-fuse under load; no call that has returned may be lost
 *
 * kill_mount --mount VMFS_FUSE [--options O] [--clients] [--kills N] [--seed S] [--delay-max-ms M] [-v]
 *
 * Processes change a tree each on the mount and count every call that returned, in memory that is not
 * the mount's. At a random instant the daemon is killed. The region, which must check, then holds each
 * tree as its model has it after the counted calls, or after one more; and so does the mount, when
 * vmfs-fuse is started again on the dead mountpoint, where the next round goes on. At times that start is
 * killed, too. With --clients the processes are killed in place of the daemon, each in the middle of a call,
 * and it is unmounted: nothing that they had open may be left. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "in_flight.h"
#include "mount.h"
#include "number.h"
#include "private.h"
#include "shared.h"

#define WORKERS      4
#define ROUNDS_KEPT  2
#define START_NS_MAX 20000000000
#define CUT_NS_MAX   40000000
#define REGION_BYTES (192 * REGION_MIB)

/* What the workers tell, in memory that outlives them. */
struct told {
    struct {
        _Alignas(64) _Atomic uint64_t acked;
    } workers[WORKERS];
    _Atomic bool is_killing; /* from here on a call may fail */
    _Atomic bool is_failed;
    char failure[1400];
};

struct round {
    uint64_t number;
    struct private_tree *trees[WORKERS];
};

struct kill_mount {
    const char *program;
    const char *options;
    uint64_t kills;
    uint64_t seed;
    uint64_t delay_ms_max;
    bool is_verbose;
    bool kills_clients;
    struct mount mount;
    struct told *told;
    struct round rounds[ROUNDS_KEPT]; /* the newest first; without trees where there is none yet */
    struct seed choices;
    uint64_t killed;
    uint64_t acked_total;
    uint64_t with_records;
};

static const struct op_profile profile = {
    .names_max = 60,
    .file_max = 65536,
    .sparse_max = (uint64_t)1 << 30,
    .name_range = 48,
    .is_changing = true,
};

/* Below the root of the region if `dir` is "". */
static void tree_path(const char *dir, uint64_t round, unsigned worker,
                      char path[REGION_PATH_MAX + 64])
{
    snprintf(path, REGION_PATH_MAX + 64, "%s/r%llu/t%u", dir, (unsigned long long)round, worker);
}

static void round_path(const struct kill_mount *test, uint64_t round,
                       char path[REGION_PATH_MAX + 64])
{
    snprintf(path, REGION_PATH_MAX + 64, "%s/r%llu", test->mount.dir, (unsigned long long)round);
}

static struct private_tree *create_tree(const struct kill_mount *test, uint64_t round,
                                        unsigned worker)
{
    return private_create(seed_mix(seed_mix(test->seed, round), worker), &profile, true);
}

static void sleep_ns(uint64_t ns)
{
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    nanosleep(&time, NULL);
}

/* ------------------------------------------------------------------------------- the workers --- */

static void fail_worker(struct told *told, const char *text)
{
    if (!atomic_load(&told->is_killing) && !atomic_exchange(&told->is_failed, true))
        snprintf(told->failure, sizeof(told->failure), "%s", text);
}

static void __attribute__((noreturn)) run_worker(struct kill_mount *test, unsigned worker)
{
    char path[REGION_PATH_MAX + 64];
    char text[1400] = "cannot enter its tree";
    struct told *told = test->told;
    struct private_tree *tree = create_tree(test, test->rounds[0].number, worker);
    tree_path(test->mount.dir, test->rounds[0].number, worker, path);
    bool is_good = host_enter(path);
    while (is_good) {
        private_draw(tree);
        private_apply(tree);
        is_good = host_run(&tree->op, &tree->world, &tree->result, text, sizeof(text));
        if (is_good)
            atomic_fetch_add(&told->workers[worker].acked, 1);
    }
    fail_worker(told, text);
    _exit(0);
}

static bool has_started(const struct kill_mount *test)
{
    for (unsigned i = 0; i < WORKERS; i++)
        if (atomic_load(&test->told->workers[i].acked) == 0)
            return false;
    return true;
}

/* Runs the workers of one round and kills the daemon under them. */
static bool kill_under_load(struct kill_mount *test)
{
    struct told *told = test->told;
    pid_t pids[WORKERS];
    memset(told, 0, sizeof(*told));
    fflush(stdout);
    for (unsigned i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            run_worker(test, i);
    }
    for (uint64_t waited = 0; !has_started(test) && waited < START_NS_MAX; waited += 1000000)
        sleep_ns(1000000);
    sleep_ns(1000000 + seed_below(&test->choices, test->delay_ms_max * 1000000));
    atomic_store(&told->is_killing, true);
    if (!test->kills_clients)
        kill(test->mount.daemon, SIGKILL);
    for (unsigned i = 0; i < WORKERS; i++) {
        if (test->kills_clients)
            kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    if (atomic_load(&told->is_failed))
        printf("a worker failed before the kill: %s\n", told->failure);
    return !atomic_load(&told->is_failed) &&
           (test->kills_clients ? mount_end(&test->mount) : mount_killed(&test->mount));
}

/* ----------------------------------------------------------------------------- the verifying --- */

/* The models after the counted calls; the next operation of each is drawn and may be there as well. */
static void replay_acked(struct kill_mount *test)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        struct private_tree *tree = test->rounds[0].trees[i];
        uint64_t acked = atomic_load(&test->told->workers[i].acked);
        while (tree->done < acked) {
            private_draw(tree);
            private_apply(tree);
        }
        private_draw(tree);
        test->acked_total += acked;
    }
}

static bool verify_newest(struct kill_mount *test, struct vmfs *fs)
{
    char path[REGION_PATH_MAX + 64];
    char text[2048];
    bool is_good = true;
    for (unsigned i = 0; i < WORKERS && is_good; i++) {
        struct private_tree *tree = test->rounds[0].trees[i];
        tree_path("", test->rounds[0].number, i, path);
        is_good = in_flight_agrees(fs, path, &tree->world, &tree->op, &tree->result, text);
        if (!is_good)
            printf("LOST in %s after %llu calls: %s\n", path, (unsigned long long)tree->done, text);
        private_settle(tree);
    }
    return is_good;
}

static bool verify_older(struct kill_mount *test, struct vmfs *fs)
{
    char path[REGION_PATH_MAX + 64];
    bool is_good = true;
    for (unsigned round = 1; round < ROUNDS_KEPT && is_good; round++)
        for (unsigned i = 0; i < WORKERS && is_good && test->rounds[round].trees[i] != NULL; i++) {
            tree_path("", test->rounds[round].number, i, path);
            is_good = private_agrees(test->rounds[round].trees[i], fs, path);
        }
    return is_good;
}

static bool verify_region(struct kill_mount *test)
{
    struct vmfs *fs = mount_look(&test->mount);
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    if (fs == NULL)
        return false;
    replay_acked(test);
    bool is_good = vmfs_info(fs, &info) == 0 && verify_newest(test, fs) && verify_older(test, fs);
    test->with_records += info.journal_records > 0 ? 1 : 0;
    if (is_good && test->kills_clients && info.orphans != 0) {
        printf("%llu files without a name are left after unmounting\n",
               (unsigned long long)info.orphans);
        is_good = false;
    }
    return vmfs_close(fs) == 0 && is_good && mount_check(&test->mount);
}

/* The same trees through the mount, each looked at by a process that enters it. */
static bool verify_mounted(struct kill_mount *test)
{
    char path[REGION_PATH_MAX + 64];
    char text[1400];
    bool is_good = true;
    fflush(stdout);
    for (unsigned i = 0; i < WORKERS; i++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            tree_path(test->mount.dir, test->rounds[0].number, i, path);
            bool is_fine = host_enter(path) &&
                           host_compare(test->rounds[0].trees[i]->world.model, text, sizeof(text));
            if (!is_fine)
                printf("mounted again, %s: %s\n", path, text);
            fflush(stdout);
            _exit(is_fine ? 0 : 1);
        }
        waitpid(pid, &status, 0);
        is_good = is_good && status == 0;
    }
    return is_good;
}

/* -------------------------------------------------------------------------------- the rounds --- */

static void destroy_round(struct round *round)
{
    for (unsigned i = 0; i < WORKERS; i++)
        private_destroy(round->trees[i]);
    *round = (struct round){0};
}

/* Makes place for a round, and its directories on the mount. */
static bool begin_round(struct kill_mount *test, uint64_t number)
{
    char path[REGION_PATH_MAX + 64];
    struct round *oldest = &test->rounds[ROUNDS_KEPT - 1];
    round_path(test, oldest->number, path);
    if (oldest->trees[0] != NULL && !shared_remove(path))
        return false;
    destroy_round(oldest);
    memmove(test->rounds + 1, test->rounds, (ROUNDS_KEPT - 1) * sizeof(struct round));
    test->rounds[0] = (struct round){.number = number};
    round_path(test, number, path);
    bool is_good = mkdir(path, 0755) == 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        test->rounds[0].trees[i] = create_tree(test, number, i);
        tree_path(test->mount.dir, number, i, path);
        is_good = is_good && mkdir(path, 0755) == 0;
    }
    if (!is_good)
        printf("%s: %s\n", path, strerror(errno));
    return is_good;
}

static bool run_round(struct kill_mount *test, uint64_t number)
{
    uint64_t before = test->acked_total;
    if (!begin_round(test, number) || !kill_under_load(test))
        return false;
    test->killed++;
    if (!verify_region(test))
        return false;
    /* Now and then the next daemon is killed as well: while it recovers, mounts or begins to serve. */
    uint64_t cut_ns = seed_below(&test->choices, CUT_NS_MAX);
    if (seed_chance(&test->choices, 40) && !mount_start_cut(&test->mount, cut_ns))
        return false;
    if (!mount_start(&test->mount) || !verify_mounted(test))
        return false;
    if (test->is_verbose)
        printf("kill %llu: %llu calls had returned, all are there\n", (unsigned long long)number,
               (unsigned long long)(test->acked_total - before));
    return true;
}

static bool run_rounds(struct kill_mount *test)
{
    if (!mount_start(&test->mount))
        return false;
    for (uint64_t i = 0; i < test->kills; i++)
        if (!run_round(test, i))
            return false;
    return mount_end(&test->mount) && mount_check(&test->mount);
}

/* ------------------------------------------------------------------------------- the program --- */

static void __attribute__((noreturn)) print_usage(void)
{
    fprintf(stderr,
            "usage: kill_mount --mount VMFS_FUSE [--options O] [--clients] [--kills N] [--seed S] "
            "[--delay-max-ms M] [-v]\n");
    exit(2);
}

static uint64_t parse_number(const char *text)
{
    uint64_t number;
    if (!number_read(text, &number))
        print_usage();
    return number;
}

static void parse_options(struct kill_mount *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "-v") == 0 || strcmp(argv[i], "--clients") == 0) {
            test->is_verbose = test->is_verbose || argv[i][1] == 'v';
            test->kills_clients = test->kills_clients || argv[i][1] == '-';
            continue;
        }
        if (strcmp(argv[i], "--mount") == 0)
            test->program = value;
        else if (strcmp(argv[i], "--options") == 0)
            test->options = value;
        else if (strcmp(argv[i], "--kills") == 0)
            test->kills = parse_number(value);
        else if (strcmp(argv[i], "--seed") == 0)
            test->seed = parse_number(value);
        else if (strcmp(argv[i], "--delay-max-ms") == 0)
            test->delay_ms_max = parse_number(value);
        else
            print_usage();
        i++;
    }
    if (test->program == NULL || test->delay_ms_max == 0)
        print_usage();
}

int main(int argc, char **argv)
{
    region_force_pmem(argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    static struct kill_mount test = {.kills = 5, .delay_ms_max = 400};
    test.seed = seed_from_clock();
    parse_options(&test, argc, argv);
    seed_init(&test.choices, seed_mix(test.seed, UINT64_MAX));
    test.told =
        mmap(NULL, sizeof(*test.told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (test.told == MAP_FAILED ||
        !mount_create(&test.mount, test.program, test.options, REGION_BYTES))
        return 1;
    umask(0);
    bool is_good = run_rounds(&test);
    printf("kills=%llu lost=%d with_records=%llu calls=%llu seed=%llu\n",
           (unsigned long long)test.killed, is_good ? 0 : 1, (unsigned long long)test.with_records,
           (unsigned long long)test.acked_total, (unsigned long long)test.seed);
    for (unsigned i = 0; i < ROUNDS_KEPT; i++)
        destroy_round(&test.rounds[i]);
    mount_destroy(&test.mount, !is_good);
    return is_good ? 0 : 1;
}
