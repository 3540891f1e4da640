/* run.c -- the interleaved measurement */
#include "run.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "ticks.h"

/* What a window of calls is run for; also part of where its random numbers start. */
enum window {
    WINDOW_SETUP,
    WINDOW_BATCH,
    WINDOW_SINGLES,
    WINDOW_COUNTED,
    WINDOW_ORDER,
};

static struct subject *find_subject(const struct bench_run *run, const struct bench_op *op,
                                    enum env_side side)
{
    for (size_t i = 0; i < run->subjects_count; i++) {
        if (run->subjects[i].op == op && run->subjects[i].side == side)
            return &run->subjects[i];
    }
    return NULL;
}

static int report_failure(const struct bench_run *run, const struct subject *subject,
                          const char *phase, int err)
{
    const struct bench_fs *fs = env_side(run->env, subject->side);

    fprintf(stderr, "vmfs-bench: %s on %s, %s: %s\n", subject->op->name,
            fs == NULL ? "memory" : fs->name, phase, strerror(-err));
    return err;
}

static int enter_side(const struct op_context *context)
{
    return context->fs == NULL ? 0 : context->fs->calls->enter(context->fs);
}

static int setup_subject(struct bench_run *run, struct subject *subject)
{
    struct op_context *context = aligned_alloc(OP_PAGE_BYTES, sizeof(*context));

    if (context == NULL)
        return -ENOMEM;
    memset(context, 0, sizeof(*context));
    context->op = subject->op;
    context->env = run->env;
    context->fs = env_side(run->env, subject->side);
    context->random = random_start(run->seed, 0, WINDOW_SETUP);
    subject->context = context;
    subject->is_counted = context->fs != NULL && context->fs->calls->counts != NULL;
    int err = enter_side(context);

    if (err == 0 && subject->op->setup != NULL)
        err = subject->op->setup(context);
    return err;
}

static int add_subject(struct bench_run *run, const struct bench_op *op, enum env_side side)
{
    if (find_subject(run, op, side) != NULL)
        return 0;
    struct subject *subjects =
        realloc(run->subjects, (run->subjects_count + 1) * sizeof(*run->subjects));

    if (subjects == NULL)
        return -ENOMEM;
    run->subjects = subjects;
    struct subject *subject = &subjects[run->subjects_count++];

    *subject = (struct subject){.op = op, .side = side};
    int err = setup_subject(run, subject);
    if (err == -EOPNOTSUPP && side != ENV_LIBRARY) {
        fprintf(stderr, "vmfs-bench: note: this kernel's tmpfs has no %s\n", op->name);
        subject->is_absent = true;
        return 0;
    }
    return err == 0 ? 0 : report_failure(run, subject, "setup", err);
}

bool run_is_selected(const struct bench_run *run, const struct bench_row *row)
{
    return run->filter == NULL || fnmatch(run->filter, row->name, 0) == 0;
}

static int add_row(struct bench_run *run, const struct bench_row *row)
{
    const struct bench_floor *floor = &bench_floors[row->floor];
    int err = add_subject(run, row->op, ENV_LIBRARY);

    if (err == 0)
        err = add_subject(run, floor->op, floor->side);
    for (size_t i = 0; err == 0 && i < ROW_PEERS_MAX && row->peers[i].name != NULL; i++)
        err = add_subject(run, row->peers[i].op, row->peers[i].side);
    return err;
}

static int add_rows(struct bench_run *run)
{
    for (size_t i = 0; i < bench_rows_count; i++) {
        int err = run_is_selected(run, &bench_rows[i]) ? add_row(run, &bench_rows[i]) : 0;
        if (err != 0)
            return err;
    }
    return 0;
}

static inline int run_calls(struct op_context *context, uint32_t first, uint32_t count)
{
    int (*call)(struct op_context *, uint32_t) = context->op->call;

    for (uint32_t i = first; i < first + count; i++) {
        int err = call(context, i);
        if (err != 0)
            return err;
    }
    return 0;
}

static int open_window(const struct bench_run *run, struct subject *subject, enum window window,
                       uint32_t count)
{
    struct op_context *context = subject->context;

    context->random = random_start(run->seed, run->rounds + 1, window);
    int err = enter_side(context);
    if (err == 0 && subject->op->prepare != NULL)
        err = subject->op->prepare(context, RUN_LEAD + count);
    return err == 0 ? run_calls(context, 0, RUN_LEAD) : err;
}

