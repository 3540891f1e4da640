#!/usr/bin/env python3
"""test_migrate.py TOOL -- what vmfs-migrate makes of two QEMUs: of recorded answers, and of real ones without a guest."""
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1) if len(sys.argv) > 1 else "tools/vmfs_migrate.py"
spec = importlib.util.spec_from_file_location("vmfs_migrate", TOOL)
migrate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(migrate)

QEMU = "qemu-system-x86_64"
MIB = 1 << 20
CAPABILITIES = ["xbzrle", "auto-converge", "postcopy-ram", "multifd", "dirty-bitmaps", "x-ignore-shared"]


class Recorded:
    """The answers of a QEMU 7.2, with what a test changes in them. Its process is this one."""

    pid = os.getpid()

    def __init__(self, backends, is_source, on=(), kvm=True, status=None, migration=None):
        self.backends, self.on = backends, on
        self.answers = {
            "query-kvm": {"enabled": kvm, "present": True},
            "query-status": {"status": status or ("running" if is_source else "inmigrate"), "singlestep": False,
                             "running": is_source},
            "query-migrate": {"status": migration} if migration else {},
            "query-migrate-capabilities": [{"capability": name, "state": name in on} for name in CAPABILITIES],
        }

    def ask(self, command, **arguments):
        if command == "qom-list":
            kinds = {name: "file" if "mem-path" in values else "ram" for name, values in self.backends.items()}
            return [{"name": "type", "type": "string"}] + [
                {"name": name, "type": f"child<memory-backend-{kind}>"} for name, kind in kinds.items()]
        if command == "qom-get":
            return self.backends[arguments["path"].removeprefix("/objects/")][arguments["property"]]
        return self.answers[command]


