/* test_power.c -- VMFS_DURABILITY_POWER on plain files and block devices: each fence is a round of msync
 *
 * pmem_is_pmem(), msync(), fsync(), fallocate() and posix_fadvise() of this program take the place of the
 * system's. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

#define REGION_BYTES (64 * REGION_MIB)

static bool is_pmem;
int pmem_is_pmem(const void *address, size_t length);
int pmem_is_pmem(const void *address, size_t length)
{
    (void)address;
    (void)length;
    return is_pmem;
}

static _Atomic uint64_t calls;
static _Atomic uint64_t pages;
static _Atomic uint64_t fail_at; /* the call that fails, counted as `calls`; UINT64_MAX: none */
static long delay_ns;

int msync(void *address, size_t length, int flags)
{
    atomic_fetch_add(&pages, length / 4096);
    if (atomic_fetch_add(&calls, 1) >= atomic_load(&fail_at)) {
        errno = EIO;
        return -1;
    }
    if (delay_ns)
        nanosleep(&(struct timespec){.tv_nsec = delay_ns}, NULL);
    return (int)syscall(SYS_msync, address, length, flags);
}

static unsigned forgotten;

int posix_fadvise(int fd, off_t offset, off_t length, int advice)
{
    forgotten += advice == POSIX_FADV_DONTNEED;
    return (int)syscall(SYS_fadvise64, fd, offset, length, advice);
}

static unsigned synced_files;
static unsigned synced_directories;
static bool is_fsync_failing;

int fsync(int fd)
{
    struct stat stat;
    if (fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode))
        synced_directories++;
    else
        synced_files++;
    errno = EIO;
    return is_fsync_failing ? -1 : (int)syscall(SYS_fsync, fd);
}

/* Every other call is interrupted by a signal, as it can be on tmpfs. */
static bool is_interrupting;
static off_t interrupted_at = -1;
static unsigned interruptions;

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    if (is_interrupting && interrupted_at != offset) {
        cr_assert_eq(interrupted_at, -1, "what was interrupted is not asked for again");
        interrupted_at = offset;
        interruptions++;
        errno = EINTR;
        return -1;
    }
    interrupted_at = -1;
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

static struct fixture at;

static void setup(void)
{
    atomic_store(&fail_at, UINT64_MAX);
    setenv("VMFS_TEST_DURABILITY", "power", 1);
    fixture_open(&at, "power", REGION_BYTES);
}

static void teardown(void)
{
    if (at.fs)
        fixture_close(&at);
    unlink(at.path);
}

TestSuite(power, .init = setup, .fini = teardown, .timeout = 120);

static struct vmfs_info info_now(struct vmfs *fs)
{
    struct vmfs_info info = {.struct_bytes = sizeof info};
    expect_ok(vmfs_info(fs, &info));
    return info;
}

Test(power, what_it_says)
{
    struct vmfs_info info = info_now(at.fs);
    cr_assert_eq(vmfs_durability(at.fs), VMFS_DURABILITY_POWER);
    cr_assert_eq(info.durability, VMFS_DURABILITY_POWER);
    cr_assert_str_eq(info.backend, "sync");
    cr_assert(strstr(info.meaning, "power: ") && strstr(info.meaning, "msync"), "%s", info.meaning);
    cr_assert(info.sync_rounds > 0 && info.sync_calls >= info.sync_rounds);
    int fd = open(at.path, O_RDONLY | O_CLOEXEC);
    cr_assert(fd >= 0);
    close(fd);
}

/* What nobody asked for costs no system call. */
Test(power, auto_is_process)
{
    unsetenv("VMFS_TEST_DURABILITY");
    fixture_reopen(&at);
    uint64_t before = atomic_load(&calls);
    expect_ok(vmfs_mkdir(at.fs, "/a", 0755));
    cr_assert_eq(vmfs_durability(at.fs), VMFS_DURABILITY_PROCESS);
    cr_assert_str_eq(info_now(at.fs).backend, "none");
    cr_assert_eq(atomic_load(&calls), before);
    is_pmem = true;
    fixture_reopen(&at);
    cr_assert_eq(vmfs_durability(at.fs), VMFS_DURABILITY_POWER);
    cr_assert_str_eq(info_now(at.fs).backend, "pmem");
    expect_ok(vmfs_mkdir(at.fs, "/b", 0755));
    cr_assert_eq(atomic_load(&calls), before);
    is_pmem = false;
}

