/* test_guard.c -- a region that loses its backing while it is open (VMFS_GUARD)
 *
 * With threads: guard_stress.c. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "seed.h"

#define REGION_BYTES (32 * REGION_MIB)
#define FILES        12
#define FILE_BYTES   ((size_t)2 << 20)
#define PIECE_BYTES  4096u
#define PIECES       (FILE_BYTES / PIECE_BYTES)

static struct fixture at;

/* Where a truncation is to happen: see pmem_is_pmem() below. */
static const char *cut_path;
static off_t cut_bytes;

/* The library asks libpmem about a mapping just after it has made it: the instant for a file to be cut
 * off behind its back. */
int pmem_is_pmem(const void *address, size_t len_bytes);
int pmem_is_pmem(const void *address, size_t len_bytes)
{
    (void)address;
    (void)len_bytes;
    if (cut_path)
        cr_assert_eq(truncate(cut_path, cut_bytes), 0);
    return 1;
}

static void file_name(char path[32], unsigned number)
{
    snprintf(path, 32, "/file-%u", number);
}

static int open_guarded(const char *path, uint32_t flags, struct vmfs **out)
{
    return region_open(path, flags | VMFS_GUARD, &at.log, out);
}

/* A region of files whose bytes their places decide, closed and opened again under guard. */
static void setup(void)
{
    char path[32];
    signal(SIGBUS, SIG_DFL); /* a sanitizer has a handler of its own */
    fixture_open(&at, "guard", REGION_BYTES);
    for (unsigned number = 0; number < FILES; number++) {
        file_name(path, number);
        expect_ok(region_put_file(at.fs, path, FILE_BYTES, number));
    }
    expect_ok(vmfs_close(at.fs));
    expect_ok(open_guarded(at.path, 0, &at.fs));
}

static void teardown(void)
{
    unlink(at.path);
}

static void cut(off_t bytes)
{
    cr_assert_eq(truncate(at.path, bytes), 0);
}

static const uint8_t *expected_bytes(unsigned number)
{
    static uint8_t bytes[FILES][FILE_BYTES];
    static bool is_made[FILES];
    if (!is_made[number])
        seed_fill(bytes[number], FILE_BYTES, number);
    is_made[number] = true;
    return bytes[number];
}

struct tally {
    unsigned good;
    unsigned lost;
};

/* Each piece is what it was, or lost. */
static void read_piece(struct vmfs_file *file, unsigned number, size_t piece, struct tally *tally)
{
    uint8_t bytes[PIECE_BYTES];
    int64_t got = vmfs_file_pread(file, bytes, sizeof bytes, piece * PIECE_BYTES);
    if (got == -EIO) {
        tally->lost++;
        return;
    }
    cr_assert_eq(got, PIECE_BYTES, "read of file %u returned %lld", number, (long long)got);
    cr_assert_eq(memcmp(bytes, expected_bytes(number) + piece * PIECE_BYTES, sizeof bytes), 0,
                 "piece %zu of file %u was read wrong", piece, number);
    tally->good++;
}

static struct tally read_all(struct vmfs *fs)
{
    struct tally tally = {0, 0};
    char path[32];
    for (unsigned number = 0; number < FILES; number++) {
        struct vmfs_file *file;
        file_name(path, number);
        int err = vmfs_file_open(fs, path, VMFS_O_RDONLY, 0, &file);
        if (err == -EIO) {
            tally.lost += PIECES;
            continue;
        }
        expect_ok(err);
        for (size_t piece = 0; piece < PIECES; piece += 8)
            read_piece(file, number, piece, &tally);
        expect_ok(vmfs_file_close(file));
    }
    return tally;
}

