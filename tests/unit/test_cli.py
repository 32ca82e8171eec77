"""The command line: what it says, where, and with which exit code."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from bot import cli
from bot.core.findings import Finding, Severity, Verdict
from bot.core.ids import MeshName, RotationId, TeamId, UserId
from bot.core.mesh import Part
from bot.core.record import AuditEvent, Change, Event
from bot.core.rotation import Person
from bot.edges.store.engine import open_database
from bot.edges.store.lease import Lease
from bot.edges.store.migrate import upgrade
from bot.edges.store.store import SqlStore
from bot.errors import ClusterUnreachable, NotLeader
from bot.flow.ports import MeshPorts
from bot.settings import Settings, variable
from tests.fakes.cluster import MESH, FakeCluster
from tests.unit.edges.slack_samples import paused
from tests.unit.flow.world import WITH_GALLEY, SetClock

CLOCK = SetClock()
HINT = "→ "


class QuietMesh(FakeCluster):
    """A mesh in which nothing needs to be done: every certificate is a day old, the root lives on."""

    @property
    def _born(self) -> datetime:
        return self.clock.now() - timedelta(days=1)

    @_born.setter
    def _born(self, _: datetime) -> None:
        """The fake's own idea is thirty days before the root's end."""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """The one mesh that the settings name."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    made = QuietMesh(CLOCK, accounts=WITH_GALLEY, days_left=300)
    ports = {MESH: MeshPorts(name=MESH, reader=made, writer=made)}
    monkeypatch.setattr("bot.bootstrap.connect_meshes", lambda *_, **__: ports)
    monkeypatch.setattr("bot.cli.SystemClock", lambda: CLOCK)
    monkeypatch.setattr("bot.cli.set_up_logs", lambda **_: None)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


# --- check and verify --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "verify"])
def test_a_mesh_in_order_ends_with_0(cluster: FakeCluster, command: str) -> None:
    result = run(command)

    assert result.exit_code == 0, result.output
    assert "Mesh prod" in result.stdout
    assert result.stderr == ""
    assert cluster.effects == []


def test_findings_end_with_1(cluster: FakeCluster) -> None:
    cluster.member("cart").root = b""

    result = run("verify")

    assert result.exit_code == 1
    assert "not ok  ws.root" in result.stdout


def test_what_could_not_be_read_ends_with_2_and_is_named(cluster: FakeCluster) -> None:
    cluster.hide(Part.SECRETS, "Secrets in namespace shop", reason="forbidden")

    result = run("check")

    assert result.exit_code == 2
    assert "could not be read: Secrets in namespace shop: forbidden" in result.stdout


@pytest.mark.parametrize("command", ["check", "verify", "plan"])
def test_a_fault_is_two_lines_on_stderr_and_no_trace(cluster: FakeCluster, command: str) -> None:
    cluster.fail("read", ClusterUnreachable("no answer from https://prod:6443"))

    result = run(command)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "no answer from https://prod:6443",
        HINT + ClusterUnreachable.hint,
    ]
    assert "again" not in result.stderr, "nothing tries again here"


@pytest.mark.parametrize("command", ["check", "verify"])
def test_json_is_the_whole_report(cluster: FakeCluster, command: str) -> None:
    cluster.hide(Part.PROXIES, "proxy of " + "a-very-long-namespace/" * 12)

    result = run(command, "--json")

    report = json.loads(result.stdout)
    assert (report["kind"], report["mesh"], report["verdict"]) == (command, "prod", "unknown")
    assert {"findings", "tallies", "stragglers", "unread", "root"} <= set(report)
    assert result.exit_code == 2


def test_json_names_every_straggler_with_its_cure_where_the_screen_leaves_some_out(
    cluster: FakeCluster,
) -> None:
    cart = cluster.member("cart")
    cluster.members += [replace(cart, account=f"job-{number}", root=b"") for number in range(25)]

    screen, whole = run("verify"), json.loads(run("verify", "--json").stdout)

    assert "--json names every one, each with its cure" in screen.stdout
    secrets = [one for one in whole["stragglers"] if "istio.job-" in one["what"]]
    assert len(secrets) == 25
    assert all(one["reason"] and one["cure"] for one in secrets)


def test_a_mesh_that_is_not_there_is_told_with_those_that_are(cluster: FakeCluster) -> None:
    result = run("check", "prd")

    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["there is no mesh prd; known: prod"]
    assert cluster.reads == []


