#!/usr/bin/env python3
"""check_json.py -- runs vmfs-bench once, quickly, and checks the JSON that it writes.

usage: check_json.py VMFS_BENCH GLOB [OPTION...]   run with these options, then check
       check_json.py --file FILE                   check a file of an earlier run

Checks the form that readers rely on, that the numbers agree with each other, and that each
operation issues the fences that it may.
"""
import fnmatch
import json
import math
import os
import subprocess
import sys
import tempfile

ROW_KEYS = {
    "name", "n", "ns_p50", "ns_p99", "ns_mean", "fences", "fences_min", "fences_max", "fences_bg",
    "lines", "shared", "floor", "floor_ns", "x_floor", "x_floor_stat", "peers", "peers_fences",
}
MACHINE_KEYS = {
    "cpu", "kernel", "cores", "pinned_cpu", "date", "clock", "region", "durability",
    "library_version", "seed", "quick", "count", "load_before_mounts", "load_after_mounts",
    "mount_options",
}
# What rows of a mount have besides. Counts are of the daemon, per call.
MOUNT_PREFIX = "fuse_"
MOUNT_PEER = "passthrough_ll"
MOUNT_KEYS = {"x_peer_p10", "x_peer_p50", "x_peer_p90", "ns_p10", "peer_ns_p10", "requests", "syscalls", "peer_syscalls"}
# A request is read and answered. The daemon's deputy (fuse-frontend/loop.h) looks every 16 ms, some times in what
# is counted for 64 calls; a file that grows has its blocks backed.
SYSCALLS_A_REQUEST = 2
SYSCALLS_EXCESS = 0.25
GROWING = "fuse_seq1m_append"
ONE_FENCE = (
    "create mknod mkdir symlink link unlink rmdir rename chmod truncate setxattr overwrite4k"
).split()
NO_FENCE = "stat1 open_close read4k".split()
# Rows that compare the library with itself: base of each.
SCALE = {
    "open_10": "open_10", "open_1m": "open_10",
    "open_10_killed": "open_10_killed", "open_1m_killed": "open_10_killed",
    "create_1t": "create_1t", "create_2t": "create_1t", "create_2t_one_dir": "create_1t",
    "stat_1t": "stat_1t", "stat_2t": "stat_1t", "unlink_1t": "unlink_1t", "unlink_2t": "unlink_1t",
    "create_spread1m": "create_spread1m", "create_dir1m": "create_spread1m",
    "stat_spread1m": "stat_spread1m", "stat_dir1m": "stat_spread1m",
    "unlink_spread1m": "unlink_spread1m", "unlink_dir1m": "unlink_spread1m",
}
# Calls that split a node or run a checkpoint slice may have up to 4 fences, and the mean of all
# calls is at most this far above the floor.
FENCES_MAX = 4
FENCES_MEAN_EXCESS = 0.10

problems = []


def expect(condition, message):
    if not condition:
        problems.append(message)


def is_number(value):
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def check_machine(machine):
    missing = MACHINE_KEYS - machine.keys()
    expect(not missing, f"machine: missing {sorted(missing)}")
    expect(machine.get("durability") in ("power", "process"), "machine: durability")
    expect(isinstance(machine.get("quick"), bool), "machine: quick is not a boolean")


def check_fences(row):
    name = row["name"]
    if name in NO_FENCE:
        expect(row["fences_max"] == 0, f"{name}: fences_max is {row['fences_max']}, not 0")
    if name in ONE_FENCE:
        expect(row["fences_min"] == 1, f"{name}: fences_min is {row['fences_min']}, not 1")
        expect(row["fences"] <= 1 + FENCES_MEAN_EXCESS, f"{name}: fences is {row['fences']}")
        expect(row["fences_max"] <= FENCES_MAX, f"{name}: fences_max is {row['fences_max']}")


def check_scale(row):
    name = row["name"]
    operation, _, how = name.partition("_")
    expect(row["floor"] == SCALE[name], f"{name}: compared with {row['floor']}")
    expect(row["peers"] == {}, f"{name}: has peers")
    if operation == "stat":
        expect(row["fences_max"] == 0, f"{name}: fences_max is {row['fences_max']}, not 0")
    elif operation == "open":
        expect(row["fences_min"] == row["fences_max"], f"{name}: the fences of an open differ")
    elif how.endswith("1m"):
        expect(row["fences_max"] <= FENCES_MAX, f"{name}: fences_max is {row['fences_max']}")
    if operation in ("create", "unlink"):
        expect(1 <= row["fences"] <= 1 + FENCES_MEAN_EXCESS, f"{name}: fences is {row['fences']}")


