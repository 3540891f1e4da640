#!/usr/bin/env python3
"""mutants.py -- takes one rule at a time out of vmfs-fuse, or out of the library in it, and asks a test of the mount

    mutants.py [--only PATTERN] [--jobs N] [BUILD]

BUILD is a folder that meson has set up (default: build). The daemon alone has the mutant: what its region
holds is judged by the library as it is. A mutant that the named test does not notice is a survivor, and a
failure; so is a test that fails without one."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import stat
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import mutation

FRONTEND = "fuse-frontend/vmfs-fuse"
TIMEOUT_S = 120
DATA = ["data_test", "--ops", "3000", "--seed", "3", "--config"]
META = ["meta_stress", "--ops", "24000", "--seed", "14"]
KILL = ["kill_mount", "--kills", "4", "--seed", "3"]

# (id, test, file below libvmfs/, text, replacement)
MUTANTS = [
    ("punch: the first edge", DATA + ["buffered"], "inode/alloc.c",
     "int result = zero_in_place(alloc, alloc->offset, first);", "int result = 0;"),
    ("punch: the last edge", DATA + ["mapped"], "inode/alloc.c",
     "return result ? result : zero_in_place(alloc, stop, vm_max(stop, alloc->end));", "return result;"),
    ("zero: whole blocks", DATA + ["descriptors"], "inode/alloc.c",
     "if (extent->flags & VM_EXTENT_UNWRITTEN)\n        return 0;", "if (true)\n        return 0;"),
    ("allocate: keeping the size", DATA + ["buffered"], "inode/alloc.c",
     "if (alloc->is_size_kept ||", "if ("),
    ("truncate: the tail", DATA + ["direct"], "inode/resize.c",
     "int result = vm_data_fill_tail(ctx, inode, size, &filled_block);\n    if (result)",
     "int result = 0;\n    filled_block = 0;\n    if (result)"),
    ("write: the size at the end", DATA + ["processes"], "inode/write.c",
     "uint64_t size = vm_max(write->old_size, write->at);", "uint64_t size = write->old_size;"),
    ("copy: holes", DATA + ["processes"], "inode/copy.c",
     "    while (result == 0 && write->at < stop && budget->pieces) {",
     "    write->at = stop;\n    while (result == 0 && write->at < stop && budget->pieces) {"),
    ("seek: holes", DATA + ["buffered"], "inode/data.c", "if ((span.kind != VM_SPAN_DATA) == is_hole)",
     "if ((span.kind != VM_SPAN_DATA) != is_hole)"),
    ("writeback: reading through a handle for writing", DATA + ["descriptors", "--options", "writeback"],
     "../fuse-frontend/ops_file.c", "if (frontend_of(req)->options.has_writeback &&", "if (false &&"),
    ("nlink: link", META, "name/nsop.c", "vm_inode_nlink(&inode) + 1);", "vm_inode_nlink(&inode));"),
    ("nlink: rename of a directory", META, "name/rename.c", "add_subdirectory(rename->dir[to], 1);", ";"),
    ("rename: an empty directory only", META, "name/rename.c",
     "return vm_inode_is_directory(to) ? vm_dir_check_empty(ctx, to) : 0;", "return 0;"),
    ("rename: exchange moves both", META, "name/rename.c", "    reparent(rename, 1, 0);\n", ""),
    ("setgid: the bit", META, "name/nsop.c", "vm_inode_mode(child) | VM_MODE_SET_GROUP));",
     "vm_inode_mode(child)));"),
    ("tmpfile: it may be linked", META, "api/file.c", "!(call->flags & VMFS_O_EXCL)};", "false};"),
    ("xattr: replace", META, "inode/xattr.c", "int result = found ? drop_entry(ctx, inode, &map, &hit) : 0;",
     "int result = 0;"),
    ("readdir: a name is left out", META, "name/dir.c", "next->out->cookie = hit.entry.key;",
     "next->out->cookie = hit.entry.key + (1ull << 52);"),
    ("unlink: blocks of an attribute", META, "inode/xattr.c",
     "        vm_space_free(ctx, vm_get64(media.block), vm_get32(media.blocks));\n", ""),
    ("recovery: the totals", KILL, "journal/recover.c",
     "        line->inodes_used += (uint64_t)(int64_t)(int32_t)vm_get32(record->inodes_delta);\n", ""),
    ("a dead mountpoint", KILL, "../fuse-frontend/mounts.c",
     "return statvfs(mountpoint, &statvfs_) != 0 &&", "return false && statvfs(mountpoint, &statvfs_) != 0 &&"),
]

# Without a mutant: what the kernel has collected is lost with the daemon, and the test must say so.
LOSSES = [("writeback loses what was not synced", KILL + ["--options", "writeback"])]


def daemon(shop, mutant, folder):
    """The program to mount with."""
    program, environment = shop.prepare_program(FRONTEND, mutant, folder)
    if program is None:
        raise mutation.Broken("it is no part of vmfs-fuse")
    environment["LD_LIBRARY_PATH"] = shop.build / "libvmfs"
    script = folder / "mount-program"
    words = [f"{name}={value}" for name, value in environment.items()]
    script.write_text(f"#!/bin/sh\nexec env {' '.join(words)} '{program}' \"$@\"\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def ask(shop, mutant, test):
    """What the test finds wrong, or None."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mount-", dir=shop.cache))
    regions = tempfile.mkdtemp(prefix="vmfs-mutant-", dir=os.environ.get("VMFS_TEST_DIR", "/dev/shm"))
    try:
        program = shop.build / "tests/fuse" / test[0]
        outcome = mutation.run([program, "--mount", daemon(shop, mutant, folder), *test[1:]], folder, TIMEOUT_S,
                               PMEM_IS_PMEM_FORCE="1", VMFS_TEST_DIR=regions)
    finally:
        shutil.rmtree(folder)
        unmount(regions)
        shutil.rmtree(regions)
    if outcome.status == 0:
        return None
    lines = [line for line in outcome.output.splitlines() if not line.startswith("  ")]
    return lines[0] if lines and outcome.status is not None else "it does not end"


