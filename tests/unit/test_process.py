"""The life of a running bot: lease, pick-up, Slack that is down, and the order in which it ends."""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from slack_sdk import WebClient
from structlog.testing import capture_logs

from bot import bootstrap
from bot.core.ids import TeamId
from bot.core.mesh import MeshSnapshot
from bot.core.record import CheckRecord
from bot.core.rotation import RotationState
from bot.edges.system import SystemKeys
from bot.errors import NotLeader, SettingsFault, SlackError, StoreError
from bot.flow.ports import Errand
from bot.process import LEASE_LASTS, ONE_BOT, BotProcess, Parts
from bot.settings import Settings, variable
from tests.fakes.cluster import MESH
from tests.unit.house import ANOTHER, PATIENCE, House, invalid_token, ready, running, slack_is_down, until


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    return House(tmp_path)


def test_deadlines_and_ears_go_by_the_clock_of_the_process(house: House) -> None:
    process = house.process()
    settings = house.settings()

    with running(process):
        until(lambda: ready(house))
        desk = bootstrap.build_desk(
            settings,
            settings.require_slack(),
            client=WebClient(),
            home_team=TeamId("T0HOME"),
            record=process.record,
            meshes=process.meshes,
            looks=process._looks,
            scheduler=process.scheduler,
            clock=house.clock,
            keys=SystemKeys(),
        )

    assert house.clocks == [house.clock]
    assert desk.court.clock is house.clock


# --- the lease -------------------------------------------------------------------------------------------


def test_it_waits_for_a_lease_that_another_holds_and_does_nothing_meanwhile(house: House) -> None:
    rotation_id = house.left_behind("await-secrets")
    process = house.process()
    lease = process.record.lease
    epoch = lease.acquire(ANOTHER, now=house.clock.now(), duration=LEASE_LASTS)
    assert epoch is not None

    with running(process):
        until(lambda: process._lease_fault() != "")
        waited = process.record.store.rotation(rotation_id).state
        lease.release(ANOTHER, epoch=epoch)
        until(lambda: process.record.store.rotation(rotation_id).state is RotationState.DONE)

    assert waited is RotationState.RUNNING


def test_it_stops_waiting_for_the_lease_when_told_to(house: House) -> None:
    process = house.process()
    process.record.lease.acquire(ANOTHER, now=house.clock.now(), duration=LEASE_LASTS)

    with running(process) as run:
        process.stop()
        assert run.end() is None

    assert house.did == []


def test_a_second_process_on_the_host_waits_until_the_first_has_ended(house: House) -> None:
    first, second = house.process(name="house/10"), house.process(name="house/11")
    with running(first) as run:
        until(lambda: ready(house))
        house.did.clear()
        with running(second):
            until(lambda: second.record.lease.holder() == "house/10")
            assert second._lease_fault() != ""
            first._renew_lease()
            assert not ready(house)

            first.stop()
            assert run.end() is None
            until(lambda: ready(house))

            assert second.record.lease.holder() == "house/11"


