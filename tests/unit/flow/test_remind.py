"""The scheduled check: once a threshold, a line a day, loud when it could not run."""

from datetime import timedelta

import pytest

from bot.core.intent import Verb
from bot.core.mesh import ForeignSigns, MutualTls, Part
from bot.core.record import CheckCouldNotRun, CheckRecord, DailyLine, Event, Placement, Warned
from bot.core.rotation import RotationState
from bot.errors import ClusterUnreachable, StoreError
from bot.flow.remind import remind
from tests.fakes.cluster import MESH, FakeCluster
from tests.fakes.mesh import CITADEL, ROOT_KEY
from tests.unit.flow.world import SetClock, World

DAY = timedelta(days=1)
LADDER = ["90 days", "60 days", "30 days", "14 days", "7 days", "3 days", "1 day", "expired"]


def with_root(days_left: float) -> World:
    clock = SetClock()
    return World(FakeCluster(clock, days_left=days_left), clock=clock)


def checked(world: World, *, days: int = 1) -> None:
    """The check of each day, for so many days."""
    for _ in range(days):
        remind(world.record, world.ports, world.clock, world.keys, looks=world.looks)
        world.clock.pass_by(DAY)


def warned(world: World) -> list[str]:
    return [m.content.threshold for m in world.store.messages if isinstance(m.content, Warned)]


def loud(world: World) -> list[CheckCouldNotRun]:
    return [m.content for m in world.store.messages if isinstance(m.content, CheckCouldNotRun)]


def lines(world: World) -> list[str]:
    return [m.subject for m in world.store.messages if isinstance(m.content, DailyLine)]


def latest(world: World) -> CheckRecord:
    record = world.store.last_check(MESH)
    assert record is not None
    return record


def test_in_a_year_each_threshold_is_told_once_and_each_day_between_has_its_line() -> None:
    world = with_root(365.5)

    checked(world, days=380)

    assert warned(world) == LADDER
    assert len(lines(world)) == 380 - 276 - len(LADDER)
    assert loud(world) == []


def test_a_warning_is_a_message_and_its_lines_stand_in_its_thread() -> None:
    world = with_root(14.5)

    checked(world, days=5)

    told = [(m.placement, m.subject.rpartition("/")[2]) for m in world.store.messages]
    assert told == [
        (Placement.NEW, "30 days"),
        (Placement.NEW, "14 days"),
        *[(Placement.REPLY, "14 days")] * 3,
    ]


def test_a_first_look_at_an_old_root_tells_the_most_urgent_threshold_only() -> None:
    world = with_root(2.5)

    checked(world)

    assert warned(world) == ["3 days"]


def test_the_same_day_checked_again_warns_no_second_time() -> None:
    world = with_root(12)
    for _ in range(5):
        remind(world.record, world.ports, world.clock, world.keys, looks=world.looks)

    assert warned(world) == ["14 days"]


def test_a_root_that_lives_long_is_checked_in_silence() -> None:
    world = with_root(300)

    checked(world, days=3)

    assert world.store.messages == ()
    assert latest(world).ok
    assert latest(world).remaining is not None
    assert [row.event for row in world.store.audit] == [Event.CHECKED] * 3


def test_a_mesh_that_does_not_use_mutual_tls_is_left_in_peace() -> None:
    world = with_root(2)
    world.cluster.mutual_tls = MutualTls(mesh_policy="", destination_rules=0, control_plane=False)

    checked(world, days=5)

    assert world.store.messages == ()
    assert latest(world).ok


def test_a_mesh_of_which_nobody_can_say_whether_it_uses_mutual_tls_is_warned_of() -> None:
    world = with_root(2.5)
    world.cluster.mutual_tls = MutualTls(
        mesh_policy=None, policies=None, destination_rules=None, control_plane=None
    )

    checked(world)

    assert warned(world) == ["3 days"]


def test_after_a_rotation_nothing_is_said_of_the_old_root_any_more() -> None:
    world = World()
    checked(world)
    world.approved()
    world.run()
    said = len(world.store.messages)

    checked(world, days=20)

    assert world.state is RotationState.DONE
    assert len(world.store.messages) == said


