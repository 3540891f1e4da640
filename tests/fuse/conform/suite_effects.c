/* suite_effects.c -- what a call that succeeds changes, and what it leaves alone
 *
 * A scene has the directories p and q, x in p, and y and z where the scenario wants them. For each of
 * them a row says what changes: c ctime, m mtime, a atime, s size, o mode, u owner, + one link more,
 * - one less, 0 no link left, ? atime may change. All that a row does not name has to stay as it was. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "conform.h"

enum role { X, Y, P, Q, ROLE_COUNT };
static const char *const role_names[ROLE_COUNT] = {"the object", "the other object",
                                                   "its directory", "the other directory"};

struct scenario {
    const char *name;
    long (*run)(void);
    const char *rows[ROLE_COUNT]; /* NULL: not there, or not looked at */
    const char *y;                /* where a second object is, or NULL */
    enum feature feature;         /* FEATURE_COUNT: none */
    const char *kinds;            /* f file, d directory, l link, n nodes; * all */
    enum kind y_kind;             /* K_NONE: as x */
};

static enum caller who;

static long run2(long (*run)(struct deed *), const char *a, const char *b, long x, long y)
{
    return as(who, run, at(a), b ? at(b) : NULL, x, y);
}

static long chmod_it(void)
{
    return run2(do_chmod, "p/x", NULL, 0711, 0);
}

static long chmod_same(void)
{
    return run2(do_chmod, "p/x", NULL, 0755, 0);
}

static long fchmod_it(void)
{
    return run2(do_fchmod, "p/x", NULL, 0711, 0);
}

static long chown_it(void)
{
    agent_more(AT_SYMLINK_NOFOLLOW);
    return run2(do_chown, "p/x", NULL, -1, OWNER2_GID);
}

static long chown_same(void)
{
    agent_more(AT_SYMLINK_NOFOLLOW);
    return run2(do_chown, "p/x", NULL, OWNER_UID, GROUP_GID);
}

static long chown_nothing(void)
{
    agent_more(AT_SYMLINK_NOFOLLOW);
    return run2(do_chown, "p/x", NULL, -1, -1);
}

static long fchown_it(void)
{
    return run2(do_fchown, "p/x", NULL, -1, OWNER2_GID);
}

static long truncate_up(void)
{
    return run2(do_truncate, "p/x", NULL, 10000, 0);
}

static long truncate_down(void)
{
    return run2(do_truncate, "p/x", NULL, 3, 0);
}

static long truncate_away(void)
{
    return run2(do_truncate, "p/x", NULL, 0, 0);
}

static long ftruncate_up(void)
{
    return run2(do_ftruncate, "p/x", NULL, 10000, 0);
}

static long ftruncate_down(void)
{
    return run2(do_ftruncate, "p/x", NULL, 3, 0);
}

static long ftruncate_same(void)
{
    return run2(do_ftruncate, "p/x", NULL, 9, 0);
}

static long open_trunc(void)
{
    return run2(do_open, "p/x", NULL, O_WRONLY | O_TRUNC, 0);
}

static long open_creat_trunc(void)
{
    return run2(do_open, "p/x", NULL, O_RDWR | O_CREAT | O_TRUNC, 0600);
}

static long open_creat(void)
{
    return run2(do_open, "p/x", NULL, O_RDWR | O_CREAT, 0600);
}

static long open_read(void)
{
    return run2(do_open, "p/x", NULL, O_RDONLY | O_NONBLOCK, 0);
}

static long open_excl_fails(void)
{
    long result = run2(do_open, "p/x", NULL, O_RDWR | O_CREAT | O_EXCL, 0600);
    return result == -EEXIST ? 0 : -EPROTO;
}

static long write_inside(void)
{
    return as(who, do_write, at("p/x"), "ab", 2, 0);
}

static long write_more(void)
{
    return as(who, do_write, at("p/x"), "0123456789abcdef", 2, 0);
}

