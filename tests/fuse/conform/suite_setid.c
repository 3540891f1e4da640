/* suite_setid.c -- which changes of a file's bytes take its set-id bits and capabilities, and by whom */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "conform.h"

static long with_file(struct deed *d, int flags, long (*run)(int fd))
{
    int fd = open(d->a, flags | O_CLOEXEC);
    long result = fd < 0 ? sys(fd) : run(fd);
    if (fd >= 0)
        close(fd);
    return result;
}

static long fd_write(int fd)
{
    return sys(write(fd, "x", 1));
}

static long fd_writev(int fd)
{
    struct iovec parts[2] = {{(char[1]){'a'}, 1}, {(char[1]){'b'}, 1}};
    return sys(writev(fd, parts, 2));
}

static long fd_write_nothing(int fd)
{
    return sys(write(fd, "", 0));
}

static long fd_write_far(int fd)
{
    return sys(pwrite(fd, "x", 1, 100000));
}

static long fd_truncate_up(int fd)
{
    return sys(ftruncate(fd, 5000));
}

static long fd_truncate_down(int fd)
{
    return sys(ftruncate(fd, 2));
}

static long fd_fallocate(int fd)
{
    return sys(fallocate(fd, 0, 0, 5000));
}

static long fd_punch(int fd)
{
    return sys(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 3));
}

static long fd_read(int fd)
{
    char byte;
    return sys(read(fd, &byte, 1));
}

static long fd_sync(int fd)
{
    return sys(fsync(fd));
}

static long run_write(struct deed *d)
{
    return with_file(d, O_WRONLY, fd_write);
}

static long run_append(struct deed *d)
{
    return with_file(d, O_WRONLY | O_APPEND, fd_write);
}

static long fd_write_block(int fd)
{
    static _Alignas(4096) char block[4096];
    return sys(write(fd, block, sizeof(block)));
}

static long run_write_direct(struct deed *d)
{
    return with_file(d, O_WRONLY | O_DIRECT, fd_write_block);
}

static long run_writev(struct deed *d)
{
    return with_file(d, O_WRONLY, fd_writev);
}

static long run_write_nothing(struct deed *d)
{
    return with_file(d, O_WRONLY, fd_write_nothing);
}

static long run_write_far(struct deed *d)
{
    return with_file(d, O_WRONLY, fd_write_far);
}

static long run_truncate(struct deed *d)
{
    return sys(truncate(d->a, 5));
}

static long run_ftruncate_up(struct deed *d)
{
    return with_file(d, O_WRONLY, fd_truncate_up);
}

static long run_ftruncate_down(struct deed *d)
{
    return with_file(d, O_WRONLY, fd_truncate_down);
}

static long run_open_trunc(struct deed *d)
{
    return with_file(d, O_WRONLY | O_TRUNC, fd_sync);
}

static long run_fallocate(struct deed *d)
{
    return with_file(d, O_WRONLY, fd_fallocate);
}

static long run_punch(struct deed *d)
{
    return with_file(d, O_WRONLY, fd_punch);
}

static long run_read(struct deed *d)
{
    return with_file(d, O_RDONLY, fd_read);
}

static long run_open_write(struct deed *d)
{
    return with_file(d, O_RDWR, fd_sync);
}

static long run_utimens(struct deed *d)
{
    return sys(utimensat(AT_FDCWD, d->a, NULL, 0));
}

static long run_copy(struct deed *d)
{
    int from = open(d->b, O_RDONLY | O_CLOEXEC);
    int to = open(d->a, O_WRONLY | O_CLOEXEC);
    long result = sys(copy_file_range(from, NULL, to, NULL, 4, 0));
    close(from);
    close(to);
    return result;
}

static long run_link(struct deed *d)
{
    char name[100];
    snprintf(name, sizeof(name), "%s.link", d->a);
    return sys(link(d->a, name));
}

struct change {
    const char *name;
    long (*run)(struct deed *);
    bool is_taking;
    enum feature feature;
};

