"""A look after a finished rotation that something undid: the mesh is not called fine for agreeing on the old root."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.certificates import read_bundle
from bot.core.findings import Verdict
from bot.core.ids import ClusterUid
from bot.core.planning import root_facts
from bot.core.record import Change, Report
from bot.core.rotation import RotationState
from tests.fakes.certificates import a_key, root_pem
from tests.fakes.cluster import FakeCluster
from tests.fakes.mesh import CITADEL, ROOT_KEY
from tests.unit.flow.world import World


def finished() -> World:
    world = World()
    world.approved()
    world.run()
    assert world.state is RotationState.DONE
    return world


def undone(world: World) -> World:
    """Somebody puts the old root back, and everything takes it."""
    world.cluster.change_data(ROOT_KEY, world.rotation.plan.old_root.certificate.pem)
    for component in (CITADEL, "pilot", "galley"):
        world.cluster.of_plane(component).rolling = True
    world.cluster.converge()
    world.clock.pass_by(timedelta(days=1))
    return world


def verified(world: World) -> Report:
    return world.looks.verify(world.ports).report


def recorded_as(world: World, **changes: Any) -> World:
    """As if the rotation had been another one."""
    world.store.commit(Change(rotation=replace(world.rotation, **changes)))
    return world


def test_a_finished_rotation_that_was_undone_is_not_ok_and_says_what_to_do() -> None:
    world = undone(finished())
    plan = world.rotation.plan

    report = verified(world)

    assert report.verdict is Verdict.NOT_OK
    said = next(one for one in report.findings if one.check_id == "ca.current")
    assert said.red
    for root in (plan.old_root, plan.new_root):
        assert f"{root.fingerprint[:16]}" in said.summary
        assert f"{root.not_after:%Y-%m-%d}" in said.summary
    assert "ask for a transition" in said.hint
    assert report.headline.endswith(
        f"all 17 holders have the root that the CA signs with, but {said.summary}"
    )
    assert report.stragglers == (), "everything agrees: no restart would cure it"


def test_a_finished_rotation_that_stands_is_fine() -> None:
    report = verified(finished())

    assert report.verdict is Verdict.OK
    assert report.headline.endswith("holders have the root that the CA signs with")


def test_a_root_that_lasts_longer_than_the_finished_rotation_s_is_what_should_be_there() -> None:
    world = finished()
    plan = replace(world.rotation.plan, new_root=world.rotation.plan.old_root)

    assert verified(recorded_as(world, plan=plan)).verdict is Verdict.OK


OTHERWISE: dict[str, dict[str, Any]] = {
    "another control plane's": {"namespace": "mesh-b"},
    "another cluster's": {"cluster_uid": ClusterUid("22222222-2222-4222-8222-222222222222")},
    "ended short by somebody": {"state": RotationState.ENDED_SHORT},
    "rolled back": {"state": RotationState.ROLLED_BACK},
}


@pytest.mark.parametrize("changes", OTHERWISE.values(), ids=OTHERWISE)
def test_only_a_rotation_of_this_control_plane_that_ended_done_says_what_should_be_there(
    changes: dict[str, Any],
) -> None:
    world = undone(finished())
    state = changes.get("state", RotationState.DONE)
    plan = replace(world.rotation.plan, **{key: each for key, each in changes.items() if key != "state"})

    assert verified(recorded_as(world, state=state, plan=plan)).verdict is Verdict.OK


def test_another_key_is_another_ca_that_no_rotation_says_anything_of() -> None:
    world = finished()
    fresh = FakeCluster(world.clock, days_left=364)
    now = world.clock.now().replace(microsecond=0)
    root = root_pem(a_key(4242), not_before=now - timedelta(days=1), not_after=now + timedelta(days=364))
    plan = replace(world.rotation.plan, new_root=root_facts(read_bundle(root).certificates[0]))
    world.cluster = world.reader = world.writer = fresh

    assert verified(recorded_as(world, plan=plan)).verdict is Verdict.OK


def test_while_another_rotation_is_under_way_the_ca_says_what_should_be_there() -> None:
    world = undone(finished())
    world.running("reload-ca")

    report = verified(world)

    assert report.standing
    assert "ca.current" not in {one.check_id for one in report.findings}
