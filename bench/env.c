/* env.c -- what the measurements run on */
#include "env.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libpmem.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FLOOR_BYTES (2 * ENV_WINDOW_BYTES + ENV_RING_BYTES)
#define PAGE_BYTES  4096u

static int report_failure(const char *what, int err)
{
    fprintf(stderr, "vmfs-bench: %s: %s\n", what, strerror(-err));
    return err;
}

/* The last allowed CPU, as the first ones serve most interrupts. */
static int pin_cpu(struct bench_env *env)
{
    cpu_set_t cpus;
    bool is_found = false;

    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
        return report_failure("sched_getaffinity", -errno);
    env->cpus_allowed = cpus;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &cpus))
            continue;
        env->other_cpu = is_found ? env->cpu : cpu;
        env->cpu = cpu;
        is_found = true;
    }
    CPU_ZERO(&cpus);
    CPU_SET(env->cpu, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
        return report_failure("sched_setaffinity", -errno);
    return 0;
}

/* libpmem reads the variable when it is first asked about a range, which is later than this. */
static void force_pmem(struct bench_env *env)
{
    if (getenv("PMEM_IS_PMEM_FORCE") == NULL) {
        setenv("PMEM_IS_PMEM_FORCE", "1", 1);
        env->is_pmem_forced_here = true;
    }
}

static int make_scratch(struct bench_env *env)
{
    char path[] = "/dev/shm/vmfs-bench.XXXXXX";
    struct statfs info;

    if (mkdtemp(path) == NULL)
        return report_failure(path, -errno);
    memcpy(env->scratch_path, path, sizeof(path));
    if (statfs(path, &info) != 0)
        return report_failure(path, -errno);
    if ((unsigned long)info.f_type != TMPFS_MAGIC) {
        fprintf(stderr, "vmfs-bench: /dev/shm: not a tmpfs, which is the peer\n");
        return -ENOTSUP;
    }
    return 0;
}

static int open_tmpfs_side(struct bench_env *env)
{
    char path[sizeof(env->scratch_path) + 8];
    struct bench_fs *side = &env->sides[ENV_TMPFS];

    snprintf(path, sizeof(path), "%s/tree", env->scratch_path);
    if (mkdir(path, 0755) != 0)
        return report_failure(path, -errno);
    side->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (side->root_fd < 0)
        return report_failure(path, -errno);
    side->calls = &fs_system_calls;
    side->name = "tmpfs";
    return 0;
}

/* Touching every page keeps page faults out of the measurements. */
static void touch_pages(uint8_t *base, size_t length_bytes)
{
    volatile uint8_t *bytes = base;

    for (size_t at = 0; at < length_bytes; at += PAGE_BYTES)
        bytes[at] = 0;
}

static int map_new_file(const char *path, size_t length_bytes, void **out)
{
    size_t mapped_bytes = 0;
    int is_pmem = 0;
    void *base = pmem_map_file(path, length_bytes, PMEM_FILE_CREATE | PMEM_FILE_EXCL, 0600,
                               &mapped_bytes, &is_pmem);

    if (base == NULL)
        return report_failure(path, errno == 0 ? -EIO : -errno);
    *out = base;
    if (unlink(path) != 0)
        return report_failure(path, -errno);
    touch_pages(base, length_bytes);
    return 0;
}

/* The directory is resolved now, as the file itself does not stay. */
static int resolve_region_path(struct bench_env *env, const char *given)
{
    char directory[PATH_MAX];
    char resolved[PATH_MAX];
    const char *slash = strrchr(given, '/');
    const char *name = slash == NULL ? given : slash + 1;
    size_t prefix_bytes = slash == NULL ? 0 : (size_t)(slash - given) + 1;

    if (prefix_bytes >= sizeof(directory))
        return report_failure(given, -ENAMETOOLONG);
    memcpy(directory, given, prefix_bytes);
    directory[prefix_bytes] = '\0';
    if (realpath(prefix_bytes == 0 ? "." : directory, resolved) == NULL)
        return report_failure(given, -errno);
    int length = snprintf(env->region_path, sizeof(env->region_path), "%s/%s", resolved, name);

    if (length < 0 || (size_t)length >= sizeof(env->region_path))
        return report_failure(given, -ENAMETOOLONG);
    return 0;
}

static int map_memory(struct bench_env *env, const char *region_path)
{
    char path[PATH_MAX + 8];
    void *floor = NULL;

    if (region_path == NULL) {
        snprintf(path, sizeof(path), "%s/region", env->scratch_path);
        region_path = path;
    }
    int err = resolve_region_path(env, region_path);
    if (err == 0)
        err = map_new_file(env->region_path, env->region_bytes, &env->region);
    if (err != 0)
        return err;
    snprintf(path, sizeof(path), "%s.floor", env->region_path);
    err = map_new_file(path, FLOOR_BYTES, &floor);
    env->floor_base = floor;
    env->floor_source = env->floor_base;
    env->floor_target = env->floor_base + ENV_WINDOW_BYTES;
    env->floor_ring = env->floor_base + 2 * ENV_WINDOW_BYTES;
    return err;
}

static void print_library_error(void *arg, int level, int reason, const char *file, int line,
                                const char *text)
{
    (void)arg;
    if (level == VMFS_LOG_ERROR)
        fprintf(stderr, "vmfs-bench: libvmfs %s:%d: %s: %s\n", file, line, vmfs_reason_str(reason),
                text);
}

static int open_library_side(struct bench_env *env)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct bench_fs *side = &env->sides[ENV_LIBRARY];

    options.flags = VMFS_CREATE | VMFS_ZEROED;
    options.log = print_library_error;
    int err = vmfs_attach(env->region, env->region_bytes, &options, &side->vmfs);

    if (err != 0)
        return report_failure(env->region_path, err);
    side->calls = &fs_library_calls;
    side->name = "vmfs";
    return 0;
}

int env_open(struct bench_env *env, const char *region_path, size_t region_bytes)
{
    *env = (struct bench_env){.start_fd = -1, .region_bytes = region_bytes};
    env->sides[ENV_TMPFS].root_fd = -1;
    env->start_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (env->start_fd < 0)
        return report_failure(".", -errno);
    force_pmem(env);
    int err = pin_cpu(env);

    if (err == 0)
        err = make_scratch(env);
    if (err == 0)
        err = open_tmpfs_side(env);
    if (err == 0)
        err = map_memory(env, region_path);
    if (err == 0)
        err = open_library_side(env);
    return err;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)info;
    (void)type;
    (void)position;
    return remove(path);
}

int env_close(struct bench_env *env)
{
    int err = 0;

    if (env->sides[ENV_LIBRARY].vmfs != NULL)
        err = vmfs_close(env->sides[ENV_LIBRARY].vmfs);
    if (err != 0)
        report_failure("vmfs_close", err);
    if (env->region != NULL)
        pmem_unmap(env->region, env->region_bytes);
    if (env->floor_base != NULL)
        pmem_unmap(env->floor_base, FLOOR_BYTES);
    if (env->sides[ENV_TMPFS].root_fd >= 0)
        close(env->sides[ENV_TMPFS].root_fd);
    if (env->scratch_path[0] != '\0' &&
        nftw(env->scratch_path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
        report_failure(env->scratch_path, -errno);
    if (env->start_fd >= 0) {
        if (fchdir(env->start_fd) != 0)
            report_failure("fchdir", -errno);
        close(env->start_fd);
    }
    return err;
}

struct bench_fs *env_side(struct bench_env *env, enum env_side side)
{
    return side == ENV_MEMORY ? NULL : &env->sides[side];
}