static long write_append(void)
{
    return as(who, do_write, at("p/x"), "abc", 0, O_APPEND);
}

static long write_nothing(void)
{
    return as(who, do_write, at("p/x"), "", 2, 0);
}

static long read_it(void)
{
    return run2(do_read, "p/x", NULL, 0, 100);
}

static long list_it(void)
{
    return run2(do_readdir, "p/x", NULL, 0, 0);
}

static long deed_readlink(struct deed *d)
{
    return sys(readlink(d->a, d->out, 4096));
}

static long readlink_it(void)
{
    return run2(deed_readlink, "p/x", NULL, 0, 0);
}

static long access_it(void)
{
    return run2(do_access, "p/x", NULL, R_OK, 0);
}

static long link_near(void)
{
    return run2(do_link, "p/x", "p/new", 0, 0);
}

static long link_far(void)
{
    return run2(do_link, "p/x", "q/new", 0, 0);
}

static long unlink_it(void)
{
    return run2(do_unlink, "p/x", NULL, 0, 0);
}

static long rmdir_it(void)
{
    return run2(do_rmdir, "p/x", NULL, 0, 0);
}

static long rename_near(void)
{
    return run2(do_rename, "p/x", "p/new", 0, 0);
}

static long rename_far(void)
{
    return run2(do_rename, "p/x", "q/new", 0, 0);
}

static long rename_noreplace(void)
{
    return run2(do_rename, "p/x", "q/new", RENAME_NOREPLACE, 0);
}

static long rename_onto(void)
{
    return run2(do_rename, "p/x", "p/y", 0, 0);
}

static long rename_onto_far(void)
{
    return run2(do_rename, "p/x", "q/y", 0, 0);
}

static long exchange_near(void)
{
    return run2(do_rename, "p/x", "p/y", RENAME_EXCHANGE, 0);
}

static long exchange_far(void)
{
    return run2(do_rename, "p/x", "q/y", RENAME_EXCHANGE, 0);
}

static long rename_itself(void)
{
    return run2(do_rename, "p/x", "p/x", 0, 0);
}

static long utimens_both(void)
{
    agent_more(1234567890123456789);
    return run2(do_utimens, "p/x", NULL, AT_SYMLINK_NOFOLLOW, 1034567890987654321);
}

static long utimens_now(void)
{
    agent_more(UTIME_NOW);
    return run2(do_utimens, "p/x", NULL, AT_SYMLINK_NOFOLLOW, UTIME_NOW);
}

static long utimens_atime(void)
{
    agent_more(UTIME_OMIT);
    return run2(do_utimens, "p/x", NULL, AT_SYMLINK_NOFOLLOW, UTIME_NOW);
}

static long utimens_mtime(void)
{
    agent_more(5);
    return run2(do_utimens, "p/x", NULL, AT_SYMLINK_NOFOLLOW, UTIME_OMIT);
}

static long utimens_nothing(void)
{
    agent_more(UTIME_OMIT);
    return run2(do_utimens, "p/x", NULL, AT_SYMLINK_NOFOLLOW, UTIME_OMIT);
}

static long deed_setxattr(struct deed *d)
{
    return sys(lsetxattr(d->a, "user.name", "value", 5, (int)d->x));
}

static long setxattr_it(void)
{
    return run2(deed_setxattr, "p/x", NULL, 0, 0);
}

static long setxattr_fails(void)
{
    return run2(deed_setxattr, "p/x", NULL, XATTR_REPLACE, 0) == -ENODATA ? 0 : -EPROTO;
}

static long deed_removexattr(struct deed *d)
{
    must(deed_setxattr(d), "an attribute");
    age(d->a);
    return sys(lremovexattr(d->a, "user.name"));
}

static long removexattr_it(void)
{
    return run2(deed_removexattr, "p/x", NULL, 0, 0);
}

