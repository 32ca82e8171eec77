"""How each setting is read from text: a value, or a ValueError that says what is wrong with it.

The sentences go behind the variable's name, so they begin with a verb, and they never repeat a
secret. Defaults, ranges and descriptions are in `settings`.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_MESH_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_CRON_NAMES = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "day of week": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
_CRON_RANGES = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day of month": (1, 31),
    "month": (1, 12),
    "day of week": (0, 7),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSetting:
    """One mesh to look after."""

    name: str
    """What people call it in Slack."""
    context: str
    """A context of the kubeconfig; empty for the current one, or the cluster that the bot runs in."""
    namespace: str
    """Where its control plane lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int


def duration(text: str) -> timedelta:
    """`90s`, `5m`, `1h`, `3650d`; decimals are allowed (`0.5s`).

    Raises:
        ValueError: anything else; a number without a unit too, because everyone guesses another one.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhd])", text.strip().lower())
    if found is None:
        raise ValueError("is not a number followed by s, m, h or d")
    return timedelta(**{_UNITS[found[2]]: float(found[1])})


def bot_token(text: str) -> str:
    """A Slack bot token."""
    if text.startswith("xapp-"):
        raise ValueError("is an app-level token (xapp-…): it belongs into ROOTKEEPER_SLACK_APP_TOKEN")
    if text.startswith("xoxe"):
        raise ValueError("expires (token rotation is on): switch token rotation off in the Slack app")
    if not re.fullmatch(r"xoxb-\S+", text):
        raise ValueError("is not a bot token, which begins with xoxb-")
    return text


def app_token(text: str) -> str:
    """A Slack app-level token."""
    if text.startswith("xoxb-"):
        raise ValueError("is a bot token (xoxb-…): it belongs into ROOTKEEPER_SLACK_BOT_TOKEN")
    if not re.fullmatch(r"xapp-\S+", text):
        raise ValueError("is not an app-level token, which begins with xapp-")
    return text


def api_url(text: str) -> str:
    """An address, ending in a slash; encrypted unless it stays on this machine."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not an http(s) address")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("would send the token unencrypted: use https")
    return text.rstrip("/") + "/"


def channel(text: str) -> str:
    """A Slack channel's id."""
    if not re.fullmatch(r"[CG][A-Z0-9]{2,20}", text):
        raise ValueError("is not a channel id (C… or G…): copy it from the foot of the channel's details")
    return text


def approvers(text: str) -> tuple[str, ...]:
    """Ids of people and user groups, each once, in the order given."""
    entries = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    wrong = [entry for entry in entries if not re.fullmatch(r"[UWS][A-Z0-9]{2,20}", entry)]
    if wrong:
        raise ValueError(
            f"holds {', '.join(map(_shown, wrong))}, which is no id of a person (U…, W…) or user group (S…);"
            " names can be changed by anyone, ids cannot"
        )
    return entries


def meshes(text: str) -> tuple[MeshSetting, ...]:
    """`name=context/namespace`, separated by commas; names and places are distinct."""
    found = tuple(_mesh(part.strip()) for part in text.split(",") if part.strip())
    for what, keys in (
        ("the name", [mesh.name for mesh in found]),
        ("the place", [f"{mesh.context}/{mesh.namespace}" for mesh in found]),
    ):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"has {what} {twice[0]!r} twice")
    return found


def _mesh(entry: str) -> MeshSetting:
    name, equals, place = entry.partition("=")
    # the last slash: a context may hold some itself (arn:aws:eks:…:cluster/prod)
    context, slash, namespace = place.strip().rpartition("/")
    if not equals or not slash:
        raise ValueError(f"holds {_shown(entry)}, which is not name=context/namespace")
    name = name.strip()
    if not _MESH_NAME.fullmatch(name):
        raise ValueError(f"has a mesh {_shown(name)}: a name is lower-case letters, digits and hyphens")
    if not _NAMESPACE.fullmatch(namespace):
        raise ValueError(f"has a mesh in {_shown(namespace)}, which cannot be a namespace")
    return MeshSetting(name=name, context=context, namespace=namespace)


def path(text: str) -> Path:
    """A path; `~` is the home directory."""
    return Path(text).expanduser()


def database_url(text: str) -> str:
    """Where SQLite's file is."""
    if not re.fullmatch(r"sqlite:///[^?:]+", text):
        raise ValueError("is not sqlite:/// and a path (a relative path has three slashes, an absolute four)")
    return text


def cron(text: str) -> str:
    """A five-field cron expression, in lower case; `scheduler` gives it its meaning."""
    fields = text.split()
    if len(fields) != len(_CRON_RANGES):
        raise ValueError(f"has {len(fields)} fields; a cron expression has five")
    for (name, (low, high)), field in zip(_CRON_RANGES.items(), fields, strict=True):
        if not all(_is_cron_item(item, name, low, high) for item in field.split(",")):
            raise ValueError(f"has {_shown(field)} as its {name}")
    return " ".join(fields).lower()


def _is_cron_item(item: str, name: str, low: int, high: int) -> bool:
    span, _, step = item.partition("/")
    if "/" in item and (not re.fullmatch(r"\d{1,2}", step) or int(step) == 0):
        return False
    if span == "*":
        return True
    names = _CRON_NAMES.get(name, [])
    base = 1 if name == "month" else 0
    numbers = [
        names.index(end) + base if end in names else int(end) if re.fullmatch(r"\d{1,2}", end) else -1
        for end in span.lower().split("-")
    ]
    # a wrapped range (fri-mon) means something else in every cron
    return len(numbers) <= 2 and numbers == sorted(numbers) and low <= numbers[0] <= numbers[-1] <= high


def time_zone(text: str) -> ZoneInfo:
    """An IANA time zone."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"is {_shown(text)}, which is not the name of a time zone") from None


def address(text: str) -> Address:
    """`host:port`, `[v6]:port`."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([^\s:\[\]]+)):(\d{1,5})", text)
    if found is None or int(found[3]) > 65535:
        raise ValueError("is not host:port")
    return Address(host=found[1] or found[2], port=int(found[3]))


def _shown(text: str) -> str:
    """What was written, unless it may be a token in the wrong line."""
    return "something like a token" if re.search(r"xox|xapp", text) else repr(text[:60])
