/* suite_links.c -- hard links and symbolic links: counts, limits, targets */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

/* ---- hard links ---- */

static void assert_count(enum kind kind, unsigned links, enum caller who)
{
    if (!beginf(who, "link", "%s gets %u names", kind_name(kind), links))
        return;
    make(at("x"), kind, OWNED(0644));
    long result = 0;
    for (unsigned i = 1; i < links && result == 0; i++)
        result = as(who, do_link, at("x"), atf("l%u", i), 0, 0);
    want_result(result, 0);
    struct look first = look(at("x"));
    struct look last = look(atf("l%u", links - 1));
    want_equal("the count", first.nlink, links);
    want("the names are of one inode", same(&first, &last));
    for (unsigned i = 1; i < links - 1; i++)
        result = result ? result : as(who, do_unlink, atf("l%u", i), NULL, 0, 0);
    want_equal("the count after removal", look(at("x")).nlink, 2);
    want_result(as(who, do_unlink, at("x"), NULL, 0, 0), 0);
    want_equal("the last name's count", look(atf("l%u", links - 1)).nlink, 1);
    end();
}

static void assert_of_symlink(bool is_followed, enum caller who)
{
    if (!beginf(who, "linkat", "a symbolic link%s", is_followed ? ", followed" : ""))
        return;
    make(at("x"), K_LINK, OWNED(0644));
    want_result(as(who, do_link, at("x"), at("y"), is_followed ? AT_SYMLINK_FOLLOW : 0, 0), 0);
    uint64_t ino = look(at(is_followed ? "x.target" : "x")).ino;
    want_equal("the new name's inode", (long long)look(at("y")).ino, (long long)ino);
    want_equal("links of the symbolic link", look(at("x")).nlink, is_followed ? 1 : 2);
    want_equal("links of its target", look(at("x.target")).nlink, is_followed ? 2 : 1);
    end();
}

static bool is_protected(void)
{
    char text[8] = "0";
    int fd = open("/proc/sys/fs/protected_hardlinks", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, text, 1) < 0)
        text[0] = '0';
    if (fd >= 0)
        close(fd);
    return text[0] != '0';
}

/* protected_hardlinks: others may only link what they may read and write. */
static void assert_protected(mode_t mode, enum kind kind, enum caller who)
{
    bool is_safe = kind == K_FILE && (mode & 0006) == 0006 && !(mode & 04000);
    bool may = who == ROOT || is_safe || !is_protected();
    if (!beginf(who, "link", "another's object: %s of mode %04o", kind_name(kind), mode))
        return;
    make(at("x"), kind, (struct who){mode, STRANGE_UID, STRANGE_GID});
    want_result(as(who, do_link, at("x"), at("y"), 0, 0), may ? 0 : EPERM);
    want_equal("links", look(at("x")).nlink, may ? 2 : 1);
    end();
}

static void assert_limit(void)
{
    if (!begin("link", "as many names as there may be", ROOT))
        return;
    if (offers(HAS_LINK_LIMIT)) {
        make(at("x"), K_FILE, ROOTS(0644));
        long limit = link_max(at("x"));
        long made = 1;
        while (made < limit && link(at("x"), atf("l%ld", made)) == 0)
            made++;
        want_equal("names that could be made", made, limit);
        want_equal("the count", look(at("x")).nlink, limit);
        want_result(as(ROOT, do_link, at("x"), at("more"), 0, 0), EMLINK);
        want_equal("the count stays", look(at("x")).nlink, limit);
        want_result(as(ROOT, do_unlink, at("l1"), NULL, 0, 0), 0);
        want_result(as(ROOT, do_link, at("x"), at("again"), 0, 0), 0);
    }
    end();
}

static long deed_link_fd(struct deed *d)
{
    char name[64];
    int fd = open(d->a, O_RDWR | O_CLOEXEC);
    if (d->x)
        unlink(d->a);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    long result = sys(linkat(AT_FDCWD, name, AT_FDCWD, d->b, AT_SYMLINK_FOLLOW));
    close(fd);
    return result;
}

static void assert_by_fd(bool is_unlinked)
{
    if (!beginf(ROOT, "linkat", "an open file %s", is_unlinked ? "without a name" : "with a name"))
        return;
    make(at("x"), K_FILE, ROOTS(0644));
    want_result(as(ROOT, deed_link_fd, at("x"), at("y"), is_unlinked, 0), is_unlinked ? ENOENT : 0);
    want("the new name", look(at("y")).is_there == !is_unlinked);
    end();
}

static void assert_flags(int flags)
{
    if (!beginf(ROOT, "linkat", "the unknown flags %x", (unsigned)flags))
        return;
    make(at("x"), K_FILE, ROOTS(0644));
    want_result(as(ROOT, do_link, at("x"), at("y"), flags, 0), EINVAL);
    end();
}

/* ---- directories ---- */

