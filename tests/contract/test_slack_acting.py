"""People act in the stand-in of Slack and a real slack-bolt app hears of it over Socket Mode."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from bot.sandbox.slack import (
    ADA,
    BOT,
    COMMANDS,
    DORA,
    GRACE,
    GUS,
    MESH_OPS,
    OTHER_TEAM,
    RANDOM,
    STEN,
    TEAM,
    CannotAct,
    Patience,
    RunningSlack,
    running_slack,
)
from tests.contract.bolt_room import CARD, FORM, QUICK, SURE, Clock, Heard, connected, plain

Json = dict[str, Any]


@pytest.fixture(scope="module")
def room() -> Iterator[tuple[RunningSlack, Heard]]:
    """One stand-in with one app connected: closing the SDK's client takes it three seconds."""
    heard = Heard()
    with running_slack(clock=Clock(), patience=QUICK) as slack, connected(slack, heard):
        yield slack, heard


@pytest.fixture
def slack(room: tuple[RunningSlack, Heard]) -> RunningSlack:
    return room[0]


@pytest.fixture
def heard(room: tuple[RunningSlack, Heard]) -> Heard:
    room[1].bodies.clear()
    room[1].answer = None
    return room[1]


@pytest.fixture
def client(slack: RunningSlack) -> WebClient:
    slack.ask(lambda world: setattr(world.clock, "now", world.clock() + 60))  # a fresh rate limit
    return WebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


# -- slash commands ----------------------------------------------------------------------------------


def test_a_command_arrives_with_slacks_fields(slack: RunningSlack, heard: Heard) -> None:
    outcome = slack.command(GUS, "/istio-root   check prod & @ada <now>")

    body = heard.bodies[0]
    assert outcome.ok
    assert body["text"] == "check prod & @ada <now>"
    assert (body["command"], body["user_id"], body["user_name"]) == ("/istio-root", GUS, "gus")
    assert (body["channel_id"], body["channel_name"], body["team_id"]) == (MESH_OPS, "mesh-ops", TEAM)
    assert body["trigger_id"]
    assert body["response_url"].startswith(slack.url)


def test_a_command_that_asks_for_it_arrives_escaped_with_people_as_ids() -> None:
    escaping = tuple(replace(command, should_escape=True) for command in COMMANDS)
    heard = Heard()

    with running_slack(commands=escaping) as slack, connected(slack, heard):
        slack.command(GUS, "/istio-root   check prod & @ada <now>")

    assert heard.bodies[0]["text"] == f"check prod &amp; <@{ADA}|ada> &lt;now&gt;"


def test_a_driver_may_wait_for_the_first_thing_shown(slack: RunningSlack, heard: Heard) -> None:
    heard.answer = "looking"

    shown = slack.command(ADA, "/istio-root check", wait=30)
    heard.answer = None
    nothing = slack.command(ADA, "/istio-root check", wait=0.01)

    assert (len(shown.saw), nothing.saw) == (1, ())


def test_an_acknowledgement_with_text_is_shown_to_that_person_alone(
    slack: RunningSlack, heard: Heard
) -> None:
    heard.answer = "looking"

    outcome = slack.command(ADA, "/istio-root check")

    assert [one["text"] for one in outcome.saw] == ["looking"]
    assert all(one.content.text != "looking" for one in slack.ephemerals(GRACE))


def test_a_command_that_is_not_acknowledged_in_time_fails_in_slacks_words(
    slack: RunningSlack, heard: Heard
) -> None:
    outcome = slack.command(ADA, "/istio-check")
    heard.release.set()

    assert outcome.error == '/istio-check failed with the error "operation_timeout"'
    assert outcome.saw[-1]["sender"] == "slack"


def test_a_command_that_is_not_registered_never_reaches_the_app(slack: RunningSlack, heard: Heard) -> None:
    outcome = slack.command(ADA, "/istio-rot check")

    assert str(outcome.error).startswith("/istio-rot is not a valid command.")
    assert heard.bodies == []


def test_a_command_works_where_the_app_is_not_but_only_for_members(slack: RunningSlack, heard: Heard) -> None:
    assert slack.command(ADA, "/istio-root check", channel=RANDOM).ok
    with pytest.raises(CannotAct, match="sten is not in #random"):
        slack.command(STEN, "/istio-root check", channel=RANDOM)
    with pytest.raises(CannotAct, match="dora cannot act: deactivated"):
        slack.command(DORA, "/istio-root check")


# -- presses -----------------------------------------------------------------------------------------


