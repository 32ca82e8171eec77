"""The contract suites once more, against a real API server: what the stand-in keeps to is what it does.

Objects, rights and the writer's effects. What needs a kubelet, a Citadel or a fault on order is not here.
"""

# ruff: noqa: F401, F403 - pytest collects what is imported

from collections.abc import Iterator

import pytest

from tests.contract.cluster_sides import Side
from tests.contract.test_cluster import (
    test_a_ca_secret_that_is_absent_is_not_unread,
    test_a_ca_secret_that_may_not_be_read_is_unread_by_name,
    test_a_rehearsal_writes_nothing_and_says_what_would_be,
    test_a_replaced_root_is_there_byte_for_byte_and_nothing_else_changed,
    test_a_vanished_secret_is_never_made_anew,
    test_an_immutable_secret_is_refused,
    test_data_that_changed_meanwhile_is_a_conflict_and_stays,
    test_metadata_that_changed_meanwhile_is_no_obstacle,
    test_replacing_a_root_twice_writes_once,
    test_the_old_root_can_be_put_back_from_the_backup,
    test_the_signing_key_belongs_to_the_root,
    test_the_signing_key_is_refused_for_another_state,
    test_the_signing_key_is_refused_without_permission,
    test_the_signing_key_of_an_absent_secret_is_absent,
)
from tests.contract.test_cluster_access import *
from tests.contract.test_cluster_standin import *
from tests.contract.test_cluster_upkeep import (
    test_a_backup_holds_every_byte_under_the_rotations_name,
    test_a_backup_is_never_overwritten_with_other_bytes,
    test_a_backup_made_twice_is_one,
    test_a_backup_of_another_state_is_a_conflict,
    test_a_backup_secret_that_was_not_prepared_is_absent_and_never_made,
    test_a_backup_that_was_never_made_is_absent,
    test_a_held_mesh_excludes_a_second_holder,
    test_a_holder_may_renew,
    test_a_lapsed_hold_may_be_taken,
    test_a_released_mesh_is_free,
    test_a_restart_shows_its_mark,
    test_a_workload_that_does_not_exist_is_absent,
    test_releasing_what_somebody_else_holds_changes_nothing,
    test_the_same_mark_again_changes_nothing,
    test_two_rotations_backups_lie_side_by_side,
)
from tests.real.contract_sides import ServerBench, real_side, server_bench
from tests.testbed.bed import TestBed


@pytest.fixture(scope="module")
def side(server: TestBed) -> Iterator[Side]:
    """A namespace of the real API server."""
    yield from real_side(server)


@pytest.fixture
def bench(server: TestBed) -> Iterator[ServerBench]:
    """What a rotation writes to, made anew."""
    with server_bench(server) as bench:
        yield bench
