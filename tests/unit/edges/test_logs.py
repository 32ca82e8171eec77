"""Logs: one form for everyone's records, and never a secret in them."""

import base64
import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bot.core.secrecy import KEY_WITHHELD
from bot.edges.logs import REDACTED, log_bug, redacted, set_up_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)
    levels = {name: logger.level for name, logger in known_loggers().items()}
    yield
    root.handlers[:], sys.excepthook, threading.excepthook = before[0], before[2], before[3]
    root.setLevel(before[1])
    for name, logger in known_loggers().items():
        logger.setLevel(levels.get(name, logging.NOTSET))
    structlog.reset_defaults()


def known_loggers() -> dict[str, logging.Logger]:
    loggers = logging.root.manager.loggerDict
    return {name: logger for name, logger in loggers.items() if isinstance(logger, logging.Logger)}


def logged(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail(error: Exception) -> None:
    raise error


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_fact_is_one_line_of_json_with_its_ids_where_no_terminal_is() -> None:
    stream = io.StringIO()
    set_up_logs(stream=stream)

    structlog.get_logger("bot.flow").info("step done", rotation="ab12", step="write", took=1.5)

    (line,) = logged(stream)
    assert line["event"] == "step done"
    assert (line["rotation"], line["step"], line["took"]) == ("ab12", "write", 1.5)
    assert (line["level"], line["logger"]) == ("info", "bot.flow")
    assert line["timestamp"].endswith("Z")


def test_a_terminal_gets_readable_lines() -> None:
    stream = Terminal()
    set_up_logs(stream=stream)

    structlog.get_logger("bot").info("step done", step="write")

    assert "step done" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_the_form_can_be_chosen_against_the_stream() -> None:
    terminal, pipe = Terminal(), io.StringIO()

    set_up_logs(stream=terminal, form="json")
    structlog.get_logger("bot").info("told")
    set_up_logs(stream=pipe, form="console")
    structlog.get_logger("bot").info("told")

    assert logged(terminal)[0]["event"] == "told"
    assert not pipe.getvalue().startswith("{")
    assert "\x1b" not in pipe.getvalue()


def test_a_library_s_record_has_the_same_form() -> None:
    stream = io.StringIO()
    set_up_logs(stream=stream)

    logging.getLogger("slack_sdk.web").warning("lost %s of %d", "one", 3, extra={"attempt": 2})

    (line,) = logged(stream)
    assert (line["event"], line["logger"], line["attempt"]) == ("lost one of 3", "slack_sdk.web", 2)


def test_talkative_libraries_are_quiet_and_kubernetes_never_tells_bodies() -> None:
    stream = io.StringIO()
    set_up_logs(stream=stream, level="debug")

    for name in ("slack_bolt.App", "apscheduler.scheduler", "sqlalchemy.engine", "kubernetes.client.rest"):
        logging.getLogger(name).debug("response body: key.pem")
    logging.getLogger("kubernetes.client.rest").info("response body: key.pem")
    logging.getLogger("bot").debug("heard")

    assert [line["event"] for line in logged(stream)] == ["heard"]


def test_below_the_level_nothing_is_logged() -> None:
    stream = io.StringIO()
    set_up_logs(stream=stream, level="warning")

    structlog.get_logger("bot").info("step done")

    assert stream.getvalue() == ""


def test_a_bug_is_logged_with_its_trace_under_the_reference_that_is_told() -> None:
    stream = io.StringIO()
    set_up_logs(stream=stream)

    try:
        fail(ZeroDivisionError("no such thing"))
    except ZeroDivisionError as error:
        references = {log_bug("advancing a rotation", error, rotation="ab12") for _ in range(2)}

    first, second = logged(stream)
    assert {first["reference"], second["reference"]} == references
    assert len(references) == 2
    assert first["rotation"] == "ab12"
    assert "ZeroDivisionError: no such thing" in first["exception"]
    assert "test_logs.py" in first["exception"]


def test_an_exception_that_nobody_caught_in_a_thread_is_logged() -> None:
    stream = io.StringIO()
    set_up_logs(stream=stream)

    thread = threading.Thread(target=lambda: 1 // 0, name="poster")
    thread.start()
    thread.join()

    (line,) = logged(stream)
    assert line["thread"] == "poster"
    assert "ZeroDivisionError" in line["exception"]


def private_key_pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


SECRETS = {
    "a bot token": "calling with xoxb-12-34-SECRET failed",
    "a token that expires": "xoxe.xoxb-1-SECRET",
    "an app-level token": "using xapp-1-A0-SECRET, retrying",
    "a bearer token": "Authorization: Bearer SECRET.SECRET~SECRET",
    "a bearer token in lower case": "{'authorization': 'bearer SECRET'}",
    "a ServiceAccount's token": "got eyJhbGciOiJSUzI1NiIsImtpZCI6.SECRET.SECRET",
    "a response address": "posting to https://hooks.slack.com/commands/T1/SECRET",
    "a socket's address": "wss://wss-primary.slack.com/link/?ticket=SECRET&app_id=1",
    "a database's password": "postgresql://bot:SECRET@db/bot",
    "a kubeconfig's token": "  token: SECRET\n",
    "a kubeconfig's password": "  password: SECRET\n",
    "a kubeconfig's key": "  client-key-data: SECRET\n",
    "a key in base64": "ca-key.pem=LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVkSECRET==",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----\nSECRET\n-----END RSA PRIVATE KEY-----\nafter",
    "a private key on one line": "b'-----BEGIN PRIVATE KEY-----\\nSECRET\\n-----END PRIVATE KEY-----'",
    "a private key that is cut off": "-----BEGIN EC PRIVATE KEY-----\nSECRET\nSECRET",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_is_redacted_wherever_it_stands(text: str, form: Any) -> None:
    stream = io.StringIO()
    set_up_logs(stream=stream, form=form)
    logger = structlog.get_logger("bot")

    logger.info(text)
    logger.info("told", value=text, nested={"list": [text, {"deep": text}]}, wrapped=ValueError(text))
    logging.getLogger("slack_sdk").warning("%s", text)
    try:
        fail(RuntimeError(text))
    except RuntimeError as error:
        log_bug("trying", error)

    assert "SECRET" not in stream.getvalue()
    assert REDACTED in stream.getvalue()


def test_a_real_private_key_is_gone_to_the_last_line() -> None:
    pem = private_key_pem()

    told = redacted(f"before {pem} after")

    assert told == f"before {REDACTED}\n after"


PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{'MIIEpAIBAAKCAQEA' * 4}\n-----END RSA PRIVATE KEY-----\n"
PIECES = {
    "its heading cut at the front": PEM.removeprefix("-----BEGIN R"),
    "the words and what follows them": f"PRIVATE KEY: {'MIIEpAIBAAKCAQEA' * 4}",
    "base64, from the first letter on": base64.b64encode(PEM.encode()).decode().removeprefix("LS0"),
    "base64 behind one other byte": base64.b64encode(b"a" + PEM.encode()).decode(),
    "base64 behind two other bytes": base64.b64encode(b"aa" + PEM.encode()).decode(),
}


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES.keys())
def test_a_piece_of_a_private_key_is_withheld_as_in_the_record_and_in_chat(piece: str) -> None:
    stream = io.StringIO()
    set_up_logs(stream=stream)

    structlog.get_logger("bot").info("not done", reason=f"the server said {piece}")

    (line,) = logged(stream)
    assert line["reason"] == KEY_WITHHELD


def test_what_is_named_as_a_secret_is_redacted_whatever_it_looks_like() -> None:
    stream = io.StringIO()
    set_up_logs(stream=stream)

    structlog.get_logger("bot").info(
        "told", token="hidden", bot_token="hidden", Authorization="hidden", headers={"password": "hidden"}
    )

    (line,) = logged(stream)
    assert (line["token"], line["bot_token"], line["Authorization"]) == (REDACTED,) * 3
    assert line["headers"] == {"password": REDACTED}


def test_bytes_are_counted_and_not_shown() -> None:
    stream = io.StringIO()
    set_up_logs(stream=stream)

    structlog.get_logger("bot").info("read", body=b"whatever")

    assert logged(stream)[0]["body"] == "(8 bytes)"


def test_what_is_no_secret_stays() -> None:
    text = "secret istio-ca-secret of shop/cart (serial 4f:aa, sha256 0d3b) at https://10.0.0.1:6443/api"

    assert redacted(text) == text
