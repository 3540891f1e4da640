/* instructions.c -- calls for callgrind to count: names of 16 bytes in one directory
 *
 *     instructions REGION prepare NAMES          a new region whose directory /d has so many names
 *     instructions REGION OP NAMES CALLS         mknod, stat, rename or unlink, in this order
 *
 * `measured` does the calls and nothing else: valgrind --tool=callgrind --toggle-collect=measured. Renames
 * are of old names to new ones, unlinks of those. bench/instructions.sh prints the table. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmfs.h"

#define NAME_BYTES   20 /* "/d/" and 16 */
#define REGION_BYTES ((uint64_t)2 << 30)

typedef char name[NAME_BYTES];
typedef int (*op_fn)(struct vmfs *fs, const char *from, const char *to);

struct op {
    const char *word;
    op_fn call;
    unsigned from; /* 0: names that were prepared, 1: that mknod makes, 2: that rename makes */
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

static int call_mknod(struct vmfs *fs, const char *from, const char *to)
{
    (void)to;
    return vmfs_mknod(fs, from, VMFS_S_IFREG | 0600, 0);
}

static int call_stat(struct vmfs *fs, const char *from, const char *to)
{
    struct vmfs_stat stat;
    (void)to;
    return vmfs_stat(fs, from, 0, &stat);
}

static int call_rename(struct vmfs *fs, const char *from, const char *to)
{
    return vmfs_rename(fs, from, to, 0);
}

static int call_unlink(struct vmfs *fs, const char *from, const char *to)
{
    (void)to;
    return vmfs_unlink(fs, from);
}

static const struct op ops[] = {
    {"mknod", call_mknod, 1},
    {"stat", call_stat, 0},
    {"rename", call_rename, 0},
    {"unlink", call_unlink, 2},
};

__attribute__((noinline)) int measured(struct vmfs *fs, op_fn call, name *names, uint64_t calls);

int measured(struct vmfs *fs, op_fn call, name *names, uint64_t calls)
{
    int code = 0;
    for (uint64_t at = 0; at < calls && code == 0; at++)
        code = call(fs, names[2 * at], names[2 * at + 1]);
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
        must(call_mknod(fs, path, NULL), "prepare");
    }
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
    must(measured(fs, op->call, names, calls), op->word);
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
