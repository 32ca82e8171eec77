"""What is delivered, acked and handed over. The attacks are those of facts/approvals.md, by number."""

import json
from datetime import timedelta
from typing import Any

import pytest
import structlog.testing
from slack_sdk.errors import SlackClientError

from bot.core.approval import Act
from bot.core.ids import UserId
from bot.core.intent import Verb
from bot.core.replies import Begun, Caller, Refused
from bot.edges.slack.listeners import MOST_REMEMBERED, Repeats
from bot.edges.slack.reading import looks_secret
from bot.edges.slack.render.dialogs import answered_in_dialog
from bot.edges.slack.replies import SlackReplies
from tests.fakes.slack import HOME
from tests.unit.edges.slack_payloads import CHANNEL, Bench, command, press, said, submission
from tests.unit.edges.slack_samples import OFFER, PROD, ROTATION_ID, StoppedClock

SECRET = "-----BEGIN RSA PRIVATE KEY-----MIIEowIBAAKCAQEA7"


def test_check_is_acked_at_once_with_a_word_for_the_caller_and_handed_over() -> None:
    bench = Bench()

    response = bench.send(command("check prod"))

    assert response.status == 200
    assert json.loads(response.body)["response_type"] == "ephemeral"
    assert "Looking at *prod*" in said(response)
    [(caller, intent)] = bench.desk.commands
    assert (intent.verb, intent.mesh) == (Verb.CHECK, PROD)
    assert (caller.team, caller.user, caller.channel) == (HOME, "U0ANNA", CHANNEL)
    assert caller.response_url


@pytest.mark.parametrize(("name", "verb"), [("/istio-check", Verb.CHECK), ("/istio-verify", Verb.VERIFY)])
def test_short_names_stand_for_their_verb(name: str, verb: Verb) -> None:
    bench = Bench()

    bench.send(command("prod", name=name))

    assert [intent.verb for _, intent in bench.desk.commands] == [verb]


@pytest.mark.parametrize("name_and_text", [("/istio-root", "transition"), ("/istio-transition", "")])
def test_a_transition_without_details_opens_the_dialog_and_nothing_else(
    name_and_text: tuple[str, str],
) -> None:
    bench = Bench()

    response = bench.send(command(name_and_text[1], name=name_and_text[0]))

    assert response.status == 200
    assert said(response) == ""
    [opened] = bench.api.of("views.open")
    assert opened["trigger_id"].endswith("trigger")
    assert opened["view"]["callback_id"] == "transition"
    assert bench.desk.commands == []


def test_a_transition_with_its_details_needs_no_dialog() -> None:
    bench = Bench()

    bench.send(command("transition prod lifetime=5y root &amp; branch end soon"))

    [(_, intent)] = bench.desk.commands
    assert intent.spelled_out
    assert intent.lifetime == timedelta(days=5 * 365)
    assert intent.reason == "root & branch end soon"
    assert bench.api.of("views.open") == []


def test_the_dialog_offers_the_meshes_when_there_are_several() -> None:
    bench = Bench("prod", "stage")

    bench.send(command("transition"))

    view = bench.api.of("views.open")[0]["view"]
    assert [block["block_id"] for block in view["blocks"] if block["type"] == "input"] == [
        "mesh",
        "lifetime",
        "reason",
    ]


def test_a_dialog_that_slack_does_not_open_is_told_and_the_words_offered() -> None:
    bench = Bench()
    bench.api.answers["views.open"] = ["expired_trigger_id"]

    bench.send(command("transition"))

    [(_, reply)] = bench.replies.said
    assert isinstance(reply, Refused)
    assert "type it" in reply.hint


@pytest.mark.parametrize("trouble", [TimeoutError(), SlackClientError()])
def test_a_dialog_that_cannot_be_opened_for_the_network_is_told_too(trouble: Exception) -> None:
    bench = Bench()
    bench.api.answers["views.open"] = [trouble]

    bench.send(command("transition"))

    assert len(bench.replies.said) == 1


def test_an_unknown_command_is_answered_with_what_was_meant() -> None:
    bench = Bench()

    response = bench.send(command("chekc prod"))

    assert "Did you mean `check`?" in said(response)
    assert bench.desk.commands == []


def test_help_lists_every_command_and_needs_nobody() -> None:
    bench = Bench()

    body = bench.send(command("help")).body

    assert all(verb in body for verb in Verb)
    assert bench.desk.commands == []


