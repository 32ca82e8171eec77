"""A mesh, a record, two people and the flow between them; time passes when a test says so.

world = World()
rotation_id = world.proposed()            Anna asked; the plan passed its preflight
world.approved()                          and Ben approved
world.run()                               until it ends or asks; the mesh converges between two calls
world.press(Act.ROLL_BACK, by=BEN)        a button on the card
world.told()                              what the rotation's thread says, in order
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from bot.core.approval import Act, PersonFacts
from bot.core.certificates import ThrowAwayKey
from bot.core.ids import MeshName, RotationId, UserId
from bot.core.intent import Intent, Verb
from bot.core.progress import Done, Outcome, Wait
from bot.core.record import Change, Milestone, RequestFailed, Result
from bot.core.replies import Caller, EndOffered
from bot.core.rotation import Rotation, RotationState
from bot.errors import LostRace
from bot.flow.advance import Stage, advance
from bot.flow.decide import Court, Rules
from bot.flow.desk import FrontDesk
from bot.flow.look import Looks, finished_in, standing_in
from bot.flow.ports import ClusterReader, ClusterWriter, MeshPorts, Store
from bot.flow.recover import sweep
from tests.fakes.certificates import a_key
from tests.fakes.cluster import ACCOUNTS, MESH, FakeCluster
from tests.fakes.mesh import ROOT_KEY, SYSTEM
from tests.fakes.scheduler import FakeScheduler
from tests.fakes.slack import HOME, FakeDirectory, FakeReplies
from tests.fakes.store import FakeStore

NOW = datetime(2026, 11, 23, 18, 41, tzinfo=UTC)
CHANNEL = "C0MESH"
MOMENT = timedelta(seconds=1)
"""How long one call of `advance` takes here."""
ENOUGH = 400
"""More calls than any rotation needs; reaching it means that it stands still."""

WITH_GALLEY = (*ACCOUNTS, (SYSTEM, "istio-galley-service-account"))
"""Galley has a certificate of its own, too."""

Hook = Callable[[], None]


class SetClock:
    """A clock that a test moves."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def pass_by(self, length: timedelta) -> None:
        self.at += length


