/* region.c -- what many tests do with a region */
#include "region.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seed.h"

void region_log_keep(void *arg, int level, int reason, const char *file, int line, const char *text)
{
    struct region_log *log = arg;
    (void)file;
    (void)line;
    if (reason == 0)
        return;
    log->count++;
    log->level = level;
    log->reason = reason;
    snprintf(log->text, sizeof(log->text), "%s", text);
}

void region_force_pmem(char **argv)
{
    if (getenv("PMEM_IS_PMEM_FORCE") != NULL)
        return;
    setenv("PMEM_IS_PMEM_FORCE", "1", 1);
    execv("/proc/self/exe", argv);
    perror("/proc/self/exe");
    exit(1);
}

void region_path(char path[REGION_PATH_MAX], const char *name)
{
    const char *dir = getenv("VMFS_TEST_DIR");
    const char *device = getenv("VMFS_TEST_DEVICE");
    snprintf(path, REGION_PATH_MAX, "%s/vmfs-test-%d-%s", dir != NULL ? dir : "/dev/shm",
             (int)getpid(), name);
    if (device == NULL)
        return;
    (void)unlink(path);
    if (symlink(device, path) != 0)
        perror(path);
}

static void set_log(struct vmfs_options *options, struct region_log *log)
{
    if (log == NULL)
        return;
    memset(log, 0, sizeof(*log));
    options->log = region_log_keep;
    options->log_arg = log;
}

/* Any test runs with each fence as an msync under PMEM_IS_PMEM_FORCE=0 VMFS_TEST_DURABILITY=power. */
static void set_durability(struct vmfs_options *options)
{
    const char *level = getenv("VMFS_TEST_DURABILITY");
    if (level != NULL && strcmp(level, "power") == 0)
        options->durability = VMFS_DURABILITY_POWER;
}

int region_format(const char *path, uint64_t bytes, struct region_log *log, struct vmfs **out)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_CREATE | VMFS_FORCE;
    options.region_bytes = bytes;
    set_durability(&options);
    set_log(&options, log);
    return vmfs_open(path, &options, out);
}

int region_open(const char *path, uint32_t flags, struct region_log *log, struct vmfs **out)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = flags;
    set_durability(&options);
    set_log(&options, log);
    return vmfs_open(path, &options, out);
}

int region_open_inside(const char *path, struct region_log *log, struct vmfs **out)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs_region_place place;
    int count = vmfs_region_find(path, &place, 1);
    if (count != 1)
        return count < 0 ? count : -ENOENT;
    options.flags = VMFS_RDONLY;
    options.offset_bytes = place.offset_bytes;
    set_log(&options, log);
    return vmfs_open(path, &options, out);
}

static int remove_entries(struct vmfs *fs, struct vmfs_dir *dir, const char *path)
{
    char child[VMFS_PATH_MAX + 1];
    struct vmfs_dirent entry;
    int err;
    while ((err = vmfs_dir_read(dir, &entry)) == 1) {
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        int bytes = snprintf(child, sizeof(child), "%s/%s", path, entry.name);
        if (bytes < 0 || (size_t)bytes >= sizeof(child))
            return -1;
        err = entry.type == VMFS_S_IFDIR ? region_remove_tree(fs, child) : vmfs_unlink(fs, child);
        if (err != 0)
            return err;
    }
    return err;
}

int region_remove_tree(struct vmfs *fs, const char *path)
{
    struct vmfs_dir *dir;
    int err = vmfs_dir_open(fs, path, &dir);
    if (err != 0)
        return err;
    err = remove_entries(fs, dir, path);
    vmfs_dir_close(dir);
    return err != 0 ? err : vmfs_rmdir(fs, path);
}

int region_put_file(struct vmfs *fs, const char *path, size_t bytes, uint64_t pattern)
{
    struct vmfs_file *file;
    int err = vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_TRUNC | VMFS_O_WRONLY, 0644, &file);
    if (err != 0)
        return err;
    uint8_t *buffer = malloc(bytes + 1);
    if (buffer == NULL)
        abort();
    seed_fill(buffer, bytes, pattern);
    int64_t written = vmfs_file_pwrite(file, buffer, bytes, 0);
    free(buffer);
    err = vmfs_file_close(file);
    if (written < 0)
        return (int)written;
    return written == (int64_t)bytes ? err : -1;
}

/* ----------------------------------------------------------------------------------- digest --- */

