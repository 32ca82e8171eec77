"""A payload of Slack → who, where, what. Reading gives no rights: the desk authorises everything again.

The team is the person's own: `user.team_id` of an interaction. `team.id` and Bolt's `context.team_id`
name the workspace of the app, also when somebody from another organisation pressed (facts/slack.md, 6).
"""

import hashlib
import json
import re
from typing import Any

from bot.core.ids import RotationId, TeamId, UserId
from bot.core.replies import Caller
from bot.core.secrecy import tells_a_secret
from bot.edges.slack.doors import COMMANDS, Field

Body = dict[str, Any]

_ROTATION = re.compile(r"[0-9a-f]{32}")
_CHANNEL = re.compile(r"[CDG][A-Z0-9]{2,20}")
_VERBS = {command.name: command.verb for command in COMMANDS}

_PASTED = re.compile(
    r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{20}"  # base64 of a PEM heading, as a Secret shows it
    r"|\bMI[IH][A-Za-z0-9+/]{200}"  # DER of a key or certificate without its heading
)
"""What only a person pastes; a certificate is no secret, but which of the two it is nobody looks."""


def typist(body: Body) -> Caller:
    """Who typed a slash command."""
    return Caller(
        team=TeamId(_text(body.get("team_id"))),
        user=UserId(_text(body.get("user_id"))),
        name=_text(body.get("user_name")),
        channel=_text(body.get("channel_id")),
        response_url=_text(body.get("response_url")),
    )


def presser(body: Body) -> Caller:
    """Who pressed a button in a message."""
    channel = _part(body, "channel").get("id") or _part(body, "container").get("channel_id")
    return _actor(body, channel=_text(channel), response_url=_text(body.get("response_url")))


def sender(body: Body) -> Caller:
    """Who sent a dialog; Slack does not say where it was opened, so the dialog carries that along."""
    channel = carried(body).get("channel", "")
    return _actor(body, channel=channel if _CHANNEL.fullmatch(channel) else "", response_url="")


def _actor(body: Body, *, channel: str, response_url: str) -> Caller:
    user = _part(body, "user")
    return Caller(
        team=TeamId(_text(user.get("team_id"))),
        user=UserId(_text(user.get("id"))),
        name=_text(user.get("name") or user.get("username")),
        channel=channel,
        response_url=response_url,
    )


def command_text(body: Body) -> str:
    """What was typed, with the verb that a short name stands for.

    Slack escapes & < > in it when the app's manifest says so; this reads both kinds.
    """
    verb = _VERBS.get(_text(body.get("command")))
    typed = _text(body.get("text")).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return f"{verb or ''} {typed}".strip()


def pressed_rotation(body: Body) -> RotationId | None:
    """The rotation that the one pressed button names; None for anything else."""
    actions = body.get("actions")
    if not isinstance(actions, list) or len(actions) != 1 or not isinstance(actions[0], dict):
        return None
    return rotation_id(actions[0].get("value"))


def rotation_id(value: object) -> RotationId | None:
    """A well-formed rotation id; whether there is such a rotation is the desk's to say."""
    return RotationId(value) if isinstance(value, str) and _ROTATION.fullmatch(value) else None


def carried(body: Body) -> dict[str, str]:
    """What a dialog carries along; only names in it, and nobody may do more because of them."""
    try:
        read = json.loads(_text(_part(body, "view").get("private_metadata")))
    except ValueError:
        return {}
    return {k: v for k, v in read.items() if isinstance(v, str)} if isinstance(read, dict) else {}


def view_id(body: object) -> str:
    """The dialog that was opened."""
    return _text(_part(body, "view").get("id")) if isinstance(body, dict) else ""


def entered(body: Body, field: Field) -> str:
    """What stands in one input of a dialog."""
    values = _part(_part(_part(body, "view"), "state"), "values")
    element = _part(_part(values, field), field)
    return _text(element.get("value") or _part(element, "selected_option").get("value")).strip()


def looks_secret(text: str) -> bool:
    """Whether somebody pasted a private key or a token: it must not be echoed, stored or logged."""
    return tells_a_secret(text) or _PASTED.search(text) is not None


def delivery_key(body: Body) -> str:
    """The same for the same command, click or submission, however often it is delivered; or empty."""
    if trigger := _text(body.get("trigger_id")):
        return trigger
    view = _part(body, "view")
    if body.get("type") != "view_submission" or not view:
        return ""
    state = json.dumps(view.get("state"), sort_keys=True)
    return f"{_text(view.get('id'))}/{hashlib.sha256(state.encode()).hexdigest()}"


def _part(body: Body, name: str) -> Body:
    part = body.get(name)
    return part if isinstance(part, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