def unmount(folder):
    """Takes away what a test that was ended has left."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        place = line.split()[1]
        if place.startswith(folder + "/"):
            mutation.run(["fusermount3", "-u", "-z", place], "/")


def judge(shop, item):
    name, test, file, text, replacement = item
    mutant = mutation.locate(name, "rule", file, text, replacement)
    if isinstance(mutant, int):
        verdict = f"STALE     {name}: its text is {mutant} times in {file}"
    else:
        try:
            why = ask(shop, mutant, test)
            verdict = f"killed    {name}: {why[:150]}" if why else f"SURVIVED  {name}"
        except mutation.Broken as error:
            verdict = f"BROKEN    {name}: {error}"
    print(verdict, flush=True)
    return verdict


def judge_loss(shop, name, test):
    why = ask(shop, None, test)
    verdict = f"killed    {name}: {why[:150]}" if why else f"SURVIVED  {name}"
    print(verdict, flush=True)
    return verdict


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=str(mutation.TOP / "build"))
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    start = time.monotonic()
    wanted = [item for item in MUTANTS if re.search(options.only, item[0])]
    shop = mutation.Workshop(options.build)
    shop.ninja("tests/fuse/data_test", "tests/fuse/meta_stress", "tests/fuse/kill_mount")
    for test in {tuple(item[1]) for item in wanted}:
        why = ask(shop, None, list(test))
        if why:
            sys.exit(f"mutants.py: {' '.join(test)} fails without a mutant: {why}")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        verdicts = list(pool.map(lambda item: judge(shop, item), wanted))
    verdicts += [judge_loss(shop, *loss) for loss in LOSSES if re.search(options.only, loss[0])]
    failed = sum(not verdict.startswith("killed") for verdict in verdicts)
    print(f"mutants={len(verdicts)} not_killed={failed} seconds={time.monotonic() - start:.0f}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
