/* test_badinput.c -- region files that are not what they should be
 *
 * Truncated, foreign, newer, damaged, in use, unwritable, misplaced: each opens with the documented
 * error or not at all, and what is opened read-only stays as it was, to the byte. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "fixture.h"
#include "media/format.h"
#include "seed.h"

#define SMALL_BYTES (2 * REGION_MIB)
#define CORRUPTIONS 300

/* ----------------------------------------------------------------------- the region as a file ---
 */

static void patch_file(const char *path, uint64_t offset, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY);
    cr_assert(fd >= 0, "%s: %s", path, strerror(errno));
    cr_assert(pwrite(fd, bytes, length, (off_t)offset) == (ssize_t)length);
    close(fd);
}

static void read_whole(const char *path, uint8_t *buffer, size_t length)
{
    int fd = open(path, O_RDONLY);
    cr_assert(fd >= 0, "%s: %s", path, strerror(errno));
    cr_assert(pread(fd, buffer, length, 0) == (ssize_t)length);
    close(fd);
}

static uint8_t *copy_of_file(const char *path, size_t length)
{
    uint8_t *copy = malloc(length);
    cr_assert(copy != NULL);
    read_whole(path, copy, length);
    return copy;
}

/* A closed region with a few files. */
static void make_region(struct fixture *fixture, const char *name, uint64_t bytes)
{
    char path[32];
    fixture_open(fixture, name, bytes);
    expect_ok(vmfs_mkdir(fixture->fs, "/dir", 0755));
    for (unsigned i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "/dir/file-%u", i);
        expect_ok(region_put_file(fixture->fs, path, 300 * i, i));
    }
    expect_ok(vmfs_symlink(fixture->fs, "dir/file-3", "/link"));
    expect_ok(vmfs_xattr_set(fixture->fs, "/dir", 0, "user.a", "value", 5));
    expect_ok(vmfs_close(fixture->fs));
    fixture->fs = NULL;
}

