#!/usr/bin/env python3
"""golden.py -- the golden image: a region of format version 1 that every later commit must read alike

    golden.py check BUILD        unpacks the image, opens it, checks it, and compares all that can be told
    golden.py regenerate BUILD   makes a new image and its expected texts (only for a new format version)

BUILD is the build folder. The image holds every structure of the format, and a journal whose records have
not reached their homes, with two files that were unlinked while they were open. What is expected:

    v1.img.xz     the region
    v1.txt        golden_dump: names, attributes, data, holes, extended attributes
    v1-tools.txt  what `vmfs fsck`, `info`, `dump` and `map` say; of info the lines that the image decides
    v1.json       the region's SHA-256, and the totals when it was opened for writing and closed
"""
import hashlib
import json
import lzma
import os
import pathlib
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
IMAGE = FOLDER / "v1.img.xz"
TREE = FOLDER / "v1.txt"
TOOLS = FOLDER / "v1-tools.txt"
FACTS = FOLDER / "v1.json"
PACKED_MAX = 300_000
BLOCK = 4096
# Each with its exit status; info says more, about the machine, which is left out.
COMMANDS = (("fsck",), ("info",), ("dump", "--peek", "super"), ("dump", "--peek", "journal"), ("dump", "tree"),
            ("dump", "inode", "/many"), ("dump", "inode", "/attributes"), ("dump", "inode", "/links/in-a-block"),
            ("dump", "inode", "/files/extents-in-a-tree"), ("dump", "inode", "/files/partly-written"), ("map",))
INFO_LINES = ("size:", "uuid:", "format:", "features:", "lanes:", "journal:", "blocks:", "inodes:", "orphans:")


class Build:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def run(self, program, *arguments):
        result = subprocess.run([self.folder / program, *arguments], capture_output=True, text=True,
                                timeout=120)
        return result.returncode, result.stdout + result.stderr

    def dump(self, region, *options):
        status, text = self.run("tests/golden/golden_dump", *options, region)
        if status:
            sys.exit(f"golden_dump: {text[-2000:]}")
        return text

    def tools(self, region):
        said = []
        for verb, *arguments in COMMANDS:
            options = [argument for argument in arguments if argument.startswith("--")]
            rest = [argument for argument in arguments if not argument.startswith("--")]
            status, text = self.run("tools/vmfs", verb, *options, region, *rest)
            lines = text.replace(str(region), "REGION").splitlines()
            if verb == "info":
                lines = [line for line in lines if line.startswith(INFO_LINES)]
            said += [f"$ vmfs {verb} REGION {' '.join(arguments)}".rstrip(), *lines, f"exit {status}"]
        return "\n".join(said) + "\n"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(path):
    """Holes stay holes."""
    with lzma.open(IMAGE) as packed, open(path, "wb") as file:
        while block := packed.read(BLOCK * 256):
            for at in range(0, len(block), BLOCK):
                piece = block[at:at + BLOCK]
                if piece.count(0) == len(piece):
                    file.seek(len(piece), os.SEEK_CUR)
                else:
                    file.write(piece)
        file.truncate()


def differences(what, expected, found):
    """The first lines that differ."""
    if expected == found:
        return []
    left, right = expected.splitlines(), found.splitlines()
    lines = [f"{what}: line {number}\n  expected {a}\n  found    {b}"
             for number, (a, b) in enumerate(zip(left, right), 1) if a != b]
    if len(left) != len(right):
        lines.append(f"{what}: {len(left)} lines expected, {len(right)} found")
    return lines[:20]


def settle(build, region):
    """Opened for writing and closed: what it holds is the same, and nothing is left to do."""
    build.dump(region, "--settle")
    status, text = build.run("tools/vmfs", "fsck", region)
    return (status, text), build.dump(region)


def check(build, region):
    facts = json.loads(FACTS.read_text())
    unpack(region)
    found = []
    if digest(region) != facts["sha256"]:
        found.append("the image is not the one that was packed")
    found += differences("tools", TOOLS.read_text(), build.tools(region))
    found += differences("tree", TREE.read_text(), build.dump(region))
    if digest(region) != facts["sha256"]:
        found.append("reading has changed the image")
    (status, text), tree = settle(build, region)
    if status or text != facts["settled_fsck"]:
        found.append(f"fsck after settling: {status} {text}")
    expected = facts["settled_totals"] + "\n" + TREE.read_text().partition("\n")[2]
    found += differences("settled tree", expected, tree)
    return found


def regenerate(build, region):
    status, text = build.run("tests/golden/golden_make", region)
    if status:
        sys.exit(text)
    TOOLS.write_text(build.tools(region))
    TREE.write_text(build.dump(region))
    with open(region, "rb") as file:
        IMAGE.write_bytes(lzma.compress(file.read(), preset=9 | lzma.PRESET_EXTREME))
    facts = {"sha256": digest(region)}
    (status, facts["settled_fsck"]), tree = settle(build, region)
    facts["settled_totals"] = tree.partition("\n")[0]
    FACTS.write_text(json.dumps(facts, indent=4) + "\n")
    print(f"{IMAGE.name}: {IMAGE.stat().st_size} bytes")
    if status or IMAGE.stat().st_size > PACKED_MAX:
        sys.exit("not good enough to keep")
    print(TOOLS.read_text())


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in ("check", "regenerate"):
        print(__doc__)
        return 2
    build = Build(arguments[1])
    parent = os.environ.get("VMFS_TEST_DIR", "/dev/shm")
    os.makedirs(parent, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix="golden.") as folder:
        region = pathlib.Path(folder) / "region"
        if arguments[0] == "regenerate":
            regenerate(build, region)
            return 0
        found = check(build, region)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