static uint64_t digest_bytes(uint64_t digest, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    while (bytes > 0) {
        uint64_t word = 0;
        size_t step = bytes < sizeof(word) ? bytes : sizeof(word);
        memcpy(&word, at, step);
        digest = (digest ^ word) * 0x9e3779b97f4a7c15u;
        digest ^= digest >> 32;
        at += step;
        bytes -= step;
    }
    return digest;
}

static uint64_t digest_content(struct vmfs *fs, const char *path, uint64_t digest)
{
    static uint8_t buffer[65536];
    struct vmfs_file *file;
    int err = vmfs_file_open(fs, path, VMFS_O_RDONLY, 0, &file);
    if (err != 0)
        return seed_mix(digest, (uint64_t)err);
    uint64_t offset = 0;
    int64_t got;
    while (offset < 64 * REGION_MIB &&
           (got = vmfs_file_pread(file, buffer, sizeof(buffer), offset)) > 0) {
        digest = digest_bytes(digest, buffer, (size_t)got);
        offset += (uint64_t)got;
    }
    vmfs_file_close(file);
    return digest;
}

static uint64_t digest_attributes(const struct vmfs_stat *stat, uint64_t digest)
{
    const uint64_t words[] = {stat->ino,
                              stat->mode,
                              stat->nlink,
                              stat->uid,
                              stat->gid,
                              stat->rdev,
                              stat->size,
                              stat->blocks,
                              (uint64_t)stat->mtime_ns,
                              (uint64_t)stat->btime_ns};
    return digest_bytes(digest, words, sizeof(words));
}

static uint64_t digest_xattrs(struct vmfs *fs, const char *path, uint64_t digest)
{
    char names[4096];
    uint8_t value[4096];
    int64_t bytes = vmfs_xattr_list(fs, path, VMFS_NOFOLLOW, names, sizeof(names));
    for (int64_t at = 0; at < bytes; at += (int64_t)strlen(names + at) + 1) {
        int64_t got = vmfs_xattr_get(fs, path, VMFS_NOFOLLOW, names + at, value, sizeof(value));
        digest = seed_mix(digest, (uint64_t)got);
        if (got > 0)
            digest = digest_bytes(digest, value, (size_t)got);
    }
    return seed_mix(digest, (uint64_t)bytes);
}

static uint64_t digest_dir(struct vmfs *fs, const char *path, uint64_t digest)
{
    char child[VMFS_PATH_MAX + 1];
    struct vmfs_dir *dir;
    struct vmfs_dirent entry;
    int err = vmfs_dir_open(fs, path, &dir);
    if (err != 0)
        return seed_mix(digest, (uint64_t)err);
    while ((err = vmfs_dir_read(dir, &entry)) == 1) {
        digest = digest_bytes(digest, entry.name, entry.name_bytes);
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        int bytes =
            snprintf(child, sizeof(child), "%s/%s", path[1] != '\0' ? path : "", entry.name);
        if (bytes > 0 && (size_t)bytes < sizeof(child) && bytes < 1000)
            digest = seed_mix(digest, region_digest(fs, child));
    }
    vmfs_dir_close(dir);
    return seed_mix(digest, (uint64_t)err);
}

uint64_t region_digest(struct vmfs *fs, const char *path)
{
    struct vmfs_stat stat;
    uint64_t digest = 1;
    int err = vmfs_stat(fs, path, VMFS_NOFOLLOW, &stat);
    if (err != 0)
        return (uint64_t)err;
    digest = digest_attributes(&stat, digest);
    switch (stat.mode & VMFS_S_IFMT) {
    case VMFS_S_IFREG:
        return digest_content(fs, path, digest_xattrs(fs, path, digest));
    case VMFS_S_IFDIR:
        return digest_dir(fs, path, digest_xattrs(fs, path, digest));
    default:
        return digest;
    }
}

static void print_problem(void *arg, const struct vmfs_problem *problem)
{
    unsigned *printed = arg;
    if ((*printed)++ < 10)
        fprintf(stderr, "check: P%u %s: %s\n", problem->pass, problem->pass_name, problem->text);
}

int64_t region_check(struct vmfs *fs)
{
    struct vmfs_check_result result;
    unsigned printed = 0;
    int err = vmfs_check(fs, print_problem, &printed, &result);
    return err != 0 ? err : (int64_t)result.problems;
}