/* As above, but its owner died without closing it. */
static void make_unclean_region(struct fixture *fixture, const char *name)
{
    make_region(fixture, name, SMALL_BYTES);
    pid_t pid = fork();
    if (pid == 0) {
        struct vmfs *fs;
        bool is_good = region_open(fixture->path, 0, NULL, &fs) == 0 &&
                       vmfs_mkdir(fs, "/late", 0700) == 0 &&
                       region_put_file(fs, "/late/file", 5000, 7) == 0;
        _exit(is_good ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    cr_assert(status == 0, "the child that leaves the region unclean failed");
}

static int try_open(struct fixture *fixture, uint32_t flags)
{
    int err = region_open(fixture->path, flags, &fixture->log, &fixture->fs);
    if (err == 0)
        expect_ok(vmfs_close(fixture->fs));
    return err;
}

/* ------------------------------------------------------------------------------ wrong regions ---
 */

Test(badinput, foreign_file)
{
    struct fixture fixture;
    uint8_t block[4096];
    make_region(&fixture, "foreign", SMALL_BYTES);
    for (unsigned i = 0; i < 16; i++) {
        seed_fill(block, sizeof(block), i + 1);
        patch_file(fixture.path, i * sizeof(block), block, sizeof(block));
    }
    expect_code(try_open(&fixture, 0), -EMEDIUMTYPE);
    cr_assert(fixture.log.reason == VMFS_R_REGION_FOREIGN);
    memset(block, 0, sizeof(block));
    for (unsigned i = 0; i < 16; i++)
        patch_file(fixture.path, i * sizeof(block), block, sizeof(block));
    expect_code(try_open(&fixture, 0), -EMEDIUMTYPE);
    unlink(fixture.path);
}

Test(badinput, truncated_file)
{
    struct fixture fixture;
    make_region(&fixture, "truncated", SMALL_BYTES);
    cr_assert(truncate(fixture.path, SMALL_BYTES - 4096) == 0);
    expect_code(try_open(&fixture, 0), -EUCLEAN);
    cr_assert(fixture.log.reason == VMFS_R_REGION_TRUNCATED, "reason %d", fixture.log.reason);
    expect_code(try_open(&fixture, VMFS_RDONLY), -EUCLEAN);
    cr_assert(truncate(fixture.path, 4096) == 0);
    int err = try_open(&fixture, 0);
    cr_assert(err == -EUCLEAN || err == -EMEDIUMTYPE, "open of one block returned %d", err);
    cr_assert(truncate(fixture.path, 0) == 0);
    err = try_open(&fixture, 0);
    cr_assert(err == -EUCLEAN || err == -EMEDIUMTYPE, "open of an empty file returned %d", err);
    unlink(fixture.path);
}

static void read_super(const char *path, unsigned block, struct vm_super_media *super)
{
    int fd = open(path, O_RDONLY);
    cr_assert(fd >= 0);
    cr_assert(pread(fd, super, sizeof(*super), (off_t)block * VM_BLOCK_BYTES) ==
              (ssize_t)sizeof(*super));
    close(fd);
}

static void write_super(const char *path, unsigned block, struct vm_super_media *super)
{
    const uint8_t *bytes = (const uint8_t *)super;
    super->check = vm_put64(vm_hash64(0, bytes + 16, sizeof(*super) - 16));
    patch_file(path, (uint64_t)block * VM_BLOCK_BYTES, super, sizeof(*super));
}

static const unsigned super_blocks[] = {VM_SUPER_A_BLOCK, VM_SUPER_B_BLOCK};

Test(badinput, rewritten_superblock_is_accepted)
{
    struct fixture fixture;
    struct vm_super_media super;
    make_region(&fixture, "rewritten", SMALL_BYTES);
    for (unsigned i = 0; i < 2; i++) {
        read_super(fixture.path, super_blocks[i], &super);
        super.compat = vm_put64(1u << 20);
        write_super(fixture.path, super_blocks[i], &super);
    }
    expect_ok(try_open(&fixture, 0));
    unlink(fixture.path);
}

Test(badinput, newer_feature)
{
    struct fixture fixture;
    struct vm_super_media super;
    make_region(&fixture, "newer", SMALL_BYTES);
    for (unsigned i = 0; i < 2; i++) {
        read_super(fixture.path, super_blocks[i], &super);
        super.incompat = vm_put64(1u << 20);
        write_super(fixture.path, super_blocks[i], &super);
    }
    expect_code(try_open(&fixture, 0), -EPROTONOSUPPORT);
    cr_assert(fixture.log.reason == VMFS_R_REGION_NEWER);
    expect_code(try_open(&fixture, VMFS_RDONLY), -EPROTONOSUPPORT);
    unlink(fixture.path);
}

Test(badinput, newer_read_only_feature)
{
    struct fixture fixture;
    struct vm_super_media super;
    make_region(&fixture, "newer-ro", SMALL_BYTES);
    for (unsigned i = 0; i < 2; i++) {
        read_super(fixture.path, super_blocks[i], &super);
        super.ro_compat = vm_put64(1u << 20);
        write_super(fixture.path, super_blocks[i], &super);
    }
    expect_code(try_open(&fixture, 0), -EPROTONOSUPPORT);
    expect_ok(try_open(&fixture, VMFS_RDONLY));
    unlink(fixture.path);
}

Test(badinput, one_superblock_damaged)
{
    for (unsigned i = 0; i < 2; i++) {
        struct fixture fixture;
        uint8_t noise[64];
        make_region(&fixture, "one-super", SMALL_BYTES);
        seed_fill(noise, sizeof(noise), 99);
        patch_file(fixture.path, (uint64_t)super_blocks[i] * VM_BLOCK_BYTES + 96, noise,
                   sizeof(noise));
        expect_ok(try_open(&fixture, VMFS_RDONLY));
        expect_ok(region_open(fixture.path, 0, &fixture.log, &fixture.fs));
        expect_ok(vmfs_mkdir(fixture.fs, "/new", 0755));
        int64_t problems = region_check(fixture.fs);
        cr_assert(problems == 0 || problems == 1, "%lld problems beside the damaged copy",
                  (long long)problems);
        expect_ok(vmfs_close(fixture.fs));
        expect_ok(try_open(&fixture, 0));
        unlink(fixture.path);
    }
}

Test(badinput, both_superblocks_damaged)
{
    struct fixture fixture;
    uint8_t noise[64];
    make_region(&fixture, "both-supers", SMALL_BYTES);
    seed_fill(noise, sizeof(noise), 99);
    for (unsigned i = 0; i < 2; i++)
        patch_file(fixture.path, (uint64_t)super_blocks[i] * VM_BLOCK_BYTES + 96, noise,
                   sizeof(noise));
    expect_code(try_open(&fixture, 0), -EUCLEAN);
    cr_assert(fixture.log.reason == VMFS_R_SUPER_DAMAGED, "reason %d", fixture.log.reason);
    unlink(fixture.path);
}

/* ---------------------------------------------------------------------------- wrong arguments ---
 */

static int format_of_size(struct fixture *fixture, uint64_t region_bytes, uint64_t offset_bytes)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_CREATE | VMFS_FORCE;
    options.region_bytes = region_bytes;
    options.offset_bytes = offset_bytes;
    int err = vmfs_open(fixture->path, &options, &fixture->fs);
    if (err == 0)
        expect_ok(vmfs_close(fixture->fs));
    unlink(fixture->path);
    return err;
}

Test(badinput, wrong_sizes)
{
    struct fixture fixture;
    region_path(fixture.path, "sizes");
    expect_code(format_of_size(&fixture, VMFS_REGION_MIN - 4096, 0), -EINVAL);
    expect_code(format_of_size(&fixture, 4096, 0), -EINVAL);
    expect_code(format_of_size(&fixture, VMFS_REGION_MIN + 1, 0), -EINVAL);
    expect_code(format_of_size(&fixture, VMFS_REGION_MIN, 100), -EINVAL);
    expect_code(format_of_size(&fixture, UINT64_MAX - 4095, 0), -EINVAL);
    expect_ok(format_of_size(&fixture, VMFS_REGION_MIN, 0));
    expect_ok(format_of_size(&fixture, VMFS_REGION_MIN + 4096, 8192));
}

Test(badinput, create_over_existing_file)
{
    struct fixture fixture;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    make_region(&fixture, "exists", SMALL_BYTES);
    uint8_t *before = copy_of_file(fixture.path, SMALL_BYTES);
    uint8_t *after = malloc(SMALL_BYTES);
    options.flags = VMFS_CREATE;
    options.region_bytes = SMALL_BYTES;
    expect_code(vmfs_open(fixture.path, &options, &fixture.fs), -EEXIST);
    read_whole(fixture.path, after, SMALL_BYTES);
    cr_assert(memcmp(before, after, SMALL_BYTES) == 0, "the refused format changed the file");
    free(before);
    free(after);
    unlink(fixture.path);
}

/* What refuses comes before the old bytes go. */
Test(badinput, refused_format_changes_nothing)
{
    struct fixture fixture;
    struct vmfs *fs = NULL;
    struct stat before, after;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_CREATE | VMFS_FORCE;
    options.region_bytes = (uint64_t)1 << 50; /* more than there are addresses */
    make_region(&fixture, "refused", SMALL_BYTES);
    cr_assert_eq(stat(fixture.path, &before), 0);
    int err = vmfs_open(fixture.path, &options, &fs);
    cr_assert(err < 0 && fs == NULL, "the format returned %d", err);
    cr_assert_eq(stat(fixture.path, &after), 0);
    cr_assert_eq(before.st_size, after.st_size);
    expect_ok(region_open(fixture.path, 0, &fixture.log, &fixture.fs));
    cr_assert(fixture_stat(&fixture, "/").size > 0);
    fixture_close(&fixture);
    options.flags = VMFS_CREATE;
    err = vmfs_open(fixture.path, &options, &fs);
    cr_assert(err < 0 && access(fixture.path, F_OK) != 0, "the format returned %d", err);
}

/* Nobody waits for a writer of a fifo. */
Test(badinput, fifo, .timeout = 10)
{
    struct vmfs *fs;
    char path[REGION_PATH_MAX];
    region_path(path, "fifo");
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_code(region_open(path, VMFS_RDONLY, NULL, &fs), -EMEDIUMTYPE);
    expect_code(region_open(path, 0, NULL, &fs), -EMEDIUMTYPE);
    unlink(path);
}

Test(badinput, missing_file_and_options_of_another_size)
{
    struct fixture fixture;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    region_path(fixture.path, "missing");
    expect_code(try_open(&fixture, 0), -ENOENT);
    options.struct_bytes = 3;
    expect_code(vmfs_open(fixture.path, &options, &fixture.fs), -EINVAL);
    options = (struct vmfs_options)VMFS_OPTIONS_INIT;
    options.flags = 0x4000;
    expect_code(vmfs_open(fixture.path, &options, &fixture.fs), -EINVAL);
    options.flags = 0;
    options.durability = 77;
    expect_code(vmfs_open(fixture.path, &options, &fixture.fs), -EINVAL);
}

Test(badinput, unwritable_file)
{
    struct fixture fixture;
    make_region(&fixture, "unwritable", SMALL_BYTES);
    cr_assert(chmod(fixture.path, 0444) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(99);
        struct vmfs *fs;
        int err = region_open(fixture.path, 0, &fixture.log, &fs);
        if (err != -EACCES)
            _exit(1);
        err = region_open(fixture.path, VMFS_RDONLY, &fixture.log, &fs);
        _exit(err == 0 && vmfs_close(fs) == 0 ? 0 : 2);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %d",
              WEXITSTATUS(status));
    unlink(fixture.path);
}

/* ------------------------------------------------------------------------------------ in use ---
 */

Test(badinput, opened_twice_in_one_process)
{
    struct fixture fixture;
    struct vmfs *second;
    struct region_log log;
    char pid_text[32];
    fixture_open(&fixture, "twice", SMALL_BYTES);
    expect_code(region_open(fixture.path, 0, &log, &second), -EBUSY);
    snprintf(pid_text, sizeof(pid_text), "%d", (int)getpid());
    cr_assert(log.reason == VMFS_R_BUSY);
    cr_assert(strstr(log.text, pid_text) != NULL, "the log does not name pid %s: %s", pid_text,
              log.text);
    expect_code(region_open(fixture.path, VMFS_RDONLY, &log, &second), -EBUSY);
    fixture_close(&fixture);
}

Test(badinput, opened_in_another_process)
{
    struct fixture fixture;
    char pid_text[32];
    fixture_open(&fixture, "other", SMALL_BYTES);
    snprintf(pid_text, sizeof(pid_text), "%d", (int)getpid());
    pid_t pid = fork();
    if (pid == 0) {
        struct vmfs *second;
        struct region_log log;
        int err = region_open(fixture.path, 0, &log, &second);
        if (err != -EBUSY)
            _exit(1);
        _exit(strstr(log.text, pid_text) != NULL ? 0 : 2);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0,
              "the other process ended with %d (1: not -EBUSY, 2: the pid is not named)",
              WEXITSTATUS(status));
    fixture_close(&fixture);
}

/* Memory has no lock: its owner is found by pid, start and boot, all three. */
Test(badinput, memory_of_a_process_of_another_boot)
{
    char id[64];
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    cr_assert(file != NULL);
    size_t id_bytes = fread(id, 1, sizeof id, file);
    fclose(file);
    uint8_t *memory =
        mmap(NULL, SMALL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(memory != MAP_FAILED);
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs *first;
    struct vmfs *second;
    options.flags = VMFS_CREATE | VMFS_ZEROED;
    expect_ok(vmfs_attach(memory, SMALL_BYTES, &options, &first));
    struct vm_owner_media *owner = (void *)(memory + VM_OWNER_BLOCK * (uint64_t)VM_BLOCK_BYTES);
    uint64_t boot = vm_get64(owner->boot);
    cr_expect_eq(boot, vm_hash64(0, id, id_bytes));
    options.flags = 0;
    expect_code(vmfs_attach(memory, SMALL_BYTES, &options, &second), -EBUSY);
    owner->boot = vm_put64(boot ^ 1);
    expect_ok(vmfs_attach(memory, SMALL_BYTES, &options, &second));
    expect_ok(vmfs_close(second));
    expect_ok(vmfs_close(first));
    munmap(memory, SMALL_BYTES);
}

Test(badinput, several_readers)
{
    struct fixture fixture;
    struct vmfs *readers[2];
    struct vmfs *writer;
    make_region(&fixture, "readers", SMALL_BYTES);
    expect_ok(region_open(fixture.path, VMFS_RDONLY, NULL, &readers[0]));
    expect_ok(region_open(fixture.path, VMFS_RDONLY, NULL, &readers[1]));
    expect_code(region_open(fixture.path, 0, NULL, &writer), -EBUSY);
    expect_ok(vmfs_close(readers[0]));
    expect_ok(vmfs_close(readers[1]));
    expect_ok(region_open(fixture.path, 0, NULL, &writer));
    expect_ok(vmfs_close(writer));
    unlink(fixture.path);
}

static int use_inherited(struct vmfs *fs, struct vmfs_file *file, struct vmfs_dir *dir)
{
    struct vmfs_stat stat;
    struct vmfs_dirent entry;
    char byte = 'x';
    if (vmfs_stat(fs, "/file", 0, &stat) != -ESTALE)
        return 1;
    if (vmfs_mkdir(fs, "/from-child", 0755) != -ESTALE)
        return 2;
    if (vmfs_file_pwrite(file, &byte, 1, 0) != -ESTALE)
        return 3;
    if (vmfs_file_pread(file, &byte, 1, 0) != -ESTALE)
        return 4;
    if (vmfs_dir_read(dir, &entry) != -ESTALE)
        return 5;
    vmfs_file_close(file);
    vmfs_dir_close(dir);
    vmfs_close(fs);
    return 0;
}

Test(badinput, handles_inherited_through_fork)
{
    struct fixture fixture;
    fixture_open(&fixture, "forked", SMALL_BYTES);
    expect_ok(region_put_file(fixture.fs, "/file", 100, 1));
    struct vmfs_file *file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
    struct vmfs_dir *dir;
    expect_ok(vmfs_dir_open(fixture.fs, "/", &dir));
    pid_t pid = fork();
    if (pid == 0)
        _exit(use_inherited(fixture.fs, file, dir));
    int status = -1;
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "step %d in the child",
              WEXITSTATUS(status));
    expect_ok(vmfs_mkdir(fixture.fs, "/from-parent", 0755));
    expect_code(vmfs_file_pwrite(file, "y", 1, 0), 1);
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_dir_close(dir));
    struct vmfs *second;
    expect_code(region_open(fixture.path, 0, NULL, &second), -EBUSY);
    fixture_close(&fixture);
}

