"""The command line: the same operations as in Slack, useful without it; `run` is the bot.

Exit codes: 0 fine, 1 findings (or a refusal), 2 could not tell, whatever the reason.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, NoReturn, TextIO

import structlog
import typer
from rich.console import Console

from bot import bootstrap, terminal
from bot.core.findings import overall
from bot.core.ids import MeshName
from bot.core.intent import NotUnderstood, read_lifetime
from bot.core.rotation import Rotation
from bot.core.wording import visible
from bot.doctor import examine_all
from bot.edges.logs import set_up_logs
from bot.edges.metrics import Metrics
from bot.edges.store.audit import AuditRow, verify_chain
from bot.edges.store.audit import read as read_rows
from bot.edges.system import SystemClock, SystemKeys
from bot.errors import DatabaseAbsent, RootkeeperError, StoreError
from bot.flow.look import Finished, Look, Looks, Standing, finished_in, standing_in
from bot.flow.ports import MeshPorts, Store
from bot.flow.propose import draft_plan
from bot.process import BotProcess
from bot.settings import Settings, load_settings

app = typer.Typer(
    name="rootkeeper",
    help="Watches Istio root certificates and runs peer-approved rotations from Slack.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

EnvFile = Annotated[Path | None, typer.Option("--env-file", help="Settings to read instead of .env.")]
MeshArgument = Annotated[str | None, typer.Argument(help="Which mesh; may be left out when there is one.")]
AsJson = Annotated[bool, typer.Option("--json", help="The whole report as JSON.")]

COULD_NOT_TELL = 2
USUAL_ROWS = 50
MOST_ROWS = 100_000

_log = structlog.get_logger(__name__)


def main() -> NoReturn:
    """Run the command line, and end the process with it.

    At its own end Python waits for every worker thread, for minutes where an API server hangs. What must
    end has been waited for by then, with a bound; the rest are looks, which are left where they are.
    """
    code = COULD_NOT_TELL
    try:
        found = _code_of(app)
        said = [_flushed(stream) for stream in (sys.stdout, sys.stderr)]
        code = found if all(said) else COULD_NOT_TELL
    finally:
        os._exit(code)


def _code_of(command: Callable[[], object]) -> int:
    """A bug or an unwritable output is no finding, and 1 says that something was found."""
    try:
        command()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer and rich both make a 1 of it, quietly
            return COULD_NOT_TELL
        return end.code if isinstance(end.code, int) else 0 if end.code is None else COULD_NOT_TELL
    except BrokenPipeError:
        return COULD_NOT_TELL
    except BaseException as bug:  # noqa: BLE001 - told as Python itself would
        sys.excepthook(type(bug), bug, bug.__traceback__)
        return COULD_NOT_TELL
    return 0


def _flushed(stream: TextIO | None) -> bool:
    """Whether all of it went out: whoever read it may be gone, or the disk full. None was closed from the start."""
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        return False
    return True


@contextmanager
def _told() -> Iterator[Console]:
    """A console; what goes wrong on purpose is told in two lines instead of a trace."""
    console = _console()
    try:
        yield console
    except RootkeeperError as fault:
        _complain(fault.message, fault.hint)
        raise typer.Exit(COULD_NOT_TELL) from None


@contextmanager
def _logged() -> Iterator[None]:
    """What goes wrong on purpose ends the log, in the log's own form: whoever collects it can read it."""
    try:
        yield
    except RootkeeperError as fault:
        _log.error("ended", reason=fault.message, hint=fault.hint)
        raise typer.Exit(COULD_NOT_TELL) from None


def _complain(message: str, hint: str = "") -> None:
    complaint = _console(stderr=True)
    for line in message.splitlines():
        indent = line[: len(line) - len(line.lstrip(" "))]
        complaint.print(indent + visible(line), highlight=False, markup=False)
    if hint:
        complaint.print(f"→ {visible(hint)}", highlight=False, markup=False)