@pytest.mark.parametrize(
    "text",
    [
        f"check {SECRET}",
        "transition prod " + "LS0tLS1CRUdJTi" + "BSU0EgUFJJVkFURSBLRVktLS0tLQo",
        "transition prod MII" + "E" + "A" * 300,
        "check xoxb-1234567890-abcdef",
    ],
)
def test_a_pasted_key_is_refused_and_neither_echoed_nor_logged(text: str) -> None:
    bench = Bench()

    with structlog.testing.capture_logs() as logs:
        response = bench.send(command(text))

    assert "private key" in said(response)
    for pasted in text.split()[1:]:
        assert len(pasted) < 8 or pasted not in response.body + str(logs)
    assert bench.desk.commands == []


def test_an_ordinary_reason_does_not_look_secret() -> None:
    assert not looks_secret("root ends on 5 December; the key stays private. MIIS-4711")


@pytest.mark.parametrize(
    ("button", "act"),
    [
        ("approve", Act.APPROVE),
        ("cancel", Act.CANCEL),
        ("keep_waiting", Act.KEEP_WAITING),
        ("roll_back", Act.ROLL_BACK),
    ],
)
def test_a_button_hands_its_decision_over(button: str, act: Act) -> None:
    bench = Bench()

    response = bench.send(press(button))

    assert response.status == 200
    [(caller, decided, rotation_id, note)] = bench.desk.decisions
    assert (decided, rotation_id, note) == (act, ROTATION_ID, "")
    assert (caller.team, caller.user, caller.channel) == (HOME, "U0BEN", CHANNEL)


def test_reject_asks_for_the_reason_and_the_dialog_decides() -> None:
    bench = Bench()

    bench.send(press("reject"))
    view = bench.api.of("views.open")[0]["view"]
    assert bench.desk.decisions == []
    bench.send(submission("rejection", view["private_metadata"], {"reason": "not now"}))

    [(caller, act, rotation_id, note)] = bench.desk.decisions
    assert (act, rotation_id, note) == (Act.REJECT, ROTATION_ID, "not now")
    assert (caller.user, caller.channel) == ("U0BEN", CHANNEL)


def test_end_here_opens_the_dialog_has_it_filled_and_the_dialog_decides_for_what_it_shows() -> None:
    bench = Bench()
    bench.api.answers["views.open"] = [{"view": {"id": "V7"}}]

    bench.send(press("end_here"))
    [(waiting, considered)] = bench.desk.considered
    assert bench.desk.decisions == []
    bench.desk.considered.clear()
    carried = json.loads(answered_in_dialog(OFFER, channel=CHANNEL)["private_metadata"])
    response = bench.send(submission("ending", carried, {"reason": "waits for a node"}))

    assert (considered, waiting.user, waiting.channel, waiting.view) == (ROTATION_ID, "U0BEN", CHANNEL, "V7")
    assert "submit" not in bench.api.of("views.open")[0]["view"]
    assert (response.status, response.body) == (200, "")
    [(caller, act, rotation_id, note)] = bench.desk.decisions
    assert (act, rotation_id, note, bench.desk.confirmed) == (
        Act.END,
        ROTATION_ID,
        "waits for a node",
        [OFFER.shown],
    )
    assert (caller.user, caller.channel, caller.view) == ("U0BEN", CHANNEL, "")
    assert bench.desk.considered == []


def test_an_ending_whose_dialog_slack_does_not_open_is_told_and_nothing_is_looked_at() -> None:
    bench = Bench()
    bench.api.answers["views.open"] = ["expired_trigger_id"]

    bench.send(press("end_here"))

    assert bench.desk.considered == []
    assert isinstance(bench.replies.said[0][1], Refused)


def test_an_answer_goes_into_the_dialog_that_awaits_it_and_else_to_the_person() -> None:
    bench = Bench()
    awaiting = Caller(team=HOME, user=UserId("U0BEN"), name="Ben", channel=CHANNEL, view="V7")
    replies = SlackReplies(bench.api)

    replies.reply(awaiting, OFFER)
    bench.api.answers["views.update"] = ["not_found"]
    replies.reply(awaiting, OFFER)

    first, second = bench.api.of("views.update")
    assert (first["view_id"], first["view"]["callback_id"]) == ("V7", "ending")
    assert second["view_id"] == "V7"
    [ephemeral] = bench.api.of("chat.postEphemeral")
    assert "Nothing was decided" in ephemeral["text"]