/* --------------------------------------------------------------------- placement and attaching ---
 */

Test(badinput, region_inside_a_file)
{
    struct fixture fixture;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    static uint8_t outside[2 * 8192];
    static uint8_t after[8192];
    const uint64_t offset = 8192;
    seed_fill(outside, sizeof(outside), 5);
    region_path(fixture.path, "inside");
    int fd = open(fixture.path, O_CREAT | O_RDWR, 0600);
    cr_assert(fd >= 0 && ftruncate(fd, (off_t)(offset + SMALL_BYTES + 8192)) == 0);
    cr_assert(pwrite(fd, outside, 8192, 0) == 8192);
    cr_assert(pwrite(fd, outside + 8192, 8192, (off_t)(offset + SMALL_BYTES)) == 8192);
    options.flags = VMFS_CREATE | VMFS_FORCE;
    options.offset_bytes = offset;
    options.length_bytes = SMALL_BYTES;
    expect_ok(vmfs_open(fixture.path, &options, &fixture.fs));
    expect_ok(region_put_file(fixture.fs, "/file", 500000, 3));
    expect_ok(vmfs_close(fixture.fs));
    options.flags = 0;
    expect_ok(vmfs_open(fixture.path, &options, &fixture.fs));
    cr_assert(fixture_stat(&fixture, "/file").size == 500000);
    expect_ok(vmfs_close(fixture.fs));
    cr_assert(pread(fd, after, 8192, 0) == 8192 && memcmp(after, outside, 8192) == 0);
    cr_assert(pread(fd, after, 8192, (off_t)(offset + SMALL_BYTES)) == 8192 &&
              memcmp(after, outside + 8192, 8192) == 0);
    close(fd);
    options.offset_bytes = 4096;
    expect_code(vmfs_open(fixture.path, &options, &fixture.fs), -EMEDIUMTYPE);
    unlink(fixture.path);
}

