/* suite_acl.c -- POSIX access control lists: what they allow, the mode beside them, inheritance */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "conform.h"

#define ACCESS      "system.posix_acl_access"
#define DEFAULT     "system.posix_acl_default"
#define ACL_VERSION 2u

enum tag { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP_TAG = 8, MASK = 16, OTHER_TAG = 32 };

struct entry {
    uint16_t tag;
    uint16_t bits;
    uint32_t id;
};

struct acl {
    uint32_t version;
    struct entry entries[8];
};

#define NO_ID            UINT32_MAX
#define ACL_BYTES(count) (sizeof(uint32_t) + (count) * sizeof(struct entry))

static size_t build(struct acl *acl, const struct entry *entries, size_t count)
{
    acl->version = ACL_VERSION;
    memcpy(acl->entries, entries, count * sizeof(*entries));
    return ACL_BYTES(count);
}

/* u::rw- user:other:BITS g::GROUP mask::MASK o::- */
static size_t usual(struct acl *acl, unsigned named, unsigned group, unsigned mask)
{
    const struct entry entries[] = {
        {USER_OBJ, 6, NO_ID},
        {USER, (uint16_t)named, OTHER_UID},
        {GROUP_OBJ, (uint16_t)group, NO_ID},
        {MASK, (uint16_t)mask, NO_ID},
        {OTHER_TAG, 0, NO_ID},
    };
    return build(acl, entries, COUNT(entries));
}

static int may(unsigned bits, unsigned asked)
{
    return (bits & asked) == asked ? 0 : EACCES;
}

/* ---- what is allowed ---- */

static void assert_allowed(unsigned named, unsigned group, unsigned mask, enum caller who)
{
    struct acl acl;
    unsigned bits = who == ROOT || who == OWNER ? 6 : who == OTHER ? named & mask : group & mask;
    if (!beginf(who, "open by an ACL", "named user %o, group %o, mask %o", named, group, mask))
        return;
    if (offers(HAS_ACL)) {
        make(at("x"), K_FILE, OWNED(0600));
        size_t length = usual(&acl, named, group, mask);
        want_result(sys(setxattr(at("x"), ACCESS, &acl, length, 0)), 0);
        want_equal("the group's bits are the mask", look(at("x")).mode & 07777, 0600 | mask << 3);
        wantf(as(who, do_open, at("x"), NULL, O_RDONLY, 0) == -may(bits, 4), "O_RDONLY gives %s",
              error_name(-may(bits, 4)));
        wantf(as(who, do_open, at("x"), NULL, O_WRONLY, 0) == -may(bits, 2), "O_WRONLY gives %s",
              error_name(-may(bits, 2)));
        wantf(as(who, do_open, at("x"), NULL, O_RDWR, 0) == -may(bits, 6), "O_RDWR gives %s",
              error_name(-may(bits, 6)));
    }
    end();
}

/* A member of several groups gets what one of them allows, but nothing of what others have. */
static void assert_groups(unsigned own, unsigned named, unsigned other)
{
    struct acl acl;
    const struct entry entries[] = {
        {USER_OBJ, 6, NO_ID},
        {GROUP_OBJ, (uint16_t)own, NO_ID},
        {GROUP_TAG, (uint16_t)named, 62010},
        {MASK, 7, NO_ID},
        {OTHER_TAG, (uint16_t)other, NO_ID},
    };
    if (!beginf(SUPP, "open by an ACL", "own group %o, another group %o, others %o", own, named,
                other))
        return;
    if (offers(HAS_ACL)) {
        make(at("x"), K_FILE, OWNED(0600));
        size_t length = build(&acl, entries, COUNT(entries));
        want_result(sys(setxattr(at("x"), ACCESS, &acl, length, 0)), 0);
        int both = (own & 6) == 6 || (named & 6) == 6 ? 0 : EACCES;
        wantf(as(SUPP, do_open, at("x"), NULL, O_RDONLY, 0) == -may(own | named, 4),
              "O_RDONLY gives %s", error_name(-may(own | named, 4)));
        wantf(as(SUPP, do_open, at("x"), NULL, O_RDWR, 0) == -both, "O_RDWR gives %s",
              error_name(-both));
        want_equal("others are others", as(OTHER, do_open, at("x"), NULL, O_RDONLY, 0) >= 0,
                   (other & 4) != 0);
    }
    end();
}

/* ---- the mode ---- */

