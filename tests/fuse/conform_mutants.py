#!/usr/bin/env python3
"""conform_mutants.py -- faults seeded into vmfs-fuse, one text each, and whether conform notices them

    conform_mutants.py [--only PATTERN] [--jobs N] [BUILD]

BUILD is a folder that meson has set up (default: build). Each mutant names the part of the suite that has to
fail; that part passes without one, or this ends at once."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import conform
import mutants
import mutation

TIMEOUT_S = 100

# (what is wrong, part of the suite, file of fuse-frontend/, text, replacement)
MUTANTS = [
    ("chmod: set-id and sticky bits are lost", "chmod", "ops_attr.c",
     ".mode = attr->st_mode & MODE_BITS,", ".mode = attr->st_mode & 0777,"),
    ("chown: the group is not sent on", "lchown", "ops_attr.c",
     "(to_set & FUSE_SET_ATTR_GID ? VMFS_ATTR_GID : 0u) |", "0u |"),
    ("utimensat: mtime is not sent on", "utimensat", "ops_attr.c",
     "(to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW) ? VMFS_ATTR_MTIME : 0u) |", "0u |"),
    ("utimensat: atime where mtime belongs", "utimensat", "ops_attr.c",
     "time_of(to_set, FUSE_SET_ATTR_MTIME_NOW, attr->st_mtim);", "out.atime_ns;"),
    ("chown of nothing changes nothing", "lchown(-1, -1)", "ops_attr.c",
     "bool is_nothing = is_of_nothing(change);", "bool is_nothing = false;"),
    ("truncate: set-id bits stay", "truncate", "ops_attr.c",
     "(transport_flags()->kills_priv ? VMFS_ATTR_KILL_PRIV : 0u);", "0u;"),
    ("truncate: the size is off by one", "ftruncate", "ops_attr.c",
     ".size = (uint64_t)attr->st_size}", ".size = (uint64_t)attr->st_size + 1}"),
    ("statfs: all is free", "statvfs", "ops_attr.c",
     ".f_bfree = space.blocks_free,", ".f_bfree = space.blocks_total,"),
    ("flags: another one is set", "*/an immutable file", "ops_attr.c",
     "{VMFS_INODE_IMMUTABLE, FS_IMMUTABLE_FL,", "{VMFS_INODE_NODUMP, FS_IMMUTABLE_FL,"),
    ("flags: the kernel is not told of the new ctime", "ioctl(FS_IOC_SETFLAGS)", "ops_attr.c",
     "    fuse_lowlevel_notify_inval_inode(frontend->session, ino, -1, 0);\n", ""),
    ("write: set-id bits stay", "write(O_DIRECT)", "ops_data.c",
     "(transport_flags()->kills_priv ? VMFS_RW_KILL_PRIV : 0);", "0;"),
    ("write: the offset is off by one", "pwrite", "ops_data.c",
     "&iov, 1, (uint64_t)offset, write_flags(fi));", "&iov, 1, (uint64_t)offset + (offset == 1), write_flags(fi));"),
    ("read: the offset loses its upper half", "pwrite and pread", "ops_data.c",
     "vmfs_file_view(file, size, (uint64_t)offset, pieces", "vmfs_file_view(file, size, (uint32_t)offset, pieces"),
    ("fallocate: a flag is dropped", "fallocate(KEEP_SIZE)", "ops_data.c",
     "vmfs_file_allocate(files_get(fi->fh), mode,", "vmfs_file_allocate(files_get(fi->fh), mode & ~1,"),
    ("lseek: data for holes", "lseek*", "ops_data.c",
     "whence == SEEK_DATA ? VMFS_SEEK_DATA : VMFS_SEEK_HOLE;", "whence == SEEK_DATA ? VMFS_SEEK_HOLE : VMFS_SEEK_DATA;"),
    ("copy_file_range: the offset of the other file", "copy_file_range", "ops_data.c",
     "vmfs_file_copy_range(files_get(fi_in->fh), (uint64_t)off_in,",
     "vmfs_file_copy_range(files_get(fi_in->fh), (uint64_t)off_out,"),
    ("lookup: what is gone, by its handle", "open_by_handle_at", "ops_name.c",
     "is_handle && stat.nlink == 0", "false"),
    ("make: one lookup too few is counted", "unlink", "ops_name.c",
     "reply_held(req, &stat);\n}\n\nvoid op_mknod",
     "{ vmfs_release(fs_of(req), stat.ino, 1); reply_held(req, &stat); }\n}\n\nvoid op_mknod"),
    ("mknod: the device's number is lost", "mknod(S_IFCHR)", "ops_name.c",
     "{.mode = mode, .rdev = rdev}", "{.mode = mode}"),
    ("mkdir: the sticky bit is lost", "mkdir", "ops_name.c",
     "VMFS_S_IFDIR | (mode & MODE_BITS)}", "VMFS_S_IFDIR | (mode & 0777)}"),
    ("rename: the flags are ignored", "rename*", "ops_name.c",
     "place_judged(newparent, newname), flags));", "place_judged(newparent, newname), 0));"),
    ("readdir: the place behind an entry is the one before", "readdir", "ops_dir.c",
     "entry->name, &param, (off_t)entry->cookie);", "entry->name, &param, (off_t)entry->cookie - 1);"),
    ("setxattr: what is there is replaced", "setxattr(XATTR_CREATE)", "ops_xattr.c",
     "(flags & XATTR_CREATE ? VMFS_XATTR_CREATE : 0) |", "0 |"),
    ("listxattr: trusted attributes are shown to all", "setxattr, getxattr, removexattr", "ops_xattr.c",
     "(fuse_req_ctx(req)->uid ? VMFS_XATTR_NO_TRUSTED : 0);", "0;"),
    ("stat: nanoseconds are lost", "utimensat", "convert.c",
     ".tv_nsec = rest < 0 ? rest + NS_PER_S : rest};", ".tv_nsec = 0};"),
    ("stat: times before 1970", "utimensat", "convert.c",
     "int64_t seconds = time_ns / NS_PER_S - (rest < 0);", "int64_t seconds = time_ns / NS_PER_S;"),
    ("stat: one link", "link", "convert.c", ".st_nlink = from->nlink,", ".st_nlink = 1,"),
    ("the maker's group is lost", "mkdir", "convert.c", ".gid = caller->gid,", ".gid = 0,"),
    ("the umask is lost", "open(O_CREAT)", "convert.c", ".umask = (uint32_t)caller->umask};", ".umask = 0};"),
]


def ask(shop, mutant, part):
    """The first assertion of that part of the suite that does not hold, or None."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mount-", dir=shop.cache))
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="vmfs-mutant-", dir=os.environ.get("VMFS_TEST_DIR", "/dev/shm")))
    scratch.chmod(0o755)
    try:
        program = mutants.daemon(shop, mutant, folder)
        with conform.region(scratch, shop.build, program) as (place, arguments):
            command = [shop.build / "tests/fuse/conform/conform", place, *arguments, "--only", part]
            outcome = mutation.run(command, folder, TIMEOUT_S)
    except OSError as error:
        return f"the mount: {error}"
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", folder, scratch], check=False)
    if outcome.status == 0 and "assertions=0 " not in outcome.output:
        return None
    lines = [line for line in outcome.output.splitlines() if "FAIL" in line]
    return lines[0] if lines else f"exit {outcome.status}"


