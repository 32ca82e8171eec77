"""The shapes of Slack's blocks, with their limits, and which surface takes which block.

Source: docs.slack.dev/reference/block-kit/blocks, as gathered in facts/slack.md section 4. Counts over a
whole message or view (50 blocks, unique ids, one table) stand in limits.py.
"""

from collections.abc import Mapping
from typing import Any

from bot.sandbox.slack.elements import (
    ACCESSORY,
    IDENTIFIER,
    IMAGE_FIELDS,
    IMAGE_SOURCES,
    IN_ACTIONS,
    IN_CONTEXT,
    IN_INPUT,
    URL,
    any_text,
    plain_text,
)
from bot.sandbox.slack.shapes import (
    Rule,
    boolean,
    both,
    choice,
    fault,
    fields,
    integer,
    items,
    listed,
    nullable,
    number,
    one_field_of,
    pattern,
    string,
    tagged,
)

TABLE_CHARACTERS = 10_000  # all cells together
ALERT_CHARACTERS = 200
MARKDOWN_CHARACTERS = 12_000  # all markdown blocks of a message together

_STYLE = fields({}, dict.fromkeys(("bold", "italic", "strike", "code", "underline"), boolean))
_STYLED = {"style": _STYLE}
_INLINE = tagged(
    {
        "text": fields({"text": string(most=12_000)}, _STYLED),
        "link": fields({"url": URL}, {"text": string(most=3000), "unsafe": boolean, **_STYLED}),
        "user": fields({"user_id": IDENTIFIER}, _STYLED),
        "usergroup": fields({"usergroup_id": IDENTIFIER}, _STYLED),
        "channel": fields({"channel_id": IDENTIFIER}, _STYLED),
        "emoji": fields({"name": IDENTIFIER}, {"unicode": string(most=100), "skin_tone": number, **_STYLED}),
        "date": fields(
            {"timestamp": integer(least=0, most=2**53), "format": string(most=255)},
            {"url": URL, "fallback": string(most=255), **_STYLED},
        ),
        "broadcast": fields({"range": choice("here", "channel", "everyone")}, _STYLED),
        "color": fields({"value": pattern(r"#[0-9a-fA-F]{6}", "must be a colour: #RRGGBB")}, _STYLED),
    }
)
_INLINES = items(_INLINE, most=1000, least=0)
_BORDER = integer(least=0, most=1)
_SECTION_OF_TEXT = fields({"elements": _INLINES})
_RICH = tagged(
    {
        "rich_text_section": _SECTION_OF_TEXT,
        "rich_text_list": fields(
            {
                "elements": items(tagged({"rich_text_section": _SECTION_OF_TEXT}), most=1000),
                "style": choice("bullet", "ordered"),
            },
            {
                "indent": integer(least=0, most=8),
                "offset": integer(least=0, most=10_000),
                "border": _BORDER,
            },
        ),
        "rich_text_preformatted": fields(
            {"elements": _INLINES}, {"border": _BORDER, "language": string(most=50)}
        ),
        "rich_text_quote": fields({"elements": _INLINES}, {"border": _BORDER}),
    }
)

_ID = {"block_id": IDENTIFIER}
RICH_TEXT = fields({"elements": items(_RICH, most=1000)}, _ID)
_CELL = tagged(
    {
        "raw_text": fields({"text": string(most=TABLE_CHARACTERS)}),
        "raw_number": fields({"value": number, "text": string(most=TABLE_CHARACTERS)}),
        "rich_text": RICH_TEXT,
    }
)
_COLUMN = fields({}, {"align": choice("left", "center", "right"), "is_wrapped": boolean})


def _fits_a_table(block: Any, at: str, faults: list[str]) -> None:
    rows = [row for row in listed(block.get("rows")) if isinstance(row, list)]
    if sum(characters(cell) for row in rows for cell in row) > TABLE_CHARACTERS:
        faults.append(fault(f"table must be less than {TABLE_CHARACTERS + 1} characters", at))
    if len({len(row) for row in rows}) > 1:
        faults.append(fault("all rows must have the same number of cells", at))


def characters(value: Any) -> int:
    """How many characters of text stand anywhere in a value."""
    if isinstance(value, list):
        return sum(characters(inner) for inner in value)
    if not isinstance(value, dict):
        return 0
    own = len(value["text"]) if isinstance(value.get("text"), str) else 0
    return own + sum(characters(inner) for inner in value.values())


SHAPES: Mapping[str, Rule] = {
    "section": both(
        fields(
            {},
            {
                **_ID,
                "text": any_text(3000),
                "fields": items(any_text(2000), most=10),
                "accessory": ACCESSORY,
                "expand": boolean,
            },
        ),
        one_field_of("text", "fields"),
    ),
    "header": fields({"text": plain_text(150)}, _ID),
    "divider": fields({}, _ID),
    "context": fields({"elements": items(IN_CONTEXT, most=10)}, _ID),
    "actions": fields({"elements": items(IN_ACTIONS, most=25)}, _ID),
    "input": fields(
        {"label": plain_text(2000), "element": IN_INPUT},
        {**_ID, "hint": plain_text(2000), "optional": boolean, "dispatch_action": boolean},
    ),
    "rich_text": RICH_TEXT,
    "table": both(
        fields(
            {"rows": items(items(_CELL, most=20), most=100)},
            {**_ID, "column_settings": items(nullable(_COLUMN), most=20, least=0)},
        ),
        _fits_a_table,
    ),
    "markdown": fields({"text": string(most=MARKDOWN_CHARACTERS)}, _ID),
    "image": both(
        fields(IMAGE_FIELDS, {**_ID, **IMAGE_SOURCES, "title": plain_text(2000)}),
        one_field_of("image_url", "slack_file"),
    ),
    "alert": fields(
        {"text": any_text(ALERT_CHARACTERS)},
        {**_ID, "level": choice("default", "info", "warning", "error", "success")},
    ),
}
"""Every block that the stand-in knows, by its type."""

_EVERYWHERE = {"section", "header", "divider", "context", "actions", "input", "rich_text", "image"}
ON_SURFACE: Mapping[str, frozenset[str]] = {
    "message": frozenset(_EVERYWHERE | {"table", "markdown"}),
    "modal": frozenset(_EVERYWHERE | {"alert"}),
    "home": frozenset(_EVERYWHERE | {"table"}),
}
"""Which blocks a surface takes; `alert` in a message is refused in spite of its name."""


def block_on(surface: str) -> Rule:
    """The rule for one block on a surface: "message", "modal" or "home"."""
    return tagged({kind: SHAPES[kind] for kind in ON_SURFACE[surface]})