static long deed_fallocate(struct deed *d)
{
    int fd = open(d->a, O_RDWR | O_CLOEXEC);
    long result = fd < 0 ? sys(fd) : sys(fallocate(fd, (int)d->x, 0, d->y));
    close(fd);
    return result;
}

static long fallocate_up(void)
{
    return run2(deed_fallocate, "p/x", NULL, 0, 10000);
}

static long punch_it(void)
{
    return run2(deed_fallocate, "p/x", NULL, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5);
}

static long deed_copy(struct deed *d)
{
    int from = open(d->b, O_RDONLY | O_CLOEXEC);
    int to = open(d->a, O_WRONLY | O_CLOEXEC);
    long result = sys(copy_file_range(from, NULL, to, &(off_t){4}, 9, 0));
    close(from);
    close(to);
    return result;
}

static long copy_it(void)
{
    return run2(deed_copy, "p/x", "p/y", 0, 0);
}

static long deed_map(struct deed *d)
{
    int fd = open(d->a, O_RDWR | O_CLOEXEC);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    map[1] = 'M';
    long result = sys(msync(map, 4096, MS_SYNC));
    munmap(map, 4096);
    close(fd);
    return result;
}

static long map_it(void)
{
    return run2(deed_map, "p/x", NULL, 0, 0);
}

static long mkdir_new(void)
{
    return run2(do_mkdir, "p/new", NULL, 0755, 0);
}

static long open_new(void)
{
    return run2(do_open, "p/new", NULL, O_CREAT | O_WRONLY, 0644);
}

static long mknod_new(void)
{
    return run2(do_mknod, "p/new", NULL, S_IFIFO | 0644, 0);
}

static long symlink_new(void)
{
    return as(who, do_symlink, at("p/new"), "to nowhere", 0, 0);
}

static long deed_tmpfile_link(struct deed *d)
{
    char name[64];
    int fd = open(d->b, O_TMPFILE | O_RDWR, 0600);
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    long result = fd < 0 ? sys(fd) : sys(linkat(AT_FDCWD, name, AT_FDCWD, d->a, AT_SYMLINK_FOLLOW));
    close(fd);
    return result;
}

static long tmpfile_linked(void)
{
    return run2(deed_tmpfile_link, "p/new", "p", 0, 0);
}

