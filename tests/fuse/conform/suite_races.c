/* suite_races.c -- processes at once: of those that want the same only one gets it, and all that is
 * written is there */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"

#define RACERS  4
#define ROUNDS  (options.is_long ? 500u : 60u)
#define APPENDS (options.is_long ? 2000u : 200u)

/* Where they wait for each other, in shared memory. */
struct track {
    unsigned ready;
    unsigned go;
    unsigned wins[2000];
    unsigned strange;
};

static struct track *track;

static bool track_new(void)
{
    track = mmap(NULL, sizeof(*track), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return track != MAP_FAILED;
}

static void wait_for(const unsigned *counter, unsigned value)
{
    while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < value)
        usleep(20);
}

/* Runs `race` in all racers, round by round: they start each round together. */
static void run_race(int (*race)(unsigned racer, unsigned round), int loses)
{
    pid_t pids[RACERS];
    for (unsigned racer = 0; racer < RACERS; racer++) {
        pids[racer] = fork();
        if (pids[racer] == 0) {
            for (unsigned round = 0; round < ROUNDS; round++) {
                __atomic_add_fetch(&track->ready, 1, __ATOMIC_ACQ_REL);
                wait_for(&track->ready, RACERS * (round + 1));
                int result = race(racer, round);
                if (result == 0)
                    __atomic_add_fetch(&track->wins[round], 1, __ATOMIC_ACQ_REL);
                else if (result != loses)
                    __atomic_add_fetch(&track->strange, 1, __ATOMIC_ACQ_REL);
            }
            _exit(0);
        }
    }
    for (unsigned racer = 0; racer < RACERS; racer++)
        waitpid(pids[racer], NULL, 0);
}

static int race_create(unsigned racer, unsigned round)
{
    (void)racer;
    int fd = open(atf("%u", round), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    int result = fd < 0 ? errno : 0;
    close(fd);
    return result;
}

static int race_mkdir(unsigned racer, unsigned round)
{
    (void)racer;
    return mkdir(atf("%u", round), 0755) ? errno : 0;
}

static int race_symlink(unsigned racer, unsigned round)
{
    (void)racer;
    return symlink("target", atf("%u", round)) ? errno : 0;
}

static int race_link(unsigned racer, unsigned round)
{
    (void)racer;
    return link(at("source"), atf("%u", round)) ? errno : 0;
}

static int race_mknod(unsigned racer, unsigned round)
{
    (void)racer;
    return mknod(atf("%u", round), S_IFIFO | 0644, 0) ? errno : 0;
}

static int race_unlink(unsigned racer, unsigned round)
{
    (void)racer;
    return unlink(atf("f%u", round)) ? errno : 0;
}

static int race_rmdir(unsigned racer, unsigned round)
{
    (void)racer;
    return rmdir(atf("d%u", round)) ? errno : 0;
}

static int race_rename_from(unsigned racer, unsigned round)
{
    return rename(atf("f%u", round), atf("to%u.%u", round, racer)) ? errno : 0;
}

static int race_noreplace(unsigned racer, unsigned round)
{
    return renameat2(AT_FDCWD, atf("own%u.%u", racer, round), AT_FDCWD, atf("to%u", round),
                     RENAME_NOREPLACE)
               ? errno
               : 0;
}

static const struct {
    const char *name;
    int (*race)(unsigned, unsigned);
    int loses;
} races[] = {
    {"open(O_CREAT|O_EXCL)", race_create, EEXIST},
    {"mkdir", race_mkdir, EEXIST},
    {"symlink", race_symlink, EEXIST},
    {"link", race_link, EEXIST},
    {"mknod", race_mknod, EEXIST},
    {"unlink", race_unlink, ENOENT},
    {"rmdir", race_rmdir, ENOENT},
    {"rename of one name", race_rename_from, ENOENT},
    {"rename(RENAME_NOREPLACE)", race_noreplace, EEXIST},
};

static void prepare_race(int (*race)(unsigned, unsigned))
{
    make(at("source"), K_FILE, ROOTS(0644));
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (race == race_unlink || race == race_rename_from)
            make(atf("f%u", round), K_FILE, ROOTS(0644));
        if (race == race_rmdir)
            make(atf("d%u", round), K_DIR, ROOTS(0755));
        for (unsigned racer = 0; racer < RACERS && race == race_noreplace; racer++)
            make(atf("own%u.%u", racer, round), K_FILE, ROOTS(0644));
    }
}

