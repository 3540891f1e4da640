/* suite_rename.c -- rename over everything, with each flag, and what it does to trees */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conform.h"

static const struct {
    const char *name;
    unsigned flags;
    enum feature feature;
} forms[] = {
    {"rename", 0, FEATURE_COUNT},
    {"rename(RENAME_NOREPLACE)", RENAME_NOREPLACE, HAS_NOREPLACE},
    {"rename(RENAME_EXCHANGE)", RENAME_EXCHANGE, HAS_EXCHANGE},
};

static int expected_of(enum kind from, enum kind to, unsigned flags)
{
    if (from == K_NONE)
        return ENOENT;
    if (flags == RENAME_EXCHANGE)
        return to == K_NONE ? ENOENT : 0;
    if (to == K_NONE)
        return 0;
    if (flags == RENAME_NOREPLACE)
        return EEXIST;
    if (kind_is_dir(from) && !kind_is_dir(to))
        return ENOTDIR;
    if (!kind_is_dir(from) && kind_is_dir(to))
        return EISDIR;
    return to == K_FULL ? ENOTEMPTY : 0;
}

static void assert_moved(const struct look *from, const struct look *to, unsigned flags,
                         const char *target)
{
    struct look at_from = look(at("p/x"));
    struct look at_to = look(at(target));
    want_equal("the new name has the inode", (long long)at_to.ino, (long long)from->ino);
    want("the object is as it was", at_to.mode == from->mode && at_to.uid == from->uid &&
                                        at_to.size == from->size && at_to.rdev == from->rdev &&
                                        at_to.mtime_ns == from->mtime_ns);
    if (flags == RENAME_EXCHANGE)
        want_equal("the old name has the other inode", (long long)at_from.ino, (long long)to->ino);
    else
        want("the old name is gone", !at_from.is_there);
}

static void prepare_pair(enum kind from, enum kind to, const char *target)
{
    make(at("p"), K_DIR, OWNED(0755));
    make(at("q"), K_DIR, OWNED(0755));
    make(at("p/x"), from, OWNED(0755));
    make(at(target), to, OWNED(0755));
}

/* Calls that fail share the pairs, which are older than a tick. */
static const char *pair_name(enum kind from, enum kind to, bool is_far)
{
    static char name[40];
    snprintf(name, sizeof(name), "pair.%d.%d.%d", (int)from, (int)to, (int)is_far);
    return name;
}

static void make_pair(enum kind from, enum kind to, bool is_far)
{
    case_share(pair_name(from, to, is_far));
    if (look(case_directory()).is_there)
        return;
    make(case_directory(), K_DIR, ROOTS(0777));
    prepare_pair(from, to, is_far ? "q/y" : "p/y");
}

static void assert_refused(size_t form, enum kind from, enum kind to, bool is_far, enum caller who)
{
    const char *target = is_far ? "q/y" : "p/y";
    unsigned flags = forms[form].flags;
    make_pair(from, to, is_far);
    struct look x = look(at("p/x"));
    struct look y = look(at(target));
    want_result(as(who, do_rename, at("p/x"), at(target), (long)flags, 0),
                expected_of(from, to, flags));
    struct look x_after = look(at("p/x"));
    struct look y_after = look(at(target));
    bool is_same = want("the old name is untouched", same(&x, &x_after));
    is_same &= want("the new name is untouched", same(&y, &y_after));
    if (!is_same)
        remove_tree(case_directory());
}

static void assert_pair(size_t form, enum kind from, enum kind to, bool is_far, enum caller who)
{
    const char *target = is_far ? "q/y" : "p/y";
    unsigned flags = forms[form].flags;
    if (!beginf(who, forms[form].name, "%s onto %s%s", kind_name(from), kind_name(to),
                is_far ? " elsewhere" : ""))
        return;
    bool is_offered = forms[form].feature == FEATURE_COUNT || offers(forms[form].feature);
    if (is_offered && expected_of(from, to, flags)) {
        assert_refused(form, from, to, is_far, who);
    } else if (is_offered) {
        prepare_pair(from, to, target);
        struct look x = look(at("p/x"));
        struct look y = look(at(target));
        want_result(as(who, do_rename, at("p/x"), at(target), (long)flags, 0), 0);
        assert_moved(&x, &y, flags, target);
    }
    end();
}

/* ---- names of one inode ---- */

