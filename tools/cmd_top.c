/* cmd_top.c -- vmfs top: what a mounted region is doing
 *
 * The daemon has the region, so it is asked: one ioctl on the mountpoint (vmfs_mount.h). Rates and
 * percentiles are of the time between two samples. The mountpoint is opened for each sample anew, so that
 * watching a mount does not keep anybody from unmounting it. */
#include "json.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <vmfs_mount.h>

#define INTERVAL_S_MAX 86400.0
#define NS_PER_S       1e9

static const char *const op_names[VMFS_MOUNT_OPS_COUNT] = {
#define OP_NAME(name, text) text,
    VMFS_MOUNT_OPS(OP_NAME)
#undef OP_NAME
};

static const char *durability_text(uint32_t durability)
{
    return durability == VMFS_DURABILITY_POWER ? "power" : "process";
}

/* What is told of one kind of request. */
struct op_rates {
    uint64_t count; /* between the samples */
    uint64_t failed;
    double per_s;
    uint64_t p50_ns, p99_ns, max_ns; /* not more than; 0 without requests */
};

struct rates {
    double seconds;
    struct op_rates ops[VMFS_MOUNT_OPS_COUNT];
    struct op_rates all;
    double fences_per_s;
    double fences_per_op;
};

static int sample(const char *mountpoint, struct vmfs_mount_stats *out)
{
    int fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = 0;

    if (fd < 0)
        return -errno;
    if (ioctl(fd, VMFS_MOUNT_GET_STATS, out) != 0)
        err = -errno;
    else if (out->version != VMFS_MOUNT_STATS_VERSION)
        err = -ENOTTY;
    close(fd);
    return err;
}

/* The end of the bucket in which the request with this rank lies, from 1. The longest ever is known
 * exactly, and none took longer. */
static uint64_t quantile_ns(const struct vmfs_mount_op *op, uint64_t count, double quantile)
{
    uint64_t rank = (uint64_t)ceil(quantile * (double)count);
    uint64_t seen = 0;
    uint32_t i;

    for (i = 0; i < VMFS_MOUNT_BUCKETS; i++) {
        seen += op->buckets[i];
        if (seen >= rank && seen > 0)
            break;
    }
    if (seen == 0)
        return 0;
    uint64_t end_ns = i < VMFS_MOUNT_BUCKETS - 1 ? vmfs_mount_bucket_end_ns(i) : UINT64_MAX;
    return end_ns < op->max_ns ? end_ns : op->max_ns;
}

static void op_rate(const struct vmfs_mount_op *op, double seconds, struct op_rates *out)
{
    out->count = op->count;
    out->failed = op->failed;
    out->per_s = (double)op->count / seconds;
    out->p50_ns = quantile_ns(op, op->count, 0.5);
    out->p99_ns = quantile_ns(op, op->count, 0.99);
    out->max_ns = quantile_ns(op, op->count, 1.0);
}

/* What happened between: *op becomes the difference, with the longest time as it is. */
static void op_subtract(struct vmfs_mount_op *op, const struct vmfs_mount_op *before)
{
    uint32_t i;

    op->count -= before->count;
    op->failed -= before->failed;
    op->sum_ns -= before->sum_ns;
    for (i = 0; i < VMFS_MOUNT_BUCKETS; i++)
        op->buckets[i] -= before->buckets[i];
}

static void op_add(struct vmfs_mount_op *sum, const struct vmfs_mount_op *op)
{
    uint32_t i;

    sum->count += op->count;
    sum->failed += op->failed;
    sum->max_ns = op->max_ns > sum->max_ns ? op->max_ns : sum->max_ns;
    for (i = 0; i < VMFS_MOUNT_BUCKETS; i++)
        sum->buckets[i] += op->buckets[i];
}

/* A `before` of zeros is the mount's beginning. */
static void rates_of(const struct vmfs_mount_stats *before, const struct vmfs_mount_stats *now,
                     struct rates *out)
{
    struct vmfs_mount_op all = {0};
    uint32_t i;

