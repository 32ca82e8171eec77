"""A sandbox with the real bot in it, and the words in which stories are told: ask, press, wait, look.

Nothing here sleeps: whatever is waited for is waited for in the stand-ins, which know when they change.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import func, select

from bot.core.ids import MeshName
from bot.core.record import Change as RecordChange
from bot.core.record import Event
from bot.core.rotation import Rotation
from bot.edges.store import audit
from bot.edges.store.audit import AuditRow
from bot.edges.store.engine import open_database, reading
from bot.edges.store.lease import Lease
from bot.edges.store.store import SqlStore
from bot.edges.store.tables import checks, messages
from bot.edges.system import SystemClock, process_name, surely_gone
from bot.sandbox.cluster.audit import Entry
from bot.sandbox.cluster.faults import Fault
from bot.sandbox.cluster.resources import SECRETS
from bot.sandbox.cluster.running import RunningCluster
from bot.sandbox.cluster.scene import Scene
from bot.sandbox.cluster.store import Change
from bot.sandbox.run import BotChild, Sandbox, running_sandbox
from bot.sandbox.slack.faults import MethodFault
from bot.sandbox.slack.messages import Content, Ephemeral, Message
from bot.sandbox.slack.outcomes import Outcome
from bot.sandbox.slack.running import RunningSlack
from bot.sandbox.slack.workspace import ADA, GRACE, MESH_OPS
from bot.sandbox.slack.world import World

T = TypeVar("T")

MESH = "prod"
QUICK = 40.0
"""The mesh's speed in these stories: Citadel's 60 s take 1.5 s."""
ANSWER = 25.0  # seconds, on a busy machine
ROTATION = 75.0
SMALL = Scene(
    accounts=(("shop", ("frontend", "cart")), ("payments", ("ledger",)), ("platform", ("mail",))),
    contexts=1,
)
"""The story's mesh with fewer workloads."""
BOT_USER = "system:serviceaccount:rootkeeper:rootkeeper"


def shown(content: Content) -> str:
    """Everything a message shows, as one text."""
    return content.text + json.dumps(list(content.all_blocks()), ensure_ascii=False)


def buttons(message: Message) -> list[str]:
    """The action ids on a message."""
    return [
        str(element["action_id"])
        for block in message.content.all_blocks()
        for element in block.get("elements") or ()
        if "action_id" in element
    ]