static void assert_same_inode(size_t form, bool is_far, enum caller who)
{
    const char *target = is_far ? "q/y" : "p/y";
    if (!beginf(who, forms[form].name, "two names of one file%s", is_far ? " elsewhere" : ""))
        return;
    if (forms[form].feature == FEATURE_COUNT || offers(forms[form].feature)) {
        make(at("p"), K_DIR, OWNED(0777));
        make(at("q"), K_DIR, OWNED(0777));
        make(at("p/x"), K_FILE, OWNED(0644));
        must(sys(link(at("p/x"), at(target))), "a link");
        tick_if_coarse();
        struct look before = look(at("p/x"));
        struct look parent = look(at("p"));
        bool refuses = forms[form].flags == RENAME_NOREPLACE;
        want_result(as(who, do_rename, at("p/x"), at(target), forms[form].flags, 0),
                    refuses ? EEXIST : 0);
        struct look after = look(at("p/x"));
        struct look other = look(at(target));
        struct look parent_after = look(at("p"));
        want("the old name is as it was", same(&before, &after));
        want("the new name is as it was", same(&before, &other));
        want("the directory is as it was", same(&parent, &parent_after));
    }
    end();
}

static void assert_other_links(enum caller who)
{
    if (!begin("rename", "a file with other names", who))
        return;
    make(at("x"), K_FILE, OWNED(0644));
    must(sys(link(at("x"), at("other"))), "a link");
    make(at("y"), K_FILE, OWNED(0644));
    must(sys(link(at("y"), at("y2"))), "a link");
    uint64_t ino = look(at("x")).ino;
    want_result(as(who, do_rename, at("x"), at("y"), 0, 0), 0);
    want_equal("the new name has the inode", (long long)look(at("y")).ino, (long long)ino);
    want_equal("the other name has the inode", (long long)look(at("other")).ino, (long long)ino);
    want_equal("links of what was moved", look(at("y")).nlink, 2);
    want_equal("links of what was replaced", look(at("y2")).nlink, 1);
    end();
}

/* ---- trees ---- */

struct tree_case {
    const char *name;
    const char *from;
    const char *to;
    unsigned flags;
    int expected;
    enum feature feature;
};

static const struct tree_case tree_cases[] = {
    {"a directory into itself", "a", "a/new", 0, EINVAL, FEATURE_COUNT},
    {"a directory into its child", "a", "a/b/new", 0, EINVAL, FEATURE_COUNT},
    {"a directory into its grandchild", "a", "a/b/c/new", 0, EINVAL, FEATURE_COUNT},
    {"a directory onto its child", "a", "a/b", 0, EINVAL, FEATURE_COUNT},
    {"a directory onto its grandchild", "a", "a/b/c", 0, EINVAL, FEATURE_COUNT},
    {"a directory into itself by ..", "a", "e/../a/new", 0, EINVAL, FEATURE_COUNT},
    {"a directory onto its parent", "a/b", "a", 0, ENOTEMPTY, FEATURE_COUNT},
    {"a directory onto its grandparent", "a/b/c", "a", 0, ENOTEMPTY, FEATURE_COUNT},
    {"a file onto its directory", "a/f", "a", 0, ENOTEMPTY, FEATURE_COUNT},
    {"a directory onto a file in it", "a", "a/f", 0, EINVAL, FEATURE_COUNT},
    {"a child out of a directory", "a/b", "new", 0, 0, FEATURE_COUNT},
    {"a grandchild beside its parent", "a/b/c", "a/new", 0, 0, FEATURE_COUNT},
    {"a directory below its nephew", "e", "a/b/c/new", 0, 0, FEATURE_COUNT},
    {"a directory onto an empty one deeper", "e", "a/b/c", 0, 0, FEATURE_COUNT},
    {"exchange with its child", "a", "a/b", RENAME_EXCHANGE, EINVAL, HAS_EXCHANGE},
    {"exchange with its parent", "a/b", "a", RENAME_EXCHANGE, EINVAL, HAS_EXCHANGE},
    {"exchange with its grandparent", "a/b/c", "a", RENAME_EXCHANGE, EINVAL, HAS_EXCHANGE},
    {"exchange with a nephew", "e", "a/b", RENAME_EXCHANGE, 0, HAS_EXCHANGE},
    {"exchange of a file with its directory", "a/f", "a", RENAME_EXCHANGE, EINVAL, HAS_EXCHANGE},
    {"noreplace onto its child", "a", "a/b", RENAME_NOREPLACE, EEXIST, HAS_NOREPLACE},
    {"noreplace into itself", "a", "a/new", RENAME_NOREPLACE, EINVAL, HAS_NOREPLACE},
    {"unknown flags", "e", "new", 1u << 20, EINVAL, FEATURE_COUNT},
    {"exchange and noreplace", "e", "a", RENAME_EXCHANGE | RENAME_NOREPLACE, EINVAL, FEATURE_COUNT},
    {"exchange and whiteout", "e", "a", RENAME_EXCHANGE | RENAME_WHITEOUT, EINVAL, FEATURE_COUNT},
};

