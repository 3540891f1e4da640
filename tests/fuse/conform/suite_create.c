/* suite_create.c -- mode, owner and group of what is made: umask, set-gid directories, set-id bits */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "conform.h"

enum maker { M_OPEN, M_MKNOD, M_FIFO, M_SOCKET, M_MKDIR, M_SYMLINK, M_TMPFILE, MAKER_COUNT };

static const char *const makers[MAKER_COUNT] = {
    [M_OPEN] = "open(O_CREAT)",      [M_MKNOD] = "mknod(S_IFREG)", [M_FIFO] = "mknod(S_IFIFO)",
    [M_SOCKET] = "mknod(S_IFSOCK)",  [M_MKDIR] = "mkdir",          [M_SYMLINK] = "symlink",
    [M_TMPFILE] = "open(O_TMPFILE)",
};

/* x the maker, y the mode, z the umask; what fstat says goes to out. */
static long deed_make(struct deed *d)
{
    struct look *seen = (struct look *)(void *)d->out;
    long result = 0;
    int fd = -1;
    mode_t old = umask((mode_t)d->z);
    mode_t mode = (mode_t)d->y;
    switch ((enum maker)d->x) {
    case M_OPEN:
        result = sys(fd = open(d->a, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode));
        break;
    case M_TMPFILE:
        result = sys(fd = open(d->b, O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
        break;
    case M_MKNOD:
        result = sys(mknod(d->a, S_IFREG | mode, 0));
        break;
    case M_FIFO:
        result = sys(mknod(d->a, S_IFIFO | mode, 0));
        break;
    case M_SOCKET:
        result = sys(mknod(d->a, S_IFSOCK | mode, 0));
        break;
    case M_MKDIR:
        result = sys(mkdir(d->a, mode));
        break;
    case M_SYMLINK:
        result = sys(symlink("target", d->a));
        break;
    case MAKER_COUNT:
        break;
    }
    umask(old);
    *seen = fd >= 0 ? look_fd(fd) : look(d->a);
    if (fd >= 0)
        close(fd);
    return result;
}

struct parent {
    const char *name;
    mode_t mode;
    uint32_t gid;
};

static const struct parent parents[] = {
    {"a plain directory", 0777, STRANGE_GID},
    {"a set-gid directory of a strange group", 02777, STRANGE_GID},
    {"a set-gid directory of a group of the owner", 02777, OWNER2_GID},
};

static mode_t mode_wanted(enum maker maker, mode_t mode, mode_t mask, const struct parent *parent,
                          enum caller who)
{
    bool is_inherited = (parent->mode & 02000) != 0;
    uint32_t gid = is_inherited ? parent->gid : caller_gid(who);
    if (maker == M_SYMLINK)
        return 0777;
    if (maker == M_MKDIR)
        return (mode & 01777 & ~mask) | (is_inherited ? 02000 : 0);
    /* Nobody makes a program that runs with a group that he is not in. */
    if (is_inherited && (mode & 02010) == 02010 && who != ROOT && !caller_in_group(who, gid))
        mode &= ~(mode_t)02000;
    return mode & 07777 & ~mask;
}

static void assert_made(enum maker maker, mode_t mode, mode_t mask, const struct parent *parent,
                        enum caller who)
{
    if (!beginf(who, makers[maker], "mode %04o, umask %04o, in %s", mode, mask, parent->name))
        return;
    if (maker != M_TMPFILE || offers(HAS_TMPFILE)) {
        make(at("p"), K_DIR, (struct who){parent->mode, STRANGE_UID, parent->gid});
        agent_more((long)mask);
        want_result(as(who, deed_make, at("p/x"), at("p"), (long)maker, (long)mode), 0);
        struct look seen = *(const struct look *)(const void *)agent_out();
        wantf((seen.mode & 07777) == mode_wanted(maker, mode, mask, parent, who), "mode %04o",
              mode_wanted(maker, mode, mask, parent, who));
        want_equal("uid is the caller's", seen.uid, caller_uid(who));
        if (parent->mode & 02000)
            want_equal("gid is the directory's", seen.gid, parent->gid);
        else
            want_equal("gid is the caller's", seen.gid, caller_gid(who));
    }
    end();
}

/* A file may be made with a mode that would not let its maker open it again. */
static long deed_make_closed(struct deed *d)
{
    int fd = open(d->a, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, (mode_t)d->x);
    long result = fd < 0 ? sys(fd) : sys(write(fd, "x", 1));
    if (fd >= 0)
        close(fd);
    return result == 1 ? do_open(&(struct deed){.a = d->a, .x = O_RDWR}) : result;
}

static void assert_closed(mode_t mode, enum caller who)
{
    if (!beginf(who, "open(O_CREAT|O_RDWR), write, open again", "mode %04o", mode))
        return;
    bool is_open = who == ROOT || (mode & 0600) == 0600;
    want_result(as(who, deed_make_closed, at("x"), NULL, (long)mode, 0), is_open ? 0 : EACCES);
    want_equal("the byte is written", (long long)look(at("x")).size, 1);
    end();
}

/* O_CREAT of something that is there changes neither its mode nor its owner. */
static void assert_kept(mode_t mode, enum caller who)
{
    if (!beginf(who, "open(O_CREAT) of what is there", "mode %04o", mode))
        return;
    make(at("x"), K_FILE, OWNED(0666));
    want_result(as(who, do_open, at("x"), NULL, O_CREAT | O_WRONLY, (long)mode), 0);
    struct look seen = look(at("x"));
    want_equal("its mode stays", seen.mode & 07777, 0666);
    want_equal("its owner stays", seen.uid, OWNER_UID);
    end();
}

void suite_create(void)
{
    static const mode_t modes[] = {0,     0644,  0777,  0151,  04755, 02755,
                                   01755, 07777, 02644, 06711, 0400};
    static const mode_t masks[] = {0, 022, 077, 0151, 0777};
    static const enum caller callers[] = {ROOT, OWNER, OTHER};
    for (size_t c = 0; c < COUNT(callers); c++) {
        for (size_t m = 0; m < COUNT(modes); m++) {
            for (size_t u = 0; u < COUNT(masks); u++) {
                for (size_t p = 0; p < COUNT(parents); p++) {
                    for (enum maker maker = 0; maker < MAKER_COUNT; maker++)
                        assert_made(maker, modes[m], masks[u], &parents[p], callers[c]);
                }
            }
            assert_closed(modes[m], callers[c]);
            assert_kept(modes[m], callers[c]);
        }
    }
}
