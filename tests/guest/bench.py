#!/usr/bin/env python3
"""The measured comparison inside a guest.

bench.sh [--build DIR] [--json FILE]    three boots; writes the tables of docs/benchmarks.md anew
bench.sh --quick [--build DIR]          one boot that counts instructions, and fails where a call has become longer

Every path hangs on one guest and is measured in turn by tests/guest/work.c, so that a ratio is of one run: once with
instructions for nanoseconds, where nothing waits, then by the clock with one virtual CPU and with two.

Exit status: 0, 1, or 77 with the reason on the last line."""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path[:0] = [str(HERE), str(TOP / "bench")]

from figures import replace, table  # noqa: E402
from harness.cache import run  # noqa: E402
from harness.guest import QEMU, Cell, Disk, Failure, Guest, Nvdimm, Skip  # noqa: E402

DOCUMENT = TOP / "docs/benchmarks.md"
# The ways in which each work can be done by system calls; a row has the fastest.
WORKS = {"overwrite4k": ["overwrite4k", "overwrite4k_fdatasync"], "append4k": ["append4k", "append4k_dsync"],
         "create_fsync": ["create_fsync"], "record64": ["record64"]}
DISKS = ["virtio_unsafe", "virtio_none", "qcow2_base"]
MEMORY = ["ext4dax", "vmfs_devdax", "vmfs_fsdax", "vmfs_mount"]
NATIVE = ["vmfs_devdax", "vmfs_fsdax"]
QCOW2_NONE = "qcow2_none"  # stands beside the rows
# What is asked: work, peer, its p50 over ours at least.
TIMES_ASKED = [("overwrite4k", "virtio_unsafe", 100), ("append4k", "virtio_unsafe", 300)]
COUNTS_ASKED = [("overwrite4k", "ext4dax", 1.5), ("append4k", "ext4dax", 20), ("create_fsync", "ext4dax", 20)]
APPEND_INSNS_MAX = 5000
# What a call may take now, so that none becomes longer unnoticed.
KEPT = {"overwrite4k": 2280, "append4k": 4830, "create_fsync": 14050, "record64": 1990}
# What callgrind counts, in work.c.
FUNCTIONS = {"overwrite4k": "region_overwrite", "append4k": "region_append", "create_fsync": "region_create_fsync",
             "record64": "region_record"}
PROFILE_CALLS = 1000  # of work.c without options
ROUNDS, QUICK_ROUNDS, CALLS = 10, 8, 50
NVDIMM_MIB, DISK_MIB = 192, 256
FILE_BYTES = 8 << 20  # of work.c's file that is overwritten
ROOM_MIB = 2048


def arguments():
    parser = argparse.ArgumentParser(prog="bench.sh", description="The measured comparison inside a guest.")
    parser.add_argument("--build", default=TOP / "build", type=Path, help="the build folder (build)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as well")
    parser.add_argument("--quick", action="store_true", help="only count, and fail where a call is longer than it was")
    return parser.parse_args()


class Result:
    """What work.c printed in one boot; `scale` are nanoseconds of the host in one of the guest."""

    def __init__(self, output, scale):
        self.lines, self.scale = {}, scale
        for line in output.splitlines():
            if line.startswith("place="):
                fields = dict(word.split("=") for word in line.split())
                self.lines[fields["place"], fields["work"]] = fields

    def value(self, place, work, key="p50"):
        """None where it was not measured."""
        text = self.lines.get((place, work), {}).get(key, "-")
        return None if text == "-" else round(int(text) * self.scale)

    def fastest(self, place, work):
        values = [self.value(place, way) for way in WORKS[work]]
        return min((value for value in values if value is not None), default=None)


def disk_folder(build):
    """Where cache=none works: not on tmpfs."""
    for folder in (Path("/var/tmp"), build):
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            try:
                os.close(os.open(file.name, os.O_RDONLY | os.O_DIRECT))
                return folder
            except OSError:
                continue
    raise Skip("neither /var/tmp nor the build folder takes O_DIRECT")


class Prefaulted(Nvdimm):
    """All its pages are there before the guest starts; the first touch of one would cost more than a write."""

    def backend(self, name):
        return super().backend(name) + ",prealloc=on"


def make_disks(memory, disk):
    """Each disk has an ext4 that holds the file to be overwritten; the qcow2 ones have it in their base image."""
    content = memory / "content"
    content.mkdir()
    (content / "overwrite").write_bytes(os.urandom(FILE_BYTES))
    disks = []
    for folder, cache, raw, qcow2 in ((memory, "unsafe", "virtio_unsafe", "qcow2_base"),
                                      (disk, "none", "virtio_none", QCOW2_NONE)):
        base = folder / "base.raw"
        run("mke2fs", "-q", "-F", "-t", "ext4", "-b", 4096, "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d", content,
            base, f"{DISK_MIB}M")
        shutil.copy(base, folder / "raw")
        with (folder / "raw").open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, DISK_MIB << 20)
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, folder / "qcow2")
        disks += [(raw, Disk(folder / "raw", "raw", cache)), (qcow2, Disk(folder / "qcow2", "qcow2", cache))]
    return disks