def check_open_pairs(rows):
    """The number of files does not change what an open costs in fences."""
    for base, many in (("open_10", "open_1m"), ("open_10_killed", "open_1m_killed")):
        if base in rows and many in rows:
            expect(rows[base]["fences"] == rows[many]["fences"], f"{many}: fences differ from {base}")


def check_numbers(row):
    name = row["name"]
    texts = {"name", "floor", "x_floor_stat", "peers", "peers_fences"}
    wrong = [key for key in sorted(ROW_KEYS - texts) if not is_number(row[key])]
    expect(not wrong, f"{name}: not numbers: {wrong}")
    if wrong:
        return
    expect(row["n"] > 0, f"{name}: nothing was measured")
    expect(0 < row["ns_p50"] <= row["ns_p99"], f"{name}: p50 and p99 disagree")
    expect(row["floor_ns"] > 0, f"{name}: floor_ns is {row['floor_ns']}")
    expect(row["fences_min"] <= row["fences"] <= row["fences_max"], f"{name}: fences disagree")
    expect(row["x_floor_stat"] in ("p50", "mean"), f"{name}: x_floor_stat")
    ratio = row["ns_" + row["x_floor_stat"]] / row["floor_ns"]
    expect(abs(ratio - row["x_floor"]) <= 0.01 * ratio + 0.001, f"{name}: x_floor is not {ratio}")
    check_fences(row)


def check_mount(row):
    name = row["name"]
    expect(row["floor"] == MOUNT_PEER, f"{name}: compared with {row['floor']}")
    expect(row["n"] > 0 and 0 < row["ns_p50"] <= row["ns_p99"], f"{name}: p50 and p99 disagree")
    expect(0 < row["ns_p10"] <= row["ns_p50"], f"{name}: p10 and p50 disagree")
    expect(0 < row["peer_ns_p10"] <= row["floor_ns"], f"{name}: the peer's p10 and p50 disagree")
    expect(0 < row["x_peer_p10"] <= row["x_peer_p50"] <= row["x_peer_p90"], f"{name}: ratios disagree")
    ratio = row["ns_p50"] / row["floor_ns"]
    expect(abs(ratio - row["x_floor"]) <= 0.01 * ratio + 0.001, f"{name}: x_floor is not {ratio}")
    expect(is_number(row["requests"]), f"{name}: requests are not counted")
    if row["syscalls"] is None or row["requests"] is None or name == GROWING:
        return
    most = row["requests"] * SYSCALLS_A_REQUEST + SYSCALLS_EXCESS
    expect(0 < row["syscalls"] <= most,
           f"{name}: {row['syscalls']} system calls for {row['requests']} requests")


def check_row(row):
    name = row.get("name", "?")
    if name.startswith(MOUNT_PREFIX):
        expect(row.keys() == ROW_KEYS | MOUNT_KEYS, f"{name}: keys differ")
        check_mount(row)
        return
    expect(row.keys() == ROW_KEYS, f"{name}: keys differ: {sorted(row.keys() ^ ROW_KEYS)}")
    if row.keys() != ROW_KEYS:
        return
    check_numbers(row)
    if name in SCALE:
        check_scale(row)
        return
    for peer, ns in row["peers"].items():
        expect(is_number(ns) and ns > 0, f"{name}: peer {peer} took {ns!r} ns")
    if name != "setxattr":
        expect("tmpfs" in row["peers"], f"{name}: the tmpfs peer is missing")


def check_report(report):
    expect(report.keys() == {"machine", "results", "skipped"}, f"keys are {sorted(report.keys())}")
    check_machine(report["machine"])
    expect(report["results"] or report["skipped"], "there are no results")
    for name, why in report["skipped"].items():
        expect(name.startswith(MOUNT_PREFIX), f"{name}: skipped")
        print(f"check_json.py: {name} is skipped: {why}")
    for row in report["results"]:
        check_row(row)
    check_open_pairs({row.get("name"): row for row in report["results"]})


def run_and_load(bench, glob, options):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bench.json")
        command = [bench, "run", "--quick", "--filter", glob, "--json", path, *options]
        subprocess.run(command, check=True)
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    names = [row.get("name") for row in report["results"]] + list(report["skipped"])
    expect(names and all(fnmatch.fnmatch(name, glob) for name in names), f"rows are {names}")
    return report


def main():
    if len(sys.argv) < 3 or (sys.argv[1] == "--file" and len(sys.argv) != 3):
        sys.exit(__doc__)
    if sys.argv[1] == "--file":
        with open(sys.argv[2], encoding="utf-8") as file:
            report = json.load(file)
    else:
        report = run_and_load(sys.argv[1], sys.argv[2], sys.argv[3:])
    check_report(report)
    for problem in problems:
        print(f"check_json.py: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
