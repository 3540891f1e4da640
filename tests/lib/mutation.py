"""mutation.py -- programs of a build folder with one text of the library replaced

A Workshop takes what it needs from a folder that meson has set up: how each object is compiled and each
program linked. A mutant costs one compilation for each object that its file is part of, kept in a cache
under the hash of all that it is made of, and one link for each program that is asked: its objects stand
in front of the archives, so the archives' own are not taken. A program that is linked to the shared
library is run as it is, in front of it a mutated library, which is not compiled as one: that takes long."""
import dataclasses
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = TOP / "libvmfs"


class Broken(Exception):
    """The mutant cannot be built."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    id: str
    kind: str
    file: str  # below libvmfs/
    start: int  # of the text in the file
    end: int
    replacement: str
    at: int = -1  # of what it is named after, where that is not the text's start

    @property
    def path(self):
        return (LIBRARY / self.file).resolve()

    @property
    def line(self):
        return self.path.read_text().count("\n", 0, self.start if self.at < 0 else self.at) + 1

    @property
    def where(self):
        return f"libvmfs/{self.file}:{self.line}"

    def text(self):
        original = self.path.read_text()
        return original[:self.start] + self.replacement + original[self.end:]


def locate(id, kind, file, text, replacement):
    """A mutant by its text, or how often the text is there, if not once."""
    original = (LIBRARY / file).read_text()
    count = original.count(text)
    if count != 1:
        return count
    start = original.index(text)
    return Mutant(id, kind, file, start, start + len(text), replacement)


@dataclasses.dataclass
class Outcome:
    status: int  # None: it did not end
    output: str
    seconds: float


def digest(*parts):
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else str(part).encode())
        total.update(b"\0")
    return total.hexdigest()[:24]


def run(command, cwd, timeout_s=None, **environment):
    """Runs in a process group of its own, which has ended when this returns."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([str(part) for part in command], cwd=cwd, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
                                   env=dict(os.environ, **environment))
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            try:
                os.killpg(process.pid, 9)
            except ProcessLookupError:
                pass
            process.wait()
        out.seek(0)
        return Outcome(status, out.read().decode(errors="replace"), time.monotonic() - start)


