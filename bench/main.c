/* main.c -- the command line of vmfs-bench */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "space.h"

#define EXIT_USAGE 2

struct options {
    bool is_quick;
    bool is_spread;
    const char *mount_options;
    const char *filter;
    const char *json_path;
    const char *region_path;
    uint64_t seed;
    uint64_t count; /* 0: as quick or full */
    const char *tree;
    uint64_t inode_bytes;
};

static volatile sig_atomic_t stop_requested;

static void request_stop(int number)
{
    (void)number;
    stop_requested = 1;
}

static void print_usage(FILE *out)
{
    fputs(
        "usage: vmfs-bench run [--quick] [--filter GLOB] [--json FILE] [--region PATH] [--seed N]\n"
        "                      [--count N | --long] [--spread] [--mount-options O]\n"
        "       vmfs-bench space [--quick] [--tree DIRECTORY --inode-bytes N]\n"
        "       vmfs-bench list\n"
        "       vmfs-bench --help\n",
        out);
}

static void print_help(void)
{
    print_usage(stdout);
    printf(
        "\n"
        "Measures the operations of libvmfs against the floors of the machine's memory and "
        "against\n"
        "the same operations by system calls on tmpfs (/dev/shm), all in one interleaved run.\n"
        "\n"
        "  --quick        at most %d rounds or %d s, instead of %d rounds or %d s\n"
        "  --filter GLOB  only the rows whose names match; their floors and peers come along\n"
        "  --json FILE    write the results there as well\n"
        "  --region PATH  make the region in a new file at PATH instead of on /dev/shm; it is\n"
        "                 unlinked as soon as it is mapped, as is PATH.floor beside it\n"
        "  --seed N       of names, offsets and order; the default is 1\n"
        "  --count N      what \"1m\" stands for in the names of rows: %u, with --quick %u\n"
        "  --long         the same as --count %u: needs 7 GB of memory for the rows open_*\n"
        "  --mount-options O   for vmfs-fuse in the rows fuse_*, instead of its defaults\n"
        "  --spread       let the mounts of all rows fuse_* and their callers use every CPU\n"
        "\n"
        "Method. In every round each operation, floor and peer has one turn, in an order drawn "
        "for\n"
        "the round. A turn is: %d calls timed together, which give one sample of ns per call\n"
        "(p50 is the median of these samples, mean their mean); %d calls timed one by one (p99);\n"
        "and for the library %d untimed calls with its counters read around each (fences, lines).\n"
        "Each of these is led in by %d calls that are not counted. The first %d rounds are thrown\n"
        "away. The process is pinned to the last CPU it may use. The cost of the clock, the loop\n"
        "and a call through a pointer is measured with an empty operation and subtracted.\n"
        "\n",
        RUN_ROUNDS_QUICK, RUN_SECONDS_QUICK, RUN_ROUNDS_FULL, RUN_SECONDS_FULL, SCALE_COUNT_FULL,
        SCALE_COUNT_QUICK, SCALE_COUNT_LONG, RUN_BATCH, RUN_SINGLES, RUN_COUNTED, RUN_LEAD,
        RUN_WARM_UP);
    printf(
        "Subjects. Names, offsets and whatever an operation consumes are made outside the timed\n"
        "window. create, mknod, mkdir, symlink and link fill a directory with %d entries and go "
        "on\n"
        "in a fresh one; unlink, rmdir and rename work in a directory of %d entries; the rest of\n"
        "the names are %d files in the root, drawn at random. Reads and overwrites are of random\n"
        "aligned 4 KiB pages of a file of %zu MiB, appends fill a file of that size and go on in "
        "a\n"
        "fresh one. The floors use mapped memory of the same kind and size and the same offsets.\n"
        "The region (%zu MiB) and that memory are touched before anything is timed.\n"
        "\n"
        "The rows fuse_* are of vmfs-fuse and its peer, passthrough_ll of libfuse's examples over "
        "a\n"
        "folder of tmpfs; batches of %u calls alternate, with a CPU for client and daemon (all "
        "CPUs for\n"
        "four threads). Without /dev/fuse or the peer they are skipped, which is said.\n"
        "\n"
        "PMEM_IS_PMEM_FORCE=1 is set unless the environment has the variable: without real\n"
        "persistent memory the region then gets the stores and fences that it would get there.\n",
        OP_ENTRIES_MAX, OP_ENTRIES_MAX, OP_ROOT_FILES, ENV_WINDOW_BYTES >> 20,
        ENV_REGION_BYTES >> 20, FUSE_BATCH);
}

