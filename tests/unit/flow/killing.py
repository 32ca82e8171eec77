"""Kills the process at the k-th moment that counts: before and after every commit and every write.

A moment after an effect is the worst: it happened, and nobody was told. `Killed` is no Exception, so
nothing in the flow can catch it; what runs on afterwards is a new process on the same world.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.core.approval import Act
from bot.core.ids import RotationId
from bot.core.mesh import ObjectRef, SecretState
from bot.core.rotation import RotationState
from tests.fakes.cluster import FakeCluster
from tests.unit.flow.world import World


class Killed(BaseException):
    """kill -9."""


@dataclass(slots=True)
class Reaper:
    """Counts the moments and kills at some of them."""

    at: frozenset[int] = frozenset()
    moments: list[str] = field(default_factory=list)

    def pass_by(self, what: str) -> None:
        self.moments.append(what)
        if len(self.moments) in self.at:
            raise Killed(what)


class MortalStore:
    """A Store whose commits are moments; everything else is the store's own."""

    def __init__(self, store: Any, reaper: Reaper) -> None:
        self._store = store
        self._reaper = reaper

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, change: Any) -> Any:
        self._reaper.pass_by("before commit")
        written = self._store.commit(change)
        self._reaper.pass_by("after commit")
        return written


class MortalWriter:
    """A ClusterWriter whose every call is a moment on both sides."""

    def __init__(self, cluster: FakeCluster, reaper: Reaper) -> None:
        self._cluster = cluster
        self._reaper = reaper

    def hold(self, holder: RotationId, *, now: datetime) -> None:
        self._reaper.pass_by("before hold")
        self._cluster.hold(holder, now=now)
        self._reaper.pass_by("after hold")

    def release(self, holder: RotationId) -> None:
        self._reaper.pass_by("before release")
        self._cluster.release(holder)
        self._reaper.pass_by("after release")

    def back_up(self, rotation_id: RotationId, *, expected: SecretState) -> SecretState:
        self._reaper.pass_by("before back_up")
        state = self._cluster.back_up(rotation_id, expected=expected)
        self._reaper.pass_by("after back_up")
        return state

    def replace_root(
        self, pem: bytes, *, expected: SecretState, rotation_id: RotationId, rehearse: bool
    ) -> SecretState:
        what = "rehearse" if rehearse else "replace_root"
        self._reaper.pass_by(f"before {what}")
        state = self._cluster.replace_root(pem, expected=expected, rotation_id=rotation_id, rehearse=rehearse)
        self._reaper.pass_by(f"after {what}")
        return state

    def backed_up_root(self, rotation_id: RotationId) -> bytes:
        return self._cluster.backed_up_root(rotation_id)

    def restart(self, workload: ObjectRef, *, mark: str) -> None:
        self._reaper.pass_by(f"before restart {workload.name}")
        self._cluster.restart(workload, mark=mark)
        self._reaper.pass_by(f"after restart {workload.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Everything that must be the same, wherever the process was killed.

    Roots are named, because a signature has a random part and no two runs make the same bytes.
    """

    state: RotationState
    told: tuple[str, ...]
    notes: tuple[str, ...]
    effects: tuple[str, ...]
    ca: tuple[tuple[str, str], ...]
    backup: tuple[str, ...]
    read_by: tuple[tuple[str, str], ...]
    """The root that each process of the control plane holds."""
    held_by: tuple[tuple[str, str, str], ...]
    """The root in each workload secret, and the one that its proxy has loaded."""
    left_behind: tuple[str, ...]
    decisions: tuple[str, ...]
    audited: tuple[str, ...]


def end_of(world: World) -> End:
    cluster, plan = world.cluster, world.rotation.plan
    assert cluster.secret is not None
    assert cluster.backup is not None
    names = {plan.new_pem: "the new root", plan.old_root.pem: "the old root"}

    def named(value: bytes) -> str:
        return names.get(value, value.hex())

    return End(
        state=world.state,
        told=tuple(world.told()),
        notes=tuple(
            one.note.partition(" It took ")[0].replace(plan.new_root.fingerprint[:16], "the new root")
            for one in world.spoken
        ),
        effects=tuple(cluster.effects),
        ca=tuple((key, named(value)) for key, value in sorted(cluster.secret.data.items())),
        backup=tuple(named(value) for value in cluster.backup.data.values()),
        read_by=tuple((part.component, named(part.root)) for part in cluster.plane),
        held_by=tuple((m.identity, named(m.root), named(m.loaded_root)) for m in cluster.members),
        left_behind=tuple(one.what for one in world.rotation.left_behind),
        decisions=tuple(decision.act for decision in world.rotation.decisions),
        audited=tuple(row.event for row in world.store.audit),
    )


def mortal(world: World, reaper: Reaper) -> None:
    """From now on the process can be killed."""
    world.record = MortalStore(world.store, reaper)
    world.writer = MortalWriter(world.cluster, reaper)


def pressed(world: World, act: Act, *, still: RotationState) -> None:
    """Press a button; killed meanwhile, the person presses again if the card still shows it."""
    while world.state is still and not world.rotation.stop_requested:
        try:
            world.press(act)
        except Killed:
            continue


def ended(world: World) -> None:
    """Press `End here…`, read and confirm; killed meanwhile, the person begins again if the card still asks."""
    while world.state is RotationState.PAUSED:
        try:
            world.end()
        except Killed:
            continue


def lived_through(world: World) -> None:
    """Run; killed meanwhile, a new process picks up what is active."""
    while True:
        try:
            if world.sweep():
                world.run()
        except Killed:
            continue
        return
