"""What a check or a verify found: asked for, as a warning, as a daily line, or that it could not run."""

from bot.core.findings import Finding, Severity, Tally, Verdict
from bot.core.progress import MOST_NAMED
from bot.core.record import Alarm, CheckCouldNotRun, DailyLine, Report, ReportPosted, Warned
from bot.core.wording import count, span
from bot.edges.slack.render.blocks import Block, Rendered, context, fields, header, message, packed, section
from bot.edges.slack.render.steps import straggler_line
from bot.edges.slack.render.words import (
    code,
    date,
    mentions,
    moment,
    remaining,
    safe,
    sentence,
    short,
    utc,
)

MAX_FINDINGS = 10
ALL_FINDINGS = 4000
"""Characters for all of them: few findings are told at length, many in short."""
MAX_UNREAD = 10
MAX_OFFENDERS = 3

_VERDICT = {
    Verdict.OK: ("✅", "fine"),
    Verdict.NOT_OK: ("❌", "needs action"),
    Verdict.UNKNOWN: ("❓", "could not tell"),
    Verdict.SKIPPED: ("⏭️", "nothing to do"),
}
_SEVERITY = {Severity.CRITICAL: "🔴 critical", Severity.WARNING: "🟠 warning", Severity.INFO: "🔵 note"}


def asked_for(content: ReportPosted) -> Rendered:
    """A report that somebody asked for."""
    report = content.report
    by = f"Asked by {mentions((content.person, *content.others))}"
    return message(_fallback(report), [header(_title(report)), *body(report, by)])


def warned(content: Warned) -> Rendered:
    """A threshold was crossed: the same report, under its own title."""
    report = content.report
    title = f"⚠️ {report.mesh[:60]}: root certificate {_left(report)}"
    crossed = f"Threshold crossed: {safe(content.threshold, 40)}; told once"
    return message(f"{safe(title, 200)}. {_fallback(report)}", [header(title), *body(report, crossed)])


def daily(content: DailyLine) -> Rendered:
    """One line in a warning's thread."""
    report = content.report
    icon, word = _VERDICT[report.verdict]
    line = f"{icon} {utc(report.at)} *{word}*, root {_left(report)}. {sentence(report.headline)}"
    line += f" {sentence(report.standing)}" if report.standing else ""
    return message(line, [section(line)])


def alarm(content: Alarm) -> Rendered:
    """What is new first and at length; that nothing else is said does not mean that nothing else is so."""
    report = content.report
    new = [finding for finding in report.findings if finding.check_id in content.check_ids][:MAX_FINDINGS]
    title = (
        f"🚨 {report.mesh[:60]}: the scheduled check found {count(len(content.check_ids), 'thing')} to act on"
    )
    said = f"{sentence(report.headline, 400)}"
    each = ALL_FINDINGS // max(len(new), 1)
    everything = code(f"/istio-root check {report.mesh}")
    told = f"{moment(report.at)} · Told once, until it is gone · {everything} shows everything"
    blocks = [
        header(title),
        *_standing(report),
        section(said),
        *(section(finding_line(f, each)) for f in new),
        context(told),
    ]
    return message(f"{safe(title, 200)}. {' '.join(sentence(f.summary, 200) for f in new[:3])}", blocks)


def could_not_run(content: CheckCouldNotRun) -> Rendered:
    """Loud, because silence would look like a healthy mesh."""
    title = f"❓ {content.mesh[:60]}: the scheduled check could not run"
    last = f"on {moment(content.last_success)}" if content.last_success else "*never*"
    said = (
        f"{sentence(content.message, 900)}\n"
        f"*So nothing is known of this mesh's root now.* The last check that ran was {last}."
    )
    hint = [section(f"*What to do:* {sentence(content.hint, 900)}")] if content.hint else []
    blocks = [header(title), section(said), *hint, context(f"Tried {moment(content.at)}")]
    return message(f"{safe(title, 200)}. {sentence(content.message, 900)}", blocks)


def _title(report: Report) -> str:
    icon, word = _VERDICT[report.verdict]
    return f"{icon} {report.kind.capitalize()[:20]} of {report.mesh[:60]}: {word}"


def _left(report: Report) -> str:
    if report.remaining is None:
        return "could not be read"
    return (
        f"has {remaining(report.remaining)}"
        if report.remaining.days >= 0
        else f"{remaining(report.remaining)}"
    )


def _fallback(report: Report) -> str:
    said = (report.standing, report.headline, report.meaning)
    return " ".join([f"{safe(_title(report), 200)}.", *(sentence(one) for one in said if one)])


