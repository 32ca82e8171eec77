"""One database, one mesh, and bots that run on threads of their own: for the tests of the process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from bot.bootstrap import Voice
from bot.core.ids import MeshName, RotationId
from bot.core.mesh import MeshSnapshot, Part
from bot.core.record import Change, CheckRecord
from bot.errors import SlackError
from bot.flow.ports import Clock, MeshPorts
from bot.process import LEASE_LASTS, BotProcess, Parts
from bot.settings import Settings, load_settings
from tests.fakes.cluster import MESH, FakeCluster
from tests.unit.flow.world import WITH_GALLEY, SetClock, World

PATIENCE = 10.0
"""Seconds until something that must happen counts as not happening."""
ANOTHER = "another-host"


class LiveCluster(FakeCluster):
    """A mesh in which everything has come along whenever somebody looks."""

    def read(self, parts: frozenset[Part]) -> MeshSnapshot:
        self.converge()
        return super().read(parts)


class FakeVoice:
    """The socket and the poster; keeps what was asked of them."""

    def __init__(self, did: list[str], *, fails_with: list[SlackError] | None = None) -> None:
        self.did = did
        self.fails_with = fails_with or []
        self.trouble = ""

    def connect(self) -> None:
        self.did.append("connect")
        if self.fails_with:
            raise self.fails_with.pop(0)

    def close(self) -> None:
        self.did.append("close socket")

    def pong_age(self) -> timedelta | None:
        return timedelta(0)

    def is_ready(self) -> bool:
        return True

    def start(self) -> None:
        self.did.append("start poster")

    def stop(self) -> None:
        self.did.append("stop poster")

    def wake(self) -> None:
        """Nothing to tell anybody."""


class House:
    """One database and everything that a bot of it needs."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.clock = SetClock()
        self.cluster = LiveCluster(self.clock, accounts=WITH_GALLEY)
        self.ticks = 0.0
        """Seconds of the monotonic clock."""
        self.did: list[str] = []
        self.slack_fails_with: list[SlackError] = []
        self.connect_fails_with: list[SlackError] = []
        self.processes: list[BotProcess] = []
        self.fences: list[Callable[[], None]] = []
        self.clocks: list[Clock] = []

    def settings(self, *, health: str = "127.0.0.1:0") -> Settings:
        file = self.place / "bot.env"
        file.write_text(
            f"""
            ROOTKEEPER_SLACK_BOT_TOKEN=xoxb-1-2-secretsecret
            ROOTKEEPER_SLACK_APP_TOKEN=xapp-1-A-secretsecret
            ROOTKEEPER_CHANNEL=C0123ABCD
            ROOTKEEPER_APPROVERS=U0BEN
            ROOTKEEPER_MESHES={MESH}=/istio-system
            ROOTKEEPER_DATABASE_URL=sqlite:///{self.place}/record.db
            ROOTKEEPER_HEALTH_ADDRESS={health}
            ROOTKEEPER_POLL_INTERVAL=0.1s
            """
        )
        return load_settings(file, for_slack=True)

    def process(
        self, *, name: str = "house/1", gone: Callable[[str], bool] = lambda _name: False
    ) -> BotProcess:
        made = BotProcess(
            self.settings(),
            Parts(
                clock=self.clock,
                monotonic=lambda: self.ticks,
                name=name,
                gone=gone,
                meshes=lambda *_, **__: self.meshes(),
                voice=self._voice,
            ),
        )
        self.processes.append(made)
        return made

    def meshes(self) -> dict[MeshName, MeshPorts]:
        return {MESH: MeshPorts(name=MESH, reader=self.cluster, writer=self.cluster)}

    def _voice(self, *_: object, fence: Callable[[], None], clock: Clock, **__: object) -> Voice:
        self.fences.append(fence)
        self.clocks.append(clock)
        if self.slack_fails_with:
            raise self.slack_fails_with.pop(0)
        voice = FakeVoice(self.did, fails_with=self.connect_fails_with)
        return Voice(edge=cast("Any", voice), poster=cast("Any", voice))

    def left_behind(self, step: str, *, check: CheckRecord | None = None) -> RotationId:
        """A rotation at that step in the record, as a killed process leaves one, and the last check."""
        world = World(self.cluster, clock=self.clock)
        rotation = replace(world.running(step), version=0)
        process = self.process()
        epoch = process.record.lease.acquire("killed", now=self.clock.now(), duration=LEASE_LASTS)
        assert epoch is not None
        process._epoch = epoch
        process.record.store.commit(Change(rotation=rotation, check=check))
        process.record.lease.release("killed", epoch=epoch)
        process._close()
        return rotation.id


class Running:
    """A process on a thread of its own, and how it ended."""

    def __init__(self, process: BotProcess) -> None:
        self.process = process
        self.ended: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.process.run()
        except BaseException as error:  # noqa: BLE001 - it is looked at by the test
            self.ended = error

    def end(self) -> BaseException | None:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        return self.ended


@contextmanager
def running(process: BotProcess) -> Iterator[Running]:
    run = Running(process)
    try:
        yield run
    finally:
        process.stop()
        run.thread.join(PATIENCE)


def until(condition: Callable[[], bool]) -> None:
    """Wait for it; fail when it does not come."""
    never = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if condition():
            return
        never.wait(0.01)
    raise AssertionError("it did not happen")


def ready(house: House) -> bool:
    return "start poster" in house.did


def invalid_token() -> SlackError:
    return SlackError("Slack did not take the bot token: invalid_auth", hint="Copy it anew.")


def slack_is_down(times: int) -> list[SlackError]:
    return [SlackError("no answer", retry_after=timedelta(milliseconds=20)) for _ in range(times)]
