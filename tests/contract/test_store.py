"""What every record keeps to (ports Store and Outbox): the fake in memory and the one on SQLite."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.core.ids import MeshName, RotationId
from bot.core.record import AuditEvent, Change, CheckRecord, Event, Message, Placement
from bot.core.rotation import Rotation, RotationState
from bot.edges.store import audit
from bot.edges.store.engine import open_database
from bot.edges.store.lease import Lease
from bot.edges.store.migrate import upgrade
from bot.edges.store.outbox import SqlOutbox
from bot.edges.store.store import SqlStore
from bot.errors import LostRace, NotLeader, RecordAbsent, StoreError
from bot.flow.ports import Outbox, Queued, Store
from tests.contract.store_samples import (
    NOW,
    PRIVATE_KEY,
    PROD,
    a_card,
    a_milestone,
    a_rotation,
    a_warning,
    an_event,
    ended,
)
from tests.fakes.store import FakeStore

SUBJECT = a_card().subject
MINUTE = timedelta(minutes=1)


@dataclass
class StoppedClock:
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass(kw_only=True)
class Record:
    """A store and its outbox, and what only a test may do to them."""

    store: Store
    outbox: Outbox
    audit: Callable[[], tuple[AuditEvent, ...]]
    depose: Callable[[], object]
    """Let another process become the leader."""
    clock: StoppedClock
    wakes: list[bool] = field(default_factory=list)

    def put(self, *messages: Message) -> None:
        self.store.commit(Change(messages=messages))

    def due(self, now: datetime = NOW) -> list[Message]:
        return [queued.message for queued in self.outbox.due(now, limit=100)]

    def first_due(self) -> Queued:
        return self.outbox.due(NOW, limit=1)[0]

    def tell(self, *, ts: str = "1.1", now: datetime = NOW) -> Message:
        """Deliver the first message that is due."""
        queued = self.outbox.due(now, limit=1)[0]
        self.outbox.delivered(queued, channel="C1", ts=ts, now=now)
        return queued.message

    def keep(self, rotation: Rotation) -> Rotation:
        written = self.store.commit(Change(rotation=rotation))
        assert written is not None
        return written


def a_fake(clock: StoppedClock) -> Record:
    wakes: list[bool] = []
    fake = FakeStore(clock=clock, on_commit=lambda: wakes.append(True))
    return Record(
        store=fake,
        outbox=fake,
        audit=lambda: fake.audit,
        depose=lambda: setattr(fake, "leader", 2),
        clock=clock,
        wakes=wakes,
    )


@pytest.fixture(params=["fake", "sqlite"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Record]:
    clock = StoppedClock()
    if request.param == "fake":
        yield a_fake(clock)
        return
    engine = open_database(f"sqlite:///{tmp_path}/record.db")
    upgrade(engine)
    lease, wakes = Lease(engine), list[bool]()
    epoch = lease.acquire("me", now=NOW, duration=MINUTE)
    assert epoch is not None
    yield Record(
        store=SqlStore(engine, epoch=lambda: epoch, clock=clock, on_commit=lambda: wakes.append(True)),
        outbox=SqlOutbox(engine),
        audit=lambda: tuple(row.event for row in reversed(audit.read(engine, limit=100))),
        depose=lambda: lease.acquire("other", now=NOW + 2 * MINUTE, duration=MINUTE),
        clock=clock,
        wakes=wakes,
    )
    engine.dispose()


# --- rotations -------------------------------------------------------------------------------


def test_a_rotation_comes_back_as_it_was_written_with_the_next_version(record: Record) -> None:
    written = record.keep(a_rotation())

    assert written == replace(a_rotation(), version=1)
    assert record.store.rotation(written.id) == written


def test_an_unknown_rotation_is_absent(record: Record) -> None:
    with pytest.raises(RecordAbsent):
        record.store.rotation(RotationId("f" * 32))


def test_a_change_from_an_older_version_loses(record: Record) -> None:
    first = record.keep(a_rotation())
    record.keep(replace(first, reason="won"))

    with pytest.raises(LostRace, match=r"version 2.*version 1|version 2, not 1"):
        record.keep(replace(first, reason="lost"))

    assert record.store.rotation(first.id).reason == "won"


def test_a_change_of_a_rotation_that_was_never_written_loses(record: Record) -> None:
    with pytest.raises(LostRace):
        record.keep(replace(a_rotation(), version=3))


def test_the_same_new_rotation_is_written_once(record: Record) -> None:
    record.keep(a_rotation())

    with pytest.raises(LostRace):
        record.keep(a_rotation())


def test_a_second_active_rotation_of_a_mesh_loses_and_hears_of_the_first(record: Record) -> None:
    record.keep(a_rotation("1"))

    with pytest.raises(LostRace, match="prod has another rotation: 11111111, asked for by Ada, is waiting"):
        record.keep(a_rotation("2"))

    assert [r.id for r in record.store.active_rotations()] == ["1" * 32]


def test_another_mesh_may_rotate_at_the_same_time(record: Record) -> None:
    record.keep(a_rotation("1", now=NOW + MINUTE))
    record.keep(a_rotation("2", mesh=MeshName("stage")))

    assert [r.id[0] for r in record.store.active_rotations()] == ["2", "1"]


def test_an_ended_rotation_makes_room_for_the_next(record: Record) -> None:
    record.keep(ended(record.keep(a_rotation("1"))))

    record.keep(a_rotation("2"))

    assert [r.id[0] for r in record.store.active_rotations()] == ["2"]


def test_a_superseded_rotation_makes_room_in_the_same_transaction(record: Record) -> None:
    first = record.keep(a_rotation("1"))

    change = Change(rotation=a_rotation("2"), supersedes=(ended(first, RotationState.SUPERSEDED),))
    record.store.commit(change)

    assert record.store.rotation(first.id).state is RotationState.SUPERSEDED
    assert record.store.rotation(first.id).version == 2
    assert [r.id[0] for r in record.store.active_rotations()] == ["2"]


def test_a_superseded_rotation_that_moved_on_stops_the_whole_change(record: Record) -> None:
    first = record.keep(a_rotation("1"))
    record.keep(ended(first))

    with pytest.raises(LostRace):
        record.store.commit(
            Change(rotation=a_rotation("2"), supersedes=(ended(first, RotationState.SUPERSEDED),))
        )

    assert record.store.active_rotations() == ()


def test_history_is_newest_first_of_one_mesh_and_limited(record: Record) -> None:
    for hour, digit in enumerate("3142"):
        record.keep(ended(record.keep(a_rotation(digit, now=NOW + timedelta(hours=hour)))))
    record.keep(a_rotation("9", mesh=MeshName("stage"), now=NOW + timedelta(hours=9)))

    assert [r.id[0] for r in record.store.past_rotations(PROD, limit=3)] == ["2", "4", "1"]


def test_of_two_threads_with_the_same_version_exactly_one_wins(record: Record) -> None:
    first = record.keep(a_rotation())
    together = threading.Barrier(8)

    def decide(number: int) -> str:
        together.wait(timeout=10)
        try:
            record.store.commit(
                Change(rotation=replace(first, reason=str(number)), audit=(an_event(by=str(number)),))
            )
        except LostRace:
            return ""
        return str(number)

    with ThreadPoolExecutor(8) as pool:
        winners = [won for won in pool.map(decide, range(8)) if won]

    assert [record.store.rotation(first.id).reason] == winners
    assert [dict(event.detail)["by"] for event in record.audit()] == winners


def test_of_two_threads_with_new_rotations_of_one_mesh_exactly_one_wins(record: Record) -> None:
    together = threading.Barrier(8)

    def ask(digit: int) -> bool:
        together.wait(timeout=10)
        try:
            record.keep(a_rotation(str(digit)))
        except LostRace:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 1

    assert len(record.store.active_rotations()) == 1


# --- one transaction -------------------------------------------------------------------------


def everything(record: Record) -> tuple[object, ...]:
    store = record.store
    return (
        store.past_rotations(PROD, limit=9),
        record.due(),
        record.audit(),
        store.last_check(PROD),
        store.notices(PROD),
    )


def a_full_change() -> Change:
    return Change(
        rotation=a_rotation(),
        messages=(a_card(), a_milestone()),
        audit=(an_event(),),
        check=CheckRecord(mesh=PROD, at=NOW, ok=True, summary="12 days left"),
        given=(a_warning(),),
    )


def test_all_of_a_change_is_written_and_the_poster_woken(record: Record) -> None:
    record.store.commit(a_full_change())

    assert all(everything(record))
    assert record.audit() == (an_event(),)
    assert record.wakes == [True]


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param({"audit": (an_event(), an_event(key=PRIVATE_KEY))}, id="an audit row"),
        pytest.param({"given": (a_warning(), a_warning())}, id="a warning"),
        pytest.param({"messages": (a_card(), a_milestone("xapp-1-A0123456789"))}, id="a message"),
        pytest.param(
            {"check": CheckRecord(mesh=PROD, at=NOW, ok=False, summary="xoxb-1234567890")}, id="a check"
        ),
        pytest.param({"rotation": replace(a_rotation(), reason=PRIVATE_KEY)}, id="a rotation"),
    ],
)
def test_when_one_part_cannot_be_written_nothing_is(record: Record, spoilt: dict[str, object]) -> None:
    before = everything(record)
    change = replace(a_full_change(), **spoilt)  # type: ignore[arg-type]

    with pytest.raises(StoreError):
        record.store.commit(change)

    assert everything(record) == before
    assert record.wakes == []


def test_a_refused_secret_is_not_repeated_in_the_error(record: Record) -> None:
    with pytest.raises(StoreError) as refusal:
        record.put(a_milestone("the token xoxb-1234567890 was refused"))

    assert "xoxb-123" not in f"{refusal.value.message} {refusal.value.hint}"


def test_a_private_key_in_bytes_is_refused(record: Record) -> None:
    rotation = a_rotation()
    plan = replace(rotation.plan, new_pem=PRIVATE_KEY.encode())

    with pytest.raises(StoreError):
        record.keep(replace(rotation, plan=plan))


def test_a_process_that_does_not_lead_any_more_writes_nothing(record: Record) -> None:
    record.keep(a_rotation())
    before = everything(record)
    record.depose()

    with pytest.raises(NotLeader):
        record.store.commit(a_full_change())

    assert everything(record) == before


# --- checks and warnings ---------------------------------------------------------------------


def check(at: datetime, *, ok: bool, mesh: MeshName = PROD) -> CheckRecord:
    return CheckRecord(mesh=mesh, at=at, ok=ok, summary="", remaining=timedelta(days=-1, microseconds=1))


def test_a_mesh_that_was_never_checked_has_no_last_check(record: Record) -> None:
    record.store.commit(Change(check=check(NOW, ok=True, mesh=MeshName("stage"))))

    assert record.store.last_check(PROD) is None


def test_the_last_check_knows_the_last_one_that_ran(record: Record) -> None:
    record.store.commit(Change(check=check(NOW, ok=True)))
    record.store.commit(Change(check=check(NOW + MINUTE, ok=False)))

    assert record.store.last_check(PROD) == replace(check(NOW + MINUTE, ok=False), last_success=NOW)


def test_a_check_that_ran_is_itself_the_last_success(record: Record) -> None:
    record.store.commit(Change(check=check(NOW, ok=True)))

    assert record.store.last_check(PROD) == replace(check(NOW, ok=True), last_success=NOW)


def test_a_mesh_whose_checks_never_ran_has_no_success(record: Record) -> None:
    record.store.commit(Change(check=check(NOW, ok=False)))

    assert record.store.last_check(PROD) == check(NOW, ok=False)


def test_a_warning_is_given_once_for_ever(record: Record) -> None:
    record.store.commit(Change(given=(a_warning("30"),), messages=(a_card(),)))

    with pytest.raises(LostRace):
        record.store.commit(Change(given=(a_warning("30"),), messages=(a_milestone(),)))
    record.store.commit(Change(given=(a_warning("14"), a_warning("30", mesh=MeshName("stage")))))

    assert [g.threshold for g in record.store.notices(PROD).given] == ["30", "14"]
    assert record.store.notices(PROD).given[0] == a_warning("30")
    assert record.due() == [a_card()]


# --- outbox ----------------------------------------------------------------------------------


def test_messages_are_due_in_the_order_they_were_written(record: Record) -> None:
    told = [replace(a_milestone(str(n)), subject=f"report/{n}", placement=Placement.NEW) for n in range(5)]
    record.put(*told[:3])
    record.clock.at -= MINUTE  # a clock that was set back changes no order
    record.put(*told[3:])

    assert record.due() == told
    assert [q.message for q in record.outbox.due(NOW, limit=2)] == told[:2]


def test_a_queued_message_says_when_it_was_written_and_was_never_tried(record: Record) -> None:
    record.put(a_card())

    queued = record.first_due()

    assert (queued.message, queued.created_at, queued.attempts) == (a_card(), NOW, 0)


@pytest.mark.parametrize("placement", [Placement.REPLY, Placement.BROADCAST])
@pytest.mark.parametrize("head", [Placement.ANCHOR, Placement.NEW])
def test_a_reply_waits_for_its_subjects_own_message(
    record: Record, placement: Placement, head: Placement
) -> None:
    own = replace(a_card(), placement=head)
    record.put(a_milestone(placement=placement), own)

    before = record.due()
    record.tell()

    assert before == [own]
    assert record.due() == [a_milestone(placement=placement)]


def test_a_reply_of_another_subject_does_not_wait(record: Record) -> None:
    record.put(a_card("1" * 32), a_card("2" * 32), a_milestone("one"), a_milestone(rotation_id="2" * 32))

    record.tell()

    assert record.due() == [a_card("2" * 32), a_milestone("one")]


def test_a_reply_without_any_message_of_its_subject_is_not_due(record: Record) -> None:
    record.put(a_milestone())

    assert record.due() == []


def test_a_redraw_holds_no_reply_up(record: Record) -> None:
    record.put(a_card())
    record.tell()

    record.put(a_card(), a_milestone())
    record.outbox.postponed(record.first_due(), until=NOW + MINUTE, fault="")

    assert record.due() == [a_milestone()]


def test_replies_of_a_message_that_was_given_up_are_the_posters_to_judge(record: Record) -> None:
    record.put(a_card(), a_milestone())

    record.outbox.given_up(record.first_due(), now=NOW, fault="is_archived")

    assert record.due() == [a_milestone()]


def test_redraws_that_wait_are_one(record: Record) -> None:
    record.put(a_card(), a_milestone(), a_card("2" * 32))
    record.put(a_card())
    record.put(a_card())

    assert sorted(m.subject for m in record.due()) == [SUBJECT, a_card("2" * 32).subject]


def test_a_redraw_written_while_its_forerunner_is_told_is_still_due(record: Record) -> None:
    record.put(a_card())
    in_flight = record.first_due()
    record.put(a_card())

    record.outbox.delivered(in_flight, channel="C1", ts="1.1", now=NOW)

    assert record.due() == [a_card()]
    assert record.outbox.anchor(SUBJECT) is not None


def test_a_redraw_takes_over_its_forerunners_pacing(record: Record) -> None:
    record.put(a_card())
    in_flight = record.first_due()
    record.outbox.postponed(in_flight, until=NOW + MINUTE, fault="ratelimited")
    record.put(a_card())

    assert record.due() == []
    assert record.outbox.due(NOW + MINUTE, limit=1)[0].attempts == 1


def test_postponing_a_replaced_redraw_postpones_its_successor(record: Record) -> None:
    record.put(a_card())
    in_flight = record.first_due()
    record.put(a_card())

    record.outbox.postponed(in_flight, until=NOW + MINUTE, fault="ratelimited")

    assert record.due() == []
    assert record.due(NOW + MINUTE) == [a_card()]


def test_giving_up_a_replaced_redraw_leaves_its_successor(record: Record) -> None:
    record.put(a_card())
    in_flight = record.first_due()
    record.put(a_card())

    record.outbox.given_up(in_flight, now=NOW, fault="invalid_blocks")

    assert record.due() == [a_card()]


def test_a_told_message_becomes_its_subjects_anchor(record: Record) -> None:
    record.put(a_card())

    assert record.outbox.anchor(SUBJECT) is None
    record.tell(ts="1.1")
    anchor = record.outbox.anchor(SUBJECT)

    assert anchor is not None
    assert (anchor.channel, anchor.ts, anchor.drawn_at) == ("C1", "1.1", NOW)
    assert record.due() == []


def test_a_redraw_stays_the_anchor_and_a_reply_never_becomes_it(record: Record) -> None:
    record.put(a_card())
    record.tell(ts="1.1")
    record.put(a_card())
    record.tell(ts="1.1", now=NOW + MINUTE)
    record.put(a_milestone())
    record.tell(ts="2.2")

    anchor = record.outbox.anchor(SUBJECT)

    assert anchor is not None
    assert (anchor.ts, anchor.drawn_at) == ("1.1", NOW + MINUTE)


def test_after_a_forgotten_anchor_replies_wait_for_the_new_one(record: Record) -> None:
    record.put(a_card())
    record.tell(ts="1.1")
    record.outbox.forget_anchor(SUBJECT)
    record.put(a_milestone(), a_card())

    before = record.due()
    gone = record.outbox.anchor(SUBJECT)
    record.tell(ts="3.3")
    anchor = record.outbox.anchor(SUBJECT)

    assert (before, gone) == ([a_card()], None)
    assert anchor is not None
    assert anchor.ts == "3.3"
    assert record.due() == [a_milestone()]


def test_after_a_forgotten_anchor_without_a_new_one_replies_do_not_wait_for_ever(record: Record) -> None:
    record.put(a_card())
    record.tell(ts="1.1")
    record.put(a_milestone())

    record.outbox.forget_anchor(SUBJECT)

    assert record.due() == [a_milestone()]


def test_forgetting_an_anchor_that_never_was_is_nothing(record: Record) -> None:
    record.outbox.forget_anchor("report/none")

    assert record.outbox.anchor("report/none") is None


def test_a_postponed_message_is_due_at_its_time_with_one_more_attempt(record: Record) -> None:
    record.put(a_card())

    record.outbox.postponed(record.first_due(), until=NOW + MINUTE, fault="internal_error")

    assert record.due(NOW + MINUTE - timedelta(microseconds=1)) == []
    assert record.outbox.due(NOW + MINUTE, limit=1)[0].attempts == 1


def test_mere_pacing_is_no_attempt(record: Record) -> None:
    record.put(a_card())

    record.outbox.postponed(record.first_due(), until=NOW + MINUTE, fault="")

    assert record.outbox.due(NOW + MINUTE, limit=1)[0].attempts == 0


def test_a_message_that_was_given_up_is_never_due_again(record: Record) -> None:
    record.put(a_card())
    queued = record.first_due()

    record.outbox.given_up(queued, now=NOW, fault="channel_not_found")
    record.outbox.postponed(queued, until=NOW, fault="late")

    assert record.due(NOW + timedelta(days=400)) == []
    assert record.outbox.anchor(SUBJECT) is None


def test_what_was_told_may_be_noted_by_a_process_that_does_not_lead_any_more(record: Record) -> None:
    record.put(a_card())
    queued = record.first_due()
    record.depose()

    record.outbox.delivered(queued, channel="C1", ts="1.1", now=NOW)

    assert record.due() == []


# --- audit -----------------------------------------------------------------------------------


def test_audit_events_keep_their_order(record: Record) -> None:
    record.store.commit(Change(audit=(an_event(Event.PROPOSED), an_event(Event.APPROVED))))
    record.store.commit(Change(audit=(an_event(Event.STARTED, why="ünïcode \ud800 \x00"),)))

    assert [event.event for event in record.audit()] == [Event.PROPOSED, Event.APPROVED, Event.STARTED]
    assert record.audit()[2] == an_event(Event.STARTED, why="ünïcode \ud800 \x00")
