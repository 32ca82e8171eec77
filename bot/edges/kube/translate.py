"""Turns what the API server, urllib3 and the WebSocket say into the errors of `bot.errors`.

The one file of this edge that knows both sides. Texts are cut, and whatever looks like a value of a
secret is taken out: an error travels into logs and chat. Source: Kubernetes API conventions,
"Error codes"; k8s.io/apiserver/pkg/endpoints/handlers/responsewriters.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from bot.edges.kube.targets import Target
from bot.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterRefused,
    ClusterUnreachable,
    ObjectAbsent,
    OutcomeUnknown,
)

LONGEST_TEXT = 256
"""Characters of a server's text that are kept."""

DEFAULT_PAUSE = timedelta(seconds=1)
"""Before a busy server is asked again, when it does not say when."""

_VALUE = re.compile(r"-----BEGIN.*|[A-Za-z0-9+/=_-]{64,}", re.DOTALL)
TOKEN_REFUSED = "the API server does not accept the bot's token"  # noqa: S105 - a sentence, not a password
_BY_AUTHORIZER = re.compile(r'User "[^"]*" cannot |^Forbidden$|^$')


class Details(msgspec.Struct, rename="camel"):
    """`details` of a Status."""

    name: str = ""
    retry_after_seconds: int = 0


class StatusMeta(msgspec.Struct):
    """`metadata` of a Status: a 410 may bring a token to continue with."""

    token: str = msgspec.field(default="", name="continue")


class Status(msgspec.Struct):
    """The body of a refusal."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    details: Details | None = None
    metadata: StatusMeta | None = None


_STATUS = msgspec.json.Decoder(Status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What was tried, for the words of an error and for what a silence means."""

    verb: str
    target: Target
    writes: bool = False

    def __str__(self) -> str:
        return f"{self.verb} {self.target}"


class Private(Exception):
    """Leaves this edge only as its `error`: the client can do better first."""

    def __init__(self, error: ClusterError) -> None:
        super().__init__(error.message)
        self.error = error


class Again(Private):
    """The same request is worth another try after `pause`."""

    def __init__(self, error: ClusterError, pause: timedelta) -> None:
        super().__init__(error)
        self.pause = pause


class NotFound(Private):
    """A 404 that does not say that the object is absent: perhaps the path is not served here.

    It may come of a version or a kind that the cluster does not have, of an API server that has not
    finished starting (before Kubernetes 1.23), or of a proxy that does not know where to send the request.
    """


class Expired(Exception):
    """Private to the client: a list's continue token is too old (410); `token` continues the rest."""

    def __init__(self, token: str) -> None:
        super().__init__("the continue token expired")
        self.token = token


def cut(text: str) -> str:
    """A server's text as it may be shown: one line, no values, at most 256 characters."""
    line = " ".join(_VALUE.sub("…", text).split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def read_status(body: bytes) -> Status:
    """The Status in a body; the bare text as its message when it is none (a proxy's page)."""
    try:
        return _STATUS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Status(message=body[: 4 * LONGEST_TEXT].decode("utf-8", "replace"))


def refusal(doing: Doing, code: int, body: bytes, *, retry_after: str | None) -> Exception:
    """The exception for an answer that is no success; `Private` and `Expired` are for the client only."""
    status = read_status(body)
    said = cut(status.message)
    match code:
        case 401:
            return ClusterForbidden(f"may not {doing}: {TOKEN_REFUSED}")
        case 403 if doing.writes and not _BY_AUTHORIZER.search(status.message):
            return ClusterRefused(f"{doing} was refused: {said}")
        case 403:
            return ClusterForbidden(f"may not {doing}: {said}")
        case 404 if _says_absent(status, doing.target):
            return ObjectAbsent(f"{doing.target} does not exist")
        case 404:
            return NotFound(_broken(doing, f"the API server answered 404: {said}"))
        case 409:
            return ClusterConflict(f"{doing} lost a race: {said}")
        case 410 if doing.verb == "list":
            return Expired(status.metadata.token if status.metadata else "")
        case 429 | 503:
            return _busy(doing, code, said, _pause(status, retry_after))
        case _ if code >= 500 or code < 400:
            return _broken(doing, f"the API server answered {code}: {said}")
        case _:
            return ClusterRefused(f"{doing} was refused with {code}: {said}")


def _says_absent(status: Status, target: Target) -> bool:
    """Whether Kubernetes itself says that this object is not there: its Status names the object."""
    named = status.details.name if status.details else ""
    return status.kind == "Status" and status.reason == "NotFound" and named == target.name != ""


def token_refused(fault: ClusterForbidden) -> bool:
    """Whether it was not the request that was refused, but the bot itself (401)."""
    return fault.message.endswith(TOKEN_REFUSED)


def forbidden_beyond(fault: ClusterForbidden) -> str:
    """Why the same is forbidden for other objects, too; empty where it may be for this one only.

    The token and RBAC's word hold for others; an admission plugin's is about one object.
    """
    if token_refused(fault):
        return TOKEN_REFUSED
    by_authorizer = re.search(r'User "[^"]*" cannot ', fault.message)
    return "forbidden for every object of this namespace" if by_authorizer else ""


def _pause(status: Status, header: str | None) -> timedelta:
    if header and header.isascii() and header.isdigit():
        return timedelta(seconds=min(int(header), 86_400))
    if status.details and status.details.retry_after_seconds > 0:
        return timedelta(seconds=min(status.details.retry_after_seconds, 86_400))
    return DEFAULT_PAUSE


def _busy(doing: Doing, code: int, said: str, pause: timedelta) -> Again:
    text = f"cannot {doing}: the API server is too busy ({code}): {said}"
    # 429 comes before anything is done; a 503 may come from a proxy that lost sight of a write.
    kind = OutcomeUnknown if doing.writes and code == 503 else ClusterUnreachable
    return Again(kind(text, retry_after=pause), pause)


def _broken(doing: Doing, text: str) -> ClusterError:
    if doing.writes:
        return OutcomeUnknown(f"whether this happened is unknown: {doing}: {text}")
    return ClusterUnreachable(f"cannot {doing}: {text}", retry_after=DEFAULT_PAUSE)


def unsent(doing: Doing, fault: str) -> ClusterError:
    """No connection came about, so nothing was done."""
    return ClusterUnreachable(f"cannot {doing}: {_words(fault)}", retry_after=DEFAULT_PAUSE)


def unanswered(doing: Doing, fault: str) -> Exception:
    """It was sent and the connection broke: a read is tried again, of a write nothing is known."""
    error = _broken(doing, _words(fault))
    return error if doing.writes else Again(error, timedelta(0))


def timed_out(doing: Doing, fault: str) -> ClusterError:
    """It was sent and no answer came in time; a read is not tried again at once."""
    return _broken(doing, f"no answer in time ({_words(fault)})")


def unreadable(doing: Doing, fault: str) -> ClusterError:
    """The answer is not what Kubernetes documents: something else answers at this address."""
    return _broken(doing, f"the answer is not Kubernetes' ({cut(fault)})")


def public(fault: Exception) -> Exception:
    """The error for callers that do not try again."""
    return fault.error if isinstance(fault, Private) else fault


def _words(fault: str) -> str:
    """A library's fault in words; its objects' addresses say nothing to anybody."""
    return cut(re.sub(r"<[^>]* object at 0x[0-9a-f]+>:? ?", "", fault))
