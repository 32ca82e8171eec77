"""A look while a rotation of the mesh is under way: it is told first, and no cure works against it."""

from datetime import timedelta

import pytest

from bot.core.approval import Act
from bot.core.findings import Verdict
from bot.core.intent import Verb
from bot.core.record import Report, ReportPosted
from bot.core.rotation import RotationState
from bot.errors import ClusterForbidden
from tests.fakes.certificates import a_key, root_pem
from tests.fakes.mesh import ROOT_KEY
from tests.unit.flow.world import BEN, DORA, World

LOOKS = pytest.mark.parametrize("verb", [Verb.CHECK, Verb.VERIFY])
FIRST = "decide on the rotation's card first"
LEFT_TO_IT = "wait for the rotation that is under way"
PAUSED = "A rotation of this mesh is paused: decide on its card first."
PAUSED_FOR_PROXIES = (
    "A rotation of this mesh is paused, because proxies took too long. "
    "See first to what of them is not proved, then decide on its card"
)
OLD_SIDECAR = "sidecar 1.0.5 does not load a new root by itself: restart Deployment cart"


def stopped_after_the_write() -> World:
    """The secret is written, and Citadel does not know of it: without a decision nothing is re-issued."""
    world = World()
    world.running("reload-ca")
    world.press(Act.CANCEL)
    world.advance()
    assert world.state is RotationState.PAUSED
    return world


def waiting_for_an_old_sidecar() -> World:
    """No step restarts it, so the proof does not come before a person does."""
    world = World()
    cart = world.cluster.member("cart")
    cart.version, cart.stuck = "1.0.5", True
    world.running("await-proxies")
    world.advance()
    return world


def paused_for_an_old_sidecar() -> World:
    world = waiting_for_an_old_sidecar()
    world.run()
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
    assert all(one.cure == FIRST for one in behind)
    hints = {one.check_id: one.hint for one in report.findings if one.red}
    assert hints["ws.root"] == FIRST
    assert hints["cp.root"] == FIRST


@LOOKS
def test_a_pause_that_a_person_asked_for_is_that_persons_to_end(verb: Verb) -> None:
    world = waiting_for_an_old_sidecar()
    world.press(Act.CANCEL)
    world.advance()

    report = looked(world, verb)

    assert report.standing.startswith(PAUSED)
    assert {one.cure for one in report.stragglers if one.verdict == Verdict.NOT_OK} == {FIRST}


def test_a_pause_for_a_fault_is_decided_on_its_card() -> None:
    world = World()
    world.running("await-secrets")
    world.cluster.fail("read", ClusterForbidden("may not list secrets"))
    world.run(each=lambda: None)
    assert world.state is RotationState.PAUSED

    assert looked(world, Verb.VERIFY).standing.startswith(PAUSED)


def test_pods_that_a_restart_waits_for_are_seen_to_before_its_rotation_goes_on() -> None:
    world = World()
    world.cluster.of_plane("pilot").by_hand = True
    world.approved()
    world.run()

    report = looked(world, Verb.VERIFY)

    assert "because control plane processes took too long" in report.standing
    (pilot,) = (
        one for one in report.stragglers if "istio-pilot" in one.what and one.verdict == Verdict.NOT_OK
    )
    assert pilot.cure.startswith("delete it by hand: Deployment istio-pilot has the update strategy OnDelete")


@LOOKS
def test_what_a_paused_rotation_waits_for_is_cured_before_it_goes_on(verb: Verb) -> None:
    world = paused_for_an_old_sidecar()

    report = looked(world, verb)

    assert report.standing == PAUSED_FOR_PROXIES
    (cart,) = (one for one in report.stragglers if one.verdict == Verdict.NOT_OK)
    assert cart.cure == OLD_SIDECAR
    assert {one.check_id: one.hint for one in report.findings}["dp.root"] == OLD_SIDECAR


def test_what_it_waits_for_is_the_cure_that_brings_it_to_its_end() -> None:
    world = paused_for_an_old_sidecar()

    world.cluster.member("cart").stuck = False
    world.cluster.converge()
    world.press(Act.KEEP_WAITING)
    world.run()

    assert world.state is RotationState.DONE


def test_a_silent_proxy_that_a_paused_rotation_waits_for_is_seen_to_first() -> None:
    world = World()
    world.cluster.member("cart").fault = "the proxy did not answer"
    world.running("await-proxies")
    world.run()

    assert looked(world, Verb.VERIFY).standing == PAUSED_FOR_PROXIES


def test_under_a_root_of_somebody_else_the_card_of_a_paused_rotation_comes_first() -> None:
    world = paused_for_an_old_sidecar()
    assert world.cluster.secret is not None
    now = world.clock.now()
    theirs = root_pem(a_key(), not_before=now, not_after=now + timedelta(days=30), serial=99)
    world.cluster.secret.write({ROOT_KEY: theirs}, manager="kubectl")

    report = looked(world, Verb.VERIFY)

    assert report.standing.startswith(PAUSED)
    assert {one.cure for one in report.stragglers if one.verdict == Verdict.NOT_OK} == {FIRST}


def test_the_note_on_old_sidecars_does_not_put_them_off_until_the_rotation_has_ended() -> None:
    report = looked(paused_for_an_old_sidecar(), Verb.CHECK)

    (note,) = (one for one in report.findings if one.check_id == "dp.version")
    assert note.hint.startswith("A rotation waits for them: restart these workloads when its card names them")


@LOOKS
def test_beside_a_running_rotation_only_what_it_waits_for_has_a_cure(verb: Verb) -> None:
    world = World()
    world.running("await-secrets")
    world.cluster.member("cart").root = b""

    report = looked(world, verb)

    assert report.standing.startswith("A rotation of this mesh is running")
    (cart,) = (one for one in report.stragglers if "istio.cart" in one.what)
    assert cart.cure == "Citadel re-issues it within minutes; wait"
    hints = {one.check_id: one.hint for one in report.findings if one.red}
    assert hints["ws.root"] == cart.cure
    assert hints["cp.root"] == LEFT_TO_IT


def test_a_running_rotation_waits_for_an_old_sidecar_too() -> None:
    report = looked(waiting_for_an_old_sidecar(), Verb.VERIFY)

    assert OLD_SIDECAR in {one.cure for one in report.stragglers}


def test_the_root_that_a_rotation_replaces_is_left_to_it_and_nobody_asks_for_another() -> None:
    world = World()
    world.running("back-up")

    hints = {one.check_id: one.hint for one in looked(world, Verb.CHECK).findings if one.red}

    assert hints == {"ca.expiry": LEFT_TO_IT}


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
