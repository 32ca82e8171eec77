"""Measures what the bot promises about time, on this machine: `make figures`.

The bot is a process of its own, and so is the cluster; Slack's stand-in measures from its side of the
socket. Whatever else the machine does is measured, too, so read medians first.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.sandbox.cluster.running import running_cluster
from bot.sandbox.cluster.scene import Scene
from bot.sandbox.run import BotChild, bot_settings
from bot.sandbox.slack.running import RunningSlack, running_slack
from bot.sandbox.slack.workspace import ADA, GRACE
from tests.measuring import peak_memory

ACCOUNTS = 1000
"""Workload secrets beside the story's; a check of them computes for about a second."""
PAUSE = 0.02
"""Seconds between two commands, so that none waits for the one before."""
BETWEEN_CHECKS = 0.2
STARTS = 6
COMMANDS = 300
LONGEST_START = 30.0
LIBRARIES = "import slack_bolt, sqlalchemy, kubernetes.config, pydantic_settings, structlog, typer"
"""What any program on these libraries loads before it does anything: the reference of a start."""


def main() -> None:
    """Print every figure, or be the cluster of it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--cluster", type=Path, help="be the cluster, with this kubeconfig, until stdin ends"
    )
    given = arguments.parse_args()
    if given.cluster:
        _be_a_cluster(given.cluster)
    else:
        _measure()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _be_a_cluster(kubeconfig: Path) -> None:
    with running_cluster(Scene(bulk_accounts=ACCOUNTS), speed=20) as cluster:
        cluster.write_kubeconfig(kubeconfig)
        _say("ready")
        sys.stdin.read()


def _measure() -> None:
    with TemporaryDirectory() as place, running_slack() as slack, _a_cluster(Path(place)) as kubeconfig:
        for what, folders in (("an empty record", range(STARTS)), ("a record", [0] * STARTS)):
            starts = [_start(slack, kubeconfig, Path(place) / f"bot-{number}") for number in folders]
            _show_starts(f"start to ready, {what}", starts)
        _show_starts("reference: its libraries alone", [_load_libraries() for _ in range(STARTS)])
        _measure_acks(slack, kubeconfig, Path(place) / "bot-0")


@contextmanager
def _a_cluster(place: Path) -> Iterator[Path]:
    kubeconfig = place / "kubeconfig"
    command = [sys.executable, "-m", "tests.figures", "--cluster", str(kubeconfig)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cluster:
        assert cluster.stdout is not None
        assert cluster.stdin is not None
        assert cluster.stdout.readline() == "ready\n"
        yield kubeconfig
        cluster.stdin.close()


def _start(slack: RunningSlack, kubeconfig: Path, folder: Path) -> float:
    """Seconds from the start of the process to its word that it is ready."""
    folder.mkdir(exist_ok=True)
    bot = _bot(slack, kubeconfig, folder)
    begun = time.perf_counter()
    try:
        _until_ready(bot)
        return time.perf_counter() - begun
    finally:
        bot.end()
        bot.log.unlink()


def _load_libraries() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
    return time.perf_counter() - begun


def _bot(slack: RunningSlack, kubeconfig: Path, folder: Path) -> BotChild:
    settings = bot_settings(slack, kubeconfig, folder) | {"ROOTKEEPER_LOG_FORMAT": "json"}
    return BotChild(environment=settings, log=folder / "bot.log")


def _until_ready(bot: BotChild) -> None:
    bot.start()
    until = time.monotonic() + LONGEST_START
    while not any(_event(line) == "ready" for line in bot.said.splitlines()):
        assert time.monotonic() < until, bot.said
        time.sleep(0.01)


def _event(line: str) -> str:
    try:
        return str(json.loads(line).get("event"))
    except ValueError:
        return ""


def _measure_acks(slack: RunningSlack, kubeconfig: Path, folder: Path) -> None:
    bot = _bot(slack, kubeconfig, folder)
    try:
        _until_ready(bot)
        _acks(slack, COMMANDS // 10)  # the first ones find everything cold
        _show_acks("ack, nothing else going on", _acks(slack, COMMANDS))
        with _checks(slack):
            _show_acks("ack, a check under way all the time", _acks(slack, COMMANDS))
        assert bot.process is not None
        _say(f"{'peak memory of the bot':40} {peak_memory(bot.process):6.0f} MiB")
    finally:
        bot.end()


@contextmanager
def _checks(slack: RunningSlack) -> Iterator[None]:
    over = threading.Event()

    def ask() -> None:
        while not over.wait(BETWEEN_CHECKS):
            slack.command(GRACE, "/istio-root check")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def _acks(slack: RunningSlack, count: int) -> list[float]:
    """Milliseconds, as the other end of the socket sees them."""
    taken = []
    for _ in range(count):
        outcome = slack.command(ADA, "/istio-root status")
        assert outcome.ok
        assert outcome.ack_ms is not None
        taken.append(outcome.ack_ms)
        time.sleep(PAUSE)
    return taken


def _show_starts(what: str, seconds: list[float]) -> None:
    spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
    _say(f"{what:40} median {statistics.median(seconds):.2f} s ({spread}, n={len(seconds)})")


def _show_acks(what: str, milliseconds: list[float]) -> None:
    cuts = statistics.quantiles(milliseconds, n=100)
    _say(
        f"{what:40} p50 {cuts[49]:5.1f} ms, p90 {cuts[89]:5.1f} ms, p99 {cuts[98]:5.1f} ms "
        f"(n={len(milliseconds)})"
    )


if __name__ == "__main__":
    main()