def test_the_transition_dialog_is_the_same_intent_as_the_words() -> None:
    bench = Bench()
    values = {"lifetime": "1825d", "reason": "root ends\nsoon"}

    response = bench.send(submission("transition", {"mesh": "prod", "channel": CHANNEL}, values))

    assert (response.status, response.body) == (200, "")
    [(caller, intent)] = bench.desk.commands
    assert (intent.verb, intent.mesh, intent.reason) == (Verb.TRANSITION, PROD, "root ends soon")
    assert intent.lifetime == timedelta(days=1825)
    assert intent.spelled_out
    assert caller.channel == CHANNEL
    assert isinstance(bench.replies.said[0][1], Begun), "a dialog closes without a word"


@pytest.mark.parametrize("dialog", ["transition", "rejection", "ending"])
def test_a_key_pasted_into_a_dialog_is_refused_in_the_dialog(dialog: str) -> None:
    bench = Bench()
    values = {"lifetime": "1825d", "reason": SECRET}
    carried = {"mesh": "prod", "rotation": ROTATION_ID, "channel": CHANNEL}

    response = bench.send(submission(dialog, carried, values))

    assert json.loads(response.body)["response_action"] == "errors"
    assert "reason" in json.loads(response.body)["errors"]
    assert SECRET not in response.body
    assert bench.desk.commands == []
    assert bench.desk.decisions == []


@pytest.mark.parametrize(
    "carried",
    [
        "",
        "not json",
        "[]",
        {"mesh": "elsewhere", "channel": CHANNEL},
        {"rotation": "../../etc", "channel": CHANNEL},
        {"rotation": 7},
    ],
)
@pytest.mark.parametrize("dialog", ["transition", "rejection", "ending"])
def test_a_dialog_that_carries_nonsense_decides_nothing(dialog: str, carried: Any) -> None:
    bench = Bench()

    response = bench.send(submission(dialog, carried, {"lifetime": "1825d", "reason": "why not"}))

    assert response.status == 200
    assert bench.desk.commands == []
    assert bench.desk.decisions == []
    assert isinstance(bench.replies.said[0][1], Refused)


def test_attack_2_an_outsider_in_a_shared_channel_comes_with_their_own_team() -> None:
    bench = Bench()

    bench.send(press("approve", team="T0ELSEWHERE"))

    [(caller, *_)] = bench.desk.decisions
    assert caller.team == "T0ELSEWHERE"


def test_attack_2_a_payload_without_the_persons_team_has_none() -> None:
    bench = Bench()
    body = press("approve")
    del body["user"]["team_id"]

    bench.send(body)

    assert bench.desk.decisions[0][0].team == ""


def test_attack_2_a_dialog_too_comes_with_the_senders_own_team() -> None:
    bench = Bench()
    carried = {"rotation": ROTATION_ID, "channel": CHANNEL}

    bench.send(submission("rejection", carried, {"reason": "mine"}, team="T0ELSEWHERE"))

    assert bench.desk.decisions[0][0].team == "T0ELSEWHERE"


@pytest.mark.parametrize(
    "body",
    [
        press("approve"),
        command("check prod"),
        submission("rejection", {"rotation": ROTATION_ID, "channel": CHANNEL}, {"reason": "no, thanks"}),
    ],
    ids=["click", "command", "dialog"],
)
def test_attack_4_the_same_delivery_twice_is_handed_over_once(body: dict[str, Any]) -> None:
    bench = Bench()

    first, second = bench.send(dict(body)), bench.send(dict(body))

    assert (first.status, second.status) == (200, 200)
    assert second.body == ""
    assert len(bench.desk.decisions) + len(bench.desk.commands) == 1


def test_attack_4_a_delivery_without_a_trigger_is_recognised_by_its_view_and_values() -> None:
    bench = Bench()
    body = submission("rejection", {"rotation": ROTATION_ID, "channel": CHANNEL}, {"reason": "no, thanks"})
    del body["trigger_id"]

    bench.send(dict(body))
    bench.send(dict(body))

    assert len(bench.desk.decisions) == 1


def test_a_second_click_of_ones_own_is_handed_over_too() -> None:
    bench = Bench()

    bench.send(press("approve"))
    bench.send(press("approve"))

    assert len(bench.desk.decisions) == 2


def test_deliveries_are_forgotten_after_ten_minutes_and_never_too_many_are_kept() -> None:
    clock = StoppedClock()
    repeats = Repeats(clock)

    assert repeats.is_new("a")
    assert not repeats.is_new("a")
    clock.pass_by(timedelta(minutes=10))
    assert repeats.is_new("a")
    for number in range(2 * MOST_REMEMBERED):
        repeats.is_new(str(number))
    assert len(repeats._seen) <= MOST_REMEMBERED


