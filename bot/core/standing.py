"""What a look tells of a rotation of the same mesh that has begun and not ended.

What is behind may be behind because of it, and what would cure that by hand may work against it: a
restart of Citadel goes around the pause that somebody asked for, a proxy that is restarted before its
secret carries the root has the old one again. But where the rotation has come to wait for something,
it waits for just the cure that its card names, and a person who puts that off waits in vain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.core.certificates import Certificate
from bot.core.checks.table import EXPIRY, PROCESSES, PROXIES, SECRETS, SERVED, TRUST, WEBHOOKS
from bot.core.findings import Finding, Verdict
from bot.core.plan import StepKind
from bot.core.rotation import Rotation, RotationState
from bot.core.verification import Holder, HolderVerdict

JUDGES = {
    SECRETS.id: Holder.SECRET,
    TRUST.id: Holder.TRUST,
    WEBHOOKS.id: Holder.WEBHOOK,
    SERVED.id: Holder.SERVED,
    PROCESSES.id: Holder.PROCESS,
    PROXIES.id: Holder.PROXY,
}
"""Checks of holders that a rotation brings up."""

BROUGHT_UP = frozenset({*JUDGES, EXPIRY.id})
"""Checks of what a rotation brings up to date: the cures of the others hold with or without one."""

_AWAITED = {
    StepKind.AWAIT_SECRETS: frozenset({Holder.SECRET, Holder.TRUST}),
    StepKind.AWAIT_WEBHOOKS: frozenset({Holder.WEBHOOK, Holder.SERVED}),
    StepKind.RESTART: frozenset({Holder.PROCESS}),
    StepKind.AWAIT_PROXIES: frozenset({Holder.PROXY}),
    StepKind.VERIFY: frozenset(Holder),
}
"""What a step's proof needs of holders, and its card names a cure for; other steps wait for their own effect."""

_SAID = {
    RotationState.RUNNING: "A rotation of this mesh is running. "
    "Its card says how far it is, and what waits for somebody",
    RotationState.PAUSED: "A rotation of this mesh is paused: decide on its card first. "
    "Until then it writes and restarts nothing; what follows by itself goes on",
    RotationState.ROLLING_BACK: "A rotation of this mesh is being rolled back. "
    "Its card says how far it is, and what waits for somebody",
}

_LEFT_TO_IT = {
    RotationState.RUNNING: "wait for the rotation that is under way",
    RotationState.PAUSED: "decide on the rotation's card first",
    RotationState.ROLLING_BACK: "wait for the rotation that is under way",
}
"""What to do about what it has not come to yet."""


def begun(rotations: Sequence[Rotation], mesh: str) -> Rotation | None:
    """The one of that mesh that a look should tell of, if there is one."""
    return next((one for one in rotations if one.mesh == mesh and one.state in _SAID), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a rotation stands that has begun and not ended."""

    state: RotationState
    awaited: frozenset[Holder]
    """The kinds of holders that it waits for now."""

    @classmethod
    def of(cls, rotation: Rotation, root: Certificate | None) -> "Standing":
        """As a look finds it that judges holders by `root`.

        Of a root that is not the rotation's own it brings up nothing, and in a pause it waits only where a
        deadline made the pause, not a person or a fault: otherwise its card is asked first.
        """
        wanted = rotation.plan.old_root if rotation.backwards else rotation.plan.new_root
        at = rotation.current if root and root.fingerprint == wanted.fingerprint else None
        waits = at is not None and (rotation.paused_at is None or at[1].overdue(rotation.paused_at))
        awaited = _AWAITED.get(at[0].kind, frozenset()) if at and waits else frozenset()
        return cls(state=rotation.state, awaited=awaited)

    def said(self, verdicts: Sequence[HolderVerdict]) -> str:
        """What is so and what to do about it first."""
        behind = {one.holder for one in verdicts if one.verdict in (Verdict.NOT_OK, Verdict.UNKNOWN)}
        kinds = [kind for kind in Holder if kind in behind & self.awaited]
        if self.state is RotationState.PAUSED and kinds:
            return (
                f"A rotation of this mesh is paused, because {', '.join(kinds)} took too long. "
                "See first to what of them is not proved, then decide on its card"
            )
        return _SAID[self.state]

    def findings(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """The same findings; the cure of what it has not come to yet is left to it."""
        return tuple(
            replace(one, hint=self._cure(one.hint, one.verdict, JUDGES.get(one.check_id)))
            if one.check_id in BROUGHT_UP
            else one
            for one in findings
        )

    def holders(self, verdicts: Sequence[HolderVerdict]) -> tuple[HolderVerdict, ...]:
        """The same holders; the cure of what it has not come to yet is left to it."""
        return tuple(replace(one, cure=self._cure(one.cure, one.verdict, one.holder)) for one in verdicts)

    def _cure(self, cure: str, verdict: Verdict, holder: Holder | None) -> str:
        """What could not be read is read no sooner for the rotation: its cure stays."""
        if not cure or verdict is not Verdict.NOT_OK or holder in self.awaited:
            return cure
        return _LEFT_TO_IT[self.state]
