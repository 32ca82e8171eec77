"""The scheduler: one step at a time for each rotation, whatever happens to it."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
import time_machine

from bot.core.ids import RotationId
from bot.core.progress import Done, Outcome, Wait
from bot.edges.scheduler.advance_loop import FIRST_RETRY, LONGEST_RETRY, AdvanceLoop
from bot.edges.scheduler.cron import CronTimes
from bot.edges.scheduler.scheduler import ERRAND_WORKERS, MOST_TAKEN, BotScheduler
from bot.errors import ClusterUnreachable, LostRace, NotLeader, RecordAbsent, StoreError
from bot.flow.ports import Errand
from tests.unit.flow.world import SetClock

ONE = RotationId("1" * 32)
TWO = RotationId("2" * 32)
EIGHT = datetime(2026, 11, 23, 8, tzinfo=UTC)
AT_NINE = CronTimes("0 9 * * *", ZoneInfo("UTC"))
LONG = 10.0
"""Seconds until a test that waits for something gives up."""


class Bench:
    """An AdvanceLoop whose workers and timers are moved by hand."""

    def __init__(self, *script: Outcome | Exception) -> None:
        self.script = list(script)
        self.advanced: list[RotationId] = []
        self.queue: list[Callable[[], None]] = []
        self.timers: list[tuple[timedelta, RotationId]] = []
        self.bugs: list[BaseException] = []
        self.while_running: Callable[[], None] = lambda: None
        self.loop = AdvanceLoop(
            self.advance,
            run=self.queue.append,
            later=lambda after, rotation_id: self.timers.append((after, rotation_id)),
            report_bug=self.report,
        )

    def advance(self, rotation_id: RotationId) -> Outcome:
        self.advanced.append(rotation_id)
        self.while_running()
        result = self.script.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    def report(self, _doing: str, error: BaseException) -> str:
        self.bugs.append(error)
        return "0badc0de"

    def work(self) -> None:
        while self.queue:
            self.queue.pop(0)()

    def delays_over(self, rounds: int) -> list[timedelta]:
        """Come back whenever the timer says, so many times."""
        self.loop.soon(ONE)
        for _ in range(rounds):
            self.work()
            self.loop.soon(self.timers[-1][1])
        return [after for after, _ in self.timers]


def test_a_step_that_waits_is_come_back_to_after_that_long() -> None:
    bench = Bench(Wait(after=timedelta(seconds=5)))

    bench.loop.soon(ONE)
    bench.work()

    assert bench.timers == [(timedelta(seconds=5), ONE)]


def test_a_rotation_that_is_done_is_not_come_back_to() -> None:
    bench = Bench(Done())

    bench.loop.soon(ONE)
    bench.work()

    assert (bench.timers, bench.queue) == ([], [])


def test_calls_before_a_worker_is_free_are_one_run() -> None:
    bench = Bench(Done())

    for _ in range(3):
        bench.loop.soon(ONE)
    bench.work()

    assert bench.advanced == [ONE]


def test_calls_while_it_runs_are_one_more_run_afterwards_instead_of_the_wait() -> None:
    bench = Bench(Wait(after=timedelta(hours=1)), Done())
    bench.while_running = CallDuringFirst(bench)

    bench.loop.soon(ONE)
    bench.work()

    assert bench.advanced == [ONE, ONE]
    assert bench.timers == []


class CallDuringFirst:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def __call__(self) -> None:
        if len(self.bench.advanced) == 1:
            self.bench.loop.soon(ONE)
            self.bench.loop.soon(ONE)
            assert self.bench.queue == [], "it would run beside itself"


def test_resuming_leaves_a_rotation_its_rest_before_it_in_it_and_after_it() -> None:
    bench = Bench(Wait(after=timedelta(hours=1)), Done())
    bench.while_running = lambda: bench.loop.resume(ONE)

    bench.loop.resume(ONE)
    bench.loop.resume(ONE)
    bench.work()
    bench.loop.resume(ONE)
    bench.work()

    assert bench.advanced == [ONE]
    assert bench.timers == [(timedelta(hours=1), ONE)]
    bench.loop.soon(ONE)
    bench.work()
    assert bench.advanced == [ONE, ONE], "a person's press does not wait for the rest to end"


@pytest.mark.parametrize("left", [Done(), NotLeader("replaced"), RecordAbsent("none")])
def test_resuming_has_a_rotation_run_that_was_left_alone(left: Outcome | Exception) -> None:
    bench = Bench(left, Done())
    bench.loop.soon(ONE)
    bench.work()

    bench.loop.resume(ONE)
    bench.work()

    assert bench.advanced == [ONE, ONE]


def test_two_rotations_do_not_wait_for_each_other() -> None:
    bench = Bench(Done(), Done())

    bench.loop.soon(ONE)
    bench.loop.soon(TWO)

    assert len(bench.queue) == 2


def test_a_lost_race_is_run_again_at_once_but_not_for_ever() -> None:
    bench = Bench(*[LostRace("moved on")] * 6)

    delays = bench.delays_over(6)

    assert delays[:3] == [timedelta(0)] * 3
    assert all(delay > timedelta(0) for delay in delays[3:])
    assert bench.bugs == []


def test_without_the_lease_a_rotation_is_left_alone() -> None:
    bench = Bench(NotLeader("another holds the epoch"), Done())

    bench.loop.soon(ONE)
    bench.work()

    assert (bench.timers, bench.bugs) == ([], [])
    bench.loop.soon(ONE)
    bench.work()
    assert bench.advanced == [ONE, ONE], "when the lease is back it goes on"


def test_a_rotation_that_is_not_in_the_record_is_left_alone() -> None:
    bench = Bench(RecordAbsent("no such rotation"))

    bench.loop.soon(ONE)
    bench.work()

    assert bench.timers == []


def test_an_expected_fault_is_tried_again_more_and_more_slowly() -> None:
    bench = Bench(*[StoreError("disk full")] * 9)

    delays = bench.delays_over(9)

    assert delays[:4] == [FIRST_RETRY * factor for factor in (1, 2, 4, 8)]
    assert delays[-1] == LONGEST_RETRY
    assert bench.bugs == []


def test_a_fault_that_says_when_is_tried_again_then() -> None:
    bench = Bench(ClusterUnreachable("no answer", retry_after=timedelta(seconds=17)))

    bench.loop.soon(ONE)
    bench.work()

    assert bench.timers == [(timedelta(seconds=17), ONE)]


def test_a_bug_is_reported_and_the_rotation_tried_again() -> None:
    bench = Bench(ZeroDivisionError(), ZeroDivisionError())

    delays = bench.delays_over(2)

    assert delays == [FIRST_RETRY, FIRST_RETRY * 2]
    assert [type(bug) for bug in bench.bugs] == [ZeroDivisionError] * 2


def test_after_a_success_back_off_begins_anew() -> None:
    fault, wait = StoreError("disk full"), Wait(after=timedelta(seconds=5))
    bench = Bench(fault, fault, wait, fault)

    delays = bench.delays_over(4)

    assert delays == [FIRST_RETRY, FIRST_RETRY * 2, wait.after, FIRST_RETRY]


# --- on real threads ------------------------------------------------------------------------------


class Threads:
    """A BotScheduler with an `advance` that a test can hold."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.runs = threading.Semaphore(0)
        self.inside = 0
        self.most_inside = 0
        self.outcomes: list[Outcome] = []
        self.bugs: list[BaseException] = []
        self.bug_met = threading.Event()
        self.clock = SetClock(EIGHT)
        self.scheduler = BotScheduler(self.advance, clock=self.clock, report_bug=self.report)

    def advance(self, _rotation_id: RotationId) -> Outcome:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.entered.set()
        assert self.go_on.wait(LONG)
        self.inside -= 1
        self.runs.release()
        return self.outcomes.pop(0) if self.outcomes else Done()

    def report(self, _doing: str, error: BaseException) -> str:
        self.bugs.append(error)
        self.bug_met.set()
        return "0badc0de"

    def soon(
        self,
        work: Callable[[], object],
        *,
        kind: Errand = Errand.LOOK,
        turned_away: Callable[[], object] = lambda: None,
    ) -> bool:
        return self.scheduler.soon(lambda: _done(work), kind=kind, turned_away=lambda: _done(turned_away))


