/* suite_times.c -- who may set times, which values they take, and which arguments are none */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

#define SECOND 1000000000L

enum setting {
    BOTH_NULL,
    BOTH_NOW,
    BOTH_SET,
    A_NOW_M_OMIT,
    A_OMIT_M_NOW,
    A_NOW_M_SET,
    A_SET_M_OMIT,
    A_OMIT_M_SET,
    BOTH_OMIT,
    SETTING_COUNT
};

static const struct {
    const char *name;
    long atime;
    long mtime;
} settings[SETTING_COUNT] = {
    [BOTH_NULL] = {"utimensat(NULL)", 0, 0},
    [BOTH_NOW] = {"utimensat(UTIME_NOW, UTIME_NOW)", UTIME_NOW, UTIME_NOW},
    [BOTH_SET] = {"utimensat(t, t)", 7 * SECOND + 1, 8 * SECOND + 2},
    [A_NOW_M_OMIT] = {"utimensat(UTIME_NOW, UTIME_OMIT)", UTIME_NOW, UTIME_OMIT},
    [A_OMIT_M_NOW] = {"utimensat(UTIME_OMIT, UTIME_NOW)", UTIME_OMIT, UTIME_NOW},
    [A_NOW_M_SET] = {"utimensat(UTIME_NOW, t)", UTIME_NOW, 8 * SECOND + 2},
    [A_SET_M_OMIT] = {"utimensat(t, UTIME_OMIT)", 7 * SECOND + 1, UTIME_OMIT},
    [A_OMIT_M_SET] = {"utimensat(UTIME_OMIT, t)", UTIME_OMIT, 8 * SECOND + 2},
    [BOTH_OMIT] = {"utimensat(UTIME_OMIT, UTIME_OMIT)", UTIME_OMIT, UTIME_OMIT},
};

static long deed_null(struct deed *d)
{
    return sys(utimensat(AT_FDCWD, d->a, NULL, 0));
}

static long set(enum setting setting, enum caller who)
{
    if (setting == BOTH_NULL)
        return as(who, deed_null, at("x"), NULL, 0, 0);
    agent_more(settings[setting].mtime);
    return as(who, do_utimens, at("x"), NULL, 0, settings[setting].atime);
}

static int expected_of(enum setting setting, bool is_owner, bool may_write)
{
    if (is_owner || setting == BOTH_OMIT)
        return 0;
    if (setting == BOTH_NULL || setting == BOTH_NOW)
        return may_write ? 0 : EACCES;
    return EPERM;
}

static void assert_stamp(const char *name, long wanted, int64_t before, int64_t seen, int64_t start)
{
    if (wanted == UTIME_OMIT)
        wantf(seen == before, "%s stays", name);
    else if (wanted == UTIME_NOW)
        wantf(seen > before && seen >= start - 20000000 && seen <= now_ns(), "%s is now", name);
    else
        wantf(seen == wanted, "%s is set", name);
}

static void assert_setting(enum setting setting, enum kind kind, mode_t mode, enum caller who)
{
    bool is_owner = who == ROOT || who == OWNER;
    unsigned bits = who == OTHER ? mode & 7 : mode >> 3 & 7;
    int expected = expected_of(setting, is_owner, (bits & 2) != 0);
    bool is_now = setting == BOTH_NULL;
    if (!beginf(who, settings[setting].name, "%s of mode %04o", kind_name(kind), mode))
        return;
    make(at("x"), kind, OWNED(mode));
    age(at("x"));
    tick();
    struct look before = look(at("x"));
    int64_t start = now_ns();
    want_result(set(setting, who), expected);
    struct look after = look(at("x"));
    if (expected) {
        want("nothing has changed", same(&before, &after));
    } else {
        assert_stamp("atime", is_now ? UTIME_NOW : settings[setting].atime, before.atime_ns,
                     after.atime_ns, start);
        assert_stamp("mtime", is_now ? UTIME_NOW : settings[setting].mtime, before.mtime_ns,
                     after.mtime_ns, start);
        assert_stamp("ctime", setting == BOTH_OMIT ? UTIME_OMIT : UTIME_NOW, before.ctime_ns,
                     after.ctime_ns, start);
    }
    end();
}

static const struct {
    const char *name;
    long ns;
} values[] = {
    {"0", 0},
    {"1 ns", 1},
    {"999999999 ns", SECOND - 1},
    {"1 s", SECOND},
    {"1 ns before 0", -1},
    {"1.5 s before 0", -SECOND - SECOND / 2},
    {"2^31 - 1 s", 2147483647 * SECOND + 999999999},
    {"2^31 s", 2147483648 * SECOND},
    {"2^32 - 1 s", 4294967295 * SECOND + 1},
    {"2^32 s", 4294967296 * SECOND + 123456789},
    {"2^33 s", 8589934592 * SECOND + 5},
    {"-2^31 s", -2147483648 * SECOND},
    {"-2^31 s and a bit more", -2147483647 * SECOND + 999999999},
    {"1234567890.123456789 s", 1234567890123456789},
    {"a second before the leap year 2100", 4102444799 * SECOND},
};

