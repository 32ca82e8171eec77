"""Carries a rotation one step further each time it is called, and says when to call again.

    approved: look again, claim, start        running: enter (journal) → gate, act → journal → prove …

Nobody sleeps here. Whatever stops the process, the next call finds in the record what was meant,
looks at the cluster for what is, and goes on. An error that may pass is waited out until the
step's deadline; any other ends a rotation that has changed nothing, and pauses one that has.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.core.approval import unapproved
from bot.core.ids import MeshName, RotationId
from bot.core.plan import Step, StepKind
from bot.core.progress import Done, Outcome, Proof, StepState, StepStatus, Straggler, Wait
from bot.core.record import Change, Event, Milestone, Result
from bot.core.rotation import Rotation, RotationState
from bot.core.wording import span
from bot.errors import (
    ClusterConflict,
    ClusterError,
    ClusterUnreachable,
    LostRace,
    OutcomeUnknown,
    RootkeeperError,
)
from bot.flow.decide import stale
from bot.flow.ports import Clock, Keys, MeshPorts, Store
from bot.flow.propose import redraft_plan, why_stale
from bot.flow.runners import RUNNERS, Run, about_to_write, unwritten
from bot.flow.tell import milestone, redraw, telling, together

AT_ONCE = Wait(after=timedelta())
AFTER_FAULT = timedelta(seconds=5)
"""How soon to try again what the network broke."""
REST = 3
"""After a look that took long, a waiting step rests for so many times as long: a mesh of thousands of
secrets is not read without a pause."""
LONGEST_WAIT = timedelta(minutes=5)
"""However long a look took by a clock that may have been set, and whatever a busy server asks for: who
rests is woken by nothing else, and nobody would be asked when its deadline passes."""
STILL_CARRIED_OUT = timedelta(minutes=2)
"""For how long an API server may still do what it was asked for: twice its time limit for a request."""
LATELY = 5
"""How many past rotations are searched for the one that left the Lease behind; requests that never started lie
among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that carrying out a rotation needs."""

    store: Store
    meshes: dict[MeshName, MeshPorts]
    clock: Clock
    keys: Keys
    poll_interval: timedelta
    """How often a waiting step looks."""
    webhook_patience: timedelta
    """How long webhooks may take before their component is restarted."""
    fence: Callable[[], None]
    """Asked before every effect. Raises NotLeader when this process may have been replaced by now."""


def advance(stage: Stage, rotation_id: RotationId) -> Outcome:
    """Do at most one step's worth for this rotation.

    Raises:
        StoreError: the record could not be kept; nothing more must be done until it can.
        NotLeader: nor by this process, if another may be doing it.
    """
    stage.fence()
    rotation = stage.store.rotation(rotation_id)
    mesh = stage.meshes.get(rotation.mesh)
    if mesh is None:
        return _without_mesh(stage, rotation)
    match rotation.state:
        case RotationState.APPROVED:
            return _start(stage, mesh, rotation)
        case RotationState.RUNNING | RotationState.ROLLING_BACK:
            return _go_on(stage, mesh, rotation)
        case _:
            if rotation.final and rotation.start_by is not None:
                _release(mesh, rotation)  # ended by a decision, after it may have taken the mesh's Lease
            return Done()


def _wait(rest: timedelta) -> Wait:
    return Wait(after=min(rest, LONGEST_WAIT))


def _without_mesh(stage: Stage, rotation: Rotation) -> Outcome:
    """Somebody took the mesh out of the settings: nothing can be done to it, and nobody may wonder why."""
    now = stage.clock.now()
    reason = f"mesh {rotation.mesh} is not in the settings any more"
    match rotation.state:
        case RotationState.APPROVED:
            stage.store.commit(stale(rotation, (reason,), at=now))
        case RotationState.RUNNING | RotationState.ROLLING_BACK:
            return _halt(stage, None, rotation, reason=f"{reason}. Put it back, then choose.", now=now)
    return Done()


# --- start -------------------------------------------------------------------------------------------


def _start(stage: Stage, mesh: MeshPorts, rotation: Rotation) -> Outcome:
    """Claim the approval: once, in time, for the very plan that was approved."""
    now = stage.clock.now()
    if rotation.start_by is None or now >= rotation.start_by:
        stage.store.commit(lapse(rotation, now))
        _release(mesh, rotation)
        return Done()
    if reasons := unapproved(rotation):
        stage.store.commit(stale(rotation, reasons, at=now))
        return Done()
    try:
        _claim(stage, mesh, rotation, now)
        draft = redraft_plan(mesh, stage.clock, stage.keys, approved=rotation.plan)
        reasons = why_stale(rotation.plan, draft, digest=rotation.digest)
    except (ClusterUnreachable, OutcomeUnknown) as fault:
        _hold_up(stage, rotation, fault)
        return _wait(fault.retry_after or AFTER_FAULT)
    except ClusterError as fault:
        reasons = (fault.message,)
    if reasons:
        stage.store.commit(stale(rotation, reasons, at=now))
        _release(mesh, rotation)
        return Done()
    running = rotation.moved(RotationState.RUNNING, now=now)
    stage.store.commit(
        telling(running, Event.STARTED, at=now, milestone=milestone(running, Event.STARTED, at=now))
    )
    return AT_ONCE


def _hold_up(stage: Stage, rotation: Rotation, fault: RootkeeperError) -> None:
    """What keeps an approved rotation from starting is shown on its card, once, and said when it lapses."""
    held_up = replace(rotation, outcome=fault.message)
    if held_up != rotation:
        stage.store.commit(Change(rotation=held_up, messages=(redraw(held_up),)))


def _claim(stage: Stage, mesh: MeshPorts, rotation: Rotation, now: datetime) -> None:
    """Take the mesh's Lease; a rotation that ended may have left it behind (killed before giving it back)."""
    try:
        mesh.writer.hold(rotation.id, now=now)
    except ClusterConflict:
        for past in stage.store.past_rotations(rotation.mesh, limit=LATELY):
            if past.final:
                mesh.writer.release(past.id)
        mesh.writer.hold(rotation.id, now=now)


