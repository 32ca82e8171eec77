"""All that the stand-in knows, in one place, and the count of its changes.

Everything here is touched only on the stand-in's event loop. Whoever changes something calls `changed()`,
which wakes the page's long poll and every waiting test.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.sandbox.slack.faults import Faults
from bot.sandbox.slack.messages import Conversations
from bot.sandbox.slack.registration import Patience, Registration
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.throttle import Throttle
from bot.sandbox.slack.views import Views
from bot.sandbox.slack.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One call of the Web API: what was asked (never the token) and how it ended."""

    at: float
    method: str
    args: Json
    status: int
    error: str | None

    def to_record(self) -> Json:
        """As JSON; `ok` says whether Slack did it."""
        return {
            "at": self.at,
            "method": self.method,
            "args": self.args,
            "status": self.status,
            "ok": self.error is None,
            "error": self.error,
        }


@dataclass(slots=True, kw_only=True)
class StoredFile:
    """A file on its way (`content` is None until it is uploaded) or shared in a channel."""

    id: str
    name: str
    length: int
    key: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)  # part of the upload URL
    title: str = ""
    content: bytes | None = None
    channel: str | None = None
    thread_ts: str | None = None

    def to_record(self) -> Json:
        """As JSON, with the content as text (bytes that are not UTF-8 show as U+FFFD)."""
        return {
            "id": self.id,
            "name": self.name,
            "title": self.title,
            "size": self.length,
            "channel": self.channel,
            "thread_ts": self.thread_ts,
            "content": (self.content or b"").decode(errors="replace"),
        }


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One payload that went, or could not go, to the app."""

    at: float
    kind: str
    envelope_id: str
    payload: Json
    outcome: str = "waiting"  # acked | no_connection | timeout | lost
    ack_ms: float | None = None
    acks: int = 0

    def to_record(self) -> Json:
        """As JSON; `acks` above 1 means that a duplicate was acknowledged too."""
        return {
            "at": self.at,
            "kind": self.kind,
            "envelope_id": self.envelope_id,
            "outcome": self.outcome,
            "ack_ms": self.ack_ms,
            "acks": self.acks,
            "payload": self.payload,
        }


class World:
    """The workspace, what was said in it, and what is known of the app."""

    def __init__(
        self,
        *,
        registration: Registration,
        patience: Patience,
        rate_factor: float,
        clock: Callable[[], float],
    ) -> None:
        self.clock = clock
        self.registration = registration
        self.patience = patience
        self.workspace = Workspace()
        self.conversations = Conversations(clock)
        self.views = Views(clock, trigger_seconds=patience.trigger)
        self.throttle = Throttle(clock, factor=rate_factor)
        self.faults = Faults()
        self.files: dict[str, StoredFile] = {}
        self.calls: list[ApiCall] = []
        self.deliveries: list[Delivery] = []
        self.tickets: set[str] = set()
        self.url = ""
        self.version = 0
        self.stopping = asyncio.Event()
        self._news = asyncio.Event()

    def changed(self) -> None:
        """Something that a person or a test can see is different now."""
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()

    async def change_after(self, version: int, *, seconds: float) -> bool:
        """Wait until something changed after the given version; False if nothing did in time."""
        if self.version > version:
            return True
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return False
        return True
