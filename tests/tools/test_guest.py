#!/usr/bin/env python3
"""test_guest.py VMFS -- the settings that vmfs guest prints: each is read by the program that it is for."""
import json
import os
import pathlib
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

VMFS = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "vmfs"
QEMU = "qemu-system-x86_64"
MIB = 1 << 20
ODD = [b"plain", b"a b", b"a,b,,c", b"it's", b'"quoted"', b"$HOME `id` \\", b"<&>]]>;", b"-n", b"*?[a]", b"new\nline",
       b"tab\there", b"\xc3\xa4\xe2\x82\xac", b"\xc2\x9b31m", b"\xff\xfe", b"\x01\x1b[2J"]
SCHEMA = "usr/share/libvirt/schemas/domain.rng"


def vmfs(*arguments, status=0, cwd=None):
    result = subprocess.run([VMFS, *arguments], capture_output=True, timeout=60, cwd=cwd)
    if result.returncode != status:
        raise AssertionError(f"{arguments}: status {result.returncode}, wanted {status}\n{result.stdout}{result.stderr}")
    return result.stdout


def words_of(block):
    """What a shell makes of a command."""
    script = b'printf "%s\\0" ' + block
    printed = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    return printed.split(b"\0")[:-1]


def options_of(word):
    """A value of QEMU's command line as QEMU reads it: a comma ends an option, two are one."""
    parts = word.replace(b",,", b"\0").split(b",")
    return dict(part.replace(b"\0", b",").partition(b"=")[::2] for part in parts)


def info_block(signature, data_offset, pages):
    """The start of a namespace as the kernel's drivers/nvdimm/pfn.h has it."""
    block = bytearray(4096)
    struct.pack_into("<16s16s16sIHHQQIIII", block, 0, signature, b"u" * 16, b"", 0, 1, 4, data_offset, pages, 2, 0, 0, 2 * MIB)
    low = high = 0
    for (word,) in struct.iter_unpack("<I", block):
        low = (low + word) & 0xffffffff
        high = (high + low) & 0xffffffff
    struct.pack_into("<Q", block, 4088, high << 32 | low)
    return block


