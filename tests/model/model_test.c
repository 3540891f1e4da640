/* model_test.c -- random operations, on the library and on a model, compared one by one
 *
 * model_test [--ops N] [--seed S] [--batch OPS] [-v]
 *
 * A session runs some thousand operations on one region. Within it the region is at times closed
 * and opened again, and at times a forked child runs a batch and ends without vmfs_close(), so that
 * the next open recovers. Some regions are so small that they fill up: a call that returns -ENOSPC
 * must have changed nothing. After every batch the whole tree is compared and checked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"
#include "op.h"
#include "region.h"
#include "seed.h"

#define SESSION_OPS 8000

struct model_test {
    uint64_t seed;
    uint64_t ops;
    uint64_t batch_ops; /* between comparisons of the whole tree */
    bool is_verbose;
    char region[REGION_PATH_MAX];
    uint64_t done;
    uint64_t full; /* calls that returned -ENOSPC */
    struct vmfs *fs;
    struct op_world library;
    struct op_world model;
    struct op_profile profile;
    struct op op;
    struct op_result library_result;
    struct op_result model_result;
};

static bool fail(const struct model_test *test, const char *what)
{
    printf("model_test: after %llu operations: %s\n  again: model_test --seed %llu --ops %llu "
           "--batch %llu\n",
           (unsigned long long)test->done, what, (unsigned long long)test->seed,
           (unsigned long long)test->ops, (unsigned long long)test->batch_ops);
    return false;
}

/* A write that was refused has stored nothing. */
static bool check_refused_write(struct model_test *test, const char *op_text)
{
    char text[700];
    const struct op_slot *library = &test->library.slots[test->op.slot];
    const struct op_slot *model = &test->model.slots[test->op.slot];
    bool is_append = (model->flags & VMFS_O_APPEND) != 0;
    if (test->op.kind != OP_WRITE || is_append || (model->flags & VMFS_O_ACCMODE) != VMFS_O_RDWR)
        return true;
    uint8_t *found = test->library_result.data;
    uint8_t *wanted = test->model_result.data;
    int64_t got = vmfs_file_pread(library->file, found, test->op.length, test->op.offset);
    int64_t there = model_pread(model->node, wanted, test->op.length, test->op.offset);
    if (got == there && memcmp(found, wanted, (size_t)there) == 0)
        return true;
    snprintf(text, sizeof(text), "%s returned -ENOSPC and stored something", op_text);
    return fail(test, text);
}

/* Draws and runs one operation on both sides. */
static bool run_op(struct model_test *test, struct seed *stream)
{
    char text[700];
    char op_text[512];
    op_generate(&test->op, &test->model, stream, &test->profile);
    op_run_vmfs(&test->op, &test->library, &test->library_result);
    test->done++;
    if (test->library_result.code == -ENOSPC) {
        test->full++;
        op_to_text(&test->op, op_text, sizeof(op_text));
        if (op_may_need_space(&test->op))
            return check_refused_write(test, op_text);
        snprintf(text, sizeof(text), "%s needs no space and returned -ENOSPC", op_text);
        return fail(test, text);
    }
    op_run_model(&test->op, &test->model, test->library_result.code, &test->model_result);
    if (op_results_agree(&test->op, &test->library_result, &test->model_result, text, sizeof(text)))
        return true;
    return fail(test, text);
}

static bool run_batch(struct model_test *test, uint64_t batch_seed)
{
    struct seed stream;
    seed_init(&stream, batch_seed);
    for (uint64_t i = 0; i < test->batch_ops; i++) {
        if (!run_op(test, &stream))
            return false;
    }
    return true;
}

static bool open_region(struct model_test *test)
{
    char text[700];
    struct region_log log;
    int err = region_open(test->region, 0, &log, &test->fs);
    test->library.fs = err == 0 ? test->fs : NULL;
    if (err == 0)
        return true;
    snprintf(text, sizeof(text), "open returned %d: %s", err, log.text);
    return fail(test, text);
}

static bool close_region(struct model_test *test)
{
    char text[64];
    int err = op_close_slots(&test->library);
    op_close_slots(&test->model);
    if (err == 0)
        err = vmfs_close(test->fs);
    snprintf(text, sizeof(text), "closing returned %d", err);
    return err == 0 || fail(test, text);
}

/* Ends without closing. Sends each returned code, with which the parent brings its own model on. */
static void __attribute__((noreturn))
run_child(struct model_test *test, uint64_t batch_seed, int fd)
{
    struct seed stream;
    bool is_good = open_region(test);
    seed_init(&stream, batch_seed);
    for (uint64_t i = 0; i < test->batch_ops && is_good; i++) {
        is_good = run_op(test, &stream);
        int64_t code = test->library_result.code;
        if (write(fd, &code, sizeof(code)) != (ssize_t)sizeof(code))
            is_good = false;
    }
    fflush(stdout);
    _exit(is_good ? 0 : 1);
}

static bool replay_child(struct model_test *test, uint64_t batch_seed, int fd)
{
    struct seed stream;
    int64_t code;
    seed_init(&stream, batch_seed);
    for (uint64_t i = 0; i < test->batch_ops; i++) {
        if (read(fd, &code, sizeof(code)) != (ssize_t)sizeof(code))
            return false;
        op_generate(&test->op, &test->model, &stream, &test->profile);
        test->done++;
        test->full += code == -ENOSPC ? 1 : 0;
        if (code != -ENOSPC)
            op_run_model(&test->op, &test->model, code, &test->model_result);
    }
    return true;
}

