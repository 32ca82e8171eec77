"""The reception: one look for all who ask, nothing twice, and nobody without an answer."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from types import SimpleNamespace

import pytest

from bot.core.approval import Act, PersonFacts
from bot.core.intent import Intent, Verb
from bot.core.mesh import MeshSnapshot, Part
from bot.core.record import Change, Message, ReportPosted, RequestFailed
from bot.core.replies import Begun, Caller, Noted, Refused, Reply, UnderWay
from bot.core.rotation import Rotation, RotationState
from bot.errors import ClusterUnreachable, DirectoryUnavailable, StoreError
from bot.flow.desk import Waiting
from bot.flow.look import Look
from bot.flow.ports import Errand
from bot.flow.reception import KINDS, NOT_TAKEN, Reception
from tests.fakes.cluster import MESH
from tests.unit.flow.world import ANNA, BEN, CHANNEL, CLEO, DORA, NOW, World, caller, person

LONG = 10.0


class Lobby:
    """A world with a reception before its desk; workers work when `world.scheduler.run()` is called."""

    def __init__(self) -> None:
        self.world = World()
        self.reception = Reception(
            self.world.desk,
            self.world.scheduler,
            replies=self.world.replies,
            clock=self.world.clock,
            channel=CHANNEL,
            report_bug=self.world.desk.report_bug,
        )

    def ask(self, verb: Verb = Verb.CHECK, *, by: PersonFacts = ANNA) -> Reply | None:
        return self.reception.command(caller(by), Intent(verb=verb, mesh=MESH, reason="root ends soon"))

    def press(self, act: Act, *, by: PersonFacts = BEN) -> Reply | None:
        return self.reception.decide(caller(by), act, self.world.rotation_id, note="")

    def run(self) -> None:
        self.world.scheduler.run()

    def of(self, kind: type) -> list[Message]:
        return [m for m in self.world.store.messages if isinstance(m.content, kind)]


def names(message: Message) -> list[str]:
    assert isinstance(message.content, ReportPosted | RequestFailed)
    return [one.name for one in (message.content.person, *message.content.others)]


# --- what is said at once ----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", list(Verb))
def test_a_command_is_taken_at_once_and_seen_to_later_by_its_kind_of_worker(verb: Verb) -> None:
    lobby = Lobby()

    said = lobby.ask(verb)

    begun = Begun(verb=verb, mesh=MESH, channel=CHANNEL)
    assert said == (begun if verb in (Verb.CHECK, Verb.VERIFY, Verb.TRANSITION) else None)
    assert [errand.kind for errand in lobby.world.scheduler.waiting] == [KINDS[verb]]
    assert lobby.world.replies.said == []
    assert lobby.world.cluster.reads == []


@pytest.mark.parametrize("act", list(Act))
def test_a_press_is_a_decision_and_says_nothing_before_it_is_one(act: Act) -> None:
    lobby = Lobby()

    said = lobby.press(act)

    assert said is None
    assert [errand.kind for errand in lobby.world.scheduler.waiting] == [Errand.DECISION]


def test_a_bot_that_takes_no_more_says_so_at_once_and_remembers_nothing() -> None:
    lobby = Lobby()
    lobby.world.scheduler.stop()

    assert [lobby.ask(), lobby.ask(), lobby.press(Act.APPROVE), lobby.press(Act.APPROVE)] == [NOT_TAKEN] * 4


def test_who_joins_in_the_moment_in_which_the_bot_takes_no_more_is_told_too() -> None:
    lobby, joined = Lobby(), []

    def stops(*_: object, **__: object) -> bool:
        joined.append(lobby.ask(by=BEN))
        return False

    lobby.world.scheduler.soon = stops  # type: ignore[method-assign]

    assert lobby.ask(by=ANNA) == NOT_TAKEN
    assert isinstance(joined[0], UnderWay)
    assert [(who.name, said) for who, said in lobby.world.replies.said] == [("Ben", NOT_TAKEN)]


def test_a_scheduler_with_a_bug_is_reported_and_the_person_told() -> None:
    lobby = Lobby()
    lobby.world.scheduler.soon = None  # type: ignore[assignment, method-assign]

    assert lobby.ask() == NOT_TAKEN
    assert [type(bug) for bug in lobby.world.bugs] == [TypeError]


# --- one look for all who ask -------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [Verb.CHECK, Verb.VERIFY])
def test_who_asks_for_a_look_that_is_under_way_is_named_in_its_one_report(verb: Verb) -> None:
    lobby = Lobby()
    lobby.ask(verb, by=ANNA)
    lobby.world.clock.pass_by(timedelta(seconds=7))

    said = [lobby.ask(verb, by=who) for who in (BEN, CLEO, BEN)]
    lobby.run()

    assert all(isinstance(one, UnderWay) and one.joined and one.since == NOW for one in said)
    assert isinstance(said[0], UnderWay)
    assert said[0].first.name == "Anna"
    (report,) = lobby.of(ReportPosted)
    assert names(report) == ["Anna", "Ben", "Cleo"]
    assert len(lobby.world.cluster.reads) == 1
    assert dict(lobby.world.store.audit[0].detail)["also_for"] == "U0BEN, U0CLEO"


def test_a_flood_of_checks_takes_one_worker() -> None:
    lobby = Lobby()

    for _ in range(1000):
        lobby.ask()

    assert len(lobby.world.scheduler.waiting) == 1


def test_a_look_that_is_had_is_no_look_under_way() -> None:
    lobby = Lobby()

    for _ in range(2):
        assert isinstance(lobby.ask(), Begun)
        lobby.run()

    assert len(lobby.of(ReportPosted)) == 2


def test_a_check_and_a_verification_are_two_looks() -> None:
    lobby = Lobby()

    lobby.ask(Verb.CHECK)
    lobby.ask(Verb.VERIFY)
    lobby.run()

    assert len(lobby.of(ReportPosted)) == 2


def test_who_asks_while_the_report_is_written_gets_a_look_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lobby = Lobby()
    commit, said = lobby.world.store.commit, []

    def slowly(change: object) -> object:
        said.append(lobby.ask(by=BEN))
        monkeypatch.setattr(lobby.world.store, "commit", commit)
        return commit(change)  # type: ignore[arg-type]

    monkeypatch.setattr(lobby.world.store, "commit", slowly)
    lobby.ask(by=ANNA)
    lobby.run()

    assert isinstance(said[0], Begun)
    assert [names(report) for report in lobby.of(ReportPosted)] == [["Anna"], ["Ben"]]


def test_when_a_shared_look_fails_everybody_who_asked_is_told() -> None:
    lobby = Lobby()
    lobby.world.cluster.fail("read", ClusterUnreachable("no route"))
    lobby.ask(by=ANNA)
    lobby.ask(by=BEN)

    lobby.run()

    (failed,) = lobby.of(RequestFailed)
    assert names(failed) == ["Anna", "Ben"]
    assert isinstance(lobby.ask(by=BEN), Begun), "the next one is a new one"


def test_when_a_shared_look_cannot_be_recorded_each_is_answered() -> None:
    lobby = Lobby()
    lobby.world.store.fails_with = StoreError("disk full")
    lobby.ask(by=ANNA)
    lobby.ask(by=BEN)

    lobby.run()

    assert [
        (who.name, said.sentence) for who, said in lobby.world.replies.said if isinstance(said, Refused)
    ] == [
        ("Anna", "That did not work: disk full"),
        ("Ben", "That did not work: disk full"),
    ]


class Watched(Future[Look]):
    """Shows that somebody waits for it."""

    waited_for = threading.Event()

    def result(self, timeout: float | None = None) -> Look:
        self.waited_for.set()
        return super().result(timeout)


@pytest.mark.parametrize("fault", [None, ClusterUnreachable("no route")], ids=["seen", "fails"])
def test_a_check_that_the_calendar_wants_while_one_is_asked_for_is_the_same_look(
    fault: ClusterUnreachable | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, reads = World(), 0
    saw: list[object] = []
    monkeypatch.setattr("bot.flow.look.Future", Watched)
    Watched.waited_for = threading.Event()

    def check() -> None:
        try:
            saw.append(world.looks.check(world.ports))
        except ClusterUnreachable as error:
            saw.append(error)

    second = threading.Thread(target=check)

    def slowly(parts: frozenset[Part]) -> MeshSnapshot:
        nonlocal reads
        reads += 1
        second.start()
        assert Watched.waited_for.wait(LONG)
        if fault:
            raise fault
        return world.cluster.read(parts)

    world.reader = Reader(world, slowly)
    check()
    second.join(LONG)

    assert (reads, len(saw)) == (1, 2)
    assert saw[0] is saw[1]
    world.reader = world.cluster
    assert world.looks.check(world.ports) is not saw[0], "the next one looks for itself"


# --- nothing twice --------------------------------------------------------------------------------------


def test_a_plan_that_is_being_made_is_not_made_again() -> None:
    lobby = Lobby()
    lobby.ask(Verb.TRANSITION, by=ANNA)

    said = lobby.ask(Verb.TRANSITION, by=BEN)
    lobby.run()

    assert isinstance(said, UnderWay)
    assert (said.first.name, said.joined) == ("Anna", False)
    (rotation,) = lobby.world.store.active_rotations()
    assert rotation.requester.name == "Anna"
    assert isinstance(lobby.ask(Verb.TRANSITION, by=BEN), Begun)


def test_an_impatient_finger_presses_once() -> None:
    lobby = Lobby()
    lobby.world.proposed()
    lobby.press(Act.APPROVE, by=BEN)

    again = [lobby.press(Act.APPROVE, by=BEN) for _ in range(10)]
    other = [lobby.press(Act.APPROVE, by=CLEO), lobby.press(Act.REJECT, by=BEN)]

    assert all(one is not None for one in again)
    assert other == [None, None]
    assert len(lobby.world.scheduler.waiting) == 3
    lobby.run()
    assert lobby.world.state in {RotationState.APPROVED, RotationState.REJECTED, RotationState.CANCELLED}
    assert lobby.press(Act.APPROVE, by=BEN) is None


def test_what_ending_here_would_leave_is_looked_for_once_at_a_time() -> None:
    lobby = Lobby()

    first, again = [lobby.reception.consider_end(caller(BEN), lobby.world.rotation_id) for _ in range(2)]

    assert (first, isinstance(again, Noted)) == (None, True)
    assert [errand.kind for errand in lobby.world.scheduler.waiting] == [Errand.DECISION]


# --- the end ----------------------------------------------------------------------------------------------


def test_at_the_stop_everybody_who_waits_for_a_look_is_told_once() -> None:
    lobby = Lobby()
    for who in (ANNA, BEN, CLEO):
        lobby.ask(by=who)
    lobby.ask(Verb.STATUS, by=DORA)
    lobby.press(Act.APPROVE, by=BEN)

    lobby.world.scheduler.stop()

    said = [
        (who.name, reply.sentence) for who, reply in lobby.world.replies.said if isinstance(reply, Refused)
    ]
    assert [name for name, _ in said] == ["Anna", "Ben", "Cleo", "Dora", "Ben"]
    assert "`check prod`" in said[0][1]
    assert "`approve`" in said[-1][1]


def test_a_look_that_ends_after_its_askers_were_told_otherwise_says_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lobby = Lobby()
    read = lobby.world.cluster.read
    lobby.ask()
    (errand,) = lobby.world.scheduler.waiting

    def stopped_meanwhile(parts: frozenset[Part]) -> MeshSnapshot:
        errand.turned_away()
        return read(parts)

    monkeypatch.setattr(lobby.world.cluster, "read", stopped_meanwhile)
    lobby.run()

    assert lobby.of(ReportPosted) == []
    assert len(lobby.world.replies.said) == 1


class Reader:
    """The world's reader with another way of reading."""

    def __init__(self, world: World, read: Callable[[frozenset[Part]], MeshSnapshot]) -> None:
        self.read = read
        self.signing_key = world.cluster.signing_key


