"""Small rules that compose into the shape of a JSON document, with Slack's own wording for what is wrong.

A rule looks at one value and appends a sentence for each fault it finds; it never raises and never changes
the value. The sentences are those of Slack's `response_metadata.messages` (without the leading "[ERROR]"),
each ending in the JSON pointer of the place. Not for limits themselves: those stand in blocks.py.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]
"""A decoded JSON object whose shape is not known yet."""

Rule = Callable[[Any, str, list[str]], None]
"""Looks at (value, JSON pointer of the value, faults so far) and appends what is wrong."""


def fault(message: str, at: str) -> str:
    """One sentence as Slack words it, with the place."""
    return f"{message} [json-pointer:{at}]"


def listed(value: Any) -> list[Any]:
    """The value where it is an array, else nothing: for rules that look across an array already judged."""
    return value if isinstance(value, list) else []


def string(*, most: int, least: int = 1) -> Rule:
    """A string of `least` to `most` characters, as Slack counts them (code points)."""

    def rule(value: Any, at: str, faults: list[str]) -> None:
        if not isinstance(value, str):
            faults.append(fault("must provide a string", at))
        elif len(value) > most:
            faults.append(fault(f"must be less than {most + 1} characters", at))
        elif len(value) < least:
            faults.append(fault(f"must be more than {least - 1} characters", at))

    return rule


def pattern(expression: str, wording: str) -> Rule:
    """A string that matches the whole expression."""
    compiled = re.compile(expression)

    def rule(value: Any, at: str, faults: list[str]) -> None:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            faults.append(fault(wording, at))

    return rule


def boolean(value: Any, at: str, faults: list[str]) -> None:
    """True or false; the strings "true" and "false" are not."""
    if not isinstance(value, bool):
        faults.append(fault("must provide a boolean", at))


def integer(*, least: int, most: int) -> Rule:
    """A whole number within bounds."""

    def rule(value: Any, at: str, faults: list[str]) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            faults.append(fault("must provide an integer", at))
        elif not least <= value <= most:
            faults.append(fault(f"must be between {least} and {most}", at))

    return rule


def number(value: Any, at: str, faults: list[str]) -> None:
    """Any JSON number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        faults.append(fault("must provide a number", at))


def choice(*allowed: str) -> Rule:
    """One of a closed set of strings."""

    def rule(value: Any, at: str, faults: list[str]) -> None:
        if value not in allowed:
            faults.append(fault(f"must be one of: {', '.join(allowed)}", at))

    return rule


def items(each: Rule, *, most: int, least: int = 1) -> Rule:
    """An array of `least` to `most` values of one shape."""

    def rule(value: Any, at: str, faults: list[str]) -> None:
        if not isinstance(value, list):
            faults.append(fault("must provide an array", at))
            return
        if len(value) > most:
            faults.append(fault(f"no more than {most} items allowed", at))
        if len(value) < least:
            faults.append(fault(f"no fewer than {least} items required", at))
        for position, item in enumerate(value):
            each(item, f"{at}/{position}", faults)

    return rule


def nullable(inner: Rule) -> Rule:
    """The same, or null."""

    def rule(value: Any, at: str, faults: list[str]) -> None:
        if value is not None:
            inner(value, at, faults)

    return rule


def fields(required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    """An object with exactly these fields; anything else in it is an "invalid additional property"."""
    known = {**required, **(optional or {})}

    def rule(value: Any, at: str, faults: list[str]) -> None:
        if not isinstance(value, dict):
            faults.append(fault("must provide an object", at))
            return
        faults.extend(fault(f"missing required field: {name}", at) for name in required if name not in value)
        for name, inner in value.items():
            if name in known:
                known[name](inner, f"{at}/{name}", faults)
            elif name != "type":
                faults.append(fault(f"invalid additional property: {name}", at))

    return rule


def tagged(shapes: Mapping[str, Rule]) -> Rule:
    """An object whose `type` says which of the shapes it has to have."""

    def rule(value: Any, at: str, faults: list[str]) -> None:
        if not isinstance(value, dict):
            faults.append(fault("must provide an object", at))
        elif "type" not in value:
            faults.append(fault("missing required field: type", at))
        elif not isinstance(value["type"], str) or value["type"] not in shapes:
            faults.append(fault(f"unsupported type: {value['type']}", f"{at}/type"))
        else:
            shapes[value["type"]](value, at, faults)

    return rule


def both(*rules: Rule) -> Rule:
    """Every one of the rules, in order."""

    def rule(value: Any, at: str, faults: list[str]) -> None:
        for one in rules:
            one(value, at, faults)

    return rule


def one_field_of(*names: str) -> Rule:
    """At least one of the named fields is there."""

    def rule(value: Any, at: str, faults: list[str]) -> None:
        if isinstance(value, dict) and not any(name in value for name in names):
            faults.append(fault(f"must define either {' or '.join(f'`{name}`' for name in names)}", at))

    return rule
