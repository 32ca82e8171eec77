"""The record of one rotation: a value with a version, and the moves it may make.

proposed → approved → running ⇄ paused → done | failed
   │          │          └──────┴─→ rolling back ⇄ paused → rolled back
   │          │                                        └→ ended short
   │          └→ expired | cancelled | stale
   └→ rejected | expired | cancelled | stale | superseded
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.ids import MeshName, PlanDigest, RotationId, TeamId, UserId
from bot.core.plan import Plan, Step
from bot.core.progress import StepState, Straggler


class RotationState(StrEnum):
    """Where a rotation stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    PAUSED = "paused"
    """A deadline passed or somebody stopped it: a person decides how it goes on."""
    ROLLING_BACK = "rolling_back"
    DONE = "done"
    FAILED = "failed"
    """A step could not be made, and nothing in the mesh was changed."""
    ENDED_SHORT = "ended_short"
    """A person ended it after the mesh was changed, and not everything is proved."""
    ROLLED_BACK = "rolled_back"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    STALE = "stale"
    SUPERSEDED = "superseded"


S = RotationState
_UNDECIDED_ENDS = frozenset({S.REJECTED, S.EXPIRED, S.CANCELLED, S.STALE, S.SUPERSEDED})

MOVES: dict[RotationState, frozenset[RotationState]] = {
    S.PROPOSED: _UNDECIDED_ENDS | {S.APPROVED},
    S.APPROVED: frozenset({S.RUNNING, S.EXPIRED, S.CANCELLED, S.STALE}),
    S.RUNNING: frozenset({S.PAUSED, S.DONE, S.FAILED, S.CANCELLED}),
    S.PAUSED: frozenset({S.RUNNING, S.ROLLING_BACK, S.ENDED_SHORT, S.CANCELLED}),
    S.ROLLING_BACK: frozenset({S.PAUSED, S.ROLLED_BACK}),
}
"""Which state may follow which; a state without a row is final."""

