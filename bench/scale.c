/* scale.c -- the rows, their samples, and regions to make them in */

#include "scale.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ticks.h"

const struct scale_row scale_rows[SCALE_ROWS_COUNT] = {
    [SCALE_OPEN_10] = {"open_10", "vmfs_open() of a region with ten files", SCALE_OPEN_10},
    [SCALE_OPEN_1M] = {"open_1m", "the same with `count` files", SCALE_OPEN_10},
    [SCALE_OPEN_10_KILLED] = {"open_10_killed", "ten files, after the owner was killed",
                              SCALE_OPEN_10_KILLED},
    [SCALE_OPEN_1M_KILLED] = {"open_1m_killed", "the same with `count` files",
                              SCALE_OPEN_10_KILLED},
    [SCALE_CREATE_1T] = {"create_1t", "mknod by one thread", SCALE_CREATE_1T},
    [SCALE_CREATE_2T] = {"create_2t", "by two threads, each in its own directory", SCALE_CREATE_1T},
    [SCALE_CREATE_2T_ONE_DIR] = {"create_2t_one_dir", "by two threads in one directory",
                                 SCALE_CREATE_1T},
    [SCALE_STAT_1T] = {"stat_1t", "stat by one thread", SCALE_STAT_1T},
    [SCALE_STAT_2T] = {"stat_2t", "by two threads, each in its own directory", SCALE_STAT_1T},
    [SCALE_UNLINK_1T] = {"unlink_1t", "unlink by one thread", SCALE_UNLINK_1T},
    [SCALE_UNLINK_2T] = {"unlink_2t", "by two threads, each in its own directory", SCALE_UNLINK_1T},
    [SCALE_CREATE_SPREAD] = {"create_spread1m", "mknod, `count` names in directories of ten",
                             SCALE_CREATE_SPREAD},
    [SCALE_CREATE_DIR] = {"create_dir1m", "mknod, the same names in one directory",
                          SCALE_CREATE_SPREAD},
    [SCALE_STAT_SPREAD] = {"stat_spread1m", "stat at random, in directories of ten",
                           SCALE_STAT_SPREAD},
    [SCALE_STAT_DIR] = {"stat_dir1m", "stat at random, in one directory", SCALE_STAT_SPREAD},
    [SCALE_UNLINK_SPREAD] = {"unlink_spread1m", "unlink at random, in directories of ten",
                             SCALE_UNLINK_SPREAD},
    [SCALE_UNLINK_DIR] = {"unlink_dir1m", "unlink at random, in one directory",
                          SCALE_UNLINK_SPREAD},
};

static bool matches(const char *filter, enum scale_row_id row)
{
    return filter == NULL || fnmatch(filter, scale_rows[row].name, 0) == 0;
}

bool scale_is_selected(const struct scale *scale, enum scale_row_id row)
{
    return matches(scale->filter, row);
}

static bool is_any_selected(const char *filter, unsigned first, unsigned last)
{
    for (unsigned row = first; row <= last; row++) {
        if (matches(filter, (enum scale_row_id)row))
            return true;
    }
    return false;
}

bool scale_has_rows(const char *filter)
{
    return is_any_selected(filter, 0, SCALE_ROWS_COUNT - 1);
}

int scale_failure(const char *what, int err)
{
    fprintf(stderr, "vmfs-bench: %s: %s\n", what, strerror(-err));
    return err;
}

int scale_add(struct scale_samples *row, double ns, uint64_t calls)
{
    row->calls += calls;
    return samples_add(&row->ns, ns / (double)calls);
}

int scale_add_counts(struct scale_samples *row, const struct vmfs_counters *before,
                     const struct vmfs_counters *after, uint64_t calls)
{
    row->counted += calls;
    row->lines += after->lines - before->lines;
    row->shared += after->shared - before->shared;
    return samples_add(&row->fences, (double)(after->fences - before->fences) / (double)calls);
}

static int map_file(const char *path, struct scale_region *region)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return scale_failure(path, -errno);
    int err = ftruncate(fd, (off_t)region->length_bytes) == 0 ? 0 : -errno;
    void *base = MAP_FAILED;

    if (err == 0)
        base = mmap(NULL, region->length_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                    fd, 0);
    if (err == 0 && base == MAP_FAILED)
        err = -errno;
    close(fd);
    unlink(path);
    if (err != 0)
        return scale_failure(path, err);
    region->base = base;
    return 0;
}

int scale_region_open(const struct scale *scale, struct scale_region *region, size_t length_bytes)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    char path[sizeof(scale->env->scratch_path) + 8];

    *region = (struct scale_region){.length_bytes = length_bytes & ~(size_t)4095};
    snprintf(path, sizeof(path), "%s/scale", scale->env->scratch_path);
    int err = map_file(path, region);
    if (err != 0)
        return err;
    options.flags = VMFS_CREATE | VMFS_ZEROED;
    err = vmfs_attach(region->base, region->length_bytes, &options, &region->fs);
    return err == 0 ? 0 : scale_failure("vmfs_attach", err);
}

int scale_region_close(struct scale_region *region)
{
    int err = region->fs == NULL ? 0 : vmfs_close(region->fs);

    if (region->base != NULL)
        munmap(region->base, region->length_bytes);
    *region = (struct scale_region){.base = NULL};
    return err == 0 ? 0 : scale_failure("vmfs_close", err);
}

int scale_measure(struct scale *scale)
{
    static const struct {
        unsigned first, last;
        int (*run)(struct scale *scale);
    } groups[] = {
        {SCALE_OPEN_10, SCALE_OPEN_1M_KILLED, scale_open_group},
        {SCALE_CREATE_1T, SCALE_UNLINK_2T, scale_threads_group},
        {SCALE_CREATE_SPREAD, SCALE_UNLINK_DIR, scale_names_group},
    };
    int err = 0;

    scale->tick_ns = ticks_calibrate();
    for (unsigned i = 0; err == 0 && i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (is_any_selected(scale->filter, groups[i].first, groups[i].last))
            err = groups[i].run(scale);
    }
    return err;
}

void scale_result(struct scale *scale, enum scale_row_id row, struct row_result *out)
{
    struct scale_samples *own = &scale->rows[row];
    enum scale_row_id base = scale_rows[row].base;
    double counted = own->counted == 0 ? (double)NAN : (double)own->counted;

    *out = (struct row_result){
        .name = scale_rows[row].name,
        .floor = scale_rows[base].name,
        .calls = own->calls,
        .ns_p50 = samples_quantile(&own->ns, 0.5),
        .ns_p99 = samples_quantile(&own->singles, 0.99),
        .ns_mean = samples_mean(&own->ns),
        .fences = samples_mean(&own->fences),
        .fences_min = samples_quantile(&own->fences, 0),
        .fences_max = samples_quantile(&own->fences, 1),
        .lines = (double)own->lines / counted,
        .shared = (double)own->shared / counted,
        .floor_ns = samples_quantile(&scale->rows[base].ns, 0.5),
    };
    out->floor_ratio = out->ns_p50 / out->floor_ns;
}

void scale_free(struct scale *scale)
{
    for (unsigned row = 0; row < SCALE_ROWS_COUNT; row++) {
        samples_free(&scale->rows[row].ns);
        samples_free(&scale->rows[row].singles);
        samples_free(&scale->rows[row].fences);
    }
}
