"""QEMU's machine protocol: the client of the tool that migrates, with this harness's way to fail."""

import sys
from pathlib import Path

from harness.outcome import Failure

sys.path.append(str(Path(__file__).resolve().parents[3] / "tools"))

import vmfs_migrate  # noqa: E402


class Qmp(vmfs_migrate.Qmp):
    Error = Failure
