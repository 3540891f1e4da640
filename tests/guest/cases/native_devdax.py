"""The API's suite on a devdax device."""

from harness import native
from harness.guest import Nvdimm


def run(cell):
    native.run(cell, "devdax", Nvdimm(cell.folder / "nv.img", 1024, mode="devdax"))
