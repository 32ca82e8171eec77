"""The arguments of a Web API call, from a form or a JSON body alike."""

import json
from typing import Any

from bot.sandbox.slack.errors import SlackError
from bot.sandbox.slack.shapes import Json, fault


class Arguments:
    """Reads arguments as Slack does: strings are strings, JSON may come as a string or as itself."""

    def __init__(self, values: Json) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}

    def given(self, name: str) -> bool:
        """Whether the argument is there at all."""
        return name in self.values

    def text(self, name: str) -> str | None:
        """A string; a number is refused, because a `ts` that became a float is a classic mistake."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            raise _invalid(fault("must provide a string", f"/{name}"))
        return value

    def required(self, name: str) -> str:
        """A string that must be there and not be empty."""
        value = self.text(name)
        if not value:
            raise _invalid(fault(f"missing required field: {name}", ""))
        return value

    def flag(self, name: str) -> bool:
        """A boolean: true, "true", 1 or "1"."""
        return self.values.get(name) in (True, "true", "True", "1")

    def number(self, name: str) -> int:
        """A whole number that must be there."""
        try:
            return int(self.values[name])
        except (KeyError, TypeError, ValueError):
            raise _invalid(fault(f"missing required field: {name}", "")) from None

    def decoded(self, name: str, *, otherwise: str = "invalid_arguments") -> Any:
        """A JSON value; text that is no JSON is refused with the code given."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise SlackError(otherwise) from None

    def to_record(self) -> Json:
        """The arguments for the record: decoded, and without the token."""
        return {name: _readable(value) for name, value in self.values.items() if name != "token"}


def _readable(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _invalid(message: str) -> SlackError:
    return SlackError.of_faults("invalid_arguments", [message])
