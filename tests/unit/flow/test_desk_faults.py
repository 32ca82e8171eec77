"""Whatever goes wrong at the desk, the person hears of it, and the right ones with them."""

import pytest

from bot.core.approval import Act
from bot.core.ids import MeshName
from bot.core.intent import Verb
from bot.core.mesh import MeshSnapshot
from bot.core.rotation import RotationState
from bot.errors import ClusterForbidden, ClusterUnreachable, StoreError
from tests.unit.flow.world import World


def broken(_parts: object) -> MeshSnapshot:
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize("verb", [Verb.CHECK, Verb.VERIFY, Verb.TRANSITION])
@pytest.mark.parametrize(
    "fault",
    [ClusterUnreachable("no route"), ClusterForbidden("may not list secrets")],
    ids=["route", "rights"],
)
def test_a_fault_of_the_cluster_is_told_in_the_channel_with_its_hint(
    verb: Verb, fault: ClusterUnreachable
) -> None:
    world = World()
    world.cluster.fail("read", fault)

    world.type(verb)

    (failed,) = world.failures
    assert (failed.what, failed.message, failed.hint) == (verb, fault.message, fault.hint)
    assert failed.reference == ""
    assert world.bugs == []


def test_a_bug_is_told_with_its_reference_and_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(world.cluster, "read", broken)

    world.type(Verb.CHECK)

    (failed,) = world.failures
    assert (failed.message, failed.reference) == ("A fault in Rootkeeper itself.", "ref-1")
    assert [type(bug) for bug in world.bugs] == [ZeroDivisionError]


def test_a_bug_in_a_decision_is_told_in_the_channel_too(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.proposed()
    monkeypatch.setattr(world.cluster, "read", broken)

    world.press(Act.APPROVE)

    assert [failed.reference for failed in world.failures] == ["ref-1"]
    assert world.state is RotationState.PROPOSED


@pytest.mark.parametrize("verb", [Verb.CHECK, Verb.VERIFY, Verb.TRANSITION])
def test_when_the_record_is_down_the_person_hears_of_it_all_the_same(verb: Verb) -> None:
    world = World()
    world.store.fails_with = StoreError("disk full")

    world.type(verb)

    assert world.said == ["That did not work: disk full"]
    assert world.store.messages == ()


def test_when_the_record_is_down_a_bug_still_gets_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(world.cluster, "read", broken)
    world.store.fails_with = StoreError("disk full")

    world.type(Verb.CHECK)

    assert world.said == ["That did not work: A fault in Rootkeeper itself."]


def test_when_the_record_is_down_a_press_decides_nothing_and_is_answered() -> None:
    world = World()
    world.proposed()
    world.store.fails_with = StoreError("database is locked")

    world.press(Act.APPROVE)

    assert world.state is RotationState.PROPOSED
    assert world.said[-1] == "That did not work: database is locked"
    assert world.scheduler.asked == []


def test_a_mesh_that_nobody_knows_is_no_bug() -> None:
    world = World()

    world.type(Verb.CHECK, mesh=MeshName("prd"))

    (failed,) = world.failures
    assert failed.message == "there is no mesh prd; known: prod"
    assert world.bugs == []


def test_a_press_on_a_rotation_whose_mesh_is_not_configured_any_more_says_so() -> None:
    world = World()
    world.proposed()
    world.meshes_known = False

    world.press(Act.APPROVE)

    assert world.said[-1] == "This rotation's mesh is not in the settings any more. Put it back first."
    assert world.state is RotationState.PROPOSED