class Judged(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.files = [open(pathlib.Path(self.folder.name) / name, "wb") for name in ("one", "two", "three")]

    def tearDown(self):
        for file in self.files:
            file.close()
        self.folder.cleanup()

    def backends(self, file, share=True, size=64 * MIB, name="nv"):
        return {"pc.ram": {"size": MIB, "share": False},
                name: {"size": size, "share": share, "mem-path": self.files[file].name}}

    def judge(self, ours, theirs, on=((), ()), source=None, destination=None):
        """The reasons that no setting mends, then those that one mends, as settings."""
        sides = [migrate.look(Recorded(backends, is_source, on=capabilities, **(changes or {})))
                 for backends, is_source, capabilities, changes in
                 ((ours, True, on[0], source), (theirs, False, on[1], destination))]
        refusals = migrate.judge(*sides)
        remaining = migrate.judge(*migrate.mended(*sides))
        self.assertEqual([refusal for refusal in refusals if refusal.mend is None], remaining)
        return [refusal.reason for refusal in remaining], [refusal.mend for refusal in refusals if refusal.mend]

    def assert_never(self, words, *arguments, **options):
        reasons, _ = self.judge(*arguments, **options)
        self.assertTrue(any(words in reason for reason in reasons), reasons)

    def test_one_file(self):
        both = (["x-ignore-shared"], ["x-ignore-shared"])
        self.assertEqual(self.judge(self.backends(0), self.backends(0), both), ([], []))
        for on in (((), ()), (both[0], ()), ((), both[1])):
            self.assertEqual(self.judge(self.backends(0), self.backends(0), on), ([], ["x-ignore-shared"]))

    def test_the_same_file_by_another_name(self):
        os.link(self.files[0].name, self.files[0].name + "-link")
        ours = self.backends(0)
        ours["nv"]["mem-path"] += "-link"
        self.assertEqual(self.judge(ours, self.backends(0)), ([], ["x-ignore-shared"]))

    def test_another_file_at_the_same_path(self):
        os.rename(self.files[1].name, self.files[0].name)
        self.files[1].close()
        self.assert_never("cannot be seen to have", self.backends(0), self.backends(0))

    def test_two_files(self):
        self.assertEqual(self.judge(self.backends(0), self.backends(1)), ([], []))
        for on in ((["x-ignore-shared"], ["x-ignore-shared"]), (["x-ignore-shared"], []), ([], ["x-ignore-shared"])):
            self.assertEqual(self.judge(self.backends(0), self.backends(1), on), ([], ["x-ignore-shared"]))

    def test_one_file_and_two(self):
        ours = {**self.backends(0), **self.backends(1, name="other")}
        theirs = {**self.backends(0), **self.backends(2, name="other")}
        self.assert_never("either x-ignore-shared", ours, theirs)
        swapped = {**self.backends(1), **self.backends(0, name="other")}
        self.assert_never("is that of 'other' in the destination", ours, swapped)

    def test_tcg(self):
        tcg = {"kvm": False}
        for file in (0, 1):
            on = (["x-ignore-shared"], ["x-ignore-shared"]) if file == 0 else ((), ())
            self.assertEqual(self.judge(self.backends(0), self.backends(file), on, source=tcg), ([], ["stop"]))
            stopped = {"kvm": False, "status": "paused"}
            self.assertEqual(self.judge(self.backends(0), self.backends(file), on, source=stopped), ([], []))

    def test_postcopy(self):
        for on in ((["postcopy-ram"], []), ([], ["postcopy-ram"])):
            self.assertEqual(self.judge(self.backends(0), self.backends(1), on), ([], ["postcopy-ram"]))

    def test_what_is_no_pair(self):
        self.assert_never("bytes in the source", self.backends(0), self.backends(1, size=32 * MIB))
        self.assert_never("share=on in the source only", self.backends(0), self.backends(0, share=False))
        self.assert_never("share=off in the source only", self.backends(0, share=False), self.backends(0))
        self.assert_never("only one side has the memory 'nv'", self.backends(0), self.backends(0, name="nvdimm"))
        for status in ("postmigrate", "inmigrate", "shutdown"):
            self.assert_never("not running or paused", self.backends(0), self.backends(1), source={"status": status})
        self.assert_never("-incoming defer", self.backends(0), self.backends(1), destination={"status": "running"})
        self.assert_never("already", self.backends(0), self.backends(1), source={"migration": "active"})

    def test_private_memory_travels(self):
        self.assertEqual(self.judge(self.backends(0, share=False), self.backends(0, share=False)), ([], []))


@unittest.skipUnless(shutil.which(QEMU), f"no {QEMU}")
class Real(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir=os.environ.get("VMFS_TEST_DIR", "/dev/shm"))
        self.qemus = []

    def tearDown(self):
        for qemu in self.qemus:
            qemu.kill()
            qemu.wait()
        self.folder.cleanup()

    def qemu(self, image, *extra):
        """A machine with nothing to boot from. Its path is relative to a folder of its own."""
        socket = f"{self.folder.name}/qmp{len(self.qemus)}"
        with open(f"{self.folder.name}/{image}", "ab") as file:
            file.truncate(32 * MIB)
        self.qemus.append(subprocess.Popen(
            [QEMU, "-accel", "tcg", "-M", "q35,nvdimm=on", "-m", "64M,slots=2,maxmem=4G", "-nodefaults", "-display", "none",
             "-object", f"memory-backend-file,id=nv,share=on,mem-path={image},size=32M", "-device", "nvdimm,memdev=nv",
             "-qmp", f"unix:{socket},server=on,wait=off", *extra], cwd=self.folder.name))
        return socket

    def tool(self, *arguments):
        done = subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def status(self, socket):
        qmp = migrate.Qmp(socket)
        status = qmp.ask("query-status")["status"]
        qmp.close()
        return status

    def go(self, image, words):
        source, destination = self.qemu("one"), self.qemu(image, "-incoming", "defer")
        status, text = self.tool(source, destination)
        self.assertEqual((status, words in text), (1, True), text)
        status, text = self.tool("--go", source, destination)
        self.assertEqual((status, "the destination is running" in text), (0, True), text)
        self.assertEqual(self.qemus[0].wait(10), 0)
        self.assertEqual(self.status(destination), "running")

    def test_one_file(self):
        self.go("one", "x-ignore-shared is off")

    def test_two_files(self):
        self.go("two", "must be stopped first")

    def test_a_destination_that_waits_elsewhere(self):
        source, memory = self.qemu("one"), f"unix:{self.folder.name}/memory"
        status, text = self.tool("--go", "--to", memory, source, self.qemu("one", "-incoming", memory))
        self.assertEqual(status, 0, text)

    def test_a_migration_that_fails_leaves_the_guest_running(self):
        source, destination = self.qemu("one"), self.qemu("two", "-incoming", "defer")
        status, text = self.tool("--go", "--to", f"unix:{self.folder.name}/nobody", source, destination)
        self.assertEqual((status, "nobody" in text or "connect" in text), (1, True), text)
        self.assertEqual(self.status(source), "running")

    def test_sockets(self):
        source = self.qemu("one")
        self.assertEqual(self.tool(source, f"{self.folder.name}/none")[0], 1)
        qmp = migrate.Qmp(source)
        status, text = self.tool(source, source)
        self.assertEqual((status, "somebody else" in text), (1, True), text)
        qmp.close()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[1:])