def test_who_waits_for_the_lease_is_told_once_for_whom(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    process, passes = house.process(), []
    process.record.lease.acquire(ANOTHER, now=house.clock.now(), duration=LEASE_LASTS)

    def third_time(_seconds: float) -> None:
        passes.append(1)
        if len(passes) == 3:
            process.stop()

    monkeypatch.setattr(process._stopping, "wait", third_time)

    with capture_logs() as logs:
        process._take_lease()

    assert [(log["event"], log["holder"], log["hint"]) for log in logs] == [
        ("lease held by another process", ANOTHER, ONE_BOT)
    ]
    process._close()


FORMER = {
    "itself, as in a container that is started again": "house/1",
    "one that was killed": "house/10",
}


@pytest.mark.parametrize("name", FORMER.values(), ids=FORMER.keys())
def test_a_process_that_is_started_again_need_not_wait_for_its_former_self(house: House, name: str) -> None:
    former = house.process(name=name)
    assert former._take_lease()

    process = house.process(gone={"house/10"}.__contains__)

    assert process._take_lease()
    former._close()
    process._close()


def test_a_lease_that_another_took_ends_it_and_says_why(house: House) -> None:
    process = house.process()
    with running(process) as run:
        until(lambda: ready(house))
        late = house.clock.now() + LEASE_LASTS * 2
        taken = process.record.lease.acquire(ANOTHER, now=late, duration=LEASE_LASTS)
        process._renew_lease()

        ended = run.end()

    assert isinstance(ended, NotLeader)
    assert ended.message == "another process took the lease; this one stops"
    assert process._lease_fault() != ""
    after = house.process()
    assert after.record.lease.renew(ANOTHER, epoch=taken or 0, now=late, duration=LEASE_LASTS)
    after._close()


def test_a_lease_that_cannot_be_renewed_stops_every_effect_and_message_until_it_can(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = house.process()
    with running(process):
        until(lambda: ready(house))
        [fence_of_the_poster] = house.fences

        def locked(*_: object, **__: object) -> bool:
            raise StoreError("database is locked")

        monkeypatch.setattr(process.record.lease, "renew", locked)
        house.clock.pass_by(LEASE_LASTS)
        with pytest.raises(NotLeader, match="the database takes no writes"):
            process._fence()
        with pytest.raises(NotLeader, match="the database takes no writes"):
            fence_of_the_poster()

        monkeypatch.undo()
        process._renew_lease()
        process._fence()
        fence_of_the_poster()


CLOCKS = {
    "both": (LEASE_LASTS, LEASE_LASTS),
    "the time of day was set back meanwhile": (-timedelta(hours=1), LEASE_LASTS),
    "the machine slept": (LEASE_LASTS, timedelta(0)),
}


@pytest.mark.parametrize(("by_day", "by_ticks"), CLOCKS.values(), ids=CLOCKS.keys())
def test_a_lease_is_in_doubt_by_whichever_clock_says_so_first(
    house: House, by_day: timedelta, by_ticks: timedelta
) -> None:
    process = house.process()
    process._take_lease()
    process._fence()

    house.clock.pass_by(by_day)
    house.ticks += by_ticks.total_seconds()

    with pytest.raises(NotLeader):
        process._fence()
    process._close()


def test_a_lease_counts_from_before_the_database_was_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = house.process()
    for asked in ("acquire", "renew"):
        slow = partial(_slowly, house, getattr(process.record.lease, asked))
        monkeypatch.setattr(process.record.lease, asked, slow)

    process._take_lease()
    taken = process._lease_fault()
    process._renew_lease()

    assert taken != ""
    assert process._lease_fault() != ""
    process._close()


def _slowly(house: House, ask: Callable[..., object], *given: object, **named: object) -> object:
    answer = ask(*given, **named)
    house.ticks += LEASE_LASTS.total_seconds()
    return answer


def test_a_rotation_is_left_alone_while_the_lease_is_in_doubt(house: House) -> None:
    rotation_id = house.left_behind("write-root")
    process = house.process()
    process._epoch, process._renewal = 1, process._moment()
    house.clock.pass_by(LEASE_LASTS)
    effects = list(house.cluster.effects)

    process.scheduler.advance_soon(rotation_id)
    process.scheduler.stop(timedelta(seconds=5))

    assert house.cluster.effects == effects
    process._close()


# --- work ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["back-up", "reload-ca", "await-proxies", "verify"])
def test_what_a_killed_process_left_behind_goes_on_at_once(house: House, step: str) -> None:
    rotation_id = house.left_behind(step)
    process = house.process()

    with running(process):
        until(lambda: process.record.store.rotation(rotation_id).final)

        assert process.record.store.rotation(rotation_id).state is RotationState.DONE


def test_with_slack_down_a_rotation_under_way_goes_on(house: House) -> None:
    rotation_id = house.left_behind("await-secrets")
    house.slack_fails_with = slack_is_down(10_000)
    process = house.process()

    with running(process):
        until(lambda: process.record.store.rotation(rotation_id).state is RotationState.DONE)

    assert not ready(house)


def test_slack_that_comes_back_is_listened_to(house: House) -> None:
    house.slack_fails_with = slack_is_down(3)

    with running(house.process()):
        until(lambda: ready(house))

    assert house.did[:2] == ["connect", "start poster"]


def test_a_socket_that_does_not_open_is_closed_before_the_next_try(house: House) -> None:
    house.connect_fails_with = slack_is_down(2)

    with running(house.process()):
        until(lambda: ready(house))

    assert house.did[:6] == ["connect", "close socket", "connect", "close socket", "connect", "start poster"]


def test_an_invalid_token_ends_it_with_the_reason_and_gives_the_lease_back(house: House) -> None:
    house.slack_fails_with = [invalid_token()]
    process = house.process()

    with running(process) as run:
        ended = run.end()

    assert isinstance(ended, SlackError)
    assert ended.hint == "Copy it anew."
    after = house.process()
    assert after.record.lease.acquire(ANOTHER, now=house.clock.now(), duration=LEASE_LASTS)
    after._close()


def test_an_invalid_token_does_not_end_a_rotation_under_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.process.SLACK_RETRY", timedelta(milliseconds=20))
    rotation_id = house.left_behind("await-secrets")
    house.slack_fails_with = [invalid_token() for _ in range(10_000)]
    process = house.process()

    with running(process) as run:
        ended = run.end()

    assert isinstance(ended, SlackError)
    after = house.process()
    assert after.record.store.rotation(rotation_id).state is RotationState.DONE
    after._close()


def test_a_check_that_was_slept_over_is_made_up_at_the_start(house: House) -> None:
    process = house.process()

    with running(process):
        until(lambda: process.record.store.last_check(MESH) is not None)


def test_a_mesh_is_checked_anew_when_a_rotation_of_it_has_ended(house: House) -> None:
    earlier = house.clock.now() - timedelta(hours=2)
    before = CheckRecord(mesh=MESH, at=earlier, ok=True, summary="11 days until its root ends")
    rotation_id = house.left_behind("verify", check=before)
    process = house.process()
    store = process.record.store

    with running(process):
        until(lambda: store.rotation(rotation_id).state is RotationState.DONE)
        process._sweep()
        until(lambda: store.last_check(MESH) != before)

    after = store.last_check(MESH)
    assert after is not None
    assert (after.at, after.ok) == (house.clock.now(), True)
    assert after.remaining is not None
    assert after.remaining > timedelta(days=3000)


def test_a_check_that_fails_does_not_end_the_bot(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_parts: object) -> MeshSnapshot:
        raise ZeroDivisionError

    monkeypatch.setattr(house.cluster, "read", broken)
    process = house.process()

    with running(process) as run:
        until(lambda: process.record.store.last_check(MESH) is not None)
        until(lambda: ready(house))
        process.stop()
        assert run.end() is None


# --- the end -----------------------------------------------------------------------------------------------


def test_it_stops_hearing_first_and_gives_the_lease_back_last(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = house.process()
    _noted(monkeypatch, process.health, "stop", "stop health", house.did)
    _noted(monkeypatch, process.scheduler, "stop", "stop scheduler", house.did)
    _noted(monkeypatch, process.record.lease, "release", "give lease back", house.did)

    with running(process) as run:
        until(lambda: ready(house))
        house.did.clear()
        process.stop()
        run.end()

    assert house.did == ["stop health", "close socket", "stop scheduler", "stop poster", "give lease back"]


def _noted(monkeypatch: pytest.MonkeyPatch, thing: object, method: str, what: str, did: list[str]) -> None:
    real = getattr(thing, method)

    def noted(*given: object, **named: object) -> object:
        did.append(what)
        return real(*given, **named)

    monkeypatch.setattr(thing, method, noted)


def test_a_step_that_does_not_end_in_time_keeps_the_lease(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = house.process()
    monkeypatch.setattr("bot.process.STOPPING", timedelta(milliseconds=50))
    released = threading.Event()

    def slow_step() -> None:
        released.wait(PATIENCE)

    with running(process) as run:
        until(lambda: ready(house))
        process.scheduler.soon(slow_step, kind=Errand.DECISION, turned_away=lambda: None)
        process.stop()
        run.end()
        released.set()

    after = house.process()
    assert after.record.lease.acquire(ANOTHER, now=house.clock.now(), duration=LEASE_LASTS) is None
    after._close()


def test_an_idle_bot_ends_within_a_second(house: House) -> None:
    process = house.process()
    with running(process) as run:
        until(lambda: ready(house) and process.record.store.last_check(MESH) is not None)
        process.stop()
        run.thread.join(1.0)

        assert not run.thread.is_alive()


def test_a_health_address_that_is_taken_is_a_fault_of_the_settings(house: House) -> None:
    first = house.process()
    taken = house.settings(health=f"127.0.0.1:{first.health.port}")

    with pytest.raises(SettingsFault, match=r"nothing can listen at 127\.0\.0\.1:") as raised:
        BotProcess(taken, Parts(clock=house.clock, meshes=lambda *_, **__: house.meshes()))

    assert "ROOTKEEPER_HEALTH_ADDRESS" in raised.value.hint
    first._close()
