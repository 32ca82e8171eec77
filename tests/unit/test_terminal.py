"""What the terminal shows, pinned by golden files. ROOTKEEPER_UPDATE_GOLDEN=1 writes them anew."""

import io
import os
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bot import terminal
from bot.core.findings import Finding, Severity, Verdict
from tests.unit.edges.slack_samples import a_fine_report, a_plan, a_report, a_report_beside

GOLDEN = Path(__file__).parents[1] / "golden" / "terminal"


def shown(show: Callable[[Console], None], *, piped: bool = False) -> str:
    """As 100 columns of a terminal without colour show it, or as a pipe gets it."""
    screen = io.StringIO()
    console = Console(file=screen, width=100, color_system=None, force_terminal=not piped)
    console.soft_wrap = piped
    show(console)
    return "\n".join(line.rstrip() for line in screen.getvalue().splitlines()) + "\n"


def hold(name: str, text: str) -> None:
    """Compare with the golden file, or write it."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("ROOTKEEPER_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


REPORTS = {
    "check": a_report(),
    "verify": a_report("verify"),
    "verify-fine": a_fine_report(),
    "verify-beside-a-paused-rotation": a_report_beside(),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_as_pinned(name: str) -> None:
    hold(name, shown(lambda console: terminal.show_report(console, REPORTS[name])))


def test_a_plan_is_as_pinned() -> None:
    hold("plan", shown(lambda console: terminal.show_plan(console, a_plan())))


def test_a_pipe_gets_whole_lines() -> None:
    long = replace(a_report(), first_break="the root in " + "very-long-name-" * 20 + " ends")

    lines = shown(lambda console: terminal.show_report(console, long), piped=True).splitlines()

    assert any("very-long-name-" * 20 in line for line in lines)


def test_what_the_mesh_says_cannot_drive_the_terminal() -> None:
    hostile = "argo\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt"
    finding = Finding(
        check_id="ca.owner",
        verdict=Verdict.NOT_OK,
        severity=Severity.WARNING,
        summary=hostile,
        hint=hostile,
        offenders=(hostile,),
    )
    odd = replace(a_report(), headline=hostile, evidence=(hostile,), findings=(finding,), unread=(hostile,))

    text = shown(lambda console: terminal.show_report(console, odd))

    assert not {c for c in text if unicodedata.category(c) in ("Cc", "Cf")} - {"\n"}
    assert text.count("argo]0;owned") == 6


def test_square_brackets_of_the_mesh_are_text_and_no_markup() -> None:
    odd = replace(a_report(), headline="[red]odd[/] name", unread=("Secrets in [bold]shop[/]: no",))

    text = shown(lambda console: terminal.show_report(console, odd))

    assert "[red]odd[/] name" in text
    assert "Secrets in [bold]shop[/]: no" in text


def test_more_offenders_than_a_screen_holds_are_counted() -> None:
    many = tuple(f"Secret shop/istio.job-{number}" for number in range(1_025))
    finding = replace(a_finding(Verdict.NOT_OK), offenders=many)

    text = shown(lambda console: terminal.show_findings(console, (finding,)))

    assert text.count("istio.job-") == terminal.OFFENDERS_SHOWN
    assert "and 1,005 more" in text


def a_finding(verdict: Verdict, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(check_id="ws.root", verdict=verdict, severity=severity, summary="so it is", hint="do this")


def test_every_verdict_has_a_word_and_a_code() -> None:
    assert set(terminal.EXIT) == set(terminal.WORDS) == set(Verdict)
