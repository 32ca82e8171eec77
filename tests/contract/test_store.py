"""What every record keeps to (port Store): the fake in memory and the one on SQLite."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.core.ids import MeshName, RotationId
from bot.core.record import Change, CheckRecord, Event
from bot.core.rotation import RotationState
from bot.errors import LostRace, NotLeader, RecordAbsent, StoreError
from tests.contract.store_record import KINDS, MINUTE, Record, open_record
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

KEY_IN_BYTES: Any = PRIVATE_KEY.encode()
"""No text of anybody's, so a bug, and the one thing that the record refuses."""


@pytest.fixture(params=KINDS)
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Record]:
    with open_record(request.param, tmp_path) as record:
        yield record


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
        pytest.param({"audit": (an_event(), an_event(key=KEY_IN_BYTES))}, id="an audit row"),
        pytest.param({"given": (a_warning(), a_warning())}, id="a warning"),
        pytest.param({"messages": (a_card(), a_milestone(KEY_IN_BYTES))}, id="a message"),
        pytest.param({"check": CheckRecord(mesh=PROD, at=NOW, ok=False, summary=KEY_IN_BYTES)}, id="a check"),
        pytest.param({"rotation": replace(a_rotation(), reason=KEY_IN_BYTES)}, id="a rotation"),
    ],
)
def test_when_one_part_cannot_be_written_nothing_is(record: Record, spoilt: dict[str, object]) -> None:
    before = everything(record)
    change = replace(a_full_change(), **spoilt)  # type: ignore[arg-type]

    with pytest.raises(StoreError):
        record.store.commit(change)

    assert everything(record) == before
    assert record.wakes == []


def test_a_secret_in_a_text_is_left_out_and_the_rest_is_written(record: Record) -> None:
    rotation = record.keep(replace(a_rotation(), outcome=f"refused: {PRIVATE_KEY}"))
    change = Change(
        messages=(replace(a_card(), content=a_milestone("the token xoxb-1234567890 was refused").content),),
        audit=(an_event(note="xapp-1-A0123456789"),),
        check=CheckRecord(mesh=PROD, at=NOW, ok=False, summary=PRIVATE_KEY),
    )

    record.store.commit(change)

    assert record.store.rotation(rotation.id).outcome == "(withheld: it held a private key)"
    check = record.store.last_check(PROD)
    assert check is not None
    assert check.summary == "(withheld: it held a private key)"
    assert "the token (a Slack token, withheld) was refused" in repr(record.due())
    assert "(a Slack token, withheld)" in repr(record.audit())
    assert "xapp-1" not in repr(record.audit())


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


def test_a_check_that_a_clock_told_ahead_is_the_last_only_until_the_next(record: Record) -> None:
    record.store.commit(Change(check=check(NOW + timedelta(days=30), ok=True)))
    record.store.commit(Change(check=check(NOW, ok=True)))

    assert record.store.last_check(PROD) == replace(check(NOW, ok=True), last_success=NOW)


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


# --- audit -----------------------------------------------------------------------------------


def test_audit_events_keep_their_order(record: Record) -> None:
    record.store.commit(Change(audit=(an_event(Event.PROPOSED), an_event(Event.APPROVED))))
    record.store.commit(Change(audit=(an_event(Event.STARTED, why="ünïcode \ud800 \x00"),)))

    assert [event.event for event in record.audit()] == [Event.PROPOSED, Event.APPROVED, Event.STARTED]
    assert record.audit()[2] == an_event(Event.STARTED, why="ünïcode \ud800 \x00")
