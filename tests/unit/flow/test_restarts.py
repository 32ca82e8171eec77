"""Which parts of the control plane are restarted, when, and when not."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.core.approval import Act
from bot.core.mesh import ObjectRef, Part
from bot.core.plan import StepKind
from bot.core.progress import StepStatus, Wait
from bot.core.record import Event, Milestone
from bot.core.rotation import RotationState
from tests.fakes.mesh import CITADEL, SYSTEM
from tests.unit.flow.world import World


def stand_still() -> None:
    """Nothing in the mesh moves."""


def test_late_webhooks_are_helped_along_once_after_patience() -> None:
    world = World()

    def but_webhooks() -> None:
        world.cluster.settle()
        world.cluster.reissue_secrets()

    world.running("await-webhooks", each=but_webhooks)
    entered = world.clock.now()

    helped_at: list[datetime] = []

    def note() -> None:
        if helped(world) and not helped_at:
            helped_at.append(world.clock.now())

    world.run(each=note)

    assert sorted(helped(world)) == ["restart istio-galley", "restart istio-sidecar-injector"]
    assert timedelta(minutes=5) <= helped_at[0] - entered <= timedelta(minutes=5, seconds=10)


def helped(world: World) -> list[str]:
    return [effect for effect in world.cluster.effects if "injector" in effect or "galley" in effect]


def test_webhooks_whose_restart_somebody_undoes_are_helped_again_only_after_the_same_patience() -> None:
    world = World()

    def but_webhooks() -> None:
        world.cluster.settle()
        world.cluster.reissue_secrets()

    def undo() -> None:
        for component in ("galley", "sidecar-injector"):
            part = world.cluster.of_plane(component)
            part.restarted_at, part.rolling = "", False

    world.running("await-webhooks", each=but_webhooks)
    began = world.clock.now()

    world.run(each=undo)

    waited = world.clock.now() - began
    assert 2 <= helped(world).count("restart istio-galley") <= waited / timedelta(minutes=5)


def test_webhooks_whose_component_somebody_restarted_by_hand_are_not_restarted_over_it() -> None:
    world = World()

    def but_webhooks() -> None:
        world.cluster.settle()
        world.cluster.reissue_secrets()

    world.running("await-webhooks", each=but_webhooks)

    def by_hand() -> None:
        world.cluster.settle()
        for component in ("galley", "sidecar-injector"):
            part = world.cluster.of_plane(component)
            if helped(world) and part.restarted_at != "by hand":
                part.restarted_at, part.rolling = "by hand", True

    world.run(each=by_hand)

    assert world.state is RotationState.PAUSED, "the fake's webhooks never come along here"
    assert sorted(helped(world)) == ["restart istio-galley", "restart istio-sidecar-injector"]


def test_webhooks_whose_component_only_started_again_in_its_pod_are_helped_all_the_same() -> None:
    world = World()

    def but_webhooks() -> None:
        world.cluster.settle()
        world.cluster.reissue_secrets()

    world.running("await-webhooks", each=but_webhooks)
    world.clock.pass_by(timedelta(seconds=5))
    for component in ("galley", "sidecar-injector"):
        world.cluster.of_plane(component).started_at = world.clock.now()  # its files may be those of before

    world.run(each=lambda: world.cluster.converge() if helped(world) else None)

    assert sorted(helped(world)) == ["restart istio-galley", "restart istio-sidecar-injector"]
    assert world.state is RotationState.DONE


def test_webhooks_that_come_along_by_themselves_are_left_alone() -> None:
    world = World()
    world.approved()

    world.run()

    assert "restart istio-sidecar-injector" not in world.cluster.effects


def test_a_component_that_started_after_its_secret_was_re_issued_is_not_restarted() -> None:
    world = World()
    world.running("await-webhooks")
    world.clock.pass_by(timedelta(minutes=3))
    pilot = world.cluster.of_plane("pilot")
    pilot.started_at, pilot.root = world.clock.now(), world.live_root

    world.run()

    assert world.state is RotationState.DONE
    assert "restart istio-pilot" not in world.cluster.effects
    skipped = [s.step_id for s in world.rotation.steps if s.status is StepStatus.SKIPPED]
    assert skipped == ["restart-deployment-istio-pilot"]


def test_a_component_that_started_before_the_kubelet_could_know_is_restarted() -> None:
    world = World()
    world.running("await-webhooks")
    pilot = world.cluster.of_plane("pilot")
    pilot.started_at = world.clock.now() + timedelta(seconds=30)

    world.run()

    assert "restart istio-pilot" in world.cluster.effects


def test_components_without_secrets_of_their_own_are_restarted_and_verified_all_the_same() -> None:
    world = World()
    world.cluster.members = [each for each in world.cluster.members if each.namespace != SYSTEM]
    world.approved()

    world.run()

    assert "restart istio-pilot" in world.cluster.effects
    assert world.state is RotationState.DONE


def test_a_component_whose_container_was_started_again_too_early_is_found_by_the_verification() -> None:
    world = World()
    world.running("verify")
    pilot = world.cluster.of_plane("pilot")
    pilot.started_at, pilot.made_at = world.clock.now() - timedelta(days=1), None

    world.advance()
    world.advance()

    current = world.rotation.current
    assert current is not None
    assert [s.what for s in current[1].stragglers] == [f"Pod {SYSTEM}/{pilot.pod().ref.name}"]


def test_a_component_that_is_gone_by_then_needs_nothing() -> None:
    world = World()
    world.running("await-webhooks")
    world.cluster.plane.remove(world.cluster.of_plane("galley"))

    world.run()

    assert world.state is RotationState.DONE
    (told,) = [m for m in world.spoken if "istio-galley" in getattr(m, "step_title", "")]
    assert isinstance(told, Milestone)
    assert (told.event, told.note) == (Event.STEP_SKIPPED, "it no longer exists")


def test_a_restart_by_somebody_else_after_ours_counts_as_ours() -> None:
    world = World()
    world.running("reload-ca")
    world.advance()
    citadel = world.cluster.of_plane(CITADEL)
    citadel.restarted_at = "2026-11-23T20:00:00+01:00"

    world.run()

    assert world.state is RotationState.DONE


def test_a_restart_by_somebody_else_before_ours_does_not() -> None:
    world = World()
    world.running("reload-ca")
    citadel = world.cluster.of_plane(CITADEL)
    citadel.started_at = world.clock.now() - timedelta(seconds=2)
    world.advance()
    citadel.restarted_at, citadel.rolling = "somebody", False

    world.advance()

    current = world.rotation.current
    assert current is not None
    assert current[0].kind is StepKind.RELOAD_CA
    assert (current[1].done, current[1].total) == (0, 1)
    (behind,) = current[1].stragglers
    assert "somebody changed its pod template" in behind.reason
    assert behind.cure == "`kubectl -n istio-system rollout restart deployment/istio-citadel`"


def test_citadel_that_will_not_become_ready_pauses_with_its_trouble() -> None:
    world = World()
    world.running("reload-ca")

    def crash_loop() -> None:
        world.cluster.of_plane(CITADEL).trouble = "container citadel: CrashLoopBackOff"

    world.run(each=crash_loop)

    assert world.state is RotationState.PAUSED
    paused = world.spoken[-1]
    assert isinstance(paused, Milestone)
    assert [s.reason for s in paused.stragglers] == ["container citadel: CrashLoopBackOff"]
    assert "0 of 1 replica is new and ready" in paused.note, "the ready one is the old one"


def test_citadel_scaled_to_0_while_it_rolls_over_has_not_rolled_over() -> None:
    world = World()
    world.running("reload-ca")
    world.cluster.of_plane(CITADEL).replicas = 0

    world.run()

    assert world.state is RotationState.PAUSED
    paused = world.spoken[-1]
    assert isinstance(paused, Milestone)
    assert [s.reason for s in paused.stragglers] == ["it is scaled to 0, so nothing issues certificates"]


@pytest.mark.parametrize("change", [{"replicas": 0}, {"down": True}], ids=["scaled to 0", "not ready"])
def test_a_rotation_is_not_done_without_a_citadel_that_runs(change: dict[str, Any]) -> None:
    world = World()
    world.running("verify")
    citadel = world.cluster.of_plane(CITADEL)
    for name, value in change.items():
        setattr(citadel, name, value)

    world.run()

    assert world.state is RotationState.PAUSED
    paused = world.spoken[-1]
    assert isinstance(paused, Milestone)
    assert [s.what for s in paused.stragglers] == ["ca.healthy"]


def test_a_part_that_is_scaled_to_0_while_it_restarts_needs_nothing_more() -> None:
    world = World()
    world.running("restart-deployment-istio-pilot")
    world.advance()
    pilot = world.cluster.of_plane("pilot")
    pilot.replicas, pilot.restarted_at, pilot.rolling = 0, "by hand", False

    world.run()

    assert world.state is RotationState.DONE


@pytest.mark.parametrize("act", [Act.APPROVE, None], ids=["at the approval", "at the write"])
def test_a_pod_of_citadel_that_is_still_ending_voids_no_approval(act: Act | None) -> None:
    world = World()
    pod = world.cluster.of_plane(CITADEL).pod()
    ending = replace(pod, ref=ObjectRef(kind="Pod", namespace=SYSTEM, name="old"), deleting=True)
    if act:
        world.proposed()
        world.cluster.other_pods.append(ending)
        world.press(act)
    else:
        world.running("write-root")
        world.cluster.other_pods.append(ending)
    world.run(until="reload-ca")
    world.cluster.other_pods.clear()
    world.run()

    assert world.state is RotationState.DONE


BESIDE = {"of another Deployment": {"workload": "Deployment old-citadel"}, "ending": {"deleting": True}}


@pytest.mark.parametrize("change", BESIDE.values(), ids=BESIDE)
def test_citadel_is_rolled_over_only_when_no_other_pod_of_it_is_left(change: dict[str, Any]) -> None:
    world = World()
    pod = replace(
        world.cluster.of_plane(CITADEL).pod(), ref=ObjectRef(kind="Pod", namespace=SYSTEM, name="old")
    )
    world.running("reload-ca")
    world.cluster.other_pods.append(replace(pod, **change))
    for _ in range(3):
        world.advance()
        world.cluster.converge()
    current = world.rotation.current

    assert current is not None
    assert current[0].kind is StepKind.RELOAD_CA
    assert (current[1].done, current[1].total) == (1, 1)
    assert [behind.what for behind in current[1].stragglers] == [f"Pod {SYSTEM}/old"]

    world.cluster.other_pods.clear()
    world.run()

    assert world.state is RotationState.DONE


def test_a_deployment_that_was_not_listed_is_not_taken_for_gone() -> None:
    world = World()
    world.running("restart-deployment-istio-pilot")
    pilot = world.cluster.of_plane("pilot")
    world.cluster.plane.remove(pilot)
    world.cluster.hide(Part.AUTHORITY, "Deployments in namespace istio-system", reason="forbidden")

    outcome = world.advance()

    assert isinstance(outcome, Wait)
    current = world.rotation.current
    assert current is not None
    assert current[0].id == "restart-deployment-istio-pilot"
    assert current[1].status is StepStatus.ACTING
    assert "Deployments in namespace istio-system could not be read" in current[1].note


def test_a_component_that_vanishes_while_it_restarts_needs_nothing_more() -> None:
    world = World()
    world.running("restart-deployment-istio-pilot")
    world.advance()
    world.cluster.plane.remove(world.cluster.of_plane("pilot"))

    world.run()

    assert world.state is RotationState.DONE


def test_citadel_that_vanishes_while_it_restarts_pauses_at_once() -> None:
    world = World()
    world.running("reload-ca")
    world.advance()
    world.cluster.plane.remove(world.cluster.of_plane(CITADEL))
    began = world.clock.now()

    world.run()

    assert world.state is RotationState.PAUSED
    assert "no longer exists" in world.rotation.outcome
    assert world.clock.now() - began < timedelta(minutes=1)


def test_a_part_whose_rollouts_are_paused_is_waited_for_with_its_cure() -> None:
    world = World()
    world.cluster.of_plane("pilot").paused = True
    world.running("restart-deployment-istio-pilot")

    for _ in range(6):
        world.advance()
        world.clock.pass_by(timedelta(seconds=10))
    current = world.rotation.current
    assert current is not None
    (waiting,) = current[1].stragglers
    world.cluster.of_plane("pilot").paused = False
    world.run()

    assert waiting.reason == "its rollouts are paused"
    assert waiting.cure == "`kubectl -n istio-system rollout resume deployment/istio-pilot`"
    assert world.state is RotationState.DONE


def test_pods_that_must_be_deleted_by_hand_are_waited_for_and_named() -> None:
    world = World()
    world.cluster.of_plane("pilot").by_hand = True
    world.running("restart-deployment-istio-pilot")

    for _ in range(6):
        world.advance()
        world.clock.pass_by(timedelta(seconds=10))
    current = world.rotation.current
    assert current is not None
    (waiting,) = current[1].stragglers
    world.cluster.delete_pods("pilot")
    world.run()

    assert "OnDelete: 0 of 1 pods are new" in waiting.reason
    assert "delete pod" in waiting.cure
    assert world.state is RotationState.DONE