def test_with_several_meshes_one_must_be_named(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = MeshPorts(name=MESH, reader=cluster, writer=cluster)
    meshes = {MESH: ports, MeshName("stage"): ports}
    monkeypatch.setattr("bot.bootstrap.connect_meshes", lambda *_, **__: meshes)

    unnamed, named = run("check"), run("check", "stage")

    assert (unnamed.exit_code, unnamed.stderr.strip()) == (2, "which mesh?; known: prod, stage")
    assert named.exit_code == 0


# --- beside a rotation ---------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The bot's record, where the settings say."""
    url = f"sqlite:///{tmp_path}/record.db"
    monkeypatch.setenv("ROOTKEEPER_DATABASE_URL", url)
    return url


def recorded(url: str, *changes: Change) -> None:
    """Written as the bot would."""
    engine = open_database(url)
    upgrade(engine)
    epoch = Lease(engine).acquire("bot", now=CLOCK.now(), duration=timedelta(minutes=1))
    assert epoch
    for change in changes:
        SqlStore(engine, epoch=lambda: epoch, clock=CLOCK).commit(change)
    engine.dispose()


@pytest.mark.parametrize("command", ["check", "verify"])
def test_a_look_beside_a_paused_rotation_says_so_first(
    cluster: FakeCluster, database: str, command: str
) -> None:
    recorded(database, Change(rotation=paused()))

    result = run(command)

    assert result.stdout.startswith("A rotation of this mesh is paused: decide on its card first.")
    assert result.stderr == ""
    assert cluster.effects == []


def test_a_look_needs_no_record_and_makes_none(cluster: FakeCluster, database: str, tmp_path: Path) -> None:
    result = run("check")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Mesh prod is fine")
    assert list(tmp_path.iterdir()) == []


def test_a_look_that_cannot_read_the_record_says_that_it_does_not_know(
    cluster: FakeCluster, database: str, tmp_path: Path
) -> None:
    (tmp_path / "record.db").write_text("something else")

    result = run("check")

    told, cure = result.stderr.splitlines()
    assert told.startswith("Whether a rotation of mesh prod is under way could not be told: ")
    assert cure.startswith(HINT + "Name the bot's own in ROOTKEEPER_DATABASE_URL")
    assert result.stdout.startswith("Mesh prod is fine")


def test_a_verification_that_cannot_read_the_record_says_against_which_root_it_judges(
    cluster: FakeCluster, database: str, tmp_path: Path
) -> None:
    (tmp_path / "record.db").write_text("something else")

    result = run("verify")

    assert "Which root should be in mesh prod could not be told, so the one that its CA signs with" in (
        result.stderr
    )


# --- plan ------------------------------------------------------------------------------------------------------


def test_a_plan_is_shown_and_nothing_is_written(cluster: FakeCluster) -> None:
    result = run("plan", "--lifetime", "20y")

    assert result.exit_code == 0, result.output
    assert "Plan for mesh prod" in result.stdout
    assert " 1. Back up the CA secret" in result.stdout
    assert cluster.effects == []


def test_a_plan_that_is_refused_names_the_obstacles_and_ends_with_1(cluster: FakeCluster) -> None:
    cluster.of_plane("citadel").rolling = True

    result = run("plan")

    assert result.exit_code == 1
    assert "No rotation of mesh prod: its preflight found what forbids it." in result.stdout
    assert "ca.healthy" in result.stdout


def test_a_plan_that_is_refused_because_something_is_unread_ends_with_2(cluster: FakeCluster) -> None:
    cluster.hide(Part.AUTHORITY, "Secret istio-system/istio-ca-secret")

    assert run("plan").exit_code == 2


@pytest.mark.parametrize("lifetime", ["soon", "-1d", "0d", ""])
def test_a_lifetime_that_is_none_is_told(cluster: FakeCluster, lifetime: str) -> None:
    result = run("plan", "--lifetime", lifetime) if lifetime else run("plan", "--lifetime")

    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert cluster.reads == []


# --- settings, run, doctor, audit ------------------------------------------------------------------------------


def test_every_fault_of_the_settings_is_told_at_once(cluster: FakeCluster, tmp_path: Path) -> None:
    file = tmp_path / "bot.env"
    file.write_text("ROOTKEEPER_POLL_INTERVAL=never\nROOTKEEPER_CHANEL=C0\nROOTKEEPER_LOG_LEVEL=loud\n")

    result = run("run", "--env-file", str(file))

    assert result.exit_code == 2
    told = [
        name for name in ("POLL_INTERVAL", "CHANEL", "LOG_LEVEL", "SLACK_BOT_TOKEN") if name in result.stderr
    ]
    assert told == ["POLL_INTERVAL", "CHANEL", "LOG_LEVEL", "SLACK_BOT_TOKEN"]
    assert "Traceback" not in result.output
    assert cluster.reads == []


def test_a_settings_file_that_is_not_there_is_told(cluster: FakeCluster) -> None:
    result = run("check", "--env-file", "nowhere.env")

    assert result.exit_code == 2
    assert "nowhere.env: there is no such file" in result.stderr
    assert cluster.reads == []


def test_a_bot_that_lost_its_lease_ends_with_2_and_the_reason(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fenced:
        def __init__(self, _settings: Settings) -> None:
            """Nothing to build."""

        def stop(self) -> None:
            """Nothing to stop."""

        def run(self) -> None:
            raise NotLeader("another process took the lease; this one stops", hint="Run one bot.")

    monkeypatch.setattr("bot.cli.BotProcess", Fenced)
    monkeypatch.setattr("bot.cli.signal.signal", lambda *_: None)
    file = tmp_path / "bot.env"
    file.write_text(
        "ROOTKEEPER_SLACK_BOT_TOKEN=xoxb-1-2-secretsecret\nROOTKEEPER_SLACK_APP_TOKEN=xapp-1-A-secretsecret\n"
        "ROOTKEEPER_CHANNEL=C0123ABCD\nROOTKEEPER_APPROVERS=U0BEN\n"
    )

    with capture_logs() as logs:
        result = run("run", "--env-file", str(file))

    assert result.exit_code == 2
    reason = "another process took the lease; this one stops"
    assert logs == [{"log_level": "error", "event": "ended", "reason": reason, "hint": "Run one bot."}]
    assert result.output == "", "a log of JSON has no other lines"
    assert cluster.reads == []


@pytest.mark.parametrize(
    ("verdict", "code"),
    [(Verdict.OK, 0), (Verdict.NOT_OK, 1), (Verdict.UNKNOWN, 2), (Verdict.SKIPPED, 2)],
    ids=str,
)
def test_doctor_ends_as_its_findings_say(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, code: int
) -> None:
    finding = Finding(
        check_id="doctor.x", verdict=verdict, severity=Severity.WARNING, summary="so it is", hint="do this"
    )
    monkeypatch.setattr("bot.cli.examine_all", lambda _settings: (finding,))

    result = run("doctor")

    assert result.exit_code == code
    assert "doctor.x  so it is" in result.stdout
    assert cluster.effects == []


def test_doctor_calls_no_empty_audit_record_intact(cluster: FakeCluster, database: str) -> None:
    recorded(database)

    result = run("doctor")

    assert "doctor.database" in result.stdout
    assert "its audit record has no rows yet" in result.stdout
    assert cluster.effects == []


def test_doctor_makes_no_database_and_says_where_there_is_none(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOTKEEPER_DATABASE_URL", f"sqlite:///{tmp_path}/typo/record.db")

    result = run("doctor")

    assert f"skipped  doctor.database  there is no database at {tmp_path}/typo/record.db" in result.stdout
    assert "nor its directory yet" in result.stdout
    assert "nothing was made to find out" in result.stdout
    assert "mend ROOTKEEPER_DATABASE_URL" in result.stdout
    assert not (tmp_path / "typo").exists()
    assert cluster.effects == []


def test_doctor_says_where_no_database_can_be_made(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a-file").touch()
    monkeypatch.setenv("ROOTKEEPER_DATABASE_URL", f"sqlite:///{tmp_path}/a-file/below/record.db")

    result = run("doctor")

    assert f"none can be made: {tmp_path}/a-file is no directory" in result.stdout
    assert result.exit_code == 1
    assert cluster.effects == []


def test_doctor_gives_each_missing_setting_a_line_of_its_own(cluster: FakeCluster) -> None:
    lines = run("doctor").stdout.splitlines()

    assert "not ok  doctor.settings  4 settings are wrong" in lines
    missing = [line.strip() for line in lines if "is not set" in line]
    assert [line.partition(":")[0] for line in missing] == [
        variable(name) for name in ("slack_bot_token", "slack_app_token", "channel", "approvers")
    ]
    assert cluster.effects == []


def test_an_audit_record_that_is_not_there_is_not_called_intact(cluster: FakeCluster, tmp_path: Path) -> None:
    result = run("audit")

    assert result.exit_code == 2, result.output
    assert "there is no database at" in result.stderr
    assert "ROOTKEEPER_DATABASE_URL" in result.stderr
    assert not (tmp_path / "var").exists()
    assert cluster.reads == []


def test_an_audit_record_without_rows_is_not_called_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/record.db"
    monkeypatch.setenv("ROOTKEEPER_DATABASE_URL", url)
    engine = open_database(url)
    upgrade(engine)
    engine.dispose()

    result = run("audit")

    assert result.exit_code == 2, result.output
    assert "no rows, so nothing was verified" in result.stdout
    assert "intact" not in result.stdout


REJECTED = AuditEvent(
    event=Event.REJECTED,
    at=CLOCK.now(),
    mesh=MESH,
    rotation_id=RotationId("0123456789abcdef"),
    person=Person(team=TeamId("T1"), user=UserId("U0BEN"), name="Ben"),
    detail=(("note", "not during the freeze"),),
)
ELSEWHERE = AuditEvent(event=Event.CHECKED, at=CLOCK.now(), mesh=MeshName("stage"))


def test_audit_shows_who_did_what_and_when_oldest_of_the_newest_first(
    cluster: FakeCluster, database: str
) -> None:
    recorded(database, Change(audit=(ELSEWHERE, ELSEWHERE, REJECTED, ELSEWHERE)))

    result = run("audit", "--rows", "2")

    _, rejected, checked, verdict, _ = result.stdout.splitlines()
    assert f"3  {CLOCK.now():%Y-%m-%d %H:%M:%S} UTC  prod · rejected · by Ben (T1/U0BEN)" in rejected
    assert "rotation 01234567 · note=not during the freeze" in rejected
    assert "stage · checked" in checked
    assert verdict == "The audit record is intact: 4 rows."
    assert result.exit_code == 0
    assert cluster.effects == []


def test_audit_shows_the_rows_of_one_mesh(cluster: FakeCluster, database: str) -> None:
    recorded(database, Change(audit=(REJECTED, ELSEWHERE)))

    lines = run("audit", "--rows", "10", "--mesh", "prod").stdout.splitlines()

    assert [line.split()[4:7] for line in lines[:-2]] == [["prod", "·", "rejected"]]
    assert cluster.effects == []


def test_audit_shows_no_row_from_a_break_on(cluster: FakeCluster, database: str, tmp_path: Path) -> None:
    recorded(database, Change(audit=(REJECTED, ELSEWHERE, ELSEWHERE)))
    with closing(sqlite3.connect(tmp_path / "record.db")) as connection:
        connection.execute("UPDATE audit SET payload = 'forged' WHERE seq = 2")
        connection.commit()

    result = run("audit", "--rows", "10")

    assert result.exit_code == 1
    assert "broken at row 2" in result.stdout
    assert "rejected" in result.stdout
    assert "stage" not in result.stdout
    assert cluster.effects == []


def test_a_database_that_cannot_be_opened_is_told(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ROOTKEEPER_DATABASE_URL", f"sqlite:///{tmp_path}/file/record.db")

    result = run("audit")

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 2
    assert "Traceback" not in result.output
    assert cluster.reads == []


@pytest.mark.parametrize("command", ["check", "verify", "doctor", "audit"])
def test_who_only_looks_changes_nothing_of_the_record(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    file = tmp_path / "kept.db"
    file.touch(0o640)
    file.chmod(0o640)
    monkeypatch.setenv("ROOTKEEPER_DATABASE_URL", f"sqlite:///{file}")

    result = run(command)

    assert "no tables" in result.stdout + result.stderr
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.read_bytes() == b""
    assert [one for one in tmp_path.iterdir() if one.name.startswith("kept.db")] == [file]
    assert cluster.effects == []


def test_audit_says_when_no_row_is_of_that_mesh(cluster: FakeCluster, database: str) -> None:
    recorded(database)

    result = run("audit", "--mesh", "prdo")

    assert "No row of the record is of a mesh prdo." in result.stdout
    assert cluster.effects == []


def test_audit_of_a_broken_record_does_not_say_that_it_has_no_row_of_a_mesh(
    cluster: FakeCluster, database: str, tmp_path: Path
) -> None:
    recorded(database, Change(audit=(ELSEWHERE, REJECTED, REJECTED)))
    with closing(sqlite3.connect(tmp_path / "record.db")) as connection:
        connection.execute("UPDATE audit SET payload = 'forged' WHERE seq = 1")
        connection.commit()

    result = run("audit", "--mesh", "prod")

    assert "No row before the break is of a mesh prod." in result.stdout
    assert "of the record" not in result.stdout
    assert "broken at row 1" in result.stdout
    assert cluster.effects == []


@pytest.mark.parametrize(("rows", "older"), [(2, True), (3, False), (4, False)])
def test_audit_says_when_it_leaves_out_older_rows(
    cluster: FakeCluster, database: str, rows: int, *, older: bool
) -> None:
    recorded(database, Change(audit=(REJECTED, ELSEWHERE, REJECTED, REJECTED)))

    lines = run("audit", "--rows", str(rows), "--mesh", "prod").stdout.splitlines()

    assert lines[0].startswith("…") is older
    assert sum("rejected" in line for line in lines) == min(rows, 3)
    assert cluster.effects == []


# --- sandbox -------------------------------------------------------------------------------------------------


def test_a_sandbox_whose_port_is_taken_says_so_and_names_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        result = run("sandbox", "--port", str(port))

    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines() == [
        f"the page cannot be shown at port {port}: address already in use",
        HINT + "Choose another with `rootkeeper sandbox --port`; 0 takes any free one.",
    ]


def test_a_record_that_cannot_be_written_is_refused_before_the_story(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "record.json"

    result = run("sandbox", "--drive", "--record", str(file))

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"the record cannot be written to {file}: no such file or directory",
        HINT + "Name another file with `--record`.",
    ]


def test_a_record_of_no_story_is_refused(tmp_path: Path) -> None:
    result = run("sandbox", "--record", str(tmp_path / "record.json"))

    assert result.exit_code == 2
    assert "--drive only" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_there_cannot_be_is_refused() -> None:
    result = run("sandbox", "--port", "99999")

    assert result.exit_code == 2
    assert "--port" in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)


# --- version ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_both_ways_to_ask_for_the_version_work(asked: str) -> None:
    result = run(asked)

    assert (result.exit_code, result.stdout.strip()) == (0, version("rootkeeper"))


def test_without_a_command_it_says_which_there_are() -> None:
    result = run()

    assert all(name in result.output for name in ("check", "verify", "plan", "run", "sandbox", "doctor"))


# --- the end of the process ------------------------------------------------------------------------------------

LEFT_AT_WORK = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from bot import cli

def command():
    begun = threading.Event()
    ThreadPoolExecutor(1).submit(lambda: (begun.set(), threading.Event().wait()))
    begun.wait()
    print("said", end="")
    print("and logged", end="", file=sys.stderr)
    {ending}

cli.app = command
cli.main()
"""
ENDINGS = {
    "fine": ("raise SystemExit(0)", 0, ""),
    "findings": ("raise SystemExit(1)", 1, ""),
    "could not tell": ("raise SystemExit(2)", 2, ""),
    "nothing more to say": ("return", 0, ""),
    "a bug": ("raise ZeroDivisionError", 2, "ZeroDivisionError"),
    "a full disk": ("raise OSError(28, 'No space left on device')", 2, "No space left on device"),
}


@pytest.mark.parametrize(("ending", "code", "trace"), ENDINGS.values(), ids=ENDINGS.keys())
def test_a_worker_that_was_given_up_does_not_hold_the_process(ending: str, code: int, trace: str) -> None:
    script = LEFT_AT_WORK.replace("{ending}", ending)

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == code
    assert ended.stdout == "said"
    assert ended.stderr.startswith("and logged")
    assert trace in ended.stderr


def test_a_stream_that_was_closed_from_the_start_is_no_fault() -> None:
    ended = subprocess.run(
        ["sh", "-c", '"$0" -m bot version 2>&-', sys.executable],
        stdout=subprocess.PIPE,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout.strip() != b"") == (0, True)


LATE = "from bot import cli; cli.app = lambda: print('said'); cli.main()"


@pytest.mark.parametrize(
    "arguments",
    [["-m", "bot", "version"], ["-m", "bot", "--help"], ["-c", LATE]],
    ids=["typer", "rich", "late"],
)
def test_a_closed_pipe_ends_quietly_and_is_no_finding(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)

    assert (ended.returncode, ended.stderr) == (2, b"")
