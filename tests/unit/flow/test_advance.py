"""Carrying a rotation out: its way, its deadlines, and what it does when the world interferes."""

from bot.core.rotation import RotationState
from tests.unit.flow.world import World


def test_a_rotation_goes_its_whole_way_and_tells_each_step_once() -> None:
    world = World()
    world.approved()

    world.run()

    assert world.state is RotationState.DONE, world.rotation.outcome
    steps = len(world.rotation.plan.steps)
    assert world.told() == [
        "approved",
        "started",
        *(f"step_done {number}" for number in range(1, steps + 1)),
        "done",
    ]
    assert world.live_root == world.rotation.plan.new_pem
    assert world.cluster.lease is None