class CountingKeys:
    """Keys port: the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def _next(self) -> int:
        self._count += 1
        return self._count

    def rotation_id(self) -> RotationId:
        return RotationId(f"{self._next():032x}")

    def serial(self) -> int:
        return (1 << 126) + self._next()

    def throw_away_key(self) -> ThrowAwayKey:
        return a_key(7000 + self._next()).public_key()


def person(name: str, **more: bool) -> PersonFacts:
    """A member of the home workspace."""
    facts = {"deleted": False, "is_bot": False, "is_guest": False, "is_stranger": False} | more
    return PersonFacts(team=HOME, user=UserId(f"U0{name.upper()}"), name=name, **facts)


ANNA, BEN, CLEO, DORA = (person(name) for name in ("Anna", "Ben", "Cleo", "Dora"))
APPROVERS = ("U0BEN", "U0CLEO")


def caller(who: PersonFacts = ANNA, *, channel: str = CHANNEL) -> Caller:
    """Somebody at the door."""
    return Caller(team=who.team, user=who.user, name=who.name, channel=channel)


class World:
    """Everything that the flow needs, with handles to move it."""

    def __init__(self, cluster: FakeCluster | None = None, *, clock: SetClock | None = None) -> None:
        self.clock = clock or SetClock()
        self.cluster = cluster or FakeCluster(self.clock, accounts=WITH_GALLEY)
        self.keys = CountingKeys()
        self.store = FakeStore(clock=self.clock)
        self.directory = FakeDirectory(people=(ANNA, BEN, CLEO, DORA), approvers=APPROVERS)
        self.replies = FakeReplies()
        self.scheduler = FakeScheduler()
        self.looks = Looks(self.clock, standing=standing_in(self.store), finished=finished_in(self.store))
        self.bugs: list[BaseException] = []
        self.rotation_id = RotationId("")
        self.record: Store = self.store
        self.reader: ClusterReader = self.cluster
        self.writer: ClusterWriter = self.cluster
        self.fence: Hook = lambda: None
        self.meshes_known = True
        self.poll_interval = timedelta(seconds=5)

    # --- the parts, made anew at every call, as a process that starts does ---

    @property
    def ports(self) -> MeshPorts:
        return MeshPorts(name=MESH, reader=self.reader, writer=self.writer)

    @property
    def meshes(self) -> dict[MeshName, MeshPorts]:
        return {MESH: self.ports} if self.meshes_known else {}

    @property
    def stage(self) -> Stage:
        return Stage(
            store=self.record,
            meshes=self.meshes,
            clock=self.clock,
            keys=self.keys,
            poll_interval=self.poll_interval,
            webhook_patience=timedelta(minutes=5),
            fence=self.fence,
        )

    @property
    def court(self) -> Court:
        return Court(
            store=self.record,
            directory=self.directory,
            clock=self.clock,
            keys=self.keys,
            rules=Rules(
                decision_channel=CHANNEL,
                home_team=HOME,
                approval_lifetime=timedelta(hours=1),
                start_within=timedelta(minutes=5),
                root_lifetime=timedelta(days=3650),
            ),
        )

    @property
    def desk(self) -> FrontDesk:
        return FrontDesk(
            court=self.court,
            meshes=self.meshes,
            looks=self.looks,
            replies=self.replies,
            scheduler=self.scheduler,
            report_bug=self._bug,
        )

    def _bug(self, bug: BaseException) -> str:
        self.bugs.append(bug)
        return "ref-1"

    # --- what people do ---

    def type(self, verb: Verb, *, by: PersonFacts = ANNA, mesh: MeshName = MESH, **more: object) -> None:
        intent = Intent(verb=verb, mesh=mesh, reason="root ends soon", **more)  # type: ignore[arg-type]
        self.desk.command(caller(by), intent)

    def press(self, act: Act, *, by: PersonFacts = BEN, note: str = "") -> None:
        self.desk.decide(caller(by), act, self.rotation_id, note=note)

    def considered(self, *, by: PersonFacts = BEN) -> EndOffered | None:
        """Press `End here…`: what the dialog shows, or None when it says no."""
        self.desk.consider_end(caller(by), self.rotation_id)
        reply = self.replies.said[-1][1]
        return reply if isinstance(reply, EndOffered) else None

    def confirmed(self, offer: EndOffered, *, by: PersonFacts = BEN, note: str = "") -> None:
        """Send the dialog off."""
        self.desk.decide(caller(by), Act.END, self.rotation_id, note=note, shown=offer.shown)

    def end(self, *, by: PersonFacts = BEN, note: str = "") -> None:
        """Press `End here…`, read, and confirm."""
        if offer := self.considered(by=by):
            self.confirmed(offer, by=by, note=note)

    def proposed(self, *, by: PersonFacts = ANNA) -> RotationId:
        self.type(Verb.TRANSITION, by=by)
        (active,) = self.store.active_rotations()
        self.rotation_id = active.id
        return active.id

    def approved(self) -> RotationId:
        self.proposed()
        self.press(Act.APPROVE)
        assert self.state is RotationState.APPROVED, self.said
        return self.rotation_id

    def running(self, step: str, *, each: Hook | None = None) -> Rotation:
        """Approved and run until that step is about to be worked on."""
        self.approved()
        self.run(until=step, each=each)
        return self.rotation

    # --- what the bot does ---

    def advance(self) -> Outcome:
        return advance(self.stage, self.rotation_id)

    def run(self, *, until: str = "", each: Hook | None = None) -> int:
        """Call `advance` as the scheduler would, until it is done or that step is entered; how often."""
        for count in range(ENOUGH):
            current = self.rotation.current
            if until and current and current[0].id == until and current[1].entered_at:
                return count
            match self.advance():
                case Done():
                    return count
                case Wait(after=after):
                    self.clock.pass_by(after + MOMENT)
            (each or self.cluster.converge)()
        raise AssertionError(f"it stands still: {self.rotation.state}, {self.rotation.current}")

    def sweep(self) -> list[RotationId]:
        self.scheduler.asked.clear()
        sweep(self.record, self.clock, self.scheduler)
        return list(self.scheduler.asked)

    # --- what came of it ---

    @property
    def rotation(self) -> Rotation:
        return self.store.rotation(self.rotation_id)

    @property
    def state(self) -> RotationState:
        return self.rotation.state

    @property
    def said(self) -> list[str]:
        """What was replied, newest last."""
        return [getattr(reply, "sentence", type(reply).__name__) for _, reply in self.replies.said]

    @property
    def failures(self) -> list[RequestFailed]:
        return [m.content for m in self.store.messages if isinstance(m.content, RequestFailed)]

    @property
    def spoken(self) -> list[Milestone | Result]:
        """The thread of every rotation."""
        return [m.content for m in self.store.messages if isinstance(m.content, Milestone | Result)]

    def told(self) -> list[str]:
        """The thread in short: events, steps by their number."""
        return [
            f"{one.event} {one.step_number}" if isinstance(one, Milestone) and one.step_number else one.event
            for one in self.spoken
        ]

    @property
    def live_root(self) -> bytes:
        assert self.cluster.secret is not None
        return self.cluster.secret.data[ROOT_KEY]


@contextmanager
def unchanged(world: World) -> Iterator[None]:
    """Nothing is written to the cluster meanwhile."""
    assert world.cluster.secret is not None
    before = (dict(world.cluster.secret.data), world.cluster.secret.version, list(world.cluster.effects))
    yield
    assert world.cluster.secret is not None
    after = (dict(world.cluster.secret.data), world.cluster.secret.version, list(world.cluster.effects))
    assert after == before


class Overtaken:
    """A store in which somebody else is faster, as often as a test says."""

    def __init__(self, store: FakeStore, *, by: Callable[[], None], times: int = 1) -> None:
        self._store = store
        self._by = by
        self._times = times

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def commit(self, change: Change) -> Rotation | None:
        if change.rotation is not None and self._times:
            self._times -= 1
            self._by()
            raise LostRace("the record moved on")
        return self._store.commit(change)