static const struct change changes[] = {
    {"write", run_write, true, FEATURE_COUNT},
    {"write(O_APPEND)", run_append, true, FEATURE_COUNT},
    {"write(O_DIRECT)", run_write_direct, true, HAS_DIRECT},
    {"writev", run_writev, true, FEATURE_COUNT},
    {"write beyond the end", run_write_far, true, FEATURE_COUNT},
    {"write of no bytes", run_write_nothing, false, FEATURE_COUNT},
    {"truncate", run_truncate, true, FEATURE_COUNT},
    {"ftruncate to more", run_ftruncate_up, true, FEATURE_COUNT},
    {"ftruncate to less", run_ftruncate_down, true, FEATURE_COUNT},
    {"open(O_TRUNC)", run_open_trunc, true, FEATURE_COUNT},
    {"fallocate", run_fallocate, true, HAS_FALLOCATE},
    {"fallocate(FALLOC_FL_PUNCH_HOLE)", run_punch, true, HAS_PUNCH},
    {"copy_file_range", run_copy, true, HAS_COPY_RANGE},
    {"read", run_read, false, FEATURE_COUNT},
    {"open(O_RDWR) and fsync", run_open_write, false, FEATURE_COUNT},
    {"utimensat", run_utimens, false, FEATURE_COUNT},
    {"link", run_link, false, FEATURE_COUNT}, /* others may not: protected_hardlinks */
};

static mode_t mode_after(const struct change *change, mode_t mode, enum caller who)
{
    bool is_member = caller_in_group(who, GROUP_GID);
    if (!change->is_taking || who == ROOT)
        return mode;
    mode_t left = mode & ~(mode_t)04000;
    if ((mode & 00010) || !is_member)
        left &= ~(mode_t)02000;
    return left;
}

static bool is_ready(const struct change *change)
{
    make_bytes(at("y"), "something", 9);
    must(sys(chmod(at("y"), 0644)), "a mode");
    make_bytes(at("x"), "some text", 9);
    must(sys(chown(at("x"), OWNER_UID, GROUP_GID)), "an owner");
    return change->feature == FEATURE_COUNT || offers(change->feature);
}

static void assert_change(const struct change *change, mode_t mode, enum caller who)
{
    if (!beginf(who, change->name, "a file of mode %04o", mode))
        return;
    if (is_ready(change)) {
        must(sys(chmod(at("x"), mode)), "a mode");
        want_result(as(who, change->run, at("x"), at("y"), 0, 0), 0);
        wantf((look(at("x")).mode & 07777) == mode_after(change, mode, who), "mode %04o after it",
              mode_after(change, mode, who));
    }
    end();
}

/* Capabilities go with every change of the bytes, also by root, and with chown. */
static void assert_capability(const struct change *change, enum caller who)
{
    static const unsigned char capability[20] = {0, 0, 0, 2, 0, 4};
    char value[64];
    if (!begin(change->name, "a file with capabilities", who))
        return;
    if (offers(HAS_CAPABILITIES) && is_ready(change)) {
        must(sys(chmod(at("x"), 0777)), "a mode");
        must(sys(setxattr(at("x"), "security.capability", capability, sizeof(capability), 0)),
             "a capability");
        want_result(as(who, change->run, at("x"), at("y"), 0, 0), 0);
        bool is_there = getxattr(at("x"), "security.capability", value, sizeof(value)) > 0;
        want(change->is_taking ? "the capabilities are gone" : "the capabilities stay",
             is_there == !change->is_taking);
    }
    end();
}

static long run_chown(struct deed *d)
{
    return sys(chown(d->a, (uid_t)-1, GROUP_GID));
}

/* Two writes behind one another, and a mode set between them. */
static void assert_again(enum caller who)
{
    if (!begin("write, chmod, write", "a file that stays open", who))
        return;
    make(at("x"), K_FILE, OWNED(06777));
    want_result(as(who, run_write, at("x"), NULL, 0, 0), 0);
    want_equal("the bits are gone", look(at("x")).mode & 07777, 0777);
    must(sys(chmod(at("x"), 06777)), "a mode");
    want_equal("the bits are back", look(at("x")).mode & 07777, 06777);
    want_result(as(who, run_write, at("x"), NULL, 0, 0), 0);
    want_equal("the bits are gone again", look(at("x")).mode & 07777, 0777);
    end();
}

void suite_setid(void)
{
    static const mode_t modes[] = {04777, 02777, 06777, 02767, 06767, 07777, 01777, 0777};
    static const struct change chown_it = {"chown", run_chown, true, FEATURE_COUNT};
    for (enum caller who = ROOT; who < CALLER_COUNT; who++) {
        for (size_t i = 0; i < COUNT(changes); i++) {
            if (changes[i].run == run_link && who > OWNER)
                continue;
            for (size_t m = 0; m < COUNT(modes); m++)
                assert_change(&changes[i], modes[m], who);
            assert_capability(&changes[i], who);
        }
        if (who != ROOT)
            assert_again(who);
        if (who <= OWNER)
            assert_capability(&chown_it, who);
    }
}