static void *map_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(memory != MAP_FAILED);
    return memory;
}

Test(badinput, attach_to_anonymous_memory)
{
    struct vmfs *fs;
    struct vmfs_stat stat;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    uint8_t *memory = map_memory(SMALL_BYTES);
    expect_code(vmfs_attach(memory, SMALL_BYTES, NULL, &fs), -EMEDIUMTYPE);
    options.flags = VMFS_CREATE | VMFS_ZEROED;
    expect_code(vmfs_attach(memory + 1, SMALL_BYTES - 4096, &options, &fs), -EINVAL);
    expect_code(vmfs_attach(memory, SMALL_BYTES - 1, &options, &fs), -EINVAL);
    expect_code(vmfs_attach(memory, 4096, &options, &fs), -EINVAL);
    expect_code(vmfs_attach(NULL, SMALL_BYTES, &options, &fs), -EINVAL);
    expect_ok(vmfs_attach(memory, SMALL_BYTES, &options, &fs));
    expect_ok(region_put_file(fs, "/file", 100000, 3));
    expect_ok(region_check(fs));
    expect_ok(vmfs_close(fs));
    expect_ok(vmfs_attach(memory, SMALL_BYTES, NULL, &fs));
    expect_ok(vmfs_stat(fs, "/file", 0, &stat));
    cr_assert(stat.size == 100000);
    expect_ok(vmfs_close(fs));
    expect_code(vmfs_attach(memory, SMALL_BYTES / 2, NULL, &fs), -EUCLEAN);
    munmap(memory, SMALL_BYTES);
}

