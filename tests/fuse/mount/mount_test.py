#!/usr/bin/env python3
"""mount_test.py -- vmfs-fuse as a command: options, what it refuses, how it ends, and what it survives

mount_test.py BUILD [--files N] [CASE...]    BUILD is the build folder; all cases, or those named

Regions and mountpoints lie in a folder below $VMFS_TEST_DIR or /dev/shm that is removed at the end. Exits with
77 where nothing can be mounted. Some cases need root and are left out without it, which is said."""
import ctypes
import errno
import fcntl
import mmap
import os
import pathlib
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time

NOBODY = 65534
STATS_HEAD = "<II QQQ QQQQQ QQQQQQQ II QQQQ"
STATS_OP = "<QQQQ80I"
STATS_OPS = ("lookup forget getattr setattr readlink symlink mknod mkdir unlink rmdir rename link open read write "
             "statfs release fsync setxattr getxattr listxattr removexattr flush opendir readdir releasedir "
             "fsyncdir create tmpfile fallocate lseek copy_file_range ioctl other").split()
GETFLAGS, SETFLAGS, FSGETXATTR = 0x80086601, 0x40086602, 0x801C581F
IMMUTABLE, APPEND, NODUMP = 0x10, 0x20, 0x40
libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def fails(number, function, *arguments, **keywords):
    """The call fails with this errno."""
    try:
        function(*arguments, **keywords)
    except OSError as error:
        check(error.errno == number, f"{function.__name__}: {error}, not {errno.errorcode[number]}")
        return
    raise Failure(f"{function.__name__} succeeds, not {errno.errorcode[number]}")


