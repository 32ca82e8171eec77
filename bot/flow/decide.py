"""A decision about a rotation: looked up, authorised, recorded once, then told.

One path for every door and every act. The order is: record, then act, then tell; a lost race is
looked at again with the new record, because the other decision may have settled it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.core.approval import Act, Approvers, Circumstances, PersonFacts, Refusal, authorise
from bot.core.ids import RotationId, TeamId
from bot.core.record import AuditEvent, Change, Event, Result
from bot.core.replies import Caller, EndOffered
from bot.core.rotation import Decision, Person, Rotation, RotationState
from bot.errors import ClusterConflict, ClusterUnreachable, DirectoryUnavailable, LostRace, ObjectAbsent
from bot.flow.custody import old_root_of
from bot.flow.ending import Ending, ended_short, offered, weigh
from bot.flow.ports import Clock, Directory, Keys, MeshPorts, Store
from bot.flow.propose import redraft_plan, why_stale
from bot.flow.tell import milestone, telling

NOBODY = Approvers(users=frozenset(), configured=())
SETTLED_BY_APPROVERS = frozenset({"not_an_approver", "nobody_to_approve"})
"""Refusals that the list of approvers may lift; all others stand whoever is on it."""

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
    offer: EndOffered | None = None
    """What ending it here would leave now, to be confirmed; nothing is decided yet."""


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

    def __init__(self, refusal: Refusal, *, offer: EndOffered | None = None) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal
        self.offer = offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Who asked, whether they may, and who may approve just now."""

    person: Person
    refusal: Refusal | None = None
    approvers: Approvers = NOBODY

    @property
    def seen(self) -> tuple[tuple[str, str], ...]:
        """For the audit record: a person who is added to a group and taken out again leaves a trace."""
        users = " ".join(sorted(self.approvers.users))
        return (("approvers", users), ("approvers_configured", " ".join(self.approvers.configured)))


def heard(court: Court, caller: Caller, act: Act, *, rotation: Rotation | None) -> Hearing:
    """Look everything up now and ask whether this may be done; who cannot be looked up may not."""
    try:
        return _looked_up(court, caller, act, rotation)
    except DirectoryUnavailable as fault:
        stranger = Person(team=caller.team, user=caller.user, name=caller.name)
        no = Refusal(code="lookup_failed", sentence=f"{fault.message}. {fault.hint}")
        return Hearing(person=stranger, refusal=no)


def _looked_up(court: Court, caller: Caller, act: Act, rotation: Rotation | None) -> Hearing:
    person = court.directory.person(caller.team, caller.user)
    circumstances = Circumstances(
        channel=caller.channel,
        decision_channel=court.rules.decision_channel,
        channel_fault=None,
        home_team=court.rules.home_team,
        now=court.clock.now(),
    )
    if act is Act.LOOK:
        refusal = authorise(act, person, approvers=NOBODY, rotation=None, circumstances=circumstances)
        return Hearing(person=person.person, refusal=refusal)
    # Slack rations the other lookups (20 a minute): nobody who may not anyway can use them up for those who may.
    refusal = authorise(act, person, approvers=NOBODY, rotation=rotation, circumstances=circumstances)
    if refusal and refusal.code not in SETTLED_BY_APPROVERS:
        return Hearing(person=person.person, refusal=refusal)
    approvers = court.directory.approvers()
    circumstances = replace(circumstances, channel_fault=court.directory.channel_fault(caller.channel))
    refusal = authorise(act, person, approvers=approvers, rotation=rotation, circumstances=circumstances)
    if refusal is None and act is Act.APPROVE and rotation is not None:
        refusal = _requester_gone(court, rotation)
    if refusal is None and act is Act.REQUEST:
        refusal = _nobody_fit(court, person, approvers, circumstances)
    return Hearing(person=person.person, refusal=refusal, approvers=approvers)


def _nobody_fit(
    court: Court, requester: PersonFacts, approvers: Approvers, circumstances: Circumstances
) -> Refusal | None:
    """Groups keep who was deactivated or became a guest: a request that nobody can approve is not made."""
    unknown: DirectoryUnavailable | None = None
    for user in sorted(approvers.users - {requester.user}):
        try:
            other = court.directory.person(circumstances.home_team, user)
        except DirectoryUnavailable as fault:
            unknown = fault
            continue
        if (
            authorise(Act.LOOK, other, approvers=approvers, rotation=None, circumstances=circumstances)
            is None
        ):
            return None
    if unknown:
        raise unknown
    return Refusal(
        code="nobody_to_approve",
        sentence="Nobody could approve this: every approver in the settings but you is deactivated, a guest or "
        "no person. Add a second person first.",
    )


