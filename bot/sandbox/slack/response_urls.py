"""response_url: an app's way to answer whoever pressed or typed, without being in the channel.

Each is good for five uses within 30 minutes. The default answer is ephemeral; `replace_original` and
`delete_original` work on the message it came from, which is the only way to change an ephemeral one.
Source: facts/slack.md section 1.
"""

import secrets
from dataclasses import dataclass, replace

from bot.sandbox.slack.calls import Arguments
from bot.sandbox.slack.chat import content_of
from bot.sandbox.slack.errors import SlackError
from bot.sandbox.slack.limits import MESSAGE_TEXT
from bot.sandbox.slack.messages import Content, Message
from bot.sandbox.slack.shapes import Json
from bot.sandbox.slack.workspace import BOT
from bot.sandbox.slack.world import World


@dataclass(slots=True, kw_only=True)
class _Address:
    user: str
    channel: str
    original: str | None  # ts of the message or ephemeral text it came from
    until: float
    uses_left: int


class ResponseUrls:
    """Every response_url that was handed out."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._addresses: dict[str, _Address] = {}

    def make(self, *, user: str, channel: str, original: str | None = None) -> str:
        """A URL for one interaction; `original` is the ts of the message that was pressed."""
        key = secrets.token_hex(16)
        patience = self._world.patience
        self._addresses[key] = _Address(
            user=user,
            channel=channel,
            original=original,
            until=self._world.clock() + patience.response_url,
            uses_left=patience.response_url_uses,
        )
        return f"{self._world.url}/response/{key}"

    def use(self, key: str, body: Json) -> None:
        """Do what the app asks; raises SlackError for a URL that is unknown, used up or too old."""
        address = self._addresses.get(key)
        if address is None:
            raise SlackError("no_active_hooks")
        if self._world.clock() > address.until:
            raise SlackError("expired_url")
        if address.uses_left <= 0:
            raise SlackError("used_url")
        address.uses_left -= 1
        self.answer(body, user=address.user, channel=address.channel, address=address)

    def answer(self, body: Json, *, user: str, channel: str, address: _Address | None = None) -> None:
        """Show an answer as its `response_type`, `replace_original` and `delete_original` say."""
        args = Arguments(body)
        original = address.original if address else None
        if args.flag("delete_original") and original:
            self._delete(channel, original)
            return
        content = content_of(self._world, args, longest=MESSAGE_TEXT)
        if args.flag("replace_original") and original:
            self._replace(channel, original, content)
        else:
            ts = self._say(args, content, user=user, channel=channel)
            if address and original is None:
                address.original = ts
        self._world.changed()

    def _delete(self, channel: str, ts: str) -> None:
        said = self._world.conversations
        if ts in said.ephemerals:
            said.ephemerals[ts] = replace(said.ephemerals[ts], deleted=True)
        elif message := said.find(channel, ts):
            said.delete(message)
        self._world.changed()

    def _replace(self, channel: str, ts: str, content: Content) -> None:
        said = self._world.conversations
        if ts in said.ephemerals:
            said.ephemerals[ts] = replace(said.ephemerals[ts], content=content)
        elif message := said.find(channel, ts):
            said.post(message.showing(content, edited=not content.blocks))

    def _say(self, args: Arguments, content: Content, *, user: str, channel: str) -> str:
        said, thread_ts = self._world.conversations, args.text("thread_ts")
        if args.text("response_type") == "in_channel":
            message = Message(
                channel=channel, ts=said.stamp(), user=BOT, content=content, thread_ts=thread_ts
            )
            return said.post(message).ts
        return said.whisper(content, channel=channel, user=user, sender="app", thread_ts=thread_ts).ts
