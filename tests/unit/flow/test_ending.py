"""Ended short: by a second person, for exactly what was shown, never green, and nothing is in its way after."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.approval import Act
from bot.core.findings import Verdict
from bot.core.intent import Verb
from bot.core.mesh import Part
from bot.core.record import Event, Placement, ReportPosted, Result, StragglerFile
from bot.core.replies import EndOffered
from bot.core.rotation import RotationState
from bot.errors import ClusterUnreachable
from tests.fakes.cluster import FakeCluster
from tests.fakes.mesh import CITADEL, ROOT_KEY, SYSTEM
from tests.unit.flow.world import (
    ANNA,
    BEN,
    CLEO,
    DORA,
    WITH_GALLEY,
    Overtaken,
    SetClock,
    World,
    caller,
    unchanged,
)

FOREIGN = b"-----BEGIN CERTIFICATE-----\nof somebody else\n-----END CERTIFICATE-----\n"
SOON = timedelta(minutes=1)
CART = "proxy of shop/cart-0"
PENDING = "its pod is Pending"


def refusals(world: World) -> list[tuple[str, str]]:
    """(who, code) of every refusal on record."""
    rows = [row for row in world.store.audit if row.event is Event.REFUSED]
    return [(row.person.name if row.person else "", dict(row.detail)["code"]) for row in rows]


def stuck(*, backwards: bool = False, cluster: FakeCluster | None = None) -> World:
    """Paused, because one proxy can never be read."""
    world = World(cluster)
    world.cluster.member("cart").fault = PENDING
    world.running("await-proxies")
    world.run()
    if backwards:
        world.press(Act.ROLL_BACK)
        world.run()
    assert (world.state, world.rotation.backwards) == (RotationState.PAUSED, backwards)
    return world


def paused_at(step: str) -> World:
    world = World()
    world.running(step)
    world.press(Act.CANCEL)
    world.run()
    assert world.state is RotationState.PAUSED
    return world


# --- what is shown -------------------------------------------------------------------------------


def test_the_dialog_shows_what_is_missing_now_and_nothing_is_decided_by_looking() -> None:
    world = stuck()
    before = world.rotation

    with unchanged(world):
        offer = world.considered()

    assert offer is not None
    assert (offer.share, offer.total, offer.why) == ("1 of 5 proxies not proved", 1, "")
    assert [(one.what, one.reason) for one in offer.stragglers] == [(CART, PENDING)]
    assert offer.old_root_ends == before.plan.old_root.not_after
    assert world.rotation == before


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (ANNA, "own_request"),
        (DORA, "not_an_approver"),
        (replace(BEN, is_guest=True), "guest"),
        (replace(BEN, deleted=True), "deactivated"),
        (replace(BEN, is_stranger=True), "stranger"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("confirming", [False, True])
def test_who_may_not_end_it_is_shown_nothing_and_can_confirm_nothing(
    who: object, code: str, *, confirming: bool
) -> None:
    world = stuck()
    offer = world.considered(by=CLEO)
    assert offer is not None
    world.directory.people[who.team, who.user] = who  # type: ignore[attr-defined, assignment]
    before, reads, told = world.rotation, len(world.cluster.reads), world.told()

    if confirming:
        world.confirmed(offer, by=who)  # type: ignore[arg-type]
    else:
        assert world.considered(by=who) is None  # type: ignore[arg-type]

    assert world.rotation == before
    assert refusals(world)[-1][1] == code
    assert len(world.cluster.reads) == reads
    assert world.told() == told


def test_a_requester_who_is_an_approver_cannot_end_it_alone() -> None:
    world = stuck()
    world.directory.approving = (*world.directory.approving, ANNA.user)

    world.end(by=ANNA)

    assert world.state is RotationState.PAUSED
    assert refusals(world)[-1] == ("Anna", "own_request")


# --- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "rolling back"])
def test_it_ends_short_by_name_and_never_as_done(*, backwards: bool) -> None:
    world = stuck(backwards=backwards)
    decided = world.rotation.version

    with unchanged(world):
        world.end(note="cart waits for a node")

    ended = world.rotation
    assert ended.state is RotationState.ENDED_SHORT
    assert (ended.version, ended.final) == (decided + 1, True)
    assert ended.finished_at == world.clock.now()
    assert [(one.what, one.verdict) for one in ended.left_behind] == [(CART, "unknown")]
    assert ended.outcome.startswith(f"ended by Ben with 1 of 5 proxies not proved: {CART}; ")
    assert f"{ended.plan.old_root.not_after:%Y-%m-%d %H:%M} UTC" in ended.outcome
    assert (ended.decisions[-1].act, ended.decisions[-1].note) == ("end here", "cart waits for a node")
    assert world.store.active_rotations() == ()
    assert not {"done", "rolled_back"} & set(world.told())


def test_the_whole_channel_hears_it_and_the_audit_record_has_it() -> None:
    world = stuck()

    world.end(by=CLEO, note="waits for a node")

    message = world.store.messages[-1]
    assert isinstance(message.content, Result)
    assert (message.placement, message.content.event) == (Placement.BROADCAST, Event.ENDED_SHORT)
    assert message.content.note == world.rotation.outcome
    assert [one.what for one in message.content.stragglers] == [CART]
    row = world.store.audit[-1]
    assert (row.event, row.person, row.channel) == (Event.ENDED_SHORT, CLEO.person, "C0MESH")
    assert dict(row.detail) == {
        "outcome": world.rotation.outcome,
        "left": "1",
        "note": "waits for a node",
        "approvers": " ".join(sorted(world.directory.approving)),
        "approvers_configured": " ".join(world.directory.approving),
    }


def test_more_than_a_message_shows_come_as_a_file_and_are_all_on_record() -> None:
    clock = SetClock()
    carts = tuple(("shop", f"cart-{n:02}") for n in range(14))
    world = World(FakeCluster(clock, accounts=(*WITH_GALLEY, *carts)), clock=clock)
    for _, account in carts:
        world.cluster.member(account).fault = PENDING
    world.running("await-proxies")
    world.run()

    offer = world.considered()
    assert offer is not None
    world.confirmed(offer)

    assert (len(offer.stragglers), offer.total) == (10, 14)
    assert len(world.rotation.left_behind) == 14
    assert "proxy of shop/cart-02-0 and 11 more; mend or restart them" in world.rotation.outcome
    file = world.store.messages[-1].content
    assert isinstance(file, StragglerFile)
    assert file.stragglers == world.rotation.left_behind


def test_after_the_old_root_s_end_it_says_that_it_is_late() -> None:
    world = stuck()
    world.clock.at = world.rotation.plan.old_root.not_after + SOON

    world.end()

    assert "the old root ended on" in world.rotation.outcome


def test_what_is_recorded_is_what_is_missing_at_that_moment() -> None:
    world = stuck()
    world.cluster.member("ledger").fault = "did not answer"
    assert [one.what for one in world.rotation.current[1].stragglers] == [CART]  # type: ignore[index]

    world.end()

    assert {one.what for one in world.rotation.left_behind} == {CART, "proxy of bank/ledger-0"}


def test_it_stands_in_nobodys_way_afterwards() -> None:
    world = stuck()
    new_root = world.rotation.plan.new_root.fingerprint
    world.end()
    world.cluster.member("cart").fault = ""
    world.cluster.converge()

    world.type(Verb.VERIFY, by=DORA)
    verified = world.store.messages[-1].content
    world.run()
    lease = world.cluster.lease
    world.clock.pass_by(SOON)
    world.approved()
    world.run()

    assert lease is None
    assert isinstance(verified, ReportPosted)
    assert (verified.report.root, verified.report.verdict) == (new_root, Verdict.OK)
    assert world.state is RotationState.DONE


def test_a_verification_afterwards_is_not_green_while_something_is_missing() -> None:
    world = stuck(backwards=True)
    old_root = world.rotation.plan.old_root.fingerprint
    world.end()

    world.type(Verb.VERIFY, by=DORA)

    verified = world.store.messages[-1].content
    assert isinstance(verified, ReportPosted)
    assert (verified.report.root, verified.report.verdict) == (old_root, Verdict.UNKNOWN)


# --- for exactly what was shown -----------------------------------------------------------------


@pytest.mark.parametrize("shown", ["", "0" * 64, "x" * 3000])
def test_a_forged_confirmation_decides_nothing(shown: str) -> None:
    world = stuck()
    told = world.told()

    world.confirmed(replace(_offer(world), shown=shown))

    assert (world.state, world.told()) == (RotationState.PAUSED, told)
    assert refusals(world)[-1] == ("Ben", "shown_changed")


def _offer(world: World) -> EndOffered:
    offer = world.considered()
    assert offer is not None
    return offer


@pytest.mark.parametrize("more", [True, False], ids=["one more", "another"])
def test_a_confirmation_of_something_else_decides_nothing_and_says_what_is_so_now(*, more: bool) -> None:
    world = stuck()
    offer = _offer(world)
    world.cluster.member("ledger").fault = "did not answer"
    if not more:
        world.cluster.member("cart").fault = ""
        world.cluster.converge()

    world.confirmed(offer)

    again = world.replies.said[-1][1]
    assert world.state is RotationState.PAUSED
    assert isinstance(again, EndOffered)
    assert (again.changed, again.total) == (True, 2 if more else 1)
    assert refusals(world)[-1] == ("Ben", "shown_changed")
    world.confirmed(again)
    assert world.rotation.state is RotationState.ENDED_SHORT


def test_a_dialog_from_before_a_roll_back_ends_no_roll_back() -> None:
    world = stuck()
    offer = _offer(world)
    world.press(Act.ROLL_BACK)
    world.run()
    assert (world.state, world.rotation.backwards) == (RotationState.PAUSED, True)

    world.confirmed(offer)

    assert world.state is RotationState.PAUSED
    assert refusals(world)[-1] == ("Ben", "shown_changed")


def test_a_dialog_that_was_overtaken_by_keep_waiting_decides_nothing() -> None:
    world = stuck()
    offer = _offer(world)
    world.press(Act.KEEP_WAITING)

    world.confirmed(offer)

    assert world.state is RotationState.RUNNING
    assert refusals(world)[-1] == ("Ben", "already_running")


def test_a_keep_waiting_in_the_same_moment_wins() -> None:
    world = stuck()
    offer = _offer(world)

    def overtake() -> None:
        world.record = world.store
        world.press(Act.KEEP_WAITING, by=CLEO)

    world.record = Overtaken(world.store, by=overtake)  # type: ignore[assignment]
    world.confirmed(offer)

    assert world.state is RotationState.RUNNING
    assert refusals(world)[-1] == ("Ben", "already_running")


def test_a_double_press_ends_it_once() -> None:
    world = stuck()
    offer = _offer(world)

    world.confirmed(offer)
    world.confirmed(offer)
    world.confirmed(offer, by=CLEO)

    assert world.told().count("ended_short") == 1
    assert [code for _, code in refusals(world)] == ["already_ended_short"] * 2
    assert [d.act for d in world.rotation.decisions].count("end here") == 1


def test_when_everything_came_after_all_it_is_not_ended_short() -> None:
    world = stuck()
    offer = _offer(world)
    world.cluster.member("cart").fault = ""
    world.cluster.converge()

    world.confirmed(offer)
    refused = world.state, refusals(world)[-1][1]
    world.press(Act.KEEP_WAITING)
    world.run()

    assert refused == (RotationState.PAUSED, "nothing_missing")
    assert world.state is RotationState.DONE


# --- not while the CA is between two roots ------------------------------------------------------


@pytest.mark.parametrize("step", ["write-root", "reload-ca"])
def test_a_ca_between_two_roots_is_not_left_so(step: str) -> None:
    world = World()
    world.running(step)
    world.advance()
    world.press(Act.CANCEL)
    world.run()
    assert (world.state, world.rotation.current[0].id) == (RotationState.PAUSED, step)  # type: ignore[index]

    world.end()

    assert world.state is RotationState.PAUSED
    assert refusals(world)[-1] == ("Ben", "ca_unfinished")
    assert "It is not proved yet that Citadel signs with the new root" in world.said[-1]
    assert "*Keep waiting* proves it, *Roll back* undoes it" in world.said[-1]


def test_a_roll_back_whose_citadel_is_not_reloaded_yet_is_not_ended() -> None:
    world = paused_at("await-proxies")
    world.press(Act.ROLL_BACK)
    world.run(each=lambda: None)

    world.end()

    assert (world.state, world.rotation.backwards) == (RotationState.PAUSED, True)
    assert refusals(world)[-1] == ("Ben", "ca_unfinished")


def test_without_a_citadel_that_is_ready_it_is_not_ended() -> None:
    world = World()
    world.cluster.member("cart").fault = PENDING
    world.running("await-proxies")
    world.run()
    world.cluster.of_plane(CITADEL).down = True

    world.end()

    assert world.state is RotationState.PAUSED
    assert refusals(world)[-1] == ("Ben", "ca_not_ready")


def test_the_old_bytes_put_back_by_hand_are_a_matter_for_a_roll_back() -> None:
    world = stuck()
    world.cluster.change_data(ROOT_KEY, world.rotation.plan.old_root.pem)

    world.end()

    assert world.state is RotationState.PAUSED
    assert refusals(world)[-1] == ("Ben", "ca_disturbed")
    assert "choose *Roll back*" in world.said[-1]


@pytest.mark.parametrize(
    "what", ["Deployments in namespace istio-system", "Secret istio-system/istio-ca-secret"]
)
def test_what_cannot_be_read_is_no_reason_to_end(what: str) -> None:
    world = paused_at("await-secrets")
    world.cluster.plane.clear()
    world.cluster.hide(Part.AUTHORITY, what, reason="timed out")
    world.cluster.hide(Part.AUTHORITY, "Deployments in namespace istio-system", reason="timed out")

    world.end()

    assert world.state is RotationState.PAUSED
    assert f"{what} could not be read: timed out" in world.said[-1]


def test_a_mesh_that_cannot_be_reached_leaves_it_paused() -> None:
    world = stuck()
    world.cluster.fail("read", ClusterUnreachable("no route to the API server"))

    world.end()

    assert world.state is RotationState.PAUSED
    assert world.said[-1] == "That did not work: no route to the API server"


def test_what_could_not_be_read_among_the_holders_is_left_behind_by_name() -> None:
    world = paused_at("await-secrets")
    world.cluster.converge()
    world.cluster.hide(Part.SECRETS, "Secrets in namespace shop", reason="may not")

    world.end()

    assert world.state is RotationState.ENDED_SHORT
    assert "Secrets in namespace shop" in {one.what for one in world.rotation.left_behind}


def test_what_is_not_proved_always_has_a_name() -> None:
    world = paused_at("verify")
    world.cluster.hide(Part.AUTHORITY, "Pods in namespace istio-system", reason="may not")

    world.end()

    assert world.state is RotationState.ENDED_SHORT
    assert [one.what for one in world.rotation.left_behind] == ["env.read"]
    assert world.rotation.outcome.startswith("ended by Ben with 1 finding: env.read; ")


# --- neither on nor back --------------------------------------------------------------------------


def ended_with(world: World, why: str) -> None:
    offer = _offer(world)
    assert why in offer.why
    world.confirmed(offer)
    assert world.state is RotationState.ENDED_SHORT
    assert world.spoken[-1].event is Event.ENDED_SHORT
    assert why in world.rotation.outcome
    assert world.store.active_rotations() == ()


@pytest.mark.parametrize("backwards", [False, True])
def test_a_ca_secret_that_is_somebody_elses_now_ends_it(*, backwards: bool) -> None:
    world = paused_at("await-secrets")
    world.cluster.change_data(ROOT_KEY, FOREIGN)
    if backwards:
        world.press(Act.ROLL_BACK)
        world.run(each=lambda: None)

    ended_with(world, "istio-ca-secret was changed by kubectl-edit")

    assert world.live_root == FOREIGN


def test_a_ca_secret_that_vanished_ends_it() -> None:
    world = paused_at("await-secrets")
    world.cluster.secret = None

    ended_with(world, "istio-ca-secret has vanished")


def test_a_roll_back_whose_backup_is_gone_ends() -> None:
    world = paused_at("await-secrets")
    world.press(Act.ROLL_BACK)
    assert world.cluster.backup is not None
    world.cluster.backup.data.clear()
    world.run(each=lambda: None)

    ended_with(world, "there is no backup of rotation")


def test_a_roll_back_whose_backup_somebody_changed_ends() -> None:
    world = paused_at("await-secrets")
    world.press(Act.ROLL_BACK)
    assert world.cluster.backup is not None
    for key in world.cluster.backup.data:
        world.cluster.backup.data[key] = FOREIGN
    world.run(each=lambda: None)

    ended_with(world, "does not hold the old root any more")


def test_a_rotation_whose_citadel_is_gone_ends() -> None:
    world = World()
    world.running("reload-ca")
    world.cluster.plane.remove(world.cluster.of_plane(CITADEL))
    world.run(each=lambda: None)

    ended_with(world, f"Deployment {SYSTEM}/istio-citadel no longer exists")


def test_a_roll_back_that_comes_too_late_ends() -> None:
    world = paused_at("await-secrets")
    world.press(Act.ROLL_BACK)
    world.clock.at = world.rotation.plan.old_root.not_after
    world.run()

    ended_with(world, "the old root has expired")


def test_a_new_root_put_back_under_a_roll_back_ends_it() -> None:
    world = stuck(backwards=True)
    world.cluster.change_data(ROOT_KEY, world.rotation.plan.new_pem)

    ended_with(world, "was changed by kubectl-edit")


def test_old_bytes_put_back_too_late_for_a_roll_back_end_it() -> None:
    world = stuck()
    world.cluster.change_data(ROOT_KEY, world.rotation.plan.old_root.pem)
    world.clock.at = world.rotation.plan.old_root.not_after - SOON

    ended_with(world, "was changed by kubectl-edit")


# --- the cancel does not end what is changed ----------------------------------------------------


@pytest.mark.parametrize("who", [ANNA, BEN])
def test_a_cancel_gives_nothing_up_and_names_the_choices(who: object) -> None:
    world = stuck()

    world.type(Verb.CANCEL, by=who)  # type: ignore[arg-type]

    assert world.state is RotationState.PAUSED
    assert refusals(world)[-1][1] == "already_changed"
    assert "*Keep waiting* or *Roll back* or *End here*" in world.said[-1]


def test_a_bug_while_looking_is_told_in_the_dialog_too(monkeypatch: pytest.MonkeyPatch) -> None:
    world = stuck()

    def broken(_parts: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.cluster, "read", broken)
    in_dialog = replace(caller(BEN), view="V1")
    world.desk.consider_end(in_dialog, world.rotation_id)

    assert world.state is RotationState.PAUSED
    assert world.failures[-1].reference == "ref-1"
    assert world.replies.said[-1][0].view == "V1"
