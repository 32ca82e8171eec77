"""Answers for one person's eyes: in the dialog that awaits one, by response_url, or as an ephemeral message."""

import structlog
from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient

from bot.core.replies import Caller, Reply
from bot.edges.slack.faults import SLACK_TROUBLE, fault_of
from bot.edges.slack.render import Rendered, reply_shown
from bot.edges.slack.render.dialogs import answered_in_dialog

_TIMEOUT = 10
"""Seconds; a lost reply changes nothing."""

_log = structlog.get_logger(__name__)


class SlackReplies:
    """The Replies port. A response_url serves five times in thirty minutes and in any channel."""

    def __init__(self, client: WebClient) -> None:
        self._client = client

    def reply(self, caller: Caller, reply: Reply) -> None:
        """Show it to the caller only; never raises."""
        try:
            if caller.view and self._in_dialog(caller, reply):
                return
            shown = reply_shown(reply)
            if not (caller.response_url and self._by_url(caller.response_url, shown)):
                self._by_message(caller, shown)
        except Exception as error:  # noqa: BLE001  (a lost reply must not undo what it tells of)
            _log.error("reply failed", user=caller.user, kind=type(reply).__name__, exc_info=error)

    def _in_dialog(self, caller: Caller, reply: Reply) -> bool:
        view = answered_in_dialog(reply, channel=caller.channel)
        try:
            self._client.views_update(view_id=caller.view, view=view)
        except SLACK_TROUBLE as error:
            _log.info("dialog gone", user=caller.user, fault=fault_of(error).code)
            return False
        return True

    def _by_url(self, url: str, shown: Rendered) -> bool:
        try:
            answer = WebhookClient(url, timeout=_TIMEOUT).send(
                text=shown.text,
                blocks=list(shown.blocks),
                response_type="ephemeral",
                replace_original=False,  # else a refusal would take the card's place
            )
        except SLACK_TROUBLE:
            return False
        return answer.status_code == 200

    def _by_message(self, caller: Caller, shown: Rendered) -> None:
        try:
            self._client.chat_postEphemeral(
                channel=caller.channel, user=caller.user, text=shown.text, blocks=list(shown.blocks)
            )
        except SLACK_TROUBLE as error:
            _log.warning("reply lost", user=caller.user, channel=caller.channel, fault=fault_of(error).code)
