/* suite_xattr.c -- extended attributes: values, lists, limits, and who may use which namespace */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "conform.h"

static char value[70000];

static long deed_set(struct deed *d)
{
    return sys(lsetxattr(d->a, d->b, "value", 5, (int)d->x));
}

static long deed_get(struct deed *d)
{
    return sys(lgetxattr(d->a, d->b, d->out, (size_t)d->x));
}

static long deed_remove(struct deed *d)
{
    return sys(lremovexattr(d->a, d->b));
}

static long deed_list(struct deed *d)
{
    return sys(llistxattr(d->a, d->out, (size_t)d->x));
}

static bool is_listed(const char *list, long length, const char *name)
{
    for (long i = 0; i < length; i += (long)strlen(list + i) + 1) {
        if (strcmp(list + i, name) == 0)
            return true;
    }
    return false;
}

/* ---- values ---- */

static void assert_size(enum kind kind, size_t size)
{
    static char back[70000];
    if (!beginf(ROOT, "setxattr and getxattr", "a value of %zu bytes, of %s", size,
                kind_name(kind)))
        return;
    if (offers(HAS_XATTR_USER)) {
        make(at("x"), kind, OWNED(0755));
        for (size_t i = 0; i < size; i++)
            value[i] = (char)(i * 31 + size);
        want_result(sys(setxattr(at("x"), "user.a", value, size, 0)), 0);
        want_equal("its size is asked", getxattr(at("x"), "user.a", NULL, 0), (long long)size);
        memset(back, 0x55, size + 1);
        want_equal("it is read", getxattr(at("x"), "user.a", back, sizeof(back)), (long long)size);
        want("its bytes", memcmp(back, value, size) == 0);
        if (size > 1)
            want_result(sys(getxattr(at("x"), "user.a", back, size - 1)), ERANGE);
        want_result(sys(setxattr(at("x"), "user.a", "shorter", 7, XATTR_REPLACE)), 0);
        want_equal("a shorter one takes its place", getxattr(at("x"), "user.a", back, 100), 7);
        want_result(sys(removexattr(at("x"), "user.a")), 0);
        want_result(sys(getxattr(at("x"), "user.a", back, 100)), ENODATA);
    }
    end();
}

static void assert_flags(bool is_there, int flags, int expected)
{
    if (!beginf(ROOT, flags == XATTR_CREATE ? "setxattr(XATTR_CREATE)" : "setxattr(XATTR_REPLACE)",
                "an attribute that is %sthere", is_there ? "" : "not "))
        return;
    if (offers(HAS_XATTR_USER)) {
        make(at("x"), K_FILE, OWNED(0644));
        if (is_there)
            must(sys(setxattr(at("x"), "user.a", "old", 3, 0)), "an attribute");
        want_result(sys(setxattr(at("x"), "user.a", "newer", 5, flags)), expected);
        long length = getxattr(at("x"), "user.a", value, sizeof(value));
        want_equal("its length", length, expected ? (is_there ? 3 : -1) : 5);
    }
    end();
}

static void assert_many(unsigned count)
{
    if (!beginf(ROOT, "listxattr", "%u attributes", count))
        return;
    if (offers(HAS_XATTR_USER)) {
        char name[64];
        make(at("x"), K_FILE, OWNED(0644));
        for (unsigned i = 0; i < count; i++) {
            snprintf(name, sizeof(name), "user.name%u", i);
            must(sys(setxattr(at("x"), name, &i, sizeof(i), 0)), "an attribute");
        }
        long size = listxattr(at("x"), NULL, 0);
        long length = listxattr(at("x"), value, sizeof(value));
        want_equal("the size that is asked", size, length);
        unsigned found = 0;
        unsigned right = 0;
        for (unsigned i = 0; i < count; i++) {
            unsigned number = count;
            snprintf(name, sizeof(name), "user.name%u", i);
            found += is_listed(value, length, name);
            right += getxattr(at("x"), name, &number, sizeof(number)) == 4 && number == i;
        }
        want_equal("listed", found, count);
        want_equal("with their values", right, count);
        if (size > 1)
            want_result(sys(listxattr(at("x"), value, 1)), ERANGE);
    }
    end();
}

/* ---- names ---- */

