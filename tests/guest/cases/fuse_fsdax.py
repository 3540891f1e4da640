"""The mount in a guest, of a region that is a file on an ext4 with DAX: random tests, conformance, programs, kills."""

import re

from harness.guest import HERE, Guest, Nvdimm

CONFORM_QUICK = ["--only", "*?and?*"]  # of those cases in which two calls meet; a kernel's arguments have no blanks
KERNEL_LACKS = "fchmodat2\n"  # Debian's 6.1


def run(cell):
    limit = re.search(r"define VMFS_LINK_MAX (\d+)", (HERE.parent.parent / "include/vmfs.h").read_text())[1]
    args = [*([200000, 20] if cell.is_long else [1000, 1]), "--link-max", limit, *([] if cell.is_long else CONFORM_QUICK)]
    may_skip = cell.folder / "may-skip.txt"
    may_skip.write_text((HERE.parent / "fuse/conform/may-skip.txt").read_text() + KERNEL_LACKS)
    files = {"/inside/may-skip.txt": may_skip}
    device = Nvdimm(cell.folder / "nv.img", 2048 if cell.is_long else 1024, mode="fsdax")
    with Guest(cell, "fuse_fsdax", args, [device], files=files) as guest:
        print(guest.succeed(7200 if cell.is_long else 600))
