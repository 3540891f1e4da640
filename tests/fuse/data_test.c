/* data_test.c -- random reads and writes of files by every means, compared with a model
 *
 * data_test (--dir DIR | --mount VMFS_FUSE [--options O]) [--ops N] [--seed S] [--config NAME] [-v]
 *
 * Runs N operations in each configuration, or in the one that is named, shared by its processes. Every
 * read is compared, and at intervals every byte. With --mount the files lie in a region that vmfs-fuse
 * serves; then it is mounted again and compared without any page of the kernel's, ended, and checked;
 * and there every operation must be possible. In a directory of another filesystem those that it lacks
 * are done by other means. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "data_ops.h"
#include "mount.h"
#include "number.h"

#define LAST_OPS     16
#define REGION_BYTES (192 * REGION_MIB)

struct data_test {
    const char *dir;
    const char *program;
    const char *options;
    const char *config_name;
    uint64_t ops;
    uint64_t seed;
    bool is_verbose;
    bool is_writeback; /* the kernel collects writes */
    struct mount mount;
};

struct host_file {
    char path[REGION_PATH_MAX + 64];
    int fds[DATA_SLOT_COUNT];
    uint8_t *map; /* all DATA_MAX of it, or null */
};

/* One process in one configuration. */
struct worker {
    const struct data_test *test;
    struct data_model model;
    struct host_file files[DATA_FILES];
    struct data_op op;
    struct data_op last[LAST_OPS];
    uint64_t done;
    uint64_t emulated;
    int scratch;     /* what sendfile fills */
    uint8_t *buffer; /* page aligned */
    char failure[256];
};

/* ------------------------------------------------------------------------------ what differs --- */

static bool fail(struct worker *worker, const char *what)
{
    if (worker->failure[0] == '\0')
        snprintf(worker->failure, sizeof(worker->failure), "%s", what);
    return false;
}

static bool fail_call(struct worker *worker, const char *call, int64_t got, int64_t wanted)
{
    char text[256];
    snprintf(text, sizeof(text), "%s returned %lld%s%s, not %lld", call, (long long)got,
             got < 0 ? ": " : "", got < 0 ? strerror(errno) : "", (long long)wanted);
    return fail(worker, text);
}

static bool expect(struct worker *worker, const char *call, int64_t got, int64_t wanted)
{
    return got == wanted || fail_call(worker, call, got, wanted);
}

/* `bytes` is what was read at `offset`. */
static bool compare(struct worker *worker, const char *how, unsigned file, size_t offset,
                    size_t length, const uint8_t *bytes)
{
    size_t at = data_differs(&worker->model, file, offset, bytes, length);
    if (at == length)
        return true;
    char text[256];
    size_t last = at;
    for (size_t i = at; i < length; i++)
        last = bytes[i] != worker->model.files[file].bytes[offset + i] ? i : last;
    snprintf(text, sizeof(text),
             "%s of file %u: %zu bytes at %zu: the first wrong one at %zu is %02x, not %02x, the "
             "last one at %zu; size %zu",
             how, file, length, offset, offset + at, bytes[at],
             worker->model.files[file].bytes[offset + at], offset + last,
             worker->model.files[file].size);
    return fail(worker, text);
}

static void report(const struct worker *worker)
{
    const struct data_test *test = worker->test;
    char text[256];
    printf("data_test: %s, process %u, after %llu operations: %s\n", worker->model.config->name,
           worker->model.process, (unsigned long long)worker->done, worker->failure);
    uint64_t first = worker->done >= LAST_OPS ? worker->done - LAST_OPS + 1 : 0;
    for (uint64_t i = first; i <= worker->done; i++) {
        data_to_text(&worker->last[i % LAST_OPS], text, sizeof(text));
        printf("  %llu: %s\n", (unsigned long long)i, text);
    }
    printf("  again: data_test %s %s%s%s --seed %llu --ops %llu --config %s\n",
           test->program != NULL ? "--mount" : "--dir",
           test->program != NULL ? test->program : test->dir,
           test->options != NULL ? " --options " : "", test->options != NULL ? test->options : "",
           (unsigned long long)test->seed, (unsigned long long)test->ops,
           worker->model.config->name);
}

