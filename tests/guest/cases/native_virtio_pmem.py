"""The API's suite on files of an ext4 with DAX on virtio-pmem: MAP_SYNC is refused, so the level `power` takes msync."""

from harness import native
from harness.guest import VirtioPmem


def run(cell):
    native.run(cell, "virtio-pmem", VirtioPmem(cell.folder / "vp.img", 1024), more=["basic@power"])
