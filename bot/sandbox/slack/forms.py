"""Blocks as a client handles them: filling in ids, what a person typed or chose, and what is missing.

A person's values come as `{block_id: {action_id: value}}` with plain values: a string for a text, number or
date, an option's value for a select or radio, a list of them for checkboxes. Slack's own client refuses a
form with an empty required input before the app ever hears of it, and so does `complaints`.
"""

import secrets
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from bot.sandbox.slack.limits import elements_of
from bot.sandbox.slack.shapes import Json, listed

Values = dict[str, dict[str, Any]]
_STATELESS = {"button", "overflow", "image"}


def with_ids(blocks: Iterable[Json]) -> tuple[Json, ...]:
    """A copy of the blocks with Slack's own ids where the app gave none."""
    completed = []
    for block in deepcopy(list(blocks)):
        if "block_id" not in block or block["type"] == "markdown":
            block["block_id"] = secrets.token_urlsafe(4)
        for _, element in elements_of(block):
            if element.get("type") != "image":
                element.setdefault("action_id", secrets.token_urlsafe(4))
        completed.append(block)
    return tuple(completed)


def interactive(blocks: Iterable[Json]) -> Iterator[tuple[str, Json]]:
    """Every interactive element with its block id."""
    for block in blocks:
        for _, element in elements_of(block):
            yield block["block_id"], element


def state_of(blocks: Iterable[Json], values: Values) -> Json:
    """The `state.values` of a payload: every input's present value, from `values` or its initial one."""
    state: Json = {}
    for block_id, element in interactive(blocks):
        if element["type"] not in _STATELESS:
            given = values.get(block_id, {}).get(element["action_id"], initial(element))
            state.setdefault(block_id, {})[element["action_id"]] = filled(element, given)
    return state


def initial(element: Json) -> Any:
    """The plain value that an input has before anybody touches it."""
    match element["type"]:
        case "plain_text_input" | "number_input":
            return element.get("initial_value")
        case "datepicker":
            return element.get("initial_date")
        case "checkboxes":
            return [option["value"] for option in element.get("initial_options", [])]
        case _:
            return (element.get("initial_option") or {}).get("value")


def filled(element: Json, value: Any) -> Json:
    """An element as payloads show it with a value in it."""
    match element["type"]:
        case "plain_text_input" | "number_input":
            return {"type": element["type"], "value": value or None}
        case "datepicker":
            return {"type": "datepicker", "selected_date": value or None}
        case "checkboxes":
            chosen = [option_of(element, one) for one in listed(value)]
            return {"type": "checkboxes", "selected_options": chosen}
        case kind:
            return {"type": kind, "selected_option": option_of(element, value) if value else None}


def option_of(element: Json, value: Any) -> Json:
    """The offered option with that value; one that was never offered only a forger sends."""
    groups = [element, *element.get("option_groups", [])]
    offered = [option for group in groups for option in group.get("options", [])]
    forged: Json = {"text": {"type": "plain_text", "text": str(value)}, "value": value}
    return next((option for option in offered if option["value"] == value), forged)


def complaints(blocks: Iterable[Json], values: Values) -> dict[str, str]:
    """What the client itself says at each input, by block id; empty if the form may be sent."""
    said = {}
    for block in blocks:
        if block["type"] == "input":
            element = block["element"]
            given = values.get(block["block_id"], {}).get(element["action_id"], initial(element))
            complaint = _complaint(element, given, optional=block.get("optional", False))
            if complaint:
                said[block["block_id"]] = complaint
    return said


def _complaint(element: Json, value: Any, *, optional: bool) -> str:
    if value in (None, "", []):
        return "" if optional else "Please complete this required field."
    if element["type"] == "plain_text_input":
        least, most = element.get("min_length", 0), element.get("max_length", 3000)
        if not least <= len(str(value)) <= most:
            return f"Must be between {least} and {most} characters."
    if element["type"] == "number_input":
        return _number_complaint(element, str(value))
    return ""


def _number_complaint(element: Json, value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return "Must be a number."
    if not element["is_decimal_allowed"] and "." in value:
        return "Must be a whole number."
    if number < float(element.get("min_value", "-inf")) or number > float(element.get("max_value", "inf")):
        return f"Must be between {element.get('min_value', '…')} and {element.get('max_value', '…')}."
    return ""
