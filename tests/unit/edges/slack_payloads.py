"""Payloads as Slack sends them, and an app to send them to without a socket."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from slack_bolt import App, BoltRequest, BoltResponse

from bot.core.ids import MeshName
from bot.edges.slack.app import build_app
from bot.edges.slack.listeners import Listeners
from tests.fakes.scheduler import FakeScheduler
from tests.fakes.slack import HOME, FakeDesk, FakeReplies, FakeSlackApi
from tests.unit.edges.slack_samples import PROD, ROTATION_ID, StoppedClock

CHANNEL = "C0MESH"
_count = iter(range(1, 10**9))


class Bench:
    """The app with fakes around it."""

    def __init__(self, *meshes: str) -> None:
        self.desk, self.replies, self.clock = FakeDesk(), FakeReplies(), StoppedClock()
        self.scheduler, self.api = FakeScheduler(), FakeSlackApi()
        self.listeners = Listeners(
            self.desk,
            self.scheduler,
            client=self.api,
            replies=self.replies,
            clock=self.clock,
            meshes=tuple(MeshName(one) for one in meshes) or (PROD,),
            lifetime=timedelta(days=3650),
        )
        self.executor = ThreadPoolExecutor(2)
        self.app: App = build_app(self.api, self.listeners, executor=self.executor)

    def send(self, body: dict[str, Any]) -> BoltResponse:
        """Deliver a payload, then let the workers work."""
        response = self.app.dispatch(BoltRequest(mode="socket_mode", body=body))
        self.executor.submit(lambda: None).result(5)
        self.executor.shutdown(wait=True)
        self.executor = ThreadPoolExecutor(2)
        self.app.listener_runner.listener_executor = self.executor
        self.scheduler.run()
        return response


def said(response: BoltResponse) -> str:
    """The text of an ack."""
    return str(json.loads(response.body).get("text", "")) if response.body else ""


def trigger() -> str:
    return f"{next(_count)}.trigger"


def command(
    text: str, *, name: str = "/istio-root", team: str = HOME, channel: str = CHANNEL
) -> dict[str, Any]:
    return {
        "command": name,
        "text": text,
        "team_id": team,
        "user_id": "U0ANNA",
        "user_name": "anna",
        "channel_id": channel,
        "channel_name": "mesh",
        "response_url": "http://127.0.0.1:9/response/1",
        "trigger_id": trigger(),
        "api_app_id": "A0",
    }


def interaction(kind: str, *, team: str = HOME, user: str = "U0BEN") -> dict[str, Any]:
    return {
        "type": kind,
        "user": {"id": user, "username": "ben", "name": "ben", "team_id": team},
        "team": {"id": HOME, "domain": "home"},
        "api_app_id": "A0",
        "trigger_id": trigger(),
    }


def press(button: str, value: Any = ROTATION_ID, *, channel: str = CHANNEL, **who: str) -> dict[str, Any]:
    return {
        **interaction("block_actions", **who),
        "channel": {"id": channel, "name": "mesh"},
        "container": {"type": "message", "channel_id": channel, "message_ts": "1.1"},
        "response_url": "http://127.0.0.1:9/response/2",
        "actions": [
            {"type": "button", "action_id": button, "block_id": "b", "value": value, "action_ts": "1.1"}
        ],
    }


def submission(dialog: str, carried: Any, values: dict[str, str], **who: str) -> dict[str, Any]:
    entered = {name: {name: _element(name, value)} for name, value in values.items()}
    return {
        **interaction("view_submission", **who),
        "view": {
            "id": "V1",
            "type": "modal",
            "callback_id": dialog,
            "private_metadata": carried if isinstance(carried, str) else json.dumps(carried),
            "state": {"values": entered},
            "hash": "1.h",
        },
    }


def _element(name: str, value: str) -> dict[str, Any]:
    if name == "reason":
        return {"type": "plain_text_input", "value": value}
    return {"type": "static_select", "selected_option": {"value": value}}
