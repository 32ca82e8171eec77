"""The first two lines of a card: where a rotation stands, what that means, what to do next."""

from typing import assert_never

from bot.core.approval import Act, acts_open_to
from bot.core.plan import Mode
from bot.core.rotation import Rotation, RotationState
from bot.core.wording import span
from bot.edges.slack.render.reports import tally_line
from bot.edges.slack.render.words import code, date, mention, moment, safe, sentence

S = RotationState


def title(rotation: Rotation) -> str:
    """The card's title, in plain text."""
    mesh = rotation.mesh[:60]
    match rotation.state:
        case S.PROPOSED:
            return f"🔏 {mesh}: root rotation needs a second person"
        case S.APPROVED:
            return f"✅ {mesh}: root rotation approved, about to start"
        case S.RUNNING:
            return f"⏳ {mesh}: root rotation running, {_position(rotation)}"
        case S.PAUSED:
            return f"⏸️ {mesh}: root rotation paused, it needs a decision"
        case S.ROLLING_BACK:
            return f"↩️ {mesh}: rolling back to the old root, {_position(rotation)}"
        case S.DONE:
            return f"✅ {mesh}: root rotation done"
        case _:
            return _ended_title(rotation.state, mesh)


def _ended_title(state: RotationState, mesh: str) -> str:
    return {
        S.FAILED: f"❌ {mesh}: root rotation failed",
        S.ENDED_SHORT: f"⚠️ {mesh}: root rotation ended short, not everything is proved",
        S.ROLLED_BACK: f"↩️ {mesh}: rolled back, the old root is in use",
        S.REJECTED: f"🚫 {mesh}: root rotation rejected",
        S.EXPIRED: f"⌛ {mesh}: root rotation expired",
        S.CANCELLED: f"🛑 {mesh}: root rotation cancelled",
        S.STALE: f"🔁 {mesh}: the plan is out of date",
        S.SUPERSEDED: f"➡️ {mesh}: replaced by a newer request",
    }[state]


def _position(rotation: Rotation) -> str:
    walk = rotation.walk
    ended = sum(1 for _, state in walk if state.ended)
    return f"step {min(ended + 1, len(walk))} of {len(walk)}"


def lead(rotation: Rotation) -> str:
    """What is so, what it means and what to do next, in mrkdwn."""
    outcome = sentence(rotation.outcome, 900)
    match rotation.state:
        case S.PROPOSED:
            return _proposed(rotation)
        case S.APPROVED:
            return _approved(rotation, outcome)
        case S.RUNNING:
            return _running(rotation)
        case S.PAUSED:
            return _paused(rotation, outcome)
        case S.ROLLING_BACK:
            return f"{outcome} The old root is being put back, step by step. Nothing to do now.".strip()
        case S.DONE | S.FAILED | S.ENDED_SHORT | S.ROLLED_BACK:
            return _ran(rotation, outcome)
        case S.REJECTED | S.EXPIRED | S.CANCELLED | S.STALE | S.SUPERSEDED:
            return _never_ran(rotation, outcome)
        case _:
            assert_never(rotation.state)


def _proposed(rotation: Rotation) -> str:
    plan = rotation.plan
    return (
        f"The root certificate of *{safe(rotation.mesh, 60)}* would be extended: same key, "
        f"valid until {date(plan.new_root.not_after)} instead of {date(plan.old_root.not_after)}, {plan.won}.\n"
        f"*Nothing has changed yet.* Somebody else must press *Approve* before "
        f"{moment(rotation.expires_at)}; it then starts at once and takes about {span(plan.takes)}."
    )


def _approved(rotation: Rotation, outcome: str) -> str:
    by = f" It starts before {moment(rotation.start_by)} or not at all." if rotation.start_by else ""
    if outcome:
        return f"A second person has approved.{by}\n*Not started yet:* {outcome} It is tried again."
    return f"A second person has approved.{by} Nothing to do now."


def _running(rotation: Rotation) -> str:
    if rotation.stop_requested:
        return "*A stop was asked for:* nothing more is begun."
    at = rotation.current
    doing = f"Now: {safe(at[0].title, 200)}." if at else "All steps are made."
    return f"{doing} Progress is in the thread. Nothing to do now."


