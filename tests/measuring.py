"""Figures that are taken on the way through the tests, and how a process is measured.

A test says a figure through the fixture `measured`; the report at the end of a run shows them all. The
figures that need a quiet machine are `tests.figures`.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Measured = Callable[[str, float, str], None]
"""What was measured, how much, and the unit."""

FIGURE = "figure"
"""The name under which pytest carries a figure from its test to the report."""


def peak_memory(process: subprocess.Popen[bytes]) -> float:
    """The most that this running process ever had in memory, in MiB, as Linux counts it (VmHWM)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that has ended."""

    code: int
    lines: list[str]
    """What it said, errors among it."""
    seconds: float
    peak: float
    """MiB: the most that it, or one of the processes it waited for, ever had in memory."""


_BETWEEN = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)  # KiB on Linux
sys.exit(code)
"""
"""Linux counts the memory of who starts a process as that process's own, so that must not be the large test run."""


def run_measured(command: Sequence[str]) -> Ran:
    """Run a command to its end; the test's own time limit is the only one."""
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", _BETWEEN, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    *lines, peak = ran.stdout.splitlines()
    return Ran(code=ran.returncode, lines=lines, seconds=time.monotonic() - began, peak=int(peak) / 1024)
