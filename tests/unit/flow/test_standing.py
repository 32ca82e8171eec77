"""A look while a rotation of the mesh is under way: it is told first, and no cure works against it."""

import pytest

from bot.core.approval import Act
from bot.core.findings import Verdict
from bot.core.intent import Verb
from bot.core.record import Report, ReportPosted
from bot.core.rotation import RotationState
from tests.unit.flow.world import BEN, DORA, World

LOOKS = pytest.mark.parametrize("verb", [Verb.CHECK, Verb.VERIFY])
FIRST = "decide on the rotation's card first"
PAUSED = "A rotation of this mesh is paused: decide on its card first."


def stopped_after_the_write() -> World:
    """The secret is written, and Citadel does not know of it: without a decision nothing is re-issued."""
    world = World()
    world.running("reload-ca")
    world.press(Act.CANCEL)
    world.advance()
    assert world.state is RotationState.PAUSED
    return world


def looked(world: World, verb: Verb) -> Report:
    world.type(verb, by=DORA)
    return [m.content for m in world.store.messages if isinstance(m.content, ReportPosted)][-1].report


@LOOKS
def test_beside_a_paused_rotation_every_cure_comes_after_its_decision(verb: Verb) -> None:
    world = stopped_after_the_write()

    report = looked(world, verb)

    assert report.standing.startswith(PAUSED)
    behind = [one for one in report.stragglers if one.verdict == Verdict.NOT_OK]
    assert behind
    assert all(one.cure.startswith(FIRST) for one in behind)
    hints = {one.check_id: one.hint for one in report.findings if one.red}
    assert hints["ws.root"].startswith(FIRST)
    assert hints["cp.root"].startswith(FIRST)


@LOOKS
def test_beside_a_running_rotation_what_is_behind_is_left_to_it(verb: Verb) -> None:
    world = World()
    world.running("await-secrets")
    world.cluster.member("cart").root = b""

    report = looked(world, verb)

    assert report.standing.startswith("A rotation of this mesh is running")
    (cart,) = (one for one in report.stragglers if "istio.cart" in one.what)
    assert cart.cure.startswith("wait for the rotation that is under way; if its card names it, too: ")


def test_a_rotation_that_is_being_rolled_back_is_told_as_that() -> None:
    world = stopped_after_the_write()
    world.press(Act.ROLL_BACK)

    assert "is being rolled back" in looked(world, Verb.VERIFY).standing


def test_a_cure_for_what_could_not_be_read_stays_what_it_is() -> None:
    world = stopped_after_the_write()
    world.cluster.member("cart").fault = "the proxy did not answer"

    silent = [one for one in looked(world, Verb.VERIFY).stragglers if one.verdict == Verdict.UNKNOWN]

    assert silent
    assert not any(FIRST in one.cure for one in silent)


@pytest.mark.parametrize("until", ["proposed", "approved", "done"])
def test_a_rotation_that_has_not_begun_or_has_ended_is_not_told(until: str) -> None:
    world = World()
    world.proposed()
    if until != "proposed":
        world.press(Act.APPROVE, by=BEN)
    if until == "done":
        world.run()

    report = looked(world, Verb.CHECK)

    assert report.standing == ""
    assert not any("rotation" in one.hint for one in report.findings if one.check_id == "ca.expiry")
