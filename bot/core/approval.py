"""Who may see and decide what: one function for every door (button, dialog, command).

Facts about people come in freshly looked up; a fact that could not be looked up never gets here,
because the lookup raises and the door answers no.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.ids import TeamId, UserId
from bot.core.rotation import Person, Rotation, RotationState


class Act(StrEnum):
    """What somebody wants to do with a rotation, or with a mesh."""

    LOOK = "look"
    """See what is so and what was done, and have a mesh looked at; from any channel."""
    REQUEST = "request"
    APPROVE = "approve"
    REJECT = "reject"
    CANCEL = "cancel"
    """Withdraw a proposal, or stop a running rotation before it begins anything more."""
    KEEP_WAITING = "keep waiting"
    ROLL_BACK = "roll back"
    END = "end here"
    """End a paused rotation short: not green, with what is not proved kept by name."""


DECISIONS = frozenset(Act) - {Act.LOOK, Act.REQUEST}
"""What is decided about a rotation that there is, on its card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonFacts:
    """What the directory says of a person now."""

    team: TeamId
    user: UserId
    name: str
    deleted: bool
    is_bot: bool
    is_guest: bool
    is_stranger: bool
    """From another organisation, here through a shared channel."""

    @property
    def person(self) -> Person:
        """The part that goes into the record."""
        return Person(team=self.team, user=self.user, name=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvers:
    """Who may approve, as configured and resolved now; nobody, when empty."""

    users: frozenset[UserId]
    configured: tuple[str, ...]
    """User and group ids from the settings, for showing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Where and when somebody acts."""

    channel: str
    decision_channel: str
    """The one channel in which decisions are taken."""
    channel_fault: str | None
    home_team: TeamId
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why not: a stable code for metrics and tests, a sentence for the person."""

    code: str
    sentence: str


def acts_open_to(rotation: Rotation) -> tuple[Act, ...]:
    """What may be decided about it as it stands, in the order of its buttons.

    Cards show just these and `authorise` allows just these, so that the two cannot differ.
    """
    match rotation.state:
        case RotationState.PROPOSED:
            return (Act.APPROVE, Act.REJECT, Act.CANCEL)
        case RotationState.APPROVED:
            return (Act.CANCEL,)
        case RotationState.RUNNING if not rotation.stop_requested:
            return (Act.CANCEL,)
        case RotationState.PAUSED if rotation.backwards:
            return (Act.KEEP_WAITING, Act.END)
        case RotationState.PAUSED if rotation.changed_the_cluster:
            return (Act.KEEP_WAITING, Act.ROLL_BACK, Act.END)
        case RotationState.PAUSED:
            return (Act.KEEP_WAITING, Act.CANCEL)
        case _:
            return ()


def authorise(
    act: Act,
    person: PersonFacts,
    *,
    approvers: Approvers,
    rotation: Rotation | None,
    circumstances: Circumstances,
) -> Refusal | None:
    """Whether this person may do this to this rotation, here and now; None means yes.

    `rotation` is None only for a look, and for a request, which makes one.
    """
    if act is Act.LOOK:
        return _wrong_person(person, circumstances)
    refusal = _wrong_place(circumstances) or _wrong_person(person, circumstances)
    if refusal or act is Act.REQUEST:
        return refusal or _nobody_could_approve(person, approvers)
    if rotation is None:
        return Refusal(code="no_rotation", sentence="There is no such rotation.")
    return _not_theirs(act, person, approvers, rotation) or _too_late(act, rotation, circumstances.now)


def _wrong_place(circumstances: Circumstances) -> Refusal | None:
    if circumstances.channel != circumstances.decision_channel:
        return Refusal(
            code="wrong_channel",
            sentence=f"Rotations are decided in <#{circumstances.decision_channel}> only.",
        )
    if circumstances.channel_fault:
        return Refusal(
            code="channel_unfit",
            sentence=f"This channel cannot be used for decisions: it {circumstances.channel_fault}.",
        )
    return None


def _wrong_person(person: PersonFacts, circumstances: Circumstances) -> Refusal | None:
    if person.is_stranger or person.team != circumstances.home_team:
        return Refusal(code="stranger", sentence="Rootkeeper is for members of this workspace.")
    if person.deleted:
        return Refusal(code="deactivated", sentence="This account is deactivated.")
    if person.is_bot:
        return Refusal(code="bot", sentence="Rootkeeper is for people.")
    if person.is_guest:
        return Refusal(code="guest", sentence="Rootkeeper is not for guests: ask a member of this workspace.")
    return None


def _nobody_could_approve(person: PersonFacts, approvers: Approvers) -> Refusal | None:
    if approvers.users - {person.user}:
        return None
    return Refusal(
        code="nobody_to_approve",
        sentence="Nobody but you could approve this: the approvers in the settings are "
        + (", ".join(approvers.configured) or "empty")
        + ". Add a second person first.",
    )


def _not_theirs(act: Act, person: PersonFacts, approvers: Approvers, rotation: Rotation) -> Refusal | None:
    is_requester = person.person.same(rotation.requester)
    if act is Act.APPROVE and is_requester:
        return Refusal(
            code="own_request", sentence="You asked for this rotation; a second person must approve it."
        )
    if act is Act.REJECT and is_requester:
        return Refusal(code="own_request", sentence="This is your own request: cancel it instead.")
    if act is Act.END and is_requester:
        return Refusal(
            code="own_request",
            sentence="You asked for this rotation; an approver other than you must end it short.",
        )
    if act in (Act.CANCEL, Act.KEEP_WAITING, Act.ROLL_BACK) and is_requester:
        return None
    if person.user not in approvers.users:
        return Refusal(code="not_an_approver", sentence="You are not among the approvers of this mesh.")
    return None


def _too_late(act: Act, rotation: Rotation, now: datetime) -> Refusal | None:
    if act not in acts_open_to(rotation):
        return _not_open(act, rotation)
    if rotation.state is RotationState.PROPOSED and now >= rotation.expires_at:
        return Refusal(
            code="already_expired",
            sentence=f"Too late: this request expired at {rotation.expires_at:%H:%M} UTC.",
        )
    return None


_NAMES = {
    Act.CANCEL: "*Cancel*",
    Act.KEEP_WAITING: "*Keep waiting*",
    Act.ROLL_BACK: "*Roll back*",
    Act.END: "*End here*",
}


def _not_open(act: Act, rotation: Rotation) -> Refusal:
    """Why that is not among the choices, and what is."""
    if rotation.state is RotationState.RUNNING and act is Act.CANCEL:
        return Refusal(code="already_stopping", sentence="It is stopping already.")
    if rotation.state is not RotationState.PAUSED or act not in _NAMES:
        return Refusal(
            code="already_" + rotation.state, sentence=f"Too late: this rotation {rotation.standing}."
        )
    ways = " or ".join(_NAMES[way] for way in acts_open_to(rotation))
    if not rotation.changed_the_cluster:
        return Refusal(code="nothing_written", sentence=f"Nothing has been written yet: choose {ways}.")
    if act is Act.ROLL_BACK:
        return Refusal(
            code="already_rolling_back", sentence=f"It is rolling back already: choose {ways} on its card."
        )
    return Refusal(
        code="already_changed",
        sentence=f"The root is already changed, so this cannot be cancelled: choose {ways} on its card.",
    )


def unapproved(rotation: Rotation) -> tuple[str, ...]:
    """Why no approval in the record covers what this rotation would do; empty when one does.

    Asked by whoever starts it, so that a record that was changed by hand, or by a version to which the
    plan meant something else, starts nothing.
    """
    approval = rotation.decision(Act.APPROVE)
    if approval is None:
        return ("the record holds no approval",)
    if approval.person.same(rotation.requester):
        return ("the approval in the record is the requester's own",)
    if not approval.digest == rotation.digest == rotation.plan.digest:
        return ("the plan in the record is not the one that was approved",)
    return ()
