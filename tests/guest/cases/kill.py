"""QEMU is killed at random while four threads each change a region on a devdax device and one that is a file on
ext4-DAX. Every operation that was acknowledged must be there, and at most one more of each thread: the host
judges the device's region in its image, the next boot that in the file, and goes on with both. The acknowledgements
are stored after a call has returned, in memory that is a file of the host: see guest_writer.c."""

import mmap
import random
import struct
import subprocess
import time

from harness.guest import Failure, Guest, Nvdimm

KILLS, KILLS_LONG = 2, 20
IMAGE_MIB = 128
ACKS_BYTES = 1 << 20
START_MAX_SECONDS = 120
OPERATIONS = 6000     # so many at most come before a kill: some tens of checkpoints
WAIT_SECONDS = 10     # unless the machine is too slow
START_SECONDS = 0.3   # or it comes so soon after the writer's start: in recovery, or as old rounds are removed;
START_SHARE = 0.3     # that often


class Acks:
    """The file behind a device to which a guest's writer stores what has returned."""

    def __init__(self, path, seed):
        self.path = path
        self.file = path.open("w+b")
        self.file.write(struct.pack("<Q", seed))
        self.file.truncate(ACKS_BYTES)
        self.file.flush()
        self.map = mmap.mmap(self.file.fileno(), ACKS_BYTES)

    def rounds(self):
        return struct.unpack_from("<Q", self.map, 16)[0]

    def lanes(self):
        """Where the counts of the newest round are: struct kill_told of tests/kill/told.h has three rounds of four."""
        first = (self.rounds() - 1) % 3 * 4
        return [64 * (1 + lane) for lane in range(first, first + 4)]

    def operations(self):
        return sum(struct.unpack_from("<Q", self.map, lane)[0] for lane in self.lanes())

    def add_operations(self, count):
        for lane in self.lanes():
            struct.pack_into("<Q", self.map, lane, struct.unpack_from("<Q", self.map, lane)[0] + count)

    def options(self, name, slot):
        return ["-object", f"memory-backend-file,id={name},share=on,mem-path={self.path},size={ACKS_BYTES}",
                "-device", f"ivshmem-plain,memdev={name},addr={slot}"]


class Killing:
    def __init__(self, cell):
        self.cell, self.random = cell, random.Random(cell.seed)
        self.image = cell.folder / "devdax.img"
        self.devices = [Nvdimm(self.image, IMAGE_MIB), Nvdimm(cell.folder / "fsdax.img", IMAGE_MIB, mode="fsdax")]
        self.acks = [Acks(cell.folder / f"acks{number}", cell.seed + number) for number in (0, 1)]

    def boot(self, step):
        extra = self.acks[0].options("acks0", "0x10") + self.acks[1].options("acks1", "0x11")
        return Guest(self.cell, "kill", [step], self.devices, smp=2, extra=extra)

    def rounds(self):
        return [acks.rounds() for acks in self.acks]

    def wait_for_operations(self, guest, before, count):
        """Until both writers have begun a round, and that on the device has done so many operations."""
        end = time.monotonic() + START_MAX_SECONDS
        while any(now == old for now, old in zip(self.rounds(), before)):
            if time.monotonic() > end or guest.is_over:
                guest.fail("the writers did not start")
            time.sleep(0.01)
        end = time.monotonic() + WAIT_SECONDS
        while self.acks[0].operations() < count and time.monotonic() < end:
            time.sleep(0.001)

    def kill_one(self, number):
        before = self.rounds()
        with self.boot("NEXT" if number else "FIRST") as guest:
            if number and self.random.random() < START_SHARE:
                guest.wait_line("guest_writer: opens /dev/dax0.0")
                time.sleep(self.random.uniform(0, START_SECONDS))
            else:
                self.wait_for_operations(guest, before, self.random.randrange(OPERATIONS))
            if guest.is_over or any(line.startswith("GUEST-EXIT") for line in guest.lines):
                guest.fail("the writers have ended before the kill")
            guest.kill()
        print(f"  kill {number}: {self.judge()}", flush=True)

    def run_judge(self):
        program = self.cell.build / "tests/guest/guest_judge"
        return subprocess.run([program, self.image, self.acks[0].path], capture_output=True, text=True)

    def judge(self):
        """What the judge says of the device's region, which nobody has touched since."""
        self.cell.tool("fsck", self.image, "--offset", "auto")
        done = self.run_judge()
        if done.returncode != 0:
            raise Failure(f"after a kill:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()


def run(cell):
    killing = Killing(cell)
    for number in range(KILLS_LONG if cell.is_long else KILLS):
        killing.kill_one(number)
    with killing.boot("LAST") as guest:
        guest.succeed()
    print(f"  at the end: {killing.judge()}", flush=True)
    killing.acks[0].add_operations(20)
    if killing.run_judge().returncode == 0:
        raise Failure("the judge takes operations for done that were only counted")