static void assert_name(const char *what, const char *name, int expected)
{
    if (!begin("setxattr", what, ROOT))
        return;
    if (offers(HAS_XATTR_USER)) {
        make(at("x"), K_FILE, OWNED(0644));
        want_result(as(ROOT, deed_set, at("x"), name, 0, 0), expected);
        long length = as(ROOT, deed_list, at("x"), NULL, 60000, 0);
        want("the list", is_listed(agent_out(), length, name) == (expected == 0));
    }
    end();
}

static void assert_names(void)
{
    static char longest[260];
    memset(longest, 'n', sizeof(longest) - 1);
    memcpy(longest, "user.", 5);
    longest[255] = '\0';
    assert_name("a name of 255 bytes", longest, 0);
    longest[255] = 'n';
    longest[256] = '\0';
    assert_name("a name of 256 bytes", longest, ERANGE);
    assert_name("an empty name", "", ERANGE);
    assert_name("a namespace and no name", "user.", EINVAL);
    assert_name("no namespace", "name", EOPNOTSUPP);
    assert_name("an unknown namespace", "nowhere.name", EOPNOTSUPP);
    assert_name("a namespace in capitals", "USER.name", EOPNOTSUPP);
    assert_name("dots in the name", "user.a.b.c", 0);
    assert_name("a slash in the name", "user.a/b", 0);
    assert_name("bytes that are no text", "user.\377\001 \n", 0);
}

static void assert_limits(void)
{
    if (!begin("setxattr", "a value of 65537 bytes", ROOT))
        return;
    if (offers(HAS_XATTR_USER)) {
        make(at("x"), K_FILE, OWNED(0644));
        want_result(sys(setxattr(at("x"), "user.a", value, 65537, 0)), E2BIG);
        want_result(sys(getxattr(at("x"), "user.a", value, 100)), ENODATA);
        want_result(sys(setxattr(at("x"), "user.a", value, 1, 0x40)), EINVAL);
    }
    end();
}

/* ---- rights ---- */

struct right {
    const char *name;
    enum feature feature;
    /* For all but root: */
    int set_by_owner;
    int set_by_other;
    int get_by_other; /* the file may be read, not written */
};

static const struct right rights[] = {
    {"user.a", HAS_XATTR_USER, 0, EACCES, 0},
    {"trusted.a", HAS_XATTR_TRUSTED, EPERM, EPERM, ENODATA},
    {"security.a", HAS_XATTR_SECURITY, EPERM, EPERM, 0},
};

static void assert_right(const struct right *right, enum caller who)
{
    if (!beginf(who, "setxattr, getxattr, removexattr", "%s of a file of mode 0644", right->name))
        return;
    if (offers(right->feature)) {
        int set = who == ROOT ? 0 : who == OWNER ? right->set_by_owner : right->set_by_other;
        make(at("x"), K_FILE, OWNED(0644));
        want_result(as(who, deed_set, at("x"), right->name, 0, 0), set);
        must(sys(setxattr(at("x"), right->name, "value", 5, 0)), "an attribute");
        int get = who == ROOT ? 0 : right->get_by_other;
        want("getxattr", as(who, deed_get, at("x"), right->name, 100, 0) == (get ? -get : 5));
        long length = as(who, deed_list, at("x"), NULL, 60000, 0);
        bool is_hidden = who != ROOT && right->feature == HAS_XATTR_TRUSTED;
        want(is_hidden ? "it is not listed" : "it is listed",
             is_listed(agent_out(), length, right->name) == !is_hidden);
        wantf(as(who, deed_remove, at("x"), right->name, 0, 0) == -set, "removexattr gives %s",
              error_name(-set));
    }
    end();
}

static void assert_mode(mode_t mode, enum caller who)
{
    unsigned bits = who == OTHER ? mode & 7 : who == OWNER ? mode >> 6 & 7 : mode >> 3 & 7;
    if (!beginf(who, "user attributes", "a file of mode %04o", mode))
        return;
    if (offers(HAS_XATTR_USER)) {
        make(at("x"), K_FILE, OWNED(0600));
        must(sys(setxattr(at("x"), "user.a", "value", 5, 0)), "an attribute");
        must(sys(chmod(at("x"), mode)), "a mode");
        want_result(as(who, deed_set, at("x"), "user.b", 0, 0),
                    who == ROOT || (bits & 2) ? 0 : EACCES);
        long got = as(who, deed_get, at("x"), "user.a", 100, 0);
        want("getxattr", got == (who == ROOT || (bits & 4) ? 5 : -EACCES));
        want("listxattr", as(who, deed_list, at("x"), NULL, 60000, 0) >= 0);
    }
    end();
}

