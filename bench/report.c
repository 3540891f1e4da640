/* report.c -- the results as a table for a person and as JSON for a program */
#include "report.h"

#include <inttypes.h>
#include <math.h>

static void print_machine(FILE *out, const struct bench_run *run, const struct machine *machine)
{
    fprintf(out, "machine   %s, %ld cores, pinned to CPU %zu, %s\n", machine->cpu, machine->cores,
            run->env->cpu, machine->kernel);
    fprintf(out, "clock     %s; per call %.1f ns (batched) or %.1f ns (single) subtracted\n",
            machine->clock, run->batch_overhead_ns / RUN_BATCH, run->single_overhead_ns);
    fprintf(out, "region    %s, %zu MiB, durability %s: %s\n", run->env->region_path,
            run->env->region_bytes >> 20, machine_durability(machine), machine->region.meaning);
    fprintf(out, "pmem      PMEM_IS_PMEM_FORCE=%s; stores by \"%s\"\n", machine->pmem_force,
            machine->region.backend);
    fprintf(out, "library   libvmfs %s, buildtype %s\n", vmfs_version(), machine->buildtype);
    fprintf(out, "run       %s, seed %" PRIu64 ", %s, %" PRIu64 " rounds\n\n", machine->date,
            run->seed, run->is_quick ? "quick" : "full", run->rounds);
}

static void print_cell(FILE *out, int width, int digits, double value)
{
    if (isfinite(value))
        fprintf(out, " %*.*f", width, digits, value);
    else
        fprintf(out, " %*s", width, "-");
}

static bool has_peer(const struct bench_row *row, size_t index)
{
    return row != NULL && index < ROW_PEERS_MAX && row->peers[index].name != NULL;
}

static void print_peers(FILE *out, const struct row_result *result)
{
    for (size_t i = 0; has_peer(result->row, i); i++) {
        if (!isfinite(result->peers_ns[i]))
            continue;
        fprintf(out, "  %s", result->row->peers[i].name);
        print_cell(out, 7, 1, result->peers_ns[i]);
        fprintf(out, " (%.1fx)", result->peers_ns[i] / result->ns_p50);
    }
}

static void print_mounted(FILE *out, const struct mounted_result *result)
{
    fprintf(out, "  %.2fx (%.2f to %.2f)", result->ratio_p50, result->ratio_p10, result->ratio_p90);
    fprintf(out, ", of the fastest tenths %.2fx", result->peer_ns_p10 / result->ns_p10);
    if (isfinite(result->syscalls))
        fprintf(out, ", system calls %.2f", result->syscalls);
    if (isfinite(result->requests))
        fprintf(out, " for requests %.2f", result->requests);
    if (isfinite(result->peer_syscalls))
        fprintf(out, ", peer's %.2f", result->peer_syscalls);
}

static void print_row(FILE *out, const struct row_result *result)
{
    fprintf(out, "%-17s", result->name);
    print_cell(out, 8, 1, result->ns_p50);
    print_cell(out, 8, 1, result->ns_p99);
    print_cell(out, 8, 1, result->ns_mean);
    print_cell(out, 7, 3, result->fences);
    print_cell(out, 3, 0, result->fences_min);
    print_cell(out, 3, 0, result->fences_max);
    print_cell(out, 6, 3, result->fences_bg);
    print_cell(out, 6, 1, result->lines);
    print_cell(out, 6, 2, result->shared);
    fprintf(out, "  %-16s", result->floor);
    print_cell(out, 7, 1, result->floor_ns);
    fprintf(out, " %-4s", result->is_mean_compared ? "mean" : "p50");
    print_cell(out, 7, 2, result->floor_ratio);
    print_peers(out, result);
    if (result->is_mounted)
        print_mounted(out, &result->mounted);
    fputc('\n', out);
}

/* The result of the row with this index, those of scale.h behind those of rows.h and those of fuse.h
 * last: false if it was not measured. */
