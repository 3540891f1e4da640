"""A guest under QEMU: what it is given, how it is started, what it says."""

import json
import os
import random
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

from harness.cache import MODULES, Cache, archive
from harness.outcome import Failure, Skip
from harness.qmp import Qmp

QEMU = "qemu-system-x86_64"
HERE = Path(__file__).resolve().parent.parent
__all__ = ["Cell", "Disk", "Failure", "Guest", "Nvdimm", "Printed", "Skip", "VirtioPmem"]


def quoted(path):
    """A path as a value among QEMU's options, where a comma would end it."""
    return str(path).replace(",", ",,")


class Device:
    """Something with a host file behind it."""

    modules = []

    def __init__(self, path, size_mib=None, readonly=False, share=True):
        self.path = Path(path)
        self.readonly = readonly
        self.share = share
        if size_mib and not self.path.exists():
            with self.path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size_mib << 20)

    def backend(self, name):
        size = self.path.stat().st_size
        text = f"memory-backend-file,id={name},share={'on' if self.share else 'off'},mem-path={quoted(self.path)},size={size}"
        return text + (",readonly=on" if self.readonly else "")


class Nvdimm(Device):
    modules = MODULES["nvdimm"]

    def __init__(self, path, size_mib=None, mode="devdax", readonly=False, share=True):
        super().__init__(path, size_mib, readonly, share)
        self.mode = mode

    def options(self, number):
        unarmed = ",unarmed=on" if self.readonly else ""
        return ["-object", self.backend(f"nv{number}"), "-device", f"nvdimm,id=nvdimm{number},memdev=nv{number}{unarmed}"]


class Printed(Nvdimm):
    """An NVDIMM by the command line that `vmfs guest` prints for the image."""

    def __init__(self, cell, path):
        super().__init__(path)
        self.tool = cell.tool

    def options(self, number):
        words = json.loads(self.tool("guest", "--json", self.path))["qemu"]
        return words[words.index("-M"):]


class VirtioPmem(Device):
    modules = MODULES["virtio-pmem"]

    def options(self, number):
        return ["-object", self.backend(f"vp{number}"), "-device", f"virtio-pmem-pci,id=vpmem{number},memdev=vp{number}"]


class Disk:
    modules = MODULES["disk"]

    def __init__(self, path, format="raw", cache="unsafe"):
        self.path, self.format, self.cache = Path(path), format, cache

    def options(self, number):
        drive = f"file={quoted(self.path)},format={self.format},cache={self.cache},if=none,id=disk{number}"
        return ["-drive", drive, "-device", f"virtio-blk-pci,drive=disk{number}"]