/* ------------------------------------------------------------------------------- descriptors --- */

static bool open_slot(struct worker *worker, unsigned file, enum data_slot slot, int more)
{
    struct host_file *host = &worker->files[file];
    host->fds[slot] = open(host->path, data_slot_flags(slot) | O_CLOEXEC | more, 0644);
    return host->fds[slot] >= 0 || fail_call(worker, "open", -1, 0);
}

static bool map_file(struct worker *worker, unsigned file)
{
    struct host_file *host = &worker->files[file];
    void *map =
        mmap(NULL, DATA_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, host->fds[DATA_SLOT_PLAIN], 0);
    host->map = map != MAP_FAILED ? map : NULL;
    return host->map != NULL || fail_call(worker, "mmap", -1, 0);
}

static bool open_file(struct worker *worker, unsigned file, int more)
{
    bool is_good = open_slot(worker, file, DATA_SLOT_PLAIN, O_CREAT | more);
    for (unsigned slot = 1; slot < DATA_SLOT_COUNT && is_good; slot++)
        is_good = open_slot(worker, file, (enum data_slot)slot, 0);
    return is_good && (!worker->model.config->is_kept_mapped || map_file(worker, file));
}

static bool close_file(struct worker *worker, unsigned file)
{
    struct host_file *host = &worker->files[file];
    bool is_good = true;
    for (unsigned slot = 0; slot < DATA_SLOT_COUNT; slot++)
        is_good = close(host->fds[slot]) == 0 && is_good;
    if (host->map != NULL)
        munmap(host->map, DATA_MAX);
    host->map = NULL;
    return is_good || fail_call(worker, "close", -1, 0);
}

