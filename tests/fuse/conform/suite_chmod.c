/* suite_chmod.c -- who may change a mode, to what, and what becomes of the set-id bits */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

static const enum kind kinds[] = {K_FILE, K_DIR, K_FIFO, K_SOCKET, K_CHAR, K_BLOCK};

/* All modes, as their owner sets them, and root. */
static void assert_all_modes(void)
{
    for (mode_t mode = 0; mode < 010000; mode += mode % 7 == 3 ? 6 : 1) {
        enum caller who = mode & 1 ? ROOT : OWNER;
        enum kind kind = kinds[mode % COUNT(kinds)];
        if (!beginf(who, "chmod", "%s to mode %04o", kind_name(kind), mode))
            continue;
        make(at("x"), kind, OWNED(0700));
        want_result(as(who, do_chmod, at("x"), NULL, (long)mode, 0), 0);
        struct look seen = look(at("x"));
        want_equal("the mode is set", seen.mode & 07777, mode);
        want_equal("the type stays", seen.mode & S_IFMT, kind_type(kind));
        end();
    }
}

struct way {
    const char *name;
    long (*run)(struct deed *);
    bool is_by_fd;
    bool is_by_link;
};

static const struct way ways[] = {
    {"chmod", do_chmod, false, false},
    {"fchmod", do_fchmod, true, false},
    {"chmod through a link", do_chmod, false, true},
};

static void assert_right(const struct way *way, enum kind kind, bool is_own, enum caller who)
{
    uint32_t owner = is_own ? caller_uid(who) : who == OWNER ? STRANGE_UID : OWNER_UID;
    bool may = who == ROOT || is_own;
    if (!beginf(who, way->name, "%s of %s", kind_name(kind), is_own ? "the caller" : "another"))
        return;
    make(at("x"), kind, (struct who){0777, owner, GROUP_GID});
    must(sys(symlink("x", at("l"))), "a link");
    tick_if_coarse();
    struct look before = look(at("x"));
    want_result(as(who, way->run, at(way->is_by_link ? "l" : "x"), NULL, 0640, 0), may ? 0 : EPERM);
    struct look after = look(at("x"));
    if (may)
        want_equal("the mode is set", after.mode & 07777, 0640);
    else
        want("nothing has changed", same(&before, &after));
    end();
}

/* S_ISGID goes if the caller is not in the object's group, whatever its type. */
static void assert_setgid(enum kind kind, uint32_t gid, mode_t mode, enum caller who)
{
    bool is_kept = who == ROOT || caller_in_group(who, gid);
    mode_t wanted = is_kept ? mode : mode & ~(mode_t)02000;
    if (!beginf(who, "chmod of set-id bits", "%s of group %u to mode %04o", kind_name(kind), gid,
                mode))
        return;
    make(at("x"), kind, (struct who){0755, caller_uid(who), gid});
    want_result(as(who, do_chmod, at("x"), NULL, (long)mode, 0), 0);
    want_equal("the mode", look(at("x")).mode & 07777, wanted);
    end();
}

/* A mode that is set holds at once, also for what is open. */
static long deed_write_after_chmod(struct deed *d)
{
    int fd = open(d->a, O_RDWR | O_CLOEXEC);
    long result = fd < 0 ? sys(fd) : sys(fchmod(fd, 0));
    if (result == 0)
        result = sys(write(fd, "x", 1));
    if (fd >= 0)
        close(fd);
    return result;
}

static void assert_open(enum caller who)
{
    if (!begin("fchmod, then write", "an open file", who))
        return;
    make(at("x"), K_FILE, (struct who){0600, caller_uid(who), caller_gid(who)});
    want_result(as(who, deed_write_after_chmod, at("x"), NULL, 0, 0), 0);
    want_result(as(who, do_open, at("x"), NULL, O_RDONLY, 0), who == ROOT ? 0 : EACCES);
    end();
}

void suite_chmod(void)
{
    static const mode_t modes[] = {02755, 06755, 02644, 04755, 01755, 07777, 02000};
    static const uint32_t gids[] = {GROUP_GID, OWNER2_GID, STRANGE_GID};
    assert_all_modes();
    for (enum caller who = ROOT; who < CALLER_COUNT; who++) {
        for (size_t k = 0; k < COUNT(kinds); k++) {
            for (size_t w = 0; w < COUNT(ways); w++) {
                if (ways[w].is_by_fd && kinds[k] > K_FIFO)
                    continue;
                assert_right(&ways[w], kinds[k], true, who);
                if (who != ROOT)
                    assert_right(&ways[w], kinds[k], false, who);
            }
            for (size_t g = 0; g < COUNT(gids); g++) {
                for (size_t m = 0; m < COUNT(modes); m++)
                    assert_setgid(kinds[k], gids[g], modes[m], who);
            }
        }
        assert_open(who);
    }
}