class Guest(unittest.TestCase):
    def setUp(self):
        base = os.environ.get("VMFS_TEST_DIR", "/dev/shm")
        os.makedirs(base, exist_ok=True)
        self.folder = tempfile.TemporaryDirectory(dir=base)
        self.image = self.make(b"image", 32 * MIB)

    def tearDown(self):
        self.folder.cleanup()

    def make(self, name, size_bytes):
        path = os.path.join(os.fsencode(self.folder.name), name)
        with open(path, "wb") as file:
            if size_bytes:
                os.posix_fallocate(file.fileno(), 0, size_bytes)
        return path

    def make_namespace(self, signature):
        """A namespace of 32 MiB with a region in it."""
        path = self.make(b"namespace", 0)
        vmfs("format", path, "--force", "--offset", "2M", "--size", "30M")
        with open(path, "r+b") as file:
            file.seek(4096)
            file.write(info_block(signature, 2 * MIB, 30 * MIB // 4096))
            os.posix_fallocate(file.fileno(), 0, 32 * MIB)
        return path

    def told(self, *arguments):
        return json.loads(vmfs("guest", "--json", *arguments).decode())

    def mends(self, *arguments):
        return [problem["mend"] for problem in self.told(*arguments)["problems"]]

    def test_every_name_survives_the_shell_and_qemu(self):
        for name in ODD:
            path = self.make(name, 16 * MIB)
            words = words_of(vmfs("guest", "--qemu", path))
            self.assertEqual(words, [os.fsencode(word) for word in self.told(path)["qemu"]], name)
            backend = options_of(words[words.index(b"-object") + 1])
            self.assertEqual((backend[b"mem-path"], backend[b"size"], backend[b"share"]), (path, b"%d" % (16 * MIB), b"on"))
            label, _, word = vmfs("guest", path).split(b"\n")[0].partition(b" ")
            self.assertEqual((label, words_of(word)), (b"image:", [path]))

    def test_no_name_commands_a_terminal(self):
        for name in (b"\x01\x1b[2J", b"\xc2\x9b31m", b"\xff\xfe"):
            text = vmfs("guest", self.make(name, 16 * MIB))
            self.assertFalse(set(text) & set(b"\x01\x1b\x9b\xff"), name)

    def test_the_mending_command_mends(self):
        for name in (b"it's", b"a b,\n$x"):
            path = self.make(name, 5 * MIB + 77)
            mend, = [mend for mend in self.mends("--qemu", path) if mend]
            subprocess.run(["bash", "-c", mend], check=True)
            self.assertEqual(self.mends("--qemu", path), [])
            self.assertEqual(os.stat(path).st_size, 16 * MIB)

    def test_qemu_accepts_each(self):
        if not shutil.which(QEMU):
            self.skipTest(f"no {QEMU}")
        for name in ODD:
            path = self.make(name, 16 * MIB)
            for options in ([], ["--readonly"], ["--virtio-pmem"], ["--virtio-pmem", "--readonly"]):
                words = words_of(vmfs("guest", "--qemu", "--memory", "64M", *options, path))
                self.assertEqual(words[1:5], [b"-accel", b"kvm", b"-accel", b"tcg"])
                command = [*words[:1], b"-accel", b"tcg", *words[5:], b"-S", b"-nodefaults", b"-display", b"none", b"-monitor",
                           b"stdio"]
                done = subprocess.run(command, input=b"info memdev\nquit\n", capture_output=True, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (0, b""), command)
                self.assertIn(b"share: true", done.stdout)

    def schema(self):
        """libvirt's own, of the package that is installed or that the cache of tests/guest has."""
        cache = os.environ.get("VMFS_GUEST_CACHE") or os.path.join(
            os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "vmfs-guest")
        if not shutil.which("xmllint"):
            self.skipTest("no xmllint")
        for root in ("/", os.path.join(cache, "libvirt0")):
            if os.path.exists(os.path.join(root, SCHEMA)):
                return os.path.join(root, SCHEMA)
        os.makedirs(cache, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as making:
            for command in (["apt-get", "download", "libvirt0"], ["sh", "-c", "dpkg-deb -x libvirt0_*.deb unpacked"]):
                if subprocess.run(command, cwd=making, capture_output=True).returncode != 0:
                    self.skipTest("the package libvirt0 cannot be downloaded")
            os.rename(os.path.join(making, "unpacked"), os.path.join(cache, "libvirt0"))
        return os.path.join(cache, "libvirt0", SCHEMA)

    def test_libvirt_is_valid(self):
        schema = self.schema()
        for name in ODD:
            path = self.make(name, 16 * MIB)
            for options in ([], ["--readonly"], ["--virtio-pmem"]):
                text = vmfs("guest", "--libvirt", *options, path)
                if name in (b"new\nline", b"\xff\xfe", b"\x01\x1b[2J"):
                    self.assertEqual(text, b"", name)
                    continue
                done = subprocess.run(["xmllint", "--noout", "--relaxng", schema, "-"], input=text, capture_output=True)
                self.assertEqual(done.returncode, 0, done.stderr)
                memory = xml.fromstring(text).find("devices/memory")
                self.assertEqual(os.fsencode(memory.findtext("source/path")), path)
                self.assertEqual(int(memory.findtext("target/size")) << 10, 16 * MIB)
                self.assertEqual(memory.get("access"), "shared")

    def test_firecracker(self):
        for name in ODD:
            path = self.make(name, 16 * MIB)
            text = vmfs("guest", "--firecracker", "--readonly", path)
            if name == b"\xff\xfe":
                self.assertEqual(text, b"")
                continue
            self.assertEqual(json.loads(text)["pmem"], [
                {"id": "vmfs0", "path_on_host": os.fsdecode(path), "root_device": False, "read_only": True}])

    def test_sizes(self):
        for size, options, mended in ((16 * MIB, [], None), (17 * MIB, [], 32 * MIB), (1, [], 16 * MIB),
                                      (18 * MIB, ["--virtio-pmem"], 32 * MIB), (0, [], 1 << 30),
                                      (0, ["--size", "100M"], 112 * MIB)):
            path = self.make(b"sized", size)
            told = self.told(*options, path)
            self.assertEqual(told["size"], mended or size)
            self.assertIn(f"size={mended or size}", told["qemu"][-3])
            wanted = [f"fallocate -l {mended} {path.decode()}"] if mended else []
            self.assertEqual([problem["mend"] for problem in told["problems"] if problem["mend"]], wanted)

    def test_holes_are_told(self):
        os.truncate(self.image, 64 * MIB)
        self.assertEqual(self.mends(self.image), [f"fallocate -l {64 * MIB} {self.image.decode()}"])

    def test_what_does_not_exist(self):
        told = self.told("--size", "64M", self.image + b"-new")
        self.assertEqual((told["exists"], told["size"], told["filesystem"]), (False, 64 * MIB, "tmpfs"))
        self.assertEqual([problem["mend"] for problem in told["problems"]],
                         [f"fallocate -l {64 * MIB} {self.image.decode()}-new"])
        told = json.loads(vmfs("guest", "--json", "new", cwd=self.folder.name))
        self.assertEqual(told["image"], f"{self.folder.name}/new")
        vmfs("guest", self.image + b"/below", status=1)
        vmfs("guest", self.image + b"-none/new", status=1)
        vmfs("guest", self.image + b"-new/", status=1)

    def test_what_is_no_image(self):
        os.mkfifo(self.image + b"-fifo")
        for path in (self.folder.name, "/dev/null", self.image + b"-fifo"):
            vmfs("guest", path, status=1)
        vmfs("guest", "--size", "64M", self.image, status=2)
        vmfs("guest", "--memory", "1000", self.image, status=2)
        vmfs("guest", "--nvdimm", "--virtio-pmem", self.image, status=2)

    def test_an_absolute_path_without_links(self):
        os.symlink("image", self.image + b"-link")
        told = json.loads(vmfs("guest", "--json", "./image-link", cwd=self.folder.name))
        self.assertEqual(told["image"], os.path.realpath(self.image).decode())

    def test_a_region_at_the_start(self):
        path = self.make(b"region", 0)
        vmfs("format", path, "--force", "--size", "5M")
        told = self.told("--qemu", path)
        self.assertEqual((told["holds"], told["has_region"], told["data_offset"]), ("region", True, 0))
        self.assertIn("/dev/pmem0, a block device", told["guest_sees"])
        self.assertIn("--durability power", told["survives"]["guest_crash"])
        self.assertEqual(self.mends("--virtio-pmem", "--qemu", path)[0], f"fallocate -l {6 * MIB} {path.decode()}")
        self.assertIn(b"\nvmfs ls " + path + b"\n", vmfs("guest", path))

    def test_a_namespace(self):
        for signature, holds, node in ((b"NVDIMM_DAX_INFO", "devdax", "/dev/dax0.0"), (b"NVDIMM_PFN_INFO", "fsdax", "/dev/pmem0")):
            path = self.make_namespace(signature)
            told = self.told(path)
            self.assertEqual((told["holds"], told["has_region"], told["data_offset"]), (holds, True, 2 * MIB))
            self.assertEqual(told["problems"], [])
            self.assertIn(node, told["guest_sees"])
            self.assertEqual(told["survives"]["qemu_killed"], "every change that had returned")
            text = vmfs("guest", path).decode()
            self.assertNotIn("== In the guest, once", text)
            self.assertIn(f"vmfs-fuse {node} /srv", text)
            line, = [line for line in text.splitlines() if line.startswith("vmfs ls ")]
            vmfs(*shlex.split(line)[1:])
            os.truncate(path, 48 * MIB)
            self.assertEqual(self.mends(path), [f"truncate -s {32 * MIB} {path.decode()}"])
            self.assertIn(f"size={32 * MIB}", self.told(path)["qemu"][-3])

    def test_a_forged_namespace_is_none(self):
        path = self.make_namespace(b"NVDIMM_DAX_INFO")
        with open(path, "r+b") as file:
            file.seek(4096 + 56)
            file.write(b"\xff" * 8)
        self.assertEqual(self.told(path)["holds"], "nothing")

    def test_an_image_in_use(self):
        path = self.make_namespace(b"NVDIMM_DAX_INFO")
        before = pathlib.Path(os.fsdecode(path)).read_bytes()
        with open(path, "rb") as file:
            vmfs("guest", path)
        self.assertEqual(pathlib.Path(os.fsdecode(path)).read_bytes(), before)

    def test_one_block_alone(self):
        text = vmfs("guest", self.image).decode()
        for block in ("--qemu", "--firecracker", "--libvirt"):
            alone = vmfs("guest", block, self.image).decode()
            self.assertIn(alone, text)
            self.assertNotIn("==", alone)
            others = vmfs("guest", "--json", block, self.image).decode()
            self.assertEqual({"qemu", "firecracker", "libvirt"} & set(json.loads(others)), {block[2:]})

    def test_the_filesystem(self):
        with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
            os.posix_fallocate(file.fileno(), 0, 16 * MIB)
            told = self.told(file.name)
            if told["filesystem"] == "tmpfs":
                self.skipTest("/var/tmp is a tmpfs")
            self.assertEqual(told["backing"], "file")
            self.assertIn("in any order", told["survives"]["host_crash"])
            self.assertNotIn("pmem=on", " ".join(told["qemu"]))
        self.assertIn("the host's memory", self.told(self.image)["survives"]["host_crash"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:])
