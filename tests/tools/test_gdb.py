#!/usr/bin/env python3
"""test_gdb.py VMFS SCRIPT -- tools/vmfs_gdb.py on a running command, if gdb is there (77: it is not)."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

vmfs, script = sys.argv[1:3]
if shutil.which("gdb") is None:
    print("SKIP: gdb is not installed")
    sys.exit(77)


def run(*arguments):
    return subprocess.run([*map(str, arguments)], capture_output=True, timeout=120, text=True)


def wants(text, pattern):
    if not re.search(pattern, text):
        print(f"not found: {pattern}\n{text}")
        sys.exit(1)


with tempfile.TemporaryDirectory(dir=os.environ.get("VMFS_TEST_DIR", "/dev/shm")) as folder:
    region = pathlib.Path(folder) / "region"
    source = pathlib.Path(folder) / "file"
    source.write_bytes(b"x" * 5000)
    source.chmod(0o640)
    run(vmfs, "format", region, "--size", "16M")
    run(vmfs, "put", region, source, "/file")
    told = run(vmfs, "dump", region, "inode", "/file").stdout
    slot, offset = re.match(r"inode \d+: slot=(\d+) generation=\d+ offset=(\d+)", told).groups()
    commands = ["set breakpoint pending on", "set confirm off", f"source {script}",
                "break vmfs_statfs", "run", f"vmfs-inode {slot}",
                f"print *(struct vm_inode_media *)(fs->map + {offset})", "print *fs",
                "vmfs-dump 0", "vmfs-dump 20480", "vmfs-dump 1UL<<40", "vmfs-dump 4096 fs",
                "break vm_tx_commit", "kill"]
    arguments = [word for command in commands for word in ("-ex", command)]
    result = run("gdb", "-batch", "-nx", *arguments, "--args", vmfs, "info", region)
    text = result.stdout + result.stderr
    if "ptrace" in text and "not permitted" in text:
        print("SKIP: gdb may not trace here")
        sys.exit(77)
    inode = r"inode kind=file form=extents mode=100640 nlink=1 .*size=5000 blocks=2 "
    wants(text, rf"slot {slot} at {offset} \(block \d+\+\d+\): {inode}")
    wants(text, rf"\$1 = {inode}")
    wants(text, r"extent file_block=0 block=\d+ blocks=2")
    wants(text, r"\$2 = vmfs map=0x[0-9a-f]+ bytes=16777216 lanes=8x32768 ")
    wants(text, r"0 \(block 0\+0\): struct vm_super_media")
    wants(text, r"region_blocks = 4096")
    wants(text, r"20480 \(block 5\+0\): struct vm_map_media")
    wants(text, r"outside the region")
    wants(text, r"struct vm_watermark_media")
    if "Python Exception" in text or "Traceback" in text:
        print(text)
        sys.exit(1)

    commands = ["set breakpoint pending on", "set confirm off", f"source {script}",
                "break vm_tx_commit", "run", "print *ctx->tx", "kill"]
    arguments = [word for command in commands for word in ("-ex", command)]
    result = run("gdb", "-batch", "-nx", *arguments, "--args", vmfs, "mkdir", region, "/made")
    text = result.stdout + result.stderr
    wants(text, r"tx lane=\d+ blocks=[+-]\d+ inodes=\+1 orphans=\+0 payload=")
    wants(text, r"line \d+ \(block \d+\+\d+\)")
print("gdb shows inodes, handles, structures and transactions")