class Cell:
    """What a case works with: its folder, the build, and the initramfs."""

    def __init__(self, build, scratch, is_long, seed):
        self.build, self.scratch, self.is_long, self.seed = Path(build).resolve(), Path(scratch), is_long, seed
        self.cache = Cache(self.build)
        self.base = self.cache.initramfs(self.scratch / "initramfs", HERE / "inside")
        self.folder = self.random = None

    def begin(self, name):
        """A folder for the case, and random numbers that follow from the seed whatever runs beside it."""
        self.random = random.Random(f"{self.seed} {name}")
        self.folder = self.scratch / name
        self.folder.mkdir()

    def end(self):
        shutil.rmtree(self.folder)

    def tool(self, *arguments):
        """What the host's vmfs says."""
        done = subprocess.run([self.build / "tools/vmfs", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"vmfs {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout


class Guest:
    """One boot. `name` is the script in inside/ that it runs. Where other programs run beside QEMU, the kernel may
    take the measure of the processor's clock wrongly, even tenfold, and all waits inside end too early: that clock
    is for who measures with it and looks after. Of security modules there are the capabilities alone: with bpf's a
    kernel of 6.1 lets anybody set security.* attributes."""

    def __init__(self, cell, name, args=(), devices=(), smp=1, memory_mib=768, icount=False, files=None, qmp=False,
                 extra=(), clock="acpi_pm"):
        self.cell, self.name, self.args, self.devices = cell, name, [str(arg) for arg in args], list(devices)
        self.smp, self.memory_mib, self.icount, self.extra = smp, memory_mib, icount, [str(part) for part in extra]
        self.clock = clock
        self.lines, self.changed, self.is_over = [], threading.Condition(), False
        self.folder = Path(cell.folder) / f"guest-{time.monotonic_ns()}"
        self.folder.mkdir(parents=True)
        self.qmp_path = self.folder / "qmp" if qmp else None
        self.initrd = self.with_files(files or {})
        self.process = self.qmp = None

    def with_files(self, files):
        """The kernel unpacks archives that follow each other into one tree."""
        if not files:
            return self.cell.base
        root = self.folder / "files"
        for name, path in files.items():
            target = root / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        joined = self.folder / "initrd.cpio"
        with joined.open("wb") as out:
            for part in (self.cell.base, archive(root, self.folder / "files.cpio")):
                out.write(part.read_bytes())
        return joined

    def modules(self):
        wanted = sum((device.modules for device in self.devices), [])
        return self.cell.cache.modules.ordered(wanted + MODULES["ext4"] + MODULES["fuse"])

    def command_line(self):
        modes = ",".join(device.mode for device in self.devices if isinstance(device, Nvdimm))
        words = ["console=ttyS0", "quiet", "panic=-1", "random.trust_cpu=on", f"clocksource={self.clock}", "tsc=reliable",
                 "nosoftlockup", "lsm=capability", "vmfs.modules=" + ",".join(self.modules()), *([f"vmfs.nvdimm={modes}"] if modes else [])]
        return " ".join([*words, "--", self.name, *self.args])

    def command(self):
        has_nvdimm = any(isinstance(device, Nvdimm) for device in self.devices)
        command = [QEMU, "-accel", "tcg", "-cpu", "max", "-M", "q35,nvdimm=on" if has_nvdimm else "q35",
                   "-m", f"{self.memory_mib}M,slots=8,maxmem=64G", "-smp", str(self.smp), "-nodefaults",
                   "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", str(self.cell.cache.kernel),
                   "-initrd", str(self.initrd), "-append", self.command_line()]
        if self.icount:
            command += ["-icount", "shift=0,sleep=on"]
        if self.qmp_path:
            command += ["-qmp", f"unix:{quoted(self.qmp_path)},server=on,wait=off"]
        for number, device in enumerate(self.devices):
            command += device.options(number)
        return command + self.extra

    def __enter__(self):
        if not shutil.which(QEMU):
            raise Skip(f"no {QEMU}")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        if self.qmp_path:
            self.qmp = Qmp(self.qmp_path)
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdin.close()

    def read(self):
        for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.is_over = True
            self.changed.notify_all()

    @property
    def output(self):
        """All that the script has printed."""
        with self.changed:
            return "\n".join(line for line in self.lines if not line.startswith("GUEST-"))

    def fail(self, text):
        raise Failure(f"{self.name}: {text}; the guest said last:\n" + "\n".join(self.lines[-60:]))

    def wait_line(self, text, seconds=120):
        """The first line that contains the text, once the guest has printed it."""
        end = time.monotonic() + seconds
        seen = 0
        with self.changed:
            while True:
                for line in self.lines[seen:]:
                    if text in line:
                        return line
                    if "Kernel panic" in line or line.startswith("GUEST-EXIT"):
                        self.fail(f"ended before '{text}'")
                seen = len(self.lines)
                left = end - time.monotonic()
                if self.is_over or left <= 0:
                    self.fail(f"{'ended' if self.is_over else f'{seconds} s went by'} before '{text}'")
                self.changed.wait(left)

    def wait(self, seconds=300):
        """The exit status of the guest's script, once the guest is off."""
        line = self.wait_line("GUEST-EXIT", seconds)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.fail("does not power off")
        return int(re.search(r"GUEST-EXIT (\d+)", line)[1])

    def succeed(self, seconds=300):
        """Waits, and fails unless the script has ended well."""
        status = self.wait(seconds)
        if status != 0:
            self.fail(f"exit {status}")
        return self.output

    def send(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def kill(self):
        """As the host's kernel kills it: nothing is said, nothing is flushed."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