@pytest.mark.parametrize(
    "value",
    ["", "x" * 2000, '{"id": 1}', "../etc/passwd", ROTATION_ID + "\n", ROTATION_ID.upper(), "5f0c", None, 7],
)
@pytest.mark.parametrize("button", ["approve", "reject", "end_here"])
def test_attack_7_a_forged_value_is_refused_politely_and_logged(button: str, value: Any) -> None:
    bench = Bench()

    with structlog.testing.capture_logs() as logs:
        bench.send(press(button, value))

    assert bench.desk.decisions == []
    assert bench.api.of("views.open") == []
    assert isinstance(bench.replies.said[0][1], Refused)
    assert [log["event"] for log in logs] == ["strange payload refused"]
    assert str(value) not in str(logs) or not value


def test_attack_7_a_payload_with_two_actions_decides_nothing() -> None:
    bench = Bench()
    body = press("approve")
    body["actions"] = [*body["actions"], dict(body["actions"][0], action_id="cancel")]

    bench.send(body)

    assert bench.desk.decisions == []
    assert isinstance(bench.replies.said[0][1], Refused)


@pytest.mark.parametrize("user", ["U0BOT", "USLACK", "USLACKBOT", "B0BOT"])
def test_attack_14_a_bots_click_reaches_the_desk_as_what_it_is(user: str) -> None:
    bench = Bench()

    bench.send(press("approve", user=user))

    assert bench.desk.decisions[0][0].user == user


@pytest.mark.parametrize("channel", ["D0ANNA", "C0OTHER", "G0PRIVATE"])
def test_attack_20_commands_and_clicks_come_with_the_channel_they_were_made_in(channel: str) -> None:
    bench = Bench()

    bench.send(command("check prod", channel=channel))
    bench.send(press("approve", channel=channel))

    assert bench.desk.commands[0][0].channel == channel
    assert bench.desk.decisions[0][0].channel == channel


def test_a_listener_with_a_bug_logs_the_trace_without_the_payload() -> None:
    bench = Bench()
    bench.listeners._meshes = None  # type: ignore[assignment]

    with structlog.testing.capture_logs() as logs:
        response = bench.send(command("check prod-of-mine"))

    assert response.status == 500
    assert [log["event"] for log in logs] == ["listener failed"]
    assert "prod-of-mine" not in str(logs)


def test_work_that_no_worker_takes_is_told_and_stays_acked() -> None:
    bench = Bench()
    bench.scheduler.soon = None  # type: ignore[assignment, method-assign]
    bench.desk.says = Refused(sentence="It is stopping")

    with structlog.testing.capture_logs() as logs:
        response = bench.send(press("approve"))

    assert response.status == 200
    assert [log["event"] for log in logs] == ["work not taken"]
    assert [reply for _, reply in bench.replies.said] == [bench.desk.says]


def test_a_bot_that_is_stopping_answers_in_the_ack_or_itself() -> None:
    bench = Bench()
    bench.scheduler.stop()
    bench.desk.says = Refused(sentence="It is stopping")

    typed, pressed = bench.send(command("check prod")), bench.send(press("approve"))

    assert "It is stopping" in said(typed)
    assert pressed.body == ""
    assert [reply for _, reply in bench.replies.said] == [bench.desk.says]


@pytest.mark.parametrize(
    ("typed", "acked"),
    [
        ("check prod", "Looking at *prod*"),
        ("verify prod", "Looking at everything in *prod* that holds its root"),
        ("transition prod the root ends soon", "Looking at *prod* to make a plan"),
    ],
)
def test_an_ack_says_what_is_being_looked_at(typed: str, acked: str) -> None:
    bench = Bench()

    response = bench.send(command(typed))

    assert acked in said(response)


@pytest.mark.parametrize("typed", ["status", "history prod", "cancel prod"])
def test_an_ack_is_silent_where_the_answer_itself_follows_at_once(typed: str) -> None:
    bench = Bench()

    response = bench.send(command(typed))

    assert response.status == 200
    assert response.body == ""
    assert [intent.verb for _, intent in bench.desk.commands] == [typed.split(maxsplit=1)[0]]


def test_a_button_of_another_version_is_refused_politely() -> None:
    bench = Bench()

    response = bench.send(press("approve_and_pray"))

    assert response.status == 200
    assert isinstance(bench.replies.said[0][1], Refused)
