"""Every setting, from the environment and `.env`: one field, one variable, one line of `.env.example`.

Only `bootstrap` and `cli` read this; everything else gets values by argument. Nothing here looks at a
disk, a cluster or Slack: whether a token works is for `rootkeeper doctor`.
"""

import difflib
import io
import logging
import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot import settings_text
from bot.core.intent import MAX_LIFETIME, MIN_LIFETIME
from bot.errors import SettingsFault
from bot.settings_text import Address, MeshSetting

PREFIX = "ROOTKEEPER_"
DEFAULT_FILE = Path(".env")
NEEDED_BY_SLACK = ("slack_bot_token", "slack_app_token", "channel", "approvers")
"""Fields without which `rootkeeper run` cannot work; a check in a terminal needs none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """What `rootkeeper run` needs of Slack, all of it present."""

    bot_token: SecretStr
    app_token: SecretStr
    api_url: str
    channel: str
    approvers: tuple[str, ...]


def _duration_between(shortest: str, longest: str) -> BeforeValidator:
    low, high = settings_text.duration(shortest), settings_text.duration(longest)

    def read(value: object) -> timedelta:
        duration = value if isinstance(value, timedelta) else settings_text.duration(str(value))
        if not low <= duration <= high:
            raise ValueError(f"must lie between {shortest} and {longest}")
        return duration

    return BeforeValidator(read)


def _text(reader: Callable[[str], object]) -> BeforeValidator:
    """A reader of stripped text; a value that is not text was made by the program and stays."""
    return BeforeValidator(lambda value: reader(value.strip()) if isinstance(value, str) else value)


def _setting(default: object, *, description: str, example: str, **limits: Any) -> Any:
    return Field(default, description=description, examples=[example], **limits)


class Settings(BaseSettings):
    """All settings, parsed. A default is written as the text a person would write."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file_encoding="utf-8",
        # an empty line of .env is a setting that was not made
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    slack_bot_token: Annotated[SecretStr | None, _text(settings_text.bot_token)] = _setting(
        None,
        description="Bot token of the Slack app (OAuth & Permissions). Needed by run.",
        example="xoxb-…",
    )
    slack_app_token: Annotated[SecretStr | None, _text(settings_text.app_token)] = _setting(
        None,
        description="App-level token with connections:write (Basic Information): a manifest cannot make it. "
        "Needed by run.",
        example="xapp-…",
    )
    slack_api_url: Annotated[str, _text(settings_text.api_url)] = _setting(
        "https://slack.com/api/",
        description="Address of Slack's Web API; only the sandbox sets another one.",
        example="https://slack.com/api/",
    )
    channel: Annotated[str | None, _text(settings_text.channel)] = _setting(
        None,
        description="Id of the one channel where rotations are asked for and decided; names change, ids do "
        "not. Needed by run.",
        example="C0123ABCD",
    )
    approvers: Annotated[tuple[str, ...], NoDecode, _text(settings_text.approvers)] = _setting(
        "",
        description="Who may approve: ids of people (U…, W…) and user groups (S…), separated by commas. "
        "Empty means nobody, never everybody. Needed by run.",
        example="U0123ABCD,S0456EFGH",
    )
    meshes: Annotated[tuple[MeshSetting, ...], NoDecode, _text(settings_text.meshes)] = _setting(
        "mesh=/istio-system",
        min_length=1,
        description="The meshes as name=context/namespace, separated by commas. An empty context is the "
        "cluster that the bot runs in, or the kubeconfig's current one.",
        example="prod=prod-eu/istio-system,stage=stage-eu/istio-system",
    )
    kubeconfig: Annotated[Path | None, _text(settings_text.path)] = _setting(
        None,
        description="Path of a kubeconfig. Empty: the pod's own ServiceAccount, else ~/.kube/config.",
        example="~/.kube/config",
    )
    database_url: Annotated[SecretStr, _text(settings_text.database_url)] = _setting(
        "sqlite:///var/rootkeeper.db",
        description="Where the record is kept: SQLite on a disk that outlives the process, because a "
        "rotation is resumed from it.",
        example="sqlite:////var/lib/rootkeeper/rootkeeper.db",
    )
    check_schedule: Annotated[str, _text(settings_text.cron)] = _setting(
        "0 9 * * *",
        description="When every mesh is checked: a cron expression (0 and 7 are Sunday). Daily, when "
        "somebody is there to read it.",
        example="0 9 * * mon-fri",
    )
    time_zone: Annotated[ZoneInfo, _text(settings_text.time_zone)] = _setting(
        "UTC",
        description="Time zone of the check schedule (IANA name).",
        example="Europe/Berlin",
    )
    approval_lifetime: Annotated[timedelta, _duration_between("1m", "7d")] = _setting(
        "1h",
        description="How long a request can be approved (s, m, h, d): long enough to find a second person, "
        "short enough that both still know what it was about.",
        example="1h",
    )
    start_within: Annotated[timedelta, _duration_between("10s", "1h")] = _setting(
        "5m",
        description="An approved rotation that has not started within this (s, m, h, d) must be asked for "
        "again: a bot that was down for a day must not start yesterday's work.",
        example="5m",
    )
    root_lifetime: Annotated[
        timedelta, _duration_between(f"{MIN_LIFETIME.days}d", f"{MAX_LIFETIME.days}d")
    ] = _setting(
        "3650d",
        description=f"Validity of a new root (s, m, h, d), unless the request names one: ten years, as Citadel "
        f"itself makes them. A request may name the same: {MIN_LIFETIME.days} days, the life of a workload "
        f"certificate, to {MAX_LIFETIME.days // 365} years.",
        example="3650d",
    )
    probe_concurrency: int = _setting(
        16,
        ge=1,
        le=64,
        description="How many proxies are asked at once: each is a connection through the API server.",
        example="16",
    )
    poll_interval: Annotated[timedelta, _duration_between("0.1s", "5m")] = _setting(
        "5s",
        description="How often a waiting step looks again (s, m): Citadel needs a minute at least, the API "
        "server is not to notice.",
        example="5s",
    )
    webhook_patience: Annotated[timedelta, _duration_between("1s", "1h")] = _setting(
        "5m",
        description="How long webhooks may take to get the new root by themselves (s, m, h) before the "
        "component behind them is restarted: the injector patches its own within a minute.",
        example="5m",
    )
    health_address: Annotated[Address, NoDecode, _text(settings_text.address)] = _setting(
        "127.0.0.1:8080",
        description="host:port of /healthz, /readyz and /metrics; 0.0.0.0:8080 in a pod. They need no "
        "password, so not beyond this machine by default.",
        example="127.0.0.1:8080",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _text(str.lower)] = _setting(
        "info",
        description="debug, info, warning or error.",
        example="info",
    )
    log_format: Annotated[Literal["auto", "json", "console"], _text(str.lower)] = _setting(
        "auto",
        description="json, console, or auto: console on a terminal, json elsewhere.",
        example="auto",
    )

    def require_slack(self) -> SlackSettings:
        """What `rootkeeper run` needs.

        Raises:
            SettingsFault: something of it is missing; names all of it.
        """
        if self.slack_bot_token and self.slack_app_token and self.channel and self.approvers:
            return SlackSettings(
                bot_token=self.slack_bot_token,
                app_token=self.slack_app_token,
                api_url=self.slack_api_url,
                channel=self.channel,
                approvers=self.approvers,
            )
        raise _fault([_missing(name) for name in NEEDED_BY_SLACK if not getattr(self, name)])


