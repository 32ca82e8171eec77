"""The ways in which the stand-in says no."""

from typing import Any


class SlackError(Exception):
    """Slack's refusal of a Web API call: `{"ok": false, "error": code, ...}`."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra

    @classmethod
    def of_faults(cls, code: str, faults: list[str]) -> "SlackError":
        """A refusal that lists what is wrong, as Slack does for blocks and views."""
        messages = [f"[ERROR] {fault}" for fault in faults]
        return cls(code, errors=faults, response_metadata={"messages": messages})


class CannotAct(Exception):
    """What a person asked of the sandbox is impossible in a real client: no such button, no such person."""
