"""The calls that put a message into Slack: post, redraw, upload; and what then when Slack refuses."""

import re
from dataclasses import dataclass
from typing import Any

import structlog
from slack_sdk import WebClient

from bot.core.record import Content, StragglerFile
from bot.edges.slack.faults import SLACK_TROUBLE, Kind, fault_of
from bot.edges.slack.render import Rendered
from bot.edges.slack.render.blocks import MAX_TEXT, context, section
from bot.edges.slack.render.thread import file_comment, straggler_file
from bot.edges.slack.render.words import code, cut
from bot.flow.ports import Anchor

_SOON = (Kind.PACED, Kind.PASSING)
"""Faults of an upload that another try may change; after any other a message says it in fewer words."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Where a message stands now."""

    channel: str
    ts: str
    edit: bool = False


class Voice:
    """The bot's voice in Slack. Raises what slack_sdk raises."""

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def post(
        self,
        content: Content,
        shown: Rendered,
        *,
        channel: str,
        thread_ts: str,
        broadcast: bool,
        reference: str,
        with_files: bool,
    ) -> Told:
        """A new message; a StragglerFile as a file if there is a thread for it and `with_files`."""
        if with_files and thread_ts and self._upload(content, channel, thread_ts):
            return Told(channel=channel, ts=thread_ts)
        place: dict[str, Any] = {"channel": channel, "unfurl_links": False, "unfurl_media": False}
        if thread_ts:
            place |= {"thread_ts": thread_ts, "reply_broadcast": broadcast}
        try:
            answer = self._client.chat_postMessage(**place, **_form(shown))
        except SLACK_TROUBLE as error:
            answer = self._client.chat_postMessage(**place, **_plainer(shown, error, reference))
        return Told(channel=str(answer["channel"]), ts=str(answer["ts"]))

    def redraw(self, shown: Rendered, anchor: Anchor, *, reference: str) -> Told:
        """Another content for a message of ours; text and blocks always together, else blocks vanish."""
        place: dict[str, Any] = {"channel": anchor.channel, "ts": anchor.ts}
        try:
            self._client.chat_update(**place, **_form(shown))
        except SLACK_TROUBLE as error:
            self._client.chat_update(**place, **_plainer(shown, error, reference))
        return Told(channel=anchor.channel, ts=anchor.ts, edit=True)

    def _upload(self, content: Content, channel: str, thread_ts: str) -> bool:
        """Whether it is for a file, and Slack took it."""
        if not isinstance(content, StragglerFile):
            return False
        name = re.sub(r"[^A-Za-z0-9._-]", "-", content.name)[:100]
        try:
            self._client.files_upload_v2(
                content=straggler_file(content),
                filename=name,
                title=name,
                channel=channel,
                thread_ts=thread_ts,
                initial_comment=file_comment(content),
            )
        except SLACK_TROUBLE as error:
            fault = fault_of(error)
            if fault.kind in _SOON:
                raise
            _log.warning("file not taken", fault=fault.code, hint=fault.hint)
            return False
        return True


def _form(shown: Rendered) -> dict[str, Any]:
    return {"text": shown.text, "blocks": list(shown.blocks)}


def _plainer(shown: Rendered, error: Exception, reference: str) -> dict[str, Any]:
    """When Slack refuses the form: a bug of ours, but what happened must still be told."""
    fault = fault_of(error)
    if fault.kind not in (Kind.UNSAYABLE, Kind.REFUSED):
        raise error
    _log.error("form refused", fault=fault.code, reference=reference)
    note = (
        f"Slack refused this message's full form ({fault.code}). Reference {code(reference)} is in the log."
    )
    said = [section(shown.text)] if shown.text else []
    return {"text": cut(shown.text, MAX_TEXT), "blocks": [*said, context(note)]}