static int close_window(struct subject *subject, uint32_t count)
{
    if (subject->op->settle == NULL)
        return 0;
    return subject->op->settle(subject->context, RUN_LEAD + count);
}

static int time_calls(const struct bench_run *run, struct op_context *context, uint32_t first,
                      uint32_t count, double *ns)
{
    uint64_t start = ticks_now();
    int err = run_calls(context, first, count);
    uint64_t end = ticks_now();

    *ns = (double)(end - start) * run->tick_ns;
    return err;
}

static int run_batch(const struct bench_run *run, struct subject *subject)
{
    double ns;
    int err = open_window(run, subject, WINDOW_BATCH, RUN_BATCH);

    if (err == 0)
        err = time_calls(run, subject->context, RUN_LEAD, RUN_BATCH, &ns);
    if (err == 0)
        err = samples_add(&subject->batches, fmax(0, ns - run->batch_overhead_ns) / RUN_BATCH);
    return err == 0 ? close_window(subject, RUN_BATCH) : err;
}

static int run_singles(const struct bench_run *run, struct subject *subject)
{
    double ns;
    int err = open_window(run, subject, WINDOW_SINGLES, RUN_SINGLES);

    for (uint32_t i = 0; err == 0 && i < RUN_SINGLES; i++) {
        err = time_calls(run, subject->context, RUN_LEAD + i, 1, &ns);
        if (err == 0)
            err = samples_add(&subject->singles, fmax(0, ns - run->single_overhead_ns));
    }
    return err == 0 ? close_window(subject, RUN_SINGLES) : err;
}

static int count_call(struct subject *subject, uint32_t index)
{
    struct bench_fs *fs = subject->context->fs;
    struct fs_counts before, after;
    int err = fs->calls->counts(fs, &before);

    if (err == 0)
        err = run_calls(subject->context, index, 1);
    if (err == 0)
        err = fs->calls->counts(fs, &after);
    if (err != 0)
        return err;
    uint64_t fences = after.fences - before.fences;

    subject->lines += after.lines - before.lines;
    subject->shared += after.shared - before.shared;
    subject->fences_others += (int64_t)(after.fences_all - before.fences_all - fences);
    return samples_add(&subject->fences, (double)fences);
}

static int run_counted(const struct bench_run *run, struct subject *subject)
{
    if (!subject->is_counted)
        return 0;
    int err = open_window(run, subject, WINDOW_COUNTED, RUN_COUNTED);

    for (uint32_t i = 0; err == 0 && i < RUN_COUNTED; i++)
        err = count_call(subject, RUN_LEAD + i);
    return err == 0 ? close_window(subject, RUN_COUNTED) : err;
}

static int run_subject(const struct bench_run *run, struct subject *subject)
{
    int err = subject->is_absent ? 0 : run_batch(run, subject);

    if (err == 0 && !subject->is_absent)
        err = run_singles(run, subject);
    if (err == 0 && !subject->is_absent)
        err = run_counted(run, subject);
    return err == 0 ? 0 : report_failure(run, subject, "call", err);
}

/* A fixed order would give every subject the same predecessor, and its cache, in every round. */
static void shuffle_order(const struct bench_run *run, size_t *order)
{
    uint64_t random = random_start(run->seed, run->rounds + 1, WINDOW_ORDER);

    for (size_t i = run->subjects_count; i > 1; i--) {
        size_t other = random_below(&random, (uint32_t)i);
        size_t swapped = order[i - 1];

        order[i - 1] = order[other];
        order[other] = swapped;
    }
}

static void forget_samples(struct bench_run *run)
{
    for (size_t i = 0; i < run->subjects_count; i++) {
        struct subject *subject = &run->subjects[i];

        subject->batches.count = 0;
        subject->singles.count = 0;
        subject->fences.count = 0;
        subject->lines = 0;
        subject->shared = 0;
        subject->fences_others = 0;
    }
    run->rounds = 0;
}

static int run_round(struct bench_run *run, size_t *order)
{
    int err = 0;

    shuffle_order(run, order);
    for (size_t i = 0; err == 0 && i < run->subjects_count; i++)
        err = run_subject(run, &run->subjects[order[i]]);
    run->rounds++;
    if (err == 0 && *run->stop != 0) {
        fprintf(stderr, "vmfs-bench: interrupted\n");
        err = -EINTR;
    }
    return err;
}