def _done(work: Callable[[], object]) -> None:
    work()


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads()
    yield threads
    threads.go_on.set()
    assert threads.scheduler.stop(timedelta(seconds=LONG))


def test_a_rotation_called_while_it_runs_runs_once_more_and_never_beside_itself(threads: Threads) -> None:
    threads.scheduler.start()
    threads.scheduler.advance_soon(ONE)
    assert threads.entered.wait(LONG)

    for _ in range(5):
        threads.scheduler.advance_soon(ONE)
    threads.go_on.set()

    assert threads.runs.acquire(timeout=LONG)
    assert threads.runs.acquire(timeout=LONG)
    assert not threads.runs.acquire(timeout=0.05), "five calls are one more run"
    assert threads.most_inside == 1


def test_a_waiting_rotation_is_come_back_to_by_the_calendar(threads: Threads) -> None:
    threads.outcomes = [Wait(after=timedelta(milliseconds=1)), Wait(after=timedelta(0)), Done()]
    threads.go_on.set()
    threads.scheduler.start()

    threads.scheduler.advance_soon(ONE)

    assert all(threads.runs.acquire(timeout=LONG) for _ in range(3))


def test_many_long_errands_do_not_hold_up_a_rotation(threads: Threads) -> None:
    held = threading.Event()

    def check() -> None:
        held.wait(LONG)

    for _ in range(50):
        threads.soon(check)
    threads.go_on.set()

    threads.scheduler.advance_soon(ONE)

    assert threads.runs.acquire(timeout=LONG)
    held.set()


