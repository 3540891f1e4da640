"""The mount in a guest, of a region that is a file on an ext4 with DAX: random tests, conformance, programs, kills."""

from harness.guest import HERE, Guest, Nvdimm

CONFORM_QUICK = ["--only", "*?and?*"]  # of those cases in which two calls meet; a kernel's arguments have no blanks


def run(cell):
    args = [200000, 20] if cell.is_long else [1000, 1, *CONFORM_QUICK]
    files = {"/inside/may-skip.txt": HERE.parent / "fuse/conform/may-skip.txt"}
    device = Nvdimm(cell.folder / "nv.img", 2048 if cell.is_long else 1024, mode="fsdax")
    with Guest(cell, "fuse_fsdax", args, [device], files=files) as guest:
        print(guest.succeed(7200 if cell.is_long else 600))