def body(report: Report, by: str) -> list[Block]:
    """Everything under the title, most urgent first."""
    said = f"*{sentence(report.headline, 400)}*\n{sentence(report.meaning, 800)}"
    facts = _facts(report)
    uid = f"Cluster {code(report.cluster_uid[:8])} · {moment(report.at)} · took {span(report.took)} · {by}"
    return [
        *_standing(report),
        section(said),
        *([fields(facts)] if facts else []),
        *_listed("Counted", [tally_line(tally) for tally in report.tallies]),
        *_findings(report),
        *_stragglers(report),
        *_unread(report),
        context(uid),
    ]


def _standing(report: Report) -> list[Block]:
    return [section(f"✋ *{sentence(report.standing)}*")] if report.standing else []


def _facts(report: Report) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    if report.expires_at:
        left = f" ({remaining(report.remaining)})" if report.remaining is not None else ""
        pairs.append(("Root ends", f"{date(report.expires_at)}{left}"))
    if report.first_break:
        pairs.append(("First thing to break", safe(report.first_break)))
    if report.root:
        pairs.append(("Root", f"{short(report.root)} {code(report.root_subject or 'no subject')}"))
    if report.authority:
        known = "; ".join(safe(one, 120) for one in report.evidence[:3])
        pairs.append(("What signs this mesh", safe(report.authority) + (f"\n_{known}_" if known else "")))
    return pairs


def tally_line(tally: Tally) -> str:
    """One count with its denominator; green only when every one is fine and there is one."""
    icon = "✅" if tally.complete and tally.ok else "❓" if tally.not_ok == 0 else "❌"
    if tally.total == 0:
        return f"❓ {safe(tally.kind, 60)}: none seen"
    return f"{icon} {safe(tally.kind, 60)}: {', '.join((f'*{tally.share}* fine', *tally.others))}"


def _findings(report: Report) -> list[Block]:
    telling = [f for f in report.findings if f.verdict in (Verdict.NOT_OK, Verdict.UNKNOWN)]
    each = ALL_FINDINGS // max(min(len(telling), MAX_FINDINGS), 1)
    lines = [finding_line(finding, each) for finding in telling[:MAX_FINDINGS]]
    if len(telling) > MAX_FINDINGS:
        terminal = code(f"rootkeeper {report.kind} {report.mesh}")
        lines.append(f"… and {len(telling) - MAX_FINDINGS} more: {terminal}")
    fine = sum(1 for f in report.findings if f.verdict is Verdict.OK)
    if fine:
        lines.append(
            f"✅ {count(fine, 'other check')} fine" if telling else f"✅ {count(fine, 'check')} fine"
        )
    label = "Found, worst first" if telling else "Found"
    return [section(f"*{label}*\n{lines[0]}"), *map(section, lines[1:])] if lines else []


def finding_line(finding: Finding, limit: int = 700) -> str:
    """What, how urgent, which objects, and the cure, in about so many characters."""
    third = min(limit, 700) // 3
    unknown = finding.verdict is Verdict.UNKNOWN
    mark = "❓ unknown" if unknown else _SEVERITY[finding.severity]
    line = f"{mark}: {sentence(finding.summary, third)} {code(finding.check_id, 60)}"
    if finding.offenders:
        line += f"\n↳ {_named(finding.offenders, third // MAX_OFFENDERS)}"
    return line + (f"\n→ {sentence(finding.hint, third)}" if finding.hint else "")


def _named(offenders: tuple[str, ...], each: int) -> str:
    more = len(offenders) - MAX_OFFENDERS
    names = ", ".join(safe(one, each) for one in offenders[:MAX_OFFENDERS])
    return f"{names} and {more:,} more" if more > 0 else names


def _stragglers(report: Report) -> list[Block]:
    lines = [f"• {straggler_line(one, 180)}" for one in report.stragglers[:MOST_NAMED]]
    more = len(report.stragglers) - MOST_NAMED
    if more > 0:
        lines.append(f"… and {more:,} more, in the file in this thread")
    return _listed("Not proved", lines)


def _unread(report: Report) -> list[Block]:
    lines = [f"• {safe(one, 120)}" for one in report.unread[:MAX_UNREAD]]
    if len(report.unread) > MAX_UNREAD:
        terminal = code(f"rootkeeper {report.kind} {report.mesh}")
        lines.append(f"… and {len(report.unread) - MAX_UNREAD:,} more: {terminal}")
    return _listed("Could not be read, so nothing is known of it", lines)


def _listed(label: str, lines: list[str]) -> list[Block]:
    return packed([f"*{label}*", *lines]) if lines else []
