"""What a guest boots: a kernel and an initramfs, made of Debian packages and of our own build.

Nothing is installed on this machine: packages are downloaded and unpacked into a cache folder
($VMFS_GUEST_CACHE, or ~/.cache/vmfs-guest), where a later run finds them again."""

import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path

from harness.outcome import Failure, Skip

# Only what a guest needs and the host need not have; libraries come along as ldd finds them.
PACKAGES = ["busybox-static", "ndctl", "libndctl6", "libdaxctl1", "libjson-c5", "libiniparser1", "libkeyutils1"]

# Module sets by what a guest is given; each module brings those that it names as needed.
MODULES = {
    "nvdimm": ["nfit", "nd_pmem", "dax_pmem", "device_dax"],
    "virtio-pmem": ["virtio_pci", "virtio_pmem", "nd_pmem"],
    "disk": ["virtio_pci", "virtio_blk"],
    "ext4": ["crc32c-intel", "crc32c_generic", "ext4"],
    "fuse": ["fuse"],
}

# Programs of the host that run in the guest as they are.
HOST_PROGRAMS = ["bash", "chattr", "cp", "diff", "find", "fusermount3", "getfacl", "getfattr", "git", "git-upload-pack", "lsattr",
                 "mke2fs", "setfacl", "setfattr", "sha256sum", "sleep", "sqlite3", "touch", "truncate", "xargs"]

# Programs of the build, relative to it; tests/guest/meson.build builds its own ones.
OUR_PROGRAMS = ["tools/vmfs", "fuse-frontend/vmfs-fuse"]
OUR_TESTS = ["api", "fuse", "fuse/conform", "guest"]

# What glibc loads when a thread ends, so that ldd does not name it.
THREAD_LIBRARY = Path("/lib/x86_64-linux-gnu/libgcc_s.so.1")


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def kernel_package():
    for line in run("apt-cache", "depends", "linux-image-amd64").splitlines():
        found = re.fullmatch(r"\s*Depends: (linux-image-\S+)", line)
        if found:
            return found[1]
    raise Skip("apt knows no kernel package linux-image-amd64")


def unpacked(folder, package):
    """The folder that holds the package's files."""
    target = folder / package
    if target.is_dir():
        return target
    making = folder / f"{package}.{os.getpid()}"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        run("apt-get", "download", package, cwd=making)
    except Failure as error:
        shutil.rmtree(making)
        raise Skip(f"the package {package} cannot be downloaded: {error}") from error
    for archive in making.glob("*.deb"):
        run("dpkg-deb", "-x", archive, making)
        archive.unlink()
    try:
        making.rename(target)  # another run may have been faster
    except OSError:
        shutil.rmtree(making)
    return target


def uncompressed(kernel, target):
    """The ELF inside a bzImage: QEMU enters it at once, where unpacking takes TCG three seconds."""
    if target.exists():
        return
    image = kernel.read_bytes()
    for start in (found.start() for found in re.finditer(re.escape(b"\xfd7zXZ\0"), image)):
        try:
            elf = lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(image[start:])
        except lzma.LZMAError:
            continue
        if elf.startswith(b"\x7fELF"):
            making = target.with_suffix(f".{os.getpid()}")
            making.write_bytes(elf)
            making.rename(target)
            return
    raise Failure(f"{kernel} holds no kernel compressed by xz")


class Modules:
    """The kernel's modules by name."""

    def __init__(self, folder):
        self.paths = {path.stem.replace("-", "_"): path for path in folder.rglob("*.ko")}

    def needed(self, name):
        value = re.search(rb"\0depends=([^\0]*)", b"\0" + self.paths[name].read_bytes())
        return [part.decode().replace("-", "_") for part in value[1].split(b",") if part] if value else []

    def ordered(self, names):
        """The modules and all that they need, in an order in which they can be loaded."""
        order = []

        def add(name):
            name = name.replace("-", "_")
            if name not in order and name in self.paths:
                for other in self.needed(name):
                    add(other)
                order.append(name)

        for name in names:
            add(name)
        return order


