"""The bodies that Slack sends for what people do, field by field as Slack's own.

`team` is always the workspace of the app and `user.team_id` the workspace of the person: with somebody from
another organisation they differ, which is the trap of facts/slack.md section 6.
"""

import secrets
from collections.abc import Callable

from bot.sandbox.slack.forms import Values, filled, state_of
from bot.sandbox.slack.messages import Ephemeral, Message
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.views import View
from bot.sandbox.slack.workspace import APP_ID, TEAM, Channel, Person, Workspace

DEPRECATED_TOKEN = "verification-tokens-are-deprecated"  # noqa: S105  (Slack sends one; nobody may use it)


def slash_command(workspace: Workspace, *, command: str, text: str, person: Person, channel: Channel) -> Json:
    """A slash command; the caller adds response_url and trigger_id."""
    return {
        "token": DEPRECATED_TOKEN,
        "team_id": TEAM,
        "team_domain": workspace.domain,
        "channel_id": channel.id,
        "channel_name": "directmessage" if channel.is_im else channel.name,
        "user_id": person.id,
        "user_name": person.name,
        "command": command,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
    }


def _interaction(workspace: Workspace, kind: str, person: Person) -> Json:
    return {
        "type": kind,
        "user": {
            "id": person.id,
            "username": person.name,
            "name": person.name,
            "team_id": person.team_id,
        },
        "api_app_id": APP_ID,
        "token": DEPRECATED_TOKEN,
        "team": {"id": TEAM, "domain": workspace.domain},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def message_action(
    workspace: Workspace,
    *,
    person: Person,
    channel: Channel,
    place: Message | Ephemeral,
    action: Json,
    values: Values,
) -> Json:
    """A press in a message; the caller adds response_url and trigger_id."""
    hidden = isinstance(place, Ephemeral)
    thread = {"thread_ts": place.thread_ts} if place.thread_ts else {}
    body = _interaction(workspace, "block_actions", person)
    body |= {
        "container": {
            "type": "message",
            "message_ts": place.ts,
            "channel_id": channel.id,
            "is_ephemeral": hidden,
            **thread,
        },
        "channel": {"id": channel.id, "name": "directmessage" if channel.is_im else channel.name},
        "state": {"values": state_of(place.content.all_blocks(), values)},
        "actions": [action],
    }
    if isinstance(place, Message):
        body["message"] = place.to_slack()
    return body


def view_action(workspace: Workspace, *, person: Person, view: View, action: Json) -> Json:
    """A press in a dialog or a Home tab; there is no response_url for those."""
    return {
        **_interaction(workspace, "block_actions", person),
        "container": {"type": "view", "view_id": view.id},
        "view": view.to_slack(),
        "actions": [action],
    }


def view_submission(workspace: Workspace, *, person: Person, view: View) -> Json:
    """A dialog sent off; the values stand in view.state."""
    return {
        **_interaction(workspace, "view_submission", person),
        "view": view.to_slack(),
        "response_urls": [],
    }


def view_closed(workspace: Workspace, *, person: Person, view: View, is_cleared: bool) -> Json:
    """A dialog closed unsent, for an app that asked to be told."""
    return {
        **_interaction(workspace, "view_closed", person),
        "view": view.to_slack(),
        "is_cleared": is_cleared,
    }


def app_home_opened(*, person: Person, channel: str, home: View | None, stamp: str) -> Json:
    """The event of somebody opening the app's Home tab."""
    event: Json = {"type": "app_home_opened", "user": person.id, "channel": channel, "tab": "home"}
    if home is not None:
        event |= {"view": home.to_slack()}
    return {
        "token": DEPRECATED_TOKEN,
        "team_id": TEAM,
        "api_app_id": APP_ID,
        "event": {**event, "event_ts": stamp},
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}",
        "event_time": int(float(stamp)),
        "authorizations": [],
        "is_ext_shared_channel": False,
    }


def action_on(block_id: str, element: Json, value: object, stamp: Callable[[], str]) -> Json:
    """The entry of `actions` for one element and what was chosen in it."""
    action: Json = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block_id,
        "action_ts": stamp(),
    }
    if element["type"] == "button":
        kept = ("text", "value", "style", "url", "confirm", "accessibility_label")
        return action | {name: element[name] for name in kept if name in element}
    placeholder = {"placeholder": element["placeholder"]} if "placeholder" in element else {}
    return {**filled(element, value), **placeholder, **action}