/* A file of memory says so. */
Test(power, file_in_memory)
{
    char path[64];
    int fd = memfd_create("power", MFD_CLOEXEC);
    cr_assert(fd >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct vmfs *fs;
    expect_ok(region_format(path, 4 * REGION_MIB, NULL, &fs));
    cr_assert(strstr(info_now(fs).meaning, "in memory"), "%s", info_now(fs).meaning);
    expect_ok(vmfs_close(fs));
    close(fd);
}

/* ---- what a call costs ---- */

static struct vmfs_file *file;
static char block[8192];

static int64_t do_create(void)
{
    return vmfs_file_open(at.fs, "/d/new", VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file);
}

static int64_t do_append(void)
{
    return vmfs_file_pwrite(file, block, 4096, 4096);
}

static int64_t do_overwrite(void)
{
    return vmfs_file_pwrite(file, block, 4096, 0);
}

static int64_t do_read(void)
{
    return vmfs_file_pread(file, block, 4096, 0);
}

static int64_t do_truncate(void)
{
    return vmfs_file_truncate(file, 100);
}

static int64_t do_sync(void)
{
    return vmfs_file_sync(file);
}

static int64_t do_chmod(void)
{
    return vmfs_chmod(at.fs, "/d/f", 0600);
}

static int64_t do_xattr(void)
{
    return vmfs_xattr_set(at.fs, "/d/f", 0, "user.a", "value", 5);
}

static int64_t do_link(void)
{
    return vmfs_link(at.fs, "/d/f", "/e/g");
}

static int64_t do_rename(void)
{
    return vmfs_rename(at.fs, "/d/f", "/e/f", 0);
}

static int64_t do_replace(void)
{
    return vmfs_rename(at.fs, "/e/g", "/d/new", 0);
}

static int64_t do_mkdir(void)
{
    return vmfs_mkdir(at.fs, "/d/sub", 0755);
}

static int64_t do_rmdir(void)
{
    return vmfs_rmdir(at.fs, "/d/sub");
}

static int64_t do_symlink(void)
{
    return vmfs_symlink(at.fs, "to", "/d/link");
}

static int64_t do_unlink(void)
{
    return vmfs_unlink(at.fs, "/d/link");
}

static int64_t do_stat(void)
{
    struct vmfs_stat stat;
    return vmfs_stat(at.fs, "/e/f", 0, &stat);
}

/* Rounds are fences: one for a change, none for a look. A round takes a call for the record, and one more
 * where data lies elsewhere. */
static const struct cost {
    const char *name;
    int64_t (*run)(void);
    uint64_t rounds;
    uint64_t calls_max;
} costs[] = {
    {"create", do_create, 1, 1},       {"append 4 KiB", do_append, 1, 2},
    {"overwrite", do_overwrite, 1, 2}, {"read", do_read, 0, 0},
    {"truncate", do_truncate, 1, 1},   {"fsync", do_sync, 0, 0},
    {"chmod", do_chmod, 1, 1},         {"setxattr", do_xattr, 1, 1},
    {"link", do_link, 1, 1},           {"rename", do_rename, 1, 1},
    {"replace", do_replace, 1, 1},     {"mkdir", do_mkdir, 1, 1},
    {"rmdir", do_rmdir, 1, 1},         {"symlink", do_symlink, 1, 1},
    {"unlink", do_unlink, 1, 1},       {"stat", do_stat, 0, 0},
};

static uint64_t fences_now(void)
{
    struct vmfs_counters counters;
    expect_ok(vmfs_counters(at.fs, VMFS_COUNTERS_THREAD, &counters));
    return counters.fences;
}

Test(power, one_change_is_one_round)
{
    expect_ok(vmfs_mkdir(at.fs, "/d", 0755));
    expect_ok(vmfs_mkdir(at.fs, "/e", 0755));
    file = fixture_file(&at, "/d/f", VMFS_O_CREAT | VMFS_O_RDWR);
    expect_code(vmfs_file_pwrite(file, block, 8192, 0), 8192);
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_sync(at.fs));
    printf("%-14s %6s %6s %6s\n", "call", "fences", "rounds", "msyncs");
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
        const struct cost *cost = &costs[i];
        struct vmfs_info before = info_now(at.fs);
        uint64_t calls_before = atomic_load(&calls);
        uint64_t fences = fences_now();
        cr_assert(cost->run() >= 0, "%s", cost->name);
        struct vmfs_info after = info_now(at.fs);
        uint64_t rounds = after.sync_rounds - before.sync_rounds;
        uint64_t done = atomic_load(&calls) - calls_before;
        fences = fences_now() - fences;
        printf("%-14s %6llu %6llu %6llu\n", cost->name, (unsigned long long)fences,
               (unsigned long long)rounds, (unsigned long long)done);
        cr_assert(rounds == cost->rounds && rounds == fences, "%s: %llu rounds, %llu fences",
                  cost->name, (unsigned long long)rounds, (unsigned long long)fences);
        cr_assert(done <= cost->calls_max && done >= rounds, "%s: %llu calls", cost->name,
                  (unsigned long long)done);
        cr_assert_eq(after.sync_calls - before.sync_calls, done);
    }
    expect_ok(vmfs_file_close(file));
}

