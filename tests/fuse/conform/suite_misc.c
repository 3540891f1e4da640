/* suite_misc.c -- fifos and sockets in use, device numbers, statvfs, statx, file handles, fsync */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "conform.h"

static void assert_fifo(void)
{
    char bytes[8];
    if (!begin("write and read", "a fifo", ROOT))
        return;
    make(at("x"), K_FIFO, ROOTS(0666));
    int reader = open(at("x"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int writer = open(at("x"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    want("both ends open", reader >= 0 && writer >= 0);
    want_equal("nothing yet", sys(read(reader, bytes, 8)), -EAGAIN);
    want_equal("written", write(writer, "fifo", 4), 4);
    want("read", read(reader, bytes, 8) == 4 && memcmp(bytes, "fifo", 4) == 0);
    want_equal("its size stays", (long long)look(at("x")).size, 0);
    must(sys(rename(at("x"), at("y"))), "a rename");
    want_equal("written after a rename", write(writer, "more", 4), 4);
    must(sys(unlink(at("y"))), "an unlink");
    want_equal("read after an unlink", read(reader, bytes, 8), 4);
    close(writer);
    want_equal("the end", read(reader, bytes, 8), 0);
    close(reader);
    end();
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return address;
}

static long bind_at(const char *path, int *fd)
{
    struct sockaddr_un address = address_of(path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return sys(bind(*fd, (struct sockaddr *)&address, sizeof(address)));
}

static void assert_socket(void)
{
    int server;
    if (!begin("bind and connect", "a socket", ROOT))
        return;
    want_result(bind_at(at("x"), &server), 0);
    want("a socket is made", S_ISSOCK(look(at("x")).mode));
    must(sys(listen(server, 1)), "listen");
    struct sockaddr_un address = address_of(at("x"));
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    want_result(sys(connect(client, (struct sockaddr *)&address, sizeof(address))), 0);
    close(client);
    must(sys(rename(at("x"), at("y"))), "a rename");
    address = address_of(at("y"));
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    want("it is reached by its new name",
         connect(client, (struct sockaddr *)&address, sizeof(address)) == 0);
    close(client);
    close(server);
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    want_result(sys(connect(client, (struct sockaddr *)&address, sizeof(address))), ECONNREFUSED);
    close(client);
    end();
}

static void assert_bind(enum kind kind, mode_t mask)
{
    int fd;
    if (!beginf(ROOT, "bind", "%s, umask %04o", kind_name(kind), mask))
        return;
    make(at("x"), kind, ROOTS(0755));
    mode_t old = umask(mask);
    want_result(bind_at(at("x"), &fd), kind == K_NONE ? 0 : EADDRINUSE);
    umask(old);
    if (kind == K_NONE)
        want_equal("the mode", look(at("x")).mode, S_IFSOCK | (0777 & ~mask));
    close(fd);
    end();
}

/* ---- device numbers ---- */

static void assert_device(mode_t type, unsigned major, unsigned minor)
{
    if (!beginf(ROOT, type == S_IFCHR ? "mknod(S_IFCHR)" : "mknod(S_IFBLK)", "the device %u:%u",
                major, minor))
        return;
    want_result(as(ROOT, do_mknod, at("x"), NULL, type | 0640, (long)makedev(major, minor)), 0);
    struct look seen = look(at("x"));
    want_equal("its number", (long long)seen.rdev, (long long)makedev(major, minor));
    want_equal("its mode", seen.mode, type | 0640);
    want_equal("its size", (long long)seen.size, 0);
    end();
}

static void assert_bad_mknod(const char *name, mode_t mode, int expected)
{
    if (!begin("mknod", name, ROOT))
        return;
    want_result(as(ROOT, do_mknod, at("x"), NULL, mode, 0), expected);
    want("what is made", look(at("x")).is_there == (expected == 0));
    end();
}

/* ---- what a filesystem says of itself ---- */

static void assert_statvfs(void)
{
    struct statvfs before;
    struct statvfs after;
    if (!begin("statvfs", "a file of 4 MiB is written", ROOT))
        return;
    static char bytes[1 << 16];
    memset(bytes, 's', sizeof(bytes));
    want_result(sys(statvfs(at(""), &before)), 0);
    want("blocks", before.f_bsize >= 512 && before.f_blocks >= before.f_bfree &&
                       before.f_bfree >= before.f_bavail);
    want("inodes", before.f_files >= before.f_ffree);
    want_equal("the longest name", (long long)before.f_namemax, 255);
    int fd = open(at("x"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    for (unsigned i = 0; i < 64; i++)
        must(write(fd, bytes, sizeof(bytes)) > 0 ? 0 : -errno, "a write");
    fsync(fd);
    statvfs(at(""), &after);
    uint64_t used = (before.f_bfree - after.f_bfree) * before.f_frsize;
    want("what is free is less by as much", used >= 4 << 20 && used < 6 << 20);
    struct statvfs by_fd;
    want_result(sys(fstatvfs(fd, &by_fd)), 0);
    want_equal("by a descriptor", (long long)by_fd.f_blocks, (long long)after.f_blocks);
    close(fd);
    must(sys(unlink(at("x"))), "an unlink");
    end();
}

static void assert_statx(enum kind kind)
{
    struct statx seen;
    if (!beginf(ROOT, "statx", "%s", kind_name(kind)))
        return;
    make(at("x"), kind, OWNED(0751));
    struct look known = look(at("x"));
    want_result(sys(statx(AT_FDCWD, at("x"), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &seen)), 0);
    want("all is there that stat has", (seen.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    want_equal("mode", seen.stx_mode, known.mode);
    want_equal("links", seen.stx_nlink, known.nlink);
    want_equal("inode", (long long)seen.stx_ino, (long long)known.ino);
    want_equal("owner", seen.stx_uid, known.uid);
    want_equal("size", (long long)seen.stx_size, (long long)known.size);
    want_equal("blocks", (long long)seen.stx_blocks, (long long)known.blocks);
    want("the device that it is", makedev(seen.stx_rdev_major, seen.stx_rdev_minor) == known.rdev);
    want("the size of blocks is a power of two",
         seen.stx_blksize >= 512 && (seen.stx_blksize & (seen.stx_blksize - 1)) == 0);
    end();
}

static void assert_statx_asked(unsigned mask, int flags, int expected, const char *name)
{
    struct statx seen;
    if (!begin("statx", name, ROOT))
        return;
    make(at("x"), K_FILE, OWNED(0644));
    want_result(sys(statx(AT_FDCWD, at("x"), flags, mask, &seen)), expected);
    end();
}

/* ---- handles ---- */

static void assert_handle(enum kind kind)
{
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } space = {.handle.handle_bytes = MAX_HANDLE_SZ};
    int mount_id;
    if (!beginf(ROOT, "open_by_handle_at", "%s", kind_name(kind)))
        return;
    if (offers(HAS_HANDLES)) {
        make(at("x"), kind, ROOTS(0755));
        int root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        want_result(sys(name_to_handle_at(AT_FDCWD, at("x"), &space.handle, &mount_id, 0)), 0);
        struct look known = look(at("x"));
        must(sys(rename(at("x"), at("y"))), "a rename");
        int fd = open_by_handle_at(root, &space.handle, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        want("it opens after a rename", fd >= 0);
        want_equal("it is the same", fd >= 0 ? (long long)look_fd(fd).ino : 0,
                   (long long)known.ino);
        if (fd >= 0)
            close(fd);
        remove_tree(at("y"));
        want_result(sys(open_by_handle_at(root, &space.handle, O_PATH | O_CLOEXEC)), ESTALE);
        close(root);
    }
    end();
}

/* Whoever holds the last of it, a daemon included, may still be about to hear that it is gone. */
static void assert_handles_gone(unsigned rounds)
{
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } space = {.handle.handle_bytes = MAX_HANDLE_SZ};
    int mount_id;
    unsigned opened = 0;
    if (!beginf(ROOT, "open_by_handle_at", "what was just removed, %u times", rounds))
        return;
    if (offers(HAS_HANDLES)) {
        int root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; i < rounds; i++) {
            make(at("x"), i % 2 ? K_FIFO : K_FILE, ROOTS(0644));
            must(sys(name_to_handle_at(AT_FDCWD, at("x"), &space.handle, &mount_id, 0)),
                 "a handle");
            must(sys(unlink(at("x"))), "an unlink");
            int fd = open_by_handle_at(root, &space.handle, O_PATH | O_CLOEXEC);
            opened += fd >= 0 || errno != ESTALE;
            if (fd >= 0)
                close(fd);
        }
        want_equal("times that it could be opened", opened, 0);
        close(root);
    }
    end();
}

/* ---- the same inode by every name of the way ---- */

static void assert_numbers(void)
{
    if (!begin("stat", "inode numbers", ROOT))
        return;
    make(at("d"), K_DIR, ROOTS(0755));
    make(at("d/x"), K_FILE, ROOTS(0644));
    uint64_t ino = look(at("d/x")).ino;
    want_equal("by dots", (long long)look(at("d/./../d/x")).ino, (long long)ino);
    int fd = open(at("d/x"), O_RDONLY | O_CLOEXEC);
    want_equal("by a descriptor", (long long)look_fd(fd).ino, (long long)ino);
    close(fd);
    make(at("d/y"), K_FILE, ROOTS(0644));
    want("of two files are two", look(at("d/y")).ino != ino);
    must(sys(unlink(at("d/y"))), "an unlink");
    must(sys(rename(at("d/x"), at("d/y"))), "a rename");
    want_equal("after a rename", (long long)look(at("d/y")).ino, (long long)ino);
    must(sys(chmod(at("d/y"), 0600)), "a mode");
    want_equal("after chmod", (long long)look(at("d/y")).ino, (long long)ino);
    end();
}

static void assert_sync(enum kind kind)
{
    if (!beginf(ROOT, "fsync, fdatasync and syncfs", "%s", kind_name(kind)))
        return;
    make(at("x"), kind, ROOTS(0755));
    int fd = open(at("x"), O_RDONLY | O_CLOEXEC);
    want_result(sys(fsync(fd)), 0);
    want("fdatasync", fdatasync(fd) == 0);
    want("syncfs", syncfs(fd) == 0);
    close(fd);
    end();
}

static void assert_poll(void)
{
    if (!begin("poll", "a file", ROOT))
        return;
    make(at("x"), K_FILE, ROOTS(0644));
    struct pollfd poll_it = {.fd = open(at("x"), O_RDWR | O_CLOEXEC), .events = POLLIN | POLLOUT};
    want_equal("it is always ready", poll(&poll_it, 1, 0), 1);
    want_equal("for both", poll_it.revents, POLLIN | POLLOUT);
    close(poll_it.fd);
    end();
}

void suite_misc(void)
{
    static const unsigned numbers[][2] = {{0, 0},     {1, 3},          {8, 1},
                                          {255, 255}, {4095, 1048575}, {256, 300}};
    assert_fifo();
    assert_socket();
    for (enum kind kind = K_NONE; kind < KIND_COUNT; kind++)
        assert_bind(kind, 022);
    assert_bind(K_NONE, 0);
    assert_bind(K_NONE, 0777);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        assert_device(S_IFCHR, numbers[i][0], numbers[i][1]);
        assert_device(S_IFBLK, numbers[i][0], numbers[i][1]);
    }
    assert_bad_mknod("of a directory", S_IFDIR | 0755, EPERM);
    assert_bad_mknod("of a symbolic link", S_IFLNK | 0755, EINVAL);
    assert_bad_mknod("of no type is a file", 0644, 0);
    assert_statvfs();
    for (enum kind kind = K_FILE; kind < KIND_COUNT; kind++) {
        assert_statx(kind);
        if (kind != K_FULL)
            assert_handle(kind);
    }
    assert_handles_gone(300);
    assert_statx_asked(0, 0, 0, "no field");
    assert_statx_asked(STATX_ALL, 0, 0, "all fields");
    assert_statx_asked(STATX__RESERVED, 0, EINVAL, "a reserved field");
    assert_statx_asked(STATX_BASIC_STATS, 0x40000, EINVAL, "unknown flags");
    assert_statx_asked(STATX_BASIC_STATS, AT_STATX_FORCE_SYNC, 0, "AT_STATX_FORCE_SYNC");
    assert_statx_asked(STATX_BASIC_STATS, AT_STATX_DONT_SYNC, 0, "AT_STATX_DONT_SYNC");
    assert_statx_asked(STATX_BASIC_STATS, AT_STATX_SYNC_TYPE, EINVAL, "both ways to synchronise");
    assert_numbers();
    assert_sync(K_FILE);
    assert_sync(K_DIR);
    assert_poll();
}
