/* suite_chown.c -- who may give an object to whom, and what becomes of its set-id bits then */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

#define KEEP (-1L)

static const long uids[] = {KEEP, OWNER_UID, STRANGE_UID, 0};
static const long gids[] = {KEEP, GROUP_GID, OWNER2_GID, STRANGE_GID, 0};

/* The object belongs to OWNER_UID and GROUP_GID. */
static bool may_chown(enum caller who, long uid, long gid)
{
    bool is_owner = who == OWNER;
    bool uid_fits = uid == KEEP || (is_owner && uid == OWNER_UID);
    bool gid_fits = gid == KEEP || (is_owner && caller_in_group(who, (uint32_t)gid));
    return who == ROOT || (uid_fits && gid_fits);
}

/* A set-gid bit without execution for the group marks no program: root and members keep it. */
static mode_t mode_after(mode_t mode, enum kind kind, enum caller who)
{
    if (kind_is_dir(kind))
        return mode;
    bool is_member = who == ROOT || caller_in_group(who, GROUP_GID);
    mode_t left = mode & ~(mode_t)04000;
    if ((mode & 00010) || !is_member)
        left &= ~(mode_t)02000;
    return left;
}

static const char *id_name(long id)
{
    static char text[2][24];
    static unsigned turn;
    turn = (turn + 1) % 2;
    snprintf(text[turn], sizeof(text[turn]), id == KEEP ? "-1" : "%ld", id);
    return text[turn];
}

struct way {
    const char *name;
    long (*run)(struct deed *);
    long flags;
    const char *path;
};

static const struct way ways[] = {
    {"chown", do_chown, 0, "x"},
    {"lchown", do_chown, AT_SYMLINK_NOFOLLOW, "x"},
    {"fchown", do_fchown, 0, "x"},
    {"chown through a link", do_chown, 0, "l"},
};

static void prepare(enum kind kind)
{
    make(at("x"), kind, OWNED(0755));
    must(sys(symlink("x", at("l"))), "a link");
}

/* Calls that fail share an object of each kind, which is older than a tick. */
static const char *shared_name(enum kind kind)
{
    static char name[32];
    snprintf(name, sizeof(name), "chown.%d", (int)kind);
    return name;
}

static void make_shared(enum kind kind)
{
    case_share(shared_name(kind));
    if (look(case_directory()).is_there)
        return;
    make(case_directory(), K_DIR, ROOTS(0777));
    prepare(kind);
}

static void assert_chown(const struct way *way, enum kind kind, enum caller who, long uid, long gid)
{
    bool may = may_chown(who, uid, gid);
    if (!beginf(who, way->name, "%s to %s and %s", kind_name(kind), id_name(uid), id_name(gid)))
        return;
    if (may)
        prepare(kind);
    else
        make_shared(kind);
    struct look before = look(at("x"));
    agent_more(way->flags);
    want_result(as(who, way->run, at(way->path), NULL, uid, gid), may ? 0 : EPERM);
    struct look after = look(at("x"));
    if (may) {
        want_equal("uid", after.uid, uid == KEEP ? OWNER_UID : uid);
        want_equal("gid", after.gid, gid == KEEP ? GROUP_GID : gid);
        want_equal("the mode stays", after.mode, before.mode);
    } else if (!want("nothing has changed", same(&before, &after))) {
        remove_tree(case_directory());
    }
    end();
}

static void assert_setid(enum kind kind, mode_t mode, enum caller who, long uid, long gid)
{
    if (!beginf(who, "chown of set-id bits", "%s of mode %04o to %s and %s", kind_name(kind), mode,
                id_name(uid), id_name(gid)))
        return;
    make(at("x"), kind, OWNED(mode));
    want_result(as(who, do_chown, at("x"), NULL, uid, gid), 0);
    want_equal("the mode", look(at("x")).mode & 07777, mode_after(mode, kind, who));
    end();
}

static void assert_of_links(enum caller who)
{
    if (!begin("lchown", "a link, by its owner to a group of his", who))
        return;
    make(at("x"), K_LINK, OWNED(0644));
    struct look target = look(at("x.target"));
    agent_more(AT_SYMLINK_NOFOLLOW);
    want_result(as(who, do_chown, at("x"), NULL, KEEP, OWNER2_GID),
                who == ROOT || who == OWNER ? 0 : EPERM);
    struct look after = look(at("x.target"));
    want("its target is untouched", same(&target, &after));
    want_equal("the link's group", look(at("x")).gid,
               who == ROOT || who == OWNER ? OWNER2_GID : GROUP_GID);
    end();
}

static void assert_ways(enum kind kind, enum caller who)
{
    for (size_t w = 0; w < COUNT(ways); w++) {
        for (size_t u = 0; u < COUNT(uids) && !(ways[w].run == do_fchown && kind > K_FIFO); u++) {
            for (size_t g = 0; g < COUNT(gids); g++)
                assert_chown(&ways[w], kind, who, uids[u], gids[g]);
        }
    }
}

void suite_chown(void)
{
    static const enum kind kinds[] = {K_FILE, K_DIR, K_FIFO, K_CHAR};
    static const mode_t modes[] = {04755, 02755, 06755, 06777, 02644, 06644, 02745, 07777};
    for (size_t k = 0; k < COUNT(kinds) && !options.is_list; k++)
        make_shared(kinds[k]);
    tick_if_coarse();
    for (enum caller who = ROOT; who < CALLER_COUNT; who++) {
        for (size_t k = 0; k < COUNT(kinds); k++) {
            /* fchown() needs to open, which mode 0755 lets all do. */
            assert_ways(kinds[k], who);
            for (size_t m = 0; m < COUNT(modes) && who <= OWNER; m++) {
                assert_setid(kinds[k], modes[m], who, KEEP, OWNER2_GID);
                assert_setid(kinds[k], modes[m], who, OWNER_UID, GROUP_GID);
                assert_setid(kinds[k], modes[m], who, KEEP, KEEP);
            }
        }
        assert_of_links(who);
    }
    for (size_t k = 0; k < COUNT(kinds); k++) {
        for (size_t m = 0; m < COUNT(modes); m++)
            assert_setid(kinds[k], modes[m], ROOT, STRANGE_UID, KEEP);
    }
    for (size_t k = 0; k < COUNT(kinds); k++)
        remove_tree(shared_name(kinds[k]));
}
