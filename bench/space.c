/* space.c -- bytes of metadata for files and names
 *
 * What is in use is asked of the filesystem before and after some thousands of things are made. In a
 * mounted tree large files are written past the page cache, so that each write takes its blocks when
 * it is made, as in the library. */

#include "space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fs.h"
#include "random.h"

#define BLOCK_BYTES   4096u
#define PIECE_BYTES   ((uint32_t)1 << 20)
#define SMALL_FILES   20000u
#define LINKS         60000u
#define SMALL_BYTES   1024u
#define PATH_BYTES    64u
#define LARGE_BYTES   ((uint64_t)1 << 30)
#define LARGE_QUICK   ((uint64_t)64 << 20)
#define SPARE_BYTES   ((uint64_t)256 << 20)
#define SCRATCH_BYTES 64u

struct space {
    struct bench_fs fs;
    uint64_t inode_bytes;
    uint64_t large_bytes;
    char scratch[SCRATCH_BYTES];
    uint8_t *buffer; /* PIECE_BYTES, aligned for direct writes */
};

static int failure(const char *what, int err)
{
    fprintf(stderr, "vmfs-bench: space: %s: %s\n", what, strerror(-err));
    return err;
}

static int used_bytes(const struct space *space, int64_t *out)
{
    if (space->fs.vmfs != NULL) {
        struct vmfs_statfs info;
        int err = vmfs_statfs(space->fs.vmfs, &info);

        *out = (int64_t)((info.blocks_total - info.blocks_free) * info.block_bytes);
        return err;
    }
    struct statvfs info;
    if (syncfs(space->fs.root_fd) != 0 || fstatvfs(space->fs.root_fd, &info) != 0)
        return -errno;
    *out = (int64_t)((info.f_blocks - info.f_bfree) * info.f_frsize +
                     (info.f_files - info.f_ffree) * space->inode_bytes);
    return 0;
}

static int write_range(struct space *space, union fs_file file, uint32_t length, uint64_t offset)
{
    return space->fs.calls->file_pwrite(file, space->buffer, length, offset);
}

static int open_large(struct space *space, const char *path, union fs_file *file)
{
    int err = space->fs.calls->file_open(&space->fs, path, file);

    if (err == 0 && space->fs.vmfs == NULL && fcntl(file->fd, F_SETFL, O_DIRECT) != 0)
        fprintf(stderr, "vmfs-bench: note: no direct writes in this tree\n");
    return err;
}

static int make_empty_files(struct space *space)
{
    char path[PATH_BYTES];
    int err = space->fs.calls->mkdir(&space->fs, "empty");

    for (unsigned i = 0; err == 0 && i < SMALL_FILES; i++) {
        snprintf(path, sizeof(path), "empty/file-%08u", i);
        err = space->fs.calls->create(&space->fs, path);
    }
    return err;
}

static int make_small_files(struct space *space)
{
    char path[PATH_BYTES];
    union fs_file file;
    int err = space->fs.calls->mkdir(&space->fs, "small");

    for (unsigned i = 0; err == 0 && i < SMALL_FILES; i++) {
        snprintf(path, sizeof(path), "small/file-%08u", i);
        err = space->fs.calls->file_open(&space->fs, path, &file);
        if (err != 0)
            break;
        err = write_range(space, file, SMALL_BYTES, 0);
        int close_err = space->fs.calls->file_close(file);

        err = err != 0 ? err : close_err;
    }
    return err;
}

static int make_links(struct space *space)
{
    char path[PATH_BYTES];
    int err = space->fs.calls->mkdir(&space->fs, "links");

    for (unsigned i = 0; err == 0 && i < LINKS; i++) {
        snprintf(path, sizeof(path), "links/file-%08u", i);
        err = space->fs.calls->link(&space->fs, "target", path);
    }
    return err;
}

static int make_sequential(struct space *space)
{
    union fs_file file;
    int err = open_large(space, "sequential", &file);

    if (err != 0)
        return err;
    for (uint64_t at = 0; err == 0 && at < space->large_bytes; at += PIECE_BYTES)
        err = write_range(space, file, PIECE_BYTES, at);
    int close_err = space->fs.calls->file_close(file);

    return err != 0 ? err : close_err;
}

static void shuffle(uint32_t *order, uint32_t count)
{
    uint64_t random = random_start(1, 0, 0);

    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count; i > 1; i--) {
        uint32_t other = random_below(&random, i);
        uint32_t swapped = order[i - 1];

        order[i - 1] = order[other];
        order[other] = swapped;
    }
}

