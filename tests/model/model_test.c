/* model_test.c -- random operations on the library, on a model and on tmpfs, compared one by one
 *
 * model_test [--ops N] [--seed S] [--op N] [--compare OPS] [--life OPS] [--long] [--no-host] [-v]
 *
 * A session runs some ten thousand operations on one region. A child process owns the region, and
 * after each life of some thousand operations it is killed with SIGKILL, or at times closes; the next
 * child recovers. Some regions are so small that they fill up: a call that returns -ENOSPC must have
 * changed nothing. Every --compare operations the whole tree is compared on all three sides and
 * checked.
 *
 * The library's clock and randomness come from the test, so a seed decides every byte of the region:
 * `--seed S --op N` runs the same operations up to N and prints those around it. At the end the
 * digest of all regions is printed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"
#include "host.h"
#include "matrix.h"
#include "op.h"
#include "reach.h"
#include "region.h"
#include "seed.h"
#include "totals.h"
#include "world.h"

#define CLOCK_START_NS 1800000000000000000
#define CLOCK_STEP_NS  611000000007
#define AROUND         10
#define SESSION_LIVES  3
#define LONG_OPS       1000000

struct model_test {
    uint64_t seed;
    uint64_t ops;
    uint64_t stop; /* operation after which the run ends; 0: none */
    uint64_t shown;
    uint64_t life_ops;
    uint64_t compare_ops;
    bool is_long;
    bool has_host;
    bool is_verbose;
    bool is_child;
    char region[REGION_PATH_MAX];
    char tree[REGION_PATH_MAX + 16];
    uint64_t done;
    uint64_t kills;
    uint64_t digest;
    uint64_t short_writes;
    uint64_t sessions;
    struct reach reach;
    struct matrix matrix;
    uint64_t library_seed;
    uint64_t lives;
    struct vmfs *fs;
    struct region_log log; /* of `fs`, which writes to it as long as it is open */
    struct op_world library;
    struct op_world model;
    struct op_profile profile;
    bool is_small;
    struct op op;
    struct op_result library_result;
    struct op_result model_result;
};

static bool fail(const struct model_test *test, const char *what)
{
    printf("model_test: after %llu operations: %s\n  again: model_test --seed %llu --op %llu "
           "--life %llu --compare %llu%s%s\n",
           (unsigned long long)test->done, what, (unsigned long long)test->seed,
           (unsigned long long)test->done, (unsigned long long)test->life_ops,
           (unsigned long long)test->compare_ops, test->is_long ? " --long" : "",
           test->has_host ? "" : " --no-host");
    return false;
}

static void set_clock(struct model_test *test)
{
    int64_t now_ns = CLOCK_START_NS + (int64_t)test->done * CLOCK_STEP_NS;
    test->model.model->now_ns = now_ns;
    world_set_now(now_ns);
}

/* ----------------------------------------------------------------------------- one operation --- */

static void show_op(const struct model_test *test)
{
    char text[700];
    op_to_text(&test->op, text, sizeof(text));
    printf("%llu: %s\n    library %lld, model %lld", (unsigned long long)test->done, text,
           (long long)test->library_result.code, (long long)test->model_result.code);
    if (test->has_host && host_last_code() != INT64_MIN)
        printf(", tmpfs %lld", (long long)host_last_code());
    printf("\n");
}

/* A write that was refused has stored nothing. */
static bool check_refused_write(struct model_test *test, const char *op_text)
{
    char text[700];
    const struct op_slot *library = &test->library.slots[test->op.slot];
    const struct op_slot *model = &test->model.slots[test->op.slot];
    bool is_append = (model->flags & VMFS_O_APPEND) != 0;
    if (test->op.kind != OP_WRITE || is_append || (model->flags & VMFS_O_ACCMODE) != VMFS_O_RDWR ||
        (model->flags & VMFS_O_NOATIME) == 0)
        return true;
    uint8_t *found = test->library_result.data;
    uint8_t *wanted = test->model_result.data;
    int64_t got = vmfs_file_pread(library->file, found, test->op.length, test->op.offset);
    struct model_node unread = *model->node;
    int64_t there = model_pread(&unread, wanted, test->op.length, test->op.offset);
    if (got == there && memcmp(found, wanted, (size_t)there) == 0)
        return true;
    snprintf(text, sizeof(text), "%s returned -ENOSPC and stored something", op_text);
    return fail(test, text);
}

