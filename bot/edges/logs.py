"""Logs: past-tense facts with ids, JSON for machines, readable on a terminal, never a secret.

Everything that is logged goes through `redacted` last, libraries' records and traces included. They
go to stderr: what a command prints for people or pipes stays alone on stdout. Own code logs with
`structlog.get_logger()` and the ids of what it is about: `log.info("step done", rotation=…, step=…)`.
"""

import hashlib
import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bot.core.secrecy import without_secrets

REDACTED = "(redacted)"

QUIET = ("alembic", "apscheduler", "asyncio", "slack_bolt", "slack_sdk", "sqlalchemy", "urllib3")
"""Libraries that tell of every call; heard from `warning` on, with debug from `info` on."""

NEVER_DEBUG = ("kubernetes", "kubernetes.client.rest")
"""Logs whole response bodies at debug: workloads' private keys are in them."""

_SECRET_NAMES = re.compile(
    r"""
    (?:^|[_.-])
    (?: token | password | passwd | (?:client|signing)_secret | authorization
      | private[_-]?key | key[_-]?data | response_url )$
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CUT_OUT = re.compile(
    r"""
      -----BEGIN[ ][A-Z0-9 ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z0-9 ]*PRIVATE[ ]KEY-----|\Z)
    | LS0tLS1CRUdJTi[A-Za-z0-9+/=]+                               # PEM in base64, as in kubeconfigs
    | xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]+ | xapp-[A-Za-z0-9-]+  # Slack's tokens
    | https://hooks\.slack\.com/\S+                               # answers as the bot, without a token
    | (?<=ticket=)[^&\s"']+                                       # opens the bot's socket
    | (?i:(?<=bearer\ ))[A-Za-z0-9._~+/=-]+
    | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*        # ServiceAccount tokens
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                             # user:password@host
    | (?i:(?<=token:\ )|(?<=password:\ )|(?<=key-data:\ ))\S+     # lines of a kubeconfig
    """,
    re.VERBOSE | re.DOTALL,
)


def set_up_logs(
    *, level: str = "info", form: Literal["auto", "json", "console"] = "auto", stream: TextIO | None = None
) -> None:
    """Send everything that is logged, by us and by libraries, to one stream in one form.

    Uncaught exceptions of any thread are logged too. May be called again: the last call counts.
    """
    stream = stream or sys.stderr
    as_json = form == "json" or (form == "auto" and not stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(as_json=as_json, coloured=stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _quieten(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    sys.excepthook = lambda _kind, error, _trace: _uncaught("main", error)
    threading.excepthook = lambda args: _uncaught(
        args.thread.name if args.thread else "unknown", args.exc_value
    )


def _formatter(*, as_json: bool, coloured: bool) -> logging.Formatter:
    last: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=coloured, exception_formatter=structlog.dev.plain_traceback)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_common(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redact_event,
            last,
        ],
    )


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _quieten(level: str) -> None:
    for name in QUIET:
        logging.getLogger(name).setLevel("INFO" if level.lower() == "debug" else "WARNING")
    for name in NEVER_DEBUG:
        logging.getLogger(name).setLevel("WARNING")


def _uncaught(thread: str, error: BaseException | None) -> None:
    if error is None or isinstance(error, KeyboardInterrupt | SystemExit):
        return
    log_bug("running a thread", error, thread=thread)


def log_bug(doing: str, error: BaseException, **ids: str) -> str:
    """Log an exception that should not have happened, with its trace; gives the reference to tell.

    `doing` completes "failed while …". The reference (8 hex digits) is new for every occurrence.
    """
    trace = "".join(traceback.format_exception(error))
    reference = hashlib.sha256(f"{trace}{time.monotonic_ns()}".encode()).hexdigest()[:8]
    structlog.get_logger("bot").error("bug met", doing=doing, reference=reference, exc_info=error, **ids)
    return reference


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The structlog processor: no secret leaves by a log, whoever wrote it."""
    return {name: _redacted_value(name, value) for name, value in event.items()}


def _redacted_value(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAMES.search(name):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(key): _redacted_value(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted_value("", inner) for inner in value]
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return redacted(str(value))


def redacted(text: str) -> str:
    """The text without anything that looks like a token, a password or a private key.

    What can be cut out alone is; then the text passes the same filter as the record and the chat, which
    withholds all of it for a piece of a key.
    """
    return without_secrets(_CUT_OUT.sub(REDACTED, text))
