"""Who decided what about a rotation, when and why: the same on its card and in the history."""

from bot.core.approval import Act
from bot.core.rotation import Decision, Rotation
from bot.edges.slack.render.words import mention, moment, safe

_SHOWN = 6
_DECIDED: dict[str, str] = {
    Act.APPROVE: "✅ *Approved*",
    Act.REJECT: "🚫 *Rejected*",
    Act.CANCEL: "🛑 *Stopped*",
    Act.KEEP_WAITING: "⏳ *Told to keep waiting*",
    Act.ROLL_BACK: "↩️ *Told to roll back*",
    Act.END: "⏹️ *Ended short*",
}


def decisions(rotation: Rotation, *, note: int = 300) -> list[str]:
    """A line for each of the last decisions, reasons cut to so many characters."""
    left_out = len(rotation.decisions) - _SHOWN
    earlier = [f"… {left_out} earlier"] if left_out > 0 else []
    return [*earlier, *(_decision(one, note) for one in rotation.decisions[-_SHOWN:])]


def _decision(decision: Decision, limit: int) -> str:
    what = _DECIDED.get(decision.act, f"*{safe(decision.act, 40)}*")
    note = f": “{safe(decision.note, limit)}”" if decision.note else ""
    return f"{what} by {mention(decision.person)} {moment(decision.at)}{note}"
