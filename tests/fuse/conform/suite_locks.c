/* suite_locks.c -- record locks, locks of open files and flock() between processes */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

#define PLACE  100
#define LENGTH 100

enum family { RECORD, OPEN_FILE, WHOLE, FAMILY_COUNT };
static const char *const families[FAMILY_COUNT] = {"fcntl(F_SETLK)", "fcntl(F_OFD_SETLK)", "flock"};

enum strength { READ_LOCK, WRITE_LOCK, UNLOCKED };
static const char *const strengths[] = {"a read lock", "a write lock", "no lock"};

static long lock_fd(enum family family, int fd, enum strength strength, off_t start, off_t length)
{
    static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
    static const int operations[] = {LOCK_SH, LOCK_EX, LOCK_UN};
    struct flock lock = {
        .l_type = types[strength], .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    if (family == WHOLE)
        return sys(flock(fd, operations[strength] | LOCK_NB));
    return sys(fcntl(fd, family == RECORD ? F_SETLK : F_OFD_SETLK, &lock));
}

/* Of another process: a the file, x the strength, y the start, z the family. */
static long deed_lock(struct deed *d)
{
    int fd = open(d->a, O_RDWR | O_CLOEXEC);
    long result =
        fd < 0 ? sys(fd) : lock_fd((enum family)d->z, fd, (enum strength)d->x, d->y, LENGTH);
    close(fd);
    return result;
}

static long try_lock(enum family family, enum strength strength, off_t start)
{
    agent_more((long)family);
    return as(OTHER, deed_lock, at("x"), NULL, strength, start);
}

static const struct {
    const char *name;
    off_t start;
    bool overlaps;
} places[] = {
    {"the same bytes", PLACE, true},
    {"bytes that begin before it", PLACE - 50, true},
    {"bytes that end behind it", PLACE + 50, true},
    {"its last byte and more", PLACE + LENGTH - 1, true},
    {"bytes up to it", PLACE - LENGTH, false},
    {"bytes behind it", PLACE + LENGTH, false},
};

static void assert_conflict(enum family family, enum strength held, enum strength wanted,
                            size_t place)
{
    bool conflicts = held != UNLOCKED && (held == WRITE_LOCK || wanted == WRITE_LOCK) &&
                     (family == WHOLE || places[place].overlaps);
    if (!beginf(OTHER, families[family], "%s, where %s is held, of %s", strengths[wanted],
                strengths[held], places[place].name))
        return;
    make(at("x"), K_FILE, ROOTS(0666));
    int fd = open(at("x"), O_RDWR | O_CLOEXEC);
    if (held != UNLOCKED)
        must(lock_fd(family, fd, held, PLACE, LENGTH), "a lock");
    want_result(try_lock(family, wanted, places[place].start), conflicts ? EAGAIN : 0);
    must(lock_fd(family, fd, UNLOCKED, PLACE, LENGTH), "an unlock");
    want("it is free when it is given back", try_lock(family, wanted, places[place].start) == 0);
    close(fd);
    end();
}

static void assert_closed(enum family family)
{
    if (!beginf(OTHER, families[family], "a lock whose descriptor is closed"))
        return;
    make(at("x"), K_FILE, ROOTS(0666));
    int fd = open(at("x"), O_RDWR | O_CLOEXEC);
    int other = open(at("x"), O_RDWR | O_CLOEXEC);
    must(lock_fd(family, fd, WRITE_LOCK, PLACE, LENGTH), "a lock");
    close(other);
    /* A process loses its record locks with any descriptor of the file, the others with their own. */
    want_result(try_lock(family, WRITE_LOCK, PLACE), family == RECORD ? 0 : EAGAIN);
    close(fd);
    want("free in the end", try_lock(family, WRITE_LOCK, PLACE) == 0);
    end();
}

static long deed_get(struct deed *d)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 0};
    int fd = open(d->a, O_RDWR | O_CLOEXEC);
    long result = fd < 0 ? sys(fd) : sys(fcntl(fd, F_GETLK, &lock));
    close(fd);
    *(struct flock *)(void *)d->out = lock;
    return result;
}

