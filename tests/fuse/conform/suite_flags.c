/* suite_flags.c -- immutable and append-only objects, and who may make them so */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "conform.h"

static long set_flags(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int old = 0;
    long result = sys(fd);
    if (fd >= 0)
        result = sys(ioctl(fd, FS_IOC_GETFLAGS, &old));
    old = (old & ~(FS_IMMUTABLE_FL | FS_APPEND_FL)) | flags;
    if (result >= 0)
        result = sys(ioctl(fd, FS_IOC_SETFLAGS, &old));
    if (fd >= 0)
        close(fd);
    return result;
}

static long deed_set_flags(struct deed *d)
{
    return set_flags(d->a, (int)d->x);
}

static long deed_get_flags(struct deed *d)
{
    int flags = 0;
    int fd = open(d->a, O_RDONLY | O_CLOEXEC);
    long result = fd < 0 ? sys(fd) : sys(ioctl(fd, FS_IOC_GETFLAGS, &flags));
    if (fd >= 0)
        close(fd);
    return result < 0 ? result : flags & (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL);
}

/* ---- what the flags forbid ---- */

static long deed_setxattr(struct deed *d)
{
    return sys(setxattr(d->a, "user.a", "v", 1, 0));
}

static long deed_punch(struct deed *d)
{
    int fd = open(d->a, O_WRONLY | O_CLOEXEC | (int)d->x);
    long result =
        fd < 0 ? sys(fd) : sys(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4));
    if (fd >= 0)
        close(fd);
    return result;
}

static long on(long (*run)(struct deed *), const char *a, const char *b, long x)
{
    return as(ROOT, run, at(a), b ? at(b) : NULL, x, 0);
}

enum try {
    T_OPEN_READ,
    T_OPEN_WRITE,
    T_OPEN_APPEND,
    T_OPEN_TRUNC,
    T_APPEND,
    T_TRUNCATE,
    T_CHMOD,
    T_CHOWN,
    T_TIMES_SET,
    T_TIMES_NOW,
    T_LINK,
    T_UNLINK,
    T_RENAME,
    T_REPLACE,
    T_XATTR,
    T_PUNCH,
    T_READ,
    T_STAT,
    TRY_COUNT
};

static const struct {
    const char *name;
    int immutable; /* what is expected of each */
    int append;
} tries[TRY_COUNT] = {
    [T_OPEN_READ] = {"open(O_RDONLY)", 0, 0},
    [T_OPEN_WRITE] = {"open(O_WRONLY)", EPERM, EPERM},
    [T_OPEN_APPEND] = {"open(O_WRONLY|O_APPEND)", EPERM, 0},
    [T_OPEN_TRUNC] = {"open(O_WRONLY|O_APPEND|O_TRUNC)", EPERM, EPERM},
    [T_APPEND] = {"write(O_APPEND)", EPERM, 0},
    [T_TRUNCATE] = {"truncate", EPERM, EPERM},
    [T_CHMOD] = {"chmod", EPERM, EPERM},
    [T_CHOWN] = {"chown", EPERM, EPERM},
    [T_TIMES_SET] = {"utimensat(t, t)", EPERM, EPERM},
    [T_TIMES_NOW] = {"utimensat(UTIME_NOW)", EPERM, 0},
    [T_LINK] = {"link", EPERM, EPERM},
    [T_UNLINK] = {"unlink", EPERM, EPERM},
    [T_RENAME] = {"rename", EPERM, EPERM},
    [T_REPLACE] = {"rename over it", EPERM, EPERM},
    [T_XATTR] = {"setxattr", EPERM, EPERM},
    [T_PUNCH] = {"fallocate(PUNCH_HOLE)", EPERM, EPERM},
    [T_READ] = {"read", 0, 0},
    [T_STAT] = {"access(F_OK)", 0, 0},
};

static long attempt_bytes(enum try attempt)
{
    if (attempt == T_OPEN_READ)
        return on(do_open, "x", NULL, O_RDONLY);
    if (attempt == T_OPEN_WRITE)
        return on(do_open, "x", NULL, O_WRONLY);
    if (attempt == T_OPEN_APPEND)
        return on(do_open, "x", NULL, O_WRONLY | O_APPEND);
    if (attempt == T_OPEN_TRUNC)
        return on(do_open, "x", NULL, O_WRONLY | O_APPEND | O_TRUNC);
    if (attempt == T_APPEND)
        return as(ROOT, do_write, at("x"), "more", 0, O_APPEND);
    if (attempt == T_TRUNCATE)
        return on(do_truncate, "x", NULL, 2);
    if (attempt == T_PUNCH)
        return on(deed_punch, "x", NULL, O_APPEND);
    return as(ROOT, do_read, at("x"), NULL, 0, 4);
}

static long attempt_rest(enum try attempt)
{
    if (attempt == T_CHMOD)
        return on(do_chmod, "x", NULL, 0600);
    if (attempt == T_CHOWN)
        return as(ROOT, do_chown, at("x"), NULL, STRANGE_UID, -1);
    if (attempt == T_TIMES_SET) {
        agent_more(6);
        return as(ROOT, do_utimens, at("x"), NULL, 0, 5);
    }
    if (attempt == T_TIMES_NOW) {
        agent_more(UTIME_NOW);
        return as(ROOT, do_utimens, at("x"), NULL, 0, UTIME_NOW);
    }
    if (attempt == T_LINK)
        return on(do_link, "x", "new", 0);
    if (attempt == T_UNLINK)
        return on(do_unlink, "x", NULL, 0);
    if (attempt == T_RENAME)
        return on(do_rename, "x", "new", 0);
    if (attempt == T_REPLACE)
        return on(do_rename, "y", "x", 0);
    if (attempt == T_XATTR)
        return on(deed_setxattr, "x", NULL, 0);
    return on(do_access, "x", NULL, F_OK);
}