static uint8_t *file_bytes(size_t len_bytes)
{
    uint8_t *bytes = malloc(len_bytes);
    int fd = open(at.path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(pread(fd, bytes, len_bytes, 0), (ssize_t)len_bytes);
    close(fd);
    return bytes;
}

static bool is_ours(void)
{
    struct sigaction action;
    sigaction(SIGBUS, NULL, &action);
    return action.sa_handler != SIG_DFL;
}

TestSuite(guard, .init = setup, .fini = teardown, .timeout = 120);

/* Half of the region goes: what is left reads on, the rest is an error each time, and nothing changes. */
Test(guard, truncated)
{
    struct vmfs_info info = {.struct_bytes = sizeof info};
    cr_assert_eq(read_all(at.fs).lost, 0);
    cut(REGION_BYTES / 2);
    struct tally first = read_all(at.fs);
    cr_assert_gt(first.good, 0);
    cr_assert_gt(first.lost, 0);
    struct tally second = read_all(at.fs);
    cr_assert_eq(second.good, first.good);
    cr_assert_eq(second.lost, first.lost);
    cr_assert_eq(at.log.reason, VMFS_R_BACKING_LOST);
    expect_code(vmfs_mknod(at.fs, "/new", 0644, 0), -EROFS);
    expect_code(vmfs_unlink(at.fs, "/file-0"), -EROFS);
    expect_code(vmfs_sync(at.fs), -EIO);
    expect_ok(vmfs_info(at.fs, &info));
    cr_assert_eq(info.is_read_only, 1);
    expect_code(vmfs_close(at.fs), -EIO);
    cr_assert(!is_ours());
}

/* A reader is not told at its close: it had nothing to make durable. */
Test(guard, truncated_reader)
{
    expect_ok(vmfs_close(at.fs));
    expect_ok(open_guarded(at.path, VMFS_RDONLY, &at.fs));
    cut(REGION_BYTES / 2);
    struct tally tally = read_all(at.fs);
    cr_assert_gt(tally.good, 0);
    cr_assert_gt(tally.lost, 0);
    expect_ok(vmfs_close(at.fs));
}

/* The same, and more pages at once than the guard keeps zeros for, through a mapping that cannot be stored
 * to. */
Test(guard, truncated_peek)
{
    static uint8_t bytes[FILE_BYTES];
    char path[32];
    struct vmfs_file *file;
    expect_ok(vmfs_close(at.fs));
    expect_ok(open_guarded(at.path, VMFS_RDONLY | VMFS_PEEK, &at.fs));
    file_name(path, FILES - 1);
    expect_ok(vmfs_file_open(at.fs, path, VMFS_O_RDONLY, 0, &file));
    cut(REGION_BYTES / 2);
    expect_code(vmfs_file_pread(file, bytes, sizeof bytes, 0), -EIO);
    expect_ok(vmfs_file_close(file));
    struct tally tally = read_all(at.fs);
    cr_assert(tally.lost > 0 && tally.good > 0, "%u lost, %u good", tally.lost, tally.good);
    expect_ok(vmfs_close(at.fs));
}

/* More pages are lost at once than the guard keeps zeros for. */
Test(guard, long_read)
{
    static uint8_t bytes[FILE_BYTES];
    struct vmfs_file *file = fixture_file(&at, "/file-11", VMFS_O_RDONLY);
    struct vmfs_stat stat = fixture_stat(&at, "/file-0");
    cut(REGION_BYTES / 4);
    expect_code(vmfs_file_pread(file, bytes, sizeof bytes, 0), -EIO);
    for (size_t piece = 0; piece < PIECES; piece += 16)
        expect_code(vmfs_file_pread(file, bytes, PIECE_BYTES, piece * PIECE_BYTES), -EIO);
    struct vmfs_stat again = fixture_stat(&at, "/file-0");
    cr_assert_eq(memcmp(&stat, &again, sizeof stat), 0);
    expect_ok(vmfs_file_close(file));
    expect_code(vmfs_close(at.fs), -EIO);
}

/* A write that goes to a lost page is not followed by a record (G2), nor by a checkpoint: but for the
 * owner's line nothing that is left of the file changes any more. */
Test(guard, nothing_is_committed)
{
    static const char text[PIECE_BYTES] = "new";
    struct vmfs_file *file = fixture_file(&at, "/file-11", VMFS_O_RDWR);
    expect_ok(vmfs_chmod(at.fs, "/file-0", 0600)); /* something for a checkpoint to do */
    usleep(20000); /* the clock goes on: the write has a time to record */
    off_t left = REGION_BYTES / 2;
    cut(left);
    uint8_t *before = file_bytes((size_t)left);
    expect_code(vmfs_file_pwrite(file, text, sizeof text, FILE_BYTES - PIECE_BYTES), -EIO);
    expect_code(vmfs_file_pwrite(file, text, sizeof text, 0), -EROFS);
    uint8_t *after = file_bytes((size_t)left);
    cr_assert_eq(memcmp(before, after, (size_t)left), 0);
    free(after);
    expect_ok(vmfs_file_close(file));
    expect_code(vmfs_close(at.fs), -EIO);
    after = file_bytes((size_t)left);
    size_t pages = 0;
    for (size_t page = 0; page < (size_t)left / PIECE_BYTES; page++)
        pages += memcmp(before + page * PIECE_BYTES, after + page * PIECE_BYTES, PIECE_BYTES) != 0;
    cr_assert_leq(pages, 1);
    free(before);
    free(after);
    struct stat st;
    cr_assert_eq(stat(at.path, &st), 0);
    cr_assert_eq(st.st_size, left);
}

/* Taking blocks backs them with memory first, which must not grow the file again over what it lost. */
Test(guard, growing_does_not_heal)
{
    static const char text[PIECE_BYTES] = "new";
    struct vmfs_file *file = fixture_file(&at, "/new", VMFS_O_RDWR | VMFS_O_CREAT);
    off_t left = REGION_BYTES / 2;
    cut(left);
    int64_t written = 0;
    for (uint64_t piece = 0; piece < PIECES && written >= 0; piece++)
        written = vmfs_file_pwrite(file, text, sizeof text, piece * PIECE_BYTES * 4);
    cr_assert(written == -EIO || written == -EROFS || written == -ENOSPC, "%lld",
              (long long)written);
    struct stat st;
    cr_assert_eq(stat(at.path, &st), 0);
    cr_assert_eq(st.st_size, left);
    expect_ok(vmfs_file_close(file));
    vmfs_close(at.fs);
}

/* The first touch of what is lost is made by vmfs_close(). */
Test(guard, close_meets_the_loss)
{
    expect_ok(vmfs_chmod(at.fs, "/file-0", 0600));
    cut(0);
    expect_code(vmfs_close(at.fs), -EIO);
    cr_assert(!is_ours());
}

/* A file that was made for a region, and has become none, is removed again. */
Test(guard, failed_format_leaves_no_file)
{
    struct vmfs *fs;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_CREATE | VMFS_GUARD;
    options.region_bytes = REGION_BYTES;
    expect_ok(vmfs_close(at.fs));
    unlink(at.path);
    cut_path = at.path;
    cut_bytes = 1 << 16;
    expect_code(vmfs_open(at.path, &options, &fs), -EIO);
    cut_path = NULL;
    cr_assert(access(at.path, F_OK) != 0, "the file is still there");
}

/* What is lost is not damage that could be mended: nothing is cut off, and the handle stays read-only. */
Test(guard, repair_refuses_a_loss)
{
    struct vmfs_check_result result;
    struct vmfs_info info = {.struct_bytes = sizeof info};
    cut(REGION_BYTES / 2);
    cr_assert(read_all(at.fs).lost > 0);
    expect_code(vmfs_repair(at.fs, NULL, NULL, &result), -EIO);
    expect_ok(vmfs_info(at.fs, &info));
    cr_assert_eq(info.is_read_only, 1);
    expect_code(vmfs_close(at.fs), -EIO);
}

/* The file is cut off between its mapping and the first look at it, at each of many places. */
Test(guard, open_meets_the_loss)
{
    struct vmfs *fs;
    expect_ok(vmfs_close(at.fs));
    uint8_t *whole = file_bytes(REGION_BYTES);
    static const off_t sizes[] = {0, 4096, 8192, 16384, 65536, 1 << 20, 2 << 20};
    for (unsigned turn = 0; turn < 2 * sizeof sizes / sizeof *sizes; turn++) {
        cut_path = at.path;
        cut_bytes = sizes[turn / 2];
        int err = open_guarded(at.path, turn % 2 ? VMFS_RDONLY : 0, &fs);
        cut_path = NULL;
        cr_assert(err == -EIO || (err == 0 && cut_bytes >= 65536),
                  "cut to %lld bytes, flags %u: open returned %d", (long long)cut_bytes, turn % 2,
                  err);
        if (err == 0)
            vmfs_close(fs);
        cr_assert(!is_ours());
        int fd = open(at.path, O_WRONLY | O_CLOEXEC);
        cr_assert_eq(pwrite(fd, whole, REGION_BYTES, 0), (ssize_t)REGION_BYTES);
        close(fd);
    }
    expect_ok(open_guarded(at.path, 0, &fs));
    expect_ok(region_check(fs));
    expect_ok(vmfs_close(fs));
    free(whole);
}

/* ---- what is not ours ---- */

/* Runs `body` in a child and returns what waitpid() says of it. */
static int status_of(void (*body)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}

static volatile uint8_t *lost_page(void)
{
    char path[REGION_PATH_MAX];
    region_path(path, "foreign");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (ftruncate(fd, 4096) != 0)
        _exit(3);
    volatile uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ftruncate(fd, 0) != 0)
        _exit(3);
    unlink(path);
    return page;
}