Test(badinput, format_over_dirty_memory_reads_as_zero)
{
    static uint8_t found[300000];
    struct vmfs *fs;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    uint8_t *memory = map_memory(SMALL_BYTES);
    memset(memory, 0xa5, SMALL_BYTES);
    options.flags = VMFS_CREATE | VMFS_FORCE;
    expect_ok(vmfs_attach(memory, SMALL_BYTES, &options, &fs));
    struct vmfs_file *file;
    expect_ok(vmfs_file_open(fs, "/file", VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file));
    expect_code(vmfs_file_pwrite(file, "x", 1, 1000), 1);
    expect_code(vmfs_file_pwrite(file, "x", 1, sizeof(found) - 1), 1);
    expect_code(vmfs_file_pread(file, found, sizeof(found), 0), sizeof(found));
    for (size_t i = 0; i < sizeof(found) - 1; i++)
        cr_assert(found[i] == (i == 1000 ? 'x' : 0), "byte %zu is 0x%02x", i, found[i]);
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_close(fs));
    munmap(memory, SMALL_BYTES);
}

Test(badinput, attach_read_only_needs_a_clean_journal)
{
    struct fixture fixture;
    struct vmfs *fs;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    make_unclean_region(&fixture, "attach-ro");
    uint8_t *memory = map_memory(SMALL_BYTES);
    read_whole(fixture.path, memory, SMALL_BYTES);
    options.flags = VMFS_RDONLY;
    expect_code(vmfs_attach(memory, SMALL_BYTES, &options, &fs), -EROFS);
    expect_ok(vmfs_attach(memory, SMALL_BYTES, NULL, &fs));
    struct vmfs_stat stat;
    expect_ok(vmfs_stat(fs, "/late/file", 0, &stat));
    expect_ok(vmfs_close(fs));
    expect_ok(vmfs_attach(memory, SMALL_BYTES, &options, &fs));
    expect_ok(vmfs_close(fs));
    munmap(memory, SMALL_BYTES);
    unlink(fixture.path);
}