def _console(*, stderr: bool = False) -> Console:
    """A terminal's width is kept; a pipe gets whole lines."""
    console = Console(stderr=stderr)
    console.soft_wrap = not console.is_terminal
    return console


def _settings(env_file: Path | None, *, for_slack: bool = False) -> Settings:
    settings = load_settings(env_file, for_slack=for_slack)
    set_up_logs(level=settings.log_level, form=settings.log_format)
    return settings


def _one_mesh(settings: Settings, name: str | None) -> MeshPorts:
    meshes = bootstrap.connect_meshes(settings, SystemClock(), metrics=Metrics())
    if name is None and len(meshes) == 1:
        return next(iter(meshes.values()))
    if name is None or name not in meshes:
        asked = f"there is no mesh {name}" if name else "which mesh?"
        raise RootkeeperError(f"{asked}; known: {', '.join(meshes)}")
    return meshes[MeshName(name)]


@app.command()
def check(mesh: MeshArgument = None, *, env_file: EnvFile = None, as_json: AsJson = False) -> None:
    """Read the CA and everything that holds its root, and judge it. Nothing is written."""
    _look(mesh, env_file, as_json=as_json, look=Looks.check)


@app.command()
def verify(mesh: MeshArgument = None, *, env_file: EnvFile = None, as_json: AsJson = False) -> None:
    """Is the CA's root everywhere it should be? Nothing is written."""
    _look(mesh, env_file, as_json=as_json, look=Looks.verify)


def _look(
    mesh: str | None, env_file: Path | None, *, as_json: bool, look: Callable[[Looks, MeshPorts], Look]
) -> None:
    with _told() as console:
        settings = _settings(env_file)
        looks = Looks(SystemClock(), standing=_standing(settings), finished=_finished(settings))
        report = look(looks, _one_mesh(settings, mesh)).report
        if as_json:
            console.out(json.dumps(asdict(report), indent=1, default=str), highlight=False)
        else:
            terminal.show_report(console, report)
        raise typer.Exit(terminal.EXIT[report.verdict])


def _standing(settings: Settings) -> Standing:
    told = "Whether a rotation of mesh {mesh} is under way could not be told"
    return lambda mesh: _recorded(settings, standing_in, mesh, lack=told)


def _finished(settings: Settings) -> Finished:
    told = (
        "Which root should be in mesh {mesh} could not be told, so the one that its CA signs with was taken"
    )
    return lambda mesh: _recorded(settings, finished_in, mesh, lack=told)


def _recorded(
    settings: Settings, ask: Callable[[Store], Standing], mesh: MeshName, *, lack: str
) -> Rotation | None:
    """As the bot's record knows it; where there is none, as on another machine, a look needs none."""
    try:
        with bootstrap.look_at_record(settings, SystemClock()) as record:
            return ask(record.store)(mesh)
    except DatabaseAbsent:
        return None
    except StoreError as fault:
        _complain(f"{lack.format(mesh=mesh)}: {fault.message}", fault.hint)
        return None


@app.command()
def plan(
    mesh: MeshArgument = None,
    *,
    lifetime: Annotated[str | None, typer.Option(help="Of the new root: 10y or 3650d.")] = None,
    env_file: EnvFile = None,
) -> None:
    """Show what a transition would do, proved but not written."""
    with _told() as console:
        settings = _settings(env_file)
        asked = read_lifetime(lifetime) if lifetime else settings.root_lifetime
        if isinstance(asked, NotUnderstood):
            raise RootkeeperError(asked.sentence)
        ports = _one_mesh(settings, mesh)
        _show_draft(console, ports, lifetime=asked)


def _show_draft(console: Console, ports: MeshPorts, *, lifetime: timedelta) -> None:
    draft = draft_plan(ports, SystemClock(), SystemKeys(), lifetime=lifetime)
    if draft.plan is None:
        console.print(f"[bold]No rotation of mesh {ports.name}:[/] its preflight found what forbids it.")
        terminal.show_findings(console, draft.obstacles)
        raise typer.Exit(terminal.EXIT[overall(draft.obstacles)])
    terminal.show_plan(console, draft.plan)


