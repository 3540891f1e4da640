#!/usr/bin/env python3
"""test_crashtest.py EXAMPLE SOURCE: the example finds its planted bug at the right line of its source, and
nothing in the correct twin; the token of the bug replays it."""
import os
import pathlib
import re
import subprocess
import sys

PLANTED = "VMFS_O_TRUNC"


def main():
    example, source = sys.argv[1], pathlib.Path(sys.argv[2])
    done = subprocess.run([example], capture_output=True, text=True, check=False, timeout=60)
    print(done.stdout, done.stderr, sep="")
    lines = source.read_text().split("\n")
    named = re.search(r"the power was cut in (\w+), called at (\S+):(\d+)", done.stderr)
    token = re.search(r"token=(\S+):", done.stderr)
    twin = re.search(r"^save_beside: (\d+) states, (\d+) violations", done.stdout, re.M)
    again = subprocess.run([example], capture_output=True, text=True, check=False, timeout=60,
                           env=dict(os.environ, VMFS_CRASHTEST_REPLAY=token.group(1) if token else ""))
    checks = {
        "the example ends well": done.returncode == 0,
        "the call is named": named and named.group(1) == "vmfs_file_open",
        "the file is named": named and named.group(2).endswith(source.name),
        "the line is named": named and PLANTED in lines[int(named.group(3)) - 1],
        "the twin is tried in many states": twin and int(twin.group(1)) > 100,
        "the twin is correct": twin and twin.group(2) == "0",
        "there is a token": token,
        "the token brings back that state alone":
            token and f"token={token.group(1)}:" in again.stderr
            and re.search(r"^save_in_place: \d+ states, 1 violations", again.stdout, re.M),
    }
    failed = [what for what, is_so in checks.items() if not is_so]
    print("\n".join("not so: " + what for what in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