# --- who may look --------------------------------------------------------------------------------------


GINA = person("Gina", is_guest=True)


def with_a_guest() -> Lobby:
    lobby = Lobby()
    lobby.world.directory.people[GINA.team, GINA.user] = GINA
    return lobby


def told(lobby: Lobby, who: PersonFacts) -> list[str]:
    return [
        reply.sentence
        for one, reply in lobby.world.replies.said
        if one.user == who.user and isinstance(reply, Refused)
    ]


@pytest.mark.parametrize("verb", [Verb.CHECK, Verb.VERIFY, Verb.STATUS, Verb.HISTORY, Verb.CANCEL])
def test_a_guest_learns_nothing_and_has_nothing_looked_at(verb: Verb) -> None:
    lobby = with_a_guest()

    lobby.ask(verb, by=GINA)
    lobby.run()

    assert [one for _, one in lobby.world.replies.said if not isinstance(one, Refused)] == []
    assert told(lobby, GINA) == ["Rootkeeper is not for guests: ask a member of this workspace."]
    assert lobby.world.cluster.reads == []
    assert lobby.of(ReportPosted) == []
    assert dict(lobby.world.store.audit[-1].detail) == {"act": verb, "code": "guest"}


def test_who_cannot_be_looked_up_learns_nothing() -> None:
    lobby = Lobby()
    lobby.world.directory.fails_with = DirectoryUnavailable("Slack does not answer")

    lobby.ask(Verb.STATUS)
    lobby.run()

    assert [one for _, one in lobby.world.replies.said if not isinstance(one, Refused)] == []