/* Blocks for part of a range that did not get all of them are a change, which nobody can read. */
static void follow_refused(struct model_test *test)
{
    if (test->op.kind != OP_ALLOCATE)
        return;
    struct model_node *node = test->model.slots[test->op.slot].node;
    node->is_mtime_known = node->is_ctime_known = false;
}

/* Where no block is left to cut an extent in two, zeros are written to a part of it, which stays data. */
static void follow_zeroed(struct model_test *test, int64_t code)
{
    const struct op *op = &test->op;
    if (test->is_small && code == 0 && op->kind == OP_ALLOCATE && (op->flags & VMFS_ALLOC_ZERO))
        model_loosen(test->model.slots[op->slot].node, op->offset, op->offset + op->length);
}

static bool check_full(struct model_test *test)
{
    char text[700];
    char op_text[512];
    op_to_text(&test->op, op_text, sizeof(op_text));
    if (op_may_need_space(&test->op))
        return check_refused_write(test, op_text);
    snprintf(text, sizeof(text), "%s needs no space and returned -ENOSPC", op_text);
    return fail(test, text);
}

/* A write may be short only when the region became full under it. */
static bool check_short(struct model_test *test)
{
    struct vmfs_statfs statfs;
    char text[256];
    bool is_write = test->op.kind == OP_WRITE || test->op.kind == OP_WRITE_HERE;
    int64_t code = test->library_result.code;
    if (!is_write || code <= 0 || (uint64_t)code >= test->op.length)
        return true;
    int err = vmfs_statfs(test->fs, &statfs);
    if (err == 0 && statfs.blocks_free * 4096 <= test->op.length + 64 * 4096)
        return true;
    snprintf(text, sizeof(text), "a write of %llu bytes was short by %llu with %llu blocks free",
             (unsigned long long)test->op.length,
             (unsigned long long)(test->op.length - (uint64_t)code),
             (unsigned long long)statfs.blocks_free);
    return fail(test, text);
}

/* Draws and runs one operation on all sides. */
static bool run_op(struct model_test *test, struct seed *stream)
{
    char text[1400];
    set_clock(test);
    op_generate(&test->op, &test->model, stream, &test->profile);
    op_run_vmfs(&test->op, &test->library, &test->library_result);
    test->done++;
    test->model_result.code = test->library_result.code;
    bool is_good = true;
    if (test->library_result.code == -ENOSPC) {
        is_good = check_full(test);
        follow_refused(test);
    } else {
        op_run_model(&test->op, &test->model, test->library_result.code, &test->model_result);
        if (!op_results_agree(&test->op, &test->library_result, &test->model_result, text,
                              sizeof(text)))
            is_good = fail(test, text);
        else if (test->has_host &&
                 !host_run(&test->op, &test->model, &test->model_result, text, sizeof(text)))
            is_good = fail(test, text);
        is_good = is_good && check_short(test);
        follow_zeroed(test, test->library_result.code);
    }
    bool is_shown = test->shown != 0 && test->done + AROUND >= test->shown;
    if (is_shown || !is_good)
        show_op(test);
    return is_good;
}

/* The model's part alone, with what the library returned. */
static void follow_op(struct model_test *test, struct seed *stream, int64_t code)
{
    set_clock(test);
    op_generate(&test->op, &test->model, stream, &test->profile);
    test->done++;
    matrix_count(&test->matrix, test->op.kind, code);
    reach_note(&test->reach, &test->op, &test->model, code);
    if (code == -ENOSPC)
        follow_refused(test);
    else
        op_run_model(&test->op, &test->model, code, &test->model_result);
    follow_zeroed(test, code);
}

/* ------------------------------------------------------------------------------ a whole tree --- */

static bool verify(struct model_test *test)
{
    char text[1400];
    char check[64];
    set_clock(test);
    if (compare_tree(test->fs, "", test->model.model, NULL, text) != 0)
        return fail(test, text);
    compare_touch(test->model.model);
    if (test->has_host && !host_compare(test->model.model, text, sizeof(text)))
        return fail(test, text);
    int64_t problems = region_check(test->fs);
    snprintf(check, sizeof(check), "vmfs_check gave %lld", (long long)problems);
    return problems == 0 || fail(test, check);
}