def _requester_gone(court: Court, rotation: Rotation) -> Refusal | None:
    """A request outlives its requester's account only until somebody looks."""
    requester = court.directory.person(rotation.requester.team, rotation.requester.user)
    if requester.deleted or requester.is_guest:
        return Refusal(
            code="requester_gone",
            sentence=f"{rotation.requester.name}, who asked for this, may not do so any more. Ask anew.",
        )
    return None


def consider_end(court: Court, mesh: MeshPorts | None, caller: Caller, *, rotation_id: RotationId) -> Decided:
    """What ending here would leave, for who may decide so; nothing is decided by asking.

    Raises:
        RecordAbsent, StoreError, and the cluster's errors.
    """
    rotation = court.store.rotation(rotation_id)
    hearing = heard(court, caller, Act.END, rotation=rotation)
    weighed = hearing.refusal or weigh(rotation, mesh, now=court.clock.now())
    if isinstance(weighed, Refusal):
        return _refused(court, caller, Act.END, rotation=rotation, hearing=hearing, refusal=weighed)
    return Decided(rotation=rotation, sentence="", offer=offered(rotation, weighed))


def decide(
    court: Court,
    mesh: MeshPorts | None,
    caller: Caller,
    act: Act,
    *,
    rotation_id: RotationId,
    note: str,
    shown: str = "",
) -> Decided:
    """Take one decision, or say why not; `shown` is the seal of what an ending was confirmed for.

    Raises:
        RecordAbsent, StoreError, and, where the mesh must be looked at, the cluster's errors.
    """
    for _ in range(TRIES):
        rotation = court.store.rotation(rotation_id)
        hearing = heard(court, caller, act, rotation=rotation)
        if hearing.refusal:
            return _refused(court, caller, act, rotation=rotation, hearing=hearing, refusal=hearing.refusal)
        try:
            return _take(court, mesh, caller, act, rotation=rotation, hearing=hearing, note=note, shown=shown)
        except _ImpossibleError as no:
            refused = _refused(court, caller, act, rotation=rotation, hearing=hearing, refusal=no.refusal)
            return replace(refused, offer=no.offer)
        except LostRace:
            continue
    raise LostRace(
        "this rotation is changing too quickly to decide anything", hint="Look at its card and try again."
    )


def _refused(
    court: Court, caller: Caller, act: Act, *, rotation: Rotation, hearing: Hearing, refusal: Refusal
) -> Decided:
    audit = AuditEvent(
        event=Event.REFUSED,
        at=court.clock.now(),
        mesh=rotation.mesh,
        rotation_id=rotation.id,
        digest=rotation.digest,
        person=hearing.person,
        channel=caller.channel,
        detail=(("act", act), ("code", refusal.code)),
    )
    court.store.commit(Change(audit=(audit,)))
    return Decided(rotation=rotation, sentence=refusal.sentence, refusal=refusal)


def _take(
    court: Court,
    mesh: MeshPorts | None,
    caller: Caller,
    act: Act,
    *,
    rotation: Rotation,
    hearing: Hearing,
    note: str,
    shown: str,
) -> Decided:
    now = court.clock.now()
    decision = Decision(act=act, person=hearing.person, at=now, digest=rotation.digest, note=note[:500])
    match act:
        case Act.APPROVE:
            change, sentence = _approve(court, _there(mesh), rotation, decision=decision)
        case Act.REJECT:
            change, sentence = _reject(rotation, decision), "Rejected; nothing was changed."
        case Act.CANCEL:
            change, sentence = _cancel(rotation, decision)
        case Act.KEEP_WAITING:
            change, sentence = _keep_waiting(rotation, decision), _waits_on(rotation, at=now)
        case Act.ROLL_BACK:
            change, sentence = _roll_back(_there(mesh), rotation, decision), "Rolling back to the old root."
        case Act.END:
            change, sentence = _end(mesh, rotation, decision, shown=shown), "Ended here; the thread says how."
        case Act.LOOK | Act.REQUEST:
            raise ValueError("a request is proposed, not decided")
    written = court.store.commit(_with_circumstances(change, caller, hearing))
    return Decided(rotation=written or rotation, sentence=sentence)


def _there(mesh: MeshPorts | None) -> MeshPorts:
    if mesh is None:
        gone = "This rotation's mesh is not in the settings any more. Put it back first."
        raise _ImpossibleError(Refusal(code="mesh_gone", sentence=gone))
    return mesh