class Cache:
    def __init__(self, build):
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(os.environ.get("VMFS_GUEST_CACHE") or Path(base) / "vmfs-guest")
        self.build = build
        package = kernel_package()
        self.version = package.removeprefix("linux-image-")
        linux = unpacked(folder, package)
        self.roots = [unpacked(folder, name) for name in PACKAGES]
        self.busybox = self.find("bin/busybox")
        self.kernel = linux / "vmlinux"
        uncompressed(linux / "boot" / f"vmlinuz-{self.version}", self.kernel)
        self.modules = Modules(linux / "lib" / "modules" / self.version)

    def find(self, name):
        """A file of the downloaded packages."""
        for root in self.roots:
            for path in (root / name, root / "usr" / name):
                if path.exists():
                    return path
        raise Failure(f"no package has {name}")

    def libraries(self, program):
        """The shared libraries of a program, by the path at which it looks for them."""
        folders = [str(path.parent) for root in self.roots for path in root.rglob("*.so.*")]
        environment = dict(os.environ, LD_LIBRARY_PATH=":".join(dict.fromkeys(folders)))
        found = {}
        done = subprocess.run(["ldd", program], capture_output=True, text=True, env=environment)
        for line in done.stdout.splitlines():
            match = re.match(r"\s*(?:(\S+) => )?(/\S+) \(0x", line)
            if match:
                found[match[2] if match[1] is None else "/lib/" + match[1]] = Path(match[2])
        return found

    def initramfs(self, folder, inside):
        """Writes the base initramfs: busybox, modules, programs with their libraries, and our scripts."""
        root = folder / "root"
        for name in ("bin", "dev", "etc", "inside", "lib", "lib64", "mnt", "modules", "proc", "root", "sys", "tmp",
                     "vmfs/bin"):
            (root / name).mkdir(parents=True)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
        shutil.copy(self.busybox, root / "bin/busybox")
        for name in self.modules.ordered(sum(MODULES.values(), [])):
            shutil.copy(self.modules.paths[name], root / "modules" / f"{name}.ko")
        for name in HOST_PROGRAMS:
            path = shutil.which(name, path=f"{os.environ['PATH']}:/sbin:/usr/sbin")
            if path:
                self.add_program(root, Path(path), root / "bin" / name)
        self.add_program(root, self.find("bin/ndctl"), root / "bin/ndctl")
        ours = [self.build / name for name in OUR_PROGRAMS]
        for name in OUR_TESTS:
            path = self.build / "tests" / name
            ours += [file for file in path.glob("*") if file.is_file() and os.access(file, os.X_OK)]
        for path in ours:
            self.add_program(root, path, root / "vmfs/bin" / path.name)
        strip(THREAD_LIBRARY, root / "lib" / THREAD_LIBRARY.name)
        shutil.copytree(inside, root / "inside", dirs_exist_ok=True)
        (root / "bin/sh").symlink_to("bash")  # busybox's takes its own commands for those that are there
        (root / "init").symlink_to("/inside/init")
        return archive(root, folder / "base.cpio")

    def add_program(self, root, path, target):
        strip(path, target)
        for name, library in self.libraries(path).items():
            copied = root / name.lstrip("/")
            if not copied.exists():
                copied.parent.mkdir(parents=True, exist_ok=True)
                strip(library, copied)


def strip(path, target):
    """A copy without what only a debugger reads: a guest loads all of it into its memory."""
    done = subprocess.run(["strip", "--strip-debug", "-o", target, path.resolve()], capture_output=True)
    if done.returncode != 0:
        shutil.copy(path, target)


def archive(root, target):
    """The folder as a cpio archive, uncompressed: unpacking is what costs time in a guest."""
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with target.open("wb") as file:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(), stdout=file, cwd=root, check=True)
    return target
