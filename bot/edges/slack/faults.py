"""slack_sdk's exceptions → what kind of trouble it is, its name, and what to do about it.

Source: the error tables of the Web API methods (docs.slack.dev) and facts/slack.md, 4 to 6.
"""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from http.client import HTTPException
from typing import Any

from slack_sdk.errors import SlackApiError, SlackClientError

SLACK_TROUBLE = (SlackClientError, OSError, HTTPException, json.JSONDecodeError)
"""Everything that a call to Slack raises when Slack or the way to it is at fault."""

DEFAULT_RETRY_AFTER = timedelta(seconds=30)
"""When a 429 comes without its header; Tier 1 allows one call a minute."""


class Kind(StrEnum):
    """What to do about a call that failed."""

    PACED = "paced"
    """Too fast (429): again after `retry_after`."""
    GONE = "gone"
    """The message or thread is not there or not ours to change: post anew."""
    CLOSED = "closed"
    """Channel, token or scope: somebody has to do something; keep trying slowly."""
    UNSAYABLE = "unsayable"
    """Slack will never take this content."""
    PASSING = "passing"
    """Slack or the network, for now: back off and try again."""
    REFUSED = "refused"
    """A no whose word is not known here (workspaces have policies of their own): tried for a day, then
    given up, or it would hold up everything that follows it."""
    UNDRAWN = "undrawn"
    """A bug of ours: tried for minutes, then given up, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One failed call."""

    kind: Kind
    code: str
    """Slack's own word, `HTTP 502` where it answered without one, or the exception's name."""
    retry_after: timedelta | None = None
    needed: str = ""
    """The scope that is missing."""

    @property
    def hint(self) -> str:
        """What to do; empty when waiting is all."""
        return HINTS.get(self.code, "").format(needed=self.needed or "named in the manifest")


_KINDS = {
    Kind.GONE: (
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "thread_not_found",
        "cannot_reply_to_message",
        "restricted_action_thread_locked",
        "is_inactive",
    ),
    Kind.CLOSED: (
        "channel_not_found",
        "is_archived",
        "not_in_channel",
        "restricted_action",
        "restricted_action_read_only_channel",
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "not_allowed_token_type",
        "missing_scope",
        "no_permission",
        "access_denied",
        "ekm_access_denied",
        "org_login_required",
        "two_factor_setup_required",
        "enterprise_is_restricted",
        "posting_to_channel_denied",
        "team_access_not_granted",
    ),
    Kind.UNSAYABLE: (
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_too_long",
        "msg_blocks_too_long",
        "no_text",
        "invalid_arguments",
        "invalid_arg_name",
        "metadata_too_large",
        "too_many_attachments",
        "markdown_text_conflict",
    ),
    Kind.PASSING: (
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
        "accesslimited",
        "message_limit_exceeded",
    ),
}
_WORD = re.compile("[a-z][a-z0-9_]{0,79}")
_KIND_OF = {code: kind for kind, codes in _KINDS.items() for code in codes}

_COPY_AGAIN = "Copy the bot token (xoxb-…) from OAuth & Permissions of the installed app into the settings."
_INVITE = "Invite the bot: type `/invite @Rootkeeper` in the channel; the setting must be the channel's id."
HINTS = {
    "invalid_auth": _COPY_AGAIN,
    "not_authed": _COPY_AGAIN,
    "account_inactive": "The app was removed from the workspace. Install it again and copy the new token.",
    "token_revoked": "The token was revoked. Reinstall the app and copy the new token.",
    "token_expired": "Switch token rotation off for this app, reinstall it and copy the new token.",
    "not_allowed_token_type": "The bot token begins with xoxb-, the app token with xapp-; one is in the "
    "other's place.",
    "missing_scope": "Add the scope {needed} (manifests/slack-app.yaml names all), then reinstall the app.",
    "channel_not_found": _INVITE,
    "not_in_channel": _INVITE,
    "is_archived": "Unarchive the channel, or name another in the settings.",
    "plan_upgrade_required": "User groups need a paid plan: list user ids (U…) as approvers instead.",
    "no_such_subteam": "The user group was deleted or disabled: name another one in the settings.",
    "user_not_found": "Use the member id from the person's profile (U… or W…).",
    "ratelimited": "Slack limits how often the bot may ask. Try again in a minute.",
}


def fault_of(error: BaseException) -> Fault:
    """What failed."""
    if not isinstance(error, SlackApiError):
        return Fault(kind=Kind.PASSING, code=type(error).__name__)
    response = error.response
    status = getattr(response, "status_code", 200)
    data = response.data if isinstance(getattr(response, "data", None), dict) else {}
    code = word_of(response)
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return Fault(kind=Kind.PACED, code="ratelimited", retry_after=_retry_after(response.headers))
    unknown = Kind.REFUSED if _WORD.fullmatch(code) else Kind.PASSING
    return Fault(kind=_KIND_OF.get(code, unknown), code=code, needed=str(data.get("needed") or ""))


def word_of(response: Any) -> str:
    """The error of a failed answer; `HTTP 502` where it has none. slack_sdk puts a proxy's whole page there."""
    data = getattr(response, "data", None)
    word = data.get("error") if isinstance(data, dict) else None
    if isinstance(word, str) and _WORD.fullmatch(word):
        return word
    return f"HTTP {getattr(response, 'status_code', 'error')}"


def _retry_after(headers: object) -> timedelta:
    named = {str(k).lower(): v for k, v in headers.items()} if isinstance(headers, dict) else {}
    value = named.get("retry-after", "")
    first = str(value[0] if isinstance(value, list) and value else value)
    return timedelta(seconds=int(first)) if first.isdigit() else DEFAULT_RETRY_AFTER
