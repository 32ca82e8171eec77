"""The stand-in of Slack behaves as Slack does, seen through a real slack_sdk."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry import RetryHandler, builtin_handlers
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler, ServerErrorRetryHandler

from bot.sandbox.slack import (
    ADA,
    APPROVERS,
    BOT,
    DORA,
    GRACE,
    GUS,
    MESH_OPS,
    OTHER_TEAM,
    RANDOM,
    SCOPES,
    STEN,
    TEAM,
    MethodFault,
    Patience,
    RunningSlack,
    running_slack,
)

Json = dict[str, Any]
QUICK = Patience(ack=0.3, event_retries=(0.0,))


class Clock:
    """Unix time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[RunningSlack]:
    with running_slack(clock=clock, patience=QUICK) as running:
        yield running


@pytest.fixture
def client(slack: RunningSlack) -> WebClient:
    return WebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])


def button(**fields: Any) -> Json:
    text = {"type": "plain_text", "text": "Go"}
    return {"type": "button", "action_id": "go", "text": text, "value": "r1", **fields}


CARD: list[Json] = [
    {"type": "section", "block_id": "head", "text": {"type": "mrkdwn", "text": "A *card*"}},
    {"type": "actions", "block_id": "keys", "elements": [button()]},
]


def refusal(call: Callable[[], object]) -> str:
    """The error code with which Slack refuses a call."""
    with pytest.raises(SlackApiError) as refused:
        call()
    return str(refused.value.response["error"])


# -- who may call ------------------------------------------------------------------------------------


def test_the_bot_learns_who_it_is_and_what_it_may(client: WebClient) -> None:
    answer = client.auth_test()

    assert (answer["team_id"], answer["user_id"]) == (TEAM, BOT)
    assert answer.headers["x-oauth-scopes"] == ",".join(SCOPES)


def test_tokens_are_judged_as_slack_does(slack: RunningSlack) -> None:
    def asking(token: str | None) -> WebClient:
        return WebClient(token=token, base_url=slack.api_url)

    assert refusal(lambda: asking(None).auth_test()) == "not_authed"
    assert refusal(lambda: asking("xoxb-other").auth_test()) == "invalid_auth"
    assert refusal(lambda: asking(slack.app_token).auth_test()) == "not_allowed_token_type"
    assert (
        refusal(lambda: asking(None).apps_connections_open(app_token=slack.bot_token))
        == "not_allowed_token_type"
    )


def test_reading_back_a_channel_needs_a_scope_that_the_bot_has_not(client: WebClient) -> None:
    with pytest.raises(SlackApiError) as refused:
        client.conversations_history(channel=MESH_OPS)

    assert refused.value.response["error"] == "missing_scope"
    assert refused.value.response["needed"] == "channels:history"
    assert refused.value.response["provided"] == ",".join(SCOPES)


def test_an_unknown_method_says_so(client: WebClient) -> None:
    assert refusal(lambda: client.api_call("chat.shout")) == "unknown_method"


# -- what may be said --------------------------------------------------------------------------------


def test_a_message_may_come_as_json_or_as_a_form(slack: RunningSlack, client: WebClient) -> None:
    client.chat_postMessage(channel=MESH_OPS, text="as JSON", blocks=CARD)
    client.api_call(
        "chat.postMessage", data={"channel": MESH_OPS, "text": "as a form", "blocks": json.dumps(CARD)}
    )

    assert [message.content.blocks[0] for message in slack.messages()] == [CARD[0], CARD[0]]