/* ---- several threads ---- */

#define THREADS 8u
#define FILES   64u

static void *run_thread(void *arg)
{
    char path[64];
    unsigned number = (unsigned)(uintptr_t)arg;
    for (unsigned i = 0; i < FILES; i++) {
        struct vmfs_file *made;
        snprintf(path, sizeof path, "/t%u/f%u", number, i);
        if (vmfs_file_open(at.fs, path, VMFS_O_CREAT | VMFS_O_WRONLY, 0644, &made) != 0 ||
            vmfs_file_pwrite(made, block, 4096, 0) != 4096 || vmfs_file_close(made) != 0)
            return arg;
    }
    return NULL;
}

/* Independent calls share rounds; with the device as slow as here, nearly all do. */
Test(power, threads_share_rounds)
{
    pthread_t threads[THREADS];
    char path[64];
    for (unsigned i = 0; i < THREADS; i++) {
        snprintf(path, sizeof path, "/t%u", i);
        expect_ok(vmfs_mkdir(at.fs, path, 0755));
    }
    struct vmfs_info before = info_now(at.fs);
    struct vmfs_counters cost;
    expect_ok(vmfs_counters(at.fs, VMFS_COUNTERS_HANDLE, &cost));
    uint64_t fences = cost.fences;
    delay_ns = 300000;
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, run_thread, (void *)i), 0);
    void *failed = NULL;
    for (unsigned i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failed = result ? result : failed;
    }
    delay_ns = 0;
    cr_assert(failed == NULL);
    expect_ok(vmfs_counters(at.fs, VMFS_COUNTERS_HANDLE, &cost));
    fences = cost.fences - fences;
    struct vmfs_info after = info_now(at.fs);
    uint64_t rounds = after.sync_rounds - before.sync_rounds;
    uint64_t done = after.sync_calls - before.sync_calls;
    printf("%u threads: %llu fences, %llu rounds, %llu msyncs\n", THREADS,
           (unsigned long long)fences, (unsigned long long)rounds, (unsigned long long)done);
    cr_assert(rounds * 3 < fences, "%llu rounds for %llu fences", (unsigned long long)rounds,
              (unsigned long long)fences);
    cr_assert(done <= rounds * 2);
}

/* ---- a device that refuses ---- */

/* Whichever call it is that fails: -EIO for the change that waited for it, nothing more is accepted, and the
 * region is sound when it is opened again, with what had returned. */