static void print_list(void)
{
    printf("%-17s %-17s %-8s %s\n", "row", "floor", "peers", "what is timed");
    for (size_t i = 0; i < bench_rows_count; i++) {
        const struct bench_row *row = &bench_rows[i];
        char peers[64] = "";
        size_t used = 0;

        for (size_t j = 0; j < ROW_PEERS_MAX && row->peers[j].name != NULL; j++)
            used += (size_t)snprintf(peers + used, sizeof(peers) - used, "%s%s", j == 0 ? "" : ",",
                                     row->peers[j].name);
        printf("%-17s %-17s %-8s %s\n", row->name, bench_floors[row->floor].name, peers,
               row->summary);
    }
    for (size_t i = 0; i < SCALE_ROWS_COUNT; i++)
        printf("%-17s %-17s %-8s %s\n", scale_rows[i].name, scale_rows[scale_rows[i].base].name, "",
               scale_rows[i].summary);
    for (size_t i = 0; i < FUSE_ROWS_COUNT; i++)
        printf("%-17s %-17s %-8s %s\n", fuse_rows[i].name, "passthrough_ll", "",
               fuse_rows[i].summary);
    printf("\n%-17s %s\n", "floor", "what is timed");
    for (size_t i = 0; i < FLOORS_COUNT; i++)
        printf("%-17s %s\n", bench_floors[i].name, bench_floors[i].summary);
}

static int parse_number(const char *option, const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-') {
        fprintf(stderr, "vmfs-bench: --%s %s: not a number\n", option, text);
        return -EINVAL;
    }
    *out = value;
    return 0;
}

static int parse_option(int option, struct options *out)
{
    switch (option) {
    case 'q':
        out->is_quick = true;
        return 0;
    case 'f':
        out->filter = optarg;
        return 0;
    case 'j':
        out->json_path = optarg;
        return 0;
    case 'r':
        out->region_path = optarg;
        return 0;
    case 's':
        return parse_number("seed", optarg, &out->seed);
    case 'c':
        return parse_number("count", optarg, &out->count);
    case 't':
        out->tree = optarg;
        return 0;
    case 'i':
        return parse_number("inode-bytes", optarg, &out->inode_bytes);
    case 'o':
        out->mount_options = optarg;
        return 0;
    case 'p':
        out->is_spread = true;
        return 0;
    case 'l':
        out->count = SCALE_COUNT_LONG;
        return 0;
    default:
        return -EINVAL;
    }
}

/* `argv[0]` is the name of the command. */
static int parse_options(int argc, char **argv, struct options *out)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'},
        {"filter", required_argument, NULL, 'f'},
        {"json", required_argument, NULL, 'j'},
        {"region", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'c'},
        {"tree", required_argument, NULL, 't'},
        {"inode-bytes", required_argument, NULL, 'i'},
        {"long", no_argument, NULL, 'l'},
        {"spread", no_argument, NULL, 'p'},
        {"mount-options", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *out = (struct options){.seed = 1};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (parse_option(option, out) != 0)
            return -EINVAL;
    }
    if (optind == argc)
        return 0;
    fprintf(stderr, "vmfs-bench: %s: unexpected argument\n", argv[optind]);
    return -EINVAL;
}

static int report_run(struct report *report, FILE *json)
{
    struct machine machine;
    int err = machine_describe(report->run, &machine);

    if (err != 0) {
        fprintf(stderr, "vmfs-bench: vmfs_info: %s\n", strerror(-err));
        return err;
    }
    report->machine = &machine;
    report_table(stdout, report);
    if (json != NULL)
        report_json(json, report);
    return 0;
}