/* -------------------------------------------------------------------- read-only stores nothing ---
 */

Test(badinput, read_only_stores_nothing)
{
    struct fixture fixture;
    struct vmfs_stat stat;
    uint8_t *after = malloc(SMALL_BYTES);
    make_unclean_region(&fixture, "rdonly");
    uint8_t *before = copy_of_file(fixture.path, SMALL_BYTES);
    expect_ok(region_open(fixture.path, VMFS_RDONLY, &fixture.log, &fixture.fs));
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    expect_ok(vmfs_info(fixture.fs, &info));
    cr_assert(info.is_read_only == 1 && info.journal_records > 0, "%llu records",
              (unsigned long long)info.journal_records);
    expect_ok(vmfs_stat(fixture.fs, "/late/file", 0, &stat));
    cr_assert(stat.size == 5000);
    uint64_t digest = region_digest(fixture.fs, "/");
    expect_ok(region_check(fixture.fs));
    expect_ok(vmfs_sync(fixture.fs));
    expect_ok(vmfs_close(fixture.fs));
    read_whole(fixture.path, after, SMALL_BYTES);
    cr_assert(memcmp(before, after, SMALL_BYTES) == 0, "a read-only handle changed the region");
    expect_ok(region_open(fixture.path, 0, &fixture.log, &fixture.fs));
    cr_assert(region_digest(fixture.fs, "/") == digest, "recovery gave another tree");
    fixture_close(&fixture);
    free(before);
    free(after);
}

