"""Whatever ends `rootkeeper sandbox`, and whenever: no process and no folder stays behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PATIENCE = 90.0
"""Seconds; the bot alone may take 25 of them to end."""
BEGINS = "bot "
WATCHED = """
import signal, sys
from bot.sandbox.run import BotChild

start = BotChild.start

def watched(self):
    start(self)
    print("bot", self.process.pid, flush=True)

BotChild.start = watched
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
sys.argv = ["rootkeeper", "sandbox", *sys.argv[1:]]
from bot.cli import main
main()
"""
"""`rootkeeper sandbox`, which also says who its bot is as soon as there is one."""


def begun(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WATCHED, *arguments],
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "300", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(process: "subprocess.Popen[str]", fits: Callable[[str], bool]) -> str:
    assert process.stdout is not None
    return next(line for line in process.stdout if fits(line))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


STORY = "{} ended the sandbox before the story was over"
PAGE = "{} ended the sandbox before the page was there"


@pytest.mark.parametrize(
    ("asked", "arguments", "moment", "code", "complaint"),
    [
        (signal.SIGTERM, ["--drive"], BEGINS, 2, STORY),
        (signal.SIGINT, ["--drive"], "transition: ", 2, STORY),
        (signal.SIGTERM, ["--port", "0"], BEGINS, 2, PAGE),
        (signal.SIGINT, ["--port", "0"], BEGINS, 2, PAGE),
        (signal.SIGTERM, ["--port", "0"], "The bot's log: ", 0, ""),
        (signal.SIGHUP, ["--port", "0"], "The bot's log: ", 0, ""),
    ],
    ids=[
        "TERM as the story begins",
        "INT in the story",
        "TERM before the page",
        "INT before it",
        "TERM after it",
        "HUP after it",
    ],
)
def test_a_signal_ends_the_sandbox_and_all_of_it(
    tmp_path: Path,
    asked: signal.Signals,
    arguments: list[str],
    moment: str,
    code: int,
    complaint: str,
) -> None:
    with begun(tmp_path, *arguments) as process:
        first = until(process, lambda line: line.startswith(BEGINS))
        if moment != BEGINS:
            until(process, lambda line: moment in line)

        process.send_signal(asked)
        _, said = process.communicate(timeout=PATIENCE)

    assert said.strip() == complaint.format(asked.name)
    assert process.returncode == code
    assert not is_alive(int(first.split()[1]))
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_ends_the_story_and_all_of_it(tmp_path: Path) -> None:
    with begun(tmp_path, "--drive") as process:
        bot = until(process, lambda line: line.startswith(BEGINS))
        assert process.stdout is not None
        assert process.stderr is not None

        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (2, "")
    assert not is_alive(int(bot.split()[1]))
    assert list(tmp_path.iterdir()) == []
