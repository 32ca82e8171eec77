"""A mesh on the Kubernetes of Citadel's time: rotated where a write can be rehearsed, else refused with the reason."""

from dataclasses import replace

import pytest

from tests.scenario.room import BOT_USER, MESH, SMALL, open_room

pytestmark = pytest.mark.timeout(240)


def test_a_whole_rotation_goes_through_kubernetes_1_13() -> None:
    with open_room(replace(SMALL, kubernetes="v1.13.12-gke.30")) as room:
        card = room.propose()
        room.approve(card)
        result = room.result(card)
        patched = [e for e in room.cluster.audit() if e.user == BOT_USER and e.verb == "patch"]

    assert "Rotation done" in result.content.text, result.content.text
    assert [e.dry_run for e in patched if e.name == "istio-ca-secret"] == [True, False]
    assert "leases" in {e.resource for e in patched}


def test_kubernetes_1_12_is_checked_and_a_transition_refused_with_what_to_do() -> None:
    with open_room(replace(SMALL, kubernetes="v1.12.10")) as room:
        checked = room.asked(f"/istio-root check {MESH}")
        asked = room.asked(f"/istio-root transition {MESH} lifetime=10y because")
        patched = [e for e in room.cluster.audit() if e.user == BOT_USER and e.verb == "patch"]

    assert "env.read" not in checked
    assert "Kubernetes v1.12.10 cannot rehearse a write" in asked
    assert "1.13" in asked
    assert patched == []
