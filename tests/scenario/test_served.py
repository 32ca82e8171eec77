"""Webhooks that serve a certificate which the API server refuses (istio/istio #17718, #17739, #16374)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.sandbox.cluster.serving import Flaw
from bot.sandbox.slack.workspace import ADA
from tests.scenario.room import BOT_USER, MESH, SMALL, Room, open_room, shown

INJECTOR = "Deployment istio-system/istio-sidecar-injector"


@pytest.fixture
def room() -> Iterator[Room]:
    with open_room(replace(SMALL, flaws={"sidecar-injector": Flaw.EXPIRED})) as room:
        yield room


def restarts(room: Room, name: str) -> int:
    """How often the bot has changed that Deployment."""
    return sum(
        e.user == BOT_USER and e.resource == "deployments" and e.name == name and e.verb == "patch"
        for e in room.cluster.audit()
    )


def test_check_names_an_injector_that_serves_an_expired_certificate_with_its_cure(room: Room) -> None:
    room.type(ADA, f"/istio-root check {MESH}")

    card = shown(room.seen(lambda m: "webhook server" in shown(m.content), "the check's card").content)

    assert "webhook server Pod istio-system/istio-sidecar-injector-" in card
    assert "a certificate that expired at " in card
    assert f"restart {INJECTOR}" in card


def test_a_rotation_restarts_what_serves_an_expired_certificate_and_ends_well(room: Room) -> None:
    ts = room.propose()
    room.approve(ts)

    result = room.result(ts)

    assert "Rotation done" in result.content.text, shown(result.content)
    assert restarts(room, "istio-sidecar-injector") == 1
    assert room.forbidden_acts() == []