static int run_rounds(struct bench_run *run, size_t *order)
{
    uint64_t rounds = run->is_quick ? RUN_ROUNDS_QUICK : RUN_ROUNDS_FULL;
    uint64_t seconds = run->is_quick ? RUN_SECONDS_QUICK : RUN_SECONDS_FULL;
    uint64_t deadline_ns = wall_ns() + seconds * 1000000000u;
    int err = 0;

    while (err == 0 && run->rounds < RUN_WARM_UP)
        err = run_round(run, order);
    forget_samples(run);
    while (err == 0 && run->rounds < rounds) {
        if (run->rounds >= RUN_ROUNDS_MIN && wall_ns() >= deadline_ns)
            break;
        err = run_round(run, order);
    }
    return err;
}

/* The overheads are zero while they are themselves measured. */
static int measure_overheads(struct bench_run *run)
{
    struct subject empty = {.op = &op_nothing, .side = ENV_MEMORY};
    int err = setup_subject(run, &empty);

    for (int i = 0; err == 0 && i < 1000; i++) {
        err = run_batch(run, &empty);
        if (err == 0)
            err = run_singles(run, &empty);
    }
    if (err == 0) {
        run->batch_overhead_ns = samples_quantile(&empty.batches, 0.5) * RUN_BATCH;
        run->single_overhead_ns = samples_quantile(&empty.singles, 0.5);
    }
    samples_free(&empty.batches);
    samples_free(&empty.singles);
    free(empty.context);
    return err;
}

int run_measure(struct bench_run *run)
{
    run->tick_ns = ticks_calibrate();
    int err = measure_overheads(run);

    if (err == 0)
        err = add_rows(run);
    if (err != 0 || run->subjects_count == 0)
        return err;
    size_t *order = calloc(run->subjects_count, sizeof(*order));

    if (order == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < run->subjects_count; i++)
        order[i] = i;
    err = run_rounds(run, order);
    free(order);
    return err;
}

void run_free(struct bench_run *run)
{
    for (size_t i = 0; i < run->subjects_count; i++) {
        struct subject *subject = &run->subjects[i];

        if (subject->context != NULL && subject->op->teardown != NULL &&
            enter_side(subject->context) == 0)
            subject->op->teardown(subject->context);
        free(subject->context);
        samples_free(&subject->batches);
        samples_free(&subject->singles);
        samples_free(&subject->fences);
    }
    free(run->subjects);
}

static double divide_counts(double total, size_t calls)
{
    return calls == 0 ? (double)NAN : total / (double)calls;
}

void run_result(const struct bench_run *run, const struct bench_row *row, struct row_result *out)
{
    struct subject *own = find_subject(run, row->op, ENV_LIBRARY);
    const struct bench_floor *floor = &bench_floors[row->floor];

    *out = (struct row_result){
        .row = row,
        .name = row->name,
        .floor = floor->name,
        .is_mean_compared = row->is_mean_compared,
        .calls = own->batches.count * RUN_BATCH,
        .ns_p50 = samples_quantile(&own->batches, 0.5),
        .ns_p99 = samples_quantile(&own->singles, 0.99),
        .ns_mean = samples_mean(&own->batches),
        .fences = samples_mean(&own->fences),
        .fences_min = samples_quantile(&own->fences, 0),
        .fences_max = samples_quantile(&own->fences, 1),
        .fences_bg = divide_counts((double)own->fences_others, own->fences.count),
        .lines = divide_counts((double)own->lines, own->fences.count),
        .shared = divide_counts((double)own->shared, own->fences.count),
        .floor_ns = samples_quantile(&find_subject(run, floor->op, floor->side)->batches, 0.5),
    };
    out->floor_ratio = (row->is_mean_compared ? out->ns_mean : out->ns_p50) / out->floor_ns;
    for (size_t i = 0; i < ROW_PEERS_MAX && row->peers[i].name != NULL; i++) {
        struct subject *peer = find_subject(run, row->peers[i].op, row->peers[i].side);

        out->peers_ns[i] = samples_quantile(&peer->batches, 0.5);
        out->peers_fences[i] = samples_mean(&peer->fences);
    }
}
