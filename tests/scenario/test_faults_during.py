"""The world goes wrong while a rotation is under way: looked at first, never written twice, a person asked."""

from collections import Counter

from bot.sandbox.cluster.faults import Effect, Fault
from bot.sandbox.cluster.kubelet import Trouble
from bot.sandbox.cluster.resources import SECRETS
from bot.sandbox.slack.faults import MethodFault
from bot.sandbox.slack.workspace import GRACE
from tests.scenario.moments import (
    CA,
    change_secret,
    let_the_deadline_pass,
    remove,
    restarted,
    root_written,
    somebody_adds_a_key,
    workload_renewed,
)
from tests.scenario.room import Room, buttons, open_room

CA_WRITE = {"verb": "patch", "resource": "secrets", "name": "istio-ca-secret"}


def told_once(room: Room, ts: str) -> bool:
    steps = Counter(line for line in room.thread(ts) if "Paused" not in line and "Goes on" not in line)
    return max(steps.values()) == 1


def test_rows_31_33_and_36_a_rotation_through_bad_weather_writes_once_and_tells_all_of_it_once() -> None:
    with open_room() as room:
        ts = room.propose()
        room.inject(effect=Effect.TOUCH, dry_run=False, **CA_WRITE)
        room.inject(effect=Effect.STATUS, code=409, dry_run=False, **CA_WRITE)
        room.inject(effect=Effect.STATUS, code=503, retry_after=1, dry_run=False, **CA_WRITE)
        room.inject(effect=Effect.DROP_AFTER, dry_run=False, **CA_WRITE)
        room.inject(effect=Effect.DROP_AFTER, verb="patch", resource="secrets", name="rootkeeper-backup")
        room.inject(effect=Effect.DROP_AFTER, verb="patch", resource="deployments", times=2)
        # not before: what cannot be read when the approval is taken has the approver asked to press again
        room.when(
            root_written,
            lambda: room.cluster._cluster.faults.add(
                Fault(user="rootkeeper", effect=Effect.STATUS, verb="list", code=500, times=30)
            ),
        )
        room.slack.fail("chat.postMessage", MethodFault(answer="ratelimited"), times=3)
        room.slack.fail("chat.postMessage", MethodFault(answer="server_error"), times=2)
        room.slack.fail("chat.update", MethodFault(answer="drop", after_effect=True), times=2)
        renewed = room.when(workload_renewed)

        room.approve(ts)
        room.came(renewed, "the secrets began to change")
        room.slack.say_goodbye("drop")

        room.result(ts)
        room.titled(ts, "root rotation done")
        assert told_once(room, ts)
        assert [e.code for e in room.writes()] == [0], "one write, whose answer was cut off, and no other"
        assert len(room.held_serials()) == 1
        assert len(room.cards()) == 1
        assert "Traceback" not in room.bot.said


def test_row_54_changed_by_somebody_else_between_two_steps_it_pauses_and_goes_on_once_put_right() -> None:
    with open_room() as room:
        ts = room.propose()
        whole: list[object] = []

        def meddle() -> None:
            def change(value: dict[str, object]) -> None:
                whole.append(value["data"])
                somebody_adds_a_key(value)

            change_secret("istio-ca-secret", change)(room.cluster._cluster)

        room.when(restarted("istio-citadel"), meddle)
        room.approve(ts)

        card = room.titled(ts, "paused")

        assert "istio-ca-secret was changed" in card.content.text
        assert buttons(card) == ["keep_waiting", "roll_back", "end_here"]
        room.cluster.do(change_secret("istio-ca-secret", lambda v: v.update(data=whole[0])))
        room.press(GRACE, "keep_waiting", ts)
        room.result(ts)
        room.titled(ts, "root rotation done")
        assert len(room.writes()) == 1


def test_row_32_a_ca_secret_that_vanishes_midway_is_shouted_about_and_never_made_anew() -> None:
    with open_room() as room:
        ts = room.propose()
        kept = {}

        def vanish() -> None:
            cluster = room.cluster._cluster
            stored = cluster.store.get(SECRETS, CA)
            assert stored is not None
            kept["secret"] = stored.value
            remove(SECRETS, CA)(cluster)

        room.when(workload_renewed, vanish)
        room.approve(ts)

        card = room.titled(ts, "paused")

        assert "vanished" in card.content.text
        assert "Do not restart Citadel" in card.content.text
        assert "rootkeeper-backup" in card.content.text
        assert room.forbidden_acts() == []
        backup = room.secret("rootkeeper-backup")["data"]
        rotation = room.rotations()[-1]
        for key, value in kept["secret"]["data"].items():
            if key != "ca-cert.pem":
                assert backup[f"{rotation.id}.{key}"] == value


def test_row_58_a_citadel_that_is_never_ready_pauses_and_is_rolled_back_to_the_very_bytes() -> None:
    with open_room() as room:
        ts = room.propose()
        before, held = room.ca_secret(), room.held_serials()
        room.cluster.do(lambda c: c.trouble("citadel", Trouble.NEVER_READY))
        rolled = room.when(restarted("istio-citadel"))
        room.approve(ts)
        room.came(rolled, "citadel rolled over")
        room.seen(lambda m: m.thread_ts == ts and "step 2 of" in m.content.text, "the second step")

        let_the_deadline_pass(room)
        paused = room.titled(ts, "paused")
        room.press(GRACE, "keep_waiting", ts)
        room.titled(ts, "running, step 3")
        let_the_deadline_pass(room)
        again = room.titled(ts, "paused")

        assert "not done within" in paused.content.text
        assert buttons(again) == ["keep_waiting", "roll_back", "end_here"]
        assert "kubectl" in "".join(room.thread(ts)) + str(room.message(ts).content.blocks)
        assert room.ca_secret()["data"] != before["data"]
        room.cluster.do(lambda c: c.trouble("citadel", None))
        room.press(GRACE, "roll_back", ts)
        result = room.result(ts)
        room.titled(ts, "rolled back")
        assert "old root" in result.content.text
        assert room.ca_secret()["data"] == before["data"]
        assert room.ca_secret()["metadata"]["uid"] == before["metadata"]["uid"]
        assert room.held_serials() == held
        assert room.states() == ["rolled_back"]
        assert room.forbidden_acts() == []
        assert told_once(room, ts)


def test_stopped_after_the_write_it_asks_and_keeps_what_was_asked_on_record() -> None:
    with open_room() as room:
        ts = room.propose()
        written = room.when(root_written)
        room.approve(ts)
        room.came(written, "the root was written")

        room.press(GRACE, "cancel", ts, forged=True)

        card = room.titled(ts, "paused")
        assert "Stopped on request" in card.content.text
        assert buttons(card) == ["keep_waiting", "roll_back", "end_here"]
        room.press(GRACE, "keep_waiting", ts)
        result = room.result(ts)
        # Not a card that says "running": a quick rotation is done before the next redraw is due.
        assert "Rotation done" in result.content.text
        assert any("Goes on" in reply for reply in room.thread(ts))
        assert len(room.writes()) == 1
