/* golden_dump.c -- all that the API can tell of a region, in one canonical text
 *
 * golden_dump FILE        opens it read-only
 * golden_dump --settle FILE   opens it for writing and closes it: replays, cleans, checkpoints */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmfs.h"

#define PATH_MAX_BYTES 4096u
#define NAMES_MAX      1000u

static int failures;

static void complain(const char *path, const char *what, int64_t result)
{
    failures++;
    printf("%s: %s: %s\n", path, what, strerror((int)-result));
}

/* FNV-1a: independent of the library's own hash. */
static uint64_t digest(uint64_t state, const void *bytes, size_t len_bytes)
{
    const unsigned char *from = bytes;
    for (size_t at = 0; at < len_bytes; at++)
        state = (state ^ from[at]) * 0x100000001b3u;
    return state;
}

#define DIGEST_START 0xcbf29ce484222325u

static void dump_span(struct vmfs_file *file, const char *path, uint64_t start, uint64_t end)
{
    static char bytes[1 << 16];
    uint64_t state = DIGEST_START;
    for (uint64_t at = start; at < end;) {
        size_t want = end - at < sizeof bytes ? (size_t)(end - at) : sizeof bytes;
        int64_t count = vmfs_file_pread(file, bytes, want, at);
        if (count <= 0) {
            complain(path, "read", count);
            return;
        }
        state = digest(state, bytes, (size_t)count);
        at += (uint64_t)count;
    }
    printf("    data %" PRIu64 "..%" PRIu64 " %016" PRIx64 "\n", start, end, state);
}

static void dump_data(struct vmfs *fs, const char *path)
{
    struct vmfs_file *file;
    int result = vmfs_file_open(fs, path, VMFS_O_RDONLY, 0, &file);
    if (result) {
        complain(path, "open", result);
        return;
    }
    int64_t end = 0;
    int64_t start;
    while ((start = vmfs_file_seek(file, end, VMFS_SEEK_DATA)) >= 0) {
        end = vmfs_file_seek(file, start, VMFS_SEEK_HOLE);
        dump_span(file, path, (uint64_t)start, (uint64_t)end);
    }
    vmfs_file_close(file);
}

static void dump_target(struct vmfs *fs, const char *path)
{
    char target[PATH_MAX_BYTES];
    int64_t size = vmfs_readlink(fs, path, target, sizeof target);
    if (size < 0)
        complain(path, "readlink", size);
    else
        printf("    -> %.*s\n", (int)size, target);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void dump_xattr(struct vmfs *fs, const char *path, const char *name)
{
    static char value[VMFS_XATTR_MAX];
    int64_t size = vmfs_xattr_get(fs, path, VMFS_NOFOLLOW, name, value, sizeof value);
    if (size < 0)
        complain(path, name, size);
    else
        printf("    xattr %s %" PRId64 " %016" PRIx64 "\n", name, size,
               digest(DIGEST_START, value, (size_t)size));
}

static void dump_xattrs(struct vmfs *fs, const char *path)
{
    static char names[1 << 16];
    char *list[NAMES_MAX];
    unsigned count = 0;
    int64_t size = vmfs_xattr_list(fs, path, VMFS_NOFOLLOW, names, sizeof names);
    if (size < 0) {
        complain(path, "listxattr", size);
        return;
    }
    for (char *name = names; name < names + size && count < NAMES_MAX; name += strlen(name) + 1)
        list[count++] = name;
    qsort(list, count, sizeof *list, compare_names);
    for (unsigned index = 0; index < count; index++)
        dump_xattr(fs, path, list[index]);
}

static void dump_path(struct vmfs *fs, const char *path);

static void dump_entries(struct vmfs *fs, const char *path)
{
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    char *names[NAMES_MAX];
    unsigned count = 0;
    int result = vmfs_dir_open(fs, path, &dir);
    while (result == 0 && (result = vmfs_dir_read(dir, &entry)) > 0) {
        result = 0;
        if (strcmp(entry.name, ".") != 0 && strcmp(entry.name, "..") != 0 && count < NAMES_MAX)
            names[count++] = strdup(entry.name);
    }
    if (result < 0)
        complain(path, "readdir", result);
    vmfs_dir_close(dir);
    qsort(names, count, sizeof *names, compare_names);
    for (unsigned index = 0; index < count; index++) {
        size_t room = strlen(path) + strlen(names[index]) + 2;
        char *below = malloc(room);
        if (!below)
            exit(1);
        snprintf(below, room, "%s/%s", strcmp(path, "/") ? path : "", names[index]);
        dump_path(fs, below);
        free(below);
        free(names[index]);
    }
}

static void dump_path(struct vmfs *fs, const char *path)
{
    struct vmfs_stat stat;
    int result = vmfs_stat(fs, path, VMFS_NOFOLLOW, &stat);
    if (result) {
        complain(path, "stat", result);
        return;
    }
    printf("%s\n    id %" PRIu64 " mode %06o nlink %u owner %u:%u rdev 0x%" PRIx64 " size %" PRIu64
           " blocks %" PRIu64 " flags 0x%x\n    times %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
           "\n",
           path, stat.ino, stat.mode, stat.nlink, stat.uid, stat.gid, stat.rdev, stat.size,
           stat.blocks, stat.flags, stat.btime_ns, stat.mtime_ns, stat.ctime_ns, stat.atime_ns);
    dump_xattrs(fs, path);
    uint32_t type = stat.mode & VMFS_S_IFMT;
    if (type == VMFS_S_IFREG)
        dump_data(fs, path);
    else if (type == VMFS_S_IFLNK)
        dump_target(fs, path);
    else if (type == VMFS_S_IFDIR)
        dump_entries(fs, path);
}

static void dump_totals(struct vmfs *fs)
{
    struct vmfs_statfs totals;
    int result = vmfs_statfs(fs, &totals);
    if (result) {
        complain("/", "statfs", result);
        return;
    }
    printf("blocks %" PRIu64 " free %" PRIu64 " inodes used %" PRIu64 "\n", totals.blocks_total,
           totals.blocks_free, totals.inodes_used);
}

int main(int argc, char **argv)
{
    bool is_settling = argc == 3 && strcmp(argv[1], "--settle") == 0;
    if (argc != 2 && !is_settling) {
        fprintf(stderr, "usage: golden_dump [--settle] FILE\n");
        return 2;
    }
    struct vmfs *fs;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = is_settling ? 0 : VMFS_RDONLY;
    int result = vmfs_open(argv[argc - 1], &options, &fs);
    if (result) {
        complain(argv[argc - 1], "open", result);
        return 1;
    }
    if (!is_settling) {
        dump_totals(fs);
        dump_path(fs, "/");
    }
    result = vmfs_close(fs);
    if (result)
        complain(argv[argc - 1], "close", result);
    return failures != 0;
}
