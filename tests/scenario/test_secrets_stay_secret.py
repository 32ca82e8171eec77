"""After a whole story, and after failures that carry bodies, no key and no token stands anywhere."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import serialization

from bot.sandbox.cluster.faults import Effect
from bot.sandbox.cluster.resources import SECRETS
from bot.sandbox.slack.faults import MethodFault
from bot.sandbox.slack.workspace import ADA
from tests.scenario.room import MESH, Room, open_room

pytestmark = pytest.mark.timeout(300)  # the story is told in the first test's set-up

PIECE = 40
"""So many characters of a secret in a row are a leak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A sandbox after its story, and everything that the terminal showed."""

    room: Room
    terminal: str


def terminal(room: Room, *arguments: str) -> str:
    """What one command of the command line prints, on both streams."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("ROOTKEEPER_")}
    ran = subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        env={**outside, **room.bot.environment, "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.stdout + ran.stderr


def betraying_failures(room: Room) -> None:
    """A webhook that repeats what it was sent, a server that answers with the object, a key typed by hand."""
    data = room.ca_secret()["data"]
    pem = base64.b64decode(data["ca-key.pem"]).decode()
    ts = room.propose()
    denial = f"object not allowed: {json.dumps(data)} and once more {pem}"
    room.inject(
        effect=Effect.DENY, verb="patch", resource="secrets", name="istio-ca-secret", message=denial, times=99
    )
    room.approve(ts)
    room.result(ts)
    room.cluster.do(lambda c: c.faults.clear())
    room.inject(effect=Effect.STATUS, verb="list", code=500, message=denial, times=1000)
    room.asked(f"/istio-root verify {MESH}")
    room.cluster.do(lambda c: c.faults.clear())
    room.type(ADA, f"/istio-root transition {MESH} lifetime=10y {data['ca-key.pem']}")
    room.whispered(ADA, "looks like a private key")
    room.type(ADA, f"/istio-root transition {MESH} lifetime=10y {room.slack.bot_token}")
    room.whispered(ADA, "looks like")


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with open_room(settings={"ROOTKEEPER_LOG_LEVEL": "debug"}) as room:
        betraying_failures(room)
        ts = room.propose()
        room.slack.fail("chat.update", MethodFault(answer="server_error"), times=2)
        room.approve(ts)
        room.result(ts)
        room.settled()
        said = [terminal(room, *line) for line in (("check",), ("check", "--json"), ("verify",), ("plan",))]
        said += [terminal(room, "doctor"), terminal(room, "audit")]
        yield Told(room=room, terminal="\n".join(said))


def haystacks(told: Told) -> dict[str, str]:
    """Everything that was written or shown, as text with its line breaks and without."""
    folder = told.room.sandbox.folder
    files = {
        path.name: path.read_bytes().decode("latin-1")
        for path in folder.iterdir()
        if path.is_file() and path.name != "kubeconfig"
    }
    texts = {**files, "terminal": told.terminal, "slack": _slack_saw(told.room)}
    assert {"bot.log", "rootkeeper.db"} <= set(texts)
    assert all(len(text) > 200 for name, text in texts.items() if name in ("bot.log", "terminal", "slack"))
    return {
        name: text + "".join(text.split()) + "".join(text.replace("\\n", "").split())
        for name, text in texts.items()
    }


def _slack_saw(room: Room) -> str:
    """The record less what people typed, for which the bot cannot be blamed."""
    record = room.slack.record()
    record["deliveries"] = []
    return json.dumps(record, ensure_ascii=False)


def keys(room: Room) -> dict[bytes, str]:
    """Every private key in the cluster, with a secret that holds it."""
    stored = room.cluster.do(lambda c: c.store.values(SECRETS))
    return {
        base64.b64decode(value): f"{s['metadata']['namespace']}/{s['metadata']['name']} {field}"
        for s in stored
        for field, value in (s.get("data") or {}).items()
        if field.endswith("key.pem") and value
    }


def forms(pem: bytes) -> list[str]:
    """A key as it may turn up: PEM, base64 of that, DER, its hex and its base64."""
    key = serialization.load_pem_private_key(pem, password=None)
    encoding, plain = serialization.Encoding, serialization.NoEncryption()
    der = key.private_bytes(encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    pkcs8 = key.private_bytes(encoding.DER, serialization.PrivateFormat.PKCS8, plain)
    body = "".join(pem.decode().splitlines()[1:-1])
    found = [body, base64.b64encode(pem).decode(), der.decode("latin-1"), der.hex()]
    return [*found, base64.b64encode(pkcs8).decode(), base64.urlsafe_b64encode(der).decode()]


def pieces(text: str) -> Iterator[str]:
    """Pieces of a secret from all over it; what a public key shows, too, lies in its first third."""
    start = len(text) * 2 // 5
    yield from (text[at : at + PIECE] for at in range(start, len(text) - PIECE, PIECE))


def test_no_private_key_stands_in_logs_database_messages_or_terminal_in_any_form(told: Told) -> None:
    everything = haystacks(told)

    leaks = {
        (name, holder)
        for pem, holder in keys(told.room).items()
        for form in forms(pem)
        for piece in pieces(form)
        for name, text in everything.items()
        if piece in text
    }

    assert len(keys(told.room)) >= 5
    assert leaks == set()


def test_no_token_stands_in_logs_database_messages_or_terminal(told: Told) -> None:
    room = told.room
    kubeconfig = json.loads((room.sandbox.folder / "kubeconfig").read_text())
    tokens = {
        "bot": room.slack.bot_token,
        "app": room.slack.app_token,
        "kubeconfig": kubeconfig["users"][0]["user"]["token"],
    }

    leaks = {
        (name, whose)
        for whose, token in tokens.items()
        for form in (token, base64.b64encode(token.encode()).decode()[:-4])
        for name, text in haystacks(told).items()
        if form in text
    }

    assert leaks == set()


def test_the_search_would_find_a_leak(told: Told) -> None:
    pem, holder = next(iter(keys(told.room).items()))

    quoted = json.dumps({"object": pem.decode()})

    assert holder
    assert any(piece in quoted.replace("\\n", "") for form in forms(pem) for piece in pieces(form))


def test_the_backup_holds_what_the_ca_secret_held_and_nobody_else_does(told: Told) -> None:
    backup = told.room.secret("rootkeeper-backup")["data"]

    assert any(value == told.room.ca_secret()["data"]["ca-key.pem"] for value in backup.values())


def test_the_database_and_its_companions_are_for_their_owner_only(told: Told) -> None:
    modes = {
        path.name: path.stat().st_mode & 0o077
        for path in told.room.sandbox.folder.iterdir()
        if path.name.startswith("rootkeeper.db")
    }

    assert set(modes.values()) == {0}