static void make_tree(void)
{
    make(at("a"), K_DIR, OWNED(0755));
    make(at("a/f"), K_FILE, OWNED(0644));
    make(at("a/b"), K_DIR, OWNED(0755));
    make(at("a/b/c"), K_DIR, OWNED(0755));
    make(at("e"), K_DIR, OWNED(0755));
}

static void assert_tree(const struct tree_case *tree, enum caller who)
{
    if (!begin("rename in a tree", tree->name, who))
        return;
    if (tree->feature == FEATURE_COUNT || offers(tree->feature)) {
        make_tree();
        struct look from = look(at(tree->from));
        want_result(as(who, do_rename, at(tree->from), at(tree->to), (long)tree->flags, 0),
                    tree->expected);
        struct look after = look(at(tree->expected ? tree->from : tree->to));
        want_equal("the inode is where it has to be", (long long)after.ino, (long long)from.ino);
        want_equal("its links", after.nlink, from.nlink);
        want_equal("links of a", look(at("a")).nlink,
                   strcmp(tree->from, "a/b") == 0 && tree->expected == 0   ? 2
                   : strcmp(tree->to, "a/new") == 0 && tree->expected == 0 ? 4
                                                                           : 3);
    }
    end();
}

static void assert_dotdot(bool is_exchange, enum caller who)
{
    if (!begin(is_exchange ? "rename(RENAME_EXCHANGE)" : "rename", "a directory, then its ..", who))
        return;
    if (!is_exchange || offers(HAS_EXCHANGE)) {
        make_tree();
        make(at("e/d"), K_DIR, OWNED(0755));
        make(at("a/b/new"), is_exchange ? K_FILE : K_NONE, OWNED(0755));
        want_equal(".. before", (long long)look(at("e/d/..")).ino, (long long)look(at("e")).ino);
        int fd = open(at("e/d"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        want_result(
            as(who, do_rename, at("e/d"), at("a/b/new"), is_exchange ? RENAME_EXCHANGE : 0, 0), 0);
        want_equal(".. after", (long long)look(at("a/b/new/..")).ino,
                   (long long)look(at("a/b")).ino);
        struct stat status = {0};
        must(sys(fstatat(fd, "..", &status, 0)), "a look at ..");
        want_equal(".. of an open directory", (long long)status.st_ino,
                   (long long)look(at("a/b")).ino);
        want_equal("links of the old parent", look(at("e")).nlink, 2);
        want_equal("links of the new parent", look(at("a/b")).nlink, 4);
        close(fd);
    }
    end();
}

/* A directory that changes its parent is written itself, for its '..'. */
static void assert_unwritable(const char *name, enum kind kind, bool is_far, enum caller who)
{
    bool refuses = kind == K_DIR && is_far && who != ROOT;
    if (!beginf(who, "rename", "%s, %s%s", kind_name(kind), name, is_far ? " elsewhere" : ""))
        return;
    make(at("p"), K_DIR, OWNED(0755));
    make(at("q"), K_DIR, OWNED(0755));
    make(at("p/x"), kind, OWNED(0555));
    want_result(as(who, do_rename, at("p/x"), at(is_far ? "q/x" : "p/y"), 0, 0),
                refuses ? EACCES : 0);
    end();
}

static void assert_no_rights(const char *name, const char *closed, bool is_exchange,
                             enum caller who)
{
    if (!begin(is_exchange ? "rename(RENAME_EXCHANGE)" : "rename", name, who))
        return;
    if (!is_exchange || offers(HAS_EXCHANGE)) {
        make(at("p"), K_DIR, OWNED(0755));
        make(at("q"), K_DIR, OWNED(0755));
        make(at("p/x"), K_FILE, OWNED(0644));
        make(at("q/y"), K_FILE, OWNED(0644));
        must(sys(chmod(at(closed), 0555)), "a mode");
        want_result(as(who, do_rename, at("p/x"), at("q/y"), is_exchange ? RENAME_EXCHANGE : 0, 0),
                    who == ROOT ? 0 : EACCES);
    }
    end();
}

/* ---- open files ---- */

static long deed_open_over(struct deed *d)
{
    char bytes[8] = {0};
    int moved = open(d->a, O_RDWR | O_CLOEXEC);
    int replaced = open(d->b, O_RDWR | O_CLOEXEC);
    long result = sys(rename(d->a, d->b));
    if (result == 0 && (pread(moved, bytes, 4, 0) != 4 || memcmp(bytes, "mov!", 4)))
        result = -EPROTO;
    if (result == 0 && (pread(replaced, bytes, 4, 0) != 4 || memcmp(bytes, "old!", 4)))
        result = -EBADMSG;
    if (result == 0 && (look_fd(moved).nlink != 1 || look_fd(replaced).nlink != 0))
        result = -EMLINK;
    if (result == 0 && pwrite(moved, "new!", 4, 0) != 4)
        result = -errno;
    close(moved);
    close(replaced);
    return result;
}

static void assert_open(enum caller who)
{
    if (!begin("rename", "both files are open", who))
        return;
    make_bytes(at("x"), "mov!", 4);
    make_bytes(at("y"), "old!", 4);
    must(sys(chmod(at("x"), 0666)), "a mode");
    must(sys(chmod(at("y"), 0666)), "a mode");
    want_result(as(who, deed_open_over, at("x"), at("y"), 0, 0), 0);
    want_equal("what is written is there", as(ROOT, do_read, at("y"), NULL, 0, 8), 4);
    want("its bytes", memcmp(agent_out(), "new!", 4) == 0);
    end();
}

static void assert_whiteout(enum caller who)
{
    if (!begin("rename(RENAME_WHITEOUT)", "a file", who))
        return;
    if (offers(HAS_WHITEOUT)) {
        make(at("x"), K_FILE, OWNED(0644));
        want_result(as(who, do_rename, at("x"), at("y"), RENAME_WHITEOUT, 0), 0);
        struct look white = look(at("x"));
        want("a whiteout is left", S_ISCHR(white.mode) && white.rdev == 0);
    }
    end();
}

static void assert_pairs(enum kind from, enum kind to, enum caller who)
{
    for (size_t form = 0; form < COUNT(forms); form++) {
        assert_pair(form, from, to, false, who);
        assert_pair(form, from, to, true, who);
    }
}

static const enum kind kinds[] = {K_NONE,   K_FILE, K_DIR,  K_FULL,    K_FIFO,
                                  K_SOCKET, K_CHAR, K_LINK, K_DANGLING};

static void make_pairs(void)
{
    for (size_t i = 0; i < COUNT(kinds) * COUNT(kinds) * 2; i++) {
        enum kind from = kinds[i / 2 / COUNT(kinds)];
        enum kind to = kinds[i / 2 % COUNT(kinds)];
        if (expected_of(from, to, RENAME_NOREPLACE) || expected_of(from, to, RENAME_EXCHANGE))
            make_pair(from, to, i % 2);
    }
    tick_if_coarse();
}

static void remove_pairs(void)
{
    for (size_t i = 0; i < COUNT(kinds) * COUNT(kinds) * 2; i++)
        remove_tree(pair_name(kinds[i / 2 / COUNT(kinds)], kinds[i / 2 % COUNT(kinds)], i % 2));
}

void suite_rename(void)
{
    if (!options.is_list)
        make_pairs();
    for (enum caller who = ROOT; who <= OWNER; who++) {
        for (size_t from = 0; from < COUNT(kinds); from++) {
            for (size_t to = 0; to < COUNT(kinds); to++)
                assert_pairs(kinds[from], kinds[to], who);
        }
        for (size_t i = 0; i < COUNT(tree_cases); i++)
            assert_tree(&tree_cases[i], who);
        for (size_t form = 0; form < COUNT(forms); form++) {
            assert_same_inode(form, false, who);
            assert_same_inode(form, true, who);
        }
        for (unsigned i = 0; i < 2; i++) {
            assert_dotdot(i, who);
            assert_unwritable("that may not be written", K_DIR, i, who);
            assert_unwritable("that may not be written", K_FILE, i, who);
            assert_no_rights("the first directory may not be written", "p", i, who);
            assert_no_rights("the second directory may not be written", "q", i, who);
        }
        assert_other_links(who);
        assert_open(who);
    }
    assert_whiteout(ROOT);
    if (!options.is_list)
        remove_pairs();
}
