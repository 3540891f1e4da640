/* peek_test.c -- looking at a region while another process writes to it
 *
 * peek_test [--rounds N] [--seed S]
 *
 * A child creates, writes, renames and removes as fast as it can; the parent opens the same region with
 * VMFS_PEEK again and again and looks at all of it. Errors are allowed, as what is half changed looks
 * damaged; a crash, a hang or a store is not. In the end the child is killed, and peeking at what it
 * left must not change a byte. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "look.h"
#include "region.h"
#include "seed.h"

#define REGION_BYTES (24 * REGION_MIB)

static void write_once(struct vmfs *fs, struct seed *seed)
{
    static uint8_t bytes[60000];
    char path[64];
    char other[64];
    struct vmfs_file *file;
    snprintf(path, sizeof path, "/d%u/f%u", (unsigned)seed_below(seed, 4),
             (unsigned)seed_below(seed, 60));
    snprintf(other, sizeof other, "/d%u/f%u", (unsigned)seed_below(seed, 4),
             (unsigned)seed_below(seed, 60));
    if (seed_chance(seed, 20))
        vmfs_unlink(fs, path);
    if (seed_chance(seed, 20))
        vmfs_rename(fs, path, other, 0);
    if (seed_chance(seed, 20))
        vmfs_xattr_set(fs, path, 0, "user.a", bytes, seed_below(seed, 9000));
    if (vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_RDWR, 0644, &file) != 0)
        return;
    seed_fill(bytes, sizeof bytes, seed_next(seed));
    for (unsigned piece = 0; piece < 4; piece++)
        vmfs_file_pwrite(file, bytes, seed_below(seed, sizeof bytes), seed_below(seed, 1 << 20));
    if (seed_chance(seed, 30))
        vmfs_file_truncate(file, seed_below(seed, 200000));
    vmfs_file_close(file);
}

static void write_forever(const char *path, uint64_t value)
{
    struct seed seed;
    struct vmfs *fs;
    char dir[16];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    seed_init(&seed, value);
    if (region_open(path, 0, NULL, &fs) != 0)
        _exit(3);
    for (unsigned index = 0; index < 4; index++) {
        snprintf(dir, sizeof dir, "/d%u", index);
        vmfs_mkdir(fs, dir, 0755);
    }
    for (;;)
        write_once(fs, &seed);
}

/* Bytes of the file, to see whether one was stored. */
static uint64_t file_digest(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t digest = 0;
    uint64_t words[512];
    while (read(fd, words, sizeof words) == (ssize_t)sizeof words)
        for (unsigned index = 0; index < 512; index++)
            digest = seed_mix(digest, words[index]);
    close(fd);
    return digest;
}

static int peek(const char *path, struct look *look)
{
    struct vmfs *fs;
    alarm(60); /* a hang ends the test */
    int err = region_open(path, VMFS_RDONLY | VMFS_PEEK, NULL, &fs);
    if (err)
        return err;
    bool is_covered = look_at(fs, look);
    vmfs_close(fs);
    alarm(0);
    return is_covered ? 0 : -EBADMSG;
}

static int fail(const char *text, int64_t number)
{
    printf("peek_test: %s: %lld\n", text, (long long)number);
    return 1;
}

static int peek_many(const char *path, pid_t child, unsigned rounds)
{
    unsigned opened = 0;
    struct look look = {.calls = 0};
    for (unsigned round = 0; round < rounds; round++) {
        int err = peek(path, &look);
        if (err == -EBADMSG)
            return fail("the map left a gap in round", round);
        if (err != 0 && err != -EUCLEAN)
            return fail("opening failed", err);
        opened += err == 0;
        if (waitpid(child, NULL, WNOHANG) != 0)
            return fail("the writer died in round", round);
    }
    printf("%u of %u peeks opened; %llu calls, %llu errors, %llu names, %llu problems\n", opened,
           rounds, (unsigned long long)look.calls, (unsigned long long)look.errors,
           (unsigned long long)look.names, (unsigned long long)look.problems);
    if (opened < rounds / 2 || look.names < rounds || look.errors > look.calls / 2)
        return fail("hardly anything was seen", opened);
    return 0;
}

static int test_at(const char *path, unsigned rounds, uint64_t seed)
{
    struct vmfs *fs;
    struct look look = {.calls = 0};
    if (region_format(path, REGION_BYTES, NULL, &fs) != 0 || vmfs_close(fs) != 0)
        return fail("format", 0);
    pid_t child = fork();
    if (child == 0)
        write_forever(path, seed);
    usleep(100000);
    int status = peek_many(path, child, rounds);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    uint64_t before = file_digest(path);
    for (unsigned round = 0; status == 0 && round < 10; round++)
        if (peek(path, &look) != 0)
            status = fail("what the writer left cannot be seen, round", round);
    if (status == 0 && file_digest(path) != before)
        status = fail("peeking stored something", 0);
    if (status == 0 && (region_open(path, 0, NULL, &fs) != 0 || region_check(fs) != 0))
        status = fail("the region did not survive", 0);
    else if (status == 0)
        vmfs_close(fs);
    return status;
}

int main(int argc, char **argv)
{
    unsigned rounds = 200;
    uint64_t seed = seed_from_clock();
    char path[REGION_PATH_MAX];
    for (int index = 1; index + 1 < argc; index += 2) {
        if (strcmp(argv[index], "--rounds") == 0)
            rounds = (unsigned)strtoul(argv[index + 1], NULL, 10);
        if (strcmp(argv[index], "--seed") == 0)
            seed = strtoull(argv[index + 1], NULL, 0);
    }
    printf("peek_test --rounds %u --seed %llu\n", rounds, (unsigned long long)seed);
    fflush(stdout);
    region_path(path, "peek");
    int status = test_at(path, rounds, seed);
    unlink(path);
    return status;
}
