"""The same in a terminal: exit codes 0 fine, 1 findings, 2 could not tell; doctor says what to do."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from bot.sandbox.cluster.faults import Effect
from bot.sandbox.cluster.rbac import Ban
from bot.sandbox.slack.workspace import APPROVERS, BOT, GRACE, MESH_OPS
from tests.scenario.room import Room, open_room


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    complaint: str


def run(room: Room, *arguments: str, **settings: str) -> Ran:
    """Run `rootkeeper` with the sandbox's settings, and others where given."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("ROOTKEEPER_")}
    ran = subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        env={**outside, **room.bot.environment, "COLUMNS": "300", **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    return Ran(code=ran.returncode, out=ran.stdout, complaint=ran.stderr)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Room]:
    with open_room() as room:
        room.settled()
        yield room


@pytest.fixture
def room(sandbox: Room) -> Iterator[Room]:
    """The module's sandbox; afterwards everything is allowed again."""
    yield sandbox
    sandbox.cluster.do(lambda c: c.faults.clear())
    sandbox.cluster.do(lambda c: c.bot.bans.clear())
    sandbox.slack.change(lambda w: w.change_group(APPROVERS, users=("U0ADA00001", GRACE)))
    everybody = ("U0ADA00001", GRACE, "U0GUS00001", "U0STEN0001", BOT)
    sandbox.slack.change(lambda w: w.change_channel(MESH_OPS, members=everybody))


def test_check_finds_the_root_that_ends_soon(room: Room) -> None:
    ran = run(room, "check")

    assert ran.code == 1
    assert "ca.expiry" in ran.out


def test_verify_finds_the_root_everywhere(room: Room) -> None:
    ran = run(room, "verify", "prod")

    assert ran.code == 0
    assert "holders" in ran.out


def test_check_as_json_is_json(room: Room) -> None:
    ran = run(room, "check", "--json")

    assert json.loads(ran.out)["mesh"] == "prod"


@pytest.mark.parametrize("command", ["check", "verify", "plan"])
def test_an_unreachable_cluster_is_could_not_tell(room: Room, command: str) -> None:
    room.inject(effect=Effect.DROP_BEFORE, times=10_000)

    ran = run(room, command)

    assert ran.code == 2
    assert "→" in ran.complaint


def test_what_may_not_be_read_is_could_not_tell(room: Room) -> None:
    room.cluster.forbid(Ban(verb="list", resource="pods"))

    ran = run(room, "verify")

    assert ran.code == 2
    assert "could not be read" in ran.out


def test_a_mistyped_mesh_is_told_which_there_are(room: Room) -> None:
    ran = run(room, "check", "prd")

    assert ran.code == 2
    assert "known: prod" in ran.complaint


def test_plan_shows_every_step_and_writes_nothing(room: Room) -> None:
    before = len(room.writes()), len(room.writes(rehearsals=True))

    ran = run(room, "plan", "--lifetime", "5y")

    assert ran.code == 0
    assert "Write the root into Secret istio-system/istio-ca-secret" in ran.out
    assert (len(room.writes()), len(room.writes(rehearsals=True))) == before


def test_doctor_finds_nothing_in_a_sound_sandbox(room: Room) -> None:
    ran = run(room, "doctor")

    assert ran.code == 0, ran.out


@pytest.mark.parametrize(
    "ban",
    [
        Ban(verb="patch", resource="secrets", name="istio-ca-secret"),
        Ban(verb="list", resource="secrets"),
        Ban(verb="patch", resource="deployments"),
        Ban(verb="patch", resource="leases"),
    ],
    ids=lambda ban: f"{ban.verb} {ban.resource}",
)
def test_doctor_names_a_missing_permission(room: Room, ban: Ban) -> None:
    room.cluster.forbid(ban)

    ran = run(room, "doctor")

    assert ran.code == 1
    assert f"{ban.verb} {ban.resource}" in ran.out


def test_doctor_says_when_nobody_could_approve(room: Room) -> None:
    room.slack.change(lambda w: w.change_group(APPROVERS, users=(GRACE,)))

    ran = run(room, "doctor")

    assert ran.code == 1
    assert "approve" in ran.out


def test_doctor_says_when_the_bot_is_not_in_its_channel(room: Room) -> None:
    room.slack.change(lambda w: w.change_channel(MESH_OPS, members=("U0ADA00001", GRACE)))

    ran = run(room, "doctor")

    assert ran.code == 1
    assert "invite" in ran.out.lower()


def test_doctor_says_when_a_token_is_wrong_without_repeating_it(room: Room) -> None:
    wrong = "xoxb-sandbox-0123456789abcdef01234567"

    ran = run(room, "doctor", ROOTKEEPER_SLACK_BOT_TOKEN=wrong)

    assert ran.code == 1
    assert "invalid_auth" in ran.out
    assert wrong not in ran.out + ran.complaint


def test_doctor_says_when_the_clocks_differ(room: Room) -> None:
    room.cluster.do(lambda c: setattr(c, "skew", timedelta(minutes=10)))

    ran = run(room, "doctor")

    room.cluster.do(lambda c: setattr(c, "skew", timedelta()))
    assert ran.code == 1
    assert "clock" in ran.out


def test_every_fault_of_the_settings_is_told_at_once(room: Room) -> None:
    ran = run(room, "run", ROOTKEEPER_CHANNEL="mesh-ops", ROOTKEEPER_TIME_ZONE="Mars", ROOTKEEPER_MESHES="")

    assert ran.code == 2
    assert "ROOTKEEPER_CHANNEL" in ran.complaint
    assert "ROOTKEEPER_TIME_ZONE" in ran.complaint


def test_the_audit_record_is_intact_and_a_changed_row_is_found(room: Room) -> None:
    sound = run(room, "audit")
    room.bot.end()
    room.execute("UPDATE audit SET payload = replace(payload, 'checked', 'chocked') WHERE seq = 1")

    broken = run(room, "audit")

    assert sound.code == 0
    assert broken.code == 1
    assert "row 1" in broken.out