static bool verify_totals(struct model_test *test)
{
    char text[256];
    return totals_agree(test->fs, text, sizeof(text)) || fail(test, text);
}

static bool open_region(struct model_test *test)
{
    char text[700];
    set_clock(test);
    world_set_random(seed_mix(test->library_seed, test->lives));
    int err = region_open(test->region, 0, &test->log, &test->fs);
    test->library.fs = err == 0 ? test->fs : NULL;
    if (err == 0)
        return true;
    snprintf(text, sizeof(text), "open returned %d: %s", err, test->log.text);
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

/* --------------------------------------------------------------------------------- one life --- */

struct life {
    uint64_t seed;
    uint64_t ops;
    bool is_closing; /* ends by closing, not by SIGKILL */
    bool is_last;    /* empties the region and closes */
};

static bool enter_life(struct model_test *test)
{
    test->is_child = true;
    if (!open_region(test))
        return false;
    if (test->has_host && !host_enter(test->tree))
        return fail(test, "chroot failed");
    return verify(test) && verify_totals(test);
}

/* Takes the flags away that would keep names. */
static bool clear_flags(struct model_test *test)
{
    char path[VMFS_PATH_MAX + 1];
    struct model *model = test->model.model;
    struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS};
    for (size_t i = 0; i < model->entry_count; i++) {
        const struct model_entry *entry = model->entries[i];
        if (entry->node->flags == 0 || !model_entry_path(entry, path))
            continue;
        if (vmfs_setattr(test->fs, path, VMFS_NOFOLLOW, &attr) != 0 ||
            (test->has_host && host_set_flags(path, 0) != 0))
            return fail(test, path);
        entry->node->flags = 0;
    }
    return true;
}

/* Removes every name, so that a name that cannot be removed is found. */
static bool empty_region(struct model_test *test)
{
    struct model *model = test->model.model;
    if (!clear_flags(test))
        return false;
    while (model->entry_count > 0) {
        char path[VMFS_PATH_MAX + 1];
        const struct model_entry *entry = model->entries[model->entry_count - 1];
        while (model_is_dir(entry->node) && entry->node->entries != NULL)
            entry = entry->node->entries;
        bool is_dir = model_is_dir(entry->node);
        struct model_at at = {.path = path, .uid = UINT32_MAX, .gid = UINT32_MAX};
        if (!model_entry_path(entry, path))
            return true;
        int err = is_dir ? vmfs_rmdir(test->fs, path) : vmfs_unlink(test->fs, path);
        if (err == 0 && test->has_host)
            err = host_remove(path, is_dir);
        if (err != 0)
            return fail(test, path);
        if (is_dir)
            model_rmdir(model, &at);
        else
            model_unlink(model, &at);
    }
    return verify(test) && verify_totals(test);
}

static bool send_code(int fd, int64_t code)
{
    return write(fd, &code, sizeof(code)) == (ssize_t)sizeof(code);
}

/* The child: runs a life and sends each returned code, with which the parent brings its own model
 * on. Without a closing it then waits for death. */
static void __attribute__((noreturn))
run_child(struct model_test *test, const struct life *life, int fd)
{
    struct seed stream;
    bool is_good = enter_life(test);
    seed_init(&stream, life->seed);
    for (uint64_t i = 0; i < life->ops && is_good; i++) {
        is_good = run_op(test, &stream);
        if (is_good && (i + 1) % test->compare_ops == 0)
            is_good = verify(test);
        is_good = is_good && send_code(fd, test->library_result.code);
    }
    if (is_good && life->is_closing)
        is_good = close_region(test);
    if (is_good && life->is_last) {
        op_close_slots(&test->library);
        op_close_slots(&test->model);
        is_good = empty_region(test) && close_region(test);
    }
    if (is_good)
        is_good =
            send_code(fd, (int64_t)host_run_count()) && send_code(fd, (int64_t)host_skip_count());
    fflush(stdout);
    while (is_good && !life->is_closing && !life->is_last)
        pause();
    _exit(is_good ? 0 : 1);
}

