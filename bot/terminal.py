"""What the terminal shows: the same reports and plans as chat, for eyes, pipes and scripts.

Plain words before colour: a pipe or a screen reader loses nothing.
"""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.core.findings import Finding, Verdict
from bot.core.plan import Plan
from bot.core.record import AuditEvent, Report
from bot.core.wording import count, span, visible

EXIT = {Verdict.OK: 0, Verdict.SKIPPED: 0, Verdict.NOT_OK: 1, Verdict.UNKNOWN: 2}
"""0 fine, 1 findings, 2 could not tell."""


WORDS = {
    Verdict.OK: "[green]ok[/]",
    Verdict.NOT_OK: "[red]not ok[/]",
    Verdict.UNKNOWN: "[yellow]unknown[/]",
    Verdict.SKIPPED: "[dim]skipped[/]",
}

OFFENDERS_SHOWN = 20


def _plain(text: str) -> str:
    """Text from a cluster or a person, as text: nothing that rich or the terminal would obey."""
    return escape(visible(text))


def show_report(console: Console, report: Report) -> None:
    """A check or a verification, worst first."""
    if report.standing:
        console.print(f"[bold]{_plain(report.standing)}.[/]")
    console.print(f"[bold]{_plain(report.headline)}[/]")
    console.print(_plain(report.meaning), highlight=False)
    console.print()
    _show_facts(console, report)
    _show_tallies(console, report)
    show_findings(console, report.findings, everything="; --json names every one, each with its cure")
    for unread in report.unread:
        console.print(f"  could not be read: {_plain(unread)}", highlight=False)


def _show_facts(console: Console, report: Report) -> None:
    facts = {
        "CA": report.authority,
        "known by": "; ".join(report.evidence),
        "cluster": report.cluster_uid,
        "root": f"{report.root[:16]} {report.root_subject}" if report.root else "",
        "expires": f"{report.expires_at:%Y-%m-%d %H:%M:%S} UTC" if report.expires_at else "",
        "first to break": report.first_break,
        "looked at": f"{report.at:%Y-%m-%d %H:%M:%S} UTC, in {report.took.total_seconds():.1f} s",
    }
    said = {name: value for name, value in facts.items() if value}
    if console.soft_wrap:
        for name, value in said.items():
            console.print(f"{name:<14}  {_plain(value)}", highlight=False)
    else:
        grid = Table.grid(padding=(0, 2))
        for name, value in said.items():
            grid.add_row(name, _plain(value))
        console.print(grid, highlight=False)
    console.print()


def _show_tallies(console: Console, report: Report) -> None:
    if report.kind != "verify":
        return
    table = Table("holders", "ok", "not ok", "unknown", "skipped", "of")
    for tally in report.tallies:
        numbers = (tally.ok, tally.not_ok, tally.unknown, tally.skipped, tally.total)
        table.add_row(tally.kind, *(f"{number:,}" for number in numbers))
    console.print(table)


def show_findings(console: Console, findings: tuple[Finding, ...], *, everything: str = "") -> None:
    """Findings with their offenders and hints, in the order given; `everything` says where none is left out."""
    for finding in findings:
        word = WORDS[finding.verdict]
        console.print(f"{word}  {_plain(finding.check_id)}  {_plain(finding.summary)}", highlight=False)
        for offender in finding.offenders[:OFFENDERS_SHOWN]:
            console.print(f"      {_plain(offender)}", highlight=False)
        if len(finding.offenders) > OFFENDERS_SHOWN:
            more = len(finding.offenders) - OFFENDERS_SHOWN
            console.print(f"      and {more:,} more{everything}", highlight=False)
        if finding.hint:
            console.print(f"      → {_plain(finding.hint)}", highlight=False)


def show_plan(console: Console, plan: Plan) -> None:
    """What a rotation would do; nothing was written."""
    old, new = plan.old_root, plan.new_root
    console.print(f"[bold]Plan for mesh {_plain(plan.mesh)}[/] ({plan.mode}), about {span(plan.takes)}")
    console.print(f"  cluster   {plan.cluster_uid}", highlight=False)
    console.print(f"  digest    {plan.digest[:16]}", highlight=False)
    console.print(
        f"  old root  {old.fingerprint[:16]} until {old.not_after:%Y-%m-%d %H:%M:%S} UTC", highlight=False
    )
    console.print(
        f"  new root  {new.fingerprint[:16]} until {new.not_after:%Y-%m-%d %H:%M:%S} UTC, {plan.won}",
        highlight=False,
    )
    radius = plan.blast_radius
    touched = f"{count(radius.secrets, 'secret')}, {count(radius.proxies, 'proxy')}"
    console.print(f"  touches   {touched} in {count(radius.namespaces, 'namespace')}", highlight=False)
    for number, step in enumerate(plan.steps, start=1):
        console.print(f"  {number:>2}. {_plain(step.title)} (about {span(step.takes)})", highlight=False)
        for line in (step.why, step.felt, f"undone: {step.undo}" if step.undo else ""):
            if line:
                console.print(f"      {_plain(line)}", highlight=False)
    for note in plan.notes:
        console.print(f"  note: {_plain(note)}", highlight=False)


def show_event(console: Console, number: int, event: AuditEvent) -> None:
    """One row of the audit record, on one line."""
    person = f"by {event.person.name} ({event.person.team}/{event.person.user})" if event.person else ""
    rotation = f"rotation {event.rotation_id[:8]}" if event.rotation_id else ""
    about = [event.mesh or "", event.event.replace("_", " "), person, rotation]
    detail = [f"{name}={value}" for name, value in event.detail if value]
    line = " · ".join(part for part in (*about, *detail) if part)
    console.print(f"{number:>6}  {event.at:%Y-%m-%d %H:%M:%S} UTC  {_plain(line)}", highlight=False)