static void assert_chmod(mode_t mode)
{
    struct acl acl;
    struct acl back;
    if (!beginf(ROOT, "chmod of an object with an ACL", "mode %04o", mode))
        return;
    if (offers(HAS_ACL)) {
        make(at("x"), K_FILE, OWNED(0600));
        size_t length = usual(&acl, 7, 5, 7);
        must(sys(setxattr(at("x"), ACCESS, &acl, length, 0)), "an ACL");
        want_result(as(ROOT, do_chmod, at("x"), NULL, (long)mode, 0), 0);
        want_equal("its length", getxattr(at("x"), ACCESS, &back, sizeof(back)), (long long)length);
        want_equal("the owner's entry", back.entries[0].bits, mode >> 6 & 7);
        want_equal("the named user's entry", back.entries[1].bits, 7);
        want_equal("the group's entry", back.entries[2].bits, 5);
        want_equal("the mask", back.entries[3].bits, mode >> 3 & 7);
        want_equal("the others' entry", back.entries[4].bits, mode & 7);
    }
    end();
}

/* An ACL that says no more than a mode is one. */
static void assert_minimal(mode_t mode)
{
    struct acl acl;
    const struct entry entries[] = {{USER_OBJ, (uint16_t)(mode >> 6 & 7), NO_ID},
                                    {GROUP_OBJ, (uint16_t)(mode >> 3 & 7), NO_ID},
                                    {OTHER_TAG, (uint16_t)(mode & 7), NO_ID}};
    if (!beginf(ROOT, "setxattr of an ACL", "the three entries of mode %04o", mode))
        return;
    if (offers(HAS_ACL)) {
        make(at("x"), K_FILE, OWNED(0600));
        want_result(sys(setxattr(at("x"), ACCESS, &acl, build(&acl, entries, 3), 0)), 0);
        want_equal("the mode", look(at("x")).mode & 07777, mode);
        want_result(sys(getxattr(at("x"), ACCESS, &acl, sizeof(acl))), ENODATA);
    }
    end();
}

/* ---- inheritance ---- */

struct heir {
    const char *name;
    enum kind kind;
    mode_t mode;
    mode_t mask;
};

static const struct heir heirs[] = {
    {"a file", K_FILE, 0666, 022},     {"a file", K_FILE, 0777, 077},
    {"a file", K_FILE, 0600, 0},       {"a file", K_FILE, 0, 0},
    {"a directory", K_DIR, 0777, 022}, {"a directory", K_DIR, 0700, 077},
    {"a fifo", K_FIFO, 0666, 077},     {"a file", K_FILE, 0640, 0777},
};

static long make_heir(struct deed *d)
{
    mode_t old = umask((mode_t)d->z);
    long result = d->x == K_DIR ? sys(mkdir(d->a, (mode_t)d->y))
                  : d->x == K_FIFO
                      ? sys(mkfifo(d->a, (mode_t)d->y))
                      : sys(open(d->a, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, (mode_t)d->y));
    umask(old);
    if (result > 0)
        close((int)result);
    return result;
}

static void assert_heir(const struct heir *heir, enum caller who)
{
    struct acl acl;
    struct acl back = {0};
    if (!beginf(who, "inheritance of an ACL", "%s of mode %04o, umask %04o", heir->name, heir->mode,
                heir->mask))
        return;
    if (offers(HAS_ACL)) {
        make(at("d"), K_DIR, (struct who){0777, STRANGE_UID, STRANGE_GID});
        size_t length = usual(&acl, 7, 5, 6);
        want_result(sys(setxattr(at("d"), DEFAULT, &acl, length, 0)), 0);
        agent_more((long)heir->mask);
        want_result(as(who, make_heir, at("d/x"), NULL, heir->kind, (long)heir->mode), 0);
        /* The umask does not count; the mode cuts the owner, the mask and the others down. */
        want_equal("the mode", look(at("d/x")).mode & 07777, heir->mode & (0600 | 6 << 3));
        want_equal("its ACL", getxattr(at("d/x"), ACCESS, &back, sizeof(back)), (long long)length);
        want_equal("the named user's entry", back.entries[1].bits, 7);
        want_equal("the group's entry", back.entries[2].bits, 5);
        want_equal("the mask", back.entries[3].bits, heir->mode >> 3 & 6);
        long inherited = getxattr(at("d/x"), DEFAULT, &back, sizeof(back));
        want("the default ACL goes on to directories",
             heir->kind == K_DIR ? inherited == (long)length && memcmp(&back, &acl, length) == 0
                                 : inherited < 0);
    }
    end();
}

/* ---- what is no ACL, and who may set one ---- */

static void assert_wrong(const char *name, const struct entry *entries, size_t count, int expected)
{
    struct acl acl;
    if (!begin("setxattr of an ACL", name, ROOT))
        return;
    if (offers(HAS_ACL)) {
        make(at("x"), K_FILE, OWNED(0640));
        want_result(sys(setxattr(at("x"), ACCESS, &acl, build(&acl, entries, count), 0)), expected);
        want_equal("the mode stays", look(at("x")).mode & 07777, 0640);
    }
    end();
}

