"""How far one step of a rotation is: StepState, and the Outcome that moves it on."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.findings import Tally


class StepStatus(StrEnum):
    """The life of one step: pending → acting → waiting → done | skipped | failed."""

    PENDING = "pending"
    ACTING = "acting"
    """Journaled before the effect: after a crash the live cluster says whether it happened."""
    WAITING = "waiting"
    """The effect is made (or there is none); its proof is awaited."""
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


MOST_NAMED = 10
"""Stragglers that a card, a thread or a step's state names; where there are more, a file has them all."""

ENDED = frozenset({StepStatus.DONE, StepStatus.SKIPPED, StepStatus.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Straggler:
    """Something that does not hold the root it should, why, and what would help."""

    what: str
    reason: str
    cure: str = ""
    verdict: str = "not_ok"
    """`not_ok` or `unknown`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One step's state; a value, changed only by giving a new one."""

    step_id: str
    status: StepStatus = StepStatus.PENDING
    entered_at: datetime | None = None
    ended_at: datetime | None = None
    unanswered_at: datetime | None = None
    """When its effect was last asked for without an answer."""
    deadline_at: datetime | None = None
    nudged_at: datetime | None = None
    """When what should have happened by itself was helped along (a webhook's component restarted)."""
    done: int = 0
    total: int = 0
    """How many of how many are proved; 0 of 0 where counting means nothing."""
    stragglers: tuple[Straggler, ...] = ()
    """The first ten."""
    tallies: tuple[Tally, ...] = ()
    """Of a verification."""
    note: str = ""
    """What came of it, for the thread."""

    @property
    def ended(self) -> bool:
        """Nothing more will happen to this step."""
        return self.status in ENDED

    def unanswered(self, now: datetime, why: str) -> "StepState":
        """Its effect was asked for, and no answer came: it may yet be made."""
        return replace(self, note=why, unanswered_at=now)

    def entered(self, now: datetime, deadline: timedelta) -> "StepState":
        """The step is begun: its effect is about to be made."""
        return replace(self, status=StepStatus.ACTING, entered_at=now, deadline_at=now + deadline)

    def acted(self) -> "StepState":
        """The effect is made; the proof is awaited from here."""
        return replace(self, status=StepStatus.WAITING)

    def with_progress(self, proof: "Proof") -> "StepState":
        """This much of the proof is there."""
        return replace(
            self,
            done=proof.done,
            total=proof.total,
            stragglers=proof.stragglers[:MOST_NAMED],
            tallies=proof.tallies,
            note=proof.note or self.note,
        )

    def ended_as(self, status: StepStatus, *, now: datetime, note: str) -> "StepState":
        """The step is over."""
        return replace(self, status=status, ended_at=now, note=note)

    def nudged(self, now: datetime) -> "StepState":
        """Patience has run out: it is helped along from here."""
        return replace(self, nudged_at=now)

    def extended(self, now: datetime, by: timedelta) -> "StepState":
        """Somebody chose to keep waiting."""
        return replace(self, deadline_at=now + by)

    def overdue(self, now: datetime) -> bool:
        """Whether its deadline has passed without an end."""
        return self.deadline_at is not None and not self.ended and now >= self.deadline_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How much of a step's proof is there."""

    complete: bool
    done: int = 0
    total: int = 0
    stragglers: tuple[Straggler, ...] = ()
    """All of them; the record keeps the first ten."""
    tallies: tuple[Tally, ...] = ()
    note: str = ""
    """What came of it, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Nothing more to do for this rotation by itself: it ended, or a person must decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Come back after this long."""

    after: timedelta


Outcome = Done | Wait
