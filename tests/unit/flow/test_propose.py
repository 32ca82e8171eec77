"""From a wish to a proven plan: what stands in the way is named, and nothing is written."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.core.findings import Verdict
from bot.core.mesh import Access, ObjectRef, Part
from bot.errors import CertificateUnusable, ClusterConflict, ClusterUnreachable, KeyUnusable
from bot.flow.propose import Draft, draft_plan, redraft_plan, why_stale
from tests.fakes.certificates import a_key, key_pem, root_pem
from tests.fakes.cluster import FakeCluster
from tests.fakes.mesh import PRIVATE_KEY, ROOT_KEY
from tests.unit.flow.world import NOW, World, unchanged

TEN_YEARS = timedelta(days=3650)


def drafted(world: World) -> Draft:
    return draft_plan(world.ports, world.clock, world.keys, lifetime=TEN_YEARS)


def test_a_quiet_mesh_gives_a_plan_and_stays_untouched() -> None:
    world = World()

    with unchanged(world):
        draft = drafted(world)

    assert draft.obstacles == ()
    assert draft.plan is not None
    assert draft.plan.new_root.not_after == NOW + TEN_YEARS
    assert draft.plan.new_root.subject == draft.plan.old_root.subject
    assert world.cluster.lease is None


def test_the_same_mesh_planned_again_with_the_same_root_gives_the_same_digest() -> None:
    world = World()
    plan = drafted(world).plan
    assert plan is not None
    world.clock.pass_by(timedelta(minutes=40))
    world.cluster.touch_metadata()

    again = redraft_plan(world.ports, world.clock, world.keys, approved=plan)

    assert again.plan is not None
    assert again.plan.digest == plan.digest
    assert why_stale(plan, again, digest=plan.digest) == ()


def test_two_wishes_are_two_roots() -> None:
    world = World()

    first, second = drafted(world).plan, drafted(world).plan

    assert first is not None
    assert second is not None
    assert first.digest != second.digest


Disturb = Callable[[FakeCluster], None]


def _expire(cluster: FakeCluster) -> None:
    cluster.clock.pass_by(timedelta(days=12))  # type: ignore[attr-defined]


def _other_key(cluster: FakeCluster) -> None:
    cluster.change_data(PRIVATE_KEY, key_pem(a_key(4711)))


def _plugged(cluster: FakeCluster) -> None:
    cluster.foreign = type(cluster.foreign)(plugged_secret=True)


def _immutable(cluster: FakeCluster) -> None:
    assert cluster.secret is not None
    cluster.secret.immutable = True


def _owned(cluster: FakeCluster) -> None:
    assert cluster.secret is not None
    cluster.secret.owners = ("ExternalSecret istio-ca",)


def _gone(cluster: FakeCluster) -> None:
    cluster.secret = None


def _empty(cluster: FakeCluster) -> None:
    cluster.change_data(ROOT_KEY, b"")


def _skewed(cluster: FakeCluster) -> None:
    cluster.skew = timedelta(minutes=10)


def _rolling(cluster: FakeCluster) -> None:
    cluster.of_plane("citadel").rolling = True


def _rollouts_paused(cluster: FakeCluster) -> None:
    cluster.of_plane("citadel").paused = True


@pytest.mark.parametrize(
    ("disturb", "check_id"),
    [
        (_expire, "ca.not_expired"),
        (_other_key, "ca.key_matches"),
        (_plugged, "ca.single_source"),
        (_immutable, "ca.secret_fit"),
        (_owned, "ca.owner"),
        (_gone, "ca.present"),
        (_empty, "ca.readable"),
        (_skewed, "env.clock"),
        (_rolling, "ca.healthy"),
        (_rollouts_paused, "ca.healthy"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_obstacle_is_named_and_the_plan_refused(disturb: Disturb, check_id: str) -> None:
    world = World()
    disturb(world.cluster)

    draft = drafted(world)

    assert draft.plan is None
    assert check_id in {finding.check_id for finding in draft.obstacles}
    assert all(finding.verdict in (Verdict.NOT_OK, Verdict.UNKNOWN) for finding in draft.obstacles)
    assert world.cluster.effects == []


@pytest.mark.parametrize(
    "what", ["Secret istio-system/istio-ca-secret", "Deployments in namespace istio-system"]
)
def test_2_what_cannot_be_read_is_unknown_and_forbids(what: str) -> None:
    world = World()
    world.cluster.hide(Part.AUTHORITY, what, reason="forbidden")

    draft = drafted(world)

    assert draft.plan is None
    assert Verdict.UNKNOWN in {finding.verdict for finding in draft.obstacles}


def test_the_key_is_not_read_when_an_obstacle_stands_already() -> None:
    world = World()
    _rolling(world.cluster)
    world.cluster.fail("signing_key", AssertionError("it was read"))  # type: ignore[arg-type]

    assert drafted(world).plan is None


def test_a_key_that_cannot_sign_is_an_obstacle_and_not_an_error() -> None:
    world = World()
    world.cluster.fail("signing_key", KeyUnusable("the key is encrypted"))

    draft = drafted(world)

    assert [(f.check_id, f.summary) for f in draft.obstacles] == [("ca.key_matches", "the key is encrypted")]


def test_a_root_that_cannot_be_re_issued_is_an_obstacle_and_not_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise CertificateUnusable("it has an unknown critical extension")

    monkeypatch.setattr("bot.flow.propose.extend_root", refuse)

    draft = drafted(World())

    assert [(f.check_id, f.summary) for f in draft.obstacles] == [
        ("proof.candidate", "it has an unknown critical extension")
    ]


@pytest.mark.parametrize("fault", [ClusterUnreachable("no route"), ClusterConflict("changed meanwhile")])
def test_a_fault_while_reading_is_the_callers_to_tell(fault: ClusterUnreachable) -> None:
    world = World()
    world.cluster.fail("signing_key", fault)

    with pytest.raises(type(fault)):
        drafted(world)


def test_every_difference_makes_a_plan_stale_once() -> None:
    world = World()
    plan = drafted(world).plan
    assert plan is not None
    world.cluster.plane.remove(world.cluster.of_plane("galley"))

    again = redraft_plan(world.ports, world.clock, world.keys, approved=plan)

    assert why_stale(plan, again, digest=plan.digest) == ("other steps would be needed now",)


# --- what was so before -----------------------------------------------------------------------------------


def test_a_mesh_in_order_gives_the_approver_nothing_to_note() -> None:
    plan = drafted(World()).plan

    assert plan is not None
    assert plan.notes == ()


def test_p8_what_is_behind_already_is_told_to_the_approver_and_forbids_nothing() -> None:
    world = World()
    older = root_pem(a_key(), not_before=NOW - timedelta(days=400), not_after=NOW + timedelta(days=5))
    world.cluster.member("cart").root = older

    plan = drafted(world).plan

    assert plan is not None
    [note] = plan.notes
    assert note.startswith("Already so before: ")
    assert "istio.cart" in note
    assert "still holds the root that ends 2026-11-28" in note


def test_p8_a_proxy_that_cannot_be_asked_already_is_named_with_what_it_means() -> None:
    world = World()
    world.cluster.member("cart").fault = "its container is not running"

    plan = drafted(world).plan

    assert plan is not None
    [note] = plan.notes
    assert note.startswith("Already so before, and it keeps a rotation from being done: ")
    assert "its container is not running" in note


def test_p8_what_breaks_between_two_looks_does_not_void_an_approval() -> None:
    world = World()
    plan = drafted(world).plan
    assert plan is not None
    world.cluster.member("cart").fault = "its container is not running"

    again = redraft_plan(world.ports, world.clock, world.keys, approved=plan)

    assert why_stale(plan, again, digest=plan.digest) == ()


def test_a_server_that_cannot_rehearse_gives_no_plan() -> None:
    world = World()
    world.cluster.access = Access(kubernetes="v1.12.10")

    draft = drafted(world)

    assert draft.plan is None
    assert [(f.check_id, f.verdict) for f in draft.obstacles] == [("env.kubernetes", Verdict.NOT_OK)]
    assert "1.13" in draft.obstacles[0].hint


def test_a_server_of_unknown_age_gives_no_plan() -> None:
    world = World()
    world.cluster.access = Access(kubernetes="custom")

    assert [(f.check_id, f.verdict) for f in drafted(world).obstacles] == [
        ("env.kubernetes", Verdict.UNKNOWN)
    ]


@pytest.mark.parametrize("component", ["citadel", "pilot", "sidecar-injector"])
def test_what_the_bot_may_not_restart_is_named_before_there_is_a_plan(component: str) -> None:
    world = World()
    ref = world.cluster.of_plane(component).ref
    world.cluster.access = Access(kubernetes="v1.37.2", unpatchable=(ref,))

    draft = drafted(world)

    assert draft.plan is None
    assert [(f.check_id, f.offenders) for f in draft.obstacles] == [("env.restarts", (str(ref),))]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Secret", "istio-ca-secret"), ("Secret", "rootkeeper-backup"), ("Lease", "rootkeeper")],
)
def test_what_the_bot_may_not_write_is_named_before_there_is_a_plan(kind: str, name: str) -> None:
    world = World()
    ref = ObjectRef(kind=kind, namespace="istio-system", name=name)
    world.cluster.access = Access(kubernetes="v1.37.2", unpatchable=(ref,))

    draft = drafted(world)

    assert draft.plan is None
    assert [(f.check_id, f.offenders) for f in draft.obstacles] == [("env.writes", (str(ref),))]


def test_whom_nobody_restarts_need_not_be_restartable() -> None:
    world = World()
    gateway = ObjectRef(kind="Deployment", namespace="istio-system", name="istio-ingressgateway")
    world.cluster.access = Access(kubernetes="v1.37.2", unpatchable=(gateway,))

    assert drafted(world).plan is not None


@pytest.mark.parametrize(
    ("held", "words"), [("by_hand", "somebody must delete its pods"), ("paused", "somebody must resume them")]
)
def test_a_part_whose_pods_do_not_follow_by_themselves_is_told_in_the_plan(held: str, words: str) -> None:
    world = World()
    plain = drafted(world).plan
    setattr(world.cluster.of_plane("pilot"), held, True)

    plan = drafted(world).plan

    assert plain is not None
    assert plan is not None
    assert [step.id for step in plan.steps if words in step.why] == ["restart-deployment-istio-pilot"]
    assert not [step.id for step in plain.steps if words in step.why]
