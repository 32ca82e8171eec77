"""Who decided what about a rotation, when and why: the same on its card and in the history."""

from bot.core.approval import Act
from bot.core.rotation import Decision, Rotation
from bot.edges.slack.render.words import mention, moment, quoted, safe

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
    """A line for the approval and each of the last decisions, reasons cut to so many characters."""
    shown = rotation.decisions[-_SHOWN:]
    approval = rotation.decision("approve")
    first = (approval,) if approval and approval not in shown else ()
    left_out = len(rotation.decisions) - len(shown) - len(first)
    between = [f"… {left_out} more"] if left_out > 0 else []
    return [
        *(_decision(one, note) for one in first),
        *between,
        *(_decision(one, note) for one in shown),
    ]


def _decision(decision: Decision, limit: int) -> str:
    what = _DECIDED.get(decision.act, f"*{safe(decision.act, 40)}*")
    note = f": “{quoted(decision.note, limit)}”" if decision.note else ""
    return f"{what} by {mention(decision.person)} {moment(decision.at)}{note}"