static void assert_wrongs(void)
{
    const struct entry no_mask[] = {
        {USER_OBJ, 6, NO_ID}, {USER, 6, 5}, {GROUP_OBJ, 4, NO_ID}, {OTHER_TAG, 0, NO_ID}};
    const struct entry no_owner[] = {{GROUP_OBJ, 4, NO_ID}, {OTHER_TAG, 0, NO_ID}};
    const struct entry twice[] = {
        {USER_OBJ, 6, NO_ID}, {USER_OBJ, 6, NO_ID}, {GROUP_OBJ, 4, NO_ID}, {OTHER_TAG, 0, NO_ID}};
    const struct entry bits[] = {
        {USER_OBJ, 8, NO_ID}, {GROUP_OBJ, 4, NO_ID}, {OTHER_TAG, 0, NO_ID}};
    const struct entry tag[] = {{USER_OBJ, 6, NO_ID}, {GROUP_OBJ, 4, NO_ID}, {64, 0, NO_ID}};
    assert_wrong("a named user without a mask", no_mask, COUNT(no_mask), EINVAL);
    assert_wrong("no owner", no_owner, COUNT(no_owner), EINVAL);
    assert_wrong("the owner twice", twice, COUNT(twice), EINVAL);
    assert_wrong("unknown bits", bits, COUNT(bits), EINVAL);
    assert_wrong("an unknown tag", tag, COUNT(tag), EINVAL);
}

static long deed_set(struct deed *d)
{
    struct acl acl;
    size_t length = usual(&acl, 7, 5, 7);
    return sys(setxattr(d->a, d->x ? DEFAULT : ACCESS, &acl, length, 0));
}

static void assert_right(enum kind kind, bool is_default, enum caller who)
{
    bool may_set = who == ROOT || who == OWNER;
    int expected = !may_set ? EPERM : is_default && kind != K_DIR ? EACCES : 0;
    if (!beginf(who, is_default ? "setxattr of a default ACL" : "setxattr of an ACL", "%s",
                kind_name(kind)))
        return;
    if (offers(HAS_ACL)) {
        make(at("x"), kind, OWNED(0777));
        long result = as(who, deed_set, at("x"), NULL, is_default, 0);
        if (is_default && kind != K_DIR && !may_set)
            want("EPERM or EACCES", result == -EPERM || result == -EACCES);
        else
            want_result(result, expected);
    }
    end();
}

/* Who is not in the group loses the set-gid bit when an ACL is set. */
static void assert_setgid(uint32_t gid, bool is_kept)
{
    if (!beginf(OWNER, "setxattr of an ACL", "a set-gid file of group %u", gid))
        return;
    if (offers(HAS_ACL)) {
        make(at("x"), K_FILE, (struct who){02770, OWNER_UID, gid});
        want_result(as(OWNER, deed_set, at("x"), NULL, 0, 0), 0);
        want_equal("the set-gid bit", (look(at("x")).mode & 02000) != 0, is_kept);
    }
    end();
}

static void assert_removed(void)
{
    struct acl acl;
    if (!begin("removexattr of an ACL", "a file", ROOT))
        return;
    if (offers(HAS_ACL)) {
        make(at("x"), K_FILE, OWNED(0600));
        must(sys(setxattr(at("x"), ACCESS, &acl, usual(&acl, 7, 5, 7), 0)), "an ACL");
        want_equal("the named user reads", as(OTHER, do_open, at("x"), NULL, O_RDONLY, 0), 0);
        want_result(sys(removexattr(at("x"), ACCESS)), 0);
        want_result(as(OTHER, do_open, at("x"), NULL, O_RDONLY, 0), EACCES);
        want_result(sys(getxattr(at("x"), ACCESS, &acl, sizeof(acl))), ENODATA);
    }
    end();
}

void suite_acl(void)
{
    static const unsigned bits[] = {0, 2, 4, 6, 7};
    for (size_t n = 0; n < COUNT(bits); n++) {
        for (size_t g = 0; g < COUNT(bits); g++) {
            for (size_t m = 0; m < COUNT(bits); m++) {
                for (enum caller who = OWNER; who < CALLER_COUNT; who++)
                    assert_allowed(bits[n], bits[g], bits[m], who);
            }
            assert_groups(bits[n], bits[g], 4);
            assert_groups(bits[n], bits[g], 0);
        }
    }
    for (mode_t mode = 0; mode < 01000; mode += 31) {
        assert_chmod(mode);
        assert_minimal(mode);
    }
    for (size_t i = 0; i < COUNT(heirs); i++) {
        assert_heir(&heirs[i], ROOT);
        assert_heir(&heirs[i], OTHER);
    }
    assert_wrongs();
    for (enum caller who = ROOT; who < CALLER_COUNT; who++) {
        assert_right(K_FILE, false, who);
        assert_right(K_DIR, false, who);
        assert_right(K_DIR, true, who);
        assert_right(K_FILE, true, who);
    }
    assert_setgid(GROUP_GID, true);
    assert_setgid(STRANGE_GID, false);
    assert_removed();
}
