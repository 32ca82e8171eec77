"""A decision about a rotation: looked up, authorised, recorded once, then told.

One path for every door and every act. The order is: record, then act, then tell; a lost race is
looked at again with the new record, because the other decision may have settled it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.core.approval import Act, Circumstances, PersonFacts, Refusal, authorise
from bot.core.ids import PlanDigest, RotationId, TeamId
from bot.core.record import AuditEvent, Caller, Change, Event, Result
from bot.core.rotation import Decision, Person, Rotation, RotationState
from bot.errors import DirectoryUnavailable, LostRace
from bot.flow.custody import out_of_hand
from bot.flow.ports import Clock, Directory, Keys, MeshPorts, Store
from bot.flow.propose import redraft_plan, why_stale
from bot.flow.tell import milestone, telling

TRIES = 3
"""How often a lost race is looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decides beside the people."""

    decision_channel: str
    home_team: TeamId
    approval_lifetime: timedelta
    start_within: timedelta
    root_lifetime: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What came of it."""

    rotation: Rotation
    sentence: str
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Court:
    """Everything that a decision needs."""

    store: Store
    directory: Directory
    clock: Clock
    keys: Keys
    rules: Rules


class _ImpossibleError(Exception):
    """This person may decide so, and the mesh does not allow it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = Refusal(code=code, sentence=sentence)


def heard(
    court: Court, caller: Caller, act: Act, *, rotation: Rotation | None
) -> tuple[Person, Refusal | None]:
    """Look everything up now and ask whether this may be done; who cannot be looked up may not."""
    try:
        facts, refusal = _looked_up(court, caller, act, rotation)
    except DirectoryUnavailable as fault:
        stranger = Person(team=caller.team, user=caller.user, name=caller.name)
        return stranger, Refusal(code="lookup_failed", sentence=f"{fault.message}. {fault.hint}")
    return facts.person, refusal


def _looked_up(
    court: Court, caller: Caller, act: Act, rotation: Rotation | None
) -> tuple[PersonFacts, Refusal | None]:
    person = court.directory.person(caller.team, caller.user)
    approvers = court.directory.approvers()
    circumstances = Circumstances(
        channel=caller.channel,
        decision_channel=court.rules.decision_channel,
        channel_fault=court.directory.channel_fault(caller.channel),
        home_team=court.rules.home_team,
        now=court.clock.now(),
    )
    refusal = authorise(act, person, approvers=approvers, rotation=rotation, circumstances=circumstances)
    if refusal is None and act is Act.APPROVE and rotation is not None:
        refusal = _requester_gone(court, rotation)
    return person, refusal


def _requester_gone(court: Court, rotation: Rotation) -> Refusal | None:
    """A request outlives its requester's account only until somebody looks."""
    requester = court.directory.person(rotation.requester.team, rotation.requester.user)
    if requester.deleted or requester.is_guest:
        return Refusal(
            code="requester_gone",
            sentence=f"{rotation.requester.name}, who asked for this, may not do so any more. Ask anew.",
        )
    return None


def decide(
    court: Court, mesh: MeshPorts, caller: Caller, act: Act, *, rotation_id: RotationId, note: str
) -> Decided:
    """Take one decision, or say why not.

    Raises:
        RecordAbsent, StoreError, and, where the mesh must be looked at, the cluster's errors.
    """
    for _ in range(TRIES):
        rotation = court.store.rotation(rotation_id)
        person, refusal = heard(court, caller, act, rotation=rotation)
        if refusal:
            return _refused(court, caller, act, rotation=rotation, person=person, refusal=refusal)
        try:
            return _take(court, mesh, caller, act, rotation=rotation, person=person, note=note)
        except _ImpossibleError as no:
            return _refused(court, caller, act, rotation=rotation, person=person, refusal=no.refusal)
        except LostRace:
            continue
    raise LostRace(
        "this rotation is changing too quickly to decide anything", hint="Look at its card and try again."
    )


def _refused(
    court: Court, caller: Caller, act: Act, *, rotation: Rotation, person: Person, refusal: Refusal
) -> Decided:
    audit = AuditEvent(
        event=Event.REFUSED,
        at=court.clock.now(),
        mesh=rotation.mesh,
        rotation_id=rotation.id,
        digest=rotation.digest,
        person=person,
        channel=caller.channel,
        detail=(("act", act), ("code", refusal.code)),
    )
    court.store.commit(Change(audit=(audit,)))
    return Decided(rotation=rotation, sentence=refusal.sentence, refusal=refusal)


def _take(
    court: Court, mesh: MeshPorts, caller: Caller, act: Act, *, rotation: Rotation, person: Person, note: str
) -> Decided:
    now = court.clock.now()
    decision = Decision(act=act, person=person, at=now, digest=PlanDigest(rotation.digest), note=note[:500])
    match act:
        case Act.APPROVE:
            change, sentence = _approve(court, mesh, rotation, decision=decision)
        case Act.REJECT:
            change, sentence = _reject(rotation, decision), "Rejected; nothing was changed."
        case Act.CANCEL:
            change, sentence = _cancel(mesh, rotation, decision)
        case Act.KEEP_WAITING:
            change, sentence = _keep_waiting(rotation, decision), "Waiting on."
        case Act.ROLL_BACK:
            change, sentence = _roll_back(rotation, decision)
        case Act.REQUEST:
            raise ValueError("a request is proposed, not decided")
    written = court.store.commit(_with_door(change, caller))
    return Decided(rotation=written or rotation, sentence=sentence)


