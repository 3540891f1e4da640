/* suite_open.c -- flags of open, what a descriptor then may do, O_TMPFILE, and programs that run */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"

/* ---- what each way of opening allows ---- */

enum use {
    U_READ,
    U_PREAD,
    U_WRITE,
    U_PWRITE,
    U_TRUNCATE,
    U_SEEK,
    U_SYNC,
    U_DATASYNC,
    U_STAT,
    U_CHMOD,
    U_CHOWN,
    U_FALLOCATE,
    U_MAP_READ,
    U_MAP_WRITE,
    U_MAP_PRIVATE,
    U_TIMES,
    U_LOCK_READ,
    U_LOCK_WRITE,
    U_DIRENTS,
    U_CHDIR,
    USE_COUNT
};

static const char *const uses[USE_COUNT] = {
    [U_READ] = "read",
    [U_PREAD] = "pread",
    [U_WRITE] = "write",
    [U_PWRITE] = "pwrite",
    [U_TRUNCATE] = "ftruncate",
    [U_SEEK] = "lseek",
    [U_SYNC] = "fsync",
    [U_DATASYNC] = "fdatasync",
    [U_STAT] = "fstat",
    [U_CHMOD] = "fchmod",
    [U_CHOWN] = "fchown",
    [U_FALLOCATE] = "fallocate",
    [U_MAP_READ] = "mmap(PROT_READ, MAP_SHARED)",
    [U_MAP_WRITE] = "mmap(PROT_WRITE, MAP_SHARED)",
    [U_MAP_PRIVATE] = "mmap(PROT_WRITE, MAP_PRIVATE)",
    [U_TIMES] = "futimens",
    [U_LOCK_READ] = "fcntl(F_RDLCK)",
    [U_LOCK_WRITE] = "fcntl(F_WRLCK)",
    [U_DIRENTS] = "fdopendir",
    [U_CHDIR] = "fchdir",
};

