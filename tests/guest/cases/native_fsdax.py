"""The API's suite on files of an ext4 with DAX on an NVDIMM: MAP_SYNC is granted."""

from harness import native
from harness.guest import Nvdimm


def run(cell):
    native.run(cell, "fsdax", Nvdimm(cell.folder / "nv.img", 1024, mode="fsdax"))
