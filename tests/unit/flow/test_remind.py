"""The scheduled check: once a threshold, a line a day, loud when it could not run."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.core.approval import Act
from bot.core.ids import MeshName
from bot.core.intent import Verb
from bot.core.mesh import ForeignSigns, MeshSnapshot, MutualTls, Part
from bot.core.record import (
    Alarm,
    CheckCouldNotRun,
    CheckRecord,
    DailyLine,
    Event,
    Milestone,
    Placement,
    Warned,
)
from bot.core.rotation import RotationState
from bot.errors import ClusterUnreachable, StoreError
from bot.flow.remind import overtaken, remind
from tests.fakes.certificates import a_key, key_pem, root_pem
from tests.fakes.cluster import MESH, FakeCluster
from tests.fakes.mesh import CITADEL, PRIVATE_KEY, ROOT_KEY
from tests.unit.flow.world import NOW, Overtaken, SetClock, World

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


def alarms(world: World) -> list[tuple[str, ...]]:
    return [m.content.check_ids for m in world.store.messages if isinstance(m.content, Alarm)]


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


def test_a_mesh_that_uses_neither_mutual_tls_nor_webhooks_is_left_in_peace() -> None:
    world = with_root(2)
    world.cluster.mutual_tls = MutualTls()
    world.cluster.webhook_roots.clear()

    checked(world, days=5)

    assert world.store.messages == ()
    assert latest(world).ok


def test_a_mesh_without_mutual_tls_whose_webhooks_need_the_root_is_warned_of() -> None:
    world = with_root(2.5)
    world.cluster.mutual_tls = MutualTls()

    checked(world)

    assert warned(world) == ["3 days"]


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


# --- often, and paused ---------------------------------------------------------------------------------------


def hourly(world: World, *, hours: int) -> None:
    for _ in range(hours):
        remind(world.record, world.ports, world.clock, world.keys, looks=world.looks)
        world.clock.pass_by(timedelta(hours=1))


def test_a_schedule_of_every_hour_still_gives_one_line_a_day_and_each_threshold_once() -> None:
    world = with_root(16.5)

    hourly(world, hours=24 * 18)

    days = {world.clock.now().date() - DAY * n for n in range(19)}
    assert warned(world) == ["30 days", "14 days", "7 days", "3 days", "1 day", "expired"]
    assert len(lines(world)) <= len(days) - 1
    assert len(lines(world)) >= len(days) - len(warned(world)) - 1


def test_the_day_of_a_warning_has_no_line_beside_it() -> None:
    world = with_root(12)

    hourly(world, hours=5)

    assert (len(warned(world)), len(lines(world))) == (1, 0)


def test_a_check_that_could_not_run_does_not_make_a_second_line_of_the_day() -> None:
    world = with_root(12)
    world.clock.at = world.clock.at.replace(hour=1)
    checked(world)
    hourly(world, hours=1)
    world.cluster.fail("read", ClusterUnreachable("no route"))

    hourly(world, hours=3)

    assert (len(loud(world)), len(lines(world))) == (1, 1)


def paused(*, after: timedelta = timedelta()) -> World:
    world = World()
    world.clock.pass_by(after)
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    assert world.state is RotationState.PAUSED
    return world


def reminders(world: World) -> list[Milestone]:
    return [one for one in world.spoken if isinstance(one, Milestone) and one.event is Event.STILL_PAUSED]


def test_a_paused_rotation_is_brought_to_mind_once_a_day_in_its_own_thread() -> None:
    world = paused()
    asked = world.rotation

    hourly(world, hours=24 * 3)

    assert len(reminders(world)) == 3
    (reminder, *_) = [m for m in world.store.messages if m.content in reminders(world)]
    assert (reminder.subject, reminder.placement) == (f"rotation/{world.rotation_id}", Placement.BROADCAST)
    assert reminders(world)[0].note == ("It has been waiting for a decision for 6 h now: stopped on request")
    assert (world.state, world.rotation.paused_at) == (RotationState.PAUSED, asked.paused_at)
    assert [row.event for row in world.store.audit].count(Event.STILL_PAUSED) == 3


def test_on_the_day_of_the_pause_nobody_is_reminded() -> None:
    world = paused()

    hourly(world, hours=5)

    assert world.clock.now().date() == NOW.date()
    assert reminders(world) == []


def test_a_pause_late_in_the_evening_is_brought_to_mind_by_the_next_mornings_check() -> None:
    world = paused(after=timedelta(hours=4))
    world.clock.at = NOW.replace(hour=1) + DAY
    hourly(world, hours=1)
    at_night = len(reminders(world))
    world.clock.at = NOW.replace(hour=9) + DAY

    hourly(world, hours=1)

    assert (at_night, len(reminders(world))) == (0, 1)


def test_a_mesh_that_cannot_be_looked_at_does_not_keep_its_pause_from_mind() -> None:
    world = paused()
    world.clock.pass_by(DAY)
    world.cluster.fail("read", ClusterUnreachable("no route"))

    remind(world.record, world.ports, world.clock, world.keys, looks=world.looks)

    assert (len(reminders(world)), len(loud(world))) == (1, 1)


def test_a_pause_that_was_decided_upon_is_not_brought_to_mind() -> None:
    world = paused()
    world.clock.pass_by(DAY)
    world.press(Act.KEEP_WAITING)

    remind(world.record, world.ports, world.clock, world.keys, looks=world.looks)
    world.press(Act.CANCEL)
    world.run()
    hourly(world, hours=3)

    assert reminders(world) == []
    assert world.rotation.reminded_at is None


def test_a_decision_in_the_same_moment_wins_over_a_reminder() -> None:
    world = paused()
    world.clock.pass_by(DAY)

    def decide() -> None:
        world.record = world.store
        world.press(Act.KEEP_WAITING)

    overtaken = Overtaken(world.store, by=decide)
    remind(overtaken, world.ports, world.clock, world.keys, looks=world.looks)  # type: ignore[arg-type]

    assert reminders(world) == []
    assert world.state is RotationState.RUNNING
    assert latest(world).ok


def test_another_meshs_pause_is_that_meshs_matter() -> None:
    world = paused()
    world.clock.pass_by(DAY)
    elsewhere = replace(world.ports, name=MeshName("stage"))

    remind(world.record, elsewhere, world.clock, world.keys, looks=world.looks)

    assert reminders(world) == []


# --- what else goes wrong ---------------------------------------------------------------------------------


def test_a_key_that_does_not_match_is_told_at_once_though_the_root_lives_long_and_only_once() -> None:
    world = with_root(400)
    checked(world, days=2)
    world.cluster.change_data(PRIVATE_KEY, key_pem(a_key(4711)))

    checked(world, days=5)

    assert alarms(world) == [("ca.key_matches",)]
    [message] = world.store.messages
    assert message.placement is Placement.NEW
    assert latest(world).alarms_told == ("ca.key_matches",)


def test_what_is_gone_and_comes_back_is_told_again() -> None:
    world = with_root(400)
    good = world.cluster.secret.data[PRIVATE_KEY] if world.cluster.secret else b""
    world.cluster.change_data(PRIVATE_KEY, b"not a key")
    checked(world)
    world.cluster.change_data(PRIVATE_KEY, good)
    checked(world)
    world.cluster.change_data(PRIVATE_KEY, b"not a key")

    checked(world)

    assert len(alarms(world)) == 2


def test_what_cannot_be_read_is_told_at_once_by_name() -> None:
    world = with_root(400)
    world.cluster.hide(Part.SECRETS, "Secrets in namespace shop", reason="403")

    checked(world)

    [ids] = alarms(world)
    assert "env.read" in ids
    assert ("unknown", "warning") in [(verdict, severity) for verdict, severity, _ in latest(world).found]
    content = world.store.messages[0].content
    assert isinstance(content, Alarm)
    assert "Secrets in namespace shop: 403" in content.report.unread


def test_a_holder_that_is_behind_for_one_check_is_no_alarm_and_for_two_is_one() -> None:
    world = with_root(400)
    older = root_pem(a_key(), not_before=NOW - timedelta(days=400), not_after=NOW + timedelta(days=300))
    world.cluster.webhook_roots = dict.fromkeys(world.cluster.webhook_roots, older)

    checked(world)
    first = alarms(world)
    checked(world, days=3)

    assert first == []
    assert alarms(world) == [("webhook.cabundle",)]


def test_a_check_that_could_not_run_between_two_others_forgets_nothing() -> None:
    world = with_root(400)
    world.cluster.change_data(PRIVATE_KEY, b"not a key")
    checked(world)
    world.cluster.fail("read", ClusterUnreachable("no route"))

    checked(world, days=3)

    assert len(alarms(world)) == 1


def test_a_warning_shows_every_finding_so_no_alarm_repeats_it() -> None:
    world = with_root(14.5)
    world.cluster.change_data(PRIVATE_KEY, b"not a key")

    checked(world)

    assert warned(world) == ["30 days"]
    assert alarms(world) == []
    assert latest(world).alarms_told == ("ca.key_matches",)


def test_holders_that_a_rotation_is_bringing_up_are_no_alarm() -> None:
    world = World()
    world.running("await-proxies")
    for member in world.cluster.members:
        member.stuck = True

    checked(world, days=3)

    assert alarms(world) == []


def test_where_only_webhooks_need_the_root_they_alarm_and_what_traffic_would_need_does_not() -> None:
    world = with_root(400)
    world.cluster.mutual_tls = MutualTls()
    world.cluster.expire_served("galley")
    for member in world.cluster.members:
        member.fault = "has no TLS context"

    checked(world, days=3)

    assert alarms(world) == [("webhook.served", "webhook.leaf_expiry")]


def test_holders_of_a_root_that_nothing_uses_are_no_alarm() -> None:
    world = with_root(400)
    world.cluster.mutual_tls = MutualTls()
    world.cluster.webhook_roots.clear()
    for member in world.cluster.members:
        member.fault = "has no TLS context"

    checked(world, days=3)

    assert alarms(world) == []


def test_a_ca_that_was_watched_until_now_does_not_fall_silent_when_it_turns_into_another() -> None:
    world = with_root(12)
    checked(world)
    world.cluster.foreign = ForeignSigns(workloads=("StatefulSet spire/spire-server",))

    checked(world, days=5)

    assert alarms(world) == [("ca.recognised",)]


# --- after a rotation -----------------------------------------------------------------------------------------


def told_before(world: World) -> tuple[tuple[MeshName, datetime], ...]:
    return overtaken(world.store, [MESH], now=world.clock.now())


def test_a_rotation_that_changed_the_mesh_overtakes_the_check_until_the_next_one() -> None:
    world = with_root(11.5)
    checked(world)
    warned_of = latest(world).summary
    world.approved()
    world.run()
    ended = world.rotation.finished_at

    before = told_before(world)
    world.clock.pass_by(timedelta(seconds=1))
    checked(world)

    assert "11 days" in warned_of
    assert before == ((MESH, ended),)
    assert told_before(world) == ()
    assert latest(world).ok
    assert "11 days" not in latest(world).summary


def test_a_check_tells_of_the_moment_when_its_look_began() -> None:
    world = with_root(11.5)
    read, began = world.cluster.read, world.clock.now()

    def slowly(parts: frozenset[Part]) -> MeshSnapshot:
        seen = read(parts)
        world.clock.pass_by(timedelta(minutes=10))
        return seen

    world.cluster.read = slowly  # type: ignore[method-assign]

    checked(world)

    assert (latest(world).at, latest(world).last_success) == (began, began)


def test_a_request_that_changed_nothing_overtakes_no_check() -> None:
    world = with_root(11.5)
    checked(world)
    world.proposed()
    world.press(Act.REJECT)

    assert world.rotation.final
    assert told_before(world) == ()


def test_a_mesh_that_was_never_checked_or_an_end_that_lies_ahead_is_not_checked_again_and_again() -> None:
    world = with_root(11.5)
    world.approved()
    world.run()
    never = told_before(world)
    world.clock.at -= timedelta(days=1)
    checked(world)
    world.clock.at = NOW - timedelta(hours=1)

    assert never == ()
    assert told_before(world) == ()