static long map_it(int fd, int protection, int flags)
{
    void *map = mmap(NULL, 4096, protection, flags, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    return sys(munmap(map, 4096));
}

static long lock_it(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
    return sys(fcntl(fd, F_SETLK, &lock));
}

static long enter_it(int fd)
{
    int here = open(".", O_PATH | O_CLOEXEC);
    long result = sys(fchdir(fd));
    if (result == 0 && fchdir(here))
        abort();
    close(here);
    return result;
}

static long use_bytes(enum use use, int fd)
{
    char bytes[4] = "abc";
    if (use == U_READ)
        return sys(read(fd, bytes, 2));
    if (use == U_PREAD)
        return sys(pread(fd, bytes, 2, 1));
    if (use == U_WRITE)
        return sys(write(fd, bytes, 2));
    if (use == U_PWRITE)
        return sys(pwrite(fd, bytes, 2, 1));
    if (use == U_TRUNCATE)
        return sys(ftruncate(fd, 5));
    return sys(lseek(fd, 1, SEEK_SET));
}

static long use_map(enum use use, int fd)
{
    if (use == U_MAP_READ)
        return map_it(fd, PROT_READ, MAP_SHARED);
    if (use == U_MAP_WRITE)
        return map_it(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
    return map_it(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

static long use_rest(enum use use, int fd)
{
    struct stat status;
    if (use == U_SYNC)
        return sys(fsync(fd));
    if (use == U_DATASYNC)
        return sys(fdatasync(fd));
    if (use == U_STAT)
        return sys(fstat(fd, &status));
    if (use == U_CHMOD)
        return sys(fchmod(fd, 0755));
    if (use == U_CHOWN)
        return sys(fchown(fd, (uid_t)-1, GROUP_GID));
    if (use == U_FALLOCATE)
        return sys(fallocate(fd, 0, 0, 100));
    if (use == U_TIMES)
        return sys(futimens(fd, NULL));
    if (use == U_LOCK_READ)
        return lock_it(fd, F_RDLCK);
    if (use == U_LOCK_WRITE)
        return lock_it(fd, F_WRLCK);
    return enter_it(fd);
}

static long use_directory(int fd)
{
    char room[1000];
    return sys(getdents64(fd, room, sizeof(room)));
}

static long deed_use(struct deed *d)
{
    enum use use = (enum use)d->y;
    int fd = open(d->a, (int)d->x | O_CLOEXEC | O_NONBLOCK);
    long result = sys(fd);
    if (fd < 0)
        return result;
    if (use <= U_SEEK)
        result = use_bytes(use, fd);
    else if (use >= U_MAP_READ && use <= U_MAP_PRIVATE)
        result = use_map(use, fd);
    else if (use == U_DIRENTS)
        result = use_directory(fd);
    else
        result = use_rest(use, fd);
    close(fd);
    return result;
}

/* ---- expectations: rows by use, of the ways of opening below ---- */

struct opening {
    const char *name;
    int flags;
    enum kind kind;
    int expected[USE_COUNT];
};

static const struct opening openings[] = {
    {"a file open with O_RDONLY",
     O_RDONLY,
     K_FILE,
     {[U_WRITE] = EBADF,
      [U_PWRITE] = EBADF,
      [U_TRUNCATE] = EINVAL,
      [U_FALLOCATE] = EBADF,
      [U_MAP_WRITE] = EACCES,
      [U_LOCK_WRITE] = EBADF,
      [U_DIRENTS] = ENOTDIR,
      [U_CHDIR] = ENOTDIR}},
    {"a file open with O_WRONLY",
     O_WRONLY,
     K_FILE,
     {[U_READ] = EBADF,
      [U_PREAD] = EBADF,
      [U_MAP_READ] = EACCES,
      [U_MAP_WRITE] = EACCES,
      [U_MAP_PRIVATE] = EACCES,
      [U_LOCK_READ] = EBADF,
      [U_DIRENTS] = ENOTDIR,
      [U_CHDIR] = ENOTDIR}},
    {"a file open with O_RDWR", O_RDWR, K_FILE, {[U_DIRENTS] = ENOTDIR, [U_CHDIR] = ENOTDIR}},
    {"a file open with O_WRONLY|O_APPEND",
     O_WRONLY | O_APPEND,
     K_FILE,
     {[U_READ] = EBADF,
      [U_PREAD] = EBADF,
      [U_MAP_READ] = EACCES,
      [U_MAP_WRITE] = EACCES,
      [U_MAP_PRIVATE] = EACCES,
      [U_LOCK_READ] = EBADF,
      [U_DIRENTS] = ENOTDIR,
      [U_CHDIR] = ENOTDIR}},
    {"a file open with O_PATH",
     O_PATH,
     K_FILE,
     {[U_READ] = EBADF,
      [U_PREAD] = EBADF,
      [U_WRITE] = EBADF,
      [U_PWRITE] = EBADF,
      [U_TRUNCATE] = EBADF,
      [U_SEEK] = EBADF,
      [U_SYNC] = EBADF,
      [U_DATASYNC] = EBADF,
      [U_CHMOD] = EBADF,
      [U_CHOWN] = EBADF,
      [U_FALLOCATE] = EBADF,
      [U_MAP_READ] = EBADF,
      [U_MAP_WRITE] = EBADF,
      [U_MAP_PRIVATE] = EBADF,
      [U_TIMES] = EBADF,
      [U_LOCK_READ] = EBADF,
      [U_LOCK_WRITE] = EBADF,
      [U_DIRENTS] = EBADF,
      [U_CHDIR] = ENOTDIR}},
    {"a directory open with O_PATH",
     O_PATH,
     K_DIR,
     {[U_READ] = EBADF,
      [U_PREAD] = EBADF,
      [U_WRITE] = EBADF,
      [U_PWRITE] = EBADF,
      [U_TRUNCATE] = EBADF,
      [U_SEEK] = EBADF,
      [U_SYNC] = EBADF,
      [U_DATASYNC] = EBADF,
      [U_CHMOD] = EBADF,
      [U_CHOWN] = EBADF,
      [U_FALLOCATE] = EBADF,
      [U_MAP_READ] = EBADF,
      [U_MAP_WRITE] = EBADF,
      [U_MAP_PRIVATE] = EBADF,
      [U_TIMES] = EBADF,
      [U_LOCK_READ] = EBADF,
      [U_LOCK_WRITE] = EBADF,
      [U_DIRENTS] = EBADF}},
    {"a directory open with O_RDONLY",
     O_RDONLY,
     K_DIR,
     {[U_READ] = EISDIR,
      [U_PREAD] = EISDIR,
      [U_WRITE] = EBADF,
      [U_PWRITE] = EBADF,
      [U_TRUNCATE] = EINVAL,
      [U_FALLOCATE] = EBADF,
      [U_MAP_READ] = ENODEV,
      [U_MAP_WRITE] = EACCES,
      [U_MAP_PRIVATE] = ENODEV,
      [U_LOCK_WRITE] = EBADF}},
    {"a fifo open with O_RDWR",
     O_RDWR,
     K_FIFO,
     {[U_READ] = EAGAIN,
      [U_PREAD] = ESPIPE,
      [U_PWRITE] = ESPIPE,
      [U_TRUNCATE] = EINVAL,
      [U_SEEK] = ESPIPE,
      [U_SYNC] = EINVAL,
      [U_DATASYNC] = EINVAL,
      [U_FALLOCATE] = ESPIPE,
      [U_MAP_READ] = ENODEV,
      [U_MAP_WRITE] = ENODEV,
      [U_MAP_PRIVATE] = ENODEV,
      [U_DIRENTS] = ENOTDIR,
      [U_CHDIR] = ENOTDIR}},
};

static void assert_use(const struct opening *opening, enum use use, enum caller who)
{
    if (!begin(uses[use], opening->name, who))
        return;
    if (use != U_FALLOCATE || offers(HAS_FALLOCATE)) {
        make(at("x"), opening->kind, OWNED(0755));
        if (opening->kind == K_FILE)
            make_bytes(at("x"), "some text", 9);
        want_result(as(who, deed_use, at("x"), NULL, opening->flags, (long)use),
                    opening->expected[use]);
    }
    end();
}

/* ---- flags ---- */

struct flag_case {
    const char *name;
    int flags;
    enum kind kind;
    int expected;
};

static const struct flag_case flag_cases[] = {
    {"O_DIRECTORY|O_CREAT of a directory", O_DIRECTORY | O_CREAT, K_DIR, EINVAL},
    {"O_DIRECTORY|O_CREAT of nothing", O_DIRECTORY | O_CREAT, K_NONE, EINVAL},
    {"O_TMPFILE|O_RDONLY", O_TMPFILE | O_RDONLY, K_DIR, EINVAL},
    {"O_TMPFILE|O_CREAT", O_TMPFILE | O_CREAT | O_RDWR, K_DIR, EINVAL},
    {"O_TRUNC of a directory", O_TRUNC | O_RDONLY, K_DIR, EISDIR},
    {"O_NOFOLLOW of a link to a file", O_NOFOLLOW | O_WRONLY, K_LINK, ELOOP},
    {"O_CREAT|O_NOFOLLOW of a link to nothing", O_CREAT | O_NOFOLLOW | O_WRONLY, K_DANGLING, ELOOP},
    {"O_CREAT|O_EXCL of a link to nothing", O_CREAT | O_EXCL | O_WRONLY, K_DANGLING, EEXIST},
    {"O_CREAT|O_EXCL of a link to itself", O_CREAT | O_EXCL | O_WRONLY, K_LOOP, EEXIST},
    {"O_EXCL without O_CREAT", O_EXCL | O_RDWR, K_FILE, 0},
    {"O_SYNC", O_SYNC | O_RDWR, K_FILE, 0},
    {"O_DSYNC", O_DSYNC | O_RDWR, K_FILE, 0},
    {"O_NOCTTY", O_NOCTTY | O_RDWR, K_FILE, 0},
    {"O_NOATIME of one's own", O_NOATIME | O_RDONLY, K_FILE, 0},
    {"O_DIRECTORY|O_WRONLY of a directory", O_DIRECTORY | O_WRONLY, K_DIR, EISDIR},
    {"O_DIRECTORY|O_TRUNC of a file", O_DIRECTORY | O_TRUNC | O_RDWR, K_FILE, ENOTDIR},
    {"O_WRONLY|O_NONBLOCK of a fifo without a reader", O_WRONLY | O_NONBLOCK, K_FIFO, ENXIO},
    {"O_RDONLY|O_NONBLOCK of a fifo", O_RDONLY | O_NONBLOCK, K_FIFO, 0},
    {"O_APPEND|O_TRUNC", O_APPEND | O_TRUNC | O_WRONLY, K_FILE, 0},
};

static void assert_flags(const struct flag_case *row, enum caller who)
{
    if (!begin("open", row->name, who))
        return;
    make(at("x"), row->kind, OWNED(kind_is_dir(row->kind) ? 0755 : 0644));
    want_result(as(who, do_open, at("x"), NULL, row->flags, 0644), row->expected);
    end();
}

static void assert_noatime(enum caller who)
{
    if (!begin("open(O_NOATIME)", "another's file", who))
        return;
    make(at("x"), K_FILE, (struct who){0666, STRANGE_UID, STRANGE_GID});
    want_result(as(who, do_open, at("x"), NULL, O_NOATIME | O_RDONLY, 0), who == ROOT ? 0 : EPERM);
    end();
}

/* Truncation needs the right to write, whatever the directory allows. */
static void assert_trunc(mode_t mode, int flags, enum caller who)
{
    unsigned bits = who == OTHER ? mode & 7 : who == OWNER ? mode >> 6 & 7 : mode >> 3 & 7;
    unsigned asked = (flags & O_ACCMODE) == O_RDWR ? 6 : 2;
    bool may = who == ROOT || (bits & asked) == asked;
    if (!beginf(who, flags & O_CREAT ? "open(O_CREAT|O_TRUNC)" : "open(O_TRUNC)",
                "a file of mode %04o, for %s", mode, asked == 6 ? "both" : "writing"))
        return;
    make_bytes(at("x"), "some text", 9);
    must(sys(chown(at("x"), OWNER_UID, GROUP_GID)), "an owner");
    must(sys(chmod(at("x"), mode)), "a mode");
    want_result(as(who, do_open, at("x"), NULL, flags | O_TRUNC, 0), may ? 0 : EACCES);
    want_equal("its size", (long long)look(at("x")).size, may ? 0 : 9);
    end();
}

/* ---- O_TMPFILE ---- */

static long deed_tmpfile(struct deed *d)
{
    char name[64];
    int fd = open(d->a, O_TMPFILE | O_RDWR | O_CLOEXEC | (int)d->x, 0640);
    long result = sys(fd);
    if (fd < 0)
        return result;
    result = sys(write(fd, "bytes", 5));
    if (result >= 0 && look_fd(fd).nlink != 0)
        result = -EMLINK;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    if (result >= 0)
        result = sys(linkat(AT_FDCWD, name, AT_FDCWD, d->b, AT_SYMLINK_FOLLOW));
    if (result >= 0 && look_fd(fd).nlink != 1)
        result = -EPROTO;
    close(fd);
    return result;
}

static void assert_tmpfile(int flags, enum caller who)
{
    if (!beginf(who, "open(O_TMPFILE), write, linkat", "a directory%s",
                flags ? ", with O_EXCL" : ""))
        return;
    if (offers(HAS_TMPFILE)) {
        make(at("p"), K_DIR, OWNED(0777));
        want_result(as(who, deed_tmpfile, at("p"), at("p/new"), flags, 0), flags ? ENOENT : 0);
        struct look made = look(at("p/new"));
        want("the name", made.is_there == !flags);
        if (!flags) {
            want_equal("size", (long long)made.size, 5);
            want_equal("mode", made.mode, S_IFREG | 0640);
            want_equal("owner", made.uid, caller_uid(who));
            want_equal("links", made.nlink, 1);
        }
    }
    end();
}

/* ---- programs ---- */

static void copy_program(const char *to)
{
    char bytes[65536];
    ssize_t got;
    int in = open("/bin/sleep", O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    while ((got = read(in, bytes, sizeof(bytes))) > 0)
        must(write(out, bytes, (size_t)got) == got ? 0 : -EIO, "a program");
    close(in);
    close(out);
}

static int execute(void *path)
{
    char *arguments[] = {path, "0", NULL};
    execv(path, arguments);
    return errno;
}

static int expected_of_mode(mode_t mode, enum caller who)
{
    unsigned bits = who == OTHER ? mode & 7 : who == OWNER ? mode >> 6 & 7 : mode >> 3 & 7;
    if (who == ROOT)
        return mode & 0111 ? 0 : EACCES;
    return bits & 1 ? 0 : EACCES;
}

static void assert_execution(mode_t mode, enum caller who)
{
    if (!beginf(who, "execve", "a program of mode %04o", mode))
        return;
    if (offers(HAS_EXECUTION)) {
        char path[64];
        snprintf(path, sizeof(path), "%s", at("program"));
        copy_program(path);
        must(sys(chown(path, OWNER_UID, GROUP_GID)), "an owner");
        must(sys(chmod(path, mode)), "a mode");
        want_equal(error_name(-expected_of_mode(mode, who)), in_child(who, execute, path),
                   expected_of_mode(mode, who));
    }
    end();
}

static int run_script(void *path)
{
    char *arguments[] = {path, NULL};
    execv(path, arguments);
    return errno;
}

static void assert_script(const char *text, const char *name, int expected)
{
    if (!begin("execve", name, OWNER))
        return;
    if (offers(HAS_EXECUTION)) {
        make_bytes(at("script"), text, strlen(text));
        must(sys(chmod(at("script"), 0755)), "a mode");
        want_equal("its result", in_child(OWNER, run_script, (void *)(uintptr_t)at("script")),
                   expected);
    }
    end();
}

static void wait_for_program(pid_t pid)
{
    char link[64];
    char name[4200] = "";
    snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
    for (unsigned i = 0; i < 2000 && !strstr(name, "/program"); i++) {
        ssize_t length = readlink(link, name, sizeof(name) - 1);
        name[length > 0 ? length : 0] = '\0';
        usleep(1000);
    }
}

/* A program that runs is not written, and one that is being written does not run. */
static void assert_busy(void)
{
    if (!begin("open and truncate", "a program that runs", ROOT))
        return;
    if (offers(HAS_EXECUTION)) {
        const char *path = at("program");
        copy_program(path);
        pid_t pid = fork();
        if (pid == 0) {
            execl(path, path, "30", (char *)NULL);
            _exit(1);
        }
        wait_for_program(pid);
        want_result(as(ROOT, do_open, path, NULL, O_WRONLY, 0), ETXTBSY);
        want_result(as(ROOT, do_open, path, NULL, O_RDWR | O_TRUNC, 0), ETXTBSY);
        want("truncate refuses it", as(ROOT, do_truncate, path, NULL, 0, 0) == -ETXTBSY);
        want("reading is allowed", as(ROOT, do_open, path, NULL, O_RDONLY, 0) == 0);
        want("rename is allowed", as(ROOT, do_rename, path, at("moved"), 0, 0) == 0);
        want("unlink is allowed", as(ROOT, do_unlink, at("moved"), NULL, 0, 0) == 0);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    end();
}

static void assert_written(void)
{
    if (!begin("execve", "a program that is being written", ROOT))
        return;
    if (offers(HAS_EXECUTION)) {
        char path[64];
        snprintf(path, sizeof(path), "%s", at("program"));
        copy_program(path);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        want_equal("ETXTBSY", in_child(ROOT, execute, path), ETXTBSY);
        close(fd);
        want_equal("ok when it is closed", in_child(ROOT, execute, path), 0);
    }
    end();
}

static void assert_openings(enum caller who)
{
    for (size_t i = 0; i < COUNT(openings); i++) {
        for (enum use use = 0; use < USE_COUNT; use++)
            assert_use(&openings[i], use, who);
    }
    for (size_t i = 0; i < COUNT(flag_cases); i++)
        assert_flags(&flag_cases[i], who);
}

void suite_open(void)
{
    static const mode_t modes[] = {0666, 0644, 0444, 0222, 0606, 0660, 0066, 0604};
    static const mode_t programs[] = {0755, 0711, 0644, 0100, 0010, 0001, 0000, 0677};
    assert_openings(ROOT);
    assert_openings(OWNER);
    for (enum caller who = ROOT; who < CALLER_COUNT; who++) {
        if (who != OWNER)
            assert_noatime(who);
        for (size_t m = 0; m < COUNT(modes); m++) {
            assert_trunc(modes[m], O_WRONLY, who);
            assert_trunc(modes[m], O_RDWR, who);
            assert_trunc(modes[m], O_WRONLY | O_CREAT, who);
        }
        for (size_t m = 0; m < COUNT(programs); m++)
            assert_execution(programs[m], who);
        assert_tmpfile(0, who);
        assert_tmpfile(O_EXCL, who);
    }
    assert_script("#!/bin/sh\nexit 7\n", "a script", 7);
    assert_script("#!/nowhere/sh\nexit 7\n", "a script without its interpreter", ENOENT);
    assert_script("no program at all", "a file that is no program", ENOEXEC);
    assert_script("", "an empty file", ENOEXEC);
    assert_busy();
    assert_written();
}
