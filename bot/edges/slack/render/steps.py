"""The steps of a rotation as lines: before the approval with what they do, afterwards with how they went."""

from datetime import timedelta

from bot.core.plan import Plan, Step
from bot.core.progress import MOST_NAMED, StepState, StepStatus, Straggler
from bot.core.rotation import Rotation, RotationState
from bot.core.wording import span
from bot.edges.slack.render.words import STATUS_MARK, moment, safe, sentence

_ALL_STEPS = 6000
"""Characters for every step together: thirty steps with the longest names still make one message."""
_MAX_STRAGGLERS = 3


def planned_steps(plan: Plan) -> list[str]:
    """One paragraph for each step: what, why, how long, what is felt."""
    budget = min(700, _ALL_STEPS // max(len(plan.steps), 1))
    return [_planned(at, step, budget) for at, step in enumerate(plan.steps, start=1)]


def _planned(at: int, step: Step, budget: int) -> str:
    third = (budget - 60) // 3
    line = f"*{at}.* {safe(step.title, third)} (about {span(step.takes)})"
    if step.why:
        line += f"\n↳ {sentence(step.why, third)}"
    if step.felt:
        line += f"\n⚡ {sentence(step.felt, third)}"
    return line


def undoing(plan: Plan) -> str:
    """How the whole is undone, in a paragraph."""
    if not plan.undo_steps:
        return "*If it goes wrong:* there is nothing to undo by steps of its own."
    asks = "*If it goes wrong* it pauses and asks. *Roll back* is part of this approval"
    first = len(plan.steps) - len(plan.undo_steps)
    if plan.undo_steps == plan.steps[first:]:
        again = f"steps {first + 1} to {len(plan.steps)} once more, with the old root's very bytes from the backup"
        return f"{asks}: {again} (about {span(sum((s.takes for s in plan.undo_steps), timedelta()))})."
    each = max(1500 // len(plan.undo_steps) - 10, 20)
    steps = " · ".join(f"{at}. {safe(s.title, each)}" for at, s in enumerate(plan.undo_steps, start=1))
    return f"{asks} and goes back to the old root: {steps}"


def walked_steps(rotation: Rotation) -> list[str]:
    """One line for each step with a word for how it stands; the current one with its stragglers."""
    walk = rotation.walk
    each = min(300, _ALL_STEPS // max(len(walk), 1) - 60)
    current = rotation.current
    moving = rotation.state in (RotationState.RUNNING, RotationState.ROLLING_BACK)
    return [
        _walked(
            f"{at}. {safe(step.title, max(each, 40))}",
            state,
            word=_word(state) if moving else _word_at_rest(state),
            is_current=not rotation.final and current is not None and state == current[1],
        )
        for at, (step, state) in enumerate(walk, start=1)
    ]


def _walked(name: str, state: StepState, *, word: str, is_current: bool) -> str:
    line = f"{STATUS_MARK[state.status]} {f'*{name}*' if is_current else name}: {word}"
    if state.status is StepStatus.FAILED or (is_current and state.note):
        line += f"\n↳ {sentence(state.note)}" if state.note else ""
    return "\n".join([line, *(_stragglers(state) if is_current else [])])


def _word(state: StepState) -> str:
    by = f", until {moment(state.deadline_at)}" if state.deadline_at else ""
    match state.status:
        case StepStatus.WAITING if state.total:
            return f"waiting, {state.done:,} of {state.total:,}{by}"
        case StepStatus.WAITING:
            return f"waiting{by}"
        case StepStatus.ACTING:
            return f"running{by}"
        case _:
            return str(state.status)


def _word_at_rest(state: StepState) -> str:
    """Nothing moves now: no deadline, and nothing that sounds like progress."""
    if state.status is StepStatus.PENDING:
        return "not begun"
    if state.status not in (StepStatus.ACTING, StepStatus.WAITING):
        return str(state.status)
    return f"stopped at {state.done:,} of {state.total:,}" if state.total else "begun, not proved"


def _stragglers(state: StepState) -> list[str]:
    lines = [f"• {straggler_line(one, 200)}" for one in state.stragglers[:_MAX_STRAGGLERS]]
    missing = (state.total - state.done if state.total else len(state.stragglers)) - len(lines)
    return [*lines, f"… and {missing:,} more"] if lines and missing > 0 else lines


def left_behind(rotation: Rotation) -> list[str]:
    """What was not proved when it was ended short; the thread has all of it."""
    lines = [f"• {straggler_line(one, 240)}" for one in rotation.left_behind[:MOST_NAMED]]
    more = len(rotation.left_behind) - len(lines)
    lines += [f"… and {more:,} more, in the file in the thread"] if more > 0 else []
    return ["*Not proved when it was ended*", *lines] if lines else []


def straggler_line(straggler: Straggler, limit: int) -> str:
    """What, unknown or not, why, and what would help."""
    half = limit // 2
    mark = "❓ unknown: " if straggler.verdict == "unknown" else ""
    cure = f" → {safe(straggler.cure, half)}" if straggler.cure else ""
    return f"{mark}*{safe(straggler.what, half)}*: {safe(straggler.reason, half)}{cure}"
