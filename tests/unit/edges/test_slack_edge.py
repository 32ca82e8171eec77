"""The edge against the stand-in of Slack: real Bolt, a real WebSocket, real HTTP."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.approval import Act
from bot.core.findings import Verdict
from bot.core.ids import RotationId, TeamId, UserId
from bot.core.record import Change, Message, Placement, StragglerFile, rotation_subject
from bot.core.replies import Caller, Noted, Refused
from bot.edges.slack.app import SlackEdge, home_team_of, posting_client, web_client
from bot.edges.slack.directory import SlackDirectory
from bot.edges.slack.examine import examine
from bot.edges.slack.poster import Poster
from bot.edges.slack.replies import SlackReplies
from bot.errors import DirectoryUnavailable, SlackError
from bot.sandbox.slack import (
    ADA,
    APPROVERS,
    DORA,
    GRACE,
    GUS,
    MESH_OPS,
    OTHER_TEAM,
    STEN,
    TEAM,
    MethodFault,
    RunningSlack,
    running_slack,
)
from tests.fakes.scheduler import FakeScheduler
from tests.fakes.slack import FakeDesk
from tests.fakes.store import FakeStore
from tests.unit.edges.slack_samples import CARD, PROD, ROTATION_ID, STRAGGLERS, proposed

SUBJECT = rotation_subject(ROTATION_ID)


def until(so: Callable[[], bool], *, seconds: float = 20) -> None:
    """Wait for what the stand-in cannot see: it wakes nobody for it."""
    pause, left = threading.Event(), seconds
    while not so():
        assert left > 0
        pause.wait(0.02)
        left -= 0.02


class RealClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@contextmanager
def connected(slack: RunningSlack, desk: FakeDesk) -> Iterator[SlackEdge]:
    client = web_client(slack.bot_token, base_url=slack.api_url)
    edge = SlackEdge(
        client,
        slack.app_token,
        dialogs=posting_client(slack.bot_token, base_url=slack.api_url),
        desk=desk,
        scheduler=FakeScheduler(at_once=True),
        replies=SlackReplies(client),
        clock=RealClock(),
        meshes=(PROD,),
        lifetime=timedelta(days=3650),
    )
    edge.connect()
    slack.wait_for_connections()
    try:
        yield edge
    finally:
        edge.close()


@pytest.fixture
def slack() -> Iterator[RunningSlack]:
    with running_slack() as running:
        yield running


def poster(slack: RunningSlack, store: FakeStore) -> Poster:
    client = posting_client(slack.bot_token, base_url=slack.api_url)
    return Poster(
        store,
        store,
        client=client,
        channel=MESH_OPS,
        clock=RealClock(),
        approvers=(GRACE, APPROVERS),
        fence=lambda: None,
    )


def a_card(slack: RunningSlack) -> FakeStore:
    store = FakeStore(clock=RealClock())
    message = Message(subject=SUBJECT, placement=Placement.ANCHOR, content=CARD)
    store.commit(Change(rotation=proposed(), messages=(message,)))
    assert poster(slack, store).deliver_due() == 1
    return store


def test_commands_buttons_and_dialogs_arrive_and_the_edge_closes_in_time(slack: RunningSlack) -> None:
    desk = FakeDesk()
    with connected(slack, desk) as edge:
        looked = slack.command(ADA, "/istio-root check prod")
        a_card(slack)
        approved = slack.press(GRACE, "approve")
        opened = slack.press(GRACE, "reject", wait=5)
        sent = slack.submit(GRACE, {"reason": {"reason": "not now"}}, wait=1)
        dialog = slack.command(ADA, "/istio-transition", wait=5)
        planned = slack.submit(
            ADA, {"lifetime": {"lifetime": "3650d"}, "reason": {"reason": "root ends soon"}}, wait=5
        )
        until(lambda: bool(desk.commands[1:]) and len(desk.decisions) == 2 and edge.is_ready())

    assert looked.ok
    assert "Looking at *prod*" in looked.saw[0]["text"]
    assert approved.ok
    assert approved.confirm
    assert opened.view
    assert dialog.view
    assert sent.ok
    assert planned.ok
    assert [(act, note) for _, act, _, note in desk.decisions] == [(Act.APPROVE, ""), (Act.REJECT, "not now")]
    assert {(caller.team, caller.channel) for caller, *_ in desk.decisions} == {(TEAM, MESH_OPS)}
    assert desk.commands[1][1].reason == "root ends soon"


def test_somebody_from_another_organisation_arrives_as_such(slack: RunningSlack) -> None:
    desk = FakeDesk()
    with connected(slack, desk):
        a_card(slack)
        slack.press(STEN, "approve")
        until(lambda: bool(desk.decisions))

    assert desk.decisions[0][0].team == OTHER_TEAM


def test_a_dialog_that_slack_rations_is_told_at_once_and_no_listener_sleeps(slack: RunningSlack) -> None:
    slack.fail("views.open", MethodFault(answer="ratelimited", retry_after=60))
    with connected(slack, FakeDesk()):
        a_card(slack)
        pressed = slack.press(GRACE, "reject", wait=5)

    assert pressed.ok
    assert not pressed.view
    assert any("did not open the dialog" in seen["text"] for seen in pressed.saw)


def test_one_envelope_delivered_twice_is_one_decision(slack: RunningSlack) -> None:
    desk = FakeDesk()
    with connected(slack, desk):
        a_card(slack)
        slack.duplicate_next_envelope()
        slack.press(GRACE, "approve", wait=0.3)
        until(lambda: bool(desk.decisions))

    assert len(desk.decisions) == 1


def test_a_bad_app_token_is_told_with_its_cure(slack: RunningSlack) -> None:
    client = web_client(slack.bot_token, base_url=slack.api_url)
    edge = SlackEdge(
        client,
        "xapp-wrong",
        dialogs=client,
        desk=FakeDesk(),
        scheduler=FakeScheduler(at_once=True),
        replies=SlackReplies(client),
        clock=RealClock(),
        meshes=(PROD,),
        lifetime=timedelta(days=3650),
    )

    with pytest.raises(SlackError, match="invalid_auth") as told:
        edge.connect()
    edge.close()
    assert told.value.hint
    assert not edge.is_ready()


def test_a_bad_bot_token_is_told_with_its_cure(slack: RunningSlack) -> None:
    with pytest.raises(SlackError, match="invalid_auth") as told:
        home_team_of(web_client("xoxb-wrong", base_url=slack.api_url))
    assert "xoxb" in told.value.hint


def test_an_unreachable_slack_is_told() -> None:
    with pytest.raises(SlackError, match="URLError"):
        home_team_of(web_client("xoxb-x", base_url="http://127.0.0.1:9/"))


def test_the_bot_knows_its_home(slack: RunningSlack) -> None:
    client = web_client(slack.bot_token, base_url=slack.api_url)

    assert home_team_of(client) == TEAM


def test_people_are_judged_by_what_slack_says_now(slack: RunningSlack) -> None:
    client = web_client(slack.bot_token, base_url=slack.api_url)
    people = SlackDirectory(client, (APPROVERS,), home_team=TeamId(TEAM))

    assert people.approvers().users == {ADA, GRACE}
    assert people.person(TeamId(TEAM), UserId(GUS)).is_guest
    assert people.person(TeamId(TEAM), UserId(DORA)).deleted
    assert people.person(TeamId(OTHER_TEAM), UserId(STEN)).is_stranger
    assert people.channel_fault(MESH_OPS) is None
    slack.change(lambda w: w.change_channel(MESH_OPS, is_archived=True))
    assert people.channel_fault(MESH_OPS) == "is archived"
    slack.change(lambda w: w.remove_group(APPROVERS))
    with pytest.raises(DirectoryUnavailable, match="no_such_subteam"):
        people.approvers()


def test_replies_go_by_response_url_and_else_by_ephemeral_message(slack: RunningSlack) -> None:
    replies = SlackReplies(web_client(slack.bot_token, base_url=slack.api_url))
    caller = Caller(team=TeamId(TEAM), user=UserId(ADA), name="ada", channel=MESH_OPS)
    stale = Caller(
        team=TeamId(TEAM),
        user=UserId(ADA),
        name="ada",
        channel=MESH_OPS,
        response_url=f"{slack.url}/response/no",
    )

    replies.reply(caller, Noted(sentence="Stopping"))
    replies.reply(stale, Refused(sentence="Too late"))

    assert [one.content.text for one in slack.ephemerals(ADA)] == ["👍 Stopping.", "✋ Too late."]


def test_a_reply_to_a_click_leaves_the_card_alone(slack: RunningSlack) -> None:
    class Refusing(FakeDesk):
        def decide(
            self, caller: Caller, act: Act, rotation_id: RotationId, *, note: str, shown: str = ""
        ) -> None:
            super().decide(caller, act, rotation_id, note=note, shown=shown)
            SlackReplies(web_client(slack.bot_token, base_url=slack.api_url)).reply(
                caller, Refused(sentence="You asked for this rotation")
            )

    with connected(slack, Refusing()):
        a_card(slack)
        outcome = slack.press(ADA, "approve", wait=5)

    assert "You asked" in outcome.saw[0]["text"]
    assert "needs a second person" in slack.messages()[0].content.text


def test_a_reply_that_cannot_be_given_raises_nothing() -> None:
    replies = SlackReplies(posting_client("xoxb-x", base_url="http://127.0.0.1:9/"))
    caller = Caller(
        team=TeamId(TEAM), user=UserId(ADA), name="ada", channel=MESH_OPS, response_url="http://127.0.0.1:9/r"
    )

    replies.reply(caller, Noted(sentence="Stopping"))
    replies.reply(caller, None)  # type: ignore[arg-type]


def test_the_straggler_file_stands_in_the_cards_thread(slack: RunningSlack) -> None:
    store = a_card(slack)
    content = StragglerFile(name="stragglers-prod.txt", stragglers=STRAGGLERS)
    store.commit(Change(messages=(Message(subject=SUBJECT, placement=Placement.REPLY, content=content),)))

    assert poster(slack, store).deliver_due() == 1
    [file] = slack.ask(lambda world: [one.to_record() for one in world.files.values()])
    assert file["thread_ts"] == slack.messages()[0].ts
    assert "shop/istio.cart" in file["content"]


def test_a_deleted_card_comes_back(slack: RunningSlack) -> None:
    store = a_card(slack)
    slack.delete_message(slack.messages()[0].ts)
    slack.fail("chat.update", MethodFault(answer="error", error="message_not_found"))
    anchor = store.anchor(SUBJECT)
    assert anchor is not None
    store.commit(Change(messages=(Message(subject=SUBJECT, placement=Placement.ANCHOR, content=CARD),)))
    second = poster(slack, store)
    for _ in range(40):
        if second.deliver_due():
            break
        second._stopping.wait(0.1)

    assert len(slack.messages()) == 1


def test_doctor_finds_everything_well_in_a_sound_workspace(slack: RunningSlack) -> None:
    client = web_client(slack.bot_token, base_url=slack.api_url)

    findings = examine(client, slack.app_token, channel=MESH_OPS, approvers=(ADA, GRACE))

    assert {f.check_id: f.verdict for f in findings} == {
        f"doctor.slack.{what}": Verdict.OK
        for what in ("token", "app_token", "scopes", "channel", "approvers")
    }


def test_doctor_names_what_is_wrong_and_the_cure(slack: RunningSlack) -> None:
    client = web_client(slack.bot_token, base_url=slack.api_url)

    findings = examine(client, "xapp-wrong", channel="C0NOWHERE1", approvers=(GRACE, GUS, DORA))

    by_id = {f.check_id.removeprefix("doctor.slack."): f for f in findings}
    assert by_id["app_token"].verdict is Verdict.NOT_OK
    assert by_id["channel"].verdict is Verdict.NOT_OK
    assert by_id["approvers"].verdict is Verdict.NOT_OK
    assert "Only U0GRACE001" in by_id["approvers"].summary
    assert any("guest" in one for one in by_id["approvers"].offenders)
    assert all(f.hint for f in findings if f.verdict is not Verdict.OK)


def test_doctor_calls_unknown_what_a_bad_token_hides(slack: RunningSlack) -> None:
    client = web_client("xoxb-wrong", base_url=slack.api_url)

    findings = examine(client, slack.app_token, channel=MESH_OPS, approvers=())

    assert [f.verdict for f in findings] == [
        Verdict.NOT_OK,
        Verdict.OK,
        Verdict.UNKNOWN,
        Verdict.UNKNOWN,
        Verdict.UNKNOWN,
    ]


def test_the_libraries_never_log_what_people_type(
    slack: RunningSlack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with connected(slack, FakeDesk()):
        slack.command(ADA, "/istio-root check -----BEGIN RSA PRIVATE KEY-----MIIEowIBAAKCAQEA7")

    assert "MIIEowIBAAKCAQEA7" not in caplog.text
    assert slack.bot_token not in caplog.text
    assert slack.app_token not in caplog.text


def sends_at_once(edge: SlackEdge) -> bool:
    """Whether an ack waits for no confirmation of the one before."""
    session = edge._handler.client.current_session
    assert session is not None
    assert session.sock is not None
    return bool(session.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_a_lost_socket_is_noticed_and_opened_again(slack: RunningSlack) -> None:
    desk = FakeDesk()
    with connected(slack, desk) as edge:
        assert sends_at_once(edge)
        slack.say_goodbye("refresh_requested")
        # the library lets go of the old socket first: what is typed in between is lost, and said so
        until(lambda: slack.command(ADA, "/istio-root check prod").ok, seconds=30)
        until(lambda: len(desk.commands) >= 1)

        assert edge.is_ready()
        assert sends_at_once(edge)