def lapse(rotation: Rotation, now: datetime) -> Change:
    """Nobody decided, or nothing started, in time."""
    what = (
        "nobody approved it in time"
        if rotation.state is RotationState.PROPOSED
        else "it was not started in time"
    )
    if rotation.outcome:
        what = f"{what}: {rotation.outcome}"
    expired = rotation.moved(RotationState.EXPIRED, now=now, outcome=what)
    spoken = milestone(
        expired, Event.EXPIRED, at=now, note=f"{what[0].upper()}{what[1:]}; nothing was changed."
    )
    return telling(expired, Event.EXPIRED, at=now, milestone=spoken)


# --- run ---------------------------------------------------------------------------------------------


def _go_on(stage: Stage, mesh: MeshPorts, rotation: Rotation) -> Outcome:
    now = stage.clock.now()
    if rotation.stop_requested:
        return _stop(stage, mesh, rotation, now)
    step, state = rotation.current or rotation.walk[-1]
    if state.status is StepStatus.PENDING or state.ended:  # all ended, and no result: the last is proved anew
        entered = rotation.with_step(state.entered(now, step.deadline))
        stage.store.commit(telling(entered, Event.STEP_ENTERED, at=now, detail=(("step", step.id),)))
        return AT_ONCE
    return _attempt(stage, mesh, rotation, step=step, state=state, now=now)


def _attempt(
    stage: Stage, mesh: MeshPorts, rotation: Rotation, *, step: Step, state: StepState, now: datetime
) -> Outcome:
    run = Run(rotation=rotation, step=step, state=state, mesh=mesh, now=now, patience=stage.webhook_patience)
    try:
        _hold(mesh, rotation, now)
        return _act(stage, run) if state.status is StepStatus.ACTING else _prove(stage, run)
    except (ClusterUnreachable, OutcomeUnknown) as fault:
        if state.overdue(now):
            return _overdue(stage, run, stragglers=state.stragglers, note=fault.message)
        _note(stage, run, fault)
        return _wait(fault.retry_after or AFTER_FAULT)
    except ClusterError as fault:
        reason = _sentences(f"{step.title}: {fault.message}", fault.hint)
        if unwritten(run):
            return _refuse_to_write(stage, run, reason=reason)
        return _halt(stage, mesh, rotation, reason=reason, now=now)


def _hold(mesh: MeshPorts, rotation: Rotation, now: datetime) -> None:
    """Hold the mesh's Lease on; whether that came through is told by the next time."""
    try:
        mesh.writer.hold(rotation.id, now=now)
    except OutcomeUnknown as fault:
        raise ClusterUnreachable(fault.message, retry_after=fault.retry_after) from fault


def _sentences(*parts: str) -> str:
    """One after the other, each with its end."""
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part)


def _act(stage: Stage, run: Run) -> Outcome:
    runner = RUNNERS[run.step.kind]
    if reason := runner.gate(run):
        return _halt(stage, run.mesh, run.rotation, reason=f"{run.step.title}: {reason}", now=run.now)
    if about_to_write(run) and (reasons := _void(stage, run)):
        return _refuse_to_write(stage, run, reason=f"{run.step.title}: {'; '.join(reasons)}")
    _still_wanted(stage, run)
    acted = runner.act(run)
    if acted.skip:
        return _over(stage, run, run.state.ended_as(StepStatus.SKIPPED, now=run.now, note=acted.skip))
    stage.store.commit(_quietly(run, run.state.acted()))
    return AT_ONCE


