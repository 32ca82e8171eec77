"""The Scheduler port: the same for the real one and the fake that the tests of the flow use."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from bot.core.progress import Done
from bot.edges.scheduler.scheduler import BotScheduler
from bot.edges.system import SystemClock
from bot.flow.ports import Errand, Scheduler
from tests.fakes.scheduler import FakeScheduler

LONG = 10.0


@dataclass(frozen=True, slots=True)
class Side:
    scheduler: Scheduler
    run: Callable[[], None]
    """Let workers work, where there are none."""
    stop: Callable[[], None]


@pytest.fixture(params=["real", "fake"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    if request.param == "fake":
        fake = FakeScheduler()
        yield Side(fake, fake.run, fake.stop)
        return
    real = BotScheduler(
        lambda _rotation_id: Done(),
        clock=SystemClock(),
        report_bug=lambda _doing, bug: pytest.fail(str(bug)),
    )
    yield Side(real, lambda: None, lambda: _stopped(real))
    _stopped(real)


def _stopped(real: BotScheduler) -> None:
    assert real.stop(timedelta(seconds=LONG))


@pytest.mark.parametrize("kind", list(Errand))
def test_an_errand_that_is_taken_is_run_once_and_not_turned_away(side: Side, kind: Errand) -> None:
    ran, turned_away = threading.Semaphore(0), threading.Event()

    taken = side.scheduler.soon(ran.release, kind=kind, turned_away=turned_away.set)
    side.run()

    assert taken
    assert ran.acquire(timeout=LONG)
    side.stop()
    assert not ran.acquire(blocking=False)
    assert not turned_away.is_set()


@pytest.mark.parametrize("kind", list(Errand))
def test_after_the_stop_nothing_is_taken_and_the_caller_knows(side: Side, kind: Errand) -> None:
    touched = threading.Event()
    side.stop()

    taken = side.scheduler.soon(touched.set, kind=kind, turned_away=touched.set)
    side.run()

    assert not taken
    assert not touched.is_set(), "who is told False sees to the answer"


def test_each_errand_is_either_run_or_turned_away(side: Side) -> None:
    """Whatever the stop meets: of fifty, none is lost and none is answered twice."""
    ran, turned_away = threading.Semaphore(0), threading.Semaphore(0)

    for _ in range(50):
        assert side.scheduler.soon(ran.release, kind=Errand.WORD, turned_away=turned_away.release)
    side.stop()

    assert _count(ran) + _count(turned_away) == 50


def _count(semaphore: threading.Semaphore) -> int:
    count = 0
    while semaphore.acquire(blocking=False):
        count += 1
    return count