def errno_of(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    return 0


def wait_until(condition, text, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, text)
        time.sleep(0.01)


class Bench:
    """One region and one mountpoint, and the commands on them."""

    def __init__(self, build, folder, files):
        self.fuse = str(build / "fuse-frontend" / "vmfs-fuse")
        self.vmfs = str(build / "tools" / "vmfs")
        self.handle_test = str(build / "tests" / "fuse" / "mount" / "handle_test")
        self.folder = folder
        self.region = folder / "region"
        self.mountpoint = folder / "mnt"
        self.mountpoint.mkdir()
        self.files = files

    def run(self, *command, **keywords):
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=20, **keywords)

    def start(self, options="", *, size="64M"):
        words = ",".join(filter(None, [f"size={size}", options]))
        return self.run(self.fuse, self.region, self.mountpoint, "-o", words)

    def mount(self, options="", *, size="64M"):
        result = self.start(options, size=size)
        check(result.returncode == 0, f"mounting: {result.stderr}")
        check(self.is_mounted(), "it says that it is mounted, but is not")

    def entry(self):
        found = None
        for line in open("/proc/self/mountinfo"):
            if line.split()[4] == str(self.mountpoint):
                found = line
        return found

    def is_mounted(self):
        return self.entry() is not None

    def daemon(self):
        """The process that serves: it has the region open, which its helper has not."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "exe") == os.path.realpath(self.fuse) and any(
                        os.readlink(fd) == str(self.region) for fd in (process / "fd").iterdir()):
                    return int(process.name)
            except OSError:
                continue
        return None

    def processes(self):
        """The daemon and its helper, each by what ps shows."""
        result = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes()
                if os.readlink(process / "exe") != os.path.realpath(self.fuse):
                    continue
            except OSError:
                continue
            if os.fsencode(self.region) in line.split(b"\0"):
                result[int(process.name)] = "daemon"
            elif line.rstrip(b"\0") == b"vmfs-unmount " + os.fsencode(self.mountpoint):
                result[int(process.name)] = "helper"
        return result

    def wait_end(self):
        wait_until(lambda: not self.is_mounted(), "it is still mounted")
        wait_until(lambda: not self.processes(), "a process of it is left")

    def unmount(self):
        result = self.run("fusermount3", "-u", self.mountpoint)
        check(result.returncode == 0, f"fusermount3: {result.stderr}")
        self.wait_end()

    def check_clean(self):
        result = self.run(self.vmfs, "fsck", self.region)
        check(result.returncode == 0 and "clean:" in result.stdout, f"fsck: {result.stdout}{result.stderr}")
        check("journal: 0 records" in result.stdout, f"it was not closed: {result.stdout}")

    def kill(self):
        pid = self.daemon()
        check(pid, "no daemon")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.daemon() is None, "it outlives SIGKILL")

    def stats(self):
        size = struct.calcsize(STATS_HEAD) + len(STATS_OPS) * struct.calcsize(STATS_OP)
        data = bytearray(size)
        fd = os.open(self.mountpoint, os.O_RDONLY)
        fcntl.ioctl(fd, 2 << 30 | size << 16 | ord("v") << 8 | 0x53, data)
        os.close(fd)
        head = struct.unpack_from(STATS_HEAD, data)
        ops = {name: struct.unpack_from(STATS_OP, data, struct.calcsize(STATS_HEAD) + i * struct.calcsize(STATS_OP))
               for i, name in enumerate(STATS_OPS)}
        return head, ops

    def clear(self):
        """Whatever the case has left."""
        while self.is_mounted():
            subprocess.run(["fusermount3", "-u", "-z", str(self.mountpoint)], capture_output=True)
            subprocess.run(["umount", "-l", str(self.mountpoint)], capture_output=True)
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


def case_help(bench):
    result = bench.run(bench.fuse, "--help")
    check(result.returncode == 0 and "Usage:" in result.stdout and "writeback" in result.stdout, "--help")
    check("LOST" in result.stdout, "the help says nothing of what writeback may lose")
    check(max(map(len, result.stdout.splitlines())) <= 90, "--help is wider than a terminal")
    result = bench.run(bench.fuse, "--version")
    check(result.returncode == 0 and result.stdout.startswith("vmfs-fuse 0."), "--version")


def case_refuses(bench):
    """Each with a reason on standard error, and without a mount."""
    region, where = bench.region, bench.mountpoint
    plain = bench.folder / "plain"
    plain.write_bytes(b"\1" * (1 << 20))
    wanted = [
        (2, "needed", [region]),
        (2, "needed", [region, where, "more"]),
        (2, "no such option", [region, where, "-o", "frobnicate"]),
        (2, "bytes", [region, where, "-o", "size=12Q"]),
        (2, "bytes", [region, where, "-o", "size=-1"]),
        (2, "or auto", [region, where, "-o", "offset=autos"]),
        (1, "not a vmfs region", [plain, where, "-o", "offset=auto"]),
        (2, "bytes", [region, where, "-o", "size=99999999999T"]),
        (2, "auto, power or process", [region, where, "-o", "durability=lots"]),
        (2, "1 to 64", [region, where, "-o", "threads=0"]),
        (2, "relatime", [region, where, "-o", "strictatime"]),
        (2, "unrecognized option", [region, where, "--frobnicate"]),
        (1, "No such file", [region, where]),
        (1, "No such file", [bench.folder / "no" / "region", where]),
        (1, "No such file", [plain, bench.folder / "none"]),
        (1, "Not a directory", [plain, plain]),
        (1, "not a vmfs region", [plain, where]),
        (1, "Invalid argument", [region, where, "-o", "size=1000"]),
        (1, "shorter", [plain, where, "-o", "offset=4096,length=1000"]),
    ]
    for status, reason, arguments in wanted[:-1]:
        result = bench.run(bench.fuse, *arguments)
        check(result.returncode == status and reason in result.stderr,
              f"{arguments}: {result.returncode}, {result.stderr}")
        check(not bench.is_mounted(), f"{arguments}: mounted")
    check(not bench.processes(), "a helper is left")
    check(not region.exists(), "a region was made")


def case_busy(bench):
    bench.mount()
    second = bench.folder / "second"
    second.mkdir()
    result = bench.run(bench.fuse, bench.region, second, "-o", "wait=0")
    check(result.returncode == 1 and str(bench.daemon()) in result.stderr, f"busy: {result.stderr}")
    bench.unmount()


def case_offset_auto(bench):
    with open(bench.region, "wb") as file:
        file.truncate(66 << 20)
    bench.run(bench.vmfs, "format", "--force", "--size", "64M", "--offset", "2M", "--length", "64M", bench.region)
    result = bench.run(bench.fuse, bench.region, bench.mountpoint, "-o", "offset=auto")
    check(result.returncode == 0 and bench.is_mounted(), f"offset=auto: {result.stderr}")
    (bench.mountpoint / "x").write_text("y")
    bench.unmount()
    check(bench.run(bench.vmfs, "cat", "--offset", "2M", bench.region, "/x").stdout == "y", "it is somewhere else")


def case_foreground(bench):
    process = subprocess.Popen([bench.fuse, bench.region, bench.mountpoint, "-f", "-o", "size=64M"])
    wait_until(bench.is_mounted, "not mounted")
    (bench.mountpoint / "x").write_text("y")
    process.send_signal(signal.SIGINT)
    check(process.wait(timeout=10) == 0, "its status is not 0")
    bench.wait_end()
    bench.check_clean()


def case_defaults(bench):
    bench.mount()
    fields = bench.entry().split()
    words = set(fields[5].split(",")) | set(fields[-1].split(","))
    check(fields[fields.index("-") + 1] == "fuse.vmfs" and fields[-2] == str(bench.region), f"{fields}")
    check({"nosuid", "nodev", "default_permissions"} <= words and "allow_other" not in words, f"{words}")
    device = bench.mountpoint / "null"
    if os.geteuid() == 0:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        fails(errno.EACCES, os.open, device, os.O_RDONLY)
    bench.unmount()
    bench.check_clean()


def case_unchecked(bench):
    """No request that asks whether root may, and nobody else is served: also not who is root but for its files."""
    libc = ctypes.CDLL(None, use_errno=True)
    for words in ("unchecked,allow_other", "allow_other,unchecked"):
        check(bench.start(words).returncode == 2, f"{words}: it is not refused")
    bench.mount("unchecked")
    words = set(bench.entry().split()[5].split(",")) | set(bench.entry().split()[-1].split(","))
    check("default_permissions" not in words and {"nosuid", "nodev"} <= words, f"{words}")
    plain = bench.mountpoint / "plain"
    plain.write_text("x")
    before = bench.stats()[1]["getattr"][0]
    for i in range(20):
        os.mknod(bench.mountpoint / f"n{i}")
        os.unlink(bench.mountpoint / f"n{i}")
    check(bench.stats()[1]["getattr"][0] - before <= 2, "the kernel asks for attributes at each change")
    check(os.access(plain, os.R_OK | os.W_OK) and not os.access(plain, os.X_OK), "access() of root")
    plain.chmod(0o666)
    bench.mountpoint.chmod(0o777)
    os.chdir(bench.mountpoint)  # the folder around it lets nobody in
    libc.setfsuid(NOBODY)
    try:
        for call in (lambda: os.open("plain", os.O_RDONLY), lambda: os.mkdir("d"), lambda: os.unlink("plain"),
                     lambda: os.truncate("plain", 0), lambda: os.listdir("."), lambda: os.stat("missing")):
            fails(errno.EACCES, call)
    finally:
        libc.setfsuid(0)
        os.chdir("/")
    check(plain.read_text() == "x", "somebody has changed it")
    bench.unmount()
    bench.check_clean()


def case_read_only(bench):
    bench.mount()
    (bench.mountpoint / "x").write_text("y")
    bench.unmount()
    before = bench.region.read_bytes()
    bench.mount("ro")
    check((bench.mountpoint / "x").read_text() == "y", "its contents")
    fails(errno.EROFS, os.unlink, bench.mountpoint / "x")
    fails(errno.EROFS, os.mkdir, bench.mountpoint / "d")
    bench.unmount()
    check(bench.region.read_bytes() == before, "a read-only mount has changed the region")


def case_no_atime(bench):
    """With noatime nothing that is read gets another access time; by default all do once."""
    def read_all():
        (bench.mountpoint / "f").read_text()
        os.listdir(bench.mountpoint / "d")
        os.readlink(bench.mountpoint / "l")
        return [os.lstat(bench.mountpoint / name).st_atime_ns for name in "fdl"]

    bench.mount()
    (bench.mountpoint / "f").write_text("x")
    (bench.mountpoint / "d").mkdir()
    (bench.mountpoint / "l").symlink_to("f")
    made = [os.lstat(bench.mountpoint / name).st_atime_ns for name in "fdl"]
    bench.unmount()
    bench.mount("noatime")
    check(read_all() == made, "noatime: an access time has changed")
    bench.unmount()
    bench.mount()
    check(all(now > then for now, then in zip(read_all(), made)), "relatime: an access time has not changed")
    bench.unmount()


def case_set_ids_of_others(bench):
    """Who is not in the group does not leave its bit, however he changes the file; who is, does. The kernel tells the
    group by the first only, so the daemon has the list looked up."""
    def change_as_other(way, groups):
        os.setgroups(groups)
        os.setgid(2000)
        os.setuid(2000)
        fd = os.open(path, os.O_WRONLY | {"trunc": os.O_TRUNC, "direct": os.O_DIRECT}.get(way, 0))
        if way == "ftruncate":
            os.ftruncate(fd, 1)
        elif way == "allocate":
            os.posix_fallocate(fd, 0, 9999)
        elif way != "trunc":
            os.write(fd, mmap.mmap(-1, 4096))

    def change(way, groups):
        pid = os.fork()
        if pid == 0:
            try:
                change_as_other(way, groups)
                os._exit(0)
            finally:
                os._exit(1)
        check(os.waitpid(pid, 0)[1] == 0, f"{way}: it failed")
        return stat.S_IMODE(os.stat(path).st_mode)

    bench.folder.chmod(0o755)
    bench.mount("allow_other")
    os.chmod(bench.mountpoint, 0o777)
    path = bench.mountpoint / "f"
    for way in ("write", "direct", "trunc", "ftruncate", "allocate"):
        for groups, wanted in (([], 0o666), ([3000, 77], 0o2666)):
            path.write_text("x")
            os.chown(path, 0, 77)
            os.chmod(path, 0o6666)
            mode = change(way, groups)
            check(mode == wanted, f"{way} with groups {groups}: mode {mode:o}, not {wanted:o}")
    bench.unmount()


def case_fstab_words(bench):
    bench.mount("rw,defaults,_netdev,nofail,noauto,user,x-systemd.automount,X-mount.mkdir,comment=hello,relatime,"
                "noexec,nodiratime,lazytime,durability=process")
    check("noexec" in bench.entry(), "noexec")
    check(bench.stats()[0][17] == 2, "durability=process")
    bench.unmount()


def case_mount_command(bench):
    """mount -t fuse.vmfs finds /sbin/mount.fuse.vmfs, which install makes a link to vmfs-fuse."""
    helper = pathlib.Path("/sbin/mount.fuse.vmfs")
    if os.path.lexists(helper):
        raise Failure(f"{helper} exists: this case needs its place")
    helper.symlink_to(bench.fuse)
    try:
        result = bench.run("mount", "-t", "fuse.vmfs", bench.region, bench.mountpoint, "-o",
                           "size=64M,noexec,_netdev,nofail,x-test,allow_other")
        check(result.returncode == 0, f"mount: {result.stderr}")
        check("allow_other" in bench.entry() and "noexec" in bench.entry(), bench.entry())
        check(bench.run("umount", bench.mountpoint).returncode == 0, "umount")
        bench.wait_end()
        result = bench.run("mount", "-f", "-t", "fuse.vmfs", bench.region, bench.mountpoint)
        check(result.returncode == 0 and not bench.is_mounted(), "mount -f mounts")
        result = bench.run("mount", "-t", "fuse.vmfs", bench.region, bench.mountpoint, "-o", "frob")
        check(result.returncode != 0 and "no such option" in result.stderr, f"mount: {result.stderr}")
    finally:
        helper.unlink(missing_ok=True)
    bench.check_clean()


def case_ends(bench):
    """However it is ended, all is there and nothing to recover."""
    for way in ("fusermount3", "umount", signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if way == "umount" and os.geteuid() != 0:
            continue
        bench.mount()
        (bench.mountpoint / str(way)).write_text("text")
        if isinstance(way, signal.Signals):
            os.kill(bench.daemon(), way)
        else:
            result = bench.run(*([way, "-u"] if way == "fusermount3" else [way]), bench.mountpoint)
            check(result.returncode == 0, f"{way}: {result.stderr}")
        bench.wait_end()
        bench.check_clean()
        check(bench.run(bench.vmfs, "cat", bench.region, f"/{way}").stdout == "text", f"{way}: lost")


def case_next_waits(bench):
    """fusermount3 returns before the daemon has ended; who comes next waits for it."""
    for _ in range(20):
        bench.mount()
        for i in range(50):
            (bench.mountpoint / str(i)).write_bytes(b"x" * 10000)
        check(bench.run("fusermount3", "-u", bench.mountpoint).returncode == 0, "fusermount3")
        result = bench.run(bench.vmfs, "ls", bench.region, "/")
        check(result.returncode == 0 and len(result.stdout.split()) == 50, f"ls: {result.stderr}")
        bench.mount()
        check(bench.run("fusermount3", "-u", bench.mountpoint).returncode == 0, "fusermount3")
    bench.wait_end()


def case_term_in_use(bench):
    """SIGTERM while a file is open and mapped: what was stored is kept, who goes on gets an error."""
    bench.mount()
    fd = os.open(bench.mountpoint / "open", os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, 8192)
    gone = os.open(bench.mountpoint / "gone", os.O_CREAT | os.O_RDWR)
    os.unlink(bench.mountpoint / "gone")
    memory = mmap.mmap(fd, 8192)
    memory[4096:4101] = b"dirty"
    os.kill(bench.daemon(), signal.SIGTERM)
    bench.wait_end()
    fails(errno.ENOTCONN, os.fstat, gone)
    memory.close()
    os.close(fd)
    os.close(gone)
    bench.check_clean()
    data = subprocess.run([bench.vmfs, "cat", bench.region, "/open"], capture_output=True).stdout
    check(len(data) == 8192 and data[4096:4101] == b"dirty", "a dirty page is lost")


def case_term_mapped(bench):
    """All that a mapping has dirtied is there after SIGTERM, however long it takes to write."""
    size = 96 << 20
    for i in range(5):
        bench.mount(size="256M")
        fd = os.open(bench.mountpoint / "mapped", os.O_CREAT | os.O_RDWR)
        os.ftruncate(fd, size)
        memory = mmap.mmap(fd, size)
        for at in range(0, size, 4096):
            memory[at] = 65 + i
        os.kill(bench.daemon(), signal.SIGTERM)
        bench.wait_end()
        memory.close()
        os.close(fd)
        bench.check_clean()
        data = subprocess.run([bench.vmfs, "cat", bench.region, "/mapped"], capture_output=True).stdout
        lost = sum(data[at] != 65 + i for at in range(0, size, 4096))
        check(len(data) == size and lost == 0, f"{lost} dirty pages are lost")


def case_killed(bench):
    """The mountpoint of a dead daemon says ENOTCONN; vmfs-fuse clears it, recovers and serves."""
    for i in range(5):
        bench.mount()
        check(not i or (bench.mountpoint / "f").read_text() == str(i - 1), "what was there before")
        (bench.mountpoint / "f").write_text(str(i))
        fd = os.open(bench.mountpoint / "f", os.O_RDONLY) if i % 2 else -1
        bench.kill()
        wait_until(lambda: errno_of(os.statvfs, bench.mountpoint) == errno.ENOTCONN, "not ENOTCONN")
        wait_until(lambda: not bench.processes(), "the helper outlives the daemon")
        if fd >= 0:
            fails(errno.ENOTCONN, os.fstat, fd)
            os.close(fd)
    bench.mount()
    check((bench.mountpoint / "f").read_text() == "4", "what was there before")
    with open("/proc/self/mountinfo") as table:
        check(sum(line.split()[4] == str(bench.mountpoint) for line in table) == 1, "mounts are stacked")
    bench.unmount()
    bench.check_clean()


def case_auto_unmount(bench):
    bench.mount("auto_unmount")
    bench.kill()
    wait_until(lambda: not bench.is_mounted(), "it is not unmounted")
    bench.wait_end()


def case_auto_unmount_late(bench):
    """A helper that gets to it when the mountpoint is already served by the next leaves that alone."""
    bench.mount("auto_unmount")
    (helper,) = [process for process, kind in bench.processes().items() if kind == "helper"]
    os.kill(helper, signal.SIGSTOP)
    bench.kill()
    wait_until(lambda: errno_of(os.statvfs, bench.mountpoint) == errno.ENOTCONN, "not ENOTCONN")
    bench.mount()
    os.kill(helper, signal.SIGCONT)
    wait_until(lambda: helper not in bench.processes(), "the helper stays")
    check(bench.is_mounted(), "it has unmounted the mount of another daemon")
    bench.unmount()


def case_sandbox(bench):
    bench.mount()
    pid = bench.daemon()
    (bench.mountpoint / "x").write_text("x")
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        check(status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", f"{task}: no sandbox")
        check(int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0, f"{task}: capabilities")
    (helper,) = [process for process, kind in bench.processes().items() if kind == "helper"]
    check(bench.processes()[pid] == "daemon", "the daemon is not shown as such")
    files = [os.readlink(fd) for fd in pathlib.Path(f"/proc/{helper}/fd").iterdir()]
    check(all(name == "/dev/null" or name.startswith("socket:") for name in files), f"the helper holds {files}")
    bench.unmount()


def case_lost_backing(bench):
    """The region's file is cut under the mount: errors, and a daemon that lives."""
    bench.mount(size="256M")
    big = bench.mountpoint / "big"
    big.write_bytes(os.urandom(1 << 20) * 100)
    bench.unmount()
    bench.mount(size="256M")
    pid = bench.daemon()
    os.truncate(bench.region, 8 << 20)
    wrong = 0
    with open(big, "rb", buffering=0) as file:
        for i in range(100):
            try:
                file.seek(i << 20)
                wrong += len(file.read(1 << 20)) != 1 << 20
            except OSError as error:
                check(error.errno == errno.EIO, f"read: {error}")
                wrong += 1
    check(wrong > 50, f"only {wrong} MiB of 100 are lost")
    try:
        (bench.mountpoint / "new").write_bytes(b"x" * (1 << 20))
        raise Failure("it still writes")
    except OSError as error:
        check(error.errno in (errno.EIO, errno.EROFS, errno.EUCLEAN), f"write: {error}")
    check(os.path.isdir(bench.mountpoint) and bench.daemon() == pid, "the daemon has died")
    check(bench.stats()[0][18] == 1, "it does not say that it is read-only")
    subprocess.run(["fusermount3", "-u", str(bench.mountpoint)], check=True)
    bench.wait_end()


