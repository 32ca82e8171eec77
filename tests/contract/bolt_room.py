"""A slack-bolt app that hears everything, connected to a stand-in of Slack; for the tests beside it."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.sandbox.slack import Patience, RunningSlack

Json = dict[str, Any]
QUICK = Patience(ack=2.0, event_retries=(0.0,))


class Clock:
    """Unix time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def button(value: str = "r1") -> Json:
    return {"type": "button", "action_id": "go", "text": plain("Go"), "value": value, "confirm": SURE}


SURE = {"title": plain("Sure?"), "text": plain("Really?"), "confirm": plain("Yes"), "deny": plain("No")}
PICK = {
    "type": "static_select",
    "action_id": "pick",
    "options": [{"text": plain("One"), "value": "1"}, {"text": plain("Two"), "value": "2"}],
}
CARD = [{"type": "actions", "block_id": "keys", "elements": [button(), PICK]}]
FORM: Json = {
    "type": "modal",
    "callback_id": "why",
    "title": plain("Why"),
    "submit": plain("Ask"),
    "notify_on_close": True,
    "private_metadata": "kept",
    "blocks": [
        {
            "type": "input",
            "block_id": "reason",
            "label": plain("Reason"),
            "element": {"type": "plain_text_input", "action_id": "text"},
        },
        {
            "type": "input",
            "block_id": "mode",
            "optional": True,
            "label": plain("Mode"),
            "element": {**PICK, "action_id": "m"},
        },
    ],
}


@dataclass
class Heard:
    """What the app heard, and what it does about it."""

    bodies: list[Json] = field(default_factory=list)
    answer: Any = None
    release: threading.Event = field(default_factory=threading.Event)


def bolt_app(client: WebClient, heard: Heard, executor: ThreadPoolExecutor) -> App:
    app = App(client=client, listener_executor=executor, token_verification_enabled=False)

    def hear(ack: Any, body: Json) -> None:
        heard.bodies.append(body)
        ack(**heard.answer) if isinstance(heard.answer, dict) else ack(heard.answer or "")

    app.command("/istio-root")(hear)
    app.action(re.compile(".*"))(hear)
    app.view("why")(hear)
    app.view_closed("why")(hear)
    app.event("app_home_opened")(hear)
    app.command("/istio-check")(lambda: heard.release.wait(10))  # never acknowledged
    return app


@contextmanager
def connected(slack: RunningSlack, heard: Heard) -> Iterator[None]:
    """Run a Bolt app on the built-in Socket Mode client, as the bot does."""
    client = WebClient(token=slack.bot_token, base_url=slack.api_url)
    with ThreadPoolExecutor(5) as executor:
        handler = SocketModeHandler(bolt_app(client, heard, executor), slack.app_token, ping_interval=3)
        handler.connect()  # type: ignore[no-untyped-call]
        try:
            slack.wait_for_connections()
            yield
        finally:
            heard.release.set()
            handler.close()  # type: ignore[no-untyped-call]
