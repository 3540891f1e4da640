/* scale_names.c -- random names in one directory and over directories of ten, in turn
 *
 * The names are the same on both sides, and on each they are created in one random order and looked up
 * and removed in another. Neighbours of the first order go to different directories. Directories are
 * given by their ids, so that the search for one of many is no part of what is compared. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "random.h"
#include "scale.h"
#include "ticks.h"

#define BATCH        64u
#define PER_DIR      10u
#define PATH_BYTES   48u
#define SINGLE_EVERY 8u
/* Room for one name with its inode, and for one directory of ten. */
#define NAME_ROOM_BYTES 640u
#define DIR_ROOM_BYTES  5120u

enum place { SPREAD, ONE_DIR, PLACES };

typedef int (*name_fn)(struct vmfs *fs, struct vmfs_at at);

struct names {
    struct scale *scale;
    struct scale_region regions[PLACES];
    uint32_t *order;
    uint32_t count; /* whole batches */
    uint64_t dirs;
    uint64_t *ids[PLACES]; /* of the directories */
    uint64_t batch_ids[BATCH];
    char paths[BATCH][PATH_BYTES];
};

static int make_name(struct vmfs *fs, struct vmfs_at at)
{
    return vmfs_mknod_at(fs, at, 0644, 0);
}

static int stat_name(struct vmfs *fs, struct vmfs_at at)
{
    struct vmfs_stat stat;

    return vmfs_stat_at(fs, at, 0, &stat);
}

/* A mixer that maps different numbers to different ones, so that no name comes twice. */
static void choose_name(struct names *names, enum place place, unsigned index, uint64_t number)
{
    uint64_t state = number + names->scale->seed;

    snprintf(names->paths[index], PATH_BYTES, "%016" PRIx64, random_next(&state));
    names->batch_ids[index] = names->ids[place][place == SPREAD ? number % names->dirs : 0];
}

static int call_batch(struct names *names, enum place place, name_fn call, double *ns)
{
    struct vmfs *fs = names->regions[place].fs;
    uint64_t start = ticks_now();

    for (unsigned i = 0; i < BATCH; i++) {
        int err = call(fs, vmfs_at(names->batch_ids[i], names->paths[i]));
        if (err != 0)
            return err;
    }
    *ns = (double)(ticks_now() - start) * names->scale->tick_ns;
    return 0;
}

static int call_singles(struct names *names, enum place place, name_fn call,
                        struct scale_samples *row)
{
    struct vmfs *fs = names->regions[place].fs;
    struct vmfs_counters before, after;
    int err = 0;

    for (unsigned i = 0; err == 0 && i < BATCH; i++) {
        err = vmfs_counters(fs, VMFS_COUNTERS_THREAD, &before);
        uint64_t start = ticks_now();
        if (err == 0)
            err = call(fs, vmfs_at(names->batch_ids[i], names->paths[i]));
        uint64_t end = ticks_now();
        if (err == 0)
            err = vmfs_counters(fs, VMFS_COUNTERS_THREAD, &after);
        if (err == 0)
            err = samples_add(&row->singles, (double)(end - start) * names->scale->tick_ns);
        if (err == 0)
            err = scale_add_counts(row, &before, &after, 1);
    }
    return err;
}

static int run_batch(struct names *names, enum place place, name_fn call, uint64_t batch,
                     enum scale_row_id row)
{
    struct scale_samples *samples = &names->scale->rows[row];
    double ns;

    for (unsigned i = 0; i < BATCH; i++)
        choose_name(names, place, i, names->order[batch * BATCH + i]);
    if (batch % SINGLE_EVERY == 0)
        return call_singles(names, place, call, samples);
    int err = call_batch(names, place, call, &ns);

    return err != 0 ? err : scale_add(samples, ns, BATCH);
}

