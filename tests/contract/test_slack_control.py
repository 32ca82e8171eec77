"""The control API of the stand-in of Slack: everything a page or a driver does, and who may not."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox.slack import ADA, APPROVERS, GRACE, MESH_OPS, RunningSlack, SlackStandIn, running_slack

Json = dict[str, Any]
BUTTON = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}, "value": "1"}
CARD = [{"type": "actions", "block_id": "keys", "elements": [BUTTON]}]


@pytest.fixture
def slack() -> Iterator[RunningSlack]:
    with running_slack() as running:
        yield running


@pytest.fixture
def client(slack: RunningSlack) -> WebClient:
    return WebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


def send(slack: RunningSlack, path: str, body: Json | None = None, **headers: str) -> tuple[int, Json]:
    """A request with a JSON body (or a GET without one): HTTP status and decoded answer."""
    data = None if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(slack.url + path, data=data, headers={**kind, **named})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            text = refused.read().decode()
        return refused.code, json.loads(text) if text.startswith("{") else {"text": text}


# -- who may not -------------------------------------------------------------------------------------

STRANGERS = [
    ("another web page", {"Origin": "https://evil.example"}),
    ("a page of another port", {"Origin": "http://127.0.0.1:1"}),
    ("a page in a frame of another site", {"Sec_Fetch_Site": "cross-site"}),
    ("a form, which needs no preflight", {"Content_Type": "text/plain"}),
    ("a name that somebody's DNS points here", {"Host": "evil.example"}),
]


@pytest.mark.parametrize(("sentence", "headers"), STRANGERS, ids=[row[0] for row in STRANGERS])
def test_a_stranger_cannot_act(slack: RunningSlack, sentence: str, headers: dict[str, str]) -> None:
    status, _ = send(slack, "/sandbox/command", {"user": "ada", "text": "hello"}, **headers)

    assert status == 403
    assert slack.messages() == []


def test_a_rebound_name_cannot_even_read(slack: RunningSlack) -> None:
    assert send(slack, "/sandbox/state", Host="evil.example")[0] == 403


def test_the_own_page_acts(slack: RunningSlack) -> None:
    body = {"user": "ada", "text": "hello"}

    status, _ = send(slack, "/sandbox/command", body, Origin=slack.url, Sec_Fetch_Site="same-origin")

    assert (status, [message.content.text for message in slack.messages()]) == (200, ["hello"])


def test_the_page_runs_no_script_but_its_own(slack: RunningSlack) -> None:
    with urllib.request.urlopen(slack.url + "/") as answer:
        policy = answer.headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_it_listens_on_the_loopback_address_only() -> None:
    with pytest.raises(ValueError, match="loopback"), running_slack(host="0.0.0.0"):
        pass  # pragma: no cover

    assert SlackStandIn().url == ""


# -- what can be done --------------------------------------------------------------------------------


def test_the_state_shows_channels_threads_and_people(slack: RunningSlack, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=MESH_OPS, text="card", blocks=CARD)["ts"]
    client.chat_postMessage(channel=MESH_OPS, text="reply", thread_ts=parent)
    client.chat_postEphemeral(channel=MESH_OPS, user=ADA, text="for Ada")

    _, state = send(slack, "/sandbox/state")

    card = state["channels"][0]["messages"][0]
    assert (card["text"], card["edit_count"], card["replies"][0]["text"]) == ("card", 0, "reply")
    assert state["ephemerals"][0] | {"ts": "", "at": 0} == {
        "ts": "",
        "channel": MESH_OPS,
        "user": ADA,
        "sender": "app",
        "thread_ts": None,
        "deleted": False,
        "at": 0,
        "text": "for Ada",
    }
    assert [person["name"] for person in state["people"]][:3] == ["ada", "grace", "gus"]
    assert state["app"]["connections"] == 0


def test_a_poll_waits_for_the_next_change(slack: RunningSlack, client: WebClient) -> None:
    _, before = send(slack, "/sandbox/state")
    _, idle = send(slack, f"/sandbox/state?since={before['version']}&seconds=0.01")
    client.chat_postMessage(channel=MESH_OPS, text="news")
    _, after = send(slack, f"/sandbox/state?since={before['version']}&seconds=25")

    assert idle["version"] == before["version"]
    assert after["version"] > before["version"]


def test_a_press_without_a_connection_fails_in_slacks_words(slack: RunningSlack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="card", blocks=CARD)["ts"]

    status, outcome = send(slack, "/sandbox/press", {"user": "grace", "ts": ts, "action_id": "go"})

    assert (status, outcome["ok"]) == (200, False)
    assert outcome["saw"][0]["sender"] == "slack"
    assert "dispatch_failed" in outcome["error"]


IMPOSSIBLE = [
    ("nobody", "command", {"user": "eve", "text": "hi"}, 409, "nobody here is called eve"),
    ("a deactivated person", "command", {"user": "dora", "text": "hi"}, 409, "deactivated"),
    ("a bot", "command", {"user": "rootkeeper", "text": "hi"}, 409, "an app"),
    ("no channel", "command", {"user": "ada", "text": "hi", "channel": "attic"}, 409, "no channel attic"),
    ("no button", "press", {"user": "ada", "action_id": "go"}, 409, "no go to press"),
    ("no dialog", "submit", {"user": "ada", "values": {}}, 409, "no such dialog"),
    ("no text", "command", {"user": "ada"}, 400, "bad request"),
    ("no such fault", "fault", {"kind": "flood"}, 409, "no such fault"),
    ("no such answer", "fault", {"kind": "method", "method": "x", "answer": "maybe"}, 409, "no such answer"),
    ("no such message", "fault", {"kind": "delete_message", "channel": "C", "ts": "1"}, 409, "no message"),
    ("no such field", "change", {"kind": "person", "id": ADA, "set": {"age": 3}}, 400, "bad request"),
]


@pytest.mark.parametrize(
    ("sentence", "act", "body", "status", "error"), IMPOSSIBLE, ids=[r[0] for r in IMPOSSIBLE]
)
def test_the_impossible_is_refused_with_its_reason(
    slack: RunningSlack, sentence: str, act: str, body: Json, status: int, error: str
) -> None:
    answered, answer = send(slack, f"/sandbox/{act}", body)

    assert answered == status
    assert error in str(answer["error"])


def test_faults_can_be_ordered_from_outside(slack: RunningSlack, client: WebClient) -> None:
    order = {"kind": "method", "method": "auth.test", "answer": "ratelimited", "retry_after": 7, "times": 1}

    send(slack, "/sandbox/fault", order)

    with pytest.raises(SlackApiError) as limited:
        client.auth_test()
    assert limited.value.response.headers["Retry-After"] == "7"
    assert client.auth_test()["ok"]


def test_a_message_can_be_deleted_from_outside(slack: RunningSlack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="card")["ts"]

    send(slack, "/sandbox/fault", {"kind": "delete_message", "channel": MESH_OPS, "ts": ts})

    assert slack.messages() == []
    assert slack.record()["channels"][0]["messages"][0]["deleted"]


def test_people_and_groups_can_be_changed_from_outside(slack: RunningSlack, client: WebClient) -> None:
    send(slack, "/sandbox/change", {"kind": "person", "id": GRACE, "set": {"deleted": True}})
    send(slack, "/sandbox/change", {"kind": "group", "id": APPROVERS, "set": {"users": [ADA]}})

    assert client.users_info(user=GRACE)["user"]["deleted"]
    assert client.usergroups_users_list(usergroup=APPROVERS)["users"] == [ADA]