static bool follow_child(struct model_test *test, const struct life *life, int fd)
{
    struct seed stream;
    int64_t code;
    seed_init(&stream, life->seed);
    set_clock(test);
    compare_touch(test->model.model);
    for (uint64_t i = 0; i < life->ops; i++) {
        if (read(fd, &code, sizeof(code)) != (ssize_t)sizeof(code))
            return false;
        follow_op(test, &stream, code);
        if ((i + 1) % test->compare_ops == 0) {
            set_clock(test);
            compare_touch(test->model.model);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        if (read(fd, &code, sizeof(code)) != (ssize_t)sizeof(code))
            return false;
    }
    return true;
}

static bool run_life(struct model_test *test, const struct life *life)
{
    int fds[2];
    test->lives++;
    if (pipe(fds) != 0)
        return false;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        run_child(test, life, fds[1]);
    }
    close(fds[1]);
    bool is_whole = pid > 0 && follow_child(test, life, fds[0]);
    close(fds[0]);
    int status = 0;
    bool is_killed = is_whole && !life->is_closing && !life->is_last;
    if (is_killed)
        kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    op_close_slots(&test->model);
    bool is_as_wanted = is_killed ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                                  : WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (is_killed)
        model_crash(test->model.model);
    test->kills += is_killed ? 1 : 0;
    if (is_whole && is_as_wanted)
        return true;
    char text[128];
    snprintf(text, sizeof(text), "the process that owned the region ended with status 0x%x",
             (unsigned)status);
    return fail(test, text);
}

/* ------------------------------------------------------------------------------ the sessions --- */

static void choose_profile(struct model_test *test, struct seed *choices)
{
    static const size_t names[] = {12, 80, 400, 1500};
    size_t names_max = names[seed_below(choices, 4)];
    uint64_t number = test->sessions++;
    test->is_small = number % 3 == 1;
    test->profile = (struct op_profile){
        .names_max = names_max,
        .file_max = test->is_small ? 200000 : (uint64_t)16384 << seed_below(choices, 4),
        .sparse_max = (uint64_t)1 << 40,
        .name_range = (unsigned)names_max * 2,
        .messy = 6,
        .has_outside = true,
        .has_places = true,
        .has_privileges = !test->has_host, /* a kernel judges by its own rules who keeps them */
    };
    if (number % 20 == 2 && (test->is_long || number == 2))
        test->profile.bulk_names = test->is_long ? VMFS_LINK_MAX + 4000 : 3000;
    if (number % 20 == 2 && test->is_long && number != 2)
        test->profile.bulk_names = REACH_DIRECTORY + 5000;
    test->profile.is_bulk_links = number == 2;
    if (test->profile.bulk_names > 0)
        test->profile.names_max = test->profile.bulk_names;
}

/* The digest of the region's file, which is closed. */
static void digest_region(struct model_test *test)
{
    int fd = open(test->region, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0)
        return;
    size_t bytes = (size_t)stat.st_size;
    const uint64_t *words = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (words == MAP_FAILED)
        return;
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
        test->digest = (test->digest ^ words[i]) * 0x9e3779b97f4a7c15u;
    test->digest ^= test->digest >> 29;
    munmap((void *)(uintptr_t)words, bytes);
}

static bool create_region(struct model_test *test)
{
    struct region_log log;
    uint64_t bytes = test->is_small ? 2 * REGION_MIB : 64 * REGION_MIB;
    if (test->profile.bulk_names > 10000)
        bytes = 256 * REGION_MIB;
    test->model.model = model_create(geteuid(), getegid());
    set_clock(test);
    world_set_random(seed_mix(test->library_seed, test->lives++));
    int err = region_format(test->region, bytes, &log, &test->fs);
    if (err == 0)
        err = vmfs_close(test->fs);
    if (err == 0 && test->has_host && mkdir(test->tree, 0755) != 0)
        err = -errno;
    return err == 0 || fail(test, log.text);
}

/* Operations that are left, of which this life may have `ops`. */
static uint64_t limit_ops(const struct model_test *test, uint64_t ops)
{
    uint64_t end = test->stop != 0 && test->stop < test->ops ? test->stop : test->ops;
    uint64_t left = end > test->done ? end - test->done : 0;
    return ops < left ? ops : left;
}