REFUSED_POSTS: list[tuple[str, Json, str]] = [
    ("to nowhere", {"channel": "C0NOWHERE1", "text": "x"}, "channel_not_found"),
    ("where the bot is not", {"channel": RANDOM, "text": "x"}, "not_in_channel"),
    ("nothing", {"channel": MESH_OPS}, "no_text"),
    ("only spaces", {"channel": MESH_OPS, "text": "  \n"}, "no_text"),
    ("40,001 characters", {"channel": MESH_OPS, "text": "x" * 40_001}, "msg_too_long"),
    ("a wrong block", {"channel": MESH_OPS, "blocks": [{"type": "sektion"}]}, "invalid_blocks"),
    ("blocks that are no list", {"channel": MESH_OPS, "blocks": "{"}, "invalid_blocks_format"),
    ("wrong attachments", {"channel": MESH_OPS, "attachments": [{"id": 1}]}, "invalid_attachments"),
    ("into no thread", {"channel": MESH_OPS, "text": "x", "thread_ts": "1.1"}, "thread_not_found"),
    ("with a ts as a number", {"channel": MESH_OPS, "text": "x", "thread_ts": 1.5}, "invalid_arguments"),
    (
        "metadata of no form",
        {"channel": MESH_OPS, "text": "x", "metadata": {"a": 1}},
        "invalid_metadata_format",
    ),
]


@pytest.mark.parametrize(("sentence", "call", "error"), REFUSED_POSTS, ids=[row[0] for row in REFUSED_POSTS])
def test_posts_are_refused_as_slack_refuses_them(
    client: WebClient, sentence: str, call: Json, error: str
) -> None:
    assert refusal(lambda: client.api_call("chat.postMessage", json=call)) == error


def test_a_refused_block_is_explained_with_its_place(client: WebClient) -> None:
    with pytest.raises(SlackApiError) as refused:
        client.chat_postMessage(channel=MESH_OPS, text="x", blocks=[{"type": "section"}])

    assert refused.value.response["response_metadata"]["messages"] == [
        "[ERROR] must define either `text` or `fields` [json-pointer:/blocks/0]"
    ]


def test_an_archived_channel_takes_nothing(slack: RunningSlack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="before")["ts"]

    slack.change(lambda workspace: workspace.change_channel(MESH_OPS, is_archived=True))

    assert refusal(lambda: client.chat_postMessage(channel=MESH_OPS, text="x")) == "is_archived"
    assert refusal(lambda: client.chat_update(channel=MESH_OPS, ts=ts, text="x")) == "is_inactive"


def test_a_text_of_over_4000_characters_becomes_several_messages(
    slack: RunningSlack, client: WebClient
) -> None:
    client.chat_postMessage(channel=MESH_OPS, text="x" * 8001)

    assert [len(message.content.text) for message in slack.messages()] == [4000, 4000, 1]


def test_replies_stay_in_their_thread_unless_broadcast(slack: RunningSlack, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=MESH_OPS, text="parent")["ts"]
    client.chat_postMessage(channel=MESH_OPS, text="quiet", thread_ts=parent)
    loud = client.chat_postMessage(channel=MESH_OPS, text="loud", thread_ts=parent, reply_broadcast=True)

    state = get(slack, "/sandbox/state")["channels"][0]["messages"]

    assert [message["text"] for message in state] == ["parent", "loud"]
    assert [reply["text"] for reply in state[0]["replies"]] == ["quiet", "loud"]
    assert (
        refusal(lambda: client.chat_postMessage(channel=MESH_OPS, text="x", thread_ts=loud["ts"]))
        == "cannot_reply_to_message"
    )


def test_a_thread_whose_parent_is_gone_takes_no_reply(slack: RunningSlack, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=MESH_OPS, text="parent")["ts"]
    slack.delete_message(parent)

    assert (
        refusal(lambda: client.chat_postMessage(channel=MESH_OPS, text="x", thread_ts=parent))
        == "thread_not_found"
    )
    assert refusal(lambda: client.chat_update(channel=MESH_OPS, ts=parent, text="x")) == "message_not_found"


