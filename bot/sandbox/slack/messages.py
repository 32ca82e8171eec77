"""Everything that was ever said: messages with their threads, edits and deletions, and ephemeral texts.

Values only; who may say what stands in chat.py. A message keeps every version it ever showed, because the
tests ask how a card changed and because an old version's buttons can be pressed again by an attacker.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.workspace import APP_ID, BOT, BOT_ID, TEAM


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a message shows at one time; `at` is Unix time."""

    at: float
    text: str = ""
    blocks: tuple[Json, ...] = ()
    attachments: tuple[Json, ...] = ()

    def to_record(self) -> Json:
        """As JSON, without what is empty."""
        record: Json = {"at": self.at, "text": self.text}
        if self.blocks:
            record["blocks"] = list(self.blocks)
        if self.attachments:
            record["attachments"] = list(self.attachments)
        return record

    def all_blocks(self) -> Iterator[Json]:
        """Its blocks and those inside its attachments."""
        yield from self.blocks
        for attachment in self.attachments:
            yield from attachment.get("blocks") or ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message in a channel, with every version before the present one, oldest first."""

    channel: str
    ts: str
    user: str
    content: Content
    earlier: tuple[Content, ...] = ()
    thread_ts: str | None = None
    broadcast: bool = False
    edited: bool = False
    deleted: bool = False
    files: tuple[str, ...] = ()
    metadata: Json | None = None

    @property
    def is_reply(self) -> bool:
        """Whether it stands in a thread under another message."""
        return self.thread_ts is not None

    def showing(self, content: Content, *, edited: bool) -> "Message":
        """The same message with other content."""
        return replace(
            self, content=content, earlier=(*self.earlier, self.content), edited=self.edited or edited
        )

    def to_slack(self, *, reply_count: int = 0) -> Json:
        """The `message` object of payloads and answers."""
        message: Json = {"type": "message", "user": self.user, "team": TEAM, "ts": self.ts}
        if self.user == BOT:
            message |= {"bot_id": BOT_ID, "app_id": APP_ID}
        message["text"] = self.content.text
        if self.content.blocks:
            message["blocks"] = list(self.content.blocks)
        if self.content.attachments:
            message["attachments"] = list(self.content.attachments)
        if self.is_reply:
            message |= {"thread_ts": self.thread_ts}
            message |= {"subtype": "thread_broadcast"} if self.broadcast else {}
        elif reply_count:
            message |= {"thread_ts": self.ts, "reply_count": reply_count}
        if self.edited:
            message["edited"] = {"user": self.user, "ts": self.ts}
        if self.metadata:
            message["metadata"] = self.metadata
        return message

    def to_record(self) -> Json:
        """Everything about it, as JSON for tests and the page."""
        return {
            "ts": self.ts,
            "channel": self.channel,
            "user": self.user,
            "thread_ts": self.thread_ts,
            "broadcast": self.broadcast,
            "edited": self.edited,
            "deleted": self.deleted,
            "files": list(self.files),
            "edit_count": len(self.earlier),
            **self.content.to_record(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ephemeral:
    """A text that one person alone sees; `sender` is "app" or "slack" (Slack's own errors)."""

    ts: str
    channel: str
    user: str
    sender: str
    content: Content
    thread_ts: str | None = None
    deleted: bool = False

    def to_record(self) -> Json:
        """Everything about it, as JSON."""
        return {
            "ts": self.ts,
            "channel": self.channel,
            "user": self.user,
            "sender": self.sender,
            "thread_ts": self.thread_ts,
            "deleted": self.deleted,
            **self.content.to_record(),
        }


class Conversations:
    """All messages and ephemeral texts, in the order of their making."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = 0
        self.messages: dict[tuple[str, str], Message] = {}
        self.ephemerals: dict[str, Ephemeral] = {}

    def stamp(self) -> str:
        """The next `ts`: unique and rising, with six decimals as Slack's."""
        self._last = max(int(self._clock() * 1_000_000), self._last + 1)
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def post(self, message: Message) -> Message:
        """Keep a new message."""
        self.messages[message.channel, message.ts] = message
        return message

    def whisper(
        self, content: Content, *, channel: str, user: str, sender: str, thread_ts: str | None = None
    ) -> Ephemeral:
        """Show something to one person alone."""
        ephemeral = Ephemeral(
            ts=self.stamp(), channel=channel, user=user, sender=sender, content=content, thread_ts=thread_ts
        )
        self.ephemerals[ephemeral.ts] = ephemeral
        return ephemeral

    def find(self, channel: str, ts: str) -> Message | None:
        """The message, unless it was never there or is deleted."""
        message = self.messages.get((channel, ts))
        return None if message is None or message.deleted else message

    def in_channel(self, channel: str) -> list[Message]:
        """Every message of a channel, replies and deleted ones included."""
        return [message for message in self.messages.values() if message.channel == channel]

    def replies(self, channel: str, ts: str) -> list[Message]:
        """The replies under a message that are not deleted."""
        return [
            message
            for message in self.in_channel(channel)
            if message.thread_ts == ts and message.ts != ts and not message.deleted
        ]

    def delete(self, message: Message) -> None:
        """Take a message away; its record stays."""
        self.messages[message.channel, message.ts] = replace(message, deleted=True)