static void assert_get(enum strength held)
{
    if (!beginf(OTHER, "fcntl(F_GETLK)", "%s", strengths[held]))
        return;
    make(at("x"), K_FILE, ROOTS(0666));
    int fd = open(at("x"), O_RDWR | O_CLOEXEC);
    if (held != UNLOCKED)
        must(lock_fd(RECORD, fd, held, PLACE, LENGTH), "a lock");
    want_result(as(OTHER, deed_get, at("x"), NULL, 0, 0), 0);
    struct flock seen = *(const struct flock *)(const void *)agent_out();
    want_equal("its type", seen.l_type,
               held == UNLOCKED    ? F_UNLCK
               : held == READ_LOCK ? F_RDLCK
                                   : F_WRLCK);
    if (held != UNLOCKED) {
        want_equal("its start", seen.l_start, PLACE);
        want_equal("its length", seen.l_len, LENGTH);
        want_equal("its process", seen.l_pid, getpid());
    }
    close(fd);
    end();
}

/* A lock that is split, shrunk and joined. */
static void assert_split(void)
{
    if (!begin("fcntl(F_SETLK)", "a hole in the middle of a lock", OTHER))
        return;
    make(at("x"), K_FILE, ROOTS(0666));
    int fd = open(at("x"), O_RDWR | O_CLOEXEC);
    must(lock_fd(RECORD, fd, WRITE_LOCK, 0, 1000), "a lock");
    must(lock_fd(RECORD, fd, UNLOCKED, 400, 200), "an unlock");
    want("the hole is free", try_lock(RECORD, WRITE_LOCK, 450) == 0);
    want("before it is not", try_lock(RECORD, WRITE_LOCK, 310) == -EAGAIN);
    want("behind it is not", try_lock(RECORD, WRITE_LOCK, 590) == -EAGAIN);
    must(lock_fd(RECORD, fd, READ_LOCK, 0, 100), "a weaker lock");
    want("what was made weaker may be read", try_lock(RECORD, READ_LOCK, 0) == 0);
    want("but not written", try_lock(RECORD, WRITE_LOCK, 0) == -EAGAIN);
    close(fd);
    end();
}

static void assert_upgrade(enum family family)
{
    if (!beginf(OTHER, families[family], "a read lock that becomes a write lock"))
        return;
    make(at("x"), K_FILE, ROOTS(0666));
    int fd = open(at("x"), O_RDWR | O_CLOEXEC);
    must(lock_fd(family, fd, READ_LOCK, PLACE, LENGTH), "a lock");
    want("readers are let in", try_lock(family, READ_LOCK, PLACE) == 0);
    want_result(lock_fd(family, fd, WRITE_LOCK, PLACE, LENGTH), 0);
    want("readers are kept out", try_lock(family, READ_LOCK, PLACE) == -EAGAIN);
    want_result(lock_fd(family, fd, READ_LOCK, PLACE, LENGTH), 0);
    want("readers are let in again", try_lock(family, READ_LOCK, PLACE) == 0);
    close(fd);
    end();
}

static void assert_wrong(void)
{
    struct flock lock = {.l_type = 77, .l_whence = SEEK_SET, .l_len = 1};
    if (!begin("fcntl(F_SETLK)", "a type and a range that are none", ROOT))
        return;
    make(at("x"), K_FILE, ROOTS(0666));
    int fd = open(at("x"), O_RDWR | O_CLOEXEC);
    want_result(sys(fcntl(fd, F_SETLK, &lock)), EINVAL);
    lock.l_type = F_RDLCK;
    lock.l_start = -5;
    want("a negative start", sys(fcntl(fd, F_SETLK, &lock)) == -EINVAL);
    lock.l_start = INT64_MAX;
    lock.l_len = INT64_MAX;
    want("an end beyond all", sys(fcntl(fd, F_SETLK, &lock)) == -EOVERFLOW);
    close(fd);
    end();
}

void suite_locks(void)
{
    for (enum family family = 0; family < FAMILY_COUNT; family++) {
        for (enum strength held = READ_LOCK; held <= UNLOCKED; held++) {
            for (enum strength wanted = READ_LOCK; wanted < UNLOCKED; wanted++) {
                for (size_t place = 0; place < (family == WHOLE ? 1 : COUNT(places)); place++)
                    assert_conflict(family, held, wanted, place);
            }
        }
        assert_closed(family);
        assert_upgrade(family);
    }
    assert_get(READ_LOCK);
    assert_get(WRITE_LOCK);
    assert_get(UNLOCKED);
    assert_split();
    assert_wrong();
}