Test(power, refused_by_the_device)
{
    expect_ok(vmfs_mkdir(at.fs, "/kept", 0755));
    for (uint64_t later = 0; later < 3; later++) {
        struct vmfs_file *out;
        atomic_store(&fail_at, atomic_load(&calls) + later);
        int64_t result = 0;
        for (unsigned i = 0; i <= later && result == 0; i++) {
            char path[32];
            snprintf(path, sizeof path, "/x%llu-%u", (unsigned long long)later, i);
            result = vmfs_mkdir(at.fs, path, 0755);
            cr_assert(result == (i == later ? -EIO : 0), "%s: %lld", path, (long long)result);
        }
        atomic_store(&fail_at, UINT64_MAX);
        uint64_t asked = atomic_load(&calls);
        expect_code(vmfs_mkdir(at.fs, "/y", 0755), -EUCLEAN);
        expect_code(vmfs_file_open(at.fs, "/z", VMFS_O_CREAT | VMFS_O_WRONLY, 0644, &out), -EROFS);
        cr_assert(vmfs_sync(at.fs) < 0);
        cr_assert_eq(atomic_load(&calls), asked, "it was not asked again");
        unsigned before = forgotten;
        expect_code(vmfs_close(at.fs), -EIO);
        cr_assert_eq(forgotten, before + 1);
        cr_assert_eq(region_open(at.path, 0, &at.log, &at.fs), 0);
        expect_ok(region_check(at.fs));
        fixture_stat(&at, "/kept");
        if (later > 0)
            fixture_stat(&at, later == 1 ? "/x1-0" : "/x2-1");
        struct vmfs_stat stat;
        expect_code(vmfs_stat(at.fs, "/y", 0, &stat), -ENOENT);
    }
    unsigned before = forgotten;
    fixture_reopen(&at);
    cr_assert_eq(forgotten, before);
}

/* A checkpoint that fails at the end of a call that is durable: the call has succeeded, closing tells. */
Test(power, refused_between_calls)
{
    unsigned quiet = 0;
    for (uint64_t later = 1; later < 200 && quiet == 0; later++) {
        int64_t result = 0;
        fixture_reopen(&at);
        uint64_t failing = atomic_load(&calls) + later;
        atomic_store(&fail_at, failing);
        for (unsigned i = 0; result == 0 && atomic_load(&calls) <= failing; i++) {
            char path[32];
            snprintf(path, sizeof path, "/q%llu-%u", (unsigned long long)later, i);
            result = vmfs_mkdir(at.fs, path, 0755);
        }
        atomic_store(&fail_at, UINT64_MAX);
        quiet += result == 0;
        expect_code(vmfs_close(at.fs), -EIO);
        cr_assert_eq(region_open(at.path, 0, &at.log, &at.fs), 0);
    }
    cr_assert(quiet > 0);
}

/* At level PROCESS, too: what the system could not write it calls clean, so a second sync would succeed. */
Test(power, a_failed_sync_stays_failed)
{
    unsetenv("VMFS_TEST_DURABILITY");
    fixture_reopen(&at);
    expect_ok(vmfs_mkdir(at.fs, "/a", 0755));
    atomic_store(&fail_at, atomic_load(&calls));
    expect_code(vmfs_sync(at.fs), -EIO);
    atomic_store(&fail_at, UINT64_MAX);
    expect_code(vmfs_sync(at.fs), -EIO);
    expect_ok(vmfs_mkdir(at.fs, "/b", 0755));
    struct vmfs_file *opened = fixture_file(&at, "/c", VMFS_O_CREAT | VMFS_O_WRONLY);
    expect_code(vmfs_file_sync(opened), -EIO);
    expect_ok(vmfs_file_close(opened));
    fixture_reopen(&at);
    fixture_stat(&at, "/b");
    expect_ok(vmfs_sync(at.fs));
}

/* What lies in a file without a name is lost. */
Test(power, the_name_of_a_created_region)
{
    char path[REGION_PATH_MAX + 8];
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs *fs;
    snprintf(path, sizeof path, "%s-x", at.path);
    options.flags = VMFS_CREATE;
    options.region_bytes = 4 * REGION_MIB;
    options.durability = VMFS_DURABILITY_POWER;
    synced_files = synced_directories = 0;
    expect_ok(vmfs_open(path, &options, &fs));
    cr_assert(synced_files == 1 && synced_directories == 1);
    expect_ok(vmfs_close(fs));
    options.flags |= VMFS_FORCE;
    expect_ok(vmfs_open(path, &options, &fs));
    cr_assert(synced_files == 1 && synced_directories == 1, "it was there");
    expect_ok(vmfs_close(fs));
    unlink(path);
    is_fsync_failing = true;
    expect_code(vmfs_open(path, &options, &fs), -EIO);
    cr_assert(access(path, F_OK) != 0);
    options.durability = VMFS_DURABILITY_PROCESS;
    expect_ok(vmfs_open(path, &options, &fs));
    is_fsync_failing = false;
    expect_ok(vmfs_close(fs));
    unlink(path);
}