static void assert_value(enum kind kind, size_t a, size_t m, enum caller who)
{
    if (!beginf(who, "utimensat", "%s, atime %s, mtime %s", kind_name(kind), values[a].name,
                values[m].name))
        return;
    make(at("x"), kind, OWNED(0755));
    agent_more(values[m].ns);
    want_result(as(who, do_utimens, at("x"), NULL, AT_SYMLINK_NOFOLLOW, values[a].ns), 0);
    struct look seen = look(at("x"));
    want_equal("atime", seen.atime_ns, values[a].ns);
    want_equal("mtime", seen.mtime_ns, values[m].ns);
    end();
}

/* ---- arguments that are wrong ---- */

static long deed_wrong(struct deed *d)
{
    struct timespec times[2] = {{1, d->y}, {1, d->z}};
    return sys(utimensat(AT_FDCWD, d->a, times, (int)d->x));
}

static void assert_wrong(const char *name, int flags, long a, long m)
{
    if (!begin("utimensat", name, ROOT))
        return;
    make(at("x"), K_FILE, OWNED(0644));
    age(at("x"));
    struct look before = look(at("x"));
    agent_more(m);
    want_result(as(ROOT, deed_wrong, at("x"), NULL, flags, a), EINVAL);
    struct look after = look(at("x"));
    want("nothing has changed", same(&before, &after));
    end();
}

static long deed_futimens(struct deed *d)
{
    struct timespec times[2] = {{11, 22}, {33, 44}};
    int fd = open(d->a, (int)d->x | O_CLOEXEC);
    long result = fd < 0 ? sys(fd) : sys(futimens(fd, times));
    close(fd);
    return result;
}

static void assert_futimens(int flags, const char *name, enum caller who)
{
    if (!beginf(who, "futimens", "a file open with %s", name))
        return;
    make(at("x"), K_FILE, OWNED(0666));
    want_result(as(who, deed_futimens, at("x"), NULL, flags, 0),
                who == ROOT || who == OWNER ? 0 : EPERM);
    want_equal("mtime", look(at("x")).mtime_ns == 33 * SECOND + 44, who == ROOT || who == OWNER);
    end();
}

/* A time is never taken by what comes later, and atime follows reads as relatime has it. */
static void assert_relatime(const char *name, int64_t atime, int64_t mtime, bool is_moved)
{
    if (!begin("read", name, ROOT))
        return;
    if (offers(HAS_RELATIME)) {
        make_bytes(at("x"), "text", 4);
        agent_more(mtime);
        must(as(ROOT, do_utimens, at("x"), NULL, 0, atime), "times");
        /* ctime is now, and an atime that is older than it is out of date. */
        tick();
        want_equal("bytes", as(ROOT, do_read, at("x"), NULL, 0, 4), 4);
        want(is_moved ? "atime changes" : "atime stays",
             (look(at("x")).atime_ns != atime) == is_moved);
    }
    end();
}

void suite_times(void)
{
    static const enum kind kinds[] = {K_FILE, K_DIR, K_FIFO};
    static const mode_t modes[] = {0700, 0766, 0755, 0720, 0702};
    for (enum caller who = ROOT; who < CALLER_COUNT; who++) {
        for (size_t k = 0; k < COUNT(kinds); k++) {
            for (enum setting setting = 0; setting < SETTING_COUNT; setting++) {
                for (size_t m = 0; m < COUNT(modes) - (kinds[k] == K_FILE ? 0u : 2u); m++)
                    assert_setting(setting, kinds[k], modes[m], who);
            }
        }
        assert_futimens(O_RDONLY, "O_RDONLY", who);
        assert_futimens(O_WRONLY, "O_WRONLY", who);
    }
    for (size_t a = 0; a < COUNT(values); a++) {
        assert_value(K_FILE, a, (a + 3) % COUNT(values), ROOT);
        assert_value(K_DIR, a, (a + 5) % COUNT(values), OWNER);
        assert_value(K_DANGLING, a, (a + 7) % COUNT(values), OWNER);
    }
    assert_wrong("10^9 nanoseconds", 0, SECOND, 0);
    assert_wrong("10^9 nanoseconds of mtime", 0, 0, SECOND);
    assert_wrong("negative nanoseconds", 0, -1, 0);
    assert_wrong("negative nanoseconds of mtime", 0, 0, -5);
    assert_wrong("unknown flags", 0x4000, 0, 0);
    assert_relatime("atime before mtime", 5 * SECOND, 6 * SECOND, true);
    assert_relatime("atime in the future", now_ns() + 1000 * SECOND, now_ns() - SECOND, false);
}