def measure(cell, rounds, disk=None, smp=1):
    """One boot: with a folder for disks all paths by the clock, without one those that do not wait, in instructions."""
    cell.begin(f"bench-{smp}-{'clock' if disk else 'count'}")
    nvdimms = [Prefaulted(cell.folder / f"nvdimm{number}", NVDIMM_MIB, mode)
               for number, mode in enumerate(["fsdax", "devdax", "devdax"])]
    disks = make_disks(cell.folder, disk) if disk else []
    devices = nvdimms + [device for _, device in disks]
    names = [name for name, _ in disks]
    is_counted = disk is None
    with Guest(cell, "bench", args=[rounds, CALLS, *names], devices=devices, smp=smp, icount=is_counted,
               clock="tsc") as guest:
        begin, end = [(float(guest.wait_line(word, 900).split()[1]), time.monotonic()) for word in ("BENCH-BEGIN", "BENCH-END")]
        output = guest.succeed(60)
    cell.end()
    return Result(output, 1 if is_counted else (end[1] - begin[1]) / (end[0] - begin[0]))


class Comparison:
    def __init__(self, counts, clock=None, clock2=None):
        self.counts, self.clock, self.clock2 = counts, clock, clock2

    def rows(self):
        for work in WORKS:
            for path in DISKS + MEMORY:
                yield {"work": work, "path": path, "ns_p50": self.clock.fastest(path, work),
                       "insns": self.counts.fastest(path, work), "ns_p50_2cpu": self.clock2.fastest(path, work)}

    def asked_counts(self):
        """(what, ours, the peer's, ratio, asked, is met) of what is exact."""
        for path in NATIVE:
            for work, peer, ratio in COUNTS_ASKED:
                yield asked(self.counts, "instructions", (work, path, peer), ratio)
            ours = self.counts.fastest(path, "append4k")
            yield [f"append4k, {path}, instructions", f"{ours:,}", "-", "-", f"at most {APPEND_INSNS_MAX:,}",
                   met(ours <= APPEND_INSNS_MAX)]

    def asked_times(self):
        for result, what in ((self.clock, "time"), (self.clock2, "time, 2 CPUs")):
            for path in NATIVE:
                for work, peer, ratio in TIMES_ASKED:
                    yield asked(result, what, (work, path, peer), ratio)


def met(is_met):
    return "yes" if is_met else "**no**"


def asked(result, what, names, ratio):
    work, path, peer = names
    ours, theirs = result.fastest(path, work), result.fastest(peer, work)
    return [f"{work}, {path} against {peer}, {what}", f"{ours:,}", f"{theirs:,}", f"{theirs / ours:.2f}",
            f"at least {ratio}", met(theirs >= ratio * ours)]


HEAD_ASKED = ["figure", "ours", "peer", "peer / ours", "asked", "met"]


def machine(options, clocks, loads):
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    settings = json.loads((options.build / "meson-info/intro-buildoptions.json").read_text())
    kind = next(option["value"] for option in settings if option["name"] == "buildtype")
    qemu = re.search(r"version ([\d.]+)", run(QEMU, "--version"))[1]
    level = os.getpriority(os.PRIO_PROCESS, 0)
    raised = f", at nice {level} beside other work" if level < 0 else ""
    changed = " with changes" if run("git", "-C", TOP, "status", "--porcelain", "--", "libvmfs", "fuse-frontend") else ""
    return (f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, commit "
            f"{run('git', '-C', TOP, 'log', '-1', '--format=%h').strip()}{changed}, {kind}: {os.cpu_count()} virtual CPUs ({cpu}), "
            f"Debian 12, kernel {platform.release()}, QEMU {qemu} TCG; load average before and after each boot by the "
            f"clock: {', '.join(f'{load:.1f}' for load in loads)}{raised}. "
            f"A second of the guests' clocks took {' and '.join(f'{clock.scale:.3f}' for clock in clocks)} s, which the "
            "times are corrected by.")


def us(value):
    return "-" if value is None else f"{value / 1000:.2f}" if value < 100000 else f"{value / 1000:.0f}"


def ratio_of(value, unit):
    return "-" if not value or not unit else f"{value / unit:.1f}" if value < 100 * unit else f"{value / unit:.0f}"


def times(result):
    """Each path by the clock, and how many times longer than the native region it takes."""
    rows = []
    for path in [*DISKS, QCOW2_NONE, *MEMORY]:
        cells = [path]
        for work in WORKS:
            value = result.fastest(path, work)
            cells += [us(value), ratio_of(value, result.fastest("vmfs_devdax", work))]
        rows.append(cells)
    head = ["p50 in us"]
    for work in WORKS:
        head += [work, "x"]
    return table(head, rows)


def counts(result):
    rows = []
    for path in MEMORY:
        rows.append([path] + [f"{result.fastest(path, work):,}" for work in WORKS])
    clock = result.value("vmfs_devdax", "clock")
    return table(["instructions, p50", *WORKS], [*rows, ["reading the clock, in each", *[clock] * len(WORKS)]])


