/* suite_unlinked.c -- files and directories whose last name is gone while they are open */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "conform.h"

enum act {
    A_STAT,
    A_READ,
    A_WRITE,
    A_APPEND,
    A_TRUNCATE,
    A_CHMOD,
    A_CHOWN,
    A_TIMES,
    A_SYNC,
    A_MAP,
    A_XATTR,
    A_LINK,
    A_REOPEN,
    A_FALLOCATE,
    A_LOCK,
    A_NEW_NAME,
    ACT_COUNT
};

static const char *const acts[ACT_COUNT] = {
    [A_STAT] = "fstat",           [A_READ] = "pread",
    [A_WRITE] = "pwrite",         [A_APPEND] = "write",
    [A_TRUNCATE] = "ftruncate",   [A_CHMOD] = "fchmod",
    [A_CHOWN] = "fchown",         [A_TIMES] = "futimens",
    [A_SYNC] = "fsync",           [A_MAP] = "mmap",
    [A_XATTR] = "fsetxattr",      [A_LINK] = "linkat by /proc",
    [A_REOPEN] = "open by /proc", [A_FALLOCATE] = "fallocate",
    [A_LOCK] = "fcntl(F_SETLK)",  [A_NEW_NAME] = "a new file of the name",
};

static bool is_read_back(int fd, off_t offset, const char *text)
{
    char bytes[32] = {0};
    size_t length = strlen(text);
    return pread(fd, bytes, length, offset) == (ssize_t)length && memcmp(bytes, text, length) == 0;
}

static const char *proc_name(int fd)
{
    static char name[64];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return name;
}

static void act_attributes(enum act act, int fd)
{
    if (act == A_CHMOD) {
        want_result(sys(fchmod(fd, 0751)), 0);
        want_equal("the mode", look_fd(fd).mode & 07777, 0751);
    } else if (act == A_CHOWN) {
        want_result(sys(fchown(fd, STRANGE_UID, STRANGE_GID)), 0);
        want_equal("the owner", look_fd(fd).uid, STRANGE_UID);
    } else if (act == A_TIMES) {
        const struct timespec times[2] = {{3, 4}, {5, 6}};
        want_result(sys(futimens(fd, times)), 0);
        want_equal("mtime", look_fd(fd).mtime_ns, 5000000006);
    } else if (act == A_XATTR && offers(HAS_XATTR_USER)) {
        char value[8];
        want_result(sys(fsetxattr(fd, "user.a", "v", 1, 0)), 0);
        want_equal("its value", fgetxattr(fd, "user.a", value, sizeof(value)), 1);
    }
}

static void act_bytes(enum act act, int fd)
{
    if (act == A_READ) {
        want("the bytes", is_read_back(fd, 0, "some text"));
    } else if (act == A_WRITE) {
        want_equal("its result", pwrite(fd, "TEXT", 4, 5), 4);
        want("the bytes", is_read_back(fd, 0, "some TEXT"));
    } else if (act == A_APPEND) {
        want_equal("its result", pwrite(fd, "more", 4, 100000), 4);
        want("the bytes", is_read_back(fd, 100000, "more"));
        want_equal("the size", (long long)look_fd(fd).size, 100004);
    } else if (act == A_TRUNCATE) {
        want_result(sys(ftruncate(fd, 3)), 0);
        want_result(sys(ftruncate(fd, 9)), 0);
        want("the bytes", is_read_back(fd, 0, "som"));
        want_equal("the size", (long long)look_fd(fd).size, 9);
    } else if (act == A_FALLOCATE && offers(HAS_FALLOCATE)) {
        want_result(sys(fallocate(fd, 0, 0, 10000)), 0);
        want_equal("the size", (long long)look_fd(fd).size, 10000);
    } else if (act == A_MAP) {
        char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        want("it is mapped", map != MAP_FAILED);
        if (map != MAP_FAILED) {
            map[0] = 'S';
            want("a store shows", is_read_back(fd, 0, "Some"));
            munmap(map, 4096);
        }
    }
}

static void act_names(enum act act, int fd)
{
    if (act == A_LINK) {
        want_result(sys(linkat(AT_FDCWD, proc_name(fd), AT_FDCWD, at("new"), AT_SYMLINK_FOLLOW)),
                    ENOENT);
        want("no name is made", !look(at("new")).is_there);
    } else if (act == A_REOPEN) {
        int again = open(proc_name(fd), O_RDWR | O_CLOEXEC);
        want("it opens", again >= 0);
        want("it is the same", again >= 0 && look_fd(again).ino == look_fd(fd).ino);
        want("its bytes", again >= 0 && is_read_back(again, 0, "some text"));
        close(again);
    } else if (act == A_NEW_NAME) {
        make_bytes(at("x"), "other", 5);
        want("its bytes are not the new one's", is_read_back(fd, 0, "some text"));
        want("the new one's bytes", as(ROOT, do_read, at("x"), NULL, 0, 9) == 5);
        want("it is another inode", look(at("x")).ino != look_fd(fd).ino);
        want_equal("links of the new one", look(at("x")).nlink, 1);
    }
}

static void act_rest(enum act act, int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    if (act == A_STAT) {
        struct look seen = look_fd(fd);
        want_equal("links", seen.nlink, 0);
        want_equal("the size", (long long)seen.size, 9);
        want("the type", S_ISREG(seen.mode));
    } else if (act == A_SYNC) {
        want_result(sys(fsync(fd)), 0);
        want_result(sys(fdatasync(fd)), 0);
    } else if (act == A_LOCK) {
        want_result(sys(fcntl(fd, F_SETLK, &lock)), 0);
    }
}