@app.command()
def run(*, env_file: EnvFile = None) -> None:
    """Be the bot, until stopped."""
    with _told():
        settings = _settings(env_file, for_slack=True)
    with _logged():
        process = BotProcess(settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: process.stop())
        process.run()


@app.command()
def doctor(*, env_file: EnvFile = None) -> None:
    """Test settings, tokens, scopes, channel, approvers, permissions and clocks; say what to do about each."""
    with _told() as console:
        findings = examine_all(_settings(env_file))
        terminal.show_findings(console, findings)
        raise typer.Exit(terminal.EXIT[overall(findings)])


@app.command()
def audit(
    *,
    rows: Annotated[
        int, typer.Option(min=0, max=MOST_ROWS, help="Show so many of the newest rows, too.")
    ] = 0,
    mesh: Annotated[str | None, typer.Option(help="Show the newest rows of this mesh only.")] = None,
    env_file: EnvFile = None,
) -> None:
    """Verify the chain of the audit record; with --rows show who did what, and when."""
    with _told() as console:
        settings = _settings(env_file)
        only = MeshName(mesh) if mesh else None
        rows = rows or (USUAL_ROWS if mesh else 0)
        with bootstrap.look_at_record(settings, SystemClock()) as record:
            verdict = verify_chain(record.engine)
            # Beyond a break rows may be forged, or not readable at all.
            found = read_rows(record.engine, mesh=only, last=verdict.rows, limit=rows + 1) if rows else ()
        _show_rows(console, found, most=rows)
        if mesh and not found:
            where = "of the record" if verdict.intact else "before the break"
            console.print(f"No row {where} is of a mesh {visible(mesh)}.", highlight=False, markup=False)
        if verdict.intact and verdict.rows == 0:
            console.print("The audit record has no rows, so nothing was verified.")
            raise typer.Exit(COULD_NOT_TELL)
        if verdict.intact:
            console.print(f"The audit record is intact: {verdict.rows:,} rows.")
            console.print(f"Its head, to be kept elsewhere: {verdict.head}")
            return
        console.print(f"[red]The audit record is broken[/] at row {verdict.broken_at}: {verdict.reason}")
        raise typer.Exit(1)


def _show_rows(console: Console, found: tuple[AuditRow, ...], *, most: int) -> None:
    """The newest of them, oldest first; one more than are shown means that there are older ones."""
    if len(found) > most:
        console.print(f"… older rows are left out; --rows shows more, up to {MOST_ROWS:,}.", highlight=False)
    for row in reversed(found[:most]):
        terminal.show_event(console, row.seq, row.event)


@app.command()
def sandbox(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = 8765,
    drive: Annotated[bool, typer.Option("--drive", help="Play the story headless and judge it.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Write the messages seen as JSON; with --drive.")
    ] = None,
) -> None:
    """Try everything on this machine: a stand-in of Slack, of a cluster, and the real bot between them."""
    if record is not None and not drive:
        raise typer.BadParameter(
            "it writes down the story, so it goes with --drive only", param_hint="--record"
        )
    # Imported here: the bot itself has no use for it, and it costs half a second and 13 MiB.
    from bot.sandbox.run import run_sandbox  # noqa: PLC0415

    with _told():
        code = run_sandbox(typer.echo, port=port, drive=drive, record=record)
        raise typer.Exit(code)


def _version(asked: bool) -> None:  # noqa: FBT001 - the shape typer calls it with
    if asked:
        typer.echo(installed_version("rootkeeper"))
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Watches Istio root certificates and runs peer-approved rotations from Slack."""


@app.command()
def version() -> None:
    """Say which version this is."""
    typer.echo(installed_version("rootkeeper"))
