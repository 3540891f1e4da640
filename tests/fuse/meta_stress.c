/* meta_stress.c -- processes that make, move, change and remove names at random
 *
 * meta_stress (--dir DIR | --mount VMFS_FUSE [--options O]) [--ops N] [--seed S] [-v]
 *
 * Half of the processes have a tree of their own each, with a model beside it: every call is compared,
 * and at intervals the whole tree. The others share one tree (shared.h). With --mount all is then looked
 * at again: when it has been mounted anew, and in the region itself, which must check; and the space of
 * all that is removed must come back. Many operations are several rounds, each on empty trees. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mount.h"
#include "number.h"
#include "private.h"
#include "shared.h"

#define PRIVATES     3
#define SHARERS      3
#define COMPARE_OPS  5000
#define ROUND_OPS    120000 /* what the trees keep fits the region */
#define REGION_BYTES (384 * REGION_MIB)

struct meta_stress {
    const char *dir;
    const char *program;
    const char *options;
    uint64_t ops;  /* of the round */
    uint64_t seed; /* of the round */
    bool is_verbose;
    struct mount mount;
};

static const struct op_profile profiles[PRIVATES] = {
    {.names_max = 40,
     .file_max = 65536,
     .sparse_max = (uint64_t)1 << 40,
     .name_range = 80,
     .messy = 6,
     .has_outside = true,
     .has_places = true},
    {.names_max = 400,
     .file_max = 16384,
     .sparse_max = (uint64_t)1 << 40,
     .name_range = 800,
     .messy = 6,
     .has_outside = true,
     .has_places = true},
    {.names_max = 3000,
     .file_max = 16384,
     .sparse_max = (uint64_t)1 << 40,
     .name_range = 6000,
     .messy = 3,
     .bulk_names = 3000,
     .has_outside = true,
     .has_places = true},
};

static uint64_t share_of(const struct meta_stress *test)
{
    return test->ops / (PRIVATES + SHARERS);
}

static void tree_path(const char *dir, unsigned process, char path[REGION_PATH_MAX + 32])
{
    if (process < PRIVATES)
        snprintf(path, REGION_PATH_MAX + 32, "%s/private.%u", dir, process);
    else
        snprintf(path, REGION_PATH_MAX + 32, "%s/shared", dir);
}

static struct private_tree *create_tree(const struct meta_stress *test, unsigned process)
{
    return private_create(seed_mix(test->seed, process), &profiles[process], false);
}

/* ----------------------------------------------------------------------------- the processes --- */

static bool run_private(const struct meta_stress *test, unsigned process)
{
    char path[REGION_PATH_MAX + 32];
    char text[1400];
    tree_path(test->dir, process, path);
    struct private_tree *tree = create_tree(test, process);
    bool is_good = host_enter(path);
    if (!is_good)
        snprintf(text, sizeof(text), "cannot be entered: %s", strerror(errno));
    while (is_good && tree->done < share_of(test)) {
        private_draw(tree);
        private_apply(tree);
        is_good = host_run(&tree->op, &tree->world, &tree->result, text, sizeof(text));
        if (is_good && tree->done % COMPARE_OPS == 0)
            is_good = host_compare(tree->world.model, text, sizeof(text));
    }
    is_good = is_good && host_compare(tree->world.model, text, sizeof(text));
    if (!is_good)
        printf("private.%u, after %llu operations: %s\n", process, (unsigned long long)tree->done,
               text);
    else if (test->is_verbose)
        printf("private.%u: %llu operations, %llu of them system calls\n", process,
               (unsigned long long)tree->done, (unsigned long long)host_run_count());
    private_destroy(tree);
    return is_good;
}

static bool run_process(const struct meta_stress *test, unsigned process)
{
    char path[REGION_PATH_MAX + 32];
    if (process < PRIVATES)
        return run_private(test, process);
    tree_path(test->dir, process, path);
    return shared_run(path, seed_mix(test->seed, process), share_of(test), test->is_verbose);
}

static bool run_processes(const struct meta_stress *test)
{
    pid_t pids[PRIVATES + SHARERS];
    bool is_good = true;
    fflush(stdout);
    for (unsigned i = 0; i < PRIVATES + SHARERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            bool is_fine = run_process(test, i);
            fflush(stdout);
            _exit(is_fine ? 0 : 1);
        }
    }
    for (unsigned i = 0; i < PRIVATES + SHARERS; i++) {
        int status = -1;
        waitpid(pids[i], &status, 0);
        if (status != 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 1))
            printf("process %u: status 0x%x\n", i, (unsigned)status);
        is_good = is_good && status == 0;
    }
    return is_good;
}

/* ------------------------------------------------------------------------------- what is left --- */

/* The trees in the region itself, beside models made of the same seeds. */
static bool verify_privates(const struct meta_stress *test, struct vmfs *fs)
{
    char path[REGION_PATH_MAX + 32];
    bool is_good = true;
    for (unsigned i = 0; i < PRIVATES && is_good; i++) {
        struct private_tree *tree = create_tree(test, i);
        while (tree->done < share_of(test)) {
            private_draw(tree);
            private_apply(tree);
        }
        private_settle(tree);
        tree_path("", i, path);
        is_good = private_agrees(tree, fs, path);
        private_destroy(tree);
    }
    return is_good;
}

static bool verify_region(const struct meta_stress *test)
{
    struct vmfs *fs = mount_look(&test->mount);
    if (fs == NULL)
        return false;
    bool is_good = verify_privates(test, fs);
    return vmfs_close(fs) == 0 && is_good && mount_check(&test->mount);
}