/* The kernel's pages of the file go away, as far as they are clean and not mapped. */
static bool drop_pages(struct worker *worker, int fd)
{
    return expect(worker, "fsync", fsync(fd), 0) &&
           expect(worker, "posix_fadvise", posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

/* ------------------------------------------------------------------------------- the reading --- */

static int64_t read_by(struct worker *worker, int fd, uint8_t *bytes)
{
    const struct data_op *op = &worker->op;
    bool is_whole = op->slot == DATA_SLOT_DIRECT && !worker->model.config->is_unaligned;
    size_t cut = is_whole ? 0 : op->length / 3;
    struct iovec pieces[2] = {{bytes, cut}, {bytes + cut, op->length - cut}};
    if (op->kind == DATA_READ_HERE)
        return op->form == 0 ? readv(fd, pieces, 2) : read(fd, bytes, op->length);
    return op->form == 0 ? preadv(fd, pieces, 2, (off_t)op->offset)
                         : pread(fd, bytes, op->length, (off_t)op->offset);
}

static bool run_read(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    size_t wanted = data_readable(op, &worker->model);
    int64_t got = read_by(worker, worker->files[op->file].fds[op->slot], worker->buffer);
    return expect(worker, "read", got, (int64_t)wanted) &&
           compare(worker, "read", op->file, data_start(op, &worker->model), wanted,
                   worker->buffer);
}

static bool run_sendfile(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    size_t wanted = data_readable(op, &worker->model);
    off_t offset = (off_t)op->offset;
    size_t done = 0;
    if (ftruncate(worker->scratch, 0) != 0 || lseek(worker->scratch, 0, SEEK_SET) != 0)
        return fail_call(worker, "ftruncate of a memfd", -1, 0);
    while (done < wanted) {
        ssize_t got = sendfile(worker->scratch, worker->files[op->file].fds[op->slot], &offset,
                               wanted - done);
        if (got <= 0)
            return fail_call(worker, "sendfile", got, (int64_t)(wanted - done));
        done += (size_t)got;
    }
    return expect(worker, "pread of a memfd", pread(worker->scratch, worker->buffer, wanted, 0),
                  (int64_t)wanted) &&
           compare(worker, "sendfile", op->file, op->offset, wanted, worker->buffer);
}

/* What was found must skip no byte but zeros, and a hole must be one. */
static bool run_seek(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    const struct data_file *file = &worker->model.files[op->file];
    int fd = worker->files[op->file].fds[op->slot];
    /* The kernel asks for holes without telling what lies dirty in its pages. */
    bool is_dirty = file->is_map_dirty || worker->test->is_writeback;
    if (is_dirty && !expect(worker, "fsync", fsync(fd), 0))
        return false;
    bool is_data = op->form % 2 == 0;
    off_t kept = lseek(fd, 0, SEEK_CUR);
    off_t found = lseek(fd, (off_t)op->offset, is_data ? SEEK_DATA : SEEK_HOLE);
    int err = errno;
    lseek(fd, kept, SEEK_SET);
    if (op->offset >= file->size || found < 0) {
        bool is_right = found < 0 && err == ENXIO && (op->offset >= file->size || is_data);
        found = (off_t)file->size;
        if (!is_right)
            return fail(worker, "lseek failed, or found something behind the end");
    }
    if ((size_t)found < op->offset && op->offset < file->size)
        return fail(worker, "lseek went back");
    for (size_t at = op->offset; is_data && at < (size_t)found; at++)
        if (file->bytes[at] != 0)
            return fail(worker, "SEEK_DATA skipped data");
    if (!is_data && (size_t)found < file->size && file->bytes[found] != 0)
        return fail(worker, "SEEK_HOLE found data");
    return (size_t)found <= file->size || op->offset >= file->size ||
           fail(worker, "lseek found something behind the end");
}

/* ------------------------------------------------------------------------------- the writing --- */

static int64_t write_by(struct worker *worker, int fd, uint8_t *bytes)
{
    const struct data_op *op = &worker->op;
    bool is_whole = op->slot == DATA_SLOT_DIRECT && !worker->model.config->is_unaligned;
    size_t cut = is_whole ? 0 : op->length / 3;
    struct iovec pieces[2] = {{bytes, cut}, {bytes + cut, op->length - cut}};
    if (op->kind != DATA_WRITE)
        return op->form == 0 ? writev(fd, pieces, 2) : write(fd, bytes, op->length);
    return op->form == 0 ? pwritev(fd, pieces, 2, (off_t)op->offset)
                         : pwrite(fd, bytes, op->length, (off_t)op->offset);
}

static bool run_write(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    seed_fill(worker->buffer, op->length, op->pattern);
    return expect(worker, "write",
                  write_by(worker, worker->files[op->file].fds[op->slot], worker->buffer),
                  (int64_t)op->length);
}

static bool run_truncate(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    const struct host_file *host = &worker->files[op->file];
    int64_t got = op->form == 0 ? truncate(host->path, (off_t)op->offset)
                                : ftruncate(host->fds[op->slot], (off_t)op->offset);
    return expect(worker, "truncate", got, 0);
}

/* What the filesystem has no call for is done by writing zeros. */
static bool emulate_zero(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    int fd = worker->files[op->file].fds[DATA_SLOT_PLAIN];
    size_t size = worker->model.files[op->file].size;
    size_t length = op->length;
    if (op->form == 1 && op->offset + length > size)
        length = op->offset < size ? size - op->offset : 0;
    worker->emulated++;
    memset(worker->buffer, 0, length);
    return expect(worker, "pwrite of zeros", pwrite(fd, worker->buffer, length, (off_t)op->offset),
                  (int64_t)length);
}

static bool run_fallocate(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    int mode = op->form == 1 ? FALLOC_FL_KEEP_SIZE : 0;
    if (op->kind == DATA_PUNCH)
        mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    else if (op->kind == DATA_ZERO)
        mode |= FALLOC_FL_ZERO_RANGE;
    int result = fallocate(worker->files[op->file].fds[op->slot], mode, (off_t)op->offset,
                           (off_t)op->length);
    bool is_lacking = result != 0 && errno == EOPNOTSUPP && worker->test->program == NULL;
    if (is_lacking && op->kind == DATA_ZERO)
        return emulate_zero(worker);
    return expect(worker, "fallocate", result, 0);
}

static bool run_copy(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    off_t from = (off_t)op->offset;
    off_t to = (off_t)op->other_offset;
    size_t wanted = data_readable(op, &worker->model);
    size_t done = 0;
    while (done < wanted) {
        ssize_t got = copy_file_range(worker->files[op->file].fds[op->slot], &from,
                                      worker->files[op->other_file].fds[op->other_slot], &to,
                                      wanted - done, 0);
        if (got <= 0)
            return fail_call(worker, "copy_file_range", got, (int64_t)(wanted - done));
        done += (size_t)got;
    }
    return true;
}

/* ------------------------------------------------------------------------------- the mappings --- */

/* A mapping of the operation's range: the one that is kept, or one for a moment. */
static uint8_t *map_range(struct worker *worker, int flags, size_t *whole)
{
    const struct data_op *op = &worker->op;
    const struct host_file *host = &worker->files[op->file];
    size_t first = op->offset & ~(DATA_PAGE - 1);
    *whole = 0;
    if (host->map != NULL && flags == MAP_SHARED && op->form != 3)
        return host->map + op->offset;
    *whole = op->offset + op->length - first;
    uint8_t *map =
        mmap(NULL, *whole, PROT_READ | PROT_WRITE, flags, host->fds[DATA_SLOT_PLAIN], (off_t)first);
    if (map == MAP_FAILED) {
        fail_call(worker, "mmap", -1, 0);
        return NULL;
    }
    return map + (op->offset - first);
}

static void unmap_range(uint8_t *bytes, size_t whole)
{
    if (whole > 0)
        munmap((uint8_t *)((uintptr_t)bytes & ~(uintptr_t)(DATA_PAGE - 1)), whole);
}

/* Behind the end there are zeros up to the end of the page. */
static bool check_tail(struct worker *worker, const uint8_t *bytes)
{
    const struct data_op *op = &worker->op;
    size_t size = worker->model.files[op->file].size;
    if (op->offset + op->length != size)
        return true;
    for (size_t at = size; at % DATA_PAGE != 0; at++)
        if (bytes[at - op->offset] != 0)
            return fail(worker, "the last page is not zero behind the end");
    return true;
}

static bool run_map_read(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    size_t whole;
    uint8_t *bytes = map_range(worker, MAP_SHARED, &whole);
    if (bytes == NULL)
        return false;
    bool is_good = compare(worker, "mapping", op->file, op->offset, op->length, bytes) &&
                   check_tail(worker, bytes);
    unmap_range(bytes, whole);
    return is_good;
}

static bool run_map_write(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    size_t whole;
    uint8_t *bytes = map_range(worker, MAP_SHARED, &whole);
    if (bytes == NULL)
        return false;
    seed_fill(bytes, op->length, op->pattern);
    uintptr_t first = (uintptr_t)bytes & ~(uintptr_t)(DATA_PAGE - 1);
    bool is_good =
        op->form != 1 || expect(worker, "msync",
                                msync((void *)first, (uintptr_t)bytes + op->length - first,
                                      op->pattern % 2 == 0 ? MS_SYNC : MS_ASYNC),
                                0);
    unmap_range(bytes, whole);
    return is_good;
}

/* What is stored through a private mapping stays there. */
static bool run_map_private(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    size_t whole;
    uint8_t *bytes = map_range(worker, MAP_PRIVATE, &whole);
    if (bytes == NULL)
        return false;
    bool is_good = compare(worker, "private mapping", op->file, op->offset, op->length, bytes);
    seed_fill(bytes, op->length, op->pattern);
    seed_fill(worker->buffer, op->length, op->pattern);
    if (memcmp(bytes, worker->buffer, op->length) != 0)
        is_good = fail(worker, "a private mapping does not keep what was stored");
    unmap_range(bytes, whole);
    return is_good;
}

/* ----------------------------------------------------------------------------------- the rest --- */

static bool run_sync(struct worker *worker)
{
    const struct host_file *host = &worker->files[worker->op.file];
    int fd = host->fds[worker->op.slot];
    if (host->map != NULL && worker->op.form == 1)
        return expect(worker, "msync", msync(host->map, DATA_MAX, MS_SYNC), 0);
    return expect(worker, "fsync", worker->op.form == 0 ? fdatasync(fd) : fsync(fd), 0);
}

static bool run_reopen(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    return expect(worker, "close", close(worker->files[op->file].fds[op->slot]), 0) &&
           open_slot(worker, op->file, op->slot, 0);
}

/* The file becomes an empty one: another, or the same cut while it is opened. */
static bool run_replace(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    if (op->form == 0) {
        if (!expect(worker, "unlink", unlink(worker->files[op->file].path), 0))
            return false;
        return close_file(worker, op->file) && open_file(worker, op->file, O_EXCL);
    }
    return close_file(worker, op->file) && open_file(worker, op->file, O_TRUNC);
}

static bool compare_whole(struct worker *worker, unsigned file, int fd, const char *how)
{
    size_t size = worker->model.files[file].size;
    struct stat stat;
    if (!expect(worker, "fstat", fstat(fd, &stat), 0) ||
        !expect(worker, "the size", stat.st_size, (int64_t)size))
        return false;
    size_t room = DATA_MAX & ~(DATA_PAGE - 1);
    for (size_t at = 0; at < size;) {
        ssize_t got = pread(fd, worker->buffer, room, (off_t)at);
        if (got <= 0)
            return fail_call(worker, how, got, (int64_t)(size - at));
        if (!compare(worker, how, file, at, (size_t)got, worker->buffer))
            return false;
        at += (size_t)got;
    }
    return true;
}

static bool compare_file(struct worker *worker, unsigned file)
{
    const int *fds = worker->files[file].fds;
    return compare_whole(worker, file, fds[DATA_SLOT_PLAIN], "whole file") &&
           drop_pages(worker, fds[DATA_SLOT_PLAIN]) &&
           compare_whole(worker, file, fds[DATA_SLOT_READ], "whole file, read again") &&
           (worker->model.config->is_striped ||
            compare_whole(worker, file, fds[DATA_SLOT_DIRECT], "whole file, past the pages"));
}

static bool run_op(struct worker *worker)
{
    const struct data_op *op = &worker->op;
    switch ((int)op->kind) {
    case DATA_READ:
    case DATA_READ_HERE:
        return run_read(worker);
    case DATA_WRITE:
    case DATA_WRITE_HERE:
    case DATA_APPEND:
        return run_write(worker);
    case DATA_TRUNCATE:
        return run_truncate(worker);
    case DATA_MAP_READ:
        return run_map_read(worker);
    case DATA_MAP_WRITE:
        return run_map_write(worker);
    case DATA_MAP_PRIVATE:
        return run_map_private(worker);
    case DATA_ALLOCATE:
    case DATA_PUNCH:
    case DATA_ZERO:
        return run_fallocate(worker);
    case DATA_COPY:
        return run_copy(worker);
    case DATA_SEEK:
        return run_seek(worker);
    case DATA_SYNC:
        return run_sync(worker);
    case DATA_DROP:
        return drop_pages(worker, worker->files[op->file].fds[op->slot]);
    case DATA_REOPEN:
        return run_reopen(worker);
    case DATA_REPLACE:
        return run_replace(worker);
    case DATA_SENDFILE:
        return run_sendfile(worker);
    default:
        return compare_file(worker, op->file);
    }
}

/* --------------------------------------------------------------------------------- a process --- */

static void start_worker(struct worker *worker, const struct data_test *test,
                         const struct data_config *config, unsigned process)
{
    memset(worker, 0, sizeof(*worker));
    worker->test = test;
    data_model_init(&worker->model, config, process);
    void *buffer = NULL;
    if (posix_memalign(&buffer, DATA_PAGE, DATA_MAX + DATA_PAGE) != 0)
        abort();
    worker->buffer = buffer;
    for (unsigned i = 0; i < DATA_FILES; i++)
        snprintf(worker->files[i].path, sizeof(worker->files[i].path), "%s/%s.%u.%u", test->dir,
                 config->name, config->is_striped ? 0 : process, i);
}

static void end_worker(struct worker *worker)
{
    data_model_fini(&worker->model);
    free(worker->buffer);
}

static uint64_t config_number(const struct data_config *config)
{
    return (uint64_t)(config - data_configs);
}

static struct seed start_stream(const struct worker *worker)
{
    struct seed stream;
    uint64_t number = config_number(worker->model.config) * 64 + worker->model.process;
    seed_init(&stream, seed_mix(worker->test->seed, number));
    return stream;
}

static uint64_t share_of(const struct worker *worker)
{
    return worker->test->ops / worker->model.config->processes;
}

static bool run_ops(struct worker *worker)
{
    struct seed stream = start_stream(worker);
    for (worker->done = 0; worker->done < share_of(worker); worker->done++) {
        data_draw(&worker->op, &worker->model, &stream);
        worker->last[worker->done % LAST_OPS] = worker->op;
        if (!run_op(worker))
            return false;
        data_apply(&worker->op, &worker->model);
    }
    return true;
}

static bool run_worker(struct worker *worker)
{
    worker->scratch = memfd_create("data_test", MFD_CLOEXEC);
    bool is_good = true;
    for (unsigned i = 0; i < DATA_FILES && is_good; i++)
        is_good = open_file(worker, i, 0);
    is_good = is_good && run_ops(worker);
    for (unsigned i = 0; i < DATA_FILES && is_good; i++)
        is_good = compare_file(worker, i) && close_file(worker, i);
    if (!is_good)
        report(worker);
    else if (worker->test->is_verbose)
        printf("%s, process %u: %llu operations, %llu by other means\n", worker->model.config->name,
               worker->model.process, (unsigned long long)worker->done,
               (unsigned long long)worker->emulated);
    return is_good;
}

/* Applies the operations to the model alone and compares with what the files hold by now. */
static bool verify_worker(struct worker *worker)
{
    struct seed stream = start_stream(worker);
    for (worker->done = 0; worker->done < share_of(worker); worker->done++) {
        data_draw(&worker->op, &worker->model, &stream);
        worker->last[worker->done % LAST_OPS] = worker->op;
        data_apply(&worker->op, &worker->model);
    }
    for (unsigned i = 0; i < DATA_FILES; i++) {
        int fd = open(worker->files[i].path, O_RDONLY | O_CLOEXEC);
        bool is_good = (fd >= 0 || fail_call(worker, "open", -1, 0)) &&
                       compare_whole(worker, i, fd, "whole file, at the end");
        close(fd);
        if (!is_good) {
            report(worker);
            return false;
        }
    }
    return true;
}

static bool for_process(const struct data_test *test, const struct data_config *config,
                        unsigned process, bool (*job)(struct worker *))
{
    struct worker *worker = malloc(sizeof(*worker));
    if (worker == NULL)
        abort();
    start_worker(worker, test, config, process);
    bool is_good = job(worker);
    end_worker(worker);
    free(worker);
    return is_good;
}

/* -------------------------------------------------------------------------- a configuration --- */

static bool takes_unaligned(const struct data_test *test)
{
    char path[REGION_PATH_MAX + 64];
    snprintf(path, sizeof(path), "%s/unaligned", test->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0644);
    bool is_taken = fd >= 0 && pwrite(fd, "odd", 3, 1) == 3;
    close(fd);
    unlink(path);
    if (!is_taken)
        printf("left out: unaligned direct I/O, which is refused here\n");
    return is_taken;
}

static bool prepare_files(const struct data_test *test, const struct data_config *config)
{
    char path[REGION_PATH_MAX + 64];
    for (unsigned i = 0; config->is_striped && i < DATA_FILES; i++) {
        snprintf(path, sizeof(path), "%s/%s.0.%u", test->dir, config->name, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        bool is_good = fd >= 0 && ftruncate(fd, (off_t)DATA_MAX) == 0;
        close(fd);
        if (!is_good)
            return false;
    }
    return true;
}

/* Runs `job` in the processes of a configuration, all of them children of this one. */
static bool run_config(const struct data_test *test, const struct data_config *config,
                       bool (*job)(struct worker *))
{
    pid_t pids[8];
    bool is_good = true;
    fflush(stdout);
    for (unsigned i = 0; i < config->processes; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            bool is_fine = for_process(test, config, i, job);
            fflush(stdout);
            _exit(is_fine ? 0 : 1);
        }
    }
    for (unsigned i = 0; i < config->processes; i++) {
        int status = -1;
        waitpid(pids[i], &status, 0);
        if (status > 1 && !(WIFEXITED(status) && WEXITSTATUS(status) == 1))
            printf("data_test: %s, process %u: status 0x%x\n", config->name, i, (unsigned)status);
        is_good = is_good && status == 0;
    }
    return is_good;
}

static void remove_files(const struct data_test *test, const struct data_config *config)
{
    char path[REGION_PATH_MAX + 64];
    for (unsigned i = 0; i < config->processes * DATA_FILES; i++) {
        snprintf(path, sizeof(path), "%s/%s.%u.%u", test->dir, config->name, i / DATA_FILES,
                 i % DATA_FILES);
        unlink(path);
    }
}

static bool test_config(struct data_test *test, const struct data_config *config)
{
    bool is_good = test->program == NULL || mount_start(&test->mount);
    if (is_good && test->program == NULL && config->is_unaligned && !takes_unaligned(test))
        return true;
    is_good = is_good && prepare_files(test, config) && run_config(test, config, run_worker);
    if (is_good && test->program != NULL)
        is_good = mount_end(&test->mount) && mount_check(&test->mount) && mount_start(&test->mount);
    is_good = is_good && run_config(test, config, verify_worker);
    if (is_good)
        remove_files(test, config);
    return is_good && (test->program == NULL || mount_end(&test->mount));
}

static bool run_configs(struct data_test *test)
{
    bool is_good = true;
    unsigned ran = 0;
    for (const struct data_config *config = data_configs; config->name != NULL && is_good;
         config++) {
        if (test->config_name != NULL && strcmp(test->config_name, config->name) != 0)
            continue;
        is_good = test_config(test, config);
        ran++;
    }
    if (ran == 0)
        printf("data_test: there is no configuration %s\n", test->config_name);
    return is_good && ran > 0;
}

/* ------------------------------------------------------------------------------- the program --- */

static void __attribute__((noreturn)) print_usage(void)
{
    fprintf(stderr, "usage: data_test (--dir DIR | --mount VMFS_FUSE [--options O]) [--ops N] "
                    "[--seed S] [--config NAME] [-v]\n");
    exit(2);
}

static uint64_t parse_number(const char *text)
{
    uint64_t number;
    if (!number_read(text, &number))
        print_usage();
    return number;
}

static void parse_options(struct data_test *test, int argc, char **argv)
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
        else if (strcmp(argv[i], "--config") == 0)
            test->config_name = value;
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
    static struct data_test test = {.ops = 10000};
    test.seed = seed_from_clock();
    parse_options(&test, argc, argv);
    if (test.program != NULL) {
        if (!mount_create(&test.mount, test.program, test.options, REGION_BYTES))
            return 1;
        test.dir = test.mount.dir;
        test.is_writeback = test.options != NULL && strstr(test.options, "writeback") != NULL;
    }
    bool is_good = run_configs(&test);
    printf("ops=%llu seed=%llu %s\n", (unsigned long long)test.ops, (unsigned long long)test.seed,
           is_good ? "equal" : "DIFFERENT");
    if (test.program != NULL)
        mount_destroy(&test.mount, !is_good);
    return is_good ? 0 : 1;
}
