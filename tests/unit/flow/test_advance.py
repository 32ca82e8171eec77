"""Carrying a rotation out: its way, its deadlines, and how it ends."""

from datetime import timedelta

import pytest

from bot.core.approval import Act
from bot.core.mesh import MeshSnapshot, Part
from bot.core.progress import Done, Wait
from bot.core.record import Result, StragglerFile
from bot.core.rotation import RotationState
from bot.errors import ClusterUnreachable, LostRace, NotLeader, StoreError
from tests.fakes.cluster import FakeCluster
from tests.fakes.mesh import CITADEL, PRIVATE_KEY
from tests.unit.flow.world import MOMENT, WITH_GALLEY, Overtaken, SetClock, World

AFTER_THE_WRITE = ("reload-ca", "await-secrets", "await-webhooks", "await-proxies", "verify")


def stand_still() -> None:
    """Nothing in the mesh moves."""


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
    assert world.rotation.outcome.startswith("All ")
    assert f"have the new root {world.rotation.plan.new_root.fingerprint[:16]}" in world.rotation.outcome
    assert world.cluster.lease is None


def test_the_private_key_and_every_other_value_stay_as_they_are() -> None:
    world = World()
    world.approved()
    assert world.cluster.secret is not None
    before = dict(world.cluster.secret.data)

    world.run()

    changed = {key for key, value in world.cluster.secret.data.items() if before[key] != value}
    assert changed == {"ca-cert.pem"}
    assert world.cluster.secret.data[PRIVATE_KEY] == before[PRIVATE_KEY]


def test_row_62_nothing_is_written_before_the_backup_is_proved() -> None:
    world = World()
    world.running("write-root")

    assert world.cluster.effects == ["back_up"]
    assert world.cluster.backup is not None
    assert world.rotation.plan.old_root.pem in world.cluster.backup.data.values()


def test_the_result_goes_to_the_channel_with_counts_and_the_new_end() -> None:
    world = World()
    world.approved()

    world.run()

    result = world.spoken[-1]
    assert isinstance(result, Result)
    assert result.note.startswith("All 17 holders have the new root ")
    assert "2036-11-20 18:41:00 UTC" in result.note
    assert {tally.kind: (tally.ok, tally.total) for tally in result.tallies}["proxies"] == (5, 5)


def test_a_waiting_step_counts_secrets_and_not_what_else_carries_the_root() -> None:
    world = World()
    world.approved()

    world.run()

    notes = [one.note for one in world.spoken]
    assert "5 of 5 workload secrets carry the root" in notes


def test_a_rotation_that_ended_or_waits_for_people_is_left_alone() -> None:
    world = World()
    world.proposed()

    assert world.advance() == Done()

    assert world.state is RotationState.PROPOSED


# --- deadlines ---------------------------------------------------------------------------------------


def test_a_deadline_after_the_write_pauses_and_names_every_straggler() -> None:
    clock = SetClock()
    accounts = (*WITH_GALLEY, *(("shop", f"job-{number}") for number in range(14)))
    world = World(FakeCluster(clock, accounts=accounts), clock=clock)
    world.running("await-secrets", each=world.cluster.settle)
    late = frozenset(f"job-{number}" for number in range(14))

    def forgetful() -> None:
        world.cluster.settle()
        world.cluster.reissue_secrets(but=late)

    world.run(each=forgetful)

    assert world.state is RotationState.PAUSED
    paused = world.spoken[-1]
    assert len(paused.stragglers) == 14
    files = [m.content for m in world.store.messages if isinstance(m.content, StragglerFile)]
    assert [len(file.stragglers) for file in files] == [14]
    assert "not done within" in world.rotation.outcome


def test_a_deadline_before_the_write_fails_and_says_that_nothing_was_changed() -> None:
    world = World()
    world.running("back-up")
    world.cluster.fail("back_up", unreachable(), times=1000)

    world.run()

    assert world.state is RotationState.FAILED
    assert world.spoken[-1].note.endswith("the API server did not answer. Nothing in the mesh was changed.")
    assert world.cluster.effects == []
    assert world.cluster.lease is None


def unreachable() -> ClusterUnreachable:
    return ClusterUnreachable("the API server did not answer")


@pytest.mark.parametrize("step", AFTER_THE_WRITE)
def test_a_deadline_after_the_write_never_fails_a_rotation(step: str) -> None:
    world = World()
    world.running(step)
    world.cluster.fail("read", unreachable(), times=1000)

    world.run(each=stand_still)

    assert world.state is RotationState.PAUSED
    assert world.told()[-1] == "paused"


def test_keep_waiting_gives_the_step_its_whole_time_again() -> None:
    world = World()
    world.cluster.member("cart").stuck = True
    world.running("await-proxies")
    world.run()
    paused_at, (step, _) = world.clock.now(), world.rotation.walk[7]

    world.press(Act.KEEP_WAITING)
    world.run()

    assert world.state is RotationState.PAUSED
    assert world.clock.now() - paused_at >= step.deadline
    assert world.told().count("paused") == 2


def test_what_comes_along_after_keep_waiting_is_taken() -> None:
    world = World()
    world.cluster.member("cart").stuck = True
    world.running("await-proxies")
    world.run()
    world.cluster.member("cart").stuck = False

    world.press(Act.KEEP_WAITING)
    world.run()

    assert world.state is RotationState.DONE
    assert world.cluster.effects.count("replace_root") == 1


def test_a_rotation_waits_as_long_as_the_plan_allows_and_no_longer() -> None:
    world = World()
    world.cluster.member("cart").stuck = True
    world.running("await-proxies")
    current = world.rotation.current
    assert current is not None
    entered = world.clock.now()

    world.run()

    waited = world.clock.now() - entered
    assert current[0].deadline - MOMENT <= waited <= current[0].deadline + timedelta(seconds=10)