static int make_random(struct space *space)
{
    uint32_t blocks = (uint32_t)(space->large_bytes / BLOCK_BYTES);
    uint32_t *order = calloc(blocks, sizeof(*order));
    union fs_file file;

    if (order == NULL)
        return -ENOMEM;
    shuffle(order, blocks);
    int err = open_large(space, "random", &file);
    if (err == 0) {
        for (uint32_t i = 0; err == 0 && i < blocks; i++)
            err = write_range(space, file, BLOCK_BYTES, (uint64_t)order[i] * BLOCK_BYTES);
        int close_err = space->fs.calls->file_close(file);

        err = err != 0 ? err : close_err;
    }
    free(order);
    return err;
}

struct kind {
    const char *name;
    int (*make)(struct space *space);
    uint64_t count;
    uint64_t content_bytes; /* of each; 0 with is_large: large_bytes */
    bool is_large;
    const char *removed; /* a file that is not needed any more */
};

/* The random file takes the room of the sequential one. */
static const struct kind kinds[] = {
    {"entry", make_links, LINKS, 0, false, NULL},
    {"empty_file", make_empty_files, SMALL_FILES, 0, false, NULL},
    {"file_1k", make_small_files, SMALL_FILES, SMALL_BYTES, false, NULL},
    {"file_1g_sequential", make_sequential, 1, 0, true, "sequential"},
    {"file_1g_random4k", make_random, 1, 0, true, "random"},
};

static int measure_kind(struct space *space, const struct kind *kind)
{
    uint64_t content_bytes = kind->is_large ? space->large_bytes : kind->content_bytes;
    int64_t before = 0;
    int64_t after = 0;
    int err = used_bytes(space, &before);

    if (err == 0)
        err = kind->make(space);
    if (err == 0)
        err = used_bytes(space, &after);
    if (err == 0 && kind->removed != NULL)
        err = space->fs.calls->unlink(&space->fs, kind->removed);
    if (err != 0)
        return failure(kind->name, err);
    double each = (double)(after - before) / (double)kind->count - (double)content_bytes;

    printf("%-20s %12.1f bytes each, of %" PRIu64 " with %" PRIu64 " bytes of content\n",
           kind->name, each, kind->count, content_bytes);
    return 0;
}

static int measure_kinds(struct space *space)
{
    int err = space->fs.calls->enter(&space->fs);

    if (err == 0)
        err = space->fs.calls->create(&space->fs, "target");
    if (err != 0)
        return failure("target", err);
    for (size_t i = 0; err == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        err = measure_kind(space, &kinds[i]);
    return err;
}

static int measure_library(struct space *space)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;

    setenv("PMEM_IS_PMEM_FORCE", "1", 0);
    snprintf(space->scratch, sizeof(space->scratch), "/dev/shm/vmfs-space.%d", (int)getpid());
    options.flags = VMFS_CREATE;
    options.region_bytes = space->large_bytes + SPARE_BYTES;
    int err = vmfs_open(space->scratch, &options, &space->fs.vmfs);

    if (err != 0)
        return failure(space->scratch, err);
    unlink(space->scratch);
    space->fs.calls = &fs_library_calls;
    err = measure_kinds(space);
    int close_err = vmfs_close(space->fs.vmfs);

    return err != 0 ? err : close_err;
}

static int measure_tree(struct space *space, const char *tree)
{
    int start_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    space->fs.calls = &fs_system_calls;
    space->fs.root_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (space->fs.root_fd < 0 || start_fd < 0)
        return failure(tree, -errno);
    int err = measure_kinds(space);

    if (fchdir(start_fd) != 0 && err == 0)
        err = failure(".", -errno);
    close(start_fd);
    close(space->fs.root_fd);
    return err;
}

int space_measure(const struct space_options *options)
{
    struct space space = {.inode_bytes = options->inode_bytes,
                          .large_bytes = options->is_quick ? LARGE_QUICK : LARGE_BYTES};

    space.buffer = aligned_alloc(BLOCK_BYTES, PIECE_BYTES);
    if (space.buffer == NULL)
        return failure("buffer", -ENOMEM);
    for (uint32_t i = 0; i < PIECE_BYTES; i++)
        space.buffer[i] = (uint8_t)(i * 31u + 1);
    int err = options->tree == NULL ? measure_library(&space) : measure_tree(&space, options->tree);

    free(space.buffer);
    return err;
}