/* Blocks and inodes in use, of the region that no daemon has. */
static bool count_used(const struct meta_stress *test, struct vmfs_statfs *out)
{
    struct vmfs *fs = mount_look(&test->mount);
    if (fs == NULL)
        return false;
    bool is_good = vmfs_statfs(fs, out) == 0;
    return vmfs_close(fs) == 0 && is_good;
}

static bool prepare(const struct meta_stress *test)
{
    char path[REGION_PATH_MAX + 32];
    umask(0);
    for (unsigned i = 0; i <= PRIVATES; i++) {
        tree_path(test->dir, i, path);
        if (mkdir(path, 0755) != 0) {
            printf("%s: %s\n", path, strerror(errno));
            return false;
        }
    }
    return shared_prepare(path);
}

static bool walk_shared(const struct meta_stress *test, struct shared_digest *digest)
{
    char path[REGION_PATH_MAX + 32];
    tree_path(test->dir, PRIVATES, path);
    return shared_walk(path, digest);
}

static bool remove_flags(const char *path)
{
    char command[REGION_PATH_MAX + 64];
    snprintf(command, sizeof(command), "chattr -R -f -i -a '%s'", path);
    return system(command) >= 0;
}

static bool remove_trees(const struct meta_stress *test)
{
    char path[REGION_PATH_MAX + 32];
    bool is_good = true;
    for (unsigned i = 0; i <= PRIVATES; i++) {
        tree_path(test->dir, i, path);
        is_good = remove_flags(path) && shared_remove(path) && is_good;
    }
    return is_good;
}

/* Unmounts, looks into the region, and mounts again. */
static bool remount(struct meta_stress *test)
{
    return mount_end(&test->mount) && verify_region(test) && mount_start(&test->mount);
}

static bool returns_space(struct meta_stress *test, const struct vmfs_statfs *before)
{
    struct vmfs_statfs after;
    if (!mount_end(&test->mount) || !mount_check(&test->mount) || !count_used(test, &after))
        return false;
    bool is_good = after.inodes_used == before->inodes_used;
    if (!is_good)
        printf("%llu inodes were in use, now %llu\n", (unsigned long long)before->inodes_used,
               (unsigned long long)after.inodes_used);
    return is_good;
}

static bool run_mounted(struct meta_stress *test)
{
    struct vmfs_statfs before;
    struct shared_digest rest;
    struct shared_digest again;
    if (!count_used(test, &before) || !mount_start(&test->mount) || !prepare(test) ||
        !run_processes(test) || !walk_shared(test, &rest) || !remount(test) ||
        !walk_shared(test, &again))
        return false;
    if (!shared_same(&rest, &again)) {
        printf("the shared tree is another one when it is mounted again\n");
        return false;
    }
    return remove_trees(test) && returns_space(test, &before);
}

static bool run_here(const struct meta_stress *test)
{
    struct shared_digest digest;
    return prepare(test) && run_processes(test) && walk_shared(test, &digest) && remove_trees(test);
}

static bool run_rounds(struct meta_stress *test)
{
    uint64_t left = test->ops;
    bool is_good = true;
    while (left > 0 && is_good) {
        test->ops = left < ROUND_OPS ? left : ROUND_OPS;
        left -= test->ops;
        is_good = test->program != NULL ? run_mounted(test) : run_here(test);
        printf("round of seed=%llu ops=%llu %s\n", (unsigned long long)test->seed,
               (unsigned long long)test->ops, is_good ? "agreed" : "DIFFERENT");
        test->seed = seed_mix(test->seed, left) >> 16;
    }
    return is_good;
}

/* ------------------------------------------------------------------------------- the program --- */

static void __attribute__((noreturn)) print_usage(void)
{
    fprintf(stderr, "usage: meta_stress (--dir DIR | --mount VMFS_FUSE [--options O]) [--ops N] "
                    "[--seed S] [-v]\n");
    exit(2);
}

static uint64_t parse_number(const char *text)
{
    uint64_t number;
    if (!number_read(text, &number))
        print_usage();
    return number;
}

static void parse_options(struct meta_stress *test, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "-v") == 0) {
            test->is_verbose = true;
            continue;
        }
        if (strcmp(argv[i], "--dir") == 0)
            test->dir = value;
        else if (strcmp(argv[i], "--mount") == 0)
            test->program = value;
        else if (strcmp(argv[i], "--options") == 0)
            test->options = value;
        else if (strcmp(argv[i], "--ops") == 0)
            test->ops = parse_number(value);
        else if (strcmp(argv[i], "--seed") == 0)
            test->seed = parse_number(value);
        else
            print_usage();
        i++;
    }
    if ((test->dir == NULL) == (test->program == NULL))
        print_usage();
}

int main(int argc, char **argv)
{
    region_force_pmem(argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    static struct meta_stress test = {.ops = 30000};
    test.seed = seed_from_clock();
    parse_options(&test, argc, argv);
    if (test.program != NULL) {
        if (!mount_create(&test.mount, test.program, test.options, REGION_BYTES))
            return 1;
        test.dir = test.mount.dir;
    }
    uint64_t total = test.ops;
    bool is_good = run_rounds(&test);
    printf("ops=%llu %s\n", (unsigned long long)total, is_good ? "agreed" : "DIFFERENT");
    if (test.program != NULL)
        mount_destroy(&test.mount, !is_good);
    return is_good ? 0 : 1;
}