def test_a_press_by_somebody_from_outside_carries_both_teams(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="card", blocks=CARD)["ts"]

    outcome = slack.press(STEN, "go", ts=ts)

    body = heard.bodies[0]
    assert (body["user"]["id"], body["user"]["team_id"], body["team"]["id"]) == (STEN, OTHER_TEAM, TEAM)
    assert body["actions"][0]["value"] == "r1"
    assert body["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": MESH_OPS,
        "is_ephemeral": False,
    }
    assert (body["message"]["ts"], body["message"]["blocks"]) == (ts, CARD)
    assert outcome.confirm == SURE


def test_a_choice_in_a_menu_carries_the_option(slack: RunningSlack, heard: Heard, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="card", blocks=CARD)["ts"]

    slack.press(ADA, "pick", ts=ts, value="2")

    assert heard.bodies[0]["actions"][0]["selected_option"]["text"]["text"] == "Two"


def test_only_a_forger_presses_what_is_not_there(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="card", blocks=CARD)["ts"]
    client.chat_update(channel=MESH_OPS, ts=ts, text="decided")

    with pytest.raises(CannotAct):
        slack.press(GRACE, "go", ts=ts)
    slack.press(GRACE, "go", ts=ts, forged=True)
    slack.press(DORA, "go", ts=ts, value="../other", forged=True)
    slack.press(BOT, "never-shown", ts=ts, value="x" * 2000, forged=True)

    pressed = [(body["user"]["id"], body["actions"][0]["value"]) for body in heard.bodies]
    assert pressed == [(GRACE, "r1"), (DORA, "../other"), (BOT, "x" * 2000)]
    assert heard.bodies[0]["message"]["blocks"] == CARD


def test_an_envelope_delivered_twice_is_heard_twice(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="card", blocks=CARD)["ts"]
    slack.duplicate_next_envelope()

    slack.press(GRACE, "go", ts=ts)
    slack.wait_for(lambda world: world.deliveries[-1].acks == 2)

    assert [body["trigger_id"] for body in heard.bodies] == [heard.bodies[0]["trigger_id"]] * 2


def test_an_old_payload_can_be_replayed(slack: RunningSlack, heard: Heard, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="card", blocks=CARD)["ts"]
    slack.press(GRACE, "go", ts=ts)
    old = slack.record()["deliveries"][-1]

    outcome = slack.deliver(old["kind"], old["payload"])

    assert outcome == "acked"
    assert heard.bodies[0] == heard.bodies[1]
    assert old["envelope_id"] != slack.record()["deliveries"][-1]["envelope_id"]


def test_a_lost_envelope_times_out_for_the_person(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="card", blocks=CARD)["ts"]
    slack.lose_next_envelope()

    outcome = slack.press(GRACE, "go", ts=ts)

    assert outcome.error == "Operation timed out. Apps need to respond within 3 seconds."
    assert heard.bodies == []


# -- trigger ids and dialogs -------------------------------------------------------------------------


def trigger(slack: RunningSlack, heard: Heard) -> str:
    slack.command(ADA, "/istio-root transition")
    return str(heard.bodies.pop()["trigger_id"])


def view_error(client: WebClient, trigger_id: str, view: Json) -> str:
    with pytest.raises(SlackApiError) as refused:
        client.views_open(trigger_id=trigger_id, view=view)
    return str(refused.value.response["error"])


