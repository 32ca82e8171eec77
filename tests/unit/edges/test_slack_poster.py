"""The outbox told: order, pacing, faults, lost messages, restarts."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.core.ids import RotationId
from bot.core.record import Change, Content, Event, Message, Placement, StragglerFile, rotation_subject
from bot.core.rotation import RotationState
from bot.edges.slack.faults import Kind, fault_of
from bot.edges.slack.poster import Poster
from bot.edges.slack.render import render as render_really
from bot.errors import NotLeader, StoreError
from tests.fakes.slack import FakeSlackApi
from tests.fakes.store import FakeStore
from tests.unit.edges.slack_samples import (
    APPROVERS,
    CARD,
    CONTENTS,
    NOW,
    ROTATION_ID,
    STRAGGLERS,
    StoppedClock,
    a_milestone,
    decision,
    proposed,
)

SUBJECT = rotation_subject(ROTATION_ID)
SECOND = timedelta(seconds=1)


class Desk:
    """A store, a poster and a client, with a clock that tests move."""

    def __init__(self) -> None:
        self.clock, self.api = StoppedClock(), FakeSlackApi()
        self.store = FakeStore(clock=self.clock)
        self.rotation = self.store.commit(Change(rotation=proposed()))
        self.leads = True
        self.poster = self.restarted()

    def restarted(self) -> Poster:
        self.poster = Poster(
            self.store,
            self.store,
            client=self.api,
            channel="C0MESH",
            clock=self.clock,
            approvers=APPROVERS,
            fence=self.fence,
            monotonic=self.clock.monotonic,
        )
        return self.poster

    def fence(self) -> None:
        if not self.leads:
            raise NotLeader("another process took the lease")

    def say(self, placement: Placement, content: Content = CARD, subject: str = SUBJECT) -> None:
        message = Message(subject=subject, placement=placement, content=content)
        self.store.commit(Change(messages=(message,)))

    def milestone(self, event: Event = Event.STARTED, placement: Placement = Placement.REPLY) -> None:
        self.say(placement, a_milestone(event))

    def passes(self, seconds: int) -> int:
        """Let so many seconds go by with a pass in each."""
        told = 0
        for _ in range(seconds):
            told += self.poster.deliver_due()
            self.clock.pass_by(SECOND)
        return told

    def statuses(self) -> list[str]:
        return [row.status for row in self.store.rows]

    def posted(self) -> list[dict[str, Any]]:
        return self.api.of("chat.postMessage")


def test_a_card_is_posted_once_and_redrawn_in_place() -> None:
    desk = Desk()

    desk.say(Placement.ANCHOR)
    desk.passes(3)
    desk.say(Placement.ANCHOR)
    desk.passes(1)

    [posted] = desk.posted()
    [edited] = desk.api.of("chat.update")
    assert posted["channel"] == edited["channel"] == "C0MESH"
    assert edited["ts"] == "1.000100"
    assert edited["text"]
    assert edited["blocks"]
    assert desk.statuses() == ["delivered", "delivered"]


def test_milestones_go_into_the_thread_and_results_to_the_channel_too() -> None:
    desk = Desk()

    desk.say(Placement.ANCHOR)
    desk.milestone()
    desk.milestone(Event.DONE, Placement.BROADCAST)
    told = desk.passes(3)

    assert told == 3
    _, reply, broadcast = desk.posted()
    assert (reply["thread_ts"], reply["reply_broadcast"]) == ("1.000100", False)
    assert (broadcast["thread_ts"], broadcast["reply_broadcast"]) == ("1.000100", True)


def test_nothing_unfurls_and_every_message_has_its_text() -> None:
    desk = Desk()

    desk.say(Placement.NEW, CONTENTS["warning"], "warning/prod")
    desk.passes(1)

    [posted] = desk.posted()
    assert posted["unfurl_links"] is False
    assert posted["text"]


def test_posts_in_one_channel_are_a_second_apart() -> None:
    desk = Desk()
    for number in range(3):
        desk.say(Placement.NEW, CONTENTS["warning"], f"warning/{number}")

    assert desk.poster.deliver_due() == 1
    assert desk.poster.deliver_due() == 0
    desk.clock.pass_by(SECOND)
    assert desk.poster.deliver_due() == 1
    assert [row.queued.attempts for row in desk.store.rows] == [0, 0, 0]


@pytest.mark.parametrize("restarts", [False, True], ids=["the same process", "a new process"])
def test_a_clock_that_is_set_back_silences_nothing(*, restarts: bool) -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(1)
    desk.api.answers["chat.postMessage"] = [TimeoutError(), {"channel": "C0MESH", "ts": "9.9"}]
    desk.milestone()
    desk.say(Placement.NEW, CONTENTS["warning"], "warning/prod")
    desk.passes(1)
    desk.say(Placement.ANCHOR)

    desk.clock.set_back(timedelta(hours=2))
    if restarts:
        desk.restarted()
    desk.passes(5)

    assert set(desk.statuses()) == {"delivered"}


def test_a_card_is_redrawn_at_most_every_two_seconds_and_ends_with_the_last_state() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.poster.deliver_due()

    for _ in range(40):
        desk.say(Placement.ANCHOR)
        desk.poster.deliver_due()
        desk.clock.pass_by(SECOND / 4)
    assert desk.rotation is not None
    approved = desk.rotation.approved(decision("approve"), start_within=timedelta(minutes=5))
    desk.store.commit(Change(rotation=approved))
    desk.say(Placement.ANCHOR)
    desk.passes(3)

    edits = desk.api.of("chat.update")
    assert 5 <= len(edits) <= 7
    assert "approved" in edits[-1]["text"]
    assert set(desk.statuses()) == {"delivered"}


def test_a_card_shows_what_is_so_however_many_posts_wait() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(3)
    for _ in range(60):
        desk.milestone()

    desk.say(Placement.ANCHOR)
    desk.passes(1)

    assert len(desk.api.of("chat.update")) == 1
    assert len(desk.posted()) == 2


def test_a_429_waits_as_long_as_slack_says_while_edits_go_on() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(3)
    desk.api.answers["chat.postMessage"] = [("429", 30), {"channel": "C0MESH", "ts": "9.9"}]

    desk.milestone()
    desk.say(Placement.ANCHOR)
    desk.passes(29)

    assert len(desk.posted()) == 2
    assert len(desk.api.of("chat.update")) == 1
    assert "ratelimited" in desk.poster.trouble
    desk.passes(3)
    assert len(desk.posted()) == 3
    assert desk.poster.trouble == ""


def test_a_429_on_edits_holds_back_edits_only() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(3)
    desk.api.answers["chat.update"] = [("429", 10), {}]

    desk.say(Placement.ANCHOR)
    desk.milestone()
    desk.passes(5)

    assert len(desk.posted()) == 2
    assert len(desk.api.of("chat.update")) == 1
    desk.passes(7)
    assert len(desk.api.of("chat.update")) == 2


@pytest.mark.parametrize("fault", ["message_not_found", "cant_update_message", "edit_window_closed"])
def test_a_card_that_is_gone_is_posted_anew_and_the_thread_moves_with_it(fault: str) -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(3)
    desk.api.answers["chat.update"] = [fault]

    desk.say(Placement.ANCHOR)
    desk.milestone()
    desk.passes(3)

    first, second, reply = desk.posted()
    assert first["text"] == second["text"]
    anchor = desk.store.anchor(SUBJECT)
    assert anchor is not None
    assert reply["thread_ts"] == anchor.ts != "1.000100"


@pytest.mark.parametrize("fault", ["is_archived", "channel_not_found", "not_in_channel", "invalid_auth"])
def test_a_closed_channel_is_tried_once_a_minute_with_its_cure_in_sight(fault: str) -> None:
    desk = Desk()
    desk.api.answers["chat.postMessage"] = [fault, fault, {"channel": "C0MESH", "ts": "5.5"}]

    desk.say(Placement.ANCHOR)
    desk.passes(1)
    trouble = desk.poster.trouble
    desk.passes(130)

    assert fault in trouble
    assert len(trouble) > len(fault) + 10
    assert len(desk.posted()) == 3
    assert desk.statuses() == ["delivered"]


def test_a_card_left_in_an_old_closed_channel_is_posted_in_the_new_one() -> None:
    desk = Desk()
    desk.api.answers["chat.postMessage"] = [
        {"channel": "C0OLD", "ts": "1.1"},
        {"channel": "C0MESH", "ts": "2.2"},
    ]
    desk.api.answers["chat.update"] = ["is_archived"]

    desk.say(Placement.ANCHOR)
    desk.passes(3)
    desk.say(Placement.ANCHOR)
    desk.passes(3)

    anchor = desk.store.anchor(SUBJECT)
    assert anchor is not None
    assert (anchor.channel, anchor.ts) == ("C0MESH", "2.2")


def test_a_thread_that_is_gone_is_waited_for_a_minute_then_the_reply_stands_by_itself() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(3)
    desk.api.answers["chat.postMessage"] = ["thread_not_found", {"channel": "C0MESH", "ts": "7.7"}]

    desk.milestone()
    desk.passes(70)

    assert "thread_ts" not in desk.posted()[-1]
    assert desk.statuses()[-1] == "delivered"


def test_a_passing_fault_backs_off_and_nothing_overtakes_within_the_subject() -> None:
    desk = Desk()
    trouble: list[Any] = [TimeoutError(), "internal_error", OSError()]
    desk.api.answers["chat.postMessage"] = [*trouble, {"channel": "C0MESH", "ts": "3.3"}]

    desk.say(Placement.ANCHOR)
    desk.milestone()
    desk.milestone(Event.STEP_DONE)
    desk.passes(20)

    posted = [call["text"] for call in desk.posted()]
    assert len(posted) == 6
    assert posted[0] == posted[1] == posted[2] == posted[3]
    assert "Started" in posted[4]
    assert "Done" in posted[5]


def test_one_subjects_trouble_does_not_hold_back_another() -> None:
    desk = Desk()
    desk.api.answers["chat.postMessage"] = ["internal_error", {"channel": "C0MESH", "ts": "3.3"}]

    desk.say(Placement.ANCHOR)
    desk.say(Placement.NEW, CONTENTS["warning"], "warning/prod")
    desk.passes(2)

    assert desk.statuses() == ["waiting", "delivered"] or desk.statuses() == ["delivered", "waiting"]


def test_a_report_that_nobody_takes_is_given_up_after_a_day_and_a_warning_is_not() -> None:
    desk = Desk()
    desk.api.answers["chat.postMessage"] = ["internal_error"]
    desk.say(Placement.NEW, CONTENTS["check asked for"], "report/prod")
    desk.say(Placement.NEW, CONTENTS["warning"], "warning/prod")
    for _ in range(26 * 12):
        desk.poster.deliver_due()
        desk.clock.pass_by(timedelta(minutes=5))

    assert desk.statuses() == ["given_up", "waiting"]
    assert 200 < len(desk.posted()) < 320


def test_a_result_that_slack_refuses_for_a_moment_is_told_though_the_bot_was_down_for_days() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(2)
    desk.milestone(Event.DONE, Placement.BROADCAST)
    desk.clock.pass_by(timedelta(days=3))
    desk.api.answers["chat.postMessage"] = [("429", 2), {"channel": "C0MESH", "ts": "9.1"}]

    desk.passes(10)

    assert desk.statuses() == ["delivered", "delivered"]
    assert desk.posted()[-1]["reply_broadcast"] is True


@pytest.mark.parametrize("fault", ["invalid_blocks", "msg_too_long", "msg_blocks_too_long"])
def test_a_refused_form_is_told_in_plain_text_with_a_reference(fault: str) -> None:
    desk = Desk()
    desk.api.answers["chat.postMessage"] = [fault, {"channel": "C0MESH", "ts": "3.3"}]

    desk.say(Placement.ANCHOR)
    desk.passes(1)

    _, plainer = desk.posted()
    assert "outbox-1" in json.dumps(plainer["blocks"])
    assert plainer["text"]
    assert desk.statuses() == ["delivered"]


def test_a_content_that_slack_never_takes_is_given_up_at_once() -> None:
    desk = Desk()
    desk.api.answers["chat.postMessage"] = ["invalid_blocks"]

    desk.say(Placement.ANCHOR)
    desk.passes(1)

    assert desk.statuses() == ["given_up"]


def test_a_card_without_its_rotation_is_given_up() -> None:
    desk = Desk()

    desk.say(Placement.ANCHOR, replace(CARD, rotation_id=RotationId("0" * 32)))
    desk.passes(1)

    assert desk.statuses() == ["given_up"]
    assert desk.posted() == []


def test_what_slack_took_but_the_record_did_not_is_not_said_twice() -> None:
    desk = Desk()
    real, desk.store.delivered = desk.store.delivered, _failing  # type: ignore[method-assign]

    desk.milestone(placement=Placement.NEW)
    with pytest.raises(StoreError):
        desk.poster.deliver_due()
    desk.store.delivered = real  # type: ignore[method-assign]
    desk.passes(3)

    assert len(desk.posted()) == 1
    assert desk.statuses() == ["delivered"]


def test_a_card_whose_telling_was_not_recorded_is_redrawn_and_not_posted_again() -> None:
    desk = Desk()
    real, desk.store.delivered = desk.store.delivered, _failing  # type: ignore[method-assign]
    desk.say(Placement.ANCHOR)
    with pytest.raises(StoreError):
        desk.poster.deliver_due()

    desk.say(Placement.ANCHOR)  # takes the place of the one that Slack has and the record does not
    with pytest.raises(StoreError):
        desk.poster.deliver_due()
    desk.store.delivered = real  # type: ignore[method-assign]
    desk.passes(4)

    assert len(desk.posted()) == 1
    assert [edit["ts"] for edit in desk.api.of("chat.update")] == ["1.000100"]
    assert desk.statuses() == ["delivered"]


def test_a_post_that_was_put_back_is_not_overtaken_over_a_restart() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(2)
    desk.api.answers["chat.postMessage"] = ["internal_error", {"channel": "C0MESH", "ts": "3.3"}]
    desk.milestone()
    desk.milestone(Event.STEP_DONE)
    desk.poster.deliver_due()

    desk.restarted()
    desk.passes(5)

    assert ["Started" in call["text"] for call in desk.posted()[1:]] == [True, True, False]


def test_a_post_that_times_out_is_not_overtaken_in_the_same_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(2)
    desk.api.answers["chat.postMessage"] = [TimeoutError(), {"channel": "C0MESH", "ts": "3.3"}]
    desk.milestone()
    desk.milestone(Event.STEP_DONE)
    call = desk.api.api_call

    def slow(method: str, **more: Any) -> Any:
        desk.clock.pass_by(4 * SECOND)  # longer than posts are apart
        return call(method, **more)

    monkeypatch.setattr(desk.api, "api_call", slow)
    desk.passes(5)

    assert ["Started" in call["text"] for call in desk.posted()[1:]] == [True, True, False]


def test_a_process_that_may_have_been_replaced_tells_nothing_until_it_leads() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.say(Placement.NEW, CONTENTS["warning"], "warning/prod")
    desk.leads = False

    with pytest.raises(NotLeader):
        desk.poster.deliver_due()

    assert desk.posted() == []
    desk.leads = True
    desk.passes(3)
    assert desk.statuses() == ["delivered", "delivered"]


def test_a_process_that_is_replaced_in_the_middle_of_a_pass_tells_no_more_of_it() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(3)
    desk.say(Placement.ANCHOR)
    desk.milestone()
    delivered = desk.store.delivered

    def replaced(*args: Any, **more: Any) -> None:
        delivered(*args, **more)
        desk.leads = False

    desk.store.delivered = replaced  # type: ignore[method-assign]
    with pytest.raises(NotLeader):
        desk.poster.deliver_due()

    assert len(desk.api.of("chat.update")) == 1
    assert desk.statuses() == ["delivered", "delivered", "waiting"]


def _failing(*_: object, **__: object) -> None:
    raise StoreError("disk full")


def test_a_restarted_poster_goes_on_in_the_same_card_and_thread() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(3)

    desk.restarted()
    desk.say(Placement.ANCHOR)
    desk.milestone()
    desk.passes(3)

    assert len(desk.api.of("chat.update")) == 1
    assert desk.posted()[-1]["thread_ts"] == "1.000100"


def test_the_thread_delivers_when_it_is_woken_and_survives_a_broken_record() -> None:
    desk = Desk()
    poster = desk.poster
    broken = iter([StoreError("locked"), RuntimeError("bug")])
    due = desk.store.due

    def sometimes(*args: Any, **more: Any) -> Any:
        if fault := next(broken, None):
            raise fault
        return due(*args, **more)

    desk.store.due = sometimes  # type: ignore[method-assign]
    desk.say(Placement.ANCHOR)
    poster.start()
    for _ in range(200):
        poster.wake()
        if desk.statuses() == ["delivered"]:
            break
        poster._stopping.wait(0.01)
    poster.stop()

    assert desk.statuses() == ["delivered"]


def test_a_straggler_file_is_uploaded_into_the_thread() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(2)
    desk.api.answers["files.getUploadURLExternal"] = [
        {"file_id": "F1", "upload_url": "http://127.0.0.1:9/up"}
    ]
    desk.api.answers["files.completeUploadExternal"] = [{"files": [{"id": "F1"}]}]
    uploaded: list[bytes] = []
    desk.api._upload_file = lambda **call: uploaded.append(call["data"]) or _Uploaded()  # type: ignore[method-assign, func-returns-value, assignment]

    desk.say(Placement.REPLY, StragglerFile(name="../stragglers prod.txt", stragglers=STRAGGLERS))
    desk.passes(2)

    [asked] = desk.api.of("files.getUploadURLExternal")
    [completed] = desk.api.of("files.completeUploadExternal")
    assert asked["filename"] == "..-stragglers-prod.txt"
    assert completed["thread_ts"] == "1.000100"
    assert b"shop/istio.cart\tnot_ok\tstill holds" in uploaded[0]
    assert desk.statuses()[-1] == "delivered"


class _Uploaded:
    status = 200
    body = "OK"


def test_without_the_scope_for_files_the_stragglers_are_told_in_words() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(2)
    desk.api.answers["files.getUploadURLExternal"] = ["missing_scope"]

    desk.say(Placement.REPLY, StragglerFile(name="stragglers.txt", stragglers=STRAGGLERS))
    desk.passes(2)

    assert "shop/istio.cart" in json.dumps(desk.posted()[-1]["blocks"])


@pytest.mark.parametrize("no", ["file_uploads_except_images_disabled", "blocked_file_type", "never_heard_of"])
def test_a_file_that_slack_refuses_is_told_in_words_at_once(no: str) -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(2)
    desk.api.answers["files.getUploadURLExternal"] = [no]

    desk.say(Placement.REPLY, StragglerFile(name="stragglers.txt", stragglers=STRAGGLERS))
    desk.milestone()
    desk.passes(4)

    assert "shop/istio.cart" in json.dumps(desk.posted()[-2]["blocks"])
    assert desk.statuses() == ["delivered"] * 3


@pytest.mark.parametrize("trouble", ["internal_error", TimeoutError()])
def test_a_file_that_never_gets_through_is_told_in_words_after_a_while(trouble: Any) -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(2)
    desk.api.answers["files.getUploadURLExternal"] = [trouble]

    desk.say(Placement.REPLY, StragglerFile(name="stragglers.txt", stragglers=STRAGGLERS))
    desk.milestone()
    desk.passes(60)

    assert "shop/istio.cart" in json.dumps(desk.posted()[-2]["blocks"])
    assert desk.statuses() == ["delivered"] * 3


def test_a_message_refused_for_a_reason_of_the_workspaces_own_holds_its_thread_up_for_a_day_only() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(2)
    desk.api.answers["chat.postMessage"] = ["policy_of_ours"]
    desk.milestone()
    desk.milestone(Event.DONE, Placement.BROADCAST)
    began = desk.clock.now()
    while desk.statuses()[1] == "waiting" and desk.clock.now() - began < timedelta(days=2):
        desk.poster.deliver_due()
        desk.clock.pass_by(timedelta(minutes=5))
    given_up_after = desk.clock.now() - began

    desk.api.answers["chat.postMessage"] = [{"channel": "C0MESH", "ts": "3.3"}]
    desk.passes(10 * 60)

    assert timedelta(days=1) <= given_up_after <= timedelta(days=1, minutes=10)
    assert desk.statuses() == ["delivered", "given_up", "delivered"]


def test_a_message_that_cannot_be_drawn_holds_its_thread_up_for_minutes_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(2)

    def render(content: Content, **more: Any) -> Any:
        if isinstance(content, StragglerFile):
            raise ZeroDivisionError
        return render_really(content, **more)

    monkeypatch.setattr("bot.edges.slack.poster.render", render)
    desk.say(Placement.REPLY, StragglerFile(name="stragglers.txt", stragglers=STRAGGLERS))
    desk.milestone()
    desk.passes(30 * 60)

    assert desk.statuses() == ["delivered", "given_up", "delivered"]


def test_an_answer_of_a_proxy_is_known_by_its_status_alone() -> None:
    page = "Received a response in a non-JSON format: <html>502 Bad Gateway, Ray ID 4711</html>"
    response = SlackResponse(
        client=None,
        http_verb="POST",
        api_url="",
        req_args={},
        data={"error": page},
        headers={},
        status_code=502,
    )

    fault = fault_of(SlackApiError(page, response))  # type: ignore[no-untyped-call]

    assert (fault.kind, fault.code) == (Kind.PASSING, "HTTP 502")


def test_an_upload_that_fails_for_now_is_tried_again() -> None:
    desk = Desk()
    desk.api.answers["files.getUploadURLExternal"] = ["internal_error"]

    desk.say(Placement.ANCHOR)
    desk.say(Placement.REPLY, StragglerFile(name="stragglers.txt", stragglers=STRAGGLERS))
    desk.passes(6)

    assert len(desk.api.of("files.getUploadURLExternal")) >= 2
    assert desk.statuses() == ["delivered", "waiting"]


def test_a_decided_card_has_no_buttons_left() -> None:
    desk = Desk()
    desk.say(Placement.ANCHOR)
    desk.passes(3)
    assert desk.rotation is not None
    rejected = desk.rotation.decided(decision("reject")).moved(RotationState.REJECTED, now=NOW)
    desk.store.commit(Change(rotation=rejected))

    desk.say(Placement.ANCHOR)
    desk.passes(1)

    assert '"actions"' in json.dumps(desk.posted()[0]["blocks"])
    assert '"actions"' not in json.dumps(desk.api.of("chat.update")[-1]["blocks"])


def test_a_message_that_cannot_be_drawn_does_not_stop_the_others() -> None:
    desk = Desk()
    broken = replace(a_milestone(Event.STARTED), stragglers=7)  # type: ignore[arg-type]
    desk.say(Placement.NEW, CONTENTS["warning"], "warning/prod")
    row = desk.store.rows[0]
    message = replace(row.queued.message, content=broken)
    desk.store._contents.rows[1] = replace(row, queued=replace(row.queued, message=message))
    desk.say(Placement.NEW, CONTENTS["warning"], "warning/stage")

    desk.passes(3)

    assert desk.statuses() == ["waiting", "delivered"]
    assert "outbox-1" in desk.poster.trouble