def test_an_edit_with_text_alone_removes_the_blocks_and_shows_as_edited(
    slack: RunningSlack, client: WebClient
) -> None:
    colour = [{"color": "#ff0000", "text": "bar"}]
    ts = client.chat_postMessage(channel=MESH_OPS, text="card", blocks=CARD, attachments=colour)["ts"]

    client.chat_update(channel=MESH_OPS, ts=ts, text="fallback", blocks=CARD[:1])
    with_blocks = slack.messages()[0]
    client.chat_update(channel=MESH_OPS, ts=ts, text="only text")
    without_blocks = slack.messages()[0]

    assert (len(with_blocks.content.blocks), with_blocks.edited) == (1, False)
    assert (without_blocks.content.blocks, without_blocks.edited) == ((), True)
    assert without_blocks.content.attachments == tuple(colour)
    assert [content.text for content in without_blocks.earlier] == ["card", "fallback"]


def test_an_edit_is_for_own_messages_of_at_most_4000_characters(
    slack: RunningSlack, client: WebClient
) -> None:
    ts = client.chat_postMessage(channel=MESH_OPS, text="mine")["ts"]
    slack.command(ADA, "hello from Ada")
    hers = slack.messages()[-1].ts

    assert refusal(lambda: client.chat_update(channel=MESH_OPS, ts=ts, text="x" * 4001)) == "msg_too_long"
    assert refusal(lambda: client.chat_update(channel=MESH_OPS, ts=hers, text="x")) == "cant_update_message"
    assert refusal(lambda: client.chat_update(channel="#mesh-ops", ts=ts, text="x")) == "channel_not_found"
    assert refusal(lambda: client.chat_delete(channel=MESH_OPS, ts=hers)) == "cant_delete_message"


def test_an_ephemeral_text_reaches_one_member_and_cannot_be_edited(
    slack: RunningSlack, client: WebClient
) -> None:
    ts = client.chat_postEphemeral(channel=MESH_OPS, user=GUS, text="not you")["message_ts"]

    assert [one.content.text for one in slack.ephemerals(GUS)] == ["not you"]
    assert slack.ephemerals(ADA) == []
    assert refusal(lambda: client.chat_update(channel=MESH_OPS, ts=ts, text="x")) == "message_not_found"
    assert (
        refusal(lambda: client.chat_postEphemeral(channel=MESH_OPS, user=DORA, text="x"))
        == "user_not_in_channel"
    )


def test_a_file_takes_three_steps_and_lands_in_the_thread(slack: RunningSlack, client: WebClient) -> None:
    parent = client.chat_postMessage(channel=MESH_OPS, text="report")["ts"]

    client.files_upload_v2(channel=MESH_OPS, thread_ts=parent, filename="a.txt", content="é 1", title="All")

    shared = slack.messages()[-1]
    assert (shared.thread_ts, slack.record()["files"][0]["content"]) == (parent, "é 1")
    assert read(slack, f"/sandbox/file/{shared.files[0]}") == "é 1".encode()
    assert refusal(lambda: client.files_getUploadURLExternal(filename="a", length=0)) == "invalid_arguments"


# -- who is who --------------------------------------------------------------------------------------


def test_users_info_tells_guests_strangers_bots_and_deactivated_people_apart(client: WebClient) -> None:
    def user(who: str) -> Json:
        return dict(client.users_info(user=who)["user"])

    assert user(GUS)["is_restricted"]
    assert user(DORA)["deleted"]
    assert user(BOT)["is_bot"]
    assert (user(STEN)["is_stranger"], user(STEN)["team_id"]) == (True, OTHER_TEAM)
    assert refusal(lambda: user("U0NOBODY01")) == "user_not_found"


def test_a_user_group_lists_ids_until_it_is_deleted(slack: RunningSlack, client: WebClient) -> None:
    before = client.usergroups_users_list(usergroup=APPROVERS)["users"]

    slack.change(lambda workspace: workspace.remove_group(APPROVERS))

    assert before == [ADA, GRACE]
    assert refusal(lambda: client.usergroups_users_list(usergroup=APPROVERS)) == "no_such_subteam"


def test_a_channel_tells_whether_it_is_shared_with_outsiders(slack: RunningSlack, client: WebClient) -> None:
    slack.change(lambda workspace: workspace.change_channel(MESH_OPS, is_ext_shared=True))

    channel = client.conversations_info(channel=MESH_OPS)["channel"]

    assert (channel["is_ext_shared"], channel["is_member"]) == (True, True)
    assert BOT in client.conversations_members(channel=MESH_OPS)["members"]


