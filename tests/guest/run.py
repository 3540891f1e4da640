#!/usr/bin/env python3
"""Tests in guests under QEMU.

run.sh --list                                             the names, one a line
run.sh [--long] [--build DIR] [--seed S] [NAME...]        runs them, all of them without a name

Exit status: 0 all are passed, 1 one has failed, 77 one could not be run, with the reason on the last line.
A failure names the seed with which it can be tried again."""

import argparse
import importlib
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness.guest import Cell, Failure, Skip  # noqa: E402

NAMES = ["tree", "native-fsdax", "native-devdax", "native-virtio-pmem", "fuse-fsdax", "kill", "full", "shared-ro",
         "migrate"]
ROOM_MIB = 3072


def arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description="Runs tests in guests under QEMU.")
    parser.add_argument("--list", action="store_true", help="print the names of the tests")
    parser.add_argument("--long", action="store_true", help="more kills, and whole suites in place of a selection")
    parser.add_argument("--build", default=HERE.parent.parent / "build", help="the build folder (build)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="what is random follows from it")
    parser.add_argument("names", nargs="*", metavar="NAME")
    return parser.parse_args()


def run_case(cell, name):
    """0, or the exit status that the case asks for, with its reason printed."""
    cell.begin()
    start = time.monotonic()
    try:
        importlib.import_module("cases." + name.replace("-", "_")).run(cell)
    except Skip as reason:
        print(f"SKIP: {name}: {reason}", flush=True)
        return 77
    except Failure as reason:
        print(f"FAIL {name} (--seed {cell.seed})\n{reason}", flush=True)
        return 1
    print(f"PASS {name} {time.monotonic() - start:.0f}", flush=True)
    return 0


def main():
    options = arguments()
    if options.list:
        print("\n".join(NAMES))
        return 0
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        sys.exit(f"run.sh: there is no test {unknown[0]}; --list names them")
    if not (Path(options.build) / "tools/vmfs").exists():
        sys.exit(f"run.sh: {options.build} holds no build (meson setup build && ninja -C build)")
    scratch = tempfile.mkdtemp(prefix="vmfs-guest.", dir="/dev/shm")
    try:
        if shutil.disk_usage(scratch).free < ROOM_MIB << 20:
            print(f"SKIP: /dev/shm has less than {ROOM_MIB} MiB free")
            return 77
        cell = Cell(options.build, scratch, options.long, options.seed)
        results = [run_case(cell, name) for name in options.names or NAMES]
    except Skip as reason:
        print(f"SKIP: {reason}")
        return 77
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if 1 in results else max(results)


if __name__ == "__main__":
    sys.exit(main())
