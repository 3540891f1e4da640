#!/usr/bin/env python3
"""figures.py -- see figures.sh

A table stands between "<!-- NAME -->" and "<!-- end NAME -->". Each is made by a function below from
one run, and says by which command.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
FIGURES = TOP / "docs" / "figures.md"
MOUNT = TOP / "docs" / "fuse.md"
# What is asked of the mount: its peer's time over its own.
MOUNT_ASKED = {"fuse_create": 1.3, "fuse_unlink": 1.3, "fuse_rename": 1.3, "fuse_open_close": 1.3,
               "fuse_rand4k_read": 1.2, "fuse_rand4k_write": 1.2, "fuse_seq1m_read": 1.3,
               "fuse_seq1m_write": 1.3, "fuse_create_4t": 1.5}


def run(command, **options):
    print("figures.py:", " ".join(map(str, command)), file=sys.stderr, flush=True)
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, cwd=TOP, **options)
    return done.stdout


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


class Runs:
    """What was run already serves every table that needs it."""

    def __init__(self, build):
        self.build = build
        self.report = None

    def bench(self):
        if self.report is None:
            with tempfile.NamedTemporaryFile(suffix=".json") as file:
                run([self.build / "bench/vmfs-bench", "run", "--json", file.name])
                self.report = json.load(open(file.name, encoding="utf-8"))
        return self.report

    def row(self, name):
        return next(row for row in self.bench()["results"] if row["name"] == name)


def machine(runs):
    facts = runs.bench()["machine"]
    commit = run(["git", "log", "-1", "--format=%h"]).strip()
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    load = os.getloadavg()[1]
    return (f"{today}, commit {commit}: {facts['cores']} cores of {facts['cpu']} in a virtual machine, "
            f"{facts['kernel']}, gcc {facts['compiler'].split()[0]}, {facts['buildtype']}, region on "
            f"/dev/shm, PMEM_IS_PMEM_FORCE=1. Load average of the last five minutes: {load:.1f}.")


def cost(runs):
    rows = []
    for row in runs.bench()["results"]:
        if "tmpfs" not in row["peers"]:
            if row["name"] != "setxattr":
                continue
        peer = row["peers"].get("tmpfs")
        rows.append([row["name"], f"{row['ns_p50']:.0f}", f"{row['ns_p99']:.0f}",
                     f"{row['ns_mean']:.0f}", f"{row['fences']:.3f}", f"{row['fences_max']:.0f}",
                     f"{row['lines']:.1f}", f"{row['shared']:.2f}", row["floor"],
                     f"{row['x_floor']:.1f}" + (" (mean)" if row["x_floor_stat"] == "mean" else ""),
                     f"{peer / row['ns_p50']:.1f}" if peer else "-"])
    head = ["row", "p50 ns", "p99 ns", "mean ns", "fences", "most", "lines", "shared", "floor", "x floor",
            "x tmpfs"]
    return table(head, rows)


# What design.md section 3 asks: (text, our value, the bound, and whether smaller is better).
def targets(runs):
    def x_floor(name):
        return runs.row(name)["x_floor"]

    def x_tmpfs(name):
        row = runs.row(name)
        return row["peers"]["tmpfs"] / row["ns_p50"]

    asked = [
        ("create over the bare 256 bytes + fence", x_floor("create"), 4, True),
        ("unlink over the same", x_floor("unlink"), 4, True),
        ("rename over the same", x_floor("rename"), 4, True),
        ("create, tmpfs over ours", x_tmpfs("create"), 8, False),
        ("unlink, tmpfs over ours", x_tmpfs("unlink"), 8, False),
        ("rename, tmpfs over ours", x_tmpfs("rename"), 8, False),
        ("stat of one component, tmpfs over ours", x_tmpfs("stat1"), 6, False),
        ("4 KiB read over memcpy", x_floor("read4k"), 1.1, True),
        ("4 KiB overwrite over pmem_memcpy_persist", x_floor("overwrite4k"), 1.15, True),
        ("4 KiB append, mean, over the same", x_floor("append4k"), 2, True),
        ("two threads over one, create", 1 / x_floor("create_2t"), 1.9, False),
        ("two threads over one, stat", 1 / x_floor("stat_2t"), 1.9, False),
        ("two threads over one, unlink", 1 / x_floor("unlink_2t"), 1.9, False),
        ("a million names in one directory over directories of ten, create", x_floor("create_dir1m"), 1.5,
         True),
        ("the same, stat", x_floor("stat_dir1m"), 1.5, True),
        ("the same, unlink", x_floor("unlink_dir1m"), 1.5, True),
        ("open of a million files over ten", x_floor("open_1m"), 1.5, True),
        ("the same after a kill", x_floor("open_1m_killed"), 1.5, True),
    ]
    rows = []
    for text, value, bound, is_most in asked:
        is_met = value <= bound if is_most else value >= bound
        rows.append([text, f"{value:.2f}", ("at most " if is_most else "at least ") + f"{bound:g}",
                     "yes" if is_met else "**no**"])
    return table(["ratio", "measured", "asked", "met"], rows)


def floors(runs):
    text = run([runs.build / "tests/api/test_floors", "--jobs=1"])
    shared = dict(re.findall(r"^(\w+): [\d.]+ % share one word at most, mean ([\d.]+)", text, re.M))
    rows = []
    pattern = r"^(\w+): floor (\d+), ([\d.]+) % at it, mean ([\d.]+), most (\d+)"
    for name, floor, share, mean, most in re.findall(pattern, text, re.M):
        rows.append([name, floor, mean, most, share + " %", shared.get(name, "-")])
    assert len(rows) > 10
    return table(["call", "floor", "mean", "most", "calls at the floor", "shared words"], rows)


def opening(runs):
    rows = []
    for how, suffix in (("closed", ""), ("after SIGKILL", "_killed")):
        few, many = runs.row("open_10" + suffix), runs.row("open_1m" + suffix)
        rows.append([how, f"{few['fences']:.0f}, {few['ns_p50'] / 1000:.0f}",
                     f"{many['fences']:.0f}, {many['ns_p50'] / 1000:.0f}", f"{many['x_floor']:.2f}"])
    count = runs.bench()["machine"]["count"]
    return table(["", "10 files: fences, p50 us", f"{count:,} files: fences, p50 us", "ratio"], rows)


def pairs(runs, names):
    rows = []
    for name in names:
        row = runs.row(name)
        rows.append([name, row["floor"], f"{row['ns_p50']:.0f}", f"{row['floor_ns']:.0f}",
                     f"{row['x_floor']:.2f}", f"{1 / row['x_floor']:.2f}", f"{row['fences']:.3f}",
                     f"{row['lines']:.1f}", f"{row['shared']:.2f}"])
    head = ["row", "against", "p50 ns", "its p50 ns", "ratio", "1 / ratio", "fences", "lines", "shared"]
    return table(head, rows)


def threads(runs):
    return pairs(runs, ["create_2t", "stat_2t", "unlink_2t", "create_2t_one_dir"])


def names(runs):
    return pairs(runs, ["create_dir1m", "stat_dir1m", "unlink_dir1m"])


def space(runs):
    text = run([TOP / "bench/metadata.sh", runs.build / "bench/vmfs-bench"])
    found = {}
    systems = []
    for line in text.splitlines():
        if line.startswith(("libvmfs", "ext4 (")):
            systems.append(line)
        match = re.match(r"(\w+)\s+([\d.-]+) bytes each", line)
        if match:
            found.setdefault(match.group(1), []).append(float(match.group(2)))
    rows = [[kind, *(f"{value:,.1f}" for value in values)] for kind, values in found.items()]
    return table(["bytes beyond the content", *systems], rows)


def crashes(runs):
    crash = run([runs.build / "tests/crash/crash_test", "--quick"]).strip().splitlines()[-1]
    kill = run([runs.build / "tests/kill/kill_test", "--kills", "40"]).strip().splitlines()[-1]
    power = run([runs.build / "tests/kill/kill_test", "--power", "--kills", "200"]).strip().splitlines()[-1]
    return table(["what", "command", "result"], [
        ["power cut at every fence of every operation", "`crash_test --quick`", crash],
        ["SIGKILL of four threads doing everything", "`kill_test --kills 40`", kill],
        ["power cut on a page cache, in place of the kill", "`kill_test --power --kills 200`", power]])


def model(runs):
    seed = datetime.date.today().strftime("%Y%m%d")
    start = time.monotonic()
    lines = run([runs.build / "tests/model/model_test", "--long", "--seed", seed]).splitlines()
    seconds = round(time.monotonic() - start)
    heads = ("largest directory", "times without", "operations succeeded", "ops=")
    results = [line for line in lines if any(head in line for head in heads)]
    return model_table(seed, seconds, results)


def model_table(seed, seconds, results):
    rows = [["operations on library, model and tmpfs", results[2]], ["large directory", results[0]],
            ["full region", results[1]], ["end", results[3] + f" ({seconds} s)"]]
    return table([f"`model_test --long --seed {seed}`", "result"], rows)


def sync(runs):
    """On the disk of /var/tmp, not in memory like the others."""
    environment = dict(os.environ, PMEM_IS_PMEM_FORCE="0")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        return run([runs.build / "bench/sync", folder], env=environment).strip()


def mount_row(row):
    asked = MOUNT_ASKED.get(row["name"])
    ratio = row["x_peer_p50"]
    fast = row["peer_ns_p10"] / row["ns_p10"]
    met = "-" if asked is None else "yes" if min(ratio, fast) >= asked else "**no**"
    return [f"`{row['name']}`", f"{row['ns_p10'] / 1000:.1f}, {row['ns_p50'] / 1000:.1f}",
            f"{row['peer_ns_p10'] / 1000:.1f}, {row['floor_ns'] / 1000:.1f}", f"{fast:.2f}",
            f"{ratio:.2f} ({row['x_peer_p10']:.2f} to {row['x_peer_p90']:.2f})", asked or "-", met,
            *(f"{row[key]:.2f}" for key in ("requests", "syscalls", "peer_syscalls", "fences"))]


def mount_table(runs, *options):
    command = ["run", "--filter", "fuse_*", *options]
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        run([runs.build / "bench/vmfs-bench", *command, "--json", file.name])
        report = json.load(open(file.name, encoding="utf-8"))
    if report["skipped"]:
        sys.exit(f"figures.py: {report['skipped']}")
    facts = report["machine"]
    level = os.getpriority(os.PRIO_PROCESS, 0)
    raised = f", at nice {level} beside other work" if level < 0 else ""
    head = ["row", "us: p10, p50", "peer us: p10, p50", "peer / ours, p10", "round by round", "asked", "met",
            "requests", "system calls", "peer's", "fences"]
    said = (f"`vmfs-bench {' '.join(command)}`, {facts['date']}, commit "
            f"{run(['git', 'log', '-1', '--format=%h']).strip()}, {facts['cores']} virtual CPUs ({facts['cpu']}), "
            f"Debian 12, {facts['kernel']}, load average {facts['load_before_mounts']:.1f} before and "
            f"{facts['load_after_mounts']:.1f} after{raised}.\n\n")
    return said + table(head, [mount_row(row) for row in report["results"]])


def mounts(runs):
    return mount_table(runs)


def mounts_unchecked(runs):
    return mount_table(runs, "--mount-options", "unchecked")


TABLES = {"machine": machine, "cost": cost, "targets": targets, "floors": floors, "opening": opening,
          "threads": threads, "names": names, "space": space, "model": model,
          "crashes": crashes, "sync": sync, "mounts": mounts, "mounts-unchecked": mounts_unchecked}


def replace(path, name, body):
    text = path.read_text()
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.S)
    if len(pattern.findall(text)) != 1:
        sys.exit(f"figures.py: {path}: no markers of {name}")
    path.write_text(pattern.sub(lambda match: match.group(1) + body + "\n" + match.group(2), text))


def build_all(build):
    if not (build / "build.ninja").exists():
        run(["meson", "setup", build, TOP])
    run(["ninja", "-C", build])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", nargs="?", default="/tmp/vmfs-figures", type=pathlib.Path)
    parser.add_argument("--only", action="append", choices=sorted(TABLES))
    options = parser.parse_args()
    os.environ.setdefault("PMEM_IS_PMEM_FORCE", "1")
    build_all(options.build)
    runs = Runs(options.build)
    for name in options.only or TABLES:
        body = TABLES[name](runs)
        replace(MOUNT if name.startswith("mounts") else FIGURES, name, body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
