"""A pod that can never be read keeps a rotation from being done: a second person ends it on the page."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bot.core.plan import StepKind
from bot.core.progress import StepStatus
from bot.core.record import Event
from bot.sandbox.cluster.kubelet import Trouble
from bot.sandbox.cluster.resources import PODS
from bot.sandbox.cluster.standin import ClusterStandIn
from bot.sandbox.slack.workspace import ADA, GRACE
from tests.browser import FLAGS, chromium
from tests.scenario.moments import let_the_deadline_pass
from tests.scenario.room import MESH, Room, buttons, open_room, shown


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        reason = "no Chromium found: install it or set CHROMIUM"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


def cart_stays_pending(cluster: ClusterStandIn) -> None:
    """No node has room for it any more."""
    cluster.trouble("cart", Trouble.PENDING)
    pod = next(p for p in cluster.store.values(PODS, "shop") if p["metadata"]["labels"].get("app") == "cart")
    cluster.store.remove(PODS, f"shop/{pod['metadata']['name']}")


def waits_for_proxies(room: Room) -> bool:
    current = room.rotations()[-1].current
    waiting = current and current[1].status is StepStatus.WAITING
    return bool(waiting and current and current[0].kind is StepKind.AWAIT_PROXIES and current[1].stragglers)


def refused_in_its_dialog(room: Room, user: str, words: str) -> None:
    """What somebody reads who pressed the button and may not."""

    def says(user_views: list[dict[str, object]]) -> bool:
        return words in str(user_views)

    room.until(
        lambda: says([v.to_slack() for v in room.slack.ask(lambda w: list(w.views.stacks.get(user, [])))]),
        f"{words!r} in the dialog of {user}",
    )
    room.slack.close_view(user)


def test_a_pod_that_stays_pending_is_left_behind_by_name_and_by_a_second_person(browser: Browser) -> None:
    with open_room() as room:
        ts = room.propose()
        room.cluster.do(cart_stays_pending)
        room.approve(ts)
        room.until(lambda: waits_for_proxies(room), "the wait for the pod that is Pending", seconds=75)
        let_the_deadline_pass(room)
        card = room.titled(ts, "paused")
        assert buttons(card) == ["keep_waiting", "roll_back", "end_here"]

        room.press(ADA, "end_here", ts)
        refused_in_its_dialog(room, ADA, "You asked for this rotation")
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="UTC")
        ended_on_the_page(page, room.slack.url)

        result = room.result(ts)
        ended = room.titled(ts, "ended short")
        assert "Ended by grace" in result.content.text
        assert "with 1 of 8 proxies not proved: proxy of shop/cart" in result.content.text
        assert "before the old root ends on" in result.content.text
        assert buttons(ended) == []
        assert "waits for a node" in shown(ended.content)
        assert room.states() == ["ended_short"]
        assert [one.what.rpartition("-")[0][:18] for one in room.rotations()[-1].left_behind] == [
            "proxy of shop/cart"
        ]
        assert [row.event.person and row.event.person.user for row in room.audited(Event.ENDED_SHORT)] == [
            GRACE
        ]
        assert len(room.writes()) == 1
        room.press(GRACE, "end_here", ts, forged=True)
        refused_in_its_dialog(room, GRACE, "Too late")
        assert "could not tell" in room.asked(f"/istio-root verify {MESH}")
        room.propose()
        assert room.states() == ["ended_short", "proposed"]
        assert {r["code"] for r in room.refusals()} == {"own_request", "already_ended_short"}
        assert room.audit_is_intact()


def ended_on_the_page(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("radio", name="Grace").check(force=True)
    page.get_by_role("button", name="End here: the root rotation of prod").click()
    dialog = page.get_by_role("dialog", name="End it here?")
    expect(dialog).to_contain_text("1 of 8 proxies not proved", timeout=25_000)
    expect(dialog).to_contain_text("the pod is Pending")
    dialog.get_by_role("button", name="End here").click()
    expect(dialog.get_by_role("alert")).to_have_text("Please complete this required field.")
    dialog.get_by_label("Why now?").fill("cart waits for a node until Monday")
    dialog.get_by_role("button", name="End here").click()
    expect(dialog).to_be_hidden()
    page.close()