def _refuse_to_write(stage: Stage, run: Run, *, reason: str) -> Outcome:
    """Over, as nothing was written; after a try whose answer never came a person is asked, as it may yet be done."""
    since = run.state.unanswered_at
    if since is not None and run.now - since < STILL_CARRIED_OUT:
        reason = _sentences(reason, "A try before had no answer: the root may yet be written")
        return _pause(stage, run.rotation, reason=reason, now=run.now, stragglers=())
    return _fail(stage, run.mesh, run.rotation, reason=reason, now=run.now)


def _void(stage: Stage, run: Run) -> tuple[str, ...]:
    """Why the approval does not cover the write any more: days may lie between the start and it."""
    if reasons := unapproved(run.rotation):
        return reasons
    by = run.rotation.write_by
    if by is None or run.now >= by:
        return ("its approval lapsed before the root was written; ask anew",)
    draft = redraft_plan(run.mesh, stage.clock, stage.keys, approved=run.rotation.plan)
    return why_stale(run.rotation.plan, draft, digest=run.rotation.digest)


def _still_wanted(stage: Stage, run: Run) -> None:
    """The last thing before an effect: the gate looked at a cluster, and meanwhile a person may have decided.

    Raises:
        LostRace: this rotation is not as it was when this step of it began.
        NotLeader: another process may be at it.
    """
    stage.fence()
    if stage.store.rotation(run.rotation.id).version != run.rotation.version:
        raise LostRace(f"somebody decided upon rotation {run.rotation.id[:8]} meanwhile")


def _prove(stage: Stage, run: Run) -> Outcome:
    runner = RUNNERS[run.step.kind]
    proof = runner.prove(run)
    if proof.complete:
        return _over(stage, run, _proved(run, proof))
    if run.state.overdue(run.now):
        return _overdue(stage, run, stragglers=proof.stragglers, note=proof.note)
    state = run.state.with_progress(proof)
    if runner.nudge and _impatient(run):
        state = state.nudged(run.now)
        written = stage.store.commit(_quietly(run, state))
        _still_wanted(stage, replace(run, rotation=written or run.rotation))
        runner.nudge(run)
    elif state != run.state:
        stage.store.commit(_quietly(run, state))
    looked = stage.clock.now() - run.now
    return _wait(max(stage.poll_interval, REST * looked))


def _impatient(run: Run) -> bool:
    since = run.state.nudged_at or run.state.entered_at
    return since is not None and run.now - since >= run.patience


def _proved(run: Run, proof: Proof) -> StepState:
    return run.state.with_progress(proof).ended_as(StepStatus.DONE, now=run.now, note=proof.note)


def _quietly(run: Run, state: StepState) -> Change:
    """Progress that only the card shows."""
    rotation = run.rotation.with_step(state)
    return Change(rotation=rotation, messages=(redraw(rotation),))


def _note(stage: Stage, run: Run, fault: RootkeeperError) -> None:
    """A fault that may pass is shown on the card, once."""
    if isinstance(fault, OutcomeUnknown):
        state = run.state.unanswered(stage.clock.now(), fault.message)  # `run.now` was before the look
    else:
        state = replace(run.state, note=fault.message)
    if state != run.state:
        stage.store.commit(_quietly(run, state))


def _over(stage: Stage, run: Run, state: StepState) -> Outcome:
    """A step has ended, and with the last one the rotation, in one breath: its result tells of what was just seen."""
    rotation = run.rotation.with_step(state)
    stepped = _step_over(run, rotation, state)
    if rotation.current is not None:
        stage.store.commit(stepped)
        return AT_ONCE
    stage.store.commit(together(stepped, _finished(rotation, run.now)))
    _release(run.mesh, rotation)
    return Done()


def _step_over(run: Run, rotation: Rotation, state: StepState) -> Change:
    number = next(i for i, (step, _) in enumerate(rotation.walk, start=1) if step.id == run.step.id)
    event = Event.STEP_SKIPPED if state.status is StepStatus.SKIPPED else Event.STEP_DONE
    spoken = Milestone(
        rotation_id=rotation.id,
        event=event,
        at=run.now,
        step_title=run.step.title,
        step_number=number,
        step_count=len(rotation.walk),
        note=state.note,
        facts=_facts(run) if run.step.kind is StepKind.WRITE_ROOT else (),
    )
    detail = (("step", run.step.id), ("status", state.status), ("note", state.note))
    return telling(rotation, event, at=run.now, milestone=spoken, detail=detail)


