"""The sandbox as one thing: both stand-ins in this process, the real bot in a process of its own.

The bot is `rootkeeper run`, told by its environment alone where Slack and the cluster are.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.errors import RootkeeperError
from bot.sandbox.cluster.running import RunningCluster, running_cluster
from bot.sandbox.cluster.scene import Scene
from bot.sandbox.cluster.standin import SPEED
from bot.sandbox.drive import play
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
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="rootkeeper-sandbox-")))
        slack = stack.enter_context(_listening_slack(port))
        cluster = stack.enter_context(running_cluster(scene, speed=speed))
        kubeconfig = cluster.write_kubeconfig(folder / "kubeconfig")
        environment = bot_settings(slack, kubeconfig, folder) | (settings or {})
        bot = BotChild(environment=environment, log=folder / "bot.log")
        stack.callback(bot.end)
        bot.start()
        _wait_for_socket(slack, bot)
        yield Sandbox(slack=slack, cluster=cluster, bot=bot, folder=folder)


@contextmanager
def _listening_slack(port: int) -> Iterator[RunningSlack]:
    with ExitStack() as stack:
        try:
            slack = stack.enter_context(running_slack(port=port))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise RootkeeperError(
                f"the page cannot be shown at port {port}: {reason.lower()}",
                hint="Choose another with `rootkeeper sandbox --port`; 0 takes any free one.",
            ) from None
        yield slack


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


def _wait_for_socket(slack: RunningSlack, bot: BotChild) -> None:
    try:
        slack.wait_for_connections(1, seconds=STARTS_WITHIN)
    except TimeoutError:
        raise RuntimeError(f"the bot did not start; its log:\n{bot.said[-4000:]}") from None


def run_sandbox(say: Say, *, port: int, drive: bool, record: Path | None) -> int:
    """Be the sandbox: for people until Ctrl-C, or the story without hands; gives the exit code."""
    with running_sandbox(port=0 if drive else port) as sandbox:
        if drive:
            return play(sandbox.slack, sandbox.cluster, say=say, record=record, mesh=MESH)
        say(f"Open {sandbox.slack.url}/ and follow the hint at the top of the page. Ctrl-C ends it.")
        say(f"The bot's log: {sandbox.bot.log}")
        _until_interrupted()
        return 0


def _until_interrupted() -> None:
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: over.set())
    over.wait()