static bool run_session(struct model_test *test, struct seed *choices)
{
    choose_profile(test, choices);
    test->library_seed = seed_next(choices);
    test->library.prefix = "";
    bool is_good = create_region(test);
    uint64_t bulk_lives = test->profile.bulk_names / test->life_ops;
    for (uint64_t i = 0; i < SESSION_LIVES + bulk_lives && is_good; i++) {
        struct life life = {.seed = seed_next(choices), .ops = limit_ops(test, test->life_ops)};
        life.is_closing = seed_chance(choices, 20);
        if (life.ops > 0)
            is_good = run_life(test, &life);
    }
    size_t names = test->model.model->entry_count;
    struct life last = {.is_last = true};
    is_good = is_good && run_life(test, &last);
    op_close_slots(&test->model);
    model_destroy(test->model.model);
    if (is_good)
        digest_region(test);
    if (is_good && test->has_host && rmdir(test->tree) != 0)
        is_good = fail(test, "the tree on tmpfs is not empty at the end");
    if (test->is_verbose)
        printf("session %llu to %llu operations: %s region, %zu names at the end, %llu killed\n",
               (unsigned long long)test->sessions, (unsigned long long)test->done,
               test->is_small ? "small" : "large", names, (unsigned long long)test->kills);
    return is_good;
}

static bool verify_matrix(const struct model_test *test)
{
    uint64_t total = matrix_total(&test->matrix);
    uint64_t successes = matrix_successes(&test->matrix);
    matrix_print(&test->matrix);
    reach_print(&test->reach);
    printf("%.1f %% of %llu operations succeeded\n", 100.0 * (double)successes / (double)total,
           (unsigned long long)total);
    if (test->stop != 0 || total < 40000)
        return true;
    bool is_long = test->is_long && total >= LONG_OPS;
    if (successes * 100 < total * 60) {
        printf("fewer than 60 %% succeeded: the test proves little\n");
        return false;
    }
    unsigned missing = reach_verify(&test->reach, is_long);
    return matrix_verify(&test->matrix, is_long) + missing == 0;
}

static void parse_options(struct model_test *test, int argc, char **argv)
{
    uint64_t *const numbers[] = {&test->ops, &test->seed, &test->shown, &test->compare_ops,
                                 &test->life_ops};
    static const char *const names[] = {"--ops", "--seed", "--op", "--compare", "--life"};
    for (int i = 1; i < argc; i++) {
        unsigned number = 0;
        while (number < 5 && strcmp(argv[i], names[number]) != 0)
            number++;
        if (number < 5 && i + 1 < argc) {
            *numbers[number] = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "-v") == 0) {
            test->is_verbose = true;
        } else if (strcmp(argv[i], "--long") == 0) {
            test->is_long = true;
            test->ops = LONG_OPS;
            test->compare_ops = 1000;
        } else if (strcmp(argv[i], "--no-host") == 0) {
            test->has_host = false;
        } else {
            fprintf(stderr, "usage: model_test [--ops N] [--seed S] [--op N] [--compare OPS] "
                            "[--life OPS] [--long] [--no-host] [-v]\n");
            exit(2);
        }
    }
    if (test->shown != 0)
        test->stop = test->shown + AROUND;
}

int main(int argc, char **argv)
{
    static struct model_test test = {.ops = 50000, .life_ops = 5000, .compare_ops = 200};
    region_force_pmem(argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    test.seed = seed_from_clock();
    test.has_host = host_is_possible();
    parse_options(&test, argc, argv);
    region_path(test.region, "model");
    snprintf(test.tree, sizeof(test.tree), "%s-tree", test.region);
    struct seed choices;
    seed_init(&choices, test.seed);
    bool is_good = true;
    while (is_good && limit_ops(&test, test.ops) > 0)
        is_good = run_session(&test, &choices);
    is_good = is_good && verify_matrix(&test);
    printf("ops=%llu kills=%llu host=%s regions=%016llx seed=%llu %s\n",
           (unsigned long long)test.done, (unsigned long long)test.kills,
           test.has_host ? "tmpfs" : "none", (unsigned long long)test.digest,
           (unsigned long long)test.seed, is_good ? "agreed" : "FAILED");
    if (is_good)
        unlink(test.region);
    return is_good ? 0 : 1;
}