static bool run_dropped_batch(struct model_test *test, uint64_t batch_seed)
{
    int fds[2];
    if (!close_region(test) || pipe(fds) != 0)
        return false;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        run_child(test, batch_seed, fds[1]);
    }
    close(fds[1]);
    bool is_whole = pid > 0 && replay_child(test, batch_seed, fds[0]);
    close(fds[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    if (!is_whole || status != 0)
        return fail(test, "a child that ran a batch failed");
    op_close_slots(&test->model);
    return open_region(test);
}

static bool verify(struct model_test *test)
{
    char text[512];
    char check[64];
    if (compare_tree(test->fs, "", test->model.model, NULL, text) != 0)
        return fail(test, text);
    int64_t problems = region_check(test->fs);
    snprintf(check, sizeof(check), "vmfs_check gave %lld", (long long)problems);
    return problems == 0 || fail(test, check);
}

/* Removes every name, so that a name that cannot be removed is found. */
static bool empty_region(struct model_test *test)
{
    if (!close_region(test) || !open_region(test))
        return false;
    struct model *model = test->model.model;
    while (model->entry_count > 0) {
        char path[VMFS_PATH_MAX + 1];
        const struct model_entry *entry = model->entries[model->entry_count - 1];
        while (model_is_dir(entry->node) && entry->node->entries != NULL)
            entry = entry->node->entries;
        bool is_dir = model_is_dir(entry->node);
        if (!model_entry_path(entry, path))
            return true;
        int err = is_dir ? vmfs_rmdir(test->fs, path) : vmfs_unlink(test->fs, path);
        if (err != 0)
            return fail(test, path);
        if (is_dir)
            model_rmdir(model, path);
        else
            model_unlink(model, path);
    }
    return verify(test);
}

static void choose_profile(struct model_test *test, bool is_small, struct seed *choices)
{
    static const size_t names[] = {12, 80, 400, 1500};
    size_t names_max = names[seed_below(choices, 4)];
    test->profile = (struct op_profile){
        .names_max = names_max,
        .file_max = is_small ? 200000 : (uint64_t)16384 << seed_below(choices, 4),
        .sparse_max = (uint64_t)1 << 40,
        .name_range = (unsigned)names_max * 2,
        .messy = 8,
        .has_outside = true,
    };
}

static bool run_session(struct model_test *test, struct seed *choices)
{
    bool is_small = seed_chance(choices, 30);
    struct region_log log;
    choose_profile(test, is_small, choices);
    uint64_t bytes = is_small ? 2 * REGION_MIB : 64 * REGION_MIB;
    int err = region_format(test->region, bytes, &log, &test->fs);
    if (err != 0)
        return fail(test, log.text);
    test->library.fs = test->fs;
    test->library.prefix = "";
    test->model.model = model_create(geteuid(), getegid());
    bool is_good = true;
    uint64_t end = test->done + SESSION_OPS;
    while (is_good && test->done < end && test->done < test->ops) {
        uint64_t batch_seed = seed_next(choices);
        uint64_t form = seed_below(choices, 8);
        if (form == 0)
            is_good = close_region(test) && open_region(test);
        is_good = is_good &&
                  (form <= 2 ? run_dropped_batch(test, batch_seed) : run_batch(test, batch_seed));
        is_good = is_good && verify(test);
    }
    is_good = is_good && empty_region(test) && close_region(test);
    op_close_slots(&test->model);
    model_destroy(test->model.model);
    if (test->is_verbose)
        printf("session to %llu operations: %s region, %zu names, %llu times full\n",
               (unsigned long long)test->done, is_small ? "small" : "large",
               test->profile.names_max, (unsigned long long)test->full);
    return is_good;
}

static void parse_options(struct model_test *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0) {
            test->is_verbose = true;
        } else if (i + 1 < argc && strcmp(argv[i], "--ops") == 0) {
            test->ops = strtoull(argv[++i], NULL, 0);
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            test->seed = strtoull(argv[++i], NULL, 0);
        } else if (i + 1 < argc && strcmp(argv[i], "--batch") == 0) {
            test->batch_ops = strtoull(argv[++i], NULL, 0);
        } else {
            fprintf(stderr, "usage: model_test [--ops N] [--seed S] [--batch OPS] [-v]\n");
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    static struct model_test test = {.ops = 50000, .batch_ops = 500};
    region_force_pmem(argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    test.seed = seed_from_clock();
    parse_options(&test, argc, argv);
    region_path(test.region, "model");
    struct seed choices;
    seed_init(&choices, test.seed);
    bool is_good = true;
    while (is_good && test.done < test.ops)
        is_good = run_session(&test, &choices);
    printf("ops=%llu full=%llu seed=%llu %s\n", (unsigned long long)test.done,
           (unsigned long long)test.full, (unsigned long long)test.seed,
           is_good ? "agreed" : "FAILED");
    if (is_good)
        unlink(test.region);
    return is_good ? 0 : 1;
}