def test_in_the_middle_of_a_rotation_the_check_neither_warns_nor_is_loud() -> None:
    world = World()
    world.running("await-secrets")

    remind(world.record, world.ports, world.clock, world.keys, looks=world.looks)

    assert (warned(world), loud(world), lines(world)) == ([], [], [])
    assert latest(world).ok


def test_a_request_that_waits_does_not_silence_the_warning() -> None:
    world = World()
    world.proposed()

    remind(world.record, world.ports, world.clock, world.keys, looks=world.looks)

    assert warned(world) == ["14 days"]


# --- could not run --------------------------------------------------------------------------------------------


def test_a_check_that_could_not_run_is_loud_every_time_and_says_when_it_last_did() -> None:
    world = with_root(300)
    checked(world)
    last = world.clock.now() - DAY
    world.cluster.fail("read", ClusterUnreachable("no route"), times=2)

    checked(world, days=2)

    assert [(one.message, one.hint, one.last_success) for one in loud(world)] == [
        ("no route", ClusterUnreachable.hint, last)
    ] * 2
    assert (latest(world).ok, latest(world).last_success) == (False, last)
    assert [row.event for row in world.store.audit][-2:] == [Event.CHECK_FAILED] * 2
    assert len({m.subject for m in world.store.messages}) == 2


def test_a_check_that_never_ran_says_so() -> None:
    world = with_root(300)
    world.cluster.fail("read", ClusterUnreachable("no route"))

    checked(world)

    assert [one.last_success for one in loud(world)] == [None]


def test_a_ca_secret_that_may_not_be_read_is_loud() -> None:
    world = with_root(300)
    world.cluster.hide(Part.AUTHORITY, "Secret istio-system/istio-ca-secret", reason="forbidden")

    checked(world)

    (told,) = loud(world)
    assert "could not be read: forbidden" in told.message
    assert not latest(world).ok


def test_a_ca_secret_that_vanished_is_loud() -> None:
    world = with_root(300)
    world.cluster.secret = None

    checked(world)

    (told,) = loud(world)
    assert told.message == "Secret istio-system/istio-ca-secret does not exist"
    assert "Do not restart Citadel" in told.hint


@pytest.mark.parametrize("value", [b"", b"not a certificate", b"\xff\xfe"])
def test_3_a_ca_certificate_that_cannot_be_read_is_loud(value: bytes) -> None:
    world = with_root(300)
    world.cluster.change_data(ROOT_KEY, value)

    checked(world)

    (told,) = loud(world)
    assert told.message.startswith("ca-cert.pem")


def test_a_mesh_in_which_no_ca_is_recognised_is_loud() -> None:
    world = with_root(300)
    world.cluster.secret = None
    world.cluster.plane.remove(world.cluster.of_plane(CITADEL))

    checked(world)

    assert len(loud(world)) == 1


def test_a_mesh_of_another_kind_is_left_alone_in_silence() -> None:
    world = with_root(300)
    world.cluster.secret = None
    world.cluster.foreign = ForeignSigns(workloads=("Deployment cert-manager/istio-csr",))

    checked(world)

    assert world.store.messages == ()


def test_a_bug_in_the_check_is_loud_and_still_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    world = with_root(300)

    def broken(_parts: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.cluster, "read", broken)

    with pytest.raises(ZeroDivisionError):
        remind(world.record, world.ports, world.clock, world.keys, looks=world.looks)

    assert [one.message for one in loud(world)] == ["a fault in Rootkeeper itself"]


def test_when_nothing_can_be_recorded_nothing_is_told() -> None:
    world = with_root(2)
    world.store.fails_with = StoreError("disk full")

    with pytest.raises(StoreError):
        remind(world.record, world.ports, world.clock, world.keys, looks=world.looks)

    assert world.store.messages == ()


def test_a_check_asked_for_gives_no_warning_away() -> None:
    world = with_root(12)
    world.type(Verb.CHECK)

    checked(world)

    assert warned(world) == ["14 days"]