static void assert_race(size_t i)
{
    if (!begin(races[i].name, "four processes at once", ROOT))
        return;
    if (track_new()) {
        prepare_race(races[i].race);
        run_race(races[i].race, races[i].loses);
        unsigned wrong = 0;
        for (unsigned round = 0; round < ROUNDS; round++)
            wrong += track->wins[round] != 1;
        want_equal("rounds in which not one alone has won", wrong, 0);
        want_equal("losers who got another errno", track->strange, 0);
        if (races[i].race == race_link)
            want_equal("links of the source", look(at("source")).nlink, 1 + ROUNDS);
        munmap(track, sizeof(*track));
    }
    end();
}

/* ---- appends ---- */

static int append_lines(unsigned racer)
{
    char line[64];
    int fd = open(at("log"), O_WRONLY | O_APPEND | O_CLOEXEC);
    for (unsigned i = 0; i < APPENDS; i++) {
        memset(line, 'a' + (int)racer, sizeof(line));
        int used = snprintf(line, sizeof(line), "%u %u", racer, i);
        line[used] = ' ';
        line[sizeof(line) - 1] = '\n';
        if (write(fd, line, sizeof(line)) != (ssize_t)sizeof(line))
            return 1;
    }
    return 0;
}

static void assert_append(void)
{
    if (!begin("write(O_APPEND)", "four processes at once", ROOT))
        return;
    make(at("log"), K_FILE, ROOTS(0644));
    pid_t pids[RACERS];
    for (unsigned racer = 0; racer < RACERS; racer++) {
        pids[racer] = fork();
        if (pids[racer] == 0)
            _exit(append_lines(racer));
    }
    for (unsigned racer = 0; racer < RACERS; racer++)
        waitpid(pids[racer], NULL, 0);
    want_equal("the size", (long long)look(at("log")).size, 64LL * RACERS * APPENDS);
    unsigned next[RACERS] = {0};
    unsigned wrong = 0;
    FILE *file = fopen(at("log"), "r");
    char line[100];
    while (file && fgets(line, sizeof(line), file)) {
        unsigned racer = RACERS;
        unsigned number = 0;
        bool is_line = sscanf(line, "%u %u", &racer, &number) == 2 && racer < RACERS;
        wrong += !is_line || strlen(line) != 64 || number != next[racer]++;
    }
    if (file)
        fclose(file);
    want_equal("lines that are torn or out of turn", wrong, 0);
    end();
}

/* ---- a name that is replaced is always there ---- */

static int replace_it(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        make_bytes(at("new"), "12345678", 8);
        if (rename(at("new"), at("x")))
            return 1;
    }
    return 0;
}

static void assert_always_there(void)
{
    if (!begin("rename", "onto a name that another process opens all the time", ROOT))
        return;
    make_bytes(at("x"), "12345678", 8);
    pid_t pid = fork();
    if (pid == 0)
        _exit(replace_it(ROUNDS * 10));
    unsigned missing = 0;
    unsigned torn = 0;
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        char bytes[10];
        int fd = open(at("x"), O_RDONLY | O_CLOEXEC);
        missing += fd < 0;
        torn += fd >= 0 && read(fd, bytes, sizeof(bytes)) != 8;
        if (fd >= 0)
            close(fd);
    }
    want_equal("times that it was not there", missing, 0);
    want_equal("times that it was not whole", torn, 0);
    end();
}

/* ---- moves against each other never make a circle ---- */

static int move_back_and_forth(unsigned which)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        const char *mine = which ? "b" : "a";
        const char *theirs = which ? "a/b" : "b/a";
        rename(at(mine), at(theirs));
        rename(at(theirs), at(mine));
    }
    return 0;
}

static void assert_no_circle(void)
{
    if (!begin("rename", "two directories into each other at once", ROOT))
        return;
    make(at("a"), K_DIR, ROOTS(0755));
    make(at("b"), K_DIR, ROOTS(0755));
    pid_t pids[2];
    for (unsigned i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(move_back_and_forth(i));
    }
    for (unsigned i = 0; i < 2; i++)
        waitpid(pids[i], NULL, 0);
    want("both are there", (look(at("a")).is_there || look(at("b/a")).is_there) &&
                               (look(at("b")).is_there || look(at("a/b")).is_there));
    end();
}

void suite_races(void)
{
    for (size_t i = 0; i < COUNT(races); i++)
        assert_race(i);
    assert_append();
    assert_always_there();
    assert_no_circle();
}
