#!/usr/bin/env python3
"""conform.py -- the conformance suite on a mount of vmfs-fuse, or on the filesystems that prove the suite

    conform.py [--self] [--long] [--only PATTERN] [BUILD]

BUILD is a folder that has been built (default: build). Formats a region, mounts it, runs conform on it,
unmounts and lets vmfs fsck judge what is left. With --self conform runs on tmpfs and on ext4, where every
assertion has to hold as well. No more may be skipped on a mount than conform/may-skip.txt says. Ends with 77
and a line "SKIP: reason" where this cannot be done."""
import argparse
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
DISTINCT_MIN = 8800  # of a whole run
LINK_MAX = re.search(r"define VMFS_LINK_MAX (\d+)", (TOP / "include/vmfs.h").read_text()).group(1)


class Skip(Exception):
    """This machine cannot do it."""


def run(*command):
    """Ends the program if the command fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"conform.py: {' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


@contextlib.contextmanager
def unmounted_after(place):
    try:
        yield
    finally:
        # A mount whose daemon is wrong need not look like one.
        subprocess.run(["umount", "-l", str(place)], check=False, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def tmpfs(scratch, _build):
    place = scratch / "tmpfs"
    place.mkdir()
    with unmounted_after(place):
        run("mount", "-t", "tmpfs", "-o", "mode=755,size=2g", "conform", place)
        yield place, []


@contextlib.contextmanager
def ext4(scratch, _build):
    image, place = scratch / "ext4.img", scratch / "ext4"
    if shutil.which("mkfs.ext4") is None:
        raise Skip("no mkfs.ext4")
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(2 << 30)
    run("mkfs.ext4", "-q", "-N", "500000", image)
    with unmounted_after(place):
        done = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True)
        if done.returncode:
            raise Skip(f"no loop device: {done.stderr.strip()}")
        yield place, []


@contextlib.contextmanager
def region(scratch, build, mount_program=None, options="allow_other"):
    """A mount of vmfs-fuse; afterwards its region is checked."""
    file, place = scratch / "region", scratch / "mount"
    program = mount_program or build / "fuse-frontend/vmfs-fuse"
    vmfs = build / "tools/vmfs"
    if not program.exists():
        raise Skip("vmfs-fuse is not built")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Skip("no /dev/fuse")
    place.mkdir()
    run(vmfs, "format", file, "--size", "2G")
    with unmounted_after(place):
        run(program, file, place, "-o", options)
        place.chmod(0o755)
        yield place, ["--may-skip", HERE / "conform/may-skip.txt", "--link-max", LINK_MAX]
    verdict = run(vmfs, "fsck", file)  # waits for the daemon's end
    print("fsck:", verdict.strip().splitlines()[-1])


def conform(build, place, arguments, options):
    """Runs the suite; what is wrong, or None."""
    command = [build / "tests/fuse/conform/conform", place, *arguments]
    if options.long:
        command.append("--long")
    if options.only:
        command += ["--only", options.only]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    total = re.search(r"distinct=(\d+)", done.stdout)
    if done.returncode or total is None:
        return f"exit {done.returncode}"
    if not options.only and int(total.group(1)) < DISTINCT_MIN:
        return f"fewer than {DISTINCT_MIN} distinct assertions"
    return None


def try_filesystem(make, build, options):
    print(f"== conform on {'vmfs' if make is region else make.__name__}", flush=True)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="conform-", dir=os.environ.get("VMFS_TEST_DIR", "/dev/shm")))
    scratch.chmod(0o755)
    try:
        with make(scratch, build) as (place, arguments):
            return conform(build, place, arguments, options)
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", scratch], check=False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=str(TOP / "build"))
    parser.add_argument("--self", action="store_true", dest="proves_itself")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only")
    options = parser.parse_args()
    os.environ.setdefault("PMEM_IS_PMEM_FORCE", "1")
    if os.geteuid() != 0:
        print("SKIP: becoming other users needs root")
        return 77
    build = pathlib.Path(options.build).resolve()
    status, ran = 0, 0
    for make in [tmpfs, ext4] if options.proves_itself else [region]:
        try:
            why = try_filesystem(make, build, options)
            ran += 1
        except Skip as reason:
            why = f"skipped: {reason}" if os.environ.get("CI") == "true" else None
            print(f"SKIP: {reason}")
        if why:
            print(f"conform.py: {why}")
            status = 1
    return status or (0 if ran else 77)


if __name__ == "__main__":
    sys.exit(main())
