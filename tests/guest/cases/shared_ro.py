"""One image in two guests at once, both with readonly=on: each reads the whole tree through the native API and
through a mount, and can change nothing, not a byte of the image. That was left by a guest that was killed, so that
each reader replays the journal for itself."""

import hashlib
import re
from contextlib import ExitStack

from harness.guest import Failure, Guest, Nvdimm

IMAGE_MIB = 64


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_tree(cell, folder):
    """Files of every size class, below and beside each other; the lines of sha256sum for them."""
    lines = []
    for number in range(60):
        path = folder / f"dir{number % 7}" / f"file{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cell.random.randbytes(cell.random.choice([0, 1, 100, 4096, 70000, 500000])))
        lines.append(f"{checksum(path)}  ./{path.relative_to(folder)}")
    return sorted(lines)


def told(guest, what):
    """The lines of sha256sum that a guest has printed."""
    lines = guest.output.split(f"checksums of {what}\n")[1].split("\nend")[0]
    return sorted(lines.splitlines())


def run(cell):
    image = cell.folder / "shared.img"
    tree = make_tree(cell, cell.folder / "tree")
    files = {f"/{path.relative_to(cell.folder)}": path for path in cell.folder.glob("tree/*/*")}
    with Guest(cell, "shared_ro", ["prepare"], [Nvdimm(image, IMAGE_MIB)], files=files) as guest:
        guest.wait_line("running")
        guest.kill()
    before = checksum(image)
    device = Nvdimm(image, readonly=True)
    with ExitStack() as stack:
        guests = [stack.enter_context(Guest(cell, "shared_ro", ["read"], [device])) for _ in range(2)]
        for guest in guests:
            guest.wait_line("mounted")
        for guest in guests:
            guest.send("go\n")
        for guest in guests:
            guest.succeed()
    for guest in guests:
        if not re.search(r"\b[1-9]\d* records replayed", guest.output):
            raise Failure(f"the journal had nothing to replay:\n{guest.output}")
        for what in ("get", "mount"):
            if told(guest, what) != tree:
                raise Failure(f"{what} reads something else than was put in:\n{guest.output}")
    if checksum(image) != before:
        raise Failure("the image has changed under two guests that could only read it")