# -- how often ---------------------------------------------------------------------------------------


def test_a_channel_takes_one_message_a_second_after_a_short_burst(clock: Clock, client: WebClient) -> None:
    for number in range(5):
        client.chat_postMessage(channel=MESH_OPS, text=str(number))
    with pytest.raises(SlackApiError) as refused:
        client.chat_postMessage(channel=MESH_OPS, text="too many")

    clock.advance(1)

    assert (refused.value.response.status_code, refused.value.response["error"]) == (429, "ratelimited")
    assert refused.value.response.headers["Retry-After"] == "1"
    assert client.chat_postMessage(channel=MESH_OPS, text="again")["ok"]


def test_the_sdk_waits_out_a_429(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(builtin_handlers, "time", SimpleNamespace(sleep=clock.advance))
    with running_slack(clock=clock, rate_factor=0.02) as slack:
        handlers: list[RetryHandler] = [RateLimitErrorRetryHandler(max_retry_count=1)]
        client = WebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=handlers)
        ts = client.chat_postMessage(channel=MESH_OPS, text="x")["ts"]

        for number in range(3):
            client.chat_update(channel=MESH_OPS, ts=ts, text=str(number))

        statuses = [call["status"] for call in slack.record()["calls"] if call["method"] == "chat.update"]
        assert statuses == [200, 429, 200, 429, 200]


def test_ordered_faults_hit_the_next_calls_only(slack: RunningSlack, client: WebClient) -> None:
    slack.fail("chat.postMessage", MethodFault(answer="server_error"))
    slack.fail("chat.postMessage", MethodFault(answer="error", error="edit_window_closed"))

    with pytest.raises(SlackApiError) as broken:
        client.chat_postMessage(channel=MESH_OPS, text="one")
    refused = refusal(lambda: client.chat_postMessage(channel=MESH_OPS, text="two"))
    client.chat_postMessage(channel=MESH_OPS, text="three")

    assert (broken.value.response.status_code, refused) == (500, "edit_window_closed")
    assert [message.content.text for message in slack.messages()] == ["three"]


@pytest.mark.parametrize("answer", ["drop", "timeout"])
def test_an_answer_lost_after_the_effect_makes_a_retry_post_twice(slack: RunningSlack, answer: Any) -> None:
    client = WebClient(token=slack.bot_token, base_url=slack.api_url, timeout=1, retry_handlers=[])
    slack.fail("chat.postMessage", MethodFault(answer=answer, after_effect=True))

    with pytest.raises((OSError, TimeoutError)):
        client.chat_postMessage(channel=MESH_OPS, text="once")
    client.chat_postMessage(channel=MESH_OPS, text="once")

    assert len(slack.messages()) == 2


def test_the_sdk_retries_a_500(slack: RunningSlack) -> None:
    client = WebClient(
        token=slack.bot_token, base_url=slack.api_url, retry_handlers=[ServerErrorRetryHandler()]
    )
    slack.fail("auth.test", MethodFault(answer="server_error"))

    assert client.auth_test()["ok"]


def test_the_record_holds_every_call_and_no_token(slack: RunningSlack, client: WebClient) -> None:
    client.api_call("chat.postMessage", data={"token": slack.bot_token, "channel": MESH_OPS, "text": "x"})
    client.chat_postMessage(channel=MESH_OPS, text="y", blocks=CARD)

    record = slack.record()

    assert [call["args"]["text"] for call in record["calls"]] == ["x", "y"]
    assert slack.bot_token not in json.dumps(record)
    assert slack.app_token not in json.dumps(get(slack, "/sandbox/state"))


# -- the way to a running stand-in -------------------------------------------------------------------


def read(slack: RunningSlack, path: str) -> bytes:
    with urllib.request.urlopen(slack.url + path) as answer:
        return bytes(answer.read())


def get(slack: RunningSlack, path: str) -> Json:
    return dict(json.loads(read(slack, path)))
