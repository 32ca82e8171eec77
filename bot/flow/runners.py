"""What each kind of step does: gate → act → proof, one Runner a kind.

Every act is safe to repeat with the same record: restarts carry a mark made from the journal,
writes are conditional on the state they expect. So a crash between any two lines is met by
running the same line again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.core.authority import recognise
from bot.core.certificates import Certificate
from bot.core.checks.table import HOLDERS
from bot.core.components import (
    RESTART_MARK,
    Reissues,
    ending_citadels,
    pods_of,
    rollout,
    started_after,
    strange_citadels,
)
from bot.core.findings import Verdict
from bot.core.mesh import MeshSnapshot, ObjectRef, Part, SecretState, Workload
from bot.core.plan import Step, StepKind
from bot.core.progress import Proof, StepState, Straggler
from bot.core.rotation import Rotation
from bot.core.verification import (
    Holder,
    HolderVerdict,
    judge_proxies,
    judge_secrets,
    judge_served,
    judge_webhooks,
    stragglers,
)
from bot.core.wording import count, share
from bot.errors import ClusterUnreachable, ObjectAbsent, OutcomeUnknown, RootkeeperError
from bot.flow.custody import (
    AUTHORITY,
    old_root_of,
    secret_after,
    state_in,
    surely_gone,
    undisturbed,
    why_not,
    workload_of,
)
from bot.flow.look import VERIFIED, verification
from bot.flow.ports import MeshPorts


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One step of one rotation, about to be worked on."""

    rotation: Rotation
    step: Step
    state: StepState
    mesh: MeshPorts
    now: datetime
    patience: timedelta
    """How long webhooks may take to be updated by themselves."""

    @property
    def target(self) -> Certificate:
        """The root that should be everywhere after this walk."""
        plan = self.rotation.plan
        return (plan.old_root if self.rotation.backwards else plan.new_root).certificate

    @property
    def before(self) -> SecretState:
        """The CA secret as it was planned upon."""
        return self.rotation.plan.secret

    @property
    def after(self) -> SecretState:
        """The CA secret with the new root in place."""
        return secret_after(self.rotation.plan)

    @property
    def wanted(self) -> SecretState:
        """The CA secret as this walk leaves it."""
        return self.before if self.rotation.backwards else self.after

    @property
    def mark(self) -> str:
        """The restart mark: the same for every try of this step, another for every other step."""
        entered = self.state.entered_at or self.now
        return entered.strftime(RESTART_MARK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What an act came to: something to skip the step for, or nothing."""

    skip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """How one kind of step is done. `gate` says why it must not begin; `nudge` helps a late proof along."""

    gate: Callable[[Run], str | None]
    act: Callable[[Run], Acted]
    prove: Callable[[Run], Proof]
    nudge: Callable[[Run], None] | None = None


def _nothing(_run: Run) -> Acted:
    return Acted()


def _ca_state(run: Run) -> SecretState:
    return state_in(run.mesh.reader.read(AUTHORITY), run.rotation.plan)


def ca_intact(run: Run) -> str | None:
    """Why the CA secret is not as this walk left it; None when it is."""
    return why_not(_ca_state(run), run.wanted)


# --- back up ---------------------------------------------------------------------------------------


def _untouched(run: Run) -> str | None:
    return why_not(_ca_state(run), run.before)


def _back_up(run: Run) -> Acted:
    run.mesh.writer.back_up(run.rotation.id, expected=run.before)
    return Acted()


def _backed_up(run: Run) -> Proof:
    """`back_up` is conditional and reads back; asking it again compares and writes nothing."""
    copy = run.mesh.writer.back_up(run.rotation.id, expected=run.before)
    same = copy.digests == run.before.digests
    note = f"{count(len(copy.digests), 'value')} copied byte for byte into {run.step.target}"
    return Proof(complete=same, note=note if same else "the copy differs from the CA secret")


# --- write the root --------------------------------------------------------------------------------


def _writable(run: Run) -> str | None:
    """Either side of the write will do: after a crash it may have happened. An expired root is no way back."""
    if run.now >= run.target.not_after:
        return f"the root {run.target.fingerprint[:16]} has expired, and Citadel cannot start with it"
    return why_not(_ca_state(run), run.before, run.after)


def _write_root(run: Run) -> Acted:
    """The live secret is looked at first; then a rehearsal; then the write."""
    live = _ca_state(run)
    if live.same_data(run.wanted):
        return Acted()
    expected = run.after if run.rotation.backwards else run.before
    pem = run.rotation.plan.new_pem
    if run.rotation.backwards:
        pem = old_root_of(run.rotation, run.mesh)
    try:
        run.mesh.writer.replace_root(pem, expected=expected, rotation_id=run.rotation.id, rehearse=True)
    except OutcomeUnknown as fault:  # of a rehearsal nothing is left, whatever came of it
        raise ClusterUnreachable(fault.message, retry_after=fault.retry_after) from fault
    run.mesh.writer.replace_root(pem, expected=expected, rotation_id=run.rotation.id, rehearse=False)
    return Acted()


def about_to_write(run: Run) -> bool:
    """Whether this step would write the new root and, as the CA secret shows, has not.

    Raises:
        ClusterError: the secret could not be looked at.
    """
    return run.step.changes_trust and not run.rotation.backwards and _untouched(run) is None


def unwritten(run: Run) -> bool:
    """Whether there is surely nothing to undo yet; False where that cannot be told."""
    try:
        return about_to_write(run)
    except RootkeeperError:
        return False


def _written(run: Run) -> Proof:
    undisturbed(run.mesh.reader.read(AUTHORITY), run.rotation.plan, wanted=run.wanted)
    return Proof(complete=True, note=f"{run.step.target} now holds the root {run.target.fingerprint[:16]}")


# --- restarts ------------------------------------------------------------------------------------


def _reload(run: Run) -> Acted:
    run.mesh.writer.restart(_needed(run.step.target), mark=run.mark)
    return Acted()


def _restart_if_behind(run: Run) -> Acted:
    """Only what still holds the other root is restarted; what is gone needs nothing."""
    snapshot = run.mesh.reader.read(frozenset({Part.AUTHORITY, Part.SECRETS}))
    workload = workload_of(snapshot, run.step.target)
    if workload is None:
        surely_gone(snapshot, run.step.target)
        return Acted(skip="it no longer exists")
    if workload.restarted_at != run.mark and not _behind(run, workload, snapshot):
        return Acted(skip="every pod of it started after its certificate was re-issued")
    return _reload(run)


def _behind(run: Run, workload: Workload, snapshot: MeshSnapshot) -> bool:
    """Judged as the verification does, by when the secrets were re-issued.

    Where that is not known, by when the wait for them ended.
    """
    pods, reissues = pods_of(workload, snapshot), Reissues.of(snapshot, run.target)
    ended = _secrets_ended(run)
    times = ((pod, reissues.at(pod) or ended) for pod in pods)
    return any(at is None or not started_after(pod, at) for pod, at in times) or not pods


def _secrets_ended(run: Run) -> datetime | None:
    return next((s.ended_at for step, s in run.rotation.walk if step.kind is StepKind.AWAIT_SECRETS), None)


def _rolled_over(run: Run) -> Proof:
    snapshot = run.mesh.reader.read(AUTHORITY)
    undisturbed(snapshot, run.rotation.plan, wanted=run.wanted)
    workload = workload_of(snapshot, run.step.target)
    if workload is None:
        surely_gone(snapshot, run.step.target)
        return _gone(run)
    marked = workload.restarted_at == run.mark or _restarted_since(run, workload, snapshot)
    must_run = run.step.kind is StepKind.RELOAD_CA
    # Of another part that is scaled to 0 no process holds a root.
    rolled = workload.settled and (marked if workload.desired else not must_run)
    beside: tuple[Straggler, ...] = ()
    if run.step.kind is StepKind.RELOAD_CA:
        beside = (*strange_citadels(snapshot), *ending_citadels(snapshot))
    complete = rolled and not beside
    renewed = workload.renewed if marked else 0
    return Proof(
        complete=complete,
        done=renewed,
        total=workload.desired,
        stragglers=beside if rolled else (_not_rolled_over(workload, marked=marked), *beside),
        note=f"{share(renewed, workload.desired, noun='replica', verb='are')} new and ready",
    )


def _not_rolled_over(workload: Workload, *, marked: bool) -> Straggler:
    if workload.desired == 0 and workload.settled:
        return Straggler(
            what=str(workload.ref),
            reason="it is scaled to 0, so nothing issues certificates",
            cure="scale it up again",
        )
    if workload.replaced_by_hand and workload.observed and workload.updated < workload.desired:
        return _waiting_for_hands(workload)
    if workload.paused:
        return Straggler(
            what=str(workload.ref), reason="its rollouts are paused", cure=rollout(workload.ref, "resume")
        )
    if workload.settled and not marked:
        return Straggler(
            what=str(workload.ref),
            reason="somebody changed its pod template since it was restarted, and its pods are older",
            cure=rollout(workload.ref, "restart"),
        )
    return Straggler(
        what=str(workload.ref),
        reason=workload.trouble or f"{workload.ready} of {workload.desired} ready, {workload.total} in all",
        cure=f"`kubectl -n {workload.ref.namespace} describe pod` shows why a pod is not ready",
    )


def _waiting_for_hands(workload: Workload) -> Straggler:
    return Straggler(
        what=str(workload.ref),
        reason=f"its update strategy is OnDelete: {workload.updated} of {workload.desired} pods are new",
        cure=f"delete its old pods by hand, one at a time: `kubectl -n {workload.ref.namespace} delete pod`",
    )


def _gone(run: Run) -> Proof:
    """What is gone holds no root; but without Citadel nothing gets the new one."""
    if run.step.kind is StepKind.RESTART:
        return Proof(complete=True, note="it no longer exists")
    raise ObjectAbsent(f"{run.step.target} no longer exists")


def _restarted_since(run: Run, workload: Workload, snapshot: MeshSnapshot) -> bool:
    """Somebody else's mark came after ours: then their restart will do, if all its pods were made after our beginning.

    A container that was only started again in its pod may have read the files of before.
    """
    entered = run.state.entered_at
    if entered is None:
        return False
    began = entered.replace(microsecond=0)  # as exact as the API server tells when a pod was made
    made = [pod.created_at for pod in pods_of(workload, snapshot)]
    return bool(made) and all(at is not None and at >= began for at in made)


def _needed(ref: ObjectRef | None) -> ObjectRef:
    if ref is None:
        raise ObjectAbsent("the plan's step names nothing to restart")
    return ref


# --- waiting for the root to spread ----------------------------------------------------------------


def _proof_of(
    verdicts: Iterable[HolderVerdict], snapshot: MeshSnapshot, run: Run, *, holder: Holder, noun: str
) -> Proof:
    """Complete when something was observed, nothing is behind and nothing is unknown.

    Counted are the holders of one kind; what else belongs to the step must only not be behind.
    """
    undisturbed(snapshot, run.rotation.plan, wanted=run.wanted)
    judged = [v for v in verdicts if v.verdict is not Verdict.SKIPPED]
    counted = [v for v in judged if v.holder is holder]
    fine = sum(1 for v in counted if v.verdict is Verdict.OK)
    behind = stragglers(judged)
    return Proof(
        complete=bool(counted) and not behind,
        done=fine,
        total=len(counted),
        stragglers=behind,
        note=_share(counted, noun, "carry the root"),
    )


def _share(verdicts: Iterable[HolderVerdict], noun: str, good: str) -> str:
    """`2 of 3 webhooks carry the root`: of those that count."""
    counted = [v for v in verdicts if v.verdict is not Verdict.SKIPPED]
    fine = sum(1 for v in counted if v.verdict is Verdict.OK)
    return share(fine, len(counted), noun=noun, verb=good)


def _secrets(run: Run) -> Proof:
    snapshot = run.mesh.reader.read(frozenset({Part.AUTHORITY, Part.SECRETS}))
    return _proof_of(
        judge_secrets(snapshot, run.target), snapshot, run, holder=Holder.SECRET, noun="workload secret"
    )


def _webhooks(run: Run) -> Proof:
    """What the API server trusts, and what the webhooks show it. A mesh without any has nothing to wait for."""
    snapshot = run.mesh.reader.read(frozenset({Part.AUTHORITY, Part.WEBHOOKS}))
    trusted, served = judge_webhooks(snapshot, run.target), judge_served(snapshot, run.target)
    if not trusted and not served:
        undisturbed(snapshot, run.rotation.plan, wanted=run.wanted)
        return Proof(complete=True, note="this mesh has no admission webhook")
    proof = _proof_of((*trusted, *served), snapshot, run, holder=Holder.WEBHOOK, noun="webhook")
    if not proof.total and not proof.stragglers:
        return Proof(complete=True, note="every webhook is filled by cert-manager")
    shown = _share(served, "webhook server", "show a certificate that it vouches for")
    return replace(proof, note=f"{proof.note}; {shown}") if served else proof


def _restart_behind_webhooks(run: Run) -> None:
    """A component patches its webhook and loads what it serves when it starts: once in this step will do."""
    snapshot = run.mesh.reader.read(frozenset({Part.AUTHORITY, Part.WEBHOOKS}))
    behind = {v.what for v in judge_webhooks(snapshot, run.target) if v.verdict is Verdict.NOT_OK}
    services = {w.service for w in snapshot.webhooks if f"{w.ref} ({w.entry})" in behind}
    refused = _refused_servers(snapshot, run.target)
    for workload in snapshot.workloads:
        named = f"{workload.ref.namespace}/{workload.ref.name}" in services
        if not named and workload.ref not in refused:
            continue
        if workload.restarted_at != run.mark and not _restarted_since(run, workload, snapshot):
            run.mesh.writer.restart(workload.ref, mark=run.mark)


def _refused_servers(snapshot: MeshSnapshot, target: Certificate) -> set[ObjectRef]:
    """The workloads behind certificates that the API server refuses; what cannot be read is left alone."""
    verdicts = judge_served(snapshot, target)
    return {
        served.workload
        for served, judged in zip(snapshot.served, verdicts, strict=True)
        if judged.verdict is Verdict.NOT_OK and served.workload
    }


def _proxies(run: Run) -> Proof:
    snapshot = run.mesh.reader.read(frozenset({Part.AUTHORITY, Part.SECRETS, Part.PROXIES}))
    return _proof_of(judge_proxies(snapshot, run.target), snapshot, run, holder=Holder.PROXY, noun="proxy")


# --- verify ------------------------------------------------------------------------------------------


def _verify(run: Run) -> Proof:
    return prove_everything(run, run.mesh.reader.read(VERIFIED))


def prove_everything(run: Run, snapshot: MeshSnapshot) -> Proof:
    """Judge everything in a snapshot of VERIFIED; what is not proved always has a name.

    Raises:
        ClusterConflict, ObjectAbsent, ClusterUnreachable: the CA secret is not as this walk left it.
    """
    undisturbed(snapshot, run.rotation.plan, wanted=run.wanted)
    authority = recognise(snapshot)
    report = verification(snapshot, authority, expected=run.target, started=run.now, now=snapshot.taken_at)
    judged = sum(t.total - t.skipped for t in report.tallies)
    by_holder = {check.id for check in HOLDERS}  # what is behind there is a straggler by itself
    failed = tuple(
        Straggler(
            what=f.check_id, reason="; ".join((f.summary, *f.offenders[:3])), cure=f.hint, verdict=f.verdict
        )
        for f in report.findings
        if f.verdict in (Verdict.NOT_OK, Verdict.UNKNOWN) and not (f.check_id in by_holder and f.offenders)
    )
    return Proof(
        complete=report.verdict is Verdict.OK,
        done=sum(t.ok for t in report.tallies),
        total=judged,
        stragglers=(*failed, *report.stragglers),
        tallies=report.tallies,
        note="; ".join(map(str, report.tallies)),
    )


RUNNERS: dict[StepKind, Runner] = {
    StepKind.BACK_UP: Runner(gate=_untouched, act=_back_up, prove=_backed_up),
    StepKind.WRITE_ROOT: Runner(gate=_writable, act=_write_root, prove=_written),
    StepKind.RELOAD_CA: Runner(gate=ca_intact, act=_reload, prove=_rolled_over),
    StepKind.AWAIT_SECRETS: Runner(gate=ca_intact, act=_nothing, prove=_secrets),
    StepKind.AWAIT_WEBHOOKS: Runner(
        gate=ca_intact, act=_nothing, prove=_webhooks, nudge=_restart_behind_webhooks
    ),
    StepKind.RESTART: Runner(gate=ca_intact, act=_restart_if_behind, prove=_rolled_over),
    StepKind.AWAIT_PROXIES: Runner(gate=ca_intact, act=_nothing, prove=_proxies),
    StepKind.VERIFY: Runner(gate=ca_intact, act=_nothing, prove=_verify),
}