/* ------------------------------------------------------------------------------- random damage ---
 */

/* Everything a caller can do with a region that may be damaged anywhere. */
static void use_damaged(struct vmfs *fs)
{
    struct vmfs_check_result result;
    struct vmfs_statfs space;
    region_digest(fs, "/");
    vmfs_check(fs, NULL, NULL, &result);
    vmfs_statfs(fs, &space);
}

static void change_damaged(struct vmfs *fs)
{
    char path[32];
    for (unsigned i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "/dir/file-%u", i);
        vmfs_unlink(fs, path);
        snprintf(path, sizeof(path), "/dir/new-%u", i);
        region_put_file(fs, path, 3000, i);
    }
    region_remove_tree(fs, "/dir");
}

/* Damages the copy in `file` at places that hold something, as the seed says. */
static void damage(const char *path, const uint8_t *clean, uint64_t seed_value)
{
    struct seed seed;
    seed_init(&seed, seed_value);
    patch_file(path, 0, clean, SMALL_BYTES);
    uint64_t count = 1 + seed_below(&seed, 4);
    while (count > 0) {
        uint64_t offset = seed_below(&seed, SMALL_BYTES - 16) & ~(uint64_t)7;
        uint64_t word;
        memcpy(&word, clean + offset, sizeof(word));
        if (word == 0 && !seed_chance(&seed, 1))
            continue;
        uint64_t bytes = 1 + seed_below(&seed, 16);
        uint8_t noise[16];
        seed_fill(noise, sizeof(noise), seed_next(&seed));
        patch_file(path, offset, noise, bytes);
        count--;
    }
}