def load_settings(env_file: Path | None = None, *, for_slack: bool = False) -> Settings:
    """Read the environment, and `.env` (or the given file) for what is not set there.

    With `for_slack`, what `rootkeeper run` needs is among the things that can be wrong.

    Raises:
        SettingsFault: names every fault at once: variable, what is wrong with it, an example.
    """
    # It only warns of a line that it cannot read, and leaves it out: here that is a fault among the others.
    logging.getLogger("dotenv.main").setLevel(logging.ERROR)
    file = env_file or DEFAULT_FILE
    text = _text_of(file, must_exist=env_file is not None)
    written = dotenv_values(stream=io.StringIO(text))
    statements = tuple(parse_stream(io.StringIO(text)))
    unread = [line for line in map(_unread, statements) if line]
    faults = [f"{file}, {line.told}" for line in unread]
    faults += [f"{file}, {told}" for told in _dropped(statements)]
    faults += _misspelt([*written, *os.environ], strict=written)
    if for_slack:
        given = {key.upper() for key, value in (written | os.environ).items() if value}
        given.update(name for line in unread for name in line.names)
        faults += [_missing(name) for name in NEEDED_BY_SLACK if variable(name) not in given]
    try:
        settings = Settings(_env_file=file if text else None)  # type: ignore[call-arg]
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise _fault([*faults, *(_told(str(d["loc"][0]), d["msg"]) for d in details)]) from None
    if faults:
        raise _fault(faults)
    return settings