@pytest.mark.parametrize("flood", list(Errand))
def test_a_flood_of_one_kind_of_errand_holds_up_no_other_kind(threads: Threads, flood: Errand) -> None:
    held, begun = threading.Event(), threading.Semaphore(0)

    def slow() -> None:
        begun.release()
        held.wait(LONG)

    for _ in range(ERRAND_WORKERS[flood] * 3):
        assert threads.soon(slow, kind=flood)
    assert all(begun.acquire(timeout=LONG) for _ in range(ERRAND_WORKERS[flood]))
    ran = {kind: threading.Event() for kind in Errand if kind is not flood}

    for kind, event in ran.items():
        threads.soon(event.set, kind=kind)

    assert all(event.wait(LONG) for event in ran.values())
    held.set()


def test_what_waits_is_bounded_for_each_kind_by_itself(threads: Threads) -> None:
    held = threading.Event()
    taken = [threads.soon(lambda: held.wait(LONG)) for _ in range(MOST_TAKEN + 1)]

    assert taken == [*[True] * MOST_TAKEN, False]
    assert threads.soon(lambda: None, kind=Errand.DECISION)
    held.set()


def test_an_errand_that_fails_is_reported_and_the_next_one_runs(threads: Threads) -> None:
    ran = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError

    threads.soon(fail)
    threads.soon(ran.set)

    assert ran.wait(LONG)
    assert threads.bug_met.wait(LONG)


def test_periodic_work_runs_at_once_and_again_and_never_beside_itself(threads: Threads) -> None:
    runs, inside, beside = threading.Semaphore(0), threading.Lock(), threading.Event()

    def work() -> None:
        if not inside.acquire(blocking=False):
            beside.set()
        runs.release()
        inside.release()

    threads.scheduler.every("telling", timedelta(milliseconds=2), work)
    assert runs.acquire(timeout=LONG), "at once, even before the start"
    threads.scheduler.start()

    assert all(runs.acquire(timeout=LONG) for _ in range(5))
    assert not beside.is_set()


def test_periodic_work_that_is_slow_does_not_pile_up(threads: Threads) -> None:
    begun, held, count = threading.Event(), threading.Event(), []
    ticks = threading.Semaphore(0)

    def slow() -> None:
        count.append(1)
        begun.set()
        held.wait(LONG)

    threads.scheduler.every("slow", timedelta(milliseconds=1), slow)
    threads.scheduler.every("clock", timedelta(milliseconds=1), ticks.release)
    threads.scheduler.start()
    assert begun.wait(LONG)

    assert all(ticks.acquire(timeout=LONG) for _ in range(20))

    assert len(count) == 1
    held.set()


