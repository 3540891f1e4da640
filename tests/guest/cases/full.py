"""Regions are filled to the last byte in a guest; what they hold is whole, there and in the image on the host."""

import subprocess

from harness.guest import Failure, Guest, Nvdimm

IMAGE_MIB = 64


def digest(cell, image):
    program = cell.build / "tests/guest/guest_fill"
    done = subprocess.run([program, "digest", image], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"the image cannot be read:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def run(cell):
    image = cell.folder / "devdax.img"
    devices = [Nvdimm(image, IMAGE_MIB), Nvdimm(cell.folder / "fsdax.img", IMAGE_MIB, mode="fsdax")]
    with Guest(cell, "full", devices=devices, smp=2) as guest:
        output = guest.succeed()
    print("\n".join(line for line in output.splitlines() if "went in" in line))
    cell.tool("fsck", image, "--offset", "auto")
    found = digest(cell, image)
    if found not in output.splitlines():
        raise Failure(f"the host reads something else, {found}, than the guest:\n{output}")