    out->seconds = (double)(now->uptime_ns - before->uptime_ns) / NS_PER_S;
    if (out->seconds <= 0)
        out->seconds = 1 / NS_PER_S;
    for (i = 0; i < VMFS_MOUNT_OPS_COUNT; i++) {
        struct vmfs_mount_op op = now->by_op[i];
        op_subtract(&op, &before->by_op[i]);
        op_rate(&op, out->seconds, &out->ops[i]);
        op_add(&all, &op);
    }
    op_rate(&all, out->seconds, &out->all);
    uint64_t fences = now->fences - before->fences;
    out->fences_per_s = (double)fences / out->seconds;
    out->fences_per_op = out->all.count > 0 ? (double)fences / (double)out->all.count : 0;
}

static void time_cell(uint64_t ns)
{
    if (ns < 10000)
        printf(" %7.2f us", (double)ns / 1e3);
    else if (ns < 10000000)
        printf(" %7.0f us", (double)ns / 1e3);
    else
        printf(" %7.0f ms", (double)ns / 1e6);
}

static void op_line(const char *name, const struct op_rates *op)
{
    printf("%-16s %10.0f", name, op->per_s);
    time_cell(op->p50_ns);
    time_cell(op->p99_ns);
    time_cell(op->max_ns);
    printf(" %8" PRIu64 "\n", op->failed);
}

static void size_cell(uint64_t bytes)
{
    static const char units[] = "KMGTP";
    double value = (double)bytes / 1024;
    unsigned unit = 0;

    for (; value >= 1024 && unit + 1 < sizeof(units) - 1; unit++)
        value /= 1024;
    printf("%.1f%c", value, units[unit]);
}

static void state_lines(const struct tool *tool, const struct vmfs_mount_stats *now,
                        const struct rates *rates)
{
    uint64_t free_bytes = now->blocks_free * now->block_bytes;
    uint64_t total_bytes = now->blocks_total * now->block_bytes;

    printf("%s: up %.0f s, durability %s%s, %" PRIu64 " threads\n", tool->region,
           (double)now->uptime_ns / NS_PER_S, durability_text(now->durability),
           now->is_read_only ? ", READ-ONLY" : "", now->threads);
    printf("fences %.0f/s, %.2f a request; journal %.1f%% of ", rates->fences_per_s,
           rates->fences_per_op,
           now->journal_bytes > 0
               ? 100.0 * (double)now->journal_bytes_used / (double)now->journal_bytes
               : 0.0);
    size_cell(now->journal_bytes);
    printf("; free ");
    size_cell(free_bytes);
    printf(" of ");
    size_cell(total_bytes);
    printf("\ninodes %" PRIu64 ", held by the kernel %" PRIu64 ", orphans %" PRIu64 "\n\n",
           now->inodes_used, now->holds, now->orphans);
}

static void table_print(const struct tool *tool, const struct vmfs_mount_stats *now,
                        const struct rates *rates)
{
    uint32_t i;

    state_lines(tool, now, rates);
    printf("%-16s %10s %10s %10s %10s %8s\n", "request", "a second", "p50", "p99", "max", "failed");
    for (i = 0; i < VMFS_MOUNT_OPS_COUNT; i++)
        if (rates->ops[i].count > 0)
            op_line(op_names[i], &rates->ops[i]);
    op_line("all", &rates->all);
}

static void op_json(const struct op_rates *op, uint64_t total)
{
    printf("{\"total\": %" PRIu64 ", \"count\": %" PRIu64 ", \"failed\": %" PRIu64
           ", \"per_s\": %.3f, \"p50_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64
           ", \"max_ns\": %" PRIu64 "}",
           total, op->count, op->failed, op->per_s, op->p50_ns, op->p99_ns, op->max_ns);
}

static void numbers_json(const struct vmfs_mount_stats *now)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"uptime_ns", now->uptime_ns},
        {"threads", now->threads},
        {"holds", now->holds},
        {"orphans", now->orphans},
        {"calls", now->ops},
        {"fences", now->fences},
        {"lines", now->lines},
        {"bytes", now->bytes},
        {"shared", now->shared},
        {"checkpoint_fences", now->checkpoint_fences},
        {"sync_rounds", now->sync_rounds},
        {"sync_calls", now->sync_calls},
        {"region_bytes", now->region_bytes},
        {"journal_bytes", now->journal_bytes},
        {"journal_bytes_used", now->journal_bytes_used},
        {"block_bytes", now->block_bytes},
        {"blocks_total", now->blocks_total},
        {"blocks_free", now->blocks_free},
        {"inodes_used", now->inodes_used},
    };
    size_t i;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        printf(", \"%s\": %" PRIu64, numbers[i].name, numbers[i].value);
}