static bool is_of_bytes(enum try attempt)
{
    return attempt <= T_TRUNCATE || attempt == T_PUNCH || attempt == T_READ;
}

static void assert_file(int flag, enum try attempt)
{
    int expected = flag == FS_IMMUTABLE_FL ? tries[attempt].immutable : tries[attempt].append;
    if (!beginf(ROOT, tries[attempt].name, "%s file",
                flag == FS_IMMUTABLE_FL ? "an immutable" : "an append-only"))
        return;
    bool is_offered = offers(HAS_FLAGS) && (attempt != T_PUNCH || offers(HAS_PUNCH)) &&
                      (attempt != T_XATTR || offers(HAS_XATTR_USER));
    if (is_offered) {
        make_bytes(at("x"), "text", 4);
        make(at("y"), K_FILE, ROOTS(0644));
        must(set_flags(at("x"), flag), "a flag");
        tick_if_coarse();
        struct look before = look(at("x"));
        want_result(is_of_bytes(attempt) ? attempt_bytes(attempt) : attempt_rest(attempt),
                    expected);
        struct look after = look(at("x"));
        if (expected)
            want("nothing has changed", same(&before, &after));
        must(set_flags(at("x"), 0), "no flag");
    }
    end();
}

/* ---- in directories that have a flag ---- */

enum inside {
    I_CREATE,
    I_MKDIR,
    I_UNLINK,
    I_RENAME,
    I_RENAME_IN,
    I_WRITE,
    I_RMDIR,
    I_LIST,
    INSIDE_COUNT
};

static const struct {
    const char *name;
    int immutable;
    int append;
} insides[INSIDE_COUNT] = {
    [I_CREATE] = {"open(O_CREAT)", EPERM, 0},      [I_MKDIR] = {"mkdir", EPERM, 0},
    [I_UNLINK] = {"unlink", EPERM, EPERM},         [I_RENAME] = {"rename", EPERM, EPERM},
    [I_RENAME_IN] = {"rename into", EPERM, 0},     [I_WRITE] = {"write", 0, 0},
    [I_RMDIR] = {"rmdir of itself", EPERM, EPERM}, [I_LIST] = {"readdir", 0, 0},
};

static long attempt_inside(enum inside inside)
{
    if (inside == I_CREATE)
        return as(ROOT, do_open, at("d/new"), NULL, O_CREAT | O_WRONLY, 0644);
    if (inside == I_MKDIR)
        return on(do_mkdir, "d/new", NULL, 0755);
    if (inside == I_UNLINK)
        return on(do_unlink, "d/entry", NULL, 0);
    if (inside == I_RENAME)
        return on(do_rename, "d/entry", "d/new", 0);
    if (inside == I_RENAME_IN)
        return on(do_rename, "y", "d/new", 0);
    if (inside == I_WRITE)
        return as(ROOT, do_write, at("d/entry"), "text", 0, 0);
    if (inside == I_RMDIR)
        return on(do_rmdir, "d", NULL, 0);
    return on(do_readdir, "d", NULL, 0);
}

static void assert_inside(int flag, enum inside inside)
{
    int expected = flag == FS_IMMUTABLE_FL ? insides[inside].immutable : insides[inside].append;
    if (!beginf(ROOT, insides[inside].name, "%s directory",
                flag == FS_IMMUTABLE_FL ? "an immutable" : "an append-only"))
        return;
    if (offers(HAS_FLAGS)) {
        make(at("d"), inside == I_RMDIR ? K_DIR : K_FULL, ROOTS(0755));
        make(at("y"), K_FILE, ROOTS(0644));
        must(set_flags(at("d"), flag), "a flag");
        want_result(attempt_inside(inside), expected);
        must(set_flags(at("d"), 0), "no flag");
    }
    end();
}

/* ---- the flags themselves ---- */

static void assert_right(int flag, const char *name, enum caller who)
{
    bool may = who == ROOT || (flag == FS_NODUMP_FL && who == OWNER);
    if (!beginf(who, "ioctl(FS_IOC_SETFLAGS)", "%s", name))
        return;
    if (offers(HAS_FLAGS)) {
        make(at("x"), K_FILE, OWNED(0644));
        tick_if_coarse();
        struct look before = look(at("x"));
        long result = as(who, deed_set_flags, at("x"), NULL, flag, 0);
        want("its result", may ? result >= 0 : result == -EPERM || result == -EACCES);
        want_equal("the flags", as(who, deed_get_flags, at("x"), NULL, 0, 0), may ? flag : 0);
        want("ctime", (look(at("x")).ctime_ns != before.ctime_ns) == may);
        must(set_flags(at("x"), 0), "no flag");
    }
    end();
}

void suite_flags(void)
{
    static const int flags[] = {FS_IMMUTABLE_FL, FS_APPEND_FL};
    for (size_t f = 0; f < COUNT(flags); f++) {
        for (enum try attempt = 0; attempt < TRY_COUNT; attempt++)
            assert_file(flags[f], attempt);
        for (enum inside inside = 0; inside < INSIDE_COUNT; inside++)
            assert_inside(flags[f], inside);
    }
    for (enum caller who = ROOT; who < CALLER_COUNT; who++) {
        assert_right(FS_IMMUTABLE_FL, "FS_IMMUTABLE_FL", who);
        assert_right(FS_APPEND_FL, "FS_APPEND_FL", who);
        assert_right(FS_NODUMP_FL, "FS_NODUMP_FL", who);
    }
}
