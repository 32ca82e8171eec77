"""Slack's judgement over what an app wants to show: blocks, attachments, modals and Home tabs.

`check_blocks`, `check_attachments` and `check_view` return every fault as a sentence (see shapes.py); an
empty list means that Slack would take it. slack_sdk's own validation sees less than half of these, because
it does not look into a block's children (facts/slack.md section 11).
"""

import json
from collections.abc import Iterator
from typing import Any

from bot.sandbox.slack.blocks import MARKDOWN_CHARACTERS, block_on
from bot.sandbox.slack.elements import plain_text
from bot.sandbox.slack.shapes import Json, Rule, boolean, both, choice, fault, fields, items, string

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
VIEW_BYTES = 250_000
MESSAGE_TEXT = 40_000  # above: msg_too_long
SPLIT_TEXT = 4_000  # a longer text is split into several messages; in chat.update: msg_too_long
ATTACHMENTS = 100

_MOST_BLOCKS = {"message": MESSAGE_BLOCKS, "modal": VIEW_BLOCKS, "home": VIEW_BLOCKS}
_TITLE = plain_text(24)
_VIEW_COMMON: dict[str, Rule] = {
    "private_metadata": string(most=3000, least=0),
    "callback_id": string(most=255, least=0),
    "external_id": string(most=255, least=0),
}
_ELSEWHERE = both()  # blocks are checked apart, with their surface
_VIEWS = {
    "modal": fields(
        {"title": _TITLE, "blocks": _ELSEWHERE},
        {
            **_VIEW_COMMON,
            "submit": _TITLE,
            "close": _TITLE,
            "clear_on_close": boolean,
            "notify_on_close": boolean,
            "submit_disabled": boolean,
        },
    ),
    "home": fields({"blocks": _ELSEWHERE}, _VIEW_COMMON),
}
_ATTACHMENT = fields(
    {},
    {
        "color": string(most=20),
        "fallback": string(most=3000, least=0),
        "text": string(most=8000, least=0),
        "pretext": string(most=3000, least=0),
        "title": string(most=3000, least=0),
        "title_link": string(most=3000, least=0),
        "footer": string(most=300, least=0),
        "mrkdwn_in": items(choice("text", "pretext", "fields"), most=3, least=0),
        "blocks": _ELSEWHERE,
    },
)


def check_blocks(blocks: Any, *, surface: str = "message", at: str = "/blocks") -> list[str]:
    """Everything wrong with a list of blocks for a surface: "message", "modal" or "home"."""
    faults: list[str] = []
    items(block_on(surface), most=_MOST_BLOCKS[surface], least=0)(blocks, at, faults)
    if isinstance(blocks, list):
        known = [(f"{at}/{index}", block) for index, block in enumerate(blocks) if isinstance(block, dict)]
        faults.extend(_repeated_block_ids(known))
        for place, block in known:
            faults.extend(_repeated_action_ids(block, place))
        faults.extend(_over_the_whole(known, at))
    return faults


def _repeated_block_ids(blocks: list[tuple[str, Json]]) -> Iterator[str]:
    seen: set[str] = set()
    for place, block in blocks:
        block_id = block.get("block_id")
        if isinstance(block_id, str):
            if block_id in seen:
                yield fault(f"`block_id` {block_id} already exists", f"{place}/block_id")
            seen.add(block_id)


def _repeated_action_ids(block: Json, place: str) -> Iterator[str]:
    seen: set[str] = set()
    for at, element in elements_of(block, place):
        action_id = element.get("action_id")
        if isinstance(action_id, str):
            if action_id in seen:
                yield fault(f"`action_id` {action_id} already exists", f"{at}/action_id")
            seen.add(action_id)


def elements_of(block: Json, place: str = "") -> Iterator[tuple[str, Json]]:
    """A block's interactive elements, each with its JSON pointer."""
    for field in ("accessory", "element"):
        if isinstance(block.get(field), dict):
            yield f"{place}/{field}", block[field]
    if block.get("type") == "actions" and isinstance(block.get("elements"), list):
        for index, element in enumerate(block["elements"]):
            if isinstance(element, dict):
                yield f"{place}/elements/{index}", element


def _over_the_whole(blocks: list[tuple[str, Json]], at: str) -> Iterator[str]:
    tables = [place for place, block in blocks if block.get("type") == "table"]
    if len(tables) > 1:
        yield fault("only one table allowed", tables[1])
    texts = [block.get("text") for _, block in blocks if block.get("type") == "markdown"]
    if sum(len(text) for text in texts if isinstance(text, str)) > MARKDOWN_CHARACTERS:
        yield fault(f"markdown blocks must be less than {MARKDOWN_CHARACTERS + 1} characters together", at)


def check_attachments(attachments: Any) -> list[str]:
    """Everything wrong with a message's attachments (the colour bar with blocks inside)."""
    faults: list[str] = []
    items(_ATTACHMENT, most=ATTACHMENTS, least=0)(attachments, "/attachments", faults)
    if isinstance(attachments, list):
        for index, attachment in enumerate(attachments):
            if isinstance(attachment, dict) and "blocks" in attachment:
                faults += check_blocks(attachment["blocks"], at=f"/attachments/{index}/blocks")
    return faults


def check_view(view: Any, *, home: bool = False) -> list[str]:
    """Everything wrong with a modal, or with a Home tab."""
    kind = "home" if home else "modal"
    if not isinstance(view, dict):
        return [fault("must provide an object", "/view")]
    if view.get("type") != kind:
        return [fault(f"unsupported type: {view.get('type')}", "/view/type")]
    faults: list[str] = []
    _VIEWS[kind](view, "/view", faults)
    blocks = view.get("blocks")
    if blocks is not None:
        faults += check_blocks(blocks, surface=kind, at="/view/blocks")
    if kind == "modal" and _has_inputs(blocks) and "submit" not in view:
        faults.append(fault("missing required field: submit", "/view"))
    return faults


def _has_inputs(blocks: Any) -> bool:
    return isinstance(blocks, list) and any(
        isinstance(block, dict) and block.get("type") == "input" for block in blocks
    )


def view_is_too_large(view: Json) -> bool:
    """Whether a view exceeds Slack's 250 kB."""
    return len(json.dumps(view).encode()) > VIEW_BYTES
