#!/usr/bin/env python3
"""Tests in guests under QEMU.

run.sh --list                                                   the names, one a line
run.sh [--long] [--build DIR] [--seed S] [--jobs N] [NAME...]   runs them, all of them without a name

Exit status: 0 all are passed, 1 one has failed, 77 one could not be run, with the reason on the last line.
A failure names the seed with which it can be tried again."""

import argparse
import contextlib
import importlib
import io
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
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
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count(), 2), help="so many at a time (2)")
    parser.add_argument("names", nargs="*", metavar="NAME")
    return parser.parse_args()


def run_case(cell, name):
    """The case's exit status, and all that is to be printed of it."""
    said = io.StringIO()
    start = time.monotonic()
    with contextlib.redirect_stdout(said):
        cell.begin(name)
        try:
            importlib.import_module("cases." + name.replace("-", "_")).run(cell)
        except Skip as reason:
            print(f"SKIP: {name}: {reason}")
            return 77, said.getvalue()
        except Failure as reason:
            print(f"FAIL {name} (--seed {cell.seed})\n{reason}")
            return 1, said.getvalue()
        finally:
            cell.end()
        print(f"PASS {name} {time.monotonic() - start:.0f} s")
    return 0, said.getvalue()


def run_cases(cell, names, jobs):
    """A process for each, so many at a time; guests have a CPU or two each."""
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        for future in as_completed([pool.submit(run_case, cell, name) for name in names]):
            status, said = future.result()
            print(said, end="", flush=True)
            yield status


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
        results = list(run_cases(cell, options.names or NAMES, options.jobs))
    except Skip as reason:
        print(f"SKIP: {reason}")
        return 77
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if 1 in results else max(results)


if __name__ == "__main__":
    sys.exit(main())
