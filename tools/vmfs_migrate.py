#!/usr/bin/env python3
"""Moves a guest that has a region as memory from one QEMU to another on the same host.

vmfs-migrate SOURCE DESTINATION                   tells whether and how; changes nothing
vmfs-migrate --go [--to URI] SOURCE DESTINATION   makes the settings that are needed, migrates, ends the source

SOURCE and DESTINATION are the QMP sockets of both, as -qmp unix:PATH,server=on,wait=off makes them. The
destination is started with the command line of the source and -incoming defer in addition, or with
-incoming URI, which --to then repeats.

QEMU migrates a region in one of two ways, and takes the wrong one without a word. If both map one file with
share=on, memory must be left alone, by the capability x-ignore-shared on both sides: else the destination
writes pages as they were over the file that the guest goes on storing into. If each has a file of its own,
its bytes travel as memory does, and x-ignore-shared would leave all of them behind. Either way the guest's RAM
is copied, and under TCG QEMU 7.2 does not find all that a running guest changes meanwhile: its kernel panics
sooner or later. So there the guest is stopped first, and is away for as long as the copy takes.

Exit status: 0 it can be migrated as it stands, or --go has done it; 1 it is refused or has failed, with the
reasons; 2 the command line is wrong."""

import argparse
import json
import os
import socket
import struct
import sys
import tempfile
import time
from collections import namedtuple

BANDWIDTH_BYTES = 4 << 30  # QEMU's own 128 MiB a second does not keep up with a busy guest
SECONDS_MAX = 600


class QmpError(Exception):
    """QEMU has refused a command, or is gone."""


class Qmp:
    """A client of QEMU's machine protocol."""

    Error = QmpError

    def __init__(self, path, seconds=30):
        end = time.monotonic() + seconds
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(str(path))
                break
            except OSError as error:
                self.socket.close()
                if time.monotonic() >= end:
                    raise self.Error(f"QMP at {path}: {error}") from error
                time.sleep(0.05)
        peer = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        self.pid = struct.unpack("3i", peer)[0]
        self.socket.settimeout(seconds)
        self.file = self.socket.makefile("r")
        self.answer()
        self.ask("qmp_capabilities")

    def close(self):
        self.file.close()
        self.socket.close()

    def answer(self):
        try:
            for line in self.file:
                message = json.loads(line)
                if "event" not in message:
                    return message
        except TimeoutError as error:
            raise self.Error("QEMU does not answer; does somebody else use its QMP socket?") from error
        except OSError as error:
            raise self.Error(f"QMP: {error}") from error
        raise self.Error("QEMU has closed its QMP socket")

    def ask(self, command, **arguments):
        try:
            self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        except OSError as error:
            raise self.Error(f"QMP {command}: {error}") from error
        message = self.answer()
        if "error" in message:
            raise self.Error(f"QMP {command}: {message['error']['desc']}")
        return message.get("return")


# A piece of a guest's memory. `file` is (device, inode), None if it is not known; `path` is empty if it has none.
Backend = namedtuple("Backend", "size share path file")
# What one QEMU says of itself; `backends` by id.
Side = namedtuple("Side", "is_kvm status migration capabilities backends")
# Why a migration is refused, and the setting that mends it, or None.
Refusal = namedtuple("Refusal", "reason mend")

IGNORE_SHARED, POSTCOPY, STOP = "x-ignore-shared", "postcopy-ram", "stop"


def identity(path):
    try:
        file = os.stat(path)
    except OSError:
        return None
    return (file.st_dev, file.st_ino)