def _with_circumstances(change: Change, caller: Caller, hearing: Hearing) -> Change:
    """Where the decision was taken, and who could take it, belongs into its audit rows."""
    audit = tuple(
        replace(row, channel=caller.channel, detail=(*row.detail, *hearing.seen)) for row in change.audit
    )
    return replace(change, audit=audit)


def _approve(court: Court, mesh: MeshPorts, rotation: Rotation, *, decision: Decision) -> tuple[Change, str]:
    """The approval counts for what was shown: the mesh is looked at again before it is taken."""
    draft = redraft_plan(mesh, court.clock, court.keys, approved=rotation.plan)
    reasons = why_stale(rotation.plan, draft, digest=rotation.digest)
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


def _cancel(rotation: Rotation, decision: Decision) -> tuple[Change, str]:
    """A running rotation begins nothing more; any other has changed nothing and ends."""
    decided = rotation.decided(decision)
    if rotation.state is RotationState.RUNNING:
        stopping = replace(decided, stop_requested=True)
        sentence = "It begins nothing more; a write that is under way at this moment is seen to its end."
        return _told(stopping, Event.STOP_REQUESTED, decision), sentence
    ended = decided.moved(RotationState.CANCELLED, now=decision.at, outcome=decision.note)
    return _told(ended, Event.CANCELLED, decision), "Cancelled; nothing was changed."


def _keep_waiting(rotation: Rotation, decision: Decision) -> Change:
    resumed = rotation.decided(decision).moved(
        RotationState.ROLLING_BACK if rotation.backwards else RotationState.RUNNING, now=decision.at
    )
    if current := resumed.current:
        step, state = current
        if state.deadline_at is not None:
            resumed = resumed.with_step(state.extended(decision.at, step.deadline))
    return _told(resumed, Event.RESUMED, decision)


def _waits_on(rotation: Rotation, *, at: datetime) -> str:
    current = rotation.current
    to_write = current and current[0].changes_trust and not rotation.backwards
    if to_write and rotation.write_by and at >= rotation.write_by:
        return "Waiting on; but the approval has lapsed: a root that is not written by now is not written any more."
    return "Waiting on."


def _roll_back(mesh: MeshPorts, rotation: Rotation, decision: Decision) -> Change:
    """Only when there is something to go back to: there is no way forward again afterwards."""
    end = rotation.plan.old_root.not_after
    if decision.at + rotation.plan.takes >= end:
        raise _ImpossibleError(
            Refusal(
                code="old_root_expired",
                sentence=f"The old root ends at {end:%Y-%m-%d %H:%M} UTC: putting it back would stop the mesh. "
                "Choose *Keep waiting* or *End here*.",
            )
        )
    try:
        old_root_of(rotation, mesh)
    except (ObjectAbsent, ClusterConflict) as fault:
        sentence = f"There is no way back: {fault.message}. Choose *Keep waiting* or *End here*."
        raise _ImpossibleError(Refusal(code="no_backup", sentence=sentence)) from None
    except ClusterUnreachable:
        pass  # the roll back itself waits until it can be read
    turned = rotation.decided(decision).moved(RotationState.ROLLING_BACK, now=decision.at).turned_back()
    return _told(turned, Event.ROLLING_BACK, decision)


def _end(mesh: MeshPorts | None, rotation: Rotation, decision: Decision, *, shown: str) -> Change:
    """The confirmation counts for what was shown: what is missing is looked at again before it is taken."""
    weighed = weigh(rotation, mesh, now=decision.at)
    if isinstance(weighed, Refusal):
        raise _ImpossibleError(weighed)
    if weighed.seal(rotation) != shown:
        changed = Refusal(
            code="shown_changed",
            sentence="What is missing changed since it was shown. Look again, then confirm again.",
        )
        raise _ImpossibleError(changed, offer=offered(rotation, weighed, changed=True))
    return _ended(rotation, weighed, decision)


def _ended(rotation: Rotation, ending: Ending, decision: Decision) -> Change:
    ended = ended_short(rotation, ending, decision)
    result = Result(
        rotation_id=ended.id,
        event=Event.ENDED_SHORT,
        at=decision.at,
        note=ended.outcome,
        tallies=ending.tallies,
        stragglers=ending.stragglers,
    )
    return telling(
        ended,
        Event.ENDED_SHORT,
        at=decision.at,
        milestone=result,
        person=decision.person,
        detail=(("outcome", ended.outcome), ("left", str(len(ending.stragglers))), ("note", decision.note)),
    )


def _told(rotation: Rotation, event: Event, decision: Decision) -> Change:
    spoken = milestone(rotation, event, at=decision.at, person=decision.person, note=decision.note)
    return telling(rotation, event, at=decision.at, milestone=spoken, person=decision.person)
