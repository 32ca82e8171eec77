"""Finding what a person presses: the element on the message or view, or the one that a forger makes up."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from bot.sandbox.slack.errors import CannotAct
from bot.sandbox.slack.forms import interactive
from bot.sandbox.slack.messages import Content, Conversations, Ephemeral, Message
from bot.sandbox.slack.shapes import Json, listed
from bot.sandbox.slack.views import View
from bot.sandbox.slack.workspace import BOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """An element in its block, and the value chosen in it (nothing for a button)."""

    block_id: str
    element: Json
    value: Any = None


def find_in_message(
    said: Conversations,
    where: tuple[str, str | None, str],
    action_id: str,
    *,
    block_id: str | None,
    value: Any,
    forged: bool,
) -> tuple[Message | Ephemeral, Pressed]:
    """The message at (channel, ts, person) and the element on it; without ts the newest that has one.

    A forger also presses what an earlier version of the message showed, and what no version ever did.
    """
    places = _places(said, where, forged=forged)
    shown = [version for one in places for version in _versions(one, forged=forged)]
    for place in shown:
        pressed = _find(place.content.all_blocks(), action_id, block_id=block_id, value=value)
        if pressed is not None:
            return place, pressed
    if not forged:
        raise CannotAct(f"there is no {action_id} to press there")
    return _forged(said, where, shown, action_id, block_id=block_id, value=value)


def _places(
    said: Conversations, where: tuple[str, str | None, str], *, forged: bool
) -> list[Message | Ephemeral]:
    channel, ts, user = where
    messages = [one for one in said.in_channel(channel) if forged or not one.deleted]
    whispers = [
        one
        for one in said.ephemerals.values()
        if one.channel == channel and one.user == user and not one.deleted
    ]
    places: list[Message | Ephemeral] = [*messages, *whispers]
    wanted = [one for one in places if ts in (None, one.ts)]
    return sorted(wanted, key=lambda one: one.ts, reverse=True)


def _versions(place: Message | Ephemeral, *, forged: bool) -> Iterator[Message | Ephemeral]:
    yield place
    if forged and isinstance(place, Message):
        yield from (replace(place, content=content) for content in reversed(place.earlier))


def _forged(
    said: Conversations,
    where: tuple[str, str | None, str],
    shown: list[Message | Ephemeral],
    action_id: str,
    *,
    block_id: str | None,
    value: Any,
) -> tuple[Message | Ephemeral, Pressed]:
    """A real element with a value that it never had, or else an element that never was."""
    for place in shown:
        real = _find(place.content.all_blocks(), action_id, block_id=block_id, value=None)
        if real is not None:
            return place, replace(real, element={**real.element, "value": value}, value=value)
    nowhere = Message(channel=where[0], ts=where[1] or said.stamp(), user=BOT, content=Content(at=0))
    messages = [place for place in shown if isinstance(place, Message)]
    return (messages or [nowhere])[0], made_up(action_id, block_id=block_id, value=value)


def made_up(action_id: str, *, block_id: str | None, value: Any) -> Pressed:
    """A button that the app never showed."""
    text = {"type": "plain_text", "text": "forged"}
    element = {"type": "button", "action_id": action_id, "text": text, "value": value}
    return Pressed(block_id=block_id or "forged", element=element)


def find_in_view(view: View, action_id: str, *, block_id: str | None, value: Any, forged: bool) -> Pressed:
    """The element in an open view."""
    pressed = _find(view.source["blocks"], action_id, block_id=block_id, value=value)
    if pressed is not None:
        return pressed
    if not forged:
        raise CannotAct(f"there is no {action_id} to press there")
    return made_up(action_id, block_id=block_id, value=value)


def _find(blocks: Iterable[Json], action_id: str, *, block_id: str | None, value: Any) -> Pressed | None:
    for here, element in interactive(blocks):
        named = element.get("action_id") == action_id and block_id in (None, here)
        if named and _offers(element, value):
            return Pressed(block_id=here, element=element, value=value)
    return None


def _offers(element: Json, value: Any) -> bool:
    if element["type"] == "button":
        return value is None or value == element.get("value")
    groups = [element, *element.get("option_groups", [])]
    offered = {option["value"] for group in groups for option in group.get("options", [])}
    return not offered or set(listed(value) or [value]) <= offered
