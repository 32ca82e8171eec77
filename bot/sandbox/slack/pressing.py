"""Finding what a person presses: the element on the message or view, or the one that a forger makes up."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from bot.sandbox.slack.errors import CannotAct
from bot.sandbox.slack.forms import Values, interactive
from bot.sandbox.slack.messages import Content, Conversations, Ephemeral, Message
from bot.sandbox.slack.shapes import Json, listed
from bot.sandbox.slack.views import View
from bot.sandbox.slack.workspace import BOT

Place = Message | Ephemeral


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person means to press; None for what is left open.

    `value` names the option of a menu, or picks among buttons of one action_id. `values` is what stands in
    the other inputs around it.
    """

    action_id: str
    block_id: str | None = None
    value: Any = None
    values: Values | None = None
    forged: bool = False

    def made_up(self) -> "Pressed":
        """A button that the app never showed."""
        text = {"type": "plain_text", "text": "forged"}
        element = {"type": "button", "action_id": self.action_id, "text": text, "value": self.value}
        return Pressed(block_id=self.block_id or "forged", element=element)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """An element in its block, and the value chosen in it."""

    block_id: str
    element: Json
    value: Any = None


def find_in_message(
    said: Conversations, wanted: Wanted, *, channel: str, ts: str | None, user: str
) -> tuple[Place, Pressed]:
    """The message and the element on it; without `ts` the newest that has such an element.

    A forger also presses what an earlier version of the message showed, and what no version ever did.
    """
    shown = [
        version
        for place in _places(said, channel=channel, ts=ts, user=user, deleted_too=wanted.forged)
        for version in _versions(place, earlier_too=wanted.forged)
    ]
    for place in shown:
        pressed = _find(place.content.all_blocks(), wanted)
        if pressed is not None:
            return place, pressed
    if not wanted.forged:
        raise CannotAct(f"there is no {wanted.action_id} to press there")
    nowhere = Message(channel=channel, ts=ts or said.stamp(), user=BOT, content=Content(at=0))
    return _forged(wanted, shown, nowhere=nowhere)


def _places(
    said: Conversations, *, channel: str, ts: str | None, user: str, deleted_too: bool
) -> list[Place]:
    mine = [one for one in said.ephemerals.values() if (one.channel, one.user) == (channel, user)]
    places: list[Place] = [*said.in_channel(channel), *mine]
    wanted = [one for one in places if ts in (None, one.ts) and (deleted_too or not one.deleted)]
    return sorted(wanted, key=lambda one: one.ts, reverse=True)


def _versions(place: Place, *, earlier_too: bool) -> Iterator[Place]:
    yield place
    if earlier_too and isinstance(place, Message):
        yield from (replace(place, content=content) for content in reversed(place.earlier))


def _forged(wanted: Wanted, shown: list[Place], *, nowhere: Message) -> tuple[Place, Pressed]:
    """A real element with a value that it never had, or else an element that never was."""
    for place in shown:
        real = _find(place.content.all_blocks(), replace(wanted, value=None))
        if real is not None:
            changed = {**real.element, "value": wanted.value}
            return place, Pressed(block_id=real.block_id, element=changed, value=wanted.value)
    messages = [place for place in shown if isinstance(place, Message)]
    return (messages or [nowhere])[0], wanted.made_up()


def find_in_view(view: View, wanted: Wanted) -> Pressed:
    """The element in an open view."""
    pressed = _find(view.source["blocks"], wanted)
    if pressed is not None:
        return pressed
    if not wanted.forged:
        raise CannotAct(f"there is no {wanted.action_id} to press there")
    return wanted.made_up()


def _find(blocks: Iterable[Json], wanted: Wanted) -> Pressed | None:
    for block_id, element in interactive(blocks):
        named = element.get("action_id") == wanted.action_id and wanted.block_id in (None, block_id)
        if named and _offers(element, wanted.value):
            return Pressed(block_id=block_id, element=element, value=wanted.value)
    return None


def _offers(element: Json, value: Any) -> bool:
    if element["type"] == "button":
        return value is None or value == element.get("value")
    groups = [element, *element.get("option_groups", [])]
    offered = {option["value"] for group in groups for option in group.get("options", [])}
    return not offered or set(listed(value) or [value]) <= offered