static bool find_result(const struct report *report, size_t index, struct row_result *out)
{
    if (index < bench_rows_count) {
        if (!run_is_selected(report->run, &bench_rows[index]))
            return false;
        run_result(report->run, &bench_rows[index], out);
        return true;
    }
    index -= bench_rows_count;
    if (index < SCALE_ROWS_COUNT) {
        if (!scale_is_selected(report->scale, (enum scale_row_id)index))
            return false;
        scale_result(report->scale, (enum scale_row_id)index, out);
        return true;
    }
    index -= SCALE_ROWS_COUNT;
    if (report->fuse->why_skipped[0] != '\0' ||
        !fuse_is_selected(report->fuse, (enum fuse_row_id)index))
        return false;
    fuse_result(report->fuse, (enum fuse_row_id)index, out);
    return true;
}

/* The results of the rows that were measured: false behind the last. */
static bool next_result(const struct report *report, size_t *at, struct row_result *out)
{
    while (*at < bench_rows_count + SCALE_ROWS_COUNT + FUSE_ROWS_COUNT) {
        if (find_result(report, (*at)++, out))
            return true;
    }
    return false;
}

/* The next row of fuse.h that was skipped: null behind the last. */
static const char *next_skipped(const struct report *report, unsigned *at)
{
    while (report->fuse->why_skipped[0] != '\0' && *at < FUSE_ROWS_COUNT) {
        unsigned row = (*at)++;

        if (fuse_is_selected(report->fuse, (enum fuse_row_id)row))
            return fuse_rows[row].name;
    }
    return NULL;
}

void report_table(FILE *out, const struct report *report)
{
    const struct bench_run *run = report->run;
    const struct machine *machine = report->machine;
    struct row_result result;
    const char *skipped;
    unsigned skipped_at = 0;
    size_t at = 0;

    print_machine(out, run, machine);
    fprintf(out, "%-17s %8s %8s %8s %7s %3s %3s %6s %6s %6s  %-16s %7s %-4s %7s  %s\n", "row",
            "p50 ns", "p99 ns", "mean ns", "fences", "min", "max", "bg", "lines", "shared", "floor",
            "ns", "of", "x floor", "peer p50 ns (peer / ours)");
    while (next_result(report, &at, &result))
        print_row(out, &result);
    while ((skipped = next_skipped(report, &skipped_at)) != NULL)
        fprintf(out, "%-17s skipped: %s\n", skipped, report->fuse->why_skipped);
}

static void write_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20)
            fprintf(out, "\\u%04x", *at);
        else
            fputc(*at, out);
    }
    fputc('"', out);
}

static void write_text_field(FILE *out, const char *key, const char *value)
{
    write_string(out, key);
    fputs(": ", out);
    write_string(out, value);
    fputs(", ", out);
}

/* JSON has no NAN. */
static void write_number(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "%.3f", value);
    else
        fputs("null", out);
}

static void write_number_field(FILE *out, const char *key, double value)
{
    write_string(out, key);
    fputs(": ", out);
    write_number(out, value);
    fputs(", ", out);
}

static void write_count_field(FILE *out, const char *key, uint64_t value)
{
    write_string(out, key);
    fprintf(out, ": %" PRIu64 ", ", value);
}

static void write_machine(FILE *out, const struct report *report)
{
    const struct bench_run *run = report->run;
    const struct machine *machine = report->machine;

    fputs("{\"machine\": {", out);
    write_text_field(out, "cpu", machine->cpu);
    write_text_field(out, "kernel", machine->kernel);
    write_count_field(out, "cores", (uint64_t)machine->cores);
    write_count_field(out, "pinned_cpu", run->env->cpu);
    write_text_field(out, "date", machine->date);
    write_text_field(out, "clock", machine->clock);
    write_number_field(out, "clock_batch_overhead_ns", run->batch_overhead_ns / RUN_BATCH);
    write_number_field(out, "clock_single_overhead_ns", run->single_overhead_ns);
    write_text_field(out, "region", run->env->region_path);
    write_count_field(out, "region_bytes", run->env->region_bytes);
    write_text_field(out, "durability", machine_durability(machine));
    write_text_field(out, "backend", machine->region.backend);
    write_text_field(out, "pmem_is_pmem_force", machine->pmem_force);
    write_text_field(out, "library_version", vmfs_version());
    write_text_field(out, "compiler", machine->compiler);
    write_text_field(out, "buildtype", machine->buildtype);
    write_count_field(out, "rounds", run->rounds);
    write_count_field(out, "count", report->scale->count);
    write_count_field(out, "seed", run->seed);
    write_text_field(out, "mount_options",
                     report->fuse->mount_options == NULL ? "" : report->fuse->mount_options);
    write_number_field(out, "load_before_mounts", report->fuse->loads[0]);
    write_number_field(out, "load_after_mounts", report->fuse->loads[1]);
    fprintf(out, "\"quick\": %s},\n", run->is_quick ? "true" : "false");
}