# --- stop and roll back ----------------------------------------------------------------------------------


def test_a_stop_before_the_write_ends_it() -> None:
    world = World()
    world.running("back-up")

    world.press(Act.CANCEL)
    world.run()

    assert world.state is RotationState.CANCELLED
    assert world.cluster.effects == []
    assert world.cluster.lease is None


def test_a_stop_after_the_write_pauses_and_goes_on_when_asked() -> None:
    world = World()
    world.running("reload-ca")

    world.press(Act.CANCEL)
    world.run()
    paused = world.state
    world.press(Act.KEEP_WAITING)
    world.run()

    assert (paused, world.state) == (RotationState.PAUSED, RotationState.DONE)
    assert not world.rotation.stop_requested


def test_a_stop_in_the_middle_of_the_write_counts_as_written() -> None:
    world = World()
    world.running("write-root")

    world.press(Act.CANCEL)
    world.run()

    assert world.state is RotationState.PAUSED


@pytest.mark.parametrize("step", ["write-root", *AFTER_THE_WRITE])
def test_rolling_back_brings_every_byte_and_every_holder_back(step: str) -> None:
    world = World()
    world.approved()
    assert world.cluster.secret is not None
    before = dict(world.cluster.secret.data)
    world.run(until=step)
    world.press(Act.CANCEL)
    world.run()

    world.press(Act.ROLL_BACK)
    world.run()

    assert world.state is RotationState.ROLLED_BACK, world.rotation.outcome
    assert world.cluster.secret.data == before
    old = world.rotation.plan.old_root.pem
    assert {member.loaded_root for member in world.cluster.members} == {old}
    assert {part.root for part in world.cluster.plane} == {old}
    result = world.spoken[-1]
    assert isinstance(result, Result)
    assert "have the old root" in result.note


def test_rolling_back_before_the_write_happened_writes_nothing() -> None:
    world = World()
    world.running("write-root")
    world.press(Act.CANCEL)
    world.run()

    world.press(Act.ROLL_BACK)
    world.run()

    assert "replace_root" not in world.cluster.effects


def test_forwards_and_backwards_restart_under_different_marks() -> None:
    world = World()
    world.running("await-secrets")
    citadel = world.cluster.of_plane(CITADEL)
    first = citadel.restarted_at
    world.press(Act.CANCEL)
    world.run()
    world.press(Act.ROLL_BACK)

    world.run()

    assert citadel.restarted_at not in {"", first}
    assert world.cluster.effects.count("restart istio-citadel") == 2


def test_a_roll_back_that_is_late_pauses_and_is_waited_for_again() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.press(Act.ROLL_BACK)
    world.run(until="await-secrets", each=stand_still)
    world.run(each=stand_still)
    paused = world.state, world.rotation.backwards

    world.press(Act.KEEP_WAITING)
    world.run()

    assert paused == (RotationState.PAUSED, True)
    assert world.state is RotationState.ROLLED_BACK


def test_a_stop_pressed_in_the_very_moment_of_the_write_is_heard_and_the_write_counts() -> None:
    world = World()
    world.running("write-root")

    def stop() -> None:
        world.record = world.store
        world.press(Act.CANCEL)

    world.record = Overtaken(world.store, by=stop)  # type: ignore[assignment]
    with pytest.raises(LostRace):
        world.advance()
    world.run()

    assert world.state is RotationState.PAUSED
    assert world.live_root == world.rotation.plan.new_pem
    assert world.told()[-2:] == ["stop_requested", "paused"]


# --- the record --------------------------------------------------------------------------------------------


def test_when_the_record_cannot_be_kept_nothing_more_is_done() -> None:
    world = World()
    world.running("write-root")
    world.store.fails_with = StoreError("disk full")

    for _ in range(3):
        with pytest.raises(StoreError, match="disk full"):
            world.advance()

    assert world.cluster.effects == ["back_up", "replace_root"]


def test_a_process_without_a_fresh_lease_touches_nothing() -> None:
    world = World()
    world.running("write-root")

    def fence() -> None:
        raise NotLeader("the lease is not held")

    world.fence = fence
    with pytest.raises(NotLeader):
        world.advance()

    assert world.cluster.effects == ["back_up"]


def test_a_lease_that_ends_while_the_mesh_is_looked_at_stops_the_write() -> None:
    world = World()
    world.running("write-root")
    asked = 0

    def fence() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise NotLeader("the lease is not held")

    world.fence = fence
    with pytest.raises(NotLeader):
        world.advance()

    assert world.cluster.effects == ["back_up"]


def test_a_quiet_wait_redraws_the_card_only_when_something_moved() -> None:
    world = World()
    world.running("await-secrets", each=world.cluster.settle)
    world.advance()
    world.advance()
    before = len(world.store.messages)

    outcomes = [world.advance() for _ in range(5)]

    assert outcomes == [Wait(after=timedelta(seconds=5))] * 5
    assert len(world.store.messages) == before


@pytest.mark.parametrize(("looking", "rest"), [(1, 5), (20, 60)])
def test_a_step_that_waits_rests_longer_the_longer_it_looked(
    monkeypatch: pytest.MonkeyPatch, looking: int, rest: int
) -> None:
    world = World()
    world.running("await-secrets")
    while world.advance() == Wait(after=timedelta()):
        pass
    read = world.cluster.read

    def slowly(parts: frozenset[Part]) -> MeshSnapshot:
        world.clock.pass_by(timedelta(seconds=looking))
        return read(parts)

    monkeypatch.setattr(world.cluster, "read", slowly)

    assert world.advance() == Wait(after=timedelta(seconds=rest))