@pytest.mark.parametrize(("first", "second"), [(ANNA, GINA), (GINA, ANNA)])
def test_a_guest_who_joins_a_look_or_is_joined_gets_no_part_of_it(
    first: PersonFacts, second: PersonFacts
) -> None:
    lobby = with_a_guest()

    lobby.ask(by=first)
    lobby.ask(by=second)
    lobby.run()

    [posted] = lobby.of(ReportPosted)
    assert names(posted) == ["Anna"]
    assert len(told(lobby, GINA)) == 1


class DoorAjar:
    """A lock; whoever waits for it comes in at the very moment when it is let go."""

    def __init__(self, comes_in: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._comes_in = comes_in

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        comes_in, self._comes_in = self._comes_in, lambda: None
        comes_in()


def test_a_look_that_ends_while_its_askers_are_told_otherwise_says_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lobby, had = Lobby(), []
    lobby.ask()
    [errand] = lobby.world.scheduler.waiting

    def look(_first: Caller, waiting: Waiting, _intent: Intent) -> None:
        monkeypatch.setattr(lobby.reception, "_lock", DoorAjar(lambda: had.append(waiting())))
        errand.turned_away()

    monkeypatch.setattr(lobby.reception, "_desk", SimpleNamespace(look=look))
    lobby.run()

    assert [who.name for who, _ in lobby.world.replies.said] == ["Anna"]
    assert had == [()]


def test_who_is_about_to_get_the_report_is_not_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    lobby = Lobby()
    lobby.ask()
    [errand] = lobby.world.scheduler.waiting
    commit = lobby.world.store.commit

    def stopped_meanwhile(change: Change) -> Rotation | None:
        errand.turned_away()
        return commit(change)

    monkeypatch.setattr(lobby.world.store, "commit", stopped_meanwhile)
    lobby.run()

    assert len(lobby.of(ReportPosted)) == 1
    assert lobby.world.replies.said == []
