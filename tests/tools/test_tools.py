#!/usr/bin/env python3
"""test_tools.py VMFS -- what the command tells about regions: fsck, dump, map, info, help."""
import fcntl
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

VMFS = sys.argv.pop(1) if len(sys.argv) > 1 else "vmfs"
BLOCK = 4096


def vmfs(*arguments, status=0):
    """Runs the command; its standard output."""
    result = subprocess.run([VMFS, *map(str, arguments)], capture_output=True, timeout=60)
    text = result.stdout.decode("utf-8", "surrogateescape")
    if result.returncode != status:
        raise AssertionError(f"{arguments}: status {result.returncode}, wanted {status}\n{text}"
                             f"{result.stderr.decode(errors='replace')}")
    return text


class Owner:
    """Has a region as a library would that serves it or closes it: the lock, and the line that says so."""
    HELD, SERVED, CLOSING = range(3)
    F_OFD_SETLK = 37

    def __init__(self, region, state):
        self.fd = os.open(region, os.O_RDWR)
        fcntl.fcntl(self.fd, self.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        os.pwrite(self.fd, struct.pack("<QQQI", os.getpid(), 1, 1, state), 4 * BLOCK)

    def end(self):
        os.close(self.fd)


class Tools(unittest.TestCase):
    def setUp(self):
        base = os.environ.get("VMFS_TEST_DIR", "/dev/shm")
        os.makedirs(base, exist_ok=True)
        self.folder = tempfile.TemporaryDirectory(dir=base)
        self.region = pathlib.Path(self.folder.name) / "region"
        source = pathlib.Path(self.folder.name) / "source"
        (source / "dir" / "below").mkdir(parents=True)
        self.content = os.urandom(3 * BLOCK + 17)
        (source / "file").write_bytes(self.content)
        (source / "dir" / "tab\there").write_text("x")
        os.symlink("file", source / "link")
        with open(source / "sparse", "wb") as sparse:
            sparse.truncate(1 << 30)
            sparse.seek(1 << 20)
            sparse.write(b"y" * BLOCK)
        vmfs("format", self.region, "--size", "16M")
        vmfs("put", "-r", self.region, source, "/top")

    def tearDown(self):
        self.folder.cleanup()

    def flip(self, offset, bits=1):
        with open(self.region, "r+b") as region:
            region.seek(offset)
            byte = region.read(1)[0]
            region.seek(offset)
            region.write(bytes([byte ^ bits]))

    def fsck(self, *options, status=0):
        return json.loads(vmfs("fsck", "--json", *options, self.region, status=status))

    def inode_offset(self, path):
        return int(re.search(r" offset=(\d+)", vmfs("dump", self.region, "inode", path)).group(1))

    def test_fsck_of_a_sound_region(self):
        self.assertTrue(vmfs("fsck", self.region).splitlines()[-1].startswith("clean: "))
        found = self.fsck()
        self.assertEqual((found["state"], found["problems"], found["found"]), ("clean", 0, []))
        ids = [entry["id"] for entry in found["passes"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual({entry["name"] for entry in found["passes"]}, {
            "superblocks", "watermark", "journal", "groups", "inodes", "maps", "blocks", "totals",
            "names", "links", "orphans", "reach"})

    def test_fsck_of_damage(self):
        self.flip(self.inode_offset("/top/file") + 20)
        text = vmfs("fsck", self.region, status=4)
        self.assertRegex(text, r"(?m)^P5 inodes: the inode in slot \d+ fails its check$")
        self.assertTrue(text.splitlines()[-1].startswith("damaged: "))
        found = self.fsck(status=4)
        self.assertEqual(found["state"], "damaged")
        self.assertIn(5, [problem["pass"] for problem in found["found"]])
        self.assertEqual(found["problems"], len(found["found"]))
        counted = sum(entry["problems"] for entry in found["passes"])
        self.assertEqual(counted, found["problems"])
        for wanted in ("names", "9"):
            chosen = self.fsck("--pass", wanted, status=4)
            self.assertEqual({problem["name"] for problem in chosen["found"]}, {"names"})
        self.assertEqual(self.fsck("--pass", "journal")["found"], [])

    def test_repair(self):
        self.assertEqual(self.fsck("--repair")["state"], "clean")
        offset = self.inode_offset("/top/dir")
        self.flip(offset + 20)
        self.flip(offset + 100)
        found = self.fsck("--repair", status=1)
        self.assertEqual((found["state"], found["problems"]), ("clean", 0))
        self.assertTrue(any(problem["mended"] for problem in found["found"]))
        self.assertEqual(self.fsck()["state"], "clean")
        names = vmfs("ls", self.region, "/lost+found").split()
        self.assertEqual(len(names), 2)
        self.assertEqual(vmfs("cat", self.region, "/top/link").encode("utf-8", "surrogateescape"),
                         self.content)
        self.assertNotIn("dir", vmfs("ls", self.region, "/top").split())

    def test_repair_of_what_cannot_be_opened(self):
        for blocks in ((1, 2), (0, 3), (5,)):
            for block in blocks:
                self.flip(block * BLOCK + 16)
            self.assertEqual(self.fsck(status=4)["state"], "damaged")
            found = self.fsck("--repair", status=1)
            self.assertEqual((found["state"], found["problems"]), ("clean", 0))
            self.assertEqual(self.fsck()["state"], "clean")
            self.assertEqual(vmfs("cat", self.region, "/top/link").encode("utf-8", "surrogateescape"),
                             self.content)

    def test_repair_of_what_is_no_region(self):
        self.region.write_bytes(bytes(1 << 20))
        text = subprocess.run([VMFS, "fsck", "--repair", self.region], capture_output=True, text=True)
        self.assertEqual((text.returncode, "not a vmfs region" in text.stderr), (8, True))
        self.assertEqual(self.region.read_bytes(), bytes(1 << 20))

    def test_fsck_that_cannot_run(self):
        vmfs("fsck", self.region.parent / "nothing", status=8)
        vmfs("fsck", "--pass", "nonsense", self.region, status=8)
        vmfs("fsck", "--nonsense", self.region, status=8)

    def test_fsck_of_what_cannot_be_opened(self):
        self.flip(BLOCK)
        self.flip(2 * BLOCK)
        found = self.fsck(status=4)
        self.assertEqual(found["state"], "damaged")
        self.assertIn("BAD", vmfs("dump", self.region, "super"))

    def test_json_of_any_name(self):
        odd = self.region.parent / os.fsdecode(b'o"d\\d\n\xff\xc3\xa4')
        self.region.rename(odd)
        text = subprocess.run([VMFS, "fsck", "--json", odd], capture_output=True).stdout
        self.assertEqual(json.loads(text)["region"], str(odd))

    def test_dump(self):
        for part in (["super"], ["journal"], ["tree"], ["inode", "/top/file"], ["block", 0]):
            text = vmfs("dump", self.region, *part)
            self.assertNotIn("BAD", text, part)
            self.assertTrue(text)
        tree = vmfs("dump", self.region, "tree")
        self.assertRegex(tree, r'(?m)^    "file": inode=\d+ mode=100\d+ nlink=1 size=%d '
                         % len(self.content))
        self.assertIn('"tab\\x09here"', tree)
        self.assertIn('"tab\\x09here"', vmfs("dump", self.region, "tree", "/top/dir"))
        self.assertNotIn('"file"', vmfs("dump", self.region, "tree", "/top/dir"))
        vmfs("dump", self.region, "tree", "/top/file", status=1)
        vmfs("dump", self.region, "inode", 1 << 39, status=1)
        vmfs("dump", self.region, "block", "16M", status=1)
        vmfs("dump", self.region, "nonsense", status=1)

    def test_dump_shows_damage(self):
        offset = self.inode_offset("/top/file")
        number = vmfs("stat", self.region, "/top/file").split("inode: ")[1].split()[0]
        self.flip(offset + 20)
        self.assertRegex(vmfs("dump", self.region, "inode", number), r"^inode \d+: .*check=BAD")
        self.assertIn("BAD", vmfs("dump", self.region, "tree"))
        self.assertIn("BAD", vmfs("dump", self.region, "block", offset))

    def test_every_block_can_be_dumped(self):
        for offset in range(0, 4 << 20, 37 * BLOCK):
            self.assertTrue(vmfs("dump", self.region, "block", offset))

    def test_map(self):
        ranges = json.loads(vmfs("map", "--json", self.region))
        at = 0
        for entry in ranges:
            self.assertEqual(entry["offset"], at)
            at += entry["length"]
        self.assertEqual(at, 16 << 20)
        self.assertEqual(len(vmfs("map", self.region).splitlines()), len(ranges))
        self.assertNotIn("lost", {entry["kind"] for entry in ranges})
        number = int(vmfs("stat", self.region, "/top/file").split("inode: ")[1].split()[0])
        found = b""
        for entry in sorted((entry for entry in ranges if entry.get("inode") == number),
                            key=lambda entry: entry["file_offset"]):
            self.assertEqual(entry["kind"], "data")
            with open(self.region, "rb") as region:
                region.seek(entry["offset"])
                found += region.read(entry["length"])
            inside = entry["offset"] + entry["length"] - 1
            self.assertEqual(json.loads(vmfs("map", "--json", self.region, inside)), [entry])
        self.assertEqual(found[:len(self.content)], self.content)
        vmfs("map", self.region, "16M", status=1)

    def test_lost_blocks_are_shown(self):
        head = int(re.search(r"bitmap_block=(\d+)", vmfs("dump", self.region, "super")).group(1))
        self.flip(head * BLOCK + 3900 // 8, 0x10)
        lost = [line for line in vmfs("map", self.region).splitlines() if line.endswith(" lost")]
        self.assertEqual(len(lost), 1)
        self.assertEqual(lost[0].split()[1], str(BLOCK))
        self.assertIn(f"offset\": {lost[0].split()[0]}", vmfs("fsck", "--json", self.region, status=4))

    def namespace(self, start):
        """A host's file of a guest's NVDIMM: Linux's info block at its head, data from `start` on."""
        path = pathlib.Path(self.folder.name) / "namespace"
        info = bytearray(BLOCK)
        info[:16] = b"NVDIMM_DAX_INFO\0"
        struct.pack_into("<HQ", info, 54, 4, start)
        low = high = 0
        for (word,) in struct.iter_unpack("<I", info):
            low = (low + word) & 0xffffffff
            high = (high + low) & 0xffffffff
        struct.pack_into("<II", info, 4088, low, high)
        with open(path, "wb") as file:
            file.truncate(start + (16 << 20))
            file.seek(BLOCK)
            file.write(info)
        return path

    def test_offset_is_found(self):
        auto = ("--offset", "auto")
        path = self.namespace(2 << 20)
        result = subprocess.run([VMFS, "info", *auto, path], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("not a vmfs region", result.stderr)
        self.assertIn(f" {16 << 20} bytes", vmfs("format", *auto, "--force", path))
        self.assertIn(f"\noffset: {2 << 20}\nsize: {16 << 20}\n", vmfs("info", *auto, path))
        vmfs("put", "-r", *auto, path, pathlib.Path(self.folder.name) / "source", "/top")
        vmfs("mkdir", *auto, path, "/new")
        self.assertEqual(vmfs("ls", *auto, path, "/").split(), ["new", "top"])
        self.assertEqual(vmfs("ls", "--offset", "2M", path, "/").split(), ["new", "top"])
        vmfs("get", "-r", *auto, path, "/top", pathlib.Path(self.folder.name) / "back")
        self.assertEqual((pathlib.Path(self.folder.name) / "back" / "file").read_bytes(), self.content)
        vmfs("rm", "-r", *auto, path, "/top")
        vmfs("fsck", "--repair", *auto, path)
        self.assertIn("offset: 0\n", vmfs("info", *auto, self.region))
        fresh = pathlib.Path(self.folder.name) / "fresh"
        vmfs("format", *auto, fresh, "--size", "4M")
        self.assertEqual(fresh.stat().st_size, 4 << 20)

    def test_offset_is_ambiguous(self):
        for offset in ("0", "4M"):
            vmfs("format", "--force", "--size", "4M", "--offset", offset, "--length", "4M", self.region)
        result = subprocess.run([VMFS, "ls", "--offset", "auto", self.region], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"2 regions, choose one with --offset: 0 {4 << 20}", result.stderr)

    def test_help(self):
        for verb in re.findall(r"(?m)^  (\w+) ", vmfs("--help").split("Verbs:")[1].split("'vmfs")[0]):
            text = vmfs("help", verb)
            self.assertTrue(text.startswith(f"Usage: vmfs {verb} "))
            self.assertEqual(text, vmfs(verb, "--help"))
        vmfs("help", "nonsense", status=2)

    def test_peek_prints_what_open_prints(self):
        for verb, *rest in (["ls", "/top"], ["stat", "/top/file"], ["cat", "/top/link"], ["map"]):
            arguments = [self.region, *rest]
            self.assertEqual(vmfs(verb, "--peek", *arguments), vmfs(verb, *arguments), verb)

    def timed(self, *arguments, status):
        began = time.monotonic()
        vmfs(*arguments, status=status)
        return time.monotonic() - began

    def test_wait_for_who_closes(self):
        for verb, *rest in (["ls"], ["mkdir", "/new"], ["info"], ["fsck"], ["format", "--force", "--size", "16M"]):
            owner = Owner(self.region, Owner.CLOSING)
            ending = threading.Timer(0.6, owner.end)
            ending.start()
            paths = [word for word in rest if word.startswith("/")]
            options = [word for word in rest if not word.startswith("/")]
            self.assertGreater(self.timed(verb, *options, self.region, *paths, status=0), 0.4, verb)
            ending.join()

    def test_wait_is_bounded(self):
        for state, wait, least, most in ((Owner.CLOSING, "0.4", 0.4, 3), (Owner.CLOSING, "0", 0, 3),
                                         (Owner.SERVED, "9", 1, 4), (Owner.SERVED, "0.2", 0.2, 3),
                                         (Owner.HELD, "9", 0, 3)):
            owner = Owner(self.region, state)
            took = self.timed("ls", "--wait", wait, self.region, status=1)
            owner.end()
            self.assertTrue(least <= took < most, (state, wait, took))
        vmfs("ls", "--wait", "no", self.region, status=2)
        vmfs("ls", "--wait", "-1", self.region, status=2)

    def test_info_tells_the_owner(self):
        for state, word in enumerate(("held", "served", "closing")):
            owner = Owner(self.region, state)
            self.assertIn(f"owner: process {os.getpid()}, {word}\n", vmfs("info", "--peek", self.region))
            owner.end()
            self.assertIn("owner: none\n", vmfs("info", "--peek", self.region))

    def test_stat_counters(self):
        text = vmfs("stat", "--counters", self.region)
        for label in ("inodes", "orphans", "blocks", "journal"):
            self.assertRegex(text, rf"(?m)^{label}: \d+")

    def test_durability(self):
        forced = dict(os.environ)
        os.environ["PMEM_IS_PMEM_FORCE"] = "0"
        try:
            self.assertRegex(vmfs("info", self.region), r"(?m)^durability: process: .*\nbackend: none$")
            text = vmfs("format", "--force", "--durability", "power", self.region, "--size", "16M")
            self.assertRegex(text, r"(?m)^durability: power: .*msync")
            vmfs("mkdir", "--durability", "power", self.region, "/kept")
            text = vmfs("info", "--durability", "power", self.region)
            self.assertRegex(text, r"(?m)^durability: power: .*msync.*\nbackend: sync$")
            vmfs("info", "--durability", "nonsense", self.region, status=2)
        finally:
            os.environ.clear()
            os.environ.update(forced)
        self.fsck()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:])