@dataclass(slots=True, kw_only=True)
class Room:
    """One sandbox, as its people and its watchers see it."""

    sandbox: Sandbox
    heard: dict[str, int] = field(default_factory=dict)
    """How many of a person's ephemeral texts a story has taken note of."""

    @property
    def slack(self) -> RunningSlack:
        return self.sandbox.slack

    @property
    def cluster(self) -> RunningCluster:
        return self.sandbox.cluster

    @property
    def bot(self) -> BotChild:
        return self.sandbox.bot

    @property
    def database(self) -> Path:
        return self.sandbox.folder / "rootkeeper.db"

    # --- acting ----------------------------------------------------------------------------------

    def type(self, user: str, text: str, **options: Any) -> Outcome:
        """Type a line; what the person has heard until now does not count any more."""
        self.listen(user)
        return self.slack.command(user, text, **options)

    def press(self, user: str, action: str, ts: str, **options: Any) -> Outcome:
        """Press a button on the message `ts`."""
        self.listen(user)
        return self.slack.press(user, action, ts=ts, **options)

    def propose(self, user: str = ADA, reason: str = "the root ends in twelve days") -> str:
        """Ask for a rotation and wait for its card; gives the card's ts."""
        known = {message.ts for message in self.slack.messages()}
        outcome = self.type(user, f"/istio-root transition {MESH} lifetime=10y {reason}")
        assert outcome.ok, outcome.error
        return self.seen(lambda m: m.ts not in known and "approve" in buttons(m), "the approval card").ts

    def pending(self) -> str:
        """The card of the request that waits, of a new one if none does."""
        if self.states()[-1:] != ["proposed"]:
            return self.propose()
        return next(m.ts for m in reversed(self.cards()) if "approve" in buttons(m))

    def approve(self, ts: str, user: str = GRACE) -> None:
        """Press Approve and wait until the buttons of a proposal are gone."""
        assert self.press(user, "approve", ts).ok
        self.card(ts, lambda m: "approve" not in buttons(m), "the card without its Approve button")

    def asked(self, line: str, user: str = ADA) -> str:
        """Type a command and read the report or the refusal that it comes to in the channel."""
        known = {m.ts for m in self.slack.messages()}
        assert self.type(user, line).ok

        def answers(message: Message) -> bool:
            text = message.content.text
            report = text.startswith(("✅", "❌", "❓", "⏭️")) and f"of {MESH}:" in text
            return message.ts not in known and (report or "could not be done" in text)

        return shown(self.seen(answers, f"an answer to {line}").content)

    # --- waiting ---------------------------------------------------------------------------------

    def seen(self, fits: Callable[[Message], bool], what: str, *, seconds: float = ANSWER) -> Message:
        """Wait for a message in the channel or a thread; the newest that fits."""

        def look(world: World) -> Message | None:
            said = [m for m in world.conversations.in_channel(MESH_OPS) if not m.deleted]
            return next((m for m in reversed(said) if fits(m)), None)

        return self._wait(look, what, seconds)

    def _wait(self, look: Callable[[World], T | None], what: str, seconds: float) -> T:
        try:
            found = self.slack.wait_for(look, seconds=seconds)
        except TimeoutError:
            said = "\n".join(m.content.text for m in self.slack.messages()[-12:])
            log = self.bot.said[-3000:]
            raise AssertionError(f"not seen in {seconds:.0f} s: {what}\n{said}\n--- log\n{log}") from None
        assert found is not None
        return found

    def card(
        self, ts: str, fits: Callable[[Message], bool], what: str, *, seconds: float = ANSWER
    ) -> Message:
        """Wait until the card looks like this."""
        return self.seen(lambda m: m.ts == ts and fits(m), what, seconds=seconds)

    def titled(self, ts: str, words: str, *, seconds: float = ROTATION) -> Message:
        """Wait until the card's text says so: `root rotation done`, `paused`, `expired`."""
        return self.card(
            ts, lambda m: words in m.content.text, f"a card that says {words!r}", seconds=seconds
        )

    def listen(self, user: str) -> None:
        """Take note of what a person was shown until now."""
        self.heard[user] = len(self.slack.ephemerals(user))

    def whispered(self, user: str, *words: str, seconds: float = ANSWER) -> str:
        """Wait until a person is shown one of these for their eyes only, since they last acted."""

        def look(world: World) -> str | None:
            mine = [e for e in world.conversations.ephemerals.values() if e.user == user]
            texts = [shown(e.content) for e in mine[self.heard.get(user, 0) :]]
            return next((text for text in texts for one in words if one.lower() in text.lower()), None)

        return self._wait(look, f"{' or '.join(words)!r} for {user}'s eyes", seconds)

    def result(self, ts: str, *, seconds: float = ROTATION) -> Message:
        """Wait for the result: a reply that the whole channel hears."""
        return self.seen(
            lambda m: m.thread_ts == ts and m.broadcast and "a decision is needed" not in m.content.text,
            "the result",
            seconds=seconds,
        )

    # --- looking ---------------------------------------------------------------------------------

    def thread(self, ts: str) -> list[str]:
        """The replies under a card, in order."""
        return [m.content.text for m in self.slack.messages() if m.thread_ts == ts]

    def cards(self) -> list[Message]:
        """Every card of a rotation."""
        return [m for m in self.slack.messages() if not m.is_reply and "root rotation" in m.content.text]

    def message(self, ts: str) -> Message:
        """One message as it is now."""
        return next(m for m in self.slack.messages() if m.ts == ts)

    def whispers(self, user: str) -> list[Ephemeral]:
        """What a person was shown since they last acted."""
        return self.slack.ephemerals(user)[self.heard.get(user, 0) :]

    def audited(self, *events: Event) -> list[AuditRow]:
        """The audit rows of these events (all, if none is named), oldest first."""
        with self._engine() as engine:
            rows = audit.read(engine, limit=5000)
        return [row for row in reversed(rows) if not events or row.event.event in events]

    def refusals(self) -> list[dict[str, str]]:
        """The details of every refusal in the audit record, with who it was."""
        return [
            dict(row.event.detail) | {"user": row.event.person.user if row.event.person else ""}
            for row in self.audited(Event.REFUSED)
        ]

    def rotations(self) -> list[Rotation]:
        """Every rotation on record, oldest first."""
        with self._engine() as engine:
            store = SqlStore(engine, epoch=lambda: 0, clock=SystemClock())
            return list(reversed(store.past_rotations(MeshName(MESH), limit=100)))

    def settled(self, *, seconds: float = ANSWER) -> None:
        """Wait until everything is told and known to be told, the check at the start included.

        The record has no bell, so it is asked.
        """

        def nothing_waits() -> bool:
            with self._engine() as engine, reading(engine) as connection:
                checked = connection.execute(select(func.count()).select_from(checks)).scalar_one()
                waiting = select(func.count()).where(messages.c.status == "waiting")
                return checked > 0 and connection.execute(waiting).scalar_one() == 0

        self.until(nothing_waits, "an outbox without waiting messages", seconds=seconds)

    def until(self, so: Callable[[], bool], what: str, *, seconds: float = ANSWER) -> None:
        """Ask again and again; only for what nobody tells of when it changes."""
        pause, end = threading.Event(), time.monotonic() + seconds
        while not so():
            if time.monotonic() > end:
                raise AssertionError(f"not so in {seconds:.0f} s: {what}\n--- log\n{self.bot.said[-3000:]}")
            pause.wait(0.03)

    def audit_is_intact(self) -> bool:
        """Whether the chain of audit rows holds."""
        with self._engine() as engine:
            return audit.verify_chain(engine).intact

    @contextmanager
    def _engine(self) -> Iterator[Any]:
        engine = open_database(f"sqlite:///{self.database}")
        try:
            yield engine
        finally:
            engine.dispose()

    def writes(self, name: str = "istio-ca-secret", *, rehearsals: bool = False) -> list[Entry]:
        """The bot's writes to a secret that the cluster's audit log shows as done or cut off."""
        return [
            e
            for e in self.cluster.audit()
            if e.user == BOT_USER
            and e.resource == "secrets"
            and e.name == name
            and e.verb not in ("get", "list", "watch")
            and e.code in (0, 200, 201)
            and e.dry_run is rehearsals
        ]

    def forbidden_acts(self) -> list[Entry]:
        """Every creation or deletion of a secret that the bot tried."""
        acts = ("create", "delete", "deletecollection")
        return [
            e
            for e in self.cluster.audit()
            if e.user == BOT_USER and e.resource == "secrets" and e.verb in acts
        ]

    def held_serials(self) -> set[str]:
        """The roots that the mesh's processes hold in truth."""
        return {truth.serial for truth in self.cluster.truths()}

    def ca_secret(self) -> dict[str, Any]:
        """The CA secret as it lies in the cluster."""
        return self.secret("istio-ca-secret")

    def secret(self, name: str, namespace: str = "istio-system") -> dict[str, Any]:
        """Any secret as it lies in the cluster."""
        stored = self.cluster.do(lambda c: c.store.get(SECRETS, f"{namespace}/{name}"))
        assert stored is not None
        value: dict[str, Any] = json.loads(json.dumps(stored.value))
        return value

    def states(self) -> list[str]:
        """The states of every rotation on record, oldest first."""
        return [rotation.state.value for rotation in self.rotations()]

    # --- meddling --------------------------------------------------------------------------------

    def inject(self, **fault: Any) -> None:
        """Let the bot's next matching requests to the cluster go wrong."""
        self.cluster.inject(Fault(user="rootkeeper", **fault))

    def when(self, fits: Callable[[Change], bool], act: Callable[[], None] = lambda: None) -> threading.Event:
        """Do something in the very moment in which an object of the cluster changes; tells when it did."""
        happened = threading.Event()

        def heard(change: Change) -> None:
            if not happened.is_set() and fits(change):
                happened.set()
                act()

        self.cluster.do(lambda c: c.store.subscribe(heard))
        return happened

    def came(self, happened: threading.Event, what: str, *, seconds: float = ROTATION) -> None:
        """Wait for a moment that `when` tells of."""
        if not happened.wait(seconds):
            raise AssertionError(f"never came to this: {what}\n--- log\n{self.bot.said[-4000:]}")

    def widen_limits(self, factor: float = 20.0) -> None:
        """Slack's rate limits, so many times as wide: a test presses more in a second than people do."""
        self.slack.ask(lambda world: setattr(world.throttle, "_factor", factor))

    def hush(self) -> None:
        """Slack takes no new message until `speak`: no post is ever on its way when something strikes."""
        self.settled()
        self.slack.fail("chat.postMessage", MethodFault(answer="ratelimited"), times=100_000)

    def speak(self) -> None:
        """Slack takes everything again."""
        self.slack.ask(lambda world: world.faults.clear())

    def strike_dead(self) -> None:
        """Kill -9, at once, from any thread."""
        assert self.bot.process is not None
        self.bot.process.kill()

    def time_passes(self, change: Callable[[Rotation], Rotation]) -> None:
        """While the bot is down: the newest rotation's record is as if its moments lay further back."""
        with self._engine() as engine:
            clock, lease = SystemClock(), Lease(engine)
            lasts = timedelta(seconds=15)
            epoch = lease.acquire(process_name(), now=clock.now(), duration=lasts, gone=surely_gone)
            assert epoch is not None, "a bot that was killed is followed at once"
            store = SqlStore(engine, epoch=lambda: epoch, clock=clock)
            store.commit(RecordChange(rotation=change(store.past_rotations(MeshName(MESH), limit=1)[0])))
            lease.release(process_name(), epoch=epoch)

    def execute(self, statement: str) -> None:
        """While the bot is down: change the database from outside."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(statement)

    def restart(self, *, kill: bool = True) -> None:
        """End the bot if it runs, wait until Slack knows, and start it again."""
        self.bot.end(kill=kill)
        self.without_connection()
        self.start()

    def without_connection(self) -> None:
        """Wait until Slack has noticed that the bot is gone."""
        sockets = self.slack._stand_in.socket
        self._wait(lambda _: sockets.connections == 0 or None, "the end of the bot's socket", ANSWER)

    def start(self) -> None:
        """Start the bot and wait until it listens."""
        self.bot.start()
        self.slack.wait_for_connections(1, seconds=ANSWER)


@contextmanager
def open_room(
    scene: Scene | None = SMALL, *, speed: float = QUICK, settings: dict[str, str] | None = None
) -> Iterator[Room]:
    """A sandbox with the bot in it, until the block ends."""
    quick = {"ROOTKEEPER_POLL_INTERVAL": "0.2s", "ROOTKEEPER_WEBHOOK_PATIENCE": "5s"}
    with running_sandbox(scene=scene, speed=speed, settings=quick | (settings or {})) as sandbox:
        room = Room(sandbox=sandbox)
        room.widen_limits()
        yield room