def _text_of(file: Path, *, must_exist: bool) -> str:
    """What stands in the file; a file that was asked for must be there."""
    try:
        if stat.S_ISREG(file.stat().st_mode):  # Path.is_file may raise, or say False where nobody knows
            return file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        place = "" if must_exist else " (it belongs to the directory in which this is run)"
        raise _fault([f"{file.absolute()}: cannot be read: {reason}{place}"]) from None
    if must_exist:
        raise _fault([f"{file}: there is no such file (copy .env.example to begin one)"])
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unread:
    """A line of the file that makes no setting, though somebody meant one."""

    told: str
    names: tuple[str, ...]
    """The variables on it and on those that it runs over."""


_NEXT_SETTING = re.compile(rf"\n\s*(?:export\s+)?(?:[A-Z][A-Z0-9_]*|(?i:{PREFIX}\w+))\s*=")
"""In a value: the quote was not closed, and the line after it went in. A list over several lines is none."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+")
"""Of a variable, and never the rest of a list or token that ran over the line: no id in those has a _."""
_NAMES = re.compile(rf"^\s*(?:export\s+)?({PREFIX}\w+)", re.MULTILINE | re.IGNORECASE)


def _unread(binding: Binding) -> _Unread | None:
    """What is wrong with a statement, by its line number: the text itself may be a token."""
    text = binding.original.string
    ours = (binding.key or "").upper().startswith(PREFIX)
    if binding.error or (ours and _NEXT_SETTING.search(binding.value or "")):
        wrong = "cannot be read: is a quote not closed, or a = missing?"
    elif binding.key is not None and binding.value is None and (ours or not _is_inherited(binding.key)):
        wrong = "has no ="
    else:
        return None
    first = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
    last = first + text.strip().count("\n")
    where = f"line {first}" if last == first else f"lines {first} to {last}"
    names = tuple(name.upper() for name in _NAMES.findall(text))
    return _Unread(told=" ".join([f"{where}:", *names[:1], wrong]), names=names)


def _dropped(statements: Sequence[Binding]) -> list[str]:
    """Values in the file that would be dropped in silence: all but the last of one name, and the rest of a list."""
    values = defaultdict(list)
    for each in statements:
        values[(each.key or "").upper()].append((each.value or "").strip())
    ours = {name: given for name, given in values.items() if name.startswith(PREFIX)}
    twice = [
        f"{name}: is set more than once; join the values" for name, given in ours.items() if any(given[:-1])
    ]
    cut = [
        f"{each.key}: ends in a comma; a list over several lines stands in quotes"
        for each, following in pairwise(statements)
        if (each.key or "").upper() in ours and (each.value or "").endswith(",") and _goes_on(following)
    ]
    return twice + cut


def _goes_on(statement: Binding) -> bool:
    """Whether this may be the rest of the list before it, as variables have large letters."""
    return statement.key is not None and not statement.key.isupper()


def _is_inherited(word: str) -> bool:
    """Whether a word alone asks, as some readers of such files know it, for the environment's own value."""
    return word in os.environ or _NAME.fullmatch(word) is not None


def _misspelt(names: Iterable[str], *, strict: Iterable[str]) -> list[str]:
    """Variables that nobody reads.

    In the file every unknown one is a mistake; in the environment only what is nearly one of ours
    (Kubernetes puts ROOTKEEPER_SERVICE_HOST and the like there by itself).
    """
    known = [variable(name) for name in Settings.model_fields]
    faults = []
    for name in dict.fromkeys(n.upper() for n in names if n.upper().startswith(PREFIX)):
        meant = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if name not in known and (meant or name in strict):
            faults.append(f"{name}: is no setting" + (f"; {meant[0]} is" if meant else ""))
    return faults


def _told(name: str, complaint: str) -> str:
    example = (Settings.model_fields[name].examples or [""])[0]
    what = complaint.removeprefix("Value error, ")
    return f"{variable(name)}: {what[:1].lower() + what[1:]} (example: {example})"


def _missing(name: str) -> str:
    return _told(name, "is not set")


def _fault(faults: list[str]) -> SettingsFault:
    count = "1 setting is" if len(faults) == 1 else f"{len(faults)} settings are"
    return SettingsFault(
        "\n".join([f"{count} wrong:", *(f"  {fault}" for fault in faults)]),
        hint="Set them in .env or the environment; .env.example explains each.",
    )


def variable(name: str) -> str:
    """A field's environment variable."""
    return PREFIX + name.upper()