def remove(folder):
    """A run that failed may leave files with flags, which cannot be removed."""
    subprocess.run(["chattr", "-R", "-f", "-i", "-a", folder], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


class Workshop:
    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        self.cache = self.build / "mutants"
        self.cache.mkdir(exist_ok=True)
        self.lock = threading.Lock()
        self.ready = {}
        self.links = {}
        self.load()

    def load(self):
        self.compiles = {}
        for entry in json.loads((self.build / "compile_commands.json").read_text()):
            source = (self.build / entry["file"]).resolve()
            self.compiles[entry["output"]] = (entry["command"], source)
        folders = [*LIBRARY.glob("*"), TOP / "include", TOP / "fuse-frontend"]
        headers = sorted(path for folder in folders for path in folder.glob("*.h"))
        self.headers = digest(*(path.read_bytes() for path in headers))

    def ninja(self, *targets):
        """Brings targets up to date; their links are looked at afterwards."""
        done = run(["nice", "ninja", "-C", self.build, *targets], self.build)
        if done.status:
            raise SystemExit(f"{' '.join(targets)} cannot be built:\n" + done.output[-3000:])

    def prepare(self, target):
        with self.lock:
            if target not in self.ready:
                self.ninja(target)
                self.ready[target] = True

    def link_of(self, target):
        """The command that links a target, and the objects and shared libraries of ours in it."""
        with self.lock:
            if target not in self.links:
                shown = run(["ninja", "-C", self.build, "-t", "commands", "-s", target], self.build).output
                command = shlex.split([line for line in shown.splitlines() if " -o " in line][-1])
                objects, shared = [], None
                for part in command:
                    if part.endswith(".a"):
                        objects += [name for name in self.compiles if name.startswith(part + ".p/")]
                    elif part.endswith(".o"):
                        objects.append(part)
                    elif "libvmfs.so" in part and not part.startswith("-"):
                        shared = part
                self.links[target] = (command, objects, shared)
            return self.links[target]

    # ---- objects ----

    def compile_command(self, name, source, target, extra=()):
        words = shlex.split(self.compiles[name][0])
        command = [words[0], *extra]
        skip = False
        for word in words[1:]:
            if skip or word in ("-MD", "-c") or word.startswith(("-W", "-O", "-flto", "-ffat-lto")):
                skip = False
            elif word in ("-MQ", "-MF", "-o"):
                skip = True
            elif (self.build / word).resolve() != self.compiles[name][1]:
                command.append(word)
        return [*command, "-O1", "-w", "-o", str(target), "-c", str(source)]

    def compile(self, name, source, text, extra=()):
        """The object `name` as it is made of another text."""
        command = self.compile_command(name, source, "OUT", extra)
        key = digest(text, self.headers, *command[:-1], name)
        target = self.cache / f"{key}.o"
        if target.exists():
            return target
        if text is not None:
            source = self.cache / f"{key}.c"
            source.write_text(f'#line 1 "{self.compiles[name][1]}"\n' + text)
        fresh = self.cache / f"{key}.{threading.get_ident()}.o"
        done = run(self.compile_command(name, source, fresh, extra), self.build)
        if done.status:
            raise Broken(next((line for line in done.output.splitlines() if "error" in line), done.output))
        fresh.rename(target)
        return target

    def objects_of(self, mutant, objects):
        """The mutated ones of a program's objects."""
        if mutant.file.endswith(".h"):
            return self.objects_of_header(mutant, objects)
        return [self.compile(name, mutant.path, mutant.text())
                for name in objects if self.compiles[name][1] == mutant.path]

    def objects_of_header(self, mutant, objects):
        """A header's mutant lies in a folder that is searched first."""
        folder = self.cache / ("include-" + digest(mutant.text(), mutant.file))
        place = folder / mutant.file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(mutant.text())
        sources = [name for name in objects if LIBRARY in self.compiles[name][1].parents]
        return [self.compile(name, self.compiles[name][1], self.compiles[name][1].read_text(),
                             (f"-I{folder}",)) for name in sources]

    # ---- programs ----

    def link(self, target, mutant, folder):
        """The program with the mutant in it, or None if none of its own objects has it."""
        command, objects, _ = self.link_of(target)
        mutated = self.objects_of(mutant, objects)
        if not mutated:
            return None
        out = command.index("-o")
        program = folder / pathlib.Path(target).name
        words = [*command[:out], "-o", str(program), *map(str, mutated), "-Wl,-z,muldefs",
                 *(word for word in command[out + 2:] if not word.startswith("-flto")), "-fno-lto"]
        done = run(words, self.build)
        if done.status:
            raise Broken("link: " + done.output.strip()[-300:])
        return program

    def prepare_program(self, target, mutant, folder):
        """(program, environment) of a target with a mutant, or of the target itself."""
        self.prepare(target)
        if mutant is None:
            return self.build / target, {}
        program = self.link(target, mutant, folder)
        if program:
            return program, {}
        shared = self.link_of(target)[2]
        if not shared:
            return None, {}
        library = folder / "libvmfs.so.0"
        if not library.exists():
            self.prepare(shared)
            linked = self.link(shared, mutant, folder)
            if linked is None:
                return None, {}
            linked.rename(library)
        return self.build / target, {"LD_PRELOAD": str(library)}

    def run_program(self, target, arguments, mutant, timeout_s):
        """Runs a target with arguments; None if the mutant is no part of it."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="work-", dir=self.cache))
        regions = tempfile.mkdtemp(prefix="vmfs-mutant-", dir=os.environ.get("VMFS_TEST_DIR", "/dev/shm"))
        os.chmod(regions, 0o755)
        try:
            program, environment = self.prepare_program(target, mutant, folder)
            if program is None:
                return None
            words = [str(program) if word == "@PROGRAM@" else word for word in arguments]
            return run(words, folder, timeout_s, PMEM_IS_PMEM_FORCE="1", VMFS_TEST_DIR=regions,
                       **environment)
        finally:
            remove(folder)
            remove(regions)

