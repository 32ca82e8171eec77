"""The world goes wrong before anything was written: a clear message, nothing lost, nothing guessed."""

from collections.abc import Iterator

import pytest

from bot.core.record import Event
from bot.sandbox.cluster.faults import Effect
from bot.sandbox.cluster.rbac import Ban
from bot.sandbox.slack.workspace import ADA, GRACE
from tests.scenario.room import MESH, Room, buttons, open_room


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Room]:
    with open_room() as room:
        yield room
        assert room.writes() == []
        assert room.forbidden_acts() == []
        assert "Traceback" not in room.bot.said


@pytest.fixture
def room(sandbox: Room) -> Iterator[Room]:
    """The module's sandbox; afterwards everything is allowed again and no fault is left."""
    yield sandbox
    sandbox.cluster.do(lambda cluster: cluster.faults.clear())
    sandbox.cluster.do(lambda cluster: cluster.bot.bans.clear())
    sandbox.settled()


def test_a_mistyped_mesh_is_answered_with_what_was_meant(room: Room) -> None:
    room.type(ADA, "/istio-root check prd")

    assert "Did you mean `prod`" in room.whispered(ADA, "no mesh `prd`")


def test_a_misspelt_command_is_answered_with_what_was_meant(room: Room) -> None:
    room.type(ADA, "/istio-root trasition prod")

    assert "Did you mean `transition`" in room.whispered(ADA, "no command `trasition`")


@pytest.mark.parametrize("effect", [Effect.DROP_BEFORE, Effect.STATUS])
@pytest.mark.parametrize("line", ["check", "verify", "transition"])
def test_an_unreachable_cluster_is_said_to_be_so_and_how_to_go_on(
    room: Room, line: str, effect: Effect
) -> None:
    room.inject(effect=effect, code=500, times=100_000)

    said = room.asked(f"/istio-root {line} {MESH}" + (" because" if line == "transition" else ""))

    assert "could not be done" in said
    assert "What to do" in said
    assert f"<@{ADA}>" in said


def test_after_the_cluster_is_back_the_same_command_works(room: Room) -> None:
    said = room.asked(f"/istio-root check {MESH}")

    assert "ca.expiry" in said
    assert "could not be read" not in said.lower()


def test_row_2_a_403_on_the_ca_secret_is_unknown_and_not_absent(room: Room) -> None:
    room.cluster.forbid(Ban(verb="get", resource="secrets", name="istio-ca-secret"))

    said = room.asked(f"/istio-root check {MESH}")

    assert "could not tell" in said
    assert "istio-ca-secret" in said
    assert "cannot get resource" in said
    assert "does not exist" not in said


def test_row_2_without_the_ca_secret_no_rotation_is_planned(room: Room) -> None:
    room.cluster.forbid(Ban(verb="get", resource="secrets", name="istio-ca-secret"))
    before = len(room.cards())

    said = room.asked(f"/istio-root transition {MESH} lifetime=10y because")

    assert "preflight" in said
    assert "ca.present" in said
    assert len(room.cards()) == before


def test_row_38_three_forbidden_namespaces_are_unknown_by_name_and_never_all(room: Room) -> None:
    room.cluster.forbid(Ban(verb="list", resource="secrets", cluster=True))
    for namespace in ("shop", "payments", "platform"):
        room.cluster.forbid(Ban(verb="list", resource="secrets", namespace=namespace))

    said = room.asked(f"/istio-root verify {MESH}")

    assert "could not tell" in said
    for namespace in ("shop", "payments", "platform"):
        assert f"secrets in namespace {namespace}" in said
    assert "all " not in said.split('"type"')[0].lower().split("verify of prod")[1]
    assert "Everything was read" not in said


def test_row_36_a_busy_api_server_is_asked_again_as_it_wishes(room: Room) -> None:
    room.inject(effect=Effect.STATUS, verb="list", resource="pods", code=429, retry_after=1, times=1)
    room.inject(effect=Effect.STATUS, verb="get", resource="secrets", code=503, times=2)

    said = room.asked(f"/istio-root verify {MESH}")

    assert "Everything was read" in said


def test_row_36_a_list_that_stays_unreadable_makes_the_verdict_unknown(room: Room) -> None:
    room.inject(effect=Effect.STATUS, verb="list", resource="pods", code=500, times=1000)

    said = room.asked(f"/istio-root verify {MESH}")

    assert "could not tell" in said
    assert "pods" in said


def test_row_48_exec_and_port_forward_forbidden_make_every_proxy_unknown(room: Room) -> None:
    room.cluster.forbid(Ban(resource="pods/exec"))
    room.cluster.forbid(Ban(resource="pods/portforward"))

    said = room.asked(f"/istio-root verify {MESH}")

    assert "could not tell" in said
    assert "pods/exec" in said


def test_where_only_exec_is_forbidden_proxies_are_asked_by_port_forward(room: Room) -> None:
    room.cluster.forbid(Ban(resource="pods/exec"))

    said = room.asked(f"/istio-root verify {MESH}")

    assert "Everything was read" in said


def test_at_the_click_an_unreachable_cluster_decides_nothing_and_the_card_stays(room: Room) -> None:
    ts = room.pending()
    room.inject(effect=Effect.DROP_BEFORE, times=100_000)
    approved = len(room.audited(Event.APPROVED))

    room.press(GRACE, "approve", ts)

    room.whispered(GRACE, "That did not work")
    assert len(room.audited(Event.APPROVED)) == approved
    assert room.states()[-1] == "proposed"
    assert "approve" in buttons(room.message(ts))


def test_row_62_cancelled_while_the_backup_cannot_be_made_it_ends_before_anything_was_written(
    room: Room,
) -> None:
    ts = room.pending()
    room.inject(
        effect=Effect.STATUS, verb="patch", resource="secrets", name="rootkeeper-backup", code=500, times=9999
    )
    room.approve(ts)
    room.seen(lambda m: m.thread_ts == ts and "Started" in m.content.text, "the start")

    room.press(ADA, "cancel", ts)

    room.titled(ts, "cancelled")
    room.settled()
    assert "Stopped before anything in the mesh was changed" in room.thread(ts)[-1]
    assert room.writes("rootkeeper-backup") == []


def test_a_write_that_an_admission_webhook_denies_fails_with_its_words_and_changes_nothing(
    room: Room,
) -> None:
    ts = room.propose()
    room.inject(
        effect=Effect.DENY,
        verb="patch",
        resource="secrets",
        name="istio-ca-secret",
        message="frozen until Monday",
        times=1000,
    )

    room.approve(ts)

    result = room.result(ts)
    assert "frozen until Monday" in result.content.text
    assert "Nothing in the mesh was changed" in result.content.text
    assert room.states()[-1] == "failed"
    assert room.writes() == []