static void open_for_child(void)
{
    if (open_guarded(at.path, VMFS_RDONLY, &at.fs) != 0)
        _exit(2);
}

static void touch_foreign(void)
{
    open_for_child();
    (void)*lost_page();
}

static void send_signal(void)
{
    open_for_child();
    raise(SIGBUS);
}

static void touch_unguarded(void)
{
    if (region_open(at.path, VMFS_RDONLY, NULL, &at.fs) != 0)
        _exit(2);
    if (truncate(at.path, REGION_BYTES / 2) != 0)
        _exit(3);
    struct tally tally = {0, 0};
    struct vmfs_file *file;
    for (unsigned number = 0; number < FILES; number++) {
        char path[32];
        file_name(path, number);
        if (vmfs_file_open(at.fs, path, VMFS_O_RDONLY, 0, &file) == 0)
            read_piece(file, number, PIECES - 1, &tally);
    }
}

static void expect_bus_death(void (*body)(void))
{
    int status = status_of(body);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status %#x", (unsigned)status);
}

Test(guard, foreign_faults_kill)
{
    expect_ok(vmfs_close(at.fs));
    expect_bus_death(touch_foreign);
    expect_bus_death(send_signal);
    expect_bus_death(touch_unguarded);
}

static void ignore_sent_signal(void)
{
    signal(SIGBUS, SIG_IGN);
    open_for_child();
    raise(SIGBUS);
    _exit(7);
}

