"""Killed at every moment there is, the bot ends where it would have ended: enumerated, not sampled."""

from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta

import pytest

from bot.core.approval import Act
from bot.core.rotation import RotationState
from tests.fakes.cluster import FakeCluster
from tests.unit.flow.killing import End, Reaper, end_of, ended, lived_through, mortal, pressed
from tests.unit.flow.world import WITH_GALLEY, World

Story = Callable[[World, Reaper], None]

LONG = timedelta(minutes=1)
"""A look a minute: a story with a long wait has few moments that differ."""


class LazyWebhooks(FakeCluster):
    """Components write their webhooks when they start, and not otherwise."""

    def reload_webhooks(self) -> None:
        for entry, component in (
            ("sidecar-injector.istio.io", "sidecar-injector"),
            ("pilot.validation.istio.io", "galley"),
        ):
            self.webhook_roots[entry] = self.of_plane(component).root


def forwards(world: World, reaper: Reaper) -> None:
    """From the press of Approve to the end."""
    world.proposed()
    mortal(world, reaper)
    pressed(world, Act.APPROVE, still=RotationState.PROPOSED)
    lived_through(world)


def stopped_and_back(world: World, reaper: Reaper) -> None:
    """Stopped half-way and rolled back."""
    world.running("await-webhooks")
    mortal(world, reaper)
    pressed(world, Act.CANCEL, still=RotationState.RUNNING)
    lived_through(world)
    pressed(world, Act.ROLL_BACK, still=RotationState.PAUSED)
    lived_through(world)


def helped_along(world: World, reaper: Reaper) -> None:
    """Webhooks that must be helped along, after a long wait."""
    world.poll_interval = LONG
    world.running("await-webhooks")
    mortal(world, reaper)
    lived_through(world)


def waited_on(world: World, reaper: Reaper) -> None:
    """A straggler passes the deadline, somebody keeps waiting, and it comes along."""
    world.poll_interval = LONG
    world.cluster.member("cart").stuck = True
    world.running("await-proxies")
    mortal(world, reaper)
    lived_through(world)
    world.cluster.member("cart").stuck = False
    pressed(world, Act.KEEP_WAITING, still=RotationState.PAUSED)
    lived_through(world)


def ended_short(world: World, reaper: Reaper) -> None:
    """One proxy can never be read, and somebody ends it here."""
    world.poll_interval = LONG
    world.cluster.member("cart").fault = "its pod is Pending"
    world.running("await-proxies")
    mortal(world, reaper)
    lived_through(world)
    ended(world)
    lived_through(world)


STORIES: dict[str, tuple[Story, type[FakeCluster]]] = {
    "forwards": (forwards, FakeCluster),
    "stopped_and_back": (stopped_and_back, FakeCluster),
    "helped_along": (helped_along, LazyWebhooks),
    "waited_on": (waited_on, FakeCluster),
    "ended_short": (ended_short, FakeCluster),
}


def lived(name: str, *, killed_at: frozenset[int] = frozenset()) -> tuple[End, list[str]]:
    """How a story ends, and every moment of it."""
    story, kind = STORIES[name]
    world, reaper = World(), Reaper(at=killed_at)
    world.cluster = kind(world.clock, accounts=WITH_GALLEY)
    world.reader = world.writer = world.cluster
    story(world, reaper)
    return end_of(world), reaper.moments


def differing(name: str, *, apart: tuple[int, ...]) -> tuple[int, list[str]]:
    """How many moments there are, and those after which something ends otherwise."""
    unharmed, moments = lived(name)
    wrong = []
    for k, moment in enumerate(moments, start=1):
        end, _ = lived(name, killed_at=frozenset(k + distance for distance in apart))
        wrong += [
            f"killed {moment} ({k}): {field.name} is {getattr(end, field.name)}"
            for field in fields(End)
            if getattr(end, field.name) != getattr(unharmed, field.name)
        ]
    return len(moments), wrong


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("forwards", RotationState.DONE),
        ("stopped_and_back", RotationState.ROLLED_BACK),
        ("helped_along", RotationState.DONE),
        ("waited_on", RotationState.DONE),
        ("ended_short", RotationState.ENDED_SHORT),
    ],
)
def test_without_a_crash_each_story_ends_well(name: str, ends: RotationState) -> None:
    end, moments = lived(name)

    assert end.state is ends
    assert len(set(end.told)) == len(end.told) or name == "stopped_and_back"
    assert {"before commit", "after commit", "before hold"} <= set(moments)
    assert "after release" in moments or name == "ended_short"


@pytest.mark.parametrize("name", STORIES)
def test_row_55_killed_once_at_any_moment_it_ends_the_same(name: str) -> None:
    count, wrong = differing(name, apart=(0,))

    assert wrong == []
    assert count > 60 or name == "ended_short"


def test_killed_again_soon_after_the_first_time_it_ends_the_same() -> None:
    _, wrong = differing("forwards", apart=(0, 3))

    assert wrong == []


def test_the_write_is_rehearsed_first_and_not_sent_again_when_it_happened() -> None:
    _, moments = lived("forwards")
    happened = moments.index("after replace_root") + 1

    _, after_a_crash = lived("forwards", killed_at=frozenset({happened}))

    assert [m for m in moments if m.startswith("before re")][:2] == ["before rehearse", "before replace_root"]
    assert after_a_crash.count("before rehearse") == after_a_crash.count("before replace_root") == 1