/* Removed how: by its name, by a rename over it, or with a directory that goes as well. */
enum removal { BY_UNLINK, BY_RENAME, WITH_DIRECTORY, REMOVAL_COUNT };
static const char *const removals[REMOVAL_COUNT] = {"a file that was unlinked",
                                                    "a file that a rename replaced",
                                                    "a file whose directory is gone as well"};

static int removed_file(enum removal removal)
{
    make(at("d"), K_DIR, ROOTS(0755));
    const char *path = removal == WITH_DIRECTORY ? at("d/x") : at("x");
    make_bytes(path, "some text", 9);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (removal == BY_RENAME) {
        make(at("y"), K_FILE, ROOTS(0644));
        must(sys(rename(at("y"), path)), "a rename");
        must(sys(unlink(path)), "an unlink");
    } else {
        must(sys(unlink(path)), "an unlink");
    }
    if (removal == WITH_DIRECTORY)
        must(sys(rmdir(at("d"))), "a rmdir");
    return fd;
}

static void assert_act(enum removal removal, enum act act)
{
    if (!begin(acts[act], removals[removal], ROOT))
        return;
    int fd = removed_file(removal);
    act_attributes(act, fd);
    act_bytes(act, fd);
    act_names(act, fd);
    act_rest(act, fd);
    want_equal("links in the end", look_fd(fd).nlink, 0);
    close(fd);
    end();
}

/* ---- directories ---- */

static long in_removed(int fd, unsigned what)
{
    struct stat status;
    if (what == 0)
        return sys(openat(fd, "new", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    if (what == 1)
        return sys(mkdirat(fd, "new", 0755));
    if (what == 2)
        return sys(symlinkat("x", fd, "new"));
    if (what == 3)
        return sys(fstatat(fd, "entry", &status, 0));
    if (what == 4)
        return sys(mknodat(fd, "new", S_IFIFO | 0644, 0));
    if (what == 5)
        return sys(linkat(AT_FDCWD, at("file"), fd, "new", 0));
    return sys(renameat(AT_FDCWD, at("file"), fd, "new"));
}

static void assert_in_removed(unsigned what, const char *name)
{
    if (!begin(name, "in a directory that was removed", ROOT))
        return;
    make(at("d"), K_DIR, ROOTS(0755));
    make(at("file"), K_FILE, ROOTS(0644));
    int fd = open(at("d"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(sys(rmdir(at("d"))), "a rmdir");
    want_result(in_removed(fd, what), ENOENT);
    want_equal("links of the directory", look_fd(fd).nlink, 0);
    close(fd);
    end();
}

static void assert_removed_listing(void)
{
    char room[1000];
    if (!begin("getdents and fchmod", "a directory that was removed", ROOT))
        return;
    make(at("d"), K_DIR, ROOTS(0755));
    int fd = open(at("d"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(sys(rmdir(at("d"))), "a rmdir");
    want_result(sys(getdents64(fd, room, sizeof(room))), ENOENT);
    want_result(sys(fchmod(fd, 0700)), 0);
    want_equal("the mode", look_fd(fd).mode & 07777, 0700);
    want_result(sys(fsync(fd)), 0);
    want("it is still a directory", S_ISDIR(look_fd(fd).mode));
    close(fd);
    end();
}

static long deed_cwd(struct deed *d)
{
    char name[100];
    int here = open(".", O_PATH | O_CLOEXEC);
    long result = sys(chdir(d->a));
    if (result == 0 && rmdir("../d"))
        result = -errno;
    if (result == 0 && getcwd(name, sizeof(name)) == NULL)
        result = -errno;
    if (fchdir(here))
        result = -EIO;
    close(here);
    return result;
}

static void assert_cwd(enum caller who)
{
    if (!begin("getcwd", "a working directory that was removed", who))
        return;
    make(at("d"), K_DIR, OWNED(0777));
    want_result(as(who, deed_cwd, at("d"), NULL, 0, 0), ENOENT);
    end();
}

/* What held the last use of a file gives its space back. */
static void assert_space(void)
{
    if (!begin("close", "the last of a file without a name", ROOT))
        return;
    make_bytes(at("x"), "x", 1);
    int fd = open(at("x"), O_RDWR | O_CLOEXEC);
    static char room[1 << 20];
    memset(room, 'x', sizeof(room));
    want_equal("written", pwrite(fd, room, sizeof(room), 0), sizeof(room));
    must(sys(unlink(at("x"))), "an unlink");
    want("its blocks are there", look_fd(fd).blocks >= sizeof(room) / 512);
    want_result(sys(close(fd)), 0);
    want_result(as(ROOT, do_open, at("x"), NULL, O_RDONLY, 0), ENOENT);
    end();
}

void suite_unlinked(void)
{
    static const char *const makers[] = {"openat(O_CREAT)", "mkdirat", "symlinkat", "fstatat",
                                         "mknodat",         "linkat",  "renameat"};
    for (enum removal removal = 0; removal < REMOVAL_COUNT; removal++) {
        for (enum act act = 0; act < ACT_COUNT; act++)
            assert_act(removal, act);
    }
    for (unsigned what = 0; what < COUNT(makers); what++)
        assert_in_removed(what, makers[what]);
    assert_removed_listing();
    assert_cwd(ROOT);
    assert_cwd(OWNER);
    assert_space();
}
