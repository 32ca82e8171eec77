"""Waiting for webhooks is waiting for both: what the API server trusts, and what it is shown."""

from datetime import timedelta

from bot.core.plan import StepKind
from bot.core.progress import Straggler
from bot.core.rotation import RotationState
from tests.unit.flow.world import MOMENT, World


def waiting() -> World:
    """A rotation that is about to wait for its webhooks."""
    world = World()
    world.approved()
    steps = world.rotation.plan.steps
    world.run(until=next(step.id for step in steps if step.kind is StepKind.AWAIT_WEBHOOKS))
    world.cluster.converge()
    return world


def wait(world: World, length: timedelta) -> None:
    world.advance()
    world.clock.pass_by(length)


def stragglers(world: World) -> tuple[Straggler, ...]:
    current = world.rotation.current
    assert current is not None
    return current[1].stragglers


def step_kind(world: World) -> StepKind:
    current = world.rotation.current
    assert current is not None
    return current[0].kind


def test_an_old_certificate_of_the_same_key_does_not_hold_the_rotation_up() -> None:
    world = waiting()

    world.run()

    assert world.state is RotationState.DONE
    assert "restart istio-sidecar-injector" not in world.cluster.effects


def test_an_expired_served_certificate_holds_the_step_and_its_component_is_restarted_once() -> None:
    world = waiting()
    world.cluster.expire_served("sidecar-injector")

    wait(world, MOMENT)
    wait(world, MOMENT)

    assert step_kind(world) is StepKind.AWAIT_WEBHOOKS
    assert ["webhook server Pod" in each.what for each in stragglers(world)] == [True]
    assert world.cluster.effects.count("restart istio-sidecar-injector") == 0

    wait(world, timedelta(minutes=6))
    wait(world, MOMENT)
    wait(world, MOMENT)
    assert world.cluster.effects.count("restart istio-sidecar-injector") == 1
    assert world.cluster.effects.count("restart istio-galley") == 0

    world.run()
    assert world.state is RotationState.DONE
    assert world.cluster.effects.count("restart istio-sidecar-injector") == 1


def test_a_server_that_does_not_answer_holds_the_step_and_is_not_restarted() -> None:
    world = waiting()
    world.cluster.hush_served("sidecar-injector")

    wait(world, timedelta(minutes=6))
    wait(world, MOMENT)
    wait(world, MOMENT)

    assert step_kind(world) is StepKind.AWAIT_WEBHOOKS
    assert stragglers(world)
    assert world.cluster.effects.count("restart istio-sidecar-injector") == 0


def test_the_step_tells_of_both_when_it_is_done() -> None:
    world = waiting()

    world.run()

    notes = [s.note for step, s in world.rotation.walk if step.kind is StepKind.AWAIT_WEBHOOKS]
    assert notes == [
        "2 of 2 webhooks carry the root; 2 of 2 webhook servers show a certificate that it vouches for"
    ]