Test(guard, ignored_signal_stays_ignored)
{
    expect_ok(vmfs_close(at.fs));
    int status = status_of(ignore_sent_signal);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %#x", (unsigned)status);
}

static sigjmp_buf escape;
static void *volatile seen_address;
static volatile int seen_count;

static void own_handler(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    seen_address = info->si_addr;
    seen_count++;
    siglongjmp(escape, 1);
}

/* A handler that was there before gets what is not ours, and only that, and is there again after. */
Test(guard, earlier_handler_is_kept)
{
    struct sigaction own = {.sa_sigaction = own_handler, .sa_flags = SA_SIGINFO};
    struct sigaction now;
    expect_ok(vmfs_close(at.fs));
    sigaction(SIGBUS, &own, NULL);
    expect_ok(open_guarded(at.path, 0, &at.fs));
    volatile uint8_t *page = lost_page();
    for (int turn = 1; turn <= 2; turn++) {
        if (sigsetjmp(escape, 1) == 0)
            (void)*page;
        cr_assert_eq(seen_count, turn);
        cr_assert_eq(seen_address, (void *)(uintptr_t)page);
    }
    cut(REGION_BYTES / 2);
    cr_assert_gt(read_all(at.fs).lost, 0);
    cr_assert_eq(seen_count, 2);
    expect_code(vmfs_close(at.fs), -EIO);
    sigaction(SIGBUS, NULL, &now);
    cr_assert_eq(now.sa_sigaction, own_handler);
    signal(SIGBUS, SIG_DFL);
}

/* ---- several handles ---- */

Test(guard, two_regions)
{
    struct fixture other = at;
    fixture_open(&at, "guard-second", 4 * REGION_MIB);
    expect_ok(vmfs_close(at.fs));
    expect_ok(open_guarded(at.path, 0, &at.fs));
    cr_assert_eq(truncate(other.path, REGION_BYTES / 2), 0);
    cr_assert_gt(read_all(other.fs).lost, 0);
    expect_ok(vmfs_mknod(at.fs, "/new", 0644, 0)); /* the other one is as it was */
    expect_code(vmfs_close(other.fs), -EIO);
    cr_assert(is_ours());
    cut(0);
    expect_code(vmfs_close(at.fs), -EIO);
    cr_assert(!is_ours());
    unlink(other.path);
}

Test(guard, forked_child_closes)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct vmfs_stat stat;
        bool is_good = vmfs_stat(at.fs, "/file-0", 0, &stat) == -ESTALE && vmfs_close(at.fs) == 0 &&
                       !is_ours();
        _exit(is_good ? 0 : 1);
    }
    int status = 1;
    waitpid(pid, &status, 0);
    cr_assert_eq(status, 0);
    cut(REGION_BYTES / 2);
    cr_assert_gt(read_all(at.fs).lost, 0);
    expect_code(vmfs_close(at.fs), -EIO);
}

Test(guard, only_by_path_and_in_a_file)
{
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    struct vmfs *fs;
    options.flags = VMFS_CREATE | VMFS_GUARD;
    void *memory =
        mmap(NULL, REGION_MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect_code(vmfs_attach(memory, REGION_MIB, &options, &fs), -EINVAL);
    expect_code(open_guarded("/dev/zero", 0, &fs), -EOPNOTSUPP);
    cr_assert_eq(at.log.reason, VMFS_R_GUARD_PLACE);
    expect_ok(vmfs_close(at.fs));
}