/* rows[0] in directories of ten, rows[1] in one. Who begins changes with every batch. */
static int run_phase(struct names *names, name_fn call, const enum scale_row_id rows[PLACES])
{
    uint64_t batches = names->count / BATCH;
    int err = 0;

    for (uint64_t turn = 0; err == 0 && turn < batches * PLACES; turn++) {
        uint64_t batch = turn / PLACES;
        enum place place = (enum place)((turn + batch) % PLACES);

        err = run_batch(names, place, call, batch, rows[place]);
        if (err == 0 && *names->scale->stop != 0)
            err = -EINTR;
    }
    return err == 0 ? 0 : scale_failure(scale_rows[rows[ONE_DIR]].name, err);
}

static void shuffle(struct names *names, uint64_t round)
{
    uint64_t random = random_start(names->scale->seed, round, 0);

    for (uint32_t i = 0; i < names->count; i++)
        names->order[i] = i;
    for (uint32_t i = names->count; i > 1; i--) {
        uint32_t other = random_below(&random, i);
        uint32_t swapped = names->order[i - 1];

        names->order[i - 1] = names->order[other];
        names->order[other] = swapped;
    }
}

static int make_dir(struct vmfs *fs, const char *path, uint64_t *id)
{
    struct vmfs_stat stat;
    int err = vmfs_mkdir(fs, path, 0755);

    if (err == 0)
        err = vmfs_stat(fs, path, 0, &stat);
    if (err == 0)
        *id = stat.ino;
    return err;
}

static int make_dirs(struct names *names)
{
    char path[PATH_BYTES];
    int err = make_dir(names->regions[ONE_DIR].fs, "/d", names->ids[ONE_DIR]);

    for (uint64_t i = 0; err == 0 && i < names->dirs; i++) {
        snprintf(path, sizeof(path), "/s%" PRIu64, i);
        err = make_dir(names->regions[SPREAD].fs, path, &names->ids[SPREAD][i]);
    }
    return err;
}

static int run_phases(struct names *names)
{
    static const struct {
        name_fn call;
        enum scale_row_id rows[PLACES];
    } phases[] = {
        {make_name, {SCALE_CREATE_SPREAD, SCALE_CREATE_DIR}},
        {stat_name, {SCALE_STAT_SPREAD, SCALE_STAT_DIR}},
        {vmfs_unlink_at, {SCALE_UNLINK_SPREAD, SCALE_UNLINK_DIR}},
    };
    int err = make_dirs(names);

    for (unsigned i = 0; err == 0 && i < sizeof(phases) / sizeof(phases[0]); i++) {
        shuffle(names, i + 1);
        err = run_phase(names, phases[i].call, phases[i].rows);
    }
    return err;
}

int scale_names_group(struct scale *scale)
{
    static struct names names;
    uint64_t files_bytes = ((uint64_t)64 << 20) + scale->count * NAME_ROOM_BYTES;

    names = (struct names){.scale = scale,
                           .dirs = scale->count / PER_DIR,
                           .count = (uint32_t)(scale->count / BATCH * BATCH)};
    names.order = calloc(scale->count, sizeof(*names.order));
    names.ids[SPREAD] = calloc(names.dirs, sizeof(*names.ids[SPREAD]));
    names.ids[ONE_DIR] = calloc(1, sizeof(*names.ids[ONE_DIR]));
    bool has_memory =
        names.order != NULL && names.ids[SPREAD] != NULL && names.ids[ONE_DIR] != NULL;
    int err = has_memory ? 0 : -ENOMEM;
    if (err == 0)
        err = scale_region_open(scale, &names.regions[SPREAD],
                                files_bytes + names.dirs * DIR_ROOM_BYTES);
    if (err == 0)
        err = scale_region_open(scale, &names.regions[ONE_DIR], files_bytes);
    if (err == 0)
        err = run_phases(&names);
    free(names.order);
    for (unsigned place = 0; place < PLACES; place++) {
        free(names.ids[place]);
        int close_err = scale_region_close(&names.regions[place]);

        err = err != 0 ? err : close_err;
    }
    return err;
}