def _paused(rotation: Rotation, outcome: str) -> str:
    why = outcome or "A person has to decide how it goes on."
    going_back = ["The old root is already being put back."] if rotation.backwards else []
    choices = [f"• {_choice(act, rotation)}" for act in acts_open_to(rotation)]
    return "\n".join([why, *_meanwhile(rotation), *going_back, *choices])


def _choice(act: Act, rotation: Rotation) -> str:
    """What a button of a paused rotation would do; there is one for each act that is open."""
    match act:
        case Act.KEEP_WAITING:
            at = rotation.current
            more = f"gives this step another {span(at[0].deadline)}" if at else "goes on"
            return f"*Keep waiting* {more}."
        case Act.ROLL_BACK:
            until = date(rotation.plan.old_root.not_after - rotation.plan.takes)
            return f"*Roll back* puts the old root back, byte for byte; possible until {until}. It was approved, too."
        case Act.END:
            return (
                "*End here* leaves the mesh as it is, and the rotation is not green. It shows first what is "
                f"missing, or why it is too early. For an approver other than {mention(rotation.requester)}."
            )
        case _:
            return "*Cancel* ends it here. The root has not been changed."


def _meanwhile(rotation: Rotation) -> list[str]:
    """What a person woken by this wants to know first: is anything broken now?"""
    if not rotation.changed_the_cluster or rotation.plan.mode is not Mode.EXTEND:
        return []
    until = date(rotation.plan.old_root.not_after)
    return [f"Old and new root have the same key: whatever holds either goes on talking until {until}."]


def _ran(rotation: Rotation, outcome: str) -> str:
    mesh = code(f"/istio-root verify {rotation.mesh}")
    match rotation.state:
        case S.DONE:
            return f"{_proved(rotation) or outcome}\n{mesh} looks again at any time.".strip()
        case S.ROLLED_BACK:
            again = code(f"/istio-root transition {rotation.mesh}")
            return f"{outcome or 'The old root is back in place.'}\nThe old end date counts again: {again}."
        case _:
            look = f"*Look now:* {mesh} says what holds which root.{_left(rotation)}"
            return f"{outcome or 'A step failed.'}\n{look}"


def _proved(rotation: Rotation) -> str:
    """What the last step counted."""
    tallies = [tally for _, state in rotation.walk for tally in state.tallies][-10:]
    until = date(rotation.plan.new_root.not_after)
    ends = f"The root is valid until {until}. Counted at the end:"
    return "\n".join([ends, *map(tally_line, tallies)]) if tallies else ""


def _left(rotation: Rotation) -> str:
    if not rotation.changed_the_cluster:
        return " The CA secret was not changed."
    return f" The old root is kept in {code(str(rotation.plan.backup_ref), 300)}."


def _never_ran(rotation: Rotation, outcome: str) -> str:
    # What a person wrote stands beside their name, in quotes: here it would be the bot's own word.
    theirs = rotation.outcome in {decision.note for decision in rotation.decisions}
    said = outcome if outcome and not theirs else _ENDINGS[rotation.state]
    state = (
        f"Steps had been made: the CA secret may hold the new root.{_left(rotation)}"
        if rotation.changed_the_cluster
        else "The root certificate was not changed."
    )
    if rotation.changed_the_cluster:
        return f"{said} {state}\n*Look now:* {code(f'/istio-root verify {rotation.mesh}')}"
    if rotation.state is S.SUPERSEDED:
        return f"{said} {state}"
    return f"{said} {state}\nTo ask again: {code(f'/istio-root transition {rotation.mesh}')}"


_ENDINGS = {
    S.REJECTED: "A second person said no.",
    S.EXPIRED: "It was not approved or not started in time.",
    S.CANCELLED: "It was called off.",
    S.STALE: "The mesh is no longer as it was when this was planned, so the approval does not fit it.",
    S.SUPERSEDED: "A newer request for this mesh has taken its place.",
}
