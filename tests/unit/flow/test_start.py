"""From the approval to the first step, two bots, and a process that starts again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core import plan
from bot.core.approval import Act
from bot.core.ids import PlanDigest, RotationId
from bot.core.mesh import ForeignSigns, Part, SecretState
from bot.core.progress import Done, StepStatus, Wait
from bot.core.record import Change
from bot.core.rotation import Rotation, RotationState
from bot.errors import (
    ClusterError,
    ClusterForbidden,
    ClusterUnreachable,
    ObjectAbsent,
    OutcomeUnknown,
)
from tests.fakes.cluster import FakeCluster
from tests.unit.flow.world import ANNA, SetClock, World, unchanged

SOON = timedelta(minutes=1)


def halted(world: World) -> None:
    """It stopped by itself, soon, and did nothing to the mesh meanwhile."""
    began = world.clock.now()
    with unchanged(world):
        world.run(each=lambda: None)
    assert world.clock.now() - began < SOON


# --- two bots ----------------------------------------------------------------------------------------------


def test_a_lease_that_another_holds_at_the_start_makes_it_stale_and_names_the_holder() -> None:
    world = World()
    world.approved()
    world.cluster.lease = ("of-another-bot", world.clock.now())  # type: ignore[assignment]

    world.run()

    assert world.state is RotationState.STALE
    assert "held by rotation of-another-bot" in world.rotation.outcome
    assert world.cluster.effects == []
    assert world.cluster.lease is not None


def test_a_lease_that_another_took_while_it_was_paused_pauses_it_again() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.cluster.lease = ("of-another-bot", world.clock.now())  # type: ignore[assignment]

    world.press(Act.KEEP_WAITING)
    halted(world)

    assert world.state is RotationState.PAUSED
    assert "of-another-bot" in world.rotation.outcome


def test_a_lease_that_a_killed_rotation_left_behind_does_not_keep_the_next_one_out() -> None:
    world = World()
    world.approved()
    world.cluster.fail("release", ClusterUnreachable("gone"))
    world.run()
    assert world.cluster.lease is not None

    world.approved()
    world.run()

    assert world.state is RotationState.DONE
    assert world.cluster.lease is None


@pytest.mark.parametrize("fault", [ClusterForbidden("no"), ObjectAbsent("gone")])
def test_a_start_that_is_refused_gives_the_lease_back(fault: ClusterError) -> None:
    world = World()
    world.approved()
    world.cluster.fail("read", fault)

    world.advance()

    assert world.state is RotationState.STALE
    assert world.cluster.lease is None


# --- the start --------------------------------------------------------------------------------------------


def test_an_approval_that_was_not_used_in_time_lapses() -> None:
    world = World()
    world.approved()
    world.clock.pass_by(timedelta(minutes=5))

    assert world.advance() == Done()

    assert world.state is RotationState.EXPIRED
    assert world.told() == ["approved", "expired"]
    assert world.cluster.effects == []


def test_a_mesh_that_cannot_be_reached_at_the_start_is_waited_for_until_the_approval_lapses() -> None:
    world = World()
    world.approved()
    world.cluster.fail("read", ClusterUnreachable("no route"), times=1000)

    world.run()

    assert world.state is RotationState.EXPIRED
    assert world.cluster.lease is None


def test_36_what_cannot_be_read_for_a_moment_at_the_start_is_waited_for() -> None:
    world = World()
    world.approved()
    world.cluster.hide(Part.SECRETS, "Secrets in namespace shop", reason="500 from the API server")

    world.advance()
    world.advance()

    assert world.state is RotationState.APPROVED
    assert "Secrets in namespace shop (500 from the API server)" in world.rotation.outcome
    world.cluster.unread.clear()
    world.run()
    assert world.told()[-1] == "done"


def test_what_kept_it_from_starting_is_said_when_it_lapses() -> None:
    world = World()
    world.approved()
    world.cluster.hide(Part.SECRETS, "Secrets in namespace shop", reason="500 from the API server")

    world.run()

    assert world.state is RotationState.EXPIRED
    assert world.rotation.outcome == (
        "it was not started in time: not everything could be read: "
        "Secrets in namespace shop (500 from the API server)"
    )
    assert world.cluster.effects == []
    assert world.cluster.lease is None


def test_what_has_surely_changed_is_not_waited_for_though_something_is_unread() -> None:
    world = World()
    world.approved()
    world.cluster.hide(Part.SECRETS, "Secrets in namespace shop", reason="500 from the API server")
    world.cluster.change_data("ca-key.pem", b"not a key")

    world.advance()

    assert world.state is RotationState.STALE
    assert "private key" in world.rotation.outcome


def test_36_at_the_start_too_the_api_servers_wish_when_to_come_back_is_honoured() -> None:
    world = World()
    world.approved()
    world.cluster.fail("read", ClusterUnreachable("429", retry_after=timedelta(seconds=42)))

    assert world.advance() == Wait(after=timedelta(seconds=42))


def test_9_a_mesh_that_changed_between_approval_and_start_makes_it_stale_with_the_reason() -> None:
    world = World()
    world.approved()
    world.cluster.plane.remove(world.cluster.of_plane("galley"))

    world.run()

    assert world.state is RotationState.STALE
    assert world.rotation.outcome == "other steps would be needed now"


def _approved_by(world: World, **changes: Any) -> Rotation:
    approved = world.rotation
    return replace(approved, decisions=tuple(replace(one, **changes) for one in approved.decisions))


ANOTHER_DIGEST = PlanDigest("0" * 64)
UNAPPROVED: list[tuple[str, Callable[[World], Rotation], str]] = [
    ("no approval", lambda w: replace(w.rotation, decisions=()), "holds no approval"),
    ("the requester's own", lambda w: _approved_by(w, person=w.rotation.requester), "the requester's own"),
    ("of another plan", lambda w: _approved_by(w, digest=ANOTHER_DIGEST), "not the one that was approved"),
    ("of a plan that was exchanged", lambda w: replace(
        w.rotation, plan=replace(w.rotation.plan, undo_steps=w.rotation.plan.undo_steps[1:])),
        "not the one that was approved"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "record", "reason"), UNAPPROVED, ids=[row[0] for row in UNAPPROVED])
def test_a_record_whose_approval_does_not_cover_it_starts_nothing(
    name: str, record: Callable[[World], Rotation], reason: str
) -> None:
    world = World()
    world.approved()
    world.store.commit(Change(rotation=record(world)))

    world.run()

    assert world.state is RotationState.STALE, name
    assert reason in world.rotation.outcome
    assert world.cluster.effects == []


def test_a_version_to_which_the_plan_means_something_else_asks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, approved = World(), World()
    shown.proposed()
    approved.approved()
    monkeypatch.setattr(plan, "FORMAT", plan.FORMAT + 1)

    shown.press(Act.APPROVE)
    approved.run()

    assert shown.state is approved.state is RotationState.STALE
    assert "means something else" in shown.rotation.outcome
    assert shown.cluster.effects == approved.cluster.effects == []


def test_63_another_cluster_of_the_same_name_is_not_touched() -> None:
    world = World()
    world.approved()
    world.cluster.uid = type(world.cluster.uid)("00000000-0000-4000-8000-00000000beef")

    world.run()

    assert world.state is RotationState.STALE
    assert "this is another cluster" in world.rotation.outcome
    assert world.cluster.effects == []


def test_a_mesh_taken_out_of_the_settings_does_not_stand_still_in_silence() -> None:
    approved, early, late = World(), World(), World()
    approved.approved()
    early.running("back-up")
    late.running("await-secrets")

    for world in (approved, early, late):
        world.meshes_known = False
        world.run()

    assert [world.state for world in (approved, early, late)] == [
        RotationState.STALE,
        RotationState.FAILED,
        RotationState.PAUSED,
    ]
    assert all(
        "is not in the settings any more" in world.rotation.outcome for world in (approved, early, late)
    )
    late.meshes_known = True
    late.press(Act.KEEP_WAITING)
    late.run()
    assert late.state is RotationState.DONE


def test_55_a_restart_between_write_and_reload_goes_on_from_what_is_live() -> None:
    world = World()
    world.running("write-root")
    plan = world.rotation.plan
    world.cluster.replace_root(
        plan.new_pem, expected=plan.secret, rotation_id=world.rotation_id, rehearse=False
    )

    world.run()

    assert world.state is RotationState.DONE
    assert world.cluster.effects.count("replace_root") == 1
    assert all(state.status is StepStatus.DONE for state in world.rotation.steps)


def test_52_proxies_that_never_load_stop_the_plan_and_it_does_not_advance_by_itself() -> None:
    world = World()
    world.cluster.member("cart").stuck = True
    world.running("await-proxies")

    world.run()
    told = world.told()
    for _ in range(5):
        world.advance()

    assert world.state is RotationState.PAUSED
    assert world.told() == told
    assert [s.what for s in world.spoken[-1].stragglers] == ["proxy of shop/cart-0"]


# --- the root is written soon after, or not at all ----------------------------------------------------------


def test_after_days_of_downtime_an_old_approval_writes_nothing() -> None:
    world = World()
    world.approved()
    world.advance()
    assert world.rotation.started_at

    world.clock.pass_by(timedelta(days=4))
    world.run()

    assert world.state is RotationState.FAILED
    assert "its approval lapsed before the root was written" in world.rotation.outcome
    assert "replace_root" not in world.cluster.effects


def test_keep_waiting_makes_no_old_approval_new() -> None:
    world = World()
    world.running("write-root")
    world.cluster.fail("replace_root", OutcomeUnknown("no answer"), times=400)
    world.run()
    assert world.rotation.paused_at
    world.cluster.heal()

    world.clock.pass_by(timedelta(days=9))
    world.press(Act.KEEP_WAITING, by=ANNA)
    world.run()

    assert "its approval lapsed before the root was written" in world.rotation.outcome
    assert "replace_root" not in world.cluster.effects


def test_a_mesh_that_changed_between_start_and_write_is_not_written_into() -> None:
    world = World()
    world.running("write-root")
    world.cluster.foreign = ForeignSigns(workloads=("Deployment spire/spire-server",))

    world.run()

    assert world.state is RotationState.FAILED
    assert "another system issues this mesh's certificates" in world.rotation.outcome
    assert "replace_root" not in world.cluster.effects


class WithoutAnAnswer(FakeCluster):
    """The first write of the root gets no answer; rehearsals do."""

    asked = False

    def replace_root(
        self, pem: bytes, *, expected: SecretState, rotation_id: RotationId, rehearse: bool
    ) -> SecretState:
        if not rehearse and not self.asked:
            self.asked = True
            assert isinstance(self.clock, SetClock)
            self.clock.pass_by(timedelta(minutes=3))  # it was sent after a long look
            raise OutcomeUnknown("no answer within 10 s")
        return super().replace_root(pem, expected=expected, rotation_id=rotation_id, rehearse=rehearse)


def test_where_an_earlier_try_had_no_answer_nobody_says_that_nothing_was_changed() -> None:
    clock = SetClock()
    world = World(WithoutAnAnswer(clock), clock=clock)
    world.running("write-root")
    world.advance()
    world.cluster.foreign = ForeignSigns(workloads=("Deployment spire/spire-server",))

    world.run()

    assert world.state is RotationState.PAUSED
    assert "A try before had no answer: the root may yet be written" in world.rotation.outcome

    world.clock.pass_by(timedelta(minutes=3))
    world.press(Act.KEEP_WAITING)
    world.run()

    assert "paused" not in world.rotation.standing, "by then it is in, or it is not"


@pytest.mark.parametrize("method", ["read", "hold"])
def test_a_fault_before_any_try_leaves_no_doubt_that_nothing_was_changed(method: str) -> None:
    world = World()
    world.running("write-root")
    world.cluster.fail(
        method, OutcomeUnknown("no answer") if method == "hold" else ClusterUnreachable("refused")
    )
    world.advance()
    world.cluster.foreign = ForeignSigns(workloads=("Deployment spire/spire-server",))

    world.run()

    assert world.state is RotationState.FAILED


def test_a_plan_exchanged_after_the_start_is_not_written() -> None:
    world = World()
    world.running("write-root")
    plan = world.rotation.plan
    exchanged = replace(plan, new_pem=plan.new_pem + plan.old_root.pem)
    world.store.commit(Change(rotation=replace(world.rotation, plan=exchanged)))

    world.run()

    assert world.state is RotationState.FAILED
    assert "replace_root" not in world.cluster.effects


def test_keep_waiting_says_that_an_approval_has_lapsed() -> None:
    world = World()
    world.running("write-root")
    world.cluster.fail("replace_root", OutcomeUnknown("no answer"), times=400)
    world.run()
    world.clock.pass_by(timedelta(minutes=11))

    world.press(Act.KEEP_WAITING)

    assert "the approval has lapsed" in world.said[-1]


def test_a_root_that_is_written_is_brought_to_its_end_however_late() -> None:
    world = World()
    world.running("reload-ca")

    world.clock.pass_by(timedelta(days=4))
    world.run()

    assert world.state is RotationState.DONE


# --- the result is of what was just seen ---------------------------------------------------------------------


def test_a_result_is_never_told_from_the_record_alone() -> None:
    world = World()
    world.running("verify")
    step, state = world.rotation.walk[-1]
    proved = state.acted().ended_as(StepStatus.DONE, now=world.clock.now(), note="64 of 64")
    world.store.commit(Change(rotation=world.rotation.with_step(proved)))
    world.cluster.member("cart").stuck = True
    world.cluster.member("cart").loaded_root = world.rotation.plan.old_root.pem

    world.run()

    assert step.id == "verify"
    assert world.state is RotationState.PAUSED


def test_the_last_step_and_the_result_are_one_change() -> None:
    world = World()
    world.running("verify")

    world.advance()
    last = world.advance()

    assert last == Done()
    assert world.state is RotationState.DONE
    assert world.told()[-2:] == [f"step_done {len(world.rotation.walk)}", "done"]