def ways(comparison):
    """What the rows leave out: each way of the kernel's paths, mappings, and first overwrites."""
    rows = []
    for path in [*DISKS, QCOW2_NONE, *MEMORY]:
        for work in sorted({way for path_, way in comparison.clock.lines if path_ == path and way != "clock"}):
            both = [comparison.clock.value(path, work, key) for key in ("p50", "p99", "mean", "first")]
            count = comparison.counts.value(path, work)
            rows.append([path, work, *map(us, both), us(comparison.clock2.value(path, work)),
                         "-" if count is None else f"{count:,}"])
    head = ["path", "work", "p50 us", "p99", "mean", "first, p50", "p50, 2 CPUs", "instructions, p50"]
    return table(head, rows)


def profile(options, scratch):
    """Where the library's instructions go, by callgrind on this machine: the mean of 1,000 calls, by folder."""
    environment = dict(os.environ, PMEM_IS_PMEM_FORCE="1")
    shares = {}
    for work, function in FUNCTIONS.items():
        region, counted = scratch / f"{work}.region", scratch / f"{work}.callgrind"
        run(options.build / "tools/vmfs", "format", region, "--size", "96M", env=environment)
        run("valgrind", "--tool=callgrind", f"--toggle-collect={function}", f"--callgrind-out-file={counted}",
            options.build / "tests/guest/work", "--only", work, f"ours=region:{region}", env=environment)
        for line in run("callgrind_annotate", "--threshold=100", counted).splitlines():
            found = re.match(r"\s*([\d,]+) \(\s*[\d.]+%\)  (\S+:.*)", line)
            if found:
                share = shares.setdefault(layer(found[2]), dict.fromkeys(FUNCTIONS, 0))
                share[work] += int(found[1].replace(",", "")) / PROFILE_CALLS
        region.unlink()
    rows = [[name, *(f"{value:,.0f}" for value in share.values())]
            for name, share in sorted(shares.items(), key=lambda item: -item[1]["append4k"])]
    total = [f"{sum(share[work] for share in shares.values()):,.0f}" for work in FUNCTIONS]
    return table(["instructions, mean", *FUNCTIONS], [*rows, ["all", *total]])


def layer(place):
    """Of a line of callgrind_annotate."""
    if "xxhash.h" in place:
        return "base/ (hash)"
    if "avxintrin.h" in place:
        return "persist/"
    if "libpmem" in place:
        return "libpmem"
    found = re.search(r"libvmfs/(?:view/\w+/)?(\w+)/[\w.]+:", place)
    return f"{found[1]}/" if found else "libc and the caller"


def write_document(comparison, facts, profiled):
    bodies = {"profile": profiled, "machine": facts, "asked": table(HEAD_ASKED, [*comparison.asked_counts(), *comparison.asked_times()]),
              "times": times(comparison.clock), "times-2cpu": times(comparison.clock2),
              "counts": counts(comparison.counts), "ways": ways(comparison)}
    for name, body in bodies.items():
        replace(DOCUMENT, name, body)


def quick(cell):
    counted = measure(cell, QUICK_ROUNDS)
    rows = [[path, work, f"{counted.fastest(path, work):,}", f"{most:,}", met(counted.fastest(path, work) <= most)]
            for path in NATIVE for work, most in KEPT.items()]
    print(table(["path", "work", "instructions", "at most", "met"], rows))
    print(table(HEAD_ASKED, Comparison(counted).asked_counts()))
    return 0 if all(row[-1] == "yes" for row in rows) else 1


def whole(cell, options):
    loads = []
    counted = measure(cell, ROUNDS)
    clocks = []
    for smp in (1, 2):
        with tempfile.TemporaryDirectory(prefix="vmfs-guest.", dir=disk_folder(options.build)) as disk:
            loads.append(os.getloadavg()[0])
            clocks.append(measure(cell, ROUNDS, Path(disk), smp))
            loads.append(os.getloadavg()[0])
    comparison = Comparison(counted, *clocks)
    if options.json:
        options.json.write_text(json.dumps({"rows": list(comparison.rows())}, indent=1) + "\n")
    write_document(comparison, machine(options, clocks, loads), profile(options, cell.scratch))
    print(table(HEAD_ASKED, [*comparison.asked_counts(), *comparison.asked_times()]))
    return 0


def main():
    options = arguments()
    if not (options.build / "tests/guest/work").exists():
        sys.exit(f"bench.sh: {options.build} holds no build (meson setup build && ninja -C build)")
    os.environ["PATH"] += ":/sbin:/usr/sbin"
    scratch = tempfile.mkdtemp(prefix="vmfs-guest.", dir="/dev/shm")
    try:
        for tool in ("mke2fs", "qemu-img", *([] if options.quick else ["valgrind"])):
            if not shutil.which(tool):
                raise Skip(f"no {tool}")
        if shutil.disk_usage(scratch).free < ROOM_MIB << 20:
            raise Skip(f"/dev/shm has less than {ROOM_MIB} MiB free")
        cell = Cell(options.build, scratch, False, 0)
        return quick(cell) if options.quick else whole(cell, options)
    except Skip as reason:
        print(f"SKIP: {reason}")
        return 77
    except Failure as reason:
        print(f"bench.sh: {reason}")
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