static uint64_t scale_count(const struct options *options)
{
    if (options->count != 0)
        return options->count;
    return options->is_quick ? SCALE_COUNT_QUICK : SCALE_COUNT_FULL;
}

static bool has_run_rows(const struct bench_run *run)
{
    for (size_t i = 0; i < bench_rows_count; i++) {
        if (run_is_selected(run, &bench_rows[i]))
            return true;
    }
    return false;
}

static int measure_all(struct bench_run *run, struct scale *scale, struct fuse *fuse, FILE *json)
{
    struct report report = {.run = run, .scale = scale, .fuse = fuse};
    int err = run_measure(run);

    if (err == 0)
        err = scale_measure(scale);
    if (err == 0 && fuse_has_rows(fuse->filter))
        err = fuse_measure(fuse);
    return err != 0 ? err : report_run(&report, json);
}

static int run_benchmark(const struct options *options, FILE *json)
{
    struct bench_env env;
    struct bench_run run = {
        .env = &env,
        .seed = options->seed,
        .is_quick = options->is_quick,
        .filter = options->filter,
        .stop = &stop_requested,
    };
    struct scale scale = {
        .env = &env,
        .filter = options->filter,
        .stop = &stop_requested,
        .seed = options->seed,
        .count = scale_count(options),
        .is_quick = options->is_quick,
    };
    struct fuse fuse = {
        .env = &env,
        .filter = options->filter,
        .stop = &stop_requested,
        .seed = options->seed,
        .is_quick = options->is_quick,
        .is_spread = options->is_spread,
        .mount_options = options->mount_options,
    };
    bool has_rows = has_run_rows(&run);

    if (!has_rows && !scale_has_rows(options->filter) && !fuse_has_rows(options->filter)) {
        fprintf(stderr, "vmfs-bench: --filter %s: no such row; see vmfs-bench list\n",
                options->filter);
        return -EINVAL;
    }
    if (scale.count < SCALE_COUNT_MIN || scale.count > SCALE_COUNT_MAX) {
        fprintf(stderr, "vmfs-bench: --count: not between %u and %u\n", SCALE_COUNT_MIN,
                SCALE_COUNT_MAX);
        return -EINVAL;
    }
    int err =
        env_open(&env, options->region_path, has_rows ? ENV_REGION_BYTES : ENV_REGION_BYTES_MIN);

    if (err == 0)
        err = measure_all(&run, &scale, &fuse, json);
    fuse_free(&fuse);
    scale_free(&scale);
    run_free(&run);
    int close_err = env_close(&env);

    return err != 0 ? err : close_err;
}

/* The file is opened before the run, so that a wrong path does not cost two minutes. */
static int command_run(const struct options *options)
{
    FILE *json = NULL;

    if (options->json_path != NULL) {
        json = fopen(options->json_path, "w");
        if (json == NULL) {
            fprintf(stderr, "vmfs-bench: %s: %s\n", options->json_path, strerror(errno));
            return EXIT_FAILURE;
        }
    }
    int err = run_benchmark(options, json);

    if (json != NULL && (ferror(json) != 0 || fclose(json) != 0)) {
        fprintf(stderr, "vmfs-bench: %s: %s\n", options->json_path, strerror(errno));
        err = -EIO;
    }
    return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int command_space(const struct options *options)
{
    const struct space_options space = {
        .tree = options->tree, .inode_bytes = options->inode_bytes, .is_quick = options->is_quick};

    return space_measure(&space) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = request_stop};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int main(int argc, char **argv)
{
    struct options options;
    const char *command = argc < 2 ? "" : argv[1];

    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        print_help();
        return EXIT_SUCCESS;
    }
    if (strcmp(command, "list") == 0 && argc == 2) {
        print_list();
        return EXIT_SUCCESS;
    }
    bool is_space = strcmp(command, "space") == 0;
    if ((strcmp(command, "run") != 0 && !is_space) ||
        parse_options(argc - 1, argv + 1, &options) != 0) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (is_space)
        return command_space(&options);
    catch_signals();
    return command_run(&options);
}