def test_a_trigger_id_is_good_once_and_for_three_seconds(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    used, old = trigger(slack, heard), trigger(slack, heard)
    client.views_open(trigger_id=used, view=FORM)
    slack.ask(lambda world: setattr(world.clock, "now", world.clock() + 3.1))

    assert view_error(client, used, FORM) == "exchanged_trigger_id"
    assert view_error(client, old, FORM) == "expired_trigger_id"
    assert view_error(client, "1.2.3", FORM) == "invalid_trigger_id"


def test_a_wrong_dialog_is_refused_and_leaves_the_trigger_alone(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    trigger_id = trigger(slack, heard)
    big = {**FORM, "blocks": [{"type": "section", "text": plain("é" * 3000)}] * 60}  # 6 bytes each

    assert view_error(client, trigger_id, {**FORM, "title": plain("x" * 25)}) == "invalid_arguments"
    assert view_error(client, trigger_id, big) == "view_too_large"
    assert client.views_open(trigger_id=trigger_id, view=FORM)["view"]["callback_id"] == "why"


def test_a_dialog_is_filled_refused_corrected_and_sent(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    client.views_open(trigger_id=trigger(slack, heard), view=FORM)

    empty = slack.submit(ADA, {})
    heard.answer = {"response_action": "errors", "errors": {"reason": "Too short."}}
    refused = slack.submit(ADA, {"reason": {"text": "no"}})
    heard.answer = None
    taken = slack.submit(ADA, {"reason": {"text": "It expires."}, "mode": {"m": "2"}})

    assert empty.errors == {"reason": "Please complete this required field."}
    assert (refused.ok, refused.errors) == (False, {"reason": "Too short."})
    assert (taken.ok, taken.view) == (True, None)
    view = heard.bodies[-1]["view"]
    assert (view["private_metadata"], view["app_installed_team_id"]) == ("kept", TEAM)
    assert view["state"]["values"]["reason"]["text"] == {"type": "plain_text_input", "value": "It expires."}
    assert view["state"]["values"]["mode"]["m"]["selected_option"]["value"] == "2"


def test_an_acknowledgement_may_show_another_dialog_but_no_wrong_one(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    client.views_open(trigger_id=trigger(slack, heard), view=FORM)
    filled = {"reason": {"text": "because"}}

    heard.answer = {"response_action": "errors", "errors": {"nowhere": "x"}}
    wrong = slack.submit(ADA, filled)
    heard.answer = {"response_action": "update", "view": {**FORM, "title": plain("Thanks")}}
    updated = slack.submit(ADA, filled)
    heard.answer = {"response_action": "clear"}
    cleared = slack.submit(ADA, filled)

    assert wrong.error == "We had some trouble connecting. Try again?"
    assert updated.view is not None
    assert updated.view["title"]["text"] == "Thanks"
    assert cleared.view is None


def test_an_update_with_an_old_hash_is_a_conflict(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    view = client.views_open(trigger_id=trigger(slack, heard), view=FORM)["view"]
    client.views_update(view_id=view["id"], hash=view["hash"], view=FORM)

    with pytest.raises(SlackApiError, match="hash_conflict"):
        client.views_update(view_id=view["id"], hash=view["hash"], view=FORM)


def test_an_app_that_asked_is_told_of_a_closed_dialog(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    view = client.views_open(trigger_id=trigger(slack, heard), view=FORM)["view"]

    slack.close_view(ADA)

    assert heard.bodies[-1]["type"] == "view_closed"
    with pytest.raises(SlackApiError, match="not_found"):
        client.views_update(view_id=view["id"], view=FORM)


def test_opening_the_home_tab_is_an_event_and_publishing_shows_it(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    slack.open_home(GRACE)
    slack.wait_for(lambda world: world.deliveries[-1].outcome == "acked")
    client.views_publish(user_id=GRACE, view={"type": "home", "blocks": [{"type": "divider"}]})

    assert heard.bodies[-1]["event"]["user"] == GRACE
    assert slack.ask(lambda world: world.views.homes[GRACE].source["type"]) == "home"


# -- response_url ------------------------------------------------------------------------------------


def test_a_response_url_is_good_for_five_uses_within_half_an_hour(slack: RunningSlack, heard: Heard) -> None:
    slack.command(ADA, "/istio-root check")
    slack.command(ADA, "/istio-root check")
    used, old = (WebhookClient(body["response_url"]) for body in heard.bodies)

    answers = [used.send(text=f"answer {number}") for number in range(6)]
    slack.ask(lambda world: setattr(world.clock, "now", world.clock() + 1801))
    late = old.send(text="late")

    assert [answer.status_code for answer in answers] == [200] * 5 + [404]
    assert ("used_url" in answers[-1].body, "expired_url" in late.body) == (True, True)
    assert [one.content.text for one in slack.ephemerals(ADA)][-5:] == [f"answer {n}" for n in range(5)]


def test_a_response_url_changes_the_message_it_came_from(
    slack: RunningSlack, heard: Heard, client: WebClient
) -> None:
    client.chat_postEphemeral(channel=MESH_OPS, user=GRACE, text="choose", blocks=CARD)
    slack.press(GRACE, "go")
    url = WebhookClient(heard.bodies[0]["response_url"])

    url.send(text="chosen", replace_original=True)
    replaced = slack.ephemerals(GRACE)[-1]
    url.send(text="", delete_original=True)

    assert (replaced.content.text, replaced.content.blocks) == ("chosen", ())
    assert slack.ephemerals(GRACE)[-1].deleted
    assert url.send(text="x", blocks=[{"type": "sektion"}]).status_code == 400


# -- connections -------------------------------------------------------------------------------------


def test_without_a_connection_a_command_fails_at_once() -> None:
    with running_slack() as slack:
        outcome = slack.command(ADA, "/istio-root check")

    assert outcome.error == '/istio-root failed with the error "dispatch_failed"'


@pytest.mark.parametrize("how", ["close", "refresh_requested"])
def test_an_app_that_is_sent_away_comes_back(how: Any) -> None:
    heard = Heard()
    patient = Patience(ack=30)  # the SDK answers on a new connection only once it has let go of the old one
    with running_slack(patience=patient) as slack, connected(slack, heard):
        slack.say_goodbye(how)
        slack.wait_for(lambda world: sum("open" in call.method for call in world.calls) == 2, seconds=30)
        slack.wait_for_connections(seconds=30)

        assert slack.command(ADA, "/istio-root check").ok
