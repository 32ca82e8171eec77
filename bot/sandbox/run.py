"""The sandbox as one thing: both stand-ins in this process, the real bot in a process of its own.

The bot is `rootkeeper run`, told by its environment alone where Slack and the cluster are.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.errors import RootkeeperError
from bot.sandbox.cluster.running import RunningCluster, running_cluster
from bot.sandbox.cluster.scene import Scene
from bot.sandbox.cluster.standin import SPEED
from bot.sandbox.drive import play
from bot.sandbox.interruption import Interrupted, Interruption
from bot.sandbox.slack.running import RunningSlack, running_slack
from bot.sandbox.slack.workspace import APPROVERS, MESH_OPS

MESH = "prod"
STARTS_WITHIN = 20.0
"""Seconds until the bot must have opened its socket."""
ENDS_WITHIN = 25.0

Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class BotChild:
    """The bot as a child process, to be started, ended and killed as often as a story needs."""

    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its log goes on where it was."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot", "run"],
                env={**_without_settings(), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def end(self, *, kill: bool = False) -> int:
        """Ask it to stop, or kill it with -9; gives its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            return self.process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(ENDS_WITHIN)

    @property
    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _without_settings() -> dict[str, str]:
    """The environment less whatever Rootkeeper settings this machine has: the sandbox touches nothing real."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROOTKEEPER_")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """Everything that is running."""

    slack: RunningSlack
    cluster: RunningCluster
    bot: BotChild
    folder: Path


@contextmanager
def running_sandbox(
    *,
    port: int = 0,
    scene: Scene | None = None,
    settings: dict[str, str] | None = None,
    speed: float = SPEED,
) -> Iterator[Sandbox]:
    """Slack, a cluster and the bot, until the block ends; `settings` add to or replace the bot's.

    Raises:
        RootkeeperError: nothing can listen at that port.
    """
    with _begun_sandbox(port=port, scene=scene, settings=settings, speed=speed) as sandbox:
        _wait_for_socket(sandbox)
        yield sandbox


@contextmanager
def _begun_sandbox(
    *,
    port: int = 0,
    scene: Scene | None = None,
    settings: dict[str, str] | None = None,
    speed: float = SPEED,
) -> Iterator[Sandbox]:
    """The same with the bot still starting, so that the wait for it may be cut short."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="rootkeeper-sandbox-")))
        slack = stack.enter_context(_listening_slack(port))
        cluster = stack.enter_context(running_cluster(scene, speed=speed))
        kubeconfig = cluster.write_kubeconfig(folder / "kubeconfig")
        environment = bot_settings(slack, kubeconfig, folder) | (settings or {})
        bot = BotChild(environment=environment, log=folder / "bot.log")
        stack.callback(bot.end)
        bot.start()
        yield Sandbox(slack=slack, cluster=cluster, bot=bot, folder=folder)


@contextmanager
def _listening_slack(port: int) -> Iterator[RunningSlack]:
    with ExitStack() as stack:
        try:
            slack = stack.enter_context(running_slack(port=port))
        except OSError as error:
            raise RootkeeperError(
                f"the page cannot be shown at port {port}: {_reason(error)}",
                hint="Choose another with `rootkeeper sandbox --port`; 0 takes any free one.",
            ) from None
        yield slack


def _reason(error: OSError) -> str:
    return (os.strerror(error.errno) if error.errno else str(error)).lower()


def bot_settings(slack: RunningSlack, kubeconfig: Path, folder: Path) -> dict[str, str]:
    """The environment that points a bot at the stand-ins, with waits fit for a story."""
    return {
        "ROOTKEEPER_SLACK_BOT_TOKEN": slack.bot_token,
        "ROOTKEEPER_SLACK_APP_TOKEN": slack.app_token,
        "ROOTKEEPER_SLACK_API_URL": slack.api_url,
        "ROOTKEEPER_CHANNEL": MESH_OPS,
        "ROOTKEEPER_APPROVERS": APPROVERS,
        "ROOTKEEPER_MESHES": f"{MESH}=sandbox/istio-system",
        "ROOTKEEPER_KUBECONFIG": str(kubeconfig),
        "ROOTKEEPER_DATABASE_URL": f"sqlite:///{folder / 'rootkeeper.db'}",
        "ROOTKEEPER_POLL_INTERVAL": "0.5s",
        "ROOTKEEPER_WEBHOOK_PATIENCE": "30s",
        "ROOTKEEPER_HEALTH_ADDRESS": "127.0.0.1:0",
    }


def _wait_for_socket(sandbox: Sandbox) -> None:
    try:
        sandbox.slack.wait_for_connections(1, seconds=STARTS_WITHIN)
    except TimeoutError:
        raise RuntimeError(f"the bot did not start; its log:\n{sandbox.bot.said[-4000:]}") from None


def run_sandbox(say: Say, *, port: int, drive: bool, record: Path | None) -> int:
    """Be the sandbox: for people until Ctrl-C, or the story without hands; gives the exit code.

    Raises:
        RootkeeperError: nothing can listen at that port, the record cannot be written, or SIGTERM or
            Ctrl-C came before the page was there or the story was over. Whatever ends it, the bot and
            the folder end with it.
    """
    if record is not None:
        with _told_of(record):
            record.open("a").close()
    interruption = Interruption()
    try:
        with (
            interruption.awaited(),
            _begun_sandbox(port=0 if drive else port) as sandbox,
            interruption.welcome(),
        ):
            _wait_for_socket(sandbox)
            return _driven(sandbox, say, record) if drive else _be_there(sandbox, say)
    except Interrupted as asked:
        what = "the story was over" if drive else "the page was there"
        raise RootkeeperError(f"{asked.name} ended the sandbox before {what}") from None


@contextmanager
def _told_of(record: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RootkeeperError(
            f"the record cannot be written to {record}: {_reason(error)}",
            hint="Name another file with `--record`.",
        ) from None


def _driven(sandbox: Sandbox, say: Say, record: Path | None) -> int:
    try:
        return play(sandbox.slack, sandbox.cluster, say=say, mesh=MESH)
    finally:
        if record is not None:
            with _told_of(record):
                record.write_text(json.dumps(sandbox.slack.record(), indent=1, ensure_ascii=False) + "\n")


def _be_there(sandbox: Sandbox, say: Say) -> int:
    with suppress(Interrupted):
        say(f"Open {sandbox.slack.url}/ and follow the hint at the top of the page. Ctrl-C ends it.")
        say(f"The bot's log: {sandbox.bot.log}")
        threading.Event().wait()
    return 0
