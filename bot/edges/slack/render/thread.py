"""What is said in a rotation's thread, how it ended, what could not be done, and the stragglers' file."""

from bot.core.progress import MOST_NAMED, Straggler
from bot.core.record import Event, Milestone, RequestFailed, Result, StragglerFile
from bot.core.rotation import Rotation
from bot.core.wording import count, visible
from bot.edges.slack.render.blocks import Block, Rendered, context, message, packed, section
from bot.edges.slack.render.reports import MAX_FINDINGS, finding_line, tally_line
from bot.edges.slack.render.steps import straggler_line
from bot.edges.slack.render.words import code, mention, mentions, quoted, safe, sentence

_SAID = {
    Event.PROPOSED: "🔏 *Asked for*",
    Event.REFUSED: "✋ *Refused*",
    Event.APPROVED: "✅ *Approved*",
    Event.REJECTED: "🚫 *Rejected*",
    Event.CANCELLED: "🛑 *Cancelled*",
    Event.EXPIRED: "⌛ *Expired*",
    Event.STALE: "🔁 *Plan out of date*",
    Event.SUPERSEDED: "➡️ *Replaced* by a newer request",
    Event.STARTED: "▶️ *Started*",
    Event.STEP_ENTERED: "▶️ *Begun*",
    Event.STEP_DONE: "✅ *Done*",
    Event.STEP_SKIPPED: "⏭️ *Skipped*",
    Event.PAUSED: "⏸️ *Paused, a decision is needed*",
    Event.RESUMED: "▶️ *Goes on*",
    Event.STOP_REQUESTED: "🛑 *Stop asked for:* nothing more is begun",
    Event.ROLLING_BACK: "↩️ *Rolling back* to the old root",
    Event.DONE: "✅ *Rotation done*",
    Event.FAILED: "❌ *Rotation failed*",
    Event.ROLLED_BACK: "↩️ *Rolled back:* the old root is in use",
    Event.ENDED_SHORT: "⚠️ *Rotation ended short:* not everything is proved",
    Event.STILL_PAUSED: "⏸️ *Still paused, a decision is needed*",
    Event.CHECKED: "🔎 *Checked*",
    Event.CHECK_FAILED: "❓ *Could not be checked*",
}
_NEXT = {
    Event.PAUSED: "Choose on the card above.",
    Event.STILL_PAUSED: "Choose on the card above.",
    Event.ENDED_SHORT: "A verification says at any time what is still missing.",
    Event.FAILED: "Look at the card for what stands, then verify the mesh.",
    Event.STALE: "Ask for a new transition: it is planned from the mesh as it is now.",
    Event.EXPIRED: "Ask for a new transition when it is wanted.",
}
_BEHIND = "What is missing"


def milestone(content: Milestone, rotation: Rotation | None) -> Rendered:
    """A reply in the thread."""
    said, note = _event(content), _note(content)
    lines = [line for line in (note, _NEXT.get(content.event, "")) if line]
    facts = [f"• {safe(label, 60)}: {code(value, 300)}" for label, value in content.facts[:12]]
    blocks = packed(["\n".join([said, *lines]), *facts, *_listed(content.stragglers)])
    where = f"{safe(rotation.mesh, 60)}: " if rotation else ""
    return message(f"{where}{said}. {note}".strip(), blocks)


def _note(content: Milestone) -> str:
    """Of a decision it is what that person wrote, of a step what the bot says."""
    if content.person and content.note:
        return f"“{quoted(content.note, 900)}”"
    return sentence(content.note, 900)


def _event(content: Milestone) -> str:
    said = _SAID[content.event]
    if content.step_title:
        count = f" of {content.step_count}" if content.step_count else ""
        said += f" · step {content.step_number}{count}: {safe(content.step_title, 250)}"
    if content.person:
        said += f" by {mention(content.person)} {content.at:%H:%M} UTC"
    return said


def result(content: Result, rotation: Rotation | None) -> Rendered:
    """How it ended: also shown in the channel, so it says which mesh."""
    mesh = f" · {safe(rotation.mesh, 60)}" if rotation else ""
    said = f"{_SAID[content.event]}{mesh}"
    lines = [line for line in (sentence(content.note, 1500), _NEXT.get(content.event, "")) if line]
    counts = [tally_line(tally) for tally in content.tallies[:10]]
    blocks = packed(["\n".join([said, *lines]), *counts, *_listed(content.stragglers, label=_label(content))])
    return message(f"{said}. {sentence(content.note, 1500)}".strip(), blocks)


def _label(content: Result) -> str:
    return "Not proved" if content.event is Event.ENDED_SHORT else _BEHIND


def _listed(stragglers: tuple[Straggler, ...], *, label: str = _BEHIND) -> list[str]:
    lines = [f"• {straggler_line(one, 240)}" for one in stragglers[:MOST_NAMED]]
    more = len(stragglers) - len(lines)
    lines = [f"*{label}*", *lines] if lines else []
    return [*lines, f"… and {more:,} more"] if more > 0 else lines


def request_failed(content: RequestFailed) -> Rendered:
    """It was accepted and then could not be done; nobody is left waiting."""
    of = f" of *{safe(content.mesh, 60)}*" if content.mesh else ""
    said = f"❌ {mentions((content.person, *content.others))}, the {safe(content.what, 80)}{of} could not be done."
    lines = [said, sentence(content.message, 1200)]
    lines += [f"*What to do:* {sentence(content.hint, 900)}"] if content.hint else []
    found = [finding_line(finding) for finding in content.findings[:MAX_FINDINGS]]
    more = len(content.findings) - len(found)
    found += [f"… and {count(more, 'more finding')}"] if more > 0 else []
    blocks = packed(["\n".join(line for line in lines if line), *found])
    return message(f"{said} {sentence(content.message, 1200)}", [*blocks, *_reference(content)])


def _reference(content: RequestFailed) -> list[Block]:
    if not content.reference:
        return []
    return [
        section("This is a bug in Rootkeeper, not in your mesh. The log says more under this reference."),
        context(f"Reference {code(content.reference, 80)}"),
    ]


def straggler_file(content: StragglerFile) -> str:
    """The file: plain text, a heading, then a row for each straggler with tabs between."""
    rows = ["what\tverdict\treason\tcure"]
    rows += [
        "\t".join(visible(cell) or "-" for cell in (one.what, one.verdict, one.reason, one.cure))
        for one in content.stragglers
    ]
    return "\n".join(rows) + "\n"


def file_comment(content: StragglerFile) -> str:
    """The line over the file."""
    return f"All {count(len(content.stragglers), 'straggler')}: what, verdict, reason, cure."


def file_in_words(content: StragglerFile) -> Rendered:
    """The same as a message, when Slack does not take the file."""
    lines = [f"• {straggler_line(one, 200)}" for one in content.stragglers[:20]]
    more = len(content.stragglers) - len(lines)
    left_out = f"… and {more:,} more. " if more > 0 else ""
    everything = code("rootkeeper verify --json")
    lines.append(f"{left_out}Slack did not take the file; {everything} lists all that are missing by now.")
    return message(file_comment(content), packed(lines))