def case_handles(bench):
    """What an NFS server keeps of a file leads to it after a remount, and never to another one."""
    def handle_test(*arguments):
        result = bench.run(bench.handle_test, *arguments)
        check(result.returncode == 0, f"{arguments[0]}: {result.stdout}")
        return result.stdout

    bench.mount()
    mnt = bench.mountpoint
    (mnt / "d" / "e").mkdir(parents=True)
    for name in ("f", "d/f", "gone"):
        (mnt / name).write_text(name)
    kept, gone = bench.folder / "kept", bench.folder / "gone"
    kept.write_text(handle_test("save", mnt, ".", "d", "d/e", "f", "d/f"))
    gone.write_text(handle_test("save", mnt, "gone"))
    handle_test("open", mnt, kept)
    (mnt / "f").rename(mnt / "f2")
    (mnt / "f2").rename(mnt / "f")
    (mnt / "gone").unlink()
    for i in range(100):
        (mnt / f"new{i}").write_text("takes the place")
    for _ in range(2):
        handle_test("open", mnt, kept)
        handle_test("gone", mnt, gone)
        handle_test("forge", mnt)
        bench.unmount()
        bench.mount()
    bench.unmount()
    bench.check_clean()


def case_tmpfile(bench):
    bench.mount()
    fd = os.open(bench.mountpoint, os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(fd, b"hello")
    check(os.fstat(fd).st_nlink == 0 and stat.S_IMODE(os.fstat(fd).st_mode) == 0o640, "of a file without a name")
    name = os.fsencode(bench.mountpoint / "named")
    check(libc.linkat(-100, b"/proc/self/fd/%d" % fd, -100, name, 0x400) == 0, "linkat")
    check(os.fstat(fd).st_nlink == 1 and open(name, "rb").read() == b"hello", "a name was given")
    os.close(fd)
    fd = os.open(bench.mountpoint, os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o600)
    check(libc.linkat(-100, b"/proc/self/fd/%d" % fd, -100, name + b"2", 0x400) == -1 and
          ctypes.get_errno() == errno.ENOENT, "linkat after O_EXCL")
    os.close(fd)
    before = os.statvfs(bench.mountpoint).f_bfree
    fd = os.open(bench.mountpoint, os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(fd, b"x" * (1 << 20))
    os.close(fd)
    wait_until(lambda: abs(os.statvfs(bench.mountpoint).f_bfree - before) < 8, "its space stays taken")
    bench.unmount()
    bench.check_clean()


def case_ioctls(bench):
    bench.mount()
    path = bench.mountpoint / "f"
    path.write_text("x")
    fd = os.open(path, os.O_RDONLY)
    get = lambda: struct.unpack("<i", fcntl.ioctl(fd, GETFLAGS, b"\0" * 4))[0]
    check(get() == 0, "flags of a new file")
    before = os.fstat(fd).st_ctime_ns
    time.sleep(0.02)
    fcntl.ioctl(fd, SETFLAGS, struct.pack("<i", NODUMP))
    check(get() == NODUMP and os.fstat(fd).st_ctime_ns > before, "nodump, and the time of change")
    check(struct.unpack("<I", fcntl.ioctl(fd, FSGETXATTR, b"\0" * 28)[:4])[0] == 0x80, "FSGETXATTR")
    fails(errno.EOPNOTSUPP, fcntl.ioctl, fd, SETFLAGS, struct.pack("<i", 0x4))
    fails(errno.ENOTTY, fcntl.ioctl, fd, 0x1234)
    if os.geteuid() == 0:
        fcntl.ioctl(fd, SETFLAGS, struct.pack("<i", IMMUTABLE))
        fails(errno.EPERM, os.unlink, path)
        fails(errno.EPERM, os.open, path, os.O_WRONLY)
        fcntl.ioctl(fd, SETFLAGS, struct.pack("<i", APPEND))
        fails(errno.EPERM, os.open, path, os.O_WRONLY)
        with open(path, "a") as file:
            file.write("yz")
        check(path.read_text() == "xyz", "appending to what is append-only")
        fcntl.ioctl(fd, SETFLAGS, struct.pack("<i", 0))
    os.close(fd)
    bench.unmount()


def case_stats(bench):
    bench.mount("threads=3")
    for i in range(100):
        (bench.mountpoint / f"s{i}").write_bytes(b"x")
    head, ops = bench.stats()
    check(head[0] == 1 and head[4] <= 3 and head[10] == 64 << 20, f"{head}")
    for name in ("create", "write", "release"):
        count, failed, total, longest, *buckets = ops[name]
        check(count >= 100 and failed == 0 and sum(buckets) == count, f"{name}: {count} {failed} {sum(buckets)}")
        check(0 < longest <= total and total // count <= longest, f"{name}: times")
    check(head[6] >= 200, "fences")
    fails(errno.EEXIST, os.mkdir, bench.mountpoint / "s1")
    fails(errno.ENOTTY, fcntl.ioctl, os.open(bench.folder, os.O_RDONLY), 0x80ff7653)
    bench.unmount()


def case_holds(bench):
    """Every inode that the kernel got to know is given back exactly once."""
    bench.mount(size="2G" if bench.files > 100000 else "256M")
    folder = bench.mountpoint / "d"
    folder.mkdir()
    for i in range(bench.files):
        os.mknod(folder / str(i))
    bench.unmount()
    bench.mount()
    idle = bench.stats()[0][3]
    for i in range(bench.files):
        os.stat(folder / str(i))
    list(os.scandir(folder))
    check(bench.stats()[0][3] >= bench.files, "it does not count what the kernel knows")
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("2")
    wait_until(lambda: bench.stats()[0][3] <= idle + 2, f"{bench.stats()[0][3]} are still held", 60)
    bench.unmount()
    bench.check_clean()


def case_copy_of_holes(bench):
    """A copy that is longer than a reply can say (32 bits; a hole takes no time) is done in several, none of them 0."""
    bench.mount()
    source = os.open(bench.mountpoint / "holes", os.O_CREAT | os.O_RDWR)
    target = os.open(bench.mountpoint / "copy", os.O_CREAT | os.O_RDWR)
    size = 5 << 30
    os.ftruncate(source, size)
    copied = 0
    while copied < size:
        got = os.copy_file_range(source, target, size - copied, copied, copied)
        check(got > 0, f"nothing is copied at {copied}")
        copied += got
    os.close(source)
    os.close(target)
    bench.unmount()
    bench.check_clean()


def case_aborted_listing(bench):
    """Replies that nobody hears any more, as the connection is aborted meanwhile, are undone: the daemon ends well."""
    if not os.path.ismount("/sys/fs/fuse/connections"):
        bench.run("mount", "-t", "fusectl", "none", "/sys/fs/fuse/connections")
    bench.mount()
    for i in range(20000):
        os.mknod(bench.mountpoint / str(i))
    bench.unmount()
    for i in range(60):
        daemon = subprocess.Popen([bench.fuse, bench.region, bench.mountpoint, "-f"], stderr=subprocess.PIPE, text=True)
        wait_until(bench.is_mounted, "it is not mounted")
        minor = os.minor(os.stat(bench.mountpoint).st_dev)
        listers = [subprocess.Popen(["ls", "-l", bench.mountpoint], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL) for _ in range(3)]
        time.sleep(0.002 + 0.0002 * i)
        pathlib.Path(f"/sys/fs/fuse/connections/{minor}/abort").write_text("1")
        for lister in listers:
            lister.wait()
        bench.run("umount", "-l", bench.mountpoint)
        said = daemon.communicate(timeout=20)[1]
        check(daemon.returncode in (0, 1) and "Sanitizer" not in said, f"it ended with {daemon.returncode}: {said}")
        bench.wait_end()
        bench.check_clean()


def case_birth(bench):
    """statx() tells the time of birth."""
    bench.mount()
    path = bench.mountpoint / "f"
    path.write_text("x")
    birth = bench.run("stat", "-c", "%W", path).stdout.strip()
    check(abs(int(birth) - time.time()) < 60, f"birth: {birth}")
    bench.unmount()


def case_readahead(bench):
    """Requests for reading have up to 1 MiB."""
    bench.mount(size="128M")
    path = bench.mountpoint / "f"
    path.write_bytes(os.urandom(32 << 20))
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    before = bench.stats()[1]["read"][0]
    while os.read(fd, 1 << 20):
        pass
    os.close(fd)
    requests = bench.stats()[1]["read"][0] - before
    check(requests <= 48, f"{requests} requests for 32 MiB")
    before = bench.stats()[1]["write"][0]
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"x" * (8 << 20))
    os.close(fd)
    requests = bench.stats()[1]["write"][0] - before
    check(requests <= 12, f"{requests} requests for 8 MiB")
    bench.unmount()


AS_NOBODY = ("help", "refuses", "busy", "foreground", "defaults", "read_only", "fstab_words", "ends", "next_waits",
             "term_in_use", "killed", "auto_unmount", "sandbox")
ROOT_ONLY = ("unchecked", "mount_command", "set_ids_of_others", "handles", "holds", "aborted_listing",
             "readahead")


def run_case(name, build, files, base):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vmfs-mount.", dir=base))
    bench = Bench(build, folder, files)
    try:
        globals()[f"case_{name}"](bench)
        return None
    except (Failure, OSError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        bench.clear()
        shutil.rmtree(folder)


def run_as_nobody(name, build, files):
    """A case in a process of another user: its own calls, not only its commands, are that user's. So is its folder,
    which need not be where root's are."""
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        failure = run_case(name, build, files, "/dev/shm")
        if failure:
            print(f"FAIL {name} as nobody: {failure}", flush=True)
        os._exit(1 if failure else 0)
    return os.waitpid(pid, 0)[1] == 0


def main(arguments):
    if not os.path.exists("/dev/fuse") or not shutil.which("fusermount3"):
        print("SKIP: no /dev/fuse or no fusermount3")
        return 77
    build = pathlib.Path(arguments.pop(0)).resolve()
    base = os.environ.get("VMFS_TEST_DIR", "/dev/shm")
    files = 20000
    if arguments[:1] == ["--files"]:
        files = int(arguments[1])
        del arguments[:2]
    is_root = os.geteuid() == 0
    names = arguments or [name[5:] for name in globals() if name.startswith("case_")]
    failed = 0
    mode = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
    if is_root and not arguments:
        os.chmod("/dev/fuse", 0o666)  # as udev has it, where there is one
    for name in names:
        if name in ROOT_ONLY and not is_root:
            print(f"skipped without root: {name}")
            continue
        failure = run_case(name, build, files, base)
        failed += failure is not None
        print(f"FAIL {name}: {failure}" if failure else f"ok {name}", flush=True)
    for name in AS_NOBODY if is_root and not arguments else ():
        is_good = run_as_nobody(name, build, files)
        failed += not is_good
        if is_good:
            print(f"ok {name} as nobody", flush=True)
    if is_root and not arguments:
        os.chmod("/dev/fuse", mode)
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