/* user. attributes are for files and directories; of sticky directories for their owner. */
static void assert_kind(enum kind kind, enum caller who)
{
    bool may = kind == K_FILE || kind_is_dir(kind);
    if (!beginf(who, "setxattr of user.a", "%s", kind_name(kind)))
        return;
    if (offers(HAS_XATTR_USER)) {
        make(at("x"), kind, OWNED(0777));
        want_result(as(who, deed_set, at("x"), "user.a", 0, 0), may ? 0 : EPERM);
        want("getxattr", as(who, deed_get, at("x"), "user.a", 100, 0) == (may ? 5 : -ENODATA));
    }
    end();
}

static void assert_trusted_kind(enum kind kind)
{
    if (!beginf(ROOT, "setxattr of trusted.a", "%s", kind_name(kind)))
        return;
    if (offers(HAS_XATTR_TRUSTED)) {
        make(at("x"), kind, OWNED(0777));
        want_result(as(ROOT, deed_set, at("x"), "trusted.a", 0, 0), 0);
        want_equal("getxattr", as(ROOT, deed_get, at("x"), "trusted.a", 100, 0), 5);
        want_result(as(ROOT, deed_remove, at("x"), "trusted.a", 0, 0), 0);
    }
    end();
}

static void assert_sticky(enum caller who)
{
    if (!begin("setxattr of user.a", "a sticky directory", who))
        return;
    if (offers(HAS_XATTR_USER)) {
        make(at("x"), K_DIR, OWNED(01777));
        want_result(as(who, deed_set, at("x"), "user.a", 0, 0),
                    who == ROOT || who == OWNER ? 0 : EPERM);
    }
    end();
}

/* Attributes follow the inode. */
static void assert_followed(void)
{
    if (!begin("getxattr", "after link, rename and unlink", ROOT))
        return;
    if (offers(HAS_XATTR_USER)) {
        make(at("x"), K_FILE, OWNED(0644));
        must(sys(setxattr(at("x"), "user.a", "value", 5, 0)), "an attribute");
        must(sys(link(at("x"), at("y"))), "a link");
        want_equal("by the other name", getxattr(at("y"), "user.a", value, 100), 5);
        must(sys(rename(at("y"), at("z"))), "a rename");
        must(sys(unlink(at("x"))), "an unlink");
        want_equal("by the new name", getxattr(at("z"), "user.a", value, 100), 5);
        make(at("x"), K_FILE, OWNED(0644));
        want_result(sys(getxattr(at("x"), "user.a", value, 100)), ENODATA);
        must(sys(rename(at("x"), at("z"))), "a rename");
        want_result(sys(getxattr(at("z"), "user.a", value, 100)), ENODATA);
    }
    end();
}

void suite_xattr(void)
{
    static const size_t sizes[] = {0, 1, 10, 100, 255, 256, 1000, 3000};
    static const mode_t modes[] = {0644, 0600, 0444, 0222, 0000, 0060, 0006, 0777};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        assert_size(K_FILE, sizes[i]);
        assert_size(K_DIR, sizes[i]);
    }
    assert_flags(false, XATTR_CREATE, 0);
    assert_flags(true, XATTR_CREATE, EEXIST);
    assert_flags(false, XATTR_REPLACE, ENODATA);
    assert_flags(true, XATTR_REPLACE, 0);
    assert_many(0);
    assert_many(1);
    assert_many(20);
    assert_many(80);
    assert_names();
    assert_limits();
    for (enum caller who = ROOT; who < CALLER_COUNT; who++) {
        for (size_t i = 0; i < COUNT(rights); i++)
            assert_right(&rights[i], who);
        for (size_t m = 0; m < COUNT(modes); m++)
            assert_mode(modes[m], who);
        for (enum kind kind = K_FILE; kind < KIND_COUNT && who <= OWNER; kind++)
            assert_kind(kind, who);
        assert_sticky(who);
    }
    for (enum kind kind = K_FILE; kind < KIND_COUNT; kind++)
        assert_trusted_kind(kind);
    assert_followed();
}