def _with_door(change: Change, caller: Caller) -> Change:
    """Where the decision was taken belongs into its audit rows."""
    return replace(change, audit=tuple(replace(row, channel=caller.channel) for row in change.audit))


def _approve(court: Court, mesh: MeshPorts, rotation: Rotation, *, decision: Decision) -> tuple[Change, str]:
    """The approval counts for what was shown: the mesh is looked at again before it is taken."""
    draft = redraft_plan(mesh, court.clock, court.keys, approved=rotation.plan)
    reasons = why_stale(rotation.plan, draft)
    if reasons:
        sentence = "Too late: the mesh changed since. " + "; ".join(reasons)
        return stale(rotation, reasons, at=decision.at), sentence
    # Looking takes minutes in a large mesh: the time to start in begins when the approval is recorded.
    looked = court.clock.now() - decision.at
    approved = rotation.approved(decision, start_within=court.rules.start_within + looked)
    spoken = milestone(approved, Event.APPROVED, at=decision.at, person=decision.person)
    change = telling(approved, Event.APPROVED, at=decision.at, milestone=spoken, person=decision.person)
    return change, "Approved; the rotation starts now."


def stale(rotation: Rotation, reasons: tuple[str, ...], *, at: datetime) -> Change:
    """The mesh is not what the plan was made for: over, ask anew."""
    ended = rotation.moved(RotationState.STALE, now=at, outcome="; ".join(reasons))
    spoken = milestone(ended, Event.STALE, at=at, note="; ".join(reasons))
    return telling(ended, Event.STALE, at=at, milestone=spoken, detail=(("reasons", "; ".join(reasons)),))


def _reject(rotation: Rotation, decision: Decision) -> Change:
    ended = rotation.decided(decision).moved(RotationState.REJECTED, now=decision.at, outcome=decision.note)
    return _told(ended, Event.REJECTED, decision)


def _cancel(mesh: MeshPorts, rotation: Rotation, decision: Decision) -> tuple[Change, str]:
    """Before anything was written a cancel ends it; afterwards it stops before the next step and asks."""
    decided = rotation.decided(decision)
    if rotation.state is RotationState.RUNNING:
        stopping = replace(decided, stop_requested=True)
        return _told(stopping, Event.STOP_REQUESTED, decision), "It stops before its next step."
    if rotation.changed_the_cluster:
        return _give_up(mesh, decided, decision), "Given up; the mesh stays as it is."
    ended = decided.moved(RotationState.CANCELLED, now=decision.at, outcome=decision.note)
    return _told(ended, Event.CANCELLED, decision), "Cancelled; nothing was changed."


def _give_up(mesh: MeshPorts, rotation: Rotation, decision: Decision) -> Change:
    """Only when neither on nor back is possible, or nothing could be asked for ever again."""
    why = out_of_hand(rotation, mesh, now=decision.at)
    if not why:
        ways = "*Keep waiting*" if rotation.backwards else "*Roll back* or *Keep waiting*"
        raise _ImpossibleError(
            "already_changed", f"The root is already changed, so this cannot simply end: choose {ways}."
        )
    note = f"{decision.person.name} gave it up: {why}. The mesh stays as it is."
    ended = rotation.moved(RotationState.FAILED, now=decision.at, outcome=note)
    result = Result(rotation_id=rotation.id, event=Event.FAILED, at=decision.at, note=note)
    return telling(ended, Event.FAILED, at=decision.at, milestone=result, person=decision.person)


def _keep_waiting(rotation: Rotation, decision: Decision) -> Change:
    resumed = rotation.decided(decision).moved(
        RotationState.ROLLING_BACK if rotation.backwards else RotationState.RUNNING, now=decision.at
    )
    if current := resumed.current:
        step, state = current
        if state.deadline_at is not None:
            resumed = resumed.with_step(state.extended(decision.at, step.deadline))
    return _told(resumed, Event.RESUMED, decision)


def _roll_back(rotation: Rotation, decision: Decision) -> tuple[Change, str]:
    decided = rotation.decided(decision)
    if rotation.backwards:
        return _keep_waiting(rotation, decision), "It is rolling back already; waiting on."
    if not rotation.changed_the_cluster:
        ended = decided.moved(
            RotationState.CANCELLED, now=decision.at, outcome="nothing had been written yet"
        )
        return _told(ended, Event.CANCELLED, decision), "Nothing had been written yet: cancelled."
    end = rotation.plan.old_root.not_after
    if decision.at + rotation.plan.takes >= end:
        raise _ImpossibleError(
            "old_root_expired",
            f"The old root ends at {end:%Y-%m-%d %H:%M} UTC: putting it back would stop the mesh. "
            "Choose *Keep waiting*.",
        )
    turned = decided.moved(RotationState.ROLLING_BACK, now=decision.at).turned_back()
    return _told(turned, Event.ROLLING_BACK, decision), "Rolling back to the old root."


def _told(rotation: Rotation, event: Event, decision: Decision) -> Change:
    spoken = milestone(rotation, event, at=decision.at, person=decision.person, note=decision.note)
    return telling(rotation, event, at=decision.at, milestone=spoken, person=decision.person)