/* One object of the peers whose value is known. */
static void write_peers(FILE *out, const char *key, const struct bench_row *row,
                        const double *values)
{
    const char *separator = "";

    write_string(out, key);
    fputs(": {", out);
    for (size_t i = 0; has_peer(row, i); i++) {
        if (!isfinite(values[i]))
            continue;
        fputs(separator, out);
        write_string(out, row->peers[i].name);
        fputs(": ", out);
        write_number(out, values[i]);
        separator = ", ";
    }
    fputc('}', out);
}

static void write_mounted(FILE *out, const struct mounted_result *result)
{
    write_number_field(out, "x_peer_p10", result->ratio_p10);
    write_number_field(out, "x_peer_p50", result->ratio_p50);
    write_number_field(out, "x_peer_p90", result->ratio_p90);
    write_number_field(out, "ns_p10", result->ns_p10);
    write_number_field(out, "peer_ns_p10", result->peer_ns_p10);
    write_number_field(out, "requests", result->requests);
    write_number_field(out, "syscalls", result->syscalls);
    write_number_field(out, "peer_syscalls", result->peer_syscalls);
}

static void write_row(FILE *out, const struct row_result *result)
{
    fputs("  {", out);
    if (result->is_mounted)
        write_mounted(out, &result->mounted);
    write_text_field(out, "name", result->name);
    write_count_field(out, "n", result->calls);
    write_number_field(out, "ns_p50", result->ns_p50);
    write_number_field(out, "ns_p99", result->ns_p99);
    write_number_field(out, "ns_mean", result->ns_mean);
    write_number_field(out, "fences", result->fences);
    write_number_field(out, "fences_min", result->fences_min);
    write_number_field(out, "fences_max", result->fences_max);
    write_number_field(out, "fences_bg", result->fences_bg);
    write_number_field(out, "lines", result->lines);
    write_number_field(out, "shared", result->shared);
    write_text_field(out, "floor", result->floor);
    write_number_field(out, "floor_ns", result->floor_ns);
    write_number_field(out, "x_floor", result->floor_ratio);
    write_text_field(out, "x_floor_stat", result->is_mean_compared ? "mean" : "p50");
    write_peers(out, "peers", result->row, result->peers_ns);
    fputs(", ", out);
    write_peers(out, "peers_fences", result->row, result->peers_fences);
    fputc('}', out);
}

static void write_skipped(FILE *out, const struct report *report)
{
    const char *separator = "";
    const char *name;
    unsigned at = 0;

    while ((name = next_skipped(report, &at)) != NULL) {
        fputs(separator, out);
        write_string(out, name);
        fputs(": ", out);
        write_string(out, report->fuse->why_skipped);
        separator = ", ";
    }
}

void report_json(FILE *out, const struct report *report)
{
    const char *separator = "";
    struct row_result result;
    size_t at = 0;

    write_machine(out, report);
    fputs(" \"results\": [\n", out);
    while (next_result(report, &at, &result)) {
        fputs(separator, out);
        write_row(out, &result);
        separator = ",\n";
    }
    fputs("\n],\n \"skipped\": {", out);
    write_skipped(out, report);
    fputs("}}\n", out);
}