static int use_in_child(const char *path)
{
    alarm(30);
    struct vmfs *fs;
    if (region_open(path, VMFS_RDONLY, NULL, &fs) == 0) {
        use_damaged(fs);
        vmfs_close(fs);
    }
    return 0;
}

static int change_in_child(const char *path)
{
    alarm(30);
    struct vmfs *fs;
    if (region_open(path, 0, NULL, &fs) == 0) {
        use_damaged(fs);
        change_damaged(fs);
        vmfs_close(fs);
    }
    return 0;
}

static void expect_survival(int (*body)(const char *), const char *path, uint64_t seed_value)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(body(path));
    int status = -1;
    waitpid(pid, &status, 0);
    cr_assert(status == 0, "seed %llu: the process ended with status 0x%x (signal %d)",
              (unsigned long long)seed_value, (unsigned)status, WTERMSIG(status));
}

static void corrupt_and_use(const char *name, bool is_unclean)
{
    struct fixture fixture;
    if (is_unclean)
        make_unclean_region(&fixture, name);
    else
        make_region(&fixture, name, SMALL_BYTES);
    uint8_t *clean = copy_of_file(fixture.path, SMALL_BYTES);
    uint8_t *after = malloc(SMALL_BYTES);
    for (uint64_t i = 0; i < CORRUPTIONS / 2; i++) {
        uint64_t seed_value = seed_mix(is_unclean ? 2 : 1, i);
        damage(fixture.path, clean, seed_value);
        uint8_t *before = copy_of_file(fixture.path, SMALL_BYTES);
        expect_survival(use_in_child, fixture.path, seed_value);
        read_whole(fixture.path, after, SMALL_BYTES);
        cr_assert(memcmp(before, after, SMALL_BYTES) == 0,
                  "seed %llu: a read-only handle changed the region",
                  (unsigned long long)seed_value);
        expect_survival(change_in_child, fixture.path, seed_value);
        free(before);
    }
    free(clean);
    free(after);
    unlink(fixture.path);
}

Test(badinput, random_damage_of_a_clean_region)
{
    corrupt_and_use("damage", false);
}

Test(badinput, random_damage_of_an_unclean_region)
{
    corrupt_and_use("damage-unclean", true);
}

Test(badinput, damage_makes_the_handle_read_only)
{
    struct fixture fixture;
    static uint8_t whole[SMALL_BYTES];
    struct vmfs_info info = {.struct_bytes = sizeof(info)};
    make_region(&fixture, "poison", SMALL_BYTES);
    read_whole(fixture.path, whole, sizeof(whole));
    uint8_t *name = memmem(whole, sizeof(whole), "file-17", 7);
    cr_assert(name != NULL, "no name on the medium");
    patch_file(fixture.path, (uint64_t)(name - whole), "FILE", 4);
    expect_ok(region_open(fixture.path, 0, &fixture.log, &fixture.fs));
    region_digest(fixture.fs, "/");
    struct vmfs_check_result result;
    expect_ok(vmfs_check(fixture.fs, NULL, NULL, &result));
    cr_assert(result.problems > 0, "the damage was not found");
    expect_ok(vmfs_info(fixture.fs, &info));
    cr_assert(info.is_read_only == 1, "the handle is not read-only");
    expect_code(vmfs_mkdir(fixture.fs, "/new", 0755), -EROFS);
    vmfs_close(fixture.fs);
    unlink(fixture.path);
}