static void assert_subdirectories(unsigned count, enum caller who)
{
    if (!beginf(who, "mkdir and rmdir", "%u directories in one", count))
        return;
    make(at("p"), K_DIR, OWNED(0755));
    want_equal("links of an empty one", look(at("p")).nlink, 2);
    long result = 0;
    for (unsigned i = 0; i < count && result == 0; i++)
        result = as(who, do_mkdir, atf("p/%u", i), NULL, 0755, 0);
    want_result(result, 0);
    want_equal("links of a full one", look(at("p")).nlink, 2 + count);
    make(at("p/file"), K_FILE, OWNED(0644));
    want_equal("links do not count files", look(at("p")).nlink, 2 + count);
    for (unsigned i = 0; i < count && result == 0; i++)
        result = as(who, do_rmdir, atf("p/%u", i), NULL, 0, 0);
    want_result(result, 0);
    want_equal("links of the one that is left", look(at("p")).nlink, 2);
    end();
}

/* ---- symbolic links ---- */

static long deed_readlink(struct deed *d)
{
    return sys(readlink(d->a, d->out, (size_t)d->x));
}

static void assert_target(size_t length, enum caller who)
{
    char *target = malloc(length + 1);
    if (beginf(who, "symlink and readlink", "a target of %zu bytes", length)) {
        for (size_t i = 0; i < length; i++)
            target[i] = i % 100 == 99 ? '/' : (char)('a' + i % 26);
        target[length] = '\0';
        want_result(as(who, do_symlink, at("x"), target, 0, 0),
                    length < PATH_MAX ? 0 : ENAMETOOLONG);
        if (length < PATH_MAX) {
            want_equal("its length", as(who, deed_readlink, at("x"), NULL, 8192, 0), (long)length);
            want("its bytes", memcmp(agent_out(), target, length) == 0);
            want_equal("its size", (long long)look(at("x")).size, (long long)length);
            want_equal("its mode", look(at("x")).mode, S_IFLNK | 0777);
            want_equal("a part of it", as(who, deed_readlink, at("x"), NULL, 1, 0), 1);
        } else {
            want("nothing is made", !look(at("x")).is_there);
        }
        end();
    }
    free(target);
}

static void assert_empty_target(enum caller who)
{
    if (!begin("symlink", "an empty target", who))
        return;
    want_result(as(who, do_symlink, at("x"), "", 0, 0), ENOENT);
    want("nothing is made", !look(at("x")).is_there);
    end();
}

static void assert_readlink_size(long size)
{
    if (!beginf(ROOT, "readlink", "a buffer of %ld bytes", size))
        return;
    make(at("x"), K_DANGLING, ROOTS(0));
    want_result(as(ROOT, deed_readlink, at("x"), NULL, size, 0), size > 0 ? 0 : EINVAL);
    end();
}

/* Links are followed where they are, from where they are, and relative to nothing else. */
static void assert_followed(const char *name, const char *target, int expected, enum caller who)
{
    if (!begin("open through a link", name, who))
        return;
    make(at("p"), K_DIR, OWNED(0755));
    make(at("q"), K_DIR, OWNED(0755));
    make(at("q/file"), K_FILE, OWNED(0644));
    must(sys(symlink(target, at("p/l"))), "a link");
    want_result(as(who, do_open, at("p/l"), NULL, O_RDONLY, 0), expected);
    end();
}

static void assert_created_through(enum caller who)
{
    if (!begin("open(O_CREAT) through a link", "its target is missing", who))
        return;
    make(at("x"), K_DANGLING, OWNED(0));
    want_result(as(who, do_open, at("x"), NULL, O_CREAT | O_WRONLY, 0640), 0);
    struct look made = look(at("x.target"));
    want("the target is made", made.is_there && S_ISREG(made.mode));
    want_equal("the target's mode", made.mode & 07777, 0640);
    want("the link stays", S_ISLNK(look(at("x")).mode));
    end();
}

void suite_links(void)
{
    static const enum kind kinds[] = {K_FILE, K_FIFO, K_SOCKET, K_CHAR, K_DANGLING};
    static const size_t lengths[] = {1,    2,    59,   60,   61,   100,  191,  192,  255, 256,
                                     1000, 1023, 1024, 2047, 4000, 4094, 4095, 4096, 5000};
    static const mode_t modes[] = {0666, 0644, 0622, 0600, 04666, 0777};
    for (enum caller who = ROOT; who <= OWNER; who++) {
        for (size_t k = 0; k < COUNT(kinds); k++) {
            assert_count(kinds[k], 3, who);
            assert_count(kinds[k], 40, who);
        }
        assert_of_symlink(false, who);
        assert_of_symlink(true, who);
        for (size_t i = 0; i < COUNT(lengths); i++)
            assert_target(lengths[i], who);
        assert_empty_target(who);
        assert_subdirectories(3, who);
        assert_subdirectories(200, who);
        assert_followed("relative to the link", "../q/file", 0, who);
        assert_followed("relative to another directory", "q/file", ENOENT, who);
        assert_followed("by slashes and dots", ".././/p/..//q/./file", 0, who);
        assert_followed("to a file, with a slash", "../q/file/", ENOTDIR, who);
        assert_followed("to itself by a directory", "../p/l", ELOOP, who);
        assert_created_through(who);
    }
    for (enum caller who = ROOT; who < CALLER_COUNT; who += OTHER) {
        for (size_t m = 0; m < COUNT(modes); m++) {
            assert_protected(modes[m], K_FILE, who);
            assert_protected(modes[m], K_FIFO, who);
        }
    }
    assert_limit();
    assert_by_fd(false);
    assert_by_fd(true);
    assert_flags(0x20000);
    assert_flags(AT_REMOVEDIR);
    assert_readlink_size(0);
    assert_readlink_size(3);
}
