"""One region on the host and in a guest: what either puts in, the other reads, byte for byte, with all metadata. The
guest has it by the command line that `vmfs guest` prints."""

import subprocess

from harness.guest import HERE, Failure, Guest, Nvdimm, Printed


def listed(cell, command):
    """What a function of trees.sh does or prints on the host."""
    script = f'export LC_ALL=C; set -e; . "{HERE}/inside/trees.sh"; {command}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, cwd=cell.folder, check=False)
    if done.returncode != 0:
        raise Failure(f"{command}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def boot(cell, image, what, files=None):
    with Guest(cell, "tree", args=[what], devices=[Printed(cell, image)], files=files) as guest:
        return guest.succeed()


def same(what, got, wanted):
    if got != wanted:
        lines = set(got.splitlines()) ^ set(wanted.splitlines())
        raise Failure(f"{what} differs in {len(lines)} lines, one of them {sorted(lines)[:1]}")


def run(cell):
    image = cell.folder / "it's a, b.img"
    Nvdimm(image, 256)
    boot(cell, image, "format")

    listed(cell, "tree_make host 'from the host'; attributes_add host")
    for name in ("tree", "attributes"):
        (cell.folder / name).write_bytes(listed(cell, f"{name}_list host"))
    cell.tool("put", "-r", "--offset", "auto", image, cell.folder / "host", "/host")
    boot(cell, image, "read", {f"/given/{name}": cell.folder / name for name in ("tree", "attributes")})
    boot(cell, image, "write")

    cell.tool("fsck", "--offset", "auto", image)
    for name in ("guest", "mounted"):
        cell.tool("get", "-r", "--offset", "auto", image, f"/{name}", cell.folder / name)
        cell.tool("get", "--offset", "auto", image, f"/{name}.tree", cell.folder / f"{name}.tree")
        same(f"the tree /{name}", listed(cell, f"tree_list {name}"), (cell.folder / f"{name}.tree").read_bytes())
    cell.tool("get", "--offset", "auto", image, "/mounted.attributes", cell.folder / "mounted.attributes")
    same("attributes", listed(cell, "attributes_list mounted"), (cell.folder / "mounted.attributes").read_bytes())
