"""What every cluster keeps to beside the root itself: backup, restarts, lease (port ClusterWriter)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.core.ids import RotationId
from bot.core.mesh import ObjectRef, Part
from bot.errors import ClusterConflict, ClusterRefused, ObjectAbsent
from tests.contract.cluster_benches import BENCHES, CITADEL, Bench, state_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ONE, OTHER = RotationId("1" * 32), RotationId("2" * 32)
ROOT_KEY = "ca-cert.pem"


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with BENCHES[request.param](tmp_path) as bench:
        yield bench


# --- the backup --------------------------------------------------------------------------------


def test_a_backup_holds_every_byte_under_the_rotations_name(bench: Bench) -> None:
    before = state_of(bench)

    copy = bench.writer.back_up(ONE, expected=before)

    assert copy.digests == before.digests
    assert copy.uid != before.uid
    assert set(bench.backed_up()) == {f"{ONE}.{key}" for key, _ in before.digests}


def test_a_backup_made_twice_is_one(bench: Bench) -> None:
    before = state_of(bench)

    first = bench.writer.back_up(ONE, expected=before)
    second = bench.writer.back_up(ONE, expected=before)

    assert second == first


def test_a_backup_of_another_state_is_a_conflict(bench: Bench) -> None:
    before = state_of(bench)
    bench.change_data(ROOT_KEY, b"something else\n")

    with pytest.raises(ClusterConflict):
        bench.writer.back_up(ONE, expected=before)

    assert bench.backed_up() == {}


def test_a_backup_is_never_overwritten_with_other_bytes(bench: Bench) -> None:
    before = state_of(bench)
    bench.writer.back_up(ONE, expected=before)
    bench.spoil_backup(f"{ONE}.{ROOT_KEY}", b"spoilt\n")

    with pytest.raises(ClusterRefused):
        bench.writer.back_up(ONE, expected=before)

    assert bench.backed_up()[f"{ONE}.{ROOT_KEY}"] == b"spoilt\n"


def test_two_rotations_backups_lie_side_by_side(bench: Bench) -> None:
    before = state_of(bench)
    bench.writer.back_up(ONE, expected=before)

    bench.writer.back_up(OTHER, expected=before)

    assert bench.writer.backed_up_root(ONE) == bench.writer.backed_up_root(OTHER)


def test_a_backup_whose_answer_was_lost_is_found_done(bench: Bench) -> None:
    before = state_of(bench)
    bench.lose_next_answer()

    assert bench.writer.back_up(ONE, expected=before).digests == before.digests


def test_a_backup_that_was_never_made_is_absent(bench: Bench) -> None:
    with pytest.raises(ObjectAbsent):
        bench.writer.backed_up_root(ONE)


def test_a_backup_secret_that_was_not_prepared_is_absent_and_never_made(bench: Bench) -> None:
    before = state_of(bench)
    bench.remove_backup()

    with pytest.raises(ObjectAbsent):
        bench.writer.back_up(ONE, expected=before)


# --- restarts ----------------------------------------------------------------------------------


def test_a_restart_shows_its_mark(bench: Bench) -> None:
    before = bench.times_changed(CITADEL)

    bench.writer.restart(CITADEL, mark="2026-11-23T12:00:00Z")

    seen = bench.reader.read(frozenset({Part.AUTHORITY}))
    marks = {workload.ref: workload.restarted_at for workload in seen.workloads}
    assert marks[CITADEL] == "2026-11-23T12:00:00Z"
    assert [mark for ref, mark in marks.items() if ref != CITADEL and mark] == []
    assert bench.times_changed(CITADEL) == before + 1


def test_the_same_mark_again_changes_nothing(bench: Bench) -> None:
    bench.writer.restart(CITADEL, mark="one")
    once = bench.times_changed(CITADEL)

    bench.writer.restart(CITADEL, mark="one")

    assert bench.times_changed(CITADEL) == once


def test_a_restart_whose_answer_was_lost_happens_once(bench: Bench) -> None:
    before = bench.times_changed(CITADEL)
    bench.lose_next_answer()

    bench.writer.restart(CITADEL, mark="one")

    assert bench.times_changed(CITADEL) == before + 1


def test_a_workload_that_does_not_exist_is_absent(bench: Bench) -> None:
    # One that the Role names: of any other the server says only that it may not be patched.
    nobody = ObjectRef(kind="DaemonSet", namespace="istio-system", name="istio-nodeagent")

    with pytest.raises(ObjectAbsent):
        bench.writer.restart(nobody, mark="one")


# --- the lease ---------------------------------------------------------------------------------


def test_a_held_mesh_excludes_a_second_holder(bench: Bench) -> None:
    bench.writer.hold(ONE, now=NOW)

    with pytest.raises(ClusterConflict, match=ONE):
        bench.writer.hold(OTHER, now=NOW + timedelta(minutes=14))


def test_a_holder_may_renew(bench: Bench) -> None:
    bench.writer.hold(ONE, now=NOW)
    bench.writer.hold(ONE, now=NOW + timedelta(minutes=10))

    with pytest.raises(ClusterConflict):
        bench.writer.hold(OTHER, now=NOW + timedelta(minutes=20))


def test_a_lapsed_hold_may_be_taken(bench: Bench) -> None:
    bench.writer.hold(ONE, now=NOW)

    bench.writer.hold(OTHER, now=NOW + timedelta(minutes=15))

    with pytest.raises(ClusterConflict, match=OTHER):
        bench.writer.hold(ONE, now=NOW + timedelta(minutes=16))


def test_a_released_mesh_is_free(bench: Bench) -> None:
    bench.writer.hold(ONE, now=NOW)
    bench.writer.release(ONE)

    bench.writer.hold(OTHER, now=NOW)


def test_releasing_what_somebody_else_holds_changes_nothing(bench: Bench) -> None:
    bench.writer.hold(ONE, now=NOW)
    bench.writer.release(OTHER)

    with pytest.raises(ClusterConflict, match=ONE):
        bench.writer.hold(OTHER, now=NOW)
