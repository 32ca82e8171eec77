"""Faults that a test orders beforehand: the next calls of a method fail, the next envelope comes twice.

A fault is used up one call at a time. `after_effect` means that the call is carried out and only its answer
is lost, which is how a retried chat.postMessage becomes two messages.
"""

from dataclasses import dataclass
from typing import Literal

Answer = Literal["ratelimited", "server_error", "error", "timeout", "drop"]
ANSWERS: tuple[Answer, ...] = ("ratelimited", "server_error", "error", "timeout", "drop")


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodFault:
    """How a call goes wrong: HTTP 429 or 500, an `ok: false`, silence, or a cut connection."""

    answer: Answer
    retry_after: int = 1  # seconds, for "ratelimited"
    error: str = "internal_error"  # for "error"
    after_effect: bool = False


class Faults:
    """The faults still to come."""

    def __init__(self) -> None:
        self._methods: dict[str, list[MethodFault]] = {}
        self.duplicate_envelopes = 0
        self.lose_envelopes = 0

    def order(self, method: str, fault: MethodFault, *, times: int = 1) -> None:
        """Let the next calls of a method fail; "*" stands for every method."""
        self._methods.setdefault(method, []).extend([fault] * times)

    def next_for(self, method: str) -> MethodFault | None:
        """The fault for this call, which is used up by asking."""
        for key in (method, "*"):
            if self._methods.get(key):
                return self._methods[key].pop(0)
        return None

    def take_duplicate(self) -> bool:
        """Whether this envelope is to be delivered twice."""
        self.duplicate_envelopes -= 1 if (due := self.duplicate_envelopes > 0) else 0
        return due

    def take_loss(self) -> bool:
        """Whether this envelope is to vanish on its way."""
        self.lose_envelopes -= 1 if (due := self.lose_envelopes > 0) else 0
        return due

    def clear(self) -> None:
        """Forget every fault that was ordered and not used."""
        self._methods.clear()
        self.duplicate_envelopes = self.lose_envelopes = 0