def judge(shop, item):
    name, part, file, text, replacement = item
    mutant = mutation.locate(name, "rule", f"../fuse-frontend/{file}", text, replacement)
    if isinstance(mutant, int):
        verdict = f"STALE     {name}: its text is {mutant} times in {file}"
    else:
        try:
            why = ask(shop, mutant, part)
            verdict = f"killed    {name}: {why[:150]}" if why else f"SURVIVED  {name}"
        except mutation.Broken as error:
            verdict = f"BROKEN    {name}: {error}"
    print(verdict, flush=True)
    return verdict


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=str(mutation.TOP / "build"))
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    os.environ.setdefault("PMEM_IS_PMEM_FORCE", "1")
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("SKIP: mounting needs root and /dev/fuse")
        return 77
    start = time.monotonic()
    wanted = [item for item in MUTANTS if re.search(options.only, item[0])]
    shop = mutation.Workshop(options.build)
    shop.ninja("tests/fuse/conform/conform", "tools/vmfs", mutants.FRONTEND)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for part, why in pool.map(lambda part: (part, ask(shop, None, part)), sorted({item[1] for item in wanted})):
            if why:
                sys.exit(f"conform_mutants.py: {part} fails without a mutant: {why}")
        verdicts = list(pool.map(lambda item: judge(shop, item), wanted))
    failed = sum(not verdict.startswith("killed") for verdict in verdicts)
    print(f"mutants={len(verdicts)} not_killed={failed} seconds={time.monotonic() - start:.0f}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
