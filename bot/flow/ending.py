"""Whether a paused rotation may end here, and what that would leave: one fresh look, one answer.

Either the CA is done and only the proof is missing, or the rotation can go neither on nor back; in
both cases a person may end it short. Nothing is written to the cluster here.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.approval import Refusal
from bot.core.findings import Tally
from bot.core.mesh import MeshSnapshot, ObjectRef, SecretState
from bot.core.plan import StepKind
from bot.core.progress import MOST_NAMED, Straggler
from bot.core.replies import EndOffered
from bot.core.rotation import Decision, Rotation
from bot.core.wording import count
from bot.errors import ClusterConflict, ObjectAbsent
from bot.flow.custody import (
    CA_STEPS,
    by_whom,
    old_root_of,
    secret_after,
    state_in,
    surely_gone,
    why_not,
    workload_of,
)
from bot.flow.look import VERIFIED
from bot.flow.ports import MeshPorts
from bot.flow.runners import Run, prove_everything

MAX_NAMED = 3
"""How many a sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What ending here would leave, as seen now."""

    why: str = ""
    """Why it can go neither on nor back; empty when only the proof is missing."""
    stragglers: tuple[Straggler, ...] = ()
    """Everything that is not proved; nothing was counted when `why` is given."""
    tallies: tuple[Tally, ...] = ()

    def seal(self, rotation: Rotation) -> str:
        """The same for the same direction, reason and names: a confirmation counts for just these."""
        names = [(one.what, one.verdict) for one in self.stragglers]
        seen = json.dumps([rotation.id, rotation.backwards, self.why, names], separators=(",", ":"))
        return hashlib.sha256(seen.encode()).hexdigest()

    @property
    def share(self) -> str:
        """`2 of 18 proxies and 1 of 20 workload secrets not proved`; findings, when every holder is."""
        short = [(tally.not_ok + tally.unknown, tally) for tally in self.tallies if not tally.complete]
        shares = [f"{missing:,} of {tally.total - tally.skipped:,} {tally.kind}" for missing, tally in short]
        return f"{_listed(shares)} not proved" if shares else count(len(self.stragglers), "finding")


def weigh(rotation: Rotation, mesh: MeshPorts | None, *, now: datetime) -> Ending | Refusal:
    """Look once and say what ending here would leave, or why it must not end.

    A mesh that was taken out of the settings cannot be looked at, and has nothing but an end before it.

    Raises:
        ClusterUnreachable, ClusterForbidden: nobody can tell.
    """
    if mesh is None:
        return Ending(why=f"mesh {rotation.mesh} is not in the settings any more")
    snapshot = mesh.reader.read(VERIFIED)
    if why := _out_of_hand(rotation, mesh, snapshot, now=now):
        return Ending(why=why)
    if refusal := _ca_unfinished(rotation, snapshot):
        return refusal
    step, state = rotation.walk[-1]
    run = Run(rotation=rotation, step=step, state=state, mesh=mesh, now=now, patience=timedelta())
    try:
        proof = prove_everything(run, snapshot)
    except ClusterConflict as fault:
        return Refusal(code="ca_disturbed", sentence=f"{fault.message}: choose *Roll back*.")
    if proof.complete:
        return Refusal(
            code="nothing_missing", sentence="Everything has the root by now: *Keep waiting* proves it."
        )
    return Ending(stragglers=proof.stragglers, tallies=proof.tallies)


def _out_of_hand(rotation: Rotation, mesh: MeshPorts, snapshot: MeshSnapshot, *, now: datetime) -> str:
    """Why a rotation that changed the mesh can go neither on nor back; empty when it can."""
    plan = rotation.plan
    try:
        live = state_in(snapshot, plan)
        if why_not(live, *_workable(rotation, now=now)):
            return f"{plan.secret_ref} was changed{by_whom(snapshot)}"
        if rotation.backwards and why_not(live, plan.secret):
            old_root_of(rotation, mesh)
    except (ObjectAbsent, ClusterConflict) as fault:
        return fault.message
    citadel = _citadel(rotation)
    if workload_of(snapshot, citadel) is None:
        surely_gone(snapshot, citadel)
        return f"{citadel} no longer exists"
    if rotation.backwards and now >= plan.old_root.not_after:
        return "the old root has expired"
    return ""


def _workable(rotation: Rotation, *, now: datetime) -> tuple[SecretState, ...]:
    """The states of the CA secret from which this walk, or the way back, can still be gone."""
    plan = rotation.plan
    old, new = plan.secret, secret_after(plan)
    written = all(state.ended for step, state in rotation.walk if step.kind is StepKind.WRITE_ROOT)
    way_back = not rotation.backwards and now + plan.takes < plan.old_root.not_after
    if way_back or not written:
        return (old, new)
    return (old,) if rotation.backwards else (new,)


def _citadel(rotation: Rotation) -> ObjectRef | None:
    """The Deployment that this walk has load the root."""
    return next((step.target for step, _ in rotation.walk if step.kind is StepKind.RELOAD_CA), None)


def _ca_unfinished(rotation: Rotation, snapshot: MeshSnapshot) -> Refusal | None:
    """The CA itself must not be left between two roots, nor without a Citadel that signs.

    Every Citadel of now began after the reload was proved or was there then, so it has loaded the root:
    no clock need be compared.
    """
    which = "old" if rotation.backwards else "new"
    if not all(state.ended for step, state in rotation.walk if step.kind in CA_STEPS):
        return Refusal(
            code="ca_unfinished",
            sentence=f"It is not proved yet that Citadel signs with the {which} root, so this must not end here: "
            f"*Keep waiting* proves it{'' if rotation.backwards else ', *Roll back* undoes it'}.",
        )
    workload = workload_of(snapshot, _citadel(rotation))
    if workload and workload.ready:
        return None
    return Refusal(
        code="ca_not_ready",
        sentence=f"No pod of {_citadel(rotation)} is ready, so nothing signs with the {which} root: mend that "
        "first (`kubectl describe` shows why it is not ready).",
    )


def offered(rotation: Rotation, ending: Ending, *, changed: bool = False) -> EndOffered:
    """The question that a person answers for exactly what is shown."""
    return EndOffered(
        rotation_id=rotation.id,
        mesh=rotation.mesh,
        cluster_uid=rotation.plan.cluster_uid,
        backwards=rotation.backwards,
        old_root_ends=rotation.plan.old_root.not_after,
        why=ending.why,
        share=ending.share,
        stragglers=ending.stragglers[:MOST_NAMED],
        total=len(ending.stragglers),
        shown=ending.seal(rotation),
        changed=changed,
    )


def ended_short(rotation: Rotation, ending: Ending, decision: Decision) -> Rotation:
    """The rotation, ended short: who, with what missing, and until when that does no harm."""
    name = decision.person.name
    if ending.why:
        outcome = f"ended by {name}: {ending.why}. The mesh stays as it is."
    else:
        outcome = f"ended by {name} with {ending.share}: {_named(ending.stragglers)}; "
        outcome += _before_when(rotation, decision.at)
    return rotation.ended_short(decision, outcome=outcome, left_behind=ending.stragglers)


def _before_when(rotation: Rotation, now: datetime) -> str:
    end = rotation.plan.old_root.not_after
    until = f"{end:%Y-%m-%d %H:%M} UTC"
    if rotation.backwards:
        return f"the old root signs again and ends on {until}: ask for a new transition before that"
    if now >= end:
        return f"the old root ended on {until}: mend or restart them now"
    return f"mend or restart them before the old root ends on {until}"


def _named(stragglers: tuple[Straggler, ...]) -> str:
    more = len(stragglers) - MAX_NAMED
    names = [one.what for one in stragglers[:MAX_NAMED]] + ([f"{more:,} more"] if more > 0 else [])
    return _listed(names)


def _listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
