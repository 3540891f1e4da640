"""The API's suite on a devdax device; what it has left, seen by the host, and by a guest that may only read."""

import hashlib
import subprocess

from harness import native
from harness.guest import HERE, Failure, Guest, Nvdimm


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(cell):
    image = cell.folder / "nv.img"
    native.run(cell, "devdax", Nvdimm(image, 1024, mode="devdax"))
    before = digest(image)
    place = ["--offset", "auto", image]
    if "\noffset: 0\n" in cell.tool("info", *place):
        raise Failure("the region lies where the guest's Linux has its info block")
    cell.tool("fsck", *place)
    cell.tool("get", "-r", *place, "/inside", cell.folder / "back")
    subprocess.run(["diff", "-r", HERE / "inside", cell.folder / "back"], check=True)
    with Guest(cell, "open", args=["readonly"], devices=[Nvdimm(image, mode="devdax", readonly=True)]) as guest:
        print(guest.succeed())
    if digest(image) != before:
        raise Failure("reading has changed the image")
