"""Slack's classic blocks, built within Slack's limits (facts/slack.md, 4).

mrkdwn is always `verbatim`: Slack then makes no links of its own out of what clusters and people
wrote. Text that comes here is escaped already.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bot.edges.slack.render.words import cut, plain

Block = dict[str, Any]

MAX_BLOCKS = 50
MAX_SECTION = 3000
MAX_TEXT = 3000
"""Of the fallback; Slack splits messages above 4,000 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A message as Slack takes it: `text` alone says it too (notifications, screen readers)."""

    text: str
    blocks: tuple[Block, ...] = ()


def message(text: str, blocks: Iterable[Block]) -> Rendered:
    """A message; whatever is beyond Slack's number of blocks is left out, and says so."""
    shown = tuple(blocks)
    if len(shown) > MAX_BLOCKS:
        shown = (*shown[: MAX_BLOCKS - 1], context("There is more than a message can hold."))
    return Rendered(text=cut(text, MAX_TEXT), blocks=shown)


def header(text: str) -> Block:
    """A title of at most 150 characters."""
    return {"type": "header", "text": plain_text(text, 150)}


def section(text: str) -> Block:
    """A paragraph."""
    return {"type": "section", "text": mrkdwn(text, MAX_SECTION)}


def packed(lines: Iterable[str]) -> list[Block]:
    """Lines in as few sections as hold them; no line is longer than a section."""
    sections: list[str] = []
    for line in lines:
        if sections and len(sections[-1]) + len(line) + 1 <= MAX_SECTION:
            sections[-1] += "\n" + line
        else:
            sections.append(line)
    return [section(text) for text in sections]


def fields(pairs: Iterable[tuple[str, str]]) -> Block:
    """Up to ten short facts, each under its label."""
    shown = [mrkdwn(f"*{label}*\n{value}", 2000) for label, value in pairs][:10]
    return {"type": "section", "fields": shown}


def context(*texts: str) -> Block:
    """Small print."""
    return {"type": "context", "elements": [mrkdwn(text, 2000) for text in texts if text][:10]}


def actions(buttons: Iterable[Block]) -> Block:
    """A row of buttons."""
    return {"type": "actions", "elements": list(buttons)}


def button(action_id: str, label: str, *, value: str, says: str, style: str = "") -> Block:
    """A button; `says` is what a screen reader says of it."""
    made: Block = {
        "type": "button",
        "action_id": action_id,
        "text": plain_text(label, 75),
        "value": value,
        "accessibility_label": plain(says, 75),
    }
    return made | ({"style": style} if style else {})


def confirmed(pressed: Block, *, title: str, text: str, yes: str, no: str) -> Block:
    """The same button, asking once more before it counts."""
    asking = {
        "title": plain_text(title, 100),
        "text": mrkdwn(text, 300),
        "confirm": plain_text(yes, 30),
        "deny": plain_text(no, 30),
    }
    style = {"style": pressed["style"]} if "style" in pressed else {}
    return {**pressed, "confirm": {**asking, **style}}


def plain_text(text: str, limit: int) -> Block:
    """Text in which nothing is parsed."""
    return {"type": "plain_text", "text": plain(text, limit), "emoji": True}


def mrkdwn(text: str, limit: int) -> Block:
    """Text with Slack's formatting and mentions."""
    return {"type": "mrkdwn", "text": cut(text, limit) or "—", "verbatim": True}