/* Memory that was asked for is asked for until it is there or refused. */
Test(power, backing_is_interrupted)
{
    is_interrupting = true;
    expect_ok(region_put_file(at.fs, "/file", 3 * REGION_MIB, 1));
    is_interrupting = false;
    cr_assert(interruptions > 0);
    cr_assert_eq(interrupted_at, -1);
}

/* A format that the device refuses, at whichever of its calls, leaves nothing that opens. */
Test(power, refused_while_formatting)
{
    char path[REGION_PATH_MAX + 8];
    snprintf(path, sizeof path, "%s-x", at.path);
    struct vmfs *fs;
    int result = -EIO;
    unsigned failures = 0;
    for (uint64_t later = 0; result == -EIO; later++) {
        atomic_store(&fail_at, atomic_load(&calls) + later);
        result = region_format(path, 4 * REGION_MIB, NULL, &fs);
        atomic_store(&fail_at, UINT64_MAX);
        failures += result == -EIO;
        if (result)
            cr_assert(access(path, F_OK) != 0);
    }
    expect_ok(result);
    cr_assert(failures >= 4, "%u", failures);
    expect_ok(vmfs_close(fs));
    unlink(path);
}

/* ---- block devices ---- */

#define DEVICE_BYTES (8 * REGION_MIB)

/* A loop device over the file, or -1 where the system gives none. */
static int attach_loop(int fd, char path[32])
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
    if (control >= 0)
        close(control);
    if (number < 0)
        return -1;
    snprintf(path, 32, "/dev/loop%d", number);
    int loop = open(path, O_RDWR | O_CLOEXEC);
    if (loop >= 0 && ioctl(loop, LOOP_SET_FD, fd) == 0)
        return loop;
    if (loop >= 0)
        close(loop);
    return -1;
}

/* What is all zeros at its head is taken as it is; anything else only by force. */
static void take_device(const char *path, struct vmfs_options *options)
{
    struct vmfs *fs;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    const off_t places[] = {1080, (off_t)REGION_MIB - 1};
    for (int i = 0; i < 2; i++) {
        cr_assert(pwrite(fd, "\x53", 1, places[i]) == 1);
        expect_code(vmfs_open(path, options, &fs), -EEXIST);
        cr_assert(pwrite(fd, "", 1, places[i]) == 1);
    }
    close(fd);
    expect_ok(vmfs_open(path, options, &fs));
    expect_ok(vmfs_close(fs));
    expect_code(vmfs_open(path, options, &fs), -EEXIST);
}

static void use_device(const char *path)
{
    struct vmfs *fs;
    struct vmfs *second;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_CREATE;
    options.durability = VMFS_DURABILITY_POWER;
    take_device(path, &options);
    options.flags |= VMFS_FORCE;
    options.region_bytes = DEVICE_BYTES + VMFS_BLOCK_SIZE;
    expect_code(vmfs_open(path, &options, &fs), -EINVAL);
    options.region_bytes = 0;
    expect_ok(vmfs_open(path, &options, &fs));
    struct vmfs_info info = info_now(fs);
    cr_assert_eq(info.region_bytes, DEVICE_BYTES);
    cr_assert_str_eq(info.backend, "sync");
    expect_ok(vmfs_mkdir(fs, "/on-a-device", 0755));
    expect_code(region_open(path, 0, NULL, &second), -EBUSY);
    expect_ok(vmfs_close(fs));
    expect_ok(region_open(path, 0, NULL, &fs));
    struct vmfs_stat stat;
    expect_ok(vmfs_stat(fs, "/on-a-device", 0, &stat));
    expect_ok(region_check(fs));
    expect_ok(vmfs_close(fs));
    int held = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
    cr_assert(held >= 0);
    expect_code(region_open(path, 0, NULL, &fs), -EBUSY);
    expect_ok(region_open(path, VMFS_RDONLY, NULL, &fs));
    expect_ok(vmfs_close(fs));
    close(held);
}

Test(power, block_device)
{
    char path[REGION_PATH_MAX + 8];
    char device[32];
    snprintf(path, sizeof path, "%s-disk", at.path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && ftruncate(fd, DEVICE_BYTES) == 0);
    unlink(path);
    int loop = attach_loop(fd, device);
    close(fd);
    if (loop < 0)
        cr_skip("no loop device can be had here");
    use_device(device);
    ioctl(loop, LOOP_CLR_FD, 0);
    close(loop);
}
