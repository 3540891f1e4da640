/* instructions.c -- calls for callgrind to count: names of 16 bytes in one directory, and the bytes of one file
 *
 *     instructions REGION prepare NAMES          a new region whose directory /d has so many names
 *     instructions REGION OP NAMES CALLS         an op of the table below; mknod, stat, rename, unlink in this order
 *
 * `measured` does the calls and nothing else, `one_call` one of them: bench/instructions.sh tells callgrind to collect
 * in the one and to tell what each of the other took. Renames are of old names to new ones, unlinks of those. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmfs.h"

#define NAME_BYTES   20 /* "/d/" and 16 */
#define REGION_BYTES ((uint64_t)2 << 30)
#define BLOCK_BYTES  4096

typedef char name[NAME_BYTES];

/* What a call works on. */
struct target {
    struct vmfs *fs;
    struct vmfs_file *file; /* of `needs_file` */
    const char *from;
    const char *to;
    uint64_t at; /* how many calls came before */
};

typedef int (*op_fn)(const struct target *target);

struct op {
    const char *word;
    op_fn call;
    unsigned from; /* 0: names that were prepared, 1: that mknod makes, 2: that rename makes */
    uint64_t file_bytes; /* what the open file has before the first call */
    bool needs_file;
};

static void must(int code, const char *what)
{
    if (code == 0)
        return;
    fprintf(stderr, "instructions: %s: %d\n", what, code);
    exit(1);
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

static void name_of(uint64_t number, unsigned kind, char *out)
{
    snprintf(out, NAME_BYTES, "/d/%016" PRIx64, mix(number * 4 + kind + 1));
}

static int call_mknod(const struct target *target)
{
    return vmfs_mknod(target->fs, target->from, VMFS_S_IFREG | 0600, 0);
}

static int call_stat(const struct target *target)
{
    struct vmfs_stat stat;
    return vmfs_stat(target->fs, target->from, 0, &stat);
}

static int call_rename(const struct target *target)
{
    return vmfs_rename(target->fs, target->from, target->to, 0);
}

static int call_unlink(const struct target *target)
{
    return vmfs_unlink(target->fs, target->from);
}

static _Alignas(64) const char content[BLOCK_BYTES] = {'v', 'm', 'f', 's'};

static int put(struct vmfs_file *file, size_t length, uint64_t offset)
{
    return vmfs_file_pwrite(file, content, length, offset) == (int64_t)length ? 0 : -1;
}

static int call_append4k(const struct target *target)
{
    return put(target->file, BLOCK_BYTES, target->at * BLOCK_BYTES);
}

static int call_overwrite4k(const struct target *target)
{
    return put(target->file, BLOCK_BYTES, target->at * BLOCK_BYTES);
}

static int call_record64(const struct target *target)
{
    return put(target->file, 64, target->at * 64);
}

static int call_open_close(const struct target *target)
{
    struct vmfs_file *file;
    int code = vmfs_file_open(target->fs, target->from, VMFS_O_RDONLY, 0, &file);
    return code ? code : vmfs_file_close(file);
}

static int call_create_fsync(const struct target *target)
{
    struct vmfs_file *file;
    int code = vmfs_file_open(target->fs, target->from, VMFS_O_WRONLY | VMFS_O_CREAT, 0600, &file);
    if (code == 0)
        code = put(file, 100, 0);
    if (code == 0)
        code = vmfs_file_sync(file);
    return code ? code : vmfs_file_close(file);
}

static const struct op ops[] = {
    {.word = "mknod", .call = call_mknod, .from = 1},
    {.word = "stat", .call = call_stat},
    {.word = "rename", .call = call_rename},
    {.word = "unlink", .call = call_unlink, .from = 2},
    {.word = "create_fsync", .call = call_create_fsync, .from = 3},
    {.word = "open_close", .call = call_open_close, .from = 3},
    {.word = "append4k", .call = call_append4k, .needs_file = true},
    {.word = "overwrite4k",
     .call = call_overwrite4k,
     .needs_file = true,
     .file_bytes = BLOCK_BYTES},
    {.word = "append64", .call = call_record64, .needs_file = true},
    {.word = "overwrite64", .call = call_record64, .needs_file = true, .file_bytes = 64},
};

__attribute__((noinline)) int one_call(op_fn call, const struct target *target);
__attribute__((noinline)) int measured(struct target *target, op_fn call, name *names,
                                       uint64_t calls);

int one_call(op_fn call, const struct target *target)
{
    return call(target);
}

int measured(struct target *target, op_fn call, name *names, uint64_t calls)
{
    int code = 0;
    for (; target->at < calls && code == 0; target->at++) {
        target->from = names[2 * target->at];
        target->to = names[2 * target->at + 1];
        code = one_call(call, target);
    }
    return code;
}

static struct vmfs *open_region(const char *path, bool is_new)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = is_new ? VMFS_CREATE : 0;
    options.region_bytes = is_new ? REGION_BYTES : 0;
    struct vmfs *fs;
    must(vmfs_open(path, &options, &fs), "open");
    return fs;
}

static void prepare(struct vmfs *fs, uint64_t count)
{
    must(vmfs_mkdir(fs, "/d", 0700), "mkdir");
    for (uint64_t number = 0; number < count; number++) {
        name path;
        name_of(number, 0, path);
        must(call_mknod(&(struct target){.fs = fs, .from = path}), "prepare");
    }
}

/* A file with something in it for each of the calls to come. */
static struct vmfs_file *open_file(struct vmfs *fs, uint64_t file_bytes, uint64_t calls)
{
    struct vmfs_file *file;
    must(vmfs_file_open(fs, "/f", VMFS_O_RDWR | VMFS_O_CREAT | VMFS_O_TRUNC, 0600, &file), "file");
    for (uint64_t at = 0; file_bytes && at < calls; at++)
        must(put(file, file_bytes, at * file_bytes), "fill");
    return file;
}

/* Names of `count` at equal distances; their order in the directory is that of their hashes. */
static void run(struct vmfs *fs, const struct op *op, uint64_t count, uint64_t calls)
{
    name *names = calloc(2 * calls, sizeof *names);
    must(names == NULL, "memory");
    for (uint64_t at = 0; at < calls; at++) {
        uint64_t number = at * (count / calls);
        name_of(number, op->from, names[2 * at]);
        name_of(number, 2, names[2 * at + 1]);
    }
    struct target target = {.fs = fs};
    if (op->needs_file)
        target.file = open_file(fs, op->file_bytes, calls);
    must(measured(&target, op->call, names, calls), op->word);
    if (target.file)
        must(vmfs_file_close(target.file), "close the file");
    free(names);
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    uint64_t calls = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    bool is_new = argc == 4 && strcmp(argv[2], "prepare") == 0;
    const struct op *op = ops;
    while (op < ops + sizeof ops / sizeof *ops && argc == 5 && strcmp(op->word, argv[2]) != 0)
        op++;
    if (!is_new && (argc != 5 || op == ops + sizeof ops / sizeof *ops || calls == 0)) {
        fprintf(stderr, "instructions REGION prepare NAMES | OP NAMES CALLS\n");
        return 2;
    }
    struct vmfs *fs = open_region(argv[1], is_new);
    if (is_new)
        prepare(fs, count);
    else
        run(fs, op, count, calls);
    must(vmfs_close(fs), "close");
    return 0;
}
