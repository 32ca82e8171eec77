"""What every outbox keeps to (port Outbox): the fake in memory and the one on SQLite."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.record import Placement
from bot.flow.ports import LONGEST_REST
from tests.contract.store_record import KINDS, MINUTE, Record, open_record
from tests.contract.store_samples import (
    NOW,
    a_card,
    a_milestone,
)

SUBJECT = a_card().subject


@pytest.fixture(params=KINDS)
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Record]:
    with open_record(request.param, tmp_path) as record:
        yield record


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


def test_a_redraw_is_due_before_the_posts_that_wait_and_a_first_post_in_its_turn(record: Record) -> None:
    record.put(a_card())
    record.tell()
    other = a_card("2" * 32)

    record.put(a_milestone("one"), a_milestone("two"), other, a_card())

    assert record.due() == [a_card(), a_milestone("one"), a_milestone("two"), other]
    assert [q.message for q in record.outbox.due(NOW, limit=1)] == [a_card()]


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


def test_a_time_further_ahead_than_any_rest_is_a_wrong_clocks_and_is_not_waited_for(record: Record) -> None:
    first, second = a_milestone("1"), a_milestone("2")
    record.put(a_card())
    record.tell()
    record.put(first, second)
    record.outbox.postponed(record.first_due(), until=NOW + LONGEST_REST, fault="internal_error")

    longest = record.due()
    set_back = record.due(NOW - MINUTE)

    assert longest == []
    assert set_back == [first, second]


def test_mere_pacing_is_no_attempt(record: Record) -> None:
    record.put(a_card())

    record.outbox.postponed(record.first_due(), until=NOW + MINUTE, fault="")

    assert record.outbox.due(NOW + MINUTE, limit=1)[0].attempts == 0


def test_a_post_is_not_due_while_an_earlier_one_of_its_subject_is_put_back(record: Record) -> None:
    first, second = a_milestone("1"), a_milestone("2")
    other = replace(a_milestone("3"), subject="report/other", placement=Placement.NEW)
    record.put(a_card())
    record.tell()
    record.put(first, second, other, a_card())

    [queued] = [queued for queued in record.outbox.due(NOW, limit=100) if queued.message == first]
    record.outbox.postponed(queued, until=NOW + MINUTE, fault="internal_error")

    assert record.due() == [a_card(), other], "neither a redraw nor another subject waits for it"
    assert record.due(NOW + MINUTE) == [a_card(), first, second, other]
    record.outbox.given_up(queued, now=NOW, fault="invalid_blocks")
    assert record.due() == [a_card(), second, other], "nor anything for what is never told"


def test_a_post_that_is_put_back_holds_up_no_earlier_one(record: Record) -> None:
    first, second = a_milestone("1"), a_milestone("2")
    record.put(a_card())
    record.tell()
    record.put(first, second)

    record.outbox.postponed(record.outbox.due(NOW, limit=2)[1], until=NOW + MINUTE, fault="internal_error")

    assert record.due() == [first]


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
