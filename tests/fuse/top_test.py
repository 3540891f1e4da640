#!/usr/bin/env python3
"""top_test.py VMFS VMFS_FUSE -- vmfs top tells what was done on a mount, to the call

Exits with 77 where nothing can be mounted."""
import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

VMFS, VMFS_FUSE = sys.argv[1:3]
FILES, RENAMED, REMOVED, WRITES = 120, 70, 50, 30


def can_mount():
    return shutil.which("fusermount3") and os.access("/dev/fuse", os.R_OK | os.W_OK) and os.access(VMFS_FUSE, os.X_OK)


class Top(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir=os.environ.get("VMFS_TEST_DIR", "/dev/shm"))
        self.mountpoint = pathlib.Path(self.folder.name) / "mountpoint"
        self.mountpoint.mkdir()
        region = pathlib.Path(self.folder.name) / "region"
        subprocess.run([VMFS_FUSE, region, self.mountpoint, "-o", "size=64M"], check=True, timeout=60)

    def tearDown(self):
        if os.path.ismount(self.mountpoint):
            self.unmount()
        self.folder.cleanup()

    def unmount(self):
        subprocess.run(["fusermount3", "-u", str(self.mountpoint)], check=True)

    def top(self, *options, status=0):
        done = subprocess.run([VMFS, "top", *options, str(self.mountpoint)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def counts(self, interval="0"):
        return json.loads(self.top("--json", "--interval", interval).stdout)

    def work(self):
        for i in range(FILES):
            os.close(os.open(self.mountpoint / f"f{i}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        for i in range(RENAMED):
            os.rename(self.mountpoint / f"f{i}", self.mountpoint / f"g{i}")
        for i in range(REMOVED):
            os.unlink(self.mountpoint / f"g{i}")
        with open(self.mountpoint / "data", "wb", buffering=0) as file:
            for _ in range(WRITES):
                file.write(b"x" * 4096)

    def test_counts(self):
        before = self.counts()
        self.work()
        try:
            os.symlink("x", self.mountpoint / "data" / "below")
        except NotADirectoryError:
            pass
        after = self.counts()
        done = {name: after["requests"][name]["total"] - before["requests"][name]["total"]
                for name in after["requests"]}
        wanted = {"create": FILES + 1, "rename": RENAMED, "unlink": REMOVED, "write": WRITES, "mkdir": 0,
                  "ioctl": 1, "symlink": 0}
        self.assertEqual({name: done[name] for name in wanted}, wanted)
        self.assertGreaterEqual(done["lookup"], FILES + RENAMED)
        self.assertEqual(after["inodes_used"] - before["inodes_used"], FILES + 1 - REMOVED)
        self.assertGreaterEqual(after["holds"], FILES + 1 - REMOVED)
        self.assertLessEqual(after["holds"], FILES + 3)
        changes = FILES + 1 + RENAMED + REMOVED + WRITES
        self.assertGreaterEqual(after["fences"] - before["fences"], changes)
        self.assertGreaterEqual(after["bytes"] - before["bytes"], WRITES * 4096)
        self.assertGreaterEqual(before["blocks_free"] - after["blocks_free"], WRITES)
        self.assertGreater(after["journal_bytes"], after["journal_bytes_used"])
        self.assertGreater(after["uptime_ns"], before["uptime_ns"])

    def test_failures_are_counted(self):
        before = self.counts()["requests"]
        self.work()
        for _ in range(7):
            with self.assertRaises(OSError):
                os.setxattr(self.mountpoint / "data", "user.x", b"", os.XATTR_REPLACE)
        for i in range(9):
            self.assertFalse((self.mountpoint / f"missing{i}").exists())
        after = self.counts()["requests"]
        self.assertEqual(after["setxattr"]["failed"] - before["setxattr"]["failed"], 7)
        self.assertEqual(after["lookup"]["failed"] - before["lookup"]["failed"], 0)

    def test_times(self):
        self.work()
        for name, one in self.counts()["requests"].items():
            self.assertLessEqual(one["p50_ns"], one["p99_ns"], name)
            self.assertLessEqual(one["p99_ns"], one["max_ns"], name)
            self.assertEqual(one["count"] > 0, one["max_ns"] > 0, name)
            self.assertEqual(one["count"], one["total"], name)

    def test_interval(self):
        """What happened before the first sample counts in the total alone."""
        self.work()
        process = subprocess.Popen([VMFS, "top", "--json", "--interval", "1.5", str(self.mountpoint)],
                                   stdout=subprocess.PIPE, text=True)
        # An ioctl that is none of ours is its first sample.
        asked = 0
        while self.counts()["requests"]["ioctl"]["total"] == asked:
            asked += 1
            time.sleep(0.01)
        os.mkdir(self.mountpoint / "meanwhile")
        sample = json.loads(process.communicate(timeout=60)[0])
        self.assertGreaterEqual(sample["interval_s"], 1.5)
        self.assertEqual(sample["requests"]["mkdir"]["count"], 1)
        self.assertAlmostEqual(sample["requests"]["mkdir"]["per_s"] * sample["interval_s"], 1, places=2)
        self.assertEqual(sample["requests"]["create"]["count"], 0)
        self.assertEqual(sample["requests"]["create"]["total"], FILES + 1)

    def test_table(self):
        self.work()
        text = self.top("--interval", "0").stdout
        self.assertRegex(text, r"(?m)^create +\d+ +[\d.]+ us +[\d.]+ [um]s +[\d.]+ [um]s +0$")
        self.assertRegex(text, r"journal [\d.]+% of [\d.]+[KM]; free [\d.]+M of 64.0M")
        self.assertNotIn("\033", text)

    def read_until(self, fd, text, seconds):
        seen = ""
        end = time.monotonic() + seconds
        while text not in seen and time.monotonic() < end:
            if select.select([fd], [], [], 0.1)[0]:
                seen += os.read(fd, 65536).decode()
        self.assertIn(text, seen)

    def test_terminal(self):
        """It is shown anew, and does not hold the mount."""
        leader, follower = pty.openpty()
        process = subprocess.Popen([VMFS, "top", "--interval", "0.2", str(self.mountpoint)], stdout=follower,
                                   stderr=subprocess.PIPE, text=True)
        os.close(follower)
        self.read_until(leader, "\033[H\033[J", 20)
        (self.mountpoint / "d").mkdir()
        self.read_until(leader, "mkdir", 20)
        self.read_until(leader, "\033[H\033[J", 20)
        self.unmount()
        self.assertEqual(process.wait(timeout=20), 1)
        self.assertIn("no mount", process.stderr.read())
        process.stderr.close()
        os.close(leader)

    def test_refusals(self):
        self.assertIn("not a number of seconds", self.top("--interval", "soon", status=2).stderr)
        self.assertIn("not a number of seconds", self.top("--interval", "-1", status=2).stderr)
        self.unmount()
        self.assertIn("no mount of this version", self.top("--json", status=1).stderr)
        self.mountpoint.rmdir()
        self.assertIn("No such file", self.top("--json", status=1).stderr)


if __name__ == "__main__":
    if not can_mount():
        print("SKIP: no /dev/fuse, fusermount3 or vmfs-fuse")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
