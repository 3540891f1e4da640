"""A guest is moved to another QEMU, by tools/vmfs_migrate.py, while four threads change a region on a devdax device:
where both QEMUs have one file, and where each has its own. The load goes on, and at the end the region holds every
operation that was acknowledged. What would destroy the region, or the guest, is refused before."""

import contextlib
import struct
import subprocess
import sys
import time
from pathlib import Path

from harness.guest import Failure, Guest, Nvdimm
from harness.qmp import Qmp

TOOL = Path(__file__).resolve().parents[3] / "tools/vmfs_migrate.py"
MOVES, MOVES_LONG = 1, 10
IMAGE_MIB, OUT_MIB = 128, 16
ACKS_BYTES = 4096
OPERATIONS = 200  # that come between two moves, at least
START_SECONDS, WORK_SECONDS = 120, 60


class Place:
    """A QEMU in which the guest may be, and its files: the region, and what the guest gives out at the end."""

    def __init__(self, cell, number, name):
        self.cell, self.image, self.out = cell, cell.folder / f"image-{name}", cell.folder / f"out-{name}"
        self.socket = cell.folder / f"qmp{number}"
        acks = cell.folder / "acks"
        acks.write_bytes(struct.pack("<Q", cell.seed).ljust(ACKS_BYTES, b"\0"))
        extra = ["-qmp", f"unix:{self.socket},server=on,wait=off", *(["-incoming", "defer"] if number else [])]
        self.guest = Guest(cell, "migrate", devices=[Nvdimm(self.image, IMAGE_MIB), Nvdimm(self.out, OUT_MIB, "raw")],
                           smp=2, files={"/acks": acks}, extra=extra)

    def done(self):
        """How many operations the guest has told here to be acknowledged."""
        told = [int(line.split()[1]) for line in self.guest.output.splitlines() if line.startswith("DONE ")]
        return max(told, default=0)

    def work(self, before, seconds=WORK_SECONDS):
        """Waits until the load has gone on."""
        end = time.monotonic() + seconds
        while self.done() < before + OPERATIONS:
            if self.guest.is_over or time.monotonic() > end:
                self.guest.fail("the load does not go on")
            time.sleep(0.05)

    def judge(self):
        """What the host says of the region in its image."""
        self.cell.tool("fsck", self.image, "--offset", "auto")
        program = self.cell.build / "tests/guest/guest_judge"
        judged = subprocess.run([program, self.image, self.out], capture_output=True, text=True)
        if judged.returncode != 0:
            raise Failure(f"after moving:\n{judged.stdout}{judged.stderr}")
        return judged.stdout.strip()


def tool(source, destination, *options):
    """The exit status and what the tool says."""
    done = subprocess.run([sys.executable, TOOL, *options, source.socket, destination.socket], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def refuse(source, destination, words):
    status, text = tool(source, destination)
    if status != 1 or words not in text:
        raise Failure(f"not refused for '{words}', but status {status}: {text}")


def ignore_shared(place, state):
    """Another client's setting, of which the tool is not told."""
    qmp = Qmp(place.socket)
    qmp.ask("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": state}])
    qmp.close()


def try_refusals(source, destination):
    refuse(source, destination, "x-ignore-shared is off")
    refuse(source, destination, "must be stopped first")
    for place, words in ((source, "on in the source only"), (destination, "on in the destination only")):
        ignore_shared(place, True)
        refuse(source, destination, words)
        ignore_shared(place, False)


def move(source, destination):
    status, text = tool(source, destination, "--go")
    if status != 0:
        destination.guest.fail(f"not moved: {text}")
    print("  " + text.splitlines()[-1], flush=True)
    if source.guest.process.wait(10) != 0:
        raise Failure("the source has not ended")
    destination.work(source.done())


def finish(place):
    place.guest.send("\n")
    place.guest.succeed()
    done = place.done()
    with place.out.open("rb") as file:
        lanes = [struct.unpack_from("<Q", file.read(64))[0] for _ in range(5)]
    if sum(lanes[1:]) < done:
        raise Failure(f"{done} operations were acknowledged, {sum(lanes[1:])} are known")
    print(f"  at the end: {place.judge()}", flush=True)


def run(cell):
    with contextlib.ExitStack() as guests:
        here = Place(cell, 0, "shared")
        guests.enter_context(here.guest)
        here.work(0, START_SECONDS)
        for number in range(MOVES_LONG if cell.is_long else MOVES):
            there = Place(cell, number + 1, "shared")
            guests.enter_context(there.guest)
            if number == 0:
                try_refusals(here, there)
            move(here, there)
            here = there
        apart = Place(cell, "-apart", "apart")
        guests.enter_context(apart.guest)
        refuse(here, apart, "must be stopped first")
        move(here, apart)
        finish(apart)
