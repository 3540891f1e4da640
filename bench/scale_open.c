/* scale_open.c -- opening a region of ten files and one of many, in turn */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scale.h"
#include "ticks.h"

#define FEW_FILES     10u
#define FILES_PER_DIR 1000u
#define OPENS_QUICK   11u
#define OPENS_FULL    41u
/* Room for a file without data, with its share of everything. */
#define FILE_ROOM_BYTES 640u

enum which { FEW, MANY, WHICH_COUNT };

struct openings {
    struct scale *scale;
    char paths[WHICH_COUNT][128];
};

static int make_files(struct vmfs *fs, uint64_t files)
{
    char path[64];
    int err = 0;

    for (uint64_t i = 0; err == 0 && i < files; i++) {
        if (i % FILES_PER_DIR == 0) {
            snprintf(path, sizeof(path), "/d%" PRIu64, i / FILES_PER_DIR);
            err = vmfs_mkdir(fs, path, 0755);
        }
        snprintf(path, sizeof(path), "/d%" PRIu64 "/file-%" PRIu64, i / FILES_PER_DIR,
                 i % FILES_PER_DIR);
        if (err == 0)
            err = vmfs_mknod(fs, path, 0644, 0);
    }
    return err;
}

static int make_region(const char *path, uint64_t room_bytes, uint64_t files)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs *fs;

    options.flags = VMFS_CREATE;
    options.region_bytes = room_bytes;
    int err = vmfs_open(path, &options, &fs);
    if (err != 0)
        return scale_failure(path, err);
    err = make_files(fs, files);
    int close_err = vmfs_close(fs);

    if (err == 0)
        err = close_err;
    return err == 0 ? 0 : scale_failure(path, err);
}

/* The changes cancel out, so that each opening finds the same. */
static void __attribute__((noreturn)) change_and_die(const char *path)
{
    struct vmfs *fs;

    if (vmfs_open(path, NULL, &fs) != 0)
        _exit(1);
    for (uint32_t i = 0; i < 200; i++) {
        if (vmfs_chmod(fs, "/d0/file-1", 0600 + i % 8) != 0)
            _exit(1);
    }
    raise(SIGKILL);
    _exit(1);
}

static int leave_unclean(const char *path)
{
    int status = 0;

    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        change_and_die(path);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return scale_failure("fork", -errno);
    return WIFSIGNALED(status) ? 0 : scale_failure("the process that is killed", -ECHILD);
}

static int open_once(struct scale *scale, const char *path, enum scale_row_id row)
{
    static const struct vmfs_counters none;
    struct vmfs_counters counters;
    struct vmfs *fs;
    uint64_t start = ticks_now();
    int err = vmfs_open(path, NULL, &fs);
    double ns = (double)(ticks_now() - start) * scale->tick_ns;

    if (err != 0)
        return scale_failure(path, err);
    err = vmfs_counters(fs, VMFS_COUNTERS_OPEN, &counters);
    if (err == 0)
        err = scale_add(&scale->rows[row], ns, 1);
    if (err == 0)
        err = samples_add(&scale->rows[row].singles, ns);
    if (err == 0)
        err = scale_add_counts(&scale->rows[row], &none, &counters, 1);
    int close_err = vmfs_close(fs);

    return err != 0 ? err : close_err;
}

static int measure(struct openings *openings, bool is_killed, unsigned opens)
{
    static const enum scale_row_id rows[2][WHICH_COUNT] = {
        {SCALE_OPEN_10, SCALE_OPEN_1M}, {SCALE_OPEN_10_KILLED, SCALE_OPEN_1M_KILLED}};
    int err = 0;

    for (unsigned i = 0; err == 0 && i < opens * WHICH_COUNT; i++) {
        const char *path = openings->paths[i % WHICH_COUNT];

        if (is_killed)
            err = leave_unclean(path);
        if (err == 0)
            err = open_once(openings->scale, path, rows[is_killed][i % WHICH_COUNT]);
        if (err == 0 && *openings->scale->stop != 0)
            err = scale_failure("open", -EINTR);
    }
    return err;
}

/* Both regions have the same size, so that only what is in them differs. */
static int make_both(struct openings *openings)
{
    struct scale *scale = openings->scale;
    uint64_t room_bytes = (((uint64_t)64 << 20) + scale->count * FILE_ROOM_BYTES) & ~(uint64_t)4095;
    int err = make_region(openings->paths[FEW], room_bytes, FEW_FILES);

    return err != 0 ? err : make_region(openings->paths[MANY], room_bytes, scale->count);
}

int scale_open_group(struct scale *scale)
{
    struct openings openings = {.scale = scale};
    unsigned opens = scale->is_quick ? OPENS_QUICK : OPENS_FULL;

    snprintf(openings.paths[FEW], sizeof(openings.paths[FEW]), "%s/few", scale->env->scratch_path);
    snprintf(openings.paths[MANY], sizeof(openings.paths[MANY]), "%s/many",
             scale->env->scratch_path);
    int err = make_both(&openings);
    if (err == 0)
        err = measure(&openings, false, opens);
    if (err == 0)
        err = measure(&openings, true, opens);
    unlink(openings.paths[FEW]);
    unlink(openings.paths[MANY]);
    return err;
}
