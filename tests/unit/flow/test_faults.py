"""Faults of the network and of rights: what may pass is waited out, what cannot ends or pauses it."""

from datetime import timedelta
from typing import cast

import pytest

from bot.core.approval import Act
from bot.core.mesh import MeshSnapshot, Part
from bot.core.progress import Wait
from bot.core.rotation import RotationState
from bot.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterRefused,
    ClusterUnreachable,
    ObjectAbsent,
    OutcomeUnknown,
)
from bot.flow.advance import LONGEST_WAIT
from bot.flow.ports import ClusterReader
from tests.unit.flow.world import World, unchanged

SOON = timedelta(minutes=1)


def halted(world: World) -> None:
    """It stopped by itself, soon, and did nothing to the mesh meanwhile."""
    began = world.clock.now()
    with unchanged(world):
        world.run(each=lambda: None)
    assert world.clock.now() - began < SOON


@pytest.mark.parametrize("fault", [ClusterUnreachable, OutcomeUnknown])
@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
@pytest.mark.parametrize(
    ("method", "step"),
    [("back_up", "back-up"), ("replace_root", "write-root"), ("restart", "reload-ca"), ("hold", "verify")],
)
def test_row_33_a_write_without_an_answer_is_settled_by_looking(
    method: str, step: str, fault: type[ClusterError], *, after: bool
) -> None:
    world = World()
    world.running(step)
    world.cluster.fail(method, fault("no answer"), after=after)

    world.run()

    assert world.state is RotationState.DONE
    assert len(world.cluster.effects) == len(set(world.cluster.effects))
    assert world.told().count("paused") == 0


def test_row_36_the_api_servers_own_wish_when_to_come_back_is_honoured() -> None:
    world = World()
    world.running("await-secrets")
    busy = ClusterUnreachable("429", retry_after=timedelta(seconds=42))
    world.cluster.fail("read", busy)

    assert world.advance() == Wait(after=timedelta(seconds=42))


def test_no_rest_outlasts_minutes_whatever_a_server_asks_for_or_a_clock_says() -> None:
    world = World()
    world.running("await-secrets", each=world.cluster.settle)
    busy = ClusterUnreachable("429", retry_after=timedelta(days=1))
    world.cluster.fail("read", busy)

    asked_for = world.advance()
    world.advance()  # the step's own act; from here on it waits
    world.reader = cast("ClusterReader", SetForward(world))
    long_look = world.advance()

    assert asked_for == long_look == Wait(after=LONGEST_WAIT)


class SetForward:
    """The cluster; during a look somebody sets the clock."""

    def __init__(self, world: World) -> None:
        self.world = world

    def read(self, parts: frozenset[Part]) -> MeshSnapshot:
        seen = self.world.cluster.read(parts)
        self.world.clock.pass_by(timedelta(minutes=10))
        return seen

    def __getattr__(self, name: str) -> object:
        return getattr(self.world.cluster, name)


def test_a_fault_that_may_pass_is_shown_on_the_card_and_not_told() -> None:
    world = World()
    world.running("await-secrets")
    told = world.told()
    world.cluster.fail("read", ClusterUnreachable("connection reset"), times=3)

    for _ in range(3):
        world.advance()

    current = world.rotation.current
    assert current is not None
    assert current[1].note == "connection reset"
    assert world.told() == told


@pytest.mark.parametrize(
    "fault",
    [
        ClusterForbidden("may not patch secrets"),
        ClusterRefused("denied by policy no-edits"),
        ObjectAbsent("secrets rootkeeper-backup does not exist"),
        ClusterConflict("somebody was faster"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_row_34_what_cannot_pass_by_itself_ends_it_before_and_pauses_it_after_the_write(
    fault: ClusterError,
) -> None:
    early, late = World(), World()
    early.running("back-up")
    early.cluster.fail("back_up", fault)
    late.running("reload-ca")
    late.cluster.fail("restart", fault)

    halted(early)
    halted(late)

    assert early.state is RotationState.FAILED
    assert late.state is RotationState.PAUSED
    assert all(fault.message in world.rotation.outcome for world in (early, late))


def test_an_error_message_that_quotes_a_key_holds_nothing_up_and_is_told_without_it() -> None:
    world = World()
    world.running("write-root")
    key = "-----BEGIN RSA " + "PRIVATE KEY-----"
    world.cluster.fail("replace_root", ClusterRefused(f"denied by a policy: {key} in clear"))

    halted(world)

    assert world.state is RotationState.FAILED
    assert "withheld: it held a private key" in world.rotation.outcome
    assert key not in repr((world.store.messages, world.store.audit))


def test_row_34_a_refused_rehearsal_writes_nothing() -> None:
    world = World()
    world.running("write-root")
    world.cluster.fail("replace_root", ClusterRefused("admission webhook says no"))

    halted(world)

    assert world.state is RotationState.FAILED
    assert "replace_root" not in world.cluster.effects


def test_keep_waiting_after_a_halt_tries_the_step_again() -> None:
    world = World()
    world.running("reload-ca")
    world.cluster.fail("restart", ClusterForbidden("may not patch deployments"))
    halted(world)

    world.press(Act.KEEP_WAITING)
    world.run()

    assert world.state is RotationState.DONE
    assert world.cluster.effects.count("restart istio-citadel") == 1


def test_a_verification_that_something_unread_holds_up_says_what_when_it_pauses() -> None:
    world = World()
    world.running("verify")
    world.cluster.hide(Part.AUTHORITY, "HorizontalPodAutoscalers in namespace istio-system", reason="403")

    world.run()

    assert world.state is RotationState.PAUSED
    [straggler] = world.rotation.current[1].stragglers if world.rotation.current else ()
    assert straggler.what == "env.read"
    assert "HorizontalPodAutoscalers in namespace istio-system: 403" in straggler.reason
    assert straggler.cure


def test_a_verification_that_finds_no_proxy_says_so_when_it_pauses() -> None:
    world = World()
    world.running("verify")
    world.cluster.members.clear()

    world.run()

    assert world.state is RotationState.PAUSED
    stragglers = world.rotation.current[1].stragglers if world.rotation.current else ()
    assert {s.what: s.reason for s in stragglers}["dp.root"] == "no running proxy of this mesh was found"