FINAL = frozenset(RotationState) - frozenset(MOVES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody in the record: identity is (team, user); the name is what it was then."""

    team: TeamId
    user: UserId
    name: str

    def same(self, other: "Person") -> bool:
        """Whether it is the same account, whatever its name."""
        return (self.team, self.user) == (other.team, other.user)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What somebody decided, about exactly which plan."""

    act: str
    person: Person
    at: datetime
    digest: PlanDigest
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """One rotation, from the request to its end."""

    id: RotationId
    mesh: MeshName
    state: RotationState
    plan: Plan
    digest: PlanDigest
    """What the approval is bound to; equal to `plan.digest` when this was proposed."""
    requester: Person
    reason: str
    created_at: datetime
    expires_at: datetime
    """No decision counts at or after this."""
    start_by: datetime | None = None
    """An approval that has not started by then is void."""
    decisions: tuple[Decision, ...] = ()
    steps: tuple[StepState, ...] = ()
    """One for each of `plan.steps`."""
    undo_steps: tuple[StepState, ...] = ()
    """One for each of `plan.undo_steps`."""
    backwards: bool = False
    """The undo steps are being walked (also while paused in them)."""
    stop_requested: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    outcome: str = ""
    """What holds it up, why it paused or how it ended, in a sentence."""
    left_behind: tuple[Straggler, ...] = ()
    """Everything that was not proved when it was ended short, as seen at that moment."""
    paused_at: datetime | None = None
    """Since when it waits for a decision; None when it does not."""
    reminded_at: datetime | None = None
    """When people were last reminded of this pause."""
    version: int = 0
    """Counts writes; a write from an older version loses."""

    @property
    def final(self) -> bool:
        """Nothing will change any more."""
        return self.state in FINAL

    @property
    def changed_the_cluster(self) -> bool:
        """Whether the CA secret was, or may have been, written."""
        return self.backwards or any(
            state.entered_at is not None
            for step, state in zip(self.plan.steps, self.steps, strict=True)
            if step.changes_trust
        )

    @property
    def write_by(self) -> datetime | None:
        """An approval under which the root has not been written by then is void; None without one.

        That is the start and as long as the steps until then may take. Once it is written, going on is right.
        """
        if self.start_by is None:
            return None
        until = next((n for n, step in enumerate(self.plan.steps, start=1) if step.changes_trust), 0)
        return self.start_by + sum((step.deadline for step in self.plan.steps[:until]), timedelta())

    @property
    def walk(self) -> tuple[tuple[Step, StepState], ...]:
        """The steps in the direction of travel, each with its state."""
        steps, states = (
            (self.plan.undo_steps, self.undo_steps) if self.backwards else (self.plan.steps, self.steps)
        )
        return tuple(zip(steps, states, strict=True))

    @property
    def current(self) -> tuple[Step, StepState] | None:
        """The first step that has not ended; None when all have."""
        return next(((step, state) for step, state in self.walk if not state.ended), None)

    def decision(self, act: str) -> Decision | None:
        """The latest decision of that kind."""
        return next((d for d in reversed(self.decisions) if d.act == act), None)

    @property
    def standing(self) -> str:
        """Its state as the end of a sentence that begins with `this rotation`."""
        last = self.decisions[-1] if self.decisions else None
        by = f" by {last.person.name} at {last.at:%H:%M} UTC" if last else ""
        match self.state:
            case S.APPROVED | S.REJECTED | S.CANCELLED:
                return f"was already {self.state}{by}"
            case S.PROPOSED:
                return "is waiting for an approval"
            case S.STALE | S.SUPERSEDED | S.EXPIRED:
                return f"is {self.state}"
            case _:
                return f"is {self.state.replace('_', ' ')}"

    def moved(self, to: RotationState, *, now: datetime, outcome: str = "") -> "Rotation":
        """The same rotation in its next state.

        Raises:
            ValueError: that state cannot follow this one, which is a bug in the caller.
        """
        if to not in MOVES.get(self.state, frozenset()):
            raise ValueError(f"a rotation that is {self.state} cannot become {to}")
        return replace(
            self,
            state=to,
            outcome=outcome,
            stop_requested=False,
            started_at=now if to is S.RUNNING and self.started_at is None else self.started_at,
            finished_at=now if to in FINAL else None,
            paused_at=now if to is S.PAUSED else None,
            reminded_at=None,
        )

    def decided(self, decision: Decision) -> "Rotation":
        """The same rotation with one more decision in its record."""
        return replace(self, decisions=(*self.decisions, decision))

    def approved(self, decision: Decision, *, start_within: timedelta) -> "Rotation":
        """Approved: may start, until the approval lapses."""
        approved = self.decided(decision).moved(S.APPROVED, now=decision.at)
        return replace(approved, start_by=decision.at + start_within)

    def ended_short(
        self, decision: Decision, *, outcome: str, left_behind: tuple[Straggler, ...]
    ) -> "Rotation":
        """Ended by a decision, with everything that is not proved kept by name."""
        ended = self.decided(decision).moved(S.ENDED_SHORT, now=decision.at, outcome=outcome)
        return replace(ended, left_behind=left_behind)

    def with_step(self, state: StepState) -> "Rotation":
        """The same rotation with that step's state replaced."""
        states = tuple(state if s.step_id == state.step_id else s for _, s in self.walk)
        return replace(self, undo_steps=states) if self.backwards else replace(self, steps=states)

    def turned_back(self) -> "Rotation":
        """The same rotation, from here on walking its undo steps from the first."""
        fresh = tuple(StepState(step_id=step.id) for step in self.plan.undo_steps)
        return replace(self, backwards=True, undo_steps=fresh)


def propose(
    plan: Plan, *, rotation_id: RotationId, requester: Person, reason: str, now: datetime, lifetime: timedelta
) -> Rotation:
    """A new rotation that waits for somebody else's approval until `now + lifetime`."""
    return Rotation(
        id=rotation_id,
        mesh=plan.mesh,
        state=S.PROPOSED,
        plan=plan,
        digest=plan.digest,
        requester=requester,
        reason=reason,
        created_at=now,
        expires_at=now + lifetime,
        steps=tuple(StepState(step_id=step.id) for step in plan.steps),
        undo_steps=tuple(StepState(step_id=step.id) for step in plan.undo_steps),
    )