static long deed_tmpfile(struct deed *d)
{
    int fd = open(d->a, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    long result = sys(fd);
    close(fd);
    return result;
}

static long tmpfile_new(void)
{
    return run2(deed_tmpfile, "p", NULL, 0, 0);
}

#define ANY FEATURE_COUNT
/* The rows are those of a file; what a directory has otherwise is in row_of(). */
static const struct scenario scenarios[] = {
    {"chmod", chmod_it, {"co", NULL, "", ""}, NULL, ANY, "fdn", 0},
    {"chmod to the same", chmod_same, {"c", NULL, "", ""}, NULL, ANY, "fdn", 0},
    {"fchmod", fchmod_it, {"co", NULL, "", ""}, NULL, ANY, "fd", 0},
    {"lchown", chown_it, {"cu", NULL, "", ""}, NULL, ANY, "*", 0},
    {"lchown to the same", chown_same, {"c", NULL, "", ""}, NULL, ANY, "*", 0},
    {"lchown(-1, -1)", chown_nothing, {"c", NULL, "", ""}, NULL, ANY, "*", 0},
    {"fchown", fchown_it, {"cu", NULL, "", ""}, NULL, ANY, "fd", 0},
    {"truncate to more", truncate_up, {"cms", NULL, "", ""}, NULL, ANY, "f", 0},
    {"truncate to less", truncate_down, {"cms", NULL, "", ""}, NULL, ANY, "f", 0},
    {"truncate to nothing", truncate_away, {"cms", NULL, "", ""}, NULL, ANY, "f", 0},
    {"ftruncate to more", ftruncate_up, {"cms", NULL, "", ""}, NULL, ANY, "f", 0},
    {"ftruncate to less", ftruncate_down, {"cms", NULL, "", ""}, NULL, ANY, "f", 0},
    {"ftruncate to the same", ftruncate_same, {"cm", NULL, "", ""}, NULL, ANY, "f", 0},
    {"open(O_TRUNC)", open_trunc, {"cms", NULL, "", ""}, NULL, ANY, "f", 0},
    {"open(O_CREAT|O_TRUNC)", open_creat_trunc, {"cms", NULL, "", ""}, NULL, ANY, "f", 0},
    {"open(O_CREAT) of what is there", open_creat, {"", NULL, "", ""}, NULL, ANY, "f", 0},
    {"open(O_EXCL) that fails", open_excl_fails, {"", NULL, "", ""}, NULL, ANY, "f", 0},
    {"open(O_RDONLY)", open_read, {"", NULL, "", ""}, NULL, ANY, "fd", 0},
    {"write inside", write_inside, {"cm", NULL, "", ""}, NULL, ANY, "f", 0},
    {"write beyond the end", write_more, {"cms", NULL, "", ""}, NULL, ANY, "f", 0},
    {"write(O_APPEND)", write_append, {"cms", NULL, "", ""}, NULL, ANY, "f", 0},
    {"write of no bytes", write_nothing, {"", NULL, "", ""}, NULL, ANY, "f", 0},
    {"read", read_it, {"a", NULL, "", ""}, NULL, HAS_RELATIME, "f", 0},
    {"readdir", list_it, {"a", NULL, "", ""}, NULL, HAS_RELATIME, "d", 0},
    {"readlink", readlink_it, {"a", NULL, "", ""}, NULL, HAS_RELATIME, "l", 0},
    {"access", access_it, {"", NULL, "", ""}, NULL, ANY, "fdn", 0},
    {"link in the same directory", link_near, {"c+", NULL, "cm", ""}, NULL, ANY, "fln", 0},
    {"link in another directory", link_far, {"c+", NULL, "", "cm"}, NULL, ANY, "fln", 0},
    {"unlink", unlink_it, {"c-", NULL, "cm", ""}, NULL, ANY, "fln", 0},
    {"rmdir", rmdir_it, {"c0", NULL, "cm-", ""}, NULL, ANY, "d", 0},
    {"rename in the same directory", rename_near, {"c", NULL, "cm", ""}, NULL, ANY, "*", 0},
    {"rename to another directory", rename_far, {"c", NULL, "cm", "cm"}, NULL, ANY, "*", 0},
    {"rename(RENAME_NOREPLACE)",
     rename_noreplace,
     {"c", NULL, "cm", "cm"},
     NULL,
     HAS_NOREPLACE,
     "*",
     0},
    {"rename over an object", rename_onto, {"c", "c-", "cm", ""}, "p/y", ANY, "*", 0},
    {"rename over an object elsewhere",
     rename_onto_far,
     {"c", "c-", "cm", "cm"},
     "q/y",
     ANY,
     "*",
     0},
    {"rename(RENAME_EXCHANGE)", exchange_near, {"c", "c", "cm", ""}, "p/y", HAS_EXCHANGE, "*", 0},
    {"rename(RENAME_EXCHANGE) elsewhere",
     exchange_far,
     {"c", "c", "cm", "cm"},
     "q/y",
     HAS_EXCHANGE,
     "*",
     0},
    {"rename(RENAME_EXCHANGE) with a directory",
     exchange_far,
     {"c", "c", "cm+", "cm-"},
     "q/y",
     HAS_EXCHANGE,
     "fln",
     K_DIR},
    {"rename to itself", rename_itself, {"", NULL, "", ""}, NULL, ANY, "*", 0},
    {"utimensat", utimens_both, {"cma", NULL, "", ""}, NULL, ANY, "*", 0},
    {"utimensat(UTIME_NOW)", utimens_now, {"cma", NULL, "", ""}, NULL, ANY, "*", 0},
    {"utimensat of atime", utimens_atime, {"ca", NULL, "", ""}, NULL, ANY, "*", 0},
    {"utimensat of mtime", utimens_mtime, {"cm", NULL, "", ""}, NULL, ANY, "*", 0},
    {"utimensat(UTIME_OMIT)", utimens_nothing, {"", NULL, "", ""}, NULL, ANY, "*", 0},
    {"setxattr", setxattr_it, {"c", NULL, "", ""}, NULL, HAS_XATTR_USER, "fd", 0},
    {"setxattr that fails", setxattr_fails, {"", NULL, "", ""}, NULL, HAS_XATTR_USER, "fd", 0},
    {"removexattr", removexattr_it, {"c", NULL, "", ""}, NULL, HAS_XATTR_USER, "fd", 0},
    {"fallocate", fallocate_up, {"cms", NULL, "", ""}, NULL, HAS_FALLOCATE, "f", 0},
    {"fallocate(FALLOC_FL_PUNCH_HOLE)", punch_it, {"cm", NULL, "", ""}, NULL, HAS_PUNCH, "f", 0},
    {"copy_file_range", copy_it, {"cms", NULL, "", ""}, "p/y", HAS_COPY_RANGE, "f", 0},
    {"store to a shared mapping", map_it, {"cm?", NULL, "", ""}, NULL, HAS_MMAP_SHARED, "f", 0},
    {"mkdir", mkdir_new, {NULL, NULL, "cm+", ""}, NULL, ANY, "f", 0},
    {"open(O_CREAT)", open_new, {NULL, NULL, "cm", ""}, NULL, ANY, "f", 0},
    {"mknod", mknod_new, {NULL, NULL, "cm", ""}, NULL, ANY, "f", 0},
    {"symlink", symlink_new, {NULL, NULL, "cm", ""}, NULL, ANY, "f", 0},
    {"open(O_TMPFILE)", tmpfile_new, {NULL, NULL, "", ""}, NULL, HAS_TMPFILE, "f", 0},
    {"linkat of an O_TMPFILE", tmpfile_linked, {NULL, NULL, "cm", ""}, NULL, HAS_TMPFILE, "f", 0},
};

/* A directory's move changes the links of its parents; one that is replaced has none left. */
static const char *row_of(const struct scenario *scenario, enum kind kind, enum role role)
{
    const char *row = scenario->rows[role];
    if (!row || !kind_is_dir(kind))
        return row;
    if (scenario->run == rename_far || scenario->run == rename_noreplace)
        return role == P ? "cm-" : role == Q ? "cm+" : row;
    if (scenario->run == rename_onto)
        return role == P ? "cm-" : role == Y ? "c0" : row;
    if (scenario->run == rename_onto_far)
        return role == P ? "cm-" : role == Y ? "c0" : row;
    return row;
}

static uint32_t links_after(const char *row, uint32_t before)
{
    if (strchr(row, '0'))
        return 0;
    return before + (strchr(row, '+') != NULL) - (strchr(row, '-') != NULL);
}

static void assert_time(const char *name, const char *role, bool is_changed, int64_t before,
                        int64_t after)
{
    if (is_changed)
        wantf(before != after, "%s of %s changes", name, role);
    else
        wantf(before == after, "%s of %s stays", name, role);
}

static void assert_role(const char *name, const char *row, const struct look *before,
                        const struct look *after)
{
    const uint32_t links = links_after(row, before->nlink);
    assert_time("ctime", name, strchr(row, 'c'), before->ctime_ns, after->ctime_ns);
    assert_time("mtime", name, strchr(row, 'm'), before->mtime_ns, after->mtime_ns);
    if (!strchr(row, '?'))
        assert_time("atime", name, strchr(row, 'a'), before->atime_ns, after->atime_ns);
    wantf(after->nlink == links, "%s has %u links", name, links);
    wantf((before->mode != after->mode) == (strchr(row, 'o') != NULL), "mode of %s %s", name,
          strchr(row, 'o') ? "changes" : "stays");
    wantf((before->uid != after->uid || before->gid != after->gid) == (strchr(row, 'u') != NULL),
          "owner of %s %s", name, strchr(row, 'u') ? "changes" : "stays");
    wantf(before->ino == after->ino, "%s is the same inode", name);
    if (!S_ISDIR(before->mode))
        wantf((before->size != after->size) == (strchr(row, 's') != NULL), "size of %s %s", name,
              strchr(row, 's') ? "changes" : "stays");
    if (strchr(row, 'c'))
        wantf(after->ctime_ns > before->ctime_ns, "ctime of %s goes forward", name);
}

static void make_object(const char *path, enum kind kind)
{
    make(at(path), kind, OWNED(0755));
    if (kind == K_FILE)
        make_bytes(at(path), "some text", 9);
    age(at(path));
}

static void assert_fresh(int64_t before)
{
    struct look fresh = look(at("p/new"));
    /* The clocks of filesystems lag behind by up to a tick of 10 ms. */
    bool is_now = fresh.ctime_ns >= before - 20000000 && fresh.ctime_ns <= now_ns();
    want("the new object's ctime is the time of the call", is_now);
    want("the new object's times are equal",
         fresh.mtime_ns == fresh.ctime_ns && fresh.atime_ns == fresh.mtime_ns);
    want("the new object has its first links", fresh.nlink == (S_ISDIR(fresh.mode) ? 2 : 1));
    want("the new object is the caller's", fresh.uid == caller_uid(who));
}

static void play(const struct scenario *scenario, enum kind kind)
{
    struct look before[ROLE_COUNT] = {0};
    int fds[ROLE_COUNT] = {-1, -1, -1, -1};
    const char *paths[ROLE_COUNT] = {"p/x", scenario->y, "p", "q"};
    make(at("p"), K_DIR, OWNED(0777));
    make(at("q"), K_DIR, OWNED(0777));
    make_object("p/x", kind);
    if (scenario->y)
        make_object(scenario->y, scenario->y_kind ? scenario->y_kind : kind);
    age(at("p"));
    age(at("q"));
    for (enum role i = 0; i < ROLE_COUNT; i++) {
        fds[i] = paths[i] ? open(at(paths[i]), O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
        before[i] = look_fd(fds[i]);
    }
    tick();
    int64_t start = now_ns();
    want_result(scenario->run(), 0);
    for (enum role i = 0; i < ROLE_COUNT; i++) {
        struct look after = look_fd(fds[i]);
        if (scenario->rows[i])
            assert_role(role_names[i], row_of(scenario, kind, i), &before[i], &after);
        if (fds[i] >= 0)
            close(fds[i]);
    }
    if (!scenario->rows[X] && scenario->run != tmpfile_new)
        assert_fresh(start);
}

static bool is_of(const struct scenario *scenario, char letter)
{
    return strchr(scenario->kinds, letter) || strchr(scenario->kinds, '*');
}

void suite_effects(void)
{
    static const struct {
        char letter;
        enum kind kind;
    } kinds[] = {{'f', K_FILE}, {'d', K_DIR},    {'l', K_DANGLING},
                 {'n', K_FIFO}, {'n', K_SOCKET}, {'n', K_CHAR}};
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        for (size_t k = 0; k < COUNT(kinds); k++) {
            for (who = ROOT; who <= OWNER && is_of(&scenarios[i], kinds[k].letter); who++) {
                if (!beginf(who, scenarios[i].name, "%s", kind_name(kinds[k].kind)))
                    continue;
                if (scenarios[i].feature == ANY || offers(scenarios[i].feature))
                    play(&scenarios[i], kinds[k].kind);
                end();
            }
        }
    }
}