static void json_print(const struct tool *tool, const struct vmfs_mount_stats *now,
                       const struct rates *rates)
{
    bool first = true;
    uint32_t i;

    printf("{\"mountpoint\": ");
    json_string(tool->region);
    printf(", \"interval_s\": %.3f, \"durability\": \"%s\", \"is_read_only\": %s", rates->seconds,
           durability_text(now->durability), now->is_read_only ? "true" : "false");
    numbers_json(now);
    printf(", \"fences_per_s\": %.3f, \"fences_per_request\": %.3f, \"requests\": {",
           rates->fences_per_s, rates->fences_per_op);
    for (i = 0; i < VMFS_MOUNT_OPS_COUNT; i++) {
        json_comma(&first);
        printf("\"%s\": ", op_names[i]);
        op_json(&rates->ops[i], now->by_op[i].count);
    }
    printf("}}\n");
}

static void fail_sample(struct tool *tool, int err)
{
    if (err == -ENOTTY)
        tool_fail_text(tool, tool->region, "no mount of this version's vmfs-fuse");
    else
        tool_fail(tool, err, tool->region);
}

static void wait_s(double seconds)
{
    struct timespec left = {.tv_sec = (time_t)seconds};

    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * NS_PER_S);
    fflush(stdout);
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* False if the command line says something else than a number of seconds. */
static bool interval_parse(struct tool *tool, double *out)
{
    const char *text = tool->values[OPTION_INTERVAL];
    char *end;

    *out = 1;
    if (!text)
        return true;
    *out = strtod(text, &end);
    if (end != text && *end == '\0' && *out >= 0 && *out <= INTERVAL_S_MAX)
        return true;
    tool_fail_text(tool, text, "not a number of seconds");
    tool->status = STATUS_USAGE;
    return false;
}

static int print_next(struct tool *tool, struct vmfs_mount_stats *before, bool is_live)
{
    struct vmfs_mount_stats now;
    struct rates rates;
    int err = sample(tool->region, &now);

    if (err)
        return err;
    if (now.uptime_ns < before->uptime_ns) /* mounted anew since */
        *before = (struct vmfs_mount_stats){0};
    rates_of(before, &now, &rates);
    if (is_live)
        printf("\033[H\033[J");
    if (tool->is_set[OPTION_JSON])
        json_print(tool, &now, &rates);
    else
        table_print(tool, &now, &rates);
    *before = now;
    return 0;
}

static void top_run(struct tool *tool)
{
    struct vmfs_mount_stats before = {0};
    bool is_live = isatty(STDOUT_FILENO) && !tool->is_set[OPTION_JSON];
    double seconds;
    int err = 0;

    if (!interval_parse(tool, &seconds))
        return;
    if (seconds > 0)
        err = sample(tool->region, &before);
    do {
        if (!err)
            wait_s(seconds);
        if (!err)
            err = print_next(tool, &before, is_live);
    } while (!err && is_live && seconds > 0);
    if (err)
        fail_sample(tool, err);
}

const struct verb verb_top = {
    .name = "top",
    .synopsis = "[--json] [--interval SECONDS] MOUNTPOINT",
    .summary = "watch what a mounted region is doing",
    .help =
        "Asks the vmfs-fuse that serves MOUNTPOINT for requests a second by kind, how long they\n"
        "took inside of it (p50, p99 and the longest: not more than), fences, how full the\n"
        "journal is, free space, and how many inodes the kernel holds. On a terminal this is\n"
        "shown anew each second until Ctrl-C; else once.\n\n"
        "  --interval SECONDS  the time that a sample covers, and between two on a terminal;\n"
        "                      0: since the mount, and only once; default 1\n"
        "  --json              one sample as one JSON object; 'total' counts since the mount\n\n",
    .options = (const int[]){OPTION_JSON, OPTION_INTERVAL, 0},
    .operands_min = 1,
    .operands_max = 1,
    .opens = OPENS_ITSELF,
    .failed_status = STATUS_FAILED,
    .usage_status = STATUS_USAGE,
    .run = top_run,
};