def _facts(run: Run) -> tuple[tuple[str, str], ...]:
    """What Istio's script prints of the new certificate, but cannot be trusted on."""
    root = run.target
    return (
        ("Subject", root.subject),
        ("Serial", f"{root.serial:x}"),
        ("Not before", f"{root.not_before:%Y-%m-%d %H:%M:%S} UTC"),
        ("Not after", f"{root.not_after:%Y-%m-%d %H:%M:%S} UTC"),
        ("Fingerprint", root.fingerprint[:16]),
        ("Backup", str(run.rotation.plan.backup_ref)),
    )


# --- stop, pause, end ---------------------------------------------------------------------------------


def _stop(stage: Stage, mesh: MeshPorts, rotation: Rotation, now: datetime) -> Outcome:
    """Somebody asked to stop, and nothing is half done between two calls: a wait writes nothing."""
    if not rotation.changed_the_cluster:
        ended = rotation.moved(
            RotationState.CANCELLED, now=now, outcome="stopped before anything in the mesh was changed"
        )
        spoken = milestone(
            ended, Event.CANCELLED, at=now, note="Stopped before anything in the mesh was changed."
        )
        stage.store.commit(telling(ended, Event.CANCELLED, at=now, milestone=spoken))
        _release(mesh, rotation)
        return Done()
    return _pause(stage, rotation, reason="stopped on request", now=now, stragglers=())


def _overdue(stage: Stage, run: Run, *, stragglers: tuple[Straggler, ...], note: str) -> Outcome:
    """A deadline never fails a rotation that has changed something: a person is asked."""
    reason = _sentences(f"{run.step.title}: not done within {span(run.step.deadline)}", note)
    if not run.rotation.changed_the_cluster:
        return _fail(stage, run.mesh, run.rotation, reason=reason, now=run.now)
    return _pause(stage, run.rotation, reason=reason, now=run.now, stragglers=stragglers)


def _halt(stage: Stage, mesh: MeshPorts | None, rotation: Rotation, *, reason: str, now: datetime) -> Outcome:
    """What cannot pass by itself: over, if nothing was changed; otherwise a person decides."""
    if rotation.changed_the_cluster:
        return _pause(stage, rotation, reason=reason, now=now, stragglers=())
    return _fail(stage, mesh, rotation, reason=reason, now=now)


def _pause(
    stage: Stage, rotation: Rotation, *, reason: str, now: datetime, stragglers: tuple[Straggler, ...]
) -> Outcome:
    paused = rotation.moved(RotationState.PAUSED, now=now, outcome=reason)
    spoken = milestone(paused, Event.PAUSED, at=now, note=reason, stragglers=stragglers)
    stage.store.commit(telling(paused, Event.PAUSED, at=now, milestone=spoken, detail=(("reason", reason),)))
    return Done()


def _fail(stage: Stage, mesh: MeshPorts | None, rotation: Rotation, *, reason: str, now: datetime) -> Outcome:
    failed = rotation.moved(RotationState.FAILED, now=now, outcome=reason)
    note = _sentences(reason, "Nothing in the mesh was changed")
    result = Result(rotation_id=rotation.id, event=Event.FAILED, at=now, note=note)
    stage.store.commit(telling(failed, Event.FAILED, at=now, milestone=result, detail=(("reason", reason),)))
    if mesh is not None:
        _release(mesh, rotation)
    return Done()


def _finished(rotation: Rotation, now: datetime) -> Change:
    """Every step is proved, the verification just now."""
    back = rotation.backwards
    root = rotation.plan.old_root if back else rotation.plan.new_root
    event = Event.ROLLED_BACK if back else Event.DONE
    verified = rotation.walk[-1][1]
    state = RotationState.ROLLED_BACK if back else RotationState.DONE
    took = f" It took {span(now - rotation.started_at)}." if rotation.started_at else ""
    note = (
        f"All {verified.total:,} holders have the {'old' if back else 'new'} root {root.fingerprint[:16]}, "
        f"valid until {root.not_after:%Y-%m-%d %H:%M:%S} UTC.{took}"
    )
    ended = rotation.moved(state, now=now, outcome=note)
    result = Result(rotation_id=rotation.id, event=event, at=now, note=note, tallies=verified.tallies)
    return telling(ended, event, at=now, milestone=result)


def _release(mesh: MeshPorts, rotation: Rotation) -> None:
    """The lease lapses by itself; giving it back early is a courtesy, so a fault here changes nothing."""
    try:
        mesh.writer.release(rotation.id)
    except ClusterError:
        return
