"""Start processes that cannot outlive the tests, and wait for things with a deadline.

The only place in the test bed that forks, ends a process, or sleeps.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

POLL_SECONDS = 0.1
STOP_SECONDS = 10.0  # after SIGTERM; then SIGKILL
TAIL_LINES = 25

# Becomes the command after asking the kernel to be killed with its parent. An exec wrapper and not a
# preexec_fn, because running Python between fork and exec in a process with threads can deadlock.
# argv: the parent's pid, then the command.
_DIE_WITH_PARENT = """
import ctypes, os, sys
PR_SET_PDEATHSIG, SIGKILL = 1, 9
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent ended before its child began")
os.execvp(sys.argv[2], sys.argv[2:])
"""

# The kernel sends that signal when the *thread* that forked ends, so one thread that lives as long as the
# interpreter forks for all.
_FORKING_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="testbed-fork")


class StartError(Exception):
    """A part of the test bed did not come up; the message has the end of its log."""


class Process:
    """One running command, its output in a file."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    def alive(self) -> bool:
        return self._popen.poll() is None

    def exit_code(self) -> int | None:
        return self._popen.poll()

    def stop(self) -> None:
        """End it: politely, then not. Safe to call twice."""
        if self._popen.poll() is not None:
            return
        self._popen.terminate()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once. Safe to call twice."""
        self._popen.kill()
        self._popen.wait()

    def tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def resident_mebibytes(self) -> float:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 1024
        return 0.0


def start(
    name: str, command: Sequence[str | Path], *, logs: Path, environment: Mapping[str, str] | None = None
) -> Process:
    """Start a command, output to its log, in a session of its own: a Ctrl-C is for us, not for it."""
    log = logs / f"{name}.log"
    wrapper = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid())]

    def fork() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [*wrapper, *(str(part) for part in command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    return Process(name, _FORKING_THREAD.submit(fork).result(), log)


def wait_until(
    what: str, question: Callable[[], bool], *, seconds: float, of: Process | None = None
) -> float:
    """Ask until the answer is yes and give the seconds it took; StartError past the deadline.

    An OSError from the question means "not yet". With `of`, the process's end is an error at once and the
    end of its log is told.
    """
    started = time.monotonic()
    last: OSError | None = None
    while True:
        try:
            if question():
                return time.monotonic() - started
        except OSError as error:
            last = error
        if of is not None and not of.alive():
            raise StartError(f"{of.name} ended with {of.exit_code()} before {what}:\n{of.tail()}")
        if time.monotonic() - started > seconds:
            detail = f" (last: {last!r})" if last else ""
            end_of_log = f"\n{of.name} says:\n{of.tail()}" if of else ""
            raise StartError(f"{what}: not within {seconds:.0f} s{detail}{end_of_log}")
        time.sleep(POLL_SECONDS)


def free_ports(count: int) -> tuple[int, ...]:
    """Ports on 127.0.0.1 that nobody listens on now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return tuple(int(each.getsockname()[1]) for each in sockets)


def answers(port: int) -> bool:
    """Whether something accepts connections on that port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