def file_of(pid, path):
    """The file that the process has open under that path."""
    wanted = identity(f"/proc/{pid}/root{path}" if path.startswith("/") else f"/proc/{pid}/cwd/{path}")
    try:
        opened = [identity(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return None
    return wanted if wanted in opened else None


def look(qmp):
    """What the QEMU at the other end is, as a Side."""
    backends = {}
    for entry in qmp.ask("qom-list", path="/objects"):
        if not entry["type"].startswith("child<memory-backend-"):
            continue
        path = f"/objects/{entry['name']}"
        size, share = (qmp.ask("qom-get", path=path, property=name) for name in ("size", "share"))
        has_file = entry["type"] == "child<memory-backend-file>"
        file = qmp.ask("qom-get", path=path, property="mem-path") if has_file else ""
        backends[entry["name"]] = Backend(size, share, file, file_of(qmp.pid, file) if has_file else None)
    capabilities = {each["capability"]: each["state"] for each in qmp.ask("query-migrate-capabilities")}
    return Side(qmp.ask("query-kvm")["enabled"], qmp.ask("query-status")["status"],
                qmp.ask("query-migrate").get("status", "none"), capabilities, backends)


def compare(source, destination):
    """What no setting mends: both are no pair. Yields reasons."""
    if source.status not in ("running", "paused"):
        yield f"the source is in state '{source.status}', not running or paused"
    if destination.status != "inmigrate":
        yield f"the destination is in state '{destination.status}': it must be started with -incoming defer"
    if source.migration in ("setup", "active", "device", "pre-switchover"):
        yield "the source is being migrated already"
    for name in sorted(set(source.backends) ^ set(destination.backends)):
        yield f"only one side has the memory '{name}'"
    for name in sorted(set(source.backends) & set(destination.backends)):
        ours, theirs = source.backends[name], destination.backends[name]
        if ours.size != theirs.size:
            yield f"'{name}' has {ours.size} bytes in the source and {theirs.size} in the destination"
        if ours.share != theirs.share:
            yield f"'{name}' has share={'on' if ours.share else 'off'} in the source only"
        for side in (ours, theirs):
            if side.share and side.path and side.file is None:
                yield f"'{name}': its QEMU cannot be seen to have {side.path} open (run this as its user, on its host)"
    for name, ours in sorted(source.backends.items()):
        for other, theirs in sorted(destination.backends.items()):
            if name != other and ours.file is not None and ours.file == theirs.file and theirs.share:
                yield f"the file of '{name}' ({ours.path}) is that of '{other}' in the destination"


def memory_kinds(source, destination):
    """The names of shared memory: what is one file on both sides, and what is not."""
    names = sorted(set(source.backends) & set(destination.backends))
    shared = [name for name in names if source.backends[name].share and destination.backends[name].share]
    same = [name for name in shared if source.backends[name].file is not None
            and source.backends[name].file == destination.backends[name].file]
    return same, [name for name in shared if name not in same]


def judge(source, destination):
    """The refusals of a migration as both sides stand."""
    refusals = [Refusal(reason, None) for reason in compare(source, destination)]
    same, apart = memory_kinds(source, destination)
    ignores = [bool(side.capabilities.get(IGNORE_SHARED)) for side in (source, destination)]
    if same and apart:
        refusals.append(Refusal(f"'{same[0]}' is one file on both sides and '{apart[0]}' is not: either {IGNORE_SHARED} "
                                "leaves the one behind, or its absence destroys the other", None))
    elif same and not any(ignores):
        refusals.append(Refusal(f"both map the file of '{same[0]}', and {IGNORE_SHARED} is off: the destination would write "
                                "old pages over what the running guest has stored since, without an error", IGNORE_SHARED))
    elif any(ignores) and not all(ignores):
        refusals.append(Refusal(f"{IGNORE_SHARED} is on in the {'source' if ignores[0] else 'destination'} only",
                                IGNORE_SHARED))
    elif apart and any(ignores):
        refusals.append(Refusal(f"'{apart[0]}' is not one file on both sides, and {IGNORE_SHARED} is on: the destination "
                                "would have nothing of it", IGNORE_SHARED))
    if (same or apart) and any(side.capabilities.get(POSTCOPY) for side in (source, destination)):
        refusals.append(Refusal(f"{POSTCOPY} is on: with shared memory of a file it fails half-way, and the guest is lost",
                                POSTCOPY))
    if not source.is_kvm and source.status == "running":
        refusals.append(Refusal("the guest runs under TCG, where QEMU misses some of its stores while it copies memory (seen "
                                "with 7.2): it must be stopped first", STOP))
    return refusals


def mended(source, destination):
    """Both sides after the settings that --go makes."""
    wanted = {IGNORE_SHARED: bool(memory_kinds(source, destination)[0]), POSTCOPY: False}
    sides = [side._replace(capabilities={**side.capabilities, **wanted}) for side in (source, destination)]
    if any(refusal.mend == STOP for refusal in judge(*sides)):
        sides[0] = sides[0]._replace(status="paused")
    return sides


def set_up(source, destination, before, after):
    """Makes both QEMUs what `mended` said."""
    for qmp, old, new in zip((source, destination), before, after):
        changed = [{"capability": name, "state": state} for name, state in sorted(new.capabilities.items())
                   if state != bool(old.capabilities.get(name))]
        if changed:
            qmp.ask("migrate-set-capabilities", capabilities=changed)
    source.ask("migrate-set-parameters", **{"max-bandwidth": BANDWIDTH_BYTES})
    if after[0].status != before[0].status:
        source.ask("stop")


def transfer(source, uri):
    """Migrates; what QEMU tells of it."""
    end = time.monotonic() + SECONDS_MAX
    source.ask("migrate", uri=uri)
    while True:
        told = source.ask("query-migrate")
        status = told.get("status", "none")
        if status == "completed":
            return told
        if status in ("failed", "cancelled") or time.monotonic() > end:
            if status not in ("failed", "cancelled"):
                source.ask("migrate_cancel")
            raise QmpError(f"the migration has ended as {status}: {told.get('error-desc', 'no reason is given')}")
        time.sleep(0.02)


def arrive(destination, is_stopped):
    """Waits until the destination has the guest, which is later than that the source knows it; its state."""
    end = time.monotonic() + SECONDS_MAX
    while destination.ask("query-status")["status"] == "inmigrate":
        if time.monotonic() > end:
            raise QmpError("the destination does not end its part; the source is left as it is, and must not be continued")
        time.sleep(0.02)
    if is_stopped:
        destination.ask("cont")
    return destination.ask("query-status")["status"]


def go(source, destination, sides, uri):
    """Migrates and ends the source, which must never run again on a file that is the destination's now."""
    after = mended(*sides)
    is_stopped = after[0].status != sides[0].status
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vmfs-migrate.") as folder:
        try:
            set_up(source, destination, sides, after)
            if not uri:
                uri = f"unix:{folder}/memory"
                destination.ask("migrate-incoming", uri=uri)
            told = transfer(source, uri)
        except QmpError:
            if is_stopped:
                source.ask("cont")
            raise
    status = arrive(destination, is_stopped)
    away_ms = (time.monotonic() - begin) * 1000 if is_stopped else told["downtime"]
    source.ask("quit")
    print(f"migrated: {told['ram']['transferred']} bytes, the guest was away for {away_ms:.0f} ms; "
          f"the destination is {status}, the source has ended")


def tell(sides):
    """How it would be done, in one line for each region."""
    same, apart = memory_kinds(*sides)
    for name in same:
        print(f"'{name}': one file, {sides[0].backends[name].path}: stays where it is")
    for name in apart:
        print(f"'{name}': travels as memory, {sides[0].backends[name].size} bytes")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="vmfs-migrate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--go", action="store_true", help="make the settings that are needed, and migrate")
    parser.add_argument("--to", metavar="URI", help="where the destination waits, if not by -incoming defer")
    parser.add_argument("source", metavar="SOURCE", help="the QMP socket of the QEMU that runs the guest")
    parser.add_argument("destination", metavar="DESTINATION", help="the QMP socket of the QEMU that shall have it")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    try:
        source, destination = Qmp(options.source, 5), Qmp(options.destination, 5)
        sides = look(source), look(destination)
        refusals = judge(*(mended(*sides) if options.go else sides))
        for refusal in refusals:
            print(f"refused: {refusal.reason}" + ("; --go sets it right" if refusal.mend else ""))
        if refusals:
            return 1
        tell(sides)
        if options.go:
            go(source, destination, sides, options.to)
    except QmpError as error:
        print(f"vmfs-migrate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