@pytest.fixture
def quick_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calendar is looked at all the time."""
    monkeypatch.setattr("bot.edges.scheduler.scheduler.HEARTBEAT", timedelta(milliseconds=1))


@pytest.mark.usefixtures("quick_heart")
def test_daily_work_runs_at_its_time_once_under_its_name(threads: Threads) -> None:
    threads.clock.at = EIGHT
    ran, beats = threading.Semaphore(0), threading.Semaphore(0)
    threads.scheduler.at_times("check prod", AT_NINE, lambda: pytest.fail("replaced"), last=EIGHT)
    threads.scheduler.at_times("check prod", AT_NINE, ran.release, last=EIGHT)
    threads.scheduler.every("beats", timedelta(milliseconds=1), beats.release)
    threads.scheduler.start()

    for _ in range(3):
        assert not ran.acquire(blocking=False), "before its time, or twice at it"
        threads.clock.pass_by(timedelta(hours=12))
        assert ran.acquire(timeout=LONG)
        threads.clock.pass_by(timedelta(hours=12))
        assert all(beats.acquire(timeout=LONG) for _ in range(5))


MADE_UP = {"never": (None, True), "days ago": (EIGHT - timedelta(days=3), True), "in time": (EIGHT, False)}


@pytest.mark.parametrize(("last", "expected"), MADE_UP.values(), ids=MADE_UP.keys())
def test_daily_work_that_was_missed_is_made_up_once(
    threads: Threads, last: datetime | None, *, expected: bool
) -> None:
    ran = threading.Semaphore(0)
    threads.scheduler.at_times("check prod", AT_NINE, ran.release, last=last)

    threads.scheduler.start()

    assert ran.acquire(timeout=LONG if expected else 0.05) is expected
    assert not ran.acquire(timeout=0.05)


def test_a_check_that_is_made_up_and_the_calendars_are_one_run(threads: Threads) -> None:
    begun, held = threading.Semaphore(0), threading.Event()

    def check() -> None:
        begun.release()
        held.wait(LONG)

    threads.scheduler.at_times("check prod", AT_NINE, check, last=None)
    threads.scheduler.start()
    assert begun.acquire(timeout=LONG)

    threads.clock.pass_by(timedelta(hours=2))
    threads.scheduler.run_now("check prod")
    threads.scheduler._look_at_the_calendar()

    assert not begun.acquire(timeout=0.05)
    held.set()


def test_the_stop_hardly_waits_for_a_scheduled_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.edges.scheduler.scheduler.LOOKS_HAVE", timedelta(milliseconds=10))
    threads, begun, held = Threads(), threading.Event(), threading.Event()

    def check() -> None:
        begun.set()
        held.wait(LONG)

    threads.scheduler.at_times("check prod", AT_NINE, check, last=None)
    threads.scheduler.run_now("check prod")
    assert begun.wait(LONG)

    assert threads.scheduler.stop(timedelta(seconds=LONG)), "a look changes nothing: it may be left"
    held.set()


def test_a_scheduled_check_is_taken_however_many_wishes_wait(threads: Threads) -> None:
    held, ran = threading.Event(), threading.Event()
    while threads.soon(lambda: held.wait(LONG)):
        pass
    threads.scheduler.at_times("check prod", AT_NINE, ran.set, last=None)

    threads.scheduler.run_now("check prod")

    held.set()
    assert ran.wait(LONG)


@pytest.mark.usefixtures("quick_heart")
def test_a_clock_that_is_set_back_stops_nothing(threads: Threads) -> None:
    ticks, ran = threading.Semaphore(0), threading.Semaphore(0)
    threads.go_on.set()
    threads.outcomes = [Wait(after=timedelta(milliseconds=1))] * 1000
    threads.scheduler.every("lease", timedelta(milliseconds=1), ticks.release)
    threads.scheduler.at_times("check prod", AT_NINE, ran.release, last=EIGHT)
    threads.scheduler.start()
    threads.scheduler.advance_soon(ONE)
    assert ticks.acquire(timeout=LONG)

    threads.clock.at = EIGHT - timedelta(hours=30)
    with time_machine.travel(datetime(2020, 1, 1, tzinfo=UTC)):
        assert all(threads.runs.acquire(timeout=LONG) for _ in range(5))
        assert all(ticks.acquire(timeout=LONG) for _ in range(5))
        threads.clock.pass_by(timedelta(hours=12))
        assert ran.acquire(timeout=LONG), "the calendar goes by the clock as it is now"


def test_stopping_lets_the_running_step_end_and_takes_no_more() -> None:
    threads = Threads()
    threads.scheduler.start()
    threads.scheduler.advance_soon(ONE)
    assert threads.entered.wait(LONG)

    assert not threads.scheduler.stop(timedelta(milliseconds=10)), "it is still running"
    threads.scheduler.advance_soon(TWO)
    assert not threads.soon(lambda: pytest.fail("taken after the end"))
    threads.go_on.set()

    assert threads.scheduler.stop(timedelta(seconds=LONG))
    assert threads.runs.acquire(timeout=LONG)
    assert not threads.runs.acquire(timeout=0.02)
    assert threads.bugs == []


def test_at_the_stop_whoever_waits_for_a_worker_is_told() -> None:
    threads, held, begun, told = Threads(), threading.Event(), threading.Semaphore(0), threading.Semaphore(0)

    def slow() -> None:
        begun.release()
        held.wait(LONG)

    for _ in range(ERRAND_WORKERS[Errand.DECISION]):
        threads.soon(slow, kind=Errand.DECISION)
    assert all(begun.acquire(timeout=LONG) for _ in range(ERRAND_WORKERS[Errand.DECISION]))
    never = partial(pytest.fail, "begun after the end")
    for _ in range(20):
        threads.soon(never, kind=Errand.DECISION, turned_away=told.release)

    in_time: list[bool] = []
    stopping = threading.Thread(
        target=lambda: in_time.append(threads.scheduler.stop(timedelta(seconds=LONG * 2)))
    )
    stopping.start()

    assert all(told.acquire(timeout=LONG) for _ in range(20)), "without waiting for those at work"
    held.set()
    stopping.join(LONG)
    assert in_time == [True], "what was never begun is not waited for"
    assert threads.bugs == []


def test_a_look_that_does_not_end_is_left_behind_and_its_asker_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.edges.scheduler.scheduler.LOOKS_HAVE", timedelta(milliseconds=10))
    threads, held, begun, told = Threads(), threading.Event(), threading.Event(), threading.Event()

    def look() -> None:
        begun.set()
        held.wait(LONG)

    threads.soon(look, turned_away=told.set)
    assert begun.wait(LONG)

    assert threads.scheduler.stop(timedelta(seconds=LONG)), "a look changes nothing: it may be left"
    assert told.is_set()
    held.set()


def test_a_decision_that_does_not_end_in_time_is_told_so_and_counts_as_late() -> None:
    threads, held, begun, told = Threads(), threading.Event(), threading.Event(), threading.Event()

    def decide() -> None:
        begun.set()
        held.wait(LONG)

    threads.soon(decide, kind=Errand.DECISION, turned_away=told.set)
    assert begun.wait(LONG)

    assert not threads.scheduler.stop(timedelta(milliseconds=10))
    assert told.is_set()
    held.set()


def test_slack_that_does_not_answer_holds_up_the_stop_for_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.edges.scheduler.scheduler.FAREWELL_HAS", timedelta(milliseconds=10))
    threads, held, deaf = Threads(), threading.Event(), threading.Event()
    for _ in range(ERRAND_WORKERS[Errand.WORD] + 1):
        threads.soon(lambda: held.wait(LONG), kind=Errand.WORD, turned_away=lambda: deaf.wait(LONG))

    assert not threads.scheduler.stop(timedelta(milliseconds=10))

    held.set()
    deaf.set()


def test_the_calendar_shows_that_it_lives(threads: Threads) -> None:
    threads.scheduler._beat_at -= 2 * LONG
    threads.scheduler.start()

    assert threads.scheduler.silent_for < timedelta(seconds=LONG)


def test_a_resumed_rotation_is_run_by_a_worker(threads: Threads) -> None:
    threads.go_on.set()

    threads.scheduler.resume(ONE)

    assert threads.runs.acquire(timeout=LONG)
